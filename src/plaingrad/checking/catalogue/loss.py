"""Mistakes in the loss and its gradient."""

import functools
from collections.abc import Iterator

import numpy as np

from plaingrad.checking.alone import Alone
from plaingrad.checking.catalogue.entry import mistake
from plaingrad.checking.scene import Scene
from plaingrad.layers import Softmax
from plaingrad.loops import Array


@functools.lru_cache(maxsize=8)
def softmax(outputs: int, images: int) -> Alone:
    """A softmax by itself."""
    return Alone(Softmax(), (outputs,), images)


def probability(scene: Scene) -> Array:
    """The softmax of the network's output, by the library's text."""
    alone = softmax(scene.x.shape[1], scene.images)
    alone.run_on(scene.x, {})
    return alone.get("y")


@mistake(
    "fused-with-softmax",
    "CrossEntropy.dx",
    "the gradient handed over is p - target: softmax and loss are taken as one",
    "That is the gradient with respect to the scores, before the softmax; with the softmax passed unchanged it is "
    "right.",
    convention=True,
)
def fused(scene: Scene) -> Iterator[Array]:
    yield (scene.x - scene.target) / scene.images


@mistake(
    "softmax-applied-twice",
    "SoftmaxCrossEntropy.dx",
    "the softmax's derivative is applied twice",
    "p - target is the gradient with respect to the scores already: softmax and logarithm are both in it. Do not "
    "multiply by p(1 - p), nor by the softmax's matrix, again.",
)
def softmax_twice(scene: Scene) -> Iterator[Array]:
    p = probability(scene)
    yield softmax(*scene.x.shape[::-1]).slopes(scene.x, {}).of(scene.expected)
    yield scene.expected * p * (1 - p)


@mistake(
    "true-class-only",
    "SoftmaxCrossEntropy.dx CrossEntropy.dx",
    "only the true class gets an error",
    "All scores share the softmax's sum: the gradient is p for every other class and p - 1 for the true one.",
)
def true_class_only(scene: Scene) -> Iterator[Array]:
    if scene.kind == "SoftmaxCrossEntropy":
        yield scene.expected * scene.target
        yield -scene.target * probability(scene) / scene.images
        yield -scene.target / scene.images


@mistake(
    "softmax-not-passed",
    "SoftmaxCrossEntropy.dx",
    "the loss is differentiated by the probabilities, -target / p: the way back through the softmax is left out",
    "What is wanted is the gradient with respect to the scores: sent through the softmax, -target / p becomes p - "
    "target.",
)
def softmax_not_passed(scene: Scene) -> Iterator[Array]:
    yield -scene.target / probability(scene) / scene.images


@mistake(
    "target-left-out",
    "SoftmaxCrossEntropy.dx MeanSquaredError.dx HalfSquaredError.dx",
    "the target is not taken off, or added",
    "The gradient is output minus target.",
)
def target_left_out(scene: Scene) -> Iterator[Array]:
    if scene.kind == "SoftmaxCrossEntropy":
        p = probability(scene)
        yield p / scene.images
        yield (p + scene.target) / scene.images
    else:
        away = np.where(scene.x != scene.target, scene.x - scene.target, 1)
        yield scene.expected / away * scene.x
        yield scene.expected / away * (scene.x + scene.target)


@mistake(
    "one-taken-off-everywhere",
    "SoftmaxCrossEntropy.dx",
    "1 is taken off every class, not the true one alone",
    "The gradient is p - 1 for the true class and p for every other: p[range(images), labels] -= 1.",
)
def one_everywhere(scene: Scene) -> Iterator[Array]:
    yield (probability(scene) - 1) / scene.images


@mistake(
    "scores-not-probabilities",
    "SoftmaxCrossEntropy.dx",
    "scores stand where probabilities should: the softmax is left out of the gradient, or it is a sigmoid",
    "The gradient is softmax(scores) - target.",
)
def scores(scene: Scene) -> Iterator[Array]:
    yield (scene.x - scene.target) / scene.images
    yield (1 / (1 + np.exp(-scene.x)) - scene.target) / scene.images


@mistake(
    "softmax-of-the-batch",
    "SoftmaxCrossEntropy.dx SoftmaxCrossEntropy.y",
    "the softmax is taken over the whole batch, or over the images",
    "Each image's probabilities sum to 1: take maximum and sum along the axis of the scores.",
)
def softmax_of_batch(scene: Scene) -> Iterator[Array]:
    grown = np.exp(scene.x - scene.x.max())
    for p in (grown / grown.sum(), grown / grown.sum(axis=0, keepdims=True)):
        if scene.quantity == "y":
            yield np.array(-(scene.target * np.log(p)).sum(axis=1).mean())
        else:
            yield (p - scene.target) / scene.images


@mistake(
    "two-classes",
    "CrossEntropy.dx",
    "the gradient is that of the two-class cross-entropy: (p - target) / (p(1 - p))",
    "With one class out of many the loss is -Σ target · log p, whose gradient is -target / p.",
)
def two_classes(scene: Scene) -> Iterator[Array]:
    yield (scene.x - scene.target) / (scene.x * (1 - scene.x)) / scene.images


@mistake(
    "division-left-out",
    "CrossEntropy.dx",
    "the target is not divided by the probability",
    "The derivative of -target · log p is -target / p.",
)
def division_left_out(scene: Scene) -> Iterator[Array]:
    yield -scene.target / scene.images
    yield -scene.target * scene.x / scene.images
    yield -scene.target * np.log(scene.x) / scene.images


@mistake(
    "derivative-of-the-output-again",
    "MeanSquaredError.dx HalfSquaredError.dx",
    "the last activation's derivative is already in the loss's gradient",
    "The loss's gradient is about its own input. The activation before it multiplies by its derivative itself, once.",
)
def derivative_again(scene: Scene) -> Iterator[Array]:
    yield scene.expected * scene.x * (1 - scene.x)
    yield scene.expected * (1 - scene.x * scene.x)
    yield scene.expected * (scene.x > 0)


@mistake(
    "sign-of-the-difference",
    "MeanSquaredError.dx HalfSquaredError.dx",
    "only the sign of the difference counts, or its size",
    "The gradient of a squared error is the difference itself, with its sign.",
)
def sign_only(scene: Scene) -> Iterator[Array]:
    scale = scene.expected / np.where(scene.x != scene.target, scene.x - scene.target, 1)
    yield scale * np.sign(scene.x - scene.target)
    yield np.abs(scene.expected)
    yield scale * (scene.x - scene.target) ** 2


@mistake(
    "classes-shifted",
    "SoftmaxCrossEntropy.dx CrossEntropy.dx",
    "the targets are those of the next class, or of another image",
    "Class numbers begin at 0; keep images and targets in the same order.",
)
def shifted(scene: Scene) -> Iterator[Array]:
    for moved in (np.roll(scene.target, 1, 1), np.roll(scene.target, -1, 1), np.roll(scene.target, 1, 0)):
        if scene.kind == "SoftmaxCrossEntropy":
            yield (probability(scene) - moved) / scene.images
        else:
            yield -moved / scene.x / scene.images


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


@mistake(
    "logarithm-to-another-base",
    "SoftmaxCrossEntropy.y CrossEntropy.y",
    "the logarithm is to base 2 or 10",
    "The cross-entropy takes the natural logarithm; another base scales loss and gradient.",
)
def another_base(scene: Scene) -> Iterator[Array]:
    yield scene.expected / np.log(2)
    yield scene.expected / np.log(10)
