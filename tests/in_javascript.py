"""Programs of JavaScript run in node, and in Python on intervals; networks and runs to write out."""

import json
import math
import shutil
import subprocess
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np

from cases import CASES
from plaingrad.compiler import loops
from plaingrad.compiler.loops import Array
from plaingrad.explaining.alive import Call, Program, program
from plaingrad.explaining.twin import Twin
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.schedule.open import opened
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
from plaingrad.textbook.losses import (
    CrossEntropy,
    HalfSquaredError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    WeightedCrossEntropy,
)

NODE = shutil.which("node")
WEIGHTED = WeightedCrossEntropy((2.0, 0.5, 1.25), label_smoothing=0.25)
LOSSES = (SoftmaxCrossEntropy(), WEIGHTED, CrossEntropy(), MeanSquaredError(), HalfSquaredError())
SCRIPT = (files("plaingrad.explaining") / "page_network.js").read_text("utf-8")


def filled_with(net: Network, rng: np.random.Generator) -> Network:
    """The network with weights large enough that every unit says something."""
    for array in net.arrays.values():
        array[...] = rng.standard_normal(array.shape) / 2
    return net


def run_of(*layers: Any, input: tuple[int, ...], loss: Any, seed: int) -> Run:
    """A run of one image for odd seeds, else of two; without a loss an error is laid at the output."""
    rng = np.random.default_rng(seed)
    net = filled_with(Network(*layers, input=input, dtype="float64"), rng)
    images = rng.standard_normal((2 - seed % 2, *input))
    if loss is None:
        run = Run(net, len(images), None, True, as_written=lambda work: True)
        run.load(images)
        run.forward()
        run.backward(rng.standard_normal(run.output.shape))
        return run
    drawn = rng.random((len(images), *net.output)) + 0.1
    targets = drawn / drawn.sum(axis=1, keepdims=True)
    return net.run(images, targets, loss)


def layer_run(layer: Any, shape: tuple[int, ...], seed: int) -> Run:
    """A layer by itself."""
    return run_of(layer, input=shape, loss=None, seed=seed)


def loss_run(loss: Any, seed: int) -> Run:
    """A loss behind a dense layer, and behind probabilities where it takes their logarithm."""
    more = [Softmax()] if isinstance(loss, CrossEntropy) else []
    return run_of(Dense(3), *more, input=(4,), loss=loss, seed=seed)


def random_run(seed: int) -> Run:
    """A network of up to three random layers on images, then dense ones, with a random loss."""
    rng = np.random.default_rng(seed)
    pick = lambda *options: options[rng.integers(len(options))]  # noqa: E731
    rows, columns = (int(each) for each in rng.integers(6, 10, 2))
    channels = int(rng.integers(1, 3)) * 2
    layers: list[Any] = []
    for _ in range(int(rng.integers(1, 4))):
        size, stride = (int(rng.integers(1, 3)), int(rng.integers(1, 4))), (1, int(rng.integers(1, 3)))
        padding = tuple(int(rng.integers(0, each)) for each in size)
        activation = pick(None, ReLU(), LeakyReLU(0.25))
        conv = Conv(4, size, stride, padding, groups=pick(1, 2), bias=pick(True, False), activation=activation)
        pool = pick(MaxPool, MeanPool, L2Pool)(size, stride, padding)
        layers.append(pick(conv, conv, pool, ReLU(), LeakyReLU(0.5), Sigmoid(), Tanh()))
    loss = pick(*LOSSES)
    end = [Softmax()] if isinstance(loss, CrossEntropy) else []
    dense = Dense(5, bias=pick(True, False), activation=pick(None, ReLU()))
    return run_of(*layers, Flatten(), dense, Dense(3), *end, input=(channels, rows, columns), loss=loss, seed=seed)


def made_cells(made: Program) -> Array:
    """Which cells the calls fill."""
    found = np.zeros(made.cells.size, bool)
    for call in (*made.calls["forward"], *made.calls["backward"]):
        for place in call.fills:
            found[cells_of(call.given[place])] = True
    return found


def cells_of(view: dict[str, Any]) -> Array:
    """The cells of a view."""
    places = product(*map(range, view["shape"]))
    steps = [sum(p * s for p, s in zip(place, view["strides"], strict=True)) for place in places]
    return view["start"] + np.array(steps, int)


def emptied(made: Program) -> Array:
    """The cells with nothing but what is given: what the calls fill is not a number before."""
    return np.where(made_cells(made), np.nan, made.cells)


def in_node(scripts: list[tuple[Program, str]], more: str = "") -> Any:
    """What JavaScript gives for each program, of which `net` is the network with its made cells emptied."""
    parts = [
        SCRIPT,
        "const results = [];",
        "const text = (value) => Object.is(value, -0) ? '-0' : String(value);",
        more,
    ]
    for made, wanted in scripts:
        cells = ", ".join("NaN" if math.isnan(each) else repr(each) for each in emptied(made).tolist())
        given = f"{made.source()}, {json.dumps(made.to_json())}, new Float64Array({made.own})"
        parts.append(
            f"{{ const net = new LiveNetwork({given}); net.cells.set([{cells}]); net.first.set(net.cells); {wanted} }}"
        )
    parts.append("process.stdout.write(JSON.stringify(results));")
    assert NODE
    done = subprocess.run([NODE, "-"], input="\n".join(parts), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


COMPUTED = "net.compute(); results.push(Array.from(net.cells, text));"


def computed(programs: list[Program]) -> list[Array]:
    """All cells of each program as JavaScript computes them."""
    found = in_node([(each, COMPUTED) for each in programs])
    return [np.array([float(each) for each in cells]) for cells in found]


class TooCloseError(Exception):
    """Two numbers that may be equal were compared, so that JavaScript may go another way than Python."""


class Between:
    """Every number from `low` to `high`.

    JavaScript and Python do the same rounded operations in the same order, and rounding keeps order: if each operand
    lies between two numbers, the rounded result lies between the rounded results of the corners. Only exp, log and tanh
    are others: both libraries promise less than one unit in the last place of the exact value, so the one is within two
    units of the other. Where no such function is met, low == high, and the numbers must be the same.
    """

    def __init__(self, low: float, high: float) -> None:
        assert low <= high or low != low, (low, high)
        self.low, self.high = low, high

    @classmethod
    def of(cls, value: Any) -> "Between":
        """A number as it is."""
        return value if isinstance(value, cls) else cls(float(value), float(value))

    def corners(self, other: Any, operation: Any) -> "Between":
        """The rounded results for numbers of both."""
        that = Between.of(other)
        found = [operation(one, two) for one in (self.low, self.high) for two in (that.low, that.high)]
        return Between(min(found), max(found))

    def __add__(self, other: Any) -> "Between":
        return self.corners(other, lambda one, two: one + two)

    def __sub__(self, other: Any) -> "Between":
        return self.corners(other, lambda one, two: one - two)

    def __mul__(self, other: Any) -> "Between":
        return self.corners(other, lambda one, two: one * two)

    def __truediv__(self, other: Any) -> "Between":
        that = Between.of(other)
        assert not that.low <= 0 <= that.high, "a division by what may be 0"
        return self.corners(that, lambda one, two: one / two)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> "Between":
        return Between.of(other) - self

    def __rtruediv__(self, other: Any) -> "Between":
        return Between.of(other) / self

    def __neg__(self) -> "Between":
        return Between(-self.high, -self.low)

    def __abs__(self) -> "Between":
        assert not self.low < 0 < self.high
        return self if self.low >= 0 else -self

    def compared(self, other: Any, test: Any) -> bool:
        """A comparison that is the same for all numbers of both; of one with itself, for each."""
        if other is self:
            return bool(test(self.low, self.low))
        that = Between.of(other)
        answers = {test(one, two) for one in (self.low, self.high) for two in (that.low, that.high)}
        if len(answers) > 1:
            raise TooCloseError
        return bool(answers.pop())

    def __lt__(self, other: Any) -> bool:
        return self.compared(other, lambda one, two: one < two)

    def __le__(self, other: Any) -> bool:
        return self.compared(other, lambda one, two: one <= two)

    def __gt__(self, other: Any) -> bool:
        return self.compared(other, lambda one, two: one > two)

    def __ge__(self, other: Any) -> bool:
        return self.compared(other, lambda one, two: one >= two)

    def __eq__(self, other: object) -> bool:
        return self.compared(other, lambda one, two: one == two)

    def __ne__(self, other: object) -> bool:
        return self.compared(other, lambda one, two: one != two)

    __hash__ = None  # type: ignore[assignment]

    def sqrt(self) -> "Between":
        """√, which is rounded as exactly as + is."""
        return Between(math.sqrt(self.low), math.sqrt(self.high))

    def around(self, function: Any) -> "Between":
        """A rising function that either library gives to a unit in the last place."""
        low, high = function(self.low), function(self.high)
        return Between(low - 2 * math.ulp(low), high + 2 * math.ulp(high))

    def exp(self) -> "Between":
        return self.around(math.exp)

    def log(self) -> "Between":
        return self.around(math.log)

    def tanh(self) -> "Between":
        return self.around(math.tanh)

    def normal_pdf(self) -> "Between":
        """The same expression in both, but for its exponential."""
        return (-self * self / 2).exp() / math.sqrt(2 * math.pi)

    def normal_cdf(self) -> "Between":
        """Python's is right to some units in the last place, and the page's to less than 2⁻⁴⁵.

        It adds up at most a hundred terms of one sign, each at most four roundings from the last: 400 roundings of
        2⁻⁵³, of a sum that is at most ½.
        """
        low, high = loops.normal_cdf(self.low), loops.normal_cdf(self.high)
        return Between(low - 2.0**-44, high + 2.0**-44)


def between(made: Program) -> tuple[Array, Array]:
    """The least and the largest that each cell may be, from what is given, by the texts run in Python."""
    cells = np.array([Between(each, each) for each in emptied(made)], object)
    for call in (*made.calls["forward"], *made.calls["backward"]):
        run_in_python(made, call, cells)
    cells[:] = [Between.of(each) for each in cells]
    return np.array([each.low for each in cells]), np.array([each.high for each in cells])


def run_in_python(made: Program, call: Call, cells: Array) -> None:
    """A call on a row of Python's own numbers."""
    script = made.scripts[call.script]
    given = [seen(cells, each) if isinstance(each, dict) else each for each in call.given]
    opened(script.text, script.axes).function(*given)


def seen(cells: Array, view: dict[str, Any]) -> Array:
    """A view of the row."""
    strides = [each * cells.itemsize for each in view["strides"]]
    return np.lib.stride_tricks.as_strided(cells[view["start"] :], view["shape"], strides)


@cache
def table(seed: int = 1) -> dict[str, Twin]:
    """Every layer in every setting of the table, and every loss."""
    runs = {f"{layer!r} on {shape}": layer_run(layer, shape, seed) for layer, shape in CASES}
    runs |= {repr(loss): loss_run(loss, seed) for loss in LOSSES}
    return {name: Twin(run) for name, run in runs.items()}


@cache
def bounds_of_the_table(seed: int = 1) -> dict[str, tuple[Array, Array]]:
    """The least and the largest that each of their cells may be."""
    return {name: between(program(twin)) for name, twin in table(seed).items()}
