"""Networks that the tests of the exchange send to other programs and take back."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from cases import CASES
from plaingrad.compiler.loops import Array
from plaingrad.network.models import MODELS
from plaingrad.training.checkpoint import arrays_of

# A number of float32 is off by 2⁻²⁴ = 6e-8 of itself. The longest sum of the models has 9216 terms: added in another
# order it is off by about √9216 · 6e-8 = 6e-6 of its largest numbers (Higham, 2002, §4.2).
APART = 1e-5


def networks() -> Iterator[Any]:
    """Every built-in model, and every row of the table of layers; what only drops needs a layer to stay."""
    for model in MODELS.values():
        yield model.name, lambda model=model: model.network(seed=1)
    for number, (layer, shape) in enumerate(CASES):
        layers = [pg.Tanh(), layer] if isinstance(layer, pg.Dropout) else [layer]
        yield f"{number}-{layer}", lambda layers=layers, shape=shape: pg.Network(*layers, input=shape, seed=1)


def disturbed(net: pg.Network) -> tuple[pg.Network, Array]:
    """A network with nothing left at 0 or 1, as after training, and five images for it."""
    rng = np.random.default_rng(0)
    for array in net.arrays.values():
        array += rng.normal(size=array.shape) / 4
    for array in net.kept.values():
        array[:] = rng.uniform(0.5, 1.5, array.shape)
    net.offset[:], net.factor[:] = rng.normal(size=net.offset.shape), rng.uniform(0.5, 2, net.factor.shape)
    return net, rng.normal(size=(5, *net.input)).astype("float32")


def apart(ours: Array, theirs: Array) -> float:
    """The largest difference as a part of the largest output."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def refuse_what_is_not_finite(again: Callable[[pg.Network], Any]) -> None:
    """A network with one number that is none, in each of its arrays in turn, is refused on its way back."""
    layers = pg.Conv(2, size=1), pg.BatchNorm(), pg.GroupNorm(2), pg.ReLU(), pg.Flatten(), pg.Dense(2)
    finite = pg.Network(*layers, input=(1, 2, 3))
    finite.offset[:], finite.factor[:] = 0.5, 2.0
    again(finite)
    for name, number in itertools.product(arrays_of(finite), (np.nan, np.inf)):
        net = finite.copy()
        arrays_of(net)[name].flat[-1] = number
        with pytest.raises(pg.PlaingradError, match=r"^[^\n]*finite[^\n]*$"):
            again(net)
