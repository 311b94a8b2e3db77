"""Texts that make each number alone from the numbers at its own place: one long row, whatever the axes."""

import ast
from functools import cache

from plaingrad.compiler.loops import Loops, flat
from plaingrad.schedule.tree import function_of
from plaingrad.textbook.text import Text, made


@cache
def each_alone(text: Text) -> bool:
    """Whether a text is one loop `for place in places(y)` over assignments at that place."""
    match function_of(text).body:
        case [*_, ast.For(ast.Name(place), ast.Call(ast.Name("places")), body)] if all(
            isinstance(each, ast.Assign | ast.AugAssign) for each in body
        ):
            cells = [each for part in body for each in ast.walk(part) if isinstance(each, ast.Subscript)]
            return bool(cells) and all(isinstance(each.slice, ast.Name) and each.slice.id == place for each in cells)
    return False


@cache
def elementwise(text: Text) -> Loops:
    """The nest of such a text."""
    tree = function_of(text)
    walk = tree.body[-1]
    assert isinstance(walk, ast.For)
    cells = [each for part in walk.body for each in ast.walk(part) if isinstance(each, ast.Subscript)]
    arrays = list(dict.fromkeys(ast.unparse(each.value) for each in cells))
    lines = [f"def {text.__name__}({', '.join(text.arguments)}):"]
    lines += [f"    {name} = flat({name})" for name in arrays]
    assert isinstance(walk.iter, ast.Call)
    lines.append(f"    for {ast.unparse(walk.target)} in range({ast.unparse(walk.iter.args[0])}.size):")
    lines += [f"        {ast.unparse(each)}" for each in walk.body]
    source = "\n".join(lines) + "\n"
    return Loops(made(source, {**text.names, "flat": flat}, text.__name__))
