"""Machine code: how a nest is compiled, kept on disk, and loaded from there.

Numba compiles, and is imported only when there is something to compile: what was compiled before is loaded by LLVM
alone, in a tenth of the time. A file holds the object code of one nest for one set of types and constants, behind a
line that says what it is; it is named by all that the code depends on, and checked before it is loaded.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SHARED_SINCE: list[Callable[..., Any]] = []
MEANT_SINCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
WRITTEN_SINCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = []


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a step on single numbers that nests share. Compiled, it is laid into the nest that calls it."""
    SHARED_SINCE.append(function)
    return function


def compiled_as(meaning: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function that compiled nests take for another: `meaning`, called with the same arguments, returns it."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        MEANT_SINCE.append((function, meaning))
        function.meaning = meaning  # type: ignore[attr-defined]
        return function

    return mark


def written_as(make: Callable[[], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function that is instructions of LLVM in compiled nests.

    `make` gives two functions: one from the types of the arguments to that of the result, one that writes the code.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        WRITTEN_SINCE.append((function, make))
        function.meaning = make  # type: ignore[attr-defined]
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
    told = os.environ.get("NUMBA_CPU_FEATURES")
    wide = "+avx512f" in (told if told is not None else host()[2])
    return (32, 16) if wide else (16, 8)


@functools.cache
def host() -> tuple[str, str, str]:
    """The processor: what LLVM calls its kind, its name and its features."""
    from llvmlite import binding  # type: ignore[import-untyped]

    return binding.get_process_triple(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def identity(function: Any, seen: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """What a function says: its code, and what the names in it mean, followed through the functions it calls.

    It names compiled code on disk. A stamp of files would not do: a shared step, a constant from another module or
    a file edited between import and compilation would go unseen.
    """
    if not isinstance(function, FunctionType):
        function = getattr(function, "__wrapped__", function)  # of a nest, or of what is called once
    if not isinstance(function, FunctionType) or function in seen:
        return (type(function).__name__, getattr(function, "__qualname__", ""))
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    names = [function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__]
    modules = [each for each in names if isinstance(each, ModuleType)]
    members = [getattr(module, name, None) for module in modules for name in function.__code__.co_names]
    meant = [function.meaning] if hasattr(function, "meaning") else []
    meanings = (_value_identity(each, (*seen, function)) for each in (*cells, *names, *members, *meant))
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
    from numba import types
    from numba.extending import lower_builtin, overload, register_jitable, type_callable

    while SHARED_SINCE:
        register_jitable(SHARED_SINCE.pop())
    while MEANT_SINCE:
        function, meaning = MEANT_SINCE.pop()
        overload(function)(meaning)
    while WRITTEN_SINCE:
        function, make = WRITTEN_SINCE.pop()
        result, code = make()
        type_callable(function)(lambda context, result=result: result)
        lower_builtin(function, *[types.Any] * function.__code__.co_argcount)(code)


@dataclass(frozen=True)
class Code:
    """Object code: the name under which it holds a function, and the names it needs from elsewhere."""

    symbol: str
    needs: tuple[str, ...]
    image: bytes


def machine_code(function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...] = ()) -> int:
    """The address of a function's machine code for arguments of the types of `given`, then `constants`.

    From disk where it was compiled before. It is called as Numba calls its own: with a place for what it returns, one
    for what it raises, and the arguments, an array as its parts; it returns 0 where all went well.
    """
    said = identity(function), tuple(map(kind, given)), tuple((type(each).__name__, each) for each in constants)
    name = f"{function.__name__}-{hashlib.sha256(repr((said, versions())).encode()).hexdigest()[:32]}"
    file = cache_folder() / f"{name}.code"
    code = MADE.get(file) or read(file)
    if code is None and WANTED:
        WANTED[-1].setdefault(file, (function, given, constants))
        return 0
    return load(name, code or make(file, function, given, constants))


def make(file: pathlib.Path, function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...]) -> Code:
    """Compile a function, and keep its code where there is room for it."""
    MADE[file] = code = compiled(function, given, constants)
    with contextlib.suppress(OSError):  # nowhere to keep it: compiled in each process
        write(file, code)
    return code


MADE: dict[pathlib.Path, Code] = {}  # in this process
WANTED: list[dict[pathlib.Path, tuple[Any, ...]]] = []  # while it is found out what is to be compiled


def together(build: Callable[[], Any]) -> Any:
    """What `build` makes of nests, whose missing code is first compiled by as many processes as can run at once.

    `build` is called twice where code is missing: it may not do anything but make its result.
    """
    # A process whose other threads may hold locks cannot be doubled safely; a timer only waits.
    others = (each for each in threading.enumerate() if each is not threading.main_thread())
    if not has_numba() or sys.platform != "linux" or not all(isinstance(each, threading.Timer) for each in others):
        return build()
    WANTED.append({})
    try:
        made = build()
    finally:
        wanted = WANTED.pop()
    if not wanted:
        return made
    longest = sorted(wanted.items(), key=lambda each: len(each[1][0].__code__.co_code), reverse=True)
    count = min(processors(), len(longest) // 4)
    helpers = [_helper(longest[number::count]) for number in range(1, count)]
    for file, asked in longest[:: max(count, 1)]:
        make(file, *asked)
    for helper in helpers:
        os.waitpid(helper, 0)
    return build()  # compiles what a helper, or a full disk, left out


def _helper(work: list[tuple[pathlib.Path, tuple[Any, ...]]]) -> int:
    """A process that compiles these functions into their files, and ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that NumPy keeps for itself
        process = os.fork()
    if not process:
        try:
            for file, asked in work:
                make(file, *asked)
        finally:
            os._exit(0)
    return process


@functools.cache
def processors() -> int:
    """How many threads can run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kind(value: Any) -> str:
    """The type of an argument, as far as machine code depends on it. A fraction becomes part of the code."""
    if isinstance(value, np.ndarray):
        order = "C" if value.flags.c_contiguous else "F" if value.flags.f_contiguous else "A"
        access = "" if value.flags.writeable else ", only read"
        return f"{value.ndim} axes of {value.dtype.str} in order {order}{access}"
    if not isinstance(value, bool | int | np.bool_ | np.integer | float | np.floating):
        raise TypeError(f"a nest takes arrays and numbers, and got {value!r}")
    return f"{type(value).__name__} {value!r}" if is_fraction(value) else "whole number"


def is_fraction(value: Any) -> bool:
    """Whether a setting is made part of the code: fractions travel in other registers than whole numbers do."""
    return isinstance(value, float | np.floating)


@functools.cache
def versions() -> tuple[Any, ...]:
    """What compiles, for which processor, and told what."""
    packages = [importlib.metadata.version(name) for name in ("numba", "llvmlite", "numpy")]
    told = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_"))
    return (*packages, sys.version_info[:2], *host(), *told, sorted(FREEDOMS))


def read(file: pathlib.Path) -> Code | None:
    """The code a file holds; None where there is none, or not what was written."""
    try:
        about, _, image = file.read_bytes().partition(b"\n")
        said = json.loads(about)
        if hashlib.sha256(image).hexdigest() == said["sha256"]:
            return Code(said["symbol"], tuple(said["needs"]), image)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def write(file: pathlib.Path, code: Code) -> None:
    """Keep code on disk, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    said = {"symbol": code.symbol, "needs": code.needs, "sha256": hashlib.sha256(code.image).hexdigest()}
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=file.stem, delete=False) as draft:
        draft.write(json.dumps(said).encode() + b"\n" + code.image)
    os.replace(draft.name, file)


@functools.cache
def linker() -> Any:
    """What makes object code callable in this process."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.create_lljit_compiler(binding.Target.from_default_triple().create_target_machine(jit=True))


LOADED: dict[str, tuple[Any, int]] = {}
LOADING = threading.Lock()


def load(name: str, code: Code) -> int:
    """The address of a function once its object code lies in memory; each code once, whichever thread asks."""
    with LOADING:
        if name not in LOADED:
            LOADED[name] = linked(name, code)
        return LOADED[name][1]


def linked(name: str, code: Code) -> tuple[Any, int]:
    """What holds the object code in memory, and the address of its function there."""
    from llvmlite import binding

    library = binding.JITLibraryBuilder().add_object_img(code.image).export_symbol(code.symbol)
    for need in code.needs:
        if not binding.address_of_symbol(need):
            from numba.core.registry import cpu_target

            cpu_target.target_context  # noqa: B018 (on being made, it tells LLVM of Numba's own functions)
        library.import_symbol(need, binding.address_of_symbol(need))
    made = library.add_current_process().link(linker(), name)
    return made, made[code.symbol]


# A sum is added up in the order written: no "reassoc", so an image's bits do not depend on its place in a vector.
# No "nnan" and "ninf" either: a diverged run must still be seen to diverge.
FREEDOMS = {"contract", "nsz", "arcp"}


@functools.cache
def compiler() -> Callable[[Callable[..., Any]], Any]:
    """Numba, set up for nests: what may be assumed of them, and what they do without."""
    import numba
    from numba.core.compiler import Compiler

    class Apart(Compiler):  # type: ignore[misc]
        """Compiles knowing that no two arrays of a nest overlap: a weight then stays in a register along a row.

        Worth a factor of 1.5 on a convolution, and it removes the checks that would otherwise precede every row.
        """

        def __init__(self, typing: Any, target: Any, library: Any, args: Any, returns: Any, flags: Any, types: Any):
            flags.noalias = True
            super().__init__(typing, target, library, args, returns, flags, types)

    # A nest makes no arrays, so nothing is counted (nrt), and it is not called as a Python function (wrapper).
    without = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    made: Callable[[Callable[..., Any]], Any] = numba.njit(
        error_model="numpy", fastmath=FREEDOMS, pipeline_class=Apart, **without
    )
    return made


def compiled(function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...]) -> Code:
    """A function compiled by Numba."""
    from numba import typeof, types

    teach()
    omitted = types.Omitted

    def known(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return typeof(value)
        return omitted(value) if is_fraction(value) else types.int64

    kinds = (*map(known, given), *map(omitted, constants))
    dispatcher = compiler()(function)
    dispatcher.compile(kinds)
    made = dispatcher.overloads[kinds]
    module = made.library._final_module
    needs = [each.name for each in module.functions if each.is_declaration and each.name.startswith(("numba_", "NRT_"))]
    return Code(made.fndesc.llvm_func_name, tuple(needs), made.library.codegen._tm.emit_object(module))
