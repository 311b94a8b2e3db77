"""Edits of whole statements: another sign, another loop, left out, done twice, done elsewhere.

Over 300 lines, since it is one list of what can be done to a statement, a few lines for each.
"""

import ast
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from plaingrad.checking.edits.directions import twin_loop
from plaingrad.checking.edits.lines import Lines, Path, at, line_of, replaced, statement_of, walked
from plaingrad.checking.edits.pieces import (
    ARRAY,
    COMPARISON,
    FACTOR,
    INDEX,
    SUM,
    Around,
    Edit,
    assignment,
    copy_of,
    copy_of_statement,
    name,
    number,
    operation,
    target_of,
)
from plaingrad.schedule.tree import filled


def statements(lines: Lines, around: Around) -> Iterator[Edit]:
    every = [(path, node) for path, node in walked(lines.tree) if isinstance(node, ast.stmt) and path]
    for path, node in every:
        match node:
            case ast.AugAssign(target, op, value):
                yield Edit(SUM, ((path, assignment(target, value)),), 0)
                other = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
                yield Edit(SUM, ((path, ast.AugAssign(target, other, value)),), 0)
                yield Edit(SUM, ((path, [node, node]),), 3, words=f"{line_of(node)} is done twice")
                if isinstance(target, ast.Subscript):
                    yield from _times(lines, path, node, target)
                    yield from _first_turns(lines, path, node)
                    yield from _last_window(lines, path, node)
                    yield from _sums_multiplied(lines, path, node)
                    yield from _elsewhere(lines, path, node)
                    yield from _stored(lines, path, node, target, around)
            case ast.Assign([ast.Subscript() as target], value) if not isinstance(target.slice, ast.Slice):
                yield Edit(SUM, ((path, ast.AugAssign(target, ast.Add(), value)),), 1)
                yield from _times(lines, path, node, target)
                yield from _elsewhere(lines, path, node)
                yield from _stored(lines, path, node, target, around)
            case ast.Assign([ast.Subscript()], _):
                yield from _cleared_inside(lines, path, node)
            case ast.If(_, body, []):
                yield from _beyond(path, node)
                yield Edit(COMPARISON, ((path, list(body)),), 1, words=f"{line_of(node)} is left out")
            case ast.For(ast.Name(letter), ast.Call(function, [size]), body):
                later = ast.Call(function, [number(1), size], [])
                yield Edit(SUM, (((*path, ("iter", None)), later),), 2)
                only = ast.Call(function, [operation(size, ast.Sub, number(1)), size], [])
                yield Edit(SUM, (((*path, ("iter", None)), only),), 1)
                twin = twin_loop(lines, letter)
                if twin is not None:
                    (other,) = at(lines.tree, twin).iter.args
                    for mine, first in ((later, number(1)), (only, operation(other, ast.Sub, number(1)))):
                        theirs = ast.Call(function, [first, other], [])
                        yield Edit(SUM, (((*path, ("iter", None)), mine), ((*twin, ("iter", None)), theirs)), 2)
            case ast.Assign([ast.Name()], _) | ast.Pass() | ast.Expr():
                pass
        if isinstance(node, ast.Assign | ast.AugAssign) and len(every) > 1:
            stored = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
            if isinstance(stored, ast.Subscript):
                words, keeps = f"{line_of(node)} is left out", isinstance(stored.slice, ast.Slice)
                yield Edit(SUM, ((path, []),), 1, words=words, keeps=keeps)


def _beyond(path: Path, node: ast.If) -> Iterator[Edit]:
    """Pixels beyond the image that are not 0: the nearest one's, or counted round from the other side."""
    inner = [each for each in ast.walk(ast.Module(node.body, [])) if isinstance(each, ast.Subscript)]
    arrays = {each.value.id for each in inner if isinstance(each.ctx, ast.Load) and isinstance(each.value, ast.Name)}
    for array in sorted(arrays):
        for words, made in (("the nearest pixel", _nearest), ("the pixel of the other side", _round)):
            body = [Beyond(array, made).visit(copy_of_statement(each)) for each in node.body]
            if any(ast.dump(one) != ast.dump(two) for one, two in zip(body, node.body, strict=True)):
                said = f"beyond the edge {array} is {words}, not 0"
                yield Edit(COMPARISON, ((path, body),), 2, words=said)
    if isinstance(node.test, ast.BoolOp) and [ast.unparse(each) for each in node.test.values] == CHECKS:
        body = [InMemory().visit(copy_of_statement(each)) for each in node.body]
        rows, columns = node.test.values
        neither = ast.Constant(True), "rows and columns"
        for test, unchecked in ((rows, "columns"), (columns, "rows"), neither):
            said = f"the bounds of {unchecked} are not checked: beyond the image lies what is next in memory"
            changed = ast.If(test, body, [], lineno=0)
            yield Edit(COMPARISON, ((path, [changed]),), 2, words=said)


def _nearest(index: ast.expr, size: ast.expr) -> ast.expr:
    above = ast.Call(name("max"), [index, number(0)], [])
    return ast.Call(name("min"), [above, operation(size, ast.Sub, number(1))], [])


def _round(index: ast.expr, size: ast.expr) -> ast.expr:
    return operation(index, ast.Mod, size)


CHECKS = ["0 <= row < window_image_0", "0 <= column < window_image_1"]


class InMemory(ast.NodeTransformer):
    """Reads and fills pixels where they lie in memory, row by row and channel by channel, also beyond a row's end."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        if not isinstance(node.slice, ast.Tuple) or [ast.unparse(each) for each in node.slice.elts[2:]] != PIXEL:
            return node
        image, channel = node.slice.elts[:2]
        rows, columns = name("window_image_0"), name("window_image_1")
        row = operation(name("row"), ast.Add, operation(name("column"), ast.FloorDiv, columns))
        channel = operation(channel, ast.Add, operation(row, ast.FloorDiv, rows))
        pixel: list[ast.expr] = [operation(row, ast.Mod, rows), operation(name("column"), ast.Mod, columns)]
        return ast.Subscript(node.value, ast.Tuple([image, channel, *pixel], ast.Load()), node.ctx)


PIXEL = ["row", "column"]


class Beyond(ast.NodeTransformer):
    """Reads an array's row and column elsewhere."""

    def __init__(self, array: str, made: Callable[[ast.expr, ast.expr], ast.expr]) -> None:
        self.array, self.made = array, made

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        is_own = isinstance(node.value, ast.Name) and node.value.id == self.array and isinstance(node.ctx, ast.Load)
        if not is_own or not isinstance(node.slice, ast.Tuple):
            return node
        parts = list(node.slice.elts)
        for axis, part in enumerate(parts):
            if isinstance(part, ast.Name) and part.id in ("row", "column"):
                shape = ast.Attribute(node.value, "shape", ast.Load())
                parts[axis] = self.made(part, ast.Subscript(shape, number(axis), ast.Load()))
        return ast.Subscript(node.value, ast.Tuple(parts, ast.Load()), node.ctx)


def _stored(lines: Lines, path: Path, node: ast.stmt, target: ast.Subscript, around: Around) -> Iterator[Edit]:
    """Something else laid into the cell; or the same into all cells along an axis."""
    sizes = around.arrays[lines.wanted].shape
    for value in (number(0), number(1)):
        yield Edit(FACTOR, ((path, assignment(target, value)),), 2)
    for other, numbers in {**around.arrays, **around.others}.items():
        if other != lines.wanted and numbers.shape == sizes:
            cell = ast.Subscript(name(other), target.slice, ast.Load())
            yield Edit(ARRAY, ((path, assignment(target, cell)),), 3)
            yield Edit(ARRAY, ((path, assignment(target, ast.UnaryOp(ast.USub(), cell))),), 4)
            if isinstance(node, ast.Assign | ast.AugAssign):
                rest = operation(number(1), ast.Sub, cell)
                for factor in (cell, rest, operation(cell, ast.Mult, rest), operation(number(1), ast.Sub, operation(cell, ast.Mult, cell))):  # fmt: skip  # noqa: E501
                    yield Edit(FACTOR, (((*path, ("value", None)), operation(node.value, ast.Mult, factor)),), 3)
                yield Edit(FACTOR, (((*path, ("value", None)), operation(node.value, ast.Div, cell)),), 3)
    parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    for axis, part in enumerate(parts):
        if isinstance(part, ast.Name):
            whole = [*parts[:axis], name("every"), *parts[axis + 1 :]]
            index = ast.Tuple(whole, ast.Load()) if len(whole) > 1 else whole[0]
            cell = ast.Subscript(target.value, index, ast.Store())
            last = ast.Subscript(ast.Attribute(target.value, "shape", ast.Load()), number(axis), ast.Load())
            inner = _with(node, cell)
            loop = ast.For(ast.Name("every", ast.Store()), ast.Call(name("range"), [last], []), [inner], [], lineno=0)
            yield Edit(INDEX, ((path, loop),), 2, words=line_of(inner).replace("every", ":"))


def _times(lines: Lines, path: Path, node: ast.Assign | ast.AugAssign, target: ast.Subscript) -> Iterator[Edit]:
    """A factor in one of several statements that fill an array: in all of them it is one of the whole."""
    every = [each for _, each in walked(lines.tree) if isinstance(each, ast.Assign | ast.AugAssign)]
    beside = [each for each in every if each is not node and lines.wanted in filled(each)]
    if lines.wanted not in filled(node) or not beside or isinstance(node.value, ast.Constant):
        return
    shape = ast.Attribute(target.value, "shape", ast.Load())
    parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    sizes: list[ast.expr] = [ast.Subscript(shape, number(axis), ast.Load()) for axis in range(len(parts))]
    for factor in (number(2), *sizes):
        yield Edit(FACTOR, (((*path, ("value", None)), operation(node.value, ast.Mult, factor)),), 1)
        yield Edit(FACTOR, (((*path, ("value", None)), operation(node.value, ast.Div, factor)),), 1)
    if isinstance(node, ast.Assign):
        yield Edit(FACTOR, (((*path, ("value", None)), ast.UnaryOp(ast.USub(), node.value)),), 1)


def _sum_loops(lines: Lines, path: Path, node: ast.AugAssign) -> list[tuple[Path, ast.For]]:
    """The loops around a sum whose letters the cell does not name: each turn adds to it."""
    own = _letters(node.target)
    around = ((path[:end], at(lines.tree, path[:end])) for end in range(1, len(path)))
    return [
        (where, each) for where, each in around if isinstance(each, ast.For) and ast.unparse(each.target) not in own
    ]


def _first_turns(lines: Lines, path: Path, node: ast.AugAssign) -> Iterator[Edit]:
    """The loops of a sum left after their first turn, as where a function returns within them; all, or all but one."""
    loops = _sum_loops(lines, path, node)
    once = [((*where, ("iter", None)), ast.Call(name("range"), [number(1)], [])) for where, _ in loops]
    for some in [once, *(once[:place] + once[place + 1 :] for place in range(len(once)) if len(once) > 2)]:
        if len(some) > 1:
            letters = ", ".join(ast.unparse(at(lines.tree, where[:-1]).target) for where, _ in some)
            words = f"{line_of(node)} is reached once: the loops over {letters} end after their first turn"
            yield Edit(SUM, tuple(some), 2, words=words)


def _last_window(lines: Lines, path: Path, node: ast.AugAssign) -> Iterator[Edit]:
    """A sum that is made anew for each window, and so overwrites what the window before left in its pixels."""
    letters = _letters(node.target)
    loops = [(where, each) for where, each in _sum_loops(lines, path, node) if ast.unparse(each.target) not in "uv"]
    outer = [each for each in loops if ast.unparse(each[1].target) not in "ij"]
    if not {"row", "column"} <= letters or not outer:
        return
    (where, loop), *others = outer
    if others:
        return
    target = target_of(node.target)
    inner: list[ast.stmt] = [assignment(target, number(0)), _with_body(loop, [node])]
    body = replaced(loop, path[len(where) :], inner).body
    over = ast.unparse(loop.target)
    words = f"{target_name(target)} = the sum over {over}, which overwrites that of the window before"
    yield Edit(SUM, ((where, list(body)),), 1, words=words)


def target_name(target: ast.Subscript) -> str:
    """A cell as people write it."""
    return line_of(ast.Expr(target))


def exchanged_arrays(lines: Lines, around: Around) -> Iterator[Edit]:
    """Two arrays of one shape in each other's place, in one statement or wherever they are read."""
    cells: dict[str, list[tuple[Path, ast.Subscript]]] = {}
    for path, node in walked(lines.tree):
        match node:
            case ast.Subscript(ast.Name(array), ctx=ast.Load()) if array in around.arrays:
                cells.setdefault(array, []).append((path, node))
    for one, two in itertools.combinations(cells, 2):
        if around.arrays[one].shape != around.arrays[two].shape:
            continue
        each = [(path, two, node) for path, node in cells[one]] + [(path, one, node) for path, node in cells[two]]
        by_statement: dict[Path, list[tuple[Path, str, ast.Subscript]]] = {}
        for change in each:
            by_statement.setdefault(statement_of(change[0]), []).append(change)
        several = [some for some in by_statement.values() if {array for _, array, _ in some} == {one, two}]
        for some in [*several, *([each] if len(by_statement) > 1 else [])]:
            changes = tuple((path, ast.Subscript(name(array), node.slice, node.ctx)) for path, array, node in some)
            yield Edit(ARRAY, changes, 1)


def _with(node: Any, target: ast.expr) -> ast.stmt:
    """The statement with another target."""
    if isinstance(node, ast.AugAssign):
        return ast.AugAssign(target_of(target), node.op, node.value)
    return assignment(target, node.value)


def _elsewhere(lines: Lines, path: Path, node: ast.stmt) -> Iterator[Edit]:
    """The statement behind the loops it stands in, done for their last turn only; or inside a loop beside it."""
    body, place = path[:-1], path[-1][1]
    parent = at(lines.tree, body)
    beside = getattr(parent, path[-1][0])
    if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
        yield from _added_inside(lines, path, node)
    for number_, other in enumerate(beside):
        inner = (*body, (path[-1][0], number_))
        while isinstance(other, ast.For | ast.If) and number_ != place:
            for within in (
                [*other.body, node],
                [node, *other.body],
            ):
                words = f"{line_of(node)} stands inside {line_of(other)}"
                yield Edit(SUM, ((path, []), (inner, _with_body(other, within))), 2, words=words)
            inner, other = (*inner, ("body", len(other.body) - 1)), other.body[-1]


def _added_inside(lines: Lines, path: Path, node: ast.Assign) -> Iterator[Edit]:
    """What a sum begins with added anew in each turn of a loop behind it."""
    target = node.targets[0]
    begun = assignment(target, number(0))
    added = ast.AugAssign(target_of(target), ast.Add(), node.value)
    for other, loop in walked(lines.tree):
        if other[: len(path) - 1] == path[:-1] and len(other) >= len(path) and other[len(path) - 1][1] != path[-1][1]:
            if isinstance(loop, ast.For):
                words = f"{line_of(added)} stands inside {line_of(loop)}"
                changes = ((path, begun), (other, _with_body(loop, [added, *loop.body])))
                yield Edit(SUM, changes, 2, words=words)
            if isinstance(loop, ast.AugAssign) and ast.dump(loop.target) == ast.dump(target):
                value = operation(loop.value, ast.Add, node.value)
                yield Edit(SUM, ((path, begun), ((*other, ("value", None)), value)), 2)


def _sums_multiplied(lines: Lines, path: Path, node: ast.AugAssign) -> Iterator[Edit]:
    """Two factors that are each summed over a letter, or averaged, and multiplied then: not the sum of products."""
    if not isinstance(node.value, ast.BinOp) or not isinstance(node.value.op, ast.Mult):
        return
    one, two = node.value.left, node.value.right
    both = _letters(one) & _letters(two) - _letters(node.target)
    shared: list[tuple[str, ast.expr]] = []  # loops around, over a letter of both: the letter, how far it goes
    for end in range(1, len(path)):
        match at(lines.tree, path[:end]):
            case ast.For(ast.Name(letter), ast.Call(_, [size])) if letter in both:
                shared.append((letter, size))
    for some in [shared[:1], shared] if len(shared) > 1 else [shared] if shared else []:
        letters = [letter for letter, _ in some]
        other = Every(letters).visit(copy_of(one))
        count = functools.reduce(lambda product, each: operation(product, ast.Mult, each), [size for _, size in some])
        for means, how in enumerate(("", ", one of them as a mean", ", both as means")):
            value: ast.expr = operation(other, ast.Mult, two)
            for _ in range(means):
                value = operation(value, ast.Div, count)
            made: ast.stmt = ast.AugAssign(target_of(node.target), node.op, value)
            for letter, size in some:
                over = ast.Call(name("range"), [size], [])
                made = ast.For(ast.Name(f"every_{letter}", ast.Store()), over, [made], [], lineno=0)
            said = f"{ast.unparse(one)} and {ast.unparse(two)} are each summed over {', '.join(letters)} by themselves"
            yield Edit(SUM, ((path, made),), 1 + means, words=f"{said} and then multiplied{how}")


def _letters(node: ast.expr) -> set[str]:
    """The names in the indices of the cells of an expression."""
    cells = (each for each in ast.walk(node) if isinstance(each, ast.Subscript))
    return {each.id for cell in cells for each in ast.walk(cell.slice) if isinstance(each, ast.Name)}


class Every(ast.NodeTransformer):
    """Renames letters to those of loops of their own."""

    def __init__(self, letters: list[str]) -> None:
        self.letters = letters

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(f"every_{node.id}", node.ctx) if node.id in self.letters else node


def _with_body(node: Any, body: list[ast.stmt]) -> Any:
    return type(node)(**{**dict(ast.iter_fields(node)), "body": body})


def _cleared_inside(lines: Lines, path: Path, node: ast.stmt) -> Iterator[Edit]:
    """The array cleared again in each turn of a loop."""
    for other, loop in walked(lines.tree):
        if isinstance(loop, ast.For):
            words = f"{line_of(node)} stands inside {line_of(loop)}"
            yield Edit(SUM, ((other, _with_body(loop, [node, *loop.body])),), 1 + len(other) // 2, words=words)
