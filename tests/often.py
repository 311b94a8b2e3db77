"""How much of a law is tried on every change, and how much only by `make test-long`."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def counts(few: int, many: int) -> Any:
    """The argument `count`: few trials on every change, many of them in the long tests."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.long)])


def some(cases: Iterable[Any], often: Callable[[int], bool], name: Callable[[Any], str] | None = None) -> list[Any]:
    """All cases, of which only those at the places that are `often` are tried on every change."""
    return [
        pytest.param(
            *(each if isinstance(each, tuple) else (each,)),
            marks=[] if often(place) else pytest.mark.long,
            id=name(each) if name else None,
        )
        for place, each in enumerate(cases)
    ]
