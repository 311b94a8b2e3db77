"""A network: layers in order, and their parameters."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from plaingrad.compiler.loops import Array, has_numba, zeros
from plaingrad.data.pixels import Seen, look
from plaingrad.errors import SettingError, nearest, require_whole, shortly
from plaingrad.network.loading import exactly, numbers
from plaingrad.network.outline import Outline
from plaingrad.network.passes import Made
from plaingrad.network.run import Run
from plaingrad.network.step import Step
from plaingrad.textbook.habits import METHODS, missing, refuse
from plaingrad.textbook.layer import Glorot, He, Layer, Shape, Start, Zeros
from plaingrad.textbook.layers import (
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
)
from plaingrad.textbook.losses import Loss, SoftmaxCrossEntropy
from plaingrad.textbook.phrases import shape_text

LANES = 32
DTYPES = np.dtype("float32"), np.dtype("float64"), np.dtype(object)
KEPT = ("parameters", "state", "offset", "factor")  # the numbers that a network is
# What has no say in the level of what follows.
SILENT = MaxPool, MeanPool, L2Pool, GlobalMeanPool, Flatten, Dropout, BatchNorm, GroupNorm, Add
NUMBERS_IN_LINE = 16  # float32 numbers in a cache line: each parameter array starts on one


class Network(Outline):
    """Layers in order, each with its parameters: `net["conv1"].w`. Shapes are proved here; the loops never check.

    `input` is (channel, row, column), or one axis of features. Parameters lie end to end in `net.parameters`.
    Images are taken as (pixel - offset) · factor, one number a channel; the first training sets both from its images,
    and `seen`, what these were like.
    """

    seen: Seen | None = None
    __call__: ClassVar[Callable[..., Array]]  # the outputs for images, which `inference` adds
    to_onnx: ClassVar[Callable[..., None]]  # these three `exchange` adds
    to_torch: ClassVar[Callable[..., Any]]
    to_torch_state: ClassVar[Callable[..., None]]

    def __init__(
        self,
        *layers: Layer,
        input: tuple[int, ...] | None = None,
        seed: int = 0,
        dtype: npt.DTypeLike = np.float32,
        name: str = "",
        **foreign: Any,
    ) -> None:
        refuse("a network", foreign, ("input", "seed", "dtype", "name"))
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            layers = tuple(layers[0])
        if not isinstance(name, str):
            raise SettingError(f"a network got name={shortly(name)}; it needs a text")
        super().__init__(*layers, input=input, name=name)
        self.seed = seed
        if dtype is None or isinstance(dtype, np.ndarray) or dtype not in DTYPES:
            got = " ".join(str(dtype).split())
            raise SettingError(f"a network got dtype {got}; it needs float32, float64 or object")
        self.dtype = np.dtype(dtype)
        shapes = self.shapes
        sizes = [[math.prod(each.shape) for each in weights.values()] for _, _, weights in shapes.values()]
        places = [[-(-size // NUMBERS_IN_LINE) * NUMBERS_IN_LINE for size in each] for each in sizes]
        self.parameters = zeros((sum(map(sum, places)),), self.dtype)
        self.state = zeros((sum(math.prod(each.shape) for each in self.states.values()),), self.dtype)
        self.steps: dict[str, Step] = {}
        for (name, (x, y, weights)), layer in zip(shapes.items(), layers, strict=True):
            skip = self.steps[start].y if (start := layer.skips()) else None
            self.steps[name] = Step(name, layer, x, y, weights, {}, {}, partial(made_singly, x, self.dtype, skip))
        self._lay_out()
        self.offset, self.factor = zeros((self.input[0],), self.dtype), zeros((self.input[0],), self.dtype)
        self.factor[:] = 1
        self.cached: dict[Any, Any] = {}  # what others keep ready from call to call; a copy begins without
        self.reset(seed)

    def _lay_out(self) -> None:
        """Each layer's arrays as parts of `parameters` and of `state`."""
        for step, arrays in zip(self.steps.values(), self.views(self.parameters), strict=True):
            step.arrays.update(arrays)
        start = 0
        for name, state in self.states.items():
            layer, _, own = name.partition(".")
            size = math.prod(state.shape)
            self.steps[layer].state[own] = self.state[start : start + size].reshape(state.shape)
            start += size

    def views(self, flat: Array) -> Iterator[dict[str, Array]]:
        """Each layer's arrays inside one that is laid out as `parameters` is."""
        start = 0
        for step in self.steps.values():
            arrays = {}
            for name, weights in step.weights.items():
                size = math.prod(weights.shape)
                arrays[name] = flat[start : start + size].reshape(weights.shape)
                start += -(-size // NUMBERS_IN_LINE) * NUMBERS_IN_LINE
            yield arrays

    def reset(self, seed: int) -> None:
        """Starting weights from a seed: what a layer's `start` says, else He before a ReLU and Glorot elsewhere."""
        self.seed = require_whole("a network", "seed", seed, 0)
        rng = np.random.default_rng(self.seed)
        for name, state in self.states.items():
            layer, _, own = name.partition(".")
            self.steps[layer].state[own][...] = state.begins
        for place, step in enumerate(self.steps.values()):
            start = getattr(step.layer, "start", None) or self._start(place)
            for name, weights in step.weights.items():
                kind = weights.start or (start if weights.inputs else Zeros())
                try:
                    values = kind(rng, weights.shape, weights.inputs, weights.outputs)
                except MemoryError:  # they are drawn in float64
                    size = math.prod(weights.shape)
                    raise SettingError(f"there is no room to draw the {size:,} numbers of {step.name}.{name}") from None
                step.arrays[name][...] = values if self.dtype != object else exactly(values)

    def _start(self, place: int) -> Start:
        """He where a ReLU follows, at once or behind a layer that has no say in it."""
        rectifier = (ReLU, LeakyReLU)
        if isinstance(getattr(self.layers[place], "activation", None), rectifier):
            return He()
        after = (each for each in self.layers[place + 1 :] if not isinstance(each, SILENT))
        return He() if isinstance(next(after, None), rectifier) else Glorot()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in self.__dict__.get("steps", ()):
                raise AttributeError(f"a layer is asked for by its name: net[{name!r}]")
            missing("a network", name, METHODS)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps.values())

    def __contains__(self, name: object) -> bool:
        return name in self.steps

    def __getitem__(self, name: str | int | slice) -> Step:
        if isinstance(name, int | np.integer):
            if not -len(self) <= name < len(self):
                raise IndexError(f"the network has {len(self)} layers, counted from 0; there is no layer {name}")
            return list(self)[name]
        if isinstance(name, slice):
            raise SettingError("a network gives one layer at a time: net[0] or net['conv1']; list(net)[0:2] gives some")
        if not isinstance(name, str) or name not in self.steps:
            raise SettingError(f"the network has no layer {name!r}; {nearest(name, self.steps)}")
        return self.steps[name]

    @property
    def arrays(self) -> dict[str, Array]:
        """Every trained array by its whole name, such as `conv1.w`."""
        return {f"{step.name}.{name}": array for step in self.steps.values() for name, array in step.arrays.items()}

    @property
    def kept(self) -> dict[str, Array]:
        """Every array that is kept from step to step and not trained, by its whole name: `batchnorm1.running_mean`."""
        return {f"{step.name}.{name}": array for step in self.steps.values() for name, array in step.state.items()}

    @classmethod
    def from_json(cls, text: Any, seed: int = 0, dtype: npt.DTypeLike = np.float32) -> "Network":
        """The network that a JSON object describes: `{"input": [1, 28, 28], "layers": [{"kind": "Conv", …}, …]}`.

        SettingError where it describes none, or says that it is of another `format` than `to_json` writes.
        """
        outline = Outline.from_json(text)
        return cls(*outline.layers, input=outline.input, seed=seed, dtype=dtype, name=outline.name)

    def run(
        self, images: Any, targets: Any = None, loss: Loss | None = None, *, training: bool | None = None, step: int = 0
    ) -> Run:
        """One shard through the network, everything kept: forward, and backward too where targets are given.

        Without them `run.backward(dy)` goes back from the error at the output, (image, class), of a loss of your own.

        images: (image, channel, row, column), as many as one shard holds (32; any number for exact networks).
        targets: class numbers (image,), or what the outputs should be (image, output).
        training: whether layers do what they do in training, such as Dropout; where there are targets, unless told.
        step: of the training, on which the masks of Dropout depend.
        """
        images = np.asarray(numbers(images, self))
        lanes = len(images) if self.dtype == object else lanes_taken(LANES, len(images))
        training = targets is not None if training is None else training
        if not isinstance(training, bool):
            raise SettingError(f"a run got training={shortly(training)}; it needs True or False")
        loss = None if targets is None else SoftmaxCrossEntropy() if loss is None else loss
        if not (loss is None or isinstance(loss, Loss)):
            raise SettingError(f"a run got loss={shortly(loss)}; it needs one such as SoftmaxCrossEntropy()")
        run = Run(self, lanes, loss, input_gradient=True, training=training)
        run.seeds[:] = self.seed, require_whole("a run", "step", step, 0)
        run.load(images)
        look(self, images)
        run.forward()
        if targets is not None:
            run.aim(targets)
            run.backward()
        return run

    def copy(self) -> "Network":
        """The same network with parameters of its own."""
        twin = Network(*self.layers, input=self.input, seed=self.seed, dtype=self.dtype, name=self.name)
        for name in KEPT:
            getattr(twin, name)[:] = getattr(self, name)
        twin.seen = self.seen
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"cached": {}}  # machine code and threads are this process's

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in KEPT:
            setattr(self, name, zeros(state[name].shape, self.dtype))
            getattr(self, name)[:] = state[name]
        self._lay_out()  # each array is again a part of `parameters`

    def __deepcopy__(self, memo: Any) -> "Network":
        return self.copy()

    def __repr__(self) -> str:
        return f"<Network {self.name}: {shape_text(self.input)} → {shape_text(self.output)}, {self.size:,} parameters>"


def require_network(who: str, net: object) -> Network:
    """SettingError for what is no network."""
    if not isinstance(net, Network):
        raise SettingError(f"{who} got {shortly(net)}; it needs a Network, such as model('digits').network()")
    return net


def lanes_taken(lanes: int, images: int) -> int:
    """How many lanes a shard has for so many images: the whole, or as many as it fills where nests run as Python.

    There an empty lane takes as long as one with an image. No sum depends on empty lanes: they add zeros at its end.
    """
    return lanes if has_numba() else max(1, min(lanes, images))


def alone(layer: Layer, x: Shape, dtype: npt.DTypeLike = np.float32, skip: Shape | None = None) -> Network:
    """A network of just this layer, on an input of this shape.

    One that reads an earlier layer's output besides, of the shape `skip` or else that of its input, stands at the end,
    behind a layer that has such an output, and one that goes from there to its own input.
    """
    if not layer.skips():
        return Network(layer, input=x, dtype=dtype)
    x = Network(ReLU(), input=x).input
    skip = skip or x
    rows, columns = (-(-larger // smaller) for larger, smaller in zip((*skip, 1, 1)[1:3], (*x, 1, 1)[1:3], strict=True))
    between = Conv(x[0], size=1, stride=(rows, columns)) if len(x) == 3 else Dense(x[0])
    return Network(ReLU(), between, layer.replace(layer="relu1"), input=skip, dtype=dtype)


def made_singly(x: Shape, dtype: Any, skip: Shape | None, layer: Layer, way: str) -> Made:
    """The texts of a layer and their calls, on a shard of images of this shape."""
    run = Run(alone(layer, x, dtype, skip), LANES, input_gradient=True, training=True)
    name = next(reversed(run.net.steps))
    return run.tasks(name, way), run.calls(name, way)
