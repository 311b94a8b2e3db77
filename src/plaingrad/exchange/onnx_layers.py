"""Each layer as ONNX has it: one operator or a few, of those that any runtime knows."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from plaingrad.exchange.margins import Margins, reached
from plaingrad.exchange.onnx_graph import Graph
from plaingrad.network.step import Step
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalMeanPool,
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

END = (1 << 63) - 1


def _conv(graph: Graph, step: Step, value: str) -> str:
    layer: Any = step.layer
    window: Window = layer.window
    inputs = [graph.number(f"{step.name}.{name}", array) for name, array in step.arrays.items()]
    return graph.put(
        "Conv", value, *inputs, name=step.name, kernel_shape=window.size, strides=window.stride,
        dilations=window.dilation, group=layer.groups, pads=_pads(window.margins),
    )  # fmt: skip


def _pads(margins: Margins) -> list[int]:
    (top, bottom), (left, right) = margins
    return [top, left, bottom, right]


def _dense(graph: Graph, step: Step, value: str) -> str:
    inputs = [graph.number(f"{step.name}.{name}", array) for name, array in step.arrays.items()]
    return graph.put("Gemm", value, *inputs, name=step.name, transB=1)


def _moves(step: Step) -> dict[str, Any]:
    """Size, stride and padding of a pool. A last window that hangs over is padding at the end: the same windows."""
    layer: Any = step.layer
    window: Window = layer.window
    return {"kernel_shape": window.size, "strides": window.stride, "pads": _pads(reached(step))}


def _is_wide(step: Step) -> bool:
    """Whether it is padded by more than runtimes take, as much as the window has weights along an axis."""
    layer: Any = step.layer
    return any(max(margin) >= size for margin, size in zip(reached(step), layer.window.size, strict=True))


def _padded(graph: Graph, step: Step, value: str, outside: float) -> tuple[str, dict[str, Any]]:
    """What a pool moves over and its moves, with a node for a wide padding."""
    moves = _moves(step)
    if not _is_wide(step):
        return value, moves
    top, left, bottom, right = moves["pads"]
    pads = graph.number(f"{step.name}.pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    outside_name = graph.number(f"{step.name}.outside", outside)
    return graph.put("Pad", value, pads, outside_name, name=f"{step.name}.padded"), moves | {"pads": [0, 0, 0, 0]}


def _max_pool(graph: Graph, step: Step, value: str) -> str:
    layer: Any = step.layer
    value, moves = _padded(graph, step, value, -math.inf)
    return graph.put("MaxPool", value, name=step.name, dilations=layer.window.dilation, **moves)


def _l2_pool(graph: Graph, step: Step, value: str) -> str:
    layer: Any = step.layer
    value, moves = _padded(graph, step, value, 0.0)
    return graph.put("LpPool", value, name=step.name, p=2, dilations=layer.window.dilation, **moves)


def _mean_pool(graph: Graph, step: Step, value: str) -> str:
    """AveragePool; where that has not what is needed, the sums by a convolution with ones, over the pixels of each."""
    layer: Any = step.layer
    window: Window = layer.window
    usual = layer.divisor is None and window.dilation == (1, 1) and not (layer.ceil_mode and layer.count_padding)
    if usual and not _is_wide(step):
        return graph.put(
            "AveragePool", value, name=step.name, count_include_pad=int(layer.count_padding), **_moves(step)
        )
    channels = step.x[0]
    ones = graph.number(f"{step.name}.ones", np.ones((channels, 1, *window.size)))
    sums = graph.put(
        "Conv", value, ones, name=f"{step.name}.sums", group=channels, dilations=window.dilation, **_moves(step)
    )
    pixels = graph.number(f"{step.name}.pixels", [[layer.constants(step.x)["pixels"]]])
    return graph.put("Div", sums, pixels, name=step.name)


def _global_mean(graph: Graph, step: Step, value: str) -> str:
    means = graph.put("GlobalAveragePool", value, name=f"{step.name}.means")
    return graph.put("Flatten", means, name=step.name, axis=1)


def _batch_norm(graph: Graph, step: Step, value: str) -> str:
    layer: Any = step.layer
    arrays = {**step.arrays, **step.state}
    inputs = [
        graph.number(f"{step.name}.{name}", arrays[name]) for name in ("w", "b", "running_mean", "running_variance")
    ]
    return graph.put(
        "BatchNormalization", value, *inputs, name=step.name, epsilon=layer.epsilon, momentum=1 - layer.momentum
    )


def _group_norm(graph: Graph, step: Step, value: str) -> str:
    """Each group as one channel of InstanceNormalization, then a factor and an amount for each channel."""
    layer: Any = step.layer
    name, channels = step.name, step.x[0]
    shape = (channels, *(1 for _ in step.x[1:]))
    groups = graph.number(f"{name}.groups", [0, layer.groups, -1], np.int64)
    grouped = graph.put("Reshape", value, groups, name=f"{name}.grouped")
    one, zero = (graph.number(f"{name}.{each}", np.full(layer.groups, n)) for n, each in enumerate(("zeros", "ones")))
    normal = graph.put("InstanceNormalization", grouped, zero, one, name=f"{name}.normal", epsilon=layer.epsilon)
    whole = graph.number(f"{name}.shape", [0, *step.x], np.int64)
    value = graph.put("Reshape", normal, whole, name=f"{name}.whole")
    value = graph.put("Mul", value, graph.number(f"{name}.w", step.arrays["w"].reshape(shape)), name=f"{name}.scaled")
    return graph.put("Add", value, graph.number(f"{name}.b", step.arrays["b"].reshape(shape)), name=name)


def _add(graph: Graph, step: Step, value: str) -> str:
    """The skip takes every second row and column by Slice, and lacking channels by Pad."""
    begins = next(each for each in graph.net if each.name == step.layer.skips())
    skip, strides = graph.made[begins.name], step.layer.joined(step.x, begins.y)
    steps = [strides["stride_0"], strides["stride_1"]][: len(step.x) - 1]
    if any(each > 1 for each in steps):
        four = [("starts", [0, 0]), ("ends", [END, END]), ("axes", [2, 3]), ("steps", steps)]
        names = [graph.number(f"{step.name}.{name}", values, np.int64) for name, values in four]
        skip = graph.put("Slice", skip, *names, name=f"{step.name}.every")
    if begins.y[0] < step.x[0]:
        rest = len(step.x) - 1
        pads = [0] * (2 + rest) + [0, step.x[0] - begins.y[0]] + [0] * rest
        skip = graph.put("Pad", skip, graph.number(f"{step.name}.more", pads, np.int64), name=f"{step.name}.wider")
    return graph.put("Add", value, skip, name=step.name)


def _silu(graph: Graph, step: Step, value: str) -> str:
    return graph.put("Mul", value, graph.put("Sigmoid", value, name=f"{step.name}.sigmoid"), name=step.name)


def _half(graph: Graph, step: Step, value: str, curve: str) -> str:
    """x · (1 + curve) / 2."""
    one, half = (graph.number(f"{step.name}.{name}", n) for name, n in (("one", 1), ("half", 0.5)))
    more = graph.put("Add", curve, one, name=f"{step.name}.more")
    return graph.put("Mul", graph.put("Mul", value, more, name=f"{step.name}.twice"), half, name=step.name)


def _gelu(graph: Graph, step: Step, value: str) -> str:
    root = graph.number(f"{step.name}.root", 2**0.5)
    return _half(
        graph, step, value,
        graph.put("Erf", graph.put("Div", value, root, name=f"{step.name}.spread"), name=f"{step.name}.erf"),
    )  # fmt: skip


def _tanh_gelu(graph: Graph, step: Step, value: str) -> str:
    name, constants = step.name, step.layer.constants(step.x)
    cube = graph.put("Pow", value, graph.number(f"{name}.three", 3), name=f"{name}.cube")
    part = graph.put("Mul", cube, graph.number(f"{name}.cubic", constants["cubic"]), name=f"{name}.part")
    bent = graph.put("Add", value, part, name=f"{name}.bent")
    scaled = graph.put("Mul", bent, graph.number(f"{name}.scale", constants["scale"]), name=f"{name}.scaled")
    return _half(graph, step, value, graph.put("Tanh", scaled, name=f"{name}.curve"))


def _plain(kind: str, **settings: Any) -> Callable[[Graph, Step, str], str]:
    """An operator that does what the layer does; a setting is taken from the layer's of that name."""

    def put(graph: Graph, step: Step, value: str) -> str:
        owner = getattr(step.layer, "activation", None) or step.layer
        own = {name: getattr(owner, each) if isinstance(each, str) else each for name, each in settings.items()}
        return graph.put(kind, value, name=step.name, **own)

    return put


OPERATIONS: dict[type[Layer], Callable[[Graph, Step, str], str]] = {
    Add: _add,
    BatchNorm: _batch_norm,
    Conv: _conv,
    Dense: _dense,
    Dropout: lambda graph, step, value: value,
    ELU: _plain("Elu", alpha="slope"),
    Flatten: _plain("Flatten", axis=1),
    GELU: _gelu,
    GlobalMeanPool: _global_mean,
    GroupNorm: _group_norm,
    L2Pool: _l2_pool,
    LeakyReLU: _plain("LeakyRelu", alpha="slope"),
    MaxPool: _max_pool,
    MeanPool: _mean_pool,
    ReLU: _plain("Relu"),
    Sigmoid: _plain("Sigmoid"),
    SiLU: _silu,
    Softmax: _plain("Softmax", axis=1),
    Tanh: _plain("Tanh"),
    TanhGELU: _tanh_gelu,
}
