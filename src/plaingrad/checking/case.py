"""A case: a small network with all its numbers, for a program in any language to compute."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.case_words import FIELDS, asked
from plaingrad.compiler.loops import Array
from plaingrad.errors import CaseError, PlaingradError, SettingError, is_number, nearest, require_whole
from plaingrad.network.network import Network
from plaingrad.network.outline import Outline
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import (
    Conv,
    Dense,
    Flatten,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from plaingrad.textbook.losses import CrossEntropy, Loss, SoftmaxCrossEntropy

FORMAT = "plaingrad case 1"
GRAIN = 64  # numbers are whole multiples of 1 / GRAIN: any float holds them exactly, and they are short to print
MOST_BYTES = 1 << 27  # of a file: written in seconds; in memory a number takes about six times as much
BYTES_OF_A_NUMBER = 12
BY_WORD: dict[str, Layer] = {
    "conv": Conv(3, size=3, padding=1),
    "relu": ReLU(),
    "leakyrelu": LeakyReLU(0.125),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "maxpool": MaxPool(3, stride=2),
    "meanpool": MeanPool(2),
    "l2pool": L2Pool(2),
    "flatten": Flatten(),
    "dense": Dense(5),
    "softmax": Softmax(),
}


@dataclass(frozen=True)
class Batch:
    """What one step is given: x (image, channel, row, column) and target (image, output)."""

    x: Array
    target: Array


@dataclass(frozen=True)
class Case:
    """A float64 network whose activations are layers of their own, its loss, the batch of each step, and SGD's rate."""

    net: Network
    loss: Loss
    batches: tuple[Batch, ...]
    rate: float

    @property
    def images(self) -> int:
        """How many images each batch has."""
        return len(self.batches[0].x)

    def to_json(self) -> dict[str, Any]:
        """The case as any language reads it."""
        from plaingrad.explaining.facts import told_of

        layers = [
            {"name": step.name, **_plain(step.layer), "input": list(step.x), "output": list(step.y)}
            | {"about": told_of(step.layer)}
            for step in self.net.steps.values()
        ]
        return {
            "format": FORMAT,
            "about": FIELDS["about"],
            "fields": {name: text for name, text in FIELDS.items() if name != "about"},
            "network": {"name": self.net.name, "input": list(self.net.input), "layers": layers},
            "loss": {**self.loss.to_json(), "about": told_of(self.loss)},
            "rate": self.rate,
            "weights": {name: array.tolist() for name, array in self.net.arrays.items()},
            "steps": [{"x": batch.x.tolist(), "target": batch.target.tolist()} for batch in self.batches],
            "answer": {"about": FIELDS["answer"], "quantities": asked(self.net, self.images, len(self.batches))},
        }

    def text(self) -> str:
        """The case as JSON, a line for each field and each layer."""
        lines = []
        for key, value in self.to_json().items():
            if key in ("network", "answer", "weights", "fields"):
                inner = ",\n  ".join(f"{json.dumps(k)}: {_spread(v)}" for k, v in value.items())
                lines.append(f"{json.dumps(key)}: {{\n  {inner}\n }}")
            else:
                lines.append(f"{json.dumps(key)}: {_spread(value)}")
        return "{\n " + ",\n ".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: Any) -> "Case":
        """The case that `to_json` wrote; CaseError says what is wrong with one that was changed."""
        if not isinstance(text, dict) or text.get("format") != FORMAT:
            raise CaseError(
                f'this is not a case: a case is a JSON object with "format": "{FORMAT}"; see `plaingrad case`'
            )
        try:
            return cls._read(text)
        except PlaingradError as error:
            raise CaseError(f"the case cannot be used: {error}") from None
        except KeyError as error:
            raise CaseError(f"the case has no field {error}; write it again with `plaingrad case`") from None
        except (TypeError, ValueError, AttributeError, MemoryError, RecursionError, OverflowError) as error:
            raise CaseError(f"the case cannot be used: {' '.join(str(error).split())}") from None

    @classmethod
    def _read(cls, text: dict[str, Any]) -> "Case":
        network = text["network"]
        layers = [
            Layer.from_json({k: v for k, v in each.items() if k not in NOT_SETTINGS}) for each in network["layers"]
        ]
        outline = Outline(*layers, input=network["input"], name=str(network.get("name", "case")))
        own = [each["name"] for each in network["layers"]]
        if own != list(outline.shapes):
            raise CaseError(f"its layers are called {', '.join(outline.shapes)}, in that order")
        if outline.layers != unfused(outline.layers):
            raise CaseError("in a case, activations are separate layers")
        outline.require_room(np.dtype(float).itemsize)
        # Read before a network is built, which is then no larger than the file.
        weights = {name: _numbers(text["weights"][name], shape, name) for name, shape in outline.trained.items()}
        net = Network(*layers, input=outline.input, dtype="float64", name=outline.name)
        for name, array in net.arrays.items():
            array[...] = weights[name]
        loss = Loss.from_json({key: value for key, value in text["loss"].items() if key != "about"})
        loss.check(net.output)
        if not text["steps"]:
            raise CaseError("steps is empty; a case needs at least one")
        count = len(text["steps"][0]["x"])
        batches = tuple(
            Batch(
                _numbers(step["x"], (count, *net.input), f"x of step {number}"),
                _numbers(step["target"], (count, *net.output), f"target of step {number}"),
            )
            for number, step in enumerate(text["steps"], 1)
        )
        rate = float(_numbers(text["rate"], (), "rate"))
        if rate <= 0:
            raise CaseError(f"rate is {rate:g}; it needs a number above 0")
        return cls(net, loss, batches, rate)


NOT_SETTINGS = ("name", "input", "output", "about")


def _plain(layer: Layer) -> dict[str, Any]:
    return {key: value for key, value in layer.to_json().items() if value is not None}


def _spread(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n   " + ",\n   ".join(json.dumps(each, ensure_ascii=False) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _numbers(values: Any, shape: Shape, name: str) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "iuf":
        raise CaseError(f"{name} is not an array of numbers of the shape {shape}")
    array = array.astype(float)
    if array.shape != shape or not np.isfinite(array).all() or not array.size:
        raise CaseError(f"{name} got the shape {array.shape}; it needs finite numbers of the shape {shape}")
    return array


def unfused(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The same network with each fused activation as a layer of its own, after the one that did it."""
    separate: list[Layer] = []
    for layer in layers:
        activation = getattr(layer, "activation", None)
        separate += [layer.replace(activation=None), activation] if activation else [layer]
    return tuple(separate)


def make_case(
    layers: tuple[Layer, ...] | None = None,
    input: Shape = (2, 11, 9),
    *,
    simple: bool = False,
    loss: Loss | None = None,
    images: int | None = None,
    steps: int = 2,
    rate: float = 0.125,
    seed: int = 0,
    name: str = "case",
) -> Case:
    """A case of these layers; without any, one that makes hidden mistakes visible, or a `simple` one for a beginning.

    It has rows ≠ columns, channels ≠ filters, padding, an overlapping pool, a stride that leaves a remainder, several
    images and steps, and numbers drawn from the seed.
    """
    if layers is None:
        layers, input = (SIMPLE, (1, 6, 5)) if simple else (THOROUGH, input)
    images = require_whole("a case", "images", (1 if simple else 4) if images is None else images, 1)
    steps, seed = require_whole("a case", "steps", steps, 1), require_whole("a case", "seed", seed, 0)
    if not is_number(rate) or rate <= 0:
        raise SettingError(f"a case got rate={rate!r}; it needs a number above 0")
    if loss is not None and not isinstance(loss, Loss):
        known = ", ".join(f"{each}()" for each in Loss.kinds())
        raise SettingError(f"a case got loss={loss!r}; it needs one of {known}")
    if not isinstance(layers, list | tuple):
        raise SettingError(f"a case got layers={layers!r}; it needs a tuple of layers, such as (Conv(2), Flatten())")
    layers = unfused(tuple(layers))
    if len(Outline(*layers, input=input).output) != 1:
        layers = (*layers, Flatten(), Dense(3))
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
    batches = tuple(_batch(rng, net, loss, images) for _ in range(steps))
    return Case(net, loss, batches, rate)


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


def _batch(rng: np.random.Generator, net: Network, loss: Loss, images: int) -> Batch:
    x, classes = rng.integers(-GRAIN, 2 * GRAIN, (images, *net.input)) / GRAIN, net.output[0]
    if isinstance(loss, SoftmaxCrossEntropy | CrossEntropy):
        return Batch(x, np.eye(classes)[rng.permutation(np.arange(images) % classes)])
    return Batch(x, rng.integers(-GRAIN, GRAIN, (images, classes)) / GRAIN)


def of_words(words: str, input: Shape) -> tuple[Layer, ...]:
    """The layers of `conv,relu,maxpool`: each with settings that make mistakes visible."""
    chosen = [word.strip().lower() for word in words.split(",")]
    for word in chosen:
        if word not in BY_WORD:
            raise SettingError(f"--layers knows no layer {word!r}; {nearest(word, BY_WORD)}")
    layers: list[Layer] = []
    for word in chosen:
        layer = BY_WORD[word]
        if isinstance(layer, Conv):  # each with another number of filters than the one before, every second one strided
            before = sum(isinstance(each, Conv) for each in layers)
            layer = layer.replace(filters=3 + before % 3, stride=(2, 2) if before % 2 else (1, 1))
        layers.append(layer)
    return tuple(layers)


THOROUGH: tuple[Layer, ...] = (
    Conv(3, size=3, padding=1),
    ReLU(),
    MaxPool(3, stride=2),
    Conv(5, size=3, stride=2, padding=1),
    ReLU(),
    Flatten(),
    Dense(6),
)
SIMPLE: tuple[Layer, ...] = (Conv(1, size=3), ReLU(), MaxPool(2), Flatten(), Dense(2))
