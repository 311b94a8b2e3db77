"""Which text made which array of a run, and the traced numbers it makes when it is run once more."""

from functools import cached_property
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import LawError
from plaingrad.explaining.traced_numbers import CELL, Choices, Given, Made, Place, Traced, run_traced, same
from plaingrad.explaining.twin import Making, Sheet, Twin
from plaingrad.explaining.update import Parameter, State, parameters
from plaingrad.schedule.calls import share
from plaingrad.schedule.fast import not_a_sum
from plaingrad.schedule.narrow import leading_to
from plaingrad.schedule.open import axes_of, opened
from plaingrad.schedule.tree import fills
from plaingrad.textbook.layer import shares_of

MOST_READY = 200_000  # numbers


class Tracer:
    """Traces the numbers of a twin: one of them, with only the loops that lead to it, or all of an array."""

    def __init__(self, twin: Twin, state: State | None = None) -> None:
        self.twin = twin
        self.updates = parameters(twin, state or State()) if twin.twin.has_gradients else {}
        self.held: dict[str, Array] = {}  # arrays traced whole, while all of their numbers are asked for
        self.formulas: dict[str, tuple[Any, dict[str, str]]] = {}  # found once for each array
        self.makings: dict[str, Making] = {}
        run = twin.twin
        ways = (run.way, "backward") if run.has_gradients else (run.way,)
        for layer in run.records:
            for way in ways:
                for each, task in zip(run.passes(layer, way), run.tasks(layer, way), strict=True):
                    whole = {argument: f"{layer}.{each.quantity(argument)}" for argument in task.seen}
                    names = {argument: twin.names[name] for argument, name in whole.items() if name in twin.names}
                    for argument in fills(task.text) & names.keys():
                        groups = shares_of(each.owner)
                        self.makings[names[argument]] = Making(layer, task, argument, names, groups)

    def making(self, sheet: Sheet) -> Making | None:
        """The text that made an array; None where it was given."""
        if sheet.name in self.updates:
            return self.updates[sheet.name].making
        return self.makings.get(sheet.name)

    def is_given(self, sheet: Sheet) -> bool:
        """Whether an array was given: pixels, weights, targets."""
        return sheet.name not in self.makings and sheet.name not in self.updates

    def number(self, cell: int, holds: bool = False) -> Traced:
        """The number in a cell, traced. Where narrowed loops do not lead to it, it is traced with all of them.

        Who asks for many `holds` the arrays of texts that are no sums of products: one number of them takes as long.
        """
        sheet = self.twin.sheet_of(cell)
        place = sheet.place(cell)
        making = self.makings.get(sheet.name) if holds and sheet.size <= MOST_READY else None
        if making is not None and sheet.name not in self.held and not_a_sum(making.task.text) is not None:
            self.held[sheet.name] = self.whole(sheet)
        if sheet.name in self.held:
            held: Traced = self.held[sheet.name][place]
            return held
        if sheet.name in self.updates:
            return self._updated(self.updates[sheet.name], place)
        narrow = self.trace(sheet, place)
        if narrow is not None and self._is_right(narrow, sheet, place):
            return narrow
        whole: Traced | None = self.whole(sheet)[place]
        if whole is None or not self._is_right(whole, sheet, place):
            raise LawError(
                f"{self.twin.name(cell)}: traced, the text gives {getattr(whole, 'value', None)!r}, "
                f"and run on numbers {sheet.array[place]!r}; a text may do nothing but what it says of its arrays"
            )
        return whole

    def _is_right(self, number: Traced, sheet: Sheet, place: Place) -> bool:
        return same(number.value, sheet.array[place].item())

    def _updated(self, parameter: Parameter, place: Place) -> Traced:
        """A parameter after a step: each by itself, as the loop over them says."""
        cell = parameter.gradient.start + int(np.ravel_multi_index(place, parameter.now.shape))
        return parameter.trace(place, self.twin.value(cell))

    def trace(self, sheet: Sheet, place: Place) -> Traced | None:
        """One number of an array, by its text with only the loops that lead to it; None where they do not."""
        making = self.makings[sheet.name]
        place += (0,) * (making.task.seen[making.argument].ndim - len(place))  # features are channels of one pixel
        axis = int(making.argument in making.task.images)
        size = sheet.array.shape[axis] // making.groups if making.groups > 1 else 0
        number, own = (place[axis] // size, list(place)) if size else (0, list(place))
        if size:
            own[axis] -= number * size
        text = opened(making.task.text, axes_of(making.task.seen), making.argument)
        known = self._part(making, number, making.task.seen)
        only = leading_to(text, tuple(own), known)
        if only is None:
            return None
        made: Traced | None = self._run(making, number, tuple(own), only)[tuple(own)]
        return made

    def whole(self, sheet: Sheet) -> Array:
        """All numbers of an array, traced, laid out as the texts see it."""
        if sheet.name in self.updates:
            made = np.empty(sheet.array.shape, object)
            for place in np.ndindex(made.shape):
                made[place] = self._updated(self.updates[sheet.name], place)
            return made
        making = self.makings[sheet.name]
        parts = [self._run(making, number, None, {}) for number in range(making.groups)]
        found = parts[0] if len(parts) == 1 else np.concatenate(parts, int(making.argument in making.task.images))
        return found.reshape(sheet.array.shape)

    def _part(self, making: Making, number: int, arrays: Any) -> dict[str, Any]:
        """The share of a group."""
        if making.groups == 1:
            return dict(arrays)
        images = making.task.images
        return {name: share(each, name in images, number, making.groups) for name, each in arrays.items()}

    def _run(self, making: Making, number: int, place: Place | None, only: dict[str, list[int]]) -> Array:
        """What the text makes of traced numbers in the array asked for: of one `place`, or everywhere."""
        task, given = making.task, dict[str, Any]()
        text = opened(task.text, axes_of(task.seen), making.argument)
        values = self._part(making, number, task.seen)
        cells = self._part(making, number, {name: self._cells(making, name) for name in task.seen})
        for name, each in values.items():
            if not isinstance(each, np.ndarray):
                given[name] = each
            elif name == making.argument:
                given[name] = target = Made(each.shape, place)
            elif name in fills(task.text):
                known = Given(each, cells[name]) if cells[name] is not None else None
                given[name] = Made(each.shape, None, known)
            elif place is None and cells[name] is not None and each.size <= MOST_READY:
                given[name] = as_cells(each, cells[name])  # each is read often: made beforehand
            else:
                given[name] = Given(each, cells[name])
        run_traced(text.function, {**text.given(given), "only": Choices(only)})
        return target.made

    def _cells(self, making: Making, argument: str) -> Array | None:
        """The numbers of an array's cells as the text sees it; None where it has no names: settings, zeros."""
        name = making.names.get(argument)
        if name is None:
            return None
        if name not in self._numbers:
            self._numbers[name] = self.twin.sheets[name].cells()
        return self._numbers[name].reshape(making.task.seen[argument].shape)

    @cached_property
    def _numbers(self) -> dict[str, Array]:
        return {}


as_cells = np.frompyfunc(lambda value, cell: Traced(value, CELL, cell), 2, 1)
