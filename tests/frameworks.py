"""Right answers by other programs: this library's own runs, PyTorch and JAX, each by its own operations and gradients.

PyTorch and JAX are loaded when they are asked for.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import plaingrad as pg
from plaingrad.checking.case import Case
from plaingrad.compiler.loops import Array
from plaingrad.network.step import Step
from plaingrad.textbook.layers import Conv, Dense, Flatten, L2Pool, LeakyReLU, MaxPool, MeanPool, ReLU, Sigmoid, Softmax
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, MeanSquaredError
from students import Arrays

Weights = dict[tuple[str, str], Array]
Taken = tuple[Sequence[Any], Any, Weights, list[Any]]  # outputs of the layers, loss, gradients, errors of all outputs


def of_library(case: Case, dtype: Any) -> Arrays:
    """What the library itself computes, in its compiled loops."""
    net = pg.Network(*case.net.layers, input=case.net.input, dtype=dtype)
    for name, array in case.net.arrays.items():
        net.arrays[name][...] = array
    found: Arrays = {}
    for t, batch in enumerate(case.batches, 1):
        run = net.run(batch.x, batch.target, case.loss)
        found[t, "loss", "y"] = run.quantity("loss", "y").mean()
        found[t, "loss", "dx"] = run.quantity("loss", "dx")
        for name, step in net.steps.items():
            for quantity in ("y", "dx", *("d" + weight for weight in step.weights)):
                found[t, name, quantity] = run.quantity(name, quantity)
            for weight, array in step.arrays.items():
                array -= net.dtype.type(case.rate) * found[t, name, "d" + weight]
                found[t, name, weight] = array.copy()
    return found


def stepped(case: Case, dtype: Any, taken: Callable[[Any, Any, Weights], Taken]) -> Arrays:
    """All arrays of a program whose gradients `taken` gives for the inputs, targets and weights of a step."""
    w = {
        (name, weight): array.astype(dtype)
        for name, step in case.net.steps.items()
        for weight, array in step.arrays.items()
    }
    names, found = list(case.net.steps), {}
    for t, batch in enumerate(case.batches, 1):
        outputs, loss, slopes, errors = taken(batch.x.astype(dtype), batch.target.astype(dtype), w)
        found[t, "loss", "y"], found[t, "loss", "dx"] = np.asarray(loss), np.asarray(errors[-1])
        for place, name in enumerate(names):
            found[t, name, "y"], found[t, name, "dx"] = np.asarray(outputs[place]), np.asarray(errors[place])
        for (name, weight), slope in slopes.items():
            found[t, name, "d" + weight] = np.asarray(slope)
            w[name, weight] = found[t, name, weight] = w[name, weight] - dtype(case.rate) * np.asarray(slope)
    return found


def of_torch(case: Case, dtype: Any) -> Arrays:
    """What PyTorch computes."""
    import torch

    def taken(x: Array, target: Array, w: Weights) -> Taken:
        leaves = {key: torch.tensor(array, requires_grad=True) for key, array in w.items()}
        tensors = [torch.tensor(x, requires_grad=True)]
        for step in case.net.steps.values():
            own = [leaves[step.name, weight] for weight in step.weights]
            tensors.append(in_torch(torch, step, tensors[-1], *own))
        loss = loss_in(torch, case, tensors[-1], torch.tensor(target), len(x))
        grads = torch.autograd.grad(loss, [*leaves.values(), *tensors])
        slopes = dict(zip(leaves, grads, strict=False))
        return [each.detach() for each in tensors[1:]], loss.detach(), slopes, list(grads[len(leaves) :])

    return stepped(case, dtype, taken)


def in_torch(torch: Any, step: Step, x: Any, w: Any = None, b: Any = None) -> Any:
    """One layer as PyTorch has it."""
    layer, f = step.layer, torch.nn.functional
    if isinstance(layer, Conv | MaxPool | MeanPool | L2Pool):
        (top, bottom), (left, right) = layer.window.margins
        around, size, stride = (left, right, top, bottom), layer.window.size, layer.window.stride
    match layer:
        case Conv():
            return f.conv2d(f.pad(x, around), w, b, stride, 0, layer.window.dilation, layer.groups)
        case MaxPool():
            return f.max_pool2d(f.pad(x, around, value=-torch.inf), size, stride)
        case MeanPool():
            ones = f.pad(torch.ones_like(x), around, value=float(layer.count_padding))
            total, count = (f.avg_pool2d(each, size, stride, divisor_override=1) for each in (f.pad(x, around), ones))
            return total / count
        case L2Pool():
            squares = f.avg_pool2d(f.pad(x * x, around), size, stride, divisor_override=1)
            return torch.where(squares > 0, squares, 1).sqrt() * (squares > 0)
        case Dense():
            return f.linear(x, w, b)
        case Flatten():
            return x.flatten(1)
        case ReLU():
            return f.relu(x)
        case LeakyReLU():
            return f.leaky_relu(x, getattr(layer, "slope", 0))
        case Sigmoid():
            return torch.sigmoid(x)
        case Softmax():
            return torch.softmax(x, 1)
    return torch.tanh(x)


def of_jax(case: Case, dtype: Any) -> Arrays:
    """What JAX computes."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)

    def taken(x: Array, target: Array, w: Weights) -> Taken:
        def forward(leaves: list[Any], added: list[Any]) -> Any:
            """The loss; nothing is added to any output, and the gradient of that nothing is the output's error."""
            left, h, outputs = iter(leaves), x + added[0], []
            for step, nothing in zip(case.net.steps.values(), added[1:], strict=True):
                h = in_jax(jax, step, h, *(next(left) for _ in step.weights)) + nothing
                outputs.append(h)
            return loss_in(jax, case, h, target, len(x)), outputs

        shapes = [x.shape, *((len(x), *step.y) for step in case.net.steps.values())]
        nothings = [np.zeros(shape, dtype) for shape in shapes]
        graded = jax.value_and_grad(forward, (0, 1), has_aux=True)
        (loss, outputs), (slopes, errors) = graded(list(w.values()), nothings)
        return outputs, loss, dict(zip(w, slopes, strict=True)), errors

    return stepped(case, dtype, taken)


def in_jax(jax: Any, step: Step, x: Any, w: Any = None, b: Any = None) -> Any:
    """One layer as JAX has it."""
    layer, lax, jnp = step.layer, jax.lax, jax.numpy
    if isinstance(layer, Conv):
        window = layer.window
        y = lax.conv_general_dilated(
            x, w, window.stride, window.margins, None, window.dilation, feature_group_count=layer.groups
        )
        return y if b is None else y + b[:, None, None]
    if isinstance(layer, MaxPool | MeanPool | L2Pool):
        size, stride = (1, 1, *layer.window.size), (1, 1, *layer.window.stride)
        margins = ((0, 0), (0, 0), *layer.window.margins)
        if isinstance(layer, MaxPool):
            return lax.reduce_window(x, -jnp.inf, lax.max, size, stride, margins)
        zero = x.dtype.type(0)
        if isinstance(layer, L2Pool):
            squares = lax.reduce_window(x * x, zero, lax.add, size, stride, margins)
            return jnp.sqrt(jnp.where(squares > 0, squares, 1)) * (squares > 0)
        ones = jnp.pad(jnp.ones_like(x), margins, constant_values=float(layer.count_padding))
        count = lax.reduce_window(ones, zero, lax.add, size, stride, "VALID")
        return lax.reduce_window(x, zero, lax.add, size, stride, margins) / count
    match layer:
        case Dense():
            return x @ w.T if b is None else x @ w.T + b
        case Flatten():
            return x.reshape(len(x), -1)
        case ReLU():
            return jax.nn.relu(x)
        case LeakyReLU():
            return jax.nn.leaky_relu(x, getattr(layer, "slope", 0))
        case Sigmoid():
            return jax.nn.sigmoid(x)
        case Softmax():
            return jax.nn.softmax(x, axis=1)
    return jnp.tanh(x)


def loss_in(framework: Any, case: Case, x: Any, target: Any, count: int) -> Any:
    """The mean loss, of arrays of PyTorch or JAX."""
    if isinstance(case.loss, MeanSquaredError):
        return ((x - target) ** 2).mean()
    if isinstance(case.loss, HalfSquaredError):
        return ((x - target) ** 2).sum() / 2 / count
    if isinstance(case.loss, CrossEntropy):
        named = framework.numpy if framework.__name__ == "jax" else framework
        return -(target * named.log(x)).sum() / count
    log_softmax = framework.nn.log_softmax if framework.__name__ == "jax" else framework.nn.functional.log_softmax
    return -(target * log_softmax(x, 1)).sum() / count


SOURCES: dict[str, Callable[[Case, Any], Arrays]] = {"plaingrad": of_library, "torch": of_torch, "jax": of_jax}


def installed() -> list[str]:
    """The sources there are."""
    return [name for name in SOURCES if importlib.util.find_spec(name)]
