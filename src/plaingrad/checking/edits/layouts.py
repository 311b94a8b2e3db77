"""Arrays whose numbers are read, or written, as if they lay in memory otherwise: by axes of another order or size."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plaingrad.compiler.loops import Array


@dataclass(frozen=True)
class Layout:
    """How an array is read by mistake; `said` is what one would write for it."""

    array: str

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape can be read so."""
        return True

    def of(self, array: Array) -> Array:
        """The array as it is read then."""
        raise NotImplementedError

    def written(self, array: Array) -> Iterator[Array]:
        """What an array is that is filled so: with its numbers laid down, or added up where they meet."""
        yield self.of(array)

    def said(self, index: Sequence[str]) -> str:
        """What one would write of an array at this index."""
        raise NotImplementedError


@dataclass(frozen=True)
class Order(Layout):
    """Axes in another order than they lie in memory.

    `is_read`: laid right and read in another order; otherwise laid in another order and read right.
    """

    order: tuple[int, ...]
    is_read: bool

    def of(self, array: Array) -> Array:
        if self.is_read:
            sizes = [array.shape[axis] for axis in self.order]
            return np.ascontiguousarray(array.reshape(sizes).transpose(np.argsort(self.order)))
        return np.ascontiguousarray(array.transpose(self.order)).reshape(array.shape)

    def said(self, index: Sequence[str]) -> str:
        name, back = self.array, tuple(map(int, np.argsort(self.order)))
        if self.is_read:
            return f"{name}.reshape([{name}.shape[axis] for axis in {self.order}]).transpose{back}"
        return f"{name}.transpose{self.order}.reshape({name}.shape)"


@dataclass(frozen=True)
class Flat(Layout):
    """One flat index, ((a * B + b) * C + c) * D + d, in which one of the sizes is that of another axis, `taken`.

    `within`: of each index along the first axis, such as an image, which is an array of its own.
    """

    axis: int
    taken: int
    within: bool = False

    def places(self, shape: Sequence[int]) -> Array:
        """The flat index of each number."""
        flat, first = np.zeros(tuple(shape), int), np.zeros((), int)
        for axis, place in enumerate(np.indices(tuple(shape))):
            if self.within and axis == 0:
                first = place * math.prod(shape[1:])
                continue
            flat = flat * shape[self.taken if axis == self.axis else axis] + place
        return np.asarray(first + flat)

    def fits(self, shape: Sequence[int]) -> bool:
        # Beyond the array a program would stop, or read anything.
        flat = self.places(shape)
        if self.within:
            return int(flat[:1].max(initial=0)) < math.prod(shape[1:])
        return int(flat.max(initial=0)) < math.prod(shape)

    def of(self, array: Array) -> Array:
        return np.asarray(array.reshape(-1)[self.places(array.shape)])

    def written(self, array: Array) -> Iterator[Array]:
        for is_added in (False, True):
            made, places = np.zeros(array.size), self.places(array.shape).reshape(-1)
            if is_added:
                np.add.at(made, places, array.reshape(-1))
            else:
                made[places] = array.reshape(-1)
            yield made.reshape(array.shape)

    def said(self, index: Sequence[str]) -> str:
        first = int(self.within)
        told = index[first]
        for axis in range(first + 1, len(index)):
            size = f"{self.array}.shape[{self.taken if axis == self.axis else axis}]"
            told = f"{f'({told})' if axis > first + 1 else told} * {size} + {index[axis]}"
        return f"{self.array}{f'[{index[0]}]' * self.within} at the flat index {told}"


@functools.lru_cache(maxsize=64)
def layouts(array: str, shape: tuple[int, ...]) -> tuple[Layout, ...]:
    """Every other way of reading such an array, each that reads another one once."""
    places = np.arange(math.prod(shape)).reshape(shape)
    found: dict[bytes, Layout] = {places.tobytes(): Layout(array)}
    axes = range(len(shape))
    every: list[Layout] = [
        Order(array, order, each) for order in itertools.permutations(axes) for each in (False, True)
    ]
    flat: list[Layout] = [
        Flat(array, axis, taken) for axis in axes[1:] for taken in sorted(axes, key=lambda each: abs(each - axis))
    ]
    flat += [
        Flat(array, axis, taken, within=True)
        for axis in axes[2:]
        for taken in sorted(axes[1:], key=lambda each: abs(each - axis))
    ]
    for layout in [each for each in every + flat if each.fits(shape)]:
        found.setdefault(layout.of(places).tobytes(), layout)
    return tuple(found.values())[1:]
