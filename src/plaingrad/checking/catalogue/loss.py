"""Mistakes in the loss and its gradient.

Over 300 lines, since a loss is one line, and its mistakes are those of all losses.
"""

from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.activation import sigmoid
from plaingrad.checking.catalogue.entry import Form, Kind, Written, enter, mistake
from plaingrad.checking.catalogue.softmax import ONE_EACH, over_other_axes, softmax_over, summed
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array


def probability(context: Context) -> Array:
    """The softmax of the network's output."""
    return softmax_over(1, context.x)


def output(context: Context) -> Array:
    """What the target is taken off: probabilities, also where the loss makes them itself."""
    return probability(context) if context.kind == "SoftmaxCrossEntropy" else context.x


def scale(context: Context) -> float:
    """The gradient for each 1 of difference."""
    return (2 / context.x.shape[1] if context.kind == "MeanSquaredError" else 1) / context.images


def with_target(context: Context, target: Array) -> Array:
    """The gradient of a cross-entropy with another target."""
    away = probability(context) - target if context.kind == "SoftmaxCrossEntropy" else -target / context.x
    return away / context.images


def with_probability(context: Context, p: Array) -> Array:
    """The cross-entropy, or its gradient by the scores, of other probabilities."""
    if context.quantity == "y":
        return np.array(-(context.target * np.log(p)).sum(axis=1).mean())
    return np.asarray((p - context.target) / context.images)


enter(
    "fused-with-softmax",
    "CrossEntropy.dx",
    "the gradient of the loss is p - target: softmax and cross-entropy are differentiated together",
    "This is the gradient with respect to the scores, before the softmax. It is right if the softmax layer passes it "
    "on unchanged.",
    lambda context: (context.x - context.target) / context.images,
    convention=True,
    kind=Kind.FUNCTION,
)

enter(
    "softmax-applied-twice",
    "SoftmaxCrossEntropy.dx",
    "the derivative of softmax is applied twice",
    "p - target is already the gradient with respect to the scores: the derivatives of softmax and logarithm are "
    "both in it. Do not multiply it by p(1 - p) or by the Jacobian of softmax again.",
    lambda context: probability(context) * (context.expected - summed(probability(context) * context.expected)),
    lambda context: probability(context) * (1 - probability(context)) * context.expected,
    kind=Kind.FUNCTION,
)

enter(
    "true-class-only",
    "SoftmaxCrossEntropy.dx CrossEntropy.dx",
    "only the true class gets a gradient",
    "Every score is part of the sum in the softmax: the gradient is p - 1 for the true class and p for every other "
    "class.",
    lambda context: context.expected * context.target,
    lambda context: -context.target * probability(context) / context.images,
    lambda context: -context.target / context.images,
    when=lambda context: context.kind == "SoftmaxCrossEntropy",
    kind=Kind.FUNCTION,
    question="one-hot",
)

enter(
    "softmax-not-passed",
    "SoftmaxCrossEntropy.dx",
    "the gradient is taken with respect to the probabilities, -target / p: the derivative of softmax is left out",
    "The gradient with respect to the scores is needed: multiplied by the Jacobian of softmax, -target / p becomes p "
    "- target.",
    lambda context: -context.target / probability(context) / context.images,
    kind=Kind.OMISSION,
)

enter(
    "target-left-out",
    "SoftmaxCrossEntropy.dx MeanSquaredError.dx HalfSquaredError.dx",
    "the target is not subtracted, or it is added",
    "The gradient is output minus target.",
    lambda context: scale(context) * output(context),
    lambda context: scale(context) * (output(context) + context.target),
    kind=Kind.OMISSION,
)

enter(
    "one-subtracted-everywhere",
    "SoftmaxCrossEntropy.dx",
    "1 is subtracted for every class, not only for the true one",
    "The gradient is p - 1 for the true class and p for every other: p[range(images), labels] -= 1.",
    lambda context: (probability(context) - 1) / context.images,
    kind=Kind.INDEX,
    question="one-hot",
)

enter(
    "scores-not-probabilities",
    "SoftmaxCrossEntropy.dx",
    "the gradient does not use the softmax of the scores: it uses the scores themselves, or a sigmoid",
    "The gradient is softmax(scores) - target.",
    lambda context: (context.x - context.target) / context.images,
    lambda context: (sigmoid(context.x) - context.target) / context.images,
    kind=Kind.FUNCTION,
)

enter(
    "softmax-of-the-batch",
    "SoftmaxCrossEntropy.dx SoftmaxCrossEntropy.y",
    "the softmax is taken over the whole batch, or along the axis of the images",
    ONE_EACH,
    *over_other_axes(with_probability),
    kind=Kind.INDEX,
)

enter(
    "largest-score-not-added-back",
    "SoftmaxCrossEntropy.y SoftmaxCrossEntropy.dx",
    "the largest score is taken off in the exponentials or outside of them alone: the logarithms of the probabilities "
    "are off by it",
    "log p = x - m - log Σ e^(x - m) with m the image's largest score: take it off in both places, or in neither.",
    lambda context: with_probability(context, probability(context) * np.exp(context.x.max(axis=1, keepdims=True))),
    lambda context: with_probability(context, probability(context) * np.exp(-context.x.max(axis=1, keepdims=True))),
    kind=Kind.OMISSION,
)

enter(
    "two-classes",
    "CrossEntropy.dx",
    "the gradient is that of the binary cross-entropy: (p - target) / (p(1 - p))",
    "For one class out of several the loss is -Σ target · log p, and its gradient is -target / p.",
    lambda context: (context.x - context.target) / (context.x * (1 - context.x)) / context.images,
    kind=Kind.FUNCTION,
)

enter(
    "division-left-out",
    "CrossEntropy.dx",
    "the target is not divided by the probability",
    "The derivative of -target · log p is -target / p.",
    lambda context: -context.target / context.images,
    lambda context: -context.target * context.x / context.images,
    lambda context: -context.target * np.log(context.x) / context.images,
    kind=Kind.OMISSION,
)

enter(
    "derivative-of-the-output-again",
    "MeanSquaredError.dx HalfSquaredError.dx",
    "the gradient of the loss already contains the derivative of the last activation",
    "The gradient of the loss is taken with respect to the input of the loss. The activation before it multiplies by "
    "its own derivative, once.",
    lambda context: context.expected * context.x * (1 - context.x),
    lambda context: context.expected * (1 - context.x * context.x),
    lambda context: context.expected * (context.x > 0),
    kind=Kind.FACTOR,
    question="whose-derivative",
)

enter(
    "sign-of-the-difference",
    "MeanSquaredError.dx HalfSquaredError.dx",
    "only the sign of the difference is used, or its absolute value, or its square",
    "The gradient of a squared error is the difference itself, with its sign.",
    lambda context: scale(context) * np.sign(context.x - context.target),
    lambda context: np.abs(context.expected),
    lambda context: scale(context) * (context.x - context.target) ** 2,
    kind=Kind.FUNCTION,
    question="plus-or-minus",
)

enter(
    "classes-shifted",
    "SoftmaxCrossEntropy.dx CrossEntropy.dx",
    "the targets are those of the next class, or of another image",
    "Classes are numbered from 0; keep images and targets in the same order.",
    lambda context: with_target(context, np.roll(context.target, 1, 1)),
    lambda context: with_target(context, np.roll(context.target, -1, 1)),
    lambda context: with_target(context, np.roll(context.target, 1, 0)),
    kind=Kind.INDEX,
    question="one-hot",
)


def of_images(formula: str, losses: Callable[[Context], Array]) -> Iterator[Form]:
    """Two forms of a loss of each image: the mean and the sum over the batch."""
    yield Written(f"{formula}, the mean over the images", lambda context: np.array(losses(context).mean()))
    yield Written(f"{formula}, the sum over the images", lambda context: np.array(losses(context).sum()))


def off(context: Context) -> Array:
    """How far probabilities are from the targets."""
    return probability(context) - context.target


def of_each_class(context: Context) -> Array:
    """The cross-entropy of each output by itself, and their sum."""
    p, target = probability(context), context.target
    return np.asarray(-(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(axis=1))


enter(
    "another-loss",
    "loss.y",
    "the loss is a different function of the outputs",
    "Cross-entropy: -log of the true class's probability. Squared error: Σ (output - target)². Mean over the images.",
    *of_images("-p of the true class", lambda context: -(context.target * probability(context)).sum(axis=1)),
    *of_images("1 - p of the true class", lambda context: 1 - (context.target * probability(context)).sum(axis=1)),
    *of_images("Σ (p - target)²", lambda context: (off(context) ** 2).sum(axis=1)),
    *of_images("½ Σ (p - target)²", lambda context: (off(context) ** 2).sum(axis=1) / 2),
    *of_images("the mean of (p - target)²", lambda context: (off(context) ** 2).mean(axis=1)),
    *of_images("-Σ (target · log p + (1 - target) · log(1 - p))", of_each_class),
    *of_images("Σ |output - target|", lambda context: np.abs(context.x - context.target).sum(axis=1)),
    *of_images("the mean of |output - target|", lambda context: np.abs(context.x - context.target).mean(axis=1)),
    *of_images("-Σ target · output", lambda context: -(context.target * context.x).sum(axis=1)),
    kind=Kind.FUNCTION,
)


@mistake(
    "loss-of-one-image",
    "loss.y",
    "the loss is that of a single image",
    "The loss of a batch is the mean over its images.",
    kind=Kind.SUM,
)
def loss_of_one(context: Context) -> Iterator[Array]:
    if context.images > 1:
        single = context.program.single_layer("loss")
        context.program.loss_of(context.step, context.x)
        each = single.get("y")
        yield np.array(each[-1])
        yield np.array(each[0])


enter(
    "logarithm-to-another-base",
    "SoftmaxCrossEntropy.y CrossEntropy.y",
    "the logarithm is to base 2 or 10",
    "Cross-entropy uses the natural logarithm; another base scales loss and gradient.",
    lambda context: context.expected / np.log(2),
    lambda context: context.expected / np.log(10),
    kind=Kind.FUNCTION,
)


USUAL = (1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16)  # numbers that libraries add, or hold probabilities above
LARGE = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SHOWN = 100  # so many times what the last digit tells, before it is called wrong


def probabilities(context: Context) -> Array:
    """What the logarithm is taken of."""
    return probability(context) if context.kind == "SoftmaxCrossEntropy" else context.x


def with_epsilon(context: Context, epsilon: float, is_added: bool) -> Array:
    """The loss, or its gradient, where a small number is added to the probabilities, or they are held above it."""
    p = probabilities(context)
    held = p + epsilon if is_added else np.clip(p, epsilon, 1 - epsilon)
    if context.quantity == "y":
        return np.array(-(context.target * np.log(held)).sum(axis=1).mean())
    error = -context.target / held / context.images
    return np.asarray(p * (error - summed(p * error)) if context.kind == "SoftmaxCrossEntropy" else error)


def last_digit(given: Array) -> float:
    """What the last digit of an array's numbers is worth, as they were printed or kept."""
    size = float(np.abs(given).max(initial=0))
    if (given == given.astype(np.float32)).all():
        return size * 2.0**-24
    digits = next((n for n in range(1, 17) if all(float(f"{each:.{n}g}") == each for each in given.reshape(-1))), 17)
    return float(size * 10.0 ** (1 - digits))


def held_by(epsilons: tuple[float, ...], shown: float) -> Callable[[Context], Iterator[Array]]:
    """A mistake that adds one of these numbers, where the answer's digits tell it from others."""

    def wrong(context: Context) -> Iterator[Array]:
        for is_added in (True, False):
            for epsilon in epsilons:
                made = with_epsilon(context, epsilon, is_added)
                off = np.abs(made - context.expected).max()
                yield made if context.given is None or off >= shown * last_digit(context.given) else context.expected

    return wrong


mistake(
    "small-number-in-the-logarithm",
    "SoftmaxCrossEntropy.y SoftmaxCrossEntropy.dx CrossEntropy.y CrossEntropy.dx",
    "a small number is added to the probabilities in the logarithm, or they are held above it",
    "This guards against log 0, as many libraries do, and changes the loss by about that number. Where log p is "
    "computed from the scores, as score - largest - log Σ exp(score - largest), nothing has to be guarded.",
    convention=True,
    kind=Kind.FUNCTION,
)(held_by(USUAL, 0))

mistake(
    "large-number-in-the-logarithm",
    "SoftmaxCrossEntropy.y SoftmaxCrossEntropy.dx CrossEntropy.y CrossEntropy.dx",
    "a number is added to the probabilities in the logarithm, or they are held above it, that changes the loss",
    "A loss of log(p + ε) has another gradient than p - target, which is that of log p: with an ε that shows, the two "
    "do not belong together. Compute log p from the scores, or take an ε of 1e-12 or less.",
    kind=Kind.FUNCTION,
)(held_by(LARGE, SHOWN))
