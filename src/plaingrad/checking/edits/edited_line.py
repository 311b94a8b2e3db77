"""A mistake that is known by its line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from plaingrad.checking.catalogue.entry import Kind, Mistake, Wrong

STEP = re.compile(r"[\w.]+?_(of_the_first_step|of_the_step_before|after_the_update)")
CELL, LAYER = re.compile(r"\[[a-z](, [a-z])*\]"), re.compile(r"\b[a-z]+\d+\.")
COPY = re.compile(r"[^=]+[^+]= [\w.]+(\[[\w, ]*\])?")
MOST_TOLD = 4  # lines where several make the numbers


@dataclass(frozen=True)
class EditedLine(Mistake):
    """What the text says, and what a text would say that makes the answer's numbers.

    `others` are further lines that make the same numbers in this case, though not in every one, and `more` is how many
    there are beside these. `asks` is how many bits the wrong numbers of all steps have to tell.
    """

    right: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    others: tuple[tuple[str, ...], ...] = ()
    more: int = 0
    asks: float = 0.0

    @property
    def is_copy(self) -> bool:
        """Whether the line takes another array as it is."""
        return bool(self.edited) and COPY.fullmatch(self.edited[-1]) is not None

    @property
    def of_any_layer(self) -> tuple[str, ...]:
        """What it says, whatever the layer and the axes: of an array of another step only which step it is."""
        return tuple(LAYER.sub("*.", STEP.sub(r"*_\1", without_letters(each))) for each in self.edited)

    def among(self, lines: Sequence["EditedLine"]) -> "EditedLine":
        """The same beside other lines that make the numbers as well."""
        others = tuple(each.edited for each in lines)
        title = "one of these lines makes exactly these numbers" if others else self.title
        return replace(self, others=others[: MOST_TOLD - 1], more=len(others[MOST_TOLD - 1 :]), title=title)


def without_letters(line: str) -> str:
    """A line with each cell as a place, whatever its axes: activations do the same on maps and on features."""
    return CELL.sub("[place]", line)


ADVICE = {
    Kind.INDEX: "Go through the indices one by one: each letter counts what its loop says, and stands on its own axis.",
    Kind.SUM: "See what the sum runs over, where it begins, and that each turn adds (+=) and none replaces.",
    Kind.FACTOR: "Take the derivative once more for this line, factor by factor, with its sign.",
    Kind.OMISSION: "Something that the textbook's line has is missing in yours.",
    Kind.FUNCTION: "Compare the function, and its derivative, with the textbook's.",
    Kind.COMPARISON: "See which case the comparison is meant to catch, and what happens where both sides are equal.",
    Kind.WINDOW: "Draw the window on squared paper: stride moves it, dilation spreads it, padding begins before 0.",
    Kind.ARRAY: "See which array, of which layer and which step, is read here.",
}
"""What to do about each kind of edit."""


def edited(old: Sequence[str], new: Sequence[str], kind: Kind, wrong: Wrong) -> EditedLine:
    """The mistake that an edit is."""
    said = "; ".join(new)
    return EditedLine(
        id=f"edited-line: {said}",
        passes=(),
        title="one changed line makes exactly these numbers",
        advice=ADVICE[kind],
        wrong=wrong,
        right=tuple(old),
        edited=tuple(new),
        kind=kind,
    )
