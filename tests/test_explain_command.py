"""`plaingrad explain`: what it prints and writes, and one clear line for everything that cannot be."""

import json
import math
import re
import shlex
import shutil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pytest

from plaingrad import checkpoint, digits, example, model, train
from plaingrad.cli.main import main
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.network.network import Network
from plaingrad.training.run_folder import BEST, CHECKPOINT, IMAGES, MOST_KEPT, kept_images

KEYS = {"quantity", "value", "run_value", "formula", "terms", "reasons", "next"}
OPENS = "conv1.dw[0,0,0,0]"
LAYERS = [
    {"kind": "Conv", "filters": 2, "size": 3, "activation": {"kind": "ReLU"}},
    {"kind": "MaxPool", "size": 2},
    {"kind": "Flatten"},
    {"kind": "Dense", "units": 10},
]


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `plaingrad explain` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["explain", *map(str, arguments)])
        return Said(ended.value.code or 0, *capsys.readouterr())  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a small network."""
    folder = tmp_path_factory.mktemp("explained")
    (folder / "small.json").write_text(json.dumps({"name": "small", "input": [1, 8, 8], "layers": LAYERS}))
    with pytest.raises(SystemExit) as ended:
        main(["train", "--model", f"{folder / 'small.json'}", "--epochs", "2", "--out", f"{folder / 'run'}"])
    assert ended.value.code == 0
    return folder / "run"


@pytest.fixture
def run_copy(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def told(said: Said) -> Any:
    """The one object on stdout."""
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1), said
    return json.loads(said.out)


def refused(said: Said, *words: str) -> str:
    """The one line of an error of the user's."""
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("plaingrad")
    for word in words:
        assert word in said.err
    return said.err


def assert_explains(one: Any) -> None:
    """The terms add up to the value, from left to right; each is the product of its factors."""
    assert set(one) >= KEYS
    if one["formula"] == f"{one['quantity']} is given":
        assert (one["terms"], one["next"]) == ([], [])
        return
    total = one["terms"][0]["product"] if one["terms"] else 0
    for term in one["terms"][1:]:
        total += term["product"]
    assert total == one["value"]
    for term in one["terms"]:
        assert set(term) == {"factors", "product"}
        assert all(set(each) == {"name", "value"} for each in term["factors"])
        values = [each["value"] for each in term["factors"]]
        away = 2 * len(values) * np.finfo(float).eps * abs(term["product"])  # half of it on either side of the truth
        assert abs(math.prod(values) - term["product"]) <= away
    if one["run_value"] is not None:
        assert abs(one["run_value"] - one["value"]) <= one["bound"]


# What it says


@pytest.mark.often(1)
def test_text_and_json_tell_the_same(explain: Any, trained: Path) -> None:
    one = told(explain(trained, "conv1.dw[1,0,2,0]", "--json"))
    assert_explains(one)
    assert one["quantity"] == "conv1.dw[1,0,2,0]"
    said = explain(trained, "conv1.dw[1,0,2,0]")
    assert (said.code, said.err) == (0, "")
    for word in (one["quantity"], one["formula"], *one["next"][:4], *one["reasons"]):
        assert word in said.out
    assert f"total {one['value']:.17g}".replace("-", "−") in said.out


QUANTITIES = ["conv1.y[0,3,3]", "conv1.dx[0,4,4]", "conv1.dy[1,2,3]", "maxpool1.winner[0,1,1]", "dense1.y[7]"]
MORE = ["dense1.dw[3,5]", "loss.y", "loss.probability[4]", "flatten1.dy[3]", "conv1.w_after[0,0,1,1]", "input[0,3,3]"]


@pytest.mark.parametrize("quantity", QUANTITIES + MORE)
def test_any_kind_of_number(explain: Any, trained: Path, quantity: str) -> None:
    one = told(explain(trained, quantity, "--json"))
    assert_explains(one)
    assert one["quantity"] == quantity
    assert explain(trained, quantity).code == 0


def test_without_a_quantity_everything_is_listed(explain: Any, trained: Path) -> None:
    listed = told(explain(trained, "--json"))
    names = [each["name"] for each in listed["quantities"]]
    assert {"input", "conv1.w", "conv1.dw", "conv1.w_after", "maxpool1.winner", "loss.y"} <= set(names)
    assert len(names) == len(set(names))
    text = explain(trained).out
    assert all(f"  {name} " in text for name in names)
    assert "such as conv1.dw[0,0,0,0]" in text
    for each in listed["quantities"]:
        assert each["about"]
        first = f"{each['name']}[{','.join('0' for _ in each['shape'])}]" if each["shape"] else each["name"]
        assert told(explain(trained, first, "--json"))["about"] == each["about"]


def test_all_shows_every_term(explain: Any, trained: Path) -> None:
    one = told(explain(trained, "conv1.db[0]", "--json"))
    count = len(one["terms"])
    assert count > 20
    short, long = explain(trained, "conv1.db[0]").out, explain(trained, "conv1.db[0]", "--all").out
    assert f"the 12 largest of {count} terms" in short or f"largest of {count} terms" in short
    assert f"{count} terms, in the order in which they are added" in long
    names = [term["factors"][0]["name"] for term in one["terms"]]
    places = [long.index(f"    {name} ") for name in names]
    assert places == sorted(places)
    assert not all(f"    {name} " in short for name in names)


def test_symbols(explain: Any) -> None:
    pytest.importorskip("sympy")
    said = explain("--example", "two-kernels", "conv2.y[0,0,0]", "--symbols")
    assert said.code == 0
    assert said.out.startswith("conv2.y[0,0,0] = ")
    assert len(said.out.splitlines()) == 1
    assert "<math" not in said.out
    one = told(explain("--example", "two-kernels", "conv2.y[0,0,0]", "--symbols", "--json"))
    assert one["quantity"] == "conv2.y[0,0,0]"
    assert set(one["symbols"]) == {"text", "latex", "mathml", "is_simplified"}
    assert one["symbols"]["text"] in said.out
    assert (
        explain("--example", "two-kernels", "conv2.y[0,0,0]", "--symbols", "--mathml").out.strip()
        == one["symbols"]["mathml"]
    )


@pytest.mark.long
def test_long_symbols_are_told_in_parts(explain: Any) -> None:
    sympy = pytest.importorskip("sympy")
    said = explain("--example", "first-cnn", "conv1.dw[0,0,0,0]", "--symbols")
    one = told(explain("--example", "first-cnn", "conv1.dw[0,0,0,0]", "--symbols", "--json"))["symbols"]
    assert said.out.startswith("conv1.dw[0,0,0,0] = ")
    assert len(said.out) < 3_000 < len(one["text"])
    plain = str.maketrans("[],.", "____")  # names that SymPy reads
    first, *rest = said.out.partition("\n\n")[0].translate(plain).splitlines()
    whole = sympy.sympify(first.partition(" = ")[2])
    for line in reversed(rest):
        name, part = line.strip().split(" = ")
        whole = whole.subs(sympy.Symbol(name), sympy.sympify(part))
    meant = sympy.sympify(one["text"].translate(plain))
    numbers = {each: place / 10 for place, each in enumerate(sorted(meant.free_symbols, key=str), 1)}
    assert abs(whole.subs(numbers).evalf(20) - meant.subs(numbers).evalf(20)) < 1e-12


def test_the_example_of_the_help_fits_on_a_screen(explain: Any) -> None:
    pytest.importorskip("sympy")
    (line,) = (each for each in explain("--help").out.splitlines() if "--symbols" in each and "plaingrad" in each)
    said = explain(*shlex.split(line)[2:])
    assert said.code == 0
    assert len(said.out) < 8_000


def test_symbols_of_nothing_named(explain: Any) -> None:
    refused(explain("--example", "two-kernels", "conv1.y", "--symbols"), "conv1.y holds 4 numbers", "name one")


def test_symbols_that_would_fill_a_book_are_refused(explain: Any, tmp_path: Path) -> None:
    pytest.importorskip("sympy")
    refused(
        explain(saved(tmp_path), "dense1.dw[0,0]", "--symbols", "--image", picture(tmp_path, shape=(28, 28))), "4,000"
    )


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.often(3)
def test_every_example(explain: Any, name: str) -> None:
    opens = EXAMPLES[name].opens
    assert_explains(told(explain("--example", name, opens, "--json")))
    assert f"such as {opens}" in explain("--example", name).out
    if np.ndim(EXAMPLES[name].target) == 2:
        refused(explain("--example", name, "--html", "page.html"), "a page of one image", f"{name} has 2")
        return
    page = told(explain("--example", name, "--html", "page.html", "--json"))
    assert page["bytes"] == Path("page.html").stat().st_size
    assert page["title"].startswith(f"{name}: ")


def test_the_page(explain: Any, trained: Path) -> None:
    said = explain(trained, "maxpool1.dx[0,1,1]", "--html", "page.html")  # which is an array of two layers
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("page.html: small on test image 0 of digits")
    page = Path("page.html").read_text("utf-8")
    assert '"opens":"conv1.dy[0,1,1]"' in page.replace('": ', '":')
    assert page.count("<script") == 2


def page_data(page: Path) -> Any:
    return json.loads(
        page.read_text("utf-8").partition('type="application/json" id="data">')[2].partition("</script>")[0]
    )


def test_a_page_shows_the_number_that_is_asked_for(explain: Any) -> None:
    explain("--example", "first-cnn", "conv1.dw[0,0,1,0]", "--html", "page.html")
    assert page_data(Path("page.html"))["is_asked"]


def test_a_page_of_the_whole_network_has_the_command_for_the_next_number(explain: Any, trained: Path) -> None:
    of_network = ("--network", "digits", "--seed", 3, "--label", "2")
    for source in ((trained, "--image", 2), (trained, "--rate", 0.5), of_network, ("--example", "first-cnn")):
        explain(*source, "--html", "page.html", "--force")
        data = page_data(Path("page.html"))
        assert not data["is_asked"]
        program, command, *words = shlex.split(data["command"])
        assert (program, command) == ("plaingrad", "explain")
        for name in ("loss.y", "conv1.w_after[0,0,1,1]"):
            own = told(explain(*source, name, "--json", "--optimiser", "sgd"))
            assert told(explain(*words, name, "--json", "--optimiser", "sgd")) == own


def test_a_page_leads_to_the_report_of_its_run(explain: Any, run_copy: Path, tmp_path: Path) -> None:
    folder = run_copy.rename(run_copy.parent / "my run #1")
    (folder / "report.html").write_text("<title>a report</title>")
    (tmp_path / "elsewhere").mkdir()
    for page in (tmp_path / "elsewhere" / "page.html", folder / "page.html"):
        explain(folder, "--html", page)
        (address,) = re.findall('<a href="([^"]*)">training report</a>', page.read_text("utf-8"))
        assert (page.parent / unquote(address)).read_text() == "<title>a report</title>"
    (folder / "report.html").unlink()
    explain(folder, "--html", page, "--force")
    assert "training report</a>" not in page.read_text("utf-8")


def test_the_page_is_written_whole_or_not_at_all(explain: Any, trained: Path) -> None:
    refused(explain(trained, "--html", "no/such/folder/page.html"), "no/such/folder")
    assert not Path("no").exists()
    refused(explain(trained, "conv1.dw[9,0,0,0]", "--html", "page.html"), "out of range")
    assert not Path("page.html").exists()


# Which image


def test_images_that_were_kept_and_those_of_the_data(explain: Any, trained: Path) -> None:
    test = digits().test
    for number in (0, MOST_KEPT - 1, MOST_KEPT, len(test) - 1):
        for place in ((3, 4), (5, 2)):
            one = told(explain(trained, f"input[0,{place[0]},{place[1]}]", "--json", "--image", number))
            assert one["run_value"] == pytest.approx(pixel(trained, test.images[number, 0][place]), rel=1e-6)
        label = [
            told(explain(trained, f"loss.target[{k}]", "--json", "--image", number))["value"]
            for k in (int(test.labels[number]), (int(test.labels[number]) + 1) % 10)
        ]
        assert label == [1, 0]
    refused(explain(trained, OPENS, "--image", len(test)), f"--image {len(test)}", f"{len(test)} test images")


def pixel(run: Path, value: Any) -> float:
    net, *_ = checkpoint.load(run / CHECKPOINT)
    return float((value - net.offset[0]) * net.factor[0])


def test_a_label_of_ones_own(explain: Any, trained: Path) -> None:
    one = told(explain(trained, "loss.target[3]", "--label", "3", "--json", "--image", 1))
    assert one["value"] == 1
    refused(explain(trained, OPENS, "--label", "cat"), "--label 'cat'", "choose from 0")


def picture(folder: Path, name: str = "three.png", shape: tuple[int, ...] = (8, 8)) -> Path:
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    image.fromarray(values).save(folder / name)
    return folder / name


def test_an_image_file(explain: Any, trained: Path, tmp_path: Path) -> None:
    file = picture(tmp_path)
    one = told(explain(trained, "conv1.dw[0,0,0,0]", "--image", file, "--json"))
    assert_explains(one)
    said = explain(trained, "--image", file)
    assert "three.png, classified as" in said.out
    assert "classified as" not in explain(trained, "--image", file, "--label", "3").out
    refused(explain(trained, OPENS, "--image", "none.png"), "none.png")
    (tmp_path / "text.png").write_text("no picture")
    refused(explain(trained, OPENS, "--image", tmp_path / "text.png"), "text.png")
    refused(explain(trained, OPENS, "--image", "-1"), "-1")
    refused(explain(trained, OPENS, "--image", "²"), "²")  # a digit, and no whole number


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other", "shape"])
def test_damaged_images_are_told(explain: Any, run_copy: Path, damage: str) -> None:
    path = run_copy / IMAGES
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage in ("text", "empty"):
        path.write_text("no tensors" if damage == "text" else "")
    else:
        import safetensors.numpy

        arrays = {"other": np.zeros(3)} if damage == "other" else {"images": np.zeros((2, 8)), "labels": np.zeros(2)}
        path.write_bytes(safetensors.numpy.save(arrays))
    refused(explain(run_copy, OPENS), IMAGES, "is damaged", "remove it")
    path.unlink()
    assert_explains(told(explain(run_copy, OPENS, "--json")))  # read from the data


@pytest.mark.filterwarnings("ignore:test image 0")
def test_kept_images_that_do_not_fit_the_network_are_told(explain: Any, run_copy: Path) -> None:
    import safetensors.numpy

    arrays = {"images": np.zeros((2, 1, 5, 5), np.uint8), "labels": np.zeros(2, np.int64)}
    (run_copy / IMAGES).write_bytes(safetensors.numpy.save(arrays))
    refused(explain(run_copy, OPENS), "5, 5", "8")
    arrays = {"images": np.zeros((2, 1, 8, 8), np.uint8), "labels": np.full(2, 77)}
    (run_copy / IMAGES).write_bytes(safetensors.numpy.save(arrays))
    refused(explain(run_copy, OPENS), "label 77", "10 outputs")


def saved(folder: Path, net: Network | None = None, **about: Any) -> Path:
    """A checkpoint of an untrained network."""
    checkpoint.save(folder / "untrained.safetensors", net or model("mnist-cnn").network(), about=about)
    return folder / "untrained.safetensors"


def test_a_run_without_images_or_data(explain: Any, run_copy: Path, tmp_path: Path) -> None:
    file = saved(tmp_path, Network.from_json({"input": [1, 8, 8], "layers": LAYERS}))
    said = refused(explain(file, OPENS), "holds no images", "--image FILE")
    assert "untrained.safetensors" in said
    assert_explains(told(explain(file, OPENS, "--image", picture(tmp_path), "--json")))
    shutil.copy(file, run_copy / CHECKPOINT)
    (run_copy / BEST).unlink(missing_ok=True)
    refused(explain(run_copy, OPENS, "--image", MOST_KEPT), f"holds {MOST_KEPT} images")
    (run_copy / IMAGES).unlink()
    refused(explain(run_copy, OPENS), "holds no images")


@pytest.mark.parametrize(("validation", "part"), [(None, "training"), (0.1, "validation")])
def test_a_run_made_in_python_holds_images_to_explain(
    explain: Any, tmp_path: Path, validation: float | None, part: str
) -> None:
    run, data = tmp_path / "run", digits().train.take(slice(0, 200))
    net = Network.from_json({"input": [1, 8, 8], "layers": LAYERS})
    train(net, data, epochs=1, validation=validation, out=run, threads=1)
    assert f"{part} image 1" in told(explain(run, "--image", 1, "--json"))["title"]
    assert_explains(told(explain(run, OPENS, "--json")))
    refused(explain(run, OPENS, "--image", MOST_KEPT), f"holds {MOST_KEPT} images", "--image FILE")
    images, labels, _ = kept_images(run) or ((), (), "")
    held = data.split(validation)[1] if validation else data
    np.testing.assert_array_equal(images, held.images[:MOST_KEPT])
    np.testing.assert_array_equal(labels, held.labels[:MOST_KEPT])


def test_a_checkpoint_file_is_a_run(explain: Any, trained: Path) -> None:
    file = trained / CHECKPOINT
    one, other = (told(explain(each, "conv1.dw[0,0,1,1]", "--json")) for each in (file, trained))
    assert one["value"] == other["value"]


def test_data_that_have_gone_are_told(explain: Any, run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plaingrad.cli import explain_run
    from plaingrad.errors import DataError

    def gone(*_: Any) -> None:
        raise DataError("the folder is empty")

    monkeypatch.setattr(explain_run, "load", gone)
    assert_explains(told(explain(run_copy, OPENS, "--json")))  # an image was kept
    refused(explain(run_copy, OPENS, "--image", 50), f"holds {MOST_KEPT} images", "the folder is empty")


# Updates


def test_an_example_takes_a_plain_step_unless_told(explain: Any) -> None:
    after = "conv1.w_after[0,0,1,0]"
    said = explain("--example", "first-cnn", after).out
    assert "conv1.w[0,0,u,v] − rate × conv1.dw[0,0,u,v]\n" in said
    assert "with rate = 0.1, momentum = 0, decay = 0" in said
    assert "m̂" in explain("--example", "first-cnn", after, "--optimiser", "adam").out


def test_the_optimiser_is_the_runs_own_unless_told(explain: Any, trained: Path) -> None:
    after = "conv1.w_after[0,0,1,1]"
    own = told(explain(trained, after, "--json"))
    sgd = told(explain(trained, after, "--json", "--optimiser", "sgd", "--rate", 0.5))
    assert_explains(own)
    assert own["value"] != sgd["value"]
    slope, weight = (told(explain(trained, f"conv1.{name}[0,0,1,1]", "--json"))["value"] for name in ("dw", "w"))
    assert sgd["value"] == weight - 0.5 * slope  # with no velocity yet
    for name in ("nesterov", "adam", "adamw"):
        assert_explains(told(explain(trained, after, "--json", "--optimiser", name)))
    refused(explain(trained, after, "--optimiser", "adamant"), "--optimiser got 'adamant'", "did you mean")
    refused(explain(trained, after, "--rate", -1), "rate")


def test_the_runs_own_slots_are_used(explain: Any, trained: Path) -> None:
    _, arrays, _ = checkpoint.load(trained / (BEST if (trained / BEST).is_file() else CHECKPOINT))
    slots = [name for name in arrays if name.endswith("conv1.w")]
    assert slots
    for name in slots:
        slot = name.split(".")[1]
        one = told(explain(trained, f"conv1.w_{slot}[1,0,2,2]", "--json"))
        assert one["value"] == float(arrays[name][1, 0, 2, 2])


# What cannot be


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ("needs a RUN", "--example NAME")),
        (("run", "conv1.y[0,0,0]", "more"), ("takes a RUN and a QUANTITY", "more")),
        (("--example", "first-cnn", "conv1.y[0,0,0]", "more"), ("takes a QUANTITY",)),
        (("--example", "first-cn"), ("no example 'first-cn'", "did you mean 'first-cnn'")),
        (("--example", "first-cnn", "--image", "3"), ("an example has its own image",)),
        (("--example", "first-cnn", "--label", "3"), ("an example has its own image",)),
        (("--example", "first-cnn", "--data-dir", "."), ("an example has its own image",)),
        (("--example", "first-cnn", "conv2.y[0,0,0]"), ("no layer 'conv2'", "did you mean 'conv1'")),
        (("--example", "first-cnn", "conv1.winer[0]"), ("no quantity 'winer'", "choose from b, ")),
        (("--example", "first-cnn", "conv1.y[0,9,0]"), ("out of range", "[0,3,3]")),
        (("--example", "first-cnn", "conv1.y"), ("holds 16 numbers",)),
        (("--example", "first-cnn", "conv1.y[[0]"), ("cannot read",)),
        (("--example", "first-cnn", "\n"), ("no layer",)),
        (("--example", "first-cnn", "--rate", "fast"), ("--rate",)),
        (("--example", "first-cnn", "--nonsense"), ("--nonsense",)),
        (("no-such-run",), ("no-such-run",)),
        (("no-such-run", "conv1.y[0,0,0]"), ("no-such-run",)),
        ((".",), ("is not a run folder",)),
    ],
    ids=lambda each: " ".join(each)[:50],
)
@pytest.mark.parametrize("json_too", [False, True])
def test_what_cannot_be_is_one_line(
    explain: Any, words: tuple[str, ...], parts: tuple[str, ...], json_too: bool
) -> None:
    refused(explain(*words, *(["--json"] if json_too else [])), *parts)


def test_a_damaged_checkpoint_is_told(explain: Any, run_copy: Path) -> None:
    for name in (BEST, CHECKPOINT):
        if (run_copy / name).is_file():
            (run_copy / name).write_bytes(b"nothing")
    refused(explain(run_copy, OPENS), "run")


@pytest.mark.long
def test_a_page_too_large_is_refused_and_a_slice_is_written(explain: Any, tmp_path: Path) -> None:
    file, image = saved(tmp_path), picture(tmp_path, shape=(28, 28))
    refused(explain(file, "--html", "page.html", "--image", image), "a browser can take", "conv1.dw[0,0,0,0]")
    assert not Path("page.html").exists()
    page = told(explain(file, "conv2.dw[3,2,1,0]", "--html", "page.html", "--image", image, "--json"))
    assert page["bytes"] <= 8_000_000
    assert "the part of a large network that leads to conv2.dw[3,2,1,0]" in Path("page.html").read_text("utf-8")


def test_one_number_of_a_large_network(explain: Any, tmp_path: Path) -> None:
    file, image = saved(tmp_path), picture(tmp_path, shape=(28, 28))
    assert_explains(told(explain(file, "conv2.dw[3,2,1,0]", "--image", image, "--json")))


def test_a_network_of_features_takes_no_image_file(explain: Any, tmp_path: Path) -> None:
    net = Network.from_json({"input": [5], "layers": [{"kind": "Dense", "units": 3}]})
    refused(
        explain(saved(tmp_path, net), "dense1.y[0]", "--image", picture(tmp_path)), "5 features", "not an image file"
    )


def test_nan_is_shown_and_is_null_in_json(explain: Any, tmp_path: Path) -> None:
    net = Network.from_json({"input": [1, 8, 8], "layers": LAYERS})
    net["conv1"].w[0, 0, 0, 0] = np.nan
    file, image = saved(tmp_path, net), picture(tmp_path)
    one = told(explain(file, "conv1.y[0,3,3]", "--image", image, "--json"))
    assert one["value"] is None
    assert "conv1.y[0,3,3] = NaN" in explain(file, "conv1.y[0,3,3]", "--image", image).out
    assert explain(file, "--html", "page.html", "--image", image).code == 0
    data = Path("page.html").read_text("utf-8").split('id="data">')[1].split("</script>")[0]
    json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_names_with_markup_are_escaped_in_the_page(explain: Any, tmp_path: Path) -> None:
    net = Network.from_json({"name": "<script>alert(1)</script> $x_1$", "input": [1, 8, 8], "layers": LAYERS})
    file, image = saved(tmp_path, net, classes=["</script>", *"abcdefghi"]), picture(tmp_path)
    assert explain(file, "--html", "page.html", "--image", image).code == 0
    page = Path("page.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("</script>") == 2


def test_an_example_is_what_the_library_makes(explain: Any) -> None:
    run = example("first-cnn")
    one = told(explain("--example", "first-cnn", OPENS, "--json"))
    assert one["run_value"] == run["conv1"].dw[0, 0, 0, 0]
