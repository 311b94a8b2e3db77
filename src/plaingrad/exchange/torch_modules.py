"""Modules that PyTorch has not and a network of plaingrad may need. Imported only where PyTorch is asked for."""

from typing import Any

import torch
from torch.nn import functional

from plaingrad.compiler.loops import Array
from plaingrad.exchange.margins import reached
from plaingrad.exchange.torch_layers import OURS
from plaingrad.network.step import Step
from plaingrad.textbook.layers import L2Pool, MaxPool, MeanPool


class Standardised(torch.nn.Module):
    """The input less its offset, times its factor. Both follow from the training images and are no parameters."""

    def __init__(self, offset: Array, factor: Array, axes: int, dtype: Any) -> None:
        super().__init__()
        shape = (1, -1, *(1 for _ in range(axes - 1)))
        for name, numbers in (("offset", offset), ("factor", factor)):
            self.register_buffer(
                name, torch.tensor(numbers.astype(float), dtype=dtype).reshape(shape), persistent=False
            )

    def forward(self, x: Any) -> Any:
        return (x - self.offset) * self.factor


class Pooled(torch.nn.Module):
    """A pool with padding, dilation or a last window as PyTorch's own pools do not have them."""

    def __init__(self, step: Step, dtype: Any) -> None:
        super().__init__()
        setattr(self, OURS, step.layer)
        layer: Any = step.layer
        (top, bottom), (left, right) = reached(step)
        self.window, self.around, self.channels = layer.window, (left, right, top, bottom), step.x[0]
        self.kind = type(layer)
        if self.kind is MeanPool:
            pixels = torch.tensor(layer.constants(step.x)["pixels"], dtype=dtype)
            self.register_buffer("pixels", pixels, persistent=False)

    def forward(self, x: Any) -> Any:
        window = self.window
        if self.kind is MaxPool:
            x = functional.pad(x, self.around, value=-torch.inf)
            return functional.max_pool2d(x, window.size, window.stride, 0, window.dilation)
        x = functional.pad(x * x if self.kind is L2Pool else x, self.around)
        ones = torch.ones(self.channels, 1, *window.size, dtype=x.dtype, device=x.device)
        sums = functional.conv2d(x, ones, None, window.stride, 0, window.dilation, self.channels)
        if self.kind is MeanPool:
            return sums / self.pixels
        return torch.where(sums > 0, sums, 1).sqrt() * (sums > 0)  # √ has no slope at 0


class Skipped(torch.nn.Module):
    """A layer's output plus that of an earlier one, of which it takes every so many rows, and zeros as channels."""

    def __init__(self, step: Step, skip: tuple[int, ...]) -> None:
        super().__init__()
        setattr(self, OURS, step.layer)
        strides = step.layer.joined(step.x, skip)
        self.strides, self.more, self.axes = tuple(strides.values()), step.x[0] - skip[0], len(step.x)

    def forward(self, x: Any, skip: Any) -> Any:
        if self.axes == 3:
            skip = skip[:, :, :: self.strides[0], :: self.strides[1]]
        return x + functional.pad(skip, (0, 0) * (self.axes - 1) + (0, self.more))


class Chained(torch.nn.Sequential):
    """Modules one after another, some of which take the output of an earlier one too: `skips` names both."""

    def __init__(self, modules: dict[str, torch.nn.Module], skips: dict[str, str]) -> None:
        super().__init__()
        self.skips = skips
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Any) -> Any:
        made: dict[str, Any] = {}
        for name, module in self.named_children():
            x = module(x, made[self.skips[name]]) if name in self.skips else module(x)
            if name in self.skips.values():
                made[name] = x
        return x
