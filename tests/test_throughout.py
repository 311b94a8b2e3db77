"""Another right way is one only if a program keeps to it: in every step, and a way of the update in every array."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import plaingrad as pg
from diseased import form_of, networks
from diseased import played as with_wrong
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.context import Context
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE, Verdict
from plaingrad.compiler.loops import Array
from students import told
from updated import PRINTS, Now, Place, Slip, network, part_of, played

PARTS = ("weights", "gradients and weights", "all")
SOME: dict[str, Callable[[Place], bool]] = {
    "weights": lambda place: place[1] == "w",
    "biases": lambda place: place[1] == "b",
    "one layer": lambda place: place[0] == "dense1",
}


def momentum(now: Now, share: float) -> Array:
    """The step of momentum."""
    return now.average("v", share, now.g, 1.0)


def nesterov(now: Now, share: float) -> Array:
    """The step of Nesterov's momentum."""
    return now.g + share * momentum(now, share)


def verdict_of(step: Callable[[Now], Array], part: str, printed: str, seed: int) -> Verdict:
    """On a program that subtracts the rate times a step."""
    case = network(seed)
    arrays = played(case, Slip("", lambda now: now.w - now.rate * step(now), frozenset()))
    return check_answer(case, part_of(arrays, part, printed))


@pytest.mark.parametrize("some", SOME)
@pytest.mark.parametrize("kind", [momentum, nesterov])
@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.long if n > 1 else ()) for n in range(6)])
@pytest.mark.often(4)
def test_momentum_in_some_arrays_alone_is_a_mistake(
    kind: Callable[[Now, float], Array], some: str, number: int
) -> None:
    """It tells in which, and in which not."""
    has, share = SOME[some], (0.9, 0.5, 0.37)[number % 3]
    part, printed = PARTS[number % 3], PRINTS[number // 2 % 3]
    verdict = verdict_of(lambda now: kind(now, share) if has(now.place) else now.g, part, printed, number)
    assert verdict.verdict == MISTAKE, verdict.text()
    (named,) = verdict.mistakes
    assert named.id in ("momentum-added", "nesterov-momentum")
    told_has, told_not = named.title.split("; so in ")[1].split(", not in ")
    for names, is_so in ((told_has, True), (told_not, False)):
        for name in names.split(" and ")[0].split(", "):
            layer, weight = name.split(".")[-2:]
            assert has((layer, weight)) == is_so, named.title


@pytest.mark.parametrize("number", range(3))
def test_momentum_of_another_share_in_some_arrays_is_not_right(number: int) -> None:
    verdict = verdict_of(lambda now: momentum(now, 0.9 if now.w.ndim > 1 else 0.5), PARTS[number], "f64", number)
    assert not verdict.is_right, verdict.text()


@pytest.mark.parametrize("kind", [momentum, nesterov])
@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.long if n > 1 else ()) for n in range(6)])
def test_momentum_throughout_stays_another_right_way(kind: Callable[[Now, float], Array], number: int) -> None:
    share = (0.9, 0.5, 0.37)[number % 3]
    verdict = verdict_of(lambda now: kind(now, share), PARTS[number % 3], PRINTS[number // 2], number)
    assert verdict.verdict == CONVENTION, verdict.text()


@pytest.mark.parametrize("name", ["normalised", "features"])
def test_momentum_is_throughout_where_a_gradient_is_0_by_a_normalisation(name: str) -> None:
    """Nothing of it shows in the bias before."""
    case = networks()[name]
    arrays = played(case, Slip("", lambda now: now.w - now.rate * momentum(now, 0.9), frozenset()))
    assert check_answer(case, part_of(arrays, "all", "f64")).verdict == CONVENTION


def in_step(form: Callable[[Context], Array | None], only: int) -> Callable[[Context], Array | None]:
    """A form made in one step alone."""
    return lambda context: form(context) if context.step == only else None


@pytest.mark.parametrize("only", [1, 2])
def test_a_way_of_one_step_alone_is_a_mistake(only: int) -> None:
    """In both steps it is another right way."""
    layers = (pg.Conv(3, size=2), pg.BatchNorm(epsilon=0.125), pg.ReLU(), pg.Flatten(), pg.Dense(3))
    case, place = make_case(layers, (2, 5, 4), images=3, seed=1), ("batchnorm1", "running_variance")
    form = form_of("running-variance-biased", 0)
    arrays, _ = with_wrong(case, {place: in_step(form, only)})
    verdict = check_answer(case, told(arrays))
    assert verdict.verdict == MISTAKE, verdict.text()
    assert [each.id for each in verdict.mistakes] == ["running-variance-biased"]
    assert not verdict.unclear
    arrays, _ = with_wrong(case, {place: form})
    assert check_answer(case, told(arrays)).verdict == CONVENTION


@pytest.mark.parametrize("only", [1, 2])
def test_equal_maxima_may_be_told_apart_by_rounding_in_one_step_alone(only: int) -> None:
    case = make_case((pg.MaxPool(3, stride=2), pg.Flatten(), pg.Dense(3)), (2, 7, 7), images=3)
    case = replace(case, batches=tuple(replace(batch, x=np.round(batch.x)) for batch in case.batches))
    arrays, changed = with_wrong(case, {("maxpool1", "dx"): in_step(form_of("error-to-last-tie", 0), only)})
    assert (only, "maxpool1", "dx") in changed
    assert check_answer(case, told(arrays)).verdict == CONVENTION


@pytest.mark.parametrize("weight", ["w", "b"])
@pytest.mark.parametrize("network_name", ["thorough", "dense", "norms"])
@pytest.mark.parametrize("printed", PRINTS)
@pytest.mark.often(4)
def test_a_division_that_the_updates_of_some_arrays_lack_is_told_of_these(
    weight: str, network_name: str, printed: str
) -> None:
    """Gradients are sums over the images and the loss a mean; the update divides the others by their number."""
    case = networks()[network_name]
    images = case.images
    updated = Slip("", lambda now: now.w - now.rate * now.g * (images if now.place[1] == weight else 1), frozenset())
    arrays = {key: array * images if key[2][0] == "d" else array for key, array in played(case, updated).items()}
    verdict = check_answer(case, part_of(arrays, "all", printed))
    assert verdict.verdict == MISTAKE
    assert {each.id for each in verdict.mistakes} == {"rate-by-batch"}, verdict.text()
    assert {key[2] for each in verdict.mistakes for key in each.keys} == {weight}, verdict.text()
    assert not verdict.unclear
    assert "not divided by the number of images" in verdict.mistakes[0].title
