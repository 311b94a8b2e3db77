"""The verdict as a page, in a real browser: it marks the wrong cells and no others, and says what the verdict says."""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from often import some

pytest.importorskip("jinja2", reason="the page is made with Jinja2, which is not installed: pip install jinja2")
pytest.importorskip("selenium", reason="the page is tested with Selenium, which is not installed: pip install selenium")
from selenium.webdriver.common.keys import Keys

import plaingrad as pg
import test_page
from diseased import PLAIN
from plaingrad.checking import Case, Verdict, check_answer, make_case
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.evidence import cells, off, patterns
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Estimate
from plaingrad.checking.search.precision import DOUBLE
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.formulas import formula_of, over_images
from plaingrad.checking.verdict.maps import MOST_MAPS
from plaingrad.checking.verdict.page import MOST_CELLS, page_html, save_page
from plaingrad.checking.verdict.question import question_of
from plaingrad.checking.verdict.text import FEW_ROWS, NAMED_ROWS, right_text, source_of
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE, RIGHT, UNCLEAR
from plaingrad.compiler.loops import Array
from plaingrad.errors import MissingError, SettingError
from students import Student, Ways
from test_page import FAINT, PHONE, WICKED, Browser

pytestmark, chromium, browser = test_page.pytestmark, test_page.chromium, test_page.browser

WIDE = (1200, 1000)
MOST_BYTES = 2_000_000
OTHERWISE = "another convention"
Place = tuple[int, ...]


# Answers


def answered(case: Case, mistakes: Mapping[tuple[Any, ...], str]) -> dict[str, Array]:
    """What a program answers that makes each of these mistakes where it is said: in every step, or in one."""
    program = Program(case, DOUBLE)
    env = program.start()
    for key in program.keys:
        right = program.evaluate(key, env)
        made: Any = right.value
        mistake = mistakes.get(key, mistakes.get(key[1:]))
        if mistake:
            context = Context(program, key, env, right.value, None)
            made = next(iter(CATALOGUE[mistake].wrong(context)))
            made = context.sum(made) if isinstance(made, Terms) else made
        env[key] = Estimate(np.array(made, float), right.uncertainty)
    return {name_of(key): env[key].value for key in program.keys}


MISTAKES = {
    ("conv2", "dx"): "kernel-rotated",
    ("maxpool1", "dx"): "winner-overwritten",
    ("dense1", "dw"): "one-image",
    ("conv1", "db"): "summed-over-the-batch",
    ("conv1", "dw"): "gradient-rotated",
}


@cache
def mistaken() -> Verdict:
    """Mistakes in maps, kernels, a matrix and a vector."""
    case = make_case()
    return check_answer(case, answered(case, MISTAKES))


@cache
def unnamed() -> Verdict:
    """Numbers that no mistake of the catalogue gives, and a name that means nothing."""
    case = make_case(PLAIN, (2, 11, 9), images=2, steps=1)
    answer = answered(case, {})
    rng = np.random.default_rng(11)
    answer["conv2.dx"][0, 1, 2:5, 1:3] += rng.uniform(0.25, 0.5, (3, 2))
    answer["dense1.dw"] += rng.uniform(0.25, 0.5, answer["dense1.dw"].shape)
    answer[WICKED] = answer["</script><script>window.hacked=1</script>"] = np.zeros(2)
    return check_answer(case, answer)


@cache
def otherwise() -> Verdict:
    """A loss that is summed, and ties that are all paid, but in the first step only: a convention, and a finding."""
    layers = (pg.Conv(3, size=3, padding=1), pg.ReLU(), pg.MaxPool(3, stride=2), pg.Flatten(), pg.Dense(6))
    case = make_case(layers)  # behind a ReLU windows of zeros tie
    verdict = check_answer(
        case,
        answered(
            case,
            {
                ("loss", "y"): "summed-over-the-batch",
                ("loss", "dx"): "summed-over-the-batch",
                (1, "maxpool1", "dx"): "error-to-all-ties",
            },
        ),
    )
    assert {bool(each.passes) for each in verdict.conventions} == {True, False}
    return verdict


@cache
def summed() -> Verdict:
    """A sum over the batch, in the loss and in all that is made of it: nothing is found against any number."""
    case = make_case()
    arrays = Student(case, ways=Ways(sum=True)).arrays()
    verdict = check_answer(case, {name_of(key): array for key, array in arrays.items()})
    assert not found(verdict)
    return verdict


@cache
def faultless() -> Verdict:
    case = make_case()
    return check_answer(case, answered(case, {}))


@cache
def large() -> Verdict:
    """Mistakes in arrays too large to be drawn whole."""
    layers = (pg.Conv(12, size=3), pg.MaxPool(2), pg.ReLU(), pg.Flatten(), pg.Dense(65), pg.Tanh(), pg.Dense(5))
    case = make_case(layers, (1, 14, 14), images=2)
    return check_answer(
        case, answered(case, {("maxpool1", "dx"): "error-to-whole-window", ("dense1", "dw"): "one-image"})
    )


VERDICTS = {MISTAKE: mistaken, UNCLEAR: unnamed, CONVENTION: otherwise, "summed": summed, RIGHT: faultless}
KINDS = {"summed": CONVENTION}


def found(verdict: Verdict) -> dict[str, Finding]:
    """Every finding that a page shows, by the name of its array."""
    named = [finding for each in (*verdict.mistakes, *verdict.conventions) for finding in each.findings]
    return {name_of(finding.key): finding for finding in (*named, *verdict.unclear)}


# What a page shows

READ = """
return [...document.querySelectorAll(".map")].map((map) => ({
  ...map.dataset,
  outline: map.querySelector("[data-picture=yours] .outline")?.getAttribute("d") ?? "",
  crosses: map.querySelector("[data-picture=difference] .crosses")?.getAttribute("d") ?? "",
}));
"""
ROWS = """
const rows = [...document.querySelectorAll(".quantities tbody tr")].filter((row) => row.checkVisibility());
return [...rows].map((row) => [...row.cells].map((cell) => cell.innerText));
"""
SHOW = "document.querySelectorAll('.map')[arguments[0]].scrollIntoView({block: 'center'})"
BOX = """
const map = document.querySelectorAll(".map")[arguments[0]];
const box = map.querySelectorAll("svg")[arguments[1]].getBoundingClientRect();
return [box.left, box.top, box.width, box.height];
"""
CLASSES_AT = "return arguments[0].map((spot) => document.elementFromPoint(...spot)?.getAttribute('class') ?? '')"
HINT = "return document.querySelectorAll('.map')[arguments[0]].querySelectorAll('.picture')[arguments[1]].title"
SAID = "return document.querySelectorAll('.map')[arguments[0]].closest('.maps').querySelector('.reading').textContent"


def opened(browser: Browser, verdict: Verdict, folder: Path, **how: Any) -> None:
    """The page of a verdict, with everything on it unfolded."""
    save_page(verdict, folder / "verdict.html")
    browser.open(folder / "verdict.html", **how)
    browser.js("for (const each of document.querySelectorAll('details')) each.open = true")


def index(map: dict[str, str], row: int, column: int) -> Place:
    """The place in its array of a cell of a map."""
    leading = [int(each) for each in map["place"].split(",") if each]
    inner = [int(map["left"]) + column] if map["flat"] == "1" else [int(map["top"]) + row, int(map["left"]) + column]
    return (*leading, *inner)


def marked(map: dict[str, str], path: str) -> list[Place]:
    """The places whose cells a path of marks has."""
    return [index(map, int(row), int(column)) for column, row in re.findall(r"M(\d+) (\d+)", path)]


def drawn_cells(map: dict[str, str]) -> Iterator[tuple[int, int]]:
    yield from np.ndindex(int(map["rows"]), int(map["columns"]))


def screen(box: tuple[float, float, float, float], map: dict[str, str], row: float, column: float) -> list[float]:
    """Where a place in a map drawn in a box lies in the window."""
    left, top, width, height = box
    return [left + column * width / int(map["columns"]), top + row * height / int(map["rows"])]


def check_reading(said: str, finding: Finding, place: Place, is_off: bool) -> None:
    """The line below the maps has the numbers of this cell."""
    number = r"(-?[0-9.e+-]+)"
    pattern = rf"(.+)\[([0-9,]+)\] (. [a-z]+): yours {number}, should be {number}, difference {number}"
    read = re.match(pattern, said)
    assert read, said
    assert (read[1], read[2]) == (name_of(finding.key), ",".join(map(str, place)))
    assert read[3] == ("✗ wrong" if is_off else "✓ agrees")
    given, expected = float(finding.given[place]), float(finding.expected[place])
    # Six digits are shown, so a number is off by half a unit of the sixth at most; of the difference, of the third.
    assert float(read[4]) == pytest.approx(given, rel=5e-6, abs=0)
    assert float(read[5]) == pytest.approx(expected, rel=5e-6, abs=0)
    assert float(read[6]) == pytest.approx(given - expected, rel=5e-3, abs=0)
    best = finding.best
    if best and best.key == finding.key:
        assert said.endswith(f", with this mistake {best.made[place]:.6g}")
    else:
        assert "with this" not in said


# Tests


SHAPES = {MISTAKE: {1, 2, 4}, UNCLEAR: {2, 4}, CONVENTION: {4}}


@pytest.mark.parametrize("kind", some(SHAPES, lambda place: place == 0))
def test_the_marked_cells_are_the_wrong_ones(browser: Browser, tmp_path: Path, kind: str) -> None:
    verdict = VERDICTS[kind]()
    opened(browser, verdict, tmp_path)
    findings = found(verdict)
    outlined: dict[str, list[Place]] = {name: [] for name in findings}
    for map in browser.js(READ):
        outlined[map["name"]] += marked(map, map["outline"])
        assert marked(map, map["outline"]) == marked(map, map["crosses"])
    assert {len(finding.given.shape) for finding in findings.values()} >= SHAPES[kind]
    for name, finding in findings.items():
        assert outlined[name] == [tuple(place) for place in np.argwhere(off(finding)).tolist()], name


def test_marks_and_colours_lie_where_the_cells_are(browser: Browser, tmp_path: Path) -> None:
    verdict = mistaken()
    opened(browser, verdict, tmp_path)
    findings, seen = found(verdict), set()
    for number, map in enumerate(browser.js(READ)):
        if map["name"] in seen:
            continue
        seen.add(map["name"])
        browser.js(SHOW, number)
        boxes = [browser.js(BOX, number, picture) for picture in (0, 1, 2)]
        finding, wrong = findings[map["name"]], set(marked(map, map["outline"]))
        everywhere, spots = [*drawn_cells(map)], []
        for row, column in everywhere:
            spots += [screen(boxes[picture], map, row + 0.5, column + 0.5) for picture in (0, 1, 2)]
            spots.append(screen(boxes[0], map, row + 0.5, column + 0.1))
        hit = np.reshape(browser.js(CLASSES_AT, spots), (-1, 4)).tolist()
        for (row, column), (own, true, cross, frame) in zip(everywhere, hit, strict=True):
            place = index(map, row, column)
            for shade, values in ((own, finding.given), (true, finding.expected)):
                assert shade[:1] == {-1: "n", 0: "", 1: "p"}[int(np.sign(values[place]))], place
            assert (frame == "outline", cross == "crosses") == (place in wrong, place in wrong), place
    assert seen == findings.keys()


@pytest.mark.often(1)
def test_pointing_at_a_cell_shows_its_numbers(browser: Browser, tmp_path: Path) -> None:
    verdict = mistaken()
    opened(browser, verdict, tmp_path)
    findings, seen = found(verdict), set()
    for number, map in enumerate(browser.js(READ)):
        if map["name"] in seen:
            continue
        seen.add(map["name"])
        browser.js(SHOW, number)
        finding, wrong = findings[map["name"]], off(findings[map["name"]])
        chosen = [*drawn_cells(map)][:: max(1, int(map["rows"]) * int(map["columns"]) // 12)]
        for turn, (row, column) in enumerate(chosen):
            browser.point(*screen(browser.js(BOX, number, turn % 3), map, row + 0.5, column + 0.5))
            said, place = browser.js(SAID, number), index(map, row, column)
            check_reading(said, finding, place, bool(wrong[place]))
            assert browser.js(HINT, number, turn % 3) == said
    assert seen == findings.keys()


def test_what_a_convention_makes_different_is_not_called_wrong(browser: Browser, tmp_path: Path) -> None:
    verdict = otherwise()
    opened(browser, verdict, tmp_path)
    map, (finding,) = browser.js(READ)[0], found(verdict).values()
    place = marked(map, map["outline"])[0]
    browser.js("document.querySelector('.map').focus()")
    given, expected, made = (f"{array[place]:.6g}" for array in (finding.given, finding.expected, finding.fits[0].made))
    said = browser.js(SAID, 0)
    assert said.startswith(
        f"maxpool1.dx[{','.join(str(each) for each in place)}] ≈ different: yours {given}, the case {expected}, "
    )
    assert said.endswith(f", with this convention {made}")
    text = browser.text("main")
    assert "the case" in text
    assert "should be" not in text
    assert "✗" not in text


def test_a_tap_shows_numbers_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    opened(browser, mistaken(), tmp_path, size=PHONE)
    map, finding = browser.js(READ)[0], found(mistaken())
    browser.js(SHOW, 0)
    row, column = int(map["rows"]) - 1, int(map["columns"]) - 1
    x, y = screen(browser.js(BOX, 0, 1), map, row + 0.5, column + 0.5)
    for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    place = index(map, row, column)
    check_reading(browser.js(SAID, 0), finding[map["name"]], place, bool(off(finding[map["name"]])[place]))


def test_keys_go_from_cell_to_cell_and_from_one_wrong_one_to_the_next(browser: Browser, tmp_path: Path) -> None:
    case = make_case(simple=True)
    verdict = check_answer(case, answered(case, {("conv1", "dw"): "gradient-rotated"}))
    opened(browser, verdict, tmp_path)
    map = browser.js(READ)[0]
    finding = found(verdict)[map["name"]]
    wrong = marked(map, map["outline"])
    assert 1 < len(wrong) < int(map["rows"]) * int(map["columns"])
    at = "return document.activeElement === document.querySelector('.map')"
    browser.js(
        "document.querySelector('.map').closest('.maps').parentElement.querySelector('.telling').parentElement.focus()"
    )
    for _ in range(4):  # past the counts of each map, if they are shown
        browser.press(Keys.TAB)
        if browser.js(at):
            break
    assert browser.js(at), "the map is not reached with Tab"
    for place in (*wrong, wrong[0]):
        check_reading(browser.js(SAID, 0), finding, place, True)
        browser.press(Keys.ENTER)
    browser.js("document.activeElement.blur()")
    browser.js("document.querySelector('.map').focus()")
    for _ in range(int(map["rows"]) + int(map["columns"])):
        browser.press(Keys.ARROW_UP, Keys.ARROW_LEFT)
    for row, column, key in (
        (0, 0, Keys.ARROW_RIGHT),
        (0, 1, Keys.ARROW_DOWN),
        (1, 1, Keys.ARROW_LEFT),
        (1, 0, Keys.NULL),
    ):
        place = index(map, row, column)
        check_reading(browser.js(SAID, 0), finding, place, place in wrong)
        browser.press(key)


@pytest.mark.parametrize("kind", some(VERDICTS, lambda place: place % 2 == 0))
def test_the_page_says_what_the_verdict_says(browser: Browser, tmp_path: Path, kind: str) -> None:
    verdict = VERDICTS[kind]()
    assert verdict.verdict == KINDS.get(kind, kind)
    opened(browser, verdict, tmp_path)
    text, program = browser.js("return document.querySelector('main').textContent"), verdict.search.program
    assert browser.text("h1").startswith(
        {MISTAKE: "5 mistakes", UNCLEAR: "Unclear", RIGHT: "Right"}.get(kind, "Right, with")
    )
    assert f"{len(verdict.rows)} quantities compared at a precision of {verdict.search.precision}." in text
    assert (verdict.first_wrong or "") in browser.text("header")
    for named in (*verdict.mistakes, *verdict.conventions):
        assert named.title in text
        assert named.advice in text
    findings = [each.findings[0] for each in verdict.mistakes] + verdict.unclear
    for finding in findings:
        formula, text_of_it = formula_of(program, finding.where), right_text(program, finding.where)
        assert formula
        for each in (*patterns(finding, program.steps), formula, "\n".join(source_of(text_of_it))):
            assert each in text
        for cell in cells(finding):
            assert f"[{','.join(map(str, cell.place))}]{cell.given:.6g}{cell.expected:.6g}" in text
    told = browser.js(ROWS)
    assert len(told) == len(verdict.rows)
    assert {name: error for name, _, error in told} == {row.name: f"{row.error:.1e}" for row in verdict.rows}
    words = {"agrees": "✓ agrees", "follows": "↓ follows", "wrong": "✗ wrong", OTHERWISE: "≈ another convention"}
    statuses = {row.name: words[row.status] for row in verdict.rows}
    assert {name: status for name, status, _ in told} == statuses
    differing = {name for name, status in statuses.items() if status[0] in "✗≈"}
    assert differing == found(verdict).keys() | {name for each in verdict.conventions for name in each.where}
    lost = "return [...document.querySelectorAll('a')].filter((a) => !document.querySelector(a.hash)).length"
    assert browser.js(lost) == 0


def test_what_is_wrong_comes_first_and_what_is_no_news_is_folded(browser: Browser, tmp_path: Path) -> None:
    verdict = mistaken()
    save_page(verdict, tmp_path / "verdict.html")
    browser.open(tmp_path / "verdict.html")
    by_status = {status: [row.name for row in verdict.rows if row.status == status] for status in ("follows", "agrees")}
    assert min(map(len, by_status.values())) > FEW_ROWS
    assert {name: status for name, status, _ in browser.js(ROWS)} == dict.fromkeys(found(verdict), "✗ wrong")
    titles = browser.js(
        "return [...document.querySelectorAll('#quantities ~ * summary')].map((each) => each.innerText)"
    )
    worst = max(row.error for row in verdict.rows if row.status == "agrees")
    assert titles[0].startswith(f"{len(by_status['follows'])} only follow: ")
    agree = f"The other {len(by_status['agrees'])} agree: largest difference / largest number is {worst:.1e} at most"
    assert titles[1] == agree
    assert len(titles) == 2
    headings = browser.js("return [...document.querySelectorAll('h2')].map((each) => each.innerText)")
    asked = question_of(verdict)
    assert asked is not None
    assert headings == [*(each.title for each in verdict.mistakes), "All quantities", asked.heading]
    shown = browser.js("return [...document.querySelectorAll('.map')].map((each) => each.checkVisibility())")
    names = [each["name"] for each in browser.js(READ)]
    first = name_of(verdict.mistakes[0].findings[0].key)
    assert [name for name, is_shown in zip(names, shown, strict=True) if is_shown] == [first]


def test_few_quantities_are_not_folded(browser: Browser, tmp_path: Path) -> None:
    case = make_case()
    answer = answered(case, {("conv2", "dx"): "kernel-rotated"})
    part = {name: array for name, array in answer.items() if name in {"dense1.dx", "conv2.dx", "maxpool1.dx"}}
    verdict = check_answer(case, part)
    assert {row.status for row in verdict.rows} == {"agrees", "wrong", "follows"}
    save_page(verdict, tmp_path / "verdict.html")
    browser.open(tmp_path / "verdict.html")
    assert [name for name, *_ in browser.js(ROWS)] == ["dense1.dx", "conv2.dx", "maxpool1.dx"]
    assert "“follows”: computed correctly, but from numbers that were already wrong." in browser.text("main")


def test_a_convention_without_findings_is_told_and_linked(browser: Browser, tmp_path: Path) -> None:
    verdict = summed()
    assert len({(each.id, each.title) for each in verdict.conventions}) == len(verdict.conventions) == 1
    opened(browser, verdict, tmp_path)
    (title,) = browser.js("return [...document.querySelectorAll('section h3')].map((each) => each.innerText)")
    assert title == f"≈ {verdict.conventions[0].title}"
    names = {name for each in verdict.conventions for name in each.where}
    assert len(names) > NAMED_ROWS
    assert set(browser.text(".where").replace(",", " ").split()) >= names
    links = "[...document.querySelectorAll('.quantities a')]"
    linked = browser.js(f"return {links}.map((each) => [each.closest('tr').cells[0].innerText, each.hash])")
    assert dict(linked) == dict.fromkeys(names, "#convention-1")
    assert browser.js(READ) == []
    assert "The formula" not in browser.text("main")


def test_the_text_that_does_it_right_needs_no_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = mistaken()
    program, where = verdict.search.program, verdict.mistakes[0].findings[0].where
    formula, text = formula_of(program, where), right_text(program, where)
    assert formula
    told = f'<h3>The formula</h3>\n<p class="formula"><code>{formula}</code></p>'
    page = page_html(verdict)
    assert told in page
    assert "The correct loop" in page
    assert f"{text.__name__} in {text.__module__}" in page
    monkeypatch.setattr("plaingrad.checking.verdict.text.formula_of", lambda program, key: None)
    page = page_html(verdict)
    assert "The formula" not in page
    assert f"{text.__name__} in {text.__module__}" in page


def test_a_formula_of_one_image_says_so() -> None:
    program = mistaken().search.program
    assert over_images(program, (1, "dense1", "dw")).endswith("the sum over its images.")
    assert over_images(program, (2, "loss", "y")).endswith("the mean over its images.")
    for key in ((1, "loss", "dx"), (1, "conv2", "dx"), (1, "dense1", "w"), (1, "dense1", "y")):
        assert over_images(program, key) == ""
    one = check_answer(make_case(images=1), {"loss": np.array(0.0)}).search.program
    assert over_images(one, (1, "dense1", "dw")) == ""


@pytest.mark.often(1)
def test_names_from_files_are_text(browser: Browser, tmp_path: Path) -> None:
    verdict = unnamed()
    assert len(verdict.notes) == 2
    case = verdict.search.program.case
    own, case.net.name = case.net.name, WICKED
    try:
        opened(browser, verdict, tmp_path)
    finally:
        case.net.name = own
    text = browser.js("return document.body.textContent")
    for hostile in (*verdict.notes, f"Gradients checked: {WICKED}"):
        assert hostile in text
    assert browser.js("return document.title").endswith(WICKED)
    assert browser.js("return [document.querySelectorAll('img').length, document.scripts.length]") == [0, 1]
    assert browser.js("return window.hacked ?? null") is None


@pytest.mark.parametrize(
    ("kind", "size", "dark"),
    some(
        [(kind, size, dark) for kind in VERDICTS for size in (WIDE, PHONE) for dark in (False, True)],
        lambda place: place % 4 in (0, 3),  # of each kind one wide and light, one small and dark
        str,
    ),
)
@pytest.mark.often(5)
def test_it_fits_and_can_be_read(
    browser: Browser, tmp_path: Path, kind: str, size: tuple[int, int], dark: bool
) -> None:
    opened(browser, VERDICTS[kind](), tmp_path, size=size, dark=dark)
    browser.picture(f"verdict-{kind.replace(', ', '-').replace(' ', '-')}-{size[0]}-{'dark' if dark else 'light'}")
    wide = browser.js("return [document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]")
    assert wide == [size[0]] * 3
    assert browser.js(FAINT) == []
    levels = browser.js(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


@pytest.mark.long
def test_of_large_arrays_the_worst_part_is_drawn(browser: Browser, tmp_path: Path) -> None:
    verdict = large()
    opened(browser, verdict, tmp_path)
    assert (tmp_path / "verdict.html").stat().st_size < MOST_BYTES
    maps, findings = browser.js(READ), found(verdict)
    pool, matrix = findings["maxpool1.dx"], findings["dense1.dw"]

    wrong = off(pool).sum(axis=(2, 3))
    drawn = [each for each in maps if each["name"] == "maxpool1.dx"]
    assert 0 < len(drawn) <= MOST_MAPS
    assert len(drawn) < wrong.size
    counts = sorted((int(wrong[tuple(map(int, each["place"].split(",")))]) for each in drawn), reverse=True)
    assert counts == sorted(wrong.reshape(-1).tolist(), reverse=True)[: len(drawn)]
    for each in drawn:
        place = tuple(map(int, each["place"].split(",")))
        assert marked(each, each["outline"]) == [(*place, *rest) for rest in np.argwhere(off(pool)[place]).tolist()]
    assert f"Of {wrong.size} maps the {len(drawn)} in which most numbers differ are drawn" in browser.text("main")

    (one,) = (each for each in maps if each["name"] == "dense1.dw")
    top, left, rows, columns = (int(one[each]) for each in ("top", "left", "rows", "columns"))
    assert rows * columns < matrix.given.size
    windows = np.lib.stride_tricks.sliding_window_view(off(matrix), (rows, columns)).sum(axis=(2, 3))
    assert windows[top, left] == windows.max()
    told = f"unit {top} to {top + rows - 1} (of {matrix.given.shape[0]}), input {left} to {left + columns - 1}"
    assert told in browser.text("main")
    inside = [(top + row, left + column) for row, column in drawn_cells(one) if off(matrix)[top + row, left + column]]
    assert marked(one, one["outline"]) == inside


@pytest.mark.long
def test_a_page_of_nothing_but_faults_stays_small() -> None:
    layers = (pg.Conv(8, size=3, padding=1), pg.Flatten(), pg.Dense(7))
    case = make_case(layers, (1, 14, 12), images=6, steps=1)
    rng = np.random.default_rng(5)
    noise = {name: array + rng.uniform(1, 2, array.shape) for name, array in answered(case, {}).items()}
    verdict = check_answer(case, noise)
    assert sum(finding.given.size for finding in verdict.unclear) > MOST_CELLS
    assert len(page_html(verdict).encode()) < MOST_BYTES


def test_without_jinja_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingError, match=r"the verdict's page needs jinja2.*plaingrad\[report\]"):
        save_page(faultless(), tmp_path / "verdict.html")
    assert not list(tmp_path.iterdir())


def test_a_page_does_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="which is no file"):
        save_page(faultless(), tmp_path)
