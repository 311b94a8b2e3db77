"""Precision, recall and F1 of each class, their means and the confusion matrix: by definition, and as scikit-learn."""

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.training.evaluation import MEASURES, answers, most_mixed

# 0 and 1 are mixed up, 2 is never predicted, 3 does not occur, 4 is neither, 5 is always right.
LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 5, 5, 5])
NAMED = np.array([0, 1, 3, 1, 0, 0, 1, 5, 5, 5])
NAMES = tuple("abcdef")


def cases() -> list[tuple[Any, Any, int]]:
    """Labels, answers and the number of classes: the one above, ends, and some that are drawn."""
    drawn = []
    for seed, size in enumerate((2, 3, 10, 40)):
        rng = np.random.default_rng(seed)
        drawn.append((rng.integers(0, size, 30), rng.integers(0, size, 30), size))
    ends = [(np.zeros(3, int), np.zeros(3, int), 2), (np.zeros(3, int), np.ones(3, int), 2)]
    return [(LABELS, NAMED, 6), *ends, *drawn]


def found(labels: Any, named: Any, size: int) -> pg.Evaluation:
    return pg.Evaluation.of([f"class {number}" for number in range(size)], np.asarray(labels), np.asarray(named))


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case[2]))
def test_every_measure_is_its_definition(case: tuple[Any, Any, int]) -> None:
    labels, named, size = case
    told = found(*case)
    for k, row in enumerate(told.classes):
        hit = int(((labels == k) & (named == k)).sum())
        false, missed = int(((labels != k) & (named == k)).sum()), int(((labels == k) & (named != k)).sum())
        quotients = (hit, hit + false), (hit, hit + missed), (2 * hit, 2 * hit + false + missed)
        expected = [float(Fraction(*each)) if each[1] else None for each in quotients]
        assert [row.precision, row.recall, row.f1] == expected
        assert (row.support, row.predicted) == (hit + missed, hit + false)
        assert told.confusion[k].tolist() == [int(((labels == k) & (named == j)).sum()) for j in range(size)]
    assert told.accuracy == float(Fraction(int((labels == named).sum()), len(labels)))
    assert sum(row.support for row in told.classes) == told.images == len(labels)


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case[2]))
def test_scikit_learn_says_the_same(case: tuple[Any, Any, int]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn, which is compared with, is not installed")
    labels, named, size = case
    told = found(*case)
    np.testing.assert_array_equal(told.confusion, metrics.confusion_matrix(labels, named, labels=range(size)))
    given = {"labels": range(size), "zero_division": np.nan}
    theirs = metrics.precision_recall_fscore_support(labels, named, **given)
    for row, *values, support in zip(told.classes, *theirs, strict=True):
        ours = [np.nan if value is None else value for value in (row.precision, row.recall, row.f1)]
        # Theirs is one rounding of the same quotient; their F1 may have two more. A relative 2⁻⁵³ each.
        np.testing.assert_allclose(ours, values, rtol=4 * 2**-53, atol=0)
        assert row.support == support
    for average, mean in (("macro", told.macro), ("weighted", told.weighted)):
        values = metrics.precision_recall_fscore_support(labels, named, average=average, zero_division=0)[:3]
        # A sum of as many terms as classes, each right within a few roundings, and a quotient.
        np.testing.assert_allclose([mean[name] for name in MEASURES], values, rtol=(size + 8) * 2**-53, atol=0)
    assert told.accuracy == metrics.accuracy_score(labels, named)


def test_zero_division_is_said() -> None:
    told = pg.Evaluation.of(NAMES, LABELS, NAMED, 0.5)
    text = str(told)
    assert "no image was classified as c: the precision is 0/0 and counts as 0 in the means" in text
    assert "no image is of d: the recall is 0/0 and counts as 0 in the macro mean" in text
    assert "no image is of or was classified as e: left out of the means" in text
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["c"])
    assert row == ["c", "-", "0.0000", "0.0000", "2"]
    assert told.macro["recall"] == float(Fraction(1 * 2 + 3 + 6, 6) / 5)  # (1/3 + 1/2 + 0 + 0 + 1) / 5
    assert told.to_json()["classes"]["d"]["recall"] is None
    assert "no image" not in str(found([0, 1], [0, 1], 2))


def test_the_table_is_read_as_it_is_printed() -> None:
    told = pg.Evaluation.of(NAMES, LABELS, NAMED, 0.5)
    lines = str(told).splitlines()
    assert lines[0].startswith("accuracy 0.5000 (5 of 10; 95 % interval ")
    assert lines[0].endswith(", loss 0.5000")
    start = next(number for number, line in enumerate(lines) if line.startswith("confusion matrix"))
    assert lines[start + 1].split() == list("abcdf")  # of e nothing is known
    counts = [line.replace("·", "0").split()[1:] for line in lines[start + 2 : start + 7]]
    places = [0, 1, 2, 3, 5]
    assert [list(map(int, row)) for row in counts] == told.confusion[np.ix_(places, places)].tolist()
    assert lines[start + 7 :] == [f"{true} classified as {other}: 1×" for true, other in ("ab", "ad", "ba", "ca", "cb")]
    assert repr(told) == f"<Evaluation: {lines[0]}>"
    json.dumps(told.to_json(), allow_nan=False)


def test_of_many_classes_those_that_are_mixed_up_are_shown() -> None:
    labels = np.repeat(np.arange(60), 2)
    named = labels.copy()
    named[::4] += 1  # the even ones, once each, as the one after
    told = found(labels, named, 60)
    assert most_mixed(told, 20) == list(range(20))
    assert ", the 20 classes with most mistakes)" in str(told)
    assert max(map(len, str(told).splitlines())) <= 140
    assert pg.Evaluation.of(["x" * 500, "\x1b[31m"], np.array([0, 1]), np.array([1, 0])).__str__().count("\x1b") == 0


def network(dtype: str = "float32") -> pg.Network:
    return pg.Network(pg.Flatten(), pg.Dense(12), input=(1, 8, 8), seed=1, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_network_is_judged_by_its_outputs(threads: int, dtype: str) -> None:
    """With more outputs than classes, of a Dataset and of arrays, and as `score` says."""
    net, data = network(dtype), pg.digits().test
    told = pg.evaluate(net, data, threads=threads)
    assert told.names[9:] == ("9", "output 10", "output 11")
    named = pg.predict(net, data.images).argmax(axis=1)
    np.testing.assert_array_equal(told.confusion, found(data.labels, named, 12).confusion)
    assert told.accuracy == pg.score(net, data) == (named == data.labels).mean()
    apart = pg.evaluate(net, data.images, data.labels, loss="mse")
    assert apart.confusion.tolist() == told.confusion.tolist()
    assert apart.loss != told.loss == pg.evaluate(net, data, loss=pg.SoftmaxCrossEntropy()).loss


def test_outputs_that_are_no_numbers_are_no_answer_and_never_right() -> None:
    """Of class 0 too, which the largest of nothing but NaN would be; in training, validation and evaluation alike."""
    outputs = np.array([[np.nan, np.nan], [1, np.nan], [np.inf, 0], [0, 1], [1, 1]])
    assert answers(outputs).tolist() == [-1, -1, -1, 1, 0]
    net, data = network(), pg.digits().test
    net["dense1"].b[3] = np.nan
    told = pg.evaluate(net, data)
    assert (told.accuracy, told.right, int(told.unanswered.sum())) == (0, 0, len(data))
    assert told.unanswered.tolist()[:10] == np.bincount(data.labels).tolist()
    assert f"for {len(data)} of the images the outputs are not finite numbers" in str(told)
    with pg.training.shards.Shards(net, pg.SoftmaxCrossEntropy(), 64) as shards:
        assert shards.evaluate(data.images, data.labels)[1] == 0
        assert shards.step(data.images, data.labels, np.arange(64))[1] == 0


@pytest.mark.parametrize(
    ("given", "error", "word"),
    [
        (((pg.digits().test.images,), {}), pg.DataError, "without labels"),
        (((pg.digits(),), {}), pg.DataError, r"give one of them, \.train or \.test"),
        (((pg.digits().test,), {"loss": "msee"}), pg.SettingError, "did you mean 'mse'"),
        (((pg.digits().test,), {"loss": 3}), pg.SettingError, "evaluate got loss=3"),
        (((pg.digits().test,), {"threads": 0}), pg.SettingError, "threads=0"),
    ],
)
def test_what_cannot_be_is_one_line(given: Any, error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word) as caught:
        pg.evaluate(network(), *given[0], **given[1])
    assert "\n" not in str(caught.value)


def test_who_looks_for_a_report_is_led_here() -> None:
    for name in ("classification_report", "confusion_matrix", "f1_score"):
        with pytest.raises(AttributeError, match=r"write evaluate\(net, data\)"):
            getattr(pg, name)
    with pytest.raises(AttributeError, match=r"plaingrad\.evaluate\(net, data\)"):
        getattr(network(), "evaluate")  # noqa: B009
