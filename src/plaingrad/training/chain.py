"""The sum of gradients as it goes from rank to rank: what this rank adds to it, shard by shard.

The sum of the shards before comes when they are done, which may be after this rank has begun other shards: so the
gradient of each shard is kept until then, and what the running values of a layer are moved by.
"""

import ast
import functools
from collections.abc import Callable, Sequence

import numpy as np

from plaingrad.compiler.loops import Array, loops, zeros
from plaingrad.compiler.program import Program
from plaingrad.network.network import NUMBERS_IN_LINE, Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import bind
from plaingrad.textbook.text import Text
from plaingrad.training.ranks import OneRank

PIECE = 1 << 16  # parameters sent at a time, so that several ranks are at work on a long sum
SHARED_FROM = 1 << 13  # parameters: with fewer, calling a thread takes longer than adding them up


@loops
def add_gradients(part, total, *, first):
    for n in range(total.size):
        total[n] = part[n] if first else total[n] + part[n]


def adding(net: Network, parts: Sequence[Array], total: Array, first: bool) -> Program:
    """Add the parts to the total in their order; the first one in place of it, where told."""
    known = [{"part": part, "total": total, "first": first and number == 0} for number, part in enumerate(parts)]
    return Program([bind(add_gradients, net, each) for each in known])


def cut(size: int, threads: int) -> list[slice]:
    """So many parameters cut into a part for each thread."""
    count = threads if size >= SHARED_FROM else 1
    bounds = [size * number // count // NUMBERS_IN_LINE * NUMBERS_IN_LINE for number in range(count)]
    return [slice(*each) for each in zip(bounds, [*bounds[1:], size], strict=True)]


@functools.cache
def read_by(text: Text) -> frozenset[str]:
    """The arrays whose numbers a text reads: what it only asks for the shape of is not among them."""
    tree = ast.parse(text.source)
    shapes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "shape"}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in shapes}
    return frozenset(names & {*text.arguments})


def settled_by(run: Run) -> list[Array]:
    """The arrays of a run that the running values of its layers are moved by."""
    found = []
    for name, step in run.net.steps.items():
        for task in run.tasks(name, "settle"):
            known = {argument: each for argument, each in task.laid.items() if isinstance(each, np.ndarray)}
            found += [known[each] for each in known if each in read_by(task.text) and each not in step.state]
    return found


class Chain:
    """What this rank adds to the sum that the rank before hands on. `gradient` becomes the sum of all ranks.

    most: shards of a batch that this rank may have.
    """

    def __init__(
        self,
        net: Network,
        runs: Sequence[Run],
        gradient: Array,
        ranks: OneRank,
        most: int,
        perform: Callable[[Sequence[Program]], None],
    ) -> None:
        self.net, self.runs, self.gradient, self.ranks, self.perform = net, runs, gradient, ranks, perform
        kept = 0 if ranks.is_first else max(0, most - len(runs))  # those of the last round lie where they are
        self.kept = zeros((kept, *gradient.shape), net.dtype)
        self.moved_by = [settled_by(run) for run in runs] if net.state.size else []
        self.moving: list[list[Array]] = []
        self.count = self.done = 0
        self.pieces = [slice(start, start + PIECE) for start in range(0, gradient.size, PIECE)]
        self.programs: dict[int, list[list[Program]]] = {}

    def begin(self, count: int) -> None:
        """A batch of which this rank has so many shards."""
        self.count, self.done, self.moving = count, 0, []

    def prepare(self, most: int) -> None:
        """Bind what adds up to so many shards."""
        for count in range(1, most + 1):
            self._adding(count)

    def keep(self, runs: Sequence[Run]) -> None:
        """The shards that were just run; the first rank has added them up by itself."""
        for number, run in enumerate(runs):
            if self.done < self.count - self._last(self.count):
                self.kept[self.done] = run.gradient
            if self.moved_by:
                self.moving.append([array.copy() for array in self.moved_by[number]])
            self.done += 1

    def _last(self, count: int) -> int:
        """Shards of the last round of so many."""
        return (count - 1) % len(self.runs) + 1 if count else 0

    def _adding(self, count: int) -> list[list[Program]]:
        """By piece and thread what adds so many shards."""
        if count not in self.programs:
            last = self._last(count)
            rows = [*self.kept[: count - last], *(run.gradient for run in self.runs[:last])]
            self.programs[count] = [
                [
                    adding(self.net, [row[piece][part] for row in rows], self.gradient[piece][part], False)
                    for part in cut(self.gradient[piece].size, len(self.runs))
                ]
                for piece in self.pieces
            ]
        return self.programs[count]

    def pass_on(self) -> None:
        """Until the gradient and the running values are those of all ranks, on each of them."""
        changes: list[tuple[Array, Callable[[], None]]] = []
        if self.net.state.size:
            changes.append((self.net.state, self._settle))
        programs = self._adding(self.count) if self.count else [[] for _ in self.pieces]
        for piece, each in zip(self.pieces, programs, strict=True):
            changes.append((self.gradient[piece], functools.partial(self._add, each)))
        self.ranks.pass_on(changes)

    def _add(self, programs: Sequence[Program]) -> None:
        if programs:
            self.perform(programs)

    def _settle(self) -> None:
        """Move the running values by each of this rank's shards, in their order."""
        for number, moved_by in enumerate(self.moving):
            place = number % len(self.runs)
            for array, kept in zip(self.moved_by[place], moved_by, strict=True):
                array[...] = kept
            for call in self.runs[place].settle_calls:
                call()
