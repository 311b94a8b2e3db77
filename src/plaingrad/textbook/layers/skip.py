"""Skip connections: the output of an earlier layer added to a later one, so that errors have a short way back."""

from typing import Any

from plaingrad.compiler.loops import Array
from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.text import Text, places


def add_forward(x, skip, y, stride_0, stride_1):
    for n, c, i, j in places(y):
        y[n, c, i, j] = x[n, c, i, j]
    for n, c, i, j in places(y):
        if c < skip.shape[1]:
            y[n, c, i, j] += skip[n, c, i * stride_0, j * stride_1]


def add_backward(dy, dx, dskip, stride_0, stride_1):
    dskip[:] = 0
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = dy[n, c, i, j]
        if c < dskip.shape[1]:
            dskip[n, c, i * stride_0, j * stride_1] = dy[n, c, i, j]


def both_errors(dx, dskip, dy):
    for place in places(dy):
        dy[place] = dx[place] + dskip[place]


BOTH_ERRORS = Text(both_errors)
"""The error of a layer whose output went two ways: to the next layer, and along a skip."""


class Add(Layer):
    """Adds the output of an earlier layer, which it names: `Add("relu1")` (He et al., 2016).

    Where that output is larger it takes every second row and column, or third …, and channels that it lacks count as
    zero, as in the networks of the same paper for CIFAR-10; so a skip needs no weights.
    """

    layer: str
    forward, backward = add_forward, add_backward

    def skips(self) -> str:
        return self.layer

    def joined(self, x: Shape, skip: Shape) -> dict[str, Any]:
        sides = list(zip(skip[1:], x[1:], strict=False))
        strides = [-(-larger // smaller) for larger, smaller in sides]
        right = (-(-larger // stride) == smaller for (larger, smaller), stride in zip(sides, strides, strict=True))
        if len(x) != len(skip) or skip[0] > x[0] or not all(right):
            raise ShapeError(
                f"{self.layer} has the output {skip}; it needs the shape of the input, {x}, or more rows and columns, "
                "of which every second one, or third …, are as many as those of the input, and no more channels"
            )
        return dict(zip(("stride_0", "stride_1"), [*strides, 1, 1], strict=False))

    def seen(self, name: str, array: Array) -> Array:
        """One axis of features is so many channels of one pixel."""
        return array[..., None, None] if array.ndim == 2 else array
