"""Quantities of an answer that no number can be held against: arrays of a wrong shape, nan and infinity, no arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.answers.layout import AXES, USUAL, group_of
from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.search.causes import TRIED, Broken, causes
from plaingrad.checking.search.likeness import Likeness, Misshapen
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.shape_axes import AXES_RULES
from plaingrad.checking.search.shape_sizes import SIZE_RULES
from plaingrad.compiler.loops import Array
from plaingrad.textbook.phrases import shape_text

HUGE = 1e6  # from here on it is worth telling how large the numbers are that a pass begins with


@dataclass(frozen=True)
class Uncompared:
    """A quantity that could not be compared: why, in sentences, and what to do.

    `summary` is one clause without the name. With `is_certain` the title names a mistake; a quantity that is not finite
    only because one before it is not `follows`.
    """

    key: Key
    id: str
    title: str
    summary: str
    told: tuple[str, ...]
    advice: str
    is_certain: bool
    status: str  # as that of a row: "wrong", "follows", "not judged"
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True)
class Faulty:
    """What of an answer could not be compared: arrays of a wrong shape, those with numbers that are not finite, and
    by line why others are no arrays."""

    misshapen: Mapping[Key, Array]
    broken: Mapping[Key, Array]
    unread: Mapping[Key, str]


def uncompared(search: Search, faulty: Faulty) -> list[Uncompared]:
    """What is said of each such quantity, in the order of computing, after the others were searched."""
    _swallowed(search, faulty)
    found = [_shape(search, key, array) for key, array in faulty.misshapen.items()]
    found += [_unread(key, line) for key, line in faulty.unread.items()]
    for key in sorted(faulty.broken, key=search.program.place.__getitem__):
        found.append(_not_finite(search, key, faulty))
    return sorted(found, key=lambda each: search.program.place[each.key])


def _unread(key: Key, line: str) -> Uncompared:
    return Uncompared(
        key, "not-an-array", "no array of numbers", "is no array of numbers", (line,),
        "Answer it as nested lists of numbers of the shape that the case tells.", False, "not judged", Kind.SHAPE,
    )  # fmt: skip


# Shapes


def inner_parts(search: Search, misshapen: Mapping[Key, Array]) -> dict[Key, Array]:
    """What of the arrays of a wrong shape has the right one: where there is one way to read it, and its numbers are not
    right, so that what follows may rest on them."""
    found = {}
    for key, array in misshapen.items():
        right, ways = _readings(search, key, array)
        if right is None and len(ways) == 1 and ways[0].inner is not None:
            found[key] = ways[0].inner
    return found


def _readings(search: Search, key: Key, array: Array) -> tuple[tuple[Misshapen, Likeness] | None, list[Likeness]]:
    """The way to read an array by which its numbers are right, if there is one; and all that its shape allows."""
    its = [Misshapen(search, key, each, search.expected[key], search.env) for each in _turned(search, key, array)]
    likely = [[each for rule in (*AXES_RULES, *SIZE_RULES) for each in rule(it)] for it in its]
    for it, found in zip(its, likely, strict=True):
        for each in found:
            if each.matches:
                return (it, each), found
    return None, next((list({each.id: each for each in found}.values()) for found in likely if found), [])


def _shape(search: Search, key: Key, array: Array) -> Uncompared:
    needed = search.expected[key].value.shape
    shapes = f"{shape_text(array.shape)} in place of {shape_text(needed)}"
    right, ways = _readings(search, key, array)
    if right:
        it, each = right
        turned = f" (its axes turned to {shape_text(it.given.shape)})" if it.given.shape != array.shape else ""
        inner = "; so read, its numbers are right" if each.inner is not None else ""
        return _told(key, each, shapes, f"{each.told}{turned}{inner}", certain=True)
    for each in ways:
        named = _named(search, key, each)
        if named:
            line = f"{each.told}; so read, its numbers are those of another mistake: {named}"
            return _told(key, each, shapes, line, certain=True)
    if len(ways) == 1:
        wrong = "; but so read, its numbers are not right" if ways[0].matches is False else ""
        return _told(key, ways[0], shapes, f"{ways[0].told}{wrong}", certain=ways[0].matches is None)
    told = "; or ".join(each.told for each in ways)
    line = "it has neither this shape nor any other that is known of this pass"
    if ways:
        line = f"by its shape it may be one of these, but its numbers are right in none of them: {told}"
    unknown = Likeness("wrong-shape", "the array has a wrong shape", line, "Compare its sizes with those of the case.")
    return _told(key, unknown, shapes, line, certain=False)


def _told(key: Key, each: Likeness, shapes: str, line: str, certain: bool) -> Uncompared:
    return Uncompared(
        key, each.id, each.title, f"has the shape {shapes}", (f"{name_of(key)} has the shape {shapes}: {line}",),
        each.advice, certain, "wrong", Kind.SHAPE,
    )  # fmt: skip


def _turned(search: Search, key: Key, array: Array) -> Iterator[Array]:
    """The array with its axes in the case's order, as far as can be known: in the answer's order, or in one in use."""
    shape = search.expected[key].value.shape
    group = group_of(shape, key[1] != "loss" and key[2].removeprefix("d") in search.program.steps[key[1]].weights)
    if group not in AXES or array.ndim != len(shape):
        yield array
        return
    known = search.found_orders.get(group, search.orders.get(group))
    first = [known] if isinstance(known, tuple) else []
    for order in dict.fromkeys([*first, *USUAL[group]]):
        yield array.transpose(np.argsort(order))


def _named(search: Search, key: Key, each: Likeness) -> str:
    """The title of the one mistake that gives the inner part of an array."""
    if each.matches is not False or each.inner is None:
        return ""
    fits, _ = search.fits_at(key, search.expected[key], each.inner)
    return f"{fits[0].mistake.title} [{fits[0].mistake.id}]" if len(fits) == 1 else ""


# Numbers that are not finite


def _swallowed(search: Search, faulty: Faulty) -> None:
    """Tell as following what disagrees, and is computed from numbers that are not finite.

    A comparison with nan is false: a maximum or a ReLU goes on with another number, such as 0, which has no name.
    """
    for finding in list(search.findings):
        if _first(search, finding.key, faulty) is not None:
            search.findings.remove(finding)
            search.rows[finding.key].status = "follows"


def _not_finite(search: Search, key: Key, faulty: Faulty) -> Uncompared:
    program, array, truth = search.program, faulty.broken[key], search.env
    bad = ~np.isfinite(array)
    place = tuple(int(each) for each in np.argwhere(bad)[0])
    name = name_of(key)
    where = f"{name}[{','.join(map(str, place))}]" if place else name
    count = f", and {int(bad.sum())} of its {bad.size} numbers are not finite" if bad.sum() > 1 else ""
    told: tuple[str, ...]
    line, summary = f"{where} is {array[place]}{count}", f"holds {array[place]}"
    before = _first(search, key, faulty)
    if before is not None:
        return Uncompared(
            key, "not-finite", "", summary, (f"{line}: it is computed from {name_of(before)}",), "", False, "follows"
        )
    expected = search.expected[key].value
    if np.array_equal(np.isfinite(expected), ~bad):
        told = (f"{line}, as it should be with the numbers that it is computed from",)
        return Uncompared(key, "not-finite", "", summary, told, "", False, "follows")
    answered = {key[2]: array}
    if key[2] in ("y", "dx"):  # one cause shows in both, or in one of them
        other = (*key[:2], "dx" if key[2] == "y" else "y")
        if other in faulty.broken:  # where it is not finite by itself
            answered |= {} if _first(search, other, faulty) else {other[2]: faulty.broken[other]}
        elif other in search.arrays:
            answered[other[2]] = search.likeliest(other).array
    it = Broken(program, key, array, search.expected[key], truth, answered)
    found = causes(it)
    size, source = max(
        ((float(np.abs(truth[need].value).max(initial=0)), name_of(need)) for need in program.needs(key)),
        default=(0, ""),
    )
    size_told = f"it is computed from numbers as large as {size:.3g} ({source.replace('input.y', 'the images')})"
    if len(found) == 1:
        cause = found[0]
        told = (line, f"{size_told}; so it comes out with these numbers") if size >= HUGE else (line,)
        return Uncompared(key, cause.id, cause.title, summary, told, cause.advice, True, "wrong")
    if found:
        line = f"{line}; it may come from one of these: {'; or '.join(each.title for each in found)}"
        advice = f"Answer {name_of((*key[:2], 'dx' if key[2] == 'y' else 'y'))} too: it tells them apart."
        return Uncompared(key, "not-finite", "not finite", summary, (line,), advice, False, "wrong")
    tried = TRIED.get(it.kind, "")
    ruled = f"; ruled out: {tried + ', and ' if tried else ''}a number too large for the arithmetic"
    told = (line, f"{size_told}, all of them finite{ruled}")
    advice = f"Print what {where} is made of, and see which of it is not finite first."
    return Uncompared(key, "not-finite", "not finite", summary, told, advice, False, "wrong")


def _first(search: Search, key: Key, faulty: Faulty) -> Key | None:
    """An answered array that is not finite and that this one is computed from, with no answer between."""
    waiting, seen = list(search.program.needs(key)), set[Key]()
    while waiting:
        need = waiting.pop(0)
        if need in faulty.broken:
            return need
        if need not in seen and need in search.program.place and need not in search.arrays:
            seen.add(need)
            waiting += search.program.needs(need)
    return None
