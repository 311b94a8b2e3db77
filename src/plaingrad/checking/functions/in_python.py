"""`plaingrad.check`: gradients of anyone's against a network, and the laws of every layer of a network."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plaingrad.checking import laws
from plaingrad.checking.answers.answer import Answer, answer_of
from plaingrad.checking.case import Batch, Case, unfused
from plaingrad.checking.functions.own_names import OwnVerdict, check_own, names_of
from plaingrad.checking.laws import LAWS
from plaingrad.errors import DataError, LawError, SettingError
from plaingrad.network.loading import numbers
from plaingrad.network.network import Network, alone
from plaingrad.network.run import Run
from plaingrad.schedule.calls import slow_because
from plaingrad.textbook.layer import Layer, Shape, passes
from plaingrad.textbook.losses import Loss, SoftmaxCrossEntropy
from plaingrad.textbook.phrases import shape_text

MOST_PRODUCTS = 3_000_000  # each is a Python object while the layers are taken apart: some 10 µs and 300 bytes
RATE = 0.125  # where none is told nothing that rests on it is compared
SEEDS = 3
Batches = Sequence[tuple[Any, Any]]


@dataclass(frozen=True)
class Kept:
    """What one layer's laws came to: each law's name, and the breach in words, or None where it is kept."""

    name: str
    layer: Layer
    input: Shape
    laws: dict[str, str | None]

    @property
    def is_right(self) -> bool:
        """Whether it keeps every law."""
        return not any(self.laws.values())

    @property
    def notes(self) -> list[str]:
        """What is no breach: its texts that are compiled as they stand."""
        texts = dict.fromkeys(each.text for way in passes(self.layer).values() for each in way)
        return [f"compiled as it stands, which is slow: {why}" for text in texts if (why := slow_because(text))]


@dataclass(frozen=True, repr=False)
class Laws:
    """The laws of the layers of a network, in its order. It reads as a verdict does."""

    rows: list[Kept] = field(default_factory=list)

    def __repr__(self) -> str:
        return self.text()

    @property
    def is_right(self) -> bool:
        """Whether every layer keeps every law."""
        return all(row.is_right for row in self.rows)

    @property
    def first_wrong(self) -> str | None:
        """The first layer that breaks a law."""
        return next((row.name for row in self.rows if not row.is_right), None)

    def text(self) -> str:
        """A line for each layer; under it the law it breaks, and what makes it slow."""
        told = "RIGHT: every layer passes its tests" if self.is_right else f"WRONG: {self.first_wrong} fails a test"
        wide = max((len(row.name) for row in self.rows), default=0)
        lines = [told]
        for row in self.rows:
            state = "right" if row.is_right else "WRONG"
            lines.append(f"  {row.name:<{wide}}  {state}  {row.layer} on {shape_text(row.input)}")
            lines += [f"    {law}: {breach or 'passed'}" for law, breach in row.laws.items() if not row.is_right]
            lines += [f"    note: {note}" for note in row.notes]
        return "\n".join([*lines, f"  the tests: {'; '.join(LAWS)}"])

    def to_json(self) -> dict[str, Any]:
        """The same as an object."""
        return {
            "verdict": "right" if self.is_right else "wrong",
            "first_wrong": self.first_wrong,
            "layers": [
                {
                    "name": row.name,
                    "layer": row.layer.to_json(),
                    "input": list(row.input),
                    "laws": row.laws,
                    "notes": row.notes,
                }
                for row in self.rows
            ],
        }


def check_laws(net: Network, seeds: int = SEEDS) -> Laws:
    """Every law of every layer at its shape in the network; a layer that stands there twice is tried once."""
    breach, rows = functools.cache(_breach), []
    for step in net.steps.values():
        start = step.layer.skips()
        skip = net.steps[start].y if start else None
        kept = {law: breach(law, step.layer, step.x, seeds, skip) for law in LAWS}
        rows.append(Kept(step.name, step.layer, step.x, kept))
    return Laws(rows)


def _breach(law: str, layer: Layer, input: Shape, seeds: int, skip: Shape | None = None) -> str | None:
    try:
        LAWS[law](layer, input, seeds, skip)
    except LawError as error:
        return " ".join(str(error).removeprefix(f"{layer} on {input}: ").split())
    except ArithmeticError as error:
        return f"its loops cannot compute with these numbers: {type(error).__name__}"
    except IndexError as error:
        return f"its loops leave their arrays: {error}"
    return None


def check_layer(layer: Layer, input: Any, seeds: int = SEEDS) -> Laws:
    """The laws of one layer on inputs of this shape; LawError at the first it breaks."""
    if input is None:
        raise SettingError(f"checking {layer} needs the shape of its input: plaingrad.check(layer, input=(2, 5, 4))")
    step = list(alone(layer, input))[-1]
    laws.check(layer, step.x, seeds)
    return Laws([Kept(step.name, layer, step.x, dict.fromkeys(LAWS))])


def check_network(
    net: Network, x: Any, target: Any, gradients: Mapping[str, Any], loss: Loss | None, rate: float | None = None,
    then: Batches = (),
) -> OwnVerdict:  # fmt: skip
    """The verdict on quantities that another program computed from a network's weights; see `plaingrad.check`."""
    if gradients is None or target is None:
        raise SettingError(
            "checking gradients needs the batch and what was computed from it: plaingrad.check(net, x, target, "
            'gradients) with gradients such as {"conv1.dw": dw}; plaingrad.check(net) runs the laws of its layers'
        )
    require_small(net)
    case = case_of(net, [(x, target), *then], loss or SoftmaxCrossEntropy(), RATE if rate is None else rate)
    answer = answer_of(gradients)
    if rate is None:
        _refuse_updates(answer, net)
    return check_own(case, answer, names_of(net, case.net), frozenset({"scaled-by-the-rate"} if rate is None else ()))


def require_small(net: Network) -> None:
    """SettingError for a network whose check would take hours."""
    products = sum(step.layer.multiplications(step.x) for step in net.steps.values())
    if products > MOST_PRODUCTS:
        raise SettingError(
            f"{net.name} adds up {products:,} products for an image, each of which a check looks at; it takes up to "
            f"{MOST_PRODUCTS:,}: check the same layers with fewer channels or on smaller images"
        )


def _refuse_updates(answer: Answer, net: Network) -> None:
    for name in answer.arrays:
        step, _, rest = name.partition(".")
        if step.startswith("step") and rest in net.arrays:
            raise SettingError(f"{name} is a weight after an update, which depends on the learning rate: give rate=…")


def case_of(net: Network, batches: Batches, loss: Loss, rate: float) -> Case:
    """A case of a network with its weights as they are, and batches as its users give them."""
    separate = Network(*unfused(net.layers), input=net.input, dtype="float64", name=net.name)
    loss.check(separate.output)
    for mine, its in zip(separate.arrays.values(), net.arrays.values(), strict=True):  # activations have none
        mine[...] = its.astype(float)
    separate.state[...] = net.state.astype(float)  # activations have none
    made = tuple(batch_of(net, loss, x, target, number) for number, (x, target) in enumerate(batches))
    if len({len(batch.x) for batch in made}) > 1:
        raise DataError(f"every step takes as many images, got {', '.join(str(len(batch.x)) for batch in made)}")
    for name, array in [*separate.arrays.items(), *((f"batch {n}", each.x) for n, each in enumerate(made, 1))]:
        if not np.isfinite(array).all():
            raise DataError(f"{name} has numbers that are not finite; there is nothing to compare with")
    return Case(separate, loss, made, rate)


def batch_of(net: Network, loss: Loss, images: Any, target: Any, number: int = 0) -> Batch:
    """A batch as a run in float64 takes it in: pixels normalised, class numbers (image,) as rows of 0 and 1.

    Masks are those that `net.run` draws in the training step of this `number`.
    """
    images = numbers(images, net)
    wide = Network(*net.layers, input=net.input, dtype="float64", name=net.name)
    wide.offset[...], wide.factor[...], wide.seen = net.offset, net.factor, net.seen
    run = Run(wide, max(len(images), 1), loss, backward=False, as_written=lambda work: True)
    run.load(images)
    run.aim(target)
    run.seeds[:] = net.seed, number
    for draw in run.draw_calls:
        draw()
    dropped = [step.name for step in net.steps.values() if step.layer.dropped() is not None]
    masks = {name: np.array(run.quantity(name, "mask")) for name in dropped}
    return Batch(run.quantity(next(iter(net.steps)), "x"), run.quantity("loss", "target"), masks)
