"""The evidence for a finding: which numbers are off, by what factor, where; what fits nearly, what was ruled out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.search.afterwards import OVERWRITTEN
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.rounding import ALIKE, allowed, ratio
from plaingrad.checking.search.search import Search
from plaingrad.compiler.loops import Array
from plaingrad.network.step import Step

SHOWN = 4
SAME = 1e-4  # of the largest number: what is read as one factor
STEP = 32  # uncertainties of a weight, by which a step of it may miss a factor: four times what is allowed
FEW = 8  # places that are told one by one
Place = tuple[int, ...]
Steps = Mapping[str, Step]  # the layers of a network, by name


@dataclass(frozen=True)
class Cell:
    """One number: where it is, what was answered, what it should be, what the named mistake gives."""

    place: Place
    given: float
    expected: float
    mistaken: float | None


def off(finding: Finding) -> Array:
    """Which numbers are wrong."""
    wrong: Array = np.abs(finding.given - finding.expected) > 8 * finding.uncertainty + 1e-9 * np.abs(finding.expected)
    return wrong if wrong.any() else finding.given != finding.expected


def cells(finding: Finding) -> list[Cell]:
    """The numbers that tell most: the largest differences, and where there is one a number that agrees."""
    away = np.abs(finding.given - finding.expected)
    best = finding.best
    is_made = best is not None and best.key == finding.key and best.mistake is not OVERWRITTEN
    made = best.made if best and is_made else None
    order = np.argsort(-away, axis=None, kind="stable")[:SHOWN]
    places = [np.unravel_index(flat, away.shape) for flat in order if away.reshape(-1)[flat] > 0]
    mistaken = [None if made is None else float(made[place]) for place in places]
    return [
        Cell(tuple(map(int, place)), float(finding.given[place]), float(finding.expected[place]), wrong)
        for place, wrong in zip(places, mistaken, strict=True)
    ]


@np.errstate(all="ignore")
def patterns(finding: Finding, steps: Steps) -> list[str]:
    """Where the wrong numbers lie, in words; the most telling first."""
    wrong, (given, expected), told = off(finding), finding.compared, list[str]()
    is_step = finding.before is not None
    size = float(np.abs(expected).max(initial=0)) or 1.0
    factor = ratio(given, expected, max(SAME, STEP * float(finding.uncertainty.max(initial=0)) / size * is_step))
    many = f"all {wrong.size} numbers" if wrong.size > 1 else "the one number"
    if factor is not None and wrong.any():
        shown = f"{'step' if is_step else 'value'} × {factor:.{4 if is_step else 6}g}"
        told.append(f"your {'step' if is_step else 'value'} = correct {shown} in {many}")
    elif not np.any(given):
        told.append(f"{many} stay as they were" if is_step else f"{many} {'are' if wrong.size > 1 else 'is'} 0")
    elif wrong.all():
        told.append(f"{many} are wrong" if wrong.size > 1 else "the number is wrong")
    else:
        told.append(f"{int(wrong.sum())} of {wrong.size} numbers are wrong")
        told += _places(finding.key, wrong, steps)
    if factor is None and np.allclose(np.sort(given, axis=None), np.sort(expected, axis=None), rtol=1e-4, atol=1e-9):
        told.append("all the correct numbers are there, but in other places")
    elif factor is None and wrong.any() and given.any():
        told += _parts(given, expected)
    told += _special(finding, wrong) if not is_step else _of_step(given, expected, wrong)
    return told


def _places(key: Key, wrong: Array, steps: Steps) -> list[str]:
    """Along which axis the wrong numbers lie together."""
    names = axes_of(key, wrong.ndim, steps)
    told = []
    for axis, name in enumerate(names):
        others = tuple(each for each in range(wrong.ndim) if each != axis)
        per = wrong.any(axis=others)
        if 0 < per.sum() <= min(FEW, per.size / 2):
            which = ", ".join(str(each) for each in np.flatnonzero(per))
            told.append(f"all of them have {name} {which} (of {per.size}, counted from 0)")
    if wrong.ndim == 4 and min(wrong.shape[2:]) > 2:
        inner = np.zeros(wrong.shape[2:], bool)
        inner[1:-1, 1:-1] = True
        if not wrong[..., inner].any():
            told.append("all of them lie on the border of the map; the inside is right")
        elif wrong[..., inner].all() and not wrong[..., ~inner].any():
            told.append("all of the inside is wrong; the border is right")
    return told


def _parts(given: Array, expected: Array) -> list[str]:
    """Simple relations that hold number by number."""
    told = []
    if np.allclose(np.abs(given), np.abs(expected), rtol=1e-4, atol=1e-9):
        told.append("the absolute values are right, but some signs are wrong")
    if given.ndim > 1:
        for axis, name in ((0, "first"), (1, "second")):
            others = tuple(each for each in range(given.ndim) if each != axis)
            weight = (expected * expected).sum(axis=others, keepdims=True)
            factor = (given * expected).sum(axis=others, keepdims=True) / np.where(weight == 0, 1, weight)
            if np.abs(given - factor * expected).max() <= 1e-4 * np.abs(given).max(initial=0):
                values = ", ".join(f"{each:.4g}" for each in factor.reshape(-1)[:8])
                told.append(
                    f"your numbers are the correct ones times a factor for each value of the {name} index: {values}"
                )
                break
    if given.size > 2 and np.allclose(given, given.reshape(-1)[0], rtol=1e-5, atol=0):
        told.append("all your numbers are the same")
    return told


def _of_step(given: Array, expected: Array, wrong: Array) -> list[str]:
    """Weights that stay as they were, and steps of few sizes."""
    told = []
    stays = (given == 0) & (expected != 0)
    if stays.any() and not stays.all():
        others = "; the other steps are right" if (stays == wrong).all() else ""
        told.append(f"{int(stays.sum())} of {stays.size} weights stay as they were{others}")
    if given.size >= FEW and (given != 0).all() and (np.sign(given) != np.sign(expected)).any():
        count = int((np.sign(given) != np.sign(expected)).sum())
        told.append(f"{count} of {given.size} steps go in the wrong direction")
    return told


def _special(finding: Finding, wrong: Array) -> list[str]:
    """Ties, zeros, and what a stride leaves out."""
    told = []
    zero = finding.expected == 0
    if zero.any() and wrong[zero].any() and not wrong[~zero].any():
        told.append("all of them should be 0: no error belongs there")
    elif zero.any() and not wrong[zero].any() and wrong[~zero].all():
        told.append("every number that is not 0 is wrong; the zeros are right")
    missing = (finding.given == 0) & ~zero
    if missing.any() and (missing == wrong).all() and not missing.all():
        told.append("all of them are 0 in your answer: something is never added there")
    return told


def axes_of(key: Key, count: int, steps: Steps) -> tuple[str, ...]:
    """What the axes of an array are called."""
    _, layer, quantity = key
    step = steps.get(layer)
    if step is not None and quantity.removeprefix("d") in step.weights:
        names: tuple[str, ...] = ("filter", "channel", "row", "column") if count == 4 else ("unit", "input")
        return names[:count]
    return ("image", "channel", "row", "column") if count == 4 else ("image", "output")[:count]


def explained_by_rounding(finding: Finding, search: Search) -> float:
    """How far a right number may be off, relative to the largest number."""
    size = largest_of(finding)
    room = allowed(Estimate(finding.expected, finding.uncertainty), finding.given, search.precision)
    return float(room.max(initial=0)) / size


def largest_of(finding: Finding) -> float:
    """The largest number, of those that were answered and of those that should be."""
    largest = [float(np.abs(each).max(initial=0)) for each in (finding.given, finding.expected)]
    return max(*largest, np.finfo(float).tiny)


@dataclass(frozen=True)
class Near:
    """A mistake that does not give the answer's numbers, and how near it comes."""

    id: str
    title: str
    share: float  # of the wrong numbers that it would account for
    distance: float  # largest difference, relative to the largest number


def nearest(finding: Finding, search: Search) -> list[Near]:
    """The mistakes that were ruled out, the nearest first."""
    wrong, named = off(finding), {fit.mistake.id for fit in finding.fits}
    size = largest_of(finding)
    # A mistake's own roundings may be larger than the right ones', all of which are as large as the largest here.
    room = ALIKE * explained_by_rounding(finding, search) * size
    near: dict[str, Near] = {}
    for mistake, made in finding.tried:
        if mistake.id in named or not np.isfinite(made).all():
            continue
        with np.errstate(over="ignore"):
            away = np.abs(made - finding.given)
        share = float((away[wrong] <= room).mean()) if wrong.any() else 0.0
        each = Near(mistake.id, mistake.title, share, float(away.max(initial=0)) / size)
        known = near.get(mistake.id)
        if known is None or (each.share, -each.distance) > (known.share, -known.distance):
            near[mistake.id] = each
    return sorted(near.values(), key=lambda each: (-each.share, each.distance))
