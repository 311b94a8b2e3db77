"""Texts written out as JavaScript: the same statements in the same order, so that a page computes what Python does.

What cannot be said exactly is refused, with the line that says it: `while`, `**`, an index that may be negative, a
whole array as a value, a number as a test, a function that is not known. `javascript_values.py` writes the expressions.
"""

import ast
import copy
import functools
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from plaingrad.explaining.javascript_values import OPERATORS, Known, Values, safe
from plaingrad.schedule.open import Opened, opened
from plaingrad.textbook.text import Text


@dataclass(frozen=True)
class Script:
    """A text, for arrays of so many axes, as a JavaScript function of `$`, all numbers, and its `arguments`.

    `told` does the same, and before each change of a cell for which `$see.wants(cell)` calls
    `$see.tell(line, sign, [[term, [cells], look], …], [compared cells], {letters})`: the line of the text, "=" or "+=",
    the value of each term with the cells in it, the cells compared to get there, and what each letter stands for. The
    look, as "exp({0} − largest)", is left out of a cell alone and of the product of two.
    """

    text: Text
    axes: tuple[tuple[str, int], ...]
    arguments: tuple[str, ...]
    plain: str
    told: str


def script(text: Text, axes: tuple[tuple[str, int], ...], whole: frozenset[str] = frozenset()) -> Script:
    """A text for arrays of so many `axes`; SettingError for what it cannot say.

    Those that are `whole` hold whole numbers, or are settings that are such and not negative.
    """
    return _script(text, axes, whole, text.meaning)


@functools.cache
def _script(text: Text, axes: tuple[tuple[str, int], ...], whole: frozenset[str], _: tuple[Any, ...]) -> Script:
    laid = opened(text, axes)
    plain, told = (Writer(laid, whole, tells).function() for tells in (False, True))
    return Script(text, axes, tuple(laid.arguments), plain, told)


class Writer(Values):
    """Writes a text that was laid open: loops over ranges, tests, and assignments to cells and names."""

    def __init__(self, laid: Opened, whole: Collection[str], tells: bool) -> None:
        super().__init__(laid, whole)
        self.tells = tells
        tree = ast.parse(laid.source).body[0]
        assert isinstance(tree, ast.FunctionDef)
        self.tree = tree
        loops = [each for each in ast.walk(tree) if isinstance(each, ast.For)]
        given = {id(name): name.id for loop in loops for name in ast.walk(loop.target) if isinstance(name, ast.Name)}
        every = [each for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
        stored = [each for each in every if id(each) not in given]
        for each in stored:
            if each.id in self.arguments or each.id in given.values():
                raise self.refusal(each, f"{each.id} is given, or a loop's, and gets another value here")
        self.locals = frozenset(each.id for each in stored)
        self.whole_locals = frozenset(name for name in self.locals if self._is_never_negative(name, {*given.values()}))

    def _is_never_negative(self, name: str, letters: set[str]) -> bool:
        """Whether a local name is given nothing but whole numbers that are not negative."""
        known, values = Known(frozenset(letters)), []
        for node in ast.walk(self.tree):
            match node:
                case ast.Assign([ast.Name(own)], value) if own == name:
                    values.append(value)
                case ast.AugAssign(ast.Name(own)) if own == name:
                    return False
        return all(self.is_place(value, known) for value in values)

    def function(self) -> str:
        """The function, with what it calls of its module inside."""
        body = self._all(self.tree.body, Known(), "  ")
        given = ["$", *map(safe, self.arguments), *(["$see"] if self.tells else [])]
        head = [f"function {safe(self.tree.name)}({', '.join(given)}) {{", *(made for _, made in self.helpers.values())]
        head += [self._head(safe(array), axes) for array, axes in self.axes.items() if array in self.arguments]
        head += [f"  let {', '.join(map(safe, sorted(self.locals)))};"] if self.locals else []
        return "\n".join([*head, *body, "}"])

    @staticmethod
    def _head(array: str, axes: int) -> str:
        """Where an array lies, once for all its cells."""
        each = [f"{array}$ = {array}.start"]
        for axis in range(axes):
            each += [f"{array}$s{axis} = {array}.strides[{axis}]", f"{array}$n{axis} = {array}.shape[{axis}]"]
        return f"  const {', '.join(each)};"

    def _all(self, body: list[ast.stmt], known: Known, pad: str = "  ") -> list[str]:
        return [pad + line for each in body for line in self._statement(each, known)]

    def _statement(self, node: ast.stmt, known: Known) -> Iterator[str]:
        match node:
            case ast.Pass():
                return
            case ast.For(ast.Name(letter), ast.Call(ast.Name("range"), [*first, size], []), body, []) if len(first) < 2:
                begin = self.place(first[0], known) if first else "0"
                yield from self._loop(node, letter, (begin, self.place(size, known)), body, known)
            case ast.If(test, body, other):
                yield f"if ({self.test(test, known)}) {{"
                yield from self._all(body, known.under(test, body))
                if other:
                    yield "} else {"
                    yield from self._all(other, known.under(test, None))
                yield "}"
            case ast.Assign([ast.Subscript(ast.Name(array), ast.Slice(None, None, None)) as target], value):
                yield from self._fill(node, array, self.axes_of(target, array), value, known)
            case ast.Assign([ast.Subscript() as target], value):
                yield from self._store(node, target, "=", value, known)
            case ast.AugAssign(ast.Subscript() as target, sign, value) if type(sign) in OPERATORS:
                yield from self._store(node, target, f"{OPERATORS[type(sign)]}=", value, known)
            case ast.Assign([ast.Name(name)], value):
                yield f"{safe(name)} = {self.value(value, known)};"
            case ast.AugAssign(ast.Name(name), sign, value) if type(sign) in OPERATORS:
                yield f"{safe(name)} {OPERATORS[type(sign)]}= {self.value(value, known)};"
            case _:
                raise self.refusal(node, "it takes loops over places, windows and ranges, if, and assignments")

    def _loop(
        self, node: ast.stmt, letter: str, bounds: tuple[str, str], body: list[ast.stmt], known: Known
    ) -> Iterator[str]:
        if letter in known.letters:
            raise self.refusal(node, f"{letter} is the letter of a loop around it")
        own = safe(letter)
        yield f"for (let {own} = {bounds[0]}, {own}$end = {bounds[1]}; {own} < {own}$end; {own}++) {{"
        yield from self._all(body, replace(known, letters=known.letters | {letter}))
        yield "}"

    def _fill(self, node: ast.stmt, array: str, axes: int, value: ast.expr, known: Known) -> Iterator[str]:
        """All of an array is one number: cell by cell, as any assignment."""
        letters = [f"axis_{axis}" for axis in range(axes)]
        cell = ast.Subscript(ast.Name(array), ast.Tuple([ast.Name(each) for each in letters]))
        inner: ast.stmt = ast.Assign([cell], value, lineno=node.lineno)
        for axis, letter in reversed([*enumerate(letters)]):
            size = ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(axis))
            walk = ast.Call(ast.Name("range"), [size], [])
            inner = ast.For(ast.Name(letter), walk, [inner], [], lineno=node.lineno)
        yield from self._statement(inner, known)

    def _store(self, node: ast.stmt, target: ast.Subscript, sign: str, value: ast.expr, known: Known) -> Iterator[str]:
        cell, made = self.cell(target, known), self.value(value, known)
        array = ast.unparse(target.value)
        if array in self.whole and not (sign == "=" and self._is_whole(value, known)):
            raise self.refusal(node, f"{array} holds whole numbers, and this may be none")
        if self.tells:  # before the change, for a line may read the cell that it fills
            yield f"if ($see.wants({cell})) {{"
            yield from ("  " + line for line in self._telling(node, sign, value, known))
            yield "}"
        yield f"$[{cell}] {sign} {made};"

    def _is_whole(self, node: ast.expr, known: Known) -> bool:
        if isinstance(node, ast.IfExp):
            return self._is_whole(node.body, known) and self._is_whole(node.orelse, known)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node = node.operand
        is_constant = isinstance(node, ast.Name) and type(self.names.get(node.id)) is int
        return self.is_place(node, known) or (is_constant and ast.unparse(node) not in self.locals)

    def _telling(self, node: ast.stmt, sign: str, value: ast.expr, known: Known) -> Iterator[str]:
        """The call that tells of a change; where a test chooses between two values, of the one that is taken."""
        if isinstance(value, ast.IfExp):
            yield f"if ({self.test(value.test, known)}) {{"
            yield from ("  " + line for line in self._telling(node, sign, value.body, known.under(value.test, None)))
            yield "} else {"
            yield from ("  " + line for line in self._telling(node, sign, value.orelse, known.under(value.test, None)))
            yield "}"
            return
        parts = summands(value) if sign == "=" else [(value, False)]
        terms = [
            f"[{'-' * is_negative}{self.value(term, known)}, [{self._cells(term, known)}]{look(term, is_negative)}]"
            for term, is_negative in parts
            if not is_zero(term)
        ]
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - self.axes.keys()
        letters = [f"{each}: {safe(each)}" for each in sorted(used & {*known.letters, *self.locals, *self.arguments})]
        sizes = {ast.unparse(each): each for each in ast.walk(value) if isinstance(each, ast.Subscript)}
        sizes = {said: each for said, each in sizes.items() if isinstance(each.value, ast.Attribute)}
        letters += [f'"{said}": {self.value(each, known)}' for said, each in sizes.items()]
        because = ", ".join(dict.fromkeys(cells for test in known.because if (cells := self._cells(test, known))))
        line = self.laid.origins[node.lineno - 2]
        yield f'$see.tell({line}, "{sign}", [{", ".join(terms)}], [{because}], {{{", ".join(letters)}}});'

    def _cells(self, node: ast.expr, known: Known) -> str:
        """The cells in an expression, in the order in which it is written."""
        return ", ".join(self.cell(each, known) for each in cells_in(node))


def cells_in(node: ast.expr) -> list[ast.Subscript]:
    """The cells in an expression, in the order in which it is written."""
    found = [each for each in ast.walk(node) if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name)]
    return sorted(found, key=lambda each: each.col_offset)


class Numbered(ast.NodeTransformer):
    """Puts names in place of cells."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return ast.Name(self.names[id(node)]) if id(node) in self.names else node


def look(term: ast.expr, is_negative: bool) -> str:
    """What a term looks like, its cells numbered from 0, as one more argument; nothing where that is plain."""
    match term:
        case ast.Subscript() | ast.BinOp(ast.Subscript(), ast.Mult(), ast.Subscript()) if not is_negative:
            return ""
    own = copy.deepcopy(term)
    places = {id(each): f"{{{place}}}" for place, each in enumerate(cells_in(own))}
    text = ast.unparse(Numbered(places).visit(own)).replace("*", "×").replace("-", "−")
    is_sum = isinstance(term, ast.BinOp) and isinstance(term.op, ast.Add | ast.Sub)
    text = f"({text})" if is_negative and is_sum else text
    return f", {json.dumps('−' * is_negative + text, ensure_ascii=False)}"


def summands(node: ast.expr) -> list[tuple[ast.expr, bool]]:
    """The terms of a sum in the order in which they are added, each with whether it is taken away."""
    match node:
        case ast.BinOp(one, ast.Add() | ast.Sub() as sign, other):
            return [*summands(one), (other, isinstance(sign, ast.Sub))]
    return [(node, False)]


def is_zero(node: ast.expr) -> bool:
    """Whether a term is a plain zero, which is none."""
    return isinstance(node, ast.Constant) and node.value == 0
