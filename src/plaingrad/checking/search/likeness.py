"""An answered array of a wrong shape beside what its pass should make, and the ways in which it can be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.search import rounding
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.state import State
from plaingrad.compiler.loops import Array
from plaingrad.textbook.phrases import shape_text

CHANCE = 20.0  # bits that must agree beyond those of the choice: one in a million would by chance
LARGEST = 1074.0 + 1024.0  # bits between the smallest and the largest float64


@dataclass(frozen=True)
class Likeness:
    """One way to read an array of a wrong shape.

    `told` goes on from the two shapes. `matches` is whether the numbers are right when read so, None where that cannot
    be looked at; `inner` is the part of the array that takes the place of the right one, where there is one.
    """

    id: str
    title: str
    told: str
    advice: str
    matches: bool | None = None
    inner: Array | None = None


@dataclass(frozen=True)
class Misshapen:
    """An answered array, its axes in the order of the case, and the estimate of what it should be.

    `truth` has every array of the answer as it should be, made of the answer's own numbers.
    """

    state: State
    key: Key
    given: Array
    expected: Estimate
    truth: Mapping[Key, Estimate]

    @property
    def needed(self) -> tuple[int, ...]:
        """The shape that it should have."""
        shape: tuple[int, ...] = self.expected.value.shape
        return shape

    @property
    def images(self) -> int:
        """The images of a batch."""
        return self.state.program.case.images

    @property
    def step(self) -> Any:
        """The layer with its shapes; None for the loss."""
        return self.state.program.steps.get(self.key[1])

    @property
    def window(self) -> Any:
        """The window of a convolution or a pool; None for any other layer."""
        return getattr(self.step and self.step.layer, "window", None)

    @property
    def axes(self) -> tuple[str, ...]:
        """What the axes are called in the case."""
        if self.step is not None and self.key[2].removeprefix("d") in self.step.weights:
            return ("unit", "input") if self.window is None else ("filter", "channel", "row", "column")
        return ("image", "channel", "row", "column") if len(self.needed) == 4 else ("image", "output")

    def shapes(self) -> str:
        """Its shape and the one it should have."""
        return f"{shape_text(self.given.shape)} in place of {shape_text(self.needed)}"

    def is_right(self, array: Array, expected: Estimate | None = None, choices: int = 1) -> bool:
        """Whether an array holds the right numbers, and so many that it is no chance, of as many `choices`.

        Numbers say something by their digits: as many bits as the allowed difference leaves of them, each number once.
        """
        expected = expected or self.expected
        if array.shape != expected.value.shape or not self.state.agrees(expected, array):
            return False
        room = rounding.allowed(expected, array, self.state.precision)
        known, first = np.unique(expected.value, return_index=True)
        room = np.maximum(room.reshape(-1)[first], np.finfo(float).tiny)
        bits = np.log2(np.maximum(np.abs(known) / room, 1))
        return bool(np.minimum(bits, LARGEST).sum() >= CHANCE + np.log2(max(choices, 1)))

    def printed(self, array: Array, axes: tuple[int, ...]) -> Estimate:
        """What it should be where it is a sum over these axes of an array: as many numbers were rounded in print."""
        room = self.state.precision.grain(array).sum(axis=axes) / rounding.DEVIATIONS
        return Estimate(self.expected.value, self.expected.uncertainty + room)

    def part(self, place: tuple[slice, ...]) -> Estimate:
        """A part of what it should be."""
        return Estimate(self.expected.value[place], self.expected.uncertainty[place])

    def others(self) -> Iterator[tuple[Key, Estimate]]:
        """Every other array of the same step, nearest passes first."""
        place = self.state.program.place
        keys = [key for key in self.truth if key in place and key[0] == self.key[0] and key != self.key]
        for key in sorted(keys, key=lambda each: abs(place[each] - place[self.key])):
            yield key, self.truth[key]
