"""The slope of rectifiers, below 0 and at 0."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter, mistake
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

SLOPES = (0.01, 0.1, 0.2, 0.3, 1 / 5.5, 0.05, 0.02, 0.001)  # that people take, and frameworks unless told


def with_slope(slope: float) -> Form:
    """The form with another slope below 0."""

    def form(context: Context) -> Array | None:
        if slope == context.owner.slope:
            return None
        passed = context.x if context.quantity == "y" else context.dy
        return np.where(context.x > 0, passed, slope * passed)

    return form


enter(
    "another-slope",
    "LeakyReLU.y LeakyReLU.dx",
    "the slope below 0 is another one, such as a framework takes unless told",
    "The case tells the slope with the layer. Unless told PyTorch takes 0.01, and Keras 0.3; others take 0.1 or 0.2.",
    *map(with_slope, SLOPES),
    kind=Kind.FACTOR,
)


@mistake(
    "slope-at-zero",
    "ReLU.dx LeakyReLU.dx",
    "where the input is exactly 0, another derivative is used",
    "Any derivative from 0 to 1 is right at 0; the case uses the one below zero.",
    convention=True,
    kind=Kind.COMPARISON,
)
def slope_at_zero(context: Context) -> Iterator[Array]:
    at_zero = context.x == 0
    if at_zero.any():
        yield np.where(at_zero, context.dy, context.expected)
        yield np.where(at_zero, context.dy / 2, context.expected)
        if context.given is not None and is_share(context.given, context.dy)[at_zero].all():
            yield np.where(at_zero, context.given, context.expected)


def is_share(part: Array, whole: Array) -> Array:
    """Whether a number lies between 0 and another."""
    lies: Array = (part * whole >= 0) & (np.abs(part) <= np.abs(whole))
    return lies
