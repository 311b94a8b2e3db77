"""Cases to hold the checker against, and answers with mistakes: a right program some of whose passes are made wrong."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import plaingrad as pg
from plaingrad.checking.case import Case
from plaingrad.checking.catalogue import CATALOGUE, applicable
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Env, Key, exact
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array

UNIT = 2.0**-53
SINGLE = 2.0**-24
Place = tuple[str, str]  # layer or "loss", quantity
Wrong = Callable[[Context], Any]  # an array, or terms; None where it cannot happen


PLAIN = (  # square windows, and one row and column of padding on each side
    *(pg.Conv(3, size=3, padding=1), pg.ReLU(), pg.MaxPool(3, stride=2)),
    *(pg.Conv(5, size=3, stride=2, padding=1), pg.ReLU(), pg.Flatten(), pg.Dense(6)),
)


MODERN = ("normalised", "features")  # networks of normalisations, skips, Dropout and smooth activations


@functools.cache
def networks() -> dict[str, Case]:
    """Networks unlike each other; between them every kind of layer, of loss, and every setting of a window."""
    smooth = (
        *(pg.Conv(3, size=3, padding=1), pg.Tanh(), pg.MeanPool(3, stride=2)),
        *(pg.Conv(4, size=2), pg.LeakyReLU(0.125), pg.L2Pool(2, stride=1), pg.Flatten()),
        *(pg.Dense(5), pg.Sigmoid(), pg.Dense(4), pg.Softmax()),
    )
    dense = (pg.Flatten(), pg.Dense(7), pg.Sigmoid(), pg.Dense(6), pg.Tanh(), pg.Dense(4), pg.Sigmoid())
    grouped = (
        *(pg.Conv(4, size=(3, 2), padding="same", groups=2, bias=False), pg.LeakyReLU(0.25)),
        *(pg.Conv(6, size=2, stride=(2, 3), dilation=(2, 1), groups=2), pg.ReLU()),
        *(pg.Flatten(), pg.Dense(4, bias=False)),
    )
    norms = (
        *(pg.Conv(3, size=2), pg.ReLU(), pg.L2Pool(3, stride=2), pg.Conv(2, size=2, dilation=(1, 2)), pg.Tanh()),
        *(pg.MeanPool(2, padding=1), pg.Flatten(), pg.Dense(3)),
    )
    single = (pg.Conv(4, size=3), pg.ReLU(), pg.MaxPool(3, stride=2, padding=1), pg.Flatten(), pg.Dense(5))
    square = (  # a pool of numbers of either sign
        *(pg.Conv(3, size=3, padding=1), pg.MaxPool(2), pg.ReLU()),
        *(pg.Conv(3, size=3), pg.ReLU(), pg.Flatten(), pg.Dense(3)),
    )
    normalised = (
        *(pg.Conv(4, size=3, padding=1), pg.BatchNorm(epsilon=0.125, momentum=0.375), pg.ELU(0.75)),
        *(pg.Conv(6, size=(3, 2), padding="same"), pg.GroupNorm(2, epsilon=0.125), pg.Add("elu1"), pg.SiLU()),
        *(pg.Dropout(0.375), pg.GlobalMeanPool(), pg.Dense(3)),
    )
    features = (
        *(pg.Flatten(), pg.Dense(6), pg.GELU(), pg.Dense(6), pg.BatchNorm(epsilon=0.125), pg.Add("gelu1")),
        *(pg.TanhGELU(), pg.Dropout(0.25), pg.Dense(4)),
    )
    return {
        "thorough": make_case(),
        "smooth": make_case(smooth, seed=1),
        "dense": make_case(dense, (1, 2, 4), loss=pg.MeanSquaredError(), images=3, rate=0.1875, seed=2),
        "grouped": make_case(grouped, (4, 7, 8), images=3, seed=3),
        "norms": make_case(norms, (2, 9, 8), loss=pg.HalfSquaredError(), images=3, rate=0.0625, seed=4),
        "single": make_case(single, (2, 9, 7), images=1, seed=5),
        "square": make_case(square, (3, 8, 8), images=3, seed=6),
        "simple": make_case(simple=True),
        "normalised": make_case(normalised, (2, 5, 4), images=3, seed=8),
        "features": make_case(features, (1, 2, 4), images=5, loss=pg.HalfSquaredError(), seed=7),
    }


def tied(case: Case, seed: int) -> Case:
    """The same network with patches that are all alike, pixels and whole channels that are 0, and weights that are 0.

    Maxima tie, ReLUs meet exactly 0.
    """
    rng = np.random.default_rng(seed)
    batches = []
    for batch in case.batches:
        x = batch.x.copy()
        for image in x:
            kind = rng.integers(5)
            if kind == 0:
                image[..., : max(image.shape[-1] // 2, 1)] = rng.integers(-2, 3) / 4
            elif kind == 1:
                image[rng.integers(len(image))] = 0
            elif kind == 2:
                image[...] = np.round(image)
            elif kind == 3:
                image[..., : max(image.shape[-2] // 2, 1), :] = 0
        batches.append(replace(batch, x=x))
    net = case.net.copy()
    for name, array in case.net.arrays.items():
        kept = rng.random(array.shape) > 0.3
        net.arrays[name][...] = np.where(kept, np.round(array * 4) / 4, 0)
    first = next(name for name in net.arrays)
    net.arrays[first][0] = 0
    if first.replace(".w", ".b") in net.arrays:
        net.arrays[first.replace(".w", ".b")][0] = 0
    return replace(case, net=net, batches=tuple(batches))


@dataclass(frozen=True)
class Site:
    """A place in a network where a form of a mistake of the catalogue can be made."""

    network: str
    place: Place
    id: str
    form: int


def told_how_much(id: str, context: Context) -> Context:
    """For a mistake that asks how much the program was off: the pass of a program that was off by a usual share."""
    if id not in HOW_MUCH:
        return context
    off = HOW_MUCH[id](context)
    return context if off is None else replace(context, given=context.expected + off)


def momentum(context: Context) -> "Array | None":
    """Nine tenths of the step before."""
    before = (context.step - 1, context.name, "d" + context.weight)
    return -0.9 * context.rate * context.env[before].value if before in context.env else None


def redrawn(context: Context) -> Array:
    """The error with a mask of its own."""
    stays = np.random.default_rng(context.step).random(context.dy.shape) > context.owner.rate
    return context.dy * stays / (1 - context.owner.rate)


HOW_MUCH: dict[str, Wrong] = {
    "momentum-added": momentum,
    "mask-drawn-anew": lambda context: redrawn(context) - context.expected if context.quantity == "dx" else None,
    "weights-shrunk": lambda context: -0.01 * context.weights[context.weight],
    "weight-decay-added": lambda context: 0.01 * context.weights[context.weight],
}


def form_of(id: str, form: int) -> Wrong:
    """One form of a mistake of the catalogue."""

    def wrong(context: Context) -> "Array | Terms | None":
        context = told_how_much(id, context)
        made = next((each for number, each in enumerate(CATALOGUE[id].wrong(context)) if number == form), None)
        return made if made is None or isinstance(made, Terms) else np.asarray(made)

    return wrong


def played(case: Case, wrongs: dict[Place, Wrong], single: bool = False) -> tuple[dict[Key, Array], set[Key]]:
    """All arrays of a program with these passes made wrong, and the passes that came out otherwise for it.

    `single`: each array is rounded to float32 before the next is made of it.
    """
    program = Program(case, UNIT)
    env, changed = program.start(), set()
    with np.errstate(all="ignore"):
        for key in program.keys:
            right = program.value(key, env)
            made = right
            if key[1:] in wrongs:
                found = wrongs[key[1:]](Context(program, key, env, right))
                if isinstance(found, Terms):
                    program.other[key[1]] = found
                    found = Context(program, key, env, right).sum(found)
                made = right if found is None else np.array(found, float)
                if differs(made, right):
                    changed.add(key)
            if single:
                made = made.astype(np.float32).astype(float)
            env[key] = exact(made)
    return {key: env[key].value for key in program.keys}, changed


def differs(made: Array, right: Array) -> bool:
    """Whether an array is another one by more than six digits, or four where few are printed, can hide.

    These networks make numbers of about 1: what is less than 1e-12 is 0 up to rounding, as the gradient of a bias is
    before a normalisation, and so is any multiple of it.
    """
    return not np.allclose(made, right, rtol=0, atol=max(1e-4 * float(np.abs(right).max(initial=0)), 1e-12))


def contexts(network: str) -> Iterator[Context]:
    """Every pass of a right program, in order."""
    program = Program(networks()[network], UNIT)
    env: Env = program.start()
    with np.errstate(all="ignore"):
        for key in program.keys:
            right = program.value(key, env)
            yield Context(program, key, env, right)
            env[key] = exact(right)


@functools.cache
def sites(network: str) -> tuple[Site, ...]:
    """Every form of every mistake of the catalogue at every place of a network where it changes the numbers."""
    found: dict[Site, None] = {}
    for context in contexts(network):
        for mistake in applicable(context):
            for form, made in enumerate(mistake.wrong(told_how_much(mistake.id, context))):
                array = context.sum(made) if isinstance(made, Terms) else np.asarray(made)
                if np.isfinite(array).all() and differs(array, context.expected):
                    found.setdefault(Site(network, context.key[1:], mistake.id, form))
    return tuple(found)


@functools.cache
def alike(network: str) -> dict[tuple[Place, str, int], frozenset[str]]:
    """For each form of a mistake at a place the other mistakes that give the same numbers there, in every step."""
    made: dict[Place, list[dict[tuple[str, int], Array]]] = {}
    for context in contexts(network):
        forms = {}
        for mistake in applicable(context):
            for form, each in enumerate(mistake.wrong(told_how_much(mistake.id, context))):
                forms[mistake.id, form] = context.sum(each) if isinstance(each, Terms) else np.asarray(each)
        made.setdefault(context.key[1:], []).append(forms)
    found = {}
    with np.errstate(all="ignore"):
        for place, steps in made.items():
            for one in {name for forms in steps for name in forms}:
                others = {id for forms in steps for id, _ in forms} - {one[0]}
                found[(place, *one)] = frozenset(
                    id
                    for id in others
                    if all(
                        any(is_same(forms, one, two) for two in forms if two[0] == id)
                        for forms in steps
                        if one in forms
                    )
                )
    return found


def is_same(forms: dict[tuple[str, int], Array], one: tuple[str, int], two: tuple[str, int]) -> bool:
    """Whether two mistakes make the same array, up to what rounding in float64 can do to it."""
    size = float(np.abs(forms[one]).max(initial=0))
    return bool(np.abs(forms[one] - forms[two]).max(initial=0) <= 1e-12 * size)


def places(network: str) -> list[Place]:
    """Every pass of a network's step."""
    return list(dict.fromkeys(key[1:] for key in Program(networks()[network], UNIT).keys))


def finite(arrays: dict[Key, Array]) -> bool:
    """Whether a program kept to the finite numbers, of a size that float32 has."""
    return all(np.isfinite(array).all() and np.abs(array).max(initial=0) < 1e30 for array in arrays.values())
