"""Finds where an answer goes wrong and what was done there.

Every pass is computed from the answer's own numbers, as far as it has them, so that one slip is blamed once. Where a
pass disagrees, each mistake of the catalogue is tried there, and at every pass before it whose array was not answered;
the one that gives the answer's numbers is the one.
"""

from dataclasses import dataclass, field

import numpy as np

from plaingrad.checking.catalogue import Mistake
from plaingrad.checking.search import rounding
from plaingrad.checking.search.findings import Finding, Fit, Row, form_of, forms_of
from plaingrad.checking.search.passes import Estimate, Key, exact
from plaingrad.checking.search.rounding import alike, relative
from plaingrad.checking.search.state import State
from plaingrad.checking.search.unanswered import Budget, Unanswered
from plaingrad.compiler.loops import Array

OWN = 4.0  # times the uncertainty of what is computed: so much worse a printed number may be, and is still preferred
FAR = 1e-3  # of an array's largest number: far more than any rounding


@dataclass(repr=False, eq=False)
class Search(State):
    """One answer against one case, with the passes that disagree and why."""

    findings: list[Finding] = field(default_factory=list)
    slips: dict[tuple[str, str], Fit] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)  # layers whose forward pass is wrong in a way without a name
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.own_terms = dict(self.program.other)

    def disagreeing(self, most: float = np.inf, agreed: frozenset[Key] = frozenset()) -> list[Finding] | None:
        """The passes that disagree, and nothing about why; None where they are `most` or one of the `agreed` is."""
        found: list[Finding] = []
        for key in sorted(self.arrays, key=self.program.place.__getitem__):
            expected = self.expected[key] = self._asked_for(key)
            reading = self.agreeing(key, expected)
            array = (reading or self.likeliest(key)).array
            self.env[key] = self._anchored(expected, array) if reading else self.own(array)
            if reading is None:
                found.append(Finding(key, array, expected.value, expected.uncertainty, []))
                if len(found) >= most or key in agreed:
                    return None
        return found

    def _asked_for(self, key: Key) -> Estimate:
        """What a pass should make, and first what it needs."""
        for need in self.program.needs(key):
            if need not in self.env:
                self.env[need] = self._asked_for(need)
        return self.program.evaluate(key, self.env)

    def is_hopeless(self, agreed: frozenset[Key], other: State, first: int) -> bool:
        """Whether an array of the `agreed` is far from what it should be, or all of the `first` others are.

        Asked for values alone, which is quick. By how much they may be off is told by the `other`, of another way to
        see the same answer.
        """
        self.found_orders |= {group: order for group, order in other.found_orders.items() if group not in self.orders}
        env = dict(self.env)

        def asked_for(key: Key) -> Array:
            for need in self.program.needs(key):
                if need not in env:
                    env[need] = exact(asked_for(need))
            return self.program.value(key, env)

        for key in sorted(self.arrays, key=self.program.place.__getitem__):
            array = self.likeliest(key).array
            if key not in agreed and first <= 0:
                env[key] = self.own(array)
                continue
            room = FAR * np.abs(array).max(initial=0)
            room += 2 * rounding.allowed(other.expected[key], array, self.precision).max(initial=0)
            is_far = not np.abs(asked_for(key) - array).max(initial=0) <= room
            if key in agreed:
                env[key] = other.env[key]
                if is_far:
                    return True
                continue
            env[key] = self.own(array)
            first = first - 1 if is_far else 0
            if is_far and first == 0:
                return True
        return False

    def run(self) -> None:
        """Judge every pass in order."""
        for key in self.program.keys:
            expected = self.expected[key] = self._slipped(key, self.program.evaluate(key, self.env))
            if key not in self.arrays:
                self.env[key] = expected
                self.unanswered.add(key)
                continue
            self._judge(key, expected)
        if self.findings:
            self._follow()

    @property
    def unnamed(self) -> list[Finding]:
        """The findings without a name."""
        return [finding for finding in self.findings if not finding.fits]

    def _follow(self) -> None:
        """Tell what is right from what only follows: right by itself, and wrong because of a pass before it."""
        self.program.other = dict(self.own_terms)
        truth = self.program.start()
        for key in self.program.keys:
            made = truth[key] = self.program.evaluate(key, truth)
            row = self.rows.get(key)
            if row and row.status == "agrees" and not self.agrees(made, self.likeliest(key).array):
                row.status, row.error = "follows", relative(self.likeliest(key).array, made.value)

    def _slipped(self, key: Key, expected: Estimate) -> Estimate:
        """What a pass without an answer makes, where the same slip was named in a step before."""
        fit = self.slips.get(key[1:])
        if fit is None or key in self.arrays:
            return expected
        made = form_of(fit, self.program, key, self.env, expected.value)
        return expected if made is expected.value else alike(expected, made, self.program.unit)

    def _judge(self, key: Key, expected: Estimate) -> None:
        reading = self.agreeing(key, expected)
        array = (reading or self.likeliest(key)).array
        row = self.rows[key] = Row(key, "", "agrees", relative(array, expected.value))
        if reading:
            self.env[key] = self._anchored(expected, array)
            return
        finding = self._explained(key, expected, array)
        row.finding, row.status = finding, "wrong"
        if key[1] in self.unsure and not finding.fits and key[2] != "y":
            row.status = "not judged"
            self.env[key] = self.own(array)
            return
        self.findings.append(finding)
        best = finding.best
        if best is None:
            self.env[key] = self.own(array)
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
            self.env[key] = self.own(array)
        else:
            self.env[key] = self._anchored(self.program.evaluate(key, self.env), array)

    def _anchored(self, expected: Estimate, array: Array) -> Estimate:
        """The program's own numbers where they are known about as well as by computing them; else the computed ones.

        What was printed is off by itself; what is computed is off together with all that was made of the same numbers.
        """
        kept: Estimate = self.program.memo.of(
            ("anchored", self.precision), [expected, array], lambda: self._better(expected, array)
        )
        return kept

    def _better(self, expected: Estimate, array: Array) -> Estimate:
        own = self.precision.grain(array) / 2
        better = own <= OWN * expected.uncertainty
        better |= own == 0
        return Estimate(np.where(better, array, expected.value), np.where(better, own, expected.uncertainty))

    def _explained(self, key: Key, expected: Estimate, array: Array) -> Finding:
        fits, tried = self._fits_at(key, expected, array)
        if any(each.key[1:] == key[1:] and not each.fits for each in self.findings):
            return Finding(
                key, array, expected.value, expected.uncertainty, [], (), tried
            )  # as in a step before: no name
        unanswered = Unanswered(self, key, array, self.budget)
        if unanswered.suspects:
            fits = unanswered.explained(fits)
        return Finding(key, array, expected.value, expected.uncertainty, fits, unanswered.suspects, tried)

    def _fits_at(self, key: Key, expected: Estimate, array: Array) -> tuple[list[Fit], list[tuple[Mistake, Array]]]:
        """The mistakes that, made in this pass, give the answered array."""
        fits: dict[str, Fit] = {}
        tried = []
        for fit in forms_of(self.program, key, self.env, expected.value, array, self.left_out):
            tried.append((fit.mistake, fit.made))
            made = alike(expected, fit.made, self.program.unit)
            is_new = fit.mistake.id not in fits
            if is_new and self.agrees(made, array) and rounding.explains(fit.made, expected.value, array):
                fits[fit.mistake.id] = fit
        return list(fits.values()), tried
