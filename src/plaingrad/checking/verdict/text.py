"""A verdict in words, and as JSON."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from plaingrad.checking.catalogue.entry import Mistake
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.search.afterwards import OVERWRITTEN
from plaingrad.checking.search.evidence import Cell, cells, explained_by_rounding, nearest, patterns
from plaingrad.checking.search.findings import Finding, Row
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import UPDATE, Key
from plaingrad.checking.search.patterns import likenesses, share_added
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.search.uncompared import Uncompared
from plaingrad.checking.verdict.formulas import formula_of, made_by, over_images
from plaingrad.checking.verdict.question import question_of
from plaingrad.checking.verdict.trained import trains
from plaingrad.checking.verdict.verdict import MISTAKE, UNCLEAR, Named, Verdict
from plaingrad.errors import visible
from plaingrad.textbook.text import Text

RULED_OUT = 3
SCREEN = 16  # lines about what has no name: with the headline, a note or two and the rest less than a screen of 24
NEAR = 0.5  # of the wrong numbers a mistake must account for to be told as the nearest
SHORT = 12  # lines of a text that are shown whole
FEW_ROWS = 12  # quantities that are told one by one though nothing is wrong with them
NAMED_ROWS = 4  # of more that only follow so many are named


def verdict_text(verdict: Verdict, every: bool = False) -> str:
    """The verdict as `plaingrad check` prints it; the table with a line for `every` quantity."""
    lines = [headline_text(verdict), *(f"  note: {visible(note)}" for note in verdict.notes)]
    lines += [f"  {line}" for line in verdict.hidden.told] if verdict.hidden else []
    first = next((each for each in verdict.sections if isinstance(each, Named)), None)
    unclear: list[Finding] = []
    for each in verdict.sections:
        if isinstance(each, Named):
            lines += ["", *_mistake_lines(verdict, each, each is first)]
        elif isinstance(each, Uncompared):
            lines += ["", *_uncompared_lines(each)]
        elif unclear:
            unclear.append(each)
        else:
            lines += ["", *_unclear_lines(verdict, each)]
            unclear.append(each)
    lines += _other_unclear(verdict, unclear[1:], len(lines))
    lines += ["", *_convention_lines(verdict)] if verdict.conventions else []
    lines += ["", *table_lines(verdict, every)]
    asked = question_of(verdict)
    return "\n".join([*lines, *(["", f"see also: {asked.see}"] if asked else [])])


def headline_text(verdict: Verdict) -> str:
    """The verdict, the first wrong quantity, and how much was compared."""
    count = verdict.compared
    told = f"{count} quantit{'y' if count == 1 else 'ies'} compared at a precision of {verdict.search.precision}"
    first = verdict.first_wrong
    if verdict.verdict == MISTAKE:
        return f"MISTAKE: the first wrong quantity is {first} ({told})"
    if verdict.verdict == UNCLEAR:
        begin = verdict.sections[0]
        if isinstance(begin, Uncompared):
            return f"UNCLEAR: {first} {begin.summary} ({told})"
        return f"UNCLEAR: {first} is wrong, and no known mistake gives its numbers ({told})"
    return f"{verdict.verdict.upper()} ({told})"


def _convention_lines(verdict: Verdict) -> list[str]:
    lines = []
    for each in verdict.conventions:
        lines.append(f"  convention: {each.title}{f' ({some(each.where)})' if each.where else ''}")
        lines += [f"    {each.advice}"] if each.advice else []
    return lines


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED_ROWS} more" if len(names) > NAMED_ROWS else ""
    return f"{', '.join(names[:NAMED_ROWS])}{more}"


def _mistake_lines(verdict: Verdict, named: Named, with_loop: bool) -> list[str]:
    edited = edit_of(named)
    if edited is not None:
        return _edited_lines(verdict, named, edited)
    lines = [f"{some(named.where)}: {named.title}  [{named.id}]"]
    lines += [f"  {line}" for line in evidence(verdict, named)]
    lines.append(f"  what to do: {named.advice}")
    told = trains(named.id, *(each.where for each in named.findings))
    if told:
        lines.append(f"  would it train? {told}")
    if with_loop:
        lines += [f"  {line}" for line in right_lines(verdict.search.program, named.keys[0])]
    return lines


def edit_of(named: Named) -> EditedLine | None:
    """The edited line by which a mistake is known; None for one of the catalogue."""
    best = named.findings[0].best if named.findings else None
    return best.mistake if best is not None and isinstance(best.mistake, EditedLine) else None


def _edited_lines(verdict: Verdict, named: Named, edited: EditedLine) -> list[str]:
    """The textbook's line, the one that makes the answer's numbers, and a few of these."""
    finding = named.findings[0]
    lines = [f"{some(named.where)}: {named.title}", *(f"  {each}" for each in doubts(finding))]
    said = [("the textbook has", edited.right), ("yours is made by", edited.edited)]
    said += [("or by", each) for each in edited.others]
    if edited.more:
        said.append(("or by", (f"one of {edited.more} more lines that this case cannot tell from these",)))
    wide = max(len(label) for label, _ in said)
    for label, each in said:
        lines.append(f"  {label:>{wide}}:  {each[0]}")
        lines += [f"  {'':>{wide}}   {more}" for more in each[1:]]
    program, name = verdict.search.program, name_of(finding.key)
    lines += [f"  {each}" for each in (*patterns(finding, program.steps), *likenesses(finding, verdict.search))]
    lines += [f"  {cell_text(name, cell)}" for cell in cells(finding)]
    lines.append(f"  what to do: {edited.advice}")
    lines.append(f"  the line stands in {done_right(program, finding.where)['place']}")
    return lines


def evidence(verdict: Verdict, named: Named) -> list[str]:
    """What shows a mistake: the numbers of its first finding, or the shapes and numbers that cannot be."""
    lines = made_by(verdict.search, named.findings)
    lines += proof(verdict, named.findings[0], named.besides) if named.findings else []
    return [*lines, *(line for each in named.uncompared for line in each.told)]


def _uncompared_lines(each: Uncompared) -> list[str]:
    return [f"{name_of(each.key)} {each.summary}", *(f"  {line}" for line in each.told), f"  what to do: {each.advice}"]


def done_right(program: Program, key: Key) -> dict[str, Any]:
    """How the library makes an array: the formula, if it has one, and the text."""
    text = right_text(program, key)
    source = source_of(text)
    return {
        "formula": formula_of(program, key),
        "batch": over_images(program, key),
        "place": f"{text.__name__} in {text.__module__}",
        "source": "\n".join(source),
        "is_short": len(source) <= SHORT,
    }


def right_lines(program: Program, key: Key) -> list[str]:
    """The same in words, the text where it is short."""
    right = done_right(program, key)
    lines = [f"the formula: {right['formula']}"] if right["formula"] else []
    lines += [f"  {right['batch']}"] if right["formula"] and right["batch"] else []
    lines.append(f"the correct loop: {right['place']}{':' if right['is_short'] else ''}")
    return [*lines, *(f"  {line}" for line in right["source"].splitlines() if right["is_short"])]


def proof(verdict: Verdict, finding: Finding, besides: Iterable[Mistake] = ()) -> list[str]:
    """Numbers side by side, the mistakes `besides` that give them too, and what was ruled out."""
    program, name, best = verdict.search.program, name_of(finding.key), finding.best
    is_made = best is not None and best.mistake is not OVERWRITTEN  # by what is told; else by anything
    lines = [*doubts(finding), *patterns(finding, program.steps)]
    lines += share_added(finding, verdict.search) if is_made else likenesses(finding, verdict.search)
    lines += [cell_text(name, cell) for cell in cells(finding)]
    if best and best.key != finding.key:
        told = (
            f"the mistake is in {' and '.join(map(name_of, best.keys))}, which {verdict.why_absent(best.key)}: "
            f"it gives exactly your {name}"
        )
        others = some([name_of(key) for key in finding.suspects if key not in best.keys])
        lines.append(told + (f"; to be sure that it is not in another one, add {others}" if others else ""))
    same = ["; ".join(each.edited) if isinstance(each, EditedLine) else each.title for each in besides]
    if same:
        lines.append(f"another mistake gives the same numbers here: {'; or '.join(dict.fromkeys(same))}")
    out = nearest(finding, verdict.search)[:RULED_OUT]
    if out and is_made:
        told = "; ".join(f"{each.id} {each.distance:.2g}" for each in out)
        room = explained_by_rounding(finding, verdict.search)
        lines.append(
            f"ruled out, each with its largest difference from your numbers / largest number: {told} "
            f"(rounding allows {room:.0e})"
        )
    return lines


def doubts(finding: Finding) -> list[str]:
    """What speaks against a name: arrays of other layers that the same code makes, and that it does not explain."""
    if not finding.not_made:
        return []
    names = some([name_of(key) for key in finding.not_made])
    verb = "is" if len(finding.not_made) == 1 else "are"
    return [
        f"not sure: {names} {verb} wrong too, and this does not make those numbers; if one piece of your code makes "
        "all of these arrays, look for a mistake that explains all"
    ]


def _other_unclear(verdict: Verdict, others: list[Finding], count: int) -> list[str]:
    """Of further findings without a name what they are like, as far as a screen goes, of which `count` lines are full.

    What else is wrong has most often the cause of the first.
    """
    lines, names = list[str](), list[str]()
    for finding in others:
        told = [f"{name_of(finding.key)} is wrong, and no known mistake gives its numbers"]
        told += [f"  {line}" for line in proof(verdict, finding) if not line.startswith(name_of(finding.key))]
        if not names and count + len(lines) + len(told) <= SCREEN:
            lines += ["", *told]
        else:
            names.append(name_of(finding.key))
    if names:
        verb = "is" if len(names) == 1 else "are"
        lines += [
            "",
            f"{some(names)} {verb} wrong too, and without a name: mend {verdict.first_wrong} first, and check again",
        ]
    return lines


def _unclear_lines(verdict: Verdict, finding: Finding) -> list[str]:
    name = name_of(finding.key)
    lines = [f"{name} is wrong, and no known mistake gives its numbers"]
    lines += [f"  {line}" for line in proof(verdict, finding)]
    if finding.suspects:
        names, why = some([name_of(key) for key in finding.suspects]), verdict.why_absent(finding.suspects[0])
        lines.append(f"  it is computed from {names}, which {why}: add the first of them to see where the error begins")
    tried = {mistake.id for mistake, _ in finding.tried}
    near = nearest(finding, verdict.search)
    if near and near[0].share >= NEAR:
        but = "right ones would be wrong too" if near[0].share == 1 else "not the others"
        lines.append(
            f"  nearest: {near[0].title} [{near[0].id}]; it makes {near[0].share:.0%} of the wrong numbers, but {but}"
        )
    if tried:
        lines.append(f"  ruled out: {len(tried)} known mistakes in computing {name}")
    return lines


def cell_text(name: str, cell: Cell) -> str:
    """One number, yours and the true one."""
    place = f"[{','.join(map(str, cell.place))}]" if cell.place else ""
    known = "" if cell.mistaken is None else f"   with this mistake {cell.mistaken:.6g}"
    return f"{name}{place}: yours {cell.given:.6g}   should be {cell.expected:.6g}{known}"


def in_order(verdict: Verdict) -> list[Row]:
    """The quantities that were compared, in the order of computing."""
    return sorted(verdict.rows, key=lambda row: verdict.search.program.place[row.key])


def error_text(row: Row) -> str:
    """How far a quantity is off; a dash where nothing was compared."""
    return "–" if np.isnan(row.error) else f"{row.error:.1e}"


def table_lines(verdict: Verdict, every: bool, with_error: bool = True) -> list[str]:
    """What became of the quantities; with a line for `every` one, and how far each is off."""
    rows = in_order(verdict)
    by_status = {status: [row for row in rows if row.status == status] for status in ("agrees", "follows")}
    summed = [status for status, each in by_status.items() if len(each) > FEW_ROWS and not every]
    shown = [row for row in rows if row.status not in summed]
    wide, broad = (max(map(len, column), default=0) for column in ([r.name for r in shown], [r.status for r in shown]))
    errors = [error_text(row) if with_error else "" for row in shown]
    lines = [f"  {row.name:<{wide}}  {row.status:<{broad}}  {error}" for row, error in zip(shown, errors, strict=True)]
    if shown and with_error:
        lines.insert(0, f"  {'quantity':<{wide}}  {'':<{broad}}  largest difference / largest number")
    if "follows" in summed:
        names = some([row.name for row in by_status["follows"]])
        lines.append(f"  {names} only follow: computed correctly, but from numbers that were already wrong")
    elif by_status["follows"]:
        lines.append("  follows: computed correctly, but from numbers that were already wrong")
    if any(row.status == "not judged" and row.finding for row in rows):
        lines.append("  not judged: it may be right for outputs of its layer that are wrong without a name")
    if "agrees" in summed:
        count, worst = len(by_status["agrees"]), max(row.error for row in by_status["agrees"])
        others = f"all {count}" if count == len(rows) else f"the other {count}"
        lines.append(f"  {others} agree: largest difference / largest number is {worst:.1e} at most")
    return lines


def right_text(program: Program, key: Key) -> Text:
    """The text of this library that makes an array."""
    _, layer, quantity = key
    if program.is_update(key):
        return UPDATE
    if layer == "loss":
        loss: Text = program.case.loss.forward if quantity == "y" else program.case.loss.backward
        return loss
    step = program.steps[layer]
    forward = step.layer.infer if program.is_trained(key) else step.layer.forward
    text: Text = step.layer.settle if quantity in step.state else forward if quantity == "y" else step.layer.backward
    return text


def source_of(text: Text) -> list[str]:
    """The lines of a text."""
    return text.source.rstrip().splitlines()
