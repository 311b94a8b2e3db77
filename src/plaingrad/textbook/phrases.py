"""Counts and shapes as sentences have them."""

from collections.abc import Sequence


def shape_text(shape: Sequence[int]) -> str:
    """`3×8×8`; of a shape without axes `one number`."""
    return "×".join(map(str, shape)) if len(shape) else "one number"


def counted(count: int, thing: str) -> str:
    """`1 channel`, `6 channels`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
