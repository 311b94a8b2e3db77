"""Data as people have them: tables, NumPy's, MATLAB's and CIFAR's files, and folders in all usual layouts."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.data.layout import class_numbers, laid_out, shape_told
from plaingrad.data.matlab import read_mat
from plaingrad.errors import DataError, PlaingradError, SettingError

ROOM = np.random.default_rng(0)
GREY = ROOM.integers(0, 256, (40, 1, 5, 5)).astype(np.uint8)
GREY[:, :, 0, 0] = GREY[:, :, -1, -1] = 0  # corners are background, as in pictures of digits
LABELS = np.arange(40) % 4
RGB = ROOM.integers(0, 256, (40, 3, 32, 32)).astype(np.uint8)


def refused(call: Callable[[], Any], *words: str, kind: type[PlaingradError] = DataError) -> str:
    """The message of the error that `call` ends in: of this kind, one line, with all these words."""
    with pytest.raises(PlaingradError) as caught:
        call()
    message = str(caught.value)
    assert isinstance(caught.value, kind), message
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def whole(split: pg.Split) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of both parts, in an order that does not depend on the split."""
    images = np.concatenate([split.train.images, split.test.images])
    labels = np.concatenate([split.train.labels, split.test.labels])
    order = np.lexsort(images.reshape(len(images), -1).T)
    return images[order], labels[order]


def same(split: pg.Split, images: np.ndarray = GREY, labels: np.ndarray = LABELS) -> None:
    order = np.lexsort(images.reshape(len(images), -1).T)
    got = whole(split)
    np.testing.assert_array_equal(got[0], images[order])
    np.testing.assert_array_equal(got[1], labels[order])


# Tables


def table(path: Path, columns: list[Any], heading: str = "", separator: str = ",", form: str = "%s") -> Path:
    rows = np.concatenate([np.asarray(each, dtype=object).reshape(40, -1) for each in columns], axis=1)
    lines = [separator.join(form % each for each in row) for row in rows.tolist()]
    text = "\n".join([*([heading] if heading else []), *lines, ""])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


NAMES = ",".join(f"pixel{n}" for n in range(25))


@pytest.mark.parametrize(
    ("name", "columns", "settings"),
    [
        ("kaggle.csv", [LABELS, GREY], {"heading": f"label,{NAMES}"}),
        ("bare.csv", [LABELS, GREY], {}),
        ("last.csv", [GREY, LABELS], {}),
        ("named last.csv", [GREY, LABELS], {"heading": f"{NAMES},class"}),
        ("packed.csv.gz", [LABELS, GREY], {}),
        ("semicolons.csv", [LABELS, GREY], {"separator": ";"}),
        ("tabs.tsv", [GREY, LABELS], {"separator": "\t"}),
        ("blanks.txt", [LABELS, GREY], {"separator": "  "}),
        ("counted.csv", [np.arange(40), LABELS, GREY], {"heading": f"Unnamed: 0,label,{NAMES}"}),
        ("numbered.csv", [LABELS, GREY], {"heading": ",".join(map(str, range(26)))}),
        ("quoted.csv", [LABELS, GREY], {"form": '"%s"'}),
        ("points.csv", [LABELS, GREY], {"form": "%s.0"}),
        ("mark.csv", [LABELS, GREY], {"heading": f"\ufefflabel,{NAMES}"}),
        ("windows.csv", [LABELS, GREY], {"heading": f"label,{NAMES}\r"}),
    ],
)
def test_a_table_gives_its_images(tmp_path: Path, name: str, columns: list[Any], settings: dict[str, str]) -> None:
    split = pg.load(table(tmp_path / name, columns, **settings))
    assert (split.train.shape, split.train.images.dtype, split.kind) == ((1, 5, 5), np.uint8, "CSV file")
    assert len(split.test) == 8  # a fifth of each class
    assert split.is_held_back
    same(split)


def test_a_table_of_shares_and_of_words(tmp_path: Path) -> None:
    shares = (GREY / np.float32(255)).astype(np.float32)
    words = np.array(["bee", "cat", "ant", "dog"])[LABELS]
    split = pg.load(table(tmp_path / "a.csv", [words, shares]))
    assert (split.train.images.dtype, split.train.classes) == (np.float32, ("ant", "bee", "cat", "dog"))
    same(split, shares, np.array([1, 2, 0, 3])[LABELS])
    decimal = [[str(each).replace(".", ",") for each in row] for row in shares.reshape(40, -1).tolist()]
    same(pg.load(table(tmp_path / "b.csv", [LABELS, np.array(decimal)], separator=";")), shares)
    ones = (GREY > 127).astype(int)
    same(pg.load(table(tmp_path / "c.csv", [LABELS, ones])), ones.astype(np.float32))  # 0 and 1 are no 255ths


def test_a_table_in_colour_needs_its_shape(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", [LABELS, RGB])
    refused(lambda: pg.load(path), "3073 columns", "--shape", "3x32x32")
    same(pg.load(path, shape="3x32x32"), RGB)
    behind = table(tmp_path / "b.csv", [LABELS, RGB.transpose(0, 2, 3, 1)])
    same(pg.load(behind, shape=(32, 32, 3)), RGB)
    refused(lambda: pg.load(path, shape="3x32"), "3073 columns")
    refused(lambda: pg.load(path, shape="a"), "'a'", "28x28", kind=SettingError)


def test_a_table_that_does_not_tell_its_labels(tmp_path: Path) -> None:
    spread = GREY.copy()
    spread[:, 0, 0, 0] = spread[:, 0, -1, -1] = np.arange(40) % 7
    path = table(tmp_path / "a.csv", [spread, LABELS])
    refused(lambda: pg.load(path), "first and its last column", "--label first")
    same(pg.load(path, label="last"), spread)
    headed = table(tmp_path / "b.csv", [spread, LABELS], f"{NAMES},kind")
    same(pg.load(headed, label="kind"), spread)
    refused(lambda: pg.load(headed, label="pixel3"), "first or last", kind=SettingError)
    refused(lambda: pg.load(headed, label="species"), "no column 'species'", kind=SettingError)
    refused(lambda: pg.load(table(tmp_path / "test.csv", [GREY])), "no labels", "predict")


def test_a_table_in_the_order_of_its_classes_is_looked_at_all_over(tmp_path: Path) -> None:
    """The first lines have one label, and a last pixel that might be one."""
    many = np.repeat(GREY[:1], 6000, 0)
    many[:, 0, 0, 0], many[:, 0, -1, -1] = 0, 16 * (np.arange(6000) % 9 == 0)
    rows = np.concatenate([np.repeat(np.arange(4), 1500)[:, np.newaxis], many.reshape(6000, -1)], axis=1)
    np.savetxt(tmp_path / "a.csv", rows, "%d", ",")
    split = pg.load(tmp_path / "a.csv")
    assert np.bincount(split.test.labels).tolist() == [300] * 4
    assert any("first column" in each for each in split.notes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("no line",)),
        (b"label,a,b,c,d\n", ("no line of pixels",)),
        (b"hello\n", ("'hello'", "commas")),
        (b"1,0,0,0,0\n2,0,0,0,0\n3,0,0,0\n", ("line 3 has 4 cells", "5")),
        (b"1,0,0,0,0\n2,0,x,0,0\n", ("line 2", "'x'", "no number")),
        (b"1,0,0,0,0\n2,0,,0,0\n", ("line 2", "''", "no number")),
        (b"1,0,0,0,0\n\n3,0,nan,0,0\n1,0,0,0,0\n3,0,0,0,0", ("NaN",)),
        (b"1,0,0,0,0\n2,0,\xff,0,0\n", ("line 2", "UTF-8")),
        ("1,0,0,0,0\n".encode("utf-16"), ("UTF-8",)),
        (b"1.5,0,0,0,0\n2,0,0,0,0\n", ("labels",)),
        (b"-1,0,0,0,0\n2,0,0,0,0\n", ("labels",)),
        (b"1,0,0,0,0\n,0,0,0,0\n", ("line 2", "''", "label")),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    refused(lambda: pg.load(tmp_path / "a.csv"), "a.csv", *words)
    (tmp_path / "b.csv").write_bytes(gzip.compress(content))
    refused(lambda: pg.load(tmp_path / "b.csv"), *words)


# Arrays


def test_npz_as_keras_has_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=GREY[:30, 0], y_train=LABELS[:30], x_test=GREY[30:, 0], y_test=LABELS[30:])
    split = pg.load(tmp_path / "a.npz")
    assert not split.is_held_back
    np.testing.assert_array_equal(split.train.images, GREY[:30])
    np.testing.assert_array_equal(split.test.labels, LABELS[30:])


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("X", "y"),
        ("data", "target"),
        ("train_images", "train_labels"),
        ("Xtrain", "Ytrain"),
        ("arr_0", "arr_1"),
    ],
)
def test_names_of_arrays(tmp_path: Path, images: str, labels: str) -> None:
    np.savez_compressed(tmp_path / "a.npz", **{images: GREY[:, 0], labels: LABELS})
    same(pg.load(tmp_path / "a.npz"))


def test_npy_files_in_a_folder(tmp_path: Path) -> None:
    for name, array in (("X_train", GREY), ("y_train", LABELS), ("X_val", GREY[:8]), ("y_val", LABELS[:8])):
        np.save(tmp_path / f"{name}.npy", array)
    split = pg.load(tmp_path)
    assert any("validation images are the test" in each for each in split.notes)
    for part in ("X_test", "y_test"):
        np.save(tmp_path / f"{part}.npy", (GREY if part[0] == "X" else LABELS)[:4])
    split = pg.load(tmp_path)
    assert split.validation is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (40, 8, 4)
    refused(lambda: pg.load(tmp_path / "X_train.npy"), "no labels")
    np.save(tmp_path / "images_train.npy", GREY)
    refused(lambda: pg.load(tmp_path), "both images for train")


@pytest.mark.parametrize(
    ("array", "shape", "expected"),
    [
        (RGB, None, RGB),
        (RGB.transpose(0, 2, 3, 1), None, RGB),
        (RGB.transpose(2, 3, 1, 0), None, RGB),  # as MATLAB has it
        (GREY[:, 0], None, GREY),
        (GREY[:, 0].transpose(1, 2, 0), None, GREY),
        (GREY.reshape(40, -1), None, GREY),
        (GREY.reshape(40, -1).T, None, GREY),
        (RGB.reshape(40, -1), "3x32x32", RGB),
        (RGB.transpose(0, 2, 3, 1).reshape(40, -1), "32x32x3", RGB),
        (GREY.transpose(0, 2, 3, 1), None, GREY),
        (RGB[:, :2], None, RGB[:, :2]),
        (RGB[:, :, :3], "3x3x32", RGB[:, :, :3]),
    ],
)
def test_arrays_are_laid_out(array: np.ndarray, shape: str | None, expected: np.ndarray) -> None:
    made, _ = laid_out(array, 40, shape_told(shape), "a")
    np.testing.assert_array_equal(made, expected)


def test_arrays_that_cannot_be_laid_out() -> None:
    refused(lambda: laid_out(RGB, 41, None, "a"), "41 labels")
    refused(lambda: laid_out(RGB[:, :, :9, :9].transpose(0, 2, 1, 3), 40, None, "a"), "channels first or last")
    refused(lambda: laid_out(np.zeros(5), None, None, "a"), "(5,)")
    refused(lambda: laid_out(np.zeros((2, 7)), 2, None, "a"), "no square")


@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS.astype(float), LABELS[:, np.newaxis], LABELS[np.newaxis], np.eye(4, dtype=np.uint8)[LABELS]],
)
def test_labels_in_every_form(labels: np.ndarray) -> None:
    np.testing.assert_array_equal(class_numbers(labels, "a").numbers, LABELS)


def test_labels_that_are_none() -> None:
    refused(lambda: class_numbers(np.ones((3, 4)), "a"), "one-hot")
    refused(lambda: class_numbers([0, np.nan], "a"), "nan", "position 1")
    refused(lambda: class_numbers([0, 1e300], "a"), "position 1")
    refused(lambda: class_numbers([1j], "a"), "complex128")


def test_objects_are_never_read(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "X.npy", GREY[:1])
    refused(lambda: pg.load(tmp_path), "y.npy", "any program")
    np.savez(tmp_path / "a.npz", X=GREY, y=LABELS, meta=np.array([{}], dtype=object))
    same(pg.load(tmp_path / "a.npz"))
    (tmp_path / "cifar").mkdir()
    (tmp_path / "cifar" / "data_batch_1").write_bytes(b"\x80\x02}q\x01.")
    for place in (tmp_path / "cifar", tmp_path / "cifar" / "data_batch_1"):
        refused(lambda: pg.load(place), "any program", "cifar-10-binary.tar.gz")  # noqa: B023


def test_headers_that_promise_too_much_cost_nothing(tmp_path: Path) -> None:
    header = str({"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 28, 28)}).ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(50)
    (tmp_path / "X.npy").write_bytes(content)
    np.save(tmp_path / "y.npy", LABELS)
    refused(lambda: pg.load(tmp_path), "cut short", "50 bytes")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", content)
    refused(lambda: pg.load(tmp_path / "a.npz"), "asks for", "damaged")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(65):
            archive.writestr(f"a{n}.npy", b"")
    refused(lambda: pg.load(tmp_path / "b.npz"), "65 arrays", "64")


# MATLAB


def test_mat_as_svhn_has_it(tmp_path: Path) -> None:
    io_of = pytest.importorskip("scipy.io")
    labels = np.arange(40) % 10
    svhn = {"X": RGB.transpose(2, 3, 1, 0), "y": np.where(labels == 0, 10, labels)[:, np.newaxis]}
    io_of.savemat(tmp_path / "train_32x32.mat", svhn, do_compression=True)
    split = pg.load(tmp_path / "train_32x32.mat")
    same(split, RGB, labels)
    assert any("label 10" in each for each in split.notes)
    io_of.savemat(tmp_path / "test_32x32.mat", {name: array[..., :8] for name, array in svhn.items() if name == "X"})
    refused(lambda: pg.load(tmp_path / "test_32x32.mat"), "no labels")
    io_of.savemat(tmp_path / "test_32x32.mat", svhn | {"info": {"a": 1}})
    both = pg.load(tmp_path)
    assert (len(both.train), len(both.test), both.kind) == (40, 40, "MAT files")
    rows = {"train_x": GREY.reshape(40, -1), "train_y": np.eye(4)[LABELS]}
    io_of.savemat(tmp_path / "rows.mat", rows)
    same(pg.load(tmp_path / "rows.mat"))
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    refused(lambda: pg.load(tmp_path / "new.mat"), "7.3", "-v7")


@pytest.mark.parametrize("kind", ["u1", "i2", "f4", "f8", "u4", "i8", ">i4"])
@pytest.mark.parametrize("packed", [False, True])
def test_mat_files_are_those_that_scipy_writes(tmp_path: Path, kind: str, packed: bool) -> None:
    arrays = {"x": GREY.astype(kind), "y": LABELS[:1].astype(kind), "longer_name": GREY[:3, 0, :, 0].T.astype(kind)}
    others = {"text": "abc", "cell": np.array([{}], object), "z": np.array([1j]), "info": {"a": 1}}
    pytest.importorskip("scipy.io").savemat(tmp_path / "a.mat", arrays | others, do_compression=packed)
    read = dict(read_mat(tmp_path / "a.mat"))
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name].squeeze(), array.squeeze())


def test_what_matlab_stores_in_few_bytes(tmp_path: Path) -> None:
    """Whole floats are stored as bytes, and four bytes at most within the tag; numbers in either order of bytes."""
    for order in "<>":
        header = b"MATLAB 5.0".ljust(124) + struct.pack(f"{order}2H", 0x0100, 0x4D49)
        name = struct.pack(f"{order}2H", 1, 1) + b"x\0\0\0"
        for numbers, made in (((0, 1, 1), np.float32), ((0, 9, 200), np.uint8)):
            parts = struct.pack(f"{order}4I", 6, 8, 6, 0) + struct.pack(f"{order}2I2i", 5, 8, 1, 3) + name
            parts += struct.pack(f"{order}I", 3 << 16 | 2) + bytes((*numbers, 0))
            content = header + struct.pack(f"{order}2I", 14, len(parts)) + parts
            (tmp_path / "a.mat").write_bytes(content)
            ((told, array),) = read_mat(tmp_path / "a.mat")
            assert (told, array.tolist(), array.dtype) == ("x", [list(numbers)], made)


# CIFAR


def batch(images: np.ndarray, *labels: np.ndarray) -> bytes:
    return np.concatenate(
        [*(each.astype(np.uint8)[:, np.newaxis] for each in labels), images.reshape(40, -1)], 1
    ).tobytes()


def test_cifar_10_as_it_is_downloaded(tmp_path: Path) -> None:
    files = {f"data_batch_{n}.bin": batch(RGB, (LABELS + n) % 10) for n in (2, 1)} | {
        "test_batch.bin": batch(RGB, LABELS)
    }
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            told = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            told.size = len(content)
            archive.addfile(told, io.BytesIO(content))
    within = tmp_path / "get" / "cifar-10-batches-bin"
    within.mkdir(parents=True)
    for name, content in files.items():
        (within / f"{name}.gz").write_bytes(gzip.compress(content))
    for place in (tmp_path / "cifar-10-binary.tar.gz", tmp_path / "get", within):
        split = pg.load(place)
        assert split.train.classes[:2] == ("airplane", "automobile")
        np.testing.assert_array_equal(split.train.images, np.concatenate([RGB, RGB]))
        np.testing.assert_array_equal(split.train.labels, np.concatenate([(LABELS + n) % 10 for n in (1, 2)]))
        np.testing.assert_array_equal(split.test.labels, LABELS)
    by_name = pg.load("cifar10", within)
    assert (by_name.name, len(by_name.train)) == ("cifar10", 80)
    refused(lambda: pg.load("cifar10", tmp_path / "none"), "plaingrad data get cifar10")


def test_cifar_100_has_two_labels(tmp_path: Path) -> None:
    fine = np.arange(40) % 100
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(batch(RGB, LABELS, fine))
    np.testing.assert_array_equal(pg.load(tmp_path).train.labels, fine)
    (tmp_path / "coarse_label_names.txt").write_text("a\nb\nc\nd\n")
    coarse = pg.load(tmp_path, label="coarse")
    np.testing.assert_array_equal(coarse.train.labels, LABELS)
    assert coarse.train.classes == ("a", "b", "c", "d")
    refused(lambda: pg.load(tmp_path, label="first"), "'first'", "coarse", kind=SettingError)
    (tmp_path / "test.bin").write_bytes(batch(RGB, LABELS, fine)[:-1])
    refused(lambda: pg.load(tmp_path), "test.bin", "3074", "cut short")


# Folders


def pictures(folder: Path, parts: dict[str, int], ending: str = "png") -> Path:
    """For each part, two classes of so many images of 4x5."""
    image = pytest.importorskip("PIL.Image")
    for part, count in parts.items():
        for place, name in enumerate(("ant", "bee")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                image.fromarray(np.full((4, 5), 100 * place + number, np.uint8)).save(
                    folder / part / name / f"{number}.{ending}"
                )
    return folder


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"train": 5, "valid": 2}, (10, None, 4)),
        ({"Train": 5, "Test": 2}, (10, None, 4)),
        ({"training": 5, "testing": 3}, (10, None, 6)),
        ({"train": 5, "val": 1, "test": 2}, (10, 2, 4)),
        ({"TRAIN": 5, "Validation": 1, "TEST": 2}, (10, 2, 4)),
        ({"train": 5}, (8, None, 2)),
        ({"": 5}, (8, None, 2)),
        ({"data/images": 5}, (8, None, 2)),
    ],
)
def test_folders_as_people_lay_them(tmp_path: Path, parts: dict[str, int], expected: tuple[Any, ...]) -> None:
    split = pg.load(pictures(tmp_path, parts))
    validation = None if split.validation is None else len(split.validation)
    assert (len(split.train), validation, len(split.test)) == expected
    assert all((data.images[:, 0, 0, 0] >= 100).astype(int).tolist() == data.labels.tolist() for data in split)


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    pictures(tmp_path, {"train": 3, "test": 2})
    for name in ("__MACOSX/train/ant", ".ipynb_checkpoints", "extra"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("train/ant/._0.png", "train/ant/Thumbs.db", ".DS_Store", "train/.DS_Store", "train/bee/desktop.ini"):
        (tmp_path / name).write_bytes(b"")
    assert pg.load(tmp_path).notes == (f"{tmp_path}: 1 passed over: 1 folders",)
    for name in ("train/ant/a.heic", "train/ant/b.heic", "train/notes.txt", "train/loose.png"):
        (tmp_path / name).write_bytes(b"")
    assert f"{tmp_path / 'train'}: 4 passed over: 2 .heic, 1 .png, 1 .txt" in pg.load(tmp_path).notes
    (tmp_path / "files").mkdir()
    for name in ("a.docx", "b.docx"):
        (tmp_path / "files" / name).write_bytes(b"")
    refused(lambda: pg.load(tmp_path / "files"), "2 other files")
    (tmp_path / "Test" / "ant").mkdir(parents=True)
    refused(lambda: pg.load(tmp_path), "Test and test are both called test")


@pytest.mark.parametrize("ending", ["webp", "tif", "tiff"])
def test_more_kinds_of_images(tmp_path: Path, ending: str) -> None:
    assert len(pg.load(pictures(tmp_path, {"": 3}, ending)).train) == 4


def test_images_of_any_size_are_made_alike_where_a_shape_is_told(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pictures(tmp_path, {"": 4})
    image.fromarray(np.full((40, 80, 3), 100, np.uint8)).save(tmp_path / "ant" / "9.png")
    refused(lambda: pg.load(tmp_path), "9.png", "--shape")
    split = pg.load(tmp_path, shape="8x8")
    assert split.train.shape == (1, 8, 8)
    assert any("9 of 9 images made grey or resized" in each for each in split.notes)


def test_tables_in_a_folder(tmp_path: Path) -> None:
    table(tmp_path / "mnist_train.csv", [LABELS, GREY])
    table(tmp_path / "mnist_test.csv", [LABELS, GREY])
    assert len(pg.load(tmp_path).test) == 40
    table(tmp_path / "mnist_test.csv", [GREY])
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    split = pg.load(tmp_path)
    assert len(split.test) == 8
    assert any("test images have no labels" in each for each in split.notes)
    assert any("sample_submission.csv passed over" in each for each in split.notes)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.zip", "unpack"),
        ("a.h5", "numpy.savez"),
        ("a.pkl", "any program"),
        ("a.parquet", "class folders"),
        ("a.jpg", "predict"),
        ("a", "CSV"),
    ],
)
def test_every_other_kind_has_a_way_out(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"abc")
    refused(lambda: pg.load(tmp_path / name), name, words)


def test_a_description_is_true(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    np.savez(tmp_path / "a.npz", X=RGB, y=LABELS)
    told = pg.load(tmp_path / "a.npz").describe()
    parts = told.to_json()["parts"]
    assert sum(part["images"] for part in parts.values()) == 40
    assert parts["test"]["classes"] == dict.fromkeys("0123", 2)
    assert sum(part["mean"] * part["images"] for part in parts.values()) / 40 == pytest.approx(RGB.mean())
    assert "32 rows x 32 columns, 3 channels (RGB), uint8" in str(told)
    drawn = np.asarray(image.open(told.picture(tmp_path / "a.png")))
    first = pg.load(tmp_path / "a.npz").train.images[0].transpose(1, 2, 0)
    np.testing.assert_array_equal(drawn[:64:2, :64:2], first)
    assert "train: 1,437 images, pixels 0 to 1" in str(pg.digits().describe())
    assert str(pg.digits().train.describe()).startswith("digits: arrays")
