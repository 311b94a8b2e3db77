"""What the page keeps so that a click is quick, in a real browser: the drawn layers, and that they are never stale."""

from pathlib import Path

import numpy as np
import pytest

from plaingrad.explaining.page import Page
from test_alive import run_with, saved, settle, slide
from test_page import (
    Browser,
    Own,
    browser,  # noqa: F401 (a fixture)
    chromium,  # noqa: F401
)
from test_page import (
    pytestmark as needs_chromium,
)

pytestmark = needs_chromium
VIEWS = ("values", "errors", "gradients")
COUNT = """
window.drawn = 0;
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...given) {
  window.drawn++;
  return draw.apply(this, given);
};
"""
PICTURES = """
const drawn = [...document.querySelectorAll("#layers canvas[data-array]")];
return [...drawn.map((each) => [each.dataset.array, each.toDataURL()]),
        ...[...document.querySelectorAll("#layers .bars")].map((each) => ["bars", each.textContent])];
"""


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """These networks are small: running their texts as Python takes less time than compiling them."""
    monkeypatch.setattr("plaingrad.compiler.loops.has_numba", lambda: False)


def rows(browser: Browser) -> dict[str, list[list[str]]]:
    """What each row of layers shows: as a strip and with all the room, in every view."""
    found = {}
    for size in ("strip", "whole"):
        if browser.js("return document.body.dataset.network") != size:
            browser.js("document.querySelector('#whole').click()")
        for view in VIEWS:
            browser.js("document.querySelector(`#views [value=${arguments[0]}]`).click()", view)
            assert browser.js("return document.body.dataset.network") == size
            found[f"{size} {view}"] = browser.js(PICTURES)
    return found


def test_layers_are_drawn_once_and_anew_where_numbers_or_colours_have_changed(browser: Browser, tmp_path: Path) -> None:
    name = "conv1.w[0,0,0,0]"
    changed = round(Own(run_with()).value(name) + 0.5, 2)
    path = saved(run_with(), tmp_path / "page.html")
    browser.open(path, name)
    assert browser.js("return document.querySelector('#views').hidden") is False
    first = rows(browser)
    assert len({str(each) for each in first.values()}) == len(first)
    browser.js(COUNT)
    assert rows(browser) == first
    assert browser.js("return window.drawn") == 0
    browser.js("document.querySelector('#theme').click()")
    dark = rows(browser)
    browser.js("document.querySelector('#theme').click()")
    assert rows(browser) == first
    slide(browser, changed)
    later = rows(browser)
    browser.open(path, name, dark=True)
    assert rows(browser) == dark
    assert not any(first[row] == dark[row] for row in first)
    browser.open(path, name)
    slide(browser, changed)  # before any other row was drawn
    assert rows(browser) == later
    assert not any(first[row] == later[row] for row in first)


def test_what_a_number_of_a_changed_run_goes_into(browser: Browser, tmp_path: Path) -> None:
    name = "conv1.w[0,0,0,0]"
    value = round(Own(run_with()).value(name) + 0.5, 2)
    browser.open(saved(run_with(), tmp_path / "page.html"), name)
    slide(browser, value)
    own = Own(run_with(conv1__w__0_0_0_0=value))
    for used in ("conv1.w[1,0,1,0]", "maxpool1.y[0,1,1]", "dense1.w[2,3]", "dense1.dw[2,3]"):
        browser.js("plaingrad.open(arguments[0])", used)
        expected = {
            array: list(dict.fromkeys(each for each, _ in found))
            for array in own.sheets
            if not own.tracer.is_given(own.sheets[array]) and (found := own.uses(array).get(used))
        }
        if not expected:
            settle(browser)
            assert not browser.js("return document.querySelector('#uses').textContent")
            continue
        browser.until("return document.querySelector('#uses').textContent", f"it is not said what {used} goes into")
        shown = browser.js(
            """
            return [...document.querySelectorAll("#uses .uses")].map((each) =>
              [each.querySelector("code").textContent,
               [...each.querySelectorAll("[data-cell]")].map((made) => made.dataset.cell)]);
            """
        )
        assert dict(shown) == {array: cells[:6] for array, cells in expected.items()}, used


def test_a_number_without_terms_tells_the_line_and_what_was_compared(browser: Browser, tmp_path: Path) -> None:
    name = "conv1.w[0,0,0,0]"
    value = round(Own(run_with()).value(name) + 0.5, 2)
    browser.open(saved(run_with(), tmp_path / "page.html"), name)
    slide(browser, value)
    sums = Own(run_with(conv1__w__0_0_0_0=value)).sheets["conv1.z"].values().reshape(2, 6, 6)
    place = ",".join(map(str, np.argwhere(sums < 0)[0]))
    browser.js("plaingrad.open(arguments[0])", f"conv1.y[{place}]")
    browser.explains(f"conv1.y[{place}]")
    told = browser.js("return document.querySelector('#explanation .told-line').textContent")
    assert told.startswith("The line of the text that made it: ")
    assert f"Compared there: conv1.z[{place}]" in told
    assert "its reasons were recorded for the run alone" in browser.read()["text"]


def test_a_page_of_a_part_keeps_nothing(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays of a network so large could fill a browser's memory, six times over."""
    monkeypatch.setattr("plaingrad.explaining.page.MOST_TERMS", 10)
    path = tmp_path / "page.html"
    Page(run_with(), opens="conv1.dw[0,0,0,0]").save(path)
    browser.open(path)
    rows(browser)
    browser.js(COUNT)
    rows(browser)
    assert browser.js("return window.drawn") > 0
