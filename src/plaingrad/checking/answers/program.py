"""Asking a program: a case on its stdin, the answer on its stdout, whatever else it does."""

import contextlib
import errno
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO

from plaingrad.checking.answers.answer import Answer, parse_answer
from plaingrad.checking.answers.descendants import adopting, end_all
from plaingrad.checking.answers.nested import BYTES_LIMIT, one_line
from plaingrad.errors import AnswerError

TAIL = 1 << 16  # bytes of stderr that are kept: its last lines tell what happened
TOLD = 600  # characters of them in a message


def ask(command: str, case_text: str, seconds: float = 60) -> tuple[Answer, float]:
    """Run a program on a case: the case on its stdin, the answer on its stdout. Its answer, and the seconds it took.

    The command is split as a shell does, but no shell runs it. It runs as this user, and can do all that this user can.
    After `seconds` it is killed, and with its end all that it started. AnswerError, in one line, where it cannot be
    started, fails, hangs, or prints no answer.
    """
    who = f"`{one_line(command, 80)}`"
    began = time.monotonic()
    process = talk = None
    with adopting() as before:
        try:
            with signals_postponed():  # else a program might be running that nobody knows of
                process = _started(command, who)
                talk = _Talk(process, case_text.encode())
            code = talk.ended(began + seconds)
            took = time.monotonic() - began
        finally:
            if process is not None:
                end_all(process, before)
            if talk is not None:
                talk.close()
    if talk.too_much:
        raise AnswerError(f"{who} printed more than {BYTES_LIMIT // 2**20} MiB and was stopped; print the answer once")
    if code is None:
        raise AnswerError(
            f"{who} was still running after {seconds:g} s and was stopped{talk.printed()}{talk.said()}; "
            "does it read all of its stdin, print the answer, flush it and end?"
        )
    if code:
        raise AnswerError(f"{who} ended with {_in_words(code)}{talk.said(talk.output)}")
    if not talk.output.strip():
        raise AnswerError(f"{who} printed nothing; the answer is read from its stdout{talk.said()}")
    try:
        return parse_answer(bytes(talk.output), f"what {who} printed"), took
    except AnswerError as error:
        raise AnswerError(f"{error}{talk.said()}") from None


@contextlib.contextmanager
def signals_postponed() -> Iterator[None]:
    """Within it Ctrl-C and a request to end are noted, and heeded at its end."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
        yield
        return
    noted: list[tuple[int, FrameType | None]] = []
    handlers = ((each, signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM))
    before = {each: handler for each, handler in handlers if callable(handler)}
    for each in before:
        signal.signal(each, lambda *given: noted.append(given))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number, frame in noted[:1]:
            before[signal.Signals(number)](number, frame)


class _Talk:
    """What goes to a program and what comes back; each stream has a thread, so that no side waits for the other."""

    def __init__(self, process: subprocess.Popen[bytes], case: bytes) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.process, self.case = process, case
        self.output, self.errors, self.too_much = bytearray(), bytearray(), False
        self.streams: tuple[IO[bytes], ...] = (process.stdin, process.stdout, process.stderr)
        targets = (self._write, self._read, self._listen)
        self.threads = [
            threading.Thread(target=target, args=(stream,), daemon=True)
            for target, stream in zip(targets, self.streams, strict=True)
        ]
        for thread in self.threads:
            thread.start()

    def _write(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError):  # a program need not read the case
            stream.write(self.case)
        with contextlib.suppress(OSError):
            stream.close()

    def _read(self, stream: IO[bytes]) -> None:
        while chunk := os.read(stream.fileno(), 1 << 16):
            self.output += chunk
            if len(self.output) > BYTES_LIMIT:
                self.too_much = True
                return

    def _listen(self, stream: IO[bytes]) -> None:
        while chunk := os.read(stream.fileno(), 1 << 16):
            self.errors = (self.errors + chunk)[-TAIL:]

    def ended(self, until: float) -> int | None:
        """The exit code once stdout is at its end and the program too; None if there is none by then.

        The program is not waited for, as far as the system lets one look at it only, so that its process group is
        surely its own when it is ended.
        """
        reader = self.threads[1]
        reader.join(_left(until))
        if reader.is_alive() or self.too_much:
            return None
        while not (seen := _seen_to_end(self.process)) and time.monotonic() < until:
            time.sleep(0.002)
        if not seen:
            return None
        if os.name == "posix":
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def close(self) -> None:
        """Hear the streams out and close them, but for those that something still running holds open."""
        until = time.monotonic() + 1.0
        for thread, stream in zip(self.threads, self.streams, strict=True):
            thread.join(_left(until))
            if not thread.is_alive():
                with contextlib.suppress(OSError):
                    stream.close()

    def printed(self) -> str:
        """How much came, of a program that did not end."""
        return f", having printed {len(self.output):,} bytes" if self.output else ", having printed nothing"

    def said(self, instead: bytes | bytearray = b"") -> str:
        """The last lines of stderr; if there are none, of what may stand instead."""
        words, where = (self.errors, "stderr") if self.errors.strip() else (instead, "stdout")
        lines = [line.strip() for line in bytes(words[-TAIL:]).decode(errors="replace").splitlines() if line.strip()]
        told = one_line(" | ".join(lines[-12:]), 4 * TOLD)
        return f"; the last on its {where}: {'…' * (len(told) > TOLD)}{told[-TOLD:]}" if told else ""


def _seen_to_end(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended, which is left to be waited for where the system can."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def _left(until: float) -> float:
    return min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)


def _started(command: str, who: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        words = shlex.split(command) if os.name == "posix" else command
    except ValueError as error:
        raise AnswerError(f"{who} cannot be split into words: {str(error).lower()}") from None
    if not command.strip():
        raise AnswerError('no command to run; give one such as "java Main"')
    first = words[0] if isinstance(words, list) else command.split()[0]
    try:
        return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except FileNotFoundError:
        raise AnswerError(f"{who} cannot be run: {_missing(first)}") from None
    except (OSError, ValueError) as error:
        raise AnswerError(f"{who} cannot be run: {_not_run(first, error)}") from None


def _missing(first: str) -> str:
    """Why there is no such program."""
    name = one_line(first, 60)
    if not Path(first).is_file():
        return f"there is no program {name}; is it installed, and the name right?"
    if os.sep in first:
        return f"{name} is there, but the program its first line (#!) names is not"
    if os.access(first, os.X_OK):
        return f"there is no program {name}, but a file here: write ./{name}"
    return f"{name} is a file without execute permission: name the program that runs it, such as python {name}"


def _not_run(first: str, error: OSError | ValueError) -> str:
    """Why a program that is there does not run."""
    name = one_line(first, 60)
    if isinstance(error, PermissionError) and os.path.isfile(first):
        return f"{name} is a file without execute permission: chmod +x {name}, or name the program that runs it"
    if os.path.isdir(first):
        return f"{name} is a folder"
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        return f"{name} is neither machine code nor a script that begins with #!; name the program that runs it"
    return one_line(f"{error.strerror or error}" if isinstance(error, OSError) else str(error), 200)


def _in_words(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    try:
        return f"the signal {signal.Signals(-code).name}"
    except ValueError:
        return f"the signal {-code}"
