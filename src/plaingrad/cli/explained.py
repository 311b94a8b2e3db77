"""What `plaingrad explain` explains: a run, and how it is asked."""

from dataclasses import dataclass
from typing import Any

from plaingrad.errors import SettingError, nearest
from plaingrad.explaining import tracer_of
from plaingrad.explaining.facts import first_gradient, note
from plaingrad.explaining.page import Page
from plaingrad.explaining.symbols import Symbols, symbols
from plaingrad.explaining.update import State
from plaingrad.explaining.words import about
from plaingrad.network.run import Run


@dataclass(frozen=True)
class Explained:
    """A run to be explained, the optimiser's state, and what the page is to say of it."""

    run: Run
    state: State | None
    title: str
    classes: tuple[str, ...]
    first: str = ""
    command: str = ""

    @property
    def opens(self) -> str:
        """A number to begin with."""
        return self.first or first_gradient(tracer_of(self.run, self.state))

    def symbols(self, quantity: str) -> Symbols:
        """One number as an expression."""
        tracer = tracer_of(self.run, self.state)
        return symbols(tracer, tracer.twin.cell(quantity))

    def page(self, opens: str | None) -> Page:
        """The page of all numbers."""
        return Page(
            self.run,
            self.state,
            opens=opens,
            begins=self.first,
            command=self.command,
            title=self.title,
            classes=self.classes,
        )

    @property
    def note(self) -> str | None:
        """What is to be known of the run before its numbers are read."""
        return note(tracer_of(self.run, self.state))

    def overview(self) -> list[dict[str, Any]]:
        """Every array that can be asked about: its name, shape, and what it is."""
        twin = tracer_of(self.run, self.state).twin
        return [
            {"name": sheet.name, "shape": list(sheet.shape), "about": about(twin, sheet)} for sheet in twin.in_order
        ]


def class_named(label: str, names: tuple[str, ...]) -> int:
    """The place of a class by its name. SettingError where it is none of these."""
    if label in names:
        return names.index(label)
    raise SettingError(f"--label {label!r} is not a class of this network; {nearest(label, names)}")
