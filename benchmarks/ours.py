"""plaingrad as a contender. Each function gives one call to repeat, on a copy of the network."""

from contextlib import ExitStack
from itertools import count

import numpy as np

from plaingrad.compiler.loops import Array, zeros
from plaingrad.data import from_arrays
from plaingrad.network.network import Network
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD
from plaingrad.training.inference import Inference
from plaingrad.training.shards import Shards
from plaingrad.training.updates import Updates
from timing import Call
from works import BATCHES, CLASSES

RATE, MOMENTUM = 0.01, 0.9


def step(net: Network, images: Array, labels: Array, threads: int, until: ExitStack) -> Call:
    """One step just as the trainer does it, on one batch after the other; gives the loss. `until` ends the threads."""
    net, batch = net.copy(), images.shape[1]
    flat, names = images.reshape(-1, *net.input), [str(number) for number in range(CLASSES)]
    data = from_arrays(flat, labels.reshape(-1), names)
    optimiser = SGD(rate=RATE, momentum=MOMENTUM)
    shards = until.enter_context(Shards(net, SoftmaxCrossEntropy(), batch, threads))
    slots = {name: zeros(net.parameters.shape, net.dtype) for name in optimiser.slots}
    update, numbers = Updates(shards, optimiser, slots), count()
    indices = np.arange(len(flat)).reshape(BATCHES, batch)

    def once() -> float:
        loss, _ = shards.step(data.images, data.labels, indices[next(numbers) % BATCHES])
        update(0, 1.0)
        return loss / batch

    return once


def infer(net: Network, images: Array, threads: int, until: ExitStack) -> Call:
    """The scores (image, class) of one batch after the other."""
    infer, numbers = Inference(net, threads), count()
    return lambda: infer(images[next(numbers) % BATCHES])
