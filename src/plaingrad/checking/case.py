"""A case: a small network with all its numbers, for a program in any language to compute."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plaingrad.checking.case_words import FIELDS, asked, fields_of
from plaingrad.compiler.loops import Array
from plaingrad.errors import CaseError, PlaingradError
from plaingrad.network.network import Network
from plaingrad.network.outline import Outline, names_of
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import Add
from plaingrad.textbook.losses import Loss

FORMAT = "plaingrad case 1"
GRAIN = 64  # numbers are whole multiples of 1 / GRAIN: any float holds them exactly, and they are short to print
MOST_BYTES = 1 << 27  # of a file: written in seconds; in memory a number takes about six times as much
BYTES_OF_A_NUMBER = 12


@dataclass(frozen=True)
class Batch:
    """What one step is given: x (image, channel, row, column), target (image, output), and the mask of each Dropout."""

    x: Array
    target: Array
    masks: dict[str, Array] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Its arrays by name."""
        masks = {"masks": {name: mask.astype(int).tolist() for name, mask in self.masks.items()}} if self.masks else {}
        return {"x": self.x.tolist(), "target": self.target.tolist(), **masks}


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

    @property
    def has_modes(self) -> bool:
        """Whether a layer does something else once it is trained."""
        return any(step.layer.infer is not None for step in self.net.steps.values())

    def to_json(self) -> dict[str, Any]:
        """The case as any language reads it."""
        from plaingrad.explaining.facts import told_of

        layers = [
            {"name": step.name, **_plain(step.layer), "input": list(step.x), "output": list(step.y)}
            | {"about": told_of(step.layer)}
            for step in self.net.steps.values()
        ]
        told = {
            "format": FORMAT,
            "about": FIELDS["about"],
            "fields": fields_of(self.net),
            "network": {"name": self.net.name, "input": list(self.net.input), "layers": layers},
            "loss": {**self.loss.to_json(), "about": told_of(self.loss)},
            "rate": self.rate,
            "weights": {name: array.tolist() for name, array in self.net.arrays.items()},
            "state": {name: array.tolist() for name, array in state_of(self.net).items()},
            "steps": [batch.to_json() for batch in self.batches],
            "answer": {"about": FIELDS["answer"], "quantities": asked(self.net, self.images, len(self.batches))},
        }
        return {name: each for name, each in told.items() if each or name != "state"}

    def text(self) -> str:
        """The case as JSON, a line for each field and each layer."""
        lines = []
        for key, value in self.to_json().items():
            if key in ("network", "answer", "weights", "state", "fields"):
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
        for name, array in state_of(net).items():
            array[...] = _numbers(text["state"][name], array.shape, name)
            if name.endswith("variance") and not (array >= 0).all():
                raise CaseError(f"{name} is a variance: it needs numbers of at least 0")
        loss = Loss.from_json({key: value for key, value in text["loss"].items() if key != "about"})
        loss.check(net.output)
        if not text["steps"]:
            raise CaseError("steps is empty; a case needs at least one")
        count = len(text["steps"][0]["x"])
        batches = tuple(
            Batch(
                _numbers(step["x"], (count, *net.input), f"x of step {number}"),
                _numbers(step["target"], (count, *net.output), f"target of step {number}"),
                _masks(net, step, count, number),
            )
            for number, step in enumerate(text["steps"], 1)
        )
        rate = float(_numbers(text["rate"], (), "rate"))
        if rate <= 0:
            raise CaseError(f"rate is {rate:g}; it needs a number above 0")
        return cls(net, loss, batches, rate)


NOT_SETTINGS = ("name", "input", "output", "about")


def state_of(net: Network) -> dict[str, Array]:
    """Each array by name that is kept from step to step and is not trained by gradients."""
    return {f"{step.name}.{own}": array for step in net.steps.values() for own, array in step.state.items()}


def _masks(net: Network, step: dict[str, Any], count: int, number: int) -> dict[str, Array]:
    """The masks of a step: of each Dropout one, of zeros and ones."""
    found = {}
    for each in net.steps.values():
        if each.layer.dropped() is not None:
            name = f"the mask of {each.name} in step {number}"
            found[each.name] = _numbers(step["masks"][each.name], (count, *each.x), name)
            if not np.isin(found[each.name], (0, 1)).all():
                raise CaseError(f"{name} has other numbers than 0 and 1; it needs 1 for each number that stays")
    return found


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
    last: list[int] = []  # of each layer the place of what makes its output
    for layer in layers:
        activation = getattr(layer, "activation", None)
        separate += [layer.replace(activation=None), activation] if activation else [layer]
        last.append(len(separate) - 1)
    if len(separate) > len(layers):
        names = names_of(tuple(separate))
        now = {name: names[place] for name, place in zip(names_of(layers), last, strict=True)}
        separate = [
            each.replace(layer=now.get(each.layer, each.layer)) if isinstance(each, Add) else each for each in separate
        ]
    return tuple(separate)
