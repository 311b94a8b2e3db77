"""A file damaged in any way is a dataset or one line, at little cost: cut anywhere, with any byte changed."""

import gzip
import io
import tarfile
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.data.idx import write_idx
from plaingrad.errors import PlaingradError

ROOM = 64 << 20  # bytes: what is read in one go, a few times over
FEW, MANY = 30, 2000  # damages of each kind and file
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 1, 6, 6)).astype(np.uint8)
IMAGES[:, :, 0, 0] = IMAGES[:, :, -1, -1] = 0
COLOUR = np.random.default_rng(1).integers(0, 256, (12, 3072)).astype(np.uint8)
LABELS = np.arange(12) % 3


def csv(path: Path) -> None:
    rows = np.concatenate([LABELS[:, np.newaxis], IMAGES.reshape(12, -1)], axis=1)
    np.savetxt(path, rows, "%d", ",", header="label," + ",".join(f"pixel{n}" for n in range(36)), comments="")


def packed_csv(path: Path) -> None:
    csv(path.with_name("b.csv"))
    path.write_bytes(gzip.compress(path.with_name("b.csv").read_bytes(), mtime=0))
    path.with_name("b.csv").unlink()


def npz(path: Path) -> None:
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:3, 0], y_test=LABELS[:3])


def packed_npz(path: Path) -> None:
    np.savez_compressed(path, X=IMAGES, y=LABELS)


def npy(path: Path) -> None:
    np.save(path.with_name("X.npy"), IMAGES.astype(np.float32) / 255)
    np.save(path.with_name("y.npy"), LABELS)


def mat(path: Path) -> None:
    pytest.importorskip("scipy.io").savemat(path, {"X": IMAGES, "y": LABELS[:, np.newaxis]})


def packed_mat(path: Path) -> None:
    pytest.importorskip("scipy.io").savemat(path, {"X": IMAGES, "y": LABELS[:, np.newaxis]}, do_compression=True)


def cifar(path: Path) -> None:
    path.write_bytes(np.concatenate([LABELS[:, np.newaxis].astype(np.uint8), COLOUR], axis=1)[:4].tobytes())


def cifar_tar(path: Path) -> None:
    cifar(path.with_name("data_batch_1.bin"))
    content = path.with_name("data_batch_1.bin").read_bytes()
    path.with_name("data_batch_1.bin").unlink()
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        told = tarfile.TarInfo("a/data_batch_1.bin")
        told.size = len(content)
        archive.addfile(told, io.BytesIO(content))


def idx(path: Path) -> None:
    for name, array in (("train", IMAGES[:, 0]), ("t10k", IMAGES[:3, 0])):
        write_idx(path.with_name(f"{name}-images-idx3-ubyte"), array)
        write_idx(path.with_name(f"{name}-labels-idx1-ubyte"), LABELS[: len(array)].astype(np.uint8))


def pictures(ending: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image = pytest.importorskip("PIL.Image")
        for place, name in enumerate(("a", "b")):
            path.with_name(name).mkdir(exist_ok=True)
            for number in range(3):
                image.fromarray(IMAGES[3 * place + number, 0]).save(path.with_name(name) / f"{number}.{ending}")

    return write


# How each is written, the file that is damaged, and what is then read: that file, or its folder.
READERS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "csv": (csv, "a.csv", "a.csv"),
    "csv.gz": (packed_csv, "a.csv.gz", "a.csv.gz"),
    "npz": (npz, "a.npz", "a.npz"),
    "packed npz": (packed_npz, "a.npz", "a.npz"),
    "npy": (npy, "X.npy", "."),
    "npy labels": (npy, "y.npy", "."),
    "mat": (mat, "a.mat", "a.mat"),
    "packed mat": (packed_mat, "a.mat", "a.mat"),
    "cifar": (cifar, "data_batch_1.bin", "data_batch_1.bin"),
    "cifar tar": (cifar_tar, "a.tar.gz", "a.tar.gz"),
    "idx images": (idx, "train-images-idx3-ubyte", "."),
    "idx labels": (idx, "t10k-labels-idx1-ubyte", "."),
    **{ending: (pictures(ending), f"a/0.{ending}", ".") for ending in ("png", "gif", "tiff", "webp", "jpg")},
}


def damages(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Cut at places all over; with bytes changed, most of them in the first few hundred, where headers are."""
    rng = np.random.default_rng(seed)
    for place in np.unique(np.linspace(0, len(content) - 1, count // 3).astype(int)):
        yield content[:place]
    for number in range(count):
        made = bytearray(content)
        for _ in range(1 + number % 3):
            place = int(rng.integers(len(content) if number % 2 else min(len(content), 300)))
            made[place] = int(rng.choice([0, 1, 0x2C, 0x7F, 0x80, 0xFF, rng.integers(256)]))
        yield bytes(made)
    yield content + content
    yield bytes(len(content))


def read_or_refused(path: Path) -> bool:
    """Whether a split came of it, whole and sound; otherwise one line."""
    message = ""
    try:
        split = pg.load(path)
    except PlaingradError as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < 1000
    if message:
        return False
    for data in split:
        assert len(data) == len(data.images)
        assert data.labels.max() < len(data.classes)
        assert np.isfinite(data.images).all()
    return True


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_a_dataset_or_one_line(tmp_path: Path, reader: str, count: int) -> None:
    write, damaged, read = READERS[reader]
    write(tmp_path / damaged.rpartition("/")[2] if "/" not in damaged else tmp_path / "x")
    file = tmp_path / damaged
    content, outcomes = file.read_bytes(), set()
    assert read_or_refused(tmp_path / read)
    tracemalloc.start()
    try:
        for number, made in enumerate(damages(content, count, seed=len(reader))):
            # A file of its own each time: what is mapped must not change under whoever has it.
            file.unlink()
            file.write_bytes(made)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                outcomes.add(read_or_refused(tmp_path / read))
            if number % 50 == 0:
                assert tracemalloc.get_traced_memory()[1] < ROOM
        assert tracemalloc.get_traced_memory()[1] < ROOM
    finally:
        tracemalloc.stop()
    assert False in outcomes


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.npy", "a.mat", "data_batch_1.bin", "a.tar.gz", "a.idx3-ubyte"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\x1f\x8b", bytes(range(256)), b"\x1f\x8b" + bytes(100), b"PK\x05\x06"]
)
def test_what_is_something_else_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert not read_or_refused(tmp_path / name)
    assert not read_or_refused(tmp_path)


def test_names_in_files_are_harmless(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"\x1b[2Jmy\nimages": IMAGES, "y": LABELS, "z": LABELS})
    assert not read_or_refused(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **{"X": IMAGES, "y": LABELS, "\x1b[2Jmy\nimages": IMAGES})
    assert "\x1b" not in str(pg.load(tmp_path / "b.npz").describe())
