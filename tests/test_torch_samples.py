"""PyTorch's own sample inputs: every one that has a batch, said in layers and losses of the house and compared.

The samples are those that PyTorch tests its operators with, `torch.testing._internal.common_methods_invocations`, which
has none of lp_pool2d. Each is equal (output and every gradient, for a random upstream gradient in float64, lie with
PyTorch's within the rounding bound of the exact run, as in `test_torch.py`), cannot be said for a reason of the list
`UNSAID`, or fails. `python tests/test_torch_samples.py` prints how many of each operator are equal or unsaid, and why.
"""

import decimal
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from plaingrad.checking.laws import DIGITS, points, run_through, single_layer_run
from plaingrad.network.exact import Sized
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GroupNorm,
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
from plaingrad.textbook.losses import Loss, MeanSquaredError, WeightedCrossEntropy
from test_torch import assert_both_within_the_bound

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's samples need the package expecttest")
pytestmark = pytest.mark.torch
functional = torch.nn.functional
sized = np.frompyfunc(Sized.of, 1, 1)

UNSAID = {
    "empty": "there is no number in it",
    "divisor": "a divisor below 0, which turns the mean round",
    "epsilon": "an epsilon below 0, which no variance needs",
    "inference": "statistics are given, as in a trained network, which has no way back here",
    "class weight": "a class weight below 0, which would reward mistakes",
    "row weights": "rows as targets, and class weights: the mean divides by the weights here, by the images there",
}
MOST_UNSAID = 0.05  # of all samples with a batch


class UnsaidError(Exception):
    """A sample that has no layer or loss here; its argument is a reason of `UNSAID`."""


def rows_of(x: Any) -> Any:
    """A row of features for each image."""
    return x.reshape(len(x), -1)


def last_as_rows(x: Any) -> Any:
    """A row for each place of all axes but the last."""
    return x.reshape(-1, x.shape[-1])


def pixelwise(x: Any) -> Any:
    """(image, class, …) as rows (image and place, class): each place is an image of its own."""
    return last_as_rows(x.movedim(1, -1)) if x.ndim > 1 else x


def as_map(x: Any) -> Any:
    """(image, channel, place) as rows of one column; what has a row and a column, or neither, as it is."""
    return x[..., None] if x.ndim == 3 else x


def as_it_is(x: Any) -> Any:
    return x


@dataclass
class Said:
    """A sample as a layer or a loss: `lay` makes its input, output and their gradients arrays of the house."""

    owner: Layer | Loss
    lay: Callable[[Any], Any] = as_it_is
    weights: dict[str, Any] = field(default_factory=dict)
    target: Any = None
    reduction: str = "mean"


def pair(value: Any) -> Any:
    """One number for both axes, or one for each, as layers take them."""
    value = tuple(value) if isinstance(value, list | tuple) else (value,)
    return value[0] if len(value) == 1 else value


def named(w: Any, b: Any) -> dict[str, Any]:
    return {name: each for name, each in (("w", w), ("b", b)) if each is not None}


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    padding = 0 if padding == "valid" else padding
    settings = {"stride": pair(stride), "padding": pair(padding), "dilation": pair(dilation), "groups": groups}
    layer = Conv(weight.shape[0], size=tuple(weight.shape[2:]), bias=bias is not None, **settings)
    return Said(layer, weights=named(weight, bias))


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    stride = pair(kernel_size if stride is None else stride)
    return Said(MaxPool(pair(kernel_size), stride, pair(padding), pair(dilation), ceil_mode))


def avg_pool2d(x, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    if divisor_override is not None and divisor_override < 0:
        raise UnsaidError("divisor")
    settings = {"ceil_mode": ceil_mode, "count_padding": count_include_pad, "divisor": divisor_override}
    return Said(MeanPool(pair(size), pair(stride or size), pair(padding), **settings))


def linear(x, weight, bias=None):
    return Said(Dense(weight.shape[0], bias=bias is not None), last_as_rows, named(weight, bias))


def softmax(x, dim, dtype=None):
    return Said(Softmax(), lambda array: last_as_rows(array.movedim(dim, -1)))


def gelu(x, approximate="none"):
    return Said(TanhGELU() if approximate == "tanh" else GELU(), rows_of)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    if reduction == "mean" and weight is not None and target.ndim == x.ndim:
        raise UnsaidError("row weights")
    if weight is not None and weight.min() < 0:
        raise UnsaidError("class weight")
    loss = WeightedCrossEntropy(None if weight is None else weight.tolist(), label_smoothing, ignore_index)
    rows = pixelwise(target) if target.ndim == x.ndim else target.reshape(-1)
    return Said(loss, pixelwise, target=rows, reduction=reduction)


def mse_loss(x, target, reduction="mean"):
    return Said(MeanSquaredError(), rows_of, target=rows_of(target), reduction=reduction)


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if not training:
        raise UnsaidError("inference")
    return Said(BatchNorm(epsilon=eps), as_map, named(weight, bias))


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    if eps < 0:
        raise UnsaidError("epsilon")
    return Said(GroupNorm(num_groups, epsilon=eps), as_map, named(weight, bias))


def plainly(layer: Layer) -> Any:
    """An activation without settings."""
    return lambda x: Said(layer, rows_of)


SAY: dict[str, Any] = {
    "nn.functional.conv2d": conv2d,
    "nn.functional.max_pool2d": max_pool2d,
    "nn.functional.avg_pool2d": avg_pool2d,
    "nn.functional.linear": linear,
    "nn.functional.relu": plainly(ReLU()),
    "nn.functional.leaky_relu": lambda x, negative_slope=0.01: Said(LeakyReLU(negative_slope), rows_of),
    "nn.functional.elu": lambda x, alpha=1.0: Said(ELU(alpha), rows_of),
    "nn.functional.silu": plainly(SiLU()),
    "nn.functional.gelu": gelu,
    "sigmoid": plainly(Sigmoid()),
    "tanh": plainly(Tanh()),
    "softmax": softmax,
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.mse_loss": mse_loss,
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.group_norm": group_norm,
}
IMAGES = ("nn.functional.conv2d", "nn.functional.max_pool2d", "nn.functional.avg_pool2d")
ROWS = ("softmax", *(f"nn.functional.{each}" for each in ("linear", "cross_entropy", "batch_norm", "group_norm")))
AXES = dict.fromkeys(SAY, 1) | dict.fromkeys(ROWS, 2) | dict.fromkeys(IMAGES, 4)  # of an input with a batch


def samples(name: str) -> list[tuple[Any, Any]]:
    """The operator and each of its samples that has a batch, in float64, of all the variants of this name."""
    from torch.testing._internal.common_methods_invocations import op_db

    torch.manual_seed(0)
    operators = [each for each in op_db if each.name == name and torch.float64 in each.dtypes]
    return [
        (operator, sample)
        for operator in operators
        for sample in operator.sample_inputs("cpu", torch.float64, requires_grad=True)
        if sample.input.ndim >= AXES[name]
    ]


def say(name: str, sample: Any) -> Said:
    """The sample as a layer or a loss; UnsaidError where there is none."""
    if sample.input.numel() == 0:
        raise UnsaidError("empty")
    said: Said = SAY[name](sample.input, *sample.args, **sample.kwargs)
    return said


def compare(said: Said, operator: Any, sample: Any, rng: np.random.Generator) -> None:
    """AssertionError where the sample differs."""
    x = sample.input
    y = operator(x, *sample.args, **sample.kwargs)
    y = y[0] if isinstance(y, tuple) else y  # and the places of the maxima
    dy = torch.tensor(rng.normal(size=y.shape))
    wanted = {"x": x, **said.weights}
    slopes = torch.autograd.grad(y, list(wanted.values()), dy)
    theirs = {"d" + each: slope for each, slope in zip(wanted, slopes, strict=True)}
    theirs["dx"] = said.lay(theirs["dx"])
    check = compare_loss if isinstance(said.owner, Loss) else compare_layer
    check(said, said.lay(x), y, dy, theirs)


def plain(array: Any) -> Any:
    return np.ascontiguousarray(array.detach().numpy())


def compare_layer(said: Said, x: Any, y: Any, dy: Any, theirs: dict[str, Any]) -> None:
    shape, count = tuple(x.shape[1:]), len(x)
    ours, arrays = single_layer_run(said.owner, shape, "float64", count)
    exact, twins = single_layer_run(said.owner, shape, object, count)
    (name,) = ours.net.steps
    given = {"w": np.ones(shape[0]), "b": np.zeros(shape[0])} | {each: plain(w) for each, w in said.weights.items()}
    given = {each: given[each] for each in points(ours) if each != "x"} | {"x": laid(ours, name, "x", plain(x))}
    upstream = laid(ours, name, "dy", plain(said.lay(dy)))
    with decimal.localcontext(prec=DIGITS):
        run_through(ours, arrays, given, upstream)
        run_through(exact, twins, {each: sized(array) for each, array in given.items()}, sized(upstream))
        for each, their in {"y": said.lay(y), **theirs}.items():
            assert_both_within_the_bound(getattr(ours[name], each), plain(their), getattr(exact[name], each), each)


def laid(run: Run, name: str, quantity: str, values: Any) -> Any:
    """An array (image, …) as it lies in a run."""
    run.seen(name, quantity)[...] = values
    return run.records[name][quantity].copy()


def compare_loss(said: Said, x: Any, y: Any, dy: Any, theirs: dict[str, Any]) -> None:
    """`share` is what each image's loss is multiplied by: the upstream gradient, divided as the mean divides."""
    loss, targets, net = said.owner, plain(said.target), Network(Flatten(), input=tuple(x.shape[1:]), dtype="float64")
    if targets.ndim == 1:
        targets = (np.arange(x.shape[1]) == targets[:, None]) * (targets != loss.ignored)[:, None].astype(float)
    g, made = np.broadcast_to(plain(dy.reshape(-1)), len(x)), []
    with decimal.localcontext(prec=DIGITS):
        for number, dtype in ((np.asarray, "float64"), (sized, object)):
            run = Run(Network(*net.layers, input=net.input, dtype=dtype), len(x), loss, input_gradient=True)
            record, rows = run.records["loss"], number(targets)
            outputs = {"sum": x[0].numel() if isinstance(loss, MeanSquaredError) else 1, "none": 1}
            divided = loss.count(rows) if said.reduction == "mean" else 1 / outputs[said.reduction]
            record["share"][...] = number(g) / divided
            run.x[...], record["target"][...] = number(plain(x)).T, rows.T
            run.forward()
            run.backward()
            terms = run["loss"].y * record["share"]
            made.append((terms if said.reduction == "none" else terms.sum(keepdims=True), run["loss"].dx))
        their = plain((y * dy).reshape(-1))
        assert_both_within_the_bound(made[0][0], their, np.asarray(made[1][0], dtype=object), "loss")
        assert_both_within_the_bound(made[0][1], plain(theirs["dx"]), made[1][1], "dx")


def outcomes(name: str, is_compared: bool = True) -> tuple[Counter[str], list[str]]:
    """How many samples of an operator are equal, or cannot be said for which reason; and the differences in words.

    Unless they are compared, all that can be said count as equal.
    """
    counts, different, rng = Counter[str](), list[str](), np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, that a padding copies the image, and the like
        for operator, sample in samples(name):
            try:
                said = say(name, sample)
                if is_compared:
                    compare(said, operator, sample, rng)
                counts["equal"] += 1
            except UnsaidError as reason:
                counts[str(reason)] += 1
            except AssertionError as error:
                different.append(f"{sample.summary()}: {error}")
    return counts, different


@pytest.mark.parametrize("name", SAY)
def test_every_sample_with_a_batch_is_equal_or_cannot_be_said(name: str) -> None:
    counts, different = outcomes(name)
    assert not different
    assert counts["equal"] > 0


def test_few_samples_cannot_be_said_and_every_reason_is_used() -> None:
    """Reasons that no sample has are none: who mends one takes it off the list."""
    total = sum((outcomes(name, is_compared=False)[0] for name in SAY), Counter[str]())
    assert total.keys() - {"equal"} == set(UNSAID)
    assert total.total() - total["equal"] <= MOST_UNSAID * total.total()


def table() -> str:
    """How many samples of each operator are equal, and how many cannot be said, with the reasons."""
    lines, total = [], Counter[str]()
    for name in SAY:
        counts, different = outcomes(name)
        why = ", ".join(f"{count} × {reason}" for reason, count in counts.items() if reason != "equal")
        lines.append(f"{name:<30} {counts['equal']:>5} equal  {len(different):>3} different  {why}")
        total += counts
    unsaid = total.total() - total["equal"]
    lines.append(f"{'all':<30} {total['equal']:>5} equal, {unsaid} unsaid: {unsaid / total.total():.1%}")
    return "\n".join([*lines, *(f"  {name}: {why}" for name, why in UNSAID.items())])


if __name__ == "__main__":
    print(table())  # noqa: T201 (asked for)
