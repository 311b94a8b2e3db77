"""Measure plaingrad beside PyTorch and JAX, and write docs/benchmarks.json and docs/benchmarks.md. Run by `make bench`.

The JSON is the one record: a part that is measured again replaces its rows there, and the page is made from it.
"""

import argparse
import datetime
import importlib.metadata
import os
import pathlib
import platform
import re
import time

import plaingrad
from commands import commands
from growth import growth
from nests import nests
from peak import measure
from plaingrad.compiler.machine_code import processors
from steps import fusing, inference, steps
from text import said
from timing import Plan, keep_memory
from works import THREADS
from write import read, write

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
MNIST = ROOT.parent / "shared" / "data" / "mnist"
PARTS = {each.__name__: each for each in (steps, inference, fusing, nests, growth, commands)}
PEERS = ("torch", "jax")


def machine() -> str:
    """The processor, how many there are, and the system."""
    try:
        found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    name = found[1] if found else platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{name}, {processors()} processors, {system}"


def versions() -> dict[str, str]:
    """The version of each library that takes part."""
    found = {"plaingrad": plaingrad.__version__}
    for name in ("numpy", "numba", *PEERS):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def seconds_of_others() -> float:
    """The processor seconds that other processes have used since the machine started; 0 where it does not tell."""
    try:
        counts = pathlib.Path("/proc/stat").read_text(encoding="utf-8").split(maxsplit=8)
    except OSError:
        return 0.0
    user, nice, system, _, _, interrupts, soft_interrupts = map(int, counts[1:8])
    ticks = user + nice + system + interrupts + soft_interrupts
    return ticks / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def main() -> None:
    """Measure the parts asked for, print each row as it comes, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PART,…", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument(
        "--quick", action="store_true", help="a few works, tiny rounds: to see that all runs (writes only with --out)"
    )
    parser.add_argument("--print-only", action="store_true", help="measure and print, write nothing")
    parser.add_argument("--mnist", metavar="DIR", default=MNIST, type=pathlib.Path, help="where its IDX files lie")
    parser.add_argument("--out", metavar="DIR", type=pathlib.Path, help="where to write  [docs]")
    told = parser.parse_args()
    names = told.only.split(",")
    if unknown := set(names) - PARTS.keys():
        parser.error(f"--only knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    folder = told.out or DOCS
    writes = not told.print_only and (told.out is not None or not told.quick)
    record, kept = read(folder), keep_memory()
    for name in names:
        peak = {threads: measure(threads) for threads in sorted({*THREADS, processors()})}
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        facts = {"machine": machine(), "versions": versions(), "date": today, "keeps_memory": kept}
        rows, others, began = [], seconds_of_others(), time.monotonic()
        for row in PARTS[name](Plan(peak, told.mnist, told.quick)):
            rows.append({"part": name, **row})
            print(said(row), flush=True)
        busy = (seconds_of_others() - others) / (time.monotonic() - began)
        part = {**facts, "peak": peak, "quick": told.quick, "processors_busy_elsewhere": round(max(busy, 0), 3)}
        parts = record["parts"] | {name: part}
        rows += [each for each in record["results"] if each["part"] != name]
        order = list(PARTS)
        record = {**facts, "parts": parts, "results": sorted(rows, key=lambda each: order.index(each["part"]))}
        if writes:
            write(record, folder)


if __name__ == "__main__":
    main()
