"""Checkpoints: every bit comes back, no damage goes unseen, and a failed write changes nothing."""

import ast
import errno
import json
import os
import pathlib
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from exchanged import refuse_what_is_not_finite
from plaingrad.errors import CheckpointError, SettingError
from plaingrad.network.models import MODELS
from plaingrad.network.network import Network
from plaingrad.textbook.layers import Conv, Dense, Flatten, LeakyReLU, MaxPool
from plaingrad.training import checkpoint

SOURCES = Path(checkpoint.__file__).parent
FACTS = {"name": "Zürich [1] 数字 \udcff", "nested": {"a": [1, 2.5, None, True, 1e-300, 0.1]}, "empty": {}}


def small(seed: int = 0) -> Network:
    layers = [Conv(2, size=3, activation=LeakyReLU(slope=0.25)), MaxPool(2), Flatten(), Dense(3)]
    return Network(*layers, input=(1, 6, 5), seed=seed)


def random_bits(net: Network) -> Network:
    """Every pattern of bits can be a parameter: infinities, NaNs of any kind, subnormal numbers."""
    rng = np.random.default_rng(6)
    for array in (*net.arrays.values(), net.offset, net.factor):
        array[...] = np.frombuffer(rng.bytes(array.nbytes), array.dtype).reshape(array.shape)
    return net


def bits(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}


def everything(net: Network) -> dict[str, Any]:
    return bits(net.arrays | {"offset": net.offset, "factor": net.factor})


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# Round trips


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_comes_back_to_the_bit(tmp_path: Path, name: str, dtype: str) -> None:
    net = random_bits(MODELS[name].network(dtype=dtype))
    checkpoint.save(tmp_path / "a", net, **FACTS)
    again, more, facts = checkpoint.load(tmp_path / "a")
    assert everything(again) == everything(net)
    assert (again.to_json(), again.dtype, more, facts) == (net.to_json(), net.dtype, {}, FACTS)
    checkpoint.save(tmp_path / "b", again, more, **facts)
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


def test_arrays_of_any_layout_come_back_to_the_bit(tmp_path: Path) -> None:
    whole = np.random.default_rng(1).normal(size=(4, 6, 5))
    more = {
        "fortran": np.asfortranarray(whole),
        "transposed": whole.T,
        "strided": whole[::2, 1::3],
        "backwards": whole[::-1, :, ::-1],
        "one row repeated": np.broadcast_to(whole[0, 0], (3, 5)),
        "no axis": np.array(2.5),
        "empty": np.zeros((0, 3)),
        "big endian": whole.astype(">f4"),
        "foreign and strided": whole.astype(">f8")[:, ::2],
        "unaligned": np.frombuffer(b"x" + whole.tobytes(), np.uint8)[1:].view(np.float64),
        "whole": np.arange(-3, 3),
        "small": np.arange(6, dtype=np.uint8),
        "half": whole.astype(np.float16),
        "truth": whole > 0,
    }
    checkpoint.save(tmp_path / "file", small(), more)
    _, again, _ = checkpoint.load(tmp_path / "file")
    assert bits(again) == bits({name: array.astype(array.dtype.newbyteorder("=")) for name, array in more.items()})


# Damage


@pytest.fixture
def good(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "good", random_bits(small()), {"slot": np.arange(5.0)}, rate=0.05, step=17)
    return tmp_path / "good"


def test_every_truncation_is_noticed(good: Path) -> None:
    content = good.read_bytes()
    for length in range(len(content)):
        good.write_bytes(content[:length])
        refused(good)
    good.write_bytes(content + b"\0")
    refused(good)


def test_no_damaged_byte_gives_wrong_values(good: Path) -> None:
    content, rng = good.read_bytes(), np.random.default_rng(8)
    net, more, facts = checkpoint.load(good)
    noticed = same = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256)) if place % 2 else 1 << int(rng.integers(8))
        good.write_bytes(damaged)
        try:
            again, others, told = checkpoint.load(good)
        except CheckpointError as error:
            noticed += "\n" not in str(error)
        else:
            same += 1
            assert everything(again) == everything(net)
            assert (again.to_json(), bits(others), told) == (net.to_json(), bits(more), facts)
    assert noticed + same == len(content)
    assert same <= content.count(b" ")  # what a damaged space says may be the same


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    arrays = {"input.offset": np.zeros(3, np.float32)}
    (tmp_path / "folder").mkdir()
    strange = {
        "empty": b"",
        "text": b"a checkpoint\n" * 100,
        "pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.",
        "long header": b"\xff" * 8 + b"{}",
        "no arrays": safetensors.numpy.save({}),
        "no metadata": safetensors.numpy.save(arrays),
        "other metadata": safetensors.numpy.save(arrays, {"format": "pt"}),
        "not JSON": safetensors.numpy.save(arrays, {"plaingrad": "{"}),
        "deep": safetensors.numpy.save(arrays, {"plaingrad": "[" * 100_000}),
        "a list": safetensors.numpy.save(arrays, {"plaingrad": "[1]"}),
        "nothing in it": safetensors.numpy.save(arrays, {"plaingrad": "{}"}),
    }
    for name, content in strange.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    assert "No such file" in refused(tmp_path / "missing")
    assert "directory" in refused(tmp_path / "folder")


def forged(path: Path, change: Callable[[dict[str, Any]], Any], arrays: dict[str, np.ndarray] | None = None) -> None:
    """A file whose digest is right and whose content is not what this version writes."""
    net = small()
    arrays = arrays if arrays is not None else {**net.arrays, "input.offset": net.offset, "input.factor": net.factor}
    about: dict[str, Any] = {"format": checkpoint.FORMAT, "network": net.to_json(), "facts": {}}
    change(about)
    about["sha256"] = checkpoint._digest(about, arrays)
    path.write_bytes(safetensors.numpy.save(arrays, {"plaingrad": json.dumps(about)}))


def test_what_another_version_or_another_hand_wrote_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    forged(path, lambda about: None)
    assert everything(checkpoint.load(path)[0]) == everything(small())
    forged(path, lambda about: about.update(format="plaingrad checkpoint 2"))
    assert "'plaingrad checkpoint 2'; this version reads 'plaingrad checkpoint 1'" in refused(path)
    forged(path, lambda about: about["network"]["layers"][3].update(units=4))
    assert "another network: for dense1.w" in refused(path)
    for layers in ([{"kind": "Convolution"}], [{"kind": "Dense", "units": 10**30}], [], None, [{"kind": 3}]):
        forged(path, lambda about, layers=layers: about["network"].update(layers=layers))
        assert "cannot be built" in refused(path)
    for facts in ([1], 3, "facts", None):
        forged(path, lambda about, facts=facts: about.update(facts=facts))
        refused(path)
    forged(path, lambda about: None, {})
    refused(path)
    forged(path, lambda about: None, {"input.offset": np.zeros(1, np.int64)})
    refused(path)


def test_another_network_is_left_as_it_was(good: Path) -> None:
    arrays = safetensors.numpy.load_file(good)
    for other in (
        Network(Conv(3, size=3), MaxPool(2), Flatten(), Dense(3), input=(1, 6, 5)),
        Network(Flatten(), Dense(3), input=(1, 6, 5)),
        Network(*small().layers, input=(2, 6, 5)),
    ):
        before = everything(other)
        with pytest.raises(CheckpointError, match="of another network"):
            checkpoint.restore(other, arrays, good)
        assert everything(other) == before


# Writes that fail


def fail(reason: BaseException) -> Callable[..., Any]:
    def failing(*args: Any, **kwargs: Any) -> Any:
        raise reason

    return failing


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.read_bytes", "pathlib.Path.chmod"])
@pytest.mark.parametrize("reason", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("there", [True, False])
def test_a_failed_write_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, reason: BaseException, there: bool
) -> None:
    path = tmp_path / "file"
    if there:
        checkpoint.save(path, small(1))
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(place, fail(reason))
        with pytest.raises(CheckpointError if isinstance(reason, OSError) else type(reason)) as caught:
            checkpoint.save(path, small(2))
    if isinstance(reason, OSError):
        assert str(caught.value).startswith(f"cannot write {path}: No space left on device")
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_what_is_read_back_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    checkpoint.save(path, small(1))
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "read_bytes", lambda self: b"something else")
        with pytest.raises(CheckpointError, match="read back"):
            checkpoint.save(path, small(2))
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


def test_a_file_that_cannot_grow_leaves_the_old_one(tmp_path: Path) -> None:
    """The system itself cuts the write off in the middle."""
    path = tmp_path / "file"
    checkpoint.save(path, small(1))
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="File too large"):
            checkpoint.save(path, small(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
        )
    except OSError as error:
        pytest.skip(f"no mount command: {error}")
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_the_old_file(tiny_disk: Path) -> None:
    path = tiny_disk / "file"
    checkpoint.save(path, small(1))
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="No space left on device"):
        checkpoint.save(path, small(2), {"large": np.zeros(100_000)})
    assert (path.read_bytes(), list(tiny_disk.iterdir())) == (before, [path])
    checkpoint.save(path, small(2))
    assert everything(checkpoint.load(path)[0]) == everything(small(2))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="Permission denied"):
            checkpoint.save(tmp_path / "file", small())
    finally:
        tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    for place in ("folder", "missing/file", "file/in a file"):
        with pytest.raises(CheckpointError, match="cannot write"):
            checkpoint.save(tmp_path / place, small())
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file", "folder"]


# Readers beside a writer


def test_a_reader_beside_a_writer_always_reads_a_whole_checkpoint(tmp_path: Path) -> None:
    path, net, last = tmp_path / "file", small(), 150

    def write() -> None:
        for number in range(last + 1):
            net.parameters[:] = number
            checkpoint.save(path, net, {"slot": np.full(7, number)}, number=number)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while writer.is_alive() or not seen or seen[-1] < last:
        if path.exists():
            again, more, facts = checkpoint.load(path)
            assert {float(each) for array in again.arrays.values() for each in array.flat} == {facts["number"]}
            assert set(more["slot"]) == {facts["number"]}
            seen.append(facts["number"])
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    assert list(tmp_path.iterdir()) == [path]


# Nothing but numbers and text


def test_a_file_is_a_header_and_plain_numbers_and_nothing_else(good: Path) -> None:
    content = good.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert all(isinstance(each, str) for each in header.pop("__metadata__").values())
    ends = sorted(tuple(each["data_offsets"]) for each in header.values())
    assert [start for start, _ in ends] == [0, *(end for _, end in ends[:-1])]
    assert 8 + length + ends[-1][1] == len(content)
    assert {each["dtype"] for each in header.values()} == {"F32", "F64"}


def test_nothing_here_unpickles() -> None:
    dangerous = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    files = sorted(SOURCES.rglob("*.py"))
    assert SOURCES / "checkpoint.py" in files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & dangerous, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False", path


def test_a_path_that_cannot_be_is_one_line() -> None:
    with pytest.raises(SettingError, match="needs the name of a file"):
        checkpoint.load("a\0b")


def test_weights_of_a_file_that_are_not_finite_are_refused(tmp_path):
    def again(net):
        checkpoint.save(tmp_path / "net.safetensors", net)
        checkpoint.load_weights(tmp_path / "net.safetensors", net.copy())

    refuse_what_is_not_finite(again)
