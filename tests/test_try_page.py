"""The page on which plaingrad runs in a browser: what it asks, what Python answers, and the page itself in Chromium."""

import contextlib
import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import make_try_page
import plaingrad as pg
from alone import alone
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.textbook.losses import HalfSquaredError, MeanSquaredError

PROGRAM, BROKEN = make_try_page.SAMPLES
MISTAKES = [each for each in json.loads(BROKEN.read_text("utf-8")) if each["language"] == "python"]
EVIL = "</script><img src=x onerror=alert(1)>"
PLAIN = {"kind": "simple", "example": "first-cnn", "network": "", "text": ""}
USUAL = PLAIN | {"kind": "usual"}
WITHOUT_EXP = [name for name, each in EXAMPLES.items() if isinstance(each.loss, HalfSquaredError | MeanSquaredError) and name != "subsampling"]  # fmt: skip  # noqa: E501


def own(network: Any, what: str = "explain") -> dict[str, Any]:
    """A question about a network that is pasted."""
    text = network if isinstance(network, str) else json.dumps(network)
    return {"what": what, "example": "", "network": text, "quantity": ""}


def explained(name: str, quantity: str | None = "") -> dict[str, Any]:
    return {"what": "explain", "example": name, "network": "", "quantity": quantity}


def with_mistake(of_case: dict[str, Any], mistake: dict[str, Any] | None) -> dict[str, Any]:
    edit = {"old": mistake["old"], "new": mistake["new"]} if mistake else {"old": "", "new": ""}
    return {"what": "sample", **edit, **of_case}


def checked(answer: str, of_case: dict[str, Any]) -> dict[str, Any]:
    return {"what": "verdict", "answer": answer, **of_case}


# What is pasted, and words of the one line that answers it.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no JSON": (own("["), "network.json is not JSON"),
    "nothing": (own(""), "network.json is not JSON"),
    "too deep": (own("[" * 100_000), "100,000 brackets"),
    "no network": (own({}, "page"), "network.json"),
    "evil": (own({"input": [2], "layers": [{"kind": EVIL}]}), "no layer"),
    "no example": (explained("first"), "there is no example"),
    "no quantity": (explained("first-cnn", "conv9.y"), "no layer 'conv9'"),
    "two images": ({**explained("two-images"), "what": "page"}, "shows one image"),
    "no answer": (checked("", PLAIN), "is empty"),
    "another's answer": (checked('{"conv7.dw": 1}', PLAIN), "no quantity of this case"),
    "no case": (checked("{}", {**PLAIN, "kind": "pasted", "text": "{}"}), "not a case"),
    "no program": (with_mistake({**PLAIN, "kind": "chosen", "example": "subsampling"}, None), "take another case"),
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What Python here answers to some questions of the page, with NumPy alone."""
    folder = tmp_path_factory.mktemp("alone")
    trained = make_try_page.trained()

    def answers(*questions: dict[str, Any]) -> list[dict[str, Any]]:
        told = folder / "told.json"
        told.write_text(json.dumps([str(folder), json.dumps(trained), PROGRAM.read_text("utf-8"), questions]), "utf-8")
        code = (
            "import asked, json, pathlib\n"
            "*first, questions = json.loads(pathlib.Path('told.json').read_text('utf-8'))\n"
            "asked.begin(*first)\n"
            "print(json.dumps([json.loads(asked.answered(json.dumps(each))) for each in questions]))\n"
        )
        found: list[dict[str, Any]] = json.loads(alone(code, folder, make_try_page.PARTS))
        return found

    return answers


def test_examples_are_explained_as_by_the_library(python: Any) -> None:
    for name, found in zip(EXAMPLES, python(*map(explained, EXAMPLES)), strict=True):
        own = pg.example(name).explain(EXAMPLES[name].opens)
        assert found["quantity"] == own.quantity
        assert found["text"].splitlines()[:3] == own.text().splitlines()[:3], name  # compiled, a sum has another order
        assert set(found["next"]) <= set(own.next)
        assert found["next"] or not own.next


def same(name: str, text: str, other: str) -> bool:
    """The same words and numbers; where exp enters, which C libraries round otherwise, those of the first line."""
    return text == other if name in WITHOUT_EXP else text.partition("\n")[0] == other.partition("\n")[0]


def test_the_sample_program_is_right_and_its_mistakes_are_named(python: Any) -> None:
    ways = [None, *MISTAKES]
    answers = python(*(with_mistake(USUAL, way) for way in ways))
    verdicts = python(*(checked(each["text"], USUAL) for each in answers))
    assert verdicts[0]["verdict"] == "right"
    for way, found in zip(MISTAKES, verdicts[1:], strict=True):
        assert found["verdict"] == "mistake"
        assert f"[{way['names']}]" in found["text"]


def test_a_case_that_was_saved_can_be_pasted(python: Any) -> None:
    written, answer = python({"what": "case", **PLAIN}, with_mistake(PLAIN, None))
    pasted = {**PLAIN, "kind": "pasted", "text": written["text"]}
    again, found = python({"what": "case", **pasted}, checked(answer["text"], pasted))
    assert again["text"] == written["text"]
    assert found["verdict"] == "right"


def test_what_is_pasted_badly_is_one_line(python: Any) -> None:
    for (name, (_, words)), found in zip(BAD.items(), python(*(asked for asked, _ in BAD.values())), strict=True):
        assert list(found) == ["error"], name
        assert words in found["error"], name
        assert "\n" not in found["error"]
        assert "failed (" not in found["error"], name


def test_a_defect_is_one_line_too(python: Any) -> None:
    (found,) = python(explained("first-cnn", None))
    assert found["error"].startswith("plaingrad failed (AttributeError: ")


def test_a_distribution_that_lacks_something_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no unpacked Pyodide: it has no pyodide\.mjs"):
        make_try_page.needed(tmp_path)
    for name in make_try_page.CORE:
        (tmp_path / name.replace("*", "")).write_text("")
    packages = {"numpy": {"file_name": "numpy.whl", "depends": ["blas"]}, "blas": {"file_name": "b.zip", "depends": []}}
    lock = {"info": {"version": "1"}, "packages": packages}
    (tmp_path / "pyodide-lock.json").write_text(json.dumps(lock))
    (tmp_path / "numpy.whl").write_text("")
    with pytest.raises(SystemExit, match=r"has no b\.zip, which its lock file names"):
        make_try_page.needed(tmp_path)
    (tmp_path / "b.zip").write_text("")
    core, wheels, version = make_try_page.needed(tmp_path)
    assert [each.name for each in wheels] == ["numpy.whl", "b.zip"]
    assert (len(core), version) == (len(make_try_page.CORE), "1")


def test_nothing_that_is_told_becomes_markup() -> None:
    script = (make_try_page.PARTS / "page.js").read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)
    assert 'setAttribute("sandbox", "allow-scripts")' in script
    for option in (*make_try_page.examples(), *make_try_page.samples()):
        assert re.fullmatch(r'<option value="[^"<>]*"( data-\w+="[^"<>]*")*>[^<>]*</option>', option), option


# In Chromium


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page, made."""
    named = os.environ.get("PYODIDE")
    pyodide = Path(named) if named else make_try_page.installed()
    if pyodide is None:
        pytest.skip("no Pyodide with NumPy: make test-browser installs one, or name a distribution: PYODIDE=DIR")
    if importlib.util.find_spec("selenium") is None:
        pytest.skip("the page is opened with Selenium, which is not installed: pip install selenium")
    if not (shutil.which("chromedriver") and (os.environ.get("CHROMIUM") or shutil.which("chromium"))):
        pytest.skip("the page is opened in Chromium, which is not here: chromium and chromium-driver")
    folder = tmp_path_factory.mktemp("site")
    make_try_page.write(pyodide, folder / "try")
    return folder / "try"


@pytest.fixture(scope="module")
def address(served: Path) -> Iterator[str]:
    """The page, served."""
    answers = functools.partial(Quiet, directory=served.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/try/index.html"
    server.shutdown()
    server.server_close()


BROWSERS_OWN = ".google.com", ".googleapis.com", ".gvt1.com"  # what Chromium asks for itself: the time, updates, …


def host_of(request: str) -> str:
    """The host that the first line of a request to a proxy names."""
    address = request.split()[1] if len(request.split()) > 1 else request
    return urlsplit(address if "//" in address else f"//{address}").hostname or request


class Page:
    """The page in a new browser, whose requests to any other machine are recorded and refused."""

    PATIENCE = 300  # seconds: a machine may have much else to do

    def __init__(self, address: str) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        outside = self.outside = list[str]()

        class Recorded(http.server.BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                outside.append(self.rfile.readline().decode(errors="replace"))
                self.close_connection = True

        self.proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()
        options = webdriver.ChromeOptions()
        options.binary_location = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
        quiet = ("disable-background-networking", "disable-component-update", "disable-sync", "no-first-run")
        plain = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,800")
        for each in (*quiet, *plain, f"proxy-server=http://127.0.0.1:{self.proxy.server_port}"):
            options.add_argument(f"--{each}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(self.PATIENCE)
        self.began = time.monotonic()
        self.driver.get(address)

    def close(self) -> None:
        self.driver.quit()
        self.proxy.shutdown()
        self.proxy.server_close()

    def run(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """What Python in the browser answers, asked as the page does."""
        script = (
            "const [asked, done] = arguments;"
            'ask("explain-error", "", asked).then((told) => done(told ?? {error: byId("explain-error").textContent}));'
        )
        found: dict[str, Any] = self.driver.execute_async_script(script, question)
        return found

    def until(self, script: str) -> float:
        """Wait until something is true of the page; the seconds since it was opened."""
        end = time.monotonic() + self.PATIENCE
        while not self.run(f"return Boolean({script})"):
            assert time.monotonic() < end, f"{script}: {self.run('return document.body.innerText')}"
            time.sleep(0.05)
        return time.monotonic() - self.began

    def asked_outside(self) -> list[str]:
        """The hosts that the page asked for something, beside its own."""
        return [host for host in map(host_of, self.outside) if not host.endswith(BROWSERS_OWN)]

    def shown(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))


@pytest.mark.browser
def test_the_wheel_asks_a_browser_for_no_numba(served: Path) -> None:
    with zipfile.ZipFile(next(served.glob("plaingrad-*.whl"))) as wheel:
        (place,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        lines = wheel.read(place).decode().splitlines()
    (numba,) = (line for line in lines if line.startswith("Requires-Dist: numba"))
    _, _, marker = numba.partition(";")
    assert marker.replace('"', "'").split() == ["sys_platform", "!=", "'emscripten'"]


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    opened = Page(address)
    opened.until("!byId('explanation').hidden || byId('explain-error').textContent")
    yield opened
    opened.close()


@pytest.mark.browser
def test_from_a_cold_start_to_an_explanation_and_a_verdict(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As a visitor does it, with the keyboard alone; the times are printed."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page = Page(address)
    try:
        first = page.until("!byId('explanation').hidden")
        right = pg.example("first-cnn").explain(EXAMPLES["first-cnn"].opens).text()
        assert same("first-cnn", page.shown("#explanation pre"), right)
        page.driver.find_element(By.ID, "fill").send_keys(Keys.ENTER)
        filled = page.until("byId('answer').value")
        page.driver.find_element(By.CSS_SELECTOR, "#check button.main").send_keys(Keys.ENTER)
        checked = page.until("!byId('verdict').hidden")
        assert page.shown("#verdict .band").startswith("RIGHT (")
        page.driver.find_element(By.CSS_SELECTOR, ".onward button").send_keys(Keys.ENTER)
        page.until("byId('quantity').value !== 'conv1.dw[0,0,0,0]'")
        assert page.run("return document.activeElement.tagName") == "PRE"
        before = time.monotonic()
        page.driver.find_element(By.ID, "page").send_keys(Keys.ENTER)
        page.until("document.querySelector('iframe')")
        opened = time.monotonic() - before
        page.driver.switch_to.frame(page.driver.find_element(By.TAG_NAME, "iframe"))
        page.until("document.querySelector('#explanation h2')")
        page.driver.switch_to.default_content()
        errors = [each for each in page.driver.get_log("browser") if each["level"] == "SEVERE"]
        assert not errors
        assert not page.asked_outside()
        with contextlib.suppress(WebDriverException):
            page.driver.get("http://plaingrad.invalid/")
        assert set(page.asked_outside()) == {"plaingrad.invalid"}  # it would have been seen
    finally:
        page.close()
    with capsys.disabled():
        print(  # noqa: T201
            f"\nto the first explanation {first:.1f} s; the program's answer {filled - first:.1f} s more, the verdict "
            f"{checked - filled:.1f} s more; the whole page {opened:.1f} s"
        )


@pytest.mark.browser
def test_the_browser_answers_as_python_does(page: Page, python: Any) -> None:
    questions = [*map(explained, EXAMPLES), {"what": "case", **USUAL}, *(asked for asked, _ in BAD.values())]
    for question, own in zip(questions, python(*questions), strict=True):
        found = page.ask(question)
        if question["what"] == "explain" and "text" in own:
            assert same(question["example"], found["text"], own["text"]), question
            assert found["next"] == own["next"]
        else:
            assert found == own, question


@pytest.mark.browser
def test_each_mistake_of_the_sample_program_is_named_in_the_browser(page: Page) -> None:
    for way in MISTAKES:
        answer = page.ask(with_mistake(USUAL, way))
        found = page.ask(checked(answer["text"], USUAL))
        assert f"[{way['names']}]" in found["text"]


@pytest.mark.browser
def test_what_is_pasted_stays_text(page: Page) -> None:
    network = json.dumps({"name": EVIL, "input": [2], "layers": [{"kind": "Dense", "units": 2}]})
    page.run("byId('example').value = ''; byId('example').onchange(); byId('network').value = arguments[0];", network)
    page.run("document.querySelector('iframe')?.remove(); byId('page').click()")
    page.until("document.querySelector('iframe')")
    assert EVIL in page.run("return document.querySelector('iframe').title")
    page.driver.switch_to.frame(page.run("return document.querySelector('iframe')"))
    page.until("document.querySelector('#explanation h2')")
    assert page.run("return document.querySelectorAll('img').length") == 0
    page.driver.switch_to.default_content()
    page.run("byId('network').value = arguments[0]; byId('explain').requestSubmit()", EVIL)
    page.until("byId('explain-error').textContent")
    assert page.run("return document.querySelectorAll('img').length") == 0


@pytest.mark.browser
def test_what_takes_too_long_can_be_stopped_and_python_begins_anew(page: Page) -> None:
    layers = [
        {"kind": "Conv", "filters": 16, "size": 5},
        {"kind": "Conv", "filters": 32, "size": 5},
        {"kind": "Flatten"},
    ]
    page.run("ask('explain-error', '', arguments[0])", own({"input": [3, 32, 32], "layers": layers}))
    page.until("!byId('stop').hidden")
    page.run("byId('stop').click()")
    page.until("stage === 'ready'")
    assert page.ask(explained("overlap"))["quantity"] == EXAMPLES["overlap"].opens


@pytest.mark.browser
def test_where_python_ends_that_is_one_line_and_it_begins_anew(page: Page) -> None:
    page.run("ask('explain-error', '', arguments[0])", explained("digits-by-hand"))
    page.until("!byId('stop').hidden")
    page.run("hear({failed: 'memory access out of bounds'})")
    page.until("byId('explain-error').textContent.includes('memory access out of bounds')")
    page.until("stage === 'ready'")
    assert page.ask(explained("overlap"))["quantity"] == EXAMPLES["overlap"].opens


@pytest.mark.browser
def test_opened_as_a_file_it_says_what_it_needs(served: Path) -> None:
    page = Page((served / "index.html").as_uri())
    try:
        page.until("document.querySelector('#state').dataset.stage === 'failed'")
        assert "python -m http.server" in page.shown("#stage")
    finally:
        page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_of_it_lies_beside_the_screen(page: Page, width: int) -> None:
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    page.run("closePage(); byId('kind').value = 'pasted'; byId('kind').onchange()")
    page.run("document.querySelector('details').open = true")
    assert page.run("return document.documentElement.scrollWidth === document.documentElement.clientWidth")
    page.run("byId('kind').value = 'chosen'; byId('kind').onchange()")
