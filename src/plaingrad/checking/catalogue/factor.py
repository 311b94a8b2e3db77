"""Mistakes that are one factor: everything is right but for a number, which may be 0."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from math import prod

from plaingrad.checking.catalogue.entry import Form, Kind, enter
from plaingrad.checking.search.context import Context

ERRORS = "*.dx *.dw *.db"


def positions(context: Context) -> int:
    """How many positions a window has in the output map; 1 where there is no map."""
    y = context.program.steps[context.name].y if context.name != "loss" else ()
    return prod(y[1:]) if len(y) == 3 else 1


def times(factor: Callable[[Context], float]) -> Form:
    """The right numbers times a factor, where it is not 1."""
    return lambda context: factor(context) * context.expected if factor(context) != 1 else None


enter(
    "summed-over-the-batch",
    f"loss.dx loss.y {ERRORS}",
    "the sum over the batch instead of the mean: multiplied by the number of images",
    "Divide by the number of images once, best in the gradient of the loss; every other gradient is then already a "
    "mean.",
    times(lambda context: context.images),
    late=True,
    kind=Kind.FACTOR,
    question="sum-or-mean",
)

enter(
    "divided-by-the-batch-again",
    f"loss.dx loss.y {ERRORS}",
    "divided by the number of images once too often",
    "Divide by the number of images once, best in the gradient of the loss, and nowhere else.",
    times(lambda context: 1 / context.images),
    times(lambda context: 1 / context.images**2),
    late=True,
    kind=Kind.FACTOR,
    question="sum-or-mean",
)

enter(
    "negated",
    f"loss.dx loss.y {ERRORS}",
    "every number has the wrong sign",
    "The gradient of the loss is output minus target, and the update subtracts the gradient. Change both signs or "
    "neither.",
    times(lambda context: -1),
    kind=Kind.FACTOR,
    question="plus-or-minus",
)

enter(
    "divided-by-outputs-instead-of-images",
    "loss.dx loss.y",
    "divided by the number of outputs (classes) instead of the number of images",
    "The mean over a batch divides by the number of its images. In an array (image, class) that is the length of the "
    "first axis, `len(y)` in Python, and not that of the second.",
    times(lambda context: context.images / context.x.shape[1]),
    kind=Kind.FACTOR,
)

enter(
    "doubled-or-halved",
    f"loss.dx loss.y {ERRORS}",
    "twice or half of what it should be",
    "The derivative of a square gives a factor of 2, and a ½ in front of the square cancels it: the loss and its "
    "gradient have to agree. Elsewhere, look for a number that happens to be 2 here, such as the side of a window.",
    times(lambda context: 2),
    times(lambda context: 0.5),
    kind=Kind.FACTOR,
)

enter(
    "divided-by-positions",
    "Conv.dw Conv.db Conv.dx BatchNorm.dw BatchNorm.db GroupNorm.dw GroupNorm.db",
    "divided by the number of positions in the map",
    "The gradient of a shared weight is the sum over all its uses, not the mean.",
    times(lambda context: 1 / positions(context)),
    times(lambda context: 1 / (positions(context) * context.images)),
    when=lambda context: context.x.ndim == 4,
    kind=Kind.FACTOR,
    question="shared-weight",
)

enter(
    "divided-by-window",
    "Conv.dw Conv.db Conv.dx MeanPool.dx MaxPool.dx L2Pool.dx MeanPool.y L2Pool.y",
    "divided by the number of pixels in the window, once too often",
    "Only mean pooling divides by the number of pixels in the window, and only once.",
    times(lambda context: 1 / prod(context.window.size)),
    kind=Kind.FACTOR,
)

enter(
    "averaged-over-filters",
    "Conv.dx Dense.dx",
    "the mean over the filters or units instead of the sum",
    "Every filter (unit) contributes to the gradient with respect to the input: add the contributions up.",
    times(lambda context: 1 / context.program.steps[context.name].y[0]),
    kind=Kind.FACTOR,
)

enter(
    "averaged-over-outputs",
    "loss.dx loss.y",
    "divided or multiplied by the number of outputs",
    "The case says whether the loss is a sum or a mean over the outputs; its gradient has to match.",
    times(lambda context: 1 / context.x.shape[1]),
    times(lambda context: float(context.x.shape[1])),
    kind=Kind.FACTOR,
)


def scalings() -> Iterator[Form]:
    """The products of two or three of: the number of images, that of outputs, and 2, each multiplied or divided by."""
    for images, outputs, two in itertools.product((-1, 0, 1), repeat=3):
        if (images, outputs, two).count(0) < 2:
            yield times(partial(scaling, images=images, outputs=outputs, two=two))


def scaling(context: Context, images: int, outputs: int, two: int) -> float:
    """Such a product."""
    return float(context.images) ** images * float(context.x.shape[1]) ** outputs * 2.0**two


enter(
    "scaled-like-no-loss",
    "loss.dx loss.y",
    "multiplied or divided by several of: the number of images, the number of outputs, 2",
    "Write down how the loss is added up, as a sum or a mean over images and over outputs, with ½ or without, and "
    "differentiate that: the loss and its gradient have the same factor.",
    *scalings(),
    late=True,
    kind=Kind.FACTOR,
)

enter(
    "scaled-by-the-rate",
    "loss.dx *.dw *.db *.dx",
    "multiplied by the learning rate",
    "The rate belongs in the update, not in the gradient.",
    times(lambda context: context.rate),
    times(lambda context: -context.rate),
    kind=Kind.FACTOR,
)

enter(
    "nothing-comes-out",
    "*.y loss.y",
    "the output is 0: it is never computed, or cut to 0 by a division of whole numbers",
    "Look for a loop that never runs, for an array that is made anew after it was filled, and for 1 / 2 in a language "
    "where that is 0.",
    lambda context: 0 * context.expected,
    plain=True,
    kind=Kind.OMISSION,
)
