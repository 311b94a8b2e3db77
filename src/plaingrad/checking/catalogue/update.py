"""Mistakes in how weights are updated."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import enter, has_several_images, mistake
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

WHOLE = 0.999  # a share of 1 is no momentum: the gradients were never cleared


def gradient_before(context: Context) -> Array | None:
    """The gradient of the step before; None in the first."""
    key = (context.step - 1, context.name, "d" + context.weight)
    return context.env[key].value if key in context.env else None


enter(
    "never-updated",
    "*.update",
    "the weights do not change",
    "After each step w -= rate · dw, for every trained array; mind that the layer keeps the new one, not a copy.",
    lambda context: context.weights[context.weight],
)

enter(
    "uphill",
    "*.update",
    "the weights go the wrong way: + instead of -",
    "w -= rate · dw: against the gradient. If your gradients are already negated, add them.",
    lambda context: context.weights[context.weight] + context.rate * context.slope,
)

enter(
    "rate-left-out",
    "*.update",
    "the gradient is taken off whole: without the rate",
    "w -= rate · dw.",
    lambda context: context.weights[context.weight] - context.slope,
)

enter(
    "updated-twice",
    "*.update",
    "the update is made twice",
    "One update a step: in the layer or in the optimiser, not in both.",
    lambda context: context.weights[context.weight] - 2 * context.rate * context.slope,
)

enter(
    "rate-by-batch",
    "*.update",
    "the rate is divided or multiplied by the number of images once more",
    "The gradient is the mean over the batch already; divide by the number of images once.",
    lambda context: context.weights[context.weight] - context.rate / context.images * context.slope,
    lambda context: context.weights[context.weight] - context.rate * context.images * context.slope,
    when=has_several_images,
)

enter(
    "rate-squared",
    "*.update",
    "the rate is applied twice",
    "Multiply by the rate once: in the gradient or in the update.",
    lambda context: context.weights[context.weight] - context.rate**2 * context.slope,
)

enter(
    "weight-in-place-of-gradient",
    "*.update",
    "the weight itself is used where its gradient should be",
    "w -= rate · dw, with dw.",
    lambda context: (1 - context.rate) * context.weights[context.weight],
)

enter(
    "weight-replaced",
    "*.update",
    "the new weight is the step alone: = instead of -=",
    "w -= rate · dw changes the weight that is there.",
    lambda context: -context.rate * context.slope,
    lambda context: context.rate * context.slope,
)


@mistake(
    "earlier-gradient",
    "*.update",
    "the gradient of the step before is used",
    "Compute the gradients of this batch first, and update with them.",
)
def earlier_gradient(context: Context) -> Iterator[Array]:
    before = gradient_before(context)
    if before is not None:
        yield context.weights[context.weight] - context.rate * before


enter(
    "update-from-the-first-weights",
    "*.update",
    "the step starts from the first weights again",
    "Each step starts from the weights the one before has left.",
    lambda context: context.env[0, context.name, context.weight].value - context.rate * context.slope,
    when=lambda context: context.step > 1,
)


@mistake(
    "momentum-added",
    "*.update",
    "a share of the step before is added, as momentum does",
    "The case asks for plain steps, w -= rate · dw; leave momentum out to be compared.",
    convention=True,
)
def momentum(context: Context) -> Iterator[Array]:
    old = gradient_before(context)
    if old is not None and context.given is not None and context.given.size > 2:
        rest = context.expected - context.given
        share = float((rest * old).sum() / max((old * old).sum(), np.finfo(float).tiny)) / context.rate
        if 0 < share < WHOLE:
            yield context.expected - context.rate * share * old


@mistake(
    "weights-shrunk",
    "*.update",
    "the weights shrink besides, as weight decay does",
    "The case asks for plain steps, w -= rate · dw; leave weight decay out to be compared.",
)
def shrunk(context: Context) -> Iterator[Array]:
    w = context.weights[context.weight]
    if context.given is not None and w.size > 2 and w.any():
        share = float(((context.expected - context.given) * w).sum() / (w * w).sum())
        if 0 < share < 1:
            yield context.expected - share * w
