"""Opening a file of data, gzipped or not: how much it can hold, and one clear line where it is damaged."""

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from plaingrad.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
GZIP_BEST = 1032  # deflate packs no more than this many bytes into one
MOST_UNPACKED = 1 << 30  # bytes: a small file may tell of very many

# What a damaged file raises in decoders of others, beside what is no fault of the file.
NOT_THE_FILE = (KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(frozen=True)
class Opened:
    """A stream of bytes. `room`: the most that `holder` can hold, so that no header makes us allocate more."""

    stream: IO[bytes]
    room: int
    holder: str
    is_packed: bool


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The bytes of a file, unpacked if they are gzipped, whatever its name. DataError, one line, where that fails."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not packed:
                yield Opened(file, size, "the file", False)
                return
            with gzip.open(file) as stream:
                yield Opened(stream, size * GZIP_BEST, f"a gzip file of {size} bytes", True)  # type: ignore[arg-type]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip file is damaged or cut short ({error}); fetch it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def require_room(path: object, needed: int, wanted: str, file: Opened) -> None:
    """DataError where a header asks for more bytes than there can be, or than are unpacked."""
    if needed > file.room:
        raise DataError(
            f"{path}: its header asks for {needed} bytes ({wanted}), {file.holder} has at most {file.room}: "
            "it is damaged or cut short; fetch it again"
        )
    if file.is_packed and needed > MOST_UNPACKED:
        raise DataError(
            f"{path}: its header asks for {needed} bytes ({wanted}), at most {MOST_UNPACKED} are unpacked; "
            "if it is what you want, unpack it with gunzip first"
        )


def read_exactly(path: object, stream: IO[bytes], needed: int, wanted: str) -> bytearray:
    """So many bytes, and no more behind them; DataError where there are fewer or more."""
    content, there = bytearray(needed), 0
    while there < needed and (block := stream.read(min(needed - there, 1 << 20))):
        content[there : there + len(block)] = block
        there += len(block)
    if there < needed:
        raise DataError(f"{path}: cut short: {there} bytes there, {needed} needed ({wanted}); fetch it again")
    # Reading on also makes gzip compare its check sum.
    if more := len(stream.read(1 << 20)):
        raise DataError(
            f"{path}: {more} trailing bytes or more after the {needed} its header announces ({wanted}); fetch it again"
        )
    return content


def decoded(path: object, kind: str, decode: Callable[[], Any]) -> Any:
    """What a decoder of others makes of a file; DataError, one line, whatever it raises."""
    try:
        return decode()
    except DataError:
        raise
    except NOT_THE_FILE:
        raise
    except Exception as error:  # a damaged file can raise nearly anything there, MemoryError and RecursionError too
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: not a whole {kind}: {reason}") from None
