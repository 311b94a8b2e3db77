"""Names and nested values to arrays: the part that JSON, NPZ, CSV and Python have in common."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import NoneType
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError, visible

BYTES_LIMIT = 256 * 2**20  # of a file, of what a program prints, of what an archive unpacks to
NUMBERS_LIMIT = 20_000_000
DEPTH_LIMIT = 32  # brackets within brackets; no quantity has more than four axes
NAME_LIMIT = 200  # characters

NEEDED = 'it needs one JSON object of names and numbers, such as {"loss": 0.5, "conv1.dw": [[[[0.25, …]]]]}'


class UnreadableError(AnswerError):
    """That one quantity is no array of numbers; `what` says so without who answered it. The others can be judged."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class Pairs(list[tuple[str, Any]]):
    """The names and values of one JSON object, in order; a name given twice is there twice."""


def one_line(text: str, limit: int = 1000) -> str:
    """The text in one line of printable characters: others are escaped, and what is too long is cut in the middle."""
    if len(text) > 4 * limit:  # no message needs more of a text that may be very long
        text = f"{text[: 2 * limit]} {text[-2 * limit :]}"
    line = visible(" ".join(text.split()))
    half = (limit - 1) // 2
    return line if len(line) <= limit else f"{line[:half]}…{line[-half:]}"


def shown(name: str) -> str:
    """A name as a message has it: as it is where that is plain, otherwise in quotes."""
    return name if name.isprintable() and " " not in name and 0 < len(name) <= 60 else repr(one_line(name, 60))


class Named:
    """Arrays by name, gathered one value at a time within the limits; `who` begins every error."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.arrays: dict[str, Array] = {}
        self.unread: dict[str, UnreadableError] = {}
        self.notes: list[str] = []
        self.numbers = 0

    def refused(self, what: str) -> AnswerError:
        """The error to raise: one line, who and what."""
        return AnswerError(one_line(f"{self.who}: {what}"))

    def unreadable(self, what: str) -> UnreadableError:
        """The error for one quantity that is no array of numbers."""
        return UnreadableError(one_line(f"{self.who}: {what}"), one_line(what))

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """While one quantity is read: where it is no array of numbers that is kept, and the others are read on."""
        try:
            yield
        except UnreadableError as error:
            self.unread[name] = error

    def require_some(self) -> None:
        """AnswerError where no quantity could be read: what is wrong with the first of them."""
        if self.unread and not self.arrays:
            raise next(iter(self.unread.values()))

    def note(self, what: str) -> None:
        """What was read in a special way or passed over, one line."""
        self.notes.append(one_line(what))

    def count(self, more: int) -> None:
        """Take account of more numbers; AnswerError beyond NUMBERS_LIMIT."""
        self.numbers += more
        self.room(0)

    def room(self, more: int) -> None:
        """AnswerError where there would be no room for more numbers; asked before they take memory."""
        if self.numbers + more > NUMBERS_LIMIT:
            raise self.refused(f"holds more than {NUMBERS_LIMIT:,} numbers; answer fewer quantities")

    def name(self, name: str) -> None:
        """AnswerError where a name is taken, or too long to be one."""
        if len(name) > NAME_LIMIT:
            raise self.refused(
                f"a name of {len(name):,} characters ({shown(name)}); no quantity has more than {NAME_LIMIT}"
            )
        if name in self.arrays or name in self.unread:
            raise self.refused(f"{shown(name)} is given twice; each quantity can have one answer")

    def put(self, name: str, array: Array) -> None:
        """One array of integers or floats, kept as float64 of the same shape."""
        self.name(name)
        self.is_numeric(name, array.dtype)
        self.count(array.size)
        with np.errstate(all="ignore"):  # a long double beyond float64 is infinite, and for the comparison to judge
            self.arrays[name] = array.astype(np.float64)

    def is_numeric(self, name: str, dtype: np.dtype[Any]) -> None:
        """UnreadableError unless the type is one of integers or floats."""
        kinds = {"b": "true and false", "c": "complex numbers", "O": "Python objects", "S": "texts", "U": "texts"}
        if dtype.kind not in "iuf":
            got = kinds.get(dtype.kind, f"the type {dtype}")
            raise self.unreadable(f"{shown(name)} holds {got}; integers or floats are needed, such as float64")

    def add_all(self, pairs: Pairs, before: str = "", depth: int = 0) -> None:
        """What the names of an object stand for; the names of inner objects are joined by dots."""
        seen: set[str] = set()
        for inner, value in pairs:
            name = f"{before}{inner}"
            self.name(name)
            if inner in seen:
                raise self.refused(f"{shown(name)} is given twice; each quantity can have one answer")
            seen.add(inner)
            self.add(name, value, depth)

    def add(self, name: str, value: Any, depth: int = 0) -> None:
        """What a name stands for: a float or None (nan), nested lists of them, Pairs of inner names, or an array.

        Anything else, and lists without a shape, are `unread`.
        """
        if isinstance(value, np.ndarray):
            with self.reading(name):
                self.put(name, value)
        elif isinstance(value, UnreadableError):
            self.unread[name] = value
        elif isinstance(value, Pairs):
            if depth == DEPTH_LIMIT:
                raise self.too_deep()
            if not value:
                self.note(f"{shown(name)} is an empty object and was skipped")
            self.add_all(value, f"{name}.", depth + 1)
        else:
            numbers: list[float | None] = []
            with self.reading(name):
                shape = self._shape(name, value, (), numbers)
                self.count(len(numbers))
                self.arrays[name] = np.array(numbers, dtype=np.float64).reshape(shape)

    def too_deep(self) -> AnswerError:
        """The error for brackets within brackets within brackets."""
        return self.refused(f"brackets nest more than {DEPTH_LIMIT} deep; no quantity needs more than 4")

    def _shape(self, name: str, value: Any, place: tuple[int, ...], numbers: list[float | None]) -> tuple[int, ...]:
        """The shape of nested lists; their numbers are appended in order."""
        if type(value) is float or value is None:
            numbers.append(value)
            return ()
        if type(value) is not list:
            raise self.unreadable(f"{_cell(name, place)} {_strange(value)}")
        if len(place) == DEPTH_LIMIT:
            raise self.too_deep()
        if {*map(type, value)} <= {float, NoneType}:
            numbers.extend(value)
            return (len(value),)
        first = self._shape(name, value[0], (*place, 0), numbers)
        for at, entry in enumerate(value[1:], 1):
            shape = self._shape(name, entry, (*place, at), numbers)
            if shape != first:
                raise self._ragged(name, place, at, shape, first)
        return (len(value), *first)

    def _ragged(self, name: str, place: tuple[int, ...], at: int, own: tuple[int, ...], first: tuple[int, ...]) -> Any:
        axis = next((axis for axis, (one, other) in enumerate(zip(own, first, strict=False)) if one != other), None)
        within = (0,) * (min(len(own), len(first)) if axis is None else axis)
        here, there = _cell(name, (*place, at, *within)), _cell(name, (*place, 0, *within))
        if axis is None:
            kinds = ("a number", "a list") if len(own) < len(first) else ("a list", "a number")
            return self.unreadable(
                f"{here} is {kinds[0]} and {there} is {kinds[1]}; all entries need the same structure"
            )
        entries = "entry" if own[axis] == 1 else "entries"
        return self.unreadable(
            f"{here} has {own[axis]:,} {entries} and {there} has {first[axis]:,}; all need the same number"
        )


def _cell(name: str, place: tuple[int, ...]) -> str:
    return f"{shown(name)}[{','.join(map(str, place))}]" if place else shown(name)


def _strange(value: Any) -> str:
    """What stands where a number should, and what to do."""
    if isinstance(value, bool):
        return f"is {str(value).lower()}; a number is needed"
    if isinstance(value, str):
        return f"is the text {one_line(value, 40)!r}; a number is needed, without quotes"
    if isinstance(value, Pairs):
        return "is an object within a list; lists hold numbers or lists"
    return f"is of the type {type(value).__name__}; a number or nested lists of numbers are needed"


def as_float(value: Any) -> float:
    """An int, Fraction or the like as float; too large a one is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
