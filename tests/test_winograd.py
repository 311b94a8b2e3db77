"""Windows gone through patch by patch equal their texts, exactly on fractions and within derived bounds on floats."""

import inspect
from fractions import Fraction

import numpy as np
import pytest

from often import is_first, some
from plaingrad.network.models import model
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.schedule import winograd
from plaingrad.schedule.patches import transforms
from plaingrad.textbook.layers import Conv, LeakyReLU, ReLU
from plaingrad.textbook.text import made
from schedules import LANES, REGISTERS, by_patches, differing, on

LANES_MET = (1, 2, 3, 8, 16)


@pytest.mark.parametrize(("out", "size"), [(out, size) for out in range(1, 8) for size in range(1, 9 - out)])
def test_the_transforms_make_the_sums(out, size):
    rng = np.random.default_rng(out * 8 + size)
    w, x = (rng.integers(-9, 10, length).astype(object) for length in (size, out + size - 1))
    a, g, t = (np.array(each, dtype=object) for each in transforms(out, size))
    assert [*(a @ ((g @ w) * (t @ x)))] == [sum(w * x[i : i + size]) for i in range(out)]


def drawn(rng, largest=9):
    """A convolution that moves by one, and the shape of an input it takes, of so many rows and columns at most."""
    is_in_parts = rng.integers(4) == 0
    size = int(rng.integers(2, winograd.LARGEST_WINDOW + 1)) + winograd.LARGEST_WINDOW * int(is_in_parts)
    padding = tuple(int(each) for each in rng.integers(0, size + 1, 2))
    least = [max(1, size - 2 * each) for each in padding]
    sides = tuple(int(rng.integers(each, max(largest, each) + 1)) for each in least)
    filters, channels = (int(rng.integers(1, 13 if rng.integers(3) == 0 else 5)) for _ in range(2))
    activation = [None, ReLU(), LeakyReLU(0.5)][rng.integers(3)]
    bias = bool(rng.integers(4))
    return Conv(filters, size=size, padding=padding, bias=bias, activation=activation), (channels, *sides)


def check_random(seed, count, monkeypatch, largest=9):
    by_patches(monkeypatch)
    rng = np.random.default_rng(seed)
    for _ in range(count):
        layer, shape = drawn(rng, largest)
        lanes, registers = int(rng.choice(LANES)), REGISTERS[rng.integers(len(REGISTERS))]
        on(registers, monkeypatch)
        assert differing(layer, shape, lanes, rng) == [], (layer, shape, lanes, registers)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.often(1)
def test_random_settings_equal_their_texts(seed, monkeypatch):
    check_random(seed, 3, monkeypatch, largest=6)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_more_random_settings_equal_their_texts(seed, monkeypatch):
    check_random(seed, 8, monkeypatch)


@pytest.mark.parametrize("registers", REGISTERS, ids=str)
@pytest.mark.often(1)
def test_more_filters_than_a_tile_has_rows(registers, monkeypatch):
    by_patches(monkeypatch)
    on(registers, monkeypatch)
    assert differing(Conv(13), (11, 5, 4), 2, np.random.default_rng(0)) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 110))
def test_1000_random_settings_equal_their_texts(seed, monkeypatch):
    check_random(seed, 100, monkeypatch)


def nests_of(net, lanes):
    """The names of the nests of a network's convolutions."""
    run = Run(net, lanes, input_gradient=True, by_patches=True)
    names = {call.name for call in (*run.forward_calls, *run.backward_calls)}
    return names & {"made", "gathered", "scattered", "winograd_made", "winograd_gathered", "winograd_scattered"}


def test_patches_are_taken_where_they_take_less():
    ways = "made", "gathered", "scattered"
    many, few = Network(Conv(64), input=(32, 26, 26)), Network(Conv(64), input=(1, 26, 26))
    assert nests_of(many, 16) == {f"winograd_{way}" for way in ways}
    assert nests_of(many, 8) == nests_of(few, 16) == {*ways}  # few lanes share a transform; one channel shares none
    assert {"winograd_made", "made"} <= nests_of(model("mnist-cnn").network(), 32)
    in_parts = Network(Conv(32, size=7, padding=3), input=(32, 28, 28))
    assert nests_of(in_parts, 16) == {"winograd_made", "gathered", "winograd_scattered"}


@pytest.mark.parametrize(
    "setting", [{"stride": 2}, {"dilation": 2}, {"size": (3, 2)}, {"size": 1}, {"groups": 2}], ids=str
)
def test_other_windows_are_met_one_by_one(setting):
    assert not any("winograd" in name for name in nests_of(Network(Conv(64, **setting), input=(32, 16, 16)), 16))


# --------------------------------------------------------------------------------------------- bits and rounding
def through(layer, shape, lanes, dtype, given):
    """y, dx and dw of the images in runs of so many lanes: y and dx by image, dw summed over the runs."""
    net = Network(layer, input=shape, dtype=dtype)
    for name, array in net.arrays.items():
        array[...] = given[name.rpartition(".")[2]]
    run = Run(net, lanes, input_gradient=True, by_patches=True)
    (record,) = run.records.values()
    found = {"y": [], "dx": [], "dw": []}
    for first in range(0, len(given["x"]), lanes):
        for name in ("x", "dy"):
            record[name].reshape(-1, lanes)[...] = given[name][first : first + lanes].reshape(lanes, -1).T
        for call in (*run.forward_calls, *run.backward_calls):
            call()
        for name in ("y", "dx"):
            found[name].append(record[name].reshape(-1, lanes).T.copy())
        found["dw"].append(record["dw"].astype("float64"))
    return {"y": np.concatenate(found["y"]), "dx": np.concatenate(found["dx"]), "dw": sum(found["dw"])}


def numbers(layer, shape, images):
    """Random numbers that float32 holds for all that a layer is given."""
    rng, (filters, *places) = np.random.default_rng(0), layer.output(shape)
    shapes = {"x": (images, *shape), "dy": (images, filters, *places), "w": (filters, shape[0], *layer.size)}
    return {name: rng.normal(size=each).astype("float32") for name, each in {**shapes, "b": (filters,)}.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.often(1)
def test_neither_the_registers_nor_the_lanes_change_a_bit_of_an_image(dtype, monkeypatch):
    by_patches(monkeypatch)
    layer, shape = Conv(19, size=3, padding=1, activation=ReLU()), (5, 7, 6)
    given = numbers(layer, shape, 32)
    meant = through(layer, shape, 32, dtype, given)
    for registers, lanes in (((16, 8), 16), ((32, 16), 8), ((32, 4), 4), ((16, 8), 1)):
        on(registers, monkeypatch)
        made = through(layer, shape, lanes, dtype, given)
        for name in ("y", "dx"):
            np.testing.assert_array_equal(made[name], meant[name], err_msg=f"{name}, {registers=}, {lanes=}")


def corners(array, padding, count, outputs, shifts):
    """The patches (part, image, channel, patch, row, column) of an array (image, channel, row, column), zeros around.

    Each part of a window meets its own, so many pixels further down and to the right.
    """
    wide = np.pad(array, ((0, 0), (0, 0), *((each, each + count + 1 + max(shifts)[0]) for each in padding)))
    starts = [(i, j) for i in range(0, outputs[0], 2) for j in range(0, outputs[1], 2)]
    return np.stack(
        [
            np.stack([wide[:, :, i + u : i + u + count, j + v : j + v + count] for i, j in starts], axis=2)
            for u, v in shifts
        ]
    )


def cut(w, part, shifts):
    """A window's parts (part, filter, channel, row, column), those beyond it 0."""
    wide = np.pad(w, ((0, 0), (0, 0), (0, part), (0, part)))
    return np.stack([wide[:, :, u : u + part, v : v + part] for u, v in shifts])


def transformed(matrix, array):
    """The absolute values of a matrix on both sides of those of patches, their last two axes."""
    matrix = abs(np.array(matrix, dtype=float))
    return np.einsum("ar,...rs,bs->...ab", matrix, abs(array.astype(float)), matrix)


def laid_out(patches, sides):
    """Sums of patches (image, filter, patch, 2, 2) where they lie: (image, filter, row, column)."""
    rows, columns = (-(-each // 2) for each in sides)
    images, filters = patches.shape[:2]
    whole = patches.reshape(images, filters, rows, columns, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return whole.reshape(images, filters, 2 * rows, 2 * columns)[:, :, : sides[0], : sides[1]]


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7, 11])
def test_rounding_stays_within_its_bound(size, monkeypatch):
    """N roundings in a row leave a sum off by at most N u / (1 - N u) times the sum of all terms without their signs.

    Each of the six transforms rounds its constants, its products and its additions, count + 1 in a row at most; between
    them stand the channels' products, or those of lanes and patches (N. Higham, Accuracy and Stability, chapter 3).
    """
    by_patches(monkeypatch)
    apart, part = winograd.parts_of(size)
    layer, shape, count = Conv(6, size=size, padding=size // 2), (7, 9, 8), part + 1
    shifts = [(u * part, v * part) for u in range(apart) for v in range(apart)]
    given, (filters, *places), near = numbers(layer, shape, 16), layer.output(shape), (size // 2,) * 2
    w, x, dy = (given[name] for name in ("w", "x", "dy"))
    a, g, t = transforms(2, part)
    pixels, weights, turned = corners(x, near, count, places, shifts), cut(w, part, shifts), w[:, :, ::-1, ::-1]
    y = np.einsum("mncprs,mkcrs->nkprs", transformed(t, pixels), transformed(g, weights))
    back = corners(dy, (size - 1 - size // 2,) * 2, count, shape[1:], shifts)
    dx = np.einsum("mnkprs,mkcrs->ncprs", transformed(t, back), transformed(g, cut(turned, part, shifts)))
    of_weights = transforms(part, 2)
    errors = transformed(of_weights[1], corners(dy, (0, 0), 2, places, [(0, 0)])[0])
    dw = np.einsum("nkprs,ncprs->kcrs", errors, transformed(of_weights[2], pixels[0]))
    sizes = {
        "y": (laid_out(transformed(a, y), places) + abs(given["b"])[:, None, None], shape[0] * apart**2 + 1),
        "dx": (laid_out(transformed(a, dx), shape[1:]), filters * apart**2),
    }
    if apart == 1:
        sizes["dw"] = transformed(of_weights[0], dw), 16 + errors.shape[2]
    monkeypatch.setattr(winograd, "FEWEST_LANES", 17)
    exact = through(layer, shape, 16, "float64", given)  # window by window
    monkeypatch.setattr(winograd, "FEWEST_LANES", 1)
    found = through(layer, shape, 16, "float32", given)
    for name, (sums, steps) in sizes.items():
        roundings = (steps + 6 * (count + 1)) * 2.0**-24
        bound = (roundings / (1 - roundings) * sums).reshape(exact[name].shape)
        off = abs(found[name] - exact[name])
        assert (off <= bound).all(), (name, (off / bound).max())
        assert off.max() > 0


# ----------------------------------------------------------------------------------- schedules broken on purpose
BROKEN = [  # of each nest first what the first few settings show
    ("pack_weights", "size - 1 - u", "u"),  # the windows turned round
    ("pack_weights", "min(part, others - block)", "part"),  # the last block
    ("pack_weights", "w[k + q, c, u, v]", "w[k, c, u, v]"),
    ("pack_weights", "o + plane * block", "o"),
    ("pack_weights", "plane // apart % apart * window", "0"),  # the parts of a window
    ("pack_weights", "max(u, v) >= size", "u >= size"),
    ("winograd_made", "padding_0 - i", "-i"),  # where a patch lies
    ("winograd_made", "x.shape[1] + top", "x.shape[1] - i"),
    ("winograd_made", "- plane // apart % apart * window", ""),
    ("winograd_made", "- plane % apart * window", ""),
    ("winograd_made", "across + left", "across"),
    ("winograd_made", "range(0, patches, group)", "range(0, patches // group * group, group)"),  # the last of a row
    ("winograd_made", "min(unit, filters - block)", "unit"),
    ("winograd_made", "b[k + q]", "b[k]"),
    ("winograd_made", "activated(sums, y)", "sums"),
    ("winograd_made", "y.shape[1] - i", "out"),  # what lies within
    ("winograd_made", "columns - j", "out"),
    ("winograd_made", "range(points)", "range(points - 1)"),
    ("winograd_gathered", "i + j + first > 0", "i + first > 0"),  # where sums begin
    ("winograd_gathered", "own_padding_0 - i", "padding_0 - i"),
    ("winograd_gathered", "= padding_0 - i, padding_1 - j", "= padding_0 - i, -j"),
    ("winograd_gathered", "dw[c, k, u, v]", "dw[c, k, v, u]"),
    ("winograd_gathered", "other.shape[1] + top", "one.shape[1] + top"),
]


def is_found(monkeypatch):
    """Whether the law notices that something is broken, within some hundred random settings."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        layer, shape = drawn(rng, largest=6)
        on(REGISTERS[rng.integers(len(REGISTERS))], monkeypatch)
        try:
            if differing(layer, shape, int(rng.choice(LANES_MET)), rng):
                return True
        except (IndexError, ValueError):  # it leaves its arrays
            return True
    return False


@pytest.mark.parametrize(
    ("name", "old", "new"),
    some(BROKEN, lambda place: is_first(BROKEN, place), lambda each: f"{each[0]}: {each[1]} → {each[2]}"),
)
def test_a_broken_nest_is_found(name, old, new, monkeypatch):
    by_patches(monkeypatch)
    source = inspect.getsource(getattr(winograd, name))
    assert old in source
    broken = made(source.replace(old, new), vars(winograd), name)
    monkeypatch.setattr(winograd, name, broken)
    winograd.nest.cache_clear()
    try:
        assert is_found(monkeypatch)
    finally:
        winograd.nest.cache_clear()


def test_a_wrong_transform_is_found(monkeypatch):
    by_patches(monkeypatch)
    a, g, t = transforms(2, 3)
    wrong = ((*t[0][:2], t[0][2] + Fraction(1, 2), t[0][3]), *t[1:])
    monkeypatch.setattr(
        winograd, "transforms", lambda out, size: (a, g, wrong) if (out, size) == (2, 3) else transforms(out, size)
    )
    winograd.nest.cache_clear()
    try:
        assert is_found(monkeypatch)
    finally:
        winograd.nest.cache_clear()
