"""Whether a launcher of several processes started this one, and the ranks that it is one of then."""

import os
import sys
import time
from dataclasses import dataclass

from plaingrad.errors import MissingError, SettingError
from plaingrad.training.ranks import OneRank

# How Open MPI, MPICH and Intel MPI, MVAPICH, Slurm's srun, torchrun and PMIx tell how many processes they started.
LAUNCHED = (
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "SLURM_STEP_NUM_TASKS",
    "WORLD_SIZE",
    "PMIX_RANK",
)
# And which of them this is, by the same launchers.
RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID", "RANK", "PMIX_RANK")
SILENCE = 2.0  # seconds in which the first process has said why none of them can train
STARTED: list[OneRank] = []  # in this process


@dataclass(frozen=True)
class Launch:
    """What a launcher told: in which variable, its value, the number of this process, and whether there are several."""

    name: str
    value: str
    rank: int
    are_several: bool

    @property
    def speaks(self) -> bool:
        """Whether this process says why none can train: the first that knows that there are several."""
        return self.rank == (1 if self.name.endswith("RANK") else 0)


def launch() -> Launch | None:
    """What told that there may be several processes; None where nothing did."""
    for name, number in zip(LAUNCHED, RANKS, strict=True):
        told, own = os.environ.get(name, ""), os.environ.get(number, "")
        rank = int(own) if own.isdecimal() else 0
        if name.endswith("RANK") and told.isdecimal():  # of ranks, counted from 0, the first may be the only one
            return Launch(name, told, rank, rank > 0)
        if told.isdecimal() and int(told) > 1:
            return Launch(name, told, rank, True)
    return None


def current() -> OneRank:
    """The ranks that this process has become one of so far."""
    return STARTED[0] if STARTED else OneRank()


def start() -> OneRank:
    """The ranks that this process is one of: those that a launcher started through MPI, or this one alone.

    MissingError or SettingError where a launcher started several that cannot speak with each other.
    """
    told = None if STARTED else launch()
    if told is None:
        return current()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        if not told.are_several:
            return OneRank()
        if not isinstance(error, ModuleNotFoundError) or "mpi4py" not in str(error):
            raise _refusal(told, f"mpi4py finds no MPI library ({error}): pip install mpich, say") from None
        raise _refusal(told, str(MissingError("sharing the work", "mpi4py", "mpi"))) from None
    size = MPI.COMM_WORLD.Get_size()
    if size == 1:
        if told.are_several:
            library = MPI.Get_library_version().split("\n")[0].strip(" \0")
            raise _refusal(told, f"mpi4py uses another MPI ({library}), which sees one process: take its own mpirun")
        return OneRank()
    from plaingrad.training.mpi import MpiRanks

    STARTED.append(MpiRanks(MPI))
    return STARTED[0]


def _refusal(told: Launch, reason: str) -> SettingError:
    """One line, said by one process; the others end in silence."""
    if not told.speaks:
        time.sleep(SILENCE)
        sys.exit(2)
    return SettingError(
        f"training was started several times at once ({told.name}={told.value}), and each would train the same "
        f"network: {reason}. Or start it once, with threads for more processors; unset {told.name} where each is a "
        "run of its own"
    )
