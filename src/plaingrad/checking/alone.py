"""One layer or loss by itself, its own loops run as Python on any numbers; and loops with a line changed."""

import functools
import inspect
import itertools
import linecache
import textwrap
from dataclasses import dataclass
from types import CodeType, FunctionType

import numpy as np

from plaingrad.checking.bilinear import NONE, Sum, laid
from plaingrad.layer import Layer, Shape, bind
from plaingrad.layers import Flatten, LeakyReLU, ReLU, Sigmoid, Tanh
from plaingrad.loops import Array, Loops
from plaingrad.loss import Loss
from plaingrad.network import Network
from plaingrad.run import Run

Changes = tuple[tuple[str, str], ...]
numbered = itertools.count()
MOST_SLOPES = 16


@dataclass(frozen=True)
class Slopes:
    """What a layer's dx is made of for one input: dx[out] += factor · dy[inner], places in the flat arrays."""

    out: Array
    inner: Array
    factor: Array
    shape: tuple[int, ...]

    def of(self, dy: Array) -> Array:
        """dx of an error."""
        return self._sum(self.factor * dy.reshape(-1)[self.inner])

    def spread(self, slack: Array) -> Array:
        """How far dx is off where dy is off by so much."""
        return np.sqrt(self._sum((self.factor * slack.reshape(-1)[self.inner]) ** 2))

    def size(self, dy: Array) -> Array:
        """The sum of sizes of what dx adds up."""
        return self._sum(np.abs(self.factor * dy.reshape(-1)[self.inner]))

    def turned(self, weighing: Array, shape: tuple[int, ...]) -> Array:
        """How much `weighing` · dx changes with each number of dy."""
        products = self.factor * weighing.reshape(-1)[self.out]
        return np.bincount(self.inner, products, int(np.prod(shape))).reshape(shape)

    def _sum(self, numbers: Array) -> Array:
        return np.bincount(self.out, numbers, int(np.prod(self.shape))).reshape(self.shape)


class Alone:
    """A layer, or a loss, for `count` images. Arrays go in and out as (image, …)."""

    def __init__(self, owner: Layer | Loss, input: Shape, count: int) -> None:
        self.owner, self.count = owner, count
        layer = owner if isinstance(owner, Layer) else Flatten()
        net = Network(layer, input=input, dtype="float64")
        loss = None if isinstance(owner, Layer) else owner
        self.run = Run(net, count, loss, input_gradient=True, as_python=lambda nest, work: True)
        self.run.has_gradients = True
        self.name = next(iter(net.steps)) if loss is None else "loss"
        self.twin: Run | None = None
        self.ran_on: tuple[bytes, ...] = ()  # the input and the weights of which y is there
        self.known_slopes: dict[tuple[bytes, ...], Slopes] = {}
        self.record, self.known = self.run.records[self.name], self.run.known[self.name]

    def run_on(self, x: Array, w: dict[str, Array]) -> None:
        """From this input and these weights to y; nothing is done where that was the last thing done."""
        key = (x.tobytes(), *(array.tobytes() for array in w.values()))
        if key != self.ran_on:
            self.put(x=x, **w)
            self.forward()
            self.ran_on = key

    def put(self, **arrays: Array) -> None:
        """Lay numbers into the arrays of these names."""
        if arrays.keys() - {"dy"}:
            self.ran_on = ()
        for name, array in arrays.items():
            mine = self.record[name]
            mine[...] = self._inside(name, array).reshape(mine.shape)

    def get(self, name: str) -> Array:
        """A copy of one array, images first."""
        return np.array(self.run.quantity(self.name, name))

    def call(self, nests: tuple[Loops, ...], changed: dict[str, Changes] | None = None) -> None:
        """Run nests in order; one that is named in `changed` with these changes to its text."""
        for nest in nests:
            chosen = edited(nest, changed[nest.__name__]) if changed and nest.__name__ in changed else nest
            bind(chosen, self.owner, self.known, plain=True)()

    def forward(self, changed: dict[str, Changes] | None = None) -> None:
        """From x and the weights to y."""
        self.ran_on = ()
        self.call(self.owner.forward, changed)

    def backward(self, changed: dict[str, Changes] | None = None) -> None:
        """From dy to dx and the gradients."""
        self.call(self.owner.backward, changed)

    def slopes(self, x: Array, w: dict[str, Array]) -> Slopes:
        """The backward loops run on errors that remember their place: what each number of dx is made of."""
        key = (x.tobytes(), *(array.tobytes() for array in w.values()))
        if key not in self.known_slopes:
            if len(self.known_slopes) >= MOST_SLOPES:
                self.known_slopes.pop(next(iter(self.known_slopes)))
            self.known_slopes[key] = self._slopes(x, w)
        return self.known_slopes[key]

    def _slopes(self, x: Array, w: dict[str, Array]) -> Slopes:
        self.run_on(x, w)
        if isinstance(self.owner, ReLU | LeakyReLU | Sigmoid | Tanh):  # number by number: one error for each will do
            own = np.arange(x.size)
            self.put(dy=np.ones(x.shape))
            self.backward()
            return Slopes(own, own, self.get("dx").reshape(-1), x.shape)
        if self.twin is None:
            net = Network(*self.run.net.layers, input=self.run.net.input, dtype=object)
            self.twin = Run(net, self.count, input_gradient=True)
        twin = self.twin.records[self.name]
        for name, array in self.record.items():
            twin[name][...] = array.astype(object) if twin[name].dtype == object else array
        shape = self.get("dx").shape
        moved = np.moveaxis(np.arange(twin["dy"].size).reshape(self.get("dy").shape), 0, -1)
        places = moved.reshape(-1).tolist()  # where each number of dy stands with the images first
        laid(twin["dy"], lambda place: Sum(NONE, places[place]))
        for nest in self.owner.backward:
            bind(nest, self.owner, self.twin.known[self.name], plain=True)()
        dx = np.moveaxis(twin["dx"].reshape(*shape[1:], self.count), -1, 0).reshape(-1)
        terms = [each.terms() if isinstance(each, Sum) else [] for each in dx]
        every = np.array([term[1:] for each in terms for term in each], float).reshape(-1, 2)
        out = np.repeat(np.arange(len(terms)), [len(each) for each in terms])
        return Slopes(out, every[:, 0].astype(np.int64), every[:, 1], shape)

    def _inside(self, name: str, array: Array) -> Array:
        kept = self.run.kinds[self.name].get(name)
        moves = kept is not None and kept.lanes == "last" and kept.shape
        return np.moveaxis(array, 0, -1) if moves else array


@functools.cache
def edited(nest: Loops, changes: Changes) -> Loops:
    """The same loops with pieces of their text replaced: each must be there. What they newly name is found by name."""
    source = textwrap.dedent(inspect.getsource(nest.plain))
    source = source[source.index("def ") :]
    for old, new in changes:
        if old not in source:
            raise ValueError(f"{nest.__name__} has no text {old!r} to change")
        source = source.replace(old, new)
    file = f"<{nest.__name__} {next(numbered)}>"
    whole = compile(source, file, "exec")
    code = next(each for each in whole.co_consts if isinstance(each, CodeType))
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # so that its text can be shown
    changed = FunctionType(code, nest.plain.__globals__, nest.__name__)
    names = inspect.signature(nest.plain).parameters
    keywords = [name for name, each in names.items() if each.kind is each.KEYWORD_ONLY]
    assert set(keywords) <= set(code.co_varnames)
    return Loops(changed)


def asks(nest: Loops, *names: str) -> tuple[str, str]:
    """A change that lets a nest ask for more arrays."""
    return f"def {nest.__name__}(", f"def {nest.__name__}({', '.join(names)}, "


def changed_lines(nest: Loops, changes: Changes) -> list[tuple[str, str]]:
    """Each line of a nest that changes, and what it becomes."""
    before = textwrap.dedent(inspect.getsource(nest.plain)).splitlines()
    pairs = []
    for line in before:
        after = line
        for old, new in changes:
            after = after.replace(old, new)
        if after != line and not line.lstrip().startswith("def "):
            pairs.append((line.strip(), after.strip()))
    return pairs
