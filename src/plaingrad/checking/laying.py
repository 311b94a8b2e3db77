"""The arrays of an answer in every way that they may be laid, beside the shapes that the case asks for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from plaingrad.checking.answers.layout import (
    AXES,
    Order,
    Reading,
    backwards,
    commonest,
    fitting,
    group_of,
    readings,
    refuse,
    summary,
    suspicious,
)
from plaingrad.checking.case import Case
from plaingrad.checking.search.conventions import BY_POSITION
from plaingrad.checking.search.passes import Key
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import Conv


def divided(losses: Array, count: Any) -> Any:
    """The mean loss of a batch, from those of its images."""
    return losses.sum() / count


def laid(
    case: Case, given: dict[Key, tuple[str, Array]], notes: list[str]
) -> tuple[dict[Key, list[Reading]], dict[Key, str], dict[str, Order], dict[Key, Array]]:
    """Every way to read each array; for weights, of which the first ones are known, the order they are in.

    And the arrays that have no such shape.
    """
    arrays: dict[Key, list[Reading]] = {}
    groups: dict[Key, str] = {}
    orders: dict[str, Order] = {}
    misshapen: dict[Key, Array] = {}
    for key, (name, array) in given.items():
        shape, is_trained = shape_of(case, key)
        group, of_images = group_of(shape, is_trained), None
        if key[1:] == ("loss", "y") and array.ndim == 1 and array.size == case.images > 1:
            count = case.loss.count(case.batches[key[0] - 1].target) or 1
            of_images, array = array, np.array(array.sum() / count)
            mean = partial(divided, count=count)
            notes.append(f"{name}: the mean of the {case.images} numbers given")
        found = readings(array, shape, group)
        if of_images is not None:
            found = [summary(of_images, mean, ())]
        if shape and (by_position := at_positions(case, key, array)):
            found, group = by_position, BY_POSITION
        if not found:
            if key[0] > 0:
                misshapen[key] = array
            else:
                notes.append(f"{refuse(name, array, shape)}; the case gives these weights, and they are not compared")
            continue
        first = case.net.steps[key[1]].arrays.get(key[2]) if is_trained else None
        if first is not None and group in ("kernels", "dense") and group not in orders:
            # kernels may be kept turned as well
            alike = (first, first[:, :, ::-1, ::-1]) if group == "kernels" else (first,)
            away = [min(float(np.abs(each.array - one).sum()) for one in alike) for each in found]
            nearest = int(np.argmin(away))
            others = away[1:] if nearest == 0 else away[:1]
            if 4 * away[nearest] < min([*others, float(np.abs(first).sum())]):  # an update moves weights by little
                orders[group] = found[nearest].order
        if key[0] > 0:
            arrays[key], groups[key] = found, group
    return arrays, groups, told_by_shapes(arrays, groups) | orders, misshapen


def told_by_shapes(arrays: dict[Key, list[Reading]], groups: dict[Key, str]) -> dict[str, Order]:
    """The order of each kind of array, where one alone fits the shapes of all of them.

    A program lays out alike what is alike: where an array fits two orders, since two of its axes are equally long,
    another one tells. No such order where only rows and columns are exchanged, which may be a mistake in all of them.
    Where a program has its maps all the other way round, as Julia's and Fortran's are, so are its rows and its kernels;
    the weights of dense layers are written (unit, input) in these languages too.
    """
    shared = {group: told_apart(group, each, arrays, groups) for group, each in fitting(arrays, groups).items()}
    odd = {groups[key] for key, found in arrays.items() if suspicious(found[0])}
    orders = {group: next(iter(each)) for group, each in shared.items() if len(each) == 1 and group in AXES}
    orders = {group: order for group, order in orders.items() if group not in odd}
    if orders.get("maps") == backwards("maps"):
        kept = fitting(arrays, groups)
        alike = [group for group, each in kept.items() if group != "dense" and backwards(group) in each]
        orders = {group: backwards(group) for group in alike} | orders
    return orders


def told_apart(group: str, orders: set[Order], arrays: dict[Key, list[Reading]], groups: dict[Key, str]) -> set[Order]:
    """Of orders that differ only in where axes of length 1 are, the commonest: they are the same numbers."""
    shapes = [found[0].array.shape for key, found in arrays.items() if groups[key] == group]
    by_long: dict[Order, Order] = {}
    for order in sorted(orders, key=commonest(group)):
        by_long.setdefault(tuple(axis for axis in order if any(shape[axis] > 1 for shape in shapes)), order)
    return set(by_long.values())


def at_positions(case: Case, key: Key, given: Array) -> list[Reading]:
    """How to read biases, or their gradients, of which there is one at each position (filter, row, column).

    A gradient is the sum over them; of biases the mean is compared. Empty where there is one for each filter.
    """
    step = case.net.steps.get(key[1])
    if step is None or not isinstance(step.layer, Conv) or key[2] not in ("b", "db") or given.ndim != 3:
        return []
    made = {(0, 1, 2): (1, 2), (1, 2, 0): (0, 1)}  # axes of the positions, by the order of the axes
    by: Callable[..., Array] = np.sum if key[2] == "db" else np.mean
    axes = [axes for order, axes in made.items() if tuple(step.y[axis] for axis in order) == given.shape]
    return [summary(given, partial(by, axis=each), (0,)) for each in axes]


def shape_of(case: Case, key: Key) -> tuple[tuple[int, ...], bool]:
    """The shape of an array, and whether it is a trained one or the gradient of such."""
    _, name, quantity = key
    if name == "loss":
        return (() if quantity == "y" else (case.images, *case.net.output)), False
    step = case.net.steps[name]
    if quantity in ("y", "dx", "dy"):
        return (case.images, *(step.x if quantity == "dx" else step.y)), False
    if quantity == "dskip":
        return (case.images, *case.net.steps[str(step.layer.skips())].y), False
    if quantity in step.state:
        return step.state[quantity].shape, False
    return step.weights[quantity if quantity in step.weights else quantity[1:]].shape, True
