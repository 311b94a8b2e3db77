"""Mistakes in a softmax that is a layer, and what a softmax makes along other axes."""

from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.activation import sigmoid
from plaingrad.checking.catalogue.entry import Form, Kind, enter, has_several_images
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array


def softmax_over(axis: int | None, x: Array, largest: int | None = 1) -> Array:
    """Exponentials shared out along an axis, the `largest` score along another taken off; of all where it is None."""
    grown = np.exp(x - x.max(axis=largest, keepdims=True))
    found: Array = grown / grown.sum(axis=axis, keepdims=True)
    return found


ONE_EACH = (
    "The probabilities of each image sum to 1: take the maximum and the sum along the axis of the classes, and keep "
    "that axis (keepdims=True), so that each image's own stands beside its scores."
)
# Along which axis the sum goes, and the maximum: it cancels where both go the same way, or it is one for all.
OTHER_AXES = ((None, None), (None, 1), (None, 0), (0, 0), (0, 1), (1, 0))


def over_other_axes(made: Callable[[Context, Array], Array]) -> Iterator[Form]:
    """Forms of what is made of a softmax whose sum or maximum is not that of the scores of one image."""
    for axis, largest in OTHER_AXES:

        def form(context: Context, axis: int | None = axis, largest: int | None = largest) -> Array:
            return made(context, softmax_over(axis, context.x, largest))

        yield form
    for is_off, is_shared_out in ((False, True), (True, False), (True, True)):

        def broadcast(context: Context, is_off: bool = is_off, is_shared_out: bool = is_shared_out) -> Array | None:
            if context.images != context.x.shape[1]:
                return None  # a row of numbers, one for each image, does not fit beside the scores
            x = context.x - context.x.max(axis=1, keepdims=not is_off)
            grown = np.exp(x)
            return made(context, grown / grown.sum(axis=1, keepdims=not is_shared_out))

        yield broadcast


def summed(numbers: Array) -> Array:
    """The sum over the scores of each image, beside which the scores stand."""
    found: Array = numbers.sum(axis=1, keepdims=True)
    return found


enter(
    "softmax-diagonal",
    "Softmax.dx",
    "only the diagonal of the Jacobian of softmax is used: p(1 - p), each output by itself",
    "All probabilities are divided by the same sum, so each score changes all of them: dx[k] = p[k] · (dy[k] - Σ "
    "p·dy).",
    lambda context: context.dy * context.y * (1 - context.y),
    kind=Kind.FUNCTION,
)

enter(
    "softmax-skipped",
    "Softmax.dx",
    "the error passes through the softmax unchanged",
    "dx[k] = p[k] · (dy[k] - Σ p·dy). Only where the gradient of the loss is p - target is the derivative of softmax "
    "already in it.",
    lambda context: context.dy,
    kind=Kind.OMISSION,
)

enter(
    "softmax-part",
    "Softmax.dx",
    "part of the derivative of softmax is missing",
    "dx[k] = p[k] · (dy[k] - Σ p·dy): subtract the weighted sum of all errors from each error, then multiply by p[k].",
    lambda context: context.y * context.dy,
    lambda context: context.y * (context.dy - summed(context.dy)),
    lambda context: context.y * (context.dy - context.dy.mean(axis=1, keepdims=True)),
    lambda context: context.dy - summed(context.y * context.dy),
    lambda context: context.dy - context.y * summed(context.dy),
    lambda context: context.dy + context.y * summed(context.dy),
    lambda context: context.y * (context.dy + summed(context.y * context.dy)),
    kind=Kind.FUNCTION,
)

enter(
    "softmax-over-the-batch",
    "Softmax.y",
    "the softmax is taken over the images of the batch, or over all numbers, instead of the scores of one image",
    ONE_EACH,
    *over_other_axes(lambda context, p: p),
    kind=Kind.INDEX,
)

enter(
    "softmax-sum-over-the-batch",
    "Softmax.dx",
    "the weighted sum of the errors is taken over the images of the batch, or over all numbers",
    "dx[k] = p[k] · (dy[k] - Σ p·dy): the sum is that of one image, along the axis of the classes.",
    lambda context: context.y * (context.dy - (context.y * context.dy).sum(axis=0)),
    lambda context: context.y * (context.dy - (context.y * context.dy).sum()),
    lambda context: (
        context.y * (context.dy - (context.y * context.dy).sum(axis=1))
        if context.images == context.x.shape[1]
        else None
    ),
    when=has_several_images,
    kind=Kind.SUM,
)

enter(
    "softmax-not-divided",
    "Softmax.y",
    "the exponentials are not divided by their sum, or the scores are divided by their sum without exponentials",
    "p[k] = e^x[k] / Σ e^x.",
    lambda context: np.exp(context.x),
    lambda context: np.exp(context.x - context.x.max(axis=1, keepdims=True)),
    lambda context: context.x / summed(context.x),
    lambda context: sigmoid(context.x),
    kind=Kind.FUNCTION,
)
