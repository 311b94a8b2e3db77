"""What several ranks cost beside one process: the exchange of a step beside MPI's own sum, and whole steps.

`make bench-mpi` writes the table of docs/distributed.md. The contenders take turns in the same job, so that all of them
meet the same load; given are the best and the median of the rounds.
"""

import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from plaingrad.compiler.machine_code import processors
from plaingrad.network.models import model
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD
from plaingrad.training.launched import start
from plaingrad.training.ranks import OneRank
from plaingrad.training.shards import Shards
from plaingrad.training.updates import Updates

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "distributed.md"
BEGIN, END = "<!-- written by make bench-mpi -->", "<!-- end -->"
MODELS = ("lenet5", "mnist-cnn")
BATCH, SHARDS = 128, 4
ROUNDS, STEPS = 40, 5
COUNTS = (2, 4, 8)  # those that there are processors for


def timed(call: Callable[[], object], times: int = 1) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


def exchanges(name: str) -> dict[str, list[float]]:
    """Seconds of each exchange: ours with the additions that belong to it, and MPI's sum of one vector a rank."""
    from mpi4py import MPI

    ranks, world = start(), MPI.COMM_WORLD
    net = model(name).network()
    images, labels = random_images(net.input)
    with Shards(net, SoftmaxCrossEntropy(), BATCH, 1, ranks=ranks) as shards:
        shards.step(images, labels, np.arange(BATCH))
        assert shards.chain is not None
        total, chain = np.empty_like(shards.gradient), shards.chain
        calls: dict[str, Callable[[], object]] = {
            "ours": chain.pass_on,
            "Allreduce": lambda: world.Allreduce(shards.gradient, total),
        }
        figures: dict[str, list[float]] = {each: [] for each in calls}
        for _ in range(ROUNDS * STEPS):
            for each, call in calls.items():
                world.Barrier()
                figures[each].append(timed(call))
    return figures


def random_images(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A batch of noise."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (BATCH, *shape), dtype=np.uint8), rng.integers(0, 10, BATCH)


def steps(name: str) -> dict[str, list[float]]:
    """Seconds of a step of all ranks with a thread each, and of the first one alone with as many threads."""
    ranks = start()
    calls: dict[str, Callable[[], object]] = {}
    for each, own, threads in (("ranks", ranks, 1), ("threads", OneRank(), ranks.size)):
        net = model(name).network()
        images, labels = random_images(net.input)
        shards = Shards(net, SoftmaxCrossEntropy(), BATCH, threads, ranks=own)
        updates = Updates(shards, SGD(rate=1e-4), {"velocity": np.zeros_like(net.parameters)})

        def step(
            shards: Shards = shards,
            updates: Updates = updates,
            images: np.ndarray = images,
            labels: np.ndarray = labels,
        ) -> None:
            shards.step(images, labels, np.arange(BATCH))
            updates(0, 1.0)

        calls[each] = step
    figures: dict[str, list[float]] = {each: [] for each in calls}
    for number in range(ROUNDS + 1):
        for each, call in calls.items():
            ranks.texts("")  # the others sleep until the first one comes, which may go on alone
            if each == "ranks" or ranks.is_first:
                seconds = timed(call, STEPS)
                if number:  # the first round warms up
                    figures[each].append(seconds)
    return figures


def job(count: int, what: str, name: str) -> dict[str, list[float]]:
    """What the first of so many ranks measured."""
    beside = str(pathlib.Path(sys.executable).parent)
    launcher = shutil.which("mpirun", path=beside) or shutil.which("mpirun") or sys.exit("there is no mpirun")
    words = [launcher, "-n", str(count), sys.executable, __file__, what, name]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    figures: dict[str, list[float]] = json.loads(done.stdout)
    return figures


def told(seconds: list[float]) -> str:
    """The best and the median in milliseconds."""
    return f"{min(seconds) * 1e3:.2f}, {statistics.median(seconds) * 1e3:.2f}"


def page() -> str:
    """Two tables and where they were measured."""
    lines = [
        f"Measured on {datetime.date.today():%d %B %Y} with {processors()} processors ({platform.machine()}), which "
        f"other work shared; a load of {os.getloadavg()[0]:.1f} at the start. Batches of {BATCH}, {SHARDS} shards; "
        "milliseconds, best and median.",
        "",
        "| exchange of | ranks | plaingrad | MPI's Allreduce | ratio of the best, of the medians |",
        "|---|---|---|---|---|",
    ]
    for name in MODELS:
        for count in (each for each in COUNTS if each <= max(COUNTS[0], processors())):
            both = job(count, "exchange", name)
            ours, theirs = both["ours"], both["Allreduce"]
            ratios = (best(ours, theirs, min), best(ours, theirs, statistics.median))
            parameters = f"{name}, {model(name).network().size:,} parameters"
            lines.append(
                f"| {parameters} | {count} | {told(ours)} | {told(theirs)} | {ratios[0]:.1f}, {ratios[1]:.1f} |"
            )
    lines += ["", "| step of | 2 ranks, 1 thread each | 1 process, 2 threads | speed |", "|---|---|---|---|"]
    for name in MODELS:
        both = job(2, "steps", name)
        ranks, threads = both["ranks"], both["threads"]
        speeds = (best(threads, ranks, min), best(threads, ranks, statistics.median))
        lines.append(f"| {name} | {told(ranks)} | {told(threads)} | {speeds[0]:.2f}, {speeds[1]:.2f} |")
    return "\n".join(lines)


def best(ours: list[float], theirs: list[float], of: Callable[[list[float]], float]) -> float:
    """The ratio of two contenders' best figures, or of their medians."""
    return of(ours) / of(theirs)


def main() -> None:
    if sys.argv[1:]:
        figures = {"exchange": exchanges, "steps": steps}[sys.argv[1]](sys.argv[2])
        if start().is_first:
            print(json.dumps(figures))
        return
    measured = page()
    print(measured)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
