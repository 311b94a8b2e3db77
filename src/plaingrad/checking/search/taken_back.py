"""Names that are taken back where what they rest on is not known: errors without an answer, zeros behind a mistake."""

import numpy as np

from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.rounding import FAR, allowed, ratio
from plaingrad.checking.search.state import State


def drop_lines_of_unknown_errors(state: State, findings: list[Finding]) -> None:
    """Take back lines where both gradients of a layer are wrong and its errors were not answered: these may be wrong.

    A line makes one of them; two lines that slip alike would be one slip before. So would one factor of a gradient with
    a line, and of another without a name or of another text, which rest on the same errors.
    """
    lines = [each for each in findings if each.key[2].startswith("d") and not _other_than_lines(each)]
    factors = {each.key: _factor(state, each) for each in lines}
    shared = {
        each.key
        for each in lines
        for one in lines
        if one is not each and one.key[0] == each.key[0] and _is_near(factors[each.key], factors[one.key])
        if not one.fits or _text_of(state, one.key) != _text_of(state, each.key)
    }
    for each in lines:
        if each.key in shared and any(one.suspects for one in lines if one.key in shared and one.key[0] == each.key[0]):
            each.fits = []
    by_layer: dict[tuple[int, str], list[Finding]] = {}
    for each in findings:
        if each.key[2] in ("dw", "db") and _has_unknown_errors(state, each.key):
            by_layer.setdefault(each.key[:2], []).append(each)
    for some in by_layer.values():
        if len(some) == 2 and all(any(isinstance(fit.mistake, EditedLine) for fit in each.fits) for each in some):
            for each in some:
                each.fits = [fit for fit in each.fits if not isinstance(fit.mistake, EditedLine)]


def _factor(state: State, finding: Finding) -> float | None:
    """The one factor between what was answered and what should have been, if there is one."""
    estimate = Estimate(finding.expected, finding.uncertainty)
    return ratio(finding.given, finding.expected, 0.0, allowed(estimate, finding.given, state.precision))


def _is_near(one: float | None, other: float | None) -> bool:
    """Whether two factors, each of many numbers, are the same but for rounding."""
    return one is not None and other is not None and abs(one - other) <= FAR * abs(one)


def _other_than_lines(finding: Finding) -> bool:
    return any(not isinstance(fit.mistake, EditedLine) for fit in finding.fits)


def _text_of(state: State, key: Key) -> tuple[object, str]:
    """Which text makes a gradient: of two layers of one kind the same one."""
    _, layer, quantity = key
    return None if layer == "loss" else state.program.steps[layer].layer.backward, quantity


def drop_names_of_nothing(state: State, findings: list[Finding]) -> None:
    """Take back what is told of zeros where something before them is wrong, and has no name, or may be.

    Zeros say nothing of what made them: errors that ran through wrong outputs vanish where a unit is saturated or dead,
    and all units may be dead after a wrong update, of which a later step tells no more. Where several gradients of a
    layer are 0 its errors will be.
    """
    unknown: set[Key] = set()
    told = {(each.key[1:], fit.mistake.id) for each in findings if each.key[0] == 1 for fit in each.fits}
    nothing = {each.key for each in findings if _is_nothing(state, each)}
    behind = [key[:2] for key in nothing if key[2].startswith("d") and _has_unknown_errors(state, key)]
    for each in findings:
        if each.key in nothing and each.fits:
            if not unknown.isdisjoint(each.suspects):
                each.fits = []
            elif each.key[2] == "y" and any(suspect[0] < each.key[0] for suspect in each.suspects):
                each.fits = [fit for fit in each.fits if (each.key[1:], fit.mistake.id) in told]
            elif behind.count(each.key[:2]) > 1:
                each.fits = [fit for fit in each.fits if fit.key != each.key]
        if not each.fits:
            unknown.update(each.suspects)


def _is_nothing(state: State, finding: Finding) -> bool:
    """Whether an array is 0 up to rounding, and should not be."""
    zero = Estimate(np.zeros_like(finding.expected), finding.uncertainty)
    return not finding.given.any() or state.agrees(zero, finding.given)


def _has_unknown_errors(state: State, key: Key) -> bool:
    return key[1] != "loss" and state.program.dy_key(key) in state.unanswered
