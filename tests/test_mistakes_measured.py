"""What `benchmarks/mistakes.py` measured is about the mistakes there are, and is told as it was measured."""

import importlib
import itertools
import json
import math
import pathlib
import statistics
import sys
from types import SimpleNamespace

import pytest

from diseased import HOW_MUCH
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.verdict import trained
from plaingrad.checking.verdict.trained import learns, measured, trains

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def scripts():
    """`mistakes` measures, `mistaken` trains."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in ("mistakes", "mistaken")})
    for name in ("mistakes", "mistaken"):
        sys.modules.pop(name)


NOT_THERE = {*HOW_MUCH, "ties-split-unequally", "groups-otherwise", "channels-reversed"}


def can_be_measured(mistake, kinds):
    """Conventions are no mistakes; what asks how much a program `given` was off has no size of its own.

    And the networks that are trained have only layers of these kinds, no skips, no groups, and images of one channel.
    """
    told = [each.partition(".") for each in mistake.passes]
    is_there = any(kind in kinds and way != "dy" for kind, _, way in told)
    return is_there and not mistake.convention and mistake.id not in NOT_THERE


def test_every_mistake_that_can_be_measured_was_and_no_other(scripts):
    settings = scripts.mistaken.SETTINGS.values()
    kinds = {"*", "loss"} | {type(each).__name__ for setting in settings for each in (*setting.layers, setting.loss)}
    expected = {id for id, mistake in CATALOGUE.items() if can_be_measured(mistake, kinds)}
    assert set(measured()["mistakes"]) == expected, "run `make mistakes`, with ONLY=id,id for new ones"


def test_each_was_measured_where_the_script_finds_that_it_changes_something(scripts):
    works = scripts.mistakes.planned()
    found = {work.id: (work.network, *work.places[0]) for work in works if len(work.places) == 1}
    everywhere = {work.id for work in works if len(work.places) > 1}
    rows = measured()["mistakes"]
    assert {id: (row["network"], *row["pass"].split(".")) for id, row in rows.items()} == found
    assert {id for id, row in rows.items() if "everywhere" in row} == everywhere


def test_the_networks_are_those_of_the_script(scripts):
    told = measured()["networks"]
    assert told.keys() == scripts.mistaken.SETTINGS.keys()
    for network, setting in scripts.mistaken.SETTINGS.items():
        each = told[network]
        assert (each["layers"], each["rate"]) == ([str(layer) for layer in setting.layers], setting.rate)
        assert (each["loss"], len(each["right"])) == (str(setting.loss), len(scripts.mistakes.RIGHT_SEEDS))


def test_every_row_is_about_a_pass_of_the_mistake_beside_right_runs_of_the_same_seeds(scripts):
    told = measured()
    for id, row in told["mistakes"].items():
        network = told["networks"][row["network"]]
        assert row["right"] == statistics.median(network["right"][seed] for seed in scripts.mistaken.SEEDS)
        quantity = row["pass"].partition(".")[2]
        way = quantity if quantity.startswith("d") or quantity == "y" else "update"
        assert any(each.endswith((f".{way}", ".*")) for each in CATALOGUE[id].passes), row
        for accuracy in (row["accuracy"], row.get("everywhere")):
            assert accuracy is None or 0 <= accuracy <= 1
    # A right network learns: the worst of them is above every untrained one.
    assert all(min(each["right"]) > max(each["untrained"]) for each in told["networks"].values())


def test_what_only_the_printed_loss_shows_changes_no_accuracy():
    rows = [row for row in measured()["mistakes"].values() if row["pass"] == "loss.y"]
    assert rows
    assert all(row["accuracy"] == row["right"] for row in rows)


@pytest.mark.long
def test_a_mistake_measured_again_comes_to_what_is_told(scripts):
    # Nothing in its network chooses: no maximum, no ReLU. An exponential that is off in its last bit, as another
    # machine's may be, moves no image over the border of two classes, unless it lies there to a dozen digits.
    id = "slope-squared"
    row = measured()["mistakes"][id]
    layers = measured()["networks"][row["network"]]["layers"]
    assert not any(word in layer for layer in layers for word in ("Max", "ReLU"))
    work = scripts.mistaken.Work(row["network"], id, 0, (tuple(row["pass"].split(".")),))
    again = statistics.median(scripts.mistaken.trained(work, seed)[1] for seed in scripts.mistaken.SEEDS)
    assert round(again, scripts.mistakes.DIGITS) == row["accuracy"] != row["right"]


def test_a_mistake_is_made_in_every_step_and_in_its_pass_alone(scripts):
    work = scripts.mistaken.Work("tanh, mean pool and stride", "never-updated", 0, (("conv2", "w"),))
    program = scripts.mistaken.program_of(work.network, 0)
    first = program.start()
    for t, env in enumerate(itertools.islice(scripts.mistaken.steps(program, work), 3), 1):
        for place in scripts.mistaken.weights_of(program):
            stays = (env[t, *place].value == first[0, *place].value).all()
            assert stays == (place in work.places), (t, place)


def test_a_mistake_on_the_way_forward_is_made_in_testing_too(scripts):
    network, program = "sigmoid and squared error", scripts.mistaken.program_of("sigmoid and squared error", 0)
    falling = scripts.mistaken.Work(network, "another-activation", 6, (("sigmoid2", "y"),))  # 1 / (1 + e^x)
    right, other = (
        scripts.mistaken.tested(program, program.start(), 1, work) for work in (scripts.mistaken.Work(network), falling)
    )
    assert other != right  # of each image the class with the smallest number, and not with the largest


@pytest.mark.parametrize("network", ["tanh, mean pool and stride", "softmax and cross-entropy"])
def test_the_script_sees_a_compiled_pass_that_is_not_the_librarys(scripts, network, monkeypatch):
    scripts.mistakes.prove(network)
    value, unit = scripts.mistaken.Quick.value, scripts.mistaken.UNIT
    # Off by many roundings, and yet by nothing that training would show.
    monkeypatch.setattr(scripts.mistaken.Quick, "value", lambda *args: value(*args) * (1 + 1000 * unit))
    with pytest.raises(AssertionError, match="conv1"):
        scripts.mistakes.prove(network)


def test_the_script_sees_a_compiled_mistake_that_is_not_the_catalogues(scripts, monkeypatch):
    work = next(work for work in scripts.mistakes.planned() if work.id == "derivative-incomplete")
    scripts.mistakes.prove_wrong(work)
    monkeypatch.setattr(scripts.mistaken.Compiled, "call", lambda self, way, others, changes=(): None)
    with pytest.raises(AssertionError, match="derivative-incomplete"):
        scripts.mistakes.prove_wrong(work)


def test_a_median_beyond_the_finite_numbers_is_told_as_none(scripts):
    network, work = (
        {"right": [0.5, 0.75, 1.0, 0.875, 0.625]},
        scripts.mistaken.Work("one", "uphill", 0, (("conv2", "w"),)),
    )
    told = {"mistakes": {}, "networks": {"one": network}}
    scripts.mistakes.add(told, work, [0.25, 0.5, -math.inf, -math.inf, 0.75])
    everywhere = scripts.mistaken.Work("one", "uphill", 0, (("conv2", "w"), ("conv2", "b")))
    scripts.mistakes.add(told, everywhere, [0.25, 0.5, -math.inf, -math.inf, -math.inf])
    row = {"accuracy": 0.25, "right": 0.75, "pass": "conv2.w", "network": "one", "everywhere": None}
    assert told["mistakes"] == {"uphill": row}


@pytest.mark.long
def test_one_alone_is_measured_and_the_others_stay(scripts, monkeypatch, tmp_path, capsys):
    file = tmp_path / "trains.json"
    kept = measured()["mistakes"]["negated"]
    file.write_text(json.dumps(measured() | {"mistakes": {"negated": kept}}), encoding="utf-8")
    monkeypatch.setattr(scripts.mistakes, "FILE", file)
    monkeypatch.setattr(scripts.mistakes, "prove", lambda network: None)
    monkeypatch.setattr(
        scripts.mistakes, "results", lambda pool, works, seeds: [[(0.0, 0.5)] * len(seeds) for _ in works]
    )
    monkeypatch.setattr(sys, "argv", ["mistakes.py", "--only", "uphill"])
    scripts.mistakes.main()
    rows = json.loads(file.read_text(encoding="utf-8"))["mistakes"]
    assert rows["negated"] == kept
    assert (rows["uphill"]["accuracy"], rows["uphill"]["everywhere"], len(rows)) == (0.5, 0.5, 2)
    monkeypatch.setattr(sys, "argv", ["mistakes.py", "--only", "uphil"])
    with pytest.raises(SystemExit):
        scripts.mistakes.main()
    assert "uphil is no mistake" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("accuracy", "told"),
    [
        (0.96, "yes, 96.0%, even better"),
        (0.95, "yes, 95.0%: accuracy does not show it"),
        (0.9, "yes, 90.0%: accuracy does not show it"),
        (0.89, "worse, 89.0%"),
        (0.2, "no, 20.0%"),
        (None, "no: its numbers became infinite or NaN"),
    ],
)
def test_what_is_the_same_is_said_by_the_right_networks_and_what_is_nothing_by_untrained_ones(accuracy, told):
    assert learns(accuracy, {"right": [0.95, 0.9, 0.93], "untrained": [0.1, 0.2]}).startswith(told)


def test_the_words_say_where_it_was_made_and_what_comes_of_it_everywhere(monkeypatch):
    row = {"accuracy": 0.9, "right": 0.92, "pass": "conv2.w", "network": "one", "everywhere": None}
    networks = {"one": {"right": [0.9, 0.95], "untrained": [0.1], "rate": 0.25}}
    known = {"about": "some digits", "networks": networks, "mistakes": {"uphill": row}}
    monkeypatch.setattr(trained, "measured", lambda: known)
    assert trains("uphill", (1, "dense1", "b")) == (
        "yes, 90.0%: accuracy does not show it; without the mistake 92.0% "
        "(measured with the mistake in conv2.w; in every update: no: its numbers became infinite or NaN; "
        "learning rate 0.25; some digits)"
    )
    elsewhere = trains("uphill", (1, "conv1", "dw"))
    assert elsewhere.startswith("not measured for this kind of quantity. For another: yes, 90.0%")
    assert trains("momentum-added", (1, "conv1", "w")) == ""
