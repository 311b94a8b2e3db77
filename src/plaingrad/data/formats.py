"""Which reader takes which file or folder, and what to do about those that none takes."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from plaingrad.data.cifar import is_python_version as is_python_cifar
from plaingrad.data.cifar import kind_of, python_version, read_cifar, read_tar
from plaingrad.data.folder import holds_images, images_found, visible_within
from plaingrad.data.found import Found, Part
from plaingrad.data.idx import idx_files, idx_found, read_idx
from plaingrad.data.images import ENDINGS
from plaingrad.data.layout import Array, Labels, class_numbers, laid_out
from plaingrad.data.matlab import read_mat
from plaingrad.data.names import IMAGES, LABELS, TEST, TRAIN, array_of, part_in, usual
from plaingrad.data.numpy_files import read_npy, read_npz
from plaingrad.data.table import read_table
from plaingrad.errors import DataError

TABLES = (".csv", ".tsv", ".txt")
SINGLE = (*TABLES, ".npz", ".mat")  # one file of these can hold images and labels
WAYS_OUT = {
    ".zip": "unpack it, and name the folder",
    ".7z": "unpack it, and name the folder",
    ".rar": "unpack it, and name the folder",
    ".h5": "save its arrays with numpy.savez(file, x_train=…, y_train=…)",
    ".hdf5": "save its arrays with numpy.savez(file, x_train=…, y_train=…)",
    ".parquet": "save its images as files in class folders, or its arrays with numpy.savez(file, x_train=…, y_train=…)",
    ".xlsx": "save it as CSV",
    ".pkl": "such files could run any program when read: save its arrays with numpy.savez(file, x_train=…, y_train=…)",
    ".pt": "such files could run any program when read: save its arrays with numpy.savez(file, x_train=…, y_train=…)",
}
WAYS_OUT |= {".pth": WAYS_OUT[".pt"]}
READ = "CSV, NPY, NPZ, MAT, IDX and CIFAR's binary files, and folders of such files or of images, are read"
DEEPEST = 4  # folders that hold nothing but a folder

Arrays = Mapping[str, Array]


def found_at(path: Path, label: str | None = None, shape: tuple[int, ...] | None = None, seed: int = 0) -> Found:
    """What a file or a folder of data holds. DataError, one line, for one that cannot be read.

    label: where the labels are: "first", "last" or "none" of a table's columns, or a heading; of CIFAR-100's, "fine"
    or "coarse". shape: that of an image, such as (28, 28), (3, 32, 32) or (32, 32, 3). seed: of a folder's shuffling.
    """
    if path.is_dir():
        return _in_folder(path, label, shape, seed)
    ending = _ending(path)
    if ending in TABLES:
        return _table(path, label, shape)
    if ending in (".npz", ".mat"):
        return of_arrays(ending[1:].upper() + " file", dict(_members(path, ending)), str(path), shape, ending == ".mat")
    if ending in (".tar", ".tgz"):
        return read_tar(path, label or "fine")
    if ending == ".bin":
        return read_cifar([path], label or "fine")
    if ending == ".npy" or "idx" in path.name:
        images, note = laid_out(read_npy(path) if ending == ".npy" else read_idx(path), None, shape, str(path))
        return Found(f"{ending[1:].upper() or 'IDX'} file", {TRAIN: Part(images)}, notes=[note] if note else [])
    raise DataError(f"{path}: {_way_out(path)}")


def _ending(path: Path) -> str:
    """The ending that tells the kind of a file, in small letters, gzipped or not."""
    name = path.name.lower()
    if name.endswith(".tar.gz"):
        return ".tar"
    return Path(name.removesuffix(".gz")).suffix


def _way_out(path: Path) -> str:
    if is_python_cifar([path.name]):
        return python_version()
    ending = _ending(path)
    if ending in ENDINGS:
        return "is one image; `plaingrad predict` classifies it, and to train a folder of class folders is needed"
    if ending == ".safetensors":
        return "is a checkpoint, not data"
    return (
        f"is a file of a kind that is not read; {WAYS_OUT.get('.pkl' if ending.startswith('.pick') else ending, READ)}"
    )


def _members(path: Path, ending: str) -> Iterator[tuple[str, Array]]:
    return read_npz(path) if ending == ".npz" else read_mat(path)


def _table(path: Path, label: str | None, shape: tuple[int, ...] | None) -> Found:
    part, notes = read_table(path, label, shape)
    return Found("CSV file", {TRAIN: part}, notes=notes)


def of_arrays(kind: str, arrays: Arrays, who: str, shape: tuple[int, ...] | None, last: bool = False) -> Found:
    """Parts from named arrays. `last`: the last axis is that of images where both can be, as in MATLAB."""
    told = {name: array_of(name) for name in arrays}
    parts: dict[str, dict[str, str]] = {}
    for name, role in told.items():
        if role is not None:
            taken = parts.setdefault(role[1], {}).setdefault(role[0], name)
            if taken != name:
                raise DataError(f"{who}: {taken} and {name} are both {role[0]} for {role[1]}; leave one of them out")
    notes = []
    if not any(IMAGES in each for each in parts.values()):
        parts = {TRAIN: _by_shape(arrays, who)}
        notes.append(f"{who}: {parts[TRAIN][IMAGES]} is taken for the images, {parts[TRAIN][LABELS]} for the labels")
    found = {}
    for part, names in parts.items():
        if IMAGES not in names:
            raise DataError(f"{who}: labels {names[LABELS]} without images for {part}; call them {usual(IMAGES)}")
        labels = class_numbers(arrays[names[LABELS]], f"{who}, {names[LABELS]}") if LABELS in names else None
        own = f"{who}, {names[IMAGES]}"
        count = len(labels.numbers) if labels else None
        images, note = laid_out(arrays[names[IMAGES]], count, shape, own, last)
        if labels and last and _counts_to_ten(labels, images):
            labels = Labels(labels.numbers % 10)
            notes.append(f"{who}: label 10 is taken as the digit 0, as in SVHN")
        found[part] = Part(images, labels)
        notes += [note] if note else []
    used = {name for names in parts.values() for name in names.values()}
    if others := [name for name in arrays if name not in used]:
        notes.append(f"{who}: {len(others)} arrays passed over: {', '.join(others[:5])}{', …' if others[5:] else ''}")
    return Found(kind, found, notes=notes)


def _counts_to_ten(labels: Labels, images: Array) -> bool:
    numbers = labels.numbers
    return images.shape[1:] == (3, 32, 32) and labels.names is None and (numbers.min(), numbers.max()) == (1, 10)


def _by_shape(arrays: Arrays, who: str) -> dict[str, str]:
    """Of two arrays without usual names the one with more axes holds the images."""
    names = sorted(arrays, key=lambda name: -arrays[name].ndim)
    if len(names) == 2 and arrays[names[0]].ndim > arrays[names[1]].ndim == 1:
        return {IMAGES: names[0], LABELS: names[1]}
    raise DataError(
        f"{who}: its arrays are called {', '.join(names[:8]) or 'nothing'}; images need to be called {usual(IMAGES)}, "
        f"labels {usual(LABELS)}, with train or test before or behind, as in x_train and y_train"
    )


def _in_folder(path: Path, label: str | None, shape: tuple[int, ...] | None, seed: int) -> Found:
    for _ in range(DEEPEST):
        within = visible_within(path)
        files = [each for each in within if each.is_file()]
        if files or len(within) != 1:
            break
        path = within[0]
    names = [each.name for each in files]
    if any(idx_files(path)):
        return idx_found(path)
    if cifar := [each for each in files if kind_of(each.name)]:
        return read_cifar(cifar, label or "fine")
    if is_python_cifar(names):
        raise DataError(f"{path}: {python_version()}")
    if not holds_images(path):
        if arrays := [each for each in files if _ending(each) == ".npy" and array_of(_stem(each))]:
            return of_arrays("NPY files", {_stem(each): read_npy(each) for each in arrays}, str(path), shape)
        if single := [each for each in files if _ending(each) in SINGLE]:
            return _of_files(path, single, lambda each: found_at(each, label, shape))
        if len(files) == 1 and not any(each.is_dir() for each in within):
            return found_at(files[0], label, shape)
    return images_found(path, seed, shape)


def _stem(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").removesuffix(".npy")


def _of_files(path: Path, files: list[Path], read: Callable[[Path], Found]) -> Found:
    """The parts that the files of a folder are called by: mnist_train.csv, test_32x32.mat; or one file alone."""
    told = {each: part_in(each.name) for each in files}
    if len(files) == 1:
        return read(files[0])
    if not any(told.values()):
        some = ", ".join(each.name for each in files[:4])
        raise DataError(f"{path}: {some}{', …' if files[4:] else ''}: name one of them, or call them train and test")
    parts, notes, kinds, names = dict[str, Part](), list[str](), list[str](), dict[str, Path]()
    for each, part in told.items():
        if part is None:
            notes.append(f"{path}: {each.name} passed over: it is not called train, validation or test")
            continue
        if part in names:
            raise DataError(f"{path}: {names[part].name} and {each.name} are both called {part}; move one away")
        names[part] = each
        found = read(each)
        if set(found.parts) != {TRAIN}:
            raise DataError(f"{each}: it is called {part}, and holds {' and '.join(found.parts)}; name this file alone")
        parts[part], notes, kinds = found.parts[TRAIN], notes + found.notes, [*kinds, found.kind]
    return Found(f"{kinds[0]}s", parts, notes=notes)


def unlabelled(path: Path, needs: tuple[int, int, int], label: str | None = None) -> tuple[Array, list[str]] | None:
    """The images of a file of arrays, for a network that takes (channel, row, column); None for a file of one image.

    Labels, where there are any, are left aside. One array of `needs` itself is one image.
    """
    ending = _ending(path)
    if ending in ENDINGS or not (ending in (*SINGLE, ".npy", ".bin", ".tar", ".tgz") or "idx" in path.name):
        return None
    if ending == ".npy" and path.is_file():
        array = read_npy(path)
        if array.shape in (needs, needs[1:]) and (array.ndim == 3 or needs[0] == 1):
            return array.reshape(1, *needs), []
    found = found_at(path, label, needs)
    part = found.parts.get(TEST) or found.parts[TRAIN]
    return np.ascontiguousarray(part.images), found.notes
