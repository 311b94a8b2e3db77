"""Which nest made which array of a run, and the traced numbers it makes when it is run once more."""

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from plaingrad.errors import LawError
from plaingrad.explaining.twin import Sheet, Twin
from plaingrad.explaining.update import Parameter, State, parameters
from plaingrad.layer import Kept
from plaingrad.loops import Array, written
from plaingrad.program import Call
from plaingrad.trace import CELL, Behind, Given, Made, Place, Span, Traced, run_traced, same

MOST_READY = 200_000  # numbers


@dataclass(frozen=True)
class Making:
    """A nest as a layer calls it, its arguments by name."""

    layer: str
    call: Call
    given: dict[str, Any]

    @property
    def writes(self) -> list[str]:
        """The arguments it fills."""
        return [name for name in self.given if name in written(self.call.nest.plain)]


class Tracer:
    """Traces the numbers of a twin: one of them, with only the loops that lead to it, or all of an array."""

    def __init__(self, twin: Twin, state: State | None = None) -> None:
        self.twin = twin
        has_slopes = twin.twin.has_gradients
        self.updates = parameters(twin, state or State()) if has_slopes else {}
        self.sheets = {id(sheet.array): sheet for sheet in twin.sheets.values()}
        self.scratch = {id(array) for array in twin.twin.scratch.values()}
        self.makings: dict[int, Making] = {}
        self.held: dict[str, Array] = {}  # arrays traced whole, while all of their numbers are asked for
        self.formulas: dict[str, tuple[Any, dict[str, str]]] = {}  # found once for each array
        run = twin.twin
        for call in (*run.forward_calls, *run.loss_calls, *run.backward_calls, *run.left_out):
            names = [*inspect.signature(call.nest.plain).parameters][: len(call.given)]
            making = Making(self._layer(call), call, dict(zip(names, call.given, strict=True)))
            for name in making.writes:
                self.makings[id(making.given[name])] = making

    def _layer(self, call: Call) -> str:
        """The layer whose nest this is: the one whose record holds its arrays under the nest's own names."""
        names = [*inspect.signature(call.nest.plain).parameters]
        for layer, record in self.twin.twin.records.items():
            held = {id(array): name for name, array in record.items()}
            arrays = [
                (name, each) for name, each in zip(names, call.given, strict=False) if isinstance(each, np.ndarray)
            ]
            own = [record.get(name) is each for name, each in arrays if name in record or id(each) in held]
            if own and all(own):
                return layer
        return ""

    def making(self, sheet: Sheet) -> Making | None:
        """The nest of a layer that made an array; None where it was given, or is made by the optimiser."""
        return self.makings.get(id(sheet.array))

    def is_given(self, sheet: Sheet) -> bool:
        """Whether an array was given: pixels, weights, targets."""
        return not {id(sheet.array)} & (self.makings.keys() | self.updates.keys())

    @cached_property
    def inner(self) -> dict[int, Kept]:
        """The arrays that are only copies on their way."""
        run = self.twin.twin
        return {
            id(array): run.kinds[layer][name]
            for layer, record in run.records.items()
            for name, array in record.items()
            if name in run.kinds[layer] and run.kinds[layer][name].inner
        }

    def number(self, cell: int) -> Traced:
        """The number in a cell, traced. Where narrowed loops do not lead to it, it is traced with all of them."""
        sheet = self.twin.sheet_of(cell)
        place = sheet.place(cell)
        if sheet.name in self.held:
            held: Traced = self.held[sheet.name][place]
            return held
        narrow: Traced | None = self.trace(sheet.array, place)[place]
        if narrow is not None and self._is_right(narrow, sheet, place):
            return narrow
        whole: Traced | None = self.whole(sheet)[place]
        if whole is None or not self._is_right(whole, sheet, place):
            raise LawError(
                f"{self.twin.name(cell)}: traced, the loops give {getattr(whole, 'value', None)!r}, "
                f"and run as Python {sheet.array[place]!r}; a nest may do nothing but what it says of its arrays"
            )
        return whole

    def number_in_row(self, cell: int) -> Traced:
        """The number in a cell, traced with all of its row: nests do most of their loops for any number of it."""
        sheet = self.twin.sheet_of(cell)
        place = sheet.place(cell)
        if sheet.name in self.held or len(place) < 3:
            return self.number(cell)
        row = sheet.name, place[:-1]
        if row not in self._rows:
            self._rows[row] = self.trace(sheet.array, (*place[:-1], None))[place[:-1]].copy()
        number = self._rows[row][place[-1]]
        return number if number is not None and self._is_right(number, sheet, place) else self.number(cell)

    @cached_property
    def _rows(self) -> dict[Any, Array]:
        return {}

    def whole(self, sheet: Sheet) -> Array:
        """All numbers of an array, traced, laid out as the loops see it."""
        return self.trace(sheet.array, (None,) * sheet.array.ndim)

    def _is_right(self, number: Traced, sheet: Sheet, place: tuple[int, ...]) -> bool:
        if not sheet.is_made:
            return True
        return same(number.value, sheet.array[place].item())

    def trace(self, array: Array, only: Place) -> Array:
        """The nest that makes `array` run on traced numbers, its loops narrowed to the places of `only`."""
        if id(array) in self.updates:
            return self._updated(self.updates[id(array)], only)
        making = self.makings[id(array)]
        target, is_whole = Made(array.shape, only, None), all(place is None for place in only)
        given: dict[str, Any] = {}
        for name, each in making.given.items():
            if each is array:
                given[name] = target
            elif not isinstance(each, np.ndarray):
                given[name] = each
            elif id(each) in self.scratch:
                given[name] = np.zeros(each.shape, object)
            elif name in making.writes:
                given[name] = Made(each.shape, beside(each.shape, array.shape, only), self._known(each))
            else:
                given[name] = self._read(each, is_whole)
        sheet = self.sheets.get(id(array))
        if sheet is not None and sheet.lanes > 1 and only[-1] is not None and "lanes" in given:
            given["lanes"] = Span(given["lanes"], only[-1] % given["lanes"])
        narrowed = None if is_whole else only
        run_traced(making.call.nest.plain, given, making.call.nest.constants, narrowed)
        return target.made

    def _updated(self, parameter: Parameter, only: Place) -> Array:
        """Parameters after a step: each by itself, as the loop over them says."""
        made = np.empty(parameter.now.shape, object)
        for place in np.ndindex(made.shape):
            if all(one is None or one == other for one, other in zip(only, place, strict=True)):
                cell = parameter.slope.start + int(np.ravel_multi_index(place, made.shape))
                made[place] = parameter.trace(place, self.number(cell).value)
        return made

    def _known(self, array: Array) -> Given | None:
        sheet = self.sheets.get(id(array))
        return Given(array, self._cells(sheet)) if sheet and sheet.is_made else None

    def _read(self, array: Array, often: bool) -> Any:
        """An array as a nest reads it: cells with names, or what an earlier nest made of such.

        Where each is read `often`, its cells are made beforehand.
        """
        sheet = self.sheets.get(id(array))
        if sheet is not None and often and sheet.size <= MOST_READY:
            if sheet.name not in self._ready:
                self._ready[sheet.name] = as_cells(array, self._cells(sheet))
            return self._ready[sheet.name]
        if sheet is not None:
            return Given(array, self._cells(sheet))
        if id(array) in self.makings and id(array) in self.inner:
            if id(array) not in self._behind:
                self._behind[id(array)] = Behind(array.shape, lambda only: self.trace(array, only))
            return self._behind[id(array)]
        return Given(array, None) if id(array) in self.inner else array

    @cached_property
    def _ready(self) -> dict[str, Array]:
        return {}

    @cached_property
    def _behind(self) -> dict[int, Behind]:
        return {}

    def _cells(self, sheet: Sheet) -> Array:
        if sheet.name not in self._numbers:
            self._numbers[sheet.name] = sheet.cells()
        return self._numbers[sheet.name]

    @cached_property
    def _numbers(self) -> dict[str, Array]:
        return {}


as_cells = np.frompyfunc(lambda value, cell: Traced(value, CELL, cell), 2, 1)


def beside(shape: tuple[int, ...], target: tuple[int, ...], only: Place) -> Place:
    """How to narrow an array that is filled beside the one asked for: along the first axes, as long as these agree."""
    places: list[int | None] = []
    for length, other, place in zip(shape, target, only, strict=False):
        if length != other:
            break
        places.append(place)
    return (*places, *(None,) * (len(shape) - len(places)))
