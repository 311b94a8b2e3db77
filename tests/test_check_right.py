"""No right answer is called wrong: whole or in part, by any program, in any convention, layout and arithmetic."""

import itertools

import numpy as np
import pytest

from bars import sampled
from diseased import networks
from frameworks import SOURCES, installed
from often import counts
from rights import Right, case_of, every_right, of_programs, partly, wronged
from students import WAYS, Student, is_done

LIKE_THE_CASE = ("the last of equal maxima", "equal maxima share", "softmax fused with the loss")
NETWORKS = list(networks())


def assert_right(rights: list[Right]) -> None:
    """Each is called right."""
    assert rights
    wrong = [(right, said) for right in rights if (said := wronged(right))]
    shown = "\n".join(f"{right} -> {said}" for right, said in wrong[:20])
    assert not wrong, f"{len(wrong)} of {len(rights)} right answers are called wrong\n{shown}"


@counts(6, 60)
@pytest.mark.long
def test_whole_answers_in_any_convention(count):
    assert_right(sampled(every_right(), count))


@counts(10, 40)
def test_parts_of_answers(count):
    assert_right(sampled(partly(), count))


def test_what_the_library_computes():
    assert_right([Right("thorough", ties, "plaingrad", "float32", printed="f32") for ties in (None, 0)])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.often(8)
def test_every_convention_as_it_was_computed(way):
    network = next(each for each in NETWORKS if is_done(networks()[each], way))
    assert_right([Right(network, 1, "student", "float64", way)])


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have the same shape and numbers."""
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-6, atol=0)


def test_the_other_conventions_give_other_numbers():
    """Else the tests of them would show nothing."""
    changed = set()
    for case in (case_of(network, ties) for network in NETWORKS for ties in (None, 0)):
        plain = Student(case).arrays()
        for way, ways in WAYS.items():
            if not is_done(case, way):
                continue
            other = Student(case, ways=ways).arrays()
            if not all(alike(other[key], array) for key, array in plain.items()):
                changed.add(way)
    assert changed == WAYS.keys() - {"as the case"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", NETWORKS)
def test_every_whole_answer(network):
    """10,800 over all networks."""
    assert_right([right for right in every_right() if right.network == network])


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", NETWORKS)
def test_many_parts(network):
    every = itertools.chain(partly(), *(partly(way) for way in LIKE_THE_CASE))
    assert_right(sampled([right for right in every if right.network == network], 600))


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("program", SOURCES)
def test_what_other_programs_compute(program):
    if program not in installed():
        pytest.skip(f"{program} is not installed")
    assert_right(list(of_programs([program])))
