"""A process that checks answers one after the other: paths on its stdin, a line of JSON for each on its stdout.

It may be killed at any time, by whoever started it or by an answer: nothing but its own answer is lost.
"""

import contextlib
import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

from plaingrad.checking.answers.answer import read_answer
from plaingrad.checking.answers.nested import one_line
from plaingrad.checking.case import Case
from plaingrad.checking.check import check_answer
from plaingrad.checking.classroom.row import seen
from plaingrad.errors import PlaingradError

GRACE = 5  # seconds beyond its time after which a process ends itself, should nobody be left to end it
READY = "ready"


def main() -> None:
    """Read the case and what is asked for, say that it is ready, and check what is asked until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")  # what else is printed is not taken for a result
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with contextlib.suppress(OSError):  # where memory runs out, this process is ended and not another
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    asked = json.loads(sys.stdin.readline())
    case = Case.from_json(json.loads(asked["case"]))
    print(READY, file=out, flush=True)
    for line in sys.stdin:
        if hasattr(signal, "alarm"):
            signal.alarm(math.ceil(asked["seconds"]) + GRACE)
        print(json.dumps(judged(case, json.loads(line), asked["hint"])), file=out, flush=True)
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def judged(case: Case, path: str, hint: str) -> dict[str, Any]:
    """What is told of the answer at a path; or under `problem` the line of why it cannot be checked."""
    try:
        return seen(check_answer(case, read_answer(path)), hint)
    except PlaingradError as error:
        return {"problem": one_line(str(error))}
    except MemoryError:
        return {"problem": "checking it needs more memory than there is"}
    except Exception as error:  # whatever an answer may bring about, the others are checked
        return {
            "problem": f"checking it failed ({type(error).__name__}: {one_line(str(error), 200)}): please report it"
        }
