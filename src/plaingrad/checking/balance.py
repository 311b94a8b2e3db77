"""Biases of a case that leave each rectifier numbers of both signs: no unit is always off, none always on."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from plaingrad.checking.case import GRAIN, Case
from plaingrad.checking.search.passes import exact
from plaingrad.checking.search.precision import DOUBLE
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import LeakyReLU, MaxPool, MeanPool, ReLU

LEAST = 0.2  # the share of a unit's numbers that shall be off, and on
OFF = 0.35  # the share that is, where a bias is moved
HALVINGS = 6  # of the rate, at most
ALIVE = 0.01  # of an error: two digits of six are left for what it makes
TRIES = 16  # biases tried until none of the numbers is 0, where the rectifier bends


def balance(case: Case) -> None:
    """Move the biases of `case`, in place, before its rectifiers: each unit of the first batch is off and on.

    Between a rectifier and the layer with the bias may lie a pool, which passes on whatever is added to all pixels;
    one of means only without padding.
    """
    program = Program(case, DOUBLE)
    env, names = program.start(), program.names
    for name in names:
        key = (1, name, "y")
        env[key] = exact(program.value(key, env))
        follower = dict(pairwise(names)).get(name)
        if follower is None or not isinstance(program.steps[follower].layer, ReLU | LeakyReLU):
            continue
        source = _source(program, name)
        if source is None:
            continue
        bias = program.steps[source].arrays["b"]
        moved = [_moved(env[key].value[:, unit], float(bias[unit])) for unit in range(len(bias))]
        if moved == bias.tolist():
            continue
        bias[...] = moved
        env[0, source, "b"] = exact(np.array(bias))
        for again in names[names.index(source) : names.index(name) + 1]:
            env[1, again, "y"] = exact(program.value((1, again, "y"), env))


def _source(program: Program, name: str) -> str | None:
    """The layer whose biases are added to this output."""
    for each in reversed(program.names[: program.names.index(name) + 1]):
        step = program.steps[each]
        if "b" in step.arrays:
            return each
        if not isinstance(step.layer, MaxPool | MeanPool) or (
            isinstance(step.layer, MeanPool) and (step.layer.divisor is not None or step.layer.window.may_overhang)
        ):
            return None
    return None


def _moved(numbers: Array, bias: float) -> float:
    """A bias of one unit, from all its numbers in the batch: the same where enough of them are off and on."""
    off = float((numbers < 0).mean())
    if LEAST <= off <= 1 - LEAST and (numbers != 0).all():
        return bias
    shift = round(float(np.quantile(numbers, OFF)) * GRAIN)
    for more in range(TRIES):
        aside = (more + 1) // 2 * (1 if more % 2 else -1)
        new = bias - (shift + aside) / GRAIN
        if new and (numbers + (new - bias) != 0).all():
            return new
    return bias


def enlivened(case: Case) -> Case:
    """The case with its rate halved until the last step still has errors and gradients, which too long a step ends."""
    last = len(case.batches)
    for _ in range(HALVINGS):
        program = Program(case, DOUBLE)
        env = program.start()
        with np.errstate(all="ignore"):
            for key in program.keys:
                env[key] = exact(program.value(key, env))
        made = [env[key].value for key in program.keys if key[0] == last and key[2].startswith("d")]
        if np.abs(env[last, "loss", "dx"].value).max() >= ALIVE and all(each.any() for each in made):
            return case
        case = replace(case, rate=case.rate / 2)
    return case
