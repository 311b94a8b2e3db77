"""Lines where errors were not answered: a slip made in all layers is told there alone, and none of a slip before."""

import itertools

import numpy as np
import pytest

import plaingrad as pg
from diseased import Wrong, finite, networks, played
from often import some
from plaingrad.checking import check_answer, make_case
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.edits.layouts import layouts
from plaingrad.checking.edits.making import making
from plaingrad.checking.edits.pieces import Edit
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Key, exact
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from students import told

DENSE = (pg.Flatten(), pg.Dense(7), pg.Sigmoid(), pg.Dense(6), pg.Tanh(), pg.Dense(5))
POOLED = (pg.Conv(3, size=(3, 2), padding=1), pg.ReLU(), pg.Conv(4, size=2), pg.GlobalMeanPool(), pg.Dense(3))


def gradients(arrays: dict[Key, Array]) -> dict[str, Array]:
    """An answer that tells the gradients of the weights alone."""
    return {name: each for name, each in told(arrays).items() if name.endswith((".dw", ".db"))}


def edited(edit: Edit) -> Wrong:
    """What an edit makes of each pass of its text."""

    def wrong(context: Context) -> Array | None:
        how = making(context)
        return how.made(edit) if how is not None else None

    return wrong


def dense_edits() -> list[Edit]:
    """The edits of what a dense layer's gradients are added up with."""
    program = Program(make_case(DENSE, (1, 4, 3), images=3), 2.0**-53)
    env = program.start()
    for key in program.keys:
        right = program.value(key, env)
        if key == (1, "dense2", "dw"):
            how = making(Context(program, key, env, right))
            assert how is not None
            return [each for each in how.edits() if each.layout is None]
        env[key] = exact(right)
    raise AssertionError


@pytest.mark.parametrize("number", some(range(12), lambda place: place in (1, 4)))
def test_a_slip_in_all_layers_is_told_of_no_array_that_was_not_answered(number: int) -> None:
    every = dense_edits()
    # Sums that are multiplied look like an error that was averaged before.
    summed = [each for each in every if "by themselves" in each.words]
    edit = [*summed, *every[:: len(every) // 9]][number]
    case = make_case(DENSE, (1, 4, 3), images=3)
    arrays, changed = played(case, {(layer, "dw"): edited(edit) for layer in ("dense1", "dense2", "dense3")})
    if not changed or not finite(arrays):
        return
    verdict = check_answer(case, gradients(arrays))
    assert {each.where[2] for each in verdict.search.findings if each.fits} <= {"dw"}, edit.words


@pytest.mark.parametrize(
    ("number", "layer"), some(itertools.product(range(3), ("conv1", "conv2")), lambda place: place < 2)
)
@pytest.mark.often(1)
def test_no_line_is_told_of_both_gradients_where_the_errors_before_them_are_wrong(number: int, layer: str) -> None:
    """Errors that lie in another order make wrong what two lines make; neither of these was edited."""
    case = make_case(POOLED, (2, 6, 5), images=3)
    before = {"conv2": "globalmeanpool1", "conv1": "relu1"}[layer]

    def wrong(context: Context) -> Array:
        ways = layouts("dx", context.expected.shape)
        return ways[len(ways) * (number + 1) // 4].of(context.expected)

    arrays, changed = played(case, {(before, "dx"): wrong})
    assert changed
    assert any(not np.allclose(arrays[1, layer, each], 0) for each in ("dw", "db"))
    verdict = check_answer(case, gradients(arrays))
    lines = [each.key for each in verdict.search.findings for fit in each.fits if isinstance(fit.mistake, EditedLine)]
    assert not {(1, layer, "dw"), (1, layer, "db")} <= {*lines}


TIED = (  # windows of padding alone: pixels that are equal but for roundings, between which a pool chooses
    *(pg.Conv(4, size=(3, 2), stride=(1, 2), padding=(2, 0)), pg.ReLU(), pg.MaxPool((2, 3), stride=(1, 2))),
    *(pg.Conv(5, size=(3, 2), stride=(2, 1), padding=2), pg.LeakyReLU(0.125), pg.MaxPool((2, 3), stride=(1, 2))),
    *(pg.Flatten(), pg.Dense(7)),
)


@pytest.mark.parametrize("network", some(["tied", *networks()], lambda place: place < 2))
@pytest.mark.often(1)
def test_random_gradients_agree_with_nothing(network: str) -> None:
    """Whatever other right ways are tried, and however close the numbers are between which a pool chooses."""
    case = make_case(TIED, (2, 9, 11), seed=1) if network == "tied" else networks()[network]
    rng = np.random.default_rng(3)
    right = gradients(played(case, {})[0])
    answer = {name: rng.normal(size=array.shape) for name, array in right.items()}
    verdict = check_answer(case, answer)
    assert verdict.unclear
    assert {row.status for row in verdict.rows} <= {"wrong", "not judged"}
    assert not verdict.conventions


def test_a_name_must_make_both_gradients_that_rest_on_an_array() -> None:
    """The mean of a derivative leaves the bias's gradient as the mean of an error would: the kernel's is another."""
    layers = (pg.Conv(3, size=(3, 2)), pg.Sigmoid(), pg.Conv(4, size=2), pg.Sigmoid(), pg.Flatten(), pg.Dense(5))
    case = make_case(layers, (2, 7, 6), images=3)
    arrays, changed = played(
        case, {("sigmoid2", "dx"): lambda context: context.dy * (context.y * (1 - context.y)).mean(0, keepdims=True)}
    )
    assert changed
    verdict = check_answer(case, gradients(arrays))
    assert not [each for each in verdict.search.findings if each.fits and each.where[2] != "dx"]
    assert not verdict.mistakes


@pytest.mark.parametrize("size", [0.0, 1e-70])
def test_what_is_tiny_is_not_told_to_be_never_computed(size: float) -> None:
    """A sigmoid that is saturated sends back next to nothing, and nothing to the last bit is another thing."""
    case = make_case(DENSE, (1, 4, 3), images=3)
    arrays, changed = played(case, {("sigmoid1", "dx"): lambda context: size * context.dy})
    assert changed
    verdict = check_answer(case, gradients(arrays))
    told_of = {each.id for each in verdict.mistakes}
    assert ("nothing-goes-back" in told_of) == (size == 0)
    assert size == 0 or "gradient-left-out" not in told_of


@pytest.mark.parametrize("told_layers", [("dense1", "dense3"), ("dense1", "dense2", "dense3")])
@pytest.mark.often(1)
def test_errors_that_vanish_behind_wrong_outputs_without_a_name_have_none(told_layers: tuple[str, ...]) -> None:
    """Where a sigmoid's outputs are far too large, those it reaches are saturated: their derivatives are 0, rightly."""
    case = make_case(DENSE, (1, 4, 3), images=3)
    rng = np.random.default_rng(7)
    arrays, changed = played(case, {("sigmoid1", "y"): lambda context: 4e3 * rng.normal(size=context.expected.shape)})
    assert changed
    answer = {name: each for name, each in gradients(arrays).items() if any(layer in name for layer in told_layers)}
    assert not all(each.any() for each in answer.values())
    verdict = check_answer(case, answer)
    assert verdict.unclear
    assert not verdict.mistakes


@pytest.mark.parametrize("made", ["of image 0", "of what is not 0"])
def test_another_mask_is_told_by_its_line(made: str) -> None:
    """It is drawn anew only where nothing else makes it."""
    case = networks()["normalised"]

    def wrong(context: Context) -> Array:
        mask = context.read["mask"]
        other = mask[:1] if made == "of image 0" else mask * (context.x > 0)
        return context.dy * other / (1 - context.owner.rate)

    arrays, changed = played(case, {("dropout1", "dx"): wrong})
    assert changed
    verdict = check_answer(case, told(arrays))
    (finding,) = [each for each in verdict.search.findings if each.key == (1, "dropout1", "dx")]
    assert finding.fits
    assert finding.fits[0].mistake.id != "mask-drawn-anew"
