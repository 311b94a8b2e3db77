"""How much of a nest's work is held in registers at a time: the one place that knows the processor's size.

A tile is `block` rows of sums, each of `across` vectors. Sums that stay in registers are begun and stored once; with
too few of them the processor waits for each addition, with too many it spills them to memory. Of the two factors the
fewer are held in registers and the others are met one by one: block · across + min(block, across) + 1 registers.
"""

from dataclasses import dataclass
from math import gcd

from plaingrad.compiler.loops import registers

MOST_ACROSS, MOST_BLOCK = 4, 8  # more rows would read too many weights at once
FEW_SUMS, ENOUGH_SUMS = 8, 16  # with few sums the processor waits for each addition
NEAREST_CACHE = 1 << 15  # bytes
CHUNK = 16  # planes: with fewer, sums are stored and taken up too often


@dataclass(frozen=True)
class Tile:
    """`block` rows of `across` vectors of `size` numbers."""

    block: int
    across: int
    size: int

    @property
    def length(self) -> int:
        """The numbers of a row."""
        return self.across * self.size


def vector_size(width: int) -> int:
    """How many numbers of so many bytes a register holds."""
    return max(registers()[1] * 4 // width, 1)


def divisor(count: int, most: int) -> int:
    """The largest number up to `most` that divides `count`."""
    return max(each for each in range(1, max(most, 1) + 1) if count % each == 0)


def cost(count: int, block: int, across: int) -> float:
    """Products and loads of `count` rows in blocks, of which the last may overlap the one before, for each vector."""
    return -(-count // block) * (block * across + block + across) / across


def best_block(count: int, across: int, most: int) -> int:
    """How many rows of so many vectors: as many as the registers hold, unless too much is then done twice."""
    fitting = [each for each in range(1, min(count, most) + 1) if fits(each, across)]
    return min(fitting, key=lambda each: (cost(count, each, across), -each), default=1)


def fits(rows: int, across: int) -> bool:
    """Whether so many rows of so many vectors stay in the registers."""
    return rows * across + min(rows, across) + 1 <= registers()[0]


def rows_tile(count: int, lanes: int, width: int, most: int = MOST_BLOCK) -> Tile:
    """For a nest that makes `count` rows of sums, the lanes of one column at a time."""
    size = divisor(lanes, vector_size(width))
    whole = divisor(lanes // size, MOST_ACROSS)
    tiles = [
        Tile(best_block(count, across, most if across > 1 else MOST_BLOCK * 3 // 2), across, size)
        for across in range(min(2, whole), whole + 1)
        if whole % across == 0
    ]
    return min(tiles, key=lambda tile: (cost(count, tile.block, tile.across), tile.across))


def run_tile(count: int, length: int, width: int) -> Tile:
    """For a nest that makes `count` rows of sums along rows of so many numbers that lie side by side."""
    size = min(vector_size(width), length)
    across = min(2 if registers()[0] > 16 else 3, max(length // size, 1))
    return Tile(best_block(count, across, MOST_BLOCK), across, size)


def run_size(lanes: int, inside: int, width: int) -> tuple[int, int]:
    """The vector for runs of so many numbers, and the grain for what is left of them: a part of the lanes.

    Beside eight grains and more to a vector what is left would take longer than the run.
    """
    size = vector_size(width)
    if lanes < size and inside > lanes:
        size = 1 << min(size, inside, 8 * lanes).bit_length() - 1
        return size, gcd(size, lanes)
    size = divisor(lanes, size)
    return size, size


def window_tile(filters: int, channels: int, columns: int) -> tuple[int, int, int]:
    """For the weights of a window of so many columns: filters × channels × columns, a vector of sums for each."""
    wide = registers()[0] > 16
    part = -(-columns // -(-columns // (7 if wide else 5)))
    share = 1 if part > 2 else min(channels, 4 if wide else 3)
    # More streams of errors than six, which often begin in one set of the nearest cache, would push each other out.
    return best_block(filters, share * part, 6), share, part


def stretch_tile(rows: int, lanes: int, inside: int, width: int) -> Tile | None:
    """A tile along a row of which so many numbers lie inside: several columns, where they are better than one."""
    size, tile = vector_size(width), rows_tile(rows, lanes, width)
    if size > lanes:
        size = 1 << min(size, max(inside, 1)).bit_length() - 1
        if size % lanes or size <= lanes:
            return None
        across = 1 if inside < 2 * size else 2
        return Tile(best_block(rows, across, MOST_BLOCK), across, size)
    if tile.length != lanes:
        return None
    best, few, count = None, tile.block * tile.across < FEW_SUMS, inside // lanes
    for columns in range(2, min(count, ENOUGH_SUMS if few else 2) + 1):
        across = columns * tile.across
        block = best_block(rows, across, MOST_BLOCK)
        is_more = block * across <= ENOUGH_SUMS if few else block * across >= tile.block * tile.across
        # Few sums are many columns: of what is left over the last tile would do most again.
        is_even = not few or columns == -(-count // -(-count // columns))
        is_less = few or cost(rows, block, across) <= cost(rows, tile.block, tile.across)
        if fits(block, across) and is_more and is_even and is_less:
            best = Tile(block, across, tile.size)
    return best


def chunk_of(planes: int, window: int, column: int) -> int:
    """Through how many planes a sum goes before the next tile begins.

    A tile meets the places of a window in each plane, a column of so many bytes at each, and the tile beside it meets
    most of them again. Where all do not fit into the nearest cache a part of the planes is gone through for a whole
    row of tiles, whose sums are stored and taken up again.
    """
    return planes if planes * window * column <= NEAREST_CACHE else min(planes, CHUNK)
