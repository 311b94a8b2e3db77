"""What a formula is made of: the tokens of its text, and the small tree they are read into."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from plaingrad.errors import SettingError

ALIKE = str.maketrans(
    dict.fromkeys("−–—‐‑﹣－", "-") | dict.fromkeys("×·⋅∙∗✕", "*") | dict.fromkeys("÷∕⁄", "/")
    | dict.fromkeys("′’ʹ´", "'") | {"∂": "d", "∑": "Σ", "…": "..", "≤": "<=", "≥": ">=", "≠": "!="}
)  # fmt: skip
TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_σ][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)?)"
    r"|(?P<raised>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<sign>\.\.|\*\*|//|<=|>=|==|!=|[-+*/^()\[\],;=<>'√⌊⌋⌈⌉Σ])"
)


@dataclass(frozen=True, eq=False)
class Number:
    """A number as it is typed."""

    text: str


@dataclass(frozen=True, eq=False)
class Name:
    """A cell of an array, or a letter that runs: a letter has no index."""

    name: str
    index: "tuple[Tree, ...]" = ()


@dataclass(frozen=True, eq=False)
class Sum:
    """Terms, each with whether it is taken away."""

    terms: "tuple[tuple[bool, Tree], ...]"


@dataclass(frozen=True, eq=False)
class Product:
    """Factors, each with whether it is divided by."""

    factors: "tuple[tuple[bool, Tree], ...]"


@dataclass(frozen=True, eq=False)
class Power:
    """A base and its exponent."""

    base: "Tree"
    exponent: "Tree"


@dataclass(frozen=True, eq=False)
class Apply:
    """A function of one number, or of several; `tanh'` is the derivative of `tanh`."""

    function: str
    given: "tuple[Tree, ...]"


@dataclass(frozen=True, eq=False)
class Over:
    """A Σ or max over a letter from `first` to `last`, both included; without these over all there is."""

    sign: str
    letter: str
    first: "Tree | None"
    last: "Tree | None"
    body: "Tree"


@dataclass(frozen=True, eq=False)
class Ways:
    """Values, each with the comparison (left, sign, right) under which it holds."""

    ways: "tuple[tuple[Tree, Tree, str, Tree], ...]"


Tree = Number | Name | Sum | Product | Power | Apply | Over | Ways


@dataclass(frozen=True)
class Token:
    """A piece of the text: its kind, how it is spelled, and where it begins."""

    kind: str
    text: str
    start: int


def tokens(text: str) -> list[Token]:
    """The pieces of a text; signs that look alike are one."""
    text = text.translate(ALIKE).replace("...", "..")
    found, place = [], 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        piece = TOKEN.match(text, place)
        if piece is None:
            raise SettingError(
                f"cannot read {text[place]!a} (U+{ord(text[place]):04X}) at character {place + 1} of the claim; "
                "it takes names, numbers, brackets, + - * / ^ and sum(…)"
            )
        kind = piece.lastgroup or ""
        found.append(Token(kind, "^" if piece[0] == "**" else piece[0], place))
        place = piece.end()
    return [*found, Token("end", "", place)]


def put(tree: Any, named: "dict[str, Tree]") -> Any:
    """A tree, or several, with what names stand for in their place."""
    if isinstance(tree, tuple):
        return tuple(put(each, named) for each in tree)
    if not isinstance(tree, Tree):
        return tree
    if isinstance(tree, Name) and not tree.index:
        return named.get(tree.name, tree)
    return replace(tree, **{each.name: put(getattr(tree, each.name), named) for each in fields(tree)})


def is_letter(tree: Tree, letter: str) -> bool:
    return isinstance(tree, Name) and tree.name == letter and not tree.index


def parts_of(tree: Tree) -> list[Tree]:
    """What a tree is made of, indices and bounds left out."""
    match tree:
        case Sum(pairs) | Product(pairs):
            return [each for _, each in pairs]
        case Power():
            return [tree.base, tree.exponent]
        case Apply():
            return [*tree.given]
        case Over():
            return [tree.body]
        case Ways():
            return [each for value, left, _, right in tree.ways for each in (value, left, right)]
    return []


def nodes_of(tree: Tree) -> Iterator[Tree]:
    """Every node of a formula."""
    stack = [tree]
    while stack:
        yield stack[-1]
        stack += reversed(parts_of(stack.pop()))


def cells_of(tree: Tree) -> list[Name]:
    """Every name of a formula that has an index."""
    return [each for each in nodes_of(tree) if isinstance(each, Name) and each.index]
