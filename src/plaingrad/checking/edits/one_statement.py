"""What a text makes when one of its statements is another: all that stands around it is done once for such edits."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.edits.lines import Lines, Path, at, statement_of
from plaingrad.checking.edits.pieces import Edit
from plaingrad.checking.edits.stepped import NOT_MADE, is_in_nests, names_of
from plaingrad.checking.edits.stores import Sequential
from plaingrad.checking.edits.uses import Kept, below, carried_cells, depth_of
from plaingrad.checking.edits.vectors import Vectors
from plaingrad.compiler.loops import Array


@dataclass
class Moment:
    """What holds where a statement begins, and which of the `Stores` are its own, from the first to below the last.

    `is_closed`: it gives no name another value that stands around it.
    """

    letters: dict[str, Array]
    running: list[str]
    extents: list[int]
    locals: dict[str, tuple[Any, int]]
    mask: Any
    path: list[int]
    first: int
    last: int = 0
    is_closed: bool = True


class Remembered(Vectors):
    """A run of a text as it stands, done, of which is known what held at each of its statements."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.moments: dict[int, Moment] = {}  # by the statement's identity
        self.is_done = False
        self.made()
        self.is_done = True

    def _statement(self, node: ast.stmt) -> None:
        if self.is_done:
            super()._statement(node)
            return
        state = dict(self.letters), [*self.running], [*self.extents], dict(self.locals), self.mask, [*self.path]
        moment = self.moments[id(node)] = Moment(*state, len(self.stores.events))
        super()._statement(node)
        moment.last, moment.is_closed = len(self.stores.events), self._is_as(moment)

    def made_with(self, statement: ast.stmt, new: ast.stmt) -> Array:
        """The wanted array, had one statement of this run, which remembers, been another one.

        It reads nothing that the others fill (`_cell`), and gives no name another value: the others are as they were.
        """
        then = self.moments[id(statement)]
        if not then.is_closed:
            raise Sequential
        every = self.stores.events
        self.letters, self.running, self.extents = dict(then.letters), [*then.running], [*then.extents]
        self.locals, self.mask, self.path = dict(then.locals), then.mask, [*then.path]
        self.stores.events, self.turns = [], 0
        try:
            with np.errstate(all="ignore"):
                self._statement(new)
                if not self._is_as(then):
                    raise Sequential
                self.stores.events = [*every[: then.first], *self.stores.events, *every[then.last :]]
                return self.stores.laid(self.known[self.wanted])
        finally:
            self.stores.events = every

    def _is_as(self, then: Moment) -> bool:
        """Whether all names have the values that they had then."""
        same = (self.locals.get(name, (None,))[0] is value for name, (value, _) in then.locals.items())
        return len(self.locals) == len(then.locals) and all(same)


def made_with(
    lines: Lines, tree: ast.FunctionDef, edit: Edit, known: Mapping[str, Any], only: Mapping[str, list[int]], kept: Kept
) -> Array | None:
    """The array of an edited text; None where the edit changes more than one statement, or it cannot be made so.

    `tree` is the edited one, `kept` belongs to these `known` numbers.
    """
    try:
        run = _run(lines, known, only, edit.wraps, kept)
        place = _place_of(lines.tree, edit, run) if run is not None else ()
        if run is None or not place:
            return None
        old, new = at(lines.tree, place), at(tree, place)
        is_deeper = depth_of([new]) > depth_of([old])
        return None if is_deeper or _reads_more(lines.tree, edit, run, old) else run.made_with(old, new)
    except NOT_MADE:
        return None


def _run(
    lines: Lines, known: Mapping[str, Any], only: Mapping[str, list[int]], wraps: bool, kept: Kept
) -> Remembered | None:
    """The text as it stands, done on whole axes; None where that cannot be."""
    what = lines.wanted, wraps, *((letter, *values) for letter, values in only.items())
    if what not in kept.runs:
        kept.runs[what] = None
        if not is_in_nests(lines.tree, kept) and not carried_cells(lines.tree, kept):
            names = names_of(lines.text)
            kept.runs[what] = Remembered(lines.tree, lines.wanted, known, only, wraps, lines.fills, kept, names, {})
    found: Remembered | None = kept.runs[what]
    return found


def _place_of(tree: ast.FunctionDef, edit: Edit, run: Remembered) -> Path:
    """The way to the innermost statement that holds all changes, and gives no name a value for those behind it.

    What is put in place of a statement is counted with those beside it: it takes the loop around them.
    """
    places = [statement_of(path) for path, _ in edit.changes]
    end = min(map(len, places))
    while len({each[:end] for each in places}) > 1:
        end -= 1
    place = statement_of(places[0][:end])
    is_inside = all(path != place or isinstance(new, ast.stmt) for path, new in edit.changes)
    is_within = len(set(places)) == 1 and is_inside
    while place and not (is_within or isinstance(at(tree, place), ast.For)):
        place, is_within = statement_of(place[:-1]), False
    while place and not run.moments[id(at(tree, place))].is_closed:
        place = statement_of(place[:-1])
    return place


def _reads_more(tree: ast.FunctionDef, edit: Edit, run: Remembered, statement: ast.stmt) -> bool:
    """Whether changes read a name that is given a value in the loops around, and was not read there.

    Such a name may be handed on from turn to turn, which asks for another run.
    """
    given = run.moments[id(statement)].locals.keys()
    if not given:
        return False
    changes = ((at(tree, path), new) for path, new in edit.changes)
    return any((_names_in(new) - _names_in(old)) & given for old, new in changes)


def _names_in(nodes: Any) -> set[str]:
    every = nodes if isinstance(nodes, list) else [nodes]
    return {each.id for node in every for each in below(node) if isinstance(each, ast.Name)}
