"""A run: every array that one shard of a batch leaves behind, wired to the loop nests by name."""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import prod
from typing import Any, ClassVar

import numpy as np

from plaingrad.door import count_hits, exactly, load_images, load_targets, numbers
from plaingrad.errors import DataError, SettingError, nearest
from plaingrad.layer import Kept, bind
from plaingrad.loops import Array, Loops, zeros
from plaingrad.loss import Loss
from plaingrad.program import Call, Program
from plaingrad.step import Layered, Step, makes_only_dx, makes_only_slopes


class Run:
    """Every array one shard of a batch leaves behind: each layer's input, output, kept arrays and gradients.

    `run["conv1"].dw` or `run["conv1.dw"]` reads one. Activations are shown as (image, channel, row, column), the lanes
    without an image left out; inside they are (channel, row, column × lane). The last entry is `run["loss"]`.
    Nests of which `as_python` says so, told how many products or numbers one image asks of them, are run as Python.
    With `errors_only` the errors go back, and the calls that make the weights' gradients are `left_out`.
    """

    explain: ClassVar[Callable[..., Any]]  # `plaingrad.explain`, which knows runs, adds itself

    def __init__(
        self,
        net: Layered,
        lanes: int,
        loss: Loss | None = None,
        input_gradient: bool = False,
        backward: bool = True,
        errors_only: bool = False,
        as_python: Callable[[Loops, int], bool] = lambda nest, work: False,
    ) -> None:
        self.net, self.lanes, self.loss = net, lanes, loss
        self.explained: Any = None  # kept by whoever explains it
        self.records: dict[str, dict[str, Array]] = {}
        self.known: dict[str, dict[str, Any]] = {}  # by layer, all that its nests can ask for
        self.kinds: dict[str, dict[str, Kept]] = {}
        self.scratch: dict[tuple[str, Kept], Array] = {}
        self.forward_calls: list[Call] = []
        self.left_out: list[Call] = []
        self.gradient = zeros(net.parameters.shape if backward else (0,), net.dtype)
        self.index, self.share, self.has_gradients = np.arange(lanes), zeros((1,), net.dtype), False
        way_back: list[list[Call]] = []
        y: Array = self._array(Kept(net.input))
        dy: Array | None = None
        slopes_of = net.views(self.gradient) if backward else iter(lambda: dict[str, Array](), None)
        for step, slopes in zip(net.steps.values(), slopes_of, strict=backward):
            both = (nest.arguments for nest in step.layer.backward if not makes_only_dx(nest.arguments, step))
            wants_dx = input_gradient or dy is not None or any("dx" in arguments for arguments in both)
            kinds = {"x": Kept(step.x), "y": Kept(step.y), "dx": Kept(step.x), "dy": Kept(step.y)}
            record = {"x": y, "y": self._array(kinds["y"]), **step.arrays}
            nests: list[Loops] = []
            if backward:
                record["dy"] = self._array(kinds["dy"])
                if wants_dx:
                    record["dx"] = dy if dy is not None else self._array(kinds["dx"])
                nests = [nest for nest in step.layer.backward if wants_dx or not makes_only_dx(nest.arguments, step)]
            record |= {"d" + name: array for name, array in slopes.items()}
            left_out = [nest for nest in nests if errors_only and makes_only_slopes(nest, step)]
            nests = [nest for nest in nests if nest not in left_out]
            asked = {name for nest in (*step.layer.forward, *nests, *left_out) for name in nest.arguments}
            scratch: dict[str, Array] = {}
            for name, kept in step.layer.kept(step.x).items():
                if name not in asked:
                    continue
                if isinstance(kept, Kept) and kept.scratch:
                    scratch[name] = self.scratch.setdefault((name, kept), self._array(kept))
                elif isinstance(kept, Kept):
                    record[name], kinds[name] = self._array(kept), kept
                elif kept in record:
                    record[name], kinds[name] = record[kept], kinds[kept]
            settings = {**step.layer.settings(), **step.layer.constants(step.x, lanes)}
            known = {**self._settings(settings), **record, **scratch}

            def bound(nest: Loops, step: Step = step, known: dict[str, Any] = known) -> Call:
                plain = as_python(nest, step.layer.multiplications(step.x) if "w" in nest.arguments else prod(step.x))
                return bind(nest, step.layer, known, plain)

            way_back.append([bound(nest) for nest in nests])
            self.left_out += [bind(nest, step.layer, known, plain=True) for nest in left_out]
            self.forward_calls += [bound(nest) for nest in step.layer.forward]
            self.records[step.name], self.kinds[step.name], self.known[step.name] = record, kinds, known
            y, dy = record["y"], record.get("dy")
        self.y, self.backward_calls = y, [call for calls in reversed(way_back) for call in calls]
        self.x = next(iter(self.records.values()))["x"]
        self.loss_calls: list[Call] = []
        if loss is not None:
            self._add_loss(loss, y, dy, as_python)

    def _add_loss(self, loss: Loss, y: Array, dy: Array | None, as_python: Callable[[Loops, int], bool]) -> None:
        """The last entry: the loss reads the output as its `x` and leaves the output's gradient in its `dx`."""
        shape = self.net.output
        loss.check(shape)
        kinds = {"target": Kept(shape), **loss.kept(shape), "hit": Kept((), "int64", lanes="first")}
        kinds |= {name: Kept((), lanes="first") for name in ("y", "weight")}
        record = {"x": y} | {name: self._array(kept) for name, kept in kinds.items()}
        if dy is not None:
            record["dx"] = dy
        known = {**self._settings(loss.constants(shape)), **record}
        plain = {nest: as_python(nest, prod(shape)) for nest in (*loss.forward, count_hits, *loss.backward)}
        self.loss_calls += [bind(nest, loss, known, plain[nest]) for nest in (*loss.forward, count_hits)]
        if dy is not None:
            self.backward_calls[:0] = [bind(nest, loss, known, plain[nest]) for nest in loss.backward]
        self.known["loss"] = known
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
        images = np.ascontiguousarray(numbers(images, self.net.dtype))
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
        self.index[:] = index
        self._door(images)()

    def _door(self, images: Array) -> Call:
        number: Any = int if self.net.dtype == object else self.net.dtype.type
        unit = number(1 / 255 if images.dtype == np.uint8 else 1)
        x = self.x if self.x.ndim == 3 else self.x.reshape(*self.net.input, 1, self.lanes)
        known = {"images": images, "index": self.index, "unit": unit, "lanes": self.lanes, "x": x}
        return bind(load_images, self.net, known | {"offset": self.net.offset, "factor": self.net.factor})

    def _targets(self, labels: Array) -> Call:
        known = {"labels": labels, "index": self.index, "share": self.share}
        return bind(load_targets, self.net, known | self.records["loss"])

    def program(self, images: Array, labels: Array | None = None, backward: bool = False) -> Program:
        """All this run does for the images whose numbers are put into `index`: forward; the loss where there are labels

        (class numbers; each image has `share` of the batch); every gradient where told. The images are not copied.
        """
        calls = [self._door(images), *self.forward_calls]
        if labels is not None:
            calls += [self._targets(labels), *self.loss_calls]
        return Program(calls + self.backward_calls if backward else calls)

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
        record["target"][:, self.index >= 0] = targets.T if self.net.dtype != object else exactly(targets.T)
        record["weight"][self.index >= 0] = Fraction(1, count) if self.net.dtype == object else 1 / count

    def point(self, labels: Array, share: Any) -> None:
        """Say which class each image is meant to be, and its share of the batch. For images that `fill` laid."""
        self.share[0] = share
        self._targets(labels)()

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
        """The network's output, an image a lane: (lane, class), a view of what lies (class, lane)."""
        shape = self.net.output
        return np.moveaxis(self.y.reshape(*shape, self.lanes), -1, 0)

    def forward(self) -> None:
        """Every layer's `y`."""
        self.has_gradients = False
        for call in self.forward_calls:
            call()

    def backward(self) -> None:
        """The loss of each image, and every gradient."""
        self.measure()
        for call in self.backward_calls:
            call()
        self.has_gradients = True

    @property
    def names(self) -> list[str]:
        """Every quantity there is to read; gradients only where the run had targets."""
        return [f"{layer}.{name}" for layer, record in self.records.items() for name in record if self._is_made(name)]

    def _is_made(self, name: str) -> bool:
        return self.has_gradients or not name.startswith("d")

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __repr__(self) -> str:
        count, labels = int((self.index >= 0).sum()), "" if self.has_gradients else ", without labels"
        return f"<Run of {self.net.name} on {count} images{labels}: {', '.join(self.records)}>"

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
        if not self._is_made(name):
            raise SettingError(f"{layer}.{name} is a gradient, and this run had no labels: net.run(images, labels)")
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
        return [name for name in self._run.records[self._layer] if self._run._is_made(name)]

    def __repr__(self) -> str:
        shapes = (f"{name} {getattr(self, name).shape}" for name in dir(self))
        return f"<{self._layer}: {', '.join(shapes)}>"

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._run.quantity(self._layer, name)
        except SettingError as error:
            raise AttributeError(str(error)) from None
