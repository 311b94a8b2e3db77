"""How a nest's work is cut into tiles is not seen in its results: not on another processor, nor with other lanes."""

import itertools

import numpy as np
import pytest

from cases import CASES
from plaingrad.laws import alone, points
from plaingrad.layers import Conv, Dense, LeakyReLU, ReLU
from plaingrad.layers.tile import LEAST_ROOM, divisor, evenly, input_tile, output_tile, room_for_sums, weights_tile

REGISTERS = [(32, 16), (16, 8)]  # how many, and how many float32 numbers in each: the two kinds that are told apart
COUNTS = (*range(1, 34), 48, 49, 64, 97, 100, 120, 128, 500)
LENGTHS = (*range(1, 70), 96, 121, 128, 224, 255, 256, 257, 480, 676, 784, 896, 1000, 1021)
WIDTHS = (*range(1, 14), 16, 17, 24, 25, 31, 32, 33, 40, 48, 64, 96, 97, 128, 255, 256, 257, 511, 512, 513, 600, 1021)


def on(registers, monkeypatch):
    monkeypatch.setattr("plaingrad.layers.tile.registers", lambda: registers)


def room(width):
    return room_for_sums(width).shape[0]


@pytest.mark.parametrize("registers", REGISTERS)
def test_tiles_of_outputs_cover_all_and_fit(registers, monkeypatch):
    """Parts are laid as the nests lay them: the last is moved back so that it ends where the row does."""
    on(registers, monkeypatch)
    for count, length in itertools.product(COUNTS, LENGTHS):
        tile = output_tile(count, length)
        for size, all_of in ((tile["block"], count), (tile["run"], length)):
            assert 1 <= size <= all_of
            starts = [min(part * size, all_of - size) for part in range(-(-all_of // size))]
            assert starts[0] == 0
            assert starts[-1] + size == all_of
            assert all(two - one <= size for one, two in itertools.pairwise(starts))
        sums = tile["block"] * tile["run"]
        share = 2 if registers[0] > 16 else 4 / 3  # the rest holds weights and pixels
        assert sums <= min(registers[0] * registers[1] / share, room(1)), (count, length)


@pytest.mark.parametrize("registers", REGISTERS)
def test_tiles_of_windows_cover_all_and_fit(registers, monkeypatch):
    """Runs leave no remainder, as no number may be added twice; nor do the channels of `input_tile`."""
    on(registers, monkeypatch)
    for width, length in itertools.product(WIDTHS, LENGTHS):
        for count in COUNTS[:: 1 if width < 14 else 5]:
            weights, inputs = weights_tile(count, length, width), input_tile(count, length, width)
            for tile in (weights, inputs):
                assert 1 <= tile["block"] <= count
                assert length % tile["run"] == 0
                assert tile["block"] * tile["run"] * width <= room(width), (count, length, width, tile)
            assert count % inputs["block"] == 0
            assert weights["block"] == 1 or weights["block"] * width < registers[0]
            assert weights["run"] <= registers[1]
            assert inputs["block"] * inputs["run"] * width <= max(registers[0] * registers[1], width)


def test_a_convolution_asks_for_the_room_its_tiles_take():
    for width in WIDTHS:
        assert Conv(2, size=(1, width)).kept((1, 1, width))["sums"].shape == (room(width),)
        assert room(width) >= max(width, LEAST_ROOM)
    assert Dense(3).kept((4,))["sums"].shape == (room(1),)


def test_parts_without_remainder_and_parts_alike():
    for count, most in itertools.product(range(1, 130), range(-1, 131)):
        dividing = [size for size in range(1, count + 1) if count % size == 0 and size <= max(most, 1)]
        assert divisor(count, most) == dividing[-1]
        parts, size = -(-count // max(most, 1)), evenly(count, most)
        assert (size - 1) * parts < count <= size * parts  # as few parts as can be, and no smaller size has so few


SETTINGS = [
    (Conv(3, size=(1, 40)), (2, 2, 45)),  # wider than the registers of either kind
    (Conv(2, size=(1, 600)), (1, 1, 603)),  # wider than the room of most
    (Conv(6, size=3, groups=2, padding=1, activation=ReLU()), (6, 5, 7)),
    (Conv(7, size=(3, 2), stride=2, padding=1, activation=LeakyReLU(0.1)), (5, 6, 9)),
    (Conv(5, size=3, dilation=(2, 3), padding="same"), (3, 7, 11)),
    (Dense(13, activation=ReLU()), (37,)),
]
OTHERS = [row for row in CASES if not isinstance(row[0], Conv | Dense)]  # their nests have no tiles, but lanes


def shard(layer, shape, lanes, given, dtype="float32"):
    """What 32 images leave behind, in runs of so many lanes: y and dx for each image, and the last run's record."""
    run, record = alone(layer, shape, dtype, lanes)
    for name in points(run)[1:]:
        record[name][...] = given[name]
    made = {"y": [], "dx": []}
    for first in range(0, 32 - lanes + 1, lanes):
        record["x"].reshape(-1, lanes)[...] = given["x"][first : first + lanes].T
        run.forward()
        record["dy"].reshape(-1, lanes)[...] = given["dy"][first : first + lanes].T
        run.backward()
        for name, parts in made.items():
            parts.append(record[name].reshape(-1, lanes).T.copy())
    return {name: np.concatenate(parts) for name, parts in made.items()} | {"record": record}


def draw(layer, shape, dtype="float32"):
    """Images (image, number), weights and an upstream error, all random."""
    rng, (run, record) = np.random.default_rng(0), alone(layer, shape, dtype, 1)
    given = {name: rng.normal(size=record[name].shape).astype(dtype) for name in points(run)}
    return given | {name: rng.normal(size=(32, record[name].size)).astype(dtype) for name in ("x", "dy")}


def check_bits(layer, shape, pairs, monkeypatch):
    """An image's y and dx are the same for all these (registers, lanes), each a tile of its own to be compiled."""
    given, seen = draw(layer, shape), []
    for registers, lanes in pairs:
        on(registers, monkeypatch)
        seen.append(shard(layer, shape, lanes, given))
        for name in ("y", "dx"):
            np.testing.assert_array_equal(seen[-1][name], seen[0][name], err_msg=f"{name}, {registers=}, {lanes=}")
    assert all(np.count_nonzero(seen[0][name]) > seen[0][name].size // 4 for name in ("y", "dx"))


@pytest.mark.parametrize("place", range(len(SETTINGS)), ids=lambda place: str(SETTINGS[place]))
def test_neither_the_registers_nor_the_lanes_change_a_bit_of_an_image(place, monkeypatch):
    """Every number of lanes with either kind of registers, in turns over the settings; the next test has them all."""
    others = [[(0, 16), (0, 1), (1, 4)], [(0, 8), (0, 2), (1, 1)], [(0, 4), (1, 16), (1, 2)]][place % 3]
    pairs = [(REGISTERS[kind], lanes) for kind, lanes in [(0, 32), (1, 32), *others]]
    check_bits(*SETTINGS[place], pairs, monkeypatch)


MORE = [
    (Conv(3, size=(1, 40), stride=(1, 7), padding=(0, 3)), (1, 2, 60)),
    (Conv(16, size=5), (11, 9, 10)),
    (Conv(8, size=3, padding=1, bias=False), (16, 3, 3)),
    (Conv(9, size=(1, 7), groups=3, stride=(2, 3), dilation=(1, 2)), (3, 4, 27)),
    (Dense(40), (130,)),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("layer", "shape"), [*SETTINGS, *MORE], ids=str)
def test_no_registers_and_no_lanes_change_a_bit_of_an_image(layer, shape, monkeypatch):
    check_bits(layer, shape, list(itertools.product(REGISTERS, (32, 16, 8, 4, 2, 1))), monkeypatch)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("layer", "shape"), OTHERS, ids=str)
def test_the_lanes_change_no_bit_of_an_image(layer, shape, dtype):
    given = draw(layer, shape, dtype)
    meant = shard(layer, shape, 32, given, dtype)
    for lanes in (1, 2, 3, 4, 7, 8, 16):
        made = shard(layer, shape, lanes, given, dtype)
        for name in ("y", "dx"):
            np.testing.assert_array_equal(made[name], meant[name][: len(made[name])], err_msg=f"{name}, {lanes=}")


def weights_gradient(layer, shape, x, dz):
    """dw and Σ|terms| of it, straight from the definition: every output's error times the pixel under the window."""
    (above, below), (before, after) = layer.window.margins
    x = np.pad(x.reshape(32, *shape), ((0, 0), (0, 0), (above, below), (before, after)))
    dz = dz.reshape(32, *layer.output(shape))
    (down, step), (apart, gap), groups = layer.stride, layer.dilation, layer.groups
    rows, columns = dz.shape[2:]
    found = np.empty((2, layer.filters, shape[0] // groups, *layer.size))
    for u, v in np.ndindex(*layer.size):
        seen = x[:, :, u * apart :, v * gap :][:, :, ::down, ::step][:, :, :rows, :columns]
        for own, (pixels, errors) in enumerate(zip(np.split(seen, groups, 1), np.split(dz, groups, 1), strict=True)):
            filters = slice(own * layer.filters // groups, (own + 1) * layer.filters // groups)
            found[0, filters, :, u, v] = np.einsum("nkij,ncij->kc", errors, pixels)
            found[1, filters, :, u, v] = np.einsum("nkij,ncij->kc", abs(errors), abs(pixels))
    return found, 32 * rows * columns


@pytest.mark.parametrize("registers", REGISTERS)
@pytest.mark.parametrize(("layer", "shape"), SETTINGS[:-1], ids=str)
def test_the_gradient_of_the_weights_is_right_up_to_rounding(layer, shape, registers, monkeypatch):
    """Its sums are begun in as many places as a run is long. Whatever the order of a sum of n products, its error is

    at most γ(n) Σ|terms|, γ(n) = n·u / (1 - n·u), u half an eps (Higham, Accuracy and Stability, 2002, §3.1 and §4.2).
    Products of two float32 numbers are exact in float64, in which the sum beside it is made: that has its own bound.
    """
    on(registers, monkeypatch)
    given = draw(layer, shape)
    record = shard(layer, shape, 32, given)["record"]
    dz = record.get("dz", record["dy"]).reshape(-1, 32).T
    (meant, size), terms = weights_gradient(layer, shape, given["x"].astype(float), dz.astype(float))
    gammas = (terms * u / (1 - terms * u) for u in (np.finfo("f4").eps / 2, np.finfo("f8").eps / 2))
    assert (abs(record["dw"] - meant) <= sum(gammas) * size).all()
    assert np.count_nonzero(record["dw"]) > record["dw"].size // 2


def test_the_registers_change_no_bit_of_a_dense_gradient(monkeypatch):
    layer, shape = SETTINGS[-1]
    given, made = draw(layer, shape), []
    for registers in REGISTERS:
        on(registers, monkeypatch)
        made.append(shard(layer, shape, 32, given)["record"])
    for name in ("dw", "db"):
        np.testing.assert_array_equal(made[0][name], made[1][name])
        assert made[0][name].any()
