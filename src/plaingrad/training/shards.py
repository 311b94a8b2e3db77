"""A batch cut into shards of a fixed number of images, run by threads, and added up in shard order.

What is added to what does not depend on the number of threads, so neither does any bit of the result.
"""

import itertools
import math
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np

from plaingrad.compiler.loops import Array, loops, zeros
from plaingrad.compiler.machine_code import has_numba, processors
from plaingrad.compiler.native_call import compile_callers
from plaingrad.compiler.program import Program, Workers
from plaingrad.errors import SettingError
from plaingrad.network.augment import Augment
from plaingrad.network.network import LANES, NUMBERS_IN_LINE, Network, lanes_taken
from plaingrad.network.run import Run
from plaingrad.schedule.fast import suits_patches
from plaingrad.schedule.winograd import FEWEST_LANES as FEWEST_LANES_OF_PATCHES
from plaingrad.textbook.layer import bind
from plaingrad.textbook.losses import Loss

FEWEST_LANES = 4  # with fewer, dense layers and pools fill no register
CACHED = 5 << 17  # numbers: 2.5 MiB of float32
MANY = 32  # filters
MOST_THREADS = 256  # each has arrays of its own, and more than there are processors help nobody
SHARED_FROM = 1 << 13  # parameters: with fewer, calling a thread takes longer than adding them up


@loops
def add_gradients(part, total, *, first):
    for n in range(total.size):
        total[n] = part[n] if first else total[n] + part[n]


def lanes_for(net: Network, images: int) -> int:
    """How many images a shard of a batch holds: so many that there are two shards at least, and LANES at most.

    Fewer where the network's largest array would outgrow the cache that a core has to itself, unless the gradients
    outgrow it too, which each shard adds once. An array at which many filters work may be larger: it is not waited for.
    Patches need lanes enough, and wait for their pixels less than windows do.
    The number follows from the network and the batch alone: were it to follow from the threads, so would the order of
    sums.
    """
    lanes = min(LANES, 1 << max(images // 2, 1).bit_length() - 1)
    both = ((shape, step.y[0]) for step in net.steps.values() for shape in (step.x, step.y))
    largest = max(math.prod(shape) * MANY // max(MANY, filters) for shape, filters in both)
    patches = any(suits_patches(step.layer, step.x, step.arrays) for step in net.steps.values())
    fewest = FEWEST_LANES_OF_PATCHES if patches else FEWEST_LANES
    while lanes > fewest and lanes * largest > max(CACHED, net.parameters.size):
        lanes //= 2
    return lanes


def count_of_workers(threads: int | None, shards: int) -> int:
    """How many threads so many shards keep busy."""
    whole = isinstance(threads, int | np.integer) and not isinstance(threads, bool)
    if threads is not None and (not whole or not 1 <= threads <= MOST_THREADS):
        raise SettingError(f"a network was given threads={threads!r}; it needs a whole number from 1 to {MOST_THREADS}")
    return min(int(threads or processors()), shards)


class Shards:
    """Runs of one network, one for each thread. `gradient` is the last batch's sum, laid out as the parameters."""

    def __init__(
        self,
        net: Network,
        loss: Loss,
        batch: int,
        threads: int | None = None,
        backward: bool = True,
        images: int | None = None,
        seed: int = 0,
        augment: Augment | None = None,
    ) -> None:
        if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
            raise SettingError(f"training got batch={batch!r}; it needs a whole number of images, at least 1")
        self.net, self.loss, self.batch, self.lanes, self.seed = net, loss, batch, lanes_for(net, batch), seed
        if images is not None:  # there are never more than so many
            self.lanes = lanes_taken(self.lanes, images)
        size = count_of_workers(threads, -(-batch // self.lanes))
        self.runs = [
            Run(net, self.lanes, loss, backward=backward, by_patches=True, augment=augment) for _ in range(size)
        ]
        self.workers = Workers(size)
        self.gradient = zeros(net.parameters.shape, net.dtype)
        self._programs: dict[Any, list[Program]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.workers.end()

    def _rounds(self, images: Array, labels: Array, index: Array, backward: bool) -> Iterator[list[Run]]:
        """As many shards at a time as there are threads; their runs in shard order."""
        key = self.prepare(images, labels, backward)
        count = -(-len(index) // self.lanes)
        padded = np.full((count, self.lanes), -1, np.int64)
        padded.reshape(-1)[: len(index)] = index
        for start in range(0, count, len(self.runs)):
            runs = self.runs[: count - start]
            for run, own in zip(runs, padded[start:], strict=False):
                run.index[:] = own
            self.workers.run(self._programs[key][: len(runs)])
            yield runs

    def prepare(self, images: Array, labels: Array, backward: bool) -> Any:
        """Bind every nest that these images will pass; the key of their programs."""
        key = id(images), id(labels), backward
        if key not in self._programs:
            self._programs[key] = [run.program(images, labels, backward) for run in self.runs]
            if has_numba():
                compile_callers()
            if backward:
                for first in (True, False):
                    self._adders(len(self.runs), first)
        return key

    def step(self, images: Array, labels: Array, index: Array, step: int = 0, epoch: int = 0) -> tuple[float, int]:
        """Loss and gradient of the batch `images[index]`: Σ loss over its images, and how many were named right.

        `step` is the number of the step, on which masks depend; `epoch` that of the epoch, on which augmentation does.
        """
        for run in self.runs:
            run.batch_share[0] = 1 / len(index)
            run.seeds[:], run.epoch[:] = (self.seed, step), epoch
        loss, hits, first = 0.0, 0, True
        for runs in self._rounds(images, labels, index, backward=True):
            self._add(len(runs), first)
            first = False
            for run in runs:
                for call in run.settle_calls:  # in shard order, as gradients are added
                    call()
                shard_loss, shard_hits = run.score()
                loss, hits = loss + shard_loss, hits + shard_hits
        return loss, hits

    def parts(self) -> list[slice]:
        """The parameters cut into a part for each thread."""
        size = self.gradient.size
        count = len(self.runs) if size >= SHARED_FROM else 1
        bounds = [size * number // count // NUMBERS_IN_LINE * NUMBERS_IN_LINE for number in range(count)]
        return [slice(*each) for each in zip(bounds, [*bounds[1:], size], strict=True)]

    def _add(self, count: int, first: bool) -> None:
        """Add the gradients of the first `count` runs, in their order, to the sum of the rounds before."""
        self.workers.run(self._adders(count, first))

    def _adders(self, count: int, first: bool) -> list[Program]:
        if (key := (count, first)) not in self._programs:
            self._programs[key] = [self._adding(count, first, part) for part in self.parts()]
        return self._programs[key]

    def _adding(self, count: int, first: bool, part: slice) -> Program:
        calls = []
        for number, run in enumerate(self.runs[:count]):
            known = {"part": run.gradient[part], "total": self.gradient[part], "first": first and number == 0}
            calls.append(bind(add_gradients, self.net, known))
        return Program(calls)

    def evaluate(self, images: Array, labels: Array) -> tuple[float, float, Array]:
        """Mean loss, share of images named right, and the outputs (image, class) in the network's own numbers."""
        outputs = np.empty((len(images), self.net.output[0]), self.net.dtype)
        loss, hits, row = 0.0, 0, 0
        for runs in self._rounds(images, labels, np.arange(len(images)), backward=False):
            for run in runs:
                shard_loss, shard_hits = run.score()
                loss, hits = loss + shard_loss, hits + shard_hits
                count = min(self.lanes, len(images) - row)
                outputs[row : row + count] = run.output[:count]
                row += count
        return loss / len(images), hits / len(images), outputs

    def outputs(self, images: Array, labels: Array) -> dict[str, Array]:
        """Each layer's `y` (image, …) for all these images."""
        found: dict[str, list[Array]] = {name: [] for name in self.net.steps}
        for runs in self._rounds(images, labels, np.arange(len(images)), backward=False):
            for run, (name, kept) in itertools.product(runs, found.items()):
                kept.append(run.seen(name, "y")[run.index >= 0].copy())
        return {name: np.concatenate(kept) for name, kept in found.items()}

    def culprit(self) -> str:
        """The first quantity of the last batch that is not finite, in the order it was made: where a run diverged."""
        for run in self.runs:
            for layer, record in run.records.items():
                for name in [*(n for n in ("w", "b") if n in record), "y"]:
                    if not np.isfinite(record[name]).all():
                        return f"{layer}.{name}"
        return "the loss"
