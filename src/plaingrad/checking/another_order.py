"""Layers that a program computes in another order than the case: a ReLU before the pool that it should follow."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from plaingrad.checking.answers.answer import Answer
from plaingrad.checking.case import Case
from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.laying import laid
from plaingrad.checking.search.names import recognised
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.precision import SINGLE, Precision, estimated
from plaingrad.checking.search.rounding import agrees
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.trials import disagreeing
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE, Named, Verdict
from plaingrad.errors import PlaingradError
from plaingrad.network.network import Network

Check = Callable[[Case, Answer], Verdict]
Pair = tuple[str, str]
EXCHANGED = "layers-exchanged"
SAME = (
    "{other} is computed before {one}, which makes the same in the end",
    "The case has {one} first: the arrays between the two are others, and all that follows is right.",
)
ANOTHER = (
    "{other} is computed before {one}",
    "The case has {one} first. For a network with the two in the other order all your numbers are right.",
)


def in_another_order(case: Case, answer: Answer, check: Check) -> Verdict | None:
    """The verdict on an answer that is right for the case with neighbouring layers exchanged; None for another.

    It is a mistake, unless the two make the same in either order, as a ReLU and a maximum do. `check` is what finds the
    verdict on an answer.
    """
    known, _ = recognised([*answer.arrays], case)
    outputs = {key: name for name, key in known.items() if key[0] == 1 and key[2] == "y" and key[1] != "loss"}
    wrong = _wrong(case, answer, outputs)
    for pairs in _suspects(case, wrong):
        exchanged = _exchanged(case, pairs)
        if exchanged is None or _wrong(exchanged, answer, outputs, beside=pairs[0]) & {*pairs[0]}:
            continue
        found = check(exchanged, answer)
        if found.is_right:
            return _told(case, found, pairs, lambda: check(case, answer))
    return None


def _wrong(case: Case, answer: Answer, outputs: Mapping[Key, str], beside: Pair | None = None) -> set[str]:
    """The layers whose outputs are far from right, or of another shape; of all, or of two and of what they read."""
    names = list(case.net.steps)
    if beside is not None:
        first = min(map(names.index, beside))
        names = names[max(first - 1, 0) : first + 2]
    chosen = {key: (name, answer.arrays[name]) for key, name in outputs.items() if key[1] in names}
    arrays, groups, orders, misshapen = laid(case, chosen, [])
    arrays = {key: found for key, found in arrays.items() if np.isfinite(found[0].array).all()}
    if not arrays:
        return {key[1] for key in misshapen}
    precision = replace(estimated([[each.answered for each in found] for found in arrays.values()]), unit=SINGLE)
    found = disagreeing(Search(Program(case, SINGLE), arrays, groups, precision, orders)) or []
    return {each.key[1] for each in found} | {key[1] for key in misshapen}


def _suspects(case: Case, wrong: set[str]) -> Iterator[list[Pair]]:
    """Neighbouring layers of which one makes a wrong output, and with them all others of their kinds."""
    layers = {name: type(step.layer) for name, step in case.net.steps.items()}
    neighbours = list(itertools.pairwise(layers))
    seen = []
    for pair in neighbours:
        kinds = [layers[name] for name in pair]
        if wrong & {*pair} and kinds[0] is not kinds[1] and kinds not in seen:  # of one kind names would change too
            alike = [each for each in neighbours if [layers[name] for name in each] == kinds]
            yield [pair]
            if len(alike) > 1:
                yield alike
            seen.append(kinds)


def _exchanged(case: Case, pairs: list[Pair]) -> Case | None:
    """The case with the layers of each pair in the other order; None where they do not fit so."""
    layers = {name: step.layer for name, step in case.net.steps.items()}
    names = list(layers)
    for one, other in pairs:
        first = names.index(one)
        names[first : first + 2] = other, one
    try:
        net = Network(*(layers[name] for name in names), input=case.net.input, dtype=case.net.dtype, name=case.net.name)
    except PlaingradError:
        return None
    before, after = (each.arrays | each.kept for each in (case.net, net))
    shapes = [{name: array.shape for name, array in each.items()} for each in (before, after)]
    masks = [(net.steps[name].x, mask.shape[1:]) for batch in case.batches for name, mask in batch.masks.items()]
    if net.output != case.net.output or shapes[0] != shapes[1] or any(x != shape for x, shape in masks):
        return None
    for name, array in before.items():
        after[name][...] = array
    return replace(case, net=net)


def _told(case: Case, found: Verdict, pairs: list[Pair], as_it_is: Callable[[], Verdict]) -> Verdict:
    """What is said of it: all but the arrays of these layers is right, or made of theirs."""
    exchanged, precision = found.search.program, found.search.precision
    in_order = Program(case, exchanged.unit)
    is_same = all(_is_same(in_order, exchanged, pair, precision) for pair in pairs)
    title, advice = (each.format(one=pairs[0][0], other=pairs[0][1]) for each in (SAME if is_same else ANOTHER))
    both = [name for pair in pairs for name in pair]
    named = Named(EXCHANGED, title, advice, passes=[(1, name, "y") for name in both], kind=Kind.ARRAY)
    if is_same:
        found.verdict, found.conventions = CONVENTION, [named, *found.conventions]
    else:
        ways = found.conventions
        found = replace(as_it_is(), verdict=MISTAKE, mistakes=[named], unclear=[], uncompared=[], conventions=ways)
    for row in found.rows:
        if row.key[1] in both:
            row.status = "another convention" if is_same else "wrong"
        elif row.status != "agrees" and not is_same:
            row.status = "follows"
    return found


def _is_same(one: Program, other: Program, pair: Pair, precision: Precision) -> bool:
    """Whether two layers make the same of what they are given in either order."""
    first = one.known((1, pair[1], "y"), one.start())
    second = other.known((1, pair[0], "y"), other.start())
    return first.value.shape == second.value.shape and agrees(first, second.value, precision)
