"""A trained network at work: what it says of images, without labels and without gradients."""

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, zeros
from plaingrad.compiler.machine_code import processors
from plaingrad.compiler.program import Call, Program, Workers
from plaingrad.data import Dataset, prepared_image
from plaingrad.data.pixels import look, say, unit_of
from plaingrad.errors import DataError, ShapeError
from plaingrad.network.loading import numbers
from plaingrad.network.network import LANES, Network, require_network
from plaingrad.network.run import Run
from plaingrad.schedule.calls import compiled
from plaingrad.schedule.fast import Task
from plaingrad.schedule.turning import turning
from plaingrad.textbook.layer import bind
from plaingrad.textbook.layers import Softmax
from plaingrad.textbook.losses import CrossEntropy, Loss
from plaingrad.training.shards import count_of_workers, lanes_for

MOST_IN_A_ROW = 16  # shards that a thread goes through before Python is asked again
MOST_PRODUCTS = 1 << 28  # and products: some hundredths of a second, within which nothing is interrupted


class Stretch:
    """Shards that one thread goes through in a row, without Python between them.

    `index` says which image each lane of each shard is given, (shard, lane); `outputs` are what the network makes of
    them, (image, output), one shard after the other.
    """

    def __init__(self, run: Run, images: Array, count: int) -> None:
        self.index = np.full((count, run.lanes), -1)
        self.outputs = zeros((count * run.lanes, *run.net.output), run.net.dtype)
        calls: list[Call] = []
        made = run.y.reshape(-1, run.lanes)
        for own, part in zip(self.index, self.outputs.reshape(count, run.lanes, -1), strict=True):
            turn, known = turning(made, part)
            calls += [*run.load_calls(images, own), *run.infer_calls, bind(turn, run.net, known, not run.is_fast)]
        self.program = Program(calls)
        self.loads, self.given = range(0, len(calls), len(calls) // count), (0, 0)

    def give(self, images: Array, first: int, end: int) -> None:
        """Take these images, from the first to the one before the end, as many as there are lanes at most."""
        self.program.give(images, *self.loads)
        if self.given != (first, end):
            lanes, count, self.given = self.index.reshape(-1), end - first, (first, end)
            lanes[:count] = np.arange(first, end)
            lanes[count:] = -1


Round = list[tuple[Stretch, int, int]]
"""What threads do at once: each goes through the images from the first to the one before the end."""


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
        products = sum(step.layer.multiplications(step.x) for step in net.steps.values())
        self.most = max(1, min(MOST_IN_A_ROW, MOST_PRODUCTS // max(products * LANES, 1)))
        self._runs: dict[int, list[Run]] = {}
        self._stretches: dict[Any, Stretch] = {}
        self._last: tuple[Any, list[Round]] = None, []

    def __call__(self, images: Any) -> Array:
        """The outputs (image, output) for images (image, channel, row, column), any number of them."""
        with self._lock:  # several threads may ask; they are answered one after the other
            return self._answer(self._images(images))

    def _answer(self, images: Array) -> Array:
        if self._last[0] != (key := (len(images), images.dtype, unit_of(images, self.net.seen))):
            self._last = key, list(self._rounds(images))
        outputs = np.empty((len(images), *self.net.output), self.net.dtype)
        for stretches in self._last[1]:
            for stretch, first, end in stretches:
                stretch.give(images, first, end)
            self.workers.run([stretch.program for stretch, _, _ in stretches])
            for stretch, first, end in stretches:
                outputs[first:end] = stretch.outputs[: end - first]
        return outputs

    def _rounds(self, images: Array) -> Iterator[Round]:
        """What is to be done for so many images: each thread goes through as many shards as every other, or one less.

        The lanes of a shard follow from the network and the images alone.
        """
        lanes = lanes_for(self.net, len(images))
        shards = -(-len(images) // lanes)
        size = count_of_workers(self.threads, shards)
        runs = self._runs.setdefault(lanes, [])
        runs += [Run(self.net, lanes, backward=False, by_patches=True) for _ in range(size - len(runs))]
        done = 0
        while done < shards:
            left = min(shards - done, size * self.most)
            found: Round = []
            for number in range(min(size, left)):
                count = left // size + (number < left % size)
                first, end = done * lanes, min((done + count) * lanes, len(images))
                found.append((self._stretch(number, lanes, count, images), first, end))
                done += count
            yield found

    def _stretch(self, number: int, lanes: int, count: int, images: Array) -> Stretch:
        """So many shards in a row for a thread."""
        key = number, lanes, count, images.dtype, unit_of(images, self.net.seen)
        if key not in self._stretches:
            self._stretches[key] = Stretch(self._runs[lanes][number], images, count)
        return self._stretches[key]

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
    softmax_bound(x, y)()
    return y


def softmax_bound(x: Array, y: Array) -> Call:
    """What fills y with the softmax of x, both (image, class) in float64."""
    text: Any = Softmax.forward
    return compiled(Task(text, None, {}, {"x": x, "y": y}, frozenset()))
