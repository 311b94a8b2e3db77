"""Exact arithmetic: numbers that carry their slope, or a bound on their rounding, through the unchanged loops."""

from dataclasses import dataclass
from decimal import Decimal, getcontext
from fractions import Fraction
from typing import Any

import numpy as np

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def density(value: Any) -> Any:
    """The standard normal density at a Decimal, to the digits of the context."""
    return (-(value * value) / 2).exp() / (2 * PI).sqrt()


def share_below(value: Any) -> Any:
    """How much of the standard normal distribution lies below a Decimal: ½ + φ(x) · (x + x³/3 + x⁵/(3·5) + …)."""
    factor = density(value)  # first: a fraction has no exponential
    term, total, odd = value, value, 1
    while term and abs(term) > abs(total) * Decimal(10) ** -getcontext().prec:
        odd += 2
        term = term * value * value / odd
        total += term
    return Decimal("0.5") + factor * total


@dataclass(frozen=True, eq=False)
class Dual:
    """A value and its slope along one chosen direction: a derivative found by running the loops themselves.

    Over `Fraction` it is exact. Over `Decimal` it has the digits of the context, and the elementary functions besides.
    """

    value: Any
    slope: Any = 0

    def _lift(self, other: Any) -> "Dual":
        if isinstance(other, Dual):
            return other
        if isinstance(self.value, Decimal) and isinstance(other, Fraction):
            other = Decimal(other.numerator) / other.denominator
        return Dual(other)

    def __add__(self, other: Any) -> "Dual":
        other = self._lift(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other: Any) -> "Dual":
        other = self._lift(other)
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def __truediv__(self, other: Any) -> "Dual":
        other = self._lift(other)
        quotient = self.value / other.value
        return Dual(quotient, (self.slope - quotient * other.slope) / other.value)

    def __rtruediv__(self, other: Any) -> "Dual":
        lifted: Dual = self._lift(other)
        return lifted / self

    def __neg__(self) -> "Dual":
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> "Dual":
        return self + -self._lift(other)

    def __rsub__(self, other: Any) -> "Dual":
        return self.__neg__().__add__(other)

    def __abs__(self) -> "Dual":
        return self if self > 0 else -self

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > self._lift(other).value)

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < self._lift(other).value)

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def exp(self) -> "Dual":
        value = self.value.exp()
        return Dual(value, value * self.slope)

    def log(self) -> "Dual":
        return Dual(self.value.ln(), self.slope / self.value)

    def sqrt(self) -> "Dual":
        value = self.value.sqrt()
        return Dual(value, self.slope / (2 * value))

    def tanh(self) -> "Dual":
        grown = (2 * self.value).exp()
        value = (grown - 1) / (grown + 1)
        return Dual(value, (1 - value * value) * self.slope)

    def normal_cdf(self) -> "Dual":
        return Dual(share_below(self.value), density(self.value) * self.slope)

    def normal_pdf(self) -> "Dual":
        value = density(self.value)
        return Dual(value, -self.value * value * self.slope)

    __radd__, __rmul__ = __add__, __mul__


@dataclass(frozen=True, eq=False)
class Sized:
    """A value to 50 digits with what bounds a computer's rounding of it: `size`, Σ|terms|, and the `steps` it saw.

    The error of a computed value is at most γ(steps) · size with γ(n) = n·u / (1 - n·u) and u half a unit in the last
    place, in whatever order a sum is added and whether or not products are fused into it (Higham, Accuracy and
    Stability of Numerical Algorithms, 2002, §3.1 and §4.2). `steps` adds up over operands, which is generous.
    A function f adds |f'| times its argument's bound, doubled for the curvature that the first derivative leaves out
    (an argument's error is far below its scale here), and four roundings, more than any C library needs.
    """

    value: Decimal
    size: Decimal
    steps: int = 0

    @classmethod
    def of(cls, number: Any) -> "Sized":
        return cls(Decimal(float(number)), abs(Decimal(float(number))))

    def _lift(self, other: Any) -> "Sized":
        if isinstance(other, Sized):
            return other
        exact = Decimal(other.numerator) / other.denominator if isinstance(other, Fraction) else Decimal(other)
        return Sized(exact, abs(exact))

    def __add__(self, other: Any) -> "Sized":
        other = self._lift(other)
        return Sized(self.value + other.value, self.size + other.size, self.steps + other.steps + 1)

    def __mul__(self, other: Any) -> "Sized":
        other = self._lift(other)
        return Sized(self.value * other.value, self.size * other.size, self.steps + other.steps + 1)

    def __truediv__(self, other: Any) -> "Sized":
        other = self._lift(other)
        value = self.value / other.value
        size = self.size / abs(other.value) + 2 * abs(value) * other.size / abs(other.value)
        return Sized(value, size, self.steps + other.steps + 1)

    def __rtruediv__(self, other: Any) -> "Sized":
        lifted: Sized = self._lift(other)
        return lifted / self

    def __neg__(self) -> "Sized":
        return Sized(-self.value, self.size, self.steps)

    def __abs__(self) -> "Sized":
        return Sized(abs(self.value), self.size, self.steps)

    def __sub__(self, other: Any) -> "Sized":
        return self + -self._lift(other)

    def __rsub__(self, other: Any) -> "Sized":
        return self.__neg__().__add__(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > self._lift(other).value

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __lt__(self, other: Any) -> bool:
        return self.value < self._lift(other).value

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __pow__(self, power: "Sized | int") -> "Sized":
        """A whole power, by so many products."""
        whole = self._lift(1)
        for _ in range(int(self._lift(power).value)):
            whole = whole * self
        return whole

    def _function(self, value: Decimal, slope: Decimal, roundings: int = 4) -> "Sized":
        return Sized(value, abs(value) + 2 * abs(slope) * self.size, self.steps + roundings)

    def exp(self) -> "Sized":
        return self._function(self.value.exp(), self.value.exp())

    def log(self) -> "Sized":
        return self._function(self.value.ln(), 1 / self.value)

    def sqrt(self) -> "Sized":
        return self._function(self.value.sqrt(), 1 / (2 * self.value.sqrt()))

    def tanh(self) -> "Sized":
        value = Dual(self.value).tanh().value
        return self._function(value, 1 - value * value)

    def normal_cdf(self) -> "Sized":
        return self._function(share_below(self.value), density(self.value), 12)  # erfc: five units in the last place

    def normal_pdf(self) -> "Sized":
        value = density(self.value)
        return self._function(value, self.value * value)

    def contains(self, number: Any) -> bool:
        """Whether `number`, computed in its own precision, is within the bound."""
        unit = Decimal(float(np.finfo(number.dtype).eps)) / 2
        return abs(Decimal(float(number)) - self.value) <= self.steps * unit / (1 - self.steps * unit) * self.size

    __radd__, __rmul__ = __add__, __mul__


def fractions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Fractions from a small set, so that ties and zeros turn up."""
    above, below = rng.integers(-2, 3, shape), rng.integers(1, 4, shape)
    return np.frompyfunc(lambda p, q: Fraction(int(p), int(q)), 2, 1)(above, below)  # type: ignore[no-any-return]


def decimals(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Decimals of one digit after the point, from -2.0 to 2.0."""
    return np.frompyfunc(lambda p: Decimal(int(p)) / 10, 1, 1)(rng.integers(-20, 21, shape))  # type: ignore[no-any-return]
