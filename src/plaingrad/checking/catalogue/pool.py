"""Mistakes in pools."""

from collections.abc import Iterator
from math import prod

import numpy as np

from plaingrad.checking.alone import asks
from plaingrad.checking.catalogue.entry import mistake
from plaingrad.checking.scene import Pair, Scene
from plaingrad.layers.pool import maxpool_backward
from plaingrad.loops import Array

ADD = "before + dy[c, i, at(j * lanes + n)]"
WON = "winner[c, i, at(j * lanes + n)] == u * columns + v"
PIXEL, LARGEST = "x[c, u, at(v * lanes + n)]", "y[c, i, at(j * lanes + n)]"
WITH_BOTH = asks(maxpool_backward, "x", "y")


@mistake(
    "winner-overwritten",
    "MaxPool.dx",
    "a pixel that won several windows keeps only the last error: = instead of +=",
    "Where windows overlap, one pixel can win several; it gets the error of each: start from zeros and add (+=).",
)
def winner_overwritten(scene: Scene) -> Iterator[Array]:
    yield scene.loops((ADD, "dy[c, i, at(j * lanes + n)]"))


@mistake(
    "all-ties-paid",
    "MaxPool.dx",
    "every pixel that equals the maximum gets the whole error",
    "Where several pixels tie, any one of them, or shares that add up to 1, is a right answer; paying all in full is "
    "more than was due. It matters only where ties happen.",
    convention=True,
)
def all_ties(scene: Scene) -> Iterator[Array]:
    yield scene.loops((WON, f"{PIXEL} == {LARGEST}"), WITH_BOTH)


@mistake(
    "last-tie-paid",
    "MaxPool.dx",
    "on a tie the last of the equal pixels gets the error",
    "Any of the equal pixels may get it; here it is the first in reading order.",
    convention=True,
)
def last_tie(scene: Scene) -> Iterator[Array]:
    yield tied(scene, last=True)


@mistake(
    "ties-share",
    "MaxPool.dx",
    "on a tie the equal pixels share the error",
    "Equal shares that add up to 1 are a right answer too; here the first in reading order gets it all.",
    convention=True,
)
def ties_share(scene: Scene) -> Iterator[Array]:
    yield tied(scene, last=False)


@mistake(
    "ties-otherwise",
    "MaxPool.dx",
    "on a tie the error is dealt out in some other way among the equal pixels",
    "Any shares that add up to 1 are a right answer; here the first in reading order gets it all.",
    convention=True,
)
def ties_otherwise(scene: Scene) -> Iterator[Array]:
    if scene.given is not None:
        paid = tied(scene, last=False) != moved_winners(scene, scene.x)
        off = np.where(paid, scene.given - scene.expected, 0)
        sums, sizes = off.sum(axis=(2, 3)), np.abs(off).sum(axis=(2, 3))
        if paid.any() and (np.abs(sums) <= 1e-4 * sizes).all():  # what one tied pixel lacks another has
            yield np.where(paid, scene.given, scene.expected)


def tied(scene: Scene, last: bool) -> Array:
    """dx with another rule for ties: the last of the equal pixels gets all, or they share."""
    window, dx = scene.window, np.zeros_like(scene.expected)
    (down, step), (height, width) = window.stride, window.size
    top, left = window.margins[0][0], window.margins[1][0]
    for i in range(scene.dy.shape[2]):
        for j in range(scene.dy.shape[3]):
            rows = slice(max(i * down - top, 0), i * down - top + height)
            columns = slice(max(j * step - left, 0), j * step - left + width)
            part = scene.x[:, :, rows, columns]
            equal = part == part.max(axis=(2, 3), keepdims=True)
            flat = equal.reshape(*equal.shape[:2], -1)
            if last:
                only = np.zeros_like(flat)
                np.put_along_axis(only, flat.shape[2] - 1 - flat[:, :, ::-1].argmax(axis=2)[:, :, None], True, axis=2)
                flat = only
            shares = flat / flat.sum(axis=2, keepdims=True)
            dx[:, :, rows, columns] += shares.reshape(equal.shape) * scene.dy[:, :, i : i + 1, j : j + 1]
    return dx


@mistake(
    "mask-of-ones",
    "MaxPool.dx",
    "the winner gets 1 instead of the error",
    "The mask says where the error goes, not how large it is: mask · dy.",
)
def mask_of_ones(scene: Scene) -> Iterator[Array]:
    yield scene.loops((ADD, "before + 1"))
    yield scene.loops((ADD, "1"))


@mistake(
    "whole-window-paid",
    "MaxPool.dx",
    "every pixel of the window gets the error, not only the winner",
    "Only the largest pixel had a say in the output; the others could change a little and nothing would happen.",
)
def whole_window(scene: Scene) -> Iterator[Array]:
    yield scene.loops((WON, "winner[c, i, at(j * lanes + n)] == winner[c, i, at(j * lanes + n)]"))
    yield scene.loops((WON, "winner[c, i, at(j * lanes + n)] == winner[c, i, at(j * lanes + n)]"), (ADD, "dy[c, i, at(j * lanes + n)]"))  # fmt: skip  # noqa: E501


@mistake(
    "shared-as-a-mean",
    "MaxPool.dx",
    "the error is shared out over the window, as a mean pool would",
    "A max pool sends the whole error to the pixel that won, nothing to the others.",
)
def shared_as_mean(scene: Scene) -> Iterator[Array]:
    always = "winner[c, i, at(j * lanes + n)] == winner[c, i, at(j * lanes + n)]"
    yield scene.loops((WON, always), (ADD, f"{ADD} / (height * width)"))


@mistake(
    "fixed-pixel-paid",
    "MaxPool.dx MeanPool.dx",
    "the error always goes to the same pixel of the window",
    "Remember on the way forward which pixel won (its row and column), and send the error there.",
)
def fixed_pixel(scene: Scene) -> Iterator[Array]:
    window, dy = scene.window, scene.dy
    (down, step), (height, width) = window.stride, window.size
    top, left = window.margins[0][0], window.margins[1][0]
    for u in range(height):
        for v in range(width):
            dx = np.zeros_like(scene.expected)
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    row, column = i * down - top + u, j * step - left + v
                    if 0 <= row < dx.shape[2] and 0 <= column < dx.shape[3]:
                        dx[:, :, row, column] += dy[:, :, i, j]
            yield dx


@mistake(
    "smallest-paid",
    "MaxPool.dx",
    "the smallest pixel of the window gets the error",
    "The error goes to the pixel that made the output: the largest.",
)
def smallest_paid(scene: Scene) -> Iterator[Array]:
    yield moved_winners(scene, -scene.x)


@mistake(
    "largest-size-paid",
    "MaxPool.dx",
    "the pixel that is largest without its sign gets the error",
    "The maximum is of the numbers as they are, not of their absolute values.",
)
def largest_size(scene: Scene) -> Iterator[Array]:
    yield moved_winners(scene, np.abs(scene.x))


@mistake(
    "winners-of-one-image",
    "MaxPool.dx",
    "the winners of one image, or of one channel, are used for all",
    "Each image and each channel has its own winners: keep both indices with the remembered place.",
)
def winners_of_one(scene: Scene) -> Iterator[Array]:
    x = scene.x
    for one in (x[:1], x[-1:]):
        yield moved_winners(scene, np.broadcast_to(one, x.shape))
    for one in (x[:, :1], x[:, -1:]):
        yield moved_winners(scene, np.broadcast_to(one, x.shape))


def moved_winners(scene: Scene, x: Array) -> Array:
    """dx with the winners of another input."""
    alone = scene.program.alone(scene.name)
    alone.put(x=x)
    alone.forward()
    alone.put(dy=scene.dy)
    alone.backward()
    return alone.get("dx")


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
    flat = scene.program.alone(scene.name)
    flat.put(x=scene.x)
    flat.forward()
    winner = flat.get("winner")
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
    "MeanPool.y MeanPool.dx",
    "the zeros of the padding are counted, or not counted, otherwise than the case says",
    "Both ways are in use: the case's count_padding says which one it means, forward and back.",
    convention=True,
)
def padding_counted(scene: Scene) -> Iterator[Array]:
    layer = scene.owner
    if not any(layer.padding):
        return
    from plaingrad.checking.bilinear import terms_of

    terms = terms_of(layer.replace(count_padding=not layer.count_padding), scene.program.steps[scene.name].x)
    assert terms is not None
    yield scene.sum(terms)


@mistake(
    "smallest-kept",
    "MaxPool.y",
    "the smallest of the window is kept, not the largest",
    "Begin with the first pixel of the window and replace it by any larger one.",
)
def smallest_kept(scene: Scene) -> Iterator[Array]:
    yield -scene.program.loop(scene.name, "y", -scene.x, {}, None)


@mistake(
    "maximum-begins-at-zero",
    "MaxPool.y",
    "the search for the maximum begins at 0 (or the padding's zeros take part), so a negative window gives 0",
    "Begin with the window's first pixel, or with minus infinity; padding must not win.",
)
def begins_at_zero(scene: Scene) -> Iterator[Array]:
    yield np.maximum(scene.expected, 0)
    if any(scene.owner.padding):
        (top, bottom), (left, right) = scene.window.margins
        padded = np.pad(scene.x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        yield largest_of(scene, padded)


def largest_of(scene: Scene, padded: Array) -> Array:
    """The maximum of each window of a padded input."""
    (height, width), (down, step) = scene.window.size, scene.window.stride
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    rows, columns = scene.expected.shape[2:]
    found: Array = windows[:, :, ::down, ::step].max(axis=(4, 5))[:, :, :rows, :columns]
    return found


@mistake(
    "norm-not-divided",
    "L2Pool.dx",
    "the error is multiplied by x, and not divided by the norm",
    "y = √(Σ x²), so dx = dy · x / y; where y is 0 take 0.",
)
def norm_not_divided(scene: Scene) -> Iterator[Array]:
    yield scene.loops(("/ y[c, i, at(j * lanes + n)]", "* 1"))
    yield scene.loops(("/ y[c, i, at(j * lanes + n)]", "* 2"))


@mistake(
    "norm-squared",
    "L2Pool.dx",
    "the error is divided by the square of the norm, or the root's ½ is doubled or lost",
    "dx = dy · x / y: the 2 of the square and the ½ of the root cancel.",
)
def norm_squared(scene: Scene) -> Iterator[Array]:
    yield scene.loops(("/ y[c, i, at(j * lanes + n)]", "/ (y[c, i, at(j * lanes + n)] * y[c, i, at(j * lanes + n)])"))
    yield 2 * scene.expected
    yield scene.expected / 2


@mistake(
    "norm-without-input",
    "L2Pool.dx",
    "the error is not multiplied by the pixel itself",
    "y = √(Σ x²), so dx = dy · x / y: a pixel's share is its part of the norm.",
)
def norm_without_input(scene: Scene) -> Iterator[Array]:
    yield scene.loops(("* x[c, u, at(v * lanes + n)]", "* 1"))
    yield scene.loops(("* x[c, u, at(v * lanes + n)]", "* 1"), ("/ y[c, i, at(j * lanes + n)]", "* 1"))
    yield scene.loops(("* x[c, u, at(v * lanes + n)]", "* abs(x[c, u, at(v * lanes + n)])"))


@mistake(
    "norm-overwritten",
    "L2Pool.dx",
    "where windows overlap, each overwrites what the one before had left: = instead of +=",
    "A pixel was read by several windows, so it gets an error from each of them: start from zeros and add (+=).",
)
def norm_overwritten(scene: Scene) -> Iterator[Array]:
    yield scene.loops(("total = dx[c, u, at(v * lanes + n)]", "total = 0"))


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
