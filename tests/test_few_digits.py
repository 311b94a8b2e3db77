"""What few digits, or a part of an answer, cannot tell apart has no name."""

import random

import numpy as np
import pytest

from bars import PARTS, chosen
from diseased import UNIT, finite, networks, played
from often import counts
from plaingrad.checking import check_answer
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.state import State
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.verdict import RIGHT, UNCLEAR
from plaingrad.textbook.layers import BatchNorm, Conv, Dense, GlobalMeanPool, ReLU
from students import in_print, told
from test_blamed import slipped

FEW = ("f32", "6 digits", "4 digits", "3 digits", "4 decimals", "3 decimals")


def could_be(verdict):
    """All that an answer may be, by what is said of it."""
    fits = {fit.mistake.id for each in verdict.search.findings for fit in each.fits}
    return fits | {each.id for each in verdict.conventions}


@pytest.mark.parametrize("seed", [5])
@counts(6, 200)
def test_few_digits_bring_no_name_that_all_digits_rule_out(seed, count):
    rng, done = random.Random(seed), 0
    for number, (network, wrongs, words) in enumerate(slipped(count, seed)):
        case = networks()[network]
        arrays, changed = played(case, wrongs)
        if not changed or not finite(arrays):
            continue
        given = chosen(arrays, rng.choice(("all", *PARTS)), number)
        few = check_answer(case, told(given, printed=in_print(rng.choice(FEW))))
        named = {each.id for each in (*few.mistakes, *few.conventions)}
        if named:
            assert named <= could_be(check_answer(case, told(given))), (words, [*wrongs])
            done += 1
    assert done >= count / 5


UNBIASED = (
    (Conv(4, size=3), BatchNorm(), ReLU(), Conv(3, size=2), BatchNorm(), ReLU(), GlobalMeanPool(), Dense(3)),
    (2, 8, 9),
)


@pytest.mark.parametrize("factor", ["rows / images", "1 / 2"])
@pytest.mark.parametrize("network", ["unbiased", "normalised", "thorough", "smooth"])
@pytest.mark.often(2)
def test_a_factor_of_errors_without_an_answer_is_no_line_of_the_gradients_behind_them(network, factor):
    """Nor of one gradient in each of several layers, where all else that would show it is 0."""
    case = make_case(*UNBIASED) if network == "unbiased" else networks()[network]
    times = case.net.input[1] / case.images if factor == "rows / images" else 0.5
    *_, last = (name for name, step in case.net.steps.items() if "w" in step.weights)
    arrays, _ = played(case, {(last, "dx"): lambda context: context.expected * times})
    verdict = check_answer(case, told(chosen(arrays, "gradients", 0)))
    assert verdict.verdict != RIGHT
    for finding in verdict.search.findings:
        if finding.key[2] in ("dw", "db"):
            assert not any(isinstance(fit.mistake, EditedLine) and fit.key == finding.key for fit in finding.fits)


def test_zeros_of_a_later_step_alone_have_no_name():
    """A wrong update before may have killed every unit."""
    case = networks()["single"]
    arrays, _ = played(case, {("conv1", "b"): lambda context: context.expected - 100})
    assert not arrays[2, "relu1", "y"].any()
    verdict = check_answer(case, told({(2, "relu1", "y"): arrays[2, "relu1", "y"]}))
    assert verdict.verdict == UNCLEAR
    verdict = check_answer(case, told({(1, "relu1", "y"): 0 * arrays[1, "relu1", "y"]}))
    assert [each.id for each in verdict.mistakes] == ["nothing-comes-out"]


@pytest.mark.parametrize("noise", [0.0, 1e-17])
def test_where_all_gradients_of_a_layer_are_nothing_none_of_them_is_blamed(noise):
    """The errors that came may be 0, or what cancels; alone, beside a right one, a gradient is."""
    case, rng = networks()["single"], np.random.default_rng(0)
    quantities = [("dense1", quantity) for quantity in ("db", "dw", "dx")]
    arrays, _ = played(
        case, {each: lambda context: noise * rng.normal(size=context.expected.shape) for each in quantities}
    )
    some = {(1, *each): arrays[1, *each] for each in quantities}
    for finding in check_answer(case, told(some)).search.findings:
        assert not any(fit.key == finding.key for fit in finding.fits)
    right, _ = played(case, {})
    verdict = check_answer(case, told(some | {(1, *each): right[1, *each] for each in quantities[1:]}))
    assert verdict.first_wrong == "dense1.db"
    assert "gradient-left-out" in could_be(verdict) or noise


@pytest.mark.parametrize("count", [1, 7, 150])
def test_equal_numbers_may_have_been_rounded_alike(count):
    """Then their sum is off by as many half units of the last decimal: 8 deviations of it hold that."""
    decimals = 4
    case = networks()["single"]
    state = State(Program(case, UNIT), {}, {}, Precision(None, decimals, UNIT), {})
    printed = np.concatenate([np.full(count, 0.0123), np.linspace(1, 2, 5)])
    wide = state.own(printed).uncertainty[:count]
    assert 8 * np.sqrt(np.square(wide).sum()) >= count * 0.5 * 10.0**-decimals
