"""What every test may count on, and which of them are tried on every change."""

import itertools
import signal

import pytest


def pytest_configure() -> None:
    """Ctrl-C can be sent even where the shell that began the tests ignores it, as for work in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the cases of a test marked `often(count)` so many stay, spread over all of them; the others become `long`."""
    for _, every in itertools.groupby(items, lambda item: item.nodeid.partition("[")[0]):
        cases = [each for each in every if not any(each.iter_markers("long"))]
        marker = cases and cases[0].get_closest_marker("often")
        if not marker:
            continue
        (count,) = marker.args
        kept = {place * len(cases) // count for place in range(count)}
        for place, case in enumerate(cases):
            if place not in kept:
                case.add_marker(pytest.mark.long)
