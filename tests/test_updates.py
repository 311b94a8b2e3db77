"""Updates are judged by their steps: one cause is told once, with its numbers; and never a name that is not true."""

import pathlib
import random
from collections.abc import Callable

import numpy as np
import pytest

from diseased import form_of, networks
from diseased import played as with_wrong
from often import some
from plaingrad.checking import read_case
from plaingrad.checking.answers.answer import read_answer
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.afterwards import OVERWRITTEN
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.update_edits import edited_texts, plain, steps_made
from plaingrad.checking.search.update_numbers import Seen, is_ruled_out
from plaingrad.checking.verdict.verdict import MISTAKE, Verdict
from plaingrad.compiler.loops import Array
from plaingrad.textbook.optimisers import SGD
from plaingrad.textbook.text import Text
from students import Student, told
from updated import EDITED, PARTS, PRINTS, SLIPS, network, part_of, played

CASES = pathlib.Path(__file__).parents[2] / "shared" / "field" / "cases"
SCREEN = 24  # lines before the table
NAMED = 0.85  # of the slips with a name, in answers that hold the weights of both steps
ALIKE_AT_FIRST = {"adamax": {EDITED}}
"""True of step 1 alone, in which an average is a share of the gradient: Adam's line with 0.01 added makes it."""
WITH_STEPS = ("weights", "gradients and weights", "all")


def names_in(verdict: Verdict) -> set[str]:
    """All that is named."""
    return {each.id for each in (*verdict.mistakes, *verdict.conventions)}


def lines_before_the_table(verdict: Verdict) -> int:
    """How much is read before it."""
    lines = verdict.text().splitlines()
    return next((place for place, line in enumerate(lines) if line.startswith("  quantity  ")), len(lines))


@pytest.mark.parametrize(
    "count", [2, pytest.param(8, marks=pytest.mark.long), pytest.param(140, marks=pytest.mark.exhaustive)]
)
def test_no_update_is_given_a_name_that_is_not_true_of_it(count: int) -> None:
    """Every slip, in random networks, parts and ways to print; and one cause takes a screen at most."""
    wrong, missed, shown = [], [], 0
    for number, slip in zip(range(count), list(SLIPS.values()) * (count // len(SLIPS) + 1), strict=False):
        rng = np.random.default_rng(number)
        part, printed = PARTS[int(rng.integers(len(PARTS)))], PRINTS[int(rng.integers(len(PRINTS)))]
        case = network(number)
        with np.errstate(all="ignore"):  # a norm may be 0
            arrays = played(case, slip)
        if not all(np.isfinite(array).all() and np.abs(array).max() < 1e6 for array in arrays.values()):
            continue
        verdict = check_answer(case, part_of(arrays, part, printed))
        if verdict.is_right and part == "weights of step 1" and names_in(verdict):
            continue  # a factor of the first step alone is that of a loss which is added up otherwise
        about = f"{slip.id}, {part}, {printed}, network {number}: {sorted(names_in(verdict))}"
        true = slip.true | (ALIKE_AT_FIRST.get(slip.id, set()) if part == "weights of step 1" else set())
        if names_in(verdict) - true or (len(verdict.mistakes) < 2 and lines_before_the_table(verdict) > SCREEN):
            wrong.append(about)
        if slip.true and part in WITH_STEPS:
            shown += 1
            missed += [about] if verdict.unclear or not names_in(verdict) & slip.true else []
    assert shown > count / 6
    assert not wrong
    assert len(missed) <= (1 - NAMED) * shown, missed


EDITED_ONES = [id for id, slip in SLIPS.items() if EDITED in slip.true]


@pytest.mark.parametrize("id", EDITED_ONES)
@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.often(2)
def test_a_line_of_a_usual_optimiser_is_told(id: str, seed: int) -> None:
    """By the weights of all steps."""
    verdict = check_answer(network(seed), part_of(played(network(seed), SLIPS[id]), "weights", "f64"))
    assert verdict.mistakes, verdict.text()
    assert names_in(verdict) <= SLIPS[id].true, verdict.text()
    assert not verdict.unclear, verdict.text()


@pytest.mark.parametrize("id", ["momentum 0.9", "average 0.9", "weight decay", "rate decays"])
@pytest.mark.parametrize("part", ["all", "weights"])
@pytest.mark.often(4)
def test_a_rule_is_told_where_some_gradients_are_rounding_alone(id: str, part: str) -> None:
    """As that of a bias before a normalisation, of which two programs make two numbers, both next to 0."""
    case, rng = networks()["normalised"], np.random.default_rng(0)
    answer = part_of(played(case, SLIPS[id]), part, "f64")
    rounding = {name: each for name, each in answer.items() if name.endswith("db") and np.abs(each).max() < 1e-12}
    assert rounding or part == "weights"
    answer |= {name: 1e-16 * rng.normal(size=np.shape(each)) for name, each in rounding.items()}
    verdict = check_answer(case, answer)
    assert names_in(verdict) & SLIPS[id].true, verdict.text()


def test_there_are_enough_slips_and_half_of_them_have_no_name() -> None:
    assert len(SLIPS) >= 60
    assert 2 * sum(not slip.true for slip in SLIPS.values()) >= 40


def said_of(of: Callable[[Array], Array], printed: str = "f64", seed: int = 0) -> str:
    """What is told of the weights of a first step in which the gradient was seen through a function."""
    case = make_case(seed=seed)
    arrays = Student(case).arrays()
    for key in arrays:
        if key[0] == 1 and key[2] in ("w", "b"):
            before = case.net.steps[key[1]].arrays[key[2]]
            arrays[key] = before - case.rate * of(arrays[1, key[1], "d" + key[2]])
    return check_answer(case, part_of(arrays, "weights of step 1", printed)).text()


@pytest.mark.parametrize("printed", PRINTS)
@pytest.mark.parametrize("factor", [0.95, 1.37, 2.6, 0.1])
@pytest.mark.often(2)
def test_a_common_factor_is_told_with_its_size(factor: float, printed: str) -> None:
    """Six digits of weights leave about three of their steps; all of them together tell more."""
    text = said_of(lambda g: factor * g, printed)
    told_factor = float(text.split("your step is ")[1].split()[0])
    assert abs(told_factor - factor) < 1e-4 * factor
    assert "in every array" in text
    assert text.count("[step-scaled]") == 1


@pytest.mark.parametrize("layer", ["conv1", "dense1"])
@pytest.mark.parametrize("factor", [0.37, 0.95, 1.37])
@pytest.mark.often(1)
def test_a_layer_that_is_told_alone_needs_no_gradient_of_another(layer: str, factor: float) -> None:
    """Also where its steps are looked at as those of gradients that were all clipped together."""
    case = make_case()
    arrays = {key: array for key, array in Student(case).arrays().items() if key[:2] == (1, layer)}
    for key in [key for key in arrays if key[2] in ("w", "b")]:
        arrays[key] = case.net.steps[layer].arrays[key[2]] - factor * case.rate * arrays[1, layer, "d" + key[2]]
    verdict = check_answer(case, told(arrays))
    assert verdict.verdict == MISTAKE
    assert f"your step is {factor:g}" in verdict.text()


@pytest.mark.long
def test_a_factor_in_some_layers_is_no_common_cause() -> None:
    """Gradients that are not told may hold it: no name, but the factor of each array."""
    case = make_case()
    arrays = Student(case).arrays()
    for key in arrays:
        if key[:2] == (1, "conv1") and key[2] in ("w", "b"):
            before = case.net.steps[key[1]].arrays[key[2]]
            arrays[key] = before + 0.77 * (arrays[key] - before)
    verdict = check_answer(case, part_of(arrays, "weights of step 1", "f64"))
    assert not verdict.mistakes
    assert "your step = correct step × 0.77" in verdict.text()


@pytest.mark.long
def test_weights_that_stay_are_told() -> None:
    def without_the_second_row(g: Array) -> Array:
        g = g.copy()
        g[1] = 0
        return 1.01 * g if g.ndim == 1 else g

    assert "weights stay as they were" in said_of(without_the_second_row)


# Patterns of arrays that have no name


def verdict_with(name: str, made: Callable[[dict[str, Array]], Array], seed: int = 0) -> Verdict:
    """On the answer of step 1 of a right program with one array made otherwise, where no mistake is known."""
    case = make_case(seed=seed)
    answer = {key: array for key, array in told(Student(case).arrays()).items() if not key.startswith("step")}
    return check_answer(case, {**answer, name: made(answer)}, frozenset({*CATALOGUE, "edited-line", OVERWRITTEN.id}))


PATTERNS: dict[str, tuple[str, Callable[[dict[str, Array]], Array], str]] = {
    "the same array of another layer": ("relu2.dx", lambda a: a["conv2.y"], "equals conv2.y"),
    "with the other sign": ("relu1.dx", lambda a: -a["relu1.y"], "equals relu1.y with the other sign"),
    "images exchanged": ("conv2.dx", lambda a: a["conv2.dx"][[1, 0, 2]], "whole images are exchanged"),
    "an image repeated": ("conv2.dx", lambda a: a["conv2.dx"][[0, 0, 2]], "image 1 is 0"),
    "channels exchanged": ("conv2.dx", lambda a: a["conv2.dx"][:, [2, 0, 1, 3]], "whole channels are exchanged"),
    "filters exchanged": ("conv2.dw", lambda a: a["conv2.dw"][[0, 1, 4, 3, 2]], "filter or unit 2 is 4"),
    "one pixel down": ("conv1.dx", lambda a: np.roll(a["conv1.dx"], 1, 2), "one pixel down"),
    "one pixel to the left": ("conv1.dx", lambda a: np.roll(a["conv1.dx"], -1, 3), "one pixel to the left"),
    "mirrored": ("conv1.dx", lambda a: a["conv1.dx"][..., ::-1], "mirrored left to right"),
    "transposed and reshaped": (
        "dense1.dw",
        lambda a: a["dense1.dw"].T.reshape(a["dense1.dw"].shape),
        "a reshape where a transpose is needed",
    ),
    "another array added": (
        "relu2.dx",
        lambda a: a["relu2.dx"] + 0.25 * a["conv2.y"],
        "yours - correct = 0.25 · conv2.y",
    ),
    "images mixed": (
        "conv1.dx",
        lambda a: 0.5 * (a["conv1.dx"] + a["conv1.dx"][[2, 0, 1]]),
        "image 0 is 0.5 · image 0 + 0.5 · image 2",
    ),
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.often(4)
def test_what_wrong_numbers_are_like_is_said(pattern: str) -> None:
    name, made, words = PATTERNS[pattern]
    verdict = verdict_with(name, made)
    assert not verdict.is_right
    assert not verdict.mistakes
    assert words in verdict.text(), verdict.text()


def test_noise_is_like_nothing() -> None:
    verdict = verdict_with("conv1.dx", lambda a: np.random.default_rng(0).normal(size=a["conv1.dx"].shape))
    text = verdict.text()
    assert not any(words in text for _, _, words in PATTERNS.values()), text


# Inputs of people


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the cases beside the project")
@pytest.mark.parametrize(
    ("case", "named", "words"),
    [
        ("K01-one-number-for-all-weights", "one-number-for-all-weights", "outer product"),
        ("K11c-momentum-times-rate", "momentum-added", "0.1125"),
        ("R-wrong_name_momentum_ema_tower_weights1", "step-scaled", "your step is 0.1 of the right one in every array"),
    ],
)
def test_what_people_sent(case: str, named: str, words: str) -> None:
    verdict = check_answer(read_case(str(CASES / case / "case.json")), read_answer(str(CASES / case / "answer.json")))
    assert names_in(verdict) == {named}
    assert words in verdict.text()
    assert lines_before_the_table(verdict) <= SCREEN


@pytest.mark.parametrize("layer", ["conv1", "conv2", "dense1"])
@pytest.mark.parametrize("weight", ["w", "b"])
@pytest.mark.often(2)
def test_weights_that_the_step_replaces_are_not_called_shrunk_by_all_their_size(layer: str, weight: str) -> None:
    """In numbers it is the same; nobody means a weight decay by it."""
    for form in (0, 1):
        arrays, _ = with_wrong(networks()["thorough"], {(layer, weight): form_of("weight-replaced", form)})
        assert names_in(check_answer(networks()["thorough"], told(arrays))) == {"weight-replaced"}


@pytest.mark.parametrize("times", [0.0, 1.0, -5.0])
def test_weights_that_are_a_multiple_of_the_gradient_are_neither_shrunk_nor_clipped(times: float) -> None:
    """0 is one too."""
    case = networks()["thorough"]
    places = [(name, each) for name, step in case.net.steps.items() for each in step.weights]
    arrays, _ = with_wrong(case, dict.fromkeys(places, lambda context: times * context.slope))
    assert names_in(check_answer(case, told(arrays))).isdisjoint({"weights-shrunk", "weights-clipped"})


def test_no_rule_is_ruled_out_that_makes_the_steps() -> None:
    """By the smallest arrays alone; and of steps that nothing makes most are."""
    rng, ruled_out = np.random.default_rng(5), 0
    for _ in range(200):
        names = ["one", "two", "three"][: int(rng.integers(1, 4))]
        columns = {name: (lambda past, name=name: past[name]) for name in names}
        numbers = rng.normal(size=len(names)) * 10.0 ** rng.integers(-4, 5, len(names))
        seen, noise = [], []
        for size in rng.integers(1, 120, int(rng.integers(2, 6))):
            past = {name: rng.normal(size=size) * 10.0 ** rng.integers(-3, 4) for name in names}
            room = np.abs(rng.normal(size=size)) + 1e-3
            made = sum(number * past[name] for number, name in zip(numbers, names, strict=True))
            seen.append(Seen(past, made + rng.uniform(-1, 1, size) * room, room, True))
            noise.append(Seen(past, 1e3 * room * rng.normal(size=size), room, True))
        assert not is_ruled_out(seen, columns, 0.0)
        ruled_out += is_ruled_out(noise, columns, 0.0)
    assert ruled_out > 100


@pytest.mark.parametrize("seed", some(range(6), lambda place: place < 1))
def test_an_edit_of_the_update_of_one_array_is_told(seed: int) -> None:
    """In no catalogue: what is told is a rule of its own, or the edited line, and nothing is told of other arrays."""
    rng = random.Random(seed)
    name, case = rng.choice(list(networks().items()))
    layer, weight = rng.choice([(layer, each) for layer, step in case.net.steps.items() for each in step.weights])
    told_of = []
    for text in rng.sample(edited_texts(plain()), 24):

        def wrong(context: Context, text: Text = text.text) -> Array | None:
            w = context.weights[context.weight]
            steps = steps_made(SGD(), text, [(context.slope, w)], context.rate)
            return None if steps is None else w - steps[0]

        arrays, shown = with_wrong(case, {(layer, weight): wrong})
        if not shown or not all(np.isfinite(each).all() for each in arrays.values()):
            continue
        verdict = check_answer(case, told(arrays), frozenset(CATALOGUE))
        assert {each.where[1:] for each in verdict.search.findings} <= {(layer, weight)}, (name, text.line)
        told_of.append(bool(verdict.mistakes or verdict.conventions))
    assert sum(told_of) >= 0.7 * len(told_of) > 0  # the others are multiples, which a wrong gradient may hold as well
