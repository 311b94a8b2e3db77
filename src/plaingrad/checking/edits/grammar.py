"""The small edits of a text that people make, one after the other.

An edit is a few nodes of the tree, each with what stands there instead. The rules are closed under the symmetry of
images (what can be done to rows can be done to columns, or to both), and under repetition (a cell that is read twice
can be mistaken twice).
"""

import ast
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from plaingrad.checking.edits import changed
from plaingrad.checking.edits.directions import exchanged_settings, in_both
from plaingrad.checking.edits.expressions import instead, is_in_index
from plaingrad.checking.edits.layouts import layouts
from plaingrad.checking.edits.lines import Lines, Path, at, walked
from plaingrad.checking.edits.pieces import ARRAY, INDEX, LIKELY, Around, Edit
from plaingrad.checking.edits.statements import exchanged_arrays, statements
from plaingrad.checking.edits.uses import below


def edits(lines: Lines, around: Around) -> Iterator[Edit]:
    """Every small edit of a text: of one node, of the same in both image directions, of the same cell everywhere."""
    seen: set[tuple[Any, ...]] = set()
    said: dict[Path, str] = {}
    every = _nodes(lines, around), statements(lines, around), exchanged_arrays(lines, around), exchanged_settings(lines)
    for edit in itertools.chain.from_iterable(every):
        key = (edit.wraps, *((path, _key(new)) for path, new in edit.changes))
        for path, _ in edit.changes:
            if path not in said:
                said[path] = _key(at(lines.tree, path))
        if key not in seen and any(_key(new) != said[path] for path, new in edit.changes):
            seen.add(key)
            for _, new in edit.changes:
                for each in new if isinstance(new, list) else [new]:
                    ast.fix_missing_locations(each)  # here once: edited texts are compiled over and over
            yield edit
    yield from _layouts(lines, around)


def _layouts(lines: Lines, around: Around) -> Iterator[Edit]:
    """Arrays read as if their numbers lay in memory otherwise."""
    cells: dict[str, tuple[Path, ast.Subscript]] = {}
    for path, node in walked(lines.tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
            cells.setdefault(node.value.id, (path, node))
    for array, cell in cells.items():
        if array in around.arrays and array not in lines.fills:
            shape, index = around.arrays[array].shape, cell[1].slice
            letters = [ast.unparse(each) for each in (index.elts if isinstance(index, ast.Tuple) else [index])]
            for each in layouts(array, shape):
                words = f"{array} is read as {each.said(letters)}"
                yield Edit(INDEX, (cell,), 2 + LIKELY[INDEX], words=words, layout=each)
            if around.arrays[array].dtype == float and array != "share":
                for other in changed.read(array, len(shape)):
                    words = f"{array} is read as {other.said(letters)}"
                    yield Edit(ARRAY, (cell,), 2 + LIKELY[ARRAY], words=words, layout=other)


def _key(new: Any) -> str:
    return "; ".join(map(ast.dump, new)) if isinstance(new, list) else ast.dump(new)


def _nodes(lines: Lines, around: Around) -> Iterator[Edit]:
    tree = lines.tree
    every = list(walked(tree))
    dumps: dict[str, list[Path]] = {}
    for path, node in every:
        is_number = isinstance(node, ast.Name) and node.id in around.numbers
        is_read = (isinstance(node, ast.Subscript) or is_number) and isinstance(node.ctx, ast.Load)
        if is_read or (isinstance(node, ast.BinOp) and not is_in_index(path, lines)):
            dumps.setdefault(ast.dump(node), []).append(path)
    for path, node in every:
        if isinstance(node, ast.expr):
            same = dumps.get(ast.dump(node), [])
            for kind, cost, new in instead(node, path, lines, around):
                if isinstance(getattr(node, "ctx", None), ast.Store):
                    cost += 1  # people mistake what they read sooner than where they put it
                first = Edit(kind, ((path, new),), cost + LIKELY[kind])
                yield first
                both = in_both(tree, first)
                if both is not None:
                    yield both
                if len(same) > 1 and path in same:
                    yield Edit(kind, tuple((each, new) for each in same), cost + LIKELY[kind] + 1)
                if _may_wrap(new):
                    yield Edit(kind, ((path, new),), cost + LIKELY[kind] + 1, wraps=True)
                if _lets_wrap(node, new):
                    yield replace(first, wraps=True)
                    if both is not None:
                        yield replace(both, wraps=True)


def _may_wrap(new: Any) -> bool:
    return any(isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub) for each in below(new))


def _lets_wrap(node: ast.expr, new: Any) -> bool:
    """Whether a place that was held to both ends is held to the upper one alone: below 0 it counts from the end."""
    match node, new:
        case ast.Compare(_, [_, _], [middle, _]), ast.Compare(left, [_], [_]):
            return ast.dump(left) == ast.dump(middle)
        case _:
            return False
