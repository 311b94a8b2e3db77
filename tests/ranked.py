"""Programs begun several times by a launcher of MPI, and what the tests of it train."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.training.ranks import OneRank

BESIDE = pathlib.Path(sys.executable).parent
LAUNCHER = shutil.which("mpirun", path=str(BESIDE)) or shutil.which("mpirun")
# Open MPI starts more ranks than there are processors, and by root, only where it is told to.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(pathlib.Path(pg.__file__).parents[1]), str(pathlib.Path(__file__).parent)]),
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
PATIENCE = 240  # seconds after which a job counts as hanging
RANK = "import os, sys; rank = int(os.environ.get('PMI_RANK', os.environ.get('OMPI_COMM_WORLD_RANK', 0)))\n"
COMMAND = "from plaingrad.cli.main import main; main({words})\n"


def require_launcher():
    """Skip where mpi4py or the launcher is missing."""
    pytest.importorskip("mpi4py", reason="mpi4py is an extra: make test-mpi")
    if LAUNCHER is None:
        pytest.skip("no mpirun: make test-mpi")


def begin(ranks, code, place):
    """A job of so many ranks that each run this Python code in this folder."""
    words = [LAUNCHER, "-n", str(ranks), sys.executable, "-c", RANK + code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=place, env=ENVIRONMENT, **pipes)


def ended(job):
    """A job's exit code and what it wrote to stderr; it fails the test where it hangs."""
    try:
        return job.wait(PATIENCE), job.stderr.read()
    finally:
        with contextlib.suppress(ProcessLookupError):
            job.kill()
        for pipe in (job.stdout, job.stderr):
            pipe.close()


def run(ranks, code, place):
    """As `begin`, until it has ended."""
    return ended(begin(ranks, code, place))


def command(*words):
    """The code that runs the command line."""
    return COMMAND.format(words=list(words))


def digest(net):
    return hashlib.sha256(net.parameters.tobytes() + net.state.tobytes()).hexdigest()


def lenet5():
    return pg.model("lenet5").network(), {}


def mixed():
    """Batch normalisation, dropout and augmentation: all that knows of shards, steps and images."""
    net = pg.Network(
        pg.Conv(4, size=3), pg.BatchNorm(), pg.ReLU(), pg.MaxPool(2), pg.Conv(6, size=2), pg.BatchNorm(), pg.ReLU(),
        pg.Flatten(), pg.Dropout(0.3), pg.Dense(10), input=(1, 8, 8), seed=1,
    )  # fmt: skip
    return net, {"augment": "shift=1,flip"}


# Shards of 32 images: seven of the first batch, and fewer of the last one.
TRAININGS = [
    (lenet5, {"optimiser": pg.SGD()}),
    (lenet5, {"optimiser": pg.Adam(), "clip": 1.0}),
    (mixed, {"optimiser": pg.SGD(), "average": 0.9}),
    (mixed, {"optimiser": pg.Adam()}),
]


def trained(build, settings, threads=1, ranks=None):
    """What a training of two epochs ends with: all that is trained, and its history without times."""
    net, more = build()
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (440, *net.input), dtype=np.uint8), rng.integers(0, 10, 440)
    more |= {"epochs": 2, "batch": 200, "validation": 0.2, "threads": threads, "ranks": ranks}
    history = pg.train(net, images, labels, **settings, **more)
    timeless = [{name: value for name, value in entry.items() if "second" not in name} for entry in history]
    return [digest(net), timeless]


def everything(threads, ranks=None):
    """What all trainings end with, as JSON."""
    return json.dumps([trained(*each, threads, ranks) for each in TRAININGS])


def alone():
    return everything(1, OneRank())
