"""The built-in networks, each with the recipe it trains well with."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from plaingrad.errors import SettingError, nearest
from plaingrad.network.augment import Augment
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import (
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalMeanPool,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
)
from plaingrad.textbook.optimisers import SGD, OneCycle, Optimiser, Schedule

COLOUR = (3, 32, 32)
PHOTOGRAPHS = Augment(shift=4, flip=True)  # of things that are the same a little aside, and in a mirror
LEAST_STEPS, LEAST_BATCH = 16, 8  # steps in an epoch, images in a batch
FEW_STEPS = 400  # in a whole training: enough for a small network to learn what few images hold


@dataclass(frozen=True)
class Recipe:
    """How to train: what is not told is taken from here."""

    epochs: int = 5
    batch: int = 64
    optimiser: Optimiser = SGD(rate=0.05, momentum=0.9, decay=0.001)  # noqa: RUF009 (frozen)
    schedule: Schedule = OneCycle()  # noqa: RUF009 (frozen)
    augment: Augment | None = None

    def fitted(self, images: int) -> "Recipe":
        """The recipe for this many training images: fewer than it was made for ask for smaller batches, more epochs.

        The rate shrinks with the batch, whose slope is then less sure.
        """
        if images >= LEAST_STEPS * self.batch:
            return self
        batch = max(images // LEAST_STEPS, LEAST_BATCH)
        epochs = max(self.epochs, -(-FEW_STEPS * batch // images))
        optimiser = self.optimiser.replace(rate=self.optimiser.rate * batch / self.batch)
        return replace(self, epochs=epochs, batch=batch, optimiser=optimiser)

    def __str__(self) -> str:
        told = [f"{self.epochs} epochs", f"batches of {self.batch}", self.optimiser.in_full(), str(self.schedule)]
        return ", ".join([*told, *([f"augmentation {self.augment}"] if self.augment else [])])

    def settings(self) -> dict[str, Any]:
        """The recipe as `train` takes it: `train(net, images, **recipe.settings())`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Model:
    """A network by name: its layers for so many classes, the input it was made for, and its recipe.

    `best` is a recipe that takes longer and gets further, where there is one.
    """

    name: str
    about: str
    layers: Callable[[int], list[Layer]]
    input: Shape = (1, 28, 28)
    recipe: Recipe = Recipe()
    best: Recipe | None = None

    def recipe_for(self, input: Shape, best: bool = False) -> Recipe:
        """The recipe for images of this shape: those of another than it was made for are not changed at random.

        They may be anything, such as digits, which mean something else or nothing in a mirror. SettingError where the
        `best` one is asked for and there is none.
        """
        recipe = self.best if best else self.recipe
        if recipe is None:
            having = ", ".join(each.name for each in MODELS.values() if each.best)
            raise SettingError(f"{self.name} has one recipe only; leave out --best, or take {having}")
        return recipe if input == self.input else replace(recipe, augment=None)

    def network(
        self, input: Shape | None = None, classes: int = 10, seed: int = 0, dtype: npt.DTypeLike = np.float32
    ) -> Network:
        """The network for images of this shape; ShapeError where its windows do not fit them."""
        return Network(*self.layers(classes), input=input or self.input, seed=seed, dtype=dtype, name=self.name)


def _mlp(classes: int) -> list[Layer]:
    return [Flatten(), Dense(100, activation=ReLU()), Dense(classes)]


def _lenet5(classes: int) -> list[Layer]:
    return [
        *(Conv(6, size=5, activation=ReLU()), MaxPool(2)),
        *(Conv(16, size=5, activation=ReLU()), MaxPool(2), Flatten()),
        *(Dense(120, activation=ReLU()), Dense(84, activation=ReLU()), Dense(classes)),
    ]


def _lenet5_sigmoid(classes: int) -> list[Layer]:
    return [
        *(Conv(6, size=5), Sigmoid(), MeanPool(2)),
        *(Conv(16, size=5), Sigmoid(), MeanPool(2), Flatten()),
        *(Dense(120), Sigmoid(), Dense(84), Sigmoid(), Dense(classes)),
    ]


def _mnist_cnn(classes: int) -> list[Layer]:
    return [
        *(Conv(32, size=3, activation=ReLU()), Conv(64, size=3, activation=ReLU()), MaxPool(2), Flatten()),
        *(Dense(128, activation=ReLU()), Dense(classes)),
    ]


def _digits(classes: int) -> list[Layer]:
    return [
        *(Conv(16, size=3, padding=1, activation=ReLU()), Conv(32, size=3, padding=1, activation=ReLU()), MaxPool(2)),
        *(Flatten(), Dense(64, activation=ReLU()), Dense(classes)),
    ]


def _cifar_cnn(classes: int) -> list[Layer]:
    return [
        *(Conv(32, size=3, padding=1, activation=ReLU()), Conv(32, size=3, padding=1, activation=ReLU()), MaxPool(2)),
        *(Conv(64, size=3, padding=1, activation=ReLU()), Conv(64, size=3, padding=1, activation=ReLU()), MaxPool(2)),
        *(Flatten(), Dropout(0.5), Dense(128, activation=ReLU()), Dropout(0.5), Dense(classes)),
    ]


def _resnet8(classes: int) -> list[Layer]:
    def conv(filters: int, stride: int = 1) -> Conv:
        return Conv(filters, size=3, stride=stride, padding=1, bias=False)

    layers: list[Layer] = [conv(16), BatchNorm(), ReLU()]
    for block, (filters, stride) in enumerate(((16, 1), (32, 2), (64, 2))):
        skip = Add(f"relu{2 * block + 1}")  # the output of the block before
        layers += [conv(filters, stride), BatchNorm(), ReLU(), conv(filters), BatchNorm(), skip, ReLU()]
    return [*layers, GlobalMeanPool(), Dense(classes)]


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("digits", "two small convolutions for images of about 8×8", _digits, (1, 8, 8), Recipe(epochs=30)),
        Model("mlp", "a fully connected network with one hidden layer", _mlp),
        Model(
            "lenet5",
            "two convolutions, two max pooling layers, three dense layers; no padding",
            _lenet5,
            best=Recipe(20, optimiser=SGD(rate=0.05, momentum=0.9, decay=0.0005), augment=Augment(shift=1)),
        ),
        Model(
            "lenet5-sigmoid",
            "as in 1998: convolution and subsampling in turn, sigmoid units",
            _lenet5_sigmoid,
            recipe=Recipe(optimiser=SGD(rate=0.5, momentum=0.9)),  # a sigmoid's slope is at most 1/4: longer steps
        ),
        Model(
            "cifar-cnn",
            "four 3×3 convolutions with dropout, for colour images of 32×32",
            _cifar_cnn,
            COLOUR,
            recipe=Recipe(augment=PHOTOGRAPHS),
        ),
        Model(
            "resnet8",
            "three residual blocks with batch normalisation and skips (He et al., 2016), for colour images of 32×32",
            _resnet8,
            COLOUR,
            recipe=Recipe(15, 128, SGD(rate=0.2, momentum=0.9, decay=0.0005), augment=PHOTOGRAPHS),
        ),
        Model("mnist-cnn", "two 3×3 convolutions, one max pooling layer, 1.2 million parameters", _mnist_cnn),
    )
}


def model(name: str) -> Model:
    """A built-in model by name."""
    if not isinstance(name, str) or name not in MODELS:
        raise SettingError(f"there is no model {name!r}; {nearest(name, MODELS)}, or the path of a network's JSON file")
    return MODELS[name]
