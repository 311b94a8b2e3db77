"""A quantity as an expression in the inputs and weights by name: its recorded terms, expanded to what was given."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from plaingrad.errors import MissingError, SettingError
from plaingrad.explaining.notation import as_latex, as_mathml
from plaingrad.explaining.terms import fold
from plaingrad.explaining.traced_numbers import CELL, NAMED, Traced
from plaingrad.explaining.tracing import Tracer

MOST_CELLS = 4_000  # met on the way down: what SymPy can take in seconds, and a reader at all
MOST_ON_A_LINE = 240  # letters
MOST_SIMPLIFIED = {True: 150, False: 400}  # operations, with exponentials and without: beyond, it may take hours


@dataclass(frozen=True)
class Symbols:
    """An expression of SymPy in three ways of writing. It holds for the branches that were taken."""

    quantity: str
    expression: Any
    text: str
    latex: str
    mathml: str
    is_simplified: bool

    @property
    def in_parts(self) -> str:
        """The text, on many lines where it is long: what stands in it several times has a name."""
        if len(self.text) <= MOST_ON_A_LINE:
            return self.text
        import sympy

        parts, (whole,) = sympy.cse(self.expression, sympy.numbered_symbols("part", start=1))
        return "\n".join([str(whole), *(f"  {name} = {part}" for name, part in parts)])

    def to_json(self) -> dict[str, Any]:
        """As `--symbols --json` says it."""
        return {name: getattr(self, name) for name in ("text", "latex", "mathml", "is_simplified")}


def symbols(tracer: Tracer, cell: int) -> Symbols:
    """The expression of a cell in inputs and weights, simplified by SymPy.

    MissingError without SymPy. SettingError where it would be too long to read.
    """
    try:
        import sympy
    except ImportError:
        raise MissingError("an expression in symbols", "SymPy", "symbols") from None
    expander = Expander(tracer, sympy)
    expression = expander.of_cell(cell)
    has_functions = not expression.is_rational_function()
    short = bool(expression.count_ops() <= MOST_SIMPLIFIED[has_functions])
    simpler = sympy.simplify(expression) if short else sympy.factor_terms(expression)
    expression = min(expression, simpler, key=lambda each: each.count_ops())
    quantity = tracer.twin.name(cell)
    plain = {symbol: sympy.Symbol(f"s{place}") for place, symbol in enumerate(expander.cells)}
    mathml = sympy.printing.mathml(expression.xreplace(plain), printer="presentation")
    for symbol, short_name in plain.items():
        inner = as_mathml(expander.trees[symbol]).partition(">")[2].removesuffix("</math>")
        mathml = mathml.replace(f"<mi>{short_name}</mi>", inner)
        letter, digits = short_name.name[0], short_name.name[1:]  # SymPy writes s12 with an index
        mathml = mathml.replace(f"<msub><mi>{letter}</mi><mi>{digits}</mi></msub>", inner)
    for entity, letter in {"&InvisibleTimes;": "&#8290;", "&ExponentialE;": "e"}.items():  # known to HTML alone
        mathml = mathml.replace(entity, letter)
    latex = sympy.latex(expression, symbol_names={symbol: as_latex(tree) for symbol, tree in expander.trees.items()})
    return Symbols(
        quantity,
        expression,
        str(expression),
        latex,
        f'<math xmlns="http://www.w3.org/1998/Math/MathML">{mathml}</math>',
        short,
    )


@dataclass(frozen=True)
class Symbolic:
    """An expression of SymPy as loops take numbers: it adds, multiplies, and answers every elementary function."""

    sympy: Any
    of: Any

    def __add__(self, other: "Symbolic") -> "Symbolic":
        return Symbolic(self.sympy, self.of + other.of)

    def __sub__(self, other: "Symbolic") -> "Symbolic":
        return Symbolic(self.sympy, self.of - other.of)

    def __mul__(self, other: "Symbolic") -> "Symbolic":
        return Symbolic(self.sympy, self.of * other.of)

    def __truediv__(self, other: "Symbolic") -> "Symbolic":
        return Symbolic(self.sympy, self.of / other.of)

    def __neg__(self) -> "Symbolic":
        return Symbolic(self.sympy, -self.of)

    def exp(self) -> "Symbolic":
        return Symbolic(self.sympy, self.sympy.exp(self.of))

    def log(self) -> "Symbolic":
        return Symbolic(self.sympy, self.sympy.log(self.of))

    def sqrt(self) -> "Symbolic":
        return Symbolic(self.sympy, self.sympy.sqrt(self.of))

    def tanh(self) -> "Symbolic":
        return Symbolic(self.sympy, self.sympy.tanh(self.of))

    def normal_cdf(self) -> "Symbolic":
        return Symbolic(self.sympy, (1 + self.sympy.erf(self.of / self.sympy.sqrt(2))) / 2)

    def normal_pdf(self) -> "Symbolic":
        return Symbolic(self.sympy, self.sympy.exp(-self.of * self.of / 2) / self.sympy.sqrt(2 * self.sympy.pi))


class Expander:
    """Takes cells down to what was given: each is expanded once, and used wherever it is met."""

    def __init__(self, tracer: Tracer, sympy: Any) -> None:
        self.tracer, self.sympy = tracer, sympy
        self.done: dict[int, Any] = {}
        self.cells: dict[Any, int] = {}
        self.trees: dict[Any, Any] = {}

    def of_cell(self, cell: int) -> Any:
        """The expression of a cell."""
        waiting: list[tuple[int, Traced | None]] = [(cell, None)]
        while waiting:  # not by recursion: a deep network is deeper than Python's stack
            asked, node = waiting.pop()
            if asked in self.done:
                continue
            if node is None:
                if self.tracer.is_given(self.tracer.twin.sheet_of(asked)):
                    self.done[asked] = self._given(asked)
                    continue
                node = self.tracer.number(asked)
                if len(self.done) + len(waiting) > MOST_CELLS:
                    raise SettingError(
                        f"{self.tracer.twin.name(cell)} depends on more than {MOST_CELLS:,} numbers; an expression of "
                        "that length is of no use: take a smaller network, such as one of --example"
                    )
                waiting.append((asked, node))
                waiting += [(each, None) for each in dict.fromkeys(node.cells()) if each not in self.done]
            else:
                self.done[asked] = fold(node, self._leaf).of
        return self.done[cell]

    def _leaf(self, node: Traced) -> "Symbolic":
        if node.op is CELL:
            return Symbolic(self.sympy, self.done[node.left])
        if node.op is not NAMED:
            return Symbolic(self.sympy, self._exact(node.value))
        symbol = self.sympy.Symbol(node.left)
        self.trees[symbol] = node.left
        return Symbolic(self.sympy, symbol)

    def _exact(self, value: float) -> Any:
        fraction = Fraction(value).limit_denominator(1 << 20)
        exact = self.sympy.Rational(fraction.numerator, fraction.denominator)
        return exact if float(fraction) == value else self.sympy.Float(value)

    def _given(self, cell: int) -> Any:
        sheet = self.tracer.twin.sheet_of(cell)
        if sheet.layer == "loss":  # what the output should be is a number, and no letter
            return self._exact(self.tracer.twin.value(cell))
        symbol = self.sympy.Symbol(self.tracer.twin.name(cell), real=True)
        self.cells[symbol] = cell
        self.trees[symbol] = self.tracer.twin.tree(cell)
        return symbol
