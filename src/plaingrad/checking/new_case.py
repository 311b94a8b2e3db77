"""A new case, drawn from a seed: numbers and settings that make mistakes visible."""

import math
from typing import Any

import numpy as np

from plaingrad.checking.balance import balance, enlivened
from plaingrad.checking.case import BYTES_OF_A_NUMBER, GRAIN, MOST_BYTES, Batch, Case, unfused
from plaingrad.checking.case_layers import BY_WORD as BY_WORD
from plaingrad.checking.case_layers import (
    LARGE_INPUT,
    SIMPLE,
    THOROUGH,
    UNITS,
    is_wide,
    turned,
    turned_input,
    without_dilation,
)
from plaingrad.checking.case_layers import of_words as of_words
from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError, is_number, require_whole
from plaingrad.network.network import Network
from plaingrad.network.outline import Outline
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import Dense, Flatten, Sigmoid, Softmax
from plaingrad.textbook.losses import CrossEntropy, Loss, SoftmaxCrossEntropy

RATE = 3 / 16  # not 1 over any whole number, so that it is no other factor


IMAGES = (3, 4, 5, 7)  # in a batch: the first of these that is no other size of the network


MOST_BALANCED = 10_000  # outputs of layers in a batch: more take too long


def make_case(
    layers: tuple[Layer, ...] | None = None,
    input: Shape | None = None,
    *,
    simple: bool = False,
    loss: Loss | None = None,
    images: int | None = None,
    steps: int = 2,
    rate: float = RATE,
    seed: int = 0,
    undilated: bool = False,
    name: str = "case",
) -> Case:
    """A case of these layers; without any, one that makes hidden mistakes visible, or a `simple` one for a beginning.

    The default has windows, strides and paddings that differ in rows and columns, overlapping windows, a dilation, a
    remainder that no window reaches, several images and steps, sizes that are all different, and numbers of either
    sign drawn from the seed. Even seeds have images higher than wide, odd ones wider than high. `input` is (channel,
    row, column); `images`, unless told, is a number unlike all sizes of the network. `undilated` leaves out dilation
    and the padding of pools, which few programs have. SettingError says what does not fit together.
    """
    steps, seed = require_whole("a case", "steps", steps, 1), require_whole("a case", "seed", seed, 0)
    if layers is None:
        layers, input = (SIMPLE, (1, 6, 5)) if simple else (THOROUGH, turned_input(seed) if input is None else input)
        layers = turned(layers) if is_wide(input) else layers
    input = turned_input(seed, LARGE_INPUT) if input is None else input
    if not is_number(rate) or rate <= 0:
        raise SettingError(f"a case got rate={rate!r}; it needs a number above 0")
    if loss is not None and not isinstance(loss, Loss):
        known = ", ".join(f"{each}()" for each in Loss.kinds())
        raise SettingError(f"a case got loss={loss!r}; it needs one of {known}")
    if not isinstance(layers, list | tuple):
        raise SettingError(f"a case got layers={layers!r}; it needs a tuple of layers, such as (Conv(2), Flatten())")
    layers = without_dilation(unfused(tuple(layers))) if undilated else unfused(tuple(layers))
    if len(Outline(*layers, input=input).output) != 1:
        layers = (*layers, Flatten(), Dense(UNITS[0]))
    if images is None:
        images = 1 if simple else _unlike(Outline(*layers, input=input))
    images = require_whole("a case", "images", images, 1)
    _require_room(Outline(*layers, input=input), images * steps)
    net = Network(*layers, input=input, dtype="float64", name=name)
    if isinstance(loss, CrossEntropy) and not isinstance(layers[-1], Softmax | Sigmoid):
        raise SettingError("CrossEntropy needs probabilities: end with softmax, or use SoftmaxCrossEntropy")
    if loss is None:
        loss = CrossEntropy() if isinstance(layers[-1], Softmax) else SoftmaxCrossEntropy()
    loss.check(net.output)
    rng = np.random.default_rng(seed)
    for step in net.steps.values():
        for key, weights in step.weights.items():
            reach = math.sqrt(2 / weights.inputs) if weights.inputs else 0.25
            step.arrays[key][...] = _drawn(rng, weights.shape, reach)
        for own, array in step.state.items():
            array[...] = 1 + _above(rng, array.shape) if "variance" in own else _drawn(rng, array.shape, 0.25)
    batches = tuple(_batch(rng, net, loss, images) for _ in range(steps))
    made = Case(net, loss, batches, rate)
    if images * sum(math.prod(step.y) for step in net.steps.values()) <= MOST_BALANCED:
        balance(made)
        made = enlivened(made) if rate == RATE else made
    return made


def _require_room(net: Outline, images: int) -> None:
    """SettingError where the case of so many images in all would be too large to be read again."""
    each, most = math.prod(net.input) + math.prod(net.output), MOST_BYTES // BYTES_OF_A_NUMBER - net.size
    if images * each > most:
        raise SettingError(
            f"a case got {images:,} images of {each:,} numbers and {net.size:,} weights; a file takes "
            f"{MOST_BYTES >> 20} MiB at most: take {max(most // each, 0):,} images or fewer, or a smaller network"
        )


def _drawn(rng: np.random.Generator, shape: Shape, reach: float) -> Array:
    """Multiples of 1 / GRAIN of about this size; none is 0, which would hide a connection."""
    grain = GRAIN * 2 ** max(0, math.ceil(math.log2(8 / (GRAIN * reach))))  # small weights of wide layers too
    most = max(round(1.7 * reach * grain), 1)
    return np.asarray(rng.choice([-1, 1], shape) * rng.integers(1, most + 1, shape) / grain)


def _above(rng: np.random.Generator, shape: Shape) -> Array:
    """Multiples of 1 / GRAIN between 0 and 1."""
    return np.asarray(rng.integers(1, GRAIN, shape) / GRAIN)


def _masks(rng: np.random.Generator, net: Network, images: int) -> dict[str, Array]:
    """For each Dropout zeros and ones: in each map of an image, or among its features, some of either."""
    found = {}
    for step in net.steps.values():
        rate = step.layer.dropped()
        if rate is None:
            continue
        rows = np.empty((images * (step.x[0] if len(step.x) == 3 else 1), math.prod(step.x[1:] or step.x)))
        for row in rows:
            most = max(row.size - 1, 1)
            row[...] = 1
            row[rng.permutation(row.size)[: min(max(round(rate * row.size), 1), most)]] = 0
        found[step.name] = rows.reshape(images, *step.x)
    return found


def _batch(rng: np.random.Generator, net: Network, loss: Loss, images: int) -> Batch:
    x, classes = rng.integers(-GRAIN, 2 * GRAIN, (images, *net.input)) / GRAIN, net.output[0]
    if isinstance(loss, SoftmaxCrossEntropy | CrossEntropy):
        target = np.eye(classes)[rng.permutation(np.arange(images) % classes)]
    else:
        target = rng.integers(-GRAIN, GRAIN, (images, classes)) / GRAIN
    return Batch(x, target, _masks(rng, net, images))


def _unlike(net: Outline) -> int:
    """A number of images that is no other size of the network."""
    sizes = set(net.input)
    for layer, (_, y, _) in zip(net.layers, net.shapes.values(), strict=True):
        window: Any = getattr(layer, "size", ())
        sizes |= {*y, math.prod(y[1:]), math.prod(window), sum(window)}
    return next((count for count in IMAGES if count not in sizes), IMAGES[0])
