"""Answers to a case: every form is read to the bit, and whatever is none is told of in one line."""

import contextlib
import io
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import types
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaingrad.checking.answers import files as answer_files
from plaingrad.checking.answers import json_text as answer_json
from plaingrad.checking.answers import nested as answer_nested
from plaingrad.checking.answers import program
from plaingrad.checking.answers.answer import Answer, answer_of, parse_answer, read_answer
from plaingrad.checking.answers.program import ask
from plaingrad.errors import AnswerError

RNG = np.random.default_rng(5)
GOOD = {
    "loss": np.array(RNG.normal()),
    "conv1.dw": RNG.normal(size=(2, 3, 2, 3)),
    "step2.dense1.db": RNG.normal(size=4),
    "conv1.y": RNG.normal(size=(2, 3, 4, 5)),
}
NESTED = {name: array.tolist() for name, array in GOOD.items()}


def same(answer: Answer, arrays: dict[str, np.ndarray]) -> None:
    assert answer.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert answer.arrays[name].dtype == np.float64
        assert answer.arrays[name].shape == array.shape
        assert np.array_equal(answer.arrays[name], array, equal_nan=True), name


def refused(read: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(AnswerError) as caught:
        read(*arguments)
    message = str(caught.value)
    assert message.isprintable()  # so it is one line, too
    assert caught.value.__cause__ is None
    return message


def parsed(text: str | bytes) -> dict[str, Any]:
    return {name: array.tolist() for name, array in parse_answer(text, "it").arrays.items()}


def not_parsed(text: str | bytes) -> str:
    message = refused(parse_answer, text, "it")
    assert message.startswith("it: ")
    return message


# JSON


def test_json_comes_back_to_the_bit() -> None:
    answer = parse_answer(json.dumps(NESTED), "it")
    same(answer, GOOD)
    assert answer.notes == ()


def test_objects_within_objects_are_joined_by_dots() -> None:
    text = '{"conv1": {"dw": [[1, 2]], "db": [3]}, "step2": {"conv1": {"w": 4}}, "loss": 5}'
    assert parsed(text) == {"conv1.dw": [[1, 2]], "conv1.db": [3], "step2.conv1.w": 4, "loss": 5}


def test_an_empty_object_is_passed_over_and_noted() -> None:
    assert parse_answer('{"conv1": {}, "loss": 1}', "it").notes == ("conv1 is an empty object and was skipped",)
    for text in ("{}", '{"conv1": {}}'):
        assert "names no quantity" in not_parsed(text)


def test_numbers_that_are_not_finite_are_read() -> None:
    text = f'{{"a": [NaN, null, Infinity, -Infinity, 1e999999, -1e999999, {"9" * 5000}, -{"9" * 400}]}}'
    infinite = [math.inf, -math.inf, math.inf, -math.inf, math.inf, -math.inf]
    same(parse_answer(text, "it"), {"a": np.array([math.nan, math.nan, *infinite])})


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *((word, math.nan) for word in ("nan", "-nan", "-nan(ind)", "NAN", "nan(0x8000)", "-NaN")),
        *((word, math.inf) for word in ("inf", "+inf", "infinity", "Inf")),
        ("-inf", -math.inf),
    ],
)
def test_what_c_prints_for_them_is_read_and_noted(word: str, value: float) -> None:
    for text in (
        f'{{"a": [[1, {word}], [{word}, 2]], "b": {word}}}',
        f'log\n{{"a": [[1, {word} ],[ {word},2]],"b":{word}}}',
    ):
        answer = parse_answer(text, "it")
        same(answer, {"a": np.array([[1, value], [value, 2]]), "b": np.array(value)})
        assert "nan and inf are not JSON" in answer.notes[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "a": 1}', "it: a is given twice"),
        ('{"conv1": {"dw": 1}, "conv1.dw": 1}', "it: conv1.dw is given twice"),
        ('{"conv1": {"dw": 1}, "conv1": {"db": 1}}', "it: conv1 is given twice"),
        ('{"a": {"b": {"c": [1], "c": [2]}}}', "it: a.b.c is given twice"),
        ('{"a": [[1, 2], [1, "0.5"]]}', "it: a[1,1] is the text '0.5'; a number is needed, without quotes"),
        ('{"a": "NaN"}', "it: a is the text 'NaN'"),
        ('{"a": [true]}', "it: a[0] is true"),
        ('{"a": false}', "it: a is false"),
        ('{"a": [[{"b": 1}]]}', "it: a[0,0] is an object within a list"),
        ('{"a": [[1, 2, 3, 4], [1, 2, 3]]}', "it: a[1] has 3 entries and a[0] has 4"),
        ('{"a": [[[1], [2]], [[1], [2]], [[1, 2], [3, 4]]]}', "it: a[2,0] has 2 entries and a[0,0] has 1"),
        ('{"a": [[[1], [2]], [[1], [2, 3]]]}', "it: a[1,1] has 2 entries and a[1,0] has 1"),
        ('{"a": [[1], [2], []]}', "it: a[2] has 0 entries and a[0] has 1"),
        ('{"a": [[1], 2]}', "it: a[1] is a number and a[0] is a list"),
        ('{"a": [[1, 2], [[1], [2]]]}', "it: a[1,0] is a list and a[0,0] is a number"),
        ('{"a": [null, [2]]}', "it: a[1] is a list and a[0] is a number"),
        ('{"two\\nlines": "x"}', "it: 'two lines' is the text"),
        ('{"\\ud800": "\\u202e"}', "is the text"),
        (f'{{"{"n" * 201}": 1}}', "a name of 201 characters"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_place(text: str, told: str) -> None:
    assert told in not_parsed(text)
    assert told in not_parsed(f"reading the case\n{text}\ndone")


@pytest.mark.parametrize("depth", [answer_nested.DEPTH_LIMIT + 1, 500, 10**5, 10**6])
def test_deep_nesting_is_one_line(depth: int) -> None:
    for text in (f'{{"a": {"[" * depth}{"]" * depth}}}', '{"a":' * (depth + 1) + "1" + "}" * (depth + 1)):
        assert "nest more than 32 deep" in not_parsed(text)
    for text in (f'{{"a": {"[" * depth}', "[" * depth, '{"a": ' * depth + "1", "{" * depth):
        not_parsed(text)
    limit = answer_nested.DEPTH_LIMIT
    assert parse_answer(f'{{"a": {"[" * limit}1{"]" * limit}}}', "it").arrays["a"].ndim == limit


def test_the_limits_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(answer_nested, "NUMBERS_LIMIT", 12)
    text = json.dumps({"a": [1] * 6, "b": [2] * 6})
    assert len(parsed(text)) == 2
    for more in (json.dumps({"a": [1] * 13}), json.dumps({"a": [1] * 6, "b": [2] * 7}), '{"a":' + "[1,1]," * 9):
        assert "holds more than 12 numbers" in not_parsed(more)
    assert "more than 12" in refused(answer_of, {"a": [1] * 7, "b": np.ones(6)})
    monkeypatch.setattr(answer_json, "BYTES_LIMIT", len(text))
    assert len(parsed(text)) == 2
    for kind in (str, str.encode):
        assert "is larger than" in not_parsed(kind(f"{text} "))
    monkeypatch.setattr("plaingrad.checking.answers.answer.BYTES_LIMIT", len(text))
    (tmp_path / "answer.json").write_text(f"{text} ")
    assert "is larger than" in refused(read_answer, tmp_path / "answer.json")


def test_every_cut_says_so_with_the_nearest_name() -> None:
    text = '{"conv1.dw": [[1.5, -2e-3], [NaN, null]], "conv1.db": [-Infinity], "loss": 0.25}'
    for length in range(2, len(text)):
        message = not_parsed(text[:length])
        assert f"ends in the middle, {near(text, length)}after {length} characters, on line 1" in message, length
        assert "flush" in message
        assert "ends in the middle" in not_parsed(f"reading\n{text[:length]}")
        assert "ends in the middle" in not_parsed(f'{{"epoch": 1}}\n{text[:length]}\n')


def near(text: str, length: int) -> str:
    """The last name that is whole within the first characters, as the message has it."""
    names = [name for name in ("conv1.dw", "conv1.db", "loss") if 0 <= text.find(f'"{name}"') <= length - len(name) - 2]
    return f"near {names[-1]}, " if names else ""


def test_every_cut_without_a_whole_name_says_so() -> None:
    for text in ('{"', '{"conv', '{ "conv1.dw'):
        assert f"ends in the middle, after {len(text)} characters" in not_parsed(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": [1,\n2, ], "b": 1}', "line 2, column 4, near a, where '], \"b\": 1}' stands; there is a comma"),
        ('{"a": 1, }', "a comma too many before the closing bracket"),
        ('{"a": [1 2]}', "a comma or a colon is missing"),
        ('{"a": [[1][2]]}', "a comma or a colon is missing"),
        ('{"a" 1}', "a comma or a colon is missing"),
        ('{"a": [1}', "the brackets do not match"),
        ('{"a": [1]]}', "the brackets do not match"),
        ('{"a": 1}}', "the brackets do not match"),
        ('{"a": [D@15db9742, 1]}', "Java's name for an array"),
        ('{"a": array([1, 2])}', "json.dumps"),
        ('{"a": [ [Array] ]}', "JSON.stringify"),
        ("{\"a\": 1, 'b': 2}", "json.dumps"),
        ('{"a": [.5]}', "a digit before its point"),
        ('{"a": [1, ...]}', "nothing can be left out"),
        ('{"a": [0x10, 1]}', "column 9, near a, where 'x10, 1]}' stands"),
        ("{'a': 1}", "Python's or JavaScript's print"),
        ("{a: 1}", "not in double quotes"),
        ("<!doctype html><p>", "HTML"),
        ("Traceback (most recent call last):\n  File 'x'\nValueError: bad", "the error of a Python program"),
        ('Exception in thread "main" java.lang.Error\n\tat Main.main(Main.java:3)', "the error of a program"),
        ("/x/a.js:1\nthrow 1\n    at Object.<anonymous> (/x/a.js:1:7)", "the error of a program"),
        (b"\x7fELF\x02\x01\x01", "a binary file"),
        ("", "is empty; it needs one JSON object"),
        (" \r\n\t", "is empty"),
        ("\ufeff", "is empty"),
        ("[1, 2]", "is a list without names"),
        ("0.5", "is a lone number"),
        ("null", "is null"),
        ("hello\n\n  again\x1b[0m\nmore\nhidden", "it begins with 'hello | again\\\\u001b[0m | more'"),
    ],
)
def test_what_is_no_json_is_told_by_what_it_looks_like(text: str | bytes, told: str) -> None:
    assert told in not_parsed(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    text = json.dumps(NESTED | {"größe": 1}, ensure_ascii=False)
    for noise in ("", "Fortschritt: größer\r\n"):
        (tmp_path / "answer").write_bytes(f"{noise}{text}\r\n".encode(encoding))
        same(read_answer(tmp_path / "answer"), GOOD | {"größe": np.array(1)})


def test_other_encodings_are_one_line_with_the_place() -> None:
    text = '{"größe": 1}'
    assert f"its bytes f6 df 65 22 from place {text.index('ö')} on are not UTF-8" in not_parsed(text.encode("latin-1"))
    assert "are not UTF-16" in not_parsed('{"a": 1}'.encode("utf-16")[:-1])


# Noise around


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('Epoch 1 {done}\n{"a": [1, 2]}\nbye {x}', "the JSON object"),
        ('result: {"a": [1, 2]}', "the JSON object"),
        ('{"a": [1, 2]} in 3 s', "the JSON object"),
        ('{"loss": 3}\n{"loss": 2}\n{"a": [1, 2]}\n', "the last of 3 JSON objects"),
        ('[INFO] {"broken": [1,}\n{"a": [1, 2]}\n', "the JSON object"),
        ('100\n{"a": [1, 2]}', "the JSON object"),
    ],
)
def test_the_last_object_among_noise_is_read_and_noted(text: str, count: str) -> None:
    answer = parse_answer(text, "it")
    same(answer, {"a": np.array([1.0, 2.0])})
    (note,) = answer.notes
    assert f"{count} was read; the other text around it was ignored; it begins with " in note
    assert note.isprintable()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('log\n{"a": {"b": [1,,2]}, "c": {"d": 1}}', "line 2, column 16, near b"),  # its last inner object is no answer
        ('{"loss": 1}\n{"a": [1, 2], "b": [1, }', "line 2, column 24, near b"),  # nor is a line of the log
        ('[{"a": 1}, {"a": 2}]', "is a list without names"),
        ('log\n[{"a": 1}, {"a": 2}]', "holds no JSON object"),
        ('log {"a": 1}}', "holds no JSON object"),
        ("log {}\n", "holds no JSON object"),
    ],
)
def test_a_part_is_not_taken_for_the_whole(text: str, told: str) -> None:
    assert told in not_parsed(text)


def test_a_search_that_would_not_end_is_given_up() -> None:
    """Each attempt counts the lines before it: without an end to them that is millions of times millions of bytes."""
    assert "is not JSON" in not_parsed("log\n" + '{"x ' * 10**6)
    assert parsed("log\n" + '{"x ' * 100 + '\n{"a": 1}') == {"a": 1}


# Files


def test_a_file_is_told_by_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(NESTED)
    for name in ("answer.json", "answer.npz", "answer"):
        (tmp_path / name).write_text(text)
        same(read_answer(tmp_path / name), GOOD)
        same(read_answer(str(tmp_path / name)), GOOD)
    np.savez(tmp_path / "packed.npz", **GOOD)
    for name in ("answer.json", "answer"):
        (tmp_path / name).write_bytes((tmp_path / "packed.npz").read_bytes())
        same(read_answer(tmp_path / name), GOOD)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(text.encode())))
    same(read_answer("-"), GOOD)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"")))
    assert refused(read_answer, "-").startswith("stdin: is empty")
    monkeypatch.setattr(sys, "stdin", None)
    assert refused(read_answer, "-").startswith("stdin: is closed")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert f"{tmp_path}/no: there is no such file" in refused(read_answer, tmp_path / "no")
    assert "cannot be a file name" in refused(read_answer, "a\0b")
    assert "cannot be read: Not a directory" in refused(read_answer, f"{__file__}/answer.json")
    assert "cannot be read: File name too long" in refused(read_answer, "a" * 5000)
    assert "there is no such file" in refused(read_answer, "two\nlines")
    assert "cannot be read: Input/output error" in refused(read_answer, "/proc/self/mem")


def test_an_endless_file_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaingrad.checking.answers.answer.BYTES_LIMIT", 1 << 22)
    assert "is larger than" in refused(read_answer, "/dev/zero")


# NPZ


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["f2", "f4", ">f4", "f8", ">f8", "longdouble", "i1", "u1", ">i4", "i8", "u8"])
def test_npz_of_every_kind_of_number_is_read(tmp_path: Path, save: Any, kind: str) -> None:
    arrays = {
        name: (array * 50).astype(kind) if kind[-2] not in "u" else abs(array * 50).astype(kind)
        for name, array in GOOD.items()
    }
    arrays["fortran"] = np.asfortranarray(arrays["conv1.y"])
    arrays["strided"] = arrays["conv1.y"][::-1, :, ::2].T
    arrays["empty"] = np.zeros((0, 3), kind)
    save(tmp_path / "answer.npz", **arrays)
    same(read_answer(tmp_path / "answer.npz"), {name: array.astype(np.float64) for name, array in arrays.items()})


def test_a_number_beyond_float64_is_infinite(tmp_path: Path) -> None:
    beyond = np.array([np.finfo(np.longdouble).max, 1])
    np.savez(tmp_path / "answer.npz", a=beyond)
    with np.errstate(over="ignore"):
        same(read_answer(tmp_path / "answer.npz"), {"a": beyond.astype(np.float64)})


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.array([1j]), "conv1.dw holds complex numbers"),
        (np.array(["1"]), "conv1.dw holds texts"),
        (np.array([b"1"]), "conv1.dw holds texts"),
        (np.array([True]), "conv1.dw holds true and false"),
        (np.array([None]), "conv1.dw holds Python objects"),
        (np.zeros(2, "f8,f8"), "conv1.dw holds the type [('f0', '<f8'), ('f1', '<f8')]"),
        (np.zeros(2, "M8[s]"), "conv1.dw holds the type datetime64[s]"),
    ],
)
def test_npz_of_anything_else_is_refused(tmp_path: Path, array: np.ndarray, told: str) -> None:
    np.savez(tmp_path / "answer.npz", **{"conv1.dw": array})
    assert f"answer.npz: {told}; integers or floats are needed" in refused(read_answer, tmp_path / "answer.npz")
    np.savez(tmp_path / "answer.npz", **{"loss": 1.0, "conv1.dw": array})
    answer = read_answer(tmp_path / "answer.npz")
    same(answer, {"loss": np.array(1.0)})
    assert f"{told}; integers or floats are needed" in answer.unread["conv1.dw"]


def packed(path: Path, entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def npy(header: str, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """An NPY file with a header of one's own."""
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + content


def described(shape: str, kind: str = "<f8") -> str:
    return f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}}}\n"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_none_of_arrays_are_refused(tmp_path: Path) -> None:
    one = npy(described("(2,)"), bytes(16))
    path = tmp_path / "answer.npz"
    for entries, told in (
        ([], "a zip file without arrays (it holds nothing)"),
        ([("a/data", b"x"), ("b", b"")], "a zip file without arrays (it holds a/data, b)"),
        ([("a.npy", one), ("a.npy", one)], "a is given twice"),
        ([("a.npy", b"")], "damaged"),
        ([("a.npy", b"hello, this is not it")], "damaged"),
        ([("a.npy", one[:-1])], "a is damaged: float64 of shape (2,) in 15 bytes"),
        ([("a.npy", one + b"x")], "in 17 bytes"),
        ([("a.npy", npy(described("(99999999999,)"), bytes(16)))], "in 16 bytes"),
        ([("a.npy", npy(described("(-2,)"), bytes(16)))], "damaged"),
        ([("a.npy", npy(described("(-1, -2)"), bytes(16)))], "damaged"),
        ([("a.npy", npy(described(f"(0, {10**30})")))], "damaged"),
        ([("a.npy", npy(described(f"({'1, ' * 70})"), bytes(8)))], "damaged"),
        ([("a.npy", npy(described("(1,)", "|O"), bytes(8)))], "Python objects"),
        ([("a.npy", npy("(" * 9000, bytes(8)))], "damaged"),
        ([("a.npy", npy("1" * 60000, bytes(8)))], "damaged"),
        ([("a.npy", npy("{'descr': L}", bytes(8)))], "damaged"),
        ([("a.npy", npy(described("(2,)"), bytes(16), b"\3\0"))], "NPY version (3, 0)"),
    ):
        assert told in refused(read_answer, packed(path, entries)), entries
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert "packed in an unusual way" in refused(read_answer, packed(path, [("a.npy", one)], method))
    np.save(tmp_path / "a.npy", np.ones(3))
    assert "one array without a name" in refused(read_answer, tmp_path / "a.npy")
    assert "np.savez" in refused(read_answer, tmp_path / "a.npy")


def test_what_else_an_archive_holds_is_passed_over_and_noted(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.npz", [("readme.txt", b"hello"), ("a.npy", npy(described("(2,)"), np.arange(2.0).tobytes()))]
    )
    answer = read_answer(path)
    same(answer, {"a": np.arange(2.0)})
    assert answer.notes == ("entries of the archive that are not arrays were skipped: readme.txt",)


def test_an_array_written_by_python_2_is_read_without_a_warning(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.npz", [("a.npy", npy(described("(2L,)"), np.arange(2.0).tobytes()))])
    same(read_answer(path), {"a": np.arange(2.0)})


def test_every_cut_of_an_archive_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "answer.npz"
    np.savez_compressed(path, loss=1.0)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refused(read_answer, path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "answer.npz", [("a.npy", bytes(1 << 23)), ("b.npy", bytes(1 << 23))])
    assert path.stat().st_size < 1 << 15
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    monkeypatch.setattr(answer_files, "BYTES_LIMIT", (1 << 24) - 1)
    assert "2 arrays of 16,777,216 bytes in all" in refused(read_answer, path)
    monkeypatch.setattr(answer_files, "FILES_LIMIT", 1)
    monkeypatch.setattr(answer_files, "BYTES_LIMIT", 1 << 30)
    assert "at most 1 and" in refused(read_answer, path)


def test_a_directory_that_tells_too_small_a_size_is_held_to_it(tmp_path: Path) -> None:
    """The size stands as four bytes in the entry and once more in the directory; both are made one small number."""
    size = 1 << 23
    path = packed(tmp_path / "answer.npz", [("a.npy", bytes(size))])
    content = path.read_bytes()
    assert content.count(size.to_bytes(4, "little")) == 2
    path.write_bytes(content.replace(size.to_bytes(4, "little"), (64).to_bytes(4, "little")))
    assert "damaged" in refused(read_answer, path)


# CSV


def tables(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    "content",
    [
        "1,-2.5,3e-1\n4,5,6\n",
        "# by hand, x;y\n1;-2.5;3e-1\n\n4;5;6",
        "1;-2,5;3e-1\r\n4;5;6\r\n",
        "1\t-2,5\t3e-1\n4\t5\t6",
        "1\t-2.5\t.3\n4.\t5\t6\t\n",
        " 1.0e+00  -2.5 +0.3\n4 5 6\n",
        "1, -2.5, 3e-1,\n4, 5, 6,\n",
        "\ufeff1,-2.5,0.3\r4,5,6\r",
        "1,-2.5,0.3\n4,5,6\n".encode("utf-16"),
    ],
)
def test_tables_of_every_common_kind_are_read(tmp_path: Path, content: str | bytes) -> None:
    folder = tables(tmp_path / "answer", **{"conv1.dw": content})
    same(read_answer(folder), {"conv1.dw": np.array([[1, -2.5, 0.3], [4, 5, 6]])})
    commas = b"2,5" in (content if isinstance(content, bytes) else content.encode())
    assert read_answer(folder).notes == (("conv1.dw.csv: commas were read as decimal points",) if commas else ())


def test_what_numpy_and_others_write_as_a_table_comes_back(tmp_path: Path) -> None:
    wide = RNG.normal(size=(5, 7))
    (tmp_path / "answer").mkdir()
    np.savetxt(tmp_path / "answer" / "conv1.y.csv", wide)
    np.savetxt(tmp_path / "answer" / "step2.conv1.y.CSV", wide, delimiter=";", header="rows; of 7")
    tables(tmp_path / "answer", loss="0.5\n", lost="nan,-inf,NaN,Infinity,1e999\n")
    (tmp_path / "answer" / "more.csv").mkdir()
    (tmp_path / "answer" / ".hidden.csv").write_text("x")
    (tmp_path / "answer" / "Main.java").write_text("x")
    answer = read_answer(tmp_path / "answer")
    # 19 significant digits, which savetxt writes, tell each float64 from all others (17 do)
    lost = np.array([[math.nan, -math.inf, math.nan, math.inf, math.inf]])
    same(answer, {"conv1.y": wide, "step2.conv1.y": wide, "loss": np.array([[0.5]]), "lost": lost})
    assert answer.notes == ("files in the folder that are not CSV were skipped: Main.java, more.csv",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b,c\n1,2,3\n", "a.csv, line 1: 'a' is not a number; rows hold numbers only: remove words, or put #"),
        ("# x\n1,2\n3,x\n", "a.csv, line 3: 'x' is not a number"),
        ("1,2\n3,,4\n", "a.csv, line 2: a cell is empty"),
        ("1,2\n\n3,4,5\n", "a.csv: line 3 has 3 numbers and line 1 has 2"),
        ('"1","2"\n', "a.csv, line 1: '\"1\"' is not a number"),
        ("1;2,5,0\n", "a.csv, line 1: '2,5,0' is not a number"),
        ("1_000,2\n", "'1_000' is not a number"),
        ("٣,2\n", "'٣' is not a number"),
        ("", "a.csv holds no number"),
        ("# nothing\n\n", "a.csv holds no number"),
        ("[[1,2]]", "a.csv, line 1: '[[1' is not a number"),
        (b"\xff\xfe\xfd", "are not UTF-16"),
        (b"1,\xe9", "are not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_told_with_its_line(tmp_path: Path, content: str | bytes, told: str) -> None:
    assert told in refused(read_answer, tables(tmp_path / "answer", a=content))


def test_a_folder_of_something_else_is_told_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tables(tmp_path / "answer")
    assert "without CSV files (it holds nothing); it needs one CSV file" in refused(read_answer, folder)
    (folder / "answer.json").write_text("{}")
    assert "without CSV files (it holds answer.json)" in refused(read_answer, folder)
    tables(folder, a="1", b="2", B="3")
    assert len(read_answer(folder).arrays) == 3
    (folder / "b.CSV").write_text("4")
    assert "b is given twice" in refused(read_answer, folder)
    monkeypatch.setattr(answer_files, "FILES_LIMIT", 3)
    assert "4 CSV files; at most 3 can be read" in refused(read_answer, folder)


def test_tables_keep_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_nested, "NUMBERS_LIMIT", 12)
    folder = tables(tmp_path / "answer", a="1,2,3\n4,5,6\n", b="1 2 3\n4 5 6\n")
    assert len(read_answer(folder).arrays) == 2
    for content in ("1,2,3\n4,5,6\n7", "1 2 3 4 5 6 7", "1\n" * 7):
        assert "more than 12 numbers" in refused(read_answer, tables(folder, b=content))
    monkeypatch.setattr(answer_files, "BYTES_LIMIT", 18)
    assert "is larger than" in refused(read_answer, tables(folder, b="1,2,3,4"))


# Python


def test_values_of_python_are_read_as_they_are() -> None:
    class Tensor:
        def __init__(self, array: np.ndarray) -> None:
            self.array = array

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return self.array

    whole = np.arange(6.0).reshape(2, 3)
    given = {
        "lists": [[0, 1, 2], (3, 4.0, 5)],
        "array": whole,
        "small": whole.astype(np.float16),
        "strided": np.arange(12.0).reshape(2, 6)[:, ::2] / 2,
        "array-like": Tensor(whole),
        "arrays": [whole[0], Tensor(whole[1])],
        "scalars": [[np.float32(0), np.int8(1), 2], [Fraction(3), np.float64(4), 5]],
        "objects": np.array([[Fraction(each) for each in row] for row in whole.astype(int).tolist()]),
        "inner": {"deeper": {"array": whole}},
    }
    answer = answer_of(given)
    same(answer, {name.replace("inner", "inner.deeper.array"): whole for name in given})
    whole[...] = 7
    assert answer.arrays["array"].max() == 5  # not the caller's own memory
    huge = answer_of({"a": [10**400, -(10**400), Fraction(10**400), None, math.nan], "b": 3, "c": None})
    infinite = np.array([math.inf, -math.inf, math.inf, math.nan, math.nan])
    same(huge, {"a": infinite, "b": np.array(3.0), "c": np.array(math.nan)})


def test_values_of_python_that_cannot_be_are_refused() -> None:
    class Odd:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            raise RuntimeError("on\nanother device")

        def __float__(self) -> float:
            raise RuntimeError

    class Unfloat:
        def __float__(self) -> float:
            raise RuntimeError

    endless: list[Any] = []
    endless.append(endless)
    for given, told in (
        ({"a": True}, "answer: a is true"),
        ({"a": np.True_}, "answer: a holds true and false"),
        ({"a": [1, np.True_]}, "answer: a[1] is true"),
        ({"a": "0.5"}, "answer: a is the text '0.5'"),
        ({"a": np.array(["x"])}, "answer: a holds texts"),
        ({"a": 1j}, "answer: a is of the type complex"),
        ({"a": [np.array([1j])]}, "answer: a[0,0] is of the type complex"),
        ({"a": {1, 2}}, "answer: a is of the type set"),
        ({"a": [1, object()]}, "answer: a[1] is of the type object"),
        ({"a": [[1, 2], np.ones(3)]}, "answer: a[1] has 3 entries and a[0] has 2"),
        ({"a": [{"b": 1}]}, "answer: a[0] is an object within a list"),
        ({"a": {"b": 1}, "a.b": 1}, "answer: a.b is given twice"),
        ({1: 2}, "answer: 1 is not a name"),
        ({"a": {None: 2}}, "answer: None is not a name"),
        ({"a": Odd()}, "answer: a cannot be made an array (RuntimeError: on another device)"),
        ({"a": Unfloat()}, "answer: a is of the type Unfloat"),
        ({"a": endless}, "answer: brackets nest more than 32 deep"),
        ({"a": np.array([1, None, "x"], dtype=object)}, "answer: a[2] is the text 'x'"),
        ({}, "answer: it names no quantity"),
        ([1, 2], "answer: got a list"),
        (None, "answer: got a NoneType"),
    ):
        assert told in refused(answer_of, given)


@pytest.mark.torch
def test_tensors_are_read() -> None:
    torch = pytest.importorskip("torch")
    whole = np.arange(6.0).reshape(2, 3)
    leaf = torch.tensor(whole, requires_grad=True)
    given = {
        "leaf": leaf,
        "half": leaf.bfloat16(),
        "turned": torch.tensor(whole.T.copy()).T,
        "integers": torch.tensor(whole.astype(int)),
        "list": [leaf[0], leaf[1].float()],
    }
    same(answer_of(given), dict.fromkeys(given, whole))
    for wrong in (torch.ones(2, dtype=torch.complex64), torch.ones(2, dtype=torch.bool), torch.ones(2, device="meta")):
        refused(answer_of, {"a": wrong})
    refused(answer_of, {"a": torch.ones(2, 2).to_sparse()})


# Programs


def python(code: str) -> str:
    """The command that runs Python code."""
    return shlex.join([sys.executable, "-c", code])


def failed(code: str, case: str = "{}", seconds: float = 60) -> str:
    """What is told of Python code that gives no answer."""
    return refused(ask, python(code), case, seconds)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int) -> bool:
    """Whether a process that was killed is gone, within the seconds a busy machine may need."""
    until = time.monotonic() + 20
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_a_program_is_asked() -> None:
    answer, seconds = ask(python("import sys; sys.stdout.write(sys.stdin.read())"), json.dumps(NESTED))
    same(answer, GOOD)
    assert 0 < seconds < 60
    answer, _ = ask(python("print('reading'); import sys; print(sys.stdin.read()); print('bye')"), json.dumps(NESTED))
    same(answer, GOOD)
    assert "the JSON object was read; the other text around it was ignored" in answer.notes[0]


def test_much_in_both_directions_does_not_block() -> None:
    """A pipe holds 64 KiB: a program that prints while it is being written to would wait for ever."""
    case = json.dumps({"a": [0.5] * 200_000})
    echo = (
        "import sys\nfor line in iter(lambda: sys.stdin.read(1000), ''): sys.stdout.write(line); sys.stderr.write(line)"
    )
    answer, _ = ask(python(echo), case)
    same(answer, {"a": np.full(200_000, 0.5)})


def test_a_program_need_not_read_the_case() -> None:
    case = "x" * (1 << 22)
    for code in ("print('{\"a\": 1}')", "import sys; sys.stdin.close(); print('{\"a\": 1}')"):
        same(ask(python(code), case)[0], {"a": np.array(1)})


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    message = failed("import sys; print('{\"a\": 1}'); sys.stderr.write('one\\n\\n two\\x1b[31m\\x07\\n'); sys.exit(3)")
    assert message.endswith("ended with exit code 3; the last on its stderr: one | two\\u001b[31m\\u0007")
    assert "ended with exit code 1" in failed("1 / 0")
    assert "ZeroDivisionError" in failed("1 / 0")
    assert "ended with the signal SIGSEGV" in failed("import os; os.kill(os.getpid(), 11)")
    assert f"ended with the signal {signal.SIGRTMIN + 1}" in failed(f"import os; os.kill(0, {signal.SIGRTMIN + 1})")
    assert "exit code 1; the last on its stdout: no file" in failed("print('no file'); exit(1)")
    told = failed("import sys; sys.stderr.buffer.write(b'\\xff\\xfe' + b'word ' * 10**6 + b'\\nthe end'); sys.exit(1)")
    assert told.endswith("the end")
    assert len(told.partition("stderr: ")[2]) == program.TOLD + len("…")


def test_a_program_that_gives_no_answer_is_told_with_its_last_words() -> None:
    grumble = "import sys; print('no weights found', file=sys.stderr); "
    assert failed(grumble).endswith(
        "printed nothing; the answer is read from its stdout; the last on its stderr: no weights found"
    )
    message = failed(f"{grumble} print('hello')")
    assert "printed: holds no JSON object; it begins with 'hello'" in message
    assert message.endswith("the last on its stderr: no weights found")
    assert "ends in the middle, near a" in failed("import os; print('{\"a\": [1,', flush=True); os._exit(0)")
    assert "holds no JSON object" in failed("import sys; sys.stdout.buffer.write(bytes(range(1, 127)))")


def test_a_program_that_hangs_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    code = f"""
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child.pid))
print("begun", flush=True)
print("waiting", file=sys.stderr, flush=True)
time.sleep(600)
"""
    began = time.monotonic()
    message = failed(code, seconds=5)
    assert time.monotonic() - began < 60
    assert "was still running after 5 s and was stopped, having printed 6 bytes" in message
    assert "stderr: waiting; does it read all of its stdin" in message
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_leaves_another_with_its_output_is_stopped(tmp_path: Path) -> None:
    """The first has ended long since, and its process group must still be found."""
    command = f"sh -c {shlex.quote(f'sleep 600 & echo $! > {tmp_path}/pid')}"
    assert "was still running after 1 s" in refused(ask, command, "{}", 1)
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_closes_its_output_and_goes_on_is_stopped() -> None:
    assert "having printed nothing" in failed("import os, time; os.close(1); time.sleep(600)", seconds=1)


def test_ctrl_c_stops_the_program(tmp_path: Path) -> None:
    place = str(tmp_path / "pid")
    code = f"import os, pathlib, time; pathlib.Path({place!r}).write_text(str(os.getpid())); time.sleep(600)"

    def interrupt() -> None:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        ask(python(code), "{}")
    thread.join()
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_while_a_program_is_started_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Wherever it comes: just before the system starts the program, or when it runs and nobody has been told."""
    known = subprocess.Popen.__init__

    def interrupted(process: subprocess.Popen[bytes], *given: Any, **more: Any) -> None:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGINT)
        known(process, *given, **more)
        started.append(process.pid)
        if moment == "after":
            os.kill(os.getpid(), signal.SIGINT)

    started: list[int] = []
    monkeypatch.setattr(subprocess.Popen, "__init__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(python("import time; time.sleep(600)"), "{}")
    assert len(started) == 1
    assert gone(started[0])


def test_a_program_that_prints_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "BYTES_LIMIT", 1 << 20)
    assert "printed more than 1 MiB and was stopped" in failed("while True: print('x' * 100000)")
    same(ask(python("while True: print('{\"a\": 1}'); break"), "{}")[0], {"a": np.array(1)})


def test_a_program_that_cannot_be_started_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content, mode in (
        ("main.py", "print(1)", 0o644),
        ("main", "#!/bin/sh\necho '{\"a\": 1}'\n", 0o755),
        ("odd", "#!/no/such/program\n", 0o755),
        ("bare", "\x01\x02", 0o755),
    ):
        Path(name).write_text(content)
        Path(name).chmod(mode)
    for command, told in (
        ("no-such-program x", "`no-such-program x` cannot be run: there is no program no-such-program"),
        (
            "main.py",
            "main.py is a file without execute permission: name the program that runs it, such as python main.py",
        ),
        ("./main.py", "./main.py is a file without execute permission: chmod +x ./main.py"),
        ("main", "there is no program main, but a file here: write ./main"),
        ("./odd", "./odd is there, but the program its first line (#!) names is not"),
        ("./bare", "./bare is neither machine code nor a script that begins with #!"),
        (str(tmp_path), "is a folder"),
        ("python 'x", "cannot be split into words: no closing quotation"),
        (" ", "no command to run"),
        ("''", "cannot be run"),
        ("a\0b", "cannot be run"),
        ("a\nb\x1b", "`a b\\u001b` cannot be run"),
    ):
        assert told in refused(ask, command, "{}")
    same(ask("./main", "{}")[0], {"a": np.array(1)})


def test_words_are_not_run_by_a_shell(tmp_path: Path) -> None:
    answer, _ = ask(
        shlex.join([sys.executable, "-c", "import sys; print({sys.argv[1]: 1} and '{\"a\": 1}')"])
        + f" '$HOME;' > {tmp_path}/x",
        "{}",
    )
    same(answer, {"a": np.array(1)})
    assert not (tmp_path / "x").exists()


def test_nothing_is_left_open() -> None:
    """Files and threads as many as before, after answers, failures and hangs."""

    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    before = count()
    for code in ("print('{\"a\": 1}')", "1 / 0", "import time; time.sleep(600)"):
        try:
            ask(python(code), "x" * (1 << 20), 1)
        except AnswerError:
            continue
    assert count() == before


# Damage of every kind


FRAGMENTS = [
    "{", "}", "[", "]", ",", ":", '"', "'", "\\", "true", "\n", "#", ";", "\t", "0x1", "_", "array(", "1,5;2,5", "# x",
    '"a":', '{"a":1}', "[[[]]]", "[" * 3000, '{"a":' * 3000, "\\u00", "\\ud800", "\ud800", "\ufeff", "\u2028", "\0",
    "\x1b[31m", "٣", "é", "𝔘",
]  # fmt: skip
NUMBERS = [
    "null",
    "NaN",
    "-Infinity",
    "nan",
    "1e999999",
    "-",
    ".",
    "1e",
    "9" * 5000,
    "-0",
    "1_0",
    "5e-324",
    '"0.5"',
    "[1]",
]


def json_bytes() -> bytes:
    return json.dumps(NESTED, indent=1).encode()


def npz_bytes() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: array for name, array in GOOD.items() if name != "conv1.y"})
    return stream.getvalue()


def npy_bytes() -> bytes:
    """One array of an archive: damaged and then packed, as the check sums of a zip file notice nearly all else."""
    stream = io.BytesIO()
    np.save(stream, GOOD["conv1.dw"])
    return stream.getvalue()


def csv_bytes() -> bytes:
    stream = io.StringIO()
    np.savetxt(stream, GOOD["conv1.y"].reshape(6, 20), fmt="%g", delimiter=",")
    return stream.getvalue().encode()


SEEDS: dict[str, Callable[[], bytes]] = {
    "json": json_bytes,
    "log": lambda: b"begin {x}\n" + json_bytes() + b"\nend",
    "utf-16": lambda: json_bytes().decode().encode("utf-16"),
    "npz": npz_bytes,
    "npy": npy_bytes,
    "csv": csv_bytes,
}


def mutant(content: bytes, rng: np.random.Generator, encoding: str) -> bytes:
    """The content after one or two accidents."""
    for _ in range(rng.integers(1, 3)):
        data = bytearray(content)
        fragment = FRAGMENTS[rng.integers(len(FRAGMENTS))].encode(encoding, "surrogatepass")
        one, other = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        short = one + int(rng.integers(1, 9))
        match rng.integers(0, 16):
            case 0:
                for place in rng.integers(0, max(1, len(data)), rng.integers(1, 5)).tolist():
                    data[place : place + 1] = bytes([rng.integers(0, 256)])
            case 1:
                data = data[:one]
            case 2:
                del data[one : min(other, one + 50)]
            case 3:
                data[one:one] = data[one:other]
            case 4:
                data[one:one] = fragment
            case 5:
                data[one:short] = fragment
            case 6:
                data[one:one] = rng.bytes(rng.integers(1, 20))
            case 7:
                data[one:short], data[other : other + 8] = data[other : other + 8], data[one:short]
            case 8:
                data = with_a_number_replaced(data, one, fragment)
            case _:
                data = with_a_number_replaced(data, one, NUMBERS[rng.integers(len(NUMBERS))].encode(encoding))
        content = bytes(data)
    return content


def with_a_number_replaced(data: bytearray, place: int, text: bytes) -> bytearray:
    """The bytes with the number at or after a place replaced."""
    digits = b"0123456789.-+e"
    start = next((at for at in range(place, len(data)) if data[at] in digits), len(data))
    end = next((at for at in range(start, len(data)) if data[at] not in digits + b"\0"), len(data))  # UTF-16 has zeros
    return data[:start] + text + data[end:]


def mutants(kind: str, seed: int, count: int) -> Iterator[bytes]:
    rng, good = np.random.default_rng([seed, *kind.encode()]), SEEDS[kind]()
    for _ in range(count):
        yield mutant(good, rng, "utf-16-le" if kind == "utf-16" else "utf-8")


def told(read: Callable[..., Any], *arguments: Any) -> str:
    """Whether it was read or refused; anything else, and what is not told in one line, fails."""
    try:
        answer = read(*arguments)
    except AnswerError as error:
        message = str(error)
    else:
        sound(answer[0] if isinstance(answer, tuple) else answer)
        return "read"
    assert message.isprintable()
    return "refused"


def sound(answer: Answer) -> None:
    assert answer.arrays
    for name, array in answer.arrays.items():
        assert isinstance(name, str)
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float64
    assert all(note.isprintable() for note in answer.notes)


def outcome(kind: str, content: bytes, place: Path) -> str:
    """What comes of a file or a folder of this content."""
    if kind == "csv":
        tables(place, **{"conv1.y": content, "loss": "1"})
    elif kind == "npy":
        packed(place, [("conv1.dw.npy", content), ("loss.npy", npy(described("()"), bytes(8)))])
    else:
        place.write_bytes(content)
    told_of = told(read_answer, place)
    if told_of == "read":
        right(kind, content, read_answer(place))
    return told_of


def right(kind: str, content: bytes, answer: Answer) -> None:
    """What could be read of damaged content is what it says, where another reader can tell."""
    if kind == "npz":
        known = {array.tobytes() for array in GOOD.values()}
        assert {array.tobytes() for array in answer.arrays.values()} <= known
    elif kind in ("json", "utf-16") and not answer.notes:
        said = json.loads(content, parse_int=float)
        if not any(isinstance(each, dict) for each in said.values()):
            same(answer, {name: np.array(each, float) for name, each in said.items() if name not in answer.unread})


def check_mutants(kind: str, seed: int, count: int, place: Path) -> None:
    seen = Counter(outcome(kind, content, place) for content in mutants(kind, seed, count))
    print(f"{kind}: {dict(seen)}")  # noqa: T201 - the figures, for `pytest -s`
    harmless = {"read"} if kind != "npz" else set()  # a digit became another; an archive's check sums notice even that
    assert set(seen) - {"read"} == {"refused"}
    assert set(seen) >= harmless


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.often(2)
def test_no_damage_is_anything_but_an_answer_or_one_line(kind: str, tmp_path: Path) -> None:
    check_mutants(kind, 0, 100, tmp_path / "answer")


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("kind", SEEDS)
def test_no_damage_of_very_much_is_anything_else(kind: str, seed: int, tmp_path: Path) -> None:
    check_mutants(kind, seed, 1000, tmp_path / "answer")


def test_the_good_ones_before_the_damage_are_read(tmp_path: Path) -> None:
    for kind, good in SEEDS.items():
        assert outcome(kind, good(), tmp_path / kind) == "read"


def test_a_damaged_answer_of_a_program_is_one_line_too(tmp_path: Path) -> None:
    seen = set()
    for content in mutants("log", 9, 60):
        (tmp_path / "answer").write_bytes(content)
        seen.add(told(ask, shlex.join(["cat", str(tmp_path / "answer")]), "{}"))
    assert seen == {"read", "refused"}


def test_reading_answers_loads_no_numba() -> None:
    code = "import sys, plaingrad.checking.answers.program; print({'numba', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


LEAVING = {
    "closed its stdout": "os.close(1)",
    "left the session": "os.setsid(); os.close(1); os.close(2)",
    "has another parent": "os.setsid(); os.fork() and os._exit(0); os.close(1); os.close(2)",
    "holds no stream and no name": "os.setsid(); os.fork() and os._exit(0); os.closerange(0, 9); os.environ.clear()",
}


@pytest.mark.skipif(sys.platform != "linux", reason="descendants are found in /proc")
@pytest.mark.parametrize("kind", LEAVING)
@pytest.mark.parametrize("end", ["print(f'{{{chr(34)}loss{chr(34)}: 1}}')", "sys.exit(3)", "time.sleep(60)"])
@pytest.mark.often(4)
def test_nothing_that_a_program_started_outlives_it(tmp_path, kind, end):
    own = f"if not os.fork(): {LEAVING[kind]}; open('left', 'w').write(str(os.getpid())); time.sleep(60); os._exit(0)"
    wait = "while not os.path.exists('left') or not open('left').read(): time.sleep(0.01)"
    (tmp_path / "program.py").write_text(f"import os, sys, time\nos.chdir({str(tmp_path)!r})\n{own}\n{wait}\n{end}\n")
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with contextlib.suppress(AnswerError):
            ask(f"{sys.executable} {tmp_path / 'program.py'}", "{}", seconds=2)
        left = int((tmp_path / "left").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(left, 0)
        assert bystander.poll() is None  # a child of ours that is none of the program's
    finally:
        bystander.kill()
        bystander.wait()
