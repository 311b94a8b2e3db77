"""Mistakes that are in no catalogue: slips of one index, one cell, one loop; noise; two at once in one pass."""

import functools
from collections.abc import Callable
from zlib import crc32

import numpy as np

from diseased import Wrong
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.products import Terms
from plaingrad.compiler.loops import Array

STRANGE: dict[str, Wrong] = {}


def strange(wrong: Wrong) -> Wrong:
    """Enter a mistake under its function's name."""
    STRANGE[wrong.__name__.replace("_", "-")] = wrong
    return wrong


def drawn(context: Context) -> np.random.Generator:
    """Random numbers that are the same in every step."""
    return np.random.default_rng(crc32(repr(context.key[1:]).encode()))


def of_windows(wrong: Callable[[Context], "Array | None"]) -> Wrong:
    """Only in a convolution's sums."""

    @functools.wraps(wrong)
    def only(context: Context) -> "Array | None":
        return wrong(context) if context.kind == "Conv" and context.way in ("y", "dx", "dw") else None

    return only


def cell(context: Context) -> tuple[int, ...]:
    """One number's place: the largest, so that it matters."""
    return tuple(int(each) for each in np.unravel_index(np.abs(context.expected).argmax(), context.expected.shape))


def changed(context: Context, place: "tuple[int | slice, ...]", made: "Callable[[Array], Array | float]") -> Array:
    """What was right, with one part made otherwise."""
    array = context.expected.copy()
    array[place] = made(array[place])
    return array


@strange
def one_cell_wrong(context: Context) -> "Array | None":
    return changed(context, cell(context), lambda value: 1.5 * value + 0.1)


@strange
def one_cell_zero(context: Context) -> "Array | None":
    return changed(context, cell(context), lambda value: 0.0) if context.expected.size > 1 else None


@strange
def one_cell_negated(context: Context) -> "Array | None":
    return changed(context, cell(context), lambda value: -value) if context.expected.size > 1 else None


@strange
def one_channel_scaled(context: Context) -> "Array | None":
    return changed(context, (slice(None), 0), lambda part: 1.7 * part) if context.expected.ndim > 1 else None


@strange
def first_of_axis_scaled(context: Context) -> "Array | None":
    return changed(context, (0,), lambda part: 0.6 * part) if context.expected.ndim else None


@strange
def last_of_axis_zero(context: Context) -> "Array | None":
    if context.expected.ndim and len(context.expected) > 2:
        return changed(context, (-2,), lambda part: 0 * part)
    return None


@strange
def noise(context: Context) -> "Array | None":
    return context.expected * (1 + 0.01 * drawn(context).standard_normal(context.expected.shape))


@strange
def much_noise(context: Context) -> "Array | None":
    return context.expected + context.expected.std() * drawn(context).standard_normal(context.expected.shape)


@strange
def all_random(context: Context) -> "Array | None":
    return drawn(context).standard_normal(context.expected.shape)


@strange
def slightly_scaled(context: Context) -> "Array | None":
    return 1.03 * context.expected


@strange
def scaled_oddly(context: Context) -> "Array | None":
    return 1.37 * context.expected


@strange
def shifted_by_one(context: Context) -> "Array | None":
    return np.roll(context.expected, 1, -1) if context.expected.ndim else None


@strange
def shifted_without_wrapping(context: Context) -> "Array | None":
    if not context.expected.ndim:
        return None
    array = np.zeros_like(context.expected)
    array[..., 1:] = context.expected[..., :-1]
    return array


@strange
def mirrored(context: Context) -> "Array | None":
    return context.expected[..., ::-1] if context.expected.ndim and context.quantity != "w" else None


@strange
def shuffled(context: Context) -> "Array | None":
    return drawn(context).permutation(context.expected.reshape(-1)).reshape(context.expected.shape)


@strange
def integers(context: Context) -> "Array | None":
    return np.trunc(context.expected * 4) / 4


@strange
def offset(context: Context) -> "Array | None":
    return context.expected + 0.0625 * (1 + np.abs(context.expected).max())


@strange
def clipped(context: Context) -> "Array | None":
    top = np.abs(context.expected).max() / 2
    return np.clip(context.expected, -top, top)


@strange
def sizes_only(context: Context) -> "Array | None":
    return np.abs(context.expected) if context.way != "update" else None


@strange
def squared(context: Context) -> "Array | None":
    return context.expected**2


@strange
def sign_by_place(context: Context) -> "Array | None":
    signs = np.where(np.arange(context.expected.size) % 3 == 0, -1, 1).reshape(context.expected.shape)
    return context.expected * signs if context.expected.size > 3 else None


@strange
def normalised(context: Context) -> "Array | None":
    size = np.sqrt((context.expected**2).sum())
    return context.expected / size if size > 0 else None


@strange
def mean_taken_off(context: Context) -> "Array | None":
    return context.expected - context.expected.mean() if context.expected.size > 1 else None


@strange
def running_sum(context: Context) -> "Array | None":
    return np.cumsum(context.expected, axis=-1) if context.expected.ndim else None


@strange
def two_images_swapped(context: Context) -> "Array | None":
    if context.images > 1 and context.way in ("y", "dx") and context.expected.ndim:
        return context.expected[[1, 0, *range(2, context.images)]]
    return None


@strange
def images_doubled_up(context: Context) -> "Array | None":
    """The first image stands in the second's place too."""
    if context.images > 1 and context.way in ("y", "dx") and context.expected.ndim:
        return context.expected[[0, 0, *range(2, context.images)]]
    return None


@strange
def dropped_out(context: Context) -> "Array | None":
    kept = drawn(context).random(context.expected.shape) > 0.5
    return np.where(kept, 2 * context.expected, 0) if context.way in ("y", "dx") and context.expected.ndim else None


@strange
def input_halved(context: Context) -> "Array | None":
    if context.kind in ("Conv", "Dense") and context.way == "dw":
        return context.sum(context.terms, x=np.where(np.arange(context.x.shape[1]).reshape(-1, *[1] * (context.x.ndim - 2)) > 0, context.x, context.x / 2))  # fmt: skip  # noqa: E501
    return None


@strange
def error_of_one_filter_twice(context: Context) -> "Array | None":
    if context.kind in ("Conv", "Dense") and context.way in ("dx", "dw", "db") and context.dy.shape[1] > 2:
        dy = context.dy.copy()
        dy[:, 1] = dy[:, 0]
        return context.sum(context.terms, dy=dy)
    return None


@strange
@of_windows
def window_left_out_in_the_middle(context: Context) -> "Array | None":
    terms, (_, i, j) = context.terms, context.terms.place("out")
    return context.sum(terms.only((i != i.max() // 2) | (j != j.max() // 2)))


@strange
@of_windows
def loop_begins_at_one(context: Context) -> "Array | None":
    terms, (_, i, j) = context.terms, context.terms.place("out")
    return context.sum(terms.only((i > 0) & (j > 0)))


@strange
@of_windows
def kernel_row_left_out(context: Context) -> "Array | None":
    terms = context.terms
    u = context.letters()["u"]
    return context.sum(terms.only((u != 1) | (terms.inner < 0)))


@strange
@of_windows
def kernel_column_rolled(context: Context) -> "Array | None":
    if context.way == "dw":
        return np.roll(context.expected, 1, 3)
    return context.sum(context.terms, w={**context.weights, "w": np.roll(context.weights["w"], 1, 3)})


@strange
@of_windows
def windows_shifted_by_a_pixel(context: Context) -> "Array | None":
    (down, step), (apart, gap), (top, left) = context.window.stride, context.window.dilation, context.begin
    places = (lambda i, j, u, v: i * down + u * apart - top + 1, lambda i, j, u, v: j * step + v * gap - left)
    terms: Terms = context.placed(*places)
    return context.sum(terms)


@strange
@of_windows
def filter_index_one_off(context: Context) -> "Array | None":
    rolled = np.roll(context.weights["w"], 1, 0)
    return (
        np.roll(context.expected, 1, 0)
        if context.way == "dw"
        else context.sum(context.terms, w={**context.weights, "w": rolled})
    )


@strange
def weights_rounded(context: Context) -> "Array | None":
    if context.kind in ("Conv", "Dense") and context.way in ("y", "dx"):
        return context.sum(context.terms, w={name: np.round(w * 2) / 2 for name, w in context.weights.items()})
    return None


@strange
def error_of_the_next_image(context: Context) -> "Array | None":
    if context.images > 1 and context.kind in ("Conv", "Dense") and context.way == "dw":
        return context.sum(context.terms, dy=np.roll(context.dy, 1, 0))
    return None


@strange
def slope_of_half(context: Context) -> "Array | None":
    """An activation whose slope below zero is another."""
    if context.kind in ("ReLU", "LeakyReLU") and context.way == "dx":
        return np.where(context.x > 0, context.dy, 0.4 * context.dy)
    return None


@strange
def threshold_moved(context: Context) -> "Array | None":
    if context.kind in ("ReLU", "LeakyReLU") and context.way == "dx":
        return np.where(context.x > 0.3, context.dy, context.leak * context.dy)
    return None


@strange
def negated_and_scaled(context: Context) -> "Array | None":
    """Two mistakes in one pass."""
    return -context.expected / 9


@strange
def mirrored_and_one_image(context: Context) -> "Array | None":
    if context.images > 1 and context.kind in ("Conv", "Dense") and context.way in ("dw",):
        return context.sum(context.terms, dy=context.only_images(1))[..., ::-1]
    return None


@strange
def another_array(context: Context) -> "Array | None":
    """Numbers of the batch, where a result should be."""
    source = context.program.case.batches[context.step - 1].x
    return np.resize(source, context.expected.shape)


@strange
def another_layers_weights(context: Context) -> "Array | None":
    """Going back, the numbers of another layer's kernels, as far as they reach."""
    if context.kind in ("Conv", "Dense") and context.way in ("y", "dx"):
        others = [estimate.value for key, estimate in context.env.items() if key[0] == 0 and key[1] != context.name]
        if others:
            w = context.weights["w"]
            return context.sum(context.terms, w={**context.weights, "w": np.resize(others[-1], w.shape)})
    return None


@strange
def rate_of_another_size(context: Context) -> "Array | None":
    return context.weights[context.weight] - 0.7 * context.rate * context.slope if context.way == "update" else None


@strange
def only_the_first_unit_updated(context: Context) -> "Array | None":
    if context.way == "update" and len(context.expected) > 1:
        array = context.weights[context.weight].copy()
        array[0] = context.expected[0]
        return array
    return None
