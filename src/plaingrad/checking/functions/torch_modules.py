"""PyTorch modules beside the same layers of plaingrad. PyTorch is loaded when it is asked for, and never else."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.functions.in_python import batch_of, check_network
from plaingrad.checking.functions.own_names import OwnVerdict
from plaingrad.errors import MissingError, PlaingradError, SettingError
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    Conv,
    Dense,
    Flatten,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from plaingrad.textbook.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy

PASSED = ("Identity", "Dropout", "Dropout2d")
PARAMETERS = {"w": "weight", "b": "bias"}


class NoTorchError(MissingError):
    """PyTorch is needed and not installed. It is no extra of plaingrad: which build to take depends on the machine."""

    def __init__(self) -> None:
        PlaingradError.__init__(self, "check_module needs PyTorch, which is not installed: pip install torch")


@dataclass(frozen=True)
class Part:
    """One module of a sequence: the name it has there, and the layer it stands for."""

    name: str
    module: Any
    layer: Layer


def verdict_on(module: Any, x: Any, target: Any, loss: Any, stands_for: Mapping[Any, Any]) -> OwnVerdict:
    """The verdict on a module; see `plaingrad.testing.check_module`."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        raise NoTorchError from None
    if not isinstance(module, torch.nn.Module):
        raise SettingError(f"check_module got a {type(module).__name__}; it needs a torch.nn.Module")
    parts = _parts(module, stands_for)
    measure, its_loss = _loss(torch, loss, stands_for)
    dtype = _dtype(torch, parts)
    x, target = torch.as_tensor(x).to(dtype), torch.as_tensor(target)
    target = target if target.is_floating_point() else target.long()
    net = Network(*(part.layer for part in parts), input=tuple(x.shape[1:]), dtype=np.float64, name="the module")
    _weigh(net, parts)
    batch_of(net, its_loss, _array(x), _array(target))  # a clear word before PyTorch has one
    with torch.enable_grad():
        answer = _asked(torch, net, parts, x, target, measure)
    verdict = check_network(net, _array(x), _array(target), answer, its_loss, None, ())
    pairs = zip(net.steps, parts, strict=True)
    verdict.notes[:0] = [f"{name} is module {part.name}, {type(part.module).__name__}" for name, part in pairs]
    return verdict


def _dtype(torch: Any, parts: list[Part]) -> Any:
    """What the parameters are kept in; float32 where there are none."""
    dtypes = {parameter.dtype for part in parts for parameter in part.module.parameters()} or {torch.float32}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        raise SettingError(
            f"the module's parameters are {', '.join(sorted(map(str, dtypes)))}; a check needs all of them in float32 "
            "or in float64: module.double()"
        )
    return dtypes.pop()


def _parts(module: Any, stands_for: Mapping[Any, Any]) -> list[Part]:
    found = list(_flat(module, ""))
    known = {str(each): layer for each, layer in stands_for.items() if each != "loss"}
    names = [name for name, _ in found]
    for each in known:
        if each not in names:
            raise SettingError(f"stands_for names the module {each!r}; there are {', '.join(names) or 'none'}")
    parts = []
    for name, each in found:
        if name not in known and _kind(each) in PASSED and (_kind(each) == "Identity" or not each.training):
            continue
        layer = known.get(name) or _layer(name, each)
        if not isinstance(layer, Layer):
            raise SettingError(f"stands_for[{name!r}] is a layer of plaingrad, got {layer!r}")
        parts.append(Part(name, each, layer))
    if not parts:
        raise SettingError("the module holds no layer")
    return parts


def _flat(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The modules that are called one after another; a module that is no sequence is one by itself."""
    if _kind(module) != "Sequential":
        yield path or "0", module
        return
    for name, each in module._modules.items():  # named_children() leaves out what comes a second time
        yield from _flat(each, f"{path}.{name}" if path else name)


def _kind(module: Any) -> str:
    """What PyTorch calls a module of its own; nothing for anyone else's, whatever its name."""
    return type(module).__name__ if type(module).__module__.startswith("torch.nn.") else ""


def _layer(name: str, module: Any) -> Layer:
    kind = _kind(module)
    if kind in PASSED:
        raise SettingError(f"module {name} ({kind}) drops at random; call module.train(False) before the check")
    if kind not in LAYERS:
        more = "; its parts are known only in an nn.Sequential" if list(module.children()) else ""
        raise SettingError(
            f"check_module knows no layer for module {name} ({type(module).__name__}){more}; if it is your own, "
            f"name the layer it corresponds to: stands_for={{{name!r}: plaingrad.Conv(3)}}"
        )
    for setting, usual in UNUSUAL.items():
        if getattr(module, setting, usual) != usual:
            raise SettingError(
                f"module {name} ({kind}) has {setting}={getattr(module, setting)!r}; only {usual!r} is known"
            )
    return LAYERS[kind](module)


UNUSUAL: dict[str, Any] = {
    "padding_mode": "zeros", "return_indices": False, "start_dim": 1,
    "end_dim": -1,
}  # fmt: skip


def _conv(module: Any) -> Layer:
    padding = 0 if module.padding == "valid" else module.padding
    return Conv(
        module.out_channels, module.kernel_size, module.stride, padding, module.dilation, module.groups,
        module.bias is not None,
    )  # fmt: skip


def _pool(kind: type[MaxPool] | type[MeanPool]) -> Callable[[Any], Layer]:
    def made(module: Any) -> Layer:
        dilation = _pair(getattr(module, "dilation", 1))
        pool = kind(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding), dilation, module.ceil_mode)
        if kind is not MeanPool:
            return pool
        return pool.replace(count_padding=module.count_include_pad, divisor=module.divisor_override)

    return made


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


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
    return L2Pool(_pair(module.kernel_size), _pair(module.stride or module.kernel_size))


def _softmax(module: Any) -> Layer:
    if module.dim not in (1, -1):
        raise SettingError(
            f"Softmax with dim={module.dim} has no counterpart in plaingrad; use dim=1, the axis of the outputs"
        )
    return Softmax()


LAYERS: dict[str, Callable[[Any], Layer]] = {
    "Conv2d": _conv,
    "Linear": lambda module: Dense(module.out_features, bias=module.bias is not None),
    "ReLU": lambda module: ReLU(),
    "LeakyReLU": lambda module: LeakyReLU(float(module.negative_slope)),
    "Sigmoid": lambda module: Sigmoid(),
    "Tanh": lambda module: Tanh(),
    "Softmax": _softmax,
    "Flatten": lambda module: Flatten(),
    "MaxPool2d": _pool(MaxPool),
    "AvgPool2d": _pool(MeanPool),
    "LPPool2d": _l2,
}


def _loss(torch: Any, loss: Any, stands_for: Mapping[Any, Any]) -> tuple[Callable[[Any, Any], Any], Loss]:
    known = {
        "cross-entropy": (torch.nn.functional.cross_entropy, SoftmaxCrossEntropy()),
        "mse": (torch.nn.functional.mse_loss, MeanSquaredError()),
    }
    if isinstance(loss, str) and loss in known:
        measure, ours = known[loss]
        return measure, stands_for.get("loss", ours)
    if not callable(loss) or not isinstance(stands_for.get("loss"), Loss):
        raise SettingError(
            f"check_module got loss={loss!r}; it knows {', '.join(map(repr, known))}, and a function of (output, "
            'target) with stands_for={"loss": plaingrad.MeanSquaredError()}'
        )
    return loss, stands_for["loss"]


def _weigh(net: Network, parts: list[Part]) -> None:
    """The modules' parameters into the network."""
    seen: dict[int, str] = {}
    for step, part in zip(net.steps.values(), parts, strict=True):
        own = dict(part.module.named_parameters())
        wanted = {PARAMETERS.get(weight, weight) for weight in step.weights}
        if own.keys() != wanted:
            raise SettingError(
                f"module {part.name} has the parameters {', '.join(own) or 'none'}; {part.layer} needs "
                f"{', '.join(wanted) or 'none'}"
            )
        for weight, array in step.arrays.items():
            parameter = own[PARAMETERS.get(weight, weight)]
            if tuple(parameter.shape) != array.shape:
                raise SettingError(
                    f"module {part.name} has a {PARAMETERS.get(weight, weight)} of shape {tuple(parameter.shape)}; "
                    f"{part.layer} needs {array.shape}"
                )
            if id(parameter) in seen:
                raise SettingError(
                    f"modules {seen[id(parameter)]} and {part.name} share a parameter; give each its own"
                )
            seen[id(parameter)] = part.name
            array[...] = _array(parameter)


def _asked(
    torch: Any, net: Network, parts: list[Part], x: Any, target: Any, measure: Callable[[Any, Any], Any]
) -> dict[str, Any]:
    """Every output, the loss and every gradient that autograd gives, by its name in the network."""
    answer: dict[str, Any] = {}
    tensors: dict[str, Any] = {}
    h = x.detach().clone().requires_grad_()
    for name, part in zip(net.steps, parts, strict=True):
        tensors[f"{name}.dx"] = h
        tensors |= {
            f"{name}.d{weight}": parameter
            for weight in net[name].weights
            if (parameter := getattr(part.module, PARAMETERS.get(weight, weight))).requires_grad
        }
        h = part.module(h.clone())  # a module that works in place leaves the one before as it was
        answer[f"{name}.y"] = _array(h)
        if not h.requires_grad:
            h = h.detach().clone().requires_grad_()  # nothing goes back from here: so the gradients will say
    tensors["loss.dx"] = h
    loss = measure(h.clone(), target)
    if loss.ndim:
        raise SettingError(
            f"the loss gave the shape {tuple(loss.shape)}; it needs to be one number, a mean over the images"
        )
    answer["loss"] = _array(loss)
    slopes = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    for (name, tensor), slope in zip(tensors.items(), slopes, strict=True):
        answer[name] = np.zeros(tuple(tensor.shape)) if slope is None else _array(slope)
    return answer


def _array(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy().copy()
