"""What a reader found in files, and the split that is made of it: one set of rules for every kind of file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plaingrad.data.dataset import Array, Dataset, Split, generator, numbered
from plaingrad.data.layout import Labels
from plaingrad.data.names import TEST, TRAIN, VALIDATION
from plaingrad.errors import DataError, SettingError, is_number

TEST_SHARE = 0.2  # of each class, where no part is told to be the test


@dataclass
class Part:
    """Images (image, channel, row, column), and their labels where there are any."""

    images: Array
    labels: Labels | None = None


@dataclass
class Found:
    """Parts by name: train, and validation and test where they are told apart. `kind`: of what files, in words."""

    kind: str
    parts: dict[str, Part]
    classes: Sequence[str] | None = None
    notes: list[str] = field(default_factory=list)  # what was decided, and what was passed over

    def split(self, name: str, test_share: float = TEST_SHARE, seed: int = 0) -> Split:
        """Training and test images; DataError where there are no labels to learn from."""
        require_share(test_share, name)
        generator(seed)  # says at once what is wrong with a seed
        parts, notes = dict(self.parts), list(self.notes)
        for each in (VALIDATION, TEST):
            if each in parts and parts[each].labels is None:
                del parts[each]
                notes.append(f"{name}: the {each} images have no labels and are passed over; `predict` classifies them")
        if TRAIN not in parts or parts[TRAIN].labels is None:
            what = "no labels for its images" if TRAIN in parts else "no images to train on"
            raise DataError(f"{name}: there are {what}; give each image a label, or classify them with `predict`")
        if TEST not in parts and VALIDATION in parts:
            parts[TEST] = parts.pop(VALIDATION)
            notes.append(f"{name}: there are no test images; the validation images are the test")
        classes, numbers = self._classes(name, parts)
        made = {each: Dataset(part.images, numbers[each], classes, f"{name} {each}") for each, part in parts.items()}
        if TEST not in made:
            train, test = stratified(made[TRAIN].labels, test_share, np.random.default_rng(seed))
            if not len(test):
                raise DataError(f"{name}: each class has one image only, which leaves none to test; add images")
            whole = made[TRAIN]
            made |= {TRAIN: whole.take(np.sort(train)), TEST: whole.take(np.sort(test), f"{name} test")}
        return Split(made[TRAIN], made[TEST], name, made.get(VALIDATION), self.kind, tuple(notes), TEST not in parts)

    def _classes(self, name: str, parts: dict[str, Part]) -> tuple[tuple[str, ...], dict[str, Array]]:
        """The classes of all parts together, and each part's class numbers."""
        told = {each: part.labels for each, part in parts.items() if part.labels is not None}
        if all(labels.names is None for labels in told.values()):
            numbers = {each: labels.numbers for each, labels in told.items()}
            return tuple(self.classes or numbered(name, *numbers.values())), numbers
        words = {each: labels.names or tuple(map(str, range(1 + _largest(labels)))) for each, labels in told.items()}
        classes = tuple(sorted(set().union(*words.values())))
        places = {word: place for place, word in enumerate(classes)}
        return classes, {
            each: np.array([places[word] for word in words[each]])[labels.numbers] for each, labels in told.items()
        }


def _largest(labels: Labels) -> int:
    return int(labels.numbers.max()) if labels.numbers.size else 0


def require_share(share: Any, who: object) -> None:
    """SettingError where a test share is none."""
    if not is_number(share) or not 0 < share < 1:
        raise SettingError(f"{who}: a test share of {share}; it needs to lie between 0 and 1")


def stratified(labels: Array, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Places to learn from and places to test, the same share of each class as far as it goes."""
    train, test = [], []
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        held = min(len(places) - 1, max(1, round(len(places) * share)))
        test.append(places[:held])
        train.append(places[held:])
    return np.concatenate(train), np.concatenate(test)
