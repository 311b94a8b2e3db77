"""Checks the answers of a class."""

import contextlib
import math
import os
from collections.abc import Callable, Sequence

from plaingrad.checking.case import Case
from plaingrad.checking.case_file import read_case
from plaingrad.checking.classroom.gathering import gathered
from plaingrad.checking.classroom.row import ClassRow
from plaingrad.checking.classroom.table import ClassTable
from plaingrad.checking.classroom.workers import Crew
from plaingrad.checking.verdict.hint import ALL, require_hint
from plaingrad.compiler.machine_code import processors
from plaingrad.errors import SettingError, is_number, require_whole

STOPPED = "stopped before it was checked"


def check_class(
    case: Case | str | os.PathLike[str],
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    case_file: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    seconds: float = 60,
    hint: str = ALL,
    watch: Callable[[ClassRow], object] = lambda row: None,
) -> ClassTable:
    """The table of a class: the verdict on every answer at some paths, checked in `jobs` processes at once.

    `case` is a case or its file; `case_file` is the file of a case that was read before, which is no answer should it
    lie among them. A path is a JSON or NPZ file, a folder of NAME.csv files, or a folder that holds such
    answers, one for each person. `jobs`: one per processor unless told. An answer that takes longer than `seconds`, or
    that ends the process that checks it, is a row that says so, like one that cannot be read. `hint`, one of place,
    kind, line and all, is how much of each mistake is told. `watch` is called with each row as it comes.

    Ctrl-C ends it at once: the table has what there is by then, and `stopped` is true. CaseError where the case is
    none, SettingError where there are no answers or a setting cannot be.
    """
    require_hint(hint)
    if not is_number(seconds) or not 0 < seconds < math.inf:
        raise SettingError(f"check_class got seconds={seconds!r}; it needs a number above 0")
    jobs = processors() if jobs is None else require_whole("check_class", "jobs", jobs, 1)
    if not isinstance(case, Case):
        case_file, case = case, read_case(os.fsdecode(case))
    found = gathered([paths] if isinstance(paths, str | os.PathLike) else paths, case, case_file)
    rows: dict[tuple[str, str], ClassRow] = {}

    def kept(row: ClassRow) -> None:
        rows[row.who, row.path] = row
        watch(row)

    with contextlib.suppress(KeyboardInterrupt):
        Crew(case, found.answers, jobs, seconds, hint).run(kept)
    stopped = len(rows) < len(found.answers)
    every = [
        rows.get((each.who, each.path)) or ClassRow(each.who, each.path, problem=STOPPED) for each in found.answers
    ]
    return ClassTable(case.net.name, hint, every, found.notes, stopped)
