"""Dense layers, and the reshape that feeds them.

Input c, unit k, image n. As in a convolution, a tile of sums stays in registers while all its terms are added: a
`block` of units or inputs times a `run` of images or, for the weights, of inputs. For these the input is turned
first, so that a run lies side by side.
"""

from math import prod
from typing import Any

from plaingrad.errors import ShapeError
from plaingrad.layer import Kept, Layer, Shape, Start, Weights
from plaingrad.layers.activation import LeakyReLU, ReLU, check_fused, rectified, rectified_slope
from plaingrad.layers.tile import output_tile, room_for_sums
from plaingrad.loops import Loops, at, flat, loops


@loops
def dense_forward(x, w, b, y, sums, lanes, *, leak, block, run):
    for part in range(0, y.shape[0], block):
        k = min(part, y.shape[0] - block)
        for piece in range(0, lanes, run):
            start = min(piece, lanes - run)
            for n in range(run):
                for q in range(block):
                    sums[q * run + n] = b[k + q]
            for c in range(w.shape[1]):
                for n in range(run):
                    for q in range(block):
                        sums[q * run + n] += w[k + q, c] * x[c, at(start + n)]
            for n in range(run):
                for q in range(block):
                    y[k + q, at(start + n)] = rectified(sums[q * run + n], leak)


@loops
def dense_rectify(dy, y, dz, *, leak):
    for k in range(dz.shape[0]):
        for n in range(dz.shape[1]):
            dz[k, n] = rectified_slope(dy[k, n], y[k, n], leak)


@loops
def dense_turn(x, turned, *, span):
    for part in range(0, x.shape[0], span):
        c = min(part, x.shape[0] - span)
        for n in range(x.shape[1]):
            for v in range(span):
                turned[n, c + v] = x[c + v, n]


@loops
def dense_weights(dz, turned, dw, sums, lanes, *, block, run):
    for piece in range(0, dw.shape[1], run):
        start = min(piece, dw.shape[1] - run)
        for part in range(0, dw.shape[0], block):
            k = min(part, dw.shape[0] - block)
            for c in range(run):
                for q in range(block):
                    sums[q * run + c] = 0
            for n in range(lanes):
                for c in range(run):
                    for q in range(block):
                        sums[q * run + c] += dz[k + q, n] * turned[n, at(start + c)]
            for c in range(run):
                for q in range(block):
                    dw[k + q, at(start + c)] = sums[q * run + c]


@loops
def dense_bias(dz, db):
    for k in range(dz.shape[0]):
        db[k] = 0
        for n in range(dz.shape[1]):
            db[k] += dz[k, n]


@loops
def dense_input(dz, w, dx, sums, lanes, *, block, run):
    for part in range(0, dx.shape[0], block):
        c = min(part, dx.shape[0] - block)
        for piece in range(0, lanes, run):
            start = min(piece, lanes - run)
            for n in range(run):
                for q in range(block):
                    sums[q * run + n] = 0
            for k in range(w.shape[0]):
                for n in range(run):
                    for q in range(block):
                        sums[q * run + n] += w[k, c + q] * dz[k, at(start + n)]
            for n in range(run):
                for q in range(block):
                    dx[c + q, at(start + n)] = sums[q * run + n]


class Dense(Layer):
    """Every output is a weighted sum of every input, plus a bias. Weights are (unit, input).

    With `activation` ReLU or LeakyReLU the sums are rectified in the same nest.
    """

    units: int
    bias: bool = True
    activation: ReLU | LeakyReLU | None = None
    start: Start | None = None

    def __post_init__(self) -> None:
        check_fused(self)
        super().__post_init__()
        self.require(self.units >= 1, f"units={self.units}", "units is at least 1")

    forward = (dense_forward,)

    @property
    def backward(self) -> tuple[Loops, ...]:
        rectify = (dense_rectify,) if self.activation else ()
        bias = (dense_bias,) if self.bias else ()
        return (*rectify, dense_turn, dense_weights, *bias, dense_input)

    def output(self, x: Shape) -> Shape:
        if len(x) != 1:
            raise ShapeError(f"it takes one axis; put Flatten() before it to make {prod(x)} inputs")
        return (self.units,)

    def weights(self, x: Shape) -> dict[str, Weights]:
        w = Weights((self.units, x[0]), x[0], self.units)
        return {"w": w, "b": Weights((self.units,))} if self.bias else {"w": w}

    def kept(self, x: Shape) -> dict[str, Kept | str]:
        kept: dict[str, Kept | str] = {"dz": Kept((self.units,)) if self.activation else "dy"}
        kept |= {"sums": room_for_sums(1)}
        if not self.bias:
            kept |= {"b": Kept((self.units,), lanes="none", inner=True)}  # zeros that nothing trains
        return kept | {"turned": Kept(x, lanes="first", inner=True)}

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        leak = 1 if self.activation is None else self.activation.leak
        return {
            "leak": leak,
            "span": min(x[0], 8),
            "dense_forward": output_tile(self.units, lanes),
            "dense_weights": output_tile(self.units, x[0]),
            "dense_input": output_tile(x[0], lanes),
        }

    def multiplications(self, x: Shape) -> int:
        return self.units * x[0]


@loops
def flatten_forward(x, y):
    x, y = flat(x), flat(y)
    for n in range(x.size):
        y[n] = x[n]


@loops
def flatten_backward(dy, dx):
    dy, dx = flat(dy), flat(dx)
    for n in range(dx.size):
        dx[n] = dy[n]


class Flatten(Layer):
    """Lay channels, rows and columns out as one axis, in that order."""

    forward = (flatten_forward,)
    backward = (flatten_backward,)

    def output(self, x: Shape) -> Shape:
        return (prod(x),)
