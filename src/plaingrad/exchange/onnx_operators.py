"""What each operator of ONNX is here: one function each, from a node of the graph to the value it gives."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.errors import SettingError
from plaingrad.exchange.chain import Value
from plaingrad.exchange.margins import NONE
from plaingrad.exchange.onnx_arithmetic import Node, Reader, binary, unary
from plaingrad.exchange.onnx_windows import conv, l2_pool, max_pool, mean_pool, require
from plaingrad.exchange.pointwise import FUNCTIONS, short
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    Dense,
    GroupNorm,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)


@dataclass(frozen=True)
class Grouped:
    """A value seen as (group, number), as an operator takes it that norms groups of channels."""

    value: Value
    groups: int


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
        if b.size not in (1, len(w)):
            reader.refuse(node, f"with a bias of the shape {b.shape}")
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


def cast(reader: Reader, node: Node) -> Any:
    """A Cast to the type that the numbers are of already."""
    if node.settings["to"] != reader.kind:
        reader.refuse(node, "to another type")
    return same(reader, node)


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
    "Cast": cast,
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
