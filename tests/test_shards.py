"""Shards of a batch add up to the batch, whatever their number and whoever runs them."""

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.compiler.loops import Loops
from plaingrad.network.loading import added_up
from plaingrad.network.network import LANES
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Weights, bind
from plaingrad.textbook.text import places
from plaingrad.training.chain import SHARED_FROM
from plaingrad.training.shards import CACHED, Shards, count_of_workers, lanes_for
from plaingrad.training.updates import Updates

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(150, 1, 6, 5)), RNG.integers(0, 3, 150)


def network(seed=0):
    return pg.Network(
        pg.Conv(3, size=2, activation=pg.ReLU()), pg.Flatten(), pg.Dense(3), input=(1, 6, 5), seed=seed, dtype="float64"
    )


WEIGHTED = pg.WeightedCrossEntropy((3.0, 1.0, 0.25), label_smoothing=0.125, ignore=1)


@pytest.mark.parametrize("loss", [pg.SoftmaxCrossEntropy(), pg.MeanSquaredError(), WEIGHTED], ids=repr)
@pytest.mark.parametrize("count", [1, 31, 64, 65, 150])
@pytest.mark.often(4)
def test_the_gradient_of_a_batch_is_the_sum_over_its_images(count, loss):
    """Beside a run of one image at a time; sums of up to 150 terms in float64, each rounded once."""
    net, index = network(), RNG.permutation(150)[:count]
    divisor = count
    if loss == WEIGHTED:
        divisor = sum({0: 3.0, 1: 0.0, 2: 0.25}[label] for label in LABELS[index].tolist()) or 1
    with Shards(net, loss, 64, 2) as shards:
        value, hits = shards.step(IMAGES, LABELS, index)
        total, right, losses = np.zeros_like(shards.gradient), 0, 0.0
        alone = Run(net, 1, loss)
        for place in index:
            alone.fill(IMAGES, np.array([place]))
            alone.point(LABELS, 1 / divisor)
            alone.forward()
            alone.backward()
            total += alone.gradient
            one, hit = alone.score()
            losses, right = losses + one, right + hit
        allowed = 150 * np.finfo(np.float64).eps * np.abs(total).max() * 100  # 100: the terms of one image's sums
        np.testing.assert_allclose(shards.gradient, total, rtol=0, atol=allowed)
        assert hits == right
        # At most 150 additions, and some 100 roundings on the way to one image's loss.
        assert value == pytest.approx(losses * count / divisor, rel=250 * np.finfo(np.float64).eps)


def test_the_totals_of_a_shard_are_the_sums_of_its_images_in_their_order():
    net = network().copy()
    with Shards(net, pg.SoftmaxCrossEntropy(), 150, 1) as shards:
        shards.evaluate(IMAGES[:41], LABELS[:41])
        (run,) = shards.runs
        record, count = run["loss"], int((run.index >= 0).sum())
        assert count < len(run.index)  # some lanes are empty
        assert run.score() == (added_up(record.y[:count].tolist()), int(record.hit[:count].sum()))
        assert run.score(np.ones(41)) == run.score()  # by the other way


def test_the_sum_is_complete_whoever_asks_for_it_and_when():
    """What the last round left to add is added by the update, or by whoever reads the gradient before it."""
    ends = []
    for reads in (False, True):
        net = network()
        with Shards(net, pg.SoftmaxCrossEntropy(), 150, 2) as shards:
            updates = Updates(shards, pg.SGD(rate=0.5, momentum=0.0), {"velocity": np.zeros(net.parameters.shape)})
            for index in (np.arange(150), np.arange(20)):
                before = net.parameters.copy()
                shards.step(IMAGES, LABELS, index)
                given = shards.gradient.copy() if reads else None
                updates(0, 1.0)
                if given is not None:
                    np.testing.assert_array_equal(shards.gradient, given)
                    assert not (net.parameters == before).all()
        ends.append(net.parameters.tobytes())
    assert ends[0] == ends[1]


def test_an_interruption_adds_nothing_twice(monkeypatch):
    """It reaches who waits for the threads once they have finished."""
    with Shards(network(), pg.SoftmaxCrossEntropy(), 150, 1) as shards:
        shards.step(IMAGES, LABELS, np.arange(150))
        wanted = shards.gradient.copy()
        shards.step(IMAGES, LABELS, np.arange(150))
        run = shards.workers.run

        def interrupted(programs):
            run(programs)
            raise KeyboardInterrupt

        monkeypatch.setattr(shards.workers, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shards.complete()
        monkeypatch.setattr(shards.workers, "run", run)
        assert shards.lanes < 150  # more than one round, so that what is left is added to something
        np.testing.assert_array_equal(shards.gradient, wanted)


def test_what_diverged_first_is_told_after_the_way_back_too():
    """There errors that are no numbers may lie where outputs lay that were."""
    net = pg.Network(
        pg.Conv(3, size=3, activation=pg.ReLU()), pg.MaxPool(2), pg.Flatten(), pg.Dense(3), input=(1, 6, 6), seed=0
    )
    net["dense1"].w[...] = np.nan
    with Shards(net, pg.SoftmaxCrossEntropy(), 32, 1) as shards:
        shards.step(np.resize(IMAGES, (40, 1, 6, 6)), LABELS, np.arange(32))
        assert shards.culprit() == "dense1.w"


def test_where_no_image_counts_there_is_no_loss_and_no_gradient():
    net = network()
    with Shards(net, pg.WeightedCrossEntropy(ignore=2), 64, 2) as shards:
        labels = np.full_like(LABELS, 2)
        assert shards.step(IMAGES, labels, np.arange(64)) == (0, 0)
        assert not shards.gradient.any()
        loss, accuracy, _ = shards.evaluate(IMAGES, labels)
        assert (loss, accuracy) == (0, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_smoothing_give_the_same_bits_on_any_number_of_threads(dtype):
    data = pg.from_arrays(RNG.normal(size=(150, 1, 6, 5)), LABELS)
    found = []
    for threads in (1, 2, 3):
        net = pg.Network(pg.Flatten(), pg.Dense(3), input=(1, 6, 5), dtype=dtype)
        history = pg.train(net, data, pg.SGD(rate=0.01), loss=WEIGHTED, epochs=2, batch=48, threads=threads)
        found.append((net.parameters.tobytes(), [entry["train_loss"] for entry in history]))
    assert found[0] == found[1] == found[2]


def test_bytes_and_floats_may_follow_each_other_in_a_run():
    net = pg.Network(pg.Flatten(), pg.Dense(2), input=(1, 2, 2))
    run = Run(net, 2)
    for images in (np.full((2, 1, 2, 2), 255, np.uint8), np.ones((2, 1, 2, 2), np.float32), np.ones((2, 1, 2, 2))):
        run.load(images)
        np.testing.assert_array_equal(run["flatten1"].x, np.ones((2, 1, 2, 2)))


def test_the_batch_alone_says_how_many_images_a_shard_holds():
    for batch, lanes in ((1, 1), (2, 1), (3, 1), (4, 2), (16, 8), (63, 16), (64, 32), (256, 32)):
        with Shards(network(), pg.SoftmaxCrossEntropy(), batch, 1) as shards:
            assert shards.lanes == lanes
    for batch in range(1, 300):
        lanes = lanes_for(network(), batch)
        assert lanes.bit_count() == 1
        assert batch == 1 or -(-batch // lanes) >= 2
        assert lanes == LANES or 2 * lanes > batch // 2  # no larger power of two leaves two whole shards


def test_large_images_go_in_smaller_shards():
    """So that what one layer leaves for the next still lies in the cache; not where many filters work at it."""
    for side, lanes in {8: 32, 32: 32, 100: 32, 140: 16, 200: 8, 224: 4, 2000: 4}.items():
        net = pg.Network(pg.MaxPool(2), input=(2, side, side))
        assert lanes_for(net, 256) == lanes
        assert lanes == 32 or 2 * lanes * 2 * side * side > CACHED
        assert lanes == 4 or lanes * 2 * side * side <= CACHED
    assert lanes_for(net, 4) == 2  # not fewer than the batch asks for
    few, many = (pg.Network(pg.Conv(filters, size=1), input=(16, 56, 56)) for filters in (32, 64))
    assert (lanes_for(few, 256), lanes_for(many, 256)) == (4, 4)
    few, many = (pg.Network(pg.Conv(filters, size=1), input=(64, 28, 28)) for filters in (32, 128))
    assert (lanes_for(few, 256), lanes_for(many, 256)) == (8, 16)


def test_patches_get_lanes_enough():
    by_windows, by_patches = (pg.Network(pg.Conv(16, padding=1), input=(channels, 200, 200)) for channels in (1, 16))
    assert (lanes_for(by_windows, 256), lanes_for(by_patches, 256)) == (4, 16)
    assert lanes_for(by_patches, 16) == 8  # where the batch has them


def test_no_more_threads_are_made_than_shards():
    for threads, batch, size in ((1, 64, 1), (2, 64, 2), (3, 64, 2), (3, 150, 3), (9, 150, 5), (4, 1, 1), (4, 3, 3)):
        with Shards(network(), pg.SoftmaxCrossEntropy(), batch, threads) as shards:
            assert len(shards.runs) == count_of_workers(threads, -(-batch // shards.lanes)) == size


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 16, 33, 64, 150])
def test_threads_change_no_bit_of_a_gradient(batch):
    """Nor of a loss, nor of what it says of images; with a last batch that is smaller, too."""
    layers = pg.Conv(3, size=2, activation=pg.ReLU()), pg.MaxPool(2), pg.Flatten(), pg.Dense(3)
    net, images = pg.Network(*layers, input=(1, 6, 5)), IMAGES.astype("float32")
    order, found = np.random.default_rng(1).permutation(150), []
    for threads in (1, 2, 3):
        with Shards(net, pg.SoftmaxCrossEntropy(), batch, threads) as shards:
            made = []
            for index in (order[:batch], order[-batch:], order[: max(batch // 2, 1)], order[:1]):
                made += [*shards.step(images, LABELS, index), shards.gradient.copy()]
            assert made[2].any()
            found.append([*made, *shards.evaluate(images, LABELS)])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


OPTIMISERS = [pg.SGD(momentum=0.9, nesterov=True, decay=0.01), pg.Adam(decay=0.01), pg.AdamW()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda each: type(each).__name__)
def test_threads_that_share_out_the_parameters_change_no_bit_of_them(optimiser, dtype):
    """The parts end at other numbers for each number of threads: inside a vector of one loop, at the end of another."""
    found = []
    for threads in (1, 2, 3, 5):
        net = pg.Network(pg.Flatten(), pg.Dense(2229), pg.Dense(3), input=(1, 6, 5), dtype=dtype)
        assert net.parameters.size > SHARED_FROM
        slots = {name: np.zeros_like(net.parameters) for name in optimiser.slots}
        with Shards(net, pg.SoftmaxCrossEntropy(), 150, threads) as shards:
            updates = Updates(shards, optimiser, slots)
            assert len(updates.programs) == threads
            for step in range(3):
                shards.step(IMAGES, LABELS, np.random.default_rng(step).permutation(150))
                updates(step, 0.7)
            found.append([shards.gradient, net.parameters, *slots.values()])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    assert np.count_nonzero(found[0][0]) == net.size  # every parameter has a gradient, and so has moved


@pytest.mark.parametrize("threads", [1, 2])
def test_images_and_labels_may_be_views(threads):
    """Mirrored, or every other one: as they lie in memory, without a copy."""
    views = IMAGES[::-1, :, :, ::-1], LABELS[::-1]
    found = []
    for images, labels in (
        views,
        map(np.ascontiguousarray, views),
        (np.repeat(each, 2, 0)[::2] for each in views),
    ):
        with Shards(network(), pg.SoftmaxCrossEntropy(), 64, threads) as shards:
            found.append([*shards.step(images, labels, np.arange(64)), shards.gradient])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_each_epoch_has_its_own_order(monkeypatch):
    seen, step = [], Shards.step
    monkeypatch.setattr(
        Shards, "step", lambda self, x, t, index, *at: (seen.append(index.tolist()), step(self, x, t, index, *at))[1]
    )
    pg.train(network(), pg.from_arrays(IMAGES, LABELS), epochs=3, batch=150)
    assert len({tuple(order) for order in seen}) == 3
    assert all(sorted(order) == list(range(150)) for order in seen)


def test_a_parameter_that_breaks_on_the_last_step_is_never_saved(tmp_path, monkeypatch):
    data, update = pg.from_arrays(IMAGES, LABELS), Updates.__call__

    def broken(self, step, factor):
        update(self, step, factor)
        if step == 2:
            self.shards.net["conv1"].w[0, 0, 0, 0] = np.nan

    monkeypatch.setattr(Updates, "__call__", broken)
    with pytest.raises(pg.DivergedError, match=r"step 3 \(epoch 1\): conv1.w is no longer finite"):
        pg.train(network(), data, epochs=2, batch=64, out=tmp_path / "run")
    kept, _, facts = pg.checkpoint.load(tmp_path / "run" / "checkpoint.safetensors")
    assert np.isfinite(kept.parameters).all()
    assert facts["position"]["step"] == 0


def scale_forward(x, w, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = w[c] * x[n, c, i, j]


def scale_backward(dy, x, w, dx, dw):
    dw[:] = 0
    for n, c, i, j in places(dy):
        dw[c] += dy[n, c, i, j] * x[n, c, i, j]
        dx[n, c, i, j] = dy[n, c, i, j] * w[c]


class Scale(pg.Layer):
    forward, backward = scale_forward, scale_backward

    def weights(self, x):
        return {"w": Weights((x[0],), 1, 1)}


@pytest.mark.filterwarnings("ignore:scale_:UserWarning")  # both texts are compiled as they stand
def test_a_first_layer_whose_one_nest_makes_both_gradients_is_trained():
    net = pg.Network(Scale(), pg.Flatten(), pg.Dense(3), input=(1, 6, 5), dtype="float64")
    with Shards(net, pg.SoftmaxCrossEntropy(), 64, 1) as shards:
        shards.step(IMAGES, LABELS, np.arange(32))
        whole = net.run(IMAGES[:32], LABELS[:32])
        np.testing.assert_array_equal(shards.runs[0].records["scale1"]["dw"], whole["scale1"].dw)
    assert whole["scale1"].dw.any()


def test_arrays_of_a_nest_that_overlap_are_refused():
    x = np.zeros((2, 2))
    with pytest.raises(TypeError, match="'x' and 'y', which share memory"):
        bind(Loops(lambda x, y: None), "a layer", {"x": x, "y": x[0]})
