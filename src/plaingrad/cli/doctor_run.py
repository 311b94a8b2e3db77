"""What `plaingrad doctor` does: what this machine has, what plaingrad makes of it, and what to do where it lacks."""

import importlib.metadata
import os
import pathlib
import platform
import re
import sys
from collections.abc import Iterator
from typing import Any

from plaingrad import __version__
from plaingrad.compiler.machine_code import has_numba, processors, registers
from plaingrad.compiler.store import code_folder, danger, sizes_in
from plaingrad.errors import visible
from plaingrad.testing import check
from plaingrad.textbook.layers import Conv, ReLU
from plaingrad.training.launched import LAUNCHED

# A requirement as packages state it: name, versions, and the extra that asks for it.
REQUIREMENT = re.compile(r"([\w.-]+)\s*([^;]*?)\s*(?:;(.*))?$")
EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
ELSEWHERE = re.compile(r"sys_platform\s*!=\s*['\"]([\w-]+)['\"]")  # on all systems but one it is needed
EVERYTHING = "all"  # the extra that is all the others


def examined() -> dict[str, Any]:
    """The machine, the packages, the compiled code that is kept, and a layer tried; `advice` has a line each."""
    found: dict[str, Any] = {
        "plaingrad": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": processor(),
        "processors": processors(),
        "vectors": vectors(),
        "compiled code": kept(),
        **packages(),
        "launched by": launched(),
    }
    found["tried"], wrong = tried()
    return found | {"is_right": not wrong, "advice": [*([wrong] if wrong else []), *advice(found)]}


def processor() -> str:
    """Its name, as far as the system tells."""
    try:
        told = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = ""
    named = re.search(r"model name\s*: (.*)", told)
    return named[1] if named else platform.processor() or platform.machine()


def vectors() -> str:
    """The vector instructions in use, and how they are told apart."""
    if not has_numba():
        return "none: nests run as Python"
    count, wide = registers()
    name = {(32, 4): "NEON", (16, 8): "AVX2", (32, 16): "AVX-512"}.get((count, wide), "")
    return f"{name}: {count} registers of {wide} float32 numbers"


def kept() -> dict[str, Any]:
    """The folder of compiled code: where, what is in it, and why nothing is kept, if so."""
    folder = code_folder()
    if folder is None:
        return {"folder": None, "problem": "there is no home folder"}
    sizes = sizes_in(folder)
    return {
        "folder": str(folder),
        "functions": len(sizes),
        "megabytes": round(sum(sizes) / 1e6, 1),
        "problem": danger(folder),
    }


def packages() -> dict[str, Any]:
    """What plaingrad needs, and what its extras do, each with the version that is here, or None."""
    needed: dict[str, Any] = {}
    extras: dict[str, dict[str, Any]] = {}
    for line in _required():
        if match := REQUIREMENT.match(line):
            name, asked, marker = match.groups()
            extra = EXTRA.search(marker or "")
            elsewhere = ELSEWHERE.search(marker or "")
            if (extra and extra[1] == EVERYTHING) or (elsewhere and elsewhere[1] == sys.platform):
                continue
            place = extras.setdefault(extra[1], {}) if extra else needed
            place[name] = {"asked": asked, "here": _version(name)}
    return {"needs": needed, "extras": extras}


def _required() -> list[str]:
    try:
        return importlib.metadata.requires("plaingrad") or []
    except importlib.metadata.PackageNotFoundError:  # its source alone is on the path
        return []


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def launched() -> str | None:
    """The variable of a launcher of several processes, if one started this."""
    return next((f"{name}={os.environ[name]}" for name in LAUNCHED if os.environ.get(name)), None)


def tried() -> tuple[str, str]:
    """A convolution's laws, the fast code beside the text: what came of it, and what is wrong, if anything."""
    try:
        laws = check(Conv(3, size=3, padding=1, activation=ReLU()), input=(2, 5, 4))
    except Exception as error:  # whatever keeps a layer from running here is what was asked for
        return f"a convolution could not be run: {visible(error)}", "a convolution cannot be run; report this output"
    if laws.is_right:
        return "a convolution: its gradients are right, and its fast code computes what its text says", ""
    return laws.text(), "a convolution goes wrong here; report this output"


def advice(found: dict[str, Any]) -> Iterator[str]:
    """What could be better, and what to do about it."""
    if not has_numba():
        way = "unset PLAINGRAD_PLAIN" if _version("numba") else "pip install numba"
        way = "install plaingrad outside the browser" if sys.platform == "emscripten" else way
        yield f"without Numba networks run as plain Python, hundreds of times slower: {way}"
    if found["compiled code"]["problem"]:
        yield (
            f"compiled code is not kept ({found['compiled code']['problem']}): "
            "set PLAINGRAD_CACHE_DIR to a folder that you alone can write to"
        )
    for name, each in found["needs"].items():
        if each["here"] is None and (name != "numba" or has_numba()):
            yield f"{name} is missing: pip install '{name}{each['asked']}'"
    if not found["needs"]:
        yield "plaingrad is not installed, its source is only on the path: pip install . in its folder"


def text(found: dict[str, Any]) -> str:
    """The same, as lines for a reader."""
    code, lines = found["compiled code"], []
    kept_there = (
        f"{code['folder']}: {code['functions']} functions, {code['megabytes']} MB" if code["folder"] else "none"
    )
    rows = [
        (name, str(found[name])) for name in ("plaingrad", "python", "system", "processor", "processors", "vectors")
    ]
    rows.append(("compiled code", kept_there))
    rows += [("needs", _said(found["needs"]))] if found["needs"] else []
    rows += [(f"extra {name}", _said(every)) for name, every in found["extras"].items()]
    rows += [("launched by", found["launched by"])] if found["launched by"] else []
    rows.append(("tried", found["tried"]))
    wide = max(len(name) for name, _ in rows)
    lines += [f"{name:<{wide}}  {told}" for name, told in rows]
    told = [f"- {line}" for line in found["advice"]]
    return "\n".join([*lines, "", *(told or ["All is well."])])


def _said(every: dict[str, Any]) -> str:
    return ", ".join(f"{name} {each['here'] or 'not installed'}" for name, each in every.items())
