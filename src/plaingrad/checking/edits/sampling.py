"""The part of an array that an edit is tried on first: most edits are ruled out there, at a fraction of the work."""

import ast
import functools
import itertools
from collections.abc import Mapping
from typing import Any

from plaingrad.checking.edits.lines import Lines, Path, at, statement_of
from plaingrad.checking.edits.making import Making, Only
from plaingrad.checking.edits.pieces import Edit
from plaingrad.checking.edits.uses import below, expressions_of, statements_of


def sampled(
    how: Making, edit: Edit, place: tuple[int, ...], lanes: float, most: int
) -> tuple[Only, tuple[int | slice, ...], float]:
    """Values of letters that lead to a part of the array around a place, that part, and how many places are done."""
    if len(how.parts) > 1:
        return {}, (), lanes
    touched = not edit.layout and any(_touches_filled(how.lines, path, new) for path, new in edit.changes)
    plain = _plain_of(edit.tree(how.lines.tree), how.lines.wanted) if touched else _plain_axes(how.lines)
    if how.then is not None:  # the letters that both texts can leave at one value, along the axes of the second one
        both = set(plain.values())
        plain = {axis: each for axis, each in _plain_axes(how.then.lines).items() if each in both}
    only: dict[str, list[int]] = {}
    slab: list[int | slice] = [slice(None)] * len(place)
    for axis, letter in plain.items():
        if lanes <= most:
            break
        only[letter], slab[axis] = [place[axis]], place[axis]
        lanes /= how.shape[axis]
    return only, tuple(slab), lanes


def _touches_filled(lines: Lines, path: Path, new: Any) -> bool:
    """Whether a change is one of a loop or a statement, or of a cell of an array that is filled."""
    rest = path[len(statement_of(path)) :]
    if not rest or rest[0][0] in ("targets", "target", "iter"):
        return True
    every = (each for node in (at(lines.tree, path), new) for each in below(node))
    return any(isinstance(each, ast.Name) and each.id in lines.fills for each in every)


@functools.lru_cache(maxsize=256)
def _plain_axes(lines: Lines) -> dict[int, str]:
    return _plain_of(lines.tree, lines.wanted)


def _plain_of(tree: ast.FunctionDef, wanted: str) -> dict[int, str]:
    """The axes of the array whose letters can be left at one value: what is made there reads nothing of other turns.

    One letter runs along an axis wherever the array is filled or read, and along one of each array filled on the way.
    """
    loops, around_fills, filled = set[str](), set[str](), set[str]()
    cells: dict[str, list[Mapping[int, str]]] = {}
    for statement, around in statements_of(tree.body):
        loops.update(around)
        if isinstance(statement, ast.Assign) and isinstance(getattr(statement.targets[0], "slice", None), ast.Slice):
            around_fills.update(around)
        for array, is_filled, own in itertools.chain(*map(_cells_of, expressions_of(statement))):
            filled |= {array} if is_filled else set()
            if own is not None:
                cells.setdefault(array, []).append(own)
    plain = {array: _common(cells.get(array, [])) for array in filled | {wanted}}
    letters = (loops - around_fills).intersection(*(each.values() for each in plain.values()))
    return {axis: each for axis, each in plain[wanted].items() if each in letters}


@functools.lru_cache(maxsize=4096)
def _cells_of(expression: ast.expr) -> tuple[tuple[str, bool, Mapping[int, str] | None], ...]:
    """The cells in an expression: of which array, whether filled, and the letter along each axis that has one alone.

    Without letters it is a whole row. Edited texts share most of their expressions.
    """
    found: list[tuple[str, bool, Mapping[int, str] | None]] = []
    for node in below(expression):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            own = {axis: each.id for axis, each in enumerate(parts) if isinstance(each, ast.Name)}
            is_row = isinstance(node.slice, ast.Slice)
            found.append((node.value.id, isinstance(node.ctx, ast.Store), None if is_row else own))
    return tuple(found)


def _common(cells: list[Mapping[int, str]]) -> dict[int, str]:
    """The axes along which the same letter runs in all cells of an array, and along no other of its axes."""
    first, *others = cells or [{}]
    same = {axis: each for axis, each in first.items() if all(other.get(axis) == each for other in others)}
    return {axis: each for axis, each in same.items() if all(list(own.values()).count(each) == 1 for own in cells)}


def lanes_of(lines: Lines, known: dict[str, Any]) -> float:
    """For how many places statements are done, those of all innermost loops together."""

    def within(body: list[ast.stmt]) -> float:
        loops = [each for each in body if isinstance(each, ast.For)]
        inner = [_extent(each.iter.args[-1], known) * within(each.body) for each in loops]  # type: ignore[attr-defined]
        inner += [within(each.body) + within(each.orelse) for each in body if isinstance(each, ast.If)]
        return max(sum(inner), 1.0)

    return within(lines.tree.body)


def _extent(size: ast.expr, known: dict[str, Any]) -> int:
    match size:
        case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(axis)):
            return int(known[array].shape[axis])
        case ast.Name(id):
            return int(known[id])
    return 1
