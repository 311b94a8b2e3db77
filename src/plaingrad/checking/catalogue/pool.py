"""Mistakes in pools: which windows count, and in mean and L2 pools."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter, mistake
from plaingrad.checking.catalogue.maxpool import ADD, given_error, passed
from plaingrad.checking.catalogue.otherwise import of_outputs
from plaingrad.checking.search.context import Context, Pair
from plaingrad.checking.search.products import Terms, terms_of
from plaingrad.checking.search.single_layer import Changes
from plaingrad.compiler.loops import Array

NORM, INPUT = "/ y[n, c, i, j]", "* x[n, c, row, column]"  # in the text of an L2 pool

enter(
    "one-window",
    "MaxPool.dx MeanPool.dx L2Pool.dx",
    "only one window sends its error back: the loop ends too early",
    "Return after the loops over i and j, not inside them.",
    of_outputs(lambda k, i, j: (i == 0) & (j == 0)),
    of_outputs(lambda k, i, j: (i == i.max()) & (j == j.max())),
    kind=Kind.SUM,
)

enter(
    "pool-windows-left-out",
    "MaxPool.dx L2Pool.dx",
    "the last row or column of windows sends no error back",
    "There are (size + 2·padding - window) / stride + 1 windows along an axis; do not forget the + 1.",
    of_outputs(lambda k, i, j: i < i.max()),
    of_outputs(lambda k, i, j: j < j.max()),
    of_outputs(lambda k, i, j: (i < i.max()) & (j < j.max())),
    kind=Kind.SUM,
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
    single = context.program.single_layer(context.name)
    single.run_on(context.x, {})
    return single.get("winner")


def in_padded_image(context: Context, row: Array, column: Array) -> Iterator[Array]:
    """dx where the winners lie so in the image with its padding: what lies beyond the image is lost, or at its edge."""
    rows, columns = context.x.shape[2:]
    yield given_error(context, row, column)
    yield given_error(context, np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1))


@mistake(
    "winner-in-the-padded-image",
    "MaxPool.dx",
    "the maximum's place is counted in the padded image, and used in the image without its padding, or the reverse",
    "A place in the padded image lies padding rows lower and padding columns further right: subtract them, or cut the "
    "padding off the padded gradient; and take a flat place apart by the width of the image that it was counted in.",
    kind=Kind.WINDOW,
    question="max-position",
)
def winner_padded(context: Context) -> Iterator[Array]:
    if not any(map(any, context.window.margins)):
        return
    (top, _), (left, right) = context.window.margins
    columns = context.x.shape[3]
    wide = columns + left + right
    winner = winner_of(context)
    row, column = winner // columns, winner % columns
    yield from in_padded_image(context, row + top, column + left)
    yield from in_padded_image(context, row - top, column - left)
    flat = (row + top) * wide + column + left
    yield given_error(context, flat // columns, flat % columns)
    yield given_error(context, flat // columns - top, flat % columns - left)
    yield given_error(context, winner // wide, winner % wide)


@mistake(
    "winner-of-another-width",
    "MaxPool.dx",
    "the maximum's place in its window, one number, is counted along the columns, or taken apart by another width",
    "A place p that is counted along the rows of a window lies in its row p // width and column p % width.",
    kind=Kind.INDEX,
    question="max-position",
)
def winner_width(context: Context) -> Iterator[Array]:
    (height, width), (down, across), (top, left) = context.window.size, context.window.dilation, context.begin
    rows, columns = (size + sum(each) for size, each in zip(context.x.shape[2:], context.window.margins, strict=True))
    winner = winner_of(context)
    i, j = np.indices(context.dy.shape[2:])
    first_row, first_column = i * context.window.stride[0], j * context.window.stride[1]
    u = (winner // context.x.shape[3] + top - first_row) // down
    v = (winner % context.x.shape[3] + left - first_column) // across
    wide = context.x.shape[3]
    for flat, by in ((u * width + v, height), (u * width + v, wide), (u * height + v, width), (v * height + u, width)):
        row, column = first_row + flat // by * down, first_column + flat % by * across
        yield given_error(context, row - top, column - left)
        yield given_error(context, np.minimum(row, rows - 1) - top, np.minimum(column, columns - 1) - left)


enter(
    "pool-stride-is-size",
    "MaxPool.dx",
    "the backward pass uses the size of the window as the stride",
    "Window (i, j) begins at i · stride, in the backward pass as in the forward pass, even where stride and size "
    "differ.",
    *moved(lambda stride, size: size),
    kind=Kind.WINDOW,
    question="stride",
)

enter(
    "pool-stride-forgotten",
    "MaxPool.dx",
    "the backward pass leaves the stride out of the position of a window",
    "Window (i, j) begins at row i · stride and column j · stride, in the backward pass as in the forward pass.",
    *moved(lambda stride, size: (1, 1)),
    kind=Kind.WINDOW,
    question="stride",
)

enter(
    "pool-rows-and-columns-exchanged",
    "MaxPool.dx",
    "the backward pass exchanges rows and columns in the position of a window, or of its maximum",
    "Use the row index with the row stride, and the column index with the column stride. A maximum stored as one "
    "number p lies in row p // columns and column p % columns.",
    *moved(lambda stride, size: stride[::-1]),
    lambda context: given_error(
        context, winner_of(context) % context.x.shape[3], winner_of(context) // context.x.shape[3]
    ),
    lambda context: given_error(
        context, winner_of(context) // context.x.shape[2], winner_of(context) % context.x.shape[2]
    ),
    kind=Kind.INDEX,
)


def counted_otherwise(context: Context) -> Terms:
    """The terms of a mean pool that takes the zeros of its padding the other way."""
    layer = context.owner
    terms = terms_of(layer.replace(count_padding=not layer.count_padding), context.program.steps[context.name].x)
    assert terms is not None
    return terms


enter(
    "not-divided",
    "MeanPool.dx GlobalMeanPool.dx",
    "the error is not divided by the number of pixels in the window",
    "y is the mean, Σ x / k²: its derivative with respect to each pixel is 1/k², so each pixel gets 1/k² of the error.",
    lambda context: context.sum(context.terms.times(1 / context.terms.factor)),
    kind=Kind.FACTOR,
)

enter(
    "sum-not-mean",
    "MeanPool.y GlobalMeanPool.y",
    "the sum of the window instead of its mean",
    "Divide by the number of pixels under the window.",
    lambda context: context.sum(context.terms.times(1 / context.terms.factor)),
    kind=Kind.FACTOR,
    question="mean-pool-beta",
)

enter(
    "mean-over-channels",
    "MeanPool.y MaxPool.y",
    "one number for all channels: the window includes all channels",
    "Pooling works on each channel separately.",
    lambda context: np.broadcast_to(
        (np.mean if context.kind == "MeanPool" else np.max)(context.expected, axis=1, keepdims=True),
        context.expected.shape,
    ),
    kind=Kind.SUM,
)

enter(
    "padding-counted",
    "MeanPool.y",
    "the zeros of the padding are counted although the case does not count them, or the reverse",
    "Both are in use; the setting count_padding of the layer says which one the case means, in both passes.",
    counted_otherwise,
    when=lambda context: any(context.owner.padding) and context.owner.divisor is None,
    convention=True,
    kind=Kind.WINDOW,
)

enter(
    "padding-counted-going-back",
    "MeanPool.dx",
    "the backward pass counts the zeros of the padding although the forward pass does not, or the reverse",
    "Each pixel's share is 1 / (the number by which the forward pass divided the sum of the window).",
    lambda context: context.sum(counted_otherwise(context)),
    when=lambda context: any(context.owner.padding) and context.owner.divisor is None,
    kind=Kind.WINDOW,
)

enter(
    "norm-not-divided",
    "L2Pool.dx",
    "the error is multiplied by x, but not divided by the norm",
    "y = √(Σ x²), so dx = dy · x / y; where y is 0, take 0.",
    lambda context: context.edited((NORM, "* 1")),
    lambda context: context.edited((NORM, "* 2")),
    kind=Kind.OMISSION,
)

enter(
    "norm-squared",
    "L2Pool.dx",
    "the error is divided by the square of the norm, or a factor of 2 or ½ is left in",
    "dx = dy · x / y: the 2 of the square and the ½ of the root cancel.",
    lambda context: context.edited((NORM, "/ (y[n, c, i, j] * y[n, c, i, j])")),
    lambda context: 2 * context.expected,
    lambda context: context.expected / 2,
    kind=Kind.FACTOR,
)

enter(
    "norm-without-input",
    "L2Pool.dx",
    "the error is not multiplied by the pixel itself",
    "y = √(Σ x²), so dx = dy · x / y: each pixel gets the error times its value divided by the norm.",
    lambda context: context.edited((INPUT, "* 1")),
    lambda context: context.edited((INPUT, "* 1"), (NORM, "* 1")),
    lambda context: context.edited((INPUT, "* abs(x[n, c, row, column])")),
    kind=Kind.OMISSION,
)

enter(
    "norm-overwritten",
    "L2Pool.dx",
    "where windows overlap, each one overwrites what the previous one wrote: = instead of +=",
    "A pixel was read by several windows, so it gets an error from each of them: start from zeros and add (+=).",
    lambda context: context.edited(("+=", "=")),
    kind=Kind.SUM,
)

enter(
    "root-left-out",
    "L2Pool.y",
    "the square root is left out, or it is taken of the mean and not of the sum",
    "y = √(Σ x²): sum the squares, then take the root.",
    lambda context: context.expected**2,
    lambda context: context.expected / prod(context.window.size) ** 0.5,
    lambda context: context.expected**2 / prod(context.window.size),
    kind=Kind.FUNCTION,
)
