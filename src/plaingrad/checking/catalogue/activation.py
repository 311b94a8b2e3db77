"""Mistakes in activations."""

import re
from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Form, enter, mistake
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

RIGHT = {"Sigmoid": "dy * y * (1 - y)", "Tanh": "dy * (1 - y * y)"}  # what their backward texts give each place


def instead(kind: str, formula: str) -> Form:
    """What an activation of this kind hands back where another formula stands in its text."""
    changes = (at_place(RIGHT[kind]), at_place(formula)), ("(dy, y, dx)", "(dy, y, dx, x)")
    return lambda context: context.edited(*changes) if context.kind == kind else None


def at_place(formula: str) -> str:
    """A formula as it stands in the text of an activation."""
    return re.sub(r"\b(dy|y|x)\b", r"\1[place]", formula)


def unless(kind: str, form: Form) -> Form:
    """A form that is no mistake in an activation of this kind."""
    return lambda context: form(context) if context.kind != kind else None


def sigmoid(x: Array) -> Array:
    """The sigmoid of every number."""
    found: Array = 1 / (1 + np.exp(-x))
    return found


def softmax_over(axis: int | None, x: Array) -> Array:
    """Exponentials shared out along an axis; among all numbers where it is None."""
    grown = np.exp(x - x.max())
    found: Array = grown / grown.sum(axis=axis, keepdims=True)
    return found


def summed(numbers: Array) -> Array:
    """The sum over the scores of each image, beside which the scores stand."""
    found: Array = numbers.sum(axis=1, keepdims=True)
    return found


enter(
    "slope-left-out",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the activation's derivative is left out: the error passes as if there were no activation",
    "Multiply the error by the derivative: for a ReLU 1 where its output is above zero and 0 elsewhere. Writing y "
    ">= 0 for a ReLU's output is always true.",
    lambda context: context.dy,
)

enter(
    "error-left-out",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the derivative stands in place of the error: it is not multiplied by dy",
    "dx = dy · f': multiply, do not assign.",
    lambda context: context.program.loop(context.name, "dx", context.x, {}, np.ones_like(context.dy)),
)

enter(
    "error-times-the-value",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the error is multiplied by the activation's output or input, not by its derivative",
    "dx = dy · f': for a ReLU 1 where its output is above zero, else 0; not the output itself.",
    lambda context: context.dy * context.y,
    lambda context: context.dy * context.x,
)

enter(
    "masked-by-the-error",
    "ReLU.dx LeakyReLU.dx",
    "the errors below zero are removed, in place of those where the input was below zero",
    "The ReLU's mask comes from the way forward (its input or output), not from the sign of the error.",
    lambda context: np.maximum(context.dy, 0),
    lambda context: np.where(context.dy > 0, context.dy, context.expected * 0 + context.leak * context.dy),
)

enter(
    "masked-twice",
    "ReLU.dx LeakyReLU.dx",
    "errors below zero are removed as well",
    "An error may be negative: only the sign of the input decides whether it passes.",
    lambda context: np.maximum(context.expected, 0),
)

enter(
    "mask-inverted",
    "ReLU.dx LeakyReLU.dx",
    "the mask is the wrong way round: errors pass where the input was below zero",
    "An error passes where the number passed: where the input was above zero.",
    lambda context: context.edited(("y[place] <= 0", "-y[place] <= 0")),
    lambda context: np.where(context.x > 0, 0, context.dy),
)


@mistake(
    "slope-at-zero",
    "ReLU.dx LeakyReLU.dx",
    "where the input is exactly 0 another slope is taken",
    "Any slope from 0 to 1 is right at 0; here it is the slope below zero.",
    convention=True,
)
def slope_at_zero(context: Context) -> Iterator[Array]:
    at_zero = context.x == 0
    if at_zero.any():
        yield np.where(at_zero, context.dy, context.expected)
        yield np.where(at_zero, context.dy / 2, context.expected)
        if context.given is not None and is_share(context.given, context.dy)[at_zero].all():
            yield np.where(at_zero, context.given, context.expected)


def is_share(part: Array, whole: Array) -> Array:
    """Whether a number lies between 0 and another."""
    lies: Array = (part * whole >= 0) & (np.abs(part) <= np.abs(whole))
    return lies


enter(
    "slope-of-another",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the derivative is that of another activation",
    "ReLU: 1 above zero, else 0. Leaky ReLU: its slope below zero. Sigmoid: y(1 - y). Tanh: 1 - y².",
    unless("Sigmoid", lambda context: context.dy * context.y * (1 - context.y)),
    unless("Sigmoid", lambda context: context.dy * sigmoid(context.x) * sigmoid(-context.x)),
    unless("Tanh", lambda context: context.dy * (1 - context.y * context.y)),
    unless("Tanh", lambda context: context.dy * (1 - np.tanh(context.x) ** 2)),
    unless("ReLU", lambda context: np.where(context.x > 0, context.dy, 0)),
    unless("LeakyReLU", lambda context: np.where(context.x > 0, context.dy, 0.01 * context.dy)),
)

enter(
    "leak-on-the-wrong-side",
    "LeakyReLU.dx",
    "the slope is taken above zero and not below, or on both sides",
    "Above zero the error passes whole, below zero times the slope.",
    lambda context: np.where(context.x > 0, context.leak * context.dy, context.dy),
    lambda context: context.leak * context.dy,
    lambda context: np.where(context.x > 0, context.dy, -context.leak * context.dy),
)

enter(
    "sigmoid-applied-twice",
    "Sigmoid.dx",
    "the derivative is taken at the output: σ is applied to what already went through it",
    "With y = σ(x) at hand the derivative is y · (1 - y); with x at hand it is σ(x) · (1 - σ(x)). Not σ(y) · (1 - "
    "σ(y)).",
    instead("Sigmoid", "dy * (1 / (1 + exp(-y))) * (1 - 1 / (1 + exp(-y)))"),
)

enter(
    "slope-at-the-input",
    "Sigmoid.dx Tanh.dx",
    "the formula for the output is used with the input: x(1 - x), or 1 - x²",
    "y(1 - y) and 1 - y² are the derivatives in terms of the output y.",
    instead("Sigmoid", "dy * x * (1 - x)"),
    instead("Tanh", "dy * (1 - x * x)"),
)

enter(
    "tanh-applied-twice",
    "Tanh.dx",
    "the derivative is taken at the output: tanh is applied to what already went through it",
    "With y = tanh(x) at hand the derivative is 1 - y²; with x at hand 1 - tanh²(x). Not 1 - tanh²(y).",
    instead("Tanh", "dy * (1 - tanh(y) * tanh(y))"),
)

enter(
    "slope-at-the-error",
    "Sigmoid.dx Tanh.dx",
    "the derivative is taken at the error, not at the activation",
    "f' is a number from the way forward; dx = dy · f'(x).",
    instead("Sigmoid", "1 / (1 + exp(-dy)) * (1 - 1 / (1 + exp(-dy)))"),
    instead("Sigmoid", "dy * (1 / (1 + exp(-dy))) * (1 - 1 / (1 + exp(-dy)))"),
    instead("Sigmoid", "dy * dy * (1 - dy)"),
    instead("Tanh", "1 - tanh(dy) * tanh(dy)"),
    instead("Tanh", "dy * (1 - tanh(dy) * tanh(dy))"),
    instead("Tanh", "dy * (1 - dy * dy)"),
)

enter(
    "half-a-slope",
    "Sigmoid.dx Tanh.dx",
    "a part of the derivative is missing or has the wrong sign",
    "Sigmoid: y · (1 - y). Tanh: 1 - y².",
    *(instead("Sigmoid", f"dy * {part}") for part in ("y", "(1 - y)", "y * (1 + y)", "y * (y - 1)", "y * y")),
    instead("Sigmoid", "dy * (1 - y * y)"),
    *(instead("Tanh", f"dy * {part}") for part in ("(1 + y * y)", "(1 - y)", "(0 - y * y)", "(1 + y)", "y * y")),
)

enter(
    "slope-squared",
    "Sigmoid.dx Tanh.dx",
    "the derivative is applied twice",
    "Each activation is differentiated once. A loss that already contains its derivative must not meet it again.",
    lambda context: context.program.loop(context.name, "dx", context.x, {}, context.expected),
)

enter(
    "softmax-diagonal",
    "Softmax.dx",
    "only the diagonal of the softmax's derivative: p(1 - p), each output by itself",
    "All probabilities share one sum, so each score moves all of them: dx[k] = p[k] · (dy[k] - Σ p·dy).",
    lambda context: context.dy * context.y * (1 - context.y),
)

enter(
    "softmax-skipped",
    "Softmax.dx",
    "the error passes the softmax unchanged",
    "dx[k] = p[k] · (dy[k] - Σ p·dy). Only where the loss hands over p - target at once is the softmax already in it.",
    lambda context: context.dy,
)

enter(
    "softmax-part",
    "Softmax.dx",
    "a part of the softmax's derivative is missing",
    "dx[k] = p[k] · (dy[k] - Σ p·dy): the weighted sum of all errors is taken off each, and the rest multiplied by "
    "p[k].",
    lambda context: context.y * context.dy,
    lambda context: context.y * (context.dy - summed(context.dy)),
    lambda context: context.y * (context.dy - context.dy.mean(axis=1, keepdims=True)),
    lambda context: context.dy - summed(context.y * context.dy),
    lambda context: context.dy - context.y * summed(context.dy),
    lambda context: context.dy + context.y * summed(context.dy),
    lambda context: context.y * (context.dy + summed(context.y * context.dy)),
)

enter(
    "softmax-over-the-batch",
    "Softmax.y",
    "the softmax is taken over the images of the batch, or over all numbers, not over the scores of one image",
    "Each image's probabilities sum to 1: take maximum and sum along the axis of the scores.",
    lambda context: softmax_over(None, context.x),
    lambda context: softmax_over(0, context.x),
)

enter(
    "softmax-not-divided",
    "Softmax.y",
    "the exponentials are not divided by their sum, or scores are divided without exponentials",
    "p[k] = e^x[k] / Σ e^x.",
    lambda context: np.exp(context.x),
    lambda context: np.exp(context.x - context.x.max(axis=1, keepdims=True)),
    lambda context: context.x / summed(context.x),
    lambda context: sigmoid(context.x),
)

enter(
    "forward-of-another",
    "ReLU.y LeakyReLU.y Sigmoid.y Tanh.y",
    "the layer computes another activation, or one with a slip of sign",
    "ReLU: max(0, x). Leaky ReLU: x, below zero slope · x. Sigmoid: 1 / (1 + e^-x). Tanh: (e^x - e^-x) / (e^x + e^-x).",
    lambda context: context.x,
    lambda context: np.abs(context.x),
    lambda context: np.maximum(context.x, 0),
    lambda context: np.minimum(context.x, 0),
    lambda context: np.where(context.x > 0, context.x, 0.01 * context.x),
    lambda context: sigmoid(context.x),
    lambda context: sigmoid(-context.x),
    lambda context: np.tanh(context.x),
    lambda context: -np.tanh(context.x),
    lambda context: np.tanh(context.x / 2),
)
