"""Arrays that are changed as a whole before they are read, or after they are filled: centred, cut off, averaged …"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.edits.layouts import Layout
from plaingrad.compiler.loops import Array

BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Sizes at which numbers, or norms, are usually cut off."""
NORMS = (0.1, 0.5, 1.0, 2.0, 5.0)
DECIMALS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Changed(Layout):
    """An array of which a function is read, or left, in place of it; `formula` says it, with {} for the array."""

    formula: str
    made: Callable[[Array], Array]

    def of(self, array: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(self.made(array), float)

    def said(self, index: Sequence[str]) -> str:
        return self.formula.replace("{}", self.array)


Way = tuple[str, Callable[[Array], Array]]


def _axes(count: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The sets of axes that people take a mean over: all, all but the first, all but the second, the first, the second,
    and all behind the second."""
    every = tuple(range(count))
    sets = {every: ""}
    for axes in (every[1:], tuple(each for each in every if each != 1), every[:1], every[1:2], every[2:]):
        if axes:
            sets.setdefault(axes, f"axis={axes if len(axes) > 1 else axes[0]}, ")
    return ((said, axes) for axes, said in sets.items())


def _averaged(axes: tuple[int, ...], is_mean: bool) -> Callable[[Array], Array]:
    def made(array: Array) -> Array:
        total = array.mean(axis=axes, keepdims=True) if is_mean else array.sum(axis=axes, keepdims=True)
        return np.broadcast_to(total, array.shape)

    return made


def _centred(axes: tuple[int, ...], is_scaled: bool) -> Callable[[Array], Array]:
    def made(array: Array) -> Array:
        away = array - array.mean(axis=axes, keepdims=True)
        return np.asarray(away / array.std(axis=axes, keepdims=True) if is_scaled else away)

    return made


def _held(low: float, high: float) -> Callable[[Array], Array]:
    return lambda array: np.clip(array, low, high)


def _of_norm(norm: float) -> Callable[[Array], Array]:
    return lambda array: array * (norm / math.sqrt(float(np.einsum("i,i", array.reshape(-1), array.reshape(-1)))))


def _rounded(decimals: int) -> Callable[[Array], Array]:
    return lambda array: np.round(array, decimals)


def _rescaled(array: Array) -> Array:
    return np.asarray((array - array.min()) / np.ptp(array))


def _means(count: int) -> Iterator[Way]:
    """Each number as the mean, or the sum, of those along some axes."""
    for said, axes in _axes(count):
        for function in ("mean", "sum"):
            yield f"{{}}.{function}({said}keepdims=True)", _averaged(axes, function == "mean")


def _cut() -> Iterator[Way]:
    """Numbers that are cut off, or kept to fewer digits."""
    yield "maximum({}, 0)", lambda array: np.maximum(array, 0)
    yield "minimum({}, 0)", lambda array: np.minimum(array, 0)
    for bound in BOUNDS:
        yield f"{{}}.clip(-{bound:g}, {bound:g})", _held(-bound, bound)
    for bound in (1.0, 6.0):
        yield f"{{}}.clip(0, {bound:g})", _held(0, bound)
    yield "{}.astype(float16)", lambda array: array.astype(np.float16).astype(float)


def _prepared(count: int) -> Iterator[Way]:
    """Inputs that are brought to another range."""
    for said, axes in _axes(count):
        mean, deviation = (f"{{}}.{each}({said}keepdims=True)" for each in ("mean", "std"))
        yield f"{{}} - {mean}", _centred(axes, False)
        yield f"({{}} - {mean}) / {deviation}", _centred(axes, True)
    yield "{} - 0.5", lambda x: x - 0.5
    yield "2 * {} - 1", lambda x: 2 * x - 1
    yield "1 - {}", lambda x: 1 - x
    yield "{} / 255", lambda x: x / 255
    yield "{} * 255", lambda x: x * 255
    yield "{} / 256", lambda x: x / 256
    yield "({} - {}.min()) / ({}.max() - {}.min())", _rescaled


def _functions() -> Iterator[Way]:
    """A function of what was computed, once too often."""
    yield "abs({})", np.abs
    yield "sign({})", np.sign
    yield "tanh({})", np.tanh
    yield "1 / (1 + exp(-{}))", lambda y: 1 / (1 + np.exp(-y))
    yield "{} ** 2", np.square
    yield "sqrt({})", np.sqrt
    yield "{} / {}.max()", lambda y: y / y.max()
    yield "{} / abs({}).max()", lambda y: y / np.abs(y).max()
    for norm in NORMS:
        yield f"{{}} * {norm:g} / norm({{}})".replace("* 1 /", "/"), _of_norm(norm)


def _listed(array: str, ways: Iterator[Way]) -> tuple[Changed, ...]:
    return tuple(Changed(array, *way) for way in ways)


INNER: tuple[Way, ...] = (
    ("x", lambda x: x), ("-x", lambda x: -x), ("2 * x", lambda x: 2 * x), ("x / 2", lambda x: x / 2),
    ("2 / 3 * x", lambda x: 2 / 3 * x), ("x / 6 + 0.5", lambda x: x / 6 + 0.5),
    ("0.2 * x + 0.5", lambda x: 0.2 * x + 0.5),
)  # fmt: skip
OUTER: tuple[Way, ...] = (
    ("{}", lambda x: x),
    ("maximum({}, 0)", lambda x: np.maximum(x, 0)),
    ("minimum({}, 0)", lambda x: np.minimum(x, 0)),
    ("clip({}, 0, 1)", lambda x: np.clip(x, 0, 1)),
    ("clip({}, 0, 6)", lambda x: np.clip(x, 0, 6)),
    ("clip({}, -1, 1)", lambda x: np.clip(x, -1, 1)),
    ("1 / (1 + exp(-({})))", lambda x: 1 / (1 + np.exp(-x))),
    ("tanh({})", np.tanh),
    ("1.7159 * tanh({})", lambda x: 1.7159 * np.tanh(x)),  # LeCun and others, Efficient BackProp, 1998
    ("arctan({})", np.arctan),
    ("sin({})", np.sin),
    ("exp({})", np.exp),
    ("log(1 + exp({}))", lambda x: np.logaddexp(0, x)),
    ("{} / (1 + abs({}))", lambda x: x / (1 + np.abs(x))),
    ("square({})", np.square),
    ("abs({})", np.abs),
    ("sign({})", np.sign),
)


@functools.cache
def activations() -> tuple[Changed, ...]:
    """Functions that people take for an activation, of x or of a multiple of it."""
    every = ((said.replace("{}", own), outer, inner) for own, inner in INNER for said, outer in OUTER)
    return tuple(Changed("x", said, functools.partial(_of_both, outer, inner)) for said, outer, inner in every)


def _of_both(outer: Callable[[Array], Array], inner: Callable[[Array], Array], x: Array) -> Array:
    return outer(inner(x))


@functools.lru_cache(maxsize=64)
def read(array: str, axes: int) -> tuple[Changed, ...]:
    """What may be read in place of an array of so many axes; `x` is a layer's input."""

    def ways() -> Iterator[Way]:
        yield from _means(axes)
        yield from _cut()
        for decimals in DECIMALS:
            yield f"{{}}.round({decimals})", _rounded(decimals)
        if array == "x":
            yield from _prepared(axes)

    return _listed(array, ways())


@functools.lru_cache(maxsize=64)
def filled(array: str, axes: int) -> tuple[Changed, ...]:
    """What may be left in place of an array of so many axes that was filled right."""

    def ways() -> Iterator[Way]:
        yield from _means(axes)
        yield from _cut()
        yield from _functions()
        for said, some in _axes(axes):
            yield f"{{}} - {{}}.mean({said}keepdims=True)", _centred(some, False)

    return _listed(array, ways())
