"""Names from files are only ever text on a terminal: whatever they hold, for every command."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from often import some
from plaingrad.checking import make_case
from plaingrad.cli.main import cli, main
from plaingrad.cli.progress import Live
from plaingrad.cli.terminal import say
from plaingrad.errors import visible
from plaingrad.network.network import Network
from plaingrad.training import checkpoint

Image = pytest.importorskip("PIL.Image")
HOSTILE = [
    "[bold]",
    "[/]",
    "my net [/b]",
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "a\nMISTAKE: b",
    "a\rb",
    "\u202egnp.exe",
    "\x9b1m",
]
SOME = some(HOSTILE, lambda place: place in (1, 3, 5))  # markup, a command, a line of its own
LAYERS = [{"kind": "Flatten"}, {"kind": "Dense", "units": 2}]


def harmless(text: str) -> None:
    assert all(each.isprintable() or each == "\n" for each in text), ascii(text)
    assert "\nMISTAKE: b" not in text


@pytest.fixture(params=HOSTILE, ids=ascii)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command in this process; what it said, with no name in it that commands or breaks a line."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, code: int | None = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in words])
        out, err = capsys.readouterr()
        harmless(out + err)
        assert code is None or (ended.value.code or 0) == code, err
        if code == 2:
            assert err.count("\n") == 1
        return out + err

    return run


def data_of(folder: Path, name: str) -> Path:
    rng = np.random.default_rng(0)
    for each in (name.replace("/", "∕"), "other"):
        (folder / each).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(rng.integers(0, 256, (8, 8)).astype(np.uint8)).save(folder / each / f"{number}.png")
    return folder


@pytest.mark.parametrize("name", SOME)
@pytest.mark.often(1)
def test_every_command_shows_hostile_names_as_text(told, tmp_path: Path, name: str) -> None:
    plain = name.replace("/", "∕")  # as a file may be called
    folder = data_of(tmp_path / f"data {plain}", name)
    network = tmp_path / f"net {plain}.json"
    network.write_text(json.dumps({"name": name, "input": [1, 8, 8], "layers": LAYERS}))
    run, shown = f"run {plain}", visible(plain)
    trained = told("train", "--model", network, "--data", folder, "--out", run, "--epochs", 1, "--no-report")
    assert f"written to run {shown}" in trained
    assert f"{visible(name)} on data {shown}" in trained
    shutil.copy(folder / "other" / "0.png", picture := tmp_path / f"{plain}.png")
    assert f"{visible(name)} on" in told("evaluate", run)
    assert f"{shown}.png: " in told("predict", run, picture)
    told("predict", run, f"none {name}", code=2)
    assert told("explain", run).startswith(f"{visible(name)} on ")
    told("explain", run, "dense1.dw[0,0]", "--label", plain)
    told("explain", run, "--label", f"none {name}", code=2)
    told("explain", run, f"dense1.{name}", code=2)
    told("explain", run, "--html", f"page {plain}.html")
    assert f"net {shown}.safetensors: {visible(name)} under" in told("export", run, f"net {plain}.safetensors")
    told("export", run, f"net.{plain}", code=2)
    told("export", f"none {name}", "net.safetensors", code=2)
    assert f"{visible(name)} on data {shown}" in told("find-rate", "--model", network, "--data", folder)
    told("find-rate", "--model", network, "--data", folder, "--html", f"rates {plain}.html")
    told("find-rate", "--model", f"none {name}", code=2)
    told("models", network)
    told("models", network, "--json")
    told("models", f"none {name}", code=2)
    told("train", "--resume", run)
    told("train", "--resume", f"none {name}", code=2)
    told("train", "--data", f"none {name}", code=2)
    told("questions", name, code=None)  # some of its words may be a question's
    told("data", "get", f"none {name}", code=2)
    told("case", "--network", network)
    told("case", "--example", name, code=2)
    assert f"case {shown}.json: " in told("case", "--network", network, "-o", f"case {plain}.json")
    told("evaluate", run, "--data", "digits", code=2)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.often(1)
def test_check_shows_hostile_names_as_text(told, tmp_path: Path, name: str) -> None:
    plain = name.replace("/", "∕")
    case = make_case(simple=True, name=name)
    (tmp_path / plain).write_text(case.text())
    answers = {
        f"loss{name}": 1.0,
        "conv1.\ndw\x1f": [[[[1.0, 2, 3]] * 3]],
        f"{name}dense1.db": [1.0, 2.0],
        name: 3,
        "loss": 0.5,
        "nets": {name: 3},
    }
    (tmp_path / f"a{plain}").write_text(json.dumps(answers))
    told("check", plain, f"a{plain}", code=None)
    told("check", plain, f"a{plain}", "--html", f"page {plain}.html", code=None)
    told("check", plain, f"none{plain}", code=2)
    told("check", plain, "--run", f"none{plain}", code=2)
    script = f"import sys; sys.stderr.write({name!r} * 3); print({name!r}); sys.exit(3)"
    (tmp_path / "p.py").write_text(script)
    told("check", plain, "--run", f"{sys.executable} p.py", code=2)
    told("check", "--example", "two-kernels", "--formula", f"conv1.dw[0,0,0,0] = {name}", code=2)
    told("check", "--example", name, "--formula", "x = 1", code=2)
    (tmp_path / f"bad{plain}").write_text(json.dumps({"format": name}))
    told("check", f"bad{plain}", f"a{plain}", code=2)


def test_every_command_is_tried_with_hostile_names() -> None:
    """A new command has to be entered above."""
    assert set(cli.commands) == {
        "train",
        "find-rate",
        "evaluate",
        "predict",
        "explain",
        "models",
        "questions",
        "export",
        "doctor",  # which takes no names
        "data",
        "case",
        "check",
    }


def test_a_checkpoint_of_hostile_names_is_shown_as_text(told, tmp_path: Path, name: str) -> None:
    net = Network.from_json({"name": name, "input": [1, 8, 8], "layers": LAYERS})
    checkpoint.save(tmp_path / "c", net, about={"classes": [name, name], "data": name, "data_dir": None})
    told("evaluate", "c", code=2)
    assert f"{visible(name)} on " in told("evaluate", "c", "--data", data_of(tmp_path / "data", "a"))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "i.png")
    assert f"i.png: {visible(name)} " in told("predict", "c", "i.png")
    assert "classified as " + visible(name) in told("explain", "c", "--image", "i.png")


def test_the_bar_takes_no_name_for_markup(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    live = Live(f"net {name}")
    live.bar.console.file = screen = io.StringIO()
    live.say(live.headline)
    assert screen.getvalue() == f"net {visible(name)}\n"


@pytest.mark.skipif(os.name == "nt", reason="a pseudo terminal")
def test_a_terminal_gets_no_command_from_a_name(tmp_path: Path) -> None:
    import pty

    hostile = "".join(HOSTILE)
    (tmp_path / "net.json").write_text(
        json.dumps({"name": hostile, "input": [1, 8, 8], "layers": [*LAYERS[:1], {"kind": "Dense", "units": 10}]})
    )
    words = ["train", "--model", "net.json", "--epochs", "1", "--out", "run", "--no-report"]
    terminal, other = pty.openpty()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "500"}
    process = subprocess.Popen(
        [sys.executable, "-m", "plaingrad", *words], cwd=tmp_path, stdout=other, stderr=other, env=environment
    )
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    assert process.wait() == 0, shown
    assert f"{visible(hostile)} on digits" in shown.decode()
    assert b"\x1b]0;" not in shown


def test_what_is_escaped_in_json_means_what_it_did() -> None:
    text = "".join(map(chr, (*range(0x20, 0x100), 0x202E, 0xFEFF, 0xE0001)))
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text
    assert visible("×γ′⁻⁶ é 數") == "×γ′⁻⁶ é 數"


def test_lines_of_ours_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo\x1b")
    assert capsys.readouterr().out == "one\ntwo\\u001b\n"
