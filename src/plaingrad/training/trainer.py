"""Training: epochs over shards in threads, with events, validation, early stopping, and a run folder that survives.

Nothing random is carried along: the order of an epoch follows from the seed and the epoch's number, so a run resumed
from any step goes on as if it had never stopped, to the bit.

Over 300 lines, since settings, epochs and signals are one loop's story.
"""

import contextlib
import hashlib
import inspect
import math
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, zeros
from plaingrad.data import Dataset
from plaingrad.data.pixels import say
from plaingrad.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    PlaingradError,
    SettingError,
    StoppedError,
    is_number,
    require_path,
    require_whole,
)
from plaingrad.network.augment import Augment
from plaingrad.network.network import Network, require_network
from plaingrad.textbook.habits import refuse
from plaingrad.textbook.losses import Loss
from plaingrad.textbook.optimisers import SGD, OneCycle, Optimiser, Schedule
from plaingrad.textbook.record import json_text
from plaingrad.training import checkpoint
from plaingrad.training.history import History
from plaingrad.training.inference import softmax_bound
from plaingrad.training.launched import start
from plaingrad.training.preparing import begin, check_fit, dataset, loss_for, named, standardise, summing, versions
from plaingrad.training.progress import Event, Lines, print_line
from plaingrad.training.ranks import OneRank
from plaingrad.training.run_folder import (
    BEST,
    CHECKPOINT,
    find,
    keep_images,
    locked,
    make,
    require_free,
    sweep,
    write_history,
)
from plaingrad.training.saved_facts import checked
from plaingrad.training.shards import Shards, batch_for
from plaingrad.training.standstill import WELL, Epoch, findings, sampled
from plaingrad.training.updates import Updates, check_share

SECONDS_BETWEEN_SAVES = 30.0
LOOKED_AT = 64  # images, where a training stands still
TRAINED = "trained."  # before the names of what is trained, beside a network whose weights are averaged


@dataclass
class Position:
    """Where a run is: everything besides arrays that it needs to go on."""

    step: int = 0
    loss: float = 0.0  # Σ over the images of this epoch so far
    hits: float = 0  # how many were named right, each by its weight
    images: int = 0
    clipped: int = 0  # steps of this epoch whose gradient was too long
    seconds: float = 0.0
    best_epoch: int = 0
    done: bool = False
    begun: list[float] = field(default_factory=list)  # some parameters, as they were before the first step
    history: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """A training run: a network, its images, and how to go about it. `train()` does it, from wherever it stands.

    net: changed in place. data, validation: images and labels; or validation is a share of the data to hold back.
    out: the run folder, made when training starts.
    schedule: how the rate changes from step to step, a `Schedule` or its text, such as `cosine` or `warmup+cosine`.
    patience: stop after so many epochs without a better validation accuracy (loss on a tie).
    augment: how training images are changed at random as they are loaded, an `Augment` or its text `shift=4,flip`.
    clip: the norm of a gradient that is never exceeded: a longer one is scaled down to it.
    average: the share, such as 0.999, of averaged weights that stays at each step; they are validated, kept as best,
    and what the network ends with.
    watch: called with each Event; what it raises stops the run.
    progress: whether to print a line an epoch, and one every ten seconds within a long one, on stdout.
    ranks: the processes that train together; by default those that `mpirun` or another launcher of MPI started. The
    first of them alone writes `out` and calls `watch`. `OneRank()` trains in this process alone.
    """

    def __init__(
        self,
        net: Network,
        data: Dataset,
        optimiser: Optimiser | str | None = None,
        *,
        epochs: int = 5,
        batch: int = 64,
        schedule: Schedule | str | None = None,
        loss: Loss | str | None = None,
        validation: Dataset | tuple[Any, Any] | float | None = None,
        patience: int | None = None,
        augment: Augment | str | None = None,
        clip: float | None = None,
        average: float | None = None,
        seed: int = 0,
        threads: int | None = None,
        out: str | pathlib.Path | None = None,
        watch: Callable[[Event], None] | None = None,
        progress: bool = False,
        about: dict[str, Any] | None = None,
        ranks: OneRank | None = None,
        **foreign: Any,
    ) -> None:
        refuse("training", foreign, [*inspect.signature(Trainer).parameters][2:-1])
        net, data = require_network("training", net), dataset(data)
        if (isinstance(validation, float) or is_number(validation)) and isinstance(data, Dataset):
            data, validation = data.split(float(validation), seed)  # type: ignore[arg-type]
        self.net, self.data, self.patience = net, data, patience
        self.validation: Dataset | None = dataset(validation)
        self.optimiser = SGD() if optimiser is None else named("optimiser", optimiser, net)
        self.schedule = OneCycle() if schedule is None else named("schedule", schedule, net)
        self.loss: Loss = loss_for(net) if loss is None else named("loss", loss, net)
        self.augment = Augment.from_text(augment) if isinstance(augment, str) else augment
        self.clip = check_share("training", "clip", clip, 0, math.inf, "a number above 0")
        self.average = check_share("training", "average", average, 0, 1, "a number between 0 and 1, such as 0.999")
        self.seed, self.batch, self.epochs = seed, batch, epochs
        self.ranks = start() if ranks is None else ranks
        self.out = None if out is None or not self.ranks.is_first else require_path("training", out)
        self.watch: Any = (lambda event: None) if watch is None else watch
        self.about, self.threads = {} if about is None else about, threads
        self._check()
        if not isinstance(progress, bool):
            raise SettingError(f"training got progress={progress!r}; it needs True or False, or watch=a function")
        self.per_epoch = -(-len(data) // self.batch)
        headline = f"{net.name} on {len(data):,} images: {self.epochs:,} epochs of {self.per_epoch:,} steps"
        self.lines = Lines(headline, print_line) if progress and self.ranks.is_first else None
        self.position = Position()
        self.slots = {name: zeros(net.parameters.shape, net.dtype) for name in self.optimiser.slots}
        # Parameters and state, averaged.
        self.averaged = None if self.average is None else (net.parameters.copy(), net.state.copy())
        self.compile_seconds, self.stop, self.stopped_by = 0.0, False, int(signal.SIGINT)
        self.afterwards: list[Callable[[], Any]] = []  # make runs that are used after training
        self.best: tuple[Array, Array] | None = None  # parameters and state at the best epoch on the validation images
        self.has_folder = False

    def _check(self) -> None:
        numbers = [("epochs", self.epochs, 1), ("batch", self.batch, 1), ("seed", self.seed, 0)]
        if self.patience is not None:
            numbers.append(("patience", self.patience, 1))
        for name, value, least in numbers:
            setattr(self, name, require_whole("training", name, value, least))
        if not callable(self.watch):
            raise SettingError(f"training got watch={self.watch!r}; it needs a function, which is given each Event")
        if not isinstance(self.ranks, OneRank):
            raise SettingError(f"training got ranks={self.ranks!r}; it needs OneRank(), or None for those there are")
        if self.net.dtype.hasobject:
            raise SettingError(f"training got {self.net.name} of dtype object; it needs one of float32 or float64")
        if not isinstance(self.about, dict):
            raise SettingError(f"training got about={self.about!r}; it needs a dict of what is to be kept with the run")
        if self.patience is not None and self.validation is None:
            raise SettingError("training got patience without validation images; early stopping needs them")
        for name, kind in (("optimiser", Optimiser), ("schedule", Schedule), ("loss", Loss)):
            value, known = getattr(self, name), ", ".join(f"{each}()" for each in kind.kinds())
            if not isinstance(value, kind):
                raise SettingError(f"training got {name}={value!r}; it needs one of {known}")
        if self.augment is not None:
            if not isinstance(self.augment, Augment):
                raise SettingError(f"training got augment={self.augment!r}; it needs one such as Augment(shift=2)")
            self.augment.check(self.net.input)
        for images in (self.data, *([] if self.validation is None else [self.validation])):
            check_fit(self.net, images)

    def standardise(self) -> None:
        """Set the network's offset and factor: its training images then have mean 0 and variance 1 in each channel."""
        standardise(self.net, self.data.images, self.data.weights)

    @classmethod
    def resume(cls, out: str | pathlib.Path, data: Dataset, **more: Any) -> "Trainer":
        """The trainer that a run folder holds, standing where it was last saved. `data` is what it was trained on.

        more: `validation`, `threads`, `watch` and `ranks`, which are not part of what is saved.
        """
        out = require_path("resume", out)
        net, arrays, facts = checkpoint.load(find(out, CHECKPOINT))
        checked(facts, out / CHECKPOINT)
        try:
            settings, position = facts["training"], facts["position"]
            records: dict[str, Any] = {
                "optimiser": Optimiser.from_json(settings["optimiser"]),
                "schedule": Schedule.from_json(settings["schedule"]),
                "loss": Loss.from_json(settings["loss"]),
                "augment": Augment.from_json(settings["augment"]) if settings.get("augment") else None,
            }
            plain = {name: settings[name] for name in ("epochs", "batch", "seed", "patience")}
            plain |= {name: settings.get(name) for name in ("clip", "average")}
            trainer = cls(net, data, **records, **plain, out=out, about=facts["about"], **more)
            trainer.position, trainer.has_folder = Position(**position), True
            trainer._require_place()
            if trainer.ranks.is_first:
                sweep(out)
            if (out / BEST).exists():
                best = checkpoint.load(out / BEST)[0]
                trainer.best = best.parameters.reshape(net.parameters.shape), best.state.reshape(net.state.shape)
            for name, slot in trainer.slots.items():
                for step, views in zip(net.steps.values(), net.views(slot), strict=True):
                    for own, view in views.items():
                        view[...] = arrays[f"optimiser.{name}.{step.name}.{own}"]
            trainer._take_trained(arrays)
            known = {name: settings["data"][name] for name in ("train", "validation")}
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, PlaingradError) and not isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{out / CHECKPOINT} does not say how to go on ({error}); train again") from None
        for images, name in ((trainer.data, "train"), (trainer.validation, "validation")):
            if (images.fingerprint if images else None) != known[name]:
                raise DataError(
                    f"the {name} images are not the ones {out} was trained on; give the same data to resume"
                )
        if trainer.position.done:
            trainer._finished()
        return trainer

    def _take_trained(self, arrays: dict[str, Array]) -> None:
        """From a checkpoint, whose network is the averaged one, the weights and the state that are trained."""
        if self.averaged is None:
            return
        for own, other in zip(self._values(), self.averaged, strict=True):
            other[:] = own
        for name, array in {**self.net.arrays, **self.net.kept}.items():
            array[...] = arrays[TRAINED + name]

    def _require_place(self) -> None:
        """ValueError where a position is none that these settings come by."""
        at = self.position
        right = at.step <= self.steps and len(at.history) == at.step // self.per_epoch >= at.best_epoch
        if self.validation is not None:
            right &= all({"validation_loss", "validation_accuracy"} <= entry.keys() for entry in at.history)
        if not right or (at.done and at.step % self.per_epoch):
            raise ValueError(f"step {at.step} of {self.steps} with {len(at.history)} epochs done cannot be")

    def train(self) -> History:
        """Run to the end, and return the history: one entry an epoch. On Ctrl-C the step is finished and saved.

        With validation images the network ends as it was at its best epoch, without them as it was at the last.
        """
        at = self.position
        if at.done:
            if self.out is not None:
                write_history(self.out, at.history)  # a power cut may have come between the last two files
            return self._finished()
        with contextlib.nullcontext() if self.out is None else locked(self.out):
            if self.out is not None and not self.has_folder:
                require_free(self.out)  # before anything is compiled
            compared = self._compared() if self.ranks.size > 1 else {}
            with self.ranks.training(compared), self.lines or contextlib.nullcontext():
                return self._train()

    def _compared(self) -> dict[str, Any]:
        """What has to be the same on all ranks."""
        facts, at = self._facts(), self.position
        images = {f"the digest of the {name} images": value for name, value in facts["training"].pop("data").items()}
        settings = flat(facts["training"])
        network = {"the network": json_text(self.net.to_json()), "dtype": self.net.dtype.name}
        return (
            versions()
            | images
            | settings
            | network
            | {"the step": at.step, "the digest of the weights": self._digest()}
        )

    def _digest(self) -> str:
        """Of all that is trained, and of how pixels are normalised."""
        digest, net = hashlib.sha256(), self.net
        for array in (*self._values(), net.offset, net.factor, *self.slots.values(), *(self.averaged or ())):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def _train(self) -> History:
        at, began = self.position, time.perf_counter()
        shards: Shards = self.ranks.build(self._nests)
        self.compile_seconds = time.perf_counter() - began
        self._say_who_idles(shards)
        if at.step == 0:
            begin(self.net, self.data, self.validation, self.loss, self.together(shards))
            for average, own in zip(self.averaged or (), self._values(), strict=False):
                average[:] = own  # as they are now, which need not be as they were when this trainer was made
        at.begun = at.begun or sampled(self.net.parameters)
        with shards, self._signals():
            updates = self.updates(shards)
            if self.out is not None and not self.has_folder:  # only now: settings that cannot be leave nothing behind
                make(self.out, self._begin_in)
                self.has_folder = True
                self._tell("saved")
            self._tell("started")
            try:
                while not at.done:
                    self._epoch(shards, updates)
            finally:
                self.stop = False
        self._tell("ended")
        return self._finished()

    def _nests(self) -> Shards:
        """What trains, and what is used afterwards: what is missing of both is compiled by the same processes."""
        made = self.shards()
        for later in self.afterwards:
            with contextlib.suppress(PlaingradError):  # which then says what is wrong
                later()
        return made

    def _say_who_idles(self, shards: Shards) -> None:
        """Where a batch has fewer shards than there are ranks."""
        count, size = shards.count(min(self.batch, len(self.data))), self.ranks.size
        if count < size:
            enough = batch_for(self.net, size, len(self.data))
            advice = f"batch={enough} has one for each" if enough else f"{len(self.data)} images are too few for all"
            line = f"{size - count} of {size} ranks have nothing to do: batch={self.batch} is {count} shards; {advice}"
            say(self.net, line, line)

    def _finished(self) -> History:
        """The history; the network is left as it was at its best epoch, where validation images say which.

        Where weights are averaged, the averaged ones are meant.
        """
        last = self.best or self.averaged
        if last is not None:
            self.net.parameters[:], self.net.state[:] = last
        return History(self.position.history)

    def shards(self) -> Shards:
        """What trains, with every nest that it will call bound."""
        most = max(len(self.data), len(self.validation or ()))
        shards = Shards(
            self.net,
            self.loss,
            self.batch,
            self.threads,
            images=most,
            seed=self.seed,
            augment=self.augment,
            ranks=self.ranks,
        )
        shards.prepare(self.data.images, self.data.labels, backward=True, weights=self.data.relative_weights)
        if self.validation is not None:
            held = self.validation
            shards.prepare(held.images, held.labels, backward=False, weights=held.relative_weights)
        self.updates(shards)
        summing(self.data.images)
        softmax_bound(*np.zeros((2, 1, 1)))  # of a report, and of who asks for probabilities
        return shards

    def together(self, shards: Shards) -> int:
        """How many images run together, at most."""
        return min(shards.lanes, self.batch, len(self.data))

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.per_epoch

    def order(self, epoch: int) -> Array:
        """The places of the images in the order of an epoch, counted from 0: it follows from this and the seed."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.data))

    def updates(self, shards: Shards) -> Updates:
        """The step that ends each batch."""
        return Updates(shards, self.optimiser, self.slots, self.clip, self.average, self.averaged)

    def _epoch(self, shards: Shards, updates: Updates) -> None:
        """From where the run stands to the end of its epoch."""
        at, epoch = self.position, len(self.position.history)
        order, saved = self.order(epoch), time.perf_counter()
        for number in range(at.step - epoch * self.per_epoch, self.per_epoch):
            began = time.perf_counter()
            index = order[number * self.batch : (number + 1) * self.batch]
            self.ranks.ask(self._wishes(saved))
            given = self.data.images, self.data.labels, index
            loss, hits = shards.step(*given, at.step, epoch, self.data.relative_weights)
            if not math.isfinite(loss):
                raise DivergedError(self._diverged(shards.culprit(), at.step, is_new=at.step == 0))
            updates(at.step, self.schedule(at.step, self.steps, self.per_epoch))
            at.clipped += updates.has_clipped
            at.step += 1
            at.loss, at.hits, at.images = at.loss + loss, at.hits + hits, at.images + len(index)
            at.seconds += time.perf_counter() - began
            self._tell("stepped")
            last = number == self.per_epoch - 1
            stop, save = self.ranks.agreed(self._wishes(saved))
            if not last and (stop or save):
                self._require_finite()
                self.save()
                saved = time.perf_counter()
            if stop and not last:
                raise StoppedError(self._stopped(), stop)
        self._end_of_epoch(shards, epoch + 1)
        stop, _ = self.ranks.agreed(self._wishes(saved))
        if stop and not at.done:
            raise StoppedError(self._stopped(), stop)

    def _wishes(self, saved: float) -> tuple[int, int]:
        """The number of the signal that asks to stop, or 0; and whether it is time to save, by one clock."""
        late = time.perf_counter() - saved > SECONDS_BETWEEN_SAVES
        return (self.stopped_by if self.stop else 0), int(late and self.ranks.is_first)

    def _end_of_epoch(self, shards: Shards, epoch: int) -> None:
        at = self.position
        self._require_finite()
        if self.ranks.size > 1:
            self.ranks.require_same(f"the digest of the weights after epoch {epoch}", self._digest())
        entry: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": at.loss / at.images,
            "train_accuracy": at.hits / at.images,
            "rate": self.optimiser.rate * self.schedule(at.step - 1, self.steps, self.per_epoch),
            "seconds": at.seconds,
            "images_per_second": at.images / max(at.seconds, 1e-9),
        }
        if self.clip is not None:
            entry["clipped"] = at.clipped / self.per_epoch
        better = False
        if self.validation is not None:
            with self._averaging():
                held = self.validation
                loss, accuracy, _ = shards.evaluate(held.images, held.labels, held.relative_weights)
            entry |= {"validation_loss": loss, "validation_accuracy": accuracy}
            better = merit(entry) > max(map(merit, at.history), default=WORST)
            if better:
                parameters, state = self.averaged or self._values()
                at.best_epoch, self.best = epoch, (parameters.copy(), state.copy())
        if lines := self._standing_still(shards, entry):
            entry["findings"] = lines
        at.history.append(entry)
        at.loss, at.hits, at.images, at.clipped, at.seconds = 0.0, 0, 0, 0, 0.0
        early = self.patience is not None and epoch - at.best_epoch >= self.patience
        at.done = early or epoch == self.epochs
        if better and self.out is not None:
            with self._averaging():
                checkpoint.save(self.out / BEST, self.net, **self._facts())
        self.save()
        self._tell("epoch", entry)
        if early and epoch < self.epochs:
            self._tell("stopped early", entry)

    def _standing_still(self, shards: Shards, entry: dict[str, Any]) -> list[str]:
        """What stands in the way of this training, each reason once; said, and kept in the history."""
        if entry["train_accuracy"] >= WELL:
            return []
        known = {line.partition(":")[0] for each in self.position.history for line in each.get("findings", ())}
        few, at = self.data.take(slice(0, LOOKED_AT)), self.position
        outputs = shards.outputs(few.images, few.labels)
        epoch = Epoch(
            self.net,
            self.loss,
            self.data,
            entry,
            outputs,
            shards.gradient,
            np.array(at.begun),
            at.step,
            self.steps,
            min(shards.lanes, len(self.data) - (self.per_epoch - 1) * self.batch),
        )
        lines = [line for line in findings(epoch) if line.partition(":")[0] not in known]
        for line in lines:
            say(self.net, line, line)
        return lines

    def save(self) -> None:
        """Write the checkpoint and the history into the run folder, where there is one."""
        if self.out is not None:
            self._save_in(self.out)
            self._tell("saved")

    def _begin_in(self, folder: pathlib.Path) -> None:
        """What a new run folder holds; a few images too, where nothing says from where they can be read again."""
        self._save_in(folder)
        if "data" not in self.about:
            part, images = ("training", self.data) if self.validation is None else ("validation", self.validation)
            keep_images(folder, images, part)

    def _save_in(self, folder: pathlib.Path) -> None:
        slots = self._slots()
        if self.averaged is not None:  # who loads the file is given the averaged network
            slots |= {TRAINED + name: array.copy() for name, array in {**self.net.arrays, **self.net.kept}.items()}
        with self._averaging():
            checkpoint.save(folder / CHECKPOINT, self.net, slots, **self._facts())
        write_history(folder, self.position.history)

    def _values(self) -> tuple[Array, Array]:
        """What is trained, and what is kept from step to step."""
        return self.net.parameters, self.net.state

    @contextlib.contextmanager
    def _averaging(self) -> Iterator[None]:
        """Within it the network is the averaged one, where there is one."""
        if self.averaged is None:
            yield
            return
        trained = [array.copy() for array in self._values()]
        self.net.parameters[:], self.net.state[:] = self.averaged
        try:
            yield
        finally:
            self.net.parameters[:], self.net.state[:] = trained

    def _slots(self) -> dict[str, Array]:
        names = list(self.net.arrays)
        slots: dict[str, Array] = {}
        for slot, flat in self.slots.items():
            arrays = [array for views in self.net.views(flat) for array in views.values()]
            slots |= {f"optimiser.{slot}.{name}": array for name, array in zip(names, arrays, strict=True)}
        return slots

    def _facts(self) -> dict[str, Any]:
        records = {name: getattr(self, name).to_json() for name in ("optimiser", "schedule", "loss")}
        plain = {name: getattr(self, name) for name in ("epochs", "batch", "seed", "patience", "clip", "average")}
        plain["augment"] = self.augment.to_json() if self.augment else None
        data = {
            "train": self.data.fingerprint,
            "validation": self.validation.fingerprint if self.validation else None,
        }
        about = {"classes": list(self.data.classes), **self.about}
        return {"training": records | plain | {"data": data}, "position": asdict(self.position), "about": about}

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C asks for a stop after the step at hand; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}  # as under nohup

        def ask(number: int, frame: Any) -> None:
            self.stop, self.stopped_by = True, number
            signal.signal(number, before[signal.Signals(number)])

        for number in before:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _tell(self, kind: str, entry: dict[str, Any] | None = None) -> None:
        if not self.ranks.is_first:
            return
        at = self.position
        seen = {"loss": at.loss / at.images, "accuracy": at.hits / at.images} if at.images else {}
        speed = {"images_per_second": at.images / at.seconds} if at.seconds else {}
        epoch = max(at.step - 1, 0) // self.per_epoch + 1  # of the last step
        event = Event(kind, at.step, self.steps, epoch, self.epochs, **seen, **speed, entry=entry)
        if self.lines is not None:
            self.lines(event)
        self.watch(event)

    def _require_finite(self) -> None:
        """DivergedError where the last step left a parameter that is not finite: such a network is never saved."""
        if not (np.isfinite(self.net.parameters).all() and np.isfinite(self.net.state).all()):
            arrays = self.net.arrays | self.net.kept
            broken = (name for name, array in arrays.items() if not np.isfinite(array).all())
            raise DivergedError(self._diverged(next(broken, "a parameter"), self.position.step - 1))

    def _diverged(self, culprit: str, step: int, is_new: bool = False) -> str:
        """What to say; `is_new` where no weight was changed yet, so that the rate is not to blame."""
        kept = f"; the last good checkpoint is in {self.out}" if self.out and not is_new else ""
        why = (
            "before any weight was changed: the weights that it began with are too large or not finite; begin with "
            "others, such as start=He()"
            if is_new
            else f"the learning rate {self.optimiser.rate:g} is probably too high: start again with a tenth of it"
        )
        return (
            f"training diverged at step {step + 1} (epoch {step // self.per_epoch + 1}): {culprit} is no longer "
            f"finite, {why}{kept}"
        )

    def _stopped(self) -> str:
        own = f"Trainer.resume({str(self.out)!r}, data).train()"
        way = f"plaingrad train --resume {self.out}" if "data" in self.about else own
        saved = f"; saved, go on with: {way}" if self.out else ""
        return f"stopped after step {self.position.step} of {self.steps}{saved}"


WORST = (-math.inf, -math.inf)


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings whose records are taken apart: `the rate of optimiser`, for example."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= {f"the {own} of {name}": it for own, it in value.items()} if isinstance(value, dict) else {name: value}
    return found


def merit(entry: dict[str, Any]) -> tuple[float, float]:
    """How good an epoch was on the validation images: accuracy judges, and among equals the loss."""
    loss = entry["validation_loss"]
    return (entry["validation_accuracy"], -loss) if math.isfinite(loss) else WORST


def train(net: Network, data: Any, *then: Any, **settings: Any) -> History:
    """Train `net` in place and return the history, a list with an entry an epoch. The settings are those of `Trainer`.

    `train(net, data, optimiser)`; or with images and labels apart, `train(net, images, labels, optimiser=…)`.
    """
    data, then = with_labels(data, then)
    return Trainer(net, data, *then, **settings).train()


def with_labels(data: Any, then: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Data with its labels, where these are given apart as the first of what follows; and what follows it."""
    if then and not isinstance(data, Dataset) and hasattr(then[0], "__len__") and not isinstance(then[0], str):
        return dataset(data, then[0]), then[1:]
    return data, then
