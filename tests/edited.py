"""Answers of programs in which one line of a text is edited at random, and what is said of them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diseased import finite, networks, places, played
from plaingrad.checking.check import check_answer
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.edits.making import Making, making
from plaingrad.checking.edits.pieces import Edit
from plaingrad.checking.edits.search import new_lines
from plaingrad.checking.edits.witness import second_of
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import exact
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from students import in_print, told

UNIT = 2.0**-53
QUANTITIES = ("y", "dx", "dw", "db", "running_mean", "running_variance")
"""What a text makes, and may be edited to make otherwise."""


@dataclass(frozen=True)
class Slip:
    """An edit at a place of a network."""

    network: str
    place: tuple[str, str]
    edit: Edit
    line: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.network} {'.'.join(self.place)}: {'; '.join(self.line)}"


def context_of(network: str, place: tuple[str, str], step: int = 1) -> Context:
    """A pass of a right program."""
    program = Program(networks()[network], UNIT)
    env = program.start()
    with np.errstate(all="ignore"):
        for key in program.keys:
            right = program.value(key, env)
            if key == (step, *place):
                return Context(program, key, env, right)
            env[key] = exact(right)
    raise AssertionError(place)


def slips(count: int, seed: int, among: tuple[str, ...] = ()) -> Iterator[Slip]:
    """Random edits at random places of random networks: of all, or of those told."""
    rng = random.Random(seed)
    left = count
    while left:
        network = rng.choice(among or list(networks()))
        place = rng.choice([each for each in places(network) if each[1] in QUANTITIES])
        how = making(context_of(network, place))
        if how is None:
            continue
        edit = rng.choice(how.edits())
        left -= 1
        yield Slip(network, place, edit, new_lines(how.lines, edit))


@dataclass(frozen=True)
class Told:
    """What is said of a slip: `how` is "alone", "among", "catalogue", "missed" or "unseen"; `said` is the verdict."""

    slip: Slip
    how: str
    said: str
    wrong_place: bool


def is_alike_elsewhere(line: EditedLine, slip: Slip, how: Making) -> bool:
    """Whether a line that is no edit, such as one with a factor, is the slip in all networks and steps."""
    found = 0
    for network in networks():
        for place in places(network):
            if place[0].rstrip("0123456789") != slip.place[0].rstrip("0123456789") or place[1] != slip.place[1]:
                continue
            for step in range(1, 1 + len(networks()[network].batches)):
                context = context_of(network, place, step)
                here = making(context)
                if here is None or here.lines is not how.lines:
                    continue
                made, truth = next(line.wrong(context), None), here.made(slip.edit)
                # The order of their sums, of numbers of about 1, moves them by less than 1e-12; a mistake by more.
                if made is None or truth is None or not np.allclose(made, truth, rtol=1e-9):
                    return False
                found += (network, place, step) != (slip.network, slip.place, 1)
    return found > 0


def tried(slip: Slip, printed: str = "f64") -> Told | None:
    """What is said of an answer with a slip; None where it does not show, or makes what is not finite."""

    def wrong(context: Context) -> Array | None:
        if context.program.is_trained(context.key):
            return None  # it has another text
        how = making(context)
        return how.made(slip.edit) if how is not None else None

    case = networks()[slip.network]
    arrays, changed = played(case, {slip.place: wrong}, single=printed != "f64")
    if not changed or not finite(arrays):
        return None
    verdict = check_answer(case, told(arrays, printed=in_print(printed)))
    findings = [each for each in verdict.search.findings if each.key[1:] == slip.place]
    elsewhere = any(each.where[1:] != slip.place for each in verdict.search.findings)
    said = "; ".join(fit.mistake.id for each in findings[:1] for fit in each.fits) or verdict.verdict
    if not findings:
        return Told(slip, "convention" if verdict.conventions else "unseen", verdict.verdict, elsewhere)
    first = findings[0]
    # A program with another convention in its forward pass may not keep to it on the way back: that is found there.
    elsewhere = elsewhere and not any(fit.mistake.convention for fit in first.fits)
    lines = [fit.mistake for fit in first.fits if isinstance(fit.mistake, EditedLine)]
    if not lines:
        return Told(slip, "catalogue" if first.fits else "missed", said, elsewhere)
    context = context_of(slip.network, slip.place)
    how = making(context)
    assert how is not None
    second = second_of(context, how)
    truth = second.made(slip.edit) if second is not None else None
    for line in lines:
        if line.edited == slip.line:
            return Told(slip, "alone" if len(lines) == 1 else "among", said, elsewhere)
        same = [each for each in how.edits() if new_lines(how.lines, each) == line.edited]  # one may count from the end
        made = [second.made(each) if second is not None else None for each in same]
        if any(
            truth is each is None or (truth is not None and each is not None and np.allclose(truth, each))
            for each in made
        ):
            return Told(slip, "alone" if len(lines) == 1 else "among", said, elsewhere)
        if not same and is_alike_elsewhere(line, slip, how):
            return Told(slip, "alone" if len(lines) == 1 else "among", said, elsewhere)
    return Told(slip, "another", said, elsewhere)
