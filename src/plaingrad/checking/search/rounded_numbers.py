"""Numbers that were rounded and used so: what was made of them is right for the printed numbers alone."""

from collections import ChainMap
from dataclasses import replace

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, Mistake, nothing
from plaingrad.checking.search.findings import Finding, Fit
from plaingrad.checking.search.passes import Env, Estimate, Key, exact
from plaingrad.checking.search.rounding import allowed, explains
from plaingrad.checking.search.state import State
from plaingrad.compiler.loops import Array

ID = "weights-rounded"
ADVICE = "Round what you print, not what you go on with."
WEIGHTS = Mistake(ID, (), "the weights are rounded {} after each step, and used so", ADVICE, nothing, kind=Kind.UPDATE)
NUMBERS = Mistake("numbers-rounded", (), "the numbers are rounded {}, and used so", ADVICE, nothing, kind=Kind.FUNCTION)
LUCK = 20  # bits that must come out right beyond what rounding allows: chance of one in a million
MOST_DECIMALS = 9


def used_as_printed(state: State, key: Key, expected: Estimate, array: Array) -> list[Key]:
    """The arrays printed in few digits of which one that is wrong is made: weights after a step, or what is before it.

    No others than those that it takes to make it, in order.
    """
    if ID in state.left_out:
        return []
    weights = [each for each in state.rows if each[0] == key[0] - 1 and state.program.is_update(each)]
    for among in ([] if state.program.is_update(key) else weights, _before(state, key)):
        printed = [each for each in among if is_printed_short(state, each)]
        if printed and _is_made_of(state, printed, key, expected, array):
            return printed
    return []


def _before(state: State, key: Key) -> list[Key]:
    """The answered arrays of a step that a pass is made of, by way of others."""
    found, waiting = set[Key](), [key]
    while waiting:
        needs = state.program.needs(waiting.pop())
        more = {need for need in needs if need[0] == key[0] and need in state.program.place} - found
        found |= more
        waiting += more
    return [each for each in state.rows if each in found]


def _is_made_of(state: State, printed: list[Key], key: Key, expected: Estimate, array: Array) -> bool:
    """Whether an array is what a pass makes of the printed numbers of others, and is by no chance."""
    made = _made(state, key, {each: exact(state.likeliest(each).array) for each in printed})
    room = np.maximum(allowed(made, array, state.precision), np.finfo(float).tiny)
    off = np.abs(array - expected.value)
    bits = float(np.log2(np.where(off > room, off / room, 1)).sum())
    return bits > LUCK and state.agrees(made, array) and explains(made.value, expected.value, array)


def is_handed_on(state: State, key: Key) -> bool:
    """Whether the printed numbers are those that a pass makes of what is before it, but for the arithmetic."""
    made = state.program.evaluate(key, state.env)
    return bool(np.all(np.abs(state.likeliest(key).array - made.value) <= 2 * made.uncertainty))


def is_rounded_again(expected: Estimate, array: Array, decimals: int) -> bool:
    """Whether an array is what is expected, rounded to so many decimals."""
    room = 0.5 * 10.0**-decimals + expected.uncertainty
    few = decimals_of(array)
    return few is not None and few <= decimals and bool(np.all(np.abs(array - expected.value) <= room))


def is_printed_short(state: State, key: Key) -> bool:
    """Whether an array agrees, but is known better by computing it than it was printed."""
    row = state.rows.get(key)
    if row is None or row.status != "agrees":
        return False
    return not np.array_equal(state.env[key].value, state.likeliest(key).array)


def blamed(state: State, key: Key) -> Finding:
    """The finding of an array that is rounded, and used so."""
    array, expected = state.likeliest(key).array, state.expected[key]
    if not state.program.is_update(key):
        fit = Fit(_rounded_to(decimals_of(array), NUMBERS), key, array)
        return Finding(key, array, expected.value, expected.uncertainty, [fit])
    before = state.env[key[0] - 1, *key[1:]].value
    fit = Fit(_rounded_to(decimals_of(array), WEIGHTS), key, array)
    return Finding(key, array, expected.value, expected.uncertainty, [fit], before=before)


def _made(state: State, key: Key, env: Env) -> Estimate:
    """What a pass makes of some arrays, by way of passes without an answer."""
    for need in state.program.needs(key):
        if need in state.unanswered and need[0] == key[0] and need not in env:
            env[need] = _made(state, need, env)
    return state.program.evaluate(key, ChainMap(env, state.env))


def decimals_of(array: Array) -> int | None:
    """The fewest decimals that keep every number; None where there are many."""
    return next((n for n in range(MOST_DECIMALS) if np.array_equal(np.round(array, n), array)), None)


def _rounded_to(decimals: int | None, kind: Mistake) -> Mistake:
    how = "to few digits" if decimals is None else f"to {decimals} decimal{'' if decimals == 1 else 's'}"
    return replace(kind, title=kind.title.format(how))
