"""The general formula of an array: read off the text that fills it, worked out at its places, and only then shown."""

from math import prod
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.explaining.expressions import Expression, Node, UnreadError, changed, is_kind, work
from plaingrad.explaining.indices import Index
from plaingrad.explaining.notation import Tree
from plaingrad.explaining.reading import Reader
from plaingrad.explaining.showing import Formula, shown
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Making, Sheet
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.losses import Loss

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
            check(formula, making, sheet)
            told = shown(making, sheet, formula)
        except UnreadError as error:
            told = ["mtext", f"no short formula of {sheet.name}: {error}"], {}
        tracer.formulas[sheet.name] = told
    return tracer.formulas[sheet.name]


def read(tracer: Tracer, making: Making) -> Formula:
    """The formula as the text says it, with the numbers of this layer."""
    task, sheets, wanted = making.task, tracer.twin.sheets, making.argument
    arrays = {name: each for name, each in task.seen.items() if isinstance(each, np.ndarray)}
    pixels = set[str]()  # features that the text sees as channels of one pixel: two axes more than they are shown with
    for name, each in arrays.items():  # an optimiser walks the parameters as one row; they are shown in their shape
        if name in making.names and sheets[making.names[name]].array.size == each.size:
            if each.ndim == sheets[making.names[name]].array.ndim + 2:
                pixels.add(name)
            else:
                arrays[name] = each.reshape(sheets[making.names[name]].array.shape)
    axes = {name: int(name in task.images) for name in arrays}  # the axis that groups share out
    shapes = {
        name: tuple(size // making.groups if at == axes[name] else size for at, size in enumerate(each.shape))
        for name, each in arrays.items()
    }
    is_step = not isinstance(task.owner, Layer | Loss)
    try:
        reader = Reader(task.text, wanted, shapes, {**task.seen, **arrays}, making.names, is_step)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:  # it does what no other text does
        raise UnreadError(f"{task.text.__name__} is not read") from error
    letters = reader.letters[wanted]
    place = [Index.of(each) if size > 1 else Index() for each, size in zip(letters, shapes[wanted], strict=True)]
    axis, group, here = axes[wanted], Index(), dict[str, Index]()
    if making.groups > 1:  # which group it is follows from the place
        own, size = Index.of(letters[axis]), shapes[wanted][axis]
        reader.boxes[letters[axis]] = 0, arrays[wanted].shape[axis] - 1
        group, place[axis] = own // size, own
        here[letters[axis]] = own % size
    shown = {name: sheets[own].shape for name, own in making.names.items() if name in arrays}

    def other(each: Node) -> Expression:
        """A cell of its group, without an image where there is one; and without a factor that is given and 1."""
        match each:
            case Node("cell", (array, *index)) if array in shown:
                if making.groups > 1:
                    index[axes[array]] = group * shapes[array][axes[array]] + index[axes[array]]
                index = index[:-2] if array in pixels else index
                return Node("cell", (array, *index[len(index) - len(shown[array]) :]))
            case Node("*", (left, Node("cell", (array,)))) if array in shown and arrays[array] == 1:
                of: Expression = left  # as the share of the only image is
                return of if tracer.is_given(sheets[making.names[array]]) else each
        return each

    arrays |= {name: arrays[name].reshape(shape) for name, shape in shown.items()}
    if wanted in pixels:
        place, letters = place[:-2], letters[:-2]
    first, made = len(place) - len(shown[wanted]), changed(reader.states[wanted], here, other)
    return Formula(tuple(place[first:]), letters[first:], made, reader.boxes, reader.settings, arrays)


def check(formula: Formula, making: Making, sheet: Sheet) -> None:
    """UnreadError where the formula and the numbers of the array differ by more than rounding."""
    held = formula.arrays[making.argument]
    if not sheet.is_made:
        return differ(formula, *updated(formula, making))
    for lines in samples(held.shape, cost(formula.of, formula.boxes)):
        grid = np.meshgrid(*lines, indexing="ij", sparse=True)
        differ(formula, grid, held[np.ix_(*lines)] if lines else held)


def differ(formula: Formula, grid: Any, held: Array) -> None:
    """UnreadError where numbers are not what the formula gives at these places."""
    letters = {**formula.settings, **dict(zip(formula.letters, grid, strict=True))}
    with np.errstate(all="ignore"):
        made = work(formula.of, letters, formula.arrays)
        value: Any = made.value
        share = 2 * made.steps * ROUNDING / (1 - made.steps * ROUNDING)  # the text rounds, and so does this
        right = np.abs(value - held) <= share * made.size + TINY
        right |= (value == held) | ((value != value) & (held != held))
    if not np.all(right):
        place = [int(at) for at in np.argwhere(~np.broadcast_to(right, held.shape))[0]]
        raise UnreadError(f"what one reads off its text does not give the number at {place}")


def updated(formula: Formula, making: Making) -> tuple[list[Array], Array]:
    """Places of an array of parameters, and what the optimiser's text makes of them there."""
    shape, task = formula.arrays[making.argument].shape, making.task
    flat = np.sort(np.random.default_rng(0).choice(prod(shape), min(prod(shape), MOST_UPDATED), replace=False))
    given = {name: each[flat] if isinstance(each, np.ndarray) else each for name, each in task.seen.items()}
    task.text(**{name: given[name] for name in task.text.arguments})
    return list(np.unravel_index(flat, shape)), given[making.argument]


def samples(shape: tuple[int, ...], each: int) -> list[list[Array]]:
    """Places along each axis, to be crossed: all; where these are too many, all of one axis by some of the others."""
    if prod(shape) * each <= MOST_TERMS:
        return [[np.arange(size) for size in shape]]
    draw, found = np.random.default_rng(0), []
    for axis, size in enumerate(shape):
        room = MOST_TERMS / (each * len(shape) * size)
        count = max(1, int(room ** (1 / max(1, len(shape) - 1))))
        some = [[*draw.integers(n, size=max(1, count - 2)), 0, n - 1][:count] for n in shape]
        lines = [range(n) if at == axis or n <= count else some[at] for at, n in enumerate(shape)]
        found.append([np.unique(each) for each in lines])
    return found


def cost(made: Any, boxes: dict[str, tuple[int, int]]) -> int:
    """How many terms an expression has at one place, at most."""
    parts = made.parts if isinstance(made, Node) else made
    inner = max(1, sum(cost(each, boxes) for each in parts if isinstance(each, Node | tuple)))
    low, high = boxes[made.parts[1]] if is_kind(made, "over") else (0, 0)
    return inner * (high - low + 1)
