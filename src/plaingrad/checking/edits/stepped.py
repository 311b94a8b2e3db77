"""Runs loops as they stand, one place after the other, for texts that read what they have just written."""

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from plaingrad.checking.edits.lines import copied
from plaingrad.checking.edits.stores import Sequential
from plaingrad.checking.edits.uses import Kept, Named, carried_cells
from plaingrad.checking.edits.vectors import Vectors
from plaingrad.compiler.loops import Array
from plaingrad.textbook.text import Text

NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])
FEW = 1000  # numbers: of a part, or of a small array, turns are done sooner place by place
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
    made.body = [chosen_loops(each) for each in node.body]
    if not isinstance(node, ast.FunctionDef):
        made.orelse = [chosen_loops(each) for each in node.orelse]
    return made


def stepped(
    text: Text, tree: ast.FunctionDef, wanted: str, known: Mapping[str, Any], only: Mapping[str, list[int]]
) -> Array | None:
    """The wanted array; None where an index lies beyond its array, or a number is no place."""
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
    loops = ast.FunctionDef(text.__name__, NO_ARGUMENTS, chosen_loops(tree).body, [])
    module = ast.Module([located(loops)], [])
    try:
        code = next(each for each in compile(module, "<edited>", "exec").co_consts if isinstance(each, CodeType))
        with np.errstate(all="ignore"):
            FunctionType(code, {**_names(text), **arrays, "chosen": chosen})()
    except (IndexError, TypeError, ValueError, NameError, ZeroDivisionError, OverflowError, SyntaxError):
        return None
    made: Array = np.asarray(arrays[wanted], float)
    return made


@functools.cache
def _names(text: Text) -> dict[str, Any]:
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
) -> Array | None:
    """The array that a tree makes: all at once where that can be and is quicker, else step by step; None where it
    makes none."""
    kept = kept or Kept(Named(tree))
    cells = carried_cells(tree, kept)
    try:
        made = None
        if not cells or not (only or known[wanted].size < FEW):
            made = _at_once(tree, wanted, known, only, wraps, stores, kept, _names(text), cells).get(wanted)
        return made if made is not None else stepped(text, tree, wanted, known, only or {})
    except (KeyError, ValueError, IndexError, TypeError, OverflowError, MemoryError, Sequential):
        return None


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
    cells = carried_cells(tree, kept)
    return _at_once(tree, wanted, known, only, wraps, stores, kept, _names(text), cells) or None


def _at_once(tree: ast.FunctionDef, wanted: str, *given: Any) -> dict[str, Array]:
    """The wanted array and the others filled on the way, from what `Vectors` takes; nothing where it cannot be."""
    try:
        run = Vectors(tree, wanted, *given)
        return {wanted: run.made()} | run.others
    except Sequential:
        return {}
