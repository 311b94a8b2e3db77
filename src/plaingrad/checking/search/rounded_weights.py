"""Weights that were rounded after a step, and used so: what was made of them is right for the printed numbers alone."""

from collections import ChainMap

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, Mistake, nothing
from plaingrad.checking.search.findings import Finding, Fit
from plaingrad.checking.search.passes import Env, Estimate, Key, exact
from plaingrad.checking.search.rounding import allowed, explains
from plaingrad.checking.search.state import State
from plaingrad.compiler.loops import Array

ID = "weights-rounded"
LUCK = 20  # bits that must come out right beyond what rounding allows: chance of one in a million
MOST_DECIMALS = 9


def used_as_printed(state: State, key: Key, expected: Estimate, array: Array) -> list[Key]:
    """The updates of the step before that were printed in few digits, if an array that is wrong is made of these."""
    if ID in state.left_out or state.program.is_update(key):
        return []
    printed = [each for each in state.rows if each[0] == key[0] - 1 and is_printed_short(state, each)]
    if not printed:
        return []
    env: Env = {each: exact(state.likeliest(each).array) for each in printed}
    made = _made(state, key, env)
    room = np.maximum(allowed(made, array, state.precision), np.finfo(float).tiny)
    off = np.abs(array - expected.value)
    bits = float(np.log2(np.where(off > room, off / room, 1)).sum())
    is_made = bits > LUCK and state.agrees(made, array) and explains(made.value, expected.value, array)
    return printed if is_made else []


def is_printed_short(state: State, key: Key) -> bool:
    """Whether an update agrees, but is known better by computing it than it was printed."""
    row = state.rows.get(key)
    if row is None or row.status != "agrees" or not state.program.is_update(key):
        return False
    return not np.array_equal(state.env[key].value, state.likeliest(key).array)


def blamed(state: State, key: Key) -> Finding:
    """The finding of such an update."""
    array, expected = state.likeliest(key).array, state.expected[key]
    before = state.env[key[0] - 1, *key[1:]].value
    fit = Fit(_rounded_to(_decimals(array)), key, array)
    return Finding(key, array, expected.value, expected.uncertainty, [fit], before=before)


def _made(state: State, key: Key, env: Env) -> Estimate:
    """What a pass makes of some arrays, by way of passes without an answer."""
    for need in state.program.needs(key):
        if need in state.unanswered and need[0] == key[0] and need not in env:
            env[need] = _made(state, need, env)
    return state.program.evaluate(key, ChainMap(env, state.env))


def _decimals(array: Array) -> int | None:
    """The fewest decimals that keep every number; None where there are many."""
    return next((n for n in range(MOST_DECIMALS) if np.array_equal(np.round(array, n), array)), None)


def _rounded_to(decimals: int | None) -> Mistake:
    how = "to few digits" if decimals is None else f"to {decimals} decimal{'' if decimals == 1 else 's'}"
    return Mistake(
        ID,
        ("*.update",),
        f"the weights are rounded {how} after each step, and used so",
        "Round what you print, not what you go on with.",
        nothing,
        kind=Kind.UPDATE,
    )
