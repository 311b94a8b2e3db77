"""Images that lie in a file are used from there: the same bits as in memory, and little memory."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.data import dataset
from plaingrad.data.idx import write_idx
from plaingrad.data.numpy_files import is_mapped
from plaingrad.data.table import BLOCK

DIGITS = pg.digits().train
BYTES = np.rint(DIGITS.images * 255).astype(np.uint8)


def in_files(folder: Path, kind: str) -> pg.Dataset:
    """The digits from a file of this kind, cut into train and test by no copy."""
    folder.mkdir()
    if kind.startswith("idx"):
        end = ".gz" if kind.endswith("gz") else ""
        for name, part in (("train", slice(None)), ("t10k", slice(0, 9))):
            write_idx(folder / f"{name}-images-idx3-ubyte{end}", BYTES[part, 0])
            write_idx(folder / f"{name}-labels-idx1-ubyte{end}", DIGITS.labels[part].astype(np.uint8))
    else:
        images = BYTES if kind == "npy" else DIGITS.images
        for name, array in (("X_train", images), ("y_train", DIGITS.labels), ("X_test", images[:9])):
            np.save(folder / f"{name}.npy", array)
        np.save(folder / "y_test.npy", DIGITS.labels[:9])
    return pg.load(folder).train


def trained(data: pg.Dataset, **settings: float) -> np.ndarray:
    net = pg.Network(pg.Conv(3, activation=pg.ReLU()), pg.Flatten(), pg.Dense(10), input=(1, 8, 8), seed=1)
    pg.train(net, data, epochs=1, threads=1, **settings)
    return net.parameters.copy()


@pytest.mark.parametrize("kind", ["npy", "npy of floats", "idx"])
def test_training_from_a_file_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    data = in_files(tmp_path / "a", kind)
    assert is_mapped(data.images)
    in_memory = pg.Dataset(np.array(data.images), data.labels, data.classes)
    assert not is_mapped(in_memory.images)
    assert data.fingerprint == in_memory.fingerprint
    assert (trained(data) == trained(in_memory)).all()
    monkeypatch.setattr(dataset, "MOST_GATHERED", 0)
    assert is_mapped(data.split(0.2)[0].images)  # a copy, in another file
    assert (trained(data, validation=0.2) == trained(in_memory, validation=0.2)).all()
    places = np.array([5, 0, -1, 5])
    np.testing.assert_array_equal(data.take(places).images, in_memory.images[places])
    np.testing.assert_array_equal(data.take(data.labels == 3).images, in_memory.images[data.labels == 3])
    assert is_mapped(data.take(slice(3, 9)).images)


def test_what_is_packed_is_read_into_memory(tmp_path: Path) -> None:
    data = in_files(tmp_path / "a", "idx.gz")
    assert not is_mapped(data.images)
    np.testing.assert_array_equal(data.images, BYTES)


def test_a_copy_that_finds_no_room_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = in_files(tmp_path / "a", "npy")
    monkeypatch.setattr(dataset, "MOST_GATHERED", 0)

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(pg.DataError, match=r"No space left on device; make room, or name another folder by TMPDIR"):
        data.split(0.5)


ROOM, SIDE, COUNT = 100 << 20, 256, 6000
LIMITED = f"""
import resource, sys
import plaingrad as pg
net = pg.Network(pg.MaxPool(32), pg.Flatten(), pg.Dense(2), input=(1, {SIDE}, {SIDE}), seed=1)
small = pg.from_arrays([[[0] * {SIDE}] * {SIDE}, [[9] * {SIDE}] * {SIDE}], [0, 1])
pg.train(net, small, epochs=1, batch=32, threads=1, validation=small)  # all code is loaded
kept = next(line for line in open("/proc/self/status") if line.startswith("VmData"))
limit = int(kept.split()[1]) * 1024 + {ROOM}
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
split = pg.load(sys.argv[1])
assert split.train.images.nbytes > 3 * {ROOM}
print(len(split.describe().to_json()["parts"]), end=" ")
pg.train(net, split.train, epochs=1, batch=32, threads=1, validation=0.2)
print(pg.score(net, split.test), end=" ")
try:
    bytearray({ROOM})
except MemoryError:
    print("limited")
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells and limits the memory of its own")
def test_a_set_larger_than_memory_is_trained_on(tmp_path: Path) -> None:
    """Three times the memory that the process may ask for: neither reading, nor a split, nor an epoch needs it."""
    labels = np.arange(COUNT) % 2
    images = np.lib.format.open_memmap(tmp_path / "X_train.npy", "w+", np.uint8, (COUNT, 1, SIDE, SIDE))
    images[1::2, 0, :32, :32] = 200
    del images
    np.save(tmp_path / "X_test.npy", np.load(tmp_path / "X_train.npy", mmap_mode="r")[:20])
    for name, part in (("y_train", labels), ("y_test", labels[:20])):
        np.save(tmp_path / f"{name}.npy", part)
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout == "2 1.0 limited\n", done.stderr[-2000:]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the memory of its own")
def test_a_table_takes_the_memory_of_its_pixels(tmp_path: Path) -> None:
    """Of 60 MB of text no more is held than a few blocks, and the bytes of the pixels twice."""
    line = b"3" + b",200" * 784 + b"\n"
    with gzip.open(tmp_path / "a.csv.gz", "wb", compresslevel=1) as file:
        for number in range(400):
            file.write((line.replace(b"3", b"5", 1) if number % 2 else line) * 48)
    code = (
        "import plaingrad as pg, resource, sys\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "split = pg.load(sys.argv[1], label='first')\n"
        "print(len(split.train) + len(split.test), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.csv.gz"], capture_output=True, text=True, check=False
    )
    count, grown = map(int, done.stdout.split())
    pixels = 19_200 * 784
    assert count == 19_200
    # The whole beside its two parts; and of a block of 4 MiB its bytes, text, lines, cells without label and floats.
    assert grown << 10 < 3 * pixels + 10 * BLOCK, done.stderr
