"""Texts that make each number alone from the numbers at its own place: one long row, whatever the axes."""

import ast
from functools import cache
from typing import Any

from plaingrad.compiler.loops import Loops, flat
from plaingrad.schedule.tree import function_of
from plaingrad.textbook.text import Text, made


@cache
def is_elementwise(text: Text) -> bool:
    """Whether a text is one loop `for place in places(y)` over assignments at that place, and nothing else."""
    match [each for each in function_of(text).body if not isinstance(each, ast.Expr)]:
        case [ast.For(ast.Name(place), ast.Call(ast.Name("places"), [ast.Name()]), body, [])] if all(
            isinstance(each, ast.Assign | ast.AugAssign) for each in body
        ):
            nodes = [each for part in body for each in ast.walk(part)]
            cells = [each for each in nodes if isinstance(each, ast.Subscript)]
            uses = sum(isinstance(each, ast.Name) and each.id == place for each in nodes)
            at_place = [each for each in cells if isinstance(each.slice, ast.Name) and each.slice.id == place]
            return bool(cells) and len(cells) == len(at_place) == uses
    return False


@cache
def arrays_of(text: Text) -> list[str]:
    """The arrays of such a text, which are equally large."""
    nodes = ast.walk(function_of(text))
    return list(dict.fromkeys(ast.unparse(each.value) for each in nodes if isinstance(each, ast.Subscript)))


def elementwise(text: Text) -> Loops:
    """The nest of such a text."""
    return _elementwise(text, text.meaning)


@cache
def _elementwise(text: Text, _: tuple[Any, ...]) -> Loops:
    tree, arrays = function_of(text), arrays_of(text)
    walk = tree.body[-1]
    assert isinstance(walk, ast.For)
    lines = [f"def {text.__name__}({', '.join(text.arguments)}):"]
    lines += [f"    {name} = flat({name})" for name in arrays]
    assert isinstance(walk.iter, ast.Call)
    lines.append(f"    for {ast.unparse(walk.target)} in range({ast.unparse(walk.iter.args[0])}.size):")
    lines += [f"        {ast.unparse(each)}" for each in walk.body]
    source = "\n".join(lines) + "\n"
    return Loops(made(source, {**text.names, "flat": flat}, text.__name__))
