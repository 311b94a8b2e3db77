"""What a checkpoint says besides arrays, held against the types it must have before anybody rests on it."""

import math
from collections.abc import Callable
from typing import Any

from plaingrad.errors import LARGEST, CheckpointError

Fits = Callable[[Any], bool]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return math.isfinite(value) if isinstance(value, float) else _is_whole(value) and abs(value) <= LARGEST


def _is_measured(value: Any) -> bool:
    return _is_number(value) or isinstance(value, float)


def _or_none(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def _if_told(fits: Fits) -> Fits:
    """What files of before do not say."""
    return lambda value: value is ... or fits(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of(fits: Fits) -> Fits:
    return lambda value: isinstance(value, list) and all(map(fits, value))


ENTRY: dict[str, Fits] = {"epoch": _is_count} | dict.fromkeys(
    ("train_loss", "train_accuracy", "rate", "seconds", "images_per_second"), _is_measured
)
KNOWN: dict[str, dict[str, Fits]] = {
    "about": {
        "classes": _is_list_of(_is_text),
        "model": _is_text,
        "data": _is_text,
        "data_dir": _or_none(_is_text),
        "validation": _or_none(_is_number),
        "label": _or_none(_is_text),
        "shape": _or_none(_is_text),
    },
    "training": dict.fromkeys(("optimiser", "schedule", "loss", "data"), _is_object)
    | dict.fromkeys(("epochs", "batch", "seed"), _is_count)
    | {"patience": _or_none(_is_count), "augment": _if_told(_or_none(_is_object))}
    | dict.fromkeys(("clip", "average"), _if_told(_or_none(_is_number))),
    "position": dict.fromkeys(("step", "images", "best_epoch"), _is_count)
    | {"clipped": _if_told(_is_count), "loss": _is_number}
    | dict.fromkeys(("hits", "seconds"), lambda value: _is_number(value) and value >= 0)
    | {"done": lambda value: isinstance(value, bool)}
    | {"history": _is_list_of(lambda entry: _is_object(entry) and not wrong(entry, ENTRY, whole=True))},
}
WHOLE = ("training", "position")  # where they are told at all, all of each is


def wrong(told: dict[str, Any], known: dict[str, Fits], whole: bool) -> list[str]:
    """The names of what is not as it must be; where `whole`, also of what is missing."""
    return [name for name, fits in known.items() if (name in told or whole) and not fits(told.get(name, ...))]


def checked(facts: dict[str, Any], path: Any) -> dict[str, Any]:
    """The facts of a checkpoint, each part that is known of the type it must have; else CheckpointError, one line."""
    for part, known in KNOWN.items():
        told = facts.get(part, {})
        names = wrong(told, known, whole=part in WHOLE and part in facts) if _is_object(told) else [""]
        if names:
            name = f"{part}.{names[0]}" if names[0] else part
            got = str(told.get(names[0], "nothing") if names[0] else told)[:60]
            raise CheckpointError(f"{path} was not written by plaingrad: it gives {name} as {got!r}; train again")
    return facts
