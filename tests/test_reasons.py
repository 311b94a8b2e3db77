"""Why a number of dropout, a normalisation or a skip is what it is: a sentence names the numbers it is about."""

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.cli.explain_network import own_network
from plaingrad.explaining import tracer_of
from plaingrad.explaining.facts import layers_told, note, sheets_shown
from plaingrad.explaining.page import Page
from plaingrad.explaining.reasons_of_layers import ALONE
from plaingrad.explaining.way import way_back
from plaingrad.textbook.record import json_text

LAYERS = (
    *(pg.Conv(2, padding=1), pg.BatchNorm(), pg.ReLU(), pg.Conv(3, padding=1, stride=2), pg.GroupNorm(1)),
    *(pg.Add("relu1"), pg.Dropout(0.25), pg.GlobalMeanPool(), pg.Dense(3)),
)


def residual(count: int, **more: Any) -> Any:
    """A block with a skip that halves the map, run on so many images."""
    net = pg.Network(*LAYERS, input=(1, 4, 4), dtype="float64", seed=1)
    images = np.random.default_rng(2).standard_normal((count, 1, 4, 4))
    return net.run(images, np.arange(count) % 3, **more)


def names(run: Any, array: str) -> list[str]:
    """Every number of an array by its name."""
    twin = tracer_of(run).twin
    sheet = twin.sheets[twin.names[array]]
    return [twin.name(cell) for cell in range(sheet.start, sheet.stop)]


@pytest.mark.parametrize("count", [1, 3])
def test_the_error_of_an_output_that_went_two_ways_is_the_sum_of_both(count: int) -> None:
    run = residual(count)
    for name in names(run, "relu1.dy"):
        told = run.explain(name)
        place = name.partition("[")[2]
        assert [term.factors[0].name for term in told.terms] == [f"conv2.dx[{place}", f"add1.dskip[{place}"]
        assert told.value == sum(term.product for term in told.terms)
        (reason,) = told.reasons
        assert all(f"{term.factors[0].name} = " in reason for term in told.terms)
        assert "into conv2" in reason
        assert "into add1" in reason
        assert str(told).splitlines()[-1] == "  see also: plaingrad questions skip"


def test_a_skip_says_where_it_brings_nothing() -> None:
    run = residual(2)
    back = {name: run.explain(name) for name in names(run, "add1.dskip")}
    for name, told in back.items():
        *_, row, column = map(int, re.findall(r"\d+", name.partition("[")[2]))
        taken = row % 2 == column % 2 == 0
        assert len(told.terms) == taken
        assert any("every second row and every second column of relu1" in each for each in told.reasons) != taken
    for name in names(run, "add1.y"):
        is_new = int(re.findall(r"\d+", name.partition("[")[2])[1]) == 2
        assert (
            run.explain(name).reasons == ["relu1 has only 2 channels, so the skip adds nothing to this one"]
        ) == is_new


@pytest.mark.parametrize("quantity", ["y", "dx"])
def test_dropout_says_what_was_drawn_for_a_number(quantity: str) -> None:
    run = residual(3)
    drawn = set()
    for name in names(run, f"dropout1.{quantity}"):
        told = run.explain(name)
        mask = run.explain(f"dropout1.mask[{name.partition('[')[2]}")
        (reason,) = told.reasons
        assert reason.startswith(f"{mask.quantity} = {mask.value:g} was drawn: ")
        assert ("dropped" in reason) == (mask.value == 0)
        assert ("divided by 1 − rate = 0.75" in reason) == (mask.value == 1)
        assert mask.value or told.value == 0
        drawn.add(mask.value)
    assert drawn == {0, 1}


@pytest.mark.parametrize(
    ("layer", "mean", "product_of"), [("batchnorm1", "db", "dw"), ("groupnorm1", "mean_error", "mean_product")]
)
def test_a_normalisation_tells_the_three_ways_back(layer: str, mean: str, product_of: str) -> None:
    run = residual(2)
    for name in names(run, f"{layer}.dx")[::7]:
        told = run.explain(name)
        assert len(told.terms) == 3
        for term, quantity in zip(told.terms, ("dy", mean, product_of), strict=True):
            assert any(each.name.startswith(f"{layer}.{quantity}[") for each in term.factors)
        (reason,) = told.reasons
        assert f"(the term with {layer}.{mean}[" in reason
        assert f"(the term with {layer}.{product_of}[" in reason


@pytest.mark.parametrize("count", [1, 2])
def test_what_mixes_images_says_whose_they_were(count: int) -> None:
    """A batch is told as it was; one image alone says that it is none."""
    run = residual(count)
    for quantity in ("mean", "variance"):
        told = run.explain(f"batchnorm1.{quantity}[0]")
        images = "1 image" if count == 1 else "2 images"
        assert f"taken over the {images} of this run: {16 * count} numbers of each channel" in told.reasons
        assert len(told.terms) == 16 * count
    for name in ("mean[0]", "normal", "y", "dw[0]", "dx"):
        name = name if "[" in name else f"{name}[{'0,' * (count > 1)}0,1,1]"
        assert (ALONE in run.explain(f"batchnorm1.{name}").reasons) == (count == 1), name
    assert (note(tracer_of(run)) is not None) == (count == 1)
    trained = run.net.run(np.zeros((count, 1, 4, 4)))
    assert note(tracer_of(trained)) is None
    (reason,) = trained.explain(f"batchnorm1.y[{'0,' * (count > 1)}0,1,1]").reasons
    assert "running mean and variance" in reason


def test_an_image_of_a_batch_that_was_mixed_has_no_page() -> None:
    with pytest.raises(pg.SettingError, match="batchnorm1 mixes the images of a run"):
        Page(residual(2))


def test_a_network_on_the_command_line_says_that_its_image_is_alone(tmp_path: Any) -> None:
    net = pg.Network(*LAYERS, input=(1, 4, 4))
    (tmp_path / "net.json").write_text(json_text(net.to_json()), "utf-8")
    told = own_network(str(tmp_path / "net.json"), "random", None, None, 0)
    assert told.note == f"batchnorm1 mixes the images of a batch. Here {ALONE}."
    assert Page(told.run).data()["note"] == told.note


def test_every_array_of_a_page_stands_on_one_card_with_the_text_that_made_it() -> None:
    """What an array is found by: also the errors of two ways, which no layer alone makes."""
    tracer = tracer_of(residual(1))
    layers = layers_told(tracer)
    lists = ("values", "errors", "weights", "gradients", "others")
    shown = [name for layer, key in product(layers, lists) for name in layer[key]]
    assert sorted(shown) == sorted(each.name for each in sheets_shown(tracer))
    texts = {text["name"] for layer in layers for text in layer["texts"]}
    made = {making.task.text.__name__ for making in tracer.makings.values()}
    assert made <= texts
    for layer in layers:
        for name in layer["errors"]:
            own = name.rpartition(".")[2]
            assert own in ("dy", "dz") or layer["name"] == "input" or own in layer["rules"], name


@pytest.mark.parametrize(
    "opens", ["conv1.dw[0,0,1,1]", "batchnorm1.dw[1]", "conv1.dy[0,2,2]", "groupnorm1.mean_error[0]"]
)
def test_a_page_of_a_part_holds_the_error_s_way_to_its_number(opens: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the loss on, however few terms there is room for; each number with its terms."""
    monkeypatch.setattr("plaingrad.explaining.page.MOST_TERMS", 100)
    monkeypatch.setattr("plaingrad.explaining.page.SLICE_TERMS", 4000)
    page = Page(residual(1), opens=opens)
    data = page.data()
    way = way_back(page.tracer, page.twin.cell(opens))
    assert page.twin.sheet_of(way[-1]).name == page.twin.names["loss.dx"]
    for cell in way:
        sheet = page.twin.sheet_of(cell)
        assert cell - sheet.start in data["arrays"][sheet.name]["held"], page.twin.name(cell)
