"""Mistakes in how weights are updated."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter, has_several_images, mistake
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
    "After each step, w -= rate · dw for every trained array. Make sure that the layer's own array changes, not a "
    "copy of it.",
    lambda context: context.weights[context.weight],
    kind=Kind.UPDATE,
)

enter(
    "uphill",
    "*.update",
    "the weights move in the wrong direction: + instead of -",
    "w -= rate · dw: against the gradient. If your gradients are already negated, add them.",
    lambda context: context.weights[context.weight] + context.rate * context.slope,
    kind=Kind.UPDATE,
    question="plus-or-minus",
)

enter(
    "rate-left-out",
    "*.update",
    "the gradient is subtracted without the learning rate",
    "w -= rate · dw.",
    lambda context: context.weights[context.weight] - context.slope,
    kind=Kind.UPDATE,
)

enter(
    "updated-twice",
    "*.update",
    "the step is twice as long: the update is applied twice, or the rate is doubled",
    "Update once per step: in the layer or in the optimiser, not in both. Where some arrays alone are, see whether "
    "they have a rate of their own.",
    lambda context: context.weights[context.weight] - 2 * context.rate * context.slope,
    kind=Kind.UPDATE,
)

enter(
    "rate-by-batch",
    "*.update",
    "the learning rate is divided or multiplied by the number of images",
    "The gradient is already the mean over the batch; divide by the number of images once.",
    lambda context: context.weights[context.weight] - context.rate / context.images * context.slope,
    lambda context: context.weights[context.weight] - context.rate * context.images * context.slope,
    when=has_several_images,
    kind=Kind.UPDATE,
)


def over_fan_in(power: float, is_out: bool) -> Form:
    """A step with the rate divided by a power of how many inputs each number of the layer has, or outputs."""

    def form(context: Context) -> Array | None:
        w = context.weights.get("w")
        if w is None or w.ndim < 2:
            return None
        count = w.size // w.shape[1] if is_out else w.size // w.shape[0]
        return np.asarray(context.weights[context.weight] - context.rate * context.slope / count**power)

    return form


enter(
    "rate-by-fan-in",
    "Conv.update Dense.update",
    "the rate is divided by the number of inputs of each unit, or its root",
    "The case has one rate for all weights. What grows with a layer's inputs is the spread of its starting weights.",
    *(over_fan_in(power, is_out) for is_out in (False, True) for power in (1, 0.5)),
    late=True,
    kind=Kind.UPDATE,
)

enter(
    "rate-squared",
    "*.update",
    "the learning rate is applied twice",
    "Multiply by the rate once: in the gradient or in the update.",
    lambda context: context.weights[context.weight] - context.rate**2 * context.slope,
    kind=Kind.UPDATE,
)

enter(
    "weight-in-place-of-gradient",
    "*.update",
    "the weight is used instead of its gradient",
    "w -= rate · dw: multiply the rate by the gradient dw, not by w.",
    lambda context: (1 - context.rate) * context.weights[context.weight],
    kind=Kind.UPDATE,
)

enter(
    "weight-replaced",
    "*.update",
    "the new weight is only the step: = instead of -=",
    "w -= rate · dw changes the weight; it does not replace it.",
    lambda context: -context.rate * context.slope,
    lambda context: context.rate * context.slope,
    kind=Kind.UPDATE,
)


@mistake(
    "earlier-gradient",
    "*.update",
    "the gradient of the previous step is used",
    "Compute the gradients of this batch first, and update with them.",
    kind=Kind.UPDATE,
)
def earlier_gradient(context: Context) -> Iterator[Array]:
    before = gradient_before(context)
    if before is not None:
        yield context.weights[context.weight] - context.rate * before


enter(
    "update-from-the-first-weights",
    "*.update",
    "every step starts from the initial weights",
    "Each step starts from the weights that the previous step produced.",
    lambda context: context.env[0, context.name, context.weight].value - context.rate * context.slope,
    when=lambda context: context.step > 1,
    kind=Kind.UPDATE,
    question="update-during-pass",
)


@mistake(
    "momentum-added",
    "*.update",
    "a fraction of the previous step is added, as with momentum",
    "The case uses plain gradient descent, w -= rate · dw: leave momentum out for the comparison.",
    convention=True,
    kind=Kind.UPDATE,
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
    "the weights are also shrunk, as with weight decay",
    "The case uses plain gradient descent, w -= rate · dw: leave weight decay out for the comparison.",
    kind=Kind.UPDATE,
)
def shrunk(context: Context) -> Iterator[Array]:
    w = context.weights[context.weight]
    if context.given is not None and w.size > 2 and w.any():
        share = float(((context.expected - context.given) * w).sum() / (w * w).sum())
        if 0 < share < 1:
            yield context.expected - share * w
