"""Expressions of texts written out as JavaScript: numbers, cells, tests, and calls of functions.

All numbers lie in one Float64Array, `$`; an array is where it lies in it, {start, shape, strides}. `$` is in no name of
Python's, so the names made here meet no name of a text.
"""

import ast
import copy
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from plaingrad.compiler import loops
from plaingrad.errors import LARGEST, SettingError
from plaingrad.schedule.open import Opened
from plaingrad.schedule.tree import function_of
from plaingrad.textbook.text import Text

OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "===",
    ast.NotEq: "!==",
}
OWN = {"normal_cdf": "normalCdf", "normal_pdf": "normalPdf"}  # JavaScript has none of these: page_network.js does
ELEMENTARY: list[tuple[Any, str]] = [
    (abs, "Math.abs"),
    *((function, OWN.get(name, f"Math.{name}")) for name, function in loops.ELEMENTARY.items()),
]
RESERVED = frozenset(
    """arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof undefined var void while with yield
    Math Infinity NaN normalCdf normalPdf""".split()  # noqa: SIM905
)
"""What is no name in JavaScript, or means something to the written texts."""


@dataclass(frozen=True)
class Known:
    """What is known where an expression stands: loop letters, those names that are whole numbers and never negative,

    and the tests it stands under.
    """

    letters: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    because: tuple[ast.expr, ...] = ()

    def under(self, test: ast.expr, body: Collection[ast.AST] | None) -> "Known":
        """The same behind a test. Where it holds for a `body`, it may say of names that they are not negative."""
        nodes = (each for part in body or () for each in ast.walk(part))
        changed = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        sure = {*guarded(test)} - changed if body is not None else set()
        return Known(self.letters, self.whole | sure, (*self.because, test))


class Values:
    """Writes the expressions of one text that was laid open; SettingError for what it cannot say exactly."""

    def __init__(self, laid: Opened, whole: Collection[str]) -> None:
        self.whole = whole  # arrays of whole numbers, and settings that are such and not negative
        self.laid, self.names = laid, laid.text.names
        self.arguments, self.axes = tuple(laid.arguments), dict(laid.axes)
        self.locals, self.whole_locals = frozenset[str](), frozenset[str]()
        self.helpers: dict[str, tuple[FunctionType, str]] = {}

    def refusal(self, node: ast.AST, why: str) -> SettingError:
        """The exception for what cannot be written; names the line of the text."""
        place = getattr(node, "lineno", 0) - 2
        line = self.laid.origins[place] if 0 <= place < len(self.laid.origins) else 1
        said = ast.unparse(node).splitlines()[0]
        who = f"line {line} of {self.laid.text.__name__} says `{said}`"
        return SettingError(f"{who}, which cannot be written as JavaScript: {why}")

    def value(self, node: ast.expr, known: Known) -> str:
        """A number."""
        match node:
            case ast.Constant(float() | int() as value) if is_number(value):
                return number(value)
            case ast.Name(name):
                return self._name(node, name, known)
            case ast.UnaryOp(ast.USub(), value):
                return f"(-{self.value(value, known)})"
            case ast.BinOp(one, sign, other) if type(sign) in OPERATORS:
                return f"({self.value(one, known)} {OPERATORS[type(sign)]} {self.value(other, known)})"
            case ast.BinOp(one, ast.FloorDiv(), other) if self.is_place(node, known):
                return f"Math.floor({self.value(one, known)} / {self.value(other, known)})"
            case ast.IfExp(test, one, other):
                either = self.value(one, known), self.value(other, known)
                return f"({self.test(test, known)} ? {either[0]} : {either[1]})"
            case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(int() as axis)) if self.is_place(
                node, known
            ):
                return f"{safe(array)}$n{axis}"
            case ast.Subscript():
                return f"$[{self.cell(node, known)}]"
            case ast.Call(ast.Name(name), given, []):
                return self._call(node, name, given, known, is_test=False)
        raise self.refusal(node, "it takes numbers, cells, names, + − × ÷, a choice by a test, and functions by name")

    def test(self, node: ast.expr, known: Known) -> str:
        """A test. A number is none: NaN counts as true in Python and as false in JavaScript."""
        match node:
            case ast.Compare(one, signs, others) if all(type(each) in COMPARISONS for each in signs):
                values = [self.value(each, known) for each in (one, *others)]
                pairs = zip(values, signs, values[1:], strict=False)
                return f"({' && '.join(f'{left} {COMPARISONS[type(sign)]} {right}' for left, sign, right in pairs)})"
            case ast.BoolOp(sign, parts):
                join = " && " if isinstance(sign, ast.And) else " || "
                return f"({join.join(self.test(each, known) for each in parts)})"
            case ast.UnaryOp(ast.Not(), part):
                return f"(!{self.test(part, known)})"
            case ast.Call(ast.Name(name), given, []):
                return self._call(node, name, given, known, is_test=True)
        raise self.refusal(node, "a test compares numbers with < <= > >= == !=, joined by and, or, not")

    def cell(self, node: ast.Subscript, known: Known) -> str:
        """Where a cell lies in `$`."""
        if not isinstance(node.value, ast.Name):
            raise self.refusal(node, "a cell is written array[place]")
        array = node.value.id
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        axes = self.axes_of(node, array)
        if len(places) != axes or any(isinstance(each, ast.Slice) for each in places):
            raise self.refusal(node, f"{array} has {axes} axes, and a cell names its place on each")
        own = safe(array)
        return f"{own}$" + "".join(f" + {self.place(each, known)} * {own}$s{axis}" for axis, each in enumerate(places))

    def axes_of(self, node: ast.AST, array: str) -> int:
        """How many axes an array has."""
        if array not in self.axes or array not in self.arguments:
            raise self.refusal(node, f"{array} is no array of this text")
        return self.axes[array]

    def place(self, node: ast.expr, known: Known) -> str:
        """An index or a size: Python counts a negative one from the end, so none may be negative."""
        if not self.is_place(node, known):
            why = "an index or a size is never negative: it is made of loop letters, sizes and whole numbers by + × //"
            raise self.refusal(node, why)
        return self.value(node, known)

    def is_place(self, node: ast.expr, known: Known) -> bool:
        """Whether this is a whole number that is never negative, as far as one can read."""
        match node:
            case ast.Constant(value):
                return type(value) is int and 0 <= value <= LARGEST
            case ast.Name(name):
                is_told = name in self.whole and name not in self.axes  # a whole number, and no array of them
                return is_told or name in known.letters | known.whole | self.whole_locals or self._is_setting(name)
            case ast.BinOp(one, ast.Add() | ast.Mult() | ast.FloorDiv(), other):
                return self.is_place(one, known) and self.is_place(other, known)
            case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(axis)):
                return type(axis) is int and 0 <= axis < self.axes.get(array, 0)
        return False

    def _is_setting(self, name: str) -> bool:
        """Whether a name is a setting of the window, all of which are whole and not negative, or such a number."""
        if name in self.locals or name in self.arguments:
            return self.laid.settings.get(name, ("",))[0] == "window"
        value = self.names.get(name)
        return type(value) is int and 0 <= value <= LARGEST

    def _name(self, node: ast.expr, name: str, known: Known) -> str:
        if name in self.axes:
            raise self.refusal(node, f"{name} is a whole array; name a cell of it")
        if name in known.letters or name in self.locals or name in self.arguments:
            return safe(name)
        value: Any = self.names.get(name)
        if is_number(value):
            return number(value)
        raise self.refusal(node, f"{name} is no number that is known here")

    def _call(self, node: ast.expr, name: str, given: list[ast.expr], known: Known, is_test: bool) -> str:
        own = name in self.locals or name in self.arguments
        function = None if own else self.names.get(name, abs if name == "abs" else None)
        written = next((theirs for each, theirs in ELEMENTARY if each is function), None)
        if written is None and not isinstance(function, FunctionType):
            raise self.refusal(
                node, f"it knows abs, {', '.join(loops.ELEMENTARY)} and functions of the module, and not {name}"
            )
        values = ", ".join(self.value(each, known) for each in given)
        if written is not None:
            if is_test or len(given) != 1:
                raise self.refusal(node, f"{name} takes one number, and gives one")
            return f"{written}({values})"
        assert isinstance(function, FunctionType)
        return f"{self._helper(node, function, len(given), is_test)}({values})"

    def _helper(self, node: ast.expr, function: FunctionType, count: int, is_test: bool) -> str:
        """A function that a text calls, written beside it: what it is called there."""
        tree = function_of(function)
        name = f"{safe(tree.name)}$test" if is_test else safe(tree.name)
        if name in self.helpers:
            if self.helpers[name][0] is not function:
                raise self.refusal(node, f"there are two functions called {tree.name}")
            return name
        parameters = [each.arg for each in tree.args.args]
        match [each for each in tree.body if not isinstance(each, ast.Expr)]:
            case [ast.Return(ast.expr() as value)] if len(parameters) == count:
                self.helpers[name] = function, ""
                inner = copy.copy(self)  # it knows its own arguments, and no name of the text
                inner.names, inner.axes, inner.arguments, inner.locals = (
                    Text(function).names,
                    {},
                    tuple(parameters),
                    frozenset(),
                )
                made = inner.test(value, Known()) if is_test else inner.value(value, Known())
                self.helpers[name] = function, f"  const {name} = ({', '.join(map(safe, parameters))}) => {made};"
                return name
        raise self.refusal(node, f"{tree.name} is to return one expression of {count} arguments, and to do no more")


def guarded(test: ast.expr) -> Iterator[str]:
    """The names that are not negative where a test holds: those of `0 <= row < rows`."""
    match test:
        case ast.BoolOp(ast.And(), parts):
            for each in parts:
                yield from guarded(each)
        case ast.Compare(ast.Constant(0), [ast.LtE(), *_], [ast.Name(name), *_]):
            yield name


def is_number(value: Any) -> bool:
    """Whether a value is a number that JavaScript holds to the last bit."""
    return type(value) is float or (type(value) is int and abs(value) <= LARGEST)


def number(value: float) -> str:
    """A number as JavaScript writes it."""
    if math.isnan(value):
        return "NaN"
    text = repr(value).replace("inf", "Infinity")
    return f"({text})" if text.startswith("-") else text


def safe(name: str) -> str:
    """A name of Python's that is none of JavaScript's words."""
    return f"{name}$" if name in RESERVED else name
