"""Arrays of so many terms that the page's own texts tell them when they are asked for, instead of a record."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.explaining.dense import MOST_ENTRIES, sums_of
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Making, Sheet
from plaingrad.schedule.calls import text_calls
from plaingrad.schedule.fast import not_a_sum
from plaingrad.schedule.tree import fills

MANY_TERMS = 20_000


def is_told(tracer: Tracer, sheet: Sheet) -> bool:
    """Whether an array has many terms that need no more than to be told: products, and nothing was compared.

    Sums that are drawn as a matrix are recorded, and so is what has reasons: windows over the edge, unreached pixels.
    """
    making = tracer.making(sheet)
    step = tracer.twin.net.steps.get(making.layer) if making else None
    if making is None or step is None or step.layer.multiplications(step.x) < MANY_TERMS:
        return False
    if not_a_sum(making.task.text) is not None:
        return False
    window = making.task.seen.get("window")
    if window is None:
        return True
    x = tracer.twin.sheets[tracer.twin.names[f"{making.layer}.x"]]
    is_drawn = sheet.name == sums_of(tracer, making.layer) and x.size * sheet.size <= MOST_ENTRIES
    return not is_drawn and not window.may_overhang and bool(counts(tracer, making).all())


def counts(tracer: Tracer, making: Making) -> Array:
    """How many terms each number of an array has."""
    return made_of(tracer, making, lambda sheet: np.ones(sheet.array.shape))


def bounds(tracer: Tracer, sheet: Sheet, values: Array, run: Array, away: Array, unit: float) -> Array:
    """How far rounding may take the run's numbers of a told array from `values`: as `Record.bounds`, for whole arrays.

    The text adds up sizes where it is given sizes: Σ|terms| of the run's own factors, and of factors `away` from them.
    """
    making = tracer.making(sheet)
    assert making is not None

    def factors(other: Sheet) -> Array:
        return run[other.start : other.stop].reshape(other.array.shape)

    def off(other: Sheet) -> Array:
        return away[other.start : other.stop].reshape(other.array.shape)

    count = counts(tracer, making)
    sums, sizes = (made_of(tracer, making, each) for each in (factors, lambda other: np.abs(factors(other))))
    most = made_of(tracer, making, lambda other: np.abs(factors(other)) + off(other))
    steps = (2 * count + 1) * unit
    with np.errstate(all="ignore"):  # a number that is not finite has no bound
        found = steps / (1 - steps) * sizes + np.abs(sums - values) + count * np.finfo(float).eps * sizes
        return np.asarray(found * (1 + 1e-6) + (most - sizes))


def made_of(tracer: Tracer, making: Making, given: Callable[[Sheet], Array]) -> Array:
    """What a text makes of other numbers, in the order of the array's cells; arrays that no reader sees stay 0."""
    task, sheets = making.task, tracer.twin.sheets
    filled = fills(task.text)
    seen = dict(task.seen)
    for argument, array in task.seen.items():
        if argument in filled:
            seen[argument] = np.zeros(array.shape)
        elif argument in making.names:
            seen[argument] = np.ascontiguousarray(given(sheets[making.names[argument]]), float).reshape(array.shape)
    for call in text_calls(replace(task, seen=seen), making.groups, as_python=False):
        call()
    return np.asarray(seen[making.argument].reshape(-1))
