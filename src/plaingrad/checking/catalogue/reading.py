"""Mistakes in what is read of the case, images and starting weights, and in what numbers are kept in."""

from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter, mistake
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

ALL, OF_IMAGE, OF_CHANNEL, OF_PIXEL = None, (1, 2, 3), (0, 2, 3), (0,)  # axes of what has one mean
FIRST = "Conv.y Conv.dw Dense.y Dense.dw Flatten.y MeanPool.y"  # passes that read the images, in the first layer


def reads_images(context: Context) -> bool:
    """Whether a layer reads the images of the case, as they are or flattened."""
    names = context.program.names
    before = names[: names.index(context.name)]
    return all(type(context.program.steps[each].layer).__name__ == "Flatten" for each in before)


def of_images(change: Callable[[Array], Array]) -> Form:
    """A form in which the images are changed before they are read."""

    def form(context: Context) -> Array:
        x = context.program.case.batches[min(context.step, context.program.last) - 1].x
        return context.sum(context.terms, x=change(x).reshape(context.x.shape))

    return form


def centred(axes: tuple[int, ...] | None, is_divided: bool) -> Form:
    """Images without their mean; divided by their standard deviation too where told."""

    def change(x: Array) -> Array:
        kept = tuple(range(1, x.ndim)) if axes == OF_IMAGE else axes
        kept = None if kept is not None and max(kept) >= x.ndim else kept
        spread = x.std(axis=kept, keepdims=True)
        moved = x - x.mean(axis=kept, keepdims=True)
        return np.asarray(moved / np.where(spread > 0, spread, 1) if is_divided else moved)

    return of_images(change)


enter(
    "images-cut-to-whole-numbers",
    FIRST,
    "the images are cut to whole numbers before they are read",
    "Keep the images as floating-point numbers: int(), or an array with an integer dtype, cuts what is put into it.",
    of_images(np.trunc),
    of_images(np.round),
    when=reads_images,
    kind=Kind.ARRAY,
)

enter(
    "images-centred",
    FIRST,
    "the images are changed before they are read: their mean is subtracted, or they are brought to another range",
    "The case's images are the input as they stand: leave the preparation out for the comparison.",
    *(centred(axes, is_divided) for axes in (ALL, OF_IMAGE, OF_CHANNEL, OF_PIXEL) for is_divided in (False, True)),
    of_images(lambda x: x - 0.5),
    of_images(lambda x: 2 * x - 1),
    of_images(lambda x: 1 - x),
    of_images(lambda x: x / 255),
    of_images(lambda x: x * 255),
    of_images(lambda x: x / 256),
    of_images(lambda x: (x - x.min()) / (np.ptp(x) or 1)),
    when=reads_images,
    kind=Kind.ARRAY,
)


def mirrored(axis: int) -> Form:
    """Images in reverse along an axis, where they have it."""
    return of_images(lambda x: np.flip(x, axis) if axis < x.ndim else x)


enter(
    "images-in-another-order",
    FIRST,
    "the images of the batch are read in another order: the last one first, or each one place further on",
    "Take images and targets in the order of the case, and shuffle neither without the other.",
    mirrored(0),
    of_images(lambda x: np.roll(x, 1, 0)),
    of_images(lambda x: np.roll(x, -1, 0)),
    when=reads_images,
    kind=Kind.ARRAY,
)

enter(
    "channels-reversed",
    FIRST,
    "the channels of the images are read in reverse: blue, green, red in place of red, green, blue",
    "Some libraries read images as blue, green, red: take the channels in the order of the case.",
    mirrored(1),
    when=reads_images,
    kind=Kind.ARRAY,
)

enter(
    "images-mirrored",
    FIRST,
    "the images are read mirrored, or turned: their rows or columns in reverse, or exchanged",
    "The case lists each channel row by row, the first row at the top, and each row from the left.",
    mirrored(2),
    mirrored(3),
    of_images(lambda x: x[..., ::-1, ::-1] if x.ndim == 4 else x),
    of_images(lambda x: x.swapaxes(-2, -1).reshape(x.shape) if x.ndim == 4 else x),
    when=reads_images,
    kind=Kind.ARRAY,
)


def read_as(name: str, w: Array, form: int) -> Array:
    """A starting weight as it is read by mistake: biases, or weights, or both cut to whole numbers; biases as 0."""
    is_bias = name == "b"
    if form == len(READ) - 1:
        return np.zeros_like(w) if is_bias else w
    return np.trunc(w) if is_bias in READ[form] else w


READ = ((True,), (False,), (True, False), ())


@mistake(
    "starting-weights-misread",
    "Conv.y Conv.dx Dense.y Dense.dx Conv.update Dense.update",
    "the starting weights are not those of the case: they are cut to whole numbers, or biases start from 0",
    "Take all starting weights and biases from the case, as floating-point numbers: an array of whole numbers, made by "
    "int() or with an integer dtype, cuts what is put into it.",
    late=True,
    kind=Kind.ARRAY,
)
def misread(context: Context) -> Iterator[Array]:
    if context.step > 1:
        return
    for form in range(len(READ)):
        w = {name: read_as(name, each, form) for name, each in context.weights.items()}
        if context.way == "update":
            yield w[context.weight] - context.rate * context.slope
        elif context.quantity == "dx":
            yield context.with_weights(w)
        else:
            yield context.sum(context.terms, w=w)


def orders(w: Array) -> Iterator[Array]:
    """A starting weight as it is read whose numbers lie with the axes in another order than the case's."""
    axes = ((3, 2, 1, 0), (2, 3, 1, 0), (0, 2, 3, 1), (1, 0, 2, 3), (0, 1, 3, 2)) if w.ndim == 4 else ((1, 0),)
    for order in axes:
        sizes = [w.shape[axis] for axis in order]
        yield np.ascontiguousarray(w.reshape(sizes).transpose(np.argsort(order)))


@mistake(
    "starting-weights-in-another-order",
    "Conv.y Conv.dx Dense.y Dense.dx Conv.update Dense.update",
    "the starting weights are read as if their axes were in another order: column by column, or as another library has "
    "them",
    "The case lists the weights of a convolution by (filter, channel, row, column), those of a dense layer by (unit, "
    "input), the last index fastest.",
    kind=Kind.ARRAY,
)
def in_another_order(context: Context) -> Iterator[Array]:
    # What goes on with such weights does so from the first pass on: no step alone is made of them.
    is_alone = context.way == "update" and (context.weight != "w" or context.given is None)
    if context.step > 1 or is_alone:
        return
    for w in orders(context.weights["w"]):
        if context.way == "update":
            yield w - context.rate * context.slope
        elif context.quantity == "dx":
            yield context.with_weights({**context.weights, "w": w})
        else:
            yield context.sum(context.terms, w={**context.weights, "w": w})


def in_half(context: Context) -> Array | None:
    """The numbers as float16 has them; None where they are too large for it."""
    with np.errstate(over="ignore"):
        kept = context.expected.astype(np.float16).astype(float)
    return kept if np.isfinite(kept).all() else None


enter(
    "kept-in-half-precision",
    "*.y *.dx *.dw *.db loss.dx",
    "the numbers are rounded to float16, which keeps three digits",
    "Compute and keep all arrays in float64, or in float32: give the dtype where an array is made.",
    in_half,
    when=lambda context: context.expected.size > 1,
    late=True,
    kind=Kind.FUNCTION,
)
