"""How fast this machine multiplies and adds float32 numbers at best: vectors that never leave their registers."""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from plaingrad.compiler.loops import registers

SUMS = 12  # more than the additions that a core can have under way, and few enough for 16 registers
COUNT = 10_000_000


@functools.cache
def kernel() -> Callable[..., float]:
    """`count` rounds of SUMS independent vectors, each: sum = sum · factor + start."""
    from llvmlite import ir
    from numba import njit, types
    from numba.core import cgutils
    from numba.extending import intrinsic

    width, place = registers()[1], ir.IntType(32)
    vector = ir.VectorType(ir.FloatType(), width)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        def everywhere(number: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(place, 0))
            zeros = ir.Constant(ir.VectorType(place, width), [0] * width)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

        start, factor, count = everywhere(given[0]), everywhere(given[1]), given[2]
        kind = ir.FunctionType(vector, [vector] * 3)
        multiply_add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{width}f32")
        sums = [cgutils.alloca_once_value(builder, start) for _ in range(SUMS)]
        with cgutils.for_range(builder, count):
            for each in sums:
                builder.store(builder.call(multiply_add, [builder.load(each), factor, start]), each)
        total = builder.load(sums[0])
        for each in sums[1:]:
            total = builder.fadd(total, builder.load(each))
        return builder.extract_element(total, ir.Constant(place, 0))

    @intrinsic  # type: ignore[untyped-decorator]
    def multiply_adds(typing: Any, start: Any, factor: Any, count: Any) -> Any:
        return types.float32(types.float32, types.float32, types.intp), generate

    compiled: Callable[..., float] = njit(nogil=True)(lambda start, factor, count: multiply_adds(start, factor, count))
    return compiled


def measure(threads: int, rounds: int = 10) -> float:
    """Floating point operations a second of so many threads at once, in the best of several rounds."""
    half, call = np.float32(0.5), kernel()
    call(half, half, COUNT)
    figures = []
    for _ in range(rounds):
        team = [threading.Thread(target=call, args=(half, half, COUNT)) for _ in range(threads)]
        began = time.perf_counter()
        for each in team:
            each.start()
        for each in team:
            each.join()
        figures.append(2 * threads * COUNT * SUMS * registers()[1] / (time.perf_counter() - began))
    return max(figures)
