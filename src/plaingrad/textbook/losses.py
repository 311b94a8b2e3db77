"""Losses: how wrong each image's output is, and the error it sends back. The batch's loss is the mean over its images.

Output k, image n. `share` is each image's share of the batch, 1/N, and 0 for an empty lane: it multiplies gradients.
"""

from typing import Any, ClassVar

from plaingrad.compiler.loops import Array, exp, log
from plaingrad.errors import DataError, ShapeError
from plaingrad.textbook.layer import Saved, Shape
from plaingrad.textbook.record import Record
from plaingrad.textbook.text import as_text, places

SUM_TOLERANCE = 1e-5  # float32 targets of up to some hundred classes are rounded by less


def softmax_crossentropy_forward(x, target, y, log_probability, probability):
    for n in range(x.shape[0]):
        largest = max(x[n])  # taken off first, so that no exponential overflows
        total = sum(exp(x[n, k] - largest) for k in places(x[n]))
        y[n] = 0
        for k in places(x[n]):
            log_probability[n, k] = x[n, k] - largest - log(total)
            probability[n, k] = exp(log_probability[n, k])
            y[n] -= target[n, k] * log_probability[n, k]


def softmax_crossentropy_backward(probability, target, share, dx):
    for n, k in places(dx):
        dx[n, k] = (probability[n, k] - target[n, k]) * share[n]


def crossentropy_forward(x, target, y):
    for n in range(x.shape[0]):
        y[n] = 0
        for k in places(x[n]):
            if target[n, k] > 0:  # 0 × log 0 is not a number
                y[n] -= target[n, k] * log(x[n, k])


def crossentropy_backward(x, target, share, dx):
    for n, k in places(dx):
        dx[n, k] = -target[n, k] / x[n, k] * share[n] if target[n, k] > 0 else 0


def mean_squared_forward(x, target, y):
    for n in range(x.shape[0]):
        y[n] = 0
        for k in places(x[n]):
            y[n] += (x[n, k] - target[n, k]) * (x[n, k] - target[n, k]) / x.shape[1]


def mean_squared_backward(x, target, share, dx):
    for n, k in places(dx):
        dx[n, k] = 2 * (x[n, k] - target[n, k]) / x.shape[1] * share[n]


def half_squared_forward(x, target, y):
    for n in range(x.shape[0]):
        y[n] = 0
        for k in places(x[n]):
            y[n] += (x[n, k] - target[n, k]) * (x[n, k] - target[n, k]) / 2


def half_squared_backward(x, target, share, dx):
    for n, k in places(dx):
        dx[n, k] = (x[n, k] - target[n, k]) * share[n]


class Loss(Record, abstract=True):
    """Base of every loss. Texts are wired by name as a layer's are: `x` is the output, `target` what it should be."""

    forward: ClassVar[Any]  # a function in the class, which becomes a Text
    backward: ClassVar[Any]

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__(abstract)
        as_text(cls)

    def check(self, x: Shape) -> None:
        """ShapeError where the network's output is not one axis."""
        if len(x) != 1:
            raise ShapeError(
                f"{type(self).__name__} got {x}: it takes one axis; end the network with Flatten() and Dense()"
            )

    def check_target(self, target: Array) -> None:
        """DataError where the outputs cannot be meant to be these (image, output)."""

    def saved(self, x: Shape) -> dict[str, Saved]:
        """Each array that forward leaves for backward, by name."""
        return {}

    def constants(self, x: Shape) -> dict[str, Any]:
        """What the texts ask for besides arrays."""
        return {}


class SoftmaxCrossEntropy(Loss):
    """-Σ target · log softmax(x), for a network that ends in scores; its gradient is softmax(x) - target.

    Softmax and logarithm are one text: the largest score is taken off first, so nothing overflows and no log sees 0.
    """

    forward, backward = softmax_crossentropy_forward, softmax_crossentropy_backward

    def saved(self, x: Shape) -> dict[str, Saved]:
        return {"log_probability": Saved(x), "probability": Saved(x)}

    def check_target(self, target: Array) -> None:
        """Targets are probabilities: p - y is the gradient only where each image's sum to 1."""
        for n, total in enumerate(target.sum(axis=1)):
            if not abs(total - 1) <= SUM_TOLERANCE:  # nor is one that is not a number
                raise DataError(
                    f"SoftmaxCrossEntropy got targets of image {n} that sum to {float(total):g}; "
                    "they are probabilities and sum to 1"
                )


class CrossEntropy(Loss):
    """-Σ target · log x, for a network that ends in probabilities, as after Softmax."""

    forward, backward = crossentropy_forward, crossentropy_backward


class MeanSquaredError(Loss):
    """The mean over the outputs of (x - target)²."""

    forward, backward = mean_squared_forward, mean_squared_backward


class HalfSquaredError(Loss):
    """½ Σ (x - target)², whose gradient is x - target with no factor left over."""

    forward, backward = half_squared_forward, half_squared_backward
