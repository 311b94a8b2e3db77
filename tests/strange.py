"""Mistakes that are in no catalogue: slips of one index, one cell, one loop; noise; two at once in one pass."""

import functools
from collections.abc import Callable
from zlib import crc32

import numpy as np

from diseased import Wrong
from plaingrad.checking.search.context import Scene
from plaingrad.checking.search.products import Terms
from plaingrad.compiler.loops import Array

STRANGE: dict[str, Wrong] = {}


def strange(wrong: Wrong) -> Wrong:
    """Enter a mistake under its function's name."""
    STRANGE[wrong.__name__.replace("_", "-")] = wrong
    return wrong


def drawn(scene: Scene) -> np.random.Generator:
    """Random numbers that are the same in every step."""
    return np.random.default_rng(crc32(repr(scene.key[1:]).encode()))


def of_windows(wrong: Callable[[Scene], "Array | None"]) -> Wrong:
    """Only in a convolution's sums."""

    @functools.wraps(wrong)
    def only(scene: Scene) -> "Array | None":
        return wrong(scene) if scene.kind == "Conv" and scene.way in ("y", "dx", "dw") else None

    return only


def cell(scene: Scene) -> tuple[int, ...]:
    """One number's place: the largest, so that it matters."""
    return tuple(int(each) for each in np.unravel_index(np.abs(scene.expected).argmax(), scene.expected.shape))


def changed(scene: Scene, place: "tuple[int | slice, ...]", made: "Callable[[Array], Array | float]") -> Array:
    """What was right, with one part made otherwise."""
    array = scene.expected.copy()
    array[place] = made(array[place])
    return array


@strange
def one_cell_wrong(scene: Scene) -> "Array | None":
    return changed(scene, cell(scene), lambda value: 1.5 * value + 0.1)


@strange
def one_cell_zero(scene: Scene) -> "Array | None":
    return changed(scene, cell(scene), lambda value: 0.0) if scene.expected.size > 1 else None


@strange
def one_cell_negated(scene: Scene) -> "Array | None":
    return changed(scene, cell(scene), lambda value: -value) if scene.expected.size > 1 else None


@strange
def one_channel_scaled(scene: Scene) -> "Array | None":
    return changed(scene, (slice(None), 0), lambda part: 1.7 * part) if scene.expected.ndim > 1 else None


@strange
def first_of_axis_scaled(scene: Scene) -> "Array | None":
    return changed(scene, (0,), lambda part: 0.6 * part) if scene.expected.ndim else None


@strange
def last_of_axis_zero(scene: Scene) -> "Array | None":
    if scene.expected.ndim and len(scene.expected) > 2:
        return changed(scene, (-2,), lambda part: 0 * part)
    return None


@strange
def noise(scene: Scene) -> "Array | None":
    return scene.expected * (1 + 0.01 * drawn(scene).standard_normal(scene.expected.shape))


@strange
def much_noise(scene: Scene) -> "Array | None":
    return scene.expected + scene.expected.std() * drawn(scene).standard_normal(scene.expected.shape)


@strange
def all_random(scene: Scene) -> "Array | None":
    return drawn(scene).standard_normal(scene.expected.shape)


@strange
def slightly_scaled(scene: Scene) -> "Array | None":
    return 1.03 * scene.expected


@strange
def scaled_oddly(scene: Scene) -> "Array | None":
    return 1.37 * scene.expected


@strange
def shifted_by_one(scene: Scene) -> "Array | None":
    return np.roll(scene.expected, 1, -1) if scene.expected.ndim else None


@strange
def shifted_without_wrapping(scene: Scene) -> "Array | None":
    if not scene.expected.ndim:
        return None
    array = np.zeros_like(scene.expected)
    array[..., 1:] = scene.expected[..., :-1]
    return array


@strange
def mirrored(scene: Scene) -> "Array | None":
    return scene.expected[..., ::-1] if scene.expected.ndim and scene.quantity != "w" else None


@strange
def shuffled(scene: Scene) -> "Array | None":
    return drawn(scene).permutation(scene.expected.reshape(-1)).reshape(scene.expected.shape)


@strange
def integers(scene: Scene) -> "Array | None":
    return np.trunc(scene.expected * 4) / 4


@strange
def offset(scene: Scene) -> "Array | None":
    return scene.expected + 0.0625 * (1 + np.abs(scene.expected).max())


@strange
def clipped(scene: Scene) -> "Array | None":
    top = np.abs(scene.expected).max() / 2
    return np.clip(scene.expected, -top, top)


@strange
def sizes_only(scene: Scene) -> "Array | None":
    return np.abs(scene.expected) if scene.way != "update" else None


@strange
def squared(scene: Scene) -> "Array | None":
    return scene.expected**2


@strange
def sign_by_place(scene: Scene) -> "Array | None":
    signs = np.where(np.arange(scene.expected.size) % 3 == 0, -1, 1).reshape(scene.expected.shape)
    return scene.expected * signs if scene.expected.size > 3 else None


@strange
def normalised(scene: Scene) -> "Array | None":
    size = np.sqrt((scene.expected**2).sum())
    return scene.expected / size if size > 0 else None


@strange
def mean_taken_off(scene: Scene) -> "Array | None":
    return scene.expected - scene.expected.mean() if scene.expected.size > 1 else None


@strange
def running_sum(scene: Scene) -> "Array | None":
    return np.cumsum(scene.expected, axis=-1) if scene.expected.ndim else None


@strange
def two_images_swapped(scene: Scene) -> "Array | None":
    if scene.images > 1 and scene.way in ("y", "dx") and scene.expected.ndim:
        return scene.expected[[1, 0, *range(2, scene.images)]]
    return None


@strange
def images_doubled_up(scene: Scene) -> "Array | None":
    """The first image stands in the second's place too."""
    if scene.images > 1 and scene.way in ("y", "dx") and scene.expected.ndim:
        return scene.expected[[0, 0, *range(2, scene.images)]]
    return None


@strange
def dropped_out(scene: Scene) -> "Array | None":
    kept = drawn(scene).random(scene.expected.shape) > 0.5
    return np.where(kept, 2 * scene.expected, 0) if scene.way in ("y", "dx") and scene.expected.ndim else None


@strange
def input_halved(scene: Scene) -> "Array | None":
    if scene.kind in ("Conv", "Dense") and scene.way == "dw":
        return scene.sum(scene.terms, x=np.where(np.arange(scene.x.shape[1]).reshape(-1, *[1] * (scene.x.ndim - 2)) > 0, scene.x, scene.x / 2))  # fmt: skip  # noqa: E501
    return None


@strange
def error_of_one_filter_twice(scene: Scene) -> "Array | None":
    if scene.kind in ("Conv", "Dense") and scene.way in ("dx", "dw", "db"):
        dy = scene.dy.copy()
        dy[:, 1] = dy[:, 0]
        return scene.sum(scene.terms, dy=dy) if dy.shape[1] > 2 else None
    return None


@strange
@of_windows
def window_left_out_in_the_middle(scene: Scene) -> "Array | None":
    terms, (_, i, j) = scene.terms, scene.terms.place("out")
    return scene.sum(terms.only((i != i.max() // 2) | (j != j.max() // 2)))


@strange
@of_windows
def loop_begins_at_one(scene: Scene) -> "Array | None":
    terms, (_, i, j) = scene.terms, scene.terms.place("out")
    return scene.sum(terms.only((i > 0) & (j > 0)))


@strange
@of_windows
def kernel_row_left_out(scene: Scene) -> "Array | None":
    terms = scene.terms
    u = scene.letters()["u"]
    return scene.sum(terms.only((u != 1) | (terms.inner < 0)))


@strange
@of_windows
def kernel_column_rolled(scene: Scene) -> "Array | None":
    if scene.way == "dw":
        return np.roll(scene.expected, 1, 3)
    return scene.sum(scene.terms, w={**scene.weights, "w": np.roll(scene.weights["w"], 1, 3)})


@strange
@of_windows
def windows_shifted_by_a_pixel(scene: Scene) -> "Array | None":
    (down, step), (apart, gap), (top, left) = scene.window.stride, scene.window.dilation, scene.begin
    places = (lambda i, j, u, v: i * down + u * apart - top + 1, lambda i, j, u, v: j * step + v * gap - left)
    terms: Terms = scene.placed(*places)
    return scene.sum(terms)


@strange
@of_windows
def filter_index_one_off(scene: Scene) -> "Array | None":
    rolled = np.roll(scene.weights["w"], 1, 0)
    return (
        np.roll(scene.expected, 1, 0) if scene.way == "dw" else scene.sum(scene.terms, w={**scene.weights, "w": rolled})
    )


@strange
def weights_rounded(scene: Scene) -> "Array | None":
    if scene.kind in ("Conv", "Dense") and scene.way in ("y", "dx"):
        return scene.sum(scene.terms, w={name: np.round(w * 2) / 2 for name, w in scene.weights.items()})
    return None


@strange
def error_of_the_next_image(scene: Scene) -> "Array | None":
    if scene.images > 1 and scene.kind in ("Conv", "Dense") and scene.way == "dw":
        return scene.sum(scene.terms, dy=np.roll(scene.dy, 1, 0))
    return None


@strange
def slope_of_half(scene: Scene) -> "Array | None":
    """An activation whose slope below zero is another."""
    if scene.kind in ("ReLU", "LeakyReLU") and scene.way == "dx":
        return np.where(scene.x > 0, scene.dy, 0.4 * scene.dy)
    return None


@strange
def threshold_moved(scene: Scene) -> "Array | None":
    if scene.kind in ("ReLU", "LeakyReLU") and scene.way == "dx":
        return np.where(scene.x > 0.3, scene.dy, scene.leak * scene.dy)
    return None


@strange
def negated_and_scaled(scene: Scene) -> "Array | None":
    """Two mistakes in one pass."""
    return -scene.expected / 9


@strange
def mirrored_and_one_image(scene: Scene) -> "Array | None":
    if scene.images > 1 and scene.kind in ("Conv", "Dense") and scene.way in ("dw",):
        return scene.sum(scene.terms, dy=scene.only_images(1))[..., ::-1]
    return None


@strange
def another_array(scene: Scene) -> "Array | None":
    """Numbers of the batch, where a result should be."""
    source = scene.program.case.batches[scene.step - 1].x
    return np.resize(source, scene.expected.shape)


@strange
def another_layers_weights(scene: Scene) -> "Array | None":
    """Going back, the numbers of another layer's kernels, as far as they reach."""
    if scene.kind in ("Conv", "Dense") and scene.way in ("y", "dx"):
        others = [belief.value for key, belief in scene.env.items() if key[0] == 0 and key[1] != scene.name]
        if others:
            w = scene.weights["w"]
            return scene.sum(scene.terms, w={**scene.weights, "w": np.resize(others[-1], w.shape)})
    return None


@strange
def rate_of_another_size(scene: Scene) -> "Array | None":
    return scene.weights[scene.weight] - 0.7 * scene.rate * scene.slope if scene.way == "update" else None


@strange
def only_the_first_unit_updated(scene: Scene) -> "Array | None":
    if scene.way == "update" and len(scene.expected) > 1:
        array = scene.weights[scene.weight].copy()
        array[0] = scene.expected[0]
        return array
    return None
