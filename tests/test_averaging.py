"""Clipping by norm and averaged weights: each by its definition, and no bit by the threads."""

import itertools
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.compiler.loops import zeros
from plaingrad.training.chain import SHARED_FROM
from plaingrad.training.run_folder import CHECKPOINT
from plaingrad.training.shards import Shards
from plaingrad.training.updates import BLOCK, Updates

EVERYTHING: dict[str, Any] = {"augment": pg.Augment(shift=1, cutout=2), "clip": 1.0, "average": 0.9}


def wide(dtype: str = "float32") -> pg.Network:
    """With parameters enough for threads to share what is done to them, and for several blocks."""
    layers = [pg.Conv(4, size=3), pg.BatchNorm(), pg.ReLU(), pg.Flatten(), pg.Dropout(0.25), pg.Dense(80), pg.Dense(10)]
    net = pg.Network(*layers, input=(1, 8, 8), seed=2, dtype=dtype)
    assert net.parameters.size > max(SHARED_FROM, 2 * BLOCK)
    return net


def few(count: int = 200) -> pg.Dataset:
    return pg.digits().train.take(range(count))


def test_threads_change_no_bit_with_everything_on() -> None:
    ends = []
    for threads in (1, 2, 3, 5):
        net = wide()
        history = pg.train(net, few(), pg.Adam(), epochs=2, batch=160, threads=threads, validation=0.2, **EVERYTHING)
        told = [{k: v for k, v in each.items() if k not in ("seconds", "images_per_second")} for each in history]
        ends.append((net.parameters.tobytes(), net.state.tobytes(), told))
        assert history[0]["clipped"] > 0
    assert all(each == ends[0] for each in ends)


@pytest.mark.parametrize("length", [0.5, 1, 2], ids=["longer", "near", "shorter"])
def test_a_gradient_is_scaled_to_the_norm_as_pytorch_does(length: float) -> None:
    net = wide("float64")
    with Shards(net, pg.SoftmaxCrossEntropy(), 64, 2) as shards:
        shards.gradient[:] = np.random.default_rng(0).normal(size=shards.gradient.size)
        given, before = shards.gradient.copy(), net.parameters.copy()
        norm = float(np.linalg.norm(given))
        updates = Updates(shards, pg.SGD(rate=1.0, momentum=0.0), {"velocity": zeros(given.shape, "f8")}, norm * length)
        updates(0, 1.0)
        assert updates.norm == pytest.approx(
            norm, rel=given.size * np.finfo("f8").eps
        )  # that many terms, each positive
        factor = min(1.0, norm * length / (norm + 1e-6))
        # One rounding of the factor, of the product, and of the difference of numbers below 8, beside the norm's own.
        np.testing.assert_allclose(before - net.parameters, factor * given, rtol=1e-11, atol=4e-15)
        assert np.linalg.norm(shards.gradient) <= norm * length
        assert updates.has_clipped == (length < 1)


def test_averaged_weights_are_those_of_the_definition() -> None:
    """a += (1 - min(average, (1 + t) / (10 + t))) · (w - a) after each step t, from the weights at the start."""
    net, seen = wide("float64"), []
    run = pg.Trainer(net, few(), epochs=3, batch=40, average=0.6, watch=lambda event: seen.append(values()))

    def values() -> Any:
        return np.concatenate([net.parameters, net.state])

    average = values()
    run.train()
    steps = [after for before, after in itertools.pairwise(seen) if (before != after).any()][:15]
    for t, now in enumerate(steps):
        average += (1 - min(0.6, (1 + t) / (10 + t))) * (now - average)
    assert len(steps) == 15
    most = max(abs(each).max() for each in steps)
    # At each step three roundings of numbers of this size, of which a later step keeps a share.
    np.testing.assert_allclose(values(), average, rtol=0, atol=15 * 3 * most * np.finfo("f8").eps)
    assert (average != steps[-1]).any()


def test_averaged_weights_are_validated_and_kept(tmp_path: Any) -> None:
    """The file of a run holds the averaged network, and beside it what goes on being trained."""
    data, held = few().split(0.3)
    plain, averaged = wide(), wide()
    pg.train(plain, data, epochs=2)
    run = pg.Trainer(averaged, data, epochs=2, average=0.9, out=tmp_path / "run")
    run.train()
    loaded, arrays, _ = pg.checkpoint.load(tmp_path / "run" / CHECKPOINT)
    np.testing.assert_array_equal(loaded.parameters, averaged.parameters)
    np.testing.assert_array_equal(loaded.state, averaged.state)
    for name, array in {**plain.arrays, **plain.kept}.items():  # to average changes nothing of the training
        np.testing.assert_array_equal(arrays[f"trained.{name}"], array)
    net = wide()
    history = pg.train(net, data, epochs=1, average=0.9, validation=held)
    with Shards(net, pg.SoftmaxCrossEntropy(), 256) as shards:
        assert shards.evaluate(held.images, held.labels)[0] == history[0]["validation_loss"]


@pytest.mark.parametrize("name", ["clip", "average"])
@pytest.mark.parametrize("value", [0, -1.0, True, "1", float("nan"), float("inf"), [0.5]], ids=repr)
def test_one_that_cannot_be_is_refused_in_one_line(name: str, value: Any) -> None:
    with pytest.raises(pg.SettingError, match=rf"^training got {name}=[^\n]*; it needs a number [^\n]*$"):
        pg.Trainer(wide(), few(), **{name: value})


def test_names_of_other_libraries_lead_here() -> None:
    for theirs, ours in (("max_grad_norm", "clip"), ("ema_decay", "average"), ("augmentation", "augment")):
        with pytest.raises(pg.SettingError, match=f"here it is called {ours}"):
            pg.train(wide(), few(), **{theirs: 1})
