"""Mistakes in pools: where their windows lie, and in mean and L2 pools."""

from collections.abc import Iterator
from math import prod

import numpy as np

from plaingrad.checking.bilinear import Terms, terms_of
from plaingrad.checking.catalogue.entry import mistake
from plaingrad.checking.scene import Pair, Scene
from plaingrad.loops import Array

NORM, INPUT = "/ y[n, c, i, j]", "* x[n, c, row, column]"  # in the text of an L2 pool


@mistake(
    "one-window",
    "MaxPool.dx MeanPool.dx L2Pool.dx",
    "only one window sends its error back: the loop is left too early",
    "Return after the loops over i and j, not inside them.",
)
def one_window(scene: Scene) -> Iterator[Array]:
    last = np.zeros_like(scene.dy)
    last[:, :, -1, -1] = scene.dy[:, :, -1, -1]
    first = np.zeros_like(scene.dy)
    first[:, :, 0, 0] = scene.dy[:, :, 0, 0]
    for dy in (first, last):
        yield of_other_error(scene, dy)


def of_other_error(scene: Scene, dy: Array) -> Array:
    """dx of another upstream error."""
    return scene.program.loop(scene.name, "dx", scene.x, scene.weights, dy)


@mistake(
    "pool-windows-left-out",
    "MaxPool.dx L2Pool.dx",
    "the last row or column of windows sends nothing back",
    "There are (size + 2·padding - window) / stride + 1 windows along an axis; mind the + 1.",
)
def pool_windows_left_out(scene: Scene) -> Iterator[Array]:
    for rows, columns in (((-1,), ()), ((), (-1,)), ((-1,), (-1,))):
        dy = scene.dy.copy()
        dy[:, :, list(rows), :] = 0
        dy[:, :, :, list(columns)] = 0
        yield of_other_error(scene, dy)


@mistake(
    "pool-stride-is-size",
    "MaxPool.dx",
    "going back, windows are taken to stand side by side: the window's size is used for the stride",
    "Window (i, j) begins at i · stride, going back as going forward, also where stride and size differ.",
)
def stride_is_size(scene: Scene) -> Iterator[Array]:
    if scene.window.stride != scene.window.size:
        yield from sought_elsewhere(scene, scene.window.size)


@mistake(
    "pool-stride-forgotten",
    "MaxPool.dx",
    "going back, the stride is left out of the place where a window begins",
    "Window (i, j) begins at row i · stride and column j · stride, going back as going forward.",
)
def pool_stride_forgotten(scene: Scene) -> Iterator[Array]:
    if max(scene.window.stride) > 1:
        yield from sought_elsewhere(scene, (1, 1))


@mistake(
    "pool-rows-and-columns-exchanged",
    "MaxPool.dx",
    "going back, rows and columns are exchanged in the place of a window, or of its winner",
    "Row index with row stride, column index with column stride; a winner's place p in a map of so many columns is row "
    "p // columns and column p % columns.",
)
def pool_rows_and_columns(scene: Scene) -> Iterator[Array]:
    if len(set(scene.window.stride)) > 1:
        yield from sought_elsewhere(scene, scene.window.stride[::-1])
    rows, columns = scene.x.shape[2:]
    alone = scene.program.alone(scene.name)
    alone.run_on(scene.x, {})
    winner = alone.get("winner")
    for row, column in ((winner % columns, winner // columns), (winner // rows, winner % rows)):
        yield paid(scene, scene.dy, row, column)


def sought_elsewhere(scene: Scene, stride: Pair) -> Iterator[Array]:
    """dx where windows move by another stride going back: the winner sought there, or remembered in its window."""
    window = scene.window
    (top, left), (down, step), (height, width) = scene.begin, window.stride, window.size
    overwritten, added = np.zeros_like(scene.expected), np.zeros_like(scene.expected)
    remembered = np.zeros_like(scene.expected)
    for i in range(scene.dy.shape[2]):
        for j in range(scene.dy.shape[3]):
            place = (i * stride[0] - top, j * stride[1] - left)
            own = (i * down - top, j * step - left)
            dy = scene.dy[:, :, i : i + 1, j : j + 1]
            for out, source in ((added, place), (overwritten, place), (remembered, own)):
                rows, columns = (slice(max(s, 0), s + n) for s, n in zip(source, (height, width), strict=True))
                part = scene.x[:, :, rows, columns]
                if not part.size:
                    continue
                won = part.reshape(*part.shape[:2], -1).argmax(axis=2)[..., None, None]
                row, column = rows.start + won // part.shape[3], columns.start + won % part.shape[3]
                if out is remembered:
                    row, column = row - own[0] + place[0], column - own[1] + place[1]
                send(out, dy, row, column, add=out is not overwritten)
    yield added
    yield overwritten
    yield remembered


def paid(scene: Scene, dy: Array, row: Array, column: Array) -> Array:
    """dx where each error goes to the pixel (row, column); one beyond the image is lost."""
    dx = np.zeros_like(scene.expected)
    send(dx, dy, row, column, add=True)
    return dx


def send(dx: Array, dy: Array, row: Array, column: Array, add: bool) -> None:
    """Each error to its pixel."""
    image, channel = (axis[..., None, None] for axis in np.indices(dy.shape[:2]))
    inside = (row >= 0) & (row < dx.shape[2]) & (column >= 0) & (column < dx.shape[3])
    places = tuple(np.broadcast_to(each, dy.shape)[inside] for each in (image, channel, row, column))
    if add:
        np.add.at(dx, places, dy[inside])
    else:
        dx[places] = dy[inside]


@mistake(
    "not-divided",
    "MeanPool.dx",
    "the error is not divided by the number of pixels in the window",
    "y is the mean, Σ x / k²: each pixel had 1/k² of a say, so it gets 1/k² of the error, going back as going forward.",
)
def not_divided(scene: Scene) -> Iterator[Array]:
    terms = scene.terms
    yield scene.sum(terms.times(1 / terms.factor))


@mistake(
    "sum-not-mean",
    "MeanPool.y",
    "the sum of the window instead of its mean",
    "Divide by the number of pixels under the window.",
)
def sum_not_mean(scene: Scene) -> Iterator[Array]:
    terms = scene.terms
    yield scene.sum(terms.times(1 / terms.factor))


@mistake(
    "mean-over-channels",
    "MeanPool.y MaxPool.y",
    "one number for all channels: the window is taken over the channels too",
    "A pool works on each channel by itself.",
)
def mean_over_channels(scene: Scene) -> Iterator[Array]:
    way = np.mean if scene.kind == "MeanPool" else np.max
    yield np.broadcast_to(way(scene.expected, axis=1, keepdims=True), scene.expected.shape)


@mistake(
    "padding-counted",
    "MeanPool.y",
    "the zeros of the padding are counted, or not counted, otherwise than the case says",
    "Both ways are in use: the case's count_padding says which one it means, forward and back.",
    convention=True,
)
def padding_counted(scene: Scene) -> Iterator[Terms]:
    yield from counted_otherwise(scene)


@mistake(
    "padding-counted-going-back",
    "MeanPool.dx",
    "going back the padding is counted, or not counted, otherwise than on the way forward",
    "Each pixel's share is 1 / (the number its window was divided by on the way forward).",
)
def padding_counted_back(scene: Scene) -> Iterator[Array]:
    for terms in counted_otherwise(scene):
        yield scene.sum(terms)


def counted_otherwise(scene: Scene) -> Iterator[Terms]:
    """The terms of a mean pool that takes the zeros of its padding the other way."""
    layer = scene.owner
    if any(layer.padding):
        terms = terms_of(layer.replace(count_padding=not layer.count_padding), scene.program.steps[scene.name].x)
        assert terms is not None
        yield terms


@mistake(
    "norm-not-divided",
    "L2Pool.dx",
    "the error is multiplied by x, and not divided by the norm",
    "y = √(Σ x²), so dx = dy · x / y; where y is 0 take 0.",
)
def norm_not_divided(scene: Scene) -> Iterator[Array]:
    yield scene.edited((NORM, "* 1"))
    yield scene.edited((NORM, "* 2"))


@mistake(
    "norm-squared",
    "L2Pool.dx",
    "the error is divided by the square of the norm, or the root's ½ is doubled or lost",
    "dx = dy · x / y: the 2 of the square and the ½ of the root cancel.",
)
def norm_squared(scene: Scene) -> Iterator[Array]:
    yield scene.edited((NORM, "/ (y[n, c, i, j] * y[n, c, i, j])"))
    yield 2 * scene.expected
    yield scene.expected / 2


@mistake(
    "norm-without-input",
    "L2Pool.dx",
    "the error is not multiplied by the pixel itself",
    "y = √(Σ x²), so dx = dy · x / y: a pixel's share is its part of the norm.",
)
def norm_without_input(scene: Scene) -> Iterator[Array]:
    yield scene.edited((INPUT, "* 1"))
    yield scene.edited((INPUT, "* 1"), (NORM, "* 1"))
    yield scene.edited((INPUT, "* abs(x[n, c, row, column])"))


@mistake(
    "norm-overwritten",
    "L2Pool.dx",
    "where windows overlap, each overwrites what the one before had left: = instead of +=",
    "A pixel was read by several windows, so it gets an error from each of them: start from zeros and add (+=).",
)
def norm_overwritten(scene: Scene) -> Iterator[Array]:
    yield scene.edited(("+=", "="))


@mistake(
    "root-left-out",
    "L2Pool.y",
    "the root is left out, or the mean is taken before it",
    "y = √(Σ x²): sum the squares, then take the root.",
)
def root_left_out(scene: Scene) -> Iterator[Array]:
    yield scene.expected**2
    yield scene.expected / prod(scene.window.size) ** 0.5
    yield scene.expected**2 / prod(scene.window.size)
