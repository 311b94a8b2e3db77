"""Traced numbers: a value, the expression it came from, and the comparisons that chose it, through unchanged texts."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, exp, log, normal_cdf, normal_pdf, sqrt, tanh
from plaingrad.schedule.open import Only

Place = tuple[int, ...]
CELL, NUMBER, NAMED = "cell", "number", "named"  # what a traced number is that was not computed
SIGNS = {">": "<=", "<=": ">", "<": ">=", ">=": "<", "==": "!=", "!=": "=="}


class Traced:
    """A number and where it comes from: `op` on `left` and `right`, or a cell of an array, or a plain number.

    Its arithmetic is that of Python's floats, so its value has the bits of the same loops run on those.
    """

    __array_ufunc__ = None  # a NumPy number beside it lets it do the work
    __hash__ = object.__hash__
    __slots__ = ("left", "op", "reasons", "right", "value")
    compared: "list[Comparison]" = []  # noqa: RUF012 (one list for all, taken up by the arrays)
    lasting: "list[Comparison]" = []  # noqa: RUF012 (those that found a largest: taken up by all that rests on it)

    def __init__(self, value: Any, op: str, left: Any = None, right: Any = None, reasons: Any = ()) -> None:
        self.value, self.op, self.left, self.right, self.reasons = value, op, left, right, reasons

    def __add__(self, other: Any) -> "Traced":
        if type(other) is int and other == 0:  # where a sum begins
            return self
        other = lift(other)
        if self.op is NUMBER and type(self.value) is int and not (self.value or self.reasons):
            return lift(other)
        return Traced(self.value + other.value, "+", self, other)

    def __radd__(self, other: Any) -> "Traced":
        return self if type(other) is int and other == 0 else lift(other) + self

    def __sub__(self, other: Any) -> "Traced":
        return Traced(self.value - (other := lift(other)).value, "-", self, other)

    def __rsub__(self, other: Any) -> "Traced":
        return lift(other) - self

    def __mul__(self, other: Any) -> "Traced":
        return Traced(self.value * (other := lift(other)).value, "*", self, other)

    def __rmul__(self, other: Any) -> "Traced":
        return lift(other) * self

    def __truediv__(self, other: Any) -> "Traced":
        return Traced(quotient(self.value, (other := lift(other)).value), "/", self, other)

    def __rtruediv__(self, other: Any) -> "Traced":
        return lift(other) / self

    def __pow__(self, power: Any) -> "Traced":
        return Traced(self.value ** (power := lift(power)).value, "**", self, power)

    def __neg__(self) -> "Traced":
        return Traced(-self.value, "neg", self)

    def _compare(self, sign: str, other: Any, outcome: bool) -> bool:
        other = lift(other)
        if (
            self.op is not NUMBER or other.op is not NUMBER
        ):  # two plain numbers say nothing of where a number comes from
            Traced.compared.append(Comparison(self, sign, other, outcome))
        return outcome

    def __gt__(self, other: Any) -> bool:
        return self._compare(">", other, self.value > lift(other).value)

    def __le__(self, other: Any) -> bool:
        return self._compare("<=", other, self.value <= lift(other).value)

    def __lt__(self, other: Any) -> bool:
        return self._compare("<", other, self.value < lift(other).value)

    def __ge__(self, other: Any) -> bool:
        return self._compare(">=", other, self.value >= lift(other).value)

    def __abs__(self) -> "Traced":
        return -self if self < 0 else self

    def __eq__(self, other: Any) -> bool:
        return self._compare("==", other, self.value == lift(other).value)

    def __ne__(self, other: Any) -> bool:
        if other is self:  # only a NaN is not equal to itself
            return bool(self.value != self.value)
        return self._compare("!=", other, self.value != lift(other).value)

    def exp(self) -> "Traced":
        return Traced(exp(self.value), "exp", self)

    def log(self) -> "Traced":
        return Traced(log(self.value), "log", self)

    def sqrt(self) -> "Traced":
        return Traced(sqrt(self.value), "sqrt", self)

    def tanh(self) -> "Traced":
        return Traced(tanh(self.value), "tanh", self)

    def normal_cdf(self) -> "Traced":
        return Traced(normal_cdf(self.value), "normal_cdf", self)

    def normal_pdf(self) -> "Traced":
        return Traced(normal_pdf(self.value), "normal_pdf", self)

    def because(self, reasons: "tuple[Comparison, ...]") -> "Traced":
        """The same number, chosen by these comparisons."""
        return Traced(self.value, self.op, self.left, self.right, (*self.reasons, *reasons))

    @property
    def why(self) -> "tuple[Comparison, ...]":
        """The comparisons that chose it: its own, and those kept with what it was while its terms were added up."""
        kept, node = [self.reasons], self
        while node.op in ("+", "-"):
            node = node.left
            kept.append(node.reasons)
        return tuple(each for reasons in reversed(kept) for each in reasons)

    def nodes(self) -> "Iterator[Traced]":
        """All numbers this one was computed from, itself among them, in reading order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            if node.op not in (CELL, NUMBER, NAMED):
                stack += [each for each in (node.right, node.left) if each is not None]

    def cells(self) -> list[int]:
        """The cells it was computed from, in reading order, each as often as it is met."""
        return [node.left for node in self.nodes() if node.op is CELL]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A comparison that a text made, and how it fell out."""

    left: Traced
    sign: str
    right: Traced
    outcome: bool

    @property
    def truth(self) -> str:
        """The sign that holds."""
        return self.sign if self.outcome else SIGNS[self.sign]


def lift(value: Any) -> Traced:
    """A plain number as a traced one."""
    return value if type(value) is Traced else Traced(value.item() if hasattr(value, "item") else value, NUMBER)


def same(one: Any, other: Any) -> bool:
    """Whether two numbers are equal, or neither is a number."""
    return bool(one == other or (one != one and other != other))


def quotient(above: Any, below: Any) -> Any:
    """Division as machine code does it: by zero it is infinite or not a number."""
    if below:
        return above / below
    return math.nan if not above or above != above else math.copysign(math.inf, above) * math.copysign(1, below)


class Given:
    """An array whose numbers are known: each read is the cell it is, or a plain number where it has none."""

    def __init__(self, values: Array, cells: Array | None) -> None:
        self.values, self.cells, self.shape, self.ndim = values, cells, values.shape, values.ndim

    def __getitem__(self, index: Any) -> Any:
        value = self.values[index]
        if isinstance(value, np.ndarray):
            return Given(value, None if self.cells is None else self.cells[index])
        if self.cells is None:
            return Traced(value.item(), NUMBER)
        return Traced(value.item(), CELL, int(self.cells[index]))


class Made:
    """An array that a text fills; of a narrowed text only one `place` of it is.

    What is compared is kept with the number written next. A number that is read back is shown as the cell it is where
    it is final (`known` says) and was computed, else as its expression.
    """

    def __init__(self, shape: tuple[int, ...], place: Place | None = None, known: Given | None = None) -> None:
        self.made, self.shape, self.ndim = np.empty(shape, object), shape, len(shape)
        self.place, self.known = place, known

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):  # as `dx[:] = 0` fills it
            for each in np.ndindex(self.shape) if self.place is None else [self.place]:
                self.made[each] = lift(value)
            return
        compared, value = [*Traced.lasting, *Traced.compared], lift(value)
        if compared:
            value = value.because(tuple(compared))
            Traced.compared = []
        self.made[index] = value

    def __getitem__(self, index: Any) -> Any:
        value = self.made[index]
        if isinstance(value, np.ndarray):
            part = Made(value.shape, None, None if self.known is None else self.known[index])
            part.made = value
            return part
        if value is None:  # narrowed loops left it out, so it leads nowhere
            return Traced(math.nan, NUMBER)
        if self.known is not None and value.op not in (CELL, NUMBER):
            cell = self.known[index]
            if same(cell.value, value.value):
                return cell
        return value


def run_traced(function: Callable[..., None], given: dict[str, Any]) -> None:
    """Run a text as Python on traced arrays."""
    before, Traced.compared, Traced.lasting = (Traced.compared, Traced.lasting), [], []
    try:
        function(**given)
    finally:
        Traced.compared, Traced.lasting = before


class Choices(Only):
    """Keeps the comparisons that found a largest with every number that rests on it."""

    def chosen(self) -> None:
        Traced.compared, Traced.lasting = [], Traced.compared
