"""What a formula is made of: indices, and nodes of cells, sums and products; how each is shown, and worked out."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from plaingrad.compiler.loops import ON_ARRAYS, Array
from plaingrad.explaining import notation
from plaingrad.explaining.indices import Index
from plaingrad.explaining.notation import SIGNS_SHOWN, Tree, bracketed
from plaingrad.network.exact import Sized

SUM, PRODUCT, ATOM = 1, 2, 3  # how tightly parts hold together: what is looser than asked for is put in brackets
LEVELS = {"+": SUM, "-": SUM, "neg": SUM, "*": PRODUCT, "/": PRODUCT, "over": PRODUCT, "if": 0}
SIDES = {"+": (SUM, SUM), "-": (SUM, PRODUCT), "*": (PRODUCT, PRODUCT), "/": (0, 0), "**": (ATOM, 0)}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
SLOPES: dict[str, Callable[[Any, Any], Any]] = {  # of x and its function
    "exp": lambda x, y: y, "abs": lambda x, y: 0.5, "log": lambda x, y: 1 / x, "tanh": lambda x, y: 1 - y * y,
    "normal_cdf": lambda x, y: ON_ARRAYS["normal_pdf"](x), "normal_pdf": lambda x, y: x * y,
    "sqrt": lambda x, y: np.where(y > 0, 0.5 / np.where(y > 0, y, 1), 0),
}  # fmt: skip


class UnreadError(Exception):
    """A text does what no short formula says."""


@dataclass(frozen=True)
class Node:
    """An expression that is no index: its kind, and what it is made of.

    `cell` array index…; `setting` name; `local` name expression whether-it-stays; + − * / ** with two sides; a function
    or `neg` with one; `max` and `min` with several; `if` conditions then else, without else nothing where they do not
    hold; a comparison; `over` (Σ, max or first) letter low high body.
    """

    kind: str
    parts: tuple[Any, ...]


Expression = Index | Node
ZERO, TWO = Index(), Index(rest=2)


def every(made: Any) -> Iterator[Expression]:
    """An expression and all inside it."""
    if isinstance(made, Index | Node):
        yield made
    for each in made.parts if isinstance(made, Node) else made if isinstance(made, tuple) else ():
        yield from every(each)


def changed(made: Any, known: Mapping[str, Index], other: Callable[[Node], Expression] = lambda each: each) -> Any:
    """An expression with indices in place of letters, and then with other expressions in place of some."""
    if isinstance(made, tuple):
        return tuple(changed(each, known, other) for each in made)
    if isinstance(made, Node):
        return other(Node(made.kind, changed(made.parts, known, other)))
    return made.put(known) if isinstance(made, Index) and known else made


def is_kind(made: Any, *kinds: str) -> TypeGuard[Node]:
    return isinstance(made, Node) and made.kind in kinds


def joined(sign: str, one: Expression, two: Expression) -> Any:
    """Two expressions joined: whole indices stay indices as long as they can."""
    if isinstance(one, Index) and isinstance(two, Index) and isinstance(one.rest, int) and isinstance(two.rest, int):
        if sign in ("+", "-"):
            return OPERATORS[sign](one, two)
        one, two = (two, one) if sign == "*" and not one.shares else (one, two)
        if not two.shares and (sign == "*" or (sign in ("//", "%") and two.rest > 0)):
            return OPERATORS[sign](one, two.rest)
    if sign not in SIDES:
        raise UnreadError(f"{sign} of other than whole numbers is not read")
    return simpler(sign, one, two)


def simpler(sign: str, one: Expression, two: Expression) -> Expression:
    """Two expressions joined as they stand: but nothing is added to 0, or times 1, and a square is one."""
    match sign, one, two:
        case ("+", Index((), 0), _) | ("*", Index((), 1), _):
            return two
        case ("+" | "-", _, Index((), 0)) | ("*" | "/", _, Index((), 1)):
            return one
        case ("-", Index((), 0), _):
            return two.parts[0] if is_kind(two, "neg") else Node("neg", (two,))
        case ("+", _, Node("neg", (of,))):
            return simpler("-", one, of)
        case ("*", Index((), 0), _) | ("*", _, Index((), 0)) | ("/", Index((), 0), _):
            return ZERO
        case ("*", _, _) if one == two:
            return Node("**", (one, TWO))
        case ("*", Node("*", (first, second)), _) if second == two:
            return Node("*", (first, Node("**", (two, TWO))))
        case ("/", Node("neg", (of,)), _):
            return Node("neg", (simpler("/", of, two),))
    return Node(sign, (one, two))


def shown(made: Expression, named: Mapping[str, str], least: int) -> Tree:
    """An expression in brackets where it holds less tightly together than asked for."""
    told = tree(made, named)
    if isinstance(made, Index):
        level = SUM if made.is_sum else ATOM if told[0] == "mn" or isinstance(told, str) else PRODUCT
    else:
        level = 0 if made.kind in SIGNS_SHOWN else LEVELS.get(made.kind, ATOM)
    return bracketed(told, level < least)


def tree(made: Expression, named: Mapping[str, str]) -> Tree:
    """An expression as it is shown, with the names of letters, settings and arrays."""
    if isinstance(made, Index):
        return made.tree(named)
    match made.kind, made.parts:
        case "cell", (array, *index):
            return ["cell", named.get(array, array), *(each.tree(named) for each in index)]
        case "setting" | "local", (name, *_):
            return named.get(name, name)
        case "over", (sign, letter, low, high, body):
            told = {"Σ": ["mo", "Σ"], "max": "max"}.get(sign, ["mtext", sign])
            begin = ["mrow", named.get(letter, letter), ["mo", "="], tree(low, named)]
            more = tree(body, named)[1:] if is_kind(body, "over") else [shown(body, named, PRODUCT)]
            return ["mrow", ["munderover", told, begin, tree(high, named)], *more]
        case "if", (conditions, then, other):
            told = parted(conditions, named, ["mtext", " and "])
            if other is None:
                return ["mrow", tree(then, named), ["mtext", " where "], *told]
            return ["mrow", shown(then, named, SUM), ["mtext", " if "], *told, ["mtext", ", else "], tree(other, named)]
        case "max" | "min", (one,):
            return tree(one, named)
        case "max" | "min" as name, several:
            return ["mrow", name, ["mo", "("], *parted(several, named, ["mo", ", "]), ["mo", ")"]]
        case sign, (left, right) if sign in SIGNS_SHOWN:
            return ["mrow", tree(left, named), ["mo", SIGNS_SHOWN[sign]], tree(right, named)]
        case sign, (left, right):
            first, second = SIDES[sign]
            first = ATOM if sign == "*" and is_kind(left, "over", "if") else first
            return notation.joined(sign, shown(left, named, first), shown(right, named, second))
    return notation.applied(made.kind, shown(made.parts[0], named, PRODUCT if made.kind == "neg" else 0))


def parted(several: tuple[Expression, ...], named: Mapping[str, str], between: Tree) -> list[Tree]:
    return [part for each in several for part in (between, tree(each, named))][1:]


def work(made: Expression, letters: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """What an expression gives for numbers, or arrays of numbers, in place of letters and settings, with its size."""
    if isinstance(made, Index):
        return lifted(np.asarray(made.value(letters), float))
    match made.kind, made.parts:
        case "setting", (name,):
            return lifted(letters[name])
        case "local", (_, of, _):
            return work(of, letters, arrays)
        case "cell", (array, *index):
            numbers, flat, beyond = arrays[array], np.zeros((), int), np.zeros((), bool)
            for each, length in zip(index, numbers.shape, strict=True):
                place = np.asarray(each.value(letters))
                flat, beyond = flat * length + place, beyond | (place < 0) | (place >= length)
            if beyond.any():  # no number: a formula that is right never asks for it
                return lifted(np.where(beyond, np.nan, numbers.reshape(-1)[np.where(beyond, 0, flat)]))
            return lifted(numbers.reshape(-1)[flat])
        case "over", _:
            return ranged(made, letters, arrays)
        case "if", (conditions, then, other):
            one, two = (lifted(np.nan) if each is None else work(each, letters, arrays) for each in (then, other))
            holds: Any = np.ones((), bool)
            for each in conditions:
                holds = holds & OPERATORS[each.kind](*(work(side, letters, arrays).value for side in each.parts))
            steps = max(one.steps, two.steps)
            return Sized(np.where(holds, one.value, two.value), np.where(holds, one.size, two.size), steps)
    one, *others = (work(each, letters, arrays) for each in made.parts)
    match made.kind, others:
        case (("max" | "min"), _):
            pick = np.maximum if made.kind == "max" else np.minimum
            for two in others:
                one = Sized(pick(one.value, two.value), np.maximum(one.size, two.size), max(one.steps, two.steps))
            return one
        case "**", [power]:  # a square, or a power of a setting, which is exact
            return Sized(one.value**power.value, one.size**power.value, one.steps * 2 + 4)
        case _, [two]:
            joint: Sized = OPERATORS[made.kind](one, two)
            return joint
        case ("neg", _):
            return -one
    value = np.abs(one.value) if made.kind == "abs" else ON_ARRAYS[made.kind](one.value)
    roundings = 12 if made.kind == "normal_cdf" else 4  # as `Sized` has them
    return Sized(
        value, np.abs(value) + 2 * np.abs(SLOPES[made.kind](one.value, value)) * one.size, one.steps + roundings
    )


def lifted(value: Any) -> Any:
    return Sized(value, np.abs(value))


def ranged(made: Node, letters: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """Σ, the max or the first of an expression, over a new first axis."""
    sign, letter, *bounds, body = made.parts
    low, high = (work(each, letters, arrays).value for each in bounds)
    axes = max([0, *map(np.ndim, letters.values())])
    run = np.arange(int(low.min()), int(high.max()) + 1).reshape(-1, *[1] * axes)
    one = work(body, {**letters, letter: run}, arrays)
    runs = (run >= low) & (run <= high)
    if sign == "first":
        value = np.where(runs, one.value, np.nan)
        return lifted(np.take_along_axis(value, np.argmax(value == value, axis=0)[None], 0)[0])
    value, size = np.where(runs, one.value, 0 if sign == "Σ" else -np.inf), np.where(runs, one.size, 0)
    if sign == "max":
        return Sized(value.max(axis=0, initial=-np.inf), size.max(axis=0, initial=0), one.steps)
    return Sized(value.sum(axis=0), size.sum(axis=0), one.steps + max(len(run), 1))
