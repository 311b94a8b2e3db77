"""Convolution: the same small weights slide over the whole image.

As in most libraries it is the cross-correlation: the window is not turned. Whatever multiplied on the way forward sends
back, to each of its two factors, the error times the other one; a weight that is used often collects a term for each
use.
"""

from math import prod
from typing import Any

from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import Layer, Shape, Start, Weights, pair
from plaingrad.textbook.layers.activation import LeakyReLU, ReLU, check_fused
from plaingrad.textbook.text import places
from plaingrad.textbook.window import Window


def conv_forward(x, w, b, y, window):
    for n, k, i, j in places(y):
        y[n, k, i, j] = b[k]
        for c in range(x.shape[1]):
            for u, v, row, column in window(i, j):
                y[n, k, i, j] += w[k, c, u, v] * x[n, c, row, column]


def conv_backward(dy, x, w, dx, dw, db, window):
    dx[:], dw[:], db[:] = 0, 0, 0
    for n, k, i, j in places(dy):
        db[k] += dy[n, k, i, j]
        for c in range(x.shape[1]):
            for u, v, row, column in window(i, j):
                dw[k, c, u, v] += dy[n, k, i, j] * x[n, c, row, column]
                dx[n, c, row, column] += dy[n, k, i, j] * w[k, c, u, v]


class Conv(Layer):
    """`filters` windows of weights, each summed against every position of the image; beyond the edge lie zeros.

    Weights are (filter, channel, row, column). `size`, `stride`, `padding` and `dilation` are one number or a pair
    (rows, columns); padding "same" keeps the image's size where the stride is 1, with the odd row or column at the end.
    With `groups` the channels and the filters are shared out, and each share is a convolution of its own.
    """

    filters: int
    size: int | tuple[int, int] = 3
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] | str = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    activation: ReLU | LeakyReLU | None = None
    start: Start | None = None
    forward, backward = conv_forward, conv_backward

    def __post_init__(self) -> None:
        check_fused(self)
        super().__post_init__()
        for name in ("filters", "groups"):
            self.require(getattr(self, name) >= 1, f"{name}={getattr(self, name)}", f"{name} is at least 1")
        if isinstance(self.padding, str):
            self.require(self.padding == "same", f"padding={self.padding!r}", 'padding is a number, a pair, or "same"')
        else:
            self.put(padding=pair(self, "padding", self.padding, 0))
        self.put(**{name: pair(self, name, getattr(self, name), 1) for name in ("size", "stride", "dilation")})
        got, needs = f"filters={self.filters} with groups={self.groups}", "the groups share the filters out evenly"
        self.require(self.filters % self.groups == 0, got, needs)

    @property
    def window(self) -> Window:
        """The window and its moves, with the zeros around the image."""
        size, dilation = pair(self, "size", self.size, 1), pair(self, "dilation", self.dilation, 1)
        if self.padding == "same":
            rows, columns = ((n - 1) * spacing for n, spacing in zip(size, dilation, strict=True))
            margins = (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
        else:
            rows, columns = pair(self, "padding", self.padding, 0)
            margins = (rows, rows), (columns, columns)
        return Window(size, pair(self, "stride", self.stride, 1), margins, dilation)

    def output(self, x: Shape) -> Shape:
        if len(x) == 3 and x[0] % self.groups:
            raise ShapeError(f"its {self.groups} groups need a number of channels they can share evenly")
        return self.filters, *self.window.output(x)

    def weights(self, x: Shape) -> dict[str, Weights]:
        size, channels = self.window.size, x[0] // self.groups
        inputs, outputs = channels * prod(size), self.filters // self.groups * prod(size)
        w = Weights((self.filters, channels, *size), inputs, outputs)
        return {"w": w, "b": Weights((self.filters,))} if self.bias else {"w": w}

    def constants(self, x: Shape) -> dict[str, Any]:
        return {"window": self.window.over(x)}

    def in_shares(self) -> int:
        return self.groups

    def multiplications(self, x: Shape) -> int:
        return prod(self.output(x)) * x[0] // self.groups * prod(self.window.size)
