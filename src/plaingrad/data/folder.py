"""Folders of images: one sub-folder for each class, and parts of such where they are told apart."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from plaingrad.data.dataset import Split, generator
from plaingrad.data.found import TEST_SHARE, Found, Part, require_share
from plaingrad.data.images import KINDS, Pixels, in_channels, is_image, pixels_of, prepared_image, size_text
from plaingrad.data.layout import Labels, channels_and_sides
from plaingrad.data.names import TRAIN, is_litter, part_of
from plaingrad.errors import DataError, require_path

FOLDER = "folder of images"
MOST_BYTES = 1 << 32  # of a folder's images
MOST_ENDINGS = 4  # that are named where files are passed over

Files = dict[str, list[Path]]


def image_folder(
    path: str | Path, test_share: float = TEST_SHARE, seed: int = 0, shape: tuple[int, ...] | None = None
) -> Split:
    """The images directly in the sub-folders of `path`, each sub-folder a class, as uint8.

    Where `path` holds `train` and `test` folders of class folders (or Training, val, Testing …), that is the split, and
    `test_share` is not used; images in a folder for validation become `split.validation`, or the test where there is
    none. Otherwise each class gives `test_share` of its images to the test, at least one, but never its last to learn
    from: a class of one image is not tested. Images are shuffled with `seed`.

    Classes stand in the order of their names, or of their numbers if all names are numbers. Images are grey (1
    channel) if all of them are, otherwise RGB (3); with a `shape` all of them are made so, and may have different
    sizes. Transparent parts become white, the first frame of an animated GIF is taken, 16-bit grey keeps its upper 8
    bits. Hidden files and files that are not PNG, JPEG, BMP, GIF, TIFF or WebP by name are passed over, which
    `split.notes` tells. Everything else that does not fit is a DataError.
    """
    path = require_path("image_folder", path)
    require_share(test_share, path)
    found = images_found(path, seed, shape)
    return found.split(path.resolve().name or str(path), test_share, seed)


def images_found(path: Path, seed: int = 0, shape: tuple[int, ...] | None = None) -> Found:
    """The parts of a folder of images, each in an order drawn by the seed."""
    if not path.exists():
        raise DataError(f"{path}: there is no such folder")
    if not path.is_dir():
        raise DataError(f"{path}: is a file; a folder is needed, with one sub-folder of images for each class")
    rng, notes = generator(seed), list[str]()
    places = part_folders(path)
    files = {part: _files(place, notes) for part, place in places.items()} if TRAIN in places else {}
    if not files:
        files = {TRAIN: _files(path, notes)}
    else:
        beside = [each for each in visible_within(path) if each not in places.values()]
        notes += _passed_over(path, beside)
    classes = tuple(files[TRAIN])
    for part, own in files.items():
        if strange := sorted(set(own) - set(classes)):
            raise DataError(
                f"{places[part]}: it has a class {strange[0]!r} that {places[TRAIN]} lacks; both need the same"
            )
    listed = {part: _listed(own, classes) for part, own in files.items()}
    orders = {part: rng.permutation(len(paths)) for part, (paths, _) in listed.items()}
    paths = [listed[part][0][n] for part, order in orders.items() for n in order]
    images, start, parts = _stacked(paths, shape, notes), 0, {}
    for part, order in orders.items():
        labels = np.array(listed[part][1], dtype=np.int64)[order]
        parts[part] = Part(images[start : start + len(order)], Labels(labels))
        start += len(order)
    return Found(FOLDER, parts, classes, notes)


def part_folders(path: Path) -> dict[str, Path]:
    """The sub-folders that are called train, validation or test and hold class folders. DataError for two of one."""
    found: dict[str, Path] = {}
    for each in visible_within(path):
        part = part_of(each.name) if each.is_dir() else None
        if part and _class_folders(each):
            if part in found:
                raise DataError(f"{path}: {found[part].name} and {each.name} are both called {part}; rename one")
            found[part] = each
    return found


def visible_within(folder: Path) -> list[Path]:
    """What is in a folder, by name, but for what is hidden or was left there by a system."""
    try:
        return sorted(each for each in folder.iterdir() if not is_litter(each.name))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from None


def holds_images(path: Path) -> bool:
    """Whether there are class folders with an image in one of them, in the folder or in its parts."""
    within = [each for each in visible_within(path) if each.is_dir()]
    deeper = [each for part in within if part_of(part.name) for each in visible_within(part) if each.is_dir()]
    return any(is_image(file) for each in [*within, *deeper] for file in visible_within(each))


def _class_folders(folder: Path) -> list[Path]:
    found = [each for each in visible_within(folder) if each.is_dir()]
    if all(each.name.isdecimal() for each in found):
        found.sort(key=lambda each: (int(each.name), each.name))
    return found


def _files(folder: Path, notes: list[str]) -> Files:
    """The image files of each class, by name; at least two classes, and none empty."""
    within = {each.name: visible_within(each) for each in _class_folders(folder)}
    files = {name: [each for each in paths if is_image(each)] for name, paths in within.items()}
    loose = [each for each in visible_within(folder) if each.is_file()]
    if not any(files.values()):
        images = sum(map(is_image, loose))
        others = [
            each for paths in (loose, *within.values()) for each in paths if each.is_file() and not is_image(each)
        ]
        deeper = next((each for paths in within.values() for each in paths if each.is_dir()), None)
        raise DataError(
            f"{folder}: {len(within)} class folders in it and no image in them "
            f"({len(others)} other files skipped, {images} images loose in {folder.name}); "
            f"put {KINDS} files into one sub-folder for each class"
            + (f"; folders within folders, as {deeper.parent.name}/{deeper.name}, are no classes" if deeper else "")
        )
    for name, paths in files.items():
        if not paths:
            raise DataError(
                f"{folder / name}: no image in this class folder ({len(within[name])} other files skipped); "
                "add some, or remove the folder"
            )
    if len(files) < 2:
        raise DataError(f"{folder}: only one class, {next(iter(files))!r}; at least two sub-folders are needed")
    notes += _passed_over(folder, [*loose, *(each for paths in within.values() for each in paths)])
    return files


def _passed_over(folder: Path, paths: Iterable[Path]) -> list[str]:
    """A line on the files and folders that are not read, but for images in their places."""
    others = [each for each in paths if not is_image(each) or each.parent == folder]
    kinds = Counter("folders" if each.is_dir() else each.suffix.lower() or "without ending" for each in others)
    if not kinds:
        return []
    named = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(MOST_ENDINGS))
    return [f"{folder}: {len(others)} passed over: {named}{', …' if len(kinds) > MOST_ENDINGS else ''}"]


def _listed(files: Files, classes: tuple[str, ...]) -> tuple[list[Path], list[int]]:
    pairs = [(path, label) for label, name in enumerate(classes) for path in files.get(name, ())]
    return [path for path, _ in pairs], [label for _, label in pairs]


def _stacked(paths: list[Path], shape: tuple[int, ...] | None, notes: list[str]) -> Pixels:
    """All images as one array; grey ones become RGB if any is in colour, all become as `shape` where there is one."""
    if shape is not None:
        return _made_alike(paths, channels_and_sides(shape), notes)
    first = pixels_of(min(paths))
    _require_few(paths, len(first), first.shape[1:])
    needed = (
        f"but {min(paths)} is {size_text(first.shape[1:])}; all need one size: resize or crop them first, or say to "
        "which size (--shape 28x28, in Python shape=)"
    )
    every = list[Pixels]()
    for path in paths:
        pixels = pixels_of(path, first.shape[1:], needed)
        if pixels.shape[1:] != first.shape[1:]:
            raise DataError(f"{path}: the image is {size_text(pixels.shape[1:])}, {needed}")
        every.append(pixels)
    channels = max(len(pixels) for pixels in every)
    return np.stack([in_channels(pixels, channels) for pixels in every])


def _require_few(paths: list[Path], channels: int, shape: tuple[int, ...]) -> None:
    if channels * math.prod(shape) * len(paths) > MOST_BYTES:
        raise DataError(
            f"{paths[0]}: {len(paths):,} images of {size_text(shape)} take more than {MOST_BYTES >> 30} GiB; "
            "make them smaller, or take fewer"
        )


def _made_alike(paths: list[Path], shape: tuple[int, int, int], notes: list[str]) -> Pixels:
    _require_few(paths, shape[0], shape[1:])
    made = np.empty((len(paths), *shape), np.uint8)
    changed = 0
    for own, path in zip(made, paths, strict=True):
        own[:], done = prepared_image(path, shape)
        changed += bool(done)
    if changed:
        notes.append(f"{changed:,} of {len(paths):,} images made grey or resized to be {'x'.join(map(str, shape))}")
    return made
