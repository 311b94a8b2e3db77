"""How far a number may be from what is expected, and still be right."""

import numpy as np

from plaingrad.checking.search.passes import Estimate
from plaingrad.checking.search.precision import Precision
from plaingrad.compiler.loops import Array

DEVIATIONS = 8.0
"""How many standard deviations a right number may be off: with a million numbers one of 8 is chance of 1 in 10⁹."""
LEFT = 0.5  # of what is off without a mistake may be left with it: roundings, in numbers that it hardly moves
ALIKE = 3.0  # a mistake's own roundings may differ from the right pass's by so much


def allowed(expected: Estimate, array: Array, precision: Precision) -> Array:
    """How far each number of an answer may be from what is expected."""
    own = 4 * precision.unit * np.abs(expected.value)
    return DEVIATIONS * expected.uncertainty + precision.grain(array) + own


@np.errstate(all="ignore")
def agrees(expected: Estimate, array: Array, precision: Precision) -> bool:
    """Whether an answered array is what is expected, up to rounding."""
    return bool((np.abs(array - expected.value) <= allowed(expected, array, precision)).all())


def alike(expected: Estimate, made: Array, unit: float) -> Estimate:
    """Another array, known relative to its size about as well as the right one, and at each place no better."""
    size = np.abs(expected.value).max(initial=0)
    usual = np.median(expected.uncertainty[expected.uncertainty > 0]) if (expected.uncertainty > 0).any() else 0.0
    level = usual / size if size > 0 else 16 * unit
    largest = np.abs(made).max(initial=0)
    scale = max(largest / size, 1.0) if size > 0 else 1.0
    return Estimate(made, np.maximum(expected.uncertainty * scale, ALIKE * level * largest))


@np.errstate(all="ignore")
def explains(made: Array, expected: Array, given: Array) -> bool:
    """Whether a mistake leaves little of what was off without it: one that changes next to nothing explains nothing."""
    left, without = (float(np.linalg.norm(given - each)) for each in (made, expected))
    return left <= LEFT * without


@np.errstate(all="ignore")
def ratio(given: Array, expected: Array, near: float) -> float | None:
    """The one factor between two arrays, if there is one, to so much of the largest number."""
    given, expected = given.reshape(-1), expected.reshape(-1)
    weight = float((expected * expected).sum())
    factor = float((given * expected).sum()) / weight if weight else 0.0
    size = np.abs(expected).max(initial=0) * abs(factor)
    return factor if size > 0 and np.abs(given - factor * expected).max() <= near * size else None


def relative(array: Array, expected: Array) -> float:
    """The largest difference, relative to the largest number expected."""
    size = float(np.abs(expected).max(initial=0))
    off = float(np.abs(array - expected).max(initial=0))
    return off / size if size > 0 else (0.0 if off == 0 else float("inf"))
