"""Which edits of a text make exactly the numbers of an answer."""

import ast
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from plaingrad.checking.edits import factors, whole
from plaingrad.checking.edits.composed import Made
from plaingrad.checking.edits.composed import ways as composed_ways
from plaingrad.checking.edits.edited_line import EditedLine, edited, without_letters
from plaingrad.checking.edits.lines import Lines, at, line_of, statement_of
from plaingrad.checking.edits.making import Making, edits_of, making
from plaingrad.checking.edits.pieces import Edit
from plaingrad.checking.edits.sampling import lanes_of, sampled
from plaingrad.checking.edits.winners import can_be_chosen, choosing, given_to
from plaingrad.checking.edits.witness import claims
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Estimate
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.rounding import agrees, alike, explains, fits
from plaingrad.compiler.loops import Array

LANES = 1000  # places a sample of a pass is done for, at most, where it can be made so small
MOST_STEPS = 1_000_000  # places that all edits of a pass are done for, one after the other: a second or two
STEPS = 200  # the same where they are done one after the other
MARGIN = 20.0  # bits of evidence beyond those that so many candidates could meet by chance
EXACT = 40.0  # bits a number tells at most
PLAIN = 400  # about as many whole arrays are tried before
MOST_KEPT = 40  # claims that are held against further steps
FAR = 1e-3  # of the largest number: what is farther off is off by no rounding
LOOSE = 4.0  # a sample is judged so much more loosely than the whole: its largest number may be smaller


@dataclass(frozen=True)
class Match:
    """An edit that makes the numbers, and what it makes."""

    edit: Edit
    made: Array


def found(
    context: Context, expected: Estimate, given: Array, precision: Precision, steps: int
) -> Iterator[tuple[EditedLine, Array]]:
    """The edits that make an answered array, one for each claim that can be told apart, the most usual first.

    `steps` tells in how many steps it was answered: who is right by chance in one is not so in the next. What these
    tell is added up once all are known; until then each counts like this one.
    """
    how = making(context)
    if how is None or context.key[1:] in context.program.ways:
        return
    factor = context.program.factors.get(context.key[1:], 1.0)
    times = list(factors.found(context, how.lines, expected, given, precision))
    if times:
        yield from times
        return
    right = how.made(None)
    if right is None or not agrees(alike(expected, factor * right, precision.unit), expected.value, precision):
        return  # the program makes it otherwise than by this text
    bits = steps * evidence(expected, given, precision)  # each step tells about as much
    if bits < needed(PLAIN):
        return
    texts = list(asking(PLAIN, list(whole.found(context, how, expected, given, precision, scaled=False))[:MOST_KEPT]))
    if texts and not any(exchanges_axes(expected.value, made) for _, made in texts):
        yield from texts
        return
    shares = list(whole.shares(context, how, expected, given, precision))
    made_by: Made = making
    matches, tried = matched(how, factor, expected, given, precision)
    if not matches and not texts:
        for other_by in _other_ways(context, given, factor, room_of(expected, given, precision)):
            other = other_by(context)
            others, count = matched(other, factor, expected, given, precision) if other else ([], 0)
            tried += count
            if other and others:
                how, made_by, matches = other, other_by, others
                break
    if texts and not matches:
        yield from texts
        return
    if not matches and not shares:
        changes = list(asking(PLAIN, whole.changes(context, how, expected, given, precision)))
        if changes:
            yield from changes
            return
        count = whole.count_scaled(context)
        if bits >= needed(count):
            yield from asking(count, whole.found(context, how, expected, given, precision, scaled=True))
        return
    if bits >= needed(tried):
        kept = [match for match, *_ in claims(context, how, matches)] if matches else []
        lines = ((edited_line(how, each.edit, made_by), each.made) for each in kept)
        said = {line.id: (line, made) for line, made in reversed([*lines])}  # two edits may come to the same line
        yield from asking(tried, [*reversed(said.values())][:MOST_KEPT])
    yield from texts
    if not any(each.edit.keeps for each in matches):  # what was there before is a share of another array too
        yield from asking(PLAIN, shares)


def _other_ways(context: Context, given: Array, factor: float, room: float) -> Iterator[Made]:
    """Other texts than that of the pass alone, which may be the edited one."""
    chosen = chosen_by(context)
    if chosen and can_be_chosen(context, given, factor, room):
        yield chosen_by
    yield from composed_ways(context)


def exchanges_axes(right: Array, made: Array) -> bool:
    """Whether two axes of one size are exchanged, as two letters of a line are, which then says more."""
    axes = itertools.combinations(range(right.ndim), 2)
    return any(
        np.array_equal(made, right.swapaxes(*each)) for each in axes if right.shape[each[0]] == right.shape[each[1]]
    )


def asking(tried: int, lines: Iterable[tuple[EditedLine, Array]]) -> Iterator[tuple[EditedLine, Array]]:
    """The lines, each with the evidence that it asks for, found among so many."""
    return ((replace(line, asks=needed(tried)), made) for line, made in lines)


def matched(
    how: Making, factor: float, expected: Estimate, given: Array, precision: Precision
) -> tuple[list[Match], int]:
    """The edits that make the numbers, and how many were tried."""
    shape = how.parts[0].known[how.lines.wanted].shape
    if len(how.parts) == 1 and not how.mean and how.then is None and len(shape) > given.ndim:
        # features are channels of one pixel to this text
        wide = Estimate(expected.value.reshape(shape), expected.uncertainty.reshape(shape))
        found, tried = matched(replace(how, shape=shape), factor, wide, given.reshape(shape), precision)
        return [Match(each.edit, each.made.reshape(given.shape)) for each in found], tried
    every = how.edits()
    room = room_of(expected, given, precision)
    place = np.unravel_index(int(np.abs(given - expected.value).argmax()), given.shape) if given.ndim else ()
    found_: list[Match] = []
    lanes = lanes_of(how.lines, how.parts[0].known)
    most, left = (LANES, math.inf) if how.lines.is_sum else (STEPS, MOST_STEPS)
    for edit in every:
        if not how.mean:
            only, slab, count = sampled(how, edit, tuple(int(each) for each in place), lanes, most)
            left -= count
            if left < 0:
                break
            made = how.made(edit, only)
            if made is None:
                continue
            with np.errstate(all="ignore"):
                if not np.abs(factor * made[slab] - given[slab]).max(initial=0) <= room:
                    continue
        every_one = how.made(edit)
        if every_one is None or not np.isfinite(every_one).all():
            continue
        made = factor * every_one
        if not explains(made, expected.value, given):
            continue
        if fits(expected, made, given, precision) or fits_by_sizes(how, edit, expected, made, given, precision):
            found_.append(Match(edit, made))
    return sorted(found_, key=lambda each: each.edit.cost + len(each.edit.changes) - 1), len(every)


def room_of(expected: Estimate, given: Array, precision: Precision) -> float:
    """How far any number of an edit that makes an array may be off, and more."""
    right = float(np.abs(expected.value).max(initial=0))
    size = max(right, float(np.abs(given).max(initial=0)))
    doubt = float(expected.uncertainty.max(initial=0)) / max(right, 1e-300)
    return LOOSE * (8 * max(doubt, 16 * precision.unit) * size + float(precision.grain(given).max(initial=0)))


def fits_by_sizes(how: Making, edit: Edit, expected: Estimate, made: Array, given: Array, precision: Precision) -> bool:
    """Whether an array is what an edit makes, where its sums cancel more than the right ones: each number may be off by
    as much, for the sizes it adds up, as the right one that is off most for its own."""
    if how.then is not None or how.mean:
        return False
    if np.abs(made - given).max(initial=0) > FAR * np.abs(expected.value).max(initial=0):
        return False
    sizes, right = how.made(edit, sizes=True), how.made(None, sizes=True)
    if sizes is None or right is None or not np.isfinite(sizes).all() or not np.isfinite(right).all():
        return False
    share = np.where(right > 0, expected.uncertainty / np.where(right > 0, right, 1), 0).max(initial=0)
    return agrees(Estimate(made, float(share) * np.abs(sizes)), given, precision)


def needed(tried: int) -> float:
    """How many bits must be told before one of so many lines is named."""
    return MARGIN + math.log2(max(tried, 1))


def evidence(expected: Estimate, given: Array, precision: Precision) -> float:
    """How many bits the wrong numbers of an answer tell: what a chance meeting with all of them would take."""
    wrong = np.abs(given - expected.value) > 8 * expected.uncertainty + precision.grain(given)
    values = np.unique(np.abs(given[wrong]))
    if wrong.any() and not values[0]:
        # What stays 0 is one number too: it is told from the others up to the size of those that should stand there.
        values = np.append(values[1:], np.abs(expected.value[wrong & (given == 0)]).max())
    count, some = int(np.count_nonzero(expected.value)), int(wrong.sum())
    which = (math.lgamma(count + 1) - math.lgamma(some + 1) - math.lgamma(max(count - some, 0) + 1)) / math.log(2)
    which = min(max(which, 0.0), EXACT)  # which of them are wrong
    if not len(values):
        return which
    size = float(values.max())
    fine = np.maximum(precision.grain(values), 8 * max(float(np.median(expected.uncertainty)), precision.unit * size))
    bits = np.clip(np.log2(np.maximum(values / np.maximum(fine, 1e-300), 1)), 0, EXACT)
    repeated = min(float(some) - len(values), EXACT)  # a bit each: that it is such a number at this place
    return float(bits.sum() + max(which, repeated))


def old_and_new(lines: Lines, edit: Edit) -> tuple[list[str], list[str]]:
    """The lines of the text that an edit changes, and what they say then."""
    if edit.words:
        return [line_of(at(lines.tree, statement_of(edit.changes[0][0])))], [edit.words]
    tree = edit.tree(lines.tree)
    statements = sorted({statement_of(path) for path, _ in edit.changes}, key=str)
    old, new = [], []
    for path in statements:
        old.append(line_of(at(lines.tree, path)))
        new.append(line_of(at(tree, path)))
    return old, new


def new_lines(lines: Lines, edit: Edit) -> tuple[str, ...]:
    """What an edit says."""
    return tuple(old_and_new(lines, edit)[1])


def chosen_by(context: Context) -> Making | None:
    """The text that chose, for the way back of a pool."""
    how = making(context)
    return how and choosing(context, how)


def edited_line(first: Making, edit: Edit, made_by: Made) -> EditedLine:
    """The mistake that an edit of a pass is, which `made_by` finds in other steps and layers."""
    lines = first.lines
    old, new = old_and_new(lines, edit)
    shown = [*new[:-1], f"{new[-1]}  ({first.told})"] if first.told else new

    def wrong(context: Context) -> Iterator[Array]:
        how = made_by(context)
        own = edit if how is None or _is_alike(how.lines, lines) else _alike(how, new)
        made = how.made(own) if how is not None and own is not None else None
        if made is not None:
            yield made
        if how is not None and how.lines.text is not lines.text and made_by is making:
            yield from _on_the_way_back(context, new)

    return edited(old, shown, edit.kind, wrong)


def _on_the_way_back(context: Context, said: Sequence[str]) -> Iterator[Array]:
    """What the way back makes of what a line of the way forward saved for it.

    An error goes to the pixel that won, if that is in the window of the textbook, or wherever it lies.
    """
    for made_by in (chosen_by, *composed_ways(context)):
        how = made_by(context)
        own = _alike(how, said) if how is not None and how.then is not None else None
        if how is None or own is None:
            continue
        made = how.made(own)
        if made is not None:
            yield made
        if made_by is chosen_by:
            winners = replace(how, shape=context.dy.shape, then=None).made(own)
            if winners is not None:
                yield given_to(winners, context)


def _is_alike(one: Lines, other: Lines) -> bool:
    """Whether two texts have the same nodes at the same places: of one text, for arrays of as many axes."""
    return one is other or ast.dump(one.tree) == ast.dump(other.tree)


def _alike(how: Making, said: Sequence[str]) -> Edit | None:
    """The edit that says the same of a text for arrays of more axes or of fewer, or that keeps numbers in no array.

    None where there is none.
    """
    meant = [without_places(each) for each in said]
    same = (each for each in edits_of(how.parts[0]) if [*map(without_places, new_lines(how.lines, each))] == meant)
    return next(same, None)


def without_places(line: str) -> str:
    """A line without the indices of its cells."""
    return without_letters(line).replace("[place]", "")
