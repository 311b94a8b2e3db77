"""Charts of a page: what lies where, what scales say, and that no text of others becomes markup."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from plaingrad.training.report.chart import MARKED, Line, Scale, chart, linear, logarithmic

SVG = "{http://www.w3.org/2000/svg}"


def drawn(lines, across, up, **more):
    """A chart, read as XML."""
    made = chart(lines, across, up, (300, 200), "epoch", "what it shows", **more)
    return ElementTree.fromstring(made.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


@pytest.mark.parametrize("unit", ["", "%"])
def test_a_scale_says_where_its_ticks_are(unit):
    rng = np.random.default_rng(0)
    for _ in range(300):
        low = float(rng.choice([0, 1, -1])) * 10.0 ** rng.uniform(-5, 5)
        high, most = low + 10.0 ** rng.uniform(-3, 6), int(rng.integers(5, 10))
        ticks = linear(low, high, most, unit).ticks
        # A step is less than 2.5 times what would make exactly so many.
        assert most // 2.5 <= len(ticks) <= most + 1, (low, high, most)
        assert len({label for _, label in ticks}) == len(ticks), (low, high, ticks)
        step = ticks[1][0] - ticks[0][0]
        for value, label in ticks:
            number = float(label.removesuffix("%").replace(",", "")) / (100 if unit else 1)
            # A number is rounded to a tenth of a step, or to a finer place.
            assert abs(number - value) <= 0.051 * step, (value, label)
            assert low - 1e-9 * step <= value <= high + 1e-9 * step


def test_epochs_are_whole_numbers():
    for last in range(2, 60):
        ticks = linear(1, last, 5, least=1).ticks
        assert all(value == round(value) and label == str(round(value)) for value, label in ticks)


def test_powers_of_ten_are_said_as_such():
    scale = logarithmic(3e-6, 2.0)
    assert [label for _, label in scale.ticks] == ["1e-05", "0.0001", "0.001", "0.01", "0.1", "1"]
    assert [label for _, label in logarithmic(0.01, 0.2).ticks] == ["0.01", "0.02", "0.05", "0.1", "0.2"]


def grid(picture):
    """Where the lines of the grid are: of those that go down from left to right, of those across from top to bottom."""
    paths = [each.get("d")[1:] for each in picture.iter(f"{SVG}path") if each.get("class") == "grid"]
    down = sorted(float(each.split()[0]) for each in paths if "v" in each)
    return down, sorted(float(each.split()[1].split("h")[0]) for each in paths if "h" in each)


@pytest.mark.parametrize("is_log", [False, True])
def test_points_lie_where_the_grid_says(is_log):
    rng = np.random.default_rng(1)
    x, y = np.sort(rng.uniform(1, 100, 12)), rng.uniform(-2, 6, 12)
    across = logarithmic(1, 100) if is_log else linear(0, 100, 5)
    up = linear(-3, 7, 5)
    picture = drawn([Line("loss", x, y, "first")], across, up)
    columns, rows = grid(picture)
    places = [each for each, _ in across.ticks]
    bend = np.log10 if is_log else np.asarray
    found = [(float(each.get("cx")), float(each.get("cy"))) for each in picture.iter(f"{SVG}circle")]
    assert len(found) == len(x)
    for (right, down), at_x, at_y in zip(found, x, y, strict=True):
        # Three numbers that are each rounded to a tenth.
        assert right == pytest.approx(np.interp(bend(at_x), bend(places), columns), abs=0.15)
        assert down == pytest.approx(np.interp(-at_y, [-each for each, _ in reversed(up.ticks)], rows), abs=0.15)


def test_a_line_is_interrupted_where_there_is_no_number():
    y = np.array([1.0, 2.0, np.nan, 3.0, np.inf, 4.0])
    picture = drawn([Line("loss", np.arange(6.0), y, "first")], linear(0, 5, 5), linear(0, 4, 4))
    (path,) = (each.get("d") for each in picture.iter(f"{SVG}path") if each.get("class") == "line first")
    assert (path.count("M"), path.count("L")) == (3, 1)
    assert "nan" not in path
    assert "inf" not in path
    assert sum(1 for _ in picture.iter(f"{SVG}circle")) == 4


def test_many_points_of_a_line_have_no_marks_and_those_of_none_have():
    x = np.arange(MARKED + 1.0)
    lines = [Line("joined", x, x, "first"), Line("apart", x, x, "each", joined=False)]
    picture = drawn(lines, linear(0, 30, 5), linear(0, 30, 5))
    marks = [each.get("class") for each in picture.iter(f"{SVG}circle")]
    assert marks.count("first") == 0
    assert marks.count("each") == len(x) + 1  # one beside its name


def test_text_of_others_stays_text():
    evil = '"><script>alert(1)</script>&'
    x = np.arange(3.0)
    scale = Scale(0, 2, [(1, evil)])
    made = chart(
        [Line(evil, x, x, "first"), Line("other", x, x, "second")], scale, scale, (300, 200), evil, evil,
        upright=(1, evil),
    )  # fmt: skip
    assert "<script" not in made
    texts = [each.text for each in ElementTree.fromstring(made).iter() if each.text]
    assert texts.count(evil) == 5  # a tick of each axis, what is across, a line, and what is upright


@pytest.mark.parametrize("corner", ["upper right", "lower right", "lower left"])
def test_names_stand_within_the_plot(corner):
    x = np.arange(3.0)
    picture = drawn(
        [Line("one", x, x, "first"), Line("two", x, x, "second")],
        linear(0, 2, 2),
        linear(0, 2, 2),
        corner=corner,
        upright=(1.0, "three"),
    )
    columns, rows = grid(picture)
    places = {each.text: (float(each.get("x")), float(each.get("y"))) for each in picture.iter(f"{SVG}text")}
    for name in ("one", "two", "three"):
        right, down = places[name]
        assert columns[0] < right < columns[-1]
        assert rows[0] < down < rows[-1] + 5
    assert places["one"][1] < places["two"][1] < places["three"][1]
