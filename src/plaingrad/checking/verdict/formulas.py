"""The formula of a pass, as the library's own text has it: each layer is traced by itself."""

import re

import numpy as np

from plaingrad.checking.search.context import Context
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.search import Search
from plaingrad.checking.search.uncertainty import Program
from plaingrad.explaining import tracer_of
from plaingrad.explaining.general import described
from plaingrad.explaining.notation import as_text
from plaingrad.explaining.update import State
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import Flatten
from plaingrad.textbook.losses import HalfSquaredError
from plaingrad.textbook.optimisers import SGD

NEGATIVE = (0.0, 0.5)  # how many numbers are below 0: none of what a loss takes, which may be probabilities
MOST_TERMS, MOST_NUMBERS = 40_000, 2_000
"""How large a layer may be: its texts run as Python, and each number that is traced takes its time."""


def formula_of(program: Program, key: Key) -> str | None:
    """The general formula of an array, with the names of the case; None for one that would take too long.

    And for what a layer by itself does not make: what an earlier layer leads to, what is kept, and once it is trained.
    """
    if not _is_small(program, key) or not _is_of_layer(program, key):
        return None
    case, (_, name, quantity), rng = program.case, key, np.random.default_rng(0)
    images = case.images if mixes_images(program, key) else 1
    is_loss, is_update, count = name == "loss", program.is_update(key), case.loss.count(case.batches[0].target)
    if is_loss:
        net, loss = Network(Flatten(), input=(*case.net.output, 1, 1), dtype="float64"), case.loss
        target = case.batches[0].target[:1]
    else:
        step = program.steps[name]
        net, loss = Network(*flat(step.layer, step.x), input=step.x, dtype="float64"), HalfSquaredError()
        target = rng.normal(size=(images, int(np.prod(step.y))))
    run = Run(net, images, loss, input_gradient=True, as_written=lambda work: True)
    run.load(
        np.abs(rng.normal(size=(images, *net.input))) * np.where(rng.random(net.input) < NEGATIVE[not is_loss], -1, 1)
    )
    run.aim(target)
    if is_loss:
        run.records["loss"]["share"][...] = 1 / (count or 1)
    run.forward()
    run.backward()
    first = next(iter(net.steps))
    tracer = tracer_of(run, State(SGD(rate=case.rate, momentum=0)) if is_update else None)
    asked = f"{name if is_loss else first}.{quantity}{'_after' if is_update else ''}"
    formula = as_text(described(tracer, tracer.twin.sheet_named(asked)[0])[0])
    before, after = program.x_key(key)[1], "loss.dx" if is_loss else name_of((1, *program.dy_key(key)[1:]))
    before = before if before == "input" else f"{before}.y"
    own = {"input": before, f"{first}.dy": after, f"{first}.{quantity}_after": name_of(key)}
    if is_loss:
        own |= {f"{first}.y": before, "loss.y": "loss", "loss.share": f"1/{count:g}"}

    def renamed(found: re.Match[str]) -> str:
        return own.get(found[0]) or re.sub(rf"^{first}\b", name, found[0])

    return re.sub(rf"\b(?:input|loss\.\w+|{first}\.\w+)\b", renamed, formula)


def flat(layer: Layer, input: Shape) -> tuple[Layer, ...]:
    """A layer, and Flatten after it where a loss could not take its output."""
    return (layer,) if len(layer.output(input)) == 1 else (layer, Flatten())


def over_images(program: Program, key: Key) -> str:
    """What a batch makes of an array whose formula is one image's; nothing where each image has its own."""
    _, layer, quantity = key
    is_gradient = layer != "loss" and quantity in {f"d{weight}" for weight in program.steps[layer].weights}
    if program.case.images == 1 or mixes_images(program, key) or not (is_gradient or key[1:] == ("loss", "y")):
        return ""
    return f"For one image; that of the batch is the {'sum' if is_gradient else 'mean'} over its images."


def mixes_images(program: Program, key: Key) -> bool:
    """Whether what a layer makes of an image depends on the other ones, as a mean over the batch does."""
    layer = None if key[1] == "loss" else program.steps[key[1]].layer
    return layer is not None and any("share" in text.arguments for text in (layer.forward, layer.backward))


def _is_of_layer(program: Program, key: Key) -> bool:
    """Whether a network of this layer alone makes the array as the case does."""
    if key[1] == "loss":
        return True
    step = program.steps[key[1]]
    is_own = key[2] in ("y", "dx", *step.weights, *(f"d{weight}" for weight in step.weights))
    return is_own and step.layer.skips() is None and not program.is_trained(key)


def _is_small(program: Program, key: Key) -> bool:
    """Whether all that is traced is few numbers."""
    _, name, _ = key
    if name == "loss":
        return True
    step, terms = program.steps[name], program.terms(name)
    weights = sum(array.size for array in step.arrays.values()) if program.is_update(key) else 0
    return (len(terms.out) if terms else 0) <= MOST_TERMS and int(np.prod(step.x)) + weights <= MOST_NUMBERS


def made_by(search: Search, findings: list[Finding]) -> list[str]:
    """The formula of a mistake that has several, as one line; none of a mistake that has none."""
    if not findings or findings[0].best is None:
        return []
    finding, best = findings[0], findings[0].best
    context = Context(search.program, best.key, search.env, finding.expected, finding.given)
    with np.errstate(all="ignore"):
        formula = best.mistake.formula_of(context, best.form)
    return [f"your numbers are those of {formula}"] if formula else []
