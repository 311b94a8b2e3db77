"""The folder a training run leaves: checkpoint, best checkpoint, history. It is there whole, or not at all."""

import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.data.dataset import Dataset
from plaingrad.errors import CheckpointError, SettingError
from plaingrad.network.network import Network
from plaingrad.textbook.record import json_text
from plaingrad.training import checkpoint
from plaingrad.training.checkpoint import umask, write_safely

CHECKPOINT, BEST, HISTORY = "checkpoint.safetensors", "best.safetensors", "history.jsonl"
IMAGES, MOST_KEPT = "images.safetensors", 8  # a few test images, so that the run can be explained without its data


def find(folder: pathlib.Path, name: str) -> pathlib.Path:
    """A file of a run folder, or an error that says what is there instead."""
    if (folder / name).is_file():
        return folder / name
    if not folder.exists():
        raise CheckpointError(f"there is no run folder {folder}")
    raise CheckpointError(
        f"{folder} is not a run folder: it has no {name}; a run folder is what `plaingrad train` leaves"
    )


def saved(run: str) -> tuple[Network, dict[str, Array], dict[str, Any]]:
    """What a run folder (its best checkpoint, where there is one) or a checkpoint file holds."""
    path = pathlib.Path(run)
    if not path.is_file():
        path = path / BEST if (path / BEST).is_file() else find(path, CHECKPOINT)
    return checkpoint.load(path)


def require_free(place: pathlib.Path) -> None:
    """Nothing is ever overwritten: SettingError where something lies at `place`, other than an empty folder."""
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise SettingError(f"{place} exists already; resume it with --resume {place}, or choose another --out")


def make(place: pathlib.Path, fill: Callable[[pathlib.Path], None]) -> None:
    """A new run folder, filled under another name and then given its own."""
    try:
        require_free(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = pathlib.Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        try:
            folder.chmod(0o777 & ~umask())
            fill(folder)
            folder.replace(place)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise CheckpointError(
            f"cannot make the run folder {place}: {error.strerror or error}; choose another --out"
        ) from None


def sweep(folder: pathlib.Path) -> None:
    """Remove the unfinished files that a kill in the middle of a save left behind."""
    for name in (CHECKPOINT, BEST, HISTORY, IMAGES):
        for unfinished in folder.glob(f".{name}.*"):
            unfinished.unlink(missing_ok=True)


def keep_images(folder: pathlib.Path, test: Dataset) -> None:
    """Keep the first few test images beside the network, with their labels."""
    import safetensors.numpy

    arrays = {"images": np.ascontiguousarray(test.images[:MOST_KEPT]), "labels": np.asarray(test.labels[:MOST_KEPT])}
    write_safely(folder / IMAGES, safetensors.numpy.save(arrays))


def kept_images(folder: pathlib.Path) -> tuple[Array, Array] | None:
    """The images that were kept beside a network and their labels; None where there are none."""
    import safetensors
    import safetensors.numpy

    path = folder / IMAGES
    if not path.is_file():
        return None
    try:
        arrays = safetensors.numpy.load(path.read_bytes())
        images, labels = arrays["images"], arrays["labels"]
        if images.ndim != 4 or labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise ValueError(f"shapes {images.shape} and {labels.shape}")
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}); remove it, and the images are read from the data"
        ) from None
    return images, labels


def write_history(folder: pathlib.Path, history: list[dict[str, Any]]) -> None:
    """One line of JSON for each epoch."""
    write_safely(folder / HISTORY, "".join(json_text(entry) + "\n" for entry in history).encode())
