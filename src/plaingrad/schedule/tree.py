"""Texts as trees: how they are taken apart, what they fill, and what that is made of."""

import ast
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from plaingrad.textbook.text import Text


def parsed(text: str) -> ast.expr:
    """An expression."""
    return ast.parse(text, mode="eval").body


def function_of(text: Text | Callable[..., Any]) -> ast.FunctionDef:
    """The tree of a function."""
    source = text.source if isinstance(text, Text) else Text(text).source
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    names = [each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == "_"]
    for number, each in enumerate(names):  # loops laid into each other need names of their own
        each.id = f"unused_{number}"
    return node


def names_in(target: ast.expr) -> list[str]:
    """The names a loop gives: one, or several."""
    parts = target.elts if isinstance(target, ast.Tuple) else [target]
    return [each.id for each in parts if isinstance(each, ast.Name)]


def reads_cells(node: ast.AST) -> bool:
    """Whether an expression reads a number of an array."""
    cells = (each for each in ast.walk(node) if isinstance(each, ast.Subscript))
    return any(isinstance(each.value, ast.Name) for each in cells)


def copied(node: Any) -> Any:
    """A tree of its own, which may be changed."""
    return (
        ast.parse(ast.unparse(node), mode="eval").body
        if isinstance(node, ast.expr)
        else ast.parse(ast.unparse(node)).body[0]
    )


def at_line(node: ast.stmt, line: int) -> ast.stmt:
    """A statement that stands in no text, told as what this line of one means."""
    for each in ast.walk(node):
        if isinstance(each, ast.stmt):
            each.lineno = line
    return node


class Named(ast.NodeTransformer):
    """Puts expressions in place of names."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copied(self.names[node.id]) if node.id in self.names else node


class Laid(ast.NodeTransformer):
    """Puts statements in place of a `yield`."""

    def __init__(self, body: list[ast.stmt]) -> None:
        self.body = body

    def visit_Expr(self, node: ast.Expr) -> Any:
        return self.body if isinstance(node.value, ast.Yield) else node


def filled(tree: ast.AST) -> frozenset[str]:
    """The arrays a text fills: those that stand, with a place, on the left of an assignment."""
    stores = (each for each in ast.walk(tree) if isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store))
    return frozenset(each.value.id for each in stores if isinstance(each.value, ast.Name))


@functools.cache
def fills(text: Text) -> frozenset[str]:
    """The arrays a text fills."""
    return filled(function_of(text))


def needed(tree: ast.FunctionDef, wanted: str) -> frozenset[str]:
    """Of the arrays a text fills those that the wanted one is made of, and itself."""
    every, names = filled(tree), dict[str, frozenset[str]]()
    found, before = {wanted}, None
    while before != (found, names):  # once more, for a name may be read before the line that makes it
        before = set(found), dict(names)
        for read, written in _flows(tree.body, frozenset(), names):
            if written & found:
                found |= read & every
    return frozenset(found)


def _flows(
    body: list[ast.stmt], around: frozenset[str], names: dict[str, frozenset[str]]
) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Of each assignment to a cell: the arrays read for it, its conditions' too, and the array written."""
    for each in body:
        if isinstance(each, ast.For):
            yield from _flows(each.body, around, names)
        elif isinstance(each, ast.If | ast.While):
            yield from _flows([*each.body, *each.orelse], around | _read(each.test, names), names)
        elif isinstance(each, ast.Assign | ast.AugAssign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            read = around | _read(each.value, names)
            if isinstance(targets[0], ast.Name):
                names[targets[0].id] = read | names.get(targets[0].id, frozenset())
            else:
                yield read, filled(ast.Module([each], []))


def _read(node: ast.expr, names: dict[str, frozenset[str]]) -> frozenset[str]:
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return frozenset(found).union(*(names[each] for each in found if each in names))
