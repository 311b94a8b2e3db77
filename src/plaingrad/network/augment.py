"""Augmentation: training images shifted, flipped and cut out as they are loaded, each epoch another way.

What is done to an image follows from the seed, the epoch's number and the image's own: nothing is carried from step to
step, and no array of changed images is made.
"""

from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array, at, loops
from plaingrad.data.pixels import as_array
from plaingrad.errors import SettingError, nearest, shortly
from plaingrad.network.loading import STEP_OF_PLACES, WORDS, scrambled
from plaingrad.textbook.habits import OURS
from plaingrad.textbook.layer import Shape
from plaingrad.textbook.record import Record

ROW, COLUMN, SIGN, TOP, LEFT = range(5)  # what is drawn for an image, see `draw_augmentation`
DRAWN = 5
OWN = 0x41756721  # tells these numbers from those of a mask with the same seed


@loops
def draw_augmentation(drawn, index, seeds, epoch, *, rows, columns, shift, flip):
    """For each image: the row and column of it that come first, the sign of the column's step, and the square's corner.

    Five numbers from 0 to 2³² - 1 are drawn from seed, epoch and image; each becomes one of so many values alike.
    """
    begun = scrambled(scrambled((scrambled(int(seeds[0]) & 0xFFFFFFFF) ^ OWN) + int(epoch[0])) & 0xFFFFFFFF)
    for n in range(index.shape[0]):
        own = scrambled((begun + int(index[n]) + 1) & 0xFFFFFFFF)
        for each in range(DRAWN):
            number = scrambled((own + each * STEP_OF_PLACES) & 0xFFFFFFFF)
            if each < SIGN:
                drawn[each, n] = number * (2 * shift + 1) // WORDS - shift
            elif each == SIGN:
                drawn[SIGN, n] = -1 if flip and number >= WORDS // 2 else 1
            else:
                drawn[each, n] = number * (rows if each == TOP else columns) // WORDS
        if drawn[SIGN, n] < 0:  # the last column comes first
            drawn[COLUMN, n] += columns - 1


@loops
def load_augmented(images, index, offset, factor, drawn, x, lanes, *, unit, cutout):
    """As `prepare_images`, with each image as drawn, in its lane; what comes in from outside, and the square, is black.

    The square's drawn place is its middle, or right below and beside it: at the edge a part of it lies outside.
    """
    rows, columns = images.shape[2], images.shape[3]
    for c in range(images.shape[1]):
        black = (0 * unit - offset[c]) * factor[c]
        for i in range(rows):
            for n in range(lanes):
                row, top = i + drawn[ROW, n], drawn[TOP, n] - cutout // 2
                if index[n] < 0:
                    for j in range(columns):
                        x[c, i, at(j * lanes + n)] = 0
                elif row < 0 or row >= rows:
                    for j in range(columns):
                        x[c, i, at(j * lanes + n)] = black
                else:
                    left = drawn[LEFT, n] - cutout // 2 if top <= i < top + cutout else columns
                    for j in range(columns):
                        column = drawn[COLUMN, n] + drawn[SIGN, n] * j
                        pixel = black
                        if 0 <= column < columns and not left <= j < left + cutout:
                            pixel = (images[index[n], c, row, column] * unit - offset[c]) * factor[c]
                        x[c, i, at(j * lanes + n)] = pixel


class Augment(Record):
    """How training images are changed at random as they are loaded, each image anew in each epoch.

    shift: by up to so many rows and so many columns each way, every shift alike; what comes in is black. That is the
    random crop of an image padded with as many black pixels on each side.
    flip: left to right, with probability 1/2.
    cutout: a black square of so many pixels a side, its middle anywhere in the image (DeVries and Taylor, 2017).

    Black is a pixel of 0, before the network's offset and factor. An image is shifted, then flipped, then cut out.
    """

    shift: int = 0
    flip: bool = False
    cutout: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("shift", "cutout"):
            value = getattr(self, name)
            self.require(value >= 0, f"{name}={value}", f"{name} is a number of pixels, 0 or more")

    @classmethod
    def from_text(cls, text: str) -> "Augment | None":
        """The augmentation that a command line tells: `shift=4,flip,cutout=8`; None for `none`. SettingError else."""
        if not isinstance(text, str):
            raise SettingError(f"augmentation got {shortly(text)}; it needs a text, such as shift=4,flip")
        if text.strip() == "none":
            return None
        told: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = (each.strip() for each in part.partition("="))
            known = {each: getattr(cls, each) for each in ("shift", "flip", "cutout")}
            if name == "none":
                raise SettingError(f"augmentation got {text!r}; none stands alone: leave it out, or all the others")
            if name not in known:
                ours = OURS.get(name)
                hint = f"here it is called {ours}; " if ours in known else ""
                raise SettingError(f"augmentation got {part.strip()!r}; {hint}{nearest(name, {*known, 'none'})}")
            is_right = not equals if name == "flip" else value.isascii() and value.isdecimal() and len(value) < 10
            if name in told or not is_right:
                raise SettingError(
                    f"augmentation got {text!r}; it is written as shift=4,flip,cutout=8: each at most once, flip "
                    "alone, shift and cutout with a whole number"
                )
            told[name] = True if name == "flip" else int(value)
        return cls(**told)

    def check(self, input: Shape) -> None:
        """SettingError where images of this shape (channel, row, column) cannot be changed so."""
        if len(input) != 3:
            raise SettingError(f"{self!r} is for images, and the network takes {input[0]} features: leave it out")
        least = min(input[1:])
        for name in ("shift", "cutout"):
            value = getattr(self, name)
            most = least - 1 if name == "shift" else least
            self.require(value <= most, f"{name}={value}", f"images of {input[1]}×{input[2]} take at most {most}")

    def apply(self, images: Any, *, seed: int = 0, epoch: int = 0, first: int = 0) -> Array:
        """Images (image, channel, row, column) as a training with this seed sees them in this epoch, counted from 0.

        For looking at them: a training makes no such array. first: the number of the first one in the training data.
        SettingError where the images are too small.
        """
        images = as_array(images, f"{self!r}: images")
        if images.ndim != 4:
            raise SettingError(f"{self!r} got images of shape {images.shape}; it needs (image, channel, row, column)")
        self.check(images.shape[1:])
        count, channels, rows, columns = images.shape
        drawn, index = np.zeros((DRAWN, count), np.int64), np.arange(first, first + count)
        draws = drawn, index, np.array([seed]), np.array([epoch])
        draw_augmentation.plain(*draws, rows=rows, columns=columns, shift=self.shift, flip=self.flip)
        laid = np.empty((channels, rows, columns * count), images.dtype)
        as_they_are = np.zeros(channels, images.dtype), np.ones(channels, images.dtype)
        given = images, index - first, *as_they_are, drawn, laid, count
        load_augmented.plain(*given, unit=1, cutout=self.cutout)
        return np.ascontiguousarray(np.moveaxis(laid.reshape(channels, rows, columns, count), -1, 0))
