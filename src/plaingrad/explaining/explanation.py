"""One number, explained: its terms, their factors, the reasons for each branch, and where to go next."""

import decimal
import html
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from plaingrad.explaining.general import described
from plaingrad.explaining.notation import Tree, as_latex, as_mathml, as_text, number_text, tree_of
from plaingrad.explaining.questions import behind_number
from plaingrad.explaining.reasons import sentences
from plaingrad.explaining.term import Factor, Term, term_text, values_text
from plaingrad.explaining.terms import fold, product, summands, visible
from plaingrad.explaining.traced_numbers import CELL, NAMED, NUMBER, Traced
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet
from plaingrad.explaining.words import about
from plaingrad.network.exact import Sized
from plaingrad.textbook.notebook import Markup, table

MOST_SHOWN = 12  # terms, unless all are wanted
MOST_ADDED = 3  # in a sum inside a term, unless all are wanted


class Explanation:
    """Where one number of a run comes from. Printed, it says so; `to_json` says it to programs.

    `value` is the float64 run of the plain loops, to the last bit the sum of `terms` in their order; `run_value` is the
    number of the run that is explained, and `bound` how far rounding may take the two apart (nan where it cannot say).
    """

    def __init__(self, tracer: Tracer, cell: int, node: Traced | None) -> None:
        self.tracer, self.twin, self.cell, self.node, self.asked = tracer, tracer.twin, cell, node, ""
        self.sheet: Sheet = self.twin.sheet_of(cell)
        self.quantity = self.twin.name(cell)
        self.value = self.twin.value(cell) if node is None else node.value

    def __repr__(self) -> str:
        return f"<Explanation of {self.quantity} = {self.value!r}>"

    def __str__(self) -> str:
        return self.text()

    @property
    def about(self) -> str:
        """One sentence: what this number is."""
        return about(self.twin, self.sheet)

    @cached_property
    def run_value(self) -> float | None:
        """The number of the run that is explained; None where it holds none."""
        values = self.twin.run_values(self.sheet)
        return None if values is None else float(values[self.cell - self.sheet.start])

    @cached_property
    def terms(self) -> list[Term]:
        """What is added up, in the order in which it is added."""
        return [self._term(*each) for each in summands(self.node)] if self.node is not None else []

    def _term(self, node: Traced, negative: bool) -> Term:
        factors = [self._factor(each, below) for each, below in product(node)]
        if negative:
            factors.insert(0, Factor("−1", -1.0))
        return Term(tuple(factors), -node.value if negative else node.value, node, negative)

    def _factor(self, node: Traced, below: bool) -> Factor:
        names = [as_text(tree_of(node, self.twin.tree, most)) for most in (None, MOST_ADDED)]
        cell = node.left if node.op is CELL else None
        if not below:
            return Factor(names[0], node.value, cell, names[1], visible(node).op in ("+", "-"))
        pattern = "1 / {}" if node.op in (CELL, NUMBER, NAMED) else "1 / ({})"
        value = 1 / node.value if node.value else math.inf
        return Factor(pattern.format(names[0]), value, cell, pattern.format(names[1]))

    @cached_property
    def formula_tree(self) -> Tree | None:
        """The general formula, for every number of the array; None where the number was given."""
        return None if self.node is None else described(self.tracer, self.sheet)[0]

    @property
    def formula(self) -> str:
        """The general formula, for every number of the array, as the text that fills it says it."""
        return as_text(self.formula_tree) if self.formula_tree is not None else f"{self.quantity} is given"

    @property
    def mathml(self) -> str:
        """The general formula as a <math> element."""
        return as_mathml(self.formula_tree if self.formula_tree is not None else self.twin.tree(self.cell))

    @property
    def latex(self) -> str:
        """The general formula as LaTeX."""
        return as_latex(self.formula_tree if self.formula_tree is not None else self.twin.tree(self.cell))

    @cached_property
    def reasons(self) -> list[str]:
        """Why each branch was taken."""
        return [each.text for each in sentences(self.tracer, self.cell, self.node)] if self.node is not None else []

    @cached_property
    def next(self) -> list[str]:
        """The cells this number was made of, then those that were compared; each can be explained in turn."""
        if self.node is None:
            return []
        compared = (cell for one in self.node.why for each in (one.left, one.right) for cell in each.cells())
        return [self.twin.name(cell) for cell in dict.fromkeys([*self.node.cells(), *compared])]

    @cached_property
    def bound(self) -> float:
        """How far rounding may take `run_value` from `value`.

        The factors of the explained run are rounded themselves: what the expression gives for those is worked out to
        50 digits. Beyond that its own roundings may add γ(n) · Σ|terms|, see `Sized`. A sum that the run keeps
        nowhere, since the activation is laid into the same loops, is one expression with what is made of it.
        """
        if self.run_value is None or self.node is None or not math.isfinite(self.value):
            return math.nan
        dtype = self.twin.run.net.dtype
        unit = float(np.finfo(dtype if not dtype.hasobject else np.float64).eps) / 2
        held: dict[str, Any] = {}

        def leaf(node: Traced) -> Sized:
            if node.op is not CELL:
                return Sized.of(node.value)
            sheet = self.twin.sheet_of(node.left)
            if sheet.name not in held:
                held[sheet.name] = self.twin.run_values(sheet)
            values = held[sheet.name]
            if values is not None:
                return Sized.of(values[node.left - sheet.start])
            if sheet.name in self.tracer.makings:
                made: Sized = fold(self.tracer.number(node.left), leaf)
                return made
            return Sized.of(node.value)

        with decimal.localcontext(prec=50):
            try:
                sized = fold(self.node, leaf)
                steps = (sized.steps + 1) * decimal.Decimal(unit)
                away = abs(sized.value - decimal.Decimal(self.value))
                return float(steps / (1 - steps) * sized.size + away) * (1 + 1e-9)  # as a float it is not smaller
            except (ArithmeticError, ValueError):  # not finite
                return math.nan

    def to_json(self) -> dict[str, Any]:
        """All of it, as `plaingrad explain --json` says it."""
        return {
            "quantity": self.quantity,
            "about": self.about,
            "value": self.value,
            "run_value": self.run_value,
            "bound": self.bound,
            "formula": self.formula,
            "mathml": self.mathml,
            "latex": self.latex,
            "terms": [term.to_json() for term in self.terms],
            "reasons": self.reasons,
            "next": self.next,
        }

    def text(self, all: bool = False) -> str:
        """What is printed: of many terms the largest first, the rest counted and summed, unless all are wanted."""
        return "\n".join(self._lines(all))

    def _lines(self, all: bool) -> Iterator[str]:
        yield self.headline
        yield f"  {self.about}"
        if self.node is None:
            yield "  It was given, not computed."
            return
        yield ""
        yield f"  {self.formula}"
        yield ""
        yield from self._terms_as_lines(all)
        yield from (f"  {line}" if line else "" for line in self.after_terms())

    @property
    def headline(self) -> str:
        """The number by its name, and by the other name that it was asked for."""
        other = self.asked.partition("[")[0]
        same = f" (the same number as {self.asked})" if other and other != self.sheet.name else ""
        return f"{self.quantity} = {number_text(self.value, 9)}{same}"

    def after_terms(self) -> Iterator[str]:
        """What is said below the terms: the total, the run's number, reasons, where to go next."""
        yield f"total {number_text(self.value, 17)}"
        if self.run_value is not None:
            away = f"{number_text(abs(self.run_value - self.value), 2)} apart"
            allowed = f", rounding allows {number_text(self.bound, 2)}" if self.bound == self.bound else ""
            yield f"the run has {number_text(self.run_value, 9)} ({away}{allowed})"
            if abs(self.run_value - self.value) > self.bound:
                yield "That is more than rounding: in the run, a comparison before this number had another result."
        if self.reasons:
            yield ""
            yield from (f"{'• ' if len(self.reasons) > 1 else ''}{reason}" for reason in self.reasons)
        if self.next:
            yield ""
            more = f", and {len(self.next) - 4:,} more" if len(self.next) > 4 else ""
            yield f"next: {', '.join(self.next[:4])}{more}"
        asked = behind_number(self.tracer, self.sheet)
        if asked is not None:
            yield f"see also: {asked.see}"

    def shown(self, all: bool = False) -> tuple[str, list[Term], str]:
        """The terms that are shown: what is said before them, these, and what is said of the others."""
        terms = self.terms
        if not terms:
            return "no terms: nothing is added, so it is 0" if not self.value else "no terms", [], ""
        if all or len(terms) <= MOST_SHOWN:
            order = "s, in the order in which they are added" if len(terms) > 1 else ""
            return f"{len(terms):,} term{order}:", terms, ""
        some = [term for term in terms if term.product] or terms
        shown = sorted(some, key=lambda term: -abs(term.product))[:MOST_SHOWN]
        kept = {id(term) for term in shown}
        rest = [term.product for term in terms if id(term) not in kept]
        told = f"which sum to {number_text(sum(rest))}" if any(rest) else "all 0"
        return f"the {len(shown)} largest of {len(terms):,} terms:", shown, f"and {len(rest):,} more, {told}"

    def term_mathml(self, term: Term) -> str:
        """A term as a <math> element, of long sums inside it only the ends."""
        tree = tree_of(term.node, self.twin.tree, MOST_ADDED)
        return as_mathml(["mrow", ["mo", "−"], tree] if term.is_negative else tree)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": as_html(self)}

    def _terms_as_lines(self, all: bool) -> Iterator[str]:
        before, shown, after = self.shown(all)
        yield f"  {before}"
        if not shown:
            return
        rows = [(term_text(term, all), values_text(term), number_text(term.product)) for term in shown]
        wide = [max(len(row[column]) for row in rows) for column in range(3)]
        for name, values, made in rows:
            yield f"    {name:<{wide[0]}}  {values:>{wide[1]}}  {made:>{wide[2]}}".rstrip()
        if after:
            yield f"    {after}"


def as_html(told: Explanation) -> str:
    """The explanation as a notebook shows it: formula and terms as mathematics, every name escaped."""
    lines = [f"<b>{html.escape(told.headline)}</b>", html.escape(told.about)]
    if told.node is None:
        return f"<p>{'<br/>'.join([*lines, 'It was given, not computed.'])}</p>"
    before, shown, after = told.shown()
    rows = [(Markup(told.term_mathml(each)), values_text(each), number_text(each.product)) for each in shown]
    below = [html.escape(line) for line in ([after] if after else []) + list(told.after_terms())]
    return (
        f"<p>{'<br/>'.join(lines)}</p><p>{told.mathml}</p><p>{html.escape(before)}</p>"
        f"{table([('term', 'its factors', 'product'), *rows]) if rows else ''}<p>{'<br/>'.join(below)}</p>"
    )


def explain_cell(tracer: Tracer, cell: int, asked: str = "") -> Explanation:
    """The explanation of one number, which may have been asked for by another of its names."""
    is_given = tracer.is_given(tracer.twin.sheet_of(cell))
    explanation = Explanation(tracer, cell, None if is_given else tracer.number(cell))
    explanation.asked = "".join(asked.split())
    return explanation
