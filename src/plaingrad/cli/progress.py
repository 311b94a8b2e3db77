"""Progress of a training run on stderr: a live display in a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from plaingrad.cli.terminal import say
from plaingrad.errors import visible
from plaingrad.training.progress import Event, Lines, describe

LEAST_BAR, TIME_LEFT = 20, len("left 12:34:56")  # columns
BEFORE = ("epoch", "batch")  # the bar


def to_stderr(line: str) -> None:
    """One line on stderr."""
    say(line, err=True)


def figures(event: Event, columns: int) -> tuple[str, str]:
    """What stands before the bar and behind it: as much as leaves room for the bar and the time left."""
    batches = event.steps // event.epochs
    by_weight = {
        "epoch": f"epoch {event.epoch}/{event.epochs}",
        "loss": f"loss {event.loss:.4f}",
        "accuracy": f"accuracy {event.accuracy:.4f}",
        "batch": f"batch {(event.step - 1) % batches + 1}/{batches}",
        "speed": f"{event.images_per_second:,.0f} images/s",
    }
    room, shown = columns - LEAST_BAR - TIME_LEFT - 2, dict[str, str]()
    for name, words in by_weight.items():
        room -= len(words) + 1
        if room < 0 and shown:
            break
        shown[name] = words
    before, behind = (
        " ".join(words for name, words in shown.items() if (name in BEFORE) is first) for first in (True, False)
    )
    return before, behind


class Live:
    """A bar that moves, with the time left, and of epoch, batch, loss, accuracy and images per second what fits."""

    def __init__(self, headline: str = "") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.shown, self.headline = 0.0, headline
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}", markup=False),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True, markup=False, emoji=False, highlight=False),
            refresh_per_second=8,
            transient=True,
        )
        self.task = self.bar.add_task("compiling the loops or loading them", total=None, figures="")

    def say(self, line: str) -> None:
        """One line above the bar."""
        self.bar.console.print(visible(line))

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop()

    def __call__(self, event: Event) -> None:
        if event.kind == "started":
            self.say(self.headline)
            self.bar.reset(self.task, total=event.steps, completed=event.step, description="training", figures="")
        elif event.kind == "epoch":
            self.say(describe(event))
        elif event.kind == "stopped early":
            self.say("no improvement on the validation images: stopped early")
        elif event.kind == "stepped" and (event.step == event.steps or time.perf_counter() - self.shown > 0.1):
            self.shown = time.perf_counter()
            before, behind = figures(event, self.bar.console.width)
            self.bar.update(self.task, completed=event.step, description=before, figures=behind)


def progress(headline: str = "") -> Lines | Live:
    """The display that fits where stderr goes; the headline is said when training starts."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return Live(headline) if is_terminal else Lines(headline, to_stderr)
