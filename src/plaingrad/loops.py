"""`plaingrad.loops`: one nest, two ways to run it: compiled on numbers, plain on anything that adds and multiplies.

The only module that imports Numba, and it does so when the first nest is compiled. Without Numba every nest runs plain.
"""

import contextlib
import functools
import hashlib
import importlib.util
import inspect
import math
import os
import pathlib
import sys
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SHARED_SINCE: list[Callable[..., Any]] = []
CACHE_LINE = 64


class Loops:
    """A loop nest over arrays.

    `plain` is the function as written. What stands after the `*` in its signature is known when the nest is compiled:
    a default that a call leaves out is a constant to Numba, and part of the key of its cache on disk.
    """

    def __init__(self, plain: Callable[..., None]) -> None:
        functools.update_wrapper(self, plain)  # type: ignore[arg-type]
        self.plain = plain
        self.__name__: str = plain.__name__
        kinds = inspect.signature(plain).parameters
        self.constants = tuple(name for name, each in kinds.items() if each.kind is each.KEYWORD_ONLY)
        self.arguments = tuple(name for name in kinds if name not in self.constants)
        self.known: dict[tuple[Any, ...], Any] = {}

    def _dispatcher(self, values: tuple[Any, ...]) -> Any:
        """The nest as Numba knows it, with these constants: one for each set of values, kept."""
        key = tuple((type(value), value) for value in values)
        if key not in self.known:
            plain, code = self.plain, self.plain.__code__
            code = code.replace(co_argcount=code.co_argcount + len(values), co_kwonlyargcount=0)
            teach_shared()
            made = FunctionType(code, plain.__globals__, self.__name__, values, plain.__closure__)
            self.known[key] = compiler()(made)
        return self.known[key]

    def bound(self, given: list[Any], **constants: Any) -> Callable[..., None]:
        """The nest ready to call on arguments of the types of `given`.

        Compiled, unless an array holds objects or Numba is absent. It is the machine code itself, not Numba's
        dispatcher, which would look at every type again at each call: that takes longer than a small nest does.
        """
        if not has_numba() or any(isinstance(each, np.ndarray) and each.dtype.hasobject for each in given):
            return functools.partial(_quietly, self.plain, constants)
        from numba import typeof, types

        values = tuple(constants[name] for name in self.constants)
        kinds = (*map(typeof, given), *map(types.Omitted, values))
        entry = self._dispatcher(values).compile(kinds)
        return functools.partial(_call, entry, values) if values else entry

    def __repr__(self) -> str:
        return f"<loops {self.__module__}.{self.__name__}>"


def _quietly(plain: Callable[..., None], constants: dict[str, Any], *args: Any) -> None:
    with np.errstate(all="ignore"):  # as compiled code: what is not finite is seen in the numbers, not in warnings
        plain(*args, **constants)


def _call(entry: Callable[..., None], values: tuple[Any, ...], *args: Any) -> None:
    entry(*args, *values)


loops = Loops


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a step on single numbers that nests share. Compiled, it is laid into the nest that calls it."""
    SHARED_SINCE.append(function)
    return function


def elementary(number: Callable[[float], float]) -> Callable[[Any], Any]:
    """A function that numbers take from `math`; any other value answers with a method of the same name."""

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
    """`math.log` that gives minus infinity at 0, as compiled code does, instead of raising."""
    return math.log(value) if value else -math.inf


exp_or_infinity.__name__, log_or_infinity.__name__ = "exp", "log"
exp, log, sqrt, tanh = (elementary(each) for each in (exp_or_infinity, log_or_infinity, math.sqrt, math.tanh))


def at(index: Any) -> Any:
    """A place in an array that is never negative, and so never counted from the end.

    Compiled, nothing then asks for its sign: where LLVM cannot see it, it would gather numbers one by one.
    """
    return index


@functools.cache
def has_numba() -> bool:
    """Whether nests can be compiled here. PLAINGRAD_PLAIN=1 says no, to see what a machine without Numba does."""
    return os.environ.get("PLAINGRAD_PLAIN", "") in ("", "0") and importlib.util.find_spec("numba") is not None


def identity(function: Any, seen: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """What a function says: its code, and what the names in it mean, followed through the functions it calls.

    It names compiled code on disk. A stamp of files would not do: a shared step, a constant from another module or
    a file edited between import and compilation would go unseen.
    """
    if isinstance(function, Loops):
        function = function.plain
    if not isinstance(function, FunctionType) or function in seen:
        return (type(function).__name__, getattr(function, "__qualname__", ""))
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    names = [function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__]
    modules = [each for each in names if isinstance(each, ModuleType)]
    members = [getattr(module, name, None) for module in modules for name in function.__code__.co_names]
    meanings = (_value_identity(each, (*seen, function)) for each in (*cells, *names, *members))
    return (*_code_identity(function.__code__), *meanings)


def _code_identity(code: CodeType) -> tuple[Any, ...]:
    constants = (_code_identity(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts)
    return (code.co_code, code.co_names, *constants)


def _value_identity(value: Any, seen: tuple[Any, ...]) -> Any:
    if isinstance(value, bool | int | float | str | bytes | tuple | np.generic | None):
        return repr(value)
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    return identity(value, seen)


def cache_folder() -> pathlib.Path:
    """Where compiled nests are kept between processes: PLAINGRAD_CACHE_DIR, or the user's own cache."""
    if told := os.environ.get("PLAINGRAD_CACHE_DIR"):
        return pathlib.Path(told)
    usual = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / ".cache"
    return pathlib.Path(usual) / "plaingrad" / "compiled"


def teach_shared() -> None:
    """Tell Numba of every shared step it does not know yet."""
    from numba.extending import register_jitable

    while SHARED_SINCE:
        register_jitable(SHARED_SINCE.pop())


@functools.cache
def compiler() -> Callable[[FunctionType], Any]:
    """Numba, taught the shared steps and what `exp`, `log`, `sqrt` and `tanh` mean for numbers."""
    import numba
    from numba.core.caching import IndexDataCacheFile, NullCache
    from numba.core.compiler import Compiler, CompileResult
    from numba.extending import overload

    def teach(function: Callable[..., Any], number: Callable[[float], float]) -> None:
        overload(function)(lambda value: lambda value: number(value))

    for function, number in ((exp, math.exp), (log, math.log), (sqrt, math.sqrt), (tanh, math.tanh)):
        teach(function, number)

    overload(at)(lambda index: lambda index: np.uintp(index))

    class Apart(Compiler):  # type: ignore[misc]
        """Compiles knowing that no two arrays of a nest overlap: a weight then stays in a register along a row.

        Worth a factor of 1.5 on a convolution, and it removes the checks that would otherwise precede every row.
        """

        def __init__(self, typing: Any, target: Any, library: Any, args: Any, returns: Any, flags: Any, types: Any):
            flags.noalias = True
            super().__init__(typing, target, library, args, returns, flags, types)

    class Cache(NullCache):  # type: ignore[misc]
        """Compiled nests on disk: files of their own for each identity, types and machine.

        Numba's own cache numbers its files in one index for each function, which a second process or a kill can leave
        pointing at other code. Here a name stands for one text: what another process writes there is the same.
        """

        def __init__(self, function: FunctionType) -> None:
            self.function = function

        def file(self, kinds: Any, codegen: Any) -> Any:
            versions = (
                numba.__version__,
                np.__version__,
                sys.version_info[:2],
                numba.config.BOUNDSCHECK,
                sorted(flags),
            )
            said = (identity(self.function), kinds, codegen.magic_tuple(), versions)
            name = f"{self.function.__name__}-{hashlib.sha256(repr(said).encode()).hexdigest()[:32]}"
            return IndexDataCacheFile(str(cache_folder()), name, name)

        def load_overload(self, kinds: Any, context: Any) -> Any:
            context.refresh()
            file = self.file(kinds, context.codegen())
            try:
                kept = file.load("")
                found = kept and CompileResult._rebuild(context, *kept)
            except Exception:  # damaged, or not to be read: compiled anew, and written anew
                with contextlib.suppress(OSError):
                    os.unlink(file._index_path)
                return None
            return found if found and tuple(found.signature.args) == tuple(kinds) else None

        def save_overload(self, kinds: Any, made: Any) -> None:
            if not made.library.has_dynamic_globals:
                with contextlib.suppress(OSError):  # nowhere to keep it: compiled in each process
                    cache_folder().mkdir(parents=True, exist_ok=True)
                    self.file(kinds, made.codegen).save("", made._reduce())

    # No "nnan" and "ninf": a diverged run must still be seen to diverge. "reassoc" lets sums use whole vectors.
    flags = {"contract", "nsz", "arcp"}
    compile_ = numba.njit(nogil=True, error_model="numpy", fastmath=flags, pipeline_class=Apart)

    def compiled(function: FunctionType) -> Any:
        dispatcher: Any = compile_(function)
        dispatcher._cache = Cache(function)
        return dispatcher

    return compiled


@functools.cache
def registers() -> tuple[int, int]:
    """How many vector registers the processor has, and how many float32 numbers each holds."""
    if not has_numba():
        return 16, 8
    from llvmlite.binding import get_host_cpu_features  # type: ignore[import-untyped]
    from numba import config

    told = config.CPU_FEATURES
    wide = "+avx512f" in told if told else get_host_cpu_features().get("avx512f", False)
    return (32, 16) if wide else (16, 8)


def zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of zeros that starts on a cache line: a vector read across two lines costs a quarter of the speed."""
    dtype = np.dtype(dtype)
    if dtype.hasobject:
        return np.zeros(shape, dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    array: Array = memory[start : start + size].view(dtype).reshape(shape)
    return array
