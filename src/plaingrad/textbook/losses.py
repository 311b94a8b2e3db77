"""Losses: how wrong each image's output is, and the error it sends back. The batch's loss is the mean over its images.

Output k, image n. `share` is each image's share of the batch, 1/N, and 0 for an empty lane: it multiplies gradients.
"""

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

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


def weighted_crossentropy_forward(x, target, y, weighted_target, probability, class_weight, label_smoothing):
    for n in range(x.shape[0]):
        largest = max(x[n])  # taken off first, so that no exponential overflows
        total = sum(exp(x[n, k] - largest) for k in places(x[n]))
        counted = sum(target[n, k] for k in places(x[n]))  # 1, or 0 for an image that does not count
        y[n] = 0
        for k in places(x[n]):
            smoothed = (1 - label_smoothing) * target[n, k] + label_smoothing * counted / x.shape[1]
            weighted_target[n, k] = class_weight[k] * smoothed
            probability[n, k] = exp(x[n, k] - largest - log(total))
            y[n] -= weighted_target[n, k] * (x[n, k] - largest - log(total))


def weighted_crossentropy_backward(probability, weighted_target, share, dx):
    for n in range(dx.shape[0]):
        total = sum(weighted_target[n, k] for k in places(dx[n]))
        for k in places(dx[n]):
            dx[n, k] = (total * probability[n, k] - weighted_target[n, k]) * share[n]


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

    def count(self, targets: Array, weights: Array | None = None) -> Any:
        """What the sum over a batch's images is divided by: their number. Targets (image, output), or labels (image,).

        A loss whose images do not count alike gives another number, 0 where no image counts. It takes the `weights`
        that its images have besides, whose mean over all images is 1, with labels.
        """
        return len(targets)

    @property
    def ignored(self) -> int | None:
        """The label of images that do not count; None where all count."""
        return None

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
                    f"{type(self).__name__} got targets of image {n} that sum to {float(total):g}; "
                    "they are probabilities and sum to 1"
                )


class WeightedCrossEntropy(SoftmaxCrossEntropy):
    """SoftmaxCrossEntropy with weights for the classes, smoothed targets, and images that may not count.

    class_weights: one number for each class, 0 or more, such as more for a rare class; None is 1 for each.
    label_smoothing: the share of each target, 0 to 1, that is spread evenly over all classes (Szegedy and others,
    Rethinking the Inception Architecture, 2016, §7).
    ignore: the label of images that do not count: no loss, no gradient, no place in the mean; so does a row of zeros.

    The mean over a batch divides by the sum of the weights of the targets that count, as PyTorch's cross_entropy does
    for class numbers. A row (image, output) weighs as much as its classes do, each by its share; PyTorch counts such a
    row as 1, whatever its classes weigh. Where no image of a batch counts, its loss and gradient are 0, and PyTorch's
    are not numbers.
    """

    forward: ClassVar[Any] = weighted_crossentropy_forward
    backward: ClassVar[Any] = weighted_crossentropy_backward
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    ignore: int = -100

    def __post_init__(self) -> None:
        if isinstance(self.class_weights, list | tuple | np.ndarray):
            plain = (each.item() if isinstance(each, np.generic) else each for each in self.class_weights)
            self.put(class_weights=tuple(plain))
        super().__post_init__()
        weights, smoothing = self.class_weights, self.label_smoothing
        right = weights is None or (min(weights, default=-1) >= 0 and max(weights) > 0)
        self.require(right, f"class_weights={weights}", "it takes a number for each class, none below 0 and not all 0")
        self.require(0 <= smoothing <= 1, f"label_smoothing={smoothing}", "label_smoothing is a number from 0 to 1")

    def check(self, x: Shape) -> None:
        """ShapeError where the network's output is not one axis, or has no weight for each class."""
        super().check(x)
        if self.class_weights is not None and len(self.class_weights) != x[0]:
            raise ShapeError(
                f"WeightedCrossEntropy got {len(self.class_weights)} class weights for {x[0]} outputs; it needs a "
                "weight for each, in the order of the classes"
            )

    def check_target(self, target: Array) -> None:
        """Targets are probabilities, or all 0 for an image that does not count."""
        counted = target.copy()
        counted[_is_none(target), 0] = 1
        super().check_target(counted)

    def count(self, targets: Array, weights: Array | None = None) -> Any:
        """The sum of the weights of the targets that count."""
        if targets.ndim == 1:
            counts = targets != self.ignore
            own = None if self.class_weights is None else np.array(self.class_weights)[targets[counts]]
            if weights is not None:
                own = weights[counts] * (1 if own is None else own)
            return int(counts.sum()) if own is None else float(own.sum())
        if self.class_weights is None:
            return len(targets) - int(_is_none(targets).sum())
        number: Any = Fraction if targets.dtype.hasobject else float
        totals = zip(self.class_weights, targets.sum(axis=0), strict=True)
        return sum(number(weight) * total for weight, total in totals)

    @property
    def ignored(self) -> int | None:
        """The label of images that do not count."""
        return self.ignore

    def saved(self, x: Shape) -> dict[str, Saved]:
        return {"weighted_target": Saved(x), "probability": Saved(x)}

    def constants(self, x: Shape) -> dict[str, Any]:
        return {"class_weight": list(self.class_weights or (1.0,) * x[0])}


def _is_none(target: Array) -> Array:
    """Which rows (image, output) are all 0: images that do not count."""
    found: Array = abs(target).max(axis=1) <= 0
    return found


class CrossEntropy(Loss):
    """-Σ target · log x, for a network that ends in probabilities, as after Softmax."""

    forward, backward = crossentropy_forward, crossentropy_backward


class MeanSquaredError(Loss):
    """The mean over the outputs of (x - target)²."""

    forward, backward = mean_squared_forward, mean_squared_backward


class HalfSquaredError(Loss):
    """½ Σ (x - target)², whose gradient is x - target with no factor left over."""

    forward, backward = half_squared_forward, half_squared_backward
