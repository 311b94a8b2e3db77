"""`plaingrad explain --network`: a network of one's own, on any image and weights; what cannot be is one clear line."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import plaingrad as pg
from plaingrad.cli.main import main
from plaingrad.cli.terminal import patience
from plaingrad.network.network import Network
from plaingrad.training import checkpoint

LAYERS = [
    {"kind": "Conv", "filters": 2, "size": 3},
    {"kind": "ReLU"},
    {"kind": "MaxPool", "size": 2},
    {"kind": "Flatten"},
    {"kind": "Dense", "units": 3},
]
ASKED = "conv1.dw[0,0,1,2]"


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `plaingrad explain --network mine.json` in a folder of its own: code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    described()

    def run(*arguments: object, network: object = "mine.json") -> tuple[Any, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["explain", "--network", str(network), *map(str, arguments)])
        return (ended.value.code or 0, *capsys.readouterr())

    return run


def described(layers: Any = LAYERS, shape: Any = (1, 6, 6), name: str = "mine.json", **more: Any) -> str:
    Path(name).write_text(json.dumps({"input": list(shape), "layers": layers, **more}))
    return name


def mine(seed: int = 0) -> Network:
    return Network.from_json({"input": [1, 6, 6], "layers": LAYERS}, seed=seed, dtype="float64")


def value(said: tuple[Any, str, str]) -> float:
    code, out, err = said
    assert (code, err) == (0, "")
    made: float = json.loads(out)["value"]
    return made


def pixels(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 10, (1, 1, 6, 6)) / 10


@pytest.mark.parametrize("seed", [0, 7])
def test_it_is_the_network_with_its_starting_weights(explain: Any, seed: int) -> None:
    net = mine(seed)
    wanted = net.run(pixels(seed), [2])["conv1"].dw[0, 0, 1, 2]
    assert wanted
    told = value(explain(ASKED, "--seed", seed, "--label", 2, "--json"))
    assert told == pytest.approx(wanted, rel=1e-12)  # float64, a sum of at most 16 terms of one size or smaller
    assert value(explain(ASKED, "--seed", seed, "--label", 2, "--input", "random", "--json")) == told


def test_without_a_label_the_predicted_class_is_the_true_one(explain: Any) -> None:
    predicted = int(mine().run(pixels(0)).output[0].argmax())
    assert value(explain(ASKED, "--json")) == value(explain(ASKED, "--label", predicted, "--json"))
    assert f"classified as {predicted}" in explain()[1].splitlines()[0]


def test_an_image_file(explain: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    grey = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
    image.fromarray(grey).save("six.png")
    assert value(explain("input[0,1,2]", "--input", "six.png", "--json")) == grey[1, 2] / 255
    assert "on six.png" in explain("--input", "six.png")[1]


def test_weights_of_a_safetensors_file_a_checkpoint_and_a_run_folder(explain: Any, tmp_path: Path) -> None:
    net = mine(5)
    wanted = net.run(pixels(0), [1])["conv1"].dw[0, 0, 1, 2]
    safetensors.numpy.save_file({name: array.copy() for name, array in net.arrays.items()}, "w.safetensors")
    checkpoint.save(tmp_path / "c", net)
    (tmp_path / "run").mkdir()
    checkpoint.save(tmp_path / "run" / "checkpoint.safetensors", net)
    for file in ("w.safetensors", "c", "run"):
        assert value(explain(ASKED, "--weights", file, "--label", 1, "--json")) == pytest.approx(wanted, rel=1e-12), (
            file
        )
    assert "the weights of w.safetensors" in explain("--weights", "w.safetensors")[1].splitlines()[0]


def test_a_checkpoint_brings_how_it_scales_pixels(explain: Any, tmp_path: Path) -> None:
    net = mine(5)
    net.offset[:], net.factor[:] = 0.5, 2
    checkpoint.save(tmp_path / "c", net)
    assert value(explain("input[0,0,0]", "--weights", "c", "--json")) == (pixels(0)[0, 0, 0, 0] - 0.5) * 2


def test_a_network_that_ends_in_a_softmax_has_the_cross_entropy_of_its_probabilities(explain: Any) -> None:
    described([*LAYERS, {"kind": "Softmax"}], name="soft.json")
    one = value(explain("dense1.dy[0]", "--label", 0, "--json"))
    other = value(explain("dense1.dy[0]", "--label", 0, "--json", network="soft.json"))
    assert one == pytest.approx(other, rel=1e-12)


def test_built_in_networks_and_features(explain: Any) -> None:
    assert explain("dense1.dw[0,0]", network="digits")[1].startswith("dense1.dw[0,0] = ")
    described([{"kind": "Dense", "units": 2}], (4,), "row.json")
    assert explain("dense1.dw[0,0]", network="row.json")[1].startswith("dense1.dw[0,0] = ")


def test_formulas_as_mathml(explain: Any) -> None:
    out = explain(ASKED, "--mathml")[1]
    assert out.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML">')
    assert out == json.loads(explain(ASKED, "--json")[1])["mathml"] + "\n"


def test_symbols_are_said_once_and_short(explain: Any) -> None:
    pytest.importorskip("sympy")
    described([{"kind": "Conv", "filters": 1, "size": 2}, {"kind": "Flatten"}], (1, 3, 3), "small.json")
    out = explain("conv1.y[0,0,1]", "--symbols", network="small.json")[1]
    assert out.count("conv1.y[0,0,1] = ") == 1
    assert "LaTeX" not in out
    assert "math" not in out
    assert len(out) < 300


def test_a_page(explain: Any) -> None:
    assert "mine with random weights on random pixels" in explain("--html", "page.html")[1]
    assert "mine with random weights on random pixels" in Path("page.html").read_text("utf-8")


NO_JSON = '{"input": [1, 6, 6], '
BAD: dict[str, tuple[list[Any], str, str]] = {
    "no file": ([ASKED], "none.json", "cannot read the network none.json"),
    "no network of that name": ([ASKED], "nobody", "there is no model 'nobody'"),
    "not JSON": ([ASKED], "broken.json", "is not JSON"),
    "no layers": ([ASKED], "empty.json", "a network is written"),
    "an unknown layer": ([ASKED], "kind.json", "Konv"),
    "windows that do not fit": ([ASKED], "wide.json", "conv1"),
    "too large": ([ASKED], "huge.json", "GiB"),
    "ends in maps": ([ASKED], "maps.json", "ends in maps"),
    "no such number": (["conv9.dw[0,0,0,0]"], "mine.json", "conv9"),
    "a place outside": (["conv1.dw[9,0,0,0]"], "mine.json", "conv1.dw"),
    "two numbers": ([ASKED, ASKED], "mine.json", "explain takes a QUANTITY"),
    "no such image": ([ASKED, "--input", "none.png"], "mine.json", "none.png"),
    "an image that is none": ([ASKED, "--input", "broken.json"], "mine.json", "broken.json"),
    "an image for features": ([ASKED, "--input", "a.png"], "row.json", "takes 4 features"),
    "no such class": ([ASKED, "--label", "7"], "mine.json", "--label '7' is not a class"),
    "a negative seed": ([ASKED, "--seed", "-1"], "mine.json", "seed"),
    "no such weights": ([ASKED, "--weights", "none"], "mine.json", "none"),
    "weights that are none": ([ASKED, "--weights", "broken.json"], "mine.json", "is damaged or not a safetensors file"),
    "weights with one missing": ([ASKED, "--weights", "few"], "mine.json", "for dense1.b it has no such array"),
    "weights of another shape": ([ASKED, "--weights", "shape"], "mine.json", "needs (2, 1, 3, 3)"),
    "weights that are not finite": ([ASKED, "--weights", "nan"], "mine.json", "not finite"),
    "weights that are whole numbers": ([ASKED, "--weights", "whole"], "mine.json", "finite floats"),
    "an example too": ([ASKED, "--example", "first-cnn"], "mine.json", "not both"),
    "a test image": ([ASKED, "--image", "3"], "mine.json", "--input"),
    "MathML of nothing": (["--mathml"], "mine.json", "name a QUANTITY"),
    "MathML on a page": (["--mathml", "--html", "p.html"], "mine.json", "leave out"),
}


@pytest.mark.parametrize("which", BAD)
def test_what_cannot_be_is_one_clear_line(explain: Any, which: str) -> None:
    Path("broken.json").write_text(NO_JSON)
    Path("empty.json").write_text("{}")
    described([{"kind": "Konv"}], name="kind.json")
    described([{"kind": "Conv", "filters": 1, "size": 9}], name="wide.json")
    described([{"kind": "Flatten"}, {"kind": "Dense", "units": 10**5}], (1, 1000, 1000), "huge.json")
    described(LAYERS[:2], name="maps.json")
    described([{"kind": "Dense", "units": 2}], (4,), "row.json")
    arrays = {name: array.copy() for name, array in mine().arrays.items()}
    w = arrays["conv1.w"]
    others = {"few": {"dense1.b": None}, "shape": {"conv1.w": w[:1]}, "nan": {"conv1.w": w * np.nan}}
    others["whole"] = {"conv1.w": w.astype(np.int64)}
    for name, changed in others.items():
        kept = {key: array for key, array in {**arrays, **changed}.items() if array is not None}
        safetensors.numpy.save_file(kept, name)
    arguments, network, wanted = BAD[which]
    code, out, err = explain(*arguments, network=network)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert err.startswith("plaingrad: ")
    assert wanted in err, err


@pytest.mark.parametrize("option", ["--input", "--weights", "--seed"])
def test_options_of_a_network_need_one(explain: Any, capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "--example", "first-cnn", ASKED, option, "1"])
    assert ended.value.code == 2
    assert "add --network FILE" in capsys.readouterr().err


def test_names_in_a_file_do_not_command_the_terminal(explain: Any) -> None:
    Path("evil.json").write_text(json.dumps({"name": "\x1b[2J\u202e", "input": [1, 6, 6], "layers": LAYERS}))
    for arguments in ((), (ASKED,), ("--weights", "evil.json"), ("nothing[0]",)):
        _, out, err = explain(*arguments, network="evil.json")
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err


def test_the_text_of_an_example_and_that_of_the_same_network_in_a_file_agree(explain: Any) -> None:
    """One path: the numbers of an example, written to a file as a network and its weights."""
    run = pg.example("first-cnn")
    Path("first.json").write_text(json.dumps(run.net.to_json()))
    safetensors.numpy.save_file({name: array.copy() for name, array in run.net.arrays.items()}, "first.safetensors")
    said = explain("dense1.w[0,1]", "--weights", "first.safetensors", "--json", network="first.json")
    assert value(said) == run.net["dense1"].w[0, 1]


def test_who_waits_at_a_terminal_is_told_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with patience("compiling", after=0.01):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""  # not a terminal: nothing but results and errors
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with patience("compiling", after=30):
        pass
    assert capsys.readouterr().err == ""
    with patience("compiling", after=0.01):
        deadline = time.monotonic() + 10
        while not (said := capsys.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert said == "compiling\n"
