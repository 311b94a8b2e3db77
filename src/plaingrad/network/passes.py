"""One way of a layer, forward or back, to be read: its text, and how the text is run fast."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.compiler.program import Call
from plaingrad.schedule.elementwise import is_elementwise
from plaingrad.schedule.fast import Task, not_a_sum
from plaingrad.schedule.tree import fills
from plaingrad.schedule.written import WRITTEN
from plaingrad.textbook.layer import Layer, passes
from plaingrad.textbook.text import Text

Made = tuple[list[Task], list[Call]]


@dataclass(frozen=True, repr=False)
class Way:
    """What a layer does on its way forward or back. Printed, it is the text; `fast` is how the text is run fast."""

    layer: Layer
    way: str
    make: Callable[[Layer, str], Made]

    def __str__(self) -> str:
        return "\n\n".join(each.text.source.rstrip("\n") for each in passes(self.layer)[self.way])

    __repr__ = __str__  # at a prompt one reads the text

    @property
    def fast(self) -> str:
        """The nests that are compiled for the text, each with its constants and the lines it stands for."""
        tasks, calls = self.make(self.layer, self.way)
        claimed: set[tuple[int, str]] = set()
        shown = ["\n".join([*_head(call, tasks, claimed), _source(call)]) for call in calls]
        shown += ["\n".join(_left_out(task.text)) for task in tasks if not calls]
        return "\n\n\n".join(dict.fromkeys(shown))  # each share of a grouped text is the same nest again


def _head(call: Call, tasks: list[Task], claimed: set[tuple[int, str]]) -> Iterator[str]:
    """What a nest is given besides arrays, and the lines of the texts it stands for."""
    alike = next((each.text for each in tasks if each.text.__name__ == call.name), None)
    if not call.nest.address:
        yield f"# {call.name} runs as Python: without Numba, or with exact numbers, nothing is compiled"
    elif alike is not None and alike not in WRITTEN and not is_elementwise(alike):
        yield f"# {call.name} is compiled as it stands: {not_a_sum(alike)}"
    elif lines := list(_lines(call, tasks, claimed)):
        yield from (f"# stands for `{each}`" for each in dict.fromkeys(lines))
    else:
        yield "# lays numbers out for the nest after it"
    if constants := _constants(call):
        yield f"# with {', '.join(f'{name} = {value}' for name, value in constants.items())}"


def _left_out(text: Text) -> Iterator[str]:
    """What is told of a text for which nothing is done."""
    yield f"# {text.__name__} takes no time: the numbers already lie in the order of its array"
    yield from (f"# stands for `{line}`" for name in fills(text) for line in _stores(text, name))


def _lines(call: Call, tasks: list[Task], claimed: set[tuple[int, str]]) -> Iterator[str]:
    """The lines that fill the arrays this nest is the first to be given: later ones only read them."""
    arrays = [each for each in call.given if isinstance(each, np.ndarray)]
    for number, task in enumerate(tasks):
        for name in sorted(fills(task.text)):
            array = task.laid.get(name, tasks[-1].laid.get(name))  # a sum whose activation is laid in stores its y
            if (number, name) not in claimed and any(is_same(each, array) for each in arrays):
                claimed.add((number, name))
                yield from _stores(task.text, name)


def is_same(one: Any, other: Any) -> bool:
    """Whether two arrays are the same numbers in memory, in whatever shape."""
    return other is not None and one.size == other.size and bool(one.ctypes.data == other.ctypes.data)


def _stores(text: Text, array: str) -> Iterator[str]:
    """The lines of a text that fill an array."""
    lines = text.source.splitlines()
    for node in ast.walk(ast.parse(text.source)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == array:
            yield lines[node.lineno - 1].partition("#")[0].strip()


def _constants(call: Call) -> dict[str, Any]:
    """The numbers a nest is given, and those in the steps it calls, such as an activation's slope."""
    code = call.nest.plain.__code__
    given = dict(zip(code.co_varnames, call.given, strict=False)) | call.nest.constants
    for step in _steps(call.nest.plain):
        given |= {name: step.__globals__[name] for name in step.__code__.co_names if name in step.__globals__}
    return {name: value for name, value in given.items() if isinstance(value, int | float | np.number)}


def _source(call: Call) -> str:
    """The nest as it is written, then the steps of the same module that it calls."""
    sources = (textwrap.dedent(inspect.getsource(each)).rstrip("\n") for each in _steps(call.nest.plain))
    return "\n\n".join(dict.fromkeys(sources))  # a step for wide tiles reads as the one for narrow ones


def _steps(plain: Any) -> Iterator[Any]:
    """A nest and the steps it calls, and those that they call."""
    yield plain
    for name in plain.__code__.co_names:
        step = plain.__globals__.get(name)
        step = getattr(step, "plain", step)
        if isinstance(step, FunctionType) and step.__module__ == plain.__module__ and step is not plain:
            yield from _steps(step)
