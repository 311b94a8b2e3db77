"""The command line: what each command says and leaves, and one clear line for everything that cannot be."""

import contextlib
import errno
import gzip
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors.numpy

from often import some
from plaingrad import __version__, checkpoint, digits, evaluate, find_rate, from_onnx, predict
from plaingrad.cli.commands import prepare
from plaingrad.cli.main import cli, main
from plaingrad.cli.progress import Live, to_stderr
from plaingrad.data.idx import STEMS, write_idx
from plaingrad.errors import StoppedError
from plaingrad.network.augment import Augment
from plaingrad.network.models import MODELS, PHOTOGRAPHS
from plaingrad.network.network import Network
from plaingrad.textbook.optimisers import Cosine, Schedule, Warmup
from plaingrad.training.progress import Event, Lines
from plaingrad.training.run_folder import BEST, CHECKPOINT, HISTORY, IMAGES
from plaingrad.training.trainer import Trainer

KEYS = {
    *("model", "data", "parameters", "epochs", "seconds", "compile_seconds", "images_per_second"),
    *("test_accuracy", "test_loss", "out"),
}
PROGRESS = ("compiling the loops", "epoch ", "no better for long enough", "that is no better than")
LINEAR = {"input": [1, 8, 8], "layers": [{"kind": "Flatten"}, {"kind": "Dense", "units": 10}]}
COMMANDS = [
    [],
    ["train"],
    ["find-rate"],
    ["evaluate"],
    ["predict"],
    ["explain"],
    ["export"],
    ["models"],
    ["questions"],
    ["doctor"],
    ["data"],
    ["data", "describe"],
    ["data", "get"],
    ["case"],
    ["check"],
]
Image = pytest.importorskip("PIL.Image")


def is_progress(line: str) -> bool:
    """Whether a line on stderr only tells how a training goes."""
    return line.startswith(PROGRESS) or " steps; " in line


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> list[str]:
        """The lines on stderr, progress aside."""
        return [line for line in self.err.splitlines() if not is_progress(line)]


Command = Callable[..., Said]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        return Said(ended.value.code or 0, *capsys.readouterr())  # type: ignore[arg-type]

    return run


def apart(*arguments: object, **settings: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own."""
    own = {"capture_output": True, "text": True, "timeout": 100, "check": False, "env": environment()} | settings
    return subprocess.run([sys.executable, "-m", "plaingrad", *map(str, arguments)], **own)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def files(folder: Path) -> dict[str, bytes | None]:
    return {
        os.fsdecode(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def refused(said: Said, *words: str) -> str:
    """The one line of an error of the user's."""
    assert said.code == 2, said
    assert said.out == ""
    assert len(said.told) == 1, said.err
    assert said.told[0].startswith("plaingrad")
    for word in words:
        assert word in said.told[0]
    return said.told[0]


def pictures(folder: Path, classes: tuple[str, ...] = ("a", "b"), count: int = 3, shape: Any = (8, 8)) -> Path:
    rng = np.random.default_rng(5)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def idx_folder(folder: Path, images: np.ndarray | None = None, labels: np.ndarray | None = None) -> Path:
    folder.mkdir()
    images = np.random.default_rng(5).integers(0, 256, (20, 8, 8)).astype(np.uint8) if images is None else images
    labels = np.arange(20, dtype=np.uint8) % 10 if labels is None else labels
    for part in (0, 2):
        write_idx(folder / STEMS[part][0], images)
        write_idx(folder / STEMS[part + 1][0], labels)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the bundled digits, trained well enough to name them."""
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.raises(SystemExit) as ended:
        main(["train", "--epochs", "8", "--out", str(out), "--validation", "0.1"])
    assert ended.value.code == 0
    return out


@pytest.fixture
def run_copy(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


# What commands say and leave


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_names_every_option(command: Command, words: list[str]) -> None:
    said, short = (command(*words, each) for each in ("--help", "-h"))
    assert said == short
    assert (said.code, said.err) == (0, "")
    at: Any = cli
    for word in words:
        at = at.commands[word]
    assert " ".join(at.help.split("\n\n")[0].split()) in " ".join(said.out.split())
    for parameter in at.params:
        assert all(option in said.out for option in parameter.opts if option.startswith("-"))
    for name in getattr(at, "commands", ()):
        assert f"  {name}  " in said.out
    assert max(map(len, said.out.splitlines())) <= 100


def test_every_command_is_tested_for_help() -> None:
    def named(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        yield before
        for name, each in getattr(group, "commands", {}).items():
            yield from named(each, (*before, name))

    assert sorted(named(cli)) == sorted(map(tuple, COMMANDS))


def test_nothing_asked_is_help(command: Command) -> None:
    assert command() == command("--help")
    assert command("--version") == (0, f"plaingrad, version {__version__}\n", "")


def test_train_leaves_a_run_folder_and_says_what_came_of_it(command: Command, tmp_path: Path) -> None:
    said = command("train", "--epochs", 2, "--model", "mlp", "--json", "--validation", 0.2, "--patience", 5)
    assert (said.code, said.out.count("\n"), said.told) == (0, 1, [])
    result = json.loads(said.out)
    assert set(result) >= KEYS
    out = Path(result["out"])
    assert (result["model"], result["data"], result["epochs"], out) == ("mlp", "digits", 2, Path("runs/mlp-digits"))
    assert result["parameters"] == MODELS["mlp"].network((1, 8, 8)).size
    assert (
        {each.name for each in out.iterdir()}
        == {CHECKPOINT, BEST, HISTORY, IMAGES, "report.html"}
        == set(result["files"])
    )
    assert len((out / HISTORY).read_text().splitlines()) == 2
    assert any(" training" in line for line in said.err.splitlines())
    ends = [
        line[:10] for line in said.err.splitlines() if re.match(r"epoch \d/2:", line)
    ]  # a slow one tells of steps too
    assert ends == ["epoch 1/2:", "epoch 2/2:"]
    judged = json.loads(command("evaluate", out, "--json").out)
    assert (judged["accuracy"], judged["loss"]) == (result["test_accuracy"], result["test_loss"])
    again = command("train", "--epochs", 1, "--model", "mlp")
    assert (again.code, len(again.out.splitlines())) == (0, 3)
    assert "written to runs/mlp-digits-2: " in again.out


def test_what_is_told_is_what_is_trained_with(command: Command) -> None:
    """Each option is in the checkpoint as `Trainer` takes it; what is not told is the model's recipe."""
    options = ["--schedule", "warmup,share=0.2+cosine", *EVERYTHING, "--out", "run", "--epochs", 1]
    assert command("train", *options).code == 0
    _, _, facts = checkpoint.load(f"run/{CHECKPOINT}")
    kept = facts["training"]
    assert Schedule.from_json(kept["schedule"]) == Warmup(Cosine(), share=0.2)
    assert Augment.from_json(kept["augment"]) == Augment(shift=1, cutout=2)
    assert (kept["clip"], kept["average"], facts["about"]["validation"]) == (1, 0.9, 0.2)
    page = Path("run/report.html").read_text("utf-8")
    assert "Augment(shift=1, cutout=2)" in page
    assert "Warmup(then=Cosine(), share=0.2, first=0.01)" in page
    assert command("train", "--epochs", 1, "--no-report", "--out", "bare").code == 0
    kept = checkpoint.load(f"bare/{CHECKPOINT}")[2]["training"]
    assert (kept["augment"], kept["clip"], kept["average"]) == (None, None, None)


@pytest.mark.parametrize(("told", "used"), [({}, PHOTOGRAPHS), ({"augment": "none"}, None)])
def test_a_recipe_s_augmentation_is_used_unless_another_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, str], used: Augment | None
) -> None:
    """Nothing is trained: what is made of the options is looked at."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("data.npz", images=rng.integers(0, 256, (40, 32, 32, 3), np.uint8), labels=np.arange(40) % 10)
    training = prepare({"model_name": "cifar-cnn", "data_name": "data.npz", "out": "run", **told})
    assert training.trainer.augment == used


@pytest.mark.long
def test_without_its_report_a_run_is_the_same(command: Command) -> None:
    """And Jinja2, which only pages need, is not loaded."""
    whole, bare = (json.loads(command("train", "--epochs", 1, "--json", *more).out) for more in ([], ["--no-report"]))
    assert set(whole["files"]) - set(bare["files"]) == {"report.html"}
    assert {each.name for each in Path(bare["out"]).iterdir()} == set(bare["files"])
    assert (whole["test_loss"], whole["test_accuracy"]) == (bare["test_loss"], bare["test_accuracy"])
    code = "import sys, plaingrad.cli.main as cli; cli.main(); print('jinja2' in sys.modules)"
    options = ["train", "--epochs", "1", "--no-report", "--out", "apart"]
    done = subprocess.run(
        [sys.executable, "-c", code.replace("cli.main()", f"cli.cli({options}, standalone_mode=False)")],
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr


@pytest.mark.long  # it compiles a network without what is on disk
def test_what_the_report_needs_is_compiled_with_the_training(tmp_path: Path) -> None:
    """By all processes at once, before training begins: what comes after it compiles nothing but one softmax."""
    pytest.importorskip("numba", reason="without it nothing is compiled")
    code = """
import plaingrad.compiler.machine_code as machine_code, plaingrad.cli.main as cli
from plaingrad.training.trainer import Trainer

def train(trainer, own=Trainer.train):
    done = own(trainer)
    machine_code.make = lambda file, function, *given, own=machine_code.make: print("late", function.__name__) or own(
        file, function, *given
    )
    return done

Trainer.train = train
cli.cli(["train", "--epochs", "1", "--out", "apart"], standalone_mode=False)
"""
    around = os.environ | {"PLAINGRAD_CACHE_DIR": str(tmp_path / "compiled")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=around)
    assert "report.html" in done.stdout, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("late")] == ["late softmax_forward"]


def test_the_same_seed_gives_the_same_result_for_any_threads(command: Command) -> None:
    results = []
    for threads in (1, 3):
        options = ("--epochs", 1, "--seed", 5, "--threads", threads, "--out", f"run {threads}", "--json")
        result = json.loads(command("train", *options).out)
        net, slots, _ = checkpoint.load(f"run {threads}/{CHECKPOINT}")
        bits = [net.parameters.tobytes(), *(slots[name].tobytes() for name in sorted(slots))]
        results.append((result["test_loss"], result["test_accuracy"], bits))
    assert results[0] == results[1]


def test_find_rate_says_what_the_library_does(command: Command, tmp_path: Path) -> None:
    """With the model's recipe where nothing is told; nothing is written but the page, and no page is replaced."""
    said = command("find-rate", "--json", "--seed", 3)
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    recipe, train = MODELS["digits"].recipe, digits().train
    net = MODELS["digits"].network((1, 8, 8), seed=3)
    found = find_rate(net, train, recipe.optimiser, batch=recipe.batch, seed=3)
    assert json.loads(said.out) == found.to_json()
    assert command("find-rate", "--seed", 3, "--html", "rates.html").out == f"{found}\nwritten to rates.html\n"
    assert [each.name for each in tmp_path.iterdir()] == ["rates.html"]
    refused(command("find-rate", "--html", "rates.html"), "rates.html exists already")
    options = ["--optimiser", "adam", "--augment", "shift=1", "--clip", 1, "--steps", 12, "--lowest", 0.01]
    told = json.loads(command("find-rate", *options, "--highest", 0.1, "--batch", 32, "--json").out)
    found = find_rate(
        MODELS["digits"].network((1, 8, 8)),
        train,
        "adam",
        augment="shift=1",
        clip=1.0,
        steps=12,
        lowest=0.01,
        highest=0.1,
        batch=32,
    )
    assert told == found.to_json()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--lowest", 0), "lowest=0"),
        (("--lowest", "nan"), "lowest=nan"),
        (("--highest", 1e-9), "lowest is to be below highest"),
        (("--steps", 3), "steps=3"),
        (("--batch", 0), "batch=0"),
        (("--clip", -1), "clip=-1"),
        (("--augment", "none,flip"), "none stands alone"),
        (("--optimiser", "agam"), "did you mean 'adam'?"),
        (("--model", "lenet6"), "did you mean 'lenet5'?"),
        (("--data", "digit"), "did you mean 'digits'?"),
        (("--html", "."), "cannot write a page to '.'"),
        (("--rate", 0.1), "--rate"),
        (("--lr", 0.1), "--lr"),
    ],
)
def test_ranges_that_cannot_be(command: Command, tmp_path: Path, options: tuple[object, ...], word: str) -> None:
    refused(command("find-rate", *options), word)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_evaluate(command: Command, trained: Path, threads: int) -> None:
    said = command("evaluate", trained, "--json", "--threads", threads)
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    result = json.loads(said.out)
    test = digits().test
    right = round(result["accuracy"] * len(test))
    assert result["images"] == len(test)
    assert result["interval"][0] < result["accuracy"] < result["interval"][1]
    assert [each["support"] for each in result["classes"].values()] == np.bincount(test.labels).tolist()
    assert np.trace(result["confusion"]) == right
    assert result["weighted"]["recall"] == pytest.approx(result["accuracy"], rel=1e-15)  # a rounding for each class
    lines = command("evaluate", trained, "--threads", threads).out.splitlines()
    found = evaluate(checkpoint.load(trained / BEST)[0], test)
    assert lines == f"digits on digits: {found}".splitlines()
    assert f"({right} of 360" in lines[0]
    assert command("evaluate", trained / BEST, "--json").out == said.out.replace(str(trained), str(trained / BEST))


def test_predict_names_pictures(command: Command, trained: Path, tmp_path: Path) -> None:
    test, paths, kept = digits().test, [], []
    for number in range(20):
        pixels = np.rint(test.images[number, 0] * 255).astype(np.uint8)
        kept.append(pixels[np.newaxis])
        paths.append(tmp_path / f"{number} [数字].png")
        Image.fromarray(pixels).save(paths[-1])
    said = command("predict", trained, *paths, "--json")
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    predictions = json.loads(said.out)["predictions"]
    outputs = checkpoint.load(trained / BEST)[0].run(np.stack(kept))["dense2.y"]
    names = outputs.argmax(axis=1)
    assert [each["class"] for each in predictions] == [str(name) for name in names]
    right = [each for each, label in zip(predictions, test.labels, strict=False) if each["class"] == str(label)]
    assert len(right) > 18
    assert sum(each["probability"] > 0.9 for each in right) > len(right) / 2
    for path, each in zip(paths, predictions, strict=True):
        shares = [each["probability"], *(other["probability"] for other in each["next"])]
        assert each["image"] == str(path)
        assert sorted(shares, reverse=True) == shares
        assert 0 <= sum(shares) <= 1 + 3 * np.finfo(float).eps
    alone = [json.loads(command("predict", trained, path, "--json").out)["predictions"][0] for path in paths[:3]]
    assert alone == predictions[:3]
    assert command("predict", trained, paths[0]).out.startswith(f"{paths[0]}: {predictions[0]['class']} ")


def test_a_colour_picture_of_a_grey_network_is_made_grey(command: Command, trained: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([pixels] * 3, axis=-1)).save(tmp_path / "colour.png")
    grey, colour = json.loads(command("predict", trained, "grey.png", "colour.png", "--json").out)["predictions"]
    assert colour.pop("changed")[0] == "made grey"
    assert grey | {"image": "", "changed": 0} == colour | {"image": "", "changed": 0}


@pytest.mark.parametrize("name", MODELS)
def test_what_models_writes_train_reads(command: Command, name: str) -> None:
    said = command("models", name, "--json")
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    assert Network.from_json(json.loads(said.out)).to_json() == MODELS[name].network().to_json()
    assert MODELS[name].about in command("models", name).out
    table = json.loads(command("models", "--json").out)
    assert table[name]["parameters"] == MODELS[name].network().size
    assert any(line.startswith(f"{name} ") for line in command("models").out.splitlines())


def test_train_takes_a_network_from_a_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine [1].json").write_text(json.dumps(LINEAR))
    result = json.loads(command("train", "--model", "mine [1].json", "--epochs", 1, "--json").out)
    assert (result["model"], result["parameters"], result["epochs"]) == ("mine [1]", 650, 1)
    assert Path(result["out"]).parent == Path("runs")


@pytest.mark.parametrize("name", ["../../../escape", "a/b", "nul\0", "..", "x" * 300, "", "\ud800"])
@pytest.mark.often(2)
def test_a_network_s_name_does_not_lead_out_of_the_runs(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "net.json").write_text(json.dumps(LINEAR | {"name": name}))
    said = command("train", "--model", "net.json", "--epochs", 1, "--json")
    assert said.code == 0, said
    assert {each.name for each in tmp_path.iterdir()} == {"net.json", "runs"}
    assert [each.parent for each in tmp_path.glob(f"**/{CHECKPOINT}")] == [tmp_path / json.loads(said.out)["out"]]


@pytest.mark.long
def test_any_name_of_a_class_or_folder_will_do(command: Command, tmp_path: Path) -> None:
    classes = ("a b", "[c]", "数字", "<i>&amp;", "$x_1$", "-n", os.fsdecode(b"\xff"))
    data, out = pictures(tmp_path / "data [ü]", classes), tmp_path / "runs [ü] {x}" / "a b"
    said = command("train", "--data", data, "--epochs", 1, "--out", out, "--json")
    assert (said.code, said.told) == (0, [])
    assert set(json.loads(command("evaluate", out, "--json").out)["classes"]) == set(classes)
    said = command("predict", out, next(data.rglob("*.png")), "--json")
    assert json.loads(said.out)["predictions"][0]["class"] in classes
    assert command("evaluate", out).code == command("train", "--resume", out).code == 0
    assert list(tmp_path.rglob(CHECKPOINT)) == [out / CHECKPOINT]


def test_a_network_may_have_more_outputs_than_the_data_classes(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "data")
    (tmp_path / "net.json").write_text(json.dumps(LINEAR))
    said = command("train", "--data", "data", "--model", "net.json", "--epochs", 1, "--out", "run", "--json")
    assert (said.code, said.told) == (0, [])
    assert "report.html" in json.loads(said.out)["files"]
    assert command("evaluate", "run").code == 0
    (ranked,) = json.loads(command("predict", "run", "data/a/0.png", "--json").out)["predictions"]
    assert {ranked["class"], *(each["class"] for each in ranked["next"])} <= {
        "a",
        "b",
        *map("output {}".format, range(10)),
    }


def test_json_has_no_nan(command: Command) -> None:
    """One step at a rate that is far too high: the network is finite, what it says is not."""
    said = command("train", "--epochs", 1, "--batch", 5000, "--rate", 1e30, "--out", "run", "--json")
    assert said.code == 0

    def never(text: str) -> None:
        raise AssertionError(text)

    assert json.loads(said.out, parse_constant=never)["test_loss"] is None
    assert json.loads(command("evaluate", "run", "--json").out, parse_constant=never)["loss"] is None


# What cannot be


def strange_pictures(kind: str, folder: Path) -> Path:
    if kind == "empty":
        folder.mkdir()
    elif kind == "no images":
        (folder / "a").mkdir(parents=True)
        (folder / "b").mkdir()
    elif kind == "one class":
        pictures(folder, ("a",))
    elif kind == "broken image":
        path = pictures(folder) / "b" / "1.png"
        path.write_bytes(path.read_bytes()[:60])
    elif kind == "not an image":
        (pictures(folder) / "a" / "x.png").write_text("not an image")
    elif kind == "mixed sizes":
        Image.fromarray(np.zeros((8, 9), np.uint8)).save(pictures(folder) / "b" / "x.png")
    elif kind == "one image each":
        pictures(folder, count=1)
    elif kind == "a file":
        folder.write_text("not a folder")
    elif kind == "too small":
        pictures(folder, shape=(1, 1))
    return folder


@pytest.mark.parametrize(
    "kind",
    [
        *("empty", "no images", "one class", "broken image", "not an image", "mixed sizes", "one image each"),
        *("a file", "too small"),
    ],
)
def test_folders_of_images_that_cannot_be_used(command: Command, tmp_path: Path, kind: str) -> None:
    strange_pictures(kind, tmp_path / "data")
    before = files(tmp_path)
    refused(command("train", "--data", "data"))
    assert files(tmp_path) == before


def strange_idx(kind: str, folder: Path) -> None:
    idx_folder(folder)
    images, labels = (folder / STEMS[part][0] for part in (0, 1))
    content = images.read_bytes()
    if kind == "truncated":
        images.write_bytes(content[:-1])
    elif kind == "truncated header":
        images.write_bytes(content[:7])
    elif kind == "empty file":
        images.write_bytes(b"")
    elif kind == "wrong magic":
        images.write_bytes(b"\1" + content[1:])
    elif kind == "too long":
        images.write_bytes(content + b"\0")
    elif kind == "an absurd size":
        images.write_bytes(content[:4] + struct.pack(">3I", *[2**32 - 1] * 3) + content[16:])
    elif kind == "more labels":
        write_idx(labels, np.zeros(21, np.uint8))
    elif kind == "negative labels":
        write_idx(labels, np.full(20, -1, np.int8))
    elif kind == "labels far outside":
        write_idx(labels, np.full(20, 2**30, np.int32))
    elif kind == "labels of fractions":
        write_idx(labels, np.full(20, 0.5, np.float32))
    elif kind in ("nan", "inf"):
        pixels = np.zeros((20, 8, 8), np.float32)
        pixels[3, 2, 1] = float(kind)
        write_idx(images, pixels)
    elif kind == "missing":
        images.unlink()
    elif kind == "damaged gzip":
        packed = bytearray(gzip.compress(content))
        packed[len(packed) // 2] ^= 255
        images.unlink()
        images.with_name(images.name + ".gz").write_bytes(packed)
    elif kind == "truncated gzip":
        images.unlink()
        images.with_name(images.name + ".gz").write_bytes(gzip.compress(content)[:-9])


@pytest.mark.parametrize(
    "kind",
    [
        *("truncated", "truncated header", "empty file", "wrong magic", "too long", "an absurd size", "more labels"),
        *("negative labels", "labels far outside", "labels of fractions", "nan", "inf", "missing"),
        *("damaged gzip", "truncated gzip"),
    ],
)
def test_idx_files_that_cannot_be_used(command: Command, tmp_path: Path, kind: str) -> None:
    strange_idx(kind, tmp_path / "data")
    before = files(tmp_path)
    refused(command("train", "--data", "data"))
    refused(command("train", "--data", "mnist", "--data-dir", "data"))
    assert files(tmp_path) == before


def test_the_idx_files_that_the_strange_ones_come_from_can_be_used(command: Command, tmp_path: Path) -> None:
    idx_folder(tmp_path / "data")
    assert command("train", "--data", "data", "--epochs", 1, "--out", "a").code == 0
    assert command("train", "--data", "mnist", "--data-dir", "data", "--epochs", 1, "--out", "b").code == 0
    assert command("evaluate", "b").code == command("evaluate", "a", "--data", "digits").code == 0


def layers(*each: Any, **more: Any) -> str:
    return json.dumps({"input": [1, 8, 8], "layers": list(each)} | more)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "a network is written"),
        ("3", "a network is written"),
        ("{}", "a network is written"),
        (layers(), "no layers"),
        (layers(3), "a layer is written"),
        (layers({"kind": 3}), "a layer is written"),
        (layers({"kind": "Convolve"}), "there is no layer called 'Convolve'"),
        (layers({"kind": "Dence", "units": 3}), "did you mean 'Dense'?"),
        (layers({"kind": "Conv", "filters": 3, "size": 3, "strid": 2}), "did you mean 'stride'?"),
        (layers({"kind": "Conv"}), "filters"),
        (layers({"kind": "Conv", "filters": "3", "size": 3}), "filters='3'"),
        (layers({"kind": "Conv", "filters": 1.5, "size": 3}), "filters=1.5"),
        (layers({"kind": "Conv", "filters": 3, "size": []}), "size"),
        (layers({"kind": "Conv", "filters": 3, "size": 9}), "9×9 window"),
        (layers({"kind": "Conv", "filters": 3, "size": 3, "activation": {"kind": "Flatten"}}), "activation"),
        (layers({"kind": "Conv", "filters": 3, "size": 3, "start": 3}), "net.json"),
        (layers({"kind": "Dense", "units": 10}), "put Flatten() before it"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": 0}), "units=0"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": 10**16}), "net.json"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": 10**40}), "net.json"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": 3}), "10 classes"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": 10}, input=[1, 7, 8]), "(1, 7, 8)"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": 10}, input="188"), "input='188'"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": 10}, input=[1, 8, -8]), "-8"),
        (layers({"kind": "Flatten"}, {"kind": "Dense", "units": float("nan")}), "nan"),
        (layers({"kind": "Conv", "filters": 10, "size": 3}), ""),
        ('{"input": [1, 8, 8], "layers": [{"kind": "Conv", "size": ' + "[" * 950 + "]" * 950 + "}]}", ""),
    ],
)
def test_networks_that_cannot_be(command: Command, tmp_path: Path, text: str | bytes, word: str) -> None:
    (tmp_path / "net.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(command("train", "--model", "net.json", "--out", "run"), word)
    assert {each.name for each in tmp_path.iterdir()} == {"net.json"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--batch", 0), "batch=0"),
        (("--batch", -1), "batch=-1"),
        (("--batch", "x"), "'--batch'"),
        (("--rate", 0), "rate=0"),
        (("--rate", -0.1), "rate=-0.1"),
        (("--rate", "nan"), "rate=nan"),
        (("--rate", "inf"), "rate=inf"),
        (("--epochs", 0), "epochs=0"),
        (("--epochs", 1.5), "'--epochs'"),
        (("--threads", 0), "threads=0"),
        (("--threads", -2), "threads=-2"),
        (("--seed", -1), "seed is -1"),
        (("--seed", -1, "--validation", 0.1), "seed"),
        (("--validation", 0), "share of 0"),
        (("--validation", 1), "share of 1"),
        (("--validation", 2), "share of 2"),
        (("--validation", -0.5), "share of -0.5"),
        (("--validation", "nan"), "share of nan"),
        (("--validation", 1e-9), "leaves one part empty"),
        (("--patience", 2), "--patience needs validation images"),
        (("--patience", 0, "--validation", 0.2), "patience=0"),
        (("--model", "lenet6"), "did you mean 'lenet5'?"),
        (("--model", "lenet5", "--data", "digits"), "(1, 8, 8)"),
        (("--model", "missing.json"), "missing.json"),
        (("--model", "."), "'.'"),
        (("--data", "digit"), "did you mean 'digits'?"),
        (("--data", ""), "no data named ''"),
        (("--data-dir", "x"), "leave it out"),
        (("--optimiser", "agam"), "did you mean 'adam'?"),
        (("--schedule", "cosin"), "did you mean 'cosine'?"),
        (("--schedule", "cosine+warmup"), "before a + stands one of warmup, hold"),
        (("--schedule", "warmup,share=2+cosine"), "Warmup got share=2"),
        (("--augment", "shfit=2"), "did you mean 'shift'?"),
        (("--augment", "crop=2"), "here it is called shift"),
        (("--augment", "shift=8"), "images of 8×8 take at most 7"),
        (("--augment", ""), "augmentation got ''"),
        (("--clip", 0), "clip=0"),
        (("--clip", "inf"), "clip=inf"),
        (("--average", 1), "average=1"),
        (("--average", "nan"), "average=nan"),
        (("--loss", "mze"), "did you mean 'mse'?"),
        (("--loss", "mse", "--label-smoothing", 0.1), "--loss mse has no --label-smoothing"),
        (("--label-smoothing", 1.5), "label_smoothing=1.5"),
        (("--class-weights", "1,x"), "such as 1,1,2.5"),
        (("--class-weights", "1,2"), "2 class weights for 10 outputs"),
        (("--class-weights", ""), "a number for each class"),
        (("--dtype", "float23"), "did you mean 'float32'?"),
        (("--dtype", "object"), "'object'"),
        (("--epoch", 3), "--epochs"),
        (("--out",), "--out"),
        (("more",), "more"),
        (("--resume", ""), "not a run folder"),
        (("--resume", "missing"), "no run folder missing"),
        (("--resume", "missing", "--epochs", 3), "leave out --epochs"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be(command: Command, tmp_path: Path, options: tuple[object, ...], word: str) -> None:
    refused(command("train", *options), word)
    assert list(tmp_path.iterdir()) == []


def test_a_weighted_loss_is_told_by_options_and_kept_with_the_run(command: Command, tmp_path: Path) -> None:
    weights = "1,1,1,1,1,1,1,1,4,1"
    options = ("--class-weights", weights, "--label-smoothing", 0.1, "--epochs", 1, "--no-report", "--out", "run")
    command("train", "--loss", "softmax-cross-entropy", *options)
    training = checkpoint.load(tmp_path / "run" / CHECKPOINT)[2]["training"]
    assert training["loss"] == {
        "kind": "WeightedCrossEntropy",
        "class_weights": [float(each) for each in weights.split(",")],
        "label_smoothing": 0.1,
        "ignore": -100,
    }


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("trian",), "trian"),
        (("evaluate",), "RUN"),
        (("evaluate", "missing"), "no run folder"),
        (("evaluate", "."), "not a run folder"),
        (("predict", "missing"), "IMAGE"),
        (("predict", "missing", "x.png"), "no run folder"),
        (("models", "digit"), "did you mean 'digits'?"),
        (("train", "--model", "mlp", "--best"), "mlp has one recipe only; leave out --best, or take lenet5"),
        (("train", "--resume", "somewhere", "--best"), "leave out --best"),
        (("data", "get", "mnits"), "did you mean 'mnist'?"),
        (("data", "got"), "got"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_commands_that_cannot_be(command: Command, tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    refused(command(*words), hint)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_ever_overwritten(command: Command, run_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    before = files(tmp_path)
    refused(command("train", "--epochs", 1, "--out", "run"), "exists already", "--resume run")
    refused(command("train", "--epochs", 1, "--out", "file"), "exists already")
    refused(command("train", "--epochs", 1, "--out", "file/within"))
    refused(command("train", "--epochs", 1, "--out", "x" * 300))
    assert files(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    refused(command("train", "--epochs", 1, "--out", "closed/run"), "Permission denied")
    assert list((tmp_path / "closed").iterdir()) == []


@pytest.mark.parametrize("shape", [(16, 16), (24, 16, 3), (4, 8)])
def test_pictures_of_another_size_are_resized_as_a_whole(
    command: Command, trained: Path, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    pixels = np.zeros(shape, np.uint8)
    pixels[: shape[0] // 2] = 200
    Image.fromarray(pixels).save(tmp_path / "x.png")
    said = command("predict", trained, "x.png", "--json")
    assert f"x.png: {'made grey; ' * (len(shape) == 3)}resized from {shape[0]}x{shape[1]} to 8x8" in said.err
    assert json.loads(said.out)["predictions"][0]["changed"]


def test_pictures_that_are_none_are_refused(command: Command, trained: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[:45])
    (tmp_path / "text.png").write_text("a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.png", "text.png", "empty.png", "missing.png", "."):
        refused(command("predict", trained, "whole.png", name), name)


# Resuming


@pytest.mark.long
def test_a_finished_run_reports_again(command: Command, run_copy: Path) -> None:
    before = files(run_copy)
    first, second = (json.loads(command("train", "--resume", run_copy, "--json").out) for _ in range(2))
    assert set(first) >= KEYS
    assert first == second
    assert {name: content for name, content in files(run_copy).items() if name != "report.html"} == {
        name: content for name, content in before.items() if name != "report.html"
    }
    (run_copy / "report.html").unlink()
    assert command("train", "--resume", run_copy).code == 0
    assert files(run_copy).keys() == before.keys()


@pytest.mark.parametrize("kind", ["empty", "truncated", "text", "other format", "no best", "plain network"])
def test_runs_that_cannot_be_used(command: Command, run_copy: Path, kind: str) -> None:
    path = run_copy / CHECKPOINT
    content = path.read_bytes()
    (run_copy / BEST).unlink()
    if kind == "empty":
        shutil.rmtree(run_copy)
        run_copy.mkdir()
    elif kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("a checkpoint")
    elif kind == "other format":
        path.write_bytes(content.replace(b"plaingrad checkpoint 1", b"plaingrad checkpoint 9"))
    elif kind == "plain network":
        checkpoint.save(path, checkpoint.load(path)[0])
    else:
        (run_copy / BEST).write_text("a checkpoint")
    before = files(run_copy)
    if kind != "no best":
        refused(command("train", "--resume", run_copy))
    refused(command("evaluate", run_copy))
    if kind != "plain network":
        refused(command("predict", run_copy, run_copy / "x.png"))
    assert files(run_copy) == before


def test_a_run_made_in_python_is_judged_on_named_data(command: Command, tmp_path: Path) -> None:
    data = digits().train.take(range(100))
    net = MODELS["mlp"].network(data.shape)
    Trainer(net, data, epochs=1, out=tmp_path / "run").train()
    refused(command("evaluate", "run"), "--data")
    refused(command("train", "--resume", "run"), "Trainer.resume")
    assert command("evaluate", "run", "--data", "digits").code == 0
    checkpoint.save(tmp_path / "net.safetensors", net)
    assert command("evaluate", "net.safetensors", "--data", "digits").code == 0


def test_resume_with_other_data_is_refused(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "data")
    assert command("train", "--data", "data", "--epochs", 1, "--out", "run").code == 0
    path = tmp_path / "data" / "a" / "0.png"
    content = path.read_bytes()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    refused(command("train", "--resume", "run"), "not the ones", "same data")
    path.unlink()
    refused(command("train", "--resume", "run"), "not the ones")
    path.write_bytes(content)
    assert command("train", "--resume", "run").code == 0
    shutil.rmtree(tmp_path / "data")
    refused(command("train", "--resume", "run"), "data")
    refused(command("evaluate", "run"), "data")


# Ctrl-C, full disks, closed pipes


EVERYTHING = ["--augment", "shift=1,cutout=2", "--clip", "1", "--average", "0.9", "--validation", "0.2"]
LONG = ["--model", "mlp", "--epochs", "80", "--seed", "3", "--schedule", "warmup+hold+cosine,floor=0", *EVERYTHING]


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run that nobody stopped, and what it said."""
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    done = apart("train", *LONG, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


@pytest.mark.parametrize(
    "signals", some([[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT] * 2], lambda place: place == 0, repr)
)
@pytest.mark.often(1)
def test_a_run_that_is_stopped_ends_in_the_same_bits(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, signals: list[signal.Signals]
) -> None:
    (whole, said), out = uninterrupted, tmp_path / "run"
    command = [sys.executable, "-m", "plaingrad", "train", *LONG, "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    for each in signals:
        process.send_signal(each)
    with process.stderr:
        told = [line for line in process.stderr.read().splitlines() if line and not is_progress(line)]
    assert process.wait(timeout=100) == 128 + signals[-1], told
    assert len(told) == 1
    if len(signals) == 1:
        assert told[0].endswith(f"saved, go on with: plaingrad train --resume {out}")
    assert checkpoint.load(out / CHECKPOINT)[2]["position"]["done"] is False
    resumed = apart("train", "--resume", out, "--json")
    assert resumed.returncode == 0, resumed.stderr
    for name in ("test_loss", "test_accuracy", "epochs", "files"):
        assert json.loads(resumed.stdout)[name] == said[name]
    ends = [checkpoint.load(each / CHECKPOINT) for each in (whole, out)]
    assert ends[0][0].parameters.tobytes() == ends[1][0].parameters.tobytes()
    slots = [{name: array.tobytes() for name, array in more.items()} for _, more, _ in ends]
    assert slots[0] == slots[1]


@pytest.mark.parametrize("writes", range(8))
@pytest.mark.often(2)
def test_a_disk_that_fills_up_leaves_the_last_checkpoint(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    left, real = iter(range(writes)), os.fsync

    def fsync(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    said = command("train", "--model", "mlp", "--epochs", 3, "--out", "run")
    monkeypatch.undo()
    refused(said, "No space left on device")
    run = tmp_path / "run"
    if not run.exists():
        assert list(tmp_path.iterdir()) == []
        return
    assert {each.name for each in run.iterdir()} <= {CHECKPOINT, HISTORY}
    checkpoint.load(run / CHECKPOINT)
    os.chdir(tmp_path)
    assert command("train", "--resume", "run").code == 0
    assert len((run / HISTORY).read_text().splitlines()) == 3


@pytest.mark.long
def test_readers_of_stdout_may_leave(trained: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "plaingrad"]
    for words in (
        ["models"],
        ["questions"],
        ["evaluate", str(trained)],
        ["train", "--epochs", "1", "--out", str(tmp_path / "run")],
    ):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [*program, *words], stdout=write, stderr=subprocess.PIPE, env=environment(), text=True, check=False
        )
        os.close(write)
        assert [line for line in done.stderr.splitlines() if not is_progress(line)] == []
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout_is_one_line(trained: Path) -> None:
    with open("/dev/full", "w") as full:
        done = apart("models", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["plaingrad: the system: No space left on device"]


@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.often(1)
def test_closed_streams_are_no_reason_to_fail(tmp_path: Path, stream: int) -> None:
    words = ["-m", "plaingrad", "train", "--epochs", "1", "--model", "mlp", "--out", str(tmp_path / "run"), "--json"]
    line = f'"$0" "$@" {stream}>&-'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, *words], capture_output=True, env=environment(), text=True, check=False
    )
    assert done.returncode == 0
    assert (tmp_path / "run" / "report.html").exists()
    if stream == 2:
        assert set(json.loads(done.stdout)) >= KEYS


def test_a_terminal_of_another_encoding(tmp_path: Path) -> None:
    done = apart("models", env=environment() | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(MODELS)


# Optional packages


def test_without_pillow_pictures_are_refused_politely(
    command: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path / "data")
    before = files(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    hint = "needs Pillow, which is not installed: pip install 'plaingrad[images]'"
    refused(command("train", "--data", "data"), hint)
    refused(command("predict", trained, "data/a/0.png"), hint)
    assert files(tmp_path) == before
    assert command("evaluate", trained).code == 0


def test_without_a_report_nothing_else_is_lost(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "jinja2", None)
        said = command("train", "--epochs", 1, "--out", tmp_path / "run", "--json")
    assert said.code == 0
    assert len(said.told) == 1
    assert "needs jinja2, which is not installed: pip install 'plaingrad[report]'" in said.told[0]
    assert json.loads(said.out)["files"] == [CHECKPOINT, HISTORY, IMAGES]
    assert command("train", "--resume", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "report.html").exists()


# Progress


def events() -> Iterator[Event]:
    yield Event("started", 0, 6, 1, 2)
    for step in range(1, 7):
        yield Event("stepped", step, 6, (step + 2) // 3, 2, 0.5, 0.75, 1000.0)
        if step % 3 == 0:
            entry = {"epoch": step // 3, "train_loss": 0.5, "train_accuracy": 0.75, "images_per_second": 1e3}
            held = {"validation_loss": float("nan"), "validation_accuracy": 0.0}
            yield Event("epoch", step, 6, step // 3, 2, entry=entry | held)
    yield Event("stopped early", 6, 6, 2, 2)
    yield Event("ended", 6, 6, 2, 2)


@pytest.mark.parametrize("display", [lambda headline: Lines(headline, to_stderr), Live])
def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str], display: Callable[[str], Lines | Live]) -> None:
    with display("a headline") as watch:
        for event in events():
            watch(event)
    out, err = capsys.readouterr()
    assert out == ""
    for number in (1, 2):
        assert err.count(f"epoch {number}/2: loss 0.5000 accuracy 0.7500, validation loss nan accuracy 0.0000") == 1
    assert err.count("stopped early") == 1


def test_a_long_epoch_says_how_long_it_will_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 11))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    with Lines("a headline", to_stderr) as watch:
        for event in events():
            watch(event)
    assert (
        "epoch 1/2, step 1/6: loss 0.5000 accuracy 0.7500, 1,000 images/s, about 55 s left" in capsys.readouterr().err
    )


def test_a_terminal_sees_the_bar_move(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    terminal, other = pty.openpty()
    words = ["train", "--epochs", "3", "--model", "mlp", "--out", str(tmp_path / "run"), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "plaingrad", *words], stdout=subprocess.PIPE, stderr=other, env=environment(), text=True
    )
    os.close(other)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is gone once the process is
        while part := os.read(terminal, 4096):
            shown += part
    assert set(json.loads(process.communicate()[0])) >= KEYS
    assert process.returncode == 0
    os.close(terminal)
    for number in (1, 2, 3):
        assert f"epoch {number}/3: loss".encode() in shown
    assert re.search("epoch 3/3[^\r\n]*(━){5}".encode(), shown)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120, 200])
def test_the_bar_has_room_and_the_time_left_is_whole(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    from rich.console import Console
    from rich.progress import Task

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(Task, "time_remaining", 45_296)
    live = Live()
    live(Event("started", 0, 30 * 938, 1, 30))
    live(Event("stepped", 30 * 938 - 5, 30 * 938, 30, 30, 0.1234, 0.9876, 123_456.0))
    screen = Console(width=columns, file=io.StringIO(), force_terminal=True, color_system=None)
    screen.print(live.bar.get_renderable())
    line = screen.file.getvalue().removesuffix("\n")
    assert line.startswith("epoch 30/30 ")
    assert line.endswith("left 12:34:56")
    assert len(line) <= columns
    assert line.count("━") + line.count("╺") + line.count("╸") >= min(20, columns - 28)
    assert ("loss 0.1234 accuracy 0.9876" in line) is (columns >= 80)
    assert ("batch 933/938 " in line and "123,456 images/s" in line) is (columns >= 120)


# Files for other programs


def test_a_run_is_exported_with_its_classes(command: Command, run_copy: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="ONNX is an optional dependency")
    said = command("export", "run", "net.onnx", "--probabilities")
    assert (said.code, said.err) == (0, "")
    assert said.out == "net.onnx: digits as ONNX, 38,282 parameters, input 1×8×8\n"
    told = {each.key: each.value for each in onnx.load(str(tmp_path / "net.onnx")).metadata_props}
    assert json.loads(told["classes"]) == [str(number) for number in range(10)]
    net, _, _ = checkpoint.load(run_copy / BEST)
    images = digits().test.images[:5]
    made = from_onnx(tmp_path / "net.onnx")(images)
    np.testing.assert_allclose(made, predict(net, images), rtol=0, atol=1e-6)  # softmax in float32 and in float64


def test_a_checkpoint_is_exported_under_the_names_of_pytorch(command: Command, run_copy: Path, tmp_path: Path) -> None:
    said = command("export", run_copy / BEST, "net.safetensors", "--json")
    assert json.loads(said.out)["kind"] == "torch-state"
    net, _, _ = checkpoint.load(run_copy / BEST)
    arrays = safetensors.numpy.load_file(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(arrays["0.weight"], net["conv1"].w)
    refused(command("export", "run", "net.safetensors"), "exists already", "--force")
    assert command("export", "run", "net.safetensors", "--force").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "net.pt"), "export writes .onnx or .safetensors files, not 'net.pt'"),
        (("run", "net.safetensors", "--probabilities"), "--probabilities is for ONNX"),
        (("none", "net.safetensors"), "none"),
        (("run", "none/net.safetensors"), "cannot write none/net.safetensors"),
        (("run", f"run/{CHECKPOINT}", "--force"), "which is what it reads: name another file"),
        ((f"run/{BEST}", f"run/../run/{BEST}", "--force"), "which is what it reads: name another file"),
    ],
)
def test_what_cannot_be_exported(command: Command, run_copy: Path, words: tuple[str, ...], said: str) -> None:
    refused(command("export", *words), said)


# What is there already


@pytest.mark.parametrize("kind", ["file", "checkpoint", "link", "dangling link"])
@pytest.mark.parametrize(
    "words",
    [
        ("case", "--simple", "-o"),
        ("explain", "--example", "two-kernels", "--html"),
        ("check", "case.json", "answer.json", "--html"),
        ("find-rate", "--steps", 10, "--html"),
    ],
)
def test_no_file_is_replaced_unasked(
    command: Command, trained: Path, tmp_path: Path, words: tuple[str, ...], kind: str
) -> None:
    assert command("case", "--simple", "-o", "case.json").code == 0
    (tmp_path / "answer.json").write_text('{"loss": 1}')
    place = tmp_path / "place"
    if kind == "checkpoint":
        shutil.copy(trained / CHECKPOINT, place)
    elif kind == "file":
        place.write_text("mine")
    else:
        (tmp_path / "other").write_text("mine")
        place.symlink_to(tmp_path / ("other" if kind == "link" else "none"))
    before = files(tmp_path)
    refused(command(*words, place), "exists already", "--force")
    assert files(tmp_path) == before
    assert command(*words, place, "--force").code in (0, 1)
    assert files(tmp_path) != before


def test_every_option_that_writes_a_file_asks_first(command: Command) -> None:
    """An option that is called FILE and is there to write has to be entered above."""
    writing = {
        (name, option.opts[0])
        for name, each in cli.commands.items()
        for option in each.params
        if getattr(option, "help", None) and re.match("Write ", option.help)
    }
    assert writing == {
        ("case", "-o"),
        ("explain", "--html"),
        ("check", "--html"),
        ("check", "--csv"),
        ("find-rate", "--html"),
    }
    for name in ("case", "explain", "check", "find-rate"):
        assert "--force" in {word for option in cli.commands[name].params for word in option.opts}


def test_an_empty_folder_may_be_filled(command: Command, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert command("train", "--model", "mlp", "--epochs", 1, "--out", "run", "--no-report").code == 0
    assert (tmp_path / "run" / CHECKPOINT).is_file()
    assert {each.name for each in tmp_path.iterdir()} == {"run"}


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
@pytest.mark.parametrize("words", [("--out", "runs/run"), ("--resume", "runs/run")])
def test_a_second_training_in_a_folder_refuses_at_once(
    command: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    """Before anything is compiled, whether the first has made its folder or not, and with advice that is true."""
    from plaingrad.training.run_folder import locked

    def never(*_: Any) -> None:
        raise AssertionError("this is work")

    if words[0] == "--resume":
        partly_done(tmp_path / "runs" / "run")
    monkeypatch.setattr("plaingrad.training.ranks.together", never)
    with locked(tmp_path / "runs" / "run"):
        before = files(tmp_path)
        told = refused(command("train", *words), "another training is running in", "choose another --out")
        assert "--resume" not in told
        assert files(tmp_path) == before
    begun = command("train", *words)
    assert begun.code == 70  # of a defect, and so of work that was begun
    assert "this is work" in begun.err
    assert not list(tmp_path.rglob(".*.lock"))


def partly_done(folder: Path) -> None:
    """A run that can be resumed."""

    def stop(event: Event) -> None:
        trainer.stop |= event.kind == "stepped"

    net = Network.from_json(LINEAR)
    about = {"model": "linear", "data": "digits", "data_dir": None, "validation": None}
    trainer = Trainer(net, digits().train, epochs=2, batch=500, out=folder, watch=stop, about=about)
    with pytest.raises(StoppedError):
        trainer.train()
