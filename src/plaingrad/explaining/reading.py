"""A text read as a formula: what one number of an array is, in the letters of its place."""

import ast
import itertools
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.compiler.loops import ELEMENTARY
from plaingrad.explaining.expressions import ZERO, Expression, Node, UnreadError, changed, joined, simpler, work
from plaingrad.explaining.indices import Index
from plaingrad.explaining.solving import Solved
from plaingrad.schedule.open import axes_of, opened
from plaingrad.schedule.tree import Named, copied, filled, function_of
from plaingrad.textbook.text import Text
from plaingrad.textbook.window import Window

FUNCTIONS = (*ELEMENTARY, "abs")
SIGNS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
OTHERWISE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
LETTERS = {"row": "r", "column": "s"}
AXES, TRAINED = {4: "ncij", 3: "cij", 2: "nk", 1: "k"}, {4: "kcuv", 2: "kc", 1: "k"}


class Reader:
    """Reads what a text, its loops laid open, makes of the array that is wanted.

    `names` are the arrays that have a name where the formula is shown; the others are numbers that follow from
    settings. Where settings `stay` they are names, and all that the text fills is followed.
    """

    def __init__(
        self, text: Text, wanted: str, shapes: Mapping[str, tuple[int, ...]], seen: Any, names: Any, stay: bool
    ) -> None:
        self.text, self.wanted, self.shapes, self.seen, self.names, self.stay = text, wanted, shapes, seen, names, stay
        self.boxes: dict[str, tuple[int, int]] = {}
        self.settings: dict[str, float] = {}
        self.letters: dict[str, list[str]] = {}  # of each array, those of its place, also along axes of one place
        self.states: dict[str, Expression] = {}  # what it is so far
        self.locals: dict[str, tuple[Any, tuple[str, ...], set[str]]] = {}  # value, letters around, those it adds up
        self.running, self.holds, self.here = tuple[str, ...](), tuple[Node, ...](), tuple[Index, ...]()
        laid = opened(text, axes_of(seen))
        tree = Inlined(text).visit(ast.parse(laid.source).body[0])
        self.followed = filled(tree) if stay else {wanted}
        self.given = {name: (laid.settings.get(name, ("", name))[1], value) for name, value in laid.given(seen).items()}
        self.statements(tree.body)
        if wanted not in self.states or wanted not in self.letters:
            raise UnreadError(f"{wanted} is not filled place by place")

    def setting(self, name: str, value: Any) -> Any:
        """A setting: its number, or its name where it stays one. What is 0 never stays."""
        if not isinstance(value, bool | int | float):
            return None
        if value and self.stay:
            self.settings[name] = float(value)
            return Node("setting", (name,))
        return Index(rest=int(value) if value % 1 == 0 else float(value))

    def statements(self, body: list[ast.stmt], letters: tuple[str, ...] = (), holds: tuple[Node, ...] = ()) -> None:
        """Read statements, inside a loop or a condition."""
        before = self.running, self.holds
        self.running, self.holds = self.running + letters, self.holds + holds
        for node in body:
            match node:
                case ast.For(ast.Name(name), ast.Call(ast.Name("range"), given), inner):
                    self.loop(name, [self.value(each) for each in given], inner)
                case ast.If(test, inner, other):
                    if not self.search(test, inner):
                        self.statements(inner, holds=self.asked(test))
                        self.statements(other, holds=self.asked(test, negated=True) if other else ())
                case ast.Assign([ast.Name(name)], value):
                    self.locals[name] = named(name, self.value(value)), self.running, set()
                case ast.AugAssign(ast.Name(name), ast.Add() | ast.Sub() as op, value):
                    solved, made = self.summed(name), self.value(value)
                    made = joined(SIGNS[type(op)], bare(self.locals[name][0]), solved.over("Σ", made))
                    self.locals[name] = named(name, made), self.locals[name][1], {*solved.letters}
                case ast.Assign([ast.Subscript(ast.Name(array)) as target], value):
                    self.store(array, target, "", value)
                case ast.AugAssign(ast.Subscript(ast.Name(array)) as target, ast.Add() | ast.Sub() as op, value):
                    self.store(array, target, SIGNS[type(op)], value)
                case ast.Expr(ast.Constant()) | ast.Pass():
                    pass
                case _:
                    raise UnreadError(f"{ast.unparse(node).splitlines()[0]!r} is not read")
        self.running, self.holds = before

    def loop(self, name: str, ends: list[Any], body: list[ast.stmt]) -> None:
        """A loop, and its letter; one that has one value is no letter."""
        first, stop = ends if len(ends) == 2 else (ZERO, *ends)
        low, high = first.bounds(self.boxes)[0], stop.bounds(self.boxes)[1] - 1
        letter = f"{name.rstrip('_0123456789')}#{len(self.boxes)}"
        index = Index(rest=low) if low == high else Index.of(letter)
        more = (letter,) if low != high else ()
        self.boxes |= dict.fromkeys(more, (low, high))
        self.locals[name] = index, self.running + more, set()
        ends = [Node("<=", (first, index))] * bool(first.shares) + [Node("<", (index, stop))] * bool(stop.shares)
        self.statements(body, more, tuple(ends))

    def summed(self, name: str) -> Solved:
        """The loops around, inside those in which a number was given its name."""
        _, letters, sums = self.locals[name]
        if sums & {*self.running}:
            raise UnreadError(f"{name} is added to in two places")
        return Solved(self.boxes, [each for each in self.running if each not in letters], self.holds)

    def place(self, array: str, target: ast.Subscript) -> tuple[Index, ...]:
        """The letters of an array's place: those of the first assignment to it, where it is filled by plain letters."""
        sizes = self.shapes[array]
        if array not in self.letters:
            words = [*(TRAINED if self.stay else AXES).get(len(sizes), "mpqrst"[: len(sizes)])]
            for axis, part in enumerate([] if self.stay else parts_of(target.slice)):
                name = part.id if isinstance(part, ast.Name) else {2: "r", 3: "s"}.get(axis, "m")
                words[axis] = LETTERS.get(name, name if len(name) == 1 else words[axis])
            self.letters[array] = [f"{word}#{array}{axis}" for axis, word in enumerate(words)]
            self.boxes |= {each: (0, size - 1) for each, size in zip(self.letters[array], sizes, strict=True)}
        axes = zip(self.letters[array], sizes, strict=True)
        return tuple(Index.of(letter) if size > 1 else ZERO for letter, size in axes)

    def at(self, array: str, target: ast.Subscript, body: Expression) -> Solved:
        """The letters around, settled so that the cell that is assigned to is at the array's place."""
        solved = Solved(self.boxes, self.running, self.holds)
        solved.settle(self.index(target), self.place(array, target), body)
        return solved

    def store(self, array: str, target: ast.Subscript, sign: str, value: ast.expr) -> None:
        """An assignment to a cell."""
        if array not in self.followed:
            return
        if isinstance(target.slice, ast.Slice) and not sign and isinstance(value, ast.Constant):
            self.states[array] = self.value(value)
            return
        self.here = self.index(target)
        made = self.value(value)
        before = self.states.get(array, Node("cell", (array, *self.place(array, target))))
        solved = self.at(array, target, made)
        if solved.letters and not sign:
            raise UnreadError(f"{array} is written several times at each place")
        made = solved.over("Σ", made, ZERO if sign else before)
        self.states[array] = joined(sign, before, made) if sign else made

    def index(self, target: ast.Subscript) -> tuple[Index, ...]:
        made = tuple(map(self.value, parts_of(target.slice)))
        if not all(isinstance(each, Index) for each in made):
            raise UnreadError(f"{ast.unparse(target)!r} has no place")
        return made

    def value(self, node: ast.expr) -> Any:
        """What an expression of the text is: an index as long as it can be."""
        match node:
            case ast.Constant(bool() | int() | float() as number):
                return Index(rest=number)
            case ast.Name(name):
                setting = self.given.get(name, (name, self.text.names.get(name)))
                held, _, sums = self.locals.get(name) or (self.setting(*setting), (), set[str]())
                if held is None or sums & {*self.running}:
                    raise UnreadError(f"{name} is {'not known' if held is None else 'still added up'} where it is used")
                return held
            case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(int(axis))):
                return Index(rest=self.shapes[array][axis])
            case ast.Subscript(ast.Name(array)):
                return self.cell(array, self.index(node))
            case ast.UnaryOp(ast.USub(), of):
                return joined("-", ZERO, self.value(of))
            case ast.BinOp(left, op, right):
                return joined(SIGNS[type(op)], self.value(left), self.value(right))
            case ast.IfExp(test, then, other):
                asked, made, otherwise = self.asked(test), self.value(then), self.value(other)
                if made == Node("sqrt", (otherwise,)) and asked == (Node(">", (otherwise, ZERO)),):
                    return made  # a root that is only taken of what is above 0, else 0 itself, is the root
                return Node("if", (asked, made, otherwise))
            case ast.Call(ast.Name(name), [of]) if name in FUNCTIONS:
                return Node(name, (self.value(of),))
        raise UnreadError(f"{ast.unparse(node)!r} is not read")

    def cell(self, array: str, index: tuple[Index, ...]) -> Expression:
        """A number of an array: of one that is followed what it is where the text has come to, else its cell.

        Of the array that is wanted that is so for the number that is just being made; the others are done.
        """
        if array in self.states and array in self.letters and (array != self.wanted or index == self.here):
            made = changed(self.states[array], dict(zip(self.letters[array], index, strict=True)))
            return made if array == self.wanted else named(array + "′", made)
        numbers, window = self.seen[array], self.seen.get("window")
        if array not in self.names and numbers.min() == numbers.max():
            constant: Index = self.setting("", numbers.flat[0].item())
            return constant
        if array not in self.names and isinstance(window, Window) and numbers.ndim == 2:
            rows, columns = np.indices(numbers.shape)
            held = work(pixels_under(window, (Index.of("i"), Index.of("j"))), {"i": rows, "j": columns}, {})
            if np.array_equal(held.value, numbers):
                return Node("local", ("N", pixels_under(window, index), True))
        return Node("cell", (array, *index))

    def asked(self, test: ast.expr, negated: bool = False) -> tuple[Node, ...]:
        """A test as comparisons that all hold, or that one does not."""
        match test:
            case ast.BoolOp(ast.And(), values) if not negated:
                return tuple(found for each in values for found in self.asked(each))
            case ast.Compare(left, ops, rights) if not (negated and len(ops) > 1):
                signs = [OTHERWISE[SIGNS[type(op)]] if negated else SIGNS[type(op)] for op in ops]
                sides = itertools.pairwise([self.value(each) for each in (left, *rights)])
                return tuple(Node(*each) for each in zip(signs, sides, strict=True))
        raise UnreadError(f"{ast.unparse(test)!r} is not read as a condition")

    def search(self, test: ast.expr, body: list[ast.stmt]) -> bool:
        """Whether this is a search for the largest, which is then read: `if x > y: y = x; winner = its place`."""
        asked = [each for each in ast.walk(test) if isinstance(each, ast.Compare)]
        larger = [(each.left, each.comparators[0]) for each in asked if isinstance(each.ops[0], ast.Gt)]
        larger += [(each.comparators[0], each.left) for each in asked if isinstance(each.ops[0], ast.Lt)]
        pairs = {(ast.unparse(one), ast.unparse(two)) for one, two in larger}
        stores = [(each.targets[0], each.value) for each in body if isinstance(each, ast.Assign)]
        found = [(target, value) for target, value in stores if (ast.unparse(value), ast.unparse(target)) in pairs]
        if len(found) != 1 or len(stores) != len(body) or any(isinstance(each, ast.And) for each in ast.walk(test)):
            return False
        [(held, largest)] = found
        value, before = self.value(largest), None
        for target, given in stores:
            match target:
                case ast.Name(name):
                    solved, before = self.summed(name), bare(self.locals[name][0])
                    made = named(name, solved.largest(value, before))
                    self.locals[name] = made, self.locals[name][1], {*solved.letters}
                case ast.Subscript(ast.Name(array)) if array == self.wanted and given is largest:
                    if not any(isinstance(each.ops[0], ast.Eq) for each in asked):  # no `winner == NOBODY or …`
                        before = self.states.get(array)
                    self.states[array] = self.at(array, target, value).largest(value, before)
                case ast.Subscript(ast.Name(array)) if array == self.wanted and isinstance(held, ast.Subscript):
                    same = Node("==", (value, Node("cell", (ast.unparse(held.value), *self.index(held)))))
                    own = Node("if", ((same,), self.spelled(given), None))
                    self.states[array] = self.at(array, target, own).over("first", own)
        return True

    def spelled(self, node: ast.expr) -> Expression:
        """A whole number as the text spells it: row × 28 + column."""
        if isinstance(node, ast.BinOp):
            return simpler(SIGNS[type(node.op)], self.spelled(node.left), self.spelled(node.right))
        made: Expression = self.value(node)
        return made


class Inlined(ast.NodeTransformer):
    """Puts what a function of the text's own gives back in place of its call."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function, given = self.text.names.get(name), [self.visit(each) for each in node.args]
        if name in FUNCTIONS or not isinstance(function, FunctionType):
            return ast.Call(node.func, given, [])
        tree = function_of(function)
        match [each for each in tree.body if not isinstance(each, ast.Expr)]:
            case [ast.Return(ast.expr() as value)]:
                own = dict(zip((each.arg for each in tree.args.args), given, strict=True))
                return self.visit(Named(own).visit(copied(value)))  # type: ignore[no-any-return]
        raise UnreadError(f"{name} is more than one expression")


def named(name: str, made: Expression) -> Expression:
    """An expression with the name that the text gives it; an index is shown as it is."""
    return made if isinstance(made, Index) else Node("local", (name, made, False))


def bare(made: Any) -> Any:
    """An expression without its name."""
    return made.parts[1] if isinstance(made, Node) and made.kind == "local" else made


def parts_of(index: ast.expr) -> list[ast.expr]:
    return index.elts if isinstance(index, ast.Tuple) else [index]


def pixels_under(window: Window, place: tuple[Index, ...]) -> Expression:
    """How many real pixels a window holds: of each axis where it ends less where it begins, cut off at the image."""
    counts: list[Expression] = []
    for axis, index in enumerate(place):
        start = index * window.stride[axis] - window.padding[axis]
        last = Node("min", (Index(rest=window.size[axis]), Index(rest=window.image[axis]) - start))
        counts.append(joined("-", last, Node("max", (ZERO, -start))))
    return simpler("*", *counts)
