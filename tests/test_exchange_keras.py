"""Networks from Keras: files that Keras wrote in the test, models, and JSON with arrays."""

import json
import os
import sys

import numpy as np
import pytest

import plaingrad as pg
from exchanged import APART, apart


@pytest.fixture
def keras(monkeypatch):
    """Keras, on PyTorch."""
    pytest.importorskip("torch", reason="PyTorch is an optional dependency, on which Keras runs here")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="Keras is an optional dependency")


def lenet(keras):
    """LeNet-5 with all that is otherwise in Keras: its order of axes, padding on one side, norms, dropout."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 2)),
            layers.Rescaling(1 / 255, -0.5),
            layers.Conv2D(6, 5, padding="same", activation="tanh", name="the first"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, (5, 4), activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(120, activation="gelu"),
            layers.LayerNormalization(),
            layers.Dense(84, use_bias=False),
            layers.LeakyReLU(negative_slope=0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )


def residual(keras):
    layers = keras.layers
    x = keras.Input((9, 8, 3))
    y = layers.Conv2D(4, 3, strides=2, padding="same", activation="swish")(x)  # padded at the end alone, along columns
    skip = y
    y = layers.DepthwiseConv2D(3, padding="same")(y)
    y = layers.GroupNormalization(2)(y)
    y = layers.ReLU(negative_slope=0.125)(layers.Add()([skip, y]))
    y = layers.Conv2D(8, 2)(layers.ZeroPadding2D(((1, 0), (0, 1)))(y))
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))


def quickstart(keras):
    """Images of two axes."""
    layers = keras.layers
    return keras.Sequential([keras.Input((7, 6)), layers.Flatten(), layers.Dense(5, activation="elu"), layers.Dense(2)])


def normed(keras):
    """Numbers for each feature between Flatten and Dense are in Keras's order too."""
    layers = keras.layers
    middle = [layers.Flatten(), layers.BatchNormalization(center=False), layers.Activation("sigmoid")]
    return keras.Sequential([keras.Input((3, 4, 5)), *middle, layers.Dense(2)])


MODELS = {each.__name__: each for each in (lenet, residual, quickstart, normed)}
OF_KERAS = pytest.mark.filterwarnings("ignore:__array__ implementation")  # its own, where it gives its weights
SETTINGS = pytest.mark.parametrize("name", MODELS)


def made(keras, name):
    """A model with all its numbers disturbed; images as it takes them, and as we do; its outputs."""
    keras.utils.set_random_seed(0)
    model = MODELS[name](keras)
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(each + rng.normal(size=each.shape) / 4) + 0.1 for each in model.get_weights()])
    theirs = (rng.random((4, *model.input_shape[1:])) * (255 if name == "lenet" else 1)).astype("float32")
    ours = theirs.transpose(0, 3, 1, 2) if theirs.ndim == 4 else theirs[:, None]
    return model, ours, np.asarray(model(theirs).detach())


@pytest.mark.exchange
@pytest.mark.filterwarnings("ignore")  # Keras's own, of its older files
@pytest.mark.parametrize("ending", ["keras", "h5"])
@SETTINGS
def test_a_file_that_keras_wrote(keras, tmp_path, name, ending, monkeypatch):
    pytest.importorskip("h5py", reason="h5py is an optional dependency")
    model, images, wanted = made(keras, name)
    model.save(tmp_path / f"model.{ending}")
    monkeypatch.setitem(sys.modules, "keras", None)  # which is not needed to read it
    net = pg.from_keras(tmp_path / f"model.{ending}")
    assert net.name == model.name
    assert apart(net(images), wanted) <= APART


@pytest.mark.exchange
@OF_KERAS
@SETTINGS
def test_a_model_and_its_json(keras, name):
    model, images, wanted = made(keras, name)
    for net in (
        pg.from_keras(model),
        pg.from_keras(model.to_json(), model.get_weights()),
        pg.from_keras(json.loads(model.to_json()), model.get_weights()),
    ):
        assert apart(net(images), wanted) <= APART


@pytest.mark.exchange
@OF_KERAS
def test_the_layers_are_ours(keras):
    assert pg.from_keras(lenet(keras)).layers == (
        *(pg.Conv(6, size=5, padding=2), pg.Tanh(), pg.MeanPool(2)),
        *(pg.Conv(16, size=(5, 4), activation=pg.ReLU()), pg.BatchNorm(epsilon=0.001, momentum=0.01), pg.MaxPool(2)),
        *(pg.Flatten(), pg.Dropout(0.25), pg.Dense(120), pg.GELU(), pg.GroupNorm(1, epsilon=0.001)),
        *(pg.Dense(84, bias=False), pg.LeakyReLU(0.25), pg.Dense(10), pg.Softmax()),
    )


# What needs no Keras: its JSON, as it writes it.


def model(*layers, input=(None, 4, 6, 2)):
    first = {"class_name": "InputLayer", "config": {"batch_shape": list(input), "name": "input"}}
    named = [
        {"class_name": kind, "config": {"name": f"layer{number}", **config}}
        for number, (kind, config) in enumerate(layers)
    ]
    return {"class_name": "Sequential", "config": {"name": "model", "layers": [first, *named]}}


DENSE = ("Dense", {"units": 2, "activation": "linear"})
FLATTEN = ("Flatten", {"data_format": "channels_last"})


def test_flattened_rows_columns_channels_become_channels_rows_columns():
    rng = np.random.default_rng(0)
    w, images = rng.normal(size=(4 * 6 * 2, 2)), rng.normal(size=(3, 4, 6, 2))
    net = pg.from_keras(model(FLATTEN, DENSE), [w, np.zeros(2)])
    assert net.dtype == np.float64
    np.testing.assert_allclose(net(images.transpose(0, 3, 1, 2)), images.reshape(3, -1) @ w, rtol=0, atol=1e-13)


NORM = {"axis": [1], "epsilon": 0.001, "momentum": 0.99}
POOL = {"pool_size": [2, 2], "strides": None, "padding": "valid"}
REFUSED = {
    "layer layer0 (LSTM) has no layer in plaingrad": (model(("LSTM", {})), []),
    "has the activation 'mish'": (model(FLATTEN, ("Activation", {"activation": "mish"})), []),
    "layer layer1 (Dense) has 1 arrays; it needs kernel, bias": (model(FLATTEN, DENSE), [np.zeros((48, 2))]),
    "got 1 arrays more than the layers have": (model(FLATTEN), [np.zeros(1)]),
    "ends in flattened images": (model(FLATTEN), []),
    "norms along axis 1": (model(("BatchNormalization", NORM)), [np.ones(2)] * 4),
    "stands behind a layer": (model(("ELU", {"alpha": 1}), ("Rescaling", {"scale": 2, "offset": 0})), []),
    "padded or in part": (model(("ZeroPadding2D", {"padding": [[1, 1], [1, 1]]}), ("Flatten", {})), []),
    "takes a padding of 0; here it is -inf": (
        model(("ZeroPadding2D", {"padding": [[1, 1], [1, 1]]}), ("MaxPooling2D", POOL)), []
    ),
    "has a threshold or a largest value": (model(("ReLU", {"max_value": 6})), []),
    "leaves sizes of its input open": (model(FLATTEN, input=(None, None, None, 2)), []),
    "is a class of one's own": ({"class_name": "Mine", "config": {"layers": []}}, []),
    "it needs a path, a Keras model": ({"some": "thing"}, []),
    "which is no layer here": (model(("Reshape", {"target_shape": [8, 6]})), []),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_taken_is_named_in_one_line(words):
    with pytest.raises(pg.SettingError) as caught:
        pg.from_keras(*REFUSED[words])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_output_that_goes_to_two_layers():
    def layer(kind, name, *taken, **config):
        return {
            "class_name": kind, "config": {"name": name, **config},
            "inbound_nodes": [[[each, 0, 0, {}] for each in taken]] if taken else [],
        }  # fmt: skip

    layers = [
        layer("InputLayer", "x", batch_shape=[None, 4, 4, 2]), layer("ELU", "one", "x", alpha=1),
        layer("ELU", "two", "one", alpha=1), layer("ELU", "three", "one", alpha=1), layer("Add", "sum", "two", "three"),
    ]  # fmt: skip
    config = {"layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0]]}
    with pytest.raises(pg.SettingError, match=r"layer three \(ELU\) takes the output of elu1 again"):
        pg.from_keras({"class_name": "Functional", "config": config})


def test_without_h5py_there_is_a_word_of_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(pg.MissingError, match=r"from_keras needs h5py, .* pip install 'plaingrad\[keras\]'$"):
        pg.from_keras(tmp_path / "model.keras")


def test_files_that_are_none(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is an optional dependency")
    import zipfile

    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("config.json", "[]")
    with zipfile.ZipFile(tmp_path / "json.keras", "w") as archive:
        archive.writestr("config.json", "{")
    (tmp_path / "text.h5").write_bytes(b"hello")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["w"] = np.ones(3)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(model(FLATTEN, DENSE))
        group = file.create_group("model_weights/layer1")
        group.attrs["weight_names"] = ["kernel", "bias"]
        group["kernel"] = h5py.ExternalLink(str(tmp_path / "weights.h5"), "w")
    for name in ("zip.keras", "json.keras", "text.h5", "weights.h5", "link.h5", "no.keras"):
        with pytest.raises(pg.CheckpointError) as caught:
            pg.from_keras(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(pg.CheckpointError, match="kernel is missing or a link"):
        pg.from_keras(tmp_path / "link.h5")
