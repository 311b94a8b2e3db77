"""Traced numbers: a value, the expression it came from, and the comparisons that chose it, through unchanged loops.

A nest runs as Python on arrays whose numbers remember where they come from. To explain one number, only the loops over
what the nest writes are narrowed: `range` over the shape of a written array yields the place asked for, and no other.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.loops import Array, exp, log, sqrt, tanh

Place = tuple[int | None, ...]
CELL, NUMBER, NAMED = "cell", "number", "named"  # what a traced number is that was not computed
SIGNS = {">": "<=", "<=": ">", "==": "!=", "!=": "=="}


class Traced:
    """A number and where it comes from: `op` on `left` and `right`, or a cell of an array, or a plain number.

    Its arithmetic is that of Python's floats, so its value has the bits of the same loops run on those.
    """

    __array_ufunc__ = None  # a NumPy number beside it lets it do the work
    __hash__ = object.__hash__
    __slots__ = ("left", "op", "reasons", "right", "value")
    compared: "list[Comparison]" = []  # noqa: RUF012 (one list for all, taken up by the arrays)

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

    def __neg__(self) -> "Traced":
        return Traced(-self.value, "neg", self)

    def _compare(self, sign: str, other: Any, outcome: bool) -> bool:
        Traced.compared.append(Comparison(self, sign, lift(other), outcome))
        return outcome

    def __gt__(self, other: Any) -> bool:
        return self._compare(">", other, self.value > lift(other).value)

    def __le__(self, other: Any) -> bool:
        return self._compare("<=", other, self.value <= lift(other).value)

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
    """A comparison that a nest made, and how it fell out."""

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


class Span(int):
    """The length of an axis of which only one place is wanted."""

    only: int | None

    def __new__(cls, length: int, only: int | None = None) -> "Span":
        span = super().__new__(cls, length)
        span.only = only
        return span

    def __floordiv__(self, other: int) -> "Span":
        return Span(int(self) // int(other), None if self.only is None else self.only // int(other))


def narrow_range(*bounds: int) -> Iterable[int]:
    """`range`, which over a Span yields only the part that holds the place wanted."""
    numbers = range(*map(int, bounds))
    only = getattr(bounds[-1 if len(bounds) < 3 else 1], "only", None)
    if only is None:
        return numbers
    return [each for each in numbers if each <= only < each + numbers.step]


class Given:
    """An array whose numbers are known: each read is the cell it is, or a plain number where it has none."""

    def __init__(self, values: Array, cells: Array | None) -> None:
        self.values, self.cells, self.shape, self.size = values, cells, values.shape, values.size

    def __getitem__(self, index: Any) -> Any:
        value = self.values[index]
        if isinstance(value, np.ndarray):
            return Given(value, None if self.cells is None else self.cells[index])
        if self.cells is None:
            return Traced(value.item(), NUMBER)
        return Traced(value.item(), CELL, int(self.cells[index]))

    def reshape(self, size: int) -> "Given":
        return Given(self.values.reshape(size), None if self.cells is None else self.cells.reshape(size))


class Made:
    """An array that a nest fills. `only` narrows the loops over its shape to one place along some axes.

    What is compared is kept with the numbers written next, until something else is compared. A number that is read
    back is shown as the cell it is where it is final (`values` says), and as its expression in the array asked for.
    """

    def __init__(self, shape: tuple[int, ...], only: Place, known: Given | None, made: Array | None = None) -> None:
        self.made = np.empty(shape, object) if made is None else made
        self.shape = tuple(Span(length, place) for length, place in zip(shape, only, strict=True))
        self.known = known

    @property
    def size(self) -> Span:
        places = [each.only for each in self.shape]
        whole = math.prod(self.shape)
        if any(place is None for place in places):
            return Span(whole)
        return Span(whole, int(np.ravel_multi_index(places, self.made.shape)))  # type: ignore[arg-type]

    def reshape(self, size: int) -> "Made":
        known = self.known.reshape(size) if self.known else None
        return Made((int(self.size),), (self.size.only,), known, self.made.reshape(size))

    def __setitem__(self, index: Any, value: Any) -> None:
        compared, value = Traced.compared, lift(value)
        if isinstance(compared, Sealed):
            same = compared.kept_in is self.made
            stale = value.op is NUMBER if same else index != compared.kept_at  # it begins the next sum, or is one
        if compared and not (isinstance(compared, Sealed) and stale):
            value = value.because(tuple(compared))
            Traced.compared = Sealed(compared)
            Traced.compared.kept_in, Traced.compared.kept_at = self.made, index
        self.made[index] = value

    def __getitem__(self, index: Any) -> Any:
        value = self.made[index]
        if isinstance(value, np.ndarray):
            raise TypeError("a traced nest reads what it writes number by number")
        if value is None:  # narrowed loops left it out, so it leads nowhere
            return Traced(math.nan, NUMBER)
        if self.known is not None:
            cell = self.known[index]
            if same(cell.value, value.value):
                return cell
        return value


class Sealed(list[Comparison]):
    """Comparisons that were kept with a number: the next comparison begins a new list."""

    kept_in: Array
    kept_at: Any

    def append(self, comparison: Comparison) -> None:
        Traced.compared = [comparison]


class Behind:
    """An array that an earlier nest of the layer made: each row is traced when it is first read.

    A nest that makes other rows with the one asked for is run once, for all.
    """

    def __init__(self, shape: tuple[int, ...], trace: Callable[[Place], Array]) -> None:
        self.shape, self.size, self.trace = shape, math.prod(shape), trace
        self.rows: dict[tuple[int, ...], Array] = {}

    def row(self, index: tuple[int, ...]) -> Array:
        """The traced numbers along the last axis at `index` of the others."""
        if index not in self.rows:
            made = self.trace((*index, None))
            others = (each for each in np.ndindex(self.shape[:-1]) if each != index)
            if (other := next(others, None)) is not None and made[other][0] is not None:
                made = self.trace((None,) * len(self.shape))
                self.rows |= {each: made[each] for each in np.ndindex(self.shape[:-1])}
            self.rows[index] = made[index].copy()
        return self.rows[index]

    def __getitem__(self, index: Any) -> Any:
        *most, last = index if isinstance(index, tuple) else (index,)
        return self.row(tuple(map(int, most)))[last]

    def reshape(self, size: int) -> Array:
        """All rows end to end."""
        return np.concatenate([self.row(row) for row in np.ndindex(self.shape[:-1])]).reshape(size)


def run_traced(plain: Callable[..., None], given: dict[str, Any], fixed: dict[str, Any], only: Place | None) -> None:
    """Run a nest as Python on traced arrays, narrowed to the place wanted in what it writes, where there is one.

    `firsts` are places on the first axis of that, wherever a nest takes them.
    """
    if only and only[0] is not None and "firsts" in fixed | given:
        cut = {"firsts": np.array([only[0]])}
        fixed, given = ({**each, **cut} if "firsts" in each else each for each in (fixed, given))
    names = {**plain.__globals__, "range": narrow_range}
    narrowed = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__)
    before, Traced.compared = Traced.compared, []
    try:
        (narrowed if only else plain)(*given.values(), **fixed)
    finally:
        Traced.compared = before
