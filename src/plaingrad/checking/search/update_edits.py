"""Usual optimisers with one line edited: the small edits of their texts, held against the steps of an answer."""

import ast
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType

import numpy as np

from plaingrad.checking.edits.grammar import edits
from plaingrad.checking.edits.lines import Lines, Path, line_of, statement_of, walked
from plaingrad.checking.edits.lines import at as node_at
from plaingrad.checking.edits.pieces import ARRAY, FACTOR, Around, Edit, absolute, name, number, operation
from plaingrad.checking.edits.stepped import code_in
from plaingrad.checking.search.update_rules import SUMMED, Direction, Past, as_written, steps_of
from plaingrad.compiler.loops import Array
from plaingrad.schedule.tree import filled
from plaingrad.textbook.optimisers import SGD, Adam, Optimiser
from plaingrad.textbook.text import Text

SHARES = (0.9, 0.5, 0.99)
BETAS = ((0.9, 0.999), (0.9, 0.99))
WITHOUT_MEAN = (
    ("        m[n] = adam.beta1 * m[n] + (1 - adam.beta1) * gradient\n", ""),
    ("        m_hat = m[n] / (1 - adam.beta1**t)\n", ""),
    ("        v_hat = v[n] / (1 - adam.beta2**t)\n", ""),
    ("rate * m_hat / (sqrt(v_hat) + adam.epsilon)", "rate * gradient / (sqrt(v[n]) + adam.epsilon)"),
)
WITHOUT_MOMENTUM = (
    ("        velocity[n] = momentum * velocity[n] + dw[n] + decay * w[n]\n", ""),
    ("rate * velocity[n]", "rate * dw[n]"),
)
NUMBERS = {"rate", "momentum", "adam.beta1", "adam.beta2", "adam.epsilon", "t"}
RANDOM_STEPS = 4
SAME = 1e-9  # of a number: far more than a few steps round in float64, far less than another edit moves random numbers
CLOSE = 1e-4  # of the largest step: what is farther off in the smallest array is not looked at whole


@dataclass(frozen=True)
class EditedText:
    """The text of an optimiser with an edit of its tree."""

    text: Text
    edit: Edit
    tree: ast.FunctionDef

    @property
    def many(self) -> str:
        """How many lines it is in."""
        return "one line" if len(self._places) == 1 or self.edit.words else f"{len(self._places)} lines"

    @property
    def _places(self) -> list[Path]:
        return sorted({statement_of(path) for path, _ in self.edit.changes}, key=str)

    @property
    def line(self) -> str:
        """What the edited line says, and what the textbook's says."""
        places = self._places
        right = "; ".join(line_of(node_at(self.tree, place)) for place in places)
        whole = self.edit.tree(self.tree)
        own = self.edit.words or "; ".join(line_of(node_at(whole, place)) for place in places)
        return f"{own}, where the textbook has {right}"


@functools.cache
def edited_texts(text: Text) -> tuple[EditedText, ...]:
    """Every small edit of the statements of an update."""
    tree = ast.parse(text.source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    (loop,) = tree.body
    every_cell = (each.value for each in ast.walk(loop) if isinstance(each, ast.Subscript))
    cells = {each.id for each in every_cell if isinstance(each, ast.Name)}
    around = Around({array: np.empty(2) for array in sorted(cells)}, {}, ())
    lines = Lines(text, "w", tree, filled(tree))
    every = itertools.chain(edits(lines, around), _numbers(lines), _throughout(lines), _weights(lines), _orders(loop))
    # Not of the loop over all weights, but of what is done for one.
    own = (each for each in every if each.words or all(len(statement_of(path)) > 1 for path, _ in each.changes))
    return tuple(EditedText(Text(_function(each.tree(tree), text)), each, tree) for each in own)


def _function(tree: ast.FunctionDef, text: Text) -> FunctionType:
    """The function of an edited tree, in which the names mean what they mean in the text."""
    for each in ast.walk(tree):
        if isinstance(each, ast.For) and not each.body:  # its only statement is left out
            each.body = [ast.Pass()]
    code = code_in(compile(ast.fix_missing_locations(ast.Module([tree], [])), "<edited>", "exec"))
    return FunctionType(code, text.names, text.__name__)


def _numbers(lines: Lines) -> Iterator[Edit]:
    """Another number of the update in place of one, or what it leaves of 1."""
    every = [(path, node) for path, node in walked(lines.tree) if isinstance(node, ast.expr)]
    said = {ast.unparse(node) for _, node in every} & NUMBERS
    for path, node in every:
        own = ast.unparse(node)
        if own in said and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            others: list[ast.expr] = [ast.parse(each, mode="eval").body for each in sorted(said - {own})]
            if own != "t":
                others += [operation(number(1), ast.Sub, node), number(0), ast.UnaryOp(ast.USub(), node)]
            else:
                others += [number(1), operation(name("t"), ast.Add, number(1))]
            yield from (Edit(FACTOR, ((path, each),)) for each in others)


def _throughout(lines: Lines) -> Iterator[Edit]:
    """The step counted otherwise, or two numbers exchanged, wherever they stand; and a size in place of a square."""
    every = [(path, node) for path, node in walked(lines.tree) if isinstance(node, ast.expr)]
    by_name: dict[str, list[Path]] = {}
    for path, node in every:
        by_name.setdefault(ast.unparse(node), []).append(path)
    for sign in (ast.Add, ast.Sub) if len(by_name.get("t", [])) > 1 else ():
        yield Edit(FACTOR, tuple((path, operation(name("t"), sign, number(1))) for path in by_name["t"]))
    one, other = (by_name.get(f"adam.{beta}", []) for beta in ("beta1", "beta2"))
    if one and other:
        swapped = [(path, "adam.beta2") for path in one] + [(path, "adam.beta1") for path in other]
        yield Edit(FACTOR, tuple((path, ast.parse(each, mode="eval").body) for path, each in swapped))
    for path, node in every:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            before, factor = None, node.left
            if isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Mult):
                before, factor = factor.left, factor.right
            if ast.unparse(factor) == ast.unparse(node.right):
                size = absolute(factor)
                yield Edit(FACTOR, ((path, size if before is None else operation(before, ast.Mult, size)),))


def _weights(lines: Lines) -> Iterator[Edit]:
    """The weight in place of its gradient: elsewhere the array that is filled is none to read."""
    for path, node in walked(lines.tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node) == "dw[n]":
            yield Edit(ARRAY, ((path, ast.Subscript(name("w"), node.slice, ast.Load())),))


def _orders(loop: ast.stmt) -> Iterator[Edit]:
    """Two statements of an update in the other order."""
    assert isinstance(loop, ast.For)
    path = (("body", 0),)
    for one, two in itertools.combinations(range(len(loop.body)), 2):
        body = list(loop.body)
        body[one], body[two] = body[two], body[one]
        words = f"{line_of(loop.body[two])} stands before {line_of(loop.body[one])}"
        changed = ast.For(loop.target, loop.iter, body, [], lineno=0)
        yield Edit(FACTOR, ((path, changed),), words=words)


def bases() -> Iterator[tuple[str, Optimiser, Text]]:
    """The usual optimisers, each with its name and its text."""
    for share, nesterov in itertools.product(SHARES, (False, True)):
        sgd = SGD(momentum=share, nesterov=nesterov)
        told = "that of Nesterov's momentum" if nesterov else "that of momentum"
        yield f"{told}, {share:g},", sgd, sgd.update
    for beta1, beta2 in BETAS:
        adam = Adam(beta1=beta1, beta2=beta2)
        yield f"Adam's (β₁ = {beta1:g}, β₂ = {beta2:g})", adam, as_written(Adam.update)
    plain = as_written(Adam.update).edited(*WITHOUT_MEAN)
    for share in SHARES[::2]:
        yield f"RMSprop's (share {share:g})", Adam(beta2=share), plain
    yield "Adagrad's", Adam(), plain.edited(SUMMED)


def count() -> float:
    """How many edited updates are tried, in bits."""
    return math.log2(sum(len(edited_texts(text)) for _, _, text in bases()))


def steps_made(
    optimiser: Optimiser, text: Text, read: Sequence[tuple[Array, Array]], rate: float = 1.0
) -> Array | None:
    """The steps of an edited text, of gradients and the weights before them; None where it makes none."""
    try:
        made = np.asarray([*steps_of(optimiser, text, read, rate)])
    except (IndexError, TypeError, ValueError, NameError, ZeroDivisionError, OverflowError, AttributeError):
        return None
    return made if np.isfinite(made).all() else None


def found(pasts: Sequence[tuple[Past, Array]]) -> Iterator[Direction]:
    """The edited updates that may make steps, told by those of one small array from the first step on."""
    read = [(past.gradient(), past.weight()) for past, _ in pasts]
    steps = np.asarray([step for _, step in pasts])
    size = float(np.abs(steps).max(initial=0))
    for told, optimiser, text in bases():
        right = np.asarray([*steps_of(optimiser, text, read)])
        for each in edited_texts(text):
            own = steps_made(optimiser, each.text, read)
            if own is None or np.array_equal(own, right):
                continue
            largest = np.unravel_index(int(np.abs(own).argmax()), own.shape)
            if not own[largest]:
                continue
            rate = steps[largest] / own[largest]
            if np.abs(rate * own - steps).max() <= CLOSE * size:
                yield Direction("edited-update", f"{told} but for {each.many}: {each.line}", optimiser, each.text)


def plain() -> Text:
    """The update of the case: a rate times the gradient, and nothing else."""
    return as_written(SGD().update).edited(*WITHOUT_MOMENTUM)


def found_of_plain(pasts: Sequence[tuple[Past, Array]]) -> list[Direction]:
    """The edits of the case's own update that may make steps, at its own rate; of equal ones the first."""
    read = [(past.gradient(), past.weight()) for past, _ in pasts]
    steps, rate = np.asarray([step for _, step in pasts]), pasts[0][0].rate
    size, every = float(np.abs(steps).max(initial=0)), list[Direction]()
    for each in edited_texts(plain()):
        own = steps_made(SGD(), each.text, read, rate)
        if own is not None and np.abs(own - steps).max() <= CLOSE * size:
            every.append(Direction("edited-update", each.line, SGD(), each.text))
    return distinct(every, rate)


def count_of_plain() -> float:
    """How many edits of it are tried, in bits."""
    return math.log2(len(edited_texts(plain())))


def distinct(ways: Sequence[Direction], rate: float = 1.0) -> list[Direction]:
    """Those that make other steps of other gradients; of equal ones the first."""
    rng = np.random.default_rng(0)
    read = [(gradient, weight) for gradient, weight in rng.normal(size=(RANDOM_STEPS, 2, 5))]
    found: list[tuple[Array, Direction]] = []
    for each in ways:
        steps = np.asarray([*steps_of(each.optimiser, each.text, read, rate)])
        if not any(np.allclose(steps, other, rtol=SAME, atol=0) for other, _ in found):
            found.append((steps, each))
    return [each for _, each in found]
