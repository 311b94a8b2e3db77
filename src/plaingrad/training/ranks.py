"""The ranks of a training: one process that does all of it, which is also the interface of several (`mpi.py`).

Shards of a batch are dealt to ranks in order, a run of neighbours to each; sums go from rank to rank in that order.
So what is added to what does not depend on the number of ranks, and neither does any bit of the result.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from plaingrad.compiler.loops import Array
from plaingrad.compiler.machine_code import processors, together

Change = Callable[[], None]


class OneRank:
    """A training in one process, the default; its methods say what each means where there are several ranks."""

    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this rank is the one that writes and shows."""
        return self.rank == 0

    def threads(self) -> int:
        """How many threads this rank has processors for."""
        return processors()

    def dealt(self, count: int) -> list[range]:
        """Of so many shards those of each rank. The first rank has the first one, however few there are."""
        bounds = [-(-count * rank // self.size) for rank in range(self.size + 1)]
        return [range(bounds[rank], bounds[rank + 1]) for rank in range(self.size)]

    def own(self, count: int) -> range:
        """Of so many shards those of this rank."""
        return self.dealt(count)[self.rank]

    def gather(self, rows: Array, counts: Sequence[int]) -> Array:
        """All ranks' rows, in the order of the ranks; of each so many as `counts` says."""
        return rows

    def texts(self, own: str) -> list[str]:
        """What each rank says."""
        return [own]

    def pass_on(self, pieces: Sequence[tuple[Array, Change]]) -> None:
        """Each piece comes from the rank before, is changed in place, and goes to the next; the last tells all."""
        for _, change in pieces:
            change()

    def ask(self, wishes: Sequence[int]) -> None:
        """What this rank wishes of all of them, whole numbers of at least 0: told beside the next scores."""

    def scores(self, rows: Sequence[tuple[float, float]], counts: Sequence[int]) -> Sequence[tuple[float, float]]:
        """Loss and hits of all shards, as `gather`; the wishes go with them."""
        return rows

    def agreed(self, wishes: Sequence[int]) -> Sequence[int]:
        """What all ranks take as wished: the greatest of what each one asked for, as it was last told. `wishes` are

        those of this rank now, which one alone takes as they are.
        """
        return wishes

    @contextlib.contextmanager
    def training(self, facts: dict[str, Any]) -> Iterator[None]:
        """While all ranks train together. `facts` are what has to be the same on each of them: RanksError else.

        What goes wrong on one rank in between ends all of them, in one message.
        """
        yield

    def require_same(self, what: str, value: str) -> None:
        """RanksError on all ranks where one of them has another value."""

    def build(self, make: Callable[[], Any]) -> Any:
        """What `make` makes of nests: on each machine one rank compiles what is missing, and the others load it."""
        return together(make)

    def speaks(self, code: int) -> bool:
        """Whether this rank, which is about to end with an exit code other than 0, is the one to say why."""
        return True

    def interrupt(self, message: str, code: int) -> None:
        """End all ranks at once, with a message."""
