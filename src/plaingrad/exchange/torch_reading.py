"""From a PyTorch module to a network: its forward pass is followed, call by call, by `torch.fx`.

Over 300 lines, since what each call stands for is one table, beside the rules that read it.
"""

import importlib
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from plaingrad.errors import SettingError
from plaingrad.exchange.chain import Chain, Value
from plaingrad.exchange.margins import NONE
from plaingrad.exchange.torch_layers import OURS, arrays_of, dtype_of, kind_of, layer_of, numbers_of, pair, required
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import Conv, Flatten, MaxPool, MeanPool

WHO = "from_torch"
PASSED = ("Identity", "Dropout1d", "Dropout2d")
BATCH = 0
"""Stands for the number of images where a program asks for the size of a tensor."""


def read_module(module: Any, input: Sequence[int]) -> Network:
    """See `plaingrad.from_torch`."""
    torch = required(WHO)
    if not isinstance(module, torch.nn.Module):
        raise SettingError(f"{WHO} got a {type(module).__name__}; it needs a torch.nn.Module")
    dtype = np.float32 if dtype_of(torch, WHO, module.parameters()) == torch.float32 else np.float64
    told = tuple(input) if isinstance(input, Iterable) else (input,)
    chain = Chain(WHO, Network(Flatten(), input=told).input)  # or it says what an input is
    Follower(torch, module, chain).follow()
    return chain.network(dtype)


class Follower:
    """The calls of a module's forward pass, one after another, and what each gives."""

    def __init__(self, torch: Any, module: Any, chain: Chain) -> None:
        self.torch, self.chain = torch, chain
        self.fx = importlib.import_module("torch.fx")
        kinds = {kind: getattr(torch.nn, kind) for kind in set(FUNCTIONS.values())}
        self.kinds = kinds
        self.parts, self.graph = self._traced(module)
        self.found: dict[Any, Any] = {}

    def _traced(self, module: Any) -> tuple[dict[str, Any], Any]:
        class Tracer(self.fx.Tracer):  # type: ignore[name-defined, misc]
            def is_leaf_module(self, m: Any, name: str) -> bool:
                return hasattr(m, OURS) or type(m).__name__ == "Standardised" or super().is_leaf_module(m, name)

        holder = self.torch.nn.Sequential(module)  # a module of PyTorch's own is then one call
        trains = {each: each.training for each in holder.modules()}
        try:
            for each in trains:  # what it does once it is trained is followed
                each.training = False
            graph = Tracer().trace(holder)
        except Exception as error:  # whatever its forward raises on a tensor without numbers
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise SettingError(f"{WHO} cannot follow the module's forward: {reason}") from None
        finally:
            for each, was in trains.items():
                each.training = was
        return {name.removeprefix("0."): each for name, each in holder.named_modules(remove_duplicate=False)}, graph

    def follow(self) -> None:
        """Every call becomes a layer."""
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.found[node] = self.chain.last
            elif node.op == "output":
                if self.value(node.args[0]) != self.chain.last:
                    self.chain.refuse("the module gives something other than the output of its last layer")
            elif node.op == "get_attr":
                self.chain.refuse(f"the module computes with {node.target}, a tensor of its own outside any module")
            else:
                self.found[node] = self._called(node)

    def _called(self, node: Any) -> Any:
        args, kwargs = (self.fx.node.map_arg(each, lambda n: self.found[n]) for each in (node.args, node.kwargs))
        if node.op == "call_module":
            name = str(node.target).removeprefix("0.")
            if getattr(self.parts[name], "inplace", False):
                self._require_last_use(node, name)
            return self._module(self.parts[name], name, args)
        name = node.target if isinstance(node.target, str) else node.target.__name__
        value = args[0] if args else None
        is_in_place = name == "iadd" or (name.endswith("_") and not name.startswith("_"))
        if not any(isinstance(each, Value) for each in args):
            if node.op == "call_function" and node.target in PLAIN:
                return node.target(*args)
            self.refuse(name)
        if is_in_place or kwargs.get("inplace"):
            self._require_last_use(node, name)
        if name in CALLS:
            return CALLS[name](self, value, *args[1:], **kwargs)
        if name in FUNCTIONS:
            settings = dict(zip(ARGUMENTS.get(FUNCTIONS[name], ()), args[1:], strict=False)) | kwargs
            if settings.get("inplace"):
                self._require_last_use(node, name)
            settings = {own: each for own, each in settings.items() if own not in BESIDE}
            return self._module(self.kinds[FUNCTIONS[name]](**settings), name, args[:1])
        return self.refuse(name)

    def _require_last_use(self, node: Any, name: str) -> None:
        """SettingError where what this call writes over is used by a later one."""
        every = list(node.graph.nodes)
        if any(later in node.args[0].users for later in every[every.index(node) + 1 :]):
            self.chain.refuse(f"{name} works in place on a value that is used again: let it make a new one")

    def refuse(self, name: str) -> NoReturn:
        """SettingError for a call that no layer stands for."""
        self.chain.refuse(f"knows no layer for the call of {name}")

    def value(self, found: Any) -> Value:
        """The value of a node of the graph."""
        value = self.found.get(found) if isinstance(found, self.fx.Node) else found
        if not isinstance(value, Value):
            self.chain.refuse(f"needs one tensor of the network, got {value!r}")
        return value

    def _module(self, module: Any, name: str, args: Any) -> Value:
        value, chain, kind = self.value(args[0]), self.chain, kind_of(module)
        what = f"module {name} ({type(module).__name__})"
        if module._forward_hooks or module._forward_pre_hooks:  # pruning and old spectral norms are such too
            chain.refuse(f"{what} has hooks, which may compute anything: remove them")
        if type(module).__name__ == "Standardised":
            chain.shift(value, -numbers_of(module.offset).reshape(-1))
            chain.scale(value, numbers_of(module.factor).reshape(-1))
            return value
        if len(args) == 2 and hasattr(module, OURS):
            return chain.join(
                value, replace(self.value(args[1]), strides=_both(module.strides), more=module.more), what
            )
        if kind in PASSED:
            return value
        if kind == "ZeroPad2d":
            return _around(self, value, module.padding)
        if kind in ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d"):
            return self._adaptive(module, value, what)
        layer = layer_of(WHO, name, module)
        if isinstance(layer, Conv):
            bias = None if module.bias is None else numbers_of(module.bias)
            window = layer.window
            return chain.conv(
                value, what, numbers_of(module.weight), bias, stride=window.stride, dilation=window.dilation,
                groups=layer.groups, margins=window.margins,
            )  # fmt: skip
        if isinstance(layer, Flatten):
            return chain.flatten(value, what)
        if isinstance(layer, MaxPool | MeanPool) and not value.is_whole:
            window, more = layer.window, {"count_padding": layer.count_padding} if isinstance(layer, MeanPool) else {}
            return chain.pool(
                value, what, type(layer), window.size, stride=window.stride, dilation=window.dilation,
                margins=window.margins, ceil_mode=layer.ceil_mode, **more,
            )  # fmt: skip
        return chain.append(value, layer, what, arrays_of(module, layer, chain.shape(value)[0]))

    def _adaptive(self, module: Any, value: Value, what: str) -> Value:
        """Pools of a wanted number of windows: the whole channel, or windows that share the image out evenly."""
        shape, wanted = self.chain.shape(value), pair(module.output_size)
        is_mean = kind_of(module) == "AdaptiveAvgPool2d"
        if wanted == (1, 1) and is_mean:
            return self.chain.mean_of_channels(value, what)
        if len(shape) != 3 or any(
            None in (each, side) or side % each for each, side in zip(wanted, shape[1:], strict=True)
        ):
            self.chain.refuse(f"{what} to {wanted} shares {shape[1:]} out in windows of unequal size")
        size = (shape[1] // wanted[0], shape[2] // wanted[1])
        layer: Layer = MeanPool(size) if is_mean else MaxPool(size)
        return self.chain.append(value, layer, what)


def _both(strides: tuple[int, ...]) -> tuple[int, int]:
    return strides[0], strides[1]


def _add(follower: Follower, value: Any, other: Any, alpha: float = 1) -> Value:
    if alpha != 1 or not isinstance(other, Value) or not isinstance(value, Value):
        follower.chain.refuse("knows no layer for the sum of a tensor and a number")
    return follower.chain.join(value, other, "the sum")


def _flatten(follower: Follower, value: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    axes = len(follower.chain.shape(value))
    if start_dim not in (1, -axes) or end_dim not in (-1, axes):
        follower.chain.refuse(f"flatten from axis {start_dim} to {end_dim} is no Flatten, which is from 1 to -1")
    return follower.chain.flatten(value, "flatten")


def _view(follower: Follower, value: Value, *sizes: Any) -> Value:
    """A change of shape that flattens each image, or nothing."""
    wanted = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
    shape = follower.chain.shape(value)
    count, first, rest = math.prod(shape), wanted[0], wanted[1:]
    if first == BATCH or (first == -1 and -1 not in rest):
        if rest in ((-1,), (count,)):
            return follower.chain.flatten(value, "view")
        if rest == shape:
            return value
    return follower.chain.refuse(f"view of {shape} as {wanted} is no Flatten: write x.flatten(1)")


def _mean(follower: Follower, value: Value, dim: Any = None, keepdim: bool = False) -> Value:
    axes = dim if isinstance(dim, tuple | list) else [dim]
    if sorted(each % 4 for each in axes if isinstance(each, int)) != [2, 3] or len(follower.chain.shape(value)) != 3:
        follower.chain.refuse(f"the mean over {dim} is no GlobalMeanPool, which is over (2, 3)")
    made = follower.chain.mean_of_channels(value, "the mean")
    return made if keepdim else follower.chain.flatten(made, "the mean")


def _squeeze(follower: Follower, value: Value, *axes: Any) -> Value:
    """Of images of one pixel, the features: both axes at once, or one after the other."""
    if follower.chain.shape(value)[1:] != (1, 1):
        follower.chain.refuse("squeeze of more than one pixel is no layer")
    return follower.chain.flatten(value, "squeeze")


def _size(follower: Follower, value: Value, axis: int | None = None) -> Any:
    sizes = (BATCH, *follower.chain.shape(value))
    return sizes if axis is None else sizes[axis]


def _attribute(follower: Follower, value: Value, name: str) -> Any:
    if name != "shape":
        follower.refuse(f"x.{name}")
    return _size(follower, value)


def _item(follower: Follower, value: Value, index: Any) -> Value:
    """Every second row and column, or third …, as a skip takes them."""
    steps = [
        each.step or 1
        for each in index
        if isinstance(each, slice) and each.start in (None, 0) and each.stop is None
    ] if isinstance(index, tuple) else []  # fmt: skip
    if len(steps) != 4 or steps[:2] != [1, 1]:
        follower.refuse(f"x[{index!r}]")
    return replace(value, strides=(value.strides[0] * steps[2], value.strides[1] * steps[3]))


def _pad(follower: Follower, x: Value, /, pad: Any, mode: str = "constant", value: Any = None) -> Value:
    """Channels of zeros for a skip, or rows and columns for the convolution that comes next."""
    number, sizes = value or 0, [int(each) for each in pad]
    if mode != "constant" or number != 0 or min(sizes) < 0 or any(sizes[6:]):
        follower.chain.refuse("pad with anything but zeros is no layer")
    if len(sizes) == 6 and not any(sizes[:5]):
        return replace(x, more=x.more + sizes[5])
    if len(sizes) > 4:
        follower.chain.refuse(f"pad of {tuple(sizes)} is no layer")
    return _around(follower, x, [*sizes, 0, 0][:4])


def _around(follower: Follower, value: Value, sizes: Any) -> Value:
    """Zeros around the image: left, right, top, bottom."""
    left, right, top, bottom = sizes
    if value.around != NONE:
        follower.chain.refuse("pad around other padding is no layer")
    return replace(value, around=((top, bottom), (left, right)))


def _same(follower: Follower, value: Value, *_: Any, **__: Any) -> Value:
    return value


def _dropped(
    follower: Follower, value: Value, p: float = 0.5, training: bool = True, inplace: bool = False, **named: Any
) -> Value:
    """A dropout that ends with training falls away; PyTorch's function goes on, unless it is told that this is over."""
    if named.get("train", training) and p > 0:
        follower.chain.refuse(
            "has no layer for a dropout that goes on once the network is trained, as F.dropout(x) does: write "
            "F.dropout(x, training=self.training)"
        )
    return value


PLAIN = (operator.getitem, operator.mul, operator.add, operator.sub, operator.floordiv)
"""What a program may do with sizes."""
CALLS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("add", "iadd", "add_", "__add__", "__radd__"), _add),
    **dict.fromkeys(("view", "reshape"), _view),
    **dict.fromkeys(("contiguous", "clone", "detach"), _same),
    **dict.fromkeys(("dropout", "dropout2d"), _dropped),
    "flatten": _flatten,
    "getattr": _attribute,
    "getitem": _item,
    "mean": _mean,
    "pad": _pad,
    "size": _size,
    "squeeze": _squeeze,
}
FUNCTIONS = {
    **dict.fromkeys(("relu", "relu_"), "ReLU"),
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
    "adaptive_max_pool2d": "AdaptiveMaxPool2d",
    "avg_pool2d": "AvgPool2d",
    "elu": "ELU",
    "gelu": "GELU",
    "leaky_relu": "LeakyReLU",
    "max_pool2d": "MaxPool2d",
    "sigmoid": "Sigmoid",
    "silu": "SiLU",
    "softmax": "Softmax",
    "tanh": "Tanh",
}
"""Functions and methods of PyTorch by the module that does the same."""
BESIDE = ("inplace", "training", "dtype", "_stacklevel")  # which change nothing of what is computed
ARGUMENTS = {
    "AdaptiveAvgPool2d": ("output_size",),
    "AdaptiveMaxPool2d": ("output_size",),
    "AvgPool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "ELU": ("alpha",),
    "LeakyReLU": ("negative_slope",),
    "MaxPool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "Softmax": ("dim",),
}
