"""A parameter after one step of the optimiser: `conv1.w_after`, by the optimiser's own text."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import is_number
from plaingrad.explaining.traced_numbers import CELL, NAMED, Traced
from plaingrad.explaining.twin import Making, Sheet, Twin, as_floats
from plaingrad.schedule.fast import Task
from plaingrad.textbook.optimisers import SGD, Optimiser

AFTER = "_after"


@dataclass(frozen=True)
class State:
    """An optimiser on its way: what it carries from step to step, and how many steps it has done."""

    optimiser: Optimiser = field(default_factory=SGD)
    slots: dict[str, Array] = field(default_factory=dict)  # laid out as the parameters are; zeros where there is none
    step: int = 0
    factor: float = 1.0  # the schedule's, on the rate


@dataclass(frozen=True)
class Parameter:
    """A trained array with its gradient and what the optimiser carries for it."""

    state: State
    now: Sheet
    gradient: Sheet
    slots: dict[str, Sheet]
    after: Sheet

    def trace(self, place: tuple[int, ...], gradient: float) -> Traced:
        """One of its numbers after the step, given the value of its gradient."""
        cell = int(np.ravel_multi_index(place, self.now.shape))

        def leaf(sheet: Sheet, value: float) -> Array:
            row = np.empty(1, object)
            row[0] = Traced(float(value), CELL, sheet.start + cell)
            return row

        rows = {"w": leaf(self.now, self.now.array[place]), "dw": leaf(self.gradient, gradient)}
        rows |= {name: leaf(sheet, sheet.array[place]) for name, sheet in self.slots.items()}
        update = self.state.optimiser.update
        given = {**self.numbers(lambda name, value: Traced(value, NAMED, name)), **rows}
        update(**{name: given[name] for name in update.arguments})
        after: Traced = rows["w"][0]
        return after

    def numbers(self, named: Callable[[str, float], Any]) -> dict[str, Any]:
        """The settings that the text asks for, at this step, each made by `named` from its name and value."""
        from plaingrad.explaining.showing import SYMBOLS

        def all_of(values: dict[str, Any]) -> dict[str, Any]:
            return {name: named(SYMBOLS.get(name, name), value) for name, value in values.items()}

        optimiser = self.state.optimiser
        settings = {name: value for name, value in optimiser.settings().items() if is_number(value)}
        numbers = optimiser.numbers(self.state.step, self.state.factor)
        return {**all_of(numbers), "adam": SimpleNamespace(**all_of(settings))}

    @property
    def making(self) -> Making:
        """The optimiser's text, as that of an array of a layer."""
        sheets = {"w": self.now, "dw": self.gradient, **self.slots}
        seen = {name: sheet.array.reshape(-1) for name, sheet in sheets.items()} | self.numbers(lambda _, value: value)
        names = {name: sheet.name for name, sheet in sheets.items()}
        task = Task(self.state.optimiser.update, self.state.optimiser, {}, seen, frozenset())
        return Making(self.now.layer, task, "w", names)


def parameters(twin: Twin, state: State) -> dict[str, Parameter]:
    """Every trained array of a twin as it is after the step, by the name of the array that stands for it."""
    slots = {
        name: as_floats(state.slots[name]) if name in state.slots else np.zeros(twin.net.parameters.shape)
        for name in state.optimiser.slots
    }
    views = {name: list(twin.net.views(array)) for name, array in slots.items()}
    found = {}
    for place, step in enumerate(twin.net.steps.values()):
        for name in step.weights:
            now, gradient = twin.sheets[f"{step.name}.{name}"], twin.sheets[f"{step.name}.d{name}"]
            held = {slot: twin.add(step.name, f"{name}_{slot}", own[place][name]) for slot, own in views.items()}
            after = twin.add(step.name, name + AFTER, np.zeros(now.shape), is_made=False)
            found[after.name] = Parameter(state, now, gradient, held, after)
    return found
