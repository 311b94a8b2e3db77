"""What a training is given, as it takes it: images that fit, a loss that fits, and how pixels are normalised."""

import math
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, Bound, has_numba, zeros
from plaingrad.data import Dataset, Split, from_arrays
from plaingrad.data.pixels import Seen, constant_channels, look, say, unit_of
from plaingrad.errors import DataError, SettingError, nearest
from plaingrad.network.loading import pixel_sums
from plaingrad.network.network import Network
from plaingrad.textbook.layers import BatchNorm, GroupNorm, Sigmoid, Softmax, Tanh
from plaingrad.textbook.losses import (
    CrossEntropy,
    HalfSquaredError,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    WeightedCrossEntropy,
)
from plaingrad.textbook.optimisers import (
    SGD,
    Adam,
    AdamW,
    Beginning,
    Constant,
    Cosine,
    Hold,
    LinearDecay,
    OneCycle,
    Optimiser,
    Schedule,
    StepDecay,
    Warmup,
)

OPTIMISERS: dict[str, Optimiser] = {
    "sgd": SGD(),
    "nesterov": SGD(nesterov=True),
    "adam": Adam(),
    "adamw": AdamW(),
}
SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(),
    "step": StepDecay(),
    "linear": LinearDecay(),
    "cosine": Cosine(),
    "onecycle": OneCycle(),
    "warmup": Warmup(),
    "hold": Hold(),
}
LOSSES: dict[str, Loss] = {
    "softmaxcrossentropy": SoftmaxCrossEntropy(),
    "weightedcrossentropy": WeightedCrossEntropy(),
    "crossentropy": CrossEntropy(),
    "mse": MeanSquaredError(),
    "meansquarederror": MeanSquaredError(),
    "halfsquarederror": HalfSquaredError(),
}
# Which of the two it is follows from whether the network ends in Softmax.
ENTROPIES = ("crossentropy", "categoricalcrossentropy", "sparsecategoricalcrossentropy", "logloss")

NUMBER = re.compile(r"-?(\d{1,15}(\.\d{0,20})?|\.\d{1,20})(e-?\d{1,3})?", re.ASCII | re.IGNORECASE)
MOST_PARTS = 8  # of a schedule's text
STRANGE = 1.0  # the mean of other images, in spreads of those that the network was standardised by


def check_fit(net: Network, data: Dataset) -> None:
    """DataError where images or labels are not what the network takes."""
    if isinstance(data, Split):
        raise DataError(f"{data.name} is split into two parts; give one of them, .train or .test")
    if hasattr(data, "shape") and not isinstance(data, Dataset):
        raise DataError(
            f"{net.name} got an array of shape {data.shape} without labels; give both, train(net, images, labels), or "
            "the Dataset that from_arrays(images, labels) makes"
        )
    if not isinstance(data, Dataset):
        raise DataError(f"{net.name} takes a Dataset, got {str(data)[:40]!r}; `data.split(0.1)` makes two of one")
    if data.shape != net.input:
        raise DataError(
            f"{net.name} takes images of {net.input} (channels, rows, columns), {data.name} has {data.shape}"
        )
    if len(data.classes) > net.output[0]:
        raise DataError(
            f"{data.name} has {len(data.classes)} classes, {net.name} has {net.output[0]} outputs; "
            "it needs an output for each class"
        )


def versions() -> dict[str, str]:
    """What is at work here, besides the settings: plaingrad, NumPy, Python, and what compiles."""
    import plaingrad

    packages = {f"the version of {name}": version(name) for name in ("numba", "llvmlite") if has_numba()}
    python = ".".join(map(str, sys.version_info[:2]))
    own = {"the version of plaingrad": plaingrad.__version__, "the version of NumPy": np.__version__}
    return own | {"the version of Python": python} | packages


def summing(images: Array, weights: Array | None = None) -> tuple[Bound, list[Array]]:
    """The nest that adds up pixels, and the arrays it takes."""
    channels = images.shape[1]
    sums = [zeros((channels, images.shape[3]), "f8") for _ in range(2)]
    given = [images, np.ones(len(images)) if weights is None else weights, zeros((channels,), "f8"), *sums]
    return pixel_sums.bound(given), given


def moments(images: Array, seen: Seen | None = None, weights: Array | None = None) -> tuple[Array, Array]:
    """The mean of each channel and the factor that makes its spread 1; images may weigh unlike much."""
    unit, channels = unit_of(images, seen), images.shape[1]
    sums, given = summing(images, weights)
    _, weights, mean, total, square = given
    count = weights.sum() * math.prod(images.shape[2:])
    sums(*given)
    mean[:] = total.sum(axis=1) / count
    sums(*given)
    spread = np.sqrt(square.sum(axis=1) / count)
    factor = np.ones(channels)
    for c in range(channels):
        # A channel of one value has a spread of rounding errors, not always 0.
        if images[:, c].min() < images[:, c].max():
            factor[c] = 1 / (spread[c] * unit)
    return mean * unit, factor


def standardise(net: Network, images: Array, weights: Array | None = None) -> None:
    """Set the network's offset and factor: these images then have mean 0 and variance 1 in each channel."""
    net.seen = Seen.of(images)
    offset, factor = moments(images, net.seen, weights)
    net.offset[:], net.factor[:] = offset, factor


def begin(net: Network, data: Dataset, validation: Dataset | None, loss: Loss, together: int) -> None:
    """Standardise a new network by its training images; keep what one has that was trained before. Say what surprises.

    Other factors would make another function of the same weights. So many images run `together`.
    """
    lines = *constant_channels(data.images, data.name), *mismatches(net, loss), *normalised_away(net, together)
    for line in lines:
        say(net, line, line)
    if net.seen is None and not net.offset.any() and (net.factor == 1).all():
        standardise(net, data.images, data.weights)
    else:
        offset, factor = moments(data.images, net.seen, data.weights)
        away = np.abs((offset - net.offset.astype(float)) * net.factor.astype(float)).max()
        wider = np.exp(np.abs(np.log(factor / net.factor.astype(float)))).max()
        if away > STRANGE or wider > 1 + STRANGE:
            line = (
                f"{net.name} was trained before and keeps its offset and factor; compared with those images, the mean "
                f"of {data.name} is off by {away:.3g} standard deviations, and its standard deviation by a factor of "
                f"{wider:.3g}: scale these images as the first ones, or compute offset and factor again with "
                "trainer.standardise() before trainer.train()"
            )
            say(net, "standardised", line)
        net.seen = Seen.of(data.images) if net.seen is None else net.seen.with_more(data.images)
    if validation is not None:
        look(net, validation.images)


def dataset(images: Any, labels: Any = None) -> Any:
    """A dataset of images and labels, where they are given apart or as a pair; what is one stays."""
    if labels is None and isinstance(images, tuple) and len(images) == 2:
        images, labels = images
    return images if labels is None else from_arrays(images, labels)


def named(what: str, value: Any, net: Network) -> Any:
    """An optimiser, schedule or loss by its name in words; what is one already stays."""
    if not isinstance(value, str):
        return value
    known: dict[str, Any] = {"optimiser": OPTIMISERS, "schedule": SCHEDULES, "loss": LOSSES}[what]  # type: ignore[assignment]
    plain = value.lower().replace("_", "").replace("-", "").replace(" ", "")
    if what == "loss" and plain in ENTROPIES:
        return loss_for(net)
    if what == "schedule":
        return schedule_from_text(value)
    if plain not in known:
        raise SettingError(f"training got {what}={value!r}; {nearest(value, known)}")
    return known[plain]


def schedule_from_text(text: str, who: str = "training got schedule=") -> Schedule:
    """The schedule that a command line tells: `cosine`, `step,every=2,factor=0.1`, `warmup,share=0.05+hold+cosine`.

    Each part is a name and settings; what stands after a + begins where the part before it ends. SettingError else.
    """
    made: Schedule | None = None
    if text.count("+") >= MOST_PARTS:
        raise SettingError(f"{who}{text[:40]!r}…; it needs at most {MOST_PARTS} parts, such as warmup+hold+cosine")
    for part in reversed(text.split("+")):
        name, *told = (each.strip() for each in part.split(","))
        plain = name.lower().replace("_", "").replace("-", "").replace(" ", "")
        if plain not in SCHEDULES:
            raise SettingError(f"{who}{text!r}; {nearest(name, SCHEDULES)}, or some joined by +, as warmup+cosine")
        schedule, settings = SCHEDULES[plain], _settings(told, text, who)
        if made is not None:
            if not isinstance(schedule, Beginning):
                first = ", ".join(key for key, value in SCHEDULES.items() if isinstance(value, Beginning))
                raise SettingError(f"{who}{text!r}; {name} goes on to the end, and before a + stands one of {first}")
            settings["then"] = made
        made = schedule.replace(**settings)
    assert made is not None
    return made


def _settings(told: Iterable[str], text: str, who: str) -> dict[str, Any]:
    """`every=2,factor=0.1` as settings: numbers, each at most once."""
    settings: dict[str, Any] = {}
    for each in told:
        name, equals, value = (word.strip() for word in each.partition("="))
        number = float(value) if NUMBER.fullmatch(value) else None
        if not equals or name in settings or number is None:
            raise SettingError(
                f"{who}{text!r}; a schedule is a name and its settings, such as step,every=2,factor=0.1: each at most "
                "once, with a number"
            )
        settings[name] = int(value) if value.isdecimal() else number
    return settings


def loss_for(net: Network) -> Loss:
    """The loss where none is told: one that takes probabilities where the network gives such."""
    return CrossEntropy() if isinstance(net.layers[-1], Softmax) else SoftmaxCrossEntropy()


def mismatches(net: Network, loss: Loss) -> Iterator[str]:
    """What does not fit between the last layer and the loss, which trains badly without an error."""
    last, name = net.layers[-1], next(reversed(net.steps))
    if isinstance(loss, SoftmaxCrossEntropy) and isinstance(last, Softmax):
        yield (
            f"softmax twice: {net.name} ends in {name}, and the loss {type(loss).__name__} takes the softmax of its "
            "probabilities once more, which slows learning and bounds the loss: leave the layer out, or take "
            "loss=CrossEntropy()"
        )
    elif isinstance(loss, SoftmaxCrossEntropy) and isinstance(last, Sigmoid | Tanh):
        yield (
            f"squashed scores: {net.name} ends in {name}, and {type(loss).__name__} takes scores of any size: leave "
            "the layer out, or take loss=HalfSquaredError()"
        )
    elif isinstance(loss, CrossEntropy) and not isinstance(last, Softmax | Sigmoid):
        yield (
            f"no softmax: CrossEntropy takes the logarithm of probabilities, and {net.name} ends in {name}, which "
            "gives scores of either sign: end the network in Softmax(), or take loss=SoftmaxCrossEntropy()"
        )


def normalised_away(net: Network, together: int) -> Iterator[str]:
    """Layers that normalise single numbers where so many images run `together`: of each its own mean is taken off."""
    for name, step in net.steps.items():
        pixels = math.prod(step.x[1:])
        alone = f"{name} normalises each number by itself, which leaves 0, and no gradient goes back through it"
        if isinstance(step.layer, BatchNorm) and together * pixels == 1:
            yield (
                f"one number: {alone}: a mean is over the images of a shard, and at this batch a shard is 1 image, of "
                "1 pixel there: take batch=4 or more, or leave the layer out"
            )
        elif isinstance(step.layer, GroupNorm) and step.x[0] // step.layer.groups * pixels == 1:
            yield f"one number: {alone}: each group is 1 channel of 1 pixel: take fewer groups, or leave the layer out"
