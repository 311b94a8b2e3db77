"""What the expressions of a text read and name, and what they were worth in a run before."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from plaingrad.compiler.loops import Array

SMALL = 1000  # numbers of an index whose ends are kept


@dataclass(frozen=True)
class Uses:
    """What an expression reads and names: names, cells it reads, cells it stands for, each with the letters in it."""

    names: frozenset[str]
    read: tuple[tuple[str, tuple[str, ...] | None], ...]
    filled: tuple[tuple[str, tuple[str, ...] | None], ...]


def below(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, as `ast.walk` finds them in twice the time."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        for name in each._fields:
            inner = getattr(each, name, None)
            if isinstance(inner, ast.AST):
                waiting.append(inner)
            elif isinstance(inner, list):
                waiting += inner


@functools.lru_cache(maxsize=1024)
def uses_of(node: ast.expr) -> Uses:
    """What an expression reads and names: of an edited one it is asked several times in a run."""
    every = list(below(node))
    cells = [each for each in every if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name)]
    found: tuple[list[Any], list[Any]] = [], []
    for each in cells:
        parts = each.slice.elts if isinstance(each.slice, ast.Tuple) else [each.slice]
        found[isinstance(each.ctx, ast.Store)].append((each.value.id, letters_of(parts)))  # type: ignore[attr-defined]
    arrays = {id(each.value) for each in cells}
    names = {each.id for each in every if isinstance(each, ast.Name) and id(each) not in arrays}
    return Uses(frozenset(names), tuple(found[0]), tuple(found[1]))


class Named:
    """The names in the expressions of a text, found once for all runs of it."""

    def __init__(self, tree: ast.FunctionDef) -> None:
        self.tree = tree  # lives as long: no other node has the id of one of its nodes
        every = [each for each in ast.walk(tree) if isinstance(each, ast.expr) and not isinstance(each, ast.Name)]
        self.names = {
            id(each): tuple({name.id for name in ast.walk(each) if isinstance(name, ast.Name)}) for each in every
        }
        self.statements = {id(each) for each in ast.walk(tree) if isinstance(each, ast.stmt)}
        self.used: dict[int, Uses] = {}
        self.arrays: dict[int, tuple[set[str], set[str]]] = {}  # by statement: what it fills, what it reads
        self.cells: dict[tuple[int, tuple[str, ...]], Any] = {}  # by statement and the letters around it: its cells


class Kept:
    """What the expressions of a text were worth, for runs of the same text with a few of its nodes changed.

    A worth is taken again where every name in the expression stands for the very object that it stood for then.
    """

    def __init__(self, named: Named) -> None:
        self.names, self.used = named.names, named.used
        self.statements, self.arrays, self.cells = named.statements, named.arrays, named.cells
        self.worth: dict[Any, tuple[list[Any], Any, Any]] = {}
        self.letters: dict[Any, Array] = {}
        self.nests: dict[Any, tuple[list[Any], dict[str, Array]]] = {}  # what loops made of which arrays
        self.ends: dict[int, tuple[Array, int, int]] = {}
        self.runs: dict[Any, Any] = {}  # of the text as it stands: see `one_statement`

    def is_within(self, place: Array, size: int) -> bool:
        """Whether all of an index is from 0 to below a size; looked at once for a small array that stays."""
        known = self.ends.get(id(place))
        if known is None or known[0] is not place:
            known = place, int(place.min()), int(place.max())
            if place.size <= SMALL:
                self.ends[id(place)] = known
        return known[1] >= 0 and known[2] < size

    def uses(self, node: ast.expr) -> Uses:
        """What an expression reads and names, found once for those of the text itself."""
        if id(node) not in self.names:
            return uses_of(node)
        if id(node) not in self.used:
            self.used[id(node)] = uses_of(node)
        return self.used[id(node)]


@functools.lru_cache(maxsize=256)
def helper_of(function: Any) -> tuple[tuple[str, ...], ast.expr] | None:
    """The parameters of a small function and what it returns; None for anything but such a function."""
    if not isinstance(function, FunctionType):
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    if not isinstance(tree, ast.FunctionDef):
        return None
    match [each for each in tree.body if not isinstance(each, ast.Expr)]:
        case [ast.Return(value)] if value is not None:
            return tuple(each.arg for each in tree.args.args), value
    return None


def statements_of(body: list[ast.stmt], around: tuple[str, ...] = ()) -> Iterator[tuple[ast.stmt, tuple[str, ...]]]:
    """All statements, each with the letters of the loops around it."""
    for node in body:
        yield node, around
        if isinstance(node, ast.For):
            yield from statements_of(node.body, (*around, node.target.id))  # type: ignore[attr-defined]
        elif isinstance(node, ast.If):
            yield from statements_of(node.body, around)
            yield from statements_of(node.orelse, around)


def expressions_of(node: ast.stmt) -> Iterator[ast.expr]:
    """The expressions that a statement itself consists of; of a name that is given a value, the value alone."""
    match node:
        case ast.For():
            yield node.iter
        case ast.If():
            yield node.test
        case ast.Assign([ast.Name()], value) | ast.AugAssign(ast.Name(), _, value):
            yield value
        case ast.Assign([target], value) | ast.AugAssign(target, _, value):
            yield target
            yield value


def arrays_of(body: list[ast.stmt], kept: Kept) -> tuple[set[str], set[str]]:
    """The arrays of which statements fill cells, and those of which they read some."""
    filled, read = set[str](), set[str]()
    for node in body:
        known = kept.arrays.get(id(node))
        if known is None:
            known = arrays_of([*getattr(node, "body", []), *getattr(node, "orelse", [])], kept)
            for each in map(kept.uses, expressions_of(node)):
                known[0].update(array for array, _ in each.filled)
                known[1].update(array for array, _ in each.read)
            if id(node) in kept.statements:
                kept.arrays[id(node)] = known
        filled |= known[0]
        read |= known[1]
    return filled, read


def cells_of(
    body: list[ast.stmt], around: tuple[str, ...], kept: Kept
) -> frozenset[tuple[str, tuple[str, ...] | None]]:
    """The cells that statements read and fill: an array with its letters, None where they are not of the loops around.

    `around` are the letters of these loops.
    """
    found: set[tuple[str, tuple[str, ...] | None]] = set()
    for node in body:
        known = kept.cells.get((id(node), around))
        if known is None:
            inner = (*around, node.target.id) if isinstance(node, ast.For) else around  # type: ignore[attr-defined]
            known = cells_of([*getattr(node, "body", []), *getattr(node, "orelse", [])], inner, kept)
            for uses in map(kept.uses, expressions_of(node)):
                for array, letters in uses.read + uses.filled:
                    is_own = letters is not None and len({*letters}) == len(letters) and set(letters) <= set(around)
                    known |= {(array, letters if is_own else None)}
            if id(node) in kept.statements:
                kept.cells[id(node), around] = known
        found |= known
    return frozenset(found)


def carried_cells(tree: ast.FunctionDef, kept: Kept) -> dict[str, tuple[str, ...]]:
    """The cells that belong to their loops, where a tree reads some of them: what they hold goes from turn to turn.

    These are the arrays it fills that it names by the same letters wherever it does, in loops of these letters.
    """
    filled, read = arrays_of(tree.body, kept)
    if not filled & read:
        return {}
    found: dict[str, set[tuple[str, ...] | None]] = {array: set() for array in filled}
    for array, letters in cells_of(tree.body, (), kept):
        if array in filled:
            found[array].add(letters)
    cells = {}
    for array in filled:
        letters, *others = found[array]
        if letters is not None and not others:
            cells[array] = letters
    return cells if cells.keys() & read else {}


def letters_of(parts: list[ast.expr]) -> tuple[str, ...] | None:
    """The names that an index consists of; None where it is anything else."""
    names = tuple(each.id for each in parts if isinstance(each, ast.Name))
    return names if len(names) == len(parts) else None


@functools.lru_cache(maxsize=4096)
def written(tree: ast.AST) -> frozenset[str]:
    """The arrays that a tree fills; asked again and again of the statements that edited texts share."""
    stores = (each for each in below(tree) if isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store))
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
