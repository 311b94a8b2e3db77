"""What training does otherwise than a trained network, and what it keeps from step to step: masks, running values,
skips."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from cases import CASES
from often import some
from plaingrad.checking.laws import dual, value_of
from plaingrad.network.exact import fractions
from plaingrad.network.run import Run
from plaingrad.textbook.text import places
from plaingrad.training.shards import Shards

SKIPS: list[tuple[list[pg.Layer], tuple[int, ...]]] = [
    ([pg.Conv(2, size=3, padding=1), pg.LeakyReLU(0.5), pg.Conv(2, padding=1), pg.Add("leakyrelu1")], (1, 3, 4)),
    ([pg.Conv(2, size=2, activation=pg.ReLU()), pg.Conv(2, padding=1), pg.Add("conv1")], (2, 4, 3)),
    ([pg.Dense(3), pg.ReLU(), pg.Dense(3), pg.Add("relu1"), pg.Dense(3), pg.Add("add1")], (4,)),  # an error goes 3 ways
    ([pg.Conv(2, size=1), pg.Conv(3, size=3, stride=2, padding=1), pg.Add("conv1"), pg.Flatten()], (1, 5, 4)),
    ([pg.MaxPool(2), pg.Conv(4, groups=2, padding=1, bias=False), pg.Add("maxpool1")], (4, 4, 5)),  # before any weight
    ([pg.Conv(2, size=1), pg.ReLU(), pg.Add("conv1"), pg.Dropout(0.5), pg.MaxPool(2)], (1, 2, 4)),
    ([pg.Conv(2, size=2), pg.Flatten(), pg.Dense(4), pg.Add("flatten1"), pg.Dense(2)], (1, 3, 2)),
]


def exact_run(layers: list[pg.Layer], shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Run, dict[str, Any]]:
    """A run of two images in fractions, and the arrays that its output depends on."""
    run = Run(pg.Network(*layers, input=shape, dtype=object), 2, input_gradient=True)
    given = {"input": run.x, **run.net.arrays}  # type: ignore[attr-defined]
    for array in given.values():
        array[...] = fractions(rng, array.shape)
    return run, given


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("layers", "shape"), SKIPS, ids=str)
def test_an_error_that_goes_two_ways_is_the_exact_derivative(
    layers: list[pg.Layer], shape: tuple[int, ...], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    run, given = exact_run(layers, shape, rng)
    directions = {name: fractions(rng, array.shape) for name, array in given.items()}
    plain, dy = {name: array.copy() for name, array in given.items()}, fractions(rng, run.output.shape)
    run.forward()
    run.backward(dy)
    first = next(iter(run.records))
    found = {"input": run.records[first]["dx"], **dict(zip(run.net.arrays, gradients(run), strict=True))}  # type: ignore[attr-defined]
    pulled = sum((found[name] * directions[name]).sum() for name in given)
    for name, array in given.items():
        array[...] = dual(plain[name], directions[name])
    run.forward()
    pushed = sum(seed * getattr(y, "slope", 0) for seed, y in zip(dy.flat, run.output.flat, strict=True))
    assert pulled == pushed != 0
    assert all(isinstance(each, Fraction | int) for each in value_of(run.output).flat)


def gradients(run: Run) -> list[Any]:
    return [each for views in run.net.views(run.gradient) for each in views.values()]


@pytest.mark.parametrize(("layers", "shape"), SKIPS, ids=str)
def test_compiled_a_skip_gives_the_numbers_of_its_text(layers: list[pg.Layer], shape: tuple[int, ...]) -> None:
    """On quarters, whose sums are exact in float32."""
    rng = np.random.default_rng(0)
    exact, _ = exact_run(layers, shape, rng)
    net = pg.Network(*layers, input=shape)
    fast = Run(net, 2, input_gradient=True)
    for name, array in exact.net.arrays.items():  # type: ignore[attr-defined]
        drawn = rng.integers(-4, 5, array.shape) / 4
        array[...], net.arrays[name][...] = np.frompyfunc(Fraction, 1, 1)(drawn), drawn
    drawn = rng.integers(-4, 5, exact.x.shape) / 4
    exact.x[...], fast.x[...] = np.frompyfunc(Fraction, 1, 1)(drawn), drawn
    dy = rng.integers(-4, 5, exact.output.shape) / 4
    for run in (exact, fast):
        run.forward()
        run.backward(dy)
    for layer, record in exact.records.items():
        for name, array in record.items():
            if name not in fast.records[layer]:  # the sums z, which a fast nest does not keep
                continue
            np.testing.assert_array_equal(array.astype("float32"), fast.records[layer][name], err_msg=f"{layer}.{name}")


@pytest.mark.parametrize("as_written", [None, lambda work: False])
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_a_skip_may_begin_at_every_layer(layer: pg.Layer, shape: tuple[int, ...], as_written: Any) -> None:
    """Twice its output, by a way through a layer that changes nothing, and by the skip: it gets twice the error."""
    rng = np.random.default_rng(0)
    alone = pg.Network(layer, input=shape)
    (name,) = alone.steps
    same = pg.Flatten() if len(alone.output) == 1 else pg.MaxPool(1)
    twice = pg.Network(layer, same, pg.Add(name), input=shape)
    x, dy = rng.normal(size=(2, *shape)), rng.normal(size=(2, *alone.output)).astype("float32")
    ends = []
    for net, factor in ((alone, 2), (twice, 1)):
        net.parameters[:] = np.linspace(-1, 1, len(net.parameters))
        run = Run(net, 2, input_gradient=True, as_written=as_written)
        run.load(x)
        run.forward()
        run.backward(factor * dy)
        ends.append([run.output * factor, run.records[name]["dx"], run.gradient])
    for one, two in zip(*ends, strict=True):
        np.testing.assert_array_equal(two, one)


@pytest.mark.parametrize(
    ("layers", "shape", "said"),
    [
        (
            [pg.Conv(2), pg.Add("relu1")],
            (1, 5, 5),
            "names no earlier layer: choose from conv1",
        ),
        ([pg.Add("add1")], (1, 5, 5), "there is none"),
        ([pg.Conv(2), pg.Add("conv1")], (1, 5, 5), "is its own input"),
        ([pg.Conv(2), pg.Conv(1), pg.Add("conv1")], (1, 5, 5), "no more channels"),
        ([pg.Conv(2), pg.Flatten(), pg.Add("conv1")], (1, 5, 5), "needs the shape of the input"),
        ([pg.Conv(2), pg.Conv(2, size=2), pg.Add("conv1")], (1, 7, 7), "every second one"),
        ([pg.ReLU(), pg.ReLU(), pg.Add("relu1"), pg.Add("relu1")], (3,), "begins at relu1 already"),
    ],
    ids=str,
)
def test_a_skip_that_cannot_be_is_told_in_one_line(layers: list[pg.Layer], shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(pg.ShapeError, match=rf"^add\d = [^\n]*({said})[^\n]*$"):
        pg.Network(*layers, input=shape)


@pytest.mark.parametrize(
    ("layers", "shape"), some([*SKIPS, *(([layer], shape) for layer, shape in CASES)], lambda place: place < len(SKIPS))
)
@pytest.mark.often(3)
def test_every_layer_keeps_its_laws_at_its_place_in_a_network(layers: list[pg.Layer], shape: tuple[int, ...]) -> None:
    found = pg.check(pg.Network(*layers, input=shape), seeds=1)
    assert found.is_right, found.text()
    assert [row.layer for row in found.rows] == layers


def half_backward(dy, dx, dskip):  # type: ignore[no-untyped-def]
    dskip[:] = 0
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = dy[n, c, i, j]


class HalfAdd(pg.Add):
    """A skip whose error comes back one way and is lost the other way."""

    backward = half_backward


@pytest.mark.filterwarnings("ignore:half_backward is compiled as it stands")
def test_a_wrong_skip_breaks_a_law_in_a_network_and_by_itself() -> None:
    net = pg.Network(pg.Conv(2, size=1), pg.Conv(2, size=1), HalfAdd("conv1"), input=(1, 3, 4))
    found = pg.check(net, seeds=1)
    assert found.first_wrong == "halfadd1"
    assert "dskip says 0" in found.text()
    with pytest.raises(pg.LawError, match=r"HalfAdd\('conv1'\) on \(2, 3, 4\)[^\n]*dskip says 0"):
        pg.check(HalfAdd("conv1"), (2, 3, 4))


def test_a_layer_with_a_skip_can_be_read_and_shown_fast() -> None:
    for layers, shape in SKIPS:
        for step in pg.Network(*layers, input=shape):
            assert "def " in step.backward.fast or "takes no time" in step.backward.fast, step.name


def test_one_s_own_gradients_of_a_network_with_a_skip_are_compared() -> None:
    (layers, shape), rng = SKIPS[2], np.random.default_rng(0)
    net = pg.Network(*layers, input=shape, dtype="float64")
    x, labels = rng.normal(size=(2, *shape)), np.array([0, 1])
    run = net.run(x, labels)
    passes = [f"{name}.d{weight}" for name, step in net.steps.items() for weight in step.weights]
    told = {each: run[each] for each in passes}
    assert pg.check(net, x, labels, told).is_right
    told["dense1.dw"] = 2 * told["dense1.dw"]
    assert not pg.check(net, x, labels, told).is_right


def test_a_function_of_a_layer_with_a_skip_is_not_compared_and_says_so_in_one_line() -> None:
    layers, _ = SKIPS[2]
    with pytest.raises(pg.SettingError, match=r"^assert_gradients got Add\('relu1'\), which reads[^\n]*$"):
        pg.testing.assert_gradients(layers[3], lambda dy, x: dy, input=(3,))


def small(*more: pg.Layer) -> pg.Network:
    return pg.Network(pg.Conv(3, size=3), *more, pg.Flatten(), pg.Dense(4), input=(2, 5, 6))


def images(count: int) -> Any:
    return np.random.default_rng(1).normal(size=(count, 2, 5, 6)).astype("float32")


def test_a_mask_is_that_of_seed_step_layer_image_and_place() -> None:
    """It is the same in whatever shard, lane and thread an image is; any of the five makes it another one."""
    net, count = small(pg.Dropout(0.25), pg.Dropout(0.25)), 20
    data, labels = images(count), np.zeros(count, int)

    def masks(lanes: int, seed: int, step: int) -> Any:
        found = np.empty((2, count, 3, 3, 4))
        for start in range(0, count, lanes):
            run = Run(net, lanes, pg.SoftmaxCrossEntropy())
            run.seeds[:] = seed, step
            index = np.arange(start, start + lanes)
            run.index[:] = np.where(index < count, index, -1)
            run.program(data, labels, backward=True)()
            for place, name in enumerate(("dropout1", "dropout2")):
                kept = run.index >= 0
                found[place, run.index[kept]] = run.seen(name, "mask")[kept]
        return found

    first = masks(8, 3, 5)
    np.testing.assert_array_equal(first, masks(3, 3, 5))
    others = [first[1], masks(8, 4, 5)[0], masks(8, 3, 6)[0], np.roll(first[0], 1, 0), np.roll(first[0], 1, -1)]
    for one, two in itertools.combinations([first[0], *others], 2):
        # Independent, two masks of 720 places differ at 2 · ¼ · ¾ of them: 270 ± 13; six deviations are never left.
        assert abs((one != two).sum() - 270) < 78
    assert abs((first == 0).sum() - 360) < 6 * 16.5  # of 1440 a quarter, with the deviation √(1440 · ¼ · ¾)


def test_masks_drop_as_many_as_they_say() -> None:
    for rate in (0.0, 0.1, 0.5, 0.9):
        run = Run(pg.Network(pg.Dropout(rate), input=(1, 50, 40)), 32)
        run.forward()
        mask, count = run.records["dropout1"]["mask"], 64000
        assert {*np.unique(mask)} <= {0, 1}
        assert abs((mask == 0).sum() - rate * count) <= 6 * (count * rate * (1 - rate)) ** 0.5


def test_a_trained_network_drops_nothing_and_takes_running_values() -> None:
    net = small(pg.BatchNorm(), pg.Dropout(0.5))
    step = net["batchnorm1"]
    step.running_mean[...], step.running_variance[...] = [0.5, -1, 2], [4, 0.25, 1]
    step.w[...], step.b[...] = [1, 2, 3], [-1, 0, 1]
    run = net.run(images(3))
    x, shape = run["batchnorm1"].x, (3, 1, 1)
    expected = (x - step.running_mean.reshape(shape)) / np.sqrt(step.running_variance.reshape(shape) + 1e-5)
    expected = expected * step.w.reshape(shape) + step.b.reshape(shape)
    np.testing.assert_allclose(run["batchnorm1"].y, expected, rtol=1e-5, atol=1e-5)  # a few roundings of numbers near 1
    np.testing.assert_array_equal(run["dropout1"].y, run["batchnorm1"].y)
    np.testing.assert_array_equal(net(images(3)), run.output[:3])
    with pytest.raises(pg.SettingError, match=r"training=True"):
        run.backward(np.ones((3, 4)))
    net.run(images(3), training=True).backward(np.ones((3, 4)))


def test_each_shard_moves_the_running_values_in_its_turn() -> None:
    """By the definition, shard after shard; no thread changes a bit, and what only looks changes nothing."""
    data, labels, index = images(22), np.arange(22) % 4, np.arange(22)
    ends = []
    for threads in (1, 2, 3):
        net = small(pg.BatchNorm(momentum=0.25))
        with Shards(net, pg.SoftmaxCrossEntropy(), 16, threads) as shards:
            assert shards.lanes == 8
            before = net.state.copy()
            net.run(data, labels)
            shards.evaluate(data, labels)
            np.testing.assert_array_equal(net.state, before)
            shards.step(data, labels, index)
        ends.append(net.state.copy())
    for each in ends[1:]:
        np.testing.assert_array_equal(ends[0], each)
    x = net.run(data, labels)["batchnorm1"].x.astype(float)
    mean, variance = np.zeros(3), np.ones(3)
    for part in (x[:8], x[8:16], x[16:]):
        mean += 0.25 * (part.mean((0, 2, 3)) - mean)
        variance += 0.25 * (part.var((0, 2, 3), ddof=1) - variance)
    # float32: of at most 96 terms each and a few roundings more, of numbers near 1.
    np.testing.assert_allclose(ends[0], np.concatenate([mean, variance]), rtol=1e-5, atol=1e-5)


def test_state_travels_with_its_network(tmp_path: Any) -> None:
    net = small(pg.BatchNorm())
    net.state[...] = np.arange(6)
    pg.checkpoint.save(tmp_path / "net.safetensors", net)
    for other in (net.copy(), pg.checkpoint.load(tmp_path / "net.safetensors")[0]):
        np.testing.assert_array_equal(other.state, net.state)
        other["batchnorm1"].running_mean[0] = 7
        assert other.state[0] == 7
        assert net.state[0] == 0


def test_one_image_of_a_run_that_mixes_them_is_not_explained_alone() -> None:
    run = small(pg.BatchNorm()).run(images(2), [0, 1])
    assert run.explain("batchnorm1.mean[0]").value == pytest.approx(float(run["batchnorm1"].mean[0]), abs=1e-5)
    with pytest.raises(pg.SettingError, match=r"^batchnorm1 mixes the images of a run[^\n]*$"):
        pg.explain(run).write("nowhere", image=1)
