"""How the command is started and stopped: one line and the right exit code at any moment, and once only."""

import os
import signal
import subprocess
import sys
import time

import pytest

from plaingrad.cli.main import main
from plaingrad.training.launched import LAUNCHED

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
BEGUN = "import sys; sys.argv[0] = 'plaingrad'; print(1, flush=True); from plaingrad.cli.main import main; main()"


def begun(folder, *words):
    """The command, from the moment on at which Python can begin to import it."""
    code = f"import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler); {BEGUN}"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout.readline() == "1\n"
    return process


@posix
@pytest.mark.parametrize("delay", [0.05, 0.1, 0.2, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_is_one_line_and_its_exit_code(tmp_path, delay, number):
    process = begun(tmp_path, "train", "--epochs", "100000", "--no-report", "--out", "run")
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    # Before anything is begun SIGTERM ends a process as it ends any.
    assert process.returncode in (128 + number, *([-number] if number == signal.SIGTERM else [])), err
    assert not list(tmp_path.rglob(".*"))


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.often(1)
def test_a_signal_in_training_saves_and_has_its_exit_code(tmp_path, number):
    process = begun(tmp_path, "train", "--epochs", "100000", "--no-report", "--out", "run")
    for line in process.stderr:
        if line.startswith("epoch 1/"):
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "go on with: plaingrad train --resume run" in err


def test_an_import_into_another_program_leaves_its_signals_alone():
    code = "import signal; a = signal.getsignal(2), signal.getsignal(15); import plaingrad.cli.main; "
    code += "assert a == (signal.getsignal(2), signal.getsignal(15))"
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True)


@posix
def test_without_a_home_every_command_begins(tmp_path):
    """No HOME, and no entry for this user."""
    code = "import pwd\ndef missing(_): raise KeyError\npwd.getpwuid = missing\n"
    code += "from plaingrad.cli.main import main; main()"
    bare = {name: value for name, value in ENVIRONMENT.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    for words, code_wanted, told in (
        (["models"], 0, ""),
        (["case"], 0, ""),
        (["data", "get", "mnist"], 2, "no home folder"),
        (["train", "--data", "mnist"], 2, "no home folder"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path, env=bare, check=False
        )
        assert done.returncode == code_wanted, done.stderr
        assert "Traceback" not in done.stderr
        assert told in done.stderr


@pytest.mark.parametrize("name", LAUNCHED)
@pytest.mark.parametrize("words", [["train"], ["train", "--resume", "run"]])
def test_a_training_started_several_times_at_once_is_refused(tmp_path, monkeypatch, capsys, name, words):
    monkeypatch.chdir(tmp_path)
    count = "1" if name == "PMIX_RANK" else "2"  # a rank, counted from 0, or how many there are
    monkeypatch.setenv(name, count)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"plaingrad: training was started several times at once ({name}={count})")
    assert told.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("count", ["1", "", "many"])
def test_a_launcher_of_one_is_none(tmp_path, monkeypatch, count):
    monkeypatch.chdir(tmp_path)
    for name in LAUNCHED:
        monkeypatch.setenv(name, count if name != "PMIX_RANK" else "0")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(SystemExit) as ended:
        main(["train", "--model", "mlp", "--epochs", "1", "--no-report"])
    assert not ended.value.code


@pytest.mark.parametrize("shows", [False, True])
def test_a_defect_of_its_own_is_one_line(monkeypatch, capsys, shows):
    def broken(*_, **__):
        raise KeyError("\x1b[31m" + "far too long " * 100)

    monkeypatch.setattr("plaingrad.cli.main.cli.main", broken)
    monkeypatch.setenv("PLAINGRAD_TRACEBACK", "1" if shows else "0")
    with pytest.raises(SystemExit) as ended:
        main(["check", "case.json", "answer.json"])
    out, err = capsys.readouterr()
    *trace, line = err.splitlines()
    assert (ended.value.code, out) == (70, "")
    assert line.startswith("plaingrad: a defect of plaingrad's own")
    assert all(word in line for word in ("KeyError", "test_beginning.py", "report"))
    assert len(line) < 600
    assert "\x1b" not in err
    assert bool(trace) == shows
    assert not shows or any("in broken" in each for each in trace)
