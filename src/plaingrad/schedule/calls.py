"""From texts and their arrays to calls: fast nests where numbers are compiled for, else the texts as they stand."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from plaingrad.compiler.code_cache import as_written
from plaingrad.compiler.loops import Array, Bound, Loops
from plaingrad.compiler.program import Call
from plaingrad.schedule.elementwise import elementwise, is_elementwise
from plaingrad.schedule.fast import Task, asks_for_signs, has_nests, is_laid_in, not_a_sum, sum_nests
from plaingrad.schedule.open import Opened, axes_of, opened
from plaingrad.schedule.pooling import pooling, suits
from plaingrad.schedule.written import MAX_POOL, MAX_POOL_FORWARD, WRITTEN
from plaingrad.textbook.layer import bind
from plaingrad.textbook.text import Text, made


def fuses(text: Text, activation: Text | None = None) -> bool:
    """Whether there is a nest for this text, and the activation can be laid into it."""
    return not_a_sum(text) is None and (activation is None or is_laid_in(activation))


@cache
def slow_because(text: Text) -> str | None:
    """Why a text is compiled as it stands, in words; None where it is made fast."""
    if text in WRITTEN or text.__module__.startswith("plaingrad.") or is_elementwise(text):
        return None
    return not_a_sum(text)


@cache
def tell_slow(text: Text) -> None:
    """Say once that a text will be slow."""
    if reason := slow_because(text):
        told = f"{text.__name__} is compiled as it stands, which is slow: {reason}. See docs/layers.md"
        code = text.plain.__code__
        warnings.warn_explicit(told, UserWarning, code.co_filename, code.co_firstlineno, text.__module__)


def fast_calls(
    tasks: list[Task],
    lanes: int,
    groups: int,
    scratch: Callable[[int], Array],
    by_patches: bool,
    then: Task | None = None,
) -> Iterator[Call]:
    """Nests for tasks done one after the other; `then` is an activation to lay into the last."""
    before: Sequence[Task] = ()
    if sums_errors(tasks[-2:]):  # the way back through an activation, which the sum of the errors does by the way
        *before, last = tasks
        tasks = [last]
    for task in tasks:
        if has_nests(task):
            for nest, known in sum_nests(task, lanes, groups, scratch, by_patches, then, before):
                yield bind(nest, task.owner, known)
        elif task.text == MAX_POOL_FORWARD and suits(task.laid["window"]):
            nest, known = pooling(as_maps(task), lanes)
            yield bind(nest, task.owner, known)
        elif task.text in WRITTEN:
            yield bind(WRITTEN[task.text], task.owner, {**as_maps(task), **settings(task.laid), "lanes": lanes})
        elif is_elementwise(task.text):
            yield bind(elementwise(task.text), task.owner, dict(task.laid))
        else:
            tell_slow(task.text)
            yield from map(compiled, shares(task, groups))


def sums_errors(tasks: Sequence[Task]) -> bool:
    """Whether of two tasks the first sends errors back through an activation, and the nest of the other can do that."""
    if len(tasks) != 2 or not has_nests(tasks[1]):
        return False
    return "db" in tasks[1].wanted and is_laid_in(tasks[0].text, back=True)


def goes_on(pool: Task, tasks: Sequence[Task]) -> bool:
    """Whether errors that come back through max pools are taken on, row by row, by the nest of the tasks after it."""
    if pool.text != MAX_POOL or not pool.laid["window"].is_tiling or not sums_errors(tasks):
        return False
    back, sums = tasks
    is_read = any(array is back.laid["y"] for array in sums.laid.values())  # where it lies, the errors will
    return asks_for_signs(back.text) and back.laid["dy"] is pool.laid["dx"] and not is_read


def is_one_array(task: Task) -> bool:
    """Whether what a task reads and what it fills are the same numbers in memory."""
    read, filled = (array for array in task.laid.values() if isinstance(array, np.ndarray))
    return bool(np.may_share_memory(read, filled))


def as_maps(task: Task) -> dict[str, Any]:
    """The arrays of a task; features that its text sees as channels of one pixel are laid out so."""
    return {
        name: each.reshape(each.shape[0], 1, -1) if np.ndim(each) == 2 and np.ndim(task.seen[name]) == 4 else each
        for name, each in task.laid.items()
    }


def settings(known: Mapping[str, Any]) -> dict[str, int]:
    """A window's settings by the names in hand-written nests: `stride_0` is along rows, `stride_1` along columns."""
    if (window := known.get("window")) is None:
        return {}
    names = ("size", "stride", "dilation", "padding", "image")
    found = {f"{name}_{axis}": getattr(window, name)[axis] for name in names for axis in range(2)}
    return found | {"may_overhang": window.may_overhang}


def compiled(task: Task) -> Call:
    """A text compiled as it stands."""
    for_arrays = opened(task.text, axes_of(task.seen))
    return bind(for_arrays.nest, task.owner, for_arrays.given(task.seen))


def text_calls(task: Task, groups: int, as_python: bool) -> Iterator[Call]:
    """A text itself: as Python, or compiled to do what is written and nothing else."""
    for share in shares(task, groups):
        if as_python:
            given = tuple(share.seen[name] for name in task.text.arguments)
            yield Call(task.text.__name__, Bound(task.text.plain, {}), given)
        else:
            with as_written():
                yield compiled(share)


def shares(task: Task, groups: int) -> Iterator[Task]:
    """A grouped convolution is the text on each share of its channels and filters."""
    if groups == 1:
        yield task
        return
    for number in range(groups):
        yield replace(
            task, seen={name: share(each, name in task.images, number, groups) for name, each in task.seen.items()}
        )


def share(array: Any, has_images: bool, number: int, groups: int) -> Any:
    """One of so many equal parts of an array's channels or filters."""
    if not isinstance(array, np.ndarray):
        return array
    size = array.shape[int(has_images)] // groups
    part = slice(number * size, (number + 1) * size)
    return array[:, part] if has_images else array[part]


def update_call(optimiser: Any, arrays: dict[str, Array], numbers: Array, number: Any = None) -> Call:
    """A step of an optimiser: what changes from step to step is read from `numbers`, in their order.

    Its settings are made by `number`, which is the numbers' own type unless told.
    """
    number = number or (numbers.dtype.type if numbers.dtype != object else Fraction)
    with np.errstate(over="ignore"):  # a setting beyond the number type is infinite, and the run diverges
        own = {f"adam_{name}": number(each) for name, each in optimiser.settings().items() if isinstance(each, float)}
    nest = _updating(optimiser.update, tuple(optimiser.numbers(0, 1.0)), optimiser.update.meaning)
    return bind(nest, optimiser, {**arrays, **own, "numbers": numbers})


@cache
def _updating(text: Text, varying: tuple[str, ...], _: tuple[Any, ...]) -> Loops:
    for_arrays = Opened(text, dict.fromkeys(text.arguments, 1))
    rows = [f"    {name} = numbers[{place}]" for place, name in enumerate(varying)]
    given = [*(name for name in for_arrays.arguments if name not in varying), "numbers"]
    source = f"def {text.__name__}({', '.join(given)}):\n" + "\n".join([*rows, *for_arrays.lines]) + "\n"
    return Loops(made(source, text.names, text.__name__))
