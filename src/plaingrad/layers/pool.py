"""Pooling: each window of the image becomes one value. A window at the edge holds the real pixels under it.

Both outcomes of a comparison are at hand before it chooses, and one is stored in any case: a load or a store that
depends on a comparison is a branch, and one that goes either way at random costs ten times as much.
"""

from math import prod
from typing import Any

from plaingrad.layer import Kept, Layer, Shape, pair
from plaingrad.layers.window import Window
from plaingrad.loops import at, loops, shared, sqrt


@shared
def reach(index, stride, margin, size, count):
    """Where a window begins and ends among `count` real rows or columns. Without a margin all of it lies within."""
    first = index * stride - margin
    return (max(first, 0), min(first + size, count)) if margin else (first, first + size)


@loops
def maxpool_forward(x, y, winner, lanes, *, height, width, down, step, top, left):
    columns = x.shape[2] // lanes
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            first, last = reach(i, down, top, height, x.shape[1])
            for j in range(y.shape[2] // lanes):
                start, end = reach(j, step, left, width, columns)
                for n in range(lanes):
                    best, place = x[c, first, at(start * lanes + n)], first * columns + start
                    for u in range(height):
                        for v in range(width):
                            # Beyond the edge a window meets its last pixels again, which do not win against themselves.
                            row, column = min(first + u, last - 1), min(start + v, end - 1)
                            value = x[c, row, at(column * lanes + n)]
                            wins = (value > best) | (value != value)  # a NaN wins, and nothing beats it
                            best = value if wins else best
                            place = row * columns + column if wins else place
                    y[c, i, at(j * lanes + n)] = best
                    winner[c, i, at(j * lanes + n)] = place


@loops
def maxpool_backward(dy, winner, dx, lanes, *, height, width, down, step, top, left):
    columns = dx.shape[2] // lanes
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = 0
        for i in range(dy.shape[1]):
            first, last = reach(i, down, top, height, dx.shape[1])
            for j in range(dy.shape[2] // lanes):
                start, end = reach(j, step, left, width, columns)
                for u in range(first, last):
                    for v in range(start, end):
                        for n in range(lanes):
                            before = dx[c, u, at(v * lanes + n)]
                            after = before + dy[c, i, at(j * lanes + n)]
                            won = winner[c, i, at(j * lanes + n)] == u * columns + v
                            dx[c, u, at(v * lanes + n)] = after if won else before


@loops
def meanpool_forward(x, y, whole, lanes, *, height, width, down, step, top, left):
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            first, last = reach(i, down, top, height, x.shape[1])
            for j in range(y.shape[2] // lanes):
                start, end = reach(j, step, left, width, x.shape[2] // lanes)
                pixels = whole if whole else (last - first) * (end - start)
                for n in range(lanes):
                    y[c, i, at(j * lanes + n)] = 0
                for u in range(first, last):
                    for v in range(start, end):
                        for n in range(lanes):
                            y[c, i, at(j * lanes + n)] += x[c, u, at(v * lanes + n)] / pixels


@loops
def meanpool_backward(dy, dx, whole, lanes, *, height, width, down, step, top, left):
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = 0
        for i in range(dy.shape[1]):
            first, last = reach(i, down, top, height, dx.shape[1])
            for j in range(dy.shape[2] // lanes):
                start, end = reach(j, step, left, width, dx.shape[2] // lanes)
                pixels = whole if whole else (last - first) * (end - start)
                for u in range(first, last):
                    for v in range(start, end):
                        for n in range(lanes):
                            dx[c, u, at(v * lanes + n)] += dy[c, i, at(j * lanes + n)] / pixels


@loops
def l2pool_forward(x, y, lanes, *, height, width, down, step, top, left):
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            first, last = reach(i, down, top, height, x.shape[1])
            for j in range(y.shape[2] // lanes):
                start, end = reach(j, step, left, width, x.shape[2] // lanes)
                for n in range(lanes):
                    y[c, i, at(j * lanes + n)] = 0
                for u in range(first, last):
                    for v in range(start, end):
                        for n in range(lanes):
                            y[c, i, at(j * lanes + n)] += x[c, u, at(v * lanes + n)] * x[c, u, at(v * lanes + n)]
                for n in range(lanes):
                    squares = y[c, i, at(j * lanes + n)]
                    y[c, i, at(j * lanes + n)] = sqrt(squares) if squares > 0 else squares


@loops
def l2pool_backward(dy, x, y, dx, lanes, *, height, width, down, step, top, left):
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = 0
        for i in range(dy.shape[1]):
            first, last = reach(i, down, top, height, dx.shape[1])
            for j in range(dy.shape[2] // lanes):
                start, end = reach(j, step, left, width, dx.shape[2] // lanes)
                for u in range(first, last):
                    for v in range(start, end):
                        for n in range(lanes):
                            total = dx[c, u, at(v * lanes + n)]
                            if y[c, i, at(j * lanes + n)] > 0:
                                total += (
                                    dy[c, i, at(j * lanes + n)]
                                    * x[c, u, at(v * lanes + n)]
                                    / y[c, i, at(j * lanes + n)]
                                )
                            dx[c, u, at(v * lanes + n)] = total


class Pool(Layer, abstract=True):
    """What the pools share: windows of `size` that move by `stride` (by their own size unless told) over the image.

    Each setting is one number or a pair (rows, columns). Padding lets windows begin beyond the edge; it is less than
    the window, so that each holds at least one real pixel.
    """

    size: int | tuple[int, int] = 2
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.put(size=pair(self, "size", self.size, 1))
        self.put(stride=self.size if self.stride is None else pair(self, "stride", self.stride, 1))
        self.put(padding=pair(self, "padding", self.padding, 0))
        size, margins = self.window.size, self.window.margins
        self.require(
            all(margin[0] < each for margin, each in zip(margins, size, strict=True)),
            f"padding={self.padding} with size={self.size}",
            "padding is less than the window, or a window would lie wholly outside the image",
        )

    def shown(self) -> list[str]:
        """The size always, the stride only where it is another."""
        size, stride = (each[0] if len(set(each)) == 1 else each for each in (self.window.size, self.window.stride))
        moves = [] if stride == size else [f"stride={stride}"]
        return [repr(size), *moves, *(text for text in super().shown() if not text.startswith(("size=", "stride=")))]

    @property
    def window(self) -> Window:
        """The window and its moves."""
        size, (rows, columns) = pair(self, "size", self.size, 1), pair(self, "padding", self.padding, 0)
        stride = size if self.stride is None else pair(self, "stride", self.stride, 1)
        return Window(size, stride, ((rows, rows), (columns, columns)))

    def output(self, x: Shape) -> Shape:
        return x[0], *self.window.output(x)

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        return self.window.constants()


class MaxPool(Pool):
    """Keep the largest value of each window; on a tie, the first in reading order."""

    forward = (maxpool_forward,)
    backward = (maxpool_backward,)

    def kept(self, x: Shape) -> dict[str, Kept | str]:
        return {"winner": Kept(self.output(x), "int32")}


class MeanPool(Pool):
    """The mean of each window: over its real pixels, or over the whole window where `count_padding` is set."""

    count_padding: bool = False
    forward = (meanpool_forward,)
    backward = (meanpool_backward,)

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        whole = prod(self.window.size) if self.count_padding else 0
        return super().constants(x, lanes) | {"whole": whole}


class L2Pool(Pool):
    """The square root of each window's sum of squares; where that is 0, so is the gradient."""

    forward = (l2pool_forward,)
    backward = (l2pool_backward,)
