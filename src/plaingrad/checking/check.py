"""Checks an answer against its case: reads it, searches it, and draws the verdict."""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.checking.answers.answer import Answer, answer_of
from plaingrad.checking.answers.layout import Order, Reading, group_of, readings, refuse
from plaingrad.checking.case import Case
from plaingrad.checking.search.conventions import Convention, conventions
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of, recognised
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.precision import DOUBLE, SINGLE, Precision, estimated
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.verdict import Verdict, drawn
from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError, visible
from plaingrad.textbook.layers import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from plaingrad.textbook.losses import SoftmaxCrossEntropy


def check_answer(case: Case, answer: Answer | Mapping[str, Any], left_out: frozenset[str] = frozenset()) -> Verdict:
    """The verdict on an answer; AnswerError where it cannot be compared. Mistakes `left_out` are not looked for."""
    answer = answer if isinstance(answer, Answer) else answer_of(answer)
    known, notes = recognised(list(answer.arrays), case)
    if not known:
        raise AnswerError(f"the answer contains no quantity of this case; {notes[0] if notes else 'it is empty'}")
    chosen: dict[Key, str] = {}
    for name, key in known.items():
        if key in chosen and not np.array_equal(answer.arrays[chosen[key]], answer.arrays[name], equal_nan=True):
            raise AnswerError(f"{chosen[key]} and {name} name the same quantity, but differ; leave one of them out")
        if key not in chosen or not name.endswith(".dy"):
            chosen[key] = name
    arrays, groups, orders = _laid(case, {key: (name, answer.arrays[name]) for key, name in chosen.items()}, notes)
    if not arrays:
        raise AnswerError(
            "the answer contains nothing to check: the weights before the first step are given by the case"
        )
    program = Program(case, DOUBLE)
    broken = _broken(program, {key: (chosen[key], found[0].array) for key, found in arrays.items()})
    if broken is not None:  # what comes before may show why
        last, words = broken
        arrays = {key: found for key, found in arrays.items() if program.place[key] < program.place[last]}
        if not arrays:
            raise AnswerError(words)
        notes.append(f"{words}. Only the quantities before it are compared")
    precision = estimated([each.array for each in found] for found in arrays.values())
    asked = Asked(program.like(precision.unit), arrays, groups, orders, precision, left_out)
    notes += asked.moved()
    search, taken = asked.searched()
    if broken is not None and not search.findings:
        count = len(search.rows)
        raise AnswerError(
            f"{broken[1]}. {'The one quantity before it agrees' if count == 1 else f'All {count} before it agree'}"
        )
    notes += _kept(search)
    for key, row in search.rows.items():
        row.name = visible(chosen.get(key, name_of(key)))
    return drawn(search, taken, [*answer.notes, *notes])


FIRST = 4  # passes that disagree, of which a convention must mend one to be worth more work


def _kept(search: Search) -> Iterator[str]:
    """A line for each wrong array that is the same, to the last bit, in two steps."""
    for key, row in search.rows.items():
        before = (key[0] - 1, *key[1:])
        if before in search.rows and "wrong" in (row.status, search.rows[before].status):
            one, other = (search.likeliest(each).array for each in (before, key))
            if one.any() and np.array_equal(one, other):
                yield f"{name_of(before)} and {name_of(key)} are the same numbers: was the first one overwritten later?"


@dataclass
class Asked:
    """An answer and its program, to be searched in several ways."""

    program: Program
    arrays: dict[Key, list[Reading]]
    groups: dict[Key, str]
    orders: dict[str, Order]
    precision: Precision
    left_out: frozenset[str]

    def moved(self) -> list[str]:
        """Take the output of a layer that was answered behind its activation for the activation's; a line for each."""
        plain, notes = self._begun([], self.precision.unit), []
        for finding in plain.disagreeing() or []:
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

    def _is_probability(self, plain: Search, finding: Finding) -> bool:
        """Whether the outputs were answered behind the softmax that is in the loss."""
        if not isinstance(self.program.case.loss, SoftmaxCrossEntropy):
            return False
        self.program.loss_of(finding.key[0], finding.expected)
        p = self.program.single_layer("loss").get("probability").reshape(finding.expected.shape)
        # A probability is off by no more than the scores are, each way.
        uncertainty = 2 * finding.uncertainty.max() + 4 * self.program.unit
        return plain.agrees(Estimate(p, np.full_like(p, uncertainty)), finding.given)

    def searched(self) -> tuple[Search, list[Convention]]:
        """The search that finds least fault: in the answer's own precision or float32, in the ways of its program."""
        unit = self.precision.unit
        found, taken = self._explained(unit)
        if found and unit < SINGLE:
            rougher, ways = self._explained(SINGLE)
            if len(rougher) < len(found):
                unit, taken = SINGLE, ways
        search = self._begun(taken, unit)
        search.run()
        if taken and search.unnamed:  # what looked like another way may be a mistake that accounts for all
            other = self._begun([], unit)
            other.run()
            if not other.unnamed:
                return other, []
        return search, taken

    def _begun(self, taken: list[Convention], unit: float) -> Search:
        program = self.program.like(unit)
        for convention in taken:
            convention.taken_up(program)
        orders = self.orders | {group: order for convention in taken for group, order in convention.orders.items()}
        precision = replace(self.precision, unit=unit)
        return Search(program, self.arrays, self.groups, precision, orders, self.left_out)

    def _explained(self, unit: float) -> tuple[list[Finding], list[Convention]]:
        """The passes that disagree, and the conventions that make them fewer, the best of them first.

        A convention is not taken up if a pass disagrees that agreed without it.
        """
        held, taken = self._begun([], unit), list[Convention]()
        found = held.disagreeing() or []
        while found:
            best, agreed, before = None, frozenset(self.arrays) - {each.key for each in found}, held
            for convention in conventions(self._begun(taken, unit).program, found, self.arrays, self.groups):
                first = 0 if convention.orders else min(FIRST, len(found))
                if self._begun([*taken, convention], unit).is_hopeless(agreed, before, first):
                    continue
                search = self._begun([*taken, convention], unit)
                left = search.disagreeing(len(found), agreed)
                if left is not None:
                    best, found, held = convention, left, search
            if best is None:
                break
            taken.append(best)
        return found, taken


def _laid(
    case: Case, given: dict[Key, tuple[str, Array]], notes: list[str]
) -> tuple[dict[Key, list[Reading]], dict[Key, str], dict[str, Order]]:
    """Every way to read each array; and for weights, of which the first ones are known, the order they are in."""
    arrays: dict[Key, list[Reading]] = {}
    groups: dict[Key, str] = {}
    orders: dict[str, Order] = {}
    for key, (name, array) in given.items():
        shape, is_trained = _shape(case, key)
        group = group_of(shape, is_trained)
        if key[1:] == ("loss", "y") and array.ndim == 1 and array.size == case.images > 1:
            array = np.array(array.mean())
            notes.append(f"{name}: the mean of the {case.images} numbers given")
        if key[2] == "db" and array.ndim > 1 and array.shape[0] == shape[0] and array.size != shape[0]:
            array = array.reshape(shape[0], -1).sum(axis=1)
            notes.append(f"{name}: there is one number for each position; their sum is compared")
        found = readings(array, shape, group)
        if not found:
            raise refuse(name, array, shape)
        first = case.net.steps[key[1]].arrays.get(key[2]) if is_trained else None
        if first is not None and group in ("kernels", "dense") and group not in orders:
            away = [float(np.abs(each.array - first).sum()) for each in found]
            nearest = int(np.argmin(away))
            others = away[1:] if nearest == 0 else away[:1]
            if 4 * away[nearest] < min([*others, float(np.abs(first).sum())]):  # an update moves weights by little
                orders[group] = found[nearest].order
        if key[0] > 0:
            arrays[key], groups[key] = found, group
    return arrays, groups, orders


def _shape(case: Case, key: Key) -> tuple[tuple[int, ...], bool]:
    """The shape of an array, and whether it is a trained one or the gradient of such."""
    _, name, quantity = key
    if name == "loss":
        return (() if quantity == "y" else (case.images, *case.net.output)), False
    step = case.net.steps[name]
    if quantity in ("y", "dx"):
        return (case.images, *(step.y if quantity == "y" else step.x)), False
    return step.weights[quantity if quantity in step.weights else quantity[1:]].shape, True


REASONS = {
    "L2Pool": "0/0 in L2 pooling where a window is all zero; use 0 there",
    "Softmax": "overflow of a large score in softmax, unless the largest score is subtracted first",
    "SoftmaxCrossEntropy": "overflow of a large score in softmax, unless the largest score is subtracted first",
    "CrossEntropy": "the logarithm of 0, or a division by 0",
    "MeanPool": "0/0 for a window without any pixel",
}


def _broken(program: Program, given: dict[Key, tuple[str, Array]]) -> tuple[Key, str] | None:
    """The first array, in the order of computing, with a number that is not finite; and a line about it."""
    for key in program.keys:
        if key not in given or np.isfinite(given[key][1]).all():
            continue
        name, array = given[key]
        place = tuple(int(each) for each in np.argwhere(~np.isfinite(array))[0])
        owner = program.case.loss if key[1] == "loss" else program.steps[key[1]].layer
        why = REASONS.get(type(owner).__name__, "")
        words = (
            f"{name}{list(place) if place else ''} is {array[place]}, the first number that is not finite in the order "
            "of computing"
        )
        return key, f"{words}; the usual cause: {why}" if why else words
    return None
