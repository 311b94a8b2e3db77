"""What a formula is made of: numbers, cells, sums, products; how each is shown, and worked out within its rounding.

`plaingrad.explaining.ranging` has what runs over letters, and cases.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from plaingrad.explaining.indices import Index
from plaingrad.explaining.notation import FUNCTIONS, Tree, bracketed, number_text
from plaingrad.loops import Array

SUM, PRODUCT, ALONE = 1, 2, 3  # how tightly parts hold together: what is looser than asked for is put in brackets


@dataclass(frozen=True)
class Worked:
    """Numbers with what bounds their rounding: Σ|terms|, and how many steps they saw (see `plaingrad.exact.Sized`)."""

    value: Any
    size: Any
    steps: int = 0


@dataclass(frozen=True)
class Known:
    """What a formula is worked out on: arrays by their arguments, the letters' values, settings, and names given."""

    arrays: Mapping[str, Array]
    letters: dict[str, Any]
    settings: Mapping[str, float]
    axes: int  # of the letters' values, all in all


@dataclass(frozen=True)
class Writing:
    """How a formula is shown: its letters, the names of arrays, and whose image is not shown."""

    letters: Mapping[str, str]
    arrays: Mapping[str, str]
    imageless: frozenset[str] = frozenset()


class Expression:
    """A part of a formula."""

    level = ALONE
    is_open = False  # whether what follows on a line would be taken for a part of it

    def parts(self) -> Iterator["Expression"]:
        """The expressions that it is made of."""
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Expression))

    def all(self) -> Iterator["Expression"]:
        yield self
        for each in self.parts():
            yield from each.all()

    def changed(self, known: Mapping[str, Index], cell: Callable[["Expression"], "Expression"]) -> Any:
        """The expression with indices in place of letters, and then with other expressions in place of some."""

        def other(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(other, value))
            if isinstance(value, Index):
                return value.put(known)
            return value.changed(known, cell) if isinstance(value, Expression) else value

        made = {each.name: other(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]
        return cell(replace(self, **made))  # type: ignore[type-var]

    def put(self, known: Mapping[str, Index]) -> Any:
        """The expression with indices in place of letters."""
        return self.changed(known, lambda each: each) if known else self

    def tree(self, how: Writing) -> Tree:
        raise NotImplementedError

    def work(self, known: Known) -> Worked:
        raise NotImplementedError

    def shown(self, how: Writing, level: int) -> Tree:
        return bracketed(self.tree(how), self.level < level)


@dataclass(frozen=True)
class Number(Expression):
    value: float

    def tree(self, how: Writing) -> Tree:
        size = abs(self.value)
        text = number_text(size if size % 1 else int(size), 6 if float(f"{size:.6g}") == size else 17)
        return ["mrow", ["mo", "−"], ["mn", text]] if self.value < 0 else ["mn", text]

    def work(self, known: Known) -> Worked:
        return Worked(self.value, abs(self.value))


@dataclass(frozen=True)
class Setting(Expression):
    """A setting that keeps its name."""

    name: str

    def tree(self, how: Writing) -> Tree:
        return how.letters.get(self.name, self.name)

    def work(self, known: Known) -> Worked:
        return Worked(known.settings[self.name], abs(known.settings[self.name]))


@dataclass(frozen=True)
class Whole(Expression):
    """An index as a number."""

    index: Index

    @property
    def level(self) -> int:  # type: ignore[override]
        return SUM if self.index.is_sum else ALONE if len(self.index.shares) < 1 or self.index.letter else PRODUCT

    def tree(self, how: Writing) -> Tree:
        return self.index.tree(how.letters)

    def work(self, known: Known) -> Worked:
        value = np.asarray(self.index.value(known.letters), float)
        return Worked(value, abs(value))


@dataclass(frozen=True)
class Cell(Expression):
    """A number of an array."""

    array: str
    index: tuple[Index, ...]

    def tree(self, how: Writing) -> Tree:
        shown = self.index[1:] if self.array in how.imageless else self.index
        return ["cell", how.arrays.get(self.array, self.array), *(each.tree(how.letters) for each in shown)]

    def work(self, known: Known) -> Worked:
        array = known.arrays[self.array]
        flat, beyond = np.zeros((), int), np.zeros((), bool)
        for each, length in zip(self.index, array.shape, strict=True):
            place = np.asarray(each.value(known.letters))
            flat = flat * length + place
            beyond = beyond | (place < 0) | (place >= length)
        if beyond.any():  # no number: a formula that is right never asks for it
            value = np.where(beyond, np.nan, array.reshape(-1)[np.where(beyond, 0, flat)])
        else:
            value = array.reshape(-1)[flat]
        return Worked(value, np.abs(value))


@dataclass(frozen=True)
class Joined(Expression):
    """Two expressions with + − × / or ^ between."""

    sign: str
    left: Expression
    right: Expression

    @property
    def level(self) -> int:  # type: ignore[override]
        return SUM if self.sign in "+-" else ALONE if self.is_square or self.sign == "^" else PRODUCT

    @property
    def is_square(self) -> bool:
        return self.sign == "*" and self.left == self.right

    def tree(self, how: Writing) -> Tree:
        left, right = self.left, self.right
        if self.is_square or self.sign == "^":
            return ["msup", left.shown(how, ALONE), ["mn", "2"] if self.is_square else right.tree(how)]
        if self.sign == "/":
            return ["mfrac", left.tree(how), right.tree(how)]
        if self.sign == "*":
            first = left.shown(how, ALONE if left.is_open else PRODUCT)
            return ["mrow", first, ["mo", "×"], right.shown(how, PRODUCT)]
        least = SUM + (self.sign == "-")
        return ["mrow", left.shown(how, SUM), ["mo", {"+": "+", "-": "−"}[self.sign]], right.shown(how, least)]

    def work(self, known: Known) -> Worked:
        one, two = self.left.work(known), self.right.work(known)
        steps = one.steps + two.steps + 1
        if self.sign in "+-":
            return Worked(
                one.value + two.value if self.sign == "+" else one.value - two.value, one.size + two.size, steps
            )
        if self.sign == "*":
            return Worked(one.value * two.value, one.size * two.size, steps)
        if self.sign == "/":
            value, below = one.value / two.value, np.abs(two.value)
            return Worked(value, one.size / below + 2 * np.abs(value) * two.size / below, steps)
        value = one.value**two.value  # of an exact base: a setting
        return Worked(value, np.abs(value), steps + 4)


@dataclass(frozen=True)
class Applied(Expression):
    """A function of a number: exp, log, sqrt, tanh, abs or neg."""

    name: str
    of: Expression

    @property
    def level(self) -> int:  # type: ignore[override]
        return SUM if self.name == "neg" else ALONE

    def tree(self, how: Writing) -> Tree:
        if self.name == "neg":
            return ["mrow", ["mo", "−"], self.of.shown(how, PRODUCT)]
        if self.name == "exp":
            return ["msup", "e", self.of.tree(how)]
        if self.name == "sqrt":
            return ["msqrt", self.of.tree(how)]
        return ["mrow", FUNCTIONS.get(self.name, self.name), ["mo", "("], self.of.tree(how), ["mo", ")"]]

    def work(self, known: Known) -> Worked:
        one = self.of.work(known)
        if self.name in ("neg", "abs"):
            return Worked(-one.value if self.name == "neg" else np.abs(one.value), one.size, one.steps)
        value = getattr(np, self.name)(one.value)
        slopes: dict[str, Callable[[], Any]] = {
            "exp": lambda: value, "log": lambda: 1 / one.value, "tanh": lambda: 1 - value * value,
            "sqrt": lambda: np.where(value > 0, 0.5 / np.where(value > 0, value, 1), 0),
        }  # fmt: skip
        return Worked(value, np.abs(value) + 2 * np.abs(slopes[self.name]()) * one.size, one.steps + 4)


@dataclass(frozen=True)
class Local(Expression):
    """An expression that the text gives a name: it is shown by its name, or laid in."""

    name: str
    of: Expression
    kept: bool = False

    @property
    def level(self) -> int:  # type: ignore[override]
        return ALONE if self.kept else self.of.level

    def tree(self, how: Writing) -> Tree:
        return how.letters.get(self.name, self.name) if self.kept else self.of.tree(how)

    def work(self, known: Known) -> Worked:
        return self.of.work(known)


def plus(one: Expression, two: Expression) -> Expression:
    """A sum; nothing is added to 0, and what is less than nothing is taken off."""
    if is_number(one, 0):
        return two
    if isinstance(two, Applied) and two.name == "neg":
        return minus(one, two.of)
    return one if is_number(two, 0) else Joined("+", one, two)


def minus(one: Expression, two: Expression) -> Expression:
    if is_number(one, 0):
        return negative(two)
    return one if is_number(two, 0) else Joined("-", one, two)


def negative(one: Expression) -> Expression:
    return one.of if isinstance(one, Applied) and one.name == "neg" else Applied("neg", one)


def times(one: Expression, two: Expression) -> Expression:
    if is_number(one, 0) or is_number(two, 0):
        return Number(0)
    if is_number(one, 1):
        return two
    if isinstance(one, Joined) and one.sign == "*" and one.right == two:
        return Joined("*", one.left, Joined("*", two, two))  # a square is shown as one
    return one if is_number(two, 1) else Joined("*", one, two)


def over(one: Expression, two: Expression) -> Expression:
    if isinstance(one, Applied) and one.name == "neg":
        return negative(over(one.of, two))
    return one if is_number(two, 1) or is_number(one, 0) else Joined("/", one, two)


def is_number(one: Expression, value: float) -> bool:
    number = one.of if isinstance(one, Local) else one
    return (isinstance(number, Number) and number.value == value) or (
        isinstance(number, Whole) and not number.index.shares and number.index.rest == value
    )
