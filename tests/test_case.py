"""A case: what it holds and hides nothing behind, that its file is read as it was written, and what is refused."""

import copy
import functools
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import plaingrad as pg
from cases import CASES
from often import some
from plaingrad.checking.case import FORMAT, MOST_BYTES, Case
from plaingrad.checking.case_file import read_case
from plaingrad.checking.case_layers import BY_WORD, of_words
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.names import known_names
from plaingrad.errors import CaseError, PlaingradError, SettingError
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.network.models import MODELS
from plaingrad.textbook.losses import Loss

LARGE = {"mnist-cnn"}  # a million weights: half a minute to validate
WHOLE: dict[str, Any] = make_case().to_json()
ONE_AXIS = "dense,tanh,dense,sigmoid,dense"
WORDS = [
    "conv,relu,maxpool,flatten,dense",
    "conv,tanh,meanpool,conv,leakyrelu,l2pool,flatten,dense,softmax",
    "conv,conv",
]


def schema(name: str) -> Draft202012Validator:
    text = json.loads((files("plaingrad.checking") / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(text)
    return Draft202012Validator(text)


CASE_SCHEMA, ANSWER_SCHEMA = schema("case"), schema("answer")


def of_model(name: str) -> Case:
    net = MODELS[name].network()
    return make_case(net.layers, net.input, images=2, name=name)


def of_example(name: str) -> Case:
    net = EXAMPLES[name].network()
    return make_case(net.layers, net.input, loss=EXAMPLES[name].loss, name=name)


def made() -> Iterator[tuple[str, Callable[[], Case]]]:
    """Cases of every kind, each with what makes it."""
    yield "default", make_case
    yield "simple", lambda: make_case(simple=True)
    yield "one image, one step", lambda: make_case(images=1, steps=1)
    yield "seven images, five steps", lambda: make_case(images=7, steps=5, rate=0.3, seed=11)
    yield "one axis", lambda: make_case(of_words(ONE_AXIS, (5,)), (5,))
    for words in WORDS:
        yield words, lambda words=words: make_case(of_words(words, (2, 11, 9)))
    for name, loss in Loss.kinds().items():
        layers = (pg.Dense(3), pg.Softmax()) if name == "CrossEntropy" else (pg.Dense(3),)
        yield name, lambda loss=loss, layers=layers: make_case(layers, (5,), loss=loss())
    for number, (layer, shape) in enumerate(CASES):
        yield f"{number}: {layer}", lambda layer=layer, shape=shape: make_case((layer,), shape)
    for name in EXAMPLES:
        yield f"example {name}", lambda name=name: of_example(name)
    for name in (each for each in MODELS if each not in LARGE):
        yield f"model {name}", lambda name=name: of_model(name)


MADE = {name: functools.cache(make) for name, make in made()}
NAMES = list(MADE)
OF_MODELS = NAMES.index("model digits")  # the first, and on every change the only one
OFTEN = some(NAMES, lambda place: place <= OF_MODELS)


def read(text: dict[str, Any]) -> Case:
    return Case.from_json(json.loads(json.dumps(text)))


def told(text: Any) -> str:
    """The one line of a case that is refused."""
    with pytest.raises(CaseError) as refused:
        Case.from_json(text)
    return one_line(refused.value)


def one_line(error: PlaingradError) -> str:
    message = str(error)
    assert message.isprintable()
    assert len(message) < 1500
    return message


# What a case is


@pytest.mark.parametrize("name", OFTEN)
@pytest.mark.often(8)
def test_a_case_is_as_its_schema_says_and_is_read_as_it_was_written(name: str) -> None:
    stays_itself(MADE[name]())


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(LARGE))
def test_a_large_case_is_too(name: str) -> None:
    stays_itself(of_model(name))


def stays_itself(case: Case) -> None:
    text = case.text()
    CASE_SCHEMA.validate(json.loads(text))
    again = Case.from_json(json.loads(text))
    assert again.text() == text
    assert (again.net.layers, again.loss, again.rate) == (case.net.layers, case.loss, case.rate)


@pytest.mark.parametrize("name", OFTEN)
def test_every_float_holds_the_numbers_of_a_case(name: str) -> None:
    """float32 too: a program need not begin with rounding."""
    case = MADE[name]()
    arrays = [*case.net.arrays.values(), *(each for batch in case.batches for each in (batch.x, batch.target))]
    for array in arrays:
        assert np.array_equal(array, array.astype(np.float32))
        assert np.isfinite(array).all()
    assert all((array != 0).all() for array in case.net.arrays.values()), "a weight of 0 hides a connection"


@pytest.mark.parametrize("name", OFTEN)
def test_what_is_asked_has_the_shapes_that_a_run_has(name: str) -> None:
    case = MADE[name]()
    asked = case.to_json()["answer"]["quantities"]
    names = known_names(case)
    assert asked.keys() <= names.keys()
    assert {names[each] for each in asked} == {key for key in names.values() if key[0] > 0}
    ran = case.net.run(case.batches[0].x, case.batches[0].target, case.loss)
    for quantity, each in asked.items():
        t, layer, array = names[quantity]
        shape = () if (layer, array) == ("loss", "y") else ran.quantity(layer, array).shape
        assert tuple(each["shape"]) == shape, quantity
        assert (f"step {t}" in each["about"]) == quantity.startswith("step"), quantity


def test_the_schema_of_a_case_refuses_what_is_none() -> None:
    for at, value in {
        "format": "plaingrad case 2",
        "rate": "0.1",
        "steps": [],
        "weights": {"conv1.w": [[]]},
        "network": {"name": "case", "input": [2.5], "layers": WHOLE["network"]["layers"]},
        "answer": {"quantities": {"loss": {"shape": []}}},
    }.items():
        assert not CASE_SCHEMA.is_valid(WHOLE | {at: value}), at
    for at in ("format", "network", "loss", "rate", "weights", "steps", "answer"):
        assert not CASE_SCHEMA.is_valid({key: value for key, value in WHOLE.items() if key != at})
    for setting, value in {"filters": 0, "size": 3, "bias": 1, "activation": {"kind": "ReLU"}}.items():
        changed = copy.deepcopy(WHOLE)
        changed["network"]["layers"][0][setting] = value
        assert not CASE_SCHEMA.is_valid(changed), setting


def test_the_schema_of_an_answer() -> None:
    case = make_case()
    zeros = {name: np.zeros(each["shape"]).tolist() for name, each in WHOLE["answer"]["quantities"].items()}
    ANSWER_SCHEMA.validate(zeros)
    for name in known_names(case):
        ANSWER_SCHEMA.validate({name: 0.5})
    for none in ([], {}, {"conv1": [1]}, {"loss": "1"}, {"loss": None}, {"loss": []}, {"step1.conv1.dw.x": 1}, {"": 1}):
        assert not ANSWER_SCHEMA.is_valid(none), none


def test_one_seed_draws_one_case_and_another_seed_other_numbers() -> None:
    assert make_case(seed=3).text() == make_case(seed=3).text()
    first, other = make_case(), make_case(seed=2)  # an odd seed exchanges rows and columns
    for name, array in first.net.arrays.items():
        assert not np.array_equal(array, other.net.arrays[name]), name
    assert not np.array_equal(first.batches[0].x, other.batches[0].x)
    assert first.to_json()["network"] == other.to_json()["network"]


def test_activations_come_apart_and_maps_end_in_scores() -> None:
    case = make_case(
        (pg.Conv(3, size=2, activation=pg.LeakyReLU(0.25)), pg.Dense(4, activation=pg.ReLU()))[:1], (2, 4, 5)
    )
    assert list(case.net.steps) == ["conv1", "leakyrelu1", "flatten1", "dense1"]
    assert case.net["leakyrelu1"].layer.slope == 0.25


def test_a_case_that_cannot_be_made_says_why() -> None:
    for told_of, why in (
        ({"images": -1}, "images=-1"),
        ({"images": 0}, "images=0"),
        ({"steps": 0}, "steps=0"),
        ({"rate": 0.0}, "rate=0"),
        ({"rate": math.inf}, "rate=inf"),
        ({"rate": math.nan}, "rate=nan"),
        ({"seed": -1}, "seed"),
        ({"loss": pg.CrossEntropy()}, "Softmax"),
    ):
        with pytest.raises(SettingError, match=re.escape(why)) as refused:
            make_case(**told_of)
        one_line(refused.value)


# What makes hidden mistakes visible, in the default case


def ran(case: Case) -> Iterator[Any]:
    """A run of each step, with the weights that the steps before have left."""
    net = case.net.copy()
    for batch in case.batches:
        yield (run := net.run(batch.x, batch.target, case.loss))
        for name, step in net.steps.items():
            for weight, array in step.arrays.items():
                array -= case.rate * run.quantity(name, "d" + weight)


DEFAULT = make_case()


def windows(case: Case) -> list[Any]:
    return [step for step in case.net.steps.values() if hasattr(step.layer, "window")]


def test_rows_are_not_columns_and_channels_not_filters() -> None:
    for step in DEFAULT.net.steps.values():
        for shape in (step.x, step.y):
            assert len(shape) != 3 or shape[1] != shape[2], step.name
        if isinstance(step.layer, pg.Conv):
            assert step.x[0] != step.y[0], step.name
    widths = [DEFAULT.images, DEFAULT.net.input[0], DEFAULT.net.output[0]]
    assert len(set(widths)) == len(widths), "images, channels and outputs can be told apart"


def test_a_window_overlaps_one_is_padded_and_one_leaves_a_remainder() -> None:
    steps = windows(DEFAULT)
    pools = [step.layer for step in steps if isinstance(step.layer, pg.MaxPool)]
    assert any(size > stride for pool in pools for size, stride in zip(pool.size, pool.stride, strict=True))
    assert any(max(step.layer.padding) > 0 for step in steps)
    assert any(
        (extent + 2 * padding - size) % stride
        for step in steps
        for extent, padding, size, stride in zip(
            step.x[1:], step.layer.padding, step.layer.size, step.layer.stride, strict=True
        )
    )


def test_a_pixel_wins_several_windows_with_errors_that_differ() -> None:
    for run in ran(DEFAULT):
        x, dy = run.quantity("maxpool1", "x"), run.quantity("maxpool1", "dy")
        paid: dict[tuple[int, ...], list[float]] = {}
        for place, error in np.ndenumerate(dy):
            (row, column), corner = winner(x, place)
            paid.setdefault((*place[:2], corner[0] + row, corner[1] + column), []).append(float(error))
        assert any(len({each for each in errors if each}) > 1 for errors in paid.values())


def under(x: np.ndarray, place: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, int]]:
    """The window of a place of maxpool1's output, and its corner."""
    layer = DEFAULT.net["maxpool1"].layer
    n, c, i, j = place
    row, column = i * layer.stride[0], j * layer.stride[1]
    return x[n, c, row : row + layer.size[0], column : column + layer.size[1]], (row, column)


def winner(x: np.ndarray, place: tuple[int, ...]) -> tuple[Any, tuple[int, int]]:
    window, corner = under(x, place)
    return np.unravel_index(window.argmax(), window.shape), corner


def test_no_two_positive_maxima_of_a_window_are_equal() -> None:
    """Where all of a window is 0 behind a ReLU the error is stopped there whoever gets it."""
    for run in ran(DEFAULT):
        x, y = run.quantity("maxpool1", "x"), run.quantity("maxpool1", "y")
        for place in np.ndindex(*y.shape):
            window, _ = under(x, place)
            assert window.max() <= 0 or (window == window.max()).sum() == 1


def test_a_relu_gets_numbers_of_both_signs_and_none_is_0() -> None:
    for run in ran(DEFAULT):
        for name, step in DEFAULT.net.steps.items():
            if isinstance(step.layer, pg.ReLU):
                x = run.quantity(name, "x")
                assert (x != 0).all()
                assert (x < 0).any()
                assert all((x[:, channel] > 0).any() for channel in range(x.shape[1])), "one never on has no gradient"


def test_images_steps_and_classes_are_several_and_every_gradient_is_there() -> None:
    """Behind a first ReLU and a pool many numbers are 0, and with them some single gradients; no whole kernel's."""
    assert DEFAULT.images > 1
    assert len(DEFAULT.batches) > 1
    assert not np.array_equal(DEFAULT.batches[0].x, DEFAULT.batches[1].x)
    for batch in DEFAULT.batches:
        assert len({int(each) for each in batch.target.argmax(axis=1)}) > 1
    for run in ran(DEFAULT):
        for name, step in DEFAULT.net.steps.items():
            for weight in step.weights:
                gradient = run.quantity(name, "d" + weight)
                assert all(each.any() for each in gradient), f"each filter and unit learns: {name}.d{weight}"
                if gradient.ndim == 4:
                    assert gradient.any(axis=(2, 3)).all(), f"each kernel learns: {name}.d{weight}"
                assert name != "conv1" or gradient.all(), f"each weight of the first layer learns: {name}.d{weight}"


def test_every_word_for_a_layer_gives_it() -> None:
    for word, layer in BY_WORD.items():
        assert type(of_words(word, (2, 11, 9))[0]) is type(layer)
    with pytest.raises(SettingError, match=r"'covn'.*did you mean 'conv'"):
        of_words("covn", (2, 11, 9))


WORDS = "conv,batchnorm,relu,dropout,conv,groupnorm,add:relu1,globalmeanpool,dense"


def test_a_skip_is_a_word_and_what_it_adds_fits() -> None:
    case = make_case(of_words(WORDS, (2, 11, 9)), (2, 11, 9))
    assert case.net.steps["add1"].layer == pg.Add("relu1")
    assert Case.from_json(json.loads(case.text())).to_json() == case.to_json()
    for masks in (batch.masks["dropout1"] for batch in case.batches):
        assert all(0 < part.mean() < 1 for part in masks.reshape(len(masks) * masks.shape[1], -1))
    with pytest.raises(SettingError, match="it names no earlier layer"):
        make_case(of_words("conv,add:relu1,flatten,dense", (2, 11, 9)), (2, 11, 9))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told["steps"][0].pop("masks"), "no field 'masks'"),
        (lambda told: told["steps"][1]["masks"]["dropout1"][0][0][0].__setitem__(0, 2), "other numbers than 0 and 1"),
        (lambda told: told.pop("state"), "no field 'state'"),
        (lambda told: told["state"]["batchnorm1.running_variance"].__setitem__(0, -1), "numbers of at least 0"),
    ],
)
def test_masks_and_what_is_kept_are_those_of_the_layers(change: Any, words: str) -> None:
    told = json.loads(make_case(of_words(WORDS, (2, 11, 9)), (2, 11, 9)).text())
    change(told)
    with pytest.raises(CaseError, match=words):
        Case.from_json(told)


# Cases that were changed


def changed(path: str, value: Any) -> dict[str, Any]:
    """The default case with another value at a path; without one, with nothing there."""
    text = copy.deepcopy(WHOLE)
    *way, last = (int(each) if each.isdigit() else each for each in path.split("/"))
    at: Any = text
    for each in way:
        at = at[each]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return text


GONE = "(left out)"
HUGE = 10**12
CHANGES: list[tuple[str, Any, str]] = [
    ("format", GONE, "not a case"),
    ("format", "plaingrad case 9", "not a case"),
    ("network", GONE, "no field 'network'"),
    ("network", [], ""),
    ("network/layers", GONE, "no field 'layers'"),
    ("network/layers", {}, ""),
    ("network/layers", [], ""),
    ("network/layers/0", "Conv", ""),
    ("network/layers/0/name", GONE, "no field 'name'"),
    ("network/layers/0/name", "convolution", "conv1"),
    ("network/layers/0/kind", "Covn", "did you mean 'Conv'"),
    ("network/layers/0/kind", GONE, "kind"),
    ("network/layers/0/filters", 5, "conv1.w"),
    ("network/layers/0/filters", "3", "filters"),
    ("network/layers/0/filters", HUGE, ""),
    ("network/layers/0/filters", True, "filters"),
    ("network/layers/0/size", [3, 3, 3], "size"),
    ("network/layers/0/size", [0, 3], "size"),
    ("network/layers/0/stride", [1.5, 1], "stride"),
    ("network/layers/0/activation", {"kind": "ReLU"}, "activations are separate layers"),
    ("network/layers/0/padding", "valid", "padding"),
    ("network/layers/0/colour", 1, "colour"),
    ("network/layers/1/size", [99, 99], "maxpool1"),
    ("network/input", [2, 9, 11], ""),
    ("network/input", "2×11×9", ""),
    ("network/input", [HUGE, HUGE, HUGE], ""),
    ("network/input", [-1, 3, 3], ""),
    ("network/input", [], ""),
    ("network/input", None, ""),
    ("loss", GONE, "no field 'loss'"),
    ("loss/kind", "Hinge", "Hinge"),
    ("loss", "SoftmaxCrossEntropy", ""),
    ("rate", GONE, "no field 'rate'"),
    ("rate", "fast", ""),
    ("rate", None, ""),
    ("rate", math.nan, "rate"),
    ("rate", math.inf, "rate"),
    ("rate", -0.125, "rate"),
    ("rate", 0, "rate"),
    ("weights", GONE, "no field 'weights'"),
    ("weights/conv1.w", GONE, "no field 'conv1.w'"),
    ("weights/conv1.w", 3, "conv1.w got the shape"),
    ("weights/conv1.w/0/0/0", [1, 2], "conv1.w"),
    ("weights/conv1.w/0/0/0/0", "0.5", "conv1.w"),
    ("weights/conv1.w/0/0/0/0", None, "conv1.w"),
    ("weights/conv1.w/0/0/0/0", math.nan, "conv1.w"),
    ("weights/conv1.w/0/0/0/0", -math.inf, "conv1.w"),
    ("weights/conv1.w/0/0/0/0", 10**400, ""),
    ("weights/conv1.w/0/0/0/0", {}, "conv1.w"),
    ("steps", GONE, "no field 'steps'"),
    ("steps", [], ""),
    ("steps", {}, ""),
    ("steps/0/x", [], ""),
    ("steps/0/x", GONE, "no field 'x'"),
    ("steps/0/x/0", GONE, "step 1"),
    ("steps/1/x/0", GONE, "x of step 2"),
    ("steps/1/target", GONE, "no field 'target'"),
    ("steps/1/target/0/0", math.nan, "target of step 2"),
    ("steps/1/target", 7, "target of step 2"),
]


@pytest.mark.parametrize(("path", "value", "words"), CHANGES, ids=lambda each: str(each)[:40])
def test_a_changed_case_is_one_line(path: str, value: Any, words: str) -> None:
    assert words in told(changed(path, value))


def test_what_is_no_case_is_one_line() -> None:
    for none in (None, 3, "case", [], {}, {"format": None}, {"format": [FORMAT]}):
        assert "not a case" in told(none)


def test_fields_that_only_tell_may_be_missing() -> None:
    for path in ("about", "fields", "answer", "network/name", "network/layers/0/about", "network/layers/0/output"):
        assert np.array_equal(read(changed(path, GONE)).batches[0].x, DEFAULT.batches[0].x)


def test_files_that_hold_no_case_are_one_line(tmp_path: Path) -> None:
    text = DEFAULT.text().encode()
    contents = {
        "empty": b"",
        "half": text[: len(text) // 2],
        "all but one": text.rstrip()[:-1],
        "two": text + text,
        "binary": bytes(range(256)),
        "latin": '{"format": "é"}'.encode("latin-1"),
        "deep": b"[" * 100_000,
        "word": b"case",
        "long number": b'{"format": ' + b"9" * 10_000 + b"}",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert name in refusal(tmp_path / name)
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert "larger than 128 MiB" in refusal(tmp_path / "huge")
    assert "No such file" in refusal(tmp_path / "missing")
    assert "Is a directory" in refusal(tmp_path)
    assert refusal(f"{tmp_path}/a\0b")


def refusal(path: str | os.PathLike[str]) -> str:
    with pytest.raises(CaseError) as refused:
        read_case(os.fspath(path))
    return one_line(refused.value)


def test_a_byte_order_mark_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text(DEFAULT.text(), encoding="utf-8-sig")
    assert read_case(str(tmp_path / "case.json")).text() == DEFAULT.text()


STRANGE = [
    None, True, False, 0, -1, 1, 2, 3, 0.5, -0.0, 1e308, math.nan, math.inf, HUGE, 10**400, "", "Conv", "ReLU", "3",
    [], {}, [[]], [1, 2], {"kind": "ReLU"}, {"kind": "Glorot"}, [None], "é\n\x00", GONE,
]  # fmt: skip
SMALL = make_case(simple=True).to_json()


def strange(rng: np.random.Generator) -> Any:
    """A small case with one to three of its parts replaced, taken away, exchanged or doubled."""
    text = copy.deepcopy(SMALL)
    for _ in range(int(rng.integers(1, 4))):
        parts = [each for each in list(holders(text)) if each]
        holder = parts[int(rng.integers(len(parts)))]
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key, other = (keys[int(each)] for each in rng.integers(0, len(keys), 2))
        value = STRANGE[int(rng.integers(len(STRANGE)))]
        match int(rng.integers(4)):
            case 0:
                holder[key], holder[other] = holder[other], holder[key]
            case 1:
                holder[key] = copy.deepcopy(holder[other])
            case _ if value is GONE:
                del holder[key]
            case _:
                holder[key] = copy.deepcopy(value)
    return text


def holders(value: Any) -> Iterator[Any]:
    """Every object, and of each row of numbers the list that holds them."""
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from holders(each)


def check_strange(seed: int, count: int) -> set[str]:
    rng, seen = np.random.default_rng(seed), set()
    for _ in range(count):
        text = strange(rng)
        try:
            case = Case.from_json(text)
        except CaseError as error:
            one_line(error)
            seen.add("refused")
        else:
            assert Case.from_json(json.loads(case.text())).text() == case.text()
            seen.add("read")
    return seen


def test_no_change_is_anything_but_a_case_or_one_line() -> None:
    assert check_strange(0, 400) == {"read", "refused"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(1, 5))
def test_no_change_of_very_many_is_anything_else(seed: int) -> None:
    assert check_strange(seed, 5000) == {"read", "refused"}


@pytest.mark.parametrize("input", [3, 2.5, "abc", (1, "b", 4), (1, 2.5, 3.5), [1, None, 2], {}, (1,)], ids=repr)
def test_an_input_that_is_no_shape_is_refused_in_one_line(input):
    with pytest.raises(SettingError) as caught:
        make_case(input=input)
    assert "\n" not in str(caught.value)
