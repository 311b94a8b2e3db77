"""The built-in models: they build, and they reach what is promised of them."""

import pathlib

import numpy as np
import pytest

from often import some
from plaingrad.data import digits, load
from plaingrad.errors import SettingError
from plaingrad.network.models import MODELS, model
from plaingrad.network.network import Network
from plaingrad.training.evaluation import score
from plaingrad.training.trainer import train

MNIST = pathlib.Path(__file__).parents[2] / "shared" / "data" / "mnist"
SEEDS = (0, 1, 2)


def trained(name, split, seed):
    """Test accuracy with the model's own recipe, and how many epochs it took."""
    chosen = model(name)
    net = chosen.network(split.train.shape, len(split.train.classes), seed)
    return len(train(net, split.train, **chosen.recipe.settings(), seed=seed)), score(net, split.test)


@pytest.fixture(scope="module")
def mnist():
    if not MNIST.is_dir():
        pytest.skip(f"MNIST is not in {MNIST}")
    return load("mnist", MNIST)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_its_json(name):
    net = model(name).network(seed=3)
    again = Network.from_json(net.to_json(), seed=3)
    assert again.layers == net.layers
    np.testing.assert_array_equal(again.parameters, net.parameters)


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(SettingError, match="did you mean 'lenet5'"):
        model("lenet")


@pytest.mark.parametrize("seed", some(SEEDS, lambda place: place == 0))
def test_digits_with_default_settings(seed):
    pytest.importorskip("numba", reason="training takes minutes without Numba")
    _, accuracy = trained("digits", digits(), seed)
    assert accuracy >= 0.985


@pytest.mark.mnist
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "least"), [("lenet5", 0.990), ("mlp", 0.97), ("lenet5-sigmoid", 0.98)])
def test_mnist_with_default_settings(mnist, name, least, seed):
    epochs, accuracy = trained(name, mnist, seed)
    assert epochs <= 5
    assert accuracy >= least


@pytest.mark.mnist
def test_mnist_with_the_best_recipe(mnist):
    chosen = model("lenet5")
    assert chosen.best.epochs <= 20
    found = []
    for seed in SEEDS:
        net = chosen.network(seed=seed)
        train(net, mnist.train, **chosen.recipe_for(chosen.input, best=True).settings(), seed=seed)
        found.append(score(net, mnist.test))
    assert np.mean(found) >= 0.994


def test_a_model_without_a_best_recipe_says_which_have_one():
    for chosen in MODELS.values():
        if chosen.best is None:
            with pytest.raises(SettingError, match=f"{chosen.name} has one recipe only; .* take lenet5"):
                chosen.recipe_for(chosen.input, best=True)
        else:
            assert chosen.recipe_for(chosen.input, best=True) == chosen.best
            assert chosen.recipe_for((1, 3, 3), best=True).augment is None


def test_a_recipe_in_words_says_all_of_it():
    for chosen in MODELS.values():
        for recipe in filter(None, (chosen.recipe, chosen.best)):
            for part in (
                recipe.epochs,
                recipe.batch,
                recipe.optimiser.in_full(),
                recipe.schedule,
                recipe.augment or "",
            ):
                assert str(part) in str(recipe)
