"""What runs over letters in a formula: Σ, the largest, the first of a window; and cases, told apart by conditions."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.explaining.expressions import (
    PRODUCT,
    SUM,
    Applied,
    Expression,
    Known,
    Number,
    Whole,
    Worked,
    Writing,
    is_number,
    minus,
    negative,
    times,
)
from plaingrad.explaining.indices import Index
from plaingrad.explaining.notation import Tree
from plaingrad.window import Window

SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}
COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
OTHER = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Extreme(Expression):
    """The least or the largest of some expressions."""

    name: str
    of: tuple[Expression, ...]

    def tree(self, how: Writing) -> Tree:
        inner: list[Tree] = []
        for each in self.of:
            inner += [["mo", ", "], each.tree(how)] if inner else [each.tree(how)]
        return ["mrow", self.name, ["mo", "("], *inner, ["mo", ")"]] if len(self.of) > 1 else inner[0]

    def work(self, known: Known) -> Worked:
        every = [each.work(known) for each in self.of]
        pick: Any = np.maximum if self.name == "max" else np.minimum
        value, size = every[0].value, every[0].size
        for each in every[1:]:
            value, size = pick(value, each.value), np.maximum(size, each.size)
        return Worked(value, size, max(each.steps for each in every))


@dataclass(frozen=True)
class Over(Expression):
    """Σ, the max or the first of an expression, for a letter from the largest of `lows` to the least of `highs`."""

    sign: str
    letter: Index
    lows: tuple[Index, ...]
    highs: tuple[Index, ...]
    body: Expression
    level = PRODUCT
    is_open = True

    def tree(self, how: Writing) -> Tree:
        signs, body = [self.over(how)], self.body
        while isinstance(body, Over) and body.sign == self.sign:
            signs, body = [*signs, body.over(how)], body.body
        return ["mrow", *signs, body.shown(how, PRODUCT)]

    def over(self, how: Writing) -> Tree:
        low, high = (Extreme(name, tuple(map(Whole, each))) for name, each in (("max", self.lows), ("min", self.highs)))
        sign: Tree = {"Σ": ["mo", "Σ"], "max": "max"}.get(self.sign, ["mtext", self.sign])
        return ["munderover", sign, ["mrow", self.letter.tree(how.letters), ["mo", "="], low.tree(how)], high.tree(how)]

    def work(self, known: Known) -> Worked:
        lows, highs = ([np.asarray(each.value(known.letters)) for each in many] for many in (self.lows, self.highs))
        low, high = max(int(each.min()) for each in lows), min(int(each.max()) for each in highs)
        run = np.arange(low, high + 1).reshape(-1, *[1] * known.axes)
        letter = self.letter.letter
        assert letter
        known.letters[letter] = run
        one = self.body.work(replace(known, axes=known.axes + 1))
        del known.letters[letter]
        runs = np.ones((), bool)
        for each in (each for each in lows if each.ndim):
            runs = runs & (run >= each)
        for each in (each for each in highs if each.ndim):
            runs = runs & (run <= each)
        shape = np.broadcast_shapes(np.shape(one.value), run.shape, runs.shape)
        axes = known.axes + 1
        shape = (1,) * (axes - len(shape)) + shape
        value, size = np.broadcast_to(one.value, shape), np.broadcast_to(one.size, shape)
        if self.sign == "Σ":
            is_whole = runs.ndim == 0
            value = value.sum(axis=0) if is_whole else np.where(runs, value, 0).sum(axis=0)
            size = size.sum(axis=0) if is_whole else np.where(runs, size, 0).sum(axis=0)
            return Worked(value, size, one.steps + max(len(run), 1))
        if self.sign == "max":
            value = np.where(runs, value, -np.inf).max(axis=0, initial=-np.inf)
            return Worked(value, np.where(runs, size, 0).max(axis=0, initial=0), one.steps)
        found = np.where(runs, value, np.nan)
        first = np.argmax(found == found, axis=0)[None]
        value = np.take_along_axis(found, first, 0)[0]
        return Worked(value, np.abs(value), one.steps)


@dataclass(frozen=True)
class Compared(Expression):
    """A condition."""

    sign: str
    left: Expression
    right: Expression
    level = 0

    def tree(self, how: Writing) -> Tree:
        return ["mrow", self.left.tree(how), ["mo", SIGNS[self.sign]], self.right.tree(how)]

    def holds(self, known: Known) -> Any:
        return COMPARED[self.sign](self.left.work(known).value, self.right.work(known).value)


@dataclass(frozen=True)
class Cases(Expression):
    """One expression where all conditions hold, else another; without another it is nothing there."""

    conditions: tuple[Compared, ...]
    then: Expression
    other: Expression | None = None
    level = 0
    is_open = True

    def tree(self, how: Writing) -> Tree:
        told: list[Tree] = []
        for each in self.conditions:
            told += [["mtext", " and "], each.tree(how)] if told else [each.tree(how)]
        if self.other is None:
            return ["mrow", self.then.tree(how), ["mtext", " where "], *told]
        return ["mrow", self.then.shown(how, SUM), ["mtext", " if "], *told, ["mtext", ", else "], self.other.tree(how)]

    def work(self, known: Known) -> Worked:
        holds: Any = np.ones((), bool)
        for each in self.conditions:
            holds = holds & each.holds(known)
        one, two = self.then.work(known), (self.other or Number(np.nan)).work(known)
        return Worked(
            np.where(holds, one.value, two.value), np.where(holds, one.size, two.size), max(one.steps, two.steps)
        )


def where(conditions: tuple[Compared, ...], then: Expression, other: Expression) -> Expression:
    """Cases: those in cases are one, and a minus goes before them."""
    if is_number(other, 0) and isinstance(then, Applied) and then.name == "neg":
        return negative(where(conditions, then.of, other))
    if isinstance(then, Cases) and then.other == other:
        return Cases((*conditions, *then.conditions), then.then, other)
    return Cases(conditions, then, other)


def total(letter: Index, lows: tuple[Index, ...], highs: tuple[Index, ...], body: Expression) -> Expression:
    """Σ; a minus goes before it."""
    if isinstance(body, Applied) and body.name == "neg":
        return negative(total(letter, lows, highs, body.of))
    return Over("Σ", letter, lows, highs, body)


def pixels_under(window: Window, place: tuple[Index, ...]) -> Expression:
    """How many real pixels a window holds: of each axis where it ends less where it begins, cut off at the image."""
    counts: list[Expression] = []
    for axis, index in enumerate(place):
        start = index * window.stride[axis] - window.padding[axis]
        ends = Index(rest=window.size[axis]), Index(rest=window.image[axis]) - start
        last, first = Extreme("min", tuple(map(Whole, ends))), Extreme("max", (Whole(Index()), Whole(-start)))
        counts.append(minus(last, first))
    return times(*counts)
