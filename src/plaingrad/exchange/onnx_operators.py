"""What each operator of ONNX is here: one function each, from a node of the graph to the value it gives.

Over 300 lines, since an operator is a few lines and the table of all stands at the end.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError, ShapeError
from plaingrad.exchange.chain import Chain, Value
from plaingrad.exchange.margins import NONE, same_margins
from plaingrad.exchange.onnx_writing import FUSED
from plaingrad.exchange.pointwise import FUNCTIONS, SAMPLES, Pointwise, activation_like, short
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    Dense,
    GroupNorm,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)
from plaingrad.textbook.window import Window


@dataclass(frozen=True)
class Grouped:
    """A value seen as (group, number), as an operator takes it that norms groups of channels."""

    value: Value
    groups: int


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
    values: dict[str, Any]

    def refuse(self, node: Any, why: str = "") -> Any: ...
    def layered(self, name: str) -> Value: ...
    def value(self, node: Any, place: int = 0) -> Value: ...
    def constant(self, node: Any, place: int, setting: str = "", default: Any = None) -> Any: ...
    def is_single(self, name: str) -> bool: ...
    def takers(self, name: str) -> list[str]: ...


def require(reader: Reader, node: Node, **usual: Any) -> None:
    """SettingError where a setting is not as all layers here have it."""
    for name, value in usual.items():
        if node.settings.get(name, value) != value:
            reader.refuse(node, f"with {name}={node.settings[name]!r}")


def window(reader: Reader, node: Node, value: Value, size: tuple[int, ...]) -> dict[str, Any]:
    """Stride, dilation and margins of a window of this size."""
    shape = reader.chain.shape(value)
    if len(size) != 2 or len(shape) != 3:
        reader.refuse(node, f"along {len(size)} axes")
    stride = tuple(node.settings.get("strides", (1, 1)))
    dilation = tuple(node.settings.get("dilations", (1, 1)))
    pads, auto = node.settings.get("pads", (0, 0, 0, 0)), node.settings.get("auto_pad", "NOTSET")
    margins = [(pads[0], pads[2]), (pads[1], pads[3])]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        margins = [
            same_margins(*each, lower=auto == "SAME_LOWER")
            for each in zip(shape[1:], size, stride, dilation, strict=True)
        ]
    elif auto not in ("NOTSET", "VALID"):
        reader.refuse(node, f"with auto_pad={auto!r}")
    if any(min(each) < 0 for each in margins):
        reader.refuse(node, "with a negative padding")
    return {"stride": stride, "dilation": dilation, "margins": (margins[0], margins[1])}


def conv(reader: Reader, node: Node) -> Any:
    value = reader.value(node)
    w, b = reader.constant(node, 1), reader.constant(node, 2)
    settings = window(reader, node, value, w.shape[2:])
    groups = node.settings.get("group", 1)
    adds_up = b is None and groups == len(w) == reader.chain.shape(value)[0] and (w == 1).all()
    if adds_up and reader.takers(node.outputs[0]) == ["Div"]:
        return WindowSums(value, w, settings)
    return reader.chain.conv(value, str(node), w, b, groups=groups, **settings)


def max_pool(reader: Reader, node: Node) -> Value:
    require(reader, node, storage_order=0)
    return _pool(reader, node, MaxPool)


def mean_pool(reader: Reader, node: Node) -> Value:
    return _pool(reader, node, MeanPool, count_padding=bool(node.settings.get("count_include_pad", 0)))


def l2_pool(reader: Reader, node: Node) -> Value:
    require(reader, node, p=2)
    return _pool(reader, node, L2Pool)


def _pool(reader: Reader, node: Node, kind: type[Any], **more: Any) -> Value:
    value, size = reader.value(node), tuple(node.settings["kernel_shape"])
    settings = window(reader, node, value, size) | more
    settings["ceil_mode"] = bool(node.settings.get("ceil_mode", 0))
    return reader.chain.pool(value, str(node), kind, size, **settings)


def dense(reader: Reader, node: Node) -> Value:
    """Gemm and MatMul: the weights are (input, unit) unless turned."""
    require(reader, node, transA=0)
    value, w = reader.value(node), reader.constant(node, 1)
    b = reader.constant(node, 2)
    alpha, beta = node.settings.get("alpha", 1.0), node.settings.get("beta", 1.0)
    if w.ndim != 2:
        reader.refuse(node, f"with weights of {w.ndim} axes")
    w = w if node.settings.get("transB", 0) else w.T
    if b is not None:
        b = np.broadcast_to(b, (1, len(w)))[0]
        b = b if beta == 1 else b * np.asarray(beta, b.dtype)
    w = w if alpha == 1 else w * np.asarray(alpha, w.dtype)
    return reader.chain.append(value, Dense(len(w), bias=b is not None), str(node), {"w": w, "b": b})


def batch_norm(reader: Reader, node: Node) -> Value:
    require(reader, node, training_mode=0, spatial=1)
    w, b, mean, variance = (reader.constant(node, place) for place in range(1, 5))
    layer = BatchNorm(short(node.settings.get("epsilon", 1e-5)), short(1 - short(node.settings.get("momentum", 0.9))))
    arrays = {"w": w, "b": b, "running_mean": mean, "running_variance": variance}
    return reader.chain.append(reader.value(node), layer, str(node), arrays)


def instance_norm(reader: Reader, node: Node) -> Any:
    """Of the channels, or of groups that a Reshape made of them."""
    found = reader.values.get(node.inputs[0])
    value = found.value if isinstance(found, Grouped) else reader.value(node)
    groups = found.groups if isinstance(found, Grouped) else reader.chain.shape(value)[0]
    made = _group_norm(reader, node, value, groups, per_group=True)
    return Grouped(made, groups) if isinstance(found, Grouped) else made


def group_norm(reader: Reader, node: Node) -> Value:
    value, groups = reader.value(node), node.settings["num_groups"]
    return _group_norm(reader, node, value, groups, per_group=reader.version < 21)


def layer_norm(reader: Reader, node: Node) -> Value:
    value = reader.value(node)
    if len(reader.chain.shape(value)) != 1 or node.settings.get("axis", -1) not in (1, -1):
        reader.refuse(node, "of images: with weights for each pixel")
    return _group_norm(reader, node, value, 1, per_group=False)


def _group_norm(reader: Reader, node: Node, value: Value, groups: int, per_group: bool) -> Value:
    w, b = reader.constant(node, 1), reader.constant(node, 2)
    channels = reader.chain.shape(value)[0]
    b = np.zeros_like(w) if b is None else b
    if per_group and w.size:
        w, b = (np.repeat(each, channels // len(each)) for each in (w, b))
    layer = GroupNorm(groups, short(node.settings.get("epsilon", 1e-5)))
    return reader.chain.append(value, layer, str(node), {"w": w, "b": b})


def softmax(reader: Reader, node: Node) -> Value:
    if node.settings.get("axis", -1 if reader.version >= 13 else 1) not in (1, -1):
        reader.refuse(node, f"with axis={node.settings['axis']}")
    return reader.chain.append(reader.value(node), Softmax(), str(node))


def flatten(reader: Reader, node: Node) -> Value:
    value = reader.value(node)
    if node.settings.get("axis", 1) not in (1, -len(reader.chain.shape(value))):
        reader.refuse(node, f"with axis={node.settings['axis']}")
    return reader.chain.flatten(value, str(node))


def reshape(reader: Reader, node: Node) -> Any:
    """A Reshape that flattens, one that changes nothing, or the two around a norm of groups."""
    wanted = [int(each) for each in reader.constant(node, 1, "shape")]
    found = reader.values.get(node.inputs[0])
    value = found.value if isinstance(found, Grouped) else reader.value(node)
    shape = reader.chain.shape(value)
    first, rest = wanted[0], wanted[1:]
    if node.settings.get("allowzero", 0) or first not in (0, -1, reader.batch) or [first, *rest].count(-1) > 1:
        reader.refuse(node, f"to {tuple(wanted)}")
    if not isinstance(found, Grouped):
        rest = [shape[place] if size == 0 and place < len(shape) else size for place, size in enumerate(rest)]
    if -1 in rest:
        known = math.prod(size for size in rest if size != -1)
        rest[rest.index(-1)] = math.prod(shape) // known if known else 0
    if tuple(rest) == shape:
        return value
    if math.prod(rest) != math.prod(shape):
        reader.refuse(node, f"of {shape} to {tuple(wanted)}")
    if len(rest) == 1:
        return reader.chain.flatten(value, str(node))
    if len(rest) == 2 and shape[0] % rest[0] == 0:
        return Grouped(value, rest[0])
    return reader.refuse(node, f"of {shape} to {tuple(rest)}")


def squeeze(reader: Reader, node: Node) -> Value:
    value, axes = reader.value(node), reader.constant(node, 1, "axes")
    shape = reader.chain.shape(value)
    if axes is None or len(shape) != 3 or shape[1:] != (1, 1) or sorted(int(each) % 4 for each in axes) != [2, 3]:
        reader.refuse(node)
    return reader.chain.flatten(value, str(node))


def global_mean(reader: Reader, node: Node) -> Value:
    return reader.chain.mean_of_channels(reader.value(node), str(node))


def reduce_mean(reader: Reader, node: Node) -> Value:
    """The mean over rows and columns."""
    value, axes = reader.value(node), reader.constant(node, 1, "axes")
    if axes is None or len(reader.chain.shape(value)) != 3 or sorted(int(each) % 4 for each in axes) != [2, 3]:
        reader.refuse(node, "over other axes than rows and columns")
    made = reader.chain.mean_of_channels(value, str(node))
    return made if node.settings.get("keepdims", 1) else reader.chain.flatten(made, str(node))


def same(reader: Reader, node: Node) -> Any:
    """Operators that change nothing of a trained network: Identity, Dropout."""
    if len(node.inputs) > 2 and reader.constant(node, 2):
        reader.refuse(node, "in training mode")
    return reader.values[node.inputs[0]] if node.inputs[0] in reader.values else reader.value(node)


def sliced(reader: Reader, node: Node) -> Value:
    """Every second row and column, or third …, as a skip takes them."""
    value = reader.value(node)
    starts, ends = (reader.constant(node, place, name) for place, name in ((1, "starts"), (2, "ends")))
    axes = reader.constant(node, 3, "axes", range(len(starts)))
    steps = reader.constant(node, 4, "steps", [1] * len(starts))
    strides, shape = list(value.strides), reader.chain.shape(value)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = int(axis) % (1 + len(shape))
        if place < 2 or int(start) != 0 or int(end) < shape[place - 1] or int(step) < 1:
            reader.refuse(node)
        strides[place - 2] *= int(step)
    return replace(value, strides=(strides[0], strides[1]))


def pad(reader: Reader, node: Node) -> Any:
    """Rows and columns around the image, for the window that comes next; or channels of zeros, for a skip."""
    require(reader, node, mode="constant")
    pads = [int(each) for each in reader.constant(node, 1, "pads" if reader.version >= 2 else "paddings")]
    outside = reader.constant(node, 2, "value", 0.0)
    axes, value = reader.constant(node, 3), reader.value(node)
    rank = 1 + len(reader.chain.shape(value))
    places = list(range(rank)) if axes is None else [int(each) % rank for each in axes]
    around = {axis: (pads[n], pads[n + len(places)]) for n, axis in enumerate(places)}
    number = float(np.asarray(outside).reshape(-1)[0]) if np.size(outside) else 0.0
    before, more = around.pop(1, (0, 0))
    if any(around.pop(0, (0, 0))) or before or min(min(each, default=0) for each in [*around.values(), (more,)]) < 0:
        reader.refuse(node)
    if more:
        if number or any(any(each) for each in around.values()):
            reader.refuse(node, "along channels and pixels at once")
        return replace(value, more=value.more + more)
    if rank != 4:
        reader.refuse(node)
    if value.around != NONE:
        reader.refuse(node, "around other padding")
    return replace(value, around=(around.get(2, (0, 0)), around.get(3, (0, 0))), outside=number)


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


def clip(reader: Reader, node: Node) -> Any:
    """A Clip that is ReLU."""
    low, high = (reader.constant(node, place, name) for place, name in ((1, "min"), (2, "max")))
    if low is None or float(low) != 0 or (high is not None and float(high) < 3e38):
        reader.refuse(node, f"to {low} … {high}")
    return reader.chain.append(reader.value(node), ReLU(), str(node))


def _gelu(node: Node) -> Layer:
    return TanhGELU() if node.settings.get("approximate", "none") == "tanh" else GELU()


def _swish(node: Node) -> Layer:
    if node.settings.get("alpha", 1.0) != 1:
        raise SettingError(f"alpha={node.settings['alpha']:g}")
    return SiLU()


Made = Callable[[Reader, Any], Any]
OPERATORS: dict[str, Made] = {
    **dict.fromkeys(
        [name for name in FUNCTIONS if name not in ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub")], unary(None)
    ),
    **dict.fromkeys(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"), binary),
    "AveragePool": mean_pool,
    "BatchNormalization": batch_norm,
    "Clip": clip,
    "Conv": conv,
    "Dropout": same,
    "Elu": unary(lambda node: ELU(short(node.settings.get("alpha", 1.0)))),
    "Flatten": flatten,
    "Gelu": unary(_gelu),
    "Gemm": dense,
    "GlobalAveragePool": global_mean,
    "GroupNormalization": group_norm,
    "Identity": same,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "LeakyRelu": unary(lambda node: LeakyReLU(short(node.settings.get("alpha", 0.01)))),
    "LpPool": l2_pool,
    "MatMul": dense,
    "MaxPool": max_pool,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Relu": unary(lambda node: ReLU()),
    "Reshape": reshape,
    "Sigmoid": unary(lambda node: Sigmoid()),
    "Slice": sliced,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Swish": unary(_swish),
    "Tanh": unary(lambda node: Tanh()),
}
