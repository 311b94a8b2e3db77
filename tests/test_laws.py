"""The checker itself: it passes what is right, and names what is wrong."""

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.layer import Weights
from plaingrad.loops import loops


@loops
def factor_forward(x, w, y):
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            for n in range(x.shape[2]):
                y[c, i, n] = w[c] * x[c, i, n]


def backward_of(share_of_w, share_of_x):
    """A backward whose two gradients are each multiplied by a whole number: 1 is right."""

    @loops
    def factor_backward(dy, x, w, dx, dw):
        for c in range(x.shape[0]):
            dw[c] = 0
            for i in range(x.shape[1]):
                for n in range(x.shape[2]):
                    dw[c] += share_of_w * dy[c, i, n] * x[c, i, n]
                    dx[c, i, n] = share_of_x * dy[c, i, n] * w[c]

    return factor_backward


@loops
def beyond_forward(x, w, y):
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            for n in range(x.shape[2]):
                y[c, i, n] = w[c] * x[c, i + 1, n]


def layer(forward, backward):
    class Factor(pg.Layer):
        def weights(self, x):
            return {"w": Weights((x[0],), 1, 1)}

    Factor.forward, Factor.backward = (forward,), (backward,)
    return Factor()


def test_a_right_layer_passes():
    pg.check(layer(factor_forward, backward_of(1, 1)), (2, 3, 4))


@pytest.mark.parametrize(("shares", "name"), [((2, 1), "dw"), ((1, 2), "dx"), ((0, 1), "dw"), ((1, -1), "dx")])
def test_a_wrong_gradient_is_named(shares, name):
    with pytest.raises(pg.LawError, match=f"{name} says"):
        pg.check(layer(factor_forward, backward_of(*shares)), (2, 3, 4))


def test_loops_that_leave_their_arrays_are_found():
    with pytest.raises(IndexError):
        pg.check(layer(beyond_forward, backward_of(1, 1)), (2, 3, 4))


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
    with pytest.raises(pg.DataError, match=r"takes a Dataset, got '0.2'"):
        pg.train(net, pg.digits().train, validation=0.2)


def test_the_network_ends_as_it_was_at_its_best_epoch():
    train, held = pg.digits().train.split(0.3)
    net = pg.model("mlp").network((1, 8, 8))
    history = pg.train(net, train, pg.SGD(rate=0.4, momentum=0.9), epochs=6, schedule=pg.Constant(), validation=held)
    assert pg.score(net, held) == max(entry["validation_accuracy"] for entry in history)


@pytest.mark.parametrize("nests", [lambda x, y: None, ["x"], (len,)])
def test_a_layer_of_undecorated_functions_is_told(nests):
    with pytest.raises(TypeError, match="each decorated with @loops"):
        type("Own", (pg.Layer,), {"forward": nests})
