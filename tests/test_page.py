"""The page of an explained run, in a real browser: what it shows is what the run says, and it can be walked through."""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import accumulate, product
from math import inf, isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from often import some
from plaingrad.compiler.loops import Array
from plaingrad.explaining import tracer_of
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.explaining.explanation import Explanation
from plaingrad.explaining.facts import class_probabilities, sheets_shown
from plaingrad.explaining.notation import as_text, tree_of
from plaingrad.explaining.page import Page
from plaingrad.explaining.reasons import is_idle, sentences
from plaingrad.explaining.traced_numbers import Traced
from plaingrad.explaining.words import role
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalMeanPool,
    GroupNorm,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)
from plaingrad.textbook.losses import (
    CrossEntropy,
    HalfSquaredError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    WeightedCrossEntropy,
)
from plaingrad.textbook.text import places

pytest.importorskip("selenium", reason="the page is tested with Selenium, which is not installed: pip install selenium")
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.interaction import POINTER_MOUSE
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.keys import Keys

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not CHROMIUM, reason="the page is tested in Chromium, which is not here; or name one: CHROMIUM="
    ),
    pytest.mark.skipif(not DRIVER, reason="the page is tested with chromedriver, which is not here: chromium-driver"),
]

WIDE, PHONE = (1280, 1000), (390, 844)
PATIENCE = 20  # seconds: nothing on these pages takes one
FEW, MANY = 12, 100  # terms shown at first, and at once
CLASSES = ("zero", "one", "two", "three")
WICKED = "<img src=x onerror=window.hacked=1>"
FLAGS = [
    *("--headless=new", "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-gpu"),
    *(("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
]


@pytest.fixture(autouse=True, scope="module")
def _plain() -> Iterator[None]:
    """These networks are small: running their nests as written takes less time than compiling them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plaingrad.compiler.loops.has_numba", lambda: False)
        yield


# What is explained


class Own:
    """What a run itself says of its numbers, each asked for once."""

    def __init__(self, run: Run) -> None:
        self.run, self.tracer = run, tracer_of(run)
        self.sheets = {sheet.name: sheet for sheet in sheets_shown(self.tracer)}
        self.ask: Callable[[str], Explanation] = cache(run.explain)

    def value(self, name: str) -> float:
        """A number by its name."""
        return float(self.tracer.twin.value(self.tracer.twin.cell(name)))

    def names(self, array: str) -> list[str]:
        """The name of each number of an array, in reading order."""
        shape = self.sheets[array].shape
        places = product(*map(range, shape))
        return [f"{array}[{','.join(map(str, place))}]" for place in places] if shape else [array]

    def role(self, array: str) -> str:
        """value, error, weight, gradient or other."""
        return role(self.tracer.twin, self.sheets[array])

    def made_of(self, name: str) -> list[tuple[list[str], float]]:
        """The cells of each term of a number, and its value."""
        return [(self.cells(term.node), term.product) for term in self.ask(name).terms]

    def cells(self, node: Traced) -> list[str]:
        """The cells of an expression, in the order in which it is written."""
        found: list[str] = []

        def slot(cell: int) -> Any:
            found.append(self.tracer.twin.name(cell))
            return ["mtext", ""]

        tree_of(node, slot)
        return found

    def uses(self, array: str) -> dict[str, list[tuple[str, float]]]:
        """For each cell that the numbers of an array are made of: those numbers, and what it gave each."""
        found: dict[str, list[tuple[str, float]]] = {}
        for name in self.names(array):
            for cells, share in self.made_of(name):
                for cell in dict.fromkeys(cells):
                    found.setdefault(cell, []).append((name, share))
        return found


def image_for(net: Network) -> Array:
    return np.random.default_rng(3).standard_normal((1, *net.input)).astype(np.float32)


def network(*layers: Layer, input: tuple[int, ...], name: str, seed: int = 5) -> Network:
    """A network with weights large enough that every unit says something."""
    net, rng = Network(*layers, input=input, name=name), np.random.default_rng(seed)
    for array in net.arrays.values():
        array[...] = rng.standard_normal(array.shape) / 2
    return net


def every_layer() -> Run:
    """Each kind of layer, and a convolution with each kind of activation in it."""
    net = network(
        *(Conv(3, size=3, padding=1, stride=2, activation=ReLU()), LeakyReLU(0.25), MaxPool(2, stride=1)),
        *(Conv(4, size=2, padding=1, activation=LeakyReLU(0.125)), Sigmoid(), MeanPool(2, stride=1)),
        *(Conv(2, size=1), Tanh(), ReLU(), L2Pool(2, stride=1), Flatten()),
        *(Dense(5, activation=ReLU()), Dense(3), Softmax()),
        input=(2, 9, 8),
        name="every layer",
    )
    return net.run(image_for(net), np.array([1]), CrossEntropy())


def newer_layers() -> Run:
    """Those that came with residual networks, one skip over a block that is as large, one over one that halves."""
    net = network(
        *(Conv(2, size=3, padding=1), GroupNorm(2), SiLU(), Conv(2, padding=1), ELU(0.5), Add("silu1"), GELU()),
        *(Conv(3, padding=1, stride=2), BatchNorm(), Add("gelu1")),
        *(Dropout(0.25), TanhGELU(), GlobalMeanPool(), Dense(3)),
        input=(1, 4, 5),
        name="newer layers",
    )
    return net.run(image_for(net), np.array([1]), SoftmaxCrossEntropy())


def long_sums() -> Run:
    """A bias used at 144 places."""
    net = network(Conv(2, padding=1), MaxPool(3), Flatten(), Dense(4), input=(1, 12, 12), name="long sums")
    return net.run(image_for(net), np.array([2]), SoftmaxCrossEntropy())


def mean_squared() -> Run:
    net = network(Conv(2, size=2), Sigmoid(), Flatten(), Dense(2), input=(1, 4, 4), name="mean squared")
    return net.run(image_for(net), np.array([[0.5, -1.5]]), MeanSquaredError())


def half_squared() -> Run:
    net = network(Dense(3, activation=ReLU()), Dense(2), input=(4,), name="half squared")
    return net.run(image_for(net), np.array([[1.0, 0.25]]), HalfSquaredError())


def weighted() -> Run:
    net = network(Conv(2, size=2), Tanh(), Flatten(), Dense(3), input=(1, 3, 4), name="weighted")
    loss = WeightedCrossEntropy((2.0, 0.5, 1.25), label_smoothing=0.25)
    return net.run(image_for(net), np.array([2]), loss)


def first_cnn() -> Run:
    """The network of the hand calculation."""
    return EXAMPLES["first-cnn"].run()


RUNS: dict[str, Callable[[], Run]] = {
    each.__name__: each
    for each in (every_layer, newer_layers, long_sums, mean_squared, half_squared, first_cnn, weighted)
}


Pages = Callable[[str], tuple[Own, Path]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """A run by its name, and its page on disk: each made once."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def page(name: str) -> tuple[Own, Path]:
        own = Own(RUNS[name]())
        path = folder / f"{name}.html"
        Page(own.run, classes=CLASSES).save(path)
        return own, path

    return page


# The browser

READ = """
const root = document.querySelector("#explanation");
const kinds = ["value", "product", "total", "rest", "run", "difference", "bound"];
const read = (made) => {
  const kind = kinds.find((each) => each in made.dataset);
  const isMath = made.namespaceURI.endsWith("MathML");
  return {kind, cell: made.dataset.cell ?? null, full: made.dataset[kind], text: made.textContent,
          title: isMath ? null : made.title, isMath, isSeen: made.checkVisibility()};
};
const numbersIn = (place) => [...place.querySelectorAll(kinds.map((kind) => `[data-${kind}]`).join())].map(read);
const sentence = (place) => {
  const copy = place.cloneNode(true);
  const cells = [...copy.querySelectorAll(".factor")].map((each) => each.querySelector(".name").textContent);
  copy.querySelectorAll(".factor .number").forEach((each) => each.remove());
  return {text: copy.textContent, cells};
};
const rows = [...root.querySelectorAll(".origin tbody tr")].map((row) => ({
  count: row.querySelector(".count").textContent,
  made: sentence(row.querySelector(".made")),
  product: row.querySelector("[data-product]").dataset.product,
  total: row.querySelector("[data-total]").dataset.total,
}));
return {
  quantity: root.dataset.quantity ?? null,
  numbers: numbersIn(root),
  rows,
  sum: [...root.querySelectorAll(".numbers [data-cell]")].map((each) => each.dataset.cell),
  heading: root.querySelector(".origin .heading h3")?.textContent ?? null,
  rest: root.querySelector("[data-rest]")?.dataset.rest ?? null,
  pager: root.querySelector(".pager")?.textContent ?? null,
  order: root.querySelector("[name=order]:checked")?.value ?? null,
  reasons: [...root.querySelectorAll(".reasons li")].map((each) => sentence(each).text),
  trail: [...root.querySelectorAll(".trail li")].map((each) => each.textContent),
  text: root.textContent,
};
"""

LIT = """
const [scope, array, kind] = arguments;
const marks = document.querySelector(`${scope} canvas[data-array="${array}"]`)?.parentElement.querySelector(".marks");
if (!marks || !marks.checkVisibility()) return null;
const probe = Object.assign(document.createElement("i"), {style: `color: var(--${kind})`});
document.body.append(probe);
const colour = getComputedStyle(probe).color.match(/[0-9.]+/g).map(Number);
probe.remove();
const {data, width, height} = marks.getContext("2d").getImageData(0, 0, marks.width, marks.height);
let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
  const at = 4 * (y * width + x);
  if (data[at + 3] > 200 && colour.every((part, i) => Math.abs(part - data[at + i]) < 12)) {
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  }
}
if (right < 0) return null;
const middle = () => {
  const box = marks.getBoundingClientRect();
  const [across, down] = [box.width / width, box.height / height];
  return [box.left + (left + right + 1) / 2 * across, box.top + (top + bottom + 1) / 2 * down];
};
const cells = marks.previousElementSibling;
if (document.elementFromPoint(...middle()) !== cells) marks.scrollIntoView({block: "end", inline: "center"});
return document.elementFromPoint(...middle()) === cells ? middle() : null;
"""

FAINT = """
const parts = (colour) => (colour.startsWith("color(srgb")
  ? colour.match(/[0-9.]+/g).map((part, i) => (i < 3 ? part * 255 : Number(part)))
  : colour.match(/[0-9.]+/g).map(Number));
const light = (colour) => {
  const [red, green, blue] = colour.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const behind = (made) => {
  for (let each = made; each; each = each.parentElement) {
    const colour = parts(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
};
const found = [];
for (const made of document.body.querySelectorAll("*")) {
  const hasText = [...made.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
  if (!hasText || made.matches("script, noscript, :disabled, .unseen, .unseen *") || !made.checkVisibility()) continue;
  const [one, other] = [parts(getComputedStyle(made).color), behind(made)].map((each) => light(each.slice(0, 3)));
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (contrast < 4.5) found.push(`${made.tagName}.${made.className} ${made.textContent.slice(0, 30)}: ${contrast}`);
}
return found;
"""


class Browser:
    """A page in Chromium, used as a reader uses it: by mouse and by keys."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.address = ""
        self.screen: Any = None

    def open(self, path: Path, name: str = "", size: tuple[int, int] = WIDE, dark: bool = False) -> None:
        """A page from disk, with the network off."""
        if self.address:
            self.driver.get("about:blank")
        if (size, dark) != self.screen:
            width, height = size
            screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            self.screen = size, dark
        self.address = path.as_uri()
        self.driver.get(self.address + ("#" + name if name else ""))
        self.until("return document.documentElement.dataset.ready === '1'", "the page is not ready")
        self.point(1, 1)

    def js(self, code: str, *arguments: Any) -> Any:
        """What a script gives."""
        return self.driver.execute_script(code, *arguments)

    def until(self, code: str, problem: str, *arguments: Any) -> None:
        """Wait until a script says yes."""
        end, pause = time.monotonic() + PATIENCE, 0.002
        while not self.js(code, *arguments):
            assert time.monotonic() < end, f"{problem}; the console says {self.driver.get_log('browser')}"
            time.sleep(pause := min(1.5 * pause, 0.1))  # a page that is asked all the time never has time to itself

    def point(self, x: float, y: float) -> None:
        """Move the mouse."""
        actions = ActionBuilder(self.driver, mouse=PointerInput(POINTER_MOUSE, "mouse"), duration=0)
        actions.pointer_action.move_to_location(int(x), int(y))
        actions.perform()

    def click_at(self, x: float, y: float) -> None:
        """Press the mouse at a place and let it go."""
        for kind in ("mousePressed", "mouseReleased"):  # to move it there first would wait for a frame
            event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def middle(self, selector: str, number: int = 0) -> tuple[float, float]:
        """Where an element lies in the window once it is scrolled to, nothing lying over it."""
        place = self.js(
            """
            const made = document.querySelectorAll(arguments[0])[arguments[1]];
            if (!made) return null;
            const on = () => {
              const {left, top, width, height} = made.getBoundingClientRect();
              const [x, y] = [left + width / 2, top + height / 2];
              const hit = document.elementFromPoint(x, y);
              return [x, y, hit === made || made.contains(hit) || Boolean(hit?.closest("label")?.contains(made))];
            };
            if (!on()[2]) made.scrollIntoView({block: "end", inline: "center"});
            return on();
            """,
            selector,
            number,
        )
        assert place, f"there is no {selector} number {number}"
        assert place[2], f"something lies over {selector} number {number}"
        return place[0], place[1]

    def click(self, selector: str, number: int = 0) -> None:
        """Click an element."""
        self.click_at(*self.middle(selector, number))

    def hover(self, selector: str, number: int = 0) -> None:
        """Point at an element."""
        self.point(*self.middle(selector, number))

    def click_cell(self, name: str) -> None:
        """Click a cell where it is drawn."""
        x, y, over = self.js(
            """
            const {x, y} = window.plaingrad.cellAt(arguments[0]);
            const [left, top] = [x - scrollX, y - scrollY];
            return [left, top, document.elementFromPoint(left, top)?.dataset.array ?? null];
            """,
            name,
        )
        assert over == name.partition("[")[0], f"at {name} there lies {over}"
        self.click_at(x, y)
        self.explains(name)

    def explains(self, name: str) -> None:
        """Wait until a number is explained."""
        code = "return document.querySelector('#explanation').dataset.quantity === arguments[0]"
        self.until(code, f"{name} is not explained", name)

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def press_back(self) -> None:
        """Press Tab with Shift held."""
        ActionChains(self.driver, duration=0).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()

    def text(self, selector: str) -> str:
        """What an element says, as one sees it."""
        return str(self.js("return document.querySelector(arguments[0]).innerText", selector))

    def read(self) -> dict[str, Any]:
        """The explanation at hand."""
        return dict(self.js(READ))

    def marked(self, scope: str, array: str, kind: str) -> str | None:
        """The cell in the middle of the marks of one kind in a drawn array, which the page names when pointed at."""
        place = self.js(LIT, scope, array, kind)
        if place is None:
            return None
        self.point(*place)
        return str(self.js("return document.querySelector('#hint:not([hidden]) code')?.textContent ?? ''"))

    def picture(self, name: str) -> None:
        """A screenshot, where they are asked for."""
        if folder := os.environ.get("PLAINGRAD_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def requests(self) -> list[str]:
        """The addresses asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in asked if each["request"]["url"] != "about:blank"]

    def problems(self) -> list[str]:
        """Errors on the console since the last time."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium without a window, its network off."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        driver.get("about:blank")
        driver.execute_cdp_cmd("Network.enable", {})
        off = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", off)
        yield Browser(driver)
    finally:
        with contextlib.suppress(Exception):
            driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser: whatever a test does, no page may ask for anything but itself, or complain."""
    chromium.driver.get("about:blank")
    chromium.requests(), chromium.problems()
    chromium.address = ""
    yield chromium
    assert chromium.problems() == []
    asked = {each.partition("#")[0] for each in chromium.requests()}
    assert asked == ({chromium.address} if chromium.address else set())


# Numbers

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def rounded(value: float, digits: int = 6) -> str:
    """A number as the page is to write it: so many digits, five and fewer beside a power of ten."""
    if isnan(value):
        return "NaN"
    exact = Decimal(value)
    if exact.is_infinite():
        return "∞" if value > 0 else "−∞"
    if not exact:
        return "0"
    plain = Decimal("1e-4") <= abs(exact) < Decimal("1e6")
    places = (digits if plain else min(digits, 4)) - 1
    near = exact.quantize(Decimal((0, (1,), exact.adjusted() - places)), ROUND_HALF_UP)
    power = near.adjusted()
    text = format(near if plain else near.scaleb(-power), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (text if plain else f"{text}×10{str(power).translate(RAISED)}").replace("-", "−")


def same(one: float, other: float) -> bool:
    """To the last bit; NaN is NaN."""
    return one == other or (isnan(one) and isnan(other))


def size(value: float) -> float:
    """For sorting: what is no number stands before all others."""
    return inf if isnan(value) else abs(value)


def check_number(own: Own, shown: dict[str, Any]) -> None:
    """A number on the page: written as it should be, and where it is a cell's, that cell's."""
    full = float(shown["full"])
    assert shown["isSeen"], shown
    text = shown["text"].removeprefix("(").removesuffix(")") if shown["isMath"] else shown["text"]
    assert text == rounded(full, 2 if shown["kind"] in ("difference", "bound") else 6), shown
    assert shown["isMath"] or same(float(shown["title"].replace("Infinity", "inf")), full), shown
    if shown["cell"] is not None:
        assert same(full, own.value(shown["cell"])), shown


def check_comparison(told: Explanation, shown: dict[str, Any], is_double: bool) -> None:
    """What the page says of the compiled run. It counts 2·terms + 1 roundings of the run, where there is one a term; in
    a run of float64 its own sums, of which each term may be off by two such roundings, weigh as much."""
    numbers = {each["kind"]: float(each["full"]) for each in shown["numbers"]}
    if told.run_value is None:
        assert "run" not in numbers
        return
    assert same(numbers["run"], told.run_value)
    assert numbers["difference"] == abs(told.value - told.run_value)
    if "bound" in numbers:
        assert numbers["difference"] <= numbers["bound"]
        assert numbers["bound"] <= (5.00001 if is_double else 3.00001) * told.bound


def check_terms(own: Own, told: Explanation, shown: dict[str, Any], first: int = 0) -> None:
    """The table: these terms and no others, in the order it says, each with its value and the sum so far."""
    terms = list(enumerate(told.terms))
    if shown["order"] == "size":
        terms.sort(key=lambda each: (-size(each[1].product), each[0]))
    sums = list(accumulate(term.product for _, term in terms))
    assert shown["heading"] == f"{len(terms):,} term{'' if len(terms) == 1 else 's'}"
    for place, row in enumerate(shown["rows"], first):
        term = terms[place][1]
        node = Traced(term.product, "neg", term.node) if term.is_negative else term.node
        assert row["count"] == str(place + 1)
        assert row["made"]["cells"] == own.cells(term.node)
        assert row["made"]["text"] == as_text(tree_of(node, told.twin.tree))
        assert same(float(row["product"]), term.product)
        assert same(float(row["total"]), sums[place])
    if first + len(shown["rows"]) == len(terms):
        assert shown["order"] == "size" or same(sums[-1], told.value)
    if shown["rest"] is not None:
        left = terms[len(shown["rows"]) :]
        assert float(shown["rest"]) == sum(term.product for _, term in left)
        assert shown["pager"].startswith(f"{len(left):,} more, summing to ")


def check_sum(own: Own, told: Explanation, shown: dict[str, Any]) -> None:
    """The formula with numbers: every term of a short sum, the three largest of a long one, then the number itself."""
    terms = sorted(told.terms, key=lambda term: -size(term.product))[:3] if len(told.terms) > 4 else told.terms
    cells = [cell for term in terms for cell in own.cells(term.node)]
    assert shown["sum"] == [*cells, told.quantity]
    assert (f"{len(told.terms) - 3:,} more term" in shown["text"]) == (len(told.terms) > 4)


def check_reasons(own: Own, told: Explanation, shown: dict[str, Any]) -> None:
    """The sentences are the run's, with the same cells: those about the number's own comparisons, which come first."""
    assert told.node is not None
    known = [
        each.pattern.format(*map(own.tracer.twin.name, each.cells))
        for each in sentences(own.tracer, told.cell, told.node)
    ]
    compared = [each for each in told.node.why if not is_idle(each)]
    assert shown["reasons"] == known[: len(shown["reasons"])]
    assert shown["reasons"] or not compared


def check(own: Own, shown: dict[str, Any], name: str) -> None:
    """Everything that an explanation shows, against what the run says when it is asked in Python."""
    told = own.ask(name)
    assert shown["quantity"] == told.quantity == name
    assert shown["numbers"][0]["cell"] == name
    assert same(float(shown["numbers"][0]["full"]), told.value)
    assert told.about in shown["text"]
    for number in shown["numbers"]:
        check_number(own, number)
    check_comparison(told, shown, own.run.net.dtype == np.float64)
    if own.tracer.is_given(own.sheets[name.partition("[")[0]]):
        assert "This number is given" in shown["text"]
        assert shown["rows"] == []
        return
    check_reasons(own, told, shown)
    if told.terms:
        check_terms(own, told, shown)
        check_sum(own, told, shown)
    else:
        assert "No term was added, so it is 0." in shown["text"]
        assert told.value == 0


def one_of_each(own: Own, array: str) -> list[str]:
    """Of an array a number above 0, one below, and one that is 0: away from the edge where there is a choice."""
    found: dict[float, list[str]] = {}
    for name in own.names(array):
        found.setdefault(float(np.sign(own.value(name))), []).append(name)
    return [names[len(names) // 2] for names in found.values()]


# Tests


def test_these_networks_have_every_layer_and_every_loss() -> None:
    built = [make() for make in RUNS.values()]
    kinds = {type(step.layer) for run in built for step in run.net.steps.values()}
    ours = {kind for kind in Layer.kinds().values() if kind.__module__.startswith("plaingrad.")}
    assert ours == kinds
    assert {type(run.loss).__name__ for run in built} == {
        *("SoftmaxCrossEntropy", "WeightedCrossEntropy", "CrossEntropy", "MeanSquaredError", "HalfSquaredError"),
    }


@pytest.mark.parametrize("name", some(RUNS, lambda place: place == 4))
@pytest.mark.often(1)
def test_every_number_shown_is_the_run_s(browser: Browser, pages: Pages, name: str) -> None:
    own, path = pages(name)
    browser.open(path)
    shown = browser.read()
    check(own, shown, shown["quantity"])
    for array in own.sheets:
        for cell in one_of_each(own, array):
            browser.click_cell(cell)
            shown = browser.read()
            check(own, shown, cell)
            if own.role(array) == "gradient":
                assert "bound" in {each["kind"] for each in shown["numbers"]}, "a sum of products has a bound"
            if array.endswith(".y") and array.replace(".y", ".z") in own.sheets:
                summed = cell.replace(".y", ".z")
                assert summed in shown["reasons"][0]
                assert (" was off, because " in shown["reasons"][0]) == (own.value(summed) <= 0)


@pytest.mark.parametrize("name", some(RUNS, lambda place: place < 2))
@pytest.mark.often(1)
def test_every_number_in_the_maps_is_the_run_s(browser: Browser, pages: Pages, name: str) -> None:
    own, path = pages(name)
    browser.open(path)
    drawn = "return [...document.querySelectorAll('#layers canvas[data-array]')].map((each) => each.dataset.array)"
    seen = set(browser.js(drawn))
    if browser.js("return document.querySelector('#views').checkVisibility()"):
        for view in ("errors", "gradients", "values"):
            browser.click(f"#views [value={view}]")
            seen |= set(browser.js(drawn))
    assert seen == set(own.sheets)
    for array, sheet in own.sheets.items():
        values = browser.js("return Array.from(plaingrad.values(arguments[0]), String)", array)
        assert [*map(float, values)] == sheet.values().astype(float).tolist(), array
    layers = browser.js("return [...document.querySelectorAll('[data-layer]')].map((each) => each.dataset.layer)")
    assert layers == ["input", *own.run.net.steps, "loss"]


@pytest.mark.parametrize("name", some(RUNS, lambda place: place == 4))
def test_the_loss_and_the_probabilities_are_the_run_s(browser: Browser, pages: Pages, name: str) -> None:
    own, path = pages(name)
    browser.open(path)
    loss = own.value("loss.y")
    assert float(browser.js("return document.querySelector('header [data-loss]').dataset.loss")) == loss
    said = browser.text("#verdict")
    assert f"The loss is {rounded(loss)}." in said
    expected = class_probabilities(own.tracer)
    bars = browser.js(
        "return [...document.querySelectorAll('.bars li')].map((each) => "
        "[...each.querySelectorAll('span')].map((part) => [part.textContent, part.title]))"
    )
    if expected is None:
        assert (bars, "The network says" in said) == ([], False)
        return
    best = int(np.argmax(expected))
    label = int(np.argmax([own.value(each) for each in own.names("loss.target")]))
    assert f"The network says {CLASSES[best]} with probability {rounded(expected[best], 4)}." in said
    assert f"The label says {CLASSES[label]}" in said
    assert ("it is wrong" in said) == (label != best)
    assert [bar[0][0] for bar in bars] == list(CLASSES[: len(expected)])
    assert [float(bar[1][1]) for bar in bars] == expected
    assert [bar[1][0] for bar in bars] == [rounded(each, 3) for each in expected]


def test_a_cell_has_the_colour_of_its_sign(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    for dark in (False, True):
        browser.open(path, dark=dark)
        for array in ("conv1.y", "conv3.y", "conv1.w", "conv2.dy"):
            for name in one_of_each(own, array):
                red, _, blue = browser.js(
                    """
                    const {x, y} = plaingrad.cellAt(arguments[0]);
                    const canvas = document.querySelector(`#layers [data-array="${arguments[0].split("[")[0]}"]`);
                    const box = canvas.getBoundingClientRect();
                    const place = [x - scrollX - box.left, y - scrollY - box.top];
                    return [...canvas.getContext("2d").getImageData(...place, 1, 1).data].slice(0, 3);
                    """,
                    name,
                )
                share = own.value(name) / max(abs(own.value(each)) for each in own.names(array))
                if abs(share) > 0.1:
                    assert (red - blue) * share > 0, (name, share, red, blue)
                elif not share:
                    assert abs(red - blue) < 16, (name, red, blue)


@pytest.mark.often(1)
def test_long_sums_are_shown_in_parts_and_in_either_order(browser: Browser, pages: Pages) -> None:
    own, path = pages("long_sums")
    browser.open(path)
    browser.click_cell("conv1.db[1]")
    told, shown = own.ask("conv1.db[1]"), browser.read()
    assert len(told.terms) == 144
    assert (shown["order"], len(shown["rows"])) == ("size", FEW)
    check(own, shown, "conv1.db[1]")
    browser.click("#explanation .pager button")
    check_terms(own, told, shown := browser.read())
    assert len(shown["rows"]) == MANY
    browser.click("#explanation .pager button", 1)
    check_terms(own, told, shown := browser.read(), MANY)
    assert len(shown["rows"]) == len(told.terms) - MANY
    browser.click("#explanation [name=order][value=loops]")
    check_terms(own, told, shown := browser.read())
    assert shown["order"] == "loops"
    browser.click("#explanation .pager button", 1)
    check_terms(own, told, shown := browser.read(), MANY)
    assert float(shown["rows"][-1]["total"]) == told.value
    browser.click("#explanation .pager button")
    assert browser.read()["rows"][0]["count"] == "1"
    browser.click("#explanation .pager button", 2)
    check(own, browser.read(), "conv1.db[1]")
    browser.click_cell("conv1.db[0]")
    assert browser.read()["order"] == "loops", "the order one chose is kept"


@pytest.mark.long
def test_what_a_number_goes_into(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    browser.open(path)
    for name in ("conv2.dz[1,2,2]", "maxpool1.y[0,1,1]"):
        browser.click_cell(name)
        browser.until("return document.querySelector('#uses').textContent", f"it is not said what {name} goes into")
        shown = browser.js(
            """
            return [...document.querySelectorAll("#uses .uses")].map((each) =>
              [each.querySelector("code").textContent, each.textContent,
               [...each.querySelectorAll("[data-cell]")].map((made) => made.dataset.cell)]);
            """
        )
        expected = {}
        for array in own.sheets:
            if not own.tracer.is_given(own.sheets[array]) and (used := own.uses(array).get(name)):
                expected[array] = [each for each, _ in used]
        assert [array for array, _, _ in shown] == list(expected)
        for array, text, cells in shown:
            count = len(expected[array])
            assert text.startswith(f"{count:,} cell{'' if count == 1 else 's'} of {array}")
            assert cells == expected[array][:6]


@pytest.mark.long
def test_a_chain_from_the_first_weight_to_the_loss_and_back(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    start = max(own.names("conv1.dw"), key=lambda name: abs(own.value(name)))
    browser.open(path)
    first = browser.read()["quantity"]
    way = [first] if first == start else [first, start]
    if first != start:
        browser.click_cell(start)
    while True:
        shown = browser.read()
        check(own, shown, way[-1])
        assert shown["trail"][-min(7, len(way)) :] == way[-7:]
        factors = [cell for row in shown["rows"] for cell in row["made"]["cells"]]
        errors = [each for each in factors if own.role(each.partition("[")[0]) == "error" and own.value(each)]
        of_loss = [each for each in factors if each.startswith("loss.") and own.value(each)]
        if not errors and not of_loss:
            break
        chosen = (errors or of_loss)[0]
        browser.click("#explanation .origin tbody .factor", factors.index(chosen))
        browser.explains(chosen)
        way.append(chosen)
    assert way[-1].startswith("loss.")
    passed = list(dict.fromkeys(each.partition(".")[0] for each in way))
    assert passed == [*own.run.net.steps, "loss"], "the way leads through every layer"
    for name in reversed(way[:-1]):
        browser.driver.back()
        browser.explains(name)
        shown = browser.read()
        check(own, shown, name)
        assert shown["trail"][-1] == name
    browser.driver.forward()
    browser.explains(way[1])
    browser.click("#explanation .trail a")
    browser.explains(first)


@pytest.mark.parametrize(
    ("address", "name"),
    some(
        [
            ("conv1.dw[2,1,0,2]", "conv1.dw[2,1,0,2]"),
            ("conv1.dw%5B2%2C1%2C0%2C2%5D", "conv1.dw[2,1,0,2]"),
            ("conv1.dw%5b2,%201,0,2]", "conv1.dw[2,1,0,2]"),
            ("loss.y", "loss.y"),
            ("conv1.db", "conv1.db[0]"),
            ("maxpool1.x[0,1,1]", "leakyrelu1.y[0,1,1]"),
        ],
        lambda place: place % 3 == 0,
    ),
)
def test_an_address_is_a_link(browser: Browser, pages: Pages, address: str, name: str) -> None:
    own, path = pages("every_layer")
    browser.open(path, address)
    check(own, browser.read(), name)


@pytest.mark.parametrize(
    ("address", "problem", "nearest"),
    some([
        ("conv9.dw[0,0,0,0]", "There is no “conv9.dw” here. The nearest name is “conv1.dw”.", "conv1.dw[0,0,0,0]"),
        ("conv1.dw[0,0,0,3]", "“conv1.dw” has no cell [0,0,0,3].", "conv1.dw[0,0,0,0]"),
        ("conv1.dw[0,0]", "“conv1.dw” has no cell [0,0]. Its last one is conv1.dw[2,1,2,2].", "conv1.dw[0,0,0,0]"),
        ("conv1.dw[-1,0,0,0]", "“conv1.dw” has no cell [-1,0,0,0].", "conv1.dw[0,0,0,0]"),
        ("%", "There is no “%” here.", None),
        (WICKED, f"There is no “{WICKED}” here.", None),
    ], lambda place: place % 4 == 0),
)  # fmt: skip
def test_an_address_that_names_nothing(
    browser: Browser, pages: Pages, address: str, problem: str, nearest: str | None
) -> None:
    own, path = pages("every_layer")
    browser.open(path, address)
    told = browser.text("#explanation .warning[role=alert]")
    assert told.startswith(problem)
    named = re.search("The nearest name is “(.*)”", told)
    assert nearest or (named and named[1] in own.sheets)
    assert browser.js("return [window.hacked ?? null, document.querySelectorAll('img').length]") == [None, 0]
    offered = browser.text("#explanation p:not(.warning) a")
    assert offered == (nearest or own.names(str(named and named[1]))[0])
    browser.click("#explanation p:not(.warning) a")
    browser.explains(offered)
    browser.driver.back()
    browser.until("return document.querySelector('#explanation .warning')", "the way back is lost")


@pytest.mark.often(1)
def test_by_keyboard_alone(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    focused = "return document.activeElement.matches(arguments[0])"

    def tab_to(selector: str) -> None:
        for _ in range(200):
            browser.press(Keys.TAB)
            if browser.js(focused, selector):
                return
        raise AssertionError(f"Tab does not lead to {selector}")

    def live() -> str:
        return str(browser.js("return document.querySelector('#live[aria-live=polite]').textContent"))

    browser.open(path)
    browser.press(Keys.TAB, Keys.ENTER)
    assert browser.js(focused, "#stage"), "the first stop is a way round the layers"
    browser.open(path)
    tab_to("#views [name=view]")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.js(focused, "[value=errors]:checked")
    browser.press(Keys.ARROW_LEFT)
    tab_to("#layers canvas")
    browser.press(Keys.TAB)
    assert not browser.js(focused, "#layers canvas"), "the network is one stop"
    browser.press_back()
    for _ in range(20):
        if browser.js(focused, "[data-array='conv1.z']"):
            break
        browser.press(Keys.PAGE_DOWN)
    assert live() == f"conv1.z[0,0,0] is {rounded(own.value('conv1.z[0,0,0]'))}"
    moves = {
        Keys.ARROW_RIGHT: "conv1.z[0,0,1]",
        Keys.ARROW_DOWN: "conv1.z[0,1,1]",
        Keys.ARROW_UP: "conv1.z[0,0,1]",
        Keys.ARROW_LEFT: "conv1.z[0,0,0]",
    }
    for key, name in moves.items():
        browser.press(key)
        assert live() == f"{name} is {rounded(own.value(name))}"
    browser.press(Keys.ARROW_LEFT)
    assert live().startswith("conv1.z[2,0,3] is "), "off the edge of the first map lies the last"
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    name = "conv1.z[0,2,0]"
    assert live() == f"{name} is {rounded(own.value(name))}"
    browser.press(Keys.ENTER)
    browser.explains(name)
    assert live() == f"Explained: {name} is {rounded(own.value(name))}"
    check(own, browser.read(), name)
    browser.until(focused, "one key leads to the terms", "#explanation .origin tbody .factor")
    factor = browser.js("return document.activeElement.dataset.opens")
    browser.press(Keys.TAB)
    assert not browser.js(focused, "#explanation .origin tbody .factor"), "the terms are one stop"
    browser.press_back()
    browser.press(Keys.ARROW_RIGHT)
    other = browser.js("return document.activeElement.dataset.opens")
    assert other != factor
    assert other in {cell for row in browser.read()["rows"] for cell in row["made"]["cells"]}
    browser.press(Keys.ENTER)
    browser.explains(other)
    assert live() == f"Explained: {other} is {rounded(own.value(other))}"
    browser.press(Keys.ESCAPE)
    assert browser.js("return document.body.dataset.network") == "whole"


@pytest.mark.parametrize("name", some(["every_layer", "first_cnn"], lambda place: place == 1))
def test_enter_leads_from_the_first_gradient_to_the_loss(browser: Browser, pages: Pages, name: str) -> None:
    own, path = pages(name)
    start = max(own.names("conv1.dw"), key=lambda each: abs(own.value(each)))
    browser.open(path, start)
    for _ in range(60):  # Tab leads to the terms once; after that Enter alone
        browser.press(Keys.TAB)
        if browser.js("return document.activeElement.matches('#explanation .origin tbody .factor')"):
            break
    way = [start]
    while not way[-1].startswith("loss."):
        way.append(browser.js("return document.activeElement.dataset.opens ?? null"))
        assert way[-1], f"the way ends at {way[-2]}"
        browser.press(Keys.ENTER)
        browser.explains(way[-1])
        browser.until("return document.activeElement.closest('#explanation')", "the way on has not the focus")
    passed = list(dict.fromkeys(each.partition(".")[0] for each in way))
    assert passed == [*own.run.net.steps, "loss"], way


# What stands where

LAID = (1280, 800)
BOXES = """
return arguments[0].map((selector) => {
  const made = document.querySelector(selector);
  if (!made || !made.checkVisibility()) return null;
  const {left, top, right, bottom} = made.getBoundingClientRect();
  return [left, top, right, bottom];
});
"""
WRITTEN = """
const found = {};
for (const each of document.querySelectorAll("#layers .digits")) {
  const {left, top, right, bottom} = each.getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(each);
  found[each.dataset.at] = [each.textContent, left, top, right, bottom, range.getBoundingClientRect().width];
}
return found;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_number_of_a_small_network_is_written_in_its_square(browser: Browser, pages: Pages, dark: bool) -> None:
    own, path = pages("first_cnn")
    browser.open(path, size=LAID, dark=dark)
    written = browser.js(WRITTEN)
    expected = {name for array in own.sheets for name in own.names(array) if not array.endswith(".winner")}
    assert written.keys() == expected
    for name, (text, left, top, right, bottom, width) in written.items():
        assert 0 <= left < right <= LAID[0], name
        assert 0 <= top < bottom <= LAID[1], name
        assert width <= right - left + 1, f"{name}: {text} is wider than its square"
        assert abs(float(text.replace("−", "-")) - own.value(name)) <= 0.005, "two decimals"
    values, errors = (written[f"conv1.{each}[0,0,0]"] for each in ("y", "dy"))
    assert (errors[1], errors[3]) == (values[1], values[3]), "an error stands below its value"
    assert errors[2] > values[4]
    assert written["conv1.dw[0,0,0,0]"][1] == written["conv1.w[0,0,0,0]"][1]


@pytest.mark.parametrize("number", some(["conv1.dw[0,0,0,0]", "l2pool1.dx[0,0,0]", "dense1.dw[0,0]"], lambda n: n == 0))
def test_no_number_is_wider_than_its_square(browser: Browser, pages: Pages, number: str) -> None:
    """Nor are those beside an explanation, of whatever size they are."""
    browser.open(pages("every_layer")[1], number, size=LAID)
    written = browser.js(WRITTEN.replace("#layers", "#explanation"))
    assert written
    for name, (text, left, _, right, _, width) in written.items():
        assert width <= right - left + 1, f"{name}: {text} is wider than its square"


@pytest.mark.parametrize(("name", "number"), [("first_cnn", "conv1.dw[0,0,1,0]"), ("long_sums", "conv1.dw[1,0,1,1]")])
def test_small_figures_are_told_of_where_they_stand(browser: Browser, pages: Pages, name: str, number: str) -> None:
    browser.open(pages(name)[1], number, size=LAID)
    figures = browser.js("return document.querySelectorAll('#explanation .place').length")
    assert bool(figures) == (name == "first_cnn")
    assert ("the small figures count the terms" in browser.text(".pictures .note")) == bool(figures)


IN_SIGHT = """
const row = document.querySelector("#layers");
const box = row.querySelector(`[data-layer="${arguments[0]}"]`).getBoundingClientRect();
const seen = Math.min(box.right, row.getBoundingClientRect().right) - Math.max(box.left, 0);
return [row.scrollWidth > row.clientWidth, seen / Math.min(box.width, row.clientWidth)];
"""


@pytest.mark.parametrize("tab", ["player", "matrix"])
def test_what_is_played_is_seen_above_the_sheet_of_a_phone(browser: Browser, pages: Pages, tab: str) -> None:
    browser.open(pages("every_layer")[1], "conv1.dw[0,0,0,0]", size=PHONE)
    browser.js("scrollTo(0, document.body.scrollHeight)")
    browser.js("document.querySelector(`#tabs [data-tab=${arguments[0]}]`).click()", tab)
    browser.until("return document.querySelector(arguments[0])?.childElementCount > 1", "nothing is shown", f"#{tab}")
    code = "return document.querySelector(arguments[0]).getBoundingClientRect()"
    heading, sheet = (browser.js(code, each) for each in ('#layers [data-layer="conv1"] h3', "#stage"))
    assert 0 <= heading["top"] < heading["bottom"] <= sheet["top"]


@pytest.mark.parametrize("tab", ["player", "matrix"])
def test_what_is_played_is_seen_in_the_network(browser: Browser, pages: Pages, tab: str) -> None:
    """Also where the row was scrolled to the loss before, by the error's way."""
    browser.open(pages("every_layer")[1], "conv1.dw[0,0,0,0]", size=LAID)
    browser.click("#tabs [data-tab=way]")
    browser.until("return document.querySelector('#way .stops')", "the way is not drawn")
    browser.js("document.querySelector('#layers').scrollLeft = 1e6")
    browser.click(f"#tabs [data-tab={tab}]")
    browser.until("return document.querySelector(arguments[0])?.childElementCount > 1", "nothing is shown", f"#{tab}")
    is_wide, seen = browser.js(IN_SIGHT, "conv1")
    assert is_wide
    assert seen > 0.9


CONTRAST = """
const light = (colour) => {
  const [red, green, blue] = colour.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
return [...document.querySelectorAll("#layers .digits")].map((made) => {
  const ink = getComputedStyle(made).color.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const canvas = made.closest(".print").parentElement.querySelector("canvas");
  const [x, y] = [parseFloat(made.style.left) + 3, parseFloat(made.style.top) + 3];
  const under = [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
  const [one, other] = [light(ink), light(under)];
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
});
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_numbers_are_read_on_the_colour_of_their_square(browser: Browser, pages: Pages, dark: bool) -> None:
    _, path = pages("first_cnn")
    browser.open(path, size=LAID, dark=dark)
    contrasts = browser.js(CONTRAST)
    assert len(contrasts) > 100
    assert min(contrasts) >= 4.5
    browser.click("#theme")
    assert min(browser.js(CONTRAST)) >= 4.5, "in the other theme"


@pytest.mark.parametrize(
    ("name", "number"),
    some([("first_cnn", "conv1.dw[0,0,1,0]"), ("first_cnn", "relu1.dy[0,0,2]"), ("first_cnn", "dense1.dy[0]"),
     ("every_layer", "conv2.dw[1,2,1,0]"), ("long_sums", "conv1.dw[1,0,1,1]"), ("long_sums", "conv1.y[0,3,3]")],
     lambda place: place in (0, 3)),
)  # fmt: skip
def test_a_link_shows_value_formula_and_first_terms_at_once(
    browser: Browser, pages: Pages, name: str, number: str
) -> None:
    _, path = pages(name)
    browser.open(path, number, size=LAID)
    selectors = [".quantity", ".textbook", ".numbers", ".origin tbody tr", ".pictures canvas", ".network"]
    boxes = browser.js(BOXES, selectors)
    for selector, box in zip(selectors, boxes, strict=True):
        assert box, f"no {selector}"
        left, top, right, bottom = box
        assert 0 <= left < right <= LAID[0], selector
        assert 0 <= top < bottom <= LAID[1], f"{selector} of {number}: {box}"
    assert browser.js("return scrollY") == 0
    assert boxes[-1][3] - boxes[-1][1] <= 200, "the network is a strip"
    shown = browser.js(BOXES, [f"#layers [data-array='{number.partition('[')[0]}']", "#layers"])
    assert shown[1][0] <= shown[0][0] < shown[0][2] <= shown[1][2], "the layer in hand is in view"
    assert shown[0][3] <= shown[1][3] + 1


def test_nothing_explained_leaves_the_network_its_room(browser: Browser, pages: Pages) -> None:
    _, path = pages("every_layer")
    browser.open(path, size=LAID)
    assert browser.js(BOXES, [".network"])[0][3] > 300
    browser.click_cell("conv1.z[0,1,1]")
    assert browser.js("return document.querySelector('.network').offsetHeight") <= 200
    browser.click("#whole")
    assert browser.js("return document.querySelector('.network').offsetHeight") > 200


@pytest.mark.parametrize("name", ["first_cnn", "long_sums"])
def test_nothing_is_cut_on_a_phone(browser: Browser, pages: Pages, name: str) -> None:
    _, path = pages(name)
    browser.open(path, "conv1.dw[0,0,1,0]", size=PHONE)
    assert browser.js("return document.documentElement.scrollWidth") == PHONE[0]
    cut = browser.js(
        """
        return [...document.querySelectorAll(".pieces, .numbers, .terms .scroll")]
          .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1)
          .filter((each) => !each.classList.contains("wider")).map((each) => each.className);
        """
    )
    assert cut == [], "what scrolls says so"
    box, sheet = browser.js(BOXES, ["#layers [data-array='conv1.dw']", "#stage"])
    assert 0 <= box[1] < box[3] <= sheet[1], "the link leads to its map, above the sheet"
    assert 0 <= box[0] < box[2] <= PHONE[0]


def test_a_max_pool_points_at_its_winners(browser: Browser, pages: Pages) -> None:
    own, path = pages("first_cnn")
    browser.open(path, size=LAID)
    winners = [int(own.value(name)) for name in own.names("maxpool1.winner")]
    columns = own.sheets["relu1.y"].shape[-1]
    pixels = [f"[0,{row},{column}]" for row, column in (divmod(each, columns) for each in winners)]
    arrows = browser.js("return [...document.querySelectorAll('#layers .arrow')].map((each) => each.dataset.winner)")
    assert sorted(arrows) == sorted([f"relu1.{array}{pixel}" for array in ("y", "dy") for pixel in pixels])
    ends = browser.js(
        """
        return [...document.querySelectorAll("#layers .arrow")].map((path) => {
          const at = path.getPointAtLength(path.getTotalLength()).matrixTransform(path.getScreenCTM());
          const won = document.querySelector(`[data-at="${path.dataset.winner}"]`);
          const {left, top, right, bottom} = won.getBoundingClientRect();
          return at.x >= left - 1 && at.x <= right + 1 && at.y >= top - 1 && at.y <= bottom + 1;
        });
        """
    )
    assert all(ends), "each arrow ends in the pixel that won"
    grey = browser.js(
        """
        const canvas = document.querySelector("#layers [data-array='maxpool1.winner']");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.every((part, n) => n % 4 !== 0 || Math.abs(part - data[n + 2]) < 24);
        """
    )
    assert grey, "places are no amounts: they have no colours"
    browser.js("plaingrad.open('relu1.dy[0,0,2]')")
    browser.explains("relu1.dy[0,0,2]")
    assert "window (0,1)" in browser.read()["reasons"][0]


def test_the_pair_of_the_term_in_hand_is_joined(browser: Browser, pages: Pages) -> None:
    _, path = pages("first_cnn")
    browser.open(path, "conv1.dw[0,0,1,0]", size=LAID)
    joined = "return document.querySelectorAll('.pictures .joined path').length"
    assert browser.js(joined) == 0
    numbered = browser.js(
        "return [...document.querySelectorAll('.pictures .place')].map((each) => [each.dataset.at, each.textContent])"
    )
    rows = browser.read()["rows"]
    expected = [[cell, row["count"]] for row in rows for cell in row["made"]["cells"]]
    assert sorted(each for each in numbered if int(each[1]) <= len(rows)) == sorted(expected)
    browser.hover("#explanation .origin tbody .count", 0)
    assert browser.js(joined) == 1
    browser.point(2, 2)
    assert browser.js(joined) == 0
    browser.js("document.querySelector('[data-onward]').focus()")
    assert browser.js(joined) == 1, "by keyboard too"


def test_a_gradient_never_hides_its_factors(browser: Browser, pages: Pages) -> None:
    _, path = pages("every_layer")
    browser.open(path, "conv1.dw[0,0,1,1]", size=LAID)
    assert "no weights to learn" not in browser.js("return document.body.textContent")
    seen = browser.js(
        "return [...document.querySelectorAll('.pictures canvas[data-array]')].map((each) => each.dataset.array)"
    )
    assert seen == ["conv1.dz", "input"]


@pytest.mark.often(1)
def test_pointing_at_a_term_marks_both_factors(browser: Browser, pages: Pages) -> None:
    _, path = pages("every_layer")
    browser.open(path)
    for name, place in (("conv2.dw[1,2,1,0]", "#explanation .pictures"), ("conv3.y[1,2,1]", "#layers")):
        browser.click_cell(name)
        rows = browser.read()["rows"]
        for row in (1, 2, len(rows) - 1):
            for cell, kind in zip(rows[row]["made"]["cells"], ("first", "second"), strict=True):
                browser.hover("#explanation .origin tbody .count", row)
                assert browser.marked(place, cell.partition("[")[0], kind) == cell
        browser.hover("#explanation .origin tbody .count", 1)
        browser.picture(f"pointing-at-a-term-of-{name.partition('[')[0]}")
        browser.point(2, 2)
        for cell, kind in zip(rows[1]["made"]["cells"], ("first", "second"), strict=True):
            assert browser.marked(place, cell.partition("[")[0], kind) is None, "a mark stays"
        assert browser.marked("#layers", name.partition("[")[0], "picked") == name, "what is explained is marked"


class Player:
    """A layer, step by step."""

    def __init__(self, browser: Browser, layer: str, mode: str, by: str = "item") -> None:
        self.browser = browser
        if browser.js("return document.body.dataset.network") == "strip":  # which has no room for buttons
            browser.click("#whole")
        browser.click(f"[data-layer={layer}] .tools button")
        browser.until("return document.body.dataset.tab === 'player'", "the player is not there")
        browser.until("return document.querySelector('#player .controls')", "the player cannot be played")
        browser.click(f"#player [name=mode][value={mode}]")
        unit = {"forward": "output", "back": "error", "collect": "input", "weight": "weight"}[mode]
        label = "return document.querySelector('#player .controls output')?.textContent.startsWith(arguments[0])"
        browser.until(label, f"{mode} is not played", unit)
        browser.js(
            "const by = document.querySelector('#player select'); by.value = arguments[0];"
            "by.dispatchEvent(new Event('change'))",
            by,
        )

    def step(self, button: str) -> dict[str, Any]:
        """Press a button; what is told then."""
        place = ["First", "Back", "Play", "Forward"].index(button)
        self.browser.click("#player .controls button", place)
        return self.told()

    def told(self) -> dict[str, Any]:
        """What the player tells."""
        return dict(
            self.browser.js(
                """
                const story = document.querySelector("#player .story");
                const number = (each, kind) => each?.querySelector(`[data-${kind}]`)?.dataset[kind] ?? null;
                return {
                  place: document.querySelector("#player .controls output").textContent,
                  cells: [...story.querySelectorAll("p [data-cell]")].map((each) => each.dataset.cell),
                  text: story.querySelector("p").textContent,
                  total: number(story, "total"),
                  product: number(story.querySelector("p"), "product"),
                  filled: [...story.querySelectorAll(".filled")].map((each) => [each.dataset.full, each.textContent]),
                  terms: [...story.querySelectorAll(".arithmetic .term")].map((each) =>
                    [[...each.querySelectorAll("[data-cell]")].map((cell) => cell.dataset.cell), each.dataset.share]),
                  sum: story.querySelector("[data-sum]")?.dataset.sum ?? null,
                  before: story.querySelector("[data-before]")?.dataset.before ?? null,
                  laid: [...story.querySelectorAll(".laid g:not([data-state=none])")].map((each) =>
                    [each.dataset.cell, each.dataset.state]),
                  shares: [...story.querySelectorAll(".shares li:not(.note)")].map((each) =>
                    [each.querySelector("[data-cell]").dataset.cell, Number(number(each, "product"))]),
                  more: story.querySelector(".shares .note")?.textContent ?? null,
                  numbers: [...story.querySelectorAll(".number")].map((each) => [Number(each.title), each.textContent]),
                };
                """
            )
        )


def check_step(told: dict[str, Any], unit: str, place: int, count: int, more: str = "") -> None:
    assert told["place"] == f"{unit} {place + 1:,} of {count:,}{more}"
    assert [text for _, text in told["numbers"]] == [rounded(value) for value, _ in told["numbers"]]


def test_a_convolution_played_forward(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    names = own.names("conv1.z")
    browser.open(path)
    player = Player(browser, "conv1", "forward")
    places = [0, 1, 2, 3, 2, 1]
    buttons = ["First", "Forward", "Forward", "Forward", "Back", "Back"]
    for place, button in zip(places, buttons, strict=True):
        told = player.step(button)
        check_step(told, "output", place, len(names))
        made = own.ask(names[place])
        assert told["cells"][0] == names[place]
        assert f"{len(made.terms)} terms" in told["text"]
        assert float(told["total"]) == made.value == own.value(names[place])
    browser.picture("player-forward")
    browser.js("const s = document.querySelector('#player [type=range]'); s.focus(); s.scrollIntoView()")
    browser.press(Keys.END)
    check_step(player.told(), "output", len(names) - 1, len(names))
    player.step("First")
    browser.js("document.querySelector('#player select[aria-label=Speed]').focus()")
    browser.press("f")
    player.step("Play")
    browser.until("return document.querySelector('#player [type=range]').value >= 3", "it does not play")
    player.step("Play")
    stopped = player.told()["place"]
    time.sleep(0.2)
    assert player.told()["place"] == stopped


@pytest.mark.parametrize(
    ("layer", "source", "target"),
    some(
        [
            ("conv1", "conv1.dz", "conv1.dx"),
            ("conv3", "conv3.dy", "meanpool1.dy"),
            ("maxpool1", "maxpool1.dy", "leakyrelu1.dy"),
            ("meanpool1", "meanpool1.dy", "sigmoid1.dy"),
            ("l2pool1", "l2pool1.dy", "relu1.dy"),
            ("flatten1", "flatten1.dy", "l2pool1.dy"),
        ],
        lambda place: place == 0,
    ),
)
def test_an_error_played_back(browser: Browser, pages: Pages, layer: str, source: str, target: str) -> None:
    own, path = pages("every_layer")
    browser.open(path)
    player = Player(browser, layer, "back")
    names, uses = own.names(source), own.uses(target)
    for place, button in enumerate(["First", *["Forward"] * min(5, len(names) - 1)]):
        told = player.step(button)
        check_step(told, "error", place, len(names))
        expected = uses[names[place]]
        assert told["cells"][0] == names[place]
        assert told["shares"] == [list(each) for each in expected[:9]]
        assert told["more"] == (f"and {len(expected) - 9} more" if len(expected) > 9 else None)
        error = own.value(names[place])
        if layer in ("maxpool1", "flatten1"):
            assert [share for _, share in expected] == [error], "one place gets all of it"
        if layer == "maxpool1":
            window, winner = names[place].partition("[")[2], expected[0][0].partition("[")[2]
            row, column = divmod(int(own.value(f"maxpool1.winner[{window}")), own.sheets[target].shape[-1])
            assert winner == f"{window.split(',')[0]},{row},{column}]"
            assert browser.marked("#player .scenery", target, "used") == expected[0][0], "the winner is marked"
        if layer == "meanpool1":
            assert [share for _, share in expected] == [error / 4] * 4, "each gets the same part"
    told = player.step("Back")
    assert told["cells"][0] == names[min(5, len(names) - 1) - 1]
    browser.picture(f"player-back-{layer}")


def test_flatten_played_forward(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    browser.open(path)
    player = Player(browser, "flatten1", "forward")
    names = own.names("flatten1.y")
    for place, button in enumerate(["First", *["Forward"] * (len(names) - 1)]):
        told = player.step(button)
        check_step(told, "output", place, len(names))
        assert told["cells"][0] == names[place]
        (source,) = own.ask(names[place]).terms[0].factors
        for array, kind, name in (("flatten1.y", "picked", names[place]), ("l2pool1.y", "used", source.name)):
            assert browser.marked("#player .scenery", array, kind) == name


def check_filled(told: dict[str, Any]) -> None:
    """Numbers within arithmetic have four digits, and those below zero brackets where they need them."""
    for full, text in told["filled"]:
        assert text.strip("()") == rounded(float(full), 4)
    assert all(text.startswith("(−") for _, text in told["filled"] if "(" in text)


def check_sum_so_far(own: Own, told: dict[str, Any], name: str, place: int) -> None:
    """After `place` + 1 terms: the last eight as they are written, those before them added up, and the sum of all."""
    made = own.made_of(name)[: place + 1]
    totals = list(accumulate(share for _, share in made))
    assert float(told["sum"]) == float(told["total"] if told["total"] is not None else totals[-1]) == totals[-1]
    hidden = max(0, len(made) - 7) if len(made) > 8 else 0
    assert told["terms"] == [[cells, told["terms"][n][1]] for n, (cells, _) in enumerate(made[hidden:])]
    assert [float(share) for _, share in told["terms"]] == [share for _, share in made[hidden:]]
    assert (told["before"] is None) if not hidden else float(told["before"]) == totals[hidden - 1]
    check_filled(told)


def test_a_weight_s_gradient_collects_a_term_from_every_place(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    name = max(own.names("conv1.dw"), key=lambda name: abs(own.value(name)))
    browser.open(path, name)
    player = Player(browser, "conv1", "weight", "term")
    terms, total = own.ask(name).terms, 0.0
    assert len(terms) > FEW
    names = [*own.names("conv1.dw"), *own.names("conv1.db")]
    for place, term in enumerate(terms):
        told = player.step("Forward") if place else player.told()
        check_step(told, "weight", names.index(name), len(names), f", term {place + 1} of {len(terms)}")
        total += term.product
        assert told["cells"] == [name, *own.cells(term.node)]
        assert float(told["product"]) == term.product
        assert float(told["total"]) == total
        check_sum_so_far(own, told, name, place)
    assert total == own.value(name)
    browser.picture("player-weight")
    assert player.step("Forward")["cells"][0] == names[names.index(name) + 1], "the next weight follows"
    browser.click("#tabs [data-tab=explanation]")
    check(own, browser.read(), name)


@pytest.mark.parametrize(
    ("layer", "mode", "array"),
    some(
        [
            ("conv2", "forward", "conv2.z"),
            ("conv2", "collect", "maxpool1.dy"),
            ("meanpool1", "forward", "meanpool1.y"),
            ("dense1", "forward", "dense1.z"),
            ("dense1", "weight", "dense1.dw"),
        ],
        lambda place: place in (0, 4),
    ),
)
def test_a_sum_grows_term_by_term(browser: Browser, pages: Pages, layer: str, mode: str, array: str) -> None:
    """By keys alone, from one number on into the next: the window lies over the numbers that the terms are made of."""
    own, path = pages("every_layer")
    browser.open(path)
    Player(browser, layer, mode, "item").step("First")
    player = Player(browser, layer, mode, "term")
    first, second = own.names(array)[:2]
    steps = [(name, place) for name in (first, second) for place in range(len(own.made_of(name)))]
    browser.js("document.activeElement.blur()")
    for number, (name, place) in enumerate(steps[: len(own.made_of(first)) + 2]):
        if number:
            browser.press(Keys.ARROW_RIGHT)
        told = player.told()
        made = own.made_of(name)
        assert told["place"].endswith(f", term {place + 1} of {len(made)}")
        assert told["cells"][0] == name
        check_sum_so_far(own, told, name, place)
        if place == len(made) - 1:
            assert float(told["sum"]) == own.value(name)
        products = [cells for cells, _ in made if len(cells) == 2]
        if len(products) > 1:
            lit = [cell for cell, state in told["laid"] if state == "now"]
            under = [cell for cell in made[place][0] if own.role(cell.partition("[")[0]) != "weight"]
            assert lit == (under if len(made[place][0]) == 2 else [])
            factors = {cell for cells in products for cell in cells}
            assert {cell for cell, _ in told["laid"]} <= factors
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert player.told()["cells"][0] == first, "back from the first term of a number is the whole one before"
    browser.press(Keys.HOME)
    begun = player.told()["place"]
    assert begun.endswith(f", term 1 of {len(own.made_of(first))}")
    browser.press(" ")
    label = "document.querySelector('#player output').textContent"
    browser.until(f"return {label} !== arguments[0]", "it does not play", begun)
    browser.press(" ")
    stopped = player.told()["place"]
    time.sleep(0.3)
    assert player.told()["place"] == stopped


def test_an_error_is_shared_out_cell_by_cell(browser: Browser, pages: Pages) -> None:
    own, path = pages("every_layer")
    browser.open(path)
    player = Player(browser, "conv1", "back", "term")
    player.step("First")
    uses = own.uses("conv1.dx")[own.names("conv1.dz")[0]]
    for place in range(len(uses)):
        told = player.step("Forward") if place else player.told()
        assert told["place"].endswith(f", cell {place + 1} of {len(uses)}")
        assert told["shares"] == [list(each) for each in uses[: place + 1][-9:]]
        lit = [cell for cell, state in told["laid"] if state == "now"]
        assert lit == [uses[place][0]]
        check_filled(told)


@pytest.mark.parametrize("layer", ["conv1", "meanpool1"])
def test_a_layer_drawn_as_a_dense_one(browser: Browser, pages: Pages, layer: str) -> None:
    own, path = pages("every_layer")
    x, y = {"conv1": ("input", "conv1.z"), "meanpool1": ("sigmoid1.y", "meanpool1.y")}[layer]
    browser.open(path)
    browser.click(f"[data-layer={layer}] .tools button", 1)
    browser.until("return document.querySelector('canvas.matrix')", "the matrix is not there")
    inputs, outputs = own.names(x), own.names(y)
    said = browser.text("#matrix")
    assert f"{len(outputs)} rows, one for each number of {y}; {len(inputs)} columns" in said
    joins: dict[tuple[int, int], str] = {}
    for row, name in enumerate(outputs):
        for cells, _ in own.made_of(name):
            joins |= {
                (row, inputs.index(cell)): " ".join(each for each in cells if each != cell)
                for cell in cells
                if cell in inputs
            }
    colours = browser.js(
        """
        const [canvas, across, down] = [document.querySelector("canvas.matrix"), arguments[0], arguments[1]];
        const [cellX, cellY] = [canvas.width / across, canvas.height / down];
        const {data, width} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return Array.from({length: across * down}, (_, n) => {
          const [x, y] = [(n % across + 0.5) * cellX, (Math.floor(n / across) + 0.5) * cellY].map(Math.floor);
          return [...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4)].join();
        });
        """,
        len(inputs),
        len(outputs),
    )
    by_weight: dict[str, set[str]] = {}
    for place, colour in enumerate(colours):
        at = divmod(place, len(inputs))
        assert colour.endswith(",255") == (at in joins), f"{outputs[at[0]]} and {inputs[at[1]]}"
        if at in joins:
            by_weight.setdefault(joins[at], set()).add(colour)
    assert all(len(each) == 1 for each in by_weight.values()), "equal weights in equal colour"
    assert len(by_weight) == (own.sheets["conv1.w"].size if layer == "conv1" else 1)
    browser.picture(f"matrix-{layer}")
    empty = next((row, column) for row, column in product(range(20, 30), range(60)) if (row, column) not in joins)
    for row, column in [*list(joins)[7:200:60], empty]:
        x_at, y_at = browser.js(
            """
            const canvas = document.querySelector("canvas.matrix");
            canvas.scrollIntoView({block: "end"});
            const [across, down, column, row] = arguments;
            const box = canvas.getBoundingClientRect();
            return [box.left + (column + 0.5) * box.width / across, box.top + (row + 0.5) * box.height / down];
            """,
            *(len(inputs), len(outputs), column, row),
        )
        browser.point(x_at, y_at)
        reading = browser.text("#matrix .meaning")
        if (row, column) == empty:
            assert reading == f"Nothing joins {inputs[column]} to {outputs[row]}: this entry is 0."
        elif layer == "conv1":
            weight = joins[row, column]
            value = rounded(own.value(weight))
            assert reading == f"{outputs[row]} takes {inputs[column]} times {weight} = {value}."
        else:
            assert reading == f"{outputs[row]} takes {inputs[column]} / 4."
        browser.press(Keys.NULL)
    assert "Matrix times input, plus bias, gives the layer's own sums" in said


# Names, sizes, odd numbers


def odd_forward(x, y):
    for place in places(y):
        y[place] = 3 * x[place]


def odd_backward(dy, dx):
    for place in places(dx):
        dx[place] = 3 * dy[place]


class Odd(Layer):
    """Three times the input <img src=x onerror=window.hacked=1>."""

    forward, backward = odd_forward, odd_backward


def test_names_are_text_whatever_they_hold(browser: Browser, tmp_path: Path) -> None:
    net = network(Conv(1, size=2), Flatten(), Odd(), Dense(3), input=(1, 3, 3), name=WICKED)
    classes = (
        WICKED,
        "</script><script>window.hacked=1</script>",
        '"DATA" {{TITLE}} /*SCRIPT*/ &lt;b&gt; \\frac{1}{2}',
    )
    own = Own(net.run(image_for(net), np.array([1]), SoftmaxCrossEntropy()))
    Page(own.run, classes=classes).save(tmp_path / "names.html")
    browser.open(tmp_path / "names.html")
    hacked = "return [window.hacked ?? null, document.querySelectorAll('img, script:not(:nth-of-type(-n + 2))').length]"
    for name in ("odd1.y[1]", "conv1.dy[0,0,1]", "dense1.dy[1]"):
        browser.click_cell(name)
        check(own, browser.read(), name)
    assert WICKED in browser.text("h1")
    assert browser.js("return document.title").endswith(f"{WICKED} on one image")
    browser.click("#whole")
    bars = browser.js(
        "return [...document.querySelectorAll('.bars li span:first-child')].map((each) => each.innerText)"
    )
    assert bars == list(classes)
    assert f"The label says {classes[1]}" in browser.text("#verdict")
    assert WICKED in browser.text("[data-layer=odd1] .about")
    assert browser.js(hacked) == [None, 0]
    assert "onerror=window.hacked=1" in (tmp_path / "names.html").read_text("utf-8"), "the names are in the page"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.often(2)
def test_it_fits_and_can_be_read(browser: Browser, pages: Pages, size: tuple[int, int], dark: bool) -> None:
    _, path = pages("every_layer")
    told = f"{'phone' if size == PHONE else 'wide'}-{'dark' if dark else 'light'}"

    def fits(state: str) -> None:
        browser.picture(f"{told}-{state}")
        wide = browser.js("return [document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]")
        assert max(wide) == size[0], f"{state}: {wide}"
        assert browser.js(FAINT) == [], state

    browser.open(path, size=size, dark=dark)
    assert (browser.js("return getComputedStyle(document.body).backgroundColor") == "rgb(246, 246, 244)") != dark
    fits("opened")
    browser.click_cell("conv1.dw[0,0,1,1]")
    fits("gradient")
    browser.js("plaingrad.open('dense1.dz[1]')")
    browser.explains("dense1.dz[1]")
    fits("error")
    for tab in ("player", "matrix"):
        browser.js("plaingrad.open('conv1.y[0,1,1]')")
        browser.explains("conv1.y[0,1,1]")
        browser.click(f"#tabs [data-tab={tab}]")
        browser.until(f"return document.querySelector('#{tab} canvas')?.checkVisibility()", f"an empty {tab}")
        assert browser.js("return document.body.dataset.tab") == tab
        fits(tab)
    browser.js("document.querySelector('#theme').click()")
    assert (browser.js("return getComputedStyle(document.body).backgroundColor") == "rgb(246, 246, 244)") == dark
    fits("other-theme")
    browser.open(path, "no.such[0]", size=size, dark=dark)
    fits("no-such-number")


def test_numbers_that_are_none_are_shown_as_such(browser: Browser, tmp_path: Path) -> None:
    net = network(Conv(1, size=2), MaxPool(2), Flatten(), Dense(2), input=(1, 5, 5), name="odd numbers")
    image = image_for(net)
    image[0, 0, 1, 1], image[0, 0, 4, 4] = np.nan, np.inf
    own = Own(net.run(image, np.array([1]), SoftmaxCrossEntropy()))
    Page(own.run).save(tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    for name in ("input[0,1,1]", "input[0,4,4]", "conv1.y[0,0,0]", "conv1.y[0,3,3]", "conv1.dw[0,0,0,0]", "loss.y"):
        browser.click_cell(name)
        shown = browser.read()
        assert not np.isfinite(own.value(name))
        assert shown["numbers"][0]["text"] == rounded(own.value(name))
        for number in shown["numbers"]:
            check_number(own, number)
        if own.ask(name).terms:
            check_terms(own, own.ask(name), shown)
    assert f"The loss is {rounded(own.value('loss.y'))}." in browser.text("#verdict")


def test_a_page_of_a_part_says_what_it_holds(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaingrad.explaining.page.MOST_TERMS", 100)
    monkeypatch.setattr("plaingrad.explaining.page.SLICE_TERMS", 2000)
    monkeypatch.setattr("plaingrad.explaining.page.LARGE", 140)
    own, name = Own(every_layer()), "conv2.dw[1,2,1,0]"
    Page(own.run, opens=name, command="plaingrad explain 'my run'").save(tmp_path / "part.html")
    browser.open(tmp_path / "part.html")
    assert name in browser.text("#partial.warning")
    shown = browser.read()
    check(own, shown, name)
    factor = shown["rows"][2]["made"]["cells"][0]
    browser.click("#explanation .origin tbody .factor", 4)
    browser.explains(factor)
    check(own, browser.read(), factor)
    left_out = "conv1.dw[1,1,1,1]"
    browser.click_cell(left_out)
    shown = browser.read()
    assert shown["rows"] == []
    again = f"plaingrad explain 'my run' \"{left_out}\""
    assert f"Its terms are not in this page. Ask for them with {again}." in shown["text"]
    assert again in browser.text("#again")
    browser.click_cell("conv1.dx[1,4,4]")
    assert browser.read()["numbers"][0]["text"] == "not held"


def test_it_is_shown_within_a_notebook(browser: Browser, tmp_path: Path) -> None:
    own = Own(half_squared())
    bundle = Page(own.run)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("<Page: half squared on one image>")
    (tmp_path / "notebook.html").write_text(f"<!doctype html><body>{bundle['text/html']}</body>", "utf-8")
    browser.driver.get((tmp_path / "notebook.html").as_uri())
    browser.address = (tmp_path / "notebook.html").as_uri()
    browser.driver.switch_to.frame(0)
    try:
        browser.until("return document.documentElement.dataset.ready === '1'", "the page is not ready")
        check(own, browser.read(), browser.read()["quantity"])
        factor = browser.read()["rows"][0]["made"]["cells"][0]
        browser.js("document.querySelector('#explanation .origin .factor').click()")
        browser.explains(factor)
        check(own, browser.read(), factor)
    finally:
        browser.driver.switch_to.default_content()
