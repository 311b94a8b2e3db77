"""What a case can show: which known mistakes, and which small edits of a textbook line, would change its numbers.

A mistake that changes no number of a case is not found with it. Whether it would is asked by making it: of a right
program every pass is made once more with the mistake, from right numbers.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.case import Case
from plaingrad.checking.case_layers import THOROUGH
from plaingrad.checking.catalogue import CATALOGUE, Mistake, applicable
from plaingrad.checking.edits.making import Making, making
from plaingrad.checking.edits.pieces import Edit
from plaingrad.checking.edits.search import new_lines
from plaingrad.checking.edits.winners import choosing
from plaingrad.checking.edits.witness import second_of
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.findings import made_by
from plaingrad.checking.search.passes import exact
from plaingrad.checking.search.precision import DOUBLE
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array

VISIBLE = 1e-4  # of the largest number: what printing with few digits, four, does not hide
SAME = 1e-9  # of the largest number: far more than float64 rounds such sums by
MOST_OUTPUTS = 20_000  # outputs of the layers in all steps: of larger cases nothing is said, as it would take seconds
TOLD = 2  # mistakes that are told by their title
COMMAND = "plaingrad case"
NEVER_SILENT = frozenset(
    {"kernel-transposed", "gradient-transposed", "layer-skipped", "true-class-only", "groups-otherwise"}
)
"""Mistakes that, where they make no array of the right shape, make one of a wrong shape, or cannot be made."""
MEASURED = frozenset({"weight-decay-added", "weights-shrunk", "mask-drawn-anew"})
"""Mistakes whose size, or mask, is found in an answer, and which change enough numbers: any case shows them."""


Place = tuple[str, str, str, int, bool]  # layer, quantity, name, form, whether it is an edit
Found = dict[Place, list[tuple[Array, Array | None]]]  # what it makes in each step, here and in a second case


@dataclass(frozen=True)
class Change:
    """A known mistake in one of its forms, or an edit of a line, made in one pass of a case.

    `kind` is what kind of layer, or of loss, `layer` and `quantity` say which pass. `name` is the mistake's id, or the
    edited line. `shows` is whether it changes a number, in any step, by more than printing hides. `alike` names those
    that make the same numbers in this case and, of edits, others in another case.
    """

    kind: str
    layer: str
    quantity: str
    name: str
    form: int
    is_edit: bool
    shows: bool
    alike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hidden:
    """The known mistakes that a case cannot show, of how many, and whether the default case has all such layers."""

    mistakes: tuple[Mistake, ...]
    asked: int
    in_default: bool

    @property
    def summary(self) -> str:
        """How many, in words."""
        return f"{len(self.mistakes)} of {self.asked} known mistakes"

    @property
    def told(self) -> list[str]:
        """The first few of them, how many they are, and which case shows them; nothing where there are none."""
        if not self.mistakes:
            return []
        titles = "; ".join(each.title for each in self.mistakes[:TOLD])
        more = f"; and {len(self.mistakes) - TOLD} more" if len(self.mistakes) > TOLD else ""
        lines = [f"this case cannot show: {titles}{more} ({self.summary})"]
        return lines + ([f"a case that shows them: {COMMAND}"] if self.in_default else [])


def changes(made: Array | None, right: Array, least: float = VISIBLE) -> bool:
    """Whether an array differs from the right one, somewhere, by more than so much of the largest right number."""
    if made is None or made.shape != right.shape:
        return True
    size = max(float(np.abs(right).max(initial=0)), 1e-30)
    with np.errstate(all="ignore"):
        return not bool((np.abs(made - right) <= least * size).all())


def contexts(case: Case) -> Iterator[Context]:
    """Every pass of a right program, in order, each made from right numbers."""
    program = Program(case, DOUBLE)
    env = program.start()
    for key in program.keys:
        right = program.value(key, env)
        yield Context(program, key, env, right)
        env[key] = exact(right)


def hidden_mistakes(case: Case) -> Hidden | None:
    """The known mistakes that change no number of a case; None for one so large that it would take long.

    Conventions are none, and a mistake shows if it does in any form, in any layer, in any step.
    """
    outputs = sum(int(np.prod(step.y)) for step in case.net.steps.values())
    if case.images * outputs * len(case.batches) > MOST_OUTPUTS:
        return None
    shown: set[str] = set(MEASURED)
    asked: dict[str, set[str]] = {}
    with np.errstate(all="ignore"):
        for context in contexts(case):
            for mistake in applicable(context):
                if mistake.convention:
                    continue
                asked.setdefault(mistake.id, set()).add(context.kind)
                if mistake.id not in shown and any(
                    changes(made, context.expected) for made, _ in made_by(mistake, context)
                ):
                    shown.add(mistake.id)
    hidden = [id for id in asked if id not in shown and id not in NEVER_SILENT]
    default = {type(layer).__name__ for layer in THOROUGH} | {"SoftmaxCrossEntropy"}
    in_default = all(asked[id] & default for id in hidden)
    return Hidden(tuple(CATALOGUE[id] for id in hidden), len(asked), in_default)


def would_show(case: Case, every: int = 1) -> list[Change]:
    """What each known mistake in each form, and of the edits of all lines every so many-th, would do to a case.

    With `every` 0 no edit is asked: all of them take a minute or more, the mistakes less than a second.
    An edit is left out where it changes nothing in a second case, of other sizes: it is no mistake.
    """
    found: Found = {}
    shown: set[Place] = set()
    kinds: dict[str, str] = {}
    others: dict[tuple[int, int], tuple[Edit, Array | None]] = {}
    with np.errstate(all="ignore"):
        for context in contexts(case):
            kinds[context.name] = context.kind
            asked = itertools.chain(_mistakes(context), _edits(context, every, others) if every else ())
            for name, form, is_edit, made, other in asked:
                key = (context.name, context.quantity, name, form, is_edit)
                found.setdefault(key, []).append((made, other))
                if changes(made, context.expected):
                    shown.add(key)
    alike = _alike({key: made for key, made in found.items() if key in shown})
    return [
        Change(kinds[key[0]], key[0], key[1], key[2], key[3], key[4], key in shown, tuple(alike.get(key, ())))
        for key in found
    ]


Made = tuple[str, int, bool, Array, Array | None]  # name, form, is an edit, what it makes here and in a second case


def _mistakes(context: Context) -> Iterator[Made]:
    for mistake in applicable(context):
        if not mistake.convention:
            for form, (made, _) in enumerate(made_by(mistake, context)):
                yield mistake.id, form, False, made, None


def _edits(context: Context, every: int, others: dict[tuple[int, int], tuple[Edit, Array | None]]) -> Iterator[Made]:
    """The edits of the text of a pass; `others` keeps, by identity, what they make in the second case."""
    how = making(context)
    if how is None:
        return
    for number, one in enumerate(each for each in (how, choosing(context, how)) if each is not None):
        second = second_of(context, one)
        if second is None:
            continue
        right = second.made(None)
        assert right is not None
        for edit in one.edits()[::every]:
            key = (id(second), id(edit))
            if key not in others:
                others[key] = edit, second.made(edit)
            (_, other), made = others[key], one.made(edit)
            if other is None or made is None or not np.isfinite(other).all() or not np.isfinite(made).all():
                continue  # it ends with an error, or in nan
            if changes(other, right, SAME):
                yield _name(one, edit), number, True, made, other


def _name(how: Making, edit: Edit) -> str:
    line = "; ".join(new_lines(how.lines, edit))
    return f"{line} (an index below 0 counts from the end)" if edit.wraps else line


def _alike(found: Found) -> dict[Place, list[str]]:
    """Those of one pass that make the same numbers in each step, though they are different ones."""
    alike: dict[Place, list[str]] = {}
    places: dict[tuple[str, str], list[Place]] = {}
    for key in found:
        places.setdefault((key[0], key[1]), []).append(key)
    for keys in places.values():
        for one, other in _close(keys, found):
            if one[2] == other[2] or _are_one(found[one], found[other]):
                continue
            alike.setdefault(one, []).append(other[2])
            alike.setdefault(other, []).append(one[2])
    return alike


def _close(keys: Iterable[Place], found: Found) -> Iterator[tuple[Place, Place]]:
    """The pairs that make the same numbers, found by one number for each, a weighted sum of what it makes."""
    weighed = []
    for key in keys:
        made = np.concatenate([np.ravel(each) for each, _ in found[key]])
        if np.isfinite(made).all():
            weights = np.random.default_rng(len(made)).uniform(0.5, 1, len(made))
            weighed.append((float(weights @ made), float(weights @ np.abs(made)), key, made))
    weighed.sort(key=lambda each: each[:2])
    for place, (total, size, one, made) in enumerate(weighed):
        for following, _, other, same in weighed[place + 1 :]:
            if following - total > SAME * size:
                break
            if made.shape == same.shape and not changes(same, made, SAME):
                yield one, other


def _are_one(one: list[tuple[Array, Array | None]], other: list[tuple[Array, Array | None]]) -> bool:
    """Whether two edits make the same numbers in the second case as well."""
    (_, mine), (_, others) = one[0], other[0]
    return mine is not None and others is not None and not changes(others, mine, SAME)


def hidden_of(case: Case) -> Hidden | None:
    """The known mistakes that a case cannot show, worked out once; None where that would take long."""
    kept = vars(case)  # a case stays as it is, and so does what follows from it
    if "hidden" not in kept:
        kept["hidden"] = hidden_mistakes(case)
    found: Hidden | None = kept["hidden"]
    return found
