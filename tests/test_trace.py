"""Traced numbers: what the loops do to plain ones they do to these, and narrowed loops tell the same of one number."""

import dataclasses
import itertools
import math
import operator

import numpy as np
import pytest

from around import LOSSES, images_for, network_around, run_around, targets_for
from cases import CASES
from plaingrad import trace
from plaingrad.explaining import tracer_of
from plaingrad.layers import Conv, MaxPool, ReLU, Sigmoid, Softmax
from plaingrad.loops import Bound, as_written, exp, has_numba, log, loops, sqrt, tanh
from plaingrad.loss import CrossEntropy, HalfSquaredError, SoftmaxCrossEntropy
from plaingrad.run import Run
from plaingrad.trace import CELL, NAMED, NUMBER, Behind, Given, Made, Span, Traced, lift, narrow_range, run_traced

SETTINGS = [(layer, shape, count) for layer, shape in CASES for count in (1, 3)]
DRAWN = [
    pytest.param(*setting, seed, marks=[] if seed == 0 and at % 4 != 2 else pytest.mark.exhaustive)
    for seed in range(3)
    for at, setting in enumerate(SETTINGS)
]


def bits(array):
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


# ------------------------------------------------------------------------------------- compiled as written


def as_python(call):
    """The same call, run as Python."""
    return dataclasses.replace(call, nest=Bound(call.nest.plain, call.nest.constants))


def both_ways(net, loss, count, seed):
    """The records of a run of nests compiled as written, and of the same nests run as Python."""
    images, targets = images_for(net, count, seed), targets_for(loss, count, seed)
    for change in (lambda call: call, as_python):
        with as_written():
            run = Run(net, count, loss, input_gradient=True)
        for calls in (run.forward_calls, run.loss_calls, run.backward_calls):
            calls[:] = map(change, calls)
        assert {bool(call.nest.address) for call in run.forward_calls} == {change is not as_python and has_numba()}
        run.load(images)
        run.forward()
        run.aim(targets)
        run.backward()
        yield run


def assert_same_numbers(first, second):
    for layer, record in first.records.items():
        for name, array in record.items():
            other = second.records[layer][name]
            np.testing.assert_array_equal(bits(array), bits(other), err_msg=f"{layer}.{name}")


@pytest.mark.parametrize(("layer", "shape", "count", "seed"), DRAWN, ids=str)
def test_compiled_as_written_loops_have_the_bits_of_python(layer, shape, count, seed):
    """Two layers of it where it fits on itself: each error that goes back is then one of many terms."""
    net = network_around(layer, shape, behind=(Sigmoid(),) if seed else (), seed=seed)
    assert_same_numbers(*both_ways(net, HalfSquaredError(), count, seed))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_so_have_those_of_every_loss(loss, count):
    last = (Softmax(),) if isinstance(loss, CrossEntropy) else ()
    net = network_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), last=last)
    assert_same_numbers(*both_ways(net, loss, count, seed=4))


def test_the_bits_are_those_of_what_is_written_and_of_nothing_faster():
    """Compiled with the usual freedoms the same numbers differ: the law above can fail."""
    if not has_numba():
        pytest.skip("nothing is compiled")
    net = network_around(Conv(5, size=3, padding=1), (3, 6, 7))
    images, targets = images_for(net, 2), targets_for(HalfSquaredError(), 2)
    runs = [net.run(images, targets, HalfSquaredError())]
    with as_written():
        runs.append(net.run(images, targets, HalfSquaredError()))
    assert (bits(runs[0]["conv1"].y) != bits(runs[1]["conv1"].y)).any()
    np.testing.assert_allclose(runs[0]["conv1"].y, runs[1]["conv1"].y, rtol=1e-9, atol=1e-12)


# --------------------------------------------------------------------------------------- narrowed and whole


def shape_of(node):
    """An expression from left to right, each number with its value and what chose it."""
    stack, told = [node], []
    while stack:
        each = stack.pop()
        held = each.left if each.op in (CELL, NAMED) else None
        told.append((each.op, held, each.value if each.value == each.value else "NaN"))
        if each.op not in (CELL, NUMBER, NAMED):
            stack += [part for part in (each.right, each.left) if part is not None]
    return told


def reasons_of(node):
    return [(shape_of(each.left), each.sign, shape_of(each.right), each.outcome) for each in node.why]


def same(value, other):
    return value == other or (value != value and other != other)


def assert_narrowed_tells_the_whole(run):
    tracer = tracer_of(run)
    made = [sheet for sheet in tracer.twin.in_order if not tracer.is_given(sheet)]
    assert {sheet.quantity for sheet in made} >= {"y", "dy", "dx", "dw", "db"}
    for sheet in made:
        whole = tracer.whole(sheet)
        for cell in range(sheet.start, sheet.stop):
            place, name = sheet.place(cell), tracer.twin.name(cell)
            narrow = tracer.trace(sheet.array, place)[place]
            assert narrow is not None, f"{name}: narrowed loops do not lead to it"
            assert shape_of(narrow) == shape_of(whole[place]), name
            assert reasons_of(narrow) == reasons_of(whole[place]), name
            assert len(narrow.reasons) == len(whole[place].reasons), name
            if sheet.is_made:
                assert same(narrow.value, sheet.array[place].item()), name
            assert shape_of(tracer.number(cell)) == shape_of(narrow), name


@pytest.mark.parametrize(("layer", "shape", "count", "seed"), DRAWN, ids=str)
def test_narrowed_loops_tell_the_same_as_the_whole(layer, shape, count, seed):
    assert_narrowed_tells_the_whole(run_around(layer, shape, count, behind=(Sigmoid(),) if seed else (), seed=seed))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_so_do_those_of_every_loss(loss, count):
    assert_narrowed_tells_the_whole(run_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), count, loss=loss))


def test_narrowed_loops_do_only_what_leads_to_the_number():
    run = run_around(Conv(4, size=3, padding=1), (3, 6, 6), loss=SoftmaxCrossEntropy())
    tracer = tracer_of(run)
    before, counted = Traced.__mul__, []
    try:
        Traced.__mul__ = lambda self, other: counted.append(1) or before(self, other)
        tracer.number(tracer.twin.cell("conv1.y[2,3,3]"))
    finally:
        Traced.__mul__ = before
    terms = 3 * 3 * 3
    assert terms <= len(counted) <= 6 * terms  # a row of the filter at most, and never the map


# --------------------------------------------------------------------------------------------- the numbers


def cell(value, number=0):
    return Traced(value, CELL, number)


VALUES = [0.0, -0.0, 1.0, -2.5, 1e300, -1e-300, math.inf, -math.inf, math.nan, 3]


SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


@pytest.mark.parametrize("sign", SIGNS)
def test_arithmetic_is_that_of_machine_numbers(sign):
    for left, right in itertools.product(VALUES, VALUES):
        with np.errstate(all="ignore"):
            known = SIGNS[sign](np.float64(left), np.float64(right))
        for one, two in ((cell(left), cell(right)), (left, cell(right)), (cell(left), right)):
            made = SIGNS[sign](one, two).value
            assert same(made, known), (left, right)
            if known == 0 and sign in "*/" and 3 not in (left, right):  # a whole number has no zero below zero
                assert math.copysign(1, made) == math.copysign(1, known), (left, right)


@pytest.mark.parametrize("value", [0.5, 2.0, 0.0, 710.0, math.inf, math.nan])
def test_functions_are_those_of_numbers(value):
    for function in (exp, log, sqrt, tanh):
        assert same(function(cell(value)).value, function(value))
        assert function(cell(value)).op == function.__name__
    assert (-cell(value)).op == "neg"


def test_comparisons_are_those_of_numbers_and_are_kept():
    before, Traced.compared = Traced.compared, []
    try:
        for left in VALUES:
            for right in VALUES:
                one, two = cell(left), cell(right)
                asked = [one > two, one <= two, one == two, one != two]
                assert asked == [left > right, left <= right, left == right, left != right]
                assert [each.outcome for each in Traced.compared] == asked
                truths = {each.sign: each.truth for each in Traced.compared}
                assert [truths[sign] == sign for sign in (">", "<=", "==", "!=")] == asked
                Traced.compared = []
        nan = cell(math.nan)
        assert nan != nan
        assert Traced.compared == []  # that a number is itself says nothing
    finally:
        Traced.compared = before


def test_numpy_numbers_and_plain_ones_are_lifted():
    assert (type(lift(np.int64(3)).value), lift(np.float64(0.5)).value, lift(2).op) == (int, 0.5, NUMBER)
    made = np.float64(2.0) * cell(3.0, 7)
    assert (made.op, made.value, made.cells()) == ("*", 6.0, [7])
    assert (2 - cell(3.0)).value == -1
    assert (1 / cell(4.0)).value == 0.25
    assert [each.op for each in (0 + cell(1.0), cell(1.0) + 0)] == [CELL, CELL]  # where a sum begins
    assert sum([cell(1.0, 1), cell(2.0, 2)]).cells() == [1, 2]


def test_the_cells_of_an_expression_come_in_reading_order():
    made = (cell(1.0, 4) * cell(2.0, 2) - cell(3.0, 9)) / (cell(5.0, 4) + cell(1.0, 1))
    assert made.cells() == [4, 2, 9, 4, 1]
    assert len(list(made.nodes())) == 9


@pytest.mark.parametrize("bounds", [(7,), (2, 7), (0, 12, 3), (1, 11, 4), (0,)])
@pytest.mark.parametrize("only", [None, 0, 1, 5, 6, 9])
def test_a_narrowed_range_holds_the_part_with_the_place_wanted(bounds, only):
    *first, last = bounds if len(bounds) < 3 else bounds[:2]
    step = bounds[2:]
    given = (*first, Span(last, only), *step)
    kept = list(narrow_range(*given))
    every = list(range(*bounds))
    if only is None:
        assert kept == every
    else:
        wide = step[0] if step else 1
        assert kept == [each for each in every if each <= only < each + wide]
        assert len(kept) == (only in range(*bounds[:2]) if len(bounds) > 1 else only < bounds[0])


def test_a_span_is_its_length_and_is_shared_out():
    span = Span(12, 7)
    assert (span, span // 4, (span // 4).only, Span(12).only, (Span(12) // 4).only) == (12, 3, 1, None, None)
    assert type(span + 1) is int  # it is then another axis, and nothing of it is left out


def test_what_is_written_and_read():
    made = Made((2, 3), (1, None), None)
    assert [tuple(made.shape), made.shape[0].only, made.shape[1].only, made.size.only] == [(2, 3), 1, None, None]
    made[1, 2] = 4
    assert (made[1, 2].value, made.made[1, 2].op) == (4, NUMBER)
    assert math.isnan(made[0, 0].value)  # left out, so it leads nowhere
    with pytest.raises(TypeError, match="number by number"):
        made[1]
    row = Made((2, 3), (1, 2), None).reshape(6)
    assert (row.size, row.size.only) == (6, 5)
    given = Given(np.arange(6.0).reshape(2, 3), np.arange(10, 16).reshape(2, 3))
    assert [given[1, 2].left, given[1][2].left, given.reshape(6)[5].left, given[0, 1].value] == [15, 15, 15, 1.0]
    assert Given(np.arange(3), None)[1].op is NUMBER


def test_a_row_behind_is_traced_once():
    asked = []

    def traced(only):
        asked.append(only)
        made = np.empty((2, 3), object)
        made[only[0]] = [cell(float(n), n) for n in range(3)]
        return made

    behind = Behind((2, 3), traced)
    assert [behind[1, n].left for n in (2, 0, 2)] == [2, 0, 2]
    assert asked == [(1, None)]
    assert [each.left for each in behind.reshape(6)] == [0, 1, 2, 0, 1, 2]
    assert asked == [(1, None), (0, None)]


@loops
def failing(x, y):
    for n in range(x.shape[0]):
        if x[n] > 0:
            y[n] = x[n]
    raise RuntimeError("in the middle")


def test_a_nest_that_fails_leaves_no_comparisons_behind():
    kept = Traced.compared
    x = Given(np.ones(2), np.arange(2))
    with pytest.raises(RuntimeError, match="in the middle"):
        run_traced(failing.plain, {"x": x, "y": Made((2,), (None,), None)}, {}, None)
    assert Traced.compared is kept
    assert failing.plain.__globals__.get("range") is not trace.narrow_range


def test_an_image_with_nothing_but_equal_pixels_says_who_was_asked():
    run = run_around(MaxPool(2), (1, 4, 4))
    run.x[...] = 1
    run.forward()
    run.backward()
    assert_narrowed_tells_the_whole(run)
    assert run.explain("maxpool1.winner[0,1,1]").value == 10
