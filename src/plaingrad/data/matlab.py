"""MATLAB's files (.mat, versions 5 to 7.2): arrays of numbers.

Read here, since SciPy's reader ends the whole process on some damaged files.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.data.layout import MOST_COPIED
from plaingrad.data.opened import GZIP_BEST, Opened, opened
from plaingrad.errors import DataError

HEADER = 128  # bytes: a text, the version, and two letters that stand in the order of the bytes of every number
HDF = b"\x89HDF"  # version 7.3 is another format
ORDERS = {b"IM": "<", b"MI": ">"}
# What numbers are stored as, by the code of the type; and codes of elements that are no plain numbers.
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
WHOLE, ARRAY, PACKED = 5, 14, 15
# Classes of arrays: those of MATLAB's numbers. Cells, structures, text and functions have others.
FLOATS, CLASSES = (6, 7), range(6, 16)
COMPLEX = 0x0800  # a flag beside the class
MOST_ELEMENTS = 256
MOST_AXES = 8
BLOCK = 1 << 20  # bytes


def read_mat(path: str | Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Name by name the arrays of numbers in a MATLAB file; cells, structures, text and functions are left out.

    DataError, one line, for a file of another version, or one that is damaged.
    """
    path = Path(path)
    with opened(path) as file:
        head = file.stream.read(HEADER)
        order = ORDERS.get(head[-2:], "")
        if head.startswith((b"MATLAB 7.3", HDF)):
            raise DataError(f"{path}: a MATLAB file of version 7.3; save it with save(file, '-v7') in MATLAB")
        if not head.startswith(b"MATLAB 5.0") or len(head) < HEADER or not order:
            raise DataError(f"{path}: not a MATLAB file of version 5 to 7.2; save it with save(file, '-v7') in MATLAB")
        for _ in range(MOST_ELEMENTS):
            if not (tag := file.stream.read(8)):
                return
            kind, content = _element(path, file, tag, order)
            if kind == PACKED:
                kind, content = _unpacked(path, content, order)
            if kind == ARRAY and (made := _array(path, memoryview(content), order)) is not None:
                yield made
        raise DataError(f"{path}: more than {MOST_ELEMENTS} arrays in it; save only images and labels")


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path}: {what}: the MATLAB file is damaged or cut short; fetch it again")


def _element(path: Path, file: Opened, tag: bytes, order: str) -> tuple[int, bytearray]:
    """The code of an element and its bytes."""
    if len(tag) < 8:
        raise _damaged(path, f"{len(tag)} bytes of a tag")
    kind, size = struct.unpack(f"{order}2I", tag)
    if size > min(file.room, MOST_COPIED):
        raise _damaged(path, f"an array of {size:,} bytes, {file.holder} has at most {file.room:,}")
    content = bytearray()
    while len(content) < size and (block := file.stream.read(min(BLOCK, size - len(content)))):
        content += block
    if len(content) < size:
        raise _damaged(path, f"{len(content):,} bytes of an array of {size:,}")
    return kind, content


def _unpacked(path: Path, packed: bytearray, order: str) -> tuple[int, bytearray]:
    """The element in a packed one."""
    unpacker, most = zlib.decompressobj(), min(MOST_COPIED, len(packed) * GZIP_BEST)
    content, rest, needed = bytearray(), bytes(packed), 8
    try:
        while len(content) < needed and (block := unpacker.decompress(rest, min(BLOCK, needed - len(content)))):
            content += block
            rest = unpacker.unconsumed_tail
            if needed == 8 and len(content) >= 8:
                kind, size = struct.unpack(f"{order}2I", content[:8])
                needed += size
                if needed > most:
                    raise _damaged(path, f"an array of {size:,} bytes packed into {len(packed):,}")
    except zlib.error as error:
        raise _damaged(path, str(error)) from None
    if len(content) < needed or needed == 8:
        raise _damaged(path, f"{len(content):,} bytes of a packed array of {needed:,}")
    return kind, content[8:]


def _parts(path: Path, content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """The elements within an array, one after the other: code and bytes. Those of four bytes at most are in the tag."""
    place = 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}2I", content, place)
        start = place + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if start + size > len(content) or (start == place + 4 and size > 4):
            raise _damaged(path, f"{size:,} bytes of a part of an array of {len(content):,}")
        yield kind, content[start : start + size]
        place = start + (size if start == place + 8 else 4)
        place += -place % 8


def _array(path: Path, content: memoryview, order: str) -> tuple[str, np.ndarray[Any, Any]] | None:
    """Name and numbers of an array; None for one of something else."""
    parts = _parts(path, content, order)
    _, flags = next(parts, (0, memoryview(b"")))
    if len(flags) < 4:
        raise _damaged(path, "an array without a class")
    told = struct.unpack_from(f"{order}I", flags)[0]
    if told & 0xFF not in CLASSES or told & COMPLEX:
        return None
    (kind, sizes), (_, name), (type_, numbers) = (next(parts, (0, memoryview(b""))) for _ in range(3))
    who = f"{path}, {bytes(name).decode('latin-1')[:40]}"
    if kind != WHOLE or len(sizes) % 4 or type_ not in TYPES:
        raise DataError(f"{who}: its sizes or its numbers are of no known type; the MATLAB file is damaged")
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    dtype = np.dtype(order + TYPES[type_])
    if not 1 <= len(shape) <= MOST_AXES or min(shape) < 0 or math.prod(shape) * dtype.itemsize != len(numbers):
        wanted = " x ".join(map(str, shape[:MOST_AXES]))
        raise DataError(f"{who}: {wanted} numbers told, {len(numbers):,} bytes there; the MATLAB file is damaged")
    array = np.frombuffer(numbers, dtype).reshape(shape, order="F")
    if told & 0xFF in FLOATS and dtype.kind in "iu" and array.size and array.max() <= 1:
        array = array.astype(np.float32)  # MATLAB stores floats that are whole in few bytes: 0 and 1 are no 255ths
    return bytes(name).decode("latin-1"), array
