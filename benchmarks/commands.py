"""Whole commands from process start: MNIST to 99 % by `plaingrad train`, beside the shortest honest PyTorch script."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from plaingrad.compiler.machine_code import processors
from plaingrad.data import load
from plaingrad.errors import PlaingradError
from plaingrad.network.models import model
from timing import OURS, THEIRS, Plan, Row, row, spread
from works import step_flops

HERE = pathlib.Path(__file__).parent
MODEL = "lenet5"
ASKED = 0.99  # of the test images
EPOCHS = 4  # the fewest with which our recipe gets there for each of the seeds
SEEDS = (0, 1, 2)
ROUNDS = 5
COLD = f"{OURS}, nothing compiled yet"
BARE, COLD_BARE = f"{OURS}, no report", f"{OURS}, nothing compiled yet, no report"
WORKS = {
    OURS: "MNIST to 99 %, compiled code on disk",
    BARE: "MNIST to 99 %, compiled code on disk, without the report",
    COLD: "MNIST to 99 %, nothing compiled yet",
    COLD_BARE: "MNIST to 99 %, nothing compiled yet, without the report",
}


def commands(plan: Plan) -> Iterator[Row]:
    """The command with its compiled code on disk, without it, and the script; the rounds by turns."""
    try:
        load("mnist", plan.mnist)
        if not hasattr(os, "wait4"):
            raise PlaingradError("this system does not tell the peak memory of a process")
    except PlaingradError as error:
        yield {"work": "MNIST to 99 %", "unable": {"all": str(error)}}
        return
    epochs, rounds = (1, 1) if plan.quick else (EPOCHS, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        contenders: dict[str, Callable[[int], dict[str, Any]]] = {
            OURS: lambda seed: _ours(plan, epochs, seed, place / "warm"),
            BARE: lambda seed: _ours(plan, epochs, seed, place / "warm", "--no-report"),
            COLD: lambda seed: _ours(plan, epochs, seed, pathlib.Path(tempfile.mkdtemp(dir=place))),
            COLD_BARE: lambda seed: _ours(plan, epochs, seed, pathlib.Path(tempfile.mkdtemp(dir=place)), "--no-report"),
            THEIRS: lambda seed: _theirs(plan, epochs, seed),
        }
        told: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
        for number in range(rounds + 1):
            for name, run in contenders.items():
                if number or name not in (COLD, COLD_BARE):  # the first warms up and is thrown away
                    report = run(SEEDS[number % len(SEEDS)])
                    told[name] += [report] if number else []
    yield from _rows(told, epochs, plan)


def _ours(plan: Plan, epochs: int, seed: int, cache: pathlib.Path, *more: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        settings = ["--model", MODEL, "--data", "mnist", "--data-dir", str(plan.mnist), "--json"]
        settings += ["--epochs", str(epochs), "--seed", str(seed), "--out", f"{folder}/run", *more]
        return _told([sys.executable, "-m", "plaingrad", "train", *settings], {"PLAINGRAD_CACHE_DIR": str(cache)})


def _theirs(plan: Plan, epochs: int, seed: int) -> dict[str, Any]:
    recipe, told = model(MODEL).recipe, {"data-dir": plan.mnist, "threads": processors(), "epochs": epochs}
    told |= {"seed": seed, "batch": recipe.batch}
    for record, names in (
        (recipe.optimiser, ("rate", "momentum", "decay")),
        (recipe.schedule, ("warmup", "first", "last")),
    ):
        told |= {name: getattr(record, name) for name in names}
    options = [text for name, value in told.items() for text in (f"--{name}", str(value))]
    return _told([sys.executable, str(HERE / "peer_mnist.py"), *options], {})


def _told(command: list[str], more: dict[str, str]) -> dict[str, Any]:
    """What a command says in its last line of JSON, with the seconds and bytes it took."""
    launch = [sys.executable, str(HERE / "launch.py"), *command]
    done = subprocess.run(launch, capture_output=True, text=True, env=os.environ | more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    *_, said, used = done.stdout.splitlines()
    report: dict[str, Any] = json.loads(said) | json.loads(used)
    return report


def _rows(told: dict[str, list[dict[str, Any]]], epochs: int, plan: Plan) -> Iterator[Row]:
    recipe, threads = model(MODEL).recipe, processors()
    images = epochs * told[THEIRS][0]["images"]
    flops = step_flops(model(MODEL).network(), images)
    for name, work in WORKS.items():
        figures = {OURS: [each["seconds"] for each in told[name]], THEIRS: [each["seconds"] for each in told[THEIRS]]}
        ours, peer = (statistics.median(each["bytes"] for each in told[one]) for one in (name, THEIRS))
        more = {
            "epochs": epochs,
            "asked_accuracy": ASKED,
            "ours_accuracy": [each["test_accuracy"] for each in told[name]],
            "peers_accuracy": {THEIRS: [each["test_accuracy"] for each in told[THEIRS]]},
            "ours_bytes": ours,
            "peers_bytes": {THEIRS: peer},
            "bytes_ratio": peer / ours,
        }
        yield row(work, recipe.batch, threads, figures, flops, plan.peak, **more)
    cold, warm = ([each["seconds"] for each in told[name]] for name in (COLD, OURS))
    reported = [each["compile_seconds"] for each in told[COLD]]
    yield {
        "work": "first compilation",
        "ours_seconds": statistics.median(cold) - statistics.median(warm),
        "reported_seconds": statistics.median(reported),
        "reported_spread": spread(reported),
    }
