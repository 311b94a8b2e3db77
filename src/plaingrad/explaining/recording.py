"""How a page holds terms: what they look like, each look once, and the cells in them, packed."""

import base64
import zlib
from typing import Any

import numpy as np

from plaingrad.explaining.notation import as_text, spread, tree_of
from plaingrad.explaining.terms import summands
from plaingrad.trace import CELL, Traced

PRODUCT, COPY = 0, 1  # the two looks that nearly all terms have


class Patterns:
    """What terms look like, each look once."""

    def __init__(self) -> None:
        two = ["mrow", ["slot", 0], ["mo", "×"], ["slot", 1]]
        self.list: list[dict[str, Any]] = [
            {"text": "{0} × {1}", "math": two, "kind": "product", "arity": 2},
            {"text": "{0}", "math": ["slot", 0], "kind": "copy", "arity": 1},
        ]
        self.known: dict[str, int] = {}

    def number(self, text: str, made: dict[str, Any]) -> int:
        """The number of a pattern, which is new the first time."""
        if text not in self.known:
            self.known[text] = len(self.list)
            self.list.append(made)
        return self.known[text]


class Record:
    """Entries of cells: how many each has, how each looks, the cells in it, and its value where that is needed."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.patterns: list[int] = []
        self.refs: list[int] = []
        self.products: list[float] = []

    def __bool__(self) -> bool:
        return any(self.counts)

    def to_json(self) -> dict[str, Any]:
        """The record as the page reads it; cells as the difference to the one two before."""
        refs = np.array(self.refs, np.int64)
        refs[2:] -= np.array(self.refs[:-2], np.int64)
        return {
            "counts": blob(self.counts, "<u4"),
            "patterns": blob(self.patterns, "<u2"),
            "refs": blob(refs, "<i4"),
            "products": blob(self.products, "<f8") if self.products else None,
        }


def blob(numbers: Any, kind: str) -> str:
    """Numbers for the page: raw deflate in base64."""
    pressed = zlib.compressobj(9, wbits=-15)
    return base64.b64encode(pressed.compress(np.asarray(numbers).astype(kind).tobytes()) + pressed.flush()).decode()


def add_terms(record: Record, node: Traced, patterns: Patterns) -> None:
    """The terms of one number, in the order in which they are added."""
    found = []
    while node.op == "+":
        found.append((node.right, False))
        node = node.left
    found = [*summands(node), *((each, sign) for each, sign in reversed(found))]
    count = 0
    for term, negative in found:
        left, right = term.left, term.right
        if term.op == "*" and left.op is CELL and right.op is CELL and not negative:
            record.patterns.append(PRODUCT)
            record.refs += (left.left, right.left)
        elif term.op is CELL and not negative:
            record.patterns.append(COPY)
            record.refs.append(left)
        elif term.op in ("cell", "+", "-", "*", "/", "neg", "exp", "log", "sqrt", "tanh") or term.value:
            add_other(record, term, negative, patterns)
        else:
            continue  # a plain zero
        count += 1
    record.counts.append(count)


def add_other(record: Record, term: Traced, negative: bool, patterns: Patterns) -> None:
    """A term that is neither a cell nor a product of two: its look is kept, and its value."""
    cells: list[int] = []

    def slot(cell: int) -> Any:
        cells.append(cell)
        return ["slot", len(cells) - 1]

    tree = tree_of(Traced(-term.value, "neg", term) if negative else term, slot)
    text = as_text(tree)
    made = {"text": text, "math": spread(tree), "kind": "other", "arity": len(cells)}
    record.patterns.append(patterns.number(text, made))
    record.refs += cells
    record.products.append(-term.value if negative else term.value)
