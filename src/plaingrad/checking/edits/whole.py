"""Mistakes of a whole array: another layer's text, or the right array and some share of another one."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits import changed
from plaingrad.checking.edits.edited_line import EditedLine, edited
from plaingrad.checking.edits.factors import last_line, numbers
from plaingrad.checking.edits.layouts import Layout, layouts
from plaingrad.checking.edits.lines import LETTERS, OWN
from plaingrad.checking.edits.making import Making, making
from plaingrad.checking.edits.other_texts import candidates
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Estimate
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.rounding import is_made
from plaingrad.compiler.loops import Array

SHARES = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.9, 0.1, 0.01, 0.001, 0.0001)
"""Usual shares of an array that is added by mistake, beside the numbers of the pass."""


def running(context: Context) -> Iterator[tuple[str, Callable[[Context], Array | None]]]:
    """Numbers that are not begun anew where a loop goes on: sums, or a largest, over all that came before."""
    axes = context.expected.ndim
    if (context.name, context.quantity) == ("loss", "y"):
        yield "the loss is not begun anew in each step: it goes on from the step before", _added_to_the_last
        yield "the root of the loss is taken", lambda context: np.sqrt(np.abs(context.expected))
    if context.name == "loss" or axes == 0 or context.kind not in ("Conv", "Dense", "MaxPool", "MeanPool", "L2Pool"):
        return
    letters = {4: "ncij" if context.quantity != "y" else "nkij", 2: "nk", 1: "k"}.get(axes, "")
    if context.quantity in ("dw", "db"):
        letters = {4: "kcuv", 2: "kc", 1: "k"}[axes]
    if context.quantity != "dx":
        for count in range(1, axes):
            loop = letters[axes - count]
            words = f"what {loop} begins with is not begun anew for each {loop}: it goes on from the one before"
            yield words, _from(count)
            if loop == "k" and context.quantity == "y":
                yield f"{words}, and the bias is added after it", _from(count, bias_behind=True)
    if axes > 1 and context.quantity in ("y", "dx"):
        yield f"{context.quantity} is not begun anew for each image: it goes on from the image before", _along_images


def _added_to_the_last(context: Context) -> Array | None:
    """The loss added to what was told in the step before."""
    return None if context.step == 1 else context.expected + np.asarray(context.before)


def _from(count: int, bias_behind: bool = False) -> Callable[[Context], Array | None]:
    """What goes on over the last axes, in reading order."""

    def made(context: Context) -> Array | None:
        right = context.expected
        rows = right.reshape(*right.shape[: right.ndim - count], -1)
        if context.kind == "MaxPool":
            return np.maximum.accumulate(rows, axis=-1).reshape(right.shape)
        if context.kind not in ("Conv", "Dense"):
            return None
        first = _begun_with(context)
        sums = np.cumsum((right - first).reshape(rows.shape), axis=-1).reshape(right.shape)
        begun = np.broadcast_to(first, right.shape).reshape(rows.shape)
        if not bias_behind:
            begun = begun[..., :1]
        return np.asarray(sums.reshape(rows.shape) + begun).reshape(right.shape)

    return made


def _begun_with(context: Context) -> Array:
    """What the sums of a pass begin with: the bias of each filter on the way forward, else 0."""
    if context.quantity != "y" or "b" not in context.weights:
        return np.zeros(())
    return context.weights["b"].reshape(-1, *[1] * (context.expected.ndim - 2))


def _along_images(context: Context) -> Array | None:
    """What goes on from image to image."""
    right = context.expected
    if context.kind == "MaxPool" and context.quantity == "y":
        return None
    first = _begun_with(context)
    return np.asarray(np.cumsum(right - first, axis=0) + first)


def count_scaled(context: Context) -> int:
    """How many other texts are tried, each times every usual factor."""
    return len([*candidates(context)]) * len(numbers(context))


def found(
    context: Context, how: Making, expected: Estimate, given: Array, precision: Precision, scaled: bool
) -> Iterator[tuple[EditedLine, Array]]:
    """The whole arrays that an answer is of other texts, or of sums that go on.

    Where `scaled`, another text's times a usual factor.
    """
    own = [last_line(how.lines)]
    factors = numbers(context) if scaled else {"": 1.0}
    for each in candidates(context):
        made = each.make(context)
        if made is None or not np.isfinite(made).all():
            continue
        for words, factor in factors.items():
            if _is(expected, factor * made, given, precision):
                line = f"{each.line} {words}".strip()
                wrong = _times(each.make, words)
                yield edited(own, [line], Kind.FUNCTION, wrong), factor * made
                break
    if scaled:
        return
    for layout in layouts(context.quantity, expected.value.shape):
        for number, made in enumerate(layout.written(expected.value)):
            if _is(expected, made, given, precision):
                said = layout.said(LETTERS[made.ndim]) + (", added up there" if number else "")
                yield edited(own, [said], Kind.INDEX, _laid(layout, number)), made
    for words, make in running(context):
        made = make(context)
        if made is not None and _is(expected, made, given, precision):
            yield edited(own, [words], Kind.SUM, _times(make, "")), made
            break


def changes(
    context: Context, how: Making, expected: Estimate, given: Array, precision: Precision
) -> Iterator[tuple[EditedLine, Array]]:
    """What is left of the right array where a function of it is taken, or means along its axes; or sums of others."""
    own = [last_line(how.lines)]
    for change in changed.filled(context.quantity, expected.value.ndim) if expected.value.ndim else ():
        made = change.of(expected.value)
        if np.isfinite(made).all() and _is(expected, made, given, precision):
            said = f"{context.quantity}[:] = {change.said(())}, once it is filled"
            yield edited(own, [said], Kind.FUNCTION, _laid(change, 0)), made
    for words, total in _totals(context, how):
        found = total(context)
        if found is not None and _is(expected, found, given, precision):
            yield edited(own, [words], Kind.ARRAY, _times(total, "")), found


def shares(
    context: Context, how: Making, expected: Estimate, given: Array, precision: Precision
) -> Iterator[tuple[EditedLine, Array]]:
    """The right array with a share of another one, where that is what an answer is."""
    own = [last_line(how.lines)]
    off = given - expected.value
    for name, other in _others(how):
        if other.shape != given.shape or not other.any():
            continue
        for share in (*SHARES, context.program.case.rate, -context.program.case.rate):
            added = share * other
            if np.abs(off - added).max() > 0.01 * np.abs(off).max():
                continue
            if _is(expected, expected.value + added, given, precision):
                words = f"{_in_brackets(own[0])}  + {share:g} * {name.removeprefix(OWN)}".replace("+ -", "- ").replace(
                    " 1 * ", " "
                )
                yield edited(own, [words], Kind.ARRAY, _plus(name, share)), expected.value + added


def _in_brackets(line: str) -> str:
    """A line to whose value something is added: of a choice the whole is put in brackets."""
    cell, _, value = line.partition(" = ")
    return f"{cell} = ({value})" if " if " in value else line


def _others(how: Making) -> Iterator[tuple[str, Array]]:
    if len(how.parts) == 1 and not how.mean:
        part = how.parts[0]
        for name, array in part.known.items():
            if isinstance(array, np.ndarray) and name != how.lines.wanted:
                yield name, array


def _totals(context: Context, how: Making) -> Iterator[tuple[str, Callable[[Context], Array | None]]]:
    """Sums and means of another array over some of its axes, where that has more of them than this one."""
    shape = context.expected.shape
    if not shape or how.mean:
        return
    for name, other in _others(how):
        for axes in itertools.combinations(range(other.ndim), max(other.ndim - len(shape), 0)):
            left = tuple(size for axis, size in enumerate(other.shape) if axis not in axes)
            if axes and left == shape and other.dtype == float:
                for function in ("sum", "mean"):
                    over = axes if len(axes) > 1 else axes[0]
                    line = f"{context.quantity} = {name.removeprefix(OWN)}.{function}(axis={over})"
                    yield line, _total(name, axes, function)


def _total(name: str, axes: tuple[int, ...], function: str) -> Callable[[Context], Array | None]:
    def made(context: Context) -> Array | None:
        how = making(context)
        other = dict(_others(how)).get(name) if how is not None else None
        if other is None or other.ndim <= max(axes):
            return None
        found = np.asarray(other.mean(axis=axes) if function == "mean" else other.sum(axis=axes))
        return found if found.shape == context.expected.shape else None

    return made


def _is(expected: Estimate, made: Array, given: Array, precision: Precision) -> bool:
    return is_made(expected, made, given, precision)


def _times(make: Callable[[Context], Array | None], words: str) -> Callable[[Context], Iterator[Array]]:
    def wrong(context: Context) -> Iterator[Array]:
        made = make(context)
        factor = numbers(context).get(words, 1.0) if words else 1.0
        if made is not None:
            yield factor * made

    return wrong


def _laid(layout: Layout, number: int) -> Callable[[Context], Iterator[Array]]:
    def wrong(context: Context) -> Iterator[Array]:
        if layout.fits(context.expected.shape):
            yield [*layout.written(context.expected)][number]

    return wrong


def _plus(name: str, share: float) -> Callable[[Context], Iterator[Array]]:
    def wrong(context: Context) -> Iterator[Array]:
        how = making(context)
        array = dict(_others(how)).get(name) if how is not None else None
        yield context.expected if array is None else context.expected + share * array

    return wrong
