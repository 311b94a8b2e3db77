"""The general formula of an array: of sums, of cases that a comparison tells apart, of a largest, of winners."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from plaingrad.explaining.formula import Formula, Row, is_sum, sampled
from plaingrad.explaining.notation import SIGNS_SHOWN, Tree, number_text
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet
from plaingrad.explaining.words import AXES, axes
from plaingrad.trace import CELL, NAMED, NUMBER, Traced

FEW = 4  # places along an axis that show a stride up to 3
SOME, MANY = 300, 2_000  # cells of one number, each of which takes its time


def shown(letter: str, length: int) -> Tree:
    """A letter, or 0 along an axis that has one place."""
    return letter if length > 1 else ["mn", "0"]


def described(tracer: Tracer, sheet: Sheet) -> tuple[Tree, dict[str, str]]:
    """The general formula of an array, and what its letters stand for."""
    if sheet.name not in tracer.formulas:
        tracer.formulas[sheet.name] = _described(tracer, sheet)
    return tracer.formulas[sheet.name]


def _described(tracer: Tracer, sheet: Sheet) -> tuple[Tree, dict[str, str]]:
    rows = list(samples(tracer, sheet))
    formula = Formula(tracer)
    letters = [formula.letter(name, AXES.get(name, "place")) for name in axes(tracer.twin, sheet)]
    names = [shown(letter, length) for letter, length in zip(letters, sheet.shape, strict=True)]
    searched = [row for row in rows if is_search(tracer, row.node)]
    if searched:
        body = largest(formula, searched, letters)
        if any(row.node.op is NUMBER for row in searched):
            body = ["mrow", ["mtext", "where the window has "], body]
    elif winners := [row for row in rows if any(each.sign == "==" for each in row.node.why)]:
        body = paid(formula, winners, letters)
    else:
        chosen = all(row.node.op is NUMBER and row.node.reasons for row in rows)
        body = ["mtext", "as the comparisons fall out"] if chosen else cases(formula, rows, letters)
    for letter, length in zip(letters, sheet.shape, strict=True):
        if length == 1:
            formula.meanings.pop(letter)
    notes: dict[str, list[str]] = {}
    for which, note in formula.notes:
        notes.setdefault(note, []).append(which)
    ends = [["mtext", f"; {', '.join(dict.fromkeys(which))}: {note}"] for note, which in notes.items()]
    return ["mrow", ["cell", sheet.name, *names], ["mo", "="], body, *ends], formula.meanings


def samples(tracer: Tracer, sheet: Sheet) -> Iterator[Row]:
    """Numbers from the middle of an array on, so many along each axis as show a stride; one apart from them.

    Where a comparison with a number decides, also some that are 0 and some that are not.
    """
    base = tuple(length // 2 for length in sheet.shape)
    first = row_at(tracer, sheet, base)
    size, strides = len(first.node.cells()), len(sheet.shape) > 2  # which only rows and columns can have
    few = FEW if size <= MANY else 2
    near = []
    for axis, (at, length) in enumerate(zip(base, sheet.shape, strict=True)):
        if strides and axis >= len(base) - 2:
            near.append(around(at, length, few))
        else:
            near.append([*around(at, length, FEW), 0, length - 1] if size <= SOME else around(at, length, 2))
    places = [base]
    for axis, line in enumerate(near):
        places += [(*base[:axis], at, *base[axis + 1 :]) for at in line]
    asks = any(each.right.op is NUMBER and each.sign != "==" for each in first.node.why)
    if sheet.is_made and (asks or not first.node.cells()):
        values, draw = sheet.values(), np.random.default_rng(0)
        for cells in (np.flatnonzero(values == 0), np.flatnonzero(values)):
            places += [
                sheet.index(sheet.start + int(each)) for each in draw.choice(cells, min(few + 1, len(cells)), False)
            ]
    rows = [row_at(tracer, sheet, place) for place in dict.fromkeys(places)]
    yield from rows
    draw = np.random.default_rng(1)  # what only seems to follow from the place is found out elsewhere
    others = {tuple(int(draw.integers(length)) for length in sheet.shape) for _ in range(32 if size <= SOME else 1)}
    alike = (row_at(tracer, sheet, place) for place in sorted(others - set(places)))
    yield from (row for row in alike if len(row.node.cells()) == len(first.node.cells()))  # not those at an edge


def around(at: int, length: int, few: int) -> list[int]:
    """A place first, then so many about it."""
    start = max(0, min(at - (few - 1) // 2, length - few))
    return [at, *(each for each in range(start, min(start + few, length)) if each != at)]


def row_at(tracer: Tracer, sheet: Sheet, place: tuple[int, ...]) -> Row:
    """A number at its place."""
    offset = int(np.ravel_multi_index(place, sheet.shape)) if sheet.shape else 0
    return Row(place, tracer.number_in_row(sheet.start + offset))


def cases(formula: Formula, rows: list[Row], letters: list[str]) -> Tree:
    """One expression, or one for each way a comparison with a number fell out."""
    ways: dict[Any, list[Row]] = {}
    for row in rows:
        ways.setdefault(way(row.node), []).append(row)
    unasked = ways.pop(None, [])
    if ways and unasked and not any(row.node.cells() for row in unasked):
        formula.notes.append(("0", "elsewhere"))
        unasked = []
    if unasked or len(ways) == 1:
        return formula.build(unasked or max(ways.values(), key=len), letters)
    every = [row for members in ways.values() for row in members]
    compared = formula.build([Row(row.letters, row.node.reasons[0].left) for row in every], letters)
    is_long = every[0].node.reasons[0].left.op is not CELL
    named: Tree = "S" if is_long else compared
    parts: list[Tree] = []
    for members in sorted(ways.values(), key=lambda each: each[0].node.reasons[0].truth != ">"):
        one = members[0].node.reasons[0]
        value = formula.build([Row(row.letters, with_sum(row.node)) for row in members], letters)
        parts += [["mtext", "; "]] if parts else []
        sign, right = ["mo", SIGNS_SHOWN[one.truth]], ["mn", number_text(one.right.value)]
        parts += [value, ["mtext", " if "], named, sign, right]
    return ["mrow", *parts, *([["mtext", "; with "], "S", ["mo", "="], compared] if is_long else [])]


def with_sum(node: Traced) -> Traced:
    """The expression with S for what was compared, where that is itself an expression."""
    compared = node.reasons[0].left if node.reasons else None

    def replaced(each: Any) -> Any:
        if type(each) is not Traced or compared is None or compared.op is CELL:
            return each
        if each is compared or (each.op, each.left, each.right) == (compared.op, compared.left, compared.right):
            return Traced(each.value, NAMED, "S")
        return Traced(each.value, each.op, replaced(each.left), replaced(each.right)) if not is_sum(each) else each

    named: Traced = replaced(node)
    return named


def way(node: Traced) -> Any:
    """How the only comparison of a number fell out, where it was with a plain number."""
    if len(node.reasons) != 1 or node.reasons[0].right.op is not NUMBER or node.reasons[0].sign == "==":
        return None
    return node.reasons[0].truth


def is_search(tracer: Tracer, node: Traced) -> bool:
    """Whether a number is, or is the place of, one that was found by comparing the cells of one array."""
    both = [each for one in node.reasons for each in (one.left, one.right)]
    if not both or node.op not in (CELL, NUMBER) or any(each.op is not CELL for each in both):
        return False
    return len({tracer.twin.sheet_of(each.left).name for each in both}) == 1


def largest(formula: Formula, rows: list[Row], letters: list[str]) -> Tree:
    """The largest of the cells that were compared."""
    members = []
    for row in rows:
        met = {each.left: each for one in row.node.reasons for each in (one.right, one.left)}
        members.append((row, [met[cell] for cell in sorted(met)]))
    return formula.under_sigma(members, letters, "max")


def paid(formula: Formula, rows: list[Row], letters: list[str]) -> Tree:
    """A sum over the windows that asked whether this place had won them."""
    winner = rows[0].node.why[0].left
    sheet = formula.tracer.twin.sheet_of(winner.left)
    terms = [(row, [each for each, _ in sampled(row.node)]) for row in rows]
    row, held = next(((row, each) for row, each in terms if each), (rows[0], []))
    names = axes(formula.tracer.twin, sheet)
    own = [
        shown(letters[place], sheet.shape[place])
        if place < len(names) - 2
        else formula.letter(name, f"{AXES.get(name, 'place')} of {sheet.name}")
        for place, name in enumerate(names)
    ]
    condition = ["mrow", ["cell", sheet.name, *own], ["mo", "="], ["mtext", "this place"]]
    if not held:
        return ["mn", "0"]
    source = formula.tracer.twin.sheet_of(held[0].left) if held[0].op is CELL else None
    body = ["cell", source.name, *own] if source else formula.build([Row(row.letters, held[0])], letters)
    return ["mrow", ["munder", ["mo", "Σ"], condition], body]
