"""A backward compared with differences of its forward, for functions that no layer of plaingrad stands for.

Along a direction v the slope of each output is measured from central differences with steps h, h/2 and h/4, carried
to h → 0 (Richardson). How far the last two of these agree bounds what is left of h. The second differences
s(h) = (y(h) - 2·y(0) + y(-h)) / h are h·y″ where y is smooth, so that s(h) - 2·s(h/2) vanishes; where y has a kink
within ±h it does not, and half of s is just what the kink adds to the central difference. Both go into the error of a
slope, and smaller steps are taken as long as it is large. An output whose slope stays unknown, as at a kink, is left
out: its dy is 0.

A forward that rounds to float32 within does not move at all with steps of 2⁻⁴⁴; it is given larger ones.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.checking.answers.answer import answer_of
from plaingrad.checking.case import GRAIN
from plaingrad.checking.functions.single_function import gradients_by_name
from plaingrad.checking.search.evidence import cells, patterns
from plaingrad.checking.search.findings import Finding
from plaingrad.checking.search.precision import DOUBLE, SINGLE
from plaingrad.checking.verdict.text import cell_text
from plaingrad.compiler.loops import Array
from plaingrad.errors import AnswerError, SettingError
from plaingrad.textbook.phrases import shape_text

STEPS = {  # of numbers near 1; the last is still 2³², or 2¹⁷, roundings
    DOUBLE: (2.0**-8, 2.0**-12, 2.0**-16, 2.0**-20),
    SINGLE: (2.0**-2, 2.0**-3, 2.0**-5, 2.0**-7),
}
TINY, SMALL, COARSE = 2.0**-44, 2.0**-20, 2.0**-8  # lost in float32; kept there and lost in float16; kept there too
SURE = 1e-8  # a slope known so well, relative to the largest, needs no smaller steps
UNKNOWN = 1e-4  # an output whose slope is known no better than this is left out
SAFE = 8.0  # errors are estimates: so many of them may come together
DIRECTIONS, MOST_CELLS = 2, 512
ORDINALS = ("first", "second", "third", "fourth")
Function = Callable[..., Any]


@dataclass(frozen=True)
class Slope:
    """How fast each output (flat) grows along a direction, and how far that may be off."""

    value: Array
    error: Array


class Point:
    """A function at the arrays it was given."""

    def __init__(self, forward: Function, inputs: list[Array], names: list[str]) -> None:
        self.forward, self.inputs, self.names = forward, inputs, names
        self.y, self.unit = self.here(), DOUBLE

    def here(self) -> Array:
        """The output at the inputs themselves: an object that keeps its last inputs then keeps these."""
        return self.at(0, np.zeros_like(self.inputs[0]), 0.0)

    def at(self, which: int, direction: Array, t: float) -> Array:
        """The output with one input moved by t along a direction."""
        moved = [array.copy() for array in self.inputs]
        moved[which] = np.asarray(moved[which] + t * direction)
        y = answer_of({"y": self.forward(*moved)}).arrays["y"]
        return np.asarray(y, float)

    def slope(self, which: int, direction: Array, finer: float = 1.0) -> Slope:
        """The slope of each output along a direction of one input, from steps `finer` times smaller than usual."""
        y = self.y.reshape(-1)
        value, error = np.zeros_like(y), np.full_like(y, np.inf)
        for step in STEPS[self.unit]:
            made = self._slope(which, direction, step / finer)
            better = made.error < error
            value, error = np.where(better, made.value, value), np.where(better, made.error, error)
            if (error <= SURE * np.abs(value).max(initial=0)).all():
                break
        return Slope(value, error)

    def _slope(self, which: int, direction: Array, step: float) -> Slope:
        y, size = self.y.reshape(-1), np.abs(self.y).max(initial=0)
        central, second = [], []
        for h in (step, step / 2, step / 4):
            above, below = (self.at(which, direction, t).reshape(-1) for t in (h, -h))
            central.append((above - below) / (2 * h))
            second.append((above - 2 * y + below) / h)
        coarse, fine = ((4 * central[k + 1] - central[k]) / 3 for k in (0, 1))
        kinks = sum(np.abs(second[k] - 2 * second[k + 1]) for k in (0, 1))
        # Each y is rounded at least once, and differences of two are divided by the smallest step.
        error = np.abs(fine - coarse) + kinks + 4 * self.unit * size / (step / 4)
        return Slope((16 * fine - coarse) / 15, np.where(np.isfinite(error), error, np.inf))


def assert_derivative(forward: Function, backward: Function, inputs: tuple[Any, ...], seed: int) -> None:
    """AssertionError unless backward is the derivative of forward; see `plaingrad.testing.assert_gradients`."""
    __tracebackhide__ = True
    names, rng = _names(forward, len(inputs)), np.random.default_rng(seed)
    given = [_numbers(name, array) for name, array in zip(names, inputs, strict=True)]
    message, whole = _judged(_sound(forward, given, names), backward, rng)
    if message is None and not whole:  # what lies on a kink here does not a little further
        moved = [array + _direction(rng, array) / GRAIN for array in given]
        with np.errstate(all="ignore"):
            point = Point(forward, moved, names)
        if np.isfinite(point.y).all():
            message, whole = _judged(point, backward, rng)
            message = f"at inputs moved a little, off the kinks of forward: {message}" if message else None
    if message is None and whole is None:
        message = "no derivative of forward can be measured: each output has a kink or jumps at these inputs"
    if message:
        raise AssertionError(message)


def _sound(forward: Function, inputs: list[Array], names: list[str]) -> Point:
    """The function at its inputs, where differences can be taken of it at all."""
    with np.errstate(all="ignore"):
        point = Point(forward, inputs, names)
    if not point.y.size:
        raise SettingError(f"forward returns an empty array of shape {point.y.shape}; use inputs that are not empty")
    if not np.isfinite(point.y).all():
        raise SettingError("forward gives numbers that are not finite; take inputs where it is defined")
    if not np.array_equal(point.y, point.here()):
        raise SettingError("forward gives different numbers when it is called again; remove what is random in it")
    return point


def _judged(point: Point, backward: Function, rng: np.random.Generator) -> tuple[str | None, bool | None]:
    """What is wrong, in words; and whether every output was looked at: None where not one could be."""
    directions = [(i, _direction(rng, array)) for i, array in enumerate(point.inputs) for _ in range(DIRECTIONS)]
    with np.errstate(all="ignore"):
        point.unit = max(_unit(point, which, v) for which, v in directions)
        measured = [(which, v, point.slope(which, v)) for which, v in directions]
    known = _known([slope for _, _, slope in measured])
    if not known.any():
        return None, None
    return _compared(point, backward, measured, known, rng), bool(known.all())


def _names(forward: Function, count: int) -> list[str]:
    """What forward calls its inputs; input0 and so on where it does not say."""
    try:
        every = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        every = []
    names = [each.name for each in every if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return names[:count] if len(names) >= count else [f"input{number}" for number in range(count)]


def _numbers(name: str, array: Any) -> Array:
    """An input in float64: to a whole number no small step can be added."""
    try:
        made = np.array(answer_of({name: array}).arrays[name], float)
    except AnswerError as error:
        raise SettingError(f"assert_gradients takes arrays of numbers: {str(error).removeprefix('answer: ')}") from None
    if not made.size or not np.isfinite(made).all():
        raise SettingError(f"{name} of shape {made.shape} needs to hold finite numbers")
    return made


def _direction(rng: np.random.Generator, array: Array) -> Array:
    """No entry is 0, and each is about as large as the input's largest: a power of two, so that steps are exact."""
    size = np.abs(array).max()
    scale = 2.0 ** np.round(np.log2(size)) if size > 0 else 1.0
    return np.asarray(
        scale * rng.choice([-1, 1], array.shape) * rng.integers(GRAIN // 2, 2 * GRAIN, array.shape) / GRAIN
    )


def _unit(point: Point, which: int, direction: Array) -> float:
    """To what forward rounds its numbers: SINGLE where most outputs that a tiny step should move stay."""
    tiny, small, coarse = (np.abs(point.at(which, direction, t) - point.y) for t in (TINY, SMALL, COARSE))
    if (coarse > 0).mean() > 0.25 and (small[coarse > 0] > 0).mean() < 0.5:
        raise SettingError("forward rounds so much that small changes are lost; let it compute in float64")
    due = small * (TINY / SMALL) > 16 * DOUBLE * np.abs(point.y)
    return SINGLE if due.any() and (tiny[due] > 0).mean() < 0.5 else DOUBLE


def _known(slopes: list[Slope]) -> Array:
    """The outputs whose slopes could all be measured."""
    size = max(float(np.abs(slope.value[np.isfinite(slope.error)]).max(initial=0)) for slope in slopes)
    known = np.ones(slopes[0].value.shape, bool)
    for slope in slopes:
        known &= slope.error <= UNKNOWN * size if size > 0 else np.isfinite(slope.error)
    return known


def _compared(
    point: Point, backward: Function, measured: list[tuple[int, Array, Slope]], known: Array, rng: np.random.Generator
) -> str | None:
    """What is wrong, in words; None where nothing is."""
    dy = rng.choice([-1, 1], known.shape) * rng.integers(GRAIN // 4, 2 * GRAIN, known.shape) / GRAIN * known
    point.here()
    made = backward(dy.reshape(point.y.shape).copy(), *(array.copy() for array in point.inputs))
    wanted = ["d" + name for name in point.names]
    try:
        given = answer_of(gradients_by_name(made, wanted)).whole()
    except AnswerError as error:
        return str(error).removeprefix("answer: ")
    lines, right = [], []
    for which, name in enumerate(wanted):
        if name not in given:
            continue
        own = [(v, slope) for i, v, slope in measured if i == which]
        if unfit := _unfit(given[name], point, which):
            lines.append(f"{name} is wrong: {unfit}")
        elif any(_off(point, which, given[name], dy, v, slope) for v, slope in own):
            lines.append(f"{name} is wrong: it is not the derivative of forward with respect to {point.names[which]}")
            lines += _shown(point, which, given[name], dy, rng)
        else:
            right.append(name)
    if not lines:
        return None
    if right:
        lines.append(f"right: {', '.join(right)}")
    if not known.all():
        lines.append(f"left out: {int((~known).sum())} of {known.size} outputs, which have a kink here (dy is 0 there)")
    return "\n".join(lines)


def _unfit(given: Array, point: Point, which: int) -> str | None:
    """What keeps a gradient from being compared."""
    shape = point.inputs[which].shape
    if given.shape != shape:
        return f"it has the shape {shape_text(given.shape)}; {point.names[which]} has {shape_text(shape)}"
    if not np.isfinite(given).all():
        place = tuple(int(each) for each in np.argwhere(~np.isfinite(given))[0])
        return f"at {list(place)} it is {given[place]}" if place else f"it is {given}"
    return None


def _off(point: Point, which: int, given: Array, dy: Array, direction: Array, slope: Slope) -> bool:
    """Whether a gradient disagrees along a direction; only if it does so with steps of another size, too."""
    if not _differs(given, dy, direction, slope):
        return False
    with np.errstate(all="ignore"):
        return _differs(given, dy, direction, point.slope(which, direction, finer=3.0))


def _differs(given: Array, dy: Array, direction: Array, slope: Slope) -> bool:
    kept = dy != 0
    if not np.isfinite(slope.error[kept]).all():
        return False
    said, products = float((dy[kept] * slope.value[kept]).sum()), given * direction
    # A backward may have computed in float32: then each number of it is off by so much, independently.
    rounding = SINGLE * float(np.sqrt((products * products).sum()))
    return abs(float(products.sum()) - said) > SAFE * (float((np.abs(dy) * slope.error)[kept].sum()) + rounding)


def _shown(point: Point, which: int, given: Array, dy: Array, rng: np.random.Generator) -> list[str]:
    """Where a gradient is wrong, number by number, for as many as can be measured."""
    chosen = np.sort(rng.permutation(given.size)[:MOST_CELLS])
    truth, error = np.zeros(len(chosen)), np.zeros(len(chosen))
    kept, size = dy != 0, float(np.abs(_direction(rng, point.inputs[which])).max())
    with np.errstate(all="ignore"):
        for number, place in enumerate(chosen):
            unit = np.zeros(given.size)
            unit[place] = size
            slope = point.slope(which, unit.reshape(given.shape))
            truth[number] = (dy[kept] * slope.value[kept]).sum() / size
            error[number] = (np.abs(dy) * slope.error)[kept].sum() / size
    whole = len(chosen) == given.size
    mine = given if whole else given.reshape(-1)[chosen]
    uncertainty = np.nan_to_num(error, posinf=1e300) + SINGLE * np.abs(truth)
    finding = Finding(
        (1, "", "d" + point.names[which]), mine, truth.reshape(mine.shape), uncertainty.reshape(mine.shape), []
    )
    away = np.abs(mine - finding.expected).max() / max(np.abs(finding.expected).max(), np.finfo(float).tiny)
    lines = [f"largest difference / largest number: {away:.1e}"]
    lines += rearranged(mine, finding.expected) if whole else [f"measured: {len(chosen)} of {given.size} numbers"]
    lines += [_plainly(line) for line in patterns(finding, {})]
    for cell in cells(finding):
        place = cell.place if whole else tuple(map(int, np.unravel_index(int(chosen[cell.place[0]]), given.shape)))
        lines.append(cell_text("d" + point.names[which], type(cell)(place, cell.given, cell.expected, None)))
    return [f"  {line}" for line in lines]


def rearranged(given: Array, expected: Array) -> list[str]:
    """In which other places the right numbers stand."""
    if expected.ndim < 2:
        return []
    forms = {
        "rotated by 180° in its last two indices": expected[..., ::-1, ::-1],
        "reversed along its last but one index": expected[..., ::-1, :],
        "reversed along its last index": expected[..., ::-1],
    }
    for one in range(expected.ndim):
        for two in range(one + 1, min(expected.ndim, len(ORDINALS))):
            forms[f"with its {ORDINALS[one]} and {ORDINALS[two]} index exchanged"] = np.swapaxes(expected, one, two)
    close = 1e-6 * np.abs(expected).max(initial=0)  # far above the errors of differences, far below other numbers
    told = [name for name, form in forms.items() if form.shape == given.shape and np.abs(given - form).max() <= close]
    return [f"it is the correct one {told[0]}"] if told and np.abs(given - expected).max() > close else []


def _plainly(line: str) -> str:
    """Of a function nothing is known about what its indices mean."""
    for number, names in enumerate((("image",), ("channel", "output"), ("row",), ("column",))):
        for name in names:
            line = line.replace(f"all of them have {name} ", f"all of them have {ORDINALS[number]} index ")
    return line
