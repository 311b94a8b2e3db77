"""Pieces of edits: small expressions, and what an edit is."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.layouts import Layout
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
class Edit:
    """Nodes of a tree and what stands there instead; `kind` is what sort of slip it is, `cost` how unusual."""

    kind: Kind
    changes: tuple[Change, ...]
    cost: int = 0
    wraps: bool = False
    words: str = ""  # what it does, where two lines do not show it
    keeps: bool = False  # whether the array begins with what was in it before, as nothing clears it
    layout: Layout | None = None  # the array that is read as if its numbers lay in memory otherwise

    def tree(self, tree: ast.FunctionDef) -> ast.FunctionDef:
        """The edited text. Changes are made from the end of the text to its beginning, so that paths stay true."""
        for path, new in sorted(self.changes, key=lambda each: [place or 0 for _, place in each[0]], reverse=True):
            tree = replaced(tree, path, new)
        return tree


@dataclass(frozen=True)
class Around:
    """What an edit may put in: letters of the loops around, settings, arrays by shape, and usual numbers.

    `settings` are those of a window; `numbers` are the other numbers of the text, such as an epsilon.
    """

    arrays: Mapping[str, Array]
    others: Mapping[str, Array]
    settings: Sequence[str]
    numbers: Mapping[str, float] = field(default_factory=dict)


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
