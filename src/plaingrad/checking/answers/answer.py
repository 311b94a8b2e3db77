"""What a program answered to a case, read from where it left it: names and arrays, or one line of why not."""

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.checking.answers.files import bounded, read_folder, read_npz
from plaingrad.checking.answers.json_text import read_json
from plaingrad.checking.answers.nested import (
    BYTES_LIMIT,
    DEPTH_LIMIT,
    Named,
    Pairs,
    UnreadableError,
    as_float,
    one_line,
    shown,
)
from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
NPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class Answer:
    """What a program answered: arrays by the names as given, float64, of the shape they were nested in.

    A single number has no axis; a CSV file has rows and columns. `notes` says in one line each what was passed over or
    read in a special way, `unread` by name why a quantity is no array of numbers.
    """

    arrays: dict[str, Array]
    notes: tuple[str, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)
    who: str = "answer"  # as errors call it

    def whole(self) -> dict[str, Array]:
        """All its arrays; AnswerError where one quantity is none."""
        for why in self.unread.values():
            raise AnswerError(why)
        return self.arrays


def read_answer(path: str | os.PathLike[str]) -> Answer:
    """The answer in a JSON or NPZ file, or in a folder of CSV files, told by what it holds; "-" is JSON on stdin.

    AnswerError, in one line, where it cannot be read.
    """
    who = os.fsdecode(path)
    named = Named("stdin" if who == "-" else who)
    try:
        if who == "-":
            if sys.stdin is None:
                raise named.refused("is closed; name the file of the answer")
            _read(bounded(sys.stdin.buffer, named, BYTES_LIMIT), named)
        elif _is_folder(who, named):
            read_folder(Path(who), named)
        else:
            with open(who, "rb") as file:
                _read(bounded(file, named, BYTES_LIMIT), named)
    except FileNotFoundError:
        raise named.refused("there is no such file; name the file your program wrote its answer to") from None
    except OSError as error:
        raise named.refused(f"cannot be read: {error.strerror or error}") from None
    return _answer(named)


def _answer(named: Named) -> Answer:
    """What was gathered; AnswerError where nothing of it can be read."""
    named.require_some()
    return Answer(named.arrays, tuple(named.notes), {name: each.what for name, each in named.unread.items()}, named.who)


def _is_folder(path: str, named: Named) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except ValueError:  # a zero byte, or what the system's encoding lacks
        raise named.refused("this cannot be a file name") from None


def _read(content: bytes, named: Named) -> None:
    if content.startswith(ZIP_MAGICS):
        read_npz(content, named)
    elif content.startswith(NPY_MAGIC):
        raise named.refused(
            'one array without a name; np.savez("answer.npz", **{"conv1.dw": dw}) writes arrays with their names'
        )
    else:
        read_json(content, named)


def parse_answer(text: str | bytes, who: str) -> Answer:
    """The answer in a JSON text, such as what a program printed; `who` begins the AnswerError where it is none."""
    named = Named(who)
    read_json(text, named)
    return _answer(named)


def answer_of(given: Mapping[str, Any]) -> Answer:
    """The answer in values of Python: numbers, nested lists, arrays and tensors by name, or mappings of inner names.

    Anything with `__array__` or `detach` is an array. AnswerError where one is not of real numbers, or is ragged.
    """
    named = Named("answer")
    if not isinstance(given, Mapping):
        raise named.refused(f"got a {type(given).__name__}; a dict of names and arrays is needed")
    named.add_all(_plain(given, "", named, 0))
    if not named.arrays and not named.unread:
        raise named.refused('it names no quantity; give at least one, such as {"conv1.dw": dw}')
    return _answer(named)


def _plain(value: Any, name: str, named: Named, depth: int) -> Any:
    """A value as `Named.add` takes it: Pairs, an array, or nested lists of floats."""
    if depth > DEPTH_LIMIT:
        raise named.too_deep()
    if isinstance(value, Mapping):
        if strange := [each for each in value if not isinstance(each, str)]:
            raise named.refused(f"{one_line(repr(strange[0]), 60)} is not a name; quantities are named by texts")
        inner = ((each, f"{name}.{each}" if name else each) for each in value)
        return Pairs((each, _inner(value[each], full, named, depth + 1)) for each, full in inner)
    if isinstance(value, list | tuple):
        return [each if type(each) is float else _listed(each, name, named, depth + 1) for each in value]
    if hasattr(value, "detach") or hasattr(value, "__array__"):
        array = _array(value, name, named)
        return _plain(array.tolist(), name, named, depth + 1) if array.dtype.hasobject else array
    if value is None or isinstance(value, bool | str) or not hasattr(type(value), "__float__"):
        return value  # nan, or to be refused with its place
    try:
        return as_float(value)
    except Exception:  # it is another's class: it may raise anything
        return value


def _inner(value: Any, name: str, named: Named, depth: int) -> Any:
    """What a name stands for; the error itself where that is no array of numbers."""
    try:
        return _plain(value, name, named, depth)
    except UnreadableError as error:
        return error


def _listed(value: Any, name: str, named: Named, depth: int) -> Any:
    """An entry of a list: arrays become lists too."""
    plain = _plain(value, name, named, depth)
    return _plain(plain.tolist(), name, named, depth) if isinstance(plain, np.ndarray) else plain


def _array(value: Any, name: str, named: Named) -> Array:
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.double() if value.is_floating_point() else value  # NumPy has no bfloat16
        array = np.asarray(value)
    except Exception as error:  # whatever the other library raises
        raise named.unreadable(
            f"{shown(name)} cannot be made an array ({type(error).__name__}: {one_line(str(error), 200)}); "
            "give a NumPy array"
        ) from None
    named.room(array.size)
    return array
