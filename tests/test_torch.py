"""Agreement with PyTorch in float64: every layer, loss and optimiser, and a whole network.

Both programs must lie within the rounding bound of the exact run, which holds for any order of adding up (`Sized`).
"""

import decimal
import itertools

import numpy as np
import pytest

from cases import CASES, SMOOTH, exhaustive
from plaingrad.checking.laws import DIGITS, points, run_through, single_layer_run
from plaingrad.network.exact import Sized
from plaingrad.network.network import Network
from plaingrad.schedule.calls import update_call
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalMeanPool,
    GroupNorm,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)
from plaingrad.textbook.losses import (
    CrossEntropy,
    HalfSquaredError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    WeightedCrossEntropy,
)
from plaingrad.textbook.optimisers import SGD, Adam, AdamW
from test_layers import quarters

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel"),  # that it copies the image
]
sized = np.frompyfunc(Sized.of, 1, 1)


def normals(rng, shape, dtype):
    return rng.normal(size=shape).astype(dtype)


def assert_both_within_the_bound(ours, theirs, exact, name):
    """Each number of either program within the rounding bound of the exact one."""
    assert ours.shape == theirs.shape == exact.shape, name
    assert ours.dtype == theirs.dtype == np.float64, name
    for mine, other, true in zip(ours.flat, theirs.flat, exact.flat, strict=True):
        bound = true if isinstance(true, Sized) else Sized.of(true)
        assert bound.contains(mine), f"{name}: {mine} is not {bound.value}"
        assert bound.contains(other), f"{name}: PyTorch's {other} is not {bound.value}"


def whole(layer, x, outside):
    """The image with the layer's padding, and with what a last window hangs over, so that all windows fit."""
    (down, across), height, width = layer.padding, *x.shape[2:]
    _, *counts = layer.output(x.shape[1:])
    ends = [
        (count - 1) * stride + reach
        for count, stride, reach in zip(counts, layer.stride, layer.window.reach, strict=True)
    ]
    x = functional.pad(x, (across, across, down, down), value=outside)
    over = [
        max(0, end - side - 2 * margin) for end, side, margin in zip(ends, (height, width), (down, across), strict=True)
    ]
    return functional.pad(x, (0, over[1], 0, over[0]), value=-torch.inf if outside == -torch.inf else 0.0)


def window_sums(x, layer, outside=0.0):
    """The sum of each window: a convolution with ones, of each channel by itself, which takes any dilation."""
    ones = torch.ones(x.shape[1], 1, *layer.size, dtype=x.dtype)
    x = whole(layer, x, outside)
    return functional.conv2d(x, ones, None, layer.stride, 0, layer.dilation, x.shape[1])


def is_torch_s(layer):
    """Whether PyTorch's own pools take such padding and dilation."""
    pairs = zip(layer.padding, layer.size, layer.dilation, strict=True)
    return all(2 * padding <= size and dilation == 1 for padding, size, dilation in pairs)


def mean_pool(layer, x):
    if is_torch_s(layer):
        settings = (layer.padding, layer.ceil_mode, layer.count_padding, layer.divisor)
        return functional.avg_pool2d(x, layer.size, layer.stride, *settings)
    count = layer.divisor or window_sums(torch.ones_like(x), layer, outside=1.0 if layer.count_padding else 0.0)
    return window_sums(x, layer) / count


def in_torch(layer, x, w=None, b=None, mask=None):
    """The layer's forward pass as PyTorch has it."""
    match layer:
        case Conv():
            y = functional.conv2d(x, w, b, layer.stride, layer.padding, layer.dilation, layer.groups)
            return in_torch(layer.activation, y) if layer.activation else y
        case Dense():
            y = functional.linear(x, w, b)
            return in_torch(layer.activation, y) if layer.activation else y
        case Flatten():
            return x.flatten(1)
        case MaxPool() | L2Pool():
            if isinstance(layer, MaxPool) and all(
                2 * p <= size for p, size in zip(layer.padding, layer.size, strict=True)
            ):
                settings = (layer.padding, layer.dilation, layer.ceil_mode)
                return functional.max_pool2d(x, layer.size, layer.stride, *settings)
            if isinstance(layer, MaxPool):
                return functional.max_pool2d(whole(layer, x, -torch.inf), layer.size, layer.stride, 0, layer.dilation)
            if layer.dilation == (1, 1):
                return functional.lp_pool2d(whole(layer, x, 0.0), 2, layer.size, layer.stride)
            return window_sums(x * x, layer).sqrt()
        case MeanPool():
            return mean_pool(layer, x)
        case ReLU():
            return functional.relu(x)
        case LeakyReLU():
            return functional.leaky_relu(x, layer.slope)
        case Sigmoid():
            return torch.sigmoid(x)
        case Tanh():
            return torch.tanh(x)
        case Softmax():
            return torch.softmax(x, 1)
        case Dropout():  # with the mask that was drawn here: PyTorch would draw another
            return x * mask / (1 - layer.rate)
        case ELU():
            return functional.elu(x, layer.slope)
        case SiLU():
            return functional.silu(x)
        case GELU():
            return functional.gelu(x)
        case TanhGELU():
            return functional.gelu(x, approximate="tanh")
        case GlobalMeanPool():
            return x.mean((2, 3))
        case GroupNorm():
            return functional.group_norm(x, layer.groups, w, b, layer.epsilon)
        case BatchNorm():
            return functional.batch_norm(x, None, None, w, b, training=True, eps=layer.epsilon)
    raise NotImplementedError(f"PyTorch's twin of {layer} is not written here")


def leaf(array):
    return torch.tensor(np.ascontiguousarray(array), requires_grad=True)


def check_against_torch(layer, shape, draw):
    rng = np.random.default_rng(0)
    ours, arrays = single_layer_run(layer, shape, "float64")
    exact, twins = single_layer_run(layer, shape, object)
    given = {name: draw(rng, arrays[name].shape, "float64") for name in points(ours)}
    dy = draw(rng, arrays["y"].shape, "float64")
    with decimal.localcontext(prec=DIGITS):
        run_through(ours, arrays, given, dy)
        run_through(exact, twins, {name: sized(array) for name, array in given.items()}, sized(dy))
        (name,) = ours.net.steps
        leaves = {point: leaf(getattr(ours[name], point)) for point in points(ours)}
        more = {"mask": torch.tensor(ours[name].mask)} if layer.dropped() is not None else {}
        y = in_torch(layer, **leaves, **more)
        y.backward(torch.tensor(np.ascontiguousarray(ours[name].dy)))
        found = {"y": y.detach().numpy()} | {"d" + point: each.grad.numpy() for point, each in leaves.items()}
        for each in found:
            assert_both_within_the_bound(getattr(ours[name], each), found[each], getattr(exact[name], each), each)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_layers(layer, shape):
    check_against_torch(layer, shape, normals)


@pytest.mark.parametrize(("layer", "shape"), [row for row in CASES if not isinstance(row[0], SMOOTH)], ids=str)
def test_layers_on_ties_and_zeros(layer, shape):
    """Quarters make ties in pools and sums of exactly 0: both give the tie to the same pixel, and 0 the same slope."""
    check_against_torch(layer, shape, quarters)


@pytest.mark.parametrize(("layer", "shape"), list(itertools.islice(exhaustive(1), 0, None, 20)), ids=str)
def test_sampled_settings(layer, shape):
    check_against_torch(layer, shape, normals)


IMAGES, OUTPUTS = 6, 5


def shares(rng):
    """Soft targets: some exactly 0, each image's sum 1 up to rounding."""
    drawn = rng.integers(0, 4, (IMAGES, OUTPUTS)) + np.eye(IMAGES, OUTPUTS)
    return drawn / drawn.sum(1, keepdims=True)


def labels(rng):
    return rng.integers(0, OUTPUTS, IMAGES)


def values(rng):
    return rng.normal(size=(IMAGES, OUTPUTS))


def probabilities(rng):
    return rng.dirichlet(np.ones(OUTPUTS), IMAGES)


def half_squared_error(x, target):
    return functional.mse_loss(x, target, reduction="sum") / 2 / len(x)


def cross_entropy_of_probabilities(x, target):
    if target.ndim == 1:
        return functional.nll_loss(x.log(), target)
    return -(target * x.log()).sum(1).mean()


def labels_and_none(rng):
    """Class numbers, of which PyTorch leaves -100 out unless told another one."""
    drawn = rng.integers(0, OUTPUTS, IMAGES)
    drawn[::3] = -100
    return drawn


CLASS_WEIGHTS = (2.0, 0.5, 0.0, 1.25, 3.0)
WEIGHTED = [
    WeightedCrossEntropy(CLASS_WEIGHTS),
    WeightedCrossEntropy(label_smoothing=0.1),
    WeightedCrossEntropy(CLASS_WEIGHTS, 0.3),
    WeightedCrossEntropy(CLASS_WEIGHTS, 1.0, ignore=3),
]


def theirs_of(loss):
    """PyTorch's cross_entropy with the same settings."""
    weight = None if loss.class_weights is None else torch.tensor(loss.class_weights, dtype=torch.float64)

    def cross_entropy(x, target):
        settings = {"weight": weight, "label_smoothing": loss.label_smoothing, "ignore_index": loss.ignore}
        return functional.cross_entropy(x, target, **settings)

    return cross_entropy


LOSSES = [
    *((loss, theirs_of(loss), values, (labels, labels_and_none)[: 1 + (loss.ignore < 0)]) for loss in WEIGHTED),
    (WEIGHTED[1], theirs_of(WEIGHTED[1]), values, (shares,)),
    (SoftmaxCrossEntropy(), functional.cross_entropy, values, (labels, shares)),
    (CrossEntropy(), cross_entropy_of_probabilities, probabilities, (labels, shares)),
    (MeanSquaredError(), functional.mse_loss, values, (values,)),
    (HalfSquaredError(), half_squared_error, values, (values,)),
]


@pytest.mark.parametrize(
    ("loss", "theirs", "draw", "aim"),
    [(loss, theirs, draw, aim) for loss, theirs, draw, aims in LOSSES for aim in aims],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_losses(loss, theirs, draw, aim):
    """The batch's loss and the error it sends back; Flatten of one axis hands the scores on as they are.

    The settings are rounded once, where 1 - label_smoothing is made. The bound has room for it: it adds up the steps of
    both terms of a smoothed target, the other of which has OUTPUTS at least, where the error is that of the larger.
    """
    rng = np.random.default_rng(0)
    scores, targets = draw(rng), aim(rng)
    run = Network(Flatten(), input=(OUTPUTS,), dtype="float64").run(scores, targets, loss)
    x = leaf(scores)
    value = theirs(x, torch.tensor(targets))
    value.backward()
    with decimal.localcontext(prec=DIGITS):
        rows = np.arange(OUTPUTS) == targets[:, None] if targets.dtype.kind == "i" else targets
        rows = np.where((targets == loss.ignored)[:, None], 0, rows) if targets.ndim == 1 else rows
        exact = Network(Flatten(), input=(OUTPUTS,), dtype=object).run(sized(scores), sized(rows), loss)
        # Ours is the mean of the images' losses, taken here; the exact one adds the same terms with the same shares.
        mean = (run["loss"].y * run["loss"].share).sum(keepdims=True)
        true = np.array([sum(exact["loss"].y * exact["loss"].share)])
        assert_both_within_the_bound(mean, value.detach().numpy().reshape(1), true, "loss")
        assert_both_within_the_bound(run["loss"].dx, x.grad.numpy(), exact["loss"].dx, "dx")


OPTIMISERS = [
    (SGD(rate=0.1, momentum=0.0), torch.optim.SGD, {"lr": 0.1}),
    (SGD(rate=0.1, momentum=0.9), torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD(rate=0.1, momentum=0.9, nesterov=True), torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD(rate=0.1, momentum=0.0, decay=0.2), torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.2}),
    (
        SGD(rate=0.1, momentum=0.8, nesterov=True, decay=0.2),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.2},
    ),
    (Adam(rate=0.1), torch.optim.Adam, {"lr": 0.1}),
    (
        Adam(rate=0.1, beta1=0.8, beta2=0.9, epsilon=0.5, decay=0.2),
        torch.optim.Adam,
        {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.5, "weight_decay": 0.2},
    ),
    (AdamW(rate=0.1), torch.optim.AdamW, {"lr": 0.1}),
    (AdamW(rate=0.1, decay=0.3), torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.3}),
]


@pytest.mark.parametrize(("optimiser", "kind", "settings"), OPTIMISERS, ids=str)
def test_optimisers(optimiser, kind, settings):
    """The parameters after each of several steps on random slopes, within the bound of the same nest run exactly."""
    rng, size, steps = np.random.default_rng(0), 20, 6
    begin = rng.normal(size=size)
    ours = {name: np.zeros(size) for name in ("w", "dw", *optimiser.slots)}
    exact = {name: np.zeros(size, object) for name in ours}
    ours["w"][:], exact["w"][:] = begin, sized(begin)
    parameter = leaf(begin)
    theirs = kind([parameter], **settings)
    with decimal.localcontext(prec=DIGITS):
        for step in range(steps):
            slope = rng.normal(size=size)
            ours["dw"][:], exact["dw"][:], parameter.grad = slope, sized(slope), torch.tensor(slope)
            for arrays, number in ((ours, float), (exact, Sized.of)):
                numbers = np.array([number(each) for each in optimiser.numbers(step, 1.0).values()], arrays["w"].dtype)
                update_call(optimiser, arrays, numbers, number)()
            theirs.step()
            assert_both_within_the_bound(ours["w"], parameter.detach().numpy(), exact["w"], f"step {step}")


LENETS = {
    "tanh and mean pools": [
        *(Conv(6, size=5, padding=2), Tanh(), MeanPool(2), Conv(16, size=5), Tanh(), MeanPool(2), Flatten()),
        *(Dense(120), Tanh(), Dense(84), Tanh(), Dense(10)),
    ],
    "relu and max pools": [
        *(Conv(6, size=5, padding="same", activation=ReLU()), MaxPool(2), Conv(16, size=5), ReLU(), MaxPool(2)),
        *(Flatten(), Dense(120, activation=ReLU()), Dense(84), ReLU(), Dense(10)),
    ],
}


@pytest.mark.parametrize("layers", LENETS.values(), ids=list(LENETS))
def test_a_whole_lenet(layers):
    """Same weights, same images: the loss and every parameter's gradient.

    The tolerance is measured on the network itself: its float32 run is off by as much as rounding to 24 bits costs it,
    and rounding to 53 bits costs 2^29 times less. An order of adding n numbers can cost n roundings where another costs
    √n (Higham, 2002, §4.2), so that much more is allowed, for the longest sum: the bias of the first layer.
    """
    rng, count = np.random.default_rng(0), 4
    images, labels = rng.random((count, 1, 28, 28)).astype("float32"), rng.integers(0, 10, count)
    double, single = (Network(*layers, input=(1, 28, 28), dtype=dtype, seed=3) for dtype in ("float64", "float32"))
    double.parameters[:] = single.parameters
    ours, coarse = double.run(images, labels), single.run(images, labels)
    leaves = {name: leaf(array) for name, array in double.arrays.items()}
    y = torch.tensor(images, dtype=torch.float64)
    for step in double.steps.values():
        y = in_torch(step.layer, y, **{name: leaves[f"{step.name}.{name}"] for name in step.weights})
    value = functional.cross_entropy(y, torch.tensor(labels))
    value.backward()
    uncertainty = (28 * 28 * count) ** 0.5
    pairs = {"loss": (ours["loss"].y.mean(), coarse["loss"].y.astype("float64").mean(), value.detach().numpy())}
    for whole, each in leaves.items():
        name, _, point = whole.partition(".")
        pairs[whole] = (getattr(ours[name], "d" + point), getattr(coarse[name], "d" + point), each.grad.numpy())
    assert len(pairs) == 11
    for name, (mine, rough, other) in pairs.items():
        tolerance = uncertainty * np.abs(mine - rough).max() / 2**29
        assert 0 < tolerance < np.abs(other).max() * 1e-10, name  # or it would not tell right from wrong
        assert np.abs(mine - other).max() <= tolerance, name
