"""Normalisation: numbers moved and scaled to a mean of 0 and a variance of 1, then to a level that is trained.

The mean and the deviation depend on every number of their group. So an error goes back three ways: to its own number,
to all through the mean, and to all through the deviation.
"""

from math import prod
from typing import Any

from plaingrad.compiler.loops import Array, sqrt
from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import LARGEST_LIMIT, Layer, Ones, Saved, Shape, State, Weights
from plaingrad.textbook.text import places


def groupnorm_forward(x, w, b, y, mean, deviation, normal, group_size, epsilon):
    mean[:], deviation[:] = 0, 0
    for n, c, i, j in places(x):
        mean[n, c // group_size] += x[n, c, i, j] / (group_size * x.shape[2] * x.shape[3])
    for n, c, i, j in places(x):
        away = x[n, c, i, j] - mean[n, c // group_size]
        deviation[n, c // group_size] += away * away / (group_size * x.shape[2] * x.shape[3])
    for n, g in places(deviation):
        deviation[n, g] = sqrt(deviation[n, g] + epsilon)
    for n, c, i, j in places(y):
        normal[n, c, i, j] = (x[n, c, i, j] - mean[n, c // group_size]) / deviation[n, c // group_size]
        y[n, c, i, j] = w[c] * normal[n, c, i, j] + b[c]


def groupnorm_backward(dy, w, deviation, normal, dx, dw, db, mean_error, mean_product, group_size):
    dw[:], db[:], mean_error[:], mean_product[:] = 0, 0, 0, 0
    for n, c, i, j in places(dy):
        db[c] += dy[n, c, i, j]
        dw[c] += dy[n, c, i, j] * normal[n, c, i, j]
        mean_error[n, c // group_size] += w[c] * dy[n, c, i, j] / (group_size * dy.shape[2] * dy.shape[3])
        mean_product[n, c // group_size] += (
            w[c] * dy[n, c, i, j] * normal[n, c, i, j] / (group_size * dy.shape[2] * dy.shape[3])
        )
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = w[c] * dy[n, c, i, j] / deviation[n, c // group_size]
        dx[n, c, i, j] -= mean_error[n, c // group_size] / deviation[n, c // group_size]
        dx[n, c, i, j] -= mean_product[n, c // group_size] * normal[n, c, i, j] / deviation[n, c // group_size]


def batchnorm_forward(x, w, b, share, y, mean, variance, normal, epsilon):
    mean[:], variance[:] = 0, 0
    for n, c, i, j in places(x):
        mean[c] += share[n] * x[n, c, i, j] / (x.shape[2] * x.shape[3])
    for n, c, i, j in places(x):
        away = x[n, c, i, j] - mean[c]
        variance[c] += share[n] * away * away / (x.shape[2] * x.shape[3])
    for n, c, i, j in places(y):
        normal[n, c, i, j] = (x[n, c, i, j] - mean[c]) / sqrt(variance[c] + epsilon)
        y[n, c, i, j] = w[c] * normal[n, c, i, j] + b[c]


def batchnorm_backward(dy, w, share, variance, normal, dx, dw, db, epsilon):
    dw[:], db[:] = 0, 0
    for n, c, i, j in places(dy):
        db[c] += dy[n, c, i, j]
        dw[c] += dy[n, c, i, j] * normal[n, c, i, j]
    for n, c, i, j in places(dx):
        slope = w[c] / sqrt(variance[c] + epsilon)
        dx[n, c, i, j] = slope * dy[n, c, i, j]
        dx[n, c, i, j] -= slope * db[c] * share[n] / (dx.shape[2] * dx.shape[3])
        dx[n, c, i, j] -= slope * dw[c] * normal[n, c, i, j] * share[n] / (dx.shape[2] * dx.shape[3])


def batchnorm_infer(x, w, b, running_mean, running_variance, y, epsilon):
    for n, c, i, j in places(y):
        normal = (x[n, c, i, j] - running_mean[c]) / sqrt(running_variance[c] + epsilon)
        y[n, c, i, j] = w[c] * normal + b[c]


def batchnorm_settle(x, share, mean, variance, running_mean, running_variance, momentum):
    images = 0
    for n in range(x.shape[0]):
        images += 1 if share[n] > 0 else 0
    count = images * x.shape[2] * x.shape[3]
    for c in places(mean):
        unbiased = variance[c] * count / (count - 1) if count > 1 else variance[c]
        running_mean[c] += momentum * (mean[c] - running_mean[c])
        running_variance[c] += momentum * (unbiased - running_variance[c])


class BatchNorm(Layer):
    """Each channel moved to mean 0 and variance 1 over the images that run together, then times w plus b.

    In training the mean and variance are those of a shard of the batch, at most 32 images ("ghost batches", Hoffer et
    al., 2017): they are the same for any number of threads. Each shard moves the running values by `momentum` towards
    its own mean and its unbiased variance; a trained network takes the running values (Ioffe and Szegedy, 2015).
    """

    epsilon: float = 1e-5
    momentum: float = 0.1
    forward, backward, infer, settle = batchnorm_forward, batchnorm_backward, batchnorm_infer, batchnorm_settle

    def __post_init__(self) -> None:
        super().__post_init__()
        check_epsilon(self)
        self.require(0 <= self.momentum <= 1, f"momentum={self.momentum!r}", "momentum is between 0 and 1")

    def weights(self, x: Shape) -> dict[str, Weights]:
        return {"w": Weights((x[0],), 1, 1, Ones()), "b": Weights((x[0],))}

    def saved(self, x: Shape) -> dict[str, Saved]:
        return {name: Saved(x[:1], has_images=False) for name in ("mean", "variance")} | {"normal": Saved(x)}

    def state(self, x: Shape) -> dict[str, State]:
        return {"running_mean": State(x[:1]), "running_variance": State(x[:1], 1)}

    def seen(self, name: str, array: Array) -> Array:
        return as_pixels(name, array)

    def multiplications(self, x: Shape) -> int:
        return prod(x)


def check_epsilon(layer: Any) -> None:
    """SettingError where what is added to the variance is not above 0."""
    needs = f"epsilon is above 0, and at most {LARGEST_LIMIT:g}"
    layer.require(0 < layer.epsilon <= LARGEST_LIMIT, f"epsilon={layer.epsilon!r}", needs)


def as_pixels(name: str, array: Array) -> Array:
    """One axis of features is so many channels of one pixel."""
    return array[..., None, None] if name in ("x", "y", "dx", "dy", "normal") and array.ndim == 2 else array


class GroupNorm(Layer):
    """Each image's channels in `groups`, each group moved to mean 0 and variance 1, then times w plus b a channel.

    Of one group it is layer normalisation, of one channel each it is instance normalisation (Wu and He, 2018).
    `epsilon` is added to the variance, so that equal numbers are not divided by 0.
    """

    groups: int
    epsilon: float = 1e-5
    forward, backward = groupnorm_forward, groupnorm_backward

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.groups >= 1, f"groups={self.groups}", "groups is at least 1")
        check_epsilon(self)

    def output(self, x: Shape) -> Shape:
        if x[0] % self.groups:
            raise ShapeError(f"{self.groups} groups cannot share {x[0]} channels equally; take a divisor of {x[0]}")
        return x

    def weights(self, x: Shape) -> dict[str, Weights]:
        return {"w": Weights((x[0],), 1, 1, Ones()), "b": Weights((x[0],))}

    def saved(self, x: Shape) -> dict[str, Saved]:
        each = Saved((self.groups,))
        return {"mean": each, "deviation": each, "normal": Saved(x), "mean_error": each, "mean_product": each}

    def constants(self, x: Shape) -> dict[str, Any]:
        return {"group_size": x[0] // self.groups}

    def seen(self, name: str, array: Array) -> Array:
        return as_pixels(name, array)

    def multiplications(self, x: Shape) -> int:
        return prod(x)
