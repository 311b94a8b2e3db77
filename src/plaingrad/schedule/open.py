"""A text laid open: the same statements in the same order, with plain loops in place of `places`, `window` and `sum`.

So it can be compiled as it stands, and so one number of what it fills can be made alone: of the loops only what leads
to that number is left, in the order of the text.
"""

import ast
import copy
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from plaingrad.compiler.loops import Loops
from plaingrad.errors import SettingError
from plaingrad.schedule.tree import Laid, Named, at_line, copied, filled, function_of, names_in, needed, reads_cells
from plaingrad.textbook.text import Text, made
from plaingrad.textbook.window import Window

ONLY = "only"  # the name under which a narrowed text is told what each letter may be


@dataclass
class Opened:
    """A text with its loops laid open. `arguments` are those of the text, its settings one by one."""

    text: Text
    axes: Mapping[str, int]  # of each array
    wanted: str | None = None  # the one array whose numbers are wanted, or all
    lines: list[str] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)  # of each line, the line of the text that it comes from
    settings: dict[str, tuple[str, str, int | None]] = field(default_factory=dict)  # name, attribute, index
    extents: dict[str, str] = field(default_factory=dict)  # of each letter, as an expression
    locals: dict[str, ast.expr] = field(default_factory=dict)  # what a name like `row` stands for
    targets: dict[str, set[str]] = field(default_factory=dict)  # of each array filled, the indices it is filled at
    varying: set[str] = field(default_factory=set)  # names that no expression in letters says: counters, say
    fresh: int = 0
    line: int = 1  # of the text: what is being laid open
    waits: bool = False  # inside `while`, where to leave something out may be never to end

    def __post_init__(self) -> None:
        tree = function_of(self.text)
        self.parameters = [each.arg for each in (*tree.args.args, *tree.args.kwonlyargs)]
        self.fills = filled(tree)
        self.needed = needed(tree, self.wanted) if self.wanted else self.fills
        self._all(tree.body, 1)
        records = {name for name, _, _ in self.settings.values()}
        self.arguments = [each for each in self.parameters if each not in records and each != "window"]
        self.arguments += self.settings

    @property
    def source(self) -> str:
        """The function that is laid open."""
        more = [ONLY] if self.wanted else []
        return f"def {self.text.__name__}({', '.join([*self.arguments, *more])}):\n" + "\n".join(self.lines) + "\n"

    @functools.cached_property
    def function(self) -> FunctionType:
        """It, ready to run or to be compiled."""
        return made(self.source, {**self.text.names, "walk": walk}, self.text.__name__)

    @functools.cached_property
    def nest(self) -> Loops:
        """It, to be compiled: made once, for machine code is found by it."""
        return Loops(self.function)

    def given(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Its arguments from those of the text."""
        found = {name: known[name] for name in self.arguments if name not in self.settings}
        for name, (owner, attribute, index) in self.settings.items():
            value = getattr(known[owner], attribute)
            found[name] = value if index is None else value[index]
        return found

    def refusal(self, node: ast.AST, why: str) -> SettingError:
        """The exception for what a text may not say; names the line."""
        said = ast.unparse(node).splitlines()[0]
        return SettingError(f"line {getattr(node, 'lineno', 1)} of {self.text.__name__} says `{said}`: {why}")

    def _put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)
        self.origins.append(self.line)

    def _text(self, node: ast.AST) -> str:
        return ast.unparse(Settings(self).visit(ast.parse(ast.unparse(node), mode="eval").body))

    def _all(self, body: list[ast.stmt], depth: int) -> None:
        before = len(self.lines)
        for each in body:
            self._statement(each, depth)
        if len(self.lines) == before:
            self._put(depth, "pass")

    def _statement(self, node: ast.stmt, depth: int) -> None:
        self.line = getattr(node, "lineno", self.line)
        match node:
            case ast.For(orelse=[_, *_]) | ast.While(orelse=[_, *_]):
                raise self.refusal(node, "a loop has no else here")
            case ast.For(target, ast.Call(ast.Name("places"), [of]), body):
                self._places(target, of, body, depth)
            case ast.For(target, ast.Call(ast.Name("window"), given), body):
                self._window(names_in(target), given, body, depth)
            case ast.For(ast.Name(letter), ast.Call(ast.Name("range"), [size]), body):
                self._loop(letter, self._text(size), depth)
                self._all(body, depth + 1)
            case ast.If(test, body, other):
                self._put(depth, f"if {self._text(test)}:")
                self._all(body, depth + 1)
                if (
                    self.wanted and not other and reads_cells(test)
                ):  # so that a traced cell knows of what it did not get
                    stores = [each for each in body if isinstance(each, ast.Assign | ast.AugAssign)]
                    cells = [each.targets[0] if isinstance(each, ast.Assign) else each.target for each in stores]
                    other = [ast.parse(f"{ast.unparse(each)} = {ast.unparse(each)}").body[0] for each in cells]
                if other:
                    self._put(depth, "else:")
                    self._all(other, depth + 1)
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                if not all(isinstance(value, ast.Constant) for value in values):  # all are read before any is set
                    self.fresh += 1
                    held = [ast.Name(f"held_{self.fresh}_{place}") for place, _ in enumerate(values)]
                    for name, value in zip(held, values, strict=True):
                        self._put(depth, f"{name.id} = {self._text(value)}")
                        self.varying.add(name.id)
                    values = [*held]
                for target, value in zip(targets, values, strict=True):
                    self._statement(ast.Assign([target], value, lineno=node.lineno), depth)
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("sum" | "max" as what), [of])):
                self._reduce(name, what, of, depth)
            case ast.For(target, each, body, []):
                self.varying.update(names_in(target))
                self._put(depth, f"for {ast.unparse(target)} in {self._text(each)}:")
                self._all(body, depth + 1)
            case ast.While(test, body, []):
                waits, self.waits = self.waits, True
                self._put(depth, f"while {self._text(test)}:")
                self._all(body, depth + 1)
                self.waits = waits
            case ast.Assign([ast.Name(name)], value):
                if name in self.locals or name in {each.id for each in ast.walk(value) if isinstance(each, ast.Name)}:
                    self.varying.add(name)
                self.locals[name] = value
                self._put(depth, f"{name} = {self._text(value)}")
                if self.wanted and depth > 1 and not self.waits and not reads_cells(value):
                    self._put(depth, f"if {name} not in {ONLY}.get({name!r}, ({name},)):")
                    self._put(depth + 1, "continue")
            case ast.Assign([ast.Subscript() as target], value):
                self._store(target, "=", value, depth)
            case ast.AugAssign(ast.Subscript() as target, op, value):
                sign = ast.unparse(ast.AugAssign(ast.Name("y"), op, ast.Name("x"))).split()[1]
                self._store(target, sign, value, depth)
            case ast.Expr(ast.Constant()):
                pass  # what it says of itself
            case _:
                self.varying |= {
                    each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
                }
                for line in ast.unparse(Settings(self).visit(node)).splitlines():
                    self._put(depth, line)

    def _loop(self, letter: str, size: str, depth: int) -> None:
        self.extents[letter] = size
        bounds = f"walk({ONLY}, {letter!r}, {size})" if self.wanted else f"range({size})"
        self._put(depth, f"for {letter} in {bounds}:")

    def _places(self, target: ast.expr, of: ast.expr, body: list[ast.stmt], depth: int) -> None:
        array, skipped = (of.value, of.slice) if isinstance(of, ast.Subscript) else (of, None)
        first = 0 if skipped is None else len(skipped.elts) if isinstance(skipped, ast.Tuple) else 1
        letters, name = names_in(target), ast.unparse(array)
        if len(letters) == 1 and self.axes[name] - first > 1:
            (place,) = letters
            letters = [f"{place}_{axis}" for axis in range(self.axes[name] - first)]
            named = Named({place: ast.Tuple([ast.Name(each) for each in letters])})
            body = [named.visit(copy.deepcopy(each)) for each in body]
        if len(letters) > 1:
            self._require_no_break(body)
        for axis, letter in enumerate(letters):
            self._loop(letter, f"{name}.shape[{first + axis}]", depth + axis)
        self._all(body, depth + len(letters))

    def _window(self, names: list[str], given: list[ast.expr], body: list[ast.stmt], depth: int) -> None:
        """The walk of `Window.__call__`, with this body in place of its `yield`."""
        self._require_no_break(body)
        walk = function_of(Window.__call__)
        (yielded,) = [each.value for each in ast.walk(walk) if isinstance(each, ast.Yield)]
        own = dict(zip(names_in(yielded), (ast.Name(each) for each in names), strict=True))  # type: ignore[arg-type]
        own |= dict(zip([each.arg for each in walk.args.args[1:]], given, strict=True))  # type: ignore[arg-type]
        laid = [at_line(Named({**own, "self": ast.Name("window")}).visit(each), self.line) for each in walk.body]
        self._all([Laid(body).visit(each) for each in laid], depth)

    def _require_no_break(self, body: list[ast.stmt]) -> None:
        """SettingError for a `break` that would leave one of several loops only."""
        inner = [*body]
        while inner:
            node = inner.pop()
            if isinstance(node, ast.Break):
                raise self.refusal(node, "it cannot leave a loop over several axes; use a condition instead")
            if not isinstance(node, ast.For | ast.While):
                inner += ast.iter_child_nodes(node)  # type: ignore[arg-type]

    def _reduce(self, name: str, what: str, of: ast.expr, depth: int) -> None:
        """A sum or a largest, term by term; its letters are its own."""
        self.fresh += 1
        match of:
            case ast.GeneratorExp(term, [ast.comprehension(target, ast.Call(ast.Name("places"), [array]), [])]):
                letters = {each: f"{each}_{self.fresh}" for each in names_in(target)}
            case ast.Subscript(array, index):
                letters = {"k": f"k_{self.fresh}"}
                places = index.elts if isinstance(index, ast.Tuple) else [index]
                term = ast.Subscript(array, ast.Tuple([*places, ast.Name("k")]))
                target, array = ast.Name("k"), of
            case ast.GeneratorExp():
                raise self.refusal(of, f"a {what} runs over `for … in places(…)`, without conditions")
            case _:
                self._put(depth, f"{name} = {what}({self._text(of)})")
                return
        renamed = {each: ast.Name(own) for each, own in letters.items()}
        term, target = (Named(renamed).visit(copied(each)) for each in (term, target))
        if what == "sum":
            self._put(depth, f"{name} = 0")
            step: list[ast.stmt] = [ast.parse(f"{name} += {ast.unparse(term)}").body[0]]
        else:
            first = Named({each: ast.Constant(0) for each in letters.values()}).visit(copied(term))
            self._put(depth, f"{name} = {self._text(first)}")
            step = [ast.parse(f"if {ast.unparse(term)} > {name}:\n    {name} = {ast.unparse(term)}").body[0]]
        step = [at_line(each, self.line) for each in step]
        wanted, self.wanted = self.wanted, None  # it needs all its terms, whatever is wanted
        self._places(target, array, step, depth)
        self.wanted = wanted
        if wanted and what == "max":
            self._put(depth, f"{ONLY}.chosen()")

    def _store(self, target: ast.Subscript, sign: str, value: ast.expr, depth: int) -> None:
        array = ast.unparse(target.value)
        if not isinstance(target.value, ast.Name):
            raise self.refusal(target, "write all its indices in one pair of brackets")
        if array not in self.needed:
            return
        places = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        index = "" if any(isinstance(each, ast.Slice) for each in places) else ", ".join(map(self._text, places))
        if index:
            self.targets.setdefault(array, set()).add(index)
        self._put(depth, f"{self._text(target)} {sign} {self._text(value)}")


class Settings(ast.NodeTransformer):
    """Makes an argument of each setting that is read off a window or a record: `window.size[0]`, `adam.beta1`."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def _argument(self, owner: str, attribute: str, index: int | None) -> ast.Name:
        name = f"{owner}_{attribute}" + ("" if index is None else f"_{index}")
        self.opened.settings[name] = owner, attribute, index
        return ast.Name(name)

    def _is_setting(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (
            (node.value.id in self.opened.parameters and node.attr not in ("shape", "size", "ndim"))
            or node.value.id == "window"
        )  # fmt: skip

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if self._is_setting(node.value) and isinstance(node.slice, ast.Constant):
            return self._argument(node.value.value.id, node.value.attr, int(node.slice.value))  # type: ignore[arg-type, attr-defined]
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if self._is_setting(node):
            return self._argument(node.value.id, node.attr, None)  # type: ignore[attr-defined]
        return self.generic_visit(node)  # type: ignore[return-value]


class Only(dict[str, list[int]]):
    """What each letter may be, of a narrowed text; a letter that is not named may be anything."""

    def chosen(self) -> None:
        """A largest was found: what is compared after it is another matter."""


def walk(only: Mapping[str, list[int]], letter: str, size: int) -> Any:
    """The values of a letter that lead to the number wanted, in order: all where it may be any."""
    allowed = only.get(letter)
    return range(int(size)) if allowed is None else [each for each in allowed if each < size]


def opened(text: Text, axes: tuple[tuple[str, int], ...], wanted: str | None = None) -> Opened:
    """A text laid open for arrays of so many axes; with an array that is `wanted`, to be narrowed to a number of it."""
    return _opened(text, axes, wanted, text.meaning)


@functools.cache
def _opened(text: Text, axes: tuple[tuple[str, int], ...], wanted: str | None, _: tuple[Any, ...]) -> Opened:
    return Opened(text, dict(axes), wanted)


def axes_of(known: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """How many axes each array has."""
    return tuple((name, each.ndim) for name, each in known.items() if hasattr(each, "ndim"))
