"""Runs loops as they stand, one place after the other, for texts that read what they have just written."""

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from plaingrad.checking.edits.lines import Path, at, copied, replaced
from plaingrad.checking.edits.stores import Sequential
from plaingrad.checking.edits.uses import Kept, Named, arrays_of, carried_cells, written
from plaingrad.checking.edits.vectors import Vectors
from plaingrad.compiler.loops import Array
from plaingrad.textbook.text import Text

Changed = tuple[ast.FunctionDef, tuple[tuple[Path, Any], ...]]
NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])
FEW = 1000  # numbers: of a part, or of a small array, turns are done sooner place by place
NOT_MADE = (KeyError, ValueError, IndexError, TypeError, OverflowError, MemoryError, Sequential)
"""What an edited text may end in: it makes no array then."""
MOST_STEPS = 400_000  # places: a second or so


def located(node: Any) -> Any:
    """A node with a place in a source, which the compiler asks of every one; those below it have theirs."""
    node.lineno, node.col_offset = 1, 0
    return node


def chosen_loops(node: Any) -> Any:
    """A tree in which each loop runs over what `chosen` leaves of its values; what is not a loop is shared."""
    if not isinstance(node, ast.FunctionDef | ast.For | ast.If):
        return node
    made: Any = copied(node)
    if isinstance(node, ast.For):
        letter = ast.Constant(node.target.id)  # type: ignore[attr-defined]
        made.iter = located(ast.Call(located(ast.Name("chosen", ast.Load())), [located(letter), node.iter], []))
    made.body = [chosen_loops(each) for each in node.body] or [located(ast.Pass())]  # all of it may be left out
    if not isinstance(node, ast.FunctionDef):
        made.orelse = [chosen_loops(each) for each in node.orelse]
    return made


def compiled(tree: ast.FunctionDef) -> CodeType:
    """The code of a tree whose loops run over what `chosen` leaves."""
    loops = ast.FunctionDef(tree.name, NO_ARGUMENTS, chosen_loops(tree).body, [])
    return code_in(compile(ast.Module([located(loops)], []), "<edited>", "exec"))


def code_in(code: CodeType) -> CodeType:
    """The code of the function that is defined in it."""
    return next(each for each in code.co_consts if isinstance(each, CodeType))


@functools.lru_cache(maxsize=256)
def own_names(tree: ast.FunctionDef) -> frozenset[str]:
    """The names that a tree gives values to."""
    names = (each for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
    return frozenset(each.id for each in names)


@functools.lru_cache(maxsize=1024)
def with_calls(tree: ast.FunctionDef, places: tuple[tuple[Path, tuple[str, ...]], ...]) -> CodeType:
    """The code of a tree in which expressions are calls of functions that are given these names."""
    for number, (path, names) in enumerate(places):
        given = [located(ast.Name(each, ast.Load())) for each in names]
        called = located(ast.Name(f"edited_{number}", ast.Load()))
        tree = replaced(tree, path, located(ast.Call(called, given, [])))
    return compiled(tree)


@functools.lru_cache(maxsize=4096)
def function_of(value: ast.expr, names: tuple[str, ...]) -> CodeType:
    """The code of a function that is given names and returns an expression."""
    arguments = ast.arguments([], [located(ast.arg(each)) for each in names], None, [], [], None, [])
    return code_in(compile(ast.Expression(located(ast.Lambda(arguments, value))), "<edited>", "eval"))


def codes(tree: ast.FunctionDef, changed: Changed | None) -> tuple[CodeType, dict[str, CodeType]]:
    """The code of a tree and the functions that it calls.

    A text is compiled once for all edits of the same expression: only what stands there instead is compiled for each.
    """
    if changed is None or not all(is_replaced(changed[0], *each) for each in changed[1]):
        return compiled(tree), {}
    own = own_names(changed[0])
    names = [
        tuple(sorted({each.id for each in ast.walk(new) if isinstance(each, ast.Name)} & own)) for _, new in changed[1]
    ]
    places = tuple((path, each) for (path, _), each in zip(changed[1], names, strict=True))
    functions = {
        f"edited_{number}": function_of(new, each)
        for number, ((_, new), each) in enumerate(zip(changed[1], names, strict=True))
    }
    return with_calls(changed[0], places), functions


def is_replaced(tree: ast.FunctionDef, path: Path, new: Any) -> bool:
    """Whether a change puts one expression in place of another."""
    return isinstance(new, ast.expr) and is_value(new) and is_value(at(tree, path))


@functools.lru_cache(maxsize=4096)
def is_value(node: Any) -> bool:
    """Whether a node is an expression that has a value by itself."""
    if not isinstance(node, ast.expr) or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return False
    return not any(isinstance(each, ast.Slice) for each in ast.walk(node))


def stepped(
    text: Text,
    tree: ast.FunctionDef,
    wanted: str,
    known: Mapping[str, Any],
    only: Mapping[str, list[int]],
    changed: Changed | None = None,
) -> Array | None:
    """The wanted array; None where an index lies beyond its array, or a number is no place.

    `changed` tells which tree this one was made of, by which changes.
    """
    left = MOST_STEPS

    def chosen(letter: str, values: Iterable[int]) -> Iterator[int]:
        nonlocal left
        for each in values:
            left -= 1
            if left < 0:
                raise Sequential
            if letter not in only or each in only[letter]:
                yield each

    arrays = {name: np.array(each, copy=True) if isinstance(each, np.ndarray) else each for name, each in known.items()}
    try:
        code, functions = codes(tree, changed)
        names = {**names_of(text), **arrays, "chosen": chosen}
        names |= {name: FunctionType(each, names) for name, each in functions.items()}
        with np.errstate(all="ignore"):
            FunctionType(code, names)()
    except (IndexError, TypeError, ValueError, NameError, ZeroDivisionError, OverflowError, SyntaxError):
        return None
    made: Array = np.asarray(arrays[wanted], float)
    return made


@functools.cache
def names_of(text: Text) -> dict[str, Any]:
    """What the names outside of a text stand for."""
    return dict(text.names)


def run(
    text: Text,
    tree: ast.FunctionDef,
    wanted: str,
    known: Mapping[str, Any],
    only: Mapping[str, list[int]] | None = None,
    wraps: bool = False,
    stores: frozenset[str] | None = None,
    kept: Kept | None = None,
    changed: Changed | None = None,
) -> Array | None:
    """The array that a tree makes: all at once where that can be and is quicker, else step by step; None where it
    makes none. `changed` tells which tree this one was made of, by which changes."""
    kept = kept or Kept(Named(tree))
    cells = {} if changed is not None and reads_nothing_filled(*changed, kept) else carried_cells(tree, kept)
    try:
        made = None
        if is_in_nests(tree, kept):
            made = nest_by_nest(text, tree, wanted, known, only, wraps, kept).get(wanted)
        elif not cells or not (only or known[wanted].size < FEW):
            made = _at_once(tree, wanted, known, only, wraps, stores, kept, names_of(text), cells).get(wanted)
        return made if made is not None else stepped(text, tree, wanted, known, only or {}, changed)
    except NOT_MADE:
        return None


def nest_by_nest(
    text: Text,
    tree: ast.FunctionDef,
    wanted: str,
    known: Mapping[str, Any],
    only: Mapping[str, list[int]] | None,
    wraps: bool,
    kept: Kept,
) -> dict[str, Array]:
    """What the loops of a text that stand one behind the other make, each all at once of what those before it made.

    Nothing where one of them cannot be done so.
    """
    arrays, made = dict(known), dict[str, Array]()
    for nest in tree.body:
        filled, read = arrays_of([nest], kept)
        needs = [arrays[each] for each in sorted(filled | read)]
        what = id(nest), wraps, *((letter, *values) for letter, values in (only or {}).items())
        before = kept.nests.get(what)
        if before is not None and all(one is other for one, other in zip(before[0], needs, strict=True)):
            arrays |= before[1]
            made |= before[1]
            continue
        within = ast.FunctionDef(tree.name, tree.args, [nest], [])
        cells = carried_cells(within, kept)
        # What nothing here reads is filled by itself; cells that are read belong together.
        alone = [] if cells else sorted(filled)
        if read & filled - cells.keys():
            return {}
        if not filled:
            continue
        found: dict[str, Array] = {}
        for array in alone or [wanted if wanted in filled else min(cells, default=wanted)]:
            body = within if cells or len(filled) == 1 else filling(within, array)
            stores = frozenset(filled) if cells else frozenset({array})
            some = _at_once(body, array, arrays, only, wraps, stores, kept, names_of(text), cells)
            if array not in some:
                return {}
            found |= some
        if id(nest) in kept.statements:
            kept.nests[what] = needs, found
        arrays |= found
        made |= found
    return made


def reads_nothing_filled(tree: ast.FunctionDef, changes: tuple[tuple[Path, Any], ...], kept: Kept) -> bool:
    """Whether a tree with such changes reads no array that it fills: told without a look at all of it."""
    filled, read = arrays_of(tree.body, kept)
    if filled & read or not all(isinstance(new, ast.expr) for _, new in changes):
        return False
    every = [kept.uses(new) for _, new in changes]
    more = {array for uses in every for array, _ in uses.read}
    return not filled & more and all(array in filled for uses in every for array, _ in uses.filled)


def is_in_nests(tree: ast.FunctionDef, kept: Kept) -> bool:
    """Whether loops that stand one behind the other fill several arrays."""
    return len(tree.body) > 1 and len(arrays_of(tree.body, kept)[0]) > 1


def filling(node: Any, array: str) -> Any:
    """A tree without the statements that fill other arrays."""
    if not isinstance(node, ast.FunctionDef | ast.For | ast.If):
        return node
    made: Any = copied(node)
    for name in ("body", "orelse"):
        if not isinstance(node, ast.FunctionDef) or name == "body":
            inner = [
                each for each in getattr(node, name) if written(each) <= {array} or isinstance(each, ast.For | ast.If)
            ]
            setattr(made, name, [filling(each, array) for each in inner])
    return made


def every_at_once(
    text: Text,
    tree: ast.FunctionDef,
    wanted: str,
    known: Mapping[str, Any],
    only: Mapping[str, list[int]] | None = None,
    wraps: bool = False,
    stores: frozenset[str] | None = None,
    kept: Kept | None = None,
) -> dict[str, Array] | None:
    """The wanted array and the others that are filled on the way, run on whole axes; None where it cannot be."""
    kept = kept or Kept(Named(tree))
    if is_in_nests(tree, kept):
        return nest_by_nest(text, tree, wanted, known, only, wraps, kept) or None
    cells = carried_cells(tree, kept)
    return _at_once(tree, wanted, known, only, wraps, stores, kept, names_of(text), cells) or None


def _at_once(tree: ast.FunctionDef, wanted: str, *given: Any) -> dict[str, Array]:
    """The wanted array and the others filled on the way, from what `Vectors` takes; nothing where it cannot be."""
    try:
        run = Vectors(tree, wanted, *given)
        return {wanted: run.made()} | run.others
    except Sequential:
        return {}
