"""Rules of an update other than w -= rate · dw: what each makes of the gradients and weights of the steps so far.

Over 300 lines, since the rules and what they share stand together.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, Mistake
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Env, Estimate, Key, exact
from plaingrad.checking.search.rounding import FAR, agrees, allowed
from plaingrad.checking.search.state import State
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from plaingrad.textbook.optimisers import SGD, Adam, AdamW, Optimiser
from plaingrad.textbook.text import Text

Place = tuple[str, str]  # layer, weight
Step = Callable[["Past"], Array]
Counted = Callable[["Past"], Callable[[int], int]]
CHOICES = 12.0  # bits: fewer than 4,096 rules are tried, those with an edited line apart
PRECISE = 1e-6  # of a number: what rounds less is no reason for an array of a few steps to be `FAR` off
OWN_ROUNDINGS = 8  # of a step, in any rule told here: a handful of products, a root and a quotient


@dataclass(frozen=True)
class Past:
    """What an update may read: the arrays of its own step and of all before. `shift` moves every gradient it reads

    by so many of its uncertainties, to see how far a step is off.
    """

    program: Program
    env: Mapping[Key, Estimate]
    key: Key
    shift: float = 0.0

    @property
    def t(self) -> int:
        """The step, from 1."""
        return self.key[0]

    @property
    def rate(self) -> float:
        """The size of the rate; its sign, where a program negates its gradients, is that of the gradients here."""
        return abs(self.program.rate(self.key))

    def gradient(self, t: int | None = None, place: Place | None = None) -> Array:
        """The gradient of step t (this one), of this weight or that at another place; with the sign of a descent."""
        layer, weight = place or self.key[1:]
        estimate = self.program.known((t or self.t, layer, "d" + weight), self.env)
        sign = np.sign(self.program.rate((self.t, layer, weight)))
        return np.asarray(sign * (estimate.value + self.shift * estimate.uncertainty))

    def weight(self, t: int | None = None) -> Array:
        """The weight before step t (this one)."""
        return self.env[(t or self.t) - 1, *self.key[1:]].value

    def norm(self, t: int | None = None) -> float:
        """The root of the sum of squares of all gradients of a step."""
        places = ((layer, weight) for layer, step in self.program.steps.items() for weight in step.weights)
        return float(np.sqrt(sum((self.gradient(t, place) ** 2).sum() for place in places)))


@dataclass(frozen=True)
class Rule:
    """An update: its words, its step, the weights it is made in (None: all), and how many numbers were solved for it.

    Elsewhere the step is rate · dw.
    `is_factor`: a factor, or another function of the gradient alone, which a wrong gradient may hold as well.
    `late`: what a known mistake of the catalogue may tell better. `choices`: among how many it was chosen, in bits.
    """

    mistake: Mistake
    step: Step
    places: frozenset[Place] | None = None
    free: int = 0
    is_factor: bool = False
    late: bool = False
    choices: float = CHOICES

    def covers(self, key: Key) -> bool:
        """Whether it makes this pass."""
        return self.places is None or key[1:] in self.places

    def estimate(self, program: Program, key: Key, env: Mapping[Key, Estimate]) -> Estimate:
        """The weight after a step, and about how far a program with this rule may be from it."""
        past, before = Past(program, env, key), env[key[0] - 1, *key[1:]]
        with np.errstate(all="ignore"):
            step = self.step(past)
            moved = [np.abs(self.step(replace(past, shift=shift)) - step) for shift in (1.0, -1.0)]
            own = OWN_ROUNDINGS * program.unit * (np.abs(before.value) + np.abs(step))
            return Estimate(before.value - step, before.uncertainty + np.maximum(*moved) + own)


def rule(id: str, title: str, advice: str, step: Step, free: int = 0, convention: bool = False, **flags: bool) -> Rule:
    """A rule with its words. `flags` are those of a rule: is_factor, late."""

    def wrong(context: Context) -> Iterator[Array]:
        yield context.env[context.step - 1, *context.key[1:]].value - step(
            Past(context.program, context.env, context.key)
        )

    return Rule(
        Mistake(id, ("*.update",), title, advice, wrong, convention, kind=Kind.UPDATE), step, None, free, **flags
    )


class Whole(np.ndarray[Any, Any]):
    """An array that a text takes for one number."""

    def sqrt(self) -> Array:
        """The root, number by number."""
        return np.sqrt(self)


def stepped_by(
    optimiser: Optimiser, past: Past, rate: float, text: Text | None = None, counted: Counted | None = None
) -> Array:
    """The step of an optimiser by the library's text, or an edited one, from the gradients of all steps so far."""
    steps = range(1, past.t + 1)
    gradients, weights = map(past.gradient, steps), map(past.weight, steps)
    number = counted(past) if counted else None
    return [*steps_of(optimiser, text or optimiser.update, zip(gradients, weights, strict=True), rate, number)][-1]


def by_array(backwards: bool, biases_first: bool) -> Counted:
    """Steps counted up at each array, of the layers in this order: what is told of a step's number is far more."""

    def counted(past: Past) -> Callable[[int], int]:
        layers = [*past.program.steps.items()][:: -1 if backwards else 1]
        every = [(layer, each) for layer, step in layers for each in sorted(step.weights, reverse=not biases_first)]
        place = every.index(past.key[1:])
        return lambda step: step * len(every) + place

    return counted


def steps_of(
    optimiser: Optimiser,
    text: Text,
    seen: Iterable[tuple[Array, Array]],
    rate: float = 1.0,
    number: Callable[[int], int] | None = None,
) -> Iterator[Array]:
    """The steps that an optimiser's text makes, one after the other, of gradients and the weights before them.

    `number` tells what the program takes for the number of a step, counted from 0.
    """
    arrays: dict[str, Any] = {name: np.zeros(1, object) for name in optimiser.slots}
    for step, (gradient, weight) in enumerate(seen):
        arrays |= {name: np.empty(1, object) for name in ("w", "dw")}
        arrays["w"][0], arrays["dw"][0] = weight.copy(), gradient.view(Whole)
        numbers = {**optimiser.numbers(number(step) if number else step, rate / optimiser.rate), "adam": optimiser}
        text(*(({**numbers, **arrays})[name] for name in text.arguments))
        yield np.asarray(weight - arrays["w"][0], float)


def holds(rule: Rule, state: State, known: frozenset[Key]) -> Env | None:
    """What every judged array should be under a rule; None unless it gives all updates, and whatever is answered

    but the `known`, which are wrong by themselves.
    """
    program, env = state.program, program_env(state)
    if state.precision.unit < PRECISE and _is_far(rule, state, known):
        return None
    expected: Env = {}
    for key in program.keys:
        is_update = program.is_update(key)
        by_rule = is_update and rule.covers(key)
        made = rule.estimate(program, key, env) if by_rule else program.evaluate(key, env)
        if key not in state.arrays:
            env[key] = made
            continue
        array = state.likeliest(key).array
        expected[key] = made
        if key not in known and not agrees(made, array, state.precision):
            return None
        env[key] = state.own(array)
    return expected


def _is_far(rule: Rule, state: State, known: frozenset[Key]) -> bool:
    """Whether an answered array is far from what a rule makes; told by values alone, which is quick."""
    program, env = state.program, program_env(state)
    for key in program.keys:
        if program.is_update(key) and rule.covers(key):
            past = Past(program, env, key)
            with np.errstate(all="ignore"):
                made = past.weight() - rule.step(past)
        else:
            made = program.value(key, env)
        if key in state.arrays:
            array = state.likeliest(key).array
            room = FAR * np.abs(array).max(initial=0)
            if key in state.expected:  # such as a bias before a normalisation, whose gradient is 0 up to rounding
                room += 2 * allowed(state.expected[key], array, state.precision).max(initial=0)
            if key not in known and not np.abs(made - array).max(initial=0) <= room:
                return True
            made = array
        env[key] = exact(made)
    return False


def program_env(state: State) -> Env:
    """What is given."""
    return state.program.start()


ADVICE = "The case uses plain gradient descent, w -= rate · dw: use it for the comparison. "
PLAIN = f"{ADVICE}With the update that is named here your numbers are explained exactly."
EPSILONS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-10, 1e-12)
INSIDE = ("sqrt(v_hat) + adam.epsilon", "sqrt(v_hat + adam.epsilon)")
NO_CORRECTION = (("m[n] / (1 - adam.beta1**t)", "m[n]"), ("v[n] / (1 - adam.beta2**t)", "v[n]"))
NO_MEAN = (("m[n] / (1 - adam.beta1**t)", "gradient"), NO_CORRECTION[1])
SUMMED = ("adam.beta2 * v[n] + (1 - adam.beta2) * gradient", "v[n] + gradient")


@dataclass(frozen=True)
class Direction:
    """An optimiser whose step is a rate times something of the gradients alone."""

    id: str
    title: str
    optimiser: Optimiser
    text: Text
    counted: Counted | None = None  # what the program takes for the number of a step

    @property
    def first(self) -> float:
        """The size of its first step at a rate of 1, of a gradient far larger than ε."""
        if self.id == "rmsprop" and isinstance(self.optimiser, Adam):
            return float((1 - self.optimiser.beta2) ** -0.5)
        return 1.0

    def of(self, past: Past) -> Array:
        """The step at a rate of 1."""
        return stepped_by(self.optimiser, past, 1.0, self.text, self.counted)


def directions() -> Iterator[Direction]:
    """The usual optimisers that scale each gradient, each by the library's text of Adam or an edit of it."""
    text = as_written(Adam.update)
    for epsilon in EPSILONS:
        for where, ending in ((), ""), ((INSIDE,), " within the root"):
            told = "" if (epsilon, where) == (1e-8, ()) else f", ε = {epsilon:g}{ending}"
            for beta1, beta2 in ((0.9, 0.999), (0.9, 0.99), (0.9, 0.95), (0.5, 0.999)):
                adam = Adam(beta1=beta1, beta2=beta2, epsilon=epsilon)
                betas = f"β₁ = {beta1:g}, β₂ = {beta2:g}{told}"
                yield Direction("adam", f"the update is Adam's ({betas})", adam, text.edited(*where))
                yield Direction(
                    "adam-without-correction",
                    f"the update is Adam's without the bias correction ({betas}): m / (1 - β₁ᵗ) and v / (1 - β₂ᵗ)",
                    adam,
                    text.edited(*NO_CORRECTION, *where),
                )
            for beta2 in (0.9, 0.99, 0.999, 0.95):
                yield Direction(
                    "rmsprop",
                    f"the update is RMSprop's (share {beta2:g}{told})",
                    Adam(beta2=beta2, epsilon=epsilon),
                    text.edited(*NO_MEAN, *where),
                )
            yield Direction(
                "adagrad",
                f"the update is Adagrad's{told.replace(', ', ' (', 1) + ')' * bool(told)}",
                Adam(epsilon=epsilon),
                text.edited(*NO_MEAN, SUMMED, *where),
            )


def that_count_arrays() -> Iterator[Direction]:
    """Adam whose number of the step is counted up for each array, in the order in which a program may update them."""
    title = "the update is Adam's (β₁ = 0.9, β₂ = 0.999), but t, the number of the step, is counted up at each array"
    for backwards, biases_first in itertools.product((False, True), repeat=2):
        yield Direction("adam", title, Adam(), as_written(Adam.update), by_array(backwards, biases_first))


def as_written(update: Any) -> Text:
    """The text of an optimiser, which its class made of the function it names."""
    assert isinstance(update, Text)
    return update


def momentum(share: float, factor: float, nesterov: bool = False, decay: float = 0.0) -> Step:
    """The step of SGD with momentum, at a multiple of the rate."""
    optimiser = SGD(momentum=share, nesterov=nesterov, decay=decay)
    return lambda past: stepped_by(optimiser, past, factor * past.rate)


def decoupled(optimiser: AdamW, rate: float) -> Step:
    """The step of AdamW."""
    return lambda past: stepped_by(optimiser, past, rate)


def shapes() -> Iterable[Rule]:
    """Rules without a number to solve: the gradient is seen through a function, or one number of it is taken."""
    plain: list[tuple[str, str, Callable[[Array], Array]]] = [
        ("gradient-absolute", "the absolute value of the gradient is used", np.abs),
        ("gradient-squared", "the square of the gradient is used", np.square),
        ("only-positive-gradients", "only positive gradients are used", lambda g: np.maximum(g, 0)),
        ("only-negative-gradients", "only negative gradients are used", lambda g: np.minimum(g, 0)),
        ("one-number-for-all-weights", ONE.format("the mean of its gradient"), lambda g: np.full_like(g, g.mean())),
        ("one-number-for-all-weights", ONE.format("the sum of its gradient"), lambda g: np.full_like(g, g.sum())),
        (
            "one-number-for-all-weights",
            ONE.format("the first number of its gradient"),
            lambda g: np.full_like(g, g.reshape(-1)[0]),
        ),
        (
            "one-number-for-all-weights",
            ONE.format("the last number of its gradient"),
            lambda g: np.full_like(g, g.reshape(-1)[-1]),
        ),
        (
            "gradient-normalised",
            "each array's gradient is divided by its norm",
            lambda g: g / np.sqrt((g * g).sum()),
        ),
        ("gradient-normalised", "each array's gradient is divided by its largest absolute value", over_largest),
        ("gradient-centred", "the mean of each array's gradient is subtracted from it", lambda g: g - g.mean()),
        ("gradient-centred", "the mean of each filter's or unit's gradient is subtracted from it", centred_by_row),
    ]
    for id, title, seen in plain:
        yield rule(id, title, "w -= rate · dw, each weight with its own gradient.", seen_through(seen))
    yield rule(
        "gradient-normalised",
        "the gradients are divided by the norm of all of them",
        "w -= rate · dw: leave the division out for the comparison.",
        lambda past: past.rate * past.gradient() / past.norm(),
        is_factor=True,
    )
    yield rule(
        "weights-rounded",
        "the weights are kept as float16, with about three digits",
        "Keep the weights in float32, or in float64 for the comparison.",
        lambda past: past.weight() - np.float16(past.weight() - past.rate * past.gradient()).astype(float),
    )
    for axis, name in ((0, "first"), (1, "second"), (-2, "last but one"), (-1, "last")):
        for kind, function in (("mean", np.mean), ("sum", np.sum)):
            yield rule(
                "gradient-along-an-axis",
                f"each weight takes the {kind} of the gradients along the {name} axis of its array",
                "w -= rate · dw, each weight with its own gradient: look for a sum or a mean over one axis too many.",
                seen_through(along(axis, function)),
            )
        for index, which in ((-1, "last"), (0, "first")):
            yield rule(
                f"{which}-not-updated",
                f"the {which} of the {name} axis of each array is not updated" if axis else LEFT.format(which),
                "w -= rate · dw for every weight: look at the bounds of the loop of the update.",
                seen_through(without(axis, index)),
            )
            yield rule(
                f"only-{which}-updated",
                f"of the {name} axis of each array the {which} alone is updated",
                "w -= rate · dw for every weight: look at the bounds and the indentation in the update.",
                seen_through(alone(axis, index)),
            )


ONE = "one number is subtracted from all weights of an array: {}"
LEFT = "the {} filter or unit (row of weights, bias) of each array is not updated"


def seen_through(function: Callable[[Array], Array]) -> Step:
    """The step of a function of the gradient."""
    return lambda past: past.rate * function(past.gradient())


def centred_by_row(g: Array) -> Array:
    """Without the mean of each row of weights; biases stay as they are."""
    return np.asarray(g - g.mean(axis=tuple(range(1, g.ndim)), keepdims=True) if g.ndim > 1 else g)


def over_largest(g: Array) -> Array:
    """Divided by the largest absolute value."""
    return np.asarray(g / np.abs(g).max(initial=0))


def along(axis: int, function: Callable[..., Any]) -> Callable[[Array], Array]:
    """The same number along an axis; arrays with fewer axes stay as they are."""
    return lambda g: np.broadcast_to(function(g, axis=axis, keepdims=True), g.shape) if has(g, axis) else g


def has(g: Array, axis: int) -> bool:
    """Whether an array has an axis, counted from the first or from the last."""
    return -g.ndim <= axis < g.ndim


def without(axis: int, index: int) -> Callable[[Array], Array]:
    """0 at one index of an axis; arrays with fewer axes stay as they are."""

    def made(g: Array) -> Array:
        if not has(g, axis):
            return g
        g = g.copy()
        np.moveaxis(g, axis, 0)[index] = 0
        return g

    return made


def alone(axis: int, index: int) -> Callable[[Array], Array]:
    """0 but at one index of an axis."""
    others = without(axis, index)
    return lambda g: g - others(g) if has(g, axis) else g
