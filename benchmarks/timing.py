"""Contenders measured by turns, and what a measurement leaves: one row, as docs/benchmarks.json holds it."""

import ctypes
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS, THEIRS = "plaingrad", "PyTorch"
PAUSE = 0.02  # seconds: threads that have had their turn go on spinning for a while before they sleep
Call = Callable[[], Any]
Row = dict[str, Any]


class UnableError(Exception):
    """A contender cannot run this work; the message is the reason."""


@dataclass(frozen=True)
class Plan:
    """How to measure. `peak` is the machine's, in floating point operations a second, by the number of threads."""

    peak: dict[int, float]
    mnist: Path
    quick: bool = False

    @property
    def rounds(self) -> int:
        """How many times each contender has its turn."""
        return 2 if self.quick else 7

    @property
    def seconds(self) -> float:
        """How long one turn lasts."""
        return 0.02 if self.quick else 0.3

    def some(self, works: Sequence[Any]) -> Sequence[Any]:
        """All works; only the first and the last where it has to be quick."""
        return (works[0], works[-1]) if self.quick else works


def keep_memory() -> bool:
    """Have this process keep what it frees, where the C library can; whether it can.

    Else PyTorch may get its memory anew from the system in each step, which can take it longer than the work itself,
    and whether it does depends on what ran before.
    """
    trim_threshold, mmap_max = -1, -4  # the names of the settings in glibc's malloc.h
    try:
        library = ctypes.CDLL(None)
        return bool(library.mallopt(mmap_max, 0) and library.mallopt(trim_threshold, -1))
    except (AttributeError, OSError, TypeError):
        return False


def ready(builders: dict[str, Callable[[], Call]]) -> tuple[dict[str, Call], dict[str, Any], dict[str, str]]:
    """Each contender built and called once: the calls, what they gave, and why the others cannot run."""
    calls: dict[str, Call] = {}
    given: dict[str, Any] = {}
    unable: dict[str, str] = {}
    for name, build in builders.items():
        try:
            call = build()
            given[name] = call()
            calls[name] = call
        except Exception as error:  # whatever keeps a peer from running is a fact to be listed
            if name == OURS:
                raise
            missing = f"{error.name} is not installed" if isinstance(error, ModuleNotFoundError) else ""
            said = str(error).strip().splitlines() or [type(error).__name__]
            unable[name] = missing or said[0][:200]
    return calls, given, unable


def by_turns(calls: dict[str, Call], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of one call of each contender, one figure a round.

    A first round warms up and is thrown away, and so is the first part of every turn: threads that slept may share a
    processor until the system moves them apart.
    """
    figures: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            time.sleep(PAUSE)
            began = time.perf_counter()
            while time.perf_counter() - began < seconds / 4:
                call()
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                call()
                count += 1
            if number:
                figures[name].append((time.perf_counter() - began) / count)
    return figures


def row(
    work: str,
    batch: int,
    threads: int,
    figures: dict[str, list[float]],
    flops: float | None,
    peak: dict[int, float],
    **more: Any,
) -> Row:
    """What is written down of one work: medians and spreads in seconds.

    `ratio` is the best PyTorch's time over ours. `peak_share` is the share of the machine's peak that our time
    comes to, where the work has `flops` floating point operations.
    """
    medians = {name: statistics.median(each) for name, each in figures.items()}
    ours = medians.pop(OURS)
    best = min((name for name in medians if name.startswith(THEIRS)), key=medians.__getitem__, default=None)
    return {
        "work": work,
        "batch": batch,
        "threads": threads,
        "ours_seconds": ours,
        "ours_spread": spread(figures[OURS]),
        "peers": medians,
        "peers_spread": {name: spread(figures[name]) for name in medians},
        "best": best,
        "ratio": medians[best] / ours if best else None,
        "rounds": len(figures[OURS]),
        "flops": flops,
        "peak_share": flops / ours / peak[threads] if flops else None,
        **more,
    }


def spread(figures: list[float]) -> list[float]:
    """The least and the greatest."""
    return [min(figures), max(figures)]
