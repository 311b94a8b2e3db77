"""An answer and its program, searched in several ways: with one convention or another, in one precision or another.

Over 300 lines, since every way to search an answer rests on what was tried of it before.
"""

import itertools
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plaingrad.checking.answers.layout import Order, Reading, group_of, readings
from plaingrad.checking.laying import shape_of
from plaingrad.checking.search.conventions import Convention, along, by_position, conventions, relaying
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.precision import SINGLE, Precision
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.throughout import tell_division_in_part, tell_ways_in_part
from plaingrad.checking.search.trials import counted, disagreeing, is_hopeless, supposed
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.search.updates import Updates, has_one_name, without_coincidences
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from plaingrad.textbook.losses import SoftmaxCrossEntropy

FIRST = 4  # passes that disagree, of which a convention must mend one to be worth more work


@dataclass(frozen=True)
class Tried:
    """Conventions, the passes that disagree with them, and the search that found these."""

    taken: list[Convention]
    found: list[Finding]
    search: Search


class Replayed:
    """What an iterator yields, as often as it is asked for, each made once. `kept` lives as long."""

    def __init__(self, source: Iterator[Convention], kept: Tried) -> None:
        self.source, self.kept, self.seen = source, kept, list[Convention]()

    def __iter__(self) -> Iterator[Convention]:
        for number in itertools.count():
            if number == len(self.seen):
                each = next(self.source, None)
                if each is None:
                    return
                self.seen.append(each)
            yield self.seen[number]


@dataclass
class Asked:
    """An answer and its program, to be searched in several ways."""

    program: Program
    arrays: dict[Key, list[Reading]]
    groups: dict[Key, str]
    orders: dict[str, Order]
    precision: Precision
    left_out: frozenset[str]
    known: dict[tuple[Any, ...], "Replayed"] = field(default_factory=dict, init=False)
    hopeless: set[tuple[Any, ...]] = field(default_factory=set, init=False)
    plain_updates: dict[float, Updates] = field(default_factory=dict, init=False)

    def moved(self) -> list[str]:
        """Take the output of a layer that was answered behind its activation for the activation's; a line for each."""
        plain, notes = self._begun([], self.precision.unit), []
        for finding in disagreeing(plain) or []:
            t, name, quantity = finding.key
            place = self.program.names.index(name) + 1 if name != "loss" else 0
            if quantity != "y" or not place or len(self.arrays) == 1 or not self.program.steps[name].weights:
                continue  # an activation is part of a layer with weights; a pool that makes such numbers has a mistake
            if place == len(self.program.names):
                if self._is_probability(plain, finding):
                    del self.arrays[finding.key]
                    notes.append(f"{name_of(finding.key)} in the answer is the output of the softmax, and is left out")
                continue
            after = t, self.program.names[place], "y"
            layer = self.program.steps[after[1]].layer
            if not isinstance(layer, ReLU | LeakyReLU | Sigmoid | Tanh | Softmax):
                continue
            env = ChainMap({finding.key: Estimate(finding.expected, finding.uncertainty)}, plain.env)
            if plain.agrees(self.program.evaluate(after, env), finding.given):
                notes.append(
                    f"{name_of(finding.key)} in the answer is the output of the activation: "
                    f"it is compared with {name_of(after)}"
                )
                readings = self.arrays.pop(finding.key)
                self.arrays.setdefault(after, readings)
                self.groups.setdefault(after, self.groups[finding.key])
        return notes

    def with_inner(self, inner: Mapping[Key, Array]) -> "Asked":
        """The same answer with arrays of the right shape for some that had a wrong one."""
        groups = {key: group_of(*shape_of(self.program.case, key)) for key in inner}
        arrays = {key: readings(array, array.shape, groups[key])[:1] for key, array in inner.items()}
        return replace(self, arrays=self.arrays | arrays, groups=self.groups | groups)

    def _is_probability(self, plain: Search, finding: Finding) -> bool:
        """Whether the outputs were answered behind the softmax that is in the loss."""
        if not isinstance(self.program.case.loss, SoftmaxCrossEntropy):
            return False
        self.program.loss_of(min(finding.key[0], self.program.last), finding.expected)
        p = self.program.single_layer("loss").get("probability").reshape(finding.expected.shape)
        # A probability is off by no more than the scores are, each way.
        uncertainty = 2 * finding.uncertainty.max() + 4 * self.program.unit
        return plain.agrees(Estimate(p, np.full_like(p, uncertainty)), finding.given)

    def searched(self) -> tuple[Search, list[Convention]]:
        """The search that finds least fault: in the answer's own precision or float32, in the ways of its program."""
        search, taken = self._searched()
        if not taken and search.untouched:
            search, taken = self._divided_in_part(search) or (search, taken)
        tell_ways_in_part(search)
        return search, taken

    def _searched(self) -> tuple[Search, list[Convention]]:
        unit = self.precision.unit
        updates = self._updates([], unit)
        if updates.is_plain:
            return self._by_rules(updates, [], unit), []
        found, taken = self._explained(unit)
        if found and unit < SINGLE:
            rougher, ways = self._explained(SINGLE)
            if len(rougher) < len(found):
                unit, taken = SINGLE, ways
        updates = self._updates(taken, unit)
        if updates.is_plain:
            return self._by_rules(updates, taken, unit), taken
        search = self._begun(taken, unit)
        search.run()
        if taken and not all(each.best and each.best.mistake.convention for each in search.findings):
            # What looked like another way may be a mistake that accounts for all.
            other = self._begun([], unit)
            other.run()
            is_simpler = bool(search.unnamed) or len(other.findings) < len(search.findings)
            if is_simpler and not other.unnamed:
                return other, []
        if half := search.half_kept():  # either the forward pass of a layer is the mistake, or each of its gradients
            other = self._begun(taken, unit)
            other.forward_only = half
            other.run()
            if len(other.findings) < len(search.findings):
                search = other
        if has_one_name(search):
            return search, taken
        for ways in [taken, []] if taken else [taken]:
            updates = updates if ways is taken else self._updates(ways, unit)
            if updates.explained():
                return self._by_rules(updates, ways, unit), ways
        if search.unnamed and all(map(self.program.is_update, self.arrays)):
            # Nothing but updates is told: a factor or a way that mends some of them alone is as much of a coincidence.
            kept = [convention for convention in taken if not convention.places]
            if kept != taken:
                search, taken = self._begun(kept, unit), kept
                search.run()
        without_coincidences(search)
        return search, taken

    def _divided_in_part(self, search: Search) -> tuple[Search, list[Convention]] | None:
        """The search of a program that divides later, in some arrays alone; None unless that accounts for all.

        Where gradients of the loss are not divided and weights are right all the same, they are divided between.
        """
        unit = search.program.unit
        held = self._begun([], unit)
        tried = Tried([], disagreeing(held) or [], held)
        for convention in self._conventions(tried, unit):
            if not convention.is_scale or all(name == "loss" for name, _ in convention.places):
                continue
            left = disagreeing(self._begun([convention], unit)) or []
            if not left or any(each.key[1] == "loss" or each.key[2] in ("y", "dx") for each in left):
                continue
            other = self._begun([convention], unit)
            other.run()
            ids = {each.best.mistake.id for each in other.findings if each.best}
            if len(ids) == 1 and not other.unnamed and not other.untouched:
                tell_division_in_part(other)
                return other, [convention]
        return None

    def _updates(self, taken: list[Convention], unit: float) -> Updates:
        """The updates of the answer, of which one rule may make all that are wrong; without a convention found once."""
        if not taken and unit in self.plain_updates:
            return self.plain_updates[unit]
        plain = self._begun(taken, unit)
        updates = Updates(plain, disagreeing(plain) or [], self.left_out)
        if not taken:
            self.plain_updates[unit] = updates
        return updates

    def _by_rules(self, updates: Updates, taken: list[Convention], unit: float) -> Search:
        """The search of a program whose updates are made by these rules."""
        search = self._begun(taken, unit)
        search.rules = updates.explained()
        search.run()
        if not any(search.program.is_update(finding.key) for finding in search.findings):
            search.blame_rules(updates.first)
        return search

    def _begun(self, taken: list[Convention], unit: float) -> Search:
        program = self.program.like(unit)
        for convention in taken:
            convention.taken_up(program)
        orders = self.orders | {group: order for convention in taken for group, order in convention.orders.items()}
        arrays = self.arrays
        for convention in taken:
            if convention.relaid:
                arrays = {key: convention.as_the_case(key, readings, program.memo) for key, readings in arrays.items()}
        every = ((self.arrays[key], found) for key, found in arrays.items() if found is not self.arrays[key])
        relaid = [(old.array, new.array) for each in every for old, new in zip(*each, strict=True)]
        precision = replace(self.precision, unit=unit).with_relaid(relaid)
        return Search(program, arrays, self.groups, precision, orders, self.left_out)

    def _explained(self, unit: float) -> tuple[list[Finding], list[Convention]]:
        """The passes that disagree, and the conventions that make them fewer, the best of them first."""
        held = self._begun([], unit)
        begun = tried = Tried([], disagreeing(held) or [], held)
        while tried.found and not self._begins_later(tried):
            better = self._better(tried, unit) or self._better_by_two(tried, unit)
            if better is None:
                break
            tried = better
        if tried.found and tried.taken:  # the best one may lead away from two that leave nothing
            two = self._better_by_two(begun, unit)
            tried = two if two and not two.found else tried
        plainer = self._as_the_case(tried, unit) if tried.found else None
        return (plainer.found, plainer.taken) if plainer else (tried.found, tried.taken)

    def _as_the_case(self, tried: Tried, unit: float) -> Tried | None:
        """With arrays in the order of the case that agree in another one alone, if fewer passes disagree so.

        The first array of its kind that agrees tells the order of all: one that is turned by mistake is led by it.
        """
        best = None
        for group, order in tried.search.found_orders.items():
            usual = tuple(range(len(order)))
            if order == usual:
                continue
            taken = [*tried.taken, Convention("layout", "", orders={group: usual})]
            search = self._begun(taken, unit)
            found = disagreeing(search) or []
            if len(found) < len((best or tried).found):
                best = Tried(taken, found, search)
        return best

    def _begins_later(self, tried: Tried) -> bool:
        """Whether all that disagrees is right in the first step, where another way would show as well.

        But for biases that move apart from the second step on, for what the rate makes up for where gradients are
        larger, and for numbers that are the same in another order.
        """
        wrong = {each.key for each in tried.found}
        is_right = all((1, *key[1:]) in self.arrays.keys() - wrong for key in wrong)
        if not is_right or any(each.is_scale for each in tried.taken):
            return False
        is_alike = any(
            np.array_equal(each.relaid[key[1:]](reading.array), reading.array)
            for each in relaying(self.program, self.arrays)
            for key in wrong
            if key[1:] in each.relaid
            for reading in self.arrays[1, *key[1:]]
        )
        return not is_alike and not any(by_position(self.program, self.groups))

    def _better(self, tried: Tried, unit: float) -> Tried | None:
        """With one convention more, the one that leaves fewest passes that disagree; None where none leaves fewer."""
        best = None
        for convention in self._conventions(tried, unit):
            first = 0 if convention.orders else min(FIRST, len(tried.found))
            what = (*map(id, tried.taken), id(convention), *(each.key for each in tried.found))
            if what in self.hopeless:  # what is far off is so in either arithmetic
                continue
            if self._is_hopeless(tried, [convention], unit, first):
                self.hopeless.add(what)
                continue
            best = self._taken(tried, [convention], unit, best) or best
            if best and not best.found:
                break  # none leaves fewer
        return best

    def _better_by_two(self, tried: Tried, unit: float) -> Tried | None:
        """With two that show only together: other products or another layout, and a factor or another layout."""
        laid = {place for convention in self._conventions(tried, unit) for place in convention.relaid}
        forward = frozenset(key for key in self._agreed(tried) if key[2] == "y" and key[1:] not in laid)
        first, best = [each.key for each in tried.found[:FIRST]], None
        for convention in self._conventions(tried, unit):
            if not self._is_worth_another(convention, tried):
                continue
            taken = [*tried.taken, convention]
            what = ("with another", *map(id, taken), *(each.key for each in tried.found))
            if what in self.hopeless:
                continue
            others = []
            if not is_hopeless(self._begun(taken, unit), forward, tried.search, 0):
                begun = self._begun(taken, unit)
                seen = supposed(begun, first, tried.search)
                for other in along(begun.program, seen, begun.arrays, self.groups, self.precision):
                    is_likely = other.factors or other.straightens(seen, self.program, self.precision)
                    if is_likely and not self._is_hopeless(tried, [convention, other], unit, len(first)):
                        others.append(other)
            if not others:
                self.hopeless.add(what)
            for other in others:
                best = self._taken(tried, [convention, other], unit, best) or best
                if best and not best.found:
                    return best
        return best

    def _is_worth_another(self, convention: Convention, tried: Tried) -> bool:
        """Whether a convention may show together with another one alone.

        Of an array that is told in a later step alone nobody knows what it should be: it rests on updates that the
        other one may make otherwise.
        """
        if convention.terms or convention.straightens(tried.found, self.program, self.precision):
            return True
        laid = (each.key for each in tried.found if each.key[1:] in convention.relaid)
        return any(key[0] > 1 and (1, *key[1:]) not in self.arrays for key in laid)

    def _conventions(self, tried: Tried, unit: float) -> Iterator[Convention]:
        """Those that may be worth a try: the same in either arithmetic, as long as the same passes disagree."""
        what = (*map(id, tried.taken), *(each.key for each in tried.found))
        if what not in self.known:
            begun = self._begun(tried.taken, unit)
            self.known[what] = Replayed(
                conventions(begun.program, tried.found, begun.arrays, self.groups, self.precision), tried
            )
        return iter(self.known[what])

    def _agreed(self, tried: Tried) -> frozenset[Key]:
        """What agrees; where weights do not, as far as their step: the next steps rest on them.

        With few digits some of it agrees by chance, until all of that step does.
        """
        wrong = {each.key for each in tried.found}
        first = min((key[0] for key in wrong if self.program.is_update(key)), default=self.program.last + 1)
        return frozenset(key for key in self.arrays if key not in wrong and key[0] <= first)

    def _with(self, tried: Tried, more: list[Convention]) -> list[Convention]:
        """These conventions as well: of two ways to do the same the later one counts."""
        kept = []
        for each in tried.taken:
            if not any(other.is_instead_of(each) for other in more):
                kept.append(each)
            elif each.orders:  # found together with it, and of all arrays
                kept.append(each.orders_alone)
        return [*kept, *more]

    def _is_hopeless(self, tried: Tried, more: list[Convention], unit: float, first: int) -> bool:
        """Whether with these conventions as well what agreed, or all of the first passes, are far off."""
        return is_hopeless(self._begun(self._with(tried, more), unit), self._agreed(tried), tried.search, first)

    def _taken(self, tried: Tried, more: list[Convention], unit: float, best: Tried | None) -> Tried | None:
        """With these conventions; None where no fewer passes disagree than with the best, or one that had agreed.

        Where some are left, zeros that agree with them alone are no sign of them: units that are dead make them too.
        """
        taken = self._with(tried, more)
        search = self._begun(taken, unit)
        left = disagreeing(search, counted((best or tried).found), self._agreed(tried))
        if left is None or not all(each.is_allowed(tried.found, left, search.program) for each in more):
            return None
        wrong = {each.key for each in left}
        if wrong and not any(each.given.any() for each in tried.found if each.key not in wrong):
            return None
        return Tried(taken, left, search)
