"""Checks for tests: what is right passes, what is wrong is named, and what cannot be compared is refused in words."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import plaingrad as pg
from cases import CASES
from often import some
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.network.network import Network
from plaingrad.testing import assert_gradients, check_module
from plaingrad.textbook.layer import Weights
from plaingrad.textbook.text import places


def own_passes(layer, shape, backward_of=lambda made: made):
    """forward and backward as the layer itself has them, its gradients changed by a function."""
    names = list(layer.weights(shape))

    def through(x, weights):
        alone = SingleLayer(layer, shape, len(x))
        alone.put(x=x, **dict(zip(names, weights, strict=True)))
        alone.forward()
        return alone

    def forward(x, *weights):
        return through(x, weights).get("y")

    def backward(dy, x, *weights):
        alone = through(x, weights)
        alone.put(dy=dy)
        alone.backward()
        return backward_of({name: alone.get("d" + name) for name in ("x", *names)})

    return forward, backward


@pytest.mark.parametrize(("layer", "shape"), some(CASES, lambda place: place % 3 == 0), ids=str)
@pytest.mark.often(3)
def test_every_layer_agrees_with_itself_and_not_with_half_of_an_error(layer, shape):
    forward, backward = own_passes(layer, shape)
    assert_gradients(layer, backward, input=shape, forward=forward)
    for name in ("x", *layer.weights(shape)):
        _, wrong = own_passes(layer, shape, lambda made, name=name: made | {name: made[name] * 0.5})
        with pytest.raises(AssertionError, match=rf"MISTAKE.* d{name} (?s:.*)doubled-or-halved"):
            assert_gradients(layer, wrong, input=shape)


# The same passes as anyone would write them, with a place for a mistake in each.


def windows(x, size, stride):
    """(image, channel, output row, output column, window row, window column)."""
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))[:, :, ::stride, ::stride]


def conv(x, w, b, padding=1, stride=2):
    x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    return np.einsum("ncijuv,kcuv->nkij", windows(x, w.shape[2:], stride), w) + b[:, None, None]


def conv_back(dy, x, w, b, padding=1, stride=2, back_w=None, turned=False, share=1.0):
    spread = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    dw = np.einsum("ncijuv,nkij->kcuv", windows(spread, w.shape[2:], stride), dy)
    dx = np.zeros_like(spread)
    for i, j in np.ndindex(dy.shape[2:]):
        place = (..., slice(i * stride, i * stride + w.shape[2]), slice(j * stride, j * stride + w.shape[3]))
        dx[place] += np.einsum("nk,kcuv->ncuv", dy[:, :, i, j], w if back_w is None else back_w(w))
    inner = dx[:, :, padding:-padding, padding:-padding] if padding else dx
    return inner, (dw[:, :, ::-1, ::-1] if turned else dw) * share, dy.sum((0, 2, 3))


def dense_back(dy, x, w, b):
    return dy @ w, dy.T @ x, dy.sum(0)


def mean_back(dy, x, share=4):
    return dy.repeat(2, 2).repeat(2, 3) / share


def max_back(dy, x, chosen=np.argmax):
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dy.shape):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        u, v = np.unravel_index(chosen(window), (2, 2))
        dx[n, c, 2 * i + u, 2 * j + v] += dy[n, c, i, j]
    return dx


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax_back(dy, x):
    y = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    return y * (dy - (dy * y).sum(1, keepdims=True))


CONV, IMAGE = pg.Conv(4, size=(2, 3), stride=2, padding=1), (3, 6, 7)
FUSED = pg.Conv(4, size=(2, 3), stride=2, padding=1, activation=pg.ReLU())
RIGHT = [
    (CONV, IMAGE, conv_back),
    (FUSED, IMAGE, lambda dy, x, w, b: conv_back(dy * (conv(x, w, b) > 0), x, w, b)),
    (pg.Dense(4), (5,), dense_back),
    (pg.MeanPool(2), (2, 4, 6), mean_back),
    (pg.MaxPool(2), (2, 4, 6), max_back),
    (pg.ReLU(), (2, 3, 4), lambda dy, x: dy * (x > 0)),
    (pg.LeakyReLU(0.25), (7,), lambda dy, x: {"dx": np.where(x > 0, dy, dy * 0.25)}),
    (pg.Sigmoid(), (2, 3, 4), lambda dy, x: (dy * sigmoid(x) * (1 - sigmoid(x))).tolist()),
    (pg.Tanh(), (6,), lambda dy, x: (dy * (1 - np.tanh(x) ** 2),)),
    (pg.Softmax(), (5,), softmax_back),
    (pg.Flatten(), (2, 3, 4), lambda dy, x: dy.reshape(x.shape)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "backward"), RIGHT, ids=[str(layer) for layer, *_ in RIGHT])
def test_right_functions_pass(layer, shape, backward):
    for images, seed in ((3, 0), (1, 1), (4, 2)):
        assert_gradients(layer, backward, input=shape, images=images, seed=seed)


@pytest.mark.parametrize(("layer", "shape", "backward"), RIGHT[:4], ids=[str(layer) for layer, *_ in RIGHT[:4]])
def test_functions_in_float32_pass(layer, shape, backward):
    def single(*arrays):
        made = backward(*(array.astype(np.float32) for array in arrays))
        return tuple(np.asarray(each, np.float32) for each in (made if isinstance(made, tuple) else (made,)))

    assert_gradients(layer, single, input=shape)


PLANTED = [
    (CONV, IMAGE, lambda *a: conv_back(*a, back_w=lambda w: w[:, :, ::-1, ::-1]), "dx", "kernel-rotated"),
    (CONV, IMAGE, lambda *a: conv_back(*a, turned=True), "dw", "gradient-rotated"),
    (CONV, IMAGE, lambda *a: conv_back(*a, share=1 / 3), "dw", "divided-by-the-batch-again"),
    (CONV, IMAGE, lambda *a: conv_back(*a, share=-1), "dw", "negated"),
    (CONV, IMAGE, lambda *a: {"b": conv_back(*a)[2] * 2}, "db", "doubled-or-halved"),
    (CONV, IMAGE, lambda *a: {"b": conv_back(*a)[2] * 0}, "db", "gradient-left-out"),
    (FUSED, IMAGE, conv_back, "dz", "slope-left-out"),
    (pg.Dense(5), (5,), lambda dy, x, w, b: (dy @ w.T, None, None), "dx", "filters-and-channels-exchanged"),
    (pg.MeanPool(2), (2, 4, 6), lambda *a: mean_back(*a, share=1), "dx", "not-divided"),
    (pg.MaxPool(2), (2, 4, 6), lambda *a: max_back(*a, chosen=np.argmin), "dx", "error-to-minimum"),
    (pg.MaxPool(2), (2, 4, 6), lambda *a: max_back(*a, chosen=lambda window: 0), "dx", "error-to-fixed-pixel"),
    (pg.ReLU(), (2, 3, 4), lambda dy, x: dy, "dx", "slope-left-out"),
    (pg.ReLU(), (2, 3, 4), lambda dy, x: dy * (dy > 0), "dx", "masked-by-the-error"),
    (pg.Sigmoid(), (2, 3, 4), lambda dy, x: dy * x * (1 - x), "dx", "slope-at-the-input"),
    (pg.Softmax(), (5,), lambda dy, x: dy, "dx", "softmax-skipped"),
    (pg.Flatten(), (2, 3, 4), lambda dy, x: dy.reshape(x.shape, order="F"), "dx", "flatten-order"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "shape", "backward", "where", "id"), PLANTED, ids=[f"{row[0]} {row[4]}" for row in PLANTED]
)
@pytest.mark.often(5)
def test_planted_mistakes_are_named(layer, shape, backward, where, id):
    with pytest.raises(AssertionError) as caught:
        assert_gradients(layer, backward, input=shape)
    said = str(caught.value)
    assert type(caught.value) is AssertionError  # what unittest and pytest count as a failure
    assert said.startswith(f"{layer} on 3 images of {'×'.join(map(str, shape))}: ")
    assert f"the first wrong quantity is {where} " in said
    assert f"[{id}]" in said
    assert "1.dx" not in said  # the names are the function's, not those of a network
    assert "yours" in said


def test_the_upstream_gradient_is_random_and_follows_the_seed():
    seen = []

    def backward(dy, x):
        seen.append(dy)
        return dy * (x > 0)

    for seed in (0, 0, 1):
        assert_gradients(pg.ReLU(), backward, input=(2, 5, 6), seed=seed)
    assert seen[0].shape == (3, 2, 5, 6)
    assert len(np.unique(seen[0])) > seen[0].size / 4  # there are 224 numbers to draw from, for 180 places
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


def test_forward_is_compared_and_a_turned_kernel_is_a_choice_if_backward_makes_it_too():
    layer, turned = pg.Conv(3, size=(2, 3)), (Ellipsis, slice(None, None, -1), slice(None, None, -1))

    def forward(x, w, b):
        return conv(x, w[turned], b, padding=0, stride=1)

    def backward(dy, x, w, b):
        dx, dw, db = conv_back(dy, x, w[turned], b, padding=0, stride=1)
        return dx, dw[turned], db

    assert_gradients(layer, backward, forward=forward, input=(2, 5, 6))
    with pytest.raises(AssertionError, match=r"the first wrong quantity is y .*\s+y: .*not so on the way back"):
        assert_gradients(
            layer, lambda *a: conv_back(*a, padding=0, stride=1), forward=forward, input=(2, 5, 6)
        )  # its own kernel is not turned on the way back
    with pytest.raises(AssertionError, match="bias-left-out"):
        assert_gradients(layer, forward=lambda x, w, b: conv(x, w, 0 * b, padding=0, stride=1), input=(2, 5, 6))


def test_a_function_is_given_the_order_of_its_arrays_and_keeps_to_it():
    with pytest.raises(AssertionError, match=r"the correct numbers in other places: weights are \(input, unit\)"):
        assert_gradients(pg.Dense(5), lambda dy, x, w, b: (dy @ w, x.T @ dy, dy.sum(0)), input=(5,))


def test_weights_are_laid_in():
    w, b = np.arange(12.0).reshape(4, 3), np.zeros(4)
    seen = []

    def backward(dy, x, *weights):
        seen.append(weights)
        return dense_back(dy, x, *weights)

    for weights in ({"w": w, "b": b}, (w, b)):
        assert_gradients(pg.Dense(4), backward, input=(3,), weights=weights)
        np.testing.assert_array_equal(seen[-1][0], w)
        np.testing.assert_array_equal(seen[-1][1], b)


# Functions that no layer stands for, against differences.

RNG = np.random.default_rng(7)
GRID = RNG.integers(-2, 3, (3, 4, 6))  # whole numbers, with zeros and ties
ROUGH = RNG.normal(size=(5, 6))


def relu(x):
    return np.maximum(x, 0)


def pool(x):
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2).max((2, 4))


def pool_back(dy, x):
    y, back = pool(x), dy.repeat(2, 1).repeat(2, 2)
    return back * (x == y.repeat(2, 1).repeat(2, 2))


def layer_norm(x, g):
    centred = x - x.mean(1, keepdims=True)
    return g * centred / np.sqrt((centred * centred).mean(1, keepdims=True) + 1e-5)


def layer_norm_back(dy, x, g, left_out=0.0):
    centred = x - x.mean(1, keepdims=True)
    scale = 1 / np.sqrt((centred * centred).mean(1, keepdims=True) + 1e-5)
    made, d = centred * scale, dy * g
    dx = scale * (d - d.mean(1, keepdims=True) - (1 - left_out) * made * (d * made).mean(1, keepdims=True))
    return dx, (dy * made).sum(0)


def in_single(function):
    return lambda *arrays: function(*(array.astype(np.float32) for array in arrays))


class Keeping:
    """A layer that keeps its input for the way back, as frameworks do."""

    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dy, x):
        return dy * (1 - np.tanh(self.x) ** 2)


KEEPING, NORM = Keeping(), (RNG.normal(size=(4, 5)), RNG.normal(size=5))
MULTIPLIED = (RNG.normal(size=(4, 5)), RNG.normal(size=(5, 3)))
RIGHT_FUNCTIONS = {
    "convolution": (
        lambda x, w, b: conv(x, w, b, stride=1), lambda *a: conv_back(*a, stride=1),
        RNG.normal(size=(2, 2, 5, 4)), RNG.normal(size=(3, 2, 3, 3)), RNG.normal(size=3),
    ),
    "layer norm": (layer_norm, layer_norm_back, *NORM),
    "layer norm of large numbers": (layer_norm, layer_norm_back, NORM[0] * 1e4, NORM[1] * 1e-4),
    "a number": (lambda x: x * x, lambda dy, x: 2 * dy * x, 3.0),
    "one output": (lambda x: (x**3).sum(), lambda dy, x: 3 * dy * x * x, ROUGH),
    "fast waves": (lambda x: np.sin(300 * x), lambda dy, x: 300 * dy * np.cos(300 * x), ROUGH),
    "tiny numbers": (lambda x: x**3, lambda dy, x: 3 * dy * x * x, ROUGH * 1e-8),
    "kinks at hand": (relu, lambda dy, x: dy * (x > 0), GRID),
    "kinks alone": (relu, lambda dy, x: dy * (x > 0), np.zeros(20)),
    "kinks very near": (relu, lambda dy, x: dy * (x > 0), np.concatenate([ROUGH[0], [1e-9, -1e-7, 1e-5, -1e-4]])),
    "ties": (pool, pool_back, GRID),
    "ties very near": (pool, pool_back, GRID + 1e-7 * RNG.normal(size=GRID.shape)),
    "whole numbers": (lambda x: x * x, lambda dy, x: 2 * dy * x, np.arange(-4, 5)),
    "jumps between": (np.floor, lambda dy, x: 0 * x, ROUGH),
    "nothing rests on it": (lambda x: np.ones(3), lambda dy, x: 0 * x, ROUGH),
    "backward in float32": (layer_norm, in_single(layer_norm_back), *NORM),
    "all in float32": (in_single(layer_norm), in_single(layer_norm_back), *NORM),
    "input kept": (KEEPING.forward, KEEPING.backward, ROUGH),
    "written over": (lambda x: np.multiply(x, 2, out=x), lambda dy, x: np.multiply(dy, 2, out=dy), ROUGH),
    "named": (np.dot, lambda dy, x, w: (dy @ w.T, x.T @ dy), *MULTIPLIED),
    "one of two": (lambda x, w: x @ w, lambda dy, x, w: {"w": x.T @ dy}, *MULTIPLIED),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT_FUNCTIONS)
def test_right_derivatives_pass(name):
    forward, backward, *inputs = RIGHT_FUNCTIONS[name]
    before = [np.copy(each) for each in inputs]
    for seed in range(5):
        assert_gradients(forward, backward, *inputs, seed=seed)
    for kept, array in zip(before, inputs, strict=True):
        np.testing.assert_array_equal(kept, array)


@pytest.mark.parametrize(
    "name", [name for name in RIGHT_FUNCTIONS if name not in ("jumps between", "nothing rests on it")]
)
def test_a_gradient_off_by_a_hundredth_is_found(name):
    forward, backward, *inputs = RIGHT_FUNCTIONS[name]

    def off(*arrays):
        made = backward(*arrays)
        if isinstance(made, dict):
            return {key: each * 1.01 for key, each in made.items()}
        return tuple(each * 1.01 for each in made) if isinstance(made, tuple) else made * 1.01

    with pytest.raises(AssertionError, match=r"is wrong: it is not the derivative of forward with respect to"):
        assert_gradients(forward, off, *inputs)


WRONG_FUNCTIONS = {
    "a term left out": (layer_norm, lambda *a: layer_norm_back(*a, left_out=1), NORM, "dx is wrong", "right: dg"),
    "turned": (
        RIGHT_FUNCTIONS["convolution"][0], lambda *a: conv_back(*a, stride=1, turned=True),
        RIGHT_FUNCTIONS["convolution"][2:], "dw is wrong",
        "it is the correct one rotated by 180° in its last two indices",
    ),
    "transposed": (
        lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, dy.T @ x), (ROUGH[:, :5], ROUGH[:, 1:]), "dw is wrong",
        "it is the correct one with its first and second index exchanged",
    ),
    "a mean for a sum": (
        lambda x, b: x + b, lambda dy, x, b: (dy, dy.mean(0)), (ROUGH, ROUGH[0]), "db is wrong",
        "your value = correct value × 0.2 in all 6",
    ),
    "one column": (
        np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2) * [1, 1, 2, 1, 1, 1], (ROUGH,), "dx is wrong",
        "all of them have second index 2",
    ),
    "one number": (
        np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2) + (np.arange(30).reshape(5, 6) == 8), (ROUGH,), "dx is wrong",
        "1 of 30 numbers are wrong",
    ),
    "kinks left out": (relu, lambda dy, x: 2 * dy * (x > 0), (GRID,), "dx is wrong", "which have a kink here"),
    "all at kinks": (relu, lambda dy, x: dy, (np.zeros(20),), "dx is wrong", "moved a little, off the kinks"),
    "not a number": (np.tanh, lambda dy, x: dy * np.nan, (ROUGH,), "dx is wrong", "at [0, 0] it is nan"),
    "of another shape": (np.tanh, lambda dy, x: dy[1:], (ROUGH,), "dx is wrong", "it has the shape 4×6; x has 5×6"),
    "ragged": (np.tanh, lambda dy, x: [[1.0], [1.0, 2.0]], (ROUGH,), "dx[1] has 2 entries", "need the same number"),
    "of many numbers": (
        lambda x: x * x, lambda dy, x: 3 * dy * x, (RNG.normal(size=(30, 30)),), "dx is wrong", "measured: 512 of 900",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FUNCTIONS)
def test_wrong_derivatives_are_told_in_words(name):
    forward, backward, inputs, *words = WRONG_FUNCTIONS[name]
    with pytest.raises(AssertionError) as caught:
        assert_gradients(forward, backward, *inputs)
    for each in words:
        assert each in str(caught.value).replace("dx[3]", "dx[1]" if name == "ragged" else "dx[3]")


def test_a_forward_in_float32_needs_larger_steps():
    """With those for float64, its roundings now and then look like a slope that is known well."""
    for seed in range(100):
        x = np.random.default_rng(seed).normal(size=6)
        assert_gradients(in_single(np.square), lambda dy, x: 2 * dy * x, x, seed=seed)


def test_what_is_at_a_kink_is_looked_at_beside_it():
    at_kink = np.array([2.0, 2.0, 1.0])
    assert_gradients(relu, lambda dy, x: dy * (x > 0), np.array([0.0, 0.0, 1.0]))
    with pytest.raises(AssertionError, match=r"(?s)off the kinks of forward: dx is wrong.*right: dw"):
        assert_gradients(
            lambda x, w: relu(x) * w, lambda dy, x, w: (dy * (x > 0) * w * at_kink, dy * relu(x)),
            np.array([0.0, 0.0, 1.0]), np.ones(3),
        )  # fmt: skip


def test_an_exception_in_a_function_stays_as_it_is():
    error = KeyError("mine")

    def failing(*arrays):
        raise error

    for call in (
        lambda: assert_gradients(pg.ReLU(), failing, input=(3,)),
        lambda: assert_gradients(pg.ReLU(), forward=failing, input=(3,)),
        lambda: assert_gradients(np.tanh, failing, ROUGH),
        lambda: assert_gradients(failing, failing, ROUGH),
    ):
        with pytest.raises(KeyError) as caught:
            call()
        assert caught.value is error


def same(dy, x, *weights):
    return dy


REFUSED = {
    "needs the shape of one input": lambda: assert_gradients(pg.ReLU(), same),
    "and a function": lambda: assert_gradients(pg.ReLU(), input=(3,)),
    "images=0": lambda: assert_gradients(pg.ReLU(), same, input=(3,), images=0),
    "seed=-1": lambda: assert_gradients(pg.ReLU(), same, input=(3,), seed=-1),
    "input=3": lambda: assert_gradients(pg.ReLU(), same, input=3),
    "the numbers are drawn": lambda: assert_gradients(pg.ReLU(), same, ROUGH, input=(3,)),
    "did you forget its ()": lambda: assert_gradients(pg.ReLU, same, input=(3,)),
    "needs dx, dw, db, None": lambda: assert_gradients(pg.Dense(3), lambda *a: (None, None), input=(3,)),
    "gave a ndarray": lambda: assert_gradients(pg.Dense(3), same, input=(3,)),
    "gave no gradient": lambda: assert_gradients(pg.ReLU(), lambda *a: None, input=(3,)),
    "gave dv; the gradients": lambda: assert_gradients(pg.ReLU(), lambda dy, x: {"dv": dy}, input=(3,)),
    "it needs w, b": lambda: assert_gradients(pg.Dense(3), same, input=(3,), weights=(ROUGH,)),
    r"it needs \(3, 4\)": lambda: assert_gradients(pg.Dense(3), same, input=(4,), weights=(ROUGH, ROUGH[0])),
    "not finite": lambda: assert_gradients(
        pg.Dense(3, bias=False), same, input=(3,), weights={"w": np.full((3, 3), np.nan)}
    ),
    "fewer channels": lambda: assert_gradients(pg.Conv(64, size=3), same, input=(64, 32, 32)),
    "give the arrays themselves": lambda: assert_gradients(np.tanh, same, ROUGH, input=(3,)),
    r"takes \(layer, backward": lambda: assert_gradients(np.tanh, same),
    "arrays of numbers: x is the text": lambda: assert_gradients(np.tanh, same, "abc"),
    "numbers that are not finite": lambda: assert_gradients(np.log, same, -np.ones(3)),
    "needs to hold finite": lambda: assert_gradients(np.tanh, same, np.array([1, np.inf])),
    "what is random": lambda: assert_gradients(lambda x: x * np.random.default_rng().random(3), same, np.ones(3)),
    "returns an empty array": lambda: assert_gradients(lambda x: x[:0], same, np.ones(3)),
    "small changes are lost": lambda: assert_gradients(lambda x: x.astype(np.float16), same, ROUGH),
    "takes a Network or a Layer": lambda: pg.check("conv"),
    "needs the shape of its input": lambda: pg.check(pg.ReLU()),
    "needs the batch": lambda: pg.check(Network(pg.Dense(2), input=(2,)), ROUGH),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_compared_is_refused_in_one_line(words):
    with pytest.raises(pg.SettingError, match=words) as caught:
        REFUSED[words]()
    assert "\n" not in str(caught.value)


# A whole network.

LAYERS = (
    pg.Conv(4, size=3, padding=1, activation=pg.ReLU()), pg.Conv(3, size=2), pg.ReLU(), pg.MaxPool(2), pg.Flatten(),
    pg.Dense(6, activation=pg.LeakyReLU(0.25)), pg.Dense(3),
)  # fmt: skip
LABELS = np.array([0, 2, 1, 1])


def network(dtype="float64"):
    net = pg.Network(*LAYERS, input=(2, 6, 7), seed=3, dtype=dtype)
    net.offset[:], net.factor[:] = [0.25, -0.5], [2, 3]
    return net


def batch(seed=0):
    return np.random.default_rng(seed).normal(size=(4, 2, 6, 7))


def answered(net, x, labels=LABELS):
    """What the network itself computes, under every name there is."""
    run = net.run(x, labels)
    made = {"loss": run["loss"].y.mean()}
    for name, step in net.steps.items():
        made |= {
            f"{name}.{each}": getattr(run[name], each) for each in ("y", "dx", "dy", *("d" + w for w in step.weights))
        }
    after = made["conv1.y"] > 0
    return made | {"conv1.dz": np.where(after, made["conv1.dy"], 0), "loss.dx": made["dense2.dy"]}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_agrees_with_itself_under_its_own_names(dtype):
    net, x = network(dtype), batch().astype(dtype)
    answer = answered(net, x)
    verdict = pg.check(net, x, LABELS, answer)
    assert verdict.verdict == "right", verdict.text()
    assert verdict.notes == []
    assert f"at a precision of {dtype})" in verdict.text()
    names = {row.name for row in verdict.rows}
    assert names <= answer.keys()
    assert {"conv1.y", "conv1.dz", "relu1.y", "relu1.dx", "dense1.y", "dense2.dw", "loss"} <= names


AFTER = ("maxpool", "flatten", "dense", "loss")


@pytest.mark.parametrize(
    ("name", "change", "follows", "id"),
    [
        ("conv1.dw", lambda made: made["conv1.dw"][:, :, ::-1, ::-1], (), "gradient-rotated"),
        ("conv1.dz", lambda made: made["conv1.dy"], ("conv1.dx", "conv1.dw", "conv1.db"), "slope-left-out"),
        ("relu1.dx", lambda made: made["relu1.dy"], ("conv2.d", "conv1.d"), "slope-left-out"),
        ("relu1.y", lambda made: made["conv2.y"], (*AFTER, "relu1.d", "conv1.d", "conv2.d"), "another-activation"),
        ("dense1.dw", lambda made: made["dense1.dw"] / 4, (), "divided-by-the-batch-again"),
        ("maxpool1.dx", lambda made: made["maxpool1.dx"] * 2, ("relu1.d", "conv1.d", "conv2.d"), "doubled-or-halved"),
        ("dense2.db", lambda made: -made["dense2.db"], (), "negated"),
    ],
)  # fmt: skip
@pytest.mark.often(2)
def test_mistakes_are_named_under_the_names_of_the_network(name, change, follows, id):
    """Taken apart, the network has a relu1 behind conv1, a relu2 for its own relu1, and a leakyrelu1."""
    net, x = network(), batch()
    made = answered(net, x)
    kept = {key: each for key, each in made.items() if not key.startswith(follows)}
    verdict = pg.check(net, x, LABELS, kept | {name: change(made)})
    assert verdict.verdict == "mistake"
    assert [(each.id, each.where) for each in verdict.mistakes] == [(id, [name])]
    assert verdict.first_wrong == name
    assert f"{name}: " in verdict.text()
    assert not verdict.is_right
    told = verdict.to_json()
    assert (told["first_wrong"], told["mistakes"][0]["where"]) == (name, [name])
    assert {row["name"] for row in told["quantities"] if row["status"] == "wrong"} == {name}
    assert {row.name for row in verdict.rows if row.status == "wrong"} == {name}
    assert not {"relu2", "leakyrelu1"} & set(verdict.text().replace(".", " ").split())


@pytest.mark.long
def test_one_gradient_is_enough():
    net, x = network(), batch()
    dw = answered(net, x)["conv1.dw"]
    assert pg.check(net, x, LABELS, {"conv1.dw": dw}).verdict == "right"
    assert pg.check(net, x.tolist(), LABELS.tolist(), {"conv1.dw": dw.tolist()}).verdict == "right"
    assert pg.check(net, x, np.eye(3)[LABELS], {"conv1.dw": dw}).verdict == "right"
    (named,) = pg.check(net, x, LABELS, {"conv1.dw": dw[:, :, ::-1, ::-1]}).mistakes
    assert named.id == "gradient-rotated"


def test_pixels_are_normalised_and_bytes_are_255ths():
    net = network("float32")
    pixels = np.random.default_rng(1).integers(0, 256, (4, 2, 6, 7), dtype=np.uint8)
    made = answered(net, pixels)
    assert pg.check(net, pixels, LABELS, made).is_right
    net.offset[0] += 1
    assert pg.check(net, pixels, LABELS, {"conv1.y": made["conv1.y"]}).verdict != "right"


def test_names_that_are_not_the_networks_are_left_out_with_a_hint():
    net, x = network(), batch()
    verdict = pg.check(net, x, LABELS, answered(net, x) | {"relu2.y": np.zeros(3)})
    assert verdict.is_right
    assert verdict.notes == ["relu2.y is not a quantity of this network and was left out; did you mean relu1.y?"]
    assert f"note: {verdict.notes[0]}" in verdict.text()
    with pytest.raises(pg.AnswerError, match=r"no quantity of this network; relu2\.y .* did you mean relu1\.y"):
        pg.check(net, x, LABELS, {"relu2.y": np.zeros(3)})
    misshapen = pg.check(net, x, LABELS, {"relu1.y": np.zeros(3)})
    assert not misshapen.is_right
    assert "relu1.y has the shape 3 in place of 4×3×5×6" in misshapen.text()


@pytest.mark.long
def test_further_steps():
    net, x, then, rate = network(), batch(), batch(1), 0.25
    first, trained = answered(net, x), net.copy()
    for name, array in trained.arrays.items():
        array -= rate * first[name.replace(".", ".d")]
    second = answered(trained, then)
    given = first | {f"step1.{name}": array for name, array in trained.arrays.items()}
    given |= {f"step2.{name}": array for name, array in second.items()}
    assert pg.check(net, x, LABELS, given, rate=rate, then=[(then, LABELS)]).verdict == "right"
    stale = answered(net, then)["conv1.y"]
    verdict = pg.check(net, x, LABELS, given | {"step2.conv1.y": stale}, rate=rate, then=[(then, LABELS)])
    assert verdict.first_wrong == "step2.conv1.y"
    with pytest.raises(pg.SettingError, match="give rate="):
        pg.check(net, x, LABELS, given)


def test_a_rate_that_is_not_told_explains_nothing():
    net, x = network(), batch()
    dw = answered(net, x)["dense1.dw"] / 8
    for rate, known in ((None, False), (1 / 8, True)):
        verdict = pg.check(net, x, LABELS, {"dense1.dw": dw}, rate=rate)
        assert not verdict.is_right
        assert ("scaled-by-the-rate" in verdict.text().partition("ruled out")[0]) is known


def test_another_loss():
    net, x, target = network(), batch(), np.random.default_rng(5).normal(size=(4, 3))
    run = net.run(x, target, pg.HalfSquaredError())
    made = {"loss": run["loss"].y.mean(), "dense2.dw": run["dense2"].dw}
    assert pg.check(net, x, target, made, pg.HalfSquaredError()).verdict == "right"
    assert pg.check(net, x, target, made, pg.MeanSquaredError()).verdict != "right"


@pytest.mark.parametrize(
    ("x", "target", "words"),
    [
        (batch()[:, :1], LABELS, r"got images of shape \(4, 1, 6, 7\)"),
        (batch(), LABELS + 1, "a label outside 0 to 2"),
        (batch(), LABELS[:2], r"targets of shape \(2,\)"),
        (batch() * np.nan, LABELS, "not finite"),
    ],
)
def test_batches_that_cannot_be(x, target, words):
    with pytest.raises(pg.DataError, match=words):
        pg.check(network(), x, target, {"loss": 1.0})


# The laws of layers of one's own.


def cube_forward(x, w, y):
    for place in places(y):
        y[place] = w[0] * x[place] * x[place] * x[place]


def cube_backward(dy, x, w, dx, dw, share):
    dw[0] = 0
    for place in places(dx):
        dw[0] += dy[place] * x[place] * x[place] * x[place]
        dx[place] = share * dy[place] * w[0] * x[place] * x[place]


def beyond_backward(dy, x, w, dx, dw):
    dw[0] = 0
    for n, k in places(dx):
        dw[0] += dy[n, k] * x[n, k] * x[n, k] * x[n, k]
        dx[n, k] = 3 * dy[n, k + 1] * w[0] * x[n, k] * x[n, k]


class Cube(pg.Layer):
    """A layer of one's own; its backward is right where `share` is 3."""

    share: int = 3
    forward, backward = cube_forward, cube_backward

    def weights(self, x):
        return {"w": Weights((1,))}


class Beyond(Cube):
    """One that reads what is not there."""

    backward = beyond_backward


@pytest.mark.filterwarnings("ignore:.*compiled as it stands")
def test_the_laws_of_every_layer_of_a_network():
    right = pg.check(Network(pg.Flatten(), Cube(), pg.Dense(2, bias=False), input=(1, 2, 3)), seeds=1)
    assert right.is_right
    assert right.first_wrong is None
    assert [row.name for row in right.rows] == ["flatten1", "cube1", "dense1"]
    wrong = pg.check(Network(pg.Flatten(), Cube(share=2), Beyond(), input=(1, 2, 3)), seeds=1)
    assert not wrong.is_right
    assert wrong.first_wrong == "cube1"
    first, derivative, *_ = [
        line for line in wrong.text().splitlines() if "WRONG" in line or "not the derivative" in line
    ][1:]
    assert first.split() == ["cube1", "WRONG", "Cube(share=2)", "on", "6"]
    assert "Along one direction of x" in derivative
    assert "its loops leave their arrays" in wrong.text()
    told = wrong.to_json()
    assert told["verdict"] == "wrong"
    assert [any(each["laws"].values()) for each in told["layers"]] == [False, True, True]


@pytest.mark.filterwarnings("ignore:.*compiled as it stands")
def test_what_makes_a_layer_slow_is_told_and_no_breach():
    told = pg.check(Cube(), input=(2, 2, 3))
    assert told.is_right
    forward, backward = told.to_json()["layers"][0]["notes"]
    assert forward.startswith("compiled as it stands, which is slow: line 3 of cube_forward does `y[place] = w[0] *")
    assert "cube_backward" in backward
    assert f"note: {forward}\n    note: {backward}\n" in told.text()
    library = pg.check(Network(pg.Conv(2, activation=pg.ReLU()), pg.L2Pool(2), pg.Flatten(), input=(1, 4, 4)), seeds=1)
    assert not any(row.notes for row in library.rows)
    assert "note" not in library.text()


@pytest.mark.filterwarnings("ignore:.*compiled as it stands")
def test_the_laws_of_one_layer():
    assert pg.check(Cube(), input=(2, 2, 3)).is_right
    assert pg.check(Cube(), (2, 2, 3), seeds=1).is_right
    with pytest.raises(pg.LawError, match="not the derivative"):
        pg.check(Cube(share=2), input=(2, 2, 3))


def test_importing_plaingrad_loads_no_checker():
    code = "import sys, plaingrad; print([n for n in sys.modules if n.startswith(('plaingrad.checking', 'torch'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert pg.check is pg.testing.check
    assert pg.testing.__all__ == ["assert_gradients", "check", "check_module"]


# PyTorch.


def test_without_pytorch_there_is_a_word_of_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(pg.MissingError, match=r"needs PyTorch, which is not installed: pip install torch$"):
        check_module(None, batch(), LABELS)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is an optional dependency")


def convolution(torch, mistake):
    """A convolution as a module of one's own, with a mistake in its backward."""
    grad = torch.nn.grad

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.save_for_backward(x, w)
            return torch.nn.functional.conv2d(x, w, b)

        @staticmethod
        def backward(ctx, dy):
            x, w = ctx.saved_tensors
            dw = grad.conv2d_weight(x, w.shape, dy)
            dx = grad.conv2d_input(x.shape, w.flip(2, 3) if mistake == "kernel-rotated" else w, dy)
            return dx, dw.flip(2, 3) if mistake == "gradient-rotated" else dw, dy.sum((0, 2, 3))

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(3, 4, 2, 3) / 4)
            self.bias = torch.nn.Parameter(torch.randn(3))

        def forward(self, x):
            return Function.apply(x, self.weight, self.bias)

    return Own()


def sequence(torch, mistake=""):
    nn = torch.nn
    torch.manual_seed(0)
    relu = nn.ReLU()  # one module in two places
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), relu, convolution(torch, mistake), relu,
        nn.Sequential(nn.MaxPool2d(2), nn.Flatten()), nn.Linear(3 * 2 * 2, 3),
    )  # fmt: skip


STANDS_FOR = {2: pg.Conv(3, size=(2, 3))}


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_module(torch, dtype):
    module = sequence(torch).to(getattr(torch, dtype))
    verdict = check_module(module, batch(), LABELS, stands_for=STANDS_FOR)
    assert verdict.verdict == "right", verdict.text()
    assert f"at a precision of {dtype})" in verdict.text()
    names = {row.name for row in verdict.rows}
    assert {"conv1.dw", "relu1.dx", "conv2.dx", "relu2.y", "maxpool1.dx", "dense1.db", "loss", "loss.dx"} <= names
    assert "relu2 is module 3, ReLU" in verdict.notes
    assert "maxpool1 is module 4.0, MaxPool2d" in verdict.notes
    assert all(parameter.grad is None for parameter in module.parameters())
    with torch.no_grad():
        assert check_module(module, torch.tensor(batch()), torch.tensor(LABELS), stands_for=STANDS_FOR).is_right


@pytest.mark.torch
@pytest.mark.parametrize(("mistake", "where"), [("kernel-rotated", "conv2.dx"), ("gradient-rotated", "conv2.dw")])
def test_mistakes_in_a_function_of_ones_own(torch, mistake, where):
    verdict = check_module(sequence(torch, mistake), batch(), LABELS, stands_for=STANDS_FOR)
    assert [(each.id, each.where) for each in verdict.mistakes] == [(mistake, [where])]


@pytest.mark.torch
def test_every_module_that_has_a_layer(torch):
    nn = torch.nn
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(2, 4, (2, 3), stride=(1, 2), padding=(1, 2), dilation=(2, 1), groups=2, bias=False), nn.Identity(),
        nn.LeakyReLU(0.25, inplace=True), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1, count_include_pad=False),
        nn.Tanh(), nn.LPPool2d(2, 2), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 2 * 2, 5), nn.Sigmoid(),
        nn.Linear(5, 3, bias=False), nn.Softmax(dim=1),
    ).eval().double()  # fmt: skip
    verdict = check_module(module, batch(), np.random.default_rng(2).normal(size=(4, 3)), "mse")
    assert verdict.verdict == "right", verdict.text()
    kinds = {"Conv2d", "LeakyReLU", "AvgPool2d", "Tanh", "LPPool2d", "Flatten", "Linear", "Sigmoid", "Softmax"}
    assert {note.split(", ")[1] for note in verdict.notes} == kinds


@pytest.mark.torch
def test_norms_and_smooth_activations(torch):
    nn = torch.nn
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.GELU(), nn.Conv2d(4, 3, 2), nn.InstanceNorm2d(3, affine=True),
        nn.SiLU(), nn.Flatten(), nn.Linear(3 * 4 * 3, 5), nn.LayerNorm(5), nn.GELU("tanh"), nn.ELU(0.5),
        nn.Linear(5, 3),
    ).double()  # fmt: skip
    verdict = check_module(module, batch(), LABELS)
    assert verdict.verdict == "right", verdict.text()
    assert "groupnorm3 is module 8, LayerNorm" in verdict.notes


@pytest.mark.torch
@pytest.mark.parametrize(
    "target", [LABELS.astype(np.int32), LABELS.tolist(), np.eye(3)[LABELS]], ids=["int32", "list", "float64"]
)
def test_targets_as_plaingrad_takes_them(torch, target):
    assert check_module(sequence(torch), batch(), target, stands_for=STANDS_FOR).verdict == "right"


@pytest.mark.torch
def test_a_loss_of_ones_own(torch):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, output, target):
            ctx.save_for_backward(output, target)
            return torch.nn.functional.cross_entropy(output, target)

        @staticmethod
        def backward(ctx, dy):
            output, target = ctx.saved_tensors
            return (torch.softmax(output, 1) - torch.eye(3)[target]) * (dy / len(output) ** 2), None

    for loss, right in ((torch.nn.functional.cross_entropy, True), (Wrong.apply, False)):
        stands_for = STANDS_FOR | {"loss": pg.SoftmaxCrossEntropy()}
        verdict = check_module(sequence(torch), batch(), LABELS, loss, stands_for=stands_for)
        assert (verdict.verdict == "right") is right


MODULES = {
    "stands_for={'2': ": lambda torch, nn: (sequence(torch), {}),
    "there are 0, 1, 2, 3, 4.0, 4.1, 5": lambda torch, nn: (sequence(torch), {7: pg.ReLU()}),
    "is a layer of plaingrad": lambda torch, nn: (sequence(torch), {2: "Conv"}),
    r"needs \(4, 4, 3, 3\)": lambda torch, nn: (sequence(torch), {2: pg.Conv(4, size=3)}),
    "BatchNorm2d": lambda torch, nn: (nn.Sequential(nn.BatchNorm2d(2)), {}),
    "padding_mode='circular'": lambda torch, nn: (
        nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")), {}
    ),
    r"call module.train\(False\)": lambda torch, nn: (nn.Sequential(nn.Flatten(), nn.Dropout()), {}),
    "torch.bfloat16": lambda torch, nn: (nn.Sequential(nn.Flatten(), nn.Linear(84, 3)).bfloat16(), {}),
    "share a parameter": lambda torch, nn: (nn.Sequential(nn.Flatten(), *[nn.Linear(84, 84)] * 2), {}),
    "holds no layer": lambda torch, nn: (nn.Sequential(), {}),
    "needs a torch.nn.Module": lambda torch, nn: (np.tanh, {}),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("words", MODULES)
def test_modules_that_cannot_be_compared(torch, words):
    module, stands_for = MODULES[words](torch, torch.nn)
    with pytest.raises(pg.SettingError, match=words):
        check_module(module, batch(), LABELS, stands_for=stands_for)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")
@pytest.mark.parametrize(("layer", "shape"), [row for row in CASES if row[0].dropped() is None], ids=str)
def test_every_layer_passes_with_the_gradients_of_pytorch(torch, layer, shape):
    in_torch = importlib.import_module("test_torch").in_torch

    def backward(dy, *points):
        leaves = [torch.tensor(point, requires_grad=True) for point in points]
        in_torch(layer, *leaves).backward(torch.tensor(dy))
        return tuple(leaf.grad for leaf in leaves)

    assert_gradients(layer, backward, input=shape)
