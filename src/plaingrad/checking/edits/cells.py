"""What may stand in place of a cell: another place of the array, or another array."""

import ast
import itertools
from collections.abc import Iterator

from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.directions import Turned
from plaingrad.checking.edits.lines import Lines, Path, at
from plaingrad.checking.edits.pieces import (
    ARRAY,
    FACTOR,
    INDEX,
    TWINS,
    Around,
    Exchanged,
    absolute,
    copy_of,
    name,
    number,
    operation,
)


def letters_around(path: Path, lines: Lines) -> list[str]:
    """The letters of the loops around a node, with the pixel of the window where it is known by then."""
    found, names = [], []
    for end in range(len(path)):
        node = at(lines.tree, path[:end])
        if isinstance(node, ast.For) and path[end][0] == "body":
            found.append(node.target.id)  # type: ignore[attr-defined]
        if path[end][0] == "body" and path[end][1] is not None:
            for each in node.body[: path[end][1]]:
                if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                    names.append(each.targets[0].id)
    return found + [each for each in names if each in ("row", "column")]


def cells(
    node: ast.Subscript, array: str, index: ast.expr, path: Path, lines: Lines, around: Around
) -> Iterator[tuple[Kind, int, ast.expr]]:
    """Another place of the array, or another array."""
    parts = list(index.elts) if isinstance(index, ast.Tuple) else [index]
    letters = letters_around(path, lines)

    def with_parts(new: list[ast.expr]) -> ast.Subscript:
        return ast.Subscript(node.value, ast.Tuple(new, ast.Load()) if len(new) > 1 else new[0], node.ctx)

    if array not in around.arrays:
        return
    sizes = around.arrays[array].shape
    for axis, own in enumerate(parts):
        twin = _twin_axis(parts, axis)
        for cost, new in _along(own, axis, array, sizes[axis], letters):
            yield INDEX, cost, with_parts([*parts[:axis], new, *parts[axis + 1 :]])
            if twin > axis:  # the same slip in both directions of the image
                both = [*parts[:axis], new, *parts[axis + 1 :]]
                both[twin] = Turned().visit(copy_of(new))
                yield INDEX, cost + 1, with_parts(both)
    for one, two in itertools.combinations(range(len(parts)), 2):
        swapped = list(parts)
        swapped[one], swapped[two] = parts[two], parts[one]
        yield INDEX, 0, with_parts(swapped)
        if one >= 2 or len(parts) == 2:
            ends = [
                ast.Subscript(ast.Attribute(name(array), "shape", ast.Load()), number(axis), ast.Load())
                for axis in range(len(parts))
            ]
            turned = {
                axis: operation(operation(ends[axis], ast.Sub, number(1)), ast.Sub, parts[axis]) for axis in (one, two)
            }
            half = list(parts)
            half[one], half[two] = turned[one], turned[two]
            yield INDEX, 0, with_parts(half)
            for first, second in ((turned[two], parts[one]), (parts[two], turned[one])):
                quarter = list(parts)
                quarter[one], quarter[two] = first, second
                yield INDEX, 1, with_parts(quarter)
    if isinstance(node.ctx, ast.Store) and "winner" in around.arrays:
        yield from ((INDEX, 1, with_parts([*parts[:2], *pixel])) for pixel in _decoded(parts, letters, around))
    for flat, axis in ((each, axis) for axis, each in enumerate(parts) if isinstance(each, ast.BinOp)):
        yield from ((INDEX, 0, with_parts([*parts[:axis], new, *parts[axis + 1 :]])) for new in _orders(flat))
    used = [each for each in letters if each in {each.id for each in ast.walk(index) if isinstance(each, ast.Name)}]
    for letter, other_letter in itertools.combinations(used, 2):
        if any(not isinstance(each, ast.Name) for each in parts):
            yield INDEX, 1, with_parts([Exchanged(letter, other_letter).visit(copy_of(each)) for each in parts])
            yield INDEX, 1, with_parts([Turned().visit(copy_of(each)) for each in parts])
    if isinstance(node.ctx, ast.Load):
        yield FACTOR, 1, absolute(node)
        yield FACTOR, 2, ast.Call(name("int"), [node], [])
        yield FACTOR, 2, ast.Call(name("tanh"), [node], [])
        yield FACTOR, 2, ast.Call(name("sqrt"), [node], [])
        yield FACTOR, 2, operation(node, ast.Mult, node)
        yield FACTOR, 2, ast.Call(name("exp"), [node], [])
        minus = ast.Call(name("exp"), [ast.UnaryOp(ast.USub(), node)], [])
        yield FACTOR, 2, operation(number(1), ast.Div, operation(number(1), ast.Add, minus))
        for other, numbers in {**around.arrays, **around.others}.items():
            if other != array and numbers.shape == sizes and other != lines.wanted:
                if array == "mask":  # made of what is not 0, or of what is above it
                    cell = ast.Subscript(name(other), index, ast.Load())
                    yield from ((ARRAY, 1, ast.Compare(cell, [sign()], [number(0)])) for sign in (ast.NotEq, ast.Gt))
                yield ARRAY, 0 if other in around.arrays else 1, ast.Subscript(name(other), index, node.ctx)


def _decoded(parts: list[ast.expr], letters: list[str], around: Around) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Row and column of a pixel whose place, counted along rows, is taken apart by another width than it was made with.

    People count it in the image, or in the window.
    """
    if [ast.unparse(each) for each in parts[2:]] != ["row", "column"] or not {"u", "v"} <= set(letters):
        return
    flat = operation(operation(name("row"), ast.Mult, name("window_image_1")), ast.Add, name("column"))
    outputs = [
        ast.Subscript(ast.Attribute(name("dy"), "shape", ast.Load()), number(axis), ast.Load())
        for axis in (2, 3)
        if "dy" in around.arrays
    ]
    image = name("window_image_1")
    padded = operation(image, ast.Add, operation(number(2), ast.Mult, name("window_padding_1")))
    for width in (name("window_image_0"), padded, *outputs):
        yield operation(flat, ast.FloorDiv, width), operation(flat, ast.Mod, width)
        other = operation(operation(name("row"), ast.Mult, width), ast.Add, name("column"))
        yield operation(other, ast.FloorDiv, image), operation(other, ast.Mod, image)
    size = name("window_size_0")
    flat = operation(operation(name("u"), ast.Mult, name("window_size_1")), ast.Add, name("v"))
    for one, two in ((operation(flat, ast.FloorDiv, size), operation(flat, ast.Mod, size)), (name("v"), name("u"))):
        yield _pixel("i", one, 0), _pixel("j", two, 1)
    for strides in ((number(1), number(1)), (name("window_stride_1"), name("window_stride_0"))):
        yield _pixel("i", name("u"), 0, strides[0]), _pixel("j", name("v"), 1, strides[1])


def _pixel(letter: str, of_window: ast.expr, axis: int, stride: ast.expr | None = None) -> ast.expr:
    """The row, or the column, of the image that a row or column of a window lies on."""
    start = operation(name(letter), ast.Mult, stride or name(f"window_stride_{axis}"))
    within = operation(of_window, ast.Mult, name(f"window_dilation_{axis}"))
    return operation(operation(start, ast.Add, within), ast.Sub, name(f"window_padding_{axis}"))


def _twin_axis(parts: list[ast.expr], axis: int) -> int:
    """The axis whose letter is that of the other direction of the image; -1 where there is none."""
    own = parts[axis]
    other = TWINS.get(own.id, "") if isinstance(own, ast.Name) else ""
    return next((place for place, each in enumerate(parts) if isinstance(each, ast.Name) and each.id == other), -1)


def _along(own: ast.expr, axis: int, array: str, size: int, letters: list[str]) -> Iterator[tuple[int, ast.expr]]:
    """What may stand in place of the index along one axis, and how unusual it is."""
    id = own.id if isinstance(own, ast.Name) else ""
    if id:
        yield from ((0, name(each)) for each in letters if each != id)
    last = ast.Subscript(ast.Attribute(name(array), "shape", ast.Load()), number(axis), ast.Load())
    yield 0, operation(operation(last, ast.Sub, number(1)), ast.Sub, own)
    if size > 1:
        yield 0, operation(own, ast.Add, number(1))
        yield 0, operation(own, ast.Sub, number(1))
        yield 1, number(0)
        yield 1, operation(last, ast.Sub, number(1))
        yield 2, operation(operation(own, ast.Add, number(1)), ast.Mod, last)
        for letter in [each for each in letters if each != id] if id else []:
            yield 2, operation(name(letter), ast.Mod, last)
    if id in ("row", "column"):
        padding = name(f"window_padding_{int(id == 'column')}")
        yield 1, operation(own, ast.Add, padding)
        yield 1, operation(own, ast.Sub, padding)
    if id in ("u", "v") and array in ("w", "dw") and "row" in letters:
        # Where the window begins beyond the edge it is cut, and the kernel is not.
        pixel, spacing = ("row", "window_dilation_0") if id == "u" else ("column", "window_dilation_1")
        begin = operation(name(pixel), ast.Sub, operation(own, ast.Mult, name(spacing)))
        cut = ast.Call(name("min"), [begin, number(0)], [])
        yield 1, operation(own, ast.Add, cut)
    if id in TWINS:
        for other in [each for each in letters if each in ("i", "j", "u", "v")]:
            if other != id:
                yield 2, operation(own, ast.Add, name(other))


def _orders(flat: ast.expr) -> Iterator[ast.expr]:
    """A place in reading order, (c * rows + i) * columns + j, with the axes in another order."""
    axes: list[tuple[ast.expr, ast.expr | None]] = []
    node = flat
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.left, ast.BinOp):
        axes.insert(0, (node.right, node.left.right))
        node = node.left.left
    axes.insert(0, (node, None))
    if len(axes) < 2 or not all(isinstance(each, ast.Name) for each, _ in axes):
        return
    # The size of the first axis does not stand there; it is the one before in the same shape.
    _, second = axes[1]
    if not isinstance(second, ast.Subscript) or not isinstance(second.slice, ast.Constant):
        return
    before = int(str(second.slice.value)) - 1
    sizes = [ast.Subscript(second.value, number(before), ast.Load()), *(each for _, each in axes[1:])]
    for order in itertools.permutations(range(len(axes))):
        made: ast.expr = axes[order[0]][0]
        for axis in order[1:]:
            made = operation(operation(made, ast.Mult, sizes[axis]), ast.Add, axes[axis][0])  # type: ignore[arg-type]
        yield made
