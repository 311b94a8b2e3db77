"""A network as it is taken over from another program: values, one after another, that become a chain of layers.

A network here is a chain: each value goes to the next layer, and along a skip to one `Add` further on. What goes two
other ways is refused in one line. What two programs say differently is brought to one form here: padding that is not
even, a mean of whole channels, a factor and an amount for each channel.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError, ShapeError
from plaingrad.exchange.margins import NONE, Margins
from plaingrad.network.network import Network
from plaingrad.network.outline import MOST_BYTES, Outline
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import (
    Add,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalMeanPool,
    GroupNorm,
    L2Pool,
    MaxPool,
    MeanPool,
)
from plaingrad.textbook.window import Pair, Window

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Value:
    """What a layer gives: that of the `place`th, counted from 1, or the network's input, 0.

    Only a skip takes every `strides`th row and column of it, with `more` channels of zeros after its own. Only a window
    takes it with rows and columns of the number `outside` `around` it.
    """

    place: int
    strides: Pair = (1, 1)
    more: int = 0
    around: Margins = NONE
    outside: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether it is the layer's output as it is."""
        return self == Value(self.place)


class Chain:
    """Layers in order with their arrays, as they are taken over. `who` begins each message, such as `from_onnx`."""

    def __init__(self, who: str, input: Shape) -> None:
        self.who, self.input = who, input
        self.layers: list[Layer] = []
        self.arrays: list[dict[str, Array]] = []
        self.shapes: list[Shape] = [input]
        self.offset, self.factor = np.zeros(input[0]), np.ones(input[0])
        self.whole_mean: int | None = None  # the place of a mean over whole channels, which may become GlobalMeanPool

    def refuse(self, why: str) -> NoReturn:
        """SettingError with who takes the network over."""
        raise SettingError(f"{self.who}: {why}")

    @property
    def last(self) -> Value:
        """What the last layer gives."""
        return Value(len(self.layers))

    def shape(self, value: Value) -> Shape:
        """The shape of a value for one image."""
        return self.shapes[value.place]

    def name(self, place: int) -> str:
        """What the network will call the layer at a place."""
        if not place:
            return "the input"
        kinds = Counter(type(each).__name__.lower() for each in self.layers[:place])
        kind = type(self.layers[place - 1]).__name__.lower()
        return f"{kind}{kinds[kind]}"

    def append(self, value: Value, layer: Layer, what: str, arrays: Arrays | None = None) -> Value:
        """One more layer behind `value`; `what` is the other program's name for it."""
        if not value.is_whole:
            self.refuse(
                f"{what} takes {self.name(value.place)} padded or in part; padding goes into a convolution or a pool, "
                "and only a skip takes every second row"
            )
        if value.place != len(self.layers):
            self.refuse(
                f"{what} takes the output of {self.name(value.place)} again, which goes to another layer already; a "
                "network here is a chain: only Add may take the output of an earlier layer, as a skip"
            )
        try:
            shape = layer.output(self.shape(value))
        except ShapeError as error:
            self.refuse(f"{what}: {layer} got {self.shape(value)}: {error}")
        self._require_room(shape, what)
        self.layers.append(layer)
        self.shapes.append(shape)
        self.arrays.append({name: np.asarray(array) for name, array in (arrays or {}).items() if array is not None})
        return self.last

    def _require_room(self, shape: Shape, what: str) -> None:
        if math.prod(shape) > MOST_BYTES:
            self.refuse(f"{what} makes {math.prod(shape):,} numbers of one image; at most {MOST_BYTES:,} are taken")

    def join(self, one: Value, other: Value, what: str) -> Value:
        """The sum of two values: the last, and that of an earlier layer."""
        main, skip = (one, other) if one == self.last else (other, one)
        if main != self.last or skip.place == main.place:
            self.refuse(
                f"{what} adds the outputs of {self.name(one.place)} and {self.name(other.place)}; a network here is a "
                "chain: a skip adds the output of an earlier layer to that of the last one"
            )
        if skip.place == 0:
            self.refuse(f"{what} adds the network's input; a skip here begins at a layer")
        layer = Add(self.name(skip.place))
        at, shape = self.shape(main), self.shape(skip)
        try:
            strides = layer.joined(at, shape)
        except ShapeError as error:
            self.refuse(f"{what}: {error}")
        if (strides["stride_0"], strides["stride_1"]) != skip.strides or shape[0] + skip.more != at[0]:
            self.refuse(f"{what} adds {self.name(skip.place)} of the shape {shape} to {at}, which do not fit")
        return self.append(main, layer, what)

    def conv(
        self, value: Value, what: str, w: Array, b: Array | None, *, stride: Pair = (1, 1), dilation: Pair = (1, 1),
        groups: int = 1, margins: Margins = NONE, activation: Any = None,
    ) -> Value:  # fmt: skip
        """A convolution with weights (filter, channel, row, column) and any padding, (before, after) for each axis.

        Where it is not even, the kernel gets rows or columns of zeros on the side of the smaller: the same sums.
        """
        value, margins = self._unpadded(value, margins, 0.0, what)
        w, size = np.asarray(w), (w.shape[2], w.shape[3])
        same = Window(size, stride, Conv(1, size, padding="same", dilation=dilation).window.margins, dilation)
        padding: Pair | str = (margins[0][0], margins[1][0])
        if any(before != after for before, after in margins):
            if margins == same.margins:
                padding = "same"
            else:
                w = self._widened(w, margins, dilation, what)
                padding = (max(margins[0]), max(margins[1]))
        layer = Conv(w.shape[0], (w.shape[2], w.shape[3]), stride, padding, dilation, groups, b is not None, activation)
        return self.append(value, layer, what, {"w": w, "b": b})

    def _unpadded(self, value: Value, margins: Margins, outside: float, what: str) -> tuple[Value, Margins]:
        """A value without what is around it, and the margins with that."""
        if value.around == NONE:
            return value, margins
        if value.outside != outside:
            self.refuse(f"{what} takes a padding of {value.outside:g}; here it is {outside:g}")
        (top, bottom), (left, right) = value.around
        (up, down), (before, after) = margins
        bare = replace(value, around=NONE, outside=0.0)
        return bare, ((up + top, down + bottom), (before + left, after + right))

    def _widened(self, w: Array, margins: Margins, dilation: Pair, what: str) -> Array:
        more = []
        for (before, after), spacing in zip(margins, dilation, strict=True):
            rows, rest = divmod(abs(before - after), spacing)
            if rest:
                self.refuse(f"{what} has the padding {before} before and {after} after with a dilation of {spacing}")
            more.append((rows, 0) if before < after else (0, rows))
        return np.pad(w, ((0, 0), (0, 0), *more))

    def pool(
        self, value: Value, what: str, kind: type[MaxPool | MeanPool | L2Pool], size: Pair, *,
        stride: Pair, dilation: Pair = (1, 1), margins: Margins = NONE, ceil_mode: bool = False,
        pixels: Any = None, **more: Any,
    ) -> Value:  # fmt: skip
        """A pool with any padding. Where it is not even, a last window that hangs over the end is the same.

        `pixels` of each window are what a mean is divided by; unless told, as MeanPool counts them with `more`.
        """
        if kind is MeanPool and value.around != NONE:  # zeros of another operator are as good as the image
            if margins != NONE and not more.get("count_padding"):
                self.refuse(f"{what} has a padding of its own around zeros that count")
            more["count_padding"] = True
        value, margins = self._unpadded(value, margins, -math.inf if kind is MaxPool else 0.0, what)
        wanted, shape = Window(size, stride, margins, dilation, ceil_mode=ceil_mode), self.shape(value)
        even = all(before == after for before, after in margins)
        try:
            counts = wanted.output(shape)
            self._require_room((shape[0], *counts), what)
            if kind is MeanPool and pixels is None and more.get("divisor") is None and not even:
                pixels = wanted.over(shape).pixels(bool(more.get("count_padding")), *counts)
        except ShapeError as error:
            self.refuse(f"{what} got {shape}: {error}")
        padding = (margins[0][0], margins[1][0])
        refusal = "its padding is not even, and no last window that hangs over the end is the same"
        for mode in (ceil_mode,) if even else (False, True):
            try:
                layer = kind(size, stride, padding, dilation, mode, **more)
                fits = layer.output(shape)[1:] == counts
            except SettingError as error:
                refusal = str(error)
                continue
            if fits and (pixels is None or layer.constants(shape)["pixels"] == pixels):
                return self.append(value, layer, what)
        self.refuse(f"{what} has no layer here: {refusal}")

    def mean_of_channels(self, value: Value, what: str) -> Value:
        """The mean of each whole channel, as one pixel: MeanPool, or GlobalMeanPool where it is flattened next."""
        shape = self.shape(value)
        if len(shape) != 3:
            self.refuse(f"{what} takes images, got {shape}")
        made = self.append(value, MeanPool((shape[1], shape[2])), what)
        self.whole_mean = made.place
        return made

    def flatten(self, value: Value, what: str) -> Value:
        """Flatten; behind a mean of whole channels the two are GlobalMeanPool."""
        if value != self.last or self.whole_mean != value.place:
            return self.append(value, Flatten(), what)
        self.undo()
        return self.append(self.last, GlobalMeanPool(), what)

    def undo(self) -> None:
        """Leave out the last layer again, since what comes makes another of it."""
        self.whole_mean = None
        self.layers.pop(), self.shapes.pop(), self.arrays.pop()

    def scale(self, value: Value, by: Array) -> bool:
        """One factor for each channel, laid into the input's or into the norm that comes before; whether it can be."""
        if value.place == 0 and not self.layers:
            self.factor = self.factor * by
            return True
        return self._changed(value, (BatchNorm, GroupNorm), lambda own: {"w": own["w"] * by, "b": own["b"] * by})

    def shift(self, value: Value, by: Array) -> bool:
        """An amount for each channel, laid into the input's offset, a bias, or a norm; whether it can be."""
        if value.place == 0 and not self.layers:
            self.offset = self.offset - by / self.factor
            return True
        if self._changed(value, (BatchNorm, GroupNorm), lambda own: {"b": own["b"] + by}):
            return True
        layer = self.layers[value.place - 1] if value == self.last else None
        if not isinstance(layer, Conv | Dense) or layer.bias or layer.activation:
            return False
        self.layers[value.place - 1] = layer.replace(bias=True)
        channels = self.shape(value)[0]
        self.arrays[value.place - 1]["b"] = np.broadcast_to(by, (channels,)).astype(np.asarray(by).dtype)
        return True

    def _changed(self, value: Value, kinds: tuple[type[Layer], ...], change: Any) -> bool:
        if value != self.last or not value.place or not isinstance(self.layers[value.place - 1], kinds):
            return False
        own = self.arrays[value.place - 1]
        own |= change(own)
        return True

    def network(self, dtype: npt.DTypeLike, name: str = "", room: int = 0) -> Network:
        """The network; `room` is how many bytes it came in, which it may take besides the usual."""
        if not self.layers:
            self.refuse("it holds no layer")
        try:
            outline = Outline(*self.layers, input=self.input, name=name)
            outline.require_room(np.dtype(dtype).itemsize, MOST_BYTES + room)
        except SettingError as error:
            self.refuse(str(error))
        net = Network(*self.layers, input=self.input, dtype=dtype, name=name)
        for step, arrays in zip(net, self.arrays, strict=True):
            own = {**step.arrays, **step.state}
            if own.keys() != arrays.keys():
                self.refuse(f"{step.name} has the arrays {', '.join(arrays) or 'none'}; it needs {', '.join(own)}")
            for each, array in arrays.items():
                if array.shape != own[each].shape or array.dtype.kind not in "fiu":
                    self.refuse(
                        f"{step.name}.{each} is of {array.dtype} and the shape {array.shape}; {step.layer} needs "
                        f"numbers of the shape {own[each].shape}"
                    )
                own[each][...] = array
        net.offset[:], net.factor[:] = self.offset, self.factor
        for each, array in {**net.arrays, **net.kept, "input.offset": net.offset, "input.factor": net.factor}.items():
            if not np.isfinite(array).all():
                self.refuse(f"{each} holds what is no finite number; a network needs finite weights")
        return net
