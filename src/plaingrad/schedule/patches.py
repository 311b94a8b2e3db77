"""Patches of pixels and sums, and the transforms between them that save products: Winograd's, which are derived here.

The product of two polynomials may be found from their values at a few points: a product for each point, where each
coefficient of one would be multiplied with each of the other. Turned round, that makes `out` neighbouring sums of
`size` products from out + size - 1 products (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and
S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016), and along rows as well as along columns 4 · 4 in
place of 4 · 9. On fractions the result is the text's own; on floating point numbers it is rounded elsewhere.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from plaingrad.schedule.tiles import Tile
from plaingrad.schedule.vectors import Builder, instructions, nothing, tile_type


@cache
def _written() -> str:
    """What this module says: compiled code rests on it."""
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()


Matrix = tuple[tuple[Fraction, ...], ...]
# Small ones, of both signs and with their inverses: by what the transforms multiply with, rounding grows.
POINTS = tuple(map(Fraction, ("0", "1", "-1", "1/2", "-2", "2", "-1/2")))


def times(polynomial: Sequence[Fraction], root: Fraction) -> list[Fraction]:
    """A polynomial, its lowest coefficient first, times (x - root)."""
    return [low - root * high for low, high in zip([Fraction(0), *polynomial], [*polynomial, Fraction(0)], strict=True)]


@cache
def transforms(out: int, size: int) -> tuple[Matrix, Matrix, Matrix]:
    """Three matrices a, g and t, of which a (g w · t x) are `out` sums Σ(u) w[u] · x[i + u] of `size` products."""
    count = out + size - 1
    points = POINTS[: count - 1]
    g, t = [], []
    for point in points:
        others = [each for each in points if each != point]
        polynomial = [Fraction(1)]
        for each in others:
            polynomial = times(polynomial, each)
        scale = prod((point - each for each in others), start=Fraction(1))
        sign = 1 if scale > 0 else -1
        g.append(tuple(sign * point**u / scale for u in range(size)))
        t.append((*(sign * each for each in polynomial), Fraction(0)))
    whole = [Fraction(1)]
    for each in points:
        whole = times(whole, each)
    g.append((*[Fraction(0)] * (size - 1), Fraction(1)))
    t.append(tuple(whole))
    a = [(*(point**i for point in points), Fraction(int(i == out - 1))) for i in range(out)]
    return tuple(a), tuple(g), tuple(t)


def effort(matrix: Matrix) -> int:
    """The vectors loaded, stored, added and multiplied to transform a patch."""
    rows, columns = len(matrix), len(matrix[0])
    return columns**2 + rows**2 + (columns + rows) * sum(sum(map(bool, row)) - 1 for row in matrix)


def combined(at: Builder, matrix: Matrix, vectors: Sequence[Any]) -> list[Any]:
    """A matrix times vectors. Two rows that differ in signs alone, as points that do make them, are found together."""
    made: list[Any] = []
    rows = list(matrix)
    while rows:
        row, *rows = rows
        if rows and [*map(abs, row)] == [*map(abs, rows[0])]:
            alike = [number if number == other else Fraction(0) for number, other in zip(row, rows[0], strict=True)]
            unlike = [number - same for number, same in zip(row, alike, strict=True)]
            if any(alike) and any(unlike):
                one, other = total(at, alike, vectors), total(at, unlike, vectors)
                made += [at.builder.fadd(one, other), at.builder.fsub(one, other)]
                rows = rows[1:]
                continue
        made.append(total(at, row, vectors))
    return made


def total(at: Builder, row: Sequence[Fraction], vectors: Sequence[Any]) -> Any:
    """A row of numbers, not all 0, times vectors: those that need no product first."""
    terms = [(number, vector) for number, vector in zip(row, vectors, strict=True) if number]
    terms.sort(key=lambda term: (abs(term[0]) != 1, term[0] < 0))
    number, whole = terms[0]
    if number != 1:
        whole = at.builder.fmul(whole, at.constant(number))
    for number, vector in terms[1:]:
        if abs(number) == 1:
            whole = (at.builder.fadd if number == 1 else at.builder.fsub)(whole, vector)
        else:
            whole = at.fma(vector, at.constant(number), whole)
    return whole


def both_ways(at: Builder, matrix: Matrix, patch: list[list[Any]]) -> list[list[Any]]:
    """A matrix times a patch times the matrix turned."""
    columns = [combined(at, matrix, column) for column in zip(*patch, strict=True)]
    return [combined(at, matrix, row) for row in zip(*columns, strict=True)]


def exactly(matrix: Matrix, patch: Any) -> Any:
    """The same of an array (row, column, number), in Python."""
    whole = np.array(matrix, dtype=object)
    rows = np.tensordot(whole, patch, axes=(1, 0))
    return np.tensordot(whole, rows, axes=(1, 1)).swapaxes(0, 1)


@cache
def transform_of(matrix: Matrix, size: int) -> Callable[..., None]:
    """The instruction that transforms patches of vectors of so many numbers: a matrix, a patch, the matrix turned."""
    count = len(matrix[0])
    places = [divmod(number, count) for number in range(count * count)]

    def write(at: Builder) -> None:
        array, place, row, spacing, top, bottom, left, right, made, start, step = at.args
        builder, none = at.builder, at.zeros()

        def inside(number: int, first: Any, last: Any) -> Any:
            here = at.whole(number)
            return builder.and_(builder.icmp_signed("<=", first, here), builder.icmp_signed("<", here, last))

        rows, columns = ([inside(each, *ends) for each in range(count)] for ends in ((top, bottom), (left, right)))
        patch = []
        for r, s in places:
            there = at.place(array, at.offset(at.offset(place, r, row), s, spacing))
            patch.append(at.load_part(builder.select(builder.and_(rows[r], columns[s]), there, none), size))
        lines = both_ways(at, matrix, [patch[r * count : (r + 1) * count] for r in range(count)])
        for number, vector in enumerate(vector for line in lines for vector in line):
            at.store(vector, made, at.offset(start, number, step))

    @instructions(Tile(1, 1, size), matrix, _written())(nothing, write)
    def transform(
        array: Any, place: int, row: int, spacing: int, top: int, bottom: int, left: int, right: int,
        made: Any, start: int, step: int,
    ) -> None:  # fmt: skip
        """Of the patch's rows and columns those from top to bottom and from left to right are there, others are 0."""
        patch = np.zeros((count, count, size), array.dtype)
        for r in range(max(top, 0), min(bottom, count)):
            for s in range(max(left, 0), min(right, count)):
                patch[r, s] = array.reshape(-1)[place + r * row + s * spacing :][:size]
        for number, vector in enumerate(exactly(matrix, patch).reshape(-1, size)):
            made.reshape(-1)[start + number * step :][:size] = vector

    return transform


@cache
def sums_of(tile: Tile, matrix: Matrix) -> SimpleNamespace:
    """The instructions that make of products at the points a tile of sums beside each other, and store it."""
    out, size, count = tile.block, tile.size, len(matrix[0])
    instruction = instructions(tile, matrix, _written())

    def of_products(products: Any) -> Any:
        return tile_type(products.dtype, tile)

    def write_fold(at: Builder) -> Any:
        products, start, step, first = at.args
        patch = [[at.load(products, at.offset(start, r * count + s, step)) for s in range(count)] for r in range(count)]
        first = at.spread(first)
        return at.joined([at.builder.fadd(first, vector) for row in both_ways(at, matrix, patch) for vector in row])

    @instruction(of_products, write_fold)
    def fold(products: Any, start: int, step: int, first: Any) -> Any:
        """The sums: the first number of each, and what the products at the points make."""
        vectors = [products.reshape(-1)[start + number * step :][:size] for number in range(count * count)]
        return first + exactly(matrix, np.array(vectors).reshape(count, count, size)).reshape(out, out * size)

    def write_store_inside(at: Builder) -> None:
        sums, y, place, row, spacing, bottom, right = at.args
        for number, vector in enumerate(at.sums(sums)):
            r, s = divmod(number, out)
            inside = at.builder.and_(
                at.builder.icmp_signed("<", at.whole(r), bottom), at.builder.icmp_signed("<", at.whole(s), right)
            )
            with at.builder.if_then(inside):
                at.store(vector, y, at.offset(at.offset(place, r, row), s, spacing))

    @instruction(nothing, write_store_inside)
    def store_inside(sums: Any, y: Any, place: int, row: int, spacing: int, bottom: int, right: int) -> None:
        """Store the sums that lie within so many rows and columns."""
        for r in range(min(bottom, out)):
            for s in range(min(right, out)):
                y.reshape(-1)[place + r * row + s * spacing :][:size] = sums[r, s * size : (s + 1) * size]

    return SimpleNamespace(fold=fold, store_inside=store_inside)
