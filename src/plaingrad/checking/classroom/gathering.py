"""Which paths are whose answers: files, folders that are one answer, and folders of a whole class."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plaingrad.checking.case import Case
from plaingrad.checking.search.names import known_names, plainly
from plaingrad.errors import AnswerError, SettingError
from plaingrad.textbook.phrases import counted

ENDINGS = (".json", ".npz")  # of files in a folder that are taken for answers
NAMED = 3  # files that a line names


@dataclass(frozen=True)
class Given:
    """One answer to be checked: whose it is and where it lies, or the line of why it cannot be read."""

    who: str
    path: str
    problem: str = ""


@dataclass
class Gathered:
    """The answers of a class, sorted by whose they are, and what was understood of the paths, in lines."""

    answers: list[Given] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_class(path: str | os.PathLike[str], case: Case) -> bool:
    """Whether a path is a folder of several people's answers: it holds JSON or NPZ files or sub-folders.

    A folder that holds a CSV file named like a quantity of the case is one answer, whatever else it holds.
    """
    try:
        inside = _inside(Path(os.fsdecode(path)))
    except (OSError, ValueError):
        return False
    return not _is_tables(inside, case) and any(map(_may_be_answer, inside))


def gathered(
    paths: Sequence[str | os.PathLike[str]], case: Case, case_file: str | os.PathLike[str] | None = None
) -> Gathered:
    """The answers at some paths: files, folders of CSV files, and all that is in folders of a class.

    The file of the case is no answer, should it lie among them. SettingError where there is nothing at all.
    """
    found, places = Gathered(), list[Path]()
    for path in map(os.fsdecode, paths):
        if path == "-":
            raise SettingError("- is one answer, on stdin; name the files of the answers of a class")
        inside = _inside(Path(path)) if is_class(path, case) else []
        members = [each for each in inside if _may_be_answer(each) and not _is_same(each, case_file)]
        if not inside or (len(paths) > 1 and len(members) == 1 and not members[0].is_dir()):
            places.append(Path(path))  # of several folders each may be one person's
            continue
        others = [each.name for each in inside if each not in members]
        found.notes.append(f"{path}: read as a class of {counted(len(members), 'answer')}, not as one answer")
        if others:
            found.notes.append(f"{path}: passed over {_some(others)}")
        places += members
    if not places:
        raise SettingError("no answers to check: name files, or a folder with one JSON or NPZ file or folder for each")
    answers = dict.fromkeys(_named(list(dict.fromkeys(places)), case))
    found.answers = sorted(answers, key=lambda each: (each.who, each.path))
    return found


def _named(paths: list[Path], case: Case) -> Iterable[Given]:
    """Each answer by its file's or folder's name: as short as tells them apart."""
    ways = [
        [path.stem if path.suffix.lower() in ENDINGS else path.name for path in paths],
        [path.name for path in paths],
        [str(Path(path.parent.name, path.name)) for path in paths],
        [str(path) for path in paths],
    ]
    counts = [Counter(names) for names in ways]
    for place, path in enumerate(paths):
        names = [(way[place], count) for way, count in zip(ways, counts, strict=True)]
        who = next((name for name, count in names if name and count[name] == 1), str(path))
        try:
            yield Given(who, str(_answer_in(path, case)))
        except (AnswerError, OSError, ValueError) as error:
            yield Given(who, str(path), str(getattr(error, "strerror", None) or error))


def _answer_in(path: Path, case: Case) -> Path:
    """The answer that a path is; in a folder with one JSON or NPZ file and no tables it is that file."""
    if not path.is_dir():
        return path
    inside = _inside(path)
    files = [each for each in inside if each.suffix.lower() in ENDINGS]
    if _is_tables(inside, case) or not files:
        return path
    if len(files) > 1:
        raise AnswerError(
            f"{path}: holds {counted(len(files), 'file')} that may be the answer, "
            f"{_some([each.name for each in files])}; leave one"
        )
    return files[0]


def _inside(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if not each.name.startswith("."))


def _may_be_answer(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS or path.is_dir()


def _is_tables(inside: list[Path], case: Case) -> bool:
    known = {name.lower() for name in known_names(case)}
    return any(each.suffix.lower() == ".csv" and plainly(each.stem) in known for each in inside)


def _is_same(path: Path, case_file: str | os.PathLike[str] | None) -> bool:
    try:
        return case_file is not None and os.path.samefile(path, case_file)
    except (OSError, ValueError):
        return False


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
