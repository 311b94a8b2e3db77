"""A text read: each array it fills by adding up, as a sum of products of cells; indices are mixtures of letters."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from plaingrad.schedule.tree import function_of, names_in
from plaingrad.textbook.text import Text
from plaingrad.textbook.window import Window

Extent = tuple[str, int] | str
"""How far a letter runs: along an axis of an array, or as far as a setting says."""


class NotReadable(ValueError):  # noqa: N818 (an answer, not an error: the text is then compiled as it stands)
    """A text does what the schedule knows nothing of; it says which line, and what that does."""


@dataclass(frozen=True)
class Index:
    """A mixture of letters: `i * stride + u * dilation - padding` has a factor for each letter, and a rest."""

    factors: dict[str, str] = field(default_factory=dict)
    rest: tuple[tuple[str, str], ...] = ()  # signs and settings

    @property
    def letter(self) -> str | None:
        """The letter that this index simply is."""
        return next(iter(self.factors)) if [*self.factors.values()] == ["1"] and not self.rest else None


@dataclass(frozen=True)
class Cell:
    """A number of an array."""

    array: str
    index: tuple[Index, ...]

    @cached_property
    def letters(self) -> tuple[str | None, ...]:
        """The letters that its indices simply are."""
        return tuple(each.letter for each in self.index)


@dataclass(frozen=True)
class Sum:
    """`target` is `first` (0 where there is none) plus the product of `factors`, for all letters within their extents

    where each guarded index is at least 0 and below its limit.
    """

    target: Cell
    factors: tuple[Cell, ...]
    letters: dict[str, Extent]
    guards: tuple[tuple[Index, Extent], ...]
    first: Cell | None = None

    @property
    def cells(self) -> list[Cell]:
        """Every number it has to do with."""
        return [self.target, *self.factors, *([] if self.first is None else [self.first])]


@dataclass(frozen=True)
class Place:
    """Where reading has come to: the loops around, the names given, the guards."""

    letters: dict[str, Extent] = field(default_factory=dict)
    names: dict[str, Index] = field(default_factory=dict)
    guards: tuple[tuple[Index, Extent], ...] = ()


@dataclass(frozen=True)
class Store:
    """An assignment to a cell, with where it stands; `adds` where it adds to what is there."""

    place: Place
    target: Cell
    adds: bool
    value: ast.expr


@cache
def sums(text: Text) -> dict[str, Sum]:
    """Each array a text fills by adding up, with its sum; NotReadable where it does anything else."""
    first: dict[str, Cell | None] = {}
    begun: dict[str, Store] = {}
    found: dict[str, Sum] = {}
    reader = Reader(text)
    for each in reader.stores(function_of(text).body, Place()):
        name = each.target.array
        if not each.adds:
            if name in found:
                raise reader.refusal(each.value, f"{name} is set after it was added to")
            is_zero = isinstance(each.value, ast.Constant) and each.value.value == 0
            first[name], begun[name] = None if is_zero else reader.cell(each.value, each.place), each
        elif name in found or name not in first:
            raise reader.refusal(
                each.value, f"{name} is added to in two places" if name in found else f"{name} begins nowhere"
            )
        else:
            if not begins(begun[name], each):
                raise reader.refusal(each.value, f"{name} does not begin once at each of its places")
            factors = reader.factors(each.value, each.place)
            found[name] = Sum(each.target, factors, each.place.letters, each.place.guards)
    if first.keys() != found.keys() or not found:
        raise NotReadable(f"{text.__name__} fills an array by no sum of products")
    return {name: replace(each, first=first[name]) for name, each in found.items()}


def begins(store: Store, added: Store) -> bool:
    """Whether a store sets each number once that is then added to: as a whole, or by the letters of its place."""
    place, cell = store.place, store.target
    if place.guards:
        return False
    if not cell.index:  # the whole array
        return not place.letters
    around = [*added.place.letters.items()][: len(place.letters)]
    return cell == added.target and {*place.letters} == {*cell.letters} and around == [*place.letters.items()]


class Reader:
    """Reads a text; what it cannot read it refuses, with the line."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def refusal(self, node: ast.AST, why: str = "which is no sum of products") -> NotReadable:
        """The exception for a line."""
        line = getattr(node, "lineno", 0)
        source = self.text.source.splitlines()
        told = source[line - 1].strip() if 0 < line <= len(source) else ast.unparse(node)
        return NotReadable(f"line {line} of {self.text.__name__} does `{told}`, {why}")

    def stores(
        self, body: list[ast.stmt], place: Place, then: Callable[..., Iterator[Store]] | None = None
    ) -> Iterator[Store]:
        """Every assignment to a cell in order. `then` goes on where a generator yields."""
        for each in body:
            match each:
                case ast.For(target, ast.Call(ast.Name("window"), given), inner):
                    yield from self._window(names_in(target), given, inner, place, then)
                case ast.For(target, ast.Call(ast.Name("places"), [of]), inner):
                    array, skipped = self._array_of(of)
                    extents: dict[str, Extent] = {
                        name: (array, skipped + axis) for axis, name in enumerate(names_in(target))
                    }
                    yield from self.stores(inner, replace(place, letters=place.letters | extents), then)
                case ast.For(ast.Name(name), ast.Call(ast.Name("range"), [size]), inner):
                    yield from self.stores(
                        inner, replace(place, letters=place.letters | {name: self.extent(size)}), then
                    )
                case ast.If(test, inner, []):
                    yield from self.stores(inner, replace(place, guards=place.guards + self.guards(test, place)), then)
                case ast.Assign([ast.Name(name)], value):
                    place = replace(place, names=place.names | {name: self.index(value, place)})
                case ast.Assign([ast.Subscript() as target], value):
                    yield Store(place, self.cell(target, place), False, value)
                case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                    for one, value in zip(targets, values, strict=True):
                        yield Store(place, self.cell(one, place), False, value)
                case ast.AugAssign(target, ast.Add(), value):
                    yield Store(place, self.cell(target, place), True, value)
                case ast.Expr(ast.Yield(ast.Tuple(values))) if then:
                    yield from then(place, values)
                case ast.Expr(ast.Constant()):
                    pass  # what it says of itself
                case _:
                    raise self.refusal(each)

    def _window(
        self, names: list[str], given: list[ast.expr], inner: list[ast.stmt], place: Place, then: Any
    ) -> Iterator[Store]:
        walk = function_of(Window.__call__)
        own = {arg.arg: self.index(value, place) for arg, value in zip(walk.args.args[1:], given, strict=True)}

        def laid(at: Place, values: list[ast.expr]) -> Iterator[Store]:
            made = {name: self.index(value, at) for name, value in zip(names, values, strict=True)}
            yield from self.stores(inner, replace(at, names=at.names | made), then)

        yield from self.stores(walk.body, replace(place, names=place.names | own), laid)

    def _array_of(self, of: ast.expr) -> tuple[str, int]:
        """An array, and how many axes are taken off it: `w[k]` is w without one."""
        match of:
            case ast.Name(name):
                return name, 0
            case ast.Subscript(ast.Name(name), part):
                return name, len(names_in(part))
        raise self.refusal(of)

    def extent(self, size: ast.expr) -> Extent:
        """How far a letter runs."""
        match size:
            case ast.Subscript(ast.Attribute(ast.Name(array), "shape"), ast.Constant(int(axis))):
                return array, axis
            case ast.Subscript(ast.Attribute(ast.Name("self"), name), ast.Constant(int(axis))):
                return f"{name}_{axis}"
        raise self.refusal(size)

    def guards(self, test: ast.expr, place: Place) -> tuple[tuple[Index, Extent], ...]:
        """Indices that must be at least 0 and below a limit."""
        match test:
            case ast.BoolOp(ast.And(), both):
                return tuple(guard for each in both for guard in self.guards(each, place))
            case ast.Compare(ast.Constant(0), [ast.LtE(), ast.Lt()], [value, size]):
                return ((self.index(value, place), self.extent(size)),)
        raise self.refusal(test, "a condition that rests on more than places")

    def index(self, value: ast.expr, place: Place) -> Index:
        """An index as a mixture of letters."""
        match value:
            case ast.Name(name) if name in place.names:
                return place.names[name]
            case ast.Name(name) if name in place.letters:
                return Index({name: "1"})
            case ast.Subscript(ast.Attribute(ast.Name("self"), name), ast.Constant(int(axis))):
                return Index(rest=(("+", f"{name}_{axis}"),))
            case ast.BinOp(one, ast.Add(), other):
                left, right = self.index(one, place), self.index(other, place)
                if not left.factors.keys() & right.factors.keys():
                    return Index(left.factors | right.factors, left.rest + right.rest)
            case ast.BinOp(one, ast.Sub(), other):
                left, right = self.index(one, place), self.index(other, place)
                if not right.factors and len(right.rest) == 1 and right.rest[0][0] == "+":
                    return Index(left.factors, (*left.rest, ("-", right.rest[0][1])))
            case ast.BinOp(one, ast.Mult(), other):
                left, right = self.index(one, place), self.index(other, place)
                if left.letter and not right.factors and len(right.rest) == 1:
                    return Index({left.letter: right.rest[0][1]})
        raise self.refusal(value, "an index that is no mixture of letters")

    def cell(self, value: ast.expr, place: Place) -> Cell:
        """A cell of an array; of a whole array, one without a place."""
        match value:
            case ast.Subscript(ast.Name(array), ast.Slice()):
                return Cell(array, ())
            case ast.Subscript(ast.Name(array), ast.Tuple(parts)):
                return Cell(array, tuple(self.index(each, place) for each in parts))
            case ast.Subscript(ast.Name(array), part):
                return Cell(array, (self.index(part, place),))
        raise self.refusal(value)

    def factors(self, value: ast.expr, place: Place) -> tuple[Cell, ...]:
        """The cells of a product."""
        match value:
            case ast.BinOp(one, ast.Mult(), other):
                return self.factors(one, place) + self.factors(other, place)
        return (self.cell(value, place),)
