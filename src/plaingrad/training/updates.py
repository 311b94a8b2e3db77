"""One step of a training: the gradient clipped where it is too long, the optimiser's update, and averaged weights.

Sums go in blocks of a fixed size, whose order does not depend on the threads; so neither does any bit of the result.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from plaingrad.compiler.loops import Array, loops, zeros
from plaingrad.compiler.program import Call, Program
from plaingrad.errors import SettingError, is_number
from plaingrad.network.network import NUMBERS_IN_LINE
from plaingrad.schedule.calls import update_call
from plaingrad.textbook.layer import bind
from plaingrad.textbook.optimisers import Optimiser
from plaingrad.training.shards import Shards

BLOCK = 1 << 12  # numbers whose squares are added up together
TINY = 1e-6  # PyTorch's: added to the norm that is divided by
RAMP = 10  # the average's memory grows with the steps, so that the first weights are soon forgotten (TensorFlow's)


@loops
def add_squares(gradient, squares, *, block):
    """Of each block the squares of the numbers in float64, a sum for each place in a cache line."""
    size, wide = gradient.shape[0], squares.shape[1]
    for each in range(squares.shape[0]):
        for k in range(wide):
            squares[each, k] = 0
        for line in range(each * block, min((each + 1) * block, size), wide):
            for k in range(wide):
                value = np.float64(gradient[line + k])
                squares[each, k] += value * value


@loops
def scale(gradient, factor):
    for n in range(gradient.shape[0]):
        gradient[n] *= factor[0]


@loops
def move_average(average, value, share):
    """The average goes by a share of the way towards the value."""
    for n in range(average.shape[0]):
        average[n] += share[0] * (value[n] - average[n])


def clip_factor(norm: float, clip: float) -> float:
    """What a gradient of this norm is multiplied by: clip / (norm + 1e-6), at most 1, as PyTorch's clip_grad_norm_."""
    return min(1.0, clip / (norm + TINY))


def averaging_share(average: float, step: int) -> float:
    """How far averaged weights go towards the weights after this step, counted from 0: 1 - min(average, (1 + step) /

    (10 + step)). A constant share would leave the first random weights in the average of a short training.
    """
    return 1 - min(average, (1 + step) / (RAMP + step))


def check_share(who: str, name: str, value: object, least: float, most: float, needs: str) -> float | None:
    """A setting that is None, or a number above `least` and below `most`; SettingError for any other."""
    if value is None:
        return None
    if not is_number(value) or not least < value < most:  # type: ignore[operator]
        raise SettingError(f"{who} got {name}={value!r}; it needs {needs}")
    return float(value)  # type: ignore[arg-type]


@dataclass
class Updates:
    """The step that ends each batch, for the runs of `shards`: `updates(step, factor)`.

    clip: the norm of the whole gradient, √Σ dw² over all parameters, that is never exceeded.
    average: how much of the averaged weights stays at each step; `averaged` are those, parameters and state.
    """

    shards: Shards
    optimiser: Optimiser
    slots: dict[str, Array]
    clip: float | None = None
    average: float | None = None
    averaged: tuple[Array, Array] | None = None
    last: list[float] = field(default_factory=list, init=False)
    norm: float = field(default=math.nan, init=False)  # of the last step's gradient, where it is clipped

    def __post_init__(self) -> None:
        self.numbers, self.factor, self.share = (
            zeros((size,), self.shards.net.dtype) for size in (len(self.optimiser.numbers(0, 1.0)), 1, 1)
        )
        self.squares = zeros((-(-self.shards.gradient.size // BLOCK), NUMBERS_IN_LINE), "f8")
        self.adding = [] if self.clip is None else list(self._adding())
        self.scaling = [] if self.clip is None else list(self._scaling())
        self.programs = list(self._updating())

    def _adding(self) -> Iterator[Program]:
        """The squares of whole blocks, some for each thread."""
        count = len(self.shards.parts())
        bounds = [len(self.squares) * number // count for number in range(count + 1)]
        for start, end in itertools.pairwise(bounds):
            known = {"gradient": self.shards.gradient[start * BLOCK : end * BLOCK], "squares": self.squares[start:end]}
            yield Program([bind(add_squares, self.shards.net, {**known, "block": BLOCK})])

    def _scaling(self) -> Iterator[Program]:
        for part in self.shards.parts():
            known = {"gradient": self.shards.gradient[part], "factor": self.factor}
            yield Program([bind(scale, self.shards.net, known)])

    def _updating(self) -> Iterator[Program]:
        """The optimiser's text on each part of the parameters, and what is averaged after it."""
        net = self.shards.net
        arrays = {"w": net.parameters, "dw": self.shards.gradient, **self.slots}
        for number, part in enumerate(self.shards.parts()):
            own = {name: array[part] for name, array in arrays.items()}
            calls = [update_call(self.optimiser, own, self.numbers)]
            if self.averaged is not None:
                parameters, state = self.averaged
                calls.append(self._moving(parameters[part], own["w"]))
                calls += [self._moving(state, net.state)] if state.size and number == 0 else []
            yield Program(calls)

    def _moving(self, average: Array, value: Array) -> Call:
        known = {"average": average, "value": value, "share": self.share}
        return bind(move_average, self.shards.net, known)

    def __call__(self, step: int, factor: float) -> None:
        """Change the parameters by the last batch's gradient: at this step, from 0 on, with `factor` on the rate."""
        run = self.shards.workers.run
        numbers = [*self.optimiser.numbers(step, factor).values()]
        if numbers != self.last:
            with np.errstate(over="ignore"):  # a rate beyond the number type is infinite, and the run diverges
                self.numbers[:], self.last = numbers, numbers
        if self.clip is not None:
            self.shards.complete()
            run(self.adding)
            self.norm = math.sqrt(math.fsum(self.squares.ravel().tolist()))
            self.factor[0] = clip_factor(self.norm, self.clip)
            if self.factor[0] != 1:
                run(self.scaling)
        if self.average is not None:
            self.share[0] = averaging_share(self.average, step)
        run(self.shards.after_sum(self.programs))

    @property
    def has_clipped(self) -> bool:
        """Whether the last step's gradient was too long."""
        return self.clip is not None and self.norm > self.clip
