"""Edits along rows, along columns and along both; and settings that are exchanged wherever they stand."""

import ast
from collections.abc import Iterator

from plaingrad.checking.edits.lines import Lines, Path, at, replaced, statement_of, walked
from plaingrad.checking.edits.pieces import TWINS, WINDOW, Edit, copy_of, name, number


def twin_loop(lines: Lines, letter: str) -> Path | None:
    for path, each in walked(lines.tree):
        if isinstance(each, ast.For) and each.target.id == TWINS.get(letter):  # type: ignore[attr-defined]
            return path
    return None


def in_both(tree: ast.FunctionDef, edit: Edit) -> Edit | None:
    """The same edit along columns too."""
    ((path, new),) = edit.changes
    twin = _twin_path(tree, path)
    if twin is None or twin == path:
        return None
    other = Turned().visit(copy_of(new))
    try:
        if ast.dump(other) == ast.dump(at(tree, twin)):
            return None
    except (AttributeError, IndexError, TypeError):
        return None
    whole = replaced(tree, path, new)
    common = len([None for one, two in zip(path, twin, strict=False) if one == two])
    if path[:common] == path:  # one lies in the other
        return None
    try:
        at(whole, twin)
    except (AttributeError, IndexError, TypeError):
        return None
    return Edit(edit.kind, ((path, new), (twin, other)), edit.cost)


class Turned(ast.NodeTransformer):
    """Says of columns what was said of rows."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        id = TWINS.get(node.id, node.id)
        if id.startswith("window_"):
            id = id[:-1] + str(1 - int(id[-1]))
        return ast.Name(id, node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            axis = node.slice.value  # type: ignore[attr-defined]
            return ast.Subscript(node.value, number({2: 3, 3: 2}.get(axis, axis)), node.ctx)
        self.generic_visit(node)
        if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 4:
            first, second, third, fourth = node.slice.elts
            return ast.Subscript(node.value, ast.Tuple([first, second, fourth, third], ast.Load()), node.ctx)
        return node


def _twin_path(tree: ast.FunctionDef, path: Path) -> Path | None:
    """The way to what a node is along the other direction of images."""
    own = at(tree, statement_of(path))
    rest = path[len(statement_of(path)) :]
    if isinstance(own, ast.For) and rest and rest[0][0] == "iter":
        for other, each in walked(tree):
            if isinstance(each, ast.For) and each.target.id == TWINS.get(own.target.id):  # type: ignore[attr-defined]
                return (*other, *rest)
        return None
    if isinstance(own, ast.Assign) and isinstance(own.targets[0], ast.Name):
        for other, each in walked(tree):
            if (
                isinstance(each, ast.Assign)
                and isinstance(each.targets[0], ast.Name)
                and each.targets[0].id == TWINS.get(own.targets[0].id)
            ):
                return (*other, *rest)
        return None
    made: list[tuple[str, int | None]] = []
    node, turned = own, False
    for field, place in rest:
        if isinstance(node, ast.Tuple) and len(node.elts) == 4 and place in (2, 3):
            made.append((field, 5 - place))
            turned = True
        elif isinstance(node, ast.BoolOp) and field == "values" and len(node.values) == 2 and isinstance(own, ast.If):
            made.append((field, 1 - place))  # type: ignore[operator]
            turned = True
        else:
            made.append((field, place))
        node = at(node, ((field, place),))
    # Cells are edited whole: their indices lie in the new expression.
    return (*statement_of(path), *made) if turned else None


def exchanged_settings(lines: Lines) -> Iterator[Edit]:
    """Two settings exchanged wherever they stand: of rows and columns, or stride and dilation."""
    names: dict[str, list[Path]] = {}
    for path, node in walked(lines.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id.startswith("window_"):
            names.setdefault(node.id, []).append(path)
    kinds = ("size", "stride", "dilation", "padding", "image")
    pairs = [[(f"window_{kind}_0", f"window_{kind}_1")] for kind in kinds]
    pairs += [
        [(f"window_{one}_{axis}", f"window_{two}_{axis}") for axis in range(2)]
        for one, two in (("stride", "dilation"), ("stride", "padding"), ("stride", "size"), ("dilation", "padding"))
    ]
    pairs += [[("window_stride_0", "window_stride_1"), ("window_dilation_0", "window_dilation_1"),
               ("window_padding_0", "window_padding_1")]]  # fmt: skip
    for exchanged in pairs:
        changes = [
            (path, name(new))
            for one, two in exchanged
            for old, new in ((one, two), (two, one))
            for path in names.get(old, [])
        ]
        if changes:
            yield Edit(WINDOW, tuple(changes), 2)
    for kind in kinds[:4]:  # the rows' setting for both
        for own, other in ((0, 1), (1, 0)):
            changes = [(path, name(f"window_{kind}_{other}")) for path in names.get(f"window_{kind}_{own}", [])]
            if len(changes) > 1:
                yield Edit(WINDOW, tuple(changes), 2)
