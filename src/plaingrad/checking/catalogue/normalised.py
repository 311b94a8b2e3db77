"""Mistakes in normalisations: which mean and which variance are taken, and how numbers are moved and scaled by them."""

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter
from plaingrad.checking.catalogue.normalising import (
    Own,
    elsewhere,
    going_back,
    in_training,
    of_batch,
    otherwise,
    passes,
    running,
    unbiased,
)
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

EPSILONS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12)  # that frameworks and papers take unless told
MOST_GROUPS = 16  # other numbers that may be normalised together, in any layer


def over(number: int) -> Form:
    """The form with one of the other groups, forward and back."""

    def form(context: Context) -> Array | None:
        groups = list(elsewhere(context))
        return Own(context, groups[number]).result() if number < len(groups) else None

    return form


enter(
    "normalised-over-another-axis",
    passes("y", "dx", "dw"),
    "the mean and the variance are those of other numbers: of each image or place, of all channels, or of others",
    "BatchNorm takes one mean and one variance for each channel, over all images and places: axes (0, 2, 3) of (image, "
    "channel, row, column). GroupNorm takes one for each group of each image, over its channels and places.",
    *map(over, range(MOST_GROUPS)),
    when=in_training,
    kind=Kind.SUM,
)


def by_running_values(*ways: int) -> Form:
    """The form that takes the running values in training."""
    return lambda context: Own(context, **kept).result(*ways) if (kept := running(context)) else None


enter(
    "running-values-in-training",
    "BatchNorm.y BatchNorm.dx BatchNorm.dw",
    "the running mean and variance are taken in training, in place of the batch's",
    "In training take the mean and the variance of the batch; the running values are only for the trained network.",
    by_running_values(0, 0),
    by_running_values(1, 1),
    when=in_training,
    kind=Kind.ARRAY,
)

enter(
    "batch-values-once-trained",
    "BatchNorm.y",
    "the trained network takes the mean and the variance of the batch, in place of the running values",
    "Once trained, a network takes the running mean and variance: what it says of an image then does not depend on the "
    "images beside it.",
    lambda context: Own(context, **of_batch(context)).result(),
    when=lambda context: context.is_trained,
    kind=Kind.ARRAY,
)


enter(
    "variance-unbiased",
    passes("y", "dx", "dw"),
    "the numbers are normalised by a variance that is divided by one less than their count",
    "Normalise by the variance divided by the count, in NumPy var(…) without ddof=1; only what BatchNorm adds to its "
    "running variance is divided by one less.",
    otherwise(variance=unbiased),
    going_back(lambda own: 1, lambda own: own.count / (own.count - 1), variance=unbiased),
    when=lambda context: in_training(context) and Own(context).count > 1,
    kind=Kind.FACTOR,
)


def without_epsilon(own: Own) -> Array:
    """The deviation without an epsilon."""
    return np.asarray(np.sqrt(own.variance))


def outside(own: Own) -> Array:
    """The deviation, with epsilon added to the root."""
    return without_epsilon(own) + own.epsilon


enter(
    "epsilon-outside-the-root",
    passes("y", "dx", "dw"),
    "epsilon is added to the root of the variance, not to the variance",
    "Divide by √(variance + ε).",
    otherwise(deviation=outside),
    going_back(lambda own: 1, lambda own: own.deviation / without_epsilon(own), deviation=outside),
    kind=Kind.FUNCTION,
)

enter(
    "epsilon-left-out",
    passes("y", "dx", "dw"),
    "no epsilon is added to the variance",
    "Divide by √(variance + ε): the case tells ε with the layer.",
    otherwise(deviation=without_epsilon),
    kind=Kind.OMISSION,
)


def with_epsilon(epsilon: float) -> Form:
    """The form with another epsilon."""
    made = otherwise(deviation=lambda own: np.sqrt(own.variance + epsilon))
    return lambda context: made(context) if epsilon != context.owner.epsilon else None


enter(
    "another-epsilon",
    passes("y", "dx", "dw"),
    "epsilon is another one, such as a framework takes unless told",
    "The case tells ε with the layer. Unless told PyTorch takes 1e-5, and Keras 1e-3.",
    *map(with_epsilon, EPSILONS),
    late=True,
    kind=Kind.FACTOR,
)


def square(own: Own) -> Array:
    """The square of the deviation."""
    return np.asarray(own.variance + own.epsilon)


enter(
    "divided-by-the-variance",
    passes("y", "dx", "dw"),
    "the numbers are divided by the variance: its root is not taken",
    "Divide by the standard deviation, √(variance + ε), once.",
    otherwise(deviation=square),
    going_back(lambda own: 1, lambda own: 2 * own.deviation, deviation=square),
    lambda context: Own(context).divided(context.expected, 1) if context.quantity == "dx" else None,
    kind=Kind.FUNCTION,
)

enter(
    "deviation-left-out",
    passes("y", "dx", "dw"),
    "the numbers are not divided by the standard deviation",
    "x̂ = (x - mean) / √(variance + ε), and every part of dx is divided by √(variance + ε) once.",
    otherwise(deviation=lambda own: 1),
    going_back(lambda own: 1, lambda own: 0, deviation=lambda own: 1),
    lambda context: Own(context).divided(context.expected, -1) if context.quantity == "dx" else None,
    kind=Kind.OMISSION,
)


def mean_square(own: Own) -> Array:
    """The mean of the squares, of numbers that are not moved."""
    return own.groups.mean(own.x**2)


enter(
    "mean-left-out",
    passes("y", "dx", "dw"),
    "the mean is not subtracted",
    "x̂ = (x - mean) / √(variance + ε), and the variance is the mean of (x - mean)².",
    otherwise(mean=lambda own: 0, variance=lambda own: own.variance),
    otherwise(mean=lambda own: 0, variance=mean_square),
    otherwise(mean=lambda own: own.mean, variance=mean_square),
    going_back(lambda own: 0, lambda own: 1, mean=lambda own: 0, variance=mean_square),
    kind=Kind.OMISSION,
)

enter(
    "scale-left-out",
    passes("y", "dx"),
    "the scale w is left out",
    "y = w · x̂ + b, so the error at x̂ is w · dy, in every part of dx.",
    lambda context: Own(context).scaled(0),
    kind=Kind.OMISSION,
)

enter(
    "scale-counted-twice",
    passes("y", "dx"),
    "the scale w is multiplied by twice",
    "y = w · x̂ + b, so the error at x̂ is w · dy: multiply by w once.",
    lambda context: Own(context).scaled(2),
    kind=Kind.FACTOR,
)

enter(
    "scale-and-shift-left-out",
    passes("y"),
    "the normalised numbers are handed on as they are: without the scale w, and without the shift b",
    "y = w · x̂ + b, in training and once trained.",
    lambda context: Own(context, w=1, b=0).result(),
    kind=Kind.OMISSION,
)

enter(
    "shift-left-out",
    passes("y"),
    "the shift b is left out",
    "y = w · x̂ + b.",
    lambda context: Own(context).back(Own(context).w * Own(context).normal),
    kind=Kind.OMISSION,
)
