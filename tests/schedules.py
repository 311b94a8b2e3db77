"""The law of the schedule: each fast nest, run as Python on whole numbers, equals its text, with ==."""

from fractions import Fraction

import numpy as np

from plaingrad.errors import ShapeError
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layers import (
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalMeanPool,
    GroupNorm,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
)
from plaingrad.textbook.text import Text, made

LANES = (1, 1, 2, 3, 4, 5, 6, 8, 12, 16)
REGISTERS = ((32, 16), (16, 8), (32, 4), (16, 2))  # how many, and how many float32 numbers in each


def on(registers, monkeypatch):
    """With the smaller registers sums are stored and taken up again after every two planes, as large ones are."""
    monkeypatch.setattr("plaingrad.schedule.tiles.registers", lambda: registers)
    with_roots_left_out(monkeypatch)
    if registers == min(REGISTERS):
        monkeypatch.setattr("plaingrad.schedule.tiles.NEAREST_CACHE", 0)
        monkeypatch.setattr("plaingrad.schedule.tiles.CHUNK", 2)


def with_roots_left_out(monkeypatch):
    """Square roots are no fractions: both programs take the number itself in their place."""
    for module in ("plaingrad.textbook.layers.normalisation", "plaingrad.schedule.written_normalisation"):
        monkeypatch.setattr(f"{module}.sqrt", lambda number: number)


def by_patches(monkeypatch):
    """Windows are gone through patch by patch wherever that is possible, be it slower."""
    monkeypatch.setattr("plaingrad.schedule.winograd.FEWEST_LANES", 1)
    monkeypatch.setattr("plaingrad.schedule.winograd.ENOUGH", float("inf"))


class FastRun(Run):
    """A run of exact numbers through the fast nests, which run as Python there."""

    is_fast = property(lambda self: True, lambda self, told: None)


def drawn(rng, kind=object):
    """A layer of a kind in a random setting, and the shape of an input it takes."""
    while True:
        layer, shape = _layer(rng)
        try:
            layer.output(shape)
        except ShapeError:
            continue
        if isinstance(layer, kind):
            return layer, shape


def _layer(rng):
    def pair(least, most):
        return tuple(int(each) for each in rng.integers(least, most + 1, 2))

    others = [
        "MaxPool",
        "MeanPool",
        "L2Pool",
        "Flatten",
        "ReLU",
        "LeakyReLU",
        "GlobalMeanPool",
        "BatchNorm",
        "GroupNorm",
    ]
    kind = rng.choice(["Conv"] * 6 + ["Dense"] * 3 + others)
    sides, channels = pair(1, 9), int(rng.integers(1, 5 if rng.integers(3) else 11))
    activation = rng.choice([None, None, ReLU(), LeakyReLU(0.5)])
    if kind == "Conv":
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        filters = groups * int(rng.integers(1, 10))
        settings = {
            "stride": pair(1, 3) if rng.integers(3) else (1, 1),
            "dilation": pair(1, 3) if rng.integers(3) else (1, 1),
            "bias": bool(rng.integers(4)),
            "activation": activation,
        }
        padding = "same" if rng.integers(4) == 0 else pair(0, 3)
        size = pair(1, 5) if rng.integers(5) else (1, int(rng.integers(6, 10)))  # a window wider than a tile
        layer = Conv(filters, size=size, padding=padding, groups=groups, **settings)
        return layer, (groups * channels, *sides)
    if kind == "Dense":
        return Dense(int(rng.integers(1, 40)), bool(rng.integers(4)), activation), (int(rng.integers(1, 70)),)
    if kind in ("MaxPool", "MeanPool", "L2Pool"):
        size = pair(1, 4)
        more = {"dilation": pair(1, 3) if rng.integers(2) else 1, "ceil_mode": bool(rng.integers(2))}
        if kind == "MeanPool":
            more |= {"count_padding": bool(rng.integers(2)), "divisor": rng.choice([None, None, 3])}
        pool = {"MaxPool": MaxPool, "MeanPool": MeanPool, "L2Pool": L2Pool}[kind]
        padding = tuple(int(rng.integers(0, each)) for each in size)
        return pool(size, pair(1, 4), padding, **more), (channels, *sides)
    if kind == "GroupNorm":
        size = int(rng.integers(1, 4))
        return GroupNorm(channels, 0.5), (channels * size, *sides)
    shape = (channels, *sides) if kind != "BatchNorm" or rng.integers(3) else (channels,)
    return {
        "Flatten": Flatten(), "ReLU": ReLU(), "LeakyReLU": LeakyReLU(0.25), "GlobalMeanPool": GlobalMeanPool(),
        "BatchNorm": BatchNorm(0.5),
    }[kind], shape  # fmt: skip


def runs_of(layer, shape, lanes):
    """The layer through its texts, and through its fast nests."""
    net = Network(layer, input=shape, dtype=object)
    return Run(net, lanes, input_gradient=True), FastRun(net, lanes, input_gradient=True, by_patches=True)


def numbers(rng, shape):
    """Whole numbers as fractions: pools and slopes divide them."""
    return np.frompyfunc(lambda n: Fraction(int(n)), 1, 1)(rng.integers(-9, 10, shape))


def differing_trained(slow, fast, mine, its, rng):
    """The same of what a layer does once it is trained, from any numbers that it keeps."""
    (step,) = slow.net.steps.values()
    for name in step.state:
        mine[name][...] = its[name][...] = np.abs(numbers(rng, mine[name].shape)) + 1
    for run in (slow, fast):
        for call in run.infer_calls:
            call()
    return [] if (mine["y"] == its["y"]).all() else ["y, trained"]


def differing(layer, shape, lanes, rng):
    """The arrays in which the fast nests differ from the texts; what they held before is not seen in them."""
    slow, fast = runs_of(layer, shape, lanes)
    (mine,), (its,) = slow.records.values(), fast.records.values()
    (step,) = slow.net.steps.values()
    for name in step.weights:
        mine[name][...] = numbers(rng, mine[name].shape)
    given = {name: numbers(rng, mine[name].shape) for name in ("x", "dy")}
    for name, values in given.items():
        mine[name][...] = its[name][...] = values
    trained = [] if not slow.has_modes else differing_trained(slow, fast, mine, its, rng)
    fast.scratch[...] = Fraction(7)
    for name in its.keys() - {"x", "dy", "w", "b"}:
        if name not in ("winner", "running_mean", "running_variance", "share"):
            its[name][...] = Fraction(7)
    for name, values in given.items():  # once more: y may be x, and dx be dy
        its[name][...] = values
    for run in (slow, fast):
        run.forward()
        for call in run.backward_calls:
            call()
    left = ("winner", "mean", "variance", "deviation", "normal", "mean_error", "mean_product")
    made = [name for name in ("y", *left, "dx", *("d" + each for each in step.weights)) if name in mine]
    return trained + [name for name in made if not (mine[name] == its[name]).all()]


def with_a_text_of_its_own(layer, way):
    """The same layer, one of whose texts is written anew: who knows the library's does not know that one."""
    text, again = getattr(layer, way), layer.replace()
    again.put(**{way: Text(made(text.source, text.names, text.__name__))})
    return again


def drawn_before_a_pool(rng):
    """A layer with weights and an activation, and a max pool whose windows tile its output; and an input's shape."""
    while True:
        layer, shape = _layer(rng)
        if not isinstance(layer, Conv) or layer.activation is None:
            continue
        try:
            _, *sides = layer.output(shape)
        except ShapeError:
            continue
        size = tuple(int(rng.choice([each for each in range(1, side + 1) if side % each == 0])) for side in sides)
        return (layer, MaxPool(size)), shape


def differing_before_a_pool(layers, shape, lanes, rng, is_joined=True):
    """The arrays in which the nests that go back through a pool and an activation at once differ from the texts.

    Unless it `is_joined`, the network is one in which each goes alone.
    """
    net = Network(*layers, input=shape, dtype=object)
    slow, fast = Run(net, lanes, input_gradient=True), FastRun(net, lanes, input_gradient=True, by_patches=True)
    for array in net.arrays.values():
        array[...] = numbers(rng, array.shape)
    for record in fast.records.values():
        for name in record.keys() - {"w", "b", "winner"}:
            record[name][...] = Fraction(7)
    last = list(net.steps)[-1]
    given, errors = numbers(rng, slow.x.shape), numbers(rng, slow.records[last]["dy"].shape)
    found = []
    for way in ("forward", "backward"):
        for run in (slow, fast):
            run.x[...], run.records[last]["dy"][...] = given, errors
            for call in getattr(run, way + "_calls"):
                call()
        found += [
            f"{step}.{name} after {way}"
            for step, record in fast.records.items()
            for name in record
            if (name in ("y", "winner")) == (way == "forward")  # where y lay is dz in the end
            if name not in ("x", "dy")
            if not (record[name] == slow.records[step][name]).all()
        ]
    assert ("dx" not in fast.records[last]) == is_joined
    return found
