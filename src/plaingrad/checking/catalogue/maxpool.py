"""Mistakes in max pools: who won, where the winner is sought, and what error it gets."""

from collections.abc import Iterator
from math import prod

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter, mistake
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.single_layer import Changes
from plaingrad.compiler.loops import Array
from plaingrad.textbook.window import Window

# Pieces of the texts: by which rule a pixel wins, who gets an error, and which.
LARGER = "is_larger(x[n, c, row, column], y[n, c, i, j])"
WON, ADD = "winner[n, c, i, j] == row * dx.shape[3] + column", "+= dy[n, c, i, j]"
EQUAL, WITH_BOTH = "x[n, c, row, column] == y[n, c, i, j]", ("(dy, winner,", "(dy, x, y,")


def passed(
    context: Context,
    forward: Changes = (),
    backward: Changes = (),
    sought: Window | None = None,
    error_window: Window | None = None,
) -> Array:
    """What the pool makes with pieces of its texts replaced, or with other windows on its way forward or back."""
    single, own = context.program.single_layer(context.name), context.window.over(context.x.shape[1:])
    single.put(x=context.x)
    single.forward(*forward, window=sought or own)
    if context.quantity == "dx":
        single.put(dy=context.dy)
        single.backward(*backward, window=error_window or own)
    return single.get(context.quantity)


def won_by(rule: str) -> Form:
    """A form in which another rule says whether a pixel replaces the one that won before it."""
    return lambda context: passed(context, ((LARGER, rule),))


enter(
    "winner-overwritten",
    "MaxPool.dx",
    "a pixel that is the maximum of several windows keeps only the last error: = instead of +=",
    "Where windows overlap, one pixel can be the maximum of several, and gets the sum of their errors: start from "
    "zeros and add (+=).",
    lambda context: context.edited((ADD, "= dy[n, c, i, j]")),
    kind=Kind.SUM,
    question="overlap",
)

enter(
    "error-to-all-ties",
    "MaxPool.dx",
    "on a tie, every pixel that equals the maximum gets the whole error",
    "Where several pixels tie, the error can go to any one of them, or be split in shares that add up to 1; giving "
    "all of it to each is too much. This matters only where ties occur.",
    lambda context: context.edited((WON, EQUAL), WITH_BOTH),
    convention=True,
    kind=Kind.COMPARISON,
    question="max-position",
)

enter(
    "error-to-last-tie",
    "MaxPool.dx",
    "on a tie, the last of the equal pixels gets the error",
    "Any of the equal pixels may get it; in the case it is the first in reading order.",
    won_by("x[n, c, row, column] >= y[n, c, i, j]"),
    convention=True,
    kind=Kind.COMPARISON,
)


def shared(context: Context) -> Array:
    """dx where the equal pixels of a window share its error."""
    equals = f"sum({EQUAL} for _, _, row, column in window(i, j))"
    return context.edited((WON, EQUAL), (ADD, f"{ADD} / {equals}"), WITH_BOTH)


enter(
    "ties-split-equally",
    "MaxPool.dx",
    "on a tie, the equal pixels get equal shares of the error",
    "Equal shares that add up to 1 are right too; in the case the first pixel in reading order gets the whole error.",
    shared,
    convention=True,
    kind=Kind.COMPARISON,
)


@mistake(
    "ties-split-unequally",
    "MaxPool.dx",
    "on a tie, the equal pixels get other shares of the error",
    "Any shares that add up to 1 are right; in the case the first pixel in reading order gets the whole error.",
    convention=True,
    kind=Kind.COMPARISON,
)
def ties_otherwise(context: Context) -> Iterator[Array]:
    if context.given is not None:
        differing = shared(context) != passed(context)
        off = np.where(differing, context.given - context.expected, 0)
        sums, sizes = off.sum(axis=(2, 3)), np.abs(off).sum(axis=(2, 3))
        if differing.any() and (np.abs(sums) <= 1e-4 * sizes).all():  # what one tied pixel lacks another has
            yield np.where(differing, context.given, context.expected)


enter(
    "mask-of-ones",
    "MaxPool.dx",
    "the maximum of the window gets 1 instead of the error",
    "The mask says where the error goes, not how large it is: mask · dy.",
    lambda context: context.edited((ADD, "+= 1")),
    lambda context: context.edited((ADD, "= 1")),
    kind=Kind.OMISSION,
)

enter(
    "error-to-whole-window",
    "MaxPool.dx",
    "every pixel of the window gets the error, not only the maximum",
    "The output depends on the largest pixel only: a small change of the others has no effect on it.",
    lambda context: context.edited((WON, "True")),
    lambda context: context.edited((WON, "True"), (ADD, "= dy[n, c, i, j]")),
    kind=Kind.COMPARISON,
    question="max-position",
)

enter(
    "error-averaged-over-window",
    "MaxPool.dx",
    "the error is divided equally among the pixels of the window, as in mean pooling",
    "Max pooling sends the whole error to the largest pixel and nothing to the others.",
    lambda context: context.edited((WON, "True"), (ADD, f"{ADD} / (window.size[0] * window.size[1])")),
    kind=Kind.COMPARISON,
)


@mistake(
    "error-to-fixed-pixel",
    "MaxPool.dx MeanPool.dx",
    "the error always goes to the same pixel of the window",
    "In max pooling, store in the forward pass which pixel was the maximum (its row and column), and send the error "
    "there; in mean pooling, every pixel of the window gets its share.",
    kind=Kind.INDEX,
    question="max-position",
)
def fixed_pixel(context: Context) -> Iterator[Array]:
    i, j = np.indices(context.dy.shape[2:])
    (row_stride, column_stride), (top, left) = context.window.stride, context.begin
    down, across = context.window.dilation
    for u, v in np.ndindex(*context.window.size):
        yield given_error(context, i * row_stride + u * down - top, j * column_stride + v * across - left)


def given_error(context: Context, row: Array, column: Array) -> Array:
    """dx where each error goes to the pixel (row, column); one beyond the image is lost."""
    dx = np.zeros_like(context.expected)
    image, channel, row, column = np.broadcast_arrays(*np.indices(context.dy.shape)[:2], row, column)
    inside = (row >= 0) & (row < dx.shape[2]) & (column >= 0) & (column < dx.shape[3])
    np.add.at(dx, tuple(each[inside] for each in (image, channel, row, column)), context.dy[inside])
    return dx


enter(
    "error-to-minimum",
    "MaxPool.dx",
    "the smallest pixel of the window gets the error",
    "The error goes to the pixel that became the output: the largest.",
    won_by("x[n, c, row, column] < y[n, c, i, j]"),
    kind=Kind.COMPARISON,
)

enter(
    "error-to-largest-absolute-value",
    "MaxPool.dx",
    "the pixel with the largest absolute value gets the error",
    "The maximum is taken of the numbers themselves, not of their absolute values.",
    won_by("abs(x[n, c, row, column]) > abs(y[n, c, i, j])"),
    kind=Kind.COMPARISON,
)


def winners_of(context: Context, x: Array) -> Array:
    """dx with the winners of one image, or of one channel, for all."""
    return context.program.loop(context.name, "dx", np.broadcast_to(x, context.x.shape), {}, context.dy)


enter(
    "winners-of-one-image",
    "MaxPool.dx",
    "the positions of the maxima of one image, or of one channel, are used for all",
    "Each image and each channel has its own maxima: store their positions for each image and channel.",
    lambda context: winners_of(context, context.x[:1]),
    lambda context: winners_of(context, context.x[-1:]),
    lambda context: winners_of(context, context.x[:, :1]),
    lambda context: winners_of(context, context.x[:, -1:]),
    kind=Kind.INDEX,
)

enter(
    "winner-times-its-value",
    "MaxPool.dx",
    "the error is multiplied by the maximum: window times mask times error",
    "The derivative with respect to the largest pixel is 1: dx += mask · dy, without the values of the window.",
    lambda context: context.expected * context.x,
    kind=Kind.FACTOR,
)

enter(
    "minimum-taken",
    "MaxPool.y",
    "the minimum of the window is taken, not the maximum",
    "Start with the first pixel of the window and replace it by any larger one.",
    won_by("x[n, c, row, column] < y[n, c, i, j]"),
    kind=Kind.COMPARISON,
)


@mistake(
    "maximum-begins-at-zero",
    "MaxPool.y",
    "the search for the maximum starts from 0 (or includes the zeros of the padding), so a window of negative "
    "numbers gives 0",
    "Start with the first pixel of the window, or with minus infinity; padding must not be the maximum.",
    kind=Kind.COMPARISON,
)
def begins_at_zero(context: Context) -> Iterator[Array]:
    yield np.maximum(context.expected, 0)
    if context.window.may_overhang:
        pixels = np.array(context.window.over(context.x.shape[1:]).pixels(False, *context.expected.shape[2:]))
        yield np.where(pixels < prod(context.window.size), np.maximum(context.expected, 0), context.expected)
