"""What the layers mean, written a second time and independently: sums over windows, straight from the definitions.

The adjoint law cannot see a layer that is wrong and consistent. This can, in fractions and with `==`.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import plaingrad as pg
from cases import CASES, SMOOTH, exhaustive
from plaingrad.checking.laws import single_layer_run
from plaingrad.network.exact import fractions
from plaingrad.textbook.layers import (
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalMeanPool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
)

EVERY = [*CASES, *itertools.islice(exhaustive(1), 4, None, 13)]
HANGS = [layer for layer, _ in EVERY if getattr(layer, "ceil_mode", False)]  # PyTorch is their oracle
ROWS = [row for row in EVERY if not isinstance(row[0], (*SMOOTH, Dropout)) and row[0] not in HANGS]


def leaky(value, layer):
    if layer is None:
        return value
    return max(value, 0) if isinstance(layer, ReLU) else max(value, Fraction(layer.slope) * value)


def at(image, row, column, outside):
    """A pixel, or what lies outside."""
    inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
    return image[row, column] if inside else outside


def window(image, layer, row, column, margins, outside):
    """The pixels under one window, in reading order."""
    size, stride, gap = layer.size, layer.stride, getattr(layer, "dilation", (1, 1))
    for u, v in itertools.product(range(size[0]), range(size[1])):
        yield at(
            image, row * stride[0] + u * gap[0] - margins[0], column * stride[1] + v * gap[1] - margins[1], outside
        )


def margins_of(layer):
    """Rows above and columns before the image. "same" adds (size - 1) · dilation in all, the smaller half first."""
    if layer.padding == "same":
        return tuple((size - 1) * gap // 2 for size, gap in zip(layer.size, layer.dilation, strict=True))
    return layer.padding


def meant(layer, x, w, b, shape):
    """The output of one image, from the definition."""
    y = np.empty(shape, object)
    for place in np.ndindex(*shape):
        match layer:
            case Conv():
                own, share = place[0] // (layer.filters // layer.groups), x.shape[0] // layer.groups
                total = b[place[0]]
                for c in range(share):
                    pixels = window(x[own * share + c], layer, *place[1:], margins_of(layer), 0)
                    total += sum(weight * pixel for weight, pixel in zip(w[place[0], c].flat, pixels, strict=True))
                y[place] = leaky(total, layer.activation)
            case Dense():
                total = b[place[0]] + sum(weight * value for weight, value in zip(w[place[0]], x, strict=True))
                y[place] = leaky(total, layer.activation)
            case Flatten():
                y[place] = list(x.flat)[place[0]]
            case MaxPool():
                pixels = window(x[place[0]], layer, *place[1:], layer.padding, None)
                y[place] = max(pixel for pixel in pixels if pixel is not None)
            case MeanPool():
                pixels = [p for p in window(x[place[0]], layer, *place[1:], layer.padding, None) if p is not None]
                whole = layer.size[0] * layer.size[1] if layer.count_padding else len(pixels)
                y[place] = sum(pixels) / (layer.divisor or whole)
            case GlobalMeanPool():
                y[place] = sum(x[place[0]].flat) / x[place[0]].size
            case ReLU() | LeakyReLU():
                y[place] = leaky(x[place], layer)
    return y


@pytest.mark.parametrize(("layer", "shape"), ROWS, ids=str)
def test_a_layer_is_what_its_name_says(layer, shape):
    rng = np.random.default_rng(0)
    run, record = single_layer_run(layer, shape, object)
    for name in ("x", "w", "b"):
        if name in record and (name == "x" or name in run.net.steps[next(iter(run.net.steps))].weights):
            record[name][...] = fractions(rng, record[name].shape)
    run.forward()
    (name,) = run.net.steps
    view, w = run[name], record.get("w")
    b = record["b"] if getattr(layer, "bias", False) else [0] * 99
    for x, y in zip(view.x, view.y, strict=True):
        assert (meant(layer, x, w, b, y.shape) == y).all()


@pytest.mark.parametrize("size", [(2, 3), (4, 2), (3, 4)])
def test_same_padding_keeps_the_size_and_puts_the_odd_zero_last(size):
    net = pg.Network(pg.Conv(1, size=size, padding="same"), input=(1, 5, 6))
    net["conv1"].w[...] = np.arange(1, size[0] * size[1] + 1).reshape(1, 1, *size)
    impulse = np.zeros((1, 1, 5, 6), np.float32)
    impulse[0, 0, 2, 3] = 1
    y = net.run(impulse)["conv1"].y[0, 0]
    above, before = (size[0] - 1) // 2, (size[1] - 1) // 2
    turned = net["conv1"].w[0, 0, ::-1, ::-1]
    top, left = 2 - (size[0] - 1 - above), 3 - (size[1] - 1 - before)
    expected = np.zeros((5, 6), np.float32)
    expected[top : top + size[0], left : left + size[1]] = turned
    np.testing.assert_array_equal(y, expected)


def test_a_tie_is_won_by_the_first_in_reading_order():
    net = pg.Network(pg.MaxPool(2), pg.Flatten(), input=(1, 4, 4))
    assert net.run(np.ones((1, 1, 4, 4), np.float32))["maxpool1"].winner.tolist() == [[[[0, 2], [8, 10]]]]


@pytest.mark.parametrize("place", range(4))
def test_a_nan_anywhere_in_a_window_is_seen(place):
    image = np.ones((1, 1, 2, 2), np.float32)
    image.flat[place] = np.nan
    assert np.isnan(pg.Network(pg.MaxPool(2), input=(1, 2, 2)).run(image)["maxpool1"].y).all()


def test_softmax_takes_off_the_largest():
    y = pg.Network(pg.Softmax(), input=(3,)).run(np.array([[1000.0, 0.0, -1000.0]], np.float32))["softmax1"].y
    assert y.tolist() == [[1, 0, 0]]
