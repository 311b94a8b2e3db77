"""A formula as people type it, read into a small tree: its own tokens and grammar, and nothing is ever executed.

`conv1.dw[0,0] = sum(i=0..1, j=0..1, dy[i,j] * x[i,j])` and `∂C/∂w[u,v] = Σ[i=0…1] Σ[j=0…1] …` are read alike.
"""

from collections.abc import Callable
from typing import Any

from plaingrad.checking.claims.tree import Token, number, put, tokens
from plaingrad.errors import SettingError, nearest
from plaingrad.explaining.expressions import Node, every, is_kind
from plaingrad.explaining.notation import SIGNS_SHOWN

LONGEST, DEEPEST = 10_000, 64  # characters; brackets, signs and sums inside each other, as deep as Python's stack bears
FUNCTIONS = ("exp", "ln", "log", "sqrt", "tanh", "sigmoid", "relu", "max", "min", "abs", "floor")
SMOOTH = ("exp", "ln", "log", "sqrt", "tanh", "sigmoid", "relu")  # those with a derivative to write a ′ for
LOSSES = ("C", "L", "E", "J", "loss", "Loss", "cost", "Cost")
SPELLINGS = {"σ": "sigmoid", "ReLU": "relu", "Relu": "relu", "log": "ln", "Sigmoid": "sigmoid"}
RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
RESERVED = ("if", "with", "and", "else", "mod")
MOST_PARTS = 10_000
EULER = Node("exp", (number(1),))


def parse_claim(text: Any) -> tuple[Node, Node]:
    """The two sides of LEFT = RIGHT. SettingError, in one line, where the text cannot be read."""
    if not isinstance(text, str):
        raise SettingError(f"a claim got a {type(text).__name__}; it is a text, such as 'conv1.dw[0,0,0,0] = 2 * 3'")
    if len(text) > LONGEST:
        raise SettingError(f"a claim got {len(text):,} characters; it takes at most {LONGEST:,}")
    return Parser(text).claim()


class Parser:
    """Recursive descent over the tokens of one claim."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.place, self.depth = text, tokens(text), 0, 0

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def ahead(self, steps: int = 1) -> Token:
        return self.tokens[min(self.place + steps, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.now
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def takes(self, *texts: str) -> bool:
        """Whether one of these signs or words is next; if so it is taken."""
        found = self.now.kind in ("sign", "name") and self.now.text in texts
        if found:
            self.take()
        return found

    def need(self, text: str, what: str) -> None:
        if not self.takes(text):
            raise self.error(f"needs {text!r} {what}")

    def error(self, needs: str) -> SettingError:
        got = ascii(self.now.text[:20]).replace("\\u03a3", "Σ") if self.now.kind != "end" else "its end"
        return SettingError(f"cannot read the claim at character {self.now.start + 1}, {got}: it {needs}")

    def deeper(self, read: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"goes more than {DEEPEST} brackets, signs or sums deep; write it flatter")
        tree = read()
        self.depth -= 1
        return tree

    def claim(self) -> tuple[Node, Node]:
        left = self.primary() if self.now.kind == "name" else None
        if not is_kind(left, "cell") or not self.takes("="):
            raise self.error("is written QUANTITY = FORMULA, such as conv1.dw[0,0,0,0] = 2 * input[0,1,1]")
        right = self.named_in(self.ways())
        if self.now.kind != "end":
            raise self.error("needs a sign such as * or + here, or nothing more")
        return left, right

    def named_in(self, tree: Node) -> Node:
        """What stands behind `with a = …; b = …`, laid in where the names stand: each may name those behind it."""
        named: list[tuple[str, Node]] = []
        while self.takes(";"):
            if not named:
                self.need("with", "before a name and what it stands for")
            letter = self.take().text
            self.need("=", f"after {letter!r}")
            named.append((letter, self.sum()))
        for letter, value in named:
            uses = sum(each == Node("cell", (letter,)) for each in every(tree))
            if uses * sum(1 for _ in every(value)) > MOST_PARTS:  # each name in the next one's place: they double
                raise SettingError(f"the claim grows too large with {letter} in its place; write it with fewer names")
            tree = put(tree, {letter: value})
        return tree

    def comparison(self) -> Node:
        left, sign = self.sum(), self.take().text
        sign = "==" if sign == "=" else sign
        if sign not in SIGNS_SHOWN:
            self.place -= 1
            raise self.error("needs a comparison such as > here")
        return Node(sign, (left, self.sum()))

    def ways(self) -> Node:
        """One expression, or one for each way a comparison falls out: `A if y > 0; 0 if y ≤ 0`, `A if …, else B`."""
        tree, ways = self.sum(), list[tuple[Node, tuple[Node, ...]]]()
        while self.takes("if"):
            asked = [self.comparison()]
            while self.takes("and"):
                asked.append(self.comparison())
            if self.takes(","):
                self.need("else", "before what holds otherwise")
                other = self.deeper(self.ways)
                ways += [(tree, tuple(asked)), (other, ())]
                break
            if len(asked) > 1:
                raise self.error("needs `, else` after several conditions")
            ways.append((tree, tuple(asked)))
            if self.ahead().text == "with" or not self.takes(";"):
                break
            tree = self.sum()
            if self.now.text != "if":
                raise self.error("needs the word if")
        return Node("if", tuple(ways)) if ways else tree

    def sum(self) -> Node:
        return self.deeper(self._sum)

    def _sum(self) -> Node:
        terms = [self.signed()]
        while self.now.kind == "sign" and self.now.text in ("+", "-"):
            terms.append(self.signed())
        return one_of("sum", terms)

    def signed(self) -> Node:
        """A term, with a sign before it or without."""
        if self.takes("-"):
            return Node("neg", (self.term(),))
        self.takes("+")
        return self.term()

    def term(self) -> Node:
        factors = [self.unary()]
        while True:
            if self.takes("*"):
                factors.append(self.unary())
            elif self.takes("/"):
                factors.append(Node("below", (self.unary(),)))
            elif self.takes("//"):
                factors = [floored(one_of("product", factors), self.unary())]
            elif self.takes("mod"):
                above, by = one_of("product", factors), self.unary()
                whole = Node("product", (by, floored(above, by)))
                factors = [Node("sum", (above, Node("neg", (whole,))))]
            elif self.begins_a_factor():
                self._refuse_ambiguous(factors[-1])
                factors.append(self.power())
            else:
                return one_of("product", factors)

    def begins_a_factor(self) -> bool:
        """Whether what is next stands beside a factor without a sign between: 2 x, 2(…), (…)(…)."""
        before, now = self.tokens[self.place - 1], self.now
        opens = now.text in ("(", "√", "⌊", "⌈", "Σ") or (now.kind == "name" and now.text not in RESERVED)
        return opens and (before.kind in ("number", "raised") or before.text in (")", "]", "⌋", "⌉"))

    def _refuse_ambiguous(self, factor: Node) -> None:
        plain_exponent = factor.kind == "**" and self.tokens[self.place - 1].kind == "number"
        if factor.kind == "below" or plain_exponent:
            raise self.error("could mean two things without a sign here: write * or brackets")

    def unary(self) -> Node:
        if self.takes("-"):
            return Node("neg", (self.deeper(self.unary),))
        return self.deeper(self.unary) if self.takes("+") else self.power()

    def power(self) -> Node:
        base = self.primary()
        if self.now.kind == "raised":
            text = self.take().text.translate(RAISED)
            exponent = number(text.lstrip("+-"))
            exponent = Node("neg", (exponent,)) if text.startswith("-") else exponent
        elif self.takes("^"):
            exponent = self.deeper(self.unary)
        else:
            return base
        return Node("exp", (exponent,)) if base is EULER else Node("**", (base, exponent))

    def primary(self) -> Node:
        token = self.now
        if token.kind == "number":
            return number(self.take().text)
        if token.kind == "name" and token.text not in RESERVED:
            return self.named()
        if self.takes("Σ"):
            return self.deeper(lambda: self.over("Σ"))
        if self.takes("("):
            return self._closed(self.ways(), ")")
        if self.takes("√"):
            return Node("sqrt", (self.deeper(self.primary),))
        if self.takes("⌊"):
            return Node("floor", (self._closed(self.sum(), "⌋"),))
        if self.takes("⌈"):
            inner = Node("neg", (self._closed(self.sum(), "⌉"),))
            return Node("neg", (Node("floor", (inner,)),))
        raise self.error("needs a number, a name or a bracket here")

    def _closed(self, tree: Node, closing: str) -> Node:
        self.need(closing, "to close the bracket")
        return tree

    def named(self) -> Node:
        """A function of something, a sum, a cell or a letter."""
        name = self.joined()
        if name == "e" and self.now.text not in ("[", "("):
            return EULER
        if name in ("sum", "max") and (self.now.text == "[" or self._binds(("=", ",") if name == "sum" else ("=",))):
            return self.deeper(lambda: self.over("Σ" if name == "sum" else name))
        primed = self.takes("'")
        function = SPELLINGS.get(name, name)
        if primed and function not in SMOOTH:
            raise self.error(f"has a ′ after {name!r}; it stands after one of {', '.join(SMOOTH)}")
        if self.now.text == "(" or primed:
            if function not in FUNCTIONS:
                raise SettingError(f"the claim has {name[:40]!r} before a bracket; {nearest(name[:40], FUNCTIONS)}")
            return self.applied(function + "'" * primed)
        return Node("cell", (name, *(self.several("]", "to close the index") if self.takes("[") else ())))

    def joined(self) -> str:
        """A name; dC/dw and ∂C/∂w are dw, and ∂ may stand apart."""
        name = self._word()
        if name[:1] == "d" and name[1:] in LOSSES and self.now.text == "/" and self.ahead().text.startswith("d"):
            self.take()
            name = self._word()
        return name

    def _word(self) -> str:
        word = self.take().text
        return word + self.take().text if word == "d" and self.now.kind == "name" else word

    def several(self, closing: str, what: str) -> list[Node]:
        """Expressions with commas between, and what closes them."""
        given = [self.sum()]
        while self.takes(","):
            given.append(self.sum())
        self.need(closing, what)
        return given

    def applied(self, function: str) -> Node:
        self.need("(", f"after {function}")
        given = self.several(")", f"to close {function}(")
        if len(given) > 1 and function not in ("max", "min"):
            raise SettingError(f"the claim gives {function} {len(given)} numbers; it takes one")
        return Node(function, tuple(given))

    def _binds(self, signs: tuple[str, ...]) -> bool:
        """Whether a bracket with a letter that runs is next: `(i=` or `(i,`."""
        return self.now.text == "(" and self.ahead().kind == "name" and self.ahead(2).text in signs

    def over(self, sign: str) -> Node:
        """`[i=0…3] body`, `[i,j] body` or `(i=0..3, j=0..3, body)`."""
        closing = "]" if self.takes("[") else ")"
        if closing == ")":
            self.need("(", f"or '[' after {sign}")
        letters: list[tuple[str, Node | None, Node | None]] = []
        while self.now.kind == "name" and self.ahead().text in ("=", ",", "]"):
            letter, first, last = self.take().text, None, None
            if "." in letter or letter == "e":
                raise self.error(f"cannot let {letter!r} run; take a letter such as i")
            if self.takes("="):
                first = self.sum()
                self.need("..", f"after where {letter} begins: {letter}=0..3")
                last = self.sum()
            letters.append((letter, first, last))
            if not self.takes(","):
                break
        if not letters or len(letters) > 8:
            raise self.error(f"needs from one to eight letters that run: {sign}[i=0..3]")
        if closing == "]":
            self.need("]", "after the index letters")
        body = self.deeper(self.term) if closing == "]" else self.sum()
        if closing == ")":
            self.need(")", f"to close {sign}(")
        for letter, first, last in reversed(letters):
            body = Node("over", (sign, letter, first, last, body))
        return body


def one_of(kind: str, parts: list[Node]) -> Node:
    """A sum or a product; what has but one part is that."""
    return Node(kind, tuple(parts)) if len(parts) > 1 else parts[0]


def floored(above: Node, by: Node) -> Node:
    """How often a number is in another."""
    return Node("floor", (Node("product", (above, Node("below", (by,)))),))
