"""Indices: whole numbers made of letters, such as 2i + u − 1, ⌊k/2⌋ and m mod 12, kept exact; and their bounds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plaingrad.explaining.notation import Tree, bracketed, number_text

Boxes = Mapping[str, tuple[int, int]]  # the least and the largest value of each letter


@dataclass(frozen=True)
class Part:
    """A quotient rounded down or up, or what a division leaves over: `kind` is ⌊, ⌈ or mod."""

    kind: str
    of: "Index"
    by: int

    def tree(self, named: Mapping[str, str]) -> Tree:
        above = self.of.tree(named)
        if self.kind == "mod":
            return ["mrow", bracketed(above, self.of.is_sum), ["mo", "mod"], ["mn", str(self.by)]]
        return [
            "mrow",
            ["mo", self.kind],
            ["mfrac", above, ["mn", str(self.by)]],
            ["mo", {"⌊": "⌋", "⌈": "⌉"}[self.kind]],
        ]

    def value(self, letters: Mapping[str, Any]) -> Any:
        inner = self.of.value(letters)
        return inner % self.by if self.kind == "mod" else inner // self.by if self.kind == "⌊" else -(-inner // self.by)

    def bounds(self, boxes: Boxes) -> tuple[int, int]:
        low, high = self.of.bounds(boxes)
        if self.kind == "mod" and (low < 0 or high >= self.by):
            return 0, self.by - 1
        return self.value_of(low), self.value_of(high)

    def value_of(self, inner: int) -> int:
        return int(Part(self.kind, Index(rest=inner), self.by).value({}))


@dataclass(frozen=True)
class Index:
    """Letters and rounded quotients, each times a whole number, and a number besides."""

    shares: tuple[tuple["str | Part", int], ...] = ()
    rest: int = 0

    @staticmethod
    def of(letter: "str | Part") -> "Index":
        return Index(((letter, 1),))

    def __add__(self, other: "Index | int") -> "Index":
        if isinstance(other, int):
            return Index(self.shares, self.rest + other)
        found = dict(self.shares)
        for atom, share in other.shares:
            found[atom] = found.get(atom, 0) + share
        for atom, share in list(found.items()):  # what is left over, and the multiple it was left of, are the whole
            if isinstance(atom, Part) and atom.kind == "mod" and share:
                whole = quotient(atom.of, atom.by)
                if (
                    whole.shares
                    and found.get(whole.shares[0][0], 0) == share * atom.by
                    and whole == Index.of(whole.shares[0][0])
                ):
                    del found[atom], found[whole.shares[0][0]]
                    return (
                        Index(tuple(each for each in found.items() if each[1]), self.rest + other.rest)
                        + atom.of * share
                    )
        return Index(tuple(each for each in found.items() if each[1]), self.rest + other.rest)

    def __mul__(self, number: int) -> "Index":
        return Index(tuple((atom, share * number) for atom, share in self.shares if number), self.rest * number)

    def __neg__(self) -> "Index":
        return self * -1

    def __sub__(self, other: "Index | int") -> "Index":
        return self + -other

    @property
    def letter(self) -> str | None:
        """The letter that this simply is."""
        if len(self.shares) == 1 and self.shares[0][1] == 1 and not self.rest and isinstance(self.shares[0][0], str):
            return self.shares[0][0]
        return None

    @property
    def is_sum(self) -> bool:
        return len(self.shares) + bool(self.rest) > 1 or any(share < 0 for _, share in self.shares)

    def share(self, letter: str) -> int:
        return dict(self.shares).get(letter, 0)

    def letters(self) -> Iterator[str]:
        """Every letter, those in quotients too."""
        for atom, _ in self.shares:
            yield from [atom] if isinstance(atom, str) else atom.of.letters()

    def put(self, known: Mapping[str, "Index"]) -> "Index":
        """The index with others in place of letters."""
        found = Index(rest=self.rest)
        for atom, share in self.shares:
            if isinstance(atom, str):
                found += known.get(atom, Index.of(atom)) * share
            else:
                inner = atom.of.put(known)
                found += (
                    left_over(inner, atom.by) if atom.kind == "mod" else quotient(inner, atom.by, atom.kind)
                ) * share
        return found

    def value(self, letters: Mapping[str, Any]) -> Any:
        """The number, for numbers or arrays of numbers in place of the letters."""
        total: Any = self.rest
        for atom, share in self.shares:
            total = total + share * (letters[atom] if isinstance(atom, str) else atom.value(letters))
        return total

    def bounds(self, boxes: Boxes) -> tuple[int, int]:
        """The least and the largest it can be; with quotients of one letter perhaps less and more."""
        low = high = self.rest
        for atom, share in self.shares:
            ends = [share * end for end in (boxes[atom] if isinstance(atom, str) else atom.bounds(boxes))]
            low, high = low + min(ends), high + max(ends)
        return low, high

    def tree(self, named: Mapping[str, str]) -> Tree:
        """The index as it is shown: what is added first, then what is taken off."""
        parts: list[Tree] = []
        for atom, share in sorted([*self.shares, ("", self.rest)], key=lambda each: each[1] < 0):
            if not share:
                continue
            if parts or share < 0:
                parts.append(["mo", "+" if share > 0 else "−"])
            if not atom or abs(share) != 1:
                parts.append(["mn", number_text(abs(share))])
            if isinstance(atom, Part):
                is_alone = self == Index.of(atom)
                parts.append(bracketed(atom.tree(named), atom.kind == "mod" and not is_alone))
            elif atom:
                parts.append(named.get(atom, atom))
        return ["mrow", *parts] if len(parts) > 1 else parts[0] if parts else ["mn", "0"]


def quotient(index: Index, by: int, kind: str = "⌊") -> Index:
    """An index divided by a number and rounded: whole multiples come out, ⌊(2i + u)/2⌋ is i + ⌊u/2⌋."""
    whole = Index(tuple((atom, share // by) for atom, share in index.shares if share % by == 0))
    rest = Index(tuple(each for each in index.shares if each[1] % by), index.rest)
    if not rest.shares:
        return whole + (rest.rest // by if kind == "⌊" else -(-rest.rest // by))
    (atom, share), *others = rest.shares
    if kind == "⌊" and isinstance(atom, Part) and atom.kind == "⌊" and share == 1 and not others and not rest.rest:
        return whole + quotient(atom.of, atom.by * by)  # ⌊⌊m/4⌋/3⌋ is ⌊m/12⌋
    return whole + Index.of(Part(kind, rest, by))


def left_over(index: Index, by: int) -> Index:
    """What is left over of an index divided by a number."""
    rest = Index(tuple(each for each in index.shares if each[1] % by), index.rest % by if by else 0)
    return Index.of(Part("mod", rest, by)) if rest.shares else Index(rest=rest.rest % by)


def narrowed(bounds: list[Index], boxes: Boxes, sign: int) -> tuple[Index, ...]:
    """Of several lower bounds (sign 1) or upper ones (−1) those that are needed."""
    kept: list[Index] = []
    for place, each in enumerate(bounds):
        others = [*kept, *bounds[place + 1 :]]
        if not any(((other - each) * sign).bounds(boxes)[0] >= 0 for other in others):
            kept.append(each)
    return tuple(kept)


def axis_letters(sizes: tuple[int, ...], has_images: bool) -> str:
    """A letter for each axis of an array that a text walks place by place."""
    if not has_images:
        return {4: "kcuv", 2: "kc", 1: "k"}.get(len(sizes), "mpqrst"[: len(sizes)])
    return {4: "ncij", 3: "cij", 2: "nk", 1: "k"}.get(len(sizes), "mpqrst"[: len(sizes)])
