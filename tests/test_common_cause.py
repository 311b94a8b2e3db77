"""One slip in a piece of code that makes arrays of several layers is told for all of them, or told to be in doubt."""

import numpy as np
import pytest

from diseased import finite, networks, places, played
from edited import Slip, slips
from often import counts, some
from plaingrad.checking.check import check_answer
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.edits.making import making
from plaingrad.checking.edits.search import new_lines
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array
from students import told

SEVERAL = ("thorough", "dense", "square", "norms", "smooth")  # networks with layers of one kind


def in_every_layer(slip: Slip) -> list[tuple[str, str]]:
    """The passes that the text makes which is slipped in."""
    kind = slip.place[0].rstrip("0123456789")
    return [
        place for place in places(slip.network) if place[0].rstrip("0123456789") == kind and place[1:] == slip.place[1:]
    ]


def slipped(slip: Slip) -> dict[tuple[int, str, str], Array]:
    """An answer with the same line edited in all layers; empty where that cannot be, or is not seen in two of them."""

    def wrong(context: Context) -> Array | None:
        how = making(context)
        same = [each for each in how.edits() if new_lines(how.lines, each) == slip.line] if how is not None else []
        return how.made(same[0]) if how is not None and same else None

    where = in_every_layer(slip)
    arrays, _ = played(networks()[slip.network], dict.fromkeys(where, wrong))
    return arrays if len(where) > 1 and finite(arrays) else {}


@counts(4, 120)
def test_what_is_told_of_layers_of_one_text_makes_the_numbers_of_all_or_is_in_doubt(count: int) -> None:
    met = 0
    for slip in slips(count, 3, SEVERAL):
        arrays = slipped(slip)
        verdict = check_answer(networks()[slip.network], told(arrays)) if arrays else None
        there = [each for each in verdict.search.findings if each.key[0] == 1] if verdict else []
        there = [each for each in there if each.key[1:] in in_every_layer(slip) and each.where == each.key]
        if len(there) > 1:
            met += 1
            ids = [{fit.mistake.id for fit in each.fits} for each in there]
            is_line = all(isinstance(fit.mistake, EditedLine) for each in there for fit in each.fits)
            in_doubt = all(each.not_made for each in there if each.fits)
            is_of_two = not is_line and all(each.fits for each in there)  # known mistakes may be two
            assert set.intersection(*ids) or in_doubt or is_of_two, (str(slip), ids)
    assert met


@pytest.mark.parametrize("quantity", some(("y", "dx", "dw", "db"), lambda place: place in (0, 3)))
def test_a_name_that_explains_one_layer_of_two_is_in_doubt(quantity: str) -> None:
    """A known mistake in the first, and numbers of no mistake in the second."""
    case = networks()["thorough"]
    noise = np.random.default_rng(0)
    wrong = {
        ("conv1", quantity): lambda context: -context.expected,
        ("conv2", quantity): lambda context: noise.normal(size=context.expected.shape),
    }
    verdict = check_answer(case, told(played(case, wrong)[0]))
    named = next(each for each in verdict.search.findings if each.key == (1, "conv1", quantity))
    assert named.not_made == ((1, "conv2", quantity),)
    assert f"not sure: conv2.{quantity} is wrong too" in verdict.text()


def test_a_gradient_that_was_never_computed_is_0_to_the_last_bit() -> None:
    """A sum that cancels is not."""
    case = networks()["dense"]
    for made, is_left_out in ((0.0, True), (2.0**-60, False)):
        arrays, _ = played(case, {("dense2", "db"): lambda context, made=made: np.full_like(context.expected, made)})
        (finding, *_) = check_answer(case, told(arrays)).search.findings
        assert ("gradient-left-out" in [fit.mistake.id for fit in finding.fits]) == is_left_out
