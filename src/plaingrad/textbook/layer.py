"""What a layer is: a few settings, the shapes they imply, and its texts, wired by the names of their arguments."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np

from plaingrad.compiler.loops import Array, Bound, Loops
from plaingrad.compiler.program import Call
from plaingrad.textbook.record import Record
from plaingrad.textbook.text import Text, as_text

Shape = tuple[int, ...]
LARGEST_LIMIT = 1e38  # float32 holds no much larger number


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

    def __post_init__(self) -> None:
        super().__post_init__()
        needs = f"limit is at least 0, and at most {LARGEST_LIMIT:g}"
        self.require(self.limit is None or 0 <= self.limit <= LARGEST_LIMIT, f"limit={self.limit!r}", needs)

    def __call__(self, rng: np.random.Generator, shape: Shape, inputs: int, outputs: int) -> Array:
        limit = inputs**-0.5 if self.limit is None else abs(self.limit)  # of −0 too
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
    """The shape of one trained array, and how many inputs and outputs each entry joins; a bias joins none.

    Where it begins: as `start` says, else as the layer or the network does; a bias at zero.
    """

    shape: Shape
    inputs: int = 0
    outputs: int = 0
    start: Start | None = None


@dataclass(frozen=True)
class Saved:
    """An array that forward leaves for backward: its shape for one image, or whole where it `has_images` not."""

    shape: Shape
    dtype: Any = None
    has_images: bool = True


@dataclass(frozen=True)
class State:
    """An array that is kept from step to step: its shape, and the number that it begins with."""

    shape: Shape
    begins: int = 0


class Layer(Record, abstract=True):
    """Base of every layer. A subclass states its fields, its `output` shape, and its `forward` and `backward` texts.

    A text is one plain function on arrays (image, channel, row, column), wired by name: `x`, `y`, `dx` and `dy` are the
    activations and their gradients; a name from `weights` or `saved` is that array, and `d` + name its gradient; any
    other name is a field or comes from `constants`. A text fills all it writes: nothing of a former pass remains.

    `share` is each image's share of those that run together: 1/N, and 0 where there is no image. `mask` is drawn for
    each image and step before forward where `dropped` says how often it is 0. `skip` is the output of the layer that
    `skips` names.
    A layer that does something else once it is trained says so in a third text, `infer`; a fourth, `settle`, changes
    what is kept from step to step, its `state`, by what forward left.
    """

    forward: ClassVar[Any]  # a function in the class, which becomes a Text
    backward: ClassVar[Any]
    infer: ClassVar[Any] = None
    settle: ClassVar[Any] = None

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__(abstract)
        as_text(cls, "forward", "backward", "infer", "settle")

    def output(self, x: Shape) -> Shape:
        """The shape of one output, given the shape of one input; ShapeError says why it cannot be."""
        return x

    def skips(self) -> str | None:
        """The name of the earlier layer whose output it reads as `skip`."""
        return None

    def joined(self, x: Shape, skip: Shape) -> dict[str, Any]:
        """More that its texts ask for, given the shape of its `skip` too; ShapeError where the two do not fit."""
        return {}

    def state(self, x: Shape) -> dict[str, "State"]:
        """Each array by name that is kept from step to step and is not trained by gradients."""
        return {}

    def dropped(self) -> float | None:
        """How probable it is that a number's `mask` is 0; None where no mask is drawn."""
        return None

    def weights(self, x: Shape) -> dict[str, Weights]:
        """Each trained array by name."""
        return {}

    def saved(self, x: Shape) -> dict[str, Saved]:
        """Each array that forward leaves for backward, by name."""
        return {}

    def constants(self, x: Shape) -> dict[str, Any]:
        """What the texts ask for besides fields: what follows from the settings and the shape. A list is an array."""
        return {}

    def seen(self, name: str, array: Array) -> Array:
        """An array (image, …) as this layer's texts see it."""
        return array

    def in_shares(self) -> int:
        """In how many equal shares of the channels its texts run, each share by itself."""
        return 1

    def multiplications(self, x: Shape) -> int:
        """How many products one image's forward pass adds up."""
        return 0


def shares_of(owner: Any) -> int:
    """In how many shares of the channels the texts of a layer, or a loss, run."""
    return owner.in_shares() if isinstance(owner, Layer) else 1


@dataclass(frozen=True)
class Pass:
    """A text at work in a layer: whose it is, and which quantity stands for an argument of another name."""

    text: Text
    owner: Record
    names: tuple[tuple[str, str], ...] = ()

    def quantity(self, argument: str) -> str:
        """What the layer calls this argument."""
        return dict(self.names).get(argument, argument)


def passes(owner: Any) -> dict[str, list[Pass]]:
    """What a layer or a loss does on the way forward and back, and forward once it is trained.

    An activation of its own makes y of its sums z.
    """
    own = {way: Pass(getattr(owner, way), owner) for way in ("forward", "backward")}
    activation = getattr(owner, "activation", None)
    if activation is None:
        infer = getattr(owner, "infer", None)
        own["infer"] = own["forward"] if infer is None else Pass(infer, owner)
        settle = getattr(owner, "settle", None)
        return {way: [each] for way, each in own.items()} | {"settle": [Pass(settle, owner)] if settle else []}
    forward = [replace(own["forward"], names=(("y", "z"),)), Pass(activation.forward, activation, (("x", "z"),))]
    return {
        "forward": forward,
        "infer": forward,
        "settle": [],
        "backward": [
            Pass(activation.backward, activation, (("dx", "dz"),)),
            replace(own["backward"], names=(("dy", "dz"),)),
        ],
    }


def pair(owner: Record, name: str, value: Any, least: int) -> tuple[int, int]:
    """A setting given as one number or as (rows, columns), as a pair; each at least `least`."""
    rows, columns = value if isinstance(value, tuple) else (value, value)
    needs = f"{name} is a whole number of at least {least}, or a pair of them (rows, columns)"
    owner.require(min(rows, columns) >= least, f"{name}={value!r}", needs)
    return int(rows), int(columns)


def not_provided(owner: Any, function: str, name: str, known: Iterable[str]) -> TypeError:
    """The exception for an argument of a text or a nest that is no field, array or constant of its layer."""
    near = get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]!r}?" if near else f" It can ask for {', '.join(known)}."
    if name == "window":
        hint = ' State it: def constants(self, x): return {"window": Window(size, stride).over(x)}; see docs/layers.md'
    return TypeError(f"{owner}: {function} asks for {name!r}, which nothing provides.{hint}")


def bind(nest: Loops, owner: Any, known: dict[str, Any], plain: bool = False) -> Call:
    """A call of `nest` ready to repeat: arrays and settings found by name, constants made part of the code.

    A `plain` one is never compiled.
    """
    for name in (*nest.arguments, *nest.constants):
        if name not in known:
            raise not_provided(owner, nest.__name__, name, known)
    arrays = [(name, known[name]) for name in nest.arguments if isinstance(known[name], np.ndarray)]
    for (one, array), (two, other) in itertools.combinations(arrays, 2):
        if np.may_share_memory(array, other):
            raise TypeError(
                f"{owner}: {nest.__name__} takes {one!r} and {two!r}, which share memory; loops need them apart"
            )
    given, constants = ({name: known[name] for name in names} for names in (nest.arguments, nest.constants))
    bound = Bound(nest.plain, constants) if plain else nest.bound(list(given.values()), **constants)
    return Call(nest.__name__, bound, tuple(given.values()))
