"""What one asks of a finished run: how good it is on data, and what it says of images."""

import os
import pathlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from plaingrad.cli.commands import opened
from plaingrad.cli.data_read import kept_name, read, reading_of
from plaingrad.cli.terminal import say
from plaingrad.data import Dataset, prepared_image
from plaingrad.data.folder import FOLDER
from plaingrad.data.formats import unlabelled
from plaingrad.data.pixels import look
from plaingrad.errors import SettingError, visible
from plaingrad.network.network import Network
from plaingrad.training.evaluation import Evaluation, judged, output_names
from plaingrad.training.inference import Inference, probabilities
from plaingrad.training.preparing import check_fit

AT_ONCE = 256  # images


class Judged(NamedTuple):
    """What `plaingrad evaluate` says: of what network, on what data, how good it is."""

    run: str
    model: str
    data: str
    found: Evaluation

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {"run": self.run, "model": self.model, "data": self.data, **self.found.to_json()}

    def __str__(self) -> str:
        return f"{visible(self.model)} on {visible(self.data)}: {self.found}"


def judge(run: str, data_name: str | None, data_dir: str | None, threads: int | None, **reading: str | None) -> Judged:
    """A run on its test images, or on other data."""
    net, about, loss = opened(run)
    if not data_name and "data" not in about:
        raise SettingError(f"{run} does not say what data it was trained on; name some with --data")
    told: dict[str, Any] = {name: value for name, value in reading.items() if value is not None}
    name, is_own = data_name or about["data"], not data_name or kept_name(data_name) == about.get("data")
    if is_own:
        told = reading_of(about) | told
    elif len(net.input) == 3 and os.path.exists(name) and "shape" not in told:
        told["shape"] = net.input
    split = read(name, data_dir or (None if data_name else about.get("data_dir")), told)
    test = split.test
    if not is_own and split.kind == FOLDER:
        test = _adapted(net, test)
    check_fit(net, test)
    return Judged(run, net.name, split.name, judged(net, test, loss, threads)[0])


def _adapted(net: Network, test: Dataset) -> Dataset:
    """Pictures drawn as the training images were; what was done to how many is said."""
    if net.seen is None:
        return test
    images, changes = net.seen.adapted(test.images)
    for change, count in Counter(each for own in changes for each in own).items():
        say(f"{test.name}: {count:,} of {len(test):,} images {change}", err=True)
    return replace(test, images=images)


def name_images(run: str, images: Sequence[str]) -> list[dict[str, Any]]:
    """For each image the class the network names, its probability, and the next two; what was done to it, if anything.

    The images are files of one each, made as the network takes them, or files of arrays.
    """
    net, about, loss = opened(run)
    if len(net.input) != 3:
        raise SettingError(f"{net.name} takes {net.input[0]} features, not images")
    names, infer, results, changes = output_names(about.get("classes", ()), net), Inference(net), [], list[str]()
    for some in _pictures(net, images, about.get("label")):
        pixels = np.stack([each.pixels for each in some])
        look(net, pixels, [each.name for each in some])
        for each, row in zip(some, probabilities(infer(pixels), loss), strict=True):
            ranked = [{"class": names[k], "probability": float(row[k])} for k in np.argsort(-row, kind="stable")[:3]]
            changed = {"changed": list(each.changes)} if each.changes else {}
            results.append({"image": each.name, **ranked[0], "next": ranked[1:], **changed})
    for result in results:
        changes += ["; ".join(result["changed"])] if "changed" in result else []
    for change, count in Counter(changes).items():
        first = next(each["image"] for each in results if "; ".join(each.get("changed", ())) == change)
        say(f"{first}{f' and {count - 1} more' if count > 1 else ''}: {change}", err=True)
    return results


class Picture(NamedTuple):
    """An image (channel, row, column), what it is called, and what was done to it."""

    name: str
    pixels: np.ndarray[Any, Any]
    changes: tuple[str, ...] = ()


def _pictures(net: Network, paths: Sequence[str], label: str | None) -> Iterator[list[Picture]]:
    """Images of files in their order, some at a time; those of one list are of one type."""
    channels, rows, columns = net.input
    batch: list[Picture] = []
    for path in paths:
        found = unlabelled(pathlib.Path(path), (channels, rows, columns), label)
        if found is None:
            batch.append(Picture(path, *prepared_image(path, (channels, rows, columns), net.seen)))
        if batch and (found is not None or len(batch) == AT_ONCE):
            yield batch
            batch = []
        images, notes = found or ((), ())
        for note in notes:
            say(note, err=True)
        for start in range(0, len(images), AT_ONCE):
            some = enumerate(images[start : start + AT_ONCE], start)
            yield [Picture(f"{path}, image {place}", pixels) for place, pixels in some]
    if batch:
        yield batch
