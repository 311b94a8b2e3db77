"""PyTorch's modules as layers of plaingrad: one table, for networks taken over and for modules that are checked."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import MissingError, PlaingradError, SettingError
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
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

OURS = "plaingrad_layer"
"""The attribute of a module made here that says which layer it is."""
PARAMETERS = {"w": "weight", "b": "bias", "running_mean": "running_mean", "running_variance": "running_var"}


class NoTorchError(MissingError):
    """PyTorch is needed and not installed. It is no extra of plaingrad: which build to take depends on the machine."""

    def __init__(self, who: str) -> None:
        PlaingradError.__init__(self, f"{who} needs PyTorch, which is not installed: pip install torch")


def required(who: str) -> Any:
    """PyTorch; MissingError where it is not installed."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise NoTorchError(who) from None


def flat(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The modules that are called one after another; a module that is no sequence is one by itself."""
    if kind_of(module) != "Sequential":
        yield path or "0", module
        return
    for name, each in module._modules.items():  # named_children() leaves out what comes a second time
        yield from flat(each, f"{path}.{name}" if path else name)


def kind_of(module: Any) -> str:
    """What PyTorch calls a module of its own; nothing for anyone else's, whatever its name."""
    return type(module).__name__ if type(module).__module__.startswith("torch.nn.") else ""


def layer_of(who: str, name: str, module: Any, hint: str = "") -> Layer:
    """The layer that a module stands for. SettingError where there is none, with a hint what to do."""
    if isinstance(ours := getattr(module, OURS, None), Layer):
        return ours
    kind = kind_of(module)
    if kind not in LAYERS:
        more = "; its parts are known only in an nn.Sequential" if hint and list(module.children()) else ""
        raise SettingError(f"{who} knows no layer for module {name} ({type(module).__name__}){more}{hint}")
    for setting, usual in UNUSUAL.items():
        if getattr(module, setting, usual) != usual:
            raise SettingError(
                f"module {name} ({kind}) has {setting}={getattr(module, setting)!r}; only {usual!r} is known"
            )
    return LAYERS[kind](module)


def arrays_of(module: Any, layer: Layer, channels: int) -> dict[str, Array]:
    """A module's own arrays under the names of its layer's; norms without parameters have ones and zeros."""
    found = {ours: getattr(module, theirs, None) for ours, theirs in PARAMETERS.items()}
    arrays = {ours: numbers_of(each) for ours, each in found.items() if each is not None}
    if isinstance(layer, BatchNorm | GroupNorm):
        arrays = {"w": np.ones(channels), "b": np.zeros(channels)} | arrays
    return arrays


def numbers_of(tensor: Any) -> Array:
    """The numbers of a tensor, float64 where they are no whole ones."""
    tensor = tensor.detach().cpu()
    made: Array = (tensor.double() if tensor.is_floating_point() else tensor).numpy().copy()
    return made


def dtype_of(torch: Any, who: str, parameters: Iterator[Any]) -> Any:
    """What parameters are kept in; float32 where there are none."""
    dtypes = {parameter.dtype for parameter in parameters} or {torch.float32}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        raise SettingError(
            f"the module's parameters are {', '.join(sorted(map(str, dtypes)))}; {who} needs all of them in float32 "
            "or in float64: module.double()"
        )
    return dtypes.pop()


UNUSUAL: dict[str, Any] = {
    "padding_mode": "zeros", "return_indices": False, "start_dim": 1, "end_dim": -1,
}  # fmt: skip


def pair(value: Any) -> tuple[int, int]:
    """A setting of PyTorch's as (rows, columns)."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _conv(module: Any) -> Layer:
    padding = 0 if module.padding == "valid" else module.padding
    return Conv(
        module.out_channels, module.kernel_size, module.stride, padding, module.dilation, module.groups,
        module.bias is not None,
    )  # fmt: skip


def _pool(kind: type[MaxPool] | type[MeanPool]) -> Callable[[Any], Layer]:
    def made(module: Any) -> Layer:
        dilation, stride = pair(getattr(module, "dilation", 1)), pair(module.stride or module.kernel_size)
        pool = kind(pair(module.kernel_size), stride, pair(module.padding), dilation, module.ceil_mode)
        if kind is not MeanPool:
            return pool
        return pool.replace(count_padding=module.count_include_pad, divisor=module.divisor_override)

    return made


def _l2(module: Any) -> Layer:
    if module.norm_type != 2:
        raise SettingError(
            f"LPPool2d with norm_type={module.norm_type} has no counterpart in plaingrad; L2Pool has norm_type=2"
        )
    if module.ceil_mode:
        raise SettingError(
            "LPPool2d with ceil_mode=True has no counterpart in plaingrad: where a window overhangs PyTorch scales its "
            "sum up, as if the window were whole, and L2Pool does not"
        )
    return L2Pool(pair(module.kernel_size), pair(module.stride or module.kernel_size))


def _softmax(module: Any) -> Layer:
    if module.dim not in (1, -1):
        raise SettingError(
            f"Softmax with dim={module.dim} has no counterpart in plaingrad; use dim=1, the axis of the outputs"
        )
    return Softmax()


def _batch_norm(module: Any) -> Layer:
    if module.running_mean is None or module.momentum is None:
        raise SettingError(
            f"{type(module).__name__} without running values, or with momentum=None, has no counterpart in plaingrad"
        )
    return BatchNorm(module.eps, module.momentum)


def _layer_norm(module: Any) -> Layer:
    if len(module.normalized_shape) != 1:
        raise SettingError("LayerNorm of images has a weight for each pixel; GroupNorm(1) has one for each channel")
    return GroupNorm(1, module.eps)


def _instance_norm(module: Any) -> Layer:
    if module.running_mean is not None:
        raise SettingError("InstanceNorm2d with running values has no counterpart in plaingrad")
    return GroupNorm(module.num_features, module.eps)


LAYERS: dict[str, Callable[[Any], Layer]] = {
    "AvgPool2d": _pool(MeanPool),
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "Conv2d": _conv,
    "Dropout": lambda module: Dropout(module.p),
    "ELU": lambda module: ELU(float(module.alpha)),
    "Flatten": lambda module: Flatten(),
    "GELU": lambda module: TanhGELU() if module.approximate == "tanh" else GELU(),
    "GroupNorm": lambda module: GroupNorm(module.num_groups, module.eps),
    "InstanceNorm2d": _instance_norm,
    "LPPool2d": _l2,
    "LayerNorm": _layer_norm,
    "LeakyReLU": lambda module: LeakyReLU(float(module.negative_slope)),
    "Linear": lambda module: Dense(module.out_features, bias=module.bias is not None),
    "MaxPool2d": _pool(MaxPool),
    "ReLU": lambda module: ReLU(),
    "SiLU": lambda module: SiLU(),
    "Sigmoid": lambda module: Sigmoid(),
    "Softmax": _softmax,
    "Tanh": lambda module: Tanh(),
}
