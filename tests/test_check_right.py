"""No right answer is called wrong: whole or in part, by any program, in any convention, layout and arithmetic."""

import itertools
from dataclasses import replace
from math import prod

import numpy as np
import pytest

import plaingrad as pg
from bars import chosen, sampled
from diseased import form_of, networks, played, sites
from frameworks import SOURCES, installed
from functions import FORMULAS
from often import counts, some
from plaingrad.checking.answers.layout import Reading, suspicious
from plaingrad.checking.asked import Asked
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search import trials
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.trials import disagreeing, is_hopeless
from plaingrad.textbook.losses import HalfSquaredError
from rights import TIES, Right, case_of, computed, every_right, flattened, of_programs, partly, wronged
from students import FLATTENED, ORDERS, WAYS, Student, Ways, is_done, told

LIKE_THE_CASE = ("the last of equal maxima", "equal maxima share", "softmax fused with the loss")
NETWORKS = list(networks())


def assert_right(rights: list[Right]) -> None:
    """Each is called right."""
    assert rights
    wrong = [(right, said) for right in rights if (said := wronged(right))]
    shown = "\n".join(f"{right} -> {said}" for right, said in wrong[:20])
    assert not wrong, f"{len(wrong)} of {len(rights)} right answers are called wrong\n{shown}"


@counts(6, 60)
@pytest.mark.long
def test_whole_answers_in_any_convention(count):
    assert_right(sampled(every_right(), count))


@counts(10, 40)
def test_parts_of_answers(count):
    assert_right(sampled(partly(), count))


def test_what_the_library_computes():
    assert_right([Right("thorough", ties, "plaingrad", "float32", printed="f32") for ties in (None, 0)])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.often(8)
def test_every_convention_as_it_was_computed(way):
    network = next(each for each in NETWORKS if is_done(networks()[each], way))
    assert_right([Right(network, 1, "student", "float64", way)])


@pytest.mark.parametrize("formulas", [each for each in FORMULAS if each != "usual"])
@pytest.mark.parametrize("network", networks())
def test_functions_are_right_in_any_formula(network, formulas):
    """What cancels in one of them and not in another is off by roundings of what it is made of."""
    every = itertools.product((None, 0), ("float32", "float64"), ("f64", "f32", "6 digits"))
    assert_right([Right(network, ties, "student", dtype, printed=p, formulas=formulas) for ties, dtype, p in every])


CURVED = (
    pg.Sigmoid(), pg.Tanh(), pg.Softmax(), pg.ELU(), pg.SiLU(), pg.GELU(), pg.TanhGELU(), pg.BatchNorm(), pg.L2Pool(2),
)  # fmt: skip


@pytest.mark.parametrize("formulas", FORMULAS)
@pytest.mark.parametrize("layer", CURVED, ids=lambda each: type(each).__name__)
def test_functions_are_right_in_any_formula_of_small_and_large_numbers(layer, formulas):
    flat = (pg.Flatten(), layer) if isinstance(layer, pg.Softmax) else (layer, pg.Flatten())
    case, asked = make_case((*flat, pg.Dense(3)), (1, 4, 4), images=3, loss=HalfSquaredError()), 0
    for size in (0.01, 1, 6, 30, 200):
        large = replace(case, batches=tuple(replace(each, x=size * each.x) for each in case.batches))
        with np.errstate(all="ignore"):
            arrays = Student(large, np.float32, Ways(formulas=formulas)).arrays()
        if all(np.isfinite(array).all() for array in arrays.values()):  # e^x is not, of large numbers
            asked += 1
            verdict = check_answer(large, told(arrays))
            assert verdict.is_right, f"{size}: {verdict}"
    assert asked >= 3


@pytest.mark.parametrize("program", some(SOURCES, lambda place: place == 0))
def test_other_programs_can_do_all_that_they_are_asked(program):
    if program not in installed():
        pytest.skip(f"{program} is not installed")
    assert_right([each for each in of_programs([program]) if each.ties is None and each.printed == "f64"])


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have the same shape and numbers."""
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-6, atol=0)


def test_the_other_conventions_give_other_numbers():
    """Else the tests of them would show nothing."""
    changed = set()
    for case in (case_of(network, ties) for network in NETWORKS for ties in (None, 0)):
        plain = Student(case).arrays()
        for way, ways in WAYS.items():
            if not is_done(case, way):
                continue
            other = Student(case, ways=ways).arrays()
            if not all(alike(other[key], array) for key, array in plain.items()):
                changed.add(way)
    assert changed == WAYS.keys() - {"as the case"}


DENSE = (pg.Tanh(), pg.Flatten(), pg.Dense(3), pg.Dense(3))  # the last has as many inputs as units
SMALL = {  # maps, kernels, or both have axes of length 1, which tell no order
    "one of each": networks()["simple"],
    "square": make_case((pg.Conv(1, size=3, padding=1), pg.ReLU(), pg.Conv(1, size=2), *DENSE), (1, 4, 4), images=1),
    "one map": make_case((pg.Conv(1, size=2), *DENSE), (1, 5, 4), images=2),
    "two filters": make_case((pg.Conv(2, size=2), *DENSE), (1, 5, 4), images=1),
    "one row": make_case((pg.Conv(2, size=(1, 3)), *DENSE), (1, 1, 6), images=2),
    "one column": make_case((pg.Conv(1, size=(3, 1)), *DENSE), (2, 6, 1), images=1),
    "none": make_case((pg.Conv(2, size=2), *DENSE), (3, 5, 4), images=4),
}
ALIKE = ("as the case", "a true convolution")


@counts(24, 10**4, pytest.mark.exhaustive)
def test_axes_of_length_1_make_no_order_a_mistake(count):
    parts = ("all", "gradients", "outputs and gradients", "errors", "second step")
    every = list(itertools.product(SMALL, ALIKE, ("Julia", *sorted(ORDERS.keys() - {"Julia"})), parts))
    often = [each for each in every if each[2] == "Julia"] if count < len(every) else every
    for small, way, order, part in sampled(often, count):
        arrays = Student(SMALL[small], ways=WAYS[way]).arrays()
        assert check_answer(SMALL[small], told(chosen(arrays, part, 0), order)).is_right, (small, way, order, part)


@counts(6, 10**4, pytest.mark.exhaustive)
@pytest.mark.parametrize("part", ["all", "outputs and gradients"])
def test_nor_do_they_give_a_mistake_another_name(count, part):
    """Where nothing but gradients is told, and they are of kernels alone, two orders have the same shape."""
    there = [site for site in sites("simple") if site.place in (("conv1", "dw"), ("maxpool1", "dx"))]
    case = networks()["simple"]
    for site in sampled(there, count):
        arrays, _ = played(case, {site.place: form_of(site.id, site.form)})
        verdicts = [check_answer(case, told(chosen(arrays, part, 0), order)) for order in ("usual", "Julia")]
        one, other = ([(each.id, [found.key for found in each.findings]) for each in v.mistakes] for v in verdicts)
        assert one == other, site


EQUALLY_LONG = {  # axes of which the shape does not tell one from the other
    "units and images": make_case(
        (pg.Conv(2, size=2), pg.Tanh(), pg.Flatten(), pg.Dense(4), pg.Tanh(), pg.Dense(4)),
        (1, 4, 3),
        images=4,
        loss=pg.HalfSquaredError(),
    ),
    "channels and filters": make_case((pg.Conv(3, size=2, padding=1), pg.Flatten(), pg.Dense(4)), (3, 3, 4), images=4),
}
SCALED = (
    "a sum over the batch",
    "the sum of squares",
    "the mean square",
    "the mean over images and classes",
    "negated",
)


def orders_left_open(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """In which orders of its axes an array has the same shape; none that only exchanges rows and columns."""
    every = list(itertools.permutations(range(len(shape))))[1:]
    same = [order for order in every if tuple(shape[axis] for axis in order) == shape]
    return [order for order in same if not suspicious(Reading(np.empty(shape), order))]


@counts(12, 10**4, pytest.mark.exhaustive)
def test_an_order_that_is_right_is_so_at_every_scale_of_the_loss(count):
    """Also where a single array tells both, of a shape that leaves its order open."""
    every = [
        (which, way, key, order)
        for which, case in EQUALLY_LONG.items()
        for way in SCALED
        if is_done(case, way)
        for key, array in Student(case).arrays().items()
        if key[0] == 1 and key[1:] != ("loss", "y")
        for order in orders_left_open(array.shape)
    ]
    asked = 0
    for which, way, key, order in sampled(every, count):
        case = EQUALLY_LONG[which]
        plain, scaled = (Student(case, ways=WAYS[each]).arrays()[key].transpose(order) for each in ("as the case", way))
        if check_answer(case, {name_of(key): plain}).is_right:
            asked += 1
            assert check_answer(case, {name_of(key): scaled}).is_right, (which, way, key, order)
    assert asked


def test_a_square_batch_of_unknown_order_with_a_scale():
    order = {"order": "MATLAB", "printed": "6 decimals", "part": "half", "seed": 1041}
    assert_right([Right("norms", 3, "student", "float64", "the mean square", **order)])


OF_MAPS = [  # networks that flatten maps
    network
    for network, case in networks().items()
    if any(isinstance(step.layer, pg.Flatten) and prod(step.x) > step.x[0] > 1 for step in case.net.steps.values())
]
FLAT = sorted(FLATTENED.keys() - {"channel, row, column"})


@counts(6, 300, pytest.mark.exhaustive)
def test_what_is_found_to_agree_is_not_far_off(count, monkeypatch):
    """A further way is tried against what agrees: with none more, nothing of it may be given up as hopeless.

    Each array is then made of the same numbers as before, and off by no more than rounding allows, `FAR` or not.
    Numbers of few digits make the difference between what is printed and what is known the largest.
    """
    monkeypatch.setattr(trials, "FAR", 0)
    asked, searched = [], Asked.searched
    monkeypatch.setattr(Asked, "searched", lambda each: asked.append((each, searched(each))) or asked[-1][1])
    rights = [
        Right(network, ties, "student", "float64", way, printed=printed, part="outputs and gradients", flat=flat)
        for network, ties, printed, flat in itertools.product(OF_MAPS, TIES, ("3 digits", "4 decimals"), FLAT)
        for way in ("as the case", "a bias for each position")
    ]
    for right in sampled(rights, count):
        asked.clear()
        assert_right([right])
        for each, (found, taken) in asked:
            again, other = (each._begun(taken, found.program.unit) for _ in range(2))
            assert disagreeing(again) == [], right
            assert not is_hopeless(other, frozenset(each.arrays), again, 0), right


def test_a_bias_for_each_position_of_maps_that_are_flattened_otherwise():
    how = {"order": "NHWC", "printed": "3 digits", "part": "outputs and gradients", "flat": "row, column, channel"}
    assert_right([Right("smooth", 3, "student", "float64", "a bias for each position", seed=1728, **how)])


def test_a_rectifier_of_one_kind_alone_may_do_otherwise_at_zero():
    """A leaky one takes its slope there, where a plain one passes all."""
    how = {"order": "Julia", "printed": "f32", "part": "outputs and gradients", "flat": "row, column, channel"}
    assert_right([Right("grouped", 3, "student", "float32", "slope 1 at zero", seed=165, **how)])


@pytest.mark.parametrize("network", ["features", "normalised"])
def test_errors_of_a_skip_are_those_of_each_image(network):
    """Where the output of a layer goes two ways, and no other error is told."""
    how = {"order": "usual", "printed": "f64", "part": "outputs and gradients", "flat": "channel, row, column"}
    assert_right([Right(network, None, "student", "float64", "errors of each image", seed=0, **how)])


AT_ONCE = list(
    itertools.product(
        ("square", "norms"), ("Julia", "MATLAB", "NHWC"), WAYS, FLATTENED, ("all", "most", "weights", "second step"),
        ("3 digits", "4 digits", "4 decimals"),
    )
)  # fmt: skip
MET = (
    ("square", "Julia", "a true convolution in the first layer", "channel, column, row", "most", "4 decimals"),
    ("norms", "Julia", "a true convolution in the first layer", "row, channel, column", "weights", "3 digits"),
    ("square", "Julia", "slope 1 at zero", "column, channel, row", "second step", "4 digits"),
)


@counts(1, 300)
def test_three_ways_at_once_that_each_could_be_taken_for_another(count):
    """An order of axes, other products and another flattening: one of them alone mends little, and another as much."""
    every = [
        each
        for each in AT_ONCE
        if is_done(networks()[each[0]], each[2]) and not (WAYS[each[2]].columns or WAYS[each[2]].last)
    ]
    assert_right(
        [
            Right(
                network, 0 if network == "square" else None, "student", "float32", way, order, printed, part, 255, flat
            )
            for network, order, way, flat, part, printed in (*MET, *sampled(every, count))
        ]
    )


def test_another_flattening_that_the_first_step_cannot_show():
    """Zeros are the same in any order; what is behind them in the second step is not."""
    how = {"order": "MATLAB", "printed": "4 digits", "part": "outputs and gradients", "flat": "row, channel, column"}
    assert_right([Right("square", 2, "student", "float32", "a true convolution", seed=1061, **how)])


ERRORS = list(itertools.product([each for each in WAYS if "errors" in each], FLATTENED))


@pytest.mark.parametrize(("way", "flat"), some(ERRORS, lambda place: place == 1))
def test_a_flattening_that_a_later_step_alone_tells_is_seen_beside_another_way(way, flat):
    """Nobody knows what that array should be before the other way is known, on which the step before rests."""
    arrays = computed("thorough", 1, "student", "float64", way, "usual")
    laid = flattened(case_of("thorough", 1), arrays, FLATTENED[flat])
    later = [(2, "flatten1", "y"), (2, "relu1", "dx"), (2, "conv1", "db"), (2, "conv2", "b")]
    answer = told({key: laid[key] for key in [(1, "conv2", "dx"), *later]})
    assert check_answer(case_of("thorough", 1), answer).is_right


@pytest.mark.parametrize(("way", "flat"), some(ERRORS, lambda place: place % 4 == 3))
@pytest.mark.parametrize("order", ["IOHW", "MATLAB"])
def test_an_order_of_axes_that_was_found_by_numbers_laid_otherwise_is_not_kept(way, flat, order):
    """Beside the flattened errors those of the maps seem to be in another order, until the flattening is known."""
    arrays = computed("norms", None, "student", "float64", way, "usual")
    laid = flattened(case_of("norms", None), arrays, FLATTENED[flat])
    keys = [(1, "dense1", "y"), (1, "loss", "dx"), *((2, name, "dx") for name in ("dense1", "meanpool1", "conv2"))]
    answer = told({key: laid[key] for key in keys}, order)
    assert check_answer(case_of("norms", None), answer).is_right


@pytest.mark.parametrize("ties", range(3))
def test_weights_of_which_few_move_are_given_no_rule_with_numbers_of_its_own(ties):
    """Two biases that move by one size, up and down, tell one number in each step."""
    ways = [way for way in WAYS if is_done(networks()["simple"], way)]
    rights = [Right("simple", ties, "student", "float64", way, "Julia", part="weights") for way in ways]
    assert not [each for each in map(wronged, rights) if each]


def test_numbers_that_float32_takes_for_0_are_right():
    """A probability of e⁻¹⁰⁰ leaves gradients below the smallest number."""
    how = {"order": "HWCN", "printed": "f32", "part": "all", "flat": "channel, row, column"}
    assert_right([Right("features", 3, "student", "float32", "half the sum of squares", seed=19020, **how)])


BEHIND = list(itertools.product(("a sum over the batch", "errors of each image, divided in the update"), FLATTENED))


@pytest.mark.parametrize(("way", "flat"), some(BEHIND, lambda place: place in (1, 10)))
def test_what_the_rate_makes_up_for_is_seen_where_maps_are_flattened_otherwise(way, flat):
    """Both show in gradients alone, of which those of the first step are right whatever the update divides by."""
    right = Right("thorough", 0, "student", "float64", way, "usual", "f64", "gradients", 0, flat=flat)
    assert wronged(right) is None


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", NETWORKS)
def test_every_whole_answer(network):
    """10,800 over all networks."""
    assert_right([right for right in every_right() if right.network == network])


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", NETWORKS)
def test_many_parts(network):
    every = itertools.chain(partly(), *(partly(way) for way in LIKE_THE_CASE))
    assert_right(sampled([right for right in every if right.network == network], 600))


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("program", SOURCES)
def test_what_other_programs_compute(program):
    if program not in installed():
        pytest.skip(f"{program} is not installed")
    assert_right(list(of_programs([program])))
