"""Data as the commands take it: by name or path, and read again as a run was trained on it."""

import pathlib
from typing import Any

from plaingrad.cli.terminal import say
from plaingrad.data import Dataset, Description, Split, load
from plaingrad.data.sources import ALIASES, NAMES
from plaingrad.training.run_folder import require_new

READING = ("label", "shape")  # what `load` is told where a file does not


def kept_name(name: str) -> str:
    """What a run calls its data: a name, or a path that holds wherever one stands."""
    known = ALIASES.get(name, name)
    return known if known in NAMES else str(pathlib.Path(name).resolve())


def held_back(split: Split, share: float | None, seed: int) -> tuple[Dataset, Dataset | None]:
    """Images to train on and those for validation: a share of them, or what the data have for it."""
    return (split.train, split.validation) if share is None else split.train.split(share, seed)


def reading_of(about: dict[str, Any]) -> dict[str, Any]:
    """How the data of a run were read, where its files did not tell."""
    return {name: about[name] for name in READING if about.get(name) is not None}


def read(name: str, folder: str | None, reading: dict[str, Any]) -> Split:
    """Data by name or path; what was decided and what was passed over is said on stderr."""
    split = load(name, folder, **reading)
    for line in split.notes:
        say(line, err=True)
    return split


def described(
    name: str, picture: str | None, force: bool, data_dir: str | None, label: str | None, shape: str | None
) -> Description:
    """What is in data, with a picture where one is asked for."""
    require_new(picture, force)
    told = load(name, data_dir, label=label, shape=shape).describe()
    if picture is not None:
        told.picture(picture)
    return told
