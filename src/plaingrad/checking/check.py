"""Checks an answer against its case: reads it, searches it, and draws the verdict."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from plaingrad.checking.another_order import in_another_order
from plaingrad.checking.answers.answer import Answer, answer_of
from plaingrad.checking.asked import Asked
from plaingrad.checking.case import Case
from plaingrad.checking.laying import laid
from plaingrad.checking.search.disagreement import disagreement
from plaingrad.checking.search.findings import Row
from plaingrad.checking.search.names import name_of, recognised
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.precision import estimated
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.search.uncompared import Faulty, inner_parts, uncompared
from plaingrad.checking.verdict.verdict import Verdict, drawn
from plaingrad.errors import AnswerError, visible

MANY_ROUNDINGS = 1e5  # of the answer's own arithmetic: more than the sums of any array here come to
FEW = 0.1  # of the arrays that agree
FEW_ARRAYS = 4  # made of the case's own numbers, at least: fewer may all be wrong


@np.errstate(all="ignore")
def check_answer(case: Case, answer: Answer | Mapping[str, Any], left_out: frozenset[str] = frozenset()) -> Verdict:
    """The verdict on an answer; AnswerError where it cannot be compared.

    Mistakes `left_out` are not looked for; with "edited-line" no edits of lines are.
    """
    answer = answer if isinstance(answer, Answer) else answer_of(answer)
    exchanged = None if left_out else in_another_order(case, answer, _checked)
    return exchanged or _checked(case, answer, left_out)


def _checked(case: Case, answer: Answer, left_out: frozenset[str] = frozenset()) -> Verdict:
    """The same for the layers in the order of the case."""
    known, notes = recognised([*answer.arrays, *answer.unread], case)
    reading = [*answer.notes, *notes]
    if not known and answer.unread:
        raise AnswerError(f"{answer.who}: {next(iter(answer.unread.values()))}")
    if not known:
        raise AnswerError(f"the answer contains no quantity of this case; {notes[0] if notes else 'it is empty'}")
    chosen: dict[Key, str] = {}
    for name, key in known.items():
        if name in answer.unread and key in chosen:
            continue
        if key in chosen and not np.array_equal(answer.arrays[chosen[key]], answer.arrays[name], equal_nan=True):
            raise AnswerError(f"{chosen[key]} and {name} name the same quantity, but differ; leave one of them out")
        if key not in chosen or not name.endswith(".dy"):
            chosen[key] = name
    arrays, groups, orders, misshapen = laid(
        case, {key: (name, answer.arrays[name]) for key, name in chosen.items() if name in answer.arrays}, notes
    )
    broken = {key: found[0].array for key, found in arrays.items() if not np.isfinite(found[0].array).all()}
    unread = {key: answer.unread[name] for key, name in chosen.items() if name in answer.unread and key[0] > 0}
    notes += [answer.unread[name] for key, name in chosen.items() if name in answer.unread and key[0] == 0]
    faulty = Faulty(misshapen, broken, unread)
    arrays = {key: found for key, found in arrays.items() if key not in broken}
    if not (arrays or misshapen or broken or unread):
        raise AnswerError(
            "the answer contains nothing to check: the weights before the first step are given by the case"
        )
    precision = estimated(
        [[each.answered for each in found] for found in arrays.values()] or [[each] for each in misshapen.values()]
    ).with_summaries(
        (each.array, each.printed, each.made_by)
        for each in itertools.chain(*arrays.values())
        if each.printed is not None and each.made_by is not None
    )
    asked = Asked(Program(case, precision.unit), arrays, groups, orders, precision, left_out)
    notes += asked.moved()
    search, taken = asked.searched()
    inner = inner_parts(search, misshapen)
    if inner:  # what follows was perhaps computed from these numbers
        within = asked.with_inner(inner)
        other, ways = within.searched()
        if not other.untouched and len(other.findings) - len(inner) <= len(search.findings):
            search, taken = other, ways
    unknown = len(answer.arrays) + len(answer.unread) - len(known)
    notes[:0] = _of_another_case(search, unknown, len(misshapen))
    notes += filter(None, [disagreement(search), *_kept(search), *_rougher(search, precision.unit)])
    others = uncompared(search, faulty)
    search.rows |= {
        each.key: Row(each.key, "", each.status, np.nan) for each in others if each.key not in search.arrays
    }
    for key, row in search.rows.items():
        row.name = visible(chosen.get(key, name_of(key)))
    verdict = drawn(search, taken, [*answer.notes, *notes], others)
    verdict.reading = reading
    return verdict


def _of_another_case(search: Search, unknown: int, misshapen: int) -> Iterator[str]:
    """A line where names, shapes or all that was made of the case's own numbers are none of this case."""
    needs = search.program.needs
    own = [
        row.status
        for key, row in search.rows.items()
        if key[2] != "db" and any(need[0] == 0 or need[1] == "input" for need in needs(key))
    ]
    is_made_of_others = len(own) >= FEW_ARRAYS and not {"agrees", "follows"} & {*own}
    if unknown + misshapen > len(search.rows) or (
        is_made_of_others and search.findings and not search.findings[0].fits
    ):
        yield "next to nothing agrees with this case: is it the answer to another one?"


def _rougher(search: Search, unit: float) -> Iterator[str]:
    """A line where few arrays are as exact as float32 alone, and all others as the answer's own arithmetic."""
    if search.program.unit <= unit:
        return
    agreeing = {key: row.error for key, row in search.rows.items() if row.status == "agrees"}
    few = {key: error for key, error in agreeing.items() if error > MANY_ROUNDINGS * unit}
    if 0 < len(few) <= FEW * len(agreeing):
        rest = max(error for key, error in agreeing.items() if key not in few)
        names = ", ".join(name_of(key) for key in few)
        yield (
            f"{names}: off by {max(few.values()):.1e}, as far as float32 may be, and the others by {rest:.1e} at most: "
            "is a small number added there, or something rounded to float32?"
        )


def _kept(search: Search) -> Iterator[str]:
    """A line for each wrong array that is the same, to the last bit, in two steps."""
    for key, row in search.rows.items():
        before = (key[0] - 1, *key[1:])
        if {key, before} <= search.arrays.keys() and "wrong" in (row.status, search.rows[before].status):
            one, other = (search.likeliest(each).array for each in (before, key))
            finding = row.finding or search.rows[before].finding
            if not one.any() or not np.array_equal(one, other) or (finding and finding.fits):
                continue
            start = search.env.get((0, *key[1:]))
            if start is not None and np.array_equal(start.value, other):
                yield f"{name_of(before)} and {name_of(key)} are the numbers of the case: are they updated at all?"
            else:
                why = "was the first one overwritten later, or the second never made anew?"
                yield f"{name_of(before)} and {name_of(key)} are the same numbers: {why}"
