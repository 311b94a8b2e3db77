"""What is shown on a terminal: every command says what it says through here.

So nothing in a name from a file is a command to the terminal, nor a line of its own.
"""

import sys

from plaingrad.errors import visible


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print lines of ours on stdout, or on stderr."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # closed by who started this: nobody to say it to
        print("\n".join(map(visible, text.split("\n"))), file=stream, end=end, flush=True)
