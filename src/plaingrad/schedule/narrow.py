"""What leads to one number of what a text fills: what each of its letters may be there."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from plaingrad.schedule.open import Only, Opened, Settings
from plaingrad.schedule.tree import Named, copied, parsed


def leading_to(text: Opened, place: tuple[int, ...], known: Mapping[str, Any]) -> Only | None:
    """What each letter may be where the text fills the wanted array at this place; None where it cannot be said."""
    assert text.wanted
    indices = text.targets.get(text.wanted, set())
    if len(indices) != 1:
        return None
    tree = parsed(f"({next(iter(indices))},)")
    assert isinstance(tree, ast.Tuple)
    given = text.given(known)
    allowed: dict[str, set[int]] = {}
    try:
        for index, at in zip(tree.elts, place, strict=True):
            if isinstance(index, ast.Name) and index.id in text.locals:
                allowed[index.id] = {at}
            for letter, values in _solutions(text, index, at, given).items():
                allowed[letter] = allowed[letter] & values if letter in allowed else values
    except NoIndexError:
        return None
    return Only({letter: sorted(values) for letter, values in allowed.items()})


def _solutions(text: Opened, index: ast.expr, at: int, given: dict[str, Any]) -> dict[str, set[int]]:
    """What the letters of one index may be where it equals a number."""
    while names := {each.id for each in ast.walk(index) if isinstance(each, ast.Name)} & text.locals.keys():
        if names & text.varying:
            raise NoIndexError(ast.unparse(index))
        index = Named({name: text.locals[name] for name in names}).visit(copied(index))
    index = Settings(text).visit(index)
    letters = sorted({each.id for each in ast.walk(index) if isinstance(each, ast.Name)} & text.extents.keys())
    sizes = [int(number(parsed(text.extents[each]), given)) for each in letters]
    grids = dict(zip(letters, np.indices(tuple(sizes)), strict=True))
    found = np.argwhere(np.broadcast_to(number(index, {**given, **grids}), sizes) == at)
    return {letter: {int(each) for each in found[:, axis]} for axis, letter in enumerate(letters)}


class NoIndexError(ValueError):
    """An index that is no sum of letters and whole numbers."""


OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def number(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of an index: whole numbers, letters, axes of arrays, added and multiplied."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name) if name in names:
            return names[name]
        case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv() | ast.Mod() as op, right):
            one, other = number(left, names), number(right, names)
            return OPERATORS[type(op)](one, other)
        case ast.UnaryOp(ast.USub(), value):
            return -number(value, names)
        case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(axis)):
            return names[array].shape[axis]
    raise NoIndexError(f"{ast.unparse(node)} is no index")
