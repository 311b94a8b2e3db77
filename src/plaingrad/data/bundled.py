"""The digits that come with the package: 1,797 handwritten digits of 8x8 pixels."""

from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.data.dataset import Dataset, Split, numbered
from plaingrad.data.idx import read_idx
from plaingrad.errors import SettingError, nearest

FOLDER = Path(__file__).with_name("digits")
TRAIN = 1_437  # four fifths
ORDERS = ("file", "shuffled")


def digits(order: str = "shuffled", **foreign: Any) -> Split:
    """1,437 digits to learn from and 360 to be tested on, (1, 8, 8) float32 in steps of 1/16 from 0 to 1.

    "shuffled" mixes them first, always in the same way; "file" keeps the order of the file, whose last 360 are the
    harder ones (three nearest neighbours name 97 % of them right, and 99 % of the shuffled ones).
    """
    for name, value in foreign.items():
        raise SettingError(
            f"digits got {name}={str(value)[:40]}, which it does not have; write train, test = digits(), "
            "then train.images and train.labels"
        )
    if order not in ORDERS:
        raise SettingError(f"digits: there is no order {order!r}; {nearest(str(order), ORDERS)}")
    images = read_idx(FOLDER / "images-idx3-ubyte.gz")[:, np.newaxis].astype(np.float32) / np.float32(16)
    labels = read_idx(FOLDER / "labels-idx1-ubyte.gz")
    every = Dataset(images, labels, numbered("digits", labels), "digits")
    places = np.random.default_rng(0).permutation(len(every)) if order == "shuffled" else np.arange(len(every))
    return Split(every.take(places[:TRAIN]), every.take(places[TRAIN:]), "digits")
