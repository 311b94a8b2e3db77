"""Formulas as small trees, and how a tree is written: as text, as LaTeX, as MathML.

A tree is a letter or word (`"k"`), or a list that begins with its kind: `["mn", "4"]` a number, `["mo", "+"]` a sign,
`["mtext", "…"]` words, `["mrow", …]`, `["mfrac", above, below]`, `["msqrt", x]`, `["msub" | "msup", base, small]`,
`["munderover", base, below, above]`, and `["cell", "conv1.dw", …index]` a number of an array, or `["slot", 0]` where a
pattern leaves room for one. All but the last two are MathML's own, and `as_mathml` writes a cell as its name with the
index below.
"""

import html
import math
import re
from collections.abc import Callable
from typing import Any

from plaingrad.explaining.terms import visible
from plaingrad.explaining.traced_numbers import CELL, NAMED, NUMBER, Traced

Tree = Any  # a letter, or a list: it goes to the page as JSON
LATEX_SIGNS = {"×": r"\times ", "·": r"\cdot ", "−": "-", "Σ": r"\sum ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "…": r"\dots ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "√": r"\surd ", "β₁": r"\beta_1 ", "β₂": r"\beta_2 ", "ε": r"\varepsilon "}  # fmt: skip  # noqa: E501
SPECIAL = {each: "\\" + each for each in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}  # fmt: skip  # noqa: E501
FUNCTIONS = {"log": "ln", "normal_cdf": "Φ", "normal_pdf": "φ"}
WEAK = {"+", "-", "neg"}
SIGNS_SHOWN = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}


def number_text(value: float, digits: int = 6) -> str:
    """A number to so many digits, with a real minus sign and powers of ten."""
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value or 0.0:.{digits}g}"  # no minus before a zero
    if "e" in text:
        mantissa, power = text.split("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{mantissa}×10{raised}"
    return text.replace("-", "−")


def tree_of(node: Traced, cell: Callable[[int], Tree], most: int | None = None) -> Tree:
    """The expression of a traced number; `cell` says how a cell is written. For expressions of a readable size.

    Of a sum of more than `most` only the first two and the last are written.
    """
    node = visible(node)
    if most is not None and node.op == "+":
        added = [node]
        while added[0].op == "+":
            added[:1] = [visible(added[0].left), visible(added[0].right)]
        if len(added) > most:
            first, second, last = (tree_of(each, cell, most) for each in (*added[:2], added[-1]))
            return ["mrow", first, ["mo", "+"], second, ["mo", "+"], ["mo", "…"], ["mo", "+"], last]
    if node.op is CELL:
        return cell(node.left)
    if node.op is NUMBER:
        return ["mn", number_text(node.value)]
    if node.op is NAMED:
        return node.left
    left = tree_of(node.left, cell, most)
    left_op = visible(node.left).op
    if node.right is None:
        return applied(node.op, bracketed(left, left_op in WEAK) if node.op == "neg" else left)
    return joined(node.op, left, tree_of(node.right, cell, most), left_op, visible(node.right).op)


def applied(op: str, x: Tree) -> Tree:
    """A function of one number."""
    if op == "neg":
        return ["mrow", ["mo", "−"], x]
    if op == "exp":
        return ["msup", "e", x]
    return ["msqrt", x] if op == "sqrt" else ["mrow", FUNCTIONS.get(op, op), ["mo", "("], x, ["mo", ")"]]


def joined(op: str, left: Tree, right: Tree, left_op: str = "", right_op: str = "") -> Tree:
    """Two numbers joined by a sign, in brackets where they need them."""
    if op == "/":
        return ["mfrac", left, right]
    if op == "**":
        return ["msup", bracketed(left, left_op in (*WEAK, "*", "/", "**")), right]
    if op == "*":
        parts = bracketed(left, left_op in WEAK), ["mo", "×"], bracketed(right, right_op in WEAK)
    else:
        parts = left, ["mo", {"+": "+", "-": "−"}[op]], bracketed(right, right_op in WEAK)
    return ["mrow", *parts]


def bracketed(tree: Tree, wanted: bool) -> Tree:
    return ["mrow", ["mo", "("], tree, ["mo", ")"]] if wanted else tree


def spread(tree: Tree) -> Tree:
    """The same tree with cells as MathML knows them: the array's name, and the index below it."""
    if isinstance(tree, str):
        return tree
    kind, *parts = tree
    if kind != "cell":
        return [kind, *map(spread, parts)] if kind not in ("mn", "mo", "mtext", "mi", "slot") else tree
    name, *index = parts
    between: list[Tree] = []
    for each in index:
        between += [["mo", ","], spread(each)] if between else [spread(each)]
    return ["msub", ["mtext", name], ["mrow", *between]] if between else ["mtext", name]


def as_text(tree: Tree) -> str:
    """The tree on one line."""
    if isinstance(tree, str):
        return tree
    kind, *parts = tree
    if kind == "cell":
        return str(parts[0]) + (f"[{','.join(as_text(each) for each in parts[1:])}]" if len(parts) > 1 else "")
    if kind == "mo":
        return f" {parts[0]} " if parts[0] in "=+−×·≤≥<>≠" or parts[0] == "mod" else f"{parts[0]}"
    if kind in ("mn", "mi", "mtext"):
        return str(parts[0])
    if kind == "slot":
        return f"{{{parts[0]}}}"
    texts = [as_text(each) for each in parts]
    if kind == "mrow":
        text = "".join(texts)
        return text[1:].replace(" ", "", 1) if text.startswith(" − ") and len(parts) == 2 else text
    if kind == "mfrac":
        return " / ".join(f"({text})" if is_long(part) else text for text, part in zip(texts, parts, strict=True))
    if kind == "msqrt":
        return f"√({texts[0]})"
    if kind == "msup":
        return f"{texts[0]}^({texts[1]})" if is_long(parts[1]) else f"{texts[0]}^{texts[1]}"
    if kind == "munderover":
        low, high = (re.sub(r" ([=+−×/]) ", r"\1", text) for text in texts[1:])
        return f"{texts[0]}[{low}…{high}] "
    return f"{texts[0]}_{texts[1]}"


def is_long(tree: Tree) -> bool:
    """Whether a tree needs brackets under or above a line of text."""
    return isinstance(tree, list) and tree[0] in ("mrow", "mfrac")


def as_latex(tree: Tree) -> str:
    """The tree as LaTeX; names are text, and escaped."""
    if isinstance(tree, str):
        return latex_words(tree) if len(tree) > 1 or tree in LATEX_SIGNS else escaped(tree)
    kind, *parts = tree
    if kind == "mtext":
        return latex_words(parts[0])
    if tree == ["mo", "mod"]:
        return r"\bmod "
    if kind in ("mo", "mn", "mi"):
        return "".join(LATEX_SIGNS.get(each, escaped(each)) for each in parts[0])
    if kind == "cell":
        index = ",".join(as_latex(each) for each in parts[1:])
        return latex_words(parts[0]) + (f"_{{{index}}}" if index else "")
    texts = [as_latex(each) for each in parts]
    if kind == "mrow":
        return "".join(texts)
    if kind == "mfrac":
        return rf"\frac{{{texts[0]}}}{{{texts[1]}}}"
    if kind == "msqrt":
        return rf"\sqrt{{{texts[0]}}}"
    if kind == "munderover":
        return rf"{texts[0]}_{{{texts[1]}}}^{{{texts[2]}}} "
    return f"{{{texts[0]}}}{'^' if kind == 'msup' else '_'}{{{texts[1]}}}"


def latex_words(text: str) -> str:
    known = {"max": r"\max ", "min": r"\min ", "ln": r"\ln ", "tanh": r"\tanh ", "Φ": r"\Phi ", "φ": r"\varphi "}
    return known.get(text) or (LATEX_SIGNS[text] if text in LATEX_SIGNS else rf"\mathrm{{{escaped(text)}}}")


def escaped(text: str) -> str:
    return "".join(SPECIAL.get(each, each) for each in text)


def as_mathml(tree: Tree) -> str:
    """The tree as a <math> element; names are escaped."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{_mathml(spread(tree))}</math>'


def _mathml(tree: Tree) -> str:
    if isinstance(tree, str):
        return f"<mi>{html.escape(tree)}</mi>"
    kind, *parts = tree
    inner = html.escape(parts[0]) if kind in ("mn", "mo", "mtext", "mi") else "".join(map(_mathml, parts))
    return f"<{kind}>{inner}</{kind}>"
