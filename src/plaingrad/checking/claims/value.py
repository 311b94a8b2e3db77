"""What a formula gives at some numbers of a run: fifty digits, with a bound on their rounding carried along."""

import itertools
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from plaingrad.checking.claims.names import BeyondError, Names, Place
from plaingrad.checking.claims.tree import letter_of
from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError
from plaingrad.explaining.expressions import OPERATORS, Node, every, is_kind
from plaingrad.explaining.twin import Sheet
from plaingrad.network.exact import Sized

MOST_EVALUATED, LARGEST_POWER, FARTHEST = 300_000, 1000, 1_000_000
COSTLY = 10  # what a function costs beside a sum
DIGITS = 50
UNIT = Decimal(5).scaleb(-DIGITS)  # half a unit in the last place, as a share of the number
WHOLE: dict[str, Callable[[list[Fraction]], Fraction]] = {
    "sum": lambda terms: sum(terms, Fraction(0)), "neg": lambda given: -given[0],
    "floor": lambda given: Fraction(math.floor(given[0])), "max": max, "min": min,
}  # fmt: skip
Letters = Mapping[str, int]
Move = Callable[[Sheet, Place], Place]
Point = Mapping[str, Array]  # of each array its numbers, by name: `Sized`, laid out as its sheet says


class OverdrawnError(SettingError):
    """A claim that asks for too much."""


class UndefinedError(SettingError):
    """A formula that has no value at these numbers."""


@dataclass
class Purse:
    """How much may still be worked out for one claim."""

    left: int = MOST_EVALUATED

    def pay(self, price: int = 1) -> None:
        self.left -= price
        if self.left < 0:
            raise OverdrawnError(
                f"the claim asks for more than {MOST_EVALUATED:,} numbers; claim one place instead of all, or a part"
            )


@dataclass(frozen=True)
class Reading:
    """Another way to read a claim: each place moved before it is looked up, an array in place of another.

    `left` moves the place that the claim is about.
    """

    words: str = ""
    moved: Move = lambda sheet, place: place
    left: Move = lambda sheet, place: place
    replaced: Mapping[str, str] = field(default_factory=dict)


AS_WRITTEN = Reading()


def sized(number: Any) -> Sized:
    """A number that is exactly so."""
    exact = number if isinstance(number, Decimal) else Decimal(number)
    return Sized(exact, abs(exact))


def bound(number: Sized) -> Decimal:
    """How far rounding may have taken a number: γ(steps) · size, see `plaingrad.network.exact.Sized`.

    Doubled, for `size` is itself rounded.
    """
    share = number.steps * UNIT
    if share > Decimal("0.5"):
        raise UndefinedError("the claim takes too long to compute; use the names of intermediate quantities")
    return 2 * share / (1 - share) * number.size


def agree(one: Sized, other: Sized) -> bool:
    """Whether two numbers are no further apart than their rounding."""
    return abs(one.value - other.value) <= bound(one) + bound(other)


class Evaluator:
    """Works a tree out at one point."""

    def __init__(
        self, names: Names, point: Point, purse: Purse, reading: Reading = AS_WRITTEN, off: Node | None = None
    ) -> None:
        self.names, self.point, self.purse, self.reading, self.off = names, point, purse, reading, off
        self.used: set[tuple[str, Place]] = set()

    def value(self, tree: Node) -> Sized:
        """What the formula gives; UndefinedError where that is no number."""
        try:
            value = self._value(tree, {})
            if abs(value.value) > sys.float_info.max:
                raise OverflowError
            return value
        except ArithmeticError:
            raise UndefinedError(
                "the right side has no value: it divides by 0, takes a logarithm or root that is not defined, or is "
                "too large"
            ) from None

    def _value(self, tree: Node, letters: Letters) -> Sized:
        self.purse.pay()
        match tree.kind, tree.parts:
            case "number", (text,):
                return sized(Decimal(text) + (last_digit(text) / 2 if tree is self.off else 0))
            case "cell", (name,) if name in letters:
                return sized(letters[name])
            case "cell", _:
                return self._cell(tree, letters)
            case "sum", terms:
                total = sized(0)
                for each in terms:
                    total = total + self._value(each, letters)
                return total
            case "product", factors:
                made = sized(1)
                for each in factors:
                    is_below = each.kind == "below"
                    factor = self._value(each.parts[0] if is_below else each, letters)
                    made = made / factor if is_below else made * factor
                return made
            case "neg", (of,):
                return -self._value(of, letters)
            case "over", _:
                return self._over(tree, letters)
            case "if", ways:
                return self._way(ways, letters)
        self.purse.pay(COSTLY)
        given = [self._value(each, letters) for each in tree.parts]
        return power(*given) if tree.kind == "**" else applied(tree.kind, given)

    def _cell(self, tree: Node, letters: Letters) -> Sized:
        sheet, place = self.cell(tree, letters)
        if sheet.name == self.names.about:
            self.used.add((sheet.name, place))
        number: Sized = self.point[sheet.name][place]
        return number

    def cell(self, tree: Node, letters: Letters) -> tuple[Sheet, Place]:
        """The array and the place in it that a name means, as this reading has it."""
        name, *places = tree.parts
        index = tuple(self.index(each, letters) for each in places)
        sheet = self.names.sheet(name, len(index))
        if sheet.name in self.reading.replaced:
            sheet = self.names.twin.sheets[self.reading.replaced[sheet.name]]
        return sheet, self.names.place(name, sheet, self.reading.moved(sheet, index))

    def index(self, tree: Node, letters: Letters) -> int:
        """A whole number made of whole numbers and letters."""
        number = self._whole(tree, letters)
        if number.denominator != 1 or abs(number) > FARTHEST:
            raise SettingError(f"an index of the claim is {str(number)[:40]}; it needs a whole number, ⌊…⌋ rounds down")
        return int(number)

    def _whole(self, tree: Node, letters: Letters) -> Fraction:
        self.purse.pay()
        found = self._made_of_whole(tree, letters)
        if found is None or max(abs(found.numerator), found.denominator) > FARTHEST**2:
            what = repr(tree.parts[0]) if is_kind(tree, "cell") else "a number with a point or a large one, or a power"
            raise SettingError(f"an index of the claim has {what}; it is made of whole numbers and letters that run")
        return found

    def _made_of_whole(self, tree: Node, letters: Letters) -> Fraction | None:
        match tree.kind, tree.parts:
            case "number", (text,) if text.lstrip("-").isdigit() and len(text) < 8:
                return Fraction(int(text))
            case "cell", (name,) if name in letters:
                return Fraction(letters[name])
            case "product", factors:
                made = Fraction(1)
                for each in factors:
                    is_below = each.kind == "below"
                    factor = self._whole(each.parts[0] if is_below else each, letters)
                    if is_below and not factor:
                        raise SettingError("an index of the claim divides by 0; an index needs a whole number")
                    made = made / factor if is_below else made * factor
                return made
            case ("sum" | "neg" | "floor" | "max" | "min") as kind, given:
                return WHOLE[kind]([self._whole(each, letters) for each in given])
        return None

    def _over(self, tree: Node, letters: Letters) -> Sized:
        sign, name, first, _, body = tree.parts
        found: Sized | None = None
        for letter in self.run(tree, letters):
            self.purse.pay()
            try:
                each = self._value(body, {**letters, name: letter})
            except BeyondError:  # no term, as in any textbook
                if first is not None and self.reading.words:
                    raise  # what is only a guess must fit better
                self.names.went_beyond |= first is not None
                continue
            if sign == "max":
                found = each if found is None or each > found else found
            else:
                found = each if found is None else found + each
        if found is None and sign == "max":
            raise UndefinedError("the right side has a max over no numbers")
        return sized(0) if found is None else found

    def run(self, tree: Node, letters: Letters) -> range:
        """The numbers a letter runs through; without bounds, all that can name a place."""
        _, letter, first, last, body = tree.parts
        if first is not None:
            return range(self.index(first, letters), self.index(last, letters) + 1)
        cells = [each.parts for each in every(body) if is_kind(each, "cell")]
        bare = [(name, len(index)) for name, *index in cells if letter in map(letter_of, index)]
        if not bare:
            raise SettingError(f"nothing says where {letter} ends; write Σ[{letter}=0..3], or use it alone as an index")
        shapes = (self.names.sheet(name, count).shape for name, count in bare)
        return range(max(itertools.chain(*shapes), default=1))  # one number may have the lone image as its index

    def _way(self, ways: tuple[tuple[Node, tuple[Node, ...]], ...], letters: Letters) -> Sized:
        for value, asked in ways:
            sides = ((each.kind, [self._value(side, letters).value for side in each.parts]) for each in asked)
            if all(OPERATORS[sign](left, right) for sign, (left, right) in sides):
                return self._value(value, letters)
        raise UndefinedError("the right side has no value: none of its conditions holds")


def last_digit(text: str) -> Decimal:
    """What one unit in the last typed digit is worth."""
    exponent = Decimal(text).as_tuple().exponent
    return Decimal(1).scaleb(int(exponent))


def power(base: Sized, exponent: Sized) -> Sized:
    """A power; whole ones by multiplication."""
    if abs(exponent.value) > LARGEST_POWER:
        raise SettingError(f"the claim raises to a power beyond {LARGEST_POWER:,}; none of the library's formulas does")
    if exponent.value != exponent.value.to_integral_value():
        return (exponent * base.log()).exp()
    made, times = sized(1), abs(int(exponent.value))
    while times:
        made = made * base if times % 2 else made
        times //= 2
        base = base * base if times else base
    return sized(1) / made if exponent.value < 0 else made


def applied(function: str, given: list[Sized]) -> Sized:
    """A function, or with a ′ its derivative."""
    x = given[0]
    if function in ("max", "min"):
        return (max if function == "max" else min)(given, key=lambda each: each.value)
    if function in ("exp", "exp'"):
        return x.exp()
    if function == "sqrt" and not x.value:
        return sized(0)
    return SIMPLE[function](x)


def sigmoid(x: Sized) -> Sized:
    return sized(1) / (sized(1) + (-x).exp())


SIMPLE: dict[str, Callable[[Sized], Sized]] = {
    "ln": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": sigmoid,
    "relu": lambda x: x if x.value > 0 else sized(0),
    "abs": lambda x: x if x.value > 0 else -x,
    "floor": lambda x: sized(math.floor(x.value)),
    "ln'": lambda x: sized(1) / x,
    "sqrt'": lambda x: sized(1) / (2 * x.sqrt()),
    "tanh'": lambda x: sized(1) - x.tanh() * x.tanh(),
    "sigmoid'": lambda x: sigmoid(x) * (sized(1) - sigmoid(x)),
    "relu'": lambda x: sized(int(x.value > 0)),
}
