"""Why a number is not finite: each cause is played from the numbers of the answer, and taken if it gives the same.

Played is a small piece of code as people write it, in the arithmetic of the answer. It gives the same where its numbers
are nan, inf and -inf at the very places where those of the answer are.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.precision import DOUBLE
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array

Made = Mapping[str, Array]  # by quantity, of one layer or of the loss; what is not there comes out as it should


@dataclass(frozen=True)
class Cause:
    """What makes numbers that are not finite."""

    id: str
    title: str
    advice: str


LOG_SUM = (
    "Compute log p = score − largest − log Σ exp(score − largest) from the scores, or add only the terms whose target "
    "is not 0."
)
ZERO_LOG = Cause("zero-times-log-zero", "0 × log 0: the probability of a class whose target is 0 is 0 itself", LOG_SUM)
LOG_ZERO = Cause("log-of-zero", "log 0: the probability of the true class is 0 in this arithmetic", LOG_SUM)
DIVIDED_BY_ZERO = Cause(
    "divided-by-probability-zero", "−target / p is 0/0 or infinite where the probability p is 0",
    "Where the target is 0 the derivative is 0: do not divide there. Softmax and cross-entropy together have the "
    "derivative p − target, without a division.",
)  # fmt: skip
OVERFLOW = Cause(
    "exp-overflow", "exp of a large score overflows: the largest score of the image is not subtracted first",
    "Subtract the largest score of each image from its scores before exp: the probabilities stay the same.",
)  # fmt: skip
UNDERFLOW = Cause(
    "exp-underflow", "0/0: exp of all scores of an image is 0, since its largest score is not subtracted first",
    OVERFLOW.advice,
)  # fmt: skip
BATCH_MAXIMUM = Cause(
    "maximum-of-the-batch",
    "0/0: the largest score of the whole batch is subtracted, and exp of all scores of an image far below is 0",
    "Subtract from the scores of each image its own largest score.",
)  # fmt: skip
LARGE_EXP = Cause(
    "exp-overflow-in-activation", "exp of a large input overflows: ∞/∞",
    "Write the sigmoid as 1 / (1 + exp(−x)), and take tanh from the library.",
)  # fmt: skip
ZERO_NORM = Cause(
    "zero-over-zero", "0/0: the norm of a window whose pixels are all 0",
    "Where the norm of a window is 0 its gradient is 0: ask before dividing.",
)  # fmt: skip
ZERO_COUNT = Cause(
    "division-by-a-count-of-zero", "division by a count of 0: in a window of zeros no pixel is counted",
    "Divide by the number of pixels of the window, whatever their values are.",
)  # fmt: skip
TOO_LARGE = Cause(
    "too-large", "the correct number is larger than this arithmetic can hold",
    "See where the numbers grow: a learning rate that is too high, weights that begin too large, or pixels that are "
    "not scaled.",
)  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """An answered pass with numbers that are not finite.

    `env` has the arrays it is computed from; `answered` what the answer says of the same layer and step, by quantity.
    """

    program: Program
    key: Key
    given: Array
    expected: Estimate
    env: Mapping[Key, Estimate]
    answered: Made

    @property
    def kind(self) -> str:
        """The kind of its layer, or of the loss."""
        program = self.program
        owner = program.case.loss if self.key[1] == "loss" else program.steps[self.key[1]].layer
        return type(owner).__name__

    @property
    def x(self) -> Array:
        """The input (image, …) of its layer, or the outputs that the loss compares."""
        return self.env[self.program.x_key(self.key)].value

    @property
    def target(self) -> Array:
        """What the outputs should be (image, output)."""
        return self.program.case.batches[self.key[0] - 1].target

    def types(self) -> list[type]:
        """The arithmetics that the program may have: float32 too where the numbers do not say."""
        return [np.float64] if self.program.unit == DOUBLE else [np.float32, np.float64]


@np.errstate(all="ignore")
def causes(it: Broken) -> list[Cause]:
    """The causes that give numbers which are not finite exactly where the answer has them."""
    found: dict[Cause, None] = {}
    for type in it.types():
        for cause, made in _played(it, type):
            if it.key[2] in made and all(
                _alike(array, made[name]) if name in made else np.isfinite(array).all()
                for name, array in it.answered.items()
            ):
                found.setdefault(cause)
    return list(found)


def kinds(array: Array) -> Array:
    """What each number is: 0 finite, 1 nan, 2 inf, 3 -inf."""
    return np.select([np.isnan(array), array == np.inf, array == -np.inf], [1, 2, 3], 0)


def _alike(given: Array, made: Array) -> bool:
    """Whether both are not finite at the same places, and in the same way."""
    return given.shape == made.shape and np.array_equal(kinds(given), kinds(made))


def _played(it: Broken, type: type) -> Iterator[tuple[Cause, Made]]:
    """Each cause that there can be in such a layer, and what it makes."""
    if it.kind in PLAYED:
        yield from PLAYED[it.kind](it, it.x.astype(type), type)
    value = it.expected.value
    large = np.where(np.abs(value) > np.finfo(type).max, np.sign(value) * np.inf, value)
    if not np.isfinite(large).all():
        for made in (large, np.where(np.isfinite(large), large, np.nan)):
            yield TOO_LARGE, {**it.answered, it.key[2]: made}


def _softmax(x: Array, largest: Array) -> tuple[Array, Array]:
    """Probabilities by exponentials of scores with something taken off; and the sum of each image's exponentials."""
    e = np.exp(x - largest)
    total = e.sum(axis=1, keepdims=True)
    return e / total, total


def _softmaxes(x: Array) -> Iterator[tuple[Cause, Array, Array]]:
    """Unstable ways to make probabilities: the cause, the probabilities and the sums."""
    p, total = _softmax(x, np.zeros((), x.dtype))
    yield (UNDERFLOW if not np.isinf(total).any() else OVERFLOW), p, total
    p, total = _softmax(x, x.max())
    yield BATCH_MAXIMUM, p, total


def _losses(p: Array, target: Array) -> Iterator[tuple[Cause, Array]]:
    """The mean cross-entropy as −Σ target · log p, and as −log p of the true class; the causes where p is right."""
    whole = np.array(np.mean(-(target * np.log(p)).sum(axis=1)))
    yield (ZERO_LOG if ((p == 0) & (target == 0)).any() else LOG_ZERO), whole
    single = np.take_along_axis(p, target.argmax(axis=1)[:, None], 1)
    yield LOG_ZERO, np.array(np.mean(-np.log(single)))


def _softmax_loss(it: Broken, x: Array, type: type) -> Iterator[tuple[Cause, Made]]:
    target: Array = it.target.astype(type)
    count = len(x)
    stable, _ = _softmax(x, x.max(axis=1, keepdims=True))
    for cause, loss in _losses(stable, target):
        yield cause, {"y": loss}
    scores = np.take_along_axis(x, it.target.argmax(axis=1)[:, None], 1)
    for cause, p, total in _softmaxes(x):
        error = (p - target) / count
        for _, loss in _losses(p, target):  # the error is made of the same probabilities
            yield cause, {"y": loss, "dx": error}
        if cause is not BATCH_MAXIMUM:
            loss = np.array(np.mean(np.log(total) - scores))
            yield cause, {"y": loss, "dx": error}
            yield cause, {"y": loss}
        yield cause, {"dx": error}


def _loss(it: Broken, x: Array, type: type) -> Iterator[tuple[Cause, Made]]:
    target: Array = it.target.astype(type)
    error = -target / x / type(len(x))
    for cause, loss in _losses(x, target):
        yield cause, {"y": loss}
    for _, loss in _losses(x, target):
        yield DIVIDED_BY_ZERO, {"y": loss, "dx": error}
    yield DIVIDED_BY_ZERO, {"dx": error}


def _softmax_layer(it: Broken, x: Array, type: type) -> Iterator[tuple[Cause, Made]]:
    for cause, p, _ in _softmaxes(x):
        yield cause, {"y": p}


def _sigmoid(it: Broken, x: Array, type: type) -> Iterator[tuple[Cause, Made]]:
    e, back = np.exp(x), np.exp(-x)
    for y in (e / (1 + e),):
        yield LARGE_EXP, {"y": y, "dx": y}
        yield LARGE_EXP, {"y": y}
    for slope in (back / (1 + back) ** 2, e / (1 + e) ** 2):
        yield LARGE_EXP, {"dx": slope}


def _tanh(it: Broken, x: Array, type: type) -> Iterator[tuple[Cause, Made]]:
    e, back, twice, twice_back = np.exp(x), np.exp(-x), np.exp(2 * x), np.exp(-2 * x)
    for y in ((e - back) / (e + back), (twice - 1) / (twice + 1), (1 - twice_back) / (1 + twice_back)):
        yield LARGE_EXP, {"y": y, "dx": y}
        yield LARGE_EXP, {"y": y}


def _l2pool(it: Broken, x: Array, type: type) -> Iterator[tuple[Cause, Made]]:
    if it.key[2] == "dx":
        context = Context(it.program, it.key, it.env, it.expected.value)
        yield ZERO_NORM, {"dx": context.edited(("if y[n, c, i, j] > 0:", "if True:"))}


def _meanpool(it: Broken, x: Array, type: type) -> Iterator[tuple[Cause, Made]]:
    layer: Any = it.program.steps[it.key[1]].layer
    window = layer.window.over(x.shape[1:])
    made = np.zeros(it.expected.value.shape) if it.key[2] == "y" else np.zeros_like(x)
    for counted in (x != 0, x > 0):
        made[...] = 0
        for i, j in np.ndindex(*it.program.steps[it.key[1]].y[1:]):
            places = [(row, column) for _, _, row, column in window(i, j)]
            count: Array = np.sum([counted[:, :, row, column] for row, column in places], axis=0, dtype=type)
            for row, column in places:
                if it.key[2] == "y":
                    made[:, :, i, j] += x[:, :, row, column] / count
                else:
                    made[:, :, row, column] += it.env[it.program.dy_key(it.key)].value[:, :, i, j] / count
        yield ZERO_COUNT, {it.key[2]: made.copy()}


PLAYED: dict[str, Callable[[Broken, Array, type], Iterator[tuple[Cause, Made]]]] = {
    "SoftmaxCrossEntropy": _softmax_loss,
    "CrossEntropy": _loss,
    "Softmax": _softmax_layer,
    "Sigmoid": _sigmoid,
    "Tanh": _tanh,
    "L2Pool": _l2pool,
    "MeanPool": _meanpool,
}
TRIED = {
    "SoftmaxCrossEntropy": "0 × log 0, log 0, and an overflow or underflow of exp in the softmax",
    "CrossEntropy": "0 × log 0, log 0, and a division by a probability of 0",
    "Softmax": "an overflow or underflow of exp",
    "Sigmoid": "an overflow of exp",
    "Tanh": "an overflow of exp",
    "L2Pool": "0/0 in a window of zeros",
    "MeanPool": "a division by a count of 0",
}
