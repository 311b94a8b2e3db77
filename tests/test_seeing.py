"""What cases can show: every known mistake, nearly every edit of a line; and what they cannot, which is said."""

import functools
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

import plaingrad as pg
from diseased import played
from plaingrad.checking import Case, check_answer, make_case, read_case
from plaingrad.checking.case_layers import LARGE_INPUT, THOROUGH, of_words, turned, turned_input
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.seeing import MEASURED, NEVER_SILENT, Change, hidden_mistakes, hidden_of, would_show
from plaingrad.checking.verdict.page import contents
from plaingrad.cli.main import main

SHARE = 0.97  # of the edits that change a second case
SAMPLE = 40  # every so many-th edit is asked where all would take a minute
WORDS = {
    "conv,maxpool,relu,flatten,dense": {"dilation-forgotten"},  # of several convolutions the second is dilated
    "conv,leakyrelu,conv,meanpool,tanh,flatten,dense,softmax": set(),
    # Before each layer of weights stands a pool, or an image.
    "meanpool,conv,sigmoid,l2pool,flatten,dense": {"dilation-forgotten", "derivative-of-the-activation-before"},
    # The same; and behind a ReLU no number is negative: a maximum that begins at 0, and the largest absolute value, are
    # right there.
    "conv,relu,maxpool,conv,tanh,l2pool,flatten,dense": {
        *("maximum-begins-at-zero", "error-to-largest-absolute-value", "derivative-of-the-activation-before"),
    },
}


# Without dilation the pool has no padding, and one row or column of windows that move by one.
OF_POOLS = {
    *("pool-window-without-padding", "pool-window-moved-onto-the-image", "winner-in-the-padded-image"),
    "pool-window-without-stride",
}


def worded(words: str, seed: int = 0) -> Case:
    input = turned_input(seed, LARGE_INPUT)
    return make_case(of_words(words, input), input, seed=seed)


def ids(case: Case) -> set[str]:
    hidden = hidden_of(case)
    assert hidden is not None
    return {each.id for each in hidden.mistakes}


def right(case: Case) -> dict[str, np.ndarray]:
    arrays, _ = played(case, {})
    return {f"step{t}.{name}{'' if (name, q) == ('loss', 'y') else f'.{q}'}": a for (t, name, q), a in arrays.items()}


@pytest.mark.parametrize("seed", range(6))
def test_the_default_case_shows_every_known_mistake(seed: int) -> None:
    assert ids(make_case(seed=seed)) == set()
    assert ids(make_case(seed=seed, undilated=True)) == {"dilation-forgotten", *OF_POOLS}


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("seed", range(2))
def test_cases_of_words_show_every_known_mistake_but_some(words: str, seed: int) -> None:
    assert ids(worded(words, seed)) == WORDS[words]


def test_what_is_never_silent_is_made_of_another_shape_or_not_at_all() -> None:
    """Of these mistakes none is made in the default case; in one with square windows some are, and show."""
    assert {*NEVER_SILENT, *MEASURED} <= CATALOGUE.keys()
    made = {each.name for each in would_show(make_case(steps=1), every=0) if not each.is_edit}
    assert not made & {*NEVER_SILENT, *MEASURED} - {"true-class-only"}
    square = make_case((pg.Conv(3, size=3, padding=1), pg.Flatten(), pg.Dense(4)), (2, 6, 5), steps=1)
    shown = {each.name for each in would_show(square, every=0) if each.shows}
    assert {"kernel-transposed", "gradient-transposed"} <= shown


@functools.cache
def asked(every: int, words: str = "") -> tuple[Change, ...]:
    return tuple(would_show(worded(words) if words else make_case(), every))


def is_named_twice(change: Change) -> bool:
    """Whether the edit reads an array of another layer that in this network is the array it should read."""
    return re.search(r"\b(x|\w+\d|loss)\.(x|y|dx|w|b)\[", change.name) is not None


def hidden_edits(changes: tuple[Change, ...]) -> tuple[list[tuple[str, ...]], int]:
    """The edits of a text that show in no layer of that kind, and how many edits there are: a program has one text."""
    shows: dict[tuple[str, str, str, int], bool] = {}
    for each in changes:
        if each.is_edit and not is_named_twice(each):
            key = (each.kind, each.quantity, each.name, each.form)
            shows[key] = shows.get(key, False) or each.shows
    return [key[:3] for key, seen in shows.items() if not seen], len(shows)


def require_share(every: int, words: str = "") -> None:
    hidden, count = hidden_edits(asked(every, words))
    assert count > 4000 / every
    assert len(hidden) <= (1 - SHARE) * count, "\n".join(map(" ".join, hidden))


@pytest.mark.long
def test_the_default_case_shows_nearly_every_edit() -> None:
    require_share(SAMPLE)


@pytest.mark.exhaustive
def test_the_default_case_shows_nearly_every_edit_of_all() -> None:
    require_share(1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("words", WORDS)
def test_cases_of_words_show_nearly_every_edit(words: str) -> None:
    require_share(SAMPLE, words)


def test_most_mistakes_are_told_apart() -> None:
    """A mistake that makes the numbers of another one is named with it."""
    forms = [each for each in asked(0) if not each.is_edit and each.shows]
    assert len(forms) > 400
    assert sum(bool(each.alike) for each in forms) <= 0.15 * len(forms)


@pytest.mark.parametrize("seed", range(8))
def test_sizes_are_unlike_and_maps_turn(seed: int) -> None:
    case = make_case(seed=seed)
    maps = {step.name: step.y for step in case.net.steps.values() if len(step.y) == 3}
    shapes = [case.net.input, *maps.values()]
    assert any(rows > columns for _, rows, columns in shapes)
    assert any(rows < columns for _, rows, columns in shapes)
    assert (case.net.input[1] > case.net.input[2]) == (seed % 2 == 0)
    windows = [step for step in case.net.steps.values() if hasattr(step.layer, "window")]
    positions = {step.name: step.y[1] * step.y[2] for step in windows}
    factors = [case.images, case.net.output[0], 6, 5, *positions.values()]  # 6 and 5: pixels of a window, its sides
    assert all((np.prod(step.layer.size), sum(step.layer.size)) == (6, 5) for step in windows)
    assert len(set(factors)) == len(factors)
    assert len({case.images, case.net.input[0], *(step.y[0] for step in case.net.steps.values())}) == 6
    assert not (1 / case.rate).is_integer()
    asked = case.to_json()["answer"]["quantities"].values()
    assert sum(int(np.prod(each["shape"])) for each in asked) < 6000


@pytest.mark.parametrize("seed", range(12))
def test_no_rectifier_is_dead_and_no_maximum_ties(seed: int) -> None:
    case = make_case(seed=seed)
    arrays = right(case)
    for name in ("relu1", "relu2"):
        before = {"relu1": "maxpool1", "relu2": "conv2"}[name]
        x = arrays[f"step1.{before}.y"]
        assert (x != 0).all()
        for unit in range(x.shape[1]):
            assert 0.1 < (x[:, unit] < 0).mean() < 0.9
    for name, gradient in arrays.items():
        if name.endswith((".dw", ".db")):
            assert all(each.any() for each in gradient), name
    assert (arrays["step1.maxpool1.y"] < 0).any()


def test_turned_layers_are_the_same_network_on_turned_images() -> None:
    assert turned(turned(THOROUGH)) == THOROUGH
    shapes = [[each.y for each in make_case(seed=seed).net.steps.values() if len(each.y) == 3] for seed in (0, 1)]
    assert shapes[0] == [(maps, columns, rows) for maps, rows, columns in shapes[1]]


# Said to whoever is right


def test_a_right_answer_is_told_what_the_case_cannot_show() -> None:
    case = make_case(simple=True)
    hidden = hidden_mistakes(case)
    assert hidden is not None
    assert {"one-image", "dilation-forgotten", "winner-overwritten", "one-filter"} <= ids(case)
    assert not {*ids(case)} & {*MEASURED, *NEVER_SILENT}
    verdict = check_answer(case, right(case))
    assert verdict.verdict == "right"
    told = [line.strip() for line in verdict.text().splitlines()[1:3]]
    assert told == hidden.told
    assert told[0].startswith("this case cannot show: ")
    assert told[0].endswith(f"({len(hidden.mistakes)} of {hidden.asked} known mistakes)")
    assert told[1] == "a case that shows them: plaingrad case"
    said = verdict.to_json()["cannot_show"]
    assert said == {"mistakes": [each.id for each in hidden.mistakes], "of": hidden.asked, "case": "plaingrad case"}
    assert contents(verdict)["notes"][-2:] == hidden.told


def test_nothing_is_said_where_nothing_is_hidden_or_something_is_wrong() -> None:
    for case, answer in ((make_case(), {}), (make_case(simple=True), {"step1.dense1.db": np.array([3.0, 4.0])})):
        verdict = check_answer(case, right(case) | answer)
        assert "cannot show" not in verdict.text()
        assert verdict.to_json()["cannot_show"] is None


def test_of_a_large_case_nothing_is_said() -> None:
    case = make_case(pg.model("lenet5").network().layers, (1, 28, 28), images=2)
    assert hidden_of(case) is None


def test_it_is_asked_once_and_takes_little() -> None:
    case = make_case()
    hidden_of(case)
    again = make_case(seed=3)
    began = time.process_time()
    assert hidden_of(again) is hidden_of(again)
    assert time.process_time() - began < 1.5  # five times what it takes alone on a machine


def test_writing_a_case_says_how_much_it_hides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, count in (
        (["--simple"], len(ids(make_case(simple=True)))),
        (["--no-dilation"], 1 + len(OF_POOLS)),
        ([], 0),
    ):
        path = tmp_path / f"{len(options)}{count}.json"
        with pytest.raises(SystemExit):
            main(["case", *options, "-o", str(path)])
        told = capsys.readouterr()
        assert (f"cannot show {count} of" in told.err) == (count > 0)
        assert "cannot show" not in told.out
        assert {each.id for each in hidden_of(read_case(str(path))).mistakes} == ids(read_case(str(path)))
    with pytest.raises(SystemExit) as ended:
        main(["case", "--no-dilation", "--model", "lenet5"])
    assert ended.value.code == 2
    assert "--no-dilation" in capsys.readouterr().err


def test_what_made_no_difference_before_makes_one() -> None:
    """A column bounded by the number of rows, and a mean divided by the sum of the window's sides."""
    for seed in (0, 1):
        for words in ("conv,relu,maxpool,flatten,dense", "conv,meanpool,flatten,dense", "conv,l2pool,flatten,dense"):
            case = worded(words, seed)
            maps = [case.net.input, *(each.y for each in case.net.steps.values() if len(each.y) == 3)]
            assert any(rows < columns for _, rows, columns in maps)
            for step in case.net.steps.values():
                size = getattr(step.layer, "size", None)
                if size is not None:
                    assert sum(size) != np.prod(size)
                    assert size != step.layer.stride


def test_a_case_of_before_is_still_read() -> None:
    layers = (
        *(pg.Conv(3, size=3, padding=1), pg.ReLU(), pg.MaxPool(3, stride=2)),
        *(pg.Conv(5, size=3, stride=2, padding=1), pg.ReLU(), pg.Flatten(), pg.Dense(6)),
    )
    case = make_case(layers, (2, 11, 9), images=4, rate=0.125)
    again = Case.from_json(json.loads(case.text()))
    assert again.text() == case.text()
    assert check_answer(again, right(case)).verdict == "right"
