"""Slips in convolutions, pools, softmaxes and losses as people make them, in plain NumPy, and the names that tell them.

Nothing of the catalogue or of the texts' edits is used.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import plaingrad as pg
from plaingrad.checking.case import Case
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array
from slips import LINE, slip

LOSS, SUMS = "SoftmaxCrossEntropy", ("Conv", "Dense")
KINDS = ("Conv", "Dense", "MaxPool", "MeanPool", "Softmax", LOSS)


def case_of(kind: str, rng: np.random.Generator) -> Case:
    """A network with such a layer, or such a loss, of sizes, settings and images drawn at random.

    Windows have different rows and columns, and padding; in a third of the softmaxes there are as many images as
    classes, as a sum set beside the wrong axis needs.
    """
    images, classes = int(rng.integers(2, 6)), int(rng.integers(3, 7))
    rows, columns = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    filters, seed = int(rng.integers(2, 5)), int(rng.integers(10**6))
    padding = int(rng.integers(1, rows)), int(rng.integers(1, columns))
    shape = int(rng.integers(1, 4)), int(rng.integers(6, 9)), int(rng.integers(6, 9))
    first = pg.Conv(filters, size=(rows, columns), padding=padding)
    stride = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    pool = {"MaxPool": pg.MaxPool, "MeanPool": pg.MeanPool}.get(kind)
    middle: tuple[pg.Layer, ...] = (pg.Tanh(),)
    if pool is not None:
        middle += (pool((rows, columns), stride=stride, padding=padding),)
    if kind in (LOSS, "Softmax") and rng.random() < 1 / 3:
        images = classes
    last: tuple[pg.Layer, ...] = (pg.Softmax(),) if kind == "Softmax" else ()
    return make_case((first, *middle, pg.Flatten(), pg.Dense(classes), *last), shape, images=images, seed=seed)


# Softmax


def by_rows(numbers: Array) -> Array:
    return numbers.sum(1, keepdims=True)


def softmax_otherwise(largest: Callable[[Array], Array], total: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """A softmax with another maximum, or another sum."""

    def made(x: Array) -> Array:
        grown = np.exp(x - largest(x))
        return grown / total(grown)

    return made


def is_square(context: Context) -> bool:
    return context.x.shape[0] == context.x.shape[1]


def of_softmax(
    name: str, made: Callable[[Array], Array], when: Callable[[Context], bool] = lambda context: True
) -> None:
    """A slip in a softmax: the layer's output; or the loss, with the gradient of the same probabilities."""

    def loss(context: Context) -> Array | None:
        return np.array(-(context.target * np.log(made(context.x))).sum(1).mean()) if when(context) else None

    def error(context: Context) -> Array | None:
        return (made(context.x) - context.target) / len(context.x) if when(context) else None

    slip(f"{name}, in the loss", LOSS, "softmax-of-the-batch largest-score-not-added-back", y=loss, dx=error)
    slip(name, "Softmax", "softmax-over-the-batch", y=lambda context: made(context.x) if when(context) else None)


def row_maximum(x: Array) -> Array:
    return x.max(1, keepdims=True)


of_softmax("sum over the images", softmax_otherwise(row_maximum, lambda e: e.sum(0)))
of_softmax("sum over the batch", softmax_otherwise(row_maximum, lambda e: e.sum()))
of_softmax("sum over the images, without the maximum", softmax_otherwise(lambda x: x * 0, lambda e: e.sum(0)))
of_softmax("maximum and sum over the batch", softmax_otherwise(lambda x: x.max(), lambda e: e.sum()))
of_softmax("maximum over the images", softmax_otherwise(lambda x: x.max(0), by_rows))
of_softmax("maximum over the images, sum over all", softmax_otherwise(lambda x: x.max(0), lambda e: e.sum()))
of_softmax("sum beside the wrong axis", softmax_otherwise(row_maximum, lambda e: e.sum(1)), is_square)
of_softmax("maximum beside the wrong axis", softmax_otherwise(lambda x: x.max(1), by_rows), is_square)
of_softmax("both beside the wrong axis", softmax_otherwise(lambda x: x.max(1), lambda e: e.sum(1)), is_square)


def log_softmax(name: str, made: Callable[[Array], Array]) -> None:
    """Another logarithm of the probabilities in the loss, and in its gradient."""

    def loss(context: Context) -> Array:
        return np.array(-(context.target * made(context.x)).sum(1).mean())

    def error(context: Context) -> Array:
        return (np.exp(made(context.x)) - context.target) / len(context.x)

    slip(name, LOSS, "largest-score-not-added-back softmax-of-the-batch", y=loss, dx=error)
    slip(f"{name}, with the right gradient", LOSS, "largest-score-not-added-back softmax-of-the-batch", y=loss)


log_softmax("maximum not added back", lambda x: x - np.log(by_rows(np.exp(x - row_maximum(x)))))
log_softmax("maximum taken off twice", lambda x: x - row_maximum(x) - np.log(by_rows(np.exp(x))))
log_softmax("logarithm of the sum over the images", lambda x: x - np.log(np.exp(x).sum(0)))
slip(
    "errors summed over the images",
    "Softmax",
    f"softmax-sum-over-the-batch {LINE}",
    dx=lambda context: context.y * (context.dy - (context.dy * context.y).sum(0)),
)
slip(
    "errors summed over the batch",
    "Softmax",
    "softmax-sum-over-the-batch",
    dx=lambda context: context.y * (context.dy - (context.dy * context.y).sum()),
)


# Sums of products


class Loops:
    """A convolution, or a pool, in loops over its windows: each pixel by its window, with its place in the image."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.window = context.window
        self.rows, self.columns = context.x.shape[2:]

    def pixels(self, outputs: Array) -> Iterator[tuple[int, int, int, int, int, int]]:
        """(i, j, u, v, row, column), also of pixels beyond the image."""
        for i, j in np.ndindex(*outputs.shape[2:]):
            for u, v in np.ndindex(*self.window.size):
                row = i * self.window.stride[0] + u * self.window.dilation[0] - self.window.padding[0]
                column = j * self.window.stride[1] + v * self.window.dilation[1] - self.window.padding[1]
                yield i, j, u, v, row, column

    def holds(self, row: int, column: int) -> bool:
        return 0 <= row < self.rows and 0 <= column < self.columns

    def counts(self, outputs: Array) -> Array:
        """How many pixels of each window lie on the image."""
        found = np.zeros(outputs.shape[2:])
        for i, j, _, _, row, column in self.pixels(outputs):
            found[i, j] += self.holds(row, column)
        return found

    def forward(self, holds: Callable[[int, int], bool], rows: Any = int, columns: Any = int) -> Array:
        """The outputs of a convolution, with another test of the bounds, or other pixels."""
        w, b = (self.context.weights[name] for name in ("w", "b"))
        y = np.zeros_like(self.context.expected)
        y += b[:, None, None]
        for i, j, u, v, row, column in self.pixels(y):
            if holds(row, column):
                y[:, :, i, j] += self.context.x[:, :, rows(row), columns(column)] @ w[:, :, u, v].T
        return y


def bias(context: Context) -> Array:
    """The bias beside the outputs."""
    return context.weights["b"].reshape(-1, *[1] * (context.expected.ndim - 2))


def below_alone(context: Context) -> Array:
    """Only the upper bounds are tested: an index below 0 counts from the end."""
    loops = Loops(context)
    return loops.forward(lambda row, column: row < loops.rows and column < loops.columns)


FOR_EACH = f"bias-for-each-channel bias-added-twice {LINE}"
OF_BIAS = f"bias-gradient-for-each-product doubled-or-halved summed-over-the-batch {LINE}"

slip("bias twice", SUMS, FOR_EACH, y=lambda context: context.expected + bias(context))
slip("bias subtracted", SUMS, f"bias-subtracted {LINE}", y=lambda context: context.expected - 2 * bias(context))
slip(
    "bias for each channel",
    SUMS,
    FOR_EACH,
    y=lambda context: context.expected + (context.weights["w"].shape[1] - 1) * bias(context),
)
slip(
    "bias for each pixel on the image",
    "Conv",
    FOR_EACH,
    y=lambda context: context.expected + (Loops(context).counts(context.expected) - 1) * bias(context),
)
slip(
    "bias for each pixel of the window",
    "Conv",
    FOR_EACH,
    y=lambda context: context.expected + (np.prod(context.window.size) - 1) * bias(context),
)
slip(
    "gradient of the bias for each pixel on the image",
    "Conv",
    OF_BIAS,
    db=lambda context: (context.dy * Loops(context).counts(context.dy)).sum((0, 2, 3)),
)
slip(
    "gradient of the bias for each product",
    "Conv",
    OF_BIAS,
    db=lambda context: context.x.shape[1] * (context.dy * Loops(context).counts(context.dy)).sum((0, 2, 3)),
)
slip(
    "gradient of the bias for each input",
    "Dense",
    OF_BIAS,
    db=lambda context: context.x.shape[1] * context.expected,
)
slip("upper bounds alone", "Conv", LINE, y=below_alone)
