"""Images in a table of text (CSV): a line for each, with its pixels and its label."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.data.dataset import MOST_CLASSES
from plaingrad.data.found import Part
from plaingrad.data.layout import Array, laid_out, numbers_of
from plaingrad.data.opened import opened
from plaingrad.data.table_form import Form, count_of, form_of, is_number_text, plain
from plaingrad.errors import DataError

BLOCK = 1 << 22  # bytes that are read and parsed in one go
MOST_LINE = 1 << 24  # bytes
MOST_UNPACKED = 1 << 32  # bytes of text; what is kept of it is far less
LOOKED_AT = 500  # lines, to find out where the labels are, and as many from elsewhere
SPOTS = 10  # in the file, where those are taken from
LONGEST_LABEL = 100  # letters


def read_table(
    path: str | Path, label: str | None = None, shape: tuple[int, ...] | None = None
) -> tuple[Part, list[str]]:
    """Images and labels, and lines on what was decided.

    label: "first", "last" or "none", or the heading of the first or last column; found out where it is not told.
    Pixels that are all whole numbers of 0 to 255 become uint8, others float32. DataError, with the line, where a cell
    is no number or a line has more or fewer cells than others.
    """
    path = Path(path)
    lines, number = _lines(path), 0
    head = []
    for number, line in lines:
        head.append((number, line))
        if len(head) > LOOKED_AT:
            break
    if not head:
        raise DataError(f"{path}: there is no line in it; a line for each image is needed")
    sample = _sample(path)
    shown = [line for _, line in head[: LOOKED_AT // SPOTS if sample else None]]
    form = form_of(path, shown + sample, label, shape)
    pixels, names = _Pixels(), dict[str, int]()
    found = bytearray()
    for block in _blocks([*head[form.header :]], lines):
        rows, labels = _split(path, block, form)
        pixels.add(_numbers(path, block, rows, form))
        if form.label != "none":
            own = [names.setdefault(each, len(names)) for each in labels]
            if len(names) > MOST_CLASSES:
                raise DataError(
                    f"{path}: more than {MOST_CLASSES:,} different labels in its {form.label} column; "
                    "are they labels? Say where they are with --label first, last or none"
                )
            found += np.array(own, np.int64).tobytes()
    places = np.frombuffer(found, np.int64)
    if not pixels.count:
        raise DataError(f"{path}: a heading and no line of pixels; a line for each image is needed")
    images, note = laid_out(pixels.array(form.pixels), None, shape, str(path))
    notes = [note] if note else []
    if form.label == "none":
        return Part(images), notes
    notes.append(f"{path}: its {form.label} column is taken for the labels")
    return Part(images, numbers_of(tuple(names), places, f"{path}: labels")), notes


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers, counted from 1; never more of the file than a block."""
    number, kept, total = 0, b"", 0
    with opened(path) as file:
        while True:
            block = file.stream.read(BLOCK)
            total += len(block)
            if file.is_packed and total > MOST_UNPACKED:
                raise DataError(f"{path}: unpacks to more than {MOST_UNPACKED >> 30} GiB; unpack it with gunzip first")
            if number == 0 and not kept:
                if block[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in block[:1000]:
                    raise DataError(f"{path}: is no text in UTF-8 (zero bytes in it); save it as CSV in UTF-8")
                block = block.removeprefix(b"\xef\xbb\xbf")
            whole, end, kept = (kept + block).rpartition(b"\n") if block else (kept, b"", b"")
            if not end and block:
                kept, whole = kept or whole, b""
            if len(kept) > MOST_LINE:
                raise DataError(f"{path}: line {number + 1} is longer than {MOST_LINE:,} bytes; a line needs one image")
            text = whole + end
            for line in text.split(b"\n")[: None if not block else -1]:
                number += 1
                try:
                    told = line.decode("utf-8").strip("\r ")
                except UnicodeDecodeError:
                    raise DataError(f"{path}: line {number} is no text in UTF-8; save it as CSV in UTF-8") from None
                if told:
                    yield number, told
            if not block:
                return


def _sample(path: Path) -> list[str]:
    """Some lines from all over a file that is not packed: it may be in the order of its classes."""
    found: list[str] = []
    with opened(path) as file:
        for spot in range(1, SPOTS + 1) if not file.is_packed and file.room > BLOCK // 64 else ():
            file.stream.seek(file.room * spot // (SPOTS + 1))
            file.stream.readline(MOST_LINE)
            lines = (file.stream.readline(MOST_LINE) for _ in range(LOOKED_AT // SPOTS))
            found += [line.decode("utf-8", "replace").strip("\r\n ") for line in lines]
    return [line for line in found if line]


def _blocks(head: list[tuple[int, str]], rest: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Lines a few at a time."""
    block, size = head, sum(len(line) for _, line in head)
    for each in rest:
        block.append(each)
        size += len(each[1])
        if size > BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _split(path: Path, block: list[tuple[int, str]], form: Form) -> tuple[list[str], list[str]]:
    """Of each line the pixels, as text, and the label, without quotes."""
    rows, labels = [], []
    for number, line in block:
        cells = count_of(line, form.separator)
        if cells != form.columns:
            raise DataError(
                f"{path}: line {number} has {cells} cells, the first one {form.columns}; each needs as many"
            )
        if form.separator == " ":
            line = " ".join(line.split())
        if form.counted:
            _, _, line = line.partition(form.separator)
        label = ""
        if form.label == "first":
            label, _, line = line.partition(form.separator)
        elif form.label == "last":
            line, _, label = line.rpartition(form.separator)
        label = plain(label)
        if form.label != "none" and not 0 < len(label) <= LONGEST_LABEL:
            raise DataError(
                f"{path}: line {number} has {label[:20]!r} as its label; a number or a short name is needed"
            )
        labels.append(label)
        rows.append(line.replace(",", ".") if form.decimal_commas else line)
    return rows, labels


def _numbers(path: Path, block: list[tuple[int, str]], rows: list[str], form: Form) -> Array:
    """Pixels (line, pixel) uint8 where all are such as they stand there, otherwise float32."""
    for dtype in (np.uint8, np.float32):  # whole numbers are parsed several times as fast
        with contextlib.suppress(ValueError):
            made = np.loadtxt(rows, dtype, comments=None, delimiter=form.separator, ndmin=2, quotechar='"')
            if made.shape == (len(rows), form.pixels):
                return made
    for (number, _), row in zip(block, rows, strict=True):  # which one it was
        for cell in row.split(form.separator):
            if not is_number_text(cell):
                raise DataError(f"{path}: line {number} has the cell {cell[:20]!r}, which is no number")
    raise DataError(f"{path}: lines {block[0][0]} to {block[-1][0]} are not {form.pixels} numbers each")


class _Pixels:
    """Rows of pixels as they come: bytes as long as all are whole numbers of 0 to 255, then float32."""

    def __init__(self) -> None:
        self.content, self.count = bytearray(), 0
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)

    def add(self, rows: Array) -> None:
        if self.dtype == np.uint8 != rows.dtype and not ((rows >= 0) & (rows <= 255) & (rows % 1 == 0)).all():
            self.content = bytearray(self._floats().tobytes())
            self.dtype = np.dtype(np.float32)
        self.content += rows.astype(self.dtype).tobytes()
        self.count += len(rows)

    def _floats(self) -> Array:
        return np.frombuffer(self.content, np.uint8).astype(np.float32)

    def array(self, pixels: int) -> Array:
        """(line, pixel). Whole numbers of 0 and 1 alone are shares, not 255ths."""
        made = np.frombuffer(self.content, self.dtype).reshape(-1, pixels)
        return made.astype(np.float32) if self.dtype == np.uint8 and made.max() <= 1 else made
