"""Fast nests equal their texts; a schedule broken on purpose does not; what cannot be read is refused by its line."""

import functools
import inspect

import numpy as np
import pytest

from cases import CASES
from often import is_first, some
from plaingrad.compiler.loops import Loops, has_numba
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.schedule import fast, nests, pooling, written
from plaingrad.schedule.reading import NotReadable, sums
from plaingrad.schedule.tree import fills
from plaingrad.schedule.written import WRITTEN
from plaingrad.textbook.layers import Conv, Dense, Flatten, LeakyReLU, MaxPool, ReLU
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from plaingrad.textbook.text import Text, made, places
from schedules import (
    LANES,
    REGISTERS,
    differing,
    differing_before_a_pool,
    drawn,
    drawn_before_a_pool,
    on,
    with_a_text_of_its_own,
    with_roots_left_out,
)


@pytest.fixture(params=REGISTERS, ids=str)
def registers(request, monkeypatch):
    """Tiles as they are on other processors."""
    on(request.param, monkeypatch)


@pytest.mark.parametrize("lanes", [1, 3, 4, 8])
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_the_table_s_nests_equal_their_texts(layer, shape, lanes, registers):
    assert differing(layer, shape, lanes, np.random.default_rng(0)) == []


OWN_TEXTS = [
    (layer, shape, way)
    for layer, shape in CASES
    for way in ("forward", "backward", "infer")
    if getattr(layer, way) is not None
]


@pytest.mark.parametrize(("layer", "shape", "way"), OWN_TEXTS, ids=str)
def test_no_nest_takes_for_granted_that_the_layer_s_other_texts_are_the_library_s(layer, shape, way, monkeypatch):
    with_roots_left_out(monkeypatch)
    assert differing(with_a_text_of_its_own(layer, way), shape, 3, np.random.default_rng(0)) == []


BEFORE_A_POOL = drawn_before_a_pool, differing_before_a_pool


def check_random(seed, count, monkeypatch, draw=drawn, law=differing):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        layer, shape = draw(rng)
        lanes, registers = int(rng.choice(LANES)), REGISTERS[rng.integers(len(REGISTERS))]
        on(registers, monkeypatch)
        assert law(layer, shape, lanes, rng) == [], (layer, shape, lanes, registers)


@pytest.mark.parametrize("seed", some(range(5), lambda place: place < 2))
def test_random_settings_equal_their_texts(seed, monkeypatch):
    check_random(seed, 12, monkeypatch)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 125))
def test_2500_random_settings_equal_their_texts(seed, monkeypatch):
    check_random(seed, 100, monkeypatch)


@pytest.mark.parametrize("seed", some(range(3), lambda place: place == 1))
def test_going_back_through_a_pool_and_an_activation_at_once_equals_their_texts(seed, monkeypatch):
    check_random(seed, 12, monkeypatch, *BEFORE_A_POOL)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 105))
def test_500_pools_at_once_with_an_activation_equal_their_texts(seed, monkeypatch):
    check_random(seed, 100, monkeypatch, *BEFORE_A_POOL)


# ------------------------------------------------------------------------------------------- bits of compiled nests
SETTINGS = [
    (Conv(3, size=(1, 40)), (2, 2, 45)),  # wider than the registers
    (Conv(6, size=3, groups=2, padding=1, activation=ReLU()), (6, 5, 7)),
    (Conv(7, size=(3, 2), stride=2, padding=1, activation=LeakyReLU(0.1)), (5, 6, 9)),
    (Conv(5, size=3, dilation=(2, 3), padding="same"), (3, 7, 11)),
    (Dense(13, activation=ReLU()), (37,)),
]


def images_bits(layer, shape, lanes, dtype):
    """y and dx of each of 32 images, and their dw, in runs of so many lanes."""
    rng, net = np.random.default_rng(0), Network(layer, input=shape, dtype=dtype)
    for array in net.arrays.values():
        array[...] = rng.normal(size=array.shape)
    run = Run(net, lanes, input_gradient=True)
    (record,) = run.records.values()
    given = {name: rng.normal(size=(32, record[name].size // lanes)) for name in ("x", "dy")}
    found = {"y": [], "dx": [], "dw": []}
    for first in range(0, 32 - lanes + 1, lanes):
        for name, images in given.items():
            record[name].reshape(-1, lanes)[...] = images[first : first + lanes].T
        for call in (*run.forward_calls, *run.backward_calls):
            call()
        for name in ("y", "dx"):
            found[name].append(record[name].reshape(-1, lanes).T.copy())
        found["dw"].append(record["dw"].astype("float64"))
    return np.concatenate(found["y"]), np.concatenate(found["dx"]), sum(found["dw"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "place",
    [
        pytest.param(place, marks=[pytest.mark.long] * (place > 1), id=str(SETTINGS[place]))
        for place in range(len(SETTINGS))
    ],
)
@pytest.mark.often(1)
def test_neither_the_registers_nor_the_lanes_change_a_bit_of_an_image(place, dtype, monkeypatch):
    """Every number of lanes with either kind of registers, in turns over the settings."""
    layer, shape = SETTINGS[place]
    others = [[(0, 16), (0, 1), (1, 4)], [(0, 8), (1, 1), (1, 3)], [(0, 4), (1, 16), (1, 2)]][place % 3]
    meant = images_bits(layer, shape, 32, dtype)
    for kind, lanes in [(1, 32), *others]:
        on(REGISTERS[kind], monkeypatch)
        y, dx, dw = images_bits(layer, shape, lanes, dtype)
        np.testing.assert_array_equal(y, meant[0][: len(y)], err_msg=f"y, {kind=}, {lanes=}")
        np.testing.assert_array_equal(dx, meant[1][: len(dx)], err_msg=f"dx, {kind=}, {lanes=}")
        if len(y) == 32:
            np.testing.assert_allclose(dw, meant[2], atol=1e3 * np.finfo(dtype).eps * abs(meant[2]).max())


# ----------------------------------------------------------------------------------- schedules broken on purpose
BROKEN = [  # of each nest first what the first few settings show
    ("within", "max(0, -(start // stride))", "0"),  # bounds
    ("within", "min(count, (size - 1 - start) // stride + 1)", "count"),
    ("within", "(size - 1 - start) // stride + 1", "(size - 1 - start) // stride"),
    ("meeting", "min(count, place // stride + 1)", "count"),
    ("meeting", "max(0, -((place - (size - 1) * other) // -stride))", "0"),
    ("meeting", "first += 1", "first += 2"),
    ("walk_sums", "error - back", "error + back"),
    ("walk_sums", "range(first, last, step_0)", "range(first, last)"),  # steps
    ("walk_sums", "range(left, right, step_1)", "range(left, right)"),
    ("walk_sums", "above -= up", "above -= 0"),
    ("walk_sums", "weight + step_1 * block", "weight + block"),
    ("window_sums", "begin(b, k)", "begin(b, 0)"),  # where a sum begins
    ("window_sums", "start == 0", "True"),
    ("window_sums", "stop == channels", "True"),  # the activation
    ("walk_sums", "start == 0", "True"),
    ("made", "group * channels * channel", "0"),  # groups
    ("made", "outer -= (outer - inner) % max(reach, 1)", "pass"),
    ("scattered", "group * filters", "0"),
    ("scattered", "outer -= (outer - inner) % max(reach, 1)", "pass"),
    ("made", "min(map + chunk, channels)", "channels"),
    ("scattered", "min(map + chunk, filters)", "filters"),
    ("window_sums", "pixel + spacing", "pixel + 1"),
    ("window_sums", "+ left * spacing", ""),
    ("made", "min(part, filters - block)", "part"),  # the last block
    ("made", "o += block", "o += 1"),  # packing
    ("made", "outer - reach", "outer - 1"),  # the last stretch
    ("whole_windows", "min(columns, across + padding - spread)", "columns"),  # what lies inside
    ("whole_walks", "min(columns, across - padding)", "columns"),
    ("scattered", "min(part, channels - block)", "part"),
    ("scattered", "packed[o + q] = w[k, c + q, u, v]", "packed[o + q] = w[k, c, u, v]"),
    ("scattered", "- first * dilation_0) // stride_0", ") // stride_0"),
    ("gathered", "group * channels + c, c, u, v", "c, c, u, v"),
    ("gathered", "min(column, size_1 - part)", "column"),
    ("gather", "range(first, last)", "range(first, last - 1)"),  # the last addition
    ("gather", "range(start - left + right - stop)", "range(0)"),  # the edge
    ("gather", "whole < run * lanes", "False"),  # what is left of a run
    ("gather", "j * lanes + whole, (j + run) * lanes, grain", "j * lanes + whole - piece, (j + run) * lanes, grain"),
    ("gather", "stride_1 == 1", "True"),  # what lies side by side
    ("summed", "range(k * size, k * size + size, length)", "range(k * size, k * size + size - length, length)"),
    ("rectified_and_summed", "store(part, dz, n, 0)", "store(load(dy, n), dz, n, 0)"),
    ("unpooled_rectified_and_summed", "u * columns + v", "v * columns + u"),  # the winner
    ("unpooled_rectified_and_summed", "load_line(p, error)", "load_line(dp, error)"),
    ("unpooled_rectified_and_summed", "start += (end - start) // length * length", "start = end"),
    ("dense_made", "min(part, units - block)", "part"),
    ("dense_gathered", "min(part, inputs - length)", "0"),
    ("dense_gathered", "k * lanes + n, lanes", "k * lanes, lanes"),
    ("dense_scattered", "min(part, inputs - block)", "part"),
    ("dense_scattered", "k * inputs + c, 1", "k * inputs + c, inputs"),
]


def is_found(monkeypatch, draw=drawn, law=differing):
    """Whether the law notices that something is broken, within a thousand random settings."""
    rng = np.random.default_rng(1)
    for _ in range(1000):
        layer, shape = draw(rng)
        on(REGISTERS[rng.integers(len(REGISTERS))], monkeypatch)
        try:
            if law(layer, shape, int(rng.choice(LANES)), rng):
                return True
        except (IndexError, ValueError):  # it leaves its arrays
            return True
    return False


@pytest.mark.parametrize(
    ("name", "old", "new"),
    some(BROKEN, lambda place: is_first(BROKEN, place), lambda each: f"{each[0]}: {each[2] or 'gone'}"),
)
@pytest.mark.often(4)
def test_a_broken_schedule_is_found(name, old, new, monkeypatch):
    plain = getattr(nests, name)
    source = inspect.getsource(plain)
    assert old in source
    broken = made(source.replace(old, new), vars(nests), name)
    broken.__kwdefaults__ = plain.__kwdefaults__
    monkeypatch.setattr(nests, name, broken)
    fast.nest.cache_clear()
    try:
        assert is_found(monkeypatch, *(BEFORE_A_POOL if name.startswith("unpooled") else ()))
    finally:
        fast.nest.cache_clear()


only_max_pools = functools.partial(drawn, kind=MaxPool)


def test_a_broken_nest_written_by_hand_is_found(monkeypatch):
    source = inspect.getsource(written.fast_maxpool_forward.plain).partition("\n")[2]
    broken = made(source.replace("(value > best)", "(value >= best)"), vars(written), "fast_maxpool_forward")
    monkeypatch.setitem(WRITTEN, Text(MaxPool.forward.plain), Loops(broken))
    assert is_found(monkeypatch, only_max_pools)


BROKEN_POOLS = [
    ("first * columns + start,", "first * columns,"),  # which pixel
    ("dilation_0 * columns", "columns"),
    ("dilation_1 * lanes", "lanes"),  # where it lies
    ("j * stride_1", "j"),
]


@pytest.mark.parametrize(("old", "new"), some(BROKEN_POOLS, lambda place: place == 0))
@pytest.mark.often(4)
def test_a_broken_pool_is_found(old, new, monkeypatch):
    source = inspect.getsource(pooling.pooled)
    assert old in source
    monkeypatch.setattr(pooling, "pooled", made(source.replace(old, new), vars(pooling), "pooled"))
    pooling.nest.cache_clear()
    try:
        assert is_found(monkeypatch, only_max_pools)
    finally:
        pooling.nest.cache_clear()


# ------------------------------------------------------------------------------------------------------- reading
def test_sums_are_read_with_their_indices_and_guards():
    read = sums(Conv.backward)
    assert set(read) == fills(Conv.backward) == {"dx", "dw", "db"}
    assert read["dx"].target.index[2].factors == {"i": "stride_0", "u": "dilation_0"}
    assert [limit for _, limit in read["dx"].guards] == ["image_0", "image_1"]
    assert read["dw"].letters["u"] == "size_0"
    assert sums(Dense.forward)["y"].first.array == "b"


def running(x, y):
    for n, k in places(y):
        y[n, k] = 0
        for c in range(k):
            y[n, k] += x[n, c]


def test_what_is_not_read_is_refused_by_its_line():
    with pytest.raises(NotReadable, match="line 4 of running does `for c in range\\(k\\):`"):
        sums(Text(running))
    with pytest.raises(NotReadable, match="line 3 of relu_forward does"):
        sums(ReLU.forward)


def transposed(x, w, b, y, window):
    for n, k, i, j in places(y):
        y[n, k, i, j] = b[k]
        for c in range(x.shape[1]):
            for u, v, row, column in window(i, j):
                y[n, k, i, j] += w[k, c, v, u] * x[n, c, row, column]


def test_an_edited_text_is_no_convolution_and_gets_no_convolution_s_nest():
    (read,) = sums(Text(transposed)).values()
    with pytest.raises(NotReadable, match="of a kind that no nest is written for"):
        fast.kind_of(read)


def test_an_activation_is_laid_in_from_its_text():
    assert fast.laid_in(ReLU.forward).endswith("return choose(sums, zeros(like), sums)\n")
    assert "choose(sums, scaled(errors, slope), errors)" in fast.laid_in(LeakyReLU.backward, back=True)


def mirrored_backward(dx, y, dy):
    for place in places(y):
        dx[place] = y[place] if y[place] <= 0 else dy[place]


def test_only_an_activation_that_asks_y_for_its_sign_goes_back_at_once_with_a_pool():
    assert fast.asks_for_signs(ReLU.backward)
    assert fast.asks_for_signs(LeakyReLU.backward)
    assert fast.is_laid_in(Text(mirrored_backward), back=True)
    assert not fast.asks_for_signs(Text(mirrored_backward))


@pytest.mark.parametrize("read", ["x[n, c, row, column]", "w[k, c, u, v]"])
def test_outputs_that_a_text_of_one_s_own_reads_on_its_way_back_are_not_written_over(read):
    layer = Conv(3, size=2, activation=ReLU())
    edits = ("(dy, x,", "(dy, y, x,"), (f"dy[n, k, i, j] * {read}", f"y[n, k, i, j] * {read}")
    layer.put(backward=Conv.backward.edited(*edits))
    layers = layer, MaxPool(2)
    assert differing_before_a_pool(layers, (2, 5, 5), 3, np.random.default_rng(0), is_joined=False) == []


@pytest.mark.skipif(not has_numba(), reason="nothing is compiled without Numba")
@pytest.mark.parametrize(  # with too few lanes for patches, whose sums have other terms
    ("lanes", "activation", "dtype"), [(8, ReLU(), "float32"), (3, LeakyReLU(0.1), "float64")]
)
def test_going_back_at_once_changes_no_bit(lanes, activation, dtype):
    rng = np.random.default_rng(0)
    layers = Conv(5, size=3, padding=1), Conv(6, size=3, padding=1, activation=activation), MaxPool((2, 3)), Dense(3)
    net = Network(*layers[:3], Flatten(), layers[3], input=(2, 8, 9), dtype=dtype)
    images, labels = rng.normal(size=(lanes, 2, 8, 9)), rng.integers(0, 3, lanes)
    images[0, 0, 0, 0] = np.inf if lanes == 8 else 0  # then some numbers are none
    gradients = []
    for at_once in (False, True):
        run = Run(net, lanes, SoftmaxCrossEntropy(), by_patches=at_once)
        assert any(call.name.startswith("unpooled") for call in run.backward_calls) == at_once
        run.load(images)
        run.aim(labels)
        for call in (*run.forward_calls, *run.loss_calls, *run.backward_calls):
            call()
        gradients.append(run.gradient)
    assert gradients[0].any()
    assert gradients[0].tobytes() == gradients[1].tobytes()
