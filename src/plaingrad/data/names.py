"""What people call the parts of their data: training, validation and test; images and labels."""

import re

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = {
    TRAIN: ("train", "training", "trn", "tr"),
    VALIDATION: ("validation", "valid", "val", "dev", "va"),
    TEST: ("test", "testing", "tst", "t10k", "te"),
}
IMAGES, LABELS = "images", "labels"
KINDS = {
    IMAGES: ("x", "images", "image", "imgs", "img", "data", "pixels", "samples", "inputs", "features"),
    LABELS: ("y", "labels", "label", "lbl", "targets", "target", "classes", "class", "finelabels"),
}

_PART_OF = {word: part for part, words in PARTS.items() for word in words}
_ARRAYS = {word: (kind, TRAIN) for kind, words in KINDS.items() for word in words} | {
    joined: (kind, part)
    for kind, kinds in KINDS.items()
    for part, parts in PARTS.items()
    for one in kinds
    for other in parts
    for joined in (one + other, other + one)
}


def part_of(name: str) -> str | None:
    """The part that a folder of this name holds: `Training` is train; None where it is none of the three."""
    return _PART_OF.get(name.lower())


def part_in(stem: str) -> str | None:
    """The part that is told in the name of a file, as in `mnist_train`; None where none is."""
    words = re.split(r"[^a-z0-9]+", stem.lower())
    return next((_PART_OF[word] for word in words if word in _PART_OF), None)


def array_of(name: str) -> tuple[str, str] | None:
    """Images or labels, and of which part, as in `x_train`, `test_labels`, `X`; None where it is neither."""
    return _ARRAYS.get(re.sub(r"[^a-z0-9]", "", name.lower()))


def usual(kind: str) -> str:
    """A few of the names that arrays of a kind have, for a message."""
    return ", ".join(KINDS[kind][:3])


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or left there by a system: nobody's data."""
    return name.startswith(".") or name.lower() in ("__macosx", "thumbs.db", "desktop.ini")
