"""Progress of a training run on stderr: a live display in a terminal, plain lines elsewhere."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from plaingrad.training.trainer import Event

SECONDS_BETWEEN_LINES = 10.0


def describe(event: Event) -> str:
    """One epoch's entry in words."""
    entry = event.entry or {}
    held = ""
    if "validation_accuracy" in entry:
        held = f", validation loss {entry['validation_loss']:.4f} accuracy {entry['validation_accuracy']:.4f}"
    return (
        f"epoch {entry['epoch']}/{event.epochs}: loss {entry['train_loss']:.4f} accuracy {entry['train_accuracy']:.4f}"
        f"{held}, {entry['images_per_second']:,.0f} images/s"
    )


class Lines:
    """Plain lines: one an epoch, and one every ten seconds within a long one."""

    def __init__(self, headline: str = "") -> None:
        self.headline = headline
        self.began = self.spoke = time.perf_counter()
        self.first_step: int | None = None
        self.wait = threading.Timer(1.0, self.say, ["compiling the loops (once; later runs load them)"])

    def __enter__(self) -> Self:
        self.wait.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.wait.cancel()

    def say(self, line: str) -> None:
        """One line on stderr."""
        if sys.stderr is not None:  # closed by who started this: nobody to say it to
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        if event.kind == "started":
            self.wait.cancel()
            self.say(self.headline)
            self.began, self.first_step = now, event.step
        elif event.kind == "epoch":
            self.say(describe(event))
            self.spoke = now
        elif event.kind == "stopped early":
            self.say("no better for long enough: stopped early")
        elif event.kind == "stepped" and now - self.spoke > SECONDS_BETWEEN_LINES:
            left = (now - self.began) / max(event.step - (self.first_step or 0), 1) * (event.steps - event.step)
            self.say(
                f"epoch {event.epoch}/{event.epochs}, step {event.step}/{event.steps}: loss {event.loss:.4f} "
                f"accuracy {event.accuracy:.4f}, {event.images_per_second:,.0f} images/s, about {left:,.0f} s left"
            )
            self.spoke = now


class Live:
    """A bar that moves, with the epoch, the batch, loss, accuracy, images per second and the time left."""

    def __init__(self, headline: str = "") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.shown, self.headline = 0.0, headline
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            refresh_per_second=8,
            transient=True,
        )
        self.task = self.bar.add_task("compiling the loops or loading them", total=None, figures="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop()

    def __call__(self, event: Event) -> None:
        if event.kind == "started":
            self.bar.console.print(self.headline, highlight=False)
            self.bar.reset(self.task, total=event.steps, completed=event.step, description="training", figures="")
        elif event.kind == "epoch":
            self.bar.console.print(describe(event), highlight=False)
        elif event.kind == "stopped early":
            self.bar.console.print("no better for long enough: stopped early")
        elif event.kind == "stepped" and (event.step == event.steps or time.perf_counter() - self.shown > 0.1):
            self.shown = time.perf_counter()
            batches = event.steps // event.epochs
            self.bar.update(
                self.task,
                completed=event.step,
                description=f"epoch {event.epoch}/{event.epochs} batch {(event.step - 1) % batches + 1}/{batches}",
                figures=f"loss {event.loss:.4f} accuracy {event.accuracy:.4f} {event.images_per_second:,.0f} images/s",
            )


def progress(headline: str = "") -> Lines | Live:
    """The display that fits where stderr goes; the headline is said when training starts."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return Live(headline) if is_terminal else Lines(headline)
