"""Take what the README shows of the explanation page: two pictures, and the error walking back as a short animation.

    python scripts/make_pictures.py

Everything is the real page of `first-cnn` in Chromium, in light colours. Needs selenium, Chromium, its driver, Pillow.
"""

import io
import pathlib
import shutil
import tempfile
import time
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from plaingrad.explaining.examples import example_named
from plaingrad.explaining.page import Page

DOCS = pathlib.Path(__file__).parents[1] / "docs"
QUANTITY = "conv1.dw[0,0,1,0]"
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
WIDE, NARROW = (1280, 800), (1000, 1200)
MOVES = 8  # frames from one stop to the next
MOVE, HOLD, END = 90, 2200, 4000  # milliseconds: a frame of a move, a stop, the last stop
MOST_BYTES = 1_000_000
COLOURS = 128

READY = "return document.documentElement.dataset.ready === '1'"
OPEN = "const done = arguments[1]; window.plaingrad.open(arguments[0]).then(() => setTimeout(done, 300))"
ROW = "const row = document.querySelector('#layers'); return [row.scrollLeft, row.scrollTop, scrollX, scrollY]"
FREEZE = """
const moving = document.querySelector("#layers .path")?.getAnimations({subtree: true}) ?? [];
moving.forEach((each) => { each.pause(); each.currentTime = arguments[0] * each.effect.getComputedTiming().endTime; });
return moving.length;
"""
CLIP = """
const top = document.querySelector(".network").getBoundingClientRect().top + scrollY;
return [top, document.querySelector("#way").getBoundingClientRect().bottom + scrollY];
"""


class Camera:
    """A page in a window of Chromium."""

    def __init__(self, browser: Any, page: pathlib.Path) -> None:
        self.browser, self.page = browser, page

    def open(self, size: tuple[int, int]) -> None:
        """The page at one size, in light colours, with the quantity explained."""
        width, height = size
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        media = {"prefers-color-scheme": "light", "prefers-reduced-motion": "no-preference"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.browser.get("about:blank")
        self.browser.get(f"{self.page.as_uri()}#{QUANTITY}")
        self.until(READY)
        self.browser.execute_async_script(OPEN, QUANTITY)

    def until(self, code: str) -> None:
        """Wait until a script says yes."""
        end = time.monotonic() + 20
        while not self.browser.execute_script(code):
            if time.monotonic() > end:
                raise SystemExit(f"the page does not come to: {code}")
            time.sleep(0.05)

    def click(self, selector: str, number: int = 0) -> None:
        """Click an element; the mouse is nowhere, so that nothing is pointed at."""
        self.browser.execute_script(
            "document.querySelectorAll(arguments[0])[arguments[1]].click(); document.activeElement.blur()",
            selector,
            number,
        )

    def settle(self) -> None:
        """Wait until nothing scrolls."""
        before = None
        while before != (now := self.browser.execute_script(ROW)):
            before = now
            time.sleep(0.25)

    def shot(self) -> Image.Image:
        """What is in the window."""
        return Image.open(io.BytesIO(self.browser.get_screenshot_as_png())).convert("RGB")


def explanation(camera: Camera) -> Image.Image:
    """A gradient explained, as the link to it shows it."""
    camera.open(WIDE)
    camera.browser.execute_script("document.querySelector('.network').scrollIntoView()")
    camera.settle()
    return camera.shot()


def arithmetic(camera: Camera) -> Image.Image:
    """The same gradient collected from every place where the weight was used: its third term."""
    camera.open(WIDE)
    camera.click("#tabs [data-tab=player]")
    camera.until("return document.querySelector('#player [name=mode][value=weight]')")
    camera.click("#player [name=mode][value=weight]")
    camera.until("return document.querySelector('#player output')?.textContent.startsWith('weight')")
    for _ in range(2):
        camera.click("#player .controls button", 3)
    camera.browser.execute_script("document.querySelector('.network').scrollIntoView()")
    camera.settle()
    return camera.shot()


def animation(camera: Camera) -> tuple[list[Image.Image], list[int]]:
    """The frames of the error's way, and the milliseconds of each."""
    camera.open(NARROW)
    camera.click("#tabs [data-tab=way]")
    camera.until("return document.querySelector('#way .stops')")
    count = camera.browser.execute_script("return document.querySelectorAll('#way .stops button').length")
    camera.browser.execute_script("document.querySelector('.network').scrollIntoView()")
    frames, times, bottom = [], [], 0.0
    for stop in range(count):
        if stop:
            camera.click("#way .controls button", 3)
        camera.settle()
        first = min(1, stop)
        for move in range(MOVES * first):
            if not camera.browser.execute_script(FREEZE, move / MOVES):
                raise SystemExit("nothing moves on the way: the animation would show nothing")
            frames.append(camera.shot())
            times.append(MOVE)
        camera.browser.execute_script(FREEZE, 1)
        frames.append(camera.shot())
        times.append(HOLD if stop < count - 1 else END)
        top, low = camera.browser.execute_script(CLIP)
        bottom = max(bottom, low)
    scrolled = camera.browser.execute_script("return scrollY")
    height = min(NARROW[1], round(bottom - scrolled) + 16)
    box = (0, max(0, round(top - scrolled)), NARROW[0], height)
    return [frame.crop(box) for frame in frames], times


def save_animation(frames: list[Image.Image], times: list[int], path: pathlib.Path) -> None:
    """Write a GIF in the colours of all its frames: one palette, so that what rests takes no room."""
    sheet = Image.new("RGB", (frames[0].width, frames[0].height * 3))
    for place, frame in enumerate((frames[0], frames[len(frames) // 2], frames[-1])):
        sheet.paste(frame, (0, place * frame.height))
    palette = sheet.quantize(COLOURS, dither=Image.Dither.NONE)
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=times, loop=0, optimize=True, disposal=1)
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path.name} takes {path.stat().st_size:,} bytes, more than {MOST_BYTES:,}")


def main() -> None:
    """Write the page, and take its pictures."""
    example = example_named("first-cnn")
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "page.html"
        Page(example.run(), title=f"{example.name}: {example.about}").save(file)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for switch in (*SWITCHES, f"--user-data-dir={folder}/profile"):
            options.add_argument(switch)
        with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as browser:
            browser.set_script_timeout(30)
            camera = Camera(browser, file)
            explanation(camera).save(DOCS / "explain-gradient.png", optimize=True)
            arithmetic(camera).save(DOCS / "explain-arithmetic.png", optimize=True)
            save_animation(*animation(camera), DOCS / "explain-way.gif")
    for name in ("explain-gradient.png", "explain-arithmetic.png", "explain-way.gif"):
        print(f"docs/{name}: {(DOCS / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
