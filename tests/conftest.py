"""What every test may count on."""

import signal


def pytest_configure() -> None:
    """Ctrl-C can be sent even where the shell that began the tests ignores it, as for work in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
