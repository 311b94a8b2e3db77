"""Training steps and inference of whole networks, beside the same network elsewhere; and what fusing ReLU brings."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np

import ours
import peer_jax
import peer_torch
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer
from timing import OURS, Call, Plan, Row, by_turns, ready, row
from works import FUSINGS, INFERENCES, NETWORKS, STEPS, forward_flops, random_batches, step_flops

CLOSE = 1e-3  # what contenders may differ by at first: they add up in other orders, and none computes something else


def steps(plan: Plan) -> Iterator[Row]:
    """Forward, loss, backward, SGD with momentum."""
    for name, batch, threads in plan.some(STEPS):
        net = NETWORKS[name]()
        images, labels = random_batches(name, net, batch)
        peer_torch.pin(threads)
        with ExitStack() as until:
            builders: dict[str, Callable[[], Call]] = {OURS: partial(ours.step, net, images, labels, threads, until)}
            for way, settings in peer_torch.WAYS.items():
                builders[way] = partial(peer_torch.step, net, images, labels, **settings)
            builders[peer_jax.NAME] = partial(peer_jax.step, net, images, labels, threads)
            yield _measured(f"{name} step", batch, threads, builders, step_flops(net, batch), plan)


def inference(plan: Plan) -> Iterator[Row]:
    """Forward only: the scores of a batch."""
    for name, batch, threads in plan.some(INFERENCES):
        net = NETWORKS[name]()
        images, _ = random_batches(name, net, batch)
        peer_torch.pin(threads)
        with ExitStack() as until:
            builders: dict[str, Callable[[], Call]] = {OURS: partial(ours.infer, net, images, threads, until)}
            for way, settings in peer_torch.WAYS.items():
                builders[way] = partial(peer_torch.infer, net, images, **settings)
            yield _measured(f"{name} inference", batch, threads, builders, forward_flops(net, batch), plan)


def fusing(plan: Plan) -> Iterator[Row]:
    """A step beside the same step with each fused ReLU as a layer of its own."""
    for name, batch, threads in plan.some(FUSINGS):
        net = NETWORKS[name]()
        images, labels = random_batches(name, net, batch)
        with ExitStack() as until:
            split = apart(net)
            calls = {
                OURS: ours.step(net, images, labels, threads, until),
                "apart": ours.step(split, images, labels, threads, until),
            }
            figures = by_turns(calls, plan.rounds, plan.seconds)
        fused = row(f"{name} step, ReLU fused", batch, threads, figures, step_flops(net, batch), plan.peak)
        seconds = fused["peers"].pop("apart")
        yield fused | {"peers_spread": {}, "apart_seconds": seconds, "gain": seconds / fused["ours_seconds"]}


def apart(net: Network) -> Network:
    """The same network with each fused activation as a layer of its own."""
    layers: list[Layer] = []
    for layer in net.layers:
        activation = getattr(layer, "activation", None)
        layers += [layer.replace(activation=None), activation] if activation else [layer]
    return Network(*layers, input=net.input, name=net.name)


def _measured(
    work: str, batch: int, threads: int, builders: dict[str, Callable[[], Call]], flops: int, plan: Plan
) -> Row:
    calls, given, unable = ready(builders)
    mine = np.asarray(given[OURS])
    others = [name for name in calls if name != OURS and not np.allclose(np.asarray(given[name]), mine, CLOSE, CLOSE)]
    if others and len(others) == len(calls) - 1:
        raise AssertionError(f"{work}: {others[0]} computes something else: {given[others[0]]} where we have {mine}")
    for name in others:  # where others agree with us it does not take part
        del calls[name]
        unable[name] = "it computes something else"
    figures = by_turns(calls, plan.rounds, plan.seconds)
    return row(work, batch, threads, figures, flops, plan.peak, unable=unable)
