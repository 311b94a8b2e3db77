"""Folders of images: one sub-folder for each class, read with Pillow."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plaingrad.data.dataset import Array, Dataset, Split, generator
from plaingrad.errors import DataError, MissingError, SettingError, is_number

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
FORMATS = ("BMP", "GIF", "JPEG", "PNG")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # 16-bit grey, by what each version of Pillow calls it
GREY_MODES = ("1", "L", "LA", *DEEP_MODES)

MOST_PIXELS = 1 << 24  # of one image: decoding takes up to twelve bytes for each
MOST_BYTES = 1 << 32  # of a folder's images

Pixels = NDArray[np.uint8]


def image_folder(path: str | Path, test_share: float = 0.2, seed: int = 0) -> Split:
    """The images directly in the sub-folders of `path`, each sub-folder a class, as uint8.

    Where `path` holds `train` and `test` folders of class folders, that is the split, and `test_share` is not used.
    Otherwise each class gives `test_share` of its images to the test, at least one, but never its last to learn
    from: a class of one image is not tested. Images are shuffled with `seed`.

    Classes stand in the order of their names, or of their numbers if all names are numbers. Images are grey (1
    channel) if all of them are, otherwise RGB (3). Transparent parts become white, the first frame of an animated
    GIF is taken, 16-bit grey keeps its upper 8 bits. Hidden files and files that are not PNG, JPEG, BMP or GIF by
    name are passed over. Everything else that does not fit is a DataError.
    """
    path = Path(path)
    name = path.resolve().name or str(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such folder")
    if not path.is_dir():
        raise DataError(f"{path}: is a file; a folder is needed, with one sub-folder of images for each class")
    if not is_number(test_share) or not 0 < test_share < 1:
        raise SettingError(f"{path}: a test share of {test_share}; it needs to lie between 0 and 1")
    rng = generator(seed)
    parts = [path / "train", path / "test"]
    if all(each.is_dir() and _class_folders(each) for each in parts):
        files, test_files = _files(parts[0]), _files(parts[1])
        strange = sorted(set(test_files) - set(files))
        if strange:
            raise DataError(f"{parts[1]}: it has a class {strange[0]!r} that {parts[0]} lacks; both need the same")
    else:
        files, test_files = _files(path), {}
    classes = tuple(files)
    train_paths, train_labels = _listed(files, classes)
    test_paths, test_labels = _listed(test_files, classes)
    images = _stacked(train_paths + test_paths)
    labels = np.array(train_labels + test_labels, dtype=np.int64)
    if test_files:
        train, test = np.arange(len(train_paths)), np.arange(len(train_paths), len(images))
    else:
        train, test = _stratified(labels, test_share, rng)
        if not len(test):
            raise DataError(f"{path}: each class has one image only, which leaves none to test; add images")
    train, test = rng.permutation(train), rng.permutation(test)
    return Split(
        Dataset(images[train], labels[train], classes, f"{name} train"),
        Dataset(images[test], labels[test], classes, f"{name} test"),
        name,
    )


def read_image(path: str | Path, shape: tuple[int, int, int]) -> Pixels:
    """One image file as (channel, row, column) uint8, made grey or RGB as `shape` has 1 or 3 channels.

    Its rows and columns must be those of `shape`; it is not resized.
    """
    channels, rows, columns = shape
    if channels not in (1, 3):
        raise DataError(f"{path}: an image file gives 1 channel or 3; {channels} are asked for, which it cannot give")
    needed = f"{_size((rows, columns))} are needed; resize it first"
    pixels = _pixels(Path(path), (rows, columns), needed)
    if pixels.shape[1:] != (rows, columns):
        raise DataError(f"{path}: the image is {_size(pixels.shape[1:])}, {needed}")
    return _fitted(pixels, channels)


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from None


def _class_folders(folder: Path) -> list[Path]:
    found = [each for each in _visible(folder) if each.is_dir()]
    if all(each.name.isdecimal() for each in found):
        found.sort(key=lambda each: (int(each.name), each.name))
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()


def _files(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class, by name; at least two classes, and none empty."""
    within = {each.name: _visible(each) for each in _class_folders(folder)}
    files = {name: [each for each in paths if _is_image(each)] for name, paths in within.items()}
    if not any(files.values()):
        loose = sum(_is_image(each) for each in _visible(folder))
        others = sum(len(paths) for paths in within.values())
        raise DataError(
            f"{folder}: {len(within)} class folders in it and no image in them "
            f"({others} other files skipped, {loose} images loose in {folder.name}); "
            "put PNG, JPEG, BMP or GIF files into one sub-folder for each class"
        )
    for name, paths in files.items():
        if not paths:
            raise DataError(
                f"{folder / name}: no image in this class folder ({len(within[name])} other files skipped); "
                "add some, or remove the folder"
            )
    if len(files) < 2:
        raise DataError(f"{folder}: only one class, {next(iter(files))!r}; at least two sub-folders are needed")
    return files


def _listed(files: dict[str, list[Path]], classes: tuple[str, ...]) -> tuple[list[Path], list[int]]:
    pairs = [(path, label) for label, name in enumerate(classes) for path in files.get(name, ())]
    return [path for path, _ in pairs], [label for _, label in pairs]


def _stratified(labels: Array, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Places to learn from and places to test, the same share of each class as far as it goes."""
    train, test = [], []
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        held = min(len(places) - 1, max(1, round(len(places) * share)))
        test.append(places[:held])
        train.append(places[held:])
    return np.concatenate(train), np.concatenate(test)


def _stacked(paths: list[Path]) -> Pixels:
    """All images as one array; grey ones become RGB if any is in colour."""
    first = _pixels(paths[0])
    if first.size * len(paths) > MOST_BYTES:
        raise DataError(
            f"{paths[0]}: {len(paths):,} images of {_size(first.shape[1:])} take more than {MOST_BYTES >> 30} GiB; "
            "make them smaller, or take fewer"
        )
    every, needed = [first], f"but {paths[0]} is {_size(first.shape[1:])}; all need one size: resize or crop them first"
    for path in paths[1:]:
        pixels = _pixels(path, first.shape[1:], needed)
        if pixels.shape[1:] != first.shape[1:]:
            raise DataError(f"{path}: the image is {_size(pixels.shape[1:])}, {needed}")
        every.append(pixels)
    channels = max(len(pixels) for pixels in every)
    return np.stack([_fitted(pixels, channels) for pixels in every])


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} rows x {shape[1]} columns"


def _fitted(pixels: Pixels, channels: int) -> Pixels:
    if len(pixels) == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=0)
    # How bright the three colours look, by ITU-R BT.601.
    grey = np.tensordot(np.array([0.299, 0.587, 0.114]), pixels, axes=1)
    return np.rint(grey).astype(np.uint8)[np.newaxis]


def _pixels(path: Path, shape: tuple[int, ...] | None = None, needed: str = "") -> Pixels:
    """One image file as (channel, row, column), with 1 channel if its mode is a grey one and 3 otherwise.

    It is decoded only if the size it tells of is within bounds, and `shape` (upright or turned) where there is one.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingError("reading images", "Pillow", "images") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                told = image.size[::-1]
                if told[0] * told[1] > MOST_PIXELS:
                    raise DataError(f"{path}: far too many pixels: {_size(told)}, at most {MOST_PIXELS:,} are read")
                if shape is not None and sorted(told) != sorted(shape):
                    raise DataError(f"{path}: the image is {_size(told)}, {needed}")
                grey = image.mode in GREY_MODES
                upright = ImageOps.exif_transpose(image)
                values = _values(upright, grey)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path}: far too many pixels: {error}") from None
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except DataError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything in the decoders
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: not a whole PNG, JPEG, BMP or GIF image: {reason}") from None
    return np.ascontiguousarray(values[np.newaxis] if grey else values.transpose(2, 0, 1))


def _values(image: "Image.Image", grey: bool) -> Pixels:
    """Pixels as Pillow orders them: (row, column), or (row, column, colour)."""
    from PIL import Image

    if image.mode in DEEP_MODES:
        upper: Pixels = (np.asarray(image).clip(0, 65_535) >> 8).astype(np.uint8)
        return upper
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        front = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", front.size, "white"), front)
    return np.array(image.convert("L" if grey else "RGB"), dtype=np.uint8)
