"""Mistakes in what a loss is taken of: its targets, the outputs, the losses of other steps, the weights."""

from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter, mistake
from plaingrad.checking.catalogue.loss import last_digit, probabilities, probability, scale, with_target
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import exact
from plaingrad.compiler.loops import Array

TELLING = 1e3  # times the last digit: so far must one number be off, that one of a dozen forms is no chance


def tells(context: Context, made: Array) -> bool:
    """Whether a loss is so far from the right one that an answer's digits tell it from others."""
    return context.given is None or bool(np.abs(made - context.expected) >= TELLING * last_digit(context.given))


SMOOTHINGS = (0.1, 0.05, 0.2, 0.01, 0.3)


def smoothed(smoothing: float, spares_the_true: bool) -> Form:
    """A cross-entropy, or its gradient, whose targets are spread over all classes, or over the others alone."""

    def form(context: Context) -> Array:
        classes = context.target.shape[1] - spares_the_true
        spread = (1 - context.target if spares_the_true else context.target.sum(1, keepdims=True)) / max(classes, 1)
        target = (1 - smoothing) * context.target + smoothing * spread
        if context.quantity == "y":
            made = np.array(-(target * np.log(probabilities(context))).sum(axis=1).mean())
            return made if tells(context, made) else context.expected
        return with_target(context, target)

    return form


enter(
    "targets-smoothed",
    "SoftmaxCrossEntropy.y SoftmaxCrossEntropy.dx CrossEntropy.y CrossEntropy.dx",
    "the targets are smoothed: part of the 1 of the true class is spread over the classes",
    "The case has no label smoothing: its targets are 1 for the true class and 0 for the others. With smoothing, loss "
    "and gradient must both use the smoothed targets.",
    *(smoothed(each, spares_the_true) for each in SMOOTHINGS for spares_the_true in (False, True)),
    kind=Kind.FUNCTION,
)

PENALTIES = (0.01, 0.1, 0.001)


@mistake(
    "weights-in-the-loss",
    "loss.y",
    "a penalty on the weights is added to the loss",
    "The case's loss is that of the outputs alone: leave the penalty out for the comparison. Elsewhere λ/2 · Σ w² in "
    "the loss is λ · w in the gradients.",
    kind=Kind.FUNCTION,
)
def penalised(context: Context) -> Iterator[Array]:
    program, before = context.program, context.step - 1
    arrays = {
        weight: [
            context.env[before, name, weight].value for name, step in program.steps.items() if weight in step.weights
        ]
        for weight in ("w", "b")
    }
    weights, biases = (sum(float(np.square(each).sum()) for each in arrays[weight]) for weight in ("w", "b"))
    for size in (weights, weights + biases):
        for penalty in PENALTIES:
            for factor in (0.5, 1.0):
                made = np.asarray(context.expected + penalty * factor * size)
                yield made if tells(context, made) else context.expected


def with_losses_before(made: Callable[[Array, Array, int], Array]) -> Form:
    """What is printed, from what was printed before, the loss of this step, and its number."""

    def form(context: Context) -> Array | None:
        return None if context.before is None else made(context.before, context.expected, context.step)

    return form


def averaged(share: float) -> Form:
    """An exponential average, in which what was printed before keeps its share."""
    return with_losses_before(lambda before, loss, step: share * before + (1 - share) * loss)


enter(
    "losses-of-several-steps",
    "loss.y",
    "what is printed is an average of the losses of all steps so far",
    "The loss of a step is that of its own images, with the weights that it begins with. Print an average beside it.",
    with_losses_before(lambda before, loss, step: ((step - 1) * before + loss) / step),
    *map(averaged, (0.9, 0.99, 0.95, 0.5, 0.1)),
    kind=Kind.ARRAY,
)


@mistake(
    "loss-after-the-update",
    "loss.y",
    "what is printed is the loss of this step's images with the weights after the step",
    "The loss of a step is that of the weights that it begins with, the one whose gradient is taken: print that one.",
    kind=Kind.ARRAY,
)
def after_the_update(context: Context) -> Iterator[Array]:
    program, env = context.program, dict(context.env)
    own = [key for key in program.keys if key[0] == context.step]
    for key in own:
        if key not in env:
            env[key] = exact(program.value(key, env))
    after = {key: each for key, each in env.items() if key not in own}
    after |= {(context.step - 1, *key[1:]): env[key] for key in own if program.is_update(key)}
    for key in own:
        if key[2] == "y":
            after[key] = exact(program.value(key, after))
    yield after[context.key].value


def huber(bound: float) -> Form:
    """Huber's loss, or its gradient, in place of a squared error."""

    def form(context: Context) -> Array:
        away = context.x - context.target
        if context.quantity == "dx":
            return np.asarray(scale(context) * np.clip(away, -bound, bound))
        far = bound * np.abs(away) - bound**2 / 2
        return np.array(scale(context) * np.where(np.abs(away) <= bound, away**2 / 2, far).sum())

    return form


enter(
    "differences-held-within-bounds",
    "MeanSquaredError.y MeanSquaredError.dx HalfSquaredError.y HalfSquaredError.dx",
    "differences beyond a bound count with it alone, as in Huber's loss, or the gradient is clipped",
    "The case's loss is the squared error, whose gradient grows with the difference, however large.",
    *map(huber, (1.0, 0.5, 2.0, 0.1)),
    kind=Kind.FUNCTION,
)


def chosen(context: Context) -> Array:
    """1 for the class of the highest score, 0 for the others."""
    return np.asarray(np.arange(context.x.shape[1]) == context.x.argmax(axis=1)[:, None], float)


enter(
    "class-in-place-of-probabilities",
    "SoftmaxCrossEntropy.dx MeanSquaredError.dx HalfSquaredError.dx",
    "the target is subtracted from the class that was chosen (1 or 0), or from a rounded output",
    "The gradient needs the probabilities, or the outputs, as they are: a class that is chosen has no derivative.",
    lambda context: scale(context) * (chosen(context) - context.target),
    lambda context: scale(context) * (np.round(context.x) - context.target),
    lambda context: scale(context) * (np.round(probability(context)) - context.target),
    kind=Kind.FUNCTION,
)
