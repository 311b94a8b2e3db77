"""Traced numbers: texts do to them what they do to plain ones, and a narrowed text tells the same of one number."""

import itertools
import math
import operator

import numpy as np
import pytest

from around import LOSSES, images_for, network_around, run_around, targets_for
from cases import CASES
from often import some
from plaingrad import Layer
from plaingrad.compiler.loops import as_written, exp, has_numba, log, sqrt, tanh
from plaingrad.explaining import tracer_of
from plaingrad.explaining.traced_numbers import CELL, NAMED, NUMBER, Choices, Given, Made, Traced, lift, run_traced
from plaingrad.network.run import Run
from plaingrad.schedule.narrow import leading_to
from plaingrad.schedule.open import axes_of, opened
from plaingrad.schedule.tree import fills, needed
from plaingrad.schedule.tree import function_of as tree_of_function
from plaingrad.textbook.layers import Conv, Dense, L2Pool, LeakyReLU, MaxPool, MeanPool, ReLU, Sigmoid, Softmax
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD, Adam, AdamW
from plaingrad.textbook.text import Text, places

SETTINGS = [(layer, shape, count) for layer, shape in CASES for count in (1, 3)]


def drawn(seed, at):
    """On every change some of the settings; with other numbers and the rest of the settings more rarely."""
    if seed or at % 4 == 2:
        return pytest.mark.exhaustive
    return [pytest.mark.long] * (at % 16 not in (0, 5, 11))


DRAWN = [pytest.param(*each, seed, marks=drawn(seed, at)) for seed in range(3) for at, each in enumerate(SETTINGS)]


def bits(array):
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


# ------------------------------------------------------------------------------------- compiled as written


def both_ways(net, loss, count, seed):
    """The records of a run of texts compiled as they stand, and of the same texts run as Python."""
    images, targets = images_for(net, count, seed), targets_for(loss, count, seed)
    for python in (False, True):
        run = Run(net, count, loss, input_gradient=True, as_written=lambda work, python=python: python)
        calls = run.forward_calls + run.backward_calls
        assert {bool(call.nest.address) for call in calls} == {not python and has_numba()}
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
def test_texts_compiled_as_they_stand_have_the_bits_of_python(layer, shape, count, seed):
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
    runs = [net.run(images, targets, HalfSquaredError()), next(both_ways(net, HalfSquaredError(), 2, 0))]
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
    made = [sheet for sheet in tracer.twin.in_order if sheet.name in tracer.makings]
    assert {sheet.quantity for sheet in made} >= {"y", "dy", "dx", "dw", "db"}
    for sheet in made:
        whole = tracer.whole(sheet)
        for cell in range(sheet.start, sheet.stop):
            place, name = sheet.place(cell), tracer.twin.name(cell)
            narrow = tracer.trace(sheet, place)
            assert narrow is not None, f"{name}: the narrowed text does not lead to it"
            assert shape_of(narrow) == shape_of(whole[place]), name
            assert reasons_of(narrow) == reasons_of(whole[place]), name
            assert len(narrow.reasons) == len(whole[place].reasons), name
            assert same(narrow.value, sheet.array[place].item()), name
            assert shape_of(tracer.number(cell)) == shape_of(narrow), name


APART = [  # windows that leave pixels between them out, and groups with all that windows can have
    (Conv(2, size=2, stride=3), (2, 6, 7)),
    (Conv(2, size=(1, 2), stride=(3, 4), padding=1, dilation=2), (2, 5, 7)),
    (Conv(4, size=(2, 1), stride=3, groups=2, activation=LeakyReLU(0.25), bias=False), (4, 5, 4)),
    (MaxPool(size=2, stride=3), (2, 6, 7)),
    (MaxPool(size=(1, 2), stride=(2, 3), padding=(0, 1)), (2, 5, 7)),
    (MeanPool(size=2, stride=(3, 4), padding=1), (2, 6, 7)),
    (L2Pool(size=(2, 1), stride=3), (2, 6, 7)),
]
APART_OFTEN = some([(*each, count) for each in APART for count in (1, 3)], lambda place: place % 4 == 0)


@pytest.mark.parametrize(("layer", "shape", "count"), APART_OFTEN, ids=str)
def test_so_it_does_where_windows_lie_apart_and_in_groups(layer, shape, count):
    assert_narrowed_tells_the_whole(run_around(layer, shape, count))


@pytest.mark.parametrize(("layer", "shape", "count", "seed"), DRAWN, ids=str)
@pytest.mark.often(3)
def test_a_narrowed_text_tells_the_same_as_the_whole(layer, shape, count, seed):
    assert_narrowed_tells_the_whole(run_around(layer, shape, count, behind=(Sigmoid(),) if seed else (), seed=seed))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.often(2)
def test_so_does_that_of_every_loss(loss, count):
    assert_narrowed_tells_the_whole(run_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), count, loss=loss))


@pytest.mark.parametrize(
    "optimiser", [SGD(), SGD(nesterov=True, decay=0.125), Adam(decay=0.01), AdamW(decay=0.25)], ids=str
)
def test_so_does_that_of_every_optimiser(optimiser):
    text, rng = optimiser.update, np.random.default_rng(0)
    names = ("w", "dw", *optimiser.slots)
    arrays = {name: rng.random(5) for name in names}
    known = {**optimiser.numbers(3, 0.5), "adam": optimiser, **arrays}

    def run(name, place):
        """The array of this name after the step, traced: by the whole text, or by what leads to one place."""
        of_one = opened(text, axes_of(known), name)
        only = {} if place is None else leading_to(of_one, place, known)
        traced = {}
        for number, (each, values) in enumerate(arrays.items()):
            traced[each] = given = Made(values.shape, place if each == name else None)
            given.made[:] = [Traced(value.item(), CELL, 5 * number + at) for at, value in enumerate(values)]
        run_traced(of_one.function, {**of_one.given({**known, **traced}), "only": Choices(only)})
        return traced[name].made

    numbers = {name: each.copy() for name, each in arrays.items()}
    text(**{each: (known | numbers)[each] for each in text.arguments})
    for name in fills(text):
        whole = run(name, None)
        for n in range(5):
            narrow = run(name, (n,))
            assert shape_of(narrow[n]) == shape_of(whole[n])
            assert narrow[n].value == numbers[name][n]
            assert [narrow[m].op for m in range(5) if m != n] == [CELL] * 4  # and nothing else is done


def test_a_narrowed_text_does_only_what_leads_to_the_number():
    run = run_around(Conv(4, size=3, padding=1), (3, 6, 6), loss=SoftmaxCrossEntropy())
    tracer = tracer_of(run)
    before, counted = Traced.__mul__, []
    try:
        Traced.__mul__ = lambda self, other: counted.append(1) or before(self, other)
        for name, terms in (
            ("conv1.y[2,3,3]", 3 * 3 * 3),
            ("conv1.dw[1,2,0,0]", 5 * 5),
            ("conv1.dx[0,5,5]", 4 * 2 * 2),
        ):
            counted.clear()
            tracer.number(tracer.twin.cell(name))
            assert len(counted) == terms, name
    finally:
        Traced.__mul__ = before


# ---------------------------------------------------------------------------------- what was compared for what


def told_of(run, name):
    """The comparisons kept with a number: what was compared, and whether it held."""
    tracer = tracer_of(run)
    number = tracer.number(tracer.twin.cell(name))
    return [([tracer.twin.name(each) for each in one.left.cells()], one.sign, one.outcome) for one in number.why]


def test_a_comparison_stays_with_the_number_that_was_written_next():
    """Of each pixel the windows that hold it were asked, and no other, also where they let nothing through."""
    run = run_around(MaxPool(2, stride=1), (1, 3, 3), 2)
    for n, i, j in np.ndindex(2, 3, 3):
        windows = [(p, q) for p in (i - 1, i) for q in (j - 1, j) if 0 <= p < 2 and 0 <= q < 2]
        winner = run["maxpool1"].winner
        told = [([f"maxpool1.winner[{n},0,{p},{q}]"], "==", winner[n, 0, p, q] == 3 * i + j) for p, q in windows]
        assert told_of(run, f"maxpool1.dx[{n},0,{i},{j}]") == told


def test_what_found_the_largest_score_stays_with_all_that_rests_on_it_and_not_with_the_next_image():
    run = run_around(Dense(4), (3,), 2, loss=CrossEntropy())
    for n, k in np.ndindex(2, 3):
        asked = {cell for cells, _, _ in told_of(run, f"softmax1.y[{n},{k}]") for cell in cells}
        assert {f"dense2.y[{n},1]", f"dense2.y[{n},2]"} <= asked <= {f"dense2.y[{n},{m}]" for m in range(3)}
        assert told_of(run, f"softmax1.dx[{n},{k}]") == []


def test_a_fused_activation_asks_for_its_own_sum_only():
    run = run_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), 2)
    for n, k, i, j in np.ndindex(2, 2, 2, 3):
        at = f"[{n},{k},{i},{j}]"
        assert told_of(run, f"conv1.y{at}") == [([f"conv1.z{at}"], "<=", run["conv1.y"][n, k, i, j] <= 0)]
        assert told_of(run, f"conv1.dz{at}") == [([f"conv1.y{at}"], "<=", run["conv1.y"][n, k, i, j] <= 0)]
        assert told_of(run, f"conv1.z{at}") == []


# ------------------------------------------------------------------------------------- texts of one's own


def halves_forward(x, y):
    for n in range(y.shape[0]):
        for k in places(y[n]):
            y[n, k] = 0
        i = 0
        while i < x.shape[1]:
            r = i // 2
            for m in range(2):
                if x[n, i] > m:
                    y[n, r] += x[n, i]
            i += 1


def halves_backward(dy, x, dx):
    for n in range(dx.shape[0]):
        i = 0
        while i < dx.shape[1]:
            dx[n, i] = 0
            for m in range(2):
                dx[n, i] += dy[n, i // 2] if x[n, i] > m else 0
            i = i + 1


class Halves(Layer):
    """Neighbours added up, once above 0 and once more above 1: with loops that count by themselves."""

    forward, backward = halves_forward, halves_backward

    def output(self, x):
        return ((x[0] + 1) // 2,)


@pytest.mark.filterwarnings("ignore:halves_:UserWarning")
@pytest.mark.parametrize("count", [1, 3])
def test_loops_that_count_by_themselves_are_laid_open_and_traced(count):
    with as_written():
        run = run_around(Halves(), (5,), count)
    assert_same_numbers(*both_ways(run.net, HalfSquaredError(), count, 0))
    tracer, seen = tracer_of(run), 0
    for sheet in (each for each in tracer.twin.in_order if each.layer == "halves1"):
        for cell in range(sheet.start, sheet.stop):
            if not tracer.is_given(sheet):
                assert tracer.number(cell).value == tracer.twin.value(cell)
                seen += 1
    assert seen == count * (3 + 3 + 5)


def shares_forward(x, y):
    for n, k in places(y):
        y[n, k] = x[n, k] * x[n, k]
    for n, k in places(y):
        y[n, k] = y[n, k] / sum(x[n, m] * x[n, m] for m in places(y[n]))


def kept_forward(x, z, y):
    for n in range(x.shape[0]):
        before = 0
        for k in places(x[n]):
            y[n, k] = x[n, k] + before
            before = z[n, k]


def test_what_a_number_needs_is_kept_when_it_is_narrowed():
    tree = tree_of_function(Text(kept_forward))
    assert needed(tree, "y") == {"y"}  # z is read, and no text of this one fills it
    source = Text(kept_forward).source.replace("y[n, k] = x", "z[n, k] = x[n, k]\n            y[n, k] = x")
    assert needed(tree_of_function(made_from(source)), "y") == {"y", "z"}  # by way of a name, one turn later


def made_from(source):
    from plaingrad.textbook.text import made

    return Text(made(source, {"places": places}, source.partition("(")[0].removeprefix("def ")))


def test_a_part_of_what_is_being_filled_can_be_read():
    x = np.array([[1.0, 2.0, 3.0]])
    made = Made((1, 3))
    run_traced(shares_forward, {"x": Given(x, np.arange(3).reshape(1, 3)), "y": made})
    assert [each.value for each in made.made[0]] == [1 / 14, 4 / 14, 9 / 14]
    assert [each.value for each in made[0]] == [1 / 14, 4 / 14, 9 / 14]


@pytest.mark.parametrize("index", ["n, k // 2", "n, k % 2", "n, len(x)", "n, k ** 2"])
def test_an_index_that_is_no_sum_of_letters_is_not_solved(index):
    text = made_from(f"def odd(x, y):\n    for n, k in places(x):\n        y[{index}] = x[n, k]\n")
    x, y = np.zeros((2, 5)), np.zeros((2, 9))
    only = leading_to(opened(text, axes_of({"x": x, "y": y}), "y"), (1, 1), {"x": x, "y": y})
    known = {"n, k // 2": {"n": [1], "k": [2, 3]}, "n, k % 2": {"n": [1], "k": [1, 3]}}
    assert only == known.get(index)


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


def test_what_is_written_and_read():
    made = Made((2, 3), (1, 2))
    assert (made.shape, made.ndim) == ((2, 3), 2)
    made[:] = 0
    assert [each is not None for each in made.made.reshape(-1)] == [False] * 5 + [True]  # of the place wanted alone
    made[1, 2] = 4
    assert (made[1, 2].value, made.made[1, 2].op) == (4, NUMBER)
    assert math.isnan(made[0, 0].value)  # left out, so it leads nowhere
    whole = Made((2,), None, Given(np.array([3.0, 5.0]), np.array([20, 21])))
    whole[:] = 0
    assert [each.value for each in whole] == [0, 0]
    whole[0] = cell(1.0) + cell(2.0)
    whole[1] = cell(1.0) + cell(2.0)
    assert [each.op for each in whole] == [CELL, "+"]  # only what is final is the cell
    given = Given(np.arange(6.0).reshape(2, 3), np.arange(10, 16).reshape(2, 3))
    assert [given[1, 2].left, given[1][2].left, given[0, 1].value] == [15, 15, 1.0]
    assert [each.left for each in given[1]] == [13, 14, 15]
    assert Given(np.arange(3), None)[1].op is NUMBER


def failing(x, y):
    for n in range(x.shape[0]):
        if x[n] > 0:
            y[n] = x[n]
    raise RuntimeError("in the middle")


def test_a_text_that_fails_leaves_no_comparisons_behind():
    kept = Traced.compared
    x = Given(np.ones(2), np.arange(2))
    with pytest.raises(RuntimeError, match="in the middle"):
        run_traced(failing, {"x": x, "y": Made((2,))})
    assert Traced.compared is kept


def test_an_image_with_nothing_but_equal_pixels_says_who_was_asked():
    run = run_around(MaxPool(2), (1, 4, 4))
    run.x[...] = 1
    run.forward()
    run.backward()
    assert_narrowed_tells_the_whole(run)
    assert run.explain("maxpool1.winner[0,1,1]").value == 10
