"""Slips in convolutions, pools, softmaxes and losses as people make them, in plain NumPy, and the names that tell them.

Nothing of the catalogue or of the texts' edits is used.

Over 300 lines, since all slips stand in one table.
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


# Pools


class Region:
    """A pool by the slice of the image that lies under each window, from `first` to `end` in both directions."""

    def __init__(self, context: Context) -> None:
        self.context = context
        window = context.window
        self.size, self.stride, self.padding = window.size, window.stride, window.padding
        self.image = context.x.shape[2:]
        self.outputs = context.program.steps[context.name].y[1:]

    def first(self, axis: int, place: int) -> int:
        return place * self.stride[axis] - self.padding[axis]

    def along(self, axis: int, place: int) -> slice:
        first = self.first(axis, place)
        return slice(max(first, 0), min(first + self.size[axis], self.image[axis]))

    def regions(self) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
        for i, j in np.ndindex(*self.outputs):
            yield i, j, (slice(None), slice(None), self.along(0, i), self.along(1, j))

    def divisor(self, count: int) -> float:
        return count

    def mean(self) -> Array | None:
        """The means of the regions; None where one is empty."""
        y = np.zeros_like(self.context.expected)
        for i, j, region in self.regions():
            part = self.context.x[region]
            if not part.size:
                return None
            y[:, :, i, j] = part.sum((2, 3)) / self.divisor(part[0, 0].size)
        return y

    def shared(self) -> Array | None:
        """The error of each mean in equal shares."""
        dx = np.zeros_like(self.context.x)
        for i, j, region in self.regions():
            if not dx[region].size:
                return None
            dx[region] += self.share(self.context.dy[:, :, i, j, None, None], self.divisor(dx[region][0, 0].size))
        return dx

    def share(self, error: Array, count: float) -> Array:
        return error / count

    def largest(self) -> Array | None:
        y = np.zeros_like(self.context.expected)
        for i, j, region in self.regions():
            if not self.context.x[region].size:
                return None
            y[:, :, i, j] = self.context.x[region].max((2, 3))
        return y


class WithoutStride(Region):
    def first(self, axis: int, place: int) -> int:
        return place - self.padding[axis]


class WithoutRowStride(Region):
    def first(self, axis: int, place: int) -> int:
        return place * (self.stride[axis] if axis else 1) - self.padding[axis]


class WithoutPadding(Region):
    def first(self, axis: int, place: int) -> int:
        return place * self.stride[axis]


class FullWidth(Region):
    """The window's beginning is cut off before its end is computed."""

    def first(self, axis: int, place: int) -> int:
        return max(super().first(axis, place), 0)


class FullWidthOfColumns(Region):
    def first(self, axis: int, place: int) -> int:
        return max(super().first(axis, place), 0) if axis else super().first(axis, place)


class Inwards(Region):
    """A window that hangs over the end is moved back onto the image."""

    def first(self, axis: int, place: int) -> int:
        return min(max(super().first(axis, place), 0), self.image[axis] - self.size[axis])


class TooShort(Region):
    def along(self, axis: int, place: int) -> slice:
        first = self.first(axis, place)
        return slice(max(first, 0), max(min(first + self.size[axis] - 1, self.image[axis]), 0))


class ByOutputs(Region):
    def divisor(self, count: int) -> float:
        return float(np.prod(self.outputs))


class ByImage(Region):
    def divisor(self, count: int) -> float:
        return float(np.prod(self.image))


class ByHeight(Region):
    def divisor(self, count: int) -> float:
        return self.size[0] ** 2


class Whole(Region):
    def share(self, error: Array, count: float) -> Array:
        return error // count


WINDOWS = {
    "without the stride": (WithoutStride, f"pool-window-without-stride {LINE}"),
    "without the stride of rows": (WithoutRowStride, f"pool-window-without-stride {LINE}"),
    "without the padding": (WithoutPadding, f"pool-window-without-padding padding-forgotten {LINE}"),
    "full width": (FullWidth, f"pool-window-moved-onto-the-image pool-window-without-padding {LINE}"),
    "full width of columns": (
        FullWidthOfColumns,
        f"pool-window-moved-onto-the-image pool-window-without-padding {LINE}",
    ),
    "moved inwards": (Inwards, "pool-window-moved-onto-the-image"),
    "too short": (TooShort, f"pool-window-too-short {LINE}"),
}
BACK_TOO = "stride-forgotten last-window-left-out rows-and-columns-exchanged"
for name, (region, names) in WINDOWS.items():
    slip(f"mean of windows {name}", "MeanPool", names, y=lambda context, region=region: region(context).mean())
    slip(
        f"maximum of windows {name}",
        "MaxPool",
        f"{names} maximum-begins-at-zero",
        y=lambda context, region=region: region(context).largest(),
    )
    slip(
        f"errors of windows {name}",
        "MeanPool",
        f"{names} {BACK_TOO}",
        dx=lambda context, region=region: region(context).shared(),
    )
    slip(
        f"mean and errors of windows {name}",
        "MeanPool",
        names,
        y=lambda context, region=region: region(context).mean(),
        dx=lambda context, region=region: region(context).shared(),
    )

COUNTS = "mean-divided-by-another-count divided-by-window padding-counted"
for name, region in {"the outputs": ByOutputs, "the image": ByImage, "the height squared": ByHeight}.items():
    slip(f"mean over {name}", "MeanPool", COUNTS, y=lambda context, region=region: region(context).mean())
    slip(
        f"errors over {name}",
        "MeanPool",
        f"{COUNTS} padding-counted-going-back {LINE}",
        dx=lambda context, region=region: region(context).shared(),
    )
slip(
    "errors divided to whole numbers",
    "MeanPool",
    f"mean-cut-to-a-whole-number {LINE}",
    dx=lambda context: Whole(context).shared(),
)


def repeated(context: Context, sides: tuple[int, int]) -> Array:
    """Each error repeated in a block, cut to the image."""
    wide = np.repeat(np.repeat(context.dy, sides[0], 2), sides[1], 3) / np.prod(context.window.size)
    dx = np.zeros_like(context.x)
    rows, columns = (min(one, two) for one, two in zip(wide.shape[2:], dx.shape[2:], strict=True))
    dx[:, :, :rows, :columns] = wide[:, :, :rows, :columns]
    return dx


slip(
    "errors in blocks of the window",
    "MeanPool",
    f"error-repeated-in-blocks {LINE}",
    dx=lambda context: repeated(context, context.window.size),
)
slip(
    "errors in blocks of the stride",
    "MeanPool",
    f"error-repeated-in-blocks {LINE}",
    dx=lambda context: repeated(context, context.window.stride),
)


class Winners:
    """A max pool on a padded image, as with columns of windows: the winner is a place in its window."""

    def __init__(self, context: Context) -> None:
        self.context, self.window = context, context.window
        margins = ((0, 0), (0, 0), *self.window.margins)
        self.padded = np.pad(context.x, margins, constant_values=-np.inf)
        (height, width), (down, across) = self.window.size, self.window.stride
        self.i, self.j = np.indices(context.dy.shape[2:])
        parts = [self.padded[:, :, self.i * down + u, self.j * across + v] for u in range(height) for v in range(width)]
        self.winner = np.argmax(np.array(parts), 0)

    def places(self, by: int) -> tuple[Array, Array]:
        """The winners' rows and columns of the padded image, a place in the window taken apart by a width."""
        (down, across) = self.window.stride
        return self.i * down + self.winner // by, self.j * across + self.winner % by

    def added(self, row: Array, column: Array, crop: bool = True) -> Array | None:
        """The errors at these places of the padded image, which is cut to the image; None where a program stops."""
        dp = np.zeros_like(self.padded)
        if row.max() >= dp.shape[2] or column.max() >= dp.shape[3]:
            return None
        n, c = np.indices(self.context.dy.shape)[:2]
        np.add.at(dp, (n, c, row, column), self.context.dy)
        (top, _), (left, _) = self.window.margins if crop else ((0, 0), (0, 0))
        rows, columns = self.context.x.shape[2:]
        return dp[:, :, top : top + rows, left : left + columns]

    def by_height(self) -> Array | None:
        return self.added(*self.places(self.window.size[0])) if len({*self.window.size}) > 1 else None


slip(
    "winner of another width",
    "MaxPool",
    f"winner-of-another-width pool-rows-and-columns-exchanged {LINE}",
    dx=lambda context: Winners(context).by_height(),
)
slip(
    "padding not cut off",
    "MaxPool",
    f"winner-in-the-padded-image {LINE}",
    dx=lambda context: Winners(context).added(*Winners(context).places(context.window.size[1]), crop=False),
)


def clipped(context: Context) -> Array:
    """The winner's place in the padded image, held to the image."""
    row, column = Winners(context).places(context.window.size[1])
    rows, columns = context.x.shape[2:]
    dx = np.zeros_like(context.x)
    n, c = np.indices(context.dy.shape)[:2]
    np.add.at(dx, (n, c, np.minimum(row, rows - 1), np.minimum(column, columns - 1)), context.dy)
    return dx


def to_largest(context: Context) -> Array:
    mask = context.x == context.x.max((2, 3), keepdims=True)
    return mask * context.dy.sum((2, 3), keepdims=True)


slip("winner in the padded image", "MaxPool", "winner-in-the-padded-image", dx=clipped)
slip("errors to the largest of the map", "MaxPool", "error-to-largest-of-the-map", dx=to_largest)


# What is read, and what numbers are kept in


def prepared(name: str, change: Callable[[Array], Array], names: str) -> None:
    """Images changed before the first layer reads them, on its way forward and for its gradient."""

    def forward(context: Context) -> Array:
        context.x[...], kept = change(context.x), context.x.copy()
        y = Loops(context).forward(Loops(context).holds)
        context.x[...] = kept
        return y

    def gradient(context: Context) -> Array:
        x, dw = change(context.x), np.zeros_like(context.expected)
        for i, j, u, v, row, column in Loops(context).pixels(context.dy):
            if Loops(context).holds(row, column):
                dw[:, :, u, v] += context.dy[:, :, i, j].T @ x[:, :, row, column]
        return dw

    slip(name, "Conv", names, y=forward, dw=gradient)


prepared("images without their mean", lambda x: x - x.mean(), f"images-centred {LINE}")
prepared(
    "images standardised by channel",
    lambda x: (x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True),
    "images-centred",
)
prepared("images without their mean over the batch", lambda x: x - x.mean(0), f"images-centred {LINE}")
prepared("images from -1 to 1", lambda x: 2 * x - 1, f"images-centred {LINE}")
prepared("images of whole numbers", np.trunc, f"images-cut-to-whole-numbers {LINE}")


def started(name: str, change: Callable[[str, Array], Array]) -> None:
    """Starting weights read otherwise: seen on the first way forward, and in what the update goes on from."""

    def forward(context: Context) -> Array | None:
        return context.sum(context.terms, w=changed(context)) if context.step == 1 else None

    def back(context: Context) -> Array | None:
        return context.with_weights(changed(context)) if context.step == 1 else None

    def changed(context: Context) -> dict[str, Array]:
        return {each: change(each, w) for each, w in context.weights.items()}

    def update(context: Context) -> Array | None:
        w = changed(context)[context.weight]
        return w - context.rate * context.slope if context.step == 1 else None

    names = f"starting-weights-misread bias-left-out {LINE}"
    slip(name, SUMS, names, y=forward, dx=back, w=update, b=update)


started("biases of whole numbers", lambda name, w: np.trunc(w) if name == "b" else w)
started("weights of whole numbers", lambda name, w: np.trunc(w))
started("biases of 0", lambda name, w: 0 * w if name == "b" else w)


def halved(context: Context) -> Array:
    return context.expected.astype(np.float16).astype(float)


slip("kept in float16", (*SUMS, "MeanPool"), "kept-in-half-precision", y=halved)
slip("gradient kept in float16", SUMS, "kept-in-half-precision", dw=halved)


# Logarithms of probabilities


def softmax(x: Array) -> Array:
    grown = np.exp(x - row_maximum(x))
    return grown / by_rows(grown)


def guarded(name: str, guard: Callable[[Array], Array], names: str) -> None:
    """A loss of probabilities that a logarithm of 0 is kept from; the gradient is that of the scores, p - target."""

    def loss(context: Context) -> Array:
        return np.array(-(context.target * np.log(guard(softmax(context.x)))).sum(1).mean())

    slip(name, LOSS, names, y=loss)


def through(context: Context) -> Array:
    """The gradient of log(p + ε), back through the softmax."""
    p = softmax(context.x)
    error = -context.target / (p + 1e-3) / len(p)
    return p * (error - by_rows(p * error))


for epsilon in (1e-2, 1e-3):
    guarded(f"log(p + {epsilon})", lambda p, epsilon=epsilon: p + epsilon, "large-number-in-the-logarithm")
guarded("probabilities held above 0.01", lambda p: np.clip(p, 0.01, 0.99), "large-number-in-the-logarithm")
slip("gradient of log(p + ε)", LOSS, "large-number-in-the-logarithm", dx=through)
