"""The float64 twin of a run, made by the texts in the order they are written; and a name for each number in it.

Explanations are about the twin: there the terms, added in the order shown, give every value to the last bit. Each
number is a *cell*, counted from 0 through all arrays.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from plaingrad.compiler.loops import Array, as_written
from plaingrad.compiler.machine_code import together
from plaingrad.errors import DataError, SettingError, nearest
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.schedule.fast import Task

FEW_PRODUCTS = 20_000  # so many a text makes as Python before a compiler has begun
INPUT = "input"


@dataclass(frozen=True)
class Sheet:
    """An array as its readers see it: (image, channel, row, column), the image left out where there is only one.

    `array` is the array as the texts see it, with its images. One that is not `is_made` holds no numbers yet.
    """

    name: str
    layer: str
    quantity: str
    shape: tuple[int, ...]
    start: int
    array: Array
    is_made: bool = True

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        return self.start + self.size

    def cells(self) -> Array:
        """The number of each cell, laid out as the texts see the array."""
        return np.arange(self.start, self.stop).reshape(self.array.shape)

    def place(self, cell: int) -> tuple[int, ...]:
        """Where the texts see a cell."""
        return tuple(map(int, np.unravel_index(cell - self.start, self.array.shape)))

    def index(self, cell: int) -> tuple[int, ...]:
        """Where a reader sees a cell."""
        return tuple(map(int, np.unravel_index(cell - self.start, self.shape))) if self.shape else ()

    def values(self) -> Array:
        """Every number, in the order of its cells."""
        return self.array.reshape(-1)


@dataclass(frozen=True)
class Making:
    """The text of a layer that fills an array, and what the text calls it.

    `names`: the array that each argument of the text is, as it is shown.
    """

    layer: str
    task: Task
    argument: str
    names: dict[str, str] = field(default_factory=dict)
    groups: int = 1


class Twin:
    """A run once more in float64, by the texts as they are written, with a name for each of its numbers."""

    def __init__(self, run: Run) -> None:
        count = int((run.index >= 0).sum())
        if not count:
            raise DataError("this run holds no images to explain; make one with net.run(images, labels)")
        self.run, self.count = run, count
        self.net = Network(*run.net.layers, input=run.net.input, dtype="float64", name=run.net.name)
        self.net.parameters[:], self.net.state[:] = as_floats(run.net.parameters), as_floats(run.net.state)
        with as_written():
            self.twin: Run = together(self._made)
        self._fill()
        self.sheets: dict[str, Sheet] = {}
        self.names: dict[str, str] = {}  # every name a number can be asked by, and the one it is shown by
        self._lay_out()
        self.in_order = list(self.sheets.values())
        self.starts = [sheet.start for sheet in self.in_order]

    def _made(self) -> Run:
        backward, few = self.run.has_gradients, FEW_PRODUCTS // self.count
        loss = self.run.loss if backward else None
        return Run(self.net, self.count, loss, True, backward, lambda work: work <= few, training=self.run.training)

    def _fill(self) -> None:
        """The same images and targets, then forward, and backward where the run went."""
        own = self.run.index >= 0

        def lay(mine: Array, its: Array) -> None:
            mine[...] = as_floats(its.reshape(-1, self.run.lanes)[:, own]).reshape(mine.shape)

        lay(self.twin.x, self.run.x)
        for layer, record in self.run.records.items():
            if "mask" in record:  # as it was drawn
                lay(self.twin.records[layer]["mask"], record["mask"])
        self.twin.forward(draws=False)
        if self.run.has_gradients:
            if self.run.loss is None:
                last = next(reversed(self.run.net.steps))
                lay(self.twin.records[last]["dy"], self.run.records[last]["dy"])
            else:
                for name in ("target", "share"):
                    lay(self.twin.records["loss"][name], self.run.records["loss"][name])
            self.twin.backward()

    def _lay_out(self) -> None:
        """A sheet for each array that users see; an array of two layers is named by the first."""
        by_array: dict[int, str] = {}
        start = 0
        for layer, record in self.twin.records.items():
            for quantity in ordered(record):
                array, whole = record[quantity], f"{layer}.{quantity}"
                if self.twin.is_inner(layer, quantity) and quantity != "z":
                    continue
                if id(array) in by_array:
                    self.names[whole] = by_array[id(array)]
                    continue
                name = INPUT if quantity == "x" else whole
                self.names[whole] = self.names[name] = by_array[id(array)] = name
                seen = self.twin.seen(layer, quantity)
                shape = seen.shape[1:] if self.count == 1 and self.twin.has_images(layer, quantity) else seen.shape
                self.sheets[name] = sheet = Sheet(name, layer, quantity, shape, start, seen)
                start = sheet.stop
        for layer, record in self.twin.records.items():  # what is inner here may be shown as another layer's
            for quantity in record.keys() & {"dnext", "dlater"}:
                self.names[f"{layer}.{quantity}"] = by_array[id(record[quantity])]
        self.size = start

    def add(self, layer: str, quantity: str, array: Array, is_made: bool = True) -> Sheet:
        """A sheet for an array that is no part of the run itself."""
        name = f"{layer}.{quantity}"
        sheet = Sheet(name, layer, quantity, array.shape, self.size, array, is_made)
        self.sheets[name], self.names[name] = sheet, name
        self.in_order.append(sheet)
        self.starts.append(sheet.start)
        self.size = sheet.stop
        return sheet

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
        if len(index) != len(shape):
            count = f"{len(index)} {'index' if len(index) == 1 else 'indices'}"
            raise SettingError(f"{sheet.name}[{parts[2]}] has {count}; it needs {len(shape)}: {self.described(sheet)}")
        if not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
            raise SettingError(f"{sheet.name}[{parts[2]}] is out of range; {self.described(sheet)}")
        return sheet, index

    def _has_images(self, sheet: Sheet) -> bool:
        return self.twin.has_images(sheet.layer, sheet.quantity)

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
    """The quantities of a layer: what goes in, its sums, what comes out or is held, then errors and gradients."""
    ranks = {"x": 0, "z": 1, "dy": 3, "dz": 4, "dx": 5}
    return sorted(record, key=lambda name: ranks.get(name, 6 if name.startswith("d") else 2))


def as_floats(array: Array) -> Array:
    """Numbers of any kind as float64: fractions are rounded."""
    return array.astype(np.float64) if not array.dtype.hasobject else np.vectorize(float, otypes=[np.float64])(array)


def single(run: Run, image: int) -> Run:
    """The run of one of a run's images, alone."""
    places = np.flatnonzero(run.index >= 0)
    if not 0 <= image < len(places):
        raise DataError(f"this run holds {len(places)} images, counted from 0; there is no image {image}")
    if len(places) == 1:
        return run
    assert isinstance(run.net, Network)
    if run.is_mixed and run.training:
        mixing = next(name for name, record in run.records.items() if "share" in record and name != "loss")
        raise SettingError(
            f"{mixing} mixes the images of a run, so one image of it cannot be explained alone; explain the whole run, "
            "or a run as a trained network does it: net.run(images)"
        )
    single = Run(run.net, run.lanes, run.loss, input_gradient=True, backward=run.has_gradients, training=run.training)
    lane = int(places[image])
    single.index[:] = -1
    single.index[0] = 0
    single.x.reshape(-1, run.lanes)[:, 0] = run.x.reshape(-1, run.lanes)[:, lane]
    for name, record in run.records.items():
        if "mask" in record:
            mask = record["mask"].reshape(-1, run.lanes)[:, lane]
            single.records[name]["mask"].reshape(-1, run.lanes)[:, 0] = mask
    single.forward(draws=False)
    if run.has_gradients:
        layer, name = ("loss", "target") if run.loss is not None else (next(reversed(run.net.steps)), "dy")
        given = run.records[layer][name].reshape(-1, run.lanes)[:, lane]
        single.records[layer][name].reshape(-1, run.lanes)[:, 0] = given
        if run.loss is not None:
            single.records["loss"]["share"][0] = 1
        single.backward()
    return single
