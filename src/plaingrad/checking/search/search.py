"""Finds where an answer goes wrong and what was done there.

Every pass is computed from the answer's own numbers, as far as it has them, so that one slip is blamed once. Where a
pass disagrees, each mistake of the catalogue is tried there, and at every pass before it whose array was not answered;
the one that gives the answer's numbers is the one.

Over 300 lines, since what is judged, explained and followed rests on one state.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from plaingrad.checking.catalogue import Mistake
from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.edits.search import found as edited_lines
from plaingrad.checking.search import rounding
from plaingrad.checking.search.afterwards import (
    keep_consistent,
    narrow,
    prefer_common,
    tell_followers,
    tell_overwritten,
    tell_softmax_twice,
)
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.findings import Finding, Fit, Row, form_of, forms_of, made_by
from plaingrad.checking.search.passes import Env, Estimate, Key, exact
from plaingrad.checking.search.rounded_numbers import (
    blamed,
    decimals_of,
    is_handed_on,
    is_printed_short,
    is_rounded_again,
    used_as_printed,
)
from plaingrad.checking.search.rounding import FAR, alike, relative
from plaingrad.checking.search.state import State
from plaingrad.checking.search.taken_back import drop_lines_of_unknown_errors, drop_names_of_nothing
from plaingrad.checking.search.unanswered import Budget, Unanswered
from plaingrad.checking.search.update_rules import Rule
from plaingrad.compiler.loops import Array

STATIC = {Kind.INDEX, Kind.SUM, Kind.FACTOR, Kind.FUNCTION, Kind.COMPARISON, Kind.WINDOW}
"""Kinds of slips that are in what a line says, which is the same in every step."""
OWN = 4.0  # times the uncertainty of what is computed: so much worse a printed number may be, and is still preferred


SURE = 0.01  # of the largest number: what is not known better may be anything


def counted(found: list[Finding]) -> tuple[int, ...]:
    """How many passes disagree in each step; the first counts most, for what a later one makes follows from it."""
    steps = [finding.key[0] for finding in found]
    return tuple(steps.count(t) for t in range(1, max(steps, default=0) + 1))


@dataclass(repr=False, eq=False)
class Search(State):
    """One answer against one case, with the passes that disagree and why."""

    findings: list[Finding] = field(default_factory=list)
    slips: dict[tuple[str, str], Fit] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)  # layers whose forward pass is wrong in a way without a name
    budget: Budget = field(default_factory=Budget)
    rules: list[Rule] = field(default_factory=list)  # that make the updates of this program, all the same numbers
    # Ids of other ways that the program takes going forward, and does not keep to going back.
    forward_only: frozenset[str] = frozenset()
    truths: Env = field(
        default_factory=dict
    )  # what a right program makes of the weights of each step, as far as it was asked for
    first: Env = field(default_factory=dict)  # the same of the weights of the case
    slipped: set[str] = field(default_factory=set)  # layers that the program makes of the terms of a mistake
    is_rounded: bool = False  # whether weights are rounded after a step, and used so
    rounded: dict[tuple[str, str], int] = field(default_factory=dict)  # decimals of what is rounded, and used so
    untouched: set[Key] = field(default_factory=set)  # right, though an array that they were made of is not

    def __post_init__(self) -> None:
        super().__post_init__()
        self.own_terms = dict(self.program.other)

    def disagreeing(
        self, most: tuple[int, ...] | None = None, agreed: frozenset[Key] = frozenset()
    ) -> list[Finding] | None:
        """The passes that disagree, and nothing about why.

        None where one of the `agreed` is among them, or where they are `most`, as `counted`, or more.
        """
        found: list[Finding] = []
        for key in sorted(self.arrays, key=self.program.place.__getitem__):
            expected = self.expected[key] = self._asked_for(key)
            reading = self.agreeing(key, expected)
            array = (reading or self.likeliest(key)).array
            self.env[key] = self._anchored(expected, array) if reading else self.own(array)
            if reading is None:
                found.append(Finding(key, array, expected.value, expected.uncertainty, []))
                if key in agreed or (most is not None and counted(found) >= most):
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
        env, asked_for = self._quick(other)
        for key in sorted(self.arrays, key=self.program.place.__getitem__):
            if key not in agreed and first <= 0:
                env[key] = self.own(self.likeliest(key).array)
                continue
            array = self.nearest(key, asked_for(key)).array
            room = FAR * np.abs(array).max(initial=0)
            room += 2 * rounding.allowed(other.expected[key], array, self.precision).max(initial=0)
            is_far = not np.abs(asked_for(key) - array).max(initial=0) <= room
            if key in agreed:
                group = self.groups[key]
                # The lists are made anew where arrays are laid out otherwise, the arrays are not.
                arrays = zip(self.arrays[key], other.arrays[key], strict=True)
                is_laid_alike = all(one.array is each.array for one, each in arrays)
                is_laid_alike &= self._order(group) == other._order(group)
                env[key] = other.env[key] if is_laid_alike else self.own(array)
                if is_far:
                    return True
                continue
            env[key] = self.own(array)
            first = first - 1 if is_far else 0
            if is_far and first == 0:
                return True
        return False

    def supposed(self, keys: list[Key], other: State) -> list[Finding]:
        """Answered arrays beside what they should be, asked for values alone, which is quick."""
        env, asked_for = self._quick(other)
        found, last = [], max(self.program.place[key] for key in keys)
        for key in sorted(self.arrays, key=self.program.place.__getitem__):
            if self.program.place[key] > last:
                break
            array = self.likeliest(key).array
            if key in keys:
                value = asked_for(key)
                found.append(Finding(key, array, value, np.zeros_like(value), []))
            env[key] = self.own(array)
        return found

    def _quick(self, other: State) -> tuple[Env, Callable[[Key], Array]]:
        """Arrays to be filled with what is known, and what a pass makes of them.

        Orders are those the `other` found, unless arrays are laid otherwise here: it may have found them by these.
        """
        if all(readings is other.arrays[key] for key, readings in self.arrays.items()):
            found = other.found_orders.items()
            self.found_orders |= {group: order for group, order in found if group not in self.orders}
        env = dict(self.env)

        def asked_for(key: Key) -> Array:
            for need in self.program.needs(key):
                if need not in env:
                    env[need] = exact(asked_for(need))
            return self.program.value(key, env)

        return env, asked_for

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
        drop_names_of_nothing(self.findings)
        tell_overwritten(self, self.findings, self.untouched, self.is_true)
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
        if self._has_rule(key):
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
            self.env[key] = self._anchored(expected, array)
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
        if self._rests_on_wrong(key) and self.is_true(key, array):
            self.env[key] = self.own(array)
            self.untouched.add(key)
            return
        finding = self._explained(key, expected, array)
        if self.program.is_update(key):
            finding.before = self.env[key[0] - 1, *key[1:]].value
        row.finding, row.status = finding, "wrong"
        if key[1] in self.unsure and key[2] != "y" and not (finding.fits and self._stands_alone(key)):
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
            self.env[key] = self._anchored(self.program.evaluate(key, self.env), array)

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
            self.env[key] = self._anchored(made, self.likeliest(key).array) if is_right else made
            changed.add(key)

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

    def is_true(self, key: Key, array: Array, is_sure: bool = True) -> bool:
        """Whether an array is that of a right program, though it is not what follows from the answer's own.

        A right program goes on from the answer's weights of the step before, or from the case alone. Without `is_sure`
        it may be that of one.
        """
        kept, self.program.other = self.program.other, self.own_terms
        try:
            every = [self._truth(key, self.first, False)]
            if not (self.program.is_update(key) and key in self.env):  # of which the answer's own is taken there
                every.insert(0, self._truth(key, self.truths, True))
        finally:
            self.program.other = kept
        for truth in [each for each in every if self.agrees(each, array)]:
            if not is_sure or truth.uncertainty.max(initial=0) <= SURE * np.abs(truth.value).max(initial=0):
                if is_sure and key in self.rows:
                    self.rows[key].error = relative(array, truth.value)
                return True
        return False

    def _truth(self, key: Key, truths: Env, goes_on: bool) -> Estimate:
        if not truths:
            truths |= self.program.start()
        if key not in truths and goes_on and self.program.is_update(key) and key in self.env:
            truths[key] = self.env[key]
        elif key not in truths:
            for need in self.program.needs(key):
                self._truth(need, truths, goes_on)
            truths[key] = self.program.evaluate(key, truths)
        return truths[key]

    def _has_rule(self, key: Key) -> bool:
        """Whether a rule makes this update."""
        return bool(self.rules) and self.program.is_update(key) and self.rules[0].covers(key)

    def _by_rule(self, key: Key, expected: Estimate, array: Array) -> Finding | None:
        """The finding of an update that the rules make."""
        if not self._has_rule(key):
            return None
        made = [(rule, rule.estimate(self.program, key, self.env)) for rule in self.rules]
        if not self.agrees(made[0][1], array):
            return None
        fits = [Fit(rule.mistake, key, each.value) for rule, each in made]
        suspects = tuple(need for need in self.program.needs(key) if need in self.unanswered)
        return Finding(key, array, expected.value, expected.uncertainty, fits, suspects)

    def blame_rules(self, finding: Finding) -> None:
        """Tell a rule by what follows from it, where no update is answered."""
        layers = [key for key in self.program.keys if self._has_rule(key) and key in self.unanswered]
        fits = [Fit(rule.mistake, layers[0], self.env[layers[0]].value) for rule in self.rules]
        self.findings.append(replace(finding, fits=fits))
        self.rows[finding.key].status, self.rows[finding.key].finding = "wrong", self.findings[-1]
        self._follow()

    def _explained(self, key: Key, expected: Estimate, array: Array) -> Finding:
        by_rule = self._by_rule(key, expected, array)
        if by_rule is not None:
            return by_rule
        carried = self._carried(key, expected, array)
        if carried:
            return Finding(key, array, expected.value, expected.uncertainty, carried, (), [])
        fits, tried = self.fits_at(key, expected, array)
        if any(each.key[1:] == key[1:] and not each.fits for each in self.findings):
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
        return Finding(key, array, expected.value, expected.uncertainty, fits, unanswered.suspects, tried)

    def _stands_alone(self, key: Key) -> bool:
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
