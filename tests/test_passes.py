"""The passes of a program: what they make, how they hang together, and how far rounding may take them."""

from dataclasses import replace

import numpy as np
import pytest

from diseased import networks
from often import some
from plaingrad.checking import make_case
from plaingrad.checking.search import single_layer
from plaingrad.checking.search.memo import Memo
from plaingrad.checking.search.passes import Env, Estimate, Key, exact, stepped
from plaingrad.checking.search.precision import DOUBLE, SINGLE, Precision
from plaingrad.checking.search.products import NONE, Sum, Terms, laid, products
from plaingrad.checking.search.rounding import DEVIATIONS, agrees, alike
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.checking.search.uncertainty import Program, settled
from plaingrad.compiler.loops import Array
from plaingrad.network.run import Run
from plaingrad.schedule.calls import update_call
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    GroupNorm,
    L2Pool,
    MaxPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)
from plaingrad.textbook.optimisers import SGD
from students import Student

NETWORKS = list(networks())


def evaluated(program: Program) -> Env:
    """All passes, each from what the ones before made."""
    env = program.start()
    for key in program.keys:
        env[key] = program.evaluate(key, env)
    return env


@pytest.mark.parametrize("network", some(NETWORKS, lambda place: place % 3 == 0))
def test_passes_make_what_a_run_makes(network):
    case = networks()[network]
    program = Program(case, DOUBLE)
    env = evaluated(program)
    run = Run(case.net, case.images, case.loss, input_gradient=True)
    run.load(case.batches[0].x)
    run.aim(case.batches[0].target)
    for name, mask in case.batches[0].masks.items():
        run.seen(name, "mask")[...] = mask
    run.forward(draws=False)
    run.backward()
    for name, step in case.net.steps.items():
        for quantity in ("y", "dx", *(f"d{weight}" for weight in step.weights)):
            estimate = env[1, name, quantity]
            made = run.quantity(name, quantity).reshape(estimate.value.shape)
            assert (
                np.abs(made - estimate.value) <= DEVIATIONS * estimate.uncertainty + 4 * DOUBLE * np.abs(made)
            ).all(), quantity


@pytest.mark.parametrize("network", NETWORKS)
def test_the_way_back_is_pulled_by_its_transpose(network):
    """weighing · pass(dy) changes with dy as `pulled` says: exactly, for the way back is linear in dy."""
    program = Program(networks()[network], DOUBLE)
    env, rng = evaluated(program), np.random.default_rng(0)
    asked = 0
    for key in program.keys:
        weighing = rng.normal(size=env[key].value.shape)
        for need in program.needs(key):
            pull = program.pulled(key, need, env, weighing)
            if pull is None:
                continue
            asked += 1
            change = rng.normal(size=pull.shape)
            other = program.value(key, {**env, need: exact(env[need].value + change)})
            gained, foretold = (weighing * (other - env[key].value)).sum(), (pull * change).sum()
            size = (np.abs(weighing) * np.abs(other)).sum() + np.abs(pull * change).sum()
            assert abs(gained - foretold) <= 1e4 * DOUBLE * size, (key, need)  # sums of some thousand numbers
    assert asked >= len(program.names)


@pytest.mark.parametrize("network", NETWORKS)
def test_slack_covers_float32(network):
    """A program in float32, each pass judged by its own numbers, as a search does."""
    case = networks()[network]
    given = Student(case, np.float32).arrays()
    program = Program(case, SINGLE)
    env = program.start() | {key: exact(np.asarray(array, float)) for key, array in given.items()}
    used = []
    for key, array in given.items():
        estimate = program.evaluate(key, env)
        room = estimate.uncertainty + SINGLE * np.abs(estimate.value) + np.finfo(np.float32).tiny
        used.append((np.abs(array - estimate.value) / room).max())
        assert used[-1] <= DEVIATIONS, (key, used[-1])
    assert max(used) > 0.1  # else the uncertainty would be of no use


def test_a_factor_is_of_one_pass_in_every_step():
    case = make_case()
    plain, doubled = Program(case, DOUBLE), Program(case, DOUBLE)
    doubled.factors["loss", "dx"] = 2.0
    ours, theirs = evaluated(plain), evaluated(doubled)
    for key in plain.keys:
        if key[0] == 1 and key[2].startswith("d"):
            np.testing.assert_array_equal(theirs[key].value, 2 * ours[key].value)
            np.testing.assert_allclose(theirs[key].uncertainty, 2 * ours[key].uncertainty, rtol=1e-12)
    name = plain.names[-1]
    halved = Program(case, DOUBLE)
    halved.factors |= {("loss", "dx"): 2.0, (name, "w"): 0.5}
    np.testing.assert_array_equal(evaluated(halved)[1, name, "w"].value, ours[1, name, "w"].value)
    like = doubled.like(SINGLE)
    assert (like.unit, like.factors) == (SINGLE, {})
    assert like.memo is doubled.memo


def test_what_is_kept_is_of_the_same_arrays_only():
    program = Program(make_case(), DOUBLE)
    env = evaluated(program)
    key = (1, "conv2", "dw")
    assert program.evaluate(key, env) is env[key]
    dy = program.dy_key(key)
    changed = env | {dy: replace(env[dy], value=2 * env[dy].value)}
    np.testing.assert_array_equal(program.evaluate(key, changed).value, 2 * env[key].value)
    memo, made = Memo(), []

    def make() -> Estimate:
        made.append(exact(np.zeros(3)))
        return made[-1]

    one, other = object(), object()
    assert memo.of("a", [one], make) is memo.of("a", [one], make)
    memo.of("a", [other], make)
    memo.of("b", [one], make)
    assert len(made) == 3


@pytest.mark.parametrize("layer", [ReLU(), MaxPool(3, stride=2)], ids=str)
def test_a_settled_layer_chooses_the_same_wherever_its_input_is(layer):
    """And one that is not may choose otherwise: where two of a window, or a number and 0, are nearly equal."""
    case = make_case((layer,), (2, 9, 8), images=3)
    program, name = Program(case, DOUBLE), next(iter(case.net.steps))
    rng, found = np.random.default_rng(1), {True: 0, False: 0}
    for uncertainty in (1e-4, 1e-3, 1e-2, 0.1):
        x = Estimate(rng.normal(size=(3, 2, 9, 8)), np.full((3, 2, 9, 8), uncertainty))
        is_settled = settled(layer, x)
        found[is_settled] += 1
        dy = rng.normal(size=program.loop(name, "y", x.value, {}, None).shape)
        plain = program.loop(name, "dx", x.value, {}, dy)
        others = [
            program.loop(name, "dx", x.value + uncertainty * rng.choice([-1, 1], x.value.shape), {}, dy)
            for _ in range(40)
        ]
        if is_settled:
            assert all(np.array_equal(plain, other) for other in others)
        else:
            assert uncertainty < 0.1 or not all(np.array_equal(plain, other) for other in others)
    assert found[True]
    assert found[False]


def test_keys_come_after_what_they_read():
    program = Program(make_case(steps=3), DOUBLE)
    known: set[Key] = set(program.start())
    for key in program.keys:
        assert set(program.needs(key)) <= known, key
        known.add(key)


def test_a_step_is_that_of_the_optimiser():
    """Compiled, on every number of an array; the arrays that were handed in stay as they are."""
    rng = np.random.default_rng(2)
    w, dw = rng.normal(size=(2, 3, 2, 5, 4))
    before, optimiser = w.copy(), SGD(rate=0.125, momentum=0)
    arrays = {"w": w.reshape(-1).copy(), "dw": dw.reshape(-1), "velocity": np.zeros(w.size)}
    update_call(optimiser, arrays, np.array(list(optimiser.numbers(0, 1.0).values())))()
    np.testing.assert_allclose(stepped(w, dw, 0.125).reshape(-1), arrays["w"], rtol=4 * DOUBLE, atol=4 * DOUBLE)
    np.testing.assert_array_equal(w, before)


def whole(rng: np.random.Generator, *shape: int) -> Array:
    """Small whole numbers: their products and sums are exact in any order."""
    return rng.integers(-4, 5, shape).astype(float)


@pytest.mark.parametrize("seed", range(20))
def test_terms_add_up_as_if_one_after_the_other(seed):
    """Also those without a weight or without an input, those left out, and arrays to which nothing is added."""
    rng = np.random.default_rng(seed)
    x_size, y_size, w, images, count = (
        int(rng.integers(low, high)) for low, high in ((1, 6), (1, 6), (1, 4), (3, 4), (0, 30))
    )
    shapes = {"w": (w, 2), "b": (2,)}
    terms = Terms(
        rng.integers(0, y_size, count), rng.integers(-1, 2 * w + 2, count), rng.integers(-1, x_size, count),
        whole(rng, count), (int(y_size),), (int(x_size),), shapes,
    )  # fmt: skip
    if seed % 2:  # as they come, the first places first
        terms = terms.only(np.argsort(terms.out, kind="stable"))
    x, dy = whole(rng, images, x_size), whole(rng, images, y_size)
    arrays = {name: whole(rng, *shape) for name, shape in shapes.items()}
    flat = np.concatenate([arrays["w"].reshape(-1), arrays["b"]])
    no_weight, no_input = whole(rng, 2)
    y, dx, slope = np.zeros((images, y_size)), np.zeros((images, x_size)), np.zeros(len(flat))
    for out, weight, inner, factor in zip(terms.out, terms.weight, terms.inner, terms.factor, strict=True):
        for image in range(images):
            one = flat[weight] if weight >= 0 else no_weight
            pixel = x[image, inner] if inner >= 0 else no_input
            y[image, out] += factor * one * pixel
            if inner >= 0:
                dx[image, inner] += factor * one * dy[image, out]
            if weight >= 0:
                slope[weight] += factor * pixel * dy[image, out]
    np.testing.assert_array_equal(terms.forward(x, arrays, no_weight, no_input), y)
    np.testing.assert_array_equal(terms.error(dy, arrays, no_weight), dx)
    np.testing.assert_array_equal(terms.slope("w", dy, x, no_input).reshape(-1), slope[: 2 * w])
    np.testing.assert_array_equal(terms.slope("b", dy, x, no_input), slope[2 * w :])
    assert terms.most("out") == max(np.bincount(terms.out), default=1)
    np.testing.assert_array_equal(terms.sized.factor, np.abs(terms.factor))
    np.testing.assert_array_equal(terms.squared.factor, terms.factor**2)


@pytest.mark.parametrize(
    "pool",
    [MaxPool(2), MaxPool(3, stride=2), MaxPool((3, 2), stride=(1, 2), padding=(1, 0)), MaxPool(2, stride=3)],
    ids=str,
)
@pytest.mark.parametrize("digits", [0, 9])
def test_whose_error_each_pixel_of_a_pool_gets_is_what_errors_that_remember_their_place_tell(pool, digits):
    """Also where maxima tie, as they do among whole numbers."""
    single = SingleLayer(pool, (2, 9, 8), 2)
    x = np.round(np.random.default_rng(0).normal(size=(2, 2, 9, 8)), digits)
    terms = single.slopes(x, {}).terms
    twin = {name: each.astype(object) if each.dtype == float else each for name, each in single.arrays.items()}
    laid(twin["dy"], lambda place: Sum(NONE, place))
    single.call("backward", twin)
    for own, told in zip((terms.out, terms.weight, terms.inner, terms.factor), products(twin["dx"]), strict=True):
        np.testing.assert_array_equal(own, told)


ELEMENTARY = Sigmoid, Tanh, Softmax
"""Layers that call exp or tanh, of which NumPy's for arrays may differ from those for one number in the last place."""
SMOOTH = ELU, SiLU, GELU, TanhGELU
"""The same, and they add 1 to it, times x and dy: what is left of a difference may be small beside these."""


@pytest.mark.parametrize("layer", [BatchNorm(), GroupNorm(2), MaxPool(2), Sigmoid(), ReLU()], ids=str)
def test_large_layers_are_run_on_whole_axes(layer, monkeypatch):
    monkeypatch.setattr(single_layer, "MANY", 0)
    single, rng = SingleLayer(layer, (4, 4, 6), 3), np.random.default_rng(0)
    weights = {name: rng.normal(size=4) for name in ("w", "b") if name in single.arrays}
    single.run_on(rng.normal(size=(3, 4, 4, 6)), weights)
    single.put(dy=rng.normal(size=single.arrays["dy"].shape))
    single.backward()
    assert not single.one_by_one


@pytest.mark.parametrize("network", networks())
def test_a_layer_is_the_same_at_once_and_one_after_the_other(network, monkeypatch):
    rng, done = np.random.default_rng(0), 0
    for step in networks()[network].net.steps.values():
        made = []
        x, w = whole(rng, 3, *step.x), {name: whole(rng, *each.shape) for name, each in step.arrays.items()}
        dy = whole(rng, 3, *step.y)
        for many in (0, 10**9):
            monkeypatch.setattr(single_layer, "MANY", many)
            single = SingleLayer(step.layer, step.x, 3)
            single.run_on(x, w)
            single.put(dy=dy)
            single.backward()
            made.append(single.arrays)
            done += bool(many == 0 and not single.one_by_one and single.groups == 1)
        for name, one in made[0].items():
            if isinstance(step.layer, (*ELEMENTARY, L2Pool)):  # a sum of quotients is rounded in its order
                np.testing.assert_array_almost_equal_nulp(one, made[1][name], 8)
            elif isinstance(step.layer, SMOOTH):
                # The text adds at most three products of x, dy and a number up to 1 + |x|, each of three roundings.
                largest = (1 + np.abs(x).max()) ** 2 * max(1, np.abs(dy).max())
                np.testing.assert_allclose(one, made[1][name], 0, 9 * 2 * DOUBLE * largest)
            else:
                np.testing.assert_array_equal(one, made[1][name])
    assert done


def test_another_array_is_known_no_worse_where_the_right_one_is_0() -> None:
    """What is 0 up to rounding has uncertainties as large as itself, which are no share of other numbers."""
    rng, precision = np.random.default_rng(3), Precision(None, None, DOUBLE)
    for _ in range(100):
        size = 10.0 ** rng.integers(-3, 4)
        noise = DOUBLE * size * rng.normal(size=20)
        right = Estimate(noise if rng.integers(2) else np.zeros(20), 8 * DOUBLE * size * np.ones(20))
        made = size * 10.0 ** rng.integers(-2, 3) * rng.normal(size=20)
        estimate = alike(right, made, DOUBLE)
        assert agrees(estimate, made + noise, precision)
        assert not agrees(estimate, made * (1 + 1e-6), precision)
        assert not agrees(estimate, rng.permutation(made), precision)
