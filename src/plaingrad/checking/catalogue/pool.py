"""Mistakes in pools: which windows count, and in mean and L2 pools."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod

import numpy as np

from plaingrad.checking.catalogue.entry import Form, enter
from plaingrad.checking.catalogue.maxpool import ADD, paid, passed
from plaingrad.checking.catalogue.otherwise import of_outputs
from plaingrad.checking.search.context import Context, Pair
from plaingrad.checking.search.products import Terms, terms_of
from plaingrad.checking.search.single_layer import Changes
from plaingrad.compiler.loops import Array

NORM, INPUT = "/ y[n, c, i, j]", "* x[n, c, row, column]"  # in the text of an L2 pool

enter(
    "one-window",
    "MaxPool.dx MeanPool.dx L2Pool.dx",
    "only one window sends its error back: the loop is left too early",
    "Return after the loops over i and j, not inside them.",
    of_outputs(lambda k, i, j: (i == 0) & (j == 0)),
    of_outputs(lambda k, i, j: (i == i.max()) & (j == j.max())),
)

enter(
    "pool-windows-left-out",
    "MaxPool.dx L2Pool.dx",
    "the last row or column of windows sends nothing back",
    "There are (size + 2·padding - window) / stride + 1 windows along an axis; mind the + 1.",
    of_outputs(lambda k, i, j: i < i.max()),
    of_outputs(lambda k, i, j: j < j.max()),
    of_outputs(lambda k, i, j: (i < i.max()) & (j < j.max())),
)


def moved(stride: Callable[[Pair, Pair], Pair]) -> Iterator[Form]:
    """Forms of a max pool whose windows move by another stride going back, which follows from their own and their size.

    The winner is sought there, and its error added or laid over others; or its place in its own window is kept.
    """
    in_window = "u * window.size[1] + v"
    kept = (("row * x.shape[3] + column", in_window),), (("row * dx.shape[3] + column", in_window),)
    for forward, backward in (((), ()), ((), ((ADD, "= dy[n, c, i, j]"),)), kept):

        def form(context: Context, forward: Changes = forward, backward: Changes = backward) -> Array | None:
            own = context.window.over(context.x.shape[1:])
            other = replace(own, stride=stride(own.stride, own.size))
            return passed(context, forward, backward, own if forward else other, other) if other != own else None

        yield form


def winner_of(context: Context) -> Array:
    """The place in the image of each window's winner."""
    alone = context.program.single_layer(context.name)
    alone.run_on(context.x, {})
    return alone.get("winner")


enter(
    "pool-stride-is-size",
    "MaxPool.dx",
    "going back, windows are taken to stand side by side: the window's size is used for the stride",
    "Window (i, j) begins at i · stride, going back as going forward, also where stride and size differ.",
    *moved(lambda stride, size: size),
)

enter(
    "pool-stride-forgotten",
    "MaxPool.dx",
    "going back, the stride is left out of the place where a window begins",
    "Window (i, j) begins at row i · stride and column j · stride, going back as going forward.",
    *moved(lambda stride, size: (1, 1)),
)

enter(
    "pool-rows-and-columns-exchanged",
    "MaxPool.dx",
    "going back, rows and columns are exchanged in the place of a window, or of its winner",
    "Row index with row stride, column index with column stride; a winner's place p in a map of so many columns is row "
    "p // columns and column p % columns.",
    *moved(lambda stride, size: stride[::-1]),
    lambda context: paid(context, winner_of(context) % context.x.shape[3], winner_of(context) // context.x.shape[3]),
    lambda context: paid(context, winner_of(context) // context.x.shape[2], winner_of(context) % context.x.shape[2]),
)


def counted_otherwise(context: Context) -> Terms:
    """The terms of a mean pool that takes the zeros of its padding the other way."""
    layer = context.owner
    terms = terms_of(layer.replace(count_padding=not layer.count_padding), context.program.steps[context.name].x)
    assert terms is not None
    return terms


enter(
    "not-divided",
    "MeanPool.dx",
    "the error is not divided by the number of pixels in the window",
    "y is the mean, Σ x / k²: each pixel had 1/k² of a say, so it gets 1/k² of the error, going back as going forward.",
    lambda context: context.sum(context.terms.times(1 / context.terms.factor)),
)

enter(
    "sum-not-mean",
    "MeanPool.y",
    "the sum of the window instead of its mean",
    "Divide by the number of pixels under the window.",
    lambda context: context.sum(context.terms.times(1 / context.terms.factor)),
)

enter(
    "mean-over-channels",
    "MeanPool.y MaxPool.y",
    "one number for all channels: the window is taken over the channels too",
    "A pool works on each channel by itself.",
    lambda context: np.broadcast_to(
        (np.mean if context.kind == "MeanPool" else np.max)(context.expected, axis=1, keepdims=True),
        context.expected.shape,
    ),
)

enter(
    "padding-counted",
    "MeanPool.y",
    "the zeros of the padding are counted, or not counted, otherwise than the case says",
    "Both ways are in use: the case's count_padding says which one it means, forward and back.",
    counted_otherwise,
    when=lambda context: any(context.owner.padding),
    convention=True,
)

enter(
    "padding-counted-going-back",
    "MeanPool.dx",
    "going back the padding is counted, or not counted, otherwise than on the way forward",
    "Each pixel's share is 1 / (the number its window was divided by on the way forward).",
    lambda context: context.sum(counted_otherwise(context)),
    when=lambda context: any(context.owner.padding),
)

enter(
    "norm-not-divided",
    "L2Pool.dx",
    "the error is multiplied by x, and not divided by the norm",
    "y = √(Σ x²), so dx = dy · x / y; where y is 0 take 0.",
    lambda context: context.edited((NORM, "* 1")),
    lambda context: context.edited((NORM, "* 2")),
)

enter(
    "norm-squared",
    "L2Pool.dx",
    "the error is divided by the square of the norm, or the root's ½ is doubled or lost",
    "dx = dy · x / y: the 2 of the square and the ½ of the root cancel.",
    lambda context: context.edited((NORM, "/ (y[n, c, i, j] * y[n, c, i, j])")),
    lambda context: 2 * context.expected,
    lambda context: context.expected / 2,
)

enter(
    "norm-without-input",
    "L2Pool.dx",
    "the error is not multiplied by the pixel itself",
    "y = √(Σ x²), so dx = dy · x / y: a pixel's share is its part of the norm.",
    lambda context: context.edited((INPUT, "* 1")),
    lambda context: context.edited((INPUT, "* 1"), (NORM, "* 1")),
    lambda context: context.edited((INPUT, "* abs(x[n, c, row, column])")),
)

enter(
    "norm-overwritten",
    "L2Pool.dx",
    "where windows overlap, each overwrites what the one before had left: = instead of +=",
    "A pixel was read by several windows, so it gets an error from each of them: start from zeros and add (+=).",
    lambda context: context.edited(("+=", "=")),
)

enter(
    "root-left-out",
    "L2Pool.y",
    "the root is left out, or the mean is taken before it",
    "y = √(Σ x²): sum the squares, then take the root.",
    lambda context: context.expected**2,
    lambda context: context.expected / prod(context.window.size) ** 0.5,
    lambda context: context.expected**2 / prod(context.window.size),
)
