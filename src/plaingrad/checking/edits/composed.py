"""Passes that are made of two texts, of which one may be edited alone.

A loss that a program computes as two layers: a softmax, and the cross-entropy of what comes out of it. And the way back
of a layer that reads what its way forward saved, where a program computes that anew.
"""

from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.edits.making import Making, making, parts_of
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.textbook.layers import Softmax
from plaingrad.textbook.losses import CrossEntropy, SoftmaxCrossEntropy

Made = Callable[[Context], Making | None]


def ways(context: Context) -> Iterator[Made]:
    """The texts besides that of the pass itself, each of which may be the one that is edited."""
    if context.name == "loss" and type(context.owner) is SoftmaxCrossEntropy:
        yield from [_forward] if context.quantity == "y" else [_of_the_loss, _of_the_softmax]
    elif context.kind == "MaxPool":
        return  # whose way back is told by its errors
    elif context.quantity in ("dx", "dw", *context.kept):
        yield _of_saved


def _of_saved(context: Context) -> Making | None:
    """What a pass makes of all it reads that the way forward saved: of the array that rests on most others."""
    back = making(context)
    if back is None or len(back.parts) > 1:
        return None
    single = context.program.single_layer(context.name)
    saved = sorted(back.lines.reads & context.owner.saved(context.x.shape[1:]).keys())
    ways = [own for name in saved if (own := tuple(parts_of(single, "forward", name, {}, None)))]
    if not ways:
        return None
    own = max(ways, key=lambda each: len(each[0].lines.fills))
    beside = tuple(sorted(own[0].lines.fills & back.lines.reads - {own[0].lines.wanted}))
    return Making(own, back.shape, then=back, beside=beside, told=f"as it is read for {context.quantity}")


def _layers(context: Context) -> tuple[SingleLayer, SingleLayer, float]:
    """The softmax and the loss, gone forward, and what the sum over the images is divided by."""
    x = context.x
    softmax, loss = (SingleLayer(owner, x.shape[1:], len(x)) for owner in (Softmax(), CrossEntropy()))
    softmax.run_on(x, {})
    count = loss.aim(softmax.get("y"), context.target)
    loss.forward()
    return softmax, loss, count


def _forward(context: Context) -> Making:
    """The loss of probabilities."""
    _, loss, count = _layers(context)
    return Making(tuple(parts_of(loss, "forward", "y", {}, None)), (), count, told="of the probabilities x = softmax")


def _of_the_loss(context: Context) -> Making:
    """What the loss of probabilities sends back, on its way through the softmax."""
    softmax, loss, _ = _layers(context)
    own = tuple(parts_of(loss, "backward", "dx", {}, None))
    softmax.put(dy=np.zeros_like(context.x))
    then = Making(tuple(parts_of(softmax, "backward", "dx", {}, None)), context.expected.shape)
    told = "for the probabilities x = softmax, and then back through the softmax"
    return Making(own, context.expected.shape, then=then, name_then="dy", told=told)


def _of_the_softmax(context: Context) -> Making:
    """What the softmax sends back of the error of its probabilities."""
    softmax, loss, _ = _layers(context)
    loss.backward()
    softmax.put(dy=loss.get("dx"))
    parts = tuple(parts_of(softmax, "backward", "dx", {}, None))
    return Making(parts, context.expected.shape, told="where dy is that of the probabilities y = softmax")
