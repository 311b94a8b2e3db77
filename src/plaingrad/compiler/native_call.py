"""Machine code called from Python, and machine code that calls it: nests in a row, and threads that wait for work."""

import ctypes
import functools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from plaingrad.compiler.code_cache import is_fraction
from plaingrad.compiler.machine_code import machine_code
from plaingrad.compiler.numba_code import written_as

WORDS = 96  # the most words of 64 bits of one call in a table; an array takes 5, and 2 for each axis
SLOT = 16  # words of one thread's slot: two cache lines, one that is written to the thread and one that it writes
TICKET, TABLE, COUNT, DONE, RESULT = 0, 1, 2, 8, 9  # their places


def words(given: Sequence[Any]) -> list[int]:
    """The arguments of a call as machine code takes them, each in words of 64 bits; a fraction is in the code."""
    found = [RETURNED.ctypes.data, RAISED.ctypes.data]
    for each in given:
        if isinstance(each, np.ndarray):
            found += [0, 0, each.size, each.itemsize, each.ctypes.data, *each.shape, *each.strides]
        elif not is_fraction(each):
            found.append(int(each))
    return found


# Where machine code may say what it returns, or raises, and nobody reads it.
RETURNED, RAISED = np.zeros(8, np.uint64), np.zeros(8, np.uint64)


def call(address: int, given: Sequence[Any]) -> int:
    """Call machine code with these arguments, without the interpreter's lock; 0 where all went well."""
    row = words(given)
    return int(entry(address, len(row))(*row))


@functools.cache
def entry(address: int, count: int) -> Callable[..., int]:
    """A function that calls machine code with so many words."""
    return ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * count)(address)


def pointer(builder: Any, place: Any) -> Any:
    """A place, to LLVM."""
    return builder.inttoptr(place, place.type.as_pointer())


def _invoke() -> Any:
    from llvmlite import ir
    from numba import types

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start, word = pointer(builder, args[0]), args[0].type
        loaded = [builder.load(builder.gep(start, [word(index)])) for index in range(WORDS + 1)]
        kind = ir.FunctionType(ir.IntType(32), [word] * WORDS)
        return builder.call(builder.inttoptr(loaded[0], kind.as_pointer()), loaded[1:])

    return lambda row: types.int32, code


def _seen() -> Any:
    from numba import types

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(pointer(builder, args[0]), "acquire", 8)

    return lambda place: types.int64, code


def _show() -> Any:
    from numba import types

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], pointer(builder, args[0]), "release", 8)
        return context.get_dummy_value()

    return lambda place, value: types.none, code


@written_as(_invoke)
def invoke(row: int) -> int:
    """Call the function whose address begins a row with the words that follow.

    It is handed more than it takes: who calls clears the stack, in every calling convention in use.
    """
    raise NotImplementedError


@written_as(_seen)
def seen(place: int) -> int:
    """A word that another thread writes, and with it all that was written before."""
    raise NotImplementedError


@written_as(_show)
def show(place: int, value: int) -> None:
    """Write a word for another thread, after all that was written before."""
    raise NotImplementedError


def perform(table: int, count: int) -> int:
    """Make `count` calls, a row of the table each: the number of the first that failed, or 0."""
    for number in range(count):
        if invoke(table + 8 * (WORDS + 1) * number):
            return number + 1
    return 0


def serve(slot: int, patience: int) -> None:
    """What a thread does: perform each table that is posted, until none came for `patience` looks."""
    done, looks = seen(slot + 8 * DONE), 0
    while looks < patience:
        looks += 1
        ticket = seen(slot + 8 * TICKET)
        if ticket != done:
            show(slot + 8 * RESULT, perform(seen(slot + 8 * TABLE), seen(slot + 8 * COUNT)))
            show(slot + 8 * DONE, ticket)
            done, looks = ticket, 0


def wake(slot: int, ticket: int) -> None:
    """Post the table that was written there before."""
    show(slot + 8 * TICKET, ticket)


def finished(slot: int, ticket: int, patience: int) -> int:
    """1 once the thread of this slot is done with a ticket; 0 if it was not for so many looks."""
    for _ in range(patience):
        if seen(slot + 8 * DONE) == ticket:
            return 1
    return 0


CALLERS: tuple[Any, ...] = (perform, serve, wake, finished)


def compile_callers() -> dict[str, int]:
    """The addresses of the four functions above."""
    return {each.__name__: machine_code(each, [0] * each.__code__.co_argcount) for each in CALLERS}


@functools.cache
def callers() -> SimpleNamespace:
    """The four functions above, compiled. Each takes two places first: it returns its number in the one."""
    counts = {each.__name__: 2 + each.__code__.co_argcount for each in CALLERS}
    return SimpleNamespace(**{name: entry(code, counts[name]) for name, code in compile_callers().items()})
