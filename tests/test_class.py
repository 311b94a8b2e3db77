"""A class of answers: every one gets its row, whatever another does; one table in four forms; and what is a class."""

import csv
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from often import some
from plaingrad.checking import ClassTable, check_answer, check_class, make_case
from plaingrad.checking.answers.answer import read_answer
from plaingrad.checking.classroom import workers
from plaingrad.checking.classroom.gathering import gathered, is_class
from plaingrad.checking.classroom.row import NOT_CHECKED, ClassRow
from plaingrad.checking.classroom.table import FORMULA_SIGNS
from plaingrad.cli.check_class_run import show
from plaingrad.errors import CaseError, SettingError
from students import Student, Ways, told
from test_check_command import as_csv, command, refused, strict

CASE = make_case(simple=True)
Answered = dict[str, np.ndarray]
SCALED = "step2.dense1.db"  # of which nothing else is made but a bias


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a case and an empty folder for a class."""
    monkeypatch.chdir(tmp_path)
    Path("case.json").write_text(CASE.text(), encoding="utf-8")
    Path("class").mkdir()
    return tmp_path


def right(**ways: Any) -> Answered:
    return told(Student(CASE, ways=Ways(**ways)).arrays())


def negated() -> Answered:
    answer = right()
    del answer["step2.dense1.b"], answer["dense1.db"]  # which would tell that no line of the program has it so
    return answer | {SCALED: -answer[SCALED]}


def unclear() -> Answered:
    answer = {name: array for name, array in right().items() if not name.startswith("step")}
    return answer | {"dense1.db": answer["dense1.db"] + np.random.default_rng(1).uniform(1, 2, 2)}


def write(answer: Answered, name: str, folder: str = "class") -> None:
    text = json.dumps({key: np.asarray(array).tolist() for key, array in answer.items()})
    Path(folder, name).write_text(text, encoding="utf-8")


def rows_of(table: ClassTable) -> dict[str, ClassRow]:
    return {row.who: row for row in table.rows}


def children() -> set[int]:
    """The processes that this one has started and that have not ended."""
    if sys.platform != "linux":
        return set()
    told = [each.read_text().rpartition(")")[2].split() for each in Path("/proc").glob("[0-9]*/stat") if each.exists()]
    return {number for number, words in enumerate(told) if int(words[1]) == os.getpid() and words[0] != "Z"}


# Rows


def test_each_answer_has_the_row_of_its_own_verdict(here: Path) -> None:
    write(right(), "anna.json")
    write(negated(), "Boris.JSON")
    write(unclear(), "clara.json")
    np.savez("class/dora.npz", **right(sum=True))
    as_csv(negated())
    Path("tables").rename("class/emil")
    Path("class/fatma").mkdir()
    write(right(), "answer.json", "class/fatma")
    table = check_class(CASE, "class", jobs=2)
    assert [row.who for row in table.rows] == sorted(["anna", "Boris", "clara", "dora", "emil", "fatma"])
    assert (table.is_right, table.checked, table.stopped) == (False, 6, False)
    for row in table.rows:
        verdict = check_answer(CASE, read_answer(row.path))
        assert row.verdict == verdict.verdict
        assert row.first_wrong == verdict.first_wrong
        assert [(each["id"], each["title"], each["where"]) for each in row.mistakes] == [
            (each.id, each.title, each.where) for each in verdict.mistakes
        ]
        assert (row.precision, row.compared, row.notes) == (
            str(verdict.search.precision),
            len(verdict.rows),
            verdict.notes,
        )
    hints = {row.who: row.hint for row in table.rows}
    assert hints == {"anna": "", "Boris": "all", "clara": "place", "dora": "", "emil": "all", "fatma": ""}
    common = table.common()
    assert [(each.count, each.who) for each in common] == [(2, ["Boris", "emil"])]
    assert "[negated]" in common[0].about


def test_the_commonest_mistakes_come_first(here: Path) -> None:
    slips = [{"where": ["a"], "id": id, "title": id.upper()} for id in "xyz"]
    given = {"p": [slips[2]], "q": [slips[0], slips[1]], "r": [slips[0]], "s": [slips[0], slips[2]], "t": []}
    table = ClassTable("case", "all", [ClassRow(who, who, "mistake", mistakes=each) for who, each in given.items()])
    assert [(each.about, each.count, each.who) for each in table.common()] == [
        ("X [x]", 3, ["q", "r", "s"]),
        ("Z [z]", 2, ["p", "s"]),
        ("Y [y]", 1, ["q"]),
    ]
    text = table.text()
    assert text.index("3 × X [x]: q, r, s") < text.index("2 × Z [z]: p, s") < text.index("1 × Y [y]: q")


def test_what_cannot_be_read_is_a_row_of_one_line_and_stops_nobody(here: Path) -> None:
    write(right(), "right.json")
    broken = {"empty": b"", "half": b'{"loss": [1, 2', "other": b'{"nothing": 1}', "bytes": bytes(range(256))}
    broken["text"] = b'{"loss": "\x1b[2J"}'
    for name, content in broken.items():
        Path(f"class/{name}.json").write_bytes(content)
    Path("class/zip.npz").write_bytes(b"PK\x03\x04 is no archive")
    Path("class/nothing").mkdir()
    Path("class/two").mkdir()
    write(right(), "a.json", "class/two")
    write(right(), "b.json", "class/two")
    Path("class/gone.json").symlink_to("nowhere")
    table = check_class("case.json", ["class", "missing.json"], jobs=1)
    rows = rows_of(table)
    assert rows.keys() == {*broken, "zip", "nothing", "two", "gone", "missing", "right"}
    assert rows.pop("right").is_right
    for row in rows.values():
        assert (row.verdict, row.is_right) == (NOT_CHECKED, False)
        assert row.problem
        assert row.problem.isprintable(), "one line, and nothing a terminal would act on"
        assert row.problem in table.text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes, with which an answer is slow")
def test_an_answer_that_takes_too_long_is_a_row_and_stops_nobody(here: Path) -> None:
    for name in "ace":
        write(right(), f"{name}.json")
    for name in "bd":
        os.mkfifo(f"class/{name}.json")  # whoever reads it waits for ever
    before, began = children(), time.monotonic()
    rows = rows_of(check_class(CASE, "class", jobs=2, seconds=2))
    assert time.monotonic() - began < 60
    assert all(rows[name].is_right for name in "ace")
    assert all("took longer than 2 s" in rows[name].problem for name in "bd")
    assert children() <= before


@pytest.mark.parametrize(
    ("deed", "words"),
    some(
        [
            ("os._exit(7)", "exit code 7"),
            ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
            ("raise MemoryError", "memory"),
            ("raise RuntimeError('no\\nreason')", "RuntimeError"),
            ("raise SystemExit(3)", "exit code 3"),
        ],
        lambda place: place in (1, 2),
    ),
)
def test_an_answer_that_ends_its_process_is_a_row_and_stops_nobody(
    here: Path, monkeypatch: pytest.MonkeyPatch, deed: str, words: str
) -> None:
    """The process is told to do, at certain answers, what an answer might bring about."""
    deeds = (
        "import os, signal; from plaingrad.checking.classroom import worker; read = worker.read_answer\n"
        "def read_answer(path):\n"
        "    if 'evil' not in path: return read(path)\n"
        f"    {deed}\n"
        "worker.read_answer = read_answer; worker.main()"
    )
    monkeypatch.setattr(workers, "START", workers.START.replace("main()", f"exec({deeds!r})"))
    for name in ("a", "evil", "z"):
        write(right(), f"{name}.json")
    rows = rows_of(check_class(CASE, "class", jobs=1))
    assert [who for who, row in rows.items() if row.is_right] == ["a", "z"]
    assert words in rows["evil"].problem
    assert rows["evil"].problem.isprintable()


def test_where_no_process_starts_every_answer_has_a_row(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(right(), "a.json")
    write(right(), "b.json")
    monkeypatch.setattr(workers, "START", "raise SystemExit(5)")
    assert all("exit code 5" in row.problem for row in check_class(CASE, "class", jobs=1).rows)
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert all("could not be checked" in row.problem for row in check_class(CASE, "class", jobs=2).rows)


def test_what_lies_beside_the_answers_is_not_run(here: Path) -> None:
    """A student's numpy.py is no module, wherever the command is given."""
    for name in ("numpy.py", "json.py", "plaingrad.py", "sitecustomize.py"):
        Path("class", name).write_text("open('run', 'w'); raise SystemExit(9)", encoding="utf-8")
    write(right(), "a.json")
    os.chdir("class")
    assert check_class(CASE, ".", jobs=1).is_right
    assert not Path("run").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes, with which an answer is slow")
@pytest.mark.parametrize("number", some([signal.SIGINT, signal.SIGTERM], lambda place: place == 0))
@pytest.mark.long
def test_a_signal_ends_it_at_once_with_what_is_there(here: Path, number: int) -> None:
    write(right(), "a.json")
    os.mkfifo("class/b.json")
    write(right(), "c.json")
    words = [sys.executable, "-m", "plaingrad", "check", "case.json", "class", "--jobs", "1", "--csv", "table.csv"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    writer = opened_once_read("class/b.json", process)  # a.json is done by then
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert (process.returncode, err) == (128 + number, "plaingrad: stopped\n")
    if number == signal.SIGINT:
        sheet = csv.DictReader(io.StringIO(Path("table.csv").read_text(encoding="utf-8")))
        assert [row["verdict"] for row in sheet] == ["right", NOT_CHECKED, NOT_CHECKED]
        assert out.count("stopped before it was checked") == 2
        assert "(stopped)" in out
    assert has_no_reader(writer), "the process that checks has ended too"
    os.close(writer)


def opened_once_read(pipe: str, process: subprocess.Popen[str]) -> int:
    while process.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it yet
            time.sleep(0.02)
    raise AssertionError(process.communicate())


def has_no_reader(pipe: int) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.write(pipe, b" ")
        except BrokenPipeError:
            return True
        time.sleep(0.05)
    return False


# What is a class


def test_a_folder_of_tables_is_one_answer_and_other_folders_are_a_class(here: Path) -> None:
    as_csv(right())
    assert not is_class("tables", CASE)
    write(right(), "more.json", "tables")
    assert not is_class("tables", CASE), "tables are one answer, whatever lies beside them"
    assert not is_class("class", CASE), "nothing is in it"
    Path("class/marks.csv").write_text("anna,5\n", encoding="utf-8")
    Path("class/README.txt").write_text("", encoding="utf-8")
    assert not is_class("class", CASE), "as before: a folder whose tables are no quantities is refused"
    write(right(), "anna.json")
    assert is_class("class", CASE)
    Path("tables").rename("class/boris")
    found = gathered(["class"], CASE)
    assert [each.who for each in found.answers] == ["anna", "boris"]
    assert found.notes == [
        "class: read as a class of 2 answers, not as one answer",
        "class: passed over README.txt, marks.csv",
    ]


def test_names_are_as_short_as_tells_them_apart(here: Path) -> None:
    for folder in ("x", "y", "class/x.json"):
        Path(folder).mkdir()
        write(right(), "answer.json", folder)
    write(right(), "z.json")
    np.savez("class/z.npz", **right())
    given = gathered(["x/answer.json", "y", "class", "./y", "x/answer.json"], CASE)
    assert [each.who for each in given.answers] == sorted(["answer", "y", "x", "z.json", "z.npz"])
    twice = gathered(["x/answer.json", "y/answer.json"], CASE)
    assert [each.who for each in twice.answers] == [str(Path("x/answer")) + ".json", str(Path("y/answer")) + ".json"]


def test_the_case_is_no_answer(here: Path) -> None:
    write(right(), "a.json")
    Path("case.json").rename("class/case.json")
    said = command("check", "class/case.json", "class")
    assert (said.code, said.err) == (0, "")
    assert "passed over case.json" in said.out
    assert said.out.splitlines()[2] == "1 answer: 1 right"


def test_the_command_takes_one_answer_as_before(here: Path) -> None:
    write(right(), "a.json")
    as_csv(right())
    for answer in ("class/a.json", "tables"):
        assert command("check", "case.json", answer).out.startswith("RIGHT (")
    assert command("check", "case.json", "class").out.startswith("note: class: read as a class of 1 answer")
    assert "1 answer: 1 right" in command("check", "case.json", "class/a.json", "--csv", "table.csv").out


# The command


@pytest.mark.long
def test_the_exit_code_is_that_of_all(here: Path) -> None:
    write(right(), "a.json")
    write(right(sum=True), "b.json")
    assert command("check", "case.json", "class", "--jobs", 1).code == 0
    write(negated(), "c.json")
    assert command("check", "case.json", "class", "--jobs", 1).code == 1
    Path("class/c.json").write_text("{", encoding="utf-8")
    assert command("check", "case.json", "class", "--jobs", 1).code == 1
    Path("class/a.json").write_text("{", encoding="utf-8")
    Path("class/b.json").write_text("{", encoding="utf-8")
    said = command("check", "case.json", "class", "--jobs", 1)
    assert said.code == 2
    assert "3 not checked" in said.out
    assert said.err.startswith("plaingrad: no answer could be checked")
    assert said.err.count("\n") == 1


def test_what_cannot_be_asked_is_one_line(here: Path) -> None:
    write(right(), "a.json")
    Path("there.csv").write_text("", encoding="utf-8")
    for arguments, words in {
        ("case.json", "class", "--jobs", 0): "--jobs got 0",
        ("case.json", "class", "--time-limit", 0): "--time-limit",
        ("case.json", "class", "--all"): "--all",
        ("case.json", "class", "--run", "true"): "--run",
        ("case.json", "--run", "true", "--csv", "new.csv"): "--csv",
        ("case.json", "class", "-"): "stdin",
        ("case.json", "class", "--csv", "there.csv"): "there.csv",
        ("case.json", "class", "--csv", "no/where.csv"): "no/where.csv",
        ("case.json", "class", "--hint", "much"): "much",
        ("class/a.json", "class", "class/a.json"): "not a case",
        ("case.json", "nothing", "--jobs", 0): "--jobs",
    }.items():
        if "no/where.csv" in arguments:
            said = command("check", *arguments)
            assert (said.code, said.err.count("\n")) == (2, 1)
            assert words in said.err
        else:
            assert words in refused("check", *arguments), arguments
    for settings in ({"jobs": 0}, {"jobs": 1.5}, {"seconds": 0}, {"seconds": float("nan")}, {"hint": "much"}):
        with pytest.raises(SettingError, match=f"{next(iter(settings))}"):
            check_class(CASE, "class", **settings)
    with pytest.raises(SettingError, match="no answers"):
        check_class(CASE, [])
    with pytest.raises(CaseError):
        check_class("class/a.json", "class")


def test_all_forms_say_the_same(here: Path) -> None:
    pytest.importorskip("jinja2", reason="the page is made with Jinja2, which is not installed: pip install jinja2")
    write(right(), "anna.json")
    write(negated(), "boris.json")
    write(unclear(), "clara.json")
    Path("class/dora.json").write_text("{", encoding="utf-8")
    said = command("check", "case.json", "class", "--jobs", 1, "--csv", "table.csv", "--html", "table.html")
    table = strict(command("check", "case.json", "class", "--jobs", 1, "--json").out)
    sheet = list(csv.DictReader(io.StringIO(Path("table.csv").read_text(encoding="utf-8"))))
    page = Path("table.html").read_text(encoding="utf-8")
    assert table["outcomes"] == {"right": 1, "mistake": 1, "unclear": 1, NOT_CHECKED: 1}
    assert [each["who"] for each in table["commonest"]] == [["boris"]]
    for row, line in zip(table["rows"], sheet, strict=True):
        assert (row["who"], row["verdict"], row["path"]) == (line["who"], line["verdict"], line["path"])
        assert (row["first_wrong"] or "") == line["first_wrong"]
        assert ", ".join(each["id"] for each in row["mistakes"]) == line["mistake"]
        assert any(re.match(rf"{row['who']} +{row['verdict']}\b", each) for each in said.out.splitlines())
        assert row["who"] in page
        for words in [row["problem"][:40], *(each["title"] for each in row["mistakes"])]:
            assert words in said.out
            assert words in line["what"]


# Hostile names

WICKED = [
    "=cmd|' /C calc'!A0",
    "@sum(1)",
    "-1+1",
    "<script>alert(1)</script>",
    "[bold]x[/]",
    "\x1b[2J",
    "a\nMISTAKE: b",
]


@pytest.fixture
def wicked() -> ClassTable:
    rows = [
        ClassRow(name, f"{name}.json", "mistake", name, [{"where": [name], "id": name, "title": name}], notes=[name])
        for name in WICKED
    ]
    rows += [ClassRow(name * 2, name, problem=name) for name in WICKED]
    return ClassTable(WICKED[3], "all", rows, WICKED)


def test_names_are_harmless_on_a_terminal(wicked: ClassTable, capsys: pytest.CaptureFixture[str]) -> None:
    show(wicked)
    for text in (wicked.text(), capsys.readouterr().out):
        assert all(each.isprintable() or each == "\n" for each in text), ascii(text)
        assert "\nMISTAKE: b" not in text
        assert "[bold]x[/]" in text


def test_no_cell_of_a_spreadsheet_is_a_formula(wicked: ClassTable) -> None:
    every = list(csv.reader(io.StringIO(wicked.csv())))
    assert len(every) == 1 + 2 * len(WICKED)
    for cell in (cell for row in every for cell in row):
        assert not cell.startswith(FORMULA_SIGNS)
        assert cell.isprintable()


def test_the_page_asks_for_nothing_outside_and_runs_nothing(wicked: ClassTable) -> None:
    pytest.importorskip("jinja2", reason="the page is made with Jinja2, which is not installed: pip install jinja2")
    page = wicked.html()
    assert "<script" not in page.lower()
    assert not re.search(r"(src|href)=(?!\"data:,\")|url\(|@import", page)
    assert "default-src 'none'" in page
    assert page.count("&lt;script&gt;") >= 2
    assert "light dark" in page
    assert 'name="viewport"' in page


def test_a_file_with_a_hostile_name_is_checked(here: Path) -> None:
    names = ["=1+1", "<b>", "[bold]", "a\nb", "\x1b]0;owned\x07", os.fsdecode(b"\xff\xfe")]
    for name in names:
        try:
            write(right(), f"{name}.json")
        except OSError:
            continue  # a file system that has no such names
    said = command("check", "case.json", "class", "--csv", "table.csv")
    there = len(list(pathlib.Path("class").iterdir()))
    assert said.code == 0
    assert f"{there} answers: {there} right" in said.out
    assert all(each.isprintable() or each == "\n" for each in said.out)


@pytest.mark.long
def test_a_hint_holds_for_a_class_from_the_command_on(here: Path) -> None:
    write(negated(), "boris.json")
    for hint, words in {"place": (), "kind": ("a factor or a sign",), "line": ("a factor", "dense_backward")}.items():
        out = command("check", "case.json", "class", "--hint", hint).out
        assert SCALED in out
        assert all(each in out for each in words)
        assert "negated" not in out
        assert "wrong sign" not in out
        verdict = json.loads(command("check", "case.json", "class/boris.json", "--hint", hint, "--json").out)
        assert (verdict["hint"], verdict["first_wrong"]) == (hint, SCALED)
