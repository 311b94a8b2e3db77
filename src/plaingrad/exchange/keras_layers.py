"""Each kind of Keras layer: the names of its arrays, and how it is put into the chain."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.exchange.chain import Chain, Value
from plaingrad.exchange.margins import NONE, Margins, same_margins
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    Dense,
    Dropout,
    GroupNorm,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)

Config = dict[str, Any]
Own = dict[str, Array]


@dataclass(frozen=True)
class Made:
    """How a kind of layer is taken over: `put` from its settings, what it takes, and its arrays by name."""

    put: Callable[[Any, str, Config, list[Value], Own], Value]
    arrays: Callable[[Config], list[str]] = lambda config: []
    activated: bool = False  # whether it may have an activation of its own


def _kernel(config: Config) -> list[str]:
    return ["kernel", "bias"] if config.get("use_bias", True) else ["kernel"]


def _norm(*running: str) -> Callable[[Config], list[str]]:
    def arrays(config: Config) -> list[str]:
        own = {"gamma": config.get("scale", True), "beta": config.get("center", True)}
        return [name for name, there in own.items() if there] + list(running)

    return arrays


def _window(reader: Any, what: str, config: Config, value: Value, size: tuple[int, int]) -> dict[str, Any]:
    """Stride, dilation and margins."""
    shape = reader.chain.shape(value)
    stride = _pair(config.get("strides") or size)
    dilation = _pair(config.get("dilation_rate", 1))
    if len(shape) != 3:
        reader.chain.refuse(f"{what} got {shape}; it needs images of three axes")
    if config["padding"] == "valid":
        margins: Margins = NONE
    elif config["padding"] == "same" and value.around == NONE:
        rows, columns = (same_margins(*each) for each in zip(shape[1:], size, stride, dilation, strict=True))
        margins = rows, columns
    else:
        reader.chain.refuse(f"{what} has padding={config['padding']!r}; it needs valid, or same without other padding")
    return {"stride": stride, "dilation": dilation, "margins": margins}


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _conv(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    """The kernel is (row, column, channel, filter)."""
    w = own["kernel"].transpose(3, 2, 0, 1)
    settings = _window(reader, what, config, taken[0], w.shape[2:])
    made: Value = reader.chain.conv(taken[0], what, w, own.get("bias"), groups=config.get("groups", 1), **settings)
    return made


def _depthwise(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    """The kernel is (row, column, channel, filter of the channel)."""
    kernel = own["kernel"]
    channels = kernel.shape[2]
    w = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    settings = _window(reader, what, config, taken[0], w.shape[2:])
    made: Value = reader.chain.conv(taken[0], what, w, own.get("bias"), groups=channels, **settings)
    return made


def _dense(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    kernel = own["kernel"] if reader.order is None else own["kernel"][reader.order]
    reader.order = None
    layer = Dense(kernel.shape[1], bias="bias" in own)
    made: Value = reader.chain.append(taken[0], layer, what, {"w": kernel.T, "b": own.get("bias")})
    return made


def _pool(kind: type[MaxPool | MeanPool]) -> Callable[[Any, str, Config, list[Value], Own], Value]:
    def put(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
        size = _pair(config["pool_size"])
        settings = _window(reader, what, config, taken[0], size)
        made: Value = reader.chain.pool(taken[0], what, kind, size, **settings)
        return made

    return put


def _global_mean(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    made: Value = reader.chain.mean_of_channels(taken[0], what)
    return made if config.get("keepdims") else reader.chain.flatten(made, what)


def _flatten(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    """The order of its features is that of (row, column, channel)."""
    shape = reader.chain.shape(taken[0])
    made: Value = reader.chain.flatten(taken[0], what)
    if len(shape) == 3 and reader.is_last and shape[0] > 1 and shape[1:] != (1, 1):
        channels, rows, columns = shape
        numbers = np.arange(math.prod(shape)).reshape(rows, columns, channels)
        reader.order = numbers.transpose(2, 0, 1).reshape(-1)
    return made


def _reshape(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    """A Reshape that flattens, or that gives images of one channel that axis."""
    shape, wanted = reader.chain.shape(taken[0]), tuple(config["target_shape"])
    rows_first = (*shape[1:], shape[0]) if len(shape) == 3 else shape
    if wanted == rows_first and (reader.is_last or shape[0] == 1):
        if len(shape) == 3:
            reader.is_last = True
        return taken[0]
    if wanted in ((-1,), (math.prod(shape),)):
        return _flatten(reader, what, config, taken, own)
    reader.chain.refuse(f"{what} makes {wanted} of {rows_first}, which is no layer here")
    return taken[0]


def _each(reader: Any, own: Own) -> Own:
    """Arrays of one number a feature in our order."""
    return own if reader.order is None else {name: array[reader.order] for name, array in own.items()}


def _batch_norm(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    _last_axis(reader, what, config, taken[0])
    layer, own = BatchNorm(config["epsilon"], _rest(config["momentum"])), _each(reader, own)
    arrays = _affine(own, own["moving_mean"])
    arrays |= {"running_mean": own["moving_mean"], "running_variance": own["moving_variance"]}
    made: Value = reader.chain.append(taken[0], layer, what, arrays)
    return made


def _rest(momentum: float) -> float:
    """1 - momentum without the noise of binary numbers: 0.01 of 0.99."""
    return round(1 - momentum, 15)


def _affine(own: Own, like: Array) -> Own:
    return {"w": own.get("gamma", np.ones_like(like)), "b": own.get("beta", np.zeros_like(like))}


def _last_axis(reader: Any, what: str, config: Config, value: Value) -> None:
    axis, axes = config.get("axis", -1), len(reader.chain.shape(value))
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    channels = (-1, axes) if reader.is_last or axes == 1 else (1, -axes)
    if axis not in channels:
        reader.chain.refuse(f"{what} norms along axis {axis}; the channels are axis {channels[0]}")


def _group_norm(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    _last_axis(reader, what, config, taken[0])
    channels = reader.chain.shape(taken[0])[0]
    groups = channels if config["groups"] == -1 else config["groups"]
    if reader.order is not None and groups != 1:
        reader.chain.refuse(f"{what} norms groups of flattened images, whose order is another here")
    made: Value = reader.chain.append(
        taken[0], GroupNorm(groups, config["epsilon"]), what, _affine(_each(reader, own), np.ones(channels))
    )
    return made


def _layer_norm(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    if len(reader.chain.shape(taken[0])) != 1:
        reader.chain.refuse(f"{what} norms the channels of each pixel, which no layer here does")
    return _group_norm(reader, what, config | {"groups": 1}, taken, own)


def _rescaling(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    chain: Chain = reader.chain
    if not chain.scale(taken[0], np.asarray(config["scale"])) or not chain.shift(
        taken[0], np.asarray(config["offset"])
    ):
        chain.refuse(f"{what} stands behind a layer; only the input has a factor and an offset here")
    return taken[0]


def _padding(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    """Zeros around the image, for the convolution that comes next."""
    (top, bottom), (left, right) = config["padding"]
    if taken[0].around != NONE:
        reader.chain.refuse(f"{what} pads around other padding")
    return replace(taken[0], around=((top, bottom), (left, right)))


def _add(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    if len(taken) != 2:
        reader.chain.refuse(f"{what} adds {len(taken)} outputs; Add here adds one to the last")
    made: Value = reader.chain.join(*taken, what)
    return made


def _same(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    return taken[0]


def _layer(make: Callable[[Config], Layer]) -> Made:
    def put(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
        made: Value = reader.chain.append(taken[0], make(config), what)
        return made

    return Made(put)


def _relu(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    if config.get("max_value") is not None or config.get("threshold", 0):
        reader.chain.refuse(f"{what} has a threshold or a largest value, which no layer here has")
    slope = float(config.get("negative_slope") or 0)
    made: Value = reader.chain.append(taken[0], LeakyReLU(slope) if slope else ReLU(), what)
    return made


def _softmax(reader: Any, what: str, config: Config, taken: list[Value], own: Own) -> Value:
    if config.get("axis", -1) not in (-1, 1):
        reader.chain.refuse(f"{what} has axis={config['axis']}; it needs -1")
    made: Value = reader.chain.append(taken[0], Softmax(), what)
    return made


def _slope(config: Config) -> Layer:
    return LeakyReLU(float(config["negative_slope"] if "negative_slope" in config else config["alpha"]))


KINDS: dict[str, Made] = {
    "Activation": Made(_same, activated=True),
    "Add": Made(_add),
    "AveragePooling2D": Made(_pool(MeanPool)),
    "BatchNormalization": Made(_batch_norm, _norm("moving_mean", "moving_variance")),
    "Conv2D": Made(_conv, _kernel, activated=True),
    "Dense": Made(_dense, _kernel, activated=True),
    "DepthwiseConv2D": Made(_depthwise, _kernel, activated=True),
    "Dropout": _layer(lambda config: Dropout(config["rate"])),
    "ELU": _layer(lambda config: ELU(float(config["alpha"]))),
    "Flatten": Made(_flatten),
    "GlobalAveragePooling2D": Made(_global_mean),
    "GroupNormalization": Made(_group_norm, _norm()),
    "InputLayer": Made(_same),
    "LayerNormalization": Made(_layer_norm, _norm()),
    "LeakyReLU": _layer(_slope),
    "MaxPooling2D": Made(_pool(MaxPool)),
    "ReLU": Made(_relu),
    "Rescaling": Made(_rescaling),
    "Reshape": Made(_reshape),
    "Softmax": Made(_softmax),
    "SpatialDropout2D": Made(_same),
    "ZeroPadding2D": Made(_padding),
}
ACTIVATIONS: dict[str, Callable[[], Layer | None]] = {
    "elu": ELU,
    "gelu": GELU,
    "leaky_relu": lambda: LeakyReLU(0.2),
    "linear": lambda: None,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softmax": Softmax,
    "swish": SiLU,
    "tanh": Tanh,
}
