"""Convolution: the same small weights slide over the whole image.

Three nests over the same letters: filter k, channel c, output row i and column j, window row u and column v, image n.
Each leaves one array out of y = w · x. As in most libraries it is the cross-correlation: the window is not turned.

A row holds its columns side by side, and of each column all the images of the shard, so the innermost loop runs over
one long row: `length` numbers at a time, the whole row where the window moves by single columns, else one column.
Filters go in blocks: a number loaded from a row then serves several filters, or gathers several, before it is stored.
The gradient of the weights takes `tall` window rows at a time: as many sums as there are registers to hold them.
"""

from math import prod
from typing import Any

from plaingrad.errors import ShapeError
from plaingrad.layer import Kept, Layer, Shape, Start, Weights, pair
from plaingrad.layers.activation import LeakyReLU, ReLU, check_fused, rectified, rectified_slope
from plaingrad.layers.window import Window
from plaingrad.loops import Loops, loops


@loops
def conv_pad(x, px, top, *, left, lanes):
    for c in range(x.shape[0]):
        for i in range(px.shape[1]):
            for n in range(px.shape[2]):
                px[c, i, n] = 0
        for i in range(x.shape[1]):
            for n in range(x.shape[2]):
                px[c, top + i, left * lanes + n] = x[c, i, n]


@loops
def conv_forward(px, w, b, y, groups, down, apart, *, leak, block, width, step, gap, lanes):
    length = y.shape[2] if step == 1 else lanes
    for k in range(0, y.shape[0], block):
        first = k // (y.shape[0] // groups) * w.shape[1]
        for i in range(y.shape[1]):
            for q in range(block):
                for n in range(y.shape[2]):
                    y[k + q, i, n] = b[k + q]
            for c in range(w.shape[1]):
                for u in range(w.shape[2]):
                    row = i * down + u * apart
                    for j in range(y.shape[2] // length):
                        for n in range(length):
                            for q in range(block):
                                total = y[k + q, i, j * length + n]
                                for v in range(width):
                                    total += w[k + q, c, u, v] * px[first + c, row, (j * step + v * gap) * lanes + n]
                                y[k + q, i, j * length + n] = total
            if leak != 1:
                for q in range(block):
                    for n in range(y.shape[2]):
                        y[k + q, i, n] = rectified(y[k + q, i, n], leak)


@loops
def conv_rectify(dy, y, dz, *, leak):
    dy, y, dz = dy.reshape(-1), y.reshape(-1), dz.reshape(-1)
    for n in range(y.size):
        dz[n] = rectified_slope(dy[n], y[n], leak)


@loops
def conv_weights(dz, px, dw, groups, down, apart, *, tall, width, step, gap, lanes):
    length = dz.shape[2] if step == 1 else lanes
    for k in range(dw.shape[0]):
        first = k // (dw.shape[0] // groups) * dw.shape[1]
        for c in range(dw.shape[1]):
            for top in range(0, dw.shape[2], tall):
                taps = dw[k, c, top : top + tall].reshape(-1)
                for t in range(tall * width):
                    taps[t] = 0
                for i in range(dz.shape[1]):
                    for j in range(dz.shape[2] // length):
                        for n in range(length):
                            for u in range(tall):
                                for v in range(width):
                                    x = px[first + c, i * down + (top + u) * apart, (j * step + v * gap) * lanes + n]
                                    taps[u * width + v] += dz[k, i, j * length + n] * x


@loops
def conv_bias(dz, db):
    for k in range(dz.shape[0]):
        db[k] = 0
        for i in range(dz.shape[1]):
            for n in range(dz.shape[2]):
                db[k] += dz[k, i, n]


@loops
def conv_input(dz, w, dpx, groups, down, apart, *, block, width, step, gap, lanes):
    length, filters = dz.shape[2] if step == 1 else lanes, w.shape[0] // groups
    for c in range(dpx.shape[0]):
        for i in range(dpx.shape[1]):
            for n in range(dpx.shape[2]):
                dpx[c, i, n] = 0
        group, own = c // w.shape[1], c % w.shape[1]
        for i in range(dz.shape[1]):
            for u in range(w.shape[2]):
                row = i * down + u * apart
                for k in range(group * filters, group * filters + filters, block):
                    for j in range(dz.shape[2] // length):
                        for n in range(length):
                            for v in range(width):
                                total = dpx[c, row, (j * step + v * gap) * lanes + n]
                                for q in range(block):
                                    total += w[k + q, own, u, v] * dz[k + q, i, j * length + n]
                                dpx[c, row, (j * step + v * gap) * lanes + n] = total


@loops
def conv_crop(dpx, dx, top, *, left, lanes):
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = dpx[c, top + i, left * lanes + n]


class Conv(Layer):
    """`filters` windows of weights, each summed against every position of the image; beyond the edge lie zeros.

    Weights are (filter, channel, row, column). `size`, `stride`, `padding` and `dilation` are one number or a pair
    (rows, columns); padding "same" keeps the image's size where the stride is 1, with the odd row or column at the end.
    With `activation` ReLU or LeakyReLU each row is rectified while it is still in the cache.
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
            rows, columns = ((n - 1) * gap for n, gap in zip(size, dilation, strict=True))
            margins = (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
        else:
            rows, columns = pair(self, "padding", self.padding, 0)
            margins = (rows, rows), (columns, columns)
        return Window(size, pair(self, "stride", self.stride, 1), margins, dilation)

    @property
    def is_padded(self) -> bool:
        """Whether the image is laid into zeros first."""
        return any(map(any, self.window.margins))

    @property
    def forward(self) -> tuple[Loops, ...]:
        return (conv_pad, conv_forward) if self.is_padded else (conv_forward,)

    @property
    def backward(self) -> tuple[Loops, ...]:
        rectify = (conv_rectify,) if self.activation else ()
        bias = (conv_bias,) if self.bias else ()
        crop = (conv_crop,) if self.is_padded else ()
        return (*rectify, conv_weights, *bias, conv_input, *crop)

    def padded(self, x: Shape) -> Shape:
        """The shape of the image with its margins."""
        (top, bottom), (left, right) = self.window.margins
        return x[0], x[1] + top + bottom, x[2] + left + right

    def output(self, x: Shape) -> Shape:
        if len(x) == 3 and x[0] % self.groups:
            raise ShapeError(f"its {self.groups} groups need a number of channels they can share evenly")
        return self.filters, *self.window.output(x)

    def weights(self, x: Shape) -> dict[str, Weights]:
        size, channels = self.window.size, x[0] // self.groups
        inputs, outputs = channels * prod(size), self.filters // self.groups * prod(size)
        w = Weights((self.filters, channels, *size), inputs, outputs)
        return {"w": w, "b": Weights((self.filters,))} if self.bias else {"w": w}

    def kept(self, x: Shape) -> dict[str, Kept | str]:
        kept: dict[str, Kept | str] = {"px": "x", "dpx": "dx", "dz": "dy"}
        if self.is_padded:
            kept |= {"px": Kept(self.padded(x)), "dpx": Kept(self.padded(x))}
        if self.activation:
            kept |= {"dz": Kept(self.output(x))}
        if not self.bias:
            kept |= {"b": Kept((self.filters,), lanes="none")}  # zeros that nothing trains
        return kept

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        leak = 1 if self.activation is None else self.activation.leak
        block = divisor(self.filters // self.groups, 4)
        height, width = self.window.size
        tall = divisor(height, max(16 // width, 1))
        return {**self.window.constants(), "leak": leak, "block": block, "tall": tall}

    def multiplications(self, x: Shape) -> int:
        return prod(self.output(x)) * x[0] // self.groups * prod(self.window.size)


def divisor(count: int, most: int) -> int:
    """The largest number up to `most` that divides `count`: work in blocks of it leaves no remainder."""
    return max(each for each in range(1, most + 1) if count % each == 0)
