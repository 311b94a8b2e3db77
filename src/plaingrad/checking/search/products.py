"""The terms of a layer, found by running its forward text on numbers that remember what was multiplied.

Where every output is a sum of products of a weight and an input, as in convolutions, dense layers and mean pools, the
list of these products is the whole layer: y = Σ w·x, and turned round dx = Σ w·dy and dw = Σ dy·x. A mistake is then a
rule over terms: which are left out, or which number is read instead.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Layer, Shape

NONE = -1  # in place of a weight or an input where a term has none


class Sum:
    """A number that remembers what it is: a product (weight, input), or the sum of two such, times a factor."""

    __slots__ = ("factor", "left", "right")

    def __init__(self, left: Any, right: Any, factor: float = 1.0) -> None:
        self.left, self.right, self.factor = left, right, factor

    def __add__(self, other: Any) -> "Sum":
        if other.__class__ is Sum:
            return Sum(self, other)
        return self if other == 0 else NotImplemented

    def __neg__(self) -> "Sum":
        return self * -1.0

    def __sub__(self, other: Any) -> "Sum":
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> "Sum":
        return self.__neg__().__add__(other)

    def __mul__(self, other: Any) -> "Sum":
        if other.__class__ is not Sum:
            return Sum(self, None, other)
        try:
            if self.right < 0 <= self.left and other.left < 0 <= other.right:
                return Sum(self.left, other.right)
            if self.left < 0 <= self.right and other.right < 0 <= other.left:
                return Sum(other.left, self.right)
        except TypeError:  # one of them is a sum already
            pass
        raise NotBilinear

    def __truediv__(self, other: Any) -> "Sum":
        return self.__mul__(1 / other)

    __radd__, __rmul__ = __add__, __mul__

    def terms(self) -> list[tuple[int, int, float]]:
        """(weight, input, factor) of each product, in the order added."""
        found, left = [], [(self, 1.0)]
        while left:
            number, factor = left.pop()
            if number.left.__class__ is not Sum:
                found.append((number.left, number.right, factor * number.factor))
                continue
            if number.right is not None:
                left.append((number.right, factor))
            left.append((number.left, factor * number.factor))
        return found


class NotBilinear(TypeError):  # noqa: N818 (an answer, not an error)
    """An output is no sum of products of a weight and an input."""


@dataclass(frozen=True)
class Terms:
    """Products by their places in the flat arrays of one image: y[out] += factor · w[weight] · x[inner].

    `weight` counts through all of the layer's trained arrays, laid end to end.
    """

    out: Array
    weight: Array
    inner: Array
    factor: Array
    y: Shape
    x: Shape
    weights: dict[str, Shape]
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)  # of its places

    def only(self, kept: Array) -> "Terms":
        """The terms of which `kept` is true."""
        return replace(
            self, out=self.out[kept], weight=self.weight[kept], inner=self.inner[kept], factor=self.factor[kept]
        )

    def starts(self) -> dict[str, int]:
        """Where each trained array begins."""
        starts, start = {}, 0
        for name, shape in self.weights.items():
            starts[name] = start
            start += int(np.prod(shape))
        return starts

    def _shape(self, which: str) -> Shape:
        return {"out": self.y, "inner": self.x, "weight": next(iter(self.weights.values()), ())}[which]

    def place(self, which: str) -> tuple[Array, ...]:
        """The indices of each term's `out`, `inner`, or (in the first trained array) `weight`; 0 where it has none."""
        shape, index = self._shape(which), getattr(self, which)
        return np.unravel_index(np.where(index < int(np.prod(shape)), np.maximum(index, 0), 0), shape)

    def at(self, which: str, places: tuple[Array, ...]) -> "Terms":
        """The terms with other places; those that lie beyond the array are left out, those that had none stay."""
        shape, index = self._shape(which), getattr(self, which)
        has = (index >= 0) & (index < int(np.prod(shape)))
        inside = np.ones(len(index), bool)
        for place, size in zip(places, shape, strict=True):
            inside &= (place >= 0) & (place < size)
        moved = np.ravel_multi_index(tuple(np.where(inside, place, 0) for place in places), shape)
        other: dict[str, Any] = {which: np.where(has, moved, index)}
        return replace(self, **other).only(inside | ~has)

    @functools.cached_property
    def pairs(self) -> tuple[Array, Array, Array, float]:
        """Each map of outputs with a map of inputs it reads: both, a weight between them, and the size of a factor."""
        first = self.only(self.inner >= 0)
        k, c = first.place("out")[0], first.place("inner")[0]
        pair, found = np.unique(k * self.x[0] + c, return_index=True)
        return pair // self.x[0], pair % self.x[0], first.weight[found], float(np.median(np.abs(first.factor)))

    def times(self, factor: Any) -> "Terms":
        """Each term times a number."""
        return replace(self, factor=self.factor * factor)

    @functools.cached_property
    def sized(self) -> "Terms":
        """Each term times the size of its factor in place of the factor."""
        return self if (self.factor >= 0).all() else self._times_kept(np.abs(self.factor))

    @functools.cached_property
    def squared(self) -> "Terms":
        """Each term times the square of its factor in place of the factor."""
        return self if (self.factor == 1).all() else self._times_kept(np.square(self.factor))

    def _times_kept(self, factor: Array) -> "Terms":
        """The same places with other factors; what is known of the places stays."""
        made = replace(self, factor=factor)
        made._known.update({which: each for which, each in self._known.items() if isinstance(which, str)})
        return made

    def last(self, of: str, key: Array) -> "Terms":
        """For each place of `of` only the terms whose key is the largest there."""
        place = getattr(self, of)
        largest = np.full(int(place.max()) + 2, key.min())  # the last is that of terms without a place, -1
        np.maximum.at(largest, place, key)
        return self.only(key == largest[place])

    def of(self, name: str) -> "Terms":
        """The terms of one trained array, found once."""
        if ("of", name) not in self._known:
            start = self.starts()[name]
            kept = (self.weight >= start) & (self.weight < start + int(np.prod(self.weights[name])))
            self._known["of", name] = self.only(kept)
        found: Terms = self._known["of", name]
        return found

    def forward(self, x: Array, w: dict[str, Array], no_weight: float = 1.0, no_input: float = 1.0) -> Array:
        """y (image, …) from x (image, …). What stands in place of a weight or an input that a term has not."""
        weights = self._weights(w, no_weight)
        return self._sums("out", self.y, (_read(row, self.inner, no_input) * weights for row in _rows(x)))

    def error(self, dy: Array, w: dict[str, Array], no_weight: float = 1.0) -> Array:
        """dx (image, …) from dy (image, …)."""
        weights = self._weights(w, no_weight)
        return self._sums("inner", self.x, (_read(row, self.out, 0.0) * weights for row in _rows(dy)))

    def slope(self, name: str, dy: Array, x: Array, no_input: float = 1.0) -> Array:
        """The gradient of one trained array, summed over the images."""
        start, shape = self.starts()[name], self.weights[name]
        end = start + int(np.prod(shape))
        products = np.zeros(len(self.out))
        for error, row in zip(_rows(dy), _rows(x), strict=True):
            products += _read(error, self.out, 0.0) * _read(row, self.inner, no_input)
        return self._summed("weight", end, products * self.factor)[start:].reshape(shape)

    def most(self, which: str, name: str | None = None) -> int:
        """The most terms that meet in one place: of the trained array of a name, where one is given."""
        index, first = self._from(which)
        counts = np.bincount(index)[first:]
        if name is not None:
            start = self.starts()[name]
            counts = counts[start : start + int(np.prod(self.weights[name]))]
        return int(counts.max(initial=1))

    def _from(self, which: str) -> tuple[Array, int]:
        """The places as numbers that are not negative, and which is the first one's: no place at all is before it."""
        if which not in self._known:
            index = getattr(self, which)
            first = int(index.min(initial=0) < 0)
            self._known[which] = index + first, first
        found: tuple[Array, int] = self._known[which]
        return found

    def _weights(self, w: dict[str, Array], missing: float) -> Array:
        """Each term's weight times its factor."""
        return _read(_flat(w), self.weight, missing) * self.factor

    def _sums(self, which: str, shape: Shape, products: Iterator[Array]) -> Array:
        """The products of each image added up in their places: (image, …)."""
        size = int(np.prod(shape))
        return np.array([self._summed(which, size, each) for each in products]).reshape(-1, *shape)

    def _summed(self, which: str, size: int, products: Array) -> Array:
        """Products added up in the first `size` places, in their order; those without a place are not."""
        index, first = self._from(which)
        if which == "out" and not first and len(index):  # as a text lays them: those of one place come together
            begins = self._begins()
            if begins is not None:
                made = np.zeros(max(size, int(index[-1]) + 1))
                made[index[begins]] = np.add.reduceat(products, begins)
                return made[:size]
        return np.bincount(index, products, size + first)[first : size + first]

    def _begins(self) -> Array | None:
        """Where the terms of each output begin; None where those of one are not together."""
        if "begins" not in self._known:
            further = np.diff(self.out, prepend=NONE)
            self._known["begins"] = np.flatnonzero(further) if (further >= 0).all() else None
        found: Array | None = self._known["begins"]
        return found


def _read(numbers: Array, index: Array, missing: float) -> Array:
    """The numbers at these places, `missing` where there is none."""
    return np.append(numbers, missing).take(index, mode="wrap")


def _rows(array: Array) -> Array:
    """An array (image, …) as (image, place)."""
    return array.reshape(len(array), -1)


def _flat(w: dict[str, Array]) -> Array:
    return np.concatenate([array.reshape(-1) for array in w.values()]) if w else np.zeros(0)


@functools.lru_cache(maxsize=64)
def terms_of(layer: Layer, input: Shape) -> Terms | None:
    """The terms of a layer; None for one whose outputs are no such sums."""
    net = Network(layer, input=input, dtype=object)
    run = Run(net, 1, backward=False)
    (step,) = net.steps.values()
    start = 0
    for array in step.arrays.values():
        laid(array, lambda place, start=start: Sum(start + place, NONE))
        start += array.size
    laid(run.x, lambda place: Sum(NONE, place))
    try:
        run.forward()
    except (TypeError, AttributeError):
        return None
    others = [each for each in run.y.flat if not isinstance(each, Sum)]
    if len(others) == run.y.size or any(each != 0 for each in others):  # 0: a window that is all padding
        return None
    return Terms(*products(run.y), step.y, step.x, {name: array.shape for name, array in step.arrays.items()})


def products(numbers: Array) -> tuple[Array, Array, Array, Array]:
    """The place, weight, input and factor of each product that an array of sums is made of."""
    sums = [each.terms() if isinstance(each, Sum) else [] for each in numbers.flat]
    every = np.array([term for terms in sums for term in terms], float).reshape(-1, 3)
    weight, inner = every[:, 0].astype(np.intp), every[:, 1].astype(np.intp)
    return np.repeat(np.arange(len(sums)), [len(terms) for terms in sums]), weight, inner, every[:, 2]


def laid(array: Array, made: Any) -> None:
    """Fill an array with what is made of each place."""
    flat = np.empty(array.size, object)
    for place in range(array.size):
        flat[place] = made(place)
    array[...] = flat.reshape(array.shape)
