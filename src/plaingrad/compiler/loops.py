"""One nest, two ways to run it: compiled on numbers, plain on anything that adds and multiplies.

Without Numba every nest runs plain.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.compiler.code_cache import AS_WRITTEN, as_written, kind
from plaingrad.compiler.machine_code import Array, has_numba, machine_code, registers
from plaingrad.compiler.native_call import call
from plaingrad.compiler.numba_code import compiled_as, written_as
from plaingrad.errors import SettingError

__all__ = [
    "Array",
    "Bound",
    "Loops",
    "as_written",
    "at",
    "exp",
    "has_numba",
    "log",
    "loops",
    "normal_cdf",
    "normal_pdf",
    "registers",
    "sqrt",
    "tanh",
    "zeros",
]

CACHE_LINE, LARGE_PAGE = 64, 1 << 21  # bytes


@dataclass(frozen=True)
class Bound:
    """A nest for arguments of certain types. `address` is that of its machine code; 0, it runs plain."""

    plain: Callable[..., None]
    constants: dict[str, Any]
    kinds: tuple[str, ...] = ()
    address: int = 0

    def __call__(self, *given: Any) -> None:
        if not self.address:
            with np.errstate(all="ignore"):  # as compiled code: what is not finite is seen in the numbers
                self.plain(*given, **self.constants)
        elif (kinds := tuple(map(kind, given))) != self.kinds:  # machine code would not notice
            raise TypeError(f"{self.plain.__name__} is bound for {self.kinds}, and got {kinds}")
        elif call(self.address, given):
            self.plain(*given, **self.constants)  # raises what the machine code only said it had to raise
            raise RuntimeError(f"{self.plain.__name__} failed as machine code, and not as Python")


class Loops:
    """A loop nest over arrays.

    `plain` is the function as written. What stands after the `*` in its signature is known when the nest is compiled,
    and part of the machine code. So are settings that are fractions.
    """

    def __init__(self, plain: Callable[..., None]) -> None:
        functools.update_wrapper(self, plain)  # type: ignore[arg-type]
        self.plain = plain
        self.__name__: str = plain.__name__
        names, count = plain.__code__.co_varnames, plain.__code__.co_argcount
        self.arguments, self.constants = names[:count], names[count : count + plain.__code__.co_kwonlyargcount]
        self.known: dict[tuple[Any, ...], int] = {}

    def bound(self, given: list[Any], **constants: Any) -> Bound:
        """The nest ready to call on arguments of the types of `given`.

        Compiled, unless an array holds objects or Numba is absent.
        """
        if not has_numba() or any(isinstance(each, np.ndarray) and each.dtype.hasobject for each in given):
            return Bound(self.plain, constants)
        values = tuple(constants[name] for name in self.constants)
        kinds = tuple(map(kind, given))
        key = (AS_WRITTEN.get(), *kinds, *((type(value), value) for value in values))
        address = self.known.get(key) or machine_code(self._with(values), given, values)
        if address:
            self.known[key] = address
        return Bound(self.plain, constants, kinds, address)

    def _with(self, values: tuple[Any, ...]) -> FunctionType:
        """The nest as a function whose last arguments have these defaults: Numba takes those for constants."""
        code = self.plain.__code__
        code = code.replace(co_argcount=code.co_argcount + len(values), co_kwonlyargcount=0)
        return FunctionType(code, self.plain.__globals__, self.__name__, values, self.plain.__closure__)

    def __repr__(self) -> str:
        return f"<loops {self.__module__}.{self.__name__}>"


loops = Loops


def elementary(number: Callable[[float], float]) -> Callable[[Any], Any]:
    """A function that numbers take from `math`; any other value answers with a method of the same name."""

    meant = getattr(math, number.__name__)

    return _answered(number, lambda value: lambda value: meant(value))


def _answered(number: Callable[[float], float], meaning: Callable[..., Any]) -> Callable[[Any], Any]:
    @compiled_as(meaning)
    @functools.wraps(number)
    def function(value: Any) -> Any:
        method = getattr(value, number.__name__, None)
        return method() if method else number(value)

    return function


def exp_or_infinity(value: float) -> float:
    """`math.exp` that overflows to infinity, as compiled code does, instead of raising."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def log_or_infinity(value: float) -> float:
    """`math.log` that gives minus infinity at 0 and NaN below, as compiled code does, instead of raising."""
    return math.log(value) if value > 0 else -math.inf if value == 0 else math.nan


def sqrt_or_nan(value: float) -> float:
    """`math.sqrt` that gives NaN below 0, as compiled code does, instead of raising."""
    return math.sqrt(value) if value >= 0 else math.nan


exp_or_infinity.__name__, log_or_infinity.__name__, sqrt_or_nan.__name__ = "exp", "log", "sqrt"
exp, log, sqrt, tanh = (elementary(each) for each in (exp_or_infinity, log_or_infinity, sqrt_or_nan, math.tanh))


def _number_of(kind: Any) -> Any:
    """The type of a compiled function's argument: a constant of another would make the result another's."""
    return np.float32 if kind.bitwidth == 32 else np.float64


def _cdf_in(number: Any) -> Callable[[Any], Any]:
    root_two, two = number(2**0.5), number(2)
    return lambda value: math.erfc(-value / root_two) / two


def _pdf_in(number: Any) -> Callable[[Any], Any]:
    root_two_pi, two = number((2 * math.pi) ** 0.5), number(2)
    return lambda value: math.exp(-value * value / two) / root_two_pi


def _normal_cdf(value: float) -> float:
    """Φ(value): how much of the standard normal distribution lies below; by `erfc`, which is sharp on either side."""
    return math.erfc(-value / 2**0.5) / 2


def _normal_pdf(value: float) -> float:
    """φ(value): the density of the standard normal distribution, which is the slope of Φ."""
    return math.exp(-value * value / 2) / math.sqrt(2 * math.pi)


_normal_cdf.__name__, _normal_pdf.__name__ = "normal_cdf", "normal_pdf"
normal_cdf = _answered(_normal_cdf, lambda value: _cdf_in(_number_of(value)))
normal_pdf = _answered(_normal_pdf, lambda value: _pdf_in(_number_of(value)))
ELEMENTARY: dict[str, Callable[[Any], Any]] = {
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "tanh": tanh,
    "normal_cdf": normal_cdf,
    "normal_pdf": normal_pdf,
}
"""The functions of one number that a text may call, by name."""
ON_ARRAYS: dict[str, Callable[[Any], Any]] = {
    name: getattr(np, name, None) or np.vectorize(function, otypes=[float]) for name, function in ELEMENTARY.items()
}
"""The same on whole arrays of float64."""


@compiled_as(lambda index: lambda index: np.uintp(index))
def at(index: Any) -> Any:
    """A place in an array that is never negative, and so never counted from the end.

    Compiled, nothing then asks for its sign: where LLVM cannot see it, it would gather numbers one by one.
    """
    return index


def _flat() -> Any:
    from numba import types
    from numba.np.arrayobj import make_array, populate_array

    def result(array: Any) -> Any:
        row = types.Array(array.dtype, 1, "C", readonly=not array.mutable)
        return row if array.layout == "C" else None

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = make_array(signature.args[0])(context, builder, args[0])
        part = make_array(signature.return_type)(context, builder)
        known = {"data": whole.data, "itemsize": whole.itemsize, "meminfo": whole.meminfo, "parent": whole.parent}
        populate_array(part, shape=[whole.nitems], strides=[whole.itemsize], **known)
        return part._getvalue()

    return result, code


@written_as(_flat)
def flat(array: Array) -> Array:
    """All numbers of an array as one long row, the same memory."""
    return array.reshape(-1)


def zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of zeros that starts on a cache line: a vector read across two lines costs a quarter of the speed.

    A large one starts on a large page. What NumPy gets 4 MiB or more for, it asks for in such pages, where Linux has
    them; the memory asked for in excess is never touched, and so never taken.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    excess, line = (2 * LARGE_PAGE, LARGE_PAGE) if size >= LARGE_PAGE // 4 else (CACHE_LINE, CACHE_LINE)
    try:
        if dtype.hasobject:
            return np.zeros(shape, dtype)
        memory = np.zeros(size + excess, np.uint8)
    except (MemoryError, ValueError):  # the second where no machine has so much
        raise SettingError(
            f"an array of shape {shape} takes {size:,} bytes, and there is no room for it: take a smaller network, or "
            "fewer images at a time"
        ) from None
    start = -memory.ctypes.data % line
    array: Array = memory[start : start + size].view(dtype).reshape(shape)
    return array
