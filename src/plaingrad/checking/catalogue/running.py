"""Mistakes in the running values that BatchNorm keeps for the trained network."""

from collections.abc import Callable

import numpy as np

from plaingrad.checking.catalogue.entry import Form, Kind, enter
from plaingrad.checking.catalogue.normalising import Made, Own, Part, unbiased
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array


def kept(made: Callable[[float, Array, Array], Part]) -> Form:
    """A running value from momentum, what was kept before, and what it moves towards."""

    def form(context: Context) -> Array:
        own, before = Own(context), context.read[context.quantity]
        towards = own.mean if context.quantity == "running_mean" else unbiased(own) if own.count > 1 else own.variance
        return np.broadcast_to(made(context.owner.momentum, before, towards.reshape(-1)), before.shape)

    return form


KEPT = "BatchNorm.running_mean BatchNorm.running_variance"
MOVES = "running += momentum · (that of the batch - running)"

enter(
    "momentum-the-wrong-way-round",
    KEPT,
    "momentum is the wrong way round: it is the share of the running value that stays",
    f"{MOVES}: momentum is the share of the new value, as in PyTorch. Keras calls the share that stays so.",
    kept(lambda momentum, before, new: momentum * before + (1 - momentum) * new),
    kind=Kind.FACTOR,
)

enter(
    "running-value-not-kept",
    KEPT,
    "the running value is that of the last batch alone: nothing of those before stays",
    f"{MOVES}.",
    kept(lambda momentum, before, new: new),
    kind=Kind.OMISSION,
)

enter(
    "running-value-never-moved",
    KEPT,
    "the running value stays as it was before the first step",
    f"After each batch {MOVES}.",
    kept(lambda momentum, before, new: before),
    plain=True,
    kind=Kind.OMISSION,
)

enter(
    "running-value-moved-in-the-first-step-alone",
    KEPT,
    "the running value is moved in the first step alone",
    f"After each batch {MOVES}.",
    kept(lambda momentum, before, new: before),
    when=lambda context: context.step > 1,
    late=True,
    kind=Kind.OMISSION,
)

BEGIN = "The case tells the running mean and variance before the first step: begin with these."

enter(
    "running-value-begins-at-0-or-1",
    KEPT,
    "the running value begins at 0 or 1, not where the case begins",
    f"{BEGIN} Of their own most programs begin at 0 for the mean and at 1 for the variance.",
    kept(lambda momentum, before, new: momentum * new),
    kept(lambda momentum, before, new: 1 - momentum + momentum * new),
    when=lambda context: context.step == 1,
    late=True,
    kind=Kind.ARRAY,
)

enter(
    "running-value-begins-with-the-first-batch",
    KEPT,
    "the running value begins as that of the first batch, not where the case begins",
    f"{BEGIN} Then {MOVES} after every batch, the first as well.",
    kept(lambda momentum, before, new: new),
    when=lambda context: context.step == 1,
    late=True,
    kind=Kind.ARRAY,
)

enter(
    "running-value-moved-twice",
    KEPT,
    "the running value is moved twice by the same batch",
    f"After each batch {MOVES}, once: is the layer run forward twice in a step?",
    kept(lambda momentum, before, new: (1 - momentum) ** 2 * before + (1 - (1 - momentum) ** 2) * new),
    kind=Kind.SUM,
)

enter(
    "running-value-added-to",
    KEPT,
    "the new value is added to the running one, of which nothing is taken away",
    f"{MOVES}: what is added, and what of it is taken away, make 1 together.",
    kept(lambda momentum, before, new: before + momentum * new),
    kept(lambda momentum, before, new: before + new),
    kept(lambda momentum, before, new: (1 - momentum) * before + new),
    kind=Kind.SUM,
)

enter(
    "running-variance-biased",
    "BatchNorm.running_variance",
    "what is added to the running variance is divided by the count, not by one less",
    "Both are in use; the case divides by one less, as the paper and PyTorch do.",
    lambda context: _towards(context, lambda own: own.variance),
    convention=True,
    kind=Kind.FACTOR,
)

enter(
    "deviation-for-the-running-variance",
    "BatchNorm.running_variance",
    "the standard deviation is kept in place of the variance, or epsilon is added to it",
    "Keep the variance itself: its root is taken, and ε added, when it is used.",
    lambda context: _towards(context, lambda own: own.deviation),
    lambda context: _towards(context, lambda own: np.sqrt(own.variance)),
    lambda context: _towards(context, lambda own: np.sqrt(unbiased(own))),
    lambda context: _towards(context, lambda own: own.deviation**2),
    lambda context: _towards(context, lambda own: unbiased(own) + own.epsilon),
    kind=Kind.FUNCTION,
)


def about_running_mean(share: float, is_unbiased: bool) -> Form:
    """A variance about the running mean, after such a share of its move by this batch."""

    def made(context: Context, own: Own) -> Array:
        moved = own.variance + (own.mean - _running_mean(context, own, share)) ** 2
        return np.asarray(moved * own.count / (own.count - 1) if is_unbiased and own.count > 1 else moved)

    return lambda context: _towards(context, lambda own: made(context, own))


enter(
    "variance-about-the-running-mean",
    "BatchNorm.running_variance",
    "the running variance is that of distances from the running mean, not from the batch's own",
    "The variance of a batch is the mean square distance from the mean of this batch.",
    *(about_running_mean(share, is_unbiased) for share in (1, 0) for is_unbiased in (True, False)),
    kind=Kind.ARRAY,
)


def _running_mean(context: Context, own: Own, share: float) -> Array:
    """The running mean, laid as the batch's own."""
    before = context.env[context.step - 1, context.name, "running_mean"].value.reshape(own.mean.shape)
    return np.asarray(before + share * context.owner.momentum * (own.mean - before))


def _towards(context: Context, made: Made) -> Array:
    """The running variance as it moves towards something else."""
    before, momentum = context.read[context.quantity], context.owner.momentum
    return np.asarray(before + momentum * (np.reshape(made(Own(context)), -1) - before))
