"""What people from elsewhere write either works or is answered by one line that says what to write."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.cli.main import cli, main
from plaingrad.textbook.habits import KEYWORDS, METHODS, NAMES
from plaingrad.textbook.layer import Layer, Start
from plaingrad.textbook.optimisers import Optimiser, Schedule

DIGITS = pg.digits()
FEW = DIGITS.train.take(slice(0, 40))
X, Y = FEW.images, FEW.labels
RECORDS = {
    name: kind
    for family in (Layer, Start, Optimiser, Schedule)
    for name, kind in family.kinds().items()
    if kind.__module__.startswith("plaingrad.")
}


def small() -> pg.Network:
    layers = [pg.Conv(2, activation="relu"), pg.MaxPool(2), pg.Flatten(), pg.Dense(10)]
    return pg.Network(layers, input=(1, 8, 8), seed=0)


def callers() -> dict[str, tuple[Callable[..., Any], list[str]]]:
    """Everything that takes settings by keyword, and those it has."""
    found: dict[str, tuple[Callable[..., Any], list[str]]] = {
        name: (kind, [each.name for each in fields(kind)]) for name, kind in RECORDS.items()
    }
    settings = [*inspect.signature(pg.Trainer).parameters][2:-1]
    for name, call in (("train", pg.train), ("Trainer", pg.Trainer)):
        found[name] = (lambda call=call, **more: call(small(), FEW, **more), settings)
    found["Network"] = (lambda **more: pg.Network(pg.Flatten(), **more), ["input", "seed", "dtype", "name"])
    return found


@pytest.mark.parametrize("who", callers())
def test_every_keyword_of_others_is_answered_by_ours(who: str) -> None:
    call, known = callers()[who]
    for ours, theirs in KEYWORDS.items():
        for each in theirs:
            assert each not in known
            with pytest.raises(pg.SettingError) as caught:
                call(**{each: 1})
            assert "\n" not in str(caught.value)
            if ours in known:
                assert f"here it is called {ours}:" in str(caught.value)
    with pytest.raises(pg.SettingError, match="which it does not have"):
        call(nonsense=1)


@pytest.mark.parametrize("name", ["lr", "learning_rate", "momentum", "weight_decay"])
def test_what_is_the_optimisers_is_said_to_be_its(name: str) -> None:
    with pytest.raises(pg.SettingError, match=r"that is the optimiser's: write optimiser=SGD\("):
        pg.train(small(), FEW, **{name: 0.1})


def test_a_network_is_a_list_of_its_layers_and_a_function() -> None:
    net = small()
    assert len(net) == 4
    assert [each.name for each in net] == list(net.steps)
    assert net[0] is net["conv1"]
    assert net[-1] is net["dense1"]
    assert "conv1" in net
    assert "conv2" not in net
    with pytest.raises(IndexError, match="4 layers"):
        net[4]
    np.testing.assert_array_equal(net(X), pg.Inference(net)(X))
    assert "Conv(2" in repr(net[0])
    with pytest.raises(AttributeError, match="here it is called w"):
        net[0].weight  # noqa: B018


def test_images_and_labels_are_taken_apart_too() -> None:
    nets = [small() for _ in range(4)]
    pg.train(nets[0], FEW, "adam", epochs=1, threads=1)
    pg.train(nets[1], X, Y, optimiser=pg.Adam(), epochs=1, threads=1)
    pg.train(nets[2], (X, Y), "Adam", epochs=1, threads=1)
    pg.train(nets[3], X.tolist(), Y.tolist(), optimiser="adam", epochs=1, threads=1)
    for net in nets[1:]:
        np.testing.assert_allclose(net.parameters, nets[0].parameters, atol=1e-6)
    assert pg.score(nets[0], X, Y) == pg.score(nets[0], FEW)
    np.testing.assert_array_equal(pg.predict(nets[0], FEW), pg.predict(nets[0], X))
    assert pg.from_arrays(X, Y, 12).classes == tuple(map(str, range(12)))
    train, test = pg.digits()
    assert (len(train), len(test)) == (1437, 360)


def test_validation_can_be_a_share() -> None:
    nets = [small(), small()]
    rest, held = FEW.split(0.25, seed=3)
    one = pg.train(nets[0], FEW, epochs=2, validation=0.25, seed=3, threads=1)
    two = pg.train(nets[1], rest, epochs=2, validation=held, seed=3, threads=1)
    assert (nets[0].parameters == nets[1].parameters).all()
    assert [each["validation_loss"] for each in one] == [each["validation_loss"] for each in two]


@pytest.mark.parametrize(
    ("what", "name", "expected"),
    [
        *(("optimiser", name, pg.AdamW()) for name in ("adamw", "AdamW")),
        ("optimiser", "sgd", pg.SGD()),
        *(("schedule", name, pg.OneCycle()) for name in ("onecycle", "one_cycle", "OneCycle")),
        *(("loss", name, pg.SoftmaxCrossEntropy()) for name in ("cross_entropy", "sparse_categorical_crossentropy")),
        ("loss", "mse", pg.MeanSquaredError()),
    ],
)
def test_settings_can_be_named_in_words(what: str, name: str, expected: Any) -> None:
    assert getattr(pg.Trainer(small(), FEW, **{what: name}), what) == expected
    with pytest.raises(pg.SettingError, match="choose from"):
        pg.Trainer(small(), FEW, **{what: "nonsense"})


def test_cross_entropy_in_words_is_the_one_that_fits() -> None:
    net = pg.Network(pg.Flatten(), pg.Dense(10), pg.Softmax(), input=(1, 8, 8))
    assert pg.Trainer(net, FEW, loss="cross_entropy").loss == pg.CrossEntropy()


@pytest.mark.parametrize("name", NAMES)
def test_names_of_others_say_what_to_write(name: str) -> None:
    if name != "layers":  # a module of ours
        with pytest.raises(AttributeError, match="; write "):
            getattr(pg, name)


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_others_say_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match="; write "):
        getattr(small(), name)


def test_a_network_is_not_a_run() -> None:
    with pytest.raises(pg.SettingError, match=r"explain\(net.run\(images, labels\)\)"):
        pg.explain(small())


@pytest.mark.parametrize(
    ("theirs", "ours"), [("--lr", "--rate"), ("--batch-size", "--batch"), ("--optimizer", "--optimiser")]
)
def test_options_of_others_are_answered_by_ours(theirs: str, ours: str, capsys: Any) -> None:
    assert "train" in cli.commands
    with pytest.raises(SystemExit):
        main(["train", theirs, "1"])
    assert f"Write {ours}." in capsys.readouterr().err


def test_images_without_labels_are_told_so() -> None:
    net = small()
    with pytest.raises(pg.DataError, match=r"without labels; give both, train\(net, images, labels\)"):
        pg.train(net, np.zeros((4, *net.input)))
