"""Programs as a student may write them: right ones in plain NumPy, by shifted windows, in every convention there is.

None of the library's loops is used: what such a program answers is right by other means.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import modern
from functions import FORMULAS
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
    "MATLAB": {"maps": (2, 3, 1, 0), "kernels": (2, 3, 1, 0), "rows": (1, 0)},
    "Julia": {"maps": (3, 2, 1, 0), "kernels": (3, 2, 1, 0), "rows": (1, 0)},
}


@dataclass(frozen=True)
class Ways:
    """How a program does what may be done in several right ways.

    `of` and `power` are of its loss: for which kind, and the powers of images, outputs and 2 by which the sum over
    images and outputs is multiplied.
    """

    of: str = ""  # "squares", "logarithms"; or "", where the loss is the case's or its sum
    power: tuple[int, int, int] = (0, 0, 0)
    sum: bool = False  # the loss is a sum over the images
    divided: bool = True  # where it is, the rate is divided by their number
    negated: bool = False  # every gradient points downhill, and is added
    turned: str = ""  # a true convolution in such layers: kernels are turned as they are read
    stored_turned: str = ""  # kernels of such layers, and their gradients, are kept turned
    gradient_turned: str = ""  # by mistake: kernels of such layers are not turned, but their gradients are
    tie: str = "first"  # which of equal maxima gets the error: first, last, all, shared
    slope: float = 0.0  # of a ReLU at 0
    fused: bool = False  # softmax and cross-entropy hand over p - target
    each: bool = False  # errors are those of each image's own loss; the weights' gradients are averaged
    update: bool = False  # errors are those of each image's own loss; the update divides by their number
    columns: bool = False  # maps are flattened column by column
    last: bool = False  # maps are flattened with the channels last
    count_padding: bool = False  # a mean pool counts its padding otherwise
    positions: bool = False  # a convolution has one bias for each position
    formulas: str = "usual"  # in which its functions are written


WAYS: dict[str, Ways] = {
    "as the case": Ways(),
    "a sum over the batch": Ways(sum=True),
    "a sum over the batch, at the same rate": Ways(sum=True, divided=False),
    "the mean over images and classes": Ways(of="logarithms", power=(-1, -1, 0)),
    "half the sum of squares, the mean over the images": Ways(of="squares", power=(-1, 0, -1)),
    "the sum of squares, the mean over the images": Ways(of="squares", power=(-1, 0, 0)),
    "the mean square": Ways(of="squares", power=(-1, -1, 0)),
    "half the mean square": Ways(of="squares", power=(-1, -1, -1)),
    "the sum of squares": Ways(of="squares", power=(0, 0, 0)),
    "half the sum of squares": Ways(of="squares", power=(0, 0, -1)),
    "the mean square over the outputs, summed over the images": Ways(of="squares", power=(0, -1, 0)),
    "negated": Ways(negated=True),
    "negated, a sum over the batch": Ways(negated=True, sum=True),
    "a true convolution": Ways(turned="all"),
    "a true convolution in the first layer": Ways(turned="first"),
    "a true convolution in the last layer": Ways(turned="last"),
    "kernels stored turned": Ways(stored_turned="all"),
    "kernels of the first layer stored turned": Ways(stored_turned="first"),
    "kernels of the last layer stored turned": Ways(stored_turned="last"),
    "the last of equal maxima": Ways(tie="last"),
    "all of equal maxima": Ways(tie="all"),
    "equal maxima share": Ways(tie="shared"),
    "slope 1 at zero": Ways(slope=1.0),
    "slope ½ at zero": Ways(slope=0.5),
    "softmax fused with the loss": Ways(fused=True),
    "errors of each image": Ways(each=True),
    "errors of each image, divided in the update": Ways(update=True),
    "flattened by columns": Ways(columns=True),
    "flattened with channels last": Ways(last=True),
    "padding counted otherwise": Ways(count_padding=True),
    "a bias for each position": Ways(positions=True),
}
FLATTENED: dict[str, tuple[int, ...]] = {  # of channel, row, column; weights are in the same order
    "channel, row, column": (0, 1, 2),
    "row, column, channel": (1, 2, 0),
    "channel, column, row": (0, 2, 1),
    "column, row, channel": (2, 1, 0),
    "row, channel, column": (1, 0, 2),
    "column, channel, row": (2, 0, 1),
}
"""TensorFlow and Keras have the second, MATLAB the third, Julia on images turned over the fourth."""


def is_done(case: Case, way: str) -> bool:
    """Whether programs for such a loss do so."""
    squares = isinstance(case.loss, HalfSquaredError | MeanSquaredError)
    return WAYS[way].of in ("", "squares" if squares else "logarithms")


class Student:
    """A right program. All it computes is of type `dtype`."""

    def __init__(self, case: Case, dtype: Any = np.float64, ways: Ways = Ways()) -> None:
        self.case, self.dtype, self.ways, self.how = case, dtype, ways, FORMULAS[ways.formulas]

    def arrays(self) -> Arrays:
        """Every quantity, by its key."""
        found: Arrays = {}
        w = {
            (name, weight): array.astype(self.dtype)
            for name, step in self.case.net.steps.items()
            for weight, array in step.arrays.items()
        }
        for name, weight in w:
            if weight == "b" and self.ways.positions and isinstance(self.case.net.steps[name].layer, Conv):
                w[name, weight] = np.broadcast_to(w[name, weight][:, None, None], self.case.net.steps[name].y)
            if weight == "w" and self._is(self.ways.stored_turned, name):
                w[name, weight] = w[name, weight][:, :, ::-1, ::-1]
        kept = {
            name: {own: array.astype(self.dtype) for own, array in step.state.items()} for name, step in self._steps
        }
        for t in range(1, len(self.case.batches) + 1):
            self._step(t, w, kept, found)
        if self.case.has_modes:  # as the network is now, trained
            self._went_forward(len(self.case.batches) + 1, w, kept, found)
        return found

    @property
    def _steps(self) -> list[tuple[str, Step]]:
        return list(self.case.net.steps.items())

    def _went_forward(
        self, t: int, w: dict[tuple[str, str], Array], kept: dict[str, dict[str, Array]], found: Arrays
    ) -> list[Array]:
        """The inputs of all layers, and the last output."""
        batch, is_trained = self.case.batches[min(t, len(self.case.batches)) - 1], t > len(self.case.batches)
        inputs = [batch.x.astype(self.dtype)]
        for name, step in self._steps:
            x, own = inputs[-1], {k: w[name, k] for k in step.weights}
            if step.layer.skips():
                y = modern.added(x, found[t, str(step.layer.skips()), "y"])
            else:
                made = modern.forward(step.layer, x, own, kept[name] if is_trained else self._masks(t, name), self.how)
                y = self._forward(step, x, own) if made is None else made
            found[t, name, "y"] = y
            inputs.append(y)
            if kept[name] and not is_trained:
                kept[name] = modern.settled(step.layer, x, kept[name])
                found |= {(t, name, own): array for own, array in kept[name].items()}
        return inputs

    def _masks(self, t: int, name: str) -> dict[str, Array]:
        masks = self.case.batches[t - 1].masks
        return {"mask": masks[name]} if name in masks else {}

    def _step(self, t: int, w: dict[tuple[str, str], Array], kept: dict[str, dict[str, Array]], found: Arrays) -> None:
        steps, batch, images = list(self.case.net.steps.values()), self.case.batches[t - 1], self.case.images
        *inputs, x = self._went_forward(t, w, kept, found)
        later: dict[str, Array] = {}  # errors that came along a skip
        loss, dy = self._loss(x, batch.target.astype(self.dtype))
        ways = self.ways
        scale = self._scale()
        factor = scale * (images if ways.sum or ways.each or ways.update else 1) * (-1 if ways.negated else 1)
        found[t, "loss", "y"] = loss * self.dtype(scale * (images if ways.sum else 1))
        dy = found[t, "loss", "dx"] = dy * self.dtype(factor)
        for step, x in zip(reversed(steps), reversed(inputs), strict=True):
            own = {k: w[step.name, k] for k in step.weights}
            if step.name in later:
                dy = found[t, step.name, "dy"] = dy + later[step.name]
            start = step.layer.skips()
            if start:
                dx, slopes = dy, dict[str, Array]()
                later[start] = found[t, step.name, "dskip"] = np.zeros_like(found[t, start, "y"])
                modern.taken(later[start], dy)[...] = dy[:, : later[start].shape[1]]
            else:
                made = modern.backward(step.layer, x, dy, own, self._masks(t, step.name), self.how)
                dx, slopes = made or self._backward(step, x, found[t, step.name, "y"], dy, own)
            if ways.each:
                slopes = {k: slope / self.dtype(images) for k, slope in slopes.items()}
            found[t, step.name, "dx"] = dx
            for weight, slope in slopes.items():
                found[t, step.name, "d" + weight] = slope
            dy = dx
        divided = (ways.sum and ways.divided) or ways.update
        rate = self.dtype(self.case.rate / (images if divided else 1) * (-1 if ways.negated else 1))
        for name, weight in w:
            w[name, weight] = found[t, name, weight] = w[name, weight] - rate * found[t, name, "d" + weight]

    def _scale(self) -> float:
        """By what the loss is larger than the case's."""
        if not self.ways.of:
            return 1.0
        kind, outputs = type(self.case.loss), math.prod(self.case.net.output)
        own = {HalfSquaredError: (-1, 0, -1), MeanSquaredError: (-1, -1, 0)}.get(kind, (-1, 0, 0))
        each = zip((self.case.images, outputs, 2), self.ways.power, own, strict=True)
        return math.prod(float(size) ** (power - mine) for size, power, mine in each)

    def _is(self, which: str, name: str) -> bool:
        """Whether a convolution is among the layers told: "all", "first", "last"."""
        names = [step.name for step in self.case.net.steps.values() if isinstance(step.layer, Conv)]
        chosen = {"all": names, "first": names[:1], "last": names[-1:]}.get(which, [])
        return name in chosen

    def _kernel(self, w: Array, name: str) -> Array:
        turned = self._is(self.ways.turned, name) or self._is(self.ways.stored_turned, name)
        return w[:, :, ::-1, ::-1] if turned else w

    def _forward(self, step: Step, x: Array, w: dict[str, Array]) -> Array:
        layer = step.layer
        if isinstance(layer, Conv):
            y = np.zeros((len(x), *step.y), self.dtype)
            kernel = self._kernel(w["w"], step.name)
            for u, v, part in windows(layer.window, step, x, 0):
                for filters, channels in groups(layer.groups, kernel, x):
                    y[:, filters] += np.einsum("nchw,kc->nkhw", part[:, channels], kernel[filters, :, u, v])
            return y + w["b"].reshape(len(w["b"]), *(w["b"].shape[1:] or (1, 1))) if "b" in w else y
        if isinstance(layer, Pool):
            parts = np.stack([part for _, _, part in windows(layer.window, step, x, -np.inf)])
            if isinstance(layer, MaxPool):
                return parts.max(axis=0)
            real = np.where(np.isinf(parts), 0, parts)
            if isinstance(layer, MeanPool):
                return real.sum(axis=0) / self._pixels(layer, parts)
            return self.how.norm(real)
        if isinstance(layer, Flatten):
            return x.transpose(self._flat(x)).reshape(len(x), -1)
        if isinstance(layer, Dense):
            return x @ w["w"].T + w["b"] if "b" in w else x @ w["w"].T
        if isinstance(layer, ReLU | LeakyReLU):
            return np.where(x > 0, x, x * self.dtype(getattr(layer, "slope", 0)))
        if isinstance(layer, Sigmoid):
            return self.how.sigmoid(x)
        if isinstance(layer, Softmax):
            return self.how.softmax(x)
        return self.how.tanh(x)

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
        return -(target * self.how.log_softmax(x)).sum() / count, (self.how.softmax(x) - target) / count

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
            return dy * self.how.sigmoid_slope(x, y), {}
        if isinstance(layer, Softmax):
            return (dy if self.ways.fused else self.how.softmax_back(x, y, dy)), {}
        return dy * self.how.tanh_slope(x, y), {}

    def _conv_backward(self, step: Step, x: Array, dy: Array, w: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        layer = step.layer
        assert isinstance(layer, Conv)
        kernel = self._kernel(w["w"], step.name)
        dw, (padded, room) = np.zeros_like(kernel), self._room(layer.window, step, x)
        for (u, v, part), (_, _, target) in zip(
            windows(layer.window, step, x, 0), shifted(layer.window, step, padded), strict=True
        ):
            for filters, channels in groups(layer.groups, kernel, x):
                dw[filters, :, u, v] = np.einsum("nkhw,nchw->kc", dy[:, filters], part[:, channels])
                target[:, channels] += np.einsum("nkhw,kc->nchw", dy[:, filters], kernel[filters, :, u, v])
        if self._is(self.ways.gradient_turned, step.name):
            dw = dw[:, :, ::-1, ::-1]
        slopes = {"w": self._kernel(dw, step.name), "b": dy.sum(axis=0 if self.ways.positions else (0, 2, 3))}
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


def flattened(case: Case, arrays: Arrays, order: tuple[int, ...]) -> Arrays:
    """The arrays of a program that flattens maps in such an order, and keeps the next layers' numbers in the same."""
    names, found = list(case.net.steps), dict(arrays)
    for name, step in case.net.steps.items():
        if not isinstance(step.layer, Flatten) or len(step.x) != 3:
            continue
        places = np.arange(math.prod(step.x)).reshape(step.x).transpose(order).reshape(-1)
        for after in names[names.index(name) :]:
            is_dense = isinstance(case.net.steps[after].layer, Dense)
            moved = ("dx", "dw", "w") if is_dense else ("y",) if after == name else ("y", "dx")
            for key in found:  # also of the trained network, which is one step more
                if key[1] == after and key[2] in moved:
                    found[key] = found[key][:, places]
            if is_dense:
                break
    return found


def told(arrays: Arrays, orders: str = "usual", printed: Any = None) -> dict[str, Array]:
    """The answer as it is sent: by names, axes in such an order, printed so."""
    layout = ORDERS[orders]
    answer = {}
    for key, array in arrays.items():
        is_weight = key[2] not in ("y", "dx", "dy", "dskip")
        if np.ndim(array) == 3 and layout.get("maps") == (0, 2, 3, 1):  # a bias for each position
            array = array.transpose(1, 2, 0)
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
