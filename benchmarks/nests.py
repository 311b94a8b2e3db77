"""Single loop nests of the convolutions, one thread: what share of the machine's peak each reaches."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from plaingrad.layers import Conv
from plaingrad.loss import SoftmaxCrossEntropy
from plaingrad.network import LANES, Network
from plaingrad.program import Program
from plaingrad.run import Run
from timing import OURS, Call, Plan, Row, by_turns, row
from works import CLASSES, NESTS, NETWORKS, random_for


def nests(plan: Plan) -> Iterator[Row]:
    """Each nest that multiplies weights or finds their gradient, on one shard."""
    for name in plan.some(NESTS):
        net = NETWORKS[name]()
        for (layer, nest), call in sorted(calls(net).items(), key=lambda each: each[0]):
            step = net.steps[layer]
            flops = 2 * LANES * step.layer.multiplications(step.x)
            figures = by_turns({OURS: call}, plan.rounds, plan.seconds / 3)
            yield row(f"{name} {layer} {nest}", LANES, 1, figures, flops, plan.peak, layer=layer, nest=nest)


def calls(net: Network) -> dict[tuple[str, str], Call]:
    """The nests by layer and name, bound to a run that has been through forward and backward once."""
    rng, loss = random_for(net.name), SoftmaxCrossEntropy()
    run = Run(net, LANES, loss, input_gradient=True)
    run.load(rng.standard_normal((LANES, *net.input), np.float32))
    run.forward()
    run.aim(rng.integers(0, CLASSES, LANES))
    run.backward()
    steps = list(net.steps.values())
    names = [(step, nest) for step in steps for nest in step.layer.forward]
    names += [(None, nest) for nest in loss.backward]
    names += [(step, nest) for step in reversed(steps) for nest in step.layer.backward]
    every = zip(names, map(one, [*run.forward_calls, *run.backward_calls]), strict=True)
    chosen = [(step, nest, call) for (step, nest), call in every if step and isinstance(step.layer, Conv)]
    return {(step.name, nest.__name__): call for step, nest, call in chosen if {"w", "dw"} & set(nest.arguments)}


def one(call: Any) -> Call:
    """A nest as a program of its own: called as it is among others, without Python's own arguments."""
    return Program([call])
