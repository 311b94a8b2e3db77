"""An array that is right when it is used and overwritten before it is told: no other array is called wrong."""

import random

import numpy as np
import pytest

from diseased import networks
from often import some
from plaingrad.checking import check_answer
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.search.afterwards import LATE, OVERWRITTEN
from plaingrad.checking.search.passes import Key, exact
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from students import told


def all_of(program: Program) -> dict[Key, Array]:
    """All that a right program makes."""
    arrays, env = {}, program.start()
    for key in program.keys:
        arrays[key] = program.value(key, env)
        env[key] = exact(arrays[key])
    return arrays


@pytest.mark.parametrize("network", some(networks(), lambda place: place % 4 == 0))
@pytest.mark.parametrize("kind", ["y", "dx"])
@pytest.mark.often(3)
def test_what_was_made_of_it_stays_right(network: str, kind: str) -> None:
    """As with an operation in place, or two names for one array."""
    rng = random.Random(f"{network} {kind}")
    program = Program(networks()[network], 2.0**-53)
    arrays = all_of(program)
    last = program.names[-1]
    places = [key for key in arrays if key[0] == 1 and key[2] == kind and key[1] not in ("loss", last)]
    readers = {key: [other for other in arrays if key in program.needs(other)] for key in places}
    key = rng.choice([each for each in places if any(np.any(arrays[other]) for other in readers[each])])
    arrays[key] = arrays[key] + np.random.default_rng(0).normal(size=arrays[key].shape)
    verdict = check_answer(networks()[network], told(arrays))
    wrong = [each.where for each in verdict.search.findings]
    assert wrong == [key], wrong
    (finding,) = verdict.search.findings
    assert [fit.mistake for fit in finding.fits] == [OVERWRITTEN]


@pytest.mark.parametrize("network", some(networks(), lambda place: place == 0))
def test_what_the_next_layer_wrote_into_it_is_told(network: str) -> None:
    """Of each array that has the shape of one made of it, whatever else would make the same numbers."""
    case = networks()[network]
    program = Program(case, 2.0**-53)
    arrays = all_of(program)
    for key, reader in [(each, other) for other in arrays for each in program.needs(other) if each in arrays]:
        overwritten = arrays | {key: arrays[reader]}
        is_seen = arrays[reader].shape == arrays[key].shape and not np.allclose(arrays[reader], arrays[key])
        if key[0] > 1 or reader[2] != key[2] or key[2] not in ("y", "dx") or not is_seen:
            continue
        verdict = check_answer(case, told(overwritten))
        if not verdict.is_right:  # what is told behind its activation is right
            (finding,) = verdict.search.findings
            assert finding.where == key
            assert OVERWRITTEN in [fit.mistake for fit in finding.fits], verdict.text()
            lines = [fit.mistake for fit in finding.fits if isinstance(fit.mistake, EditedLine)]
            assert all(each.is_copy for each in lines)


@pytest.mark.parametrize("network", some(networks(), lambda place: place == 5))
def test_what_is_right_by_way_of_weights_that_are_not_told_is_not_called_wrong(network: str) -> None:
    """A gradient is printed wrong, and the weights that it moves are not among the answer: what follows is right."""
    case, rng = networks()[network], np.random.default_rng(0)
    program = Program(case, 2.0**-53)
    arrays = all_of(program)
    for layer in [name for name, step in program.steps.items() if "w" in step.weights]:
        told_ = {key: array for key, array in arrays.items() if key[1:] != (layer, "w")}
        wrong = (1, layer, "dw")
        told_[wrong] = rng.normal(size=arrays[wrong].shape)
        found = check_answer(case, told(told_)).search.findings
        assert [each.where for each in found] == [wrong], layer


@pytest.mark.parametrize("network", [name for name, case in networks().items() if len(case.batches) > 1])
@pytest.mark.often(3)
def test_weights_of_the_last_step_printed_for_all_steps_were_overwritten(network: str) -> None:
    """One array, kept in a list once a step."""
    program = Program(networks()[network], 2.0**-53)
    arrays = all_of(program)
    last = {key: arrays[program.last, *key[1:]] for key in arrays if program.is_update(key)}
    # A bias before a normalisation moves by rounding alone.
    updates = [key for key in last if not np.allclose(arrays[key], last[key])]
    wrong = arrays | {key: last[key] for key in updates}
    found = check_answer(networks()[network], told(wrong)).search.findings
    assert {each.where for each in found} == {*updates}
    assert all(each.fits[0].mistake is OVERWRITTEN for each in found)


@pytest.mark.parametrize("network", ["thorough", "square"])
def test_an_operation_in_place_reaches_the_errors_before_a_reshape(network: str) -> None:
    """A reshaped array is another name for the same memory."""
    program = Program(networks()[network], 2.0**-53)
    arrays = all_of(program)
    flat = next(name for name in program.names if name.startswith("flatten"))
    activation, dense = (program.names[program.names.index(flat) + step] for step in (-1, 1))
    for t in range(1, program.last + 1):
        masked = arrays[t, activation, "dx"]
        arrays[t, flat, "dx"] = masked
        arrays[t, dense, "dx"] = masked.reshape(arrays[t, dense, "dx"].shape)
    found = check_answer(networks()[network], told(arrays)).search.findings
    assert {each.where[1:] for each in found} == {(dense, "dx")}
    assert all(OVERWRITTEN in [fit.mistake for fit in each.fits] for each in found)


@pytest.mark.parametrize("network", [name for name, case in networks().items() if len(case.batches) > 1])
@pytest.mark.often(2)
def test_weights_printed_before_their_update_are_told_so(network: str) -> None:
    """Each one step late, in all steps: what reads them in the next step read them right."""
    program = Program(networks()[network], 2.0**-53)
    arrays, begun = all_of(program), program.start()
    late = {key: (key[0] - 1, *key[1:]) for key in arrays if program.is_update(key)}
    wrong = arrays | {key: arrays[before] if before in arrays else begun[before].value for key, before in late.items()}
    found = check_answer(networks()[network], told(wrong)).search.findings
    # A bias before a normalisation moves by rounding alone.
    assert {each.where for each in found} == {key for key in late if not np.allclose(arrays[key], wrong[key])}
    assert all([fit.mistake for fit in each.fits] == [LATE] for each in found)
