"""A batch cut into shards of a fixed number of images, run by threads, and added up in shard order.

What is added to what does not depend on the number of threads or of ranks, so neither does any bit of the result.
"""

import itertools
import math
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np

from plaingrad.compiler.loops import Array, zeros
from plaingrad.compiler.machine_code import has_numba, processors
from plaingrad.compiler.native_call import compile_callers
from plaingrad.compiler.program import Program, Workers
from plaingrad.errors import SettingError
from plaingrad.network.augment import Augment
from plaingrad.network.network import LANES, Network, lanes_taken
from plaingrad.network.run import Run
from plaingrad.schedule.fast import suits_patches
from plaingrad.schedule.winograd import FEWEST_LANES as FEWEST_LANES_OF_PATCHES
from plaingrad.textbook.losses import Loss
from plaingrad.training.chain import Chain, adding, cut
from plaingrad.training.ranks import OneRank

FEWEST_LANES = 4  # with fewer, dense layers and pools fill no register
CACHED = 5 << 17  # numbers: 2.5 MiB of float32
MANY = 32  # filters
MOST_THREADS = 256  # each has arrays of its own, and more than there are processors help nobody


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


def batch_for(net: Network, ranks: int, images: int) -> int | None:
    """The least batch, of the powers of two, that has a shard for each of so many ranks; None where it is too large."""
    batch = 1
    while batch <= images:
        if batch // lanes_for(net, batch) >= ranks:
            return batch
        batch *= 2
    return None


def count_of_workers(threads: int | None, shards: int) -> int:
    """How many threads so many shards keep busy."""
    whole = isinstance(threads, int | np.integer) and not isinstance(threads, bool)
    if threads is not None and (not whole or not 1 <= threads <= MOST_THREADS):
        raise SettingError(f"a network was given threads={threads!r}; it needs a whole number from 1 to {MOST_THREADS}")
    return min(int(threads or processors()), shards)


class Shards:
    """Runs of one network, one for each thread.

    Of several ranks each runs the shards that are dealt to it; the sum is the same on all of them.
    """

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
        ranks: OneRank | None = None,
    ) -> None:
        if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
            raise SettingError(f"training got batch={batch!r}; it needs a whole number of images, at least 1")
        self.net, self.loss, self.batch, self.lanes, self.seed = net, loss, batch, lanes_for(net, batch), seed
        if images is not None:  # there are never more than so many
            self.lanes = lanes_taken(self.lanes, images)
        self.ranks = ranks or OneRank()
        self.most = max(1, max(map(len, self.ranks.dealt(self.count(batch)))))
        size = count_of_workers(self.ranks.threads() if threads is None else threads, self.most)
        self.runs = [
            Run(net, self.lanes, loss, backward=backward, by_patches=True, augment=augment) for _ in range(size)
        ]
        self.workers = Workers(size)
        self._gradient = zeros(net.parameters.shape, net.dtype)
        self._left: tuple[int, bool] | None = None  # what the last round left to add: of how many runs, is it the first
        self._joined: dict[tuple[int, bool], tuple[list[Program], list[Program]]] = {}
        self._dealt_to: dict[int, list[range]] = {}
        self._counts_all = type(loss).count is Loss.count  # each image alike
        self._changes = any(run.draw_calls for run in self.runs) or augment is not None
        self.chain: Chain | None = None
        if backward and self.ranks.size > 1:
            self.chain = Chain(net, self.runs, self._gradient, self.ranks, self.most, self.workers.run)
        self._programs: dict[Any, list[Program]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.workers.end()

    def count(self, images: int) -> int:
        """How many shards so many images are."""
        return -(-images // self.lanes)

    def _rounds(
        self, images: Array, labels: Array, index: Array, backward: bool, own: range, weights: Array | None = None
    ) -> Iterator[list[Run]]:
        """As many shards at a time as there are threads, of those that are this rank's; their runs in shard order."""
        programs, lanes = self.prepare(images, labels, backward, weights), self.lanes
        if len(index) % lanes:
            index = np.concatenate([index, np.full(-len(index) % lanes, -1)])
        places = np.ascontiguousarray(index, np.int64).data  # which Python copies sooner than an array
        for start in range(own.start, own.stop, len(self.runs)):
            runs = self.runs[: own.stop - start]
            for number, run in enumerate(runs, start):
                run.places[:] = places[number * lanes : (number + 1) * lanes]
            self.complete()
            self.workers.run(programs[: len(runs)])
            yield runs

    def prepare(self, images: Array, labels: Array, backward: bool, weights: Array | None = None) -> list[Program]:
        """Bind every nest that these images will pass: a program for each thread."""
        key = id(images), id(labels), backward, id(weights)
        if key not in self._programs:
            self._programs[key] = [run.program(images, labels, backward, weights) for run in self.runs]
            if has_numba():
                compile_callers()
            if backward:
                for first in (True, False):
                    self._adders(len(self.runs), first)
                if self.chain is not None and not self.ranks.is_first:
                    self.chain.prepare(self.most)
        return self._programs[key]

    def step(
        self,
        images: Array,
        labels: Array,
        index: Array,
        step: int = 0,
        epoch: int = 0,
        weights: Array | None = None,
    ) -> tuple[float, float]:
        """Gradient of the batch `images[index]`; its mean loss times its images, and how many were named right.

        `step` is the number of the step, on which masks depend; `epoch` that of the epoch, on which augmentation does.
        weights: of every image in `images`, 1 in the mean; its loss, its gradient and its hit count so much.
        """
        count = self._count(labels, index, weights)
        for run in self.runs:
            run.batch_share[0] = 1 / count if count else 0
            if self._changes:
                run.seeds[:], run.epoch[:] = (self.seed, step), epoch
        self._left = None
        dealt = self._dealt(len(index))
        own, rows = dealt[self.ranks.rank], list[tuple[float, float]]()
        if self.chain is not None:
            self.chain.begin(len(own))
        for runs in self._rounds(images, labels, index, True, own, weights):
            if self.chain is None or self.ranks.is_first:
                self._left = len(runs), not rows
                for run in runs:
                    for call in run.settle_calls:  # in shard order, as gradients are added
                        call()
            else:
                self.chain.keep(runs)
            rows += [run.score(weights) for run in runs]
        if self.chain is not None:
            self.complete()
            self.chain.pass_on()
        loss, hits = self._total(rows, dealt)
        return loss * (len(index) / count) if count else 0.0, hits

    def _count(self, labels: Array, index: Array, weights: Array | None) -> Any:
        """What the loss of these images is divided by."""
        if self._counts_all:
            return len(index)
        return self.loss.count(labels[index], None if weights is None else weights[index])

    def _dealt(self, images: int) -> list[range]:
        """Of the shards of so many images those of each rank."""
        if images not in self._dealt_to:
            self._dealt_to[images] = self.ranks.dealt(self.count(images))
        return self._dealt_to[images]

    def _total(self, rows: list[tuple[float, float]], dealt: list[range]) -> tuple[float, float]:
        """The sums of all shards' losses and hits, added in shard order."""
        loss = 0.0
        hits: float = 0
        for shard_loss, shard_hits in self.ranks.scores(rows, [*map(len, dealt)]):
            loss, hits = loss + shard_loss, hits + shard_hits
        return loss, hits

    def parts(self) -> list[slice]:
        """The parameters cut into a part for each thread."""
        return cut(self._gradient.size, len(self.runs))

    @property
    def gradient(self) -> Array:
        """The last batch's sum, laid out as the parameters."""
        self.complete()
        return self._gradient

    def complete(self) -> None:
        """Add to the sum what the last round left."""
        left, self._left = self._left, None  # first: whatever interrupts the threads, they finish what they are at
        if left is not None:
            self.workers.run(self._adders(*left))

    def after_sum(self, programs: list[Program]) -> list[Program]:
        """These, one for each thread, which work at its part; if the last round left something to add, after that."""
        left, self._left = self._left, None
        if left is None:
            return programs
        known, joined = self._joined.get(left, (None, programs))
        if known is not programs:
            pairs = zip(self._adders(*left), programs, strict=True)
            joined = [Program([*sums.calls, *own.calls]) for sums, own in pairs]
            self._joined[left] = programs, joined
        return joined

    def _adders(self, count: int, first: bool) -> list[Program]:
        """What adds the gradients of so many runs, in their order, to the sum of the rounds before: for each thread."""
        if (key := (count, first)) not in self._programs:
            rows = [run.gradient for run in self.runs[:count]]
            self._programs[key] = [
                adding(self.net, [row[part] for row in rows], self._gradient[part], first) for part in self.parts()
            ]
        return self._programs[key]

    def evaluate(self, images: Array, labels: Array, weights: Array | None = None) -> tuple[float, float, Array]:
        """Mean loss, share of images named right, and the outputs (image, class) in the network's own numbers.

        weights: as in `step`.
        """
        size = len(images)
        dealt = self._dealt(size)
        own, rows = dealt[self.ranks.rank], list[tuple[float, float]]()
        counts = [max(0, min(each.stop * self.lanes, size) - each.start * self.lanes) for each in dealt]
        outputs = np.empty((counts[self.ranks.rank], self.net.output[0]), self.net.dtype)
        row = 0
        for runs in self._rounds(images, labels, np.arange(size), False, own, weights):
            for run in runs:
                rows.append(run.score(weights))
                count = min(self.lanes, len(outputs) - row)
                outputs[row : row + count] = run.output[:count]
                row += count
        loss, hits = self._total(rows, dealt)
        count = self.loss.count(labels, weights)
        return loss / count if count else 0.0, hits / size, self.ranks.gather(outputs, counts)

    def outputs(self, images: Array, labels: Array) -> dict[str, Array]:
        """Each layer's `y` (image, …) for all these images, run on each rank."""
        found: dict[str, list[Array]] = {name: [] for name in self.net.steps}
        for runs in self._rounds(images, labels, np.arange(len(images)), False, range(self.count(len(images)))):
            for run, (name, kept) in itertools.product(runs, found.items()):
                kept.append(run.seen(name, "y")[run.index >= 0].copy())
        return {name: np.concatenate(kept) for name, kept in found.items()}

    def culprit(self) -> str:
        """The first quantity of the last batch that is not finite, in the order it was made: where a run diverged.

        Of several ranks the first tells it that has one.
        """
        return next((each for each in self.ranks.texts(self._culprit()) if each), "the loss")

    def _culprit(self) -> str:
        for run in self.runs:
            for call in run.forward_calls:  # once more: errors on their way back may lie where outputs lay
                call()
            for layer, record in run.records.items():
                for name in [*(n for n in ("w", "b") if n in record), "y"]:
                    if not np.isfinite(record[name]).all():
                        return f"{layer}.{name}"
        return ""
