"""IDX, the file format of MNIST: a magic number, the length of each axis, and the numbers, all big-endian."""

import gzip
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaingrad.data.dataset import Split
from plaingrad.data.found import Found, Part
from plaingrad.data.layout import class_numbers
from plaingrad.data.names import TEST, TRAIN
from plaingrad.data.numpy_files import mapped
from plaingrad.data.opened import Opened, opened, read_exactly, require_room
from plaingrad.errors import DataError

Array = NDArray[Any]

# The third byte of the file names the type of its numbers.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# What each of the four files of a split is called; the dot is what unpacking tools often make of the first dash.
STEMS = (
    ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
)


def read_idx(path: str | Path) -> Array:
    """The array in an IDX file, gzipped or not, in the machine's own byte order. DataError if it is not a whole one.

    One that is not gzipped is mapped: it takes no memory until it is used.
    """
    path = Path(path)
    with opened(path) as file:
        return _read(path, file)


def _read(path: Path, file: Opened) -> Array:
    stream = file.stream
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise DataError(
            f"{path}: its first bytes are {magic.hex(' ') or 'none'}; an IDX file needs the magic number 00 00, "
            f"a type ({', '.join(f'{each:02x}' for each in TYPES)}) and the number of axes: is it an IDX file?"
        )
    axes = magic[3]
    lengths = stream.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise DataError(f"{path}: {len(lengths)} bytes of axis lengths there, {4 * axes} needed; fetch it again")
    shape = struct.unpack(f">{axes}I", lengths)
    dtype = np.dtype(TYPES[magic[2]])
    needed = math.prod(shape) * dtype.itemsize
    wanted = f"{' x '.join(map(str, shape[:8]))}{' x …' if axes > 8 else ''} {dtype.name}"
    if axes > 64:  # NumPy's limit
        raise DataError(f"{path}: its header asks for {axes} axes, at most 64 can be; the file is damaged")
    require_room(path, needed, wanted, file)
    start = 4 + 4 * axes
    if not file.is_packed and file.room == start + needed:
        flat = mapped(path, stream, dtype, start, needed)
    else:
        flat = np.frombuffer(read_exactly(path, stream, needed, wanted), dtype)
    return flat.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: str | Path, array: Array) -> None:
    """Write an array of one of the six IDX types; gzipped if the name ends in .gz, with the same bytes every time."""
    path = Path(path)
    codes = {np.dtype(kind).newbyteorder("="): code for code, kind in TYPES.items()}
    own = array.dtype.newbyteorder("=")
    if own not in codes:
        raise DataError(f"{path}: an IDX file cannot hold {array.dtype}; it needs one of {', '.join(map(str, codes))}")
    header = bytes((0, 0, codes[own], array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + np.asarray(array, TYPES[codes[own]]).tobytes()
    try:
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None


def idx_files(folder: str | Path) -> list[Path | None]:
    """Train images, train labels, test images and test labels of a folder, None for each that is missing."""
    folder = Path(folder)
    found = []
    for stems in STEMS:
        places = [folder / f"{stem}{end}" for stem in stems for end in (".gz", "")]
        found.append(next((each for each in places if each.is_file()), None))
    return found


def idx_found(folder: str | Path) -> Found:
    """The four IDX files of a folder. DataError where one is missing, or where they do not fit."""
    folder, files = Path(folder), idx_files(folder)
    missing = [stems[0] for stems, file in zip(STEMS, files, strict=True) if file is None]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)} (or with .gz); fetch them, or say where they are")
    paths = [each for each in files if each is not None]
    arrays = [read_idx(each) for each in paths]
    for path, array, axes in zip(paths, arrays, (3, 1, 3, 1), strict=True):
        if array.ndim != axes:
            raise DataError(f"{path}: it holds {array.ndim} axes, {array.shape}; {axes} needed: is it the right file?")
    for each in (0, 2):
        images, labels = len(arrays[each]), len(arrays[each + 1])
        if images != labels:
            raise DataError(
                f"{paths[each].name} holds {images} images and {paths[each + 1].name} {labels} labels in {folder}; "
                "they need as many: fetch both again"
            )
    pairs = {TRAIN: arrays[:2], TEST: arrays[2:]}
    parts = {name: Part(images[:, np.newaxis], class_numbers(labels, name)) for name, (images, labels) in pairs.items()}
    return Found("IDX files", parts)


def idx_split(folder: str | Path, name: str, classes: Sequence[str]) -> Split:
    """The four IDX files of a data set that has a name, with its classes."""
    missing = [stems[0] for stems, file in zip(STEMS, idx_files(folder), strict=True) if file is None]
    if missing:
        raise DataError(
            f"{name}: {folder} lacks {', '.join(missing)} (or with .gz); "
            f"fetch them with `plaingrad data get {name}`, or say where they are with --data-dir"
        )
    found = idx_found(folder)
    found.classes = classes
    return found.split(name)
