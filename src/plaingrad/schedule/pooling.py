"""Maxima of windows that lie within the image: all lanes of a window are compared at once, in registers.

A step that depends on a comparison would be a branch that goes either way at random: here both numbers are there, and
one is chosen. Windows at an edge go by the nest of `schedule/written.py`.
"""

from collections.abc import Mapping
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, Loops
from plaingrad.schedule.tiles import Tile, divisor, vector_size
from plaingrad.schedule.vectors import Builder, instructions, nothing

LARGEST = 16  # places of a window: each is an instruction of its own


@cache
def largest_of(size: tuple[int, int], tile: Tile) -> Any:
    """The instruction that finds the maxima of a window of this size, and which pixels they are."""
    places = [(u, v) for u in range(size[0]) for v in range(size[1])]

    def write(at: Builder) -> None:
        x, start, row, spacing, y, winner, place, number, row_number, step_number = at.args
        builder, whole = at.builder, at.ir.VectorType(at.ir.IntType(32), tile.size)

        def pixel(u: int, v: int) -> Any:
            found = at.offset(at.offset(number, u, row_number), v, step_number)
            return at.spread(builder.trunc(found, whole.element), whole)

        pixels = {each: pixel(*each) for each in places}
        for part in range(tile.across):
            best = None
            for u, v in places:
                value = at.load(x, at.offset(at.offset(at.offset(start, u, row), v, spacing), part * tile.size))
                if best is None:
                    best, who = value, pixels[u, v]
                # One that is not a number counts as larger than all.
                wins = builder.or_(builder.fcmp_ordered(">", value, best), builder.fcmp_unordered("uno", value, value))
                best, who = builder.select(wins, value, best), builder.select(wins, pixels[u, v], who)
            at.store(best, y, at.offset(place, part * tile.size))
            there = at.place(winner, at.offset(place, part * tile.size))
            builder.store(who, builder.bitcast(there, whole.as_pointer()), align=4)

    @instructions(tile, size)(nothing, write)
    def largest(
        x: Any, start: int, row: int, spacing: int, y: Any, winner: Any, place: int, number: int, row_number: int,
        step_number: int,
    ) -> None:  # fmt: skip
        """y[place + n] = the largest x[start + u · row + v · spacing + n] of all u and v; `winner` says which pixel.

        The pixel of u and v has the number number + u · row_number + v · step_number.
        """
        best = x.reshape(-1)[start : start + tile.length].copy()
        who = np.full(tile.length, number)
        for u, v in places:
            value = x.reshape(-1)[start + u * row + v * spacing :][: tile.length]
            wins = ((value > best) | (value != value)).astype(bool)
            best, who = np.where(wins, value, best), np.where(wins, number + u * row_number + v * step_number, who)
        y.reshape(-1)[place : place + tile.length] = best
        winner.reshape(-1)[place : place + tile.length] = who

    return largest


largest = largest_of((1, 1), Tile(1, 1, 1))


def pooled(
    x: Array, y: Array, winner: Array,
    *, lanes: int, stride_0: int, stride_1: int, dilation_0: int, dilation_1: int,
) -> None:  # fmt: skip
    """Each window, from its first pixel on."""
    channel, row, columns = x.shape[1] * x.shape[2], x.shape[2], x.shape[2] // lanes
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2] // lanes):
                first, start = i * stride_0, j * stride_1
                largest(
                    x, c * channel + first * row + start * lanes, dilation_0 * row, dilation_1 * lanes,
                    y, winner, (c * y.shape[1] + i) * y.shape[2] + j * lanes,
                    first * columns + start, dilation_0 * columns, dilation_1,
                )  # fmt: skip


def suits(window: Any) -> bool:
    """Whether the windows lie within the image, each of a few pixels."""
    return not window.may_overhang and window.size[0] * window.size[1] <= LARGEST


def pooling(arrays: Mapping[str, Any], lanes: int) -> tuple[Loops, dict[str, Any]]:
    """The nest that fills y and `winner` of x, and what to bind it to."""
    window, size = arrays["window"], divisor(lanes, vector_size(arrays["x"].dtype.itemsize))
    known = {name: arrays[name] for name in ("x", "y", "winner")} | {"lanes": lanes}
    known |= {f"{name}_{axis}": getattr(window, name)[axis] for name in ("stride", "dilation") for axis in (0, 1)}
    return nest(tuple(window.size), Tile(1, lanes // size, size)), known


@cache
def nest(size: tuple[int, int], tile: Tile) -> Loops:
    """The nest for windows of this size and lines of so many lanes."""
    names = {**globals(), "HAS_VECTORS": True, "largest": largest_of(size, tile)}
    return Loops(FunctionType(pooled.__code__, names, pooled.__name__))
