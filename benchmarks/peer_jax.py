"""JAX as a contender: one jitted training step, images as (image, row, column, channel), which suits it best."""

import os
from itertools import cycle
from typing import Any

import numpy as np

from ours import MOMENTUM, RATE
from plaingrad.compiler.loops import Array
from plaingrad.compiler.machine_code import processors
from plaingrad.network.network import Network
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool
from timing import Call, UnableError

NAME = "JAX"


def weights_of(net: Network) -> list[tuple[Array, Array]]:
    """The present weights with their axes in JAX's order."""
    weights, image = [], None  # the image whose pixels the next dense layer takes
    for step in net.steps.values():
        if isinstance(step.layer, Conv):
            weights.append((step.w.transpose(2, 3, 1, 0), step.b))
        elif isinstance(step.layer, Flatten):
            image = step.x
        elif isinstance(step.layer, Dense):
            w = step.w
            if image:
                w, image = w.reshape(-1, *image).transpose(0, 2, 3, 1).reshape(w.shape), None
            weights.append((w.T, step.b))
    return weights


def step(net: Network, images: Array, labels: Array, threads: int) -> Call:
    """One training step on one batch after the other; gives the loss."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    from jax import lax
    from jax import numpy as jnp

    if threads != processors():
        raise UnableError("the number of its threads cannot be pinned within a process")

    def scores(weights: Any, x: Any) -> Any:
        left = iter(weights)
        for each in net.layers:
            if isinstance(each, Conv):
                w, b = next(left)
                window, axes = each.window, ("NHWC", "HWIO", "NHWC")
                x = b + lax.conv_general_dilated(
                    x, w, window.stride, window.margins, None, window.dilation, axes, each.groups
                )
            elif isinstance(each, MaxPool):
                (high, wide), (n, rows, columns, channels) = each.window.size, x.shape
                if each.window.stride != each.window.size or rows % high or columns % wide:
                    raise UnableError("its pools here are windows side by side")
                x = x.reshape(n, rows // high, high, columns // wide, wide, channels).max((2, 4))
            elif isinstance(each, Flatten):
                x = x.reshape(len(x), -1)
            elif isinstance(each, Dense):
                w, b = next(left)
                x = b + x @ w
            else:
                raise UnableError(f"{each} has not been translated")
            if getattr(each, "activation", None):
                x = jax.nn.relu(x)
        return x

    def mean_loss(weights: Any, x: Any, target: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(scores(weights, x)), target[:, None], 1).mean()

    @jax.jit
    def update(weights: Any, velocities: Any, x: Any, target: Any) -> Any:
        loss, slopes = jax.value_and_grad(mean_loss)(weights, x, target)
        velocities = jax.tree.map(lambda velocity, slope: MOMENTUM * velocity + slope, velocities, slopes)
        return jax.tree.map(lambda w, velocity: w - RATE * velocity, weights, velocities), velocities, loss

    weights = jax.tree.map(jnp.array, weights_of(net))
    velocities = jax.tree.map(jnp.zeros_like, weights)
    batches = cycle(
        [(jnp.array(x.transpose(0, 2, 3, 1)), jnp.array(y, np.int32)) for x, y in zip(images, labels, strict=True)]
    )

    def once() -> Any:
        nonlocal weights, velocities
        weights, velocities, loss = jax.block_until_ready(update(weights, velocities, *next(batches)))
        return loss

    return once
