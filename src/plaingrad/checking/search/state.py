"""An answer beside its case, as far as it has been judged: what is known of every array so far."""

from dataclasses import dataclass, field

import numpy as np

from plaingrad.checking.answers.layout import AXES, Order, Reading, suspicious
from plaingrad.checking.search import rounding
from plaingrad.checking.search.findings import Row
from plaingrad.checking.search.passes import Env, Estimate, Key
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array

OWN = 4.0  # times the uncertainty of what is computed: so much worse a printed number may be, and is still preferred
NEAR = 1e-2  # of the largest number: no other order of axes comes as near, unless it makes no difference


@dataclass(repr=False, eq=False)
class State:
    """`arrays` are the readings of each answered quantity, the likeliest first; `orders` those that are known."""

    program: Program
    arrays: dict[Key, list[Reading]]
    groups: dict[Key, str]
    precision: Precision
    orders: dict[str, Order]
    left_out: frozenset[str] = frozenset()
    found_orders: dict[str, Order] = field(default_factory=dict)
    odd_orders: dict[Key, Order] = field(default_factory=dict)  # of arrays laid out otherwise than others of their kind
    expected: Env = field(default_factory=dict)
    unanswered: set[Key] = field(default_factory=set)
    rows: dict[Key, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env: Env = self.program.start()

    def agrees(self, expected: Estimate, array: Array) -> bool:
        """Whether an array is what is expected, up to rounding."""
        return rounding.agrees(expected, array, self.precision)

    def own(self, array: Array) -> Estimate:
        """The program's own numbers, as exact as they were printed."""
        kept: Estimate = self.program.memo.of(("own", self.precision), [array], lambda: self._printed(array))
        return kept

    def _printed(self, array: Array) -> Estimate:
        """Equal numbers may be one number, rounded alike: m of them are off by m half grains, not by √m.

        A rounding is anything from - ½ to ½ of a grain, whose standard deviation is 1/√3 of the half.
        """
        grain = self.precision.grain(array) / 2
        if not grain.any():
            return Estimate(array, grain)
        _, place, count = np.unique(array, return_inverse=True, return_counts=True)
        return Estimate(array, grain * np.sqrt(np.maximum(count / 3, 1))[place].reshape(array.shape))

    def anchored(self, expected: Estimate, array: Array) -> Estimate:
        """The program's own numbers where they are known about as well as by computing them; else the computed ones.

        What was printed is off by itself; what is computed is off together with all that was made of the same numbers.
        """
        kept: Estimate = self.program.memo.of(
            ("anchored", self.precision), [expected, array], lambda: self._better(expected, array)
        )
        return kept

    def _better(self, expected: Estimate, array: Array) -> Estimate:
        own = self.precision.grain(array) / 2
        better = own <= OWN * expected.uncertainty
        better |= own == 0
        return Estimate(np.where(better, array, expected.value), np.where(better, own, expected.uncertainty))

    def agreeing(self, key: Key, expected: Estimate) -> Reading | None:
        """The reading of an array that agrees with what is expected: first the order its kind was found in before."""
        group = self.groups[key]
        known = self.order_of(group)
        readings = self.arrays[key]
        for reading in sorted(readings, key=lambda each: each.order != known):
            if not self.agrees(expected, reading.array):
                continue
            orders = [each.order for each in readings]
            if reading.order != known and suspicious(reading) and not suspicious(readings[0]):
                continue
            others = [each for each in readings if each.order != reading.order and self.agrees(expected, each.array)]
            if group in AXES and known in orders and reading.order != known:
                if all(np.array_equal(each.array, reading.array) for each in others):
                    continue  # it could be as the others are, and is not
            elif group in AXES and not others:
                if known is None:
                    self.found_orders[group] = reading.order
                elif reading.order != known:
                    self.odd_orders[key] = reading.order
            return reading
        return None

    def likeliest(self, key: Key) -> Reading:
        """The reading to judge by where none agrees."""
        known = self.order_of(self.groups[key])
        return next((each for each in self.arrays[key] if each.order == known), self.arrays[key][0])

    def nearest(self, key: Key, value: Array) -> Reading:
        """The reading to judge by where an array should be about so: of any order, where that of its kind is unknown.

        Where one alone is near, its order is that of its kind.
        """
        group = self.groups[key]
        if self.order_of(group) is not None or len(self.arrays[key]) == 1:
            return self.likeliest(key)
        away = [float(np.abs(each.array - value).max(initial=0)) for each in self.arrays[key]]
        found = self.arrays[key][int(np.argmin(away))]
        if group in AXES and sum(each <= NEAR * np.abs(value).max(initial=0) for each in away) == 1:
            self.found_orders[group] = found.order
        return found

    def order_of(self, group: str) -> Order | None:
        """The order of axes of arrays of a kind, as far as it is known."""
        return self.found_orders.get(group, self.orders.get(group))

    def is_of_own_output(self, key: Key, array: Array) -> bool:
        """Whether an error is right for the output that the program made, where that is another than it should be."""
        t, name, quantity = key
        output = self.rows.get((t, name, "y"))
        if (
            quantity != "dx"
            or name == "loss"
            or output is None
            or output.status == "agrees"
            or self.program.terms(name)
        ):
            return False
        made = self.program.dx_of_output(key, self.env)
        return self.agrees(rounding.alike(self.expected[key], made, self.program.unit), array)
