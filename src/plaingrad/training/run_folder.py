"""The folder a training run leaves: checkpoint, best checkpoint, history. It is there whole, or not at all."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.data.dataset import Dataset
from plaingrad.errors import CheckpointError, SettingError, visible
from plaingrad.network.network import Network
from plaingrad.textbook.record import json_text
from plaingrad.training import checkpoint
from plaingrad.training.checkpoint import umask, write_safely
from plaingrad.training.saved_facts import checked

CHECKPOINT, BEST, HISTORY = "checkpoint.safetensors", "best.safetensors", "history.jsonl"
IMAGES, MOST_KEPT = "images.safetensors", 8  # a few images, so that the run can be explained without its data


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
    path = weights_file(run)
    net, arrays, facts = checkpoint.load(path)
    return net, arrays, checked(facts, path)


def weights_file(place: str) -> pathlib.Path:
    """The file that is named, or the best checkpoint of a run folder. CheckpointError where there is neither."""
    path = pathlib.Path(place)
    if path.is_file():
        return path
    return path / BEST if (path / BEST).is_file() else find(path, CHECKPOINT)


def require_free(place: pathlib.Path) -> None:
    """Nothing is ever overwritten: SettingError where something lies at `place`, other than an empty folder."""
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise SettingError(f"{place} exists already; resume it with --resume {place}, or choose another --out")


def require_new(file: str | None, force: bool) -> None:
    """No file is replaced unasked: SettingError where one is there, without --force. A device takes what it is given.

    A link that leads nowhere counts as a file.
    """
    if file is None or force or os.path.abspath(file).startswith("/dev/"):
        return
    if os.path.isfile(file) or (os.path.lexists(file) and not os.path.exists(file)):
        raise SettingError(f"{file} exists already; name another file, or add --force to replace it")


@contextlib.contextmanager
def locked(place: pathlib.Path) -> Iterator[None]:
    """One training at a time in a run folder, or where one is to be: SettingError at once where one is at work.

    A file beside it is locked, which the system undoes whatever becomes of this process.
    """
    place = pathlib.Path(os.path.abspath(place))
    parent, lock = place.parent, place.with_name(f".{place.name}.lock")
    made = [each for each in (parent, *parent.parents) if not each.exists()]
    handle = None
    try:
        with contextlib.suppress(OSError):  # where nothing can be written, what comes next says so
            parent.mkdir(parents=True, exist_ok=True)
            handle = _lock(lock, place)
        yield
    finally:
        if handle is not None:
            lock.unlink(missing_ok=True)
            os.close(handle)
        for each in made:
            with contextlib.suppress(OSError):  # there is something in it now
                each.rmdir()


def _lock(lock: pathlib.Path, place: pathlib.Path) -> int | None:
    if sys.platform == "win32":
        return None
    import fcntl

    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and os.fstat(handle).st_ino == lock.stat().st_ino:  # else one that just ended removed it
                return handle
        except BlockingIOError:
            os.close(handle)
            raise SettingError(
                f"another training is running in {place}; wait until it has finished, or choose another --out"
            ) from None
        os.close(handle)


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


def keep_images(folder: pathlib.Path, data: Dataset, part: str = "test") -> None:
    """Keep the first few images beside the network, with their labels; `part` is what they were for."""
    import safetensors.numpy

    arrays = {"images": np.ascontiguousarray(data.images[:MOST_KEPT]), "labels": np.asarray(data.labels[:MOST_KEPT])}
    write_safely(folder / IMAGES, safetensors.numpy.save(arrays, {"part": part}))


def kept_images(folder: pathlib.Path) -> tuple[Array, Array, str] | None:
    """The images that were kept beside a network, their labels, and what they were for; None where there are none."""
    path, advice = folder / IMAGES, "remove it, and the images are read from the data"
    if not path.is_file():
        return None
    _, arrays, told = checkpoint.read_arrays(path, "the images of a run", advice)
    try:
        images, labels = arrays["images"], arrays["labels"]
        if images.ndim != 4 or labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise ValueError(f"shapes {images.shape} and {labels.shape}")
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); {advice}") from None
    return images, labels, visible(told.get("part", "test"))


def write_history(folder: pathlib.Path, history: list[dict[str, Any]]) -> None:
    """One line of JSON for each epoch."""
    write_safely(folder / HISTORY, "".join(json_text(entry) + "\n" for entry in history).encode())
