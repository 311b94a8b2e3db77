"""From a network to an ONNX file: one operator or a few for each layer, as any runtime has them."""

import importlib
import json
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plaingrad.errors import CheckpointError, MissingError, SettingError
from plaingrad.exchange.facts import class_names, input_words
from plaingrad.exchange.margins import Margins, reached
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
from plaingrad.training.checkpoint import write_safely

if TYPE_CHECKING:
    from plaingrad.network.network import Network

OPSET, IR = 18, 10
PIXELS, INPUT, CLASSES = "plaingrad.pixels", "input", "classes"  # names of metadata
FUSED = ".activation"
"""How a node's name ends that is the activation within the layer of the node before it."""
END = (1 << 63) - 1


def required(who: str) -> Any:
    """The onnx package; MissingError where it is not installed."""
    try:
        for part in ("checker", "numpy_helper", "helper"):
            importlib.import_module(f"onnx.{part}")
        return importlib.import_module("onnx")
    except ImportError:
        raise MissingError(who, "the onnx package", "onnx") from None


def to_onnx(
    net: "Network",
    path: str | os.PathLike[str],
    *,
    probabilities: bool = False,
    classes: Sequence[str] = (),
    dtype: npt.DTypeLike = np.float32,
) -> None:
    """Write the trained network as an ONNX file (opset 18, IR 10), from images (N, channel, row, column) to outputs.

    The input is as `net` takes floats: its offset and factor are the first operators, and the metadata say what a
    pixel counts. With `probabilities` a softmax is put behind scores. `classes` are the outputs' names, kept as a JSON
    list in the metadata. Dropout falls away; BatchNorm takes its running values. Numbers are float32, or float64 by
    `dtype`. SettingError for a layer that has no operator; MissingError without `pip install 'plaingrad[onnx]'`.
    """
    onnx = required("to_onnx")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise SettingError(f"to_onnx got dtype {np.dtype(dtype)}; it needs float32 or float64")
    writer = Writer(onnx, net, np.dtype(dtype))
    output = writer.layers()
    if probabilities and not isinstance(net.layers[-1], Softmax):
        Softmax().output(net.output)  # or it says what is needed
        output = writer.put("Softmax", output, name="probabilities", axis=1)
    model = writer.model(output, class_names(classes, net))
    try:
        onnx.checker.check_model(model, full_check=True)
        content = model.SerializeToString()
    except ValueError as error:  # more than a file of this kind may hold, 2 GiB
        raise CheckpointError(f"cannot write {path}: {str(error).splitlines()[0]}") from None
    write_safely(pathlib.Path(path), content)


class Writer:
    """The nodes and arrays of a graph, as they are put one after another."""

    def __init__(self, onnx: Any, net: "Network", dtype: np.dtype[Any]) -> None:
        self.onnx, self.net, self.dtype = onnx, net, dtype
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self.made: dict[str, str] = {}  # what each layer gives

    def put(self, kind: str, *inputs: str, name: str, **settings: Any) -> str:
        """One node; its output has its name."""
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], name=name, **settings))
        return name

    def number(self, name: str, array: Any, dtype: Any = None) -> str:
        """An array of the graph's own."""
        kept = np.asarray(np.asarray(array), dtype or self.dtype)
        self.arrays.append(self.onnx.numpy_helper.from_array(kept, name))
        return name

    def layers(self) -> str:
        """The nodes of all layers, from the input on; the name of the last output."""
        value, net = "images", self.net
        shape = (-1, *(1 for _ in net.input[1:]))
        if (net.offset != 0).any():
            value = self.put("Sub", value, self.number("offset", net.offset.reshape(shape)), name="input.centred")
        if (net.factor != 1).any():
            value = self.put("Mul", value, self.number("factor", net.factor.reshape(shape)), name="input.scaled")
        for step in net:
            if type(step.layer) not in OPERATIONS:
                raise SettingError(f"to_onnx has no operator for {step.name} = {step.layer}")
            value = OPERATIONS[type(step.layer)](self, step, value)
            if (activation := getattr(step.layer, "activation", None)) is not None:
                self.nodes[-1].name = self.nodes[-1].output[0] = f"{step.name}.sums"
                value = OPERATIONS[type(activation)](self, step, f"{step.name}.sums")
                self.nodes[-1].name = step.name + FUSED
            self.made[step.name] = value
        return value

    def model(self, output: str, classes: Sequence[str]) -> Any:
        helper, net = self.onnx.helper, self.net
        if output == "images":  # nothing but layers that fall away
            output = self.put("Identity", output, name="output")
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        source = helper.make_tensor_value_info("images", kind, ["N", *net.input], input_words(net))
        if output != "output":
            output = self.put("Identity", output, name="output")
        target = helper.make_tensor_value_info("output", kind, ["N", *net.output])
        graph = helper.make_graph(self.nodes, net.name, [source], [target], self.arrays)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="plaingrad", opset_imports=opsets, ir_version=IR)
        told = {INPUT: input_words(net)}
        if classes:
            told[CLASSES] = json.dumps(list(classes), ensure_ascii=False)
        if net.seen is not None:
            told[PIXELS] = json.dumps(net.seen.to_json())
        helper.set_model_props(model, told)
        return model


def _conv(writer: Writer, step: Step, value: str) -> str:
    layer: Any = step.layer
    window: Window = layer.window
    inputs = [writer.number(f"{step.name}.{name}", array) for name, array in step.arrays.items()]
    return writer.put(
        "Conv", value, *inputs, name=step.name, kernel_shape=window.size, strides=window.stride,
        dilations=window.dilation, group=layer.groups, pads=_pads(window.margins),
    )  # fmt: skip


def _pads(margins: Margins) -> list[int]:
    (top, bottom), (left, right) = margins
    return [top, left, bottom, right]


def _dense(writer: Writer, step: Step, value: str) -> str:
    inputs = [writer.number(f"{step.name}.{name}", array) for name, array in step.arrays.items()]
    return writer.put("Gemm", value, *inputs, name=step.name, transB=1)


def _moves(step: Step) -> dict[str, Any]:
    """Size, stride and padding of a pool. A last window that hangs over is padding at the end: the same windows."""
    layer: Any = step.layer
    window: Window = layer.window
    return {"kernel_shape": window.size, "strides": window.stride, "pads": _pads(reached(step))}


def _is_wide(step: Step) -> bool:
    """Whether it is padded by more than runtimes take, as much as the window has weights along an axis."""
    layer: Any = step.layer
    return any(max(margin) >= size for margin, size in zip(reached(step), layer.window.size, strict=True))


def _padded(writer: Writer, step: Step, value: str, outside: float) -> tuple[str, dict[str, Any]]:
    """What a pool moves over and its moves, with a node for a wide padding."""
    moves = _moves(step)
    if not _is_wide(step):
        return value, moves
    top, left, bottom, right = moves["pads"]
    pads = writer.number(f"{step.name}.pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    outside_name = writer.number(f"{step.name}.outside", outside)
    return writer.put("Pad", value, pads, outside_name, name=f"{step.name}.padded"), moves | {"pads": [0, 0, 0, 0]}


def _max_pool(writer: Writer, step: Step, value: str) -> str:
    layer: Any = step.layer
    value, moves = _padded(writer, step, value, -math.inf)
    return writer.put("MaxPool", value, name=step.name, dilations=layer.window.dilation, **moves)


def _l2_pool(writer: Writer, step: Step, value: str) -> str:
    layer: Any = step.layer
    value, moves = _padded(writer, step, value, 0.0)
    return writer.put("LpPool", value, name=step.name, p=2, dilations=layer.window.dilation, **moves)


def _mean_pool(writer: Writer, step: Step, value: str) -> str:
    """AveragePool; where that has not what is needed, the sums by a convolution with ones, over the pixels of each."""
    layer: Any = step.layer
    window: Window = layer.window
    usual = layer.divisor is None and window.dilation == (1, 1) and not (layer.ceil_mode and layer.count_padding)
    if usual and not _is_wide(step):
        return writer.put(
            "AveragePool", value, name=step.name, count_include_pad=int(layer.count_padding), **_moves(step)
        )
    channels = step.x[0]
    ones = writer.number(f"{step.name}.ones", np.ones((channels, 1, *window.size)))
    sums = writer.put(
        "Conv", value, ones, name=f"{step.name}.sums", group=channels, dilations=window.dilation, **_moves(step)
    )
    pixels = writer.number(f"{step.name}.pixels", [[layer.constants(step.x)["pixels"]]])
    return writer.put("Div", sums, pixels, name=step.name)


def _global_mean(writer: Writer, step: Step, value: str) -> str:
    means = writer.put("GlobalAveragePool", value, name=f"{step.name}.means")
    return writer.put("Flatten", means, name=step.name, axis=1)


def _batch_norm(writer: Writer, step: Step, value: str) -> str:
    layer: Any = step.layer
    arrays = {**step.arrays, **step.state}
    inputs = [
        writer.number(f"{step.name}.{name}", arrays[name]) for name in ("w", "b", "running_mean", "running_variance")
    ]
    return writer.put(
        "BatchNormalization", value, *inputs, name=step.name, epsilon=layer.epsilon, momentum=1 - layer.momentum
    )


def _group_norm(writer: Writer, step: Step, value: str) -> str:
    """Each group as one channel of InstanceNormalization, then a factor and an amount for each channel."""
    layer: Any = step.layer
    name, channels = step.name, step.x[0]
    shape = (channels, *(1 for _ in step.x[1:]))
    groups = writer.number(f"{name}.groups", [0, layer.groups, -1], np.int64)
    grouped = writer.put("Reshape", value, groups, name=f"{name}.grouped")
    one, zero = (writer.number(f"{name}.{each}", np.full(layer.groups, n)) for n, each in enumerate(("zeros", "ones")))
    normal = writer.put("InstanceNormalization", grouped, zero, one, name=f"{name}.normal", epsilon=layer.epsilon)
    whole = writer.number(f"{name}.shape", [0, *step.x], np.int64)
    value = writer.put("Reshape", normal, whole, name=f"{name}.whole")
    value = writer.put("Mul", value, writer.number(f"{name}.w", step.arrays["w"].reshape(shape)), name=f"{name}.scaled")
    return writer.put("Add", value, writer.number(f"{name}.b", step.arrays["b"].reshape(shape)), name=name)


def _add(writer: Writer, step: Step, value: str) -> str:
    """The skip takes every second row and column by Slice, and lacking channels by Pad."""
    begins = next(each for each in writer.net if each.name == step.layer.skips())
    skip, strides = writer.made[begins.name], step.layer.joined(step.x, begins.y)
    steps = [strides["stride_0"], strides["stride_1"]][: len(step.x) - 1]
    if any(each > 1 for each in steps):
        four = [("starts", [0, 0]), ("ends", [END, END]), ("axes", [2, 3]), ("steps", steps)]
        names = [writer.number(f"{step.name}.{name}", values, np.int64) for name, values in four]
        skip = writer.put("Slice", skip, *names, name=f"{step.name}.every")
    if begins.y[0] < step.x[0]:
        rest = len(step.x) - 1
        pads = [0] * (2 + rest) + [0, step.x[0] - begins.y[0]] + [0] * rest
        skip = writer.put("Pad", skip, writer.number(f"{step.name}.more", pads, np.int64), name=f"{step.name}.wider")
    return writer.put("Add", value, skip, name=step.name)


def _silu(writer: Writer, step: Step, value: str) -> str:
    return writer.put("Mul", value, writer.put("Sigmoid", value, name=f"{step.name}.sigmoid"), name=step.name)


def _half(writer: Writer, step: Step, value: str, curve: str) -> str:
    """x · (1 + curve) / 2."""
    one, half = (writer.number(f"{step.name}.{name}", n) for name, n in (("one", 1), ("half", 0.5)))
    more = writer.put("Add", curve, one, name=f"{step.name}.more")
    return writer.put("Mul", writer.put("Mul", value, more, name=f"{step.name}.twice"), half, name=step.name)


def _gelu(writer: Writer, step: Step, value: str) -> str:
    root = writer.number(f"{step.name}.root", 2**0.5)
    return _half(
        writer, step, value,
        writer.put("Erf", writer.put("Div", value, root, name=f"{step.name}.spread"), name=f"{step.name}.erf"),
    )  # fmt: skip


def _tanh_gelu(writer: Writer, step: Step, value: str) -> str:
    name, constants = step.name, step.layer.constants(step.x)
    cube = writer.put("Pow", value, writer.number(f"{name}.three", 3), name=f"{name}.cube")
    part = writer.put("Mul", cube, writer.number(f"{name}.cubic", constants["cubic"]), name=f"{name}.part")
    bent = writer.put("Add", value, part, name=f"{name}.bent")
    scaled = writer.put("Mul", bent, writer.number(f"{name}.scale", constants["scale"]), name=f"{name}.scaled")
    return _half(writer, step, value, writer.put("Tanh", scaled, name=f"{name}.curve"))


def _plain(kind: str, **settings: Any) -> Callable[[Writer, Step, str], str]:
    """An operator that does what the layer does; a setting is taken from the layer's of that name."""

    def put(writer: Writer, step: Step, value: str) -> str:
        owner = getattr(step.layer, "activation", None) or step.layer
        own = {name: getattr(owner, each) if isinstance(each, str) else each for name, each in settings.items()}
        return writer.put(kind, value, name=step.name, **own)

    return put


OPERATIONS: dict[type[Layer], Callable[[Writer, Step, str], str]] = {
    Add: _add,
    BatchNorm: _batch_norm,
    Conv: _conv,
    Dense: _dense,
    Dropout: lambda writer, step, value: value,
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
