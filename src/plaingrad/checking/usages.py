"""Other right ways, followed through a whole answer: sums for means, turned signs, a true convolution and the like.

A usage is what a program does in certain passes of every step. It is taken up where fewer passes disagree with it than
without, and the answer is then searched as that of such a program.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from plaingrad.checking.bilinear import Terms
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.findings import Finding, Fit, form_of, forms_of
from plaingrad.checking.layout import Order, Reading
from plaingrad.checking.passes import Belief, Env, Key, Way, exact
from plaingrad.checking.rounding import ratio
from plaingrad.checking.slack import Program
from plaingrad.loops import Array
from plaingrad.loss import HalfSquaredError, MeanSquaredError

NEAR = 2e-2
"""By how much the factor seen in printed numbers may miss the one that is meant; the passes decide in the end."""
Place = tuple[str, str]  # layer or "loss", quantity


@dataclass(frozen=True)
class Usage:
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


def usages(program: Program, found: list[Finding], arrays: Mapping[Key, list[Reading]], groups: Mapping[Key, str]) -> Iterator[Usage]:  # fmt: skip  # noqa: E501
    """The usages that may be worth a try, where these passes disagree."""
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


def _orders(program: Program, arrays: Mapping[Key, list[Reading]], groups: Mapping[Key, str]) -> Iterator[Usage]:
    """Weights kept in another order. A gradient alone in such an order tells nothing: it may be a mistake."""
    kinds: dict[str, set[Order]] = {}
    for key, readings in arrays.items():
        if program.is_update(key):
            kinds.setdefault(groups[key], set()).update(each.order for each in readings[1:])
    for group, orders in kinds.items():
        for order in sorted(orders, key=str):
            yield Usage(f"layout-{group}", "", orders={group: order})


def _seen(program: Program, finding: Finding) -> float | None:
    """The factor at which a gradient, or the step of an update, stands to the right one."""
    if program.is_update(finding.key):
        before = program.start()[0, finding.key[1], finding.key[2]].value if finding.key[0] == 1 else None
        return None if before is None else ratio(finding.given - before, finding.expected - before, NEAR)
    return ratio(finding.given, finding.expected, NEAR)


def _factors(program: Program, found: list[Finding], arrays: Mapping[Key, list[Reading]]) -> Iterator[Usage]:
    """A sum for a mean, ½ left out, signs turned: a factor of the loss, or of its gradient and so of all others."""
    known = dict(_known(program))
    seen = {key: each for key, each in ((each.key, _seen(program, each)) for each in found) if each is not None}
    at_loss = [name for key, each in seen.items() if key[1:] == ("loss", "y") for name in _named(each, known)]
    also = [*at_loss, *_named(program.factors.get(("loss", "y"), 1.0), known)]
    squared = isinstance(program.case.loss, HalfSquaredError | MeanSquaredError)
    for name in dict.fromkeys(at_loss):
        yield Usage(*_words(name), factors={("loss", "y"): known[name]})
    backward = [each for key, each in seen.items() if key[2] != "y"]
    for name in dict.fromkeys(name for each in backward for name in _named(each, known)):
        # Factors other than that of the batch are the loss's own, if it is told; only a square has a 2 to leave out.
        if name in also or name == SUMMED or (squared and not any(key[1:] == ("loss", "y") for key in arrays)):
            yield from _backward(program, name, known[name])
    for name in dict.fromkeys(name for each in backward for name in _named(-each, known | {"": 1.0})):
        yield from _backward(program, name, -known.get(name, 1.0))


def _known(program: Program) -> Iterator[tuple[str, float]]:
    """The factors in use, by what makes them."""
    images, outputs = program.case.images, prod(program.case.net.output)
    parts: tuple[dict[str, float], ...] = (
        {"": 1.0, SUMMED: float(images)},
        {"": 1.0, "averaged-over-outputs": 1 / outputs, "averaged-over-outputs ": float(outputs)},
        {"": 1.0, "doubled-or-halved": 2.0, "doubled-or-halved ": 0.5},
    )
    for names in itertools.product(*parts):
        factor = prod(part[name] for part, name in zip(parts, names, strict=True))
        if factor != 1:
            yield "+".join(name for name in names if name), factor


def _named(factor: float, known: Mapping[str, float]) -> list[str]:
    names = [name for name, each in known.items() if abs(factor - each) <= NEAR * abs(each)]
    return sorted(names, key=lambda name: name.count("+"))


def _words(name: str) -> tuple[str, str, str]:
    """Identity, title and advice of a factor, or of several."""
    ids = [each.strip() for each in name.split("+") if each]
    told = [CATALOGUE[each] for each in ids]
    return "+".join(ids), "; ".join(each.title for each in told), " ".join(each.advice for each in told)


NEGATED = ("negated", "gradients point downhill", "Gradients with their sign turned belong with += in the update.")


def _backward(program: Program, name: str, factor: float) -> Iterator[Usage]:
    """The gradient of the loss times a factor; the rate, or the weights' gradients, may make up for its size."""
    id, title, advice = _words(name)
    sign = -1.0 if factor < 0 else 1.0
    if sign < 0:
        id, title, advice = ("; ".join(filter(None, pair)) for pair in zip((id, title, advice), NEGATED, strict=True))
    slopes = [(step, "d" + weight) for step, each in program.steps.items() for weight in each.weights]
    updates = [(step, weight) for step, each in program.steps.items() for weight in each.weights]
    for averaged, rate in ((1.0, 1.0), (1.0, abs(factor)), (abs(factor), 1.0)):
        factors = {("loss", "dx"): factor} | {place: sign / rate for place in updates if sign / rate != 1}
        if averaged != 1:
            if "summed" not in name:
                continue
            factors |= dict.fromkeys(slopes, 1 / averaged)
            id, title, advice = EACH
        yield Usage(id, title, advice, factors)


EACH = (
    "each-image-by-itself",
    "errors are those of each image's own loss, and the weights' gradients are means over the images",
    "",
)


def _throughout(program: Program, truth: Env, id: str) -> Iterator[Usage]:
    """A convention kept by all layers of a kind: each of its forms, where it makes a difference."""
    by_form: dict[int, list[Fit]] = {}
    for key in program.keys[: len(program.keys) // len(program.case.batches)]:
        for fit in _forms(program, key, truth, id):
            by_form.setdefault(fit.form, []).append(fit)
    for fits in by_form.values():
        terms = {fit.key[1]: fit.terms for fit in fits if fit.terms is not None}
        ways = {fit.key[1:]: _way(fit) for fit in fits if fit.key[1] not in terms}
        if any(not np.array_equal(fit.made, truth[fit.key].value) for fit in fits):
            yield Usage(id, CATALOGUE[id].title, CATALOGUE[id].advice, ways=ways, terms=terms)


def _forms(program: Program, key: Key, env: Env, id: str) -> list[Fit]:
    return list(forms_of(program, key, env, env[key].value, None, frozenset(CATALOGUE) - {id}))


def _pairs(program: Program, truth: Env, ids: tuple[str, str]) -> Iterator[Usage]:
    """Two passes after each other that are other than they should be, and right together."""
    keys = [(1, "loss", "dx"), (1, program.names[-1], "dx")]
    fits = [_forms(program, key, truth, id) for key, id in zip(keys, ids, strict=True)]
    for first, then in itertools.product(*fits):
        about = CATALOGUE[ids[0]]
        yield Usage(ids[0], about.title, about.advice, ways={fit.key[1:]: _way(fit) for fit in (first, then)})


def _way(fit: Fit) -> Way:
    """A pass made as the mistake of `fit` has it."""

    def way(program: Program, key: Key, env: Mapping[Key, Belief], expected: Array) -> Array:
        made = form_of(fit, program, key, env, expected)
        return expected if made is None else made

    return way
