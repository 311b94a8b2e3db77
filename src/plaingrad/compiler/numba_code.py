"""How nests are compiled by Numba: what it is taught of their steps, what it may assume, and what it does without.

Imported for good only where something is compiled: Numba takes seconds to import.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np

from plaingrad.compiler.code_cache import code_identity, freedoms, has_vectors, is_fraction
from plaingrad.compiler.store import Code
from plaingrad.errors import SettingError

TAUGHT: set[Callable[..., Any]] = set()  # steps that Numba knows of
MEANT_SINCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
WRITTEN_SINCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
# A nest makes no arrays, so nothing is counted (nrt), and it is not called as a Python function (wrapper).
WITHOUT = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


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
            register_jitable(pipeline_class=plain_compiler(), **WITHOUT)(step)
            teach_steps(step)


@functools.cache
def plain_compiler() -> Any:
    """Numba's compiler without the passes that look for what is in no nest: functions within, whole arrays in a term.

    They find nothing, and take a seventh of the time.
    """
    from numba.core.compiler import CompilerBase, DefaultPassBuilder
    from numba.core.typed_passes import NopythonRewrites
    from numba.core.untyped_passes import InlineClosureLikes

    class Plain(CompilerBase):  # type: ignore[misc]
        def define_pipelines(self) -> list[Any]:
            manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
            manager.passes = [each for each in manager.passes if each[0] not in (InlineClosureLikes, NopythonRewrites)]
            manager.finalize()
            return [manager]

    return Plain


@functools.cache
def compiler(freedoms: frozenset[str]) -> Callable[[Callable[..., Any]], Any]:
    """Numba, set up for nests: what may be assumed of them, and what they do without."""
    import numba

    class Unaliased(plain_compiler()):  # type: ignore[misc]
        """Compiles knowing that no two arrays of a nest overlap: a weight then stays in a register along a row.

        Worth a factor of 1.5 on a convolution, and it removes the checks that would otherwise precede every row.
        """

        def __init__(self, typing: Any, target: Any, library: Any, args: Any, returns: Any, flags: Any, types: Any):
            flags.noalias = True
            super().__init__(typing, target, library, args, returns, flags, types)

    made: Callable[[Callable[..., Any]], Any] = numba.njit(
        error_model="numpy", fastmath=set(freedoms), pipeline_class=Unaliased, **WITHOUT
    )
    return made


@functools.cache
def code_generator(has_vectors: bool) -> Any:
    """Numba's code generator, which makes object code once, and only of the nest itself, not of each step laid into it.

    Where vectors are named it goes without LLVM's unroller and vectorisers: these only spill.
    """
    from llvmlite import binding
    from numba.core import config
    from numba.core.codegen import JITCodeLibrary, JITCPUCodegen

    class Library(JITCodeLibrary):  # type: ignore[misc]
        def _optimize_functions(self, module: Any) -> None:
            module.data_layout = self._codegen._data_layout

        def _optimize_final_module(self) -> None:
            # Numba optimises three times, to find references that need no counting; nests count none.
            passes, builder = self._codegen._module_pass_manager()
            passes.run(self._final_module, builder)

        def _finalize_specific(self) -> None:
            pass  # no code for Numba's own engine: `compiled` takes what is optimised

        def get_pointer_to_function(self, name: str) -> int:
            self._ensure_finalized()
            return 0

    class Generator(JITCPUCodegen):  # type: ignore[misc]
        _library_class = Library

        def _add_module(self, module: Any) -> None:
            pass

        def set_env(self, env_name: str, env: Any) -> None:
            pass

        def _pass_builder(self, **told: Any) -> Any:
            if not has_vectors:
                return super()._pass_builder(**told)
            options = binding.create_pipeline_tuning_options(told.pop("opt", config.OPT))
            options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
            return binding.create_pass_builder(self._tm, options)

    return Generator("plaingrad.exec")


@functools.cache
def how_compiled() -> tuple[Any, ...]:
    """What is said here of how nests are compiled: compiled code rests on it."""
    return tuple(code_identity(each.__wrapped__.__code__) for each in (plain_compiler, compiler, code_generator))


@contextlib.contextmanager
def generating(has_vectors: bool) -> Iterator[None]:
    """Within it Numba compiles with that generator; other users of Numba in this process keep their own."""
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    with global_compiler_lock:
        context = cpu_target.target_context
        before, context._internal_codegen = context._internal_codegen, code_generator(has_vectors)
        try:
            yield
        finally:
            context._internal_codegen = before


def compiled(function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...]) -> Code:
    """A function compiled by Numba."""
    from numba import typeof, types
    from numba.core.errors import NumbaError

    teach()
    teach_steps(function)
    omitted = types.Omitted

    def known(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return typeof(value)
        return omitted(value) if is_fraction(value) else types.int64

    kinds = (*map(known, given), *map(omitted, constants))
    dispatcher = compiler(freedoms())(function)
    try:
        with generating(has_vectors(function)):
            dispatcher.compile(kinds)
    except NumbaError as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = next((line for line in said if "Failed in" not in line), "")
        raise SettingError(
            f"{function.__name__} cannot be compiled: {why}. Loops, arithmetic, comparisons and cells of arrays can; "
            "PLAINGRAD_PLAIN=1 runs it as Python"
        ) from error
    made = dispatcher.overloads[kinds]
    if made.signature.return_type not in (types.none, types.int64):  # there is room for a word
        raise TypeError(f"{function.__name__} returns {made.signature.return_type}; a nest returns nothing")
    module = made.library._final_module
    needs = [each.name for each in module.functions if each.is_declaration and each.name.startswith(("numba_", "NRT_"))]
    return Code(made.fndesc.llvm_func_name, tuple(needs), made.library.codegen._tm.emit_object(module))
