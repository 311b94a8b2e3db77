"""Explanations: the terms give the value to the last bit, the formula gives it anywhere, and each factor leads on."""

import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as drawn

import plaingrad as pg
from around import LOSSES, images_for, network_around, run_around, scale_backward, scale_forward, targets_for
from cases import CASES
from often import some
from plaingrad.compiler.loops import as_written
from plaingrad.explaining import tracer_of
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.explaining.explanation import Explanation, explain_cell
from plaingrad.explaining.notation import as_latex, as_mathml, as_text, number_text
from plaingrad.explaining.symbols import Expander, symbols
from plaingrad.explaining.update import State
from plaingrad.schedule.calls import update_call
from plaingrad.textbook.layer import Weights
from plaingrad.textbook.layers import (
    Conv,
    Dense,
    Flatten,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, MeanSquaredError, SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD, Adam, AdamW
from plaingrad.textbook.record import json_text

SETTINGS = [(layer, shape, count) for layer, shape in CASES for count in (1, 3)]


def made(tracer):
    """The arrays that some nest made."""
    return [sheet for sheet in tracer.twin.in_order if not tracer.is_given(sheet)]


def every(run, count=None, seed=0):
    """Explanations of the numbers a run made: of all of them, or of so many of each array."""
    tracer, rng = tracer_of(run), np.random.default_rng(seed)
    for sheet in made(tracer):
        cells = np.arange(sheet.start, sheet.stop)
        for cell in cells if count is None else rng.choice(cells, min(count, len(cells)), replace=False):
            yield explain_cell(tracer, int(cell))


def added(terms):
    """Numbers added in their order, starting with the first."""
    total = terms[0] if terms else 0
    for each in terms[1:]:
        total = total + each
    return total


def same(value, other):
    return value == other or (value != value and other != other)


# ---------------------------------------------------------------------------------------- terms and their sums


def assert_products(explanation):
    """Each product is that of its factors.

    With k factors the loops round k - 1 times. A factor that divides is shown as 1 / x, which is rounded once more. So
    the product is within γ(k - 1 + r) of the exact product of the factors shown, where r of them are such.
    """
    unit = Fraction(1, 2**53)
    for term in explanation.terms:
        assert term.factors
        values = [each.value for each in term.factors]
        if not all(map(math.isfinite, [*values, term.product])):
            assert not math.isfinite(term.product) or math.nan in values or 0 in values
            continue
        steps = len(values) - 1 + sum(each.name.startswith("1 / ") for each in term.factors)
        exact = math.prod(map(Fraction, values))
        away = steps * unit / (1 - steps * unit) * abs(exact) + steps * Fraction(2) ** -1074
        assert abs(Fraction(term.product) - exact) <= away, (explanation.quantity, term)


def drawn_with(seeds, keep=lambda at: True):
    """The settings, each with some seeds: on every change some of those kept, once; the others more rarely."""

    def marks(at, seed):
        if seed or not keep(at):
            return pytest.mark.exhaustive
        return [pytest.mark.long] * (at % 8 != 5)

    return [
        pytest.param(*each, seed, marks=marks(at, seed)) for seed in range(seeds) for at, each in enumerate(SETTINGS)
    ]


@pytest.mark.parametrize(("layer", "shape", "count", "seed"), drawn_with(3, lambda at: at % 4 != 3), ids=str)
@pytest.mark.often(3)
def test_terms_added_in_their_order_are_the_value(layer, shape, count, seed):
    run = run_around(layer, shape, count, behind=(Sigmoid(),) if seed else (), seed=seed)
    seen = 0
    for each in every(run):
        assert same(added([term.product for term in each.terms]), each.value), each.quantity
        assert_products(each)
        seen += len(each.terms)
    assert seen > 100


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.often(2)
def test_so_are_those_of_every_loss(loss, count):
    for each in every(run_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), count, loss=loss)):
        assert same(added([term.product for term in each.terms]), each.value), each.quantity
        assert_products(each)


def assert_within_bounds(run, count, seed=0):
    """The run's own number is as near as the bound says, and the bound is no wider than a few hundred roundings."""
    unit, wide, seen = float(np.finfo(run.net.dtype).eps) / 2, 0.0, 0
    for each in every(run, count, seed):
        if each.run_value is None:
            continue
        assert abs(each.run_value - each.value) <= each.bound, each.quantity
        assert (
            each.run_value
            == np.asarray(run.quantity(each.sheet.layer, each.sheet.quantity)).reshape(-1)[each.cell - each.sheet.start]
        )
        size = max([abs(each.value), *(abs(term.product) for term in each.terms)])
        wide = max(wide, each.bound / unit / size if size else each.bound)
        seen += 1
    assert seen > 20
    assert wide < 1e5


QUICK = [
    pytest.param(*setting, marks=[] if at % 6 == 3 else pytest.mark.exhaustive) for at, setting in enumerate(SETTINGS)
]


@pytest.mark.parametrize(("layer", "shape", "count"), QUICK, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.often(6)
def test_the_run_is_as_near_as_its_bound_says(layer, shape, count, dtype):
    """Compiled as for training: products fused into sums, and several sums at a time."""
    assert_within_bounds(run_around(layer, shape, count, dtype=dtype, plain=False), 12)


@pytest.mark.parametrize(("layer", "shape", "count"), some(SETTINGS, lambda place: place % 4 in (0, 3)), ids=str)
@pytest.mark.often(7)
def test_so_is_one_in_single_precision(layer, shape, count):
    assert_within_bounds(run_around(layer, shape, count, dtype="float32"), 3)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_so_is_every_loss(loss):
    assert_within_bounds(run_around(Dense(4, activation=LeakyReLU(0.25)), (6,), 3, dtype="float32", loss=loss), 12)


def test_a_number_beyond_its_bound_is_told():
    run = run_around(Conv(2, size=2), (1, 4, 4), dtype="float32")
    assert "more than rounding" not in run.explain("conv1.dw[1,0,1,0]").text()
    run["conv1"].dw[1, 0, 1, 0] *= 1.0001
    explanation = run.explain("conv1.dw[1,0,1,0]")
    assert abs(explanation.run_value - explanation.value) > explanation.bound
    assert "That is more than rounding" in explanation.text()


def test_a_bound_counts_what_the_runs_own_factors_give():
    """A pixel of the run is another than in the twin, as it is behind many roundings: the bound takes it in."""
    run = run_around(Conv(2, size=2), (1, 4, 4), dtype="float32")
    run.records["conv1"]["y"][0, 0, 0] += 1  # the first image's
    tracer = tracer_of(run)
    narrow, wide = (explain_cell(tracer, tracer.twin.cell(name)).bound for name in ("flatten1.y[1]", "flatten1.y[0]"))
    assert narrow < 1e-5
    assert 1 <= wide < 1.001


# -------------------------------------------------------------------------------------------------- where to go


@pytest.mark.parametrize(("layer", "shape"), some(CASES, lambda place: place % 2 == 0), ids=str)
@pytest.mark.often(5)
def test_every_factor_and_every_name_leads_on(layer, shape):
    run = run_around(layer, shape, 1, loss=SoftmaxCrossEntropy())
    asked = set()
    for each in every(run, 3):
        named = [factor.name for term in each.terms for factor in term.factors if factor.cell is not None]
        for name in [*each.next, *(name.removeprefix("1 / ") for name in named)]:
            if name not in asked:
                assert run.explain(name).quantity == name
            asked.add(name)
        cells = {
            factor.name.removeprefix("1 / ")
            for term in each.terms
            for factor in term.factors
            if factor.cell is not None
        }
        assert cells <= set(each.next)
    assert asked


def ways(run, name):
    """All that is met on the way from one number."""
    met, waiting = {name}, [name]
    while waiting:
        for each in run.explain(waiting.pop()).next:
            if each not in met:
                met.add(each)
                waiting.append(each)
    return met


@pytest.mark.parametrize(("layer", "shape"), some(CASES[::3], lambda place: place % 2 == 0), ids=str)
def test_there_is_a_way_from_a_first_weight_to_the_loss_and_from_an_output_to_the_pixels(layer, shape):
    run = run_around(layer, shape, 1, loss=SoftmaxCrossEntropy())
    names = [name for name in run.names if name.endswith(".dw")]
    met = ways(run, f"{names[0]}[{','.join('0' * run[names[0]].ndim)}]")
    assert {"loss.probability[0]", "loss.target[0]", "loss.share"} & met == {
        "loss.probability[0]",
        "loss.target[0]",
        "loss.share",
    }
    last = list(run.net.steps)[-1]
    met = ways(run, f"{last}.y[0]")
    assert any(name.startswith("input[") for name in met)
    assert any(name.startswith(f"{last}.w[") for name in met)


def test_the_way_to_the_loss_goes_through_every_layer_with_weights():
    run = pg.example("subsampling")
    met = {name.partition("[")[0] for name in ways(run, "conv1.dw[0,0,0,0]")}
    assert {"conv1.dy", "sigmoid1.dy", "conv2.w", "conv2.dy", "dense1.w", "dense1.dy", "loss.target"} <= met


# -------------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
@pytest.mark.often(8)
def test_formulas_are_mathml_and_latex(layer, shape):
    for each in every(run_around(layer, shape), 1):
        root = ElementTree.fromstring(each.mathml)
        assert root.tag == "{http://www.w3.org/1998/Math/MathML}math"
        assert each.sheet.name in "".join(root.itertext())
        assert balanced(each.latex)


def balanced(latex):
    """Whether braces match."""
    depth = 0
    for each in re.sub(r"\\[{}]", "", latex):
        depth += {"{": 1, "}": -1}.get(each, 0)
        if depth < 0:
            return False
    return depth == 0


# ------------------------------------------------------------------------------------------------ in symbols

SYMBOLIC = [
    ((Conv(1, size=2), Sigmoid(), Flatten(), Dense(2)), (1, 3, 3), SoftmaxCrossEntropy()),
    ((Conv(1, size=2, activation=ReLU()), MaxPool(2, stride=1), Flatten(), Dense(2)), (1, 4, 4), HalfSquaredError()),
    ((Conv(2, size=2, activation=LeakyReLU(0.25)), MeanPool((1, 2)), Flatten()), (1, 2, 3), MeanSquaredError()),
    ((Conv(1, size=2, padding=1), L2Pool(2), Flatten()), (1, 3, 3), HalfSquaredError()),
    ((Dense(2), Tanh(), Dense(2), Softmax()), (2,), CrossEntropy()),
    ((Dense(2, activation=LeakyReLU(0.5)), LeakyReLU(0.125), ReLU(), Dense(2)), (3,), SoftmaxCrossEntropy()),
]


def symbolic(layers, shape, loss, seed=3):
    net = pg.Network(*layers, input=shape, dtype="float64", name="symbolic")
    rng = np.random.default_rng(seed)
    for array in net.arrays.values():
        array[...] = rng.integers(-9, 10, array.shape) / 10
    images = rng.integers(-9, 10, (1, *shape)) / 10
    if isinstance(loss, SoftmaxCrossEntropy | CrossEntropy):
        targets = np.full((1, net.output[0]), 1 / net.output[0])
    else:
        targets = rng.integers(-9, 10, (1, net.output[0])) / 10
    return net.run(images, targets, loss)


@pytest.mark.parametrize(("layers", "shape", "loss"), some(SYMBOLIC, lambda place: place % 2 == 1), ids=str)
def test_the_derivative_of_the_loss_is_the_gradient_in_symbols_too(layers, shape, loss):
    """To 40 digits, with the numbers put in: 30 of them agree, so nothing but the same expression explains it."""
    sympy = pytest.importorskip("sympy")
    with as_written():
        run = symbolic(layers, shape, loss)
    tracer = tracer_of(run)
    expander = Expander(tracer, sympy)
    whole = expander.of_cell(tracer.twin.cell("loss.y"))
    known = {
        symbol: sympy.Rational(*Fraction(tracer.twin.value(tracer.twin.cell(str(symbol)))).as_integer_ratio())
        for symbol in whole.free_symbols
    }
    checked = 0
    for name in run.net.arrays:
        sheet = tracer.twin.sheets[name]
        slope = tracer.twin.sheets[name.replace(".", ".d")]
        for number in range(min(sheet.size, 6)):
            weight = sympy.Symbol(tracer.twin.name(sheet.start + number), real=True)
            meant = sympy.diff(whole, weight).xreplace(known).evalf(40)
            told = expander.of_cell(slope.start + number)
            assert abs(told.xreplace(known).evalf(40) - meant) <= sympy.Float("1e-30") * (1 + abs(meant))
            value = tracer.number(slope.start + number).value
            assert abs(value - float(meant)) <= 1e-13 * (1 + abs(value))  # a few dozen roundings of numbers near 1
            checked += bool(meant)
    assert checked > 3


def test_symbols_are_written_three_ways():
    pytest.importorskip("sympy")
    run = pg.example("two-kernels")
    tracer = tracer_of(run)
    told = symbols(tracer, tracer.twin.cell("conv2.dw[0,0,0,0]"))
    assert told.quantity == "conv2.dw[0,0,0,0]"
    assert "conv1.w[0,0,0,0]" in told.text
    assert "input[0,0,0]" in told.text
    assert balanced(told.latex)
    text = "".join(ElementTree.fromstring(told.mathml).itertext())
    assert "conv1.w" in text
    assert not re.search(r"s\d", text)  # the names used on the way are replaced
    assert json.dumps(told.to_json())


SIMPLIFIED = ["stride", "first-cnn", "two-kernels", "softmax", "overlap"]


@pytest.mark.parametrize("name", some(SIMPLIFIED, lambda place: place == 0))
def test_simplified_symbols_are_the_same_number(name):
    sympy = pytest.importorskip("sympy")
    tracer = tracer_of(pg.example(name))
    cell = tracer.twin.cell(EXAMPLES[name].opens)
    told, meant = symbols(tracer, cell), tracer.number(cell).value
    known = {
        each: sympy.Float(tracer.twin.value(tracer.twin.cell(str(each))), 40) for each in told.expression.free_symbols
    }
    assert abs(float(told.expression.xreplace(known)) - meant) <= 1e-13 * (1 + abs(meant))
    assert told.is_simplified == (told.expression.count_ops() < 300)


UNENDING = """
import numpy as np
import plaingrad as pg
from plaingrad.explaining import tracer_of
from plaingrad.explaining.symbols import symbols
net = pg.Network(pg.Conv(1, size=2), pg.Sigmoid(), pg.Flatten(), pg.Dense(2), input=(1, 3, 3), dtype="float64")
tracer = tracer_of(net.run(np.arange(9.0).reshape(1, 1, 3, 3) / 10, [1]))
print(symbols(tracer, tracer.twin.cell("loss.y")).text)
"""


@pytest.mark.long
def test_an_expression_that_sympy_would_simplify_for_hours_is_left_as_it_is():
    """Two hundred operations, among them exponentials of sums; told in seconds, and the machine may be a busy one."""
    pytest.importorskip("sympy")
    told = subprocess.run([sys.executable, "-c", UNENDING], capture_output=True, text=True, timeout=90, check=True)
    assert "exp(" in told.stdout


@pytest.mark.long
def test_an_expression_too_long_is_refused():
    pytest.importorskip("sympy")
    run = run_around(Dense(64), (64,))
    tracer = tracer_of(run)
    with pytest.raises(pg.SettingError, match=r"loss.y depends on more than 4,000 numbers"):
        symbols(tracer, tracer.twin.cell("loss.y"))


def test_without_sympy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    tracer = tracer_of(run_around(Dense(2), (2,)))
    with pytest.raises(pg.MissingError, match=r"symbols needs SymPy.*plaingrad\[symbols\]"):
        symbols(tracer, tracer.twin.cell("loss.y"))


# --------------------------------------------------------------------------------------------------- updates

OPTIMISERS = [
    SGD(),
    SGD(momentum=0.0),
    SGD(rate=0.3, momentum=0.5, nesterov=True, decay=0.125),
    Adam(),
    Adam(rate=0.5, decay=0.01),
    AdamW(rate=0.02, decay=0.25),
]


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
@pytest.mark.parametrize("step", [0, 7])
def test_a_weight_after_a_step_is_what_the_optimisers_loop_makes(optimiser, step):
    run = run_around(Conv(2, size=2), (2, 3, 4), 2)
    net, rng = run.net, np.random.default_rng(step)
    slots = {name: rng.random(net.parameters.shape) for name in optimiser.slots}
    state = State(optimiser, slots, step, 0.75)
    tracer = tracer_of(run, state)
    twin = tracer.twin
    w, held = net.parameters.copy(), {name: each.copy() for name, each in slots.items()}
    dw = twin.twin.gradient.copy()
    numbers = np.array(list(optimiser.numbers(step, 0.75).values()))
    with as_written():
        update_call(optimiser, {"w": w, "dw": dw, **held}, numbers)()
    names = 0
    for step_of, views in zip(net.steps.values(), net.views(w), strict=True):
        for name, after in views.items():
            whole = f"{step_of.name}.{name}_after"
            for place in np.ndindex(after.shape):
                told = run.explain(f"{whole}[{','.join(map(str, place))}]", state)
                assert told.value == after[place], told.quantity
                assert added([term.product for term in told.terms]) == told.value
                assert_products(told)
                assert told.run_value is None
                assert f"{step_of.name}.d{name}[{','.join(map(str, place))}]" in told.next
                names += 1
    assert names == net.size


def test_the_usual_optimiser_is_sgd_with_momentum_at_its_first_step():
    run = run_around(Dense(2), (3,))
    told, meant = run.explain("dense1.w_after[1,2]"), run.explain("dense1.w_after[1,2]", State(SGD()))
    assert told.value == meant.value == run["dense1"].w[1, 2] - 0.05 * run["dense1"].dw[1, 2]
    other = run.explain("dense1.w_after[1,2]", Adam())
    assert other.value != told.value
    assert run.explain("dense1.w_after[1,2]").value == told.value  # and it is not kept


def test_slots_are_given_and_named():
    run = run_around(Dense(2), (3,))
    state = State(Adam(), {"m": np.full(run.net.parameters.shape, 0.5)}, 3)
    assert run.explain("dense1.w_m[1,2]", state).value == 0.5
    assert run.explain("dense1.w_v[1,2]", state).value == 0
    assert "It was given" in str(run.explain("dense1.w_m[1,2]", state))


def test_a_step_taken_is_seen():
    """What was explained before the numbers changed is not told again."""
    run = run_around(Dense(2), (3,))
    before = run.explain("dense1.y[1]").value
    run.net["dense1"].w[1] += 1
    run.forward()
    run.backward()
    after = run.explain("dense1.y[1]")
    assert after.value != before
    assert abs(after.run_value - after.value) <= after.bound


# ------------------------------------------------------------------------------------------ layers of one's own


class Scale(pg.Layer):
    """A factor for each channel."""

    def weights(self, x):
        return {"w": Weights((x[0],), 1, 1)}

    forward, backward = scale_forward, scale_backward


def centre_forward(x, y):
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            for j in range(y.shape[3]):
                total = 0
                for i in range(y.shape[2]):
                    total += x[n, c, i, j]
                for i in range(y.shape[2]):
                    y[n, c, i, j] = x[n, c, i, j] - total / y.shape[2]


def centre_backward(dy, dx):
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            for j in range(dx.shape[3]):
                total = 0
                for i in range(dx.shape[2]):
                    total += dy[n, c, i, j]
                for i in range(dx.shape[2]):
                    dx[n, c, i, j] = dy[n, c, i, j] - total / dx.shape[2]


class Centre(pg.Layer):
    """Each column less its mean: the loops that add up run over the array that they write."""

    forward, backward = centre_forward, centre_backward


@pytest.mark.filterwarnings("ignore:.* is compiled as it stands:UserWarning")
@pytest.mark.parametrize(("layer", "shape"), [(Scale(), (2, 3, 4)), (Centre(), (2, 3, 1))], ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_a_layer_of_ones_own_is_explained(layer, shape, count):
    pg.check(layer, shape)
    run = run_around(layer, shape, count, dtype="float64")
    for each in every(run):
        assert same(added([term.product for term in each.terms]), each.value), each.quantity
        assert_products(each)
        if each.run_value is not None:
            assert abs(each.run_value - each.value) <= each.bound


@pytest.mark.filterwarnings("ignore:.* is compiled as it stands:UserWarning")
@pytest.mark.parametrize("count", [1, 3])
def test_where_narrowing_leaves_something_out_all_is_traced(count):
    """Its sums would hold one term of three: what is told holds all."""
    run = run_around(Centre(), (2, 3, 1), count)
    tracer = tracer_of(run)
    image = "0," if count > 1 else ""
    name = f"centre1.y[{image}1,2,0]"
    cell = tracer.twin.cell(name)
    sheet = tracer.twin.sheet_of(cell)
    narrow = tracer.trace(sheet, sheet.place(cell))
    assert narrow.value != tracer.number(cell).value
    assert set(run.explain(name).next) == {f"input[{image}1,{row},0]" for row in range(3)}


def test_a_run_of_fractions_is_explained():
    net = network_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), object)
    for array in net.arrays.values():
        array[...] = np.vectorize(lambda each: Fraction(round(8 * each), 8), otypes=[object])(array)
    images = np.vectorize(lambda each: Fraction(round(4 * each), 4), otypes=[object])(images_for(net, 2))
    targets = np.vectorize(lambda each: Fraction(round(4 * each), 4), otypes=[object])(
        targets_for(HalfSquaredError(), 2)
    )
    run = net.run(images, targets, HalfSquaredError())
    for each in every(run, 4):
        assert added([term.product for term in each.terms]) == each.value
        if each.run_value is not None:
            assert abs(each.run_value - each.value) <= each.bound
    assert isinstance(run["conv1"].dw[0, 0, 0, 0], Fraction)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_shown_as_such(value):
    """A NaN is no reason to fail: it is what the page is asked about when a training diverged."""
    with as_written():
        net = network_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4))
        images = images_for(net, 1)
        images[0, 0, 1, 1] = value
        run = net.run(images, targets_for(HalfSquaredError(), 1), HalfSquaredError())
    seen = 0
    for each in every(run):
        assert same(added([term.product for term in each.terms]), each.value) or not math.isfinite(each.value)
        text = each.text(all=True)
        if each.value != each.value:
            assert f"{each.quantity} = NaN" in text
            assert each.bound != each.bound
            seen += 1
        told = json.loads(json_text(each.to_json()))
        assert told["value"] is None or math.isfinite(told["value"])
        assert (told["value"] is None) == (not math.isfinite(each.value))
    assert seen > 3


def test_a_nan_wins_its_window_and_the_reason_says_so():
    net = pg.Network(MaxPool(2), Flatten(), input=(1, 2, 2), dtype="float64")
    image = np.array([[[[1.0, math.nan], [3.0, 2.0]]]])
    run = net.run(image, [[0.0]], HalfSquaredError())
    told = run.explain("maxpool1.y[0,0,0]")
    assert told.value != told.value
    assert told.reasons == ["input[0,0,1] = NaN is not a number, and NaN counts as the maximum so that it is noticed"]


@pytest.mark.filterwarnings("ignore:.* is compiled as it stands:UserWarning")
@pytest.mark.parametrize("named", ["a<b>&\"'c", "x_$^~\\{}%#y", "<script>alert(1)</script>", "é×Σ"])
@pytest.mark.often(1)
def test_names_are_text_whatever_they_are(named):
    pytest.importorskip("sympy")
    kind = type(named, (pg.Layer,), {"forward": scale_forward, "backward": scale_backward, "weights": Scale.weights})
    net = pg.Network(kind(), Flatten(), Dense(2), input=(1, 2, 2), dtype="float64", name=named)
    run = net.run(np.ones((1, 1, 2, 2)), [1])
    layer = next(iter(net.steps))
    told = run.explain(f"{layer}.dw[0]")
    assert told.quantity == f"{layer}.dw[0]"
    assert layer in "".join(ElementTree.fromstring(told.mathml).itertext())
    assert balanced(told.latex)
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum)\{\}|\\[&%$#_{}]|\\[a-zA-Z]+", "", told.latex)
    assert not re.search(r"[&%$#~\\]", plain)
    expression = symbols(tracer_of(run), tracer_of(run).twin.cell(f"{layer}.dw[0]"))
    assert layer in "".join(ElementTree.fromstring(expression.mathml).itertext())
    assert balanced(expression.latex)
    assert "<script" not in told.mathml + expression.mathml
    html = pg.explain(run).html()
    assert html.count("<script") == pg.explain(pg.example("overlap")).html().count("<script")


@pytest.mark.filterwarnings("ignore:.* is compiled as it stands:UserWarning")
def test_a_class_name_with_a_point_is_still_asked_about():
    for named in ("a.b", "a-b c"):
        kind = type(
            named, (pg.Layer,), {"forward": scale_forward, "backward": scale_backward, "weights": Scale.weights}
        )
        run = pg.Network(kind(), Flatten(), Dense(2), input=(1, 2, 2), dtype="float64").run(np.ones((1, 1, 2, 2)), [1])
        for each in every(run):
            assert run.explain(each.quantity).value == each.value


# -------------------------------------------------------------------------------------------------- reasons


def reasons(layers, shape, image, name, loss=None):
    net = pg.Network(*layers, input=shape, dtype="float64")
    for array in net.arrays.values():
        array[...] = 1
    image = np.reshape(np.asarray(image, float), (1, *shape))
    return net.run(image, np.zeros((1, net.output[0])), loss or HalfSquaredError()).explain(name).reasons


def test_reasons_say_who_won_and_what_a_tie_does():
    image = [[1, 3], [3, 2]]
    told = reasons((MaxPool(2), Flatten()), (1, 2, 2), image, "maxpool1.y[0,0,0]")
    assert told[0].startswith(
        "input[0,0,1] = 3 is the maximum of this window, which also has input[0,0,0] = 1, input[0,1,0] = 3"
    )
    assert told[1] == "tie: input[0,0,1] = 3 is as large as input[0,1,0] = 3; the first in reading order is taken"
    lost = reasons((MaxPool(2), Flatten()), (1, 2, 2), image, "maxpool1.dx[0,1,0]")
    assert lost[0].startswith(
        "window (0,0) contains this pixel, but another pixel is its maximum: maxpool1.winner[0,0,0] = 1"
    )
    won = reasons((MaxPool(2), Flatten()), (1, 2, 2), image, "maxpool1.dx[0,0,1]")
    assert won[0].startswith("this pixel is the maximum of window (0,0), so it gets the whole error of the window")


@pytest.mark.parametrize(
    ("activation", "off"), [(ReLU(), "the number becomes 0"), (LeakyReLU(0.25), "the number is multiplied by 0.25")]
)
def test_reasons_say_whether_an_activation_was_on(activation, off):
    kind = type(activation).__name__
    layers = (activation, Flatten())
    on = reasons(layers, (1, 1, 2), [2, -3], f"{kind.lower()}1.y[0,0,0]")
    assert on == [f"this {kind} was on, because input[0,0,0] = 2 > 0: the number passes unchanged"]
    told = reasons(layers, (1, 1, 2), [2, -3], f"{kind.lower()}1.y[0,0,1]")
    assert told == [f"this {kind} was off, because input[0,0,1] = −3 ≤ 0: {off}"]
    told = reasons(layers, (1, 1, 2), [2, -3], f"{kind.lower()}1.dx[0,0,1]")
    below = number_text(-3.0 * getattr(activation, "slope", 0))
    passes = off.replace("number", "error")
    assert told[0] == f"this {kind} was off, because {kind.lower()}1.y[0,0,1] = {below} ≤ 0: {passes}"


def test_reasons_count_the_places_beyond_the_edge_and_the_pixels_no_window_reaches():
    layers = (Conv(1, size=3, padding=1, stride=2), Flatten())
    told = reasons(layers, (1, 4, 4), np.ones(16), "conv1.y[0,0,0]")
    assert told == [
        "5 of the 9 positions of the window lie outside the image, where the padding is 0: they contribute nothing"
    ]
    assert reasons(layers, (1, 4, 4), np.ones(16), "conv1.y[0,1,1]") == []
    told = reasons((MaxPool(2), Flatten()), (1, 3, 3), np.ones(9), "maxpool1.dx[0,2,2]")
    assert told == ["no window of maxpool1 contains this number, so it does not affect the loss: its error is 0"]


# ------------------------------------------------------------------------------------------------- messages


@pytest.fixture(scope="module")
def small():
    return run_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), 1, loss=SoftmaxCrossEntropy())


MESSAGES = [
    ("conv2.dw[0,0,0,0]", "the run has no layer 'conv2'; did you mean 'conv1'?"),
    ("nonsense", "choose from conv1, dense1, flatten1, input, loss"),
    ("conv1.dww[0]", "conv1 has no quantity 'dww'; did you mean 'dw'?"),
    ("conv1.q[0]", "choose from"),
    ("conv1", "conv1 is a layer; name one of its quantities: conv1.x, conv1.z, conv1.y, conv1.w"),
    ("conv1.dw", "conv1.dw holds 8 numbers; name one, from conv1.dw[0,0,0,0] to conv1.dw[1,0,1,1]"),
    ("conv1.dw[0,0,2,0]", "conv1.dw[0,0,2,0] is out of range; conv1.dw goes from [0,0,0,0] to [1,0,1,1]"),
    ("conv1.dw[0,0,0]", "has 3 indices; it needs 4: conv1.dw goes from"),
    ("conv1.dw[0,0,-1,0]", "is out of range"),
    ("conv1.dw[0,0,0,0,0]", "has 5 indices; it needs 4"),
    ("loss.y[7]", "has 1 index; it needs 0: loss.y is one number"),
    ("conv1.dw[0,0,0,", "cannot read"),
    ("conv1.dw[0,,0,0]", "cannot read"),
    ("conv1.dw[0 0]", "cannot read"),
    ("conv1.dw[- 1,0,0,0]", "cannot read"),
    ("conv1.dw[0][0]", "cannot read"),
    ("", "no layer ''"),
    (f"conv1.b[{10**30}]", "out of range"),
]


@pytest.mark.parametrize(("name", "words"), MESSAGES, ids=lambda each: each[:40])
def test_what_cannot_be_asked_is_told_in_one_line(small, name, words):
    with pytest.raises(pg.SettingError) as caught:
        small.explain(name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_may_be_written_in_several_ways(small):
    names = ("input[0,1,2]", " input [ 0 , 1 , 2 ] ", "input[1,2]", "input[0,0,1,2]", "conv1.x[0,1,2]")
    assert {small.explain(name).quantity for name in names} == {"input[0,1,2]"}
    assert {small.explain(name).quantity for name in ("loss.y", "loss.y[0]")} == {"loss.y"}
    assert small.explain("flatten1.dx[1,0,2]").quantity == "conv1.dy[1,0,2]"  # one array of two layers


@settings(max_examples=300, deadline=None)
@given(drawn.one_of(
    drawn.text(),
    drawn.text("conv1.dwyxb[]0123,- \n²٣", max_size=24),
    drawn.builds(
        lambda layer, name, index: f"{layer}.{name}[{index}]",
        drawn.sampled_from(["conv1", "dense1", "loss", "input", "flatten1"]),
        drawn.sampled_from(["w", "dw", "y", "dx", "db", "x", "target", "w_after", "hit", "share", "probability"]),
        drawn.lists(drawn.integers(-3, 5), max_size=5).map(lambda each: ",".join(map(str, each))),
    ),
))  # fmt: skip
def test_nothing_but_a_message_or_an_explanation_comes_of_any_text(text):
    run = asked_at_random()
    try:
        told = run.explain(text)
    except pg.PlaingradError:
        return
    assert isinstance(told, Explanation)
    assert run.explain(told.quantity).value == told.value
    assert str(told)


def asked_at_random(known=[]):  # noqa: B006 (one run for all examples)
    if not known:
        known.append(run_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4), 1, loss=SoftmaxCrossEntropy()))
    return known[0]


def test_a_run_without_labels_has_no_gradients_to_explain():
    net = network_around(Dense(2), (3,))
    with as_written():
        run = net.run(np.ones((1, 3)))
    told = run.explain("dense1.y[1]")
    assert abs(told.run_value - told.value) <= told.bound
    with pytest.raises(pg.SettingError, match=r"dense1.dw is a gradient, and this run had no labels"):
        run.explain("dense1.dw[0,0]")
    with pytest.raises(pg.SettingError, match="w_after"):
        run.explain("dense1.w_after[0,0]")


def test_a_run_without_images_is_refused():
    from plaingrad.network.run import Run

    run = Run(network_around(Dense(2), (3,)), 2)
    run.index[:] = -1
    with pytest.raises(pg.DataError, match="holds no images to explain"):
        run.explain("dense1.y[0]")


# ----------------------------------------------------------------------------------------------------- texts


def test_a_long_sum_shows_the_largest_and_counts_the_rest():
    run = run_around(Dense(2), (40,))
    told = run.explain("dense1.y[0]")
    short, long = told.text(), told.text(all=True)
    assert "the 12 largest of 41 terms" in short
    rest = sorted((abs(term.product), term.product) for term in told.terms)[:-12]
    assert f"and 29 more, which sum to {number_text(math.fsum(each for _, each in rest))}" in short
    assert "41 terms, in the order in which they are added" in long
    assert long.count(" × input[") == 40 + 1
    assert str(told) == short
    assert repr(told) == f"<Explanation of dense1.y[0] = {told.value!r}>"


def test_what_was_given_says_so(small):
    told = small.explain("conv1.w[0,0,1,1]")
    assert (told.terms, told.next, told.reasons) == ([], [], [])
    assert "It was given, not computed." in told.text()
    assert told.formula == "conv1.w[0,0,1,1] is given"
    assert told.value == small["conv1"].w[0, 0, 1, 1]


def test_json_holds_the_promised_keys(small):
    told = small.explain("conv1.dw[1,0,0,1]").to_json()
    assert {"quantity", "value", "run_value", "formula", "terms", "reasons", "next"} <= told.keys()
    assert all(set(each) == {"factors", "product"} for each in told["terms"])
    assert all(set(each) == {"name", "value"} for term in told["terms"] for each in term["factors"])
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_explained(name):
    run, opens = pg.example(name), EXAMPLES[name].opens
    told = run.explain(opens)
    assert told.terms
    assert added([term.product for term in told.terms]) == told.value
    assert abs(told.run_value - told.value) <= told.bound


def test_an_unknown_example_is_told():
    with pytest.raises(pg.SettingError, match=r"no example 'first-cn'; did you mean 'first-cnn'\?"):
        pg.example("first-cn")


def test_the_markup_of_a_tree():
    tree = ["mrow", ["cell", "a<b", ["mn", "1"], "k"], ["mo", "="], ["mfrac", "x", ["msqrt", "y"]], ["mtext", " if "]]
    assert as_text(tree) == "a<b[1,k] = x / √(y) if "
    assert as_latex(tree) == r"\mathrm{a<b}_{1,k}=\frac{x}{\sqrt{y}}\mathrm{ if }"
    assert "<mtext>a&lt;b</mtext>" in as_mathml(tree)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (-0.0, "0"), (-2.5, "−2.5"), (1.5e-7, "1.5×10⁻⁷"), (math.nan, "NaN"), (-math.inf, "−∞"), (-3, "−3")],
)
def test_numbers_are_written_with_real_signs(value, text):
    assert number_text(value) == text


def test_of_a_long_sum_in_a_term_the_ends_are_shown_unless_all_is_wanted():
    run = run_around(Dense(2), (3,), loss=SoftmaxCrossEntropy())
    whole = run_around_many_classes()
    told = whole.explain("loss.log_probability[1]")
    short, long = told.text(), told.text(all=True)
    ends = (
        "−ln(e^(dense1.y[0] − dense1.y[{0}]) + e^(dense1.y[1] − dense1.y[{0}]) + … + e^(dense1.y[5] − dense1.y[{0}]))"
    )
    assert ends.format(whole["dense1.y"][0].argmax()) in short
    assert " + … + " not in long
    assert all(f"e^(dense1.y[{k}] − " in long for k in range(6))
    assert all(f"e^(dense1.y[{k}] − " in told.to_json()["terms"][2]["factors"][1]["name"] for k in range(6))
    assert " + … + " not in run.explain("loss.log_probability[1]").text()  # three classes are no long sum


def run_around_many_classes():
    net = pg.Network(Dense(6), input=(3,), dtype="float64")
    return net.run(np.array([[0.5, -1.0, 2.0]]), [1])


def test_what_the_textbook_says_of_the_loss_fits_on_a_line():
    run = run_around_many_classes()
    told = run.explain("dense1.dy[1]").text()
    assert "(loss.probability[1] − loss.target[1]) × loss.share" in told
    assert run.explain("dense1.dy[1]").formula == "dense1.dy[k] = loss.probability[k] − loss.target[k]"
    assert "−loss.target[1] × loss.log_probability[1]" in run.explain("loss.y").text()
    assert run.explain("loss.y").formula == "loss.y = −Σ[k=0…5] loss.target[k] × loss.log_probability[k]"


@pytest.mark.parametrize("optimiser", [Adam(), AdamW()], ids=str)
def test_the_settings_of_adam_have_the_letters_of_its_formula(optimiser):
    told = run_around(Dense(2), (3,)).explain("dense1.w_after[1,2]", optimiser)
    assert all(f"{letter} = " in told.reasons[-1] for letter in ("β₁", "β₂", "ε", "rate", "t", "decay"))
    text = told.text(all=True)
    assert "beta" not in text
    assert "epsilon" not in text
    assert re.search(r"\(1 − β₁\) × .*\) / \(1 − β₁\^t\)", text.partition("terms")[2])
    assert r"\beta_1" in told.latex
    assert balanced(told.latex)
