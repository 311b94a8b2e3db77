"""The verdict on an answer: right, right with another convention, a mistake, or unclear; and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from plaingrad.checking.answers.layout import Order, told
from plaingrad.checking.catalogue.entry import Kind, Mistake
from plaingrad.checking.search.conventions import ORDER, Convention
from plaingrad.checking.search.findings import Finding, Fit, Row
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.uncompared import Uncompared
from plaingrad.checking.seeing import Hidden, hidden_of

RIGHT, CONVENTION, MISTAKE, UNCLEAR = "right", "right, with another convention", "mistake", "unclear"


@dataclass
class Named:
    """A mistake or a convention, and the findings that show it."""

    id: str
    title: str
    advice: str
    findings: list[Finding] = field(default_factory=list)
    passes: list[Key] = field(default_factory=list)  # those of a convention, which nothing is found against
    uncompared: list[Uncompared] = field(default_factory=list)  # quantities that show it by their shape, or by nan
    name_of: Callable[[Key], str] = name_of
    kind: Kind | None = None  # of one that no finding shows

    @property
    def where(self) -> list[str]:
        """The arrays it was made in."""
        return list(dict.fromkeys(map(self.name_of, self.keys)))

    @property
    def keys(self) -> list[Key]:
        """The same as keys."""
        return [
            *(key for finding in self.findings for key in finding.places),
            *(each.key for each in self.uncompared),
            *self.passes,
        ]

    @property
    def besides(self) -> list[Mistake]:
        """The other mistakes that account for all of it: what gives the numbers of one step alone was not made."""
        every = [{fit.mistake.id: fit.mistake for fit in each.fits} for each in self.findings]
        first = every[0].values() if every else ()
        return [each for each in first if each.id != self.id and all(each.id in other for other in every)]


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
    uncompared: list[Uncompared]  # and unclear; those that are named are with the mistakes
    reading: list[str] = field(
        default_factory=list, kw_only=True
    )  # those of the notes that are about names and files alone

    def __repr__(self) -> str:
        return self.text()

    @property
    def first_wrong(self) -> str | None:
        """The first array, in the order of computing, that is wrong by itself."""
        return name_of(self.first_of(self.sections[0])) if self.sections else None

    @property
    def sections(self) -> list[Named | Finding | Uncompared]:
        """All that is wrong: mistakes and what is unclear, in the order of computing."""
        place = self.search.program.place
        every: list[Named | Finding | Uncompared] = [*self.mistakes, *self.unclear, *self.uncompared]
        return sorted(every, key=lambda each: place[self.first_of(each)])

    def first_of(self, section: Named | Finding | Uncompared) -> Key:
        """The first array, in the order of computing, that a section is about."""
        if isinstance(section, Named):
            return min(section.keys, key=self.search.program.place.__getitem__)
        return section.where if isinstance(section, Finding) else section.key

    @property
    def compared(self) -> int:
        """How many quantities were compared."""
        return len(self.search.arrays)

    def why_absent(self, key: Key) -> str:
        """Why nothing was compared with a pass, as a clause about it."""
        return "could not be compared" if key in self.search.rows else "your answer does not contain"

    @property
    def hidden(self) -> Hidden | None:
        """What the case cannot show; None unless all is right and it hides something, or where that takes long."""
        hidden = hidden_of(self.search.program.case) if self.is_right else None
        return hidden if hidden is not None and hidden.mistakes else None

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict in (RIGHT, CONVENTION)


def drawn(search: Search, taken: list[Convention], notes: list[str], others: list[Uncompared]) -> Verdict:
    """The verdict of a search of an answer whose program has these conventions, and of what could not be compared."""
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
    for other in others:
        if other.is_certain:
            one = mistakes.setdefault(other.id, Named(other.id, other.title, other.advice))
            one.uncompared.append(other)
    doubtful = [each for each in others if not each.is_certain and each.status != "follows"]
    conventions += named.values()
    wrong = MISTAKE if mistakes else UNCLEAR if unclear or doubtful else None
    verdict = wrong or (CONVENTION if conventions else RIGHT)
    return Verdict(
        verdict, list(mistakes.values()), unclear, conventions, list(search.rows.values()), search, notes, doubtful
    )


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


def usual(order: Order) -> bool:
    """Whether an order is the case's own."""
    return order == tuple(range(len(order)))
