"""A network's outline: its layers in order and the shapes they imply, proved to fit, before any number is there.

What a file tells of a network is held against its outline, so that no file makes us build what it does not hold.
"""

import html
import math
from typing import Any

import numpy as np

from plaingrad.errors import SettingError, ShapeError, nearest
from plaingrad.textbook.layer import Layer, Shape, State, Weights
from plaingrad.textbook.notebook import table
from plaingrad.textbook.phrases import shape_text
from plaingrad.textbook.text import Text

FORMAT = "plaingrad network 1"
MOST_NUMBERS = 1 << 44
MOST_BYTES = 1 << 31  # that a network from a file may take: its parameters, and a few images on their way
AT_ONCE = 8  # numbers for each number of an image: a shard of four images, each with its error


def names_of(layers: tuple[Any, ...]) -> list[str]:
    """What the layers of a network are called: each by its kind, and which of them it is, counted from 1."""
    kinds = [type(layer).__name__.lower() for layer in layers]
    return [f"{kind}{kinds[: place + 1].count(kind)}" for place, kind in enumerate(kinds)]


class Outline:
    """Layers in order, each with its shapes. `input` is (channel, row, column), or one axis of features."""

    def __init__(self, *layers: Layer, input: tuple[int, ...] | None, name: str = "") -> None:
        self.layers, self.name, self.input = tuple(layers), name or "network", _input(input)
        if not layers:
            raise SettingError("a network got no layers; it needs at least one")
        self.shapes = self._shapes()

    def _shapes(self) -> dict[str, tuple[Shape, Shape, dict[str, Weights]]]:
        """Each layer's name, input, output and weights, proved to fit."""
        shape, path = self.input, f"input {self.input}"
        shapes: dict[str, tuple[Shape, Shape, dict[str, Weights]]] = {}
        for layer, name in zip(self.layers, names_of(self.layers), strict=True):
            if not isinstance(layer, Layer):
                raise SettingError(f"a network is made of layers, got {layer!r}; did you forget its ()?")
            for way in ("forward", "backward"):
                if not isinstance(getattr(layer, way, None), Text):
                    raise SettingError(f"{name} = {layer} has no {way}: state it as a text, see docs/layers.md")
            try:
                out = layer.output(shape)
                if any(size < 1 for size in out):
                    raise ShapeError(f"its output() gives {out}; every axis needs at least 1")
                if layer.skips() is not None:
                    layer.joined(shape, self._skipped(layer, shapes)[1])
                made = [shape, out, *(each.shape for each in layer.weights(shape).values())]
                if max(map(math.prod, made)) > MOST_NUMBERS:
                    raise ShapeError("it makes an array of more numbers than any machine holds; make it smaller")
            except ShapeError as error:
                raise ShapeError(f"{name} = {layer} got {shape}: {error}. The way there: {path}") from None
            shapes[name] = (shape, out, layer.weights(shape))
            path, shape = f"{path} → {name} {out}", out
        return shapes

    def _skipped(self, layer: Layer, shapes: dict[str, Any]) -> Any:
        """The shapes of the layer that a skip begins at; ShapeError where it can be none."""
        name = layer.skips()
        if name not in shapes:
            raise ShapeError(f"it names no earlier layer: {nearest(str(name), shapes) if shapes else 'there is none'}")
        if name == next(reversed(shapes)):
            raise ShapeError(f"{name} is its own input; a skip begins at least one layer further back")
        others = [each for each in self.layers[: len(shapes)] if each.skips() == name]
        if others:
            raise ShapeError(f"a skip begins at {name} already; let it begin one layer later, or earlier")
        return shapes[name]

    @property
    def states(self) -> dict[str, State]:
        """Every array that is kept from step to step and not trained, by its whole name, `batchnorm1.running_mean`."""
        return {
            f"{name}.{own}": state
            for layer, (name, (x, _, _)) in zip(self.layers, self.shapes.items(), strict=True)
            for own, state in layer.state(x).items()
        }

    @property
    def output(self) -> Shape:
        """The shape of the output for one image."""
        return next(reversed(self.shapes.values()))[1]

    @property
    def trained(self) -> dict[str, Shape]:
        """The shape of every trained array by its whole name, such as `conv1.w`."""
        return {
            f"{name}.{own}": weights.shape
            for name, (_, _, every) in self.shapes.items()
            for own, weights in every.items()
        }

    @property
    def size(self) -> int:
        """How many numbers are trained."""
        return sum(map(math.prod, self.trained.values()))

    def require_room(self, itemsize: int, most: int = MOST_BYTES) -> None:
        """SettingError where a network that comes from a file takes more memory than it may."""
        image = sum(math.prod(x) + math.prod(y) for x, y, _ in self.shapes.values())
        if (self.size + AT_ONCE * image) * itemsize > most:
            raise SettingError(
                f"it has {_counted(self.size)} parameters and {_counted(image)} numbers for each image; "
                f"from a file at most {most / 2**30:.3g} GiB are taken: make it smaller, or build it in Python"
            )

    def to_json(self) -> dict[str, Any]:
        """The network without its parameters; `Network.from_json` makes it again."""
        return {
            "format": FORMAT,
            "name": self.name,
            "input": list(self.input),
            "layers": [layer.to_json() for layer in self.layers],
        }

    @classmethod
    def from_json(cls, text: Any) -> "Outline":
        """The outline of the network that a JSON object describes; one without a `format` is of this version."""
        if not isinstance(text, dict) or not isinstance(text.get("layers"), list) or "input" not in text:
            raise SettingError('a network is written {"input": [channels, rows, columns], "layers": [{"kind": …}, …]}')
        if (told := text.get("format", FORMAT)) != FORMAT:  # one written by hand needs none
            raise SettingError(f"a network of the format {str(told)[:60]!r}; this version reads {FORMAT!r}")
        name = text.get("name", "")
        if not isinstance(name, str):
            raise SettingError(f"the name of a network is a text, not {name!r}")
        layers = [Layer.from_json(each) for each in text["layers"]]
        return Outline(*layers, input=text["input"], name=name)

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """What a summary says: of each layer output shape, parameters, multiplications for one image; a head, a sum."""
        names = max(map(len, self.shapes))
        rows = [("layer", "output", "parameters", "multiplications"), ("input", shape_text(self.input), "", "")]
        total = 0
        for layer, (name, (x, y, weights)) in zip(self.layers, self.shapes.items(), strict=True):
            count, products = sum(math.prod(each.shape) for each in weights.values()), layer.multiplications(x)
            rows.append((f"{name:<{names}} {layer}", shape_text(y), f"{count:,}", f"{products:,}"))
            total += products
        return [*rows, ("total", "", f"{self.size:,}", f"{total:,}")]

    def summary(self) -> str:
        """A table of the layers: output shape, parameters, multiplications for one image."""
        rows = self._rows()
        wide = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [f"{a:<{wide[0]}} {b:>{wide[1]}} {c:>{wide[2]}}  {d:>{wide[3]}}" for a, b, c, d in rows]
        rule = "─" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def _repr_html_(self) -> str:
        """The summary as a notebook shows it."""
        return f"<p><b>{html.escape(self.name)}</b></p>{table(self._rows(), foot=True)}"


def _counted(number: int) -> str:
    return f"{number:,}" if number < 10**15 else "more than 10¹⁵"


def _input(shape: Any) -> Shape:
    whole = isinstance(shape, list | tuple) and all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in shape
    )
    if not whole or len(shape) not in (1, 3):
        raise SettingError(
            f"a network got input={shape!r}; it needs (channels, rows, columns) or (features,), each at least 1"
        )
    return tuple(int(each) for each in shape)
