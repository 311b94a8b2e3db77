"""Whether an answer's loss and its gradient belong together, and the factor between them where they do not."""

from math import prod

import numpy as np

from plaingrad.checking.catalogue import Kind
from plaingrad.checking.search.conventions import GRADIENT
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.rounding import allowed, ratio
from plaingrad.checking.search.scaled import LOSS
from plaingrad.checking.search.search import Search

NEAR = 1e-2  # what few printed digits hide of a factor; those that are meant are farther apart


def disagreement(search: Search) -> str | None:
    """A line where the loss, or its gradient, is right but for a factor that the other has not.

    None where they have the same, where one of them is not answered, nor seen in what is made of it, or where it is
    wrong in another way.
    """
    for t in range(1, len(search.program.case.batches) + 1):
        if (t, *LOSS) not in search.rows or not any(key[0] == t and key[2] != "y" for key in search.rows):
            continue
        loss, gradient = (_factor(search, (t, *place)) for place in (LOSS, GRADIENT))
        if loss is None or gradient is None or abs(abs(gradient / loss) - 1) <= NEAR:
            continue
        if not _is_usual(search, loss, _doubt(search, (t, *LOSS))):  # any number is some factor times another
            continue
        between = abs(gradient / loss)
        words = f"{_number(between)} × the gradient of your loss{_meaning(search, between)}"
        told = f"the loss and its gradient do not belong together: your loss.dx is {words}"
        if between > 1 and loss == 1 and not any(search.program.is_update(key) for key in search.rows):
            told += "; if your update divides by that, include the weights after the step in your answer"
        return told
    return None


def _factor(search: Search, key: Key) -> float | None:
    """The factor at which a pass of the loss was found to be; 1 where nothing was found, None where it is no factor."""
    for finding in search.findings:
        if finding.where != key:
            continue
        if finding.best and finding.best.mistake.kind is not Kind.FACTOR:
            return None
        made = finding.given if finding.key == key else finding.fits[0].made
        return ratio(made, search.expected[key].value, NEAR)
    return 1.0


def _doubt(search: Search, key: Key) -> float:
    """How far a factor of a loss may be from what is meant, as a share of it."""
    expected, given = search.expected[key], search.env[key].value
    room = float(allowed(expected, given, search.precision).max())
    return min(NEAR, 2 * room / max(min(expected.size, float(np.abs(given).max())), 1e-300))


def _is_usual(search: Search, factor: float, near: float) -> bool:
    """Whether a loss that is off by a factor may be meant so: one of those that losses differ by."""
    images, outputs = float(search.program.case.images), float(prod(search.program.case.net.output))
    usual = [images**i * outputs**o * 2.0**h for i in (-1, 0, 1) for o in (-1, 0, 1) for h in (-1, 0, 1)]
    return any(abs(abs(factor) - each) <= near * each for each in usual)


def _number(factor: float) -> str:
    whole = round(1 / factor) if factor < 1 else 0
    return f"1/{whole}" if whole and abs(whole * factor - 1) <= NEAR else f"{factor:.4g}"


def _meaning(search: Search, factor: float) -> str:
    """What a factor may come from, in words."""
    images, outputs = search.program.case.images, prod(search.program.case.net.output)
    known = {
        "the number of images": images,
        "the number of outputs": outputs,
        "images / outputs": images / outputs,
        "images × outputs": images * outputs,
    }
    for words, value in known.items():
        for each, told in ((value, words), (1 / value, f"1 / ({words})" if " / " in words else f"1 / {words}")):
            if value != 1 and abs(factor - each) <= NEAR * each:
                return f" ({told})"
    return ""
