"""Updates that take another's gradient, another rate in each array, steps of one size, or steps that are cut off."""

from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np

from plaingrad.checking.search import update_words as words
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.search.update_numbers import COLUMNS, Column, Seen, Solved, least_squares, rounded, sized
from plaingrad.checking.search.update_rules import (
    EPSILONS,
    Place,
    Rule,
    decoupled,
    directions,
    stepped_by,
    that_count_arrays,
)
from plaingrad.checking.search.update_sums import USUAL_DECAYS
from plaingrad.textbook.optimisers import Adam, AdamW

MANY_TURNS = 2  # of a rate that goes on being multiplied, at least: any two numbers have some factor between them


def exchanged(program: Program, seen: list[Seen]) -> Iterator[Rule]:
    """Steps that are the rate times the gradients of other weights."""
    of: dict[Place, Place] = {}
    for each in seen:
        if each.is_wrong and each.place not in of:
            own = {place: each.past.gradient(place=place) for place in _alike(program, each)}
            fits = [place for place, g in own.items() if (np.abs(each.step - each.past.rate * g) <= each.room).all()]
            if len(fits) != 1:
                return
            of[each.place] = fits[0]
    if of:
        yield words.of_other_weights(of)


def decaying(program: Program, seen: list[Seen]) -> Iterator[Rule]:
    """Steps at a rate that is multiplied by the same number from each layer, or array, to the next one."""
    by_key = {each.past.key: least_squares([each], {"own": COLUMNS["own"]}) for each in seen}
    if not seen or any(each is None for each in by_key.values()):
        return
    every = list(program.steps)
    layers = [name for name, step in program.steps.items() if step.weights]
    orders = (layers, False), (layers[::-1], True), (every, False), (every[::-1], True)
    for (names, turned), arrays, goes_on in product(orders, (False, True), (True, False)):
        places = [(name, w) for name in names for w in program.steps[name].weights]
        turns = {place: number if arrays else names.index(place[0]) for number, place in enumerate(places)}
        count = (len(places) if arrays else len(names)) * goes_on  # or begins anew in each step
        at = {key: (key[0] - 1) * count + turns[key[1:]] for key in by_key}
        share = _share_of_turns(at, by_key)
        if share is not None:
            yield words.decaying(share, at, arrays, turned)


def _share_of_turns(at: dict[Key, int], by_key: dict[Key, Solved | None]) -> float | None:
    """The number whose powers, from the first or the second, are the factors of all turns."""
    last = max(at, key=lambda key: at[key])
    solved = by_key[last]
    if solved is None or at[last] < MANY_TURNS or not 0 < solved["own"] < 1:
        return None
    share = float(f"{solved['own'] ** (1 / at[last]):.3g}")
    near = (each is not None and each.near("own", share ** at[key]) for key, each in by_key.items())
    return share if all(near) else None


def _alike(program: Program, seen: Seen) -> list[Place]:
    """The other weights of the same shape."""
    places = [(layer, each) for layer, step in program.steps.items() for each in step.weights]
    return [
        place for place in places if place != seen.place and seen.past.env[0, *place].value.shape == seen.step.shape
    ]


def own_sizes(seen: list[Seen]) -> Iterator[Rule]:
    """Steps of one size, and optimisers that scale each gradient."""
    last = max(each.past.t for each in seen)
    if last == 1:
        yield from _sized_once(seen)
        return
    size = least_squares(seen, {"sign": lambda past: np.sign(past.gradient())})
    if size is not None and size.shows("sign"):
        yield words.one_size(size["sign"], last > 1)
    first = [each for each in seen if each.past.t == 1]
    rough = least_squares(first, {"sign": lambda past: np.sign(past.gradient())}, room=1e-3) if first else size
    if rough is None and all(_is_of_one_size(each) for each in first):
        for each in that_count_arrays():
            solved = sized(seen, each)
            if solved is not None:
                yield words.direction(each, solved["rate"], 1)
    if rough is None and not _may_decay(first):
        return
    for each in directions():
        solved = sized(seen, each)
        if solved is not None:
            yield words.direction(each, solved["rate"], 1)
    for epsilon in EPSILONS[:2]:
        adam = Adam(epsilon=epsilon)
        columns: dict[str, Column] = {
            "rate": partial(stepped_by, adam, rate=1.0),
            "weight": COLUMNS["weight"],
        }
        solved = least_squares(seen, columns)
        if solved is not None and solved.shows("rate") and 0 < solved["weight"] / solved["rate"] < 1:
            decay = solved["weight"] / solved["rate"]
            yield words.adamw(solved["rate"], decay, decoupled(AdamW(epsilon=epsilon, decay=decay), solved["rate"]))
        for decay in USUAL_DECAYS:
            l2 = Adam(epsilon=epsilon, decay=decay)
            solved = least_squares(seen, {"rate": partial(stepped_by, l2, rate=1.0)})
            if solved is not None and solved.shows("rate"):
                yield words.adam_decayed(l2, solved["rate"])


def _sized_once(seen: list[Seen]) -> Iterator[Rule]:
    """Steps of one size in the first step alone, which is the same for the sign and several optimisers."""
    plain = least_squares(seen, {"rate": lambda past: np.sign(past.gradient())})
    if plain is not None and plain.shows("rate"):
        yield words.one_size(plain["rate"], False)
    for each in directions():
        if each.id in ("adagrad", "rmsprop") and (solved := sized(seen, each)):
            yield words.one_size(solved["rate"] * each.first, False, each)
    columns: dict[str, Column] = {"rate": lambda past: np.sign(past.gradient()), "weight": COLUMNS["weight"]}
    for by in (None, *(each for each in directions() if each.id == "adagrad")):
        solved = least_squares(seen, {**columns, "rate": by.of} if by else columns)
        if solved is not None and solved.shows("rate") and solved.shows("weight"):
            yield words.sized_and_shrunk(solved["rate"], solved["weight"], by)


def _is_of_one_size(seen: Seen) -> bool:
    """Whether the numbers of an array move by one size, but for a few whose gradients are next to nothing."""
    sizes = np.abs(seen.step).reshape(-1)
    middle = float(np.median(sizes))
    return bool(middle > 0 and (np.abs(sizes - middle) < 1e-3 * middle).mean() > 0.5)


def _may_decay(first: list[Seen]) -> bool:
    """Whether the first steps may be of one size but for a share of the weights, or of all but a few."""
    sizes = np.concatenate([np.abs(each.step).reshape(-1) for each in first]) if first else np.zeros(1)
    middle = float(np.median(sizes))
    return bool(middle > 0 and (np.abs(sizes - middle) < 0.2 * middle).mean() > 0.5)


def clipped(seen: list[Seen]) -> Iterator[Rule]:
    """Steps cut off at a limit, by value, or by the norm of each array; and weights that are."""
    sizes = [float(np.abs(each.step).max(initial=0) / each.past.rate) for each in seen if each.is_wrong]
    rooms = [float(each.room.max(initial=0) / each.past.rate) for each in seen if each.is_wrong]
    if sizes:
        yield words.clipped_by_value(rounded(max(sizes), max(rooms)), 1)
    limits = []
    for each in seen:
        own = least_squares([each], {"own": COLUMNS["own"]})
        if own is None:
            break
        if not own.near("own", 1.0):
            gradient = each.past.gradient()
            limits.append(own["own"] * float(np.sqrt((gradient * gradient).sum())))
    else:
        if limits and max(limits) - min(limits) < 1e-3 * max(limits):
            yield words.clipped_by_norm(rounded(float(np.median(limits)), 1e-4 * max(limits)), 1, of_each=True)
    after = [np.abs(each.past.weight() - each.step) for each in seen if each.is_wrong]
    if any(each.any() for each in after):
        yield words.weights_clipped(max(float(each.max(initial=0)) for each in after), 1)
