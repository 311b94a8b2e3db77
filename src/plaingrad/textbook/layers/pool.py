"""Pooling: each window of the image becomes one value. Only real pixels take part; padding has no value."""

from typing import Any

from plaingrad.compiler.loops import sqrt
from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import Layer, Saved, Shape, pair
from plaingrad.textbook.text import places
from plaingrad.textbook.window import Window

NOBODY = -1


def is_larger(value, largest):
    """Whether a value is larger. One that is not a number counts as larger than all, so that a diverged run is seen."""
    return value > largest or value != value


def maxpool_forward(x, y, winner, window):
    for n, c, i, j in places(y):
        winner[n, c, i, j] = NOBODY
        for u, v, row, column in window(i, j):
            if winner[n, c, i, j] == NOBODY or is_larger(x[n, c, row, column], y[n, c, i, j]):
                y[n, c, i, j] = x[n, c, row, column]
                winner[n, c, i, j] = row * x.shape[3] + column


def maxpool_backward(dy, winner, dx, window):
    dx[:] = 0
    for n, c, i, j in places(dy):
        for u, v, row, column in window(i, j):
            if winner[n, c, i, j] == row * dx.shape[3] + column:
                dx[n, c, row, column] += dy[n, c, i, j]


def meanpool_forward(x, y, pixels, window):
    for n, c, i, j in places(y):
        y[n, c, i, j] = 0
        for u, v, row, column in window(i, j):
            y[n, c, i, j] += x[n, c, row, column] / pixels[i, j]


def meanpool_backward(dy, dx, pixels, window):
    dx[:] = 0
    for n, c, i, j in places(dy):
        for u, v, row, column in window(i, j):
            dx[n, c, row, column] += dy[n, c, i, j] / pixels[i, j]


def root(square):
    """√square; 0 stays as it is, since √ has no slope there."""
    return sqrt(square) if square > 0 else square


def l2pool_forward(x, y, window):
    for n, c, i, j in places(y):
        y[n, c, i, j] = 0
        for u, v, row, column in window(i, j):
            y[n, c, i, j] += x[n, c, row, column] * x[n, c, row, column]
        y[n, c, i, j] = root(y[n, c, i, j])


def l2pool_backward(dy, x, y, dx, window):
    dx[:] = 0
    for n, c, i, j in places(dy):
        for u, v, row, column in window(i, j):
            if y[n, c, i, j] > 0:
                dx[n, c, row, column] += dy[n, c, i, j] * x[n, c, row, column] / y[n, c, i, j]


def global_meanpool_forward(x, y):
    for n, c in places(y):
        y[n, c] = 0
        for i, j in places(x[n, c]):
            y[n, c] += x[n, c, i, j] / (x.shape[2] * x.shape[3])


def global_meanpool_backward(dy, dx):
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = dy[n, c] / (dx.shape[2] * dx.shape[3])


class Pool(Layer, abstract=True):
    """What the pools share: windows of `size` that move by `stride` (by their own size unless told) over the image.

    Each setting is one number or a pair (rows, columns). Padding lets windows begin beyond the edge; it is less than
    the window, so that each holds at least one real pixel. With `dilation` the pixels of a window lie so far apart. In
    `ceil_mode` the number of windows is rounded up: a last one that begins before the end may hang over it.
    """

    size: int | tuple[int, int] = 2
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.put(**{name: pair(self, name, getattr(self, name), 1) for name in ("size", "dilation")})
        self.put(stride=self.size if self.stride is None else pair(self, "stride", self.stride, 1))
        self.put(padding=pair(self, "padding", self.padding, 0))
        reach, margins = self.window.reach, self.window.margins
        self.require(
            all(margin[0] < each for margin, each in zip(margins, reach, strict=True)),
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
        margins, dilation = ((rows, rows), (columns, columns)), pair(self, "dilation", self.dilation, 1)
        return Window(size, stride, margins, dilation, ceil_mode=self.ceil_mode)

    def output(self, x: Shape) -> Shape:
        rows, columns = self.window.output(x)
        # A window that begins in the padding steps over an image that is narrower than its steps.
        for size, spacing, (before, _) in zip(x[1:], self.window.dilation, self.window.margins, strict=True):
            if before and spacing > size:
                raise ShapeError(
                    f"a dilation of {spacing} steps from the padding over all {size} rows or columns of the image; "
                    "take a smaller dilation, or no padding"
                )
        return x[0], rows, columns

    def constants(self, x: Shape) -> dict[str, Any]:
        return {"window": self.window.over(x)}


class MaxPool(Pool):
    """Keep the largest value of each window; on a tie, the first in reading order."""

    forward, backward = maxpool_forward, maxpool_backward

    def saved(self, x: Shape) -> dict[str, Saved]:
        return {"winner": Saved(self.output(x), "int32")}


class MeanPool(Pool):
    """The mean of each window: over its real pixels, or over those of the padding too where `count_padding` is set.

    With a `divisor` the sum of the window's real pixels is divided by that number instead, whatever it holds.
    """

    count_padding: bool = False
    divisor: int | None = None
    forward, backward = meanpool_forward, meanpool_backward

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.divisor != 0, f"divisor={self.divisor}", "divisor is a whole number other than 0")

    def constants(self, x: Shape) -> dict[str, Any]:
        window, (_, rows, columns) = self.window.over(x), self.output(x)
        if self.divisor is not None:
            return {"window": window, "pixels": [[self.divisor] * columns for _ in range(rows)]}
        return {"window": window, "pixels": window.pixels(self.count_padding, rows, columns)}


class L2Pool(Pool):
    """The square root of each window's sum of squares; where that is 0, so is the gradient."""

    forward, backward = l2pool_forward, l2pool_backward


class GlobalMeanPool(Layer):
    """The mean of each whole channel: one number for each, so that Dense may follow at once (Lin et al., 2014)."""

    forward, backward = global_meanpool_forward, global_meanpool_backward

    def output(self, x: Shape) -> Shape:
        if len(x) != 3:
            raise ShapeError("it takes images of three axes (channel, row, column)")
        return x[:1]
