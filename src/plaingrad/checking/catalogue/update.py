"""Mistakes in how weights are updated."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import enter, has_several_images, mistake
from plaingrad.checking.search.context import Scene
from plaingrad.compiler.loops import Array

WHOLE = 0.999  # a share of 1 is no momentum: the gradients were never cleared


def gradient_before(scene: Scene) -> Array | None:
    """The gradient of the step before; None in the first."""
    key = (scene.step - 1, scene.name, "d" + scene.weight)
    return scene.env[key].value if key in scene.env else None


enter(
    "never-updated",
    "*.update",
    "the weights do not change",
    "After each step w -= rate · dw, for every trained array; mind that the layer keeps the new one, not a copy.",
    lambda scene: scene.weights[scene.weight],
)

enter(
    "uphill",
    "*.update",
    "the weights go the wrong way: + instead of -",
    "w -= rate · dw: against the gradient. If your gradients are already negated, add them.",
    lambda scene: scene.weights[scene.weight] + scene.rate * scene.slope,
)

enter(
    "rate-left-out",
    "*.update",
    "the gradient is taken off whole: without the rate",
    "w -= rate · dw.",
    lambda scene: scene.weights[scene.weight] - scene.slope,
)

enter(
    "updated-twice",
    "*.update",
    "the update is made twice",
    "One update a step: in the layer or in the optimiser, not in both.",
    lambda scene: scene.weights[scene.weight] - 2 * scene.rate * scene.slope,
)

enter(
    "rate-by-batch",
    "*.update",
    "the rate is divided or multiplied by the number of images once more",
    "The gradient is the mean over the batch already; divide by the number of images once.",
    lambda scene: scene.weights[scene.weight] - scene.rate / scene.images * scene.slope,
    lambda scene: scene.weights[scene.weight] - scene.rate * scene.images * scene.slope,
    when=has_several_images,
)

enter(
    "rate-squared",
    "*.update",
    "the rate is applied twice",
    "Multiply by the rate once: in the gradient or in the update.",
    lambda scene: scene.weights[scene.weight] - scene.rate**2 * scene.slope,
)

enter(
    "weight-in-place-of-gradient",
    "*.update",
    "the weight itself is used where its gradient should be",
    "w -= rate · dw, with dw.",
    lambda scene: (1 - scene.rate) * scene.weights[scene.weight],
)

enter(
    "weight-replaced",
    "*.update",
    "the new weight is the step alone: = instead of -=",
    "w -= rate · dw changes the weight that is there.",
    lambda scene: -scene.rate * scene.slope,
    lambda scene: scene.rate * scene.slope,
)


@mistake(
    "earlier-gradient",
    "*.update",
    "the gradient of the step before is used",
    "Compute the gradients of this batch first, and update with them.",
)
def earlier_gradient(scene: Scene) -> Iterator[Array]:
    before = gradient_before(scene)
    if before is not None:
        yield scene.weights[scene.weight] - scene.rate * before


enter(
    "update-from-the-first-weights",
    "*.update",
    "the step starts from the first weights again",
    "Each step starts from the weights the one before has left.",
    lambda scene: scene.env[0, scene.name, scene.weight].value - scene.rate * scene.slope,
    when=lambda scene: scene.step > 1,
)


@mistake(
    "momentum-added",
    "*.update",
    "a share of the step before is added, as momentum does",
    "The case asks for plain steps, w -= rate · dw; leave momentum out to be compared.",
    convention=True,
)
def momentum(scene: Scene) -> Iterator[Array]:
    old = gradient_before(scene)
    if old is not None and scene.given is not None and scene.given.size > 2:
        rest = scene.expected - scene.given
        share = float((rest * old).sum() / max((old * old).sum(), np.finfo(float).tiny)) / scene.rate
        if 0 < share < WHOLE:
            yield scene.expected - scene.rate * share * old


@mistake(
    "weights-shrunk",
    "*.update",
    "the weights shrink besides, as weight decay does",
    "The case asks for plain steps, w -= rate · dw; leave weight decay out to be compared.",
)
def shrunk(scene: Scene) -> Iterator[Array]:
    w = scene.weights[scene.weight]
    if scene.given is not None and w.size > 2 and w.any():
        share = float(((scene.expected - scene.given) * w).sum() / (w * w).sum())
        if 0 < share < 1:
            yield scene.expected - share * w
