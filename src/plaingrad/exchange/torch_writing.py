"""From a network to PyTorch: the same modules in the same order, or their arrays alone under PyTorch's names."""

import importlib
import os
import pathlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError
from plaingrad.exchange.facts import input_words
from plaingrad.exchange.torch_layers import PARAMETERS, required
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
from plaingrad.training.checkpoint import write_safely

if TYPE_CHECKING:
    from plaingrad.network.network import Network


@dataclass(frozen=True)
class Planned:
    """A module to be made: its name in `torch.nn` and its settings, or one of ours; and the arrays it is to have."""

    kind: str
    settings: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    step: Step | None = None  # of a module of ours


def made_module(net: "Network") -> Any:
    """See `plaingrad.exchange.to_torch`."""
    torch = required("to_torch")
    ours: Any = importlib.import_module("plaingrad.exchange.torch_modules")
    dtype = torch.float32 if net.dtype == np.float32 else torch.float64
    modules: dict[str, Any] = {}
    if (net.offset != 0).any() or (net.factor != 1).any():
        modules["input"] = ours.Standardised(net.offset, net.factor, len(net.input), dtype)
    skips, names = {}, _last_modules(net)
    for name, each in planned(net, "to_torch").items():
        if each.kind == "Skipped" and each.step is not None:
            begins = next(step for step in net if step.name == each.step.layer.skips())
            skips[name] = names[begins.name]
            modules[name] = ours.Skipped(each.step, begins.y)
        elif each.kind == "Pooled":
            modules[name] = ours.Pooled(each.step, dtype)
        else:
            modules[name] = getattr(torch.nn, each.kind)(**each.settings)
        with torch.no_grad():
            for own, array in each.arrays.items():
                getattr(modules[name], own).copy_(torch.tensor(array))
    made = ours.Chained(modules, skips) if skips else torch.nn.Sequential(OrderedDict(modules))
    return made.to(dtype).train(False)


def write_state(net: "Network", path: str | os.PathLike[str]) -> None:
    """See `plaingrad.exchange.to_torch_state`."""
    import safetensors.numpy

    arrays = {
        f"{name}.{own}": np.ascontiguousarray(array)
        for name, each in planned(net, "to_torch_state").items()
        for own, array in each.arrays.items()
    }
    told = {"format": "pt", "input": input_words(net)}
    write_safely(pathlib.Path(path), safetensors.numpy.save(arrays, told))


def planned(net: "Network", who: str) -> dict[str, Planned]:
    """Every module by its name."""
    return {str(number): each for number, (_, each) in enumerate(_modules(net, who))}


def _last_modules(net: "Network") -> dict[str, str]:
    """For each layer the name of the module that gives its output."""
    return {step.name: str(number) for number, (step, _) in enumerate(_modules(net, "to_torch"))}


def _modules(net: "Network", who: str) -> Iterator[tuple[Step, Planned]]:
    for step in net:
        if type(step.layer) not in MODULES:
            raise SettingError(f"{who} has no module for {step.name} = {step.layer}")
        for each in MODULES[type(step.layer)](step):
            yield step, each
        if (activation := getattr(step.layer, "activation", None)) is not None:
            yield from ((step, each) for each in MODULES[type(activation)](_of(step, activation)))


def _of(step: Step, activation: Layer) -> Step:
    return Step(step.name, activation, step.y, step.y, {}, {}, {}, step.make)


def _arrays(step: Step) -> dict[str, Array]:
    number = np.float32 if next(iter(step.arrays.values())).dtype == np.float32 else np.float64
    own = {**step.arrays, **step.state}
    return {PARAMETERS[name]: np.asarray(array, number) for name, array in own.items()}


def _conv(step: Step) -> list[Planned]:
    layer: Any = step.layer
    window, padding, before = layer.window, layer.padding, []
    if padding == "same":
        (top, bottom), (left, right) = window.margins
        even = top == bottom and left == right
        padding = (top, left) if even else "same" if window.stride == (1, 1) else 0
        if padding == 0:  # PyTorch's "same" takes no stride
            before = [Planned("ZeroPad2d", {"padding": (left, right, top, bottom)})]
    settings = {
        "in_channels": step.x[0], "out_channels": layer.filters, "kernel_size": window.size, "stride": window.stride,
        "padding": padding, "dilation": window.dilation, "groups": layer.groups, "bias": layer.bias,
    }  # fmt: skip
    return [*before, Planned("Conv2d", settings, _arrays(step))]


def _dense(step: Step) -> list[Planned]:
    layer: Any = step.layer
    settings = {"in_features": step.x[0], "out_features": layer.units, "bias": layer.bias}
    return [Planned("Linear", settings, _arrays(step))]


def _pool(step: Step) -> list[Planned]:
    layer: Any = step.layer
    window = layer.window
    wide = any(2 * padding > size for padding, size in zip(window.padding, window.size, strict=True))
    spread = isinstance(layer, MeanPool | L2Pool) and window.dilation != (1, 1)
    bare_only = isinstance(layer, L2Pool) and (layer.ceil_mode or window.padding != (0, 0))
    if wide or spread or bare_only:
        return [Planned("Pooled", step=step)]
    settings: dict[str, Any] = {"kernel_size": window.size, "stride": window.stride}
    if isinstance(layer, L2Pool):
        return [Planned("LPPool2d", settings | {"norm_type": 2})]
    settings |= {"padding": window.padding, "ceil_mode": layer.ceil_mode}
    if isinstance(layer, MaxPool):
        return [Planned("MaxPool2d", settings | {"dilation": window.dilation})]
    more = {"count_include_pad": layer.count_padding, "divisor_override": layer.divisor}
    return [Planned("AvgPool2d", settings | more)]


def _batch_norm(step: Step) -> list[Planned]:
    layer: Any = step.layer
    kind = "BatchNorm2d" if len(step.x) == 3 else "BatchNorm1d"
    settings = {"num_features": step.x[0], "eps": layer.epsilon, "momentum": layer.momentum}
    return [Planned(kind, settings, _arrays(step) | {"num_batches_tracked": np.array(0)})]


def _group_norm(step: Step) -> list[Planned]:
    layer: Any = step.layer
    settings = {"num_groups": layer.groups, "num_channels": step.x[0], "eps": layer.epsilon}
    return [Planned("GroupNorm", settings, _arrays(step))]


def _global_mean(step: Step) -> list[Planned]:
    return [Planned("AdaptiveAvgPool2d", {"output_size": 1}), Planned("Flatten")]


def _plain(kind: str, **settings: Any) -> Callable[[Step], list[Planned]]:
    """A module that does what the layer does; a setting is taken from the layer's of that name."""

    def made(step: Step) -> list[Planned]:
        own = {name: getattr(step.layer, each) if isinstance(each, str) else each for name, each in settings.items()}
        return [Planned(kind, own)]

    return made


MODULES: dict[type[Layer], Callable[[Step], list[Planned]]] = {
    Add: lambda step: [Planned("Skipped", step=step)],
    BatchNorm: _batch_norm,
    Conv: _conv,
    Dense: _dense,
    Dropout: _plain("Dropout", p="rate"),
    ELU: _plain("ELU", alpha="slope"),
    Flatten: _plain("Flatten"),
    GELU: _plain("GELU"),
    GlobalMeanPool: _global_mean,
    GroupNorm: _group_norm,
    L2Pool: _pool,
    LeakyReLU: _plain("LeakyReLU", negative_slope="slope"),
    MaxPool: _pool,
    MeanPool: _pool,
    ReLU: _plain("ReLU"),
    Sigmoid: _plain("Sigmoid"),
    SiLU: _plain("SiLU"),
    Softmax: _plain("Softmax", dim=1),
    Tanh: _plain("Tanh"),
    TanhGELU: lambda step: [Planned("GELU", {"approximate": "tanh"})],
}
