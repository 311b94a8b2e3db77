"""A training that stands still says why; one that goes well says nothing."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.training.standstill import _of_guessing_weighted

DIGITS = pg.digits().train.take(slice(0, 640))


def history(net: pg.Network, data: pg.Dataset = DIGITS, **more: Any) -> tuple[list[str], list[str]]:
    """The findings in the history, and all notices."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        entries = pg.train(net, data, **{"epochs": 2, "threads": 1, **more})
    lines = [str(each.message) for each in caught if issubclass(each.category, pg.Notice)]
    found = [line for entry in entries for line in entry.get("findings", ())]
    assert all(line in lines for line in found)
    assert len({line.partition(":")[0] for line in found}) == len(found)  # each once
    return found, lines


def dense(*between: Any, start: Any = None, units: int = 30) -> pg.Network:
    layers = [pg.Flatten()]
    for each in between:
        layers += [pg.Dense(units, start=start), each]
    return pg.Network(*layers, pg.Dense(10, start=start), input=(1, 8, 8), seed=1)


def convolution(start: Any = None) -> pg.Network:
    layers = pg.Conv(8, activation=pg.ReLU(), start=start), pg.MaxPool(2), pg.Flatten(), pg.Dense(10, start=start)
    return pg.Network(*layers, input=(1, 8, 8), seed=1)


def killed(net: pg.Network) -> pg.Network:
    """The network with biases so low that no unit ever fires."""
    for name, array in net.arrays.items():
        if name.endswith("1.b"):
            array[...] = -1e4
    return net


def dealt(data: pg.Dataset, seed: int) -> pg.Dataset:
    return pg.from_arrays(data.images, np.random.default_rng(seed).permutation(data.labels), data.classes)


SGD = pg.SGD
CONSTANT = {"schedule": pg.Constant()}
DISEASES: dict[str, tuple[Any, ...]] = {
    "dead ReLU, fused": ("dead ReLU", lambda: killed(convolution()), {}),
    "dead ReLU, alone": ("dead ReLU", lambda: killed(dense(pg.ReLU())), {}),
    "dead ReLU, by the rate": ("dead ReLU", convolution, {"optimiser": SGD(rate=2.0), **CONSTANT}),
    "rate too large": ("rate too large", convolution, {"optimiser": SGD(rate=2.0), **CONSTANT}),
    "rate too large, tanh": ("rate too large", lambda: dense(pg.Tanh()), {"optimiser": SGD(rate=50.0), **CONSTANT}),
    "rate too large, Adam": ("rate too large", convolution, {"optimiser": pg.Adam(rate=20.0), **CONSTANT}),
    "rate too small": ("rate too small", convolution, {"optimiser": SGD(rate=1e-6)}),
    "rate too small, Adam": ("rate too small", lambda: dense(pg.ReLU()), {"optimiser": pg.Adam(rate=1e-7)}),
    "saturated sigmoid": ("saturated sigmoid", lambda: dense(pg.Sigmoid(), start=pg.Uniform(100.0)), {}),
    "saturated tanh": ("saturated tanh", lambda: dense(pg.Tanh(), start=pg.Uniform(100.0)), {}),
    "all zero": ("equal weights", lambda: convolution(pg.Zeros()), {}),
    "all one": ("equal weights", lambda: dense(pg.Tanh(), start=pg.Ones()), {}),
    "zero behind sigmoids": ("equal weights", lambda: dense(pg.Sigmoid(), pg.Sigmoid(), start=pg.Zeros()), {}),
    "shuffled": ("shuffled labels", convolution, {"data": dealt(DIGITS, 0)}),
    "shuffled, other net": ("shuffled labels", lambda: dense(pg.Tanh()), {"data": dealt(DIGITS, 1), "epochs": 3}),
    "vanishing": ("vanishing gradient", lambda: dense(*[pg.Sigmoid()] * 9), {}),
}


@pytest.mark.parametrize("case", DISEASES)
def test_each_disease_is_told_by_its_name(case: str) -> None:
    name, make, more = DISEASES[case]
    found, _ = history(make(), **more)
    assert name in [line.partition(":")[0] for line in found], found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("epochs", [1, 2, 6])
@pytest.mark.parametrize("name", ["digits", "mlp"])
@pytest.mark.often(6)
def test_a_healthy_training_is_told_nothing(name: str, epochs: int, seed: int) -> None:
    net = pg.model(name).network((1, 8, 8), seed=seed)
    assert history(net, pg.digits().train, epochs=epochs, seed=seed) == ([], [])


@pytest.mark.parametrize("count", [1, 8, 40])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_training_of_a_few_steps_is_told_nothing(count: int, epochs: int) -> None:
    for data in (DIGITS.take(slice(0, count)), DIGITS.take(slice(count, 2 * count))):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "arrays|digits: every pixel", pg.Notice)
            pg.train(convolution(), data, epochs=epochs, threads=1)


@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid"])
@pytest.mark.parametrize("epochs", [1, 2])
def test_the_plateau_before_a_deep_network_learns_is_no_disease(name: str, epochs: int) -> None:
    large = pg.from_arrays(np.kron(DIGITS.images, np.ones((1, 1, 4, 4), "f4"))[..., 2:30, 2:30], DIGITS.labels)
    recipe = pg.model(name).recipe.settings() | {"epochs": epochs}
    assert history(pg.model(name).network(seed=3), large, **recipe) == ([], [])


def test_what_begins_equal_and_may_is_no_disease() -> None:
    """The scale of a normalisation is 1 in every channel; a short training with masks and noise learns little."""
    layers = [pg.Conv(4), pg.BatchNorm(), pg.ReLU(), pg.GroupNorm(2), pg.Flatten(), pg.Dropout(0.5), pg.Dense(10)]
    net = pg.Network(*layers, input=(1, 8, 8))
    assert history(net, epochs=1, augment="shift=2,cutout=4")[1] == []


NORMALISED = [
    (layer, sides, batch)
    for layer in (pg.BatchNorm(), pg.GroupNorm(1), pg.GroupNorm(4))
    for sides in ((1, 1), (1, 2))
    for batch in (1, 2, 3, 4, 20)
]


@pytest.mark.parametrize(("layer", "sides", "batch"), NORMALISED, ids=str)
def test_where_single_numbers_are_normalised_it_is_told_and_nothing_else(
    layer: pg.Layer, sides: tuple[int, int], batch: int
) -> None:
    """They are where no gradient goes back: the convolution before them never changes."""
    rng = np.random.default_rng(0)
    data = pg.from_arrays(rng.normal(size=(batch * 4 + 1, 2, *sides)), rng.integers(0, 2, batch * 4 + 1))
    net = pg.Network(pg.Conv(4, size=1), layer, pg.ReLU(), pg.Flatten(), pg.Dense(2), input=(2, *sides), seed=0)
    before = net["conv1"].w.copy()
    _, lines = history(net, data, batch=batch, optimiser=SGD(rate=1e-4), **CONSTANT)
    stays = bool((net["conv1"].w == before).all())
    told = [line.partition(":")[0] for line in lines]
    assert ("one number" in told) == stays
    assert "vanishing gradient" not in told


def test_weights_that_are_too_large_from_the_start_are_no_matter_of_the_rate() -> None:
    for first, calls in itertools.product((1e308, np.inf, np.nan), (pg.train, pg.find_rate)):
        net = pg.Network(pg.Flatten(), pg.Dense(10), input=(1, 8, 8), dtype="float64")
        net["dense1"].w[...] = first
        with pytest.raises(pg.DivergedError, match=r"before .*; begin with other") as caught:
            calls(net, DIGITS, threads=1)
        assert "rate " not in str(caught.value).removeprefix("find_rate ")


SOFTMAX = (pg.Flatten(), pg.Dense(10), pg.Softmax())


def test_a_softmax_twice_is_told_before_training_starts() -> None:
    net = pg.Network(*SOFTMAX, input=(1, 8, 8))
    with pytest.raises(pg.Notice, match="softmax twice"):
        pg.train(net, DIGITS, loss=pg.SoftmaxCrossEntropy())


def test_where_no_loss_is_told_it_fits_the_last_layer() -> None:
    """A network that ends in Softmax learns as one without under the loss that has it, and `predict` knows."""
    one, two = pg.Network(*SOFTMAX, input=(1, 8, 8)), pg.Network(*SOFTMAX[:2], input=(1, 8, 8))
    assert history(one, epochs=3) == history(two, epochs=3) == ([], [])
    np.testing.assert_allclose(one.parameters, two.parameters, atol=1e-3)
    np.testing.assert_allclose(pg.predict(one, DIGITS.images), pg.predict(two, DIGITS.images), atol=1e-3)


@pytest.mark.parametrize(
    ("last", "loss", "words"),
    [
        (pg.Sigmoid(), pg.SoftmaxCrossEntropy(), "squashed scores"),
        (pg.Tanh(), pg.SoftmaxCrossEntropy(), "squashed scores"),
        (pg.Dense(10), pg.CrossEntropy(), "no softmax"),
    ],
)
def test_a_last_layer_that_does_not_fit_the_loss_is_told_of(last: Any, loss: Any, words: str) -> None:
    net = pg.Network(pg.Flatten(), pg.Dense(10), last, input=(1, 8, 8))
    with pytest.raises(pg.Notice, match=words):
        pg.train(net, DIGITS, loss=loss)


def test_the_loss_of_guessing_is_the_least_that_one_answer_for_all_images_has() -> None:
    """Smoothed and weighted too: any other scores, the same for all images, are worse; without either it is as plain.

    To 1e-9, between rounding, some 1e-15, and what the changes of the scores cost, some 0.01.
    """
    rng, shares = np.random.default_rng(0), np.array([0.5, 0.0, 0.125, 0.375])
    loss = pg.WeightedCrossEntropy((2.0, 1.0, 3.0, 0.5), label_smoothing=0.2)
    guessed = _of_guessing_weighted(loss, shares)
    plain = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
    assert _of_guessing_weighted(pg.WeightedCrossEntropy(), shares) == pytest.approx(plain, abs=1e-9)
    net = pg.Network(pg.Flatten(), input=(4,), dtype="float64")
    record = net.run(np.zeros((1, 4)), shares[None], loss).records["loss"]
    best = np.log(record["weighted_target"][:, 0])
    losses = []
    for scores in [best, *(best + 0.3 * rng.standard_normal((20, 4)))]:
        made = net.run(scores[None], shares[None], loss)["loss"]
        losses.append(float((made.y * made.share).sum()))
    assert guessed == pytest.approx(losses[0], abs=1e-9)
    assert min(losses[1:]) > guessed + 1e-9
