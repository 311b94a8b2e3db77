"""What may stand in place of an expression."""

import ast
import itertools
from collections.abc import Iterator, Sequence

from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.cells import cells, letters_around
from plaingrad.checking.edits.lines import Lines, Path, at
from plaingrad.checking.edits.pieces import (
    COMPARISON,
    FACTOR,
    INDEX,
    SUM,
    WINDOW,
    Around,
    absolute,
    name,
    number,
    operation,
)

SMALL = (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""What people add to a number, or hold it above, so that nothing is divided by 0."""
USUAL = (0, 1, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.2, 0.25, 0.3, 0.5, 0.9, 0.99)
"""What epsilons, slopes, momenta and shares usually are."""
COMPARED: tuple[type[ast.cmpop], ...] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def instead(node: ast.expr, path: Path, lines: Lines, around: Around) -> Iterator[tuple[Kind, int, ast.expr]]:
    """What may stand in place of an expression, with its kind and how unusual it is."""
    field = path[-1][0]
    match node:
        case ast.Subscript(ast.Name(array), index) if not isinstance(index, ast.Slice):
            yield from cells(node, array, index, path, lines, around)
        case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(axis)):
            for along in range(around.arrays[array].ndim):
                if along != axis:
                    yield SUM, 1, ast.Subscript(node.value, number(along), node.ctx)
            if path[-2][0] == "iter":
                yield from _bounds(node)
        case ast.Name(id) if id in around.settings:
            if field == "args" and path[-2][0] == "iter":
                yield from _bounds(node)
            yield from ((WINDOW, cost, new) for cost, new in _instead_of_setting(id, around.settings))
            if id.startswith("window_image_"):
                yield from ((WINDOW, 1, new) for new in _of_other_arrays(int(id[-1]), around))
        case ast.Name(id) if isinstance(node.ctx, ast.Load) and _is_letter(id, lines) and not _in_cell(path, lines):
            for letter in letters_around(path, lines):
                if letter != id:
                    yield WINDOW, 2, name(letter)
        case ast.Name(id) if id in around.numbers:
            values = dict.fromkeys((*USUAL, *shortened(around.numbers[id])))
            yield from ((FACTOR, 2, number(each)) for each in values if each != around.numbers[id])
            yield FACTOR, 2, operation(number(1), ast.Sub, node)
            yield FACTOR, 2, ast.UnaryOp(ast.USub(), node)
        case ast.Constant(bool() | int() | float() as value) if field != "slice":
            for constant in (0, 1, 2, -1, 0.5):
                if constant != value:
                    yield FACTOR, 1, number(constant)
            yield from ((FACTOR, 1, number(each)) for each in shortened(value) if each != value)
        case ast.BinOp(left, op, right):
            yield from _operations(node, left, op, right, path, lines)
            if isinstance(op, ast.Div) and not is_in_index(path, lines):
                yield FACTOR, 2, operation(left, ast.FloorDiv, right)
                yield FACTOR, 1, operation(left, ast.Div, operation(right, ast.Sub, number(1)))
                sizes = [each for each in around.settings if each.startswith("window_size_")]
                yield from ((FACTOR, 1, operation(left, ast.Div, name(each))) for each in sizes)
                if not _is_size(right):
                    yield from ((FACTOR, 2, operation(left, ast.Div, each)) for each in _kept_from_0(right))
        case ast.Compare(left, [op], [right]):
            for compared in COMPARED:
                if not isinstance(op, compared):
                    yield COMPARISON, 0, ast.Compare(left, [compared()], [right])
            yield COMPARISON, 1, ast.Constant(True)
        case ast.Compare(left, [low, high], [middle, right]):
            yield COMPARISON, 1, ast.Compare(left, [ast.Lt(), high], [middle, right])
            yield COMPARISON, 1, ast.Compare(left, [low, ast.LtE()], [middle, right])
            yield COMPARISON, 1, ast.Compare(left, [low, high], [middle, operation(right, ast.Sub, number(1))])
            yield COMPARISON, 1, ast.Compare(middle, [high], [right])
            yield COMPARISON, 1, ast.Compare(left, [low], [middle])
        case ast.BoolOp(op, values):
            yield COMPARISON, 0, ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
            yield from ((COMPARISON, 0, each) for each in values)
        case ast.IfExp(test, then, other):
            yield COMPARISON, 0, ast.IfExp(test, other, then)
            yield COMPARISON, 0, then
            yield COMPARISON, 0, other
            yield from ((COMPARISON, 1, each) for each in _of_branches(then, other))
            branches = (then, other, number(0), number(1))
            for first, second in itertools.permutations(branches, 2):
                if (first, second) != (then, other):
                    yield COMPARISON, 1, ast.IfExp(test, first, second)
        case ast.Call(ast.Name(function), [of]) if function != "range":
            yield FACTOR, 0, of
            yield FACTOR, 1, ast.Call(name(function), [ast.UnaryOp(ast.USub(), of)], [])
            if function in ("log", "sqrt"):
                yield from ((FACTOR, 2, ast.Call(name(function), [each], [])) for each in _kept_from_0(of))
            if function == "log":
                bases = (ast.Call(name("log"), [number(base)], []) for base in (2, 10))
                yield from ((FACTOR, 1, operation(node, ast.Div, each)) for each in bases)
            for called in ("exp", "log", "sqrt", "tanh", "abs"):
                if called != function:
                    yield FACTOR, 2, ast.Call(name(called), [of], [])
        case ast.Call(ast.Name("is_larger"), [one, two]):
            for compared in (ast.Lt, ast.LtE, ast.GtE, ast.Eq):
                yield COMPARISON, 0, ast.Compare(one, [compared()], [two])
            for compared in (ast.Gt, ast.Lt):
                yield COMPARISON, 1, ast.Compare(absolute(one), [compared()], [absolute(two)])
        case ast.UnaryOp(ast.USub(), of):
            yield SUM, 0, of


def shortened(value: float) -> list[float]:
    """A number with fewer digits."""
    return [float(f"{value:.{digits}g}") for digits in (1, 2, 3, 4)]


def _kept_from_0(of: ast.expr) -> Iterator[ast.expr]:
    """A number that is kept away from 0, where it may come near it."""
    for small in SMALL:
        yield operation(of, ast.Add, number(small))
        yield ast.Call(name("max"), [of, number(small)], [])


def _is_size(node: ast.expr) -> bool:
    """Whether a number is made of the sizes of an array, none of which is near 0."""
    return any(isinstance(each, ast.Attribute) and each.attr == "shape" for each in ast.walk(node))


def _bounds(size: ast.expr) -> Iterator[tuple[Kind, int, ast.expr]]:
    """Loops that end one too early, or are done for a few only."""
    yield SUM, 0, operation(size, ast.Sub, number(1))
    yield SUM, 0, number(1)


def _is_letter(id: str, lines: Lines) -> bool:
    return id in ("row", "column") or any(
        isinstance(each, ast.For) and isinstance(each.target, ast.Name) and each.target.id == id
        for each in ast.walk(lines.tree)
    )


def _in_cell(path: Path, lines: Lines) -> bool:
    """Whether a node is a whole index of a cell: those are exchanged there."""
    parent = at(lines.tree, path[:-1])
    if isinstance(parent, ast.Tuple):
        return True
    return isinstance(parent, ast.Subscript)


def _instead_of_setting(id: str, settings: Sequence[str]) -> Iterator[tuple[int, ast.expr]]:
    """Another setting of the window, or none."""
    _, kind, axis = id.split("_")
    if kind == "padding":
        yield 0, number(0)
        yield 1, operation(name(id), ast.Add, number(1))
        yield 1, operation(name(id), ast.Sub, number(1))
        yield 1, ast.UnaryOp(ast.USub(), name(id))
        yield 1, operation(number(2), ast.Mult, name(id))
    elif kind in ("stride", "dilation"):
        yield 0, number(1)
        yield 2, operation(name(id), ast.Add, number(1))
        yield 2, operation(name(id), ast.Sub, number(1))
    for other in settings:
        if other != id and (other.endswith(axis) or kind in other) and not ("image" in other and kind != "image"):
            yield 1 if kind in other else 2, name(other)


def _of_other_arrays(axis: int, around: Around) -> Iterator[ast.expr]:
    """The rows, or the columns, of arrays that are no images of the layer's input."""
    for array, numbers in around.arrays.items():
        if numbers.ndim == 4 and array not in ("x", "dx"):
            yield ast.Subscript(ast.Attribute(name(array), "shape", ast.Load()), number(2 + axis), ast.Load())


def _of_branches(one: ast.expr, two: ast.expr) -> Iterator[ast.expr]:
    """The larger or the smaller of what two branches are worth, or of one and a factor of the other."""
    pairs = [(one, two)]
    for own, other in ((one, two), (two, one)):
        if isinstance(own, ast.BinOp) and isinstance(own.op, ast.Mult):
            pairs += [(other, own.left), (other, own.right)]
    for pair in pairs:
        yield from (ast.Call(name(function), list(pair), []) for function in ("max", "min"))


def _operations(
    node: ast.BinOp, left: ast.expr, op: ast.operator, right: ast.expr, path: Path, lines: Lines
) -> Iterator[tuple[Kind, int, ast.expr]]:
    """A factor or a term left out, twice, divided by, or with the other sign."""
    if is_in_index(path, lines):
        if isinstance(op, ast.Mult | ast.Add):
            yield INDEX, 1, left
            yield INDEX, 1, right
        return
    yield FACTOR if isinstance(op, ast.Mult | ast.Div) else SUM, 0, left
    yield FACTOR if isinstance(op, ast.Mult | ast.Div) else SUM, 0, right
    match op:
        case ast.Mult():
            if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Add | ast.Sub):  # brackets forgotten
                yield FACTOR, 0, ast.BinOp(operation(left, ast.Mult, right.left), right.op, right.right)
            yield FACTOR, 1, operation(node, ast.Mult, left)
            yield FACTOR, 1, operation(node, ast.Mult, right)
            yield FACTOR, 1, operation(left, ast.Mult, left)
            yield FACTOR, 1, operation(right, ast.Mult, right)
            yield FACTOR, 1, operation(left, ast.Add, right)
            yield FACTOR, 2, operation(left, ast.Div, right)
            yield FACTOR, 2, operation(number(2), ast.Mult, left)
            yield FACTOR, 2, operation(number(2), ast.Mult, right)
        case ast.Div():
            yield FACTOR, 0, operation(left, ast.Mult, right)
            yield FACTOR, 1, operation(node, ast.Div, right)
            yield FACTOR, 1, operation(right, ast.Div, left)
        case ast.Add():
            yield SUM, 0, operation(left, ast.Sub, right)
            yield FACTOR, 2, operation(operation(number(2), ast.Mult, left), ast.Add, right)
            yield FACTOR, 2, operation(left, ast.Add, operation(number(2), ast.Mult, right))
        case ast.Sub():
            if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Mult):
                rest = operation(left, ast.Sub, right.left)
                yield FACTOR, 0, operation(rest, ast.Mult, right.right)
                yield FACTOR, 1, operation(rest, ast.Mult, operation(left, ast.Sub, right.right))
            yield SUM, 1, absolute(node)
            yield SUM, 0, operation(left, ast.Add, right)
            yield SUM, 0, operation(right, ast.Sub, left)
            yield SUM, 1, operation(left, ast.Sub, operation(number(2), ast.Mult, right))


def is_in_index(path: Path, lines: Lines) -> bool:
    nodes = [at(lines.tree, path[:end]) for end in range(len(path))]
    for node, (field, _) in zip(nodes, path, strict=True):
        if isinstance(node, ast.Subscript) and field == "slice":
            return True
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and field == "value":
            return node.targets[0].id in ("row", "column")
    return False
