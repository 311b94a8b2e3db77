"""What a pass makes where one thing in it is otherwise: its errors, its weights, or where its windows lie."""

from collections.abc import Callable

import numpy as np

from plaingrad.checking.catalogue.entry import Form
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array
from plaingrad.textbook.window import Window

Places = tuple[Array, Array, Array, Array]


def of_outputs(kept: Callable[[Array, Array, Array], Array], image: int | None = None) -> Form:
    """A form in which some numbers (k, i, j) of an output map alone count, of several images one alone where told."""

    def made(context: Context) -> Array | None:
        if image is not None and context.images == 1:
            return None
        if context.quantity == "y":
            return context.sum(context.terms.only(kept(*context.terms.place("out"))))
        dy = context.dy if image is None else context.only_images(image)
        dy = np.where(kept(*np.indices(dy.shape[1:])), dy, 0)
        if context.program.terms(context.name):
            return context.sum(context.terms, dy)
        return context.program.loop(context.name, context.quantity, context.x, context.read, dy)

    return made


def with_weights(change: Callable[[Array], Array]) -> Form:
    """A form in which the weights, but for the bias, are changed before they are read."""
    return lambda context: context.sum(context.terms, w={**context.weights, "w": change(context.weights["w"])})


def reshaped(w: Array) -> Array:
    """The weights as one reads them who reshaped where a transpose was needed."""
    filters, channels, *rest = w.shape
    return np.ascontiguousarray(np.swapaxes(w.reshape(channels, filters, *rest), 0, 1))


def laid(context: Context, window: Window, order: Callable[..., Places] = lambda *letters: letters) -> Array:
    """What a pass of sums makes where a window of other settings moves, or one whose letters are in another order."""
    (row_stride, column_stride), (row_dilation, column_dilation), (top, left) = (
        window.stride,
        window.dilation,
        window.padding,
    )

    def row(*letters: Array) -> Array:
        i, _, u, _ = order(*letters)
        return np.asarray(i * row_stride + u * row_dilation - top)

    def column(*letters: Array) -> Array:
        _, j, _, v = order(*letters)
        return np.asarray(j * column_stride + v * column_dilation - left)

    return context.sum(context.placed(row, column))
