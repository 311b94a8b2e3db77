"""Take the pictures of the explanation page that the README shows: a small LeNet-5, one epoch, one test image.

    python scripts/make_screenshots.py MNIST_FOLDER

Needs selenium, Chromium and its driver, and Pillow.
"""

import argparse
import pathlib
import shutil
import tempfile

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

import plaingrad as pg
from plaingrad.explaining.page import Page

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PICTURES = {"explain-gradient.png": ("conv2.dw[3,1,2,2]", 1190), "explain-errors.png": ("conv1.dy[1,9,8]", 960)}
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")


def page_of(folder: str) -> Page:
    """LeNet-5 after one epoch, on a test image that it is not quite sure of."""
    split = pg.mnist(folder)
    model = pg.model("lenet5")
    net = model.network(seed=0)
    pg.train(net, split.train, epochs=1)
    run = net.run(split.test.images[18:19], split.test.labels[18:19])
    return Page(run, title="lenet5 on test image 18 of mnist")


def main() -> None:
    """Draw the page, and take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mnist")
    page = page_of(parser.parse_args().mnist)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "page.html"
        page.save(file)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for switch in (*SWITCHES, f"--user-data-dir={folder}/profile"):
            options.add_argument(switch)
        with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as browser:
            browser.set_script_timeout(30)
            for name, (quantity, height) in PICTURES.items():
                size = {"width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": False}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                browser.get(f"{file.as_uri()}#{quantity}")
                browser.execute_async_script(
                    "const done = arguments[1]; window.plaingrad.open(arguments[0]).then(() => setTimeout(done, 500))",
                    quantity,
                )
                browser.save_screenshot(str(DOCS / name))
                with Image.open(DOCS / name) as picture:
                    picture.convert("RGB").save(DOCS / name, optimize=True)


if __name__ == "__main__":
    main()
