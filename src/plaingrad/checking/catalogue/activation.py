"""Mistakes in activations."""

import re
from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import mistake
from plaingrad.checking.scene import Scene
from plaingrad.loops import Array

WITH_X = "(dy, y, dx)", "(dy, y, dx, x)"


def at_place(formula: str) -> str:
    """A formula as it stands in the text of an activation."""
    return re.sub(r"\b(dy|y|x)\b", r"\1[place]", formula)


SIGMOID, TANH = at_place("dy * y * (1 - y)"), at_place("dy * (1 - y * y)")


@mistake(
    "slope-left-out",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the activation's derivative is left out: the error passes as if there were no activation",
    "Multiply the error by the derivative: for a ReLU 1 where its output is above zero and 0 elsewhere. Writing y "
    ">= 0 for a ReLU's output is always true.",
)
def slope_left_out(scene: Scene) -> Iterator[Array]:
    yield scene.dy


@mistake(
    "error-left-out",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the derivative stands in place of the error: it is not multiplied by dy",
    "dx = dy · f': multiply, do not assign.",
)
def error_left_out(scene: Scene) -> Iterator[Array]:
    yield scene.program.loop(scene.name, "dx", scene.x, {}, np.ones_like(scene.dy))


@mistake(
    "error-times-the-value",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the error is multiplied by the activation's output or input, not by its derivative",
    "dx = dy · f': for a ReLU 1 where its output is above zero, else 0; not the output itself.",
)
def times_the_value(scene: Scene) -> Iterator[Array]:
    yield scene.dy * scene.y
    yield scene.dy * scene.x


@mistake(
    "masked-by-the-error",
    "ReLU.dx LeakyReLU.dx",
    "the errors below zero are removed, in place of those where the input was below zero",
    "The ReLU's mask comes from the way forward (its input or output), not from the sign of the error.",
)
def masked_by_error(scene: Scene) -> Iterator[Array]:
    yield np.maximum(scene.dy, 0)
    yield np.where(scene.dy > 0, scene.dy, scene.expected * 0 + scene.leak * scene.dy)


@mistake(
    "masked-twice",
    "ReLU.dx LeakyReLU.dx",
    "errors below zero are removed as well",
    "An error may be negative: only the sign of the input decides whether it passes.",
)
def masked_twice(scene: Scene) -> Iterator[Array]:
    yield np.maximum(scene.expected, 0)


@mistake(
    "mask-inverted",
    "ReLU.dx LeakyReLU.dx",
    "the mask is the wrong way round: errors pass where the input was below zero",
    "An error passes where the number passed: where the input was above zero.",
)
def mask_inverted(scene: Scene) -> Iterator[Array]:
    yield scene.edited(("y[place] <= 0", "-y[place] <= 0"))
    yield np.where(scene.x > 0, 0, scene.dy)


@mistake(
    "slope-at-zero",
    "ReLU.dx LeakyReLU.dx",
    "where the input is exactly 0 another slope is taken",
    "Any slope from 0 to 1 is right at 0; here it is the slope below zero.",
    convention=True,
)
def slope_at_zero(scene: Scene) -> Iterator[Array]:
    at_zero = scene.x == 0
    if at_zero.any():
        yield np.where(at_zero, scene.dy, scene.expected)
        yield np.where(at_zero, scene.dy / 2, scene.expected)
        if scene.given is not None and is_share(scene.given, scene.dy)[at_zero].all():
            yield np.where(at_zero, scene.given, scene.expected)


def is_share(part: Array, whole: Array) -> Array:
    """Whether a number lies between 0 and another."""
    lies: Array = (part * whole >= 0) & (np.abs(part) <= np.abs(whole))
    return lies


@mistake(
    "slope-of-another",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the derivative is that of another activation",
    "ReLU: 1 above zero, else 0. Leaky ReLU: its slope below zero. Sigmoid: y(1 - y). Tanh: 1 - y².",
)
def slope_of_another(scene: Scene) -> Iterator[Array]:
    y, dy = scene.y, scene.dy
    if scene.kind not in ("Sigmoid",):
        s = 1 / (1 + np.exp(-scene.x))
        yield dy * y * (1 - y)
        yield dy * s * (1 - s)
    if scene.kind not in ("Tanh",):
        yield dy * (1 - y * y)
        yield dy * (1 - np.tanh(scene.x) ** 2)
    if scene.kind not in ("ReLU",):
        yield np.where(scene.x > 0, dy, 0)
    if scene.kind not in ("LeakyReLU",):
        yield np.where(scene.x > 0, dy, 0.01 * dy)


@mistake(
    "leak-on-the-wrong-side",
    "LeakyReLU.dx",
    "the slope is taken above zero and not below, or on both sides",
    "Above zero the error passes whole, below zero times the slope.",
)
def leak_wrong_side(scene: Scene) -> Iterator[Array]:
    leak, dy = scene.leak, scene.dy
    yield np.where(scene.x > 0, leak * dy, dy)
    yield leak * dy
    yield np.where(scene.x > 0, dy, -leak * dy)


@mistake(
    "sigmoid-applied-twice",
    "Sigmoid.dx",
    "the derivative is taken at the output: σ is applied to what already went through it",
    "With y = σ(x) at hand the derivative is y · (1 - y); with x at hand it is σ(x) · (1 - σ(x)). Not σ(y) · (1 - "
    "σ(y)).",
)
def sigmoid_twice(scene: Scene) -> Iterator[Array]:
    s = "1 / (1 + exp(-y))"
    yield scene.edited((SIGMOID, at_place(f"dy * ({s}) * (1 - {s})")))


@mistake(
    "slope-at-the-input",
    "Sigmoid.dx Tanh.dx",
    "the formula for the output is used with the input: x(1 - x), or 1 - x²",
    "y(1 - y) and 1 - y² are the derivatives in terms of the output y.",
)
def slope_at_input(scene: Scene) -> Iterator[Array]:
    if scene.kind == "Sigmoid":
        yield scene.edited((SIGMOID, at_place("dy * x * (1 - x)")), WITH_X)
    else:
        yield scene.edited((TANH, at_place("dy * (1 - x * x)")), WITH_X)


@mistake(
    "tanh-applied-twice",
    "Tanh.dx",
    "the derivative is taken at the output: tanh is applied to what already went through it",
    "With y = tanh(x) at hand the derivative is 1 - y²; with x at hand 1 - tanh²(x). Not 1 - tanh²(y).",
)
def tanh_twice(scene: Scene) -> Iterator[Array]:
    yield scene.dy * (1 - np.tanh(scene.y) ** 2)


@mistake(
    "slope-at-the-error",
    "Sigmoid.dx Tanh.dx",
    "the derivative is taken at the error, not at the activation",
    "f' is a number from the way forward; dx = dy · f'(x).",
)
def slope_at_error(scene: Scene) -> Iterator[Array]:
    s, t = 1 / (1 + np.exp(-scene.dy)), np.tanh(scene.dy)
    slope = s * (1 - s) if scene.kind == "Sigmoid" else 1 - t * t
    yield slope
    yield scene.dy * slope
    yield scene.dy * (scene.dy * (1 - scene.dy) if scene.kind == "Sigmoid" else 1 - scene.dy**2)


@mistake(
    "half-a-slope",
    "Sigmoid.dx Tanh.dx",
    "a part of the derivative is missing or has the wrong sign",
    "Sigmoid: y · (1 - y). Tanh: 1 - y².",
)
def half_slope(scene: Scene) -> Iterator[Array]:
    if scene.kind == "Sigmoid":
        for wrong in ("y", "(1 - y)", "y * (1 + y)", "y * (y - 1)", "y * y"):
            yield scene.edited((SIGMOID, at_place(f"dy * {wrong}")))
        yield scene.edited((SIGMOID, at_place("dy * (1 - y * y)")))
    else:
        for wrong in ("(1 + y * y)", "(1 - y)", "(0 - y * y)", "(1 + y)", "y * y"):
            yield scene.edited((TANH, at_place(f"dy * {wrong}")))


@mistake(
    "slope-squared",
    "Sigmoid.dx Tanh.dx",
    "the derivative is applied twice",
    "Each activation is differentiated once. A loss that already contains its derivative must not meet it again.",
)
def slope_squared(scene: Scene) -> Iterator[Array]:
    yield scene.program.loop(scene.name, "dx", scene.x, {}, scene.expected)


@mistake(
    "softmax-diagonal",
    "Softmax.dx",
    "only the diagonal of the softmax's derivative: p(1 - p), each output by itself",
    "All probabilities share one sum, so each score moves all of them: dx[k] = p[k] · (dy[k] - Σ p·dy).",
)
def softmax_diagonal(scene: Scene) -> Iterator[Array]:
    yield scene.dy * scene.y * (1 - scene.y)


@mistake(
    "softmax-skipped",
    "Softmax.dx",
    "the error passes the softmax unchanged",
    "dx[k] = p[k] · (dy[k] - Σ p·dy). Only where the loss hands over p - target at once is the softmax already in it.",
)
def softmax_skipped(scene: Scene) -> Iterator[Array]:
    yield scene.dy


@mistake(
    "softmax-part",
    "Softmax.dx",
    "a part of the softmax's derivative is missing",
    "dx[k] = p[k] · (dy[k] - Σ p·dy): the weighted sum of all errors is taken off each, and the rest multiplied by "
    "p[k].",
)
def softmax_part(scene: Scene) -> Iterator[Array]:
    p, dy = scene.y, scene.dy
    yield p * dy
    yield p * (dy - dy.sum(axis=1, keepdims=True))
    yield p * (dy - dy.mean(axis=1, keepdims=True))
    yield dy - (p * dy).sum(axis=1, keepdims=True)
    yield dy - p * dy.sum(axis=1, keepdims=True)
    yield dy + p * dy.sum(axis=1, keepdims=True)
    yield p * (dy + (p * dy).sum(axis=1, keepdims=True))


@mistake(
    "softmax-over-the-batch",
    "Softmax.y",
    "the softmax is taken over the images of the batch, or over all numbers, not over the scores of one image",
    "Each image's probabilities sum to 1: take maximum and sum along the axis of the scores.",
)
def softmax_over_batch(scene: Scene) -> Iterator[Array]:
    grown = np.exp(scene.x - scene.x.max())
    yield grown / grown.sum()
    yield grown / grown.sum(axis=0, keepdims=True)


@mistake(
    "softmax-not-divided",
    "Softmax.y",
    "the exponentials are not divided by their sum, or scores are divided without exponentials",
    "p[k] = e^x[k] / Σ e^x.",
)
def softmax_not_divided(scene: Scene) -> Iterator[Array]:
    yield np.exp(scene.x)
    yield np.exp(scene.x - scene.x.max(axis=1, keepdims=True))
    yield scene.x / scene.x.sum(axis=1, keepdims=True)
    yield 1 / (1 + np.exp(-scene.x))


@mistake(
    "forward-of-another",
    "ReLU.y LeakyReLU.y Sigmoid.y Tanh.y",
    "the layer computes another activation, or one with a slip of sign",
    "ReLU: max(0, x). Leaky ReLU: x, below zero slope · x. Sigmoid: 1 / (1 + e^-x). Tanh: (e^x - e^-x) / (e^x + e^-x).",
)
def forward_of_another(scene: Scene) -> Iterator[Array]:
    x = scene.x
    yield x
    yield np.abs(x)
    yield np.maximum(x, 0)
    yield np.minimum(x, 0)
    yield np.where(x > 0, x, 0.01 * x)
    yield 1 / (1 + np.exp(-x))
    yield 1 / (1 + np.exp(x))
    yield np.tanh(x)
    yield -np.tanh(x)
    yield np.tanh(x / 2)
