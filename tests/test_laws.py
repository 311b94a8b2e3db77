"""The checker itself: it passes what is right, and names what is wrong."""

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.checking import laws
from plaingrad.compiler.loops import loops
from plaingrad.textbook.layer import Weights
from plaingrad.textbook.text import places

pytestmark = pytest.mark.filterwarnings("ignore:.*compiled as it stands")


def factor_forward(x, w, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = w[c] * x[n, c, i, j]


def factor_backward(dy, x, w, dx, dw, share_of_w, share_of_x):
    dw[:] = 0
    for n, c, i, j in places(dy):
        dw[c] += share_of_w * dy[n, c, i, j] * x[n, c, i, j]
        dx[n, c, i, j] = share_of_x * dy[n, c, i, j] * w[c]


def beyond_forward(x, w, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = w[c] * x[n, c, i + 1, j]


class Factor(pg.Layer):
    """A layer of one's own; its backward is right where both shares are 1."""

    share_of_w: int = 1
    share_of_x: int = 1
    forward, backward = factor_forward, factor_backward

    def weights(self, x):
        return {"w": Weights((x[0],), 1, 1)}


class Beyond(Factor):
    """One that reads what is not there."""

    forward = beyond_forward


def test_a_right_layer_passes():
    pg.check(Factor(), (2, 3, 4))


@pytest.mark.parametrize(("shares", "name"), [((2, 1), "dw"), ((1, 2), "dx"), ((0, 1), "dw"), ((1, -1), "dx")])
def test_a_wrong_gradient_is_named(shares, name):
    with pytest.raises(pg.LawError, match=f"{name} says"):
        pg.check(Factor(*shares), (2, 3, 4))


def test_loops_that_leave_their_arrays_are_found():
    with pytest.raises(IndexError):
        pg.check(Beyond(), (2, 3, 4))


def test_layers_with_exponentials_are_checked_to_many_digits():
    pg.check(pg.Tanh(), (2, 2, 3))

    class Wrong(pg.Tanh):
        backward = pg.Sigmoid.backward

    with pytest.raises(pg.LawError, match="dx says"):
        pg.check(Wrong(), (2, 2, 3))


def test_a_gradient_that_was_never_made_is_not_shown_as_zeros():
    net = pg.Network(pg.Dense(2), input=(3,))
    images = np.ones((2, 3), np.float32)
    run = net.run(images)
    assert "dense1.dw" not in run.names
    with pytest.raises(pg.SettingError, match=r"had no labels: net.run\(images, labels\)"):
        run["dense1.dw"]
    with pytest.raises(AttributeError, match="had no labels"):
        _ = run["dense1"].dw
    assert net.run(images, [0, 1])["dense1"].dw.any()


@pytest.mark.parametrize("images", [20, 72, 500, 1023, 1024, 60000])
def test_few_images_get_more_steps_and_no_larger_a_rate(images):
    recipe = pg.model("lenet5").recipe
    fitted = recipe.fitted(images)
    steps = fitted.epochs * -(-images // fitted.batch)
    assert (fitted == recipe) == (images >= 16 * recipe.batch)
    assert steps >= min(400, recipe.epochs * 16)
    assert fitted.optimiser.rate * recipe.batch == pytest.approx(recipe.optimiser.rate * fitted.batch, rel=1e-12)


def test_predict_names_what_score_counts():
    digits = pg.digits()
    net = pg.model("digits").network()
    chances = pg.predict(net, digits.test.images)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=10 * np.finfo(np.float64).eps)  # ten classes
    assert (chances.argmax(axis=1) == digits.test.labels).mean() == pg.score(net, digits.test)


def test_a_split_is_not_a_dataset():
    net = pg.model("digits").network()
    with pytest.raises(pg.DataError, match=r"give one of them, \.train or \.test"):
        pg.train(net, pg.digits())
    with pytest.raises(pg.DataError, match=r"takes a Dataset, got 'some'"):
        pg.train(net, pg.digits().train, validation="some")


def test_the_network_ends_as_it_was_at_its_best_epoch():
    train, held = pg.digits().train.split(0.3)
    net = pg.model("mlp").network((1, 8, 8))
    history = pg.train(net, train, pg.SGD(rate=0.4, momentum=0.9), epochs=6, schedule=pg.Constant(), validation=held)
    assert pg.score(net, held) == max(entry["validation_accuracy"] for entry in history)


@pytest.mark.parametrize("nests", [(loops(factor_forward),), loops(factor_forward), ["x"], (len,)])
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_layer_of_nests_on_lanes_is_told_what_a_text_is(way, nests):
    told = (
        f"Own.{way} is a {type(nests).__name__}; it is one plain function on arrays \\(image, channel, row, column\\)"
    )
    with pytest.raises(TypeError, match=told):
        type("Own", (pg.Layer,), {way: nests})


def adding_backward(dy, x, w, dx, dw):
    for n, c, i, j in places(dy):
        dw[c] += dy[n, c, i, j] * x[n, c, i, j]
        dx[n, c, i, j] = dy[n, c, i, j] * w[c]


def test_a_gradient_that_is_never_set_to_zero_is_found():
    class Adding(Factor):
        backward = adding_backward

    with pytest.raises(pg.LawError, match="dw says"):
        pg.check(Adding(), (2, 3, 4))


# Layers with a skip


def gate_forward(x, skip, y):
    for place in places(y):
        y[place] = x[place] * skip[place]


def gate_backward(dy, x, skip, dx, dskip):
    for place in places(dx):
        dx[place] = dy[place] * skip[place]
        dskip[place] = dy[place] * x[place]


class Gate(pg.Layer):
    """Times the output of an earlier layer."""

    layer: str
    forward, backward = gate_forward, gate_backward

    def skips(self):
        return self.layer


class WrongGate(Gate):
    backward = Gate.backward.edited(("dskip[place] = dy[place] * x[place]", "dskip[place] = dy[place] * skip[place]"))


@pytest.mark.parametrize(
    ("x", "skip"), [((2, 3, 4), None), ((3, 2, 2), (2, 4, 3)), ((4,), (3,)), ((2, 1, 3), (1, 3, 3))], ids=str
)
def test_a_sum_with_a_skip_keeps_the_laws(x, skip):
    laws.check(pg.Add("relu3"), x, skip=skip)


def test_a_skip_of_ones_own_keeps_them_or_is_told():
    assert pg.check(Gate("conv2"), (2, 3, 4)).is_right
    with pytest.raises(pg.LawError, match=r"Along one direction of skip, forward changes dy · y by .*, and dskip says"):
        pg.check(WrongGate("conv2"), (2, 3, 4))


def test_a_network_with_skips_is_checked_layer_by_layer():
    def network(gate):
        layers = pg.Conv(2, padding=1), pg.ReLU(), pg.Conv(3, padding=1, stride=2), pg.Add("conv1"), pg.Sigmoid(), gate
        return pg.check(pg.Network(*layers, pg.Flatten(), pg.Dense(2), input=(1, 4, 4)))

    right, wrong = network(Gate("add1")), network(WrongGate("add1"))
    assert right.is_right
    assert [row.name for row in right.rows][3:6] == ["add1", "sigmoid1", "gate1"]
    assert (wrong.is_right, wrong.first_wrong) == (False, "wronggate1")
