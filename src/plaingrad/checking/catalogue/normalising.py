"""A normalisation with parts of it made otherwise: what its passes then make."""

from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Form
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.normalised import Groups, Normalised, groups_of
from plaingrad.compiler.loops import Array

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

    def __init__(self, context: Context, groups: Groups | None = None, /, **parts: Part) -> None:
        own = groups or groups_of(context.owner, context.x.shape[1])
        assert own is not None
        channels = context.x.shape[1]
        unscaled = {"w": np.ones(channels), "b": np.zeros(channels)}  # what is kept rests on no weight
        weights = unscaled if context.quantity in context.kept else context.weights
        super().__init__(own, context.x, weights, context.owner.epsilon)
        self.context = context
        if context.is_trained:
            self.__dict__ |= running(context)
        self.__dict__ |= {name: np.asarray(each) for name, each in parts.items()}

    @property
    def error(self) -> Array:
        """The error at the normalised numbers."""
        return np.asarray(self.w * self.groups.laid(self.context.dy))

    def result(self, by_mean: Part = 1, by_variance: Part = 1) -> Array:
        """What the pass makes of it; the parts of dx by way of the mean and of the variance count so many times."""
        if self.context.quantity == "y":
            return self.y
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


def in_training(context: Context) -> bool:
    """Whether the layer does what it does in training."""
    return not context.is_trained


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


def of_batch(context: Context) -> dict[str, Array]:
    """The mean and variance of the batch."""
    own = Normalised(Own(context).groups, context.x, context.weights, context.owner.epsilon)
    return {"mean": own.mean, "variance": own.variance}


def unbiased(own: Own) -> Array:
    """The variance divided by one less than how many numbers there are."""
    return own.variance * (own.count / (own.count - 1))
