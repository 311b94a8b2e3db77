"""What a program does in one step after another, pass by pass.

A *pass* makes one array: an output, the loss, an error, the gradient of one weight, or a weight after an update. Its
key is (step, layer, quantity). Each is computed from whatever arrays it is given, so that a program can be judged by
its own numbers.

Over 300 lines, since what a pass reads and what it makes of that stand together.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from plaingrad.checking.case import Case
from plaingrad.checking.search.memo import Memo
from plaingrad.checking.search.normalised import Normalised, groups_of
from plaingrad.checking.search.products import Terms, terms_of
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.compiler.loops import Array
from plaingrad.textbook.optimisers import SGD

UPDATE = SGD().update
Key = tuple[int, str, str]  # step from 1, layer or "loss" or "input", quantity


@dataclass(frozen=True)
class Estimate:
    """An array as it should be, and about how far a right program's may be from it, number by number."""

    value: Array
    uncertainty: Array

    @cached_property
    def size(self) -> float:
        """The largest number."""
        return float(np.abs(self.value).max(initial=0))

    @cached_property
    def usual(self) -> float:
        """The median of the uncertainties but for those that are 0."""
        some = self.uncertainty[self.uncertainty > 0]
        return float(np.median(some)) if some.size else 0.0


Env = dict[Key, Estimate]
Way = Callable[[Any, Key, Mapping[Key, Estimate], Array], Array]
"""From the program, the pass, the arrays it may read and what it should make of them to what it makes."""


class Passes:
    """The passes of a case, in order, and what each should make."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.steps = case.net.steps
        self.names = list(self.steps)
        self.single_layers: dict[str, SingleLayer] = {}
        self.other: dict[str, Terms] = {}  # layers that the program makes of other terms, forward and back
        self.factors: dict[tuple[str, str], float] = {}  # by which it makes the numbers of a pass larger, in every step
        self.ways: dict[tuple[str, str], Way] = {}  # passes that it makes in a way of its own, in every step
        self.memo = Memo()
        self.given = {
            (0, name, weight): exact(w) for name, each in self.steps.items() for weight, w in each.arrays.items()
        }
        self.given |= {
            (0, name, own): exact(array) for name, each in self.steps.items() for own, array in each.state.items()
        }
        self.given |= {(t, "input", "y"): exact(batch.x) for t, batch in enumerate(case.batches, 1)}
        self.given |= {
            (t, name, "mask"): exact(mask)
            for t, batch in enumerate(case.batches, 1)
            for name, mask in batch.masks.items()
        }
        self.starts = {each.layer.skips(): name for name, each in self.steps.items() if each.layer.skips()}
        self.last = len(case.batches)
        if case.has_modes:
            self.given[self.last + 1, "input", "y"] = self.given[self.last, "input", "y"]
        self.keys = list(self._keys())
        self.place = {key: number for number, key in enumerate(self.keys)}

    def _keys(self) -> Iterator[Key]:
        for t in range(1, self.last + 1):
            for name in self.names:
                yield t, name, "y"
                for own in self.steps[name].state:
                    yield t, name, own
            yield t, "loss", "y"
            yield t, "loss", "dx"
            for name in reversed(self.names):
                if name in self.starts:
                    yield t, name, "dy"
                for weight in reversed(self.steps[name].weights):
                    yield t, name, "d" + weight
                yield t, name, "dx"
                if self.steps[name].layer.skips():
                    yield t, name, "dskip"
            for name in reversed(self.names):  # as their gradients come
                for weight in reversed(self.steps[name].weights):
                    yield t, name, weight
        for name in self.names if self.case.has_modes else ():  # as the network is then, trained
            yield self.last + 1, name, "y"

    def start(self) -> Env:
        """What is given: the batches and the first weights, which are exact."""
        return dict(self.given)

    def x_key(self, key: Key) -> Key:
        """Where the input of a layer comes from."""
        t, name, _ = key
        if name == "loss":
            return t, self.names[-1], "y"
        place = self.names.index(name)
        return t, self.names[place - 1] if place else "input", "y"

    def dy_key(self, key: Key) -> Key:
        """Where the error of a layer's output comes from; of one that went two ways it is a pass of its own."""
        t, name, _ = key
        return (t, name, "dy") if name in self.starts else self.next_key(key)

    def next_key(self, key: Key) -> Key:
        """Where the error comes from that the next layer sends back."""
        t, name, _ = key
        place = self.names.index(name)
        return t, self.names[place + 1] if place + 1 < len(self.names) else "loss", "dx"

    def weight_keys(self, key: Key) -> dict[str, Key]:
        """A layer's weights before the step."""
        t, name, _ = key
        return {} if name == "loss" else {weight: (t - 1, name, weight) for weight in self.steps[name].weights}

    def more_keys(self, key: Key) -> dict[str, Key]:
        """What else a layer reads: a mask, another layer's output, what is kept from the step before."""
        t, name, quantity = key
        if name == "loss":
            return {}
        layer, found = self.steps[name].layer, dict[str, Key]()
        if layer.dropped() is not None and t <= self.last:
            found["mask"] = t, name, "mask"
        if layer.skips() and quantity == "y":
            found["skip"] = t, str(layer.skips()), "y"
        if quantity in self.steps[name].state:
            found[quantity] = t - 1, name, quantity
        elif t > self.last:
            found |= {own: (t - 1, name, own) for own in self.steps[name].state}
        return found

    def read(self, key: Key, env: Mapping[Key, Estimate]) -> dict[str, Array]:
        """What a layer reads besides its input, by name: its weights, as far as they are known, and more."""
        keys = {name: each for name, each in self.weight_keys(key).items() if each in env} | self.more_keys(key)
        return {name: env[each].value for name, each in keys.items()}

    def needs(self, key: Key) -> tuple[Key, ...]:
        """The arrays a pass reads."""
        t, name, quantity = key
        if name == "loss":
            return (self.x_key(key),)
        if quantity == "dy":
            return self.next_key(key), (t, self.starts[name], "dskip")
        weights, more = self.weight_keys(key), self.more_keys(key).values()
        if quantity in weights:
            return weights[quantity], (t, name, "d" + quantity)
        if quantity == "y":
            return self.x_key(key), *weights.values(), *more
        if quantity in self.steps[name].state:
            return self.x_key(key), *more
        if self.terms(name):
            if quantity == "dx":
                return self.dy_key(key), *weights.values()
            return self.dy_key(key), self.x_key(key)
        return self.dy_key(key), self.x_key(key), *weights.values(), *more

    def terms(self, name: str) -> Terms | None:
        """The terms of a layer, where its outputs are sums of products."""
        if name == "loss":
            return None
        if name in self.other:
            return self.other[name]
        step = self.steps[name]
        is_alone = step.layer.skips() is None and step.layer.dropped() is None and not step.state
        return terms_of(step.layer, step.x) if is_alone else None

    def single_layer(self, name: str) -> SingleLayer:
        """A layer, or the loss, by itself."""
        if name not in self.single_layers:
            owner = self.case.loss if name == "loss" else self.steps[name].layer
            input = self.case.net.output if name == "loss" else self.steps[name].x
            start = None if name == "loss" else self.steps[name].layer.skips()
            skip = self.steps[start].y if start else None
            self.single_layers[name] = SingleLayer(owner, input, self.case.images, skip)
        return self.single_layers[name]

    def value(self, key: Key, env: Mapping[Key, Estimate]) -> Array:
        """What a pass should make of the arrays in `env`, in the ways of this program."""
        made, way = self._plain(key, env), self.ways.get(key[1:])
        factor = 1.0 if self.is_update(key) else self.factors.get(key[1:], 1.0)
        if factor != 1:
            plain = made
            made = self.memo.of((key, "times", factor), [plain], lambda: np.asarray(plain * factor))
        return made if way is None else way(self, key, env, made)

    def _plain(self, key: Key, env: Mapping[Key, Estimate]) -> Array:
        """The same without a factor or a way of the program's own."""
        made_of = [*(env[need].value for need in self.needs(key)), self.other.get(key[1])]
        made: Array = self.memo.of((key, self.rate(key)), made_of, lambda: self._value(key, env))
        return made

    def is_same_code(self, key: Key, other: Key) -> bool:
        """Whether two passes are one pass in two steps: a layer that does something else once trained has two."""
        return key[1:] == other[1:] and self.is_trained(key) == self.is_trained(other)

    def is_trained(self, key: Key) -> bool:
        """Whether a pass is that of a layer once it is trained, which then does something else."""
        return key[0] > self.last and key[1] != "loss" and self.steps[key[1]].layer.infer is not None

    def is_update(self, key: Key) -> bool:
        """Whether a pass makes a weight after a step."""
        return key[1] != "loss" and key[2] in self.steps[key[1]].weights

    def rate(self, key: Key) -> float:
        """The rate of an update; the case's for any other pass."""
        return self.case.rate * (self.factors.get(key[1:], 1.0) if self.is_update(key) else 1.0)

    def _value(self, key: Key, env: Mapping[Key, Estimate]) -> Array:
        t, name, quantity = key
        if name == "loss":
            return self.loss_of(t, env[self.x_key(key)].value)[quantity]
        if quantity == "dy":
            one, other = (env[need].value for need in self.needs(key))
            return np.asarray(one + other)
        w = self.read(key, env)
        if self.is_update(key):
            return stepped(w[quantity], env[t, name, "d" + quantity].value, self.rate(key))
        terms = self.terms(name)
        if quantity == "dx" and terms:
            return terms.error(env[self.dy_key(key)].value, w)
        x = env[self.x_key(key)].value
        groups = None if terms else groups_of(self.steps[name].layer, x.shape[1])
        if quantity == "y" and groups and not self.is_trained(key):
            return Normalised(groups, x, w, self.steps[name].layer.epsilon).y  # type: ignore[attr-defined]
        if quantity == "y":
            return terms.forward(x, w) if terms else self.loop(name, "y", x, w, None, t > self.last)
        if quantity in self.steps[name].state:
            return self.single_layer(name).settled(quantity, x, w)
        dy = env[self.dy_key(key)].value
        if quantity in ("dx", "dskip") or groups:
            return self.single_layer(name).slopes(x, w, quantity).of(dy)
        if terms is None:
            return self.loop(name, quantity, x, w, dy)
        return terms.of(quantity[1:]).slope(quantity[1:], dy, x)

    def dx_of_output(self, key: Key, env: Mapping[Key, Estimate]) -> Array:
        """dx of a layer by its own text, where its output is the one in `env` and not what its input makes."""
        t, name, _ = key
        single = self.single_layer(name)
        single.run_on(env[self.x_key(key)].value, self.read(key, env))
        single.put(y=env[t, name, "y"].value, dy=env[self.dy_key(key)].value)
        single.backward()
        return single.get("dx")

    def pulled(self, key: Key, need: Key, env: Mapping[Key, Estimate], weighing: Array) -> Array | None:
        """How much `weighing` · (what a pass makes) changes with each number of one of the arrays it reads.

        None where it does not follow in proportion, as from the way forward.
        """
        t, name, quantity = key
        if need == (t, name, "d" + quantity) and self.is_update(key):
            return np.asarray(-self.rate(key) * weighing)
        if quantity == "dy":
            return weighing
        w = self.read(key, env)
        if name == "loss" or quantity[0] != "d" or need != self.dy_key(key) or key[1:] in self.ways:
            return None
        weighing = weighing * self.factors.get(key[1:], 1.0)
        terms, x = self.terms(name), env[self.x_key(key)].value
        if not terms:
            return self.single_layer(name).slopes(x, w, quantity).turned(weighing)
        if quantity == "dx":
            return terms.only(terms.inner >= 0).forward(weighing, w)
        others = {each: np.zeros_like(array) for each, array in w.items()}
        return terms.of(quantity[1:]).forward(x, others | {quantity[1:]: weighing})

    def work(self, key: Key) -> int:
        """About how many numbers a pass handles."""
        name = key[1]
        if name == "loss":
            return 100 * self.case.images
        terms, numbers = self.terms(name), int(np.prod(self.steps[name].x))
        return self.case.images * (len(terms.out) if terms else 4 * numbers)

    def loop(
        self, name: str, quantity: str, x: Array, w: dict[str, Array], dy: Array | None, is_trained: bool = False
    ) -> Array:
        """An array of a layer by its own texts; y as it is once the layer `is_trained`."""
        single = self.single_layer(name)
        if is_trained:
            return single.inferred(x, w)
        single.run_on(x, w)
        if dy is not None:
            single.put(dy=dy)
            single.backward()
        return single.get(quantity)

    def loss_of(self, t: int, x: Array) -> dict[str, Array]:
        """The mean loss and its gradient for these outputs."""
        single = self.single_layer("loss")
        count = single.aim(x, self.case.batches[t - 1].target)
        single.forward()
        single.backward()
        return {"y": np.array(single.get("y").sum() / count), "dx": single.get("dx")}


def stepped(w: Array, dw: Array, rate: float) -> Array:
    """A weight after a plain step, by the library's own text, which runs for one place, a whole array."""
    weights, slopes, velocities = np.empty((3, 1), object)
    weights[0], slopes[0], velocities[0] = w.copy(), dw, 0.0
    UPDATE(weights, slopes, velocities, rate, 0.0, 0.0)
    made: Array = weights[0]
    return made


def exact(array: Array) -> Estimate:
    """An array that is known."""
    return Estimate(array, np.zeros_like(array))
