"""All that a program started, also what left its session: found, and ended.

On Linux this process adopts what a program leaves behind, and sees it in /proc; elsewhere its process group is ended.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

ADOPT = 36  # PR_SET_CHILD_SUBREAPER of prctl
SECONDS_TO_DIE = 5.0  # for processes that were killed; more only if the system itself is stuck


@contextlib.contextmanager
def adopting() -> Iterator[set[int]]:
    """Within it what children leave behind becomes a child of this process. Gives the children there were before."""
    before = {process for process, parent in _parents().items() if parent == os.getpid()}
    _adopt(True)
    try:
        yield before
    finally:
        _adopt(False)


def _adopt(on: bool) -> None:
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).prctl(ADOPT, int(on), 0, 0, 0)


def end_all(leader: "subprocess.Popen[bytes]", before: set[int]) -> None:
    """Kill a program with all it started; every child of this process that was not there before is taken for its."""
    until = time.monotonic() + SECONDS_TO_DIE
    if leader.returncode is None:
        with contextlib.suppress(OSError):  # while it is not waited for, its group is surely its own
            os.killpg(leader.pid, signal.SIGKILL) if os.name == "posix" else leader.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            leader.wait(SECONDS_TO_DIE)
    while (left := _left_behind(before)) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        for process in left:
            with contextlib.suppress(OSError):  # a grandchild, until its parent is gone
                os.waitpid(process, os.WNOHANG)
        time.sleep(0.002)


def _left_behind(before: set[int]) -> set[int]:
    """The children of this process that were not there before, and theirs."""
    parents, own = _parents(), os.getpid()
    found = {process for process, parent in parents.items() if parent == own and process not in before}
    more = found
    while more:
        more = {process for process, parent in parents.items() if parent in more} - found
        found = found | more
    return found


def _parents() -> dict[int, int]:
    """The parent of each process; nothing where there is no /proc as Linux has it."""
    parents = {}
    for place in pathlib.Path("/proc").glob("[0-9]*/stat") if sys.platform == "linux" else ():
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            parents[int(place.parent.name)] = int(place.read_text(errors="replace").rpartition(")")[2].split()[1])
    return parents
