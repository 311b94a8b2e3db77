"""Losses: how wrong each image's output is, and the error it sends back. The batch's loss is the mean over its images.

Output k, image n. `weight` is each image's share of the batch, 0 for an empty lane: it multiplies gradients, not `y`.
"""

from typing import ClassVar

from plaingrad.errors import ShapeError
from plaingrad.layer import Kept, Shape
from plaingrad.loops import Loops, exp, log, loops
from plaingrad.record import Record


@loops
def softmax_crossentropy_forward(x, target, y, probability):
    for n in range(x.shape[1]):
        top = x[0, n]
        for k in range(x.shape[0]):
            if x[k, n] > top:
                top = x[k, n]
        probability[0, n] = exp(x[0, n] - top)
        total = probability[0, n]
        for k in range(1, x.shape[0]):
            probability[k, n] = exp(x[k, n] - top)
            total += probability[k, n]
        y[n] = 0
        for k in range(x.shape[0]):
            probability[k, n] /= total
            y[n] += target[k, n] * (log(total) - (x[k, n] - top))


@loops
def softmax_crossentropy_backward(probability, target, weight, dx):
    for n in range(dx.shape[1]):
        mass = target[0, n]
        for k in range(1, target.shape[0]):
            mass += target[k, n]
        for k in range(dx.shape[0]):
            dx[k, n] = (probability[k, n] * mass - target[k, n]) * weight[n]


@loops
def crossentropy_forward(x, target, y):
    for n in range(x.shape[1]):
        y[n] = 0
        for k in range(x.shape[0]):
            if target[k, n] > 0:
                y[n] += -target[k, n] * log(x[k, n])


@loops
def crossentropy_backward(x, target, weight, dx):
    for n in range(dx.shape[1]):
        for k in range(dx.shape[0]):
            dx[k, n] = -target[k, n] / x[k, n] * weight[n] if target[k, n] > 0 else 0


@loops
def squared_forward(x, target, y, share):
    for n in range(x.shape[1]):
        y[n] = 0
        for k in range(x.shape[0]):
            y[n] += (x[k, n] - target[k, n]) * (x[k, n] - target[k, n])
        y[n] /= share


@loops
def squared_backward(x, target, weight, dx, share):
    for n in range(dx.shape[1]):
        for k in range(dx.shape[0]):
            dx[k, n] = 2 * (x[k, n] - target[k, n]) * weight[n] / share


class Loss(Record, abstract=True):
    """Base of every loss. Nests are wired by name as a layer's are: `x` is the output, `target` what it should be."""

    forward: ClassVar[tuple[Loops, ...]]
    backward: ClassVar[tuple[Loops, ...]]

    def check(self, x: Shape) -> None:
        """ShapeError where the network's output is not one axis."""
        if len(x) != 1:
            raise ShapeError(
                f"{type(self).__name__} got {x}: it takes one axis; end the network with Flatten() and Dense()"
            )

    def kept(self, x: Shape) -> dict[str, Kept]:
        """Each array the nests leave for each other, by name."""
        return {}

    def constants(self, x: Shape) -> dict[str, int]:
        """What the nests ask for besides arrays."""
        return {}


class SoftmaxCrossEntropy(Loss):
    """-Σ target · log softmax(x), for a network that ends in scores; its gradient is softmax(x) - target.

    Softmax and logarithm are one nest: the largest score is taken off first, so nothing overflows and no log sees 0.
    """

    forward = (softmax_crossentropy_forward,)
    backward = (softmax_crossentropy_backward,)

    def kept(self, x: Shape) -> dict[str, Kept]:
        return {"probability": Kept(x)}


class CrossEntropy(Loss):
    """-Σ target · log x, for a network that ends in probabilities, as after Softmax."""

    forward = (crossentropy_forward,)
    backward = (crossentropy_backward,)


class MeanSquaredError(Loss):
    """The mean over the outputs of (x - target)²."""

    forward = (squared_forward,)
    backward = (squared_backward,)

    def constants(self, x: Shape) -> dict[str, int]:
        return {"share": x[0]}


class HalfSquaredError(Loss):
    """½ Σ (x - target)², whose gradient is x - target with no factor left over."""

    forward = (squared_forward,)
    backward = (squared_backward,)

    def constants(self, x: Shape) -> dict[str, int]:
        return {"share": 2}
