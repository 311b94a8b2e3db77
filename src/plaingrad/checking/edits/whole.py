"""Mistakes of a whole array: another layer's text, or the right array and some share of another one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.edited_line import EditedLine, edited
from plaingrad.checking.edits.factors import last_line, numbers
from plaingrad.checking.edits.layouts import Layout, layouts
from plaingrad.checking.edits.lines import LETTERS
from plaingrad.checking.edits.making import Making, making
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Estimate
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.rounding import explains, fits
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import L2Pool, LeakyReLU, MaxPool, MeanPool, ReLU, Sigmoid, Softmax, Tanh
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, Loss, MeanSquaredError, SoftmaxCrossEntropy

SHARES = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.9, 0.1, 0.01, 0.001, 0.0001)
"""Usual shares of an array that is added by mistake, beside the numbers of the pass."""
ACTIVATIONS: tuple[Layer, ...] = (ReLU(), LeakyReLU(0.01), LeakyReLU(0.1), LeakyReLU(0.2), Sigmoid(), Tanh())
BEFORE_A_LOSS: tuple[Layer, ...] = (Softmax(), Sigmoid(), Tanh(), ReLU())
LOSSES: tuple[Loss, ...] = (SoftmaxCrossEntropy(), CrossEntropy(), MeanSquaredError(), HalfSquaredError())


@dataclass(frozen=True)
class Whole:
    """A candidate: what it makes in a pass, and its line."""

    line: str
    make: Callable[[Context], Array | None]


def candidates(context: Context) -> Iterator[Whole]:
    """Other texts that could stand in place of this one."""
    owner = context.owner
    if isinstance(owner, ReLU | LeakyReLU | Sigmoid | Tanh | Softmax):
        for other in ACTIVATIONS:
            if other != owner and context.x.ndim in (2, 4):
                yield Whole(_line_of(other, context.quantity), _by(other))
                if context.quantity == "dx":
                    yield Whole(_line_of(other, "dx"), _by(other, own_y=True))
    elif isinstance(owner, MaxPool | MeanPool | L2Pool):
        for kind in (MaxPool, MeanPool, L2Pool):
            if not isinstance(owner, kind):
                pool = kind(owner.size, owner.stride, owner.padding, owner.dilation, owner.ceil_mode)
                yield Whole(_line_of(pool, context.quantity), _by(pool))
    elif context.name == "loss":
        for loss in LOSSES:
            if loss != owner:
                yield Whole(_line_of(loss, context.quantity), _by(loss))
            for before in BEFORE_A_LOSS:
                yield from _of_function(loss, before, context)


def _of_function(loss: Loss, before: Layer, context: Context) -> Iterator[Whole]:
    """A loss of a function of the outputs: one that was applied before, or once too often."""
    said = f"{_line_of(loss, context.quantity)}, of {type(before).__name__.lower()}(x) in place of x"
    yield Whole(said, _by(loss, before=before))
    if context.quantity == "dx":
        yield Whole(f"{said}, and back through it", _by(loss, before=before, goes_back=True))


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


def _line_of(owner: Layer | Loss, quantity: str) -> str:
    """The line in which another text fills the array."""
    text = owner.forward if quantity == "y" else owner.backward
    lines = [each.strip() for each in text.source.splitlines()]
    stores = [each for each in lines if each.startswith(f"{quantity}[") and not each.endswith(" = 0")]
    return f"{(stores or lines)[-1]}  (as in {text.__name__}, of {owner})"


def _by(
    owner: Layer | Loss, own_y: bool = False, before: Layer | None = None, goes_back: bool = False
) -> Callable[[Context], Array | None]:
    """What another layer's texts, or another loss's, make of the same arrays."""

    def made(context: Context) -> Array | None:
        single = SingleLayer(owner, context.x.shape[1:], len(context.x))
        if context.name == "loss":
            x = context.x
            if before is not None:
                function = SingleLayer(before, x.shape[1:], len(x))
                function.run_on(x, {})
                x = function.get("y")
            count = single.aim(x, context.target)
            single.forward()
            if context.quantity == "dx":
                single.backward()
            found = single.get(context.quantity)
            if before is not None and goes_back:
                function.put(dy=found)
                function.backward()
                found = function.get("dx")
            return np.array(found.sum() / count) if context.quantity == "y" else found
        single.run_on(context.x, {})
        if context.quantity == "dx":
            if own_y:
                single.put(y=context.y)
            single.put(dy=context.dy)
            single.backward()
        return single.get(context.quantity)

    return made


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
                words = f"{_in_brackets(own[0])}  + {share:g} * {name}".replace("+ -", "- ").replace(" 1 * ", " ")
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


def _is(expected: Estimate, made: Array, given: Array, precision: Precision) -> bool:
    return explains(made, expected.value, given) and fits(expected, made, given, precision)


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
