"""PyTorch as a contender, in each of its ways. Each function gives one call to repeat, on the same starting weights."""

import os
from collections.abc import Callable
from itertools import cycle
from typing import Any

import torch

from ours import MOMENTUM, RATE
from plaingrad.compiler.loops import Array
from plaingrad.network.network import Network
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, ReLU
from timing import THEIRS, Call, UnableError

EAGER: dict[str, dict[str, bool]] = {
    f"{THEIRS} eager": {},
    f"{THEIRS} channels-last": {"channels_last": True},
}
COMPILED = {
    f"{THEIRS} compiled": {"compiled": True},
    f"{THEIRS} compiled, channels-last": {"compiled": True, "channels_last": True},
}
# Held to lesser vectors than the processor has, what it compiles reads the places of maxima wrongly, or crashes.
WAYS = EAGER | ({} if "ATEN_CPU_CAPABILITY" in os.environ else COMPILED)


def pin(threads: int) -> None:
    """So many threads from now on, in what is compiled from now on too."""
    import torch._inductor.config

    torch.set_num_threads(threads)
    torch._inductor.config.cpp.threads = threads
    torch._inductor.config.compile_threads = 1  # within this process: no workers that stay
    torch._dynamo.reset()


def layout(channels_last: bool) -> torch.memory_format:
    """How images lie in memory."""
    return torch.channels_last if channels_last else torch.contiguous_format


def module_of(net: Network, channels_last: bool) -> torch.nn.Module:
    """The same network in PyTorch, with its present weights."""
    parts: list[torch.nn.Module] = []
    for step in net.steps.values():
        layer = step.layer
        if isinstance(layer, Conv):
            window = layer.window
            padding = tuple(before for before, _ in window.margins)
            if any(before != after for before, after in window.margins):
                raise UnableError("its padding is the same on both sides")
            own = torch.nn.Conv2d(
                step.x[0], layer.filters, window.size, window.stride, padding, window.dilation, layer.groups
            )
            parts.append(_with_weights(own, step.arrays))
        elif isinstance(layer, MaxPool):
            parts.append(torch.nn.MaxPool2d(layer.window.size, layer.window.stride))
        elif isinstance(layer, Flatten):
            parts.append(torch.nn.Flatten())
        elif isinstance(layer, Dense):
            parts.append(_with_weights(torch.nn.Linear(step.x[0], layer.units), step.arrays))
        elif not isinstance(layer, ReLU):
            raise UnableError(f"{layer} has not been translated")
        if isinstance(layer, ReLU) or getattr(layer, "activation", None):
            parts.append(torch.nn.ReLU())
    return torch.nn.Sequential(*parts).to(memory_format=layout(channels_last))


def _with_weights(own: Any, arrays: dict[str, Array]) -> torch.nn.Module:
    with torch.no_grad():
        own.weight.copy_(torch.from_numpy(arrays["w"]))
        own.bias.copy_(torch.from_numpy(arrays["b"]))
    module: torch.nn.Module = own
    return module


def _tensors(images: Array, channels_last: bool) -> list[torch.Tensor]:
    return [torch.from_numpy(each).contiguous(memory_format=layout(channels_last)) for each in images]


def step(net: Network, images: Array, labels: Array, *, channels_last: bool = False, compiled: bool = False) -> Call:
    """One training step on one batch after the other; gives the loss."""
    module, loss = module_of(net, channels_last), torch.nn.CrossEntropyLoss()
    # One fused update of all parameters: on a CPU never slower than the other ways there are.
    optimiser = torch.optim.SGD(module.parameters(), RATE, momentum=MOMENTUM, fused=True)
    batches = cycle(zip(_tensors(images, channels_last), map(torch.from_numpy, labels), strict=True))
    forward: Callable[..., Any] = torch.compile(module, dynamic=False) if compiled else module

    def once() -> torch.Tensor:
        x, target = next(batches)
        optimiser.zero_grad()
        value: torch.Tensor = loss(forward(x), target)
        value.backward()
        optimiser.step()
        return value.detach()

    return once


def infer(net: Network, images: Array, *, channels_last: bool = False, compiled: bool = False) -> Call:
    """The scores (image, class) of one batch after the other."""
    module = module_of(net, channels_last).eval()
    batches = cycle(_tensors(images, channels_last))
    forward: Callable[..., Any] = torch.compile(module, dynamic=False) if compiled else module

    def once() -> Any:
        with torch.inference_mode():
            return forward(next(batches))

    return once


def convolution(layer: Conv, x: Array, dy: Array, weights: dict[str, Array], *, channels_last: bool = False) -> Call:
    """One convolution forward, then its gradients for weights, bias and input."""
    form = layout(channels_last)
    given, above = (torch.from_numpy(each).contiguous(memory_format=form) for each in (x, dy))
    w, b = torch.from_numpy(weights["w"]).clone(memory_format=form), torch.from_numpy(weights["b"]).clone()
    learnt = tuple(each.requires_grad_() for each in (given, w, b))
    stride, padding = layer.window.stride, tuple(before for before, _ in layer.window.margins)

    def once() -> tuple[torch.Tensor, ...]:
        y = torch.nn.functional.conv2d(given, w, b, stride, padding)
        return torch.autograd.grad(y, learnt, above)

    return once
