"""A finding's array as small maps for the page: yours, what it should be, and the difference, wrong cells marked.

The last two axes are a map's rows and columns; a vector is one row. Of a large array the maps with the most wrong
numbers are drawn, and of a large map the part where most are wrong.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.search.evidence import axes_of, off
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from plaingrad.textbook.phrases import shape_text

LEVELS = 10  # shades of a colour: the eye tells no more apart
SIDE = 64  # cells along an edge of a map, at most: more are too small to point at
MOST_MAPS = 16  # of one array
COUNTED = 24  # rows and columns of a table of counts, at most
MOST_RATIO = 20.0  # where one array is so many times the size of the other, each has its own scale
LONG = 8  # columns from which a map that is mostly wide has its three pictures one below the other
FULL, SQUARE, CROSS = "h1", "h.8v.8h-.8z", "l.5 .5m0-.5l-.5 .5"  # in a cell; the first with a pen as wide as it is
DIGITS = (6, 9, 12, 17)  # the first are what the command prints; more where they would look the same


@dataclass(frozen=True)
class Window:
    """The part of a map that is drawn."""

    top: int
    left: int
    height: int
    width: int

    @property
    def edges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The first and last row, and the first and last column."""
        return (self.top, self.top + self.height - 1), (self.left, self.left + self.width - 1)

    def of(self, array: Array) -> Array:
        """The part of an array whose last two axes are a map's."""
        part: Array = array[..., self.top : self.top + self.height, self.left : self.left + self.width]
        return part


def pictures(finding: Finding, program: Program, most: int) -> dict[str, Any] | None:
    """All that the page draws of a finding, in some `most` cells; None for a single number, which the table tells."""
    given = finding.given
    if given.size < 2:
        return None
    names = axes_of(finding.key, given.ndim, program.steps)
    wrong = as_maps(off(finding))
    window = busiest(wrong, most)
    counts = wrong.sum(axis=(2, 3))
    chosen = chosen_maps(window.of(wrong), most // (window.height * window.width))
    scale = limits(given, finding.expected)
    rows = [[at for at in chosen if at[0] == first] for first in dict.fromkeys(image for image, _ in chosen)]
    if max(map(len, rows)) == 1:  # one below the other they would leave most of the page empty
        rows = [chosen]
    return {
        "name": name_of(finding.key),
        "shape": shape_text(given.shape),
        "total": int(wrong.sum()),
        "size": wrong.size,
        "window": window,
        "is_long": window.width > LONG and window.width > 3 * window.height,
        "is_crowded": 2 * int(window.of(wrong).sum()) > window.of(wrong).size,
        "is_flat": given.ndim == 1,
        "rows": [[one_map(finding, at, window, scale, names) for at in row] for row in rows],
        "scales": scales(*scale),
        "left_out": left_out(wrong, window, counts, chosen, names),
        "counts": count_table(counts, wrong[0, 0].size, names) if given.ndim == 4 else None,
    }


def one_map(
    finding: Finding, at: tuple[int, int], window: Window, scale: tuple[float, float, float], names: tuple[str, ...]
) -> dict[str, Any]:
    """One map three times, and its numbers."""
    best, maps = finding.best, as_maps(off(finding))
    place = [int(each) for each in np.unravel_index(at[0] * maps.shape[1] + at[1], finding.given.shape[:-2])]
    made = window.of(as_maps(best.made)[at]) if best and best.key == finding.key else None
    given, expected = (window.of(as_maps(each)[at]) for each in (finding.given, finding.expected))
    values = {"yours": given, "should be": expected, "difference": given - expected}
    marked = window.of(maps[at])
    return {
        "place": place,
        "label": ", ".join(f"{name} {index}" for name, index in zip(names, place, strict=False)),
        "count": int(maps[at].sum()),
        "pictures": [picture(name, array, limit) for (name, array), limit in zip(values.items(), scale, strict=True)],
        "numbers": numbers(given, expected, made),
        "outline": drawn(marked, SQUARE),
        "crosses": drawn(marked, CROSS),
        "marks": "".join("1" if wrong else "0" for wrong in marked.flat),
    }


# Which part is drawn


def as_maps(array: Array) -> Array:
    """An array as (first index, other indices, row, column)."""
    shape = (1,) * max(0, 2 - array.ndim) + array.shape
    first = shape[0] if len(shape) > 2 else 1
    return array.reshape(first, -1, *shape[-2:])


def busiest(wrong: Array, most: int) -> Window:
    """The window of at most `most` cells in which most numbers are wrong, over all maps together."""
    rows, columns = wrong.shape[2:]
    height, width = min(rows, SIDE), min(columns, SIDE)
    while height * width > max(most, 1):
        height, width = (height - 1, width) if height > width else (height, width - 1)
    sums = np.zeros((rows + 1, columns + 1))
    sums[1:, 1:] = wrong.sum(axis=(0, 1)).cumsum(axis=0).cumsum(axis=1)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return Window(int(top), int(left), height, width)


def chosen_maps(wrong: Array, most: int) -> list[tuple[int, int]]:
    """The maps with the most wrong numbers, in reading order; one that agrees only where all do."""
    counts = wrong.sum(axis=(2, 3)).reshape(-1)
    most = min(most, MOST_MAPS, int(np.count_nonzero(counts)))
    order = np.sort(np.argsort(-counts, kind="stable")[: max(most, 1)])
    return [(int(place) // wrong.shape[1], int(place) % wrong.shape[1]) for place in order]


def left_out(
    wrong: Array, window: Window, counts: Array, chosen: list[tuple[int, int]], names: tuple[str, ...]
) -> list[str]:
    """What is not drawn, in words."""
    told = []
    others, missing = int((counts > 0).sum()) - sum(counts[each] > 0 for each in chosen), counts.size - len(chosen)
    if others:
        told.append(
            f"Of {counts.size} maps the {len(chosen)} in which most numbers differ are drawn; "
            f"{missing} are left out, and {others} of them differ too."
        )
    elif missing:
        told.append(
            f"{missing} of the {counts.size} maps {'is' if missing == 1 else 'are'} left out: no number differs."
        )
    edges = zip(names[-2:], wrong.shape[-len(names[-2:]) :], window.edges[-len(names[-2:]) :], strict=True)
    parts = [f"{name} {first} to {last} (of {size})" for name, size, (first, last) in edges if last - first + 1 < size]
    if parts:
        told.append(f"Drawn is the part where most numbers differ: {', '.join(parts)}, counted from 0.")
    return told


def count_table(counts: Array, size: int, names: tuple[str, ...]) -> dict[str, Any] | None:
    """How many numbers are wrong in each map; None where that says nothing or is too much."""
    if (counts == counts[0, 0]).all() or max(counts.shape) > COUNTED:
        return None
    return {"rows": counts.tolist(), "size": size, "row": names[0], "column": names[1]}


# How it is drawn


def limits(given: Array, expected: Array) -> tuple[float, float, float]:
    """The numbers with full colour in each of the three pictures; the same in the first two, so they compare."""
    own, true = (float(np.abs(each).max(initial=0)) for each in (given, expected))
    if not min(own, true) or max(own, true) <= MOST_RATIO * min(own, true):
        own = true = max(own, true)
    return own, true, float(np.abs(given - expected).max(initial=0))


def scales(own: float, true: float, difference: float) -> list[dict[str, str]]:
    """The legend: what each scale is for, and its ends."""
    values = [("yours and should be", own)] if own == true else [("yours", own), ("should be", true)]
    return [{"label": name, "limit": f"{limit:.3g}"} for name, limit in (*values, ("difference", difference))]


def picture(name: str, values: Array, limit: float) -> dict[str, Any]:
    """One map: for each shade a path along the middle of its cells."""
    share = values * (LEVELS / limit) if limit else np.zeros_like(values)
    # A difference of a rounding is none; in a map of values whatever is not 0 has a shade.
    shade = np.rint(share) if name == "difference" else np.sign(share) * np.ceil(np.abs(share))
    shade = np.clip(shade, -LEVELS, LEVELS).astype(int)
    paths = {f"{'n' if at < 0 else 'p'}{abs(at)}": drawn(shade == at, FULL) for at in np.unique(shade).tolist() if at}
    return {"name": name, "paths": paths}


def drawn(cells: Array, pen: str) -> str:
    """A path through cells: in each the pen draws the same."""
    return "".join(f"M{column} {row}{pen}" for row, column in np.argwhere(cells))


def numbers(given: Array, expected: Array, made: Array | None) -> dict[str, str]:
    """The numbers of a map as the page writes them, one after the other."""
    pairs = [in_words(own, true) for own, true in zip(given.flat, expected.flat, strict=True)]
    told = {
        "yours": " ".join(own for own, _ in pairs),
        "expected": " ".join(true for _, true in pairs),
        "difference": " ".join(f"{each:.3g}" for each in (given - expected).flat),
    }
    return told if made is None else told | {"mistaken": " ".join(f"{each:.6g}" for each in made.flat)}


def in_words(given: float, expected: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ, if they do."""
    told = ("", "")
    for digits in DIGITS:
        told = (f"{given:.{digits}g}", f"{expected:.{digits}g}")
        if told[0] != told[1] or given == expected:
            break
    return told


def shades() -> list[dict[str, Any]]:
    """For each shade of a colour: how much of which two colours it is mixed of."""
    half = LEVELS // 2
    return [
        {
            "level": level,
            "share": 100 * (level if level <= half else level - half) // half,
            "colour": "half" if level <= half else "full",
            "ground": "zero" if level <= half else "half",
        }
        for level in range(1, LEVELS + 1)
    ]
