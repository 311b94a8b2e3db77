"""Layers in another order than the case has them: right where they make the same so, else a mistake with a name."""

from dataclasses import replace

import numpy as np
import pytest

import plaingrad as pg
from bars import chosen
from diseased import played
from plaingrad.checking.another_order import EXCHANGED
from plaingrad.checking.case import Case
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE
from plaingrad.textbook.layer import Layer
from strange import STRANGE
from students import Student, in_print, told
from test_uncompared import held_together

POOL, LAST = pg.MaxPool(2), (pg.Flatten(), pg.Dense(3))
CONV, NEXT = pg.Conv(3, size=3), pg.Conv(2, size=2)
SAME = {
    "once": ((CONV, POOL, pg.ReLU(), *LAST), (CONV, pg.ReLU(), POOL, *LAST)),
    "twice": (
        (CONV, POOL, pg.ReLU(), NEXT, POOL, pg.ReLU(), *LAST),
        (CONV, pg.ReLU(), POOL, NEXT, pg.ReLU(), POOL, *LAST),
    ),
    "leaky": ((CONV, POOL, pg.LeakyReLU(0.1), *LAST), (CONV, pg.LeakyReLU(0.1), POOL, *LAST)),
    "flat": ((CONV, pg.ReLU(), *LAST), (CONV, LAST[0], pg.ReLU(), LAST[1])),
}
OTHER = {
    "mean": ((CONV, pg.MeanPool(2), pg.Tanh(), *LAST), (CONV, pg.Tanh(), pg.MeanPool(2), *LAST)),
    "norm": ((CONV, pg.BatchNorm(), pg.ReLU(), *LAST), (CONV, pg.ReLU(), pg.BatchNorm(), *LAST)),
    "group": ((CONV, pg.GroupNorm(3), pg.SiLU(), *LAST), (CONV, pg.SiLU(), pg.GroupNorm(3), *LAST)),
}
INPUT = (1, 12, 11)


def cases(layers: tuple[Layer, ...], others: tuple[Layer, ...]) -> tuple[Case, Case]:
    """A case, and that of a program that has the same layers in another order."""
    case = make_case(layers, INPUT, images=3)
    other = make_case(others, INPUT, images=3)
    for name, array in case.net.arrays.items():
        other.net.arrays[name][...] = array
    return case, replace(other, batches=case.batches, rate=case.rate)


@pytest.mark.parametrize(("part", "printed"), [("all", "f64"), ("outputs and gradients", "5 digits")])
@pytest.mark.parametrize("pair", SAME.values(), ids=list(SAME))
def test_it_is_right_where_it_makes_the_same(pair, printed, part):
    case, other = cases(*pair)
    for order in ("usual", "NHWC"):
        verdict = check_answer(case, told(chosen(Student(other).arrays(), part, 0), order, in_print(printed)))
        assert verdict.verdict == CONVENTION, str(verdict)
        assert EXCHANGED in [each.id for each in verdict.conventions]
        assert {row.status for row in verdict.rows} <= {"agrees", "another convention"}
    held_together(verdict)


@pytest.mark.parametrize("printed", ["f64", pytest.param("5 digits", marks=pytest.mark.long)])
@pytest.mark.parametrize("pair", OTHER.values(), ids=list(OTHER))
@pytest.mark.often(2)
def test_it_is_a_mistake_where_it_makes_another_network(pair, printed):
    case, other = cases(*pair)
    verdict = check_answer(case, told(Student(other).arrays(), printed=in_print(printed)))
    assert [each.id for each in verdict.mistakes] == [EXCHANGED]
    assert verdict.verdict == MISTAKE
    assert verdict.first_wrong == f"{list(case.net.steps)[1]}.y"
    assert "is computed before" in verdict.text()
    assert "wrong array" in verdict.text(hint="kind")
    assert verdict.to_json()["mistakes"][0]["id"] == EXCHANGED
    held_together(verdict)


@pytest.mark.parametrize("pair", [*SAME.values(), *OTHER.values()], ids=[*SAME, *OTHER])
@pytest.mark.often(2)
def test_a_program_that_has_them_so_and_is_wrong_besides_is_not_called_right(pair):
    case, other = cases(*pair)
    arrays, _ = played(other, {("dense1", "db"): STRANGE["noise"]})
    assert not check_answer(case, told(arrays)).is_right


def test_layers_that_do_not_fit_in_the_other_order_are_left_where_they_are():
    case = make_case((CONV, pg.Flatten(), pg.Dense(3), pg.Tanh(), pg.Dense(2)), INPUT, images=2)
    for place in case.net.steps:
        arrays, _ = played(case, {(place, "y"): lambda context: context.expected + np.pi})
        assert EXCHANGED not in [each.id for each in check_answer(case, told(arrays)).mistakes]
