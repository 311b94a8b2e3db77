"""Tiles of sums held in registers: begun, added to and stored as one, each step a few instructions that are named here.

LLVM finds vectors in loops by itself, but a tile that it takes apart into single numbers costs a factor of ten, on one
processor and not on the next: so vectors are written out. Run as Python a tile is an array (row, number) of any
numbers. A product is always fused into its sum, so that a number has the same bits in a tile of any shape.

Over 300 lines, since each instruction stands beside what it means in Python.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from plaingrad.compiler.machine_code import registers
from plaingrad.compiler.numba_code import written_as
from plaingrad.schedule.tiles import Tile


@cache
def _written() -> str:
    """What this module says: compiled code rests on it."""
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()


@cache
def tile_type(dtype: Any, tile: Tile) -> Any:
    """The type of a tile of sums, to Numba: its vectors, row by row."""
    from llvmlite import ir
    from numba import types
    from numba.core.datamodel.models import PrimitiveModel
    from numba.extending import register_model

    class Sums(types.Type):  # type: ignore[misc]
        def __init__(self) -> None:
            self.dtype = dtype
            super().__init__(f"{tile} of {dtype}")

    @register_model(Sums)
    class SumsModel(PrimitiveModel):  # type: ignore[misc]
        def __init__(self, manager: Any, kind: Any) -> None:
            vector = ir.VectorType(manager.lookup(dtype).get_data_type(), tile.size)
            super().__init__(manager, kind, ir.ArrayType(vector, tile.block * tile.across))

    return Sums()


class Builder:
    """LLVM's builder while one instruction on tiles is written: `arrays` are pointers to their first numbers."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any, tile: Tile) -> None:
        from llvmlite import ir
        from numba.core.types import Array
        from numba.np.arrayobj import make_array

        self.ir, self.builder, self.tile, self.args = ir, builder, tile, list(args)
        self.whole = ir.IntType(64)
        self.number: Any = None
        for place, (kind, value) in enumerate(zip(signature.args, args, strict=True)):
            if isinstance(kind, Array):
                self.args[place] = make_array(kind)(context, builder, value).data
                number, self.width = context.get_data_type(kind.dtype), kind.dtype.bitwidth // 8
            elif hasattr(kind, "dtype"):
                number = value.type.element.element
            else:
                continue
            self.number = self.number or number  # of the first: places of winners come after errors
        self.vector = ir.VectorType(self.number, tile.size)

    def offset(self, start: Any, count: int, step: Any = 1) -> Any:
        """start + count · step."""
        step = self.whole(step) if isinstance(step, int) else step
        return self.builder.add(start, self.builder.mul(self.whole(count), step))

    def place(self, array: Any, offset: Any) -> Any:
        """Where a number lies."""
        return self.builder.gep(array, [offset], inbounds=True)

    def load(self, array: Any, offset: Any) -> Any:
        """A vector of numbers that lie side by side."""
        place = self.builder.bitcast(self.place(array, offset), self.vector.as_pointer())
        return self.builder.load(place, align=self.width)

    def load_part(self, place: Any, count: int) -> Any:
        """So many numbers that lie side by side, then zeros."""
        ir, part = self.ir, self.ir.VectorType(self.number, count)
        loaded = self.builder.load(self.builder.bitcast(place, part.as_pointer()), align=self.width)
        if count == self.tile.size:
            return loaded
        places = [*range(count), *[count] * (self.tile.size - count)]
        shuffle = ir.Constant(ir.VectorType(ir.IntType(32), self.tile.size), places)
        return self.builder.shuffle_vector(loaded, ir.Constant(part, [0.0] * count), shuffle)

    def zeros(self) -> Any:
        """A place in memory from which on zeros lie, as many as a vector has."""
        from numba.core.cgutils import global_constant

        zeros = self.ir.Constant(self.vector, [0.0] * self.tile.size)
        place = global_constant(self.builder, "zeros", zeros)
        return self.builder.bitcast(place, self.number.as_pointer())

    def store(self, vector: Any, array: Any, offset: Any) -> None:
        """Write a vector."""
        place = self.builder.bitcast(self.place(array, offset), self.vector.as_pointer())
        self.builder.store(vector, place, align=self.width)

    def spread(self, number: Any, vector: Any = None) -> Any:
        """One number in every place of a vector, of the tile's numbers unless told."""
        ir, undefined = self.ir, self.ir.Constant(vector or self.vector, self.ir.Undefined)
        one = self.builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.tile.size), [0] * self.tile.size)
        return self.builder.shuffle_vector(one, undefined, zeros)

    def spread_at(self, array: Any, offset: Any) -> Any:
        """A number of an array in every place of a vector."""
        return self.spread(self.builder.load(self.place(array, offset)))

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """x · y + z, rounded once."""
        from numba.core.cgutils import get_or_insert_function

        letters = "f32" if isinstance(self.number, self.ir.FloatType) else "f64"
        kind = self.ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.tile.size}{letters}"
        return self.builder.call(get_or_insert_function(self.builder.module, kind, name), [x, y, z])

    def constant(self, number: Any) -> Any:
        """A number in every place of a vector."""
        return self.ir.Constant(self.vector, [float(number)] * self.tile.size)

    def scaled(self, vector: Any, number: Any) -> Any:
        """A vector times a number that is known."""
        return self.builder.fmul(vector, self.constant(number))

    def total(self, vector: Any) -> Any:
        """The sum of a vector's numbers, always in the same order: halves on halves, an odd one last."""
        ir, size = self.ir, self.tile.size
        while size > 1 and size % 2 == 0:
            size //= 2
            kind = ir.VectorType(ir.IntType(32), size)
            halves = (ir.Constant(kind, [*range(start, start + size)]) for start in (0, size))
            low, high = (self.builder.shuffle_vector(vector, vector, each) for each in halves)
            vector = self.builder.fadd(low, high)
        parts = [self.builder.extract_element(vector, ir.Constant(ir.IntType(32), n)) for n in range(size)]
        return self._added(parts)

    def _added(self, parts: list[Any]) -> Any:
        whole = parts[0]
        for part in parts[1:]:
            whole = self.builder.fadd(whole, part)
        return whole

    def sums(self, tile: Any) -> list[Any]:
        """The vectors of a tile."""
        return [self.builder.extract_value(tile, n) for n in range(self.tile.block * self.tile.across)]

    def joined(self, sums: list[Any]) -> Any:
        """A tile of vectors."""
        tile = self.ir.Constant(self.ir.ArrayType(self.vector, len(sums)), self.ir.Undefined)
        for n, each in enumerate(sums):
            tile = self.builder.insert_value(tile, each, n)
        return tile

    def products(
        self, sums: list[Any], rows: list[Callable[[], Any]], across: list[Callable[[], Any]], at_once: bool = False
    ) -> list[Any]:
        """Add rows × across to the sums: the fewer of both are held, the others are met one by one.

        Where `at_once` and there is room all are loaded first, so that what comes from afar is waited for together.
        """
        made, count = list(sums), len(across)
        if at_once and len(sums) + len(rows) + count <= registers()[0]:
            loaded = [row() for row in rows]
            rows = [lambda each=each: each for each in loaded]  # type: ignore[misc]
        if len(rows) < count:
            held = [row() for row in rows]
            for r, each in enumerate(across):
                number = each()
                for q, row in enumerate(held):
                    made[q * count + r] = self.fma(row, number, made[q * count + r])
            return made
        held = [each() for each in across]
        for q, each in enumerate(rows):
            row = each()
            for r, number in enumerate(held):
                made[q * count + r] = self.fma(row, number, made[q * count + r])
        return made


Mark = Callable[[Callable[..., Any]], Callable[..., Any]]


def instructions(tile: Tile, *known: Any) -> Callable[[Callable[[Any], Any], Callable[[Builder], Any]], Mark]:
    """What makes instructions of functions; all that is `known` of the code written is part of its name."""

    def instruction(result: Callable[[Any], Any], write: Callable[[Builder], Any]) -> Mark:
        """A function that is these instructions when compiled; `result` makes its type of its first argument's."""

        def mark(function: Callable[..., Any]) -> Callable[..., Any]:
            def make() -> Any:
                def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                    made = write(Builder(context, builder, signature, args, tile))
                    return context.get_dummy_value() if made is None else made

                def kind(*given: Any) -> Any:
                    return result(given[0])

                kind.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
                return kind, code

            function.said = function.__name__, repr(tile), *known, registers(), _written()  # type: ignore[attr-defined]
            return written_as(make)(function)

        return mark

    return instruction


def nothing(_: Any) -> Any:
    """The type of what gives nothing."""
    from numba import types

    return types.none


@cache
def functions_of(tile: Tile, channels: int = 1, grain: int = 0) -> SimpleNamespace:
    """The instructions on tiles of one shape. Of a window's weights a row is `channels` times so many columns.

    `correlate_part` reads a `grain` of numbers, the first of a vector.
    """
    grain = grain or tile.size
    rows, across, size = range(tile.block), range(tile.across), tile.size
    columns = tile.across // channels

    instruction = instructions(tile, channels, grain)

    def of_array(array: Any) -> Any:
        return tile_type(array.dtype, tile)

    def of_sums(sums: Any) -> Any:
        return sums

    def write_begin(at: Builder) -> Any:
        array, start = at.args
        return at.joined([row for q in rows for row in [at.spread_at(array, at.offset(start, q))] * tile.across])

    @instruction(of_array, write_begin)
    def begin(array: Any, start: int) -> Any:
        """Sums that begin with array[start + row]."""
        return np.repeat(array.reshape(-1)[start : start + tile.block, None], tile.length, axis=1)

    @instruction(of_array, lambda at: at.joined([at.ir.Constant(at.vector, [0.0] * size)] * (tile.block * tile.across)))
    def zeros(array: Any) -> Any:
        """Sums of an array's kind that begin with 0."""
        return np.zeros((tile.block, tile.length), array.dtype)

    def write_load(at: Builder) -> Any:
        array, start = at.args
        return at.joined([at.load(array, at.offset(start, r * size)) for r in across])

    @instruction(of_array, write_load)
    def load(array: Any, start: int) -> Any:
        """A lone row of the numbers from a place on."""
        return array.reshape(-1)[start : start + tile.length].copy()[None]

    def write_resume(at: Builder) -> Any:
        array, place, step = at.args
        return at.joined([at.load(array, at.offset(at.offset(place, q, step), r * size)) for q in rows for r in across])

    @instruction(of_array, write_resume)
    def resume(array: Any, place: int, step: int) -> Any:
        """Sums that go on from what was stored at array[place + row · step + number]."""
        array = array.reshape(-1)
        return np.stack([array[start : start + tile.length] for start in (place + q * step for q in rows)])

    def write_multiply(at: Builder) -> Any:
        sums, array, start, step, other, place = at.args
        factors = [lambda q=q: at.spread_at(array, at.offset(start, q, step)) for q in rows]
        numbers = [lambda r=r: at.load(other, at.offset(place, r * size)) for r in across]
        return at.joined(at.products(at.sums(sums), factors, numbers))  # type: ignore[arg-type]

    @instruction(of_sums, write_multiply)
    def multiply(sums: Any, array: Any, start: int, step: int, other: Any, place: int) -> Any:
        """Add array[start + row · step] · other[place + number] to each sum."""
        factors = array.reshape(-1)[[start + q * step for q in rows]]
        return sums + factors[:, None] * other.reshape(-1)[place : place + tile.length]

    def write_store(at: Builder) -> None:
        sums, array, place, step = at.args
        vectors = at.sums(sums)
        for q in rows:
            for r in across:
                at.store(vectors[q * tile.across + r], array, at.offset(at.offset(place, q, step), r * size))

    @instruction(nothing, write_store)
    def store(sums: Any, array: Any, place: int, step: int) -> None:
        """Store each sum at array[place + row · step + number]."""
        for q in rows:
            array.reshape(-1)[place + q * step : place + q * step + tile.length] = sums[q]

    def write_scaled(at: Builder) -> Any:
        number = at.spread(at.ir.Constant(at.number, 0.0) if at.args[1] is None else at.args[1])
        return at.joined([at.builder.fmul(each, number) for each in at.sums(at.args[0])])

    @instruction(of_sums, write_scaled)
    def scaled(sums: Any, number: Any) -> Any:
        """Each sum times a number."""
        return sums * number

    def write_choose(at: Builder) -> Any:
        zero = at.ir.Constant(at.vector, [0.0] * size)
        trios = zip(*map(at.sums, at.args), strict=True)
        return at.joined(
            [at.builder.select(at.builder.fcmp_ordered("<=", x, zero), low, high) for x, low, high in trios]
        )

    @instruction(of_sums, write_choose)
    def choose(sums: Any, low: Any, high: Any) -> Any:
        """`low` where a sum is 0 or less; `high` elsewhere, and where it is not a number."""
        return np.where((sums <= 0).astype(bool), low, high)

    def write_won(at: Builder) -> Any:
        errors, winners, start, pixel = at.args
        errors = at.sums(errors)
        whole, zero = at.ir.VectorType(at.ir.IntType(32), size), at.constant(0)
        pixel = at.spread(at.builder.trunc(pixel, whole.element), whole)
        made = []
        for r in across:
            here = at.builder.bitcast(at.place(winners, at.offset(start, r * size)), whole.as_pointer())
            has_won = at.builder.icmp_signed("==", at.builder.load(here, align=4), pixel)
            made.append(at.builder.fadd(at.builder.select(has_won, errors[r], zero), zero))
        return at.joined(made)

    @instruction(of_sums, write_won)
    def won(errors: Any, winners: Any, start: int, pixel: int) -> Any:
        """A lone row of errors, added to 0, where the winner, from a place on, is this pixel; 0 where it is another."""
        winners = winners.reshape(-1)[start : start + tile.length]
        return np.where(winners == pixel, errors, errors.dtype.type(0)) + errors.dtype.type(0)

    def write_correlate(at: Builder) -> Any:
        sums, errors, start, step, pixels, place, channel, spacing = at.args
        factors = [lambda q=q: at.load(errors, at.offset(start, q, step)) for q in rows]
        return at.joined(at.products(at.sums(sums), factors, _pixels(at, pixels, place, channel, spacing), True))  # type: ignore[arg-type]

    def _pixels(at: Builder, pixels: Any, place: Any, channel: Any, spacing: Any) -> list[Callable[[], Any]]:
        pairs = [(c, v) for c in range(channels) for v in range(columns)]
        return [lambda c=c, v=v: at.load(pixels, at.offset(at.offset(place, c, channel), v, spacing)) for c, v in pairs]  # type: ignore[misc]

    @instruction(of_sums, write_correlate)
    def correlate(
        sums: Any, errors: Any, start: int, step: int, pixels: Any, place: int, channel: int, spacing: int
    ) -> Any:
        """Add errors[start + row · step + n] · pixels[place + c · channel + v · spacing + n] to each sum, by lane."""
        return correlated(sums, errors, start, step, pixels, place, channel, spacing, range(columns), size)

    def write_correlate_part(at: Builder) -> Any:
        sums, errors, start, step, pixels, place, channel, spacing, first, last = at.args
        builder, none = at.builder, at.zeros()
        factors = [lambda q=q: at.load_part(at.place(errors, at.offset(start, q, step)), grain) for q in rows]

        def number(c: int, v: int) -> Any:
            """The pixels, or zeros where there are none: chosen by their place, which takes no register of a vector."""
            below = builder.icmp_signed("<", at.whole(v), last)
            inside = builder.and_(builder.icmp_signed("<=", first, at.whole(v)), below)
            there = at.place(pixels, at.offset(at.offset(place, c, channel), v, spacing))
            return at.load_part(builder.select(inside, there, none), grain)

        numbers = [lambda c=c, v=v: number(c, v) for c in range(channels) for v in range(columns)]
        return at.joined(at.products(at.sums(sums), factors, numbers))  # type: ignore[arg-type]

    @instruction(of_sums, write_correlate_part)
    def correlate_part(
        sums: Any,
        errors: Any,
        start: int,
        step: int,
        pixels: Any,
        place: int,
        channel: int,
        spacing: int,
        first: int,
        last: int,
    ) -> Any:
        """The same for a grain, where only the window's columns from first to last lie on the image."""
        inside = range(max(first, 0), min(last, columns))
        return correlated(sums, errors, start, step, pixels, place, channel, spacing, inside, grain)

    def correlated(
        sums: Any,
        errors: Any,
        start: int,
        step: int,
        pixels: Any,
        place: int,
        channel: int,
        spacing: int,
        inside: range,
        count: int,
    ) -> Any:
        made, errors, pixels = sums.copy(), errors.reshape(-1), pixels.reshape(-1)
        for q in rows:
            factor = errors[start + q * step :][:count]
            for c in range(channels):
                for v in inside:
                    number, part = place + c * channel + v * spacing, (c * columns + v) * size
                    made[q, part : part + count] += factor * pixels[number : number + count]
        return made

    def write_totals(at: Builder) -> None:
        sums, array, place, row, channel = at.args
        vectors = at.sums(sums)
        for q in rows:
            for c in range(channels):
                for v in range(columns):
                    offset = at.offset(at.offset(at.offset(place, q, row), c, channel), v)
                    at.builder.store(at.total(vectors[q * tile.across + c * columns + v]), at.place(array, offset))

    @instruction(nothing, write_totals)
    def store_totals(sums: Any, array: Any, place: int, row: int, channel: int) -> None:
        """Store the total of each vector of sums at array[place + filter · row + c · channel + v]."""
        for q in rows:
            for c in range(channels):
                for v in range(columns):
                    part = (c * columns + v) * size
                    array.reshape(-1)[place + q * row + c * channel + v] = sums[q, part : part + size].sum()

    def write_plus(at: Builder) -> Any:
        return at.joined([at.builder.fadd(one, other) for one, other in zip(*map(at.sums, at.args), strict=True)])

    @instruction(of_sums, write_plus)
    def plus(sums: Any, others: Any) -> Any:
        """Two tiles added."""
        return sums + others

    def write_store_total(at: Builder) -> None:
        vectors = at.sums(at.args[0])
        while len(vectors) > 1:
            vectors = [at.builder.fadd(*each) for each in zip(vectors[::2], vectors[1::2], strict=True)]
        at.builder.store(at.total(vectors[0]), at.place(*at.args[1:]))

    @instruction(nothing, write_store_total)
    def store_total(sums: Any, array: Any, place: int) -> None:
        """Store the total of a lone row, whose vectors are two to the power of something."""
        array.reshape(-1)[place] = sums.sum()

    every: tuple[Callable[..., Any], ...] = (
        begin,
        zeros,
        load,
        resume,
        multiply,
        store,
        scaled,
        choose,
        won,
        correlate,
        correlate_part,
    )
    every += (store_totals, plus, store_total)
    return SimpleNamespace(**{each.__name__: each for each in every})
