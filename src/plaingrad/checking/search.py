"""Finds where an answer goes wrong and what was done there.

Every pass is computed from the answer's own numbers, as far as it has them, so that one slip is blamed once. Where a
pass disagrees, each mistake of the catalogue is tried there, and at every pass before it whose array was not answered;
the one that gives the answer's numbers is the one.
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from plaingrad.checking.bilinear import Terms
from plaingrad.checking.catalogue import Mistake, applicable
from plaingrad.checking.layout import Order, Reading
from plaingrad.checking.passes import Belief, Env, Key, Program, exact
from plaingrad.checking.precision import Precision
from plaingrad.checking.scene import Scene
from plaingrad.loops import Array

MOST_WORK = 12_000_000
"""How many numbers are handled in looking for mistakes in passes without an answer, for one array: about a second."""
SLACKS = 8.0
"""How many standard deviations a right number may be off: with a million numbers one of 8 is chance of 1 in 10⁹."""
ALIKE = 3.0  # a mistake's own roundings may differ from the right pass's by so much


@dataclass
class Fit:
    """A mistake that gives the answer's numbers when made at `key`."""

    mistake: Mistake
    key: Key
    made: Array
    terms: Terms | None = None
    form: int = 0
    agreed: int = 0
    overlay: Env = field(default_factory=dict)


@dataclass
class Finding:
    """A pass that disagrees: what was answered, what should have been, and the mistakes that explain it."""

    key: Key
    given: Array
    expected: Array
    slack: Array
    fits: list[Fit]
    suspects: tuple[Key, ...] = ()
    tried: list[tuple[Mistake, Array]] = field(default_factory=list)

    @property
    def best(self) -> Fit | None:
        """The mistake that is named, if any is."""
        return self.fits[0] if self.fits else None

    @property
    def where(self) -> Key:
        """The pass that is blamed."""
        return self.fits[0].key if self.fits else self.key


@dataclass
class Row:
    """One answered quantity: whether it agrees, and how far it is off, relative to its largest number."""

    key: Key
    name: str
    status: str  # "agrees", "follows", "another convention", "wrong", "not judged"
    error: float
    finding: Finding | None = None


class Search:
    """One answer against one case. `arrays` are the readings of each quantity, the likeliest first."""

    def __init__(
        self, program: Program, arrays: dict[Key, list[Reading]], groups: dict[Key, str], precision: Precision,
        orders: dict[str, Order], left_out: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.program, self.arrays, self.groups, self.precision = program, arrays, groups, precision
        self.orders, self.left_out = dict(orders), left_out
        self.found_orders: dict[str, Order] = {}
        self.env: Env = program.start()
        self.hidden: set[Key] = set()
        self.rows: dict[Key, Row] = {}
        self.findings: list[Finding] = []
        self.slips: dict[tuple[str, str], Fit] = {}
        self.expected: Env = {}
        self.base: Env = {}
        self.unsure: set[str] = set()  # layers whose forward pass is wrong in a way without a name

    def run(self) -> None:
        """Judge every pass in order."""
        for key in self.program.keys:
            expected = self.expected[key] = self._slipped(key, self.program.evaluate(key, self.env))
            if key not in self.arrays:
                self.env[key] = expected
                self.hidden.add(key)
                continue
            self._judge(key, expected)
        if self.findings:
            self._follow()

    def _follow(self) -> None:
        """Tell what is right from what only follows: right by itself, and wrong because of a pass before it."""
        self.program.other = {}
        truth = self.program.start()
        for key in self.program.keys:
            made = self.program.value(key, truth)
            truth[key] = exact(made)
            row = self.rows.get(key)
            if row and row.status == "agrees":
                array = self._likeliest(key).array
                if not self.agrees(Belief(made, self.expected[key].slack), array):
                    row.status, row.error = "follows", relative(array, made)

    def _slipped(self, key: Key, expected: Belief) -> Belief:
        """What a pass without an answer makes, where the same slip was named in a step before."""
        fit = self.slips.get(key[1:])
        if fit is None or key in self.arrays:
            return expected
        made = self._same_form(fit, key, self.env, expected.value)
        return expected if made is None else alike(expected, made, self.program.unit)

    def _same_form(self, fit: Fit, key: Key, env: Mapping[Key, Belief], expected: Array) -> Array | None:
        """The slip of `fit` made in another step."""
        scene = Scene(self.program, key, env, expected, None)
        with np.errstate(all="ignore"):
            for form, made in enumerate(fit.mistake.wrong(scene)):
                if form == fit.form:
                    return scene.sum(made) if isinstance(made, Terms) else np.asarray(made)
        return None

    def _judge(self, key: Key, expected: Belief) -> None:
        reading = self._agreeing(key, expected)
        array = (reading or self._likeliest(key)).array
        error = relative(array, expected.value)
        row = Row(key, "", "agrees", error)
        self.rows[key] = row
        if reading:
            self.env[key] = self._anchored(expected, array)
            return
        finding = self._explained(key, expected, array)
        row.finding, row.status = finding, "wrong"
        if key[1] in self.unsure and not finding.fits and key[2] != "y":
            row.status = "not judged"
            self.env[key] = self._own(array)
            return
        self.findings.append(finding)
        best = finding.best
        if best is None:
            self.env[key] = self._own(array)
            if key[2] == "y":
                self.unsure.add(key[1])
            return
        if best.mistake.convention:
            row.status = "another convention"
        if best.key != key:
            self.slips[best.key[1:]] = best
        if best.terms is not None:
            self.program.other[best.key[1]] = best.terms
        self.env.update(best.overlay)
        if best.key == key:
            self.env[key] = self._anchored(alike(expected, best.made, self.program.unit), array)
        else:
            self.env[key] = self._anchored(self.program.evaluate(key, self.env), array)

    def _own(self, array: Array) -> Belief:
        """The program's own numbers, as exact as they were printed."""
        return Belief(array, self.precision.grain(array) / 2)

    def _anchored(self, expected: Belief, array: Array) -> Belief:
        """The program's own numbers where they are known better than by computing them; else the computed ones."""
        grain = self.precision.grain(array)
        if not grain.any() or np.median(expected.slack) > np.median(grain):
            return Belief(array, grain / 2)
        return expected

    def allowed(self, expected: Belief, array: Array) -> Array:
        """How far each number may be from what is expected."""
        own = 4 * self.program.unit * np.abs(expected.value)
        return SLACKS * expected.slack + self.precision.grain(array) + own

    def agrees(self, expected: Belief, array: Array) -> bool:
        """Whether an array is what is expected, up to rounding."""
        with np.errstate(all="ignore"):
            return bool((np.abs(array - expected.value) <= self.allowed(expected, array)).all())

    def _agreeing(self, key: Key, expected: Belief) -> Reading | None:
        """The reading of an array that agrees with what is expected: first the order its kind was found in before."""
        group = self.groups[key]
        known = self.found_orders.get(group, self.orders.get(group))
        readings = self.arrays[key]
        for reading in sorted(readings, key=lambda each: each.order != known):
            if not self.agrees(expected, reading.array):
                continue
            if reading.order == readings[0].order or reading.order == known or not known:
                if known is None and telling(reading, readings, expected, self):
                    if suspicious(reading, readings):
                        continue
                    self.found_orders[group] = reading.order
                return reading
        return None

    def _likeliest(self, key: Key) -> Reading:
        """The reading to judge by where none agrees."""
        group = self.groups[key]
        known = self.found_orders.get(group, self.orders.get(group))
        return next((each for each in self.arrays[key] if each.order == known), self.arrays[key][0])

    def _explained(self, key: Key, expected: Belief, array: Array) -> Finding:
        fits, tried = self._fits_at(key, expected, array)
        suspects = tuple(self._suspects(key))
        if suspects:
            judged = self._observed(suspects)
            self.base = self._baseline(suspects, judged)
            fits += self._fits_among(suspects, key, array)
            for fit in fits:
                fit.agreed = self._agreement(fit, judged)
            most = max((fit.agreed for fit in fits), default=0)
            fits = [fit for fit in fits if fit.agreed == most and most > 0]
        return Finding(key, array, expected.value, expected.slack, fits, suspects, tried)

    def _baseline(self, suspects: tuple[Key, ...], judged: list[Key]) -> Env:
        """What every pass from the first suspect to the last judged one should be if nothing else is wrong."""
        base: Env = {}
        env = ChainMap(base, self.env)
        places = [self.program.place[each] for each in (*suspects, *judged)]
        for each in self.program.keys[min(places) : max(places) + 1]:
            belief = self.program.evaluate(each, env)
            self.expected[each] = belief
            if each not in self.env:
                base[each] = self._own(self._likeliest(each).array) if each in self.arrays else belief
        return base

    def _quick(self, key: Key, env: Mapping[Key, Belief], fit: Fit) -> Belief:
        """What a pass makes, known about as well as what it should make; with the slip of `fit` in its other steps."""
        value = self.program.value(key, env)
        if key[1:] == fit.key[1:] and key in self.hidden | set(self.base):
            made = self._same_form(fit, key, env, value)
            value = value if made is None else made
        return alike(self.expected[key], value, self.program.unit)

    def _fits_at(self, key: Key, expected: Belief, array: Array) -> tuple[list[Fit], list[tuple[Mistake, Array]]]:
        """The mistakes that, made in this pass, give the answered array."""
        fits: dict[str, Fit] = {}
        tried = []
        for fit in self._forms(key, expected.value, array):
            tried.append((fit.mistake, fit.made))
            if fit.mistake.id not in fits and self.agrees(alike(expected, fit.made, self.program.unit), array):
                fits[fit.mistake.id] = fit
        return list(fits.values()), tried

    def _forms(self, key: Key, expected: Array, given: Array | None) -> Iterator[Fit]:
        """Every form of every mistake that can be made in a pass."""
        scene = Scene(self.program, key, self.env, expected, given)
        with np.errstate(all="ignore"):
            for mistake in applicable(scene):
                if mistake.id in self.left_out:
                    continue
                for form, made in enumerate(mistake.wrong(scene)):
                    terms = made if isinstance(made, Terms) else None
                    array = scene.sum(made) if isinstance(made, Terms) else np.asarray(made)
                    yield Fit(mistake, key, array, terms, form)

    def _suspects(self, key: Key) -> Iterator[Key]:
        """The passes without an answer that this one rests on, nearest first."""
        waiting, seen = [key], {key}
        while waiting:
            for need in self.program.needs(waiting.pop(0)):
                if need in self.hidden and need not in seen:
                    seen.add(need)
                    waiting.append(need)
                    yield need

    def _fits_among(self, suspects: tuple[Key, ...], key: Key, array: Array) -> list[Fit]:
        """The mistakes that, made in an earlier pass without an answer, give the answered array.

        On the way back all follows in proportion: one weighing of the answer, pulled back to the pass, rules out nearly
        all forms at the price of a product. What may be left is sent through the passes between.
        """
        weighing = np.asarray(np.random.default_rng(0).normal(size=array.shape))
        pulls = self._pulls(key, weighing)
        missing = float((weighing * (array - self.expected[key].value)).sum())
        doubt = 4 * float((np.abs(weighing) * self.allowed(self.expected[key], array)).sum()) + 1e-5 * abs(missing)
        found: dict[tuple[str, Key], Fit] = {}
        work = 0
        for place in sorted(suspects, key=lambda each: each not in pulls):
            pull, right = pulls.get(place), self.env[place].value
            path = sum(self.program.work(each) for each in self._between(place, key))
            if pull is None and work + path > MOST_WORK:
                continue
            for fit in self._forms(place, right, None):
                known = (fit.mistake.id, place)
                if known in found or np.array_equal(fit.made, right):
                    continue
                if pull is not None and key[0] == place[0]:
                    gained = float((pull * (fit.made - right)).sum())
                    if not abs(gained - missing) <= doubt + 1e-5 * abs(gained):
                        continue
                work += path if pull is None else 0
                if work > MOST_WORK:
                    break
                overlay = self._sent_on(fit, key)
                if key in overlay and self.agrees(overlay[key], array):
                    fit.overlay = {each: belief for each, belief in overlay.items() if each in self.hidden}
                    found[known] = fit
        return list(found.values())

    def _pulls(self, key: Key, weighing: Array) -> dict[Key, Array]:
        """How the weighed sum of an array changes with the numbers of each pass without an answer it rests on."""
        pulls = {key: weighing}
        for each in reversed(self.program.keys[: self.program.place[key] + 1]):
            if each in pulls:
                for need in self.program.needs(each):
                    if need in self.hidden:
                        pull = self.program.pulled(each, need, self.env, pulls[each])
                        if pull is not None:
                            pulls[need] = pulls[need] + pull if need in pulls else pull
        return pulls

    def _between(self, place: Key, key: Key) -> list[Key]:
        """The passes from one to another."""
        return self.program.keys[self.program.place[place] + 1 : self.program.place[key] + 1]

    def _sent_on(self, fit: Fit, key: Key) -> Env:
        """What follows from a mistake, through passes without an answer, up to and with `key`."""
        overlay: Env = {fit.key: alike(self.env[fit.key], fit.made, self.program.unit)}
        env = ChainMap(overlay, self.env)
        with self._made_of(fit.key[1], fit.terms):
            for each in self._between(fit.key, key):
                touched = any(need in overlay for need in self.program.needs(each)) or each[1:] == fit.key[1:]
                if touched and (each in self.hidden or each == key):
                    overlay[each] = self._quick(each, env, fit)
        return overlay

    def _observed(self, suspects: tuple[Key, ...]) -> list[Key]:
        """The answered passes that rest on any of these without another answer between."""
        reach, judged = set(suspects), []
        for key in self.program.keys:
            if any(need in reach for need in self.program.needs(key)):
                if key in self.arrays:
                    judged.append(key)
                elif key[0] == suspects[0][0]:
                    reach.add(key)
        return judged

    @contextmanager
    def _made_of(self, layer: str, terms: Terms | None) -> Iterator[None]:
        """For a while a layer is made of other terms."""
        kept = dict(self.program.other)
        if terms is not None:
            self.program.other[layer] = terms
        try:
            yield
        finally:
            self.program.other = kept

    def _agreement(self, fit: Fit, judged: list[Key]) -> int:
        """How many answered passes agree once this mistake is made; -1 if one that agreed would not any more."""
        overlay: Env = {}
        env: Mapping[Key, Belief] = ChainMap(overlay, self.base, self.env)
        count, places = 0, [self.program.place[each] for each in (fit.key, *judged)]
        with self._made_of(fit.key[1], fit.terms):
            for each in self.program.keys[min(places) : max(places) + 1]:
                if each == fit.key:
                    overlay[each] = alike(self.expected.get(each) or fit_belief(fit), fit.made, self.program.unit)
                    count += each in judged
                    continue
                if not any(need in overlay for need in self.program.needs(each)):
                    if each in judged:
                        count += self.agrees(self.expected[each], self._likeliest(each).array)
                    continue
                made = self._quick(each, env, fit)
                if each not in self.arrays:
                    overlay[each] = made
                elif each in judged:
                    agrees = self.agrees(made, self._likeliest(each).array)
                    row = self.rows.get(each)
                    if row and row.status == "agrees" and not agrees:
                        return -1
                    count += agrees
        fit.overlay = {key: belief for key, belief in overlay.items() if key in self.hidden}
        return count


def fit_belief(fit: Fit) -> Belief:
    """What a mistake made, taken as exact."""
    return Belief(fit.made, np.zeros_like(fit.made))


def alike(expected: Belief, made: Array, unit: float) -> Belief:
    """Another array, known relative to its size about as well as the right one, and at each place no better."""
    size = np.abs(expected.value).max(initial=0)
    usual = np.median(expected.slack[expected.slack > 0]) if (expected.slack > 0).any() else 0.0
    level = usual / size if size > 0 else 16 * unit
    largest = np.abs(made).max(initial=0)
    scale = max(largest / size, 1.0) if size > 0 else 1.0
    return Belief(made, np.maximum(expected.slack * scale, ALIKE * level * largest))


def telling(reading: Reading, readings: list[Reading], expected: Belief, search: Search) -> bool:
    """Whether no other reading would have agreed as well."""
    return not any(search.agrees(expected, other.array) for other in readings if other.order != reading.order)


def suspicious(reading: Reading, readings: list[Reading]) -> bool:
    """Whether an order could be meant as the usual one, and only exchanges rows and columns: a mistake rather."""
    return (readings[0].order == (0, 1, 2, 3) and reading.order == (0, 1, 3, 2)) or reading.order == "turned"


def relative(array: Array, expected: Array) -> float:
    """The largest difference, relative to the largest number expected."""
    size = float(np.abs(expected).max(initial=0))
    off = float(np.abs(array - expected).max(initial=0))
    return off / size if size > 0 else (0.0 if off == 0 else float("inf"))
