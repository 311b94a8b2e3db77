"""Networks and runs: shapes are proved, quantities are read by name, and an image counts for itself in any shard."""

import dataclasses
import json
import pickle
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import plaingrad as pg
from cases import CASES
from plaingrad.checking.claims import claim
from plaingrad.compiler.loops import has_numba
from plaingrad.errors import DataError, SettingError, ShapeError
from plaingrad.network.exact import fractions
from plaingrad.network.network import LANES, Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Glorot, He, Layer, Uniform, Zeros
from plaingrad.textbook.layers import (
    Conv,
    Dense,
    Flatten,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from plaingrad.textbook.losses import HalfSquaredError, SoftmaxCrossEntropy
from plaingrad.textbook.text import places

IMAGE = (2, 6, 5)
CLASSES = 3


def small(dtype="float32", seed=0):
    """Every way an array can be kept: padded, fused, pooled, flattened, without bias."""
    return Network(
        *(Conv(4, size=(2, 3), padding=1, activation=ReLU()), MaxPool(2), Flatten()),
        *(Dense(5, bias=False, activation=LeakyReLU(0.25)), Dense(CLASSES)),
        input=IMAGE,
        seed=seed,
        dtype=dtype,
    )


def images_and_labels(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, *IMAGE)).astype("float32"), rng.integers(0, CLASSES, count)


def trained(run):
    """The gradient of every parameter, by its whole name."""
    return {name: run[name.replace(".", ".d")] for name in run.net.arrays}


def assert_same_bits(first, second, name=""):
    assert first.dtype == second.dtype, name
    np.testing.assert_array_equal(first, second, err_msg=name)


# ------------------------------------------------------------------------------------------------ shapes and settings

MISFITS = [
    (
        (Conv(2, size=5), MaxPool(2), Conv(3, size=(5, 2))),
        (1, 12, 12),
        ("conv2 = Conv(3, size=(5, 2)) got (2, 4, 4)", "needs at least 5 rows", "make the window smaller"),
        "input (1, 12, 12) → conv1 (2, 8, 8) → maxpool1 (2, 4, 4)",
    ),
    (
        (ReLU(), Conv(2, size=(1, 3), dilation=(1, 4))),
        (1, 9, 8),
        ("conv1 = Conv(", "got (1, 9, 8)", "spread to 9 needs at least 9 columns", "make the window smaller"),
        "input (1, 9, 8) → relu1 (1, 9, 8)",
    ),
    (
        (Conv(2, size=(1, 7), padding=(3, 1)),),
        (1, 4, 4),
        ("conv1 = Conv(", "got (1, 4, 4)", "needs at least 7 columns (with 2 of padding it has 6)", "add padding"),
        "input (1, 4, 4)",
    ),
    (
        (MeanPool(3),),
        (1, 2, 3),
        ("meanpool1 = MeanPool(3", "got (1, 2, 3)", "needs at least 3 rows", "pool less before it"),
        "input (1, 2, 3)",
    ),
    (
        (Conv(4), Dense(3)),
        (1, 8, 7),
        ("dense1 = Dense(3) got (4, 6, 5)", "it takes one axis", "put Flatten() before it to make 120 inputs"),
        "input (1, 8, 7) → conv1 (4, 6, 5)",
    ),
    (
        (Softmax(),),
        (2, 3, 4),
        ("softmax1 = Softmax() got (2, 3, 4)", "one axis of scores", "put Flatten() before it"),
        "input (2, 3, 4)",
    ),
    (
        (Flatten(), Conv(2)),
        (2, 3, 4),
        ("conv1 = Conv(2) got (24,)", "it takes images of three axes (channel, row, column)"),
        "input (2, 3, 4) → flatten1 (24,)",
    ),
    (
        (L2Pool(),),
        (7,),
        ("l2pool1 = L2Pool(", "got (7,)", "it takes images of three axes (channel, row, column)"),
        "input (7,)",
    ),
    (
        (Conv(4), Conv(4, groups=2), Conv(6, groups=3)),
        (2, 9, 9),
        ("conv3 = Conv(6, groups=3) got (4, 5, 5)", "3 groups need a number of channels they can share"),
        "input (2, 9, 9) → conv1 (4, 7, 7) → conv2 (4, 5, 5)",
    ),
]


@pytest.mark.parametrize(("layers", "shape", "parts", "way"), MISFITS, ids=lambda each: str(each)[:40])
def test_a_misfit_is_named_where_it_is(layers, shape, parts, way):
    """Who, what it got, what it needs, what to do, and the way there: in one line, before anything runs."""
    with pytest.raises(ShapeError) as caught:
        Network(*layers, input=shape)
    text = str(caught.value)
    places = [text.find(part) for part in (*parts, f"The way there: {way}")]
    assert -1 not in places, text
    assert places == sorted(places), text
    assert text.endswith(way)
    assert "\n" not in text


WRONG_SETTINGS = {
    "filters": [lambda: Conv(0), lambda: Conv(2.5), lambda: Conv(True), lambda: Conv("6"), lambda: Conv((2, 3))],
    "size": [lambda: Conv(2, size=0), lambda: Conv(2, size=(1, 2, 3)), lambda: MaxPool(0), lambda: L2Pool((2, 1.5))],
    "stride": [lambda: Conv(2, stride=0), lambda: MeanPool(2, stride=(1, 0)), lambda: MaxPool(2, stride="2")],
    "padding": [lambda: Conv(2, padding=-1), lambda: Conv(2, padding="valid"), lambda: MaxPool(2, padding=(0, 2))],
    "dilation": [lambda: Conv(2, dilation=0)],
    "groups": [lambda: Conv(4, groups=0), lambda: Conv(4, groups=3), lambda: Conv(4, groups=(2, 2))],
    "activation": [lambda: Conv(4, activation=Tanh()), lambda: Dense(4, activation=ReLU)],
    "bias": [lambda: Conv(4, bias="no"), lambda: Dense(4, bias=None)],
    "count_padding": [lambda: MeanPool(2, count_padding="no")],
    "start": [lambda: Conv(4, start=ReLU()), lambda: Dense(4, start="He")],
    "units": [lambda: Dense(0), lambda: Dense(1.0), lambda: Dense((2, 3)), lambda: Dense(None)],
    "slope": [lambda: LeakyReLU(0), lambda: LeakyReLU(1), lambda: LeakyReLU(float("nan")), lambda: LeakyReLU("0.1")],
}


@pytest.mark.parametrize(
    ("setting", "make"), [(name, make) for name, makes in WRONG_SETTINGS.items() for make in makes]
)
def test_a_wrong_setting_is_named(setting, make):
    with pytest.raises(SettingError, match=rf"^(Conv|Dense|\w+Pool|LeakyReLU) got .*\b{setting}\b[^\n]*$"):
        make()


@pytest.mark.parametrize(
    ("layers", "settings", "text"),
    [
        ((), {}, "got no layers; it needs at least one"),
        ((ReLU,), {}, r"made of layers, got .*did you forget its \(\)"),
        ((Flatten(), "Dense"), {}, "made of layers, got 'Dense'"),
        ((He(),), {}, r"made of layers, got He\(\)"),
        (
            (ReLU(),),
            {"input": (28, 28)},
            r"got input=\(28, 28\); it needs \(channels, rows, columns\) or \(features,\)",
        ),
        ((ReLU(),), {"input": (1, 0, 4)}, "each at least 1"),
        ((ReLU(),), {"input": (1.0, 4, 4)}, "got input=.*it needs"),
        ((ReLU(),), {"input": 28}, "got input=28"),
        ((ReLU(),), {"input": "284"}, "got input='284'"),
        ((ReLU(),), {"dtype": "int32"}, "got dtype int32; it needs float32, float64 or object"),
        ((ReLU(),), {"dtype": "float33"}, "got dtype .*float33.* it needs float32, float64 or object"),
    ],
)
def test_a_network_that_cannot_be(layers, settings, text):
    with pytest.raises(SettingError, match=text):
        Network(*layers, **{"input": (1, 4, 4)} | settings)


@pytest.mark.parametrize(
    ("images", "targets"),
    [
        (np.zeros((2, *IMAGE[::-1])), None),
        (np.zeros(IMAGE), None),
        (np.zeros((0, *IMAGE)), None),
        (np.zeros((LANES + 1, *IMAGE)), None),
        (np.full((2, *IMAGE), "a"), None),
        (np.zeros((2, *IMAGE)), [0]),
        (np.zeros((2, *IMAGE)), [0, CLASSES]),
        (np.zeros((2, *IMAGE)), [-1, 0]),
        (np.zeros((2, *IMAGE)), [0.0, 1.0]),
        (np.zeros((2, *IMAGE)), np.zeros((CLASSES, 2))),
        (np.zeros((2, *IMAGE)), [["a"] * CLASSES] * 2),
    ],
)
def test_images_and_targets_that_cannot_be(images, targets):
    with pytest.raises(DataError, match=r"^a run\b[^\n]* got [^\n]*$"):
        small().run(images, targets)


@pytest.mark.parametrize("kind", ["bool", "uint16", "int64", "float16", "float32", "float64", ">f4", ">i2"])
def test_images_of_any_number_type(kind):
    """Zeros and ones are the same in every type of floats; whole numbers count in 255ths in every type of them."""
    images = np.random.default_rng(0).integers(0, 2, (3, *IMAGE))
    given = images.astype(kind)
    assert given.dtype == np.dtype(kind)
    expected = small().run(images.astype("uint8"))["conv1"].x if given.dtype.kind in "iu" else images.astype("float32")
    assert_same_bits(small().run(given)["conv1"].x, expected)


# ---------------------------------------------------------------------------------------------------- reading by name


def test_every_quantity_is_read_by_name():
    run = small().run(*images_and_labels(4))
    assert len(run.names) > 40
    for name in run.names:
        layer, _, quantity = name.partition(".")
        array = run[name]
        assert np.shares_memory(array, run.records[layer][quantity]) or array.base is None, name
        assert_same_bits(array, getattr(run[layer], quantity), name)
        assert quantity in dir(run[layer])
        place = tuple(side - 1 for side in array.shape)
        assert run[f"{name}[{','.join(map(str, place))}]"] == array[place], name
    number = run["conv1"].dw[3, 0, 1, 2]
    assert number != 0
    assert run["conv1.dw[3,0,1,2]"] == run["conv1.dw[3, 0,  1 ,2]"] == number


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("conf1", "did you mean 'conv1'"),
        ("Conv1", "did you mean 'conv1'"),
        ("conf1.dw", "did you mean 'conv1'"),
        ("zzz", "choose from conv1, dense1, dense2, flatten1, loss, maxpool1"),
        ("conv1.dww", "did you mean 'dw'"),
        ("conv1.q", "choose from b, db, dw, dx"),
        ("conv1.at", "choose from b, db, dw, dx"),
        ("maxpool1.winer[0,0,0,0]", "did you mean 'winner'"),
        ("conv1.dw[4,0,0,0]", r"conv1\.dw\[4, 0, 0, 0\] is out of range; conv1\.dw has shape \(4, 2, 2, 3\)"),
        ("conv1.dw[0,0,0]", r"has shape \(4, 2, 2, 3\)"),
        ("conv1.y[2,0,0,0]", r"out of range; conv1\.y has shape \(2, 4, 7, 5\)"),
        ("conv1.dw[-1,0,0,0]", r"a place is written conv1\.dw\[0,1,…\] with whole numbers"),
        ("conv1.dw[0,0,0,x]", "a place is written"),
        ("conv1.dw[0,0,0,0", "a place is written"),
        ("conv1.dw[]", "a place is written"),
    ],
)
def test_a_name_that_is_not_there(name, hint):
    run = small().run(*images_and_labels(2))
    with pytest.raises((SettingError, AttributeError), match=hint):
        run[name]


def test_a_step_is_read_by_name():
    net = small()
    assert net["conv1"].w.shape == (4, 2, 2, 3)
    assert all(np.shares_memory(array, net.parameters) for array in net.arrays.values())
    assert list(net.arrays) == ["conv1.w", "conv1.b", "dense1.w", "dense2.w", "dense2.b"]
    assert net.size == sum(array.size for array in net.arrays.values()) <= net.parameters.size
    with pytest.raises(SettingError, match="did you mean 'dense2'"):
        net["dens2"]
    with pytest.raises(AttributeError, match="dense1 has no parameter 'b'"):
        net["dense1"].b  # noqa: B018


# ------------------------------------------------------------------------------------------------- texts, to be read


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_each_way_of_a_layer_is_printed_as_its_text(layer, shape):
    (step,) = Network(layer, input=shape).steps.values()
    for way, text in ((step.forward, layer.forward), (step.backward, layer.backward)):
        assert text.source.strip() in str(way)
        assert repr(way) == str(way)
        activation = getattr(layer, "activation", None)
        assert str(way).count("def ") == (2 if activation else 1)
        assert not activation or getattr(activation, way.way).source.strip() in str(way)


@pytest.mark.skipif(not has_numba(), reason="without Numba a text runs as it stands")
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_each_way_shows_how_it_is_run_fast(layer, shape):
    """Every nest that is called is shown; together they stand for every line that fills an array."""
    (step,) = Network(layer, input=shape).steps.values()
    run = Run(Network(layer, input=shape), LANES, input_gradient=True)
    for way, calls in ((step.forward, run.forward_calls), (step.backward, run.backward_calls)):
        shown = way.fast
        assert all(f"def {call.name}(" in shown for call in calls)
        if "compiled as it stands" not in shown:
            lines = [line.partition("#")[0].strip() for line in str(way).splitlines()]
            told = {line for line in lines if re.match(r"\w+\[.*\].* [+*-]?= ", line)}
            assert told
            assert told == set(re.findall("stands for `(.*)`", shown))


@pytest.mark.skipif(not has_numba(), reason="without Numba a text runs as it stands")
def test_what_is_run_fast_is_shown_with_its_tile_and_an_activation_s_slope():
    net = Network(Conv(6, activation=LeakyReLU(0.25)), Flatten(), Softmax(), input=(2, 8, 8))
    shown = net["conv1"].forward.fast
    assert re.search(r"# with groups = 1, stride_0 = 1, .*\bblock = \d+, piece = \d+, .*slope = 0.25", shown)
    assert "sums = multiply(sums, packed, weight, 1, x, pixel)" in shown
    assert re.search(
        "# softmax_forward is compiled as it stands: line 3 of softmax_forward", net["softmax1"].forward.fast
    )
    assert "for k_1 in range(x.shape[1])" in net["softmax1"].forward.fast


def test_what_runs_as_python_is_shown_as_it_stands():
    net = Network(Dense(2), input=(3,), dtype=object)
    told, _, source = net["dense1"].forward.fast.partition("\n")
    assert "dense_forward runs as Python" in told
    assert source == str(net["dense1"].forward)


def squared_forward(x, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = x[n, c, i, j] * x[n, c, i, j]


def squared_backward(dy, x, dx):
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = 2 * x[n, c, i, j] * dy[n, c, i, j]


@pytest.mark.skipif(not has_numba(), reason="without Numba every text is slow")
def test_a_text_that_the_schedule_cannot_read_is_told_once_with_its_line():
    class Squared(Layer):
        forward, backward = squared_forward, squared_backward

    def runs():
        for _ in range(2):
            Run(Network(Squared(), input=(1, 2, 3)), 2, input_gradient=True)

    with pytest.warns(UserWarning, match="squared_.* is compiled as it stands") as told:
        runs()
    forward, backward = (str(each.message) for each in told)
    assert "line 3 of squared_forward does `y[n, c, i, j] = x[n, c, i, j] * x[n, c, i, j]`" in forward
    assert "line 3 of squared_backward does `dx[n, c, i, j] = 2 *" in backward
    runs()  # where a warning is an error
    Run(Network(Squared(), input=(1, 2, 3), dtype=object), 2)


# ------------------------------------------------------------------------------------------- layout, lanes and batches


def test_users_see_image_channel_row_column():
    """On distinct whole numbers, whose sums are exact in float32: as computed window by window in NumPy."""
    net = Network(Conv(3, size=(2, 3), stride=(1, 2)), MaxPool((2, 1)), Flatten(), input=IMAGE)
    rng = np.random.default_rng(0)
    images = rng.permutation(4 * 60).reshape(4, *IMAGE) - 100
    w, b = rng.permutation(36).reshape(3, 2, 2, 3) - 15, np.array([5, -7, 1000])
    net["conv1"].w[...], net["conv1"].b[...] = w, b
    run = Run(net, LANES)
    run.load(images.astype(float))
    run.forward()
    y = np.zeros((4, 3, 5, 2), int)
    for n, k, i, j in np.ndindex(y.shape):
        y[n, k, i, j] = (w[k] * images[n, :, i : i + 2, 2 * j : 2 * j + 3]).sum() + b[k]
    assert len(np.unique(y)) > 100  # a swapped axis would show
    pooled = np.maximum(y[:, :, 0:4:2], y[:, :, 1:4:2])
    np.testing.assert_array_equal(run["conv1"].x, images)
    np.testing.assert_array_equal(run["conv1"].y, y)
    np.testing.assert_array_equal(run["maxpool1"].y, pooled)
    np.testing.assert_array_equal(run["flatten1"].y, pooled.reshape(4, -1))


def test_features_need_no_rows_and_columns():
    net = Network(Dense(2), input=(3,), dtype=object)
    rng = np.random.default_rng(0)
    features = fractions(rng, (4, 3))
    assert (net.run(features)["dense1"].y == features @ net["dense1"].w.T + net["dense1"].b).all()


def test_images_are_taken_by_offset_and_factor():
    """(pixel - offset) · factor for each channel; all numbers are dyadic here, so nothing is rounded."""
    net, (images, _) = small("float64"), images_and_labels(3)
    net.offset[:], net.factor[:] = (0.5, -2), (4, 0.25)
    expected = (images - np.array([0.5, -2]).reshape(2, 1, 1)) * np.array([4, 0.25]).reshape(2, 1, 1)
    np.testing.assert_array_equal(net.run(images)["conv1"].x, expected)


def every_byte():
    return Network(Flatten(), input=(1, 16, 16), dtype="float64"), np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)


def test_bytes_count_in_255ths():
    """Within two roundings, one of 1/255 and one of the product: γ(2)."""
    net, images = every_byte()
    for byte, number in zip(images.flat, net.run(images)["flatten1"].x.flat, strict=True):
        exact, unit = Fraction(int(byte), 255), Fraction(float(np.finfo("float64").eps)) / 2
        assert abs(Fraction(float(number)) - exact) <= exact * 2 * unit / (1 - 2 * unit)


def test_bytes_count_in_255ths_in_an_exact_network_too():
    _, images = every_byte()
    exact = Network(Flatten(), input=(1, 16, 16), dtype=object).run(images)["flatten1"].x
    assert exact.tolist() == [[[[Fraction(row * 16 + column, 255) for column in range(16)] for row in range(16)]]]


@pytest.mark.parametrize("kind", ["uint8", "int8", "int64"])
def test_an_exact_network_is_exact_on_whole_numbers(kind):
    """Sums do not wrap around at the end of the pixels' type, and quotients are no floats: 100 shared out by three."""
    net = Network(MeanPool(2), MeanPool((1, 3)), Flatten(), input=(1, 2, 6), dtype=object)
    images = np.zeros((1, 1, 2, 6), kind)
    images[0, 0, :, :2] = 100
    (mean,) = net.run(images)["flatten1"].y[0]
    assert mean / net.run(images)["meanpool1"].x[0, 0, 0, 0] == Fraction(1, 3)


def test_a_forward_run_needs_no_loss():
    """A network may end in an image, as one does that is being built; only targets need an axis of outputs."""
    net = Network(MeanPool(2), input=(1, 2, 4))
    images = np.arange(8, dtype="float32").reshape(1, 1, 2, 4)
    np.testing.assert_array_equal(net.run(images)["meanpool1"].y, [[[[2.5, 4.5]]]])
    with pytest.raises(ShapeError, match="SoftmaxCrossEntropy got"):
        net.run(images, [0])


@pytest.mark.parametrize("count", [1, 5, LANES - 1])
def test_few_images_have_the_bits_of_a_full_shard(count):
    """Each image's outputs, losses and errors are what they are beside 31 others, once it has the same share."""
    images, labels = images_and_labels(LANES)
    full, part = small().run(images, labels), small().run(images[:count], labels[:count])
    np.testing.assert_array_equal(part["loss"].share, np.full(count, np.float32(1 / count)))
    part.records["loss"]["share"][:count] = full["loss"].share[:count]
    part.backward()
    for name in full.names:
        if name not in {f"{layer}.{each}" for layer in full.records for each in ("w", "b", "dw", "db")}:
            assert len(part[name]) == count, name
            assert_same_bits(part[name], full[name][:count], name)


def test_empty_lanes_add_nothing_to_a_gradient():
    """In fractions: three images in a shard of eight, and in a shard of three."""
    rng = np.random.default_rng(0)
    net, images, targets = small(object), fractions(rng, (3, *IMAGE)), fractions(rng, (3, CLASSES))
    wide = Run(net, 8, HalfSquaredError())
    wide.load(images)
    wide.aim(targets)
    wide.forward()
    wide.backward()
    narrow = net.run(images, targets, HalfSquaredError())
    for name, gradient in trained(narrow).items():
        assert (gradient != 0).any(), name
        assert (gradient == trained(wide)[name]).all(), name


def test_nothing_of_a_former_shard_remains():
    """A run that held 32 other images has the bits of a fresh one for 5, with classes and with values as targets."""
    net, (images, labels), (others, other_labels) = small(), images_and_labels(5), images_and_labels(LANES, seed=1)
    for targets, other_targets in ((labels, other_labels), (np.eye(CLASSES)[labels], np.eye(CLASSES)[other_labels])):
        fresh, used = net.run(images, targets), net.run(others, other_targets)
        used.load(images)
        used.aim(targets)
        used.forward()
        used.backward()
        for name in fresh.names:
            assert_same_bits(fresh[name], used[name], name)


def test_classes_are_targets_of_one():
    images, labels = images_and_labels(7)
    by_class, by_value = small().run(images, labels), small().run(images, np.eye(CLASSES)[labels])
    assert (by_class["loss"].target == np.eye(CLASSES)[labels]).all()
    for name in by_class.names:
        assert_same_bits(by_class[name], by_value[name], name)


def test_a_batch_gradient_is_the_mean_of_its_images():
    """In fractions, with ==. So a batch of twice the same images has the gradient of one."""
    rng = np.random.default_rng(0)
    net, images, targets = small(object), fractions(rng, (3, *IMAGE)), fractions(rng, (3, CLASSES))
    batch = trained(net.run(images, targets, HalfSquaredError()))
    each = [trained(net.run(images[n : n + 1], targets[n : n + 1], HalfSquaredError())) for n in range(3)]
    twice = trained(net.run(np.concatenate([images] * 2), np.concatenate([targets] * 2), HalfSquaredError()))
    for name, gradient in batch.items():
        assert (gradient != 0).any(), name
        assert (gradient == sum(one[name] for one in each) / 3).all(), name
        assert (gradient == twice[name]).all(), name


# ----------------------------------------------------------------------------------------------- files, seeds, starts


def nested():
    return Network(
        *(Conv(4, size=(2, 3), padding="same", activation=LeakyReLU(0.25), start=Uniform(0.5)), MaxPool(2)),
        *(Conv(2, size=2, groups=2, activation=ReLU(), start=Glorot()), Flatten(), Dense(3, start=Zeros()), Softmax()),
        input=IMAGE,
        seed=5,
        name="nested",
    )


def test_a_network_travels_as_json():
    net = nested()
    text = json.dumps(net.to_json())
    again = Network.from_json(json.loads(text), seed=5)
    assert again.layers == net.layers
    assert (again.input, again.name) == (net.input, net.name)
    assert_same_bits(again.parameters, net.parameters)
    assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_defaults_may_be_left_out_of_json(layer, shape):
    """What is at its default need not be written: `repr` leaves it out, and so may a file."""
    usual = {field.name: field.default for field in dataclasses.fields(layer)}
    settings = layer.to_json()
    plain = {key: value for key, value in settings.items() if key == "kind" or getattr(layer, key) != usual[key]}
    assert Network.from_json({"input": list(shape), "layers": [plain]}).layers == (layer,)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ({"kind": "Cnv", "filters": 2}, "no layer called 'Cnv'; did you mean 'Conv'"),
        ({"kind": "conv", "filters": 2}, "no layer called 'conv'; did you mean 'Conv'"),
        ({"kind": "SGD"}, "no layer called 'SGD'"),
        ({"kind": "Pool"}, "no layer called 'Pool'; did you mean '(GlobalMean|L2|Max|Mean)Pool'"),
        ({"kind": "Conv", "filter": 2}, "Conv has no setting 'filter'; did you mean 'filters'"),
        ({"kind": "Conv"}, "Conv: .*filters"),
        ({"kind": "Conv", "filters": [2, 3]}, "filters"),
        ({"kind": "Conv", "filters": 2, "size": {"rows": 1}}, "is written"),
        ({"kind": "Conv", "filters": 2, "activation": {"kind": "ReLu6"}}, "called 'ReLu6'; did you mean 'ReLU'"),
        ({"kind": "Conv", "filters": 2, "activation": {"kind": "SGD"}}, "activation=SGD"),
        ({"kind": "Conv", "filters": 2, "activation": "Tanh"}, "activation='Tanh'"),
        ({"kind": "Conv", "filters": 2, "start": {"kind": "ReLU"}}, "start=ReLU"),
        ({"kind": "Conv", "filters": 2, "start": {"kind": "Start"}}, "'?Start"),
        ({"kind": "LeakyReLU", "slope": "steep"}, "slope='steep'"),
        ({"filters": 2}, "a layer is written"),
        ("Conv", "a layer is written"),
        (None, "a layer is written"),
    ],
)
def test_json_that_cannot_be_a_layer(layer, text):
    with pytest.raises(SettingError, match=text) as caught:
        Network.from_json({"input": [2, 6, 6], "layers": [layer]})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [None, [], "net", {}, {"layers": []}, {"input": [1, 4, 4], "layers": "Conv"}])
def test_json_that_cannot_be_a_network(text):
    with pytest.raises(SettingError, match="a network is written"):
        Network.from_json(text)


def test_same_seed_same_bits():
    net, other = small(seed=1), small(seed=2)
    assert_same_bits(small(seed=1).parameters, net.parameters)
    for name in ("conv1.w", "dense1.w", "dense2.w"):
        assert (net.arrays[name] != other.arrays[name]).all(), name
    other.reset(1)
    assert_same_bits(other.parameters, net.parameters)
    double, exact = small("float64", seed=1), small(object, seed=1)
    assert_same_bits(double.parameters.astype("float32"), net.parameters)
    assert all(isinstance(number, Fraction) for number in exact["conv1"].w.flat)
    for name, array in exact.arrays.items():
        np.testing.assert_array_equal(array.astype("float64"), double.arrays[name])


STARTED = [
    (lambda layer: (layer, ReLU()), He),
    (lambda layer: (layer, LeakyReLU(0.5)), He),
    (lambda layer: (layer.replace(activation=ReLU()),), He),
    (lambda layer: (layer.replace(activation=LeakyReLU(0.5)), Tanh()), He),
    (lambda layer: (layer, Flatten(), ReLU()), He),
    (lambda layer: (layer,), Glorot),
    (lambda layer: (layer, Tanh()), Glorot),
    (lambda layer: (layer, Sigmoid(), ReLU()), Glorot),
    (lambda layer: (layer, Flatten(), Dense(7), ReLU()), Glorot),
    (lambda layer: (layer.replace(start=Glorot()), ReLU()), Glorot),
    (lambda layer: (layer.replace(start=He()), Tanh()), He),
    (lambda layer: (layer.replace(start=Uniform()), ReLU()), Uniform),
    (lambda layer: (layer.replace(start=Uniform(0.3)), ReLU()), Uniform),
]
POOLED = [
    (lambda layer: (layer, MaxPool(2), ReLU()), He),
    (lambda layer: (layer, MeanPool(2), LeakyReLU(0.5)), He),
    (lambda layer: (layer, L2Pool(2), Flatten(), ReLU()), He),
    (lambda layer: (layer, MaxPool(2), Tanh()), Glorot),
]


@pytest.mark.parametrize(
    ("layer", "shape", "inputs", "outputs", "build", "start"),
    [
        (*case, *row)
        for case, rows in (
            ((Dense(64), (100,), 100, 64), STARTED),
            # one weight joins 4 of the channels · 3 · 5 pixels to 16 of the filters · 3 · 5 pixels
            ((Conv(32, size=(3, 5), groups=2), (8, 6, 8), 60, 240), STARTED + POOLED),
        )
        for row in rows
    ],
)
def test_weights_start_where_the_next_layer_wants_them(layer, shape, inputs, outputs, build, start):
    """Variance within 5 sigma of the sample variance, whose own variance is (μ₄ - σ⁴) / n, n weights.

    μ₄ is 3 σ⁴ for normal weights and 9/5 σ⁴ for uniform ones, which moreover have an end, and come near it: all n stay
    below (1 - 30 / n) of it with a chance of e^-30.
    """
    net = Network(*build(layer), input=shape, seed=1)
    first = next(iter(net.steps.values()))
    chosen = first.layer.start
    limit = (chosen and getattr(chosen, "limit", None)) or inputs**-0.5
    variance = {He: 2 / inputs, Glorot: 2 / (inputs + outputs), Uniform: limit**2 / 3}[start]
    peak, count = 3 if start is He else 9 / 5, first.w.size
    sigma = variance * ((peak - 1) / count) ** 0.5
    assert abs(first.w.astype("float64").var(mean=0) - variance) < 5 * sigma
    end = (3 * variance) ** 0.5
    if start is He:
        assert np.abs(first.w).max() > end
    else:
        assert end * (1 - 30 / count) < np.abs(first.w).max() <= np.float32(end)
    assert not first.b.any()


def test_told_zeros_are_zeros():
    assert not Network(Dense(3, start=Zeros()), ReLU(), input=(4,)).parameters.any()


# -------------------------------------------------------------------------------- the same numbers, computed otherwise


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(0.125)], ids=str)
@pytest.mark.parametrize(("layer", "shape"), [(Conv(6, size=(2, 3), padding=1), (3, 4, 5)), (Dense(8), (24,))], ids=str)
def test_fusing_an_activation_changes_no_bit(layer, shape, activation, dtype):
    rng = np.random.default_rng(0)
    fused = Network(layer.replace(activation=activation), input=shape, dtype=dtype)
    apart = Network(layer, activation, input=shape, dtype=dtype)
    fused.parameters[:] = apart.parameters[:] = rng.normal(size=fused.parameters.shape)
    runs = [Run(net, LANES, input_gradient=True) for net in (fused, apart)]
    images, dy = rng.normal(size=(LANES, *shape)), None
    for run in runs:
        *_, last = run.records
        run.load(images)
        run.forward()
        dy = rng.normal(size=run.records[last]["dy"].shape) if dy is None else dy
        run.records[last]["dy"][...] = dy
        run.backward()
    (one,), (linear, rectifier) = (run.records for run in runs)
    assert (runs[0][one].y <= 0).any()
    assert (runs[0][one].y > 0).any()
    assert_same_bits(runs[0][one].y, runs[1][rectifier].y)
    for name in ("dw", "db", "dx"):
        assert_same_bits(getattr(runs[0][one], name), getattr(runs[1][linear], name), name)


def test_a_float64_network_computes_in_float64():
    """A number that float32 cannot hold goes through every layer, forward and back, unharmed."""
    fine = 1 + 2.0**-40
    assert np.float32(fine) == 1
    layers = (Conv(1, size=1), MaxPool(1), MeanPool(1), Flatten(), Dense(1), ReLU())
    net = Network(*layers, input=(1, 1, 1), dtype="float64")
    net["conv1"].w[:] = net["dense1"].w[:] = 1
    run = net.run(np.full((1, 1, 1, 1), fine), np.zeros((1, 1)), HalfSquaredError())
    for layer in run.records:
        for name in ("x", "dx"):
            assert getattr(run[layer], name).flatten().tolist() == [fine], layer
    assert run["loss"].y.tolist() == [float(Decimal(fine) ** 2 / 2)]
    floats = {name: array.dtype for layer in run.records for name, array in run.records[layer].items()}
    assert {floats.pop("winner"), floats.pop("hit")} == {np.dtype("int32"), np.dtype("int64")}
    assert set(floats.values()) == {np.dtype("float64")}


@pytest.mark.parametrize(
    ("layers", "left_out"),
    [
        ((Conv(3, size=3), ReLU(), MaxPool(2), Flatten(), Dense(4)), {"conv1.dx"}),
        ((Flatten(), Dense(5, activation=ReLU()), Dense(4)), {"flatten1.dx", "flatten1.dy", "dense1.dx"}),
        (
            (Tanh(), MaxPool(2), Conv(3, size=2), Flatten(), Dense(4)),
            {"tanh1.dx", "tanh1.dy", "maxpool1.dx", "maxpool1.dy", "conv1.dx"},
        ),
        ((Flatten(), Dense(4)), {"flatten1.dx", "flatten1.dy", "dense1.dx"}),
        ((MeanPool(8), Flatten(), ReLU()), set()),
    ],
)
def test_training_leaves_out_the_errors_that_no_weight_needs(layers, left_out):
    """And nothing else: every other error and gradient has the same bits."""
    net, rng = Network(*layers, input=(4, 8, 8), seed=3), np.random.default_rng(0)
    images, labels = rng.normal(size=(9, 4, 8, 8)).astype("float32"), rng.integers(0, 4, 9)
    whole, lean = net.run(images, labels), Run(net, LANES, SoftmaxCrossEntropy())
    lean.load(images)
    lean.aim(labels)
    lean.forward()
    lean.backward()
    # A text that runs as it stands makes all it can.
    assert set(whole.names) - set(lean.names) == (left_out if has_numba() else set())
    assert bool(left_out) == (len(lean.backward_calls) < len(whole.backward_calls)) or not has_numba()
    for name in lean.names:
        assert_same_bits(lean[name], whole[name], name)


def test_a_network_that_was_pickled_is_trained():
    """Its arrays are again parts of `parameters`, which is what training changes."""
    net = pickle.loads(pickle.dumps(small()))
    assert_same_bits(net.parameters, small().parameters, "parameters")
    for name, array in net.arrays.items():
        assert np.shares_memory(array, net.parameters), name
    net.parameters[:] = 7
    assert all((array == 7).all() for array in net.arrays.values())


# ------------------------------------------------------------------------------------------------------------- summary


def test_a_summary_counts_parameters_and_multiplications():
    """LeNet-5 by the formulas: filters · (channels · window + 1), and pixels · filters · channels · window."""
    net = Network(
        *(Conv(6, size=5, padding=2), Tanh(), MeanPool(2), Conv(16, size=5), Tanh(), MeanPool(2), Flatten()),
        *(Dense(120), Tanh(), Dense(84), Tanh(), Dense(10)),
        input=(1, 28, 28),
    )
    convs = {"conv1": (6, 1, 28 * 28), "conv2": (16, 6, 10 * 10)}
    denses = {"dense1": (120, 16 * 5 * 5), "dense2": (84, 120), "dense3": (10, 84)}
    counts = {name: (k * (c * 25 + 1), pixels * k * c * 25) for name, (k, c, pixels) in convs.items()}
    counts |= {name: (k * (c + 1), k * c) for name, (k, c) in denses.items()}
    counts["total"] = tuple(map(sum, zip(*counts.values(), strict=True)))
    assert net.size == counts["total"][0]
    rows = {line.split()[0]: line for line in net.summary().splitlines()}
    for name in (*net.steps, "total"):
        parameters, multiplications = counts.get(name, (0, 0))
        assert rows[name].split()[-2:] == [f"{parameters:,}", f"{multiplications:,}"], name
    assert "16×5×5" in rows["meanpool2"]
    assert "1×28×28" in rows["input"]
    assert len({len(line) for line in net.summary().splitlines()}) == 1


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_multiplications_are_those_of_the_text(layer, shape):
    """Counted on numbers that count: a layer says how many products of a weight and an input one image takes."""
    net = Network(layer, input=shape, dtype=object)
    products = Counting(0)
    for array in net.arrays.values():
        array[...] = products
    run = Run(net, 1)
    run.x[...] = 1
    run.forward()
    assert products.seen == layer.multiplications(shape) * share_inside(layer, shape)


def share_inside(layer, shape):
    """How many of a convolution's pixels lie in the image: the zeros around it are not multiplied."""
    if not isinstance(layer, Conv):
        return 1
    whole = 1
    for axis in range(2):
        window = layer.window
        starts = np.arange(layer.output(shape)[1 + axis])[:, None] * window.stride[axis] - window.margins[axis][0]
        places = starts + np.arange(window.size[axis]) * window.dilation[axis]
        whole *= Fraction(int(((places >= 0) & (places < shape[1 + axis])).sum()), places.size)
    return whole


class Counting:
    """A weight that is 0 in every sum and product, and counts its products."""

    def __init__(self, seen):
        self.seen = seen

    def __mul__(self, other):
        self.seen += 1
        return 0

    def __radd__(self, other):
        return other

    def __add__(self, other):
        return other

    def __le__(self, other):
        return False


@pytest.mark.parametrize("dtype", ["float32", "float64", object])
def test_nothing_to_send_back_is_an_error_and_not_zeros(dtype):
    """Whichever way a run came to have no targets: none given, none for these images, or gradients left out."""
    net, images = small(dtype), fractions(np.random.default_rng(0), (3, *IMAGE)).astype(dtype)
    for loss, hint in ((None, r"run\.backward\(dy\)"), (HalfSquaredError(), r"net\.run\(images, labels\)")):
        run = Run(net, LANES, loss)
        run.load(images)
        run.forward()
        with pytest.raises(SettingError, match=hint):
            run.backward()
        assert not run.has_gradients
    run = net.run(images, np.eye(CLASSES, dtype=int), HalfSquaredError())
    run.load(images[::-1])
    run.forward()
    with pytest.raises(SettingError, match="has no error to send back"):  # the targets were of other images
        run.backward()
    forward_only = Run(net, LANES, backward=False)
    forward_only.load(images)
    with pytest.raises(SettingError, match="no gradients"):
        forward_only.backward(np.ones((3, CLASSES)))


@pytest.mark.parametrize("dtype", ["float32", "float64", object])
def test_an_error_laid_at_the_output_goes_back_as_that_of_a_loss(dtype):
    net, images = small(dtype), fractions(np.random.default_rng(0), (3, *IMAGE)).astype(dtype)
    full, run = net.run(images, np.eye(CLASSES, dtype=int), HalfSquaredError()), net.run(images)
    last = next(reversed(net.steps))
    run.backward(full[last].dy)
    for name in run.names:
        assert (run[name] == full[name]).all(), name
    assert run.explain("conv1.dw[0,0,0,0]").value == pytest.approx(float(full["conv1"].dw[0, 0, 0, 0]))
    assert "given" in str(run.explain(f"{last}.dy[0,0]"))
    assert len(pg.explain(run).html()) > 1000
    with pytest.raises(DataError, match="it needs"):
        run.backward(full[last].dy[:2])
    with pytest.raises(SettingError, match="a run without"):
        full.backward(full[last].dy)
    with pytest.raises(SettingError, match="without labels"):
        claim(run, "conv1.dw[0,0,0,0] = 1")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: pg.Network(pg.Conv(10**15), input=(1, 8, 8)), "more numbers than any machine holds"),
        (lambda: pg.Network(pg.Conv(10**20), input=(1, 8, 8)), r"filters=10{20}; .*whole numbers reach to 2⁵³"),
        (lambda: pg.Network.from_json({"input": [True, 5, 5], "layers": []}), r"got input=\[True, 5, 5\]"),
        (
            lambda: pg.Network.from_json({"input": [1, 5, 5], "layers": [], "name": []}),
            "the name of a network is a text",
        ),
        (lambda: pg.Network(pg.ReLU(), input=(1, 5, 5))[0:1], "one layer at a time"),
    ],
)
def test_what_no_network_can_be_is_one_line(make, told):
    with pytest.raises(pg.SettingError, match=told):
        make()


def test_pixels_kept_one_by_one_mean_what_they_are():
    net = pg.Network(pg.Flatten(), pg.Dense(2), input=(1, 2, 2), seed=1)
    pixels = np.array([[[[0, 255], [128, 3]]]])
    np.testing.assert_array_equal(net.run(pixels.astype(object)).output[0], net.run(pixels).output[0])
