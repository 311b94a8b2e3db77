"""A batch cut into shards of a fixed number of images, run by threads, and added up in shard order.

What is added to what does not depend on the number of threads, so neither does any bit of the result.
"""

import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import numpy as np

from plaingrad.errors import SettingError
from plaingrad.layers.activation import softmax_forward
from plaingrad.loops import Array, loops, zeros
from plaingrad.loss import CrossEntropy, Loss
from plaingrad.network import LANES, Network
from plaingrad.run import Run

SMALL_BATCH = 64


@loops
def add_gradients(part, total, *, first):
    for n in range(total.size):
        total[n] = part[n] if first else total[n] + part[n]


def processors() -> int:
    """How many threads can run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Shards:
    """Runs of one network, one for each thread. `gradient` is the sum over the last batch, laid out as the parameters.

    The calling thread runs shards too; the others wait on a queue each. A nest gives up the interpreter's lock.
    """

    def __init__(self, net: Network, loss: Loss, batch: int, threads: int | None = None) -> None:
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise SettingError(f"training got threads={threads!r}; it needs a whole number of at least 1")
        if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
            raise SettingError(f"training got batch={batch!r}; it needs a whole number of images, at least 1")
        # The lanes follow from the batch alone: were they to follow from the threads, so would the order of sums.
        self.net, self.loss, self.batch, self.lanes = net, loss, batch, LANES if batch >= SMALL_BATCH else LANES // 2
        count = min(threads or processors(), -(-batch // self.lanes))
        self.runs = [Run(net, self.lanes, loss) for _ in range(count)]
        self.gradient = zeros(net.parameters.shape, net.dtype)
        given = [self.runs[0].gradient, self.gradient]
        self._add = {first: add_gradients.bound(given, first=first) for first in (True, False)}
        self._tasks: list[SimpleQueue[Callable[[], None] | None]] = [SimpleQueue() for _ in self.runs[1:]]
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        for tasks in self._tasks:
            threading.Thread(target=self._work, args=(tasks,), daemon=True).start()

    def _work(self, tasks: "SimpleQueue[Callable[[], None] | None]") -> None:
        while task := tasks.get():
            try:
                task()
                self._done.put(None)
            except BaseException as error:
                self._done.put(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for tasks in self._tasks:
            tasks.put(None)

    def _rounds(self, index: Array, work: Callable[[Run, Array], None]) -> Iterator[list[Run]]:
        """As many shards at a time as there are threads: `work` done on each, then their runs in shard order."""
        count = -(-len(index) // self.lanes)
        padded = np.full((count, self.lanes), -1, np.int64)
        padded.reshape(-1)[: len(index)] = index
        for start in range(0, count, len(self.runs)):
            shards = list(zip(self.runs, padded[start:], strict=False))
            for tasks, (run, own) in zip(self._tasks, shards[1:], strict=False):
                tasks.put(lambda run=run, own=own: work(run, own))  # type: ignore[misc]
            errors: list[BaseException | None] = []
            try:
                work(*shards[0])
            finally:  # whatever happens here, the others are still at work on their runs
                errors += [self._done.get() for _ in shards[1:]]
            for error in filter(None, errors):
                raise error
            yield [run for run, _ in shards]

    def step(self, images: Array, labels: Array, index: Array) -> tuple[float, int]:
        """Loss and gradient of the batch `images[index]`: Σ loss over its images, and how many were named right."""
        number: Any = self.net.dtype.type
        share = number(1 / len(index))

        def work(run: Run, own: Array) -> None:
            run.fill(images, own)
            run.point(labels, share)
            run.forward()
            run.backward()

        loss, hits, first = 0.0, 0, True
        for runs in self._rounds(index, work):
            for run in runs:
                self._add[first](run.gradient, self.gradient)
                first = False
                shard_loss, shard_hits = run.score()
                loss, hits = loss + shard_loss, hits + shard_hits
        return loss, hits

    def evaluate(self, images: Array, labels: Array) -> tuple[float, float, Array]:
        """Mean loss, share of images named right, and the outputs (image, class) in the network's own numbers."""
        # A nest is compiled for the types it is first given: were this an int 0, a later share would be cut to it.
        nothing = self.net.dtype.type(0)
        outputs = np.empty((len(images), self.net.output[0]), self.net.dtype)
        loss, hits, row = 0.0, 0, 0

        def work(run: Run, own: Array) -> None:
            run.fill(images, own)
            run.point(labels, nothing)
            run.forward()
            run.measure()

        for runs in self._rounds(np.arange(len(images)), work):
            for run in runs:
                shard_loss, shard_hits = run.score()
                loss, hits = loss + shard_loss, hits + shard_hits
                count = min(self.lanes, len(images) - row)
                outputs[row : row + count] = run.output[:, :count].T
                row += count
        return loss / len(images), hits / len(images), outputs

    def culprit(self) -> str:
        """The first quantity of the last batch that is not finite, in the order it was made: where a run diverged."""
        for run in self.runs:
            for layer, record in run.records.items():
                for name in [*(n for n in ("w", "b") if n in record), "y"]:
                    if not np.isfinite(record[name]).all():
                        return f"{layer}.{name}"
        return "the loss"


def probabilities(outputs: Array, loss: Loss) -> Array:
    """What the outputs (image, class) say as probabilities: softmax of scores, or the outputs where they are such."""
    if isinstance(loss, CrossEntropy):
        return outputs
    x = np.ascontiguousarray(outputs.T, np.float64)
    y = np.empty_like(x)
    softmax_forward.bound([x, y])(x, y)
    return y.T
