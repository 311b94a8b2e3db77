"""Other right ways that a program does not keep to: one that is taken here and not there is a mistake.

A way of a pass is kept to in every step. A way of the update, such as momentum, is kept to in all arrays as well.
"""

from dataclasses import replace

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, Mistake
from plaingrad.checking.search.afterwards import changes_nothing
from plaingrad.checking.search.findings import Finding, Fit
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.rounding import allowed
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.update_numbers import COLUMNS
from plaingrad.checking.search.update_rules import Past
from plaingrad.checking.search.update_words import momentum_added
from plaingrad.compiler.loops import Array

MOST_NAMES = 6


def tell_ways_in_part(search: Search) -> None:
    """Take for a mistake, in place of another right way, what the answer does here and not there."""
    ways: dict[str, list[Finding]] = {}
    for each in search.findings:
        way = _way(each)
        if way is not None:
            ways.setdefault(way.mistake.id, []).append(each)
    for found in ways.values():
        updates = [each for each in found if search.program.is_update(each.where)]
        _tell(search, updates, _updates_without(search, updates))
        for each in found:
            if each not in updates:
                _tell(search, [each], _steps_without(search, each))


def tell_division_in_part(search: Search) -> None:
    """Say of updates that are larger by the number of images that a division is missing, which the others have."""
    for each in search.findings:
        for number, fit in enumerate(each.fits):
            if fit.mistake.id == "rate-by-batch" and _step(each, each.given) > _step(each, each.expected):
                mistake = replace(
                    fit.mistake,
                    title="the update is not divided by the number of images, as that of the other arrays is",
                    advice="Divide in every update, or once in the gradient of the loss.",
                )
                each.fits[number] = replace(fit, mistake=mistake)


def _step(finding: Finding, after: Array) -> float:
    """The largest number of the step to some weights."""
    return 0.0 if finding.before is None else float(np.abs(after - finding.before).max(initial=0))


def _way(finding: Finding) -> Fit | None:
    """The other right way that a finding is taken for."""
    return next((fit for fit in finding.fits if fit.mistake.convention), None)


def _tell(search: Search, found: list[Finding], without: list[Key]) -> None:
    has = [each.key for each in found if each.key not in without]
    for each in found if without else []:
        way = _way(each)
        assert way is not None
        others = [fit for fit in each.fits if not fit.mistake.convention]
        each.fits = [replace(way, mistake=_in_part(way.mistake, has, without)), *others]
        search.rows[each.key].status = "wrong"


def _in_part(way: Mistake, has: list[Key], without: list[Key]) -> Mistake:
    advice = f"Do so in every step and every array, or nowhere. {way.advice}"
    title = f"{way.title}; so in {_names(has)}, not in {_names(without)}"
    return replace(way, convention=False, title=title, advice=advice)


def _names(keys: list[Key]) -> str:
    names = [name_of(key) for key in keys]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def _steps_without(search: Search, finding: Finding) -> list[Key]:
    """The same pass in other steps, where the answer has the case's way and the other would show.

    None for a comparison: rounding alone may decide between equal numbers, otherwise in each step.
    """
    fit = _way(finding)
    if fit is None or fit.mistake.kind is Kind.COMPARISON:
        return []
    return [
        key
        for key, row in search.rows.items()
        if search.program.is_same_code(key, fit.key) and _is_plain(row.status) and not changes_nothing(search, fit, key)
    ]


def _is_plain(status: str) -> bool:
    return status in ("agrees", "follows")


def _updates_without(search: Search, found: list[Finding]) -> list[Key]:
    """The updates that are made in the case's way where this one would show, or in it with another number."""
    if not found:
        return []
    largest = max(found, key=lambda each: each.given.size)
    way = _way(largest)
    rules = [rule for rule in search.rules if way is not None and rule.mistake.id == way.mistake.id]
    share, error = _share(search, largest)
    rule = replace(rules[0], places=None) if rules else momentum_added(search.program, share, 1)
    without = [
        key
        for key, row in search.rows.items()
        if search.program.is_update(key)
        and _is_plain(row.status)
        and not search.agrees(rule.estimate(search.program, key, search.env), search.likeliest(key).array)
    ]
    if not rules:  # each has a number of its own
        others = [(each.key, *_share(search, each)) for each in found]
        without += [key for key, other, its in others if abs(other - share) > error + its]
    return without


def _share(search: Search, finding: Finding) -> tuple[float, float]:
    """The share of the step before that was added, and how far rounding may move it."""
    past = Past(search.program, search.env, finding.key)
    before = COLUMNS["before"](past) if past.t > 1 else np.zeros_like(finding.given)
    size = max(float((before * before).sum()), float(np.finfo(float).tiny))
    room = allowed(Estimate(finding.expected, finding.uncertainty), finding.given, search.precision)
    share = float(((finding.expected - finding.given) * before).sum()) / size
    return share, float((room * np.abs(before)).sum()) / size
