"""Machine code that calls machine code: nests one after the other, and threads that wait for work, without Python."""

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from plaingrad.machine import compile_for, compiler, is_fraction

WORDS = 96  # the most words of 64 bits that the arguments of one call may take; an array takes 5, and 2 for each axis
POST = 16  # words of one thread's post: two cache lines, one that is written to the thread and one that it writes
TICKET, TABLE, COUNT, DONE, RESULT = 0, 1, 2, 8, 9  # their places


def words(given: list[Any]) -> list[int] | None:
    """The arguments of a call as machine code takes them, each in words of 64 bits; None where they cannot be so."""
    found = [RETURNED.ctypes.data, RAISED.ctypes.data]
    for each in given:
        if isinstance(each, np.ndarray):
            found += [0, 0, each.size, each.itemsize, each.ctypes.data, *each.shape, *each.strides]
        elif isinstance(each, int | np.integer):
            found.append(int(each) % 2**64)
        elif not is_fraction(each):
            return None
    return found if len(found) <= WORDS else None


RETURNED, RAISED = (
    np.zeros(8, np.uint64),
    np.zeros(8, np.uint64),
)  # where machine code may say what it returns, or raises


@functools.cache
def callers() -> SimpleNamespace:
    """Machine code that calls machine code, and threads that wait in it; none of it holds the interpreter's lock.

    perform(table, count): calls `count` rows of a table one after the other, each an address and its words; the number
    of the first call that failed, or 0. serve(post, patience): what a thread does: performs each table that is posted,
    until none came for `patience` looks. ring(post, ticket): posts a table, written there before. finished(post,
    ticket, patience): whether the thread of this post is done with it before so many looks.
    """
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba import types
    from numba.extending import intrinsic

    word = ir.IntType(64)

    @intrinsic  # type: ignore[untyped-decorator]
    def invoke(typing: Any, row: Any) -> Any:
        """Call the function whose address begins a row with the words that follow.

        It is handed more than it takes: who calls clears the stack, in every calling convention in use.
        """

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = builder.inttoptr(args[0], word.as_pointer())
            loaded = [builder.load(builder.gep(place, [word(index)])) for index in range(WORDS + 1)]
            kind = ir.FunctionType(ir.IntType(32), [word] * WORDS)
            return builder.call(builder.inttoptr(loaded[0], kind.as_pointer()), loaded[1:])

        return types.int32(types.uintp), generate

    @intrinsic  # type: ignore[untyped-decorator]
    def seen(typing: Any, place: Any) -> Any:
        """A word that another thread writes, and with it all that was written before."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load_atomic(builder.inttoptr(args[0], word.as_pointer()), "acquire", 8)

        return types.int64(types.uintp), generate

    @intrinsic  # type: ignore[untyped-decorator]
    def show(typing: Any, place: Any, value: Any) -> Any:
        """Write a word for another thread, after all that was written before."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store_atomic(args[1], builder.inttoptr(args[0], word.as_pointer()), "release", 8)
            return context.get_dummy_value()

        return types.void(types.uintp, types.int64), generate

    def perform(table, count):  # type: ignore[no-untyped-def]
        for call in range(count):
            if invoke(np.uintp(table + 8 * (WORDS + 1) * call)):
                return call + 1
        return 0

    def finished(post, ticket, patience):  # type: ignore[no-untyped-def]
        for _ in range(patience):
            if seen(np.uintp(post + 8 * DONE)) == ticket:
                return 1
        return 0

    def ring(post, ticket):  # type: ignore[no-untyped-def]
        show(np.uintp(post + 8 * TICKET), ticket)

    compiled = compiler()
    performed = compiled(perform)

    def serve(post, patience):  # type: ignore[no-untyped-def]
        done, looks = seen(np.uintp(post + 8 * DONE)), 0
        while looks < patience:
            ticket = seen(np.uintp(post + 8 * TICKET))
            if ticket != done:
                table, count = seen(np.uintp(post + 8 * TABLE)), seen(np.uintp(post + 8 * COUNT))
                show(np.uintp(post + 8 * RESULT), performed(table, count))
                show(np.uintp(post + 8 * DONE), ticket)
                done, looks = ticket, 0
            looks += 1

    given = {"perform": [0, 0], "serve": [0, 0], "ring": [0, 0], "finished": [0, 0, 0]}
    made = {"perform": performed} | {each.__name__: compiled(each) for each in (serve, ring, finished)}
    return SimpleNamespace(**{name: compile_for(each, given[name], ())[0] for name, each in made.items()})
