"""What a program does in one step after another, pass by pass; and how far rounding may take each of its numbers.

A *pass* makes one array: an output, the loss, an error, the gradient of one weight, or a weight after an update. Its
key is (step, layer, quantity). Each is computed from whatever arrays it is given, so that a program can be judged by
its own numbers.

`slack` is a standard deviation. Roundings are taken as independent (Higham and Mary, A New Approach to Probabilistic
Rounding Error Analysis, 2019): a sum of n products is off by about u·√n·Σ|products|, and what its factors are off adds
up in squares. Where a layer compares, its loops run again on inputs moved as far as they may be off: a number that then
comes out otherwise may be either.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.alone import Alone
from plaingrad.checking.bilinear import Terms, terms_of
from plaingrad.checking.case import Case
from plaingrad.checking.memo import Memo
from plaingrad.layer import Layer
from plaingrad.layers import LeakyReLU, MaxPool, ReLU, Sigmoid, Softmax, Tanh
from plaingrad.layers.pool import Pool
from plaingrad.loops import Array

Key = tuple[int, str, str]  # step from 1, layer or "loss" or "input", quantity
CHOICE = 4  # slacks by which an input may be off where a layer chooses
SIGNS = 6  # random patterns of signs where a layer is unknown
MOST_SINGLE = 12  # outputs of a softmax that are moved one by one


@dataclass(frozen=True)
class Belief:
    """An array as it should be, and about how far a right program's may be from it, number by number."""

    value: Array
    slack: Array


Env = dict[Key, Belief]
Way = Callable[["Program", Key, Mapping[Key, Belief], Array], Array]
"""From the program, the pass, the arrays it may read and what it should make of them to what it makes."""


class Program:
    """The passes of a case, in order. `unit` is half the distance of two numbers at 1 in the program's arithmetic."""

    def __init__(self, case: Case, unit: float) -> None:
        self.case, self.unit = case, unit
        self.steps = case.net.steps
        self.names = list(self.steps)
        self.alones: dict[str, Alone] = {}
        self.other: dict[str, Terms] = {}  # layers that the program makes of other terms, forward and back
        self.factors: dict[tuple[str, str], float] = {}  # by which it makes the numbers of a pass larger, in every step
        self.ways: dict[tuple[str, str], Way] = {}  # passes that it makes in a way of its own, in every step
        self.memo, self.given = Memo(), self._given()
        self.keys = list(self._keys())
        self.place = {key: number for number, key in enumerate(self.keys)}

    def like(self, unit: float) -> "Program":
        """The same passes, none made in a way of its own, in this arithmetic."""
        other = Program(self.case, unit)
        other.alones, other.memo, other.given = self.alones, self.memo, self.given
        return other

    def _keys(self) -> Iterator[Key]:
        for t in range(1, len(self.case.batches) + 1):
            for name in self.names:
                yield t, name, "y"
            yield t, "loss", "y"
            yield t, "loss", "dx"
            for name in reversed(self.names):
                for weight in reversed(self.steps[name].weights):
                    yield t, name, "d" + weight
                yield t, name, "dx"
            for name in reversed(self.names):  # as their gradients come
                for weight in reversed(self.steps[name].weights):
                    yield t, name, weight

    def start(self) -> Env:
        """What is given: the batches and the first weights, which are exact."""
        return dict(self.given)

    def _given(self) -> Env:
        env: Env = {}
        for t, batch in enumerate(self.case.batches, 1):
            env[t, "input", "y"] = exact(batch.x)
        for name, step in self.steps.items():
            for weight, array in step.arrays.items():
                env[0, name, weight] = exact(array)
        return env

    def x_key(self, key: Key) -> Key:
        """Where the input of a layer comes from."""
        t, name, _ = key
        if name == "loss":
            return t, self.names[-1], "y"
        place = self.names.index(name)
        return t, self.names[place - 1] if place else "input", "y"

    def dy_key(self, key: Key) -> Key:
        """Where the error of a layer's output comes from."""
        t, name, _ = key
        place = self.names.index(name)
        return t, self.names[place + 1] if place + 1 < len(self.names) else "loss", "dx"

    def weight_keys(self, key: Key) -> dict[str, Key]:
        """A layer's weights before the step."""
        t, name, _ = key
        return {} if name == "loss" else {weight: (t - 1, name, weight) for weight in self.steps[name].weights}

    def needs(self, key: Key) -> tuple[Key, ...]:
        """The arrays a pass reads."""
        t, name, quantity = key
        if name == "loss":
            return (self.x_key(key),)
        weights = self.weight_keys(key)
        if quantity in weights:
            return weights[quantity], (t, name, "d" + quantity)
        if quantity == "y":
            return self.x_key(key), *weights.values()
        if self.terms(name):
            if quantity == "dx":
                return self.dy_key(key), *weights.values()
            return self.dy_key(key), self.x_key(key)
        return self.dy_key(key), self.x_key(key), *weights.values()

    def terms(self, name: str) -> Terms | None:
        """The terms of a layer, where its outputs are sums of products."""
        if name == "loss":
            return None
        if name in self.other:
            return self.other[name]
        step = self.steps[name]
        return terms_of(step.layer, step.x)

    def alone(self, name: str) -> Alone:
        """A layer, or the loss, by itself."""
        if name not in self.alones:
            owner = self.case.loss if name == "loss" else self.steps[name].layer
            input = self.case.net.output if name == "loss" else self.steps[name].x
            self.alones[name] = Alone(owner, input, self.case.images)
        return self.alones[name]

    def value(self, key: Key, env: Mapping[Key, Belief]) -> Array:
        """What a pass should make of the arrays in `env`, in the ways of this program."""
        made, way = self._plain(key, env), self.ways.get(key[1:])
        factor = 1.0 if self.is_update(key) else self.factors.get(key[1:], 1.0)
        if factor != 1:
            plain = made
            made = self.memo.of((key, "times", factor), [plain], lambda: np.asarray(plain * factor))
        return made if way is None else way(self, key, env, made)

    def _plain(self, key: Key, env: Mapping[Key, Belief]) -> Array:
        """The same without a factor or a way of the program's own."""
        made_of = [*(env[need].value for need in self.needs(key)), self.other.get(key[1])]
        made: Array = self.memo.of((key, self.rate(key)), made_of, lambda: self._value(key, env))
        return made

    def is_update(self, key: Key) -> bool:
        """Whether a pass makes a weight after a step."""
        return key[1] != "loss" and key[2] in self.steps[key[1]].weights

    def rate(self, key: Key) -> float:
        """The rate of an update; the case's for any other pass."""
        return self.case.rate * (self.factors.get(key[1:], 1.0) if self.is_update(key) else 1.0)

    def _value(self, key: Key, env: Mapping[Key, Belief]) -> Array:
        t, name, quantity = key
        if name == "loss":
            return self.loss_of(t, env[self.x_key(key)].value)[quantity]
        w = {weight: env[each].value for weight, each in self.weight_keys(key).items()}
        if quantity in w:
            return np.asarray(w[quantity] - self.rate(key) * env[t, name, "d" + quantity].value)
        x, terms = env[self.x_key(key)].value if self._reads_x(key) else None, self.terms(name)
        if quantity == "y":
            assert x is not None
            return terms.forward(x, w) if terms else self.loop(name, "y", x, w, None)
        dy = env[self.dy_key(key)].value
        if quantity == "dx":
            if terms:
                return terms.error(dy, w)
            assert x is not None
            return self.alone(name).slopes(x, w).of(dy)
        assert x is not None
        return terms.slope(quantity[1:], dy, x) if terms else self.loop(name, quantity, x, w, dy)

    def pulled(self, key: Key, need: Key, env: Mapping[Key, Belief], weighing: Array) -> Array | None:
        """How much `weighing` · (what a pass makes) changes with each number of one of the arrays it reads.

        None where it does not follow in proportion, as from the way forward.
        """
        t, name, quantity = key
        w = {weight: env[each].value for weight, each in self.weight_keys(key).items()}
        if need == (t, name, "d" + quantity) and quantity in w:
            return np.asarray(-self.rate(key) * weighing)
        if name == "loss" or quantity == "y" or need != self.dy_key(key) or key[1:] in self.ways:
            return None
        weighing = weighing * self.factors.get(key[1:], 1.0)
        terms, x = self.terms(name), env[self.x_key(key)].value
        if quantity == "dx":
            if terms:
                return terms.only(terms.inner >= 0).forward(weighing, w)
            return self.alone(name).slopes(x, w).turned(weighing, self.alone(name).get("dy").shape)
        if terms:
            own = terms.of(quantity[1:])
            others = {each: np.zeros_like(array) for each, array in w.items()}
            return own.forward(x, others | {quantity[1:]: weighing})
        return None

    def work(self, key: Key) -> int:
        """About how many numbers a pass handles."""
        name = key[1]
        terms = self.terms(name)
        return self.case.images * (len(terms.out) if terms else 100 if name == "loss" else 4 * int(np.prod(self.steps[name].x)))  # fmt: skip  # noqa: E501

    def _reads_x(self, key: Key) -> bool:
        return self.x_key(key) in self.needs(key)

    def evaluate(self, key: Key, env: Mapping[Key, Belief]) -> Belief:
        """What a pass should make of the arrays in `env`, and about how far a right program's may be from it."""
        if key[1:] in self.ways:
            return self._evaluate(key, env)
        made_of = [*(env[need] for need in self.needs(key)), self.other.get(key[1])]
        kept: Belief = self.memo.of(
            (key, self.unit, self.factors.get(key[1:])), made_of, lambda: self._evaluate(key, env)
        )
        return kept

    def _evaluate(self, key: Key, env: Mapping[Key, Belief]) -> Belief:
        made, plain = self.value(key, env), self._plain(key, env)
        with np.errstate(all="ignore"):
            slack = self._slack(key, env, plain)
        if key[1:] in self.factors and not self.is_update(key):
            slack = slack * abs(self.factors[key[1:]])
        return Belief(made, slack)

    def _slack(self, key: Key, env: Mapping[Key, Belief], made: Array) -> Array:
        _, name, quantity = key
        if name == "loss":
            return self._loss_slack(key, env, made)
        if quantity in self.steps[name].weights:
            w, dw = (env[each] for each in self.needs(key))
            own = self.unit * (np.abs(w.value) + np.abs(self.rate(key) * dw.value))
            return np.asarray(w.slack + abs(self.rate(key)) * dw.slack + own)
        return self._summed(key, env) if self.terms(name) else self._looped(key, env, made)

    def _summed(self, key: Key, env: Mapping[Key, Belief]) -> Array:
        """The slack of a pass of a layer whose outputs are sums of products."""
        _, name, quantity = key
        terms = self.terms(name)
        assert terms is not None
        beliefs = {weight: env[each] for weight, each in self.weight_keys(key).items()}
        w, wide = ({k: getattr(each, part) for k, each in beliefs.items()} for part in ("value", "slack"))
        sizes, squares, wide = ({k: f(v) for k, v in each.items()} for f, each in ((np.abs, w), (sq, w), (sq, wide)))
        sized, squared = terms.times(np.sign(terms.factor)), terms.times(terms.factor)
        if quantity == "y":
            x = env[self.x_key(key)]
            size = sized.forward(np.abs(x.value), sizes)
            moved = squared.forward(sq(x.slack), squares, no_input=0) + squared.forward(sq(x.value), wide, no_weight=0)
            return self._sum(size, moved, count_of(terms.out))
        dy = env[self.dy_key(key)]
        if quantity == "dx":
            size = sized.error(np.abs(dy.value), sizes)
            moved = squared.error(sq(dy.slack), squares) + squared.error(sq(dy.value), wide, no_weight=0)
            return self._sum(size, moved, count_of(terms.inner))
        x, weight = env[self.x_key(key)], quantity[1:]
        size = sized.slope(weight, np.abs(dy.value), np.abs(x.value))
        moved = squared.slope(weight, sq(dy.slack), sq(x.value)) + squared.slope(weight, sq(dy.value), sq(x.slack), 0)
        return self._sum(size, moved, self.case.images * count_of(terms.of(weight).weight))

    def _sum(self, size: Array, moved: Array, count: int) -> Array:
        return np.asarray(np.sqrt(moved + sq(self.unit * (count + 2) ** 0.5 * size)))

    def _looped(self, key: Key, env: Mapping[Key, Belief], made: Array) -> Array:
        """The slack of a pass of any other layer: by its loops on inputs that are a little off."""
        _, name, quantity = key
        layer, x = self.steps[name].layer, env[self.x_key(key)]
        w = {weight: env[each].value for weight, each in self.weight_keys(key).items()}
        back = quantity != "y"
        dy = env[self.dy_key(key)] if back else None
        slack = np.zeros_like(made)
        wide = Belief(x.value, CHOICE * x.slack) if back else x
        if x.slack.any() and not (back and settled(layer, wide)):
            for moved in moves(layer, wide):
                other = self._value(key, {**env, self.x_key(key): Belief(moved, x.slack)})
                slack = np.maximum(slack, np.abs(other - made))
        own = self.unit * self.roundings(layer)
        if dy is None or quantity != "dx":
            return slack + own * np.abs(made)
        slopes = self.alone(name).slopes(x.value, w)
        return slack + slopes.spread(dy.slack) + own * (slopes.size(dy.value) + cancelled(layer, dy.value))

    def roundings(self, layer: Layer) -> float:
        """How many roundings a number of such a layer sees."""
        return 4 + (float(np.prod(layer.window.size)) ** 0.5 if isinstance(layer, Pool) else 0)

    def loop(self, name: str, quantity: str, x: Array, w: dict[str, Array], dy: Array | None) -> Array:
        """An array of a layer by its own loops."""
        alone = self.alone(name)
        alone.put(x=x, **w)
        alone.forward()
        if dy is not None:
            alone.put(dy=dy)
            alone.backward()
        return alone.get(quantity)

    def _loss_slack(self, key: Key, env: Mapping[Key, Belief], made: Array) -> Array:
        t, _, quantity = key
        x = env[self.x_key(key)]
        top = 1 + np.abs(x.value).max()  # an exponential's relative error is its argument's absolute one
        slack = np.full_like(made, 4 * self.unit * top * (1 if quantity == "y" else 1 / len(x.value)))
        if x.slack.any():
            off = [np.abs(self.loss_of(t, moved)[quantity] - made) for moved in moves(Softmax(), x)]
            slack = slack + np.max(off, axis=0)
        return np.asarray(slack + 4 * self.unit * np.abs(made))

    def loss_of(self, t: int, x: Array) -> dict[str, Array]:
        """The mean loss and its gradient for these outputs."""
        alone, count = self.alone("loss"), len(x)
        alone.put(x=x, target=self.case.batches[t - 1].target, weight=np.full(count, 1 / count))
        alone.forward()
        alone.backward()
        return {"y": np.array(alone.get("y").mean()), "dx": alone.get("dx")}


def exact(array: Array) -> Belief:
    """An array that is known."""
    return Belief(array, np.zeros_like(array))


def sq(array: Array) -> Array:
    """Each number times itself."""
    return array * array


def count_of(index: Array) -> int:
    """The most terms that meet in one place."""
    return int(np.bincount(index[index >= 0]).max(initial=1))


def moves(layer: Any, x: Belief) -> Iterator[Array]:
    """The input moved as far as it may be off, in the directions that could change what the layer chooses."""
    yield x.value + x.slack
    if settled(layer, x):
        return
    yield x.value - x.slack
    if isinstance(layer, Pool):
        rows, columns = np.indices(x.value.shape[-2:])
        height, width = layer.window.size
        for u in range(height):
            for v in range(width):
                up = (rows % height == u) & (columns % width == v)
                yield x.value + np.where(up, x.slack, -x.slack)
    elif isinstance(layer, Softmax) and x.value.shape[1] <= MOST_SINGLE:
        for k in range(x.value.shape[1]):
            yield x.value + np.where(np.arange(x.value.shape[1]) == k, x.slack, -x.slack)
    elif not isinstance(layer, ReLU | LeakyReLU | Sigmoid | Tanh):
        for sign in signs(x.value.shape):
            yield x.value + sign * x.slack


def cancelled(layer: Layer, dy: Array) -> Array:
    """What a layer's slopes may lose where they are differences: 1 - y·y, y(1 - y) and dy - Σ y·dy, each of size 1."""
    if isinstance(layer, Softmax):
        return np.broadcast_to(np.abs(dy).max(axis=1, keepdims=True), dy.shape)
    return np.abs(dy) if isinstance(layer, Sigmoid | Tanh) else np.zeros(())


def settled(layer: Any, x: Belief) -> bool:
    """Whether a layer that only compares would choose the same wherever its input is, within its slack."""
    if isinstance(layer, ReLU | LeakyReLU):
        return bool(((np.abs(x.value) > x.slack) | (x.slack == 0)).all())
    if not isinstance(layer, MaxPool):
        return False
    maps = x.value.reshape(-1, x.value.shape[-2] * x.value.shape[-1])
    order = np.argsort(maps, axis=1)
    values, slacks = (np.take_along_axis(each.reshape(maps.shape), order, 1) for each in (x.value, x.slack))
    near = slacks[:, 1:] + slacks[:, :-1]
    return bool(((np.diff(values, axis=1) > near) | (near == 0)).all())


@functools.lru_cache(maxsize=32)
def signs(shape: tuple[int, ...]) -> list[Array]:
    """Patterns of signs, the same each time."""
    rng = np.random.default_rng(0)
    return [rng.choice([-1.0, 1.0], shape) for _ in range(SIGNS)]
