"""Files that were made up: refused in one line, before anything large is built from them."""

import copy
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaingrad import SGD, Conv, Dense, Flatten, Network, Trainer, checkpoint, digits
from plaingrad.checking import make_case
from plaingrad.cli.main import main
from plaingrad.training.run_folder import BEST, CHECKPOINT

FORGED = [None, -1, True, 0.5, "x", "", [], {}, [3], float("nan"), 10**400, -0.0, {"kind": "Conv"}, {"kind": {}}, [{}]]
ROOM = 64 << 20  # bytes that a refusal may take
DEEP = {"kind": "Flatten"}, {"kind": "Dense", "units": 15_000_000}
WIDE = {"kind": "Conv", "filters": 1, "size": 1, "padding": 50_000}, {"kind": "MaxPool", "size": 50_000}
LARGE = {
    "weights": [*DEEP],
    "images": [*WIDE, {"kind": "Flatten"}, {"kind": "Dense", "units": 10}],
    "numbers": [{"kind": "Flatten"}, {"kind": "Dense", "units": 10**4000}, {"kind": "Dense", "units": 10**4000}],
}


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command: it ends well, or with one line; in no more room than small files need."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, code: int = 2) -> str:
        tracemalloc.start()
        try:
            with pytest.raises(SystemExit) as ended:
                main([str(each) for each in words])
            assert tracemalloc.get_traced_memory()[1] < ROOM
        finally:
            tracemalloc.stop()
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, err
        if code == 2:
            assert out == ""
            assert err.count("\n") == 1, err
            assert err.startswith("plaingrad: ")
        return out + err

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its first epoch."""
    folder = tmp_path_factory.mktemp("forged") / "run"
    train, held = digits().train.take(slice(0, 200)).split(0.2)
    net = Network(Flatten(), Dense(10), input=(1, 8, 8), name="digits")
    about = {"model": "digits", "data": "digits", "data_dir": None, "validation": 0.2}
    trainer = Trainer(net, train, SGD(), epochs=2, batch=160, validation=held, out=folder, about=about)
    trainer.train()
    return folder


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(place for key, each in inner for place in places(each, (*before, key)))]


def forged(facts: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    facts = copy.deepcopy(facts)
    within: Any = facts
    for key in place[:-1]:
        within = within[key]
    if value is ...:
        del within[place[-1]]
    else:
        within[place[-1]] = value
    return facts


def tried(facts: dict[str, Any]) -> list[tuple[tuple[Any, ...], Any]]:
    return [(place, value) for place in places(facts) if place for value in [*FORGED, ...]]


def try_all(run: Path, to: Path, chosen: list[tuple[tuple[Any, ...], Any]], capsys: Any) -> None:
    net, arrays, facts = checkpoint.load(run / CHECKPOINT)
    to.mkdir()
    image = to.parent / "x.png"
    for place, value in chosen:
        for name in (CHECKPOINT, BEST):
            checkpoint.save(to / name, net, arrays, **forged(facts, place, value))
        words = ["evaluate", to], ["predict", to, image], ["explain", to, "dense1.w_after[0,0]"]
        for command in (*words, ["train", "--resume", to, "--no-report"]):
            with pytest.raises(SystemExit) as ended:
                main([str(each) for each in command])
            err = capsys.readouterr().err
            assert ended.value.code in (0, 2, None), (place, value, err)
            if ended.value.code == 2:
                told = [line for line in err.splitlines() if line.startswith("plaingrad: ")]
                assert len(told) == 1, (place, value, err)


def some_facts(run: Path) -> list[tuple[tuple[Any, ...], Any]]:
    return tried(checkpoint.load(run / CHECKPOINT)[2])


@pytest.mark.often(1)
def test_forged_facts_are_used_or_told_in_one_line(run: Path, tmp_path: Path, capsys: Any) -> None:
    chosen = random.Random(0).sample(some_facts(run), 60)
    try_all(run, tmp_path / "run", [*chosen, (("about",), -0.0), (("position", "history"), 5)], capsys)


@pytest.mark.exhaustive
def test_so_are_all_of_them(run: Path, tmp_path: Path, capsys: Any) -> None:
    try_all(run, tmp_path / "run", some_facts(run), capsys)


def checkpoint_of(path: Path, layers: list[Any]) -> None:
    """A file of a few bytes that tells of a network it does not hold, with the right check sum."""
    net = Network(Conv(1, size=1), Flatten(), Dense(10), input=(1, 8, 8))
    arrays = {"conv1.w": net["conv1"].w, "conv1.b": net["conv1"].b, "dense1.b": net["dense1"].b}
    arrays |= {"input.offset": net.offset, "input.factor": net.factor}
    about: dict[str, Any] = {"format": checkpoint.FORMAT, "facts": {}}
    about["network"] = {"input": [1, 8, 8], "layers": layers}
    about["sha256"] = checkpoint._digest(about, arrays)
    import safetensors.numpy

    path.write_bytes(safetensors.numpy.save(arrays, {"plaingrad": json.dumps(about)}))


@pytest.mark.parametrize("kind", ["weights", "images"])
def test_a_checkpoint_builds_no_more_than_it_holds(refused, tmp_path: Path, kind: str) -> None:
    checkpoint_of(tmp_path / "small", LARGE[kind])
    for words in (["evaluate", "small", "--data", "digits"], ["predict", "small", "x.png"], ["explain", "small"]):
        refused(*words)


def test_images_far_larger_than_their_network_are_refused(refused, tmp_path: Path) -> None:
    """Here the file holds every weight: a convolution of one, over a padding without measure."""
    net = Network(Conv(1, size=1), Conv(1, size=1), input=(1, 8, 8))
    layers = [{"kind": "Conv", "filters": 1, "size": 1, "padding": 50_000}, {"kind": "Conv", "filters": 1, "size": 1}]
    arrays = net.arrays | {"input.offset": net.offset, "input.factor": net.factor}
    about: dict[str, Any] = {"format": checkpoint.FORMAT, "facts": {}}
    about["network"] = {"input": [1, 8, 8], "layers": layers}
    about["sha256"] = checkpoint._digest(about, arrays)
    import safetensors.numpy

    (tmp_path / "small").write_bytes(safetensors.numpy.save(arrays, {"plaingrad": json.dumps(about)}))
    assert "at most 2 GiB" in refused("evaluate", "small", "--data", "digits")


@pytest.mark.parametrize("kind", LARGE)
def test_a_network_file_builds_nothing_large(refused, tmp_path: Path, kind: str) -> None:
    (tmp_path / "net.json").write_text(json.dumps({"input": [1, 8, 8], "layers": LARGE[kind]}))
    refused("train", "--model", "net.json", "--out", "run")
    refused("case", "--network", "net.json")
    if kind != "numbers":
        table = refused("models", "net.json", code=0)
        assert ("960,000,000" in table or "975,000,000" in table) is (kind == "weights")
        refused("models", "net.json", "--json", code=0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", LARGE)
def test_a_case_builds_no_more_than_it_holds(refused, tmp_path: Path, kind: str) -> None:
    text = make_case(simple=True).to_json()
    names, counts = [], dict[str, int]()
    for layer in LARGE[kind]:
        own = layer["kind"].lower()
        counts[own] = counts.get(own, 0) + 1
        names.append({**layer, "name": f"{own}{counts[own]}"})
    text["network"] = {"input": [1, 8, 8], "layers": names}
    (tmp_path / "case.json").write_text(json.dumps(text))
    (tmp_path / "answer.json").write_text('{"loss": 1}')
    refused("check", "case.json", "answer.json")


def test_a_network_from_a_device_without_end_is_refused(refused, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("plaingrad.network.files.MOST_TEXT", 1 << 20)
    (tmp_path / "net.json").symlink_to("/dev/zero")
    assert "larger than" in refused("models", "net.json")


def test_slots_of_another_shape_are_told(refused, run: Path, tmp_path: Path) -> None:
    net, arrays, facts = checkpoint.load(run / CHECKPOINT)
    arrays["optimiser.velocity.dense1.w"] = np.zeros((3, 3), np.float32)
    checkpoint.save(tmp_path / "forged", net, arrays, **facts)
    assert "has the shape (3, 3)" in refused("explain", "forged", "dense1.w_after[0,0]", "--image", "0")
