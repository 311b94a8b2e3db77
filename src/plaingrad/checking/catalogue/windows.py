"""Mistakes in where the windows of pools lie, and in what is taken of them.

Over 300 lines, since what a window holds stands with all that is made of it.
"""

import itertools
from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, Written, enter
from plaingrad.checking.catalogue.maxpool import ADD, WON
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.products import NONE, Terms
from plaingrad.compiler.loops import Array

Pixels = list[Array]  # of each window along one direction, the rows, or the columns, that it holds


def begins(context: Context, axis: int) -> Array:
    """Where each window begins along an axis of the image."""
    count = context.program.steps[context.name].y[1 + axis]
    found: Array = np.arange(count) * context.window.stride[axis] - context.begin[axis]
    return found


def from_begins(context: Context, axis: int, begin: Array, size: int | None = None) -> Pixels:
    """The pixels on the image of windows that begin there."""
    within = np.arange(context.window.size[axis] if size is None else size) * context.window.dilation[axis]
    every = (each + within for each in begin)
    return [each[(each >= 0) & (each < context.x.shape[2 + axis])] for each in every]


def with_stride(stride: Callable[[Context, int], int], has_padding: bool = True) -> Callable[[Context, int], Pixels]:
    """Windows that move by another stride."""

    def made(context: Context, axis: int) -> Pixels:
        begin = np.arange(len(begins(context, axis))) * stride(context, axis)
        return from_begins(context, axis, begin - context.begin[axis] * has_padding)

    return made


def clipped(at_the_start: bool, at_the_end: bool) -> Callable[[Context, int], Pixels]:
    """Windows moved onto the image where they hang over it: they keep their full width."""

    def made(context: Context, axis: int) -> Pixels:
        begin = begins(context, axis)
        if at_the_start:
            begin = np.maximum(begin, 0)
        if at_the_end:
            begin = np.minimum(begin, context.x.shape[2 + axis] - context.window.reach[axis])
        return from_begins(context, axis, begin)

    return made


def shorter(context: Context, axis: int) -> Pixels:
    """Windows without their last row or column."""
    return from_begins(context, axis, begins(context, axis), context.window.size[axis] - 1)


def mean_terms(context: Context, rows: Pixels, columns: Pixels, divisor: float | None = None) -> Terms | None:
    """The terms of a mean pool with such windows; None where one of them is empty."""
    terms = context.terms
    if not all(len(each) for each in (*rows, *columns)):
        return None
    if divisor is None and (context.owner.count_padding or context.owner.divisor is not None):
        divisor = context.owner.divisor or prod(context.window.size)
    inner, out, factor = [], [], []
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            places = (row[:, None] * terms.x[2] + column).reshape(-1)
            inner.append(places)
            out.append(np.full(len(places), i * len(columns) + j))
            factor.append(np.full(len(places), 1 / (divisor or len(places))))
    maps = np.arange(terms.x[0])[:, None]
    every_out = (maps * (len(rows) * len(columns)) + np.concatenate(out)).reshape(-1)
    every_inner = (maps * (terms.x[1] * terms.x[2]) + np.concatenate(inner)).reshape(-1)
    every_factor = np.tile(np.concatenate(factor), terms.x[0])
    return Terms(every_out, np.full_like(every_out, NONE), every_inner, every_factor, terms.y, terms.x, terms.weights)


def pooled(context: Context, rows: Pixels, columns: Pixels) -> Array | Terms | None:
    """What a pool makes of such windows: a mean pool is then made of them on its way back too."""
    if context.kind == "MeanPool":
        terms = mean_terms(context, rows, columns)
        return terms if terms is None or context.quantity == "y" else context.sum(terms)
    if not all(len(each) for each in (*rows, *columns)):
        return None
    made = np.zeros_like(context.expected)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            region = context.x[:, :, row[:, None], column]
            largest = context.kind == "MaxPool"
            made[:, :, i, j] = region.max((2, 3)) if largest else np.sqrt((region * region).sum((2, 3)))
    return made


def of_windows(what: str, taken: Callable[..., Array]) -> Form:
    """Another number of each window than the layer's, of the pixels on the image; no mistake where it is the same."""

    def form(context: Context) -> Array | None:
        if taken is np.sum and context.kind in ("MeanPool", "GlobalMeanPool"):
            return None  # which has a name of its own
        if context.kind == "GlobalMeanPool":
            return np.asarray(taken(context.x, axis=(2, 3)).reshape(context.expected.shape))
        rows, columns = (from_begins(context, axis, begins(context, axis)) for axis in range(2))
        made = np.zeros_like(context.expected)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                made[:, :, i, j] = taken(context.x[:, :, row[:, None], column], axis=(2, 3))
        return made

    return Written(f"the {what} of each window", form)


TAKEN: dict[str, Callable[..., Array]] = {
    "mean": np.mean,
    "maximum": np.max,
    "sum": np.sum,
    "median": np.median,
    "root of the sum of squares": lambda pixels, axis: np.sqrt(np.sum(pixels * pixels, axis=axis)),
    "root of the mean square": lambda pixels, axis: np.sqrt(np.mean(pixels * pixels, axis=axis)),
}

enter(
    "another-kind-of-pool",
    "MaxPool.y MeanPool.y L2Pool.y GlobalMeanPool.y",
    "another number of the window is taken: a maximum for a mean, or the reverse",
    "A max pool hands on the largest pixel, a mean pool their mean, an L2 pool the root of the sum of their squares.",
    *itertools.starmap(of_windows, TAKEN.items()),
    kind=Kind.FUNCTION,
)


def along_each(*others: Callable[[Context, int], Pixels]) -> Iterator[Form]:
    """Forms of a pool whose windows lie otherwise along rows, along columns, or along both."""
    for other in others:
        for axes in ((0, 1), (0,), (1,)):

            def form(
                context: Context, other: Callable[[Context, int], Pixels] = other, axes: tuple[int, ...] = axes
            ) -> Array | Terms | None:
                right = [from_begins(context, axis, begins(context, axis)) for axis in range(2)]
                rows, columns = (other(context, axis) if axis in axes else right[axis] for axis in range(2))
                if all(np.array_equal(*each) for each in zip((*rows, *columns), (*right[0], *right[1]), strict=True)):
                    return None
                return pooled(context, rows, columns)

            yield form


enter(
    "pool-window-without-stride",
    "MeanPool.y MeanPool.dx MaxPool.y L2Pool.y",
    "the stride is left out of where a window begins, or another one is used",
    "Window (i, j) begins at row i · stride - padding and column j · stride - padding, and holds the pixels from there "
    "that lie on the image.",
    *along_each(
        with_stride(lambda context, axis: 1),
        with_stride(lambda context, axis: context.window.size[axis]),
        with_stride(lambda context, axis: context.window.stride[1 - axis]),
    ),
    late=True,
    kind=Kind.WINDOW,
    question="stride",
)

enter(
    "pool-window-moved-onto-the-image",
    "MeanPool.y MeanPool.dx MaxPool.y L2Pool.y",
    "a window that hangs over the edge keeps its full width: where it begins is cut off before its end is computed",
    "Compute the end of a window from where it begins in the padding, begin + size, and cut off both ends afterwards.",
    *along_each(clipped(True, False), clipped(False, True), clipped(True, True)),
    when=lambda context: context.window.may_overhang,
    late=True,
    kind=Kind.WINDOW,
)

enter(
    "pool-window-without-padding",
    "MeanPool.y MeanPool.dx MaxPool.y L2Pool.y",
    "the padding is left out of where a window begins",
    "With padding p window (i, j) begins at row i · stride - p and column j · stride - p.",
    *along_each(with_stride(lambda context, axis: context.window.stride[axis], has_padding=False)),
    when=lambda context: any(context.begin),
    late=True,
    kind=Kind.WINDOW,
)

enter(
    "pool-window-too-short",
    "MeanPool.y MeanPool.dx MaxPool.y L2Pool.y",
    "the last row or column of each window is left out",
    "A window holds size rows and size columns: a slice ends before its second number, so that is begin + size.",
    *along_each(shorter),
    late=True,
    kind=Kind.SUM,
)


def in_blocks(side: Callable[[Context, int], int], has_padding: bool) -> Form:
    """The way back of a mean pool by repeating each error in a block of so many rows and columns."""

    def form(context: Context) -> Array | None:
        pixels = []
        for axis in range(2):
            size = side(context, axis)
            begin = np.arange(len(begins(context, axis))) * size - context.begin[axis] * has_padding
            every = (each + np.arange(size) for each in begin)
            pixels.append([each[(each >= 0) & (each < context.x.shape[2 + axis])] for each in every])
        maps = np.zeros_like(context.expected)
        for i, row in enumerate(pixels[0]):
            for j, column in enumerate(pixels[1]):
                maps[:, :, row[:, None], column] = context.dy[:, :, i, j, None, None] / prod(context.window.size)
        return maps

    return form


enter(
    "error-repeated-in-blocks",
    "MeanPool.dx",
    "each error is repeated in a block of its own, side by side, although the windows overlap, lie apart or begin in "
    "the padding",
    "Repeating the errors (upsampling) is right only where windows lie side by side from the image's first pixel. "
    "Otherwise add dy / count to every pixel of window (i, j), which begins at i · stride - padding.",
    *(in_blocks(lambda context, axis: context.window.size[axis], each) for each in (False, True)),
    *(in_blocks(lambda context, axis: context.window.stride[axis], each) for each in (False, True)),
    late=True,
    kind=Kind.WINDOW,
)


def divided_by(count: Callable[[Context], float]) -> Form:
    """A mean pool, either way, whose sums are divided by another number."""
    return lambda context: context.sum(context.terms.times(1 / context.terms.factor / count(context)))


enter(
    "mean-divided-by-another-count",
    "MeanPool.y MeanPool.dx",
    "the sum of the window, or its error, is divided by another number than that of the pixels under the window",
    "Divide by the number of pixels under the window, in both passes: not by that of the outputs or of the image.",
    divided_by(lambda context: prod(context.program.steps[context.name].y[1:])),
    divided_by(lambda context: prod(context.x.shape[2:])),
    divided_by(lambda context: context.window.size[0]),
    divided_by(lambda context: context.window.size[1]),
    divided_by(lambda context: context.window.size[0] ** 2),
    divided_by(lambda context: context.window.size[1] ** 2),
    divided_by(lambda context: prod(context.window.stride)),
    late=True,
    kind=Kind.FACTOR,
)


def whole(cut: Callable[[Array], Array]) -> Form:
    """A mean, or the share of an error, cut to a whole number."""

    def form(context: Context) -> Array:
        if context.quantity == "y":
            return cut(context.expected)
        terms = context.terms
        count = np.ones(int(np.prod(terms.y)))
        count[terms.out] = 1 / terms.factor
        return context.sum(terms.times(1 / terms.factor), dy=cut(context.dy / count.reshape(terms.y)))

    return form


enter(
    "mean-cut-to-a-whole-number",
    "MeanPool.y MeanPool.dx GlobalMeanPool.y GlobalMeanPool.dx",
    "the quotient is cut to a whole number: // instead of /",
    "In Python // is the division of whole numbers: write / for a mean, and for the share of an error.",
    whole(np.floor),
    whole(np.trunc),
    kind=Kind.FACTOR,
)


def largest_of_map(context: Context) -> Array:
    """Where the largest number of each map stands."""
    found: Array = context.x == context.x.max(axis=(2, 3), keepdims=True)
    return found


def wherever_equal(context: Context) -> Array:
    """dx where a window's error goes to every pixel of the map that equals its maximum."""
    made = np.zeros_like(context.expected)
    for i, j in np.ndindex(*context.dy.shape[2:]):
        place = (..., i, None, j, None)
        made += np.where(context.x == context.y[place], context.dy[place], 0)
    return made


enter(
    "error-to-largest-of-the-map",
    "MaxPool.dx",
    "the error goes to the maximum of the whole map, or is given wherever the map equals the window's maximum",
    "Each window has its own maximum: compare only the pixels of that window, and with the largest of these.",
    lambda context: largest_of_map(context) * context.dy.sum(axis=(2, 3), keepdims=True),
    lambda context: largest_of_map(context) * context.edited((WON, "True")),
    lambda context: largest_of_map(context) * context.edited((WON, "True"), (ADD, "= dy[n, c, i, j]")),
    wherever_equal,
    kind=Kind.COMPARISON,
    question="max-position",
)
