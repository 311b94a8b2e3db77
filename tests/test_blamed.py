"""No pass is blamed that makes of the answer's own numbers what the textbook makes of them."""

import random

import numpy as np
import pytest

import edited
from diseased import UNIT, finite, networks, played
from often import counts
from plaingrad.checking import check_answer
from plaingrad.checking.edits.making import making
from plaingrad.checking.search.passes import exact
from plaingrad.checking.search.uncertainty import Program
from strange import STRANGE
from students import told

SAME = 1e-9  # of the largest number: far more than the order of some thousand terms moves a sum of them in float64


def blamed_though_right(case, arrays, verdict):
    """The passes found wrong by themselves whose numbers are the textbook's, of the answer's own."""
    program = Program(case, UNIT)
    env = program.start() | {key: exact(array) for key, array in arrays.items()}
    for finding in verdict.search.findings:
        if finding.where == finding.key and not (finding.best and finding.best.mistake.convention):
            with np.errstate(all="ignore"):
                right = program.value(finding.key, env)
            if np.allclose(arrays[finding.key], right, rtol=0, atol=SAME * np.abs(right).max(initial=0)):
                yield finding


def of_an_edit(slip):
    """What an edited line makes; nothing in the step of a layer that has another text once it is trained."""

    def wrong(context):
        return None if context.program.is_trained(context.key) else making(context).made(slip.edit)

    return wrong


def slipped(count, seed):
    """Answers with one or two random slips: edited lines, and mistakes that are in no catalogue."""
    rng, slips = random.Random(seed), edited.slips(count, seed)
    for first, second in zip(slips, slips, strict=True):
        wrongs = {first.place: of_an_edit(first)}
        if first.network == second.network or rng.random() < 0.5:
            places = [each for each in edited.places(first.network) if each[1] in edited.QUANTITIES]
            wrongs.setdefault(rng.choice(places), STRANGE[rng.choice(sorted(STRANGE))])
        yield first.network, wrongs, str(first)
        if second.network == first.network:
            both = {each.place: of_an_edit(each) for each in (first, second)}
            yield first.network, both, f"{first}, {second}"
        else:
            yield second.network, {second.place: of_an_edit(second)}, str(second)


@pytest.mark.parametrize("seed", [1])
@counts(6, 300)
def test_no_pass_is_blamed_that_keeps_to_the_textbook(seed, count):
    done = 0
    for network, wrongs, words in slipped(count, seed):
        case = networks()[network]
        arrays, changed = played(case, wrongs)
        if changed and finite(arrays):
            verdict = check_answer(case, told(arrays))
            blamed = {
                each.key: each.best and each.best.mistake.id for each in blamed_though_right(case, arrays, verdict)
            }
            assert not blamed, (words, [*wrongs], blamed)
            done += 1
    assert done >= count / 2
