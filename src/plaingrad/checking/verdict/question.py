"""Which question is behind what is wrong in an answer."""

from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.search.uncompared import Uncompared
from plaingrad.checking.verdict.verdict import Named, Verdict
from plaingrad.explaining.questions import Question, behind, questions


def question_of(verdict: Verdict) -> Question | None:
    """The question of the first mistake or unclear quantity: the mistake's own, or its quantity's. None without."""
    if not verdict.sections:
        return None
    first: Named | Finding | Uncompared = verdict.sections[0]
    known = CATALOGUE.get(first.id) if isinstance(first, Named) else None
    if known is not None and known.question:
        return questions()[known.question]
    keys = first.keys if isinstance(first, Named) else [first.key]
    return of_quantity(verdict.search.program, keys[0]) if keys else None


def of_quantity(program: Program, key: Key) -> Question | None:
    """The question behind a quantity of a case."""
    _, layer, quantity = key
    if program.is_update(key):
        return behind("", "update")
    owner = program.case.loss if layer == "loss" else program.steps[layer].layer
    return behind(type(owner).__name__, quantity)
