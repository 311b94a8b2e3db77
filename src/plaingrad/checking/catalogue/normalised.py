"""Mistakes in normalisations: which mean and which variance are taken, and how numbers are moved and scaled by them."""

from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.normalised import Groups, Normalised, groups_of
from plaingrad.compiler.loops import Array

EPSILONS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12)  # that frameworks and papers take unless told
MOST_GROUPS = 16  # other numbers that may be normalised together, in any layer
Part = Array | float
Made = Callable[["Own"], Part]


def passes(*quantities: str) -> str:
    """These passes of either normalisation."""
    return " ".join(f"{kind}.{each}" for kind in ("BatchNorm", "GroupNorm") for each in quantities)


class Own(Normalised):
    """The normalisation of a pass, with parts of it in place of its own; dx and dw follow from what was made.

    The parts are its `mean`, `variance`, `deviation` and `normal`, of numbers laid as its groups are. Once trained, the
    mean and the variance are the running ones.
    """

    def __init__(self, context: Context, groups: Groups | None = None, **parts: Part) -> None:
        own = groups or groups_of(context.owner, context.x.shape[1])
        assert own is not None
        super().__init__(own, context.x, context.weights, context.owner.epsilon)
        self.context = context
        if is_trained(context):
            self.__dict__ |= running(context)
        self.__dict__ |= {name: np.asarray(each) for name, each in parts.items()}

    @property
    def error(self) -> Array:
        """The error at the normalised numbers."""
        return np.asarray(self.w * self.groups.laid(self.context.dy))

    def result(self, by_mean: Part = 1, by_variance: Part = 1) -> Array:
        """What the pass makes of it; the parts of dx by way of the mean and of the variance count so many times."""
        if self.context.quantity == "y":
            return self.back(self.w * self.normal + self.b)
        if self.context.quantity == "dx":
            return self.sent(self.error, by_mean, by_variance)
        dy = self.groups.laid(self.context.dy)
        return self.of_channels(dy * self.normal if self.context.quantity == "dw" else dy)

    def sent(self, error: Array, by_mean: Part = 1, by_variance: Part = 1) -> Array:
        """dx of an error at the normalised numbers."""
        mean = self.groups.mean
        ways = error - by_mean * mean(error) - by_variance * self.normal * mean(error * self.normal)
        return self.back(ways / self.deviation)

    def divided(self, array: Array, times: int) -> Array:
        """An array of the layer divided so many times more by the deviation."""
        return self.back(self.groups.laid(array) / self.deviation**times)

    def scaled(self, times: int) -> Array:
        """y or dx with the scale multiplied by so many times."""
        if self.context.quantity == "y":
            return self.back(self.w**times * self.normal + self.b)
        return self.sent(self.w**times * self.groups.laid(self.context.dy))


def is_trained(context: Context) -> bool:
    """Whether the layer does what it does once it is trained."""
    return context.step > context.program.last


def in_training(context: Context) -> bool:
    """Whether the layer does what it does in training."""
    return not is_trained(context)


def running(context: Context) -> dict[str, Array]:
    """The running values that this step begins with, as its mean and variance; none of a layer without."""
    keys = {name: (context.step - 1, context.name, f"running_{name}") for name in ("mean", "variance")}
    if not all(key in context.env for key in keys.values()):
        return {}
    return {name: context.env[key].value[None, :, None, None, None] for name, key in keys.items()}


def otherwise(by_mean: Made = lambda own: 1, by_variance: Made = lambda own: 1, **parts: Made) -> Form:
    """A form in which parts of the normalisation are made otherwise, and dx as it follows from them."""

    def form(context: Context) -> Array:
        own = Own(context)
        other = Own(context, **{name: made(own) for name, made in parts.items()})
        return other.result(by_mean(other), by_variance(other))

    return form


def going_back(by_mean: Made, by_variance: Made, **parts: Made) -> Form:
    """Such a form of dx alone: as it is differentiated where the way forward is made so."""
    made = otherwise(by_mean, by_variance, **parts)
    return lambda context: made(context) if context.quantity == "dx" else None


def elsewhere(context: Context) -> Iterator[Groups]:
    """Other numbers that one may normalise together."""
    channels = context.x.shape[1]
    own = groups_of(context.owner, channels)
    assert own is not None
    inner = channels // own.count
    found = [
        Groups(channels, (3, 4)),  # each map
        Groups(channels, (0, 2, 3, 4)),  # each channel
        Groups(channels, (0,)),  # each number of an image
        Groups(1, (2, 3, 4)),  # each image
        Groups(1, (2,)),  # each place of an image
        Groups(1, (0, 2, 3, 4)),  # all numbers
        Groups(1, (0, 2)),  # each place
        *(Groups(channels, axes) for axes in ((3,), (4,), (0, 3), (0, 4))),
    ]
    if own.count not in (1, channels):
        found += [Groups(own.count, (0, 2, 3, 4)), Groups(own.count, (2,))]
        found += [Groups(own.count, own.axes, apart=True), Groups(inner, own.axes)]
    yield from (each for each in found if each.size(each.laid(context.x)) > 1 and each != own)


def over(number: int) -> Form:
    """The form with one of the other groups, forward and back."""

    def form(context: Context) -> Array | None:
        groups = list(elsewhere(context))
        return Own(context, groups[number]).result() if number < len(groups) else None

    return form


enter(
    "normalised-over-another-axis",
    passes("y", "dx", "dw"),
    "the mean and the variance are those of other numbers: of each image, of each place, or of all channels",
    "BatchNorm takes one mean and one variance for each channel, over all images and places: axes (0, 2, 3) of (image, "
    "channel, row, column). GroupNorm takes one for each group of each image, over its channels and places.",
    *map(over, range(MOST_GROUPS)),
    when=in_training,
    kind=Kind.SUM,
)


def of_batch(context: Context) -> dict[str, Array]:
    """The mean and variance of the batch."""
    own = Normalised(Own(context).groups, context.x, context.weights, context.owner.epsilon)
    return {"mean": own.mean, "variance": own.variance}


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
    when=is_trained,
    kind=Kind.ARRAY,
)


def unbiased(own: Own) -> Array:
    """The variance divided by one less than how many numbers there are."""
    return own.variance * (own.count / (own.count - 1))


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
    "shift-left-out",
    passes("y"),
    "the shift b is left out",
    "y = w · x̂ + b.",
    lambda context: Own(context).back(Own(context).w * Own(context).normal),
    kind=Kind.OMISSION,
)
