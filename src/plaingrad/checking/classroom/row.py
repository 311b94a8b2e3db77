"""What the table of a class tells of one answer."""

from dataclasses import asdict, dataclass, field
from typing import Any

from plaingrad.checking.search.names import name_of
from plaingrad.checking.verdict.hint import ALL, KIND, LINE, PLACE, kinds_of, tells
from plaingrad.checking.verdict.text import right_text, some
from plaingrad.checking.verdict.verdict import MISTAKE, UNCLEAR, Verdict
from plaingrad.textbook.phrases import counted

NOT_CHECKED = "not checked"
MOST_NOTES = 20
Slip = dict[str, Any]  # a mistake as far as it is told: where, and perhaps kinds, loop, id, title


@dataclass(frozen=True)
class ClassRow:
    """One answer of a class.

    `verdict` is that of `check_answer`, or "not checked", and then `problem` says why in one line. Each of `mistakes`
    has `where`, and as far as the hint tells `kinds`, `loop` (the textbook's text for it), `id` and `title`. `hint` is
    how much could be told: nothing of a right answer, the place of what is unclear.
    """

    who: str
    path: str
    verdict: str = NOT_CHECKED
    first_wrong: str | None = None
    mistakes: list[Slip] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    hint: str = ""
    precision: str = ""
    compared: int = 0
    notes: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def is_checked(self) -> bool:
        """Whether there is a verdict on it."""
        return self.verdict != NOT_CHECKED

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong in it."""
        return self.is_checked and self.verdict not in (MISTAKE, UNCLEAR)

    @property
    def told(self) -> str:
        """What is wrong with it, in one line: each mistake as far as it is told, what is unclear, or the problem."""
        slips = [words_of(each) for each in self.mistakes]
        slips += [f"unclear in {some(self.unclear)}"] if self.unclear else []
        return self.problem or "; ".join(dict.fromkeys(each for each in slips if each))

    def to_json(self) -> dict[str, Any]:
        """The row as an object."""
        return asdict(self)


def words_of(slip: Slip) -> str:
    """A mistake in words, as far as it is told; nothing where only its place is."""
    if "title" in slip:
        return f"{slip['title']} [{slip['id']}]"
    kinds = " or ".join(slip.get("kinds", ()))
    return f"{kinds} (see {slip['loop']})" if "loop" in slip else kinds


def seen(verdict: Verdict, hint: str) -> dict[str, Any]:
    """What a row tells of a verdict: no more than the hint allows."""
    mistakes = []
    for each in verdict.mistakes:
        slip: Slip = {"where": each.where}
        if tells(hint, KIND):
            slip["kinds"] = kinds_of(each)
        if tells(hint, LINE):
            text = right_text(verdict.search.program, each.keys[0])
            slip["loop"] = f"{text.__name__} in {text.__module__}"
        if tells(hint, ALL):
            slip |= {"id": each.id, "title": each.title}
        mistakes.append(slip)
    notes = list(verdict.notes if tells(hint, ALL) else verdict.reading)
    more = [f"and {counted(len(notes) - MOST_NOTES, 'more note')}"] if len(notes) > MOST_NOTES else []
    return {
        "verdict": verdict.verdict,
        "first_wrong": verdict.first_wrong,
        "mistakes": mistakes,
        "unclear": [name_of(each.key) for each in verdict.unclear],
        "hint": hint if mistakes else PLACE if verdict.unclear else "",
        "precision": str(verdict.search.precision),
        "compared": len(verdict.rows),
        "notes": notes[:MOST_NOTES] + more,
    }
