"""Numbers that are rounded: by mistake where a program goes on with them, else as they are printed."""

import numpy as np
import pytest

import diseased
from often import some
from plaingrad.checking.check import check_answer
from plaingrad.checking.search.passes import Key
from plaingrad.checking.verdict.verdict import MISTAKE
from plaingrad.compiler.loops import Array
from students import Student, told
from updated import Slip, network, played

SEEDS = [pytest.param(seed, marks=pytest.mark.long if seed > 2 else ()) for seed in range(5)]
PARTS = {
    "all": lambda key, place: True,
    "without a layer's outputs": lambda key, place: key[1:] != (place[0], "y"),
    "outputs and weights": lambda key, place: key[2] in ("y", "w", "b"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("decimals", [2, 3])
@pytest.mark.often(3)
def test_rounded_weights_are_blamed_and_not_what_is_right_for_them(seed: int, part: str, decimals: int) -> None:
    case = network(seed)
    slip = Slip("", lambda now: np.round(now.w - now.rate * now.g, decimals), frozenset())
    first = next((name, "w") for name, step in case.net.steps.items() if step.weights)
    given = {key: array for key, array in played(case, slip).items() if PARTS[part](key, first)}
    verdict = check_answer(case, told(given))
    assert verdict.verdict == MISTAKE, verdict.text()
    assert [each.id for each in verdict.mistakes] == ["weights-rounded"], verdict.text()
    assert f"rounded to {decimals} decimals" in verdict.text()
    assert not verdict.unclear, verdict.text()
    assert all(verdict.search.program.is_update(key) for key in verdict.mistakes[0].keys), verdict.text()


@pytest.mark.parametrize("network", some(["simple", "thorough", "smooth", "norms"], lambda place: place == 0))
@pytest.mark.parametrize("decimals", [2, 3])
def test_any_array_that_is_rounded_and_used_so_is_blamed_where_it_is_rounded(network: str, decimals: int) -> None:
    """And not what reads it. What nothing reads is printed in few digits; rounded to 0, nothing goes back."""
    done = 0
    for place in diseased.places(network):
        if place[1] not in ("y", "dx"):
            continue
        case = diseased.networks()[network]
        arrays, changed = diseased.played(case, {place: lambda context: np.round(context.expected, decimals)})
        if not changed:
            continue
        verdict = check_answer(case, told(arrays))
        names = {fit.mistake.id for each in verdict.search.findings for fit in each.fits[:1]}
        assert {each.key[1:] for each in verdict.search.findings} <= {place}, verdict.text()
        lines = {each for each in names if each.startswith("edited-line") and f".round({decimals})" in each}
        assert names <= {"numbers-rounded", "nothing-goes-back", *lines}, verdict.text()
        done += "numbers-rounded" in names
    assert done >= 5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("decimals", [2, 3])
def test_weights_that_are_printed_short_are_right(seed: int, decimals: int) -> None:
    case = network(seed)

    def shown(key: Key, array: Array) -> Array:
        return np.round(array, decimals) if key[2] in ("w", "b") else array

    arrays = {key: shown(key, array) for key, array in Student(case).arrays().items()}
    verdict = check_answer(case, told(arrays))
    assert verdict.is_right, verdict.text()
