"""The page alive, in a real browser: what it computes after a change is what Python computes of a run so changed."""

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from in_javascript import SCRIPT, TooCloseError, between, bounds_of_the_table, emptied, filled_with, random_run, table
from often import counts, some
from plaingrad.compiler.loops import Array
from plaingrad.explaining.alive import Program, program
from plaingrad.explaining.facts import sheets_shown
from plaingrad.explaining.page import Page
from plaingrad.explaining.twin import Twin
from plaingrad.network.models import model
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, ReLU, Sigmoid
from plaingrad.textbook.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from plaingrad.textbook.text import places
from test_page import (
    CLASSES,
    PHONE,
    WIDE,
    Browser,
    Own,
    browser,  # noqa: F401 (a fixture)
    check,
    chromium,  # noqa: F401
    network,
)
from test_page import (
    pytestmark as needs_chromium,
)

pytestmark = needs_chromium
LAYERS = (Conv(2, size=2, padding=1, activation=ReLU()), MaxPool(2), Sigmoid(), Conv(2, size=1, bias=False), Flatten())


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """These networks are small: running their texts as Python takes less time than compiling them."""
    monkeypatch.setattr("plaingrad.compiler.loops.has_numba", lambda: False)


def run_with(label: int = 1, loss: Loss | None = None, **changes: float) -> Run:
    """The run on the page, or the same with numbers changed: by name, dots as double underlines."""
    net = Network(*LAYERS, Dense(4), input=(1, 5, 5), name="alive", dtype="float64")
    filled_with(net, np.random.default_rng(5))
    image = np.random.default_rng(3).standard_normal((1, 1, 5, 5))
    for name, value in changes.items():
        array, _, place = name.rpartition("__")
        index = tuple(map(int, place.split("_")))
        (image[0] if array == "input" else net.arrays[array.replace("__", ".")])[index] = value
    return net.run(image, np.array([label]), loss or SoftmaxCrossEntropy())


def saved(run: Run, path: Path) -> Path:
    Page(run, classes=CLASSES).save(path)
    return path


def numbers_of(browser: Browser, name: str) -> Array:
    """All numbers of an array as the page holds them now."""
    values = browser.js("return Array.from(plaingrad.values(arguments[0]), String)", name)
    return np.array([float(each) for each in values])


def check_all(browser: Browser, run: Run) -> None:
    """Every number on the page lies within what rounding allows around the texts' own."""
    own = Own(run)
    made = program(own.tracer.twin)
    low, high = between(made)
    for sheet in sheets_shown(own.tracer):
        found = numbers_of(browser, sheet.name)
        part = slice(sheet.start, sheet.stop)
        assert np.all((low[part] <= found) & (found <= high[part])), sheet.name


def settle(browser: Browser) -> None:
    """Wait until what was changed is drawn."""
    browser.driver.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50)))"
    )


def slide(browser: Browser, value: float) -> None:
    """Move the slider to a value, as a finger would."""
    browser.js("document.querySelector('#change details').open = true")
    settle(browser)
    browser.js(
        "const slider = document.querySelector('#change-slider'); slider.step = 'any'; slider.value = arguments[0];"
        "slider.dispatchEvent(new Event('input'))",
        value,
    )
    assert float(browser.js("return document.querySelector('#change-slider').value")) == value, "beyond the slider"
    settle(browser)


def loss_shown(browser: Browser) -> float:
    return float(browser.js("return document.querySelector('#verdict [data-loss]').dataset.loss"))


# The written texts in the browser


def page_of(programs: list[Program]) -> str:
    """A page that computes programs from nothing but what is given."""
    parts = []
    for made in programs:
        cells = json.dumps([None if np.isnan(each) else each for each in emptied(made).tolist()])
        given = f"{made.source()}, {json.dumps(made.to_json())}, new Float64Array({made.own})"
        start = f"const net = new LiveNetwork({given}); net.cells.set({cells}.map((each) => each ?? NaN));"
        parts.append(f"{{ {start} net.compute(); found.push(Array.from(net.cells, String)); }}")
    script = f"{SCRIPT}\nglobalThis.found = [];\n" + "\n".join(parts)
    return f'<!doctype html><html data-ready="1"><link rel="icon" href="data:,"><script>{script}</script>'


@counts(2, 60)
def test_every_layer_and_loss_of_the_table_and_random_networks(browser: Browser, tmp_path: Path, count: int) -> None:
    programs = [program(twin) for twin in table().values()]
    bounds = [*bounds_of_the_table().values()]
    for seed in range(count):
        made = program(Twin(random_run(seed)))
        try:
            bounds.append(between(made))
        except TooCloseError:
            continue
        programs.append(made)
    path = tmp_path / "numbers.html"
    path.write_text(page_of(programs), encoding="utf-8")
    browser.open(path)
    found = browser.js("return found")
    assert len(found) == len(programs) == len(bounds)
    for cells, (low, high) in zip(found, bounds, strict=True):
        numbers = np.array([float(each) for each in cells])
        assert np.all((low <= numbers) & (numbers <= high))


# Changes


@pytest.mark.parametrize(
    ("name", "change"),
    some(
        [
            ("conv1.w[1,0,0,1]", {"conv1__w__1_0_0_1": 0.75}),
            ("conv1.b[0]", {"conv1__b__0": -0.5}),
            ("dense1.dw[2,3]", {"dense1__w__2_3": 0.25}),  # opened at the derivative, changed is the weight
            ("input[0,2,3]", {"input__0_2_3": 0.125}),
        ],
        lambda place: place in (0, 2),
    ),
)
@pytest.mark.often(1)
def test_a_changed_number_changes_all_that_follows(
    browser: Browser,
    tmp_path: Path,
    name: str,
    change: dict[str, float],
) -> None:
    browser.open(saved(run_with(), tmp_path / "page.html"), name)
    before = loss_shown(browser)
    slide(browser, *change.values())
    changed = run_with(**change)
    check_all(browser, changed)
    assert loss_shown(browser) != before
    assert loss_shown(browser) == numbers_of(browser, "loss.y")[0]
    explained = Own(changed)
    shown = browser.read()
    assert shown["quantity"] == name
    if ".d" in name:
        rows = [(row["made"]["cells"], float(row["product"])) for row in shown["rows"]]
        wanted = explained.made_of(name)
        assert sorted(cells for cells, _ in rows) == sorted(cells for cells, _ in wanted)
        assert sum(share for _, share in rows) == pytest.approx(explained.value(name), rel=1e-12)
    browser.click("#alive-back")
    settle(browser)
    assert loss_shown(browser) == before
    own = Own(run_with())
    for sheet in sheets_shown(own.tracer):
        assert np.array_equal(numbers_of(browser, sheet.name), sheet.values()), sheet.name


def test_the_straight_line_is_kept_from_where_the_change_began(browser: Browser, tmp_path: Path) -> None:
    name = "conv1.w[1,0,0,1]"
    browser.open(saved(run_with(), tmp_path / "page.html"), name)
    own = Own(run_with())
    start, cell = own.value(name), own.tracer.twin.cell(name) - own.sheets["conv1.w"].start
    slope, loss = numbers_of(browser, "conv1.dw")[cell], numbers_of(browser, "loss.y")[0]
    for value in (round(start + 0.25, 2), round(start - 0.5, 2)):
        slide(browser, value)
        told = {
            kind: float(browser.js("return document.querySelector(arguments[0]).title", f"#change-told .{kind}"))
            for kind in ("now", "true-loss", "slope", "guess")
        }
        assert told["now"] == value
        assert told["slope"] == slope
        assert told["guess"] == loss + slope * (value - start)
        assert told["true-loss"] == pytest.approx(Own(run_with(conv1__w__1_0_0_1=value)).value("loss.y"), rel=1e-13)
        assert browser.js("return document.querySelector('.curve .truth').getAttribute('d')").count("L") >= 8


def test_the_line_begins_anew_where_another_number_was_changed(browser: Browser, tmp_path: Path) -> None:
    browser.open(saved(run_with(), tmp_path / "page.html"), "conv1.b[1]")
    slide(browser, 1.25)
    for press in ("#alive-step", "#alive-back"):
        browser.click(press)
        settle(browser)
        told = [
            float(browser.js("return document.querySelector(arguments[0]).title", f"#change-told .{kind}"))
            for kind in ("true-loss", "guess")
        ]
        assert told[0] == told[1] == loss_shown(browser)
        assert browser.js("return Number(document.querySelector('#change-slider').value)") == pytest.approx(
            numbers_of(browser, "conv1.b")[1], abs=0.01
        )


def test_a_digit_is_drawn(browser: Browser, tmp_path: Path) -> None:
    net = network(Conv(2, size=3), Flatten(), Dense(3), input=(1, 8, 9), name="drawn")
    image = np.zeros((1, 1, 8, 9))
    image[0, 0, 0, 0] = 0.75
    browser.open(saved(net.run(image, np.array([1]), SoftmaxCrossEntropy()), tmp_path / "page.html"))
    before = loss_shown(browser)
    browser.click("#alive-draw")
    x, y = browser.js("const {x, y} = plaingrad.cellAt('input[0,3,3]'); return [x - scrollX, y - scrollY]")
    for kind in ("mousePressed", "mouseMoved", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": int(kind != "mouseReleased")}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {**event, "clickCount": 1})
    settle(browser)
    drawn = numbers_of(browser, "input").reshape(8, 9)
    assert np.argwhere(drawn).tolist() == [[0, 0], [3, 3], [3, 4], [4, 3], [4, 4]]
    assert set(drawn[drawn != 0].tolist()) == {0.75}
    assert loss_shown(browser) != before


def test_the_true_class_and_a_training_step(browser: Browser, tmp_path: Path) -> None:
    browser.open(saved(run_with(), tmp_path / "page.html"))
    browser.js(
        "const it = document.querySelector('#alive-label'); it.value = '3'; it.dispatchEvent(new Event('change'))"
    )
    settle(browser)
    run = run_with(label=3)
    check_all(browser, run)
    assert "The label says three" in browser.text("#verdict")
    before = loss_shown(browser)
    browser.js("document.querySelector('#alive-rate').value = '0.0625'")
    browser.click("#alive-step")
    settle(browser)
    assert loss_shown(browser) < before
    assert "after 1 step" in browser.text("#alive-loss")
    for name, array in run.net.arrays.items():
        wanted = array - 0.0625 * run[name.replace(".", ".d")]
        np.testing.assert_allclose(numbers_of(browser, name), wanted.reshape(-1), rtol=1e-9)  # sums in another order


@pytest.mark.often(1)
def test_outputs_that_are_no_scores(browser: Browser, tmp_path: Path) -> None:
    browser.open(saved(run_with(loss=MeanSquaredError()), tmp_path / "page.html"), "conv1.b[1]")
    slide(browser, 0.5)
    changed = run_with(loss=MeanSquaredError(), conv1__b__1=0.5)
    check_all(browser, changed)
    browser.click("#whole")  # in a strip there is no room for them
    shown = browser.js("return [...document.querySelectorAll('.bars .number')].map((each) => Number(each.title))")
    assert sum(shown) == pytest.approx(1)
    scores = np.exp(Own(changed).sheets["dense1.y"].values())
    assert shown == pytest.approx((scores / scores.sum()).tolist(), rel=1e-6)


@pytest.mark.often(1)
def test_keys_and_drags_in_a_map(browser: Browser, tmp_path: Path) -> None:
    browser.open(saved(run_with(), tmp_path / "page.html"))
    start = numbers_of(browser, "input")
    browser.js("document.querySelector('canvas[data-array=\"input\"]').focus()")
    browser.press(Keys.ARROW_RIGHT, "+", "+")
    settle(browser)
    now = numbers_of(browser, "input")
    assert np.flatnonzero(now != start).tolist() == [1]
    assert now[1] > start[1]
    check_all(browser, run_with(input__0_0_1=float(now[1])))
    x, y = browser.js("const {x, y} = plaingrad.cellAt('conv1.w[0,0,1,0]'); return [x - scrollX, y - scrollY]")
    for kind, up in (("mousePressed", 0), ("mouseMoved", 20), ("mouseMoved", 40), ("mouseReleased", 40)):
        event = {"type": kind, "x": x, "y": y - up, "button": "left", "buttons": int(kind != "mouseReleased")}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {**event, "clickCount": 1})
    settle(browser)
    weights, first = numbers_of(browser, "conv1.w"), Own(run_with()).sheets["conv1.w"].values()
    assert np.flatnonzero(weights != first).tolist() == [2]
    assert weights[2] > first[2]


@pytest.mark.often(1)
def test_each_tab_follows_a_change(browser: Browser, tmp_path: Path) -> None:
    browser.open(saved(run_with(), tmp_path / "page.html"), "conv1.w[0,0,0,0]")
    value = Own(run_with()).value("conv1.w[0,0,0,0]")
    value = round(value + 0.5, 2)
    slide(browser, value)
    for name in ("maxpool1.y[0,0,0]", "conv1.y[1,2,2]", "maxpool1.dy[0,1,1]", "loss.y", "loss.probability[2]"):
        browser.js("plaingrad.open(arguments[0])", name)
        browser.explains(name)
        shown = browser.read()
        own = Own(run_with(conv1__w__0_0_0_0=value))
        total = sum(float(row["product"]) for row in shown["rows"])
        if own.value(name):
            assert total == pytest.approx(own.value(name), rel=1e-12), name
        assert "The line of the text that made" in shown["text"] or not shown["rows"]
    browser.js("document.querySelector('[data-tab=player]').click()")
    settle(browser)
    browser.js("document.querySelector('[data-tab=matrix]').click()")
    settle(browser)


# Where it cannot be


def squared_forward(x, y):
    for n, k in places(y):
        y[n, k] = x[n, k] ** 2


def squared_backward(dy, x, dx):
    for n, k in places(dx):
        dx[n, k] = 2 * x[n, k] * dy[n, k]


class Squared(Layer):
    """A power, which is not written as JavaScript."""

    forward, backward = squared_forward, squared_backward


def with_a_power(patch: pytest.MonkeyPatch) -> Run:
    net = network(Dense(3), Squared(), Dense(2), input=(4,), name="a power")
    return net.run(np.ones((1, 4)), np.array([1]), SoftmaxCrossEntropy())


def too_large(patch: pytest.MonkeyPatch) -> Run:
    patch.setattr("plaingrad.explaining.alive.MOST_PRODUCTS", 10)
    return run_with()


@pytest.mark.filterwarnings("ignore:.* is compiled as it stands:UserWarning")
@pytest.mark.parametrize("make", [with_a_power, too_large])
def test_a_page_that_cannot_be_alive_is_as_it_was(
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[pytest.MonkeyPatch], Run],
) -> None:
    browser.open(saved(make(monkeypatch), tmp_path / "page.html"))
    assert not browser.js("return document.querySelector('#alive').checkVisibility()")
    assert not browser.js("return document.querySelector('#change').checkVisibility()")
    assert browser.read()["rows"]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.often(2)
def test_nothing_is_cut(browser: Browser, tmp_path: Path, size: tuple[int, int]) -> None:
    browser.open(saved(run_with(), tmp_path / "page.html"), "conv1.dw[0,0,0,0]", size=size)
    slide(browser, 0.25)
    assert browser.js("return document.documentElement.scrollWidth") <= size[0]
    boxes = browser.js(
        "return [...document.querySelectorAll('#alive button, #alive input, #alive select, #change, .curve')]"
        ".filter((each) => each.checkVisibility()).map((each) => [each.getBoundingClientRect().left, "
        "each.getBoundingClientRect().right])"
    )
    assert len(boxes) >= 5
    assert all(left >= 0 and right <= size[0] for left, right in boxes), boxes


# What the page tells of large arrays


@pytest.mark.often(1)
def test_large_arrays_are_told_as_they_would_be_recorded(
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plaingrad.explaining.told.MANY_TERMS", 1)
    layers = Conv(3, size=2, activation=ReLU()), MaxPool(2, stride=1), Conv(2, size=2), Flatten(), Dense(3)
    net = network(*layers, input=(2, 5, 5), name="told")  # of float32: the run is compared with, and bounded
    run = net.run(np.random.default_rng(3).standard_normal((1, 2, 5, 5)), np.array([1]), SoftmaxCrossEntropy())
    page = Page(run)
    told = [name for name, array in page.data()["arrays"].items() if array["terms"] == "told"]
    assert {name.partition(".")[2] for name in told} >= {"dw", "db", "dx", "dy"}, told
    assert "dense1.y" in told
    page.save(tmp_path / "page.html")
    own = Own(run)
    browser.open(tmp_path / "page.html")
    for name in [own.names(array)[-1] for array in told] + ["conv1.z[1,2,2]", "conv1.y[0,1,1]"]:
        browser.js("plaingrad.open(arguments[0])", name)
        browser.explains(name)
        check(own, browser.read(), name)


def test_the_bounds_of_told_arrays_are_those_of_recorded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaingrad.explaining.told.MANY_TERMS", 10**9)
    layers = Conv(3, size=2, activation=ReLU()), MaxPool(2, stride=1), Conv(2, size=2), Flatten(), Dense(3)
    net = network(*layers, input=(2, 5, 5), name="told")
    run = net.run(np.random.default_rng(3).standard_normal((1, 2, 5, 5)), np.array([1]), SoftmaxCrossEntropy())
    recorded = unpacked(Page(run).data()["bounds"])
    monkeypatch.setattr("plaingrad.explaining.told.MANY_TERMS", 1)
    data = Page(run).data()
    assert "told" in [each["terms"] for each in data["arrays"].values()]
    np.testing.assert_allclose(unpacked(data["bounds"]), recorded, rtol=1e-5)  # they are kept in float32


def unpacked(blob: str) -> Array:
    """Numbers of a page."""
    return np.frombuffer(zlib.decompress(base64.b64decode(blob), wbits=-15), "<f4")


@pytest.mark.long
def test_a_page_of_lenet5_is_small_and_soon_there(browser: Browser, tmp_path: Path) -> None:
    net = model("lenet5").network()
    image = np.maximum(np.random.default_rng(0).standard_normal((1, 1, 28, 28)), 0).astype(np.float32)
    page = Page(net.run(image, np.array([3]), SoftmaxCrossEntropy()))
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size <= 3_000_000
    browser.open(tmp_path / "page.html", "conv1.w[0,0,1,1]")
    before = loss_shown(browser)
    slide(browser, 0.25)
    assert loss_shown(browser) != before
    browser.click("#alive-back")
    settle(browser)
    assert loss_shown(browser) == before
