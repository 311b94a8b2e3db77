"""What is said of wrong answers: of every mistake of the catalogue in every pass, of two at once, of unknown ones.

Each test counts over many answers and holds the share to a floor. The whole tables are marked `exhaustive`;
docs/confusion.md tells what was counted.
"""

import re
import time

import numpy as np
import pytest

import plaingrad as pg
from bars import (
    PRINTS,
    Outcome,
    Trial,
    chosen,
    oddities,
    pairs,
    parts,
    sampled,
    singles,
    tried,
    without,
)
from cases import CASES
from diseased import Place, alike, contexts, differs, finite, networks, played
from often import counts, some
from plaingrad.checking.case import Case
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.precision import DOUBLE
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.formulas import mixes_images
from plaingrad.checking.verdict.text import done_right
from plaingrad.compiler.loops import Array
from strange import STRANGE
from students import Student, in_print, told

NAMED, BOTH, PLACED, MISNAMED, FOUND = 0.97, 0.90, 0.95, 0.05, 0.95
SECONDS = 5.0


def outcomes(trials: list[Trial]) -> list[Outcome]:
    """What was said of each answer in which its mistakes show."""
    found = [outcome for trial in trials if (outcome := tried(trial))]
    assert len(found) > len(trials) / 4
    return found


def at_least(share: float, good: list[bool], of: list[Outcome]) -> None:
    """So large a share is good."""
    bad = [str(outcome) for outcome, is_good in zip(of, good, strict=True) if not is_good]
    shown = "\n".join(bad[:20])
    assert len(bad) <= (1 - share) * len(of), f"{len(bad)} of {len(of)}\n{shown}"


def named_first(found: list[Outcome]) -> None:
    at_least(NAMED, [each.first.is_named for each in found], found)


def both_named(found: list[Outcome]) -> None:
    at_least(BOTH, [all(said.is_named for said in each.said) for each in found], found)


def placed(found: list[Outcome]) -> None:
    """Found in the right pass, and not called what it is not."""
    at_least(PLACED, [each.first.how != "missed" and each.first.how != "layer" for each in found], found)
    at_least(1 - MISNAMED, [not each.wrong_names for each in found], found)


def left_out(trials: list[Trial]) -> list[Outcome]:
    """Each mistake is unknown in turn."""
    known = [each for each in outcomes(trials) if not CATALOGUE[each.trial.planted[0].id].convention]
    return [outcome for each in known if (outcome := without(each))]


def not_missed(found: list[Outcome]) -> None:
    """In a part of an answer: named, or its layer is among those that may be at fault."""
    at_least(FOUND, [each.said[0].how != "missed" for each in found], found)


@counts(3, 30)
def test_mistakes_are_named(count):
    named_first(outcomes(sampled(singles(), count)))


@counts(2, 16)
def test_two_mistakes_at_once_are_both_named(count):
    both_named(outcomes(list(pairs(count))))


@counts(5, 12)
def test_a_mistake_that_is_in_no_catalogue_is_found_in_its_pass(count):
    placed(outcomes(sampled(oddities(), count)))


@counts(2, 12)
@pytest.mark.long
def test_without_its_entry_a_mistake_is_found_in_its_pass(count):
    placed(left_out(sampled(singles(), count, seed=1)))


@counts(3, 12)
def test_in_a_part_of_an_answer_mistakes_are_found(count):
    not_missed(outcomes(list(parts(count))))


def test_there_are_enough_unknown_mistakes_and_each_shows_somewhere():
    assert len(STRANGE) >= 30
    assert not STRANGE.keys() & CATALOGUE.keys()
    shown = {
        id
        for context in contexts("thorough")
        for id, wrong in STRANGE.items()
        if (made := wrong(context)) is not None and differs(made, context.expected)
    }
    assert shown == STRANGE.keys()


def test_every_mistake_of_the_catalogue_is_tried():
    """But the conventions that are no slip of one pass; `rights` tries those."""
    tried_ones = {trial.planted[0].id for trial in singles(PRINTS[:1])}
    assert {id for id, mistake in CATALOGUE.items() if not mistake.convention} <= tried_ones


def test_the_programs_that_mistakes_are_made_in_are_right():
    """Two programs that share no code, the checker's passes and a student's, agree before anything is made wrong."""
    for case in networks().values():
        arrays, changed = played(case, {})
        other = Student(case).arrays()
        assert not changed
        assert arrays.keys() == other.keys()
        for key, array in arrays.items():
            # Sums of n products, one after another: n·u of the sizes, and what cancels makes it more.
            assert np.allclose(array, other[key], rtol=1e-6, atol=1e-9 * max(np.abs(array).max(), 1e-3)), key


KINDS = {type(layer): (layer, shape) for layer, shape in reversed(CASES) if layer.dropped() is None}


@pytest.mark.parametrize(("layer", "shape"), KINDS.values(), ids=str)
@pytest.mark.often(2)
def test_a_wrong_array_of_any_layer_has_a_verdict(layer, shape):
    """Whatever the layer, and whether or not its sums are of products: no known mistake ends the check."""
    around = (pg.Conv(shape[0], size=1), layer) if len(shape) == 3 else (pg.Dense(shape[0]), layer)
    case = make_case(around, shape)
    name, step = list(case.net.steps.items())[1]
    ran = case.net.run(case.batches[0].x, case.batches[0].target, case.loss)
    right = {
        f"{each}.{quantity}": np.array(ran[f"{each}.{quantity}"])
        for each, own in case.net.steps.items()
        for quantity in ("y", "dx", *("d" + weights for weights in own.weights))
    }
    for quantity in ("y", "dx", *("d" + weights for weights in step.weights)):
        wrong = right[f"{name}.{quantity}"] * 1.7 + 0.1
        assert not check_answer(case, {**right, f"{name}.{quantity}": wrong}).is_right


def checked_in_seconds(place: Place | None, part: str) -> None:
    """A case of the size of lenet5, with two images, whole or in part, right or wrong."""
    case = make_case(pg.model("lenet5").network().layers, (1, 28, 28), images=2)
    arrays, _ = played(case, {place: STRANGE["scaled-oddly"]} if place else {})
    answer = told(chosen(arrays, part, 0))
    began = time.process_time()  # of this process: the machine may have other things to do
    verdict = check_answer(case, answer)
    assert time.process_time() - began < SECONDS
    assert verdict.is_right == (place is None)


def seconds_of(case: Case, arrays: dict[Key, Array]) -> float:
    """The time of this process that a check takes, the fastest of two."""
    found = []
    for _ in range(2):
        began = time.process_time()
        check_answer(case, told(arrays))
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.long  # it takes times, which a busy machine disturbs
def test_a_mistake_without_a_name_is_looked_for_in_a_few_times_what_a_right_answer_takes():
    """In a pool, whose texts have the most edits: about 7 times as long on any machine, with room for half as much."""
    case = make_case(pg.model("lenet5").network().layers, (1, 28, 28), images=2)
    right, wrong = (played(case, wrongs)[0] for wrongs in ({}, {("maxpool1", "dx"): STRANGE["noise"]}))
    assert seconds_of(case, wrong) < 11 * seconds_of(case, right)


@pytest.mark.parametrize(
    ("place", "part"),
    some([(None, "all"), (None, "weights"), (("conv2", "dx"), "half")], lambda place: place == 0, str),
)
def test_a_network_of_the_size_of_lenet_is_checked_in_seconds(place, part):
    checked_in_seconds(place, part)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", ["all", "gradients", "weights", "half"])
@pytest.mark.parametrize("place", [("conv2", "dx"), ("conv1", "dw"), ("dense2", "y")], ids=str)
def test_a_wrong_network_of_the_size_of_lenet_is_checked_in_seconds(place, part):
    checked_in_seconds(place, part)


@pytest.mark.exhaustive
@pytest.mark.parametrize("printed", PRINTS)
@pytest.mark.parametrize("network", networks())
def test_every_mistake_everywhere(network, printed):
    named_first(outcomes([trial for trial in singles((printed,)) if trial.network == network]))


@pytest.mark.exhaustive
def test_many_pairs():
    both_named(outcomes(list(pairs(2000))))


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", networks())
def test_every_unknown_mistake_everywhere(network):
    placed(outcomes([trial for trial in oddities() if trial.network == network]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", networks())
def test_every_mistake_without_its_entry(network):
    """Printed now in one way and now in another."""
    every = [trial for trial in singles() if trial.network == network]
    placed(left_out(every[:: len(PRINTS) + 1]))


@pytest.mark.exhaustive
def test_many_parts():
    not_missed(outcomes(list(parts(1500))))


@pytest.mark.parametrize("network", networks())
@pytest.mark.often(2)
def test_how_it_is_done_right_is_told_of_every_array(network):
    """The formula says the array by others, of all images where these are mixed, and the text is the one at work."""
    program = Program(networks()[network], DOUBLE)
    for key in program.keys:
        told = done_right(program, key)
        name, _, formula = (told["formula"] or "").partition(" = ")
        assert name.split("[")[0] not in re.findall(r"[\w.]+", formula), told["formula"]
        if told["formula"] and mixes_images(program, key) and key[2] in ("y", "dx"):
            assert "[n," in name
        layer = None if key[1] == "loss" else program.steps[key[1]].layer
        if layer is not None and key[2] == "y":
            text = layer.infer if key[0] > program.last and layer.infer else layer.forward
            assert told["place"].startswith(f"{text.__name__} in ")


@pytest.mark.parametrize("printed", ["f64", "f32"])
def test_what_is_0_up_to_rounding_is_not_said_to_be_far_off(printed):
    case = make_case([pg.Conv(3), pg.BatchNorm(), pg.Flatten(), pg.Dense(3)], (1, 5, 5), images=3)
    arrays = Student(case, np.float32 if printed == "f32" else np.float64).arrays()
    verdict = check_answer(case, told(arrays, printed=in_print(printed)))
    assert verdict.is_right
    assert max(row.error for row in verdict.rows) < 1e-3


ANOTHER = "is it the answer to another one?"


def test_an_answer_to_another_case_is_asked_about():
    """Of the same network with other numbers, and of another network; a mistake in any layer is no other case."""
    case, similar, unlike = make_case(simple=True), make_case(simple=True, seed=1), networks()["dense"]
    for own, other in ((case, similar), (case, unlike), (unlike, similar)):
        arrays, _ = played(other, {})
        assert any(ANOTHER in note for note in check_answer(own, told(arrays)).notes)
    for layer, quantity in (("conv1", "y"), ("dense1", "y"), ("dense1", "dx"), ("loss", "dx"), ("conv1", "dw")):
        arrays, _ = played(case, {(layer, quantity): STRANGE["noise"]})
        assert not any(ANOTHER in note for note in check_answer(case, told(arrays)).notes)


def test_many_unknown_names_take_few_lines():
    arrays, _ = played(networks()["single"], {})
    notes = check_answer(networks()["single"], told(arrays) | {f"layer{n}.y": [0.0] for n in range(30)}).notes
    assert len(notes) == 4
    assert "layer29.y" in notes[-1]


@counts(6, 300)
def test_what_is_said_to_give_the_same_numbers_does_in_every_step(count: int) -> None:
    asked = 0
    for trial in sampled(singles(("f64",)), count, seed=3):
        planted = trial.planted[0]
        arrays, changed = played(networks()[trial.network], {planted.place: planted.wrong})
        if not changed or not finite(arrays):
            continue
        verdict = check_answer(networks()[trial.network], told(arrays))
        for mistake in verdict.to_json()["mistakes"][:1]:
            if mistake["where"][0].endswith(".".join(planted.place)):
                asked += 1
                same = alike(trial.network)[(planted.place, planted.id, planted.form)] | {planted.id}
                assert set(mistake["same_numbers"]) <= same, trial
    assert asked


@pytest.mark.parametrize("place", [("tanh1", "y"), ("conv2", "dw"), ("dense1", "db"), ("loss", "dx")])
def test_no_mistake_comes_near_numbers_that_are_off_by_less_than_it_makes(place: Place) -> None:
    """Of exact numbers one that is off by a little is none that a mistake makes a ten-thousandth away."""
    case, rng = networks()["smooth"], np.random.default_rng(0)
    arrays, _ = played(
        case, {place: lambda context: context.expected * (1 + 3e-5 * rng.random(context.expected.shape))}
    )
    text = check_answer(case, told(arrays)).text()
    assert text.startswith("UNCLEAR")
    assert "nearest" not in text


def test_weights_that_stay_those_of_the_case_are_told_as_such():
    """Where errors are wrong without a name, and so nothing else tells it."""
    case = make_case(simple=True, steps=3)
    frozen = {("dense1", each): lambda context, each=each: context.weights[each] for each in ("w", "b")}
    arrays, _ = played(case, {**frozen, ("loss", "dx"): STRANGE["noise"]})
    verdict = check_answer(case, told({key: array for key, array in arrays.items() if key[0] > 1 and key[2] in "wb"}))
    said = "step2.dense1.b and step3.dense1.b are the numbers of the case: are they updated at all?"
    assert said in verdict.notes, verdict.text()
