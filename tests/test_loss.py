"""The laws of every loss: exact adjoints, compiled as exact, steady at the ends of the number range."""

import decimal
import math
from decimal import Decimal

import numpy as np
import pytest

from plaingrad.checking.laws import DIGITS, dual, value_of
from plaingrad.errors import DataError, SettingError, ShapeError
from plaingrad.network.exact import Sized, decimals, fractions
from plaingrad.network.network import LANES, Network
from plaingrad.network.run import Run
from plaingrad.textbook.layers import Conv, Flatten
from plaingrad.textbook.losses import (
    CrossEntropy,
    HalfSquaredError,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    WeightedCrossEntropy,
)

OUTPUTS, BATCH = 4, 3
SQUARED = (MeanSquaredError(), HalfSquaredError())
WEIGHTED = WeightedCrossEntropy((2.0, 0.5, 0.0, 1.25), label_smoothing=0.25, ignore=1)
LOSSES = (SoftmaxCrossEntropy(), WEIGHTED, CrossEntropy(), *SQUARED)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)
sized = np.frompyfunc(Sized.of, 1, 1)


@pytest.fixture(params=range(5), ids="seed{}".format)
def rng(request):
    return np.random.default_rng(request.param)


def alone(loss, dtype, lanes=BATCH, outputs=OUTPUTS):
    """A run of the loss alone, and the record of its arrays: Flatten of one axis hands the output on as it is."""
    run = Run(Network(Flatten(), input=(outputs,), dtype=dtype), lanes, loss)
    return run, run.records["loss"]


def run_through(run, record, x, target, weight):
    run.x[...], record["target"][...], record["share"][...] = x, target, weight
    run.forward()
    run.backward()
    return record["y"].copy(), record["dx"].copy()


def shares(rng, shape, loss):
    """Targets for a cross entropy: classes, one an image, or soft shares, some of them 0.

    They are of any sum, but for softmax cross entropy, which takes probabilities.
    """
    classes = np.eye(shape[0], dtype=int)[:, rng.integers(0, shape[0], shape[1])] * Decimal(1)
    if rng.integers(2):
        return classes
    soft = abs(decimals(rng, shape)) * rng.integers(0, 2, shape)
    return (soft + classes) / (soft + classes).sum(0) if isinstance(loss, SoftmaxCrossEntropy) else soft


def test_every_loss_is_tested():
    assert set(Loss.kinds()) == {type(loss).__name__ for loss in LOSSES}


@every_loss
def test_backward_is_the_exact_adjoint_of_forward(loss, rng):
    """For any direction v, Σ weight · (slope of y along v) is dx · v: with == in fractions, else to the digits."""
    draw = fractions if loss in SQUARED else decimals
    run, record = alone(loss, object)
    x, direction, weight = draw(rng, run.x.shape), draw(rng, run.x.shape), draw(rng, (BATCH,))
    with decimal.localcontext(prec=DIGITS):
        target = draw(rng, run.x.shape) if loss in SQUARED else shares(rng, run.x.shape, loss)
    weight[0] = 1  # or an unlucky draw of zeros would compare nothing with nothing
    if isinstance(loss, CrossEntropy):
        x = abs(x) + Decimal("0.1")  # a logarithm is taken of it
    with decimal.localcontext(prec=DIGITS):
        target = dual(target, 0) if loss == WEIGHTED else target  # fractions among its settings
        _, dx = run_through(run, record, x if loss in SQUARED else dual(x, 0), target, weight)
        y, _ = run_through(run, record, dual(x, direction), target, weight)
        pushed = sum(share * getattr(each, "slope", 0) for share, each in zip(weight, y, strict=True))
        pulled = (value_of(dx) * direction).sum()
        if loss in SQUARED:
            assert pulled == pushed
        else:  # some hundred operations on numbers from 0.1 to 1000, each right to the last of 50 digits
            assert abs(pulled - pushed) < Decimal(10) ** (10 - DIGITS)
        assert (value_of(dx) != 0).any()


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_is_exact_up_to_rounding(loss, dtype):
    """The same loops on numbers that know their value to 50 digits and their own rounding bound."""
    rng = np.random.default_rng(0)
    (compiled, arrays), (exact, twins) = alone(loss, dtype, LANES), alone(loss, object, LANES)
    shape = compiled.x.shape
    x, target, weight = rng.normal(size=shape), rng.normal(size=shape), rng.random(LANES)
    if loss not in SQUARED:
        target = np.where(rng.integers(0, 2, shape), abs(target), 0)
    if isinstance(loss, CrossEntropy):
        x = abs(x) + 0.01
    given = [array.astype(dtype) for array in (x, target, weight)]
    with decimal.localcontext(prec=DIGITS):
        found = run_through(compiled, arrays, *given)
        truth = run_through(exact, twins, *map(sized, given))
        for numbers, trues in zip(found, truth, strict=True):
            for number, true in zip(numbers.flat, trues.flat, strict=True):
                assert (true if isinstance(true, Sized) else Sized.of(true)).contains(number)
            assert numbers.any()


@every_loss
def test_an_image_is_treated_alike_in_any_lane(loss, rng):
    """Among other images and in another place, an image has the same loss and the same error, to the bit."""
    run, record = alone(loss, "float32", LANES)
    x, target, weight = (abs(rng.normal(size=shape)) for shape in (run.x.shape, run.x.shape, (LANES,)))
    order = rng.permutation(LANES)
    y, dx = run_through(run, record, x, target, weight)
    moved_y, moved_dx = run_through(run, record, x[:, order], target[:, order], weight[order])
    np.testing.assert_array_equal(moved_y, y[order])
    np.testing.assert_array_equal(moved_dx, dx[:, order])


@every_loss
def test_nests_fill_all_they_write(loss, rng):
    run, record = alone(loss, "float32", LANES)
    given = [abs(rng.normal(size=shape)) for shape in (run.x.shape, run.x.shape, (LANES,))]
    clean = run_through(run, record, *given)
    for name in record.keys() - {"x", "target", "share"}:
        record[name][...] = np.nan if record[name].dtype.kind == "f" else -7
    for first, second in zip(clean, run_through(run, record, *given), strict=True):
        np.testing.assert_array_equal(first, second)


@every_loss
def test_a_hit_is_the_class_of_the_largest_output(loss, rng):
    """On a tie, the first, as with NumPy's argmax."""
    run, record = alone(loss, "float32", LANES)
    x, labels = rng.integers(1, 4, run.x.shape), rng.integers(0, OUTPUTS, LANES)
    run_through(run, record, x, np.eye(OUTPUTS)[:, labels], 1)
    hits = x.argmax(0) == labels
    assert 0 < hits.sum() < LANES
    np.testing.assert_array_equal(record["hit"], hits)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("height", [1e4, -1e4])
@pytest.mark.parametrize("place", [0, OUTPUTS - 1])
def test_softmax_cross_entropy_stays_finite(place, height, dtype):
    """One score of ±10000 among zeros, each class meant in turn: loss and gradient have the values of the limit.

    e^-10000 is 0 in either precision, so the softmax is 1 over how many scores are at the top: exactly where that is
    one. Else it is e to the minus logarithm of 2 to 4: two units off at 1.4, so 3 in the exponential, 4 of its own and
    one of the difference make 8, more than any C library needs.
    """
    run, record = alone(SoftmaxCrossEntropy(), dtype, lanes=OUTPUTS)
    x = np.zeros((OUTPUTS, OUTPUTS))
    x[place] = height
    y, dx = run_through(run, record, x, np.eye(OUTPUTS), 1)
    top = x == x.max(0)
    softmax = (top / top.sum(0)).astype(dtype)
    allowed = np.where(top.sum(0) == 1, 0, 8 * np.finfo(dtype).eps / 2)
    assert (abs(dx - (softmax - np.eye(OUTPUTS, dtype=dtype))) <= np.where(top, allowed, 0)).all()
    expected = math.log(top[:, 0].sum()) + x.max(0) - x.diagonal()
    # one rounding of the logarithm, one of the sum, and four more, more than any C library needs for a logarithm
    np.testing.assert_allclose(y, expected, rtol=6 * np.finfo(dtype).eps / 2, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_cross_entropy_shows_what_is_not_finite(dtype):
    """A diverged run must be seen to diverge: NaN and infinity come through."""
    run, record = alone(SoftmaxCrossEntropy(), dtype, lanes=2)
    x = np.ones((OUTPUTS, 2))
    x[1] = np.nan, np.inf
    y, dx = run_through(run, record, x, np.eye(OUTPUTS, 2), 1)
    assert not np.isfinite(y).any()
    assert not np.isfinite(dx).all(0).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_of_the_impossible_is_infinite(dtype):
    """Probability 0 for the class that is meant: infinity, no exception, and the other images are not touched."""
    run, record = alone(CrossEntropy(), dtype, lanes=2)
    x = np.array([[0, 0.5], [1, 0.5], [0, 0], [0, 0]])
    y, dx = run_through(run, record, x, np.eye(OUTPUTS)[:, [0, 0]], 0.5)
    assert y.tolist() == [math.inf, np.dtype(dtype).type(math.log(2))]
    assert dx.T.tolist() == [[-math.inf, 0, 0, 0], [-1, 0, 0, 0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_cross_entropy_only_shifts_between_classes(dtype, rng):
    """Its gradient sums to 0 over the classes: what raises one lowers the others. Up to γ(3K + 18 + 4R) · 2 · share.

    With R the largest distance of a score from the top plus log K, each log p is off by at most: R roundings of the
    differences in the sum of exponentials, its K - 1 additions and 4 of each exponential, 4 log K of the logarithm,
    R of the difference and R of the result: K + 3 + 4R and less. An error of log p is one of p relative to it; 4 more
    are of the exponential. The targets, divided by their sum, have K + 1, difference and share one each on terms of
    size p and target, which both sum to 1: 2K + 10 + 4R, and some to spare. The sum itself is taken without rounding.
    """
    outputs = 10
    run, record = alone(SoftmaxCrossEntropy(), dtype, LANES, outputs)
    x, target, weight = 3 * rng.normal(size=run.x.shape), rng.random(run.x.shape), rng.random(LANES)
    _, dx = run_through(run, record, x, target / target.sum(0), weight)
    unit = np.finfo(dtype).eps / 2
    for n in range(LANES):
        reach = float(np.ptp(x[:, n])) + math.log(outputs)
        count, size = 3 * outputs + 18 + 4 * reach, 2 * record["share"][n]
        assert abs(math.fsum(dx[:, n])) <= count * unit / (1 - count * unit) * size
        assert abs(dx[:, n]).max() > 1e-3 * size  # or it would be nothing to sum up to nothing


@every_loss
def test_a_loss_takes_one_axis_of_outputs(loss):
    with pytest.raises(
        ShapeError, match=rf"^{type(loss).__name__} got \(2, 3, 4\): it takes one axis[^\n]*Flatten\(\)"
    ):
        Run(Network(Conv(2, size=1), input=(1, 3, 4)), 1, loss)


@every_loss
def test_a_loss_travels_as_json(loss):
    assert Loss.from_json(loss.to_json()) == loss


def test_an_image_that_does_not_count_is_as_if_it_were_not_there(rng):
    """Neither its label, nor a row of zeros, nor its scores change a bit of the others."""
    net = Network(Flatten(), input=(OUTPUTS,), dtype="float64")
    scores, labels = rng.normal(size=(5, OUTPUTS)), np.array([2, 1, 0, 1, 3])
    counts = labels != 1
    rows = np.eye(OUTPUTS)[labels] * counts[:, None]
    some = net.run(scores[counts], labels[counts], WEIGHTED)["loss"]
    for targets in (labels, rows):
        whole = net.run(scores, targets, WEIGHTED)["loss"]
        np.testing.assert_array_equal(whole.dx[counts], some.dx)
        np.testing.assert_array_equal(whole.y[counts], some.y)
        assert not whole.dx[~counts].any()
        assert not whole.y[~counts].any()
        assert not whole.hit[~counts].any()


def test_the_mean_divides_by_the_weights_of_the_targets_that_count():
    labels = np.array([0, 0, 1, 3, 2])
    assert WEIGHTED.count(labels) == 2.0 + 2.0 + 1.25 + 0.0
    assert WEIGHTED.count(np.eye(OUTPUTS)[labels]) == 2.0 + 2.0 + 0.5 + 1.25 + 0.0  # a row says what counts by itself
    assert WeightedCrossEntropy(label_smoothing=0.5).count(labels) == len(labels)
    assert SoftmaxCrossEntropy().count(labels) == len(labels)


@pytest.mark.parametrize("labels", [[1, 1], [2, 2]], ids=["ignored", "of weight 0"])
def test_a_run_in_which_no_image_counts_is_refused(labels):
    net = Network(Flatten(), input=(OUTPUTS,))
    with pytest.raises(DataError, match=r"^a run got targets of which none counts; WeightedCross[^\n]* needs a class"):
        net.run(np.ones((2, OUTPUTS)), np.array(labels), WEIGHTED)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"class_weights": (1.0, -1.0)}, "none below 0"),
        ({"class_weights": (0.0, 0.0)}, "not all 0"),
        ({"class_weights": ()}, "a number for each class"),
        ({"class_weights": (1.0, math.nan)}, "finite number"),
        ({"class_weights": 2.0}, "a list, of which each is a finite number"),
        ({"class_weights": ((1.0,), (2.0,))}, "a list, of which each is a finite number"),
        ({"label_smoothing": 1.5}, "from 0 to 1"),
        ({"label_smoothing": -0.1}, "from 0 to 1"),
        ({"ignore": 1.5}, "a whole number"),
        ({"ignore_index": 1}, "ignore"),
        ({"weight": (1.0, 2.0)}, "class_weights"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_in_a_line(settings, words):
    with pytest.raises(SettingError, match=rf"^WeightedCrossEntropy got [^\n]*{words}[^\n]*$"):
        WeightedCrossEntropy(**settings)


def test_class_weights_are_taken_from_lists_and_arrays_and_shown_in_full():
    for weights in ([1.0, 1.0], np.ones(2), np.ones(2, np.float32), (1.0, 1.0)):
        assert repr(WeightedCrossEntropy(weights)) == "WeightedCrossEntropy(class_weights=(1.0, 1.0))"
    with pytest.raises(ShapeError, match=r"^WeightedCrossEntropy got 2 class weights for 4 outputs[^\n]*$"):
        Run(Network(Flatten(), input=(4,)), 1, WeightedCrossEntropy((1.0, 2.0)))


def test_a_label_that_is_no_class_and_not_ignored_is_refused():
    net = Network(Flatten(), input=(OUTPUTS,))
    for label, loss in ((-100, SoftmaxCrossEntropy()), (-1, WEIGHTED), (OUTPUTS, WEIGHTED), (-100, WEIGHTED)):
        with pytest.raises(DataError, match=r"^a run got a label outside 0 to 3[^\n]*$"):
            net.run(np.ones((1, OUTPUTS)), np.array([label]), loss)
    with pytest.raises(DataError, match=r"^WeightedCrossEntropy got targets of image 1 that sum to 3[^\n]*$"):
        net.run(np.ones((2, OUTPUTS)), np.array([[0, 0, 0, 0], [1, 2, 0, 0]]), WEIGHTED)
