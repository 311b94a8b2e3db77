"""Mistakes in what a convolution gathers for its kernels and biases."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import mistake
from plaingrad.checking.scene import Scene
from plaingrad.loops import Array


@mistake(
    "error-turned",
    "Conv.dx Conv.dw",
    "the map of errors is turned by 180°",
    "dw is the correlation of the input with dy as it lies: dw[k,c,u,v] = Σ dy[k,i,j] · x[c,i+u,j+v]. A `convolve` "
    "turns its second argument; use a correlation.",
)
def error_turned(scene: Scene) -> Iterator[Array]:
    yield scene.sum(scene.terms, dy=scene.dy[:, :, ::-1, ::-1])


@mistake(
    "error-transposed",
    "Conv.dx Conv.dw",
    "rows and columns of the map of errors are exchanged",
    "dy[k,i,j] belongs to the window in row i and column j: no transpose on the way.",
)
def error_transposed(scene: Scene) -> Iterator[Array]:
    dy = scene.dy
    yield scene.sum(scene.terms, dy=np.swapaxes(dy, 2, 3).reshape(dy.shape))


@mistake(
    "gradient-turned",
    "Conv.dw",
    "dw equals the true dw turned by 180°: the arguments of the correlation are swapped",
    "dw[k,c,u,v] = Σ dy[k,i,j] · x[c,i+u,j+v]: dy slides over x. Correlating dy with x instead (x slides over dy) "
    "gives every kernel upside down. (If you store your kernels turned, answer your weights too, and this is no "
    "mistake.)",
)
def gradient_turned(scene: Scene) -> Iterator[Array]:
    yield scene.expected[:, :, ::-1, ::-1]


@mistake(
    "gradient-transposed",
    "Conv.dw",
    "rows and columns of each kernel's gradient are exchanged",
    "The first window index counts rows, the second columns, in dw as in w.",
)
def gradient_transposed(scene: Scene) -> Iterator[Array]:
    if scene.expected.shape[2] == scene.expected.shape[3]:
        turned = scene.expected.swapaxes(2, 3)
        yield turned
        yield turned[:, :, ::-1]
        yield turned[:, :, :, ::-1]


@mistake(
    "one-position",
    "Conv.dw Conv.db",
    "only one position of the window counts: the sum over positions is overwritten, or left too early",
    "A kernel is used at every position, so its gradient is the sum over all of them: += in the loops over i and j, "
    "and return after them.",
)
def one_position(scene: Scene) -> Iterator[Array]:
    terms, (_, i, j) = scene.terms, scene.terms.place("out")
    last, first = (i == i.max()) & (j == j.max()), (i == i.min()) & (j == j.min())
    for kept in (last, first):
        yield scene.sum(terms.only(kept))
        if scene.images > 1:
            for image in (scene.images - 1, 0):
                yield scene.sum(terms.only(kept), dy=scene.only_images(image))


@mistake(
    "one-row",
    "Conv.dw Conv.db Conv.dx",
    "only one row of positions counts",
    "The loops over output rows and columns both belong inside the sum: += for every (i, j).",
)
def one_row(scene: Scene) -> Iterator[Array]:
    terms, (_, i, j) = scene.terms, scene.terms.place("out")
    for kept in (i == i.max(), i == i.min(), j == j.max(), j == j.min()):
        yield scene.sum(terms.only(kept))


@mistake(
    "last-window-left-out",
    "Conv.dw Conv.db Conv.dx Conv.y MeanPool.dx",
    "the last row or column of windows is left out: a loop ends one too early",
    "There are (size + 2·padding - window) / stride + 1 windows along an axis; mind the + 1.",
)
def last_left_out(scene: Scene) -> Iterator[Array]:
    terms, (_, i, j) = scene.terms, scene.terms.place("out")
    for kept in ((i < i.max()) & (j < j.max()), i < i.max(), j < j.max()):
        yield scene.sum(terms.only(kept))


@mistake(
    "one-channel",
    "Conv.dw Conv.y Conv.dx",
    "only one channel of the input counts",
    "The sum of a forward pass runs over all channels; the gradients have an entry for each. Use the channel's own "
    "index.",
)
def one_channel(scene: Scene) -> Iterator[Array]:
    terms, c = scene.terms, scene.letters()["c"]
    has_input = terms.inner >= 0
    for only in (c.max(), c.min()):
        yield scene.sum(terms.only((c == only) | ~has_input))
        if scene.quantity == "dw":
            yield scene.sum(terms.at("inner", (np.full_like(c, only), *terms.place("inner")[1:])))
    if scene.quantity == "dw":
        yield np.broadcast_to(scene.expected.sum(axis=1, keepdims=True), scene.expected.shape)


@mistake(
    "bias-times-input",
    "Conv.db Dense.db",
    "the gradient of the bias is multiplied by the input",
    "The bias is added as it is, so its input is 1: db is the plain sum of dy, without x.",
)
def bias_times_input(scene: Scene) -> Iterator[Array]:
    key = (scene.step, scene.name, "dw")
    dw = scene.program.value(key, scene.env)
    yield dw.reshape(len(dw), -1).sum(axis=1)
    yield dw.reshape(len(dw), -1).mean(axis=1)


@mistake(
    "bias-over-all-filters",
    "Conv.db Dense.db",
    "every bias gets the sum over all filters or units",
    "db[k] = Σ dy[k], over images and positions of filter k alone.",
)
def bias_over_all(scene: Scene) -> Iterator[Array]:
    yield np.full_like(scene.expected, scene.expected.sum())
    yield np.full_like(scene.expected, scene.expected.mean())


@mistake(
    "bias-left-out",
    "Conv.y Dense.y",
    "the bias is not added",
    "y[k] begins with b[k], to which the products are added.",
)
def bias_left_out(scene: Scene) -> Iterator[Array]:
    if "b" in scene.weights:
        yield scene.sum(scene.terms.only(scene.terms.inner >= 0))


@mistake(
    "bias-for-each-channel",
    "Conv.y",
    "the bias is added once for each channel, or for each product",
    "Add b[k] once for each output number, outside the loops over channels and window.",
)
def bias_for_each(scene: Scene) -> Iterator[Array]:
    if "b" in scene.weights:
        alone = scene.terms.inner < 0
        channels, window = scene.x.shape[1], int(np.prod(scene.window.size))
        for times in (channels, window, channels * window):
            yield scene.sum(scene.terms.times(np.where(alone, times, 1)))
