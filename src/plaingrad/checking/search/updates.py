"""Finds the one rule that makes all wrong updates of an answer, judged by the step: weight before less weight after.

Numbers of a rule (a factor, the share of the step before, a decay) are solved from all arrays of a step at once. A rule
is told only if it gives every answered array and explains far more digits than were solved for.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import chain

import numpy as np

from plaingrad.checking.search import update_edits
from plaingrad.checking.search import update_words as words
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Env, Key
from plaingrad.checking.search.rounding import allowed
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.state import State
from plaingrad.checking.search.update_numbers import COLUMNS, SIGMAS, Seen, least_squares, sized
from plaingrad.checking.search.update_rules import CHOICES, Direction, Past, Place, Rule, directions, holds, shapes
from plaingrad.checking.search.update_sizes import clipped, decaying, exchanged, own_sizes
from plaingrad.checking.search.update_sums import USUAL_DECAYS, USUAL_SHARES, sums
from plaingrad.textbook.optimisers import Adam

DIGIT_BITS = 53  # of a number that is solved for
MOST_WORK = 25_000_000  # numbers handled in trying usual rules: about a second
SAME = 9  # digits, of the largest, that two numbers share which are the same but for rounding
LUCK = 20  # bits that a rule explains beyond what was solved and chosen: chance of one in a million
LEAST = 3  # numbers of an array by whose steps edited updates are chosen
SOLVED = {"momentum-added", "weights-shrunk"}  # entries of the catalogue that solve a number for each array


class Updates:
    """The updates of an answer, of which `state` was asked what disagrees and nothing about why."""

    def __init__(self, state: State, found: list[Finding], left_out: frozenset[str]) -> None:
        self.state, self.found, self.left_out = state, found, left_out
        self.program, self.env = state.program, state.env
        self.wrong = {finding.key: finding for finding in found}
        self.seen = [self._seen(key) for key in self.program.keys if self._is_known(key)]
        self.rules: list[Rule] | None = None

    def _is_known(self, key: Key) -> bool:
        """Whether an update is answered, and all that it was made of is told, or follows from the case alone."""
        if key not in self.state.arrays or not self.program.is_update(key):
            return False
        t, layer, weight = key
        told = self.state.arrays.keys()
        if t == 1:
            return True
        weights = [(t - 1, name, each) for name, step in self.program.steps.items() for each in step.weights]
        return (t - 1, layer, weight) in told and ((t, layer, "d" + weight) in told or all(w in told for w in weights))

    def _seen(self, key: Key) -> Seen:
        past, given = Past(self.program, self.env, key), self.state.likeliest(key).array
        step = past.weight() - given
        room = allowed(self.state.expected[key], given, self.state.precision)
        right = np.abs(past.rate * past.gradient()).max(initial=0)
        scale = max(1.0, float(np.abs(step).max(initial=0) / right)) if right > 0 else 1.0
        sizes = np.abs(past.weight()) + np.abs(given) + (np.abs(COLUMNS["before"](past)) if past.t > 1 else 0)
        own = SIGMAS * self.program.unit * sizes  # what another rule rounds besides
        return Seen(past, step, np.maximum(room * scale + own, np.finfo(float).tiny), key in self.wrong)

    @cached_property
    def known(self) -> frozenset[Key]:
        """The arrays that are wrong by themselves, whatever the update is."""
        at_first = {key[1:] for key in self.wrong if key[0] == 1}
        return frozenset(
            key
            for key in self.wrong
            if not self.program.is_update(key) and (key[1:] in at_first or self._is_told_before(key))
        )

    @property
    def first(self) -> Finding:
        """The first array that is wrong by the rule alone."""
        return next(finding for finding in self.found if finding.key not in self.known)

    def _is_told_before(self, key: Key) -> bool:
        return all(
            (key[0] - 1, name, weight) in self.state.arrays
            for name, step in self.program.steps.items()
            for weight in step.weights
        )

    @property
    def is_plain(self) -> bool:
        """Whether a rule makes all that is wrong, and one that no other mistake could make."""
        rules = self.explained()
        return bool(rules) and not self.known and not any(rule.late or rule.is_factor for rule in rules)

    def explained(self) -> list[Rule]:
        """The rules that make the answer, the simplest first; none, or several that give the same numbers."""
        if self.rules is None:
            self.rules = self._explained()
        return self.rules

    def _explained(self) -> list[Rule]:
        rules: list[Rule] = []
        edited = chain(self._edited(rules), self._edited_of_plain(rules)) if not self._is_multiple() else ()
        for each in chain(self._candidates(), edited):
            if rules and (each.free > rules[0].free or each.mistake.id in {rule.mistake.id for rule in rules}):
                continue
            if each.mistake.id in self.left_out or not self._is_placed(each):
                continue
            expected = holds(each, self.state, self.known)
            if expected is not None and self._bits(expected) - DIGIT_BITS * each.free - each.choices > LUCK:
                rules.append(each)
                if len(rules) == words.MOST_TOLD or each.is_factor:
                    break
        return rules

    def _is_multiple(self) -> bool:
        """Whether all steps are one multiple of what they should be, as where the loss is added up otherwise."""
        return bool(self.seen) and least_squares(self.seen, {"own": COLUMNS["own"]}) is not None

    def _is_placed(self, rule: Rule) -> bool:
        """Whether a factor must be the update's: one of some arrays alone may be that of gradients that are not told.

        So it may where every array is about one layer.
        """
        if not rule.is_factor:
            return True
        keys = [key for key in self.wrong if self.program.is_update(key) and rule.covers(key)]
        if all((key[0], key[1], "d" + key[2]) in self.state.arrays for key in keys):
            return True
        return rule.places is None and len({key[1] for key in keys}) > 1

    def _bits(self, expected: Env) -> float:
        """The digits, in bits, of wrong numbers that came out right.

        Steps of one size that should be of one size too, as those of two classes are, tell it once.
        """
        bits = 0.0
        for key, made in expected.items():
            finding = self.wrong.get(key)
            if finding is None or key in self.known:
                continue
            off = np.abs(finding.given - finding.expected)
            room = np.maximum(allowed(made, finding.given, self.state.precision), np.finfo(float).tiny)
            shown = off > room
            before = self.env[key[0] - 1, *key[1:]].value if self.program.is_update(key) else 0
            sizes = np.stack([np.abs(each - before).reshape(-1) for each in (finding.given, finding.expected)])
            with np.errstate(all="ignore"):
                told = np.minimum(np.log2(np.where(shown, off / room, 1)), DIGIT_BITS).reshape(-1)
            _, first = np.unique(
                np.round(sizes / max(float(sizes.max(initial=0)), 1e-300), SAME), axis=1, return_index=True
            )
            bits += float(told[first].sum())
        return bits

    def _candidates(self) -> Iterator[Rule]:
        """Rules that may be worth a whole look."""
        every = frozenset(seen.place for seen in self.seen)
        wrong = frozenset(seen.place for seen in self.seen if seen.is_wrong)
        if not wrong:
            if self.found and not any(key[0] == 1 for key in self.wrong):
                yield from self._usual()
            return
        if all((np.abs(seen.step) <= seen.room).all() for seen in self.seen if seen.is_wrong):
            if every == wrong:
                yield words.never_updated()
            return  # in some arrays alone it is a mistake of the catalogue
        for places in dict.fromkeys((every, wrong)):
            of_them = [seen for seen in self.seen if seen.place in places]
            of_gradient = (replace(each, is_factor=True) for each in chain(clipped(of_them), shapes()))
            of_all = (each(self.program, of_them) for each in (sums, exchanged, decaying))
            found = chain(*of_all, own_sizes(of_them), of_gradient)
            only = None if places == every else places
            yield from (replace(rule, places=only) for rule in found)

    def _edited(self, rules: list[Rule]) -> Iterator[Rule]:
        """Usual optimisers with one line edited, where nothing else was found and no weight is updated rightly."""
        if rules or not {each.place for each in self.seen} <= {each.place for each in self.seen if each.is_wrong}:
            return
        by_place: dict[Place, list[Seen]] = {}
        for each in self.seen:
            by_place.setdefault(each.place, []).append(each)
        whole = [every for every in by_place.values() if [each.past.t for each in every] == [*range(1, 1 + len(every))]]
        told = [every for every in whole if any(each.is_wrong for each in every) and every[0].step.size >= LEAST]
        if not told:
            return
        few = min(told, key=lambda every: (-len(every), every[0].step.size))
        own, at_others = list[Direction](), dict[float, list[Direction]]()
        for way in update_edits.found([(each.past, each.step) for each in few]):
            solved = sized(self.seen, way)
            if solved is not None and solved.near("rate", self.program.case.rate):
                own.append(way)
            elif solved is not None and isinstance(way.optimiser, Adam):  # whose rate is most often another
                at_others.setdefault(float(f"{solved['rate']:.6g}"), []).append(way)
        groups = [(self.program.case.rate, own, 0)] if own else [(rate, some, 1) for rate, some in at_others.items()]
        for rate, ways, free in groups:
            made = words.edited(update_edits.distinct(ways), rate, free)
            yield replace(made, choices=CHOICES + update_edits.count())

    def _edited_of_plain(self, rules: list[Rule]) -> Iterator[Rule]:
        """The case's own update with an edit, in those arrays that are wrong, where nothing else was found."""
        wrong = frozenset(each.place for each in self.seen if each.is_wrong)
        if rules or not wrong:
            return
        by_place = {place: [each for each in self.seen if each.place == place] for place in sorted(wrong)}
        few = min(by_place.values(), key=lambda every: (every[0].step.size < LEAST, every[0].step.size))
        ways = update_edits.found_of_plain([(each.past, each.step) for each in few])
        if ways:
            only = None if wrong == {each.place for each in self.seen} else wrong
            made = replace(words.edited_plain(ways), places=only, is_factor=True)
            yield replace(made, choices=CHOICES + update_edits.count_of_plain())

    def _usual(self) -> Iterator[Rule]:
        """Rules with usual numbers, where no update is answered with all it was made of."""
        rate = self.program.case.rate
        found: list[Rule] = []
        by = {each.id: each for each in reversed(list(directions()))}
        is_first = not any(key[0] > 1 and self.program.is_update(key) for key in self.state.arrays)
        for share in USUAL_SHARES[:3] if not is_first else ():
            found += [words.momentum_added(self.program, share, 0), words.nesterov(share)]
            found += [words.exponential_average(share)]
        for size in (rate, 0.001):  # of which the first step alone may be seen
            found += [words.one_size(size, False, by["adagrad"]) if is_first else words.direction(by["adam"], size, 0)]
        found += [words.decayed(self.program, 1.0, decay * rate, 0) for decay in USUAL_DECAYS]
        known = words.factors(self.program).items()
        found += [words.scaled(factor, (reason,), 0, many=True) for factor, reason in known]
        work = sum(map(self.program.work, self.program.keys))
        yield from found[: MOST_WORK // work]


def has_one_name(search: Search) -> bool:
    """Whether no update, and nothing that follows from one without an answer, needs another explanation."""
    updates = [finding for finding in search.findings if search.program.is_update(finding.key)]
    later = [finding for finding in search.unnamed if finding.key[0] > 1 and finding.suspects]
    ids = {finding.best.mistake.id if finding.best else "" for finding in updates}
    is_solved = bool(ids & {*SOLVED, "scaled-like-no-loss"})
    return not later and (not ids or (len(ids) == 1 and "" not in ids and not is_solved))


def without_coincidences(search: Search) -> None:
    """Take back the names of updates where others stay unexplained: one edit would apply to all of them."""
    if any(search.program.is_update(finding.key) for finding in search.unnamed):
        for finding in search.findings:
            if search.program.is_update(finding.key):
                finding.fits = []
