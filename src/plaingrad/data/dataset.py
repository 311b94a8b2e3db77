"""Labelled images in memory, checked once when they are put together.

Over 300 lines, since all that images, labels, classes and weights have to be is said in one place.
"""

import functools
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaingrad.data.description import Description
from plaingrad.data.numpy_files import is_mapped, mapped
from plaingrad.data.pixels import LOOKED_AT_ONCE, as_array, require_numbers, taken
from plaingrad.errors import DataError, SettingError, is_number

Array = NDArray[Any]

MOST_GATHERED = 1 << 28  # bytes of images from a file that are copied into memory
MOST_CLASSES = 10_000  # beyond this, labels without class names are taken for something else than labels


@dataclass(frozen=True, eq=False)
class Dataset:
    """`images` (image, channel, row, column), `labels` (image), the name of each class, and the set's own name.

    weights: how much each image counts (image), beside the others; above 0, and all the same where there are none. In
    the loss, its gradient, the accuracy, and the mean and spread of pixels one of weight 2 counts as it would twice.
    Images are uint8 (0..255) or float32/float64 (any finite values; 0..1 by convention). Other whole numbers must
    lie in 0..255 and become uint8, booleans become 0.0 and 1.0. Anything else is a DataError.
    """

    images: Array
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str = "arrays"
    weights: Array | None = None

    def __post_init__(self) -> None:
        images, labels = _checked_images(self.images, self.name), _checked_labels(self.labels, self.name)
        classes = _names(self.classes, self.name)
        if len(images) != len(labels):
            raise DataError(f"{self.name}: {len(images)} images and {len(labels)} labels; give each image one label")
        if len(set(classes)) < len(classes):
            twice = next(each for each in classes if classes.count(each) > 1)
            raise DataError(f"{self.name}: two classes are named {twice!r}; give each class its own name")
        outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
        if len(outside):
            first = outside[0]
            raise DataError(
                f"{self.name}: label {labels[first]} at position {first}; {len(classes)} classes need labels "
                f"0..{len(classes) - 1}: correct it, or name more classes"
            )
        for field, value in (("images", images), ("labels", labels.astype(np.int64)), ("classes", classes)):
            object.__setattr__(self, field, value)
        if self.weights is not None:
            object.__setattr__(self, "weights", _checked_weights(self.weights, len(images), self.name))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int | slice | Sequence[int] | Array) -> "tuple[Array, int] | Dataset":
        """One image (channel, row, column) and its label; of a slice, places or a mask what `take` gives."""
        if isinstance(place, int | np.integer) and not isinstance(place, bool):
            if not -len(self) <= place < len(self):
                raise IndexError(f"{self.name} has {len(self)} images, counted from 0; there is no image {place}")
            return self.images[place], int(self.labels[place])
        if isinstance(place, bool):
            raise DataError(f"{self.name}[{place}]: a place is a whole number, a slice, places or a mask")
        return self.take(place)

    def __iter__(self) -> "Iterator[tuple[Array, int]]":
        """Each image (channel, row, column) with its label."""
        return zip(self.images, self.labels.tolist(), strict=True)

    def __repr__(self) -> str:
        kind = f"{'x'.join(map(str, self.shape))} {self.images.dtype}"
        return f"Dataset({self.name!r}: {len(self)} images of {kind}, {len(self.classes)} classes)"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        channels, rows, columns = self.images.shape[1:]
        return channels, rows, columns

    @property
    def counts(self) -> NDArray[np.intp]:
        """How many images each class has."""
        return np.bincount(self.labels.astype(np.intp), minlength=len(self.classes))

    @functools.cached_property
    def fingerprint(self) -> str:
        """A digest of images and labels: whether two sets are the same."""
        digest = hashlib.sha256(f"{self.images.dtype.str} {self.images.shape}".encode())
        digest.update(self.images.data)
        digest.update(self.labels.data)
        if self.weights is not None:
            digest.update(self.weights.data)
        return digest.hexdigest()

    @functools.cached_property
    def relative_weights(self) -> Array | None:
        """The weights over their mean; None where all are the same, which is no weighing."""
        if self.weights is None or (self.weights == self.weights[0]).all():
            return None
        relative: Array = self.weights / self.weights.mean()
        return relative

    def take(self, indices: slice | Sequence[int] | Array, name: str | None = None) -> "Dataset":
        """The images at these places (a slice, positions, or a mask), in that order; DataError if one is not there.

        They are copied, but for those of a slice: into memory, or where they come from a file and are many, into a
        file without a name in the system's folder for such.
        """
        chosen = indices if isinstance(indices, slice) else _places(indices)
        try:
            weights = None if self.weights is None else self.weights[chosen]
            images, labels = gathered(self.images, chosen), self.labels[chosen]
            return Dataset(images, labels, self.classes, name or self.name, weights)
        except IndexError as error:
            raise DataError(f"{self.name}: its {len(self)} images have no such places: {error}") from None

    def describe(self) -> Description:
        """What is in it: how many images of each class, the values of pixels; and a picture of some."""
        return Description(self.name, "arrays", {self.name: self}, ())

    def split(self, share: float, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """Shuffle with `seed` and cut in two: the rest, and `share` (between 0 and 1) of the images."""
        held = round(len(self) * share) if is_number(share) and 0 < share < 1 else 0
        if not 0 < held < len(self):
            raise SettingError(
                f"{self.name}: a share of {share} of {len(self)} images leaves one part empty; "
                "the share needs to lie between 0 and 1 and give both parts an image"
            )
        order = generator(seed).permutation(len(self))
        return self.take(order[held:]), self.take(order[:held])


@dataclass(frozen=True, eq=False)
class Split:
    """Images to learn from and images to be tested on, of one shape and with the same classes."""

    train: Dataset
    test: Dataset
    name: str
    validation: Dataset | None = None  # where the files tell such a part; `Trainer(validation=…)` takes it
    kind: str = "arrays"  # of what files, in words
    notes: tuple[str, ...] = ()  # what was decided when they were read, and what was passed over
    is_held_back: bool = False  # the test images are a share of images that nobody called test

    def __post_init__(self) -> None:
        for part, other in (("test", self.test), ("validation", self.validation)):
            if other is None:
                continue
            for what, mine, its in (
                ("images of shape", self.train.shape, other.shape),
                ("classes", self.train.classes, other.classes),
            ):
                if mine != its:
                    raise DataError(f"{self.name}: train has {what} {mine} and {part} {its}; both need the same")

    def describe(self) -> Description:
        """What is in it: of what kind, how many images of each class, the values of pixels; and a picture of some."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return Description(self.name, self.kind, {name: each for name, each in parts.items() if each}, self.notes)

    def __iter__(self) -> Iterator[Dataset]:
        """`train, test = split`."""
        return iter((self.train, self.test))


def from_arrays(
    images: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str] | int | None = None,
    name: str = "arrays",
    weights: ArrayLike | None = None,
) -> Dataset:
    """A dataset of images (image, row, column) or (image, channel, row, column) and whole-number labels (image).

    Without `classes` they are named "0", "1" and so on, up to the largest label; a number says how many there are.
    weights: how much each image counts (image), beside the others.
    """
    if isinstance(classes, int | np.integer):
        if isinstance(classes, bool) or not 0 < classes <= MOST_CLASSES:
            raise DataError(f"{name}: classes={classes!r}; it needs a number from 1 to {MOST_CLASSES:,}, or names")
        classes = tuple(map(str, range(classes)))
    pixels = as_array(images, f"{name}: images")
    whole = _checked_labels(labels, name)
    if pixels.ndim == 3:
        pixels = pixels[:, np.newaxis]
    names = numbered(name, whole) if classes is None else _names(classes, name)
    return Dataset(pixels, whole, names, name, None if weights is None else as_array(weights, f"{name}: weights"))


def numbered(name: str, *labels: Array) -> tuple[str, ...]:
    """Class names "0" up to the largest of these labels."""
    largest = max((int(each.max()) for each in labels if each.size), default=0)
    if largest >= MOST_CLASSES:
        raise DataError(f"{name}: its largest label is {largest}; name the classes if there are so many")
    return tuple(str(each) for each in range(max(largest, 0) + 1))


def generator(seed: int) -> np.random.Generator:
    """NumPy's generator from a whole, non-negative seed."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise SettingError(f"seed is {seed!r}; it needs to be a whole number of 0 or more")
    return np.random.default_rng(seed)


def _names(classes: Any, name: str) -> tuple[str, ...]:
    """The name of each class, as text."""
    if not isinstance(classes, Iterable):
        raise DataError(f"{name}: classes={classes!r}; it needs the name of each class, such as ('cat', 'dog')")
    return tuple(str(each) for each in classes)


def _places(indices: Sequence[int] | Array) -> Array:
    places = np.atleast_1d(as_array(indices, "places"))
    # NumPy makes an empty list an array of floats, which cannot index.
    return places if places.size else places.astype(np.intp)


def _checked_images(values: ArrayLike, name: str) -> Array:
    images = as_array(values, f"{name}: images")
    require_numbers(images, name)
    if images.ndim != 4:
        raise DataError(
            f"{name}: images have {images.ndim} axes, {images.shape}; they need four: (image, channel, row, column)"
        )
    if len(images) == 0:
        raise DataError(f"{name}: there is no image in it; at least one is needed")
    if images.size == 0:
        raise DataError(f"{name}: images of shape {images.shape[1:]} hold no pixel; each axis needs one at least")
    if images.dtype.kind == "f":
        _refuse_not_finite(images, name)
    return np.ascontiguousarray(taken(images, name))


def _refuse_not_finite(images: Array, name: str) -> None:
    few, count = max(1, LOOKED_AT_ONCE // images[:1].nbytes), 0
    first: tuple[int, ...] = ()
    for start in range(0, len(images), few):  # of images that may be more than there is memory
        bad = ~np.isfinite(images[start : start + few])
        if bad.any():
            image, *place = map(int, np.unravel_index(bad.argmax(), bad.shape))
            first = first or (start + image, *place)
            count += int(np.count_nonzero(bad))
    if first:
        image, channel, row, column = first
        raise DataError(
            f"{name}: {count} pixels are NaN or infinite, the first in image {image}, channel "
            f"{channel}, row {row}, column {column}; every pixel needs to be finite: repair or drop those images"
        )


def _checked_weights(values: ArrayLike, count: int, name: str) -> Array:
    weights = as_array(values, f"{name}: weights")
    if weights.shape != (count,) or weights.dtype.kind not in "iuf":
        raise DataError(
            f"{name}: weights of shape {weights.shape} and type {weights.dtype}; {count} images need a number each"
        )
    if len(wrong := np.flatnonzero(~((weights > 0) & np.isfinite(weights)))):
        raise DataError(
            f"{name}: image {wrong[0]} has the weight {weights[wrong[0]]}; it needs to be finite and above 0"
        )
    return np.array(weights, np.float64)


def gathered(images: Array, places: slice | Array) -> Array:
    """`images[places]`; of many images that lie in a file, in another one, which goes when nobody needs it."""
    if isinstance(places, slice) or not is_mapped(images):
        return images[places]
    places = np.arange(len(images))[places]
    needed = len(places) * images[:1].nbytes
    if needed <= MOST_GATHERED:
        return images[places]
    few = max(1, LOOKED_AT_ONCE // images[:1].nbytes)
    try:
        with tempfile.TemporaryFile() as file:
            for start in range(0, len(places), few):
                file.write(images[places[start : start + few]].data)
            file.flush()
            return mapped("a copy", file, images.dtype, 0, needed).reshape(len(places), *images.shape[1:])
    except OSError as error:
        raise DataError(
            f"{needed:,} bytes of images cannot be copied into {tempfile.gettempdir()}: {error.strerror or error}; "
            "make room, or name another folder by TMPDIR"
        ) from None


def _checked_labels(values: ArrayLike, name: str) -> Array:
    labels = as_array(values, f"{name}: labels")
    if labels.ndim != 1:
        raise DataError(
            f"{name}: labels have {labels.ndim} axes, {labels.shape}; they need one, a class number for each "
            "image (from one-hot rows: labels.argmax(axis=1))"
        )
    if labels.size and labels.dtype.kind not in "iu":
        raise DataError(
            f"{name}: labels of type {labels.dtype}, the first {labels[0]!s}; they need to be whole numbers "
            "counted from 0 (labels.astype(int), if that is what they are)"
        )
    return labels
