"""Operators that work on each number: activations, what activations are written out in, constants, skips."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError, ShapeError
from plaingrad.exchange.chain import Chain, Value
from plaingrad.exchange.onnx_graph import FUSED
from plaingrad.exchange.pointwise import FUNCTIONS, SAMPLES, Pointwise, activation_like
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import MeanPool
from plaingrad.textbook.window import Window


@dataclass(frozen=True)
class WindowSums:
    """The sum of each window, by a convolution with ones: with what comes next perhaps its mean."""

    value: Value
    w: Array
    settings: dict[str, Any]


class Node(Protocol):
    """One operator of the graph: its kind, the names it takes and makes, and its settings."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    settings: dict[str, Any]


class Reader(Protocol):
    """What the operators ask of the graph that they stand in."""

    chain: Chain
    version: int
    batch: int
    kind: int
    values: dict[str, Any]

    def refuse(self, node: Any, why: str = "") -> Any: ...
    def layered(self, name: str) -> Value: ...
    def value(self, node: Any, place: int = 0) -> Value: ...
    def constant(self, node: Any, place: int, setting: str = "", default: Any = None) -> Any: ...
    def is_single(self, name: str) -> bool: ...
    def takers(self, name: str) -> list[str]: ...


def unary(make: Callable[[Node], Layer] | None) -> Callable[[Reader, Node], Any]:
    """An operator on each number; `make` gives its layer, where it is one by itself."""

    def taken(reader: Reader, node: Node) -> Any:
        name, settings = node.inputs[0], {each: node.settings[each] for each in ("alpha",) if each in node.settings}
        found = reader.values.get(name)
        if isinstance(found, Pointwise) and activation_like(found.samples) is not None and reader.is_single(name):
            found = reader.layered(name)
        if isinstance(found, Pointwise):
            return _pointwise(node, found.value, found.what, [found.samples], settings)
        value = reader.value(node)
        if make is not None and (reader.is_single(name) or node.kind not in FUNCTIONS):
            try:
                layer = make(node)
            except SettingError as error:
                return reader.refuse(node, f"({error}), which")
            return _fused(reader, node, value, layer)
        return _pointwise(node, value, str(node), [SAMPLES], settings)

    return taken


def _pointwise(node: Node, value: Value, what: str, taken: list[Any], settings: dict[str, Any]) -> Pointwise:
    with np.errstate(all="ignore"):
        return Pointwise(value, FUNCTIONS[node.kind](*taken, **settings), what)


def _fused(reader: Reader, node: Node, value: Value, layer: Layer) -> Value:
    """An activation, as a layer or, where its name says so, within the layer before it."""
    chain = reader.chain
    before = chain.layers[-1] if value == chain.last and chain.layers else None
    if node.name.endswith(FUSED) and getattr(before, "activation", layer) is None and value.is_whole:
        try:
            chain.layers[-1] = before.replace(activation=layer)  # type: ignore[union-attr]
        except SettingError:  # it may not be within
            return chain.append(value, layer, str(node))
        return value
    return chain.append(value, layer, str(node))


def binary(reader: Reader, node: Node) -> Any:
    """Add, Sub, Mul, Div and their kind: of a value and a constant, of what is made of one value, or a skip."""
    one, other = (reader.values.get(name) for name in node.inputs[:2])
    for place, (value, constant) in enumerate(((one, other), (other, one))):
        if isinstance(constant, np.ndarray) and not isinstance(value, np.ndarray):
            return _with_constant(reader, node, place, constant)
    together = _of_one_value(node, one, other)
    if together is not None and not _is_skip(node, one, other, together):
        return together
    if node.kind != "Add":
        reader.refuse(node, "of two values")
    first, second = (reader.layered(name) for name in node.inputs[:2])
    return reader.chain.join(first, second, str(node))


def _is_skip(node: Node, one: Any, other: Any, together: Pointwise) -> bool:
    """Whether a value and what an activation makes of it are added: no step of a longer activation is of this form."""
    apart = any(_known(each) for each in (one, other))
    return node.kind == "Add" and apart and activation_like(together.samples) is None


def _known(found: Any) -> bool:
    return isinstance(found, Pointwise) and activation_like(found.samples) is not None


def _of_one_value(node: Node, one: Any, other: Any) -> Pointwise | None:
    """What two operators on the same value give together; None where they are not on one."""
    bases = [each.value if isinstance(each, Pointwise) else each for each in (one, other)]
    if bases[0] != bases[1] or not isinstance(bases[0], Value) or not bases[0].is_whole:
        return None
    samples = [each.samples if isinstance(each, Pointwise) else SAMPLES for each in (one, other)]
    what = next((each.what for each in (one, other) if isinstance(each, Pointwise)), f"{node}")
    return _pointwise(node, bases[0], what, samples, {})


def _with_constant(reader: Reader, node: Node, place: int, constant: Array) -> Any:
    name = node.inputs[place]
    found, chain = reader.values.get(name), reader.chain
    if isinstance(found, WindowSums):
        if place == 0 and (made := _mean_of_sums(reader, node, found, constant)) is not None:
            return made
        groups = len(found.w)
        found = chain.conv(found.value, name, found.w, None, groups=groups, **found.settings)
        reader.values[name] = found
    if isinstance(found, Value) and reader.is_single(name):
        numbers = per_channel(constant, len(chain.shape(found)))
        if (
            numbers is not None
            and node.kind in ("Add", "Sub", "Mul", "Div")
            and _folded(node, place, found, numbers, chain)
        ):
            return chain.last
    if constant.size != 1 or node.kind not in FUNCTIONS:
        reader.refuse(node, f"with a constant of the shape {constant.shape}")
    if isinstance(found, Pointwise):
        value, samples, what = found.value, found.samples, found.what
    else:
        value, samples, what = reader.value(node, place), SAMPLES, str(node)
    pair = [samples, float(constant.reshape(-1)[0])]
    return _pointwise(node, value, what, pair if place == 0 else pair[::-1], {})


def per_channel(constant: Array, axes: int) -> Array | None:
    """A constant as one number for each channel, or one for all; None where it is another for each pixel."""
    if constant.size == 1:
        return constant.reshape(())
    shape = (1,) * (1 + axes - constant.ndim) + constant.shape
    if len(shape) != 1 + axes or shape[0] != 1 or any(size != 1 for size in shape[2:]):
        return None
    return constant.reshape(-1)


def _folded(node: Node, place: int, value: Value, numbers: Array, chain: Chain) -> bool:
    if not value.is_whole or (place and node.kind in ("Sub", "Div")):
        return False
    if numbers.ndim and len(numbers) != chain.shape(value)[0]:
        return False
    if node.kind in ("Mul", "Div"):
        return chain.scale(value, numbers if node.kind == "Mul" else 1 / numbers)
    return chain.shift(value, numbers if node.kind == "Add" else -numbers)


def _mean_of_sums(reader: Reader, node: Node, sums: WindowSums, constant: Array) -> Value | None:
    """The mean of windows from their sums, over as many pixels as the constant says; None where it is no mean."""
    value, size, settings = sums.value, sums.w.shape[2:], sums.settings
    try:
        counts = Window(size, settings["stride"], settings["margins"], settings["dilation"]).output(
            reader.chain.shape(value)
        )
    except ShapeError:
        return None
    if constant.shape not in ((), (1,), (1, 1, *counts)) or (constant != np.rint(constant)).any():
        return None
    told = [[int(each) for each in row] for row in np.broadcast_to(constant, (1, 1, *counts))[0, 0]]
    ways: list[dict[str, Any]] = [{}, {"count_padding": True}]
    ways += [{"divisor": told[0][0]}] if len({each for row in told for each in row}) == 1 else []
    for more in ways:
        try:
            return reader.chain.pool(value, str(node), MeanPool, size, pixels=told, **settings, **more)
        except SettingError:
            continue
    return None
