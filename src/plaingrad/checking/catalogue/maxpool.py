"""Mistakes in max pools: who won, where the winner is sought, and what it is paid."""

from collections.abc import Iterator
from math import prod

import numpy as np

from plaingrad.checking.catalogue.entry import Form, enter, mistake
from plaingrad.checking.search.context import Scene
from plaingrad.checking.search.single_layer import Changes
from plaingrad.compiler.loops import Array
from plaingrad.textbook.window import Window

# Pieces of the texts: by which rule a pixel wins, who is paid, and what.
LARGER = "is_larger(x[n, c, row, column], y[n, c, i, j])"
WON, ADD = "winner[n, c, i, j] == row * dx.shape[3] + column", "+= dy[n, c, i, j]"
EQUAL, WITH_BOTH = "x[n, c, row, column] == y[n, c, i, j]", ("(dy, winner,", "(dy, x, y,")


def passed(
    scene: Scene,
    forward: Changes = (),
    backward: Changes = (),
    sought: Window | None = None,
    paid: Window | None = None,
) -> Array:
    """What the pool makes with pieces of its texts replaced, or with other windows where winners are sought or paid."""
    alone, own = scene.program.alone(scene.name), scene.window.over(scene.x.shape[1:])
    alone.put(x=scene.x)
    alone.forward(*forward, window=sought or own)
    if scene.quantity == "dx":
        alone.put(dy=scene.dy)
        alone.backward(*backward, window=paid or own)
    return alone.get(scene.quantity)


def won_by(rule: str) -> Form:
    """A form in which another rule says whether a pixel replaces the one that won before it."""
    return lambda scene: passed(scene, ((LARGER, rule),))


enter(
    "winner-overwritten",
    "MaxPool.dx",
    "a pixel that won several windows keeps only the last error: = instead of +=",
    "Where windows overlap, one pixel can win several; it gets the error of each: start from zeros and add (+=).",
    lambda scene: scene.edited((ADD, "= dy[n, c, i, j]")),
)

enter(
    "all-ties-paid",
    "MaxPool.dx",
    "every pixel that equals the maximum gets the whole error",
    "Where several pixels tie, any one of them, or shares that add up to 1, is a right answer; paying all in full is "
    "more than was due. It matters only where ties happen.",
    lambda scene: scene.edited((WON, EQUAL), WITH_BOTH),
    convention=True,
)

enter(
    "last-tie-paid",
    "MaxPool.dx",
    "on a tie the last of the equal pixels gets the error",
    "Any of the equal pixels may get it; here it is the first in reading order.",
    won_by("x[n, c, row, column] >= y[n, c, i, j]"),
    convention=True,
)


def shared(scene: Scene) -> Array:
    """dx where the equal pixels of a window share its error."""
    equals = f"sum({EQUAL} for _, _, row, column in window(i, j))"
    return scene.edited((WON, EQUAL), (ADD, f"{ADD} / {equals}"), WITH_BOTH)


enter(
    "ties-share",
    "MaxPool.dx",
    "on a tie the equal pixels share the error",
    "Equal shares that add up to 1 are a right answer too; here the first in reading order gets it all.",
    shared,
    convention=True,
)


@mistake(
    "ties-otherwise",
    "MaxPool.dx",
    "on a tie the error is dealt out in some other way among the equal pixels",
    "Any shares that add up to 1 are a right answer; here the first in reading order gets it all.",
    convention=True,
)
def ties_otherwise(scene: Scene) -> Iterator[Array]:
    if scene.given is not None:
        paid = shared(scene) != passed(scene)
        off = np.where(paid, scene.given - scene.expected, 0)
        sums, sizes = off.sum(axis=(2, 3)), np.abs(off).sum(axis=(2, 3))
        if paid.any() and (np.abs(sums) <= 1e-4 * sizes).all():  # what one tied pixel lacks another has
            yield np.where(paid, scene.given, scene.expected)


enter(
    "mask-of-ones",
    "MaxPool.dx",
    "the winner gets 1 instead of the error",
    "The mask says where the error goes, not how large it is: mask · dy.",
    lambda scene: scene.edited((ADD, "+= 1")),
    lambda scene: scene.edited((ADD, "= 1")),
)

enter(
    "whole-window-paid",
    "MaxPool.dx",
    "every pixel of the window gets the error, not only the winner",
    "Only the largest pixel had a say in the output; the others could change a little and nothing would happen.",
    lambda scene: scene.edited((WON, "True")),
    lambda scene: scene.edited((WON, "True"), (ADD, "= dy[n, c, i, j]")),
)

enter(
    "shared-as-a-mean",
    "MaxPool.dx",
    "the error is shared out over the window, as a mean pool would",
    "A max pool sends the whole error to the pixel that won, nothing to the others.",
    lambda scene: scene.edited((WON, "True"), (ADD, f"{ADD} / (window.size[0] * window.size[1])")),
)


@mistake(
    "fixed-pixel-paid",
    "MaxPool.dx MeanPool.dx",
    "the error always goes to the same pixel of the window",
    "In a max pool remember on the way forward which pixel won (its row and column), and send the error there; in a "
    "mean pool every pixel of the window gets its share.",
)
def fixed_pixel(scene: Scene) -> Iterator[Array]:
    i, j = np.indices(scene.dy.shape[2:])
    (down, step), (top, left) = scene.window.stride, scene.begin
    for u, v in np.ndindex(*scene.window.size):
        yield paid(scene, i * down + u - top, j * step + v - left)


def paid(scene: Scene, row: Array, column: Array) -> Array:
    """dx where each error goes to the pixel (row, column); one beyond the image is lost."""
    dx = np.zeros_like(scene.expected)
    image, channel, row, column = np.broadcast_arrays(*np.indices(scene.dy.shape)[:2], row, column)
    inside = (row >= 0) & (row < dx.shape[2]) & (column >= 0) & (column < dx.shape[3])
    np.add.at(dx, tuple(each[inside] for each in (image, channel, row, column)), scene.dy[inside])
    return dx


enter(
    "smallest-paid",
    "MaxPool.dx",
    "the smallest pixel of the window gets the error",
    "The error goes to the pixel that made the output: the largest.",
    won_by("x[n, c, row, column] < y[n, c, i, j]"),
)

enter(
    "largest-size-paid",
    "MaxPool.dx",
    "the pixel that is largest without its sign gets the error",
    "The maximum is of the numbers as they are, not of their absolute values.",
    won_by("abs(x[n, c, row, column]) > abs(y[n, c, i, j])"),
)


def winners_of(scene: Scene, x: Array) -> Array:
    """dx with the winners of one image, or of one channel, for all."""
    return scene.program.loop(scene.name, "dx", np.broadcast_to(x, scene.x.shape), {}, scene.dy)


enter(
    "winners-of-one-image",
    "MaxPool.dx",
    "the winners of one image, or of one channel, are used for all",
    "Each image and each channel has its own winners: keep both indices with the remembered place.",
    lambda scene: winners_of(scene, scene.x[:1]),
    lambda scene: winners_of(scene, scene.x[-1:]),
    lambda scene: winners_of(scene, scene.x[:, :1]),
    lambda scene: winners_of(scene, scene.x[:, -1:]),
)

enter(
    "winner-times-its-value",
    "MaxPool.dx",
    "the error is multiplied by the pixel that won: window times mask times error",
    "The derivative of a maximum is 1 for the winner: dx += mask · dy, without the window's own numbers.",
    lambda scene: scene.expected * scene.x,
)

enter(
    "smallest-kept",
    "MaxPool.y",
    "the smallest of the window is kept, not the largest",
    "Begin with the first pixel of the window and replace it by any larger one.",
    won_by("x[n, c, row, column] < y[n, c, i, j]"),
)


@mistake(
    "maximum-begins-at-zero",
    "MaxPool.y",
    "the search for the maximum begins at 0 (or the padding's zeros take part), so a negative window gives 0",
    "Begin with the window's first pixel, or with minus infinity; padding must not win.",
)
def begins_at_zero(scene: Scene) -> Iterator[Array]:
    yield np.maximum(scene.expected, 0)
    if any(scene.owner.padding):
        pixels = np.array(scene.window.over(scene.x.shape[1:]).pixels(False, *scene.expected.shape[2:]))
        yield np.where(pixels < prod(scene.window.size), np.maximum(scene.expected, 0), scene.expected)
