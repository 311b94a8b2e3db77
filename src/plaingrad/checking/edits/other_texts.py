"""What other texts make of the same arrays: another layer's, another loss's, and functions of no textbook's layer."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from plaingrad.checking.edits import changed
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)
from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, Loss, MeanSquaredError, SoftmaxCrossEntropy

ACTIVATIONS: tuple[Layer, ...] = (
    ReLU(), LeakyReLU(0.01), LeakyReLU(0.1), LeakyReLU(0.2), LeakyReLU(0.3), Sigmoid(), Tanh(), ELU(), SiLU(), GELU(),
    TanhGELU(),
)  # fmt: skip
BEFORE_A_LOSS: tuple[Layer, ...] = (Softmax(), Sigmoid(), Tanh(), ReLU())
LOSSES: tuple[Loss, ...] = (SoftmaxCrossEntropy(), CrossEntropy(), MeanSquaredError(), HalfSquaredError())


@dataclass(frozen=True)
class Whole:
    """A candidate: what it makes in a pass, and its line."""

    line: str
    make: Callable[[Context], Array | None]


def candidates(context: Context) -> Iterator[Whole]:
    """Other texts that could stand in place of this one."""
    owner = context.owner
    if isinstance(owner, (Softmax, *map(type, ACTIVATIONS))):
        for other in ACTIVATIONS:
            if other != owner and context.x.ndim in (2, 4):
                yield Whole(_line_of(other, context.quantity), _by(other))
                if context.quantity == "dx":
                    yield Whole(_line_of(other, "dx"), _by(other, own_y=True))
        for function in _other_functions() if context.quantity == "y" else ():
            yield Whole(f"y = {function.formula}", functools.partial(_of_x, function))
    elif isinstance(owner, MaxPool | MeanPool | L2Pool):
        for kind in (MaxPool, MeanPool, L2Pool):
            if not isinstance(owner, kind):
                pool = kind(owner.size, owner.stride, owner.padding, owner.dilation, owner.ceil_mode)
                yield Whole(_line_of(pool, context.quantity), _by(pool))
    elif context.name == "loss":
        for loss in LOSSES:
            if loss != owner:
                yield Whole(_line_of(loss, context.quantity), _by(loss))
            for before in BEFORE_A_LOSS:
                yield from _of_function(loss, before, context)
        if context.quantity == "y":
            yield from _of_outputs()
            yield from _with_weights()


def _of_function(loss: Loss, before: Layer, context: Context) -> Iterator[Whole]:
    """A loss of a function of the outputs: one that was applied before, or once too often."""
    said = f"{_line_of(loss, context.quantity)}, of {type(before).__name__.lower()}(x) in place of x"
    yield Whole(said, _by(loss, before=before))
    if context.quantity == "dx":
        yield Whole(f"{said}, and back through it", _by(loss, before=before, goes_back=True))


@functools.cache
def _other_functions() -> tuple[changed.Changed, ...]:
    """The functions that no activation of the textbook is, each said once."""
    x = np.random.default_rng(0).normal(size=(4, 5))
    known = []
    for layer in ACTIVATIONS:
        single = SingleLayer(layer, x.shape[1:], len(x))
        single.run_on(x, {})
        known.append(single.get("y"))
    found = []
    for function in changed.activations():
        made = function.of(x)
        if not any(np.allclose(made, each) for each in known):
            known.append(made)
            found.append(function)
    return tuple(found)


def _of_x(function: changed.Changed, context: Context) -> Array:
    return function.of(context.x)


DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    "abs({} - target)": lambda v, target: np.abs(v - target),
    "-target * {}": lambda v, target: -target * v,
    "-(target * log({}) + (1 - target) * log(1 - {}))":
        lambda v, target: -(target * np.log(v) + (1 - target) * np.log(1 - v)),
}  # fmt: skip
"""What else than the textbook's losses people add up over the outputs of an image."""


def _of_outputs() -> Iterator[Whole]:
    """Further functions of the outputs, or of what an activation makes of them."""
    for before in (None, *BEFORE_A_LOSS):
        v = "x" if before is None else f"{type(before).__name__.lower()}(x)"
        for said, distance in DISTANCES.items():
            for function in ("sum", "mean"):
                line = f"y[n] = {function} over k of {said.replace('{}', v)}"
                yield Whole(line, functools.partial(_added_up, before, distance, function == "mean", 0))
        yield Whole(
            f"y[n] = 1 - sum over k of target * {v}",
            functools.partial(_added_up, before, DISTANCES["-target * {}"], False, 1),
        )


def _added_up(
    before: Layer | None, distance: Callable[[Array, Array], Array], is_mean: bool, begin: float, context: Context
) -> Array:
    v = context.x
    if before is not None:
        single = SingleLayer(before, v.shape[1:], len(v))
        single.run_on(v, {})
        v = single.get("y")
    with np.errstate(all="ignore"):
        each = distance(v, context.target)
    return np.array((begin + (each.mean(axis=1) if is_mean else each.sum(axis=1))).mean())


DECAYS = (0.1, 0.05, 0.025, 0.02, 0.01, 0.005, 0.0025, 0.002, 0.001, 0.0005, 0.00025, 0.0001, 0.00005)
PENALTIES: dict[str, Callable[[Array], Array]] = {"w ** 2": np.square, "abs(w)": np.abs}


def _with_weights() -> Iterator[Whole]:
    """A penalty for large weights in the loss, of the weights alone or of the biases too."""
    for decay in DECAYS:
        for said, penalty in PENALTIES.items():
            for has_biases in (False, True):
                of = "all w and b" if has_biases else "all w"
                line = f"the loss + {decay:g} * sum of {said} over {of}"
                yield Whole(line, functools.partial(_penalised, decay, penalty, has_biases))


def _penalised(decay: float, penalty: Callable[[Array], Array], has_biases: bool, context: Context) -> Array:
    weights = (
        context.env[context.step - 1, name, weight].value
        for name, step in context.program.steps.items()
        for weight in step.weights
        if has_biases or weight == "w"
    )
    return np.asarray(context.expected + decay * sum(float(penalty(each).sum()) for each in weights))


def _line_of(owner: Layer | Loss, quantity: str) -> str:
    """The line in which another text fills the array."""
    text = owner.forward if quantity == "y" else owner.backward
    lines = [each.strip() for each in text.source.splitlines()]
    stores = [each for each in lines if each.startswith(f"{quantity}[") and not each.endswith(" = 0")]
    return f"{(stores or lines)[-1]}  (as in {text.__name__}, of {owner})"


def _by(
    owner: Layer | Loss, own_y: bool = False, before: Layer | None = None, goes_back: bool = False
) -> Callable[[Context], Array | None]:
    """What another layer's texts, or another loss's, make of the same arrays."""

    def made(context: Context) -> Array | None:
        single = SingleLayer(owner, context.x.shape[1:], len(context.x))
        if context.name == "loss":
            x = context.x
            if before is not None:
                function = SingleLayer(before, x.shape[1:], len(x))
                function.run_on(x, {})
                x = function.get("y")
            count = single.aim(x, context.target)
            single.forward()
            if context.quantity == "dx":
                single.backward()
            found = single.get(context.quantity)
            if before is not None and goes_back:
                function.put(dy=found)
                function.backward()
                found = function.get("dx")
            return np.array(found.sum() / count) if context.quantity == "y" else found
        single.run_on(context.x, {})
        if context.quantity == "dx":
            if own_y:
                single.put(y=context.y)
            single.put(dy=context.dy)
            single.backward()
        return single.get(context.quantity)

    return made
