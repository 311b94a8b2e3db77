"""Looks for mistakes in passes whose arrays were not answered, by what follows from them."""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from plaingrad.checking.search.findings import Fit, form_of, forms_of
from plaingrad.checking.search.passes import Env, Estimate, Key
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.rounding import TELLING, alike, allowed, explains
from plaingrad.checking.search.state import State
from plaingrad.compiler.loops import Array

MOST_EDITED = 3  # passes whose edits are all tried in vain: where so many have no name, more of them tell little
FORMS = 20  # about as many mistakes can be made in a pass
MOST_WORK = 25_000_000
"""How many numbers a search handles in looking for mistakes in passes without an answer: about two seconds."""


@dataclass
class Budget:
    """What may still be spent."""

    left: int = MOST_WORK
    edits: int = MOST_EDITED  # passes whose edits may still be tried without a result
    searched: set[Key] = field(default_factory=set)  # passes that were looked through without a result

    def spend(self, work: int) -> bool:
        """Whether there was enough left."""
        self.left -= work
        return self.left >= 0


class Unanswered:
    """The passes without an answer that one disagreeing pass rests on."""

    def __init__(self, state: State, key: Key, array: Array, budget: Budget) -> None:
        self.state, self.program, self.env = state, state.program, state.env
        self.key, self.array, self.budget = key, array, budget
        self.suspects = tuple(self._resting_on())
        self.base: Env = {}
        self.judged: list[Key] = []  # answered passes that rest on the same ones

    def explained(self, fits: list[Fit]) -> list[Fit]:
        """The mistakes, of those in the pass itself and those in any pass before it, that explain most answers."""
        judged = self.judged = self._observed()
        self.base = self._baseline(judged)
        fits = fits + self._fits()
        for fit in fits:
            fit.agreed = self._agreement(fit, judged)
        most = max((fit.agreed for fit in fits), default=0)
        fits = [fit for fit in fits if fit.agreed == most and most > 0]
        if not fits:
            self.budget.searched |= set(self.suspects)
        return fits

    def _resting_on(self) -> Iterator[Key]:
        """The passes without an answer, nearest first."""
        waiting, seen = [self.key], {self.key}
        while waiting:
            for need in self.program.needs(waiting.pop(0)):
                if need in self.state.unanswered and need not in seen:
                    seen.add(need)
                    waiting.append(need)
                    yield need

    def _observed(self) -> list[Key]:
        """The answered passes that rest on any of these without another answer between."""
        reach, judged = set(self.suspects), []
        for key in self.program.keys:
            if any(need in reach for need in self.program.needs(key)):
                if key in self.state.arrays:
                    judged.append(key)
                elif key[0] == self.suspects[0][0]:
                    reach.add(key)
        return judged

    def _baseline(self, judged: list[Key]) -> Env:
        """What every pass from the first suspect to the last judged one should be if nothing else is wrong."""
        base: Env = {}
        env = ChainMap(base, self.env)
        places = [self.program.place[each] for each in (*self.suspects, *judged)]
        for each in self.program.keys[min(places) : max(places) + 1]:
            estimate = self.program.evaluate(each, env)
            self.state.expected[each] = estimate
            if each not in self.env:
                given = each in self.state.arrays
                base[each] = self.state.own(self.state.likeliest(each).array) if given else estimate
        return base

    def _fits(self) -> list[Fit]:
        """The mistakes that, made in an earlier pass without an answer, give the answered array.

        On the way back all follows in proportion: one weighing of the answer, pulled back to the pass, rules out nearly
        all forms at the price of a product. What may be left is sent through the passes between.
        """
        expected = self.state.expected[self.key]
        weighing = np.asarray(np.random.default_rng(0).normal(size=self.array.shape))
        pulls = self._pulls(weighing)
        missing = float((weighing * (self.array - expected.value)).sum())
        room = allowed(expected, self.array, self.state.precision)
        doubt = 4 * float((np.abs(weighing) * room).sum()) + 1e-5 * abs(missing)
        found: dict[tuple[str, Key], Fit] = {}
        layers = sorted(self._whole_layers(), key=lambda keys: keys[0][1] != self.key[1])
        is_own = bool(layers) and layers[0][0][1] == self.key[1]
        whole = [*self._fits_of_all(layers.pop(0))] if is_own else []  # the nearest, before much is spent
        for place in sorted(self.suspects, key=lambda each: each not in pulls):
            price = self.program.work(place) * (FORMS if place in pulls else 1)
            if place in self.budget.searched or not self.budget.spend(price):
                continue
            pull, right = pulls.get(place), self.env[place].value
            path = sum(self.program.work(each) for each in self._between(place))
            for fit in forms_of(self.program, place, self.env, right, None, self.state.left_out):
                known = (fit.mistake.id, place)
                if known in found or np.array_equal(fit.made, right):
                    continue
                if pull is not None and self.key[0] == place[0]:
                    gained = float((pull * (fit.made - right)).sum())
                    if not abs(gained - missing) <= doubt + 1e-5 * abs(gained):
                        continue
                elif not self.budget.spend(path):
                    break
                if self._is_made(fit):
                    found[known] = fit
        whole += [fit for keys in layers for fit in self._fits_of_all(keys)]
        return [*found.values(), *whole]

    def _whole_layers(self) -> Iterator[list[Key]]:
        """The updates of all weights of a layer, or of all its running values, where none of them is answered."""
        some: dict[tuple[int, str, bool], list[Key]] = {}
        for each in sorted(self.suspects, key=self.program.place.__getitem__):
            t, layer, quantity = each
            if layer != "loss" and quantity in self._carried(layer, self.program.is_update(each)):
                some.setdefault((t, layer, self.program.is_update(each)), []).append(each)
        for (_, layer, is_update), keys in some.items():
            if len(keys) == len(self._carried(layer, is_update)) > 1:
                yield keys

    def _carried(self, layer: str, is_update: bool) -> tuple[str, ...]:
        """What goes on from step to step: a layer's weights, or its running values."""
        step = self.program.steps[layer]
        return tuple(step.weights if is_update else step.state)

    def _fits_of_all(self, keys: list[Key]) -> Iterator[Fit]:
        """The mistakes that, made in all these updates, give the answered array."""
        first, *others = keys
        path = sum(self.program.work(each) for each in self._between(first))
        right = {key: self.env[key].value for key in keys}
        for fit in forms_of(self.program, first, self.env, right[first], None, self.state.left_out):
            if not self.budget.spend(path):
                return
            fit.beside = {key: form_of(fit, self.program, key, self.env, right[key]) for key in others}
            is_silent = any(np.array_equal(made, right[key]) for key, made in _made_in(fit).items())
            if not is_silent and self._is_made(fit):
                yield fit

    def _is_made(self, fit: Fit) -> bool:
        """Whether the answered array follows from a mistake, and the mistake matters."""
        expected, made = self.state.expected[self.key], self._sent_on(fit).get(self.key)
        if made is None or not self.state.agrees(made, self.array) or fit.leaves_zero(made.value, self.array):
            return False
        return explains(made.value, expected.value, self.array) and self._is_resolved(fit)

    @np.errstate(all="ignore")
    def _is_resolved(self, fit: Fit) -> bool:
        """Whether the answered array would not follow from a mistake that did an eighth less as well.

        Else nearly any mistake there would give it, where outputs are saturated or few digits were printed. Another
        right way may hardly show.
        """
        if fit.mistake.convention:
            return True

        def less(key: Key, made: Array) -> Array:
            return made + (self.env[key].value - made) / TELLING

        beside = {key: less(key, made) for key, made in fit.beside.items()}
        made = self._sent_on(replace(fit, made=less(fit.key, fit.made), beside=beside)).get(self.key)
        return made is None or not self.state.agrees(made, self.array)

    def _pulls(self, weighing: Array) -> dict[Key, Array]:
        """How the weighed sum of the array changes with the numbers of each pass without an answer it rests on."""
        pulls = {self.key: weighing}
        for each in reversed(self.program.keys[: self.program.place[self.key] + 1]):
            if each in pulls:
                for need in self.program.needs(each):
                    if need in self.state.unanswered:
                        pull = self.program.pulled(each, need, self.env, pulls[each])
                        if pull is not None:
                            pulls[need] = pulls[need] + pull if need in pulls else pull
        return pulls

    def _between(self, place: Key) -> list[Key]:
        """The passes after one, up to the disagreeing one."""
        return self.program.keys[self.program.place[place] + 1 : self.program.place[self.key] + 1]

    def _sent_on(self, fit: Fit) -> Env:
        """What follows from a mistake, through passes without an answer, up to and with the disagreeing one.

        Nothing where an answer on the way agreed, and would not any more.
        """
        overlay: Env = {key: alike(self.env[key], made, self.program.unit) for key, made in _made_in(fit).items()}
        env = ChainMap(overlay, self.env)
        with self._made_of(fit.key[1], fit.terms):
            for each in self._between(fit.key):
                if each in fit.beside:
                    continue
                touched = any(need in overlay for need in self.program.needs(each)) or self._is_same(each, fit)
                if touched and (each in self.suspects or each == self.key):  # nothing else leads to it
                    overlay[each] = self._quick(each, env, fit)
                elif touched and each in self.judged and self._is_broken(each, self._quick(each, env, fit)):
                    return {}
        return overlay

    def _quick(self, key: Key, env: Mapping[Key, Estimate], fit: Fit) -> Estimate:
        """What a pass makes, known about as well as what it should make; with the slip of `fit` in its other steps."""
        value = self.program.value(key, env)
        # With terms, the layer is made of them for as long as this is asked.
        if fit.terms is None and self._is_same(key, fit) and (key in self.state.unanswered or key in self.base):
            value = form_of(fit, self.program, key, env, value)
        return alike(self.state.expected[key], value, self.program.unit)

    def _is_same(self, key: Key, fit: Fit) -> bool:
        """Whether a pass is, in some step, one that a mistake is made in."""
        return any(self.program.is_same_code(key, each) for each in fit.keys)

    @contextmanager
    def _made_of(self, layer: str, terms: Terms | None) -> Iterator[None]:
        """For a while a layer is made of other terms."""
        kept = dict(self.program.other)
        if terms is not None:
            self.program.other[layer] = terms
        try:
            yield
        finally:
            self.program.other = kept

    def _is_beside(self, key: Key) -> bool:
        """Whether a gradient is made of the same errors as the answered one: both of a layer's are wrong if these are.

        The gradient of a bias is a mere sum of errors, which many others give too.
        """
        gradients = ("dw", "db")
        return key != self.key and key[:2] == self.key[:2] and {key[2], self.key[2]} == {*gradients}

    def _is_broken(self, key: Key, made: Estimate) -> bool:
        """Whether an answer that agreed with what it should be does not with this."""
        array = self.state.likeliest(key).array
        return not self.state.agrees(made, array) and self.state.agrees(self.state.expected[key], array)

    def _agreement(self, fit: Fit, judged: list[Key]) -> int:
        """How many answered passes agree once this mistake is made; -1 if one that agreed would not any more.

        And where more that follow from it stay wrong than it accounts for.
        """
        overlay: Env = {}
        env: Mapping[Key, Estimate] = ChainMap(overlay, self.base, self.env)
        made_in = _made_in(fit)
        count, accounted, left, places = 0, 0, 0, [self.program.place[each] for each in (*fit.keys, *judged)]
        with self._made_of(fit.key[1], fit.terms):
            for each in self.program.keys[min(places) : max(places) + 1]:
                if each in made_in:
                    own = made_in[each]
                    known = self.state.expected.get(each, Estimate(own, np.zeros_like(own)))
                    overlay[each] = alike(known, own, self.program.unit)
                    count += each in judged
                    continue
                if not any(need in overlay for need in self.program.needs(each)):
                    if each in judged:
                        count += self.state.agrees(self.state.expected[each], self.state.likeliest(each).array)
                    continue
                made = self._quick(each, env, fit)
                if each not in self.state.arrays:
                    overlay[each] = made
                elif each in judged:
                    if self._is_broken(each, made):
                        return -1
                    is_made = self.state.agrees(made, self.state.likeliest(each).array)
                    if not is_made and fit.key != self.key and self._is_beside(each):
                        return -1
                    count += is_made
                    accounted, left = accounted + is_made, left + (not is_made)
        fit.overlay = {key: estimate for key, estimate in overlay.items() if key in self.state.unanswered}
        return -1 if fit.key != self.key and left >= accounted else count


def _made_in(fit: Fit) -> dict[Key, Array]:
    """What a mistake made, by pass."""
    return {fit.key: fit.made} | fit.beside
