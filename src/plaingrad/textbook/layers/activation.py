"""Activations: one value in, one value out; softmax, which weighs the values of one image against each other.

A comparison with a NaN is false, and each is written so that a NaN passes: a diverged run is seen.
"""

from math import pi
from typing import Any

from plaingrad.compiler.loops import exp, normal_cdf, normal_pdf, tanh
from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import LARGEST_LIMIT, Layer, Shape
from plaingrad.textbook.text import places


def relu_forward(x, y):
    for place in places(y):
        y[place] = 0 if x[place] <= 0 else x[place]


def relu_backward(dy, y, dx):
    for place in places(dx):
        dx[place] = 0 if y[place] <= 0 else dy[place]


def leaky_relu_forward(x, y, slope):
    for place in places(y):
        y[place] = slope * x[place] if x[place] <= 0 else x[place]


def leaky_relu_backward(dy, y, dx, slope):
    for place in places(dx):
        dx[place] = slope * dy[place] if y[place] <= 0 else dy[place]


def sigmoid_forward(x, y):
    for place in places(y):
        y[place] = 1 / (1 + exp(-x[place]))


def sigmoid_backward(dy, y, dx):
    for place in places(dx):
        dx[place] = dy[place] * y[place] * (1 - y[place])


def tanh_forward(x, y):
    for place in places(y):
        y[place] = tanh(x[place])


def tanh_backward(dy, y, dx):
    for place in places(dx):
        dx[place] = dy[place] * (1 - y[place] * y[place])


def elu_forward(x, y, slope):
    for place in places(y):
        y[place] = slope * (exp(x[place]) - 1) if x[place] <= 0 else x[place]


def elu_backward(dy, x, dx, slope):
    for place in places(dx):
        dx[place] = dy[place] * slope * exp(x[place]) if x[place] <= 0 else dy[place]


def silu_forward(x, y):
    for place in places(y):
        y[place] = x[place] / (1 + exp(-x[place]))


def silu_backward(dy, x, dx):
    for place in places(dx):
        sigmoid = 1 / (1 + exp(-x[place]))
        dx[place] = dy[place] * sigmoid * (1 + x[place] * (1 - sigmoid))


def gelu_forward(x, y):
    for place in places(y):
        y[place] = x[place] * normal_cdf(x[place])


def gelu_backward(dy, x, dx):
    for place in places(dx):
        dx[place] = dy[place] * (normal_cdf(x[place]) + x[place] * normal_pdf(x[place]))


def tanh_gelu_forward(x, y, scale, cubic):
    for place in places(y):
        y[place] = x[place] * (1 + tanh(scale * (x[place] + cubic * x[place] * x[place] * x[place]))) / 2


def tanh_gelu_backward(dy, x, dx, scale, cubic):
    for place in places(dx):
        curve = tanh(scale * (x[place] + cubic * x[place] * x[place] * x[place]))
        slope = scale * (1 + 3 * cubic * x[place] * x[place])
        dx[place] = dy[place] * (1 + curve + x[place] * (1 - curve * curve) * slope) / 2


def softmax_forward(x, y):
    for n in range(x.shape[0]):
        largest = max(x[n])  # taken off first, so that no exponential overflows
        total = sum(exp(x[n, k] - largest) for k in places(x[n]))
        for k in places(x[n]):
            y[n, k] = exp(x[n, k] - largest) / total


def softmax_backward(dy, y, dx):
    for n in range(y.shape[0]):
        mean = sum(dy[n, k] * y[n, k] for k in places(y[n]))
        for k in places(y[n]):
            dx[n, k] = y[n, k] * (dy[n, k] - mean)


class ReLU(Layer):
    """Keep what is above zero; the slope at zero is taken as zero."""

    forward, backward = relu_forward, relu_backward


class LeakyReLU(Layer):
    """Keep what is above zero and `slope` times what is not; the slope at zero is `slope`."""

    slope: float = 0.01
    forward, backward = leaky_relu_forward, leaky_relu_backward

    def __post_init__(self) -> None:
        super().__post_init__()
        needs = "slope is between 0 and 1; for a slope of 0 take ReLU()"
        self.require(0 < self.slope < 1, f"slope={self.slope!r}", needs)


def check_fused(layer: Any) -> None:
    """A layer's `activation` is one that can be laid into its own sums; "relu" is ReLU()."""
    named = {"relu": ReLU(), "leakyrelu": LeakyReLU()}
    if isinstance(layer.activation, str) and (plain := layer.activation.lower().replace("_", "")) in named:
        layer.put(activation=named[plain])
    layer.require(
        layer.activation is None or isinstance(layer.activation, ReLU | LeakyReLU),
        f"activation={layer.activation!r}",
        'activation can be ReLU() or LeakyReLU() ({"kind": "ReLU"} in JSON); any other is a layer of its own, after it',
    )


class Sigmoid(Layer):
    """1 / (1 + e^-x): between 0 and 1."""

    forward, backward = sigmoid_forward, sigmoid_backward


class Tanh(Layer):
    """The hyperbolic tangent: between -1 and 1."""

    forward, backward = tanh_forward, tanh_backward


class ELU(Layer):
    """Keep what is above zero, and make `slope` · (e^x - 1) of what is not, never below -slope (Clevert et al., 2016).

    The slope just below zero is what PyTorch calls alpha.
    """

    slope: float = 1.0
    forward, backward = elu_forward, elu_backward

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            0 < self.slope <= LARGEST_LIMIT, f"slope={self.slope!r}", "slope is above 0; PyTorch calls it alpha"
        )


class SiLU(Layer):
    """x · sigmoid(x), also called swish (Elfwing et al., 2018)."""

    forward, backward = silu_forward, silu_backward


class GELU(Layer):
    """x · Φ(x), with Φ the share of a standard normal distribution below x (Hendrycks and Gimpel, 2016)."""

    forward, backward = gelu_forward, gelu_backward


class TanhGELU(Layer):
    """GELU with Φ(x) near enough as ½ (1 + tanh(√(2/π) (x + 0.044715 x³))): PyTorch's approximate="tanh"."""

    forward, backward = tanh_gelu_forward, tanh_gelu_backward

    def constants(self, x: Shape) -> dict[str, Any]:
        return {"scale": (2 / pi) ** 0.5, "cubic": 0.044715}


class Softmax(Layer):
    """Probabilities from scores: e^x, shared out so that they sum to 1. The largest score is taken off first."""

    forward, backward = softmax_forward, softmax_backward

    def output(self, x: Shape) -> Shape:
        if len(x) != 1:
            raise ShapeError("it takes one axis of scores; put Flatten() before it")
        return x
