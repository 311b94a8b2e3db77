"""Ten thousand inputs made wrong at random, through the public functions: each is used, or refused in one line.

None ends in a traceback, takes more than ten seconds, or more than a gigabyte. The inputs are those of `mutated`.
`PLAINGRAD_SEED=n` makes others.
"""

import contextlib
import linecache
import os
import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from mutated import KINDS, Kind, Stage
from plaingrad.checking.answers.answer import answer_of
from plaingrad.checking.case_layers import of_words
from plaingrad.errors import PlaingradError

MOST_SECONDS, MOST_BYTES = 10.0, 1 << 30  # seconds of work, whatever else the machine does
PATIENCE = 10  # times as long by the clock
MOST_ROOM = 4 << 30  # of addresses, which the stacks of threads take without touching them
SEED = int(os.environ.get("PLAINGRAD_SEED", "0"))
OURS = str(Path(pg.__file__).parent)
linux = pytest.mark.skipif(sys.platform != "linux", reason="what a process takes is read off Linux's /proc")


def is_ours(error: BaseException) -> bool:
    """Whether plaingrad refused an input itself, in one line."""
    if isinstance(error, PlaingradError):
        return str(error).isprintable()
    if not isinstance(error, TypeError | IndexError | AttributeError) or "\n" in str(error):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename.startswith(OURS) and linecache.getline(last.filename, last.lineno or 0).strip().startswith(
        "raise"
    )


@contextlib.contextmanager
def bounded_memory(room: int) -> Iterator[None]:
    """No more memory than `room` beside what is taken now: whoever asks for more gets a MemoryError."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def bounded_time(seconds: float) -> Iterator[None]:
    """Whoever takes longer gets a TimeoutError."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak() -> int:
    """The most memory that this process held since `Path("/proc/self/clear_refs")` was last told so, in bytes."""
    told_of = Path("/proc/self/status").read_text()
    return int(told_of.partition("VmHWM:")[2].split()[0]) << 10


def judged(make: Kind, seed: str, stage: Stage) -> list[str]:
    """What is wrong with how one input was taken; nothing where it was used or refused as it should be."""
    Path("/proc/self/clear_refs").write_text("5")
    before, began, faults = peak(), time.process_time(), []
    try:
        with warnings.catch_warnings(), bounded_memory(MOST_ROOM), bounded_time(PATIENCE * MOST_SECONDS):
            warnings.simplefilter("ignore")
            make(random.Random(seed), stage)
        used_up["used"] += 1
    except Exception as error:
        if not is_ours(error):
            where = "".join(traceback.format_tb(error.__traceback__)[-6:])
            faults.append(f"{type(error).__name__}: {str(error)[:300]}\n{where}")
    seconds, room = time.process_time() - began, peak() - before
    worst["seconds"], worst["bytes"] = max(worst["seconds"], (seconds, seed)), max(worst["bytes"], (room, seed))
    if seconds > MOST_SECONDS:
        faults.append(f"took {seconds:.1f} s")
    if room > MOST_BYTES:
        faults.append(f"took {room >> 20} MiB")
    return faults


used_up = Counter[str]()
worst: dict[str, tuple[float, str]] = {"seconds": (0.0, ""), "bytes": (0, "")}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("mutated"))


@pytest.fixture
def in_stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage, with its folder as the one in which commands are run."""
    monkeypatch.chdir(stage.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    return stage


def try_many(name: str, count: int, stage: Stage) -> None:
    """Hold the law on so many inputs of a kind, and say what they took."""
    make, _ = KINDS[name]
    used_up.clear()
    worst.update(seconds=(0.0, ""), bytes=(0, ""))
    faults = {}
    for number in range(count):
        seed = f"{SEED} {name} {number}"
        if found := judged(make, seed, stage):
            faults[seed] = found
    for seed, found in [*faults.items()][:5]:
        sys.stdout.write(f"{seed}: {'; '.join(found)}\n")
    seconds, room = worst["seconds"][0], int(worst["bytes"][0]) >> 20
    told_of = f"{used_up['used']:,} used, the others refused; at most {seconds:.2f} s, {room} MiB"
    sys.stdout.write(f"{name}: {count:,} inputs, {told_of}\n")
    assert not faults, f"{len(faults)} of {count:,} {name}"


@linux
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.often(4)
def test_some_inputs_of_every_kind(in_stage: Stage, name: str) -> None:
    try_many(name, KINDS[name][1] // (150 if name == "answers" else 50), in_stage)  # a verdict takes its time


@linux
@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_thousands_of_inputs(in_stage: Stage, name: str) -> None:
    try_many(name, KINDS[name][1] // 4, in_stage)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", KINDS)
def test_ten_thousand_inputs(in_stage: Stage, name: str) -> None:
    assert sum(count for _, count in KINDS.values()) >= 10_000
    try_many(name, KINDS[name][1], in_stage)


# Faults that were found so, or by hand: each kept as what it was


@pytest.mark.parametrize("name", ["stride", "padding", "dilation", "size", "filters", "groups"])
@pytest.mark.parametrize("value", [2**53 + 1, 2**63, 10**25, -(10**25)])
def test_no_setting_is_beyond_machine_code(name: str, value: int) -> None:
    with pytest.raises(pg.SettingError, match="whole numbers reach to 2⁵³"):
        pg.Conv(**({"filters": 1} | {name: value}))


@pytest.mark.parametrize(
    "layer", [pg.MaxPool(2, stride=2**53), pg.Conv(1, stride=2**53), pg.Conv(1, 1, dilation=2**53)]
)
def test_the_largest_setting_is_compiled(layer: Any) -> None:
    net = pg.Network(layer, input=(1, 4, 4))
    images = np.random.default_rng(0).random((2, 1, 4, 4), np.float32)
    exact = pg.Network(layer, input=(1, 4, 4), dtype=object)
    for name, array in exact.arrays.items():
        array[...] = net.arrays[name].astype(float)
    made, right = net.run(images).output[:2], exact.run(images.astype(float)).output
    assert np.allclose(made, right.astype(float), rtol=1e-5, atol=1e-6)  # of nine products at most


@pytest.mark.parametrize("told_of", ["plaingrad network 2", "", None, 1, ["plaingrad network 1"]])
def test_a_network_of_another_format_is_refused(told_of: Any) -> None:
    text = pg.Network(pg.Dense(2), input=(3,)).to_json()
    assert pg.Network.from_json(text).to_json() == text
    assert pg.Network.from_json({key: text[key] for key in ("input", "layers")}).layers == (pg.Dense(2),)
    with pytest.raises(pg.SettingError, match="this version reads 'plaingrad network 1'"):
        pg.Network.from_json(text | {"format": told_of})


@pytest.mark.parametrize("images", [1, 2])
def test_who_won_can_be_asked_and_what_that_rests_on(images: int) -> None:
    layers = pg.Conv(2, size=2, activation=pg.ReLU()), pg.MaxPool(3, stride=2, padding=1), pg.Flatten(), pg.Dense(3)
    net = pg.Network(*layers, input=(1, 6, 5))
    run = net.run(np.random.default_rng(0).random((images, 1, 6, 5)), np.arange(images))
    winner = run["maxpool1.winner"]
    for place in np.ndindex(winner.shape):
        told_of = run.explain(f"maxpool1.winner[{','.join(map(str, place))}]")  # the image may be named where it is one
        assert told_of.value == winner[place]
        for each in told_of.next:
            run.explain(each).text()


def test_a_dataset_is_read_image_by_image() -> None:
    data = pg.digits().train
    image, label = data[0]
    assert image.shape == (1, 8, 8)
    assert label == data.labels[0]
    assert [label for _, label in data] == data.labels.tolist()
    assert all((one == other).all() for (one, _), other in zip(data, data.images, strict=True))
    assert (data[-1][0] == data.images[-1]).all()
    assert len(data[3:5]) == len(data[[1, 2]]) == len(data[data.labels == 3].take(slice(0, 2))) == 2
    with pytest.raises(IndexError, match="has 1437 images, counted from 0; there is no image 1437"):
        data[1437]
    with pytest.raises(pg.SettingError, match="return_X_y=True, which it does not have; write train, test ="):
        pg.digits(return_X_y=True)


def test_laws_print_as_a_sentence() -> None:
    assert repr(pg.check(pg.Dense(2), (3,))).startswith(
        "RIGHT: every layer passes its tests\n  dense1  right  Dense(2) on 3"
    )


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("pool", "'globalmeanpool' or 'l2pool' or 'maxpool' or 'meanpool'?"), ("rel", "'leakyrelu' or 'relu'?")],
)
def test_a_part_of_several_names_suggests_all(asked: str, hint: str) -> None:
    with pytest.raises(pg.SettingError, match=re.escape(f"did you mean {hint}")):
        of_words(asked, (1, 6, 5))


@pytest.mark.parametrize("kind", ["images", "labels", "targets", "dy", "answer", "classes"])
def test_a_view_that_repeats_without_end_is_not_laid_out(kind: str) -> None:
    net = pg.Network(pg.Flatten(), pg.Dense(3), input=(1, 2, 2))
    many, images = np.broadcast_to(np.zeros(4), (10**15, 4)), np.zeros((2, 1, 2, 2))
    asked: dict[str, Callable[[], Any]] = {
        "images": lambda: pg.predict(net, np.broadcast_to(images[0], (10**13, 1, 2, 2))),
        "labels": lambda: pg.from_arrays(images, np.broadcast_to(0, 10**15)),
        "targets": lambda: net.run(images, many),
        "dy": lambda: net.run(images).backward(many),
        "answer": lambda: answer_of({"conv1.dw": np.broadcast_to(np.array(None), (10**15,))}),
        "classes": lambda: pg.from_arrays(images, [0, 1], 10**15),
    }
    with pytest.raises(PlaingradError, match=r"repeat a few numbers|more than 20,000,000|from 1 to 10,000"):
        asked[kind]()
