"""General formulas worked out: what a formula says of a number, read from the tree that is shown to people.

Every cell is a value that bounds the rounding of what is made of it, `plaingrad.exact.Sized`: so a formula and the
number it is about may differ by no more than the bound that follows from the formula itself. A term that names a place
beyond the edge of an array is none, as in any textbook; a letter below a Σ without bounds runs over all there is.
"""

import decimal
import itertools
import math
import re
from decimal import Decimal

import numpy as np

from plaingrad.exact import Sized
from plaingrad.explaining.general import described

LONGEST = 8  # no axis along which a letter without bounds runs is longer
SIGNS = {"×": "*", "−": "-", "=": "==", "≤": "<=", "⌊": "floor(", "⌋": ")"}
FUNCTIONS = {name: lambda value, name=name: getattr(value, name)() for name in ("exp", "log", "sqrt", "tanh")}


class BeyondError(Exception):
    """A place that an array does not have."""


class WordsError(Exception):
    """A formula that says something in words."""


class Formula:
    """The formula of an array, ready to be worked out at any of its places. WordsError where it cannot be."""

    def __init__(self, tracer, sheet):
        self.tracer, self.sheet = tracer, sheet
        self.tree, _ = described(tracer, sheet)
        _, cell, _, *body = self.tree
        self.names = [each if isinstance(each, str) else None for each in cell[2:]]
        self.is_zero_beyond = False
        while is_word(body[-1]) and body[-1][1].startswith("; "):
            self.is_zero_beyond |= body.pop()[1].startswith("; 0: ")  # else it is said of letters
        self.bound = {*self.names} - {None}
        self.source = self._ways(body[0] if len(body) == 1 else ["mrow", *body])
        self.code = compile(self.source, sheet.name, "eval")

    def at(self, place):
        """What the formula gives there."""
        state = next(iter(self.tracer.updates.values())).state
        numbers = map(Sized.of, state.optimiser.numbers(state.step, state.factor))
        known = {name: index for name, index in zip(self.names, place, strict=True) if name}
        known |= {"cells": Cells(self.tracer), "Sized": Sized, "total": total, "largest": largest, "floor": math.floor}
        known |= FUNCTIONS | {"ln": FUNCTIONS["log"]} | dict(zip(state.optimiser.named, numbers, strict=True))
        known["this_place"] = place[-2] * self.sheet.shape[-1] + place[-1] if len(place) > 1 else 0
        try:
            made = eval(self.code, known)
        except BeyondError:
            if not self.is_zero_beyond:
                raise
            made = 0
        return made if isinstance(made, Sized) else Sized.of(made)

    def _ways(self, tree):
        """One expression, or one for each way in which a comparison may fall out."""
        if not (isinstance(tree, list) and ["mtext", " if "] in tree):
            return self._written(tree)
        ways, *named = parted(tree[1:], "; with ")
        self.bound |= {"S"} if named else set()
        text = ""
        for each in parted(ways, "; "):
            value, condition = (self._row(part) for part in parted(each, " if "))
            text += f"({value}) if {condition} else "
        text += "cells.nothing()"
        return f"(lambda S: {text})({self._row(named[0][2:])})" if named else f"({text})"

    def _written(self, tree):
        """A tree as Python, with the brackets that are shown."""
        if isinstance(tree, str):
            if len(tree) == 1 and tree not in self.bound:
                raise WordsError(f"nothing says what {tree} is")
            return tree
        kind, *parts = tree
        if kind == "mn":
            return number(parts[0])
        if kind == "mo":
            return f" {SIGNS.get(parts[0], parts[0])} "
        if kind == "cell":
            return f"cells[{parts[0]!r}]({', '.join(map(self._written, parts[1:]))})"
        if kind == "mfrac":
            return f"(({self._written(parts[0])}) / ({self._written(parts[1])}))"
        if kind == "msqrt" or (kind == "msup" and parts[0] == "e"):
            return f"{'sqrt' if kind == 'msqrt' else 'exp'}({self._written(parts[-1])})"
        if kind == "mrow":
            return self._row(parts)
        raise WordsError(str(tree))

    def _row(self, parts):
        """What stands side by side. Without a sign between them a number and a letter are a product: 2i."""
        if is_sign(parts[0]):
            return self._runs(parts[0], parts[1:])
        text = ""
        for before, each in zip([None, *parts], parts, strict=False):
            beside = before is not None and before[0] == "mn" and isinstance(each, str)
            text += f" * {each}" if beside else self._written(each)
        return f"({text})" if len(parts) > 1 and "(" not in text[:1] else text

    def _runs(self, over, rest):
        """A Σ, or a search for the largest, over a letter; or over the places whose winner is the one asked for."""
        kind, sign, below, *above = over
        name = "largest" if sign == "max" else "total"
        if isinstance(below, list) and below[1][0] == "cell":
            letters = [each for each in below[1][2:] if isinstance(each, str) and each not in self.bound]
            self.bound |= {*letters}
            if below[-1] != ["mtext", "this place"]:
                raise WordsError(str(below))
            body, winner = self._row(rest), self._written(below[1])
            self.bound -= {*letters}
            body = f"{body} if {winner}.value == this_place else Sized.of(0)"
            return f"total(lambda {', '.join(letters)}: {body}, {len(letters)}, 0, {LONGEST})"
        letter = below if kind == "munder" else below[1]
        first, last = (0, LONGEST) if kind == "munder" else (below[3][1], above[0][1])
        if kind == "munder" and not is_mixed(rest, letter):
            raise WordsError(f"nothing says where {letter} ends")
        self.bound |= {letter}
        body = self._row(rest)
        self.bound -= {letter}
        return f"{name}(lambda {letter}: {body}, 1, {first}, {last})"


def number(text):
    """A whole number as it is, for it may be an index; any other as what bounds the rounding of what it is used in."""
    plain = text.replace("−", "-")
    if not re.fullmatch(r"-?\d+(\.\d+)?", plain):
        raise WordsError(text)
    return plain if "." not in plain else f"Sized.of({plain})"


def is_word(tree):
    return isinstance(tree, list) and tree[0] == "mtext"


def is_sign(tree):
    return isinstance(tree, list) and tree[0] in ("munder", "munderover") and tree[1] in (["mo", "Σ"], "max")


def is_mixed(tree, letter):
    """Whether some index is made of the letter and more, so that the edges of an array say where it ends."""
    if not isinstance(tree, list):
        return False
    if tree and tree[0] == "cell":
        return any(isinstance(index, list) and letter in index for index in tree[2:])
    return any(is_mixed(each, letter) for each in tree)


def parted(parts, word):
    """The parts between those words."""
    groups = [[]]
    for each in parts:
        if each == ["mtext", word]:
            groups.append([])
        else:
            groups[-1].append(each)
    return groups


class Cells:
    """The values of the arrays, by name and place."""

    def __init__(self, tracer):
        self.sheets = tracer.twin.sheets

    def __getitem__(self, name):
        sheet = self.sheets[name]

        def value(*place):
            if not all(0 <= at < length for at, length in zip(place, sheet.shape, strict=True)):
                raise BeyondError(f"{name}{list(place)}")
            flat = int(np.ravel_multi_index(place, sheet.shape)) if place else 0
            return Sized.of(sheet.array[sheet.place(sheet.start + flat)])

        return value

    def nothing(self):
        raise BeyondError("none of the conditions holds")


def terms(body, count, first, last):
    for letters in itertools.product(range(first, last + 1), repeat=count):
        try:
            yield body(*letters)
        except BeyondError:
            continue


def total(body, *over):
    return sum(terms(body, *over), Sized.of(0))


def largest(body, *over):
    found = max(terms(body, *over), key=lambda each: each.value, default=None)
    if found is None:
        raise BeyondError
    return found


def places(sheet, rng, count=6):
    """The corners of an array, where windows overhang, and some places anywhere."""
    corners = itertools.product(*({0, length - 1} for length in sheet.shape))
    drawn = (tuple(int(rng.integers(length)) for length in sheet.shape) for _ in range(count))
    return list(dict.fromkeys([*corners, *drawn]))


def disagreements(formula, tracer, rng):
    """The places where the formula and the number it is about are further apart than rounding allows."""
    sheet, found = formula.sheet, []
    unit = Decimal(float(np.finfo(np.float64).eps)) / 2
    with decimal.localcontext(prec=50):
        for place in places(sheet, rng):
            flat = int(np.ravel_multi_index(place, sheet.shape)) if place else 0
            value = Decimal(float(tracer.number(sheet.start + flat).value))
            try:
                said = formula.at(place)
            except BeyondError as error:
                found.append(f"{list(place)}: there is no {error}")
                continue
            share = said.steps * unit / (1 - said.steps * unit)
            if abs(value - said.value) > share * said.size:
                found.append(f"{list(place)}: {float(value):.6g}, and the formula gives {float(said.value):.6g}")
    return found
