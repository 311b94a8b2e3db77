"""The ranks that a launcher of MPI started, such as `mpirun -n 4`: one process each, on one machine or on several.

Outside of a training ranks meet before they go on: at its start, and when they end. Each says there that it trains,
has failed or leaves, so that none waits for one that is gone, and one message tells what went wrong. Within a training
a rank on which something goes wrong says so and ends all others (`MPI_Abort`).
"""

import atexit
import contextlib
import json
import os
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.compiler.machine_code import processors, together
from plaingrad.errors import DivergedError, Notice, PlaingradError, RanksError, StoppedError, visible
from plaingrad.training.ranks import Change, OneRank

LOOKS = 20_000  # some milliseconds: ranks wait awake from one step to the next
NAP, LONG_NAP = 5e-5, 1e-3  # seconds
GRACE = 1.0  # seconds in which the first rank, where it failed too, has ended the others before they speak
SHOWN = 60  # characters of a value that differs
WISHES = 2
INTERRUPTED = 130


class MpiRanks(OneRank):
    """One of several ranks. `mpi` is mpi4py's module MPI."""

    def __init__(self, mpi: Any) -> None:
        self.mpi, self.world = mpi, mpi.COMM_WORLD.Dup()  # a communicator of our own: no message of a script's is ours
        self.rank, self.size = self.world.rank, self.world.size
        self.machine = self.world.Split_type(mpi.COMM_TYPE_SHARED, self.rank)
        self.wishes, self.told = np.zeros(WISHES), np.zeros(WISHES, np.int64)
        self.within = self.over = False
        self.neighbours = self._neighbours()
        self.looks = LOOKS if self.neighbours <= processors() else 1
        self.hook = sys.excepthook
        sys.excepthook = self._uncaught
        atexit.register(self._leave)

    def _neighbours(self) -> int:
        """How many ranks of this machine may run on the processors that this one may run on."""
        allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
        others = [set(json.loads(text)) for text in self._said(json.dumps(allowed), self.machine)]
        return sum(not other.isdisjoint(allowed) for other in others)

    def threads(self) -> int:
        return max(1, processors() // self.neighbours)

    def _wait(self, request: Any, looks: int | None = None, nap: float = NAP) -> None:
        """Until a communication is done: awake for a moment, then asleep by turns, so that Ctrl-C is heard."""
        for _ in range(self.looks if looks is None else looks):
            if request.Test():
                return
        while not request.Test():
            time.sleep(nap)

    def gather(self, rows: Array, counts: Sequence[int]) -> Array:
        every = np.empty((sum(counts), *rows.shape[1:]), rows.dtype)
        width = rows[:1].size if len(rows) else int(np.prod(rows.shape[1:]))
        sizes = [count * width for count in counts]
        self._wait(self.world.Iallgatherv(np.ascontiguousarray(rows), (every, sizes)))
        return every

    def texts(self, own: str) -> list[str]:
        return self._said(own, self.world)

    def _said(self, own: str, among: Any) -> list[str]:
        """What each rank of a communicator says; they may come at very different times."""
        self._wait(among.Ibarrier(), 1, LONG_NAP)
        content = own.encode()
        sizes = np.empty(among.size, np.int64)
        among.Allgather(np.array([len(content)]), sizes)
        every = bytearray(int(sizes.sum()))
        among.Allgatherv(content, (every, sizes.tolist(), self.mpi.BYTE))
        ends = np.cumsum(sizes).tolist()
        return [every[end - size : end].decode() for end, size in zip(ends, sizes.tolist(), strict=True)]

    def pass_on(self, pieces: Sequence[tuple[Array, Change]]) -> None:
        last, told = self.size - 1, list[Any]()
        coming = [self.world.Irecv(array, self.rank - 1) for array, _ in pieces] if self.rank else []
        going = list[Any]()
        for number, (array, change) in enumerate(pieces):
            if self.rank:
                self._wait(coming[number])
                change()
            if self.rank < last:
                going.append(self.world.Isend(array, self.rank + 1))
            while len(told) <= number and (self.rank == last or going[len(told)].Test()):
                told.append(self.world.Ibcast(pieces[len(told)][0], last))
        for number, (array, _) in enumerate(pieces):
            if len(told) <= number:  # its place is free for the sum of all once it has gone on
                self._wait(going[number])
                told.append(self.world.Ibcast(array, last))
        for request in told:
            self._wait(request)

    def ask(self, wishes: Sequence[int]) -> None:
        self.wishes[:] = wishes

    def scores(self, rows: Sequence[tuple[float, float]], counts: Sequence[int]) -> Sequence[tuple[float, float]]:
        most = 2 * max(counts)
        own, every = np.zeros(most + WISHES), np.empty((self.size, most + WISHES))
        own[: 2 * len(rows)], own[most:] = np.array(rows).ravel(), self.wishes
        self._wait(self.world.Iallgather(own, every))
        self.told[:] = every[:, most:].max(axis=0)
        shared = every[:, :most].reshape(self.size, -1, 2).tolist()
        told = (row for each, count in zip(shared, counts, strict=True) for row in each[:count])
        return [(loss, int(hits) if hits.is_integer() else hits) for loss, hits in told]

    def agreed(self, wishes: Sequence[int]) -> Sequence[int]:
        told: list[int] = self.told.tolist()
        return told

    @contextlib.contextmanager
    def training(self, facts: dict[str, Any]) -> Iterator[None]:
        self._require_the_same([said["facts"] for said in self._meet({"facts": facts, "host": platform.node()})])
        self.within = True
        try:
            with warnings.catch_warnings():
                if not self.is_first:
                    warnings.simplefilter("ignore", Notice)
                yield
        except (DivergedError, StoppedError, RanksError):  # which all ranks raise at the same step
            self.within = False
            raise
        except BaseException as error:
            self._abort(error)
        self.within = False

    def _require_the_same(self, facts: list[dict[str, Any]]) -> None:
        for name in dict.fromkeys(name for each in facts for name in each):  # in their order
            self._compare(name, [each.get(name) for each in facts])

    def require_same(self, what: str, value: str) -> None:
        self._compare(what, self.texts(value))

    def _compare(self, what: str, values: Sequence[Any]) -> None:
        for rank, value in enumerate(values):
            if value != values[0]:
                got, first = (str(each)[:SHOWN] for each in (value, values[0]))
                raise RanksError(
                    f"rank {rank} of {self.size} ({self.hosts[rank]}) differs from rank 0 ({self.hosts[0]}): {what} is "
                    f"{got} instead of {first}; all ranks need the same data, settings, versions and kind of processor"
                )

    def build(self, make: Callable[[], Any]) -> Any:
        made = together(make) if self.machine.rank == 0 else None
        self._wait(self.machine.Ibarrier(), 1, LONG_NAP)
        return together(make) if made is None else made

    def _meet(self, own: dict[str, Any]) -> list[dict[str, Any]]:
        """What each rank says of itself; this one ends where another has failed. RanksError where one has left."""
        if self.over:
            raise RanksError("the other ranks have ended: a training needs all of them")
        said: list[dict[str, Any]] = [json.loads(text) for text in self.texts(json.dumps(own))]
        failed = [each["failed"] for each in said if "failed" in each]
        trains = [rank for rank, each in enumerate(said) if "facts" in each]
        self.over = len(trains) < self.size
        if self.over and "facts" in own:
            if failed or self.rank != trains[0]:  # another one says why
                sys.exit(failed[0] if failed else 1)
            gone = next(rank for rank, each in enumerate(said) if "facts" not in each)
            raise RanksError(f"rank {gone} of {self.size} ended before the training that rank {self.rank} began")
        self.hosts = [each.get("host", "") for each in said]
        return said

    def speaks(self, code: int) -> bool:
        if self.over:
            return True
        said = self._meet({"failed": code})
        return self.rank == next(rank for rank, each in enumerate(said) if "failed" in each)

    def _uncaught(self, kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        """What a script did not catch: shown by the first rank that has it."""
        if isinstance(error, KeyboardInterrupt):
            self._abort(error)
        if self.speaks(1):
            self.hook(kind, error, at)

    def _leave(self) -> None:
        """At the end of the process: a rank that goes on to another training learns that this one does not."""
        if not self.over:
            self._meet({"left": True})

    def _abort(self, error: BaseException) -> None:
        """End all ranks, because of what happened on this one."""
        if isinstance(error, PlaingradError | OSError | MemoryError):
            message, code = f"plaingrad: {visible(str(error) or 'not enough memory')}", 2
        elif isinstance(error, Exception):
            message, code = "".join(traceback.format_exception(error)).rstrip(), 1
        else:
            told = error.code if isinstance(error, SystemExit) else None
            message, code = "plaingrad: stopped", told if isinstance(told, int) else INTERRUPTED
        self.interrupt(message, code)

    def interrupt(self, message: str, code: int) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            if self.rank:
                time.sleep(GRACE * (1 + self.rank / self.size))
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            print(message, file=sys.stderr, flush=True)  # noqa: T201 (nothing above this module hears of it any more)
        self.world.Abort(code)
