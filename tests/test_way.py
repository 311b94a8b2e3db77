"""The error's way in a real browser: from the loss back to any number, each stop with the run's own numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from often import counts, some
from plaingrad.explaining.facts import sheets_shown
from plaingrad.explaining.page import Page
from plaingrad.explaining.words import RULES, rules
from plaingrad.network.run import Run
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, ReLU
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from test_page import (
    CLASSES,
    FAINT,
    PHONE,
    RUNS,
    WIDE,
    Browser,
    Own,
    Pages,
    browser,  # noqa: F401 (a fixture)
    chromium,  # noqa: F401
    network,
    pages,  # noqa: F401
    rounded,
)
from test_page import pytestmark as needs_chromium

pytestmark = needs_chromium

READ_WAY = """
const root = document.querySelector("#way");
const story = root.querySelector(".stop");
const cellsOf = (place) => [...(place?.querySelectorAll("[data-cell]") ?? [])].map((each) => each.dataset.cell);
return {
  heading: root.querySelector("h2").textContent,
  label: root.querySelector("output")?.textContent ?? null,
  stops: [...root.querySelectorAll(".stops button")].map((each) =>
    [each.querySelector("code").textContent, Number(each.querySelector(".number").dataset.value)]),
  now: root.querySelector(".stops [aria-current=step] code")?.textContent ?? null,
  rule: story?.querySelector(".rule")?.textContent ?? null,
  followed: cellsOf(story?.querySelector(".followed")),
  product: story?.querySelector(".followed [data-product]")?.dataset.product ?? null,
  terms: [...(story?.querySelectorAll(".arithmetic .term") ?? [])].map((each) => Number(each.dataset.share)),
  rest: story?.querySelector("[data-rest]")?.dataset.rest ?? null,
  sum: story?.querySelector("[data-sum]")?.dataset.sum ?? null,
  numbers: [...root.querySelectorAll(".number[data-cell]")].map((each) =>
    [each.dataset.cell, Number(each.dataset.value), each.textContent]),
  text: story?.innerText ?? "",
  path: document.querySelector("#layers .path")?.dataset.to ?? null,
  legs: document.querySelectorAll("#layers .path .leg").length,
};
"""


class Way:
    """The way to one number."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.browser = browser
        browser.js("plaingrad.open(arguments[0])", name)
        browser.explains(name)
        browser.js("document.querySelector('#tabs [data-tab=way]').click()")
        browser.until("return document.querySelector('#way .stops, #way h2 + p')", f"there is no way to {name}")
        browser.until(
            "const to = document.querySelector('#way h2 code')?.textContent;"
            "return !to || to.replace(/\\.d(?=[^.]*$)/, '.') === arguments[0].replace(/\\.d(?=[^.]*$)/, '.')"
            " || arguments[0].startsWith('input')",
            f"the way to {name} is not drawn",
            name,
        )

    def read(self) -> dict[str, Any]:
        """What is told at this stop."""
        return dict(self.browser.js(READ_WAY))

    def forward(self) -> None:
        """To the next stop."""
        self.browser.js("[...document.querySelectorAll('#way .controls button')].at(-1).click()")


def is_error(own: Own, name: str) -> bool:
    return own.role(name.partition("[")[0]) == "error"


def is_of_the_way_back(own: Own, name: str) -> bool:
    """Whether a text of the way back made a number: a gradient, and by a normalisation means of errors."""
    run, making = own.tracer.twin.twin, own.tracer.making(own.sheets[name.partition("[")[0]])
    return making is not None and any(each.text == making.task.text for each in run.passes(making.layer, "backward"))


def is_sum(total: float, shares: list[float]) -> bool:
    """Whether a sum is one of these numbers, in whatever order: each addition rounds by half a unit at most."""
    return abs(total - sum(shares)) <= len(shares) * float(np.finfo(float).eps) * sum(map(abs, shares))


def check_way(browser: Browser, own: Own, name: str, seen: set[str]) -> list[str]:
    """The stops of the way to a gradient or an error; at each stop that was not seen the numbers must be the run's."""
    way = Way(browser, name)
    first = way.read()
    stops = [stop for stop, _ in first["stops"]]
    assert stops[0] == "loss.y", f"the way to {name} begins at {stops[0]}"
    assert stops[-1] == name
    for place, stop in enumerate(stops):
        if stop in seen:
            continue
        seen.add(stop)
        browser.js("document.querySelectorAll('#way .stops button')[arguments[0]].click()", place)
        told = way.read()
        assert told["label"] == f"stop {place + 1} of {len(stops)}"
        assert told["now"] == told["path"] == stop
        assert told["legs"] == place
        for cell, value, text in told["numbers"]:
            assert value == own.value(cell), cell
            assert text == rounded(value), cell
        if place == 0:
            continue
        made = own.made_of(stop)
        if not made:
            assert own.value(stop) == 0
            assert "gets no term, so it is 0" in told["text"]
            continue
        largest = max(abs(share) for _, share in made)
        cells, share = next(each for each in made if abs(each[1]) == largest)
        assert told["followed"] == cells
        assert float(told["product"]) == share
        errors = [cell for cell in cells if is_error(own, cell)]
        errors += [cell for cell in cells if not is_error(own, cell) and is_of_the_way_back(own, cell)]
        if errors:
            assert stops[place - 1] == errors[0], "the way comes from the largest term's error"
        else:
            assert place == 1, f"{stop} has no error among its factors and is not the first"
        if len(made) > 1:
            shares = [each for _, each in made if each]
            assert len(told["terms"]) == min(8, len(shares))
            assert set(told["terms"]) <= set(shares)
            assert float(told["sum"]) == own.value(stop)
            if len(shares) > 8:
                assert is_sum(sum(told["terms"]) + float(told["rest"]), shares)
    return stops


def some_of(own: Own, array: str) -> list[str]:
    """The number of an array that is largest, and the smallest, 0 if there is one."""
    names = own.names(array)
    sizes = [abs(own.value(name)) for name in names]
    return list(dict.fromkeys([names[int(np.argmax(sizes))], names[int(np.argmin(sizes))]]))


@pytest.mark.parametrize("name", some(RUNS, lambda place: place in (1, 4)))
@counts(1, 2)
@pytest.mark.often(1)
def test_the_way_from_any_gradient_reaches_the_loss(browser: Browser, pages: Pages, name: str, count: int) -> None:
    own, path = pages(name)
    browser.open(path)
    arrays = [each for each in own.sheets if own.role(each) in ("gradient", "error")]
    assert len(arrays) >= 5
    seen = set[str]()
    for array in arrays:
        for cell in some_of(own, array)[:count]:
            stops = check_way(browser, own, cell, seen)
            assert all(is_of_the_way_back(own, stop) for stop in stops[1:-1])


def test_each_layer_and_loss_has_a_rule(pages: Pages) -> None:
    """What the way says at a stop stands in one place, for every array that a layer hands back."""
    told = set()
    for name in RUNS:
        own, _ = pages(name)
        net, loss = own.run.net, own.run.loss
        made = {step: (net.steps[step].layer, net.steps[step].weights) for step in net.steps}
        for step, (layer, weights) in [*made.items(), ("loss", (loss, {}))]:
            found = rules(layer, weights, step in own.run.starts)
            told.add(type(layer).__name__)
            own_arrays = {each.quantity for each in sheets_shown(own.tracer) if each.layer == step}
            handed = {each for each in own_arrays if each in ("dx", "dz", "dskip") or each[1:] in weights} | {"dx"}
            handed |= {"dy"} if step in own.run.starts else set()
            assert handed <= set(found), f"{step} has no rule for {handed - set(found)}"
            assert all(text.endswith(".") and text[0].isupper() for text in found.values())
    assert told == set(RULES)


def test_a_layer_of_one_s_own_has_no_rule() -> None:
    assert rules(object(), {}) == {}


@pytest.mark.often(1)
def test_a_weight_s_way_is_that_of_its_gradient(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    browser.open(path)
    for name, gradient in {
        "conv1.w[1,0,2,1]": "conv1.dw[1,0,2,1]",
        "dense2.b[1]": "dense2.db[1]",
        "conv2.z[1,1,1]": "conv2.dz[1,1,1]",
        "maxpool1.y[0,1,1]": "maxpool1.dy[0,1,1]",
        "input[1,2,3]": "conv1.dx[1,2,3]",
    }.items():
        told = Way(browser, name).read()
        assert told["heading"] == f"The error’s way to {gradient}"
        assert told["stops"][-1] == [gradient, own.value(gradient)]
    told = Way(browser, "loss.target[1]").read()
    assert told["stops"] == []
    browser.js("plaingrad.open('loss.y')")


@pytest.mark.often(1)
def test_each_stop_says_its_layer_s_rule(browser: Browser, pages: Pages) -> None:
    _, path = pages("every_layer")
    browser.open(path)
    way = Way(browser, "conv1.dw[0,0,1,1]")
    found = []
    for _ in way.read()["stops"]:
        told = way.read()
        found.append(told["rule"])
        assert "The line of the text that made" in told["text"] or "gets no term" in told["text"]
        way.forward()
    makers = [
        "loss",
        "loss",
        "softmax1",
        "dense2",
        "dense1",
        "dense1",
        "flatten1",
        "l2pool1",
        "relu1",
        "tanh1",
        "conv3",
    ]
    assert [
        each.partition(" ")[0].partition("(")[0][: len(maker)] for each, maker in zip(found, makers, strict=False)
    ] == makers
    assert RULES["MaxPool"]["dx"] in " ".join(found)
    assert found[-1].endswith(RULES["Conv"]["weight"])
    assert found[-2].endswith(RULES["ReLU"]["dx"])


def small() -> Run:
    layers = Conv(1, size=2), ReLU(), MaxPool(2), Flatten(), Dense(3)
    net = network(*layers, input=(1, 5, 5), name="small")
    image = np.random.default_rng(3).standard_normal((1, 1, 5, 5))
    return net.run(image, np.array([1]), SoftmaxCrossEntropy())


@pytest.fixture
def small_page(tmp_path: Path) -> tuple[Own, Path]:
    own = Own(small())
    Page(own.run, classes=CLASSES).save(tmp_path / "page.html")
    return own, tmp_path / "page.html"


@pytest.mark.often(1)
def test_by_keys_alone(browser: Browser, small_page: tuple[Own, Path]) -> None:
    """From an opened link to the loss and back to the gradient without a mouse."""
    own, path = small_page
    name = max(own.names("conv1.dw"), key=lambda each: abs(own.value(each)))
    browser.open(path, name)
    for _ in range(60):
        browser.press(Keys.TAB)
        if browser.js("return document.activeElement.matches('#tabs [data-tab=way]')"):
            break
    browser.press(Keys.ENTER)
    browser.until("return document.activeElement.matches('#way .controls button')", "the focus is not on Play")

    def told() -> dict[str, Any]:
        return dict(browser.js(READ_WAY))

    stops = [stop for stop, _ in told()["stops"]]
    assert stops[0] == told()["now"] == "loss.y"
    assert stops[-1] == name
    for stop in stops[1:]:
        browser.press(Keys.ARROW_RIGHT)
        assert told()["now"] == stop
    browser.press(Keys.ARROW_RIGHT)
    assert told()["now"] == name, "beyond the last stop there is none"
    for stop in stops[-2::-1]:
        browser.press(Keys.ARROW_LEFT)
        assert told()["now"] == stop
    browser.press(" ")
    browser.until("return /^stop [^1]/.test(document.querySelector('#way output').textContent)", "it does not play")
    assert browser.text("#way .controls button:nth-of-type(3)") == "Pause"
    browser.press(" ")
    assert browser.text("#way .controls button:nth-of-type(3)") == "Play"
    browser.press(Keys.HOME)
    assert told()["now"] == "loss.y"


@pytest.mark.parametrize("reduced", [True, False], ids=["reduced", "moving"])
@pytest.mark.often(1)
def test_reduced_motion(browser: Browser, small_page: tuple[Own, Path], reduced: bool) -> None:
    _, path = small_page
    value = "reduce" if reduced else "no-preference"
    features = [{"name": "prefers-reduced-motion", "value": value}]
    browser.open(path)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        way = Way(browser, "conv1.dw[0,0,0,0]")
        way.forward()
        moving = browser.js("return document.querySelector('#layers .path').getAnimations({subtree: true}).length")
        assert (moving == 0) == reduced
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.screen = None


@pytest.mark.often(1)
def test_the_path_ends_at_the_cell_and_goes_with_the_tab(browser: Browser, small_page: tuple[Own, Path]) -> None:
    _, path = small_page
    browser.open(path)
    way = Way(browser, "conv1.dw[0,0,0,1]")
    for stop, _ in way.read()["stops"]:
        if stop != "loss.y":
            touches = browser.js(
                """
                const dot = document.querySelector("#layers .path circle.at").getBoundingClientRect();
                const [x, y] = [dot.left + dot.width / 2 + scrollX, dot.top + dot.height / 2 + scrollY];
                const shown = [...document.querySelectorAll("#layers canvas[data-array]")].filter((each) =>
                  each.checkVisibility() && each.dataset.array === arguments[0].replace(/\\[.*/, ""));
                return shown.some((each) => {
                  const box = each.getBoundingClientRect();
                  return x >= box.left + scrollX - 3 && x <= box.right + scrollX + 3
                    && y >= box.top + scrollY - 3 && y <= box.bottom + scrollY + 3;
                });
                """,
                stop,
            )
            assert touches, f"the path to {stop} ends elsewhere"
        way.forward()
    browser.js("document.querySelector('#tabs [data-tab=explanation]').click()")
    assert browser.js("return document.querySelectorAll('#layers .path').length") == 0
    browser.js("document.querySelector('#views [value=errors]').click()")
    drawn = "[...document.querySelectorAll('#layers canvas[data-array=\"conv1.dw\"]')]"
    shown = f"{drawn}.filter((each) => each.checkVisibility())"
    before = browser.js(f"return {shown}.length")
    Way(browser, "conv1.dw[0,0,0,1]")
    browser.js("document.querySelector('#tabs [data-tab=explanation]').click()")
    browser.js("document.querySelector('#views [value=errors]').click()")
    assert browser.js(f"return {shown}.length") == before, "a map that was shown for the way has stayed"


@pytest.mark.often(1)
def test_the_way_of_a_changed_network(browser: Browser, small_page: tuple[Own, Path]) -> None:
    """Every stop has the numbers of the changed network, and its terms add up to them."""
    _, path = small_page
    browser.open(path)
    browser.js("document.querySelector('#alive-label').value = '0'")
    browser.js("document.querySelector('#alive-label').dispatchEvent(new Event('change'))")
    browser.js("document.querySelector('#alive-step').click()")
    browser.until(
        "return document.querySelector('#alive-loss').textContent.includes('after 1 step')", "no step was taken"
    )
    way = Way(browser, "conv1.dw[0,0,0,1]")
    for place, (stop, _) in enumerate(way.read()["stops"]):
        told = way.read()
        for cell, value, _ in told["numbers"]:
            array, _, inside = cell.partition("[")
            now = browser.js("return Array.from(plaingrad.values(arguments[0]), String)", array)
            shape = browser.js(
                "return JSON.parse(document.querySelector('#data').textContent).arrays[arguments[0]].shape", array
            )
            index = int(np.ravel_multi_index(tuple(map(int, inside.strip("]").split(","))), shape)) if inside else 0
            assert value == float(now[index]), cell
        if place and told["sum"] and not told["rest"]:
            assert is_sum(float(told["sum"]), told["terms"]), stop
        way.forward()


@pytest.mark.parametrize(
    ("size", "dark"), some([(WIDE, False), (PHONE, True), (WIDE, True), (PHONE, False)], lambda place: place < 2)
)
@pytest.mark.often(2)
def test_nothing_is_cut_or_faint(
    browser: Browser, small_page: tuple[Own, Path], size: tuple[int, int], dark: bool
) -> None:
    _, path = small_page
    browser.open(path, "conv1.dw[0,0,0,1]", size=size, dark=dark)
    way = Way(browser, "conv1.dw[0,0,0,1]")
    for number, _ in enumerate(way.read()["stops"]):
        assert browser.js("return [document.documentElement.scrollWidth, document.body.scrollWidth]") == [size[0]] * 2
        assert browser.js(FAINT) == []
        outside = browser.js(
            """
            return [...document.querySelectorAll("#way *")]
              .filter((each) => !each.closest(".stops") && each.checkVisibility())
              .map((each) => [each, each.getBoundingClientRect()])
              .filter(([, box]) => box.width && (box.left < -0.5 || box.right > innerWidth + 0.5))
              .map(([each, box]) => `${each.tagName}.${each.className}: ${box.left} to ${box.right}`);
            """
        )
        assert outside == []
        browser.picture(f"way-{size[0]}-{'dark' if dark else 'light'}-{number}")
        way.forward()


def test_without_a_loss_there_is_no_way_and_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    net = network(Conv(1, size=2), ReLU(), Flatten(), Dense(3), input=(1, 4, 4), name="forward only")
    Page(net.run(np.random.default_rng(3).standard_normal((1, 1, 4, 4)))).save(tmp_path / "page.html")
    browser.open(tmp_path / "page.html", "conv1.w[0,0,0,0]")
    browser.js("document.querySelector('#tabs [data-tab=way]').click()")
    browser.until("return document.querySelector('#way p')", "nothing is said")
    assert "conv1.w[0,0,0,0] has no derivative here" in browser.text("#way p")
    assert browser.js("return document.querySelector('#layers .path')") is None


@pytest.mark.often(1)
def test_a_page_of_a_part_leads_as_far_as_its_terms(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the number that the page was made for, to the loss; from others it says what is not held."""
    monkeypatch.setattr("plaingrad.explaining.page.MOST_TERMS", 100)
    own = Own(small())
    name = max(own.names("conv1.dw"), key=lambda each: abs(own.value(each)))
    Page(own.run, opens=name).save(tmp_path / "page.html")
    browser.open(tmp_path / "page.html", name)
    assert browser.js("return document.querySelector('#partial').checkVisibility()")
    check_way(browser, own, name, set())
    other = min(own.names("conv1.dw"), key=lambda each: abs(own.value(each)))
    stops = Way(browser, other).read()["stops"]
    assert stops[-1][0] == other
    browser.js("[...document.querySelectorAll('#way .stops button')].at(-1).click()")
    assert "is made of terms that this page does not hold" in browser.text("#way .stop")
