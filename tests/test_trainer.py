"""Training: the same bits for any threads and after any interruption, and a run folder that is always whole."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from often import some
from plaingrad import digits, from_arrays
from plaingrad.data import Dataset
from plaingrad.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    PlaingradError,
    SettingError,
    ShapeError,
    StoppedError,
)
from plaingrad.network.network import Network
from plaingrad.textbook.layers import Add, BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool, ReLU, Softmax
from plaingrad.textbook.losses import CrossEntropy, SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD, Adam, AdamW, Constant, Cosine, Hold, Optimiser, Warmup
from plaingrad.training import checkpoint, run_folder, trainer
from plaingrad.training.progress import Event
from plaingrad.training.run_folder import BEST, CHECKPOINT, HISTORY
from plaingrad.training.shards import Shards
from plaingrad.training.trainer import Trainer

TESTS = Path(__file__).resolve().parent
TIMES = {"seconds", "images_per_second"}  # what may differ between two runs of the same seed
EVERYTHING: dict[str, Any] = {"augment": "shift=1,flip,cutout=2", "clip": 1.0, "average": 0.9}
OPTIMISERS = [SGD(rate=0.05, decay=0.001), SGD(rate=0.05, nesterov=True), Adam(rate=0.01), AdamW(rate=0.01)]


def colours(count: int = 70, dtype: str = "uint8") -> Dataset:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (count, 3, 6, 5))
    return from_arrays(pixels.astype(dtype) / (1 if dtype == "uint8" else 255), np.arange(count) % 4, name="colours")


def few(count: int = 150) -> Dataset:
    """150 digits: 64 + 64 + 22 in batches of 64, and 40 + 40 + 40 + 30 in batches of 40, whose shards hold 16."""
    return digits().train.take(range(count))


def noisy() -> Dataset:
    """Labels that cannot be learned: what is held back gets worse in the end."""
    data = few(200)
    return Dataset(data.images, np.random.default_rng(4).permutation(data.labels), data.classes, "noisy")


def network(data: Dataset, dtype: str = "float32", seed: int = 1, momentum: float = 0.1) -> Network:
    """With all that a training carries along besides weights: running values, masks, and errors that go two ways."""
    first, block = [Conv(3, size=3), BatchNorm(momentum=momentum), ReLU()], [Conv(3, padding=1), Add("relu1")]
    layers = [*first, *block, MaxPool(2), Flatten(), Dropout(0.25), Dense(len(data.classes))]
    return Network(*layers, input=data.shape, seed=seed, dtype=dtype)


def without_modes(data: Dataset) -> Network:
    """One that does in training what it does once it is trained."""
    layers = [Conv(3, size=3, activation=ReLU()), MaxPool(2), Flatten(), Dense(len(data.classes))]
    return Network(*layers, input=data.shape, seed=1, dtype="float64")


def plain(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name not in TIMES} for entry in history]


def state(run: Trainer) -> dict[str, Any]:
    """Every bit that a run of one seed must end in."""
    arrays = {
        "parameters": run.net.parameters,
        "state": run.net.state,
        "offset": run.net.offset,
        "factor": run.net.factor,
        **run.slots,
        **{f"averaged {number}": array for number, array in enumerate(run.averaged or ())},
    }
    position = {name: value for name, value in vars(run.position).items() if name not in ("seconds", "history")}
    return {name: array.tobytes() for name, array in arrays.items()} | position | {"h": plain(run.position.history)}


def kept(out: Path) -> dict[str, Any]:
    """The same of a run folder, as it lies on disk."""
    net, slots, facts = checkpoint.load(out / CHECKPOINT)
    position = facts["position"]
    position["history"] = plain(position["history"])
    del position["seconds"]
    history = plain([json.loads(line) for line in (out / HISTORY).read_text().splitlines()])
    arrays = {"parameters": net.parameters.tobytes(), "state": net.state.tobytes()} | {
        name: array.tobytes() for name, array in slots.items()
    }
    return arrays | {"position": position, "history": history}


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# The same bits for any number of threads


@pytest.mark.parametrize("batch", [64, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", [few, colours, lambda: colours(dtype="float32")], ids=["digits", "uint8", "float"])
@pytest.mark.often(3)
def test_threads_change_no_bit(data: Callable[[], Dataset], dtype: str, batch: int) -> None:
    images, ends = data(), []
    for threads in (1, 2, 3, 5):
        run = Trainer(network(images, dtype), images, Adam(), epochs=1, batch=batch, threads=threads, **EVERYTHING)
        start = run.net.parameters.copy()
        run.train()
        assert (run.net.parameters != start).any()
        with Shards(run.net, run.loss, batch, threads) as shards:
            loss, accuracy, outputs = shards.evaluate(images.images, images.labels)
        ends.append(state(run) | {"loss": loss, "accuracy": accuracy, "outputs": outputs.tobytes()})
    assert all(end == ends[0] for end in ends)


def test_seed_decides() -> None:
    ends = []
    for seed in (0, 0, 1):
        run = Trainer(network(few()), few(), epochs=1, seed=seed)
        run.train()
        ends.append(state(run))
    assert ends[0] == ends[1] != ends[2]


def test_batch_beyond_the_data_is_the_whole_data() -> None:
    ends = []
    for batch in (150, 151, 10**6):
        run = Trainer(network(few()), few(), epochs=2, batch=batch)
        run.train()
        ends.append(state(run))
    assert run.steps == 2
    assert ends[0] == ends[1] == ends[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_judging_leaves_no_trace_in_the_next_step(dtype: str) -> None:
    data, ends = few(), []
    for first in (False, True):
        net = network(data, dtype)
        with Shards(net, SoftmaxCrossEntropy(), 64, 2) as shards:
            if first:
                shards.evaluate(data.images, data.labels)
            told = shards.step(data.images, data.labels, np.arange(64))
            ends.append((told, shards.gradient.tobytes()))
    assert ends[0] == ends[1]


# Stopped and resumed


def told(optimiser: Optimiser, held_back: bool, patience: int | None) -> tuple[Dataset, dict[str, Any]]:
    data, held = noisy().split(0.25, 5)
    more = {"schedule": Warmup(Hold(Cosine())), "epochs": 3, "batch": 64, "seed": 7, "patience": patience}
    if isinstance(optimiser, SGD):
        more |= EVERYTHING
    return data, {"optimiser": optimiser, **more, "validation": held if held_back else None}


@pytest.mark.parametrize(
    ("held_back", "patience", "optimiser"),
    some(
        [(*how, each) for how in ((False, None), (True, None), (True, 1)) for each in OPTIMISERS],
        lambda place: place % 5 == 0,  # each of both at least once
        repr,
    ),
)
@pytest.mark.often(1)
def test_a_stop_at_any_step_changes_no_bit(
    tmp_path: Path, optimiser: Optimiser, held_back: bool, patience: int | None
) -> None:
    data, settings = told(optimiser, held_back, patience)
    whole = Trainer(network(data), data, **settings, out=tmp_path / "whole")
    whole.train()

    def stops(at: set[int]) -> Callable[[Event], None]:
        def watch(event: Event) -> None:
            run.stop = run.stop or (event.kind == "stepped" and event.step in at)

        return watch

    steps = range(1, whole.position.step + 1)
    for places in [*({step} for step in steps), set(steps)]:
        out = tmp_path / f"stopped {sorted(places)}"
        run, times = Trainer(network(data), data, **settings, out=out, watch=stops(places)), 0
        while not run.position.done:
            with contextlib.suppress(StoppedError):
                run.train()
            times += 1
            assert times <= len(places) + 1
            run = Trainer.resume(
                out, data, validation=settings["validation"], threads=1 + times % 3, watch=stops(places)
            )
        assert state(run) == state(whole)
        assert kept(out) == kept(tmp_path / "whole")
        assert (out / BEST).exists() == held_back
        if held_back:
            best, other = (checkpoint.load(each / BEST)[0] for each in (out, tmp_path / "whole"))
            assert best.parameters.tobytes() == other.parameters.tobytes()


@pytest.mark.parametrize("share", [0.2, np.float32(0.25), np.float64(0.2)], ids=repr)
def test_a_share_is_held_back_and_held_back_again(tmp_path: Path, share: Any) -> None:
    """That of the whole data with the training's seed; a resumed run is given the share, not the images."""
    data = few()
    train, held = data.split(float(share), 3)
    apart = Trainer(network(data), train, validation=held, epochs=2, seed=3)
    apart.train()

    def watch(event: Event) -> None:
        run.stop = event.step == 1

    run = Trainer(network(data), data, validation=share, epochs=2, seed=3, out=tmp_path / "run", watch=watch)
    with pytest.raises(StoppedError):
        run.train()
    resumed = Trainer.resume(tmp_path / "run", data, validation=share, threads=2)
    resumed.train()
    assert state(resumed) == state(apart)


def test_a_stop_says_where_it_is_and_how_to_go_on(tmp_path: Path) -> None:
    def watch(event: Event) -> None:
        run.stop = event.step == 2

    run = Trainer(network(few()), few(), epochs=2, out=tmp_path / "run", watch=watch)
    with pytest.raises(StoppedError) as caught:
        run.train()
    way = f"Trainer.resume({str(run.out)!r}, data).train()"
    assert str(caught.value) == f"stopped after step 2 of 6; saved, go on with: {way}"
    assert run.out is not None
    assert len(Trainer.resume(run.out, few()).train()) == 2


class EnoughError(Exception):
    """Raised by a subscriber."""


def test_whatever_event_a_subscriber_raises_at_training_can_go_on(tmp_path: Path) -> None:
    data, settings = told(SGD(), True, None)
    seen: list[Event] = []
    whole = Trainer(network(data), data, **settings, out=tmp_path / "whole", watch=seen.append)
    whole.train()
    for place in range(len(seen)):
        left = iter(range(place, -1, -1))

        def watch(event: Event, left: Any = left) -> None:
            if next(left, None) == 0:
                raise EnoughError

        before = set(threading.enumerate())
        run = Trainer(network(data), data, **settings, out=tmp_path / f"run {place}", threads=3, watch=watch)
        with pytest.raises(EnoughError):
            run.train()
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
            assert not thread.is_alive()
        run.train()
        assert state(run) == state(whole)
        assert kept(tmp_path / f"run {place}") == kept(tmp_path / "whole")


@pytest.mark.parametrize("times", [1, 2])
def test_signals(tmp_path: Path, times: int) -> None:
    """The first asks for a stop after the step; the second stops at once, and what was saved is still good."""
    whole = Trainer(network(few()), few(), epochs=2)
    whole.train()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def watch(event: Event) -> None:
        if event.kind == "stepped" and event.step == 5:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    out = tmp_path / "run"
    with pytest.raises(StoppedError if times == 1 else KeyboardInterrupt):
        Trainer(network(few()), few(), epochs=2, out=out, watch=watch).train()
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run = Trainer.resume(out, few())
    assert run.position.step == {1: 5, 2: 3}[times]
    run.train()
    assert state(run) == state(whole)


def test_in_another_thread_no_signal_is_touched(tmp_path: Path) -> None:
    handlers: list[Any] = []

    def watch(event: Event) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))

    run = Trainer(network(few()), few(), epochs=1, watch=watch)
    thread = threading.Thread(target=run.train)
    thread.start()
    thread.join()
    assert run.position.done
    assert set(handlers) == {signal.getsignal(signal.SIGINT)}


def test_a_cut_between_the_last_two_files_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(path: Path, content: bytes) -> None:
        if content.count(b"\n") == 2:
            raise KeyboardInterrupt
        checkpoint.write_safely(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_safely", cut)
        with pytest.raises(KeyboardInterrupt):
            Trainer(network(few()), few(), epochs=2, out=tmp_path / "run").train()
    history = Trainer.resume(tmp_path / "run", few()).train()
    assert [json.loads(line) for line in (tmp_path / "run" / HISTORY).read_text().splitlines()] == history


@pytest.mark.parametrize("change", ["pixel", "label", "order", "type", "validation"])
def test_resume_needs_the_same_data(tmp_path: Path, change: str) -> None:
    data, settings = told(SGD(), True, None)
    Trainer(network(data), data, **settings, out=tmp_path / "run").train()
    before, held = files(tmp_path), settings["validation"]
    images, labels = data.images.copy(), data.labels.copy()
    if change == "pixel":
        images[3, 0, 2, 1] += 1
    elif change == "label":
        labels[3] = (labels[3] + 1) % 10
    elif change == "order":
        images, labels = images[::-1], labels[::-1]
    elif change == "type":
        images = images.astype(np.float64)
    else:
        held = None
    with pytest.raises(DataError, match=r"images are not the ones .* trained on; give the same data to resume"):
        Trainer.resume(tmp_path / "run", Dataset(images, labels, data.classes, data.name), validation=held)
    assert files(tmp_path) == before


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_a_run_that_plaingrad_0_1_left_is_gone_on_with(tmp_path: Path, kind: type[Adam]) -> None:
    """Its Adam called its settings `fading` and `fading_square`, and what it carries `mean` and `square`."""
    data, settings = told(kind(rate=0.01, beta1=0.75), False, None)
    whole = Trainer(network(data), data, **settings)
    whole.train()
    run = Trainer(network(data), data, **settings, out=tmp_path / "run")
    run.watch = lambda event: setattr(run, "stop", run.stop or event.kind == "stepped")
    with pytest.raises(StoppedError):
        run.train()
    net, arrays, facts = checkpoint.load(tmp_path / "run" / CHECKPOINT)
    old = {"m": "mean", "v": "square", "beta1": "fading", "beta2": "fading_square"}
    arrays = {".".join(old.get(part, part) for part in name.split(".")): array for name, array in arrays.items()}
    optimiser = facts["training"]["optimiser"]
    facts["training"]["optimiser"] = {old.get(name, name): value for name, value in optimiser.items()}
    checkpoint.save(tmp_path / "run" / CHECKPOINT, net, arrays, **facts)
    again = Trainer.resume(tmp_path / "run", data)
    assert again.optimiser == run.optimiser
    again.train()
    assert again.net.parameters.tobytes() == whole.net.parameters.tobytes()


def test_resume_needs_what_a_run_leaves(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "network").mkdir()
    (tmp_path / "broken").mkdir()
    checkpoint.save(tmp_path / "network" / CHECKPOINT, network(few()))
    (tmp_path / "broken" / CHECKPOINT).write_bytes((tmp_path / "network" / CHECKPOINT).read_bytes()[:-1])
    for name, reason in (
        ("nothing", "there is no run folder"),
        ("empty", "is not a run folder"),
        ("network", "does not say how to go on"),
        ("broken", "is damaged"),
    ):
        with pytest.raises(CheckpointError, match=reason):
            Trainer.resume(tmp_path / name, few())


# Killed


def child(out: str) -> None:
    """Another process: trains with a checkpoint after each step, or goes on."""
    trainer.SECONDS_BETWEEN_SAVES = 0.0
    data, held = digits().train.take(range(400)).split(0.2)

    def watch(event: Event) -> None:
        if event.kind == "started":
            sys.stdout.write("started\n")
            sys.stdout.flush()

    if Path(out).exists():
        run = Trainer.resume(out, data, validation=held, watch=watch)
    else:
        settings: dict[str, Any] = {"epochs": 5, "batch": 32, "patience": 4, "validation": held, "watch": watch}
        run = Trainer(network(data), data, Adam(), **settings, **EVERYTHING, out=out)
    run.train()


def started(out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "import sys, test_trainer; test_trainer.child(sys.argv[1])", str(out)]
    paths = os.pathsep.join([str(TESTS), *sys.path])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths})
    assert process.stdout is not None
    process.stdout.readline()
    return process


def kill_and_resume(folder: Path, kills: int) -> None:
    """Kill at random moments, read the folder all the while, and go on until the end."""
    whole, out, rng = folder / "whole", folder / "killed", np.random.default_rng(2)
    process = started(whole)
    began = time.perf_counter()
    process.communicate(timeout=100)
    assert process.returncode == 0
    length = time.perf_counter() - began
    done = 0
    while done < kills:
        process, until = started(out), time.perf_counter() + rng.uniform(0, 1.5 * length / kills)
        while time.perf_counter() < until and process.poll() is None:
            kept(out)
        process.kill()
        process.communicate()
        assert process.returncode in (0, -signal.SIGKILL)
        done += process.returncode == -signal.SIGKILL
        if process.returncode == 0:  # it came to its end first
            assert kept(out) == kept(whole)
            for path in out.iterdir():
                path.unlink()
            out.rmdir()
        elif out.exists():
            kept(out)
    process = started(out)
    process.communicate(timeout=100)
    assert process.returncode == 0
    assert kept(out) == kept(whole)
    assert checkpoint.load(out / BEST)[0].parameters.tobytes() == checkpoint.load(whole / BEST)[0].parameters.tobytes()


def test_killed_runs_end_in_the_same_bits(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, 2)


@pytest.mark.exhaustive
def test_many_kills_end_in_the_same_bits(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, 25)


# Diverging


@pytest.mark.filterwarnings("ignore:rate too large", "ignore:dead ReLU")
@pytest.mark.parametrize("optimiser", [SGD(), Adam(), AdamW()], ids=repr)
@pytest.mark.often(1)
def test_a_run_that_diverges_says_where_and_keeps_a_finite_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: Optimiser
) -> None:
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_SAVES", 0.0)  # each step could be the one whose result is saved
    diverged = 0
    for power in (2, 6, 10, 20, 30, 38, 39, 300):
        out = tmp_path / str(power)
        run = Trainer(network(few()), few(), optimiser.replace(rate=10.0**power), schedule=Constant(), out=out)
        quantities = {*run.net.run(few(2).images, [0, 1]).names, "the loss"}
        message = ""
        try:
            run.train()
        except DivergedError as error:
            message = str(error)
        if message:
            found = re.fullmatch(
                r"training diverged at step (\d+) \(epoch (\d+)\): (.*) is no longer finite, the learning rate \S+ "
                r"is probably too high: start again with a tenth of it; the last good checkpoint is in (.*)",
                message,
            )
            assert found, message
            step, epoch = int(found[1]), int(found[2])
            assert found[3] in quantities
            assert found[4] == str(out)
            assert epoch == (step - 1) // run.per_epoch + 1
            assert run.position.step in (step - 1, step)  # the loss of the step, or what the step made
            diverged += 1
        net, _, _ = checkpoint.load(out / CHECKPOINT)
        assert np.isfinite(net.parameters).all()
        assert Trainer.resume(out, few()).position.step <= run.position.step
    assert diverged


def test_a_channel_of_one_value_stays_small() -> None:
    """The spread of equal pixels is a rounding error, and no number to divide by."""
    for value in range(256):
        data = from_arrays(np.full((21, 1, 3, 3), value, np.uint8), np.arange(21) % 2)
        run = Trainer(Network(Flatten(), Dense(2), input=data.shape), data)
        run.standardise()
        assert np.abs(run.net.run(data.images[:1])["flatten1.y"]).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_standardised_images_have_mean_0_and_variance_1(dtype: str) -> None:
    data = colours(dtype=dtype)
    run = Trainer(network(data, "float64"), data)
    run.standardise()
    shown = run.net.run(data.images[:32])["conv1.x"]
    pixels = data.images.astype(np.float64) / (255 if dtype == "uint8" else 1)
    mean, spread = pixels.mean(axis=(0, 2, 3), keepdims=True), pixels.std(axis=(0, 2, 3), keepdims=True)
    bound = 64 * np.finfo(np.float64).eps * (np.abs(pixels[:32]) + mean) / spread  # sums of 2,100 pixels, pairwise
    assert (np.abs(shown - ((pixels - mean) / spread)[:32]) <= bound).all()


# Events, history, the best epoch, stopping early


def test_events_come_in_order_with_the_right_numbers(tmp_path: Path) -> None:
    data, held = few(200).split(0.25, 5)
    seen: list[Event] = []
    settings: dict[str, Any] = {"epochs": 2, "batch": 64, "validation": held}
    run = Trainer(network(data), data, **settings, out=tmp_path / "run", watch=seen.append)
    history = run.train()
    epoch = ["stepped"] * 3 + ["saved", "epoch"]
    assert [event.kind for event in seen] == ["saved", "started", *epoch, *epoch, "ended"]
    steps = [event for event in seen if event.kind == "stepped"]
    assert [event.step for event in steps] == [1, 2, 3, 4, 5, 6]
    assert [event.epoch for event in steps] == [1, 1, 1, 2, 2, 2]
    assert {(event.steps, event.epochs) for event in seen} == {(6, 2)}
    entries = [event for event in seen if event.kind == "epoch"]
    assert [event.entry for event in entries] == history
    assert [event.epoch for event in entries] == [entry["epoch"] for entry in history] == [1, 2]
    for entry, last in zip(history, steps[2::3], strict=True):
        assert (entry["train_loss"], entry["train_accuracy"]) == (last.loss, last.accuracy)
    assert [json.loads(line) for line in (tmp_path / "run" / HISTORY).read_text().splitlines()] == history
    assert checkpoint.load(tmp_path / "run" / CHECKPOINT)[2]["position"]["history"] == history
    assert run.train() == history
    assert [event.kind for event in seen].count("ended") == 1


def test_the_loss_told_is_the_mean_over_the_images() -> None:
    """With a rate too small to move a parameter, an epoch's loss is that of the network on the whole set."""
    data = few()
    run = Trainer(without_modes(data), data, SGD(rate=1e-300), epochs=2, schedule=Constant())
    history = run.train()
    with Shards(run.net, run.loss, 64) as shards:
        loss, accuracy, _ = shards.evaluate(data.images, data.labels)
    bound = len(data) * np.finfo(np.float64).eps * loss  # the same terms, added in another order
    for entry in history:
        assert abs(entry["train_loss"] - loss) <= bound
        assert entry["train_accuracy"] == accuracy


@pytest.mark.parametrize("rate", [0.05, 1e-8], ids=["learning", "ties"])
def test_the_best_checkpoint_is_the_best_epoch(tmp_path: Path, rate: float) -> None:
    """The highest accuracy on the images held back, among equals the lowest loss, among equals the first."""
    data, held = noisy().split(0.25, 5)
    out, settings = tmp_path / "run", {"epochs": 6, "validation": held, "schedule": Constant()}
    history = Trainer(without_modes(data), data, SGD(rate=rate), out=out, **settings).train()
    if rate < 1e-3:
        assert len({entry["validation_accuracy"] for entry in history}) == 1
        assert len({entry["validation_loss"] for entry in history}) == len(history)
    best = max(history, key=lambda entry: (entry["validation_accuracy"], -entry["validation_loss"]))
    net, _, facts = checkpoint.load(out / BEST)
    assert facts["position"]["history"][-1] == best
    assert facts["position"]["best_epoch"] == best["epoch"]
    with Shards(net, SoftmaxCrossEntropy(), 64) as shards:
        loss, accuracy, _ = shards.evaluate(held.images, held.labels)
    assert (loss, accuracy) == (best["validation_loss"], best["validation_accuracy"])


@pytest.mark.parametrize("patience", [1, 2, 3, 5])
@pytest.mark.often(2)
def test_training_stops_early_when_it_should(patience: int) -> None:
    data, held = noisy().split(0.25, 5)
    settings: dict[str, Any] = {"epochs": 12, "validation": held, "schedule": Constant()}
    whole = Trainer(network(data), data, **settings).train()
    merits = [(entry["validation_accuracy"], -entry["validation_loss"]) for entry in whole]
    waited = [epoch - merits.index(max(merits[: epoch + 1])) for epoch in range(12)]
    seen: list[str] = []
    run = Trainer(network(data), data, **settings, patience=patience, watch=lambda event: seen.append(event.kind))
    history = run.train()
    stop = next((epoch + 1 for epoch in range(12) if waited[epoch] >= patience), 12)
    assert plain(history) == plain(whole[:stop])
    assert seen.count("stopped early") == (stop < 12)
    if patience == 1:
        assert 1 < stop < 12


def test_what_is_held_back_is_not_learned_from() -> None:
    whole = from_arrays(np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1), np.arange(100) % 3)
    for share in (0.01, 0.2, 0.99):
        data, held = whole.split(share, 3)
        parts = [set(part.images.ravel().tolist()) for part in (data, held)]
        assert not parts[0] & parts[1]
        assert parts[0] | parts[1] == set(range(100))
        assert len(held) == round(100 * share)


# What it takes, and what it refuses


def test_one_image_is_learned() -> None:
    data = few(1)
    history = Trainer(network(data), data, epochs=20).train()
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert history[-1]["train_accuracy"] == 1


def test_classes_without_an_image_are_never_named() -> None:
    data = few()
    two = Dataset(data.images[data.labels < 2], data.labels[data.labels < 2], data.classes, "two")
    run = Trainer(network(two), two, epochs=20)
    run.train()
    with Shards(run.net, run.loss, 64) as shards:
        _, accuracy, outputs = shards.evaluate(two.images, two.labels)
    assert accuracy == 1
    assert set(outputs.argmax(axis=1)) == {0, 1}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"epochs": True}, "epochs=True"),
        ({"batch": 0}, "batch=0"),
        ({"batch": -3}, "batch=-3"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": "x"}, "seed='x'"),
        ({"threads": 0}, "threads=0"),
        ({"threads": 1.5}, "threads=1.5"),
        ({"patience": 2}, "patience without validation"),
        ({"patience": 0, "validation": few(10)}, "patience=0"),
        ({"patience": True, "validation": few(10)}, "patience=True"),
        ({"optimiser": 0.1}, "optimiser=0.1; it needs one of SGD(), Adam(), AdamW()"),
        ({"schedule": Cosine}, "Cosine()"),
        ({"loss": "squares"}, "loss='squares'"),
        ({"loss": CrossEntropy(), "data": few(), "net": None}, "images of"),
        ({"validation": colours()}, "colours has (3, 6, 5)"),
        ({"data": from_arrays(np.zeros((12, 8, 8), np.float32), range(12))}, "12 classes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, settings: dict[str, Any], word: str
) -> None:
    data = settings.pop("data", few(20))
    net = network(few(20))
    if "net" in settings:
        settings.pop("net")
        net = Network(Flatten(), Dense(10), Softmax(), input=(1, 7, 7))
    with pytest.raises(PlaingradError) as caught:
        Trainer(net, data, out=tmp_path / "run", **settings).train()
    assert "\n" not in str(caught.value)
    assert word in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    net = Network(Conv(10, size=3), input=(1, 8, 8))
    with pytest.raises((ShapeError, SettingError, DataError)):
        Trainer(net, few(20), out=tmp_path / "run").train()
    assert list(tmp_path.iterdir()) == []


def test_no_run_is_ever_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "run"
    Trainer(network(few()), few(), epochs=1, out=out).train()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    before = files(tmp_path)
    for name in ("run", "file", "folder"):
        with pytest.raises(SettingError, match="exists already"):
            Trainer(network(few()), few(), epochs=1, seed=2, out=tmp_path / name).train()
    assert files(tmp_path) == before


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    ends = []
    for kind in (int, np.int64, np.uint8):
        out, held = tmp_path / kind.__name__, {"validation": few(20), "patience": kind(2)}
        run = Trainer(network(few()), few(), epochs=kind(1), batch=kind(40), seed=kind(3), out=out, **held)
        run.train()
        ends.append(state(run))
        assert state(Trainer.resume(out, few(), validation=few(20))) == ends[-1]
    assert ends[0] == ends[1] == ends[2]


def test_a_fingerprint_tells_every_difference_apart() -> None:
    data = few(10)
    images, labels = data.images, data.labels
    others = [
        (images, np.roll(labels, 1)),
        (images[:9], labels[:9]),
        (images.astype(np.float64), labels),
        (images.reshape(10, 1, 4, 16), labels),
        (-images, labels),
    ]
    prints = [Dataset(*each, data.classes).fingerprint for each in [(images, labels), *others]]
    assert len(set(prints)) == len(prints)
    assert prints[0] == Dataset(images.copy(), labels.astype(np.int32), data.classes, "by another name").fingerprint
