"""What `plaingrad check` does with the answers of a class."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from plaingrad.checking.case import Case
from plaingrad.checking.classroom.check import check_class
from plaingrad.checking.classroom.row import ClassRow
from plaingrad.checking.classroom.table import COLUMNS, ClassTable
from plaingrad.cli.terminal import say
from plaingrad.errors import AnswerError, SettingError, StoppedError, visible
from plaingrad.textbook.record import json_text
from plaingrad.training.checkpoint import page_file

COLOURS = {"right": "green", "right, with another convention": "cyan", "mistake": "red"}
DOUBT = "yellow"


def checked_class(
    case: Case, case_file: str, answers: Sequence[str], page: str | None, sheet: str | None, as_json: bool,
    *, jobs: int | None, seconds: float, hint: str,
) -> int:  # fmt: skip
    """Check a class, show its table and write it: 0 where all is right, 1 where not.

    AnswerError where nothing could be checked, StoppedError where it was stopped: after the table of what there is.
    """
    if jobs is not None and jobs < 1:
        raise SettingError(f"--jobs got {jobs}; it needs a whole number of at least 1")
    for file, usual in ((page, "class.html"), (sheet, "class.csv")):
        if file is not None:  # what cannot be written is told before the work
            page_file(file, usual)
    if page is not None:
        from plaingrad.training.report.page import template

        template("", "the page of a class")
    with progress() as watch:
        table = check_class(case, answers, case_file=case_file, jobs=jobs, seconds=seconds, hint=hint, watch=watch)
    if as_json:
        say(json_text(table.to_json()))
    elif sys.stdout is not None and sys.stdout.isatty():
        show(table)
    else:
        say(table.text())
    if page is not None:
        table.save_page(page)
    if sheet is not None:
        table.save_csv(sheet)
    if table.stopped:
        raise StoppedError("stopped")
    if not table.checked:
        raise AnswerError(f"no answer could be checked; the first: {table.rows[0].problem}")
    return 0 if table.is_right else 1


@contextlib.contextmanager
def progress() -> Iterator[Callable[[ClassRow], None]]:
    """On a terminal, how many answers are done, on stderr; elsewhere nothing."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda row: None
        return
    from rich.console import Console

    done = 0
    with Console(stderr=True, markup=False, emoji=False, highlight=False).status("checking") as status:

        def watch(row: ClassRow) -> None:
            nonlocal done
            done += 1
            status.update(f"checked: {done:,}")

        yield watch


def show(table: ClassTable) -> None:
    """The table on a terminal, in colours and as wide as the terminal is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(markup=False, emoji=False, highlight=False)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        shown.add_column(column, overflow="fold")
    for cells in table.cells():
        colour = COLOURS.get(cells[1], DOUBT)
        texts = [Text(visible(cell), style=colour if place == 1 else "") for place, cell in enumerate(cells)]
        shown.add_row(*texts)
    for line in [*(f"note: {note}" for note in table.notes), table.headline(), ""]:
        console.print(visible(line))
    console.print(shown)
    for line in ["", *table.summary()]:
        console.print(visible(line))
