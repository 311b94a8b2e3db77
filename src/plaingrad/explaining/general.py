"""The general formula of an array: read off the text that fills it, worked out at its places, and only then shown."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from plaingrad.explaining.expressions import Cell, Expression, Joined, Known, Number
from plaingrad.explaining.indices import Index, left_over, quotient
from plaingrad.explaining.notation import Tree
from plaingrad.explaining.ranging import Over
from plaingrad.explaining.reading import Reader
from plaingrad.explaining.showing import Formula, shown
from plaingrad.explaining.solving import UnreadError
from plaingrad.explaining.tracing import Making, Tracer
from plaingrad.explaining.twin import Sheet
from plaingrad.layer import Layer
from plaingrad.loops import Array
from plaingrad.loss import Loss

MOST_TERMS = 3_000_000  # worked out at once: a formula with more is worked out at some of its places
MOST_UPDATED = 500  # parameters whose next step is made by the text
ROUNDING = float(np.finfo(np.float64).eps) / 2
TINY = float(np.finfo(np.float64).tiny)


def described(tracer: Tracer, sheet: Sheet) -> tuple[Tree, dict[str, str]]:
    """The general formula of an array, and what its letters stand for; in words where no short formula says it."""
    if sheet.name not in tracer.formulas:
        making = tracer.making(sheet)
        assert making is not None
        try:
            formula = read(tracer, making)
            wrong = disagreement(formula, making, sheet)
            told = shown(tracer, making, sheet, formula) if wrong is None else in_words(sheet, wrong)
        except UnreadError as error:
            told = in_words(sheet, str(error))
        tracer.formulas[sheet.name] = told
    return tracer.formulas[sheet.name]


def in_words(sheet: Sheet, reason: str) -> tuple[Tree, dict[str, str]]:
    return ["mtext", f"no short formula of {sheet.name}: {reason}"], {}


def read(tracer: Tracer, making: Making) -> Formula:
    """The formula as the text says it, with the numbers of this layer."""
    task, sheets = making.task, tracer.twin.sheets
    arrays = {name: each for name, each in task.seen.items() if isinstance(each, np.ndarray)}
    for name, each in arrays.items():  # an optimiser walks the parameters as one row; they are shown in their shape
        if name in making.names and sheets[making.names[name]].array.size == each.size:
            arrays[name] = each.reshape(sheets[making.names[name]].array.shape)
    shapes, keep = {}, not isinstance(task.owner, Layer | Loss)
    for name, each in arrays.items():
        axis = int(name in task.images)
        shapes[name] = tuple(size // making.groups if at == axis else size for at, size in enumerate(each.shape))
    reader = Reader(task.text, making.argument, shapes, {**task.seen, **arrays}, making.names, keep)
    try:
        made = reader.read()
    except (
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        ValueError,
    ) as error:  # a text that does what no other does
        raise error if isinstance(error, UnreadError) else UnreadError(f"{task.text.__name__} is not read") from error
    place, letters = reader.places[making.argument], reader.letters[making.argument]
    if making.groups > 1:
        place, made = grouped(making, place, letters, made, shapes)
        axis = int(making.argument in task.images)
        reader.boxes[letters[axis]] = 0, arrays[making.argument].shape[axis] - 1
    made = made.changed({}, lambda each: of_one(tracer, making, each))
    return Formula(place, letters, made, reader.boxes, reader.settings, arrays)


def grouped(
    making: Making, place: tuple[Index, ...], letters: list[str], made: Expression, shapes: dict[str, tuple[int, ...]]
) -> tuple[tuple[Index, ...], Expression]:
    """The formula of one group as that of all: which group it is follows from the place."""

    def axis_of(name: str) -> int:
        return int(name in making.task.images)

    axis = axis_of(making.argument)
    size = shapes[making.argument][axis]
    own = Index.of(letters[axis])
    group = quotient(own, size)

    def moved(cell: Expression) -> Expression:
        if not isinstance(cell, Cell) or cell.array not in making.names:
            return cell
        at = axis_of(cell.array)
        index = group * shapes[cell.array][at] + cell.index[at]
        return replace(cell, index=(*cell.index[:at], index, *cell.index[at + 1 :]))

    here = {letters[axis]: left_over(own, size)}
    return (*place[:axis], own, *place[axis + 1 :]), made.changed(here, moved)


def of_one(tracer: Tracer, making: Making, part: Expression) -> Expression:
    """An expression without what says nothing: a factor that is given and 1, as the share of the only image is."""

    def is_one(each: Expression) -> bool:
        sheet = tracer.twin.sheets.get(making.names.get(each.array, "")) if isinstance(each, Cell) else None
        return (
            sheet is not None and not sheet.shape and tracer.making(sheet) is None and float(sheet.array.flat[0]) == 1
        )

    return part.left if isinstance(part, Joined) and part.sign == "*" and is_one(part.right) else part


def disagreement(formula: Formula, making: Making, sheet: Sheet) -> str | None:
    """Where the formula and the numbers of the array differ by more than rounding; None where they do nowhere.

    Up to some million terms every place is worked out. Of more, every place along each axis is, across some places
    of the other axes. Of parameters after a step, which no array holds, some hundred are.
    """
    if not sheet.is_made:
        return _differs(formula, *updated(formula, making))
    held = formula.arrays[making.argument]
    for lines in samples(held.shape, cost(formula.of, formula.boxes)):
        grid = np.meshgrid(*lines, indexing="ij", sparse=True)
        if told := _differs(formula, grid, held[np.ix_(*lines)] if lines else held):
            return told
    return None


def _differs(formula: Formula, grid: Any, held: Array) -> str | None:
    letters = dict(zip(formula.letters, grid, strict=True))
    with np.errstate(all="ignore"):
        made = formula.of.work(Known(formula.arrays, letters, formula.settings, held.ndim))
        share = 2 * made.steps * ROUNDING / (1 - made.steps * ROUNDING)  # the text rounds, and so does this
        away = np.abs(np.asarray(made.value) - held)
        right = (
            (away <= share * made.size + TINY) | (made.value == held) | ((made.value != made.value) & (held != held))
        )
    if np.all(right):
        return None
    wrong = np.argwhere(~np.broadcast_to(right, held.shape))[0]
    return f"what one reads off its text does not give the number at {[int(at) for at in wrong]}"


def updated(formula: Formula, making: Making) -> tuple[list[Array], Array]:
    """Places of an array of parameters, and what the optimiser's text makes of them there."""
    shape = formula.arrays[making.argument].shape
    count = min(prod(shape), MOST_UPDATED)
    flat = np.sort(np.random.default_rng(0).choice(prod(shape), count, replace=False))
    seen = making.task.seen
    given = {name: each.reshape(-1)[flat] if isinstance(each, np.ndarray) else each for name, each in seen.items()}
    making.task.text(**{name: given[name] for name in making.task.text.arguments})
    return list(np.unravel_index(flat, shape)), given[making.argument]


def samples(shape: tuple[int, ...], each: int) -> list[list[Array]]:
    """Places along each axis, to be crossed: all; where these are too many, all of one axis by some of the others."""
    if prod(shape) * each <= MOST_TERMS:
        return [[np.arange(size) for size in shape]]
    draw, found = np.random.default_rng(0), []
    for axis in range(len(shape)):
        counts = list(shape)
        others = sorted((at for at in range(len(shape)) if at != axis), key=lambda at: -shape[at])
        while prod(counts) * each * len(shape) > MOST_TERMS and any(counts[at] > 2 for at in others):
            widest = max(others, key=lambda at: counts[at])
            counts[widest] = max(2, counts[widest] // 2)
        while prod(counts) * each * len(shape) > MOST_TERMS and any(counts[at] > 1 for at in others):
            counts[max(others, key=lambda at: counts[at])] = 1
        found.append([some(draw, size, count) for size, count in zip(shape, counts, strict=True)])
    return found


def some(draw: np.random.Generator, size: int, count: int) -> Array:
    """So many places along an axis, the first and the last among them."""
    if count >= size:
        return np.arange(size)
    inner = draw.choice(np.arange(1, size - 1), count - 2, replace=False) if count > 2 else np.array([], int)
    ends = [0, size - 1] if count > 1 else [int(draw.integers(size))]
    return np.unique([*ends, *inner])


def cost(made: Expression, boxes: dict[str, tuple[int, int]]) -> int:
    """How many terms an expression has at one place, at most."""
    inner = max(1, sum(cost(each, boxes) for each in made.parts() if not isinstance(each, Number)))
    if not isinstance(made, Over):
        return inner
    low, high = boxes[made.letter.letter or ""]
    return inner * (high - low + 1)
