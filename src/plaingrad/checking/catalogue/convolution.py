"""Mistakes in convolutions: forward, the error for the input, the gradients of kernel and bias."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.bilinear import Terms
from plaingrad.checking.catalogue.entry import mistake
from plaingrad.checking.scene import Scene
from plaingrad.loops import Array


@mistake(
    "true-convolution",
    "Conv.y",
    "a true convolution: the kernel is turned by 180° on the way forward",
    "Both ways are in use; the case's kernels are not turned. Turn them when you read them, or take this as your "
    "own way: everything after it is judged so.",
    convention=True,
)
def true_convolution(scene: Scene) -> Iterator[Terms]:
    terms, (height, width) = scene.terms, scene.window.size
    k, c, u, v = terms.place("weight")
    yield terms.at("weight", (k, c, height - 1 - u, width - 1 - v))


@mistake(
    "kernel-turned",
    "Conv.dx",
    "the kernel is turned by 180° against the right way in the error for the input",
    "Each error goes back along the weights it came by: dx[c,row+u,column+v] += w[k,c,u,v] · dy[k,i,j]. Written as a "
    "scatter over windows the kernel is not turned; only written as one full convolution of dy it is turned, once.",
)
def kernel_turned(scene: Scene) -> Iterator[Array]:
    terms, (height, width) = scene.terms, scene.window.size
    k, c, u, v = terms.place("weight")
    yield scene.sum(terms.at("weight", (k, c, height - 1 - u, width - 1 - v)))


@mistake(
    "kernel-half-turned",
    "Conv.dx",
    "the kernel is turned along one axis only in the error for the input",
    "A turn by 180° reverses rows and columns; reversing only one of them mirrors the kernel.",
)
def kernel_half_turned(scene: Scene) -> Iterator[Array]:
    terms, (height, width) = scene.terms, scene.window.size
    k, c, u, v = terms.place("weight")
    yield scene.sum(terms.at("weight", (k, c, height - 1 - u, v)))
    yield scene.sum(terms.at("weight", (k, c, u, width - 1 - v)))


@mistake(
    "kernel-transposed",
    "Conv.dx",
    "rows and columns of the kernel are exchanged in the error for the input",
    "A turn by 180° is no transpose: w[k,c,u,v] becomes w[k,c,K-1-u,K-1-v], not w[k,c,v,u]; nor is it a quarter turn.",
)
def kernel_transposed(scene: Scene) -> Iterator[Array]:
    terms, (height, width) = scene.terms, scene.window.size
    k, c, u, v = terms.place("weight")
    if height == width:
        for places in ((v, u), (height - 1 - v, u), (v, height - 1 - u), (height - 1 - v, height - 1 - u)):
            yield scene.sum(terms.at("weight", (k, c, *places)))


@mistake(
    "windows-overwrite",
    "Conv.dx MeanPool.dx",
    "where windows overlap, each overwrites what the one before had left: = instead of +=",
    "A pixel was read by several windows, so it gets an error from each of them: start from zeros and add (+=).",
)
def windows_overwrite(scene: Scene) -> Iterator[Array]:
    terms, at = scene.terms, scene.letters()
    order = at["i"] * (at["j"].max() + 1) + at["j"]
    yield scene.sum(terms.last("inner", order))
    yield scene.sum(terms.last("inner", -order))
    yield scene.sum(
        terms.last("inner", at["u"] * (at["v"].max() + 1) + at["v"])
    )  # columns written back window by pixel


@mistake(
    "terms-overwrite",
    "Conv.dx",
    "every product overwrites the one before: = instead of +=, in the innermost loop",
    "The error of a pixel is a sum over all windows and all filters that used it: start from zeros and add (+=).",
)
def terms_overwrite(scene: Scene) -> Iterator[Array]:
    terms, at = scene.terms, scene.letters()
    rows, columns, filters = (int(at[each].max()) + 1 for each in "ijk")
    yield scene.sum(terms.last("inner", (at["k"] * rows + at["i"]) * columns + at["j"]))
    yield scene.sum(terms.last("inner", (at["i"] * columns + at["j"]) * filters + at["k"]))


@mistake(
    "one-filter",
    "Conv.dx",
    "only one filter's errors reach the input",
    "Every filter read every channel, so the error of a channel is the sum over all filters: += inside the filter "
    "loop, and the filter's own index for dy.",
)
def one_filter(scene: Scene) -> Iterator[Array]:
    terms, k = scene.terms, scene.letters()["k"]
    for only in (k.max(), k.min()):
        yield scene.sum(terms.only(k == only))


@mistake(
    "filters-and-channels-exchanged",
    "Conv.dx Dense.dx",
    "the weights are read with their first two axes exchanged",
    "Going back, the sum runs over filters (units) and the result is indexed by channel (input): read w[k][c], not "
    "w[c][k]; a reshape does not transpose.",
)
def exchanged(scene: Scene) -> Iterator[Array]:
    terms = scene.terms
    k, c, *rest = terms.place("weight")
    filters, channels = scene.weights["w"].shape[:2]
    if filters == channels:
        yield scene.sum(terms.at("weight", (c, k, *rest)))
    elif min(filters, channels) > 1:
        turned = {**scene.weights, "w": reshaped(scene.weights["w"])}
        yield scene.sum(terms, w=turned)


def reshaped(w: Array) -> Array:
    """The weights as one reads them who reshaped where a transpose was needed."""
    filters, channels, *rest = w.shape
    return np.ascontiguousarray(np.swapaxes(w.reshape(channels, filters, *rest), 0, 1))


@mistake(
    "stride-forgotten",
    "Conv.dx Conv.dw Conv.y MeanPool.dx",
    "the stride is left out of the place where a window begins",
    "Window (i, j) begins at row i · stride and column j · stride, going back as going forward.",
)
def stride_forgotten(scene: Scene) -> Iterator[Array]:
    (apart, gap), (top, left) = scene.window.dilation, scene.begin
    if max(scene.window.stride) > 1:
        yield scene.sum(scene.placed(lambda i, j, u, v: i + u * apart - top, lambda i, j, u, v: j + v * gap - left))


@mistake(
    "padding-forgotten",
    "Conv.dx Conv.dw Conv.y",
    "the padding is left out: windows are taken as if the image began at its first pixel",
    "With padding p, window (i, j) begins p rows above and p columns left of i · stride, j · stride. Cut the margin "
    "off the padded gradient, or take it off the index.",
)
def padding_forgotten(scene: Scene) -> Iterator[Array]:
    (apart, gap), (down, step) = scene.window.dilation, scene.window.stride
    if any(scene.begin):
        yield scene.sum(scene.placed(lambda i, j, u, v: i * down + u * apart, lambda i, j, u, v: j * step + v * gap))


@mistake(
    "padding-removed-twice",
    "Conv.dx Conv.dw Conv.y",
    "the padding is taken off twice, or on the wrong side",
    "Cut p rows from the top and p from the bottom, once.",
)
def padding_twice(scene: Scene) -> Iterator[Array]:
    (apart, gap), (down, step), (top, left) = scene.window.dilation, scene.window.stride, scene.begin
    if any(scene.begin):
        yield scene.sum(
            scene.placed(
                lambda i, j, u, v: i * down + u * apart - 2 * top, lambda i, j, u, v: j * step + v * gap - 2 * left
            )
        )


@mistake(
    "dilation-forgotten",
    "Conv.dx Conv.dw Conv.y",
    "the dilation is left out: the kernel's weights stand side by side",
    "Weight (u, v) meets the pixel u · dilation below and v · dilation right of the window's first, in every pass.",
)
def dilation_forgotten(scene: Scene) -> Iterator[Array]:
    (down, step), (top, left) = scene.window.stride, scene.begin
    if max(scene.window.dilation) > 1:
        yield scene.sum(scene.placed(lambda i, j, u, v: i * down + u - top, lambda i, j, u, v: j * step + v - left))


@mistake(
    "rows-and-columns-exchanged",
    "Conv.dx Conv.dw Conv.y MeanPool.dx",
    "rows and columns are exchanged in the place of a window",
    "Row index with row stride and height, column index with column stride and width; a map that is not square "
    "shows it.",
)
def rows_and_columns(scene: Scene) -> Iterator[Array]:
    (apart, gap), (down, step), (top, left) = scene.window.dilation, scene.window.stride, scene.begin
    yield scene.sum(
        scene.placed(lambda i, j, u, v: j * down + u * apart - top, lambda i, j, u, v: i * step + v * gap - left)
    )
    yield scene.sum(
        scene.placed(lambda i, j, u, v: i * step + u * apart - top, lambda i, j, u, v: j * down + v * gap - left)
    )
    yield scene.sum(
        scene.placed(lambda i, j, u, v: i * down + v * apart - top, lambda i, j, u, v: j * step + u * gap - left)
    )
