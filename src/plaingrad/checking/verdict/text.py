"""A verdict in words, and as JSON."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from plaingrad.checking.search.evidence import Cell, cells, explained_by_rounding, nearest, patterns
from plaingrad.checking.search.findings import Finding, Row
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import UPDATE, Key
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.formulas import formula_of, over_images
from plaingrad.checking.verdict.verdict import MISTAKE, UNCLEAR, Named, Verdict
from plaingrad.errors import visible
from plaingrad.textbook.text import Text

RULED_OUT = 3
NEAR = 0.5  # of the wrong numbers a mistake must account for to be told as the nearest
SHORT = 12  # lines of a text that are shown whole
FEW_ROWS = 12  # quantities that are told one by one though nothing is wrong with them
NAMED_ROWS = 4  # of more that only follow so many are named


def verdict_text(verdict: Verdict, every: bool = False) -> str:
    """The verdict as `plaingrad check` prints it; the table with a line for `every` quantity."""
    lines = [_headline(verdict), *(f"  note: {visible(note)}" for note in verdict.notes)]
    for number, each in enumerate(verdict.mistakes):
        lines += ["", *_mistake_lines(verdict, each, number == 0)]
    for finding in verdict.unclear:
        lines += ["", *_unclear_lines(verdict, finding)]
    lines += ["", *_convention_lines(verdict)] if verdict.conventions else []
    return "\n".join([*lines, "", *_table(verdict, every)])


def _headline(verdict: Verdict) -> str:
    count = len(verdict.rows)
    told = f"{count} quantit{'y' if count == 1 else 'ies'} compared at a precision of {verdict.search.precision}"
    first = verdict.first_wrong
    if verdict.verdict == MISTAKE:
        return f"MISTAKE: the first wrong quantity is {first} ({told})"
    if verdict.verdict == UNCLEAR:
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
    finding = named.findings[0]
    lines = [f"{', '.join(named.where)}: {named.title}  [{named.id}]"]
    lines += [f"  {line}" for line in proof(verdict, finding)]
    lines.append(f"  what to do: {named.advice}")
    told = trains(named.id, *(each.where for each in named.findings))
    if told:
        lines.append(f"  would it train? {told}")
    if with_loop:
        lines += [f"  {line}" for line in _right_lines(verdict.search.program, finding.where)]
    return lines


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


def _right_lines(program: Program, key: Key) -> list[str]:
    """The same in words, the text where it is short."""
    right = done_right(program, key)
    lines = [f"the formula: {right['formula']}"] if right["formula"] else []
    lines += [f"  {right['batch']}"] if right["formula"] and right["batch"] else []
    lines.append(f"the correct loop: {right['place']}{':' if right['is_short'] else ''}")
    return [*lines, *(f"  {line}" for line in right["source"].splitlines() if right["is_short"])]


def proof(verdict: Verdict, finding: Finding) -> list[str]:
    """Numbers side by side, what else it could be, and what was ruled out."""
    program, name, best = verdict.search.program, name_of(finding.key), finding.best
    lines = patterns(finding, program.steps)
    lines += [cell_text(name, cell) for cell in cells(finding)]
    if best and best.key != finding.key:
        lines.append(
            f"the mistake is in {name_of(best.key)}, which your answer does not contain: it gives exactly your {name}"
        )
    same = [fit.mistake.title for fit in finding.fits[1:] if fit.mistake.id != (best.mistake.id if best else "")]
    if same:
        lines.append(f"another mistake gives the same numbers here: {'; or '.join(dict.fromkeys(same))}")
    out = nearest(finding, verdict.search)[:RULED_OUT]
    if out and best:
        told = "; ".join(f"{each.id} {each.distance:.2g}" for each in out)
        room = explained_by_rounding(finding, verdict.search)
        lines.append(
            f"ruled out, each with its largest difference from your numbers / largest number: {told} "
            f"(rounding allows {room:.0e})"
        )
    return lines


def _unclear_lines(verdict: Verdict, finding: Finding) -> list[str]:
    name = name_of(finding.key)
    lines = [f"{name} is wrong, and no known mistake gives its numbers"]
    lines += [f"  {line}" for line in proof(verdict, finding)]
    if finding.suspects:
        names = some([name_of(key) for key in finding.suspects])
        lines.append(
            f"  it is computed from {names}, which your answer does not contain: add the first of them to see where "
            "the error begins"
        )
    tried = {mistake.id for mistake, _ in finding.tried}
    near = nearest(finding, verdict.search)
    if near and near[0].share >= NEAR:
        lines.append(
            f"  nearest: {near[0].title} [{near[0].id}]; it would explain {near[0].share:.0%} of the wrong "
            "numbers, but not all of the others"
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


def _table(verdict: Verdict, every: bool) -> list[str]:
    rows = in_order(verdict)
    by_status = {status: [row for row in rows if row.status == status] for status in ("agrees", "follows")}
    summed = [status for status, each in by_status.items() if len(each) > FEW_ROWS and not every]
    shown = [row for row in rows if row.status not in summed]
    wide, broad = (max(map(len, column), default=0) for column in ([r.name for r in shown], [r.status for r in shown]))
    lines = [f"  {row.name:<{wide}}  {row.status:<{broad}}  {row.error:.1e}" for row in shown]
    if shown:
        lines.insert(0, f"  {'quantity':<{wide}}  {'':<{broad}}  largest difference / largest number")
    if "follows" in summed:
        names = some([row.name for row in by_status["follows"]])
        lines.append(f"  {names} only follow: computed correctly, but from numbers that were already wrong")
    elif by_status["follows"]:
        lines.append("  follows: computed correctly, but from numbers that were already wrong")
    if "agrees" in summed:
        count, worst = len(by_status["agrees"]), max(row.error for row in by_status["agrees"])
        others = f"all {count}" if count == len(rows) else f"the other {count}"
        lines.append(f"  {others} agree: largest difference / largest number is {worst:.1e} at most")
    return lines


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as an object."""
    return {
        "verdict": verdict.verdict,
        "first_wrong": verdict.first_wrong,
        "precision": str(verdict.search.precision),
        "mistakes": [_named_json(verdict, each) for each in verdict.mistakes],
        "unclear": [_finding_json(verdict, each) for each in verdict.unclear],
        "conventions": [
            {"id": each.id, "title": each.title, "where": each.where, "advice": each.advice}
            for each in verdict.conventions
        ],
        "quantities": [{"name": row.name, "status": row.status, "error": row.error} for row in in_order(verdict)],
        "notes": verdict.notes,
    }


def _named_json(verdict: Verdict, named: Named) -> dict[str, Any]:
    finding, program = named.findings[0], verdict.search.program
    same = dict.fromkeys(fit.mistake.id for fit in finding.fits if fit.mistake.id != named.id)
    return {
        "id": named.id,
        "title": named.title,
        "where": named.where,
        "evidence": proof(verdict, finding),
        "cells": [vars(cell) | {"place": list(cell.place)} for cell in cells(finding)],
        "same_numbers": list(same),
        "ruled_out": [vars(each) for each in nearest(finding, verdict.search)[:RULED_OUT]],
        "advice": named.advice,
        "formula": formula_of(program, finding.where),
        "trains": trains(named.id, *(each.where for each in named.findings)),
    }


def _finding_json(verdict: Verdict, finding: Finding) -> dict[str, Any]:
    near = nearest(finding, verdict.search)[:RULED_OUT]
    return {
        "where": name_of(finding.key),
        "between": [name_of(key) for key in finding.suspects],
        "evidence": proof(verdict, finding),
        "nearest": [vars(each) for each in near],
        "tried": sorted({mistake.id for mistake, _ in finding.tried}),
    }


@cache
def measured() -> dict[str, Any]:
    """What training with each mistake came to, as `benchmarks/mistakes.py` measured it."""
    file = files("plaingrad.checking") / "trains.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def trains(id: str, *where: Key) -> str:
    """Whether a network with this mistake still learns, in words; it was measured in one pass, if of another kind."""
    told = measured()
    row = told.get("mistakes", {}).get(id)
    if row is None:
        return ""
    network = told["networks"][row["network"]]
    more = f"; in every update: {learns(row['everywhere'], network)}" if "everywhere" in row else ""
    learned = f"{learns(row['accuracy'], network)}; without the mistake {row['right']:.1%}"
    made = f"measured with the mistake in {row['pass']}{more}; learning rate {network['rate']}; {told['about']}"
    if kind_of(row["pass"]) in [kind_of(".".join(key[1:])) for key in where]:
        return f"{learned} ({made})"
    return f"not measured for this kind of quantity. For another: {learned} ({made})"


def kind_of(name: str) -> str:
    """The kind of a pass by its name: conv.dx; or update, whichever the weight is."""
    layer, _, quantity = name.partition(".")
    return f"{layer.rstrip('0123456789')}.{quantity}" if quantity in ("y", "dx") or quantity[0] == "d" else "update"


def learns(accuracy: float | None, network: dict[str, Any]) -> str:
    """Whether a network learned, beside what right ones reach from many seeds, and what they reach untrained."""
    if accuracy is None:
        return "no: its numbers became infinite or NaN"
    if accuracy > max(network["right"]):
        return f"yes, {accuracy:.1%}, even better: accuracy does not show it"
    if accuracy >= min(network["right"]):
        return f"yes, {accuracy:.1%}: accuracy does not show it"
    return f"{'worse' if accuracy > max(network['untrained']) else 'no'}, {accuracy:.1%}"


def right_text(program: Program, key: Key) -> Text:
    """The text of this library that makes an array."""
    _, layer, quantity = key
    if program.is_update(key):
        return UPDATE
    owner = program.case.loss if layer == "loss" else program.steps[layer].layer
    text: Text = owner.forward if quantity == "y" else owner.backward
    return text


def source_of(text: Text) -> list[str]:
    """The lines of a text."""
    return text.source.rstrip().splitlines()


Verdict.text, Verdict.to_json = verdict_text, verdict_json
