"""Why a training stands still: a look at a few numbers of the run at the end of an epoch, and a line for what is found.

Each finding rests on evidence of its own, not on the loss alone; a training that goes well has none of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.data import Dataset
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layers import Flatten, ReLU, Sigmoid, Tanh
from plaingrad.textbook.losses import (
    CrossEntropy,
    HalfSquaredError,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    WeightedCrossEntropy,
)
from plaingrad.training.preparing import normalised_away

WELL = 0.9  # training accuracy from which nothing is looked for
NEAR_CHANCE = 0.15  # above the share of the most frequent class
MOST = 0.95  # of a layer's units, or numbers
FLAT = 0.02  # slope of a sigmoid or tanh, as a share of its largest, where it counts as saturated
MOVED = 0.02  # how far weights go in a training that does anything, as a share of their length
FAR = 0.3
KEPT = 500  # parameters that are compared
ENOUGH, WARM = 20, 0.3  # steps, and the share of all, before it is said that steps are too small
LOST = 1e-4  # the first layer's gradient as a share of the last one's
LOOKED_AT = 2000  # images
DEALT = 1.5  # how much farther apart than dealt at random the mean images of classes are, at least


@dataclass(frozen=True)
class Epoch:
    """What is looked at: the epoch's entry and number, the outputs of layers for a few images, and the weights."""

    net: Network
    loss: Loss
    data: Dataset
    entry: dict[str, Any]
    outputs: dict[str, Array]
    gradient: Array
    started: Array  # some parameters, as training began with them
    step: int
    steps: int
    together: int  # images of the last batch, whose gradient it is

    @property
    def guessed(self) -> float:
        """The share of the most frequent class."""
        return float(self.frequencies.max())

    @property
    def frequencies(self) -> Array:
        """The share of each class, where images weigh unlike much by weight."""
        counted = np.bincount(self.data.labels.astype(np.intp), self.data.weights, self.net.output[0])
        shares: Array = counted / counted.sum()
        return shares


def findings(epoch: Epoch) -> Iterator[str]:
    """A line for each reason found, which begins with its name and a colon."""
    if epoch.entry["train_accuracy"] >= WELL:
        return
    found = [*_equal_weights(epoch), *_dead(epoch), *_saturated(epoch)]
    yield from found
    if epoch.entry["train_accuracy"] > epoch.guessed + NEAR_CHANCE:
        return
    baseline, moved = _of_guessing(epoch), _moved(epoch)
    most = 3.0 if epoch.entry["epoch"] == 1 else 1.5  # random weights can begin with a larger loss than guessing has
    if moved >= FAR and baseline is not None and epoch.entry["train_loss"] > most * baseline:
        yield (
            f"rate too large: the loss {epoch.entry['train_loss']:.3g} is worse than {baseline:.3g}, the loss of "
            "guessing by class frequency: start again with a tenth of the learning rate"
        )
    elif not found:
        yield from _lost_on_the_way(epoch) or _small_steps(epoch, moved) or _shuffled(epoch)


def _moved(epoch: Epoch) -> float:
    """How far the weights went since the start, as a share of their length."""
    length = float(np.linalg.norm(epoch.started))
    return float(np.linalg.norm(np.array(sampled(epoch.net.parameters)) - epoch.started)) / (length or 1.0)


def sampled(parameters: Array) -> list[float]:
    """Parameters at some places, few enough to be kept."""
    return [float(each) for each in parameters[:: max(1, len(parameters) // KEPT)]]


def _layers_with_weights(net: Network) -> list[str]:
    """Those whose weights lead from inputs to units; one number a channel, as of BatchNorm, begins equal and may."""
    return [name for name, step in net.steps.items() if "w" in step.arrays and step.arrays["w"].ndim > 1]


def _equal_weights(epoch: Epoch) -> Iterator[str]:
    """Hidden layers whose units are all the same: they get the same gradient, and stay so."""
    for name in _layers_with_weights(epoch.net)[:-1]:
        w = epoch.net[name].w.reshape(len(epoch.net[name].w), -1).astype(float)
        if len(w) > 1 and np.ptp(w, axis=0).max() <= 1e-6 * np.abs(w).max():
            yield (
                f"equal weights: all {len(w)} units of {name} have the same weights, so they get the same gradient and "
                "stay the same: start from random weights, such as start=He()"
            )
            return


def _dead(epoch: Epoch) -> Iterator[str]:
    for name, step in epoch.net.steps.items():
        if ReLU not in (type(step.layer), type(getattr(step.layer, "activation", None))):
            continue
        y = epoch.outputs[name]
        dead = (y == 0).all(axis=tuple(axis for axis in range(y.ndim) if axis != 1))
        own = step.arrays.get("w")
        if dead.mean() >= MOST and (own is None or np.any(own)):
            yield (
                f"dead ReLU: {np.count_nonzero(dead)} of the {len(dead)} units of {name} output 0 for every image, and "
                "no gradient passes through them: start again with a tenth of the learning rate or other initial "
                "weights, or use LeakyReLU()"
            )
            return


def _saturated(epoch: Epoch) -> Iterator[str]:
    for name, step in epoch.net.steps.items():
        if isinstance(step.layer, Sigmoid | Tanh):
            y = epoch.outputs[name].astype(float)
            slope = 4 * y * (1 - y) if isinstance(step.layer, Sigmoid) else 1 - y * y
            share = float((slope < FLAT).mean())
            if share >= MOST:
                kind = type(step.layer).__name__.lower()
                yield (
                    f"saturated {kind}: {share:.0%} of the outputs of {name} are where its curve is flat and the "
                    "gradient is almost 0: start with smaller weights (start=Glorot()) and a smaller learning rate, "
                    "or use ReLU()"
                )
                return


def _lost_on_the_way(epoch: Epoch) -> list[str]:
    """A gradient that gets smaller from layer to layer, until the first hardly has one."""
    layers = _layers_with_weights(epoch.net)
    if not layers or any(normalised_away(epoch.net, epoch.together)):
        return []
    first, last = layers[0], layers[-1]
    of_layers = zip(epoch.net.steps, epoch.net.views(epoch.gradient), strict=True)
    sizes = {name: float(np.abs(views["w"]).mean()) for name, views in of_layers if name in layers}
    if sizes[first] >= LOST * sizes[last]:
        return []
    return [
        f"vanishing gradient: the gradient of {first} is {sizes[first] / sizes[last]:.0e} times that of {last}: use "
        "ReLU() and start=He() between them, or fewer layers"
    ]


def _small_steps(epoch: Epoch, moved: float) -> list[str]:
    is_early = epoch.step < max(ENOUGH, WARM * epoch.steps)  # the rate may still be on its way up
    if is_early or moved >= MOVED or not epoch.gradient.any():
        return []
    return [
        f"rate too small: since the start the weights changed by only {moved:.2g} of their norm, and the loss hardly: "
        "start again with ten times the learning rate, or train for longer"
    ]


def _shuffled(epoch: Epoch) -> list[str]:
    """Labels that have nothing to do with the images, as far as the mean images of the classes show."""
    if epoch.entry["epoch"] < 2 and epoch.step < epoch.steps:
        return []
    images = epoch.data.images[:LOOKED_AT].reshape(min(len(epoch.data), LOOKED_AT), -1).astype(float)
    labels = epoch.data.labels[:LOOKED_AT]
    kinds, counts = np.unique(labels, return_counts=True)
    if len(kinds) < 2 or len(images) < 10 * len(kinds):
        return []
    images -= images.mean(axis=0)
    between = sum(n * (images[labels == k].mean(axis=0) ** 2).sum() for k, n in zip(kinds, counts, strict=True))
    every = (images**2).sum()
    if not every or between / every * (len(images) - 1) / (len(kinds) - 1) > DEALT:
        return []
    return [
        "shuffled labels: the mean images of the classes differ no more than they would with random labels, and "
        "nothing else is wrong with the weights: are images and labels in the same order?"
    ]


def _of_guessing(epoch: Epoch) -> float | None:
    """The loss of outputs that say no more than how frequent each class is."""
    shares = epoch.frequencies
    match epoch.loss:
        case WeightedCrossEntropy():
            return _of_guessing_weighted(epoch.loss, shares) or None
        case SoftmaxCrossEntropy() | CrossEntropy():
            return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum()) or None
        case MeanSquaredError():
            return float((shares * (1 - shares)).mean()) or None
        case HalfSquaredError():
            return float((shares * (1 - shares)).sum() / 2) or None
    return None


def _of_guessing_weighted(loss: WeightedCrossEntropy, shares: Array) -> float:
    """The same where targets are smoothed and weighted: the best guess is their mean, which the text itself makes."""
    shares = shares * (np.arange(len(shares)) != loss.ignore)
    run = Run(Network(Flatten(), input=shares.shape, dtype="float64"), 1, loss, as_written=lambda work: True)
    record, target = run.records["loss"], shares[:, None]
    record["target"][...] = target
    run.measure()
    record["x"][...] = np.log(np.maximum(record["weighted_target"], np.finfo(float).tiny))
    run.measure()
    return float(record["y"][0] / (loss.count(target.T) or 1))
