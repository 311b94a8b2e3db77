"""Nests written by hand, where the derived form is slower: each does what its text says, and a law holds it to that.

The images of a pixel lie side by side, and the loop over them is the innermost one: there a comparison is a choice
between two numbers, done for many images at once. A step that depends on a comparison is a branch, and one that goes
either way at random costs ten times as much.
"""

import numpy as np

from plaingrad.compiler.loops import Loops, at, loops, sqrt
from plaingrad.schedule import written_normalisation
from plaingrad.textbook.layers import dense, pool
from plaingrad.textbook.text import Text


def reach(index, stride, margin, size, dilation, count, overhangs):
    """Its first real row or column among `count`, and one after its last. If it never overhangs, all lie within."""
    first = index * stride - margin
    last = first + (size - 1) * dilation
    if overhangs:  # 0 and the end, rounded towards the window's own places
        first += max(0, -(first // dilation)) * dilation
        last -= max(0, -((count - 1 - last) // dilation)) * dilation
    return first, last + 1


@loops
def fast_maxpool_forward(
    x, y, winner, lanes,
    *,
    size_0, size_1, stride_0, stride_1, padding_0, padding_1, dilation_0, dilation_1, may_overhang,
):  # fmt: skip
    columns = x.shape[2] // lanes
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            first, last = reach(i, stride_0, padding_0, size_0, dilation_0, x.shape[1], may_overhang)
            for j in range(y.shape[2] // lanes):
                start, end = reach(j, stride_1, padding_1, size_1, dilation_1, columns, may_overhang)
                for n in range(lanes):
                    # Places are as wide as float32 values: as many are compared and chosen at a time.
                    best, place = x[c, first, at(start * lanes + n)], np.int32(first * columns + start)
                    for u in range(size_0):
                        for v in range(size_1):
                            # Beyond the edge a window meets its last pixels again, which do not win against themselves.
                            row, column = min(first + u * dilation_0, last - 1), min(start + v * dilation_1, end - 1)
                            value = x[c, row, at(column * lanes + n)]
                            wins = (value > best) | (value != value)  # a NaN wins, and nothing beats it
                            best = value if wins else best
                            place = np.int32(row * columns + column) if wins else place
                    y[c, i, at(j * lanes + n)] = best
                    winner[c, i, at(j * lanes + n)] = place


@loops
def fast_maxpool_backward(
    dy, winner, dx, lanes,
    *,
    size_0, size_1, stride_0, stride_1, padding_0, padding_1, dilation_0, dilation_1, may_overhang,
):  # fmt: skip
    columns = dx.shape[2] // lanes
    dx[0, 0, 0] = 0
    nothing = dx[0, 0, 0]  # a number of the array's own type
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = 0
        for i in range(dy.shape[1]):
            first, last = reach(i, stride_0, padding_0, size_0, dilation_0, dx.shape[1], may_overhang)
            for j in range(dy.shape[2] // lanes):
                start, end = reach(j, stride_1, padding_1, size_1, dilation_1, columns, may_overhang)
                for u in range(first, last, dilation_0):
                    for v in range(start, end, dilation_1):
                        place = np.int32(u * columns + v)
                        for n in range(lanes):
                            won = winner[c, i, at(j * lanes + n)] == place
                            # Chosen is what is added: vectors of eight then have no branch.
                            dx[c, u, at(v * lanes + n)] += dy[c, i, at(j * lanes + n)] if won else nothing


@loops
def fast_meanpool_forward(
    x, y, pixels, lanes,
    *,
    size_0, size_1, stride_0, stride_1, padding_0, padding_1, dilation_0, dilation_1, may_overhang,
):  # fmt: skip
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            first, last = reach(i, stride_0, padding_0, size_0, dilation_0, x.shape[1], may_overhang)
            for j in range(y.shape[2] // lanes):
                start, end = reach(j, stride_1, padding_1, size_1, dilation_1, x.shape[2] // lanes, may_overhang)
                count = pixels[i, j]
                for n in range(lanes):
                    y[c, i, at(j * lanes + n)] = 0
                for u in range(first, last, dilation_0):
                    for v in range(start, end, dilation_1):
                        for n in range(lanes):
                            y[c, i, at(j * lanes + n)] += x[c, u, at(v * lanes + n)] / count


@loops
def fast_meanpool_backward(
    dy, dx, pixels, lanes,
    *,
    size_0, size_1, stride_0, stride_1, padding_0, padding_1, dilation_0, dilation_1, may_overhang,
):  # fmt: skip
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = 0
        for i in range(dy.shape[1]):
            first, last = reach(i, stride_0, padding_0, size_0, dilation_0, dx.shape[1], may_overhang)
            for j in range(dy.shape[2] // lanes):
                start, end = reach(j, stride_1, padding_1, size_1, dilation_1, dx.shape[2] // lanes, may_overhang)
                count = pixels[i, j]
                for u in range(first, last, dilation_0):
                    for v in range(start, end, dilation_1):
                        for n in range(lanes):
                            dx[c, u, at(v * lanes + n)] += dy[c, i, at(j * lanes + n)] / count


@loops
def fast_l2pool_forward(
    x, y, lanes,
    *,
    size_0, size_1, stride_0, stride_1, padding_0, padding_1, dilation_0, dilation_1, may_overhang,
):  # fmt: skip
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            first, last = reach(i, stride_0, padding_0, size_0, dilation_0, x.shape[1], may_overhang)
            for j in range(y.shape[2] // lanes):
                start, end = reach(j, stride_1, padding_1, size_1, dilation_1, x.shape[2] // lanes, may_overhang)
                for n in range(lanes):
                    y[c, i, at(j * lanes + n)] = 0
                for u in range(first, last, dilation_0):
                    for v in range(start, end, dilation_1):
                        for n in range(lanes):
                            y[c, i, at(j * lanes + n)] += x[c, u, at(v * lanes + n)] * x[c, u, at(v * lanes + n)]
                for n in range(lanes):
                    squares = y[c, i, at(j * lanes + n)]
                    y[c, i, at(j * lanes + n)] = sqrt(squares) if squares > 0 else squares


@loops
def fast_l2pool_backward(
    dy, x, y, dx, lanes,
    *,
    size_0, size_1, stride_0, stride_1, padding_0, padding_1, dilation_0, dilation_1, may_overhang,
):  # fmt: skip
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for n in range(dx.shape[2]):
                dx[c, i, n] = 0
        for i in range(dy.shape[1]):
            first, last = reach(i, stride_0, padding_0, size_0, dilation_0, dx.shape[1], may_overhang)
            for j in range(dy.shape[2] // lanes):
                start, end = reach(j, stride_1, padding_1, size_1, dilation_1, dx.shape[2] // lanes, may_overhang)
                for u in range(first, last, dilation_0):
                    for v in range(start, end, dilation_1):
                        for n in range(lanes):
                            total = dx[c, u, at(v * lanes + n)]
                            if y[c, i, at(j * lanes + n)] > 0:
                                total += (
                                    dy[c, i, at(j * lanes + n)]
                                    * x[c, u, at(v * lanes + n)]
                                    / y[c, i, at(j * lanes + n)]
                                )
                            dx[c, u, at(v * lanes + n)] = total


MAX_POOL_FORWARD, MAX_POOL = Text(pool.maxpool_forward), Text(pool.maxpool_backward)

WRITTEN: dict[Text, Loops] = written_normalisation.WRITTEN | {
    MAX_POOL_FORWARD: fast_maxpool_forward,
    MAX_POOL: fast_maxpool_backward,
    Text(pool.meanpool_forward): fast_meanpool_forward,
    Text(pool.meanpool_backward): fast_meanpool_backward,
    Text(pool.l2pool_forward): fast_l2pool_forward,
    Text(pool.l2pool_backward): fast_l2pool_backward,
}

SAME_NUMBERS = {Text(dense.flatten_forward), Text(dense.flatten_backward)}
"""Texts that only say of numbers that they lie otherwise; in a run's arrays they lie one after the other either way."""
