"""Answers in NumPy's NPZ and in folders of CSV files."""

import io
import math
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from plaingrad.checking.answers.json_text import decoded
from plaingrad.checking.answers.nested import BYTES_LIMIT, Named, one_line, shown
from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError

FILES_LIMIT = 10_000
CSV_NEEDED = "it needs one CSV file for each quantity, such as conv1.dw.csv, with rows of numbers"

# What zipfile unpacks no further than the size its directory tells; with the others a few bytes can fill the memory.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def bounded(stream: BinaryIO, named: Named, limit: int) -> bytes:
    """All bytes of a stream that may have no end; AnswerError beyond the limit."""
    content = bytearray()
    while chunk := stream.read(1 << 20):
        content += chunk
        if len(content) > limit:
            raise named.refused(f"is larger than {BYTES_LIMIT // 2**20} MiB; answer fewer quantities")
    return bytes(content)


def read_npz(content: bytes, named: Named) -> None:
    """Gather the arrays of an NPZ file; nothing is unpacked before the sizes its directory tells are within limits."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in _entries(archive, named):
                name = entry.filename.removesuffix(".npy")
                with named.reading(name):
                    named.put(name, _array(archive.read(entry), name, named))
    except AnswerError:
        raise
    except Exception as error:  # damage makes zipfile, zlib, ast and NumPy raise nearly anything
        raise named.refused(
            f"the NPZ file is damaged or cut short ({type(error).__name__}: {one_line(str(error), 200)}); "
            "write it again with np.savez"
        ) from None


def _entries(archive: zipfile.ZipFile, named: Named) -> list[zipfile.ZipInfo]:
    """The arrays of an archive, checked for what its directory tells."""
    every = archive.infolist()
    if len(every) > FILES_LIMIT or sum(each.file_size for each in every) > BYTES_LIMIT:
        raise named.refused(
            f"{len(every):,} arrays of {sum(each.file_size for each in every):,} bytes in all; "
            f"at most {FILES_LIMIT:,} and {BYTES_LIMIT // 2**20} MiB can be read: answer fewer quantities"
        )
    arrays = [each for each in every if each.filename.endswith(".npy")]
    if not arrays:
        raise named.refused(
            f"a zip file without arrays (it holds {_some(each.filename for each in every)}); in Python, "
            'np.savez("answer.npz", **{"conv1.dw": dw}) writes what is needed'
        )
    if len(arrays) < len(every):
        others = (each.filename for each in every if not each.filename.endswith(".npy"))
        named.note(f"entries of the archive that are not arrays were skipped: {_some(others)}")
    for each in arrays:
        if each.compress_type not in METHODS:
            raise named.refused(f"{shown(each.filename)} is packed in an unusual way; write it with np.savez")
    return arrays


def _some(names: Iterable[str]) -> str:
    """The first few names, and how many more."""
    every = list(names)
    more = f" and {len(every) - 3:,} more" if len(every) > 3 else ""
    return f"{', '.join(map(shown, every[:3]))}{more}" or "nothing"


def _array(content: bytes, name: str, named: Named) -> Array:
    """The array of one NPY file; its header is held against its size before NumPy makes room for it."""
    stream = io.BytesIO(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a header is by Python 2 is no one's concern here
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise named.refused(f"{shown(name)} is of the NPY version {version}; arrays of numbers have (1, 0)")
        shape, _, dtype = HEADERS[version](stream)
        named.is_numeric(name, dtype)
        needed, there = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
        if needed != there:
            raise named.refused(
                f"{shown(name)} is damaged: {dtype} of shape {shape} in {there:,} bytes; write it again"
            )
        stream.seek(0)
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def read_folder(folder: Path, named: Named) -> None:
    """Gather the CSV files of a folder, each as rows and columns."""
    every = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    files = [each for each in every if each.suffix.lower() == ".csv" and not each.is_dir()]
    if not files:
        there = _some(each.name for each in every)
        raise named.refused(f"a folder without CSV files (it holds {there}); {CSV_NEEDED}")
    if len(files) > FILES_LIMIT:
        raise named.refused(f"{len(files):,} CSV files; at most {FILES_LIMIT:,} can be read")
    if len(files) < len(every):
        known = set(files)
        others = (each.name for each in every if each not in known)
        named.note(f"files in the folder that are not CSV were skipped: {_some(others)}")
    room = BYTES_LIMIT
    for file in files:
        with file.open("rb") as stream:
            content = bounded(stream, named, room)
        room -= len(content)
        name = file.name[: -len(file.suffix)]
        with named.reading(name):
            named.put(name, _table(content, file.name, named))


def _table(content: bytes, file: str, named: Named) -> Array:
    """The rows of one CSV file."""
    rows: list[list[float]] = []
    separator, first, numbers, commas = None, 0, 0, False
    for number, line in enumerate(io.StringIO(decoded(content, named), newline=None), 1):
        line = line.strip("\n ")
        if not line.strip() or line.startswith("#"):
            continue
        if not rows:
            separator, first = next((each for each in ";\t," if each in line), None), number
        numbers += line.count(separator or " ") + 1
        named.room(numbers)
        cells = line.removesuffix(separator).split(separator) if separator else line.split()
        row = [_number(cell, f"{shown(file)}, line {number}", named) for cell in cells]
        commas = commas or (separator != "," and "," in line)
        if rows and len(row) != len(rows[0]):
            raise named.unreadable(
                f"{shown(file)}: line {number} has {len(row):,} numbers and line {first} has {len(rows[0]):,}; "
                "every line needs the same number"
            )
        rows.append(row)
    if not rows:
        raise named.unreadable(f"{shown(file)} holds no number; {CSV_NEEDED}")
    if commas:
        named.note(f"{shown(file)}: commas were read as decimal points")
    return np.array(rows)


def _number(cell: str, place: str, named: Named) -> float:
    """One cell; where the separator is not a comma, a comma may be the decimal point."""
    try:
        if "_" in cell or not cell.isascii():  # float() takes 1_000 and digits of any script
            raise ValueError
        return float(cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell)
    except ValueError:
        pass
    if not cell.strip():
        raise named.unreadable(f"{place}: a cell is empty; each needs a number")
    raise named.unreadable(
        f"{place}: {one_line(cell, 40)!r} is not a number; rows hold numbers only: "
        "remove words, or put # before the line"
    )
