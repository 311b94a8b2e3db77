"""Fetching a file from mirrors: continued where it stopped, and believed by its SHA-256 alone.

A module of its own, since what speaks HTTP takes longer to import than a training takes to begin.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from plaingrad.errors import DataError

Progress = Callable[[str, int, int | None], None]

TIMEOUT = 30.0  # seconds a mirror may be silent
BLOCK = 1 << 16
MOST_BYTES = 1 << 28  # no file of the table has more than two thirds of it


class _MirrorError(Exception):
    """One mirror did not give the file; the message says why, shortly."""


def fetch(target: Path, digest: str, mirrors: Sequence[str], progress: Progress | None) -> None:
    """Get one file from the first mirror that has it right, by way of a .part file that outlives a cut."""
    part = target.with_name(f"{target.name}.part")
    reasons = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{target.name}"
        try:
            # A .part may be whole already; and one begun elsewhere may spoil what a good mirror adds to it.
            right = is_right(part, digest)
            if not right:
                resumed = _transfer(url, part, progress, target.name)
                right = is_right(part, digest)
            if not right and resumed:
                part.unlink()
                _transfer(url, part, progress, target.name)
                right = is_right(part, digest)
        except _MirrorError as error:
            reasons.append(f"{mirror} {error}")
            continue
        if right:
            os.replace(part, target)
            return
        part.unlink()
        reasons.append(f"{mirror} wrong SHA-256")
    raise DataError(
        f"{target.name}: no mirror gave it ({'; '.join(reasons) or 'no mirror to ask'}); "
        f"try again later, or fetch it by hand into {target.parent}"
    )


def _transfer(url: str, part: Path, progress: Progress | None, name: str) -> bool:
    """Write what `url` holds to `part`, continuing it where the server can. True if it was continued."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "plaingrad", **({"Range": f"bytes={start}-"} if start else {})}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            part.unlink()
            return _transfer(url, part, progress, name)
        raise _MirrorError(f"HTTP {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(_reason(error)) from None
    with answer:
        resumed: bool = answer.status == 206
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink(missing_ok=True)
            raise _MirrorError("sent another part than was asked for")
        done = start if resumed else 0
        length = answer.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with part.open("ab" if resumed else "wb") as file:
            while block := _block(answer):
                file.write(block)
                done += len(block)
                if progress:
                    progress(name, done, total)
                if done > MOST_BYTES:
                    break
            file.flush()
            os.fsync(file.fileno())
    if done > MOST_BYTES:
        part.unlink()
        raise _MirrorError(f"sent more than {MOST_BYTES} bytes")
    if total is not None and done < total:
        raise _MirrorError(f"closed after {done} of {total} bytes")
    return resumed


def _block(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(_reason(error)) from None


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    return " ".join(str(getattr(inner, "strerror", None) or inner).split()) or type(error).__name__


def is_right(path: Path, digest: str) -> bool:
    """Whether a file is there, whole."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest
