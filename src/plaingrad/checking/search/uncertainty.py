"""How far rounding may take each number that a program makes.

`uncertainty` is a standard deviation. Roundings are taken as independent (Higham and Mary, A New Approach to
Probabilistic Rounding Error Analysis, 2019): a sum of n products is off by about u·√n·Σ|products|, and what its factors
are off adds up in squares. Where a layer compares, its texts run again on inputs moved as far as they may be off: a
number that then comes out otherwise may be either.
"""

import functools
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from plaingrad.checking.case import Case
from plaingrad.checking.search.normalised import Normalised, NormalisedSlopes, groups_of
from plaingrad.checking.search.passes import Estimate, Key, Passes
from plaingrad.checking.search.precision import FLUSHED, SINGLE
from plaingrad.checking.search.single_layer import NUMBER_BY_NUMBER, SMOOTH
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import ELU, GELU, Add, LeakyReLU, MaxPool, ReLU, Sigmoid, SiLU, Softmax, Tanh, TanhGELU
from plaingrad.textbook.layers.pool import Pool

CHOICE = 4  # uncertainties by which an input may be off where a layer chooses
SIGNS = 6  # random patterns of signs where a layer is unknown
MOST_NEAR = 4  # numbers of nearly one size that are looked at one by one
MOST_SINGLE = 12  # outputs of a softmax that are moved one by one
sq = np.square


class Program(Passes):
    """The passes of a case in an arithmetic. `unit` is half the distance of two of its numbers at 1."""

    def __init__(self, case: Case, unit: float) -> None:
        super().__init__(case)
        self.unit = unit

    def like(self, unit: float) -> "Program":
        """The same passes, none made in a way of its own, in this arithmetic."""
        other = Program(self.case, unit)
        other.single_layers, other.memo, other.given = self.single_layers, self.memo, self.given
        return other

    def evaluate(self, key: Key, env: Mapping[Key, Estimate]) -> Estimate:
        """What a pass should make of the arrays in `env`, and about how far a right program's may be from it."""
        if key[1:] in self.ways:
            return self._evaluate(key, env)
        made_of = [*(env[need] for need in self.needs(key)), self.other.get(key[1])]
        kept: Estimate = self.memo.of(
            (key, self.unit, self.factors.get(key[1:])), made_of, lambda: self._evaluate(key, env)
        )
        return kept

    def known(self, key: Key, env: Mapping[Key, Estimate]) -> Estimate:
        """An array, made of what is in `env` where it is not there itself."""
        if key in env:
            return env[key]
        needed = {need: self.known(need, env) for need in self.needs(key)}
        return self.evaluate(key, ChainMap(needed, dict(env)))

    def _evaluate(self, key: Key, env: Mapping[Key, Estimate]) -> Estimate:
        made, plain = self.value(key, env), self._plain(key, env)
        with np.errstate(all="ignore"):
            uncertainty = self._uncertainty(key, env, plain)
        if key[1:] in self.factors and not self.is_update(key):
            uncertainty = uncertainty * abs(self.factors[key[1:]])
        if key[1:] in self.ways:  # what is made otherwise may be off as far as any other number, by its roundings
            rounded = uncertainty
            if key[2] == "dx" and key[1] != "loss" and isinstance(self.steps[key[1]].layer, MaxPool):
                rounded = self._rounded(key, env, plain, env[self.dy_key(key)])  # without what it may choose
            most = rounded.max(initial=0)
            if key[1] == "loss":  # whose numbers are of any size: -1 / y of a small y, beside those of large ones
                most = np.minimum(most, np.abs(made) * (rounded[plain != 0] / np.abs(plain[plain != 0])).max(initial=0))
            uncertainty = np.where(made != plain, np.maximum(uncertainty, most), uncertainty)
        return Estimate(made, uncertainty)

    def _uncertainty(self, key: Key, env: Mapping[Key, Estimate], made: Array) -> Array:
        _, name, quantity = key
        if name == "loss":
            return self._loss_uncertainty(key, env, made)
        if self.is_update(key):
            w, dw = (env[each] for each in self.needs(key))
            own = self.unit * (np.abs(w.value) + np.abs(self.rate(key) * dw.value))
            return np.asarray(w.uncertainty + abs(self.rate(key)) * dw.uncertainty + own)
        is_sum = quantity != "dy" and self.terms(name) is not None
        return self._summed(key, env) if is_sum else self._other(key, env, made)

    def _summed(self, key: Key, env: Mapping[Key, Estimate]) -> Array:
        """The uncertainty of a pass of a layer whose outputs are sums of products."""
        _, name, quantity = key
        terms = self.terms(name)
        assert terms is not None
        if quantity not in ("y", "dx"):
            terms = terms.of(quantity[1:])
        estimates = {weight: env[each] for weight, each in self.weight_keys(key).items() if each in env}
        w, wide = ({k: getattr(each, part) for k, each in estimates.items()} for part in ("value", "uncertainty"))
        sizes, squares, wide = ({k: f(v) for k, v in each.items()} for f, each in ((np.abs, w), (sq, w), (sq, wide)))
        sized, squared = terms.sized, terms.squared
        moved: list[tuple[Any, Callable[[], Array]]]
        if quantity == "y":
            x = env[self.x_key(key)]
            size, count = sized.forward(np.abs(x.value), sizes), terms.most("out")
            moved = [
                (x.uncertainty.any(), lambda: squared.forward(sq(x.uncertainty), squares, no_input=0)),
                (any(each.any() for each in wide.values()), lambda: squared.forward(sq(x.value), wide, no_weight=0)),
            ]
        elif quantity == "dx":
            dy = env[self.dy_key(key)]
            size, count = sized.error(np.abs(dy.value), sizes), terms.most("inner")
            moved = [
                (dy.uncertainty.any(), lambda: squared.error(sq(dy.uncertainty), squares)),
                (any(each.any() for each in wide.values()), lambda: squared.error(sq(dy.value), wide, no_weight=0)),
            ]
        else:
            dy, x, weight = env[self.dy_key(key)], env[self.x_key(key)], quantity[1:]
            size = sized.slope(weight, np.abs(dy.value), np.abs(x.value))
            count = self.case.images * terms.most("weight", weight)
            moved = [
                (dy.uncertainty.any(), lambda: squared.slope(weight, sq(dy.uncertainty), sq(x.value))),
                (x.uncertainty.any(), lambda: squared.slope(weight, sq(dy.value), sq(x.uncertainty), 0)),
            ]
        off = np.zeros_like(size)
        for is_any, made in moved:
            off = off + made() if is_any else off
        return self._sum(size, off, count)

    def _sum(self, size: Array, moved: Array, count: int) -> Array:
        made = np.sqrt(moved + sq(self.unit * (count + 2) ** 0.5 * size))
        # Squares of numbers beyond 1e154 overflow; roundings that all go one way bound what those of a sum come to.
        return np.asarray(np.where(np.isfinite(made), made, self.unit * (count + 2) * size))

    def _other(self, key: Key, env: Mapping[Key, Estimate], made: Array) -> Array:
        """The uncertainty of a pass of any other layer: by its texts on inputs that are a little off."""
        _, name, quantity = key
        if quantity == "dy":
            one, other = (env[need] for need in self.needs(key))
            return np.asarray(one.uncertainty + other.uncertainty + self.unit * (np.abs(one.value) + np.abs(made)))
        layer, x = self.steps[name].layer, env[self.x_key(key)]
        back = quantity[0] == "d"
        dy = env[self.dy_key(key)] if back else None
        uncertainty = np.zeros_like(made)
        wide = Estimate(x.value, CHOICE * x.uncertainty) if back else x
        if x.uncertainty.any() and not (back and settled(layer, wide)):
            for moved in moves(layer, wide):
                apart = self._value(key, {**env, self.x_key(key): Estimate(moved, x.uncertainty)})
                uncertainty = np.maximum(uncertainty, np.abs(apart - made))
        others = [*self.weight_keys(key).values(), *self.more_keys(key).values()]
        for each in others if quantity not in self.steps[name].state else self.more_keys(key).values():
            if each in env and env[each].uncertainty.any():
                moved_on = Estimate(env[each].value + env[each].uncertainty, env[each].uncertainty)
                uncertainty = uncertainty + np.abs(self._value(key, {**env, each: moved_on}) - made)
        return np.asarray(uncertainty + self._rounded(key, env, made, dy))

    def _rounded(self, key: Key, env: Mapping[Key, Estimate], made: Array, dy: Estimate | None) -> Array:
        """How far its own roundings take what such a layer makes, and what its error is off."""
        _, name, quantity = key
        layer, x = self.steps[name].layer, env[self.x_key(key)].value
        own, w = self.unit * self.roundings(layer), self.read(key, env)
        if dy is not None:
            slopes = self.single_layer(name).slopes(x, w, quantity)
            if isinstance(slopes, NormalisedSlopes):
                return slopes.spread(dy.uncertainty) + slopes.rounded(dy.value, self.unit)
            lost = self._lost_by_softmax(name, dy.value, x) if isinstance(layer, Softmax) else 0.0
            return slopes.spread(dy.uncertainty) + own * (slopes.size(dy.value) + cancelled(layer, dy.value, x)) + lost
        groups = groups_of(layer, x.shape[1])
        if groups is None:
            return np.asarray(own * (np.abs(made) + differing(layer, x, made)))
        if quantity in self.steps[name].state:  # means of numbers, or of squares, at most so large
            count = np.prod(x.shape) / x.shape[1]
            return np.asarray(self.unit * (count + 8) ** 0.5 * (np.abs(made) + 1) * (1 + np.square(x).max()))
        normalised = Normalised(groups, x, {"b": w["b"], "w": w["w"]}, layer.epsilon)  # type: ignore[attr-defined]
        if "running_mean" in w:  # by what was kept, which may be farther off its mean
            size = np.abs(x).max() + np.abs(w["running_mean"]).max()
            size = size / np.sqrt(w["running_variance"].min() + layer.epsilon)  # type: ignore[attr-defined]
            return np.asarray(own * (np.abs(made) + np.abs(w["w"]).max() * size + np.abs(w["b"]).max()))
        off = np.abs(normalised.w) * normalised.off(self.unit) + own * np.abs(normalised.b)
        return normalised.back(off) + own * np.abs(made)

    def _lost_by_softmax(self, name: str, dy: Array, x: Array) -> Array:
        """What dy - Σ y·dy may lose, times y, which may be as small as dy is large: -1 / y for a cross-entropy.

        A product of two y that is less than any float32 is 0, however large what it is multiplied by.
        """
        y = self.loop(name, "y", x, {}, None)
        own = self.unit * self.roundings(self.steps[name].layer)
        flushed = FLUSHED * top(dy) if self.unit == SINGLE else 0.0
        return np.asarray(own * y * (np.abs(dy) + (y * np.abs(dy)).sum(axis=1, keepdims=True)) * top(x) + flushed)

    def roundings(self, layer: Layer) -> float:
        """How many roundings a number of such a layer sees."""
        return 4 + (float(np.prod(layer.window.size)) ** 0.5 if isinstance(layer, Pool) else 0)

    def _loss_uncertainty(self, key: Key, env: Mapping[Key, Estimate], made: Array) -> Array:
        t, _, quantity = key
        x = env[self.x_key(key)]
        size = 4 * self.unit * top(x.value).max()
        uncertainty = np.full_like(made, size * (1 if quantity == "y" else 1 / len(x.value)))
        if x.uncertainty.any():
            off = [np.abs(self.loss_of(t, moved)[quantity] - made) for moved in moves(Softmax(), x)]
            uncertainty = uncertainty + np.max(off, axis=0)
        return np.asarray(uncertainty + 4 * self.unit * np.abs(made))


def moves(layer: Any, x: Estimate) -> Iterator[Array]:
    """The input moved as far as it may be off, in the directions that could change what the layer chooses."""
    yield x.value + x.uncertainty
    if settled(layer, x):
        return
    yield x.value - x.uncertainty
    if isinstance(layer, Pool):
        rows, columns = np.indices(x.value.shape[-2:])
        height, width = layer.window.reach
        for u in range(height):
            for v in range(width):
                up = (rows % height == u) & (columns % width == v)
                yield x.value + np.where(up, x.uncertainty, -x.uncertainty)
    elif isinstance(layer, Softmax) and x.value.shape[1] <= MOST_SINGLE:
        for k in range(x.value.shape[1]):
            yield x.value + np.where(np.arange(x.value.shape[1]) == k, x.uncertainty, -x.uncertainty)
    elif not isinstance(layer, NUMBER_BY_NUMBER):
        for sign in signs(x.value.shape):
            yield x.value + sign * x.uncertainty


def cancelled(layer: Layer, dy: Array, x: Array) -> Array:
    """What a layer's slopes may lose where they are differences: 1 - y·y and y(1 - y), each of size 1."""
    if isinstance(layer, SMOOTH):  # sums of numbers of size 1 and x
        return np.asarray(np.abs(dy) * (1 + np.abs(x)))
    return np.abs(dy) if isinstance(layer, Sigmoid | Tanh) else np.zeros(())


def differing(layer: Layer, x: Array, made: Array) -> Array:
    """What an output may lose where it is made of differences: e^x - 1, half of 1 + erf or 1 + tanh, x + skip.

    A sigmoid may be made of a tanh, a tanh of exponentials or a sigmoid, all of which are of size 1.
    """
    if isinstance(layer, Sigmoid | Tanh):
        return np.ones_like(x)
    if isinstance(layer, ELU):
        return np.full_like(x, layer.slope)
    if isinstance(layer, Softmax):
        return np.asarray(made * top(x))
    return np.abs(x) if isinstance(layer, Add | SiLU | GELU | TanhGELU) else np.zeros(())


def top(x: Array) -> Array:
    """The largest score of each image, and 1: an exponential's relative error is its argument's absolute one."""
    return np.asarray(1 + np.abs(x).max(axis=1, keepdims=True))


def settled(layer: Any, x: Estimate) -> bool:
    """Whether a layer that only compares would choose the same wherever its input is, within its uncertainty."""
    if isinstance(layer, ReLU | LeakyReLU):
        return bool(((np.abs(x.value) > x.uncertainty) | (x.uncertainty == 0)).all())
    if not isinstance(layer, MaxPool):
        return False
    maps = x.value.reshape(-1, x.value.shape[-2] * x.value.shape[-1])
    order = np.argsort(maps, axis=1)
    values, uncertainties = (
        np.take_along_axis(each.reshape(maps.shape), order, 1) for each in (x.value, x.uncertainty)
    )
    room = uncertainties[:, 1:] + uncertainties[:, :-1]
    near = (np.diff(values, axis=1) <= room) & (room > 0)
    rows, columns = np.divmod(order, x.value.shape[-1])
    met = near
    for distance in range(1, MOST_NEAR + 1):  # numbers that are near, and all those between them in size
        if not met.any():
            return True
        high, wide = (np.abs(each[:, distance:] - each[:, :-distance]) for each in (rows, columns))
        if (met & (high < layer.window.reach[0]) & (wide < layer.window.reach[1])).any():
            return False
        met = met[:, :-1] & near[:, distance:]
    return not met.any()


@functools.lru_cache(maxsize=32)
def signs(shape: tuple[int, ...]) -> list[Array]:
    """Patterns of signs, the same each time."""
    rng = np.random.default_rng(0)
    return [rng.choice([-1.0, 1.0], shape) for _ in range(SIGNS)]
