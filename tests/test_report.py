"""The report: one page that stands alone, whatever the classes are called and however training went."""

import base64
import io
import re
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaingrad.data import Dataset, from_arrays
from plaingrad.errors import CheckpointError, DataError, MissingError
from plaingrad.network.network import Network
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, ReLU
from plaingrad.training.evaluation import wilson
from plaingrad.training.report import page, pictures, write_report
from plaingrad.training.report.look import headed, pages_beside, styled

pytest.importorskip("jinja2")

WICKED = ('<script>alert(1)</script> & "x"', "$x_1$ {{ 7 * 7 }}", "caf\udce9")
HISTORY = [
    {"epoch": 1, "train_loss": 1.25, "train_accuracy": 0.5, "rate": 0.1, "seconds": 1.5, "images_per_second": 12345.6},
    {"epoch": 2, "train_loss": 0.5, "train_accuracy": 0.75, "rate": 0.05, "seconds": 1.5, "images_per_second": 900.0},
]
ADDRESSES = ("src", "href", "srcset", "action", "data", "poster", "background")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """These networks are small: running their nests as written takes less time than compiling them."""
    monkeypatch.setattr("plaingrad.compiler.loops.has_numba", lambda: False)


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, its attributes and the text one sees."""

    VOID = ("meta", "link", "img", "input", "br")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def every(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.tags if name == tag]


def small(*shape: int, classes: int = 3) -> Network:
    layers = Conv(2, size=3, activation=ReLU()), MaxPool(2), Flatten(), Dense(classes)
    return Network(*layers, input=shape or (1, 8, 8), name="small")


def data(*shape: int, names: tuple[str, ...] = ("a", "b", "c"), count: int = 9, kind: str = "uint8") -> Dataset:
    images = np.random.default_rng(1).integers(0, 256, (count, *(shape or (1, 8, 8))))
    scaled = images.astype(np.uint8) if kind == "uint8" else (images / 255).astype(kind)
    return from_arrays(scaled, np.arange(count) % len(names), names, name="noise")


def answers(test: Dataset, wrong: int = 0) -> np.ndarray:
    """Probabilities that name all images right but the first few, each of these with less doubt than the last."""
    shares = np.full((len(test), len(test.classes)), 0.1)
    named = test.labels.copy()
    named[:wrong] = (named[:wrong] + 1) % len(test.classes)
    shares[np.arange(len(test)), named] = 0.8 + np.arange(len(test)) / 100
    shares[np.arange(wrong), test.labels[:wrong]] = 0.05 - np.arange(wrong) / 1000
    return shares


def written(folder: Path, net: Network, test: Dataset, shares: Any = None, history: Any = HISTORY, **facts: Any) -> Any:
    path = folder / "report.html"
    write_report(path, net, test, answers(test, wrong=2) if shares is None else shares, history, facts)
    assert [each.name for each in folder.iterdir()] == ["report.html"]
    return Reader(path)


def test_the_page_tells_what_was_learned(tmp_path: Path) -> None:
    held = [each | {"validation_loss": 0.75, "validation_accuracy": 0.5} for each in HISTORY]
    read = written(tmp_path, small(), data(), history=held, seconds=3.14159, parameters=12_345, optimiser="SGD(rate=1)")
    for text in ("small on noise", "77.8", "7 of 9 test images", "3.142", "12,345", "SGD(rate=1)", "validation loss"):
        assert text in read.text
    for text in ("conv1", "Conv(2, activation=ReLU())", "2×6×6", "648", "Dense(3)", "12,346"):
        assert text in read.text
    assert [name for name, _ in read.tags if name in ("h1", "h2")] == ["h1"] + 6 * ["h2"]
    assert all(each["alt"] for each in read.every("img"))
    told = [each["aria-label"] for each in read.every("svg") if "aria-label" in each]
    assert any("training from 1.25 to 0.5; validation from 0.75" in each for each in told)


def test_the_page_says_by_which_command_its_own_run_is_explained(tmp_path: Path) -> None:
    read = written(tmp_path, small(), data(), out="runs/my run")
    assert "plaingrad explain 'runs/my run' --html page.html" in read.text


def test_the_page_asks_for_nothing_outside(tmp_path: Path) -> None:
    names = ("http://example.org/a.png", '<img src="http://example.org/b.png">', "c")
    read = written(tmp_path, small(), data(names=names), link="<a href='http://example.org'>")
    for tag, attributes in read.tags:
        assert tag not in ("script", "iframe", "object", "embed", "a", "base")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ADDRESSES:
            assert attributes.get(name, "data:").startswith("data:")
    style = (Path(page.__file__).parent / "page.css").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    policy = next(each for each in read.every("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_all_pages_have_one_look() -> None:
    """No page defines a colour, a header or a kind of text that is shared."""
    shared = styled("")
    names = set(re.findall(r"(--[\w-]+):", shared)) | set(re.findall(r"^([\w.:-]+) \{", shared, re.MULTILINE))
    root = Path(page.__file__).parents[2]
    for own in (root / "training/report", root / "explaining", root / "checking/verdict", root / "training/rates"):
        style = (own / "page.css").read_text("utf-8").partition("@media")[0]
        again = set(re.findall(r"(--[\w-]+): light-dark", style)) & names
        assert not again, f"{own.name} defines {again} again"
        assert "font: 16px" not in style
    templates = sorted(root.rglob("*.html"))
    assert [each.parent.name for each in templates] == ["classroom", "verdict", "explaining", "rates", "report"]
    for each in templates:
        text = each.read_text("utf-8")
        assert "docs/questions.md" in text
        assert "masthead" not in text
        assert text.count("{{ header | safe }}") + text.count("<!--HEADER-->") == 1
        made_by = each.parent / ("table.py" if each.name == "table.html" else "page.py")
        code = made_by.read_text("utf-8")
        assert "styled(style" in code
        assert "headed(" in code


def test_a_page_links_to_the_pages_beside_it_and_to_no_others(tmp_path: Path) -> None:
    assert "href" not in headed("report.html", pages_beside(tmp_path / "report.html"))
    (tmp_path / "page.html").write_text("")
    (tmp_path / "other.html").write_text("")
    (tmp_path / "class.html").mkdir()
    write_report(tmp_path / "report.html", small(), data(), answers(data()), HISTORY, {})
    links = [each["href"] for each in Reader(tmp_path / "report.html").every("a")]
    assert links == ["page.html"]
    assert pages_beside(tmp_path / "page.html") == ["report.html"]


def test_the_theme_is_turned_without_a_script() -> None:
    """The rules by which the checkbox turns colours are those that turn the pictures: each sets all three."""
    rules = re.findall(r":root:has\(#theme:checked\) \{([^}]+)\}", styled(""))
    assert len(rules) == 2
    for rule, scheme in zip(rules, ("dark", "light"), strict=True):
        assert f"color-scheme: {scheme}" in rule
        shown = "in-dark" if scheme == "dark" else "in-light"
        assert f"--{shown}: block" in rule
        assert rule.count("none") == 1


def test_class_names_are_text(tmp_path: Path) -> None:
    net = small()
    net.name = "<i>net</i>"
    read = written(tmp_path, net, data(names=WICKED), note="<b>bold</b>")
    assert read.text.count(WICKED[0]) >= 3
    assert read.text.count(WICKED[1]) >= 3
    assert "caf?" in read.text
    assert "<b>bold</b>" in read.text
    assert "<i>net</i> on noise" in read.text
    assert WICKED[0] in {each.get("title") for each in read.every("th")}
    assert not read.every("script")


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_images_in_colour(tmp_path: Path, kind: str) -> None:
    read = written(tmp_path, small(3, 8, 8), data(3, 8, 8, kind=kind))
    assert "2 filters of 3 channels, 3×3" in read.text
    assert {each["width"] for each in read.every("img") if "of class" in each["alt"]} == {"144", "96"}


def test_photographs_keep_their_pixels() -> None:
    image = np.array([[[0, 255], [51, 102]]], np.uint8)
    shown = pictures.photograph(image, *pictures.pixel_range(image), 96)
    assert (shown.width, shown.height) == (36, 36)
    assert pixels(shown)[..., 0].tolist() == [[0, 255], [51, 102]]
    colour = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    assert (pixels(pictures.photograph(colour, 0, 255, 96))[..., :3] == colour.transpose(1, 2, 0)).all()
    assert pictures.pixel_range(np.array([0.0, 0.5])) == (0, 1)
    assert pictures.pixel_range(np.array([-2.0, 3.0])) == (-2, 3)
    large = pictures.photograph(np.zeros((1, 300, 200)), 0, 1, 96)
    assert (large.width, large.height) == (50, 75)


def pixels(shown: pictures.Picture) -> np.ndarray:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads what is written")
    return np.asarray(
        image.open(io.BytesIO(base64.b64decode(shown.source.removeprefix("data:image/png;base64,"))))
    ).astype(int)


def test_colours_are_signed() -> None:
    below, zero, above, none = pictures.signed_colours(np.array([-2.0, 0.0, 2.0, np.nan]), 2).astype(int)
    assert below[2] > below[0]
    assert above[0] > above[2]
    assert zero[:3].min() > 240
    assert none.tolist() == list(pictures.NOT_A_NUMBER)
    assert pictures.signed_colours(np.zeros(2), 0)[:, :3].min() > 240


def test_a_dense_network_shows_the_weights_of_its_units(tmp_path: Path) -> None:
    net = Network(Flatten(), Dense(40, activation=ReLU()), Dense(3), input=(1, 8, 8), name="mlp")
    read = written(tmp_path, net, data())
    assert "40 units of 1 channel, 8×8" in read.text
    assert "The first 32 of 40 units are shown." in read.text


def test_a_network_of_features_has_no_weights_to_see(tmp_path: Path) -> None:
    read = written(tmp_path, Network(Dense(3), input=(5,), name="linear"), data(5, 1, 1))
    assert "its weights cannot be shown as pictures" in read.text


def test_deep_and_wide_networks_are_cut_short_and_say_so(tmp_path: Path) -> None:
    deep = [Conv(9, size=1) for _ in range(26)]
    net = Network(*deep, Conv(40, size=1), Flatten(), Dense(30), input=(1, 3, 3), name="deep")
    names = tuple(f"class {number}" for number in range(30))
    test = data(1, 3, 3, names=names, count=60)
    read = written(tmp_path, net, test, shares=answers(test, wrong=40))
    for note in (
        "The first 4 of 27 convolutions",
        "The first 24 of 29 layers",
        "The first 8 of 9 channels",
        "The 20 classes of 30 with most mistakes",
        "Of 30 classes the likeliest and the true one",
        "The worst 24 of 40 mistakes",
    ):
        assert note in read.text
    assert len(read.every("li")) == 24


def test_mistakes_come_worst_first_or_not_at_all(tmp_path: Path) -> None:
    test = data()
    assert [row["place"] for row in page.mistakes(test, *judged(answers(test, wrong=3)), 0, 255)["rows"]] == [2, 1, 0]
    read = written(tmp_path, small(), test, shares=answers(test))
    assert "There are none: every test image was classified correctly." in read.text
    assert not read.every("li")


def judged(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return shares, shares.argmax(axis=1)


def test_what_is_not_a_number_is_told(tmp_path: Path) -> None:
    test = data()
    shares = answers(test)
    shares[0], shares[4, 1] = np.nan, np.inf
    bad = {"train_loss": float("nan"), "train_accuracy": float("inf"), "rate": None}
    net = small()
    net["conv1"].w[0, 0, 0, 0] = np.nan
    read = written(tmp_path, net, test, shares, [HISTORY[0] | bad, HISTORY[1]], loss=float("nan"))
    assert "For 2 of the images the probabilities are not numbers" in read.text
    assert "7 of 9 test images" in read.text
    assert read.text.count("no answer") == 3
    assert "not a number" in read.text
    assert "infinite" in read.text


def test_nothing_but_nan(tmp_path: Path) -> None:
    nothing = [dict.fromkeys(HISTORY[0], float("nan")) | {"epoch": 1}]
    net = small()
    net.parameters[:] = np.nan
    read = written(tmp_path, net, data(), np.full((9, 3), np.nan), nothing)
    assert "0 of 9 test images" in read.text


def test_one_epoch_is_told_in_numbers_and_none_is_told(tmp_path: Path) -> None:
    read = written(tmp_path, small(), data(), history=HISTORY[:1])
    assert not read.every("svg"), "three dots tell nothing"
    for told in ("loss on training images", "1.25", "accuracy on training images", "50.0 %", "accuracy of guessing"):
        assert told in read.text.replace("\u00a0", " "), told
    assert marks(HISTORY[:1]) > 0
    assert marks([HISTORY[0] | {"epoch": epoch} for epoch in range(1, 41)]) == 0
    assert "No training was recorded" in written(tmp_path, small(), data(), history=[]).text


def marks(history: list[dict[str, Any]]) -> int:
    """How many markers the curve of the learning rate has."""
    return pictures.curves(history)[2]["chart"].count("<circle")


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9, 10, 0.5958, 0.9821), (50, 100, 0.4038, 0.5962)],
)
def test_the_interval_is_wilsons(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


def test_a_failure_leaves_the_page_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, test = tmp_path / "report.html", data()
    path.write_text("before")

    def full(*_: Any) -> None:
        raise OSError("no space left")

    for broken in ("report.page.rendered", "checkpoint.os.fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(f"plaingrad.training.{broken}", full)
            with pytest.raises((OSError, CheckpointError), match="no space"):
                write_report(path, small(), test, answers(test), HISTORY, {})
        assert path.read_text() == "before"
        assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    write_report(path, small(), test, answers(test), HISTORY, {})
    assert "before" not in path.read_text("utf-8")[:100]


def test_probabilities_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\(9, 2\); 9 images of 3 classes need \(9, 3\)"):
        write_report(tmp_path / "report.html", small(), data(), np.zeros((9, 2)), HISTORY, {})


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingError, match=r"the report needs jinja2.*plaingrad\[report\]"):
        write_report(tmp_path / "report.html", small(), data(), answers(data()), HISTORY, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_threads_write_side_by_side(tmp_path: Path) -> None:
    test = data()

    def work(name: str) -> None:
        write_report(tmp_path / name, small(), test, answers(test), HISTORY, {})

    threads = [threading.Thread(target=work, args=(f"{number}.html",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 3
