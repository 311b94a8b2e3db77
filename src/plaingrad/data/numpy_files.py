"""NumPy's files: one array (.npy), which is mapped rather than read, and several of them (.npz)."""

import math
import mmap
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from plaingrad.data.opened import GZIP_BEST, Opened, decoded, opened, read_exactly, require_room
from plaingrad.errors import DataError

Array = np.ndarray[Any, Any]

MAGIC = b"\x93NUMPY"
MOST_AXES = 8
MOST_ARRAYS = 64  # of an .npz file
NUMBERS = "biufUS"  # kinds of NumPy's types that are numbers or text


def read_npy(path: str | Path) -> Array:
    """The array in a .npy file, gzipped or not. One that is not is mapped: it takes no memory until it is used."""
    path = Path(path)
    with opened(path) as file:
        dtype, shape, is_fortran = _header(path, file.stream)
        if file.is_packed:
            return _read(path, file, dtype, shape, is_fortran)
        start, needed = file.stream.tell(), math.prod(shape) * dtype.itemsize
        wanted = _wanted(dtype, shape)
        if file.room != start + needed:
            there = file.room - start
            what = "cut short" if there < needed else "too long"
            raise DataError(f"{path}: {what}: {there} bytes of numbers, {needed} needed ({wanted}); fetch it again")
        flat = mapped(path, file.stream, dtype, start, needed)
        return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


def mapped(path: object, file: IO[bytes], dtype: "np.dtype[Any]", start: int, needed: int) -> Array:
    """Numbers of a file as one read-only array of one axis, which the system reads as they are used."""
    if not needed:
        return np.empty(0, dtype)
    whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    made = np.frombuffer(whole, dtype, needed // dtype.itemsize, start)
    return made if made.flags.aligned else made.copy()


def is_mapped(array: Array) -> bool:
    """Whether an array's numbers lie in a file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


def read_npz(path: str | Path) -> Iterator[tuple[str, Array]]:
    """Name by name the arrays of numbers and text in an .npz file; those of Python objects are left out."""
    path = Path(path)
    with opened(path) as file:
        if file.is_packed:
            raise DataError(f"{path}: is gzipped; unpack it with gunzip first: an .npz file is packed already")
        with decoded(path, "NPZ file", lambda: zipfile.ZipFile(file.stream)) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
            if not 1 <= len(members) <= MOST_ARRAYS:
                raise DataError(f"{path}: {len(members)} arrays in it; an NPZ file of 1 to {MOST_ARRAYS} is needed")
            for member in members:
                name = member.filename.removesuffix(".npy")
                read = decoded(path, "NPZ file", lambda: _member(f"{path}, {name}", archive, member, file.room))  # noqa: B023
                if read is not None:
                    yield name, read


def _member(who: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> Array | None:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{who}: packed in a way that NumPy does not; save it with numpy.savez")
    room = min(member.compress_size, size) * (GZIP_BEST if member.compress_type == zipfile.ZIP_DEFLATED else 1)
    with archive.open(member) as stream:
        try:
            dtype, shape, is_fortran = _header(who, stream)
        except ObjectsError:
            return None
        return _read(
            who, Opened(stream, room, f"a part of {member.compress_size} bytes", True), dtype, shape, is_fortran
        )


def _read(who: object, file: Opened, dtype: "np.dtype[Any]", shape: tuple[int, ...], is_fortran: bool) -> Array:
    needed, wanted = math.prod(shape) * dtype.itemsize, _wanted(dtype, shape)
    require_room(who, needed, wanted, file)
    flat = np.frombuffer(read_exactly(who, file.stream, needed, wanted), dtype)
    return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


class ObjectsError(DataError):
    """An array of Python objects, which can run any program when it is read, and so is not."""


def _header(who: object, stream: IO[bytes]) -> tuple["np.dtype[Any]", tuple[int, ...], bool]:
    """Type and shape that a .npy header tells, and whether its first axis runs fastest."""
    magic = stream.read(len(MAGIC))
    if magic != MAGIC:
        raise DataError(f"{who}: its first bytes are {magic.hex(' ') or 'none'}; a NumPy file begins with 93 4e 55 4d")
    version = tuple(stream.read(2))
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise DataError(f"{who}: a NumPy file of version {version}; versions 1.0 and 2.0 are read: save it again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files that Python 2 wrote
        shape, is_fortran, dtype = decoded(who, "NumPy file", lambda: readers[version](stream))
    if dtype.hasobject:
        raise ObjectsError(
            f"{who}: an array of Python objects, which could run any program when read; save it as numbers"
        )
    if dtype.kind not in NUMBERS or not 0 < dtype.itemsize <= 4096:
        raise DataError(f"{who}: an array of {str(dtype)[:60]}; one of numbers is needed")
    if len(shape) > MOST_AXES or any(not isinstance(each, int) or each < 0 for each in shape):
        raise DataError(f"{who}: its header tells of the shape {str(shape)[:60]}, which cannot be: it is damaged")
    return dtype, shape, is_fortran


def _wanted(dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, shape)) or 'one'} {dtype.name}"
