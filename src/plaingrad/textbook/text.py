"""A text: a textbook function that defines a layer, a loss or an optimiser on arrays (image, channel, row, column).

Two words beside Python's own: `places(y)` is every place of an array, and `window(i, j)` every weight of a window with
the pixel it lies on (`plaingrad.textbook.window`). `exp log sqrt tanh normal_cdf normal_pdf` are those of
`plaingrad.compiler.loops`.
"""

import functools
import inspect
import itertools
import linecache
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from plaingrad.compiler.code_cache import identity
from plaingrad.errors import SettingError

numbered = itertools.count()


def places(array: Any) -> Iterator[Any]:
    """Every place of an array in reading order: pairs, triples …, and along one axis simply numbers."""
    return iter(range(*array.shape)) if len(array.shape) == 1 else np.ndindex(*array.shape)


class Text:
    """A textbook function. It runs as it stands on anything that adds and multiplies; `source` is what one reads."""

    def __init__(self, plain: Callable[..., None]) -> None:
        self.plain = plain
        self.__name__: str = plain.__name__
        self.__module__ = plain.__module__
        self.__doc__ = plain.__doc__
        self.arguments = tuple(inspect.signature(plain).parameters)

    def __call__(self, *given: Any, **named: Any) -> None:
        with np.errstate(all="ignore"):  # what is not finite is seen in the numbers, as in compiled code
            self.plain(*given, **named)

    @functools.cached_property
    def source(self) -> str:
        """The function as it is written."""
        # inspect.getsource reads it token by token, which takes as long as all else at the start of a training.
        code = self.plain.__code__
        lines = linecache.getlines(code.co_filename, self.plain.__globals__)
        if not lines:
            raise SettingError(
                f"{self.__name__} has no source to read: a layer's text stands in a file or a notebook, where it can "
                "be read as it is written; put it into a file and import it"
            )
        first, end = code.co_firstlineno - 1, max(line or 0 for _, line, _, _ in code.co_positions())
        depth = len(lines[first]) - len(lines[first].lstrip())
        rest = itertools.takewhile(lambda line: not line.strip() or line[: depth + 1].isspace(), lines[end:])
        return textwrap.dedent("".join([*lines[first:end], *rest])).rstrip() + "\n"

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What it does with all that its names mean now: a constant of a notebook may be another by the next run."""
        return () if str(self.__module__).startswith("plaingrad.") else identity(self.plain)

    @property
    def names(self) -> dict[str, Any]:
        """What the names in it mean: those of its module, and those of the function it was written in."""
        return {**self.plain.__globals__, **inspect.getclosurevars(self.plain).nonlocals}

    def edited(self, *changes: tuple[str, str]) -> "Text":
        """The text with pieces of it replaced: each must be there."""
        return Text(_edited(self, changes))

    def __repr__(self) -> str:
        return f"<text {self.__module__}.{self.__name__}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.plain is other.plain

    def __hash__(self) -> int:
        return hash(self.plain)


@functools.cache
def _edited(text: Text, changes: tuple[tuple[str, str], ...]) -> Callable[..., None]:
    source = text.source
    for old, new in changes:
        if old not in source:
            raise ValueError(f"{text.__name__} has no text {old!r} to change")
        source = source.replace(old, new)
    return made(source, text.names, text.__name__)


def made(source: str, names: dict[str, Any], name: str) -> FunctionType:
    """A function from its source, in which the names mean what they mean elsewhere; its lines can be shown."""
    file = f"<{name} {next(numbered)}>"
    whole = compile(source, file, "exec")
    code = next(each for each in whole.co_consts if isinstance(each, CodeType) and each.co_name == name)
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    return FunctionType(code, names, name)


def as_text(cls: type, *ways: str) -> None:
    """Make the functions that a class names under `forward` and `backward` texts, which are no methods of it.

    TypeError for what plaingrad 0.1 took: tuples of nests on arrays (channel, row, column × lane).
    """
    for way in ways or ("forward", "backward"):
        value = vars(cls).get(way)
        if isinstance(value, FunctionType):
            setattr(cls, way, Text(value))
        elif value is not None and not isinstance(value, Text | property):
            raise TypeError(
                f"{cls.__name__}.{way} is a {type(value).__name__}; it is one plain function on arrays (image, "
                "channel, row, column), without @loops and lanes. Write `for n, c, i, j in places(y):` over all "
                f"images, index x[n, c, i, j], and state `{way} = the_function`: see docs/layers.md"
            )
