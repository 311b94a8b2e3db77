"""Arrays with the right axes of wrong sizes: what they are, and whether the numbers are right so read.

Each rule yields the ways to read an array; `SIZE_RULES` has those that say most first.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod

import numpy as np

from plaingrad.checking.search.likeness import Likeness, Misshapen
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.textbook.layers import Conv
from plaingrad.textbook.layers.pool import Pool
from plaingrad.textbook.phrases import shape_text

MOST_PLACES = 2_000  # of a smaller array in a larger one that are tried


def padding_left_on(it: Misshapen) -> Iterator[Likeness]:
    """dx with the padding of the layer around it."""
    if it.window is None or it.key[2] != "dx" or it.given.ndim != 4 or it.given.shape[:2] != it.needed[:2]:
        return
    margins = it.window.margins
    padded = tuple(size + sum(margin) for size, margin in zip(it.needed[2:], margins, strict=True))
    if it.given.shape[2:] != padded or padded == it.needed[2:]:
        return
    rows, columns = (slice(b, b + n) for (b, _), n in zip(margins, it.needed[2:], strict=True))
    inner = it.given[:, :, rows, columns]
    around = {each for margin in margins for each in margin}
    sides = (
        f"of {around.pop()} on each side" if len(around) == 1 else f"{margins[0]} of rows and {margins[1]} of columns"
    )
    yield Likeness(
        "padding-left-on", "the padding is left on",
        f"{shape_text(padded)} is {shape_text(it.needed[2:])} with the padding {sides}: cut it off",
        "dx has the size of the layer's input, which had no padding: take the inner part of the padded array.",
        it.is_right(inner), inner,
    )  # fmt: skip


def too_large(it: Misshapen) -> Iterator[Likeness]:
    """The right numbers, with rows, columns or others before or behind them."""
    given, needed = it.given.shape, it.needed
    if len(given) != len(needed) or not all(g >= n for g, n in zip(given, needed, strict=True)) or given == needed:
        return
    found = _placed(it, given, needed, lambda place: it.is_right(it.given[place], None, _places(given, needed)))
    if found:
        yield Likeness(
            "too-large", "the right numbers, with more around them",
            f"the right numbers are there; too many: {_around(it, found, needed, given)}", "Leave them out.", True,
        )  # fmt: skip


def too_small(it: Misshapen) -> Iterator[Likeness]:
    """The right numbers, but not all of them."""
    given, needed = it.given.shape, it.needed
    if len(given) != len(needed) or not all(g <= n for g, n in zip(given, needed, strict=True)) or not it.given.size:
        return
    found = _placed(
        it, needed, given, lambda place: it.is_right(it.given, it.part(place), _places(needed, given))
    )  # fmt: skip
    if not found:
        return
    rest = it.expected.value.copy()
    rest[tuple(slice(at, at + size) for at, size in zip(found, given, strict=True))] = 0
    unreached = it.key[2] == "dx" and it.window is not None and not rest.any()
    yield Likeness(
        "too-small", "the right numbers, but not all of them",
        f"the right numbers are there; missing: {_around(it, found, given, needed)}"
        + (", where no window lies: the gradient there is 0" if unreached else ""),
        "dx has the size of the layer's input: begin with zeros of that size, and add to them."
        if it.key[2] == "dx" else "See where the loops over these end, and the sizes of padding and stride.", True,
    )  # fmt: skip


def another_array(it: Misshapen) -> Iterator[Likeness]:
    """Another array of the same step, under this name."""
    for key, estimate in it.others():
        if estimate.value.shape == it.given.shape and it.is_right(it.given, estimate, len(it.truth)):
            yield Likeness(
                "another-array", "another array under this name", f"it is {name_of(key)}",
                f"Answer {name_of(it.key)} under its own name.", True,
            )  # fmt: skip


def kernel_sized(it: Misshapen) -> Iterator[Likeness]:
    """An error of the kernel's size."""
    if it.key[2] != "dx" or it.step is None or not it.step.weights or len(it.step.weights["w"].shape) != 4:
        return
    filters, channels, *size = it.step.weights["w"].shape
    for leading, told in (
        ((it.images, filters), "images × filters × kernel"), ((it.images, channels), "images × channels × kernel"),
        ((it.images, filters, channels), "images × filters × channels × kernel"), ((filters, channels), "kernels"),
        ((filters,), "filters × kernel"), ((channels,), "channels × kernel"), ((), "one kernel"),
    ):  # fmt: skip
        if it.given.shape == (*leading, *size):
            yield Likeness(
                "kernel-sized", "dx has the size of the kernel",
                f"this is {told}; dx has the shape of the input",
                "Each pixel of the input has its own gradient: for each window add dy times the kernel to the pixels "
                "that lie under it.",
            )  # fmt: skip
            return


def another_window(it: Misshapen) -> Iterator[Likeness]:
    """The output of a window with other settings."""
    if it.key[2] != "y" or not isinstance(it.step and it.step.layer, Conv | Pool) or it.given.ndim != 4:
        return
    layer, window = it.step.layer, it.step.layer.window
    full = tuple(d * (n - 1) for n, d in zip(window.size, window.dilation, strict=True))
    changes: list[tuple[str, dict[str, object]]] = [
        ("without padding", {"padding": 0}), ("with a stride of 1", {"stride": 1}), ("padded by 1", {"padding": 1}),
        ("with its stride for rows and for columns exchanged", {"stride": window.stride[::-1]}),
        ("with the window's own size as stride", {"stride": window.size}),
    ]  # fmt: skip
    if isinstance(layer, Conv):
        changes += [
            ("padded so that the size stays the same", {"padding": "same"}), ("padded fully", {"padding": full}),
            ("without dilation", {"dilation": 1}),
            ("with stride and dilation exchanged", {"stride": window.dilation, "dilation": window.stride}),
        ]  # fmt: skip
    for told, change in changes:
        try:
            other = layer.replace(**change)
            shape = other.output(it.step.x)
        except ValueError:  # such a window does not fit
            continue
        if it.given.shape != (it.images, *shape) or shape == it.step.y:
            continue
        program = it.state.program
        single = SingleLayer(other, it.step.x, it.images)
        single.run_on(
            it.truth[program.x_key(it.key)].value,
            {weight: it.truth[each].value for weight, each in program.weight_keys(it.key).items()},
        )
        made = single.get("y")
        room = np.full(made.shape, it.expected.uncertainty.max(initial=0))
        yield Likeness(
            "other-window", "the window has other settings", f"it has the size of an output {told}",
            "Compare size, stride, padding and dilation with the case.",
            it.is_right(it.given, replace(it.expected, value=made, uncertainty=room)),
        )  # fmt: skip


def shape_of_another(it: Misshapen) -> Iterator[Likeness]:
    """The shape of an array that is near, though not its numbers."""
    same = [
        name_of(key)
        for key, estimate in itertools.islice(it.others(), 12)
        if estimate.value.shape == it.given.shape and key[2] in ("y", "dx") and it.given.size > 1
    ]
    if same:
        yield Likeness(
            "shape-of-another", "the shape of another array", f"this is the shape of {' and '.join(same[:3])}",
            "Compare its sizes with those that the case tells.", False,
        )  # fmt: skip


def _places(large: tuple[int, ...], small: tuple[int, ...]) -> int:
    return prod(big - little + 1 for big, little in zip(large, small, strict=True))


def _placed(
    it: Misshapen, large: tuple[int, ...], small: tuple[int, ...], is_right: Callable[[tuple[slice, ...]], bool]
) -> tuple[int, ...] | None:
    """Where the smaller array lies in the larger one."""
    if _places(large, small) > MOST_PLACES:
        return None
    for at in itertools.product(*(range(big - little + 1) for big, little in zip(large, small, strict=True))):
        if is_right(tuple(slice(first, first + size) for first, size in zip(at, small, strict=True))):
            return at
    return None


def _around(it: Misshapen, at: tuple[int, ...], small: tuple[int, ...], large: tuple[int, ...]) -> str:
    """What of the larger array lies before and behind the smaller one, in words."""
    words = []
    for before, little, big, name in zip(at, small, large, it.axes, strict=False):
        for side, count in (("first", before), ("last", big - little - before)):
            if count:
                words.append(f"the {side} {name}" if count == 1 else f"the {side} {count} {name}s")
    return _joined(words)


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


SIZE_RULES = (padding_left_on, too_large, too_small, another_array, kernel_sized, another_window, shape_of_another)
