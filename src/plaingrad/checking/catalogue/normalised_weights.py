"""Mistakes in the gradients of a normalisation's scale and shift."""

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter
from plaingrad.checking.catalogue.normalised_back import slope_with
from plaingrad.checking.catalogue.normalising import Own, passes
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

enter(
    "normalised-left-out",
    passes("dw"),
    "the gradient of the scale is the sum of the errors: it is not multiplied by the normalised x̂",
    "y = w · x̂ + b: dw = Σ dy · x̂, and db = Σ dy.",
    slope_with(lambda own: 1),
    kind=Kind.OMISSION,
)


enter(
    "gradient-times-the-scale",
    passes("dw", "db"),
    "the gradient of the scale or the shift is multiplied by the scale w",
    "y = w · x̂ + b: dw = Σ dy · x̂ and db = Σ dy, with the error at y as it comes. Only what goes back to x̂ is "
    "multiplied by w.",
    lambda context: context.expected * context.weights["w"],
    kind=Kind.FACTOR,
)


enter(
    "normalised-in-the-shift-gradient",
    passes("db"),
    "the gradient of the shift is that of the scale: it is multiplied by the normalised x̂",
    "y = w · x̂ + b: dw = Σ dy · x̂, and db = Σ dy.",
    lambda context: Own(context).of_channels(Own(context).groups.laid(context.dy) * Own(context).normal),
    kind=Kind.ARRAY,
)


def at_place(row: int, column: int) -> Form:
    """The gradient with one place of each map alone."""

    def form(context: Context) -> Array | None:
        if context.dy.ndim != 4 or context.dy.shape[2] * context.dy.shape[3] == 1:
            return None
        kept = np.zeros_like(context.dy)
        kept[:, :, row, column] = context.dy[:, :, row, column]
        return context.of_error(kept)

    return form


enter(
    "one-place-alone",
    passes("dw", "db"),
    "only one place of each map is used: the sum is over the images alone",
    "Scale and shift are used at every place of every image: add up over images, rows and columns.",
    at_place(0, 0),
    at_place(-1, -1),
    kind=Kind.SUM,
)
