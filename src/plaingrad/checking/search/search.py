"""Finds where an answer goes wrong and what was done there.

Every pass is computed from the answer's own numbers, as far as it has them, so that one slip is blamed once. Where a
pass disagrees, each mistake of the catalogue is tried there, and at every pass before it whose array was not answered;
the one that gives the answer's numbers is the one.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from plaingrad.checking.search import rounding
from plaingrad.checking.search.afterwards import (
    keep_consistent,
    narrow,
    prefer_common,
    tell_followers,
    tell_overwritten,
    tell_softmax_twice,
)
from plaingrad.checking.search.explainer import Explainer
from plaingrad.checking.search.findings import Finding, Fit, Row, form_of
from plaingrad.checking.search.passes import Estimate, Key, exact
from plaingrad.checking.search.rounded_numbers import (
    blamed,
    decimals_of,
    is_handed_on,
    is_printed_short,
    is_rounded_again,
    used_as_printed,
)
from plaingrad.checking.search.rounding import alike, relative
from plaingrad.checking.search.taken_back import drop_lines_of_unknown_errors, drop_names_of_nothing
from plaingrad.checking.search.truths import Truths


@dataclass(repr=False, eq=False)
class Search(Explainer):
    """One answer against one case, with the passes that disagree and why."""

    slips: dict[tuple[str, str], Fit] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)  # layers whose forward pass is wrong in a way without a name
    # Ids of other ways that the program takes going forward, and does not keep to going back.
    forward_only: frozenset[str] = frozenset()
    slipped: set[str] = field(default_factory=set)  # layers that the program makes of the terms of a mistake
    is_rounded: bool = False  # whether weights are rounded after a step, and used so
    rounded: dict[tuple[str, str], int] = field(default_factory=dict)  # decimals of what is rounded, and used so
    untouched: set[Key] = field(default_factory=set)  # right, though an array that they were made of is not

    def __post_init__(self) -> None:
        super().__post_init__()
        self.own_terms = dict(self.program.other)
        self.truths = Truths(self, self.own_terms)

    def run(self) -> None:
        """Judge every pass in order."""
        for key in self.program.keys:
            expected = self.expected[key] = self._slipped(key, self.program.evaluate(key, self.env))
            if key not in self.arrays:
                self.env[key] = expected
                self.unanswered.add(key)
                continue
            self._judge(key, expected)
        keep_consistent(self, self.findings)
        drop_lines_of_unknown_errors(self, self.findings)
        drop_names_of_nothing(self, self.findings)
        tell_overwritten(self, self.findings, self.untouched, self.truths.has)
        tell_softmax_twice(self, self.findings)
        prefer_common(self, self.findings)
        if self.findings:
            narrow(self, self.findings)
            self._follow()

    @property
    def unnamed(self) -> list[Finding]:
        """The findings without a name."""
        return [finding for finding in self.findings if not finding.fits]

    def half_kept(self) -> frozenset[str]:
        """The other ways of forward passes, of layers whose gradients are wrong if the program keeps to them."""
        ways = {each.key: each.best.mistake for each in self.findings if each.best and each.best.mistake.convention}
        wrong = {each.key[1] for each in self.findings if each.key not in ways}
        return frozenset(way.id for (_, layer, quantity), way in ways.items() if quantity == "y" and layer in wrong)

    def _follow(self) -> None:
        self.program.other = dict(self.own_terms)
        tell_followers(self)

    def _slipped(self, key: Key, expected: Estimate) -> Estimate:
        """What a pass without an answer makes, where the same slip was named in a step before."""
        if key in self.arrays:
            return expected
        if self.has_rule(key):
            return self.rules[0].estimate(self.program, key, self.env)
        fit = self.slips.get(key[1:])
        if (
            fit is None or fit.terms is not None or not self.program.is_same_code(key, fit.key)
        ):  # with terms the program is made of them already
            return expected
        made = form_of(fit, self.program, key, self.env, expected.value)
        return expected if made is expected.value else alike(expected, made, self.program.unit)

    def _as_the_textbook(self, key: Key) -> Estimate | None:
        """What a pass makes by the textbook, where layers slipped in another one: they may have slipped there alone.

        None where none did, or this makes no answered number either. Another right way of the forward pass is none if
        the way back does not keep to it.
        """
        if not self.slipped:
            return None
        before = self.program.other, dict(self.env), dict(self.expected)
        mine = {name: terms for name, terms in self.own_terms.items() if name in self.slipped}
        self.program.other = {name: each for name, each in before[0].items() if name not in self.slipped} | mine
        changed = {each for each in self.unanswered if each[0] == key[0] and each[1] in self.slipped and each[2] != "y"}
        self._go_on_from(changed, key)
        is_made = key[1] in self.slipped or not changed.isdisjoint(self.program.needs(key))
        made = self.program.evaluate(key, self.env) if is_made else None
        if made is not None and self.agreeing(key, made):
            self.slipped.clear()
            return made
        self.program.other, self.env, self.expected = before
        return None

    def _judge(self, key: Key, expected: Estimate) -> None:
        reading = self.agreeing(key, expected)
        plain = self._as_the_textbook(key) if reading is None else None
        if plain is not None:
            expected = self.expected[key] = plain
            reading = self.agreeing(key, expected)
        array = (reading or self.likeliest(key)).array
        # What is 0 up to rounding, such as the gradient of a bias before a batch normalisation, has no relative error.
        is_zero = np.abs(expected.value).max(initial=0) <= rounding.allowed(expected, array, self.precision).max(
            initial=0
        )
        error = 0.0 if is_zero and reading else relative(array, expected.value)
        row = self.rows[key] = Row(key, "", "agrees", error)
        decimals = self.rounded.get(key[1:])
        if decimals is not None and is_rounded_again(expected, array, decimals):
            self._blame_rounding([key])
            return
        if reading:
            self.env[key] = self.anchored(expected, array)
            if self.is_rounded and self.program.is_update(key) and is_printed_short(self, key):
                self._blame_rounding([key])
            return
        rounded = used_as_printed(self, key, expected, array)
        if rounded:
            self.is_rounded |= self.program.is_update(rounded[0])
            self._blame_rounding(rounded)
            self._go_on_from({*rounded}, key)
            expected = self.expected[key] = self._slipped(key, self.program.evaluate(key, self.env))
            self._judge(key, expected)
            return
        if self.is_of_own_output(key, array):
            row.status, self.env[key] = "follows", self.own(array)
            return
        if self._rests_on_wrong(key) and self.truths.has(key, array):
            self.env[key] = self.own(array)
            self.untouched.add(key)
            return
        finding = self.explained(key, expected, array)
        if self.program.is_update(key):
            finding.before = self.env[key[0] - 1, *key[1:]].value
        row.finding, row.status = finding, "wrong"
        if key[1] in self.unsure and key[2] != "y" and not (finding.fits and self.stands_alone(key)):
            row.status = "not judged"
            self.env[key] = self.own(array)
            return
        self.findings.append(finding)
        if finding.best is not None and finding.best.mistake.id in self.forward_only:
            finding.fits = [replace(finding.best, mistake=finding.best.mistake.going_forward_only(), terms=None)]
        best = finding.best
        if best is None:
            self.env[key] = self.own(array)
            if key[2] == "y":
                self.unsure.add(key[1])
            return
        if best.mistake.convention:
            row.status = "another convention"
        if best.key != key:
            self.slips |= {each[1:]: replace(best, key=each) for each in best.keys}
        if best.terms is not None:
            self.program.other[best.key[1]] = best.terms
            (self.slipped.discard if best.mistake.convention else self.slipped.add)(best.key[1])
        self.env.update(best.overlay)
        if best.key == key:
            self.env[key] = self.own(array)
        else:
            self.env[key] = self.anchored(self.program.evaluate(key, self.env), array)

    def _blame_rounding(self, keys: list[Key]) -> None:
        """Go on with numbers as they were printed; what only hands these on is not blamed."""
        for key in keys:
            if not is_handed_on(self, key):
                self.findings.append(blamed(self, key))
                self.rows[key].status, self.rows[key].finding = "wrong", self.findings[-1]
                decimals = decimals_of(self.likeliest(key).array)
                if decimals is not None:
                    self.rounded[key[1:]] = max(decimals, self.rounded.get(key[1:], 0))
            self.env[key] = exact(self.likeliest(key).array)

    def _go_on_from(self, changed: set[Key], last: Key) -> None:
        """Compute anew what was made of changed arrays before the last pass, where it agreed or was not answered.

        And those of them that were not answered.
        """
        for key in self.program.keys[: self.program.place[last]]:
            is_right = key in self.rows and self.rows[key].status == "agrees"
            is_open = key in self.unanswered or (is_right and key not in changed)
            if not is_open or not (key in changed or changed.intersection(self.program.needs(key))):
                continue
            made = self.expected[key] = self._slipped(key, self.program.evaluate(key, self.env))
            self.env[key] = self.anchored(made, self.likeliest(key).array) if is_right else made
            changed.add(key)

    def _rests_on_wrong(self, key: Key) -> bool:
        """Whether an array that is wrong, and no other right way, is among those that a pass is made of.

        It is one of the same step, or one by way of weights that were not answered.
        """
        wrong = {each.key for each in self.findings if not (each.best and each.best.mistake.convention)}
        waiting, seen = [key], set[Key]()
        while waiting:
            for need in self.program.needs(waiting.pop()):
                if need in wrong:
                    return True
                is_near = need[0] == key[0] or need not in self.arrays
                if is_near and need in self.program.place and need not in seen:
                    seen.add(need)
                    waiting.append(need)
        return False

    def blame_rules(self, finding: Finding) -> None:
        """Tell a rule by what follows from it, where no update is answered."""
        layers = [key for key in self.program.keys if self.has_rule(key) and key in self.unanswered]
        fits = [Fit(rule.mistake, layers[0], self.env[layers[0]].value) for rule in self.rules]
        self.findings.append(replace(finding, fits=fits))
        self.rows[finding.key].status, self.rows[finding.key].finding = "wrong", self.findings[-1]
        self._follow()
