"""The same picture means the same at every entrance, and what is unlike the training is said once."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.cli.asked import name_images
from plaingrad.cli.explain_run import trained
from plaingrad.data.pixels import Seen, say
from plaingrad.training import checkpoint

LABELS = pg.digits().train.labels[:128]
BYTES = np.round(pg.digits().train.images[:128] * 255).astype(np.uint8)
SHARES = BYTES / np.float64(255)


def small(dtype: str = "float64") -> pg.Network:
    layers = (pg.Conv(4, activation=pg.ReLU()), pg.MaxPool(2), pg.Flatten(), pg.Dense(10))
    return pg.Network(*layers, input=(1, 8, 8), dtype=dtype, seed=1)


def told(ask: Callable[[], Any]) -> list[str]:
    """The notices of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ask()
    return [str(each.message) for each in caught if issubclass(each.category, pg.Notice)]


ENTRANCES: dict[str, Callable[[pg.Network, Any], Any]] = {
    "run": lambda net, x: softmax(net.run(x[:32]).output),
    "inference": lambda net, x: softmax(pg.Inference(net, threads=1)(x)[:32]),
    "predict": lambda net, x: pg.predict(net, x)[:32],
    "loss": lambda net, x: net.run(x[:32], LABELS[:32])["loss"].probability,
    "arrays": lambda net, x: pg.predict(net, pg.from_arrays(x, LABELS).images)[:32],
    "list": lambda net, x: pg.predict(net, x[:32].tolist()),
}


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("taught", [BYTES, SHARES, BYTES.astype(float), BYTES.astype(np.int16), None])
@pytest.mark.often(2)
def test_a_picture_means_the_same_at_every_entrance(taught: Any, tmp_path: Any) -> None:
    """As bytes, as whole numbers of any kind, as floats of 0 to 1, and as a file, before and after a checkpoint."""
    image = pytest.importorskip("PIL.Image")
    net = small()
    if taught is not None:
        pg.train(net, pg.from_arrays(taught, LABELS), epochs=1, threads=1)
    same = [BYTES, *(BYTES.astype(kind) for kind in (np.int64, np.int32, np.uint16, ">i4"))]
    learned_bytes = taught is not None and taught.dtype == float and taught.max() > 1
    same += [BYTES.astype(float), BYTES.astype("f4")] if learned_bytes else [SHARES, SHARES.astype("f4")]
    checkpoint.save(tmp_path / "net.safetensors", net, about={"classes": list("0123456789")})
    again, _, _ = checkpoint.load(tmp_path / "net.safetensors")
    assert again.seen == net.seen
    expected = ENTRANCES["predict"](net, BYTES)
    assert np.abs(expected - 0.1).max() > 0.01
    for own in (net, again, net.copy()):
        for name, ask in ENTRANCES.items():
            for pixels in same:
                if name != "list" or pixels.dtype.kind in "iuf":
                    assert told(lambda: np.testing.assert_allclose(ask(own, pixels), expected, atol=1e-5)) == []  # noqa: B023
    image.fromarray(BYTES[3, 0]).save(tmp_path / "three.png")
    (seen,) = name_images(str(tmp_path / "net.safetensors"), [str(tmp_path / "three.png")])
    assert seen["probability"] == pytest.approx(expected[3].max(), abs=1e-5)
    run = trained(str(tmp_path / "net.safetensors"), str(tmp_path / "three.png")).run
    np.testing.assert_allclose(softmax(run.output[:1])[0], expected[3], atol=1e-5)


@pytest.mark.parametrize(
    ("taught", "given", "words"),
    [
        (SHARES, SHARES * 255, "divide by 255"),
        (BYTES, BYTES.astype("f4"), "divide by 255"),
        (SHARES, SHARES * 16, "divide by 16"),
        (SHARES, (SHARES * 16).astype(int), "multiply by 16"),
        (SHARES * 16, BYTES, "multiply by 16"),
        (BYTES.astype(float), SHARES, "multiply by 255"),
        (SHARES * 2 - 1, SHARES, "scale them"),
        (SHARES, SHARES * 2 - 1, "scale them"),
        (SHARES, 1 - SHARES, "black on white"),
        (BYTES, 255 - BYTES, "255 - pixel"),
        (1 - SHARES, SHARES, "white on black"),
        (BYTES.astype(float), 255 - BYTES, "black on white"),
        (SHARES * 2 - 1, 1 - 2 * SHARES, "black on white"),
    ],
)
@pytest.mark.often(4)
def test_images_unlike_those_of_the_training_are_told_of_once(taught: Any, given: Any, words: str) -> None:
    for ask in (pg.predict, lambda net, x: net.run(x[:1]), lambda net, x: pg.Inference(net)(x)):
        net = small()
        pg.train(net, pg.from_arrays(taught, LABELS), epochs=1, threads=1)
        lines = told(lambda: [ask(net, given), ask(net, given)])  # noqa: B023
        assert len(lines) == 1
        assert words in lines[0]
    data = pg.from_arrays(taught, LABELS)
    held = pg.from_arrays(given, LABELS)
    assert any(words in each for each in told(lambda: pg.train(small(), data, epochs=1, validation=held, threads=1)))


def test_pictures_like_those_of_the_training_are_told_nothing() -> None:
    digits = pg.digits()
    seen = Seen.of(digits.train.images)
    assert not [n for n in range(360) if list(seen.remarks(digits.test.images[n : n + 1]))]
    rng = np.random.default_rng(0)
    ends = np.sort(rng.random((2, 300, 3, 1, 1)), axis=0)
    photos = ends[0] + (ends[1] - ends[0]) * rng.random((300, 3, 9, 9))
    seen = Seen.of(photos)
    assert not list(seen.remarks(1 - photos))  # bright ones and dark ones were there


def test_a_channel_of_one_value_is_told_of() -> None:
    images = np.concatenate([BYTES, np.full_like(BYTES, 255)], axis=1)
    net = pg.Network(pg.Flatten(), pg.Dense(10), input=(2, 8, 8))
    lines = told(lambda: pg.train(net, pg.from_arrays(images, LABELS), epochs=1, threads=1))
    assert [("channel 1 is 255" in each, "leave it out" in each) for each in lines] == [(True, True)]


def test_a_network_trained_before_keeps_its_standardisation() -> None:
    first, other = pg.from_arrays(SHARES, LABELS), pg.from_arrays(SHARES * 100 + 50, LABELS, name="other")
    net = small()
    pg.train(net, first, epochs=1, threads=1)
    kept, scores = (net.offset.copy(), net.factor.copy()), pg.Inference(net)(SHARES)
    assert told(lambda: pg.train(net, first, pg.SGD(rate=1e-12), epochs=1, threads=1)) == []
    lines = told(lambda: pg.train(net, other, pg.SGD(rate=1e-12), epochs=1, threads=1))
    assert any("keeps its offset and factor" in each and "trainer.standardise()" in each for each in lines)
    assert ((net.offset == kept[0]) & (net.factor == kept[1])).all()
    np.testing.assert_allclose(pg.Inference(net)(SHARES), scores, atol=1e-6)
    trainer = pg.Trainer(net, other, pg.SGD(rate=1e-12), epochs=1, threads=1)
    trainer.standardise()
    assert told(trainer.train) == []
    assert (net.offset != kept[0]).all()


def test_a_line_points_at_the_code_that_asked() -> None:
    with pytest.warns(pg.Notice, match="so it is") as caught:
        say(small(), "anything", "so it is")
    assert caught[0].filename == __file__
