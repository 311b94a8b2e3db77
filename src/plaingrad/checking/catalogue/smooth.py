"""Mistakes in ELU, SiLU and GELU, whose derivatives are products and sums."""

from collections.abc import Callable

import numpy as np

from plaingrad.checking.catalogue.activation import sigmoid
from plaingrad.checking.catalogue.entry import Form, Kind, Written, enter
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array, normal_cdf
from plaingrad.textbook.layers import TanhGELU

Slope = Callable[[Array], Array]
QUICK = 1.702  # of the approximation x · sigmoid(1.702 x) (Hendrycks and Gimpel, 2016)
SCALE, CUBIC = TanhGELU().constants(()).values()


def cdf(x: Array) -> Array:
    """The share of a standard normal distribution below each number."""
    return np.asarray(np.vectorize(normal_cdf, otypes=[float])(x))


def pdf(x: Array) -> Array:
    """The density of a standard normal distribution at each number."""
    return np.asarray(np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


def curve(x: Array, scale: float = SCALE, cubic: float = CUBIC) -> Array:
    """The hyperbolic tangent by which GELU is approximated."""
    return np.asarray(np.tanh(scale * (x + cubic * x**3)))


def inner(x: Array, scale: float = SCALE, cubic: float = CUBIC) -> Array:
    """The derivative of what that tangent is taken of."""
    return np.asarray(scale * (1 + 3 * cubic * x * x))


def exact(x: Array) -> Array:
    """The derivative of GELU."""
    return np.asarray(cdf(x) + x * pdf(x))


def approximate(x: Array, *constants: float) -> Array:
    """The derivative of GELU by the hyperbolic tangent."""
    t = curve(x, *constants)
    return np.asarray((1 + t + x * (1 - t**2) * inner(x, *constants)) / 2)


def swish(x: Array) -> Array:
    """The derivative of SiLU."""
    return np.asarray(sigmoid(x) * (1 + x * sigmoid(-x)))


RIGHT: dict[str, Slope] = {"SiLU": swish, "GELU": exact, "TanhGELU": approximate}


def times(kind: str, slope: Slope, formula: str = "") -> Form:
    """The error times another derivative, in activations of this kind."""

    def form(context: Context) -> Array | None:
        is_about = (context.kind, context.quantity) == (kind, "dx")
        return context.dy * slope(context.x) if is_about else None

    return Written(f"dx = dy · {formula}", form) if formula else form


def below(slope: Callable[[Context], Array | float]) -> Form:
    """The error of an ELU times another derivative below zero."""
    return lambda context: (
        np.where(context.x <= 0, context.dy * slope(context), context.dy) if context.kind == "ELU" else None
    )


def output(kind: str, made: Slope) -> Form:
    """Another output, of activations of this kind."""
    return lambda context: made(context.x) if (context.kind, context.quantity) == (kind, "y") else None


enter(
    "gelu-of-the-other-kind",
    "GELU.y GELU.dx TanhGELU.y TanhGELU.dx",
    "it is the other GELU: the approximation by tanh in place of x · Φ(x), or the reverse; or that by a sigmoid",
    "Both are in use, and their numbers differ from the fourth digit on. GELU is x · Φ(x), with erf, as PyTorch has it "
    "unless told; TanhGELU is PyTorch's approximate='tanh'. Take the same one forward and back.",
    times("GELU", approximate),
    times("TanhGELU", exact),
    times("GELU", lambda x: sigmoid(QUICK * x) * (1 + QUICK * x * sigmoid(-QUICK * x))),
    times("TanhGELU", lambda x: sigmoid(QUICK * x) * (1 + QUICK * x * sigmoid(-QUICK * x))),
    output("GELU", lambda x: x * (1 + curve(x)) / 2),
    output("TanhGELU", lambda x: x * cdf(x)),
    output("GELU", lambda x: x * sigmoid(QUICK * x)),
    output("TanhGELU", lambda x: x * sigmoid(QUICK * x)),
    kind=Kind.FUNCTION,
)

enter(
    "term-of-the-derivative-left-out",
    "SiLU.dx GELU.dx TanhGELU.dx",
    "one term of the derivative is left out: that of either factor of the product",
    "The function is a product, x times a number that depends on x: its derivative is that number, plus x times the "
    "derivative of that number.",
    times("SiLU", sigmoid),
    times("SiLU", lambda x: x * sigmoid(x) * sigmoid(-x)),
    times("GELU", cdf),
    times("GELU", lambda x: x * pdf(x)),
    times("TanhGELU", lambda x: (1 + curve(x)) / 2),
    times("TanhGELU", lambda x: x * (1 - curve(x) ** 2) * inner(x) / 2),
    kind=Kind.OMISSION,
)

OTHERS = (
    *((scale, CUBIC) for scale in (2**0.5 / np.pi, np.sqrt(2 * np.pi), 2 / np.pi, np.sqrt(np.pi / 2), 1.0)),
    *((SCALE, cubic) for cubic in (10 * CUBIC, CUBIC / 10, 0.04715, 0.044175, 0.0447, 0.0)),
)
"""Constants that are written for those of the approximation: (scale, factor of the cube)."""


def of_constants(*constants: float) -> tuple[Form, Form]:
    """The output of the approximation by these, and the error that goes back through it."""
    return (
        output("TanhGELU", lambda x: np.asarray(x * (1 + curve(x, *constants)) / 2)),
        times("TanhGELU", lambda x: approximate(x, *constants)),
    )


enter(
    "gelu-of-other-constants",
    "TanhGELU.y TanhGELU.dx",
    "another constant stands in the approximation: for √(2/π), or for 0.044715",
    "GELU ≈ x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2, with the root of the whole quotient.",
    *(form for constants in OTHERS for form in of_constants(*constants)),
    kind=Kind.FUNCTION,
)

enter(
    "derivative-at-the-output",
    "ELU.dx SiLU.dx GELU.dx TanhGELU.dx",
    "the derivative is evaluated at the output y, where it is due at the input x",
    "ELU: slope · e^x below zero, which is y + slope. SiLU and GELU: keep x, for two inputs may give the same output.",
    below(lambda context: context.leak * np.exp(context.y)),
    *(
        lambda context, kind=kind, slope=slope: context.dy * slope(context.y) if context.kind == kind else None
        for kind, slope in RIGHT.items()
    ),
    lambda context: (
        context.dy * sigmoid(context.x) * (1 + context.y * sigmoid(-context.x)) if context.kind == "SiLU" else None
    ),
    lambda context: context.dy * context.y * (1 - context.y) if context.kind == "SiLU" else None,
    lambda context: context.dy * (cdf(context.x) + context.y * pdf(context.x)) if context.kind == "GELU" else None,
    kind=Kind.ARRAY,
)

enter(
    "elu-derivative-otherwise",
    "ELU.dx",
    "below zero another derivative is taken than slope · e^x: y, e^x, y + 1, or the slope alone",
    "y = slope · (e^x - 1) below zero: its derivative is slope · e^x, which is y + slope.",
    below(lambda context: context.y),
    below(lambda context: np.exp(context.x)),
    below(lambda context: context.y + 1),
    below(lambda context: context.leak),
    below(lambda context: context.leak * context.y),
    below(lambda context: context.leak * (context.y + 1)),
    below(lambda context: context.leak * (context.y + context.leak)),
    below(lambda context: 0.0),
    lambda context: context.dy * context.leak * np.exp(context.x),
    lambda context: np.where(context.x > 0, context.dy * context.leak * np.exp(context.x), context.dy),
    kind=Kind.FUNCTION,
)

enter(
    "derivative-of-a-factor-incomplete",
    "SiLU.dx GELU.dx TanhGELU.dx",
    "the derivative is a sum of products of which a factor or a sign is another one",
    "SiLU: σ · (1 + x · (1 - σ)). GELU: Φ(x) + x · φ(x), with φ the density. TanhGELU: "
    "(1 + t + x · (1 - t²) · s · (1 + 3 · 0.044715 · x²)) / 2, with t the tanh and s = √(2/π).",
    times("SiLU", lambda x: sigmoid(x) * (1 + x), "σ · (1 + x)"),
    times("SiLU", lambda x: sigmoid(x) * (1 + sigmoid(-x)), "σ · (2 - σ)"),
    times("SiLU", lambda x: sigmoid(x) * (1 - x * sigmoid(-x)), "σ · (1 - x · (1 - σ))"),
    times("SiLU", lambda x: sigmoid(x) * (1 + x * sigmoid(x)), "σ · (1 + x · σ)"),
    times("SiLU", lambda x: sigmoid(x) * sigmoid(-x), "σ · (1 - σ)"),
    times("SiLU", lambda x: 1 + x * sigmoid(-x), "(1 + x · (1 - σ))"),
    times("SiLU", lambda x: sigmoid(x) * (1 + x * (1 - x * sigmoid(x))), "σ · (1 + x · (1 - x · σ))"),
    times("SiLU", lambda x: sigmoid(x) + x * sigmoid(x) * (1 + sigmoid(x)), "(σ + x · σ · (1 + σ))"),
    times("SiLU", lambda x: sigmoid(x) + sigmoid(x) * sigmoid(-x), "(σ + σ · (1 - σ))"),
    times("GELU", lambda x: cdf(x) + pdf(x), "(Φ + φ)"),
    times("GELU", lambda x: cdf(x) - x * pdf(x), "(Φ - x · φ)"),
    times("GELU", pdf, "φ"),
    times("GELU", lambda x: cdf(x) + x * cdf(x), "(Φ + x · Φ)"),
    times("GELU", lambda x: cdf(x) + x * np.exp(-x * x / 2), "(Φ + x · e^(-x²/2))"),
    times(
        "TanhGELU",
        lambda x: (1 + curve(x) + (1 - curve(x) ** 2) * inner(x)) / 2,
        "(1 + t + (1 - t²) · s · (1 + 3 · 0.044715 · x²)) / 2",
    ),
    times("TanhGELU", lambda x: (1 + curve(x) + x * (1 - curve(x) ** 2) * SCALE) / 2, "(1 + t + x · (1 - t²) · s) / 2"),
    times("TanhGELU", lambda x: (1 + curve(x) + x * (1 - curve(x) ** 2)) / 2, "(1 + t + x · (1 - t²)) / 2"),
    times(
        "TanhGELU",
        lambda x: (1 + curve(x) + x * (1 - curve(x) ** 2) * SCALE * (1 + CUBIC * x * x)) / 2,
        "(1 + t + x · (1 - t²) · s · (1 + 0.044715 · x²)) / 2",
    ),
    times(
        "TanhGELU",
        lambda x: (1 + curve(x) + x * (1 - curve(x)) * inner(x)) / 2,
        "(1 + t + x · (1 - t) · s · (1 + 3 · 0.044715 · x²)) / 2",
    ),
    times(
        "TanhGELU",
        lambda x: (1 + curve(x) - x * (1 - curve(x) ** 2) * inner(x)) / 2,
        "(1 + t - x · (1 - t²) · s · (1 + 3 · 0.044715 · x²)) / 2",
    ),
    times(
        "TanhGELU",
        lambda x: 1 + curve(x) + x * (1 - curve(x) ** 2) * inner(x),
        "(1 + t + x · (1 - t²) · s · (1 + 3 · 0.044715 · x²))",
    ),
    kind=Kind.FUNCTION,
)

enter(
    "elu-output-otherwise",
    "ELU.y",
    "below zero another output is made than slope · (e^x - 1)",
    "ELU: x above zero, slope · (e^x - 1) below.",
    lambda context: np.where(context.x <= 0, np.exp(context.x) - 1, context.x),
    lambda context: np.where(context.x <= 0, context.leak * np.exp(context.x), context.x),
    lambda context: np.where(context.x <= 0, context.leak * np.exp(context.x) - 1, context.x),
    lambda context: np.where(context.x <= 0, context.leak * context.x, context.x),
    lambda context: np.where(context.x <= 0, context.x, context.leak * (np.exp(context.x) - 1)),
    kind=Kind.FUNCTION,
)

enter(
    "product-with-x-left-out",
    "SiLU.y GELU.y TanhGELU.y",
    "x is not multiplied by: the output is the sigmoid, or Φ, alone",
    "SiLU: x · σ(x). GELU: x · Φ(x).",
    output("SiLU", sigmoid),
    output("GELU", cdf),
    output("TanhGELU", lambda x: (1 + curve(x)) / 2),
    kind=Kind.OMISSION,
)
