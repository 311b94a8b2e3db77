"""What a page holds: every number it shows, and every term it shows them as, taken out of its packed record."""

import base64
import itertools
import json
import math
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

import plaingrad as pg
from around import images_for, network_around, run_around, scale_backward, scale_forward, targets_for
from cases import CASES
from plaingrad.compiler.loops import as_written
from plaingrad.explaining import page, tracer_of
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.explaining.page import MOST_TERMS, Page, single
from plaingrad.explaining.recording import COPY, PRODUCT, Patterns, Record, blob
from plaingrad.explaining.traced_numbers import CELL, Traced
from plaingrad.textbook.layer import Weights
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, MeanPool, ReLU
from plaingrad.textbook.losses import HalfSquaredError, SoftmaxCrossEntropy
from plaingrad.textbook.record import json_text

KINDS = {"product", "copy", "other"}
REASONS = {"branch", "tie", "padding", "note"}
ROLES = {"value", "error", "weight", "gradient", "other"}
LISTS = ("values", "errors", "weights", "gradients", "others")


def numbers(packed, kind):
    """What a blob holds."""
    return np.frombuffer(zlib.decompress(base64.b64decode(packed), -15), kind)


def held_in(data):
    """The values, and the numbers of the run: in double precision where the run itself is."""
    values = numbers(data["values"], "<f8")
    width = len(zlib.decompress(base64.b64decode(data["run"]), -15)) // len(values)
    assert width in (4, 8)
    return values, numbers(data["run"], f"<f{width}")


def entries(record, patterns):
    """For each cell its entries: the number of the pattern, the cells in it, and its value where it has one."""
    counts, looks = numbers(record["counts"], "<u4"), numbers(record["patterns"], "<u2").tolist()
    refs = numbers(record["refs"], "<i4").astype(np.int64)
    for start in (0, 1):
        refs[start::2] = np.cumsum(refs[start::2])
    refs, at, used, kept = refs.tolist(), 0, 0, 0
    products = numbers(record["products"], "<f8").tolist() if record.get("products") else []
    for count in counts.tolist():
        mine = []
        for look in looks[at : at + count]:
            arity = patterns[look]["arity"]
            value = None
            if patterns[look].get("kind") == "other" and products:
                value, kept = products[kept], kept + 1
            mine.append((look, refs[used : used + arity], value))
            used += arity
        at += count
        yield mine
    assert (at, used, kept) == (len(looks), len(refs), len(products))


def size_of(shape):
    return math.prod(shape)


def same(value, other):
    return value == other or (value != value and other != other)


def valued(entry, values, patterns):
    """What a term adds, worked out as the page does it."""
    look, cells, value = entry
    kind = patterns[look]["kind"]
    if kind == "product":
        assert value is None
        return math.prod((values[cell] for cell in cells[1:]), start=values[cells[0]])
    return values[cells[0]] if kind == "copy" else value


def slots(tree):
    """The places for cells in a pattern's formula."""
    if not isinstance(tree, list):
        return []
    return [tree[1]] if tree[0] == "slot" else [each for part in tree[1:] for each in slots(part)]


def check(data):
    """All that can be asked of a page's record without the run; the number of terms in it."""
    assert json.loads(json_text(data)) == data
    values, run = held_in(data)
    values = values.tolist()
    arrays, patterns, looks = data["arrays"], data["patterns"], data["reason_patterns"]
    assert len(values) == len(run) == max(each["start"] + size_of(each["shape"]) for each in arrays.values())
    assert patterns[PRODUCT]["kind"] == "product"
    assert patterns[COPY]["kind"] == "copy"
    for each in patterns:
        assert each["kind"] in KINDS
        assert sorted(set(slots(each["math"]))) == list(range(each["arity"]))
        assert all(f"{{{place}}}" in each["text"] for place in range(each["arity"]))
    for each in looks:
        assert each["kind"] in REASONS
        each["text"].format(*range(each["arity"]))
        assert (f"{{{each['arity']}}}") not in each["text"]
    held = sorted((each["start"], each["start"] + size_of(each["shape"])) for each in arrays.values())
    assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(held))
    total = 0
    for name, array in arrays.items():
        total += check_array(name, array, values, patterns, looks, data["partial"] is not None)
    check_layers(data)
    return total


def check_array(name, array, values, patterns, looks, is_slice):
    size = size_of(array["shape"])
    assert array["role"] in ROLES
    assert array["about"]
    if array["terms"] is None:
        assert array["reasons"] is None
        assert is_slice or array["made_by"] is None, name
        return 0
    assert array["made_by"]
    assert array["formula"]["text"]
    told = list(entries(array["terms"], patterns))
    assert len(told) == size
    for at, mine in enumerate(told):
        if is_slice and at not in array["held"]:
            assert not mine
            continue
        terms = [valued(each, values, patterns) for each in mine]
        value = terms[0] if terms else 0
        for each in terms[1:]:
            value = value + each
        assert same(value, values[array["start"] + at]), f"{name}, number {at}"
        assert all(0 <= cell < len(values) for _, cells, _ in mine for cell in cells)
    if array["reasons"]:
        why = list(entries(array["reasons"], looks))
        assert len(why) == size
        assert all(0 <= cell < len(values) for mine in why for _, cells, _ in mine for cell in cells)
    return sum(map(len, told))


def check_layers(data):
    """Each array stands in one list of one layer; what is named is there."""
    listed = [name for layer in data["layers"] for key in LISTS for name in layer[key]]
    assert sorted(listed) == sorted(data["arrays"])
    for layer in data["layers"]:
        assert layer["kind"]
        assert layer["text"]
        assert layer["about"]
        for way in ("x", "y", "dx", "dy"):
            assert layer.get(way) is None or layer[way] in data["arrays"]
        assert all({"name", "way", "source"} == set(each) for each in layer["texts"])
        assert all(each["source"].startswith("def ") for each in layer["texts"])
    made_by = {each["made_by"] for each in data["arrays"].values()} - {None}
    texts = {each["name"] for layer in data["layers"] for each in layer["texts"]}
    assert made_by <= texts
    assert data["opens"].partition("[")[0] in data["arrays"]


def check_run(data, run, image=0):
    """The numbers are those of the run that is shown, and as near to it as the bounds say."""
    values, held = held_in(data)
    assert held.dtype == (np.float64 if run.net.dtype == np.float64 else np.float32)
    bounds = numbers(data["bounds"], "<f4") if data["bounds"] else np.full(len(values), np.nan)
    assert len(bounds) == len(values)
    compared = 0
    for name, array in data["arrays"].items():
        layer, _, quantity = (name if "." in name else f"{next(iter(run.net.steps))}.x").partition(".")
        part = slice(array["start"], array["start"] + size_of(array["shape"]))
        if quantity not in run.records[layer]:  # the sums of a fused activation: compiled, no array holds them
            assert quantity == "z"
            assert np.isnan(held[part]).all()
            assert np.isnan(bounds[part]).all()
            continue
        known = np.asarray(run.quantity(layer, quantity), float)
        if run.has_images(layer, quantity):
            known = known[image]
        np.testing.assert_array_equal(held[part], known.reshape(-1).astype(held.dtype), err_msg=name)
        np.testing.assert_allclose(values[part], known.reshape(-1), rtol=2e-3, atol=1e-4, err_msg=name)
        away, allowed = np.abs(values[part] - known.reshape(-1)), bounds[part]
        rounded = np.abs(known.reshape(-1)) * np.finfo(held.dtype).eps  # of what is held
        assert ((away <= allowed + rounded) | np.isnan(allowed)).all(), name
        compared += known.size
    assert compared > 20


# ------------------------------------------------------------------------------------------- what it holds


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
@pytest.mark.often(10)
def test_the_terms_of_every_cell_add_up_to_its_value(layer, shape):
    run = run_around(layer, shape, 1, dtype="float32", loss=SoftmaxCrossEntropy())
    data = Page(run).data()
    assert check(data) > 50
    check_run(data, run)
    tracer = tracer_of(run)
    for name, array in data["arrays"].items():
        assert array["start"] == tracer.twin.sheets[name].start
        assert array["shape"] == list(tracer.twin.sheets[name].shape)


@pytest.mark.parametrize(
    "name", [each for each in EXAMPLES if np.ndim(EXAMPLES[each].target) < 2]
)  # a page shows one image
def test_so_do_those_of_every_example(name):
    run = pg.example(name)
    data = Page(run, opens=EXAMPLES[name].opens).data()
    assert check(data) > 5
    check_run(data, run)
    assert data["opens"] == run.explain(EXAMPLES[name].opens).quantity


def test_the_terms_are_those_of_the_explanations():
    run = run_around(Conv(2, size=2, activation=ReLU()), (1, 4, 4), loss=SoftmaxCrossEntropy())
    data = Page(run).data()
    tracer = tracer_of(run)
    for name, array in data["arrays"].items():
        if array["terms"] is None:
            continue
        for at, mine in enumerate(entries(array["terms"], data["patterns"])):
            told = run.explain(tracer.twin.name(array["start"] + at))
            assert [cells for _, cells, _ in mine] == [term.node.cells() for term in told.terms], name
            assert len(mine) == len(told.terms)


def test_reasons_are_those_of_the_explanations():
    run = run_around(MaxPool(2), (1, 4, 5))
    data, tracer = Page(run).data(), tracer_of(run)
    seen = 0
    for array in data["arrays"].values():
        if not array["reasons"]:
            continue
        for at, mine in enumerate(entries(array["reasons"], data["reason_patterns"])):
            told = run.explain(tracer.twin.name(array["start"] + at)).reasons
            for (look, cells, _), text in zip(mine, told, strict=False):
                assert all(tracer.twin.name(cell) in text for cell in cells)
                words = re.findall(r"[a-z]{3,}", data["reason_patterns"][look]["text"])
                assert words
                assert set(words) <= set(re.findall(r"[a-z]+", text))
                seen += 1
    assert seen > 20


def test_what_an_activation_did_not_let_through_is_held_too():
    run = run_around(Conv(3, size=2, activation=ReLU()), (1, 4, 4), seed=2)
    data = Page(run).data()
    values = numbers(data["values"], "<f8").tolist()
    sums, after = data["arrays"]["conv1.z"], data["arrays"]["conv1.y"]
    assert data["layers"][1]["sums"] == "conv1.z"
    assert data["layers"][1]["values"] == ["conv1.z", "conv1.y"]
    assert data["layers"][1]["errors"] == ["conv1.dy", "conv1.dz"]
    told, let = (list(entries(each["terms"], data["patterns"])) for each in (sums, after))
    why = list(entries(after["reasons"], data["reason_patterns"]))
    off = 0
    for at in range(size_of(sums["shape"])):
        terms = [valued(each, values, data["patterns"]) for each in told[at]]
        assert len(terms) == 5
        assert values[sums["start"] + at] == sum(terms[1:], terms[0])
        assert [cells for _, cells, _ in let[at]] == ([[sums["start"] + at]] if values[sums["start"] + at] > 0 else [])
        ((look, cells, _),) = why[at]
        assert cells == [sums["start"] + at]
        assert ("was off" in data["reason_patterns"][look]["text"]) == (not let[at])
        off += not let[at]
    assert 0 < off < size_of(sums["shape"])


def test_the_page_bounds_what_a_fused_activation_gives():
    run = run_around(Conv(3, size=2, activation=ReLU()), (1, 4, 4), dtype="float32", seed=2, plain=False)
    data, tracer = Page(run).data(), tracer_of(run)
    bounds, array = numbers(data["bounds"], "<f4"), data["arrays"]["conv1.y"]
    values = numbers(data["values"], "<f8")
    seen = 0
    for cell in range(array["start"], array["start"] + size_of(array["shape"])):
        if values[cell] > 0:
            bound = run.explain(tracer.twin.name(cell)).bound
            assert 0 < bound <= 3.00001 * bounds[cell] <= 9.1 * bound
            seen += 1
    assert seen > 5


@pytest.mark.parametrize("image", [0, 2])
def test_one_image_of_several_is_shown_alone(image):
    run = run_around(Conv(2, size=2, activation=ReLU()), (1, 4, 4), 3, dtype="float32", loss=SoftmaxCrossEntropy())
    alone = single(run, image)
    np.testing.assert_array_equal(alone["conv1"].x[0], run["conv1"].x[image])
    np.testing.assert_array_equal(alone["loss"].target[0], run["loss"].target[image])
    assert alone["loss"].share[0] == 1
    check(Page(run, image=image).data())
    with pytest.raises(pg.DataError, match="holds 3 images, counted from 0; there is no image 3"):
        Page(run, image=3)
    with pytest.raises(pg.DataError, match="there is no image -1"):
        Page(run, image=-1)


def test_a_run_without_labels_has_a_page_of_its_values():
    net = network_around(Conv(2, size=2), (1, 3, 4))
    with as_written():
        run = net.run(images_for(net, 1))
    data = Page(run).data()
    check(data)
    assert (data["loss"], data["label"], data["probabilities"]) == (None, None, None)
    assert not any(array["role"] in ("error", "gradient") for array in data["arrays"].values())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_held_as_it_is(value):
    with as_written():
        net = network_around(Conv(2, size=2, activation=ReLU()), (1, 3, 4))
        images = images_for(net, 1)
        images[0, 0, 1, 1] = value
        run = net.run(images, targets_for(HalfSquaredError(), 1), HalfSquaredError())
    data = Page(run).data()
    values = numbers(data["values"], "<f8")
    assert not np.isfinite(values).all()
    array = data["arrays"]["input"]
    assert same(values[array["start"] + 5], value)
    text = json_text(data)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_classes_label_and_probabilities():
    run = run_around(Conv(2, size=2), (1, 3, 4), loss=SoftmaxCrossEntropy())
    data = Page(run, classes=["cat", "<b>dog</b>"], title="<i>title</i>").data()
    assert data["classes"] == ["cat", "<b>dog</b>", "2"]
    net = network_around(Conv(2, size=2), (1, 3, 4))
    with as_written():
        run = net.run(images_for(net, 1), [2])
    data = Page(run).data()
    assert data["label"] == 2
    np.testing.assert_allclose(data["probabilities"], run["loss"].probability[0], rtol=1e-5)
    assert data["loss"]["value"] == pytest.approx(float(run["loss"].y[0]), rel=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape", "is_dense"),
    [(Conv(2, size=2), (1, 3, 4), True), (MeanPool(2), (1, 4, 4), True), (MaxPool(2), (1, 4, 4), False)],
    ids=str,
)
def test_a_layer_that_is_a_matrix_says_so(layer, shape, is_dense):
    data = Page(run_around(layer, shape)).data()
    told = data["layers"][1]["dense"]
    assert (told is not None) == is_dense
    if told:
        assert set(told) == {"about", "check"}
        assert "the largest difference is" in told["check"]


# ------------------------------------------------------------------------------------------- how it is packed


def test_a_record_survives_packing():
    rng, record = np.random.default_rng(0), Record()
    patterns = [{"arity": 2, "kind": "product"}, {"arity": 1, "kind": "copy"}, {"arity": 3, "kind": "other"}]
    meant = []
    for count in rng.integers(0, 5, 200):
        mine = []
        for look in rng.integers(0, 3, count):
            cells = rng.integers(0, 1 << 30, patterns[look]["arity"]).tolist()
            value = float(rng.normal()) if look == 2 else None
            record.patterns.append(int(look))
            record.refs += cells
            if look == 2:
                record.products.append(value)
            mine.append((int(look), cells, value))
        record.counts.append(int(count))
        meant.append(mine)
    assert list(entries(record.to_json(), patterns)) == meant
    assert list(entries(Record().to_json(), patterns)) == []


def test_a_blob_is_raw_deflate():
    values = np.array([0.0, -1.5, math.nan, math.inf])
    np.testing.assert_array_equal(numbers(blob(values, "<f8"), "<f8"), values)
    assert blob([], "<u2") == blob(np.zeros(0), "<f8")


def test_each_look_is_kept_once():
    patterns = Patterns()
    assert [each["kind"] for each in patterns.list] == ["product", "copy"]
    assert [patterns.number(text, {"text": text}) for text in ("a", "b", "a")] == [2, 3, 2]


# ------------------------------------------------------------------------------------------- large and odd


@pytest.mark.long
def test_a_page_of_lenet5_is_at_most_3_megabytes_and_8_where_all_is_recorded(monkeypatch):
    net = pg.model("lenet5").network()
    image = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    assert len(Page(net.run(image, [3])).html()) < 3_000_000
    monkeypatch.setattr("plaingrad.explaining.told.MANY_TERMS", 10**9)
    data = Page(net.run(image, [3])).data()
    assert check(data) > 400_000
    assert len(json_text(data)) < 8_000_000


@pytest.mark.long
def test_a_page_too_large_is_refused_and_a_slice_holds_what_leads_on():
    net = pg.model("mnist-cnn").network()
    run = net.run(np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32), [3])
    with pytest.raises(pg.SettingError, match=rf"a browser can take {MOST_TERMS:,}; ask for a slice"):
        Page(run).data()
    data = Page(run, opens="conv2.dw[3,2,1,0]").data()
    assert "conv2.dw[3,2,1,0]" in data["partial"]
    assert check(data) > 500
    assert len(json_text(data)) < 8_000_000
    dw, values = data["arrays"]["conv2.dw"], numbers(data["values"], "<f8")
    assert int(np.ravel_multi_index((3, 2, 1, 0), dw["shape"])) in dw["held"]
    told = run.explain("conv2.dw[3,2,1,0]")
    assert values[told.cell] == told.value


@pytest.mark.filterwarnings("ignore:.* is compiled as it stands:UserWarning")
@pytest.mark.parametrize(
    "named", ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a&b\u2028$x_1$"]
)
def test_names_are_text_in_the_page(named):
    members = {"forward": scale_forward, "backward": scale_backward, "__doc__": f"{named} and more."}
    kind = type(named, (pg.Layer,), members | {"weights": lambda self, x: {"w": Weights((x[0],), 1, 1)}})
    net = pg.Network(kind(), Flatten(), Dense(2), input=(1, 2, 2), dtype="float64", name=named)
    page = Page(net.run(np.ones((1, 1, 2, 2)), [1]), classes=[named], title=named)
    check(page.data())
    html = page.html()
    assert html.count("<script") == html.count("</script>") == 2
    assert "<img src=x" not in html
    assert "onerror=alert(1)>" not in html
    start = html.index('id="data">') + len('id="data">')
    data = json.loads(html[start : html.index("</script>", start)])
    assert data["title"] == data["classes"][0] == named
    shown = page._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}
    tags = re.findall("<[^ >]*", shown["text/html"])
    assert tags == ["<style", "</style", "<p", "</p", "<iframe", "</iframe"]  # nothing of the page outside the frame


def test_the_page_is_one_file_that_asks_for_nothing(tmp_path):
    page = pg.explain(pg.example("overlap"))
    page.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text == page.html()
    for mark in ("/*STYLE*/", "/*SCRIPT*/", "/*TEXTS*/", "{{TITLE}}", '"DATA"', "src=", "@import", "url(http"):
        assert mark not in text
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    assert page.html() is page.html()


@pytest.mark.parametrize("negative", [False, True])
def test_a_term_of_no_usual_look_keeps_its_value(negative):
    from plaingrad.explaining.recording import add_terms

    one, two = Traced(3.0, CELL, 5), Traced(-2.0, CELL, 7)
    third = one / two
    node = one - third if negative else one + third
    record, patterns = Record(), Patterns()
    add_terms(record, node, patterns)
    assert (record.counts, record.refs) == ([2], [5, 5, 7])
    assert record.products == [1.5 if negative else -1.5]
    assert patterns.list[record.patterns[1]]["text"].startswith("−") == negative


def test_no_name_is_declared_twice_in_the_scripts_of_a_page():
    """They are joined to one, in which the last of two functions of one name silently takes the place of the first."""
    scripts = sorted((Path(page.__file__).parent).glob("page*.js"))
    declared = [
        name
        for each in scripts
        for name in re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", each.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(declared) > 100
    assert not {name for name in declared if declared.count(name) > 1}
