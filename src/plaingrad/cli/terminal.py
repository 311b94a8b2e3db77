"""What is shown on a terminal: every command says what it says through here.

So nothing in a name from a file is a command to the terminal, nor a line of its own.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator

from plaingrad.errors import visible

WAITED = 1.0  # seconds of silence after which one asks oneself whether anything goes on


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print lines of ours on stdout, or on stderr."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # closed by who started this: nobody to say it to
        print("\n".join(map(visible, text.split("\n"))), file=stream, end=end, flush=True)


def begin(timer: threading.Timer) -> None:
    """Start a timer that only says something; where no thread can be started, as in a browser, nothing is said."""
    with contextlib.suppress(RuntimeError):
        timer.start()


@contextlib.contextmanager
def patience(text: str, after: float = WAITED) -> Iterator[None]:
    """Say on a terminal's stderr what takes so long, once `after` seconds have passed in silence."""
    timer = threading.Timer(after, say, [text], {"err": True})
    timer.daemon = True  # nobody waits for it
    if sys.stderr is not None and sys.stderr.isatty():
        begin(timer)
    try:
        yield
    finally:
        timer.cancel()
