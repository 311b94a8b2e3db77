"""Small networks with their numbers, one for each question that people are stuck on; the docs answer them.

`run = plaingrad.example("first-cnn")` is a run to be asked: `run.explain("conv1.dw[0,0,0,0]")`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.data import digits
from plaingrad.errors import SettingError, nearest
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Shape
from plaingrad.textbook.layers import (
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    Softmax,
)
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, Loss, MeanSquaredError, SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD
from plaingrad.training.ranks import OneRank
from plaingrad.training.trainer import train

STEP = SGD(rate=0.1, momentum=0.0)  # of the examples in the terminal: plain gradient descent


@dataclass(frozen=True)
class Example:
    """A network, its numbers, one image or several, and what its outputs should be."""

    name: str
    about: str
    layers: tuple[Any, ...]
    input: Shape
    image: Any = None  # numbers of one or several, or what gives them; without it tenths drawn from the seed
    target: Any = (0,)  # a class (one whole number), or the outputs of each image, or what gives them
    loss: Loss = HalfSquaredError()  # noqa: RUF009 (frozen)
    weights: Any = None  # by name; what is not named is drawn from the seed
    opens: str = ""
    seed: int = 1
    trained: Callable[[Network], Any] | None = None

    def network(self) -> Network:
        """The network with its numbers."""
        net = Network(*self.layers, input=self.input, dtype="float64", name=self.name)
        rng = np.random.default_rng(self.seed)
        for array in net.arrays.values():
            array[...] = (
                rng.choice([-1, 1], array.shape) * rng.integers(1, 6, array.shape) / 10
            )  # no zero hides a connection
        for name, values in (self.weights or {}).items():
            net.arrays[name][...] = np.reshape(values, net.arrays[name].shape)
        if self.trained:
            self.trained(net)
        return net

    def run(self, net: Network | None = None) -> Run:
        """The network, or another one on the same images, run forward and back."""
        drawn = np.random.default_rng(self.seed + 100).integers(0, 10, self.input) / 10
        image, target = (each() if callable(each) else each for each in (self.image, self.target))
        images = np.reshape(drawn if image is None else image, (-1, *self.input)).astype(float)
        targets = np.array([target]) if np.ndim(target) == 0 else np.reshape(target, (len(images), -1)).astype(float)
        return (net or self.network()).run(images, targets, self.loss)


def _digit() -> Any:
    """The first of the bundled test digits, black 0 to white 1."""
    return digits().test.images[0]


def _label() -> int:
    return int(digits().test.labels[0])


def _train_on_digits(net: Network) -> None:
    train(net, digits().train, epochs=2, seed=0, threads=1, ranks=OneRank())


EXAMPLES: dict[str, Example] = {
    each.name: each
    for each in (
        Example(
            "first-cnn",
            "5×5 image, one 2×2 kernel, ReLU, 2×2 max pool, flatten, dense, softmax and cross-entropy",
            (Conv(1, size=2), ReLU(), MaxPool(2), Flatten(), Dense(2)),
            (1, 5, 5),
            image=[[1, 0, 2, 1, 0], [0, 1, 3, 0, 1], [2, 1, 0, 1, 2], [1, 0, 1, 2, 0], [0, 2, 1, 0, 1]],
            target=0,
            loss=SoftmaxCrossEntropy(),
            weights={
                "conv1.w": [[0.5, -0.2], [0.3, 0.1]],
                "conv1.b": [-0.3],
                "dense1.w": [[0.2, -0.4, 0.1, 0.3], [-0.3, 0.5, 0.2, -0.1]],
                "dense1.b": [0.1, -0.1],
            },
            opens="conv1.dw[0,0,0,0]",
        ),
        Example(
            "pooling-chain",
            "two channels, three kernels, mean pool, and the same once more",
            (Conv(3, size=2), MeanPool(2), Conv(2, size=2), MeanPool(2), Flatten()),
            (2, 7, 7),
            target=(0.5, -0.5),
            opens="conv1.dx[0,2,3]",
        ),
        Example(
            "two-kernels",
            "3×3 image, a 2×2 kernel, a second 2×2 kernel, one output o, and the cost (o − y)²",
            (Conv(1, size=2, bias=False), Conv(1, size=2, bias=False), Flatten()),
            (1, 3, 3),
            image=[[1, 2, 0], [3, 1, 2], [0, 2, 1]],
            target=(1.0,),
            loss=MeanSquaredError(),
            weights={"conv1.w": [[0.5, -1], [0.25, 0.5]], "conv2.w": [[1, 0.5], [-0.5, 2]]},
            opens="conv1.dw[0,0,0,0]",
        ),
        Example(
            "subsampling",
            "convolution and subsampling in turn, sigmoid units, as in 1998",
            (
                *(Conv(2, size=3), Sigmoid(), MeanPool(2), Conv(2, size=2), Sigmoid(), MeanPool(2)),
                *(Flatten(), Dense(2), Sigmoid()),
            ),
            (1, 8, 8),
            target=(1.0, 0.0),
            opens="conv2.dy[0,0,1]",
        ),
        Example(
            "digits-by-hand",
            "a small network trained on the bundled 8×8 digits, and one digit",
            (Conv(4, size=3, activation=ReLU()), MaxPool(2), Flatten(), Dense(10)),
            (1, 8, 8),
            image=_digit,
            target=_label,
            loss=SoftmaxCrossEntropy(),
            opens="conv1.dw[0,0,1,1]",
            trained=_train_on_digits,
        ),
        Example(
            "as-dense",
            "a convolution and a mean pool small enough to be written as matrices",
            (Conv(2, size=2), MeanPool(2, stride=1), Flatten()),
            (1, 3, 4),
            target=(1.0, 0.0, 0.0, -1.0),
            opens="conv1.y[0,0,1]",
        ),
        Example(
            "overlap",
            "a 3×3 max pool with stride 1 on 4×4: one pixel can win several windows",
            (MaxPool(3, stride=1), Flatten()),
            (1, 4, 4),
            image=[[1, 2, 0, 1], [3, 9, 4, 2], [0, 5, 7, 1], [2, 1, 3, 6]],
            target=(8.0, 7.0, 9.5, 8.5),
            opens="maxpool1.dx[0,1,1]",
        ),
        Example(
            "stride",
            "a 3×3 kernel that moves by 2 over 6×8: a row and a column that no window reaches",
            (Conv(1, size=3, stride=2), Flatten()),
            (1, 6, 8),
            target=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            opens="conv1.dx[0,2,2]",
        ),
        Example(
            "softmax",
            "three scores, softmax as a layer of its own, and cross-entropy",
            (Dense(3), Softmax()),
            (2,),
            image=[1, 2],
            target=1,
            loss=CrossEntropy(),
            weights={"dense1.w": [[0.5, 0.25], [0.1, 0.3], [-0.5, 0]], "dense1.b": [0, 0.1, 0]},
            opens="dense1.dy[1]",
        ),
        Example(
            "batchnorm",
            "two images of two channels, each channel normalised over both, and a dense layer",
            (BatchNorm(), Flatten(), Dense(2)),
            (2, 1, 2),
            image=[[[[1, 3]], [[2, 2]]], [[[5, 7]], [[0, 4]]]],
            target=[[1, 0], [0, 1]],
            loss=SoftmaxCrossEntropy(),
            opens="batchnorm1.dx[0,0,0,0]",
        ),
        Example(
            "skip",
            "a convolution with a skip over it: the output of relu1 goes into conv2 and, over the skip, into add1",
            (Conv(1, padding=1), ReLU(), Conv(1, padding=1), Add("relu1"), Flatten(), Dense(2)),
            (1, 3, 3),
            target=0,
            loss=SoftmaxCrossEntropy(),
            opens="relu1.dy[0,1,1]",
        ),
        Example(
            "dropout",
            "six units of which about a half are dropped, and a dense layer",
            (Dense(6), Dropout(0.5), Dense(2)),
            (3,),
            image=[1, 2, 0],
            target=0,
            loss=SoftmaxCrossEntropy(),
            opens="dropout1.dx[2]",
        ),
        Example(
            "two-images",
            "two images in one batch: the loss is their mean, so each error is multiplied by 1/2",
            (Dense(2),),
            (3,),
            image=[[1, 2, 0], [0, 1, 3]],
            target=[[1, 0], [0, 1]],
            loss=SoftmaxCrossEntropy(),
            weights={"dense1.w": [[0.5, -0.2, 0.1], [0.3, 0.1, -0.4]], "dense1.b": [0, 0.1]},
            opens="dense1.dy[0,0]",
        ),
    )
}


def example_named(name: str) -> Example:
    """One of the library's examples; SettingError where there is none of that name."""
    if not isinstance(name, str) or name not in EXAMPLES:
        raise SettingError(f"there is no example {name!r}; {nearest(name, EXAMPLES)}")
    return EXAMPLES[name]


def example(name: str) -> Run:
    """One of the library's examples, run forward and back; SettingError where there is none of that name."""
    return example_named(name).run()
