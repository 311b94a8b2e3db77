"""Other right ways, followed through a whole answer: sums for means, turned signs, a true convolution and the like.

A convention is what a program does in certain passes of every step. It is taken up where fewer passes disagree with it
than without, and the answer is then searched as that of such a program.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod

import numpy as np

from plaingrad.checking.answers.layout import Order, Reading
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.search.findings import Finding, Fit, form_of, forms_of
from plaingrad.checking.search.passes import Env, Key, Way, exact
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.rounding import ratio
from plaingrad.checking.search.uncertainty import Program
from plaingrad.textbook.losses import HalfSquaredError, MeanSquaredError

NEAR = 2e-2
"""By how much the factor seen in printed numbers may miss the one that is meant; the passes decide in the end."""
Place = tuple[str, str]  # layer or "loss", quantity
LOSS: Place = ("loss", "y")


@dataclass(frozen=True)
class Convention:
    """What a program does otherwise: factors, ways and terms by pass, orders by kind of array; and the words for it."""

    id: str
    title: str
    advice: str = ""
    factors: Mapping[Place, float] = field(default_factory=dict)
    ways: Mapping[Place, Way] = field(default_factory=dict)
    terms: Mapping[str, Terms] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)

    @property
    def places(self) -> list[Place]:
        """The passes it is about."""
        return [*self.factors, *self.ways, *((layer, "y") for layer in self.terms)]

    def taken_up(self, program: Program) -> None:
        """Let a program do so."""
        for place, factor in self.factors.items():
            program.factors[place] = program.factors.get(place, 1.0) * factor
        program.ways |= self.ways
        program.other |= self.terms


def conventions(
    program: Program, found: list[Finding], arrays: Mapping[Key, list[Reading]], groups: Mapping[Key, str]
) -> Iterator[Convention]:
    """The conventions that may be worth a try, where these passes disagree."""
    yield from _orders(program, arrays, groups)
    yield from _factors(program, found, arrays)
    truth = _truth(program)
    for ids in PAIRS if any(key[1:] == ("loss", "dx") for key in arrays) else ():  # else it is the same
        yield from _pairs(program, truth, ids)
    for id, each in CATALOGUE.items():
        if each.convention and id not in dict(PAIRS):
            yield from _throughout(program, truth, id)


SUMMED = "summed-over-the-batch"
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
        for order in sorted(orders, key=str):
            yield Convention(f"layout-{group}", "", orders={group: order})


def _seen(program: Program, finding: Finding) -> float | None:
    """The factor at which a gradient, or the step of an update, stands to the right one."""
    if program.is_update(finding.key):
        before = program.start()[0, finding.key[1], finding.key[2]].value if finding.key[0] == 1 else None
        return None if before is None else ratio(finding.given - before, finding.expected - before, NEAR)
    return ratio(finding.given, finding.expected, NEAR)


def _factors(program: Program, found: list[Finding], arrays: Mapping[Key, list[Reading]]) -> Iterator[Convention]:
    """A sum for a mean, ½ left out, signs turned: a factor of the loss, or of its gradient and so of all others."""
    known = list(_known(program))
    seen = {key: each for key, each in ((each.key, _seen(program, each)) for each in found) if each is not None}
    of_loss = [factor for key, each in seen.items() if key[1:] == LOSS for factor in _meant(each, known)]
    for factor in dict.fromkeys(of_loss):
        yield Convention(*factor.words(), factors={LOSS: factor.value})
    of_loss += _meant(program.factors.get(LOSS, 1.0), known)
    backward = dict.fromkeys(each for key, each in seen.items() if key[2] != "y")
    squared = isinstance(program.case.loss, HalfSquaredError | MeanSquaredError)
    told = any(key[1:] == LOSS for key in arrays)
    for factor in dict.fromkeys(factor for each in backward for factor in _meant(each, known)):
        # Factors other than that of the batch are the loss's own, if it is told; only a square has a 2 to leave out.
        if factor in of_loss or factor.ids == (SUMMED,) or (squared and not told):
            yield from _backward(program, factor, 1.0)
    for factor in dict.fromkeys(factor for each in backward for factor in _meant(-each, [Factor((), 1.0), *known])):
        yield from _backward(program, factor, -1.0)


@dataclass(frozen=True)
class Factor:
    """A factor in use, and the entries of the catalogue that make it up."""

    ids: tuple[str, ...]
    value: float

    def words(self) -> tuple[str, str, str]:
        """Identity, title and advice."""
        told = [CATALOGUE[each] for each in self.ids]
        return "+".join(self.ids), "; ".join(each.title for each in told), " ".join(each.advice for each in told)


def _known(program: Program) -> Iterator[Factor]:
    """The factors in use, those made up of few first."""
    images, outputs = float(program.case.images), float(prod(program.case.net.output))
    parts = ((SUMMED, (images,)), ("averaged-over-outputs", (1 / outputs, outputs)), ("doubled-or-halved", (2.0, 0.5)))
    for count in range(1, len(parts) + 1):
        for chosen in itertools.combinations(parts, count):
            for values in itertools.product(*(values for _, values in chosen)):
                if prod(values) != 1:
                    yield Factor(tuple(id for id, _ in chosen), prod(values))


def _meant(seen: float, known: list[Factor]) -> list[Factor]:
    return [factor for factor in known if abs(seen - factor.value) <= NEAR * factor.value]


NEGATED = ("negated", "gradients are negated: they point downhill", "Negated gradients need += in the update.")


def _backward(program: Program, factor: Factor, sign: float) -> Iterator[Convention]:
    """The gradient of the loss times a factor; the rate, or the weights' gradients, may make up for its size."""
    words = factor.words()
    if sign < 0:
        id, title, advice = ("; ".join(filter(None, pair)) for pair in zip(words, NEGATED, strict=True))
        words = id, title, advice
    layers = program.steps.items()
    slopes = [(name, "d" + weight) for name, step in layers for weight in step.weights]
    updates = [(name, weight) for name, step in layers for weight in step.weights]
    at_loss = {("loss", "dx"): sign * factor.value}
    for rate in dict.fromkeys((1.0, factor.value)):
        yield Convention(*words, factors=at_loss | {place: sign / rate for place in updates if sign / rate != 1})
    if factor.ids == (SUMMED,):
        turned = {place: sign for place in updates if sign != 1}
        yield Convention(*EACH, factors=at_loss | turned | dict.fromkeys(slopes, 1 / factor.value))


EACH = (
    "each-image-by-itself",
    "errors are gradients of the loss of each image, and the gradients of weights are means over the images",
    "",
)


def _throughout(program: Program, truth: Env, id: str) -> Iterator[Convention]:
    """A convention kept by all layers of a kind: each of its forms, where it makes a difference."""
    by_form: dict[int, list[Fit]] = {}
    for key in program.keys[: len(program.keys) // len(program.case.batches)]:
        for fit in _forms(program, key, truth, id):
            by_form.setdefault(fit.form, []).append(fit)
    for fits in by_form.values():
        terms = {fit.key[1]: fit.terms for fit in fits if fit.terms is not None}
        ways = {fit.key[1:]: partial(form_of, fit) for fit in fits if fit.key[1] not in terms}
        if any(not np.array_equal(fit.made, truth[fit.key].value) for fit in fits):
            yield Convention(id, CATALOGUE[id].title, CATALOGUE[id].advice, ways=ways, terms=terms)


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
