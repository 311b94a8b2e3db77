"""Where a text fills an array: which letters its place settles, and what the others run over, with exact bounds."""

from collections.abc import Sequence
from itertools import product

from plaingrad.explaining.expressions import ZERO, Expression, Node, UnreadError, changed, every
from plaingrad.explaining.indices import Boxes, Index, needed, simplest


class Solved:
    """The letters of loops that follow from the place that is filled, the others, and what must hold.

    `least` are indices that are not negative, `known` what letters follow as.
    """

    def __init__(self, boxes: Boxes, letters: Sequence[str], holds: Sequence[Node]) -> None:
        self.boxes, self.letters, self.known = boxes, [*letters], dict[str, Index]()
        self.least, self.conditions = list[Index](), list[Node]()
        for each in holds:
            one, two = each.parts
            if isinstance(one, Index) and isinstance(two, Index) and each.kind != "!=":
                difference = two - one if each.kind in ("<", "<=") else one - two
                self.least += [difference - (each.kind in ("<", ">"))] + [-difference] * (each.kind == "==")
            else:
                self.conditions.append(each)

    def settle(self, index: Sequence[Index], place: Sequence[Index], body: Expression) -> None:
        """Settle letters so that the index of a cell is the place asked for."""
        for each, own in sorted(zip(index, place, strict=True), key=lambda pair: len(pair[0].shares)):
            self.equal(each.put(self.known) - own, body)
        while self.single():
            pass

    def equal(self, rest: Index, body: Expression) -> None:
        """One letter follows from what is 0: one without a factor, and of several that which leaves the body short."""
        inside = [letter for letter in self.letters if rest.share(letter)]
        quotients = [atom for atom, _ in rest.shares if not isinstance(atom, str)]
        running = [letter for atom in quotients for letter in atom[0].letters() if letter in self.letters]
        if running and (inside or len(running) > 1):
            raise UnreadError("a place is a rounded quotient of letters that run")
        if not inside:  # a letter in a quotient runs as far as this leaves it room: ⌊c/2⌋ is g for 2g ≤ c ≤ 2g + 1
            self.least += [rest, -rest]
            return

        choices = []
        for letter in inside:
            share = rest.share(letter)
            above, by = (Index.of(letter) * share - rest) * (1 if share > 0 else -1), abs(share)
            made = changed((body, *self.conditions), {**self.known, letter: above // by})
            indices = (each for each in every(made) if isinstance(each, Index))
            length = sum(len([*each.letters()]) + bool(each.rest) for each in indices)
            choices.append(((by > 1, -by, length), letter, above, by))
        _, letter, above, by = min(choices, key=lambda each: each[0])
        if by > 1:
            self.conditions.append(Node("==", (above % by, ZERO)))
        self.least += self.box(letter)
        for at, each in enumerate(self.least):
            if share := each.share(letter):
                self.least[at] = each * by + (above - Index.of(letter) * by) * share
        self.put(letter, above // by)

    def box(self, letter: str) -> list[Index]:
        low, high = self.boxes[letter]
        return [Index.of(letter) - low, Index(rest=high) - Index.of(letter)]

    def put(self, letter: str, index: Index) -> None:
        """A letter follows: it is put in everywhere."""
        self.letters.remove(letter)
        here = {letter: index}
        self.known = {name: each.put(here) for name, each in self.known.items()} | here
        self.least = [each.put(here) for each in self.least]

    def single(self) -> bool:
        """Whether a letter was found that its bounds leave one value: r − 1 ≤ 2i ≤ r says that i is ⌊r/2⌋."""
        for letter, low, high in product(self.letters, self.least, self.least):
            share = low.share(letter)
            if share > 0 and low + high == Index(rest=share - 1):
                one = (high + Index.of(letter) * share) // share
                if letter not in one.letters():
                    self.least = [each for each in (*self.least, *self.box(letter)) if each not in (low, high)]
                    self.put(letter, one)
                    return True
        return False

    def over(self, sign: str, body: Expression, other: Expression = ZERO) -> Expression:
        """Σ, the max or the first over the letters that are left; what else it is, where none runs."""
        bounds = {each: [[Index(rest=end)] for end in self.boxes[each]] for each in self.letters}
        inner, outer = changed(tuple(self.conditions), self.known), tuple[Node, ...]()
        for each in dict.fromkeys(map(simplest, self.least)):
            if each.bounds(self.boxes)[0] >= 0:
                continue
            letter = next((letter for letter in reversed(self.letters) if letter in each.letters()), None)
            if letter is None:
                outer += (condition(each),)
                continue
            share = each.share(letter)
            rest = each - Index.of(letter) * share
            if not share or letter in rest.letters():
                raise UnreadError("the bounds of a letter are rounded quotients of it")
            bounds[letter][share < 0].append(-(rest // share) if share > 0 else rest // -share)
        if sign != "Σ" and (inner or outer):
            raise UnreadError("a search that not every place makes")
        body = changed(body, self.known)
        if self.letters and inner:
            body, inner = Node("if", (inner, body, other)), ()
        for letter in reversed(self.letters):
            lows, highs = (needed(each, self.boxes, way) for each, way in zip(bounds[letter], (1, -1), strict=True))
            body = Node("over", (sign, letter, Node("max", lows), Node("min", highs), body))
        return Node("if", (outer + inner, body, other)) if outer or inner else body

    def largest(self, body: Expression, before: Expression | None) -> Expression:
        """The largest over these letters; UnreadError where another number was there before than the first of them."""
        if before not in (None, changed(body, {each: Index(rest=self.boxes[each][0]) for each in self.letters})):
            raise UnreadError("a search that begins with another number")
        return self.over("max", body)


def condition(least: Index) -> Node:
    """That an index is not negative, as it is read best: what is added on the left, what is taken off on the right."""
    left, right = (Index(tuple((atom, abs(n)) for atom, n in least.shares if (n > 0) == way)) for way in (True, False))
    return Node(">=", (left, right - least.rest)) if left.shares else Node("<=", (right, Index(rest=least.rest)))
