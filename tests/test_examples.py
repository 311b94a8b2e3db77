"""The programs in examples/: right as they are, and each of their broken variants is named."""

import json
import math
import pathlib
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from often import some
from plaingrad import Conv, Dense, Flatten, MaxPool, ReLU, Sigmoid
from plaingrad.checking.case import Case
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.uncertainty import Program

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
FILES = {"c": "main.c", "java": "Main.java", "javascript": "main.js", "python": "main.py"}
BROKEN = json.loads((EXAMPLES / "broken.json").read_text("utf-8"))
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
UNEVEN = (
    Conv(4, size=(3, 2), stride=(2, 3), padding=(1, 2)),
    ReLU(),
    MaxPool((3, 2), stride=(1, 2)),
    Conv(3, size=2, padding=1, bias=False),
    Flatten(),
    Dense(5),
    ReLU(),
    Dense(4, bias=False),
)
CASES = {
    "default": make_case(),
    "wide": make_case(seed=1),
    "undilated": make_case(undilated=True),
    "simple": make_case(simple=True),
    "uneven": make_case(UNEVEN, (2, 12, 9), images=4, steps=3),
}


def toolchain(language: str) -> str:
    """What runs or compiles the language; the test skips where it is not there."""
    tools = {"c": ("cc", "gcc", "clang"), "java": ("java",), "javascript": ("node",), "python": (sys.executable,)}
    found = next(filter(None, map(shutil.which, tools[language])), None)
    if not found:
        pytest.skip(f"{language} needs {' or '.join(tools[language])}")
    if language == "java" and not shutil.which("javac"):
        pytest.skip("java runs a source file only with the compiler of a JDK")
    return found


def compiled(source: pathlib.Path, to: pathlib.Path, *options: str) -> list[str]:
    """The command that runs a C program, once it is compiled without a warning."""
    subprocess.run([toolchain("c"), *STRICT, *options, "-o", to, source, "-lm"], check=True)
    return [str(to)]


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """Language → the command that runs its program, compiled once; the tests of mistakes run Java's source instead."""
    made: dict[str, list[str]] = {}

    def command(language: str) -> list[str]:
        if language not in made:
            source, tool = EXAMPLES / language / FILES[language], toolchain(language)
            to = tmp_path_factory.mktemp("program") / "main"
            if language == "c":
                made[language] = compiled(source, to, "-O2")
            elif language == "java":
                subprocess.run(["javac", "-d", to, source], check=True)
                made[language] = [tool, "-cp", str(to), source.stem]
            else:
                made[language] = [tool, str(source)]
        return made[language]

    return command


def run(command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, encoding="utf-8")


def by_the_library(case: Case) -> dict[str, np.ndarray]:
    """Every quantity by its whole name, as the library's own run has it."""
    net, found = case.net.copy(), {}
    for number, batch in enumerate(case.batches, 1):
        ran = net.run(batch.x, batch.target, case.loss)
        found[f"step{number}.loss"] = np.mean(ran["loss"].y)
        found[f"step{number}.loss.dx"] = np.array(ran["loss"].dx)
        for name, step in net.steps.items():
            for quantity in ("y", "dx", *(f"d{weight}" for weight in step.arrays)):
                found[f"step{number}.{name}.{quantity}"] = np.array(ran.quantity(name, quantity))
            for weight, array in step.arrays.items():
                array -= case.rate * found[f"step{number}.{name}.d{weight}"]
                found[f"step{number}.{name}.{weight}"] = array.copy()
    return found


def uncertainties(case: Case) -> dict[str, np.ndarray]:
    """By the same names: about how far rounding takes each number of a right program in doubles."""
    program = Program(case, unit=np.finfo(float).eps / 2)
    env = program.start()
    for key in program.keys:
        env[key] = program.evaluate(key, env)
    names = {key: f"step{key[0]}.{key[1]}.{key[2]}".replace("loss.y", "loss") for key in program.keys}
    return {name: env[key].uncertainty for key, name in names.items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("language", FILES)
@pytest.mark.often(5)
def test_a_program_agrees_with_the_library(language, name, commands):
    case = CASES[name]
    done = run(commands(language), case.text())
    assert (done.returncode, done.stderr) == (0, "")
    answer, asked = json.loads(done.stdout), case.to_json()["answer"]["quantities"]
    assert answer.keys() == asked.keys()
    right, uncertainty = by_the_library(case), uncertainties(case)
    # An uncertainty is a standard deviation; of the difference of two right programs it is √2 as much. Of `numbers`
    # normal numbers none is beyond √(2 ln(2 numbers / p)) deviations, but for a chance of p: once in 10⁹ runs.
    numbers = sum(math.prod(each["shape"]) for each in asked.values())
    most = math.sqrt(2) * math.sqrt(2 * math.log(2 * numbers * 1e9))
    for quantity, value in answer.items():
        whole = quantity if quantity in right else f"step1.{quantity}"
        assert list(np.shape(value)) == asked[quantity]["shape"], quantity
        assert (np.abs(value - right[whole]) <= most * uncertainty[whole]).all(), quantity


@pytest.mark.parametrize("language", FILES)
def test_a_file_is_read_as_stdin_is(language, commands, tmp_path):
    text = CASES["simple"].text()
    (tmp_path / "case.json").write_text(text, encoding="utf-8")
    from_file = run([*commands(language), str(tmp_path / "case.json")], "")
    assert from_file.returncode == 0
    assert from_file.stdout == run(commands(language), text).stdout


GROUPED = make_case((Conv(2, size=2, groups=2), Flatten(), Dense(2)), (2, 5, 6))
CURVED = make_case((Flatten(), Sigmoid(), Dense(2)), (1, 3, 2))
WHOLE = CASES["simple"].text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GROUPED.text(), "conv1: this program knows no groups but 1"),
        (CURVED.text(), "sigmoid1: there is no Sigmoid here; this program knows Conv, ReLU, MaxPool, Flatten, Dense"),
        (WHOLE.replace("SoftmaxCrossEntropy", "HalfSquaredError"), "SoftmaxCrossEntropy"),
        (WHOLE.replace('"rate"', '"speed"'), ""),
        (WHOLE[: len(WHOLE) // 2], ""),
        ("[]", ""),
        ("", ""),
    ],
    ids=["groups", "sigmoid", "loss", "no-rate", "half", "list", "nothing"],
)
@pytest.mark.parametrize("language", FILES)
@pytest.mark.often(5)
def test_what_a_program_cannot_do_it_says_in_one_line(language, text, told, commands):
    done = run(commands(language), text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{FILES[language]}: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_c_program_leaks_nothing_and_stays_within_its_arrays(tmp_path):
    options, source = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"], tmp_path / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    tried = subprocess.run([toolchain("c"), *options, "-o", tmp_path / "empty", source], capture_output=True)
    if tried.returncode or subprocess.run([tmp_path / "empty"], capture_output=True).returncode:
        pytest.skip("the compiler has no sanitizers here")
    command = compiled(EXAMPLES / "c" / "main.c", tmp_path / "main", *options)
    for case in CASES.values():
        done = run(command, case.text())
        assert (done.returncode, done.stderr) == (0, "")
    for text in (WHOLE[: len(WHOLE) // 2], "", '"\\', '{"a"', "[" * 1000, CURVED.text()):
        done = run(command, text)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


def test_the_mistakes_are_three_for_each_language_and_all_different():
    assert sorted(each["language"] for each in BROKEN) == sorted(3 * [*FILES])
    assert len({each["id"] for each in BROKEN}) == len({each["names"] for each in BROKEN}) == len(BROKEN)
    assert {each["names"] for each in BROKEN} <= CATALOGUE.keys()


@pytest.mark.parametrize(
    "variant", some(BROKEN, lambda place: place % 3 == 0, lambda each: f"{each['language']}-{each['id']}")
)
@pytest.mark.often(2)
def test_a_mistake_is_named(variant, tmp_path):
    language, tool = variant["language"], toolchain(variant["language"])
    folder = shutil.copytree(EXAMPLES / language, tmp_path / "program")
    source = folder / FILES[language]
    text = source.read_text("utf-8")
    assert text.count(variant["old"]) == 1
    source.write_text(text.replace(variant["old"], variant["new"]), encoding="utf-8")
    command = compiled(source, tmp_path / "main", "-O2") if language == "c" else [tool, str(source)]
    (tmp_path / "case.json").write_text(CASES["default"].text(), encoding="utf-8")
    check = [sys.executable, "-m", "plaingrad", "check", str(tmp_path / "case.json"), "--json"]
    done = run([*check, "--run", shlex.join(command)], "")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["mistakes"][0]["id"] == variant["names"]


@pytest.mark.parametrize("language", FILES)
@pytest.mark.often(2)
def test_a_right_program_is_told_so(language, commands, tmp_path):
    (tmp_path / "case.json").write_text(CASES["default"].text(), encoding="utf-8")
    check = [sys.executable, "-m", "plaingrad", "check", str(tmp_path / "case.json"), "--json"]
    done = run([*check, "--run", shlex.join(commands(language))], "")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["mistakes"] == []
