"""What expressions are worth on whole axes: letters are axes, a cell is looked up at all its places."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from plaingrad.checking.edits.stores import Sequential
from plaingrad.checking.edits.uses import Kept, helper_of
from plaingrad.compiler.loops import ON_ARRAYS, Array

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    **ON_ARRAYS, "abs": np.abs, "int": np.trunc
}  # fmt: skip


class Values:
    """What names stand for, and so what expressions are worth.

    `wraps`: whether an index below 0 counts from the end, as in Python, or means that there is nothing. `missing` says
    where an expression read beyond an array. `which` tells apart runs that look at other places.
    """

    def __init__(
        self,
        known: Mapping[str, Any],
        names: Mapping[str, Any],
        kept: Kept,
        written: frozenset[str],
        cells: Mapping[str, tuple[str, ...]],
        wraps: bool,
        which: Any,
    ) -> None:
        self.known, self.names, self.kept, self.written, self.cells = known, names, kept, written, cells
        self.wraps, self.which = wraps, which
        self.letters: dict[str, Array] = {}
        self.locals: dict[str, tuple[Any, int]] = {}  # value, how many loops around where it began
        self.running: list[str] = []  # letters of the loops around
        self.missing: Any = False

    def _flat(self, places: list[Any], shape: tuple[int, ...]) -> tuple[Any, Any]:
        """The flat index of a place, and whether there is such a place."""
        flat: Any = 0
        inside: Any = np.bool_(True)
        for place, size in zip(places, shape, strict=True):
            if isinstance(place, float) or getattr(place, "dtype", np.dtype(int)).kind == "f":
                raise Sequential
            if self.wraps:
                place = np.where(np.asarray(place) < 0, place + size, place)
            if isinstance(place, np.ndarray) and place.size and self.kept.is_within(place, size):
                flat = flat * size + place
                continue
            good = (np.asarray(place) >= 0) & (np.asarray(place) < size)
            inside = inside & good
            flat = flat * size + np.where(good, place, 0)
        return flat, inside

    def _test(self, node: ast.expr) -> Any:
        self.missing = False
        asked = np.asarray(self._value(node)).astype(bool)
        return asked if self.missing is False else asked & ~self.missing

    def _value(self, node: ast.expr) -> Any:
        names = self.kept.names.get(id(node))
        if names is None:
            return self._computed(node)
        stand_for = [self._stands_for(each) for each in names]
        place = id(node), self.which
        known = self.kept.worth.get(place)
        if known is None or any(one is not other for one, other in zip(known[0], stand_for, strict=True)):
            before, self.missing = self.missing, False
            known = self.kept.worth[place] = stand_for, self._computed(node), self.missing
            self.missing = before
        if known[2] is not False:
            self.missing = self.missing | known[2]
        return known[1]

    def _stands_for(self, name: str) -> Any:
        if name in self.letters:
            return self.letters[name]
        return self.locals[name][0] if name in self.locals else self.known.get(name, self.names.get(name))

    def _computed(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(number):
                return number
            case ast.Name(name):
                return self._name(name)
            case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(axis)):
                return self.known[array].shape[axis]
            case ast.Subscript(ast.Name(array), index):
                return self._cell(array, index)
            case ast.BinOp(left, op, right):
                return self._operation(op, self._value(left), self._value(right))
            case ast.UnaryOp(ast.USub(), of):
                return -self._value(of)
            case ast.UnaryOp(ast.Not(), of):
                return ~np.asarray(self._value(of)).astype(bool)
            case ast.IfExp(test, then, other):
                return self._either(self._value(test), then, other)
            case ast.BoolOp(op, values):
                return self._both(values, isinstance(op, ast.And))
            case ast.Compare(left, ops, rights):
                sides = [self._value(left), *(self._value(each) for each in rights)]
                asked: Any = True
                for place, sign in enumerate(ops):
                    asked = asked & COMPARED[type(sign)](sides[place], sides[place + 1])
                return asked
            case ast.Call(ast.Name("min"), [one, two]):
                return self._first(self._value(one), self._value(two), np.less)
            case ast.Call(ast.Name("max"), [one, two]):
                return self._first(self._value(one), self._value(two), np.greater)
            case ast.Call(ast.Name(name), [of]) if name in FUNCTIONS:
                return FUNCTIONS[name](np.asarray(self._value(of), float))
            case ast.Call(ast.Name(name), given) if (helper := helper_of(self.names.get(name))) is not None:
                return self._of_helper(*helper, [self._value(each) for each in given])
        raise Sequential

    def _first(self, one: Any, other: Any, goes_before: Callable[[Any, Any], Any]) -> Any:
        """The first of two numbers unless the other goes before it, as Python compares them: none goes before nan."""
        return np.where(goes_before(other, one), other, one)

    def _either(self, test: Any, then: ast.expr, other: ast.expr) -> Any:
        """One of two numbers; what the other one reads beyond an array is not read."""
        before, lost, values = self.missing, [], []
        for each in (then, other):
            self.missing = False
            values.append(self._value(each))
            lost.append(self.missing)
        self.missing = before
        if lost[0] is not False or lost[1] is not False:
            self.missing = before | np.where(test, *lost)
        return np.where(test, *values)

    def _both(self, values: list[ast.expr], is_and: bool) -> Any:
        """Whether all of some conditions hold, or one of them; they are asked up to the one that decides it."""
        before, found = self.missing, None
        for each in values:
            self.missing = False
            asked = np.asarray(self._value(each)).astype(bool)
            if self.missing is not False:
                open_ = True if found is None else found if is_and else ~found
                before = before | (self.missing & open_)
            found = asked if found is None else found & asked if is_and else found | asked
        self.missing = before
        return found

    def _of_helper(self, parameters: tuple[str, ...], value: ast.expr, given: list[Any]) -> Any:
        """What a small function returns: one expression of what it is given."""
        if len(parameters) != len(given):
            raise Sequential
        before = self.letters, self.locals
        self.letters = {}
        self.locals = {name: (each, len(self.running)) for name, each in zip(parameters, given, strict=True)}
        made = self._value(value)
        self.letters, self.locals = before
        return made

    def _name(self, name: str) -> Any:
        if name in self.letters:
            return self.letters[name]
        if name in self.locals:
            return self.locals[name][0]
        value = self.known.get(name, self.names.get(name))
        if not isinstance(value, int | float | np.number):
            raise Sequential
        return value

    def _cell(self, array: str, index: ast.expr) -> Any:
        if array in self.cells and array in self.locals:
            return self.locals[array][0]
        if array in self.written:
            raise Sequential
        numbers = self.known[array]
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        if not isinstance(numbers, np.ndarray) or len(parts) != numbers.ndim:
            raise Sequential
        flat, inside = self._flat([self._value(each) for each in parts], numbers.shape)
        if not inside.all():
            self.missing = self.missing | ~inside
        return numbers.reshape(-1)[flat]

    def _operation(self, op: ast.operator, left: Any, right: Any) -> Any:
        made = OPERATIONS.get(type(op))
        if made is None:
            raise Sequential
        return made(left, right)


OPERATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: np.asarray(a, float) / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: np.asarray(a, float) ** b,
}
COMPARED: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: lambda a, b: np.asarray(a) < b,
    ast.LtE: lambda a, b: np.asarray(a) <= b,
    ast.Gt: lambda a, b: np.asarray(a) > b,
    ast.GtE: lambda a, b: np.asarray(a) >= b,
    ast.Eq: lambda a, b: np.asarray(a) == b,
    ast.NotEq: lambda a, b: np.asarray(a) != b,
}
