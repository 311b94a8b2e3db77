"""Finds where an answer goes wrong and what was done there.

Every pass is computed from the answer's own numbers, as far as it has them, so that one slip is blamed once. Where a
pass disagrees, each mistake of the catalogue is tried there, and at every pass before it whose array was not answered;
the one that gives the answer's numbers is the one.
"""

from typing import Any

import numpy as np

from plaingrad.checking.catalogue import Mistake
from plaingrad.checking.findings import Finding, Fit, Row, form_of, forms_of
from plaingrad.checking.hidden import Budget, Hidden
from plaingrad.checking.passes import Belief, Key, exact
from plaingrad.checking.rounding import alike, relative
from plaingrad.checking.state import State
from plaingrad.loops import Array


class Search(State):
    """One answer against one case, with the passes that disagree and why."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.findings: list[Finding] = []
        self.slips: dict[tuple[str, str], Fit] = {}
        self.unsure: set[str] = set()  # layers whose forward pass is wrong in a way without a name
        self.budget = Budget()
        self.own_terms = dict(self.program.other)

    def disagreeing(self, most: float = np.inf) -> list[Finding]:
        """The passes that disagree, and nothing about why; no more than `most`."""
        found: list[Finding] = []
        for key in self.program.keys:
            expected = self.program.evaluate(key, self.env)
            reading = self.agreeing(key, expected) if key in self.arrays else None
            self.env[key] = expected
            if key in self.arrays:
                array = (reading or self.likeliest(key)).array
                self.env[key] = self._anchored(expected, array) if reading else self.own(array)
                if reading is None:
                    found.append(Finding(key, array, expected.value, expected.slack, []))
                    if len(found) >= most:
                        break
        return found

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
        self.program.other = dict(self.own_terms)
        truth = self.program.start()
        for key in self.program.keys:
            made = self.program.value(key, truth)
            truth[key] = exact(made)
            row = self.rows.get(key)
            if row and row.status == "agrees":
                array = self.likeliest(key).array
                if not self.agrees(Belief(made, self.expected[key].slack), array):
                    row.status, row.error = "follows", relative(array, made)

    def _slipped(self, key: Key, expected: Belief) -> Belief:
        """What a pass without an answer makes, where the same slip was named in a step before."""
        fit = self.slips.get(key[1:])
        if fit is None or key in self.arrays:
            return expected
        made = form_of(fit, self.program, key, self.env, expected.value)
        return expected if made is None else alike(expected, made, self.program.unit)

    def _judge(self, key: Key, expected: Belief) -> None:
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
            self.env[key] = self._anchored(alike(expected, best.made, self.program.unit), array)
        else:
            self.env[key] = self._anchored(self.program.evaluate(key, self.env), array)

    def _anchored(self, expected: Belief, array: Array) -> Belief:
        """The program's own numbers where they are known better than by computing them; else the computed ones."""
        grain = self.precision.grain(array)
        if not grain.any() or np.median(expected.slack) > np.median(grain):
            return Belief(array, grain / 2)
        return expected

    def _explained(self, key: Key, expected: Belief, array: Array) -> Finding:
        fits, tried = self._fits_at(key, expected, array)
        hidden = Hidden(self, key, array, self.budget)
        if hidden.suspects:
            fits = hidden.explained(fits)
        return Finding(key, array, expected.value, expected.slack, fits, hidden.suspects, tried)

    def _fits_at(self, key: Key, expected: Belief, array: Array) -> tuple[list[Fit], list[tuple[Mistake, Array]]]:
        """The mistakes that, made in this pass, give the answered array."""
        fits: dict[str, Fit] = {}
        tried = []
        for fit in forms_of(self.program, key, self.env, expected.value, array, self.left_out):
            tried.append((fit.mistake, fit.made))
            if fit.mistake.id not in fits and self.agrees(alike(expected, fit.made, self.program.unit), array):
                fits[fit.mistake.id] = fit
        return list(fits.values()), tried
