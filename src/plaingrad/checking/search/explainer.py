"""Why a pass disagrees: the mistakes, rules and lines that give the answered array."""

from dataclasses import dataclass, field

import numpy as np

from plaingrad.checking.catalogue import Mistake
from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.edits.search import found as edited_lines
from plaingrad.checking.search import rounding
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.findings import Finding, Fit, form_of, forms_of, made_by
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.state import State
from plaingrad.checking.search.unanswered import Budget, Unanswered
from plaingrad.checking.search.update_rules import Rule
from plaingrad.compiler.loops import Array

STATIC = {Kind.INDEX, Kind.SUM, Kind.FACTOR, Kind.FUNCTION, Kind.COMPARISON, Kind.WINDOW}
"""Kinds of slips that are in what a line says, which is the same in every step."""


@dataclass(repr=False, eq=False)
class Explainer(State):
    """One answer as far as it has been judged, with the passes that disagree and why."""

    findings: list[Finding] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)
    rules: list[Rule] = field(default_factory=list)  # that make the updates of this program, all the same numbers

    def has_rule(self, key: Key) -> bool:
        """Whether a rule makes this update."""
        return bool(self.rules) and self.program.is_update(key) and self.rules[0].covers(key)

    def _by_rule(self, key: Key, expected: Estimate, array: Array) -> Finding | None:
        """The finding of an update that the rules make."""
        if not self.has_rule(key):
            return None
        made = [(rule, rule.estimate(self.program, key, self.env)) for rule in self.rules]
        if not self.agrees(made[0][1], array):
            return None
        fits = [Fit(rule.mistake, key, each.value) for rule, each in made]
        suspects = tuple(need for need in self.program.needs(key) if need in self.unanswered)
        return Finding(key, array, expected.value, expected.uncertainty, fits, suspects)

    def explained(self, key: Key, expected: Estimate, array: Array) -> Finding:
        """The finding of an array that disagrees, with all that gives it."""
        by_rule = self._by_rule(key, expected, array)
        if by_rule is not None:
            return by_rule
        carried = self._carried(key, expected, array)
        if carried:
            return Finding(key, array, expected.value, expected.uncertainty, carried, (), [])
        fits, tried = self.fits_at(key, expected, array)
        if any(each.key[1:] == key[1:] and not each.fits and self._is_telling(each) for each in self.findings):
            return Finding(
                key, array, expected.value, expected.uncertainty, [], (), tried
            )  # as in a step before: no name
        told = [] if fits else self._told_elsewhere(key, expected, array)
        if told:
            return Finding(key, array, expected.value, expected.uncertainty, told, (), tried)
        unanswered = Unanswered(self, key, array, self.budget)
        if unanswered.suspects:
            fits = unanswered.explained(fits)
        loose = [fit for fit in fits if fit.mistake.loose]
        fits = [fit for fit in fits if not fit.mistake.loose]
        fits += self._edited(key, expected, array, bool(fits)) + loose
        fits = [fit for fit in fits if self._shows_throughout(fit, key)]
        silent = self._tried_in_vain(key[0])
        fits = [fit for fit in fits if fit.key[1:] not in silent or fit.mistake.convention or _is_line(fit)]
        if not rounding.is_telling(expected, array, self.precision):  # nothing new, but another right way
            named = {fit.mistake.id for each in self.findings for fit in each.fits}
            fits = [fit for fit in fits if fit.mistake.convention or fit.mistake.id in named]
        return Finding(key, array, expected.value, expected.uncertainty, fits, unanswered.suspects, tried)

    def _tried_in_vain(self, step: int) -> set[tuple[str, str]]:
        """The passes without an answer in which no known mistake explains what is wrong in a step before.

        Edited lines were not tried there.
        """
        unnamed = [each for each in self.findings if not each.fits and each.key[0] < step]
        return {suspect[1:] for each in unnamed for suspect in each.suspects}

    def _is_telling(self, finding: Finding) -> bool:
        expected = Estimate(finding.expected, finding.uncertainty)
        return rounding.is_telling(expected, finding.given, self.precision)

    def stands_alone(self, key: Key) -> bool:
        """Whether the way back of a layer reads nothing that its way forward saved: nobody knows that if y is wrong."""
        step = self.program.steps[key[1]]
        return self.program.is_update(key) or not step.layer.saved(step.x)

    def _shows_throughout(self, fit: Fit, key: Key) -> bool:
        """Whether a slip in a line gives what a step before answered too, where that is right.

        What such a line says does not depend on the step; an array, and what is kept from step to step, may.
        """
        is_static = fit.mistake.kind in STATIC and not fit.mistake.convention  # of which `throughout` tells
        if fit.key != key or not is_static or key[0] > self.program.last:
            return True
        for step in range(1, key[0]):
            before = (step, *key[1:])
            row = self.rows.get(before)
            if row is None or row.status not in ("agrees", "another convention"):
                continue
            expected, array = self.expected[before], self.likeliest(before).array
            context = Context(self.program, before, self.env, expected.value, array)
            with np.errstate(all="ignore"):
                made = [each for each, _ in made_by(fit.mistake, context)]
            same = made[fit.form : fit.form + 1] or made  # others may be those that change nothing here
            if made and not any(rounding.fits(expected, each, array, self.precision) for each in same):
                return False
        return True

    def _carried(self, key: Key, expected: Estimate, array: Array) -> list[Fit]:
        """The lines told of a layer's way forward that give this array, by what they save for it."""
        if key[1] == "loss" or not (key[2] in ("dx", "dw", "db") or key[2] in self.program.steps[key[1]].state):
            return []
        forward = (each for each in self.findings if each.key == (key[0], key[1], "y"))
        lines = [fit for each in forward for fit in each.fits if isinstance(fit.mistake, EditedLine)]
        context = Context(self.program, key, self.env, expected.value)
        made = ((fit.mistake, np.asarray(each)) for fit in lines for each in fit.mistake.wrong(context))
        return [Fit(line, key, each) for line, each in made if self._is_made(expected, each, array)][:1]

    def _told_elsewhere(self, key: Key, expected: Estimate, array: Array) -> list[Fit]:
        """The lines that were told of the same text in another layer of the step, if they give this array too."""
        lines = {
            fit.mistake.id: fit
            for each in self.findings
            for fit in each.fits
            if isinstance(fit.mistake, EditedLine) and self._is_same_text(each.key, key)
        }
        made = [(fit, form_of(fit, self.program, key, self.env, expected.value)) for fit in lines.values()]
        return [Fit(fit.mistake, key, each) for fit, each in made if self._is_made(expected, each, array)]

    def _is_same_text(self, one: Key, other: Key) -> bool:
        """Whether two passes of a step are made by one text, in two layers."""
        if (one[0], one[2]) != (other[0], other[2]) or one[1] == other[1] or "loss" in (one[1], other[1]):
            return False
        ways = [self.program.steps[key[1]].layer.backward for key in (one, other)]
        return one[2].startswith("d") and ways[0] is ways[1] and not self.program.is_update(one)

    def _edited(self, key: Key, expected: Estimate, array: Array, is_named: bool) -> list[Fit]:
        """The edits of a textbook line that give the answered array: in a further step, of those found before."""
        before = {
            fit.mistake.id: fit
            for each in self.findings
            for fit in each.fits
            if each.key[1:] == key[1:] and isinstance(fit.mistake, EditedLine)
        }
        if before:
            made = [(fit, form_of(fit, self.program, key, self.env, expected.value)) for fit in before.values()]
            return [Fit(fit.mistake, key, each) for fit, each in made if self._is_made(expected, each, array)]
        if is_named or "edited-line" in self.left_out or self.budget.edits <= 0:
            return []
        context = Context(self.program, key, self.env, expected.value, array)
        steps = sum(each[1:] == key[1:] for each in self.arrays)
        found = [Fit(line, key, made) for line, made in edited_lines(context, expected, array, self.precision, steps)]
        self.budget.edits -= not found
        return found

    def _is_made(self, expected: Estimate, made: Array, array: Array) -> bool:
        """Whether an array is what a mistake makes, and the mistake matters."""
        return rounding.is_made(expected, made, array, self.precision)

    def fits_at(self, key: Key, expected: Estimate, array: Array) -> tuple[list[Fit], list[tuple[Mistake, Array]]]:
        """The mistakes that, made in this pass, give the answered array."""
        fits: dict[str, Fit] = {}
        tried = []
        for fit in forms_of(self.program, key, self.env, expected.value, array, self.left_out):
            tried.append((fit.mistake, fit.made))
            if fit.mistake.id in fits or fit.leaves_zero(fit.made, array):
                continue
            if self._is_made(expected, fit.made, array):
                fits[fit.mistake.id] = fit
        return list(fits.values()), tried


def _is_line(fit: Fit) -> bool:
    return isinstance(fit.mistake, EditedLine)
