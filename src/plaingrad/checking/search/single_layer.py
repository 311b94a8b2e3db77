"""One layer or loss by itself, its texts run as Python, also with a piece of them changed."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plaingrad.checking.edits.lines import lines_of, settings_of
from plaingrad.checking.edits.stepped import every_at_once
from plaingrad.checking.edits.uses import Kept
from plaingrad.checking.search.normalised import Normalised, NormalisedSlopes, groups_of
from plaingrad.checking.search.products import NONE, Sum, Terms, laid, products
from plaingrad.compiler.loops import Array
from plaingrad.network.network import alone
from plaingrad.network.run import Run
from plaingrad.schedule.calls import text_calls
from plaingrad.schedule.fast import Task
from plaingrad.schedule.open import axes_of
from plaingrad.schedule.tree import fills
from plaingrad.textbook.layer import Layer, Shape, shares_of
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    Dropout,
    Flatten,
    LeakyReLU,
    MaxPool,
    ReLU,
    Sigmoid,
    SiLU,
    Tanh,
    TanhGELU,
)
from plaingrad.textbook.losses import Loss
from plaingrad.textbook.text import Text
from plaingrad.textbook.window import Window

Changes = tuple[tuple[str, str], ...]
SMOOTH = (ELU, SiLU, GELU, TanhGELU)
NUMBER_BY_NUMBER = (ReLU, LeakyReLU, Sigmoid, Tanh, Dropout, *SMOOTH)
"""Layers that make each number of one number."""
MOST_SLOPES = 16
MANY = 2000  # numbers in an array: with fewer, one after the other is as quick


@dataclass(frozen=True)
class Slopes:
    """What a layer's dx, or another array it sends back, is made of for one input.

    Terms of dy that have no weight, all images laid end to end.
    """

    terms: Terms

    def of(self, dy: Array) -> Array:
        """What it makes of an error."""
        return np.asarray(self.terms.forward(dy[None], {})[0])

    def spread(self, uncertainty: Array) -> Array:
        """How far it is off where dy is off by so much."""
        return np.asarray(np.sqrt(self.terms.squared.forward(uncertainty[None] ** 2, {})[0]))

    def size(self, dy: Array) -> Array:
        """The sum of sizes of what it adds up."""
        return np.asarray(self.terms.sized.forward(np.abs(dy)[None], {})[0])

    def turned(self, weighing: Array) -> Array:
        """How much `weighing` · what it makes changes with each number of dy."""
        return np.asarray(self.terms.error(weighing[None], {})[0])


@dataclass(frozen=True)
class Remembered(Window):
    """A window that looks only once where it lies: a text asks anew for every image and channel."""

    known: dict[tuple[int, int], list[tuple[int, int, int, int]]] = field(default_factory=dict, compare=False)

    def __call__(self, i: int, j: int) -> Iterator[tuple[int, int, int, int]]:
        """Window (i, j), as it was laid the first time."""
        if (i, j) not in self.known:
            self.known[i, j] = list(super().__call__(i, j))
        return iter(self.known[i, j])


@functools.lru_cache(maxsize=64)
def remembered(window: Window) -> Remembered:
    """The same window, with a memory."""
    return Remembered(**vars(window))


class SingleLayer:
    """A layer, or a loss, for `count` images: its arrays (image, …) by name, and its texts run on them as Python.

    `skip` is the shape of the output of an earlier layer, where it reads one.
    """

    def __init__(self, owner: Layer | Loss, input: Shape, count: int, skip: Shape | None = None) -> None:
        self.owner, self.groups = owner, shares_of(owner)
        layer, loss = (owner, None) if isinstance(owner, Layer) else (Flatten(), owner)
        net = alone(layer, input, "float64", skip)
        self.run = Run(net, count, loss, input_gradient=True, as_written=lambda work: True)
        self.name = list(net.steps)[-1] if loss is None else "loss"
        self.arrays = {name: self.run.seen(self.name, name) for name in self.run.records[self.name]}
        self.run.share[:] = 1 / count
        self.ran_on: tuple[bytes, ...] = ()  # the input and the weights of which y is there
        self.one_by_one: set[Text] = set()  # texts that cannot be run on whole axes
        self.known_slopes: dict[tuple[bytes | str, ...], Slopes | NormalisedSlopes] = {}

    def run_on(self, x: Array, w: dict[str, Array]) -> None:
        """From this input and these weights to y; nothing is done where that was the last thing done."""
        key = (x.tobytes(), *(array.tobytes() for array in w.values()))
        if key != self.ran_on:
            self.put(x=x, **w)
            self.forward()
            self.ran_on = key

    def inferred(self, x: Array, w: dict[str, Array]) -> Array:
        """y as it is once the layer is trained."""
        self.put(x=x, **w)
        self.call("infer", {})
        return self.get("y")

    def settled(self, kept: str, x: Array, w: dict[str, Array]) -> Array:
        """What is kept from this step to the next, of an input and what was kept before."""
        self.put(x=x, **w)
        self.forward()
        self.call("settle", {})
        return self.get(kept)

    def put(self, **arrays: Array) -> None:
        """Lay numbers into the arrays of these names."""
        if arrays.keys() - {"dy"}:
            self.ran_on = ()
        for name, array in arrays.items():
            self.arrays[name][...] = np.reshape(array, self.arrays[name].shape)

    def aim(self, x: Array, target: Array) -> Any:
        """Lay outputs and targets into a loss's arrays; what the sum over the images is divided by."""
        assert isinstance(self.owner, Loss)
        count = self.owner.count(target)
        self.put(x=x, target=target, share=np.full(len(x), 1 / count if count else 0))
        return count or 1  # where no image counts, all sums are 0

    def get(self, name: str) -> Array:
        """A copy of one array."""
        return np.array(self.arrays[name])

    def forward(self, *changes: tuple[str, str], **others: Any) -> None:
        """From x and the weights to y, with pieces of the text replaced, and other settings."""
        self.ran_on = ()
        self.call("forward", others, changes)

    def backward(self, *changes: tuple[str, str], **others: Any) -> None:
        """From dy to dx and the gradients, with pieces of the text replaced, and other settings."""
        self.call("backward", others, changes)

    def call(self, way: str, others: dict[str, Any], changes: Changes = ()) -> None:
        """Run the texts of one way, on the `others` among its arrays and settings."""
        are_numbers = all(isinstance(each, Window) for each in others.values())
        for task in self.tasks(way, others, changes):
            if not are_numbers or self.groups > 1 or not self._at_once(task):
                for call in text_calls(task, self.groups, as_python=True):
                    call()

    def _at_once(self, task: Task) -> bool:
        """Run a text on whole axes, which makes the same numbers; whether that can be, and is worth it."""
        numbers = max((each.size for each in task.seen.values() if isinstance(each, np.ndarray)), default=0)
        if numbers < MANY or task.text in self.one_by_one:
            return False
        axes = axes_of(task.seen)
        wanted = sorted(name for name in fills(task.text) if name in task.seen)
        known, made = settings_of(task.text, task.seen, axes), dict[str, Array]()
        ways = {name: lines_of(task.text, name, axes) for name in wanted}
        for name in sorted(wanted, key=lambda each: -len(ways[each].fills)):  # what rests on most makes the most
            lines = ways[name]
            if name not in made:
                found = every_at_once(task.text, lines.tree, name, known, stores=lines.fills, kept=Kept(lines.named))
                if found is None:
                    self.one_by_one.add(task.text)
                    return False
                made |= found
        for name, each in made.items():
            task.seen[name][...] = each
        return True

    def tasks(self, way: str, others: dict[str, Any], changes: Changes) -> Iterator[Task]:
        """The texts of one way with all they take; a changed one may take any array."""
        for task in self.run.tasks(self.name, way):
            text, more = (task.text.edited(*changes), self.arrays) if changes else (task.text, {})
            seen = {**task.seen, **more, **others}
            for name, each in task.seen.items():  # as the text sees it: features as channels of one pixel
                if isinstance(each, np.ndarray) and isinstance(seen[name], np.ndarray) and seen[name].ndim < each.ndim:
                    seen[name] = seen[name].reshape(each.shape)
            if "window" in seen:
                seen["window"] = remembered(seen["window"])
            yield replace(task, text=text, seen=seen)

    def slopes(self, x: Array, w: dict[str, Array], wanted: str = "dx") -> Slopes | NormalisedSlopes:
        """The backward text run on errors that remember their place: what each number of an array is made of."""
        key: tuple[bytes | str, ...] = (wanted, x.tobytes(), *(array.tobytes() for array in w.values()))
        if key not in self.known_slopes:
            if len(self.known_slopes) >= MOST_SLOPES:
                self.known_slopes.pop(next(iter(self.known_slopes)))
            self.known_slopes[key] = self._slopes(x, w, wanted)
        return self.known_slopes[key]

    def _slopes(self, x: Array, w: dict[str, Array], wanted: str) -> Slopes | NormalisedSlopes:
        groups = groups_of(self.owner, x.shape[1])
        if groups is not None:
            return NormalisedSlopes(Normalised(groups, x, w, self.owner.epsilon), wanted)  # type: ignore[union-attr]
        self.run_on(x, w)
        if isinstance(self.owner, NUMBER_BY_NUMBER):  # one error for each will do
            own = np.arange(x.size)
            self.put(dy=np.ones(x.shape))
            self.backward()
            found = own, np.full(x.size, NONE), own, self.get("dx").reshape(-1)
            return Slopes(Terms(*found, x.shape, x.shape, {}))
        handed_on = self._handed_on() if isinstance(self.owner, MaxPool) else None
        if handed_on is not None:
            return handed_on
        twin = {name: array.astype(object) if array.dtype == float else array for name, array in self.arrays.items()}
        laid(twin["dy"], lambda place: Sum(NONE, place))
        self.call("backward", twin)
        return Slopes(Terms(*products(twin[wanted]), self.arrays[wanted].shape, self.arrays["dy"].shape, {}))

    def _handed_on(self) -> Slopes | None:
        """The slopes of a pool that hands errors on as they are: each number of dx tells whose it is by its value.

        The errors are distinct numbers, of which no sum is another one, and those of windows that meet go one after the
        other. None where a number of dx is none of them.
        """
        window, shape = self.owner.window, self.arrays["dy"].shape  # type: ignore[union-attr]
        codes = np.asarray(np.random.default_rng(0).uniform(1, 2, shape))
        order = np.argsort(codes, axis=None)
        known, found = codes.reshape(-1)[order], []
        apart = [-(-size // stride) for size, stride in zip(window.size, window.stride, strict=True)]
        for i, j in np.ndindex(*apart):
            errors = np.zeros(shape)
            errors[:, :, i :: apart[0], j :: apart[1]] = codes[:, :, i :: apart[0], j :: apart[1]]
            self.put(dy=errors)
            self.backward()
            dx = self.get("dx").reshape(-1)
            places = np.flatnonzero(dx)
            rank = np.minimum(np.searchsorted(known, dx[places]), known.size - 1)
            if not np.array_equal(known[rank], dx[places]):
                return None
            found.append((places, order[rank]))
        out, inner = (np.concatenate(each) for each in zip(*found, strict=True))
        as_added = np.lexsort((inner, out))
        own = out[as_added], np.full(out.size, NONE), inner[as_added], np.ones(out.size)
        return Slopes(Terms(*own, self.arrays["dx"].shape, shape, {}))
