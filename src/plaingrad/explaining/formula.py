"""A formula found in what was recorded: nothing of it is written down beside the loops.

The terms of one number name cells; those of its neighbours name others. Where every index is a whole-number mixture of
the number's own index and of a few letters that run through the terms, that mixture is the formula's index, and those
letters are what its Σ runs over.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plaingrad.explaining.fitting import choose, fitted, floored, mixed, orders
from plaingrad.explaining.notation import Tree, applied, bracketed, joined, number_text
from plaingrad.explaining.terms import summands, visible
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet, Twin
from plaingrad.explaining.words import AXES, SPARE, axes
from plaingrad.loops import Array
from plaingrad.trace import CELL, NAMED, NUMBER, Traced

MOST_TERMS = 400  # of one sum: enough to see how its cells follow each other
ROW_TO_WINDOW = {"i": "u", "j": "v"}


@dataclass(frozen=True)
class Row:
    """A traced number at one place: the values of the letters there, and its expression."""

    letters: tuple[int, ...]
    node: Traced


@dataclass
class Formula:
    """A formula as it is found: the letters it uses, and what each stands for."""

    tracer: Tracer
    meanings: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def letter(self, wanted: str, meaning: str) -> str:
        """A letter not yet in use."""
        spare = (f"{each}{turn or ''}" for turn in itertools.count() for each in SPARE)
        free = next(each for each in itertools.chain([wanted], spare) if each not in self.meanings)
        self.meanings[free] = meaning
        return free

    def build(self, rows: list[Row], letters: list[str]) -> Tree:
        """The expression that all rows share, its indices written in the letters."""
        rows = [Row(row.letters, visible(row.node)) for row in rows]
        nodes = [row.node for row in rows]
        ops = {node.op for node in nodes}
        if ops & {"+", "-"} or len(ops) > 1:
            return self.sum(rows, letters)
        op = nodes[0].op
        if op is CELL:
            return self.cell(rows, letters)
        if op is NUMBER:
            values = {node.value for node in nodes}
            return ["mn", number_text(values.pop())] if len(values) == 1 else self.varying()
        if op is NAMED:
            return nodes[0].left
        left = self.build([Row(row.letters, row.node.left) for row in rows], letters)
        if nodes[0].right is None:
            return applied(op, bracketed(left, op == "neg" and is_sum(visible(nodes[0].left))))
        right = self.build([Row(row.letters, row.node.right) for row in rows], letters)
        return joined(op, left, right, visible(nodes[0].left).op, visible(nodes[0].right).op)

    def varying(self) -> Tree:
        """A plain number that is not the same everywhere, as the count of pixels under a window at the edge is not."""
        self.meanings.setdefault("N", "a number that depends on the place: how many real pixels the window holds there")
        return "N"

    def cell(self, rows: list[Row], letters: list[str]) -> Tree:
        """A cell whose index follows from the letters; an axis that does not is given a letter of its own."""
        sheet = self.tracer.twin.sheet_of(rows[0].node.left)
        places = np.array([sheet.index(row.node.left) for row in rows]).reshape(len(rows), -1)
        known = np.array([row.letters for row in rows], float).reshape(len(rows), -1)
        index: list[Tree] = []
        free: list[str] = []
        for axis, name in enumerate(axes(self.tracer.twin, sheet)):
            own = np.array([(letter == "n") == (name == "n") for letter in letters])  # no place follows from the image
            mixture = fitted(np.where(own, known, 0), places[:, axis])
            if mixture is not None and not mixture[1:].any():  # seen at one place only: most likely the letter itself
                same = [place for place, each in enumerate(letters) if each == name and not np.ptp(known[:, place])]
                if same and known[0, same[0]] == mixture[0] and sheet.shape[axis] > 1:
                    mixture = np.eye(1 + known.shape[1])[1 + same[0]]
            if mixture is None and (part := floored(known, places[:, axis], letters, name)) is not None:
                index.append(part)
            elif mixture is None:
                free.append(self.letter(name, f"{AXES.get(name, 'place')} of {sheet.name}"))
                index.append(free[-1])
            else:
                index.append(mixed(mixture, letters))
        if free:
            cells = np.array([row.node.left for row in rows]) - sheet.start
            in_order = fitted(known, cells) is not None
            chosen = "which one, the comparisons decide" if any(row.node.why for row in rows) else "one that fits"
            where = "the same place, counted in reading order" if in_order else chosen
            self.notes += [(each, where) for each in free]
        return ["cell", sheet.name, *index]

    def sum(self, rows: list[Row], letters: list[str]) -> Tree:
        """A sum: terms that are alike, and as many as the letters say, go under one Σ."""
        kinds: dict[Any, list[tuple[Row, list[Traced]]]] = {}
        for row in rows:
            alike: dict[Any, list[Traced]] = {}
            for term, negative in sampled(row.node):
                alike.setdefault((negative, skeleton(term, self.tracer.twin)), []).append(term)
            for kind, terms in alike.items():
                kinds.setdefault(kind, []).append((row, terms))
        parts: list[Tree] = []
        empty = sum(not row.node.cells() for row in rows)
        for (negative, _), members in kinds.items():
            if all(len(terms) == 1 for _, terms in members) and len(members) in (len(rows), len(rows) - empty):
                if len(members) < len(rows):
                    self.notes.append(("0", "where no window reaches"))
                tree = self.build([Row(row.letters, terms[0]) for row, terms in members], letters)
                tree = bracketed(tree, negative and is_sum(members[0][1][0]))
            else:
                tree = self.under_sigma(members, letters, ["mo", "Σ"])
            parts += [["mo", "−" if negative else "+"]] if parts or negative else []
            parts.append(tree)
        return ["mrow", *parts] if len(parts) != 1 else parts[0] if parts else ["mn", "0"]

    def under_sigma(self, members: list[tuple[Row, list[Traced]]], letters: list[str], sign: Tree) -> Tree:
        """Terms that differ only in their cells, under one sign for each letter that runs."""
        flat = [(number, row, term) for number, (row, terms) in enumerate(members) for term in terms]
        owner = np.array([number for number, _, _ in flat])
        known = np.array([row.letters for _, row, _ in flat], float).reshape(len(flat), -1)
        columns = self.columns([term for _, _, term in flat])
        chosen = min(
            (choose(known, order, owner) for order in orders(columns)), key=lambda each: each[0], default=(0, [])
        )[1]
        signs: list[Tree] = []
        own = list(letters)
        for sheet, axis, values in chosen:
            name = axes(self.tracer.twin, sheet)[axis]
            lowest, highest = (
                np.array([pick(values[owner == n]) for n in range(len(members))]) for pick in (np.min, np.max)
            )
            starts = np.array([row.letters for row, _ in members], float).reshape(len(members), -1)
            begins = fitted(starts, lowest)
            along = (
                set() if begins is None else {letter for letter, each in zip(letters, begins[1:], strict=True) if each}
            )
            moves = bool(along) and along <= {"i", "j"} and len(set(highest - lowest)) == 1
            if moves:
                values, lowest, highest = values - lowest[owner], lowest * 0, highest - lowest
                name = ROW_TO_WINDOW.get(name, name)
            letter = self.letter(
                name, AXES.get(name, "place") if moves else f"{AXES.get(name, 'place')} of {sheet.name}"
            )
            known, own = np.column_stack([known, values]), [*own, letter]
            fixed = len(set(lowest)) == len(set(highest)) == 1
            first = ["mrow", letter, ["mo", "="], ["mn", str(int(lowest[0]))]]
            signs.append(
                ["munderover", sign, first, ["mn", str(int(highest[0]))]] if fixed else ["munder", sign, letter]
            )
            if not fixed:
                self.notes.append((letter, "wherever the window lies on the image"))
        body = self.build(
            [Row(tuple(map(int, places)), term) for places, (_, _, term) in zip(known, flat, strict=True)], own
        )
        return ["mrow", *signs, bracketed(body, is_sum(flat[0][2]))]

    def columns(self, terms: list[Traced]) -> list[list[tuple[Sheet, int, Array]]]:
        """For each cell that all terms have: its index along each axis, in every term."""
        slots: list[list[tuple[Sheet, int, Array]]] = []
        for cells in zip(*(outer_cells(term, self.tracer.twin) for term in terms), strict=False):
            sheet = self.tracer.twin.sheet_of(cells[0])
            places = np.array([sheet.index(cell) for cell in cells]).reshape(len(terms), -1)
            slots.append([(sheet, axis, places[:, axis]) for axis in range(places.shape[1])])
        return slots


def is_sum(node: Traced) -> bool:
    return node.op in ("+", "-")


def sampled(node: Traced) -> list[tuple[Traced, bool]]:
    """The terms of a sum; of very many the first, the last, and some between."""
    terms = summands(node)
    if len(terms) <= MOST_TERMS:
        return terms
    between = np.random.default_rng(0).choice(len(terms), MOST_TERMS, replace=False)
    return [terms[each] for each in sorted({*range(4), len(terms) - 1, *map(int, between)})]


def skeleton(node: Traced, twin: Twin) -> Any:
    """What an expression looks like when all cells of an array look the same, and all sums of like terms."""
    if node.op is CELL:
        return twin.sheet_of(node.left).name
    if node.op is NUMBER:
        return NUMBER
    if is_sum(node):
        return ("sum", *dict.fromkeys((negative, skeleton(term, twin)) for term, negative in sampled(node)))
    return (node.op, *(skeleton(each, twin) for each in (node.left, node.right) if type(each) is Traced))


def outer_cells(node: Traced, twin: Twin) -> list[int]:
    """The cells of an expression outside its sums of like terms."""
    if node.op is CELL:
        return [node.left]
    if is_sum(node):
        alike: dict[Any, list[Traced]] = {}
        for term, negative in sampled(node):
            alike.setdefault((negative, skeleton(term, twin)), []).append(term)
        return [cell for terms in alike.values() if len(terms) == 1 for cell in outer_cells(terms[0], twin)]
    return [cell for each in (node.left, node.right) if type(each) is Traced for cell in outer_cells(each, twin)]
