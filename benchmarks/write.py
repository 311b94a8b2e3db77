"""docs/benchmarks.json and the page made from it. No figure of the page comes from anywhere else."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

from plaingrad.network.models import MODELS
from plaingrad.network.network import Network
from text import (
    accuracies,
    best_of,
    mebibytes,
    name_of,
    nanoseconds,
    ratio_of,
    share_of,
    table,
    threads_of,
    time_and_spread,
    time_of,
)
from timing import OURS, THEIRS, Row
from works import BASE, NETWORKS, VARIED

Part = dict[str, Any]
Record = dict[str, dict[str, Part]]
"""Kind of processor → part → what was measured, where and when."""
BUSY = 0.05  # processors: what a machine does of its own accord stays below


def write(record: Record, folder: pathlib.Path) -> None:
    """Both files."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (folder / "benchmarks.json").write_text(text, encoding="utf-8")
    (folder / "benchmarks.md").write_text(page(json.loads(text)), encoding="utf-8")


def read(folder: pathlib.Path) -> Record:
    """What has been measured so far."""
    place = folder / "benchmarks.json"
    record: Record = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    return record if all("steps" in parts or "nests" in parts for parts in record.values()) else {}


def page(record: Record) -> str:
    """The page: the ratios on every kind of processor, then a section for each part of each kind."""
    blocks = ["# Speed", *_introduction(), *_summary(record)]
    for kind, parts in record.items():
        blocks.append(f"## {kind}")
        for name, section in SECTIONS.items():
            if name in parts:
                title, *rest = section(parts[name]["results"])
                blocks += [f"### {title}", _circumstances(parts[name]), *rest, *_unable(parts[name]["results"])]
    return "\n\n".join(blocks) + "\n"


def _introduction() -> list[str]:
    return [
        f"{OURS} beside {THEIRS} and JAX on a CPU, in float32. All contenders run in one process and by turns, with as "
        "many threads each. They start from the same weights and take random images, four different batches one after "
        "the other; whole networks must agree on the first result. A time is the median of several rounds after one "
        f"to warm up, in brackets the least and the greatest. {THEIRS} runs each network in four ways, eager and "
        "compiled by `torch.compile`, each with and without the channels-last layout, and the fastest counts. "
        f"*Ratio* is its time over ours: above 1, {OURS} is the faster. *Of peak* is the share of what the "
        "machine can do at most when it multiplies and adds numbers that never leave the registers, which a small "
        "kernel measures; the products counted are those of the windows, so what goes patch by patch, with fewer, may "
        "be above the peak. What was measured while the machine was busy or slowed itself down is not written.",
        "Written by `make bench`, or `make bench ISA=avx2`, which holds all contenders to the vectors that most "
        f"laptops have ({THEIRS} then eager only: so held, its compiler computes something else); every figure is in "
        "[benchmarks.json](benchmarks.json).",
    ]


def _summary(record: Record) -> list[str]:
    """The ratios of whole works, side by side for all kinds of processors."""
    cells: dict[str, dict[str, list[str]]] = {}
    for kind, parts in record.items():
        for name in ("steps", "inference", "commands"):
            for row in parts.get(name, {}).get("results", ()):
                if row.get("ratio"):
                    work = row["work"] if name == "commands" else f"{row['work']}, batch {row['batch']}"
                    cells.setdefault(work, {}).setdefault(kind, []).append(ratio_of(row))
    lines = [[work, *(" and ".join(found.get(kind, ["–"])) for kind in record)] for work, found in cells.items()]
    about = "Ratios of whole works on each kind of processor, with 2 threads and with 1:"
    return [about, table(["work", *record], lines)] if lines else []


def _circumstances(part: Part) -> str:
    """When and where a part was measured, and at what peak."""
    peaks = [f"{peak / 1e9:.0f} GFLOP/s with {threads_of(int(threads))}" for threads, peak in part["peak"].items()]
    versions = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    hurried = "; measured in haste (`--quick`), only to see that it runs" if part["quick"] else ""
    kept = f"; the process keeps the memory it frees, which spares {THEIRS} page faults" if part["keeps_memory"] else ""
    return f"{part['date']}; peak {', '.join(peaks)}; {part['machine']}; {versions}{kept}{hurried}."


def _layers(net: Network) -> str:
    """A network's layers in a line."""
    return f"{' × '.join(map(str, net.input))}: {', '.join(map(str, net.layers))}"


def _steps(rows: list[Row]) -> list[str]:
    own = [f"*{name}* is {_layers(NETWORKS[name]())}" for name in NETWORKS if name not in MODELS]
    about = f"Forward, loss, backward, and SGD with momentum. {'; '.join(own)}. The ratio is to PyTorch, not to JAX."
    return ["A training step", about, _table(rows), _verdict(rows), "Every contender:", _contenders(rows)]


def _inference(rows: list[Row]) -> list[str]:
    about = "From images to scores."
    return ["Inference", about, _table(rows), _verdict(rows), "Every contender:", _contenders(rows)]


def _fusing(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        times = [time_of(row["ours_seconds"]), time_of(row["apart_seconds"])]
        lines.append([row["work"], row["batch"], row["threads"], *times, f"{row['gain']:.2f}"])
    about = "The same step with ReLU laid into convolutions and dense layers and with ReLU as layers of their own."
    head = ["work", "batch", "threads", "fused", "apart", "apart / fused"]
    return ["What fusing ReLU brings", about, table(head, lines)]


def _nests(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        speed = row["flops"] / row["ours_seconds"] / 1e9
        lines.append([row["work"], time_and_spread(row), f"{speed:.0f} GFLOP/s", share_of(row)])
    about = (
        "Each loop nest of the convolutions that multiplies, called again and again on the arrays of one shard of "
        f"{rows[0]['batch']} images, with one thread. Training leaves out the gradient of the first layer's input."
    )
    return ["The loop nests of convolutions", about, table(["nest", "time", "speed", "of peak"], lines)]


def _growth(rows: list[Row]) -> list[str]:
    sizes = ", ".join(f"{name} {value}" for name, value in BASE.items())
    about = (
        "One convolution, forward and the gradients of weights, bias and input, with a random upstream gradient; as "
        "many filters as channels, padding that keeps the side. One size varies at a time, from "
        f"{sizes}. Nanoseconds for each multiplication of the three passes. Images are in each one's own "
        f"layout from the start. {OURS}'s threads each go through one shard of random images again and again, as a "
        f"layer within a network finds its shard where the layer before has left it. {THEIRS} is eager here, the "
        "faster of its two layouts."
    )
    counts = sorted({row["threads"] for row in rows})
    head = [
        f"{what}, {threads_of(count)}" for count in counts for what in (OURS, f"{THEIRS}'s best", "ratio", "of peak")
    ]
    blocks = []
    for name in VARIED:
        lines: dict[str, list[str]] = {}
        for row in sorted(rows, key=lambda row: (row["threads"], row["setting"][name])):
            if _varies(row["setting"], name):
                cells = [nanoseconds(row["ours_nanoseconds"]), nanoseconds(row["peer_nanoseconds"]), ratio_of(row)]
                lines.setdefault(_value(row["setting"], name), []).extend([*cells, share_of(row)])
        blocks.append(table([name, *head], [[value, *cells] for value, cells in lines.items()]))
    return ["How the cost of a convolution grows", about, *blocks, _verdict(rows)]


def _commands(rows: list[Row]) -> list[str]:
    measured = [row for row in rows if "ratio" in row]
    if not measured:
        return ["Whole commands"]
    first, asked = measured[0], measured[0]["asked_accuracy"]
    about = (
        f"`plaingrad train --model lenet5 --data mnist --epochs {first['epochs']}` from process start to process end, "
        "with its report and checkpoint, beside the shortest honest script for the same in PyTorch "
        "([peer_mnist.py](../benchmarks/peer_mnist.py)): images in memory, one index a batch. Both with "
        f"{threads_of(first['threads'])} and in a process of its own, one after the other; seeds by turns."
    )
    lines = []
    for row in measured:
        held = [mebibytes(row["ours_bytes"]), accuracies(row["ours_accuracy"], asked)]
        work = f"{OURS}, {row['work'].partition(', ')[2]}"
        lines.append([work, time_and_spread(row), *held, ratio_of(row), f"{row['bytes_ratio']:.2f}", share_of(row)])
    peer, least_and_most = first["peers"][THEIRS], first["peers_spread"][THEIRS]
    accuracy = accuracies(first["peers_accuracy"][THEIRS], asked)
    lines.append([THEIRS, time_of(peer, least_and_most), mebibytes(first["peers_bytes"][THEIRS]), accuracy, "", "", ""])
    head = ["", "time", "peak memory", "test accuracy, least and greatest", "ratio", "ratio of memory", "of peak"]
    compiled = next(row for row in rows if row["work"] == "first compilation")
    first_time = (
        f"The first compilation of everything that this command needs takes {time_of(compiled['ours_seconds'])}, "
        "the difference of the two; later commands read the compiled code from disk."
    )
    return ["Whole commands", about, table(head, lines), first_time]


def _table(rows: list[Row]) -> str:
    lines = [
        [row["work"], row["batch"], row["threads"], time_and_spread(row), best_of(row), ratio_of(row), share_of(row)]
        for row in rows
    ]
    return table(["work", "batch", "threads", OURS, f"{THEIRS}'s best", "ratio", "of peak"], lines)


def _contenders(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in (*row["peers"], *row["unable"])))
    lines = []
    for row in rows:
        figures = {OURS: row["ours_seconds"]} | row["peers"]
        cells = [time_of(figures[name]) if name in figures else "–" for name in (OURS, *names)]
        lines.append([row["work"], row["batch"], row["threads"], *cells])
    return table(["work", "batch", "threads", OURS, *names], lines)


def _verdict(rows: list[Row]) -> str:
    """Where PyTorch is the faster."""
    known = [row for row in rows if row["ratio"]]
    slower: dict[int, list[str]] = {}
    for row in known:
        if row["ratio"] < 1:
            slower.setdefault(row["threads"], []).append(f"{name_of(row)} ({ratio_of(row)})")
    if not slower:
        return f"{THEIRS} is faster in none of these {len(known)}."
    lists = [f"with {threads_of(count)}: {', '.join(names)}" for count, names in sorted(slower.items())]
    return f"{THEIRS} is faster in {sum(map(len, slower.values()))} of these {len(known)}; {'; '.join(lists)}."


def _unable(rows: list[Row]) -> list[str]:
    """What could not run, and why."""
    reasons: dict[str, int] = {}
    for row in rows:
        for name, reason in row.get("unable", {}).items():
            said = f"{'Not run' if name == 'all' else f'{name} could not run'}: {reason}"
            reasons[said] = reasons.get(said, 0) + 1
    return [f"{said} ({count} of {len(rows)} rows)." for said, count in reasons.items()]


def _varies(setting: dict[str, int], name: str) -> bool:
    """Whether it belongs to the table of this size: large images come in smaller batches."""
    same = all(setting[other] == BASE[other] for other in BASE if other not in (name, "batch"))
    return same and (setting["batch"] == BASE["batch"] or setting[name] != BASE[name])


def _value(setting: dict[str, int], name: str) -> str:
    fewer = name != "batch" and setting["batch"] != BASE["batch"]
    return f"{setting[name]} (batch {setting['batch']})" if fewer else str(setting[name])


SECTIONS: dict[str, Callable[[list[Row]], list[str]]] = {
    "steps": _steps,
    "inference": _inference,
    "commands": _commands,
    "nests": _nests,
    "growth": _growth,
    "fusing": _fusing,
}


if __name__ == "__main__":
    docs = pathlib.Path(__file__).parents[1] / "docs"
    write(read(docs), docs)
