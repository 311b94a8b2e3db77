"""IDX, the file format of MNIST: a magic number, the length of each axis, and the numbers, all big-endian."""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaingrad.data.dataset import Dataset, Split, numbered
from plaingrad.errors import DataError

Array = NDArray[Any]

# The third byte of the file names the type of its numbers.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

GZIP_MAGIC = b"\x1f\x8b"
GZIP_BEST = 1032  # deflate packs no more than this many bytes into one
MOST_UNPACKED = 1 << 30  # bytes: a small file may tell of very many

# What each of the four files of a split is called; the dot is what unpacking tools often make of the first dash.
STEMS = (
    ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
)


def read_idx(path: str | Path) -> Array:
    """The array in an IDX file, gzipped or not, in the machine's own byte order. DataError if it is not a whole one."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not packed:
                return _read(file, path, size, "the file")
            with gzip.open(file) as stream:
                return _read(stream, path, size * GZIP_BEST, f"a gzip file of {size} bytes")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip file is damaged or cut short ({error}); fetch it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read(stream: BufferedIOBase | gzip.GzipFile, path: Path, room: int, holder: str) -> Array:
    """Read one array; `room` is the most bytes `holder` can hold, so that no header makes us allocate more."""
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
    wanted = f"{' x '.join(map(str, shape))} {dtype.name}"
    if axes > 64:  # NumPy's limit
        raise DataError(f"{path}: its header asks for {axes} axes, at most 64 can be; the file is damaged")
    if needed > room:
        raise DataError(
            f"{path}: its header asks for {needed} bytes ({wanted}), {holder} has at most {room}: "
            "it is damaged or cut short; fetch it again"
        )
    if isinstance(stream, gzip.GzipFile) and needed > MOST_UNPACKED:
        raise DataError(
            f"{path}: its header asks for {needed} bytes ({wanted}), at most {MOST_UNPACKED} are unpacked; "
            "if it is what you want, unpack it with gunzip first"
        )
    content, there = bytearray(needed), 0
    while there < needed and (read := stream.readinto(memoryview(content)[there:])):  # into its place, not to be copied
        there += read
    if there < needed:
        raise DataError(f"{path}: cut short: {there} bytes there, {needed} needed ({wanted}); fetch it again")
    # Reading on also makes gzip compare its check sum.
    if more := len(stream.read(1 << 20)):
        raise DataError(
            f"{path}: {more} trailing bytes or more after the {needed} its header announces ({wanted}); fetch it again"
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


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


def idx_split(folder: str | Path, name: str, classes: Sequence[str] | None = None) -> Split:
    """The four IDX files of a folder as a split; without `classes` they are named "0" up to the largest label."""
    files = idx_files(folder)
    missing = [stems[0] for stems, file in zip(STEMS, files, strict=True) if file is None]
    if missing:
        known = name if name == "fashion-mnist" else "mnist"
        raise DataError(
            f"{name}: {folder} lacks {', '.join(missing)} (or with .gz); "
            f"fetch them with `plaingrad data get {known}`, or say where they are with --data-dir"
        )
    paths = [each for each in files if each is not None]
    arrays = [read_idx(each) for each in paths]
    for path, array, axes in zip(paths, arrays, (3, 1, 3, 1), strict=True):
        if array.ndim != axes:
            raise DataError(f"{path}: it holds {array.ndim} axes, {array.shape}; {axes} needed: is it the right file?")
    for each in (0, 2):
        images, labels = len(arrays[each]), len(arrays[each + 1])
        if images != labels:
            raise DataError(
                f"{name}: {paths[each].name} holds {images} images and {paths[each + 1].name} {labels} labels "
                f"in {folder}; they need as many: fetch both again"
            )
    names = numbered(name, arrays[1], arrays[3]) if classes is None else tuple(classes)
    train = Dataset(arrays[0][:, np.newaxis], arrays[1], names, f"{name} train")
    test = Dataset(arrays[2][:, np.newaxis], arrays[3], names, f"{name} test")
    return Split(train, test, name)
