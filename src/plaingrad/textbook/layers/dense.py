"""Dense layers, and the reshape that feeds them."""

from math import prod

from plaingrad.compiler.loops import Array
from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import Layer, Shape, Start, Weights
from plaingrad.textbook.layers.activation import LeakyReLU, ReLU, check_fused
from plaingrad.textbook.text import places


def dense_forward(x, w, b, y):
    for n, k in places(y):
        y[n, k] = b[k]
        for c in places(w[k]):
            y[n, k] += w[k, c] * x[n, c]


def dense_backward(dy, x, w, dx, dw, db):
    dx[:], dw[:], db[:] = 0, 0, 0
    for n, k in places(dy):
        db[k] += dy[n, k]
        for c in places(w[k]):
            dw[k, c] += dy[n, k] * x[n, c]
            dx[n, c] += dy[n, k] * w[k, c]


def flatten_forward(x, y):
    for n, c, i, j in places(x):
        y[n, (c * x.shape[2] + i) * x.shape[3] + j] = x[n, c, i, j]


def flatten_backward(dy, dx):
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = dy[n, (c * dx.shape[2] + i) * dx.shape[3] + j]


class Dense(Layer):
    """Every output is a weighted sum of every input, plus a bias. Weights are (unit, input)."""

    units: int
    bias: bool = True
    activation: ReLU | LeakyReLU | None = None
    start: Start | None = None
    forward, backward = dense_forward, dense_backward

    def __post_init__(self) -> None:
        check_fused(self)
        super().__post_init__()
        self.require(self.units >= 1, f"units={self.units}", "units is at least 1")

    def output(self, x: Shape) -> Shape:
        if len(x) != 1:
            raise ShapeError(f"it takes one axis; put Flatten() before it to make {prod(x)} inputs")
        return (self.units,)

    def weights(self, x: Shape) -> dict[str, Weights]:
        w = Weights((self.units, x[0]), x[0], self.units)
        return {"w": w, "b": Weights((self.units,))} if self.bias else {"w": w}

    def multiplications(self, x: Shape) -> int:
        return self.units * x[0]


class Flatten(Layer):
    """Lay channels, rows and columns out as one axis, in that order."""

    forward, backward = flatten_forward, flatten_backward

    def output(self, x: Shape) -> Shape:
        return (prod(x),)

    def seen(self, name: str, array: Array) -> Array:
        """One axis of features is so many channels of one pixel."""
        return array[..., None, None] if name in ("x", "dx") and array.ndim == 2 else array
