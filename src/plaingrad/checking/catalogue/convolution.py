"""Mistakes in convolutions: forward, the error for the input, the gradients of kernel and bias."""

from collections.abc import Iterator
from dataclasses import replace

from plaingrad.checking.catalogue.entry import Kind, enter, mistake
from plaingrad.checking.catalogue.otherwise import laid, of_outputs, reshaped, with_weights
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.products import Terms
from plaingrad.compiler.loops import Array


@mistake(
    "true-convolution",
    "Conv.y",
    "a true convolution: the kernel is rotated by 180° in the forward pass",
    "Both definitions are in use; the case uses cross-correlation, without the rotation. Rotate the kernels when you "
    "read them, or keep your definition: the rest of your answer is checked by it.",
    convention=True,
    kind=Kind.INDEX,
    question="rotated-or-not",
)
def true_convolution(context: Context) -> Iterator[Terms]:
    terms, (height, width) = context.terms, context.window.size
    k, c, u, v = terms.place("weight")
    yield terms.at("weight", (k, c, height - 1 - u, width - 1 - v))


enter(
    "kernel-rotated",
    "Conv.dx",
    "the kernel used for dx is rotated by 180° compared with the correct one",
    "Each error goes back through the weight of the forward pass: dx[c,row+u,column+v] += w[k,c,u,v] · dy[k,i,j]. A "
    "loop over windows that adds to dx does not rotate the kernel; only a full convolution of dy does, once.",
    with_weights(lambda w: w[:, :, ::-1, ::-1]),
    kind=Kind.INDEX,
    question="rotated-or-not",
)

enter(
    "kernel-flipped-along-one-axis",
    "Conv.dx",
    "the kernel used for dx is flipped along one axis only",
    "A rotation by 180° flips rows and columns; flipping only one of them mirrors the kernel.",
    with_weights(lambda w: w[:, :, ::-1]),
    with_weights(lambda w: w[:, :, :, ::-1]),
    kind=Kind.INDEX,
    question="rotated-or-not",
)

enter(
    "kernel-turned-over-other-axes",
    "Conv.y Conv.dx",
    "the kernel is flipped over its first two axes, the filters and the channels: alone, or with rows and columns",
    "Rows and columns are the last two axes: w[:, :, ::-1, ::-1], or np.flip(w, (2, 3)). Without its axes np.flip "
    "flips all, and np.rot90 turns the first two.",
    with_weights(lambda w: w[::-1, ::-1]),
    with_weights(lambda w: w[::-1, ::-1, ::-1, ::-1]),
    with_weights(lambda w: w[::-1]),
    with_weights(lambda w: w[:, ::-1]),
    kind=Kind.INDEX,
)

enter(
    "kernel-transposed",
    "Conv.dx",
    "rows and columns of the kernel used for dx are exchanged",
    "A rotation by 180° is not a transpose: w[k,c,u,v] becomes w[k,c,K-1-u,K-1-v], not w[k,c,v,u]. Nor is it a "
    "rotation by 90°.",
    with_weights(lambda w: w.swapaxes(2, 3)),
    with_weights(lambda w: w[:, :, ::-1].swapaxes(2, 3)),
    with_weights(lambda w: w[:, :, :, ::-1].swapaxes(2, 3)),
    with_weights(lambda w: w[:, :, ::-1, ::-1].swapaxes(2, 3)),
    when=lambda context: len(set(context.window.size)) == 1,
    kind=Kind.INDEX,
)


@mistake(
    "windows-overwrite",
    "Conv.dx MeanPool.dx",
    "where windows overlap, each one overwrites what the previous one wrote: = instead of +=",
    "A pixel was read by several windows, so it gets an error from each of them: start from zeros and add (+=).",
    kind=Kind.SUM,
    question="dense-loop",
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
    "every product overwrites the previous one: = instead of +=, in the innermost loop",
    "The error of a pixel is a sum over all windows and all filters that used it: start from zeros and add (+=).",
    kind=Kind.SUM,
)
def terms_overwrite(context: Context) -> Iterator[Array]:
    terms, at = context.terms, context.letters()
    rows, columns, filters = (int(at[each].max()) + 1 for each in "ijk")
    yield context.sum(terms.last("inner", (at["k"] * rows + at["i"]) * columns + at["j"]))
    yield context.sum(terms.last("inner", (at["i"] * columns + at["j"]) * filters + at["k"]))


enter(
    "one-filter",
    "Conv.dx",
    "only the errors of one filter reach the input",
    "Every filter reads every channel, so the error of a channel is the sum over all filters: use += inside the loop "
    "over filters, and index dy with the filter of that loop.",
    of_outputs(lambda k, i, j: k == k.max()),
    of_outputs(lambda k, i, j: k == 0),
    kind=Kind.SUM,
    question="full-convolution",
)


enter(
    "filters-and-channels-exchanged",
    "Conv.dx Dense.dx",
    "the weights are read with their first two axes exchanged",
    "In the backward pass the sum runs over filters (units), and the result is indexed by channel (input): read "
    "w[k][c], not w[c][k]. A reshape does not transpose.",
    with_weights(reshaped),
    when=lambda context: (
        context.weights["w"].shape[0] == context.weights["w"].shape[1] or 1 not in context.weights["w"].shape[:2]
    ),
    kind=Kind.INDEX,
)

enter(
    "stride-forgotten",
    "Conv.dx Conv.dw Conv.y MeanPool.dx",
    "the stride is left out of the position of a window",
    "Window (i, j) begins at row i · stride and column j · stride, in the backward pass as in the forward pass.",
    lambda context: laid(context, replace(context.window, stride=(1, 1))),
    when=lambda context: max(context.window.stride) > 1,
    kind=Kind.WINDOW,
    question="stride",
)

enter(
    "padding-forgotten",
    "Conv.dx Conv.dw Conv.y",
    "the padding is left out: windows are placed as if the image had none",
    "With padding p, window (i, j) begins at row i · stride - p and column j · stride - p. Crop the margin of the "
    "padded gradient, or subtract p from the index.",
    lambda context: laid(context, replace(context.window, margins=((0, 0), (0, 0)))),
    when=lambda context: any(context.begin),
    kind=Kind.WINDOW,
    question="dense-loop",
)

enter(
    "padding-removed-twice",
    "Conv.dx Conv.dw Conv.y",
    "the padding is removed twice, or on the wrong side",
    "Remove p rows from the top and p from the bottom, once, and columns likewise.",
    lambda context: laid(context, replace(context.window, margins=tuple((2 * each, 0) for each in context.begin))),
    when=lambda context: any(context.begin),
    kind=Kind.WINDOW,
)

enter(
    "dilation-forgotten",
    "Conv.dx Conv.dw Conv.y",
    "the dilation is left out: the weights are applied to adjacent pixels",
    "In every pass, weight (u, v) belongs to the pixel u · dilation rows below and v · dilation columns to the right "
    "of the first pixel of the window.",
    lambda context: laid(context, replace(context.window, dilation=(1, 1))),
    when=lambda context: max(context.window.dilation) > 1,
    kind=Kind.WINDOW,
)

enter(
    "rows-and-columns-exchanged",
    "Conv.dx Conv.dw Conv.y MeanPool.dx",
    "rows and columns are exchanged in the position of a window",
    "Use the row index with the row stride and the height, and the column index with the column stride and the "
    "width. A map that is not square shows this mistake.",
    lambda context: laid(context, context.window, lambda i, j, u, v: (j, i, u, v)),
    lambda context: laid(context, replace(context.window, stride=context.window.stride[::-1])),
    lambda context: laid(context, context.window, lambda i, j, u, v: (i, j, v, u)),
    kind=Kind.INDEX,
)
