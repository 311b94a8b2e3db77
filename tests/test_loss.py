"""The laws of every loss: exact adjoints, compiled as exact, steady at the ends of the number range."""

import decimal
import math
from decimal import Decimal

import numpy as np
import pytest

from plaingrad.errors import ShapeError
from plaingrad.exact import Sized, decimals, fractions
from plaingrad.laws import DIGITS, dual, value_of
from plaingrad.layers import Conv, Flatten
from plaingrad.loss import CrossEntropy, HalfSquaredError, Loss, MeanSquaredError, SoftmaxCrossEntropy
from plaingrad.network import LANES, Network
from plaingrad.run import Run

OUTPUTS, BATCH = 4, 3
SQUARED = (MeanSquaredError(), HalfSquaredError())
LOSSES = (SoftmaxCrossEntropy(), CrossEntropy(), *SQUARED)
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
    run.x[...], record["target"][...], record["weight"][...] = x, target, weight
    run.forward()
    run.backward()
    return record["y"].copy(), record["dx"].copy()


def shares(rng, shape):
    """Targets for a cross entropy: classes, one an image, or soft shares, some of them 0 and not of sum 1."""
    if rng.integers(2):
        return np.eye(shape[0], dtype=int)[:, rng.integers(0, shape[0], shape[1])].astype(object)
    return abs(decimals(rng, shape)) * rng.integers(0, 2, shape)


def test_every_loss_is_tested():
    assert set(Loss.kinds()) == {type(loss).__name__ for loss in LOSSES}


@every_loss
def test_backward_is_the_exact_adjoint_of_forward(loss, rng):
    """For any direction v, Σ weight · (slope of y along v) is dx · v: with == in fractions, else to the digits."""
    draw = fractions if loss in SQUARED else decimals
    run, record = alone(loss, object)
    x, direction, weight = draw(rng, run.x.shape), draw(rng, run.x.shape), draw(rng, (BATCH,))
    target = draw(rng, run.x.shape) if loss in SQUARED else shares(rng, run.x.shape)
    weight[0] = 1  # or an unlucky draw of zeros would compare nothing with nothing
    if isinstance(loss, CrossEntropy):
        x = abs(x) + Decimal("0.1")  # a logarithm is taken of it
    with decimal.localcontext(prec=DIGITS):
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
    for name in record.keys() - {"x", "target", "weight"}:
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

    e^-10000 is 0 in either precision, so the softmax is exactly 1 over how many scores are at the top.
    """
    run, record = alone(SoftmaxCrossEntropy(), dtype, lanes=OUTPUTS)
    x = np.zeros((OUTPUTS, OUTPUTS))
    x[place] = height
    y, dx = run_through(run, record, x, np.eye(OUTPUTS), 1)
    top = x == x.max(0)
    softmax = (top / top.sum(0)).astype(dtype)
    np.testing.assert_array_equal(dx, softmax - np.eye(OUTPUTS, dtype=dtype))
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
    """Its gradient sums to 0 over the classes: what raises one lowers the others. Up to γ(2K + 3) · 2 · mass · weight.

    K numerators e add up to `total` in K - 1 roundings and are divided by it in one, so the computed softmaxes sum to 1
    within γ(K). The mass takes K - 1 roundings; product, difference and weight one each, on terms of size p · mass and
    target, both of which sum to the mass: K + (K - 1) + 3 and one to spare. The sum itself is taken without rounding.
    """
    outputs, count = 10, 2 * 10 + 3
    run, record = alone(SoftmaxCrossEntropy(), dtype, LANES, outputs)
    x, target, weight = 3 * rng.normal(size=run.x.shape), rng.random(run.x.shape), rng.random(LANES)
    _, dx = run_through(run, record, x, target, weight)
    unit = np.finfo(dtype).eps / 2
    for n in range(LANES):
        size = 2 * math.fsum(record["target"][:, n]) * record["weight"][n]
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
