"""A claim held against the truth: at the numbers of the run, at others near them, and at every place it is about."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

import numpy as np

from plaingrad.checking.claims.names import Names, Place
from plaingrad.checking.claims.points import Rerun
from plaingrad.checking.claims.tree import letter_of, number, put
from plaingrad.checking.claims.value import (
    AS_WRITTEN,
    Evaluator,
    OverdrawnError,
    Point,
    Purse,
    Reading,
    UndefinedError,
    agree,
    bound,
    last_digit,
)
from plaingrad.errors import SettingError
from plaingrad.explaining import tracer_of
from plaingrad.explaining.explanation import Explanation, explain_cell
from plaingrad.explaining.expressions import Node, every, is_kind
from plaingrad.network.exact import Sized
from plaingrad.network.run import Run

POINTS, MOST_PLACES = 3, 36
ROUNDED, MOST_ROUNDED = 4, 64  # typed digits from which on a number is taken for a rounded one; how many are weighed


@dataclass(frozen=True)
class Asked:
    """A place as it is written on the left, and the formula there: both without the letters of the left side."""

    index: Place
    formula: Node


@dataclass(frozen=True)
class Outcome:
    """A claim at one point and place. `rounded`: it holds only as far as the typed numbers have digits."""

    asked: Asked
    claimed: Sized
    true: Sized
    holds: bool
    rounded: bool = False


class Scales:
    """One claim about one run. For use in a context of fifty digits."""

    def __init__(self, run: Run, left: Node, right: Node) -> None:
        self.name, self.index, self.right = left.parts[0], left.parts[1:], right
        self.tracer = tracer_of(run)
        self.twin = self.tracer.twin
        self.names = Names(self.twin)
        self.sheet = self.names.asked(self.name, len(self.index))
        self.rerun, self.purse = Rerun(self.twin), Purse()
        self.here = self.rerun.here
        self.places = self._places()

    def _places(self) -> list[Asked]:
        """Every place the left side stands for; of very many the corners, and some anywhere."""
        shown = [letter_of(each) for each in self.index]
        letters = [letter for letter in dict.fromkeys(shown) if letter is not None]
        lengths = self.names.lengths(self.sheet, len(self.index)) if letters else ()
        spans = [range(min(n for each, n in zip(shown, lengths, strict=True) if each == letter)) for letter in letters]
        chosen = list(itertools.islice(itertools.product(*spans), MOST_PLACES + 1))
        if len(chosen) > MOST_PLACES:
            rng = np.random.default_rng(0)
            corners = itertools.product(*({0, len(span) - 1} for span in spans))
            drawn = (tuple(int(rng.integers(len(span))) for span in spans) for _ in range(MOST_PLACES))
            chosen = list(dict.fromkeys([*corners, *drawn]))[:MOST_PLACES]
        evaluator = Evaluator(self.names, self.here, self.purse)
        known = [dict(zip(letters, map(number, each), strict=True)) for each in chosen]
        places = [tuple(evaluator.index(at, {}) for at in put(self.index, each)) for each in known]
        return [Asked(place, put(self.right, each)) for place, each in zip(places, known, strict=True)]

    @property
    def quantity(self) -> str:
        """What the claim is about, its letters as they are written."""
        index = (letter_of(each) or str(at) for each, at in zip(self.index, self.places[0].index, strict=True))
        return f"{self.sheet.name}[{','.join(index)}]"

    def outcome(self, point: Point, asked: Asked, reading: Reading = AS_WRITTEN, purse: Purse | None = None) -> Outcome:
        """The claim at one point and place."""
        evaluator = Evaluator(self.names, point, purse or self.purse, reading)
        true = point[self.sheet.name][self.place(asked, reading)]
        claimed = evaluator.value(asked.formula)
        return Outcome(asked, claimed, true, agree(claimed, true))

    def place(self, asked: Asked, reading: Reading = AS_WRITTEN) -> Place:
        """The place in the array that is claimed; BeyondError where it has none such."""
        return self.names.place(self.name, self.sheet, reading.left(self.sheet, asked.index))

    def explanation(self, asked: Asked) -> Explanation:
        """Where the true number comes from."""
        place = self.place(asked)
        cell = self.sheet.start + (int(np.ravel_multi_index(place, self.sheet.shape)) if place else 0)
        return explain_cell(self.tracer, cell)

    @cached_property
    def points(self) -> list[Point]:
        """Other numbers, always the same ones; none where ties forbid all."""
        return self.rerun.elsewhere(np.random.default_rng(0), POINTS, with_targets=True)

    @cached_property
    def points_of_same_target(self) -> list[Point]:
        """Other numbers, the targets as they are."""
        return self.rerun.elsewhere(np.random.default_rng(0), POINTS, with_targets=False)

    def holds(self, points: Sequence[Point], reading: Reading = AS_WRITTEN, purse: Purse | None = None) -> bool:
        """Whether the claim, read so, holds here and at all these points."""
        try:
            every = itertools.product((self.here, *points), self.places)
            return all(self.outcome(point, asked, reading, purse).holds for point, asked in every)
        except OverdrawnError:
            if purse is None:
                raise
            return False
        except SettingError:
            return False

    def everywhere(self, asked: Asked) -> list[Outcome]:
        """The claim at one place, here and at every other point; nothing where it has no value at one of them."""
        try:
            return [self.outcome(point, asked) for point in (self.here, *self.points)]
        except (UndefinedError, OverdrawnError):
            return []

    def as_typed(self, outcome: Outcome) -> Outcome:
        """Whether it holds as far as typed numbers go: one of many digits may be off by half a unit in its last.

        To first order the claim is then off by no more than its changes when each of them is moved so far.
        """
        numbers = [
            each for each in every(outcome.asked.formula) if is_kind(each, "number") and is_rounded(each.parts[0])
        ]
        allowed = bound(outcome.claimed) + bound(outcome.true)
        for each in numbers[:MOST_ROUNDED]:
            moved = Evaluator(self.names, self.here, self.purse, off=each).value(outcome.asked.formula)
            allowed += abs(moved.value - outcome.claimed.value)
        holds = bool(numbers) and abs(outcome.claimed.value - outcome.true.value) <= allowed
        return replace(outcome, holds=holds, rounded=holds)

    def names_itself(self) -> bool:
        """Whether the right side has the number that it is about."""
        evaluator = Evaluator(self.names, self.here, Purse())
        evaluator.value(self.places[0].formula)
        return (self.sheet.name, self.place(self.places[0])) in evaluator.used

    def names_nothing(self) -> bool:
        """Whether the right side is made of typed numbers alone."""
        return not self.names.known


def is_rounded(text: str) -> bool:
    """Whether a typed number has a point and so many digits that it is rounded, most likely."""
    return "." in text and last_digit(text) < 1 and len(Decimal(text).as_tuple().digits) >= ROUNDED
