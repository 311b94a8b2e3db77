"""Small networks to be explained: a layer between others and a loss, with numbers drawn at random."""

import numpy as np

from plaingrad.compiler.loops import as_written
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import Dense, Flatten, Softmax
from plaingrad.textbook.losses import (
    CrossEntropy,
    HalfSquaredError,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    WeightedCrossEntropy,
)
from plaingrad.textbook.text import places

CLASSES = 3
WEIGHTED = WeightedCrossEntropy((2.0, 0.5, 1.25), label_smoothing=0.25)
LOSSES = (SoftmaxCrossEntropy(), WEIGHTED, HalfSquaredError(), MeanSquaredError(), CrossEntropy())


def network_around(layer: Layer, shape: tuple[int, ...], dtype="float64", *, behind=(), seed=0, last=()) -> Network:
    """The layer, behind others where some are named, and what takes its output to a few numbers."""
    out = Network(*behind, layer, input=shape).output
    flat = (Flatten(),) if len(out) == 3 else ()
    net = Network(*behind, layer, *flat, Dense(CLASSES), *last, input=shape, dtype=dtype, name="around")
    rng = np.random.default_rng(seed)
    for array in net.arrays.values():
        array[...] = rng.normal(size=array.shape)
    return net


def images_for(net: Network, count: int, seed=0):
    """Pixels with one digit after the point, so that equal ones and zeros turn up."""
    return np.random.default_rng(seed + 1).normal(size=(count, *net.input)).round(1)


def targets_for(loss: Loss, count: int, seed=0):
    """Whatever the loss takes; where it takes values, the errors it sends back are as random as they."""
    rng = np.random.default_rng(seed + 2)
    if isinstance(loss, SoftmaxCrossEntropy | CrossEntropy):
        shares = rng.random((count, CLASSES)) + 0.1
        return shares / shares.sum(axis=1, keepdims=True)
    return rng.normal(size=(count, CLASSES))


def run_around(layer, shape, count=1, *, dtype="float64", loss=None, behind=(), seed=0, plain=True) -> Run:
    """A run of such a network. `plain`: by nests that are quickly compiled, with nothing done to make them fast."""
    loss = loss or HalfSquaredError()
    last = (Softmax(),) if isinstance(loss, CrossEntropy) else ()
    net = network_around(layer, shape, dtype, behind=behind, seed=seed, last=last)
    given = images_for(net, count, seed), targets_for(loss, count, seed), loss
    if not plain:
        return net.run(*given)
    with as_written():
        return net.run(*given)


def scale_forward(x, w, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = w[c] * x[n, c, i, j]


def scale_backward(dy, x, w, dx, dw):
    dw[:] = 0
    for n, c, i, j in places(dy):
        dw[c] += dy[n, c, i, j] * x[n, c, i, j]
        dx[n, c, i, j] = dy[n, c, i, j] * w[c]
