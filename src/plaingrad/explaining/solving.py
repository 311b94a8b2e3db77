"""Where a text fills an array: which letters its place settles, and what the others run over, with exact bounds."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import gcd
from typing import Any

from plaingrad.explaining.expressions import Expression, Number, Whole
from plaingrad.explaining.indices import Boxes, Index, left_over, narrowed, quotient
from plaingrad.explaining.ranging import Compared, total, where

NOTHING = Number(0)


class UnreadError(ValueError):
    """A text does what no short formula says."""


@dataclass(frozen=True)
class Before(Expression):
    """A cell of an array that the text fills, as it is where the text comes to it: while a text is read."""

    array: str
    index: tuple[Index, ...]


@dataclass(frozen=True)
class View:
    """An array, or what is left of it once some of its axes have an index."""

    array: str
    index: tuple[Index, ...] = ()


@dataclass
class Running:
    """A number that loops add to: what it is once they are done, and their letters."""

    value: Any
    letters: tuple[str, ...] = ()
    is_open: bool = False


@dataclass(frozen=True)
class Scope:
    """Where reading has come to: the letters that run, indices that are not negative there, what holds of numbers."""

    letters: tuple[str, ...] = ()
    least: tuple[Index, ...] = ()
    conditions: tuple[Compared, ...] = ()

    def under(self, *more: "Index | Compared") -> "Scope":
        least, conditions = (tuple(x for x in more if isinstance(x, kind)) for kind in (Index, Compared))
        return replace(self, least=(*self.least, *least), conditions=(*self.conditions, *conditions))  # type: ignore[arg-type]


@dataclass
class Solved:
    """The letters of a scope that follow from the place that is filled; the others; and what must hold."""

    boxes: Boxes
    letters: list[str]
    least: list[Index]
    known: dict[str, Index] = field(default_factory=dict)
    conditions: list[Compared] = field(default_factory=list)

    def put(self, letter: str, index: Index, bounded: bool = True) -> None:
        """A letter follows: it is put in everywhere, and its bounds become conditions."""
        self.least += self._bounds_of(letter) if bounded else []
        self.letters.remove(letter)
        here = {letter: index}
        self.known = {name: each.put(here) for name, each in self.known.items()} | here
        self.least = [each.put(here) for each in self.least]

    def divided(self, letter: str, above: Index, by: int) -> None:
        """A letter follows as a quotient without remainder: conditions on it are conditions on what is divided."""
        self.conditions.append(Compared("==", Whole(left_over(above, by)), Number(0)))
        every, self.least = [*self.least, *self._bounds_of(letter)], []
        for each in every:
            share = each.share(letter)
            self.least.append(lowest((each - Index.of(letter) * share) * by + above * share) if share else each)
        self.put(letter, quotient(above, by), bounded=False)

    def _bounds_of(self, letter: str) -> list[Index]:
        low, high = self.boxes[letter]
        return [Index.of(letter) - low, Index(rest=high) - Index.of(letter)]

    def equal(self, index: Index, place: Index, used: set[str]) -> None:
        """Settle letters so that the index of a cell is the place asked for."""
        rest = index.put(self.known) - place
        inside = [letter for letter in self.letters if rest.share(letter)]
        if any(letter in self.letters for letter in rest.letters() if letter not in inside):
            raise UnreadError("a place is a rounded quotient of letters that run")
        if len(inside) > 1 and self._mixed_radix(rest, inside):
            return
        if inside:
            letter = self._chosen(rest, inside, used)
            share = rest.share(letter)
            others = (Index.of(letter) * share - rest) * (1 if share > 0 else -1)
            if abs(share) > 1:
                self.divided(letter, others, abs(share))
            else:
                self.put(letter, others)
        elif rest != Index():
            self.least += [rest, -rest]

    def _chosen(self, rest: Index, inside: list[str], used: set[str]) -> str:
        """The letter to be settled: one without a factor; of several one that is not used otherwise, else the first."""
        plain = [letter for letter in inside if abs(rest.share(letter)) == 1]
        unused = [letter for letter in plain if letter not in used]
        return (unused[-1:] or plain or sorted(inside, key=lambda each: -abs(rest.share(each))))[0]

    def _mixed_radix(self, rest: Index, inside: list[str]) -> bool:
        """Whether the letters are the digits of the place, as in (c × H + i) × W + j: each follows by division."""
        digits = sorted(inside, key=lambda each: rest.share(each))
        step = 1
        for letter in digits:
            if rest.share(letter) != step or self.boxes[letter][0] != 0:
                return False
            step *= self.boxes[letter][1] + 1
        left = -(rest - sum((Index.of(each) * rest.share(each) for each in digits), Index()))
        self.least += [left, Index(rest=step - 1) - left]
        for letter in digits[:-1]:
            length = self.boxes[letter][1] + 1
            self.put(letter, left_over(left, length), bounded=False)
            left = quotient(left, length)
        self.put(digits[-1], left, bounded=False)
        return True

    def _single(self) -> bool:
        """Whether a letter was found that its bounds leave one value: r − 1 ≤ 2i ≤ r says that i is ⌊r/2⌋."""
        for letter in self.letters:
            for low in self.least:
                share = low.share(letter)
                for high in self.least if share > 1 else ():
                    if (low + high) == Index(rest=share - 1) and letter not in set((low + high).letters()):
                        self.put(letter, quotient(high + Index.of(letter) * share, share))
                        return True
        return False

    def over(self, body: Expression, data: tuple[Compared, ...], other: Expression = NOTHING) -> Expression:
        """Σ of an expression over the letters that are left, within their bounds; what else it is, where none runs."""
        while self._single():
            pass
        body = body.put(self.known)
        inner = [*(each.put(self.known) for each in data), *self.conditions]
        bounds, outer = self.bounds()
        if inner:
            body = where(tuple(inner), body, other)
        for letter in reversed(self.letters):
            body = total(Index.of(letter), *bounds[letter], body)
        return where(tuple(outer), body, other) if outer else body

    def bounds(self) -> tuple[dict[str, tuple[tuple[Index, ...], tuple[Index, ...]]], list[Compared]]:
        """The lower and upper bounds of each letter that is left, and what must hold of the place itself."""
        lows = {each: [Index(rest=self.boxes[each][0])] for each in self.letters}
        highs = {each: [Index(rest=self.boxes[each][1])] for each in self.letters}
        outer: list[Compared] = []
        for each in self.asked():
            inside = [letter for letter in self.letters if letter in set(each.letters())]
            if not inside:
                outer.append(condition(each))
                continue
            letter = inside[-1]
            share = each.share(letter)
            if not share or letter in set((each - Index.of(letter) * share).letters()):
                raise UnreadError("the bounds of a letter are rounded quotients of it")
            rest = each - Index.of(letter) * share
            if share > 0:
                lows[letter].append(quotient(-rest, share, "⌈"))
            else:
                highs[letter].append(quotient(rest, -share))
        return {
            each: (narrowed(lows[each], self.boxes, 1), narrowed(highs[each], self.boxes, -1)) for each in lows
        }, outer

    def asked(self) -> Iterator[Index]:
        """What is not sure not to be negative."""
        yield from (each for each in dict.fromkeys(self.least) if each.bounds(self.boxes)[0] < 0)


def lowest(least: Index) -> Index:
    """The simplest index that is not negative where this one is not: 3r + 4 ≥ 0 where r + 1 ≥ 0."""
    by = gcd(*(share for _, share in least.shares)) if least.shares else 1
    return Index(tuple((atom, share // by) for atom, share in least.shares), least.rest // by)


def condition(least: Index) -> Compared:
    """That an index is not negative, as it is read best: what is added on the left, what is taken off on the right."""
    left = Index(tuple(each for each in least.shares if each[1] > 0))
    right = Index(tuple((atom, -share) for atom, share in least.shares if share < 0))
    if left.shares:
        return Compared(">=", Whole(left), Whole(right - least.rest))
    return Compared("<=", Whole(right), Whole(Index(rest=least.rest)))
