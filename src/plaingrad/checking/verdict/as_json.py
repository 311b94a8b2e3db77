"""A verdict as an object."""

from typing import Any

from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.search.evidence import cells, nearest
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.uncompared import Uncompared
from plaingrad.checking.seeing import COMMAND
from plaingrad.checking.verdict.formulas import formula_of
from plaingrad.checking.verdict.text import RULED_OUT, edit_of, evidence, in_order, proof
from plaingrad.checking.verdict.trained import trains
from plaingrad.checking.verdict.verdict import Named, Verdict


def line_json(edited: EditedLine) -> dict[str, Any]:
    """An edited line beside the textbook's."""
    return {
        "textbook": list(edited.right),
        "makes_yours": list(edited.edited),
        "or": [list(each) for each in edited.others],
        "more": edited.more,
        "kind": str(edited.kind),
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as an object."""
    return {
        "verdict": verdict.verdict,
        "first_wrong": verdict.first_wrong,
        "precision": str(verdict.search.precision),
        "mistakes": [_named_json(verdict, each) for each in verdict.mistakes],
        "unclear": [_unclear_json(verdict, each) for each in verdict.sections if not isinstance(each, Named)],
        "conventions": [
            {"id": each.id, "title": each.title, "where": each.where, "advice": each.advice}
            for each in verdict.conventions
        ],
        "quantities": [{"name": row.name, "status": row.status, "error": row.error} for row in in_order(verdict)],
        "notes": verdict.notes,
        "cannot_show": _hidden_json(verdict),
    }


def _hidden_json(verdict: Verdict) -> dict[str, Any] | None:
    """What the case of a right answer cannot show: ids of mistakes, of how many, and the command for one that can."""
    hidden = verdict.hidden
    if hidden is None:
        return None
    case = COMMAND if hidden.in_default else None
    return {"mistakes": [each.id for each in hidden.mistakes], "of": hidden.asked, "case": case}


def _named_json(verdict: Verdict, named: Named) -> dict[str, Any]:
    program, findings, edited = verdict.search.program, named.findings[:1], edit_of(named)
    return {
        "id": named.id.partition(":")[0],
        "title": named.title,
        "where": named.where,
        "evidence": evidence(verdict, named),
        "line": None if edited is None else line_json(edited),
        "cells": [vars(cell) | {"place": list(cell.place)} for each in findings for cell in cells(each)],
        "same_numbers": [each.id for each in named.besides] if edited is None else [],
        "ruled_out": [vars(out) for each in findings for out in nearest(each, verdict.search)[:RULED_OUT]],
        "advice": named.advice,
        "formula": formula_of(program, named.keys[0]),
        "trains": trains(named.id, *(each.where for each in named.findings)),
    }


def _unclear_json(verdict: Verdict, finding: Finding | Uncompared) -> dict[str, Any]:
    if isinstance(finding, Uncompared):
        told = {"where": name_of(finding.key), "between": [], "evidence": list(finding.told)}
        return {**told, "nearest": [], "tried": []}
    near = nearest(finding, verdict.search)[:RULED_OUT]
    return {
        "where": name_of(finding.key),
        "between": [name_of(key) for key in finding.suspects],
        "evidence": proof(verdict, finding),
        "nearest": [vars(each) for each in near],
        "tried": sorted({mistake.id for mistake, _ in finding.tried}),
    }
