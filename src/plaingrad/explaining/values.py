"""What the expressions of a text are: indices as long as they can be, settings, cells, and what is made of them."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.explaining.expressions import (
    Applied,
    Cell,
    Expression,
    Joined,
    Known,
    Local,
    Number,
    Setting,
    Whole,
    minus,
    negative,
    over,
    plus,
    times,
)
from plaingrad.explaining.indices import Index, axis_letters, left_over, quotient
from plaingrad.explaining.ranging import OTHER, Cases, Compared, Extreme, Over, pixels_under
from plaingrad.explaining.solving import Before, Running, Scope, Solved, UnreadError, View
from plaingrad.loops import Array
from plaingrad.schedule.tree import function_of, names_in
from plaingrad.text import Text
from plaingrad.window import Window

FUNCTIONS = ("exp", "log", "sqrt", "tanh", "abs")
ROUNDED = {ast.FloorDiv: quotient, ast.Mod: left_over}
SIGNS: dict[type, str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
JOINED: dict[type, Callable[[Any, Any], Expression]] = {
    ast.Add: plus, ast.Sub: minus, ast.Mult: times, ast.Div: over, ast.Pow: lambda one, two: Joined("^", one, two),
}  # fmt: skip


@dataclass
class Values:
    """What has been read of a text so far, and what its expressions are there.

    `shapes` are those of its arrays, `names` the arrays that have a name where the formula is shown; the others are
    numbers that follow from settings. Settings of those that `keep` them stay names, others are worked out.
    """

    text: Text
    wanted: str
    shapes: Mapping[str, tuple[int, ...]]
    seen: Mapping[str, Any]
    names: Mapping[str, str]
    keep: bool = False
    boxes: dict[str, tuple[int, int]] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)  # the arrays whose numbers are followed
    settings: dict[str, float] = field(default_factory=dict)
    locals: dict[str, Any] = field(default_factory=dict)
    places: dict[str, tuple[Index, ...]] = field(default_factory=dict)  # of each array, its place in letters
    letters: dict[str, list[str]] = field(default_factory=dict)  # those, also along axes of one place
    states: dict[str, Expression] = field(default_factory=dict)  # what it is so far

    def helper(self, name: str) -> tuple[ast.expr, list[str]]:
        """What a function that a text calls gives back, and its arguments."""
        tree = function_of(self.text.plain.__globals__[name])
        last = tree.body[-1]
        if len([each for each in tree.body if not isinstance(each, ast.Expr)]) != 1 or not isinstance(last, ast.Return):
            raise UnreadError(f"{name} is more than one expression")
        assert last.value is not None
        return last.value, [each.arg for each in tree.args.args]

    def number(self, made: Any) -> Expression:
        """A value as an expression."""
        if isinstance(made, Expression):
            return made
        if isinstance(made, Index):
            return Whole(made)
        if isinstance(made, bool | int | float | np.number):
            return Number(float(made))
        raise UnreadError(f"{getattr(made, 'array', made)!r} is no number")

    def expression(self, node: ast.expr, scope: Scope) -> Expression:
        return self.number(self.value(node, scope))

    def whole(self, node: ast.expr, scope: Scope) -> Index:
        made = self.value(node, scope)
        if not isinstance(made, Index):
            raise UnreadError(f"{ast.unparse(node)!r} is no whole number")
        return made

    def value(self, node: ast.expr, scope: Scope, as_view: bool = False) -> Any:
        match node:
            case ast.Constant(value):
                return Index(rest=value) if type(value) is int else self.number(value)
            case ast.Name(name):
                return self.named(name, scope)
            case ast.Tuple(parts):
                return tuple(self.value(each, scope) for each in parts)
            case ast.Attribute(of, name):
                owner = self.value(of, scope)
                if isinstance(owner, View):
                    return tuple(Index(rest=each) for each in self.shapes[owner.array]) if name == "shape" else None
                return self.setting(name, getattr(owner, name))
            case ast.Subscript(of, index):
                return self.cell(self.value(of, scope), index, scope, as_view)
            case ast.UnaryOp(ast.USub(), of):
                made = self.value(of, scope)
                return -made if isinstance(made, Index) else negative(self.number(made))
            case ast.BinOp(left, op, right):
                return self.joined(op, self.value(left, scope), self.value(right, scope), node)
            case ast.IfExp(test, then, other):
                return self.cases(self.asked(test, scope), self.expression(then, scope), self.expression(other, scope))
            case ast.Call(ast.Name(name), given):
                return self.called(name, given, scope)
        raise UnreadError(f"{ast.unparse(node)!r} is not read")

    def named(self, name: str, scope: Scope) -> Any:
        held = self.locals.get(name, self.text.plain.__globals__.get(name))
        if held is None:
            raise UnreadError(f"{name} is not known where it is used")
        if isinstance(held, Running):
            if held.is_open:
                raise UnreadError(f"{name} is used while it is added up")
            return held.value
        return held if isinstance(held, View | Index | tuple) else self.setting(name, held)

    def setting(self, name: str, value: Any) -> Any:
        """A setting: its number, or its name where it stays one. What is 0 or no plain number never stays."""
        if isinstance(value, bool | int | float | np.number):
            if value and self.keep:
                self.settings[name] = float(value)
                return Setting(name)
            return Index(rest=int(value)) if isinstance(value, int | np.integer) else Number(float(value))
        return tuple(self.setting(name, each) for each in value) if isinstance(value, tuple) else value

    def cell(self, of: Any, index: ast.expr, scope: Scope, as_view: bool) -> Any:
        """A cell of an array, or what is left of it; one of several settings."""
        made = self.value(index, scope)
        parts = made if isinstance(made, tuple) else (made,)
        if isinstance(of, tuple):
            return of[parts[0].rest]
        if not isinstance(of, View) or not all(isinstance(each, Index) for each in parts):
            raise UnreadError(f"[{ast.unparse(index)}] is no place")
        view = View(of.array, (*of.index, *parts))
        if as_view or len(view.index) < len(self.shapes[view.array]):
            return view
        array: Array = self.seen[view.array]
        if view.array not in self.names and np.unique(array).size == 1:
            return Number(float(array.flat[0]))
        if view.array not in self.names and len(parts) == 2 and isinstance(self.seen.get("window"), Window):
            count = pixels_under(self.seen["window"], parts)
            grid = dict(zip("ij", np.indices(array.shape), strict=True))
            if np.array_equal(
                pixels_under(self.seen["window"], tuple(map(Index.of, "ij"))).work(Known({}, grid, {}, 2)).value, array
            ):
                return Local("N", count, True)
        return (Before if view.array in self.followed else Cell)(view.array, view.index)

    def joined(self, op: ast.operator, one: Any, two: Any, node: ast.expr) -> Any:
        """Indices stay indices as long as they can; everything else is an expression."""
        if isinstance(one, Index) and isinstance(two, Index):
            if isinstance(op, ast.Add | ast.Sub):
                return one + two if isinstance(op, ast.Add) else one - two
            if type(op) in ROUNDED and not two.shares and two.rest > 0:
                return ROUNDED[type(op)](one, two.rest)
            if isinstance(op, ast.Mult) and not (one.shares and two.shares):
                return one * two.rest if one.shares else two * one.rest
        if type(op) not in JOINED:
            raise UnreadError(f"{ast.unparse(node)!r} is not read")
        return JOINED[type(op)](self.number(one), self.number(two))

    def called(self, name: str, given: list[ast.expr], scope: Scope) -> Any:
        if name in FUNCTIONS:
            return Applied(name, self.expression(given[0], scope))
        if name in ("max", "min") and len(given) > 1:
            return Extreme(name, tuple(self.expression(each, scope) for each in given))
        match name, given:
            case "sum", [ast.GeneratorExp(term, [ast.comprehension(target, ast.Call(function, walked))])]:
                before = dict(self.locals)
                inner = self.loop(names_in(target), ast.unparse(function), walked, scope)
                more = [letter for letter in inner.letters if letter not in scope.letters]
                made = Solved(self.boxes, more, list(inner.least)).over(self.expression(term, inner), ())
                self.locals = before
                return made
            case "max", [row]:
                view = self.value(row, scope)
                if isinstance(view, View) and len(view.index) == len(self.shapes[view.array]) - 1:
                    inner, index = self.run("k", Index(), Index(rest=self.shapes[view.array][-1]), scope)
                    cell = Cell(view.array, (*view.index, index))
                    return self.run_over("max", Solved(self.boxes, [*inner.letters[len(scope.letters) :]], []), cell)
        if isinstance(self.text.plain.__globals__.get(name), FunctionType):
            value, names = self.helper(name)
            before = dict(self.locals)
            self.locals |= {each: self.value(one, scope) for each, one in zip(names, given, strict=True)}
            self.locals |= {each: Running(one) for each, one in self.locals.items() if isinstance(one, Expression)}
            made, self.locals = self.value(value, scope), before
            return made
        raise UnreadError(f"{name}(…) is not read")

    def loop(self, names: list[str], kind: str, given: list[ast.expr], scope: Scope) -> Scope:
        """The scope inside a loop over the places of an array, or over a range."""
        if kind == "range":
            ends = [self.whole(each, scope) for each in given]
            first, stop = ends if len(ends) == 2 else (Index(), *ends)
            scope, self.locals[names[0]] = self.run(names[0], first, stop, scope)
            return scope
        view = self.value(given[0], scope)
        if kind != "places" or not isinstance(view, View):
            raise UnreadError(f"a loop over {kind} is not read")
        sizes = self.shapes[view.array][len(view.index) :]
        own = names if len(names) == len(sizes) else list(axis_letters(sizes, view.array in self.images))
        places = []
        for name, size in zip(own, sizes, strict=True):
            scope, index = self.run(name, Index(), Index(rest=size), scope)
            places.append(index)
        self.locals |= dict(zip(names, places, strict=True)) if own is names else {names[0]: tuple(places)}
        return scope

    @property
    def images(self) -> frozenset[str]:
        """The arrays whose first axis is the image: all but an optimiser's, as far as a letter's name goes."""
        return frozenset() if self.keep else frozenset(self.shapes)

    def run(self, name: str, first: Index, stop: Index, scope: Scope) -> tuple[Scope, Index]:
        """The scope inside a loop, and its letter; one that has one value is no letter."""
        low, high = first.bounds(self.boxes)[0], stop.bounds(self.boxes)[1] - 1
        if low == high:
            return scope, Index(rest=low)
        letter = f"{name}#{len(self.boxes)}"
        self.boxes[letter] = low, high
        index = Index.of(letter)
        bounds = [each for each, end in ((index - first, first), (stop - 1 - index, stop)) if end.shares]
        return Scope((*scope.letters, letter), (*scope.least, *bounds), scope.conditions), index

    def run_over(self, sign: str, solved: Solved, body: Expression) -> Expression:
        """The largest or the first over all letters that the place does not settle."""
        bounds, outer = solved.bounds()
        if outer or solved.conditions:
            raise UnreadError("a search that not every place makes")
        body = body.put(solved.known)
        for letter in reversed(solved.letters):
            body = Over(sign, Index.of(letter), *bounds[letter], body)
        return body

    def cases(self, conditions: tuple[Compared, ...], then: Expression, other: Expression) -> Expression:
        """One of two expressions. A root that is only taken of what is above 0, else 0 itself, is the root."""
        is_root = isinstance(then, Applied) and then.name == "sqrt" and other == then.of
        if is_root and conditions == (Compared(">", other, Whole(Index())),):
            return then
        return Cases(conditions, then, other)

    def conditions(self, test: ast.expr, scope: Scope) -> list[Any]:
        """What a test asks: indices that are not negative, and comparisons of numbers."""
        match test:
            case ast.BoolOp(ast.And(), values):
                return [found for each in values for found in self.conditions(each, scope)]
            case ast.Compare(left, ops, rights):
                made = [self.value(each, scope) for each in (left, *rights)]
                return [
                    found
                    for one, op, two in zip(made, ops, made[1:], strict=False)
                    for found in self.comparison(one, SIGNS[type(op)], two)
                ]
        raise UnreadError(f"{ast.unparse(test)!r} is not read as a condition")

    def comparison(self, one: Any, sign: str, two: Any) -> list[Any]:
        if isinstance(one, Index) and isinstance(two, Index) and sign != "!=":
            above, below = two - one, one - two
            return {"<": [above - 1], "<=": [above], ">": [below - 1], ">=": [below], "==": [above, below]}[sign]
        return [Compared(sign, self.number(one), self.number(two))]

    def asked(self, test: ast.expr, scope: Scope) -> tuple[Compared, ...]:
        """A test as comparisons that are shown."""
        match test:
            case ast.Compare(left, [op], [right]):
                return (Compared(SIGNS[type(op)], self.expression(left, scope), self.expression(right, scope)),)
            case ast.BoolOp(ast.And(), values):
                return tuple(found for each in values for found in self.asked(each, scope))
        raise UnreadError(f"{ast.unparse(test)!r} is not read as a condition")

    def otherwise(self, test: ast.expr, scope: Scope) -> list[Any]:
        """What holds where a test does not."""
        match test:
            case ast.Compare(left, [op], [right]):
                sign = OTHER[SIGNS[type(op)]]
                return self.comparison(self.value(left, scope), sign, self.value(right, scope))
        raise UnreadError("an else after several conditions is not read")
