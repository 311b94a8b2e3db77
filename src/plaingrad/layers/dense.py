"""Dense layers, and the reshape that feeds them.

Input c, unit k, image n. Sums take `span` inputs, `block` units or `spell` images at a time, so that a number is loaded
and stored once for several terms; each of the three divides what it counts, and nothing is left over. For the weights
the input is turned first: then the long row runs over inputs, and no sum runs across a vector.
"""

from math import prod
from typing import Any

from plaingrad.errors import ShapeError
from plaingrad.layer import Kept, Layer, Shape, Start, Weights
from plaingrad.layers.activation import LeakyReLU, ReLU, check_fused, rectified, rectified_slope
from plaingrad.layers.tile import divisor
from plaingrad.loops import Loops, loops


@loops
def dense_forward(x, w, b, y, *, leak, span, lanes):
    for k in range(y.shape[0]):
        for n in range(lanes):
            y[k, n] = b[k]
    for c in range(0, w.shape[1], span):
        for k in range(y.shape[0]):
            for n in range(lanes):
                total = y[k, n]
                for v in range(span):
                    total += w[k, c + v] * x[c + v, n]
                y[k, n] = total
    if leak != 1:
        for k in range(y.shape[0]):
            for n in range(lanes):
                y[k, n] = rectified(y[k, n], leak)


@loops
def dense_rectify(dy, y, dz, *, leak, lanes):
    for k in range(y.shape[0]):
        for n in range(lanes):
            dz[k, n] = rectified_slope(dy[k, n], y[k, n], leak)


@loops
def dense_turn(x, turned, *, span, lanes):
    for c in range(0, x.shape[0], span):
        for n in range(lanes):
            for v in range(span):
                turned[n, c + v] = x[c + v, n]


@loops
def dense_weights(dz, turned, dw, *, block, spell, lanes):
    for k in range(0, dw.shape[0], block):
        for q in range(block):
            for c in range(dw.shape[1]):
                dw[k + q, c] = 0
        for n in range(0, lanes, spell):
            for c in range(dw.shape[1]):
                for q in range(block):
                    total = dw[k + q, c]
                    for v in range(spell):
                        total += dz[k + q, n + v] * turned[n + v, c]
                    dw[k + q, c] = total


@loops
def dense_bias(dz, db, *, lanes):
    for k in range(dz.shape[0]):
        db[k] = 0
        for n in range(lanes):
            db[k] += dz[k, n]


@loops
def dense_input(dz, w, dx, *, block, lanes):
    for c in range(dx.shape[0]):
        for n in range(lanes):
            dx[c, n] = 0
    for k in range(0, w.shape[0], block):
        for c in range(dx.shape[0]):
            for n in range(lanes):
                total = dx[c, n]
                for v in range(block):
                    total += w[k + v, c] * dz[k + v, n]
                dx[c, n] = total


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
        if not self.bias:
            kept |= {"b": Kept((self.units,), lanes="none")}  # zeros that nothing trains
        return kept | {"turned": Kept(x, lanes="first")}

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        leak = 1 if self.activation is None else self.activation.leak
        return {"leak": leak, "span": divisor(x[0], 8), "block": divisor(self.units, 4), "spell": divisor(lanes, 8)}

    def multiplications(self, x: Shape) -> int:
        return self.units * x[0]


@loops
def flatten_forward(x, y):
    x, y = x.reshape(-1), y.reshape(-1)
    for n in range(x.size):
        y[n] = x[n]


@loops
def flatten_backward(dy, dx):
    dy, dx = dy.reshape(-1), dx.reshape(-1)
    for n in range(dx.size):
        dx[n] = dy[n]


class Flatten(Layer):
    """Lay channels, rows and columns out as one axis, in that order."""

    forward = (flatten_forward,)
    backward = (flatten_backward,)

    def output(self, x: Shape) -> Shape:
        return (prod(x),)
