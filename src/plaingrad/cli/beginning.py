"""The first moments of the command, while Python still imports it: Ctrl-C then ends it in one line.

`import plaingrad` in somebody's program changes nothing.
"""

import os  # no more than is loaded already, or soon: each import is a moment in which Ctrl-C shows a traceback
import signal
import sys


def _leave(number: int, frame: object) -> None:
    os.write(2, b"plaingrad: stopped\n")
    os._exit(128 + number)  # nothing was begun that would have to be ended


def is_the_command() -> bool:
    """Whether this process was started as `plaingrad` or as `python -m plaingrad`."""
    words = sys.orig_argv[1:]
    as_module = any(words[place : place + 2] == ["-m", "plaingrad"] for place in range(len(words)))
    return as_module or os.path.splitext(os.path.basename(sys.argv[0] if sys.argv else ""))[0] == "plaingrad"


class TerminatedError(BaseException):
    """This process was asked to end: what it has begun is ended on the way out."""


def _terminate(number: int, frame: object) -> None:
    raise TerminatedError


def take_over() -> None:
    """From here on Ctrl-C is an exception again, and SIGTERM is one too."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)


if is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    try:  # noqa: SIM105 (contextlib is one more import)
        signal.signal(signal.SIGINT, _leave)
    except ValueError:  # not in the main thread, which alone is told of signals
        pass
