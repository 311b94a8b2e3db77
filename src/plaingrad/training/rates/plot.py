"""The loss over the rate as lines of text, for a terminal."""

import math
from collections.abc import Iterator

import numpy as np

from plaingrad.compiler.loops import Array

COLUMNS, ROWS = 70, 14
ROOM = 1.2  # times the highest loss before the lowest: what lies above, where training diverged, is drawn there


def plotted(rates: Array, losses: Array, suggestion: float | None) -> Iterator[str]:
    """A star for the mean loss of each column; below it the rates, a mark `^` for the suggestion, powers of ten `|`.

    rates, losses: as many of each, rates ascending, losses finite.
    """
    low, high = float(losses.min()), ROOM * float(losses[: np.argmin(losses) + 1].max())
    columns = _columns(rates, rates)
    rows = np.round((high - losses) / ((high - low) or 1) * (ROWS - 1)).clip(0).astype(int)
    cells = np.full((ROWS, COLUMNS), " ")
    for column in sorted(set(columns.tolist())):
        cells[round(float(rows[columns == column].mean())), column] = "*"
    for number, row in enumerate(cells):
        at = high - (high - low) * number / (ROWS - 1)
        label = f"{at:>10.4g}" if number % 4 == 0 or number == ROWS - 1 else " " * 10
        yield f"{label} │{''.join(row)}".rstrip()
    axis, labels = np.full(COLUMNS, "─"), [" "] * (COLUMNS + 8)
    for power in range(math.ceil(math.log10(rates[0]) - 1e-9), math.floor(math.log10(rates[-1]) + 1e-9) + 1):
        column, label = int(_columns(np.array([10.0**power]), rates)[0]), f"{10.0**power:g}"
        axis[column] = "┴"
        if not "".join(labels[max(column - 1, 0) : column + len(label) + 1]).strip():
            labels[column : column + len(label)] = label
    yield f"{'':>10} └{''.join(axis)}"
    yield f"{'':>12}{''.join(labels)}".rstrip()
    if suggestion is not None and rates[0] <= suggestion <= rates[-1]:
        yield f"{'':>12}{'':>{int(_columns(np.array([suggestion]), rates)[0])}}^ suggestion"


def _columns(values: Array, rates: Array) -> Array:
    """The column of each rate, on a scale of powers."""
    low, high = math.log(rates[0]), math.log(rates[-1])
    shares = (np.log(values) - low) / ((high - low) or 1)
    return np.round(shares.clip(0, 1) * (COLUMNS - 1)).astype(int)
