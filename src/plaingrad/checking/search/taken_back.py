"""Names that are taken back where what they rest on is not known: errors without an answer, zeros behind a mistake."""

from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.rounding import FAR, allowed, ratio
from plaingrad.checking.search.state import State


def drop_lines_of_unknown_errors(state: State, findings: list[Finding]) -> None:
    """Take back lines where both gradients of a layer are wrong and its errors were not answered: these may be wrong.

    A line makes one of them; two lines that slip alike would be one slip before. So would one factor of a gradient with
    a line and of one without a name, of whatever layer, which rest on the same errors.
    """
    for each in findings:
        if each.suspects and each.fits and all(isinstance(fit.mistake, EditedLine) for fit in each.fits):
            unnamed = (one for one in findings if not one.fits and one.key[0] == each.key[0] and one.key[2] != "y")
            factor = _factor(state, each)
            if factor is not None and any(_is_near(factor, _factor(state, one)) for one in unnamed):
                each.fits = []
    by_layer: dict[tuple[int, str], list[Finding]] = {}
    for each in findings:
        if each.key[1] != "loss" and each.key[2] in ("dw", "db") and state.program.dy_key(each.key) in state.unanswered:
            by_layer.setdefault(each.key[:2], []).append(each)
    for some in by_layer.values():
        lines = [[fit for fit in each.fits if isinstance(fit.mistake, EditedLine)] for each in some]
        if len(some) == 2 and all(lines):
            for each in some:
                each.fits = [fit for fit in each.fits if not isinstance(fit.mistake, EditedLine)]


def _factor(state: State, finding: Finding) -> float | None:
    """The one factor between what was answered and what should have been, if there is one."""
    estimate = Estimate(finding.expected, finding.uncertainty)
    return ratio(finding.given, finding.expected, 0.0, allowed(estimate, finding.given, state.precision))


def _is_near(one: float, other: float | None) -> bool:
    """Whether two factors, each of many numbers, are the same but for rounding."""
    return other is not None and abs(one - other) <= FAR * abs(one)


def drop_names_of_nothing(findings: list[Finding]) -> None:
    """Take back what is told of zeros where something before them is wrong, and has no name.

    Zeros say nothing of what made them: errors that ran through wrong outputs vanish where a unit is saturated or dead.
    """
    unknown: set[Key] = set()
    for each in findings:
        if each.fits and not each.given.any() and not unknown.isdisjoint(each.suspects):
            each.fits = []
        elif not each.fits:
            unknown.update(each.suspects)
