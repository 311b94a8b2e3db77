"""The questions: one place for each answer, where the docs have it, how one finds it, and what leads to it."""

import ast
import builtins
import importlib.util
import json
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from around import run_around
from cases import CASES
from plaingrad.checking import check_answer
from plaingrad.checking.catalogue import CATALOGUE, Mistake
from plaingrad.checking.new_case import make_case
from plaingrad.checking.verdict.hint import KIND, LINE, PLACE
from plaingrad.checking.verdict.page import page_html
from plaingrad.cli.main import main
from plaingrad.cli.questions_run import WIDE, wrapped
from plaingrad.explaining import tracer_of
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.explaining.questions import BEHIND, behind_number, groups, plainly, questions
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.losses import Loss
from test_verdict_page import answered

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
    assert f"]({script('make_questions').place(questions()[name])})" in (DOCS / "questions.md").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_is_short(name: str) -> None:
    """A few sentences, and numbers of the library come after them on the page."""
    answer = " ".join(questions()[name].answer.split())
    assert 80 < len(answer) < 520
    after = (
        (DOCS / "questions" / f"{questions()[name].page}.md").read_text("utf-8").split(f"<!-- answer: {name} -->")[1]
    )
    assert "```text" in after or "```console" in after


def test_what_an_answer_measured_is_printed_by_a_page() -> None:
    """Percentages by its own page or as a mean of seeds in docs/accuracy.md; what is so "here" by its own page."""
    models = re.findall(r"^\|.*\| ([\d., ]+) \| [\d.]+ \|[^|]*\|$", (DOCS / "accuracy.md").read_text("utf-8"), re.M)
    means = {f"{np.mean([float(each) for each in seeds.split(',')]):.1%}" for seeds in models}
    compared = set()
    for name, question in questions().items():
        page = (DOCS / "questions" / f"{question.page}.md").read_text("utf-8")
        printed = {*re.findall(r"[\d.,]+%?", " ".join(re.findall(r"^```text\n(.*?)^```$", page, re.S | re.M)))}
        printed |= {f"{float(each):.1f}" for each in printed if re.fullmatch(r"\d+\.\d+", each)}
        shares = {each.replace(" ", "") for each in re.findall(r"\d+\.\d+ %", question.plain)}
        assert shares <= printed | means, name
        here = {each.rstrip(".,") for each in re.findall(r"\bhere (?:\w+ )?(\d[\d.,]*)", question.plain)}
        sentences = [each for each in re.split(r"(?<=[.?!]) ", question.plain) if re.search(r"\bhere\b", each)]
        here |= {each for sentence in sentences for each in re.findall(r"\d+\.\d+", sentence)}
        assert here <= printed, name
        compared |= {name} if shares or here else set()
    assert compared >= {"two-kernels", "vanishing", "beyond-94-percent", "scaling"}


def test_one_sentence_tells_what_delta_is() -> None:
    """Books and these pages mean the same by it, on every page that explains it."""
    told = {
        name: re.findall(
            r"Many books write δ[^.]*\.", " ".join((DOCS / f"questions/{name}.md").read_text("utf-8").split())
        )
        for name in ("derivative", "pooling-chain", "subsampling")
    }
    assert {len(each) for each in told.values()} == {1}
    assert len({each for sentences in told.values() for each in sentences}) == 1


def test_the_questions_stand_in_groups() -> None:
    """On the page as in the file: a heading for each, and below it a table of its questions alone."""
    page = (DOCS / "questions.md").read_text("utf-8")
    titles = groups(questions().values())
    assert list(titles) == re.findall(r"^## (.*)$", page, re.M)[: len(titles)]
    assert 3 <= len(titles) <= 7
    for title, every in titles.items():
        rows = page.split(f"## {title}\n")[1].partition("\n\n##")[0]
        assert re.findall(r"^\| \[.*?\]\((.*?)\) \|", rows, re.M) == [
            script("make_questions").place(each) for each in every
        ]


BEGIN_ANEW = "The programs below one question follow one another, and need nothing from another question."
FOLLOW = "The programs of this page follow one another."


@pytest.mark.parametrize("page", sorted((DOCS / "questions").glob("*.md")), ids=lambda each: each.stem)
def test_the_programs_of_a_question_need_nothing_from_another(page: Path) -> None:
    """Every name is made in the same block or in one before it, of the same question; and the page says so."""
    docs, text = script("run_docs"), page.read_text("utf-8")
    assert (BEGIN_ANEW if text.count("<!-- answer: ") > 1 else FOLLOW) in " ".join(text.split())
    made: dict[int, set[str]] = {}
    for block in docs.BLOCK.finditer(text):
        if block["kind"] != "python":
            continue
        tree = ast.parse(block["body"])
        names = made.setdefault(docs.part(text, block.start()), {*dir(builtins)})
        nodes = [*ast.walk(tree)]
        names |= {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        names |= {each.name for each in nodes if isinstance(each, ast.FunctionDef | ast.ClassDef)}
        names |= {each.arg for each in nodes if isinstance(each, ast.arg)}
        names |= {(each.asname or each.name) for each in nodes if isinstance(each, ast.alias)}
        used = {each.id for each in nodes if isinstance(each, ast.Name)}
        assert used <= names, f"{block['body'].splitlines()[0]} needs {used - names}"


def test_links_of_the_pages_lead_to_a_heading() -> None:
    """To a page that is there and, after a #, to a heading of it, in the form that sites of Markdown give it."""
    slug, fence = script("make_questions").slug, re.compile(r"^```.*?^```$", re.S | re.M)
    texts = {page: fence.sub("", page.read_text("utf-8")) for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))}
    headings = {
        page: {slug(plainly(each)) for each in re.findall(r"^#+ (.*)$", text, re.M)} for page, text in texts.items()
    }
    followed = 0
    for page, text in texts.items():
        for file, _, anchor in re.findall(r"\]\(([^)#:\s]*\.md)?(#([^)\s]+))?\)", text):
            to = (page.parent / file).resolve() if file else page
            assert to.is_file(), (page.name, file)
            assert not anchor or anchor in headings[to], (page.name, file, anchor)
            followed += bool(anchor)
    assert followed > len(NAMES) / 2


def test_the_readme_counts_the_questions() -> None:
    assert f"[{len(NAMES)} questions](docs/questions.md)" in (ROOT / "README.md").read_text("utf-8")


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
    made = script("make_questions").answered("## old\n\n<!-- answer: derivative -->\nold\nold\n\nkept\n")
    assert made.startswith(
        f"## {questions()['derivative'].ask}\n\n<!-- answer: derivative -->\n**Short answer.** A der"
    )
    assert made.endswith("\n\nkept\n")
    assert "old" not in made


def test_code_keeps_its_products_as_plain_text() -> None:
    assert plainly("**Yes**, `a * b` is *not* `c * d`.") == "Yes, a * b is not c * d."


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


def test_calls_of_scipy_in_the_docs_are_right_or_wrong_as_they_say() -> None:
    signal = pytest.importorskip("scipy.signal", reason="the page names calls of SciPy, which is not installed")
    rows = re.findall(
        r"^\| `scipy\.signal\.(\w+)\(dy\[k\], w\[k, c(, ::-1, ::-1)?\], \"full\"\)` \| (right|wrong)",
        (DOCS / "questions/pooling-chain.md").read_text("utf-8"),
        re.M,
    )
    assert len(rows) == 3
    rng = np.random.default_rng(0)
    w = rng.integers(-9, 10, (3, 2, 2, 2)).astype(float)
    net = pg.Network(pg.Conv(3, size=2, bias=False), input=(2, 4, 5), dtype="float64")
    net["conv1"].w[...] = w
    run = net.run(np.zeros((1, 2, 4, 5)))
    dy = rng.integers(-9, 10, (3, 3, 4)).astype(float)
    run.backward(dy[None])
    for call, turned, told in rows:
        given = w[:, :, ::-1, ::-1] if turned else w
        made = [sum(getattr(signal, call)(dy[k], given[k, c], "full") for k in range(3)) for c in range(2)]
        assert (told == "right") is bool((np.array(made) == run["conv1"].dx[0]).all()), call


# In the terminal


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """What `plaingrad questions` says: its code, stdout, stderr."""

    def run(*arguments: str) -> tuple[Any, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["questions", *arguments])
        return (ended.value.code or 0, *capsys.readouterr())

    return run


def test_the_list_has_a_line_for_each_question(said: Any) -> None:
    code, out, err = said()
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines()[:-1] if line]
    assert [line.split()[0] for line in lines if line.startswith("  ")] == NAMES
    assert [line for line in lines if not line.startswith("  ")] == [*groups(questions().values())]
    assert "plaingrad questions NAME" in out.splitlines()[-1]


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_is_printed_plainly(name: str) -> None:
    """No mark of Markdown, no line that is too long, no expression cut at the end of a line, and every word of it."""
    question = questions()[name]
    text = wrapped(question.answer)
    assert "`" not in text
    assert "**" not in text
    assert max(map(len, text.splitlines())) <= WIDE
    assert text.split() == question.plain.split()
    for code in re.findall(r"`([^`]+)`", " ".join(question.answer.split())):
        assert any(code in line for line in text.splitlines()), code


def test_the_answer_comes_with_its_numbers(said: Any) -> None:
    code, out, err = said("Sum = Sum + weights[k][j] * error[k]")
    assert (code, err) == (0, "")
    assert "Sum = Sum + weights[k][u][v] * error[k][r - u][s - v]" in out
    assert questions()["dense-loop"].command in out
    assert out.index("Yes, with other indices") < out.index("12 terms, in the order")
    assert "docs/questions/dense-loop.md" in out
    assert "see also: plaingrad questions dense-loop" not in out


def test_several_words_of_the_command_line_are_one_search(said: Any) -> None:
    assert said("reverse", "mode")[1].startswith(questions()["reverse-mode"].heading)


def test_questions_that_fit_alike_are_listed(said: Any) -> None:
    code, out, _ = said("max", "pooling")
    assert code == 0
    assert {"max-position", "one-or-error", "overlap"} <= {line.split()[0] for line in out.splitlines()[1:]}


def test_a_weak_match_is_told_as_such(said: Any) -> None:
    code, out, _ = said("how do i install cuda drivers on windows for the training")
    assert code == 0
    assert out.splitlines()[0] == "no question fits well, these are the closest; show one by its name:"
    assert {line.split()[0] for line in out.splitlines()[1:]} <= {*NAMES}


@pytest.mark.parametrize("asked", ["xylophone", "", "\x1b[31m\u202e"])
def test_what_nobody_asks_is_one_line_on_stderr(said: Any, asked: str) -> None:
    code, out, err = said(asked)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "`plaingrad questions` lists all" in err
    assert "\x1b" not in err
    assert "\u202e" not in err


def test_as_json(said: Any) -> None:
    every = json.loads(said("--json")[1])["questions"]
    assert [each["name"] for each in every] == NAMES
    (one,) = json.loads(said("one-hot", "--json")[1])["questions"]
    assert one == every[NAMES.index("one-hot")]
    assert (ROOT / one["page"]).is_file()


# From a number, and from a mistake


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda each: str(each)[:40])
def test_a_number_leads_to_the_question_of_the_text_that_made_it(layer: Layer, shape: tuple[int, ...]) -> None:
    tracer = tracer_of(run_around(layer, shape))
    kind = type(layer).__name__
    name = next(each for each, step in tracer.twin.net.steps.items() if step.layer == layer)
    asked = {sheet.name: behind_number(tracer, sheet) for sheet in tracer.twin.in_order}
    shown = {f"{name}.{own}": own for own in ("dx", "dw", "db")}
    for whole, own in shown.items():
        sheet = tracer.twin.names.get(whole)
        known = BEHIND.get(f"{kind}.{own}")
        if sheet is not None and known and sheet in asked:
            assert asked[sheet] is questions()[known], whole
    given = [sheet for sheet in tracer.twin.in_order if sheet.layer != "loss" and sheet.quantity in ("w", "b")]
    assert not any(behind_number(tracer, sheet) for sheet in given)


def test_an_explanation_ends_with_its_question() -> None:
    run = pg.example("first-cnn")
    assert str(run.explain("conv1.dw[0,0,1,0]")).splitlines()[-1] == "  see also: plaingrad questions shared-weight"
    assert str(run.explain("dense1.dy[0]")).splitlines()[-1] == "  see also: plaingrad questions softmax"
    assert str(run.explain("relu1.dy[0,0,0]")).splitlines()[-1] == "  see also: plaingrad questions one-or-error"
    assert str(run.explain("conv1.w_after[0,0,0,0]")).splitlines()[-1].endswith("plus-or-minus")
    assert "see also" not in str(run.explain("conv1.w[0,0,0,0]"))


@pytest.mark.parametrize("mistake", [each for each in CATALOGUE.values() if each.question], ids=lambda each: each.id)
def test_a_mistake_names_a_question_where_its_quantity_does_not(mistake: Mistake) -> None:
    assert mistake.question in NAMES
    assert {BEHIND.get(each, BEHIND.get(f"*.{each.partition('.')[2]}")) for each in mistake.passes} != {
        mistake.question
    }


WRONG = {
    ("conv2", "dx", "kernel-rotated"): "rotated-or-not",
    ("maxpool1", "dx", "winner-overwritten"): "overlap",
    ("dense1", "dx", "updated-weights"): "update-during-pass",
    ("relu1", "dx", "slope-left-out"): "relu",
    ("conv2", "dw", "gradient-rotated"): "rotated-or-not",
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda each: each[2])
@pytest.mark.often(1)
def test_a_verdict_ends_with_the_question_of_the_first_mistake(wrong: tuple[str, str, str]) -> None:
    case = make_case()
    layer, quantity, id = wrong
    verdict = check_answer(case, answered(case, {(layer, quantity): id}))
    assert verdict.mistakes[0].id == id
    name = WRONG[wrong]
    assert verdict.text().splitlines()[-1] == f"see also: plaingrad questions {name}"
    for hint in (PLACE, KIND, LINE):
        assert "plaingrad questions" not in verdict.text(hint=hint)
    pytest.importorskip("jinja2", reason="the pages are made with Jinja2, which is not installed")
    page = page_html(verdict)
    assert escape(questions()[name].plain) in page.replace("&#39;", "&#x27;")
    assert f"<code>plaingrad questions {name}</code>" in page
    assert "plaingrad questions" not in page_html(verdict, PLACE)


def test_a_right_answer_has_no_question() -> None:
    case = make_case()
    assert "plaingrad questions" not in check_answer(case, answered(case, {})).text()


@pytest.mark.long
def test_numbers_without_a_name_lead_to_the_question_of_their_quantity() -> None:
    case = make_case()
    answer = answered(case, {})
    answer["conv2.dw"] = answer["conv2.dw"] + np.random.default_rng(0).uniform(0.2, 0.4, answer["conv2.dw"].shape)
    assert check_answer(case, answer).text().splitlines()[-1] == "see also: plaingrad questions shared-weight"
