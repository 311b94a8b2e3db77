"""Activations: one value in, one value out; softmax, which weighs the values of one image against each other."""

from typing import Any

from plaingrad.errors import ShapeError
from plaingrad.layer import Layer, Shape
from plaingrad.loops import exp, flat, loops, shared, tanh


@shared
def rectified(x, leak):
    """x above zero; below it `leak` times x, or x where that is 1. A NaN passes, so that a diverged run is seen."""
    if leak == 1:
        return x
    return (leak * x if leak != 0 else 0) if x <= 0 else x


@shared
def rectified_slope(dy, y, leak):
    """The error behind a rectified y: all of it above zero, `leak` of it at zero and below."""
    return (leak * dy if leak != 0 else 0) if y <= 0 else dy


@loops
def relu_forward(x, y, *, leak):
    x, y = flat(x), flat(y)
    for n in range(x.size):
        y[n] = rectified(x[n], leak)


@loops
def relu_backward(dy, y, dx, *, leak):
    dy, y, dx = flat(dy), flat(y), flat(dx)
    for n in range(y.size):
        dx[n] = rectified_slope(dy[n], y[n], leak)


@loops
def sigmoid_forward(x, y):
    x, y = flat(x), flat(y)
    for n in range(x.size):
        y[n] = 1 / (1 + exp(-x[n]))


@loops
def sigmoid_backward(dy, y, dx):
    dy, y, dx = flat(dy), flat(y), flat(dx)
    for n in range(y.size):
        dx[n] = dy[n] * y[n] * (1 - y[n])


@loops
def tanh_forward(x, y):
    x, y = flat(x), flat(y)
    for n in range(x.size):
        y[n] = tanh(x[n])


@loops
def tanh_backward(dy, y, dx):
    dy, y, dx = flat(dy), flat(y), flat(dx)
    for n in range(y.size):
        dx[n] = dy[n] * (1 - y[n] * y[n])


@loops
def softmax_forward(x, y):
    for n in range(x.shape[1]):
        top = x[0, n]
        for k in range(x.shape[0]):
            if x[k, n] > top:
                top = x[k, n]
        total = exp(x[0, n] - top)
        y[0, n] = total
        for k in range(1, x.shape[0]):
            y[k, n] = exp(x[k, n] - top)
            total += y[k, n]
        for k in range(x.shape[0]):
            y[k, n] /= total


@loops
def softmax_backward(dy, y, dx):
    for n in range(y.shape[1]):
        mean = dy[0, n] * y[0, n]
        for k in range(1, y.shape[0]):
            mean += dy[k, n] * y[k, n]
        for k in range(y.shape[0]):
            dx[k, n] = y[k, n] * (dy[k, n] - mean)


class ReLU(Layer):
    """Keep what is above zero; the slope at zero is taken as zero."""

    @property
    def leak(self) -> int:
        """How much passes below zero."""
        return 0

    forward = (relu_forward,)
    backward = (relu_backward,)

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        return {"leak": self.leak}


class LeakyReLU(Layer):
    """Keep what is above zero and `slope` times what is not; the slope at zero is `slope`."""

    slope: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        needs = "slope is between 0 and 1; for a slope of 0 take ReLU()"
        self.require(0 < self.slope < 1, f"slope={self.slope!r}", needs)

    @property
    def leak(self) -> float:
        """How much passes below zero."""
        return self.slope

    forward, backward, constants = ReLU.forward, ReLU.backward, ReLU.constants


def check_fused(layer: Any) -> None:
    """A layer's `activation` is one that its own nests can do."""
    layer.require(
        layer.activation is None or isinstance(layer.activation, ReLU | LeakyReLU),
        f"activation={layer.activation!r}",
        'activation can be ReLU() or LeakyReLU() ({"kind": "ReLU"} in JSON); any other is a layer of its own, after it',
    )


class Sigmoid(Layer):
    """1 / (1 + e^-x): between 0 and 1."""

    forward = (sigmoid_forward,)
    backward = (sigmoid_backward,)


class Tanh(Layer):
    """The hyperbolic tangent: between -1 and 1."""

    forward = (tanh_forward,)
    backward = (tanh_backward,)


class Softmax(Layer):
    """Probabilities from scores: e^x, shared out so that they sum to 1. The largest score is taken off first."""

    forward = (softmax_forward,)
    backward = (softmax_backward,)

    def output(self, x: Shape) -> Shape:
        if len(x) != 1:
            raise ShapeError("it takes one axis of scores; put Flatten() before it")
        return x
