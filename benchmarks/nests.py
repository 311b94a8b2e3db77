"""Single loop nests of the convolutions, one thread: what share of the machine's peak each reaches."""

from collections.abc import Iterator

import numpy as np

from plaingrad.layer import bind
from plaingrad.layers import Conv
from plaingrad.loss import SoftmaxCrossEntropy
from plaingrad.network import LANES, Network
from plaingrad.run import Run
from timing import OURS, Call, Plan, Row, by_turns, row
from works import CLASSES, NESTS, NETWORKS, random_for


def nests(plan: Plan) -> Iterator[Row]:
    """Each nest that multiplies weights or finds their gradient, on one shard."""
    for name in plan.some(NESTS):
        net = NETWORKS[name]()
        for (layer, nest), call in calls(net).items():
            step = net.steps[layer]
            flops = 2 * LANES * step.layer.multiplications(step.x)
            figures = by_turns({OURS: call}, plan.rounds, plan.seconds / 3)
            yield row(f"{name} {layer} {nest}", LANES, 1, figures, flops, plan.peak, layer=layer, nest=nest)


def calls(net: Network) -> dict[tuple[str, str], Call]:
    """The nests by layer and name, bound to a run that has been through forward and backward once."""
    rng, run = random_for(net.name), Run(net, LANES, SoftmaxCrossEntropy(), input_gradient=True)
    run.load(rng.standard_normal((LANES, *net.input), np.float32))
    run.forward()
    run.aim(rng.integers(0, CLASSES, LANES))
    run.backward()
    found: dict[tuple[str, str], Call] = {}
    for step in net.steps.values():
        if not isinstance(step.layer, Conv):
            continue
        settings = {**step.layer.settings(), **step.layer.constants(step.x, LANES)}
        known = {**run._settings(settings), **run.records[step.name]}
        for nest in (*step.layer.forward, *step.layer.backward):
            if {"w", "dw"} & set(nest.arguments):
                found[step.name, nest.__name__] = bind(nest, step.layer, known)
    return found
