"""Padding as other programs say it: so many rows and columns before the image, and perhaps others after it."""

from typing import Any

from plaingrad.network.step import Step
from plaingrad.textbook.window import Pair

Margins = tuple[Pair, Pair]
NONE: Margins = ((0, 0), (0, 0))


def same_margins(pixels: int, size: int, stride: int, dilation: int, lower: bool = False) -> Pair:
    """The padding that makes ⌈pixels / stride⌉ windows of so many pixels; the odd one at the end, or the beginning."""
    whole = max(0, (-(-pixels // stride) - 1) * stride + (size - 1) * dilation + 1 - pixels)
    ends = whole // 2, whole - whole // 2
    return (ends[1], ends[0]) if lower else ends


def reached(step: Step) -> Margins:
    """The margins of a pool with which just the windows there are fit, so that none hangs over."""
    layer: Any = step.layer
    window = layer.window
    if not layer.ceil_mode:
        return tuple(window.margins)
    ends = [
        (before, max(0, (count - 1) * stride + reach - before - side))
        for (before, _), count, stride, reach, side in zip(
            window.margins, step.y[1:], window.stride, window.reach, step.x[1:], strict=True
        )
    ]
    return ends[0], ends[1]
