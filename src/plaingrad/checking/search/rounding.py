"""How far a number may be from what is expected, and still be right."""

import numpy as np

from plaingrad.checking.search.passes import Estimate
from plaingrad.checking.search.precision import Precision
from plaingrad.compiler.loops import Array

DEVIATIONS = 8.0
"""How many standard deviations a right number may be off: with a million numbers one of 8 is chance of 1 in 10⁹."""
LEFT = 0.5  # of what is off without a mistake may be left with it: roundings, in numbers that it hardly moves
NEARLY = 64.0  # times what may be off: farther away no number is looked at again
FAR = 1e-3  # of an array's largest number: far more than any rounding
UNKNOWN = 16.0  # units of rounding that a number is off by, where nothing tells
TELLING = 8.0
"""How many times what rounding allows a number has to be off, for a mistake to be told by it.

A mistake of the same size that was not made gives that number by a chance of 1 in 8 at most; with less, twice and a
third of what it should be are both within the room.
"""
ALIKE = 3.0  # a mistake's own roundings may differ from the right pass's by so much


def allowed(expected: Estimate, array: Array, precision: Precision) -> Array:
    """How far each number of an answer may be from what is expected."""
    own = 4 * precision.unit * np.abs(expected.value)
    return DEVIATIONS * expected.uncertainty + precision.grain(array) + own + precision.flushed


@np.errstate(all="ignore")
def agrees(expected: Estimate, array: Array, precision: Precision) -> bool:
    """Whether an answered array is what is expected, up to rounding."""
    room = allowed(expected, array, precision)
    # What may be off by any amount tells nothing: only the same number agrees then.
    room = np.where(np.isfinite(room), room, 0)
    return bool((np.abs(array - expected.value) <= room).all())


def alike(expected: Estimate, made: Array, unit: float) -> Estimate:
    """Another array, known relative to its size about as well as the right one, and at each place no better."""
    size, largest = expected.size, float(np.abs(made).max(initial=0))
    if size <= DEVIATIONS * expected.usual:  # the right one is 0 up to rounding, of which uncertainties are no share
        return Estimate(made, np.maximum(expected.uncertainty, ALIKE * UNKNOWN * unit * largest))
    level, scale = expected.usual / size, max(largest / size, 1.0)
    return Estimate(made, np.maximum(expected.uncertainty * scale, ALIKE * level * largest))


@np.errstate(all="ignore")
def fits(expected: Estimate, made: Array, array: Array, precision: Precision) -> bool:
    """Whether an answered array is what a mistake makes.

    Numbers that a mistake moves take their uncertainty along: each may be off as far as right ones up to its size are.
    """
    likely = alike(expected, made, precision.unit)
    off, room = np.abs(array - made), allowed(likely, array, precision)
    if (off <= room).all():
        return True
    if not (off <= NEARLY * room).all():
        return False
    sizes = np.abs(expected.value).reshape(-1)
    order = np.argsort(sizes)
    widest = np.maximum.accumulate(expected.uncertainty.reshape(-1)[order])
    place = np.searchsorted(sizes[order], np.abs(made), side="right") - 1
    wide = np.where(place >= 0, widest[np.maximum(place, 0)], 0)
    return bool((off <= allowed(Estimate(made, np.maximum(likely.uncertainty, wide)), array, precision)).all())


def is_made(expected: Estimate, made: Array, array: Array, precision: Precision) -> bool:
    """Whether an answered array is what a mistake makes, and the mistake accounts for it.

    In so wide a room that the right numbers are well within it too nothing is accounted for.
    """
    # Two norms, which rule out nearly all, are quicker than a room for each number.
    if not explains(made, expected.value, array) or not fits(expected, made, array, precision):
        return False
    room = allowed(alike(expected, made, precision.unit), array, precision)
    return not bool((np.abs(array - expected.value) <= room / ALIKE).all())


@np.errstate(all="ignore")
def is_telling(expected: Estimate, array: Array, precision: Precision) -> bool:
    """Whether any number is so far from what is expected that a mistake can be told by it."""
    return not bool((np.abs(array - expected.value) <= TELLING * allowed(expected, array, precision)).all())


@np.errstate(all="ignore")
def explains(made: Array, expected: Array, given: Array) -> bool:
    """Whether a mistake leaves little of what was off without it: one that changes next to nothing explains nothing."""
    left, without = (_sum_of_squares((given - each).reshape(-1)) for each in (made, expected))
    return left <= LEFT**2 * without


def _sum_of_squares(row: Array) -> float:
    """Without BLAS, which wakes its threads for each: with others at work that costs a hundred times as much."""
    return float(np.einsum("i,i", row, row))


@np.errstate(all="ignore")
def ratio(given: Array, expected: Array, near: float, room: Array | float = 0.0) -> float | None:
    """The one factor between two arrays, if there is one, to so much of the largest number and this `room` besides."""
    given, expected, room = given.reshape(-1), expected.reshape(-1), np.reshape(room, -1)
    weight = float((expected * expected).sum())
    factor = float((given * expected).sum()) / weight if weight else 0.0
    size = np.abs(expected).max(initial=0) * abs(factor)
    return factor if size > 0 and (np.abs(given - factor * expected) <= near * size + room).all() else None


def relative(array: Array, expected: Array) -> float:
    """The largest difference, relative to the largest number expected."""
    size = float(np.abs(expected).max(initial=0))
    off = float(np.abs(array - expected).max(initial=0))
    return off / size if size > 0 else (0.0 if off == 0 else float("inf"))
