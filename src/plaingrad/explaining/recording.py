"""How a page holds terms: what they look like, each look once, and the cells in them, packed."""

import base64
import zlib
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.explaining.notation import as_text, spread, tree_of
from plaingrad.explaining.terms import summands
from plaingrad.explaining.traced_numbers import CELL, Traced

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

    def bounds(self, values: Array, run: Array, away: Array, unit: float) -> Array:
        """For each cell how far its number in `run` may be from its value; nan where a term is no product of cells.

        As `Explanation.bound`: what the terms give for the run's own factors, and γ(n) · Σ|terms| beyond it, where n
        counts a rounding for each product and each addition. `unit` is half the distance of two numbers at 1. The
        factors may be `away` from those in `run`, as sums are that the run keeps nowhere.
        """
        counts, patterns = np.array(self.counts), np.array(self.patterns)
        known = np.logical_and.reduceat(np.append(patterns <= COPY, True), starts(counts))
        known[counts == 0] = False
        if self.products or not known.any():
            return np.full(len(counts), np.nan)  # some need more than products: their explanations say
        refs, two = np.array(self.refs), patterns == PRODUCT
        numbers, first = run[refs], starts(np.where(two, 2, 1))
        second = np.minimum(first + 1, len(numbers) - 1)
        with np.errstate(all="ignore"):  # a number that is not finite has no bound
            one, other = np.abs(numbers[first]), np.where(two, np.abs(numbers[second]), 1)
            more = away[refs[first]] * other + np.where(two, away[refs[second]] * (one + away[refs[first]]), 0)
            more = np.add.reduceat(np.append(more, 0), starts(counts))
            return np.where(known, self._sized(numbers, first, two, counts, values, unit) + more, np.nan)

    @staticmethod
    def _sized(numbers: Array, first: Array, two: Array, counts: Array, values: Array, unit: float) -> Array:
        terms = numbers[first] * np.where(two, numbers[np.minimum(first + 1, len(numbers) - 1)], 1)
        sums, sizes = (np.add.reduceat(np.append(each, 0), starts(counts)) for each in (terms, np.abs(terms)))
        steps = (2 * counts + 1) * unit
        bounds = steps / (1 - steps) * sizes + np.abs(sums - values) + counts * np.finfo(float).eps * sizes
        return np.asarray(bounds * (1 + 1e-6))  # as a float32 it is not smaller

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


def starts(counts: Array) -> Array:
    """Where each of some parts begins, laid end to end."""
    return np.append(0, np.cumsum(counts)[:-1])


def blob(numbers: Any, kind: str) -> str:
    """Numbers for the page: raw deflate in base64."""
    pressed = zlib.compressobj(9, wbits=-15)
    return base64.b64encode(pressed.compress(np.asarray(numbers).astype(kind).tobytes()) + pressed.flush()).decode()


def add_terms(record: Record, node: Traced, patterns: Patterns) -> None:
    """The terms of one number, in the order in which they are added."""
    found = summands(node)
    for term, negative in found:
        left, right = term.left, term.right
        if term.op == "*" and left.op is CELL and right.op is CELL and not negative:
            record.patterns.append(PRODUCT)
            record.refs += (left.left, right.left)
        elif term.op is CELL and not negative:
            record.patterns.append(COPY)
            record.refs.append(left)
        else:
            add_other(record, term, negative, patterns)
    record.counts.append(len(found))


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
