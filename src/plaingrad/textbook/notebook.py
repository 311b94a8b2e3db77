"""HTML that a notebook shows: tables and curves in which every text is escaped, in the colours of its theme."""

import html
import math
from collections.abc import Mapping, Sequence

WIDE, HIGH, EDGE = 320, 130, 18  # pixels of a curve; EDGE is the room for words above and below it
COLOURS = ("#3b78c3", "#d1602f", "#4f9d54", "#9a5fb5")  # of curves; seen on a white page and on a black one

UNTRUSTED = "plaingrad-untrusted"


class Markup(str):
    """A text that is HTML already."""


def marked(text: str) -> str:
    """The text as HTML; what is HTML stays."""
    return text if isinstance(text, Markup) else html.escape(text)


def table(rows: Sequence[Sequence[str]], left: int = 1, foot: bool = False) -> Markup:
    """A table whose first row is its head, and where told its last one a sum. `left` columns are words, others numbers.

    rows: texts, which are escaped, or `Markup`.
    """
    lines = []
    for place, row in enumerate(rows):
        is_ruled = place == 0 or (foot and place == len(rows) - 1)
        tag = "th" if is_ruled else "td"
        cells = "".join(
            f'<{tag} style="text-align:{"left" if column < left else "right"}">{marked(text)}</{tag}>'
            for column, text in enumerate(row)
        )
        lines.append(f"<tr>{cells}</tr>")
    return Markup(f"<table>{''.join(lines)}</table>")


def frame(title: str, page: str, words: str) -> Markup:
    """A whole page in a frame of its own; `words` where a notebook that is not trusted takes out frames and styles."""
    about = f'title="{html.escape(title)}" srcdoc="{html.escape(page)}"'
    return Markup(
        f'<style>.{UNTRUSTED}{{display:none}}</style><p class="{UNTRUSTED}">{html.escape(words)}</p>'
        f'<iframe style="width:100%;height:90vh;border:0" sandbox="allow-scripts" {about}></iframe>'
    )


def curves(title: str, series: Mapping[str, Sequence[float]]) -> Markup:
    """A small picture of series of numbers over the same places: a line each, with its name and its last number.

    What is not finite is left out of the line. Nothing where no number is finite.
    """
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    if not finite:
        return Markup("")
    low, high = min(finite), max(finite)
    count = max(map(len, series.values()))
    drawn, named, place = "", "", 0
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        known = [(n, value) for n, value in enumerate(values) if math.isfinite(value)]
        if not known:
            continue
        points = [_point(n, value, count, low, high) for n, value in known]
        drawn += f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(points)}"/>'
        across, down = points[-1].split(",")
        drawn += f'<circle cx="{across}" cy="{down}" r="2.5" fill="{colour}"/>'
        told = html.escape(f"{name} {known[-1][1]:.4g}")
        named += f'<text x="{place * WIDE // 2}" y="{HIGH + 2 * EDGE - 4}" fill="{colour}">{told}</text>'
        place += 1
    frame = (
        f'<rect x="0.5" y="{EDGE}" width="{WIDE - 1}" height="{HIGH}" fill="none" stroke="currentColor" opacity="0.3"/>'
    )
    words = f'<text x="0" y="{EDGE - 5}" font-weight="bold">{html.escape(title)}</text>'
    words += f'<text x="{WIDE}" y="{EDGE - 5}" text-anchor="end">{low:.4g} to {high:.4g}</text>'
    size = f'width="{WIDE}" height="{HIGH + 2 * EDGE}" viewBox="0 0 {WIDE} {HIGH + 2 * EDGE}"'
    look = 'fill="currentColor" font-family="sans-serif" font-size="12" style="margin-right:1.5em"'
    return Markup(f'<svg role="img" aria-label="{html.escape(title)}" {size} {look}>{frame}{words}{drawn}{named}</svg>')


def _point(place: int, value: float, count: int, low: float, high: float) -> str:
    """Where a number lies in the picture; all the same numbers lie in the middle."""
    inner = HIGH - 10
    across = 5 + (WIDE - 10) * (place / (count - 1) if count > 1 else 0.5)
    up = (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5  # halves: a difference may be infinite
    return f"{across:.1f},{EDGE + 5 + inner * (1 - up):.1f}"
