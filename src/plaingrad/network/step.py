"""What a run asks of its network: the layers at their places."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.data.pixels import Seen
from plaingrad.network.passes import Made, Way
from plaingrad.textbook.layer import Layer, Shape, Weights
from plaingrad.textbook.phrases import shape_text


@dataclass(frozen=True, repr=False)
class Step:
    """One layer at its place: its name, the shapes of its input and output, its trained arrays, and its state."""

    name: str
    layer: Layer
    x: Shape
    y: Shape
    weights: dict[str, Weights]
    arrays: dict[str, Array]
    state: dict[str, Array]
    make: Callable[[Layer, str], Made]  # the calls of a layer alone, to be shown

    @property
    def forward(self) -> Way:
        """What the layer does to its input: printed, its text; `.fast` is how the text is run fast."""
        return Way(self.layer, "forward", self.make)

    @property
    def backward(self) -> Way:
        """What the layer does on the way back."""
        return Way(self.layer, "backward", self.make)

    def __repr__(self) -> str:
        shapes = (shape_text(shape) for shape in (self.x, self.y))
        return f"<{self.name}: {self.layer}, {' → '.join(shapes)}>"

    def __getattr__(self, name: str) -> Array:
        if name in self.__dict__.get("state", {}):
            return self.state[name]
        if name not in self.__dict__.get("arrays", {}):
            theirs = {"weight": "w", "weights": "w", "kernel": "w", "bias": "b", "biases": "b"}
            hint = f"; here it is called {theirs[name]}" if name in theirs else ""
            hint = "; gradients are a run's: net.run(images, labels)" if name.startswith("d") else hint
            raise AttributeError(f"{self.__dict__.get('name', 'a step')} has no parameter {name!r}{hint}")
        return self.arrays[name]


class Layered(Protocol):
    """What a run asks of its network."""

    name: str
    layers: tuple[Layer, ...]
    input: Shape
    dtype: np.dtype[Any]
    steps: dict[str, Step]
    seed: int
    parameters: Array
    state: Array
    offset: Array
    factor: Array
    seen: Seen | None

    @property
    def output(self) -> Shape: ...

    def views(self, flat: Array) -> Iterator[dict[str, Array]]: ...


def until_weights(net: Layered) -> tuple[str, ...]:
    """The names of the first layers, up to the first that has weights; none where no layer has."""
    names = list(net.steps)
    first = next((place for place, step in enumerate(net.steps.values()) if step.arrays), None)
    return () if first is None else tuple(names[: first + 1])
