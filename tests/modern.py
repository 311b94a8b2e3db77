"""Normalisations, skips, Dropout and smooth activations as a student writes them in plain NumPy, forward and back.

None of the library's loops is used.
"""

import math
from typing import Any

import numpy as np

from functions import USUAL, Formulas
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import ELU, GELU, BatchNorm, Dropout, GlobalMeanPool, GroupNorm, SiLU, TanhGELU

Found = tuple[Array, dict[str, Array]]


def beside(w: Array, x: Array) -> Array:
    """Numbers of channels beside an array (image, channel, …)."""
    return w.reshape(1, -1, *[1] * (x.ndim - 2))


def moments(layer: Any, x: Array, how: Formulas) -> tuple[Array, Array]:
    """The mean and the variance beside each number."""
    if isinstance(layer, BatchNorm):
        axes = (0, *range(2, x.ndim))
        return x.mean(axes, keepdims=True), how.variance(x, axes)
    rows = x.reshape(len(x), layer.groups, -1)
    found = rows.mean(2, keepdims=True), how.variance(rows, 2)
    mean, variance = (np.broadcast_to(each, rows.shape).reshape(x.shape) for each in found)
    return mean, variance


def tangent(x: Array, how: Formulas) -> tuple[Array, Array]:
    """The tangent by which GELU is approximated, and its derivative."""
    scale = x.dtype.type(math.sqrt(2 / math.pi))
    inner = scale * (x + x.dtype.type(0.044715) * x * x * x)
    t = how.tanh(inner)
    return t, how.tanh_slope(inner, t) * scale * (1 + x.dtype.type(3 * 0.044715) * x * x)


def forward(layer: Any, x: Array, w: dict[str, Array], more: dict[str, Array], how: Formulas = USUAL) -> Array | None:
    """The output of such a layer, with its mask, or the running values of a trained network; None for another."""
    kind = x.dtype.type
    if isinstance(layer, BatchNorm | GroupNorm):
        mean, variance = moments(layer, x, how)
        if "running_mean" in more:
            mean, variance = (beside(more[f"running_{each}"], x) for each in ("mean", "variance"))
        return beside(w["w"], x) * (x - mean) / np.sqrt(variance + kind(layer.epsilon)) + beside(w["b"], x)
    if isinstance(layer, Dropout):
        return x * more["mask"].astype(x.dtype) / kind(1 - layer.rate) if "mask" in more else x
    if isinstance(layer, GlobalMeanPool):
        return x.mean(axis=(2, 3))
    if isinstance(layer, ELU):
        return np.where(x > 0, x, kind(layer.slope) * how.less_one(np.minimum(x, 0)))
    if isinstance(layer, SiLU):
        return x * how.sigmoid(x)
    if isinstance(layer, GELU):
        return x * how.area(x)
    return x * (1 + tangent(x, how)[0]) / 2 if isinstance(layer, TanhGELU) else None


def backward(
    layer: Any, x: Array, dy: Array, w: dict[str, Array], more: dict[str, Array], how: Formulas = USUAL
) -> Found | None:
    """The error of its input, and the gradients of its weights."""
    kind = x.dtype.type
    if isinstance(layer, BatchNorm | GroupNorm):
        return norm_backward(layer, x, dy, w, how)
    if isinstance(layer, Dropout):
        return dy * more["mask"].astype(x.dtype) / kind(1 - layer.rate), {}
    if isinstance(layer, GlobalMeanPool):
        return np.broadcast_to(dy[:, :, None, None], x.shape) / kind(x.shape[2] * x.shape[3]), {}
    if isinstance(layer, ELU):
        return np.where(x > 0, dy, dy * kind(layer.slope) * np.exp(np.minimum(x, 0))), {}
    if isinstance(layer, SiLU):
        return dy * how.sigmoid(x) * (1 + x * (1 - how.sigmoid(x))), {}
    if isinstance(layer, GELU):
        density = np.exp(-x * x / 2) / kind(math.sqrt(2 * math.pi))
        return dy * (how.area(x) + x * density), {}
    if isinstance(layer, TanhGELU):
        t, slope = tangent(x, how)
        return dy * (1 + t + x * slope) / 2, {}
    return None


def norm_backward(layer: Any, x: Array, dy: Array, w: dict[str, Array], how: Formulas) -> Found:
    """As the first paper has it: through the normalised number, the variance, and the mean."""
    mean, variance = moments(layer, x, how)
    spread = np.sqrt(variance + x.dtype.type(layer.epsilon))
    axes = (0, *range(2, x.ndim))
    slopes = {"w": (dy * (x - mean) / spread).sum(axes), "b": dy.sum(axes)}
    error = dy * beside(w["w"], x)
    dvariance = total(layer, error * (x - mean)) * x.dtype.type(-0.5) / spread**3
    dmean = -total(layer, error) / spread
    count = x.dtype.type(size(layer, x))
    return error / spread + dvariance * 2 * (x - mean) / count + dmean / count, slopes


def total(layer: Any, x: Array) -> Array:
    """The sum over the numbers that are normalised together, beside each of them."""
    return moments(layer, x, USUAL)[0] * x.dtype.type(size(layer, x))


def size(layer: Any, x: Array) -> int:
    """How many numbers are normalised together."""
    return x.size // x.shape[1] if isinstance(layer, BatchNorm) else x[0].size // layer.groups


def settled(layer: BatchNorm, x: Array, kept: dict[str, Array]) -> dict[str, Array]:
    """The running values after a step."""
    axes = (0, *range(2, x.ndim))
    momentum = x.dtype.type(layer.momentum)
    new = {"running_mean": x.mean(axes), "running_variance": x.var(axes, ddof=1)}
    return {name: (1 - momentum) * kept[name] + momentum * new[name] for name in kept}


def added(x: Array, skip: Array) -> Array:
    """A skip's sum: of a larger output every second row and column, or third; its channels are the first ones."""
    y = x.copy()
    y[:, : skip.shape[1]] += taken(skip, x)
    return y


def taken(skip: Array, x: Array) -> Array:
    """The part of a skip's output that is added; the same memory."""
    steps = [-(-larger // smaller) for larger, smaller in zip(skip.shape[2:], x.shape[2:], strict=True)]
    return skip[(slice(None), slice(None), *(slice(None, None, each) for each in steps))]
