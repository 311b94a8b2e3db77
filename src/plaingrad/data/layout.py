"""Arrays as people save them, laid out as (image, channel, row, column) and class numbers."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.data.pixels import as_array, require_numbers
from plaingrad.errors import DataError, SettingError

Array = np.ndarray[Any, Any]

CHANNELS = (1, 3)  # that images usually have
FEW = 4  # channels at most, where an array's shape alone is to tell which axis they are
MOST_COPIED = 1 << 32  # bytes of an array laid out anew
MOST_SIDE = 1 << 16  # pixels
BLOCK = 1 << 24  # bytes that are looked at in one go


@dataclass(frozen=True)
class Labels:
    """Of each image a number: that of its class, or its place among `names`, where the labels were words."""

    numbers: Array
    names: tuple[str, ...] | None = None


def shape_told(text: str | tuple[int, ...] | list[int] | None) -> tuple[int, ...] | None:
    """An image's shape from "28x28", "3x32x32" or "32x32x3", or from such numbers. SettingError for any other."""
    if text is None:
        return None
    parts = re.split(r"[x×,]", text.strip()) if isinstance(text, str) else text
    try:
        shape = tuple(int(each) for each in parts)
    except (TypeError, ValueError):
        shape = ()
    if len(shape) not in (2, 3) or not all(1 <= each <= MOST_SIDE for each in shape):
        raise SettingError(
            f"an image's shape was given as {text!r}; it needs rows x columns, with the channels before or behind: "
            "28x28, 3x32x32, 32x32x3"
        )
    return shape


def laid_out(
    array: Array, count: int | None, shape: tuple[int, ...] | None, who: str, last: bool = False
) -> tuple[Array, str | None]:
    """An array of images as (image, channel, row, column), and a line on what was decided, where anything was.

    count: the number of labels, which tells the axis of images; `last`: they are on the last one where both can be.
    shape: that of an image, (row, column), (channel, row, column) or (row, column, channel), where it is known.
    An array that is laid out as it is needed is not copied.
    """
    require_numbers(array, who)
    if array.ndim < 2 or array.ndim > 4 or not array.size:
        raise DataError(
            f"{who}: an array of shape {array.shape}; images need (image, row, column), (image, channel, row, column), "
            "(image, row, column, channel) or (image, pixel)"
        )
    array = _images_first(array, count, who, last)
    if array.ndim == 2:
        return _of_rows(array, shape, who)
    if array.ndim == 3:
        if shape is not None and channels_and_sides(shape)[1:] != array.shape[1:]:
            raise _another_shape(array, shape, who)
        return array[:, np.newaxis], None
    return _of_four(array, shape, who)


def _images_first(array: Array, count: int | None, who: str, last: bool) -> Array:
    if count is None:
        return np.moveaxis(array, -1, 0) if last and array.ndim > 2 else array
    places = [axis for axis in (0, array.ndim - 1) if array.shape[axis] == count]
    if not places:
        raise DataError(f"{who}: images of shape {array.shape} and {count} labels; give each image one label")
    axis = places[-1] if last else places[0]
    return array if axis == 0 else np.moveaxis(array, axis, 0)


def channels_and_sides(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(channel, row, column) of a shape in either order: 28x28, 3x32x32 or 32x32x3."""
    if len(shape) == 2:
        return 1, *shape
    one, two, three = shape
    return (three, one, two) if _is_last(shape) else (one, two, three)


def _is_last(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] > FEW >= shape[2]


def _another_shape(array: Array, shape: tuple[int, ...], who: str) -> DataError:
    return DataError(
        f"{who}: its images are of shape {array.shape[1:]}, which is not {'x'.join(map(str, shape))}: correct the shape"
    )


def _of_rows(array: Array, shape: tuple[int, ...] | None, who: str) -> tuple[Array, str | None]:
    """Of (image, pixel)."""
    pixels = array.shape[1]
    side = math.isqrt(pixels)
    if shape is None:
        if side * side != pixels:
            third = math.isqrt(pixels // 3)
            guess = f"{third}x{third}x3 or 3x{third}x{third}" if 3 * third * third == pixels else "20x30"
            raise DataError(
                f"{who}: {pixels} pixels an image make no square; say the shape of an image, such as --shape {guess} "
                "(in Python shape=)"
            )
        return array.reshape(-1, 1, side, side), f"{who}: {pixels} pixels an image, taken as {side}x{side}"
    if math.prod(shape) != pixels:
        raise _another_shape(array, shape, who)
    if _is_last(shape):
        return _channels_first(array.reshape(-1, *shape), who), None
    return array.reshape(-1, *channels_and_sides(shape)), None


def _of_four(array: Array, shape: tuple[int, ...] | None, who: str) -> tuple[Array, str | None]:
    one, two, three = array.shape[1:]
    if shape is not None:
        sizes = channels_and_sides(shape)
        if sizes == (one, two, three) and not (_is_last(shape) and shape == (one, two, three)):
            return array, None
        if sizes == (three, one, two):
            return _channels_first(array, who), None
        raise _another_shape(array, shape, who)
    first, behind = (each in CHANNELS for each in (one, three))
    if first == behind:
        first, behind = one < three and one <= FEW, three < one and three <= FEW
    if first == behind:
        raise DataError(
            f"{who}: images of shape {array.shape[1:]} may have their channels first or last; say it by the shape of "
            f"an image, such as --shape 3x32x32 or 32x32x3 (in Python shape=)"
        )
    if first:
        return array, None
    return _channels_first(array, who), f"{who}: images of shape {array.shape[1:]}: taken as rows, columns, channels"


def _channels_first(array: Array, who: str) -> Array:
    if array.nbytes > MOST_COPIED:
        raise DataError(
            f"{who}: {array.nbytes:,} bytes with the channels last would have to be copied, at most {MOST_COPIED:,} "
            "are; save them with the channels first: numpy.save(file, images.transpose(0, 3, 1, 2))"
        )
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))


def class_numbers(values: Any, who: str) -> Labels:
    """Labels as people save them: whole numbers, also as floats, one-hot rows, a row or column of them, or words."""
    array = as_array(values, who)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.dtype.kind in "US" and array.ndim == 1:
        names, places = np.unique(array, return_inverse=True)
        texts = tuple(each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in names)
        return numbers_of(texts, places.astype(np.int64), who)
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise DataError(
            f"{who}: labels of type {array.dtype} and shape {array.shape}; they need to be one class for each image"
        )
    if array.ndim == 2:
        if not (((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all()):
            raise DataError(
                f"{who}: labels of shape {array.shape} are not one-hot: each row needs a single 1, and 0 elsewhere"
            )
        return Labels(array.argmax(axis=1))
    if array.dtype.kind == "f":
        wrong = ~np.isfinite(array) | (np.abs(array) > 1e9)  # whole numbers beyond are no classes
        wrong |= np.where(wrong, 0, array) % 1 != 0
        if wrong.any():
            place = int(wrong.argmax())
            raise DataError(f"{who}: label {array[place]} at position {place}; labels need to be whole numbers from 0")
    return Labels(array.astype(np.int64))


def numbers_of(names: tuple[str, ...], places: Array, who: str) -> Labels:
    """Labels that were read as text: numbers where all of them are whole numbers, otherwise class names."""
    try:
        values = [float(each) for each in names]
    except ValueError:
        return Labels(places, names)
    numbers = class_numbers(np.array(values, np.float64), who).numbers
    return Labels(numbers[places] if len(numbers) else numbers)
