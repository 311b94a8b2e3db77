"""One training step beside PyTorch's, in one process, by turns: forward, loss, backward, SGD with momentum.

Run by `make bench`; writes docs/benchmarks.md and docs/benchmarks.json. Nothing in them is typed by hand.
"""

import argparse
import datetime
import json
import pathlib
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import plaingrad
from plaingrad.layer import Layer
from plaingrad.layers import Conv, Dense, Flatten, MaxPool
from plaingrad.models import model
from plaingrad.network import Network
from plaingrad.optimiser import SGD
from plaingrad.shards import Shards
from plaingrad.trainer import Trainer

DOCS = pathlib.Path(__file__).parents[1] / "docs"
WORKS = [("lenet5", 64, 2), ("lenet5", 64, 1), ("lenet5", 256, 2), ("mnist-cnn", 64, 2)]
FUSED = [("lenet5", 64, 2), ("mnist-cnn", 64, 2)]
ROUNDS, SECONDS_A_ROUND = 9, 0.4


def ours(net: Network, images: np.ndarray, labels: np.ndarray, threads: int) -> Callable[[], None]:
    """One step of plaingrad on this batch, just as the trainer does it."""
    data = plaingrad.from_arrays(images, labels, [str(each) for each in range(10)])
    trainer = Trainer(net, data, SGD(rate=0.01, momentum=0.9), batch=len(images))
    shards, index = Shards(net, trainer.loss, len(images), threads), np.arange(len(images))
    update = trainer._update(shards)

    def step() -> None:
        shards.step(data.images, data.labels, index)
        update(0)

    return step


def theirs(net: Network, images: np.ndarray, labels: np.ndarray, channels_last: bool) -> Callable[[], None]:
    """The same network in PyTorch."""
    parts: list[torch.nn.Module] = []
    for step in net.steps.values():
        layer = step.layer
        if isinstance(layer, Conv):
            parts.append(torch.nn.Conv2d(step.x[0], layer.filters, layer.window.size))
        elif isinstance(layer, MaxPool):
            parts.append(torch.nn.MaxPool2d(layer.window.size))
        elif isinstance(layer, Flatten):
            parts.append(torch.nn.Flatten())
        elif isinstance(layer, Dense):
            parts.append(torch.nn.Linear(step.x[0], layer.units))
        if getattr(layer, "activation", None):
            parts.append(torch.nn.ReLU())
    module, loss = torch.nn.Sequential(*parts), torch.nn.CrossEntropyLoss()
    x, target = torch.from_numpy(images), torch.from_numpy(labels)
    if channels_last:
        module, x = module.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad()
        loss(module(x), target).backward()
        optimiser.step()

    return step


def by_turns(contenders: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Seconds a step of each contender, one figure a round, the rounds by turns."""
    rounds: dict[str, list[float]] = {each: [] for each in contenders}
    for number in range(ROUNDS + 1):  # the first warms up and is thrown away
        for each, step in contenders.items():
            began, steps = time.perf_counter(), 0
            while time.perf_counter() - began < SECONDS_A_ROUND:
                step()
                steps += 1
            if number:
                rounds[each].append((time.perf_counter() - began) / steps)
    return rounds


def apart(net: Network) -> Network:
    """The same network with each fused activation as a layer of its own."""
    layers: list[Layer] = []
    for layer in net.layers:
        activation = getattr(layer, "activation", None)
        layers += [layer.replace(activation=None), activation] if activation else [layer]
    return Network(*layers, input=net.input, name=net.name)


def measure_fusing(name: str, batch: int, threads: int) -> float:
    """How many times faster a step is with ReLU fused than with ReLU as layers of their own."""
    rng, net = np.random.default_rng(0), model(name).network()
    images, labels = rng.normal(size=(batch, *net.input)).astype(np.float32), rng.integers(0, 10, batch)
    contenders = {"fused": ours(net, images, labels, threads), "apart": ours(apart(net), images, labels, threads)}
    rounds = by_turns(contenders)
    return statistics.median(rounds["apart"]) / statistics.median(rounds["fused"])


def measure(name: str, batch: int, threads: int) -> dict[str, object]:
    """Medians of alternating rounds, in seconds a step."""
    rng = np.random.default_rng(0)
    torch.set_num_threads(threads)
    net = model(name).network()
    images = rng.normal(size=(batch, *net.input)).astype(np.float32)
    labels = rng.integers(0, 10, batch)
    contenders = {
        "plaingrad": ours(net, images, labels, threads),
        "PyTorch eager": theirs(net, images, labels, False),
        "PyTorch eager, channels last": theirs(net, images, labels, True),
    }
    rounds = by_turns(contenders)
    medians = {each: statistics.median(times) for each, times in rounds.items()}
    peers = {each: seconds for each, seconds in medians.items() if each != "plaingrad"}
    return {
        "work": f"{name} step",
        "batch": batch,
        "threads": threads,
        "ours_seconds": medians["plaingrad"],
        "ours_spread": [min(rounds["plaingrad"]), max(rounds["plaingrad"])],
        "peers": peers,
        "ratio": min(peers.values()) / medians["plaingrad"],
    }


def main() -> None:
    """Measure all, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print-only", action="store_true", help="measure and print, write nothing")
    told = parser.parse_args()
    results = [measure(*work) for work in WORKS]
    fused = {work: measure_fusing(*work) for work in FUSED}
    rows = [
        f"| {each['work']} | {each['batch']} | {each['threads']} | {each['ours_seconds'] * 1e3:.2f} ms | "
        f"{min(each['peers'].values()) * 1e3:.2f} ms | {each['ratio']:.1f}× |"
        for each in results
    ]
    fusing = "; ".join(f"{name}, batch {work[0]}: {gain:.2f}×" for (name, *work), gain in fused.items())
    table = "\n".join(
        ["| work | batch | threads | plaingrad | PyTorch, its best | ratio |", "|---|---|---|---|---|---|", *rows]
    )
    versions = {"plaingrad": plaingrad.__version__, "torch": torch.__version__, "numpy": np.__version__}
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    print(f"{table}\nReLU fused beside ReLU apart: {fusing}")  # noqa: T201
    if told.print_only:
        return
    text = (
        "# Speed\n\nOne training step (forward, loss, backward, SGD with momentum), float32, random images; medians of "
        f"{ROUNDS} rounds by turns in one process. Written by `make bench`.\n\n{table}\n\n"
        "How much faster a step is with ReLU fused into convolutions and dense layers than with ReLU as layers of "
        f"their own, which gives the same bits: {fusing}.\n\n"
        f"{date}, {machine}, " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".\n"
    )
    (DOCS / "benchmarks.md").write_text(text, encoding="utf-8")
    record = {"machine": machine, "versions": versions, "date": date, "results": results}
    (DOCS / "benchmarks.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
