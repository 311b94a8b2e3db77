"""Updates whose steps are sums of columns: the gradient, that of the step before, the weights, and their signs."""

from collections.abc import Iterator

from plaingrad.checking.search import update_words as words
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.search.update_numbers import COLUMNS, DEVIATIONS, STRAY, Seen, Solved, least_squares, usual
from plaingrad.checking.search.update_rules import Rule

USUAL_SHARES = (0.9, 0.5, 0.99, 0.95, 0.8, 0.999)
USUAL_DECAYS = (0.01, 0.001, 0.0001, 0.0005, 0.1)
SUMS = (("own",), ("before",), ("own", "weight"), ("own", "before"), ("own", "sign"), ("own", "before", "weight"))


def sums(program: Program, seen: list[Seen]) -> Iterator[Rule]:
    """Steps that are a sum of the gradient, that of the step before, and the weights."""
    solved: dict[int, Solved] = {}
    for t in sorted({each.past.t for each in seen}):
        fit = next((fit for names in SUMS if (fit := _solved(seen, names, t))), None)
        if fit is None:
            if t <= 2:
                return
            break
        solved[t] = fit
    if solved:
        yield from _read(program, solved, seen)


def _solved(seen: list[Seen], names: tuple[str, ...], t: int) -> Solved | None:
    """The numbers by which columns make all steps of step t; None where none do."""
    of_step = [each for each in seen if each.past.t == t]
    if t == 1 and "before" in names:
        return None
    return least_squares(of_step, {name: COLUMNS[name] for name in names})


def _read(program: Program, solved: dict[int, Solved], seen: list[Seen]) -> Iterator[Rule]:
    """What solved numbers are usually the numbers of."""
    names = {name for each in solved.values() for name in each.value}
    if names == {"own"}:
        yield from _factors(program, solved, seen)
    elif "before" in names:
        yield from _kept(program, solved)
    else:
        last = solved[max(solved)]
        factor = 1.0 if last.near("own", 1.0) else last["own"]
        if "weight" in last.value and last.near("weight", 1.0):
            return  # the weight is replaced by a multiple of the gradient: nothing of it is left to be shrunk
        for decay, free in usual(last, "weight", [each * program.case.rate for each in USUAL_DECAYS]):
            if "weight" in last.value:
                yield words.decayed(program, factor, decay, free + (factor != 1))
        if "sign" in last.value:
            yield words.decayed(program, factor, last["sign"], 1 + (factor != 1), of_sign=True)


def _factors(program: Program, solved: dict[int, Solved], seen: list[Seen]) -> Iterator[Rule]:
    """Steps that are the right ones times a factor, of all steps or of each."""
    first = solved[min(solved)]
    factor, many = first["own"], len({each.place for each in seen}) > 1
    if all(each.near("own", factor, first.error["own"]) for each in solved.values()):
        known = words.factors(program)
        meant = {value: known[value] for value in known if all(each.near("own", value) for each in solved.values())}
        if meant:
            best = min(meant, key=lambda value: abs(value - factor))
            yield words.scaled(best, tuple(meant.values()), 0, many)
        for limit in _limits(solved, seen, round_only=True):
            yield words.clipped_by_norm(limit, 0)
        yield words.scaled(factor, (), 1, many)
        return
    for limit in _limits(solved, seen, round_only=False):
        yield words.clipped_by_norm(limit, 1)
    yield words.rate_changed({t: 1.0 if each.near("own", 1.0) else each["own"] for t, each in solved.items()})


def _limits(solved: dict[int, Solved], seen: list[Seen], round_only: bool) -> Iterator[float]:
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


def _kept(program: Program, solved: dict[int, Solved]) -> Iterator[Rule]:
    """Steps in which the gradient of the step before is kept."""
    if 2 not in solved or "before" not in solved[2].value:
        return
    first, then = solved.get(1, solved[2]), solved[2]
    if not then["own"]:
        yield words.earlier_gradient()
        return
    error = then.error["before"] / abs(then["own"]) + abs(then["before"] / then["own"] ** 2) * then.error["own"]
    found = Solved({"share": then["before"] / then["own"]}, {"share": error})
    decay = first["weight"] / program.case.rate
    for share, free in usual(found, "share", (*USUAL_SHARES, 1.0)):
        if not 0 < share <= 1:
            continue
        if share == 1:
            yield words.gradient_kept()
            yield words.gradients_averaged()
            continue
        if 1 - share <= error:
            continue  # the same, as far as it is known
        if "weight" not in first.value:
            yield words.momentum_added(program, share, free)
        elif 0 < decay < 1:  # the step before holds a share of the weights before, not of those now
            for one, cost in usual(
                Solved({"share": share * (1 - first["weight"])}, {"share": error}), "share", USUAL_SHARES
            ):
                for extra, more in usual(
                    Solved({"decay": decay}, {"decay": first.error["weight"]}), "decay", USUAL_DECAYS
                ):
                    if 0 < one < 1:
                        yield words.momentum_added(program, one, cost + more, decay=extra)
        yield words.exponential_average(share, free=free)
        yield words.exponential_average(share, corrected=True, free=free)
        if first.near("own", first["own"]) and not first.near("own", 1.0):
            yield words.momentum_added(program, share, free + 1, factor=first["own"])
    for share, free in usual(Solved({"share": first["own"] - 1}, {"share": first.error["own"]}), "share", USUAL_SHARES):
        if 0 < share < 1:
            yield words.nesterov(share, free)
    if 1 in solved and first.near("own", 1.0) and not then.near("own", 1.0):
        for momentum, free in usual(then, "before", USUAL_SHARES):
            for factor, more in usual(then, "own", (1 - momentum,)):
                yield words.dampened(momentum, factor, free + more)
    if max(solved) == 2:
        own = {t: {name: each[name] for name in each.value} for t, each in solved.items()}
        yield words.sum_of_steps(own, COLUMNS)
