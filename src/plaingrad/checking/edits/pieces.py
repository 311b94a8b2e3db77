"""Pieces of edits: small expressions, and what an edit is."""

import ast
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.lines import Path, replaced
from plaingrad.compiler.loops import Array

Change = tuple[Path, Any]
TWINS = {"i": "j", "u": "v", "row": "column"}
TWINS |= {two: one for one, two in TWINS.items()}
INDEX, SUM, FACTOR, ARRAY, COMPARISON, WINDOW = (
    Kind.INDEX, Kind.SUM, Kind.FACTOR, Kind.ARRAY, Kind.COMPARISON, Kind.WINDOW
)  # fmt: skip
LIKELY = {SUM: 0, FACTOR: 1, INDEX: 1, ARRAY: 2, COMPARISON: 1, WINDOW: 1}
"""How soon an edit of a kind is told, among those that make the same numbers."""


@dataclass(frozen=True)
class Layout:
    """An array whose numbers lie in memory by axes of another order than they are read by.

    `is_read`: laid right and read in another order; otherwise laid in another order and read right.
    """

    array: str
    order: tuple[int, ...]
    is_read: bool

    def of(self, array: Array) -> Array:
        """The array as it is read then."""
        if self.is_read:
            sizes = [array.shape[axis] for axis in self.order]
            return np.ascontiguousarray(array.reshape(sizes).transpose(np.argsort(self.order)))
        return np.ascontiguousarray(array.transpose(self.order)).reshape(array.shape)

    def said(self, shape: tuple[int, ...]) -> str:
        """What one would write."""
        if self.is_read:
            sizes = tuple(shape[axis] for axis in self.order)
            back = tuple(map(int, np.argsort(self.order)))
            return f"{self.array}.reshape{sizes}.transpose{back}"
        return f"{self.array}.transpose{self.order}.reshape{shape}"


@functools.lru_cache(maxsize=64)
def layouts(array: str, shape: tuple[int, ...]) -> list[Layout]:
    """Every other order of axes that reads another array, once."""
    places = np.arange(math.prod(shape)).reshape(shape)
    found = {places.tobytes(): Layout(array, (), False)}
    for order in itertools.permutations(range(len(shape))):
        for is_read in (False, True):
            each = Layout(array, order, is_read)
            found.setdefault(each.of(places).tobytes(), each)
    return list(found.values())[1:]


@dataclass(frozen=True)
class Edit:
    """Nodes of a tree and what stands there instead; `kind` is what sort of slip it is, `cost` how unusual."""

    kind: Kind
    changes: tuple[Change, ...]
    cost: int = 0
    wraps: bool = False
    words: str = ""  # what it does, where two lines do not show it
    keeps: bool = False  # whether the array begins with what was in it before, as nothing clears it
    layout: "Layout | None" = None  # the array that is read as if its axes lay in memory in another order

    def tree(self, tree: ast.FunctionDef) -> ast.FunctionDef:
        """The edited text. Changes are made from the end of the text to its beginning, so that paths stay true."""
        for path, new in sorted(self.changes, key=lambda each: [place or 0 for _, place in each[0]], reverse=True):
            tree = replaced(tree, path, new)
        return tree


@dataclass(frozen=True)
class Around:
    """What an edit may put in: letters of the loops around, settings, arrays by shape, and usual numbers."""

    arrays: Mapping[str, Array]
    others: Mapping[str, Array]
    settings: Sequence[str]


def name(id: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(id, ast.Load())


def number(value: float) -> ast.Constant:
    """A number."""
    return ast.Constant(value)


def target_of(node: ast.expr) -> ast.Subscript:
    """A cell that is assigned to."""
    assert isinstance(node, ast.Subscript)
    return node


def assignment(target: ast.expr, value: ast.expr) -> ast.Assign:
    """target = value."""
    return ast.Assign([target], value, lineno=0)


def operation(left: ast.expr, op: type[ast.operator], right: ast.expr) -> ast.BinOp:
    """left op right."""
    return ast.BinOp(left, op(), right)


def absolute(of: ast.expr) -> ast.expr:
    """|of|."""
    return ast.Call(name("abs"), [of], [])


def copy_of(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


class Exchanged(ast.NodeTransformer):
    """Exchanges two names."""

    def __init__(self, one: str, two: str) -> None:
        self.names = {one: two, two: one}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


def copy_of_statement(node: ast.stmt) -> ast.stmt:
    """A statement of its own."""
    return ast.parse(ast.unparse(node)).body[0]
