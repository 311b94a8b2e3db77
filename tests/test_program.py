"""Programs do what their calls do one by one, whatever the kind of arguments, and whatever fails."""

from fractions import Fraction

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.compiler.loops import has_numba, loops
from plaingrad.compiler.native_call import WORDS, words
from plaingrad.compiler.program import Program
from plaingrad.network.run import Run
from plaingrad.textbook.layer import bind
from test_loops import python

pytestmark = pytest.mark.skipif(not has_numba(), reason="without Numba nothing is compiled")
RNG = np.random.default_rng(0)


@loops
def stir(x, y, times):
    for _ in range(times):
        for n in range(y.size):
            y[n] = x[n] - y[n] * y[n]


@loops
def refuse(x, y):
    for n in range(y.size):
        if x[n] <= 0:
            raise ValueError("a number is not above zero")
        y[n] += x[n]


def stirring(times=1, size=33, count=1):
    """Two programs that are alike, on arrays of their own. The map is chaotic: a pass too many or too few shows."""
    x, y = RNG.uniform(1.5, 2, size), RNG.uniform(-1, 1, (count, size))
    both = ([{"x": x, "y": each.copy(), "times": times} for each in y] for _ in range(2))
    return tuple(Program([bind(stir, "test", known) for known in each]) for each in both)


def check_alike(programs, twins):
    for program, twin in zip(programs, twins, strict=True):
        for call, other in zip(program.calls, twin.calls, strict=True):
            np.testing.assert_array_equal(call.given[1], other.given[1])


def refusing(*x):
    x = np.array(x, float)
    return Program([bind(refuse, "test", {"x": x, "y": np.zeros_like(x)})])


@pytest.mark.parametrize("backward", [True, False])
def test_a_program_gives_the_bits_of_its_calls_made_one_by_one(backward):
    layers = pg.Conv(3, size=3, padding=1, activation=pg.LeakyReLU(0.1)), pg.MaxPool(2), pg.Tanh(), pg.Flatten()
    net = pg.Network(*layers, pg.Dense(4), input=(2, 5, 6))
    images, labels = RNG.normal(size=(9, 2, 5, 6)), RNG.integers(0, 4, 9)
    one, two = (Run(net, 8, pg.SoftmaxCrossEntropy(), backward=backward) for _ in range(2))
    for run in (one, two):
        run.index[:], run.batch_share[0] = [3, 8, 0, 3, 5, 7, -1, -1], 1 / 6
    program = one.program(images, labels, backward)
    assert program.is_compiled
    program()
    for call in two.program(images, labels, backward).calls:
        call()
    for layer, record in one.records.items():
        for name, array in record.items():
            np.testing.assert_array_equal(array, two.records[layer][name], err_msg=f"{layer}.{name}")
    np.testing.assert_array_equal(one.gradient, two.gradient)
    assert one.records["loss"]["y"].any()
    assert one.gradient.any() == backward


@pytest.mark.parametrize("exact", [False, True], ids=["compiled", "plain"])
def test_give_replaces_the_first_argument_of_one_call(exact):
    def row():
        numbers = RNG.integers(-4, 5, 5)
        return np.array([Fraction(int(n)) for n in numbers], object) if exact else numbers.astype(float)

    x, new_x, first, second = (row() for _ in range(4))
    program = Program([bind(stir, "test", {"x": x, "y": y, "times": 1}) for y in (first, second)])
    assert program.is_compiled == (not exact)
    expected = x - first * first, new_x - second * second  # whole numbers: nothing rounds
    program.give(new_x, 1)
    program()
    for array, meant in zip((first, second), expected, strict=True):
        np.testing.assert_array_equal(array, meant)
    assert program.calls[1].given[0] is new_x


def test_a_program_with_one_plain_call_makes_all_from_python():
    (compiled,), exact = stirring()[0].calls, np.array([Fraction(1, 3)], object)
    twin = stir.bound(list(compiled.given))
    x, y, times = compiled.given
    meant = y.copy()
    twin(x, meant, times)
    program = Program([compiled, bind(stir, "test", {"x": exact, "y": exact + 1, "times": 1})])
    assert not program.is_compiled
    program()
    np.testing.assert_array_equal(y, meant)
    assert program.calls[1].given[1].tolist() == [Fraction(1, 3) - Fraction(16, 9)]


def test_a_nest_that_fails_raises_its_own_exception():
    before, after = stirring()[0], stirring()[0]
    program = Program([*before.calls, *refusing(1, 2, -1, 3).calls, *after.calls])
    untouched = after.calls[0].given[1].copy()
    with pytest.raises(ValueError, match="a number is not above zero"):
        program()
    np.testing.assert_array_equal(after.calls[0].given[1], untouched)
    program.give(np.ones(4), 1)
    program.calls[1].given[1][:] = 0
    program()
    assert program.calls[1].given[1].tolist() == [1, 1, 1, 1]


@loops
def refuse_once(y):
    y[0] += 1
    if y[0] <= 1:
        raise ValueError("too early")


def test_a_failure_that_does_not_come_again_is_told():
    with pytest.raises(RuntimeError, match="refuse_once failed once, and not again"):
        Program([bind(refuse_once, "test", {"y": np.zeros(1)})])()
    with pytest.raises((RuntimeError, ValueError)):
        bind(refuse_once, "test", {"y": np.zeros(1)})()


BEYOND = """
import numpy as np
from plaingrad.textbook.layer import bind
from plaingrad.compiler.loops import loops
from plaingrad.compiler.program import Workers, Program

@loops
def fill(x, y):
    for n in range(x.size):
        y[n] = x[n]

def program(size):
    return Program([bind(fill, "test", {"x": np.ones(4), "y": np.zeros(size)})])

def said(work, *given):
    try:
        work(*given)
    except Exception as error:
        return type(error).__name__
    return "nothing"

workers, right, wrong = Workers(2), program(4), program(3)
print(right.is_compiled, said(right), said(wrong), said(workers.run, [right, wrong]), said(workers.run, [wrong, right]))
print(said(workers.run, [right, right]))
"""


def test_an_index_beyond_an_array_is_found_where_indices_are_checked():
    assert python("-c", BEYOND, NUMBA_BOUNDSCHECK="1") == ["True", "nothing", *["IndexError"] * 3, "nothing"]


@loops
def gather(a, b, c, d, e, f, y):
    y[0] = a[()] + 10 * b[1] + 100 * c[1, 0] + 1000 * d[0, 1, 0] + 10000 * e[1, 0, 1, 0] + 100000 * f[0, 0, 1, 0, 1]


def several(kind):
    """Arrays of no axis to five, of digits; laid out in one of the ways that NumPy has."""
    shapes = [(), (2,), (2, 1), (1, 2, 3), (2, 1, 2, 3), (1, 2, 2, 1, 2)]
    for shape in shapes:
        array = RNG.integers(0, 10, shape).astype(float)
        if kind == "in parts":
            array = np.repeat(array, 2, axis=-1)[..., ::2] if shape else array
        elif kind == "turned":
            array = array.copy("F")
        elif kind == "mirrored":
            array = array[(slice(None, None, -1),) * array.ndim] if shape else array
        elif kind == "all alike":
            array = np.broadcast_to(array.reshape(-1)[0], shape)
        elif kind == "only read":
            array.flags.writeable = False
        yield array


@pytest.mark.parametrize("kind", ["usual", "in parts", "turned", "all alike", "only read", "mirrored"])
def test_arrays_of_any_number_of_axes_and_any_layout_are_handed_over(kind):
    a, b, c, d, e, f = arrays = list(several(kind))
    places = a[()], b[1], c[1, 0], d[0, 1, 0], e[1, 0, 1, 0], f[0, 0, 1, 0, 1]
    y = np.zeros(1)
    program = Program([bind(gather, "test", dict(zip("abcdef", arrays, strict=True)) | {"y": y})])
    assert program.is_compiled
    program()
    assert y[0] == sum(digit * 10**place for place, digit in enumerate(places))


@loops
def put(y, value, *, own):
    y[0], y[1] = value, own


WHOLE = [300, -5, np.int8(-3), np.uint8(200), np.int32(-70000), True, False, np.uint64(2**40), -(2**40)]


@pytest.mark.parametrize("first", [np.int8(-3), True, 300], ids=repr)
def test_whole_numbers_of_any_kind_are_handed_over(first, monkeypatch, tmp_path):
    """None is taken for another kind that came before: hence an empty cache, and a first one that is narrow."""
    monkeypatch.setenv("PLAINGRAD_CACHE_DIR", str(tmp_path))
    for value in (first, *WHOLE):
        y = np.zeros(2)
        program = Program([bind(put, "test", {"y": y, "value": value, "own": int(first)})])
        assert program.is_compiled
        for call in (program, program.calls[0]):
            y[:] = np.nan
            call()
            assert y[0] == int(value)


def test_a_truth_value_of_numpy_is_right_all_the_same():
    for value in (np.True_, np.False_):
        y = np.full(2, 5.0)
        Program([bind(put, "test", {"y": y, "value": value, "own": 0})])()
        assert y[0] == int(value)


@pytest.mark.parametrize("kind", [float, np.float32, np.float64])
def test_a_fraction_is_part_of_the_code(kind):
    made = {}
    for value in (0.375, -2.5, 0.375):
        y = np.zeros(2)
        program = Program([bind(put, "test", {"y": y, "value": kind(value), "own": 0})])
        assert program.is_compiled
        program()
        assert y[0] == value
        made[value] = program.calls[0].nest.address
    assert len(set(made.values())) == 2


@loops
def widest(a, b, c, d, e, f, g, h, i, j, k, m, n, o):
    h[0, 0, 0] = i + 2 * j + 4 * k + 8 * m + 16 * n + 32 * o


@loops
def too_wide(a, b, c, d, e, f, g, h, i, j, k, m, n, o, p):
    h[0, 0, 0] = i + 2 * j + 4 * k + 8 * m + 16 * n + 32 * o + 64 * p


@pytest.mark.parametrize(("nest", "more"), [(widest, 0), (too_wide, 1)], ids=["widest", "too wide"])
def test_more_arguments_than_a_call_takes_are_handed_over_by_python(nest, more):
    numbers = {name: int(RNG.integers(-9, 9)) for name in nest.arguments[8:]}
    known = {name: np.zeros((1, 2, 1)) for name in nest.arguments[:8]} | numbers
    assert (len(words([*known.values()])) > WORDS) == bool(more)
    assert len(words([*known.values()][:14])) == WORDS
    program = Program([bind(nest, "test", known)])
    assert program.is_compiled == (not more)
    for call in (program, program.calls[0]):
        known["h"][...] = 0
        call()
        assert known["h"][0, 0, 0] == sum(value * 2**place for place, value in enumerate(numbers.values()))
