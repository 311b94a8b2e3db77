"""The questions: one place for each answer, where the docs have it, and how one finds it."""

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.errors import SettingError
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.explaining.questions import BEHIND, found, plainly, questions
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.losses import Loss

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NAMES = list(questions())


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_docs_have_the_answers_of_today() -> None:
    """They are written by `make docs`, out of one file."""
    for page, text in script("make_questions").pages().items():
        assert page.read_text("utf-8") == text, page


@pytest.mark.parametrize("name", NAMES)
def test_every_question_has_one_place(name: str) -> None:
    mark = f"<!-- answer: {name} -->"
    pages = {page.stem: page.read_text("utf-8").count(mark) for page in DOCS.rglob("*.md")}
    assert {page: count for page, count in pages.items() if count} == {questions()[name].page: 1}
    assert f"]({script('make_questions').place(questions()[name])[1]})" in (DOCS / "questions.md").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_is_short(name: str) -> None:
    """A few sentences, and numbers of the library come after them on the page."""
    answer = " ".join(questions()[name].answer.split())
    assert 80 < len(answer) < 520
    after = (
        (DOCS / "questions" / f"{questions()[name].page}.md").read_text("utf-8").split(f"<!-- answer: {name} -->")[1]
    )
    assert "```text" in after or "```console" in after


@pytest.mark.parametrize("name", [each for each in NAMES if questions()[each].example])
def test_the_number_of_a_question_can_be_explained(name: str, runs: dict[str, Any]) -> None:
    question = questions()[name]
    if question.example not in runs:
        runs[question.example] = EXAMPLES[question.example].run()
    assert runs[question.example].explain(question.number).terms


@pytest.fixture(scope="module")
def runs() -> dict[str, Any]:
    """The examples that were run so far."""
    return {}


def test_a_page_with_a_mark_that_is_no_question_is_no_page() -> None:
    with pytest.raises(KeyError):
        script("make_questions").answered("# A\n\n<!-- answer: nothing-asked -->\nx\n")


def test_what_is_written_below_a_mark_is_replaced_and_nothing_else() -> None:
    made = script("make_questions").answered("# A\n\n<!-- answer: derivative -->\nold\nold\n\nkept\n")
    assert made.startswith("# A\n\n<!-- answer: derivative -->\n**Short answer.** A derivative is")
    assert made.endswith("\n\nkept\n")
    assert "old" not in made


def test_code_keeps_its_products_as_plain_text() -> None:
    assert plainly("**Yes**, `a * b` is *not* `c * d`.") == "Yes, a * b is not c * d."


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("dense-loop", "dense-loop"),
        ("DENSE-LOOP", "dense-loop"),
        ("Sum = Sum + weights[k][j] * error[k]", "dense-loop"),
        ("reverse mode", "reverse-mode"),
        ("dynamic programming", "reverse-mode"),
        ("upsample", "upsample-formula"),
        ("vanishing gradients", "vanishing"),
        ("one-hot labels", "one-hot"),
        ("scale pixels", "scaling"),
        ("best explanation", "best-explanation"),
        ("fused", "fused-relu"),
        ("why store the position of the maximum", "max-position"),
        ("update weights during the pass", "update-during-pass"),
        ("sigmoid in my ReLU", "whose-derivative"),
        ("sum or mean and the rate", "sum-or-mean"),
        ("what is a derivative", "derivative"),
    ],
)
def test_words_find_a_question(asked: str, name: str) -> None:
    assert [each.name for each in found(asked)] == [name]


def test_words_of_several_questions_find_all_of_them() -> None:
    assert {"max-position", "one-or-error", "overlap"} <= {each.name for each in found("max pooling")}


@pytest.mark.parametrize("asked", ["xylophone", "", "   ", "\x1b[31m", "?!"])
def test_words_of_no_question_are_refused(asked: str) -> None:
    with pytest.raises(SettingError, match="plaingrad questions"):
        found(asked)


def test_what_leads_to_a_question_is_there() -> None:
    kinds = {*Layer.kinds(), *Loss.kinds(), "*"}
    assert {each.partition(".")[0] for each in BEHIND} <= kinds
    assert {*BEHIND.values()} <= {*NAMES}


def test_java_in_the_docs_gives_the_numbers_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shutil.which("java") and shutil.which("javac")):
        pytest.skip("java runs a source file only with the compiler of a JDK")
    docs, text = script("run_docs"), (DOCS / "questions/dense-loop.md").read_text("utf-8")
    code = re.search(r"^```java\n(.*?)^```$", text, re.S | re.M)
    assert code
    monkeypatch.chdir(tmp_path)
    net = pg.Network(pg.Conv(2, size=2, bias=False), input=(1, 3, 3), dtype="float64")
    net["conv1"].w[...] = np.reshape([1, 2, 3, 4, 2, 1, -1, 3], (2, 1, 2, 2))
    run = net.run(np.zeros((1, 1, 3, 3)))
    run.backward(np.reshape([1, 0, 2, -1, 3, 1, 0, 2.0], (1, 2, 2, 2)))
    dx = run["conv1"].dx[0, 0]
    assert docs.run_java(code[1]).splitlines() == [str(dx.ravel().tolist()), *[str(dx.tolist())] * 2]
