"""What several findings are together: one convention that goes through all layers, and no mistake."""

from dataclasses import dataclass, field
from typing import Any

from plaingrad.checking.search import Finding, Search

SCALES = ("summed-over-the-batch", "doubled-or-halved", "averaged-over-outputs", "divided-by-the-batch-again")


@dataclass
class Shared:
    """Findings that are conventions, findings that others account for, and conventions with words of their own."""

    conventions: list[Finding] = field(default_factory=list)
    settled: list[Finding] = field(default_factory=list)
    named: list[Any] = field(default_factory=list)


def shared(search: Search) -> Shared:
    """The conventions among the findings of a search."""
    found = Shared()
    by_id: dict[str, list[Finding]] = {}
    for finding in search.findings:
        if finding.best:
            by_id.setdefault(finding.best.mistake.id, []).append(finding)
    _scales(search, by_id, found)
    _signs(search, by_id, found)
    _softmax(by_id, found)
    return found


def is_loss(finding: Finding) -> bool:
    """Whether a finding is about the loss or its gradient."""
    return finding.where[1] == "loss"


def _scales(search: Search, by_id: dict[str, list[Finding]], found: Shared) -> None:
    """A factor of the loss or of its gradient; and errors for each image, averaged when weights are summed."""
    for id in SCALES:
        found.conventions += [finding for finding in by_id.get(id, []) if is_loss(finding)]
    steps = search.program.steps
    trained = {(name, "d" + weight) for name, step in steps.items() for weight in step.weights}
    for id in ("summed-over-the-batch", "divided-by-the-batch-again"):
        others = [finding for finding in by_id.get(id, []) if not is_loss(finding)]
        answered = {key[1:] for key in search.arrays if key[1:] in trained and key[0] == 1}
        every = {finding.where[1:] for finding in others if finding.where[0] == 1}
        if len(every) > 1 and every == answered:
            found.conventions += others


def _signs(search: Search, by_id: dict[str, list[Finding]], found: Shared) -> None:
    """Gradients with their sign turned, which are added to the weights."""
    turned = [finding for finding in by_id.get("negated", []) if finding.where[2].startswith("d")]
    uphill = by_id.get("uphill", [])
    trained = {(name, weight) for name, step in search.program.steps.items() for weight in step.weights}
    answered = {key for key in search.arrays if key[1:] in trained}
    whole = any(is_loss(finding) for finding in turned) or {f.where[1:] for f in turned} >= {
        (name, "d" + weight) for name, weight in trained
    }
    if turned and whole and (not answered or {finding.where for finding in uphill} == answered):
        found.conventions += turned
        found.settled += uphill


def _softmax(by_id: dict[str, list[Finding]], found: Shared) -> None:
    """Softmax and loss differentiated as one, or two wrongs that give the right error together."""
    for of_loss, of_softmax in (("fused-with-softmax", "softmax-skipped"), ("two-classes", "softmax-diagonal")):
        first = [finding for finding in by_id.get(of_loss, []) if is_loss(finding)]
        then = by_id.get(of_softmax, [])
        if first and then:
            found.conventions += first
            found.settled += then
