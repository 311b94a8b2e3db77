"""The numbers of a run, and other numbers near them at which every comparison falls out the same: each to fifty digits.

A formula that holds by accident, or for the numbers that were typed into it, holds at none of the others.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from plaingrad.checking.claims.value import Point, agree, sized
from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError
from plaingrad.explaining.twin import Twin
from plaingrad.network.exact import Sized
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layers import LeakyReLU, ReLU
from plaingrad.textbook.losses import CrossEntropy, SoftmaxCrossEntropy

MOST_PRODUCTS = 200_000  # forward; at fifty digits and with their bounds, some ten in a millisecond
HALVINGS, MOST_NUDGED = 30, 100
Moves = Callable[[Array, np.random.Generator, Decimal], Array]

as_sized = np.frompyfunc(lambda number: number if isinstance(number, Sized) else sized(number), 1, 1)
as_binary = np.frompyfunc(lambda number: sized(Decimal(float(number))), 1, 1)


@dataclass(frozen=True)
class Givens:
    """What a run is given: parameters end to end, the image as the network takes it, what the outputs should be."""

    parameters: Array
    x: Array
    target: Array


class DecimalRun(Run):
    """A run whose layers' settings are what is written: a leak of 0.01 is a hundredth, as it is in a formula."""

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        written = {name: Fraction(repr(value)) for name, value in settings.items() if isinstance(value, float)}
        return super()._settings(settings | written)


class Rerun:
    """A run once more on numbers of fifty digits, which can be moved. For use in a context of so many digits."""

    def __init__(self, twin: Twin) -> None:
        products = twin.count * sum(step.layer.multiplications(step.x) for step in twin.net.steps.values())
        if products > MOST_PRODUCTS:
            raise SettingError(
                f"a claim got a run of {products:,} multiplications; it is checked in fifty digits, on at most "
                f"{MOST_PRODUCTS:,}: take a smaller network, such as one of plaingrad.explaining.examples, or one image"
            )
        self.twin = twin
        self.net = Network(*twin.net.layers, input=twin.net.input, dtype=object, name=twin.net.name)
        self.run = DecimalRun(self.net, twin.count, twin.run.loss, input_gradient=True)
        self.share = self._share()
        self._lay_given()
        self.here = self._here()

    def _lay_given(self) -> None:
        """What a layer is given besides numbers of the way: masks as they were drawn, each image's share in a mean."""
        if self.run.is_mixed:
            self.run.share[...] = sized(1) / sized(self.twin.count)
        for layer, record in self.twin.twin.records.items():
            if "mask" in record:
                mask = self.run.records[layer]["mask"]
                mask[...] = as_sized(record["mask"].astype(int)).reshape(mask.shape)

    def _here(self) -> Point:
        """The numbers of the run: tenths are tenths, unless only the binary fraction falls out as the run did."""
        twin, own = self.twin, pattern(self.twin.twin)
        for number in (self._shortest, as_binary):
            given = (number(each) for each in (twin.net.parameters, twin.twin.x, twin.twin.records["loss"]["target"]))
            self.givens = Givens(*given)
            if self.forward(self.givens) == own:
                return self.point()
        raise SettingError(
            "a claim got a run where two numbers that are compared differ by rounding alone; change a weight a little"
        )

    def _shortest(self, array: Array) -> Array:
        """The numbers with as many digits as their own type needs to tell them apart."""
        dtype = self.twin.run.net.dtype
        narrow = array if dtype.hasobject else array.astype(dtype)
        numbers = [sized(Decimal(str(each))) for each in narrow.flat]  # one by one, for each knows its own digits
        return np.array(numbers, object).reshape(array.shape)

    def _share(self) -> Array:
        """The share of each image in the loss: exactly one of so many where all have the same."""
        share = self._shortest(self.twin.twin.records["loss"]["share"])
        equal = self._shortest(np.full(share.shape, 1 / self.twin.count))
        return np.full(share.shape, sized(1) / sized(self.twin.count)) if all(map(agree, share, equal)) else share

    def forward(self, givens: Givens) -> list[bytes]:
        """Every layer's output, and how the comparisons fell out."""
        self.net.parameters[:], self.run.x[...] = givens.parameters, givens.x
        self.run.records["loss"]["target"][...] = givens.target
        self.run.records["loss"]["share"][...] = self.share
        for call in self.run.forward_calls:
            call()
            for record in self.run.records.values():
                record["y"][...] = as_sized(record["y"])  # a ReLU's 0 is a plain one, which a pool cannot compare
        return pattern(self.run)

    def point(self) -> Point:
        """Backward, and every number by the name of its array."""
        self.run.backward()
        made = [each for each in self.twin.in_order if each.quantity in self.run.records[each.layer]]
        numbers = (np.array(as_sized(self.run.seen(each.layer, each.quantity)), object) for each in made)
        return {each.name: array.reshape(each.shape) for each, array in zip(made, numbers, strict=True)}

    def elsewhere(self, rng: np.random.Generator, count: int, with_targets: bool) -> list[Point]:
        """Some points near the run, with the same winners: everything is moved, and if ties forbid it, in a tie."""
        same, found = pattern(self.twin.twin), list[Point]()
        for moves in (moved, moved_in_ties, unmoved):
            scale = Decimal("0.5")
            for _ in range(HALVINGS):
                givens = self._moved(rng, scale, moves, with_targets)
                if self.forward(givens) == same:
                    if moves is moved_in_ties and not found:
                        givens = self._nudged(givens, rng, scale, same)
                    found.append(self.point())
                else:
                    scale /= 2
                if len(found) == count:
                    return found
            if found:
                return found
        return found

    def _moved(self, rng: np.random.Generator, scale: Decimal, moves: Moves, with_targets: bool) -> Givens:
        parameters = self.givens.parameters.copy()
        for arrays in self.net.views(parameters):
            for array in arrays.values():
                array[...] = moved(array, rng, scale)
        target, is_class = self.givens.target, isinstance(self.twin.run.loss, CrossEntropy | SoftmaxCrossEntropy)
        if with_targets and not is_class:  # a class is chosen, as a winner is
            target = moved(target, rng, scale)
        return Givens(parameters, moves(self.givens.x, rng, scale), target)

    def _nudged(self, givens: Givens, rng: np.random.Generator, scale: Decimal, same: list[bytes]) -> Givens:
        """Pixels that were moved together, moved one by one as far as the winners allow it."""
        x = givens.x.copy()
        for place in rng.permutation(x.size)[:MOST_NUDGED]:
            before = x.flat[place]
            x.flat[place] = moved(before, rng, scale)
            if self.forward(replace(givens, x=x)) != same:
                x.flat[place] = before
        nudged = replace(givens, x=x)
        self.forward(nudged)
        return nudged


def moved(array: Any, rng: np.random.Generator, scale: Decimal) -> Any:
    """Every number moved by itself, by at most `scale` of the largest."""
    steps = rng.integers(-1000, 1001, np.shape(array))
    return as_moved(array, steps, scale * largest(array) / 1000)


def moved_in_ties(array: Array, rng: np.random.Generator, scale: Decimal) -> Array:
    """Equal numbers moved alike, so that what was equal stays so."""
    steps: dict[Decimal, int] = {}
    drawn = [steps.setdefault(each.value, int(rng.integers(-1000, 1001))) for each in array.flat]
    return np.asarray(as_moved(array, np.reshape(drawn, array.shape), scale * largest(array) / 1000), object)


def unmoved(array: Array, rng: np.random.Generator, scale: Decimal) -> Array:
    """The numbers as they are."""
    return array


def largest(array: Any) -> Decimal:
    return max((abs(each.value) for each in np.ravel(array)), default=Decimal(0)) or Decimal(1)


as_moved = np.frompyfunc(lambda number, steps, unit: sized(number.value + int(steps) * unit), 3, 1)


def pattern(run: Run) -> list[bytes]:
    """How the comparisons of a run fell out: which winners, and which outputs an activation let through."""
    found = []
    for layer, record in run.records.items():
        kind = run.net.steps[layer].layer if layer in run.net.steps else None
        if isinstance(kind, ReLU | LeakyReLU) or getattr(kind, "activation", None):
            found.append(np.asarray(record["y"] > 0, bool).tobytes())
        found += [array.tobytes() for name, array in record.items() if array.dtype.kind == "i" and name != "hit"]
    return found
