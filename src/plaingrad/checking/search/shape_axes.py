"""Arrays with too many or too few axes, or none at all: what they are, and whether the numbers are right so read.

Each rule yields the ways to read an array; `AXES_RULES` has those that say most first.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from plaingrad.checking.search.likeness import Likeness, Misshapen
from plaingrad.checking.search.names import name_of
from plaingrad.compiler.loops import Array
from plaingrad.textbook.phrases import shape_text


def empty(it: Misshapen) -> Iterator[Likeness]:
    """No number at all, as of a slice [p:-p] where p is 0."""
    if it.given.size:
        return
    sides = it.window.margins if it.window else ()
    cut = (
        it.key[2] == "dx"
        and len(sides) == 2
        and it.given.ndim == len(it.needed) == 4
        and it.given.shape[:2] == it.needed[:2]
    )
    gone = [axis for axis in (2, 3) if cut and it.given.shape[axis] == 0]
    told, advice = "it holds no number", "See why nothing was written to it."
    if gone and all(sides[axis - 2] == (0, 0) for axis in gone):
        told = "it holds no number, as a slice [p:-p] does where the padding p is 0"
        advice = "Cut padding off with [p : p + rows, p : p + columns]: [p:-p] takes nothing where p is 0."
    yield Likeness("empty-array", "the array is empty", told, advice, True)


def reshaped(it: Misshapen) -> Iterator[Likeness]:
    """The right numbers in the right order, with other axes."""
    if it.given.size == prod(it.needed) > 1:
        inner = it.given.reshape(it.needed)
        yield Likeness(
            "other-axes", "the numbers are in an array of other axes",
            "it has as many numbers as it should, in other axes",
            f"Reshape it to {shape_text(it.needed)}.", it.is_right(inner), inner,
        )  # fmt: skip


def not_summed(it: Misshapen) -> Iterator[Likeness]:
    """A gradient with an axis of images or of positions; or a weight updated by each image's gradient."""
    if it.step is None or it.key[2].removeprefix("d") not in it.step.weights:
        return
    sizes = {"image": it.images} | dict(zip(("row", "column"), it.step.y[1:], strict=False))
    weight = it.state.program.is_update(it.key)
    before = it.truth[it.state.program.weight_keys(it.key)[it.key[2]]].value if weight else None
    count = it.given.ndim - len(it.needed)
    for axes in itertools.combinations(range(it.given.ndim), count) if count > 0 else ():
        kept = [size for axis, size in enumerate(it.given.shape) if axis not in axes]
        if tuple(kept) != it.needed:
            continue
        for names in itertools.permutations(sizes, count):
            if [sizes[each] for each in names] != [it.given.shape[axis] for axis in axes]:
                continue
            each = it.given if before is None else it.given - np.expand_dims(before, axes)
            inner = each.sum(axis=axes) + (0 if before is None else before)
            over = " and ".join(f"{name}s" for name in sorted(names, key=list(sizes).index))
            single = " and ".join(sorted(names, key=list(sizes).index))
            kind = "updated weight" if weight else "bias gradient" if it.key[2] == "db" else "gradient"
            yield Likeness(
                f"not-summed-over-{over.replace(' and ', '-and-')}", f"not summed over the {over}",
                f"one {kind} for each {single}: sum over the {over}",
                f"A weight is used for every {single}: its gradient is the sum over all {over}.",
                it.is_right(inner, it.printed(it.given, axes)), inner,
            )  # fmt: skip
            break


def with_the_bias(it: Misshapen) -> Iterator[Likeness]:
    """Weights and bias in one matrix, the bias as a last or first column."""
    t, name, quantity = it.key
    if it.step is None or quantity not in ("dw", "w") or it.step.weights.keys() != {"w", "b"}:
        return
    bias, units = it.state.expected.get((t, name, quantity.replace("w", "b"))), it.needed[0]
    width = prod(it.needed[1:]) + 1
    for turned in (False, True):
        matrix = it.given.T if turned else it.given
        if bias is None or matrix.shape != (units, width):
            continue
        inner = [(matrix[:, :-1], matrix[:, -1], "last"), (matrix[:, 1:], matrix[:, 0], "first")]
        right = [
            (weights, where)
            for weights, column, where in inner
            if it.is_right(weights.reshape(it.needed)) and it.state.agrees(bias, column)
        ]
        weights, where = right[0] if right else (inner[0][0], "last")
        axis = "row" if turned else "column"
        yield Likeness(
            "bias-appended", "the bias is part of the weights",
            f"the {where} {axis} is that of the bias", f"Answer the {axis} of the bias as {name_of(it.key)[:-1]}b.",
            bool(right), weights.reshape(it.needed),
        )  # fmt: skip


def axis_missing(it: Misshapen) -> Iterator[Likeness]:
    """One image or channel instead of all, or their sum."""
    kept = it.given.shape
    squeezed = [axis for axis, size in enumerate(kept) if size == 1] if len(kept) == len(it.needed) else []
    for axis, name in enumerate(it.axes[: len(it.needed)]):
        size, shape = it.needed[axis], it.needed[:axis] + it.needed[axis + 1 :]
        if size == 1 or not (kept == shape or (axis in squeezed and kept[:axis] + kept[axis + 1 :] == shape)):
            continue
        given, value, wide = it.given.reshape(shape), it.expected.value, it.expected.uncertainty
        ways: list[tuple[str, Array, Array]] = [
            (f"{name} {at} alone", value.take(at, axis), wide.take(at, axis)) for at in range(size)
        ]
        ways += [
            (f"the sum over the {name}s", value.sum(axis), wide.sum(axis)),
            (f"the mean over the {name}s", value.mean(axis), wide.mean(axis)),
        ]
        right = [
            told
            for told, made, off in ways
            if it.is_right(given, replace(it.expected, value=made, uncertainty=off), len(ways))
        ]
        told = right[0] if right else "one of them, or their sum"
        yield Likeness(
            f"no-axis-of-{name}s", f"the axis of the {name}s is missing",
            f"there is no axis of the {size} {name}s: {told}",
            f"Answer all {size} {name}s, in order.", bool(right),
        )  # fmt: skip


def classes(it: Misshapen) -> Iterator[Likeness]:
    """One number for each image where there is one for each class: that of the true one, or the class's number."""
    program = it.state.program
    if it.needed != (it.images, *program.case.net.output) or it.given.reshape(-1).shape != (it.images,):
        return
    given, target = it.given.reshape(-1), program.case.batches[min(it.key[0], program.last) - 1].target
    rows, label = np.arange(it.images), target.argmax(axis=1)
    one = replace(
        it.expected, value=it.expected.value[rows, label], uncertainty=it.expected.uncertainty[rows, label]
    )  # fmt: skip
    classes, advice = it.needed[1], f"Answer one number for each of the {it.needed[1]} classes."
    if it.is_right(given, one):
        yield Likeness("true-class-alone", "only the true class", "the number of the true class alone", advice, True)
    elif (given == np.round(given)).all() and given.min() >= 0 and given.max() <= classes and it.key[2] == "y":
        yield Likeness("class-numbers", "class numbers", "it holds the number of a class for each image", advice)


def loss_in_parts(it: Misshapen) -> Iterator[Likeness]:
    """The loss of each image, or of each image and class."""
    if it.key[1:] != ("loss", "y") or it.given.size <= 1:
        return
    sizes = (it.images, *it.state.program.case.net.output)
    if it.given.size in (sizes[0], prod(sizes)):
        total, room = np.array(it.given.sum()), it.printed(it.given, tuple(range(it.given.ndim)))
        right = [way for way in (total / it.images, total / it.given.size, total) if it.is_right(way, room)]
        each = "image" if it.given.size == sizes[0] else "image and class"
        inner = right[0] if right else total / it.images
        yield Likeness(
            "loss-in-parts", "the loss is not one number", f"one number for each {each}",
            "The loss is one number: the mean over the images of each image's loss.", bool(right), inner,
        )  # fmt: skip


AXES_RULES = (empty, reshaped, not_summed, with_the_bias, axis_missing, classes, loss_in_parts)
