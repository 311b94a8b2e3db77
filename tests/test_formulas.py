"""General formulas: read off the texts, true at every place, every letter explained, and as textbooks write them."""

import itertools

import numpy as np
import pytest

import plaingrad as pg
from around import LOSSES, images_for, network_around, run_around, targets_for
from cases import CASES
from formulas import Formula, WordsError, disagreements
from plaingrad.compiler.loops import exp
from plaingrad.errors import PlaingradError
from plaingrad.explaining import tracer_of
from plaingrad.explaining.general import cost, described, read, samples
from plaingrad.explaining.notation import as_text
from plaingrad.explaining.update import State
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layers import (
    Conv,
    Dense,
    Flatten,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from plaingrad.textbook.losses import CrossEntropy, SoftmaxCrossEntropy
from plaingrad.textbook.text import places

FEW, MANY = 20, 400  # random networks


def as_texts(net, count, loss, images, targets):
    """A run in which the texts themselves run, as Python."""
    run = Run(net, count, loss, input_gradient=True, as_written=lambda work: True)
    run.load(images)
    run.forward()
    run.aim(targets)
    run.backward()
    return run


def formulas(tracer):
    """The formula of each array that was made, or why there is none."""
    for sheet in tracer.twin.in_order:
        if not tracer.is_given(sheet):
            try:
                yield Formula(tracer, sheet)
            except WordsError as words:
                yield str(words)


def assert_true(tracer, count=6):
    """No formula is false, no letter unexplained, and none is missing."""
    rng, told = np.random.default_rng(0), 0
    for formula in formulas(tracer):
        assert isinstance(formula, Formula), formula
        assert not disagreements(formula, tracer, rng, count), formula.text
        assert formula.met - {"e"} <= formula.letters.keys(), formula.text
        for letter in formula.met - formula.known.keys() - formula.defined.keys():
            assert " to " in formula.letters[letter], (formula.text, letter, formula.letters)
        told += 1
    return told


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.long), 3])
@pytest.mark.often(16)
def test_formulas_of_every_layer_are_true(layer, shape, count):
    net = network_around(layer, shape, last=())
    loss = LOSSES[1]
    images = images_for(net, count) * (np.random.default_rng(5).random((count, *net.input)) < 0.7)
    run = as_texts(net, count, loss, images.round(0), targets_for(loss, count))  # zeros and ties
    assert assert_true(tracer_of(run)) > 6


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_so_are_those_of_every_loss(loss, count):
    run = run_around(Dense(4, activation=ReLU()), (5,), count, loss=loss)
    assert_true(tracer_of(run))


OPTIMISERS = [
    pg.SGD(), pg.SGD(momentum=0.0), pg.SGD(decay=0.1), pg.SGD(nesterov=True), pg.Adam(), pg.Adam(decay=0.1), pg.AdamW(),
]  # fmt: skip


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_so_are_those_of_every_optimiser(optimiser):
    run = run_around(Conv(2), (1, 4, 4))
    slots = {name: np.random.default_rng(3).random(run.net.parameters.shape) for name in optimiser.slots}
    assert_true(tracer_of(run, State(optimiser, slots, step=4, factor=0.5)))


def network(rng):
    """A network drawn at random: whatever settings a layer takes, and no layer is chosen to be easy."""

    def pair(low, high):
        return int(rng.integers(low, high)), int(rng.integers(low, high))

    def layer(channels):
        kind = int(rng.integers(8))
        if kind <= 2:
            groups = int(rng.choice([each for each in (1, 2, 3, 4) if channels % each == 0]))
            padding = pair(0, 3) if rng.random() < 0.6 else "same"
            activation = [None, ReLU(), LeakyReLU(0.1)][int(rng.integers(3))]
            settings = {"stride": pair(1, 6), "padding": padding, "dilation": pair(1, 4), "groups": groups}
            filters, bias = groups * int(rng.integers(1, 3)), bool(rng.random() < 0.8)
            return Conv(filters, pair(1, 4), **settings, bias=bias, activation=activation)
        if kind <= 5:
            size, more = pair(1, 4), {"count_padding": bool(rng.random() < 0.5)} if kind == 4 else {}
            padding = tuple(int(rng.integers(each)) for each in size)
            return [MaxPool, MeanPool, L2Pool][kind - 3](size, pair(1, 5), padding, **more)
        return [ReLU(), Sigmoid(), Tanh(), LeakyReLU(1 / 3)][int(rng.integers(4))]

    while True:
        loss = LOSSES[int(rng.integers(len(LOSSES)))]
        shape = (int(rng.integers(1, 5)), *pair(3, 9))
        layers = []
        try:
            for _ in range(int(rng.integers(1, 4))):
                layers.append(layer(Network(*layers, input=shape).output[0] if layers else shape[0]))
            last = [Softmax()] if isinstance(loss, CrossEntropy) else []
            dense = Dense(int(rng.integers(1, 5)))
            return Network(*layers, Flatten(), dense, *last, input=shape, dtype="float64"), loss
        except PlaingradError:
            continue


def drawn(seed):
    """A run of it, with zeros and equal numbers among its pixels and weights."""
    rng = np.random.default_rng(seed)
    net, loss = network(rng)
    count = int(rng.integers(1, 4))
    for array in net.arrays.values():
        array[...] = rng.normal(size=array.shape).round(1)
    shape = count, *net.input
    targets = rng.random((count, *net.output))
    targets /= targets.sum(axis=1, keepdims=True)
    return as_texts(net, count, loss, rng.normal(size=shape).round(1) * (rng.random(shape) < 0.6), targets)


@pytest.mark.parametrize("seed", range(FEW))
@pytest.mark.often(6)
def test_so_are_those_of_random_networks(seed):
    assert_true(tracer_of(drawn(seed)), 2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(FEW, MANY))
def test_so_are_those_of_many_more(seed):
    assert_true(tracer_of(drawn(seed)), 8)


SUMS = "Σ[c=0…2] Σ[u=0…2] Σ[v=0…2]"
TEXTS = [
    (Conv(2), (3, 4, 5), "conv1.y", f"conv1.b[k] + {SUMS} conv1.w[k,c,u,v] × input[c,i + u,j + v]"),
    (Conv(2, stride=2), (3, 9, 7), "conv1.y", f"conv1.b[k] + {SUMS} conv1.w[k,c,u,v] × input[c,2i + u,2j + v]"),
    (Conv(2, dilation=3, bias=False), (3, 9, 8), "conv1.y", f"{SUMS} conv1.w[k,c,u,v] × input[c,i + 3u,j + 3v]"),
    (Conv(2, padding=1), (1, 4, 5), "conv1.y", "conv1.b[k] + Σ[u=max(0, 1−i)…min(2, 4−i)] Σ[v=max(0, 1−j)…min(2, 5−j)] "
     "conv1.w[k,0,u,v] × input[0,i + u − 1,j + v − 1]"),
    (Conv(4, groups=2), (6, 4, 5), "conv1.y",
     f"conv1.b[k] + {SUMS} conv1.w[k,c,u,v] × input[3⌊k / 2⌋ + c,i + u,j + v]"),
    (Conv(2), (3, 5, 6), "conv1.dw", "Σ[i=0…2] Σ[j=0…3] conv1.dy[k,i,j] × input[c,i + u,j + v]"),
    (Conv(2, stride=2), (3, 9, 7), "conv1.dw", "Σ[i=0…3] Σ[j=0…2] conv1.dy[k,i,j] × input[c,2i + u,2j + v]"),
    (Conv(2), (3, 5, 6), "conv1.db", "Σ[i=0…2] Σ[j=0…3] conv1.dy[k,i,j]"),
    (Conv(2), (3, 5, 6), "conv1.dx", "Σ[k=0…1] Σ[u=max(0, r−2)…min(2, r)] Σ[v=max(0, s−3)…min(2, s)] "
     "conv1.dy[k,r − u,s − v] × conv1.w[k,c,u,v]"),
    (Conv(2, size=2, stride=2), (3, 4, 6), "conv1.dx",
     "Σ[k=0…1] conv1.dy[k,⌊r / 2⌋,⌊s / 2⌋] × conv1.w[k,c,r mod 2,s mod 2]"),
    (Conv(2, size=3, stride=4, padding=2), (1, 7, 7), "conv1.dx",
     "Σ[k=0…1] Σ[i=⌈r/4⌉…⌊(r+2)/4⌋] Σ[j=⌈s/4⌉…⌊(s+2)/4⌋] conv1.dy[k,i,j] × conv1.w[k,0,r + 2 − 4i,s + 2 − 4j]"),
    (Conv(2, activation=ReLU()), (1, 4, 4), "conv1.y", "0 if conv1.z[c,i,j] ≤ 0, else conv1.z[c,i,j]"),
    (Dense(3), (4,), "dense1.y", "dense1.b[k] + Σ[c=0…3] dense1.w[k,c] × input[c]"),
    (Dense(3), (4,), "dense1.dw", "dense1.dy[k] × input[c]"),
    (Dense(3), (4,), "dense1.db", "dense1.dy[k]"),
    (Dense(3), (4,), "dense1.dx", "Σ[k=0…2] dense1.dy[k] × dense1.w[k,c]"),
    (Flatten(), (2, 3, 4), "flatten1.y", "input[⌊m / 12⌋,⌊m / 4⌋ mod 3,m mod 4]"),
    (Flatten(), (2, 3, 4), "flatten1.dx", "flatten1.dy[12c + 4i + j]"),
    (MaxPool(2), (2, 4, 6), "maxpool1.y", "max[u=0…1] max[v=0…1] input[c,2i + u,2j + v]"),
    (MaxPool(2), (2, 4, 6), "maxpool1.winner",
     "first[u=0…1] first[v=0…1] ((2i + u) × 6 + 2j + v where input[c,2i + u,2j + v] = maxpool1.y[c,i,j])"),
    (MaxPool(2), (2, 5, 6), "maxpool1.dx",
     "maxpool1.dy[c,⌊r / 2⌋,⌊s / 2⌋] if r ≤ 3 and maxpool1.winner[c,⌊r / 2⌋,⌊s / 2⌋] = 6r + s, else 0"),
    (MaxPool(3, stride=1), (1, 5, 5), "maxpool1.dx", "Σ[i=max(0, r−2)…min(2, r)] Σ[j=max(0, s−2)…min(2, s)] "
     "(maxpool1.dy[0,i,j] if maxpool1.winner[0,i,j] = 5r + s, else 0)"),
    (MeanPool(2), (2, 4, 6), "meanpool1.y", "Σ[u=0…1] Σ[v=0…1] input[c,2i + u,2j + v] / 4"),
    (MeanPool(3, padding=1), (2, 5, 5), "meanpool1.dx", "meanpool1.dy[c,⌊(r + 1) / 3⌋,⌊(s + 1) / 3⌋] / N; with "
     "N = (min(3, 6 − 3⌊(r + 1) / 3⌋) − max(0, 1 − 3⌊(r + 1) / 3⌋)) × "
     "(min(3, 6 − 3⌊(s + 1) / 3⌋) − max(0, 1 − 3⌊(s + 1) / 3⌋))"),
    (L2Pool(2), (2, 4, 6), "l2pool1.y", "√(Σ[u=0…1] Σ[v=0…1] input[c,2i + u,2j + v]^2)"),
    (ReLU(), (2, 3, 4), "relu1.y", "0 if input[c,i,j] ≤ 0, else input[c,i,j]"),
    (ReLU(), (2, 3, 4), "relu1.dx", "0 if relu1.y[c,i,j] ≤ 0, else relu1.dy[c,i,j]"),
    (Sigmoid(), (2, 3, 4), "sigmoid1.dx", "sigmoid1.dy[c,i,j] × sigmoid1.y[c,i,j] × (1 − sigmoid1.y[c,i,j])"),
    (Tanh(), (2, 3, 4), "tanh1.dx", "tanh1.dy[c,i,j] × (1 − tanh1.y[c,i,j]^2)"),
    (Softmax(), (5,), "softmax1.y",
     "e^(input[k] − largest) / (Σ[p=0…4] e^(input[p] − largest)); with largest = max[q=0…4] input[q]"),
    (Softmax(), (5,), "softmax1.dx",
     "softmax1.y[k] × (softmax1.dy[k] − Σ[q=0…4] softmax1.dy[q] × softmax1.y[q])"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "name", "text"), TEXTS, ids=lambda each: str(each)[:60])
def test_formulas_are_what_the_textbook_says(layer, shape, name, text):
    tracer = tracer_of(run_around(layer, shape))
    assert as_text(described(tracer, tracer.twin.sheets[name])[0]).partition(" = ")[2] == text


def test_the_error_of_softmax_and_cross_entropy_is_probability_minus_target():
    run = run_around(Dense(4), (5,), loss=SoftmaxCrossEntropy())
    assert run.explain("dense2.dy[1]").formula == "dense2.dy[k] = loss.probability[k] − loss.target[k]"
    run = run_around(Dense(4), (5,), 3, loss=SoftmaxCrossEntropy())
    text = "dense2.dy[n,k] = (loss.probability[n,k] − loss.target[n,k]) × loss.share[n]"
    assert run.explain("dense2.dy[0,1]").formula == text
    assert run.explain("loss.y[0]").formula == "loss.y[n] = −Σ[k=0…2] loss.target[n,k] × loss.log_probability[n,k]"


def test_adam_is_told_with_its_symbols():
    tracer = tracer_of(run_around(Dense(2), (3,)), State(pg.Adam()))
    tree, letters = described(tracer, tracer.twin.sheets["dense1.b_after"])
    assert as_text(tree).partition(" = ")[2] == (
        "dense1.b[k] − (rate × m̂) / (√(v̂) + ε); with m̂ = (β₁ × dense1.b_m[k] + (1 − β₁) × dense1.db[k]) / (1 − β₁^t); "
        "v̂ = (β₂ × dense1.b_v[k] + (1 − β₂) × dense1.db[k]^2) / (1 − β₂^t)"
    )
    assert letters["β₁"] == "beta1: 0.9 in Adam()"


# ---------------------------------------------------------------------------------------------- layers of one's own


def running_forward(x, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = x[n, c, i, j]
        if j > 0:
            y[n, c, i, j] += y[n, c, i, j - 1]


def running_backward(dy, dx):
    dx[:] = 0
    for n, c, i, j in places(dy):
        for q in range(j + 1):
            dx[n, c, i, q] += dy[n, c, i, j]


class RunningSum(pg.Layer):
    """Each number with all before it in its row."""

    forward, backward = running_forward, running_backward


def swish_forward(x, y):
    for place in places(y):
        share = 1 / (1 + exp(-x[place]))
        y[place] = x[place] * share


def swish_backward(dy, x, dx):
    for place in places(dx):
        share = 1 / (1 + exp(-x[place]))
        dx[place] = dy[place] * (share + x[place] * share * (1 - share))


class Swish(pg.Layer):
    forward, backward = swish_forward, swish_backward


def centred_forward(x, y):
    for n, c, i, j in places(y):
        total = 0
        for m in range(x.shape[2]):
            total += x[n, c, m, j]
        y[n, c, i, j] = x[n, c, i, j] - total / x.shape[2]


def centred_backward(dy, dx):
    for n, c, i, j in places(dx):
        total = 0
        for m in range(dx.shape[2]):
            total += dy[n, c, m, j]
        dx[n, c, i, j] = dy[n, c, i, j] - total / dx.shape[2]


class Centred(pg.Layer):
    """Each column less its mean."""

    forward, backward = centred_forward, centred_backward


def ranked_forward(x, y):
    for n, c, i, j in places(y):
        rank = 0
        for m in range(x.shape[3]):
            if x[n, c, i, m] < x[n, c, i, j]:
                rank += 1
        y[n, c, i, j] = rank * x[n, c, i, j]


def copied_backward(dy, dx):
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = dy[n, c, i, j]


class Ranked(pg.Layer):
    """Each number times how many of its row are smaller."""

    forward, backward = ranked_forward, copied_backward


OWN = [
    (RunningSum(), "runningsum1.y", "input[c,i,j] + (runningsum1.y[c,i,j − 1] if j ≥ 1, else 0)"),
    (RunningSum(), "runningsum1.dx", "Σ[j=q…3] runningsum1.dy[c,i,j]"),
    (Swish(), "swish1.dx", "swish1.dy[c,i,j] × (share + input[c,i,j] × share × (1 − share)); "
     "with share = 1 / (1 + e^(−input[c,i,j]))"),
    (Ranked(), "ranked1.y", "(Σ[m=0…3] (1 if input[c,i,m] < input[c,i,j], else 0)) × input[c,i,j]"),
    (Centred(), "centred1.y", "input[c,i,j] − (Σ[m=0…2] input[c,m,j]) / 3"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "name", "text"), OWN, ids=lambda each: str(each)[:40])
@pytest.mark.filterwarnings("ignore:.*is compiled as it stands")
def test_a_layer_of_ones_own_has_formulas_too(layer, name, text):
    tracer = tracer_of(run_around(layer, (2, 3, 4)))
    assert as_text(described(tracer, tracer.twin.sheets[name])[0]).partition(" = ")[2] == text
    for count in (1, 3):
        assert_true(tracer_of(run_around(layer, (2, 3, 4), count)))


def doubled_forward(x, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = x[n, c, i, j]
        if j > 0:
            y[n, c, i, j] += y[n, c, i, j - 1]
    for n, c, i, j in places(y):
        y[n, c, i, j] = 2 * y[n, c, i, j]


class Doubled(pg.Layer):
    """Sums that are doubled once all are there: what stands beside a number is not yet doubled."""

    forward, backward = doubled_forward, copied_backward


def sought_forward(x, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = 0
        for m in range(x.shape[3]):
            y[n, c, i, j] = y[n, c, i, j] / 2 + x[n, c, i, m]


class Sought(pg.Layer):
    """Each step halves what was there: no sum says that in short."""

    forward, backward = sought_forward, copied_backward


NONE = [
    (Doubled(), "what one reads off its text does not give the number at"),
    (Sought(), "y is written several times at each place"),
]


@pytest.mark.parametrize(("layer", "why"), NONE, ids=str)
@pytest.mark.filterwarnings("ignore:.*is compiled as it stands")
def test_where_a_text_does_more_the_words_say_so(layer, why):
    tracer = tracer_of(run_around(layer, (2, 3, 4)))
    name = f"{type(layer).__name__.lower()}1.y"
    tree, letters = described(tracer, tracer.twin.sheets[name])
    assert as_text(tree).startswith(f"no short formula of {name}: {why}")
    assert not letters


def test_what_is_not_true_is_not_shown():
    """One number is changed: the formula does not give it, so none is shown."""
    run = run_around(Conv(2), (2, 4, 5))
    tracer = tracer_of(run)
    sheet = tracer.twin.sheets["conv1.y"]
    sheet.array[0, 1, 1, 2] *= 1 + 1e-12
    assert as_text(described(tracer, sheet)[0]).startswith(
        "no short formula of conv1.y: what one reads off its text does not"
    )


@pytest.mark.parametrize("shape", [(64, 24, 24), (3, 1), (5,), ()])
@pytest.mark.parametrize("each", [1, 288, 10_000_000])
def test_every_place_along_each_axis_is_worked_out(shape, each):
    lines = samples(shape, each)
    met = [set(itertools.chain.from_iterable(map(list, (one[axis] for one in lines)))) for axis in range(len(shape))]
    assert met == [set(range(length)) for length in shape]


def test_what_a_formula_costs_is_how_many_terms_it_has():
    tracer = tracer_of(run_around(Conv(2), (3, 6, 5)))
    formula = read(tracer, tracer.making(tracer.twin.sheets["conv1.y"]))
    assert cost(formula.of, formula.boxes) >= 27
