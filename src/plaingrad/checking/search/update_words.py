"""The words of rules of an update: what is said of each, with its numbers.

Over 300 lines, since every rule stands with its words.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.search.update_rules import (
    ADVICE,
    PLAIN,
    Direction,
    Past,
    Place,
    Rule,
    Step,
    momentum,
    rule,
    stepped_by,
)
from plaingrad.compiler.loops import Array
from plaingrad.textbook.optimisers import SGD, Adam

MOST_TOLD = 3
IN_STEP = "In each step, w -= rate · dw for every trained array, with the rate of the case."


def number(value: float) -> str:
    """A number with six digits."""
    return f"{value:.6g}"


def factors(program: Program) -> dict[float, str]:
    """Factors of a step that have a usual reason, and the reason."""
    rate, images, outputs = program.case.rate, program.case.images, float(np.prod(program.case.net.output))
    found: dict[float, str] = {
        -1.0: "+ instead of -",
        2.0: "the update is applied twice, or a 2 of the loss is counted",
        0.5: "a ½ too many",
        0.1: "v = 0.9 v + 0.1 dw, an exponential average, makes it so in its first step",
        0.9: "the gradient or the rate is multiplied by 0.9",
        1.9: "1 + 0.9: Nesterov's momentum makes it so in its first step",
        0.01: "0.01 is the rate, or the share 1 - 0.99",
        10.0: "the rate has another power of ten",
        1 / rate: "the gradient is subtracted without the learning rate",
        rate: "the learning rate is applied twice",
        0.1 / rate: "the rate is 0.1, not that of the case",
        0.01 / rate: "the rate is 0.01, not that of the case",
        0.001 / rate: "the rate is 0.001, not that of the case",
        0.5 / rate: "the rate is 0.5, not that of the case",
    }
    if images > 1:
        found |= {
            float(images): f"multiplied by the number of images, {images}",
            1 / images: f"divided by the number of images, {images}, once too often",
            1 / images**2: f"divided by the number of images, {images}, twice too often",
            images / (images - 1): f"divided by {images} - 1 in place of the {images} images",
        }
    if outputs > 1:
        found |= {1 / outputs: "divided by the number of outputs", outputs: "multiplied by the number of outputs"}
        found |= {images / outputs: "divided by the number of outputs in place of the images"} if images > 1 else {}
    found.pop(1.0, None)
    return found


def scaled(factor: float, reasons: tuple[str, ...], free: int, many: bool) -> Rule:
    """One factor in every step."""
    title = f"your step is {number(factor)} of the right one{' in every array' if many else ''}"
    title += f": {'; or '.join(dict.fromkeys(reasons))}" if reasons else ""
    return rule(
        "step-scaled",
        title,
        f"{IN_STEP} Look for a factor in the rate, in the update, or in the gradient of the loss.",
        lambda past: factor * past.rate * past.gradient(),
        free,
        is_factor=True,
    )


def rate_changed(by_step: Mapping[int, float]) -> Rule:
    """Another factor in each step."""
    first, *_ = by_step.values()
    told = ", ".join(f"{number(factor)} in step {t}" for t, factor in by_step.items())
    title = f"the rate is not the same in all steps: your step is the right one times {told}"
    if first == 1 and len(by_step) == 2:
        other = number(by_step[max(by_step)])
        title = f"right in step 1; in step 2 your step is {other} of the right one: the rate changes"
    return rule(
        "rate-changed",
        title,
        "The rate of the case is the same in all steps: leave its decay out for the comparison, and look for a number "
        "that is multiplied or divided from step to step.",
        lambda past: by_step.get(past.t, 1.0) * past.rate * past.gradient(),
        sum(factor != 1 for factor in by_step.values()),
        is_factor=True,
    )


def momentum_added(program: Program, share: float, free: int, factor: float = 1.0, decay: float = 0.0) -> Rule:
    """SGD with momentum."""
    told = number(share)
    rate = program.case.rate
    for meant in (0.9, 0.5, 0.99, 0.95, 0.8):
        if abs(share - meant * rate) <= 1e-3 * meant * rate:
            told += f", which is {meant:g} · the rate {rate:g}: is the step before multiplied by the rate once more?"
    if factor == 1 and not decay:
        return rule(
            "momentum-added",
            f"a fraction of the previous step is added, as with momentum; the fraction is {told}",
            "The case uses plain gradient descent, w -= rate · dw: leave momentum out for the comparison.",
            momentum(share, 1.0),
            free,
            convention=True,
        )
    more = f", with a weight decay of {number(decay)}" if decay else ""
    more += f", at {number(factor)} of the rate" if factor != 1 else ""
    return rule(
        "momentum-and-more",
        f"a fraction of the previous step is added, as with momentum: {told}{more}",
        PLAIN,
        momentum(share, factor, decay=decay),
        free,
    )


def nesterov(share: float, free: int = 0) -> Rule:
    """SGD with Nesterov's momentum."""
    return rule(
        "nesterov-momentum",
        f"the update is that of Nesterov's momentum, with {number(share)}",
        PLAIN,
        momentum(share, 1.0, nesterov=True),
        free,
        convention=True,
    )


def exponential_average(share: float, corrected: bool = False, free: int = 0) -> Rule:
    """Gradients averaged over the steps."""
    told = f"v = {number(share)} v + {number(1 - share)} dw"
    ending = ", divided by 1 - the share to the power of the step" if corrected else ""

    def step(past: Past) -> Array:
        by = (1 - share) / (1 - share**past.t) if corrected else 1 - share
        return stepped_by(SGD(momentum=share), past, by * past.rate)

    return rule(
        "exponential-average",
        f"an exponential average of the gradients is subtracted: {told}{ending}",
        PLAIN,
        step,
        free,
    )


def gradients_averaged() -> Rule:
    """The mean of the gradients of all steps so far."""

    def step(past: Past) -> Array:
        return past.rate / past.t * sum((past.gradient(t) for t in range(1, past.t + 1)), np.zeros(()))

    return rule("gradients-averaged", "the mean of the gradients of all steps so far is subtracted", PLAIN, step)


def dampened(share: float, factor: float, free: int) -> Rule:
    """Momentum whose first step is the gradient, and to which later gradients are added in part, as in PyTorch."""

    def step(past: Past) -> Array:
        velocity = past.gradient(1)
        for t in range(2, past.t + 1):
            velocity = share * velocity + factor * past.gradient(t)
        return past.rate * velocity

    return rule(
        "momentum-dampened",
        f"momentum with dampening: v = dw in the first step, then v = {number(share)} v + {number(factor)} dw",
        PLAIN,
        step,
        free,
    )


def never_updated() -> Rule:
    """Weights that stay as they were, in the words of the catalogue."""
    known = CATALOGUE["never-updated"]
    return rule(known.id, known.title, known.advice, lambda past: 0 * past.gradient())


def earlier_gradient() -> Rule:
    """The gradient of the step before."""
    return rule(
        "earlier-gradient",
        "the gradient of the previous step is used; the first step has none",
        "Compute the gradients of this batch first, and update with them.",
        lambda past: past.rate * (past.gradient(past.t - 1) if past.t > 1 else 0 * past.gradient()),
    )


def of_other_weights(of: Mapping[Place, Place]) -> Rule:
    """Steps made with the gradients of other weights."""
    told = ", ".join(f"{layer}.{w} with {other}.d{its}" for (layer, w), (other, its) in of.items())
    return rule(
        "gradient-of-other-weights",
        f"weights are updated with the gradients of others: {told}",
        "w -= rate · dw, each array with its own gradient: look at the order in which both are listed.",
        lambda past: past.rate * past.gradient(place=of.get(past.key[1:])),
    )


def decaying(share: float, turns: Mapping[Key, int], of_arrays: bool, turned: bool) -> Rule:
    """A rate that is multiplied by a number after every layer, or array."""
    what = "array" if of_arrays else "layer"
    order = "from the last to the first" if turned else "from the first to the last"
    return rule(
        "rate-decays-by-layer",
        f"the rate is multiplied by {number(share)} after every {what}, {order}, not after every step or epoch",
        "The rate of the case is the same in all steps and for all layers: a decay belongs behind the loop over the "
        "layers.",
        lambda past: share ** turns.get(past.key, 0) * past.rate * past.gradient(),
        1,
    )


def gradient_kept() -> Rule:
    """Gradients that were never cleared."""

    def step(past: Past) -> Array:
        return past.rate * sum((past.gradient(t) for t in range(1, past.t + 1)), np.zeros(()))

    return rule(
        "gradient-kept",
        "right in step 1; later the gradients of the steps before are still included: they are not set to zero",
        "Set every gradient to zero at the start of a step, or assign the first product instead of adding it.",
        step,
    )


def sum_of_steps(by_step: Mapping[int, Mapping[str, float]], columns: Mapping[str, Callable[[Past], Array]]) -> Rule:
    """A sum of known arrays with solved numbers."""
    words = {"own": "rate · dw", "before": "rate · dw of the step before", "weight": "w", "sign": "the sign of w"}

    def told(numbers: Mapping[str, float]) -> str:
        return " + ".join(f"{number(value)} · {words[name]}" for name, value in numbers.items())

    def step(past: Past) -> Array:
        numbers = by_step.get(past.t, {"own": 1.0})
        return sum((value * columns[name](past) for name, value in numbers.items()), np.zeros(()))

    return rule(
        "gradient-before-kept",
        "something is kept from the step before: "
        + "; ".join(f"your step {t} is {told(numbers)}" for t, numbers in by_step.items()),
        f"{IN_STEP} Look for an array that is not set anew in each step.",
        step,
        sum(len(each) for each in by_step.values()),
        late=True,
    )


def decayed(program: Program, factor: float, share: float, free: int, of_sign: bool = False) -> Rule:
    """Weights that are shrunk besides."""
    rate = program.case.rate
    if of_sign:
        title = (
            f"{number(share)} is also subtracted from every positive weight and added to every negative one, as with "
            f"an L1 penalty of {number(share / rate)}"
        )
    elif share >= 0:
        title = (
            f"the weights are also shrunk, as with weight decay: by {number(share)} of their size in each step, "
            f"which is the rate · {number(share / rate)}"
        )
    else:
        title = (
            f"the weights also grow by {number(-share)} of their size in each step: a weight decay of the wrong sign"
        )
    title += f"; and the step is {number(factor)} of the right one" if factor != 1 else ""

    is_plain = factor == 1 and (of_sign or 0 < share < 1)

    def step(past: Past) -> Array:
        w = past.weight()
        return factor * past.rate * past.gradient() + share * (np.sign(w) if of_sign else w)

    return rule(
        "weights-shrunk",
        title,
        "The case uses plain gradient descent, w -= rate · dw: leave weight decay out for the comparison.",
        step,
        free,
        late=not is_plain,
    )


def one_size(size: float, in_all: bool, by: Direction | None = None) -> Rule:
    """Steps that are all of one size, but for the ε of an optimiser."""

    def step(past: Past) -> Array:
        return size * np.sign(past.gradient()) if by is None else size / by.first * by.of(past)

    wrong = ", upward" if size < 0 else ""
    optimisers = "an optimiser whose first step is such: Adam, RMSprop, Adagrad"
    if in_all:
        many = "the sign of the gradient is used, not its size"
    else:
        many = f"the sign of the gradient is used, or {optimisers}" if by is None else optimisers
    whose = "all your steps have" if by is None else "where the gradient is not near 0 your steps have"
    return rule(
        "steps-of-one-size",
        f"{whose} one size, {number(abs(size))}{wrong}: {many}",
        PLAIN,
        step,
        1,
    )


def sized_and_shrunk(size: float, share: float, by: Direction | None) -> Rule:
    """The same, with weights that are shrunk besides: AdamW's first step."""

    def step(past: Past) -> Array:
        return (size * np.sign(past.gradient()) if by is None else size * by.of(past)) + share * past.weight()

    return rule(
        "adamw",
        f"your steps have one size, {number(size)}, but for {number(share)} of the weight: so is AdamW's first step",
        PLAIN,
        step,
        2,
    )


def direction(each: Direction, rate: float, free: int) -> Rule:
    """An optimiser that scales each gradient."""
    return rule(
        each.id,
        f"{each.title} at a rate of {number(rate)}",
        PLAIN,
        lambda past: stepped_by(each.optimiser, past, rate, each.text, each.counted),
        free,
    )


def edited(some: Sequence[Direction], rate: float, free: int) -> Rule:
    """A usual optimiser with one line edited, or several that make the same numbers."""
    told = [each.title for each in some[:MOST_TOLD]]
    more = f"; or one of {len(some) - MOST_TOLD} more that these numbers cannot tell from it" * (len(some) > MOST_TOLD)
    return rule(
        some[0].id,
        f"the update is {'; or '.join(told)}{more}; at a rate of {number(rate)}",
        PLAIN,
        lambda past: stepped_by(some[0].optimiser, past, rate, some[0].text),
        free,
    )


def edited_plain(some: Sequence[Direction]) -> Rule:
    """The case's own update with an edit, or with one of several that make the same numbers."""
    told = [each.title for each in some[:MOST_TOLD]]
    more = f"; or one of {len(some) - MOST_TOLD} more that these numbers cannot tell from it" * (len(some) > MOST_TOLD)
    return rule(
        "edited-update",
        f"the update is {'; or '.join(told)}{more}",
        PLAIN,
        lambda past: stepped_by(some[0].optimiser, past, past.rate, some[0].text),
    )


def adamw(rate: float, decay: float, step: Step) -> Rule:
    """AdamW."""
    return rule("adamw", f"the update is AdamW's at a rate of {number(rate)}, decay {number(decay)}", PLAIN, step, 2)


def adam_decayed(adam: Adam, rate: float) -> Rule:
    """Adam with a penalty."""
    return rule(
        "adam",
        f"the update is Adam's at a rate of {number(rate)}, with an L2 penalty of {adam.decay:g}",
        PLAIN,
        lambda past: stepped_by(adam, past, rate),
        1,
    )


def clipped_by_value(limit: float, free: int) -> Rule:
    """Gradients clipped number by number."""
    return rule(
        "gradient-clipped",
        f"the gradients are clipped: every one beyond ±{number(limit)} is {number(limit)} in size",
        f"{ADVICE}Leave the clipping out.",
        lambda past: past.rate * np.clip(past.gradient(), -limit, limit),
        free,
    )


def clipped_by_norm(limit: float, free: int, of_each: bool = False) -> Rule:
    """Gradients clipped by their norm, of all arrays or of each."""

    def step(past: Past) -> Array:
        gradient = past.gradient()
        norm = float(np.sqrt((gradient * gradient).sum())) if of_each else past.norm()
        return past.rate * gradient * min(1.0, limit / norm if norm else 1.0)

    whose = "of each array" if of_each else "of all gradients together"
    return rule(
        "gradient-clipped",
        f"the gradients are clipped by their norm: where that {whose} is beyond {number(limit)}, they are scaled to it",
        f"{ADVICE}Leave the clipping out.",
        step,
        free,
        is_factor=True,
    )


def weights_clipped(limit: float, free: int) -> Rule:
    """Weights clipped after the step."""

    def step(past: Past) -> Array:
        w = past.weight()
        return w - np.clip(w - past.rate * past.gradient(), -limit, limit)

    return rule(
        "weights-clipped",
        f"the weights are clipped: every one beyond ±{number(limit)} is {number(limit)} in size after the step",
        f"{ADVICE}Leave the clipping out.",
        step,
        free,
    )
