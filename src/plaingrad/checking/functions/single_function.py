"""Functions that stand for one layer, compared with it on random numbers.

The engine wants a network with a loss. The layer, its output laid flat, is one; with ½ Σ (y - target)² as its loss and
target = y - N · dy, the gradient that the loss sends back to N images is any dy one likes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from plaingrad.checking.answers.answer import Answer, answer_of
from plaingrad.checking.answers.layout import refuse
from plaingrad.checking.case import GRAIN, Case, unfused
from plaingrad.checking.catalogue.entry import CATALOGUE
from plaingrad.checking.functions.in_python import require_small
from plaingrad.checking.functions.own_names import Names, OwnVerdict, check_own
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.precision import DOUBLE
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.formulas import flat
from plaingrad.checking.verdict.verdict import MISTAKE, Verdict
from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError, SettingError, require_whole
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.losses import HalfSquaredError
from plaingrad.textbook.phrases import shape_text

Function = Callable[..., Any]


def assert_layer(
    layer: Layer, forward: Function | None, backward: Function | None, input: Any, images: int, seed: int, weights: Any
) -> None:
    """AssertionError unless the functions do what the layer does; see `plaingrad.testing.assert_gradients`."""
    __tracebackhide__ = True
    if input is None or (forward is None and backward is None):
        raise SettingError(
            "assert_gradients(layer, backward, input=…) needs the shape of one input, such as input=(2, 5, 6), and a "
            "function: backward, forward= or both"
        )
    if layer.skips():
        raise SettingError(
            f"assert_gradients got {layer}, which reads the output of an earlier layer besides its input; for two "
            "inputs give the functions and both arrays: assert_gradients(forward, backward, x, skip)"
        )
    require_whole("assert_gradients", "images", images, 1)
    shape = tuple(input) if isinstance(input, Sequence) else input
    layers = flat(layer, Network(layer, input=shape).input)
    case = make_case(layers, shape, loss=HalfSquaredError(), images=images, steps=1, seed=seed, name=str(layer))
    require_small(case.net)
    _put(case, layer, weights)
    message = _judged(case, len(unfused((layer,))), forward, backward, np.random.default_rng([seed, images]))
    if message:
        many = "1 image" if images == 1 else f"{images} images"
        raise AssertionError(f"{layer} on {many} of {shape_text(case.net.input)}: {message}")


def _put(case: Case, layer: Layer, weights: Any) -> None:
    """Lay the caller's weights into the network."""
    if weights is None:
        return
    arrays = next(iter(case.net.steps.values())).arrays
    given = weights if isinstance(weights, Mapping) else dict(zip(arrays, weights, strict=False))
    if given.keys() != arrays.keys() or len(weights) != len(arrays):
        raise SettingError(f"{layer} got {len(weights)} weights; it needs {', '.join(arrays) or 'none'}")
    for name, array in arrays.items():
        if np.shape(given[name]) != array.shape:
            raise SettingError(f"{layer} got {name} of shape {np.shape(given[name])}; it needs {array.shape}")
        array[...] = given[name]
        if not np.isfinite(array).all():
            raise SettingError(f"{layer} got {name} with numbers that are not finite")


def _judged(
    case: Case, count: int, forward: Function | None, backward: Function | None, rng: np.random.Generator
) -> str | None:
    """What is wrong, in words; None where nothing is. The first `count` steps are the layer."""
    steps = list(case.net.steps.values())
    first, last, x = steps[0], steps[count - 1], case.batches[0].x
    names = _names([*case.net.steps, "loss"], count, first.arrays)
    shapes = {"y": (len(x), *last.y), "dx": x.shape} | {"d" + name: array.shape for name, array in first.arrays.items()}
    given: dict[str, Array] = {}
    try:
        if forward is not None:
            given["y"] = _arrays({"y": forward(*_copies(x, *first.arrays.values()))}, shapes)["y"]
        case, dy = aimed_at(case, given.get("y"), last.y, rng)
        if backward is not None:
            made = backward(*_copies(dy, x, *first.arrays.values()))
            given |= _arrays(gradients_by_name(made, list(shapes)[1:]), shapes)
            given["dy"] = dy
        verdict = check_own(case, Answer(given), names, judged=strictly)
    except AnswerError as error:
        return str(error).removeprefix("answer: ")
    return _told(verdict)


def _names(steps: list[str], count: int, arrays: Mapping[str, Array]) -> Names:
    """y, dx, dw and so on for the one layer; dz and z around a fused activation."""
    first, last, after = steps[0], steps[count - 1], steps[count]
    pairs = {"y": f"{last}.y", "dx": f"{first}.dx", "dy": f"{after}.dx"}
    if first != last:
        pairs |= {"z": f"{first}.y", "dz": f"{last}.dx"}
    for name in arrays:
        pairs |= {each: f"{first}.{each}" for each in (name, "d" + name)}
    return Names(pairs)


def aimed_at(case: Case, y: Array | None, shape: Shape, rng: np.random.Generator) -> tuple[Case, Array]:
    """The case with a target for which the loss sends back a random dy, and that dy (image, …).

    y is what the caller's forward made; without one the layer's own.
    """
    if y is None:
        y = _output(case)
    count = len(y)
    flat = y.reshape(count, -1)
    dy = rng.choice([-1, 1], flat.shape) * rng.integers(GRAIN // 4, 2 * GRAIN, flat.shape) / GRAIN
    case = replace(case, batches=(replace(case.batches[0], target=flat - count * dy),))
    made = Program(case, DOUBLE).loss_of(1, flat)["dx"]  # dy to the last bit or two
    return case, made.reshape(count, *shape)


def _output(case: Case) -> Array:
    program = Program(case, DOUBLE)
    env = program.start()
    for name in program.names:
        env[1, name, "y"] = program.evaluate((1, name, "y"), env)
    return env[1, program.names[-1], "y"].value


def _copies(*arrays: Array) -> list[Array]:
    """Copies, so that a function may overwrite what it is given."""
    return [array.copy() for array in arrays]


def gradients_by_name(made: Any, names: list[str]) -> dict[str, Any]:
    """What a backward gave, by name: from a mapping of dx or x, from one value each in order, or from dx alone."""
    if isinstance(made, Mapping):
        lower = {name.lower(): name for name in names} | {name[1:].lower(): name for name in names}
        unknown = [str(each) for each in made if str(each).lower() not in lower]
        if unknown:
            raise SettingError(f"backward gave {', '.join(unknown)}; the gradients are called {', '.join(names)}")
        found = {lower[str(each).lower()]: value for each, value in made.items()}
    elif isinstance(made, list | tuple) and (isinstance(made, tuple) or len(made) == len(names) > 1):
        if len(made) != len(names):
            raise SettingError(
                f"backward gave {len(made)} gradients; it needs {', '.join(names)}, None for one left out"
            )
        found = dict(zip(names, made, strict=True))
    elif len(names) == 1:
        found = {names[0]: made}
    else:
        raise SettingError(
            f"backward gave a {type(made).__name__}; it needs a tuple or a mapping of {', '.join(names)}"
        )
    kept = {name: value for name, value in found.items() if value is not None}
    if not kept:
        raise SettingError(f"backward gave no gradient; it needs at least one of {', '.join(names)}")
    return kept


def _arrays(given: dict[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Arrays of exactly these shapes: what is subtracted from an array is laid out as that is."""
    arrays = answer_of(given).whole()
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise refuse(name, array, shapes[name])
    return arrays


def strictly(verdict: Verdict) -> Verdict:
    """For a function that is given dy, a factor, a sign or an order of its own is no convention but a mistake.

    What remains is a choice that the catalogue allows: at a tie, at a kink, or in the forward pass itself.
    """
    strict = [each for each in verdict.conventions if each.id not in CATALOGUE or not CATALOGUE[each.id].convention]
    if strict:
        verdict.conventions = [each for each in verdict.conventions if each not in strict]
        verdict.notes += [each.title for each in strict if not each.findings]
        verdict.mistakes += [each for each in strict if each.findings]
        verdict.verdict = MISTAKE
    return verdict


def _told(verdict: OwnVerdict) -> str | None:
    if verdict.is_right:
        return None
    if not verdict.sections:  # the numbers are right, in places of their own
        return (
            f"MISTAKE: the correct numbers in other places: {'; '.join(verdict.notes)}, unlike the arrays given to it"
        )
    return verdict.text()
