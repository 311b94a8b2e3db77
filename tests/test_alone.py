"""With NumPy alone and without threads, as in a browser, plaingrad explains, writes pages, checks and trains."""

import sys
from pathlib import Path

import pytest

from alone import alone
from plaingrad.cli import terminal
from plaingrad.training import progress

LIBRARY = """
import plaingrad as pg

run = pg.example("first-cnn")
assert run.explain("conv1.dw[0,0,1,0]").text().startswith("conv1.dw[0,0,1,0] = 1.85220885")
assert "conv1.dw" in pg.explain(run).html()
assert pg.check(pg.MaxPool(2), input=(1, 4, 4)).is_right
"""

TRAINING = """
import plaingrad as pg

few = pg.digits().train.take(slice(0, 32))
assert len(pg.train(pg.Network(pg.Flatten(), pg.Dense(10), input=(1, 8, 8)), few, epochs=2, progress=True)) == 2
"""


@pytest.mark.parametrize("code", [LIBRARY, TRAINING], ids=["library", "training"])
def test_numpy_alone_is_enough(code: str, tmp_path: Path) -> None:
    alone(code, tmp_path)


def test_what_takes_long_is_done_where_no_thread_can_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Timer.start", refuse)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    done = []
    with terminal.patience("compiling"), progress.Lines("training", print):
        done.append(True)
    assert done
