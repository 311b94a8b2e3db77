"""The factors at which the passes of an answer are seen to stand to the right ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.answers.layout import Reading
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.rounding import allowed, ratio
from plaingrad.checking.search.scales import Scaled
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array

NEAR = 2e-2
"""By how much the factor seen in printed numbers may miss the one that is meant; the passes decide in the end."""
Place = tuple[str, str]  # layer or "loss", quantity
LOSS: Place = ("loss", "y")


@dataclass(frozen=True)
class Compared:
    """What was answered beside what should be, of the first update the steps; and by how much rounding moves them."""

    given: Array
    expected: Array
    room: Array

    def is_times(self, factor: float) -> bool:
        """Whether the one may be the other times a factor."""
        size = abs(factor) * np.abs(self.expected).max(initial=0)
        off = np.abs(self.given - factor * self.expected)
        return bool(size > 0 and (off <= NEAR * size + max(1.0, abs(factor)) * self.room).all())


def compared(program: Program, finding: Finding, precision: Precision) -> Compared | None:
    """None where what was there before an update is not known."""
    room = allowed(Estimate(finding.expected, finding.uncertainty), finding.given, precision)
    if not program.is_update(finding.key):
        return Compared(finding.given, finding.expected, room)
    if finding.key[0] > 1:
        return None
    before = program.start()[0, finding.key[1], finding.key[2]].value
    return Compared(finding.given - before, finding.expected - before, room)


def factor_seen(program: Program, finding: Finding, precision: Precision) -> float | None:
    """The factor at which a gradient, or the step of an update, stands to the right one."""
    seen = compared(program, finding, precision)
    return None if seen is None else ratio(seen.given, seen.expected, NEAR, seen.room)


def factor_of(program: Program, each: Scaled, key: Key) -> float:
    """By what an array of such a program is larger than the case's; of an update, its step."""
    if key[1:] == LOSS:
        return each.loss
    if program.is_update(key):
        return each.step
    return 1.0 if key[2] == "y" else each.error * (each.slope if is_of_weights(program, key) else 1.0)


def is_of_weights(program: Program, key: Key) -> bool:
    """Whether an array is the gradient of a weight, and not an error, which a skip has two more of."""
    return key[1] != "loss" and key[2][0] == "d" and key[2][1:] in program.steps[key[1]].weights


def factors_of(program: Program, each: Scaled) -> dict[Place, float]:
    """The same for every place, each beside those before it."""
    factors = {LOSS: each.loss, ("loss", "dx"): each.error}
    for name, step in program.steps.items():
        factors |= {(name, "d" + weight): each.slope for weight in step.weights}
        factors |= {(name, weight): each.rate for weight in step.weights}
    return {place: factor for place, factor in factors.items() if factor != 1}


def shows(each: Scaled, program: Program, arrays: Mapping[Key, list[Reading]]) -> bool:
    """Whether an answer can show that its loss and gradient differ on purpose: that they are divided later.

    Where the loss is not told, nothing differs.
    """
    if not each.hidden or not any(key[1:] == LOSS for key in arrays):
        return True
    is_gradient = each.hidden == "gradient"
    return any(key[0] > 1 or program.is_update(key) or (is_gradient and is_of_weights(program, key)) for key in arrays)


def advice_of(each: Scaled) -> str:
    return "Negated gradients need += in the update." if each.error < 0 else ""
