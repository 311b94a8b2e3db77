"""PyTorch modules beside the same layers of plaingrad. PyTorch is loaded when it is asked for, and never else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.functions.in_python import batch_of, check_network
from plaingrad.checking.functions.own_names import OwnVerdict
from plaingrad.errors import SettingError
from plaingrad.exchange.torch_layers import PARAMETERS, dtype_of, flat, kind_of, layer_of, numbers_of, required
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy

PASSED = ("Identity", "Dropout", "Dropout2d")


@dataclass(frozen=True)
class Part:
    """One module of a sequence: the name it has there, and the layer it stands for."""

    name: str
    module: Any
    layer: Layer


def verdict_on(module: Any, x: Any, target: Any, loss: Any, stands_for: Mapping[Any, Any]) -> OwnVerdict:
    """The verdict on a module; see `plaingrad.testing.check_module`."""
    torch = required("check_module")
    if not isinstance(module, torch.nn.Module):
        raise SettingError(f"check_module got a {type(module).__name__}; it needs a torch.nn.Module")
    parts = _parts(module, stands_for)
    measure, its_loss = _loss(torch, loss, stands_for)
    dtype = dtype_of(torch, "a check", (each for part in parts for each in part.module.parameters()))
    x, target = torch.as_tensor(x).to(dtype), torch.as_tensor(target)
    target = target if target.is_floating_point() else target.long()
    net = Network(*(part.layer for part in parts), input=tuple(x.shape[1:]), dtype=np.float64, name="the module")
    _weigh(net, parts)
    batch_of(net, its_loss, numbers_of(x), numbers_of(target))  # a clear word before PyTorch has one
    with torch.enable_grad():
        answer = _asked(torch, net, parts, x, target, measure)
    verdict = check_network(net, numbers_of(x), numbers_of(target), answer, its_loss, None, ())
    pairs = zip(net.steps, parts, strict=True)
    verdict.notes[:0] = [f"{name} is module {part.name}, {type(part.module).__name__}" for name, part in pairs]
    return verdict


def _parts(module: Any, stands_for: Mapping[Any, Any]) -> list[Part]:
    found = list(flat(module))
    known = {str(each): layer for each, layer in stands_for.items() if each != "loss"}
    names = [name for name, _ in found]
    for each in known:
        if each not in names:
            raise SettingError(f"stands_for names the module {each!r}; there are {', '.join(names) or 'none'}")
    parts = []
    for name, each in found:
        if name not in known and kind_of(each) in PASSED and (kind_of(each) == "Identity" or not each.training):
            continue
        layer = known.get(name) or _layer(name, each)
        if not isinstance(layer, Layer):
            raise SettingError(f"stands_for[{name!r}] is a layer of plaingrad, got {layer!r}")
        parts.append(Part(name, each, layer))
    if not parts:
        raise SettingError("the module holds no layer")
    return parts


def _layer(name: str, module: Any) -> Layer:
    kind = kind_of(module)
    if kind in PASSED:
        raise SettingError(f"module {name} ({kind}) drops at random; call module.train(False) before the check")
    hint = f"; if it is your own, name the layer it corresponds to: stands_for={{{name!r}: plaingrad.Conv(3)}}"
    layer = layer_of("check_module", name, module, hint)
    if layer.skips() is not None or (hasattr(module, "running_mean") and module.running_mean is not None):
        raise SettingError(
            f"module {name} ({type(module).__name__}) does more than compute its output; check_module takes modules "
            "that keep nothing from call to call and have one input"
        )
    return layer


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
            array[...] = numbers_of(parameter)


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
        answer[f"{name}.y"] = numbers_of(h)
        if not h.requires_grad:
            h = h.detach().clone().requires_grad_()  # nothing goes back from here: so the gradients will say
    tensors["loss.dx"] = h
    loss = measure(h.clone(), target)
    if loss.ndim:
        raise SettingError(
            f"the loss gave the shape {tuple(loss.shape)}; it needs to be one number, a mean over the images"
        )
    answer["loss"] = numbers_of(loss)
    slopes = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    for (name, tensor), slope in zip(tensors.items(), slopes, strict=True):
        answer[name] = np.zeros(tuple(tensor.shape)) if slope is None else numbers_of(slope)
    return answer
