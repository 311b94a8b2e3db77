"""A claim's terms held against the true ones, by value at several points: which are missing, and which are extra."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial, reduce
from typing import Any

from plaingrad.checking.claims.names import BeyondError
from plaingrad.checking.claims.tree import number, put
from plaingrad.checking.claims.value import Evaluator, agree, sized
from plaingrad.explaining.explanation import Explanation
from plaingrad.explaining.expressions import Node, is_kind
from plaingrad.explaining.term import Term, term_text
from plaingrad.explaining.terms import fold
from plaingrad.explaining.traced_numbers import CELL, Traced
from plaingrad.network.exact import Sized

MOST_TERMS, MOST_SPREAD = 200, 4  # of a claim, multiplied out; factors that are sums
Values = tuple[Sized, ...]  # of one thing, at each point


@dataclass(frozen=True)
class Part:
    """A product inside a claim: whether it is taken away, and its factors, without letters that run."""

    is_negative: bool
    factors: tuple[Node, ...]

    def value(self, evaluator: Evaluator) -> Sized:
        """What it gives at one point."""
        made = evaluator.value(Node("product", self.factors))
        return -made if self.is_negative else made

    def text(self, evaluator: Evaluator) -> str:
        """The product with its cells by their whole names."""
        text = ""
        for each in self.factors:
            is_below = each.kind == "below"
            factor = each.parts[0] if is_below else each
            name = written(factor, evaluator)
            name = f"({name})" if is_kind(factor, "sum", "neg") else name
            text += f" {'/' if is_below else '×'} {name}" if text or is_below else name
        return f"{'−' if self.is_negative else ''}{text.removeprefix(' ')}"


@dataclass(frozen=True)
class Compared:
    """The terms on one side only, each with its value here, and how many are on both."""

    missing: list[tuple[str, Values]]
    extra: list[tuple[str, Values]]
    shared: int


def compared(right: Node, evaluators: Sequence[Evaluator], explanation: Explanation) -> Compared:
    """The claim multiplied out in the way in which most of its terms are true ones."""
    true = [(term_text(each), true_values(each, evaluators)) for each in explanation.terms]
    true = [each for each in true if any(value.value for value in each[1])]
    best = Compared(true, [], 0)
    for parts in multiplied_out(right, evaluators[0]):
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


def true_values(term: Term, evaluators: Sequence[Evaluator]) -> Values:
    """A true term worked out anew at each point, its branches as they are here."""
    values = (fold(term.node, partial(leaf, each)) for each in evaluators)
    return tuple(-value if term.is_negative else value for value in values)


def leaf(evaluator: Evaluator, node: Traced) -> Any:
    """A cell or a plain number in a traced one, at another point."""
    if node.op is not CELL:
        return sized(Decimal(repr(float(node.value))))
    sheet = evaluator.names.twin.sheet_of(node.left)
    return evaluator.point[sheet.name][sheet.index(node.left)]


def multiplied_out(tree: Node, evaluator: Evaluator) -> Iterator[list[Part]]:
    """The claim as a sum of products, multiplied out in several ways: no bracket, one, more, all."""
    parts = list(summed(tree, evaluator))
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


def is_sum(tree: Node) -> bool:
    return is_kind(tree, "sum", "neg") or (tree.kind == "over" and tree.parts[0] == "Σ")


def summed(tree: Node, evaluator: Evaluator) -> Iterator[Part]:
    """The terms of a sum, every Σ written out; terms beyond an edge are none."""
    match tree:
        case Node("sum", terms):
            for each in terms:
                yield from summed(each, evaluator)
        case Node("neg", (of,)):
            for part in summed(of, evaluator):
                yield Part(not part.is_negative, part.factors)
        case Node("over", ("Σ", letter, _, _, body)):
            for at in evaluator.run(tree, {}):
                yield from summed(put(body, {letter: number(at)}), evaluator)
        case _:
            part = Part(False, tuple(factors(tree)))
            try:
                part.value(evaluator)
            except BeyondError:
                return
            yield part


def factors(tree: Node) -> Iterator[Node]:
    """The factors of a product, those of products inside it too."""
    if tree.kind == "product":
        for each in tree.parts:
            yield from factors(each)
    else:
        yield tree


def distributed(part: Part, places: Sequence[int], evaluator: Evaluator) -> Iterator[Part]:
    """A product with the sums at these places multiplied out."""
    kept = tuple(each for at, each in enumerate(part.factors) if at not in places)
    for chosen in itertools.product(*(list(summed(part.factors[at], evaluator)) for at in places)):
        is_negative = reduce(lambda sign, each: sign != each.is_negative, chosen, part.is_negative)
        yield Part(is_negative, kept + tuple(factor for each in chosen for factor in each.factors))


def written(tree: Node, evaluator: Evaluator) -> str:
    """A formula as text, with its cells by their whole names."""

    def inner(each: Node) -> str:
        text = written(each, evaluator)
        return f"({text})" if is_kind(each, "sum", "neg", "over") else text

    match tree.kind, tree.parts:
        case "number", (text,):
            return str(text)
        case "cell", _:
            sheet, place = evaluator.cell(tree, {})
            return f"{sheet.name}[{','.join(map(str, place))}]" if place else sheet.name
        case "sum" | "neg", _:
            terms = tree.parts if tree.kind == "sum" else (tree,)
            signed = (f" − {inner(each.parts[0])}" if each.kind == "neg" else f" + {inner(each)}" for each in terms)
            text = "".join(signed)
            return text[3:] if text.startswith(" + ") else f"−{text[3:]}"
        case "product", parts:
            joined = (f" / {inner(each.parts[0])}" if each.kind == "below" else f" × {inner(each)}" for each in parts)
            return "".join(joined)[3:]
        case "**", (base, exponent):
            return f"{inner(base)}^{inner(exponent)}"
        case "over", (sign, letter, *_):
            return f"{sign}[{letter}] …"
        case "if", _:
            return "…"
    return f"{tree.kind}({', '.join(written(each, evaluator) for each in tree.parts)})"
