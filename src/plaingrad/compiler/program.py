"""Programs: nests and the arrays they work on, in order; and a workers of threads that run a program each.

Between the nests of a program there is no Python, and its thread needs no lock of the interpreter: for small networks
that is worth as much as the threads are.
"""

import os
import threading
import time
import weakref
from collections.abc import Sequence
from ctypes import addressof, c_int64
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from plaingrad.compiler.loops import Array, Bound, zeros
from plaingrad.compiler.machine_code import processors
from plaingrad.compiler.native_call import COUNT, RAISED, RESULT, RETURNED, SLOT, TABLE, TICKET, WORDS, callers, words

# Looks, a quarter of a millisecond or more: a thread stays awake from one step of training to the next.
PATIENCE = 1_000_000
NAP = 5e-5  # seconds
NOWHERE = RAISED.ctypes.data


@dataclass(frozen=True)
class Call:
    """A nest and the arguments it is called with."""

    name: str
    nest: Bound
    given: tuple[Any, ...]

    def __call__(self) -> None:
        self.nest(*self.given)


class Program:
    """Calls to make one after the other. Where all are compiled, that is one call of machine code."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = list(calls)
        rows = [words(call.given) if call.nest.address else [] for call in self.calls]
        self.is_compiled = all(0 < len(row) <= WORDS for row in rows)
        self.table: Array = zeros((len(rows) + 1, WORDS + 1), "int64")  # the last row is for what comes back
        for line, call, row in zip(self.table, self.calls, rows, strict=False):
            if self.is_compiled:
                line[0], line[1 : 1 + len(row)] = call.nest.address, row
        self.place, returned = self.table.ctypes.data, self.table[-1].ctypes.data
        self.given, self.failed = (returned, NOWHERE, self.place, len(rows)), c_int64.from_address(returned)

    def give(self, first: Any, *numbers: int) -> None:
        """Let calls, told by their numbers, take another first argument, of the same type."""
        for number in numbers:
            call = self.calls[number]
            self.calls[number] = Call(call.name, call.nest, (first, *call.given[1:]))
        if self.is_compiled:
            row = words((first,))
            self.table[numbers if len(numbers) > 1 else numbers[0], 1 : 1 + len(row)] = row

    def __call__(self) -> None:
        if self.is_compiled:
            self.check(self.perform())
        else:
            for call in self.calls:
                call()

    def perform(self) -> int:
        """Make the calls, all compiled: the number of the first that failed, or 0."""
        callers().perform(*self.given)
        return self.failed.value

    def check(self, failed: int) -> None:
        """Where a call failed, counted from 1: make it once more from Python, which raises what it found."""
        if failed:
            self.calls[failed - 1]()
            raise RuntimeError(f"{self.calls[failed - 1].name} failed once, and not again")


class Workers:
    """Threads that each run a program: the calling one, and others that wait.

    A thread waits awake for a moment, where there is a processor for each, and then asleep.
    """

    def __init__(self, size: int) -> None:
        self.size, self.patience = size, PATIENCE if size <= processors() else 1
        self.back = c_int64()
        self.returned = addressof(self.back), NOWHERE
        self._bells: list[SimpleQueue[bool]] = []
        self._threads: list[threading.Thread] = []

    def end(self) -> None:
        """Let the threads go; they go too when nobody holds the workers any more. A program begins anew with others."""
        _end(self._bells)
        self._threads = []

    def _start(self) -> None:
        """Threads, each with a slot of its own, which it never shares with one that is about to leave."""
        callers()
        others = range(self.size - 1)
        self.slots: Array = zeros((len(others), SLOT), "int64")
        self.places = [self.slots.ctypes.data + number * self.slots.strides[0] for number in others]
        self.words = [memoryview(slot) for slot in self.slots]  # which Python reads and writes sooner than arrays
        self.ticket, self.asleep = 0, [True for _ in others]
        self._threads, self._process = [], os.getpid()
        self._bells = [SimpleQueue() for _ in others]
        started = []
        try:
            for number, bell in enumerate(self._bells):
                work = (self.slots, self.places[number], bell, self.asleep, number, self.patience)
                started.append(threading.Thread(target=_wait, args=work, daemon=True))
                started[-1].start()
        except BaseException:
            _end(self._bells)
            raise
        self._threads = started  # all of them, or none
        weakref.finalize(self, _end, self._bells)

    def run(self, programs: Sequence[Program]) -> None:
        """Run each program in a thread of its own, the first in this one; back when all are done.

        Programs that are not compiled run here, one after the other: Python runs one thread at a time.
        """
        own, *others = programs
        if not others or not all(program.is_compiled for program in programs):
            for program in programs:
                program()
            return
        if not self._threads or self._process != os.getpid():  # a process that was doubled has no threads yet
            self._start()
        self.ticket += 1
        failed = 0
        interruption: BaseException | None = None
        try:
            for number, program in enumerate(others):
                self.words[number][TABLE], self.words[number][COUNT] = program.place, len(program.calls)
                callers().wake(*self.returned, self.places[number], self.ticket)
                self._wake(number)
            failed = own.perform()
        except BaseException as error:
            interruption = error
        called = [number for number in range(len(others)) if self.words[number][TICKET] == self.ticket]
        while called:  # whatever interrupts this thread, those it called are at work on their arrays
            try:
                self._wake(called[0])
                if self._is_done(called[0]):
                    called.pop(0)
                else:
                    time.sleep(NAP)
            except BaseException as error:
                interruption = error
        if interruption:
            raise interruption
        own.check(failed)
        for number, program in enumerate(others):
            program.check(self.words[number][RESULT])

    def _wake(self, number: int) -> None:
        if self.asleep[number]:
            self._bells[number].put(True)

    def _is_done(self, number: int) -> bool:
        callers().finished(*self.returned, self.places[number], self.ticket, self.patience)
        return bool(self.back.value)


def _wait(slots: Array, slot: int, bell: "SimpleQueue[bool]", asleep: list[bool], number: int, patience: int) -> None:
    """What a thread does: asleep until its bell rings, then awake until nothing was posted for some time."""
    serve, nowhere = callers().serve, (RETURNED.ctypes.data, NOWHERE)
    while bell.get():
        asleep[number] = False
        serve(*nowhere, slot, patience)
        asleep[number] = True
        serve(*nowhere, slot, 1)  # what was posted after the last look, by a caller that saw this thread awake


def _end(bells: "list[SimpleQueue[bool]]") -> None:
    for bell in bells:
        bell.put(False)
