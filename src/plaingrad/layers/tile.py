"""How much of a nest's work is held in registers at a time: the one place that knows the processor's size.

A tile is `block` rows of sums, each a `run` of numbers long. Sums that stay in registers are begun and stored once;
with too few of them the processor waits for each addition, with too many it spills them to memory.
"""

from math import gcd

from plaingrad.layer import Kept
from plaingrad.loops import registers
from plaingrad.shelf import AS_WRITTEN

LEAST_ROOM = 512  # numbers: as many as the registers of any processor hold
SINGLE = {"block": 1, "run": 1}  # where a sum is to be added up in the order written, one at a time


def room_for_sums(width: int) -> Kept:
    """Room for the sums of one tile of a window so wide."""
    return Kept((max(LEAST_ROOM, width),), lanes="none", scratch=True)


def divisor(count: int, most: int) -> int:
    """The largest number up to `most` that divides `count`: parts of that size leave no remainder."""
    return max(each for each in range(1, max(most, 1) + 1) if count % each == 0)


def evenly(count: int, most: int) -> int:
    """The size of parts, at most `most`, when `count` is cut into as few as can be and these are made alike."""
    return -(-count // -(-count // max(most, 1)))


def parts(count: int, size: int) -> list[int]:
    """Where parts of one size begin that cover `count`: the last ends with it, and may overlap the one before."""
    return [min(start, count - size) for start in range(0, count, size)]


def output_tile(count: int, length: int) -> dict[str, int]:
    """For a nest that makes each number of `count` rows once: half of 32 registers hold sums, three quarters of 16.

    The last run of a row, and the last block of rows, may overlap the one before.
    """
    if AS_WRITTEN.get():
        return SINGLE
    number, size = registers()
    run = min(1 << length.bit_length() - 1, 4 * size)
    if length % run and run > 2 * size:
        run //= 2  # half as much to do twice
    most = number * size // 2 if number > 16 else number * size * 3 // 4
    if run == 8 < size and count >= 10:
        return {"block": min(count, 12), "run": run}  # LLVM takes 8 rows of 8 for single numbers, and 12 for vectors
    block = evenly(count, min(most // run, 8))  # more rows would read too many weights at once
    while 2 * run * block <= most and length % (2 * run) == 0:
        run *= 2
    return {"block": block, "run": run}


def weights_tile(count: int, length: int, width: int) -> dict[str, int]:
    """For a nest that gathers `width` sums for each of `count` filters along a row: one register for each sum."""
    if AS_WRITTEN.get():
        return SINGLE
    number, size = registers()
    run = gcd(length, min(size, 1 << (LEAST_ROOM // width).bit_length() - 1 if width <= LEAST_ROOM else 1))
    return {"block": evenly(count, min(number * 3 // 4 // width, 6)), "run": run}


def input_tile(count: int, length: int, width: int) -> dict[str, int]:
    """For a nest that adds `width` overlapping runs to each of `count` rows: no part overlaps another."""
    if AS_WRITTEN.get():
        return SINGLE | {"alone": True}
    number, size = registers()
    most, best = number * size * 3 // 4, 4 * size
    whole = [run for run in range(size, most // width + 1, size) if length % run == 0]  # runs of whole registers
    run = best if best in whole else max(whole, default=divisor(length, most // width))
    block = min(most // (run * width), 8 if run == size else 2)
    return {"block": divisor(count, block), "run": run, "alone": False}


def sum_tile(length: int) -> dict[str, int]:
    """For a nest that adds up a row: four registers of sums, so that none waits for the one before."""
    return {"run": 1 if AS_WRITTEN.get() else gcd(length, 4 * registers()[1])}
