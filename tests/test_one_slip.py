"""One slip of a layer is told once: on its way back too, if it shows in every step, and not behind lost numbers."""

import random

import numpy as np
import pytest

import edited
from bars import PARTS, chosen
from diseased import contexts, finite, form_of, networks, places, played, sites
from often import counts, some
from plaingrad.checking import check_answer
from plaingrad.checking.catalogue import CATALOGUE, applicable
from plaingrad.checking.edits import composed
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.edits.making import edits_of, making
from plaingrad.checking.edits.search import chosen_by, new_lines
from plaingrad.checking.edits.winners import given_to
from plaingrad.checking.search.explainer import STATIC
from plaingrad.checking.search.products import Terms
from students import told

CHOOSE = [(network, place) for network in networks() for place in places(network) if place[0].startswith("maxpool")]
NORMALISE = [(network, place) for network in networks() for place in places(network) if "norm" in place[0]]


def forward_of(among):
    """The passes that go forward."""
    return [(network, place) for network, place in among if place[1] == "y"]


def same_of(how, line):
    """The edit of a text that says this."""
    return next((each for each in edits_of(how.parts[0]) if new_lines(how.lines, each) == line), None)


def saved_by(line, is_pool):
    """What a way back makes of all that a line of the way forward saved for it."""

    def wrong(context):
        (how,) = [chosen_by(context)] if is_pool else [way(context) for way in composed.ways(context)][:1] or [None]
        own = same_of(how, line) if how is not None else None
        if own is None or not is_pool:
            return how.made(own) if own is not None else None
        winners = type(how)(how.parts, context.dy.shape).made(own)
        return None if winners is None else given_to(winners, context)

    return wrong


def slipped(network, place, edit, line):
    """An answer with a slip on the way forward, which the way back goes on with; None where one shows nothing."""
    is_pool = place[0].startswith("maxpool")

    def forward(context):
        # A trained layer has another text.
        return None if context.program.is_trained(context.key) else making(context).made(edit)

    wrongs = {place: forward}
    back = ("dx",) if is_pool else ("dx", "dw")
    wrongs |= {(place[0], quantity): saved_by(line, is_pool) for quantity in back}
    arrays, shown = played(networks()[network], wrongs)
    return arrays if finite(arrays) and {(1, *place), (1, place[0], "dx")} <= shown else None


@pytest.mark.parametrize("among", some([[CHOOSE], [NORMALISE]], lambda place: place == 0))
@counts(1, 40)
def test_a_slip_of_the_way_forward_is_told_of_the_way_back_too(among, count):
    rng, seen = random.Random(4), 0
    while seen < count:
        network, place = rng.choice(forward_of(*among))
        how = making(edited.context_of(network, place))
        edit = rng.choice([each for each in how.edits() if not each.layout])
        line = new_lines(how.lines, edit)
        arrays = slipped(network, place, edit, line)
        if arrays is None:
            continue
        seen += 1
        verdict = check_answer(networks()[network], told(arrays))
        first = verdict.search.findings[0]
        assert first.key == (1, *place)
        if first.fits and isinstance(first.best.mistake, EditedLine) and first.best.mistake.edited == line:
            named = {each.id for each in verdict.mistakes}
            assert named == {first.best.mistake.id}, (network, place, line, named)
        if not first.fits:  # nobody knows what else was saved
            assert not any(each.fits for each in verdict.search.findings if each.key[0] == 1)


def slips_of_lines(network):
    """Every form of a mistake that is in what a line says, in every pass of a network but its updates."""
    return [
        site
        for site in sites(network)
        if CATALOGUE[site.id].kind in STATIC and site.place[1] in ("y", "dx", "dw", "db")
    ]


@pytest.mark.parametrize("network", some(networks(), lambda place: place in (0, 7)))
def test_what_a_line_says_is_not_told_of_a_later_step_alone(network):
    """A program that says so would have shown it in the first step."""
    rng, asked = random.Random(9), 0
    for site in rng.sample(slips_of_lines(network), 15):
        wrong = form_of(site.id, site.form)
        later = {site.place: lambda context, wrong=wrong: wrong(context) if context.step == 2 else None}
        arrays, shown = played(networks()[network], {site.place: wrong})
        if {(1, *site.place), (2, *site.place)} - shown or not finite(arrays):
            continue
        arrays, _ = played(networks()[network], later)
        verdict = check_answer(networks()[network], told(arrays))
        asked += 1
        for finding in verdict.search.findings:
            if finding.key == (2, *site.place):
                assert not any(fit.mistake.id == site.id and fit.key == finding.key for fit in finding.fits), site
    assert asked > 3


@pytest.mark.parametrize("network", some(networks(), lambda place: place == 1))
def test_behind_numbers_that_are_lost_nothing_has_a_name(network):
    """What goes on with nan is 0 where a comparison is false; it is no mistake of that line."""
    case, rng = networks()[network], random.Random(3)
    passes = [each.key for each in contexts(network) if each.key[0] == 1 and each.quantity in ("y", "dx")]
    for place in rng.sample(passes, 3):

        def lost(context, place=place):
            return np.where(context.expected > np.median(context.expected), np.nan, context.expected)

        arrays, _ = played(case, {place[1:]: lost})
        verdict = check_answer(case, told(arrays))
        assert verdict.first_wrong is not None
        assert not [each.id for each in verdict.mistakes if each.id.startswith("nothing-")]


@pytest.mark.parametrize("network", some(networks(), lambda place: [*networks()][place] == "smooth"))
@counts(1, 100)
def test_a_slip_of_one_pass_alone_leaves_those_that_keep_to_the_textbook_unblamed(network, count):
    """Terms of a layer that are others going forward may be the textbook's on the way back."""
    slips = [
        (context.key[1:], mistake.id, form)
        for context in contexts(network)
        if context.key[0] == 1 and context.quantity in ("y", "dx", "dw")
        for mistake in applicable(context)
        if not mistake.convention  # of which the way back would be one mistake if it did not keep to it
        for form, made in enumerate(mistake.wrong(context))
        if isinstance(made, Terms)
    ]
    rng = random.Random(7)
    for place, id, form in rng.sample(slips, min(count, len(slips))):

        def wrong(context, id=id, form=form):
            made = form_of(id, form)(context)
            return context.sum(made) if isinstance(made, Terms) else None

        arrays, changed = played(networks()[network], {place: wrong})
        if changed and finite(arrays):
            for number, part in enumerate(("all", "gradients", rng.choice(PARTS))):
                verdict = check_answer(networks()[network], told(chosen(arrays, part, number)))
                named = {each.where[1:] for each in verdict.search.findings if each.fits or part == "all"}
                assert named <= {place}, (place, id, part, verdict.text())
