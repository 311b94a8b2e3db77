"""Mistakes in convolutions: forward, the error for the input, the gradients of kernel and bias."""

from collections.abc import Iterator
from dataclasses import replace

from plaingrad.checking.catalogue.entry import enter, mistake
from plaingrad.checking.catalogue.otherwise import laid, of_outputs, reshaped, with_weights
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.products import Terms
from plaingrad.compiler.loops import Array


@mistake(
    "true-convolution",
    "Conv.y",
    "a true convolution: the kernel is turned by 180° on the way forward",
    "Both ways are in use; the case's kernels are not turned. Turn them when you read them, or take this as your "
    "own way: everything after it is judged so.",
    convention=True,
)
def true_convolution(context: Context) -> Iterator[Terms]:
    terms, (height, width) = context.terms, context.window.size
    k, c, u, v = terms.place("weight")
    yield terms.at("weight", (k, c, height - 1 - u, width - 1 - v))


enter(
    "kernel-turned",
    "Conv.dx",
    "the kernel is turned by 180° against the right way in the error for the input",
    "Each error goes back along the weights it came by: dx[c,row+u,column+v] += w[k,c,u,v] · dy[k,i,j]. Written as a "
    "scatter over windows the kernel is not turned; only written as one full convolution of dy it is turned, once.",
    with_weights(lambda w: w[:, :, ::-1, ::-1]),
)

enter(
    "kernel-half-turned",
    "Conv.dx",
    "the kernel is turned along one axis only in the error for the input",
    "A turn by 180° reverses rows and columns; reversing only one of them mirrors the kernel.",
    with_weights(lambda w: w[:, :, ::-1]),
    with_weights(lambda w: w[:, :, :, ::-1]),
)

enter(
    "kernel-transposed",
    "Conv.dx",
    "rows and columns of the kernel are exchanged in the error for the input",
    "A turn by 180° is no transpose: w[k,c,u,v] becomes w[k,c,K-1-u,K-1-v], not w[k,c,v,u]; nor is it a quarter turn.",
    with_weights(lambda w: w.swapaxes(2, 3)),
    with_weights(lambda w: w[:, :, ::-1].swapaxes(2, 3)),
    with_weights(lambda w: w[:, :, :, ::-1].swapaxes(2, 3)),
    with_weights(lambda w: w[:, :, ::-1, ::-1].swapaxes(2, 3)),
    when=lambda context: len(set(context.window.size)) == 1,
)


@mistake(
    "windows-overwrite",
    "Conv.dx MeanPool.dx",
    "where windows overlap, each overwrites what the one before had left: = instead of +=",
    "A pixel was read by several windows, so it gets an error from each of them: start from zeros and add (+=).",
)
def windows_overwrite(context: Context) -> Iterator[Array]:
    terms, at = context.terms, context.letters()
    order = at["i"] * (at["j"].max() + 1) + at["j"]
    yield context.sum(terms.last("inner", order))
    yield context.sum(terms.last("inner", -order))
    pixels = at["u"] * (at["v"].max() + 1) + at["v"]  # columns are written back pixel by pixel of the window
    yield context.sum(terms.last("inner", pixels))


@mistake(
    "terms-overwrite",
    "Conv.dx",
    "every product overwrites the one before: = instead of +=, in the innermost loop",
    "The error of a pixel is a sum over all windows and all filters that used it: start from zeros and add (+=).",
)
def terms_overwrite(context: Context) -> Iterator[Array]:
    terms, at = context.terms, context.letters()
    rows, columns, filters = (int(at[each].max()) + 1 for each in "ijk")
    yield context.sum(terms.last("inner", (at["k"] * rows + at["i"]) * columns + at["j"]))
    yield context.sum(terms.last("inner", (at["i"] * columns + at["j"]) * filters + at["k"]))


enter(
    "one-filter",
    "Conv.dx",
    "only one filter's errors reach the input",
    "Every filter read every channel, so the error of a channel is the sum over all filters: += inside the filter "
    "loop, and the filter's own index for dy.",
    of_outputs(lambda k, i, j: k == k.max()),
    of_outputs(lambda k, i, j: k == 0),
)


enter(
    "filters-and-channels-exchanged",
    "Conv.dx Dense.dx",
    "the weights are read with their first two axes exchanged",
    "Going back, the sum runs over filters (units) and the result is indexed by channel (input): read w[k][c], not "
    "w[c][k]; a reshape does not transpose.",
    with_weights(reshaped),
    when=lambda context: (
        context.weights["w"].shape[0] == context.weights["w"].shape[1] or 1 not in context.weights["w"].shape[:2]
    ),
)

enter(
    "stride-forgotten",
    "Conv.dx Conv.dw Conv.y MeanPool.dx",
    "the stride is left out of the place where a window begins",
    "Window (i, j) begins at row i · stride and column j · stride, going back as going forward.",
    lambda context: laid(context, replace(context.window, stride=(1, 1))),
    when=lambda context: max(context.window.stride) > 1,
)

enter(
    "padding-forgotten",
    "Conv.dx Conv.dw Conv.y",
    "the padding is left out: windows are taken as if the image began at its first pixel",
    "With padding p, window (i, j) begins p rows above and p columns left of i · stride, j · stride. Cut the margin "
    "off the padded gradient, or take it off the index.",
    lambda context: laid(context, replace(context.window, margins=((0, 0), (0, 0)))),
    when=lambda context: any(context.begin),
)

enter(
    "padding-removed-twice",
    "Conv.dx Conv.dw Conv.y",
    "the padding is taken off twice, or on the wrong side",
    "Cut p rows from the top and p from the bottom, once.",
    lambda context: laid(context, replace(context.window, margins=tuple((2 * each, 0) for each in context.begin))),
    when=lambda context: any(context.begin),
)

enter(
    "dilation-forgotten",
    "Conv.dx Conv.dw Conv.y",
    "the dilation is left out: the kernel's weights stand side by side",
    "Weight (u, v) meets the pixel u · dilation below and v · dilation right of the window's first, in every pass.",
    lambda context: laid(context, replace(context.window, dilation=(1, 1))),
    when=lambda context: max(context.window.dilation) > 1,
)

enter(
    "rows-and-columns-exchanged",
    "Conv.dx Conv.dw Conv.y MeanPool.dx",
    "rows and columns are exchanged in the place of a window",
    "Row index with row stride and height, column index with column stride and width; a map that is not square "
    "shows it.",
    lambda context: laid(context, context.window, lambda i, j, u, v: (j, i, u, v)),
    lambda context: laid(context, replace(context.window, stride=context.window.stride[::-1])),
    lambda context: laid(context, context.window, lambda i, j, u, v: (i, j, v, u)),
)
