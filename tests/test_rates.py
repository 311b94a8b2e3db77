"""The learning rate range test: what it does by definition, what it leaves alone, and what it suggests."""

import inspect
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.cli.main import cli
from plaingrad.compiler.loops import zeros
from plaingrad.training.rates import finder
from plaingrad.training.rates.finder import FEWEST, HIGHEST, LOWEST, MEMORY, STEPS, WHOLE, RateTest
from plaingrad.training.rates.plot import COLUMNS, ROWS, plotted
from plaingrad.training.shards import Shards
from plaingrad.training.updates import Updates

EVERYTHING: dict[str, Any] = {"augment": "shift=1,cutout=2", "clip": 1.0, "batch": 40}


def few(count: int = 150) -> pg.Dataset:
    return pg.digits().train.take(range(count))


def network(dtype: str = "float32") -> pg.Network:
    """With all that a training carries along: running values, masks, and errors that go two ways."""
    layers = [pg.Conv(3, size=3), pg.BatchNorm(), pg.ReLU(), pg.Conv(3, padding=1), pg.Add("relu1")]
    return pg.Network(*layers, pg.Flatten(), pg.Dropout(0.25), pg.Dense(10), input=(1, 8, 8), seed=1, dtype=dtype)


def numbers(net: pg.Network) -> list[Any]:
    """Every bit that a network is."""
    arrays = (net.parameters, net.state, net.offset, net.factor)
    return [net.seen, *(array.tobytes() for array in arrays)]


def bits(found: RateTest) -> list[Any]:
    return [found.rates.tobytes(), found.losses.tobytes(), found.smoothed.tobytes(), found.suggestion, found.ended]


def test_it_takes_the_steps_of_its_definition() -> None:
    """Step k at the rate lowest · ratio^k, with the batches of training with this seed: 64 + 64 + 22 an epoch."""
    data, net = few(), pg.Network(pg.Flatten(), pg.Dense(10), input=(1, 8, 8), dtype="float64")
    found = pg.find_rate(net, data, pg.SGD(), lowest=0.01, highest=10.0, steps=12, batch=64, seed=5)
    twin, losses, smoothed, mean = net.copy(), [], [], 0.0
    pg.Trainer(twin, data).standardise()
    with Shards(twin, pg.SoftmaxCrossEntropy(), 64) as shards:
        updates = Updates(shards, pg.SGD(rate=0.01), {"velocity": zeros(twin.parameters.shape, "f8")})
        for step in range(12):
            order = np.random.default_rng([5, step // 3]).permutation(150)
            index = order[step % 3 * 64 : (step % 3 + 1) * 64]
            losses.append(shards.step(data.images, data.labels, index, step)[0] / len(index))
            updates(step, (1000 ** (1 / 11)) ** step)
            mean = MEMORY * mean + (1 - MEMORY) * losses[-1]
            smoothed.append(mean / (1 - MEMORY ** (step + 1)))
    assert found.ended == WHOLE
    assert found.losses.tolist() == losses
    assert found.smoothed.tolist() == smoothed
    exact = [0.01 * 1000 ** (step / 11) for step in range(12)]
    # A power with a rounded base, and of it another: each relative error is below a few roundings a step.
    np.testing.assert_allclose(found.rates, exact, rtol=12 * 4 * 2**-53)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimiser", [pg.SGD(decay=0.001), pg.AdamW()], ids=str)
def test_threads_change_no_bit_and_the_seed_decides(dtype: str, optimiser: Any) -> None:
    net, ends = network(dtype), []
    for threads, seed in ((1, 0), (2, 0), (3, 0), (1, 1)):
        ends.append(bits(pg.find_rate(net, few(), optimiser, steps=20, seed=seed, threads=threads, **EVERYTHING)))
    assert ends[0] == ends[1] == ends[2] != ends[3]


@pytest.mark.parametrize("highest", [10.0, 1e30], ids=["ends", "diverges"])
def test_the_network_and_its_training_are_as_if_nothing_had_been(highest: float) -> None:
    plain, tested = network(), network()
    before = numbers(tested)
    pg.find_rate(tested, few(), "adam", highest=highest, steps=20)
    assert numbers(tested) == before
    for net in (plain, tested):
        pg.train(net, few(), epochs=1)
    assert numbers(tested) == numbers(plain)
    after = numbers(tested)
    pg.find_rate(tested, few(), steps=10)  # one that was trained keeps its offset, factor and running values
    assert numbers(tested) == after


def test_images_count_by_their_weights() -> None:
    data = few()
    weights = np.where(data.labels == 3, 100.0, 1.0)
    weighted = pg.from_arrays(data.images, data.labels, data.classes, weights=weights)
    one, other = (list(pg.find_rate(network(), each, steps=12).losses) for each in (data, weighted))
    assert one != other


def test_images_and_labels_may_be_given_apart() -> None:
    data, net = few(), network()
    expected = bits(pg.find_rate(net, data, pg.Adam(), steps=10))
    assert bits(pg.find_rate(net, data.images, data.labels, pg.Adam(), steps=10)) == expected
    assert bits(pg.find_rate(net, (data.images, data.labels), optimiser="adam", steps=10)) == expected


def test_it_ends_where_training_diverges() -> None:
    found = pg.find_rate(network(), few(), pg.SGD(momentum=0.0), lowest=1e10, highest=1e37, steps=50)
    assert len(found.rates) < 50
    assert found.suggestion is None
    assert np.isfinite([found.losses, found.smoothed]).all()
    assert found.advice == "no suggestion: the smoothed loss did not fall by a tenth; try rates below 1e+10"
    rising = pg.find_rate(pg.Network(pg.Flatten(), pg.Dense(10), input=(1, 8, 8)), few(), highest=1e6, steps=100)
    assert rising.ended == "the smoothed loss was 4 times its lowest value"
    assert rising.smoothed[-1] > 4 * rising.smoothed.min()
    assert (rising.smoothed[:-1] <= 4 * np.minimum.accumulate(rising.smoothed[:-1])).all()
    broken = network()
    broken["dense1"].b[3] = np.nan
    with pytest.raises(pg.DivergedError, match=r"find_rate: before the first step dense1\.b is not finite"):
        pg.find_rate(broken, few())


@pytest.mark.parametrize("ended", [float("inf"), float("nan")])
def test_a_loss_that_is_not_finite_ends_it(monkeypatch: pytest.MonkeyPatch, ended: float) -> None:
    steps = iter([2.0, 1.5, ended])
    monkeypatch.setattr(Shards, "step", lambda self, images, labels, index, *_: (next(steps) * len(index), 0))
    found = pg.find_rate(network(), few(), steps=10)
    assert found.losses.tolist() == [2.0, 1.5]
    assert found.ended == "the loss was no longer finite"


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss() -> None:
    rates = [10.0**k for k in range(-4, 1)]
    assert finder._suggested(rates, [2.0, 1.5, 1.0, 0.5, 3.0]) == rates[3] / 10
    assert finder._suggested(rates, [2.0, 2.0, 1.81, 2.0, 2.0]) is None  # less than a tenth
    assert finder._suggested(rates, [2.0, 2.1, 2.2, 2.3, 2.4]) is None
    assert finder._suggested(rates[:1], [2.0]) is None
    net = pg.Network(pg.Flatten(), pg.Dense(10), input=(1, 8, 8))
    found = pg.find_rate(net, few(), lowest=1e-3, highest=1e-2)
    assert found.suggestion == found.rates[found.lowest] / 10
    assert found.lowest == len(found.rates) - 1
    assert found.advice.endswith("it was still falling at the highest rate: try higher ones too")
    still = pg.find_rate(net, few(), lowest=1e-12, highest=1e-10, steps=20)
    assert still.advice.endswith("try higher rates, or more steps")


@pytest.mark.filterwarnings("ignore::plaingrad.errors.Notice")
@pytest.mark.parametrize("optimiser", [pg.SGD(), pg.Adam()], ids=str)
def test_with_the_suggestion_a_network_learns(optimiser: Any) -> None:
    """Better than with a thousandth and with a thousand times of it."""
    digits, ends = pg.digits(), []
    found = pg.find_rate(pg.model("mlp").network((1, 8, 8)), digits.train, optimiser)
    assert found.suggestion is not None
    for factor in (1, 1e-3, 1e3):
        net = pg.model("mlp").network((1, 8, 8))
        try:
            pg.train(net, digits.train, optimiser.replace(rate=factor * found.suggestion), epochs=3)
            ends.append(pg.score(net, digits.test))
        except pg.DivergedError:
            ends.append(0)
    assert ends[0] > max(ends[1:])


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        *(({"lowest": value}, "lowest=") for value in (0, -1.0, math.nan, math.inf, "1", True, None)),
        *(({"highest": value}, "highest=") for value in (0, math.inf, [1], 10**400, 1e300)),
        ({"lowest": 1e-320}, "lowest="),
        ({"lowest": 1.0, "highest": 1.0}, "lowest is to be below highest"),
        *(({"steps": value}, f"at least {FEWEST}") for value in (0, FEWEST - 1, 20.0, True)),
        ({"batch": 0}, "batch=0"),
        ({"threads": 0}, "threads=0"),
        ({"optimiser": "agam"}, "did you mean 'adam'"),
        ({"clip": 0}, "clip=0"),
        ({"augment": "shift=9"}, "take at most 7"),
        ({"start_lr": 1e-7}, "here it is called lowest"),
        ({"num_iter": 100}, "here it is called steps"),
        ({"epochs": 3}, "epochs=3, which it does not have"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_line(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(pg.SettingError, match=word) as caught:
        pg.find_rate(network(), few(), **settings)
    assert "\n" not in str(caught.value)


def test_too_many_arguments_are_refused() -> None:
    for then, settings in (((pg.SGD(), 3), {}), ((pg.SGD(),), {"optimiser": "adam"})):
        with pytest.raises(pg.SettingError, match="too many arguments"):
            pg.find_rate(network(), few(), *then, **settings)


def test_peers_names_lead_here() -> None:
    with pytest.raises(AttributeError, match=r"write find_rate\(net, data, optimiser\)"):
        getattr(pg, "lr_find")  # noqa: B009


# Drawn


def test_the_plot_has_each_loss_in_its_column() -> None:
    rates = np.geomspace(1e-3, 1.0, COLUMNS)  # one for each column
    losses = np.linspace(3.0, 1.0, COLUMNS)
    lines = list(plotted(rates, losses, 0.1))
    assert len(lines) == ROWS + 3
    cells = np.array([list(line[12:].ljust(COLUMNS)) for line in lines[:ROWS]])
    assert ((cells == "*").sum(axis=0) == 1).all()
    rows = (cells == "*").argmax(axis=0)
    assert (np.diff(rows) >= 0).all()
    assert rows[-1] == ROWS - 1
    labels = lines[ROWS + 1][12:]
    for power in ("0.001", "0.01", "0.1", "1"):
        column = round(math.log(float(power) / 1e-3) / math.log(1e3) * (COLUMNS - 1))
        assert labels[column:].split()[0] == power
        assert lines[ROWS][12 + column] == "┴"
    assert lines[-1][12:] == " " * round(2 / 3 * (COLUMNS - 1)) + "^ suggestion"
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("losses", [[2.0], [2.0, 2.0], [0.0, 0.0, 0.0], [3.0, 1.0, 1e30]], ids=str)
def test_any_losses_can_be_drawn(losses: list[float]) -> None:
    lines = list(plotted(np.geomspace(1e-3, 1e-2, len(losses)), np.array(losses), None))
    assert len(lines) == ROWS + 2
    assert sum(line.count("*") for line in lines) == len(losses)


def test_text_json_and_page_say_the_same(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    net = network()
    net.name = "<i>net</i> {{ 7 }}"
    found = pg.find_rate(net, few(), **EVERYTHING)
    assert str(found).splitlines()[-1] == found.advice
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["rates"] == found.rates.tolist()
    assert told["settings"]["clip"] == "1.0"
    found.save(tmp_path / "rates.html")
    page = (tmp_path / "rates.html").read_text("utf-8")
    assert "&lt;i&gt;net&lt;/i&gt; {{ 7 }} on digits" in page
    assert f"<strong>{found.suggestion:.2g}</strong>" in page
    assert page.count("<tr>") == 1 + len(found.rates)
    assert page.count('class="chart"') == 1
    for tag in ("<script", "<iframe", "<object", "<i>net", "src='http", 'src="http', 'href="http'):
        assert tag not in page
    found.save(tmp_path / "rates.html")
    assert [each.name for each in tmp_path.iterdir()] == ["rates.html"]
    with pytest.raises(pg.SettingError, match=r"cannot write a page to .*; name one, rates\.html say"):
        found.save(tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pg.find_rate(network(), few(), steps=10)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(pg.MissingError, match=r"the page of a range test needs jinja2.*plaingrad\[report\]"):
        found.save(tmp_path / "rates.html")
    assert not list(tmp_path.iterdir())


def test_the_help_tells_the_defaults_of_the_library() -> None:
    told = {option.name: option.help for option in cli.commands["find-rate"].params}
    for name, value in (("lowest", LOWEST), ("highest", HIGHEST), ("steps", STEPS)):
        assert told[name].endswith(f"[{value:g}]")


def test_the_command_takes_every_setting_of_the_function_and_every_option_of_train_that_changes_a_step() -> None:
    known = {option.name for option in cli.commands["find-rate"].params}
    settings = {*inspect.signature(pg.find_rate).parameters} - {"net", "data", "then", "foreign"}
    assert settings <= known
    of_run = {"best", "epochs", "rate", "schedule", "average", "validation", "patience", "out", "resume", "no_report"}
    assert {option.name for option in cli.commands["train"].params} - known == of_run
