"""Networks that learn the bundled digits by plain steps, with a mistake of the catalogue in one pass or none.

A pass is made wrong in every step, and in testing too where it is a forward one. The others are the library's texts,
compiled, in float64.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.case import Batch, Case
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Env, Estimate, Key, exact
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.single_layer import Changes, SingleLayer
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from plaingrad.compiler.program import Program as Calls
from plaingrad.data import digits
from plaingrad.network.network import Network
from plaingrad.schedule.calls import compiled, shares
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    Conv,
    Dense,
    Flatten,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, Loss, SoftmaxCrossEntropy

STEPS, IMAGES = 1000, 20  # 20 images a step, and a test: the 360 test images come out even
SEEDS = range(5)  # of weights and batches; a mistake's accuracy is the median of theirs
HELD = len(SEEDS)  # programs kept at a time: each holds all its batches
UNIT = 2.0**-53

Place = tuple[str, str]  # layer or "loss", quantity


@dataclass(frozen=True)
class Setting:
    """A network and how it is trained."""

    layers: tuple[Layer, ...]
    loss: Loss
    rate: float


FIRST = Conv(6, size=3, padding=1)
OVERLAPPING = {"size": 3, "stride": 2, "padding": 1}
HEAD = (Flatten(), Dense(10))
SETTINGS = {
    "ReLU and max pool": Setting(
        (FIRST, ReLU(), MaxPool(**OVERLAPPING), Conv(8, size=3, padding=1), ReLU(), *HEAD), SoftmaxCrossEntropy(), 0.1
    ),
    "leaky ReLU, max pool and dilation": Setting(
        (
            FIRST,
            LeakyReLU(0.125),
            MaxPool(**OVERLAPPING),
            Conv(8, size=3, padding=2, dilation=2),
            LeakyReLU(0.125),
            *HEAD,
        ),
        SoftmaxCrossEntropy(),
        0.1,
    ),
    "tanh, mean pool and stride": Setting(
        (FIRST, Tanh(), MeanPool(**OVERLAPPING), Conv(8, size=3, padding=1, stride=2), Tanh(), *HEAD),
        SoftmaxCrossEntropy(),
        0.4,
    ),
    "sigmoid and squared error": Setting((FIRST, Sigmoid(), MeanPool(2), *HEAD, Sigmoid()), HalfSquaredError(), 2.0),
    "ReLU and L2 pool": Setting(
        (FIRST, ReLU(), L2Pool(**OVERLAPPING), FIRST, ReLU(), *HEAD), SoftmaxCrossEntropy(), 0.1
    ),
    "softmax and cross-entropy": Setting((FIRST, ReLU(), MaxPool(2), *HEAD, Softmax()), CrossEntropy(), 0.2),
}


@dataclass(frozen=True)
class Work:
    """One training: a network, and where a form of a mistake is made; without one, it is right."""

    network: str
    id: str = ""
    form: int = 0
    places: tuple[Place, ...] = ()


class Compiled(SingleLayer):
    """A layer or loss by itself, its texts compiled, changed ones too."""

    def __init__(self, owner: Layer | Loss, input: tuple[int, ...], count: int) -> None:
        super().__init__(owner, input, count)
        self.calls: dict[tuple[Any, ...], Calls] = {}

    def call(self, way: str, others: dict[str, Any], changes: Changes = ()) -> None:
        """The `others` are settings: a call is bound to its arrays."""
        key = (way, changes, *others.items())
        if key not in self.calls:
            every = [each for task in self.tasks(way, others, changes) for each in shares(task, self.groups)]
            self.calls[key] = Calls([compiled(each) for each in every])
        self.calls[key]()


class Quick(Program):
    """A program that computes its passes by compiled loops, and does not ask how far rounding may take them."""

    def single_layer(self, name: str) -> SingleLayer:
        if name not in self.single_layers:
            owner = self.case.loss if name == "loss" else self.steps[name].layer
            input = self.case.net.output if name == "loss" else self.steps[name].x
            self.single_layers[name] = Compiled(owner, input, self.case.images)
        return self.single_layers[name]

    def value(self, key: Key, env: Mapping[Key, Estimate]) -> Array:
        t, name, quantity = key
        if name == "loss":
            return self.loss_of(t, env[self.x_key(key)].value)[quantity]
        if self.is_update(key):
            return env[t - 1, name, quantity].value - self.rate(key) * env[t, name, "d" + quantity].value
        w = {weight: env[each].value for weight, each in self.weight_keys(key).items()}
        dy = None if quantity == "y" else env[self.dy_key(key)].value
        return self.loop(name, quantity, env[self.x_key(key)].value, w, dy)

    def evaluate(self, key: Key, env: Mapping[Key, Estimate]) -> Estimate:
        return exact(self.value(key, env))


@functools.lru_cache(maxsize=HELD)
def program_of(network: str, seed: int) -> Quick:
    """The program of one training: its first weights, and the batches of all its steps."""
    setting, train = SETTINGS[network], digits().train
    net = Network(*setting.layers, input=train.shape, dtype="float64", seed=seed)
    rng, classes = np.random.default_rng(seed), np.eye(len(train.classes))
    order = np.concatenate([rng.permutation(len(train)) for _ in range(math.ceil(STEPS * IMAGES / len(train)))])
    every = order[: STEPS * IMAGES].reshape(STEPS, IMAGES)
    batches = tuple(Batch(train.images[each].astype(float), classes[train.labels[each]]) for each in every)
    return Quick(Case(net, setting.loss, batches, setting.rate), UNIT)


def keys_of(program: Program, t: int) -> list[Key]:
    """The passes of a step, but for the first layer's error, which nothing reads."""
    count = len(program.keys) // len(program.case.batches)
    return [key for key in program.keys[(t - 1) * count : t * count] if key[1:] != (program.names[0], "dx")]


def forms_of(id: str, program: Program, key: Key, env: Env, right: Array) -> Iterator[Array]:
    """What a pass with this mistake makes, form by form; nothing where it cannot happen, as some in a first step."""
    context = Context(program, key, env, right)
    for wrong in CATALOGUE[id].wrong(context):
        yield np.array(context.sum(wrong) if isinstance(wrong, Terms) else wrong, float)


def made(program: Program, key: Key, env: Env, work: Work) -> Estimate:
    """What a pass makes: right, or as the mistake has it where it can happen."""
    right = program.evaluate(key, env)
    if key[1:] not in work.places:
        return right
    forms = forms_of(work.id, program, key, env, right.value)
    return exact(next(itertools.islice(forms, work.form, None), right.value))


def trained(work: Work, seed: int) -> tuple[float, float]:
    """Test accuracy before and after training; the latter minus infinity where a weight left the finite numbers."""
    program = program_of(work.network, seed)
    env = program.start()
    with np.errstate(all="ignore"):
        before = tested(program, env, 1, work)
        for t, env in enumerate(steps(program, work), 1):
            if not all(np.isfinite(env[t, *place].value).all() for place in weights_of(program)):
                return before, -math.inf
        return before, tested(program, env, STEPS + 1, work)


def steps(program: Program, work: Work) -> Iterator[Env]:
    """Step by step, all that it and the one before have made."""
    given = program.start()
    env = given
    for t in range(1, len(program.case.batches) + 1):
        env = {key: each for key, each in env.items() if key[0] >= t - 1}
        env |= {key: each for key, each in given.items() if key[0] in (0, t)}  # the first weights, and the batch
        for key in keys_of(program, t):
            env[key] = made(program, key, env, work)
        yield env


def weights_of(program: Program) -> tuple[Place, ...]:
    """Every trained array of a network."""
    return tuple((name, weight) for name, step in program.steps.items() for weight in step.weights)


def tested(program: Program, env: Env, t: int, work: Work) -> float:
    """The share of the test images that the network as step `t` finds it names right."""
    test, hits = digits().test, 0
    assert len(test) % IMAGES == 0
    for start in range(0, len(test), IMAGES):
        here = dict(env)
        here[t, "input", "y"] = exact(test.images[start : start + IMAGES].astype(float))
        for name in program.names:
            here[t, name, "y"] = made(program, (t, name, "y"), here, work)
        y = here[t, program.names[-1], "y"].value
        hits += int((y.argmax(axis=1) == test.labels[start : start + IMAGES]).sum())
    return hits / len(test)
