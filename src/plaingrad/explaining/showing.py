"""How a formula is shown: which names stay, how its letters are written, and what each of them stands for."""

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaingrad.compiler.loops import Array
from plaingrad.explaining.expressions import Expression, Node, changed, every, is_kind, tree
from plaingrad.explaining.indices import Index
from plaingrad.explaining.notation import Tree, as_text, number_text
from plaingrad.explaining.twin import Making, Sheet
from plaingrad.explaining.words import AXES, SPARE

SYMBOLS = {"beta1": "β₁", "beta2": "β₂", "epsilon": "ε", "gradient": "g"}
SETTINGS = {"rate": "learning rate, at this step", "t": "number of the step, from 1"}
WORDS = {"k": "filter", "c": "channel", "r": "row", "s": "column", "m": "place"}


@dataclass(frozen=True)
class Formula:
    """What a number of an array is, in the letters of its place."""

    place: tuple[Index, ...]
    letters: list[str]  # of every axis, also of those with one place
    of: Expression
    boxes: dict[str, tuple[int, int]]
    settings: dict[str, float]
    arrays: dict[str, Array]


def shown(making: Making, sheet: Sheet, formula: Formula) -> tuple[Tree, dict[str, str]]:
    """The formula as a tree, and what each letter stands for, with its bounds."""
    made, kept = with_names(formula.of)
    sums = [each for each in every(made) if is_kind(each, "over")]
    running = [letter for letter in formula.letters if formula.boxes[letter][1] > 0]
    own: dict[str, str] = {}  # each letter, or a spare one where that is taken
    for letter in dict.fromkeys([*running, *(each.parts[1] for each in sums)]):
        spare = (each + (str(turn) if turn else "") for turn in range(9) for each in SPARE)
        taken = {*own.values(), *formula.settings}
        own[letter] = next(each for each in itertools.chain([letter.partition("#")[0]], spare) if each not in taken)
    symbols = {each: SYMBOLS.get(each, each.replace("_hat", "\u0302")) for each in (*formula.settings, *kept)}
    named = {**making.names, **own, **symbols}
    ends: list[Tree] = []
    for name, of in kept.items():
        ends += [["mtext", "; " if ends else "; with "], named[name], ["mo", "="], tree(of, named)]
    letters = {}
    cells = [each.parts[1:] for each in every(made) if is_kind(each, "cell")]
    for letter in running:
        low, high = formula.boxes[letter]
        axes = max([len(formula.place), *(len(index) for index in cells if Index.of(letter) in index)])
        letters[own[letter]] = f"{word(letter, axes)} of {sheet.name}, {low} to {high}"
    for each in sums:
        letters.setdefault(own[each.parts[1]], meaning(each, made, named))
    letters |= {named[name]: told(name, of, named) for name, of in kept.items()}
    for name, value in formula.settings.items():
        letters[named[name]] = f"{SETTINGS.get(name, name)}: {number_text(value)} in {making.task.owner}"
    left = tree(Node("cell", (sheet.name, *formula.place)), named)
    return ["mrow", left, ["mo", "="], tree(made, named), *ends], letters


def with_names(made: Expression) -> tuple[Expression, dict[str, Expression]]:
    """The expression with those names kept that stand twice, or for a fraction in a fraction, and what they are."""
    named = [each.parts for each in every(made) if is_kind(each, "local")]
    means = {name: {of for own, of, _ in named if own == name} for name, _, _ in named}
    joint = tuple(each.parts for each in every(made) if is_kind(each, "*", "/", "**"))
    stays = {each.parts[0] for each in every(joint) if is_kind(each, "local") and is_kind(each.parts[1], "/")}
    count = Counter(name for name, _, _ in named)
    stays |= {name for name, of, kept in named if kept or (count[name] > 1 and not is_kind(of, "cell", "setting"))}

    def put(each: Node) -> Any:
        if each.kind != "local":
            return each
        name, of, _ = each.parts
        return Node("local", (name, of, True)) if name in stays and len(means[name]) == 1 else of

    made = changed(made, {}, put)
    return made, {each.parts[0]: each.parts[1] for each in every(made) if is_kind(each, "local")}


def meaning(each: Node, made: Expression, how: Mapping[str, str]) -> str:
    """What a letter is that runs, and from where to where."""
    letter = each.parts[1]
    cells = [each.parts for each in every(made) if is_kind(each, "cell")]
    own = next((array for array, *index in cells if Index.of(letter) in index), None)
    near = next((index for _, *index in cells if any(letter in one.letters() for one in index)), [])
    where = f" of {how.get(own, own)}" if own else " of the group" if letter[0] in "kc" else ""
    low, high = (tree(bound, how) for bound in each.parts[2:4])
    return f"{word(letter, len(near))}{where}, {as_text(low)} to {as_text(high)}"


def word(letter: str, axes: int) -> str:
    """The word for a letter: channels, filters, rows and columns are those of arrays with several axes."""
    name = letter.partition("#")[0]
    if axes < 3 and name in ("k", "c"):
        return {"k": "unit", "c": "input"}[name]
    return WORDS.get(name) or AXES.get(name, "place").partition(":")[0]


def told(name: str, each: Expression, how: Mapping[str, str]) -> str:
    """What a local name stands for."""
    if name == "N":
        return "how many real pixels the window holds"
    match each:
        case Node("over", ("max", _, _, _, Node("cell", (array, *_)))):
            return f"the largest score of the image: of {how.get(array, array)}"
    return f"{name.replace('_', ' ')}: what it is stands after “with”"
