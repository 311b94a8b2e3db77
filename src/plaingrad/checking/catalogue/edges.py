"""Mistakes of convolutions at the edge of the image."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, mistake
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array


@mistake(
    "loop-ended-at-the-padding",
    "Conv.y Conv.dw Conv.dx",
    "a loop over the window ends at the first row or column in the padding: break instead of continue",
    "A row or column beyond the edge adds nothing, and those after it do: skip it, and go on.",
    kind=Kind.SUM,
)
def ended(context: Context) -> Iterator[Array]:
    letters, terms = context.letters(), context.terms
    top, left = (letters[each] * context.window.stride[axis] for axis, each in enumerate("ij"))
    begins = top >= context.begin[0], left >= context.begin[1]
    for kept in (begins[1], begins[0], begins[0] & begins[1]):
        yield context.sum(terms.only(kept | (terms.inner < 0)))


@mistake(
    "window-cut-at-the-edge",
    "Conv.y Conv.dw Conv.dx",
    "a window that hangs over the edge is cut off there, and meets the kernel from the kernel's first row and column",
    "What is left of a window above or left of the image meets the last rows and columns of the kernel: cut the kernel "
    "as the window is cut, or put zeros around the image.",
    kind=Kind.WINDOW,
)
def cut(context: Context) -> Iterator[Array]:
    window, begin = context.window, context.begin
    if set(window.dilation) != {1}:
        return

    def placed(axis: int) -> tuple[Array, Array]:
        """The first pixel of each window on the image, and how many of it there are."""
        start = np.arange(context.terms.y[1 + axis]) * window.stride[axis] - begin[axis]
        first = np.maximum(start, 0)
        return first, np.minimum(start + window.size[axis], context.terms.x[1 + axis]) - first

    (first_row, rows), (first_column, columns) = placed(0), placed(1)
    yield context.sum(
        context.placed(
            lambda i, j, u, v: np.where(u < rows[i], first_row[i] + u, -1),
            lambda i, j, u, v: np.where(v < columns[j], first_column[j] + v, -1),
        )
    )
