"""The folder of compiled code: nothing in it runs that others could have put there; it stays small and clean."""

import os
import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

import plaingrad
from plaingrad.compiler import store
from plaingrad.compiler.code_cache import place
from plaingrad.compiler.store import Code, code_folder, danger, is_usable, read, write
from plaingrad.textbook.layers.conv import Conv

CODE = Code("planted", ("numba_gil_ensure",), b"object code")
NAME = f"nest-{'0' * 32}.code"
posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINGRAD_CACHE_DIR", str(tmp_path / "above" / "cache"))
    monkeypatch.setattr(store, "KEPT", {})
    monkeypatch.setattr(store, "WARNED", set())
    write(tmp_path / "above" / "cache" / NAME, CODE)
    return tmp_path / "above" / "cache"


def test_what_was_written_is_read_by_this_user_and_others_may_read_it(folder):
    assert read(folder / NAME) == CODE
    assert [each.name for each in folder.iterdir()] == [NAME]
    if os.name == "posix":
        assert (folder / NAME).stat().st_mode & 0o777 == 0o644
        assert folder.stat().st_mode & 0o777 == 0o700
    assert is_usable()


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o720, 0o1777])
def test_a_folder_that_others_can_write_is_not_used_and_that_is_said_once(folder, mode):
    folder.chmod(mode)
    with pytest.warns(RuntimeWarning, match="others can write to .*cache; set PLAINGRAD_CACHE_DIR"):
        assert not is_usable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not is_usable()
    write(folder / "other.code", CODE)
    assert [each.name for each in folder.iterdir()] == [NAME]


@posix
def test_neither_is_one_in_a_folder_where_others_can_put_another_in_its_place(folder):
    folder.parent.chmod(0o777)
    assert danger(folder) == f"others can write to {folder.parent}"
    folder.parent.chmod(0o1777)
    assert not danger(folder)
    link = folder.parent / "link"
    (folder.parent / "open").mkdir()
    (folder.parent / "open").chmod(0o777)
    link.symlink_to(folder.parent / "open")
    assert danger(link).startswith("others can write to")


@root
def test_neither_is_one_of_another_user(folder):
    os.chown(folder, 12345, -1)
    assert danger(folder) == f"{folder} belongs to another user"
    os.chown(folder, 0, -1)
    os.chown(folder.parent, 12345, -1)
    assert danger(folder) == f"{folder.parent} belongs to another user"


@posix
def test_neither_is_a_file_that_others_could_have_written(folder):
    file = folder / NAME
    for mode in (0o666, 0o664, 0o646):
        file.chmod(mode)
        assert read(file) is None
    file.chmod(0o644)
    assert read(file) == CODE
    file.rename(folder / "elsewhere")
    file.symlink_to(folder / "elsewhere")
    assert read(file) is None
    file.unlink()
    os.mkfifo(file)
    assert read(file) is None
    file.unlink()
    file.mkdir()
    assert read(file) is None


@root
def test_neither_is_a_file_of_another_user(folder):
    os.chown(folder / NAME, 12345, -1)
    assert read(folder / NAME) is None


TRAINING = "import sys; from plaingrad.cli.main import main; main(sys.argv[1:])"


@posix
@pytest.mark.parametrize("kind", ["others", "no home"])
@pytest.mark.often(1)
def test_without_a_folder_training_goes_on_and_says_so_in_one_line(tmp_path, kind):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": ""}
    if kind == "others":
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache").chmod(0o777)
        environment["PLAINGRAD_CACHE_DIR"] = str(tmp_path / "cache")
    else:
        for name in ("HOME", "XDG_CACHE_HOME", "PLAINGRAD_CACHE_DIR"):
            environment.pop(name, None)
    code = "import pwd\ndef missing(_): raise KeyError\npwd.getpwuid = missing\n" if kind == "no home" else ""
    words = ["train", "--model", "mlp", "--epochs", "1", "--out", "run", "--no-report"]
    done = subprocess.run(
        [sys.executable, "-c", code + TRAINING, *words], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "compiled code is not kept" in line]
    assert len(told) == 1
    assert told[0].startswith("plaingrad: ")
    assert ("others can write" if kind == "others" else "no home folder") in told[0]
    assert "Traceback" not in done.stderr
    assert {each.name for each in tmp_path.iterdir()} <= {"cache", "run"}
    assert kind != "others" or not any((tmp_path / "cache").iterdir())


def test_a_relative_cache_home_is_ignored(monkeypatch, tmp_path):
    monkeypatch.delenv("PLAINGRAD_CACHE_DIR", raising=False)
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    variable, usual = ("LOCALAPPDATA", "AppData/Local") if os.name == "nt" else ("XDG_CACHE_HOME", ".cache")
    for value in ("", "relative", "./here", "../up"):
        monkeypatch.setenv(variable, value)
        assert code_folder() == tmp_path / usual / "plaingrad" / "compiled"
    monkeypatch.setenv(variable, str(tmp_path / "told"))
    assert code_folder() == tmp_path / "told" / "plaingrad" / "compiled"


def test_drafts_do_not_stay(folder, monkeypatch):
    drafts = [f"nest-{'1' * 32}abc12_x9", f"nest-{'1' * 32}abc.draft", f"nest-{'2' * 32}abc.draft", "of-somebody-else"]
    for name in drafts:
        (folder / name).write_bytes(b"")
    for name in (*drafts[:2], drafts[3]):
        os.utime(folder / name, (time.time() - 7200,) * 2)
    store.KEPT.clear()
    write(folder / "other.code", CODE)
    assert {each.name for each in folder.iterdir()} == {NAME, "other.code", drafts[2], drafts[3]}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(folder / "third.code", CODE)
    assert {each.name for each in folder.iterdir()} == {NAME, "other.code", drafts[2], drafts[3]}


def test_the_files_longest_unused_go_first(folder, monkeypatch):
    size = (folder / NAME).stat().st_size
    monkeypatch.setattr(store, "MOST_KEPT", 10 * size)
    monkeypatch.setattr(store, "AFTER_SWEEP", 5 * size)
    for number in range(9):
        file = folder / f"n{number}.code"
        write(file, CODE)
        os.utime(file, (time.time() - 1e6 + number,) * 2)
    read(folder / "n0.code")  # used now
    for number in range(20, 23):
        write(folder / f"n{number}.code", CODE)
    kept = {each.name for each in folder.iterdir()}
    assert {"n0.code", "n20.code", "n21.code", "n22.code"} <= kept
    assert "n1.code" not in kept
    assert sum(each.stat().st_size for each in folder.iterdir()) <= 10 * size


def test_each_version_has_its_own_code(monkeypatch):
    given = [np.zeros(3, "f4")]
    before = place(Conv.forward.plain, given, ())
    monkeypatch.setattr(plaingrad, "__version__", "9.9.9")
    assert place(Conv.forward.plain, given, ()) != before
