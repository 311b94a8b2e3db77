"""Machine code: how a nest is compiled, and loaded where it was compiled before.

Numba compiles, and is imported only when there is something to compile: what is kept on disk is loaded by LLVM alone,
in a tenth of the time.
"""

import contextlib
import functools
import importlib.util
import os
import pathlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.shelf import Code, freedoms, has_vectors, host, is_fraction, place, read, write

Array = np.ndarray[Any, Any]
TAUGHT: set[Callable[..., Any]] = set()  # steps that Numba knows of
MEANT_SINCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
WRITTEN_SINCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = []


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


def teach() -> None:
    """Tell Numba of every function with a meaning of its own that it does not know yet."""
    from numba import types
    from numba.extending import lower_builtin, overload, type_callable

    while MEANT_SINCE:
        function, meaning = MEANT_SINCE.pop()
        overload(function)(meaning)
    while WRITTEN_SINCE:
        function, make = WRITTEN_SINCE.pop()
        result, code = make()
        type_callable(function)(lambda context, result=result: result)
        lower_builtin(function, *[types.Any] * function.__code__.co_argcount)(code)


def teach_steps(function: Any) -> None:
    """Tell Numba of the plain functions that a nest calls. Compiled, they are laid into it."""
    from numba.extending import register_jitable

    for name in function.__code__.co_names:
        step = function.__globals__.get(name)
        if isinstance(step, FunctionType) and step not in TAUGHT and not hasattr(step, "meaning"):
            TAUGHT.add(step)
            register_jitable(step)
            teach_steps(step)


def machine_code(function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...] = ()) -> int:
    """The address of a function's machine code for arguments of the types of `given`, then `constants`.

    From disk where it was compiled before. It is called as Numba calls its own: with a place for what it returns, one
    for what it raises, and the arguments, an array as its parts; it returns 0 where all went well.
    """
    file = place(function, given, constants)
    code = MADE.get(file) or read(file)
    if code is None and WANTED:
        WANTED[-1].setdefault(file, (function, given, constants))
        return 0
    return load(file.stem, code or make(file, function, given, constants))


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
    helpers: list[int] = []
    try:
        with contextlib.suppress(OSError):  # no more processes: the work is done here
            helpers += [_helper(longest[number::count]) for number in range(1, count)]
        for file, asked in longest[:: max(count, 1)]:
            make(file, *asked)
    finally:
        for helper in helpers:
            with contextlib.suppress(ChildProcessError):  # somebody else has seen to it
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


@functools.cache
def compiler(freedoms: frozenset[str]) -> Callable[[Callable[..., Any]], Any]:
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
        error_model="numpy", fastmath=set(freedoms), pipeline_class=Apart, **without
    )
    return made


@functools.cache
def codegen_of_vectors() -> Any:
    """Numba's code generator without LLVM's unroller and vectorisers: where vectors are named these only spill."""
    from llvmlite import binding
    from numba.core import config
    from numba.core.codegen import JITCPUCodegen

    class Codegen(JITCPUCodegen):  # type: ignore[misc]
        def _pass_builder(self, **told: Any) -> Any:
            options = binding.create_pipeline_tuning_options(told.pop("opt", config.OPT))
            options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
            return binding.create_pass_builder(self._tm, options)

    return Codegen("plaingrad.exec")


@contextlib.contextmanager
def vectors_left_alone() -> Iterator[None]:
    """Within it Numba compiles with that generator; other users of Numba in this process keep their own."""
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    with global_compiler_lock:
        context = cpu_target.target_context
        before, context._internal_codegen = context._internal_codegen, codegen_of_vectors()
        try:
            yield
        finally:
            context._internal_codegen = before


def compiled(function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...]) -> Code:
    """A function compiled by Numba."""
    from numba import typeof, types

    teach()
    teach_steps(function)
    omitted = types.Omitted

    def known(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return typeof(value)
        return omitted(value) if is_fraction(value) else types.int64

    kinds = (*map(known, given), *map(omitted, constants))
    dispatcher = compiler(freedoms())(function)
    with vectors_left_alone() if has_vectors(function) else contextlib.nullcontext():
        dispatcher.compile(kinds)
    made = dispatcher.overloads[kinds]
    if made.signature.return_type not in (types.none, types.int64):  # there is room for a word
        raise TypeError(f"{function.__name__} returns {made.signature.return_type}; a nest returns nothing")
    module = made.library._final_module
    needs = [each.name for each in module.functions if each.is_declaration and each.name.startswith(("numba_", "NRT_"))]
    return Code(made.fndesc.llvm_func_name, tuple(needs), made.library.codegen._tm.emit_object(module))
