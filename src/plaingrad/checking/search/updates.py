"""Finds the one rule that makes all wrong updates of an answer, judged by the step: weight before less weight after.

Numbers of a rule (a factor, the share of the step before, a decay) are solved from all arrays of a step at once. A rule
is told only if it gives every answered array and explains far more digits than were solved for.

Over 300 lines, since all that is read off one set of steps stands together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product

import numpy as np

from plaingrad.checking.search import update_edits
from plaingrad.checking.search import update_words as words
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.passes import Env, Key
from plaingrad.checking.search.rounding import allowed
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.state import State
from plaingrad.checking.search.update_rules import (
    CHOICES,
    EPSILONS,
    Direction,
    Past,
    Place,
    Rule,
    decoupled,
    directions,
    holds,
    shapes,
    stepped_by,
)
from plaingrad.compiler.loops import Array
from plaingrad.textbook.optimisers import Adam, AdamW

DIGIT_BITS = 53  # of a number that is solved for
MOST_WORK = 25_000_000  # numbers handled in trying usual rules: about a second
LUCK = 20  # bits that a rule explains beyond what was solved and chosen: chance of one in a million
DEVIATIONS = 6.0  # standard errors by which a solved number may miss the one that is meant
MANY_TURNS = 2  # of a rate that goes on being multiplied, at least: any two numbers have some factor between them
LEAST = 3  # numbers of an array by whose steps edited updates are chosen
FEW = 50  # numbers of the smallest arrays, by which most rules are ruled out
STRAY = 1e-9  # of a solved number: by how much float64 itself may move it
SIGMAS = 8.0  # standard deviations that `allowed` allows
USUAL_SHARES = (0.9, 0.5, 0.99, 0.95, 0.8, 0.999)
USUAL_DECAYS = (0.01, 0.001, 0.0001, 0.0005, 0.1)
SOLVED = {"momentum-added", "weights-shrunk"}  # entries of the catalogue that solve a number for each array
Column = Callable[[Past], Array]
COLUMNS: dict[str, Column] = {
    "own": lambda past: past.rate * past.gradient(),
    "before": lambda past: past.rate * past.gradient(past.t - 1),
    "weight": lambda past: past.weight(),
    "sign": lambda past: np.sign(past.weight()),
}
SUMS = (("own",), ("before",), ("own", "weight"), ("own", "before"), ("own", "sign"), ("own", "before", "weight"))


@dataclass(frozen=True)
class Seen:
    """An answered update whose weights before and gradients are known: its step, and how far that may be off."""

    past: Past
    step: Array
    room: Array
    is_wrong: bool

    @property
    def place(self) -> Place:
        """Layer and weight."""
        return self.past.key[1:]


@dataclass(frozen=True)
class Solved:
    """Numbers by which columns are multiplied, and the standard error of each."""

    value: dict[str, float]
    error: dict[str, float]

    def __getitem__(self, name: str) -> float:
        return self.value.get(name, 0.0)

    def shows(self, name: str) -> bool:
        """Whether a number is another than 0."""
        return not self.near(name, 0.0)

    def near(self, name: str, other: float, among: float = 0.0) -> bool:
        """Whether a number may be another, which is off by `among` itself."""
        room = DEVIATIONS * (self.error.get(name, 0.0) + among) + STRAY * abs(other)
        return abs(self[name] - other) <= room


class Updates:
    """The updates of an answer, of which `state` was asked what disagrees and nothing about why."""

    def __init__(self, state: State, found: list[Finding], left_out: frozenset[str]) -> None:
        self.state, self.found, self.left_out = state, found, left_out
        self.program, self.env = state.program, state.env
        self.wrong = {finding.key: finding for finding in found}
        self.seen = [self._seen(key) for key in self.program.keys if self._is_known(key)]
        self.rules: list[Rule] | None = None

    def _is_known(self, key: Key) -> bool:
        """Whether an update is answered, and all that it was made of is told, or follows from the case alone."""
        if key not in self.state.arrays or not self.program.is_update(key):
            return False
        t, layer, weight = key
        told = self.state.arrays.keys()
        if t == 1:
            return True
        weights = [(t - 1, name, each) for name, step in self.program.steps.items() for each in step.weights]
        return (t - 1, layer, weight) in told and ((t, layer, "d" + weight) in told or all(w in told for w in weights))

    def _seen(self, key: Key) -> Seen:
        past, given = Past(self.program, self.env, key), self.state.likeliest(key).array
        step = past.weight() - given
        room = allowed(self.state.expected[key], given, self.state.precision)
        right = np.abs(past.rate * past.gradient()).max(initial=0)
        scale = max(1.0, float(np.abs(step).max(initial=0) / right)) if right > 0 else 1.0
        sizes = np.abs(past.weight()) + np.abs(given) + (np.abs(COLUMNS["before"](past)) if past.t > 1 else 0)
        own = SIGMAS * self.program.unit * sizes  # what another rule rounds besides
        return Seen(past, step, np.maximum(room * scale + own, np.finfo(float).tiny), key in self.wrong)

    @cached_property
    def known(self) -> frozenset[Key]:
        """The arrays that are wrong by themselves, whatever the update is."""
        at_first = {key[1:] for key in self.wrong if key[0] == 1}
        return frozenset(
            key
            for key in self.wrong
            if not self.program.is_update(key) and (key[1:] in at_first or self._is_told_before(key))
        )

    @property
    def first(self) -> Finding:
        """The first array that is wrong by the rule alone."""
        return next(finding for finding in self.found if finding.key not in self.known)

    def _is_told_before(self, key: Key) -> bool:
        return all(
            (key[0] - 1, name, weight) in self.state.arrays
            for name, step in self.program.steps.items()
            for weight in step.weights
        )

    @property
    def is_plain(self) -> bool:
        """Whether a rule makes all that is wrong, and one that no other mistake could make."""
        rules = self.explained()
        return bool(rules) and not self.known and not any(rule.late or rule.is_factor for rule in rules)

    def explained(self) -> list[Rule]:
        """The rules that make the answer, the simplest first; none, or several that give the same numbers."""
        if self.rules is None:
            self.rules = self._explained()
        return self.rules

    def _explained(self) -> list[Rule]:
        rules: list[Rule] = []
        for each in chain(self._candidates(), self._edited(rules)):
            if rules and (each.free > rules[0].free or each.mistake.id in {rule.mistake.id for rule in rules}):
                continue
            if each.mistake.id in self.left_out or not self._is_placed(each):
                continue
            expected = holds(each, self.state, self.known)
            if expected is not None and self._bits(expected) - DIGIT_BITS * each.free - each.choices > LUCK:
                rules.append(each)
                if len(rules) == words.MOST_TOLD or each.is_factor:
                    break
        return rules

    def _is_placed(self, rule: Rule) -> bool:
        """Whether a factor must be the update's: one of some arrays alone may be that of gradients that are not told.

        So it may where every array is about one layer.
        """
        if not rule.is_factor:
            return True
        keys = [key for key in self.wrong if self.program.is_update(key) and rule.covers(key)]
        if all((key[0], key[1], "d" + key[2]) in self.state.arrays for key in keys):
            return True
        return rule.places is None and len({key[1] for key in keys}) > 1

    def _bits(self, expected: Env) -> float:
        """The digits, in bits, of wrong numbers that came out right."""
        bits = 0.0
        for key, made in expected.items():
            finding = self.wrong.get(key)
            if finding is None or key in self.known:
                continue
            off = np.abs(finding.given - finding.expected)
            room = np.maximum(allowed(made, finding.given, self.state.precision), np.finfo(float).tiny)
            shown = off > room
            with np.errstate(all="ignore"):
                bits += float(np.minimum(np.log2(np.where(shown, off / room, 1)), DIGIT_BITS).sum())
        return bits

    def _candidates(self) -> Iterator[Rule]:
        """Rules that may be worth a whole look."""
        every = frozenset(seen.place for seen in self.seen)
        wrong = frozenset(seen.place for seen in self.seen if seen.is_wrong)
        if not wrong:
            if self.found and not any(key[0] == 1 for key in self.wrong):
                yield from self._usual()
            return
        if all((np.abs(seen.step) <= seen.room).all() for seen in self.seen if seen.is_wrong):
            if every == wrong:
                yield words.never_updated()
            return  # in some arrays alone it is a mistake of the catalogue
        for places in dict.fromkeys((every, wrong)):
            of_them = [seen for seen in self.seen if seen.place in places]
            of_gradient = (replace(each, is_factor=True) for each in chain(self._clipped(of_them), shapes()))
            of_all = chain(self._sums(of_them), self._exchanged(of_them), self._decaying(of_them))
            found = chain(of_all, self._sized(of_them), of_gradient)
            only = None if places == every else places
            yield from (replace(rule, places=only) for rule in found)

    def _edited(self, rules: list[Rule]) -> Iterator[Rule]:
        """Usual optimisers with one line edited, where nothing else was found and no weight is updated rightly."""
        if rules or not {each.place for each in self.seen} <= {each.place for each in self.seen if each.is_wrong}:
            return
        by_place: dict[Place, list[Seen]] = {}
        for each in self.seen:
            by_place.setdefault(each.place, []).append(each)
        whole = [every for every in by_place.values() if [each.past.t for each in every] == [*range(1, 1 + len(every))]]
        told = [every for every in whole if any(each.is_wrong for each in every) and every[0].step.size >= LEAST]
        if not told:
            return
        few = min(told, key=lambda every: (-len(every), every[0].step.size))
        own, at_others = list[Direction](), dict[float, list[Direction]]()
        for way in update_edits.found([(each.past, each.step) for each in few]):
            solved = sized(self.seen, way)
            if solved is not None and solved.near("rate", self.program.case.rate):
                own.append(way)
            elif solved is not None and isinstance(way.optimiser, Adam):  # whose rate is most often another
                at_others.setdefault(float(f"{solved['rate']:.6g}"), []).append(way)
        groups = [(self.program.case.rate, own, 0)] if own else [(rate, some, 1) for rate, some in at_others.items()]
        for rate, ways, free in groups:
            made = words.edited(update_edits.distinct(ways), rate, free)
            yield replace(made, choices=CHOICES + update_edits.count())

    def _usual(self) -> Iterator[Rule]:
        """Rules with usual numbers, where no update is answered with all it was made of."""
        rate = self.program.case.rate
        found: list[Rule] = []
        by = {each.id: each for each in reversed(list(directions()))}
        is_first = not any(key[0] > 1 and self.program.is_update(key) for key in self.state.arrays)
        for share in USUAL_SHARES[:3] if not is_first else ():
            found += [words.momentum_added(self.program, share, 0), words.nesterov(share)]
            found += [words.exponential_average(share)]
        for size in (rate, 0.001):  # of which the first step alone may be seen
            found += [words.one_size(size, False, by["adagrad"]) if is_first else words.direction(by["adam"], size, 0)]
        found += [words.decayed(self.program, 1.0, decay * rate, 0) for decay in USUAL_DECAYS]
        known = words.factors(self.program).items()
        found += [words.scaled(factor, (reason,), 0, many=True) for factor, reason in known]
        work = sum(map(self.program.work, self.program.keys))
        yield from found[: MOST_WORK // work]

    # Sums of columns

    def _sums(self, seen: list[Seen]) -> Iterator[Rule]:
        """Steps that are a sum of the gradient, that of the step before, and the weights."""
        solved: dict[int, Solved] = {}
        for t in sorted({each.past.t for each in seen}):
            fit = next((fit for names in SUMS if (fit := self._solved(seen, names, t))), None)
            if fit is None:
                if t <= 2:
                    return
                break
            solved[t] = fit
        if solved:
            yield from self._read(solved, seen)

    def _solved(self, seen: list[Seen], names: tuple[str, ...], t: int) -> Solved | None:
        """The numbers by which columns make all steps of step t; None where none do."""
        of_step = [each for each in seen if each.past.t == t]
        if t == 1 and "before" in names:
            return None
        return least_squares(of_step, {name: COLUMNS[name] for name in names})

    def _read(self, solved: dict[int, Solved], seen: list[Seen]) -> Iterator[Rule]:
        """What solved numbers are usually the numbers of."""
        names = {name for each in solved.values() for name in each.value}
        if names == {"own"}:
            yield from self._factors(solved, seen)
        elif "before" in names:
            yield from self._kept(solved)
        else:
            last = solved[max(solved)]
            factor = 1.0 if last.near("own", 1.0) else last["own"]
            is_replaced = "weight" in last.value and abs(factor) == 1 and last.near("weight", 1.0)
            if is_replaced:  # by the step: nothing of the weight is left to be shrunk
                return
            for decay, free in usual(last, "weight", [each * self.program.case.rate for each in USUAL_DECAYS]):
                if "weight" in last.value:
                    yield words.decayed(self.program, factor, decay, free + (factor != 1))
            if "sign" in last.value:
                yield words.decayed(self.program, factor, last["sign"], 1 + (factor != 1), of_sign=True)

    def _factors(self, solved: dict[int, Solved], seen: list[Seen]) -> Iterator[Rule]:
        """Steps that are the right ones times a factor, of all steps or of each."""
        first = solved[min(solved)]
        factor, many = first["own"], len({each.place for each in seen}) > 1
        if all(each.near("own", factor, first.error["own"]) for each in solved.values()):
            known = words.factors(self.program)
            meant = {value: known[value] for value in known if all(each.near("own", value) for each in solved.values())}
            if meant:
                best = min(meant, key=lambda value: abs(value - factor))
                yield words.scaled(best, tuple(meant.values()), 0, many)
            for limit in self._limits(solved, seen, round_only=True):
                yield words.clipped_by_norm(limit, 0)
            yield words.scaled(factor, (), 1, many)
            return
        for limit in self._limits(solved, seen, round_only=False):
            yield words.clipped_by_norm(limit, 1)
        yield words.rate_changed({t: 1.0 if each.near("own", 1.0) else each["own"] for t, each in solved.items()})

    def _limits(self, solved: dict[int, Solved], seen: list[Seen], round_only: bool) -> Iterator[float]:
        """Norms at which all gradients may have been clipped."""
        for t, each in solved.items():
            if 0 < each["own"] < 1 and not each.near("own", 1.0):
                past = next(one.past for one in seen if one.past.t == t)
                limit, error = each["own"] * past.norm(), each.error["own"] / each["own"]
                short = float(f"{limit:.1e}")
                several = sum(not one.near("own", 1.0) for one in solved.values()) > 1
                if abs(short - limit) <= (DEVIATIONS * error + STRAY) * limit and error < 1e-4:
                    yield short
                elif several and not round_only:
                    yield limit
                return

    def _kept(self, solved: dict[int, Solved]) -> Iterator[Rule]:
        """Steps in which the gradient of the step before is kept."""
        if 2 not in solved or "before" not in solved[2].value:
            return
        first, then = solved.get(1, solved[2]), solved[2]
        if not then["own"]:
            yield words.earlier_gradient()
            return
        error = then.error["before"] / abs(then["own"]) + abs(then["before"] / then["own"] ** 2) * then.error["own"]
        found = Solved({"share": then["before"] / then["own"]}, {"share": error})
        decay = first["weight"] / self.program.case.rate
        for share, free in usual(found, "share", (*USUAL_SHARES, 1.0)):
            if not 0 < share <= 1:
                continue
            if share == 1:
                yield words.gradient_kept()
                continue
            if "weight" not in first.value:
                yield words.momentum_added(self.program, share, free)
            elif 0 < decay < 1:  # the step before holds a share of the weights before, not of those now
                for one, cost in usual(
                    Solved({"share": share * (1 - first["weight"])}, {"share": error}), "share", USUAL_SHARES
                ):
                    for extra, more in usual(
                        Solved({"decay": decay}, {"decay": first.error["weight"]}), "decay", USUAL_DECAYS
                    ):
                        yield words.momentum_added(self.program, one, cost + more, decay=extra)
            yield words.exponential_average(share, free=free)
            yield words.exponential_average(share, corrected=True, free=free)
            if first.near("own", first["own"]) and not first.near("own", 1.0):
                yield words.momentum_added(self.program, share, free + 1, factor=first["own"])
        for share, free in usual(
            Solved({"share": first["own"] - 1}, {"share": first.error["own"]}), "share", USUAL_SHARES
        ):
            if 0 < share < 1:
                yield words.nesterov(share, free)
        if max(solved) == 2:
            own = {t: {name: each[name] for name in each.value} for t, each in solved.items()}
            yield words.sum_of_steps(own, COLUMNS)

    def _exchanged(self, seen: list[Seen]) -> Iterator[Rule]:
        """Steps that are the rate times the gradients of other weights."""
        of: dict[Place, Place] = {}
        for each in seen:
            if each.is_wrong and each.place not in of:
                own = {place: each.past.gradient(place=place) for place in self._alike(each)}
                fits = [
                    place for place, g in own.items() if (np.abs(each.step - each.past.rate * g) <= each.room).all()
                ]
                if len(fits) != 1:
                    return
                of[each.place] = fits[0]
        if of:
            yield words.of_other_weights(of)

    def _decaying(self, seen: list[Seen]) -> Iterator[Rule]:
        """Steps at a rate that is multiplied by the same number from each layer, or array, to the next one."""
        by_key = {each.past.key: least_squares([each], {"own": COLUMNS["own"]}) for each in seen}
        if not seen or any(each is None for each in by_key.values()):
            return
        every = list(self.program.steps)
        layers = [name for name, step in self.program.steps.items() if step.weights]
        orders = (layers, False), (layers[::-1], True), (every, False), (every[::-1], True)
        for (names, turned), arrays, goes_on in product(orders, (False, True), (True, False)):
            places = [(name, w) for name in names for w in self.program.steps[name].weights]
            turns = {place: number if arrays else names.index(place[0]) for number, place in enumerate(places)}
            count = (len(places) if arrays else len(names)) * goes_on  # or begins anew in each step
            at = {key: (key[0] - 1) * count + turns[key[1:]] for key in by_key}
            share = self._share_of_turns(at, by_key)
            if share is not None:
                yield words.decaying(share, at, arrays, turned)

    def _share_of_turns(self, at: dict[Key, int], by_key: dict[Key, Solved | None]) -> float | None:
        """The number whose powers, from the first or the second, are the factors of all turns."""
        last = max(at, key=lambda key: at[key])
        solved = by_key[last]
        if solved is None or at[last] < MANY_TURNS or not 0 < solved["own"] < 1:
            return None
        share = float(f"{solved['own'] ** (1 / at[last]):.3g}")
        near = (each is not None and each.near("own", share ** at[key]) for key, each in by_key.items())
        return share if all(near) else None

    def _alike(self, seen: Seen) -> list[Place]:
        """The other weights of the same shape."""
        places = [(layer, each) for layer, step in self.program.steps.items() for each in step.weights]
        shapes_ = {place: self.env[0, *place].value.shape for place in places}
        return [place for place in places if place != seen.place and shapes_[place] == seen.step.shape]

    # Steps in which each number is scaled by itself

    def _sized(self, seen: list[Seen]) -> Iterator[Rule]:
        """Steps of one size, and optimisers that scale each gradient."""
        last = max(each.past.t for each in seen)
        if last == 1:
            yield from self._sized_once(seen)
            return
        size = least_squares(seen, {"sign": lambda past: np.sign(past.gradient())})
        if size is not None and size.shows("sign"):
            yield words.one_size(size["sign"], last > 1)
        first = [each for each in seen if each.past.t == 1]
        rough = least_squares(first, {"sign": lambda past: np.sign(past.gradient())}, room=1e-3) if first else size
        if rough is None and not self._may_decay(first):
            return
        for each in directions():
            solved = sized(seen, each)
            if solved is not None:
                yield words.direction(each, solved["rate"], 1)
        for epsilon in EPSILONS[:2]:
            adam = Adam(epsilon=epsilon)
            columns: dict[str, Column] = {
                "rate": lambda past, adam=adam: stepped_by(adam, past, 1.0),  # type: ignore[misc]
                "weight": COLUMNS["weight"],
            }
            solved = least_squares(seen, columns)
            if solved is not None and solved.shows("rate") and 0 < solved["weight"] / solved["rate"] < 1:
                decay = solved["weight"] / solved["rate"]
                yield words.adamw(solved["rate"], decay, decoupled(AdamW(epsilon=epsilon, decay=decay), solved["rate"]))
            for decay in USUAL_DECAYS:
                l2 = Adam(epsilon=epsilon, decay=decay)
                solved = least_squares(seen, {"rate": lambda past, l2=l2: stepped_by(l2, past, 1.0)})  # type: ignore[misc]
                if solved is not None and solved.shows("rate"):
                    yield words.adam_decayed(l2, solved["rate"])

    def _sized_once(self, seen: list[Seen]) -> Iterator[Rule]:
        """Steps of one size in the first step alone, which is the same for the sign and several optimisers."""
        plain = least_squares(seen, {"rate": lambda past: np.sign(past.gradient())})
        if plain is not None and plain.shows("rate"):
            yield words.one_size(plain["rate"], False)
        for each in directions():
            if each.id in ("adagrad", "rmsprop") and (solved := sized(seen, each)):
                yield words.one_size(solved["rate"] * each.first, False, each)
        columns: dict[str, Column] = {"rate": lambda past: np.sign(past.gradient()), "weight": COLUMNS["weight"]}
        for by in (None, *(each for each in directions() if each.id == "adagrad")):
            solved = least_squares(seen, {**columns, "rate": by.of} if by else columns)
            if solved is not None and solved.shows("rate") and solved.shows("weight"):
                yield words.sized_and_shrunk(solved["rate"], solved["weight"], by)

    def _may_decay(self, first: list[Seen]) -> bool:
        """Whether the first steps may be of one size but for a share of the weights, or of all but a few."""
        sizes = np.concatenate([np.abs(each.step).reshape(-1) for each in first]) if first else np.zeros(1)
        middle = float(np.median(sizes))
        return bool(middle > 0 and (np.abs(sizes - middle) < 0.2 * middle).mean() > 0.5)

    # Steps that are cut off

    def _clipped(self, seen: list[Seen]) -> Iterator[Rule]:
        """Steps cut off at a limit, by value, or by the norm of each array; and weights that are."""
        sizes = [float(np.abs(each.step).max(initial=0) / each.past.rate) for each in seen if each.is_wrong]
        rooms = [float(each.room.max(initial=0) / each.past.rate) for each in seen if each.is_wrong]
        if sizes:
            yield words.clipped_by_value(rounded(max(sizes), max(rooms)), 1)
        limits = []
        for each in seen:
            own = least_squares([each], {"own": COLUMNS["own"]})
            if own is None:
                break
            if not own.near("own", 1.0):
                gradient = each.past.gradient()
                limits.append(own["own"] * float(np.sqrt((gradient * gradient).sum())))
        else:
            if limits and max(limits) - min(limits) < 1e-3 * max(limits):
                yield words.clipped_by_norm(rounded(float(np.median(limits)), 1e-4 * max(limits)), 1, of_each=True)
        after = [np.abs(each.past.weight() - each.step) for each in seen if each.is_wrong]
        if after:
            yield words.weights_clipped(max(float(each.max(initial=0)) for each in after), 1)


def has_one_name(search: Search) -> bool:
    """Whether no update, and nothing that follows from one without an answer, needs another explanation."""
    updates = [finding for finding in search.findings if search.program.is_update(finding.key)]
    later = [finding for finding in search.unnamed if finding.key[0] > 1 and finding.suspects]
    ids = {finding.best.mistake.id if finding.best else "" for finding in updates}
    # Solved number by number, or a scale that nobody uses: a rule that is the same in all arrays is tried first.
    is_solved = bool(ids & {*SOLVED, "scaled-like-no-loss"})
    return not later and (not ids or (len(ids) == 1 and "" not in ids and not is_solved))


def without_coincidences(search: Search) -> None:
    """Take back the names of updates where others stay unexplained: one edit would apply to all of them."""
    if any(search.program.is_update(finding.key) for finding in search.unnamed):
        for finding in search.findings:
            if search.program.is_update(finding.key):
                finding.fits = []


def rounded(value: float, room: float) -> float:
    """The number of two digits that it may be; itself where there is none."""
    short = float(f"{value:.1e}")
    return short if abs(short - value) <= room else value


def sized(seen: list[Seen], by: Direction) -> Solved | None:
    """The rate of an optimiser that makes all steps."""
    solved = least_squares(seen, {"rate": by.of})
    return solved if solved is not None and solved.shows("rate") else None


def usual(solved: Solved, name: str, values: list[float] | tuple[float, ...]) -> Iterator[tuple[float, int]]:
    """The usual numbers that a solved one may be, for which nothing was solved; then the solved one itself."""
    yield from ((value, 0) for value in values if solved.near(name, value))
    yield solved[name], 1


def least_squares(seen: list[Seen], columns: dict[str, Column], room: float = 0.0) -> Solved | None:
    """The numbers by which columns are to be multiplied to make the steps; None where none make all of them.

    `room` is what is allowed besides, of the largest step.
    """
    if not seen or is_ruled_out(seen, columns, room):
        return None
    matrix, steps = equations(seen, columns, room)
    if not np.isfinite(matrix).all() or not np.isfinite(steps).all() or len(steps) <= len(columns):
        return None
    sizes = np.sqrt((matrix * matrix).sum(axis=0))
    if (sizes == 0).any():
        return None
    numbers, _, rank, _ = np.linalg.lstsq(matrix / sizes, steps, rcond=1e-10)
    if rank < len(columns) or (np.abs(matrix / sizes @ numbers - steps) > 1).any():
        return None
    spread = np.sqrt(np.diag(np.linalg.inv((matrix / sizes).T @ (matrix / sizes)))) / SIGMAS
    return Solved(
        dict(zip(columns, map(float, numbers / sizes), strict=True)),
        dict(zip(columns, map(float, spread / sizes), strict=True)),
    )


def equations(seen: list[Seen], columns: dict[str, Column], room: float) -> tuple[Array, Array]:
    """What is to be multiplied, number by number, and what it should make; 1 is how far that may be off."""
    wide = [np.maximum(each.room, room * np.abs(each.step).max(initial=0)).reshape(-1) for each in seen]
    weights = 1 / np.concatenate(wide)
    with np.errstate(all="ignore"):
        made = [np.concatenate([column(each.past).reshape(-1) for each in seen]) for column in columns.values()]
    return np.stack(made, axis=1) * weights[:, None], np.concatenate([each.step.reshape(-1) for each in seen]) * weights


def is_ruled_out(seen: list[Seen], columns: dict[str, Column], room: float) -> bool:
    """Whether the smallest arrays alone cannot be made, and so all of them cannot.

    If every number were off by 1 at most, so would be these with the same multipliers; their squares would come to no
    more than their count, and with multipliers of their own to less. Twice that leaves room for rounding.
    """
    some: list[Seen] = []
    for each in sorted(seen, key=lambda each: each.step.size):
        if sum(one.step.size for one in some) >= FEW:
            break
        some.append(each)
    if len(some) == len(seen):
        return False
    matrix, steps = equations(some, columns, room)
    if not np.isfinite(matrix).all() or not np.isfinite(steps).all():
        return True
    sizes = np.sqrt((matrix * matrix).sum(axis=0))
    matrix = matrix[:, sizes > 0] / sizes[sizes > 0]
    numbers = np.linalg.lstsq(matrix, steps)[0]
    left = matrix @ numbers - steps
    return bool((left * left).sum() > 2 * len(steps))
