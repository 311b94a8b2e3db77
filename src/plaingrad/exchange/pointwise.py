"""Activations that another program writes out in several operators, told by what they make of many numbers.

Programs write GELU and SiLU in many ways, with factors in other places. What such operators make of a thousand numbers
between -8 and 8 is compared with what our own texts make of them.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError
from plaingrad.exchange.chain import Value
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh, TanhGELU

SAMPLES = np.linspace(-8, 8, 1025)
# Constants of a file have 24 bits: x is off by 6e-8 of itself, at most 5e-7, in each of a handful of operators, and no
# activation is steeper than 1.2. The two that are nearest to each other, GELU and TanhGELU, are 4.7e-4 apart.
APART = 1e-5
CHOICES = (ReLU(), Sigmoid(), Tanh(), SiLU(), GELU(), TanhGELU())


@dataclass(frozen=True)
class Pointwise:
    """What operators have made so far of each number of a value: of the samples, and the first operator's name."""

    value: Value
    samples: Array
    what: str


@functools.lru_cache(maxsize=64)
def _made(layer: Layer) -> Array:
    """What an activation's own text makes of the samples."""
    y = np.empty_like(SAMPLES)
    given = {"x": SAMPLES, "y": y, **layer.settings(), **layer.constants((1,))}
    layer.forward(*(given[name] for name in layer.forward.arguments))
    return y


def activation_like(samples: Array) -> Layer | None:
    """The activation that makes of `SAMPLES` these numbers; None where none does."""
    with np.errstate(all="ignore"):
        if not np.isfinite(samples).all():
            return None
        minus_one = float(np.interp(-1, SAMPLES, samples))
        more: list[Layer] = []
        for kind, slope in ((LeakyReLU, -minus_one), (ELU, minus_one / math.expm1(-1))):
            try:
                more.append(kind(short(slope)))
            except SettingError:  # no slope that there can be
                continue
        return next((each for each in (*CHOICES, *more) if np.abs(_made(each) - samples).max() <= APART), None)


def short(number: Any) -> float:
    """A float32 of a file as the shortest decimal that is read as it: 0.01, not 0.009999999776."""
    return float(str(np.float32(number)))


FUNCTIONS: dict[str, Any] = {
    "Abs": np.abs,
    "Add": np.add,
    "Div": np.divide,
    "Elu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "Erf": np.vectorize(math.erf),
    "Exp": np.exp,
    "LeakyRelu": lambda x, alpha=0.01: np.where(x > 0, x, alpha * x),
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pow": np.power,
    "Reciprocal": np.reciprocal,
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tanh": np.tanh,
}
"""What operators of ONNX make of one number, or of two."""
