"""A network: layers in order and their parameters; and a run: every array that one shard of a batch leaves behind."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from plaingrad.errors import DataError, SettingError, ShapeError, nearest
from plaingrad.layer import Glorot, He, Kept, Layer, Shape, Start, Weights, Zeros, bind
from plaingrad.layers import Flatten, L2Pool, LeakyReLU, MaxPool, MeanPool, ReLU
from plaingrad.loops import Array, Loops, loops, zeros
from plaingrad.loss import Loss, SoftmaxCrossEntropy

LANES = 32
NUMBERS_IN_LINE = 16  # float32 numbers in a cache line: each parameter array starts on one


@dataclass(frozen=True)
class Step:
    """One layer at its place: its name, the shapes of its input and output, and its trained arrays."""

    name: str
    layer: Layer
    x: Shape
    y: Shape
    weights: dict[str, Weights]
    arrays: dict[str, Array]

    def __getattr__(self, name: str) -> Array:
        if name not in self.__dict__.get("arrays", {}):
            raise AttributeError(f"{self.__dict__.get('name', 'a step')} has no parameter {name!r}")
        return self.arrays[name]


class Network:
    """Layers in order, each with its parameters: `net["conv1"].w`. Shapes are proved here; the loops never check.

    `input` is (channel, row, column), or one axis of features. Parameters lie end to end in `net.parameters`.
    Images are taken as (pixel - offset) · factor, one number a channel; training sets both from its images.
    """

    def __init__(
        self, *layers: Layer, input: tuple[int, ...], seed: int = 0, dtype: npt.DTypeLike = np.float32, name: str = ""
    ) -> None:
        self.layers, self.seed, self.name, self.input = tuple(layers), seed, name or "network", _input(input)
        if dtype not in (
            np.float32,
            np.float64,
            object,
            "float32",
            "float64",
            np.dtype("f4"),
            np.dtype("f8"),
            np.dtype("O"),
        ):
            raise SettingError(f"a network got dtype {dtype}; it needs float32, float64 or object")
        self.dtype = np.dtype(dtype)
        if not layers:
            raise SettingError("a network got no layers; it needs at least one")
        shapes = self._shapes()
        sizes = [[math.prod(each.shape) for each in weights.values()] for _, _, weights in shapes.values()]
        places = [[-(-size // NUMBERS_IN_LINE) * NUMBERS_IN_LINE for size in each] for each in sizes]
        self.parameters = zeros((sum(map(sum, places)),), self.dtype)
        self.steps: dict[str, Step] = {}
        for (name, (x, y, weights)), layer in zip(shapes.items(), layers, strict=True):
            self.steps[name] = Step(name, layer, x, y, weights, {})
        for step, arrays in zip(self.steps.values(), self.views(self.parameters), strict=True):
            step.arrays.update(arrays)
        self.offset, self.factor = zeros((self.input[0],), self.dtype), zeros((self.input[0],), self.dtype)
        self.factor[:] = 1
        self.reset(seed)

    def _shapes(self) -> dict[str, tuple[Shape, Shape, dict[str, Weights]]]:
        """Each layer's name, input, output and weights, proved to fit."""
        shape, path, seen, shapes = self.input, f"input {self.input}", Counter[str](), {}
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise SettingError(f"a network is made of layers, got {layer!r}; did you forget its ()?")
            kind = type(layer).__name__.lower()
            seen[kind] += 1
            name = f"{kind}{seen[kind]}"
            try:
                out = layer.output(shape)
            except ShapeError as error:
                raise ShapeError(f"{name} = {layer} got {shape}: {error}. The way there: {path}") from None
            shapes[name] = (shape, out, layer.weights(shape))
            path, shape = f"{path} → {name} {out}", out
        return shapes

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
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise SettingError(f"a network got seed={seed!r}; it needs a whole number of at least 0")
        self.seed, rng = seed, np.random.default_rng(seed)
        for place, step in enumerate(self.steps.values()):
            start = getattr(step.layer, "start", None) or self._start(place)
            for name, weights in step.weights.items():
                kind = start if weights.inputs else Zeros()
                values = kind(rng, weights.shape, weights.inputs, weights.outputs)
                step.arrays[name][...] = values if self.dtype != object else _exactly(values)

    def _start(self, place: int) -> Start:
        """He where a ReLU follows, at once or behind a layer that has no say in it."""
        rectifier = (ReLU, LeakyReLU)
        if isinstance(getattr(self.layers[place], "activation", None), rectifier):
            return He()
        after = (
            each for each in self.layers[place + 1 :] if not isinstance(each, MaxPool | MeanPool | L2Pool | Flatten)
        )
        return He() if isinstance(next(after, None), rectifier) else Glorot()

    def __getitem__(self, name: str) -> Step:
        if name not in self.steps:
            raise SettingError(f"the network has no layer {name!r}; {nearest(name, self.steps)}")
        return self.steps[name]

    @property
    def output(self) -> Shape:
        """The shape of the output for one image."""
        return next(reversed(self.steps.values())).y

    @property
    def arrays(self) -> dict[str, Array]:
        """Every trained array by its whole name, such as `conv1.w`."""
        return {f"{step.name}.{name}": array for step in self.steps.values() for name, array in step.arrays.items()}

    @property
    def size(self) -> int:
        """How many numbers are trained."""
        return sum(array.size for array in self.arrays.values())

    def to_json(self) -> dict[str, Any]:
        """The network without its parameters; `Network.from_json` makes it again."""
        return {
            "format": "plaingrad network 1",
            "name": self.name,
            "input": list(self.input),
            "layers": [layer.to_json() for layer in self.layers],
        }

    @classmethod
    def from_json(cls, text: Any, seed: int = 0, dtype: npt.DTypeLike = np.float32) -> "Network":
        """The network that a JSON object describes: `{"input": [1, 28, 28], "layers": [{"kind": "Conv", …}, …]}`."""
        if not isinstance(text, dict) or not isinstance(text.get("layers"), list) or "input" not in text:
            raise SettingError('a network is written {"input": [channels, rows, columns], "layers": [{"kind": …}, …]}')
        layers = [Layer.from_json(each) for each in text["layers"]]
        return cls(*layers, input=text["input"], seed=seed, dtype=dtype, name=str(text.get("name", "")))

    def run(self, images: Any, targets: Any = None, loss: Loss | None = None) -> "Run":
        """One shard through the network, everything kept: forward, and backward too where targets are given.

        images: (image, channel, row, column), as many as one shard holds (32; any number for exact networks).
        targets: class numbers (image,), or what the outputs should be (image, output).
        """
        images = np.asarray(images)
        lanes = len(images) if self.dtype == object else LANES
        run = Run(self, lanes, None if targets is None else loss or SoftmaxCrossEntropy(), input_gradient=True)
        run.load(images)
        run.forward()
        if targets is not None:
            run.aim(targets)
            run.backward()
        return run

    def copy(self) -> "Network":
        """The same network with parameters of its own."""
        twin = Network(*self.layers, input=self.input, seed=self.seed, dtype=self.dtype, name=self.name)
        for mine, its in ((self.parameters, twin.parameters), (self.offset, twin.offset), (self.factor, twin.factor)):
            its[:] = mine
        return twin

    def __deepcopy__(self, memo: Any) -> "Network":
        return self.copy()

    def summary(self) -> str:
        """A table of the layers: output shape, parameters, multiplications for one image."""
        rows = [("layer", "output", "parameters", "multiplications"), ("input", _shape_text(self.input), "", "")]
        for step in self.steps.values():
            count = sum(array.size for array in step.arrays.values())
            products = step.layer.multiplications(step.x)
            rows.append((f"{step.name} = {step.layer}", _shape_text(step.y), f"{count:,}", f"{products:,}"))
        products = sum(step.layer.multiplications(step.x) for step in self.steps.values())
        rows.append(("total", "", f"{self.size:,}", f"{products:,}"))
        wide = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [f"{a:<{wide[0]}}  {b:>{wide[1]}}  {c:>{wide[2]}}  {d:>{wide[3]}}" for a, b, c, d in rows]
        rule = "─" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def __repr__(self) -> str:
        return (
            f"<Network {self.name}: {_shape_text(self.input)} → {_shape_text(self.output)}, {self.size:,} parameters>"
        )


def _input(shape: Any) -> Shape:
    whole = isinstance(shape, list | tuple) and all(isinstance(n, int | np.integer) and n > 0 for n in shape)
    if not whole or len(shape) not in (1, 3):
        raise SettingError(
            f"a network got input={shape!r}; it needs (channels, rows, columns) or (features,), each at least 1"
        )
    return tuple(int(each) for each in shape)


def _exactly(values: Array) -> Array:
    """The same numbers as fractions; what is an exact number already, a fraction or one of ours, stays."""
    known = (int, float, np.integer, np.floating, np.bool_)
    exact = np.frompyfunc(lambda each: Fraction(each.item() if hasattr(each, "item") else each), 1, 1)
    keep = np.frompyfunc(lambda each: exact(each) if isinstance(each, known) else each, 1, 1)
    return np.asarray(keep(values), dtype=object)


def _numbers(images: Any, dtype: np.dtype[Any]) -> Any:
    """Images in a type that the nests take. Bytes stay bytes, which count in 255ths."""
    images = np.asarray(images)
    if images.dtype.kind not in "biufO":
        raise DataError(f"a run got images of type {images.dtype}; it needs numbers")
    if dtype.hasobject:
        exact = _exactly(images)
        return exact * Fraction(1, 255) if images.dtype == np.uint8 else exact
    if images.dtype in (np.uint8, np.float32, np.float64) and images.dtype.isnative:
        return images
    try:
        return images.astype(dtype)
    except (TypeError, ValueError):
        raise DataError("a run got images that are not numbers; a network of dtype=object takes exact ones") from None


def _shape_text(shape: Shape) -> str:
    return " × ".join(map(str, shape))


@loops
def load_images(images, index, unit, offset, factor, x, *, lanes):
    for c in range(images.shape[1]):
        for i in range(images.shape[2]):
            for n in range(lanes):
                if index[n] < 0:
                    for j in range(images.shape[3]):
                        x[c, i, j * lanes + n] = 0
                else:
                    for j in range(images.shape[3]):
                        x[c, i, j * lanes + n] = (images[index[n], c, i, j] * unit - offset[c]) * factor[c]


@loops
def load_targets(labels, index, share, target, weight):
    for n in range(target.shape[1]):
        for k in range(target.shape[0]):
            target[k, n] = 0
        weight[n] = 0
        if not index[n] < 0:
            target[labels[index[n]], n] = 1
            weight[n] = share


@loops
def count_hits(x, target, hit):
    for n in range(x.shape[1]):
        best, meant = 0, 0
        for k in range(1, x.shape[0]):
            if x[k, n] > x[best, n]:
                best = k
            if target[k, n] > target[meant, n]:
                meant = k
        hit[n] = 1 if best == meant else 0


class Run:
    """Every array one shard of a batch leaves behind: each layer's input, output, kept arrays and gradients.

    `run["conv1"].dw` or `run["conv1.dw"]` reads one. Activations are shown as (image, channel, row, column), the lanes
    without an image left out; inside they are (channel, row, column × lane). The last entry is `run["loss"]`.
    """

    def __init__(self, net: Network, lanes: int, loss: Loss | None = None, input_gradient: bool = False) -> None:
        self.net, self.lanes, self.loss = net, lanes, loss
        self.records: dict[str, dict[str, Array]] = {}
        self.kinds: dict[str, dict[str, Kept]] = {}
        self.forward_calls: list[Callable[[], None]] = []
        self.gradient = zeros(net.parameters.shape, net.dtype)
        self.index = np.arange(lanes)
        backward: list[list[Callable[[], None]]] = []
        y: Array = self._array(Kept(net.input))
        dy: Array | None = None
        for step, slopes in zip(net.steps.values(), net.views(self.gradient), strict=True):
            wants_dx = input_gradient or dy is not None
            kinds = {"x": Kept(step.x), "y": Kept(step.y), "dx": Kept(step.x), "dy": Kept(step.y)}
            record = {"x": y, "y": self._array(kinds["y"]), "dy": self._array(kinds["dy"]), **step.arrays}
            if wants_dx:
                record["dx"] = dy if dy is not None else self._array(kinds["dx"])
            record |= {"d" + name: array for name, array in slopes.items()}
            nests = [nest for nest in step.layer.backward if wants_dx or not _only_dx(nest.arguments)]
            asked = {name for nest in (*step.layer.forward, *nests) for name in nest.arguments}
            for name, kept in step.layer.kept(step.x).items():
                if name not in asked:
                    continue
                if isinstance(kept, Kept):
                    record[name], kinds[name] = self._array(kept), kept
                elif kept in record:
                    record[name], kinds[name] = record[kept], kinds[kept]
            settings = {**step.layer.settings(), **step.layer.constants(step.x, lanes)}
            known = {**self._settings(settings), **record}
            backward.append([bind(nest, step.layer, known) for nest in nests])
            self.forward_calls += [bind(nest, step.layer, known) for nest in step.layer.forward]
            self.records[step.name], self.kinds[step.name] = record, kinds
            y, dy = record["y"], record["dy"]
        self.backward_calls = [call for calls in reversed(backward) for call in calls]
        self.x = next(iter(self.records.values()))["x"]
        self.loss_calls: list[Callable[[], None]] = []
        if loss is not None:
            self._add_loss(loss, y, dy)
        self._doors: dict[Any, Callable[..., None]] = {}

    def _add_loss(self, loss: Loss, y: Array, dy: Array | None) -> None:
        """The last entry: the loss reads the output as its `x` and leaves the output's gradient in its `dx`."""
        shape = self.net.output
        loss.check(shape)
        kinds = {"target": Kept(shape), **loss.kept(shape), "hit": Kept((), "int64", lanes="first")}
        kinds |= {name: Kept((), lanes="first") for name in ("y", "weight")}
        record = {"x": y} | {name: self._array(kept) for name, kept in kinds.items()}
        if dy is not None:
            record["dx"] = dy
        known = {**self._settings(loss.constants(shape)), **record}
        self.loss_calls += [bind(nest, loss, known) for nest in (*loss.forward, count_hits)]
        self.backward_calls[:0] = [bind(nest, loss, known) for nest in loss.backward]
        self.records["loss"], self.kinds["loss"] = record, kinds | {"x": Kept(shape), "dx": Kept(shape)}

    def _array(self, kept: Kept) -> Array:
        dtype = kept.dtype or self.net.dtype
        if kept.lanes == "last" and kept.shape:
            *most, columns = kept.shape
            return zeros((*most, columns * self.lanes) if most else (columns, self.lanes), dtype)
        return zeros((self.lanes, *kept.shape) if kept.lanes == "first" else kept.shape, dtype)

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings as the nests take them: fractions of the network's own number type, and the number of lanes."""
        number: Any = Fraction if self.net.dtype == object else self.net.dtype.type
        known = {name: number(value) if isinstance(value, float) else value for name, value in settings.items()}
        return known | {"lanes": self.lanes}

    def load(self, images: Any) -> None:
        """Lay images (image, channel, row, column) into the lanes, as many as there are, and zeros into the others."""
        images = np.ascontiguousarray(_numbers(images, self.net.dtype))
        if images.ndim == 2 and len(self.net.input) == 1:
            images = images[:, :, None, None]
        channels, rows, columns = self.net.input if len(self.net.input) == 3 else (*self.net.input, 1, 1)
        if images.shape[1:] != (channels, rows, columns) or not 0 < len(images) <= self.lanes:
            raise DataError(
                f"a run of {self.net.name} got images of shape {images.shape}; it needs (image, *{self.net.input}), "
                f"from 1 to {self.lanes} images"
            )
        self.fill(images, np.concatenate([np.arange(len(images)), np.full(self.lanes - len(images), -1)]))

    def fill(self, images: Array, index: Array) -> None:
        """Lay `images[index]` into the lanes; an index of -1 is an empty lane. Pixels of uint8 count in 255ths."""
        self.index = index
        number: Any = int if self.net.dtype == object else self.net.dtype.type
        unit = number(1 / 255 if images.dtype == np.uint8 else 1)
        x = self.x if self.x.ndim == 3 else self.x.reshape(*self.net.input, 1, self.lanes)
        self._through(load_images, images, index, unit, self.net.offset, self.net.factor, x, lanes=self.lanes)

    def _through(self, door: Loops, *given: Any, **constants: Any) -> None:
        """A nest on arrays that come from outside, compiled once for each type of theirs."""
        key = (door, *((each.dtype, each.ndim) if isinstance(each, np.ndarray) else type(each) for each in given))
        if key not in self._doors:
            self._doors[key] = door.bound(list(given), **constants)
        self._doors[key](*given)

    def aim(self, targets: Any) -> None:
        """Say what the outputs should be: class numbers (image,) or values (image, output). Images weigh the same."""
        targets, count = np.asarray(targets), int((self.index >= 0).sum())
        if targets.dtype.kind not in "biufO":
            raise DataError(f"a run got targets of type {targets.dtype}; it needs class numbers or values")
        record, classes = self.records["loss"], self.net.output[0]
        if targets.shape == (count,) and targets.dtype.kind in "iu":
            if targets.min() < 0 or targets.max() >= classes:
                raise DataError(f"a run got a label outside 0 to {classes - 1}, the outputs of {self.net.name}")
            targets = np.arange(classes) == targets[:, None]
        if targets.shape != (count, classes):
            raise DataError(
                f"a run of {count} images got targets of shape {targets.shape}; it needs ({count},) class numbers "
                f"or ({count}, {classes}) values"
            )
        record["target"][...], record["weight"][...] = 0, 0
        record["target"][:, self.index >= 0] = targets.T if self.net.dtype != object else _exactly(targets.T)
        record["weight"][self.index >= 0] = Fraction(1, count) if self.net.dtype == object else 1 / count

    def point(self, labels: Array, share: Any) -> None:
        """Say which class each image is meant to be, and its share of the batch. For images that `fill` laid."""
        record = self.records["loss"]
        self._through(load_targets, labels, self.index, share, record["target"], record["weight"])

    def measure(self) -> None:
        """Each image's loss, and whether its class was named."""
        for call in self.loss_calls:
            call()

    def score(self) -> tuple[float, int]:
        """Σ loss over the images of this shard, added in order, and how many were named right."""
        loss, hit = self.records["loss"]["y"].tolist(), self.records["loss"]["hit"].tolist()
        count = int(np.count_nonzero(self.index >= 0))
        return float(sum(loss[:count])), sum(hit[:count])

    @property
    def output(self) -> Array:
        """The network's output (class, lane)."""
        return self.records["loss"]["x"]

    def forward(self) -> None:
        """Every layer's `y`."""
        for call in self.forward_calls:
            call()

    def backward(self) -> None:
        """The loss of each image, and every gradient."""
        self.measure()
        for call in self.backward_calls:
            call()

    @property
    def names(self) -> list[str]:
        """Every quantity there is to read."""
        return [f"{layer}.{name}" for layer, record in self.records.items() for name in record]

    def __getitem__(self, name: str) -> Any:
        layer, _, quantity = name.partition(".")
        if layer not in self.records:
            raise SettingError(f"the run has no layer {layer!r}; {nearest(layer, self.records)}")
        if not quantity:
            return Quantities(self, layer)
        quantity, cells = re.fullmatch(r"(\w*)(.*)", quantity, re.S).groups()  # type: ignore[union-attr]
        array = self.quantity(layer, quantity)
        if not cells:
            return array
        place = re.fullmatch(r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]", cells)
        if not place:
            raise SettingError(f"cannot read {name!r}; a place is written {layer}.{quantity}[0,1,…] with whole numbers")
        index = tuple(int(each) for each in place[1].split(","))
        if len(index) != array.ndim or any(i >= size for i, size in zip(index, array.shape, strict=True)):
            raise SettingError(
                f"{layer}.{quantity}{list(index)} is out of range; {layer}.{quantity} has the shape {array.shape}"
            )
        return array[index]

    def quantity(self, layer: str, name: str) -> Array:
        """An array of a layer as users see it: (image, channel, row, column), without the empty lanes."""
        record, kept = self.records[layer], self.kinds[layer].get(name)
        if name not in record:
            raise SettingError(f"{layer} has no quantity {name!r}; {nearest(name, record)}")
        array = record[name]
        if kept is None or kept.lanes == "none":
            return array
        if kept.lanes == "last" and kept.shape:
            array = np.moveaxis(array.reshape(*kept.shape, self.lanes), -1, 0)
        return array[self.index >= 0] if self.index.min() < 0 else array


class Quantities:
    """One layer's arrays in a run, by name."""

    def __init__(self, run: Run, layer: str) -> None:
        self._run, self._layer = run, layer

    def __dir__(self) -> list[str]:
        return list(self._run.records[self._layer])

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._run.quantity(self._layer, name)
        except SettingError as error:
            raise AttributeError(str(error)) from None


def _only_dx(arguments: tuple[str, ...]) -> bool:
    """Whether a nest is there only for the gradient of the layer's input."""
    return bool({"dx", "dpx"} & set(arguments))
