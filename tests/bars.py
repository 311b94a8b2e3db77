"""Trials of the checker: answers of which it is known what is wrong in them, and what was said of each."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from diseased import Place, Wrong, alike, finite, form_of, networks, places, played, sites
from plaingrad.checking.check import check_answer
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.verdict.verdict import Verdict
from plaingrad.compiler.loops import Array
from strange import STRANGE
from students import Student, in_print, told

PRINTS = ("f64", "f32", "6 digits")
PARTS = ("gradients", "weights", "outputs and gradients", "errors", "second step", "few", "half", "most")
SHARES = {"few": 0.15, "half": 0.4, "most": 0.75}  # of the quantities


@dataclass(frozen=True)
class Planted:
    """A mistake in a pass: a form of one of the catalogue, or, where `form` is None, one that is not in it."""

    place: Place
    id: str
    form: int | None = None

    @property
    def wrong(self) -> Wrong:
        """What it makes of the pass."""
        return STRANGE[self.id] if self.form is None else form_of(self.id, self.form)


@dataclass(frozen=True)
class Trial:
    """An answer: of which network, with which mistakes, how printed, and which part of it is given."""

    network: str
    planted: tuple[Planted, ...]
    printed: str = "f64"
    part: str = "all"
    seed: int = 0


@dataclass(frozen=True)
class Said:
    """What was said of one planted mistake.

    `how` is "named", "same numbers" (another name, of a mistake that gives the same), "place" (found, and not named),
    "suspected" (among the passes without an answer that may be at fault), "layer" (of its layer, or of another pass
    there) or "missed". `instead` is the other name.
    """

    planted: Planted
    how: str
    instead: str = ""

    @property
    def is_named(self) -> bool:
        """Whether it was named, or a mistake that gives the same numbers."""
        return self.how in ("named", "same numbers")


@dataclass(frozen=True)
class Outcome:
    """What was said of an answer.

    `said` of each mistake, `first` by the finding that comes first in the order of computing; `besides`: what else was
    found; `wrong_names`: names given to what they are not; `same`: mistakes that give the first finding's numbers.
    """

    trial: Trial
    verdict: str
    said: tuple[Said, ...]
    first: Said
    besides: tuple[str, ...]
    wrong_names: tuple[str, ...]
    same: tuple[str, ...]
    findings: str
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether the answer was taken for right."""
        return self.verdict.startswith("right")

    def __str__(self) -> str:
        planted = " and ".join(f"{'.'.join(each.place)} {each.id} {each.form}" for each in self.trial.planted)
        where = f"{self.trial.network}, {self.trial.printed}, {self.trial.part} {self.trial.seed}"
        hows = ", ".join(f"{each.how} {each.instead}".strip() for each in self.said)
        return f"{where}: {planted} -> {self.verdict}: {hows} [{self.findings}]"


def chosen(arrays: dict[Key, Array], part: str, seed: int) -> dict[Key, Array]:
    """A part of an answer."""
    rng = np.random.default_rng(seed)

    def kept(key: Key) -> bool:
        is_output, is_error, is_gradient = key[2] == "y", key[2] == "dx", key[2][0] == "d" and key[2] != "dx"
        of_part = {
            "all": True,
            "gradients": is_gradient,
            "weights": not (is_output or is_error or is_gradient),
            "outputs and gradients": (is_output and key[1] != "loss") or is_gradient,
            "errors": is_error,
            "second step": key[0] == 2,
        }
        return of_part[part] if part in of_part else bool(rng.random() < SHARES[part])

    found = {key: array for key, array in arrays.items() if kept(key)}
    return found or dict([list(arrays.items())[rng.integers(len(arrays))]])


def tried(trial: Trial, left_out: frozenset[str] = frozenset()) -> Outcome | None:
    """What is said of an answer; None where its mistakes do not show in it."""
    case = networks()[trial.network]
    wrongs = {each.place: each.wrong for each in trial.planted}
    arrays, changed = played(case, wrongs, single=trial.printed != "f64")
    if not finite(arrays) or {key[1:] for key in changed} < wrongs.keys():
        return None
    given = chosen(arrays, trial.part, trial.seed)
    if trial.part != "all" and not shows(trial, given):
        return None
    answer = told(given, printed=in_print(trial.printed))
    began = time.perf_counter()
    verdict = check_answer(case, answer, left_out)
    return outcome(trial, verdict, time.perf_counter() - began)


def shows(trial: Trial, given: dict[Key, Array]) -> bool:
    """Whether any number of a part is another than in a right answer, by more than printing and float32 hide."""
    right, rough = right_arrays(trial.network)
    # What float32 does to an array is about a standard deviation of its rounding; the checker allows 8, and takes each
    # of them large.
    return any(
        np.abs(array - right[key]).max() > 1e-4 * np.abs(right[key]).max() + 64 * np.abs(rough[key] - right[key]).max()
        for key, array in given.items()
    )


@functools.cache
def right_arrays(network: str) -> tuple[dict[Key, Array], dict[Key, Array]]:
    """All arrays of a network, in float64 and in float32."""
    case = networks()[network]
    return Student(case).arrays(), Student(case, np.float32).arrays()


def outcome(trial: Trial, verdict: Verdict, seconds: float) -> Outcome:
    """What a verdict says of the mistakes that are there, and of any that are not."""
    place = verdict.search.program.place
    findings = sorted(verdict.search.findings, key=lambda each: place[each.where])
    there = {each.place for each in trial.planted}
    named = [(each.id, finding) for each in verdict.mistakes for finding in each.findings]
    besides = [f"{name_of(finding.where)} {id}" for id, finding in named if not about(trial, finding)]
    besides += [
        f"{name_of(finding.where)} unclear"
        for finding in verdict.unclear
        if finding.key[1:] not in there and not any(each[1:] in there for each in finding.suspects)
    ]
    wrong = [f"{name_of(finding.where)} {id}" for id, finding in named if is_wrong(trial, id, finding, findings)]
    order = {key[1:]: number for key, number in reversed(place.items())}
    earliest = min(trial.planted, key=lambda each: order[each.place])
    return Outcome(
        trial,
        verdict.verdict,
        said=tuple(taken(trial.network, each, verdict) or said_of(each, findings) for each in trial.planted),
        first=taken(trial.network, earliest, verdict) or said_of(earliest, findings[:1]),
        besides=tuple(besides),
        wrong_names=tuple(wrong),
        same=tuple(fit.mistake.id for fit in findings[0].fits) if findings else (),
        findings="; ".join(shown_of(finding) for finding in findings[:6]),
        seconds=seconds,
    )


def about(trial: Trial, finding: Finding) -> bool:
    """Whether a finding is about a mistake that is there."""
    there = {each.place for each in trial.planted}
    return finding.where[1:] in there or any(of_planted(each, finding) for each in trial.planted)


def is_wrong(trial: Trial, id: str, finding: Finding, findings: list[Finding]) -> bool:
    """Whether a name is one that the pass does not deserve: its mistake gives other numbers there, in any step."""
    if any(of_planted(each, finding) for each in trial.planted):
        return False
    if not about(trial, finding):
        return True
    there = [each for each in findings if each.where[1:] == finding.where[1:]]
    return not all(id in {fit.mistake.id for fit in each.fits} for each in there)


def of_planted(planted: Planted, finding: Finding) -> bool:
    """Whether the planted mistake is among those that a finding may be."""
    return any(fit.key[1:] == planted.place and fit.mistake.id == planted.id for fit in finding.fits)


def taken(network: str, planted: Planted, verdict: Verdict) -> Said | None:
    """What is said of a mistake in a pass where the program is taken to have a way of its own; None where it is not."""
    for each in verdict.conventions:
        if planted.place in {key[1:] for key in each.passes}:
            ids = set(each.id.split("+"))
            if planted.id in ids:
                return Said(planted, "named")
            same = alike(network).get((planted.place, planted.id, planted.form or 0), frozenset())
            return Said(planted, "same numbers" if ids & same else "missed", f"{'.'.join(planted.place)} {each.id}")
    return None


def said_of(planted: Planted, findings: list[Finding]) -> Said:
    """What findings say of one mistake."""
    for finding in findings:
        if of_planted(planted, finding):
            best = finding.fits[0]
            if best.mistake.id == planted.id and best.key[1:] == planted.place:
                return Said(planted, "named")
            return Said(planted, "same numbers", f"{'.'.join(best.key[1:])} {best.mistake.id}")
    ways: list[tuple[str, Callable[[Finding], bool]]] = [
        ("place", lambda finding: planted.place == finding.where[1:]),
        ("suspected", lambda finding: planted.place in {key[1:] for key in finding.suspects}),
        ("layer", lambda finding: planted.place[0] in {key[1] for key in (finding.where, *finding.suspects)}),
    ]
    for how, is_so in ways:
        for finding in findings:
            if is_so(finding):
                return Said(planted, how, finding.best.mistake.id if finding.best else "")
    return Said(planted, "missed")


def shown_of(finding: Finding) -> str:
    """A finding in short."""
    names = "/".join(fit.mistake.id for fit in finding.fits) or "?"
    own = "" if finding.where == finding.key else f"{name_of(finding.key)} for "
    return f"{own}{name_of(finding.where)}: {names}"


def singles(prints: Iterable[str] = PRINTS) -> Iterator[Trial]:
    """Every form of every mistake of the catalogue, at every place of every network, printed in every way."""
    for network in networks():
        for site in sites(network):
            for printed in prints:
                yield Trial(network, (Planted(site.place, site.id, site.form),), printed)


def without(outcome: Outcome) -> Outcome | None:
    """The same answer where its mistake, and those that give the same numbers, are in no catalogue."""
    return tried(outcome.trial, frozenset({outcome.trial.planted[0].id, *outcome.same}))


def pairs(count: int, seed: int = 0) -> Iterator[Trial]:
    """Two different mistakes of the catalogue in different layers."""
    rng = np.random.default_rng(seed)
    names = list(networks())
    for number in range(count):
        network = names[number % len(names)]
        there = sites(network)
        one, two = (there[int(each)] for each in rng.integers(len(there), size=2))
        if one.place[0] != two.place[0] and one.id != two.id:
            planted = tuple(Planted(each.place, each.id, each.form) for each in (one, two))
            yield Trial(network, planted, PRINTS[int(rng.integers(3))])


def oddities() -> Iterator[Trial]:
    """Every mistake that is in no catalogue, in every pass of every network, printed now in one way and now another."""
    number = 0
    for network in networks():
        for place in places(network):
            for id in STRANGE:
                yield Trial(network, (Planted(place, id),), PRINTS[number % 3])
                number += 1


def parts(count: int, seed: int = 0) -> Iterator[Trial]:
    """Mistakes of the catalogue in answers of which only a part is given."""
    rng = np.random.default_rng(seed)
    names = list(networks())
    for number in range(count):
        network = names[number % len(names)]
        site = sites(network)[int(rng.integers(len(sites(network))))]
        part, printed = PARTS[int(rng.integers(len(PARTS)))], PRINTS[int(rng.integers(3))]
        yield Trial(network, (Planted(site.place, site.id, site.form),), printed, part, number)


def sampled(trials: Iterable[Trial], count: int, seed: int = 0) -> list[Trial]:
    """So many trials out of many, drawn evenly through them."""
    every = list(trials)
    rng = np.random.default_rng(seed)
    bounds = np.linspace(0, len(every), min(count, len(every)) + 1).astype(int)
    return [every[int(rng.integers(low, high))] for low, high in pairwise(bounds)]
