"""What wrong numbers are like where no mistake is named: another array of the case, moved, exchanged or mixed numbers.

Each relation holds for every number, up to rounding; the most telling comes first.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Estimate, Key
from plaingrad.checking.search.rounding import allowed
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import Add, Flatten

MOST_TOLD = 3
FEWEST = 4  # numbers of which a relation says something
COARSE = 1e-3  # of the largest number: where rounding may do so much, nearly anything is like anything
FEW = 6  # images, channels or filters that are told one by one
EXACT = 1e-9  # of the largest number
Axes = tuple[str, ...]


SHARED = {"weight-decay-added", "weights-shrunk", "momentum-added"}  # mistakes that add a share of another array


@np.errstate(all="ignore")
def share_added(finding: Finding, search: Search) -> list[str]:
    """How large a share of which array is added, where the mistake that is named adds one."""
    if finding.best is None or finding.best.mistake.id not in SHARED or finding.best.key != finding.key:
        return []
    given, expected = finding.compared
    near = _near(finding, given, search)
    return list(_added(finding, given - expected, near, search)) if near < COARSE * np.abs(given).max(initial=0) else []


def _near(finding: Finding, given: Array, search: Search) -> float:
    """How far two numbers may be from each other, and are the same."""
    room = allowed(Estimate(finding.expected, finding.uncertainty), finding.given, search.precision)
    return 4 * float(room.max(initial=0)) + EXACT * float(np.abs(given).max(initial=0))


@np.errstate(all="ignore")
def likenesses(finding: Finding, search: Search) -> list[str]:
    """What the wrong numbers are like, in words: three at most."""
    given, expected = finding.compared
    size, near = float(np.abs(given).max(initial=0)), _near(finding, given, search)
    if given.size < FEWEST or not np.isfinite(given).all() or not near < COARSE * size:
        return []
    told: list[str] = []
    for each in (
        _another(finding, given, near, search),
        _exchanged(finding, given, expected, near),
        _moved(given, expected, near),
        _turned(given, expected, near),
        _added(finding, given - expected, near, search),
        _mixed(finding, given, expected, near),
    ):
        told += each
        if len(told) >= MOST_TOLD:
            break
    return told[:MOST_TOLD]


def what(finding: Finding) -> str:
    """What is compared: the array, or the step of a weight."""
    return "your step" if finding.before is not None else f"your {name_of(finding.key)}"


def others(finding: Finding, search: Search) -> Iterator[tuple[str, Array]]:
    """The other arrays of the case: what is given, and every pass as far as it is right by the answer's numbers."""
    arrays: dict[Key, Array] = {}
    for source in (search.program.given, search.expected):
        values: Mapping[Key, Estimate] = source
        arrays |= {key: each.value for key, each in values.items()}
    for key, array in arrays.items():
        if key == finding.key and finding.before is None:
            continue
        name = f"x of step {key[0]}" if key[1] == "input" else name_of(key)
        if array.size == finding.given.size and array.any() and not _passes_on(search.program, key, finding.key):
            yield name, array


def _passes_on(program: Program, key: Key, read: Key) -> bool:
    """Whether a pass hands on the numbers of another, as they are."""
    layer = program.steps[key[1]].layer if key[1] in program.steps else None
    is_so = isinstance(layer, Flatten) or (isinstance(layer, Add) and key[2] != "y")
    return is_so and read in program.needs(key)


def _same(one: Array, other: Array, near: float) -> bool:
    return one.shape == other.shape and bool((np.abs(one - other) <= near).all())


def _another(finding: Finding, given: Array, near: float, search: Search) -> Iterator[str]:
    """All numbers of another array."""
    rate = search.program.case.rate if finding.before is not None else 1.0
    for name, array in others(finding, search):
        by = "the rate times " if finding.before is not None else ""
        if _same(given.reshape(-1), rate * array.reshape(-1), near):
            yield f"{what(finding)} equals {by}{name}, number by number"
        elif _same(given.reshape(-1), -rate * array.reshape(-1), near):
            yield f"{what(finding)} equals {by}{name} with the other sign, number by number"
        else:
            continue
        return


def _exchanged(finding: Finding, given: Array, expected: Array, near: float) -> Iterator[str]:
    """Whole images, channels, filters that are each the right numbers of another one."""
    is_map = finding.key[2] in ("y", "dx")
    for axis, name in enumerate(("image", "channel") if is_map else ("filter or unit", "channel or input")):
        if axis >= given.ndim or given.ndim < 2 or given.shape[axis] < 2:
            continue
        own, right = (np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1) for each in (given, expected))
        if own.shape[1] < FEWEST:
            continue
        found: list[int] = []
        for row in own:
            alike = np.flatnonzero((np.abs(right - row) <= near).all(axis=1))
            if not alike.size or not row.any():
                break
            found.append(len(found) if len(found) in set(alike.tolist()) else int(alike[0]))
        if len(found) < len(own) or found == list(range(len(own))):
            continue
        pairs = [f"{name} {place} is {other}" for place, other in enumerate(found) if place != other]
        more = f" and {len(pairs) - FEW} more" if len(pairs) > FEW else ""
        kind = "exchanged" if len(set(found)) == len(found) else "repeated"
        yield f"whole {name}s are {kind}, counted from 0: yours of {', '.join(pairs[:FEW])}{more}"
        return


def _moved(given: Array, expected: Array, near: float) -> Iterator[str]:
    """Maps that lie one pixel off."""
    if given.ndim != 4 or min(given.shape[2:]) < 3:
        return

    def cut(size: int, by: int) -> tuple[slice, slice]:
        return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size + min(-by, 0))

    names = {-1: "up", 1: "down"}, {-1: "to the left", 1: "to the right"}
    for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        (rows, right_rows), (columns, right_columns) = (
            cut(size, by) for size, by in zip(given.shape[2:], (down, across), strict=True)
        )
        own = given[:, :, rows, columns]
        if own.any() and own.size >= FEWEST and _same(own, expected[:, :, right_rows, right_columns], near):
            words = " and ".join(each[by] for each, by in zip(names, (down, across), strict=True) if by)
            yield f"your numbers are the correct ones, one pixel {words}"
            return


def _turned(given: Array, expected: Array, near: float) -> Iterator[str]:
    """Mirrored, rotated and transposed numbers."""
    if given.ndim < 2:
        if _same(given, expected[::-1], near):
            yield "your numbers are the correct ones in reverse order"
        return
    turns = {
        "mirrored top to bottom": expected[..., ::-1, :],
        "mirrored left to right": expected[..., ::-1],
        "rotated by 180°": expected[..., ::-1, ::-1],
        "transposed": np.swapaxes(expected, -1, -2),
        "with the first two axes exchanged": np.swapaxes(expected, 0, 1),
    }
    for name, other in turns.items():
        if _same(given, other, near):
            yield f"your numbers are the correct ones, {name}"
            return
    for name in ("transposed", "with the first two axes exchanged"):
        if _same(given.reshape(-1), turns[name].reshape(-1), near):
            yield f"your numbers are the correct ones {name} and then reshaped: a reshape where a transpose is needed?"
            return
    if _same(given.reshape(-1), expected.reshape(-1)[::-1], near):
        yield "your numbers are the correct ones in reverse order"


def _added(finding: Finding, difference: Array, near: float, search: Search) -> Iterator[str]:
    """A multiple of another array is added; several arrays may do, of which the first is told."""
    for name, array in others(finding, search):
        if array.shape != difference.shape or not difference.any():
            continue
        factor = float((difference * array).sum() / (array * array).sum())
        simple = float(f"{factor:.2g}")
        factor = simple if _same(difference, simple * array, near) else factor
        if factor and _same(difference, factor * array, near):
            times = "" if factor == 1 else "-" if factor == -1 else f"{factor:.6g} · "
            whose = "your step - the right step" if finding.before is not None else "yours - correct"
            yield f"{whose} = {times}{name}, number by number"
            return


def _mixed(finding: Finding, given: Array, expected: Array, near: float) -> Iterator[str]:
    """Each image is a mixture of the right images."""
    if finding.key[2] not in ("y", "dx") or given.ndim < 2:
        return
    own, right = (each.reshape(len(each), -1) for each in (given, expected))
    images, numbers = own.shape
    if images < 2 or numbers < 2 * images + 2:
        return
    shares, _, rank, _ = np.linalg.lstsq(right.T, own.T, rcond=1e-10)
    if rank < images or (np.abs(right.T @ shares - own.T) > near).any():
        return
    shares = shares.T
    if (np.abs(shares) > 1e-4).sum(axis=1).max() < 2:
        return
    place = int(np.argmax((np.abs(shares) > 1e-4).sum(axis=1)))
    told = " + ".join(f"{share:.4g} · image {i}" for i, share in enumerate(shares[place]) if abs(share) > 1e-4)
    yield f"your images are mixtures of the correct ones: image {place} is {told}"
