"""The laws every layer keeps. A new layer joins by adding its rows to `cases.py`."""

import itertools

import numpy as np
import pytest

from cases import CASES, SMOOTH, exhaustive
from often import some
from plaingrad.checking.laws import check_adjoint, check_compiled, points, run_through, single_layer_run
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import MeanPool

rows = pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)


@pytest.fixture(params=range(3), ids="seed{}".format)
def rng(request):
    return np.random.default_rng(request.param)


@rows
def test_backward_is_the_exact_adjoint_of_forward(layer, shape, rng):
    check_adjoint(layer, shape, rng)


@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    some(
        [(*each, dtype) for each in CASES for dtype in ("float32", "float64")],
        lambda place: place % 2 == 0 or place % 8 == 1,  # all in float32, every fourth in float64
        str,
    ),
)
def test_compiled_is_exact_up_to_rounding(layer, shape, dtype):
    """The same loops on numbers that know their value to 50 digits and their own rounding bound."""
    check_compiled(layer, shape, dtype, np.random.default_rng(0))


def mixes_images(layer):
    return "share" in layer.forward.arguments


@pytest.mark.parametrize(("layer", "shape"), [row for row in CASES if not mixes_images(row[0])], ids=str)
def test_an_image_is_treated_alike_in_any_lane(layer, shape, rng):
    """Among other images and in another place, an image has the same output and the same error, to the bit."""
    run, record = single_layer_run(layer, shape, "float32", lanes=32)
    given = {name: rng.normal(size=record[name].shape).astype("float32") for name in points(run)}
    dy, order = rng.normal(size=record["y"].shape).astype("float32"), rng.permutation(32)
    first = run_through(run, record, given, dy)

    def moved(array):
        return array.reshape(-1, 32)[:, order].reshape(array.shape)

    run.index[:] = order  # a mask is that of the image, not of its lane
    second = run_through(run, record, given | {"x": moved(given["x"])}, moved(dy))
    for name in ("y", "dx"):
        np.testing.assert_array_equal(moved(first[name]), second[name])


@rows
def test_an_empty_lane_changes_nothing(layer, shape):
    """Three images in eight lanes give what three images in three lanes give, to the bit, whatever is left there."""
    rng = np.random.default_rng(0)
    found = []
    for lanes in (3, 8):
        run, record = single_layer_run(layer, shape, "float32", lanes)
        if not found:
            draw = quarters if is_exact_in_quarters(layer) else smooth  # sums of filters may be added in another order
            drawn = {name: draw(rng, record[name].shape, "float32") for name in points(run)}
            dy = draw(rng, record["y"].shape, "float32")
        run.index[3:] = -1

        def laid(name, array, lanes=lanes, run=run):
            if name in run.net.arrays or name in ("w", "b"):
                return array
            wide = np.zeros((array.size // 3, lanes), "float32")  # as `load` and the loss leave an empty lane
            wide[:, :3] = array.reshape(-1, 3)
            return wide.reshape(*array.shape[:-1], -1)

        made = run_through(run, record, {name: laid(name, each) for name, each in drawn.items()}, laid("dy", dy))
        (name,) = run.net.steps
        found.append({key: run.quantity(name, key).copy() for key in made})
    for key in found[0]:
        np.testing.assert_array_equal(*(each[key] for each in found), err_msg=key)


@rows
def test_nests_fill_all_they_write(layer, shape, rng):
    """Whatever an array held before, it holds the same after: nothing of a former pass remains."""
    run, record = single_layer_run(layer, shape, "float32")
    given = {name: rng.normal(size=record[name].shape) for name in points(run)}
    dy = rng.normal(size=record["y"].shape)
    clean = run_through(run, record, given, dy)
    kept_constant = {"b"} if "b" not in points(run) else set()  # zeros of a layer without bias: nothing fills them
    run.scratch[...] = np.nan
    for name in record.keys() - set(points(run)) - kept_constant:
        record[name][...] = np.nan if record[name].dtype.kind == "f" else -7
    again = run_through(run, record, given, dy)
    for name in clean:
        np.testing.assert_array_equal(clean[name], again[name], err_msg=name)


@rows
def test_a_layer_travels_as_json(layer, shape):
    assert Layer.from_json(layer.to_json()) == layer


def smooth(rng, shape, dtype):
    return rng.normal(size=shape).astype(dtype)


def quarters(rng, shape, dtype):
    """Quarters from -1 to 1: sums and products of a few hundred are exact in float32, and ties and zeros turn up."""
    return (rng.integers(-4, 5, shape) / 4).astype(dtype)


def check_compiled_equals_plain(layer, shape, rng):
    """On numbers whose sums are exact in float32, compiled and plain agree to the bit. No division, so no rounding."""
    compiled, arrays = single_layer_run(layer, shape, "float32")
    plain, twins = single_layer_run(layer, shape, object)
    given = {name: quarters(rng, arrays[name].shape, "float32") for name in points(compiled)}
    dy = quarters(rng, arrays["y"].shape, "float32")
    found = run_through(compiled, arrays, given, dy)
    truth = run_through(plain, twins, {name: array.astype(object) for name, array in given.items()}, dy.astype(object))
    for name in found:
        np.testing.assert_array_equal(found[name], truth[name].astype("float32"), err_msg=name)


def is_exact_in_quarters(layer):
    return not isinstance(layer, (*SMOOTH, MeanPool))


SAMPLE = list(itertools.islice(exhaustive(1), 0, None, 9))


@pytest.mark.parametrize(("layer", "shape"), SAMPLE, ids=str)
def test_sampled_settings_are_exact_adjoints(layer, shape):
    check_adjoint(layer, shape, np.random.default_rng(0))


@pytest.mark.parametrize(("layer", "shape"), [row for row in SAMPLE if is_exact_in_quarters(row[0])][::4], ids=str)
def test_sampled_settings_compile_to_the_same_numbers(layer, shape):
    check_compiled_equals_plain(layer, shape, np.random.default_rng(0))


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(20))
def test_all_settings(part):
    """Every setting of an axis on rows and columns, in several pairings: the exact law, and compiled against plain."""
    checked = 0
    for number, (layer, shape) in enumerate(itertools.islice(exhaustive(4), part, None, 20)):
        rng = np.random.default_rng([part, number])
        check_adjoint(layer, shape, rng)
        if is_exact_in_quarters(layer):
            check_compiled_equals_plain(layer, shape, rng)
        checked += 1
    assert checked > 100
