"""The table of a class: a row for each answer, and the commonest mistakes; as text, CSV, JSON and one page."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from plaingrad.checking.classroom.row import NOT_CHECKED, ClassRow, words_of
from plaingrad.checking.verdict.hint import ALL, KIND, PLACE
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE, RIGHT, UNCLEAR
from plaingrad.errors import visible
from plaingrad.textbook.phrases import counted
from plaingrad.training.report.look import headed, pages_beside, styled

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet's formulas begin
KINDS = {RIGHT: "right", CONVENTION: "convention", MISTAKE: "mistake", UNCLEAR: "unclear", NOT_CHECKED: "unchecked"}
SIGNS = {RIGHT: "✓", CONVENTION: "≈", MISTAKE: "✗", UNCLEAR: "?", NOT_CHECKED: "–"}
IN_WORDS = {CONVENTION: "right with another convention", MISTAKE: "with a mistake"}
COLUMNS = ("who", "verdict", "first wrong", "what is wrong", "hint", "precision")


@dataclass(frozen=True)
class Common:
    """A mistake, as far as it is told, and who made it: `about` is its title, its kind, or its place."""

    about: str
    who: list[str]

    @property
    def count(self) -> int:
        """How many made it."""
        return len(self.who)


@dataclass(repr=False)
class ClassTable:
    """What `check_class` found: a row for each answer, sorted by `who`."""

    case: str
    hint: str
    rows: list[ClassRow]
    notes: list[str] = field(default_factory=list)  # what was understood of the paths
    stopped: bool = False

    def __repr__(self) -> str:
        return self.text()

    @property
    def is_right(self) -> bool:
        """Whether every answer was checked, and nothing is wrong in any."""
        return all(row.is_right for row in self.rows)

    @property
    def checked(self) -> int:
        """On how many answers there is a verdict."""
        return sum(row.is_checked for row in self.rows)

    def common(self) -> list[Common]:
        """The mistakes that were made, the commonest first; where only places are told, the places."""
        found: dict[str, dict[str, None]] = {}
        for row in self.rows:
            for slip in row.mistakes:
                found.setdefault(words_of(slip) or slip["where"][0], {})[row.who] = None
        common = [Common(about, list(who)) for about, who in found.items()]
        return sorted(common, key=lambda each: (-each.count, each.about))

    def outcomes(self) -> list[Common]:
        """How many answers are right, and which; with another convention, with a mistake, unclear, not checked."""
        found = [Common(verdict, [row.who for row in self.rows if row.verdict == verdict]) for verdict in KINDS]
        return [each for each in found if each.who]

    def headline(self) -> str:
        """How many answers there are, and what became of them, in one line."""
        parts = ", ".join(f"{each.count} {IN_WORDS.get(each.about, each.about)}" for each in self.outcomes())
        return f"{counted(len(self.rows), 'answer')}: {parts}{' (stopped)' if self.stopped else ''}"

    def cells(self) -> Iterator[tuple[str, ...]]:
        """The cells of each row, under `COLUMNS`."""
        for row in self.rows:
            yield row.who, row.verdict, row.first_wrong or "", row.told, row.hint, row.precision

    @property
    def subject(self) -> str:
        """What `common` lists."""
        return {PLACE: "places", KIND: "kinds of slips"}.get(self.hint, "mistakes")

    def summary(self) -> list[str]:
        """The commonest mistakes in lines, how many made each and who; and who else is not right."""
        common = self.common()
        wide = max((len(str(each.count)) for each in common), default=0)
        lines = [f"the commonest {self.subject}:"] if common else []
        lines += [f"  {each.count:>{wide}} × {each.about}: {', '.join(each.who)}" for each in common]
        for each in self.outcomes():
            if each.about in (UNCLEAR, NOT_CHECKED):
                lines.append(f"{each.about}: {', '.join(each.who)}")
        return lines

    def text(self) -> str:
        """The table in plain lines, made harmless for a terminal; then the commonest mistakes."""
        rows = [tuple(map(visible, cells)) for cells in (COLUMNS, *self.cells())]
        kept = [place for place in range(len(COLUMNS)) if any(cells[place] for cells in rows[1:])]
        last = COLUMNS.index("what is wrong")  # the longest comes last, so that the others stand below each other
        kept.sort(key=lambda place: (place == last, place))
        wide = {place: max(len(cells[place]) for cells in rows) for place in kept}
        lines = [f"note: {note}" for note in self.notes] + [self.headline(), ""]
        lines += ["  ".join(f"{cells[place]:<{wide[place]}}" for place in kept).rstrip() for cells in rows]
        return "\n".join(map(visible, [*lines, "", *self.summary()])).rstrip("\n")

    def csv(self) -> str:
        """The table as CSV, for any spreadsheet: no cell begins a formula."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(["who", "verdict", "first_wrong", "where", "mistake", "what", "hint", "precision", "path"])
        for row in self.rows:
            where = ", ".join(dict.fromkeys(each for slip in row.mistakes for each in slip["where"]))
            ids = ", ".join(slip["id"] for slip in row.mistakes if "id" in slip)
            cells = (row.who, row.verdict, row.first_wrong or "", where or ", ".join(row.unclear), ids, row.told)
            writer.writerow(map(harmless, (*cells, row.hint, row.precision, row.path)))
        return out.getvalue()

    def to_json(self) -> dict[str, Any]:
        """The table as one object."""
        return {
            "case": self.case,
            "hint": self.hint,
            "stopped": self.stopped,
            "rows": [row.to_json() for row in self.rows],
            "outcomes": {each.about: each.count for each in self.outcomes()},
            "commonest": [{"about": each.about, "count": each.count, "who": each.who} for each in self.common()],
            "notes": self.notes,
        }

    def html(self, beside: Iterable[str] = ()) -> str:
        """The table as one page without any request outside, every name escaped. MissingError without Jinja2.

        It links to the pages `beside` it.
        """
        from plaingrad import __version__
        from plaingrad.training.report.page import template

        page = (files("plaingrad.checking.classroom") / "table.html").read_text("utf-8")
        style = (files("plaingrad.checking.verdict") / "page.css").read_text("utf-8")
        return template(page, "the page of a class").render(
            version=__version__,
            case=self.case,
            kind="right" if self.is_right else "mistake",
            sign=SIGNS[RIGHT if self.is_right else MISTAKE],
            headline=self.headline(),
            notes=self.notes,
            hint="" if self.hint == ALL else self.hint,
            subject=self.subject,
            rows=[(row, KINDS[row.verdict], SIGNS[row.verdict]) for row in self.rows],
            common=self.common(),
            others=[each for each in self.outcomes() if each.about in (UNCLEAR, NOT_CHECKED)],
            style=styled(style),
            header=headed("class.html", beside),
        )

    def save_page(self, path: str | Path) -> None:
        """Write the page, whole or not at all. MissingError without Jinja2."""
        _write(path, "class.html", self.html(pages_beside(path)))

    def save_csv(self, path: str | Path) -> None:
        """Write the table as CSV, whole or not at all."""
        _write(path, "class.csv", self.csv())


def _write(path: str | Path, usual: str, content: str) -> None:
    from plaingrad.training.checkpoint import page_file, write_safely

    write_safely(page_file(path, usual), content.encode("utf-8", "replace"))


def harmless(cell: str) -> str:
    """A cell that a spreadsheet shows as it is: in one line, and no formula."""
    return visible(f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell)
