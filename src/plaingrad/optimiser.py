"""Optimisers: one nest over all parameters laid end to end, and how the rate changes as training goes on."""

import math
from typing import ClassVar

from plaingrad.loops import Loops, loops, sqrt
from plaingrad.record import Record


@loops
def sgd_update(w, dw, velocity, numbers, *, nesterov):
    rate, momentum, decay = numbers[0], numbers[1], numbers[2]
    for n in range(w.size):
        slope = dw[n] + decay * w[n]
        velocity[n] = momentum * velocity[n] + slope
        w[n] -= rate * (slope + momentum * velocity[n] if nesterov else velocity[n])


@loops
def adam_update(w, dw, mean, square, numbers):
    rate, shrink, decay, epsilon = numbers[0], numbers[1], numbers[2], numbers[3]
    fresh, fresh_square, grown, grown_square = numbers[4], numbers[5], numbers[6], numbers[7]
    for n in range(w.size):
        slope = dw[n] + decay * w[n]
        mean[n] += fresh * (slope - mean[n])
        square[n] += fresh_square * (slope * slope - square[n])
        w[n] -= shrink * w[n] + rate * (mean[n] / grown) / (sqrt(square[n] / grown_square) + epsilon)


class Schedule(Record, abstract=True):
    """How the rate changes: called with the steps done, all steps, and the steps of one epoch, it gives a factor."""

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        raise NotImplementedError


class Constant(Schedule):
    """The same rate from first to last."""

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        return 1.0


class StepDecay(Schedule):
    """The rate times `factor` after every `every` epochs."""

    every: int = 1
    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.every >= 1, f"every={self.every}", "every is at least 1 epoch")
        self.require(0 < self.factor <= 1, f"factor={self.factor!r}", "factor is above 0 and at most 1")

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        return float(self.factor ** (step // per_epoch // self.every))


class Cosine(Schedule):
    """Half a cosine from the full rate down to `floor` of it."""

    floor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 <= self.floor <= 1, f"floor={self.floor!r}", "floor is a share of the rate, from 0 to 1")

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        return self.floor + (1 - self.floor) * _fall(step / max(steps - 1, 1))


class OneCycle(Schedule):
    """Up to the full rate for the first `warmup` of all steps, then down to almost nothing (Smith and Topin, 2018)."""

    warmup: float = 0.3
    first: float = 0.04
    last: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("warmup", "first", "last"):
            value = getattr(self, name)
            self.require(0 <= value <= 1, f"{name}={value!r}", f"{name} is a share, from 0 to 1")

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        top, end = self.warmup * (steps - 1), steps - 1
        if step < top:
            return self.first + (1 - self.first) * _fall(1 - step / top)
        return self.last + (1 - self.last) * (_fall((step - top) / (end - top)) if end > top else 1)


def _fall(progress: float) -> float:
    """From 1 at progress 0 to 0 at progress 1, level at both ends."""
    return (1 + math.cos(math.pi * min(progress, 1.0))) / 2


class Optimiser(Record, abstract=True):
    """Base of every optimiser: `slots` are arrays as long as the parameters that it carries from step to step."""

    rate: float
    update: ClassVar[Loops]
    slots: ClassVar[tuple[str, ...]]
    named: ClassVar[tuple[str, ...]]  # what `numbers` are called

    def numbers(self, step: int, factor: float) -> list[float]:
        """The `numbers` of `update` at this step, counted from 0, with the schedule's factor on the rate."""
        raise NotImplementedError

    def _check(self, **shares: float) -> None:
        self.require(self.rate > 0, f"rate={self.rate!r}", "the rate is a number above 0")
        for name, value in shares.items():
            self.require(0 <= value < 1, f"{name}={value!r}", f"{name} is at least 0 and below 1")


class SGD(Optimiser):
    """w -= rate · velocity, with velocity = momentum · velocity + dw + decay · w; Nesterov looks one step ahead."""

    rate: float = 0.05
    momentum: float = 0.9
    nesterov: bool = False
    decay: float = 0.0
    update: ClassVar[Loops] = sgd_update
    slots: ClassVar[tuple[str, ...]] = ("velocity",)
    named: ClassVar[tuple[str, ...]] = ("rate", "momentum", "decay")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(momentum=self.momentum, decay=self.decay)

    def numbers(self, step: int, factor: float) -> list[float]:
        return [self.rate * factor, self.momentum, self.decay]


class Adam(Optimiser):
    """Each parameter's step is its mean slope over the root of its mean square slope (Kingma and Ba, 2015).

    `decay` is added to the slope, as an L2 penalty would.
    """

    rate: float = 0.001
    fading: float = 0.9
    fading_square: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    update: ClassVar[Loops] = adam_update
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")
    named: ClassVar[tuple[str, ...]] = (
        *("rate", "shrink", "decay", "epsilon"),
        *("fresh", "fresh_square", "grown", "grown_square"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(fading=self.fading, fading_square=self.fading_square, decay=self.decay)
        self.require(self.epsilon > 0, f"epsilon={self.epsilon!r}", "epsilon is above 0")

    def numbers(self, step: int, factor: float) -> list[float]:
        fadings = self.fading, self.fading_square
        fresh, grown = [1 - fading for fading in fadings], [1 - fading ** (step + 1) for fading in fadings]
        return [self.rate * factor, 0.0, self.decay, self.epsilon, *fresh, *grown]


class AdamW(Adam):
    """Adam whose decay shrinks the parameters themselves, apart from the slopes (Loshchilov and Hutter, 2019)."""

    decay: float = 0.01

    def numbers(self, step: int, factor: float) -> list[float]:
        rate, _, _, *others = super().numbers(step, factor)
        return [rate, rate * self.decay, 0.0, *others]
