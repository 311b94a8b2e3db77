"""What compiled code is called: the object code of one function for one set of types and constants.

It is named by all that it depends on.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from plaingrad.compiler.store import code_folder

# A sum is added up in the order written: no "reassoc", so an image's bits do not depend on its place in a vector.
# No "nnan" and "ninf" either: a diverged run must still be seen to diverge.
FREEDOMS = frozenset({"contract", "nsz", "arcp"})
AS_WRITTEN = ContextVar("as_written", default=False)


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Within it nests are compiled to do what is written and nothing else: the bits of the same loops run as Python.

    No product is fused into a sum.
    """
    token = AS_WRITTEN.set(True)
    try:
        yield
    finally:
        AS_WRITTEN.reset(token)


def freedoms() -> frozenset[str]:
    """What the compiler may do with what is written, here and now."""
    return frozenset() if AS_WRITTEN.get() else FREEDOMS


def place(function: Callable[..., Any], given: list[Any], constants: tuple[Any, ...], how: Any = ()) -> pathlib.Path:
    """The file of a function's code for arguments of the types of `given`, then `constants`; `how` it is compiled."""
    known = tuple((type(each).__name__, each) for each in constants)
    said = identity(function), tuple(map(kind, given)), known, sorted(freedoms()), has_vectors(function)
    from plaingrad import __version__

    known_by = repr((said, how, versions(), __version__)).encode()
    name = f"{function.__name__}-{hashlib.sha256(known_by).hexdigest()[:32]}.code"
    folder = code_folder()
    return pathlib.Path(name) if folder is None else folder / name


def has_vectors(function: Callable[..., Any]) -> bool:
    """Whether a nest names its vectors, which LLVM is then told to leave as they are."""
    return bool(getattr(function, "__globals__", {}).get("HAS_VECTORS"))


def identity(function: Any, seen: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """What a function says: its code, and what the names in it mean, followed through the functions it calls.

    It names compiled code on disk. A stamp of files would not do: a shared step, a constant from another module or
    a file edited between import and compilation would go unseen.
    """
    if not isinstance(function, FunctionType):
        function = getattr(function, "__wrapped__", function)  # of a nest, or of what is called once
    if said := getattr(function, "said", None):
        return (*said,)  # an instruction that names all it depends on
    if not isinstance(function, FunctionType) or function in seen:
        return (type(function).__name__, getattr(function, "__qualname__", ""))
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    names = set(_names(function.__code__))
    known = [function.__globals__[name] for name in sorted(names) if name in function.__globals__]
    for module in known:  # which grows: a module may hold another, `numpy.random.default_rng`
        if isinstance(module, ModuleType):
            members = (getattr(module, name, None) for name in sorted(names))
            known += [each for each in members if not any(each is other for other in known)]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    meant = [function.meaning] if hasattr(function, "meaning") else []
    meanings = (_value_identity(each, (*seen, function)) for each in (*cells, *known, *defaults, *meant))
    return (*code_identity(function.__code__), *meanings)


def _names(code: CodeType) -> Iterator[str]:
    """The names in a function, and in the functions inside it."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


def code_identity(code: CodeType) -> tuple[Any, ...]:
    """What a function does, whatever the names in it mean."""
    constants = (code_identity(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts)
    return (code.co_code, code.co_names, *constants)


def _value_identity(value: Any, seen: tuple[Any, ...]) -> Any:
    if isinstance(value, bool | int | float | str | bytes | np.generic | None):
        return repr(value)
    if isinstance(value, tuple | list):
        return tuple(_value_identity(each, seen) for each in value)
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, type):  # such as an enumeration, whose members are constants
        plain = ((name, each) for name, each in vars(value).items() if isinstance(each, bool | int | float | str))
        return (value.__qualname__, *plain)
    return identity(value, seen)


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
    """What compiles, for which processor, told what, and with which freedoms."""
    import llvmlite

    packages = (_version_of_numba(), llvmlite.__version__, np.__version__)
    told = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_"))
    return (*packages, sys.version_info[:2], *host(), *told)


def _version_of_numba() -> str:
    """Read without importing Numba, nor the packages' metadata, whose reader alone takes as long as loading nests."""
    spec = importlib.util.find_spec("numba")
    try:
        return pathlib.Path(spec.origin).with_name("_version.py").read_text()  # type: ignore[arg-type, union-attr]
    except (OSError, TypeError, AttributeError):  # laid out otherwise
        from importlib.metadata import version

        return version("numba")


@functools.cache
def host() -> tuple[str, str, str]:
    """The processor: what LLVM calls its kind, its name and its features."""
    from llvmlite import binding

    return binding.get_process_triple(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
