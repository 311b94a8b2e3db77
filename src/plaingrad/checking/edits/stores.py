"""What loops write, all at once: each cell holds what was assigned to it last, and what was added to it since."""

from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array

MOST = 60_000_000  # places a statement may be done for
Extents = list[tuple[str, int]]  # letters of the loops around, and how often each is done
Index = tuple[str, ...] | None  # the names it consists of, where it is nothing but names


class Sequential(Exception):  # noqa: N818 (an answer, not an error)
    """The loops cannot be done all at once."""


class Stores:
    """The statements that fill an array: sign, cells, values, where it is done, and when."""

    def __init__(self, depths: int) -> None:
        self.depths = depths
        self.events: list[tuple[str, Any, Any, Any, tuple[int, ...], Extents, Index]] = []

    def spread(self, value: Any, extents: Extents) -> Array:
        """A value at every place that the loops around lead to."""
        shape = [each for _, each in extents] + [1] * (self.depths - len(extents))
        if np.prod(shape, dtype=float) > MOST:
            raise Sequential
        return np.broadcast_to(value, shape)

    def laid(self, before: Array) -> Array:
        """The array that was filled so, from what was in it before."""
        made = np.array(before, float).reshape(-1)
        if not self.events:
            return made.reshape(before.shape)
        size = made.size
        filled = -1.0
        assigned = [each for each in self.events if each[0] == "="]
        begin = min(each[4] for each in self.events)
        first = all(each[0] != "fill" or (not each[5] and each[4] <= begin) for each in self.events)
        for sign, _, value, _, path, extents, _ in self.events:
            if sign == "fill":
                if not first:
                    filled = max(filled, float(np.max(self._times(path, extents))))
                if np.size(value) > 1:
                    raise Sequential
                made[:] = value
        ordered = self._is_ordered(assigned)
        since = np.full(size + 1, filled)
        for each in assigned:
            _, flat, value, inside, path, extents, _ = each
            places, values = self.spread(flat, extents).reshape(-1), self.spread(value, extents).reshape(-1)
            kept = self.spread(inside, extents).reshape(-1)
            if ordered:
                if not np.all(inside):
                    places, values = places[kept], values[kept]
                made[places] = values
                continue
            times = self.spread(self._times(path, extents), extents).reshape(-1)
            kept = kept & (times > since[places])
            np.maximum.at(since, places[kept], times[kept])
            last = kept & (times == since[places])
            made[places[last]] = values[last]
        for sign, flat, value, inside, path, extents, _ in self.events:
            if sign not in "+-":
                continue
            places, values, kept = self.spread(flat, extents), self.spread(value, extents), inside
            if not ordered or filled >= 0:
                times = self._times(path, extents)
                if not ordered:
                    kept = kept & (times > since[places])
                elif not np.all(times > filled):
                    kept = kept & (times > filled)
            if not np.all(kept):
                kept = self.spread(kept, extents)
                places, values = places[kept], values[kept]
            added = np.bincount(places.reshape(-1), values.reshape(-1), size)
            made += added if sign == "+" else -added
        return made.reshape(before.shape)

    def _times(self, path: tuple[int, ...], extents: list[tuple[str, int]]) -> Array:
        """When each place of a statement is reached, as a number that grows."""
        paths, sizes = [path for *_, path, _, _ in self.events], [reach for *_, reach, _ in self.events]
        radix = [max((each[d] for each in paths if len(each) > d), default=0) + 2 for d in range(self.depths + 1)]
        wide = [max((each[d][1] for each in sizes if len(each) > d), default=1) + 1 for d in range(self.depths)]
        time: Any = np.zeros([1] * self.depths)
        for depth in range(self.depths + 1):
            time = time * radix[depth] + (1 + path[depth] if depth < len(path) else 0)
            if depth < self.depths:
                time = time * wide[depth]
                if depth < len(extents):
                    shape = [1] * self.depths
                    shape[depth] = extents[depth][1]
                    time = time + (1 + np.arange(extents[depth][1])).reshape(shape)
        return np.asarray(time)

    def _is_ordered(self, assigned: list[Any]) -> bool:
        """Whether each cell is assigned once, before anything is added to it: at places told by the loops around."""
        if not assigned:
            return True
        if len(self.events) == len(assigned) == 1:
            return True  # the last one stays, as numbers are laid in the order of the loops
        if len(assigned) > 1 or any(each[0] == "fill" for each in self.events):
            return len(assigned) == 1 and all(each[0] in "fill=" and each[4] <= assigned[0][4] for each in self.events)
        (_, _, _, _, path, extents, index) = assigned[0]
        plain = index is not None and sorted(index) == sorted(letter for letter, _ in extents)
        return plain and all(
            each[6] == index and each[5][: len(extents)] == extents and each[4] >= path for each in self.events
        )
