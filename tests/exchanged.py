"""Networks that the tests of the exchange send to other programs and take back."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import plaingrad as pg
from cases import CASES
from plaingrad.compiler.loops import Array
from plaingrad.network.models import MODELS

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
