"""Convolution: the same small weights slide over the whole image.

Three nests over the same letters: filter k, channel c, output row i and column j, window row and column u and v, image
n. Each leaves one array out of y = w · x. As in most libraries it is the cross-correlation: the window is not turned.

A row holds its columns side by side, and of each column all the images of the shard. A nest takes `run` numbers of a
row at a time, those from `starts[j]`, whose windows begin at `places[j]`, and with them a `block` of filters or
channels: so many sums as the processor's registers hold. They are begun, added to and stored once, whatever the window:
see docs/performance.md for what that bought.
"""

from math import gcd, prod
from typing import Any

import numpy as np

from plaingrad.errors import ShapeError
from plaingrad.layer import Kept, Layer, Shape, Start, Weights, pair
from plaingrad.layers.activation import LeakyReLU, ReLU, check_fused, rectified, rectified_slope
from plaingrad.layers.tile import input_tile, output_tile, parts, room_for_sums, sum_tile, weights_tile
from plaingrad.layers.window import Window
from plaingrad.loops import Loops, at, loops, shared


@shared
def within(start, stride, count, size):
    """From which to which of `count` strides a walk from `start` stands on one of `size` places."""
    return max(0, -(start // stride)), min(count, (size - 1 - start) // stride + 1)


@shared
def meeting(place, stride, count, other, size):
    """From which to which of `count` strides a walk back from `place` may meet `size` strides of the other kind."""
    first, last = max(0, -((place - (size - 1) * other) // -stride)), min(count, place // stride + 1)
    while first < last and (place - first * stride) % other:
        first += 1
    return first, last


@shared
def total(row):
    """The sum of a row, which it uses up: half is added to half, so that no sum waits long for the one before."""
    size = row.size
    while size % 2 == 0:
        size = size // 2
        for n in range(size):
            row[n] += row[size + n]
    for n in range(1, size):
        row[0] += row[n]
    return row[0]


@loops
def conv_pad(x, px, left, lanes):
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            for n in range(px.shape[2]):
                px[c, i, n] = 0
            for n in range(x.shape[2]):
                px[c, i, at(left * lanes + n)] = x[c, i, n]


@loops
def conv_forward(px, w, b, y, sums, firsts, starts, places, groups, down, apart, top, gap, lanes, *, leak, block, run):
    for k in firsts:
        own = k // (w.shape[0] // groups) * w.shape[1]
        for i in range(y.shape[1]):
            first, last = within(i * down - top, apart, w.shape[2], px.shape[1])
            for j in range(starts.size):
                for n in range(run):
                    for q in range(block):
                        sums[q * run + n] = b[k + q]
                for c in range(w.shape[1]):
                    for u in range(first, last):
                        for v in range(w.shape[3]):
                            place = places[j] + v * gap * lanes
                            for n in range(run):
                                for q in range(block):
                                    x = px[own + c, i * down + u * apart - top, at(place + n)]
                                    sums[q * run + n] += w[k + q, c, u, v] * x
                for n in range(run):
                    for q in range(block):
                        y[k + q, i, at(starts[j] + n)] = rectified(sums[q * run + n], leak)


@loops
def conv_rectify(dy, y, dz, db, sums, *, leak, run):
    for k in range(dz.shape[0]):
        for n in range(run):
            sums[n] = 0
        for i in range(dz.shape[1]):
            for j in range(0, dz.shape[2], run):
                for n in range(run):
                    dz[k, i, at(j + n)] = rectified_slope(dy[k, i, at(j + n)], y[k, i, at(j + n)], leak)
                    sums[n] += dz[k, i, at(j + n)]
        db[k] = total(sums[:run])


@loops
def conv_bias(dz, db, sums, *, run):
    for k in range(db.shape[0]):
        for n in range(run):
            sums[n] = 0
        for i in range(dz.shape[1]):
            for j in range(0, dz.shape[2], run):
                for n in range(run):
                    sums[n] += dz[k, i, at(j + n)]
        db[k] = total(sums[:run])


@loops
def conv_weights(dz, px, dw, sums, firsts, starts, places, groups, down, apart, top, gap, lanes, *, block, width, run):
    for k in firsts:
        own = k // (dw.shape[0] // groups) * dw.shape[1]
        for c in range(dw.shape[1]):
            for u in range(dw.shape[2]):
                for n in range(run):
                    for t in range(block * width):
                        sums[t * run + n] = 0
                first, last = within(u * apart - top, down, dz.shape[1], px.shape[1])
                for i in range(first, last):
                    row = i * down + u * apart - top
                    for j in range(starts.size):
                        for n in range(run):
                            for q in range(block):
                                for v in range(width):
                                    x = px[own + c, row, at(places[j] + v * gap * lanes + n)]
                                    sums[(q * width + v) * run + n] += dz[k + q, i, at(starts[j] + n)] * x
                for q in range(block):
                    for v in range(width):
                        dw[k + q, c, u, v] = sums[(q * width + v) * run]
                        for n in range(1, run):
                            dw[k + q, c, u, v] += sums[(q * width + v) * run + n]


@loops
def conv_input(
    dz, w, dpx, sums, starts, places, groups, down, apart, hop, top, gap, lanes, *, block, width, run, alone
):
    filters, channels = w.shape[0] // groups, w.shape[1]
    for c in range(0, dpx.shape[0], block):
        group, own = c // channels, c % channels
        for row in range(dpx.shape[1]):
            for q in range(block):
                for n in range(dpx.shape[2]):
                    dpx[c + q, row, n] = 0
            first, last = meeting(row + top, apart, w.shape[2], down, dz.shape[1])
            for j in range(starts.size):
                for n in range(run):
                    for t in range(block * width):
                        before = dpx[c + t // width, row, at(places[j] + t % width * gap * lanes + n)]
                        sums[t * run + n] = before if alone else 0
                for u in range(first, last, hop):
                    i = (row + top - u * apart) // down
                    for k in range(group * filters, group * filters + filters):
                        d = dz[k, i, starts[j] : starts[j] + run]
                        for n in range(run):
                            for q in range(block):
                                for v in range(width):
                                    sums[(q * width + v) * run + n] += w[k, own + q, u, v] * d[n]
                for q in range(block):
                    for v in range(width - 1, -1, -1):  # columns in their order, whatever a run is
                        for n in range(run):
                            place, made = places[j] + v * gap * lanes + n, sums[(q * width + v) * run + n]
                            dpx[c + q, row, at(place)] = made if alone else dpx[c + q, row, at(place)] + made


@loops
def conv_crop(dpx, dx, left, lanes):
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = dpx[c, i, at(left * lanes + n)]


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
        """Whether rows are laid between zeros first. Rows beyond the image need none: the nests leave them out."""
        return any(self.window.margins[1])

    @property
    def forward(self) -> tuple[Loops, ...]:
        return (conv_pad, conv_forward) if self.is_padded else (conv_forward,)

    @property
    def backward(self) -> tuple[Loops, ...]:
        first = (conv_rectify,) if self.activation else (conv_bias,) if self.bias else ()
        crop = (conv_crop,) if self.is_padded else ()
        return (*first, conv_weights, conv_input, *crop)

    def padded(self, x: Shape) -> Shape:
        """The shape of the image with its margins left and right."""
        return x[0], x[1], x[2] + sum(self.window.margins[1])

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
        kept: dict[str, Kept | str] = {"px": "x", "dpx": "dx", "dz": "dy", "sums": room_for_sums(self.window.size[1])}
        if self.is_padded:
            kept |= {name: Kept(self.padded(x), inner=True) for name in ("px", "dpx")}
        if self.activation:
            kept |= {"dz": Kept(self.output(x))}
        if not self.bias:
            kept |= {
                name: Kept((self.filters,), lanes="none", inner=True) for name in ("b", "db")
            }  # zeros that nothing trains
        return kept

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        (_, width), step = self.window.size, self.window.stride
        columns, filters, channels = self.output(x)[2], self.filters // self.groups, x[0] // self.groups
        length = columns * lanes if step[1] == 1 else lanes

        def placed(tile: dict[str, int]) -> dict[str, Any]:
            """With the filters where a block begins, and the places where a run begins."""
            block, run = tile["block"], tile["run"]
            firsts = [group * filters + first for group in range(self.groups) for first in parts(filters, block)]
            starts = np.add.outer(np.arange(0, columns * lanes, length), parts(length, run))
            places = np.add.outer(np.arange(0, columns * lanes, length) * step[1], parts(length, run))
            return tile | {"firsts": np.array(firsts), "starts": starts.reshape(-1), "places": places.reshape(-1)}

        return {
            **self.window.constants(),
            "leak": 1 if self.activation is None else self.activation.leak,
            "hop": step[0] // gcd(step[0], self.window.dilation[0]),
            "conv_forward": placed(output_tile(filters, length)),
            "conv_rectify": sum_tile(columns * lanes),
            "conv_bias": sum_tile(columns * lanes),
            "conv_weights": placed(weights_tile(filters, length, width)),
            "conv_input": placed(input_tile(channels, length, width)),
        }

    def multiplications(self, x: Shape) -> int:
        return prod(self.output(x)) * x[0] // self.groups * prod(self.window.size)
