"""Mistakes in the loss and its gradient."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.activation import sigmoid, softmax_over, summed
from plaingrad.checking.catalogue.entry import enter, mistake
from plaingrad.checking.search.context import Scene
from plaingrad.compiler.loops import Array


def probability(scene: Scene) -> Array:
    """The softmax of the network's output."""
    return softmax_over(1, scene.x - scene.x.max(axis=1, keepdims=True))


def output(scene: Scene) -> Array:
    """What the target is taken off: probabilities, also where the loss makes them itself."""
    return probability(scene) if scene.kind == "SoftmaxCrossEntropy" else scene.x


def scale(scene: Scene) -> float:
    """The gradient for each 1 of difference."""
    return (2 / scene.x.shape[1] if scene.kind == "MeanSquaredError" else 1) / scene.images


def with_target(scene: Scene, target: Array) -> Array:
    """The gradient of a cross-entropy with another target."""
    away = probability(scene) - target if scene.kind == "SoftmaxCrossEntropy" else -target / scene.x
    return away / scene.images


def with_probability(scene: Scene, p: Array) -> Array:
    """The cross-entropy, or its gradient by the scores, of other probabilities."""
    if scene.quantity == "y":
        return np.array(-(scene.target * np.log(p)).sum(axis=1).mean())
    return np.asarray((p - scene.target) / scene.images)


enter(
    "fused-with-softmax",
    "CrossEntropy.dx",
    "the gradient handed over is p - target: softmax and loss are taken as one",
    "That is the gradient with respect to the scores, before the softmax; with the softmax passed unchanged it is "
    "right.",
    lambda scene: (scene.x - scene.target) / scene.images,
    convention=True,
)

enter(
    "softmax-applied-twice",
    "SoftmaxCrossEntropy.dx",
    "the softmax's derivative is applied twice",
    "p - target is the gradient with respect to the scores already: softmax and logarithm are both in it. Do not "
    "multiply by p(1 - p), nor by the softmax's matrix, again.",
    lambda scene: probability(scene) * (scene.expected - summed(probability(scene) * scene.expected)),
    lambda scene: probability(scene) * (1 - probability(scene)) * scene.expected,
)

enter(
    "true-class-only",
    "SoftmaxCrossEntropy.dx CrossEntropy.dx",
    "only the true class gets an error",
    "All scores share the softmax's sum: the gradient is p for every other class and p - 1 for the true one.",
    lambda scene: scene.expected * scene.target,
    lambda scene: -scene.target * probability(scene) / scene.images,
    lambda scene: -scene.target / scene.images,
    when=lambda scene: scene.kind == "SoftmaxCrossEntropy",
)

enter(
    "softmax-not-passed",
    "SoftmaxCrossEntropy.dx",
    "the loss is differentiated by the probabilities, -target / p: the way back through the softmax is left out",
    "What is wanted is the gradient with respect to the scores: sent through the softmax, -target / p becomes p - "
    "target.",
    lambda scene: -scene.target / probability(scene) / scene.images,
)

enter(
    "target-left-out",
    "SoftmaxCrossEntropy.dx MeanSquaredError.dx HalfSquaredError.dx",
    "the target is not taken off, or added",
    "The gradient is output minus target.",
    lambda scene: scale(scene) * output(scene),
    lambda scene: scale(scene) * (output(scene) + scene.target),
)

enter(
    "one-taken-off-everywhere",
    "SoftmaxCrossEntropy.dx",
    "1 is taken off every class, not the true one alone",
    "The gradient is p - 1 for the true class and p for every other: p[range(images), labels] -= 1.",
    lambda scene: (probability(scene) - 1) / scene.images,
)

enter(
    "scores-not-probabilities",
    "SoftmaxCrossEntropy.dx",
    "scores stand where probabilities should: the softmax is left out of the gradient, or it is a sigmoid",
    "The gradient is softmax(scores) - target.",
    lambda scene: (scene.x - scene.target) / scene.images,
    lambda scene: (sigmoid(scene.x) - scene.target) / scene.images,
)

enter(
    "softmax-of-the-batch",
    "SoftmaxCrossEntropy.dx SoftmaxCrossEntropy.y",
    "the softmax is taken over the whole batch, or over the images",
    "Each image's probabilities sum to 1: take maximum and sum along the axis of the scores.",
    lambda scene: with_probability(scene, softmax_over(None, scene.x)),
    lambda scene: with_probability(scene, softmax_over(0, scene.x)),
)

enter(
    "two-classes",
    "CrossEntropy.dx",
    "the gradient is that of the two-class cross-entropy: (p - target) / (p(1 - p))",
    "With one class out of many the loss is -Σ target · log p, whose gradient is -target / p.",
    lambda scene: (scene.x - scene.target) / (scene.x * (1 - scene.x)) / scene.images,
)

enter(
    "division-left-out",
    "CrossEntropy.dx",
    "the target is not divided by the probability",
    "The derivative of -target · log p is -target / p.",
    lambda scene: -scene.target / scene.images,
    lambda scene: -scene.target * scene.x / scene.images,
    lambda scene: -scene.target * np.log(scene.x) / scene.images,
)

enter(
    "derivative-of-the-output-again",
    "MeanSquaredError.dx HalfSquaredError.dx",
    "the last activation's derivative is already in the loss's gradient",
    "The loss's gradient is about its own input. The activation before it multiplies by its derivative itself, once.",
    lambda scene: scene.expected * scene.x * (1 - scene.x),
    lambda scene: scene.expected * (1 - scene.x * scene.x),
    lambda scene: scene.expected * (scene.x > 0),
)

enter(
    "sign-of-the-difference",
    "MeanSquaredError.dx HalfSquaredError.dx",
    "only the sign of the difference counts, or its size",
    "The gradient of a squared error is the difference itself, with its sign.",
    lambda scene: scale(scene) * np.sign(scene.x - scene.target),
    lambda scene: np.abs(scene.expected),
    lambda scene: scale(scene) * (scene.x - scene.target) ** 2,
)

enter(
    "classes-shifted",
    "SoftmaxCrossEntropy.dx CrossEntropy.dx",
    "the targets are those of the next class, or of another image",
    "Class numbers begin at 0; keep images and targets in the same order.",
    lambda scene: with_target(scene, np.roll(scene.target, 1, 1)),
    lambda scene: with_target(scene, np.roll(scene.target, -1, 1)),
    lambda scene: with_target(scene, np.roll(scene.target, 1, 0)),
)


@mistake(
    "loss-of-another",
    "loss.y",
    "the loss is another function of the outputs",
    "Cross-entropy: -log of the true class's probability. Squared error: Σ (output - target)². Mean over the images.",
)
def loss_of_another(scene: Scene) -> Iterator[Array]:
    p = probability(scene)
    for rows in (
        -(scene.target * p).sum(axis=1),
        1 - (scene.target * p).sum(axis=1),
        ((p - scene.target) ** 2).sum(axis=1),
        ((p - scene.target) ** 2).sum(axis=1) / 2,
        ((p - scene.target) ** 2).mean(axis=1),
        -(scene.target * np.log(p) + (1 - scene.target) * np.log(1 - p)).sum(axis=1),
        np.abs(scene.x - scene.target).sum(axis=1),
        np.abs(scene.x - scene.target).mean(axis=1),
        -(scene.target * scene.x).sum(axis=1),
    ):
        yield np.array(rows.mean())
        yield np.array(rows.sum())


@mistake(
    "loss-of-one-image",
    "loss.y",
    "the loss is that of one image",
    "The loss of a batch is the mean over its images.",
)
def loss_of_one(scene: Scene) -> Iterator[Array]:
    if scene.images > 1:
        alone = scene.program.alone("loss")
        scene.program.loss_of(scene.step, scene.x)
        each = alone.get("y")
        yield np.array(each[-1])
        yield np.array(each[0])


enter(
    "logarithm-to-another-base",
    "SoftmaxCrossEntropy.y CrossEntropy.y",
    "the logarithm is to base 2 or 10",
    "The cross-entropy takes the natural logarithm; another base scales loss and gradient.",
    lambda scene: scene.expected / np.log(2),
    lambda scene: scene.expected / np.log(10),
)
