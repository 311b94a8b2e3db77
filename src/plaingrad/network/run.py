"""A run: every array that one shard of a batch leaves behind, wired to the texts by name.

Over 300 lines, since who reads and who fills an array is decided where the arrays are made.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any, ClassVar

import numpy as np

from plaingrad.compiler.loops import Array, has_numba, zeros
from plaingrad.compiler.program import Call, Program
from plaingrad.data.pixels import as_array, unit_of
from plaingrad.errors import DataError, SettingError
from plaingrad.network.augment import DRAWN, Augment, draw_augmentation, load_augmented
from plaingrad.network.loading import (
    WORDS,
    add_up,
    added_up,
    count_hits,
    draw_mask,
    in_own_numbers,
    load_targets,
    numbers,
    prepare_images,
    share_out,
    weigh,
)
from plaingrad.network.quantities import Laid, Readable
from plaingrad.network.step import Layered, until_weights
from plaingrad.schedule.calls import fast_calls, fuses, goes_on, is_one_array, text_calls
from plaingrad.schedule.fast import Task, check
from plaingrad.schedule.turning import turning
from plaingrad.schedule.written import SAME_NUMBERS
from plaingrad.textbook.layer import Layer, Pass, Shape, bind, not_provided, passes, shares_of
from plaingrad.textbook.layers.skip import BOTH_ERRORS
from plaingrad.textbook.losses import Loss


class Run(Readable):
    """Every array one shard of a batch leaves behind: each layer's input, output, saved arrays and gradients.

    `run["conv1"].dw` or `run["conv1.dw"]` reads one. Activations are shown as (image, channel, row, column), the lanes
    without an image left out; inside they are (channel, row, column × lane). The last entry is `run["loss"]`.
    float32 and float64 go through fast nests, other numbers through the texts, which see (image, channel, row, column).
    In `training` layers do what they do there; else what they do once they are trained.
    `as_written`, asked with how many products or numbers a text makes of one image, has the texts run instead: as
    Python where it says so, else compiled as they stand. `by_patches` convolutions may add up other terms than their
    texts, fewer ones (`schedule/winograd.py`): for training and predictions, of which no single number is explained.
    `augment` is how a program that goes back too changes its images as it loads them, in the epoch that `epoch` says.
    """

    explain: ClassVar[Callable[..., Any]]  # `plaingrad.explain`, which knows runs, adds itself

    def __init__(
        self,
        net: Layered,
        lanes: int,
        loss: Loss | None = None,
        input_gradient: bool = False,
        backward: bool = True,
        as_written: Callable[[int], bool] | None = None,
        by_patches: bool = False,
        training: bool | None = None,
        augment: Augment | None = None,
    ) -> None:
        self.net, self.lanes, self.loss, self.as_written, self.by_patches = net, lanes, loss, as_written, by_patches
        self.training, self.augment = backward if training is None else training, augment
        self.explained: Any = None  # kept by whoever explains it
        self.records: dict[str, dict[str, Array]] = {}
        self.kinds: dict[str, dict[str, Laid]] = {}
        self.known: dict[str, dict[str, Any]] = {}  # by layer, what its texts can ask for besides arrays
        self.scratch = zeros((0,), net.dtype)
        self.prepared: Array | None = None  # images one after the other, before they are laid into lanes
        self.is_fast = as_written is None and not net.dtype.hasobject and has_numba()
        self.gradient = zeros(net.parameters.shape if backward else (0,), net.dtype)
        self.index, self.batch_share, self.has_gradients = np.arange(lanes), zeros((1,), net.dtype), False
        self.places = self.index.data
        self.totals = zeros((2,), "f8")  # of the loss and of the hits
        self.share, self.seeds, self.epoch = zeros((lanes,), net.dtype), np.zeros(2, np.int64), np.zeros(1, np.int64)
        self.starts = {step.layer.skips(): step.name for step in net.steps.values() if step.layer.skips()}
        y = self._array(Laid(net.input))
        left_out = self._left_out(net) if backward and not input_gradient else ()
        dy = self._array(Laid(net.input)) if backward and not left_out else None
        gradients_of = net.views(self.gradient) if backward else iter(lambda: dict[str, Array](), None)
        for step, gradients in zip(net.steps.values(), gradients_of, strict=backward):
            kinds = {name: Laid(step.x) for name in ("x", "dx")} | {name: Laid(step.y) for name in ("y", "dy")}
            by_way, is_start = passes(step.layer), next(reversed(self.records), "") in self.starts
            stays = self._stays(by_way["forward"], by_way["infer"]) and not is_start  # one layer may read both
            record = {"x": y, "y": self._array(kinds["y"], y if stays else None), **step.arrays, **step.state}
            if backward:
                record |= {"dx": dy} if dy is not None else {}
                error = {"dy": self._array(kinds["dy"], dy if self._stays(by_way["backward"]) else None)}
                record |= {} if step.name in left_out[:-1] else error
                record |= {"d" + name: each for name, each in gradients.items()}
            y, dy = record["y"], record.get("dy")
            self._add(step.name, step.layer, step.x, record, kinds)
            if step.name in self.starts and dy is not None:  # its output goes two ways, and an error comes back by each
                dy = self._array(kinds["dy"])
                record["dnext"], kinds["dnext"] = dy, replace(kinds["dy"], is_inner=True)
        self.y, self.x = y, next(iter(self.records.values()))["x"]
        self.is_mixed = any("share" in record for record in self.records.values())
        self.draw_calls = list(self._draws(net))
        self.has_modes = any(step.layer.infer is not None for step in net.steps.values())
        trains = backward or not self.has_modes  # a network without modes has one way forward
        self.forward_calls = [call for step in net.steps for call in self.calls(step, "forward")] if trains else []
        self.infer_calls = self.forward_calls
        if self.has_modes:
            self.infer_calls = [call for step in net.steps for call in self.calls(step, "infer")]
        self.settle_calls = [call for step in net.steps for call in self.calls(step, "settle")] if backward else []
        self.loss_calls: list[Call] = []
        if loss is not None:
            self._add_loss(loss, net.output, y, dy)
            hits = bind(count_hits, loss, self.records["loss"], not self.is_fast)
            self.loss_calls = [*self.calls("loss", "forward"), hits]
            if self.is_fast:
                its = {"loss": self.records["loss"]["y"], "hit": self.records["loss"]["hit"]}
                self.loss_calls.append(bind(add_up, loss, {**its, "index": self.index, "totals": self.totals}))
        ways = [*(["loss"] if loss is not None else []), *reversed(net.steps)] if backward else []
        ways = ways[: len(ways) - len(left_out[:-1])]
        self.backward_calls = list(self._backward(ways))

    def _stays(self, *ways: list[Pass]) -> bool:
        """Whether all numbers stay where they are on these ways, of which then none is gone."""
        return self.is_fast and all(each.text in SAME_NUMBERS for way in ways for each in way)

    def _left_out(self, net: Layered) -> tuple[str, ...]:
        """The layers whose dx nobody asked for: up to the first with weights, if it can go back without.

        Those before it need no error at all.
        """
        names = until_weights(net)
        if any(name in self.starts for name in names[:-1]):  # a skip brings an error there
            return ()
        can = self.is_fast and names and fuses(net.steps[names[-1]].layer.backward)
        return names if can else ()

    def _add(self, name: str, owner: Any, x: Shape, record: dict[str, Array], kinds: dict[str, Laid]) -> None:
        """A layer's arrays by name, and what else its texts can ask for."""
        for each, saved in owner.saved(x).items():
            kinds[each] = Laid(saved.shape, saved.dtype, saved.has_images)
            record[each] = self._array(kinds[each])
        more: dict[str, Laid] = {}
        known: dict[str, Any] = {}
        if isinstance(owner, Layer):
            more |= self._drawn_or_shared(owner, x, record, kinds)
            known = self._skip(name, owner, x, record, kinds)
        if getattr(owner, "bias", True) is False:  # the text adds zeros that nothing trains
            zeros_of_bias = Laid(record["w"].shape[:1], has_images=False, is_inner=True)
            more |= dict.fromkeys(("b", "db"), zeros_of_bias)
        if getattr(owner, "activation", None) is not None:
            if not (self.is_fast and fuses(owner.forward, owner.activation.forward)):
                more["z"] = replace(kinds["y"], is_inner=True)
            more |= {"dz": kinds["y"]} if "dy" in record else {}
        for each, kind in more.items():
            kinds[each], record[each] = kind, self._array(kind)
        self.records[name], self.kinds[name] = record, kinds
        self.known[name] = self._settings(owner.settings() | owner.constants(x) | known)

    def _drawn_or_shared(
        self, layer: Layer, x: Shape, record: dict[str, Array], kinds: dict[str, Laid]
    ) -> dict[str, Laid]:
        """The mask that is drawn for a layer; and each image's share, where a text asks for it."""
        asked = {name for text in (layer.forward, layer.backward) for name in text.arguments}
        if "share" in asked - layer.settings().keys() - layer.constants(x).keys():  # unless it has one of its own
            record["share"], kinds["share"] = self.share, Laid(())
        return {} if layer.dropped() is None else {"mask": Laid(x)}

    def _skip(
        self, name: str, layer: Layer, x: Shape, record: dict[str, Array], kinds: dict[str, Laid]
    ) -> dict[str, Any]:
        """The output of an earlier layer that a layer reads too, and the error that it sends back there."""
        start = layer.skips()
        if start is None:
            return {}
        its, its_kinds = self.records[start], self.kinds[start]
        record["skip"], kinds["skip"] = its["y"], its_kinds["y"]
        if "dnext" in its:
            kinds["dskip"] = its_kinds["dy"]
            record["dskip"] = its["dlater"] = self._array(kinds["dskip"])
            its_kinds["dlater"] = its_kinds["dnext"]
        return layer.joined(x, its_kinds["y"].shape)

    def _draws(self, net: Layered) -> Iterator[Call]:
        """What is drawn before forward in training: masks, each layer's its own."""
        for place, step in enumerate(net.steps.values()):
            rate = step.layer.dropped()
            if rate is not None:
                mask: Any = self.records[step.name]["mask"].reshape(-1, self.lanes)
                known = {"mask": mask, "index": self.index}
                # Of 2³² equally probable numbers so many are dropped.
                known |= {"seeds": self.seeds, "layer": place, "least": int(rate * WORDS)}
                yield bind(draw_mask, step.layer, known, not self.is_fast)

    def _add_loss(self, loss: Loss, x: Shape, y: Array, dy: Array | None) -> None:
        """The last entry: the loss reads the output as its `x` and leaves the output's gradient in its `dx`."""
        loss.check(x)
        kinds = {"target": Laid(x), "hit": Laid((), "int64"), "y": Laid(()), "share": Laid(())}
        record = {"x": y} | {name: self._array(kind) for name, kind in kinds.items()}
        record |= {"dx": dy} if dy is not None else {}
        self._add("loss", loss, x, record, kinds | {"x": Laid(x), "dx": Laid(x)})

    def _backward(self, names: list[str]) -> Iterator[Call]:
        """What these do on the way back, in order; what a max pool does is left to the next one's nest where it can."""
        before, previous = list[Task](), ""
        for name, following in itertools.zip_longest(names, names[1:]):
            tasks = self.tasks(name, "backward") if self.by_patches and self.is_fast and following else []
            if len(tasks) == 1 and goes_on(tasks[0], self.tasks(following, "backward")):
                (pool,), previous = tasks, name
                before = [replace(pool, laid={**pool.laid, "y": self.records[name]["y"]})]
                self.records[following]["dz"] = self.records[following]["y"]  # which nobody reads from here on
                continue
            yield from self.calls(name, "backward", before)
            if before:  # nothing fills the errors between the two
                del self.records[name]["dy"], self.records[previous]["dx"]
            before = []

    def calls(self, name: str, way: str, before: Sequence[Task] = ()) -> list[Call]:
        """What a layer does on its way forward or back, and `before` it."""
        owner: Any = self.loss if name == "loss" else self.net.steps[name].layer
        tasks, groups = [*before, *self.tasks(name, way)], shares_of(owner)
        if way == "backward" and "dlater" in self.records[name]:
            return [*self._called(name, tasks[:1], 1, way), *self._called(name, tasks[1:], groups, way)]
        return self._called(name, tasks, groups, way)

    def _called(self, name: str, tasks: list[Task], groups: int, way: str) -> list[Call]:
        owner: Any = self.loss if name == "loss" else self.net.steps[name].layer
        if self.is_fast:
            tasks = [task for task in tasks if task.text not in SAME_NUMBERS or not is_one_array(task)]
        for task in tasks:
            check(task, groups)
        if not self.is_fast:
            work = max(
                prod(self.kinds[name]["x"].shape),
                0 if name == "loss" else owner.multiplications(self.net.steps[name].x),
            )
            python = self.as_written is None or self.as_written(work)
            return [call for task in tasks for call in text_calls(task, groups, python)]
        if way in ("forward", "infer") and len(tasks) == 2 and "z" not in self.records[name]:
            own, then = tasks
            laid, seen = ({**mine, "y": its["y"]} for mine, its in ((own.laid, then.laid), (own.seen, then.seen)))
            own = replace(own, laid=laid, seen=seen, images=own.images | {"y"})
            return list(fast_calls([own], self.lanes, groups, self._scratch, self.by_patches, then))
        return list(fast_calls(tasks, self.lanes, groups, self._scratch, self.by_patches))

    def tasks(self, name: str, way: str) -> list[Task]:
        """The texts of a layer on its way forward or back, with all they take."""
        record, found = self.records[name], list[Task]()
        for each in self.passes(name, way):
            own = {argument: each.quantity(argument) for argument in each.text.arguments}
            arrays = {argument: quantity for argument, quantity in own.items() if quantity in record}
            images = frozenset(argument for argument, quantity in arrays.items() if self.has_images(name, quantity))
            known = self.known[name] | self._settings(each.owner.settings())
            laid = {argument: record[quantity] for argument, quantity in arrays.items()}
            seen = {argument: self.seen(name, quantity) for argument, quantity in arrays.items()}
            if isinstance(each.owner, Layer) and each.text != BOTH_ERRORS:
                seen = {argument: each.owner.seen(argument, array) for argument, array in seen.items()}
            rest = {argument: known[argument] for argument in own if argument not in arrays and argument in known}
            always = {argument for argument, quantity in own.items() if quantity not in ("dx", "dskip", "z")}
            if missing := sorted(always - laid.keys() - rest.keys()):
                raise not_provided(each.owner, each.text.__name__, missing[0], record | known)
            found.append(Task(each.text, each.owner, laid | rest, seen | rest, images))
        return found

    def passes(self, name: str, way: str) -> list[Pass]:
        """The texts of a layer, or the loss, on its way forward or back, in order: of `tasks` the same number."""
        owner: Any = self.loss if name == "loss" else self.net.steps[name].layer
        texts = passes(owner)[way]
        if way == "backward" and "dlater" in self.records[name]:
            return [Pass(BOTH_ERRORS, owner, (("dx", "dnext"), ("dskip", "dlater"))), *texts]
        return texts

    def _scratch(self, size: int) -> Array:
        """Room for the sums of a nest: it means nothing once the nest is done, and every layer takes the same."""
        if self.scratch.size < size:
            self.scratch = zeros((size,), self.net.dtype)
        return self.scratch

    def _array(self, kind: Laid, numbers: Array | None = None) -> Array:
        """An array of zeros; or of these numbers, which stay where they are."""
        dtype, shape = kind.dtype or self.net.dtype, kind.shape
        if kind.has_images:
            *most, last = shape or (1,)
            shape = (*most, last * self.lanes) if most else (last, self.lanes) if kind.shape else (self.lanes,)
        return zeros(shape, dtype) if numbers is None else numbers.reshape(shape)

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings as the texts take them: fractions and lists in the network's own numbers."""
        number: Any = Fraction if self.net.dtype == object else self.net.dtype.type
        known = {name: number(value) if isinstance(value, float) else value for name, value in settings.items()}
        lists = {name: value for name, value in settings.items() if isinstance(value, list)}
        return known | {
            name: np.array([number(each) if isinstance(each, float) else each for each in value], self.net.dtype)
            for name, value in lists.items()
        }

    def load(self, images: Any) -> None:
        """Lay images (image, channel, row, column) into the lanes, as many as there are, and zeros into the others."""
        images = np.ascontiguousarray(numbers(images, self.net))
        if images.ndim == 2 and len(self.net.input) == 1:
            images = images[:, :, None, None]
        shape = self.net.input if len(self.net.input) == 3 else (*self.net.input, 1, 1)
        if images.shape[1:] != shape or not 0 < len(images) <= self.lanes:
            raise DataError(
                f"a run of {self.net.name} got images of shape {images.shape}; it needs (image, "
                f"{', '.join(map(str, self.net.input))}), 1 to {self.lanes} images; predict and score take any number"
            )
        if self.loss is not None:
            self.records["loss"]["share"][...] = 0  # targets of other images are none of these
        self.fill(images, np.concatenate([np.arange(len(images)), np.full(self.lanes - len(images), -1)]))

    def fill(self, images: Array, index: Array) -> None:
        """Lay `images[index]` into the lanes; an index of -1 is an empty lane."""
        self.index[:] = index
        for call in self.load_calls(images):
            call()

    def _load_augmented(self, images: Array) -> Iterator[Call]:
        """Load images as they are changed in this epoch."""
        assert self.augment is not None
        known = {"index": self.index, "drawn": np.zeros((DRAWN, self.lanes), np.int64), "seeds": self.seeds}
        known |= {"epoch": self.epoch, "rows": images.shape[2], "columns": images.shape[3], **self.augment.settings()}
        yield bind(draw_augmentation, self.net, known, not self.is_fast)
        yield bind(load_augmented, self.net, self._laying(images) | known, not self.is_fast)

    def load_calls(self, images: Array, index: Array | None = None) -> list[Call]:
        """What lays `images[index]` into the lanes, by the run's own index unless told: first image by image."""
        known, is_plain = self._laying(images) | ({} if index is None else {"index": index}), not self.is_fast
        if self.lanes == 1:  # a lone image lies as it is
            lone = self.x.reshape(1, *images.shape[1:])
            return [bind(prepare_images, self.net, known | {"prepared": lone}, is_plain)]
        if self.prepared is None:
            self.prepared = zeros((self.lanes, *images.shape[1:]), self.net.dtype)
        turn, turned = turning(self.prepared.reshape(self.lanes, -1), self.x.reshape(-1, self.lanes))
        preparing = bind(prepare_images, self.net, known | {"prepared": self.prepared}, is_plain)
        return [preparing, bind(turn, self.net, turned, is_plain)]

    def _laying(self, images: Array) -> dict[str, Any]:
        """What a nest is given that lays images into the lanes."""
        number: Any = int if self.net.dtype == object else self.net.dtype.type
        unit = number(unit_of(images, self.net.seen))
        x = self.x if self.x.ndim == 3 else self.x.reshape(*self.net.input, 1, self.lanes)
        known = {"images": images, "index": self.index, "unit": unit, "lanes": self.lanes, "x": x}
        return known | {"offset": self.net.offset, "factor": self.net.factor}

    def _shares(self) -> list[Call]:
        """Each image's share of those that run together, where a layer mixes them."""
        number: Any = Fraction if self.net.dtype == object else self.net.dtype.type
        known = {"index": self.index, "share": self.share, "one": number(1)}
        return [bind(share_out, self.net, known, not self.is_fast)] if self.is_mixed else []

    def _targets(self, labels: Array) -> Call:
        assert self.loss is not None
        ignored = -1 if self.loss.ignored is None else self.loss.ignored
        known = {"labels": labels, "index": self.index, "batch_share": self.batch_share, "ignored": ignored}
        return bind(load_targets, self.net, known | self.records["loss"], not self.is_fast)

    def _weighing(self, weights: Array) -> Call:
        known = {"weights": weights, "index": self.index, "share": self.records["loss"]["share"]}
        return bind(weigh, self.net, known, not self.is_fast)

    def program(
        self, images: Array, labels: Array | None = None, backward: bool = False, weights: Array | None = None
    ) -> Program:
        """All this run does for the images whose numbers are put into `index`: forward; the loss where there are labels

        (class numbers; each image has `share` of the batch, times its weight, where images weigh unlike much); every
        gradient where told. The images are not copied.
        """
        is_plain = self.augment is None or not backward
        calls = self.load_calls(images) if is_plain else list(self._load_augmented(images))
        if backward:
            calls += [*self._shares(), *self.draw_calls, *self.forward_calls]
        else:
            calls += self.infer_calls
        if labels is not None:
            weighing = [] if weights is None else [self._weighing(weights)]
            calls += [self._targets(labels), *weighing, *self.loss_calls]
        return Program(calls + self.backward_calls if backward else calls)

    def aim(self, targets: Any) -> None:
        """Say what the outputs should be: class numbers (image,) or values (image, output)."""
        targets, count = as_array(targets, f"{self.net.name}: targets"), int((self.index >= 0).sum())
        record, classes = self.records["loss"], self.net.output[0]
        assert self.loss is not None
        if targets.shape == (count,) and targets.dtype.kind in "iu":
            is_ignored = np.isin(targets, [] if self.loss.ignored is None else [self.loss.ignored])
            if not (is_ignored | ((targets >= 0) & (targets < classes))).all():
                raise DataError(f"a run got a label outside 0 to {classes - 1}, the outputs of {self.net.name}")
            targets = (np.arange(classes) == targets[:, None]) & ~is_ignored[:, None]
        if targets.shape != (count, classes):
            raise DataError(
                f"a run of {count} images got targets of shape {targets.shape}; it needs ({count},) class numbers "
                f"or ({count}, {classes}) values"
            )
        targets = in_own_numbers(targets, self.net, "targets")
        self.loss.check_target(targets)
        divisor = self.loss.count(targets)
        if not divisor:
            raise DataError(f"a run got targets of which none counts; {self.loss} needs a class that has a weight")
        record["target"][...], record["share"][...] = 0, 0
        record["target"][:, self.index >= 0] = targets.T
        one: Any = Fraction(1) if self.net.dtype == object else 1
        record["share"][self.index >= 0] = one / divisor

    def point(self, labels: Array, share: Any) -> None:
        """Say which class each image is meant to be, and its share of the batch. For images that `fill` laid."""
        self.batch_share[0] = share
        self._targets(labels)()

    def measure(self) -> None:
        """Each image's loss, and whether its class was named."""
        for call in self.loss_calls:
            call()

    def score(self, weights: Array | None = None) -> tuple[float, float]:
        """Σ loss over the images of this shard, added in order, and how many were named right, each by its weight."""
        if self.is_fast and weights is None:
            total, hits = self.totals.tolist()
            return total, int(hits)
        count = int(np.count_nonzero(self.index >= 0))
        loss, hit = self.records["loss"]["y"][:count], self.records["loss"]["hit"][:count]
        if weights is not None:
            loss, hit = loss * weights[self.index[:count]], hit * weights[self.index[:count]]
        return added_up(loss.tolist()), sum(hit.tolist())

    @property
    def output(self) -> Array:
        """The network's output, an image a lane: (lane, class), a view of what lies (class, lane)."""
        shape = self.net.output
        return np.moveaxis(self.y.reshape(*shape, self.lanes), -1, 0)

    @property
    def way(self) -> str:
        """What this run does on its way forward: "forward" as in training, or "infer"."""
        return "forward" if self.training else "infer"

    def forward(self, draws: bool = True) -> None:
        """Every layer's `y`. Unless it `draws`, masks stay as they are."""
        self.has_gradients = False
        calls = [*self._shares(), *(self.draw_calls if draws else ()), *self.forward_calls]
        for call in calls if self.training else self.infer_calls:
            call()

    def backward(self, dy: Any = None) -> None:
        """The loss of each image, and every gradient.

        A run without targets takes the error at its output instead: `dy`, of the shape of `output`, (image, class).
        """
        if self.has_modes and not self.training:
            raise SettingError(
                f"backward of a run of {self.net.name} that went forward as a trained network does, without what its "
                "layers leave for backward; go forward as in training: net.run(images, training=True)"
            )
        if dy is not None:
            self._lay_error(dy)
        elif not self._has_error():
            raise SettingError(
                f"backward of a run of {self.net.name} has no error to send back: give targets, net.run(images, "
                "labels), or the derivative of your own loss with respect to the output, run.backward(dy)"
            )
        self.measure()
        for call in self.backward_calls:
            call()
        self.has_gradients = True

    def _lay_error(self, dy: Any) -> None:
        """Lay the error at the output into the lanes that hold images, and zeros into the others."""
        last = next(reversed(self.net.steps))
        shape = (int((self.index >= 0).sum()), *self.net.output)
        if self.loss is not None or "dy" not in self.records[last]:
            without = "no gradients" if self.loss is None else "a loss, which makes the error at its output"
            raise SettingError(f"backward got dy, and the run has {without}; dy is for a run without: net.run(images)")
        dy = in_own_numbers(as_array(dy, f"{self.net.name}: dy"), self.net, "dy")
        if dy.shape != shape:
            raise DataError(f"backward of a run of {self.net.name} got dy of shape {dy.shape}; it needs {shape}")
        seen = self.seen(last, "dy")
        seen[...] = 0
        seen[self.index >= 0] = dy

    @property
    def given(self) -> list[Array]:
        """What going back rests on besides images and weights: the targets, or the error at the output."""
        if self.loss is not None:
            return [self.records["loss"][name] for name in ("target", "share")]
        record = self.records[next(reversed(self.net.steps))]
        return [record["dy"]] if "dy" in record else []

    def _has_error(self) -> bool:
        """Whether there is something to send back: targets, or an error that was laid at the output."""
        *_, error = self.given or [np.zeros(0)]
        is_exact = error.dtype.hasobject  # there the zeros that were laid are of type int
        return any(type(each) is not int or each != 0 for each in error.flat) if is_exact else bool(error.any())
