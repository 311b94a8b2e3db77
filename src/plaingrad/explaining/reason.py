"""A reason: a sentence in which numbers are named, each with its value."""

from dataclasses import dataclass

from plaingrad.explaining.notation import number_text
from plaingrad.explaining.tracing import Tracer


@dataclass(frozen=True)
class Reason:
    """A sentence in which `{0}`, `{1}` … stand for cells."""

    kind: str  # branch, tie, padding or note
    pattern: str
    cells: tuple[int, ...]
    text: str


def reason(tracer: Tracer, kind: str, pattern: str, *cells: int, **more: tuple[str, str]) -> Reason:
    """A reason whose cells are written with their values.

    `more` is worded twice: for the pattern, which many numbers share, and for the text of this one.
    """
    twin = tracer.twin
    texts = (f"{twin.name(cell)} = {number_text(twin.value(cell))}" for cell in cells)
    slots = (f"{{{place}}}" for place in range(len(cells)))
    shared, own = ({name: words[which] for name, words in more.items()} for which in (0, 1))
    return Reason(kind, pattern.format(*slots, **shared), cells, pattern.format(*texts, **own))
