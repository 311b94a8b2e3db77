"""Machine code: found where it was compiled before, else made, and loaded.

Numba compiles, and is imported only when there is something to compile: what is kept on disk is loaded by LLVM alone,
in a tenth of the time.
"""

import array
import contextlib
import functools
import gc
import importlib.util
import os
import pathlib
import platform
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from plaingrad.compiler.code_cache import host, place
from plaingrad.compiler.numba_code import compiled, how_compiled
from plaingrad.compiler.store import Code, is_usable, read, write

Array = np.ndarray[Any, Any]


@functools.cache
def has_numba() -> bool:
    """Whether nests can be compiled here. PLAINGRAD_PLAIN=1 says no, to see what a machine without Numba does."""
    return os.environ.get("PLAINGRAD_PLAIN", "") in ("", "0") and importlib.util.find_spec("numba") is not None


@functools.cache
def registers() -> tuple[int, int]:
    """How many vector registers the processor has, and how many float32 numbers each holds."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return 32, 4
    if not has_numba():
        return 16, 8
    told = os.environ.get("NUMBA_CPU_FEATURES")
    wide = "+avx512f" in (told if told is not None else host()[2])
    return (32, 16) if wide else (16, 8)


def machine_code(function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...] = ()) -> int:
    """The address of a function's machine code for arguments of the types of `given`, then `constants`.

    From disk where it was compiled before. It is called as Numba calls its own: with a place for what it returns, one
    for what it raises, and the arguments, an array as its parts; it returns 0 where all went well.
    """
    file = place(function, given, constants, how_compiled())
    code = MADE.get(file) or (read(file) if is_usable() else None)
    if code is None and WANTED:
        WANTED[-1].setdefault(file, (function, given, constants))
        return 0
    return load(file.stem, code or make(file, function, given, constants))


def make(file: pathlib.Path, function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...]) -> Code:
    """Compile a function, and keep its code where there is room for it."""
    with collecting_seldom():
        MADE[file] = code = compiled(function, given, constants)
    if is_usable():
        with contextlib.suppress(OSError):  # no room to keep it: compiled in each process
            write(file, code)
    return code


@contextlib.contextmanager
def collecting_seldom() -> Iterator[None]:
    """Within it Python looks for garbage a hundred times as seldom: Numba makes many objects, and little waste."""
    before = gc.get_threshold()
    gc.set_threshold(before[0] * 100, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


MADE: dict[pathlib.Path, Code] = {}  # in this process
MOST_AT_ONCE = 1 << 14  # whose numbers a pipe holds without being read; others are compiled when they are asked for
WANTED: list[dict[pathlib.Path, tuple[Any, ...]]] = []  # while it is found out what is to be compiled


def together(build: Callable[[], Any]) -> Any:
    """What `build` makes of nests, whose missing code is first compiled by as many processes as can run at once.

    `build` is called twice where code is missing: it may not do anything but make its result.
    """
    # A process whose other threads may hold locks cannot be doubled safely; a timer only waits.
    others = (each for each in threading.enumerate() if each is not threading.main_thread())
    single_threaded = all(isinstance(each, threading.Timer) for each in others)
    if (
        not has_numba() or sys.platform != "linux" or not single_threaded or not is_usable()
    ):  # helpers leave their code on disk
        return build()
    WANTED.append({})
    try:
        made = build()
    finally:
        wanted = WANTED.pop()
    if not wanted:
        return made
    longest = sorted(wanted.items(), key=lambda each: len(each[1][0].__code__.co_code), reverse=True)
    count = min(processors(), len(longest) // 4)  # importing Numba takes as long as compiling a few
    if count > 1:
        _compiled_by(count, longest)
    return build()  # compiles what they left out


Work = list[tuple[pathlib.Path, tuple[Any, ...]]]


def _compiled_by(count: int, work: Work) -> None:
    """Compile functions into their files by so many processes, which end then: this one has no need of Numba."""
    # Each process takes a number from the pipe when it is free: what is longest comes first, the shortest fill the end.
    numbers, entrance = os.pipe()
    helpers = list[int]()
    try:
        os.write(entrance, array.array("H", range(min(len(work), MOST_AT_ONCE))).tobytes())
        os.close(entrance)
        with contextlib.suppress(OSError):  # no more processes
            helpers += [_helper(work, numbers) for _ in range(count)]
    finally:
        os.close(numbers)
        for helper in helpers:
            with contextlib.suppress(ChildProcessError):  # somebody else has seen to it
                os.waitpid(helper, 0)


def _helper(work: Work, numbers: int) -> int:
    """A process that compiles the functions whose numbers come from a pipe, and ends where there are no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that NumPy keeps for itself
        process = os.fork()
    if not process:
        # Numba would load SciPy's linear algebra, to see whether it is there: a fifth of a second that no nest needs.
        sys.modules.setdefault("scipy.linalg", None)  # type: ignore[arg-type]
        try:
            while number := os.read(numbers, 2):
                file, asked = work[array.array("H", number)[0]]
                make(file, *asked)
        finally:
            os._exit(0)
    return process


@functools.cache
def processors() -> int:
    """How many threads can run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
