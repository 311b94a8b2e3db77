"""Mistakes in activations."""

import re

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, Written, enter
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import Flatten, LeakyReLU, ReLU, Sigmoid, Tanh

RIGHT = {"Sigmoid": "dy * y * (1 - y)", "Tanh": "dy * (1 - y * y)"}  # what their backward texts give each place


def instead(kind: str, formula: str) -> Form:
    """What an activation of this kind hands back where another formula stands in its text."""
    changes = (at_place(RIGHT[kind]), at_place(formula)), ("(dy, y, dx)", "(dy, y, dx, x)")
    return Written(f"dx = {formula}", lambda context: context.edited(*changes) if context.kind == kind else None)


def at_place(formula: str) -> str:
    """A formula as it stands in the text of an activation."""
    return re.sub(r"\b(dy|y|x)\b", r"\1[place]", formula)


def unless(kind: str, formula: str, form: Form) -> Form:
    """A form that is no mistake in an activation of this kind."""
    return Written(formula, lambda context: form(context) if context.kind != kind else None)


def sigmoid(x: Array) -> Array:
    """The sigmoid of every number."""
    found: Array = 1 / (1 + np.exp(-x))
    return found


enter(
    "slope-left-out",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx ELU.dx SiLU.dx GELU.dx TanhGELU.dx",
    "the activation's derivative is left out: the error passes as if there were no activation",
    "Multiply the error by the derivative: for ReLU, 1 where the output is above zero and 0 elsewhere. The test y >= "
    "0 is true everywhere, for the output y of a ReLU is never negative.",
    lambda context: context.dy,
    kind=Kind.OMISSION,
)

enter(
    "error-left-out",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx ELU.dx SiLU.dx GELU.dx TanhGELU.dx",
    "the result is the derivative alone: it is not multiplied by dy",
    "dx = dy · f': multiply, do not assign.",
    lambda context: context.program.loop(context.name, "dx", context.x, {}, np.ones_like(context.dy)),
    kind=Kind.OMISSION,
)

enter(
    "error-times-the-value",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx ELU.dx SiLU.dx GELU.dx TanhGELU.dx",
    "the error is multiplied by the activation's output or input, not by its derivative",
    "dx = dy · f': for ReLU f' is 1 where the output is above zero, else 0; it is not the output itself.",
    lambda context: context.dy * context.y,
    lambda context: context.dy * context.x,
    kind=Kind.FUNCTION,
)

enter(
    "masked-by-the-error",
    "ReLU.dx LeakyReLU.dx",
    "negative errors are masked, instead of the errors where the input was negative",
    "The mask of a ReLU comes from the forward pass (its input or output), not from the sign of the error.",
    lambda context: np.maximum(context.dy, 0),
    lambda context: np.where(context.dy > 0, context.dy, context.expected * 0 + context.leak * context.dy),
    kind=Kind.COMPARISON,
)

enter(
    "masked-twice",
    "ReLU.dx LeakyReLU.dx",
    "negative errors are masked as well",
    "An error may be negative: only the sign of the input decides whether it passes.",
    lambda context: np.maximum(context.expected, 0),
    kind=Kind.COMPARISON,
)

enter(
    "mask-inverted",
    "ReLU.dx LeakyReLU.dx",
    "the mask is inverted: errors pass where the input was below zero",
    "An error passes where the number passed: where the input was above zero.",
    lambda context: context.edited(("y[place] <= 0", "-y[place] <= 0")),
    lambda context: np.where(context.x > 0, 0, context.dy),
    kind=Kind.COMPARISON,
)

enter(
    "derivative-of-another-activation",
    "ReLU.dx LeakyReLU.dx Sigmoid.dx Tanh.dx",
    "the derivative is that of another activation",
    "ReLU: 1 above zero, else 0. Leaky ReLU: 1 above zero, else its slope. Sigmoid: y(1 - y). Tanh: 1 - y².",
    unless("Sigmoid", "dx = dy · y · (1 - y)", lambda context: context.dy * context.y * (1 - context.y)),
    unless(
        "Sigmoid", "dx = dy · σ(x) · (1 - σ(x))", lambda context: context.dy * sigmoid(context.x) * sigmoid(-context.x)
    ),
    unless("Tanh", "dx = dy · (1 - y²)", lambda context: context.dy * (1 - context.y * context.y)),
    unless("Tanh", "dx = dy · (1 - tanh²(x))", lambda context: context.dy * (1 - np.tanh(context.x) ** 2)),
    unless("ReLU", "dx = dy where x > 0, else 0", lambda context: np.where(context.x > 0, context.dy, 0)),
    unless(
        "LeakyReLU",
        "dx = dy where x > 0, else 0.01 · dy",
        lambda context: np.where(context.x > 0, context.dy, 0.01 * context.dy),
    ),
    kind=Kind.FUNCTION,
)

enter(
    "leak-on-the-wrong-side",
    "LeakyReLU.dx",
    "the slope of the leaky ReLU is used above zero and not below, or on both sides, or with the wrong sign",
    "Above zero the error passes unchanged; below zero it is multiplied by the slope.",
    lambda context: np.where(context.x > 0, context.leak * context.dy, context.dy),
    lambda context: context.leak * context.dy,
    lambda context: np.where(context.x > 0, context.dy, -context.leak * context.dy),
    kind=Kind.COMPARISON,
)

enter(
    "sigmoid-applied-twice",
    "Sigmoid.dx",
    "the derivative is evaluated at the output: σ is applied a second time",
    "In terms of the output y = σ(x) the derivative is y · (1 - y); in terms of x it is σ(x) · (1 - σ(x)). It is not "
    "σ(y) · (1 - σ(y)).",
    instead("Sigmoid", "dy * (1 / (1 + exp(-y))) * (1 - 1 / (1 + exp(-y)))"),
    kind=Kind.FUNCTION,
)

enter(
    "slope-at-the-input",
    "Sigmoid.dx Tanh.dx",
    "the formula in terms of the output is used with the input: x(1 - x), or 1 - x²",
    "y(1 - y) and 1 - y² are the derivatives in terms of the output y.",
    instead("Sigmoid", "dy * x * (1 - x)"),
    instead("Tanh", "dy * (1 - x * x)"),
    kind=Kind.ARRAY,
)

enter(
    "tanh-applied-twice",
    "Tanh.dx",
    "the derivative is evaluated at the output: tanh is applied a second time",
    "In terms of the output y = tanh(x) the derivative is 1 - y²; in terms of x it is 1 - tanh²(x). It is not 1 - "
    "tanh²(y).",
    instead("Tanh", "dy * (1 - tanh(y) * tanh(y))"),
    kind=Kind.FUNCTION,
)

enter(
    "slope-at-the-error",
    "Sigmoid.dx Tanh.dx",
    "the derivative is evaluated at the error, not at the input of the activation",
    "f' is evaluated at the input x of the forward pass: dx = dy · f'(x).",
    instead("Sigmoid", "1 / (1 + exp(-dy)) * (1 - 1 / (1 + exp(-dy)))"),
    instead("Sigmoid", "dy * (1 / (1 + exp(-dy))) * (1 - 1 / (1 + exp(-dy)))"),
    instead("Sigmoid", "dy * dy * (1 - dy)"),
    instead("Tanh", "1 - tanh(dy) * tanh(dy)"),
    instead("Tanh", "dy * (1 - tanh(dy) * tanh(dy))"),
    instead("Tanh", "dy * (1 - dy * dy)"),
    kind=Kind.ARRAY,
)

enter(
    "derivative-incomplete",
    "Sigmoid.dx Tanh.dx",
    "part of the derivative is missing or has the wrong sign",
    "Sigmoid: y · (1 - y). Tanh: 1 - y².",
    *(instead("Sigmoid", f"dy * {part}") for part in ("y", "(1 - y)", "y * (1 + y)", "y * (y - 1)", "y * y")),
    instead("Sigmoid", "dy * (1 - y * y)"),
    *(instead("Tanh", f"dy * {part}") for part in ("(1 + y * y)", "(1 - y)", "(0 - y * y)", "(1 + y)", "y * y")),
    kind=Kind.FUNCTION,
)

enter(
    "slope-squared",
    "Sigmoid.dx Tanh.dx ELU.dx SiLU.dx GELU.dx TanhGELU.dx",
    "the derivative is applied twice",
    "Multiply by the derivative of an activation once. Where the gradient of the loss already contains it, do not "
    "multiply by it again.",
    lambda context: context.program.loop(context.name, "dx", context.x, {}, context.expected),
    kind=Kind.FACTOR,
)

enter(
    "another-activation",
    "ReLU.y LeakyReLU.y Sigmoid.y Tanh.y",
    "the layer computes another activation, or has a sign error",
    "ReLU: max(0, x). Leaky ReLU: x above zero, else slope · x. Sigmoid: 1 / (1 + e^-x). Tanh: (e^x - e^-x) / (e^x + "
    "e^-x).",
    Written("y = x", lambda context: context.x),
    Written("y = |x|", lambda context: np.abs(context.x)),
    Written("y = max(0, x)", lambda context: np.maximum(context.x, 0)),
    Written("y = min(0, x)", lambda context: np.minimum(context.x, 0)),
    unless(
        "LeakyReLU",
        "y = x where x > 0, else 0.01 · x",
        lambda context: np.where(context.x > 0, context.x, 0.01 * context.x),
    ),
    Written("y = 1 / (1 + e^-x)", lambda context: sigmoid(context.x)),
    Written("y = 1 / (1 + e^x)", lambda context: sigmoid(-context.x)),
    Written("y = tanh(x)", lambda context: np.tanh(context.x)),
    Written("y = -tanh(x)", lambda context: -np.tanh(context.x)),
    Written("y = tanh(x / 2)", lambda context: np.tanh(context.x / 2)),
    Written(
        "y = 1.7159 · tanh(⅔ x)", lambda context: 1.7159 * np.tanh(2 / 3 * context.x)
    ),  # LeCun and others, Efficient BackProp, 1998
    Written("y = x, held between 0 and 1", lambda context: np.clip(context.x, 0, 1)),
    Written("y = x, held between 0 and 6", lambda context: np.clip(context.x, 0, 6)),
    Written("y = x, held between -1 and 1", lambda context: np.clip(context.x, -1, 1)),
    Written("y = 0.2 · x + ½, held between 0 and 1", lambda context: np.clip(0.2 * context.x + 0.5, 0, 1)),
    Written("y = x / 6 + ½, held between 0 and 1", lambda context: np.clip(context.x / 6 + 0.5, 0, 1)),
    Written("y = x / (1 + |x|)", lambda context: context.x / (1 + np.abs(context.x))),
    Written("y = log(1 + e^x)", lambda context: np.logaddexp(0, context.x)),
    kind=Kind.FUNCTION,
)

OF_OUTPUTS = (ReLU, LeakyReLU, Sigmoid, Tanh)  # whose derivative is told of their output, which the next layer reads


def before(context: Context) -> str | None:
    """The activation whose outputs are read, flattened or not, if there is one."""
    steps, names = context.program.steps, context.program.names
    read = [each for each in names[: names.index(context.name)] if not isinstance(steps[each].layer, Flatten)]
    return read[-1] if read and isinstance(steps[read[-1]].layer, OF_OUTPUTS) else None


def through_it_too(context: Context) -> Array | None:
    """The error for the activation before, sent back through that by its own text as well."""
    name = before(context)
    if name is None:
        return None
    single = context.program.single_layer(name)
    single.put(y=context.x, dy=context.expected)
    single.backward()
    return single.get("dx").reshape(context.expected.shape)


enter(
    "derivative-of-the-activation-before",
    "Conv.dx Dense.dx",
    "the error is multiplied by the derivative of the activation before this layer, which is that layer's to do",
    "dx of this layer is the gradient with respect to what it read, the activation's output. The activation multiplies "
    "by its own derivative, once.",
    through_it_too,
    kind=Kind.FACTOR,
    question="whose-derivative",
)
