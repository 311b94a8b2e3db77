"""How much of a law is tried on every change, and how much only by `make test-long`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest


def counts(few: int, many: int, rarely: Any = pytest.mark.long) -> Any:
    """The argument `count`: few trials on every change, many of them in the tests that are marked `rarely`."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=rarely)])


def some(
    cases: Iterable[Any],
    often: Callable[[int], bool],
    name: Callable[[Any], str] | None = None,
    rarely: Any = pytest.mark.long,
) -> list[Any]:
    """All cases, of which only those at the places that are `often` are tried on every change, others `rarely`."""
    return [
        pytest.param(
            *(each if isinstance(each, tuple) else (each,)),
            marks=[] if often(place) else rarely,
            id=name(each) if name else None,
        )
        for place, each in enumerate(cases)
    ]


def is_first(cases: Sequence[tuple[Any, ...]], place: int) -> bool:
    """Whether none of the cases before one begins as it does: of each kind one is then tried on every change."""
    return all(each[0] != cases[place][0] for each in cases[:place])
