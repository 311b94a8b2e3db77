"""General formulas read as people read them: from the line of signs that is shown, with the brackets that are shown.

The reader knows nothing of how formulas are made. A tree is laid out as a line of signs; fractions, roots and powers
are the only groups besides brackets. Σ takes in the product behind it, up to the next + or −. Every cell is a value
that bounds the rounding of what is made of it, `Sized`: so a formula and the number it is about may
differ by no more than the bound that follows from the formula itself. To name a place that an array does not have is
a mistake, unless a condition leaves it out.
"""

import decimal
import itertools
import operator
import re
from decimal import Decimal

import numpy as np

from plaingrad.explaining.general import described
from plaingrad.explaining.notation import as_text
from plaingrad.network.exact import Sized

SIGNS = {"=": operator.eq, "≠": operator.ne, "<": operator.lt, "≤": operator.le, ">": operator.gt, "≥": operator.ge}
CLOSED = {"(": ")", "⌊": "⌋", "⌈": "⌉"}
FUNCTIONS = ("ln", "tanh", "abs", "max", "min", "Φ", "φ")
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


class BeyondError(Exception):
    """A place that an array does not have."""


class WordsError(Exception):
    """A formula that says in words why there is none."""


class Formula:
    """The formula of an array, ready to be worked out at any of its places. WordsError where there is none."""

    def __init__(self, tracer, sheet):
        self.sheet = sheet
        self.tree, self.letters = described(tracer, sheet)
        if self.tree[0] == "mtext":
            raise WordsError(self.tree[1])
        self.text = as_text(self.tree)
        left, equals, *rest = line(self.tree)
        assert equals == ("sign", "=")
        self.names = [each if isinstance(each, str) else None for each in left[1][1:]]
        assert left[1][0] == sheet.name
        body, *ends = parted(rest, [("words", "; with "), ("words", "; ")])
        self.met = {*self.names} - {None}
        reader = Reader(tracer, self.met)
        self.defined = {end[0][1]: reader.whole(end[2:]) for end in ends}
        self.body = reader.whole(body)
        self.known = settings(tracer, sheet, self.letters)

    def at(self, place):
        """What the formula gives there."""
        known = {**self.known, **self.defined}
        known |= {name: index for name, index in zip(self.names, place, strict=True) if name}
        made = self.body(known)
        return made if isinstance(made, Sized) else Sized.of(made)


def settings(tracer, sheet, letters):
    """The values of the settings that an optimiser's formula names: its own, and those of the step."""
    if sheet.name not in tracer.updates:
        return {}
    state = tracer.updates[sheet.name].state
    every = {**state.optimiser.settings(), **state.optimiser.numbers(state.step, state.factor)}
    symbols = {"β₁": "beta1", "β₂": "beta2", "ε": "epsilon"}
    return {each: Sized.of(every[symbols.get(each, each)]) for each in letters if symbols.get(each, each) in every}


def line(tree):
    """A tree as a line of signs: what only groups, and is not seen, is left out."""
    if isinstance(tree, str):
        return [("name", tree)]
    kind, *parts = tree
    if kind == "mrow":
        return [each for part in parts for each in line(part)]
    if kind == "mo":
        return [("sign", parts[0].strip())]
    if kind == "mn":
        return [("number", parts[0])]
    if kind == "mtext":
        return [("words", parts[0])]
    if kind == "munderover":
        return [("over", parts)]
    return [(kind, parts)]


def parted(signs, words):
    groups = [[]]
    for each in signs:
        if each in words:
            groups.append([])
        else:
            groups[-1].append(each)
    return groups


class Reader:
    """Recursive descent over a line of signs; each method gives a function of what is known."""

    def __init__(self, tracer, met):
        self.sheets, self.met, self.signs, self.place = tracer.twin.sheets, met, [], 0
        self.listed = tracer.twin.twin.known.get("loss", {})  # settings that are one number for each class

    def whole(self, signs):
        """All of a line."""
        before, self.signs, self.place = (self.signs, self.place), [*signs, ("end", "")], 0
        made = self.cases()
        assert self.now == ("end", ""), self.signs[self.place :]
        self.signs, self.place = before
        return made

    def tree(self, tree):
        return self.whole(line(tree))

    @property
    def now(self):
        return self.signs[self.place]

    def takes(self, *signs):
        found = self.now if self.now in signs else None
        self.place += found is not None
        return found

    def take(self):
        self.place += 1
        return self.signs[self.place - 1]

    def cases(self):
        value = self.sum()
        if self.takes(("words", " where ")):
            holds = self.conditions()
            return lambda known: value(known) if holds(known) else None
        if not self.takes(("words", " if ")):
            return value
        holds = self.conditions()
        assert self.takes(("words", ", else "))
        other = self.cases()
        return lambda known: value(known) if holds(known) else other(known)

    def conditions(self):
        every = [self.condition()]
        while self.takes(("words", " and ")):
            every.append(self.condition())
        return lambda known: all(each(known) for each in every)

    def condition(self):
        left, sign, right = self.sum(), SIGNS[self.take()[1]], self.sum()
        return lambda known: sign(plain(left(known)), plain(right(known)))

    def sum(self):
        terms = [(bool(self.takes(("sign", "−"))), self.product())]
        while sign := self.takes(("sign", "+"), ("sign", "−")):
            terms.append((sign[1] == "−", self.product()))

        def total(known):
            made = [-each(known) if negative else each(known) for negative, each in terms]
            return made[0] if len(made) == 1 else sum(made[1:], made[0])

        return total

    def product(self):
        made = self.factor()
        while sign := self.takes(("sign", "×"), ("sign", "mod")):
            made = combined(operator.mul if sign[1] == "×" else operator.mod, made, self.factor())
        return made

    def factor(self):
        kind, what = self.take()
        if kind == "number":
            value = number(what)
            beside = self.now[0] == "name" or self.now in (("sign", "⌊"), ("sign", "⌈"), ("sign", "("))
            return combined(operator.mul, lambda _: value, self.factor()) if beside else lambda _: value
        if kind == "over":
            return self.over(what)
        if kind == "cell":
            return self.cell(*what)
        if kind == "mfrac":
            above, below = map(self.tree, what)
            return lambda known: Fractional(above(known), below(known)).value
        if kind == "msqrt":
            inner = self.tree(what[0])
            return lambda known: root(lifted(inner(known)))
        if kind == "msup":
            return self.power(*what)
        if kind == "name" and what in FUNCTIONS and self.now == ("sign", "("):
            return self.function(what)
        if kind == "name":
            self.met.add(what)
            return lambda known: known[what](known) if callable(known[what]) else known[what]
        assert (kind, what) in [("sign", each) for each in CLOSED], (kind, what)
        inner = self.cases()
        assert self.takes(("sign", CLOSED[what]))
        if what == "(":
            return inner
        return lambda known: rounded(inner(known), what == "⌈")

    def function(self, name):
        self.take()
        given = [self.sum()]
        while self.takes(("sign", ",")):
            given.append(self.sum())
        assert self.takes(("sign", ")"))
        if name in ("max", "min"):
            best = max if name == "max" else min
            return lambda known: best((each(known) for each in given), key=plain)
        method = {"ln": "log", "tanh": "tanh", "abs": "__abs__", "Φ": "normal_cdf", "φ": "normal_pdf"}[name]
        return lambda known: getattr(lifted(given[0](known)), method)()

    def power(self, base, exponent):
        raised = self.tree(exponent)
        if base == "e":
            return lambda known: lifted(raised(known)).exp()
        below = self.tree(base)

        def made(known):
            times = int(plain(raised(known)))
            value = below(known)
            return operator.pow(value, times) if not isinstance(value, Sized) else multiplied([value] * times)

        return made

    def over(self, parts):
        sign, below, above = parts
        sign = sign if isinstance(sign, str) else sign[1]
        (_, letter), _, *low = line(below)
        low, high = self.whole(low), self.tree(above)
        self.met.add(letter)
        body = self.product()

        def run(known):
            first, last = low(known), high(known)
            assert isinstance(first, int)
            assert isinstance(last, int)
            made = (body({**known, letter: each}) for each in range(first, last + 1))
            if sign == "first":
                return next((each for each in made if each is not None), None)
            if sign == "max":
                return max(made, key=plain)
            return sum(map(lifted, made), Sized.of(0))

        return run

    def cell(self, name, *index):
        places = [self.tree(each) for each in index]
        values = self.sheets[name].values() if name in self.sheets else self.listed[name]
        shape = self.sheets[name].shape if name in self.sheets else values.shape

        def value(known):
            place = tuple(each(known) for each in places)
            assert all(isinstance(at, int) for at in place)
            if not all(0 <= at < length for at, length in zip(place, shape, strict=True)):
                raise BeyondError(f"{name}{list(place)}")
            flat = int(np.ravel_multi_index(place, shape)) if place else 0
            return Sized.of(values[flat])

        return value


class Fractional:
    """A quotient: an exact one of whole numbers, which only stands in ⌊ ⌋ and ⌈ ⌉, or one of values."""

    def __init__(self, above, below):
        whole = isinstance(above, int) and isinstance(below, int)
        self.value = (above, below) if whole else lifted(above) / lifted(below)


def rounded(quotient, up):
    above, below = quotient if isinstance(quotient, tuple) else (quotient, 1)
    return -(-above // below) if up else above // below


def combined(function, one, two):
    def made(known):
        left, right = one(known), two(known)
        if isinstance(left, int) and isinstance(right, int):
            return function(left, right)
        return function(lifted(left), lifted(right))

    return made


def multiplied(values):
    made = values[0]
    for each in values[1:]:
        made = made * each
    return made


def lifted(value):
    if isinstance(value, tuple):
        return Sized.of(value[0]) / Sized.of(value[1])
    return value if isinstance(value, Sized) else Sized.of(value)


def plain(value):
    return value.value if isinstance(value, Sized) else value


def root(value):
    return value.sqrt() if value.value else value


def number(text):
    """A whole number as it is, for it may be an index; any other as what bounds the rounding of what it is used in."""
    power = re.fullmatch(r"([\d.]+)×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)
    text = f"{power[1]}e{power[2].translate(RAISED)}" if power else text
    return int(text) if text.isdigit() else Sized.of(float(text))


def places(sheet, rng, count=6):
    """The corners of an array, where windows overhang, and some places anywhere."""
    corners = itertools.product(*({0, length - 1} for length in sheet.shape))
    drawn = (tuple(int(rng.integers(length)) for length in sheet.shape) for _ in range(count))
    return list(dict.fromkeys([*corners, *drawn]))


def disagreements(formula, tracer, rng, count=6):
    """The places where the formula and the number it is about are further apart than rounding allows."""
    sheet, found = formula.sheet, []
    unit = Decimal(float(np.finfo(np.float64).eps)) / 2
    with decimal.localcontext(prec=50):
        for place in places(sheet, rng, count):
            flat = int(np.ravel_multi_index(place, sheet.shape)) if place else 0
            value = sheet.values()[flat] if sheet.is_made else tracer.number(sheet.start + flat).value
            try:
                said = formula.at(place)
            except BeyondError as error:
                found.append(f"{list(place)}: there is no {error}")
                continue
            share = said.steps * unit / (1 - said.steps * unit)
            if abs(Decimal(float(value)) - said.value) > share * said.size:
                found.append(f"{list(place)}: {float(value):.6g}, and the formula gives {float(said.value):.6g}")
    return found
