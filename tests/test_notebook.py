"""What a notebook shows of a network, a training, an explained number and a page; and the example notebook."""

import html
import json
import math
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plaingrad as pg
from plaingrad.errors import SettingError
from plaingrad.textbook.notebook import EDGE, HIGH, WIDE, Markup, curves, table
from plaingrad.training.history import MOST_SHOWN, History

ROOT = pathlib.Path(__file__).parents[1]
EVIL = '<img src=x onerror="alert(1)">&'
EXAMPLE = ROOT / "examples" / "first_steps.ipynb"
TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]))  # XML has no control characters


def parsed(text: str) -> ElementTree.Element:
    """The HTML as XML, which it is here: each tag closed, each sign escaped."""
    return ElementTree.fromstring(f"<div>{text}</div>")


def words(node: ElementTree.Element) -> str:
    return "".join(node.itertext())


def test_a_table_says_what_it_is_given():
    @given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
    def holds(rows):
        found = [tuple(words(cell) for cell in row) for row in parsed(table(rows)).iter("tr")]
        assert found == rows

    holds()
    assert [cell.tag for cell in parsed(table([("a",), ("b",), ("c",)], foot=True)).iter() if len(cell.tag) == 2] == [
        *("tr", "th", "tr", "td", "tr", "th")
    ]
    assert "<b>x</b>" in table([(Markup("<b>x</b>"), "y")])


FLOATS = st.lists(st.floats(), min_size=1, max_size=6)


@given(st.dictionaries(TEXTS, FLOATS, min_size=1, max_size=4), TEXTS)
def test_curves_stay_in_their_frame(series, title):
    """Whatever the numbers are: huge, all the same, or none that is finite."""
    drawn = curves(title, series)
    finite = {name: [value for value in values if math.isfinite(value)] for name, values in series.items()}
    if not any(finite.values()):
        assert drawn == ""
        return
    lines = list(parsed(drawn).iter("polyline"))
    assert [len(line.get("points").split()) for line in lines] == [len(each) for each in finite.values() if each]
    for point in " ".join(line.get("points") for line in lines).split():
        across, down = map(float, point.split(","))
        assert 0 <= across <= WIDE
        assert EDGE <= down <= EDGE + HIGH
    assert words(parsed(drawn)).startswith(title)


def test_curves_rise_where_numbers_do():
    (line,) = parsed(curves("loss", {"train": [1, 3, 2, math.nan, 2]})).iter("polyline")
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert heights[0] > heights[2] == heights[3] > heights[1]


def network(name: str = "small") -> pg.Network:
    return pg.Network(pg.Conv(2, size=2), pg.ReLU(), pg.Flatten(), pg.Dense(3), input=(1, 3, 3), name=name)


def test_a_network_is_its_summary():
    net = network(EVIL)
    shown = parsed(net._repr_html_())
    assert words(shown.find("p")) == EVIL
    rows = [[words(cell).split() for cell in row] for row in shown.iter("tr")]
    said = [line.split() for line in net.summary().splitlines() if "─" not in line]
    assert [[word for cell in row for word in cell] for row in rows] == said


def history(epochs: int, **settings: object) -> History:
    images, labels = np.random.default_rng(0).random((40, 1, 3, 3)), np.arange(40) % 3
    return pg.train(network(), images, labels, epochs=epochs, **settings)


def test_a_history_is_a_list_that_shows_itself():
    told = history(MOST_SHOWN + 2, validation=0.25)
    assert isinstance(told, list)
    assert told == json.loads(json.dumps(told))
    assert type(told[0]) is dict
    shown = parsed(told._repr_html_())
    head, *rows = [[words(cell) for cell in row] for row in shown.iter("tr")]
    assert head[:5] == ["epoch", "train loss", "train accuracy", "validation loss", "validation accuracy"]
    assert [row[0] for row in rows] == [str(each["epoch"]) for each in told[2:]]
    assert rows[-1][1] == f"{told[-1]['train_loss']:.4f}"
    assert len(list(shown.iter("svg"))) == 2
    assert len(list(shown.iter("polyline"))) == 4
    assert "validation" not in history(1)._repr_html_()
    assert words(parsed(History()._repr_html_())) == "no epoch is done yet"


def test_an_explained_number_is_text_and_mathematics():
    run = pg.example("first-cnn")
    for name in ["conv1.dw[0,0,1,0]", "conv1.y[0,0,1]", "relu1.dx[0,0,0]", "dense1.dy[1]", "loss.y", "input[0,1,2]"]:
        told = run.explain(name)
        bundle = told._repr_mimebundle_()
        assert bundle["text/plain"] == str(told)
        shown = parsed(bundle["text/html"])
        said = set(" ".join(shown.itertext()).split())
        assert words(shown.find("p/b")) == str(told).splitlines()[0]
        before, terms, after = told.shown()
        rows = list(shown.iter("tr"))[1:]
        assert len(rows) == len(terms)
        if told.node is not None:
            assert sum(1 for each in shown.iter() if each.tag.endswith("}math")) == 1 + len(terms)
            assert set(f"{before} {after} {' '.join(told.after_terms())}".split()) <= said
    assert repr(told).startswith("<Explanation of")


def test_what_a_notebook_shows_is_escaped():
    kind = type("Conv", (pg.Conv,), {})
    kind.__name__ = EVIL
    net = pg.Network(kind(2, size=2), pg.Flatten(), pg.Dense(2), input=(1, 3, 3), name=EVIL)
    run = net.run(np.ones((1, 1, 3, 3), "f4"), [1])
    name = next(iter(net)).name
    assert "<img" in name
    for shown in (net._repr_html_(), run.explain(f"{name}.dw[0,0,0,0]")._repr_mimebundle_()["text/html"]):
        assert "<img" not in shown
        assert html.escape("<img") in shown


def test_a_page_says_what_to_do_where_it_is_not_shown():
    page = pg.explain(pg.example("first-cnn"))
    bundle = page._repr_mimebundle_()
    assert bundle["text/plain"].startswith(repr(page))
    assert "Trust Notebook" in bundle["text/plain"]
    assert "page.save('page.html')" in bundle["text/plain"]
    without = re.sub("<style>.*?</style>|<iframe.*</iframe>", "", bundle["text/html"], flags=re.S)
    assert words(parsed(without)) == bundle["text/plain"]


def test_progress_prints_lines(capsys):
    history(2, validation=0.25, progress=True)
    out, err = capsys.readouterr()
    assert err == ""
    head, *lines = [line for line in out.splitlines() if not line.startswith("compiling")]
    assert head == "small on 30 images: 2 epochs of 1 steps"
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert out.isprintable() or set(re.findall(r"[^ -~]", out)) == {"\n"}
    history(2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("told", ["bar", 1, None])
def test_progress_is_yes_or_no(told):
    with pytest.raises(SettingError, match="it needs True or False"):
        history(1, progress=told)


def test_the_example_notebook_is_kept_without_output():
    """What it prints is made anew where it is read, and a change of it can be read."""
    kept = json.loads(EXAMPLE.read_text("utf-8"))
    assert all(not cell["outputs"] for cell in kept["cells"] if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in kept["cells"]}) == len(kept["cells"])


@pytest.mark.notebook
def test_the_example_notebook_runs(tmp_path):
    pytest.importorskip("ipykernel")
    pytest.importorskip("nbconvert")
    words = ["--to", "notebook", "--execute", str(EXAMPLE), "--output", "done.ipynb", "--output-dir", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "nbconvert", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "done.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    shown = ["".join(each["data"]["text/html"]) for each in outputs if "data" in each]
    assert len(shown) == 5
    for each, tag in zip(shown, ("table", "svg", "math", "math", "iframe"), strict=True):
        assert f"<{tag}" in each
    printed = "".join("".join(each["text"]) for each in outputs if each["output_type"] == "stream")
    assert {each["name"] for each in outputs if each["output_type"] == "stream"} == {"stdout"}
    assert printed.count("\nepoch ") == 10
    accuracy = re.search(r"test accuracy (\d\.\d+)", printed)
    assert float(accuracy[1]) > 0.95
