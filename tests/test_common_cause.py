"""One slip in a piece of code that makes arrays of several layers is told for all of them, or told to be in doubt."""

import random

import numpy as np
import pytest

import plaingrad as pg
from diseased import finite, networks, places, played
from edited import Slip, slips
from often import counts, some
from plaingrad.checking.check import check_answer
from plaingrad.checking.edits.edited_line import EditedLine, without_letters
from plaingrad.checking.edits.making import making
from plaingrad.checking.edits.search import new_lines
from plaingrad.checking.new_case import make_case
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


@counts(2, 120)
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


def test_arrays_of_the_first_step_in_all_layers_are_in_no_doubt() -> None:
    """Each layer reads its own, by another name: errors that are kept once, and not made anew."""
    case = networks()["thorough"]
    kept: dict[str, Array] = {}

    def wrong(context: Context) -> Array:
        return context.of_error(kept.setdefault(context.name, context.dy))

    arrays, _ = played(case, {(layer, "dw"): wrong for layer in ("conv1", "conv2")})
    found = check_answer(case, told(arrays)).search.findings
    assert [each.key for each in found] == [(2, "conv2", "dw"), (2, "conv1", "dw")]
    assert all(each.fits and not each.not_made for each in found)


ON_BOTH = (pg.Tanh(), pg.ReLU(), pg.LeakyReLU(0.125), pg.Sigmoid(), pg.ELU(0.75))


@pytest.mark.parametrize("activation", some(ON_BOTH, lambda place: place == 0), ids=str)
def test_an_activation_on_maps_and_on_features_has_one_line(activation: pg.Layer) -> None:
    """Its text is laid open for as many axes as its arrays have."""
    layers = (pg.Conv(2, size=2), activation, pg.Flatten(), pg.Dense(4), activation, pg.Dense(3))
    case, name, rng = make_case(layers, (1, 4, 3)), type(activation).__name__.lower(), random.Random(0)
    contexts: list[Context] = []
    played(case, {(f"{name}2", "dx"): lambda context: contexts.append(context)})
    how = making(contexts[0])
    assert how is not None
    said = list(dict.fromkeys(tuple(map(without_letters, new_lines(how.lines, each))) for each in how.edits()))
    for line in rng.sample(said, 2):

        def wrong(context: Context, line: tuple[str, ...] = line) -> Array | None:
            own = making(context)
            assert own is not None
            every = own.edits()
            same = [each for each in every if tuple(map(without_letters, new_lines(own.lines, each))) == line]
            return own.made(same[0]) if same else None

        arrays, changed = played(case, {(f"{name}{number}", "dx"): wrong for number in (1, 2)})
        if changed and finite(arrays):
            verdict = check_answer(case, told(arrays))
            there = [each for each in verdict.search.findings if each.key[0] == 1 and each.key[1].startswith(name)]
            ids = [{fit.mistake.id for fit in each.fits} for each in there]
            assert not ids or set.intersection(*ids) or all(each.not_made for each in there if each.fits), (line, ids)
