"""Mistakes on the way back through a normalisation.

An error goes back three ways: to its own number, to all of its group through their mean, and to all through their
variance.
"""

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter, mistake
from plaingrad.checking.catalogue.normalising import Made, Own, Part, elsewhere, passes
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.normalised import Groups
from plaingrad.compiler.loops import Array

FORMULA = (
    "dx = (w·dy - mean(w·dy) - x̂ · mean(w·dy·x̂)) / √(variance + ε), each mean over the numbers normalised together."
)


def ways(by_mean: Part, by_variance: Part) -> Form:
    """dx with its parts by way of the mean and of the variance so many times."""
    return lambda context: Own(context).result(by_mean, by_variance)


enter(
    "statistics-taken-as-constants",
    passes("dx"),
    "the mean and the variance are taken as constants: only w · dy / √(variance + ε) goes back",
    f"Every number of a group changes their mean and their variance, so an error goes back through both. {FORMULA}",
    ways(0, 0),
    kind=Kind.OMISSION,
)

enter(
    "way-through-the-mean-left-out",
    passes("dx"),
    "no error goes back through the mean",
    f"Every number of a group changes their mean. {FORMULA}",
    ways(0, 1),
    kind=Kind.OMISSION,
)

enter(
    "way-through-the-variance-left-out",
    passes("dx"),
    "no error goes back through the variance",
    f"Every number of a group changes their variance. {FORMULA}",
    ways(1, 0),
    kind=Kind.OMISSION,
)

enter(
    "ways-with-the-wrong-sign",
    passes("dx"),
    "what goes back through the mean or the variance has the wrong sign",
    f"Both are subtracted. {FORMULA}",
    ways(-1, 1),
    ways(1, -1),
    ways(-1, -1),
    kind=Kind.FACTOR,
)


@mistake(
    "errors-divided-by-another-number",
    passes("dx"),
    "the sum of the errors in a group, or of their products with x̂, is divided by another number than their count",
    f"{FORMULA} For BatchNorm that is the number of images times that of places; for GroupNorm the number of channels "
    "in a group times that of places.",
    kind=Kind.FACTOR,
)
def divided_otherwise(context: Context) -> Iterator[Array]:
    own, (images, channels, *maps) = Own(context), context.x.shape
    sizes = images, channels, channels // own.groups.count, prod(maps)
    counts = {
        float(prod(chosen)) for taken in product((0, 1), repeat=4) if (chosen := _those(sizes, taken)) is not None
    }
    for count in sorted((counts | {own.count - 1.0, 2.0 * own.count, own.count / 2}) - {own.count, 0.0}):
        factor = own.count / count
        yield own.result(factor, factor)
        yield own.result(factor, 1)
        if factor not in (0.5, 2.0):  # those are lost where the variance is differentiated
            yield own.result(1, factor)


def by_power(power: float) -> Form:
    """dx in which the way through the variance has another power of the variance, with ε, than -3/2."""

    def form(context: Context) -> Array:
        own = Own(context)
        return own.result(1, own.deviation ** (2 * power + 3))

    return form


def without_epsilon(context: Context) -> Array | None:
    """dx in which the way through the variance has a power of the variance without ε."""
    own = Own(context)
    return own.result(1, (own.deviation**2 / own.variance) ** 1.5) if (own.variance > 0).all() else None


enter(
    "variance-differentiated-otherwise",
    passes("dx"),
    "what goes back through the variance has another factor or power: a 2 or ½ lost, not to the power -3/2, or no ε",
    "(variance + ε)^(-½) has the derivative -½ (variance + ε)^(-3/2), which is multiplied by Σ w·dy·(x - mean); and "
    f"the variance changes with each x by 2 (x - mean) / count. {FORMULA}",
    ways(1, 2),
    ways(1, 0.5),
    *(by_power(power) for power in (-0.5, -1, -2, -2.5, 0.5, 1.5)),
    without_epsilon,
    kind=Kind.FACTOR,
)


def _those(sizes: tuple[int, ...], taken: tuple[int, ...]) -> list[int] | None:
    """Some of the sizes; None for both the channels and those of a group."""
    return None if taken[1] and taken[2] else [size for size, is_taken in zip(sizes, taken, strict=True) if is_taken]


@mistake(
    "errors-over-another-axis",
    passes("dx"),
    "the errors in a group are added up over other numbers than those normalised together",
    f"{FORMULA} Add up over the same axes as for the mean and the variance on the way forward.",
    kind=Kind.SUM,
)
def over_other_numbers(context: Context) -> Iterator[Array]:
    own = Own(context)
    error, normal, mean = own.error, own.normal, own.groups.mean
    for groups in elsewhere(context):
        one, two = _mean_of(own, groups, error), _mean_of(own, groups, error * normal)
        for first, second in ((one, two), (mean(error), two), (one, mean(error * normal))):
            yield own.back((error - first - normal * second) / own.deviation)


def _mean_of(own: Own, groups: Groups, laid: Array) -> Array:
    """The means over other groups, beside each number of the layer's own."""
    array = groups.laid(own.back(laid))
    return own.groups.laid(groups.back(np.broadcast_to(groups.mean(array), array.shape), own.shape))


def product_with(first: Made, second: Made) -> Form:
    """dx in which x̂ is something else: in the product with the error, and beside it."""

    def form(context: Context) -> Array:
        own = Own(context)
        error, mean = own.error, own.groups.mean
        found = error - mean(error) - np.asarray(first(own)) * mean(error * second(own))
        return own.back(found / own.deviation)

    return form


def normal(own: Own) -> Array:
    """The normalised numbers."""
    return own.normal


def moved(own: Own) -> Array:
    """The numbers less their mean."""
    return own.x - own.mean


def output(own: Own) -> Array:
    """The output."""
    return own.w * own.normal + own.b


def squared_down(own: Own) -> Array:
    """The normalised numbers, divided by the deviation once more."""
    return np.asarray(own.normal / own.deviation)


def pairs(other: Made) -> Iterator[Form]:
    """dx with something else in place of x̂: at both places, or at either."""
    for first, second in ((other, other), (other, normal), (normal, other)):
        yield product_with(first, second)


def slope_with(other: Made) -> Form:
    """dw with something else in place of x̂."""

    def form(context: Context) -> Array | None:
        own = Own(context)
        return own.of_channels(own.groups.laid(context.dy) * other(own)) if context.quantity == "dw" else None

    return form


def of_error_alone(form: Form) -> Form:
    """A form of dx alone."""
    return lambda context: form(context) if context.quantity == "dx" else None


enter(
    "input-in-place-of-the-normalised",
    passes("dx", "dw"),
    "the input x stands where the normalised x̂ is due",
    "y = w · x̂ + b with x̂ = (x - mean) / √(variance + ε), so dw = Σ dy · x̂: keep x̂ from the way forward. In dx it "
    "stands twice.",
    *(of_error_alone(each) for each in pairs(lambda own: own.x)),
    *(of_error_alone(each) for each in pairs(moved)),
    slope_with(lambda own: own.x),
    slope_with(moved),
    kind=Kind.ARRAY,
)

enter(
    "output-in-place-of-the-normalised",
    passes("dx", "dw"),
    "the output y stands where the normalised x̂ is due",
    "y = w · x̂ + b, so dw = Σ dy · x̂: keep x̂ from the way forward, before w and b. In dx it stands twice.",
    *(of_error_alone(each) for each in pairs(output)),
    slope_with(output),
    kind=Kind.ARRAY,
)

enter(
    "normalised-in-place-of-the-input",
    passes("dx", "dw"),
    "the normalised x̂ stands where x less the mean is due: it is divided by the standard deviation once too often",
    "Through the variance goes -½ (variance + ε)^(-3/2) · Σ w·dy·(x - mean), times 2 (x - mean) / count: with x̂ in "
    f"place of x - mean a division less. {FORMULA}",
    *(of_error_alone(each) for each in pairs(squared_down)),
    slope_with(squared_down),
    kind=Kind.ARRAY,
)


def in_some_parts(first: int, second: int, third: int) -> Form:
    """dx with the scale, or without, in its own part and in those through the mean and the variance."""

    def form(context: Context) -> Array:
        own = Own(context)
        dy, mean = own.groups.laid(context.dy), own.groups.mean
        one, two, three = (own.error if scaled else dy for scaled in (first, second, third))
        return own.back((one - mean(two) - own.normal * mean(three * own.normal)) / own.deviation)

    return form


enter(
    "scale-in-some-parts",
    passes("dx"),
    "some parts of dx are multiplied by the scale w, and others are not",
    f"The error at x̂ is w · dy: begin with it. {FORMULA}",
    *(in_some_parts(*each) for each in product((0, 1), repeat=3) if 0 < sum(each) < 3),
    kind=Kind.OMISSION,
)


def after_the_means(context: Context) -> Array:
    """dx with the scale multiplied by last."""
    own = Own(context)
    return own.back(own.w * own.groups.laid(own.sent(own.groups.laid(context.dy))))


enter(
    "scale-after-the-means",
    "GroupNorm.dx",
    "the scale w is multiplied by after the means were taken",
    "The channels of a group have scales of their own: multiply dy by w first, then take the means over the group.",
    after_the_means,
    kind=Kind.SUM,
)
