"""The learning rate range test: a copy of the network takes steps at rates that grow by the same factor each time."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.compiler.machine_code import together
from plaingrad.errors import DivergedError, SettingError, is_number, require_whole, visible
from plaingrad.network.augment import Augment
from plaingrad.network.network import Network, require_network
from plaingrad.textbook.habits import refuse
from plaingrad.textbook.losses import Loss
from plaingrad.textbook.optimisers import Optimiser
from plaingrad.textbook.phrases import counted
from plaingrad.training.preparing import begin
from plaingrad.training.rates.plot import plotted
from plaingrad.training.shards import Shards
from plaingrad.training.trainer import Trainer, with_labels

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 100
FEWEST = 10  # steps
MEMORY = 0.9  # of the smoothed loss: the share of it that stays at each step
LEAST, MOST = 1e-37, 1e38  # what float32 holds
FAR = 4.0  # times the lowest smoothed loss, where it counts as diverged
BELOW = 10.0  # times lower than the rate of the lowest loss is the suggestion
FELL = 0.9  # of the first loss: less of a fall is taken for chance
WHOLE = "all rates were tried"
RULE = "a tenth of the rate at which the smoothed loss was lowest (Howard and Gugger, 2020)"


@dataclass(frozen=True, eq=False)
class RateTest:
    """What `find_rate` found. `print` draws it, `save` writes it as a page.

    rates: that of each step, ascending. losses: the mean loss over the images of its batch, before the step.
    smoothed: the running mean of the losses, s = 0.9 · s + 0.1 · loss from s = 0, divided by 1 - 0.9^(number of steps).
    suggestion: a tenth of the rate at which `smoothed` was lowest; None where the loss did not fall.
    ended: why there is no further step. settings: optimiser, loss and the like, as text.
    """

    net: str
    data: str
    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float | None
    ended: str
    settings: dict[str, str]

    @property
    def lowest(self) -> int:
        """The step at which the smoothed loss was lowest."""
        return int(np.argmin(self.smoothed))

    @property
    def advice(self) -> str:
        """What to do, in one line."""
        if self.suggestion is None:
            then = "higher rates, or more steps" if self.is_whole else f"rates below {self.rates[0]:.2g}"
            return f"no suggestion: the smoothed loss did not fall by a tenth; try {then}"
        at = self.lowest
        more = "; it was still falling at the highest rate: try higher ones too" if at == len(self.rates) - 1 else ""
        return (
            f"suggestion: rate {self.suggestion:.2g}, a tenth of the rate {self.rates[at]:.2g} at which the smoothed "
            f"loss was lowest, {self.smoothed[at]:.4f}{more}"
        )

    @property
    def is_whole(self) -> bool:
        """Whether all rates were tried."""
        return self.ended == WHOLE

    def headline(self) -> str:
        """What was tried, and why it ended."""
        tried = f"rates {self.rates[0]:.2g} to {self.rates[-1]:.2g}"
        return f"{visible(self.net)} on {visible(self.data)}: {counted(len(self.rates), 'step')}, {tried}; {self.ended}"

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        arrays = {name: getattr(self, name).tolist() for name in ("rates", "losses", "smoothed")}
        known = {"model": self.net, "data": self.data, "suggestion": self.suggestion, "ended": self.ended}
        return {**known, "settings": self.settings, "rule": RULE, **arrays}

    def __repr__(self) -> str:
        return f"<RateTest: {self.advice}>"

    def __str__(self) -> str:
        return "\n".join([self.headline(), "", *plotted(self.rates, self.smoothed, self.suggestion), "", self.advice])

    def save(self, path: str | Path) -> None:
        """Write it as one HTML file with the plot and the numbers. MissingError without Matplotlib or Jinja2."""
        from plaingrad.training.rates.page import write_page

        write_page(path, self.to_json() | {"advice": self.advice})


def find_rate(
    net: Network,
    data: Any,
    *then: Any,
    optimiser: Optimiser | str | None = None,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
    batch: int = 64,
    loss: Loss | str | None = None,
    augment: Augment | str | None = None,
    clip: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    **foreign: Any,
) -> RateTest:
    """Train a copy of `net` at rates from `lowest` to `highest`, and suggest one: the learning rate range test.

    `find_rate(net, data, optimiser)`; or with images and labels apart, `find_rate(net, images, labels, optimiser=…)`.
    The rate of step k, from 0 on, is lowest · (highest / lowest)^(k / (steps - 1)); batches are those of `train` with
    this seed. It ends early where the smoothed loss is 4 times its lowest value or the loss is not finite. The network
    stays as it is. After Smith (2017), Cyclical learning rates for training neural networks; the suggestion is a tenth
    of the rate at which the smoothed loss was lowest, after Howard and Gugger (2020). SettingError for settings that
    cannot be, DataError where images or labels do not fit, DivergedError where the first loss is not finite.
    """
    known = ("optimiser", "lowest", "highest", "steps", "batch", "loss", "augment", "clip", "seed", "threads")
    refuse("find_rate", foreign, known)
    data, then = with_labels(data, then)
    if len(then) > 1 or (then and optimiser is not None):
        raise SettingError("find_rate got too many arguments; it takes a network, data and an optimiser, then names")
    for name, value in (("lowest", lowest), ("highest", highest)):
        if not is_number(value) or not LEAST <= value <= MOST:
            raise SettingError(f"find_rate got {name}={value!r}; it needs a rate, a number from {LEAST:g} to {MOST:g}")
    if not lowest < highest:
        raise SettingError(f"find_rate got lowest={lowest!r} and highest={highest!r}; lowest is to be below highest")
    steps = require_whole("find_rate", "steps", steps, FEWEST)
    own: dict[str, Any] = {
        "batch": batch,
        "loss": loss,
        "augment": augment,
        "clip": clip,
        "seed": seed,
        "threads": threads,
    }
    trainer = Trainer(require_network("find_rate", net).copy(), data, then[0] if then else optimiser, **own)
    trainer.optimiser = trainer.optimiser.replace(rate=float(lowest))
    trainer.net.cached["said"] = net.cached.setdefault("said", set())  # what is said of a network is said once
    ratio = (float(highest) / float(lowest)) ** (1 / (steps - 1))
    own_settings = {name: value for name, value in trainer.optimiser.settings().items() if name != "rate"}
    shown = ", ".join(f"{name}={value!r}" for name, value in own_settings.items())
    settings = {"optimiser": f"{type(trainer.optimiser).__name__}({shown})", "loss": trainer.loss.in_full()}
    settings |= {name: str(getattr(trainer, name)) for name in ("batch", "seed")}
    settings |= {name: str(told) for name in ("augment", "clip") if (told := getattr(trainer, name)) is not None}
    rates, losses, smoothed, ended = _tried(trainer, ratio, steps)
    return RateTest(
        net.name,
        trainer.data.name,
        np.array(rates),
        np.array(losses),
        np.array(smoothed),
        _suggested(rates, smoothed),
        ended,
        settings,
    )


def _tried(trainer: Trainer, ratio: float, steps: int) -> tuple[list[float], list[float], list[float], str]:
    """Rates, losses and smoothed losses of the steps that were taken, and why there is no further one."""
    rates, losses, smoothed, mean = list[float](), list[float](), list[float](), 0.0
    shards: Shards = together(trainer.shards)
    order = trainer.order(0)
    begin(trainer.net, trainer.data, None, trainer.loss, trainer.together(shards))
    data = trainer.data
    with shards:
        updates = trainer.updates(shards)
        for step in range(steps):
            epoch, number = divmod(step, trainer.per_epoch)
            order = order if number else trainer.order(epoch)
            index = order[number * trainer.batch : (number + 1) * trainer.batch]
            loss = shards.step(data.images, data.labels, index, step, epoch, data.relative_weights)[0] / len(index)
            if not math.isfinite(loss) and not rates:
                raise DivergedError(
                    f"find_rate: before the first step {shards.culprit()} is not finite; begin with other weights, "
                    "such as start=He()"
                )
            if not math.isfinite(loss):
                return rates, losses, smoothed, "the loss was no longer finite"
            mean = MEMORY * mean + (1 - MEMORY) * loss
            rates.append(trainer.optimiser.rate * ratio**step)
            losses.append(loss)
            smoothed.append(mean / (1 - MEMORY ** (step + 1)))
            if smoothed[-1] > FAR * min(smoothed):
                return rates, losses, smoothed, f"the smoothed loss was {FAR:g} times its lowest value"
            updates(step, ratio**step)
    return rates, losses, smoothed, WHOLE


def _suggested(rates: list[float], smoothed: list[float]) -> float | None:
    at = int(np.argmin(smoothed))
    return rates[at] / BELOW if at and smoothed[at] < FELL * smoothed[0] else None
