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
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SHARED_FILES: set[str] = set()
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
            return functools.partial(self.plain, **constants)
        from numba import typeof, types

        values = tuple(constants[name] for name in self.constants)
        kinds = (*map(typeof, given), *map(types.Omitted, values))
        entry = self._dispatcher(values).compile(kinds)
        return functools.partial(_call, entry, values) if values else entry

    def __repr__(self) -> str:
        return f"<loops {self.__module__}.{self.__name__}>"


def _call(entry: Callable[..., None], values: tuple[Any, ...], *args: Any) -> None:
    entry(*args, *values)


loops = Loops


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a step on single numbers that nests share. Compiled, it is laid into the nest that calls it."""
    SHARED_FILES.add(function.__code__.co_filename)
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


@functools.cache
def has_numba() -> bool:
    """Whether nests can be compiled here. PLAINGRAD_PLAIN=1 says no, to see what a machine without Numba does."""
    return os.environ.get("PLAINGRAD_PLAIN", "") in ("", "0") and importlib.util.find_spec("numba") is not None


@functools.cache
def sources() -> str:
    """A digest of every file with loops in it: compiled code on disk is used only by the sources that made it.

    Numba's own stamp covers the file of the nest alone, and would keep running an old shared step after it was mended.
    """
    texts = [path.read_bytes() for path in sorted(pathlib.Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"".join(text for text in texts if b"plaingrad.loops" in text)).hexdigest()


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
    from numba.core.caching import FunctionCache, UserWideCacheLocator
    from numba.core.compiler import Compiler
    from numba.extending import overload

    def teach(function: Callable[..., Any], number: Callable[[float], float]) -> None:
        overload(function)(lambda value: lambda value: number(value))

    for function, number in ((exp, math.exp), (log, math.log), (sqrt, math.sqrt), (tanh, math.tanh)):
        teach(function, number)

    class Apart(Compiler):  # type: ignore[misc]
        """Compiles knowing that no two arrays of a nest overlap: a weight then stays in a register along a row.

        Worth a factor of 1.5 on a convolution, and it removes the checks that would otherwise precede every row.
        """

        def __init__(self, typing: Any, target: Any, library: Any, args: Any, returns: Any, flags: Any, types: Any):
            flags.noalias = True
            super().__init__(typing, target, library, args, returns, flags, types)

    class Locator(UserWideCacheLocator):  # type: ignore[misc]
        """Keeps compiled nests in the user's cache, stamped with the whole package and the nest's own file."""

        def __init__(self, function: Any, file: str) -> None:
            super().__init__(function, file)
            self._cache_path = str(cache_folder())

        def get_source_stamp(self) -> str:
            files = (path for path in map(pathlib.Path, sorted({self._py_file, *SHARED_FILES})) if path.is_file())
            own = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
            return f"{sources()} {own} {numba.__version__} {np.__version__} {numba.config.BOUNDSCHECK}"

        @classmethod
        def from_function(cls, function: Any, file: str) -> "Locator | None":
            if not pathlib.Path(file).is_file():  # typed at a prompt: there is nothing to stamp it by
                return None
            try:
                locator = cls(function, file)
                locator.ensure_cache_path()
                locator.get_source_stamp()
            except OSError:
                return None
            return locator

    class Cache(FunctionCache):  # type: ignore[misc]
        """Numba's cache of one function, with the locator above alone."""

        _impl_class = type("Impl", (FunctionCache._impl_class,), {"_locator_classes": [Locator]})

    # No "nnan" and "ninf": a diverged run must still be seen to diverge. "reassoc" lets sums use whole vectors.
    flags = {"contract", "reassoc", "nsz", "arcp"}
    compile_ = numba.njit(nogil=True, error_model="numpy", fastmath=flags, pipeline_class=Apart)

    def compiled(function: FunctionType) -> Any:
        dispatcher: Any = compile_(function)
        with contextlib.suppress(RuntimeError, AttributeError, OSError):  # nowhere to keep it: compile each time
            dispatcher._cache = Cache(function)
        return dispatcher

    return compiled


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
