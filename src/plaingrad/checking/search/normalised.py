"""Normalisations in formulas: which numbers go together, what is made of them, and how far rounding takes it.

x̂ = (x - mean) / σ, y = w·x̂ + b, and dx = (w·dy - mean(w·dy) - x̂ · mean(w·dy·x̂)) / σ, each mean over the numbers that
are normalised together (Ioffe and Szegedy, 2015, section 3). A test holds these formulas to the texts.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.textbook.layers import BatchNorm, GroupNorm


@dataclass(frozen=True)
class Groups:
    """Which numbers are normalised together: channels in so many groups, and then over these axes.

    Axes are counted in (image, group, channel of the group, row, column). The channels of a group follow one another,
    or lie `apart`: one of each group, then the next of each.
    """

    count: int
    axes: tuple[int, ...]
    apart: bool = False

    def laid(self, array: Array) -> Array:
        """An array (image, channel, …) with the axes of a group."""
        images, channels, *maps = array.shape
        maps = [*maps, 1, 1][:2]
        if self.apart:
            return array.reshape(images, channels // self.count, self.count, *maps).swapaxes(1, 2)
        return array.reshape(images, self.count, channels // self.count, *maps)

    def back(self, laid: Array, shape: tuple[int, ...]) -> Array:
        """An array as it was before it was laid so."""
        return np.ascontiguousarray(laid.swapaxes(1, 2) if self.apart else laid).reshape(shape)

    def mean(self, laid: Array) -> Array:
        """The mean of each group, beside its numbers."""
        return np.asarray(laid.mean(axis=self.axes, keepdims=True))

    def size(self, laid: Array) -> int:
        """How many numbers go together."""
        return prod(laid.shape[axis] for axis in self.axes)


def groups_of(layer: Any, channels: int) -> Groups | None:
    """The groups of a layer; None where it is no normalisation."""
    if isinstance(layer, BatchNorm):
        return Groups(channels, (0, 2, 3, 4))
    return Groups(layer.groups, (2, 3, 4)) if isinstance(layer, GroupNorm) else None


class Normalised:
    """What a normalisation makes of an input and its weights. All arrays are laid as `groups` says."""

    def __init__(self, groups: Groups, x: Array, w: dict[str, Array], epsilon: float) -> None:
        self.groups, self.shape, self.epsilon = groups, x.shape, epsilon
        self.x = groups.laid(x)
        self.w, self.b = (groups.laid(w[name][None]) for name in ("w", "b"))
        self.count = groups.size(self.x)

    @cached_property
    def mean(self) -> Array:
        """Of each group."""
        return self.groups.mean(self.x)

    @cached_property
    def variance(self) -> Array:
        """Of each group: the mean square of how far its numbers are from its mean."""
        return self.groups.mean((self.x - self.mean) ** 2)

    @cached_property
    def deviation(self) -> Array:
        """What each number is divided by."""
        return np.asarray(np.sqrt(self.variance + self.epsilon))

    @cached_property
    def normal(self) -> Array:
        """The numbers, moved and scaled."""
        return np.asarray((self.x - self.mean) / self.deviation)

    @property
    def y(self) -> Array:
        """The output, in training."""
        return self.back(self.w * self.normal + self.b)

    def back(self, laid: Array) -> Array:
        """An array as the layer has it."""
        return self.groups.back(np.broadcast_to(laid, self.x.shape), self.shape)

    def of_channels(self, laid: Array) -> Array:
        """The sum of an array over all but the channels."""
        return np.asarray(self.back(laid).sum(axis=(0, *range(2, len(self.shape)))))

    def off(self, unit: float) -> Array:
        """How far rounding takes each normalised number, also where the variance is E[x²] - E[x]²."""
        root = (self.count + 2) ** 0.5
        moved = np.abs(self.x) + root * self.groups.mean(np.abs(self.x))
        share = 2 + root * self.groups.mean(self.x**2) / (2 * self.deviation**2)
        return np.asarray(unit * (moved / self.deviation + np.abs(self.normal) * share))


@dataclass(frozen=True)
class NormalisedSlopes:
    """What dx, dw or db is made of for one input: as `Slopes` are, without a list of all terms.

    With x̂ and σ of its group, dx = A · (w·dy), of which A = (1 - (1 + x̂ᵢx̂ⱼ) / count) / σ is symmetric.
    """

    made: Normalised
    wanted: str

    def of(self, dy: Array) -> Array:
        """What it makes of an error."""
        made, laid = self.made, self.made.groups.laid(dy)
        if self.wanted != "dx":
            return made.of_channels(laid * (made.normal if self.wanted == "dw" else 1))
        return made.back(self._sent(made.w * laid))

    def _sent(self, error: Array) -> Array:
        made, mean = self.made, self.made.groups.mean
        return np.asarray((error - mean(error) - made.normal * mean(error * made.normal)) / made.deviation)

    def spread(self, uncertainty: Array) -> Array:
        """How far it is off where dy is off by so much."""
        made, squares = self.made, self.made.groups.laid(uncertainty) ** 2
        if self.wanted != "dx":
            return np.sqrt(made.of_channels(squares * (made.normal**2 if self.wanted == "dw" else 1)))
        squares, normal, mean = made.w**2 * squares, made.normal, made.groups.mean
        # Σⱼ (δ - (1 + x̂ᵢx̂ⱼ) / count)² · squaresⱼ, multiplied out
        all_of_it = mean(squares) + 2 * normal * mean(normal * squares) + normal**2 * mean(normal**2 * squares)
        own = squares * (1 - 2 * (1 + normal**2) / made.count)
        return made.back(np.sqrt(np.maximum(own + all_of_it / made.count, 0)) / made.deviation)

    def size(self, dy: Array) -> Array:
        """The sum of sizes of what is added up."""
        made, size = self.made, self.made.groups.laid(np.abs(dy))
        normal = np.abs(made.normal)
        if self.wanted != "dx":
            return made.of_channels(size * (normal if self.wanted == "dw" else 1))
        size, mean = np.abs(made.w) * size, made.groups.mean
        return made.back((size + mean(size) + normal * mean(size * normal)) / made.deviation)

    def turned(self, weighing: Array) -> Array:
        """How much `weighing` · what it makes changes with each number of dy."""
        made = self.made
        laid = made.groups.laid(np.broadcast_to(self._beside(weighing), made.shape))
        if self.wanted != "dx":
            return made.back(laid * (made.normal if self.wanted == "dw" else 1))
        return made.back(made.w * self._sent(laid))

    def _beside(self, weighing: Array) -> Array:
        """Numbers of channels beside all numbers of their channel."""
        return weighing if self.wanted == "dx" else weighing.reshape(-1, *[1] * (len(self.made.shape) - 2))

    def rounded(self, dy: Array, unit: float) -> Array:
        """How far rounding takes it: that of its sums, and of the numbers they are made of."""
        made, size = self.made, self.made.groups.laid(np.abs(dy))
        own, off = np.asarray(unit * (made.count + 6) ** 0.5 * self.size(dy)), made.off(unit)
        if self.wanted != "dx":
            return np.asarray(own + made.of_channels(size * off) if self.wanted == "dw" else own)
        size, mean, normal = np.abs(made.w) * size, made.groups.mean, np.abs(made.normal)
        share = unit * (made.count + 2) ** 0.5 * mean(made.x**2) / made.deviation**2  # of the deviation
        more = (off * mean(size * normal) + normal * mean(size * off)) / made.deviation
        return np.asarray(own + made.back(more) + made.back(share) * self.size(dy))
