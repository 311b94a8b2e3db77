"""Slips in layers and losses are named, whatever the network and its numbers; no name is wrong.

`PLAINGRAD_SEED=n` makes others.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

import plain_slips
import plaingrad as pg
from bars import PRINTS, chosen
from diseased import MODERN, Place, Wrong, contexts, differs, finite, networks, played
from often import counts
from plaingrad.checking.case import Case
from plaingrad.checking.catalogue.entry import applicable
from plaingrad.checking.check import check_answer
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.findings import Fit
from plaingrad.checking.search.normalised import Normalised, groups_of
from plaingrad.checking.search.passes import Passes
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.checking.verdict.verdict import CONVENTION, RIGHT
from plaingrad.compiler.loops import Array
from slips import LINE, SLIPS, Slip
from students import in_print, told

NAMED = 0.95  # the bar, of the slips that show
SEED = int(os.environ.get("PLAINGRAD_SEED", "0"))
SAME = 1e-3  # of an array's largest number: what printing with few digits, or a small epsilon, does not tell apart
WRONG_NAME = "wrong name"


def case_of(kind: str, rng: np.random.Generator) -> Case:
    """A network with such a layer, of sizes, settings and images drawn at random."""
    if kind in plain_slips.KINDS:
        return plain_slips.case_of(kind, rng)
    channels, filters = int(rng.integers(1, 4)), 2 * int(rng.integers(1, 4))
    epsilon = float(rng.choice([1e-5, 0.0625, 0.25]))
    batch = pg.BatchNorm(epsilon=max(epsilon, 0.0625), momentum=float(rng.choice([0.1, 0.25, 0.375])))
    group = pg.GroupNorm(int(rng.choice([1, 2])), epsilon=max(epsilon, 0.0625))
    smooth = pg.ELU(float(rng.choice([0.5, 0.75, 1.5]))), pg.SiLU(), pg.GELU(), pg.TanhGELU()
    act = smooth[int(rng.integers(4))]
    own = {type(each).__name__: each for each in (batch, group, *smooth, pg.Dropout(float(rng.choice([0.25, 0.375]))))}
    sizes = channels, int(rng.integers(3, 7)), int(rng.integers(3, 7))
    layers: tuple[pg.Layer, ...] = (pg.Conv(filters, size=(3, 2), padding="same"),)
    if kind in ("Add", "start"):
        layers += (act, pg.Conv(filters, size=(2, 3), padding="same"), batch, pg.Add(f"{type(act).__name__.lower()}1"))
        layers += (pg.ReLU(), pg.GlobalMeanPool(), pg.Dense(3))
    elif kind == "GlobalMeanPool":
        layers += (act, pg.GlobalMeanPool(), pg.Dense(3))
    elif kind == "BatchNorm" and rng.random() < 0.25:
        layers = pg.Flatten(), pg.Dense(filters), own[kind], pg.Tanh(), pg.Dense(3)
    else:
        layers += (own[kind], pg.ReLU() if kind.endswith("Norm") else pg.Tanh(), pg.Flatten(), pg.Dense(3))
    loss = pg.HalfSquaredError() if rng.random() < 0.3 else None
    return make_case(layers, sizes, images=int(rng.integers(2, 6)), loss=loss, seed=int(rng.integers(10**6)))


@dataclass(frozen=True)
class Said:
    """What was said of a slip: "named", "place" or "missed", or the name that it does not deserve."""

    slip: Slip
    how: str
    told: str


def said_of(slip: Slip, case: Case, printed: str, part: str = "all", seed: int = 0) -> Said | None:
    """What a check says of a slip in a case; None where it cannot be made there, or shows in no number."""
    passes = Passes(case)
    owners = {name: step.layer for name, step in case.net.steps.items()} | {"loss": case.loss}
    layer = next(
        name
        for name, owner in owners.items()
        if (name in passes.starts if slip.kinds == ("start",) else type(owner).__name__ in slip.kinds)
    )

    def wrong(quantity: str) -> Wrong:
        def made(context: Context) -> Array | None:
            is_trained = context.step > context.program.last
            return slip.wrong[quantity](context) if is_trained == slip.trained else None

        return made

    wrongs = {(layer, quantity): wrong(quantity) for quantity in slip.wrong}
    arrays, changed = played(case, wrongs, single=printed != "f64")
    right, _ = played(case, {}, single=printed != "f64")
    given = chosen(arrays, part, seed)
    if not changed or not finite(arrays) or not any(differs(array, right[key]) for key, array in given.items()):
        return None
    verdict = check_answer(case, told(given, printed=in_print(printed)))
    names = {id for each in verdict.conventions for id in each.id.split("+")}
    wrong_names, is_found = [], False
    for finding in verdict.search.findings:
        there = {
            LINE if isinstance(fit.mistake, EditedLine) else fit.mistake.id
            for fit in finding.fits
            if is_at(fit, wrongs)
        }
        is_found |= finding.where[1:] in wrongs or any(each[1:] in wrongs for each in finding.suspects)
        names |= there
        best = finding.best
        if best is None or there & {*slip.names, LINE}:
            continue
        size = SAME * np.abs(best.made).max()  # another name for the very numbers is right
        if not (is_at(best, wrongs) and np.abs(best.made - arrays[best.key]).max() <= size):
            wrong_names.append(f"{finding.where} {best.mistake.id}")
    if wrong_names:
        return Said(slip, WRONG_NAME, f"{wrong_names}")
    how = "named" if names & {*slip.names, LINE} else "place" if is_found else "missed"
    return Said(slip, how, f"{names} {verdict.verdict}")


def is_at(fit: Fit, wrongs: Mapping[Place, Wrong]) -> bool:
    """Whether a mistake is found in a pass that has one."""
    return fit.key[1:] in wrongs


def counted(count: int, parts: tuple[str, ...] = ("all",), chosen_ones: int = 1) -> tuple[Counter[str], list[str]]:
    """What is said of so many trials of every so-many-th slip: how often what, and what was not named."""
    hows, faults = Counter[str](), []
    for number, slip in list(enumerate(SLIPS))[SEED % chosen_ones :: chosen_ones]:
        for trial in range(count):
            place = number + trial
            rng = np.random.default_rng([SEED, number, trial])
            case = case_of(slip.kinds[place % len(slip.kinds)], rng)
            said = said_of(slip, case, PRINTS[place % 3], parts[place % len(parts)], place)
            if said is not None:
                hows[said.how] += 1
                if said.how != "named":
                    faults.append(f"{slip.name}, trial {trial}: {said.how} {said.told}")
    return hows, faults


@pytest.mark.parametrize(("count", "chosen_ones"), [(1, 30), pytest.param(6, 1, marks=pytest.mark.long)])
def test_slips_are_named_and_no_name_is_wrong(count: int, chosen_ones: int) -> None:
    hows, faults = counted(count, chosen_ones=chosen_ones)
    assert hows.total() > 0.7 * count * len(SLIPS) / chosen_ones
    assert not hows[WRONG_NAME], faults
    assert hows["named"] >= NAMED * hows.total(), faults


@pytest.mark.parametrize(("count", "chosen_ones"), [(1, 60), pytest.param(3, 1, marks=pytest.mark.long)])
def test_in_parts_of_answers_no_name_is_wrong(count: int, chosen_ones: int) -> None:
    hows, faults = counted(count, ("gradients", "outputs and gradients", "few", "half", "most", "errors"), chosen_ones)
    assert not hows[WRONG_NAME], faults
    assert hows["named"] + hows["place"] >= NAMED * hows.total(), faults


@pytest.mark.parametrize("printed", PRINTS)
@pytest.mark.parametrize("epsilon", [1e-7, 1e-8, 1e-10, 1e-12, 1e-15])
@pytest.mark.often(3)
def test_a_small_number_in_the_logarithm_is_no_mistake(epsilon: float, printed: str) -> None:
    """As libraries add it, whether or not the answer's digits show it: where p is small they do."""
    named = 0
    for seed in range(3):
        case = plain_slips.case_of("SoftmaxCrossEntropy", np.random.default_rng(seed))
        case.net.arrays["dense1.w"][...] *= 8

        def loss(context: Context) -> Array:
            p = plain_slips.softmax(context.x) + epsilon
            return np.array(-(context.target * np.log(p)).sum(1).mean())

        arrays, _ = played(case, {("loss", "y"): loss}, single=printed != "f64")
        verdict = check_answer(case, told(arrays, printed=in_print(printed)))
        assert verdict.verdict in (RIGHT, CONVENTION)
        named += [each.id for each in verdict.conventions] == ["small-number-in-the-logarithm"]
    assert named or epsilon < 1e-8


@counts(3, 20)
@pytest.mark.parametrize("part", ["loss", "all"])
def test_a_loss_that_is_off_by_little_is_called_no_small_number_by_chance(part: str, count: int) -> None:
    """Printed with six digits, of which the last two or three are wrong."""
    case = plain_slips.case_of("SoftmaxCrossEntropy", np.random.default_rng(1))
    rng = np.random.default_rng(2)
    for _ in range(count):
        off = 1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-5.5, -3)

        def loss(context: Context, off: float = off) -> Array:
            return context.expected * off

        arrays, _ = played(case, {("loss", "y"): loss}, single=True)
        given = {key: each for key, each in arrays.items() if part == "all" or key[1] == "loss"}
        verdict = check_answer(case, told(given, printed=in_print("6 digits")))
        names = {fit.mistake.id for each in verdict.search.findings for fit in each.fits}
        assert not {each for each in names if "in-the-logarithm" in each}, off


@pytest.mark.parametrize(
    "layer", [pg.BatchNorm(epsilon=0.25), pg.GroupNorm(2), pg.GroupNorm(1), pg.GroupNorm(4)], ids=str
)
@pytest.mark.parametrize("shape", [(4, 3, 2), (4,)])
def test_formulas_of_normalisations_make_what_the_texts_make(layer: pg.Layer, shape: tuple[int, ...]) -> None:
    """Sums of some dozen numbers of size 1 to 10, in other orders: 12 digits of 16 are left."""
    if shape == (4,) and layer == pg.GroupNorm(4):
        return  # each number by itself: nothing goes back but what cancels
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 3, *shape))
    w = {"w": rng.normal(size=4), "b": rng.normal(size=4)}
    single = SingleLayer(layer, shape, 3)
    single.run_on(x, w)
    groups = groups_of(layer, 4)
    assert groups is not None
    np.testing.assert_allclose(Normalised(groups, x, w, layer.epsilon).y, single.get("y"), rtol=1e-12, atol=1e-12)
    single.put(dy=dy)
    single.backward()
    for wanted in ("dx", "dw", "db"):
        slopes = single.slopes(x, w, wanted)
        made = single.get(wanted)
        np.testing.assert_allclose(slopes.of(dy), made, rtol=1e-12, atol=1e-12)
        weighing = rng.normal(size=made.shape)
        np.testing.assert_allclose(
            (slopes.turned(weighing) * dy).sum(), (weighing * made).sum(), rtol=1e-12, atol=1e-12
        )
        assert (slopes.size(dy) >= np.abs(made) * (1 - 1e-12)).all()
        # The spread is the root of the sum of squares of what each error makes by itself. Of squares that cancel some
        # 2⁻⁵⁰ of their size is left, and the root of that is 2⁻²⁵.
        room = 2**-25 * slopes.size(np.ones_like(dy)).max()
        squares = np.zeros(made.shape)
        for place in np.ndindex(dy.shape):
            one = np.zeros_like(dy)
            one[place] = dy[place]
            squares += slopes.of(one) ** 2
        np.testing.assert_allclose(slopes.spread(np.abs(dy)), np.sqrt(squares), rtol=1e-9, atol=room)


@pytest.mark.parametrize("network", MODERN)
def test_a_layer_that_does_the_same_once_trained_can_have_the_same_mistakes(network: str) -> None:
    every, last = {each.key: each for each in contexts(network)}, len(networks()[network].batches)
    same = [key for key in every if key[0] > last and key[2] == "y" and not every[key].is_trained]
    assert same
    for key in same:
        ids = [
            [mistake.id for mistake in applicable(context) for _ in mistake.wrong(context)]
            for context in (every[key], every[last, *key[1:]])
        ]
        assert set(ids[0]) == set(ids[1]), key
