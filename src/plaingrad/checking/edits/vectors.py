"""Runs loops on whole axes at once: a loop is an axis, a statement one sum over all places that it is done for.

The numbers are those of the loops done one after the other. A loop that carries a name from one turn to the next is
done turn by turn, on whole axes of the loops around it. A cell that belongs to its loops, as y[n, c, i, j] in those of
n, c, i and j, is such a name (`carried_cells`). Where a statement reads what another iteration wrote otherwise, none of
this holds, and `Sequential` says so.
"""

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from plaingrad.checking.edits.stores import Sequential, Stores
from plaingrad.checking.edits.uses import (
    Kept,
    Named,
    depth_of,
    expressions_of,
    letters_of,
    statements_of,
    written,
)
from plaingrad.checking.edits.values import Values
from plaingrad.compiler.loops import Array


class Vectors(Values):
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
        kept: Kept | None = None,
        names: Mapping[str, Any] | None = None,
        cells: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(
            known,
            names or {},
            kept or Kept(Named(tree)),
            written(tree) if stores is None else stores,
            cells or {},
            wraps,
            which=(wraps, tuple(only or ())),
        )
        self.tree, self.wanted, self.only = tree, wanted, only or {}
        self.depths = depth_of(tree.body)
        if not {wanted} <= self.written <= {wanted, *self.cells}:
            raise Sequential
        self.extents: list[int] = []
        self.path: list[int] = []  # of statements, one more than there are loops around
        self.mask: Any = True
        self.stores = Stores(self.depths)
        self.turns = 0  # loops around that are done turn by turn
        self.left: set[str] = set()  # arrays whose cells have been
        self.others: dict[str, Array] = {}  # arrays that were filled besides the wanted one

    def made(self) -> Array:
        """The wanted array."""
        with np.errstate(all="ignore"):
            self._all(self.tree.body)
            return self.stores.laid(self.known[self.wanted])

    def _all(self, body: list[ast.stmt]) -> int:
        """The statements of a loop, and how many they are."""
        self.path.append(0)
        self._each(body)
        return self.path.pop()

    def _each(self, body: list[ast.stmt]) -> None:
        """Statements one after the other, each with a number; those under a condition count on."""
        for each in body:
            self.path[-1] += 1
            self._statement(each)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.For(ast.Name(letter), ast.Call(ast.Name("range"), bounds), body):
                self._loop(letter, bounds, body)
            case ast.If(test, body, other):
                before = self.mask
                asked = self._test(test)
                self.mask = before & asked
                self._each(body)
                if other:
                    self.mask = before & ~asked
                    self._each(other)
                self.mask = before
            case ast.Assign([ast.Name(name)], value):
                self._assign(name, value)
            case ast.AugAssign(ast.Name(name), op, value):
                self._add(name, op, value)
            case ast.Assign([ast.Subscript(ast.Name(array))], value) if array in self.cells:
                self._assign(array, value)
            case ast.AugAssign(ast.Subscript(ast.Name(array)), op, value) if array in self.cells:
                self._add(array, op, value)
            case ast.Assign([ast.Subscript(ast.Name(array), index)], value):
                self._store(array, index, "=", value)
            case ast.AugAssign(ast.Subscript(ast.Name(array), index), ast.Add() | ast.Sub() as op, value):
                self._store(array, index, "+" if isinstance(op, ast.Add) else "-", value)
            case ast.Expr(ast.Constant()) | ast.Pass():
                pass
            case _:
                raise Sequential

    def _assign(self, name: str, value: ast.expr) -> None:
        """Give a name a value: where there is a condition, at the places that it holds for."""
        self.missing = False
        made = self._value(value)
        if name in self.cells:
            made = self._as_in(self.known[name], made)
        if name in self.locals:
            before, depth = self.locals[name]
            if depth < len(self.running):
                raise Sequential  # what it is depends on which came last
            kept = self.mask if self.missing is False or name not in self.cells else self.mask & ~self.missing
            made = made if kept is True else np.where(kept, made, before)
        elif name in self.cells:
            raise Sequential
        self.locals[name] = made, len(self.running)

    def _as_in(self, array: Array, value: Any) -> Any:
        """A value as an array holds it."""
        if array.dtype.kind != "i" or np.asarray(value).dtype.kind != "f":
            return value
        if not np.isfinite(value).all():
            raise Sequential
        return np.trunc(value).astype(array.dtype)

    def _add(self, name: str, op: ast.operator, value: ast.expr) -> None:
        """Add to a name what all iterations add since it was given its value."""
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

    def _is_carried(self, body: list[ast.stmt]) -> bool:
        """Whether a loop hands a name on from one turn to the next, in another way than by adding to it."""
        given: set[str] = set()
        added: set[str] = set()
        read: set[str] = set()
        for node, _ in statements_of(body):
            if isinstance(node, ast.Assign | ast.AugAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                name = target.value if isinstance(target, ast.Subscript) else target
                (given if isinstance(node, ast.Assign) else added).add(getattr(name, "id", ""))
            for each in expressions_of(node):
                uses = self.kept.uses(each)
                read |= uses.names | {array for array, _ in uses.read}
        return bool((given | added & read) & self.locals.keys())

    def _turn_by_turn(self, letter: str, values: list[int], body: list[ast.stmt]) -> None:
        before = self.mask
        self.turns += 1
        for each in values:
            self.letters[letter] = self.kept.letters.setdefault(each, np.array(each))
            self._all(body)
            self.mask = before
        self.turns -= 1
        del self.letters[letter]

    def _enter(self) -> None:
        """Take up the cells that belong to the loops around."""
        for array, letters in self.cells.items():
            if array in self.locals or not set(letters) <= set(self.running):
                continue
            if len(letters) < len(self.running) or array in self.left:
                raise Sequential
            flat, inside = self._flat([self.letters[each] for each in letters], self.known[array].shape)
            if not np.all(inside):
                raise Sequential
            self.locals[array] = self.known[array].reshape(-1)[flat], len(self.running)

    def _leave(self, after: int) -> None:
        """Lay down the cells of the loops around, as they are behind the last statement of the innermost."""
        for array, letters in self.cells.items():
            if array not in self.locals or self.locals[array][1] != len(self.running):
                continue
            if self.turns:
                raise Sequential
            flat, inside = self._flat([self.letters[each] for each in letters], self.known[array].shape)
            extents = list(zip(self.running, self.extents, strict=True))
            value = self.locals[array][0]
            if array == self.wanted:
                self.stores.events.append(("=", flat, value, inside, (*self.path, after), extents, letters))
            else:
                self.others[array] = np.array(self.known[array], order="C")
                self.others[array].reshape(-1)[self.stores.spread(flat, extents)] = value
            self.left.add(array)

    def _loop(self, letter: str, bounds: list[ast.expr], body: list[ast.stmt]) -> None:
        ends = [self._value(each) for each in bounds]
        if any(np.ndim(each) for each in ends):
            raise Sequential
        values = [*range(*(int(each) for each in ends))]
        if letter in self.only:
            values = [each for each in values if each in self.only[letter]]
        if not len(values):
            return
        if self.locals and self._is_carried(body):
            self._turn_by_turn(letter, values, body)
            return
        depth = len(self.running)
        self.letters[letter] = self._axis(depth, tuple(values))
        self.extents.append(len(values))
        self.running.append(letter)
        before = self.mask
        self._enter()
        count = self._all(body)
        self.mask = before
        self._leave(count + 1)
        for name, (_, begun) in list(self.locals.items()):
            if begun > depth:
                del self.locals[name]
        self.running.pop()
        self.extents.pop()
        del self.letters[letter]

    def _axis(self, depth: int, values: tuple[int, ...]) -> Array:
        """The values of a letter, along the axis of its loop; the same object for the same values."""
        made = self.kept.letters.get((self.depths, depth, values))
        if made is None:
            made = np.array(values).reshape([len(values) if axis == depth else 1 for axis in range(self.depths)])
            self.kept.letters[self.depths, depth, values] = made
        return made

    def _store(self, array: str, index: ast.expr, sign: str, value: ast.expr) -> None:
        if self.turns:
            raise Sequential
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        self.missing = False
        times = tuple(self.path), list(zip(self.running, self.extents, strict=True))
        if any(isinstance(each, ast.Slice) for each in parts):
            if len(parts) > 1 or sign != "=":
                raise Sequential
            self.stores.events.append(("fill", None, self._value(value), True, *times, None))
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
        self.stores.events.append((sign, flat, made, inside, *times, letters_of(parts)))
