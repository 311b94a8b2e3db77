"""A verdict in the names of the one who asked, where the case behind it has others.

A case has its activations as layers of their own, which counts its layers anew: what a fused convolution leaves is the
`y` of a `relu1` there, and the error behind its ReLU is that layer's `dx`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from plaingrad.checking.answers.answer import Answer
from plaingrad.checking.case import Case
from plaingrad.checking.check import check_answer
from plaingrad.checking.search.names import name_of, plainly
from plaingrad.checking.verdict.verdict import Verdict
from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError
from plaingrad.network.network import Network


class Names:
    """Pairs of names without their step: the asker's, and the case's."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.inner = dict(pairs)
        self.own = {inner: own for own, inner in reversed(self.inner.items())}  # the first of two that mean the same
        longest = sorted(map(re.escape, self.own), key=len, reverse=True)
        self.pattern = re.compile(rf"(?<!\w)({'|'.join(longest)})(?!\w)( {{2,}})?") if self.own else None

    def in_text(self, text: str) -> str:
        """A text with the asker's names; the columns of a table stay where they are."""
        return self.pattern.sub(self._renamed, text) if self.pattern else text

    def _renamed(self, found: re.Match[str]) -> str:
        own = self.own[found[1]]
        return f"{own:<{len(found[0]) - 2}}  " if found[2] else own

    def everywhere(self, value: Any) -> Any:
        """What JSON can hold, with the asker's names in every text."""
        if isinstance(value, dict):
            return {key: self.everywhere(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.everywhere(each) for each in value]
        return self.in_text(value) if isinstance(value, str) else value

    def translated(self, answer: Answer) -> Answer:
        """The answer in the case's names; a note for each that is no name of the asker's."""
        lower = {name.lower(): name for name in self.inner}
        arrays: dict[str, Array] = {}
        unread: dict[str, str] = {}
        notes = list(answer.notes)
        for name in (*answer.arrays, *answer.unread):
            plain = plainly(name)
            begin = re.match(r"step\d+\.", plain)
            step = begin[0] if begin else ""
            plain = plain.removeprefix(step)
            if plain in lower:
                own = step + self.inner[lower[plain]]
                if name in answer.arrays:
                    arrays[own] = answer.arrays[name]
                else:
                    unread[own] = answer.unread[name]
                continue
            near = get_close_matches(plain, lower, 1)
            hint = f"did you mean {step}{lower[near[0]]}?" if near else f"there are {', '.join(self.inner)}"
            notes.append(f"{name} is not a quantity of this network and was left out; {hint}")
        if not arrays and not unread:
            raise AnswerError(f"the answer contains no quantity of this network; {notes[-1]}")
        return Answer(arrays, tuple(notes), unread)


def names_of(net: Network, separate: Network) -> Names:
    """The names of a network beside those of the same network with its activations taken apart."""
    pairs: dict[str, str] = {}
    inner = iter(separate.steps)
    for name, step in net.steps.items():
        first = last = next(inner)
        if getattr(step.layer, "activation", None):
            last = next(inner)
            pairs |= {f"{name}.dz": f"{last}.dx", f"{name}.z": f"{first}.y"}
        pairs |= {f"{name}.y": f"{last}.y", f"{name}.dx": f"{first}.dx", f"{name}.dy": f"{last}.dy"}
        for weight in step.weights:
            pairs |= {f"{name}.{each}": f"{first}.{each}" for each in (weight, "d" + weight)}
        own = [*step.state, *(["dskip"] if step.layer.skips() else [])]
        pairs |= {f"{name}.{each}": f"{first}.{each}" for each in own}
    return Names(pairs | {name: name for name in ("loss", "loss.y", "loss.dx")})


@dataclass(repr=False)
class OwnVerdict(Verdict):
    """A verdict in the asker's names; its findings keep the keys of the case.

    A name of the asker's may be another array's name in the case, so that nothing is translated twice: words are made
    of `plain`, which is the verdict in the case's names and has no notes.
    """

    names: Names
    plain: Verdict

    @property
    def first_wrong(self) -> str | None:
        """The first array, in the order of computing, that is wrong by itself."""
        first = self.plain.first_wrong
        return None if first is None else self.names.in_text(first)

    def text(self, every: bool = False) -> str:
        """The verdict in words; with a line for `every` quantity, or for those that are wrong and a few others."""
        headline, *lines = self.names.in_text(self.plain.text(every)).split("\n")
        return "\n".join([headline, *(f"  note: {note}" for note in self.notes), *lines])

    def to_json(self) -> dict[str, Any]:
        """The verdict as an object."""
        told: dict[str, Any] = self.names.everywhere(self.plain.to_json())
        return told | {"notes": self.notes}


def check_own(
    case: Case, answer: Answer, names: Names, left_out: frozenset[str] = frozenset(),
    judged: Callable[[Verdict], Verdict] = lambda verdict: verdict,
) -> OwnVerdict:  # fmt: skip
    """The verdict on an answer in the asker's names, as `judged` sees it.

    AnswerError, in these names too, where it cannot be compared.
    """
    translated = names.translated(answer)
    try:
        plain = judged(check_answer(case, Answer(translated.arrays, unread=translated.unread), left_out))
    except AnswerError as error:
        raise AnswerError(names.in_text(str(error))) from None
    notes = [*translated.notes, *map(names.in_text, plain.notes)]
    plain.notes = []
    mistakes, conventions = (
        [replace(each, name_of=lambda key: names.in_text(name_of(key))) for each in part]
        for part in (plain.mistakes, plain.conventions)
    )
    rows = [replace(row, name=names.in_text(row.name)) for row in plain.rows]
    parts = {"mistakes": mistakes, "conventions": conventions, "rows": rows, "notes": notes}
    return OwnVerdict(**vars(plain) | parts, names=names, plain=plain)
