"""Image files, read with Pillow: exactly as they are, or made such as a network takes."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plaingrad.data.pixels import Seen
from plaingrad.errors import DataError, MissingError

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
KINDS = "PNG, JPEG, BMP, GIF, TIFF or WebP"
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # 16-bit grey, by what each version of Pillow calls it
GREY_MODES = ("1", "L", "LA", *DEEP_MODES)
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # the tag that says how a picture is turned; these say by a quarter

MOST_PIXELS = 1 << 24  # of one image: decoding takes up to twelve bytes for each
MOST_BYTES = 1 << 28  # of one file

Pixels = NDArray[np.uint8]


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.suffix.lower() in ENDINGS and path.is_file()


def read_image(path: str | Path, shape: tuple[int, int, int]) -> Pixels:
    """One image file as (channel, row, column) uint8, made grey or RGB as `shape` has 1 or 3 channels.

    Its rows and columns must be those of `shape`; it is not resized.
    """
    _require_channels(path, shape[0])
    needed = f"{size_text(shape[1:])} are needed; resize it first"
    pixels = pixels_of(Path(path), shape[1:], needed)
    if pixels.shape[1:] != shape[1:]:
        raise DataError(f"{path}: the image is {size_text(pixels.shape[1:])}, {needed}")
    return in_channels(pixels, shape[0])


def prepared_image(
    path: str | Path, shape: tuple[int, int, int], seen: Seen | None = None
) -> tuple[Pixels, tuple[str, ...]]:
    """One image file made (channel, row, column) uint8 of `shape`, and what was done to it, in words.

    It is made grey or RGB; resized, as a whole, with its border's colour where its sides are in another proportion; and
    drawn as the training images were, where `seen` tells of them: see `Seen.adapted`.
    """
    _require_channels(path, shape[0])
    pixels, size = _read(Path(path), at_least=shape[1:])
    done = list[str]()
    if len(pixels) > shape[0]:
        done.append("made grey")
    pixels = in_channels(pixels, shape[0])
    if size != shape[1:]:
        done.append(f"resized from {_sides(size)} to {_sides(shape[1:])}")
        pixels = _resized(pixels, shape[1:])
    if seen is not None:
        (pixels,), (more,) = seen.adapted(pixels[np.newaxis])
        done += more
    return pixels, tuple(done)


def size_text(shape: tuple[int, ...]) -> str:
    """Rows and columns in words."""
    return f"{shape[0]} rows x {shape[1]} columns"


def _sides(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _require_channels(path: object, channels: int) -> None:
    if channels not in (1, 3):
        raise DataError(f"{path}: an image file gives 1 channel or 3; {channels} are asked for, which it cannot give")


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """Pixels (channel, row, column) with 1 channel or 3, made of 3 or 1."""
    if len(pixels) == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=0)
    # How bright the three colours look, by ITU-R BT.601.
    grey = np.tensordot(np.array([0.299, 0.587, 0.114]), pixels, axes=1)
    return np.rint(grey).astype(np.uint8)[np.newaxis]


def _resized(pixels: Pixels, shape: tuple[int, ...]) -> Pixels:
    """The whole image within so many rows and columns; what stays free has the median of its border."""
    from PIL import Image

    rows, columns = pixels.shape[1:]
    scale = min(shape[0] / rows, shape[1] / columns)
    inner = tuple(max(1, round(each * scale)) for each in (rows, columns))
    top, left = ((each - its) // 2 for each, its in zip(shape, inner, strict=True))
    made = np.empty((len(pixels), *shape), np.uint8)
    for own, given in zip(made, pixels, strict=True):
        own[:] = np.median(np.concatenate([given[[0, -1]].ravel(), given[:, [0, -1]].ravel()]))
        small = Image.fromarray(given).resize(inner[::-1], Image.Resampling.BILINEAR)  # averages where it shrinks
        own[top : top + inner[0], left : left + inner[1]] = np.asarray(small)
    return made


def pixels_of(path: Path, shape: tuple[int, ...] | None = None, needed: str = "") -> Pixels:
    """One image file as (channel, row, column), with 1 channel if its mode is a grey one and 3 otherwise.

    It is decoded only if the size it tells of is within bounds, and `shape` (upright or turned) where there is one.
    """
    return _read(path, shape, needed)[0]


def _read(
    path: Path, shape: tuple[int, ...] | None = None, needed: str = "", at_least: tuple[int, ...] | None = None
) -> tuple[Pixels, tuple[int, ...]]:
    """Pixels, and how many rows and columns the file has.

    Where `at_least` so many rows and columns are needed, a large JPEG is decoded to fewer than it has.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingError("reading images", "Pillow", "images") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what decoders remark on damaged files
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(_content(path), formats=FORMATS) as image:
                size = image.size[::-1]
                if at_least is not None and image.format == "JPEG":
                    image.draft(None, (4 * max(at_least), 4 * max(at_least)))
                told = image.size[::-1]
                if told[0] * told[1] > MOST_PIXELS:
                    raise DataError(f"{path}: far too many pixels: {size_text(told)}, at most {MOST_PIXELS:,} are read")
                if shape is not None and sorted(told) != sorted(shape):
                    raise DataError(f"{path}: the image is {size_text(told)}, {needed}")
                if image.mode == "F":
                    raise DataError(f"{path}: its pixels are floating-point numbers; save it with 8 bits a channel")
                grey = image.mode in GREY_MODES
                upright = ImageOps.exif_transpose(image)
                is_turned = image.getexif().get(ORIENTATION) in TURNED
                values = _values(upright, grey)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path}: far too many pixels: {error}") from None
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except DataError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything in the decoders
        reason = " ".join(str(error).split()).partition(" <")[0] or type(error).__name__
        raise DataError(f"{path}: not a whole {KINDS} image: {reason}") from None
    pixels = np.ascontiguousarray(values[np.newaxis] if grey else values.transpose(2, 0, 1))
    return pixels, size[::-1] if is_turned else size


def _content(path: Path) -> io.BytesIO:
    """A file's bytes, of which decoders get no more than there are, whatever they ask for."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DataError(f"{path}: {size:,} bytes, at most {MOST_BYTES:,} are read of one image; make it smaller")
    return io.BytesIO(path.read_bytes())


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
