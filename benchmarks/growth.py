"""How the cost of one convolution grows with each of its sizes, one at a time: forward and all three gradients."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

import peer_torch
from plaingrad.compiler.loops import Array
from plaingrad.compiler.program import Program, Workers
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layers import Conv
from plaingrad.training.shards import lanes_for
from timing import OURS, Call, Plan, Row, by_turns, ready, row
from works import THREADS, random_for, settings

PASSES = 3  # forward, the gradient of the weights and that of the input: each adds up as many products


def growth(plan: Plan) -> Iterator[Row]:
    """Every setting once, beside torch.nn.functional.conv2d and its gradients."""
    for setting in plan.some(settings()):
        for threads in THREADS:
            yield _measured(setting, threads, plan)


def _measured(setting: dict[str, int], threads: int, plan: Plan) -> Row:
    batch, shape = setting["batch"], (setting["channels"], setting["side"], setting["side"])
    kernel, rng = setting["kernel"], random_for(str(setting))
    layer = Conv(setting["channels"], size=kernel, stride=setting["stride"], padding=kernel // 2)
    x, dy = (rng.standard_normal((batch, *each), np.float32) for each in (shape, layer.output(shape)))
    net = Network(layer, input=shape)
    peer_torch.pin(threads)
    with ExitStack() as until:
        builders: dict[str, Any] = {OURS: partial(convolution, net, x, dy, threads, until)}
        for way, how in peer_torch.EAGER.items():
            builders[way] = partial(peer_torch.convolution, layer, x, dy, net["conv1"].arrays, **how)
        calls, _, unable = ready(builders)
        figures = by_turns(calls, plan.rounds, plan.seconds / 3)
    products = PASSES * batch * layer.multiplications(shape)
    made = row("convolution", batch, threads, figures, 2 * products, plan.peak, setting=setting, unable=unable)
    best = made["peers"].get(made["best"])
    return made | {
        "ours_nanoseconds": made["ours_seconds"] * 1e9 / products,
        "peer_nanoseconds": best and best * 1e9 / products,
    }


def convolution(net: Network, x: Array, dy: Array, threads: int, until: ExitStack) -> Call:
    """A network of one convolution, shard by shard as in training, its upstream gradient given.

    Each thread's run holds one shard of random numbers and goes through it again for each shard of the batch, as a
    layer within a network does, whose images and errors the neighbouring layers have just left there.
    """
    lanes = lanes_for(net, len(x))
    shards = -(-len(x) // lanes)
    runs = [Run(net, lanes, input_gradient=True, by_patches=True) for _ in range(min(threads, shards))]
    for run in runs:
        for name, images in (("x", x), ("dy", dy)):
            array = run.records["conv1"][name]
            array.reshape(-1)[:] = np.resize(images, array.size)
    programs = [Program([*run.forward_calls, *run.backward_calls]) for run in runs]
    workers, totals = Workers(len(runs)), [np.zeros_like(run.gradient) for run in runs]
    until.callback(workers.end)

    def once() -> Array:
        for first in range(0, shards, len(runs)):
            workers.run(programs[: shards - first])
            for number, run in enumerate(runs[: shards - first]):
                totals[number][:] = totals[number] + run.gradient if first else run.gradient
        return sum(totals[1:], totals[0])

    return once
