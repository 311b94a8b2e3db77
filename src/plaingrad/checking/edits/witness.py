"""Whether edits that make the same numbers in a case do so in every case: shown on a second one of other sizes."""

import functools
from typing import Any

import numpy as np

from plaingrad.checking.edits.making import Making, Part, parts_of
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.compiler.loops import Array
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import Conv, GroupNorm, LeakyReLU
from plaingrad.textbook.layers.pool import Pool
from plaingrad.textbook.losses import WeightedCrossEntropy

IMAGES, CHANNELS, FILTERS, ROWS, COLUMNS, INPUTS, UNITS = 3, 2, 5, 17, 13, 7, 4
GROUPS = 2
READ = ("w", "b", "skip", "mask")  # what a layer reads beside its input
SAME = 1e-9  # of the largest number: far more than float64 rounds such sums by


def unlike(owner: Any) -> Any:
    """The same kind of layer, or loss, with settings that are all different."""
    if isinstance(owner, Conv):
        return Conv(FILTERS, size=(4, 2), stride=(2, 3), padding=(1, 0), dilation=(3, 4), bias=owner.bias)
    if isinstance(owner, Pool):
        return owner.replace(size=(4, 3), stride=(3, 2), padding=(1, 2))
    if isinstance(owner, GroupNorm):
        return owner.replace(groups=GROUPS)
    if isinstance(owner, WeightedCrossEntropy):
        return owner.replace(class_weights=tuple(1 + k / INPUTS for k in range(INPUTS)), label_smoothing=0.3)
    return LeakyReLU(0.3) if isinstance(owner, LeakyReLU) else owner


def shapes_for(owner: Any, axes: int) -> tuple[Shape, Shape | None]:
    """The shape of an input, and that of an earlier output where a layer reads one: larger, of fewer channels."""
    is_loss, is_grouped = not isinstance(owner, Layer), isinstance(owner, GroupNorm)
    if is_loss or axes == 2:
        shape: Shape = (2 * GROUPS,) if is_grouped else (INPUTS,)
    else:
        shape = (2 * GROUPS if is_grouped else CHANNELS, ROWS, COLUMNS)
    if is_loss or not owner.skips():
        return shape, None
    return shape, tuple(size * times for size, times in zip((shape[0] - 1, *shape[1:]), (1, 2, 3), strict=False))


def random(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers of either sign, none near 0."""
    return np.asarray(rng.uniform(0.2, 2, shape) * rng.choice([-1, 1], shape))


@functools.lru_cache(maxsize=64)
def witness(
    owner: Any, axes: int, way: str, wanted: str, others: tuple[tuple[str, str], ...], chooses: bool
) -> Making | None:
    """A pass of the same kind on random numbers; `others` are further arrays, each of the shape of one of its own."""
    rng = np.random.default_rng(1)
    is_loss = not isinstance(owner, Layer)
    shape, skip = shapes_for(owner, axes)
    single = SingleLayer(unlike(owner), shape, IMAGES, skip)
    numbers = {name: random(rng, each.shape) for name, each in single.arrays.items()}
    single.put(x=numbers["x"], **{name: numbers[name] for name in READ if name in numbers})
    if is_loss:
        target = np.abs(numbers["target"])
        single.put(target=target / target.sum(axis=1, keepdims=True), share=rng.uniform(0.5, 1, IMAGES))
    single.forward()
    if way == "settle":
        single.put(**{name: np.abs(numbers[name]) for name in owner.state(shape)})
    if way == "backward":
        single.put(**({"dy": numbers["dy"]} if "dy" in numbers else {}))
    more = {name: random(rng, single.arrays[like].shape) for name, like in others if like in single.arrays}
    before = random(rng, single.arrays[wanted].shape) if wanted in single.arrays else None
    parts = tuple(parts_of(single, way, wanted, more, before))
    made = Making(parts, single.arrays[wanted].shape) if parts else None
    if made is not None and chooses:
        return Making(tuple(parts_of(single, "forward", "winner", {}, None)), made.shape, then=made)
    return made


def claims(context: Context, how: Making, matches: list[Any]) -> list[list[Any]]:
    """The matches in groups that make the same numbers in every case, the most usual of each group first."""
    if len(matches) == 1:
        return [matches]
    second = second_of(context, how)
    if second is None:
        return [[each] for each in matches]
    groups: list[tuple[Any, list[Any]]] = []
    for match in matches:
        made = second.made(match.edit)
        for known, group in groups:
            if (made is None and known is None) or (
                made is not None
                and known is not None
                and np.allclose(made, known, rtol=0, atol=SAME * max(float(np.abs(known).max(initial=0)), 1e-300))
            ):
                group.append(match)
                break
        else:
            groups.append((made, [match]))
    return [group for _, group in groups]


def second_of(context: Context, how: Making) -> Making | None:
    """The same pass on other numbers and of other sizes; None where there is none whose text is the same."""
    if how.told:
        return None
    part: Part = how.parts[0]
    shapes = {each.shape: name for name, each in reversed(list(part.arrays.items()))}
    others = tuple(
        (name, shapes[each.shape])
        for name, each in part.known.items()
        if isinstance(each, np.ndarray) and "." in name and each.shape in shapes
    )
    way = "settle" if context.quantity in context.kept else "forward" if context.quantity == "y" else "backward"
    second = witness(context.owner, context.x.ndim, way, context.quantity, others, how.then is not None)
    return second if second is not None and second.lines is how.lines else None
