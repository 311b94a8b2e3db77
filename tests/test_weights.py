"""The weight of an image: 2 counts as twice, in every bit where numbers are whole, for any number of threads."""

import numpy as np
import pytest

import plaingrad as pg
from plaingrad import Conv, Dense, Flatten, HalfSquaredError, MaxPool, Network, ReLU
from plaingrad.data import Dataset, from_arrays
from plaingrad.errors import DataError
from plaingrad.training.checkpoint import arrays_of
from plaingrad.training.preparing import moments
from plaingrad.training.shards import Shards
from plaingrad.training.standstill import Epoch
from plaingrad.training.trainer import Trainer

WEIGHTS = np.array([1, 3, 2, 1, 4, 2, 1, 2])  # 16 in all, 2 in the mean: shares and sums of whole numbers are exact
TIMES = np.repeat(np.arange(8), WEIGHTS)


def weighed(kind: str = "u1") -> tuple[Dataset, Dataset]:
    """Eight images with weights, and the same as often as they weigh, of pixels in whole numbers."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 8, (8, 1, 4, 4)).astype(kind), rng.integers(0, 3, 8)
    once = from_arrays(images, labels, 3, weights=WEIGHTS)
    return once, from_arrays(images[TIMES], labels[TIMES], 3)


def whole() -> Network:
    """A network whose every number is whole."""
    layers = Conv(2, size=3, activation=ReLU()), MaxPool(2), Flatten(), Dense(3)
    net = Network(*layers, input=(1, 4, 4), dtype=np.float64)
    net.parameters[:] = np.random.default_rng(1).integers(-2, 3, net.parameters.shape)
    return net


def step(data: Dataset, index: np.ndarray, threads: int) -> list[object]:
    """Loss, hits and gradient of a batch, then loss and accuracy of all."""
    net = whole()
    with Shards(net, HalfSquaredError(), len(index), threads) as shards:
        made = shards.step(data.images, data.labels, index, weights=data.relative_weights)
        evaluated = shards.evaluate(data.images, data.labels, data.relative_weights)[:2]
        return [made[0] / len(index), made[1] / len(index), shards.gradient.tobytes(), *evaluated]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_weight_counts_as_so_many_images(threads: int) -> None:
    once, often = (step(data, np.arange(len(data)), threads) for data in weighed("f8"))
    assert once == often
    assert once[0] > 0


def test_batches_average_to_the_whole_set() -> None:
    """No batch's own weights are divided by: over an epoch the slopes of equal batches are that of all images."""
    data = weighed("f8")[0]
    net, parts = whole(), []
    with Shards(net, HalfSquaredError(), 8) as shards:
        shards.step(data.images, data.labels, np.arange(8), weights=data.relative_weights)
        every = shards.gradient.copy()
        for part in np.arange(8).reshape(4, 2):
            shards.step(data.images, data.labels, part, weights=data.relative_weights)
            parts.append(shards.gradient.copy())
    assert every.any()
    np.testing.assert_array_equal(sum(parts) / 4, every)


@pytest.mark.parametrize("kind", ["u1", "f8"])
def test_pixels_are_standardised_by_weight(kind: str) -> None:
    once, often = weighed(kind)
    for one, other in zip(moments(once.images, None, once.weights), moments(often.images), strict=True):
        np.testing.assert_array_equal(one, other)
    assert moments(once.images)[0] != moments(often.images)[0]


def trained(data: Dataset, threads: int | None = None) -> tuple[bytes, list[float]]:
    net = pg.model("mlp").network((1, 8, 8))
    history = pg.train(net, data, epochs=2, batch=64, threads=threads, validation=0.25)
    return b"".join(each.tobytes() for each in arrays_of(net).values()), [
        entry[name] for entry in history for name in entry if "loss" in name or "accuracy" in name
    ]


def some() -> Dataset:
    return pg.digits().train.take(slice(0, 300))


def with_weights(weights: object) -> Dataset:
    data = some()
    return from_arrays(data.images, data.labels, data.classes, weights=weights)


def test_the_same_bits_for_any_number_of_threads() -> None:
    data = with_weights(np.random.default_rng(0).uniform(0.1, 3, 300))
    found = [trained(data, threads) for threads in (1, 2, 3)]
    assert found[0] == found[1] == found[2]
    assert found[0] != trained(some())


def test_images_that_weigh_the_same_weigh_nothing() -> None:
    """0.1 is no sum of powers of two: were it to enter anything, so would its rounding."""
    assert trained(with_weights(np.full(300, 0.1))) == trained(some())


def test_weights_go_where_their_images_go() -> None:
    data = with_weights(np.arange(1, 301))
    assert data.take([4, 2]).weights.tolist() == [5, 3]
    rest, held = data.split(0.25)
    assert sorted([*rest.weights, *held.weights]) == data.weights.tolist()
    assert data.fingerprint not in (some().fingerprint, with_weights(np.arange(2, 302)).fingerprint)


def test_a_weighted_run_goes_on_as_if_it_had_never_stopped(tmp_path) -> None:
    def stop(event: pg.Event) -> None:
        if event.kind == "stepped" and event.step == 7:
            trainer.stop = True

    data = with_weights(np.random.default_rng(0).uniform(0.1, 3, 300))
    straight = pg.model("mlp").network((1, 8, 8))
    pg.train(straight, data, epochs=3)
    trainer = Trainer(pg.model("mlp").network((1, 8, 8)), data, epochs=3, out=tmp_path / "run", watch=stop)
    with pytest.raises(pg.StoppedError):
        trainer.train()
    again = Trainer.resume(tmp_path / "run", data)
    again.train()
    assert again.net.parameters.tobytes() == straight.parameters.tobytes()
    with pytest.raises(DataError, match="not the ones"):
        Trainer.resume(tmp_path / "run", some())


def test_what_stands_still_is_held_against_weighted_guessing() -> None:
    """Classes that are made equally heavy are guessed with the loss log 2, however rare one is."""
    rng = np.random.default_rng(0)
    labels = (np.arange(200) < 4).astype(int)
    data = from_arrays(rng.random((200, 1, 4, 4)), labels, weights=np.where(labels, 49.0, 1.0))
    net = whole()
    epoch = Epoch(net, HalfSquaredError(), data, {}, {}, net.parameters, net.parameters, 1, 1, 1)
    assert epoch.frequencies.tolist() == [0.5, 0.5, 0]
    assert epoch.guessed == 0.5


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (np.ones(299), r"weights of shape \(299,\) and type float64; 300 images need a number each"),
        (np.ones((300, 1)), r"weights of shape \(300, 1\)"),
        (["much"] * 300, "type <U4"),
        (np.arange(300), "image 0 has the weight 0; it needs to be finite and above 0"),
        (np.where(np.arange(300) == 7, np.nan, 1), "image 7 has the weight nan"),
        (np.where(np.arange(300) == 7, np.inf, 1), "image 7 has the weight inf"),
        (-np.ones(300), "image 0 has the weight -1"),
    ],
)
def test_weights_that_cannot_be_are_refused_in_one_line(weights: object, says: str) -> None:
    with pytest.raises(DataError, match=says) as told:
        with_weights(weights)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "loss",
    [
        pg.SoftmaxCrossEntropy(),
        pg.WeightedCrossEntropy(class_weights=(5, *[1] * 9)),
        pg.WeightedCrossEntropy(ignore=3),
        pg.WeightedCrossEntropy(class_weights=(5, *[1] * 9), label_smoothing=0.1, ignore=2),
    ],
    ids=str,
)
def test_an_image_of_weight_three_counts_as_three_of_it_whatever_the_loss(loss: pg.SoftmaxCrossEntropy) -> None:
    data = pg.digits().train.take(range(40))
    weights = np.where(data.labels == 3, 3.0, 1.0)
    often = np.repeat(np.arange(40), weights.astype(int))
    made = []
    for each in (
        from_arrays(data.images, data.labels, data.classes, weights=weights),
        from_arrays(data.images[often], data.labels[often], data.classes),
    ):
        net = Network(Flatten(), Dense(10), input=(1, 8, 8), dtype="float64")
        with Shards(net, loss, len(each), 1) as shards:
            found = shards.step(each.images, each.labels, np.arange(len(each)), weights=each.relative_weights)
            mean = shards.evaluate(each.images, each.labels, each.relative_weights)[0]
            made.append(np.array([found[0] / len(each), mean, *shards.gradient]))
    # At most 60 terms, none above the largest weight, pixel and loss of one image, each rounded fewer than ten times.
    largest = 5 * 3 * max(1.0, made[0][0]) * data.images.max()
    np.testing.assert_allclose(made[0], made[1], 0, 60 * 10 * 2.0**-53 * largest)


def test_where_no_image_counts_the_loss_is_0() -> None:
    net = Network(Flatten(), Dense(10), input=(1, 8, 8))
    data = pg.digits().train.take(pg.digits().train.labels == 3)
    loss = pg.WeightedCrossEntropy(class_weights=(1, 1, 1, 0, *[1] * 6), label_smoothing=0.1)
    assert pg.evaluate(net, data, loss=loss).loss == 0
