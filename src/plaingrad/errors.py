"""What can go wrong through no fault of plaingrad's: one exception for each kind, and one clear line in each.

PlaingradError
├── SettingError       a setting, a name or an option that cannot be
│   └── ShapeError     a layer cannot take the shape it was given
├── DataError          images, labels or a file of them cannot be used
├── CheckpointError    a saved file or run folder cannot be used
├── CaseError          a case to be computed cannot be used
├── AnswerError        an answer to a case cannot be read or compared
├── LawError           a layer's backward is not the derivative of its forward
├── DivergedError      training left the finite numbers
├── StoppedError       training was asked to stop; it has finished its step and saved
├── RanksError         the ranks of a training through MPI differ, or one has gone
└── MissingError       an optional package is needed and not installed
"""

import json
import math
import numbers
import os
import pathlib
import signal
from collections.abc import Iterable
from difflib import get_close_matches


class PlaingradError(ValueError):
    """Base of all of them. The message says who, what it got, what it needs and what to do, in one line."""

    def __init__(self, message: object = "") -> None:
        super().__init__(visible(message))  # what was got may have line ends, and marks that a terminal obeys


class SettingError(PlaingradError):
    """A setting, a name or an option that cannot be."""


class ShapeError(SettingError):
    """A layer cannot take the shape it was given."""


class DataError(PlaingradError):
    """Images, labels or a file of them cannot be used."""


class CheckpointError(PlaingradError):
    """A saved file or run folder cannot be used."""


class CaseError(PlaingradError):
    """A case to be computed cannot be used."""


class AnswerError(PlaingradError):
    """An answer to a case cannot be read or compared."""


class LawError(PlaingradError):
    """A layer's backward is not the derivative of its forward, or compiled it is something else."""


class DivergedError(PlaingradError):
    """Training left the finite numbers."""


class StoppedError(PlaingradError):
    """Training was asked to stop, by a signal; it has finished its step and saved."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number


class RanksError(PlaingradError):
    """The ranks of a training through MPI differ, or one has gone."""


class Notice(UserWarning):
    """Something surprising that is no error: said once, with what to do."""


class MissingError(PlaingradError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, who: str, package: str, extra: str) -> None:
        super().__init__(f"{who} needs {package}, which is not installed: pip install 'plaingrad[{extra}]'")


LARGEST = 1 << 53  # of a whole number: beyond it float64 skips some, and soon after machine code holds none
FEW_LETTERS = 3  # that are part of a name by chance
FEW_TOLD = 60  # letters of a value that a message shows
LONGEST_NAME = 100  # letters that are compared with known names


def nearest(name: object, known: Iterable[str]) -> str:
    """The hint that ends a message about an unknown name: those it is part of, or else the nearest; and the list."""
    names = sorted(known)
    return f"{guess(name, names)}choose from {', '.join(names)}" if names else "there is none to choose from"


def guess(name: object, known: Iterable[str]) -> str:
    """Which names may be meant by an unknown one, as a question and a space; nothing where none is near."""
    names, asked = sorted(known), str(name).lower()[:LONGEST_NAME]
    within = [each for each in names if len(asked) >= FEW_LETTERS and asked in each.lower()]
    near = get_close_matches(asked, {each.lower(): each for each in names}, 1)
    guesses = within or [each for each in names if near and each.lower() == near[0]][:1]
    return f"did you mean {' or '.join(map(repr, guesses))}? " if guesses else ""


def is_number(value: object) -> bool:
    """Whether a value is one finite real number, of Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and abs(value) < math.inf  # type: ignore[operator]


def require_whole(who: str, name: str, value: object, least: int) -> int:
    """A setting that is a whole number from `least` to `LARGEST`; SettingError for any other."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not least <= value <= LARGEST:  # type: ignore[operator]
        most = f" and at most 2⁵³ = {LARGEST:,}" if whole and value > LARGEST else ""  # type: ignore[operator]
        raise SettingError(f"{who} got {name}={value!r}; it needs a whole number of at least {least}{most}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def require_path(who: str, path: object) -> pathlib.Path:
    """The name of a file or a folder, as text or as a Path; SettingError for any other."""
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or not name or "\0" in name:
        raise SettingError(f"{who} got {shortly(path)}; it needs the name of a file or a folder, as text or as a Path")
    return pathlib.Path(name)


def shortly(value: object) -> str:
    """What was got instead of something else, as one would write it, in a few letters."""
    text = visible(repr(value))
    return text if len(text) <= FEW_TOLD else f"{text[:FEW_TOLD]}…"


def visible(text: object) -> str:
    """A name from a file in one line: what does not print (escapes, line ends, marks that turn text round) is escaped.

    As in JSON, `\\u001b`, so that JSON with it escaped means what it did.
    """
    text = str(text)
    return text if text.isprintable() else "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]
