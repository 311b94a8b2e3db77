"""Line charts as SVG within a page: they take its colours, light or dark, and tell each point to who rests on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEPS = (1, 2, 5)  # of a scale, times a power of ten
LETTER, LINE = 7.4, 17  # about how wide a letter of a label is, and how high a line of them, in pixels
MARKED = 30  # with more points than these, markers hide the line
EDGE = 6  # pixels around the plot, so that points at its edge are drawn whole
SAMPLE = 26  # pixels: how long a sample of a line is beside its name


@dataclass(frozen=True)
class Line:
    """One quantity: y over x, both (point,). `kind` is its class in chart.css; `joined` whether its points are."""

    name: str
    x: Array
    y: Array
    kind: str
    joined: bool = True


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, with what is written along it, and where; in powers where it `is_log`."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def share(self, values: Any) -> Array:
        """Where values lie, from 0 at the low end to 1 at the high one."""
        low, high, at = (
            np.log10(each) if self.is_log else np.asarray(each, float) for each in (self.low, self.high, values)
        )
        return np.asarray((at - low) / (high - low))


def linear(low: float, high: float, most: int, unit: str = "", least: float = 0.0) -> Scale:
    """A scale with up to `most` steps, none less than `least`; in percent where that is the unit."""
    times = 100 if unit == "%" else 1
    exact = max((high - low) * times / most, least, 1e-300)
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(each * power for each in (*STEPS, 10) if each * power >= exact * (1 - 1e-9))
    first, last = math.ceil(low * times / step - 1e-9), math.floor(high * times / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    return Scale(low, high, [(value / times, said(value, step) + unit) for value in values])


def said(value: float, step: float) -> str:
    """A number of a scale, with as many digits as its steps need."""
    digits = max(-math.floor(math.log10(step) + 1e-9), 0)
    if digits > 4 or abs(value) >= 1e6:
        figures = max(math.ceil(math.log10(max(abs(value), step) / step)) + 1, 6)
        return f"{value:.{figures}g}" if abs(value) > step / 2 else "0"
    return f"{value:,.{digits}f}"


def logarithmic(low: float, high: float) -> Scale:
    """A scale of powers of ten, with numbers between them where these are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    between = (1,) if len(powers) > 4 else STEPS
    values = [float(f"{each}e{power}") for power in powers for each in between]
    return Scale(low, high, [(value, f"{value:g}") for value in values if low <= value <= high], is_log=True)


def chart(
    lines: Sequence[Line],
    across: Scale,
    up: Scale,
    size: tuple[int, int],
    quantity: str,
    told: str,
    corner: str = "upper right",
    upright: tuple[float, str] | None = None,
) -> str:
    """The chart, so many pixels wide and high, as SVG in which all text is escaped.

    `quantity` is what runs across, `told` what the chart shows in words, for who does not see it. The names of the
    lines stand in a `corner`, and with them that of an `upright` line, where there is one.
    """
    left = EDGE + 8 + LETTER * max((len(label) for _, label in up.ticks), default=1)
    wide, high = size[0] - left - EDGE - 8, size[1] - 2.6 * LINE - EDGE

    def place(x: Any, y: Any) -> tuple[Array, Array]:
        return left + across.share(x) * wide, EDGE + (1 - up.share(y)) * high

    made = [
        f'<svg class="chart" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(told)}">',
        *_frame(across, up, left, wide, high, quantity),
        # What lies beyond the plot is cut off by an image of its own.
        f'<svg x="{left - EDGE:.1f}" y="0" width="{wide + 2 * EDGE:.1f}" height="{high + 2 * EDGE:.1f}" '
        f'viewBox="{left - EDGE:.1f} 0 {wide + 2 * EDGE:.1f} {high + 2 * EDGE:.1f}">',
    ]
    if upright is not None:
        x = float(place(upright[0], up.low)[0])
        made.append(f'<path class="upright" d="M{x:.1f} {EDGE}v{high:.1f}"/>')
    for line in lines:
        made += _drawn(line, *place(line.x, line.y))
    made.append("</svg>")
    names = [(line.name, line.kind, line.joined) for line in lines] if len(lines) > 1 else []
    names += [] if upright is None else [(upright[1], "upright", True)]
    made += _legend(names, corner, left, wide, high)
    return "\n".join([*made, "</svg>"])


def _frame(across: Scale, up: Scale, left: float, wide: float, high: float, quantity: str) -> list[str]:
    """The grid, and what is written along it; of labels across those that would touch the one before are left out."""
    made, free = [], -math.inf
    for value, label in up.ticks:
        y = EDGE + (1 - float(up.share(value))) * high
        made.append(f'<path class="grid" d="M{left:.1f} {y:.1f}h{wide:.1f}"/>')
        made.append(f'<text x="{left - 8:.1f}" y="{y + 4.5:.1f}" text-anchor="end">{escape(label)}</text>')
    for value, label in across.ticks:
        x, half = left + float(across.share(value)) * wide, LETTER * len(label) / 2
        made.append(f'<path class="grid" d="M{x:.1f} {EDGE}v{high:.1f}"/>')
        if x - half > free:
            y, free = EDGE + high + LINE, x + half + LETTER
            made.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(label)}</text>')
    x, y = left + wide / 2, EDGE + high + 2.2 * LINE
    return [*made, f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(quantity)}</text>']


def _drawn(line: Line, x: Array, y: Array) -> list[str]:
    """A line, interrupted where there is no number, and a mark for each point where these are few."""
    known = np.isfinite(x) & np.isfinite(y)
    made = []
    if line.joined:
        path, pen = "", "M"
        for is_there, right, down in zip(known, x, y, strict=True):
            path += f"{pen}{right:.1f} {down:.1f}" if is_there else ""
            pen = "L" if is_there else "M"
        made.append(f'<path class="line {line.kind}" d="{path}"/>')
    if not line.joined or len(x) <= MARKED:
        for at in np.flatnonzero(known):
            told = escape(f"{line.name}: {line.y[at]:.4g} at {line.x[at]:.4g}")
            mark = f'cx="{x[at]:.1f}" cy="{y[at]:.1f}" r="{3.6 if line.joined else 1.8}"'
            made.append(f'<circle class="{line.kind}" {mark}><title>{told}</title></circle>')
    return made


def _legend(names: Sequence[tuple[str, str, bool]], corner: str, left: float, wide: float, high: float) -> list[str]:
    """Names one below the other in a corner, each with a sample of its line."""
    made = []
    top = EDGE + 14 if corner.startswith("upper") else EDGE + high - 10 - LINE * (len(names) - 1)
    for number, (name, kind, joined) in enumerate(names):
        y = top + number * LINE
        start, text, anchor = left + 10, left + 18 + SAMPLE, "start"
        if corner.endswith("right"):
            start, text, anchor = left + wide - 10 - SAMPLE, left + wide - 18 - SAMPLE, "end"
        sample = f'<path class="line {kind}" d="M{start:.1f} {y:.1f}h{SAMPLE}"/>'
        if not joined:
            sample = f'<circle class="{kind}" cx="{start + SAMPLE / 2:.1f}" cy="{y:.1f}" r="1.8"/>'
        made += [sample, f'<text x="{text:.1f}" y="{y + 4.5:.1f}" text-anchor="{anchor}">{escape(name)}</text>']
    return made
