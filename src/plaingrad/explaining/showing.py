"""How a formula is shown: which names stay, how its letters are written, and what each of them stands for."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from plaingrad.explaining.expressions import Cell, Expression, Joined, Local, Number, Setting, Whole, Writing
from plaingrad.explaining.indices import Index
from plaingrad.explaining.notation import Tree, as_text, number_text
from plaingrad.explaining.ranging import Over
from plaingrad.explaining.tracing import Making, Tracer
from plaingrad.explaining.twin import Sheet
from plaingrad.explaining.words import AXES, SPARE
from plaingrad.loops import Array

SYMBOLS = {"beta1": "β₁", "beta2": "β₂", "epsilon": "ε", "gradient": "g"}
SETTINGS = {"rate": "learning rate, at this step", "t": "number of the step, from 1"}


@dataclass(frozen=True)
class Formula:
    """What a number of an array is, in the letters of its place."""

    place: tuple[Index, ...]
    letters: list[str]  # of every axis, also of those with one place
    of: Expression
    boxes: dict[str, tuple[int, int]]
    settings: dict[str, float]
    arrays: dict[str, Array]


def shown(tracer: Tracer, making: Making, sheet: Sheet, formula: Formula) -> tuple[Tree, dict[str, str]]:
    """The formula as a tree, and what each letter stands for, with its bounds."""
    made, kept = with_names(formula.of)
    named = letters_shown(formula, made)
    for name in [*formula.settings, *kept]:
        named[name] = SYMBOLS.get(name, name.replace("_hat", "\u0302"))
    arrays = {name: tracer.twin.sheets[own] for name, own in making.names.items()}
    imageless = {name for name, each in arrays.items() if len(each.shape) < each.array.ndim}
    how = Writing(named, making.names, frozenset(imageless))
    place = formula.place[1:] if len(sheet.shape) < len(formula.place) else formula.place
    left = ["cell", sheet.name, *(each.tree(named) for each in place)]
    ends: list[Tree] = []
    for name, each in kept.items():
        ends += [["mtext", "; " if ends else "; with "], named[name], ["mo", "="], each.tree(how)]
    tree = ["mrow", left, ["mo", "="], made.tree(how), *ends]
    meanings = meanings_of(formula, made, kept, how, sheet)
    for name, value in formula.settings.items():
        meanings[named[name]] = f"{SETTINGS.get(name, name)}: {number_text(value)} in {making.task.owner}"
    return tree, meanings


def with_names(made: Expression) -> tuple[Expression, dict[str, Expression]]:
    """The expression with those local names kept that make it shorter, and what they stand for.

    A name is kept where it stands twice, and a fraction's where it stands in a fraction or a product.
    """
    count: Counter[str] = Counter()
    means: dict[str, set[Expression]] = {}
    deep: set[str] = set()

    def walk(each: Expression, in_fraction: bool) -> None:
        if isinstance(each, Local):
            count[each.name] += 1
            if each.kept or (in_fraction and isinstance(each.of, Joined) and each.of.sign == "/"):
                deep.add(each.name)
            if each.of in means.setdefault(each.name, set()):
                return
            means[each.name].add(each.of)
        for part in each.parts():
            walk(part, in_fraction or (isinstance(each, Joined) and each.sign in "*/"))

    walk(made, False)
    simple = Cell | Number | Setting | Whole
    stay = {
        name
        for name, every in means.items()
        if len(every) == 1 and (name in deep or count[name] > 1) and not isinstance(next(iter(every)), simple)
    }

    def named(each: Expression) -> Expression:
        return (replace(each, kept=True) if each.name in stay else each.of) if isinstance(each, Local) else each

    made = made.changed({}, named)
    kept: dict[str, Expression] = {}
    every = [made]
    while every:
        for each in every.pop(0).all():
            if isinstance(each, Local) and each.name not in kept:
                kept[each.name] = each.of
    return made, kept


def letters_shown(formula: Formula, made: Expression) -> dict[str, str]:
    """How each letter is written: its own letter, or a spare one where that is taken."""
    named: dict[str, str] = {}
    running = [each.letter.letter for each in made.all() if isinstance(each, Over)]
    for letter in dict.fromkeys([*(each.letter for each in formula.place), *running]):
        if letter is not None:
            wanted = letter.partition("#")[0]
            taken = {*named.values(), *formula.settings}
            named[letter] = next(each for each in itertools.chain([wanted], SPARE, spares()) if each not in taken)
    return named


def spares() -> Iterator[str]:
    return (f"{letter}{turn}" for turn in itertools.count(1) for letter in SPARE)


def meanings_of(
    formula: Formula, made: Expression, kept: dict[str, Expression], how: Writing, sheet: Sheet
) -> dict[str, str]:
    """What each letter is, and from where to where it runs."""
    found: dict[str, str] = {}
    size = len(formula.place)
    for each in formula.place:
        if each.letter:
            low, high = formula.boxes[each.letter]
            found[how.letters[each.letter]] = f"{word(each.letter, size)} of {sheet.name}, {low} to {high}"
    cells = [each for each in made.all() if isinstance(each, Cell)]
    for over in (each for each in made.all() if isinstance(each, Over)):
        letter = over.letter.letter or ""
        own = next((each for each in cells if over.letter in each.index), None)
        near = next((each for each in cells for index in each.index if letter in index.letters()), None)
        where = f" of {how.arrays.get(own.array, own.array)}" if own else " of the group" if letter[0] in "kc" else ""
        _, _, (*_, low), high = over.over(how)
        axes = len(near.index) if near else 0
        found.setdefault(how.letters[letter], f"{word(letter, axes)}{where}, {as_text(low)} to {as_text(high)}")
    found |= {how.letters[name]: told(name, each, how) for name, each in kept.items()}
    return found


def word(letter: str, axes: int) -> str:
    """The word for a letter: channels, filters, rows and columns are those of arrays with several axes."""
    name = letter.partition("#")[0]
    if axes < 3 and name in ("k", "c"):
        return {"k": "unit", "c": "input"}[name]
    words = {"k": "filter", "c": "channel", "r": "row", "s": "column", "m": "place"}
    return words.get(name) or AXES.get(name, "place").partition(":")[0]


def told(name: str, each: Expression, how: Writing) -> str:
    """What a local name stands for."""
    if name == "N":
        return "how many real pixels the window holds"
    if isinstance(each, Over) and each.sign == "max" and isinstance(each.body, Cell):
        return f"the largest score of the image: of {how.arrays.get(each.body.array, each.body.array)}"
    return f"{name.replace('_', ' ')}: what it is stands behind “with”"
