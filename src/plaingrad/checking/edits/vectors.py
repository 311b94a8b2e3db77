"""Runs loops on whole axes at once: a loop is an axis, a statement one sum over all places that it is done for.

The numbers are those of the loops done one after the other. Where a statement reads what another iteration wrote, that
does not hold, and `Sequential` says so.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from plaingrad.checking.edits.stores import Sequential, Stores
from plaingrad.compiler.loops import Array

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "log": np.log, "sqrt": lambda x: np.sqrt(np.maximum(x, 0)), "tanh": np.tanh, "abs": np.abs
}  # fmt: skip


class Vectors:
    """One run of a tree. `only` says which values some letters take, `wraps` whether an index below 0 counts from the
    end, as in Python, or means that there is nothing."""

    def __init__(
        self,
        tree: ast.FunctionDef,
        wanted: str,
        known: Mapping[str, Any],
        only: Mapping[str, list[int]] | None = None,
        wraps: bool = False,
        stores: frozenset[str] | None = None,
    ) -> None:
        self.tree, self.wanted, self.known, self.only, self.wraps = tree, wanted, known, only or {}, wraps
        self.depths = depth_of(tree.body)
        self.written = written(tree) if stores is None else stores
        if self.written != {wanted}:
            raise Sequential
        self.letters: dict[str, Array] = {}
        self.locals: dict[str, tuple[Any, int]] = {}  # value, how many loops around where it began
        self.extents: list[int] = []
        self.path: list[int] = []  # of statements, one more than there are loops around
        self.mask: Any = True
        self.stores = Stores(self.depths)
        self.running: list[str] = []
        self.missing: Any = False

    def made(self) -> Array:
        """The wanted array."""
        with np.errstate(all="ignore"):
            self._all(self.tree.body)
            return self.stores.laid(self.known[self.wanted])

    # -- statements

    def _all(self, body: list[ast.stmt]) -> None:
        self.path.append(0)
        for number, each in enumerate(body):
            self.path[-1] = number
            self._statement(each)
        self.path.pop()

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.For(ast.Name(letter), ast.Call(ast.Name("range"), bounds), body):
                self._loop(letter, bounds, body)
            case ast.If(test, body, other):
                before = self.mask
                asked = self._test(test)
                self.mask = before & asked
                self._all(body)
                if other:
                    self.mask = before & ~asked
                    self._all(other)
                self.mask = before
            case ast.Assign([ast.Name(name)], value):
                if name in self.locals and (self.mask is not True or self.locals[name][1] < len(self.running)):
                    raise Sequential  # what it is depends on which came last
                self.missing = False
                self.locals[name] = self._value(value), len(self.running)
            case ast.AugAssign(ast.Name(name), op, value):
                if name not in self.locals or not isinstance(op, ast.Add | ast.Sub):
                    raise Sequential
                held, depth = self.locals[name]
                self.missing = False
                made = self._value(value)
                kept = self.mask if self.missing is False else self.mask & ~self.missing
                extents = list(zip(self.running, self.extents, strict=True))
                made = self.stores.spread(np.where(kept, made, 0), extents)
                axes = tuple(range(depth, len(self.running)))
                made = made.sum(axis=axes, keepdims=True) if axes else made
                self.locals[name] = held + made if isinstance(op, ast.Add) else held - made, depth
            case ast.Assign([ast.Subscript(ast.Name(array), index)], value):
                self._store(array, index, "=", value)
            case ast.AugAssign(ast.Subscript(ast.Name(array), index), ast.Add() | ast.Sub() as op, value):
                self._store(array, index, "+" if isinstance(op, ast.Add) else "-", value)
            case ast.Expr(ast.Constant()) | ast.Pass():
                pass
            case _:
                raise Sequential

    def _loop(self, letter: str, bounds: list[ast.expr], body: list[ast.stmt]) -> None:
        ends = [self._value(each) for each in bounds]
        if any(np.ndim(each) for each in ends):
            raise Sequential
        values = [*range(*(int(each) for each in ends))]
        if letter in self.only:
            values = [each for each in values if each in self.only[letter]]
        if not len(values):
            return
        depth = len(self.running)
        shape = [1] * self.depths
        shape[depth] = len(values)
        self.letters[letter] = np.array(values).reshape(shape)
        self.extents.append(len(values))
        self.running.append(letter)
        before = self.mask, dict(self.locals)
        self._all(body)
        self.mask = before[0]
        for name, (_, begun) in list(self.locals.items()):
            if begun > depth:
                del self.locals[name]
        self.running.pop()
        self.extents.pop()
        del self.letters[letter]

    def _store(self, array: str, index: ast.expr, sign: str, value: ast.expr) -> None:
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        self.missing = False
        times = tuple(self.path), list(zip(self.running, self.extents, strict=True))
        if any(isinstance(each, ast.Slice) for each in parts):
            if len(parts) > 1 or sign != "=":
                raise Sequential
            self.stores.events.append(("fill", None, self._value(value), True, *times, ""))
            return
        shape = self.known[array].shape
        if len(parts) != len(shape):
            raise Sequential
        flat, inside = self._flat([self._value(each) for each in parts], shape)
        made = self._value(value)
        if self.missing is not False:
            inside = inside & ~self.missing
        if self.mask is not True:
            inside = inside & self.mask
        self.stores.events.append((sign, flat, made, inside, *times, ast.dump(index)))

    def _flat(self, places: list[Any], shape: tuple[int, ...]) -> tuple[Any, Any]:
        """The flat index of a place, and whether there is such a place."""
        flat: Any = 0
        inside: Any = np.bool_(True)
        for place, size in zip(places, shape, strict=True):
            if isinstance(place, float) or getattr(place, "dtype", np.dtype(int)).kind == "f":
                raise Sequential
            if self.wraps:
                place = np.where(np.asarray(place) < 0, place + size, place)
            if isinstance(place, np.ndarray) and place.size and place.min() >= 0 and place.max() < size:
                flat = flat * size + place
                continue
            good = (np.asarray(place) >= 0) & (np.asarray(place) < size)
            inside = inside & good
            flat = flat * size + np.where(good, place, 0)
        return flat, inside

    # -- expressions

    def _test(self, node: ast.expr) -> Any:
        self.missing = False
        asked = np.asarray(self._value(node)).astype(bool)
        return asked if self.missing is False else asked & ~self.missing

    def _value(self, node: ast.expr) -> Any:
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
                return np.where(self._value(test), self._value(then), self._value(other))
            case ast.BoolOp(op, values):
                found = [np.asarray(self._value(each)).astype(bool) for each in values]
                for each in found[1:]:
                    found[0] = found[0] & each if isinstance(op, ast.And) else found[0] | each
                return found[0]
            case ast.Compare(left, ops, rights):
                sides = [self._value(left), *(self._value(each) for each in rights)]
                asked: Any = True
                for place, sign in enumerate(ops):
                    asked = asked & COMPARED[type(sign)](sides[place], sides[place + 1])
                return asked
            case ast.Call(ast.Name("min"), [one, two]):
                return np.minimum(self._value(one), self._value(two))
            case ast.Call(ast.Name("max"), [one, two]):
                return np.maximum(self._value(one), self._value(two))
            case ast.Call(ast.Name(name), [of]) if name in FUNCTIONS:
                return FUNCTIONS[name](np.asarray(self._value(of), float))
        raise Sequential

    def _name(self, name: str) -> Any:
        if name in self.letters:
            return self.letters[name]
        if name in self.locals:
            return self.locals[name][0]
        value = self.known.get(name)
        if not isinstance(value, int | float | np.number):
            raise Sequential
        return value

    def _cell(self, array: str, index: ast.expr) -> Any:
        if array == self.wanted and array in self.written:
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


def written(tree: ast.AST) -> frozenset[str]:
    """The arrays that a tree fills."""
    stores = (each for each in ast.walk(tree) if isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store))
    return frozenset(each.value.id for each in stores if isinstance(each.value, ast.Name))


def depth_of(body: list[ast.stmt]) -> int:
    """How many loops lie in each other."""
    found = 0
    for each in body:
        if isinstance(each, ast.For):
            found = max(found, 1 + depth_of(each.body))
        elif isinstance(each, ast.If):
            found = max(found, depth_of(each.body), depth_of(each.orelse))
    return found


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
