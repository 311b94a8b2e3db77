"""A trained network at work: what it says of images, without labels and without gradients."""

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.compiler.machine_code import processors
from plaingrad.compiler.program import Program, Workers
from plaingrad.data import Dataset, prepared_image
from plaingrad.data.pixels import look, say, unit_of
from plaingrad.errors import DataError, ShapeError
from plaingrad.network.loading import numbers
from plaingrad.network.network import Network, require_network
from plaingrad.network.run import Run
from plaingrad.schedule.calls import compiled
from plaingrad.schedule.fast import Task
from plaingrad.textbook.layers import Softmax
from plaingrad.textbook.losses import CrossEntropy, Loss
from plaingrad.training.shards import count_of_workers, lanes_for

# Programs to run at once; for each, its index of images, what to write there, and which outputs it makes, and where.
Round = tuple[list[Program], list[tuple[Array, Array, slice, Array]]]


class Inference:
    """A network ready to be asked many times: `infer = Inference(net)`, then `infer(images)`.

    It follows the network's parameters as they change. `threads`: as many as there are processors unless told.
    """

    def __init__(self, net: Network, threads: int | None = None) -> None:
        count_of_workers(threads, 1)
        self.net, self.threads = require_network("predict", net), int(threads or processors())
        self.workers = Workers(self.threads)
        self.asked = 0
        self._lock = threading.Lock()
        self._runs: dict[int, list[Run]] = {}
        self._programs: dict[Any, list[Program]] = {}
        self._last: tuple[Any, list[Round]] = None, []

    def __call__(self, images: Any) -> Array:
        """The outputs (image, output) for images (image, channel, row, column), any number of them."""
        with self._lock:  # several threads may ask; they are answered one after the other
            return self._answer(self._images(images))

    def _answer(self, images: Array) -> Array:
        if self._last[0] != (key := (len(images), images.dtype, unit_of(images, self.net.seen))):
            self._last = key, list(self._rounds(images))
        outputs = np.empty((len(images), *self.net.output), self.net.dtype)
        for programs, shards in self._last[1]:
            for program, (index, own, _, _) in zip(programs, shards, strict=True):
                program.give(0, images)
                index[:] = own
            self.workers.run(programs)
            for _, _, part, made in shards:
                outputs[part] = made
        return outputs

    def _rounds(self, images: Array) -> Iterator[Round]:
        """What is to be done for so many images: as many shards at a time as there are threads."""
        count = len(images)
        lanes = lanes_for(self.net, count)
        size = count_of_workers(self.threads, -(-count // lanes))
        kind = lanes, images.dtype, unit_of(images, self.net.seen)
        runs, programs = self._runs.setdefault(lanes, []), self._programs.setdefault(kind, [])
        runs += [Run(self.net, lanes, backward=False, by_patches=True) for _ in range(size - len(runs))]
        programs += [run.program(images) for run in runs[len(programs) : size]]
        for first in range(0, count, lanes * max(size, 1)):
            shards = []
            for start, run in zip(range(first, count, lanes), runs[:size], strict=False):
                end, own = min(start + lanes, count), np.full(lanes, -1)
                own[: end - start] = np.arange(start, end)
                shards.append((run.index, own, slice(start, end), run.output[: end - start]))
            yield programs[: len(shards)], shards

    def _images(self, given: Any) -> Array:
        images, needs = np.ascontiguousarray(numbers(given, self.net)), self.net.input
        images = images.reshape(
            len(images), *needs, *(() if len(needs) == 3 else (1, 1))
        )  # features: 1 pixel a channel
        self.asked += 1
        if self.asked & (self.asked - 1) == 0:  # the first, second, fourth time …: who asks often is not slowed down
            look(self.net, images)
        return images


def predict(net: Network, images: Any, threads: int | None = None) -> Array:
    """The probability of each class for each image, (image, class); `.argmax(axis=1)` are the classes named.

    images: (image, channel, row, column), any number of them, as the network was trained on; a Dataset, or the path of
    an image file, which is resized, made grey and drawn as the training images were, which a Notice tells. Where the
    network ends in scores, as with SoftmaxCrossEntropy, their softmax is taken; where it ends in Softmax, its outputs
    as they are.
    """
    if len(require_network("predict", net).output) != 1:
        raise ShapeError(f"{net.name} gives {net.output} for an image; probabilities need one axis of scores")
    made = outputs(net, images, threads)
    return made.astype(np.float64) if isinstance(net.layers[-1], Softmax) else softmax(made)


def outputs(net: Network, images: Any, threads: int | None = None) -> Array:
    """What the network gives for images, a Dataset or an image file; it stays ready to be asked again."""
    count_of_workers(threads, 1)  # or it says what is wrong
    infer = net.cached.setdefault(("inference", threads), None) or Inference(net, threads)
    net.cached["inference", threads] = infer
    if isinstance(images, str | pathlib.Path):
        if len(net.input) != 3:
            raise DataError(f"{net.name} takes {net.input[0]} features, not the image file {images}")
        path, (images, changes) = images, prepared_image(images, net.input, net.seen)
        if changes:
            say(net, str(path), f"{path}, given to {net.name}: {'; '.join(changes)}")
        images = images[None]
    images = numbers(images.images if isinstance(images, Dataset) else images, net)
    look(net, images)
    return infer(images)


Network.__call__ = outputs


def probabilities(outputs: Array, loss: Loss) -> Array:
    """What the outputs (image, class) say as probabilities: softmax of scores, or the outputs where they are such."""
    return outputs if isinstance(loss, CrossEntropy) else softmax(outputs)


def softmax(scores: Array) -> Array:
    """Probabilities (image, class) from scores, by the text of the layer, in float64."""
    x = np.ascontiguousarray(scores, np.float64)
    y = np.empty_like(x)
    text: Any = Softmax.forward
    compiled(Task(text, None, {}, {"x": x, "y": y}, frozenset()))()
    return y
