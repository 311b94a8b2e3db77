"""A parameter after one step of the optimiser: `conv1.w_after`, by the optimiser's own loop."""

from dataclasses import dataclass, field

import numpy as np

from plaingrad.explaining.twin import Sheet, Twin, as_floats
from plaingrad.loops import Array
from plaingrad.optimiser import SGD, Optimiser
from plaingrad.trace import CELL, NAMED, Traced

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
    slope: Sheet
    slots: dict[str, Sheet]
    after: Sheet

    def trace(self, place: tuple[int, ...], slope: float) -> Traced:
        """One of its numbers after the step, given the value of its gradient."""
        cell = int(np.ravel_multi_index(place, self.now.shape))

        def leaf(sheet: Sheet, value: float) -> Array:
            row = np.empty(1, object)
            row[0] = Traced(float(value), CELL, sheet.start + cell)
            return row

        rows = {"w": leaf(self.now, self.now.array[place]), "dw": leaf(self.slope, slope)}
        rows |= {name: leaf(sheet, sheet.array[place]) for name, sheet in self.slots.items()}
        optimiser, state = self.state.optimiser, self.state
        values = optimiser.numbers(state.step, state.factor)
        numbers = np.empty(len(values), object)
        numbers[:] = [Traced(value, NAMED, name) for value, name in zip(values, optimiser.named, strict=True)]
        known = {**optimiser.settings(), "numbers": numbers, **rows}
        nest = optimiser.update
        nest.plain(*(known[name] for name in nest.arguments), **{name: known[name] for name in nest.constants})
        after: Traced = rows["w"][0]
        return after


def parameters(twin: Twin, state: State) -> dict[int, Parameter]:
    """Every trained array of a twin as it is after the step, by the array that stands for it."""
    slots = {
        name: as_floats(state.slots[name]) if name in state.slots else np.zeros(twin.net.parameters.shape)
        for name in state.optimiser.slots
    }
    views = {name: list(twin.net.views(array)) for name, array in slots.items()}
    found = {}
    for place, step in enumerate(twin.net.steps.values()):
        for name in step.weights:
            now, slope = twin.sheets[f"{step.name}.{name}"], twin.sheets[f"{step.name}.d{name}"]
            held = {slot: twin.add(step.name, f"{name}_{slot}", own[place][name]) for slot, own in views.items()}
            after = twin.add(step.name, name + AFTER, np.zeros(now.shape), is_made=False)
            found[id(after.array)] = Parameter(state, now, slope, held, after)
    return found
