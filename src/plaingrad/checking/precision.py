"""With what precision an answer was computed and printed: found in its numbers alone."""

from dataclasses import dataclass

import numpy as np

from plaingrad.loops import Array

FULL = 17  # digits that tell one float64 from the next
PRINTED = 12  # more digits than these are taken as all a program has
SINGLE, DOUBLE, HALF = 2.0**-24, 2.0**-53, 2.0**-11  # half the distance of two numbers at 1


@dataclass(frozen=True)
class Precision:
    """Significant digits or decimals that were printed (None: all), and the arithmetic's unit roundoff."""

    digits: int | None
    decimals: int | None
    unit: float

    def grain(self, values: Array) -> Array:
        """By how much printing moved each number at most: one unit in its last place, were it cut off or rounded.

        Numbers of few digits may have few decimals as well; which of them was meant nobody knows.
        """
        grain = np.full(values.shape, 0.0 if self.decimals is None else 10.0**-self.decimals)
        if self.digits is None:
            return grain
        size = np.where(values == 0, 1, np.abs(values))
        return np.asarray(
            np.maximum(grain, np.where(values == 0, 0, 10.0 ** (np.floor(np.log10(size)) + 1 - self.digits)))
        )

    def __str__(self) -> str:
        arithmetic = {SINGLE: "float32", DOUBLE: "float64", HALF: "float16"}[self.unit]
        if self.decimals is not None:
            return f"{self.decimals} decimals"
        return arithmetic if self.digits is None else f"{self.digits} digits"


def estimated(arrays: list[Array]) -> Precision:
    """The precision of an answer: the fewest digits, or decimals, that give all its numbers."""
    values = np.concatenate([np.asarray(each, float).reshape(-1) for each in arrays] or [np.zeros(0)])
    values = np.unique(values[np.isfinite(values) & (values != 0)])
    with np.errstate(over="ignore"):
        single = bool((values == values.astype(np.float32)).all())
        half = single and bool((values == values.astype(np.float16)).all())
    digits, decimals = fewest(values, lambda v, d: np.array([float(f"{x:.{d - 1}e}") for x in v]), PRINTED), None
    if digits is not None:
        decimals = fewest(values, np.round, digits)
    if digits is None:
        return Precision(None, None, HALF if half else SINGLE if single else DOUBLE)
    return Precision(digits, decimals, SINGLE)


def fewest(values: Array, rounded: object, most: int) -> int | None:
    """The fewest digits that keep every number; None where more than `most` are needed."""
    for digits in range(1, most + 1):
        if np.array_equal(rounded(values, digits), values):  # type: ignore[operator]
            return digits
        if digits == 1 and len(values) > 64 and not np.array_equal(rounded(values[:64], most), values[:64]):  # type: ignore[operator]
            return None
    return None
