"""Loading: where images (image, channel, row, column) and labels are laid into the lanes of a run."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, loops
from plaingrad.data.pixels import as_array, taken
from plaingrad.errors import DataError


@loops
def prepare_images(images, index, offset, factor, prepared, *, unit):
    """Images as the network takes them, one for each lane: each channel moved and scaled; 0 where there is none."""
    for n in range(prepared.shape[0]):
        for c in range(images.shape[1]):
            for i in range(images.shape[2]):
                if index[n] < 0:
                    for j in range(images.shape[3]):
                        prepared[n, c, i, j] = 0
                else:
                    for j in range(images.shape[3]):
                        prepared[n, c, i, j] = (images[index[n], c, i, j] * unit - offset[c]) * factor[c]


@loops
def pixel_sums(images, weights, mean, total, square):
    """Of each channel and column: Σ weight · (pixel - mean), and Σ weight · (pixel - mean)²."""
    for c in range(total.shape[0]):
        for j in range(total.shape[1]):
            total[c, j], square[c, j] = 0, 0
    for n in range(images.shape[0]):
        for c in range(images.shape[1]):
            for i in range(images.shape[2]):
                for j in range(images.shape[3]):
                    away = images[n, c, i, j] - mean[c]
                    weighted = weights[n] * away
                    total[c, j] += weighted
                    square[c, j] += weighted * away


@loops
def load_targets(labels, index, batch_share, target, share, *, ignored):
    for n in range(target.shape[1]):
        for k in range(target.shape[0]):
            target[k, n] = 0
        share[n] = 0
        if not index[n] < 0:
            if labels[index[n]] != ignored:
                target[labels[index[n]], n] = 1
            share[n] = batch_share[0]


@loops
def weigh(weights, index, share):
    """Each image's share of the batch times its weight: after `load_targets`, where images weigh unlike much."""
    for n in range(share.size):
        if not index[n] < 0:
            share[n] = share[n] * weights[index[n]]


WORDS = 1 << 32  # how many numbers `scrambled` gives
STEP_OF_PLACES = 0x9E3779B9  # the golden ratio's share of 2³²: places beside each other are far apart


def scrambled(number):
    """A number from 0 to 2³² - 1 from another, so that a change of any bit changes half of the bits (murmur hash)."""
    number = ((number ^ (number >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    number = ((number ^ (number >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return number ^ (number >> 16)


@loops
def draw_mask(mask, index, seeds, *, layer, least):
    """0 or 1 for each place of each image: from seed and step, the layer's and the image's number, the place."""
    drawn = scrambled((scrambled((scrambled(seeds[0] & 0xFFFFFFFF) + seeds[1]) & 0xFFFFFFFF) + layer) & 0xFFFFFFFF)
    for place in range(mask.shape[0]):
        own = scrambled((drawn + place * STEP_OF_PLACES) & 0xFFFFFFFF)
        for n in range(mask.shape[1]):
            mask[place, n] = 1 if scrambled((own + index[n] + 1) & 0xFFFFFFFF) >= least else 0


@loops
def share_out(index, share, *, one):
    """Each image's share of those that run together; 0 where there is none."""
    count = 0
    for n in range(share.size):
        count += 1 if index[n] >= 0 else 0
    for n in range(share.size):
        share[n] = one / count if index[n] >= 0 else 0


@loops
def count_hits(x, target, hit):
    """Whether the largest score, the first of equals, is that of the class meant; never where one is not finite."""
    for n in range(x.shape[1]):
        best, meant = 0, 0
        finite = 1 if x[0, n] * 0 == 0 else 0  # 0 · ∞ is not a number
        size = target[0, n] * target[0, n]  # 0 in the end where no class is meant
        for k in range(1, x.shape[0]):
            size += target[k, n] * target[k, n]
            if x[k, n] > x[best, n]:
                best = k
            if target[k, n] > target[meant, n]:
                meant = k
            if x[k, n] * 0 != 0:
                finite = 0
        hit[n] = 1 if best == meant and size > 0 and finite == 1 else 0


@loops
def add_up(loss, hit, index, totals):
    """Σ loss and Σ hit of the lanes that hold an image, one after the other."""
    totals[0], totals[1] = 0, 0
    for n in range(index.size):
        if index[n] >= 0:
            totals[0] += np.float64(loss[n])
            totals[1] += hit[n]


def added_up(values: list[Any]) -> float:
    """The sum of numbers, each added to those before: from Python 3.12 on `sum` keeps what is rounded off of floats."""
    total = 0.0
    for each in values:
        total += float(each)
    return total


TAKEN = [np.dtype(kind).str for kind in (np.uint8, np.float32, np.float64)]


def exactly(values: Array) -> Array:
    """The same numbers as fractions; what is an exact number already, a fraction or one of ours, stays."""
    return np.asarray(np.frompyfunc(_exact, 1, 1)(values), dtype=object)


def _exact(each: Any) -> Any:
    if isinstance(each, int | float | np.integer | np.floating | np.bool_):
        if not -math.inf < each < math.inf:
            raise DataError(f"an exact network got {each}; it needs finite numbers")
        if isinstance(each, np.floating):  # a long double is no float of Python's
            return Fraction(*each.as_integer_ratio())
        return Fraction(each.item() if hasattr(each, "item") else each)
    try:
        (each * 1 - 0) / 1  # whatever multiplies, adds and divides is a number to a text
    except (TypeError, ValueError, AttributeError):
        raise DataError(f"an exact network got {str(each)[:40]!r}; it needs numbers") from None
    return each


def in_own_numbers(values: Array, net: Any, what: str) -> Array:
    """Targets, or the error at the output, in numbers that a network's arrays take."""
    if values.dtype.kind not in "biufO":
        raise DataError(f"a run got {what} of type {values.dtype}; it needs class numbers or values")
    if net.dtype.hasobject:
        return exactly(values)
    try:
        return values.astype(net.dtype) if values.dtype.hasobject else values
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"a run got {what} that are not numbers") from None


def numbers(images: Any, net: Any) -> Any:
    """Images in a type that the nests of a network take; what whole numbers mean is said by `pixels.taken`.

    Exact networks take all numbers as they are but bytes, and so do networks of features, which have no pixels.
    """
    images, needs = as_array(images, f"a run of {net.name}: images"), net.input
    if images.ndim == 0 or images.shape[1:] not in (needs, needs if len(needs) == 3 else (*needs, 1, 1)):
        raise DataError(
            f"a run of {net.name} got images of shape {images.shape}; it needs (image, {', '.join(map(str, needs))})"
        )
    if images.dtype.hasobject and not net.dtype.hasobject:
        images = np.asarray(images.tolist())  # numbers kept one by one mean what they are: whole ones are pixels
    if images.dtype.kind not in "biufO":
        raise DataError(f"a run got images of type {images.dtype}; it needs numbers")
    if net.dtype.hasobject:
        exact = exactly(images)
        return exact * Fraction(1, 255) if images.dtype == np.uint8 else exact
    if images.dtype.str in TAKEN:
        return images
    if images.dtype.kind in "iu" and len(net.input) == 3:
        return taken(images, net.name)
    try:
        return images.astype(net.dtype)
    except (TypeError, ValueError, OverflowError):
        raise DataError("a run got images that are not numbers; a network of dtype=object takes exact ones") from None
