"""Every layer, in every setting worth testing: one row each. Tests, benchmarks and the docs read this table."""

import itertools
from collections.abc import Iterator

import numpy as np

from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalMeanPool,
    GroupNorm,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)

CASES: list[tuple[Layer, tuple[int, ...]]] = [
    (Conv(2), (3, 4, 5)),
    (Conv(4, size=2, bias=False), (1, 4, 5)),
    (Conv(5, size=(2, 3)), (2, 5, 4)),
    (Conv(3, size=(3, 2), stride=(2, 1)), (2, 6, 5)),  # a remainder of rows
    (Conv(3, size=2, stride=(1, 2)), (2, 4, 5)),
    (Conv(4, size=3, padding=1), (3, 4, 5)),
    (Conv(2, size=(3, 4), padding="same"), (3, 5, 4)),
    (Conv(4, size=3, padding=(2, 1), stride=2), (2, 5, 6)),
    (Conv(3, size=2, dilation=(2, 3)), (2, 5, 6)),
    (Conv(6, size=2, groups=3), (3, 3, 4)),
    (Conv(4, size=(2, 1), groups=2, stride=3, padding=(1, 0), dilation=2), (6, 7, 5)),
    (Conv(3, size=2, activation=ReLU()), (2, 4, 5)),
    (Conv(4, size=2, activation=LeakyReLU(0.25), padding=1), (3, 4, 3)),
    (Dense(3), (4,)),
    (Dense(8, bias=False), (7,)),
    (Dense(5, activation=ReLU()), (16,)),
    (Dense(4, activation=LeakyReLU(0.5)), (6,)),
    (Flatten(), (2, 2, 3)),
    (MaxPool(), (2, 4, 5)),  # a column that no window reaches
    (MaxPool(size=3, stride=1), (1, 4, 5)),  # overlapping windows
    (MaxPool(size=(2, 3), stride=(3, 2)), (2, 6, 7)),
    (MaxPool(size=3, stride=2, padding=(2, 1)), (2, 5, 4)),
    (MeanPool(), (2, 4, 5)),
    (MeanPool(size=3, stride=(1, 2), padding=1), (2, 5, 4)),
    (MeanPool(size=3, stride=2, padding=2, count_padding=True), (2, 5, 4)),
    (L2Pool(), (2, 4, 5)),
    (L2Pool(size=(3, 2), stride=1, padding=(2, 0)), (2, 4, 5)),
    (MaxPool(size=2, stride=(1, 2), dilation=(2, 3)), (2, 4, 6)),
    (MaxPool(size=(2, 3), stride=2, ceil_mode=True), (2, 5, 4)),
    (MaxPool(size=3, stride=2, padding=(1, 2), dilation=2, ceil_mode=True), (2, 4, 6)),
    (MeanPool(size=(3, 2), stride=(3, 2), padding=1, count_padding=True, ceil_mode=True), (2, 5, 4)),
    (MeanPool(size=2, dilation=2, padding=1, ceil_mode=True), (2, 4, 5)),
    (MeanPool(size=2, stride=1, divisor=3), (2, 3, 4)),
    (L2Pool(size=2, stride=3, dilation=(1, 2), padding=(0, 1), ceil_mode=True), (2, 3, 5)),
    (ReLU(), (2, 3, 4)),
    (LeakyReLU(0.125), (2, 3, 4)),
    (Sigmoid(), (2, 3, 4)),
    (Tanh(), (2, 3, 4)),
    (Softmax(), (5,)),
    (GlobalMeanPool(), (3, 2, 4)),
    (ELU(), (2, 3, 4)),
    (ELU(0.25), (7,)),
    (SiLU(), (2, 3, 4)),
    (GELU(), (2, 3, 4)),
    (TanhGELU(), (2, 3, 4)),
    (GroupNorm(2), (4, 3, 2)),
    (GroupNorm(1, epsilon=0.125), (3, 2, 3)),  # layer normalisation
    (GroupNorm(3), (3, 2, 4)),  # instance normalisation
    (GroupNorm(2), (6,)),
    (BatchNorm(), (3, 2, 4)),
    (BatchNorm(epsilon=0.125), (5,)),
    (Dropout(), (2, 3, 4)),
    (Dropout(0.25), (7,)),
]

SMOOTH = (BatchNorm, ELU, GELU, GroupNorm, L2Pool, Sigmoid, SiLU, Softmax, Tanh, TanhGELU)
"""Layers with roots or exponentials: fractions do not stay fractions in them, so their laws run to 50 digits."""


def axis_settings(dilations: range) -> list[tuple[int, ...]]:
    """Every (input, kernel, stride, padding, dilation) of one axis with input ≤ 7 in which a window fits."""
    every = itertools.product(range(1, 8), range(1, 5), range(1, 4), range(4), dilations)
    return [(n, k, s, p, d) for n, k, s, p, d in every if p < k and (k - 1) * d + 1 <= n + 2 * p]


def is_pooled(side: int, size: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether no window steps over the image, as one may that begins in the padding."""
    return padding == 0 or dilation <= side


def paired(axis: list[tuple[int, ...]], pairings: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each setting of an axis once on the rows and once on the columns per pairing, rows ≠ columns."""
    for seed in range(pairings):
        shuffled = np.random.default_rng(seed).permutation(len(axis))
        for rows, columns in zip(range(len(axis)), shuffled, strict=True):
            if axis[rows][0] == axis[columns][0]:  # the same side: the next setting with another one
                columns = next(
                    i % len(axis)
                    for i in range(columns, columns + len(axis))
                    if axis[i % len(axis)][0] != axis[rows][0]
                )
            yield axis[rows], axis[columns]


def exhaustive(pairings: int) -> Iterator[tuple[Layer, tuple[int, ...]]]:
    """Convolutions and pools over every setting of an axis; channels ≠ filters, groups and biases in turn."""
    channels = itertools.cycle([(1, 2, 1), (2, 3, 1), (2, 4, 2), (3, 1, 1), (4, 6, 2), (3, 6, 3)])
    for number, (rows, columns) in enumerate(paired(axis_settings(range(1, 4)), pairings)):
        (inputs, filters, groups), (height, width) = next(channels), (rows[0], columns[0])
        size, stride, padding, dilation = zip(rows[1:], columns[1:], strict=True)
        settings = {"size": size, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        yield Conv(filters, **settings, bias=number % 5 > 0), (inputs, height, width)
    pools = itertools.cycle(
        [MaxPool, MeanPool, L2Pool, MaxPool, lambda *each, **more: MeanPool(*each, **more, count_padding=True)]
    )
    for number, (rows, columns) in enumerate(paired(axis_settings(range(1, 2)), 5 * pairings)):
        size, stride, padding, _ = zip(rows[1:], columns[1:], strict=True)
        yield next(pools)(size, stride, padding, ceil_mode=number % 2 > 0), (2, rows[0], columns[0])
    for rows, columns in paired([each for each in axis_settings(range(2, 4)) if is_pooled(*each)], pairings):
        size, stride, padding, dilation = zip(rows[1:], columns[1:], strict=True)
        yield next(pools)(size, stride, padding, dilation), (2, rows[0], columns[0])
