"""The float64 twin of a run, whose sums are added in the order the loops are written; and a name for each number in it.

Explanations are about the twin: there the terms, added in the order shown, give every value to the last bit. Each
number is a *cell*, counted from 0 through all arrays.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from plaingrad.errors import DataError, SettingError, nearest
from plaingrad.layer import Kept
from plaingrad.loops import Array, Loops, as_written
from plaingrad.machine import together
from plaingrad.network import Network
from plaingrad.run import Run

FEW_PRODUCTS = 200_000  # so many the loops do as Python before a compiler has begun
INPUT = "input"


@dataclass(frozen=True)
class Sheet:
    """An array as its readers see it: (image, channel, row, column), the image left out where there is only one."""

    name: str
    layer: str
    quantity: str
    shape: tuple[int, ...]
    start: int
    array: Array
    lanes: int  # how many images share its last axis; 0: no images, or one on an axis of its own
    is_made: bool = True

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        return self.start + self.size

    def cells(self) -> Array:
        """The number of each cell, laid out as the loops see the array."""
        numbers = np.arange(self.start, self.stop).reshape(self.shape)
        if self.lanes > 1:
            numbers = np.moveaxis(numbers, 0, -1)
        return np.ascontiguousarray(numbers).reshape(self.array.shape)

    def place(self, cell: int) -> tuple[int, ...]:
        """Where the loops see a cell."""
        index = self.index(cell)
        if self.lanes > 1:
            lane, *index_of_one = index
            flat = int(np.ravel_multi_index(index_of_one, self.shape[1:])) * self.lanes + lane
        else:
            flat = cell - self.start
        return tuple(map(int, np.unravel_index(flat, self.array.shape)))

    def index(self, cell: int) -> tuple[int, ...]:
        """Where a reader sees a cell."""
        return tuple(map(int, np.unravel_index(cell - self.start, self.shape))) if self.shape else ()

    def values(self) -> Array:
        """Every number, in the order of its cells."""
        array = self.array.reshape(-1)
        if self.lanes > 1:
            array = np.moveaxis(array.reshape(*self.shape[1:], self.lanes), -1, 0).reshape(-1)
        return array


class Twin:
    """A run once more in float64, in the order the loops are written, with a name for each of its numbers."""

    def __init__(self, run: Run, slopes: bool = True) -> None:
        count = int((run.index >= 0).sum())
        if not count:
            raise DataError("this run holds no images to explain; make one with net.run(images, labels)")
        self.run, self.count = run, count
        self.net = Network(*run.net.layers, input=run.net.input, dtype="float64", name=run.net.name)
        self.net.parameters[:] = as_floats(run.net.parameters)
        products = count * sum(step.layer.multiplications(step.x) for step in self.net.steps.values())
        self.has_slopes = slopes or products <= FEW_PRODUCTS
        self.few = FEW_PRODUCTS if products <= FEW_PRODUCTS else FEW_PRODUCTS // 2 // count
        with as_written():
            self.twin: Run = together(self._made)
        self._fill()
        self.sheets: dict[str, Sheet] = {}
        self.names: dict[str, str] = {}  # every name a number can be asked by, and the one it is shown by
        self._lay_out()
        self.in_order = list(self.sheets.values())
        self.starts = [sheet.start for sheet in self.in_order]

    def _made(self) -> Run:
        backward = self.run.has_gradients
        loss = self.run.loss if backward else None
        return Run(
            self.net,
            self.count,
            loss,
            input_gradient=True,
            backward=backward,
            errors_only=not self.has_slopes,
            as_python=self._as_python,
        )

    def _as_python(self, nest: Loops, work: int) -> bool:
        return work <= self.few

    def _fill(self) -> None:
        """The same images and targets, then forward, and backward where the run went."""
        own = self.run.index >= 0

        def lay(mine: Array, its: Array) -> None:
            mine[...] = as_floats(its.reshape(-1, self.run.lanes)[:, own]).reshape(mine.shape)

        lay(self.twin.x, self.run.x)
        self.twin.forward()
        if self.run.has_gradients:
            for name in ("target", "weight"):
                lay(self.twin.records["loss"][name], self.run.records["loss"][name])
            self.twin.backward()

    def _lay_out(self) -> None:
        """A sheet for each array that is not only a copy on its way; an array of two layers is named by the first."""
        by_array: dict[int, str] = {}
        start = 0
        for layer, record in self.twin.records.items():
            kinds = self.twin.kinds[layer]
            for quantity in ordered(record):
                array, kept = record[quantity], kinds.get(quantity)
                whole = f"{layer}.{quantity}"
                if kept is not None and kept.inner:
                    continue
                if id(array) in by_array:
                    self.names[whole] = by_array[id(array)]
                    continue
                name = INPUT if quantity == "x" else whole
                self.names[whole] = self.names[name] = by_array[id(array)] = name
                slope = quantity[1:] in self.net.steps[layer].weights if layer in self.net.steps else False
                made = self.has_slopes or not (quantity.startswith("d") and slope)
                sheet = self._sheet(name, layer, quantity, array, kept, start, made)
                self.sheets[name] = sheet
                start = sheet.stop
        self.size = start

    def add(self, layer: str, quantity: str, array: Array, is_made: bool = True) -> Sheet:
        """A sheet for an array that is no part of the run itself."""
        name = f"{layer}.{quantity}"
        sheet = Sheet(name, layer, quantity, array.shape, self.size, array, 0, is_made)
        self.sheets[name], self.names[name] = sheet, name
        self.in_order.append(sheet)
        self.starts.append(sheet.start)
        self.size = sheet.stop
        return sheet

    def _sheet(
        self, name: str, layer: str, quantity: str, array: Array, kept: Kept | None, start: int, made: bool
    ) -> Sheet:
        if kept is None or kept.lanes == "none":
            return Sheet(name, layer, quantity, array.shape, start, array, 0, made)
        shape = kept.shape if self.count == 1 else (self.count, *kept.shape)
        lanes = self.count if kept.lanes == "last" and kept.shape else 0
        return Sheet(name, layer, quantity, shape, start, array, lanes, made)

    def sheet_of(self, cell: int) -> Sheet:
        """The array a cell belongs to."""
        return self.in_order[bisect_right(self.starts, cell) - 1]

    def name(self, cell: int) -> str:
        """What a cell is called: `conv1.dw[0,0,1,2]`."""
        sheet = self.sheet_of(cell)
        index = sheet.index(cell)
        return f"{sheet.name}[{','.join(map(str, index))}]" if index else sheet.name

    def tree(self, cell: int) -> list[object]:
        """A cell as a formula writes it: see `notation`."""
        sheet = self.sheet_of(cell)
        return ["cell", sheet.name, *(["mn", str(each)] for each in sheet.index(cell))]

    def value(self, cell: int) -> float:
        """The number in a cell."""
        sheet = self.sheet_of(cell)
        return float(sheet.array[sheet.place(cell)])

    def run_values(self, sheet: Sheet) -> Array | None:
        """What the explained run itself holds in the cells of a sheet, in their order; None where it holds nothing."""
        if sheet.quantity not in self.run.records[sheet.layer]:
            return None
        return np.asarray(self.run.quantity(sheet.layer, sheet.quantity)).reshape(-1)

    def cell(self, name: str) -> int:
        """The cell of a name such as `conv1.dw[0,0,1,2]`; SettingError says what is wrong with it."""
        sheet, index = self.sheet_named(name)
        if index is None and sheet.size > 1:
            last = ",".join(str(n - 1) for n in sheet.shape)
            raise SettingError(
                f"{sheet.name} holds {sheet.size:,} numbers; name one, from "
                f"{sheet.name}[{','.join('0' for _ in sheet.shape)}] to {sheet.name}[{last}]"
            )
        place = index or (0,) * len(sheet.shape)
        return sheet.start + (int(np.ravel_multi_index(place, sheet.shape)) if sheet.shape else 0)

    def sheet_named(self, name: str) -> tuple[Sheet, tuple[int, ...] | None]:
        """The array of a name, and the place in it where the name says one."""
        parts = re.fullmatch(r"\s*([^\[\]]*?)\s*(?:\[\s*([-\d\s,]*?)\s*\])?\s*", name)
        if not parts:
            raise SettingError(f"cannot read {name!r}; a number is named LAYER.QUANTITY[0,1,…], conv1.dw[0,0,1,2] say")
        sheet = self.sheets[self._known(parts[1])]
        if not parts[2]:
            return sheet, None
        try:
            index = tuple(int(each) for each in parts[2].split(","))
        except ValueError:
            raise SettingError(f"cannot read {name!r}; a place is whole numbers with commas between") from None
        shape = sheet.shape
        if self.count == 1 and len(index) == len(shape) + 1 and self._has_images(sheet) and index[0] == 0:
            index = index[1:]  # the image may be named where there is only one
        if sheet.name == INPUT and len(index) == len(shape) - 1 and shape[-3:-2] == (1,):
            index = (*index[:-2], 0, *index[-2:])  # and the channel left out where there is only one
        if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
            raise SettingError(f"{sheet.name}[{parts[2]}] is out of range; {self.described(sheet)}")
        return sheet, index

    def _has_images(self, sheet: Sheet) -> bool:
        kept = self.twin.kinds[sheet.layer].get(sheet.quantity)
        return kept is not None and kept.lanes != "none"

    def described(self, sheet: Sheet) -> str:
        """The shape of an array in words."""
        if not sheet.shape:
            return f"{sheet.name} is one number"
        last = ",".join(str(n - 1) for n in sheet.shape)
        return f"{sheet.name} goes from [{','.join('0' for _ in sheet.shape)}] to [{last}]"

    def _known(self, name: str) -> str:
        if name in self.names:
            return self.names[name]
        layer, dot, quantity = name.partition(".")
        layers = [INPUT, *self.twin.records]
        if dot and layer in self.twin.records:
            quantities = [each.partition(".")[2] for each in self.names if each.startswith(f"{layer}.")]
            if quantity.startswith("d") and not self.run.has_gradients:
                raise SettingError(f"{name} is a gradient, and this run had no labels: net.run(images, labels)")
            raise SettingError(f"{layer} has no quantity {quantity!r}; {nearest(quantity, quantities)}")
        if not dot and layer in self.twin.records:
            quantities = [each for each in self.names if each.startswith(f"{layer}.")]
            raise SettingError(f"{layer} is a layer; name one of its quantities: {', '.join(quantities)}")
        raise SettingError(f"the run has no layer {layer!r}; {nearest(layer, layers)}")


def ordered(record: dict[str, Array]) -> list[str]:
    """The quantities of a layer: what goes in, what it holds, what comes out, then errors and gradients."""
    ranks = {"x": 0, "dy": 2, "dx": 3}
    return sorted(record, key=lambda name: ranks.get(name, 4 if name.startswith("d") else 1))


def as_floats(array: Array) -> Array:
    """Numbers of any kind as float64: fractions are rounded."""
    return array.astype(np.float64) if not array.dtype.hasobject else np.vectorize(float, otypes=[np.float64])(array)
