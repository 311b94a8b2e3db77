"""A case read from a file."""

import json

from plaingrad.checking.case import MOST_BYTES, Case
from plaingrad.errors import CaseError
from plaingrad.textbook.record import bounded


def read_case(path: str) -> Case:
    """A case from a file."""
    return case_and_text(path)[0]


def case_and_text(path: str) -> tuple[Case, str]:
    """A case from a file, and what the file says: it may be a pipe, which gives that once."""
    if "\0" in path:
        raise CaseError(f"there is no file {path!r}: a path has no zero byte")
    try:
        content = bounded(path, MOST_BYTES)
    except OSError as error:
        raise CaseError(f"cannot read the case {path}: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise CaseError(f"{path} is larger than {MOST_BYTES >> 20} MiB; is it the case?")
    try:
        text = content.decode("utf-8-sig")
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"the case {path} is not JSON: {error}") from None
    try:
        return Case.from_json(told), text
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from None
