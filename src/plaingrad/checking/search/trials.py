"""An answer tried in another way: what would disagree if the program kept to these conventions."""

from collections.abc import Callable

import numpy as np

from plaingrad.checking.search import rounding
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Env, Estimate, Key, exact
from plaingrad.checking.search.rounding import FAR
from plaingrad.checking.search.state import State
from plaingrad.compiler.loops import Array


def counted(found: list[Finding]) -> tuple[int, ...]:
    """How many passes disagree in each step; the first counts most, for what a later one makes follows from it."""
    steps = [finding.key[0] for finding in found]
    return tuple(steps.count(t) for t in range(1, max(steps, default=0) + 1))


def disagreeing(
    state: State, most: tuple[int, ...] | None = None, agreed: frozenset[Key] = frozenset()
) -> list[Finding] | None:
    """The passes that disagree, and nothing about why.

    None where one of the `agreed` is among them, or where they are `most`, as `counted`, or more.
    """
    found: list[Finding] = []
    for key in sorted(state.arrays, key=state.program.place.__getitem__):
        expected = state.expected[key] = _asked_for(state, key)
        reading = state.agreeing(key, expected)
        array = (reading or state.likeliest(key)).array
        state.env[key] = state.anchored(expected, array) if reading else state.own(array)
        if reading is None:
            found.append(Finding(key, array, expected.value, expected.uncertainty, []))
            if key in agreed or (most is not None and counted(found) >= most):
                return None
    return found


def _asked_for(state: State, key: Key) -> Estimate:
    """What a pass should make, and first what it needs."""
    for need in state.program.needs(key):
        if need not in state.env:
            state.env[need] = _asked_for(state, need)
    return state.program.evaluate(key, state.env)


def is_hopeless(state: State, agreed: frozenset[Key], other: State, first: int) -> bool:
    """Whether an array of the `agreed` is far from what it should be, or all of the `first` others are.

    Asked for values alone, which is quick. By how much they may be off is told by the `other`, of another way to
    see the same answer.
    """
    env, asked_for = _quick(state, other)
    for key in sorted(state.arrays, key=state.program.place.__getitem__):
        if key not in agreed and first <= 0:
            env[key] = state.own(state.likeliest(key).array)
            continue
        array = state.nearest(key, asked_for(key)).array
        room = FAR * np.abs(array).max(initial=0)
        room += 2 * rounding.allowed(other.expected[key], array, state.precision).max(initial=0)
        is_far = not np.abs(asked_for(key) - array).max(initial=0) <= room
        if key in agreed:
            group = state.groups[key]
            # The lists are made anew where arrays are laid out otherwise, the arrays are not.
            arrays = zip(state.arrays[key], other.arrays[key], strict=True)
            is_laid_alike = all(one.array is each.array for one, each in arrays)
            is_laid_alike &= state.order_of(group) == other.order_of(group)
            env[key] = other.env[key] if is_laid_alike else state.own(array)
            if is_far:
                return True
            continue
        env[key] = state.own(array)
        first = first - 1 if is_far else 0
        if is_far and first == 0:
            return True
    return False


def supposed(state: State, keys: list[Key], other: State) -> list[Finding]:
    """Answered arrays beside what they should be, asked for values alone, which is quick."""
    env, asked_for = _quick(state, other)
    found, last = [], max(state.program.place[key] for key in keys)
    for key in sorted(state.arrays, key=state.program.place.__getitem__):
        if state.program.place[key] > last:
            break
        array = state.likeliest(key).array
        if key in keys:
            value = asked_for(key)
            found.append(Finding(key, array, value, np.zeros_like(value), []))
        env[key] = state.own(array)
    return found


def _quick(state: State, other: State) -> tuple[Env, Callable[[Key], Array]]:
    """Arrays to be filled with what is known, and what a pass makes of them.

    Orders are those the `other` found, unless arrays are laid otherwise here: it may have found them by these.
    """
    if all(readings is other.arrays[key] for key, readings in state.arrays.items()):
        found = other.found_orders.items()
        state.found_orders |= {group: order for group, order in found if group not in state.orders}
    env = dict(state.env)

    def asked_for(key: Key) -> Array:
        for need in state.program.needs(key):
            if need not in env:
                env[need] = exact(asked_for(need))
        return state.program.value(key, env)

    return env, asked_for
