"""A text as plain loops, only as far as one array needs it, and its lines as people read them."""

import ast
import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plaingrad.checking.edits.uses import Named
from plaingrad.schedule.open import opened
from plaingrad.schedule.tree import filled, needed
from plaingrad.textbook.text import Text

Path = tuple[tuple[str, int | None], ...]
"""The way to a node: the fields to go through, each with the place in it where it is a list."""
OWN = "own."  # before the name of an array of the layer itself, beside those that its text is given
WHEN = {"before": "of_the_step_before", "first": "of_the_first_step", "after": "after_the_update"}
LETTERS = {4: "ncij", 3: "cij", 2: "nk", 1: "n"}


@dataclass(frozen=True, eq=False)
class Lines:
    """The statements of a text that make one array. `settings` are numbers, by name."""

    text: Text
    wanted: str
    tree: ast.FunctionDef
    fills: frozenset[str]

    @functools.cached_property
    def named(self) -> Named:
        """The names in its expressions."""
        return Named(self.tree)

    @functools.cached_property
    def reads(self) -> frozenset[str]:
        """The arrays of which it reads cells."""
        cells = [each for each in ast.walk(self.tree) if isinstance(each, ast.Subscript)]
        own = (each.value for each in cells if isinstance(each.ctx, ast.Load))
        return frozenset(each.id for each in own if isinstance(each, ast.Name))

    @property
    def is_sum(self) -> bool:
        """Whether it reads nothing that it has written: all its places can be done at once."""
        return len(self.fills) == 1 and not self.reads & self.fills


@functools.lru_cache(maxsize=256)
def lines_of(text: Text, wanted: str, axes: tuple[tuple[str, int], ...]) -> Lines:
    """A text with its loops laid open, without what the wanted array does not need."""
    tree = ast.parse(opened(text, axes).source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree = Renamed().visit(tree)
    kept = needed(tree, wanted)
    tree.body = list(_kept(tree.body, kept))
    before = None
    while before != ast.dump(tree):  # what is left may read less
        before = ast.dump(tree)
        read = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
        tree.body = list(_kept(tree.body, kept, read))
    return Lines(text, wanted, ast.fix_missing_locations(tree), filled(tree))


def _kept(body: Sequence[ast.stmt], arrays: frozenset[str], names: set[str] | None = None) -> Iterator[ast.stmt]:
    """The statements that fill some of these arrays, or a name that is read."""
    for each in body:
        if isinstance(each, ast.For | ast.If):
            each.body = list(_kept(each.body, arrays, names))
            if isinstance(each, ast.If):
                each.orelse = list(_kept(each.orelse, arrays, names))
            if each.body:
                yield each
        elif filled(each):
            if filled(each) & arrays:
                yield each
        elif names is None or _given(each) in {None, *names}:
            yield each


def _given(statement: ast.stmt) -> str | None:
    """The name that a statement gives a value to; None for any other statement."""
    match statement:
        case ast.Assign([ast.Name(name)]) | ast.AugAssign(ast.Name(name)):
            return name
    return None


class Renamed(ast.NodeTransformer):
    """Gives the places of an array, of which a text says only `place`, their usual letters."""

    def __init__(self) -> None:
        self.count = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        self.count = len([each for each in names if each.startswith("place_")])
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id.startswith("place_"):
            return ast.Name(LETTERS[self.count][int(node.id[6:])], node.ctx)
        return node


def at(node: Any, path: Path) -> Any:
    """The node that a path leads to."""
    for field, place in path:
        node = getattr(node, field)
        node = node if place is None else node[place]
    return node


def copied(node: Any) -> Any:
    """A node of its own with the same nodes below it, as `copy.copy` makes it in five times the time."""
    made = node.__class__.__new__(node.__class__)
    made.__dict__.update(node.__dict__)
    return made


def replaced(node: Any, path: Path, new: Any) -> Any:
    """The tree with another node, or statements, at the end of a path; all that is not on the path is shared."""
    if not path:
        return new
    (field, place), *rest = path
    made, inner = copied(node), getattr(node, field)
    if place is None:
        setattr(made, field, replaced(inner, tuple(rest), new))
        return made
    found = replaced(inner[place], tuple(rest), new)
    setattr(made, field, [*inner[:place], *(found if isinstance(found, list) else [found]), *inner[place + 1 :]])
    return made


def children(node: Any) -> Iterator[tuple[tuple[str, int | None], Any]]:
    """The nodes below a node, each with the step that leads there."""
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.expr | ast.stmt):
            yield (field, None), value
        elif isinstance(value, list):
            for place, each in enumerate(value):
                if isinstance(each, ast.expr | ast.stmt):
                    yield (field, place), each


def walked(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every node of a tree with the way to it, in the order of the text."""
    yield path, node
    for step, each in children(node):
        yield from walked(each, (*path, step))


def statement_of(path: Path) -> Path:
    """The way to the statement that a node stands in."""
    lists = [end for end, (field, place) in enumerate(path) if field in ("body", "orelse") and place is not None]
    last = max(lists, default=-1)
    return path[: last + 1]


class Said(ast.NodeTransformer):
    """Writes settings as people do: stride[0] for window_stride_0."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node = ast.Name(node.id.removeprefix(OWN), node.ctx)
        if node.id.startswith("window_"):
            _, name, axis = node.id.split("_")
            return ast.Name(f"{name}[{axis}]", node.ctx)
        if node.id.endswith(tuple(f".{when}" for when in WHEN)):
            array, _, when = node.id.rpartition(".")
            words = WHEN[when]
            return ast.Name(f"{array.removesuffix('.x') if array.endswith('x.x') else array}_{words}", node.ctx)
        head, _, tail = node.id.rpartition("_")
        return ast.Name(head, node.ctx) if head and tail.isdigit() else node


def line_of(node: ast.stmt) -> str:
    """A statement on one line, a loop or a condition by its head."""
    if isinstance(node, ast.For | ast.If):
        node = copy.copy(node)
        node.body, node.orelse = [ast.Pass()], []
    said = ast.fix_missing_locations(Said().visit(copy.deepcopy(node)))
    return ast.unparse(said).splitlines()[0]


def settings_of(text: Text, seen: Mapping[str, Any], axes: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    """What a text laid open is given: arrays, and settings as numbers."""
    return opened(text, axes).given(seen)
