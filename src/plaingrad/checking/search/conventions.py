"""Other right ways, followed through a whole answer: sums for means, turned signs, a true convolution and the like.

A convention is what a program does in certain passes of every step. It is taken up where fewer passes disagree with it
than without, and the answer is then searched as that of such a program.

What a right program in a known convention could have answered is right: mistakes are looked for only in what no
convention makes. There are two exceptions, where a mistake is far more usual than the convention, and the answer has
to show the convention by more than the numbers that are in question. A gradient of kernels that is turned is that of
kernels kept turned only where these, or what was made with them after a step, are told (`Convention.is_allowed`). And a
loss whose gradient is that of another size is right only where the division that comes later is told (`_shows`).

Over 300 lines, since every convention stands beside the others.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import prod

import numpy as np

from plaingrad.checking.answers.layout import AXES, Order, Reading, backwards, fitting
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.search import weighed
from plaingrad.checking.search.findings import Finding, Fit, form_of, forms_of
from plaingrad.checking.search.memo import Memo
from plaingrad.checking.search.passes import Env, Estimate, Key, Way, exact
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.scaled import (
    LOSS,
    Place,
    advice_of,
    compared,
    factor_of,
    factor_seen,
    factors_of,
    shows,
)
from plaingrad.checking.search.scales import scaled
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import Conv, Dense, Flatten

Relaid = Callable[[Array], Array]
GRADIENT: Place = ("loss", "dx")
BY_POSITION = "bias-for-each-position"
FLATTENED, TURNED_BY_LAYER = "layout-flattened", "layout-kernels-turned"
FLATTENED_ALONE = "flattened-in-another-order"  # of the catalogue: the weights after them are those of the case
ORDER = "Positions in this report follow the order of the case."


@dataclass(frozen=True)
class Convention:
    """What a program does otherwise, and the words for it.

    `factors`, `ways` and `terms` by pass, `orders` by kind of array; `relaid` are functions from an answered array to
    one laid out as the case has it.
    """

    id: str
    title: str
    advice: str = ""
    factors: Mapping[Place, float] = field(default_factory=dict)
    ways: Mapping[Place, Way] = field(default_factory=dict)
    terms: Mapping[str, Terms] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    relaid: Mapping[Place, Relaid] = field(default_factory=dict)

    @property
    def is_scale(self) -> bool:
        """Whether it is about how the loss is added up, or where it is divided."""
        return any(place[0] == "loss" for place in self.factors)

    @property
    def orders_alone(self) -> "Convention":
        """The order of axes that it goes with, alone."""
        return Convention("layout", "", orders=self.orders)

    def is_instead_of(self, other: "Convention") -> bool:
        """Whether both tell the same of a program in two ways: how it scales the loss, or how it flattens."""
        of_flattening = {self.id, other.id} <= {FLATTENED, FLATTENED_ALONE}
        return of_flattening or (self.is_scale and other.is_scale)

    @property
    def places(self) -> list[Place]:
        """The passes it is about."""
        return [*self.factors, *self.ways, *((layer, "y") for layer in self.terms), *self.relaid]

    def as_the_case(self, key: Key, readings: list[Reading], memo: Memo) -> list[Reading]:
        """The readings of an array with its numbers laid out as the case has them."""
        laid = self.relaid.get(key[1:])
        if laid is None:
            return readings
        return [
            replace(each, array=memo.of(("laid", laid), [each.array], partial(laid, each.array))) for each in readings
        ]

    def straightens(self, found: list[Finding], program: Program, precision: Precision) -> bool:
        """Whether an array that disagrees is what it should be, or that times a factor, once it is laid out so."""
        laid = ((each, self.relaid[each.key[1:]]) for each in found if each.key[1:] in self.relaid)
        return any(
            factor_seen(program, replace(each, given=order(each.given)), precision) is not None for each, order in laid
        )

    def is_allowed(self, found: list[Finding], left: list[Finding], program: Program) -> bool:
        """Whether what it mends is more than the arrays that it lays out otherwise, or shows weights kept so.

        A gradient that alone is laid out otherwise may be a mistake. One of a later step was made with the kernels of
        the step before: had their gradient been turned by mistake they would be others, and so would it. Where maps are
        flattened in another order, no mistake makes such numbers.
        """
        if not self.relaid or self.id != TURNED_BY_LAYER:
            return True
        wrong = {each.key for each in left}
        mended = {each.key for each in found} - wrong
        return any(
            program.is_update(key)
            or key[1:] not in self.relaid
            or (key[0] > 1 and not wrong & set(program.weight_keys(key).values()))
            for key in mended
        )

    def taken_up(self, program: Program) -> None:
        """Let a program do so."""
        for place, factor in self.factors.items():
            program.factors[place] = program.factors.get(place, 1.0) * factor
        program.ways |= self.ways
        program.other |= self.terms


def conventions(
    program: Program,
    found: list[Finding],
    arrays: Mapping[Key, list[Reading]],
    groups: Mapping[Key, str],
    precision: Precision,
) -> Iterator[Convention]:
    """The conventions that may be worth a try, where these passes disagree."""
    yield from _orders(program, arrays, groups)
    yield from along(program, found, arrays, groups, precision)
    truth = _truth(program)
    for ids in PAIRS if any(key[1:] == ("loss", "dx") for key in arrays) else ():  # else it is the same
        yield from _pairs(program, truth, ids)
    back = _backwards(arrays, groups)
    for id, each in CATALOGUE.items():
        if each.convention and id not in dict(PAIRS):
            for convention in _throughout(program, truth, id):
                yield convention
                if back:
                    yield replace(convention, orders=back)


def along(
    program: Program,
    found: list[Finding],
    arrays: Mapping[Key, list[Reading]],
    groups: Mapping[Key, str],
    precision: Precision,
) -> Iterator[Convention]:
    """Those that change no pass but by a factor, or in which order its numbers are kept."""
    yield from relaying(program, arrays)
    yield from _scales(program, found, arrays, precision)
    yield from _directions(program, arrays)
    for id, title, way in weighed.ways(program.case):
        yield Convention(id, title, ways={LOSS: way, GRADIENT: way})
    yield from by_position(program, groups)


def relaying(program: Program, arrays: Mapping[Key, list[Reading]]) -> Iterator[Convention]:
    """Those that keep numbers in another order than the case."""
    yield from _flattened(program, arrays)
    yield from _turned(program, arrays)


PAIRS = (("fused-with-softmax", "softmax-skipped"), ("two-classes", "softmax-diagonal"))
"""Softmax and loss differentiated as one; or two wrongs that give the right error together."""


def _truth(program: Program) -> Env:
    env = program.start()
    for key in program.keys:
        env[key] = exact(program.value(key, env))
    return env


def _orders(program: Program, arrays: Mapping[Key, list[Reading]], groups: Mapping[Key, str]) -> Iterator[Convention]:
    """Weights kept in another order. A gradient alone in such an order tells nothing: it may be a mistake."""
    kinds: dict[str, set[Order]] = {}
    for key, readings in arrays.items():
        if program.is_update(key):
            kinds.setdefault(groups[key], set()).update(each.order for each in readings[1:])
    for group, orders in kinds.items():
        for order in sorted(orders):
            yield Convention(f"layout-{group}", "", orders={group: order})


def _backwards(arrays: Mapping[Key, list[Reading]], groups: Mapping[Key, str]) -> Mapping[str, Order]:
    """All axes the other way round, where shapes leave that open; numbers that are others besides do not tell either.

    With as many rows as columns, Julia's order of maps is like that of maps turned over.
    """
    shared = fitting(arrays, groups)
    return {group: backwards(group) for group, each in shared.items() if group in AXES and {backwards(group)} < each}


def _flattened(program: Program, arrays: Mapping[Key, list[Reading]]) -> Iterator[Convention]:
    """Maps flattened in another order, and the weights of the next dense layer in the same: the case's own network."""
    places = [place for name in program.names for place in _flat_places(program, name)]
    if not any(key[1:] in places for key in arrays):
        return
    axes = ("channel", "row", "column")
    for order in itertools.permutations(range(3)):
        relaid: dict[Place, Relaid] = {}
        for name in program.names:
            of_flat = _flat_places(program, name)
            read = _reading(program.steps[name].x, order) if of_flat else None
            if read is not None:
                relaid |= dict.fromkeys(of_flat, read)
        if relaid:
            title = f"feature maps are flattened as ({', '.join(axes[axis] for axis in order)})"
            yield Convention(
                FLATTENED, f"{title}, and the weights after them are in the same order", ORDER, relaid=relaid
            )


@lru_cache(maxsize=64)
def _reading(shape: tuple[int, ...], order: Order) -> Relaid | None:
    """How to read what is flattened in another order; None where it is the same. The same object for the same order."""
    index = np.argsort(np.arange(prod(shape)).reshape(shape).transpose(order).reshape(-1))
    return partial(_read, index=index) if (np.diff(index) != 1).any() else None


def _read(array: Array, index: Array) -> Array:
    return array[..., index]


def _flat_places(program: Program, name: str) -> list[Place]:
    """The arrays whose last axis is that of a flattening's outputs; none where it flattens no maps."""
    step = program.steps[name]
    if not isinstance(step.layer, Flatten) or len(step.x) != 3:
        return []
    places = [(name, "y")]
    for after in program.names[program.names.index(name) + 1 :]:
        layer = program.steps[after].layer
        if isinstance(layer, Dense):
            return [*places, (after, "dx"), (after, "dw"), (after, "w")]
        places += [(after, "y"), (after, "dx")]
    return [*places, ("loss", "dx")]


def _turned(program: Program, arrays: Mapping[Key, list[Reading]]) -> Iterator[Convention]:
    """Kernels kept turned, in some layers; where their gradients alone are told, what they lead to has to show it."""
    layers = [
        name
        for name, step in program.steps.items()
        if isinstance(step.layer, Conv)
        and prod(step.layer.window.size) > 1
        and any(key[1:] in ((name, "w"), (name, "dw")) for key in arrays)
    ]
    for chosen in _some(layers):
        relaid = {(name, quantity): _rotated for name in chosen for quantity in ("w", "dw")}
        yield Convention(TURNED_BY_LAYER, "kernels are stored rotated by 180°", ORDER, relaid=relaid)


def _rotated(kernels: Array) -> Array:
    return kernels[:, :, ::-1, ::-1]


def by_position(program: Program, groups: Mapping[Key, str]) -> Iterator[Convention]:
    """A bias for each position of a map: each moves by its own gradient, their mean by the mean of these.

    None where one for each filter is told.
    """
    layers = [name for name, step in program.steps.items() if isinstance(step.layer, Conv) and "b" in step.weights]
    told = {group for key, group in groups.items() if key[1] in layers and key[2] in ("b", "db")}
    shows = BY_POSITION in told or (not told and len(program.case.batches) > 1)  # else it shows in a second step
    if layers and shows:
        factors: dict[Place, float] = {(name, "b"): 1 / prod(program.steps[name].y[1:]) for name in layers}
        title = "there is one bias for each position of a map"
        ways: dict[Place, Way] = {(name, "y"): _with_own_biases for name in layers}
        yield Convention(BY_POSITION, title, "The case has one for each filter.", factors, ways)


def _with_own_biases(program: Program, key: Key, env: Mapping[Key, Estimate], made: Array) -> Array:
    """The output of a convolution whose biases moved apart in the steps before."""
    t, name, _ = key
    for before in range(1, t):
        own = program.known(program.dy_key((before, name, "db")), env).value.sum(axis=0)
        rate = program.rate((before, name, "b")) * prod(own.shape[1:])
        made = made - rate * program.factors.get((name, "db"), 1.0) * (own - own.mean(axis=(1, 2), keepdims=True))
    return made


def _scales(
    program: Program, found: list[Finding], arrays: Mapping[Key, list[Reading]], precision: Precision
) -> Iterator[Convention]:
    """The programs of the tables, of which a factor is seen in some pass that disagrees.

    Where the first of these is made with weights after a step, no factor has to be seen in it. Where the shape of an
    array leaves open in which order its axes are, a factor may be seen in any of them.

    One program has one, for a product of two is in no table. Where one is taken, another with the same gradient of the
    loss may be tried in its place.
    """
    images = 1 if weighed.is_weighed(program.case) else program.case.images  # by which nobody multiplies a mean
    every = scaled(program.case.loss, images, prod(program.case.net.output))
    if any(place in program.factors for place in (LOSS, GRADIENT)):
        for each in every:
            factors = factors_of(program, each)
            is_like = factors.get(GRADIENT, 1.0) == program.factors.get(GRADIENT, 1.0)
            if is_like and shows(each, program, arrays):
                yield Convention("+".join(each.ids), each.title, advice_of(each), factors=factors)
        return
    seen = [(each.key, compared(program, read, precision)) for each in found for read in _in_any_order(each, arrays)]
    is_later = bool(found) and found[0].key[0] > 1
    for each in every:
        is_seen = is_later or any(
            compared is not None and (factor := factor_of(program, each, key)) != 1 and compared.is_times(factor)
            for key, compared in seen
        )
        if is_seen and shows(each, program, arrays):
            yield Convention("+".join(each.ids), each.title, advice_of(each), factors=factors_of(program, each))


def _directions(program: Program, arrays: Mapping[Key, list[Reading]]) -> Iterator[Convention]:
    """Gradients of weights kept negated, as the direction of the step: where no weight after one is told, a mistake."""
    if any(program.is_update(key) for key in arrays):
        weights = [(name, weight) for name, step in program.steps.items() for weight in step.weights]
        places = (place for name, weight in weights for place in ((name, "d" + weight), (name, weight)))
        title = "gradients of weights are kept negated, as the direction of the step, which is added"
        yield Convention("negated", title, "Errors are not negated.", factors=dict.fromkeys(places, -1.0))


def _in_any_order(finding: Finding, arrays: Mapping[Key, list[Reading]]) -> Iterator[Finding]:
    """An array that disagrees, read in each order that its shape leaves open."""
    for reading in arrays[finding.key]:
        yield replace(finding, given=reading.array)


def _throughout(program: Program, truth: Env, id: str) -> Iterator[Convention]:
    """A convention kept by all layers of a kind: each of its forms, where it makes a difference."""
    by_form: dict[int, list[Fit]] = {}
    for key in program.keys[: len(program.keys) // len(program.case.batches)]:
        for fit in _forms(program, key, truth, id):
            by_form.setdefault(fit.form, []).append(fit)
    for fits in by_form.values():
        changed = {fit.key for fit in fits if not np.array_equal(fit.made, truth[fit.key].value)}
        other = [fit for fit in fits if fit.terms is not None and fit.key in changed]
        terms = {fit.key[1]: fit.terms for fit in other if fit.terms is not None}
        plain = [fit for fit in fits if fit.terms is None] if changed else []
        ways: dict[Place, Way] = {fit.key[1:]: partial(form_of, fit) for fit in plain}
        for layers in _some(list(terms)) if terms else [()] if ways else []:
            chosen = {layer: terms[layer] for layer in layers}
            for some in [ways, *_by_kind(program, ways)] if not chosen else [ways]:
                yield Convention(id, CATALOGUE[id].title, CATALOGUE[id].advice, ways=some, terms=chosen)


def _by_kind(program: Program, ways: dict[Place, Way]) -> Iterator[dict[Place, Way]]:
    """The passes of each kind of layer, where there are several: a program may do otherwise in one kind alone."""
    kinds: dict[str, dict[Place, Way]] = {}
    for place, way in ways.items():
        kind = "loss" if place[0] == "loss" else type(program.steps[place[0]].layer).__name__
        kinds.setdefault(kind, {})[place] = way
    yield from kinds.values() if len(kinds) > 1 else ()


MOST_SUBSETS = 5  # layers of which every choice is tried


def _some(layers: list[str]) -> Iterator[tuple[str, ...]]:
    """Layers that may do something otherwise: all, and fewer; of many only those that follow on each other."""
    for count in range(len(layers), 0, -1):
        if len(layers) <= MOST_SUBSETS:
            yield from itertools.combinations(layers, count)
        else:
            yield from (tuple(layers[first : first + count]) for first in range(len(layers) - count + 1))


def _forms(program: Program, key: Key, env: Env, id: str) -> list[Fit]:
    return list(forms_of(program, key, env, env[key].value, None, frozenset(CATALOGUE) - {id}))


def _pairs(program: Program, truth: Env, ids: tuple[str, str]) -> Iterator[Convention]:
    """Two passes after each other that are other than they should be, and right together."""
    keys = [(1, "loss", "dx"), (1, program.names[-1], "dx")]
    fits = [_forms(program, key, truth, id) for key, id in zip(keys, ids, strict=True)]
    for first, then in itertools.product(*fits):
        about = CATALOGUE[ids[0]]
        yield Convention(
            ids[0], about.title, about.advice, ways={fit.key[1:]: partial(form_of, fit) for fit in (first, then)}
        )
