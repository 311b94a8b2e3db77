"""A term of an explained number: its factors by name and by value."""

from dataclasses import dataclass, field
from typing import Any

from plaingrad.explaining.notation import number_text
from plaingrad.explaining.traced_numbers import Traced


@dataclass(frozen=True)
class Factor:
    """One factor of a term: a cell, a plain number, or an expression of such, by its formula."""

    name: str
    value: float
    cell: int | None = None
    short: str = ""  # the name, of long sums in it only the ends
    is_sum: bool = False


@dataclass(frozen=True)
class Term:
    """A product that is added to the sum."""

    factors: tuple[Factor, ...]
    product: float
    node: Traced = field(repr=False)
    is_negative: bool = False

    def to_json(self) -> dict[str, Any]:
        """`{"factors": [{"name", "value"}, …], "product"}`."""
        factors = [{"name": each.name, "value": each.value} for each in self.factors]
        return {"factors": factors, "product": self.product}


def term_text(term: Term, whole: bool = True) -> str:
    """The factors of a term by name; of a long sum inside one only the ends, unless it is wanted `whole`."""
    text = ""
    for each in term.factors[1:] if term.is_negative else term.factors:
        name = (each.name if whole else each.short) or each.name
        name = f"({name})" if each.is_sum else name
        text += f" / {name[4:]}" if text and name.startswith("1 / ") else f" × {name}" if text else name
    return f"−{text}" if term.is_negative else text


def values_text(term: Term) -> str:
    """The factors of a term by value; nothing where there is but one."""
    return " × ".join(number_text(each.value) for each in term.factors) + " =" if len(term.factors) > 1 else ""
