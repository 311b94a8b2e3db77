"""What a formula is made of: the tokens of its text, and the nodes they are read into.

A node is that of `explaining.expressions`, here of one of these kinds: `number` as it is typed; `cell` name index…, or
without an index a letter that runs; `sum` and `product` of several, in which `neg` is taken away and `below` divided
by; `**` base exponent; a function of one number or of several, `tanh'` being the derivative of `tanh`; `over` (Σ or
max) letter first last body, both ends included, and without these over all there is; `if` with pairs of a value and
the comparisons that all hold where it does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaingrad.errors import SettingError
from plaingrad.explaining.expressions import Node

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


def number(value: Any) -> Node:
    """A number as a node."""
    return Node("number", (str(value),))


def letter_of(tree: Node) -> str | None:
    """The letter that a node is; None for any other."""
    return tree.parts[0] if tree.kind == "cell" and len(tree.parts) == 1 else None


def put(made: Any, named: Mapping[str, Node]) -> Any:
    """A tree, or several, with what letters stand for in their place; a sum's own letter stays what it is."""
    match made:
        case tuple():
            return tuple([put(each, named) for each in made])
        case Node("cell", (name,)):
            return named.get(name, made)
        case Node("over", (sign, letter, first, last, body)):
            others = {name: each for name, each in named.items() if name != letter}
            return Node("over", (sign, letter, put(first, named), put(last, named), put(body, others)))
        case Node(kind, parts):
            return Node(kind, tuple([put(each, named) for each in parts]))
    return made
