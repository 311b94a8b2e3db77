"""CIFAR-10 and CIFAR-100 in their binary layout: records of one or two bytes of labels and 3x32x32 pixels."""

import re
import tarfile
from pathlib import Path
from typing import IO

import numpy as np

from plaingrad.data.found import Found, Part
from plaingrad.data.layout import Array, Labels
from plaingrad.data.names import TEST, TRAIN
from plaingrad.data.opened import Opened, decoded, opened
from plaingrad.errors import DataError, SettingError, nearest

SHAPE = 3, 32, 32
PIXELS = 3 * 32 * 32
MOST_RECORDS = 100_000  # of one file: no file of the two sets has more than 50,000
MOST_MEMBERS = 100  # of a .tar file that are looked at
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = re.compile(r"(data_batch_\d+|test_batch|train|test)\.bin(\.gz)?")
NAMES = {"fine": "fine_label_names.txt", "coarse": "coarse_label_names.txt"}
MOST_BYTES_OF_NAMES = 1 << 14
WAY_OUT = "fetch the binary version (cifar-10-binary.tar.gz), which is read"


def kind_of(name: str) -> tuple[int, str] | None:
    """Bytes of label and the part, by the name of one of the files as they are downloaded; None for another name."""
    found = FILES.fullmatch(name)
    if not found:
        return None
    stem = found[1]
    return 1 if "batch" in stem else 2, TEST if stem.startswith("test") else TRAIN


def is_python_version(names: list[str]) -> bool:
    """Whether these are the files of the version for Python, which could run any program when read."""
    return not any(map(kind_of, names)) and any(re.fullmatch(r"data_batch_\d", each) for each in names)


def read_cifar(paths: list[Path], which: str = "fine") -> Found:
    """The files of one folder, or some of them, in the order of their names.

    which: of CIFAR-100's two labels, "fine" (100 classes) or "coarse" (20).
    """
    reading = _Reading(which)
    for path in sorted(paths):
        with opened(path) as file:
            reading.take(path, path.name, file.stream, *(kind_of(path.name) or (_labels_by_size(path, file), TRAIN)))
    names = paths[0].parent / NAMES[reading.which]
    if names.is_file():
        with opened(names) as file:
            reading.name(file.stream)
    return reading.found()


def read_tar(path: Path, which: str = "fine") -> Found:
    """The files in a .tar or .tar.gz file as it is downloaded; nothing is unpacked to disk."""
    reading, seen = _Reading(which), []
    with opened(path) as file:

        def read() -> None:
            with tarfile.open(fileobj=file.stream, mode="r|") as archive:
                for member, _ in zip(archive, range(MOST_MEMBERS), strict=False):
                    name = member.name.rpartition("/")[2]
                    seen.append(name)
                    stream = archive.extractfile(member) if member.isreg() else None
                    if stream and (told := kind_of(name)):
                        reading.take(f"{path}, {name}", name, stream, *told)
                    elif stream and name == NAMES[reading.which]:
                        reading.name(stream)

        decoded(path, "TAR file", read)
    if not reading.records:
        what = python_version() if is_python_version(seen) else "none of CIFAR's binary files is in it; unpack it first"
        raise DataError(f"{path}: {what}")
    return reading.found()


def python_version() -> str:
    """Why the files for Python are not read."""
    return f"the version for Python is pickled, which could run any program when read: {WAY_OUT}"


def _labels_by_size(path: Path, file: Opened) -> int:
    """Bytes of label of a file that is called otherwise."""
    if not file.is_packed:
        fits = [labels for labels in (1, 2) if file.room and file.room % (labels + PIXELS) == 0]
        if len(fits) == 1:
            return fits[0]
    raise DataError(f"{path}: not named as CIFAR's files are (data_batch_1.bin, test_batch.bin, train.bin, test.bin)")


class _Reading:
    """Records by part, from however many files."""

    def __init__(self, which: str) -> None:
        if which not in NAMES:
            raise SettingError(f"CIFAR's labels were asked for as {which!r}; {nearest(which, NAMES)}")
        self.which, self.wide = which, set[int]()
        self.names: tuple[str, ...] = ()
        self.records: dict[str, list[tuple[str, Array, Array]]] = {}

    def take(self, who: object, name: str, stream: IO[bytes], labels: int, part: str) -> None:
        """Read one file: pixels (image, 3, 32, 32) and the class numbers."""
        size, content = labels + PIXELS, bytearray()
        while block := stream.read(1 << 20):
            content += block
            if len(content) > MOST_RECORDS * size:
                raise DataError(f"{who}: more than {MOST_RECORDS:,} images, and none of CIFAR's files has so many")
        if not content or len(content) % size:
            raise DataError(
                f"{who}: {len(content)} bytes; a file of CIFAR-{10 if labels == 1 else 100} has whole records of "
                f"{size}: it is cut short, or another file"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, size)
        pixels = np.ascontiguousarray(records[:, labels:]).reshape(-1, *SHAPE)
        self.wide.add(labels)
        own = records[:, labels - 1 if self.which == "fine" else 0].astype(np.int64)
        self.records.setdefault(part, []).append((name, pixels, own))

    def name(self, stream: IO[bytes]) -> None:
        """Read the names of CIFAR-100's classes, a line each."""
        self.names = tuple(stream.read(MOST_BYTES_OF_NAMES).decode("utf-8", "replace").split())

    def found(self) -> Found:
        """All of it, the files of each part in the order of their names."""
        if len(self.wide) > 1:
            raise DataError("files of CIFAR-10 and of CIFAR-100 together; name the folder of one of them")
        parts = {}
        for part, read in self.records.items():
            read.sort(key=lambda each: each[0])
            pixels, labels = (np.concatenate([each[place] for each in read]) for place in (1, 2))
            parts[part] = Part(pixels, Labels(labels))
        return Found("CIFAR binary files", parts, CLASSES if self.wide == {1} else self.names or None)
