"""Right answers: of which program, in which convention, laid out and printed how; none may be called wrong."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bars import chosen
from diseased import networks, tied
from frameworks import SOURCES
from plaingrad.checking.case import Case
from plaingrad.checking.check import check_answer
from plaingrad.checking.search.names import name_of
from students import ORDERS, WAYS, Arrays, Student, in_print, told

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


@functools.lru_cache(maxsize=64)
def case_of(network: str, ties: int | None) -> Case:
    """A network, as it is or with ties and zeros."""
    case = networks()[network]
    return case if ties is None else tied(case, ties)


@functools.lru_cache(maxsize=8)
def computed(network: str, ties: int | None, program: str, dtype: str, way: str) -> Arrays:
    """All that a program computes."""
    case, kind = case_of(network, ties), DTYPES[dtype]
    return Student(case, kind, WAYS[way]).arrays() if program == "student" else SOURCES[program](case, kind)


def wronged(right: Right) -> str | None:
    """What was said of a right answer that was called wrong; None where it was called right."""
    arrays = computed(right.network, right.ties, right.program, right.dtype, right.way)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        return None
    answer = told(chosen(arrays, right.part, right.seed), right.order, in_print(right.printed))
    verdict = check_answer(case_of(right.network, right.ties), answer)
    if verdict.is_right:
        return None
    named = [f"{name_of(each.where)} {each.best.mistake.id if each.best else '?'}" for each in verdict.search.findings]
    return f"{verdict.verdict}: {'; '.join(named[:4])}"


def every_right(part: str = "all") -> Iterator[Right]:
    """Every convention in every network, in either arithmetic and every print; the order of axes differs."""
    orders, number = list(ORDERS), 0
    for network in networks():
        for ties in TIES:
            for way in WAYS:
                for dtype in DTYPES:
                    for printed in PRINTS[dtype == "float32" :]:
                        order = "usual" if way == "kernels stored turned" else orders[number % len(orders)]
                        yield Right(network, ties, "student", dtype, way, order, printed, part, number)
                        number += 1


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
    """What programs other than the student's answer, whole, in every print."""
    for network in networks():
        for program in programs:
            for ties in TIES:
                for dtype in DTYPES:
                    for printed in PRINTS[dtype == "float32" :]:
                        yield Right(network, ties, program, dtype, printed=printed)
