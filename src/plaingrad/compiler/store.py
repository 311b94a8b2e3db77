"""The folder on disk where compiled code is kept: one that nobody else can write to, or none.

A file holds the object code of one function, behind a line that says what it is, with a hash that tells damage. Whoever
can write such a file has his code run, hash or not: hence only files of this user's (or root's) own are loaded.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import stat
import tempfile
import time
import warnings
from dataclasses import dataclass

MOST_KEPT, AFTER_SWEEP = 256 << 20, 192 << 20  # bytes: beyond the one the files longest unused go, down to the other
DRAFT = ".draft"
ABANDONED = 3600.0  # seconds: no draft takes so long
USED_TODAY = 86_400.0
LEFT_BEHIND = re.compile(r".+-[0-9a-f]{32}(\w{8}|.*\.draft)")  # drafts of now, and of plaingrad 0.1 in its first days
WARNED: set[str] = set()


@dataclass(frozen=True)
class Code:
    """Object code: the name under which it holds a function, and the names it needs from elsewhere."""

    symbol: str
    needs: tuple[str, ...]
    image: bytes


def user_cache() -> pathlib.Path | None:
    """Where this user's caches lie; None for a user without a home."""
    variable, usual = ("LOCALAPPDATA", "AppData/Local") if os.name == "nt" else ("XDG_CACHE_HOME", ".cache")
    told = pathlib.Path(os.environ.get(variable, ""))
    if told.is_absolute():  # the XDG specification has a relative one ignored
        return told / "plaingrad"
    try:
        return pathlib.Path.home() / usual / "plaingrad"
    except RuntimeError:
        return None


def code_folder() -> pathlib.Path | None:
    """Where compiled nests are kept between processes: PLAINGRAD_CACHE_DIR, or the user's own cache."""
    if told := os.environ.get("PLAINGRAD_CACHE_DIR"):
        return pathlib.Path(told).absolute()
    cache = user_cache()
    return None if cache is None else cache / "compiled"


def is_usable() -> bool:
    """Whether compiled code may be kept; if not, a warning says so once."""
    folder = code_folder()
    wrong = "there is no home folder" if folder is None else danger(folder)
    if wrong and wrong not in WARNED:
        WARNED.add(wrong)
        warnings.warn(
            f"compiled code is not kept, and compiled anew each time: {wrong}; "
            "set PLAINGRAD_CACHE_DIR to a folder that you alone can write to",
            RuntimeWarning,
            stacklevel=2,
        )
    return not wrong


def danger(folder: pathlib.Path) -> str:
    """Why others could put code into a folder; empty where they cannot, or where it is not there yet."""
    if os.name != "posix":
        return ""
    real = pathlib.Path(os.path.realpath(folder))
    for place in (real, *real.parents):
        try:
            known = place.stat()
        except OSError:
            continue
        if known.st_uid not in (os.geteuid(), 0):
            return f"{place} belongs to another user"
        # A group may be this user's alone, above the folder; in a sticky folder only an owner renames.
        shared = known.st_mode & 0o022 if place == real else known.st_mode & 0o002 and not known.st_mode & stat.S_ISVTX
        if shared:
            return f"others can write to {place}"
    return ""


def read(file: pathlib.Path) -> Code | None:
    """The code a file holds; None where there is none, or not what was written under this name."""
    try:
        about, _, image = _content(file).partition(b"\n")
        said = json.loads(about)
        code = Code(said["symbol"], tuple(said["needs"]), image)
        return code if said["sha256"] == _check_sum(file, code) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _content(file: pathlib.Path) -> bytes:
    """The bytes of a file that nobody else can write; OSError of any other."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(file, flags), "rb") as stream:
        known = os.fstat(stream.fileno())
        if os.name == "posix" and (known.st_uid not in (os.geteuid(), 0) or known.st_mode & 0o022):
            raise PermissionError
        if not stat.S_ISREG(known.st_mode):
            raise OSError
        if time.time() - known.st_mtime > USED_TODAY:
            with contextlib.suppress(OSError):
                os.utime(file)  # used: the files longest unused go first
        return stream.read()


def write(file: pathlib.Path, code: Code) -> None:
    """Keep code on disk, whole or not at all."""
    file.parent.parent.mkdir(parents=True, exist_ok=True)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if danger(file.parent):
        return
    said = {"symbol": code.symbol, "needs": code.needs, "sha256": _check_sum(file, code)}
    content = json.dumps(said).encode() + b"\n" + code.image
    sweep(file.parent, len(content))
    draft = None
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=file.stem, suffix=DRAFT, delete=False) as stream:
            draft = pathlib.Path(stream.name)
            stream.write(content)
        draft.chmod(0o644)  # to read: what root compiled serves all
        os.replace(draft, file)
        draft = None
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


KEPT: dict[pathlib.Path, int] = {}  # bytes in a folder, once it was looked through


def sweep(folder: pathlib.Path, more: int) -> None:
    """Make room for more: remove what was left behind by kills, and of too much what was longest unused."""
    if folder in KEPT and KEPT[folder] + more <= MOST_KEPT:
        KEPT[folder] += more
        return
    kept = list[tuple[float, int, str]]()
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process was faster
                known = entry.stat(follow_symlinks=False)
                if entry.name.endswith(".code"):
                    kept.append((known.st_mtime, known.st_size, entry.path))
                elif LEFT_BEHIND.fullmatch(entry.name) and time.time() - known.st_mtime > ABANDONED:
                    os.unlink(entry.path)
    total = sum(size for _, size, _ in kept)
    if total + more > MOST_KEPT:
        for _, size, path in sorted(kept):
            if total + more <= AFTER_SWEEP:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size
    KEPT[folder] = total + more


def sizes_in(folder: pathlib.Path) -> list[int]:
    """The bytes of each function's file in a folder; none where it cannot be read."""
    with contextlib.suppress(OSError):
        return [file.stat().st_size for file in folder.glob("*.code")]
    return []


def _check_sum(file: pathlib.Path, code: Code) -> str:
    """Of all a file says, and of its name."""
    said = f"{file.name} {code.symbol} {' '.join(code.needs)}\n"
    return hashlib.sha256(said.encode() + code.image).hexdigest()
