"""Programs as a student may write them: right ones in plain NumPy, by shifted windows, in every convention there is.

None of the library's loops is used: what such a program answers is right by other means.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.case import Case
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.compiler.loops import Array
from plaingrad.network.step import Step
from plaingrad.textbook.layers import Conv, Dense, Flatten, LeakyReLU, MaxPool, MeanPool, ReLU, Sigmoid, Softmax
from plaingrad.textbook.layers.pool import Pool
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, MeanSquaredError

Arrays = dict[Key, Array]
ORDERS: dict[str, dict[str, tuple[int, ...]]] = {
    "usual": {},
    "NHWC": {"maps": (0, 2, 3, 1)},
    "HWIO": {"maps": (0, 2, 3, 1), "kernels": (2, 3, 1, 0), "dense": (1, 0)},
    "HWCN": {"maps": (2, 3, 1, 0)},
    "OIHW, dense turned": {"dense": (1, 0)},
    "IOHW": {"kernels": (1, 0, 2, 3)},
    "OHWI": {"maps": (0, 2, 3, 1), "kernels": (0, 2, 3, 1)},
}


@dataclass(frozen=True)
class Ways:
    """How a program does what may be done in several right ways."""

    scale: float = 1.0  # of the loss and its gradient
    sum: bool = False  # the loss is a sum over the images
    divided: bool = True  # where it is, the rate is divided by their number
    negated: bool = False  # every gradient points downhill, and is added
    turned: bool = False  # a true convolution: kernels are turned as they are read
    stored_turned: bool = False  # kernels, and their gradients, are kept turned
    tie: str = "first"  # which of equal maxima gets the error: first, last, all, shared
    slope: float = 0.0  # of a ReLU at 0
    fused: bool = False  # softmax and cross-entropy hand over p - target
    each: bool = False  # errors are those of each image's own loss; the weights' gradients are averaged
    columns: bool = False  # maps are flattened column by column
    last: bool = False  # maps are flattened with the channels last
    count_padding: bool = False  # a mean pool counts its padding otherwise


WAYS: dict[str, Ways] = {
    "as the case": Ways(),
    "a sum over the batch": Ways(sum=True),
    "a sum over the batch, at the same rate": Ways(sum=True, divided=False),
    "doubled": Ways(scale=2.0),
    "halved": Ways(scale=0.5),
    "negated": Ways(negated=True),
    "a true convolution": Ways(turned=True),
    "kernels stored turned": Ways(stored_turned=True),
    "the last of equal maxima": Ways(tie="last"),
    "all of equal maxima": Ways(tie="all"),
    "equal maxima share": Ways(tie="shared"),
    "slope 1 at zero": Ways(slope=1.0),
    "slope ½ at zero": Ways(slope=0.5),
    "softmax fused with the loss": Ways(fused=True),
    "errors of each image": Ways(each=True),
    "flattened by columns": Ways(columns=True),
    "flattened with channels last": Ways(last=True),
    "padding counted otherwise": Ways(count_padding=True),
}


class Student:
    """A right program. All it computes is of type `dtype`."""

    def __init__(self, case: Case, dtype: Any = np.float64, ways: Ways = Ways()) -> None:
        self.case, self.dtype, self.ways = case, dtype, ways

    def arrays(self) -> Arrays:
        """Every quantity, by its key."""
        found: Arrays = {}
        w = {
            (name, weight): array.astype(self.dtype)
            for name, step in self.case.net.steps.items()
            for weight, array in step.arrays.items()
        }
        if self.ways.stored_turned:
            w = {key: array[:, :, ::-1, ::-1] if array.ndim == 4 else array for key, array in w.items()}
        for t in range(1, len(self.case.batches) + 1):
            self._step(t, w, found)
        return found

    def _step(self, t: int, w: dict[tuple[str, str], Array], found: Arrays) -> None:
        steps, batch, images = list(self.case.net.steps.values()), self.case.batches[t - 1], self.case.images
        inputs, x = [], batch.x.astype(self.dtype)
        for step in steps:
            inputs.append(x)
            x = found[t, step.name, "y"] = self._forward(step, x, {k: w[step.name, k] for k in step.weights})
        loss, dy = self._loss(x, batch.target.astype(self.dtype))
        ways = self.ways
        factor = ways.scale * (images if ways.sum or ways.each else 1) * (-1 if ways.negated else 1)
        found[t, "loss", "y"] = loss * self.dtype(ways.scale * (images if ways.sum else 1))
        dy = found[t, "loss", "dx"] = dy * self.dtype(factor)
        for step, x in zip(reversed(steps), reversed(inputs), strict=True):
            own = {k: w[step.name, k] for k in step.weights}
            dx, slopes = self._backward(step, x, found[t, step.name, "y"], dy, own)
            if ways.each:
                slopes = {k: slope / self.dtype(images) for k, slope in slopes.items()}
            found[t, step.name, "dx"] = dx
            for weight, slope in slopes.items():
                found[t, step.name, "d" + weight] = slope
            dy = dx
        rate = self.dtype(self.case.rate / (images if ways.sum and ways.divided else 1) * (-1 if ways.negated else 1))
        for name, weight in w:
            w[name, weight] = found[t, name, weight] = w[name, weight] - rate * found[t, name, "d" + weight]

    def _kernel(self, w: Array) -> Array:
        turned = self.ways.turned or self.ways.stored_turned
        return w[:, :, ::-1, ::-1] if turned else w

    def _forward(self, step: Step, x: Array, w: dict[str, Array]) -> Array:
        layer = step.layer
        if isinstance(layer, Conv):
            y = np.zeros((len(x), *step.y), self.dtype)
            kernel = self._kernel(w["w"])
            for u, v, part in windows(layer.window, step, x, 0):
                for filters, channels in groups(layer.groups, kernel, x):
                    y[:, filters] += np.einsum("nchw,kc->nkhw", part[:, channels], kernel[filters, :, u, v])
            return y + w["b"][:, None, None] if "b" in w else y
        if isinstance(layer, Pool):
            parts = np.stack([part for _, _, part in windows(layer.window, step, x, -np.inf)])
            if isinstance(layer, MaxPool):
                return parts.max(axis=0)
            real = np.where(np.isinf(parts), 0, parts)
            if isinstance(layer, MeanPool):
                return real.sum(axis=0) / self._pixels(layer, parts)
            return np.sqrt((real * real).sum(axis=0))
        if isinstance(layer, Flatten):
            return x.transpose(self._flat(x)).reshape(len(x), -1)
        if isinstance(layer, Dense):
            return x @ w["w"].T + w["b"] if "b" in w else x @ w["w"].T
        if isinstance(layer, ReLU | LeakyReLU):
            return np.where(x > 0, x, x * self.dtype(getattr(layer, "slope", 0)))
        if isinstance(layer, Sigmoid):
            return 1 / (1 + np.exp(-x))
        if isinstance(layer, Softmax):
            return softmax(x)
        return np.tanh(x)

    def _flat(self, x: Array) -> tuple[int, ...]:
        if x.ndim != 4:
            return tuple(range(x.ndim))
        return (0, 1, 3, 2) if self.ways.columns else (0, 2, 3, 1) if self.ways.last else (0, 1, 2, 3)

    def _pixels(self, layer: MeanPool, parts: Array) -> Array:
        real = np.isfinite(parts).sum(axis=0).astype(self.dtype)
        counted = layer.count_padding != self.ways.count_padding
        return np.full_like(real, math.prod(layer.window.size)) if counted else real

    def _loss(self, x: Array, target: Array) -> tuple[Array, Array]:
        """The mean loss and its gradient."""
        count, loss = self.dtype(len(x)), self.case.loss
        if isinstance(loss, MeanSquaredError | HalfSquaredError):
            # the mean over the outputs of the squares; or half their sum
            share = self.dtype(x.shape[1] if isinstance(loss, MeanSquaredError) else 2) * count
            return ((x - target) ** 2).sum() / share, 2 * (x - target) / share
        if isinstance(loss, CrossEntropy):
            dy = (x - target) / count if self.ways.fused else -target / x / count
            return -(target * np.log(x)).sum() / count, dy
        p = softmax(x)
        return -(target * np.log(p)).sum() / count, (p - target) / count

    def _backward(
        self, step: Step, x: Array, y: Array, dy: Array, w: dict[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        layer = step.layer
        if isinstance(layer, Conv):
            return self._conv_backward(step, x, dy, w)
        if isinstance(layer, Pool):
            return self._pool_backward(step, x, y, dy), {}
        if isinstance(layer, Flatten):
            order = self._flat(x)
            shape = [x.shape[axis] for axis in order]
            return dy.reshape(shape).transpose(np.argsort(order)), {}
        if isinstance(layer, Dense):
            slopes = {"w": dy.T @ x, "b": dy.sum(axis=0)}
            return dy @ w["w"], {name: slopes[name] for name in w}
        if isinstance(layer, ReLU | LeakyReLU):
            low = self.dtype(getattr(layer, "slope", 0))
            at_zero = self.dtype(self.ways.slope) if isinstance(layer, ReLU) else low
            return dy * np.where(x > 0, self.dtype(1), np.where(x < 0, low, at_zero)), {}
        if isinstance(layer, Sigmoid):
            return dy * y * (1 - y), {}
        if isinstance(layer, Softmax):
            return (dy if self.ways.fused else y * (dy - (y * dy).sum(axis=1, keepdims=True))), {}
        return dy * (1 - y * y), {}

    def _conv_backward(self, step: Step, x: Array, dy: Array, w: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        layer = step.layer
        assert isinstance(layer, Conv)
        kernel = self._kernel(w["w"])
        dw, (padded, room) = np.zeros_like(kernel), self._room(layer.window, step, x)
        for (u, v, part), (_, _, target) in zip(
            windows(layer.window, step, x, 0), shifted(layer.window, step, padded), strict=True
        ):
            for filters, channels in groups(layer.groups, kernel, x):
                dw[filters, :, u, v] = np.einsum("nkhw,nchw->kc", dy[:, filters], part[:, channels])
                target[:, channels] += np.einsum("nkhw,kc->nchw", dy[:, filters], kernel[filters, :, u, v])
        slopes = {"w": self._kernel(dw), "b": dy.sum(axis=(0, 2, 3))}
        return padded[room].copy(), {name: slopes[name] for name in w}

    def _room(self, window: Any, step: Step, x: Array) -> tuple[Array, tuple[slice, ...]]:
        """Zeros as large as the padded image, and where the image lies in it."""
        (top, bottom), (left, right) = window.margins
        padded = np.zeros((*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right), self.dtype)
        rows, columns = slice(top, top + x.shape[2]), slice(left, left + x.shape[3])
        return padded, (slice(None), slice(None), rows, columns)

    def _pool_backward(self, step: Step, x: Array, y: Array, dy: Array) -> Array:
        layer: Any = step.layer
        padded, room = self._room(layer.window, step, x)
        parts = np.stack([part for _, _, part in windows(layer.window, step, x, -np.inf)])
        if isinstance(layer, MaxPool):
            shares = self._shares(parts == y)
        elif isinstance(layer, MeanPool):
            shares = np.broadcast_to(1 / self._pixels(layer, parts), parts.shape)
        else:
            real = np.where(np.isinf(parts), 0, parts)
            shares = np.where(y == 0, 0, real / np.where(y == 0, 1, y)).astype(self.dtype)
        for share, (_, _, target) in zip(shares, shifted(layer.window, step, padded), strict=True):
            target += share * dy
        return padded[room].copy()

    def _shares(self, equal: Array) -> Array:
        """Of each window's error, what each pixel gets."""
        if self.ways.tie == "all":
            return equal.astype(self.dtype)
        if self.ways.tie == "shared":
            return equal.astype(self.dtype) / equal.sum(axis=0).astype(self.dtype)
        first = equal.argmax(axis=0) if self.ways.tie == "first" else len(equal) - 1 - equal[::-1].argmax(axis=0)
        return (np.arange(len(equal)).reshape(-1, 1, 1, 1, 1) == first).astype(self.dtype)


def windows(window: Any, step: Step, x: Array, beyond: float) -> Iterator[tuple[int, int, Array]]:
    """For each place (u, v) of a window: the pixel under it, in every window."""
    (top, bottom), (left, right) = window.margins
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=beyond)
    yield from shifted(window, step, padded)


def shifted(window: Any, step: Step, padded: Array) -> Iterator[tuple[int, int, Array]]:
    """The same, as views of a padded array."""
    (height, width), (down, across), (apart, gap) = window.size, window.stride, window.dilation
    rows, columns = step.y[1:]
    for u in range(height):
        for v in range(width):
            i, j = u * apart, v * gap
            yield u, v, padded[:, :, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * across + 1 : across]


def groups(count: int, kernel: Array, x: Array) -> Iterator[tuple[slice, slice]]:
    """The filters and the channels of each group."""
    filters, channels = len(kernel) // count, x.shape[1] // count
    for group in range(count):
        yield slice(group * filters, (group + 1) * filters), slice(group * channels, (group + 1) * channels)


def softmax(x: Array) -> Array:
    """Probabilities of scores (image, score)."""
    grown = np.exp(x - x.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def told(arrays: Arrays, orders: str = "usual", printed: Any = None) -> dict[str, Array]:
    """The answer as it is sent: by names, axes in such an order, printed so."""
    layout = ORDERS[orders]
    answer = {}
    for key, array in arrays.items():
        is_weight = key[2] not in ("y", "dx")
        group = {4: "kernels" if is_weight else "maps", 2: "dense" if is_weight else "rows"}.get(np.ndim(array), "")
        laid = np.transpose(array, layout[group]) if group in layout else np.asarray(array)
        answer[name_of(key)] = printed(laid) if printed else laid.astype(float)
    return answer


def in_print(how: str) -> Any:
    """A function that gives numbers as they are read again: "f64", "f32", "6 digits", "4 decimals"."""
    if how == "f64":
        return lambda array: np.asarray(array, float)
    if how == "f32":
        return lambda array: np.asarray(array, np.float32).astype(float)
    count, kind = how.split()
    form = f".{int(count) - 1}e" if kind == "digits" else f".{count}f"
    return lambda array: np.vectorize(lambda value: float(format(value, form)), otypes=[float])(
        np.asarray(array, float)
    )
