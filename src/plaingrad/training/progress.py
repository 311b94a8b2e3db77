"""What a training tells as it goes on, and how that is shown in plain lines."""

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from plaingrad.errors import visible

SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Event:
    """What a subscriber is told. `kind` is started, stepped, epoch, saved, stopped early, or ended."""

    kind: str
    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float = math.nan
    accuracy: float = math.nan
    images_per_second: float = math.nan
    entry: dict[str, Any] | None = None


def print_line(line: str) -> None:
    """One line on stdout, where a notebook shows it as it shows results."""
    print(visible(line), flush=True)  # noqa: T201 (asked for by progress=True)


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
    """Plain lines: one an epoch, and one every ten seconds within a long one. `say` shows one."""

    def __init__(self, headline: str, say: Callable[[str], None]) -> None:
        self.headline, self.say = headline, say
        self.began = self.spoke = time.perf_counter()
        self.first_step: int | None = None
        self.wait = threading.Timer(1.0, self.say, ["compiling the loops (once; later runs load them)"])

    def __enter__(self) -> Self:
        with contextlib.suppress(RuntimeError):  # where no thread can be started, as in a browser, nothing is said
            self.wait.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.wait.cancel()

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
            self.say("no improvement on the validation images: stopped early")
        elif event.kind == "stepped" and now - self.spoke > SECONDS_BETWEEN_LINES:
            left = (now - self.began) / max(event.step - (self.first_step or 0), 1) * (event.steps - event.step)
            self.say(
                f"epoch {event.epoch}/{event.epochs}, step {event.step}/{event.steps}: loss {event.loss:.4f} "
                f"accuracy {event.accuracy:.4f}, {event.images_per_second:,.0f} images/s, about {left:,.0f} s left"
            )
            self.spoke = now
