"""Mistakes in what a convolution gathers for its kernels and biases."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, enter, mistake
from plaingrad.checking.catalogue.otherwise import of_outputs
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

enter(
    "error-rotated",
    "Conv.dx Conv.dw",
    "the error dy is rotated by 180°",
    "dw is the cross-correlation of the input with dy, which is not rotated: dw[k,c,u,v] = Σ dy[k,i,j] · "
    "x[c,i+u,j+v]. A function such as `convolve` rotates its second argument; use one such as `correlate`.",
    lambda context: context.sum(context.terms, dy=context.dy[:, :, ::-1, ::-1]),
    kind=Kind.INDEX,
    question="rotated-or-not",
)

enter(
    "error-transposed",
    "Conv.dx Conv.dw",
    "rows and columns of the error dy are exchanged",
    "dy[k,i,j] belongs to the window in row i and column j: do not transpose it.",
    lambda context: context.sum(context.terms, dy=np.swapaxes(context.dy, 2, 3).reshape(context.dy.shape)),
    kind=Kind.INDEX,
)

enter(
    "gradient-rotated",
    "Conv.dw",
    "dw is the correct dw rotated by 180°: the arguments of the correlation are swapped",
    "dw[k,c,u,v] = Σ dy[k,i,j] · x[c,i+u,j+v]: dy slides over x. Correlating dy with x instead (x slides over dy) "
    "gives every kernel rotated by 180°. (If your program stores its kernels rotated, include the weights in your "
    "answer; then this is not a mistake.)",
    lambda context: context.expected[:, :, ::-1, ::-1],
    kind=Kind.INDEX,
    question="rotated-or-not",
)

enter(
    "gradient-transposed",
    "Conv.dw",
    "rows and columns of each kernel's gradient are exchanged",
    "The first window index counts rows, the second columns, in dw as in w.",
    lambda context: context.expected.swapaxes(2, 3),
    lambda context: context.expected.swapaxes(2, 3)[:, :, ::-1],
    lambda context: context.expected.swapaxes(2, 3)[:, :, :, ::-1],
    when=lambda context: len(set(context.window.size)) == 1,
    kind=Kind.INDEX,
)

enter(
    "one-position",
    "Conv.dw Conv.db",
    "only one position of the window is used: the sum over the positions is overwritten, or its loop ends too early",
    "A kernel is used at every position, so its gradient is the sum over all positions: use += inside the loops over "
    "i and j, and return after them.",
    *(of_outputs(lambda k, i, j: (i == i.max()) & (j == j.max()), image) for image in (None, -1, 0)),
    *(of_outputs(lambda k, i, j: (i == 0) & (j == 0), image) for image in (None, -1, 0)),
    kind=Kind.SUM,
)

enter(
    "one-row",
    "Conv.dw Conv.db Conv.dx",
    "only one row or column of window positions is used",
    "The sum runs over all rows and all columns of the output: += for every (i, j).",
    of_outputs(lambda k, i, j: i == i.max()),
    of_outputs(lambda k, i, j: i == 0),
    of_outputs(lambda k, i, j: j == j.max()),
    of_outputs(lambda k, i, j: j == 0),
    kind=Kind.SUM,
    question="shared-weight",
)

enter(
    "last-window-left-out",
    "Conv.dw Conv.db Conv.dx Conv.y MeanPool.dx",
    "the last row or column of windows is left out: a loop ends one step too early",
    "There are (size + 2·padding - window) / stride + 1 windows along an axis; do not forget the + 1.",
    of_outputs(lambda k, i, j: (i < i.max()) & (j < j.max())),
    of_outputs(lambda k, i, j: i < i.max()),
    of_outputs(lambda k, i, j: j < j.max()),
    kind=Kind.SUM,
    question="shared-weight",
)


@mistake(
    "one-channel",
    "Conv.dw Conv.y Conv.dx",
    "only one channel of the input is used",
    "The sum in the forward pass runs over all channels, and the gradients have an entry for each: use the index of "
    "the channel.",
    kind=Kind.SUM,
)
def one_channel(context: Context) -> Iterator[Array]:
    terms, c = context.terms, context.letters()["c"]
    has_input = terms.inner >= 0
    for only in (c.max(), c.min()):
        yield context.sum(terms.only((c == only) | ~has_input))
        if context.quantity == "dw":
            yield context.sum(terms.at("inner", (np.full_like(c, only), *terms.place("inner")[1:])))


def rows_of_dw(context: Context) -> Array:
    """The gradient of the weights beside a bias, one row for each of its numbers."""
    dw = context.program.value((context.step, context.name, "dw"), context.env)
    return dw.reshape(len(dw), -1)


enter(
    "bias-times-input",
    "Conv.db Dense.db",
    "the gradient of the bias is multiplied by the input",
    "The bias is added without a factor, so db is the plain sum of dy, without x.",
    lambda context: rows_of_dw(context).sum(axis=1),
    lambda context: rows_of_dw(context).mean(axis=1),
    kind=Kind.FACTOR,
)

enter(
    "bias-over-all-filters",
    "Conv.db Dense.db",
    "every bias gets the sum over all filters or units",
    "db[k] = Σ dy[k]: the sum over images and positions, for filter k only.",
    lambda context: np.full_like(context.expected, context.expected.sum()),
    lambda context: np.full_like(context.expected, context.expected.mean()),
    kind=Kind.SUM,
)

enter(
    "bias-left-out",
    "Conv.y Dense.y",
    "the bias is not added",
    "y[k] starts from b[k], and the products are added to it.",
    lambda context: context.sum(context.terms.only(context.terms.inner >= 0)),
    when=lambda context: "b" in context.weights,
    kind=Kind.OMISSION,
)


def with_bias_times(context: Context, times: Array | float) -> Array:
    """The outputs where the bias is added so many times, to all of them or to each."""
    return context.sum(context.terms.times(np.where(context.terms.inner < 0, times, 1)))


enter(
    "bias-added-twice",
    "Conv.y Dense.y",
    "the bias is added twice",
    "y[k] starts from b[k], and only the products are added to it.",
    lambda context: with_bias_times(context, 2),
    when=lambda context: "b" in context.weights,
    plain=True,
    kind=Kind.SUM,
)


@mistake(
    "bias-for-each-channel",
    "Conv.y Dense.y",
    "the bias is added once for each channel, for each pixel of the window, or for each product",
    "Add b[k] once for each output number, outside the loops over channels and window.",
    kind=Kind.SUM,
)
def bias_for_each(context: Context) -> Iterator[Array]:
    if "b" not in context.weights:
        return
    channels = context.weights["w"].shape[1]
    yield with_bias_times(context, channels)
    if context.window is not None:
        window = int(np.prod(context.window.size))
        yield with_bias_times(context, window)
        yield with_bias_times(context, channels * window)
        _, i, j = context.terms.place("out")
        rows, columns = context.expected.shape[2:]
        inside = np.array(context.window.over(context.x.shape[1:]).pixels(False, rows, columns))[i, j]
        yield with_bias_times(context, inside)
        yield with_bias_times(context, channels * inside)


enter(
    "bias-subtracted",
    "Conv.y Dense.y",
    "the bias is subtracted",
    "y[k] starts from b[k], and the products are added to it.",
    lambda context: with_bias_times(context, -1),
    when=lambda context: "b" in context.weights,
    kind=Kind.FACTOR,
)


@mistake(
    "bias-gradient-for-each-product",
    "Conv.db Dense.db",
    "the gradient of the bias is added inside the loops over the window or the channels: once for each of their turns",
    "The bias is added once to each output number: db[k] += dy[k,i,j] outside the loops over channels and window.",
    late=True,
    kind=Kind.SUM,
)
def bias_gradient_for_each(context: Context) -> Iterator[Array]:
    channels = context.weights["w"].shape[1]
    yield channels * context.expected
    if context.window is not None:
        window = int(np.prod(context.window.size))
        yield window * context.expected
        yield channels * window * context.expected
        rows, columns = context.dy.shape[2:]
        inside = np.array(context.window.over(context.x.shape[1:]).pixels(False, rows, columns))
        yield context.of_error(context.dy * inside)
        yield channels * context.of_error(context.dy * inside)
