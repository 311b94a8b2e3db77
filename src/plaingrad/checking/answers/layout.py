"""In which order an answer's arrays are laid out: NHWC, kernels with the channels last, one long row, …"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError
from plaingrad.textbook.phrases import shape_text

Order = tuple[int, ...]
AXES = {
    "maps": ("image", "channel", "row", "column"),
    "kernels": ("filter", "channel", "row", "column"),
    "dense": ("unit", "input"),
    "rows": ("image", "number"),
}
USUAL: dict[str, tuple[tuple[int, ...], ...]] = {  # orders in use, the commonest first
    "maps": ((0, 1, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0), (2, 3, 1, 0), (3, 2, 1, 0), (0, 2, 1, 3), (0, 3, 2, 1)),
    "kernels": ((0, 1, 2, 3), (2, 3, 1, 0), (1, 0, 2, 3), (0, 2, 3, 1), (2, 3, 0, 1), (3, 2, 1, 0)),
    "dense": ((0, 1), (1, 0)),
    "rows": ((0, 1), (1, 0)),
}


@dataclass(frozen=True)
class Reading:
    """An answered array as the case lays it out, and the order it was found in.

    Where it is made of other numbers than were answered, it is what `made_by`, a sum or a mean, makes of `printed`.
    `is_whole`: it was given with all its axes, also those of length 1.
    """

    array: Array
    order: Order
    printed: Array | None = None
    made_by: Callable[[Array], Array] | None = None
    is_whole: bool = True

    @property
    def answered(self) -> Array:
        """The numbers as they were answered, which alone tell how they were printed."""
        return self.array if self.printed is None else self.printed


def summary(given: Array, made_by: Callable[[Array], Array], order: Order) -> Reading:
    """An array read as a sum or a mean over some of its axes."""
    return Reading(np.asarray(made_by(given)), order, given, made_by)


def group_of(shape: tuple[int, ...], is_weight: bool) -> str:
    """Arrays that a program lays out alike."""
    if len(shape) == 4:
        return "kernels" if is_weight else "maps"
    return ("dense" if is_weight else "rows") if len(shape) == 2 else "other"


def readings(given: Array, shape: tuple[int, ...], group: str) -> list[Reading]:
    """Every way to read an array as one of `shape`, the likeliest first."""
    found = [Reading(given, tuple(range(given.ndim)))] if given.shape == shape else []
    if not shape:
        return [Reading(given.reshape(()), ())] if given.size == 1 else []
    if given.ndim == len(shape) > 1:
        for order in _orders(shape, group):
            if order != tuple(range(len(shape))) and tuple(shape[axis] for axis in order) == given.shape:
                found.append(Reading(given.transpose(np.argsort(order)), order))
    elif given.ndim == len(shape) - 1 and shape[0] == 1:
        found += [replace(each, is_whole=False) for each in readings(given[None], shape, group)]
    if not found and given.size == int(np.prod(shape)):
        squeezed, wanted = given.squeeze(), tuple(size for size in shape if size > 1)
        if squeezed.shape == wanted:
            found.append(Reading(squeezed.reshape(shape), tuple(range(len(shape))), is_whole=False))
        elif given.ndim <= 2 or squeezed.ndim <= 1:
            for order in _orders(shape, group):
                flat = given.reshape([shape[axis] for axis in order])
                found.append(Reading(flat.transpose(np.argsort(order)), order, is_whole=False))
    return found


def _orders(shape: tuple[int, ...], group: str) -> list[tuple[int, ...]]:
    """All orders of the axes, those in use first, the case's own before all."""
    return sorted(itertools.permutations(range(len(shape))), key=commonest(group))


def commonest(group: str) -> Callable[[Order], tuple[int, Order]]:
    """By what to sort orders, so that those in use come first."""
    usual = USUAL.get(group, ())
    return lambda order: (usual.index(order) if order in usual else len(usual), order)


def backwards(group: str) -> Order:
    """The order of Julia and Fortran: all axes the other way round."""
    return tuple(range(len(AXES.get(group, ()))))[::-1]


def fitting(arrays: Mapping[Any, list[Reading]], groups: Mapping[Any, str]) -> dict[str, set[Order]]:
    """The orders that fit the shapes of all arrays of a kind."""
    shared: dict[str, set[Order]] = {}
    for key, found in arrays.items():
        own = {each.order for each in found}
        shared[groups[key]] = shared.get(groups[key], own) & own
    return shared


def told(group: str, order: Order) -> str:
    """An order in words."""
    names, kind = AXES[group], "weights" if group in ("kernels", "dense") else "images"
    return f"{kind} are ({', '.join(names[axis] for axis in order)})"


def refuse(name: str, given: Array, shape: tuple[int, ...]) -> AnswerError:
    """The message about an array that cannot be the one asked for."""
    got, needs = shape_text(given.shape), shape_text(shape)
    hint = ""
    if sorted(given.shape) == sorted(shape):
        hint = "; its axes are in another order"
    elif given.size == int(np.prod(shape)):
        hint = f"; it has the same number of elements, {given.size}: a reshape may be enough"
    elif len(given.shape) == len(shape):
        axes = [str(axis) for axis in range(len(shape)) if given.shape[axis] != shape[axis]]
        hint = f"; it differs along ax{'is' if len(axes) == 1 else 'es'} {', '.join(axes)}, counted from 0"
    return AnswerError(f"{name} got the shape {got}; it needs {needs}{hint}")


def suspicious(reading: Reading) -> bool:
    """Whether an order only exchanges rows and columns: a mistake, where nothing else tells.

    Axes of length 1 tell the order where they are given: Julia's order of one map, (column, row, 1, 1), is no exchange
    in place.
    """
    order, shape = reading.order, reading.array.shape
    if len(order) != 4:
        return False
    long = [axis for axis in order if shape[axis] > 1]
    there = [place for place, axis in enumerate(order) if shape[axis] > 1] if reading.is_whole else sorted(long)
    return long != there and there == [{2: 3, 3: 2}.get(axis, axis) for axis in long]
