"""Measure plaingrad beside PyTorch and JAX, and write docs/benchmarks.json and docs/benchmarks.md. Run by `make bench`.

The JSON is the one record, by the kind of processor: a part that is measured again on the same kind replaces its rows
there, and the page is made from it. A part during which the machine was busy or throttled is not written.
"""

import argparse
import datetime
import importlib.metadata
import os
import pathlib
import platform
import statistics
import sys
import time

import plaingrad
from commands import commands
from growth import growth
from nests import nests
from peak import measure
from plaingrad.cli import doctor_run
from plaingrad.compiler.machine_code import processors, registers
from steps import fusing, inference, steps
from text import said
from timing import Plan, Row, keep_memory
from works import THREADS
from write import BUSY, read, write

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
MNIST = ROOT.parent / "shared" / "data" / "mnist"
PARTS = {each.__name__: each for each in (steps, inference, fusing, nests, growth, commands)}
PEERS = ("torch", "jax")
FORCED = {  # what tells every contender to do with less than the processor has
    "avx2": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2,+lzcnt,+popcnt,+f16c,+movbe",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
}
# A quiet machine's medians differ by less from turn to turn, and its peak stays within this of what it was.
UNSTEADY, THROTTLED = 1.25, 0.9


def processor() -> str:
    """Its name, and the kind of vectors that are used."""
    name = doctor_run.processor()
    if platform.machine() not in ("x86_64", "AMD64"):
        return name
    return f"{name}, {'AVX-512' if registers()[1] == 16 else 'AVX2'}"


def machine() -> str:
    """How many processors there are, and the system."""
    return f"{processors()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


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


def unfit(rows: list[Row], busy: float, peaks: list[dict[int, float]]) -> str:
    """Why what was measured says little: the machine had other things to do, or was slower at the end."""
    if busy > BUSY:
        return f"other processes kept {busy:.2f} processors busy"
    spreads = [each["ours_spread"][1] / each["ours_spread"][0] for each in rows if each.get("ours_spread")]
    if spreads and statistics.median(spreads) > UNSTEADY:
        return f"turns of the same work differ by {statistics.median(spreads):.2f} times"
    slower = min(after / before for before, after in zip(peaks[0].values(), peaks[1].values(), strict=True))
    if not THROTTLED < slower < 1 / THROTTLED:
        return f"the processor's peak at the end was {slower:.2f} of that at the beginning"
    return ""


def main() -> None:
    """Measure the parts asked for, print each row as it comes, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PART,…", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument(
        "--isa", choices=["best", *FORCED], default="best", help="the vectors of all contenders  [best]"
    )
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
    if any(os.environ.get(name) != value for name, value in FORCED.get(told.isa, {}).items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | FORCED[told.isa])
    folder = told.out or DOCS
    writes = not told.print_only and (told.out is not None or not told.quick)
    record, kept, kind, refused = read(folder), keep_memory(), processor(), False
    for name in names:
        peaks = [peak()]
        facts = {"machine": machine(), "versions": versions(), "keeps_memory": kept}
        rows, others, began = [], seconds_of_others(), time.monotonic()
        for row in PARTS[name](Plan(peaks[0], told.mnist, told.quick)):
            rows.append(row)
            print(said(row), flush=True)
        busy = (seconds_of_others() - others) / (time.monotonic() - began)
        reason = unfit(rows, busy, [*peaks, peak()])
        if reason and not told.quick:
            print(f"{name}: not written, since {reason}; measure again when the machine is quiet", file=sys.stderr)
            refused = True
            continue
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        part = {**facts, "date": today, "peak": peaks[0], "quick": told.quick, "results": rows}
        record.setdefault(kind, {})[name] = part
        if writes:
            write(record, folder)
    sys.exit(refused)


def peak() -> dict[int, float]:
    """The most that the machine can do, by the number of threads."""
    return {threads: measure(threads) for threads in sorted({*THREADS, processors()})}


if __name__ == "__main__":
    main()
