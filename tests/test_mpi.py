"""Training through MPI: the bits of one process for any number of ranks and threads, and one message when it ends."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.training.run_folder import BEST, CHECKPOINT
from ranked import COMMAND, alone, begin, command, digest, ended, require_launcher, run

pytestmark = pytest.mark.usefixtures("launcher")

EVERYTHING = "from ranked import everything; told = everything({threads}); open(f'told-{{rank}}', 'w').write(told)\n"
PID = "open(f'.pid-{rank}', 'w').write(str(os.getpid())); os.rename(f'.pid-{rank}', f'pid-{rank}')\n"
IDLE = "have nothing to do"
LONG = ("train", "--out", "run", "--epochs", "12", "--batch", "256", "--no-report", "--validation", "0.2")
FIRST_STEP = """
from plaingrad.training.trainer import Trainer
told = Trainer._tell
def tell(self, kind, entry=None):
    told(self, kind, entry)
    if kind == 'epoch' and self.position.step == self.per_epoch: open(f'begun-{rank}', 'w')
Trainer._tell = tell
"""


@pytest.fixture(scope="module")
def launcher():
    require_launcher()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, launcher):
    """What one process ends with."""
    place = tmp_path_factory.mktemp("one")
    code, told = run(1, command(*LONG), place)
    assert code == 0, told
    return weights(place)


def weights(place):
    """Digests of the weights that a run ends with and of the best ones; both files are whole."""
    return [digest(pg.checkpoint.load(place / "run" / name)[0]) for name in (CHECKPOINT, BEST)]


def wait_for(path, job):
    while not path.exists():
        assert job.poll() is None, job.stderr.read()
        time.sleep(0.01)


def said(told):
    """What plaingrad said of its end, without its progress, who idles, and what the launcher adds."""
    return [line for line in told.splitlines() if line.startswith("plaingrad") and IDLE not in line]


def compare(place, ranks, threads):
    code, told = run(ranks, EVERYTHING.format(threads=threads), place)
    assert code == 0, told
    wanted = alone()
    assert wanted.count("train_loss") == 8
    for rank in range(ranks):
        assert (place / f"told-{rank}").read_text() == wanted


@pytest.mark.filterwarnings("ignore")  # the weights of two epochs on noise
def test_two_ranks_end_with_the_bits_of_one_process(tmp_path):
    compare(tmp_path, 2, 1)


@pytest.mark.mpi
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_ranks_and_threads_ends_with_the_same_bits(tmp_path, ranks, threads):
    compare(tmp_path, ranks, threads)


def killed_and_resumed(place, wanted, number):
    """One rank is killed at some moment of a training; it goes on with another number of ranks."""
    rng = np.random.default_rng(number)
    ranks = int(rng.choice([2, 4]))
    others = [each for each in (1, 2, 4) if each != ranks]
    job = begin(ranks, PID + FIRST_STEP + command(*LONG), place)
    victim = place / f"pid-{rng.integers(ranks)}"
    wait_for(victim, job)
    if number % 2:  # every other time in the middle, otherwise anywhere
        wait_for(place / "begun-0", job)
    time.sleep(rng.uniform(0, 1.5))
    with contextlib.suppress(ProcessLookupError):  # it was faster
        os.kill(int(victim.read_text()), signal.SIGKILL)
    ended(job)
    begun = (place / "run" / CHECKPOINT).exists()
    if begun:
        pg.checkpoint.load(place / "run" / CHECKPOINT)
    again = ["train", "--resume", "run", "--no-report"] if begun else LONG
    code, told = run(int(rng.choice(others)), command(*again), place)
    assert code == 0, told
    assert weights(place) == wanted


@pytest.mark.mpi
@pytest.mark.parametrize("number", [1, 2])
def test_after_a_kill_another_number_of_ranks_ends_with_the_same_bits(tmp_path, uninterrupted, number):
    killed_and_resumed(tmp_path, uninterrupted, number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(3, 23))
def test_after_any_kill_another_number_of_ranks_ends_with_the_same_bits(tmp_path, uninterrupted, number):
    killed_and_resumed(tmp_path, uninterrupted, number)


@pytest.mark.mpi
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_all_after_the_same_step(tmp_path, uninterrupted, rank):
    job = begin(2, PID + FIRST_STEP + command(*LONG), tmp_path)
    wait_for(tmp_path / "begun-0", job)
    os.kill(int((tmp_path / f"pid-{rank}").read_text()), signal.SIGINT)
    code, told = ended(job)
    assert code == 128 + signal.SIGINT, told
    assert len(said(told)) == 1, told
    assert "stopped after step" in told
    code, told = run(1, command("train", "--resume", "run", "--no-report"), tmp_path)
    assert code == 0, told
    assert weights(tmp_path) == uninterrupted


SHORT = ["train", "--epochs", "1", "--out", "run", "--no-report"]
# Code before the command, its words, what is said.
FAILURES = {
    "no number": ("", ["train", "--epochs", "abc"], "not a valid integer"),
    "no such data": ("", ["train", "--data", "nowhere"], "no data named 'nowhere'"),
    "no such run": ("", ["train", "--resume", "nowhere"], "no run folder nowhere"),
    "taken": ("open('taken', 'w').close()\n", ["train", "--out", "taken"], "exists already"),
    "unfit": ("", ["train", "--model", "lenet5"], "name others with --data"),
    "too high a rate": ("", ["train", "--rate", "1e30", "--no-report"], "diverged at step"),
    "one without its data": ("if rank: words += ['--data', 'nowhere']\n", SHORT, "no data named 'nowhere'"),
    "first without its data": ("if not rank: words += ['--data', 'nowhere']\n", SHORT, "no data named 'nowhere'"),
    "another seed": ("if rank: words += ['--seed', '1']\n", SHORT, "seed is 1 instead of 0"),
    "another rate": ("if rank: words += ['--rate', '0.25']\n", SHORT, "the rate of optimiser is 0.25 instead of 0.05"),
    "another optimiser": (
        "if rank: words += ['--optimiser', 'adam']\n",
        SHORT,
        "kind of optimiser is Adam instead of SGD",
    ),
    "other images": ("if rank: words += ['--validation', '0.5']\n", SHORT, "train images"),
    "another version": ("import plaingrad\nif rank: plaingrad.__version__ = '9'\n", SHORT, "plaingrad is 9 instead"),
    "full disk": (
        "from plaingrad.training import checkpoint\nfrom plaingrad.errors import CheckpointError\n"
        "def save(*_, **__): raise CheckpointError('the disk is full')\n"
        "if not rank: checkpoint.save = save\n",
        SHORT,
        "the disk is full",
    ),
    "no memory": (
        "from plaingrad.training.updates import Updates\ndef call(*_): raise MemoryError('so many bytes')\n"
        "if rank: Updates.__call__ = call\n",
        SHORT,
        "so many bytes",
    ),
    "weights that drift apart": (
        "from plaingrad.training.trainer import Trainer\nends = Trainer._end_of_epoch\n"
        "def end(self, *given):\n    self.net.parameters[0] += rank\n    ends(self, *given)\n"
        "Trainer._end_of_epoch = end\n",
        SHORT,
        "weights after epoch 1",
    ),
}


@pytest.mark.mpi
@pytest.mark.parametrize(("name", "ranks"), [(name, 2 + place % 2) for place, name in enumerate(FAILURES)])
def test_what_goes_wrong_ends_all_ranks_with_one_message(tmp_path, name, ranks):
    before, words, why = FAILURES[name]
    code, told = run(ranks, f"words = {words}\n" + before + COMMAND.format(words="words"), tmp_path)
    assert code not in (0, None), told
    assert len(said(told)) == 1, told
    assert why in said(told)[0]
    assert "Traceback" not in told


SCRIPT = """
import plaingrad as pg
net, data = pg.model("digits").network(), pg.digits().train
"""
TRAIN = "pg.train(net, data, epochs=1)\n"
# A script's code, what is said; each trains with all ranks or says why not.
SCRIPTS = {
    "an error of its own": ("def watch(event): raise KeyError('mine')\npg.train(net, data, watch=watch)\n", "mine"),
    "an error before": ("pg.train(net, data, epochs=0)\n", "epochs=0"),
    "an error after": (TRAIN + "raise KeyError('mine')\n", "mine"),
    "an error after on one": (TRAIN + "if rank: raise KeyError('mine')\n" + TRAIN, "mine"),
    "one that leaves": (TRAIN + "if rank: sys.exit()\n" + TRAIN, "rank 1 of 2 ended before the training"),
    "a network of its own": ("net.parameters[0] += rank\n" + TRAIN, "digest of the weights"),
    "an offset of its own": ("net.offset[0] += rank\n" + TRAIN, "digest of the weights"),
    "augmentation of its own": (
        "pg.train(net, data, epochs=1, augment='flip' if rank else None)\n",
        "augment is Augment instead of None",
    ),
    "no augmentation of its own": (
        "pg.train(net, data, epochs=1, augment=None if rank else 'flip')\n",
        "augment is None instead of",
    ),
}


@pytest.mark.mpi
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_with_one_traceback(tmp_path, name):
    code, why = SCRIPTS[name]
    code, told = run(2, SCRIPT + code, tmp_path)
    assert code not in (0, None), told
    assert told.count("Traceback") == 1, told
    assert why in told


@pytest.mark.mpi
def test_the_first_rank_alone_writes_and_shows(tmp_path):
    code, told = run(3, command(*SHORT), tmp_path)
    assert code == 0, told
    assert told.count("epoch 1/1") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert [line for line in told.splitlines() if IDLE in line] == [
        "plaingrad: 1 of 3 ranks have nothing to do: batch=64 is 2 shards; batch=128 has one for each"
    ]


@pytest.mark.mpi
def test_ranks_of_one_machine_share_its_processors(tmp_path):
    code = "from plaingrad.training.launched import start; open(f'threads-{rank}', 'w').write(str(start().threads()))"
    assert run(2, code, tmp_path)[0] == 0
    told = [int((tmp_path / f"threads-{rank}").read_text()) for rank in range(2)]
    assert max(told) <= max(1, os.cpu_count() // 2)
    assert min(told) >= 1


@pytest.mark.mpi
def test_an_mpi_that_did_not_start_the_processes_is_told(tmp_path):
    code = "os.environ['MV2_COMM_WORLD_SIZE'] = '2'\n"
    code, told = run(1, code + command("train"), tmp_path)
    assert code == 2
    assert "which sees one process" in told
    assert told.count("\n") == 1


@pytest.mark.mpi
def test_one_rank_may_train_a_network_of_its_own(tmp_path):
    code = "from plaingrad.training.ranks import OneRank\n"
    code += "if rank: pg.train(net, data, epochs=1, ranks=OneRank())\n"
    assert run(2, SCRIPT + code + TRAIN.replace("net", "pg.model('digits').network()"), tmp_path)[0] == 0
