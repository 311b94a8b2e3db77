"""Optimisers: one nest over all parameters laid end to end, and how the rate changes as training goes on."""

import math
from typing import Any, ClassVar

from plaingrad.compiler.loops import sqrt
from plaingrad.textbook.record import Record
from plaingrad.textbook.text import Text, as_text, places


def sgd_update(w, dw, velocity, rate, momentum, decay):
    for n in places(w):
        velocity[n] = momentum * velocity[n] + dw[n] + decay * w[n]
        w[n] -= rate * velocity[n]


def nesterov_update(w, dw, velocity, rate, momentum, decay):
    for n in places(w):
        gradient = dw[n] + decay * w[n]
        velocity[n] = momentum * velocity[n] + gradient
        w[n] -= rate * (gradient + momentum * velocity[n])


def adam_update(w, dw, m, v, rate, t, adam):
    for n in places(w):
        gradient = dw[n] + adam.decay * w[n]
        m[n] = adam.beta1 * m[n] + (1 - adam.beta1) * gradient
        v[n] = adam.beta2 * v[n] + (1 - adam.beta2) * gradient * gradient
        m_hat = m[n] / (1 - adam.beta1**t)
        v_hat = v[n] / (1 - adam.beta2**t)
        w[n] -= rate * m_hat / (sqrt(v_hat) + adam.epsilon)


def adamw_update(w, dw, m, v, rate, t, adam):
    for n in places(w):
        w[n] -= rate * adam.decay * w[n]
        m[n] = adam.beta1 * m[n] + (1 - adam.beta1) * dw[n]
        v[n] = adam.beta2 * v[n] + (1 - adam.beta2) * dw[n] * dw[n]
        m_hat = m[n] / (1 - adam.beta1**t)
        v_hat = v[n] / (1 - adam.beta2**t)
        w[n] -= rate * m_hat / (sqrt(v_hat) + adam.epsilon)


MANY_STEPS = 1000  # of a training that tells where a schedule begins


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
    """Half a cosine from the full rate down to `floor` of it, which it would reach one step after the last.

    With floor=0 it is PyTorch's CosineAnnealingLR with as many steps as T_max.
    """

    floor: float = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 <= self.floor <= 1, f"floor={self.floor!r}", "floor is a share of the rate, from 0 to 1")

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        return self.floor + (1 - self.floor) * _fall(step / steps)


class OneCycle(Schedule):
    """Up to the full rate for the first `warmup` of all steps, then down to `last` of it (Smith and Topin, 2018).

    PyTorch's OneCycleLR is the same but for its end, 4e-6 of the rate at the last step, and its top, a little earlier;
    by default it also moves the momentum up and down, which stays here as it is.
    """

    warmup: float = 0.3
    first: float = 0.04
    last: float = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("warmup", "first", "last"):
            value = getattr(self, name)
            self.require(0 <= value <= 1, f"{name}={value!r}", f"{name} is a share, from 0 to 1")

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        peak = self.warmup * (steps - 1)
        if step < peak:
            return self.first + (1 - self.first) * _fall(1 - step / peak)
        return self.last + (1 - self.last) * _fall((step - peak) / (steps - peak))


class LinearDecay(Schedule):
    """A straight line from the full rate down to `floor` of it, which it would reach one step after the last.

    It is PyTorch's LinearLR with start_factor=1, end_factor=floor and as many steps as total_iters.
    """

    floor: float = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 <= self.floor <= 1, f"floor={self.floor!r}", "floor is a share of the rate, from 0 to 1")

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        return 1 - (1 - self.floor) * min(step / steps, 1.0)


class Beginning(Schedule, abstract=True):
    """Base of what comes first: for `share` of the steps, rounded down, it is itself, and after them it is `then`.

    `then` takes the steps that are left as the whole training: it counts from 0, and ends where the training does.
    """

    then: Schedule = Constant()
    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.share < 1, f"share={self.share!r}", "share is that of all steps, above 0 and below 1")
        begins = self.then(0, MANY_STEPS, MANY_STEPS)
        self.require(math.isclose(begins, 1), f"then={self.then!r}", "then begins at the full rate, as Cosine() does")

    def __call__(self, step: int, steps: int, per_epoch: int) -> float:
        length = min(int(self.share * steps), steps - 1)
        return self.begin(step / length) if step < length else self.then(step - length, steps - length, per_epoch)

    def begin(self, progress: float) -> float:
        """The factor at the beginning, where `progress` goes from 0 to below 1."""
        raise NotImplementedError


class Warmup(Beginning):
    """A straight line from `first` of the rate up to the full rate for the first `share` of the steps, then `then`.

    It is PyTorch's SequentialLR of LinearLR, with start_factor=first, and the other; Goyal and others (2017).
    """

    first: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 <= self.first <= 1, f"first={self.first!r}", "first is a share of the rate, from 0 to 1")

    def begin(self, progress: float) -> float:
        return self.first + (1 - self.first) * progress


class Hold(Beginning):
    """The full rate for the first `share` of the steps, then `then`."""

    share: float = 0.5

    def begin(self, progress: float) -> float:
        return 1.0


def _fall(progress: float) -> float:
    """From 1 at progress 0 to 0 at progress 1, level at both ends."""
    return (1 + math.cos(math.pi * min(progress, 1.0))) / 2


class Optimiser(Record, abstract=True):
    """Base of every optimiser: `update` is its text, and `slots` are arrays as long as the parameters that it carries

    from step to step. A text asks by name for those, for the `numbers` of a step, or for the optimiser itself.
    """

    rate: float
    update: ClassVar[Any]  # a function in the class, which becomes a Text
    slots: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__(abstract)
        as_text(cls, "update")

    def numbers(self, step: int, factor: float) -> dict[str, float]:
        """What changes from step to step, by name, at this one, from 0 on; the schedule's factor is on the rate."""
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
    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(momentum=self.momentum, decay=self.decay)

    @property
    def update(self) -> Text:
        return NESTEROV if self.nesterov else PLAIN

    def numbers(self, step: int, factor: float) -> dict[str, float]:
        return {"rate": self.rate * factor, "momentum": self.momentum, "decay": self.decay}


PLAIN, NESTEROV = Text(sgd_update), Text(nesterov_update)


class Adam(Optimiser):
    """Each parameter's step is its mean gradient over the root of its mean square (Kingma and Ba, 2015, algorithm 1).

    `decay` is added to the gradient, as an L2 penalty would.
    """

    rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    update = adam_update
    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(beta1=self.beta1, beta2=self.beta2, decay=self.decay)
        self.require(self.epsilon > 0, f"epsilon={self.epsilon!r}", "epsilon is above 0")

    def numbers(self, step: int, factor: float) -> dict[str, float]:
        return {"rate": self.rate * factor, "t": step + 1}


class AdamW(Adam):
    """Adam whose decay shrinks the parameters themselves, apart from the gradients (Loshchilov and Hutter, 2019)."""

    decay: float = 0.01
    update = adamw_update
