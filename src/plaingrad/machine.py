"""Machine code: how a nest is compiled, and kept on disk.

Only this module and `calling` import Numba, and they do so when the first nest is compiled.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SHARED_SINCE: list[Callable[..., Any]] = []
MEANT_SINCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = []


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a step on single numbers that nests share. Compiled, it is laid into the nest that calls it."""
    SHARED_SINCE.append(function)
    return function


def compiled_as(meaning: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function that compiled nests take for another: `meaning`, called with the same arguments, returns it."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        MEANT_SINCE.append((function, meaning))
        return function

    return mark


@functools.cache
def has_numba() -> bool:
    """Whether nests can be compiled here. PLAINGRAD_PLAIN=1 says no, to see what a machine without Numba does."""
    return os.environ.get("PLAINGRAD_PLAIN", "") in ("", "0") and importlib.util.find_spec("numba") is not None


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


def identity(function: Any, seen: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """What a function says: its code, and what the names in it mean, followed through the functions it calls.

    It names compiled code on disk. A stamp of files would not do: a shared step, a constant from another module or
    a file edited between import and compilation would go unseen.
    """
    for inner in ("plain", "_defn", "py_func"):  # of a nest, of Numba's intrinsic, of its compiled function
        function = getattr(function, inner, function)
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


def teach() -> None:
    """Tell Numba of every shared step, and of every function with a meaning of its own, that it does not know yet."""
    from numba.extending import overload, register_jitable

    while SHARED_SINCE:
        register_jitable(SHARED_SINCE.pop())
    while MEANT_SINCE:
        function, meaning = MEANT_SINCE.pop()
        overload(function)(meaning)


@functools.cache
def compiler() -> Callable[[Callable[..., Any]], Any]:
    """Numba, set up for nests: with which freedoms, and with a cache of their own."""
    import numba
    from numba.core.caching import IndexDataCacheFile, NullCache
    from numba.core.compiler import Compiler, CompileResult

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

        def __init__(self, function: Callable[..., Any]) -> None:
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

    # A sum is added up in the order written: no "reassoc", so an image's bits do not depend on its place in a vector.
    # No "nnan" and "ninf" either: a diverged run must still be seen to diverge.
    flags = {"contract", "nsz", "arcp"}
    compile_ = numba.njit(nogil=True, error_model="numpy", fastmath=flags, pipeline_class=Apart)

    def compiled(function: Callable[..., Any]) -> Any:
        teach()
        dispatcher: Any = compile_(function)
        dispatcher._cache = Cache(function)
        return dispatcher

    return compiled


def is_fraction(value: Any) -> bool:
    """Whether a setting is made part of the code: fractions travel in other registers than whole numbers do."""
    return isinstance(value, float | np.floating)


def compile_for(dispatcher: Any, given: list[Any], constants: tuple[Any, ...]) -> tuple[Callable[..., None], int]:
    """The machine code of a nest for arguments of the types of `given`: to be called from Python, and its address."""
    from numba import typeof, types

    kinds = (
        *(types.Omitted(each) if is_fraction(each) else typeof(each) for each in given),
        *map(types.Omitted, constants),
    )
    entry = dispatcher.compile(kinds)
    made = dispatcher.overloads[kinds]
    return entry, made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
