"""With what precision an answer was computed and printed: found in its numbers alone, array by array."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array

FULL = 17  # digits that tell one float64 from the next
PRINTED = 12  # more digits than these are taken as all a program has
OF_SINGLE = 6  # digits that any float32 keeps: fewer were printed, or rounded to
CHANCE = 6  # digits that are 0 by chance in no more than one answer of a million
SINGLE, DOUBLE, HALF, BRAIN = 2.0**-24, 2.0**-53, 2.0**-11, 2.0**-8  # half the distance of two numbers at 1
NAMES = {SINGLE: "float32", DOUBLE: "float64", HALF: "float16", BRAIN: "bfloat16"}
ENOUGH = 6  # different numbers
COARSEST = 1 / 16  # of the largest number: what is printed more coarsely is taken as it stands
LEAST_HALF = 2.0**-24  # the distance of the smallest float16 numbers
FLUSHED = 2.0**-126  # the smallest float32 number that no machine takes for 0
MOST_KNOWN = 256  # arrays whose grain is kept: as many as an answer has, about


@dataclass(frozen=True)
class Precision:
    """Significant digits or decimals that were printed (None: all), and the arithmetic's unit roundoff.

    `each` holds what was found for arrays that were printed otherwise than most, by their identity; `grains` the grain
    of arrays that are no printed numbers themselves, but sums or means of them. `known` are the grains of arrays that
    were asked for before, with the array, so that no other has its id; an answered one is asked for many times.
    """

    digits: int | None
    decimals: int | None
    unit: float
    each: Mapping[int, "Precision"] = field(default_factory=dict, compare=False, repr=False)
    grains: Mapping[int, Array] = field(default_factory=dict, compare=False, repr=False)
    known: dict[tuple[Any, ...], tuple[Array, Array]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def flushed(self) -> float:
        """How small a number may have become 0 in the answer's arithmetic; nothing where that is beyond float64."""
        return FLUSHED if self.unit == SINGLE else 0.0

    def grain(self, values: Array) -> Array:
        """By how much printing moved each number at most: one unit in its last place, were it cut off or rounded.

        Numbers of few digits may have few decimals as well; which of them was meant nobody knows.
        """
        if id(values) in self.grains:
            return self.grains[id(values)]
        if id(values) in self.each:
            return self.each[id(values)].grain(values)
        least = LEAST_HALF if self.unit == HALF else 0.0
        what = id(values), self.digits, self.decimals, least
        if what not in self.known:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[what] = values, self._grain(values, least)
        return self.known[what][1]

    def _grain(self, values: Array, least: float) -> Array:
        grain = np.full(values.shape, least if self.decimals is None else 10.0**-self.decimals)
        if self.digits is None:
            return grain
        size = np.where(values == 0, 1, np.abs(values))
        return np.asarray(
            np.maximum(grain, np.where(values == 0, 0, 10.0 ** (np.floor(np.log10(size)) + 1 - self.digits)))
        )

    def with_summaries(self, summaries: Iterable[tuple[Array, Array, Callable[[Array], Array]]]) -> "Precision":
        """The same, also for arrays that are a sum or a mean (array, printed numbers, the function that makes it).

        Each number is off by no more than its grain, so a sum by no more than the sum of the grains, and a mean by no
        more than their mean. With errors of either sign it would be about √m of m grains; numbers that are cut off are
        all off towards 0, and come to the whole. The program's own sum of m numbers is off by about unit·√m of their
        sizes, which counts where they cancel.
        """
        grains = {
            id(array): made_by(self.grain(printed)) + self.unit * printed.size**0.5 * made_by(np.abs(printed))
            for array, printed, made_by in summaries
        }
        return replace(self, grains=grains)

    def with_relaid(self, relaid: Iterable[tuple[Array, Array]]) -> "Precision":
        """The same, also for arrays that are others (old, new) with their numbers in other places."""
        return replace(
            self, each={**self.each, **{id(new): self.each[id(old)] for old, new in relaid if id(old) in self.each}}
        )

    @property
    def fewest(self) -> int:
        """Digits or decimals, whichever are fewer."""
        return min(FULL if each is None else each for each in (self.digits, self.decimals))

    def is_fine(self, values: Array) -> bool:
        """Whether numbers of this precision still say something, or are so many that it can be no chance."""
        return len(values) >= ENOUGH or float(self.grain(values).max()) <= COARSEST * float(np.abs(values).max())

    def __str__(self) -> str:
        if self.decimals is not None and (self.digits is None or self.decimals < self.digits):
            return f"{self.decimals} decimals"
        return NAMES[self.unit] if self.digits is None else f"{self.digits} digits"


def estimated(arrays: Iterable[list[Array]]) -> Precision:
    """The precision of an answer, from each of its arrays in all the ways that it may be read."""
    found = [(readings, numbers(readings[0])) for readings in arrays]
    ones = [(readings, values, of_numbers(values)) for readings, values in found if len(values)]
    if not ones:
        return Precision(None, None, DOUBLE)
    digits, decimals = (most([getattr(one, name) for _, _, one in ones]) for name in ("digits", "decimals"))
    full = [one.unit for _, _, one in ones if one.fewest == FULL]
    whole = Precision(digits, decimals, min(full) if full else SINGLE)
    if not whole.is_fine(np.concatenate([values for _, values, _ in ones])):
        whole = Precision(None, None, SINGLE)
    each = {
        id(reading): one
        for readings, values, one in ones
        if (whole.fewest - one.fewest) * len(values) >= CHANCE and not is_binary(values) and one.is_fine(values)
        for reading in readings
    }
    return replace(whole, each=each)


def most(counts: list[int | None]) -> int | None:
    """The largest, None being more than any."""
    return None if None in counts else max(each for each in counts if each is not None)


def numbers(array: Array) -> Array:
    """The different numbers of an array but for 0 and what is not finite."""
    values = np.unique(np.asarray(array, float))
    return np.asarray(values[np.isfinite(values) & (values != 0)])


@np.errstate(over="ignore")
def is_binary(values: Array) -> bool:
    """Whether numbers are short in binary, as those of a case are: their few decimals say nothing about printing."""
    scaled = values * 2.0**24
    return bool((np.abs(scaled) < 2.0**53).all() and (scaled == np.round(scaled)).all())


@np.errstate(all="ignore")
def of_numbers(values: Array) -> Precision:
    """The precision of some numbers: the fewest digits, or decimals, that give them all."""
    single = values.astype(np.float32)
    is_single = bool((single == values).all())
    digits = fewest(values, lambda v, d: np.array([float(f"{x:.{d - 1}e}") for x in v]), PRINTED)
    decimals = fewest(values, np.round, PRINTED)
    if is_single and digits is None and decimals is None:
        # A float32 of a rounded number is no round number itself; one whose last place is finer can tell.
        finest = int(np.floor(-np.log10(min(np.abs(values).max(), 1e300) * 20 * SINGLE)))
        digits = fewest(single, lambda v, d: np.array([np.float32(f"{x:.{d - 1}e}") for x in v]), OF_SINGLE - 1)
        decimals = fewest(single, np.round, min(finest, OF_SINGLE))
    if digits is not None or decimals is not None:
        return Precision(digits, decimals, SINGLE)
    if not is_single:
        return Precision(None, None, DOUBLE)
    if (single.view(np.int32) & 0xFFFF == 0).all():
        return Precision(None, None, BRAIN)
    is_half = bool((values == values.astype(np.float16)).all())
    return Precision(None, None, HALF if is_half else SINGLE)


def fewest(values: Array, rounded: Callable[[Array, int], Array], most: int) -> int | None:
    """The fewest digits that keep every number; None where more than `most` are needed."""
    some = [values[:4], values[:64], values]  # the first few tell nearly always
    for digits in range(1, most + 1):
        if all(np.array_equal(rounded(each, digits), each) for each in some):
            return digits
    return None
