"""What a layer is: a few settings, the shapes they imply, and its loop nests, wired by the names of their arguments."""

import itertools
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from plaingrad.loops import Array, Bound, Loops
from plaingrad.program import Call
from plaingrad.record import Record

Shape = tuple[int, ...]


class Start(Record, abstract=True):
    """Where a weight begins. Called with a generator, a shape, and how many inputs and outputs one weight joins."""

    def __call__(self, rng: np.random.Generator, shape: Shape, inputs: int, outputs: int) -> Array:
        raise NotImplementedError


class He(Start):
    """Normal with variance 2 / inputs: keeps the signal's level through ReLUs (He et al., 2015)."""

    def __call__(self, rng: np.random.Generator, shape: Shape, inputs: int, outputs: int) -> Array:
        return rng.normal(0, (2 / inputs) ** 0.5, shape)


class Glorot(Start):
    """Uniform with variance 2 / (inputs + outputs): for tanh, sigmoid and linear units (Glorot and Bengio, 2010)."""

    def __call__(self, rng: np.random.Generator, shape: Shape, inputs: int, outputs: int) -> Array:
        limit = (6 / (inputs + outputs)) ** 0.5
        return rng.uniform(-limit, limit, shape)


class Uniform(Start):
    """Uniform between -limit and limit; without a limit, 1 / √inputs."""

    limit: float | None = None

    def __call__(self, rng: np.random.Generator, shape: Shape, inputs: int, outputs: int) -> Array:
        limit = inputs**-0.5 if self.limit is None else self.limit
        return rng.uniform(-limit, limit, shape)


class Zeros(Start):
    """All zero: right for a bias; a hidden layer that starts so has equal units, and they stay equal."""

    def __call__(self, rng: np.random.Generator, shape: Shape, inputs: int, outputs: int) -> Array:
        return np.zeros(shape)


class Ones(Start):
    """All one: for a factor that is to change nothing at first."""

    def __call__(self, rng: np.random.Generator, shape: Shape, inputs: int, outputs: int) -> Array:
        return np.ones(shape)


@dataclass(frozen=True)
class Weights:
    """The shape of one trained array, and how many inputs and outputs each entry joins; a bias joins none."""

    shape: Shape
    inputs: int = 0
    outputs: int = 0


@dataclass(frozen=True)
class Kept:
    """An array that a layer's nests leave for each other: its shape for one image, and where the lanes join it.

    `scratch` is room for a nest's own sums: it means nothing once the nest is done, and every layer takes the same.
    `inner` is a copy on its way from one nest to the next: an explanation looks through it.
    """

    shape: Shape
    dtype: Any = None
    lanes: Literal["last", "first", "none"] = "last"
    scratch: bool = False
    inner: bool = False


class Layer(Record, abstract=True):
    """Base of every layer. A subclass states its fields, its `output` shape, and its `forward` and `backward`.

    The nests are wired by name: `x`, `y`, `dx` and `dy` are the activations and their gradients; a name from `weights`
    or `kept` is that array, and `d` + name its gradient; any other name is a field or comes from `constants`.
    A nest fills all it writes: nothing of a former pass remains.
    """

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__(abstract)
        for way in ("forward", "backward"):
            nests = vars(cls).get(way)
            if isinstance(nests, Loops):
                nests = (nests,)
                setattr(cls, way, nests)
            if nests is not None and not isinstance(nests, property) and not _are_loops(nests):
                raise TypeError(f"{cls.__name__}.{way} is a tuple of loop nests, each decorated with @loops")

    @property
    def forward(self) -> tuple[Loops, ...]:
        """The nests that make `y`, in order."""
        raise NotImplementedError(f"{type(self).__name__} states no `forward`: a tuple of loop nests")

    @property
    def backward(self) -> tuple[Loops, ...]:
        """The nests that make the gradients, in order. One that makes only `dx` is left out where none is wanted."""
        raise NotImplementedError(f"{type(self).__name__} states no `backward`: a tuple of loop nests")

    def output(self, x: Shape) -> Shape:
        """The shape of one output, given the shape of one input; ShapeError says why it cannot be."""
        return x

    def weights(self, x: Shape) -> dict[str, Weights]:
        """Each trained array by name."""
        return {}

    def kept(self, x: Shape) -> dict[str, Kept | str]:
        """Each array the nests leave for each other, by name; a string is another name for one there is already."""
        return {}

    def constants(self, x: Shape, lanes: int) -> dict[str, Any]:
        """What the nests ask for besides fields: numbers that follow from the settings and the shape.

        Under the name of a nest: a dict of what only that nest is told.
        """
        return {}

    def multiplications(self, x: Shape) -> int:
        """How many products one image's forward pass adds up."""
        return 0


def _are_loops(nests: Any) -> bool:
    return isinstance(nests, tuple) and all(isinstance(nest, Loops) for nest in nests)


def pair(owner: Record, name: str, value: Any, least: int) -> tuple[int, int]:
    """A setting given as one number or as (rows, columns), as a pair; each at least `least`."""
    rows, columns = value if isinstance(value, tuple) else (value, value)
    needs = f"{name} is a whole number of at least {least}, or a pair of them (rows, columns)"
    owner.require(min(rows, columns) >= least, f"{name}={value!r}", needs)
    return int(rows), int(columns)


def bind(nest: Loops, owner: Any, known: dict[str, Any], plain: bool = False) -> Call:
    """A call of `nest` ready to repeat: arrays and settings found by name, constants made part of the code.

    What `known` holds under the nest's own name is for it alone. A `plain` one is never compiled.
    """
    known = known | known.get(nest.__name__, {})
    for name in (*nest.arguments, *nest.constants):
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" It can ask for {', '.join(known)}."
            raise TypeError(f"{owner}: {nest.__name__} asks for {name!r}, which nothing provides.{hint}")
    arrays = [(name, known[name]) for name in nest.arguments if isinstance(known[name], np.ndarray)]
    for (one, array), (two, other) in itertools.combinations(arrays, 2):
        if np.may_share_memory(array, other):
            raise TypeError(
                f"{owner}: {nest.__name__} takes {one!r} and {two!r}, which share memory; loops need them apart"
            )
    given, constants = ({name: known[name] for name in names} for names in (nest.arguments, nest.constants))
    bound = Bound(nest.plain, constants) if plain else nest.bound(list(given.values()), **constants)
    return Call(nest.__name__, bound, tuple(given.values()))
