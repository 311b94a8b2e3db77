"""Numbers read off the steps of an answer: those by which columns are to be multiplied to make all of its updates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.search.update_rules import Direction, Past, Place
from plaingrad.compiler.loops import Array

DEVIATIONS = 6.0  # standard errors by which a solved number may miss the one that is meant
FEW = 50  # numbers of the smallest arrays, by which most rules are ruled out
STRAY = 1e-9  # of a solved number: by how much float64 itself may move it
SIGMAS = 8.0  # standard deviations that `allowed` allows
Column = Callable[[Past], Array]
COLUMNS: dict[str, Column] = {
    "own": lambda past: past.rate * past.gradient(),
    "before": lambda past: past.rate * past.gradient(past.t - 1),
    "weight": lambda past: past.weight(),
    "sign": lambda past: np.sign(past.weight()),
}


@dataclass(frozen=True)
class Seen:
    """An answered update whose weights before and gradients are known: its step, and how far that may be off."""

    past: Past
    step: Array
    room: Array
    is_wrong: bool

    @property
    def place(self) -> Place:
        """Layer and weight."""
        return self.past.key[1:]


@dataclass(frozen=True)
class Solved:
    """Numbers by which columns are multiplied, and the standard error of each."""

    value: dict[str, float]
    error: dict[str, float]

    def __getitem__(self, name: str) -> float:
        return self.value.get(name, 0.0)

    def shows(self, name: str) -> bool:
        """Whether a number is another than 0."""
        return not self.near(name, 0.0)

    def near(self, name: str, other: float, among: float = 0.0) -> bool:
        """Whether a number may be another, which is off by `among` itself."""
        room = DEVIATIONS * (self.error.get(name, 0.0) + among) + STRAY * abs(other)
        return abs(self[name] - other) <= room


def rounded(value: float, room: float) -> float:
    """The number of two digits that it may be; itself where there is none."""
    short = float(f"{value:.1e}")
    return short if abs(short - value) <= room else value


def sized(seen: list[Seen], by: Direction) -> Solved | None:
    """The rate of an optimiser that makes all steps."""
    solved = least_squares(seen, {"rate": by.of})
    return solved if solved is not None and solved.shows("rate") else None


def usual(solved: Solved, name: str, values: list[float] | tuple[float, ...]) -> Iterator[tuple[float, int]]:
    """The usual numbers that a solved one may be, for which nothing was solved; then the solved one itself."""
    yield from ((value, 0) for value in values if solved.near(name, value))
    yield solved[name], 1


def least_squares(seen: list[Seen], columns: dict[str, Column], room: float = 0.0) -> Solved | None:
    """The numbers by which columns are to be multiplied to make the steps; None where none make all of them.

    `room` is what is allowed besides, of the largest step.
    """
    if not seen or is_ruled_out(seen, columns, room):
        return None
    matrix, steps = equations(seen, columns, room)
    if not np.isfinite(matrix).all() or not np.isfinite(steps).all() or len(steps) <= len(columns):
        return None
    sizes = np.sqrt((matrix * matrix).sum(axis=0))
    if (sizes == 0).any():
        return None
    numbers, _, rank, _ = np.linalg.lstsq(matrix / sizes, steps, rcond=1e-10)
    if rank < len(columns) or (np.abs(matrix / sizes @ numbers - steps) > 1).any():
        return None
    spread = np.sqrt(np.diag(np.linalg.inv((matrix / sizes).T @ (matrix / sizes)))) / SIGMAS
    return Solved(
        dict(zip(columns, map(float, numbers / sizes), strict=True)),
        dict(zip(columns, map(float, spread / sizes), strict=True)),
    )


def equations(seen: list[Seen], columns: dict[str, Column], room: float) -> tuple[Array, Array]:
    """What is to be multiplied, number by number, and what it should make; 1 is how far that may be off."""
    wide = [np.maximum(each.room, room * np.abs(each.step).max(initial=0)).reshape(-1) for each in seen]
    weights = 1 / np.concatenate(wide)
    with np.errstate(all="ignore"):
        made = [np.concatenate([column(each.past).reshape(-1) for each in seen]) for column in columns.values()]
    return np.stack(made, axis=1) * weights[:, None], np.concatenate([each.step.reshape(-1) for each in seen]) * weights


def is_ruled_out(seen: list[Seen], columns: dict[str, Column], room: float) -> bool:
    """Whether the smallest arrays alone cannot be made, and so all of them cannot.

    If every number were off by 1 at most, so would be these with the same multipliers; their squares would come to no
    more than their count, and with multipliers of their own to less. Twice that leaves room for rounding.
    """
    some: list[Seen] = []
    for each in sorted(seen, key=lambda each: each.step.size):
        if sum(one.step.size for one in some) >= FEW:
            break
        some.append(each)
    if len(some) == len(seen):
        return False
    matrix, steps = equations(some, columns, room)
    if not np.isfinite(matrix).all() or not np.isfinite(steps).all():
        return True
    sizes = np.sqrt((matrix * matrix).sum(axis=0))
    matrix = matrix[:, sizes > 0] / sizes[sizes > 0]
    numbers = np.linalg.lstsq(matrix, steps)[0]
    left = matrix @ numbers - steps
    return bool((left * left).sum() > 2 * len(steps))
