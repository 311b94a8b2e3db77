"""Mistakes of a whole array: changed before it is read or after it is filled, kept from step to step, of two layers."""

import random

import numpy as np
import pytest

import edited
from diseased import finite, networks, places, played
from often import counts, some
from plaingrad.checking import check_answer
from plaingrad.checking.edits import changed, composed
from plaingrad.checking.edits.changed import Changed
from plaingrad.checking.edits.making import making
from plaingrad.checking.edits.search import new_lines
from students import told
from test_edits import held

MADE = [(network, place) for network in networks() for place in places(network) if place[1] in edited.QUANTITIES]
KEPT = [(network, place) for network, place in MADE if place[1].startswith("running")]


def slips(count, seed, among, is_meant=lambda edit: True):
    """Random edits of these places, of those that are meant."""
    rng, found = random.Random(seed), []
    while len(found) < count:
        network, place = rng.choice(among)
        how = making(edited.context_of(network, place))
        meant = [each for each in how.edits() if is_meant(each)] if how is not None else []
        if meant:
            edit = rng.choice(meant)
            found.append(edited.Slip(network, place, edit, new_lines(how.lines, edit)))
    return found


def shows_at_its_place(edit):
    """Whether it is a changed array that is read: but sums of rounded numbers have few digits, as if so printed."""
    return isinstance(edit.layout, Changed) and ".round(" not in edit.words


@counts(4, 60)
def test_an_array_that_is_changed_before_it_is_read_is_told_by_a_line(count):
    found = map(edited.tried, slips(count, 5, MADE, shows_at_its_place))
    held([each for each in found if each is not None])


@counts(3, 30)
def test_what_is_kept_from_step_to_step_is_told_by_a_line(count):
    found = map(edited.tried, slips(count, 6, KEPT))
    held([each for each in found if each is not None])


def findings_of(network, place, wrong):
    """What is found in an answer with a wrong pass, and what the pass makes of it; None where it does not show."""
    case = networks()[network]
    arrays, shown = played(case, {place: wrong})
    if (1, *place) not in shown or not finite(arrays):
        return None
    verdict = check_answer(case, told(arrays))
    return verdict, arrays[1, *place]


def told_truly(network, place, wrong):
    """Whether the pass is named; that what is named makes its numbers, there and nowhere else, is asserted."""
    found = findings_of(network, place, wrong)
    if found is None:
        return None
    verdict, made = found
    if not verdict.search.findings:
        assert verdict.conventions
        return None
    for finding in verdict.search.findings:
        assert finding.where[1:] == place, (network, place, finding.where)
        if finding.key == (1, *place):
            for fit in finding.fits:
                # Sums of numbers of about 1 in another order: less than 1e-9 apart; another mistake is by more.
                assert np.allclose(fit.made, made, rtol=1e-9, atol=1e-9), fit.mistake.id
    return all(finding.fits for finding in verdict.search.findings)


@counts(8, 120)
def test_an_array_that_is_changed_once_it_is_filled_is_told(count):
    rng, asked = random.Random(7), []
    while len(asked) < count:
        network, place = rng.choice([each for each in MADE if each[1] != ("loss", "y")])
        change = rng.choice(changed.filled(place[1], edited.context_of(network, place).expected.ndim))
        found = told_truly(network, place, lambda context, change=change: change.of(context.expected))
        if found is not None:
            asked.append(found)
    assert sum(asked) >= 0.8 * count  # the others are numbers too few to tell a line


def of_two_texts(network):
    """Every pass of a network that is made of two texts: its place, and how each of them makes it."""
    for place in [each for name, each in MADE if name == network]:
        context = edited.context_of(network, place)
        for way in composed.ways(context):
            how = way(context)
            if how is not None:
                yield place, way, how, context


@pytest.mark.parametrize("network", some(networks(), lambda place: place in (0, 8)))
def test_two_texts_make_what_one_makes(network):
    found = list(of_two_texts(network))
    assert found or not any(step.layer.saved(step.x) for step in networks()[network].net.steps.values())
    for _, _, how, context in found:
        # A few sums and quotients of float64, of numbers of about 1.
        np.testing.assert_allclose(how.made(None), context.expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("network", some(networks(), lambda place: place == 3))
def test_a_slip_in_one_of_two_texts_is_told(network):
    rng, asked = random.Random(8), []
    ways = list(of_two_texts(network))
    for _ in range(12 if ways else 0):
        place, way, how, _ = rng.choice(ways)
        edit = rng.choice(how.edits())
        found = told_truly(network, place, lambda context, way=way, edit=edit: way(context).made(edit))
        asked += [found] if found is not None else []
    assert sum(asked) >= 0.7 * len(asked)  # of the others some are told to be one of too many
