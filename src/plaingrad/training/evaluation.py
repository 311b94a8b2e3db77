"""How good a network is on images: accuracy, loss, precision, recall and F1 of each class, and what is confused."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.data.pixels import look
from plaingrad.errors import SettingError, shortly, visible
from plaingrad.network.network import Network, require_network
from plaingrad.textbook.losses import Loss
from plaingrad.training.preparing import check_fit, dataset, loss_for, named
from plaingrad.training.shards import Shards

AT_ONCE = 256  # images: enough shards to keep any number of threads busy
NORMAL_95 = 1.959964  # 95 % of a normal distribution lie within so many standard deviations
MATRIX_CLASSES, PAIRS, LISTED = 20, 5, 5  # as many as are shown
NAME, CELL = 16, 6  # columns of a terminal
MEASURES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class ClassScore:
    """One class. With TP of its images classified as it, FP others that were too, and FN of its that were not:

    precision = TP / (TP + FP), recall = TP / (TP + FN), f1 = 2 TP / (2 TP + FP + FN), the harmonic mean of both.
    A quotient 0 / 0 is None: a precision where no image was classified so, a recall where no image is of the class.
    support = TP + FN, the images of the class; predicted = TP + FP, the images classified as it.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int

    def to_json(self) -> dict[str, Any]:
        """All but the name."""
        return {name: value for name, value in vars(self).items() if name != "name"}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` found. `print` shows it.

    names: one for each output of the network: the classes of the data, and `output 10` for an output beyond them.
    confusion: counts (true class, class predicted). unanswered: of each class the images whose outputs are not all
    finite numbers; they are wrong, and in no place of `confusion`. loss: the mean over all images.
    """

    names: tuple[str, ...]
    confusion: Array
    unanswered: Array
    loss: float

    @classmethod
    def of(cls, names: Sequence[str], labels: Array, answers: Array, loss: float = math.nan) -> "Evaluation":
        """Count labels and answers, both class numbers; an answer of -1 is none."""
        size, given = len(names), answers >= 0
        confusion, unanswered = np.zeros((size, size), np.int64), np.zeros(size, np.int64)
        np.add.at(confusion, (labels[given], answers[given]), 1)
        np.add.at(unanswered, labels[~given], 1)
        return cls(tuple(names), confusion, unanswered, loss)

    @property
    def images(self) -> int:
        """How many there are."""
        return int(self.confusion.sum() + self.unanswered.sum())

    @property
    def right(self) -> int:
        """How many were classified correctly."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """The share that was classified correctly."""
        return self.right / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, see `wilson`."""
        return wilson(self.right, self.images)

    @property
    def classes(self) -> tuple[ClassScore, ...]:
        """One for each name, in the order of the outputs."""
        hits, predicted = self.confusion.diagonal().tolist(), self.confusion.sum(axis=0).tolist()
        support = (self.confusion.sum(axis=1) + self.unanswered).tolist()
        return tuple(
            ClassScore(name, _share(hit, of), _share(hit, all_), _share(2 * hit, of + all_), all_, of)
            for name, hit, of, all_ in zip(self.names, hits, predicted, support, strict=True)
        )

    @property
    def macro(self) -> dict[str, float]:
        """The means of precision, recall and f1 over the classes that occur or are predicted; 0 / 0 counts as 0.

        So scikit-learn counts too, with average="macro" and zero_division=0.
        """
        rows = [row for row in self.classes if row.support + row.predicted]
        return {name: _mean([getattr(row, name) or 0.0 for row in rows], [1] * len(rows)) for name in MEASURES}

    @property
    def weighted(self) -> dict[str, float]:
        """The same means with each class counted as often as it has images: the recall is the accuracy."""
        rows = self.classes
        weights = [row.support for row in rows]
        return {name: _mean([getattr(row, name) or 0.0 for row in rows], weights) for name in MEASURES}

    @property
    def confused(self) -> list[dict[str, Any]]:
        """The pairs confused most often, at most five: the true class, the class predicted, and how many times."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        pairs = np.argwhere(wrong).tolist()
        worst = sorted(pairs, key=lambda pair: (-wrong[tuple(pair)], pair))[:PAIRS]
        return [
            {"true": self.names[true], "predicted": self.names[other], "times": int(wrong[true, other])}
            for true, other in worst
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "interval": self.interval,
            "loss": self.loss,
            "classes": {row.name: row.to_json() for row in self.classes},
            "macro": self.macro,
            "weighted": self.weighted,
            "confusion": self.confusion.tolist(),
            "unanswered": int(self.unanswered.sum()),
            "confused": self.confused,
        }

    def __repr__(self) -> str:
        return f"<Evaluation: {self.headline()}>"

    def __str__(self) -> str:
        return "\n".join([self.headline(), "", *self.table(), "", *self.matrix(), *self._pairs()])

    def headline(self) -> str:
        """Accuracy and loss in one line."""
        low, high = self.interval
        return (
            f"accuracy {self.accuracy:.4f} ({self.right} of {self.images}; 95 % interval {low:.4f} to {high:.4f}), "
            f"loss {self.loss:.4f}"
        )

    def table(self) -> Iterator[str]:
        """The lines of a table with a row for each class, the means below it, and what is 0/0 in it."""
        rows = [row for row in self.classes if row.support + row.predicted]
        yield f"{'':>{NAME}}  precision  recall      F1  images"
        for row in rows:
            yield _line(_short(row.name, NAME), row.to_json(), row.support)
        for name, mean in (("macro mean", self.macro), ("weighted mean", self.weighted)):
            yield _line(name, mean, self.images)
        yield from self.remarks()

    def remarks(self) -> Iterator[str]:
        """A line for each kind of class without some of the measures, and one for images without an answer."""
        rows = self.classes
        if never := [row.name for row in rows if row.support and not row.predicted]:
            yield f"no image was classified as {_listed(never)}: the precision is 0/0 and counts as 0 in the means"
        if absent := [row.name for row in rows if row.predicted and not row.support]:
            yield f"no image is of {_listed(absent)}: the recall is 0/0 and counts as 0 in the macro mean"
        if unused := [row.name for row in rows if not row.predicted and not row.support]:
            yield f"no image is of or was classified as {_listed(unused)}: left out of the means"
        if self.unanswered.any():
            yield f"for {self.unanswered.sum():,} of the images the outputs are not finite numbers: they count as wrong"

    def matrix(self) -> Iterator[str]:
        """The lines of the confusion matrix, at most of the 20 classes that are mixed up most."""
        shown = most_mixed(self, MATRIX_CLASSES)
        shown = [at for at in shown if self.confusion[at].any() or self.confusion[:, at].any()] or shown[:1]
        few = f", the {len(shown)} classes with most mistakes" if len(shown) == MATRIX_CLASSES < len(self.names) else ""
        yield f"confusion matrix (a row for the true class, a column for the class predicted{few})"
        names = [self.names[at] for at in shown]
        yield f"{'':>{NAME}}{''.join(f'{_short(name, CELL - 1):>{CELL}}' for name in names)}"
        for row, name in zip(shown, names, strict=True):
            cells = (f"{self.confusion[row, at] or '·':>{CELL}}" for at in shown)
            yield f"{_short(name, NAME):>{NAME}}{''.join(cells)}"

    def _pairs(self) -> Iterator[str]:
        for pair in self.confused:
            yield f"{visible(pair['true'])} classified as {visible(pair['predicted'])}: {pair['times']}×"


def evaluate(
    net: Network, data: Any, labels: Any = None, *, loss: Loss | str | None = None, threads: int | None = None
) -> Evaluation:
    """Accuracy, loss, and precision, recall and F1 of each class: on a Dataset, or on images and labels given apart.

    loss: as in `train`; by default the one that fits the network's last layer. DataError where images or labels do
    not fit the network.
    """
    net, data = require_network("evaluate", net), dataset(data, labels)
    check_fit(net, data)
    chosen = loss_for(net) if loss is None else named("loss", loss, net)
    if not isinstance(chosen, Loss):
        raise SettingError(
            f"evaluate got loss={shortly(loss)}; it needs one of {', '.join(f'{each}()' for each in Loss.kinds())}"
        )
    return judged(net, data, chosen, threads)[0]


def _share(hits: int, count: int) -> float | None:
    return hits / count if count else None


def _mean(values: list[float], weights: list[int]) -> float:
    return math.fsum(map(math.prod, zip(values, weights, strict=True))) / (sum(weights) or 1)


def _short(name: str, width: int) -> str:
    name = visible(name)
    return name if len(name) <= width else f"{name[: width - 1]}…"


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(visible, names[:LISTED]))
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"


def _line(name: str, values: dict[str, Any], images: int) -> str:
    numbers = ["-" if values[each] is None else f"{values[each]:.4f}" for each in MEASURES]
    return f"{name:>{NAME}}  {numbers[0]:>9}  {numbers[1]:>6}  {numbers[2]:>6}  {images:>6,}"


def judged(net: Network, data: Any, loss: Loss, threads: int | None = None) -> tuple[Evaluation, Array]:
    """What `evaluate` gives, and the outputs (image, output), for data that fit."""
    look(net, data.images)
    with Shards(net, loss, AT_ONCE, threads, False, len(data)) as shards:
        mean, _, outputs = shards.evaluate(data.images, data.labels)
    return Evaluation.of(output_names(data.classes, net), data.labels, answers(outputs), mean), outputs


def score(net: Network, data: Any, labels: Any = None, threads: int | None = None) -> float:
    """The share of images whose class the network names: of a Dataset, or of images and labels given apart."""
    return evaluate(net, data, labels, threads=threads).accuracy


def answers(outputs: Array) -> Array:
    """The class that each row (image, output) names, the first of equals; -1 where not all of it is finite."""
    return np.where(np.isfinite(outputs).all(axis=1), np.nan_to_num(outputs).argmax(axis=1), -1)


def output_names(classes: Sequence[str], net: Network) -> tuple[str, ...]:
    """A name for each output: the classes of the data, and numbers for outputs beyond them."""
    return (*classes, *(f"output {number}" for number in range(len(classes), net.output[0])))


def most_mixed(found: Evaluation, most: int) -> list[int]:
    """The classes that are mixed up or left without an answer most, at most so many, in their own order."""
    wrong = found.confusion.copy()
    np.fill_diagonal(wrong, 0)
    mixed = wrong.sum(axis=1) + wrong.sum(axis=0) + found.unanswered
    return sorted(np.argsort(-mixed, kind="stable")[:most].tolist())


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share, after Wilson (1927): it stays between 0 and 1 and is fair near them too."""
    share, square = right / count, NORMAL_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = NORMAL_95 / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    # Rounding must not push the ends past all or none.
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
