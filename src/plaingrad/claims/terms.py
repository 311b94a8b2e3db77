"""A claim's terms held against the true ones, by value at several points: which are missing, and which are extra."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

from plaingrad.claims.tree import Apply, Name, Number, Over, Power, Product, Sum, Tree
from plaingrad.claims.value import BeyondError, Evaluator, Letters, Point, agree, sized
from plaingrad.exact import Sized
from plaingrad.explaining.explanation import Explanation, term_text
from plaingrad.explaining.terms import fold
from plaingrad.trace import CELL, Traced

MOST_TERMS, MOST_SPREAD = 200, 4  # of a claim, multiplied out; factors that are sums
Values = tuple[Sized, ...]  # of one thing, at each point


@dataclass(frozen=True)
class Part:
    """A product inside a claim: its sign and its factors, each with whether it is divided by and what letters mean."""

    negative: bool
    factors: tuple[tuple[bool, Tree, Letters], ...]

    def value(self, evaluator: Evaluator) -> Sized:
        """What it gives at one point."""
        made = sized(-1 if self.negative else 1)
        for below, tree, letters in self.factors:
            value = evaluator.value(tree, letters)
            made = made / value if below else made * value
        return made

    def text(self, evaluator: Evaluator) -> str:
        """The product with its cells by their whole names."""
        text = ""
        for below, tree, letters in self.factors:
            name = written(tree, letters, evaluator)
            name = f"({name})" if isinstance(tree, Sum) else name
            text += f" {'/' if below else '×'} {name}" if text or below else name
        return f"{'−' if self.negative else ''}{text.removeprefix(' ')}"


@dataclass(frozen=True)
class Compared:
    """The terms on one side only, each with its value here, and how many are on both."""

    missing: list[tuple[str, Values]]
    extra: list[tuple[str, Values]]
    shared: int


def compared(right: Tree, letters: Letters, evaluators: Sequence[Evaluator], explanation: Explanation) -> Compared:
    """The claim multiplied out in the way in which most of its terms are true ones."""
    true = [(term_text(each), true_values(each, evaluators)) for each in explanation.terms]
    true = [each for each in true if any(value.value for value in each[1])]
    best = Compared(true, [], 0)
    for parts in multiplied_out(right, letters, evaluators[0]):
        if len(parts) > MOST_TERMS or len(true) > MOST_TERMS:
            continue
        found = [(part, tuple(part.value(each) for each in evaluators)) for part in parts]
        missing, extra = list(true), []
        for part, values in found:
            twin = next((each for each in missing if all(map(agree, each[1], values))), None)
            if twin is not None:
                missing.remove(twin)
            elif any(value.value for value in values):
                extra.append((part, values))
        shared = len(true) - len(missing)
        if shared > best.shared:
            best = Compared(missing, [(part.text(evaluators[0]), values) for part, values in extra], shared)
    return best


def true_values(term: Any, evaluators: Sequence[Evaluator]) -> Values:
    """A true term worked out at each point, its branches as they are here."""
    values = (true_value(term.node, each) for each in evaluators)
    return tuple(-value if term.is_negative else value for value in values)


def true_value(node: Traced, evaluator: Evaluator) -> Sized:
    """A traced number worked out anew at another point."""
    twin = evaluator.names.twin

    def leaf(each: Traced) -> Sized:
        if each.op is not CELL:
            return sized(Decimal(repr(float(each.value))))
        sheet = twin.sheet_of(each.left)
        number: Sized = cell_of(evaluator.point, sheet.name, sheet.index(each.left))
        return number

    number: Sized = fold(node, leaf)
    return number


def cell_of(point: Point, name: str, place: tuple[int, ...]) -> Any:
    return point[name][place]


def multiplied_out(tree: Tree, letters: Letters, evaluator: Evaluator) -> Iterator[list[Part]]:
    """The claim as a sum of products, multiplied out in several ways: no bracket, one, more, all."""
    parts = list(summed(tree, letters, evaluator))
    yield parts
    sums = [[at for at, each in enumerate(part.factors) if is_sum(each)] for part in parts]
    if len(parts) == 1:
        chosen = sums[0][:MOST_SPREAD]
        for count in range(1, len(chosen) + 1):
            for places in itertools.combinations(chosen, count):
                yield list(itertools.islice(distributed(parts[0], places, evaluator), MOST_TERMS + 1))
    elif any(sums):
        spread = (distributed(part, own[:MOST_SPREAD], evaluator) for part, own in zip(parts, sums, strict=True))
        yield list(itertools.islice(itertools.chain.from_iterable(spread), MOST_TERMS + 1))


def is_sum(factor: tuple[bool, Tree, Letters]) -> bool:
    below, tree, _ = factor
    return not below and (isinstance(tree, Sum) or (isinstance(tree, Over) and tree.sign == "Σ"))


def summed(tree: Tree, letters: Letters, evaluator: Evaluator) -> Iterator[Part]:
    """The terms of a sum, every Σ written out; terms beyond an edge are none."""
    if isinstance(tree, Sum):
        for negative, term in tree.terms:
            for part in summed(term, letters, evaluator):
                yield Part(part.negative != negative, part.factors)
    elif isinstance(tree, Over) and tree.sign == "Σ":
        for letter in evaluator.run(tree, letters):
            yield from summed(tree.body, {**letters, tree.letter: letter}, evaluator)
    else:
        part = Part(False, tuple(factors(tree, letters)))
        try:
            part.value(evaluator)
        except BeyondError:
            return
        yield part


def factors(tree: Tree, letters: Letters) -> Iterator[tuple[bool, Tree, Letters]]:
    """The factors of a product, those of products inside it too."""
    if not isinstance(tree, Product):
        yield False, tree, letters
        return
    for below, each in tree.factors:
        if isinstance(each, Product) and not below:
            yield from factors(each, letters)
        else:
            yield below, each, letters


def distributed(part: Part, places: Sequence[int], evaluator: Evaluator) -> Iterator[Part]:
    """A product with the sums at these places multiplied out."""
    kept = tuple(each for at, each in enumerate(part.factors) if at not in places)
    sums = [list(summed(part.factors[at][1], part.factors[at][2], evaluator)) for at in places]
    for chosen in itertools.product(*sums):
        negative = reduce(lambda sign, each: sign != each.negative, chosen, part.negative)
        yield Part(negative, kept + tuple(factor for each in chosen for factor in each.factors))


def written(tree: Tree, letters: Letters, evaluator: Evaluator) -> str:
    """A formula as text, with its cells by their whole names."""

    def inner(each: Tree) -> str:
        text = written(each, letters, evaluator)
        return f"({text})" if isinstance(each, Sum | Over) else text

    match tree:
        case Number(text):
            return text
        case Name(name, ()) if name in letters:
            return str(letters[name])
        case Name():
            sheet, place = evaluator.cell(tree, letters)
            return f"{sheet.name}[{','.join(map(str, place))}]" if place else sheet.name
        case Sum():
            signed = (f"{' − ' if negative else ' + '}{inner(each)}" for negative, each in tree.terms)
            text = "".join(signed)
            return text[3:] if text.startswith(" + ") else f"−{text[3:]}"
        case Product():
            signed = (f"{' / ' if below else ' × '}{inner(each)}" for below, each in tree.factors)
            return "".join(signed)[3:]
        case Power():
            return f"{inner(tree.base)}^{inner(tree.exponent)}"
        case Apply():
            return f"{tree.function}({', '.join(written(each, letters, evaluator) for each in tree.given)})"
        case Over():
            return f"{tree.sign}[{tree.letter}] …"
    return "…"
