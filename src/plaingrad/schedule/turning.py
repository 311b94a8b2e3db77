"""Numbers turned so that what lay below each other lies side by side, square by square within registers.

A square of vectors is turned in steps that each exchange halves: numbers one apart, then two, four and so on (J. O.
Eklundh, A fast computer method for matrix transposing, 1972).
"""

from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, Loops
from plaingrad.schedule.tiles import Tile, vector_size
from plaingrad.schedule.vectors import Builder, instructions, nothing

LINE = 16  # numbers of a cache line: as many are read of each row before the next rows come


@cache
def square_of(size: int) -> Any:
    """The instruction that turns a square of so many numbers, a power of two, along each side."""

    def write(at: Builder) -> None:
        array, place, step, made, start, made_step = at.args
        kind = at.ir.VectorType(at.ir.IntType(32), size)
        rows = [at.load(array, at.offset(place, number, step)) for number in range(size)]
        apart = 1
        while apart < size:
            # Of two rows so far apart the one keeps its own numbers where `number & apart` is 0, the other elsewhere.
            low = [number if not number & apart else size + (number ^ apart) for number in range(size)]
            high = [number | apart if not number & apart else size + number for number in range(size)]
            for number in (each for each in range(size) if not each & apart):
                pair = rows[number], rows[number | apart]
                for where, places in ((number, low), (number | apart, high)):
                    rows[where] = at.builder.shuffle_vector(*pair, at.ir.Constant(kind, places))
            apart *= 2
        for number, row in enumerate(rows):
            at.store(row, made, at.offset(start, number, made_step))

    @instructions(Tile(1, 1, size))(nothing, write)
    def turn_square(array: Any, place: int, step: int, made: Any, start: int, made_step: int) -> None:
        """made[start + column · made_step + row] = array[place + row · step + column] for each of a square."""
        square = np.stack([array.reshape(-1)[place + row * step :][:size] for row in range(size)])
        for column in range(size):
            made.reshape(-1)[start + column * made_step :][:size] = square[:, column]

    return turn_square


turn_square = square_of(1)


def turn(x: Array, turned: Array, *, size: int, line: int) -> None:
    """turned[column, row] = x[row, column]; the last square of a row or column overlaps the one before."""
    rows, columns, step = x.shape[0], x.shape[1], turned.shape[1]
    for start in range(0, columns, line):
        for part in range(0, rows, size):
            row = min(part, rows - size)
            for piece in range(start, min(start + line, columns), size):
                column = min(piece, columns - size)
                turn_square(x, row * columns + column, columns, turned, column * step + row, step)


def turning(x: Array, turned: Array) -> tuple[Loops, dict[str, Any]]:
    """A nest that turns x (row, column) into `turned` (column, row), and what to bind it to.

    Rows of `turned` may be longer; what is beyond them stays.
    """
    most = min(*x.shape, vector_size(x.dtype.itemsize))
    size = 1 << (most.bit_length() - 1)
    return nest(size), {"x": x, "turned": turned, "size": size, "line": max(size, LINE)}


@cache
def nest(size: int) -> Loops:
    """The nest for squares of this size."""
    names = {**globals(), "HAS_VECTORS": True, "turn_square": square_of(size)}
    return Loops(FunctionType(turn.__code__, names, turn.__name__))
