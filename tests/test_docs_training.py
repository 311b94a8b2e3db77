"""docs/training.md names every setting, option, schedule and finding there is, with its default."""

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import plaingrad as pg
from plaingrad.cli.main import cli
from plaingrad.network.augment import Augment
from plaingrad.textbook.optimisers import Optimiser
from plaingrad.training.preparing import OPTIMISERS, SCHEDULES

PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text("utf-8")
COMMAND_ONLY = {
    "--model",
    "--best",
    "--class-weights",
    "--label-smoothing",
    "--data",
    "--data-dir",
    "--label",
    "--shape",
    "--dtype",
    "--resume",
    "--no-report",
    "--json",
}


def table(heading: str) -> list[list[str]]:
    """The cells of each row of the table with this first heading."""
    lines = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_has_every_setting_with_its_default() -> None:
    told = {name: parameter.default for name, parameter in inspect.signature(pg.Trainer).parameters.items()}
    for name in ("net", "data", "foreign"):
        del told[name]
    trainer = pg.Trainer(pg.model("digits").network(), pg.digits().train)
    used = told | {name: getattr(trainer, name) for name in ("optimiser", "schedule", "loss")}
    rows = {code(row[0])[0]: row[2] for row in table("Python")}
    assert rows == {name: "none" if value is None else f"`{value!r}`" for name, value in used.items()}


def test_the_tables_have_every_option_of_train() -> None:
    options = {option.opts[0] for option in cli.commands["train"].params}
    beside = {word for row in table("Python") for word in code(row[1])}
    alone = {word for row in table("command line only") for word in code(row[0])}
    assert alone == COMMAND_ONLY
    assert beside | alone == options
    assert not beside & alone
    for row in table("Python"):
        assert all(word == f"--{code(row[0])[0]}" or word == "--rate" for word in code(row[1]))


def settings(record: Any) -> str:
    return ", ".join(field.name for field in fields(record))


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_schedule_has_a_row(name: str) -> None:
    rows = {code(row[0])[0]: code(row[1])[0] for row in table("name")}
    assert list(rows) == list(SCHEDULES)
    assert rows[name] == f"{type(SCHEDULES[name]).__name__}({settings(SCHEDULES[name])})"


def test_optimisers_and_augmentation_are_told() -> None:
    row = next(row for row in table("Python") if row[0] == "`optimiser`")
    assert set(OPTIMISERS) <= set(code(row[3]))
    told = PAGE[PAGE.index("## Optimisers") : PAGE.index("## Schedules")]
    assert all(f"`{name}(" in told for name in Optimiser.kinds())
    told = PAGE[PAGE.index("## Augmentation") : PAGE.index("## Clipping")]
    assert all(f"{name}=" in told for name in Augment().settings())


def test_the_settings_of_a_range_test_are_told() -> None:
    told = PAGE[PAGE.index("## A rate to begin with") : PAGE.index("## Augmentation")]
    names = set(inspect.signature(pg.find_rate).parameters) - {"net", "data", "then", "foreign"}
    assert names <= set(code(told))
