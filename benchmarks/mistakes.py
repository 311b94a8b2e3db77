"""Would it still train? Measures each mistake of the catalogue; writes checking/trains.json. Run by `make mistakes`.

Each mistake is made in one pass of a small network that learns the bundled digits, in its first form that changes
something, and held against the same training without it.
"""

import argparse
import functools
import itertools
import json
import math
import pathlib
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

import plaingrad.checking
from mistaken import (
    IMAGES,
    SEEDS,
    SETTINGS,
    STEPS,
    UNIT,
    Quick,
    Work,
    forms_of,
    keys_of,
    program_of,
    trained,
    weights_of,
)
from plaingrad.checking.catalogue import CATALOGUE, Mistake, applicable
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Env, Key
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from plaingrad.compiler.machine_code import processors
from plaingrad.data import digits
from plaingrad.textbook.layers import Conv

FILE = pathlib.Path(plaingrad.checking.__file__).with_name("trains.json")
# Forty right runs say what chance does to one. The runs of a mistake that does nothing are right runs too: the median
# of five more is above all forty only if the three best of the 45 are among the five, 5·4·3 / (45·44·43), 0.07 %; and
# below all as often. A hundred such mistakes are all told to do nothing, but for one time in seven.
RIGHT_SEEDS = range(40)
PROBES = 3  # steps in which a mistake is looked for: some begin in the second
DIGITS = 4  # one of 360 images is 0.0028
SINGLE = 2.0**-24  # what changes less of an array's largest number is no change to a program in single precision
# An uncertainty is one standard deviation. A normal number is beyond six once in half a milliard, and about
# a tenth of a million are compared.
APART = 6


def prove(network: str) -> None:
    """AssertionError where a compiled pass of the first step is not what the library's own pass makes of the same."""
    quick = program_of(network, SEEDS[0])
    plain = Program(quick.case, UNIT)
    env = plain.start()
    for key in keys_of(plain, 1):
        estimate, other = plain.evaluate(key, env), quick.evaluate(key, env)
        assert (np.abs(estimate.value - other.value) <= APART * estimate.uncertainty).all(), (network, key)
        env[key] = estimate


def prove_wrong(work: Work) -> None:
    """AssertionError where a compiled pass with a mistake is not what the catalogue makes of the library's own."""
    quick, env = begun(work.network)
    plain = Program(quick.case, UNIT)
    for t, place in itertools.product(range(1, PROBES + 1), work.places):
        key = (t, *place)
        with np.errstate(all="ignore"):
            forms = (list(forms_of(work.id, program, key, env, env[key].value)) for program in (plain, quick))
            assert not any(differ(*pair) for pair in zip(*forms, strict=True)), (work, key)


def planned() -> list[Work]:
    """Each mistake where it is measured: at the first pass it names, in the first network where it changes something.

    Of the passes of a kind that of the last convolution is chosen, or else of the last layer. A rule of the update is
    mostly one for all weights: it is made in one of them, and in all.
    """
    seen = {network: begun(network) for network in SETTINGS}
    found = []
    for mistake in CATALOGUE.values():
        asked = itertools.product(mistake.passes, seen.items())
        works = (work_at(mistake, network, *each, told) for told, (network, each) in asked)
        work = None if mistake.convention else next(filter(None, works), None)
        if work:
            found.append(work)
            updates = weights_of(seen[work.network][0])
            if work.places[0] in updates:
                found.append(replace(work, places=updates))
    return found


@functools.cache
def begun(network: str) -> tuple[Quick, Env]:
    """A program, and all that its first steps leave."""
    program = program_of(network, SEEDS[0])
    env = program.start()
    for t in range(1, PROBES + 1):
        for key in keys_of(program, t):
            env[key] = program.evaluate(key, env)
    return program, env


def work_at(mistake: Mistake, network: str, program: Quick, env: Env, told: str) -> Work | None:
    """Where passes of this kind have the mistake in one network, and its first form that changes something."""
    kind, _, way = told.partition(".")
    for key in sorted(keys_of(program, 1), key=lambda key: depth(program, key)):
        context = Context(program, key, env, env[key].value)
        if (
            mistake not in applicable(context)
            or way not in (context.way, "*")
            or kind not in ("*", context.kind, key[1])
        ):
            continue
        changing = set.union(*(changed(mistake, program, (t, *key[1:]), env) for t in range(1, PROBES + 1)))
        if changing:
            return Work(network, mistake.id, min(changing), (key[1:],))
    return None


def depth(program: Program, key: Key) -> tuple[bool, int, int]:
    """The order in which passes are tried: those of the last convolution, then from the loss back; kernels first."""
    _, name, quantity = key
    last = [each for each, step in program.steps.items() if isinstance(step.layer, Conv)][-1]
    place = len(program.names) if name == "loss" else program.names.index(name)
    weights = [] if name == "loss" else list(program.steps[name].weights)
    return name != last, -place, weights.index(quantity) if quantity in weights else 0


def changed(mistake: Mistake, program: Quick, key: Key, env: Env) -> set[int]:
    """The forms of a mistake that change a pass."""
    right = env[key].value
    with np.errstate(all="ignore"):
        forms = enumerate(forms_of(mistake.id, program, key, env, right))
        return {number for number, wrong in forms if differ(right, wrong)}


def differ(right: Array, other: Array) -> bool:
    """Whether a program in single precision can tell two arrays apart."""
    return not (np.abs(other - right) <= SINGLE * np.abs(right).max()).all()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", metavar="ID,ID", help="measure these mistakes; leave the others as they were measured"
    )
    only = [id for id in (parser.parse_args().only or "").split(",") if id]
    began = time.perf_counter()
    works = planned()
    for id in set(only) - {work.id for work in works}:
        parser.error(f"{id} is no mistake that can be measured")
    for network in SETTINGS:
        prove(network)
    for work in works:
        prove_wrong(work)
    works = [work for work in works if not only or work.id in only]
    with ProcessPoolExecutor(processors()) as pool:
        known = only and FILE.is_file()
        told = json.loads(FILE.read_text(encoding="utf-8")) if known else settings_told(pool)
        for work, figures in zip(works, results(pool, works, SEEDS), strict=True):
            add(told, work, [after for _, after in figures])
    FILE.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(works)} trainings with mistakes in {time.perf_counter() - began:.0f} s")


def add(told: dict[str, Any], work: Work, figures: list[float]) -> None:
    """Write down what a mistake came to; made in all weights, beside what it came to in one."""
    median = statistics.median(figures)
    accuracy = round(median, DIGITS) if math.isfinite(median) else None
    right = statistics.median([told["networks"][work.network]["right"][seed] for seed in SEEDS])
    if len(work.places) > 1:
        told["mistakes"][work.id]["everywhere"] = accuracy
    else:
        row = {"accuracy": accuracy, "right": right, "pass": ".".join(work.places[0]), "network": work.network}
        told["mistakes"][work.id] = row
    where = "all weights" if len(work.places) > 1 else f"{'.'.join(work.places[0])}, {work.network}"
    print(f"{work.id} ({where}): {accuracy} against {right}", flush=True)


def results(pool: ProcessPoolExecutor, works: list[Work], seeds: range) -> Iterator[list[tuple[float, float]]]:
    """Accuracy before and after training of each work, seed by seed."""
    for futures in [[pool.submit(trained, work, seed) for seed in seeds] for work in works]:
        yield [future.result() for future in futures]


def settings_told(pool: ProcessPoolExecutor) -> dict[str, Any]:
    """What all mistakes are measured against."""
    networks, works = {}, [Work(network) for network in SETTINGS]
    for work, figures in zip(works, results(pool, works, RIGHT_SEEDS), strict=True):
        setting = SETTINGS[work.network]
        before, after = ([round(each, DIGITS) for each in column] for column in zip(*figures, strict=True))
        networks[work.network] = {
            "layers": [str(layer) for layer in setting.layers],
            "loss": str(setting.loss),
            "rate": setting.rate,
            "right": after,
            "untrained": before,
        }
        print(f"{work.network}: {min(after):.1%} to {max(after):.1%}", flush=True)
    largest = np.bincount(digits().test.labels).max() / len(digits().test)
    about = f"8×8 digits, {STEPS} steps of {IMAGES} images, the median of {len(SEEDS)} seeds"
    return {"about": about, "chance": round(float(largest), DIGITS), "networks": networks, "mistakes": {}}


if __name__ == "__main__":
    main()
