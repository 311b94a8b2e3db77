"""What pixels mean: the one place where images as people hold them become numbers, and what training saw of them."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from plaingrad.errors import DataError, Notice

Array = np.ndarray[Any, Any]

BYTE = 1 / 255  # what one step of a whole-number pixel counts
LOOKED_AT = 256  # images, where it is asked what they are like
LOOKED_AT_ONCE = 1 << 24  # bytes, of images that may be more than there is memory
ASIDE = 0.05  # of the training's range: what lies so near counts as inside
BEYOND = 0.25
MOST_REPEATED = 1 << 27  # bytes of an array that repeats a smaller one, as `np.broadcast_to` makes it, when laid out


def as_array(values: Any, what: str) -> Array:
    """Values as one array; DataError where they form none, or one that is far larger than the memory behind it."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:  # lists of unequal lengths, for one
        raise DataError(f"{what} do not form one array: {' '.join(str(error).split())}") from None
    if 0 in array.strides and array.nbytes > MOST_REPEATED:
        raise DataError(
            f"{what} of shape {array.shape} repeat a few numbers over {array.nbytes:,} bytes; views that repeat are "
            f"laid out up to {MOST_REPEATED >> 20} MiB: give fewer at a time"
        )
    return array


def require_numbers(images: Array, who: str) -> None:
    """DataError where images are not of numbers."""
    if images.dtype.kind not in "buif":
        raise DataError(f"{who}: images of type {images.dtype}; they need to be numbers: uint8, float32 or float64")


def taken(images: Array, who: str) -> Array:
    """Pixels as uint8, float32 or float64: whole numbers of 0 to 255 count in 255ths, floats as they are."""
    require_numbers(images, who)
    kind = images.dtype.kind
    if kind == "b":
        return images.astype(np.float32)
    if kind == "f":
        return images.astype(np.float32 if images.dtype.itemsize <= 4 else np.float64, copy=False)
    low, high = (images.min(), images.max()) if images.size and images.dtype != np.uint8 else (0, 255)
    if low < 0 or high > 255:
        raise DataError(
            f"{who}: {images.dtype} images reach from {low} to {high}; "
            "whole numbers need to lie in 0..255: scale them, or give them as float32"
        )
    return images.astype(np.uint8, copy=False)


class Reach(NamedTuple):
    """From where to where nearly all training images lie in some respect."""

    low: float
    high: float

    def holds(self, values: Array, margin: float) -> Array:
        return (values >= self.low - margin) & (values <= self.high + margin)


def _reach(values: Array) -> Reach:
    """Between which numbers all but a hundredth on each side lie. (`np.quantile` would import masked arrays: 15 ms.)"""
    ordered, last = np.sort(values), len(values) - 1
    return Reach(float(ordered[last // 100]), float(ordered[last - last // 100]))


@dataclass(frozen=True)
class Seen:
    """What the training images were like: their darkest and brightest pixel, their mean, and that of their border.

    `byte` is what a whole-number pixel counts: 1/255, or 1 where the network learned from floats of 0 to 255.
    """

    byte: float
    least: Reach
    most: Reach
    mean: Reach
    border: Reach

    @classmethod
    def of(cls, images: Array, byte: float | None = None) -> Self:
        """What these images are like."""
        if byte is None:
            of_bytes = images.dtype != np.uint8 and images.min() >= 0 and 128 < images.max() <= 255
            byte = 1.0 if of_bytes else BYTE
        return cls(byte, *(_reach(each) for each in _looks(images, byte)))

    def with_more(self, images: Array) -> Self:
        """What a network has seen once it has trained on these images too."""
        other = type(self).of(images, self.byte)
        pairs = ((mine, getattr(other, name)) for name, mine in vars(self).items() if name != "byte")
        return type(self)(self.byte, *(Reach(min(a.low, b.low), max(a.high, b.high)) for a, b in pairs))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> Self:
        reaches = {name: Reach(*map(float, text[name])) for name in ("least", "most", "mean", "border")}
        return cls(float(text["byte"]), **reaches)

    def adapted(self, images: Array) -> tuple[Array, list[tuple[str, ...]]]:
        """Pictures of bytes drawn as the training images were, and what was done to each of them, in words.

        Inverted is what is plainly the reverse: the borders of nearly all training images are on the dark side of the
        middle; this image's border is on the light side, and lighter than the rest of it; or the other way round. Its
        contrast is stretched where nearly all training images reach from dark to light, and this one does not.
        """
        low, high = self.least.low, self.most.high
        done = [list[str]() for _ in images]
        _, _, mean, border = _looks(images, self.byte)
        middle, turned = (low + high) / 2, np.zeros(len(images), bool)
        for is_reverse, drawn in (
            ((self.border.high < middle) & (border > middle) & (border > mean), "dark on light"),
            ((self.border.low > middle) & (border < middle) & (border < mean), "light on dark"),
        ):
            turned |= is_reverse
            for place in np.flatnonzero(is_reverse):
                done[place].append(f"inverted: it is {drawn}, and the training images are not")
        images = np.where(turned[:, np.newaxis, np.newaxis, np.newaxis], 255 - images, images)
        least, most, _, _ = _looks(images, self.byte)
        room = BEYOND * (high - low)
        if self.least.high <= low + room and self.most.low >= high - room:
            is_pale = ((least > low + room) | (most < high - room)) & (most - least > ASIDE * (high - low))
            for place in np.flatnonzero(is_pale):
                share = (images[place] * self.byte - least[place]) / (most[place] - least[place])
                images[place] = np.rint((low + share * (high - low)) / self.byte).clip(0, 255)
                done[place].append("contrast stretched")
        return images, [tuple(each) for each in done]

    def remarks(self, images: Array) -> Iterator[tuple[int, str, str]]:
        """Which image is the first that is unlike the training's, in what respect, and what to do."""
        least, most, mean, border = _looks(images, self.byte)
        low, high = self.least.low, self.most.high
        width = (high - low) or 1.0
        far = ~(self.least.holds(least, BEYOND * width) & self.most.holds(most, BEYOND * width))
        few = max(1, len(images) // 20)
        if np.count_nonzero(far) >= few:
            first = int(far.argmax())
            yield (
                first,
                "range",
                (
                    f"its pixels lie in {least[first]:.3g}…{most[first]:.3g}, those of the training images in "
                    f"{low:.3g}…{high:.3g}: {_scaling(float(least[first]), float(most[first]), low, high)}"
                ),
            )
            return
        near, turned = (
            [reach.holds(values, ASIDE * width) for reach, values in ((self.mean, a), (self.border, b))]
            for a, b in ((mean, border), (low + high - mean, low + high - border))
        )
        inverted = ~(near[0] & near[1]) & turned[0] & turned[1]
        if np.count_nonzero(inverted) >= few:
            first = int(inverted.argmax())
            than, ink = ("brighter", "black on white") if mean[first] > self.mean.high else ("darker", "white on black")
            yield (
                first,
                "ink",
                (
                    f"it is {than} than the training images, and would not be if it were inverted: {ink}? "
                    f"Invert it ({low + high:.3g} - pixel{', 255 - pixel in a file' if self.byte == BYTE else ''})"
                ),
            )


def unit_of(images: Array, seen: Seen | None = None) -> float:
    """What one step of these pixels counts to a network that has seen such images in training, or none."""
    return 1.0 if images.dtype != np.uint8 else BYTE if seen is None else seen.byte


def _looks(images: Array, byte: float) -> tuple[Array, ...]:
    """Of each image its least and its largest pixel, its mean, and the mean of its border."""
    few = max(1, LOOKED_AT_ONCE // max(1, images[:1].nbytes))
    blocks = [_looks_of(images[start : start + few], byte) for start in range(0, len(images), few)]
    return tuple(map(np.concatenate, zip(*blocks, strict=True)))


def _looks_of(images: Array, byte: float) -> tuple[Array, ...]:
    unit = byte if images.dtype == np.uint8 else 1.0
    number = np.float32 if images.dtype == np.uint8 else np.float64  # a mean of bytes needs no more
    rows = images.reshape(len(images), -1)
    columns = [images[..., [0, -1], :].reshape(len(images), -1), images[..., [0, -1]].reshape(len(images), -1)]
    border = np.concatenate(columns, axis=1)
    made = (rows.min(axis=1), rows.max(axis=1), rows.mean(axis=1, dtype=number), border.mean(axis=1, dtype=number))
    return tuple(each.astype(np.float64) * unit for each in made)


def _scaling(least: float, most: float, low: float, high: float) -> str:
    """What makes pixels of one range such of another."""
    for factor in (255.0, 16.0):
        if low >= 0 and most > high and high * factor / 2 < most <= high * factor * 1.01:
            return f"divide by {factor:g}"
        if least >= 0 and most > 0 and high > most and most * factor / 2 < high <= most * factor * 1.01:
            return f"multiply by {factor:g}"
    return "scale them as the training images were"


def constant_channels(images: Array, name: str) -> Iterator[str]:
    """A line for each channel that tells a network nothing."""
    for c in range(images.shape[1]):
        low, high = images[:, c].min(), images[:, c].max()
        if low == high:
            what = f"channel {c}" if images.shape[1] > 1 else "every pixel"
            yield f"{name}: {what} is {low:g} in all images and tells a network nothing: leave it out, or find out why"


def look(net: Any, images: Array, names: Sequence[str] | None = None) -> None:
    """Say once for each network, and each respect, that images are unlike those it was trained on."""
    if net.seen is None or images.ndim != 4 or not images.size or images.dtype.hasobject:
        return
    for number, respect, line in net.seen.remarks(images[:: -(-len(images) // LOOKED_AT)]):
        place = number * -(-len(images) // LOOKED_AT)
        say(net, respect, f"{names[place] if names else f'image {place}'}, given to {net.name}: {line}")


def say(net: Any, what: str, line: str) -> None:
    """Say something once for each network."""
    said = net.cached.setdefault("said", set())
    if what not in said:
        said.add(what)
        own, depth = os.path.dirname(__file__), 1
        while (frame := _frame(depth)) and frame.startswith(own):
            depth += 1
        warnings.warn(line, Notice, stacklevel=depth + 1)


def _frame(depth: int) -> str:
    """The file of the code that called so many calls ago."""
    try:
        return sys._getframe(depth + 1).f_code.co_filename
    except ValueError:
        return ""
