"""Bad input costs little: its size is known, and bounded, before anything is built from it."""

import gzip
import io
import struct
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

import plaingrad as pg
from often import some
from plaingrad.checking import make_case
from plaingrad.checking.answers.answer import parse_answer
from plaingrad.checking.answers.json_text import MOST_OBJECTS
from plaingrad.checking.claims import claim
from plaingrad.data import folder, image_folder, opened, read_image
from plaingrad.data.idx import read_idx
from plaingrad.errors import AnswerError, DataError, SettingError

Image = pytest.importorskip("PIL.Image")
ROOM = 48 << 20  # bytes


@pytest.fixture(autouse=True)
def little_memory():
    """Every test below stays within it."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < ROOM


def bomb(path: Path, columns: int, rows: int, colour: int = 6) -> Path:
    """A PNG of many pixels that are all alike, in a few thousand bytes for each million."""
    packer = zlib.compressobj(9)
    line = bytes(1 + 4 * columns)
    packed = b"".join([*(packer.compress(line) for _ in range(rows)), packer.flush()])

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(("columns", "rows"), [(9000, 9000), (80_000_000, 1), (4097, 4096)])
def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path: Path, columns: int, rows: int) -> None:
    content = bytearray(bomb(tmp_path / "x.png", 1, 1).read_bytes())
    content[16:24] = struct.pack(">II", columns, rows)  # the header alone is read
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"too many pixels|columns are needed"):
        read_image(path, (1, 8, 8))


def test_an_image_of_another_size_than_needed_is_not_decoded(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / place / "1.png")
    path = bomb(tmp_path / "b" / "2.png", 4000, 4000)
    with pytest.raises(DataError, match="4000 rows x 4000 columns, 8 rows x 8 columns are needed"):
        read_image(path, (1, 8, 8))
    with pytest.raises(DataError, match=r"4000 rows x 4000 columns, but .* all need one size"):
        image_folder(tmp_path)


def test_a_folder_of_too_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MOST_BYTES", 8 * 8 * 4)
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        for number in range(3):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / place / f"{number}.png")
    with pytest.raises(DataError, match="6 images of 8 rows x 8 columns take more than"):
        image_folder(tmp_path)


@pytest.mark.long
def test_a_gzip_file_is_unpacked_only_as_far_as_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"\0\0\x08\x03" + struct.pack(">3I", 10**6, 56, 56)
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as packed:
        packed.write(header)
        for _ in range(400):
            packed.write(bytes(1 << 20))
    (tmp_path / "x.gz").write_bytes(stream.getvalue() + bytes(4 << 20))
    with pytest.raises(DataError, match="at most 1073741824 are unpacked; if it is what you want, unpack it"):
        read_idx(tmp_path / "x.gz")
    monkeypatch.setattr(opened, "MOST_UNPACKED", 99)
    small = b"\0\0\x08\x01" + struct.pack(">I", 100) + bytes(100)
    (tmp_path / "small.gz").write_bytes(gzip.compress(small))
    with pytest.raises(DataError, match="unpack it with gunzip"):
        read_idx(tmp_path / "small.gz")
    (tmp_path / "small").write_bytes(small)
    assert len(read_idx(tmp_path / "small")) == 100


@pytest.mark.parametrize(
    "asked", [{"images": 10**6}, {"images": 2**53}, {"steps": 10**6}, {"simple": True, "images": 10**6}]
)
def test_a_case_that_could_not_be_read_again_is_refused(asked: dict[str, int]) -> None:
    with pytest.raises(SettingError, match="images or fewer, or a smaller network"):
        make_case(**asked)


def test_a_case_as_large_as_may_be_can_be_read_again() -> None:
    """Twelve bytes hold a number as it is written in a case."""
    case = make_case(images=300, steps=1)
    numbers = case.net.size + case.batches[0].x.size + case.batches[0].target.size
    assert len(case.text()) < 12 * numbers


@pytest.mark.parametrize("threads", [257, 3000, 10**9])
def test_more_threads_than_help_anybody_are_refused(threads: int) -> None:
    net = pg.model("digits").network()
    data = pg.digits().test
    before = threading.active_count()
    for ask in (
        lambda: pg.score(net, data, threads=threads),
        lambda: pg.predict(net, data.images, threads=threads),
        lambda: pg.train(net, data, threads=threads, batch=10**6),
    ):
        with pytest.raises(SettingError, match="whole number from 1 to 256"):
            ask()
    assert threading.active_count() == before


UNITS = ['{"a": 1,}\n', '{"a {', '{"\\"', '{"a": nan, ],', '{" "', '{"a"\n\n\n', '{"a":', '{"a":[1,']


@pytest.mark.parametrize("unit", UNITS)
def test_broken_objects_after_much_else_cost_no_more_than_reading(unit: str) -> None:
    text = "x" * (4 << 20) + unit * 300
    most = 2.0  # seconds; each error that counted lines anew made it twenty times as much
    began = time.monotonic()
    with pytest.raises(AnswerError):
        parse_answer(text, "it")
    assert time.monotonic() - began < most


def test_very_many_objects_are_refused() -> None:
    with pytest.raises(AnswerError, match="more than 100,000 JSON objects; print the answer alone"):
        parse_answer("log\n" + '{"a":1}\n' * (MOST_OBJECTS + 1), "it")
    assert parse_answer("log\n" + '{"a":1}\n' * 1000, "it").arrays["a"] == 1


DEAR = [
    "sum(a=0..19, sum(b=0..9, sum(c=0..9, sum(d=0..9, tanh(exp(x[0,0,0]/100))))))",
    "sum(a=0..5000, sum(b=0..5, (x[0,0,0]/100+1)^999.5))",
    "sum(a=0..2999, sum(b=0..9, sigmoid(sqrt(ln(7)))))",
]


@pytest.mark.parametrize("formula", some(DEAR, lambda place: place == 2))
@pytest.mark.long
def test_a_claim_of_dear_sums_is_soon_refused(formula: str) -> None:
    run, began = pg.example("two-kernels"), time.monotonic()
    with pytest.raises(SettingError, match="claim one place instead of all, or a part"):
        claim(run, f"conv1.dw[0,0,0,0] = {formula}")
    assert time.monotonic() - began < 10
