"""Right answers: of which program, in which convention, laid out and printed how; none may be called wrong."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from bars import chosen
from diseased import MODERN, networks, tied
from frameworks import SOURCES
from functions import FORMULAS
from plaingrad.checking.case import Case
from plaingrad.checking.check import check_answer
from plaingrad.checking.search.names import name_of
from plaingrad.compiler.loops import Array
from students import FLATTENED, ORDERS, WAYS, Arrays, Student, flattened, in_print, is_done, told

T = TypeVar("T")
TIES = (None, 0, 1, 2, 3)  # the seed of what is made equal or 0; None for nothing
PRINTS = ("f64", "f32", "6 digits", "5 digits", "4 digits", "3 digits", "6 decimals", "4 decimals")
DTYPES = {"float32": np.float32, "float64": np.float64}
PARTS = ("gradients", "weights", "outputs and gradients", "second step", "few", "half", "most")


@dataclass(frozen=True)
class Right:
    """A right answer. `program` is "student", or another of `frameworks.SOURCES`, which know one convention each."""

    network: str
    ties: int | None
    program: str
    dtype: str
    way: str = "as the case"
    order: str = "usual"
    printed: str = "f64"
    part: str = "all"
    seed: int = 0
    flat: str = "channel, row, column"
    formulas: str = "usual"


@functools.lru_cache(maxsize=64)
def case_of(network: str, ties: int | None) -> Case:
    """A network, as it is or with ties and zeros."""
    case = networks()[network]
    return case if ties is None else tied(case, ties)


@functools.lru_cache(maxsize=8)
def computed(network: str, ties: int | None, program: str, dtype: str, way: str, formulas: str) -> Arrays:
    """All that a program computes."""
    case, kind = case_of(network, ties), DTYPES[dtype]
    if program != "student":
        return SOURCES[program](case, kind)
    with np.errstate(all="ignore"):  # e^x is infinite for large x: such answers are none, and are left out
        return Student(case, kind, replace(WAYS[way], formulas=formulas)).arrays()


@functools.lru_cache(maxsize=8)
def mistaken(network: str, ties: int | None, dtype: str, way: str) -> Arrays:
    """All that a program computes that turns gradients where one in this way turns kernels as well."""
    turned = WAYS[way].stored_turned
    ways = replace(WAYS[way], stored_turned="", gradient_turned=turned)
    return Student(case_of(network, ties), DTYPES[dtype], ways).arrays()


def wronged(right: Right) -> str | None:
    """What was said of a right answer that was called wrong; None where it was called right."""
    arrays = computed(right.network, right.ties, right.program, right.dtype, right.way, right.formulas)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        return None
    arrays = flattened(case_of(right.network, right.ties), arrays, FLATTENED[right.flat])
    given = chosen(arrays, right.part, right.seed)
    if not tells(right, given):
        return None
    answer = told(given, right.order, in_print(right.printed))
    verdict = check_answer(case_of(right.network, right.ties), answer)
    if verdict.is_right:
        return None
    named = [f"{name_of(each.where)} {each.best.mistake.id if each.best else '?'}" for each in verdict.search.findings]
    return f"{verdict.verdict}: {'; '.join(named[:4])}"


def tells(right: Right, given: Arrays) -> bool:
    """Whether an answer can show what makes its numbers right.

    A gradient that is turned may be a mistake as well, unless a program with this mistake gives other numbers. And a
    gradient larger than that of the loss beside it is right only where the gradients of weights, or the steps of an
    update, are found to be divided.
    """
    case, ways = case_of(right.network, right.ties), WAYS[right.way]
    updated = [key for key in given if key[2] in ("w", "b")]
    if ways.stored_turned and any(given[key].ndim == 4 and key[2] == "dw" for key in given):
        other = flattened(case, mistaken(right.network, right.ties, right.dtype, right.way), FLATTENED[right.flat])
        printed = in_print(right.printed)
        if not any(differs(array, other[key], printed) for key, array in given.items()):
            return False
    if not (ways.each or ways.update) or not any(key[1:] == ("loss", "y") for key in given) or case.images == 1:
        return True
    slopes = [key for key in given if key[2] in ("dw", "db")]
    return bool(updated or (ways.each and slopes) or any(key[0] > 1 for key in given))


def differs(one: Array, other: Array, printed: Callable[[Array], Array]) -> bool:
    """Whether two arrays are seen to differ: by more than printing, which moves either by up to a last place, hides.

    What is made of printed numbers is off by a few of these; rounding to the nearest moves a number by half of one.
    """
    shown = printed(one)
    return bool((np.abs(shown - printed(other)) > 8 * np.abs(shown - one).max() + 1e-4 * np.abs(one).max()).any())


def every_right(part: str = "all") -> Iterator[Right]:
    """Every convention in every network, in either arithmetic and every print; the order of axes differs."""
    orders, number = list(ORDERS), 0
    for network in networks():
        for ties in TIES:
            for way in [each for each in WAYS if is_done(networks()[network], each)]:
                for dtype in DTYPES:
                    for printed in PRINTS[dtype == "float32" :]:
                        order = "usual" if way == "kernels stored turned" else orders[number % len(orders)]
                        yield Right(network, ties, "student", dtype, way, order, printed, part, number)
                        number += 1


def mixed(count: int, seed: int = 0) -> Iterator[Right]:
    """Right answers drawn at random: a network, a way, the order of every kind of array, a print and a part of each."""
    rng = np.random.default_rng(seed)

    def drawn(each: Iterable[T]) -> T:
        every = list(each)
        return every[rng.integers(len(every))]

    for number in range(count):
        network = drawn(networks())
        way = drawn(each for each in WAYS if is_done(networks()[network], each))
        dtype, is_moved = drawn(DTYPES), WAYS[way].columns or WAYS[way].last
        yield Right(
            *(network, drawn(TIES), "student", dtype, way, drawn(ORDERS), drawn(PRINTS[dtype == "float32" :])),
            *(drawn((*PARTS, "all", "all")), number),
            flat="channel, row, column" if is_moved else drawn(FLATTENED),
            formulas=drawn(FORMULAS),
        )


def partly(way: str = "as the case") -> Iterator[Right]:
    """Parts of answers in one convention."""
    number = 0
    for right in every_right():
        if right.way == way:
            for part in PARTS:
                yield Right(
                    right.network, right.ties, "student", right.dtype, way, right.order, right.printed, part, number
                )
                number += 1


def of_programs(programs: list[str]) -> Iterator[Right]:
    """What programs other than the student's answer, whole, in every print; they write none of the modern layers."""
    for network in (each for each in networks() if each not in MODERN):
        for program in programs:
            for ties in TIES:
                for dtype in DTYPES:
                    for printed in PRINTS[dtype == "float32" :]:
                        yield Right(network, ties, program, dtype, printed=printed)
