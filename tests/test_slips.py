"""Slips in the layers of modern networks are named, whatever the network and its numbers; no name is wrong.

`PLAINGRAD_SEED=n` makes others.
"""

import os
from collections import Counter
from dataclasses import dataclass

import numpy as np

import plaingrad as pg
from bars import PRINTS
from diseased import Wrong, finite, played
from often import counts
from plaingrad.checking.case import Case
from plaingrad.checking.check import check_answer
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Passes
from plaingrad.compiler.loops import Array
from slips import SLIPS, Slip
from students import in_print, told

NAMED = 0.95  # the bar, of the slips that show
SEED = int(os.environ.get("PLAINGRAD_SEED", "0"))
WRONG_NAME = "wrong name"


def case_of(kind: str, rng: np.random.Generator) -> Case:
    """A network with such a layer, of sizes, settings and images drawn at random."""
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


def said_of(slip: Slip, case: Case, printed: str) -> Said | None:
    """What a check says of a slip in a case; None where it cannot be made there, or shows in no number."""
    passes = Passes(case)
    layer = next(
        name
        for name, step in case.net.steps.items()
        if (name in passes.starts if slip.kinds == ("start",) else type(step.layer).__name__ in slip.kinds)
    )

    def wrong(quantity: str) -> Wrong:
        def made(context: Context) -> Array | None:
            is_trained = context.step > context.program.last
            return slip.wrong[quantity](context) if is_trained == slip.trained else None

        return made

    wrongs = {(layer, quantity): wrong(quantity) for quantity in slip.wrong}
    arrays, changed = played(case, wrongs, single=printed != "f64")
    if not changed or not finite(arrays):
        return None
    right, _ = played(case, {}, single=printed != "f64")
    verdict = check_answer(case, told(arrays, printed=in_print(printed)))
    names, wrong_names = set[str](), []
    for finding in verdict.search.findings:
        there = {"line" if isinstance(fit.mistake, EditedLine) else fit.mistake.id for fit in finding.fits}
        is_there = finding.where[1:] in wrongs
        best = finding.best
        if best is not None and not (is_there and there & (slip.names | {"line"})):
            made_alike = is_there and np.abs(best.made - arrays[finding.where]).max() <= 1e-3 * np.abs(best.made).max()
            if not made_alike:
                wrong_names.append(f"{finding.where} {best.mistake.id}")
        if is_there:
            names |= there
    assert right.keys() == arrays.keys()
    names |= {id for each in verdict.conventions for id in each.id.split("+")}
    if wrong_names:
        return Said(slip, WRONG_NAME, f"{wrong_names}")
    if names & (slip.names | {"line"}):
        return Said(slip, "named", f"{names}")
    is_found = any(finding.where[1:] in wrongs for finding in verdict.search.findings)
    return Said(slip, "place" if is_found else "missed", f"{names} {verdict.verdict}")


@counts(1, 12)
def test_slips_are_named_and_no_name_is_wrong(count: int) -> None:
    hows, faults = Counter[str](), []
    for number, slip in enumerate(SLIPS):
        for trial in range(count):
            rng = np.random.default_rng([SEED, number, trial])
            case = case_of(slip.kinds[(number + trial) % len(slip.kinds)], rng)
            said = said_of(slip, case, PRINTS[(number + trial) % 3])
            if said is not None:
                hows[said.how] += 1
                if said.how != "named":
                    faults.append(f"{slip.name}, trial {trial}: {said.how} {said.told}")
    assert hows.total() > 0.7 * count * len(SLIPS)
    assert not hows[WRONG_NAME], faults
    assert hows["named"] >= NAMED * hows.total(), "\n".join(faults)
