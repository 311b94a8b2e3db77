"""Datasets, IDX files, the bundled digits, folders of images, and downloads from a server on this machine."""

import gzip
import hashlib
import http.server
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaingrad.data import (
    Dataset,
    Split,
    digits,
    download,
    fashion_mnist,
    from_arrays,
    image_folder,
    load,
    mnist,
    read_idx,
    read_image,
    sources,
)
from plaingrad.data.idx import STEMS, TYPES, write_idx
from plaingrad.errors import DataError, MissingError, PlaingradError, SettingError

ROOT = Path(__file__).resolve().parents[1]
REAL_MNIST = ROOT.parent / "shared" / "data" / "mnist"


def refused(call: Callable[[], Any], *words: str, kind: type[PlaingradError] = DataError) -> str:
    """The message of the error that `call` ends in: of this very kind, one line, with all these words."""
    with pytest.raises(PlaingradError) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is kind, message
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


# Datasets


def test_from_arrays_adds_the_channel_and_names_the_classes() -> None:
    data = from_arrays(noise(3, 4, 5), [0, 2, 1])
    assert data.images.shape == (3, 1, 4, 5)
    assert (data.shape, len(data), data.classes) == ((1, 4, 5), 3, ("0", "1", "2"))
    assert data.labels.dtype == np.int64
    assert repr(data) == "Dataset('arrays': 3 images of 1x4x5 uint8, 3 classes)"
    assert from_arrays(noise(3, 2, 4, 5), np.array([0, 2, 1])).shape == (2, 4, 5)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("uint8", "uint8"),
        ("int64", "uint8"),
        (">i2", "uint8"),
        ("bool", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        (">f8", "float64"),
    ],
)
def test_number_types(given: str, kept: str) -> None:
    values = np.array([[[0, 1], [1, 0]]])
    images = from_arrays(values.astype(given), [0]).images
    assert images.dtype == np.dtype(kept)
    assert images.dtype.isnative
    np.testing.assert_array_equal(images[0, 0], values[0])


def test_images_are_contiguous() -> None:
    assert Dataset(noise(5, 4, 1, 3).transpose(3, 2, 1, 0), np.zeros(3, int), ("a",), "t").images.flags.c_contiguous


def holed(value: float) -> np.ndarray:
    images = np.zeros((3, 2, 4, 5), np.float32)
    images[1, 1, 2, 3] = images[2, 0, 0, 0] = value
    return images


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (noise(3, 4), [0, 1, 2], ("mine", "2 axes", "(image, channel, row, column)")),
        (np.full((2, 4, 4), "a"), [0, 1], ("<U1", "numbers")),
        (np.full((2, 4, 4), 1j), [0, 1], ("complex128",)),
        ([[[1, 2], [3]]], [0], ("images", "one array")),
        (noise(3, 4, 4), [0, 1], ("3 images and 2 labels",)),
        (noise(0, 4, 4), [], ("no image",)),
        (noise(2, 4, 0), [0, 1], ("(1, 4, 0)", "no pixel")),
        (noise(2, 4, 4), [0, -1], ("label -1 at position 1", "0..0")),
        (noise(2, 4, 4), [0.0, 1.5], ("float64", "whole numbers")),
        (noise(2, 4, 4), [True, False], ("bool", "whole numbers")),
        (noise(2, 4, 4), [[0, 1], [1, 0]], ("2 axes", "argmax")),
        (noise(1, 4, 4), [123_456_789], ("123456789", "name the classes")),
        (np.full((1, 4, 4), 256), [0], ("int64", "256", "0..255")),
        (np.full((1, 4, 4), -1), [0], ("-1", "0..255")),
        (holed(np.nan), [0, 1, 2], ("2 pixels are NaN or infinite", "image 1, channel 1, row 2, column 3")),
        (holed(-np.inf), [0, 1, 2], ("2 pixels", "image 1, channel 1, row 2, column 3")),
    ],
)
def test_arrays_that_do_not_fit(images: Any, labels: Any, words: tuple[str, ...]) -> None:
    refused(lambda: from_arrays(images, labels, name="mine"), "mine", *words)


def test_classes_that_do_not_fit() -> None:
    refused(lambda: from_arrays(noise(2, 4, 4), [0, 2], ["a", "b"]), "label 2 at position 1", "2 classes", "0..1")
    refused(lambda: from_arrays(noise(2, 4, 4), [0, 1], ["a", "a"]), "'a'", "two classes")
    # NumPy must not wrap a large unsigned label around to a small one.
    labels = np.array([2**64 - 1], np.uint64)
    refused(lambda: Dataset(noise(1, 1, 4, 4), labels, ("a",)), str(2**64 - 1))  # type: ignore[arg-type]


def test_take() -> None:
    data = from_arrays(noise(5, 4, 4), [0, 1, 2, 3, 4])
    assert data.take(slice(1, 3)).labels.tolist() == [1, 2]
    assert data.take([4, 0]).labels.tolist() == [4, 0]
    assert data.take(data.labels > 2).labels.tolist() == [3, 4]
    np.testing.assert_array_equal(data.take([4, 0]).images, data.images[[4, 0]])
    assert data.take([0]).classes == data.classes
    refused(lambda: data.take([5]), "5 images", "no such places")
    refused(lambda: data.take([]), "no image")


def test_split_is_seeded_and_loses_nothing() -> None:
    data = from_arrays(noise(10, 4, 4), list(range(10)))
    rest, held = data.split(0.3, seed=4)
    assert (len(rest), len(held)) == (7, 3)
    assert sorted([*rest.labels, *held.labels]) == list(range(10))
    assert rest.labels.tolist() == data.split(0.3, seed=4)[0].labels.tolist()
    assert rest.labels.tolist() != data.split(0.3, seed=5)[0].labels.tolist()
    np.testing.assert_array_equal(held.images, data.images[held.labels])


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5, float("nan"), 0.01, 0.99])
def test_shares_that_leave_a_part_empty(share: float) -> None:
    data = from_arrays(noise(10, 4, 4), list(range(10)))
    refused(lambda: data.split(share), str(share), "10 images", kind=SettingError)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "a"])
def test_seeds_that_are_none(seed: Any) -> None:
    data = from_arrays(noise(10, 4, 4), list(range(10)))
    refused(lambda: data.split(0.5, seed), "seed", repr(seed), kind=SettingError)


def test_both_parts_need_one_shape_and_the_same_classes() -> None:
    small, large = from_arrays(noise(2, 4, 4), [0, 1]), from_arrays(noise(2, 4, 5), [0, 1])
    refused(lambda: Split(small, large, "both"), "both", "(1, 4, 4)", "(1, 4, 5)")
    refused(lambda: Split(small, from_arrays(noise(2, 4, 4), [0, 1], ["a", "b"]), "both"), "classes", "'a'")


# IDX


@pytest.mark.parametrize("kind", TYPES.values())
@pytest.mark.parametrize("name", ["plain", "packed.gz"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (5,), (0, 3), ()])
def test_idx_round_trip(tmp_path: Path, kind: str, name: str, shape: tuple[int, ...]) -> None:
    array = (noise(*shape).astype(np.int16) - 100).astype(np.dtype(kind).newbyteorder("="))
    write_idx(tmp_path / name, array)
    back = read_idx(tmp_path / name)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b" if name.endswith(".gz") else b"\0\0")


def test_idx_bytes_are_those_of_the_format_and_the_same_each_time(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.array([[1, -2]], np.int16))
    assert (tmp_path / "a").read_bytes() == bytes.fromhex("00000b02 00000001 00000002 0001 fffe")
    write_idx(tmp_path / "a.gz", noise(3, 4))
    assert (tmp_path / "a.gz").read_bytes()[4:8] == b"\0\0\0\0"  # gzip's time of writing
    (tmp_path / "b").write_bytes((tmp_path / "a.gz").read_bytes())
    np.testing.assert_array_equal(read_idx(tmp_path / "b"), noise(3, 4))  # known by its bytes, not by its name
    refused(lambda: write_idx(tmp_path / "c", np.zeros(3, np.int64)), "int64", "uint8")
    refused(lambda: write_idx(tmp_path / "no" / "c", noise(3)), "cannot be written")


WHOLE = bytes.fromhex("00000802 00000002 00000003 010203040506")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("none", "00 00")),
        (b"\x89PNG\r\n", ("89 50 4e 47", "magic number")),
        (bytes.fromhex("00000a01 00000000"), ("00 00 0a 01", "0b")),
        (WHOLE[:7], ("3 bytes", "8 needed")),
        (WHOLE[:-2], ("4 bytes there, 6 needed", "2 x 3 uint8")),
        (WHOLE + b"!!", ("2 trailing bytes", "6")),
        (b"\0\0\x08\x03" + b"\xff" * 12, ("4294967295 x", "at most 16")),
        (gzip.compress(b"\0\0\x0e\x04" + b"\xff" * 16, mtime=0), ("gzip file of", "damaged")),
        (b"\0\0\x08\x50" + struct.pack(">80I", *[1] * 80) + b"!", ("80 axes", "64")),
        (gzip.compress(WHOLE[:-2], mtime=0), ("4 bytes there, 6 needed",)),
        (gzip.compress(WHOLE + b"!", mtime=0), ("1 trailing bytes",)),
        (gzip.compress(WHOLE, mtime=0)[:-9], ("gzip", "damaged or cut short")),  # EOFError
        (gzip.compress(WHOLE, mtime=0)[:-8] + b"\0" * 8, ("gzip", "damaged")),  # BadGzipFile: the check sum
        (gzip.compress(WHOLE, mtime=0)[:10] + b"\xff" * 20, ("gzip", "damaged")),  # zlib.error
        (gzip.compress(WHOLE, mtime=0) + b"more", ("gzip", "damaged")),
    ],
)
def test_idx_files_that_do_not_fit(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(lambda: read_idx(path), str(path), *words)


def test_idx_files_that_are_not_there(tmp_path: Path) -> None:
    refused(lambda: read_idx(tmp_path / "none"), "none", "no such file")
    refused(lambda: read_idx(tmp_path), str(tmp_path), "cannot be read")


def small_mnist(folder: Path, end: str = ".gz", variant: int = 0) -> Path:
    """Six and four 4x5 images as the four files of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = (noise(6, 4, 5), np.arange(6, dtype=np.uint8), noise(4, 4, 5)[::-1], np.arange(4, dtype=np.uint8))
    for stems, array in zip(STEMS, arrays, strict=True):
        write_idx(folder / f"{stems[variant]}{end}", array)
    return folder


@pytest.mark.parametrize("end", [".gz", ""])
@pytest.mark.parametrize("variant", [0, 1])
def test_idx_split(tmp_path: Path, end: str, variant: int) -> None:
    split = load(small_mnist(tmp_path / "mine", end, variant))
    assert (split.name, len(split.train), len(split.test), split.train.shape) == ("mine", 6, 4, (1, 4, 5))
    assert split.test.classes == tuple("012345")
    np.testing.assert_array_equal(split.train.images[:, 0], noise(6, 4, 5))
    assert split.test.labels.tolist() == [0, 1, 2, 3]


def test_idx_splits_that_do_not_fit(tmp_path: Path) -> None:
    refused(lambda: mnist(tmp_path), "train-images-idx3-ubyte, train-labels", "plaingrad data get mnist", "--data-dir")
    refused(lambda: fashion_mnist(tmp_path), "plaingrad data get fashion-mnist")
    small_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "train-images" not in refused(lambda: load(tmp_path), "lacks t10k-labels-idx1-ubyte (")
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.zeros(5, np.uint8))
    refused(lambda: load(tmp_path), "t10k-images-idx3-ubyte.gz holds 4 images", "t10k-labels-idx1-ubyte 5 labels")
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", noise(4, 4, 5))
    refused(lambda: load(tmp_path), "t10k-labels-idx1-ubyte", "3 axes", "1 needed")


@pytest.mark.skipif(not REAL_MNIST.is_dir(), reason="the MNIST files are not there")
def test_the_real_mnist() -> None:
    split = mnist(REAL_MNIST)
    assert (len(split.train), len(split.test), split.train.shape) == (60_000, 10_000, (1, 28, 28))
    assert split.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(split.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        content = (REAL_MNIST / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sources.SOURCES["mnist"].files[name]


# The bundled digits


@pytest.mark.parametrize("order", ["shuffled", "file"])
def test_digits(order: str) -> None:
    split = digits(order)
    assert (len(split.train), len(split.test), split.train.shape) == (1437, 360, (1, 8, 8))
    assert split.train.images.dtype == np.float32
    assert (split.train.images.min(), split.train.images.max()) == (0, 1)
    assert set(split.train.labels) == set(split.test.labels) == set(range(10))
    assert split.train.classes == tuple("0123456789")
    again = digits(order)
    np.testing.assert_array_equal(split.train.images, again.train.images)
    np.testing.assert_array_equal(split.test.labels, again.test.labels)


def test_digits_parts_are_disjoint_and_hold_all() -> None:
    # All 1,797 digits differ from one another, so that none in common means none twice.
    shuffled, file = digits(), digits("file")
    train = {each.tobytes() for each in shuffled.train.images}
    test = {each.tobytes() for each in shuffled.test.images}
    assert (len(train), len(test), len(train & test)) == (1437, 360, 0)
    assert train | test == {each.tobytes() for part in (file.train, file.test) for each in part.images}
    assert file.train.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    refused(lambda: digits("shufled"), "'shufled'", "did you mean 'shuffled'", kind=SettingError)


def test_digits_are_those_of_scikit_learn() -> None:
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    split = digits("file")
    images = np.concatenate([split.train.images, split.test.images])
    np.testing.assert_array_equal(images[:, 0] * 16, bunch.images)
    np.testing.assert_array_equal(np.concatenate([split.train.labels, split.test.labels]), bunch.target)


# Folders of images


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **settings: Any) -> Path:
    image = pytest.importorskip("PIL.Image").fromarray(pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    (image.convert(mode) if mode else image).save(path, **settings)
    return path


def classes_of(folder: Path, counts: dict[str, int], size: tuple[int, int] = (4, 5)) -> Path:
    """Class folders of grey PNG files; the top left pixel is the place of the class in `counts`."""
    for place, (name, count) in enumerate(counts.items()):
        for number in range(count):
            pixels = noise(*size)
            pixels[0, 0], pixels[0, 1] = place, number
            save(folder / name / f"{number}.png", pixels)
    return folder


def test_image_folder(tmp_path: Path) -> None:
    classes_of(tmp_path, {"cat": 10, "ant": 5, "bee": 1})
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "cat" / ".9.png").write_bytes(b"hidden")
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "loose.png").write_bytes(b"loose")
    split = image_folder(tmp_path)
    assert split.train.classes == ("ant", "bee", "cat")
    assert (split.train.shape, split.train.images.dtype) == ((1, 4, 5), np.uint8)
    # A fifth of each class, but the only bee is for learning.
    assert np.bincount(split.train.labels).tolist() == [4, 1, 8]
    assert np.bincount(split.test.labels).tolist() == [1, 0, 2]
    every = np.concatenate([split.train.images, split.test.images])
    labels = np.concatenate([split.train.labels, split.test.labels])
    np.testing.assert_array_equal(every[:, 0, 0, 0], np.array([1, 2, 0])[labels])
    assert len({(label, image[0, 0, 1]) for label, image in zip(labels, every, strict=True)}) == 16
    assert load(tmp_path).train.images.tobytes() == split.train.images.tobytes()
    assert image_folder(tmp_path, seed=1).train.images.tobytes() != split.train.images.tobytes()
    assert len(image_folder(tmp_path, test_share=0.5).test) == 5 + 2


def test_image_folder_with_its_own_split(tmp_path: Path) -> None:
    classes_of(tmp_path / "train", {"10": 2, "9": 3})
    classes_of(tmp_path / "test", {"9": 2, "10": 4})
    split = image_folder(tmp_path)
    assert split.train.classes == ("9", "10")  # as numbers
    assert np.bincount(split.train.labels).tolist() == [3, 2]
    assert np.bincount(split.test.labels).tolist() == [2, 4]
    assert all(split.test.images[:, 0, 0, 0] == split.test.labels)
    classes_of(tmp_path / "test", {"11": 1})
    refused(lambda: image_folder(tmp_path), "test", "'11'", "lacks")


def test_every_kind_of_image_gives_its_pixels(tmp_path: Path) -> None:
    grey = noise(4, 5)
    colour = noise(4, 5, 3)
    shape = (1, 4, 5)
    for ending in ("png", "bmp", "gif"):
        np.testing.assert_array_equal(read_image(save(tmp_path / f"a.{ending}", grey), shape)[0], grey)
    flat = np.full((4, 5), 77, np.uint8)
    assert abs(read_image(save(tmp_path / "a.JPG", flat, format="JPEG"), shape).astype(int) - 77).max() <= 1
    black = read_image(save(tmp_path / "a.png", np.where(grey > 99, 255, 0).astype(np.uint8), "1"), shape)
    np.testing.assert_array_equal(black[0], np.where(grey > 99, 255, 0))
    deep = read_image(save(tmp_path / "deep.png", grey.astype(np.uint16) * 257), shape)
    np.testing.assert_array_equal(deep[0], grey)
    path = save(tmp_path / "colour.png", colour)
    np.testing.assert_array_equal(read_image(path, (3, 4, 5)), colour.transpose(2, 0, 1))
    palette = save(tmp_path / "palette.gif", np.broadcast_to(np.array([200, 30, 60], np.uint8), (4, 5, 3)))
    assert read_image(palette, (3, 4, 5))[:, 2, 2].tolist() == [200, 30, 60]


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    layered = np.zeros((4, 5, 4), np.uint8)
    layered[0, 0] = 10, 20, 30, 255
    path = save(tmp_path / "a.png", layered)
    pixels = read_image(path, (3, 4, 5))
    assert pixels[:, 0, 0].tolist() == [10, 20, 30]
    assert (pixels[:, 1:] == 255).all()
    assert (read_image(save(tmp_path / "b.png", layered, "LA"), (1, 4, 5))[0, 1:] == 255).all()


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image").fromarray(noise(4, 5))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", (1, 5, 4))[0], np.rot90(noise(4, 5), -1))


def test_colour_and_grey_fit_each_other(tmp_path: Path) -> None:
    grey, colour = noise(4, 5), noise(4, 5, 3)
    wide = read_image(save(tmp_path / "grey.png", grey), (3, 4, 5))
    np.testing.assert_array_equal(wide, np.stack([grey] * 3))
    path = save(tmp_path / "colour.png", colour)
    narrow = read_image(path, (1, 4, 5))[0].astype(int)
    by_pillow = np.asarray(pytest.importorskip("PIL.Image").open(path).convert("L")).astype(int)
    assert abs(narrow - by_pillow).max() <= 1
    # One image in colour among grey ones makes all of them RGB.
    classes_of(tmp_path / "all", {"a": 2, "b": 2})
    assert image_folder(tmp_path / "all").train.shape == (1, 4, 5)
    save(tmp_path / "all" / "b" / "0.png", colour)
    assert image_folder(tmp_path / "all").train.shape == (3, 4, 5)
    refused(lambda: read_image(path, (1, 5, 4)), "4 rows x 5 columns", "5 rows x 4 columns", "resize")
    refused(lambda: read_image(path, (2, 4, 5)), "1 channel or 3", "2")


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    refused(lambda: image_folder(tmp_path / "none"), "none", "no such folder")
    (tmp_path / "file").write_bytes(b"")
    refused(lambda: load(tmp_path / "file"), "is a file of a kind that is not read", "CSV")
    (tmp_path / "bare").mkdir()
    refused(lambda: image_folder(tmp_path / "bare"), "bare", "0 class folders", "no image", "sub-folder")
    save(tmp_path / "loose" / "a.png", noise(4, 5))
    refused(lambda: image_folder(tmp_path / "loose"), "no image in them", "1 images loose in loose")
    (tmp_path / "texts" / "a").mkdir(parents=True)
    (tmp_path / "texts" / "a" / "b.txt").write_text("b")
    refused(lambda: image_folder(tmp_path / "texts"), "1 class folders", "no image", "1 other files skipped")
    refused(lambda: image_folder(classes_of(tmp_path / "one", {"a": 2})), "only one class, 'a'", "two")
    classes_of(tmp_path / "gap", {"a": 2, "b": 2})
    (tmp_path / "gap" / "c").mkdir()
    refused(lambda: image_folder(tmp_path / "gap"), str(tmp_path / "gap" / "c"), "no image")
    refused(lambda: image_folder(classes_of(tmp_path / "few", {"a": 1, "b": 1})), "one image only", "none to test")
    good = classes_of(tmp_path / "good", {"a": 2, "b": 2})
    refused(lambda: image_folder(good, test_share=1.0), "1.0", "between 0 and 1", kind=SettingError)
    refused(lambda: image_folder(good, seed=-1), "seed", "-1", kind=SettingError)
    save(good / "b" / "other.png", noise(5, 4))
    refused(lambda: image_folder(good), "other.png", "5 rows x 4 columns", "0.png", "4 rows x 5 columns", "resize")


def test_broken_images_are_named(tmp_path: Path) -> None:
    whole = save(classes_of(tmp_path, {"a": 2, "b": 2}) / "b" / "0.png", noise(4, 5)).read_bytes()
    broken = tmp_path / "b" / "0.png"
    for content in (b"", b"GIF89a", b"no image at all", whole[:40], whole[: len(whole) // 2]):
        broken.write_bytes(content)
        refused(lambda: image_folder(tmp_path), str(broken), "not a whole")
    jpeg = save(tmp_path / "c.jpg", noise(40, 50)).read_bytes()
    (tmp_path / "c.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    refused(lambda: read_image(tmp_path / "c.jpg", (1, 40, 50)), "c.jpg", "not a whole")
    refused(lambda: read_image(tmp_path / "none.png", (1, 4, 5)), "none.png", "no such file")
    # A format that is not among those read, under the name of one that is.
    save(tmp_path / "d.png", noise(4, 5), format="PPM")
    refused(lambda: read_image(tmp_path / "d.png", (1, 4, 5)), "d.png", "PNG, JPEG, BMP, GIF, TIFF or WebP")


@pytest.mark.filterwarnings("default")  # the error must be of our making, not of the test run's
@pytest.mark.parametrize("limit", [15, 9])  # 20 pixels are over once the limit, where Pillow warns, and over twice
def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    path = save(tmp_path / "a.png", noise(4, 5))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", limit)
    refused(lambda: read_image(path, (1, 4, 5)), "a.png", "far too many pixels")


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "a.png").write_bytes(b"")
    refused(lambda: read_image(tmp_path / "a.png", (1, 4, 5)), "Pillow", "pip install", "[images]", kind=MissingError)


# Downloads


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the files of its server; the first part of the path says how it behaves."""

    server: "Server"

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        _, manner, name = self.path.split("/")
        content = self.server.files.get(name)
        if manner == "lost" or content is None:
            return self.give(404, b"no")
        if manner == "wrong":
            content = content[::-1]
        if manner == "short":  # promises all, and closes the connection half-way
            return self.give(200, content[: len(content) // 2], length=len(content))
        if asked and manner != "plain":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.give(416, b"")
            told = 0 if manner == "askew" else start
            return self.give(206, content[start:], range=f"bytes {told}-{len(content) - 1}/{len(content)}")
        return self.give(200, content)

    def give(self, status: int, content: bytes, length: int | None = None, range: str | None = None) -> None:
        self.send_response(status)
        if range:
            self.send_header("Content-Range", range)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    files: dict[str, bytes]
    asked: list[tuple[str, str | None]]

    def mirror(self, manner: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{manner}/"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of a small MNIST, whose hashes stand in the table for this test."""
    folder = small_mnist(tmp_path / "served")
    monkeypatch.setenv("no_proxy", "*")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.files = {f"{stem}.gz": (folder / f"{stem}.gz").read_bytes() for stem, _ in STEMS}
        server.asked = []
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in server.files.items()}
        table = sources.Source(hashes, (server.mirror("good"),), tuple("0123456789"))
        monkeypatch.setitem(sources.SOURCES, "mnist", table)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


FIRST = "train-images-idx3-ubyte.gz"


def complete(folder: Path, server: Server) -> bool:
    return {each.name: each.read_bytes() for each in folder.iterdir()} == server.files


def test_download_and_read(tmp_path: Path, server: Server) -> None:
    told: list[tuple[str, int, int | None]] = []
    folder = download("mnist", tmp_path / "deep" / "new", progress=lambda *each: told.append(each))
    assert folder == tmp_path / "deep" / "new"
    assert complete(folder, server)
    assert set(told) == {(name, len(content), len(content)) for name, content in server.files.items()}
    assert len(mnist(folder).train) == len(load("mnist", folder).train) == 6
    assert mnist(folder).train.classes == tuple("0123456789")
    # What is there is left alone: nothing is asked for.
    server.asked.clear()
    download("mnist", folder)
    assert server.asked == []
    # What is there and wrong is fetched again, and alone.
    (folder / FIRST).write_bytes(b"wrong")
    download("mnist", folder)
    assert server.asked == [(f"/good/{FIRST}", None)]
    assert complete(folder, server)


@pytest.mark.parametrize(
    ("manner", "part", "asked"),
    [
        ("good", lambda whole: whole[:30], [("good", "bytes=30-")]),  # continued
        ("plain", lambda whole: whole[:30], [("plain", "bytes=30-")]),  # 200: the range is not heeded
        ("good", lambda whole: whole + b"more", [("good", "bytes=LONG-"), ("good", None)]),  # 416
        ("good", lambda whole: b"?" * 30, [("good", "bytes=30-"), ("good", None)]),  # a spoilt beginning
        ("good", lambda whole: whole, []),  # whole already
        ("askew", lambda whole: whole[:30], [("askew", "bytes=30-"), ("good", None)]),  # another range
    ],
)
def test_a_part_is_continued_where_it_can_be(
    tmp_path: Path, server: Server, manner: str, part: Callable[[bytes], bytes], asked: list[tuple[str, str | None]]
) -> None:
    folder = tmp_path / "to"
    folder.mkdir()
    left = part(server.files[FIRST])
    (folder / f"{FIRST}.part").write_bytes(left)
    mirrors = dict.fromkeys([server.mirror(manner), server.mirror("good")])  # a good one is to do it alone
    download("mnist", folder, mirrors=list(mirrors))
    assert complete(folder, server)
    wanted = [(f"/{way}/{FIRST}", span and span.replace("LONG", str(len(left)))) for way, span in asked]
    assert [each for each in server.asked if each[0].endswith(FIRST)] == wanted


def test_a_cut_transfer_goes_on_at_the_next_mirror(tmp_path: Path, server: Server) -> None:
    told: list[tuple[str, int, int | None]] = []
    folder = download(
        "mnist", tmp_path / "to", lambda *each: told.append(each), [server.mirror("short"), server.mirror("good")]
    )
    assert complete(folder, server)
    size = len(server.files[FIRST])
    assert (f"/good/{FIRST}", f"bytes={size // 2}-") in server.asked
    assert told[:2] == [(FIRST, size // 2, size), (FIRST, size, size)]


@pytest.mark.parametrize("manner", ["lost", "wrong"])
def test_the_next_mirror_is_tried(tmp_path: Path, server: Server, manner: str) -> None:
    folder = download("mnist", tmp_path / "to", mirrors=[server.mirror(manner), server.mirror("good")])
    assert complete(folder, server)
    assert [path.split("/")[1] for path, _ in server.asked] == [manner, "good"] * 4


def test_no_mirror_left(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "to"
    nobody = "http://127.0.0.1:9/"  # the port of the discard service: nobody listens
    mirrors = [server.mirror("wrong"), server.mirror("lost"), nobody]
    message = refused(lambda: download("mnist", folder, mirrors=mirrors), FIRST, "by hand", str(folder), *mirrors)
    assert "wrong/ wrong SHA-256; " in message
    assert "lost/ HTTP 404; " in message
    assert "refused" in message
    assert list(folder.iterdir()) == []
    size = len(server.files[FIRST])
    refused(
        lambda: download("mnist", folder, mirrors=[server.mirror("short")]), f"closed after {size // 2} of {size} bytes"
    )
    assert [each.name for each in folder.iterdir()] == [f"{FIRST}.part"]
    monkeypatch.setattr("plaingrad.data.mirrors.MOST_BYTES", 10)
    refused(lambda: download("mnist", folder, mirrors=[server.mirror("plain")]), "more than 10 bytes")
    assert list(folder.iterdir()) == []


def test_downloads_that_cannot_be(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(lambda: download("mnits", tmp_path), "'mnits'", "did you mean 'mnist'", kind=SettingError)
    refused(lambda: download("mnist", tmp_path, mirrors=["file:///etc"]), "file:///etc", "https://", kind=SettingError)
    (tmp_path / "file").write_bytes(b"")
    refused(lambda: download("mnist", tmp_path / "file"), "cannot write to", "file")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(lambda: download("mnist", tmp_path / "to"), "cannot write to", "No space left on device")
    assert not (tmp_path / "to" / FIRST).exists()


# Finding data by name


def test_load_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(load("digits").test) == 360
    small_mnist(tmp_path / "cache" / "plaingrad" / "fashion-mnist")
    monkeypatch.setattr(sources, "default_folder", lambda name: tmp_path / "cache" / "plaingrad" / name)
    split = load("fashion-mnist")
    assert (split.name, split.train.classes[9]) == ("fashion-mnist", "Ankle boot")
    refused(lambda: load("mnist"), "plaingrad data get mnist")
    refused(
        lambda: load("fasion-mnist"),
        "did you mean 'fashion-mnist'",
        "the path of a file or a folder",
        kind=SettingError,
    )
    refused(lambda: load("digits", tmp_path), "digits", "leave it out", kind=SettingError)


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    variable, usual = ("LOCALAPPDATA", "AppData/Local") if os.name == "nt" else ("XDG_CACHE_HOME", ".cache")
    monkeypatch.setenv(variable, str(tmp_path / "told"))
    assert sources.default_folder("mnist") == tmp_path / "told" / "plaingrad" / "mnist"
    for value in ("", "not/absolute"):
        monkeypatch.setenv(variable, value)
        assert sources.default_folder("mnist") == tmp_path / usual / "plaingrad" / "mnist"
