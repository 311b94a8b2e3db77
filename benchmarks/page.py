"""How long a page of lenet5 takes to write, to open and to answer a click, in Chromium: one object of JSON.

`python benchmarks/page.py [--mnist DIR] [--rounds 5]`. The network is trained for one epoch where MNIST's files are,
else it is left as it begins.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from plaingrad.data import load
from plaingrad.explaining.page import Page
from plaingrad.network.models import model
from plaingrad.network.run import Run
from plaingrad.training.trainer import train

WAYS = ("page just opened", "page in use")
FLAGS = ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars")

WATCH = """
globalThis.figures = { ready: null, clicked: null, told: null, painted: null };
new MutationObserver((_, watch) => {
  if (!document.documentElement?.dataset.ready) return;
  figures.ready ??= performance.now();
  watch.disconnect();
  const told = () => {
    figures.told = performance.now();
    requestAnimationFrame(() => setTimeout(() => (figures.painted = performance.now())));
  };
  new MutationObserver(told).observe(document.querySelector("#explanation"), { childList: true });
  addEventListener("click", (event) => (figures.clicked = event.timeStamp), true);
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-ready"] });
"""

CELLS = """
return [...document.querySelectorAll("#layers canvas[data-array]")].map((canvas) => {
  const name = canvas.dataset.array;
  const shape = JSON.parse(document.querySelector("#data").textContent).arrays[name].shape;
  return shape.length ? `${name}[${shape.map((size) => Math.floor(size / 2))}]` : name;
});
"""


def explained(mnist: Path) -> tuple[Run, str]:
    """A lenet5 run on one image, and what it learned from."""
    if not mnist.is_dir():
        net = model("lenet5").network()
        return net.run(np.random.default_rng(0).random((1, *net.input), np.float32), np.array([7])), "untrained"
    data = load("mnist", mnist)
    net = model("lenet5").network()
    train(net, data.train, epochs=1, seed=0)
    image = data.test.images[:1]
    return net.run(image, data.test.labels[:1].astype(int)), "one epoch of MNIST"


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window, 1280 by 1000."""
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM") or str(shutil.which("chromium"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        for flag in (*FLAGS, *root, "--window-size=1280,1000", f"--user-data-dir={folder}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
        try:
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
            yield driver
        finally:
            driver.quit()


def figure(driver: Any, name: str) -> float:
    """A time the page has noted, once it has."""
    while (value := driver.execute_script("return figures[arguments[0]]", name)) is None:
        time.sleep(0.02)
    return float(value)


def opened(driver: Any, page: Path) -> float:
    """Milliseconds from the beginning of a visit until the page is ready."""
    driver.get("about:blank")
    driver.get(page.as_uri())
    return figure(driver, "ready")


def clicked(driver: Any, cell: str, rest: float) -> tuple[float, float]:
    """Milliseconds from a click on a cell until it is explained, and until that is on the screen."""
    code = "const {x, y} = plaingrad.cellAt(arguments[0]); return [x - scrollX, y - scrollY]"
    x, y = driver.execute_script(code, cell)
    time.sleep(rest)  # what the last click left to do is done
    driver.execute_script("Object.assign(figures, {clicked: null, told: null, painted: null})")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "none" if kind == "mouseMoved" else "left", "clickCount": 1}
        driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    painted = figure(driver, "painted")
    told = driver.execute_script("return document.querySelector('#explanation').dataset.quantity")
    assert told == cell, f"{told} is explained, not {cell}"
    start = figure(driver, "clicked")
    return figure(driver, "told") - start, painted - start


def clicks(driver: Any, page: Path) -> list[dict[str, Any]]:
    """One cell of every array: on a page just opened, its records still packed, and one after the other on one page."""
    opened(driver, page)
    for view in ("errors", "gradients", "values"):
        driver.execute_script("document.querySelector(`#views [value=${arguments[0]}]`).click()", view)
    cells = driver.execute_script(CELLS)
    found = []
    for which in WAYS:
        for cell in cells:
            if which == "page just opened":
                opened(driver, page)
            told, painted = clicked(driver, cell, rest=0 if which == "page just opened" else 0.3)
            found.append({"cell": cell, "which": which, "told": told, "painted": painted})
    return found


def summary(found: list[dict[str, Any]], which: str, what: str) -> dict[str, Any]:
    """Median and worst over the arrays, of the median round of each."""
    rounds: dict[str, list[float]] = {}
    for each in found:
        if each["which"] == which:
            rounds.setdefault(each["cell"], []).append(each[what])
    medians = {cell: statistics.median(times) for cell, times in rounds.items()}
    worst = max(medians, key=lambda cell: medians[cell])
    return {"median": round(statistics.median(medians.values()), 1), "worst": round(medians[worst], 1), "at": worst}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--mnist", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "mnist")
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()
    run, learned = explained(given.mnist)
    seconds = []
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        page = Path(folder) / "page.html"
        for _ in range(given.rounds):
            run.explained = None
            began = time.perf_counter()
            Page(run).save(page)
            seconds.append(time.perf_counter() - began)
        ready = [opened(driver, page) for _ in range(given.rounds)]
        found = [each for _ in range(given.rounds) for each in clicks(driver, page)]
        told = {
            "network": f"lenet5, {learned}",
            "browser": driver.capabilities["browserVersion"],
            "rounds": given.rounds,
            "arrays_clicked": len({each["cell"] for each in found}),
            "write_seconds": {"median": round(statistics.median(seconds), 2), "worst": round(max(seconds), 2)},
            "bytes": page.stat().st_size,
            "ready_milliseconds": {"median": round(statistics.median(ready)), "worst": round(max(ready))},
            "click_to_explained_milliseconds": {which: summary(found, which, "told") for which in WAYS},
            "click_to_painted_milliseconds": {which: summary(found, which, "painted") for which in WAYS},
        }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
