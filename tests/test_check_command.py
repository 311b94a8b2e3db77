"""`plaingrad case` and `plaingrad check`: what they say, how they end, and one clear line for all that cannot be."""

import contextlib
import copy
import io
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from often import counts
from plaingrad.checking import Case, make_case
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.search.names import known_names
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE, RIGHT, UNCLEAR
from plaingrad.cli.main import main
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.network.models import MODELS
from students import Student, Ways, told

ROOT = Path(__file__).parents[1]
PROGRAM = (ROOT / "examples/python/main.py").read_text(encoding="utf-8")
DEFAULT, SIMPLE = make_case(), make_case(simple=True)
EXIT = {RIGHT: 0, CONVENTION: 0, MISTAKE: 1, UNCLEAR: 1}
STATUSES = {"agrees", "follows", "another convention", "wrong", "not judged"}
LONGEST = 1500
Answered = dict[str, np.ndarray]


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def command(*arguments: object) -> Said:
    """Run a command in this process."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as ended,
    ):
        main([str(each) for each in arguments])
    return Said(ended.value.code or 0, out.getvalue(), err.getvalue())


def refused(*arguments: object) -> str:
    """The one line of a command that cannot be."""
    said = command(*arguments)
    assert (said.code, said.out) == (2, ""), said
    return one_line(said.err)


def one_line(text: str) -> str:
    assert text.startswith("plaingrad")
    assert text.endswith("\n")
    assert text[:-1].isprintable(), "one line, and nothing a terminal would act on"
    assert len(text) < LONGEST
    return text


def strict(text: str) -> Any:
    """JSON as any reader takes it: one line, nothing that is not finite."""
    assert text.count("\n") == 1

    def none(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=none)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a case."""
    monkeypatch.chdir(tmp_path)
    Path("case.json").write_text(DEFAULT.text(), encoding="utf-8")
    return tmp_path


def right(case: Case = DEFAULT, **ways: Any) -> Answered:
    """What a right program answers; with ways of its own, where there are several right ones."""
    return told(Student(case, ways=Ways(**ways)).arrays())


def write(answer: dict[str, Any], path: str = "answer.json") -> str:
    lists = {name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in answer.items()}
    Path(path).write_text(json.dumps(lists), encoding="utf-8")
    return path


def verdict_on(answer: dict[str, Any], case: str = "case.json") -> dict[str, Any]:
    """The verdict as JSON, held against the exit code and against the words."""
    path = write(answer)
    said, words = command("check", case, path, "--json"), command("check", case, path)
    verdict = strict(said.out)
    assert said.code == words.code == EXIT[verdict["verdict"]]
    assert said.err == words.err == ""
    assert words.out.upper().startswith(verdict["verdict"].upper())
    for each in (*verdict["mistakes"], *verdict["conventions"]):
        assert each["title"] in words.out
        assert each["advice"] in words.out
    return verdict


def python(code: str) -> str:
    """A command line that runs a Python program."""
    Path("program.py").write_text(code, encoding="utf-8")
    return shlex.join([sys.executable, "program.py"])


# Right answers, however they come


def as_json(answer: Answered) -> list[str]:
    return [write(answer)]


def as_objects(answer: Answered) -> list[str]:
    nested: dict[str, Any] = {}
    for name, array in answer.items():
        *way, last = name.split(".")
        at = nested
        for part in way:
            at = at.setdefault(part, {})
        at[last] = array.tolist()
    Path("answer.json").write_text(json.dumps(nested), encoding="utf-8")
    return ["answer.json"]


def as_npz(answer: Answered) -> list[str]:
    np.savez("answer.npz", **answer)
    return ["answer.npz"]


def as_csv(answer: Answered) -> list[str]:
    Path("tables").mkdir()
    for name, array in answer.items():
        rows = np.atleast_2d(array).reshape(len(array) if array.ndim else 1, -1)
        np.savetxt(f"tables/{name}.csv", rows, delimiter=",", fmt="%.17g")
    return ["tables"]


def as_program(answer: Answered) -> list[str]:
    return ["--run", python(f"import sys\nsys.stdin.read()\nprint(open({write(answer)!r}).read())")]


@pytest.mark.parametrize("form", [as_json, as_npz, as_csv, as_program])
def test_a_right_answer_is_right_in_every_form(here: Path, form: Callable[[Answered], list[str]]) -> None:
    answer = right()
    said = command("check", "case.json", *form(answer), "--json")
    verdict = strict(said.out)
    assert (said.code, said.err, verdict["verdict"]) == (0, "", RIGHT)
    assert {each["name"] for each in verdict["quantities"]} == answer.keys()
    assert {each["status"] for each in verdict["quantities"]} == {"agrees"}


def test_layers_may_be_objects_of_their_own(here: Path) -> None:
    answer = {
        name: array for name, array in right().items() if not name.endswith("loss")
    }  # loss and loss.dx cannot both
    said = command("check", "case.json", *as_objects(answer), "--json")
    assert strict(said.out)["verdict"] == RIGHT


def test_an_answer_on_stdin(here: Path) -> None:
    write(right())
    with open("answer.json", "rb") as answer:
        done = subprocess.run(
            [sys.executable, "-m", "plaingrad", "check", "case.json", "-"], stdin=answer, capture_output=True, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("RIGHT")


@pytest.mark.parametrize("names", [["conv1.dw"], ["loss"], ["dense1.dx", "step2.conv2.db"], ["step1.conv1.w"]])
def test_a_part_of_an_answer_is_judged_by_itself(here: Path, names: list[str]) -> None:
    answer = right()
    verdict = verdict_on({name: answer[name] for name in names})
    assert verdict["verdict"] == RIGHT
    assert [each["name"] for each in verdict["quantities"]] == names


def test_step1_may_be_written_and_letters_may_be_large(here: Path) -> None:
    answer = right()
    for name in ("step1.conv1.dw", "CONV1.DW", "conv1/dw", " conv1.dw "):
        assert verdict_on({name: answer["conv1.dw"]})["verdict"] == RIGHT, name


# What is told


def test_the_json_has_what_a_program_needs(here: Path) -> None:
    answer = right(make_case(steps=1))
    answer = {name: array for name, array in answer.items() if not name.startswith("step")}  # nothing rests on these
    answer["conv1.db"] = np.zeros_like(answer["conv1.db"])
    answer["conv2.dw"] = np.random.default_rng(0).normal(size=answer["conv2.dw"].shape)
    verdict = verdict_on(answer)
    assert verdict.keys() == {
        *("verdict", "first_wrong", "precision", "mistakes", "unclear", "conventions", "quantities", "notes"),
        "cannot_show",
    }
    assert verdict["first_wrong"] == "conv2.dw"
    names = [each["name"] for each in verdict["quantities"]]
    assert sorted(names) == sorted(answer)
    assert all(each["status"] in STATUSES for each in verdict["quantities"])
    assert [each["name"] for each in verdict["quantities"] if each["status"] == "wrong"] == ["conv2.dw", "conv1.db"]
    assert [each["where"] for each in verdict["mistakes"]] == [["conv1.db"]]
    (unclear,) = verdict["unclear"]
    assert unclear["where"] == "conv2.dw"
    assert set(unclear["tried"]) <= CATALOGUE.keys()


def test_a_mistake_is_told_whole(here: Path) -> None:
    answer = right()
    answer["conv1.dw"] = answer["conv1.dw"][:, :, ::-1, ::-1]
    verdict = verdict_on(answer)
    (mistake,) = verdict["mistakes"]
    assert mistake.keys() >= {"id", "title", "where", "evidence", "advice", "trains"}
    known = CATALOGUE[mistake["id"]]
    assert (mistake["title"], mistake["advice"]) == (known.title, known.advice)
    assert (verdict["verdict"], verdict["first_wrong"]) == (MISTAKE, "conv1.dw")
    assert mistake["where"] == ["conv1.dw"]
    assert mistake["id"] == "gradient-rotated"
    assert isinstance(mistake["trains"], str)
    truth = right()["conv1.dw"]
    for cell in mistake["cells"]:
        assert cell["given"] == answer["conv1.dw"][tuple(cell["place"])]
        assert np.isclose(
            cell["expected"], truth[tuple(cell["place"])], rtol=1e-12
        )  # float64, far apart from the given
        assert any(f"{cell['given']:.6g}" in line for line in mistake["evidence"])


def test_what_only_follows_is_not_called_wrong(here: Path) -> None:
    """A program that goes on with its own wrong numbers; the first of them alone is its mistake."""
    verdict = strict(command("check", "case.json", "--run", python(broken("bias-of-the-last-position")), "--json").out)
    assert (verdict["verdict"], verdict["first_wrong"]) == (MISTAKE, "conv2.db")
    assert [each["id"] for each in verdict["mistakes"]] == ["one-position"]
    wrong = {each["name"] for each in verdict["quantities"] if each["status"] == "wrong"}
    assert wrong == set(verdict["mistakes"][0]["where"]) == {"conv2.db", "conv1.db", "step2.conv2.db", "step2.conv1.db"}
    follows = {each["name"] for each in verdict["quantities"] if each["status"] == "follows"}
    assert "step2.loss" in follows
    assert "conv1.dw" not in follows | wrong


def broken(name: str) -> str:
    """The program in examples/ with one of its mistakes."""
    (edit,) = (each for each in json.loads((ROOT / "examples/broken.json").read_text("utf-8")) if each["id"] == name)
    assert PROGRAM.count(edit["old"]) == 1
    return PROGRAM.replace(edit["old"], edit["new"])


@pytest.mark.parametrize(
    "ways",
    [
        {"sum": True},
        {"sum": True, "divided": False},
        {"negated": True},
        {"turned": "all"},
        {"stored_turned": "all"},
        {"tie": "last"},
        {"tie": "all"},
        {"last": True},
    ],
    ids=str,
)
@pytest.mark.often(2)
def test_another_convention_is_named_and_is_right(here: Path, ways: dict[str, Any]) -> None:
    verdict = verdict_on(right(**ways))
    assert EXIT[verdict["verdict"]] == 0
    assert (verdict["verdict"] == CONVENTION) == bool(verdict["conventions"])
    assert not verdict["mistakes"]


@pytest.mark.long
def test_numbers_without_a_pattern_are_unclear(here: Path) -> None:
    answer = {name: array for name, array in right().items() if not name.startswith("step")}
    answer["conv2.dw"] = np.random.default_rng(0).normal(size=answer["conv2.dw"].shape)
    verdict = verdict_on(answer)
    assert (verdict["verdict"], verdict["first_wrong"], verdict["mistakes"]) == (UNCLEAR, "conv2.dw", [])
    (unclear,) = verdict["unclear"]
    assert len(unclear["tried"]) > 10
    assert "no known mistake gives its numbers" in command("check", "case.json", "answer.json").out


# Names and shapes


def test_an_unknown_name_is_left_out_and_the_nearest_is_told(here: Path) -> None:
    answer = right()
    verdict = verdict_on({"conv1.dw": answer["conv1.dw"], "conv1.bd": answer["conv1.db"]})
    assert verdict["verdict"] == RIGHT
    assert verdict["notes"] == ["conv1.bd is not a quantity of this case and was left out; did you mean conv1.db?"]
    assert "did you mean conv1.db?" in command("check", "case.json", "answer.json").out


def test_an_answer_of_unknown_names_is_one_line(here: Path) -> None:
    assert "did you mean conv1.dw?" in refused("check", "case.json", write({"conv1.dww": 1.0}))
    assert "answer.quantities" in refused("check", "case.json", write({"Überraschung\n\x1b[31m": 1.0}))


def test_weights_that_were_given_are_nothing_to_check(here: Path) -> None:
    assert "before the first step" in refused("check", "case.json", write(dict(DEFAULT.net.arrays)))


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (1, 2, 3, 0), (2, 3, 1, 0)])
def test_axes_in_another_order_are_found_out(here: Path, order: tuple[int, ...]) -> None:
    answer = right()
    maps = {
        name: each.transpose(order) for name, each in answer.items() if name.endswith((".dx", ".y")) and each.ndim == 4
    }
    verdict = verdict_on(answer | maps)
    assert verdict["verdict"] == CONVENTION
    names = ("image", "channel", "row", "column")
    assert f"images are ({', '.join(names[axis] for axis in order)})" in [
        each["title"] for each in verdict["conventions"]
    ]


def test_one_array_in_another_order_than_the_others_is_told(here: Path) -> None:
    answer = right()
    verdict = verdict_on(answer | {"conv2.y": answer["conv2.y"].transpose(1, 2, 3, 0)})
    assert verdict["verdict"] == CONVENTION or verdict["notes"]


def test_one_kernel_turned_among_others_is_no_layout(here: Path) -> None:
    answer = right()
    verdict = verdict_on(answer | {"conv2.dw": answer["conv2.dw"][:, :, ::-1, ::-1]})
    assert [each["id"] for each in verdict["mistakes"]] == ["gradient-rotated"]


@pytest.mark.parametrize(
    ("name", "reshaped"),
    [
        ("conv1.dw", lambda k, c, u, v: (k, c, u, v + 1)),
        ("conv1.dw", lambda k, c, u, v: (k + 1, c, u, v + 1)),
        ("conv1.dw", lambda k, c, u, v: (k, c, u)),
        ("conv1.dw", lambda k, c, u, v: (k * c * u * v - 1,)),
        ("conv1.dw", lambda k, c, u, v: ()),
        ("conv1.dw", lambda k, c, u, v: (k * u, c, v)),
        ("conv1.db", lambda k: (k + 1,)),
        ("conv2.y", lambda n, c, i, j: (n, c, i + 1, j)),
        ("loss", lambda: (DEFAULT.images - 1,)),
        ("step2.dense1.dw", lambda k, c: (k, c + 1)),
    ],
)
@pytest.mark.often(2)
def test_a_shape_that_cannot_be_is_told_with_the_one_that_is_needed(
    here: Path, name: str, reshaped: Callable[..., tuple[int, ...]]
) -> None:
    """Random numbers are none of the right ones: nothing is named, and all else is judged."""
    answer = right()
    needed = answer[name].shape
    given = reshaped(*needed)
    verdict = verdict_on(answer | {name: np.random.default_rng(0).normal(size=given)})
    assert (verdict["verdict"], verdict["first_wrong"]) == (UNCLEAR, name)
    shapes = ["×".join(map(str, shape)) if shape else "one number" for shape in (given, needed)]
    assert f"{name} has the shape {shapes[0]} in place of {shapes[1]}" in verdict["unclear"][0]["evidence"][0]
    assert {each["status"] for each in verdict["quantities"] if each["name"] != name} == {"agrees"}
    assert {each["name"]: each["error"] for each in verdict["quantities"]}[name] is None


def test_a_loss_for_each_image_and_a_row_of_numbers_are_read(here: Path) -> None:
    """What has one meaning only is taken so, and where something was done to it that is noted."""
    case = make_case(steps=1)
    answer = right(case)
    probability = np.exp(answer["dense1.y"] - answer["dense1.y"].max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    each = -np.log((probability * case.batches[0].target).sum(axis=1))
    verdict = verdict_on(answer | {"loss": each, "conv1.dw": answer["conv1.dw"].ravel()})
    assert verdict["verdict"] == RIGHT
    assert any(note.startswith("loss: the mean of the 3 numbers") for note in verdict["notes"])


# Numbers that are not finite


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None])
def test_the_first_number_that_is_not_finite_is_told_with_its_place(here: Path, value: float | None) -> None:
    answer: dict[str, Any] = {name: each.tolist() for name, each in right().items()}
    answer["conv1.dw"][2][1][0][2] = answer["conv2.y"][1][4][0][1] = value
    verdict = verdict_on(answer)
    assert (verdict["verdict"], verdict["first_wrong"]) == (UNCLEAR, "conv2.y")
    assert [each["where"] for each in verdict["unclear"]] == ["conv2.y", "conv1.dw"]
    assert verdict["unclear"][0]["evidence"][0].startswith(f"conv2.y[1,4,0,1] is {'nan' if value is None else value}")
    others = {each["status"] for each in verdict["quantities"] if each["name"] not in ("conv2.y", "conv1.dw")}
    assert others == {"agrees"}


def test_no_reason_is_guessed(here: Path) -> None:
    """The scores of this case are small: no exponential overflows."""
    answer = right()
    answer["loss.dx"][0, 0] = np.nan
    verdict = verdict_on(answer)
    assert verdict["verdict"] == UNCLEAR
    assert "ruled out: 0 × log 0, log 0, and an overflow" in " ".join(verdict["unclear"][0]["evidence"])


# Programs


def test_a_program_is_run_and_its_gradients_are_right(here: Path) -> None:
    said = command("check", "case.json", "--run", python(PROGRAM))
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("RIGHT")


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="no /dev/stdin")
def test_a_case_that_can_be_read_once_reaches_the_program(here: Path) -> None:
    words = [sys.executable, "-m", "plaingrad", "check", "/dev/stdin", "--run", python(PROGRAM)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    text = (here / "case.json").read_bytes()
    done = subprocess.run(words, input=text, capture_output=True, env=environment, cwd=here, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"RIGHT")


def test_a_program_may_print_other_lines_around_its_answer(here: Path) -> None:
    code = f"import sys; sys.stdin.read(); print('reading'); print(open({write(right())!r}).read()); print('done')"
    said = command("check", "case.json", "--run", python(code))
    assert said.code == 0
    assert "note: " in said.out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("raise ValueError('no such layer')", "no such layer"),
        ("pass", "printed nothing"),
        ("print('loss', 0.5)", "holds no JSON object"),
        ("print('{\"loss\": 0.5')", "in the middle"),
        ("import time; time.sleep(30)", "still running after 0.5 s"),
    ],
)
def test_a_program_that_gives_no_answer_is_one_line(here: Path, code: str, words: str) -> None:
    assert words in refused("check", "case.json", "--run", python(code), "--time-limit", 0.5 if "sleep" in code else 60)


# What cannot be


def test_what_is_missing_or_too_much_is_one_line(here: Path) -> None:
    write(right())
    Path("empty").write_bytes(b"")
    Path("folder").mkdir()
    for arguments, words in {
        (): "CASE",
        ("case.json",): "ANSWER",
        ("case.json", "answer.json", "--run", "true"): "ANSWER",
        ("case.json", "--colour"): "--colour",
        ("case.json", "--run", ""): "no command to run",
        ("case.json", "--run", "no-such-program"): "no program no-such-program",
        ("case.json", "--run", "'unclosed"): "cannot be split",
        ("case.json", "answer.json", "--time-limit", "soon"): "--time-limit",
        ("missing.json", "answer.json"): "missing.json",
        ("empty", "answer.json"): "empty",
        ("folder", "answer.json"): "folder",
        ("answer.json", "case.json"): "not a case",
        ("case.json", "missing.json"): "no such file",
        ("case.json", "empty"): "is empty",
        ("case.json", "folder"): "folder without CSV files",
        ("case.json", "case.json"): "case.json",
    }.items():
        assert words in refused("check", *arguments), arguments


def test_a_case_with_a_fused_activation_is_refused(here: Path) -> None:
    text = json.loads(DEFAULT.text())
    text["network"]["layers"][0]["activation"] = {"kind": "ReLU"}
    Path("fused.json").write_text(json.dumps(text), encoding="utf-8")
    assert "activation" in refused("check", "fused.json", write(right()))


# The page


def test_the_page_is_written_and_the_verdict_printed(here: Path) -> None:
    pytest.importorskip("jinja2", reason="the page is made with Jinja2, which is not installed: pip install jinja2")
    plain = command("check", "case.json", write(right()))
    said = command("check", "case.json", "answer.json", "--html", "verdict.html")
    assert said == plain
    assert "RIGHT" in Path("verdict.html").read_text(encoding="utf-8").upper()
    assert "nowhere" in refused("check", "case.json", "answer.json", "--html", "nowhere/verdict.html")


# Formulas

FORMULA = "conv1.dw[0,0,1,0] = sum(i=0..3, j=0..3, conv1.dy[0,i,j] * x[0,i+1,j])"


def claim(text: str, *more: str, example: str = "first-cnn") -> Said:
    return command("check", "--example", example, "--formula", text, *more)


def test_a_formula_is_checked() -> None:
    said = claim(FORMULA)
    assert (said.code, said.err) == (0, "")
    assert "conv1.dw[0,0,1,0]: right" in said.out
    wrong = claim(FORMULA.replace("i+1", "i"))
    assert (wrong.code, wrong.err) == (1, "")
    assert "wrong" in wrong.out
    as_object = strict(claim(FORMULA, "--json").out)
    assert as_object["verdict"] == "right"
    assert as_object["true"] == pytest.approx(as_object["claimed"], rel=1e-12)  # both are exact to float64 or nearly


def test_a_formula_that_cannot_be_read_is_one_line(here: Path) -> None:
    for text in (
        "",
        "conv1.dw[0,0,1,0]",
        "conv1.dw[0,0,1,0] = ",
        "covn1.dw[0,0,1,0] = 1",
        "conv1.dw[9,9,9,9] = 1",
        "=" * 9,
    ):
        said = claim(text)
        assert (said.code, said.out) == (2, ""), text
        one_line(said.err)
    assert "first-cnn" in refused("check", "--example", "fist-cnn", "--formula", FORMULA)
    for alone in (["--formula", FORMULA], ["--example", "first-cnn"]):
        assert "both --example NAME and --formula TEXT" in refused("check", *alone)
    for more in (["case.json"], ["--run", "true"], ["--html", "page.html"]):
        assert "no case and no answer" in refused("check", "--example", "first-cnn", "--formula", FORMULA, *more)


# Cases


def made(*arguments: object) -> dict[str, Any]:
    said = command("case", *arguments)
    assert (said.code, said.err) == (0, ""), said
    return json.loads(said.out)


def kinds(case: dict[str, Any]) -> list[str]:
    return [layer["kind"] for layer in case["network"]["layers"]]


def test_a_case_is_printed_or_written(here: Path) -> None:
    assert command("case").out == DEFAULT.text()
    said = command("case", "-o", "made.json")
    assert Path("made.json").read_text(encoding="utf-8") == DEFAULT.text()
    assert (said.code, said.err) == (0, "")
    assert "plaingrad check made.json ANSWER" in said.out
    counted = strict(command("case", "-o", "made.json", "--force", "--json").out)
    assert counted == {
        "case": "made.json",
        "layers": list(DEFAULT.net.steps),
        "images": DEFAULT.images,
        "quantities": len(DEFAULT.to_json()["answer"]["quantities"]),
    }


def test_every_option_of_a_case_does_what_it_says(here: Path) -> None:
    assert made("--simple") == json.loads(SIMPLE.text())
    assert made("--seed", 0) == json.loads(DEFAULT.text())
    assert made("--seed", 1) == made("--seed", 1) != made("--seed", 2)
    assert made("--rate", 0.5)["rate"] == 0.5
    assert len(made("--steps", 3)["steps"]) == 3
    assert {len(each["x"]) for each in made("--images", 7)["steps"]} == {7}
    assert kinds(made("--layers", "conv,tanh,meanpool,flatten,dense")) == [
        "Conv",
        "Tanh",
        "MeanPool",
        "Flatten",
        "Dense",
    ]
    assert made("--loss", "meansquarederror")["loss"]["kind"] == "MeanSquaredError"
    assert made("--model", "lenet5")["network"]["input"] == list(MODELS["lenet5"].network().input)
    for name in EXAMPLES:
        case = made("--example", name)
        assert case["network"]["name"] == name
        assert case["loss"]["kind"] == type(EXAMPLES[name].loss).__name__
    description = {"input": [1, 5, 6], "layers": [{"kind": "Conv", "filters": 2, "activation": {"kind": "ReLU"}}]}
    Path("mine.json").write_text(json.dumps(description), encoding="utf-8")
    assert kinds(made("--network", "mine.json"))[:2] == ["Conv", "ReLU"], "an activation is a layer of its own"


def test_a_case_that_cannot_be_made_is_one_line(here: Path) -> None:
    Path("broken.json").write_text("{", encoding="utf-8")
    large = {"input": [1, 5, 6], "layers": [{"kind": "Conv", "filters": 2, "size": 7}]}
    Path("large.json").write_text(json.dumps(large), encoding="utf-8")
    for arguments, words in {
        ("--model", "lenet6"): "did you mean 'lenet5'",
        ("--example", "softmaxx"): "did you mean 'softmax'",
        ("--layers", "conv,rleu"): "did you mean 'relu'",
        ("--layers", ","): "layer",
        ("--network", "large.json"): "conv1",
        ("--loss", "hinge"): "there is no loss 'hinge'",
        ("--loss", "CrossEntropy"): "Softmax",
        ("--network", "missing.json"): "missing.json",
        ("--network", "broken.json"): "broken.json",
        ("--model", "lenet5", "--example", "softmax"): "--model and --example",
        ("--simple", "--layers", "conv"): "--layers and --simple",
        ("--images", 0): "images=0",
        ("--images", -3): "images=-3",
        ("--images", "many"): "--images",
        ("--steps", 0): "steps=0",
        ("--rate", 0): "rate=0",
        ("--rate", "nan"): "rate=nan",
        ("--seed", -1): "seed",
        ("-o", "nowhere/case.json"): "nowhere/case.json",
        ("-o", "."): "directory",
        ("extra",): "unexpected extra argument",
    }.items():
        assert words in refused("case", *arguments), arguments


# Answers that were damaged: a verdict or one line, whatever it is

VALUES: list[Any] = [
    None, float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, 0.0, -0.0, 1, -1, 1e-30, 1e30, 10**400,
    True, "0.5", "", "NaN", [], [1.0], [[1.0, 2.0]], {}, {"w": 1.0}, "conv1.dw", "é\n\x00",
]  # fmt: skip
NAMES = ["", ".", "loss.dx.dx", "step3.conv1.dw", "step0.loss", "conv9.y", "é\n\x1b[2J", "w", "x" * 300, "step2."]
Rng = np.random.Generator


def chosen(rng: Rng, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def damage_value(answer: dict[str, Any], name: str, rng: Rng) -> None:
    """One number, or one list of numbers, is something else."""
    value = copy.deepcopy(chosen(rng, VALUES))
    at = answer
    key: Any = name
    while isinstance(at[key], list) and at[key] and rng.random() < 0.9:
        at, key = at[key], int(rng.integers(len(at[key])))
    at[key] = value


def damage_array(answer: dict[str, Any], name: str, rng: Rng) -> None:
    """A whole array is changed."""
    try:
        array = np.array(answer[name], float)
    except (TypeError, ValueError, OverflowError):
        return  # it was damaged before
    axis = int(rng.integers(array.ndim)) if array.ndim else 0
    changes: list[Callable[[], Any]] = [
        lambda: array * chosen(rng, [-1, 0, 2, 0.25, 1e-12, 1e12, 1e200]),
        lambda: array + rng.normal(size=array.shape) * chosen(rng, [1e-14, 1e-7, 1e-3, 1.0, 1e6]),
        lambda: np.round(array, int(rng.integers(5))),
        lambda: array.ravel(),
        lambda: array.T,
        lambda: array.transpose(rng.permutation(array.ndim)),
        lambda: array[None],
        lambda: np.flip(array, axis) if array.ndim else -array,
        lambda: np.roll(array, 1, axis) if array.ndim else array + 1,
        lambda: np.delete(array, 0, axis) if array.ndim else array,
        lambda: np.concatenate([array, array], axis) if array.ndim else np.array([array, array]),
        lambda: array.sum(axis=axis) if array.ndim else array,
        lambda: rng.permuted(array) if array.ndim else array,
        lambda: np.abs(array),
    ]
    with np.errstate(all="ignore"):
        answer[name] = chosen(rng, changes)().tolist()


def damage_names(answer: dict[str, Any], name: str, rng: Rng) -> None:
    """Quantities are missing, exchanged, renamed, or there are others."""
    other = chosen(rng, list(answer))
    match int(rng.integers(7)):
        case 0:
            del answer[name]
        case 1:
            answer[name], answer[other] = answer[other], answer[name]
        case 2:
            answer[chosen(rng, NAMES)] = answer.pop(name)
        case 3:
            answer[chosen(rng, NAMES)] = copy.deepcopy(chosen(rng, VALUES))
        case 4:
            answer[name.upper() if rng.random() < 0.5 else f"step1.{name}"] = answer.pop(name)
        case 5:
            answer[chosen(rng, list(known_names(SIMPLE)))] = copy.deepcopy(answer[other])
        case 6:
            for each in rng.permutation(list(answer))[: int(rng.integers(len(answer)))]:
                del answer[str(each)]


DAMAGES = (damage_value, damage_array, damage_array, damage_names)


def damaged(truth: dict[str, Any], rng: Rng) -> dict[str, Any]:
    """A right answer after one or two accidents."""
    answer = copy.deepcopy(truth)
    for _ in range(int(rng.integers(1, 3))):
        if answer:
            chosen(rng, DAMAGES)(answer, chosen(rng, list(answer)), rng)
    return answer


def fuzzed(case: Case, seed: int, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    truth = {name: each.tolist() for name, each in right(case).items()}
    for _ in range(count):
        yield truth, damaged(truth, rng)


def outcome(truth: dict[str, Any], answer: dict[str, Any], words: bool) -> str:
    """What comes of an answer: a verdict or "refused"; anything else fails."""
    Path("answer.json").write_text(json.dumps(answer), encoding="utf-8")
    said = command("check", "case.json", "answer.json", *([] if words else ["--json"]))
    if said.code == 2:
        assert said.out == ""
        one_line(said.err)
        return "refused"
    assert said.err == ""
    if words:
        first = said.out.partition(" (")[0].partition(":")[0].lower()
        assert EXIT[first] == said.code
        return first
    verdict = strict(said.out)
    assert EXIT[verdict["verdict"]] == said.code
    assert bool(verdict["mistakes"] or verdict["unclear"]) == bool(said.code)
    if verdict["verdict"] == RIGHT:
        surely_right(truth, answer)
    return str(verdict["verdict"])


def surely_right(truth: dict[str, Any], answer: dict[str, Any]) -> None:
    """No number may be off by a sixteenth of its array's largest: rounding to 4 decimals, the coarsest that a right
    answer is given here, is far below. Where the axes are in another order, the numbers must at least be the same."""
    for name in (each for each in truth.keys() & answer.keys() if not isinstance(answer[each], dict)):
        wanted, given = (np.array(each[name], float) for each in (truth, answer))
        if given.size == wanted.size:
            in_order = given.shape == wanted.shape or given.ndim < wanted.ndim
            rows = (np.ravel(each) if in_order else np.sort(each, axis=None) for each in (wanted, given))
            assert np.abs(np.subtract(*rows)).max() <= np.abs(wanted).max() / 16, name


def check_damaged(case: Case, seed: int, count: int) -> None:
    Path("case.json").write_text(case.text(), encoding="utf-8")
    seen = Counter(outcome(*each, words=number % 4 == 0) for number, each in enumerate(fuzzed(case, seed, count)))
    assert seen.keys() >= {RIGHT, MISTAKE, UNCLEAR, "refused"}, seen


@counts(20, 80)
@pytest.mark.long
def test_no_damaged_answer_is_anything_but_a_verdict_or_one_line(here: Path, count: int) -> None:
    check_damaged(SIMPLE, 0, count)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize(("case", "count"), [(SIMPLE, 2250), (DEFAULT, 250)], ids=["simple", "default"])
def test_no_damaged_answer_of_ten_thousand_is_anything_else(here: Path, case: Case, count: int, seed: int) -> None:
    check_damaged(case, seed, count)
