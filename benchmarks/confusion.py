"""How often `plaingrad check` is right; writes docs/confusion.md. Run by `make confusion`.

Each kind of answer is counted: right ones, in every convention; one mistake of the catalogue, in every pass of every
network; two at once; mistakes that are in no catalogue; each entry left out; and parts of all of these. The programs
that answer are those of the tests, so it runs with PYTHONPATH=tests.
"""

import argparse
import pathlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain

import plaingrad as pg
from bars import PRINTS, Outcome, Trial, chosen, oddities, pairs, parts, sampled, singles, tried, without
from diseased import alike, networks, played
from frameworks import installed
from plaingrad.checking.case import Case
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case
from plaingrad.compiler.loops import Array
from rights import Right, every_right, mixed, of_programs, partly, wronged
from strange import STRANGE
from students import WAYS, in_print, told

RIGHT = 5  # times the share of right answers are tried: none may be called wrong
PAGE = pathlib.Path(__file__).parents[1] / "docs" / "confusion.md"
PROCESSES = 2
PAIRS, PARTS, RIGHT_PARTS, WAY_PARTS, WHOLE, ODD, LEFT_OUT = 1600, 1200, 1200, 600, 5600, 3000, 2500
MIXED = 3000
WAYS_HOW = ("named", "same numbers", "place", "suspected", "layer", "missed")
SIZED_PARTS = ("all", "gradients", "weights", "half")
SIZED_WRONGS = ("scaled-oddly", "noise", "one-cell-wrong", "shifted-by-one", "all-random")  # none has a name
Task = tuple[str, Trial | Right]


@dataclass(frozen=True)
class Done:
    """A task, and what came of it: an outcome, or what was said against a right answer."""

    bar: str
    task: Trial | Right
    outcome: Outcome | None
    against: str | None


def tasks(share: float) -> Iterator[Task]:
    """All that is tried, or a share of it. Right answers first: computing them is what takes memory."""
    usual = set(WAYS) - {"as the case"}
    whole: dict[str, Callable[[], Iterable[Trial | Right]]] = {
        "right": lambda: sampled(every_right(), WHOLE),
        "right, by other programs": lambda: of_programs(installed()),
        "right, a part": lambda: sampled(partly(), RIGHT_PARTS),
        "right, a part in another convention": lambda: sampled(
            chain.from_iterable(partly(way) for way in sorted(usual)), WAY_PARTS
        ),
        "right, in mixed conventions": lambda: mixed(MIXED),
        "one": singles,
        "two": lambda: pairs(PAIRS),
        "unknown": lambda: sampled(oddities(), ODD),
        "left out": lambda: sampled((each for each in singles() if not is_convention(each)), LEFT_OUT, seed=1),
        "a part": lambda: parts(PARTS),
    }
    for bar, made in whole.items():
        every = list(made())
        part = min(RIGHT * share, 1) if bar.startswith("right") else share
        yield from ((bar, each) for each in sampled(every, max(round(part * len(every)), 1), seed=2))


def is_convention(trial: Trial) -> bool:
    """Whether what was planted is another right way."""
    return CATALOGUE[trial.planted[0].id].convention


def done(task: Task) -> Done:
    """What comes of a task."""
    bar, each = task
    if isinstance(each, Right):
        return Done(bar, each, None, wronged(each))
    found = tried(each)
    return Done(bar, each, without(found) if found and bar == "left out" else found, None)


def share_of(good: int, count: int) -> str:
    """A share in words."""
    return f"{good:,} of {count:,}, {good / count:.1%}" if count else "none tried"


def table(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> list[str]:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(map(str, row))} |" for row in lines]


def page(every: list[Done], share: float, sizes: list[tuple[str, str, float]]) -> str:
    """The whole page."""
    by_bar: dict[str, list[Done]] = defaultdict(list)
    for each in every:
        by_bar[each.bar].append(each)
    shown = {bar: [each.outcome for each in found if each.outcome] for bar, found in by_bar.items()}
    lines = [
        "# How often `plaingrad check` is right",
        "",
        "Written by `make confusion` and never by hand. Answers are made by programs of which it is known what is "
        f"wrong in them, for {len(networks())} networks; they are checked whole or in part, in float64, in float32 or "
        "as printed with few digits." + ("" if share == 1 else f" This page tells of {share:.0%} of the wrong ones."),
        "",
        "## Right answers that were called wrong",
        "",
        *table(("answers", "called wrong"), rights(by_bar)),
        "",
        *wrong_by_way(by_bar),
        "## Wrong answers",
        "",
        *table(("what is in them", "what is asked", "share", "floor"), wrongs(shown)),
        "",
        "By how the answer is printed, one mistake of the catalogue in each:",
        "",
        *table(("print", "named first", "under its own name", "something else named besides"), by_print(shown["one"])),
        "",
        f"In parts of answers with one mistake ({len(shown['a part'])} in which it shows):",
        "",
        *table(("part", "answers", *WAYS_HOW, "called right"), by_part(shown["a part"])),
        "",
        "## A network of the size of lenet5, two images",
        "",
        *table(("answer", "what is wrong", "seconds of a processor"), ((a, w, f"{s:.1f}") for a, w, s in sizes)),
        "",
        "## What is taken for what",
        "",
        'One mistake of the catalogue in each answer. "The same numbers": another mistake was named, which gives the '
        "numbers of the answer as well.",
        "",
        *table(
            ("mistake", "answers", "named", "the same numbers as", "called otherwise", "without a name"),
            confusion(shown["one"]),
        ),
        "",
        "## Mistakes that are the same numbers",
        "",
        "In some pass of one of the networks, in every step, up to rounding in float64; a checker cannot tell them "
        "apart there.",
        "",
        *table(("mistake", "the same as", "networks"), twins()),
        "",
    ]
    return "\n".join(lines)


def rights(by_bar: dict[str, list[Done]]) -> Iterator[tuple[str, str]]:
    for bar, found in by_bar.items():
        if bar.startswith("right"):
            yield bar, share_of(sum(each.against is not None for each in found), len(found))


def wrong_by_way(by_bar: dict[str, list[Done]]) -> list[str]:
    """The conventions in which right answers were called wrong, if there are any."""
    counts, all_of = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for bar, found in by_bar.items():
        for each in found:
            if isinstance(each.task, Right):
                all_of[bar, each.task.way] += 1
                counts[bar, each.task.way] += each.against is not None
    rows = [(bar, way, share_of(count, all_of[bar, way])) for (bar, way), count in counts.most_common() if count]
    return [*table(("answers", "convention", "called wrong"), rows), ""] if rows else []


def wrongs(shown: dict[str, list[Outcome]]) -> Iterator[tuple[str, str, str, str]]:
    """The bars."""

    def row(bar: str, what: str, asked: str, floor: str, good: Callable[[Outcome], bool]) -> tuple[str, str, str, str]:
        return what, asked, share_of(sum(map(good, shown[bar])), len(shown[bar])), floor

    yield row("one", "one mistake of the catalogue", "named, first", "97%", lambda each: each.first.is_named)
    yield row("two", "two at once", "both named", "90%", lambda each: all(said.is_named for said in each.said))
    unknown = f"one of {len(STRANGE)} that are in no catalogue"
    for bar, what in (("unknown", unknown), ("left out", "one whose entry is left out")):
        yield row(bar, what, "found in its pass", "95%", lambda each: each.first.how not in ("missed", "layer"))
        yield row(bar, what, "given a wrong name", "at most 5%", lambda each: bool(each.wrong_names))
    yield row(
        "a part", "one, in a part of an answer", "named, or its layer suspected", "",
        lambda each: each.said[0].how != "missed",
    )  # fmt: skip


def by_print(found: list[Outcome]) -> Iterator[tuple[str, ...]]:
    for printed in PRINTS:
        of = [each for each in found if each.trial.printed == printed]
        yield (
            printed,
            share_of(sum(each.first.is_named for each in of), len(of)),
            share_of(sum(each.first.how == "named" for each in of), len(of)),
            share_of(sum(bool(each.besides) for each in of), len(of)),
        )


def by_part(found: list[Outcome]) -> Iterator[tuple[object, ...]]:
    for part in dict.fromkeys(each.trial.part for each in found):
        of = [each for each in found if each.trial.part == part]
        hows = Counter(each.said[0].how for each in of)
        missed = sum(each.is_right and not each.said[0].is_named for each in of)
        yield part, len(of), *(hows[how] for how in WAYS_HOW), missed


def confusion(found: list[Outcome]) -> Iterator[tuple[object, ...]]:
    """For each mistake of the catalogue what was said of it."""
    for id in sorted({each.trial.planted[0].id for each in found}):
        of = [each.first for each in found if each.trial.planted[0].id == id]
        same = Counter(each.instead.split()[-1] for each in of if each.how == "same numbers")
        other = Counter(each.instead.split()[-1] for each in of if not each.is_named and each.instead)
        lost = sum(not each.is_named and not each.instead for each in of)
        yield id, len(of), sum(each.how == "named" for each in of), listed(same), listed(other), lost or ""


def listed(counts: Counter[str]) -> str:
    """Names, and how often."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def twins() -> Iterator[tuple[str, str, str]]:
    """Mistakes that are the same numbers somewhere."""
    where: dict[tuple[str, str], list[str]] = defaultdict(list)
    for network in networks():
        for (_, id, _), others in alike(network).items():
            for other in others:
                pair = (min(id, other), max(id, other))
                if network not in where[pair]:
                    where[pair].append(network)
    for one, two in sorted(where):
        yield one, two, ", ".join(where[one, two])


def seconds() -> Iterator[tuple[str, str, float]]:
    """Seconds of the processor for a network as large as lenet5: right answers, and a wrong one of every place."""
    case = make_case(pg.model("lenet5").network().layers, (1, 28, 28), images=2)
    right, _ = played(case, {})
    check_answer(case, told(right))  # what is made once, for all answers to this case
    for part in SIZED_PARTS:
        yield part, "nothing", timed(case, told(chosen(right, part, 0)))
    took: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for number, place in enumerate(dict.fromkeys(key[1:] for key in right)):
        id = SIZED_WRONGS[number % len(SIZED_WRONGS)]
        printed, part = PRINTS[number % len(PRINTS)], SIZED_PARTS[number % len(SIZED_PARTS)]
        arrays, changed = played(case, {place: STRANGE[id]}, single=printed != "f64")
        if changed:
            answer = told(chosen(arrays, part, number), printed=in_print(printed))
            took[part].append((timed(case, answer), f"{'.'.join(place)}, {id}, {printed}"))
    for part, times in took.items():
        yield part, f"one of {len(times)} places, on average", sum(each for each, _ in times) / len(times)
        yield part, f"the slowest of these: {max(times)[1]}", max(times)[0]


def timed(case: Case, answer: dict[str, Array]) -> float:
    """The seconds of the processor that a check takes."""
    began = time.process_time()
    check_answer(case, answer)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="of the wrong answers, and more of the right ones; fewer are faster to try",
    )
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--page", type=pathlib.Path, default=PAGE)
    settings = parser.parse_args()
    sizes = list(seconds())
    every = []
    with ProcessPoolExecutor(settings.processes) as pool:
        for each in pool.map(done, tasks(settings.share), chunksize=16):
            every.append(each)
            failed = each.against or (each.outcome and fails(each.bar, each.outcome) and str(each.outcome))
            if failed:
                print(f"{each.bar}: {failed if each.outcome else f'{each.task} -> {failed}'}", flush=True)
    settings.page.write_text(page(every, settings.share, sizes), encoding="utf-8")


def fails(bar: str, outcome: Outcome) -> bool:
    """Whether an answer is one of those that a floor lets pass."""
    if bar == "one":
        return not outcome.first.is_named
    if bar == "two":
        return not all(said.is_named for said in outcome.said)
    if bar == "a part":
        return outcome.said[0].how == "missed"
    return outcome.first.how in ("missed", "layer") or bool(outcome.wrong_names)


if __name__ == "__main__":
    main()
