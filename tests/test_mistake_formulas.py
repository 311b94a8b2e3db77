"""Of a mistake that has many forms the formula of the one that was made is told."""

import numpy as np
import pytest

from bars import sampled, singles
from diseased import contexts, finite, networks, played
from often import counts
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.catalogue.entry import applicable
from plaingrad.checking.check import check_answer
from students import told

WITH_FORMULAS = {id: each for id, each in CATALOGUE.items() if each.forms}


def test_there_are_such_mistakes():
    assert {"another-activation", "another-loss", "derivative-incomplete"} <= WITH_FORMULAS.keys()


@pytest.mark.parametrize("network", networks())
def test_a_form_is_told_by_its_own_formula(network):
    """By its number among those that can happen in a pass."""
    for context in contexts(network):
        for mistake in applicable(context):
            if mistake.id not in WITH_FORMULAS:
                continue
            with np.errstate(all="ignore"):
                every = list(mistake.wrong(context))
                formulas = [mistake.formula_of(context, number) for number in range(len(every))]
                for made, formula in zip(every, formulas, strict=True):
                    own = [form(context) for form in mistake.forms if getattr(form, "formula", "") == formula]
                    same = [each for each in own if each is not None and np.array_equal(each, made, equal_nan=True)]
                    assert same, (mistake.id, formula)
            assert len({*formulas} - {""}) == len([each for each in formulas if each]), mistake.id


@counts(4, 200)
def test_the_verdict_tells_it(count):
    there = [each for each in singles(("f64",)) if each.planted[0].id in WITH_FORMULAS]
    asked = 0
    for trial in sampled(there, count):
        planted = trial.planted[0]
        arrays, changed = played(networks()[trial.network], {planted.place: planted.wrong})
        if not changed or not finite(arrays):
            continue
        verdict = check_answer(networks()[trial.network], told(arrays))
        named = next((each for each in verdict.mistakes if each.id == planted.id), None)
        if named is not None and named.findings[0].key[1:] == planted.place:
            asked += 1
            (line,) = [each for each in verdict.text().splitlines() if "your numbers are those of" in each][:1]
            assert line.partition("those of ")[2] in [form.formula for form in WITH_FORMULAS[planted.id].forms]
    assert asked
