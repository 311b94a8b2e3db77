"""Networks as ONNX files: written, read back with the same bits, run by others, and what is refused in one line."""

import contextlib
import itertools
import json
import re
import sys
from collections import Counter

import numpy as np
import pytest

import plaingrad as pg
from cases import CASES
from exchanged import APART, apart, disturbed, networks, refuse_what_is_not_finite
from plaingrad.exchange.onnx_layers import OPERATIONS
from plaingrad.exchange.onnx_operators import OPERATORS
from plaingrad.network.models import MODELS
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import Add
from plaingrad.textbook.layers.pool import Pool

NETWORKS = dict(networks())
OFTEN = "digits", "resnet8"


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="ONNX is an optional dependency: pip install onnx")


@pytest.fixture
def runtime():
    return pytest.importorskip("onnxruntime", reason="ONNX Runtime is an optional dependency: pip install onnxruntime")


def test_every_layer_has_operators():
    ours = {kind for kind in Layer.kinds().values() if kind.__module__.startswith("plaingrad.")} - {Pool}
    assert set(OPERATIONS) == ours


def test_without_the_package_there_is_a_word_of_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    net = pg.Network(pg.Dense(2), input=(3,))
    for taken in (lambda: pg.from_onnx(tmp_path / "no.onnx"), lambda: net.to_onnx(tmp_path / "no.onnx")):
        with pytest.raises(pg.MissingError, match=r"needs the onnx package, .* pip install 'plaingrad\[onnx\]'$"):
            taken()
    assert not list(tmp_path.iterdir())


def test_what_is_not_finite_is_refused(onnx, tmp_path):
    def again(net):
        net.to_onnx(tmp_path / "net.onnx")
        return pg.from_onnx(tmp_path / "net.onnx")

    refuse_what_is_not_finite(again)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in OFTEN else pytest.mark.exchange) for name in NETWORKS]
)
def test_there_and_back_are_the_same_bits(onnx, tmp_path, name):
    net, images = disturbed(NETWORKS[name]())
    net.to_onnx(tmp_path / "net.onnx")
    again = pg.from_onnx(tmp_path / "net.onnx")
    assert again.name == net.name
    assert again.input == net.input
    np.testing.assert_array_equal(again(images), net(images))
    again.to_onnx(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes() or name not in MODELS


@pytest.mark.exchange
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_runtime_gives_what_the_network_gives(onnx, runtime, tmp_path, name):
    net, images = disturbed(NETWORKS[name]())
    net.to_onnx(tmp_path / "net.onnx")
    (made,) = runtime.InferenceSession(tmp_path / "net.onnx").run(None, {"images": images})
    assert apart(net(images), made) <= APART


@pytest.mark.exchange
def test_in_float64_the_reference_gives_what_the_network_gives(onnx, tmp_path):
    """ONNX Runtime has no convolution of float64; ONNX's own reference has."""
    from onnx.reference import ReferenceEvaluator

    net = pg.Network(pg.Conv(3, size=2), pg.Tanh(), pg.Flatten(), pg.Dense(4), input=(2, 4, 5), dtype="float64")
    net, images = disturbed(net)
    images = images.astype("float64")
    net.to_onnx(tmp_path / "net.onnx", dtype="float64")
    again = pg.from_onnx(tmp_path / "net.onnx")
    assert again.dtype == np.float64
    np.testing.assert_array_equal(again(images), net(images))
    (made,) = ReferenceEvaluator(str(tmp_path / "net.onnx")).run(None, {"images": images})
    assert apart(net(images), made) <= APART / 2**29  # 29 bits more


def test_what_the_file_says(onnx, tmp_path):
    digits = pg.digits()
    net = pg.Network(pg.Flatten(), pg.Dense(10), input=(1, 8, 8), name="small")
    pg.train(net, digits.train, epochs=1)
    net.to_onnx(tmp_path / "net.onnx", probabilities=True, classes=digits.train.classes)
    model = onnx.load(str(tmp_path / "net.onnx"))
    told = {each.key: each.value for each in model.metadata_props}
    assert (model.ir_version, model.opset_import[0].version, model.graph.name) == (10, 18, "small")
    assert json.loads(told["classes"]) == list(digits.train.classes)
    assert "pixels from 0 to 1, a whole-number pixel over 255" in told["input"]
    assert "Offset and factor" in told["input"]
    again = pg.from_onnx(tmp_path / "net.onnx")
    assert isinstance(again.layers[-1], pg.Softmax)
    assert again.seen == net.seen
    images = digits.test.images[:3]
    np.testing.assert_array_equal(pg.predict(again, images), again(images).astype("float64"))
    np.testing.assert_allclose(again(images), pg.predict(net, images), rtol=0, atol=APART)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dtype": "float16"}, "it needs float32 or float64"),
        ({"classes": "abc"}, "classes are a list of names"),
        ({"classes": ["a", "b", "c"]}, "has 2 outputs, and got the names of 3 classes"),
    ],
)
def test_what_cannot_be_written(onnx, tmp_path, settings, words):
    with pytest.raises(pg.SettingError, match=words):
        pg.Network(pg.Dense(2), input=(3,)).to_onnx(tmp_path / "net.onnx", **settings)
    assert not list(tmp_path.iterdir())


def test_a_layer_of_ones_own_has_no_operator(onnx, tmp_path):
    class Own(pg.ReLU):
        pass

    try:
        with pytest.raises(pg.SettingError, match=r"to_onnx has no operator for own1 = Own\(\)"):
            pg.Network(Own(), input=(3,)).to_onnx(tmp_path / "net.onnx")
    finally:
        del Own


class Graph:
    """A graph of ONNX as other programs write it."""

    def __init__(self, onnx, tmp_path, *, input=("N", 2, 5, 6), kind=None, version=18):
        self.onnx, self.path, self.version = onnx, tmp_path / "graph.onnx", version
        self.input = onnx.helper.make_tensor_value_info("x", kind or onnx.TensorProto.FLOAT, input)
        self.nodes, self.arrays, self.number = [], [], itertools.count()

    def array(self, values, dtype="float32"):
        name = f"array{next(self.number)}"
        self.arrays.append(self.onnx.numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def put(self, kind, *inputs, **settings):
        name = f"value{next(self.number)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **settings))
        return name

    def save(self, *outputs):
        helper = self.onnx.helper
        made = [helper.make_tensor_value_info(each, self.onnx.TensorProto.FLOAT, ["N"]) for each in outputs]
        graph = helper.make_graph(self.nodes, "graph", [self.input], made, self.arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.version)], ir_version=10)
        self.onnx.save(model, str(self.path))
        return self.path


@pytest.fixture
def graph(onnx, tmp_path):
    return lambda **settings: Graph(onnx, tmp_path, **settings)


AROUND = [0, 0, 1, 1, 0, 0, 1, 1]
REFUSED = {
    r"the operator LRN value\d has no layer in plaingrad": lambda g: g.put("LRN", "x", size=3),
    r"takes the output of relu1 again, which goes to another layer already": lambda g: g.put(
        "Concat", g.put("Flatten", relu := g.put("Relu", "x")), g.put("Flatten", relu), axis=1
    ),
    r"takes the output of flatten1 again": lambda g: g.put(
        "Add", g.put("Softmax", (flat := g.put("Flatten", "x"))), g.put("Elu", g.put("Flatten", flat))
    ),
    r"the operator Erf value\d has no layer in plaingrad, nor what is made of it next": lambda g: g.put(
        "Flatten", g.put("Erf", "x")
    ),
    r"adds the network's input; a skip here begins at a layer": lambda g: g.put(
        "Add", "x", g.put("AveragePool", "x", kernel_shape=[1, 1])
    ),
    r"whose input x is not constant": lambda g: g.put("Conv", "x", "x"),
    r"of \(2, 5, 6\) to \(3, 20\) has no layer": lambda g: g.put(
        "Reshape", "x", g.array([0, 3, 20], "int64")
    ),
    r"its padding is not even": lambda g: g.put("MaxPool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    r"with p=1 has no layer": lambda g: g.put("LpPool", "x", kernel_shape=[2, 2], p=1),
    r"with a constant of the shape \(5, 6\)": lambda g: g.put("Mul", "x", g.array(np.ones((5, 6)))),
    r"takes a padding of 1; here it is 0": lambda g: g.put(
        "Conv", g.put("Pad", "x", g.array(AROUND, "int64"), g.array(1)), g.array(np.ones((2, 2, 2, 2)))
    ),
    r"relu1 padded or in part": lambda g: g.put(
        "Relu", g.put("Pad", g.put("Relu", "x"), g.array([0, 0, 1, 1, 0, 0, 1, 1], "int64"))
    ),
    r"it takes one axis; put Flatten\(\) before it": lambda g: g.put("MatMul", "x", g.array(np.ones((6, 2)))),
    r"conv1\.w is of float32 and the shape \(2, 1, 2, 2\)": lambda g: g.put(
        "Conv", "x", g.array(np.ones((2, 1, 2, 2)))
    ),
    r"it holds no layer": lambda g: g.put("Identity", "x"),
    r"Cast value\d to another type": lambda g: g.put("Cast", "x", to=g.onnx.TensorProto.DOUBLE),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_carried_over_is_named_in_one_line(graph, words):
    g = graph()
    path = g.save(REFUSED[words](g))
    with pytest.raises(pg.SettingError, match=words) as caught:
        pg.from_onnx(path)
    assert str(caught.value).startswith(f"{path}: from_onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "told", "words"),
    [
        ({"input": ("N", 2, 5)}, {}, r"the input x is \(N, 2, 5\); a network here takes images of three axes"),
        ({"input": ("N", 2, "H", "W")}, {}, r"leaves sizes of its input open, \(image, 2, \?, \?\); give input="),
        ({"input": ("N", 2, "H", "W")}, {"input": (3, 4, 4)}, r"got input=\(3, 4, 4\); the file's input is"),
        ({"kind": 7}, {}, "the input x is INT64; a network here takes FLOAT or DOUBLE"),
    ],
)
def test_inputs_that_cannot_be(graph, settings, told, words):
    g = graph(**settings)
    path = g.save(g.put("Relu", "x"))
    with pytest.raises(pg.SettingError, match=words):
        pg.from_onnx(path, **told)


def test_an_open_size_is_given(graph):
    g = graph(input=("N", 2, "H", "W"))
    assert pg.from_onnx(g.save(g.put("Relu", "x")), input=(2, 3, 4)).input == (2, 3, 4)


def test_two_outputs_are_refused(graph):
    g = graph()
    with pytest.raises(pg.SettingError, match="takes 1 inputs and gives 2 outputs"):
        pg.from_onnx(g.save(g.put("Relu", "x"), g.put("Tanh", "x")))


def as_written_elsewhere(g):
    """Forms that other programs write, each with the layers that they are."""
    w, channels = g.array(np.random.default_rng(1).normal(size=(2, 2, 3, 3))), g.array(np.full((1, 2, 1, 1), 0.5))
    shape = g.put("Shape", "x")
    count = g.put("Gather", shape, g.array(0, "int64"), axis=0)
    sizes = g.put("Concat", g.put("Unsqueeze", count, g.array([0], "int64")), g.array([-1], "int64"), axis=0)
    yield (pg.Flatten(),), g.put("Reshape", "x", sizes)
    yield (pg.Flatten(),), g.put("Reshape", "x", g.array([-1, 60], "int64"))
    yield (pg.GlobalMeanPool(),), g.put("ReduceMean", "x", g.array([-1, -2], "int64"), keepdims=0)
    yield (pg.GlobalMeanPool(),), g.put("Squeeze", g.put("GlobalAveragePool", "x"), g.array([2, 3], "int64"))
    yield (pg.SiLU(),), g.put("Mul", g.put("Sigmoid", "x"), "x")
    yield (pg.ReLU(),), g.put("Max", "x", g.array(0))
    yield (pg.ReLU(),), g.put("Clip", "x", g.array(0))
    yield (pg.ReLU(), pg.SiLU()), g.put("Mul", (relu := g.put("Relu", "x")), g.put("Sigmoid", relu))
    half = g.put("Mul", "x", g.array(0.5))
    spread = g.put("Mul", "x", g.array(0.70710678))
    yield (pg.GELU(),), g.put("Mul", half, g.put("Add", g.array(1), g.put("Erf", spread)))
    yield (pg.Conv(2, bias=True),), g.put("Add", g.put("Conv", "x", w), channels)
    yield (
        (pg.ReLU(), pg.Conv(2, padding=1, bias=False)),
        g.put("Conv", g.put("Pad", g.put("Relu", "x"), g.array([0, 0, 1, 1, 0, 0, 1, 1], "int64")), w),
    )
    yield (
        (pg.Conv(2, padding="same", size=(4, 3), bias=False),),
        g.put("Conv", "x", g.array(np.ones((2, 2, 4, 3))), auto_pad="SAME_UPPER"),
    )
    # a row of zeros before the kernel, for padding after the image alone
    yield (
        (pg.Conv(2, size=(4, 3), padding=(1, 0), stride=2, bias=False),),
        g.put("Conv", "x", w, strides=[2, 2], pads=[0, 0, 1, 0]),
    )
    yield (
        (pg.MaxPool(2, ceil_mode=True),),
        g.put("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 0]),
    )
    yield (
        (pg.ReLU(), pg.Conv(2, padding=1, bias=False), pg.Add("relu1"), pg.ReLU()),
        g.put("Relu", g.put("Add", (first := g.put("Relu", "x")), g.put("Conv", first, w, pads=[1, 1, 1, 1]))),
    )
    yield (
        (pg.Conv(2, bias=False), pg.ReLU(), pg.Add("conv1")),
        g.put("Add", (sums := g.put("Conv", "x", w)), g.put("Relu", sums)),
    )


COUNT_OF_FORMS = 16


@pytest.mark.parametrize("number", range(COUNT_OF_FORMS))
def test_forms_that_other_programs_write(onnx, graph, number):
    from onnx.reference import ReferenceEvaluator

    g = graph()
    every = list(as_written_elsewhere(g))
    assert len(every) == COUNT_OF_FORMS
    layers, output = every[number]
    net = pg.from_onnx(g.save(output))
    assert net.layers == layers
    images = np.random.default_rng(0).normal(size=(3, 2, 5, 6)).astype("float32")
    (made,) = ReferenceEvaluator(str(g.path)).run(None, {"x": images})
    assert apart(net(images), made) <= APART


@pytest.mark.parametrize(("kind", "settings"), [("Swish", {}), ("Gelu", {}), ("Gelu", {"approximate": "tanh"})])
def test_operators_of_later_versions(onnx, graph, kind, settings):
    from onnx.reference import ReferenceEvaluator

    g = graph(version=24)
    net = pg.from_onnx(g.save(g.put(kind, "x", **settings)))
    images = np.random.default_rng(0).normal(size=(3, 2, 5, 6)).astype("float32")
    (made,) = ReferenceEvaluator(str(g.path)).run(None, {"x": images})
    assert apart(net(images), made) <= APART


def test_factor_and_offset_in_any_form(onnx, graph):
    """(x / 2 - 1) · 4 + 1 = (x - 1.5) · 2."""
    g = graph()
    value = g.put("Sub", g.put("Div", "x", g.array(2)), g.array(np.ones((1, 2, 1, 1))))
    value = g.put("Add", g.put("Mul", value, g.array(4)), g.array(np.ones((2, 1, 1))))
    net = pg.from_onnx(g.save(g.put("Relu", value)))
    assert net.layers == (pg.ReLU(),)
    assert (net.offset.tolist(), net.factor.tolist()) == ([1.5, 1.5], [2, 2])


def test_files_that_are_none(onnx, tmp_path):
    for name, content in (("no", None), ("empty", b""), ("text", b"hello"), ("zeros", bytes(1000))):
        path = tmp_path / f"{name}.onnx"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(pg.CheckpointError, match=rf"{name}\.onnx"):
            pg.from_onnx(path)
    with pytest.raises(pg.CheckpointError, match="cannot read"):
        pg.from_onnx(tmp_path)


def refusal(path):
    """Why a file is refused, in words; None where it is a network."""
    try:
        pg.from_onnx(path)
    except pg.PlaingradError as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore")  # of the reader of such files
def test_damaged_files_give_one_line_or_a_network(onnx, tmp_path):
    net = pg.Network(pg.Conv(2), pg.GELU(), pg.GroupNorm(1), pg.Flatten(), pg.Dense(2), input=(1, 5, 5), seed=0)
    net.to_onnx(tmp_path / "net.onnx")
    whole, rng, path = (tmp_path / "net.onnx").read_bytes(), np.random.default_rng(0), tmp_path / "damaged.onnx"
    refused = 0
    for number in range(300):
        content = bytearray(whole)
        if number % 3 == 0:
            del content[rng.integers(len(content)) :]
        else:
            content[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(content)
        words = refusal(path)
        assert "\n" not in (words or "")
        refused += words is not None
    assert refused > 100


# ONNX's own tests of its operators.

REASONS = {
    r"a network here takes FLOAT or DOUBLE": "whole numbers, short floats, sequences",
    r"a network here takes images of three axes": "vectors, volumes and more axes",
    r"it holds no layer": "Identity and Dropout fall away, and nothing is left",
    r"in training mode|with training_mode=1|with a second output": "a pass of training",
    r"its padding is not even": "pools padded on one side",
    r"with p=\d has no layer": "LpPool of another power than 2",
    r"with transA=1": "Gemm of a turned input",
    r"with a bias of the shape|with weights of \d axes": "Gemm and MatMul of more than one matrix of weights",
    r"is not what its last layer makes|Flatten \w+ with axis|Reshape \w+ (of|to)|operator (Slice|Squeeze|Pad) ": (
        "shapes that a network has not"
    ),
    r"over other axes than rows and columns": "means over other axes",
    r"of images: with weights for each pixel": "layer norms of images",
    r"nor what is made of it next": "functions that are parts of activations",
    r"ReduceMax|Expand|Range|CastLike|Where|Less|Size|Sum|operator Cast": "parts of what ONNX writes out",
    r"Clip \w+ to ": "Clip to other bounds than 0 and more",
    r"with a constant of the shape": "sums and products with a whole array",
    r"storage_order": "another order of the winners",
}
"""Why one of ONNX's tests is not passed, by words of the refusal."""
PARTS = {
    "Add", "Cast", "Dropout", "Identity", "Max", "Min", "Mul", "Pad", "ReduceMean", "Reshape", "Slice", "Squeeze",
    "Abs", "Sub", "Div", "Erf", "Exp", "Neg", "Pow", "Reciprocal", "Softplus", "Sqrt", "Swish",
}  # fmt: skip
"""Operators that are parts of a layer, or that ONNX tests only in settings that no layer has: the forms try them."""


def cases_of_onnx():
    """ONNX's tests of the operators carried, and of what it writes them out in; weights are made part of the file."""
    from onnx.backend.test.case.node import collect_testcases

    every = [each for each in collect_testcases(None) if each.kind == "node"]
    alone = {each.name: each for each in every if len(each.model.graph.node) == 1}
    own = {name: each for name, each in alone.items() if each.model.graph.node[0].op_type in OPERATORS}
    expanded = (each for each in every if "_expanded" in each.name and each.name.partition("_expanded")[0] in own)
    return list(own.values()) + [each for each in expanded if each.name not in own]


def with_weights(onnx, case, path):
    """The test's model with all inputs but the first as arrays of its own, and its first output alone.

    What works on each number takes three axes as one image.
    """
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    for each, value in list(zip(model.graph.input, inputs, strict=True))[1:]:
        if isinstance(value, onnx.TensorProto):
            model.graph.initializer.append(value)
            model.graph.initializer[-1].name = each.name
        elif value is not None and not isinstance(value, list):
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), each.name))
    first = outputs[0]
    x = inputs[0]
    kinds = {node.op_type for node in model.graph.node}
    if len(kinds) == 1 and kinds <= ON_EACH and getattr(x, "ndim", 0) in (3,) and first.shape == x.shape:
        dims = model.graph.input[0].type.tensor_type.shape.dim
        dims.insert(0, onnx.TensorShapeProto.Dimension(dim_value=1))
        dims = model.graph.output[0].type.tensor_type.shape.dim
        dims.insert(0, onnx.TensorShapeProto.Dimension(dim_value=1))
        x, first = x[None], first[None]
    del model.graph.output[1:]
    onnx.save(model, str(path))
    return x, first


ON_EACH = {"Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Gelu", "Swish", "Clip", "Softplus", "Erf", "Exp"}


@pytest.mark.exchange
@pytest.mark.filterwarnings("ignore")  # of the tests themselves: overflows are among their inputs
def test_onnx_s_own_tests_of_its_operators(onnx, tmp_path, record_property):
    passed, refused = Counter(), Counter()
    for case in cases_of_onnx():
        x, wanted = with_weights(onnx, case, tmp_path / "case.onnx")
        if (words := refusal(tmp_path / "case.onnx")) is not None:
            reasons = [each for each in REASONS if re.search(each, words)]
            assert reasons, f"{case.name}: {words}"
            refused[reasons[0]] += 1
            continue
        made = pg.from_onnx(tmp_path / "case.onnx")(x)
        assert made.dtype == wanted.dtype, case.name
        np.testing.assert_allclose(made, wanted, rtol=case.rtol, atol=case.atol, err_msg=case.name)
        passed[case.model.graph.node[0].op_type] += 1
    record_property("passed", dict(passed))
    record_property("refused", {REASONS[words]: count for words, count in refused.items()})
    assert set(refused) == set(REASONS), "reasons that are none"
    assert set(OPERATORS) - set(passed) == PARTS


@pytest.mark.exchange
@pytest.mark.filterwarnings("ignore")  # of PyTorch's exporter
@pytest.mark.parametrize("name", ["lenet5", "resnet8", "gelu"])
def test_a_file_that_pytorch_wrote(onnx, tmp_path, name):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional dependency")
    if name == "gelu":
        layers = [
            pg.Conv(4, size=2),
            pg.GroupNorm(2),
            pg.GELU(),
            pg.Conv(3),
            pg.TanhGELU(),
            pg.SiLU(),
            pg.GlobalMeanPool(),
        ]
        net = pg.Network(*layers, input=(2, 6, 7), seed=1)
    else:
        net = MODELS[name].network(seed=1)
    net, images = disturbed(net)
    module = net.to_torch()
    with contextlib.redirect_stdout(None):
        torch.onnx.export(module, (torch.tensor(images),), str(tmp_path / "net.onnx"), dynamo=False, opset_version=18)
    again = pg.from_onnx(tmp_path / "net.onnx")
    assert apart(again(images), net(images)) <= APART


def test_the_rows_hold_every_layer_but_the_skip():
    """Of which the models hold one."""
    assert {type(layer) for layer, _ in CASES} | {Add} == set(OPERATIONS)
    assert any(isinstance(each, Add) for model in MODELS.values() for each in model.network().layers)
