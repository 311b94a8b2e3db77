"""Single fast nests of the convolutions, one thread: what share of the machine's peak each reaches."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from plaingrad.compiler.program import Program
from plaingrad.network.network import LANES, Network
from plaingrad.network.run import Run
from plaingrad.textbook.layers import Conv
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from timing import OURS, Call, Plan, Row, by_turns, row
from works import CLASSES, NESTS, NETWORKS, random_for

MADE = {"made": "forward", "gathered": "gradient of the weights", "scattered": "gradient of the input"}


def nests(plan: Plan) -> Iterator[Row]:
    """Each nest that multiplies weights or finds their gradient, on one shard."""
    for name in plan.some(NESTS):
        net = NETWORKS[name]()
        for (layer, nest), call in sorted(calls(net).items(), key=lambda each: each[0]):
            step = net.steps[layer]
            flops = 2 * LANES * step.layer.multiplications(step.x)
            figures = by_turns({OURS: call}, plan.rounds, plan.seconds / 3)
            made = MADE[nest.removeprefix("winograd_")]
            yield row(f"{name} {layer}, {made}", LANES, 1, figures, flops, plan.peak, layer=layer, nest=nest)


def calls(net: Network) -> dict[tuple[str, str], Call]:
    """The nests by layer and name, bound to a run that has been through forward and backward once."""
    rng = random_for(net.name)
    run = Run(net, LANES, SoftmaxCrossEntropy(), input_gradient=True, by_patches=True)
    run.load(rng.standard_normal((LANES, *net.input), np.float32))
    run.forward()
    run.aim(rng.integers(0, CLASSES, LANES))
    run.backward()
    convolutions = [step.name for step in net.steps.values() if isinstance(step.layer, Conv)]
    # A nest as a program of its own: called as it is among others, without Python's own arguments.
    found, before = dict[tuple[str, str], Call](), list[Any]()
    for call in (*run.forward_calls, *run.backward_calls):
        before.append(call)
        weights = [call.given[place] for place, name in enumerate(arguments(call)) if name in ("w", "dw")]
        for layer in convolutions:
            if any(each is run.records[layer][name] for each in weights for name in ("w", "dw")):
                found[layer, call.name] = Program(before)
        if call.name != "turn":  # which belongs to the nest after it
            before = []
    return found


def arguments(call: Any) -> tuple[str, ...]:
    """The names of what a nest is given."""
    names: tuple[str, ...] = call.nest.plain.__code__.co_varnames
    return names[: len(call.given)]
