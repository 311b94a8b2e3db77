"""What a right program makes of the case, beside what follows from an answer's own numbers."""

import numpy as np

from plaingrad.checking.search.passes import Env, Estimate, Key
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.rounding import relative
from plaingrad.checking.search.state import State
from plaingrad.compiler.loops import Array

SURE = 0.01  # of the largest number: what is not known better may be anything


class Truths:
    """The arrays of a right program, as far as they were asked for, beside the `state` of an answer.

    `terms` are those that the answer's own conventions bring, as in `Program.other`.
    """

    def __init__(self, state: State, terms: dict[str, Terms]) -> None:
        self.state, self.program, self.terms = state, state.program, terms
        self.each_step: Env = {}  # made of the answer's weights of each step
        self.case_alone: Env = {}  # made of the weights of the case

    def has(self, key: Key, array: Array, is_sure: bool = True) -> bool:
        """Whether an array is that of a right program, though it is not what follows from the answer's own.

        A right program goes on from the answer's weights of the step before, or from the case alone. Without `is_sure`
        it may be that of one.
        """
        kept, self.program.other = self.program.other, self.terms
        try:
            every = [self._truth(key, self.case_alone, False)]
            if not (self.program.is_update(key) and key in self.state.env):  # of which the answer's own is taken there
                every.insert(0, self._truth(key, self.each_step, True))
        finally:
            self.program.other = kept
        for truth in [each for each in every if self.state.agrees(each, array)]:
            if not is_sure or truth.uncertainty.max(initial=0) <= SURE * np.abs(truth.value).max(initial=0):
                if is_sure and key in self.state.rows:
                    self.state.rows[key].error = relative(array, truth.value)
                return True
        return False

    def _truth(self, key: Key, truths: Env, goes_on: bool) -> Estimate:
        if not truths:
            truths |= self.program.start()
        if key not in truths and goes_on and self.program.is_update(key) and key in self.state.env:
            truths[key] = self.state.env[key]
        elif key not in truths:
            for need in self.program.needs(key):
                self._truth(need, truths, goes_on)
            truths[key] = self.program.evaluate(key, truths)
        return truths[key]
