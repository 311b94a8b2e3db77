"""The functions of a network in the formulas in which programs have them: equal on paper, rounded otherwise."""

import math

import numpy as np

from plaingrad.compiler.loops import Array

erf = np.vectorize(math.erf, otypes=[float])


class Formulas:
    """As they are most often written in NumPy."""

    def sigmoid(self, x: Array) -> Array:
        """The sigmoid."""
        return 1 / (1 + np.exp(-x))

    def sigmoid_slope(self, x: Array, y: Array) -> Array:
        """Its derivative, where y is its output."""
        return y * (1 - y)

    def tanh(self, x: Array) -> Array:
        """The hyperbolic tangent."""
        return np.tanh(x)

    def tanh_slope(self, x: Array, y: Array) -> Array:
        """Its derivative, where y is its output."""
        return 1 - y * y

    def less_one(self, x: Array) -> Array:
        """e^x - 1."""
        return np.exp(x) - 1

    def area(self, x: Array) -> Array:
        """The share of a standard normal distribution below each number."""
        return ((1 + erf(x / math.sqrt(2))) / 2).astype(x.dtype)

    def softmax(self, x: Array) -> Array:
        """Probabilities of scores (image, score)."""
        grown = np.exp(x - x.max(axis=1, keepdims=True))
        return grown / grown.sum(axis=1, keepdims=True)

    def log_softmax(self, x: Array) -> Array:
        """Their logarithms."""
        return np.log(self.softmax(x))

    def softmax_back(self, x: Array, y: Array, dy: Array) -> Array:
        """The error of the scores."""
        return y * (dy - (y * dy).sum(axis=1, keepdims=True))

    def variance(self, x: Array, axes: tuple[int, ...] | int) -> Array:
        """The variance over some axes, which stay."""
        return x.var(axes, keepdims=True)

    def norm(self, x: Array) -> Array:
        """The root of a sum of squares over the first axis."""
        return np.sqrt((x * x).sum(axis=0))


class OfExponentials(Formulas):
    """All by e^x, without a care for its size."""

    def sigmoid(self, x: Array) -> Array:
        return np.exp(x) / (1 + np.exp(x))

    def sigmoid_slope(self, x: Array, y: Array) -> Array:
        return np.exp(-x) / (1 + np.exp(-x)) ** 2

    def tanh(self, x: Array) -> Array:
        return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))

    def tanh_slope(self, x: Array, y: Array) -> Array:
        return 4 / (np.exp(x) + np.exp(-x)) ** 2

    def softmax(self, x: Array) -> Array:
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    def variance(self, x: Array, axes: tuple[int, ...] | int) -> Array:
        return np.maximum((x * x).mean(axes, keepdims=True) - x.mean(axes, keepdims=True) ** 2, 0)


class OfEachOther(Formulas):
    """The sigmoid by the tangent, the tangent by the sigmoid; what may be multiplied out is."""

    def sigmoid(self, x: Array) -> Array:
        return (1 + np.tanh(x / 2)) / 2

    def sigmoid_slope(self, x: Array, y: Array) -> Array:
        return y - y * y

    def tanh(self, x: Array) -> Array:
        return 2 / (1 + np.exp(-2 * x)) - 1

    def tanh_slope(self, x: Array, y: Array) -> Array:
        return (1 - y) * (1 + y)

    def less_one(self, x: Array) -> Array:
        return np.expm1(x)

    def area(self, x: Array) -> Array:
        return np.vectorize(lambda each: math.erfc(-each / math.sqrt(2)) / 2, otypes=[float])(x).astype(x.dtype)

    def log_softmax(self, x: Array) -> Array:
        most = x.max(axis=1, keepdims=True)
        return x - most - np.log(np.exp(x - most).sum(axis=1, keepdims=True))

    def softmax(self, x: Array) -> Array:
        return np.exp(self.log_softmax(x))

    def softmax_back(self, x: Array, y: Array, dy: Array) -> Array:
        return y * dy - y * (y * dy).sum(axis=1, keepdims=True)

    def norm(self, x: Array) -> Array:
        return np.linalg.norm(x, axis=0).astype(x.dtype)


FORMULAS: dict[str, Formulas] = {
    "usual": Formulas(),
    "of exponentials": OfExponentials(),
    "of each other": OfEachOther(),
}
USUAL = FORMULAS["usual"]
