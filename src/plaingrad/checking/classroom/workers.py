"""Many answers checked at once: processes that are given one answer at a time, and ended when it takes too long."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import plaingrad
from plaingrad.checking.answers.nested import one_line
from plaingrad.checking.case import Case
from plaingrad.checking.classroom.gathering import Given
from plaingrad.checking.classroom.row import ClassRow
from plaingrad.checking.classroom.worker import READY

SECONDS_TO_START, SECONDS_TO_END = 120.0, 5.0
PATIENCE = 0.2  # seconds between looks whether Ctrl-C was pressed, where waiting does not hear of it
# The same modules as here, and none that lies in the folder of the answers.
START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from plaingrad.checking.classroom.worker import main; main()"
)
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
Seen = Callable[[ClassRow], object]


class Worker:
    """A process that checks answers, and what is said to it."""

    def __init__(self, case_text: str, hint: str, seconds: float) -> None:
        self.seconds, self.is_late = seconds, False
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is this process's to answer
            env=os.environ | dict.fromkeys(ONE_THREAD, "1"),
            text=True,
            encoding="ascii",
        )
        self._first = [
            [str(Path(plaingrad.__file__).parents[1]), *(each for each in sys.path if each)],
            {"case": case_text, "hint": hint, "seconds": seconds},
        ]

    def asked(self, path: str) -> dict[str, Any]:
        """What is told of the answer at a path; whatever becomes of the process, a problem in one line."""
        if self._first:
            if self._answered(self._first, SECONDS_TO_START) != READY:
                return {"problem": f"no process could be started to check it: {self._end(SECONDS_TO_START)}"}
            self._first = []
        told = self._answered([path], self.seconds)
        try:
            found: dict[str, Any] = json.loads(told)
        except ValueError:
            return {"problem": f"checking it was ended: {self._end(self.seconds)}"}
        return found

    def _answered(self, lines: Sequence[Any], seconds: float) -> str:
        """The next line of the process; nothing if it ends before, or is ended for its time."""
        assert self.process.stdin
        assert self.process.stdout
        told, over = "", threading.Lock()

        def expire() -> None:
            with over:
                if not timer.finished.is_set():  # by `cancel`: the answer came at the last moment
                    self.is_late = True
                    self.kill()

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        with contextlib.suppress(OSError, ValueError):  # it has ended
            for line in lines:
                self.process.stdin.write(json.dumps(line) + "\n")
            self.process.stdin.flush()
            told = self.process.stdout.readline().strip()
        with over:
            timer.cancel()
        return told

    def _end(self, seconds: float) -> str:
        """How the process ended, in words; it is ended if it has not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS_TO_END)  # it has closed its stdout, as one that ends does
        self.kill()
        code = self.process.wait()
        if self.is_late:
            return f"it took longer than {seconds:g} s"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return f"its process was ended by {name}{'; is there enough memory?' if name == 'SIGKILL' else ''}"
        return f"its process ended with exit code {code}"

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked again."""
        return not self.is_late and self.process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()

    def close(self) -> None:
        """End it, and let go of all that belongs to it."""
        self.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what was still to be written to it
                if stream:
                    stream.close()


class Crew:
    """Several such processes, each with a thread that gives it answers."""

    def __init__(self, case: Case, answers: Sequence[Given], jobs: int, seconds: float, hint: str) -> None:
        self._told = case.text(), hint, seconds
        self._left: queue.SimpleQueue[Given] = queue.SimpleQueue()
        self._rows: queue.SimpleQueue[ClassRow] = queue.SimpleQueue()
        self._workers, self._lock, self._stopped = list[Worker](), threading.Lock(), False
        self._count = len(answers)
        for each in answers:
            self._left.put(each)
        threads = min(jobs, self._count)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def run(self, seen: Seen) -> None:
        """Check all, and hand over each row as it comes. However it is left, no process is left behind."""
        try:
            for thread in self._threads:
                thread.start()
            for _ in range(self._count):
                seen(self._next())
        finally:
            with self._lock:
                self._stopped = True
                for worker in self._workers:
                    worker.kill()
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join()

    def _next(self) -> ClassRow:
        while True:
            try:
                return self._rows.get(timeout=PATIENCE)
            except queue.Empty:
                continue

    def _work(self) -> None:
        worker: Worker | None = None
        while not self._stopped:
            try:
                given = self._left.get_nowait()
            except queue.Empty:
                break
            row = ClassRow(given.who, given.path, problem=given.problem)
            try:
                if not given.problem:
                    worker = self._ready(worker)
                    row = replace(row, **worker.asked(given.path))
            except Exception as error:  # a row that never comes would be waited for
                row = replace(row, problem=f"it could not be checked: {one_line(str(error), 200)}")
            self._rows.put(row)
        if worker is not None:
            worker.close()

    def _ready(self, worker: Worker | None) -> Worker:
        """A process that can be asked: the one at hand, or a new one. InterruptedError once all is to end."""
        if worker is not None and worker.is_alive:
            return worker
        if worker is not None:
            worker.close()
        with self._lock:  # or one might be started after all were ended
            if self._stopped:
                raise InterruptedError("stopped")
            worker = Worker(*self._told)
            self._workers = [*(each for each in self._workers if each.is_alive), worker]
            return worker
