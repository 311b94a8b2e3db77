"""The verdict on an answer: right, right with another convention, a mistake, or unclear; and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from plaingrad.checking.answers.layout import told
from plaingrad.checking.search.conventions import Convention
from plaingrad.checking.search.findings import Finding, Fit, Row
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.search import Search

RIGHT, CONVENTION, MISTAKE, UNCLEAR = "right", "right, with another convention", "mistake", "unclear"
ORDER = "Positions in this report follow the order of the case."


@dataclass
class Named:
    """A mistake or a convention, and the findings that show it."""

    id: str
    title: str
    advice: str
    findings: list[Finding] = field(default_factory=list)
    passes: list[Key] = field(default_factory=list)  # those of a convention, which nothing is found against
    name_of: Callable[[Key], str] = name_of

    @property
    def where(self) -> list[str]:
        """The arrays it was made in."""
        return list(dict.fromkeys(map(self.name_of, [*(finding.where for finding in self.findings), *self.passes])))


@dataclass(repr=False)
class Verdict:
    """What is right and wrong in an answer."""

    text: ClassVar[Callable[..., str]]  # `verdict.text`, which knows verdicts, adds these two
    to_json: ClassVar[Callable[..., dict[str, Any]]]

    verdict: str
    mistakes: list[Named]
    unclear: list[Finding]
    conventions: list[Named]
    rows: list[Row]
    search: Search
    notes: list[str]

    def __repr__(self) -> str:
        return self.text()

    @property
    def first_wrong(self) -> str | None:
        """The first array, in the order of computing, that is wrong by itself."""
        place = self.search.program.place
        wrong = [finding.where for each in self.mistakes for finding in each.findings]
        wrong += [finding.where for finding in self.unclear]
        return name_of(min(wrong, key=lambda key: place[key])) if wrong else None

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict in (RIGHT, CONVENTION)


def drawn(search: Search, taken: list[Convention], notes: list[str]) -> Verdict:
    """The verdict of a search of an answer whose program has these conventions."""
    orders = search.orders | search.found_orders
    conventions = [
        Named(f"layout-{group}", told(group, order), ORDER) for group, order in orders.items() if not usual(order)
    ]
    for key, order in search.odd_orders.items():
        title = f"{told(search.groups[key], order)}, unlike the other arrays of their kind"
        conventions.append(Named(f"layout-{name_of(key)}", title, "", passes=[key]))
    for convention in taken:
        if convention.places:
            passes = [key for key in search.program.keys if key[1:] in convention.places]
            conventions.append(Named(convention.id, convention.title, convention.advice, passes=passes))
            for key in {key for key in set(passes) & search.rows.keys() if search.rows[key].status == "agrees"}:
                search.rows[key].status = "another convention"
    empty = [
        row.name for row in search.rows.values() if row.status == "agrees" and not search.expected[row.key].value.any()
    ]
    if empty:
        more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
        notes = [
            *notes,
            f"{', '.join(empty[:3])}{more}: all 0 in this case, so that agreement says little; try another --seed",
        ]
    told_most(search.findings)
    mistakes: dict[str, Named] = {}
    named: dict[str, Named] = {}
    unclear = []
    for finding in search.findings:
        best = finding.best
        if best is None:
            unclear.append(finding)
            continue
        into = named if best.mistake.convention else mistakes
        each = into.setdefault(best.mistake.id, Named(best.mistake.id, best.mistake.title, best.mistake.advice))
        each.findings.append(finding)
    conventions += named.values()
    wrong = MISTAKE if mistakes else UNCLEAR if unclear else None
    verdict = wrong or (CONVENTION if conventions else RIGHT)
    return Verdict(verdict, list(mistakes.values()), unclear, conventions, list(search.rows.values()), search, notes)


def told_most(findings: list[Finding]) -> None:
    """Where several mistakes give the same numbers, the one that accounts for most findings is named first.

    Of those that account for as many it is one made in the pass itself, before one in a pass that was not answered.
    A number that happens to be that of the images comes last: a window of 4 pixels is not a batch of 4.
    """
    counts = Counter(fit.mistake.id for finding in findings for fit in finding.fits)

    def rank(key: Key, fit: Fit) -> tuple[bool, int, bool, bool]:
        return not fit.mistake.convention, -counts[fit.mistake.id], fit.key != key, fit.mistake.late

    for finding in findings:
        finding.fits.sort(key=partial(rank, finding.key))


def usual(order: Any) -> bool:
    """Whether an order is the case's own."""
    return isinstance(order, tuple) and order == tuple(range(len(order)))
