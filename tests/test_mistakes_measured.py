"""What `benchmarks/mistakes.py` measured is about the mistakes there are, and is told as it was measured."""

import pytest

from plaingrad.checking import telling
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.telling import learns, measured, trains


def can_be_measured(mistake):
    """Conventions are no mistakes; and what asks how much a program `given` was off has no size of its own."""
    return not mistake.convention and "given" not in mistake.wrong.__code__.co_names


def test_every_mistake_that_can_be_measured_was_and_no_other():
    expected = {id for id, mistake in CATALOGUE.items() if can_be_measured(mistake)}
    assert set(measured()["mistakes"]) == expected, "run `make mistakes`, with ONLY=id,id for new ones"


def test_every_row_is_about_a_network_and_a_pass_of_the_mistake():
    told = measured()
    for id, row in told["mistakes"].items():
        network = told["networks"][row["network"]]
        assert min(network["right"]) <= row["right"] <= max(network["right"])
        layer, _, quantity = row["pass"].partition(".")
        way = quantity if quantity.startswith("d") or quantity == "y" else "update"
        assert any(each.endswith((f".{way}", ".*")) for each in CATALOGUE[id].passes), row
        assert (way == "update") == ("everywhere" in row), row
        for accuracy in (row["accuracy"], row.get("everywhere")):
            assert accuracy is None or 0 <= accuracy <= 1
    # A right network learns: the worst of them is above every untrained one.
    assert all(min(each["right"]) > max(each["untrained"]) for each in told["networks"].values())


def test_what_only_the_printed_loss_shows_changes_no_accuracy():
    rows = [row for row in measured()["mistakes"].values() if row["pass"] == "loss.y"]
    assert rows
    assert all(row["accuracy"] == row["right"] for row in rows)


@pytest.mark.parametrize(
    ("accuracy", "told"),
    [
        (0.96, "yes, 96.0%, even better"),
        (0.95, "yes, 95.0%: accuracy does not show it"),
        (0.9, "yes, 90.0%: accuracy does not show it"),
        (0.89, "worse, 89.0%"),
        (0.2, "no, 20.0%"),
        (None, "no: its numbers leave the finite ones"),
    ],
)
def test_what_is_the_same_is_said_by_the_right_networks_and_what_is_nothing_by_untrained_ones(accuracy, told):
    assert learns(accuracy, {"right": [0.95, 0.9, 0.93], "untrained": [0.1, 0.2]}).startswith(told)


def test_the_words_say_where_it_was_made_and_what_comes_of_it_everywhere(monkeypatch):
    row = {"accuracy": 0.9, "right": 0.92, "pass": "conv2.w", "network": "one", "everywhere": None}
    networks = {"one": {"right": [0.9, 0.95], "untrained": [0.1]}}
    known = {"about": "some digits", "networks": networks, "mistakes": {"uphill": row}}
    monkeypatch.setattr(telling, "measured", lambda: known)
    assert trains("uphill") == (
        "yes, 90.0%: accuracy does not show it; without it 92.0% "
        "(made in conv2.w; made in every update: no: its numbers leave the finite ones; some digits)"
    )
    assert trains("momentum-added") == ""
