"""Mistakes in max pools: who won, and what the winner is paid."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import mistake
from plaingrad.checking.scene import Scene
from plaingrad.loops import Array

ADD, WON = "+= dy[n, c, i, j]", "winner[n, c, i, j] == row * dx.shape[3] + column"
EQUAL, WITH_BOTH = "x[n, c, row, column] == y[n, c, i, j]", ("(dy, winner,", "(dy, x, y,")


@mistake(
    "winner-overwritten",
    "MaxPool.dx",
    "a pixel that won several windows keeps only the last error: = instead of +=",
    "Where windows overlap, one pixel can win several; it gets the error of each: start from zeros and add (+=).",
)
def winner_overwritten(scene: Scene) -> Iterator[Array]:
    yield scene.edited((ADD, "= dy[n, c, i, j]"))


@mistake(
    "all-ties-paid",
    "MaxPool.dx",
    "every pixel that equals the maximum gets the whole error",
    "Where several pixels tie, any one of them, or shares that add up to 1, is a right answer; paying all in full is "
    "more than was due. It matters only where ties happen.",
    convention=True,
)
def all_ties(scene: Scene) -> Iterator[Array]:
    yield scene.edited((WON, EQUAL), WITH_BOTH)


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
    yield scene.edited((ADD, "+= 1"))
    yield scene.edited((ADD, "= 1"))


@mistake(
    "whole-window-paid",
    "MaxPool.dx",
    "every pixel of the window gets the error, not only the winner",
    "Only the largest pixel had a say in the output; the others could change a little and nothing would happen.",
)
def whole_window(scene: Scene) -> Iterator[Array]:
    yield scene.edited((WON, "True"))
    yield scene.edited((WON, "True"), (ADD, "= dy[n, c, i, j]"))


@mistake(
    "shared-as-a-mean",
    "MaxPool.dx",
    "the error is shared out over the window, as a mean pool would",
    "A max pool sends the whole error to the pixel that won, nothing to the others.",
)
def shared_as_mean(scene: Scene) -> Iterator[Array]:
    yield scene.edited((WON, "True"), (ADD, f"{ADD} / (window.size[0] * window.size[1])"))


@mistake(
    "fixed-pixel-paid",
    "MaxPool.dx MeanPool.dx",
    "the error always goes to the same pixel of the window",
    "In a max pool remember on the way forward which pixel won (its row and column), and send the error there; in a "
    "mean pool every pixel of the window gets its share.",
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
    alone.run_on(x, {})
    alone.put(dy=scene.dy)
    alone.backward()
    return alone.get("dx")


@mistake(
    "winner-times-its-value",
    "MaxPool.dx",
    "the error is multiplied by the pixel that won: window times mask times error",
    "The derivative of a maximum is 1 for the winner: dx += mask · dy, without the window's own numbers.",
)
def times_its_value(scene: Scene) -> Iterator[Array]:
    yield scene.expected * scene.x


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
