"""How a table of images is laid out: separator, heading, and which column holds the labels."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from plaingrad.data.names import KINDS, LABELS
from plaingrad.errors import DataError, SettingError

LARGEST_CLASS = 99  # where one of two columns is to be that of labels
NUMBER_COLUMNS = ("", "id", "index", "imageid", "unnamed: 0")  # headings of a first column that counts the lines
PLACES = ("first", "last", "none")


@dataclass(frozen=True)
class Form:
    """How the lines of a file are to be read.

    label: first, last or none. counted: a first column counts the lines. decimal_commas: 0,5 is a half.
    """

    separator: str
    header: bool
    columns: int
    label: str
    counted: bool
    decimal_commas: bool

    @property
    def pixels(self) -> int:
        return self.columns - (self.label != "none") - self.counted


def form_of(path: Path, lines: list[str], label: str | None, shape: tuple[int, ...] | None) -> Form:
    """How a file is to be read, from its first lines, and some others."""
    first, where = lines[0], label.lower() if label else None
    separator = next((each for each in ("\t", ";", ",") if each in first), " ")  # a comma may be in numbers
    heading = [plain(each) for each in cells_of(first, separator)]
    columns = len(heading)
    if columns < 2:
        raise DataError(
            f"{path}: its first line is {first[:40]!r}; numbers separated by commas, semicolons or tabs are needed"
        )
    header = _is_heading(heading)
    rows = [cells_of(each, separator) for each in lines[header:]]
    rows = [row for row in rows if len(row) == columns]
    small = [each.lower() for each in heading] if header else [""] * columns
    counted = header and columns > 2 and small[0] in NUMBER_COLUMNS and where != small[0]
    if where is not None and where not in PLACES:
        if not header or where not in small:
            raise SettingError(f"{path}: it has no column {label!r}; write first, last, none, or a heading of its")
        where = {int(counted): "first", columns - 1: "last"}.get(small.index(where))
        if where is None:
            raise SettingError(f"{path}: its labels, {label!r}, need to be its first or last column; move them there")
    if where is None:
        where = _where(path, small, rows, counted, shape)
    return Form(
        separator, header, columns, where, counted, separator != "," and any("," in each for each in lines[header:])
    )


def _where(path: Path, heading: list[str], rows: list[list[str]], counted: bool, shape: tuple[int, ...] | None) -> str:
    """Where the labels are: by a heading, by the number of pixels, or by the columns themselves."""
    words = KINDS[LABELS]
    for name, place in (("first", int(counted)), ("last", -1)):
        if heading[place] in words or (heading[place] and rows and not all(is_number_text(r[place]) for r in rows)):
            return name
    pixels = len(heading) - counted
    fits = [without for without in (0, 1) if _is_image(pixels - without, shape)]
    if fits == [0]:
        return "none"
    if fits != [1]:
        raise DataError(
            f"{path}: {pixels} columns are neither a square image nor one with its label; say the shape of an image, "
            "such as --shape 28x28, 3x32x32 or 32x32x3 (in Python shape=)"
        )
    columns = {"first": [row[int(counted)] for row in rows], "last": [row[-1] for row in rows]}
    likely = [name for name, cells in columns.items() if _is_label(cells)]
    for is_more in (_reaches_as_classes, _is_spread):
        if len(likely) == 2:
            likely = [name for name in likely if is_more(columns[name])]
    if len(likely) != 1:
        raise DataError(
            f"{path}: its first and its last column may both be the labels; "
            "say which with --label first or --label last (in Python label=)"
        )
    return likely[0]


def _reaches_as_classes(cells: list[str]) -> bool:
    """Pixels reach farther than classes."""
    return max((number(each) for each in cells if is_number_text(each)), default=0.0) <= LARGEST_CLASS


def _is_spread(cells: list[str]) -> bool:
    """A pixel in a corner is mostly background; no class has most of the images."""
    return Counter(cells).most_common(1)[0][1] <= len(cells) / 2


def _is_image(pixels: int, shape: tuple[int, ...] | None) -> bool:
    return pixels > 0 and (math.isqrt(pixels) ** 2 == pixels if shape is None else math.prod(shape) == pixels)


def _is_label(cells: list[str]) -> bool:
    """Whether a column can be one of labels: words, or whole numbers that are not all alike."""
    if not all(map(is_number_text, cells)):
        return True
    values = {number(each) for each in cells}
    return len(values) > 1 and all(0 <= each < math.inf and each % 1 == 0 for each in values)


def _is_heading(cells: list[str]) -> bool:
    """Names, or the numbers of the columns; a line of pixels is neither, though its label may be a word."""
    numbers = [each for each in cells if is_number_text(each)]
    if len(numbers) < len(cells) / 2:
        return True
    counted = [number(each) for each in numbers]
    return (
        len(numbers) > 2 and len(cells) - len(numbers) <= 2 and counted == [counted[0] + n for n in range(len(numbers))]
    )


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of a line."""
    return line.split() if separator == " " else line.split(separator)


def count_of(line: str, separator: str) -> int:
    """How many cells a line has."""
    return len(line.split()) if separator == " " else line.count(separator) + 1


def plain(cell: str) -> str:
    """A cell without blanks and quotes around it."""
    return cell.strip().strip("\"'").strip()


def is_number_text(cell: str) -> bool:
    """Whether a cell is a number."""
    try:
        number(cell)
    except ValueError:
        return False
    return True


def number(cell: str) -> float:
    """The number in a cell; ValueError where there is none."""
    return float(plain(cell).replace(",", "."))
