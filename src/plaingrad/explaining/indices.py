"""Indices: whole numbers made of letters, such as 2i + u − 1 and ⌊k/2⌋, kept exact; and their bounds.

What a division leaves over, m mod 4, is m − 4⌊m/4⌋, and ⌈m/4⌉ is −⌊−m/4⌋: so they are kept, and told when shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

from plaingrad.explaining.notation import Tree, bracketed, number_text

Boxes = Mapping[str, tuple[int, int]]  # the least and the largest value of each letter
Atom = str | tuple["Index", int]  # a letter, or an index that is divided by a number and rounded down


@dataclass(frozen=True)
class Index:
    """Atoms, each times a whole number, and a number besides; alone, that may be any number."""

    shares: tuple[tuple[Atom, int], ...] = ()
    rest: float = 0

    @staticmethod
    def of(atom: Atom) -> "Index":
        return Index(((atom, 1),))

    def __add__(self, other: "Index | float") -> "Index":
        if not isinstance(other, Index):
            return Index(self.shares, self.rest + other)
        found = dict(self.shares)
        for atom, share in other.shares:
            found[atom] = found.get(atom, 0) + share
        return Index(tuple(each for each in found.items() if each[1]), self.rest + other.rest)

    def __mul__(self, number: int) -> "Index":
        return Index(tuple((atom, share * number) for atom, share in self.shares if number), self.rest * number)

    def __neg__(self) -> "Index":
        return self * -1

    def __sub__(self, other: "Index | float") -> "Index":
        return self + -other

    def __floordiv__(self, by: int) -> "Index":
        """Divided and rounded down: whole multiples come out, ⌊(2i + u)/2⌋ is i + ⌊u/2⌋, and ⌊⌊m/4⌋/3⌋ is ⌊m/12⌋."""
        whole = Index(tuple((atom, share // by) for atom, share in self.shares if share % by == 0))
        rest = Index(tuple(each for each in self.shares if each[1] % by), self.rest)
        if not rest.shares:
            return whole + rest.rest // by
        atom = rest.shares[0][0]
        if not isinstance(atom, str) and rest == Index.of(atom):
            return whole + atom[0] // (atom[1] * by)
        return whole + Index.of((rest, by))

    def __mod__(self, by: int) -> "Index":
        return self - self // by * by

    __radd__, __rmul__ = __add__, __mul__

    def share(self, atom: Atom) -> int:
        return dict(self.shares).get(atom, 0)

    def letters(self) -> Iterator[str]:
        """Every letter, those in quotients too."""
        for atom, _ in self.shares:
            yield from [atom] if isinstance(atom, str) else atom[0].letters()

    def put(self, known: Mapping[str, "Index"]) -> "Index":
        """The index with others in place of letters."""
        found: Index = Index() + self.value({each: known.get(each, Index.of(each)) for each in self.letters()})
        return found

    def value(self, letters: Mapping[str, Any]) -> Any:
        """The number, for numbers or arrays of numbers in place of the letters."""
        total: Any = self.rest
        for atom, share in self.shares:
            total = total + share * (letters[atom] if isinstance(atom, str) else atom[0].value(letters) // atom[1])
        return total

    def bounds(self, boxes: Boxes) -> tuple[int, int]:
        """The least and the largest it can be; with quotients of one letter perhaps less and more."""
        low = high = int(self.rest)
        for atom, share in self.shares:
            ends = boxes[atom] if isinstance(atom, str) else [end // atom[1] for end in atom[0].bounds(boxes)]
            low, high = low + min(share * end for end in ends), high + max(share * end for end in ends)
        return low, high

    def remainder(self) -> tuple[int, "Index", int] | None:
        """How often which index mod which number is a part of this one, if any is."""
        for atom, share in self.shares:
            for by in range(2, 1 - share):
                if not isinstance(atom, str) and share % by == 0 and atom[1] % by == 0:
                    whole, times = atom[0] // (atom[1] // by), -share // by
                    if all(self.share(each) == times * own for each, own in whole.shares):
                        return times, whole, by
        return None

    def pieces(self, named: Mapping[str, str]) -> list[tuple[float, Tree]]:
        """What is added up: how often, and what it is."""
        if found := self.remainder():
            times, whole, by = found
            left = Index(tuple(each for each in whole.shares if each[1] % by), whole.rest % by)
            made = ["mrow", bracketed(left.tree(named), left.is_sum), ["mo", "mod"], number(by)]
            rest = (self - whole % by * times).pieces(named)
            return [(times, bracketed(made, times != 1 or rest != [])), *rest]
        pieces: list[tuple[float, Tree]] = []
        for atom, share in self.shares:
            if isinstance(atom, str):
                pieces.append((share, named.get(atom, atom)))
                continue
            of, by = atom
            is_up = share < 0 and min(of.rest, *(own for _, own in of.shares)) < 0
            signs = ("⌈", -of, "⌉") if is_up else ("⌊", of, "⌋")
            made = ["mrow", ["mo", signs[0]], ["mfrac", signs[1].tree(named), number(by)], ["mo", signs[2]]]
            pieces.append((-share if is_up else share, made))
        return [*pieces, (self.rest, None)] if self.rest else pieces

    @property
    def is_sum(self) -> bool:
        pieces = self.pieces({})
        return len(pieces) > 1 or any(share < 0 for share, tree in pieces if tree)

    def tree(self, named: Mapping[str, str]) -> Tree:
        """The index as it is shown: what is added first, then what is taken off."""
        parts: list[Tree] = []
        for share, tree in sorted(self.pieces(named), key=lambda each: each[0] < 0):
            parts += [["mo", "+" if share > 0 else "−"]] if parts or share < 0 else []
            parts += [number(abs(share))] if not tree or abs(share) != 1 else []
            parts += [tree] if tree else []
        return ["mrow", *parts] if len(parts) > 1 else parts[0] if parts else number(0)


def number(value: float) -> Tree:
    """A number without its sign: whole, or to the digits that tell it."""
    return ["mn", number_text(value if value % 1 else int(value), 6 if float(f"{value:.6g}") == value else 17)]


def simplest(least: Index) -> Index:
    """The simplest index that is not negative where this one is not: r + 1 for 3r + 4, and 7 − r for 3 − ⌊r/2⌋."""
    by = gcd(*(share for _, share in least.shares)) or 1
    least = Index(tuple((atom, share // by) for atom, share in least.shares), least.rest // by)
    for atom, share in least.shares:
        if not isinstance(atom, str) and abs(share) == 1:
            rest = (least - Index.of(atom) * share) * atom[1]
            return simplest(rest + atom[0] if share > 0 else rest + (atom[1] - 1) - atom[0])
    return least


def needed(bounds: list[Index], boxes: Boxes, sign: int) -> tuple[Index, ...]:
    """Of several lower bounds (sign 1) or upper ones (−1) those that are needed."""
    for place, each in enumerate(bounds):
        others = bounds[:place] + bounds[place + 1 :]
        if any(((other - each) * sign).bounds(boxes)[0] >= 0 for other in others):
            return needed(others, boxes, sign)
    return tuple(bounds)
