"""What a run left behind, read by name: `run["conv1"].dw`, `run["conv1.dw"]`, `run["conv1.dw[0,0,1,2]"]`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError, nearest
from plaingrad.network.step import Layered
from plaingrad.textbook.layer import Shape


@dataclass(frozen=True)
class Laid:
    """How an array lies in a run: its shape for one image, or whole where it `has_images` not.

    One that `is_inner` is not there to be read: the zeros of a layer without bias, the sums z that no fast nest keeps.
    """

    shape: Shape
    dtype: Any = None
    has_images: bool = True
    is_inner: bool = False


class Readable:
    """Arrays of layers as they lie, and as users see them."""

    net: Layered
    lanes: int
    index: Array  # which image lies in each lane; -1 where none does
    records: dict[str, dict[str, Array]]
    kinds: dict[str, dict[str, Laid]]
    has_gradients: bool

    def has_images(self, name: str, quantity: str) -> bool:
        """Whether an array of a layer has a part for each image."""
        return quantity in self.kinds[name] and self.kinds[name][quantity].has_images

    def seen(self, layer: str, name: str) -> Array:
        """An array as the texts see it: (image, channel, row, column), every lane an image; the same memory."""
        array, kind = self.records[layer][name], self.kinds[layer].get(name)
        if kind is None or not kind.has_images:
            return array
        return np.moveaxis(array.reshape(*kind.shape, self.lanes), -1, 0)

    @property
    def names(self) -> list[str]:
        """Every quantity there is to read; gradients only where the run had targets."""
        return [
            f"{layer}.{name}"
            for layer, record in self.records.items()
            for name in record
            if self._is_made(name) and not self.is_inner(layer, name)
        ]

    def _is_made(self, name: str) -> bool:
        return self.has_gradients or not name.startswith("d")

    def is_inner(self, layer: str, name: str) -> bool:
        """Whether an array is not there to be read."""
        return name in self.kinds[layer] and self.kinds[layer][name].is_inner

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __repr__(self) -> str:
        count, labels = int((self.index >= 0).sum()), "" if self.has_gradients else ", without labels"
        return f"<Run of {self.net.name} on {count} images{labels}: {', '.join(self.records)}>"

    def __getitem__(self, name: str) -> Any:
        layer, _, quantity = name.partition(".") if isinstance(name, str) else (name, "", "")
        if not isinstance(layer, str) or layer not in self.records:
            raise SettingError(f"the run has no layer {layer!r}; {nearest(layer, self.records)}")
        if not quantity:
            return Quantities(self, layer)
        quantity, cells = re.fullmatch(r"(\w*)(.*)", quantity, re.S).groups()  # type: ignore[union-attr]
        array = self.quantity(layer, quantity)
        if not cells:
            return array
        place = re.fullmatch(r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]", cells)
        if not place:
            raise SettingError(f"cannot read {name!r}; a place is written {layer}.{quantity}[0,1,…] with whole numbers")
        index = tuple(int(each) for each in place[1].split(","))
        if len(index) != array.ndim or any(i >= size for i, size in zip(index, array.shape, strict=True)):
            why = "is out of range" if len(index) == array.ndim else f"needs {array.ndim} indices"
            raise SettingError(f"{layer}.{quantity}{list(index)} {why}; {layer}.{quantity} has shape {array.shape}")
        return array[index]

    def quantity(self, layer: str, name: str) -> Array:
        """An array of a layer as users see it: (image, channel, row, column), without the empty lanes."""
        record = self.records[layer]
        if name not in record:
            raise SettingError(f"{layer} has no quantity {name!r}; {nearest(name, record)}")
        if not self._is_made(name):
            raise SettingError(f"{layer}.{name} is a gradient, and this run had no labels: net.run(images, labels)")
        array = self.seen(layer, name)
        return array[self.index >= 0] if self.has_images(layer, name) and self.index.min() < 0 else array


class Quantities:
    """One layer's arrays in a run, by name."""

    def __init__(self, run: Readable, layer: str) -> None:
        self._run, self._layer = run, layer

    def __dir__(self) -> list[str]:
        return [name.partition(".")[2] for name in self._run.names if name.startswith(f"{self._layer}.")]

    def __repr__(self) -> str:
        shapes = (f"{name} {getattr(self, name).shape}" for name in dir(self))
        return f"<{self._layer}: {', '.join(shapes)}>"

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._run.quantity(self._layer, name)
        except SettingError as error:
            raise AttributeError(str(error)) from None
