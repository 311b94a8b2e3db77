"""A layer whose updates are slips, and none of whose weights is answered: told by the outputs of the next step."""

from collections.abc import Callable

import numpy as np
import pytest

from diseased import differs, form_of, networks
from diseased import played as with_wrong
from plaingrad.checking.check import check_answer
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Key
from plaingrad.checking.verdict.verdict import MISTAKE
from plaingrad.compiler.loops import Array
from students import in_print, told
from updated import PRINTS

SLIPS = (
    "never-updated",
    "uphill",
    "updated-twice",
    "rate-left-out",
    "rate-by-batch",
    "weight-in-place-of-gradient",
)
LAYERS = [
    (network, name)
    for network in ("thorough", "smooth", "dense", "norms", "normalised", "features")
    for name, step in networks()[network].net.steps.items()
    if len(step.weights) > 1
]
PARTS: dict[str, Callable[[Key], bool]] = {
    "all but its weights": lambda key: True,
    "outputs alone": lambda key: key[2] == "y",
    "outputs and errors": lambda key: key[2] in ("y", "dx"),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("network", "layer"), LAYERS)
@pytest.mark.often(4)
def test_a_slip_in_the_updates_of_a_layer_none_of_which_is_answered_is_told_of_all_its_weights(
    network: str, layer: str, part: str
) -> None:
    case = networks()[network]
    step, number = case.net.steps[layer], LAYERS.index((network, layer))
    slip, printed = SLIPS[(number + len(part)) % len(SLIPS)], PRINTS[number % 3]
    places = [(layer, weight) for weight in step.weights]
    arrays, changed = with_wrong(case, dict.fromkeys(places, form_of(slip, 0)))
    right, _ = with_wrong(case, {})
    if not {(1, *place) for place in places} <= changed or not differs(arrays[2, layer, "y"], right[2, layer, "y"]):
        pytest.skip("this slip changes no number of this layer")
    given = {key: array for key, array in arrays.items() if key[1:] not in places and PARTS[part](key)}
    verdict = check_answer(case, told(given, printed=in_print(printed)))
    assert verdict.verdict == MISTAKE, verdict.text()
    assert not verdict.unclear, verdict.text()
    fits = [fit for finding in verdict.search.findings for fit in finding.fits if fit.mistake.id == slip]
    assert {key[1:] for fit in fits for key in fit.keys} == set(places), verdict.text()
    if part == "all but its weights":  # else errors that are not answered may be the same factor larger
        assert [each.id for each in verdict.mistakes] == [slip], verdict.text()
        assert {key[1:] for each in verdict.mistakes for key in each.keys} == set(places), verdict.text()


@pytest.mark.parametrize("network", ["thorough", "normalised", "features"])
@pytest.mark.often(1)
def test_outputs_that_no_slip_of_updates_makes_are_told_of_none(network: str) -> None:
    """Of a layer whose new weights are others by chance."""
    case = networks()[network]
    layer = next(name for name, step in case.net.steps.items() if len(step.weights) > 1)

    def other(context: Context) -> Array:
        rng = np.random.default_rng(context.step)
        return context.expected + 0.1 * rng.normal(size=context.expected.shape)

    places = [(layer, weight) for weight in case.net.steps[layer].weights]
    arrays, _ = with_wrong(case, dict.fromkeys(places, other))
    given = {key: array for key, array in arrays.items() if key[1:] not in places}
    verdict = check_answer(case, told(given))
    assert not verdict.is_right
    assert not any(
        search.program.is_update(key) for search in [verdict.search] for each in verdict.mistakes for key in each.keys
    )
