"""Indices as mixtures of letters: which letters run, and which mixture of them an index is."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from plaingrad.explaining.notation import Tree, number_text
from plaingrad.explaining.twin import Sheet
from plaingrad.loops import Array

MOST_BELOW = 8  # the widest window looked for


def orders(slots: list[Any]) -> Iterator[list[Any]]:
    """The columns of all slots, each slot once in front."""
    for first in range(len(slots)):
        yield [column for slot in (*slots[first:], *slots[:first]) for column in slot]


def choose(
    known: Array, columns: list[tuple[Sheet, int, Array]], owner: Array
) -> tuple[int, list[tuple[Sheet, int, Array]]]:
    """Letters that run: each column that no mixture of the letters so far gives. With how badly the others then fit.

    A column that only begins elsewhere for each `owner`, the number that a term belongs to, does not run.
    """
    chosen, badness = [], 0
    for sheet, axis, values in columns:
        if (mixture := fitted(known, values, whole=False)) is None:
            if fitted(apart(known, owner), apart(values[:, None], owner)[:, 0], whole=False) is not None:
                badness += 1
                continue
            chosen.append((sheet, axis, values))
            known = np.column_stack([known, values])
        elif not np.allclose(mixture, np.round(mixture)):
            badness += 1
    return 10 * badness + len(chosen), chosen


def apart(columns: Array, owner: Array) -> Array:
    """Columns less what each begins with for its owner."""
    first = np.array([np.argmax(owner == number) for number in range(owner.max(initial=-1) + 1)], int)
    return np.asarray(columns - columns[first[owner]])


def fitted(known: Array, values: Array, whole: bool = True) -> Array | None:
    """The mixture of the letters, a constant first, that gives the values exactly; None where there is none."""
    varies = np.flatnonzero(np.ptp(known, axis=0) > 0) if known.size else np.array([], int)
    base = np.column_stack([np.ones(len(values)), known[:, varies]])
    weights, _, rank, _ = np.linalg.lstsq(base, np.asarray(values, float), rcond=None)
    shares = 1 if whole else 12  # of a whole number
    rounded = np.round(np.asarray(weights) * shares) / shares
    if rank < base.shape[1] or not np.array_equal(np.round(base @ rounded, 6), np.round(np.asarray(values, float), 6)):
        return None
    mixture = np.zeros(1 + known.shape[1])
    mixture[0], mixture[1 + varies] = rounded[0], rounded[1:]
    return mixture


def mixed(mixture: Array, letters: list[str]) -> Tree:
    """A mixture of letters as an index: 2i + u − 1."""
    parts: list[Tree] = []
    mixed_in = [*zip(mixture[1:], letters, strict=True), (mixture[0], "")]
    for factor, letter in sorted(mixed_in, key=lambda each: each[0] < 0):
        if not factor:
            continue
        if parts or factor < 0:
            parts.append(["mo", "+" if factor > 0 else "−"])
        size = number_text(int(abs(factor)))
        parts += [["mn", size]] if not letter or size != "1" else []
        parts += [letter] if letter else []
    return ["mrow", *parts] if len(parts) > 1 else parts[0] if parts else ["mn", "0"]


def floored(known: Array, values: Array, letters: list[str], name: str) -> Tree | None:
    """A letter divided by a whole number and rounded down, such as ⌊(i + 1) / 2⌋, where that gives the values."""
    first = sorted(zip(known.T, letters, strict=True), key=lambda each: each[1] != name)  # its own letter before others
    for column, letter in first if name != "n" else ():
        if letter == "n":
            continue
        for below in range(2, MOST_BELOW + 1):
            for more in range(below):
                if len(np.unique(column)) > below and np.array_equal((column + more) // below, values):
                    above = mixed(np.array([more, 1.0]), [letter])
                    return ["mrow", ["mo", "⌊"], ["mfrac", above, ["mn", str(below)]], ["mo", "⌋"]]
    return None
