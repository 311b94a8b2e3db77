"""A layer of one's own does what its text says, whether there are fast nests for it or not; no near miss gets one."""

import numpy as np
import pytest

import plaingrad as pg
from plaingrad import Layer
from plaingrad.checking.laws import check_adjoint, check_compiled, points, run_through, single_layer_run
from plaingrad.compiler.machine_code import has_numba
from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import Saved
from plaingrad.textbook.layers import Conv, Dense
from plaingrad.textbook.text import made, places
from test_layers import quarters

pytestmark = pytest.mark.filterwarnings("ignore:.*compiled as it stands:UserWarning")

DENSE_FORWARD = [
    ("w[k, c] * x[n, c]", "w[k, c] * x[n, c] * x[n, c]"),  # a factor more, of a form that is there already
    ("w[k, c] * x[n, c]", "w[k, c] * w[k, c]"),
    ("w[k, c] * x[n, c]", "w[k, c]"),
    ("y[n, k] = b[k]", "y[n, k] = 0"),  # another beginning
    ("y[n, k] = b[k]", "y[n, k] = x[n, k]"),
    ("y[n, k] = b[k]", "y[n, k] = w[k, 0]"),
    ("places(w[k])", "range(y.shape[1])"),  # a part of what there is
    ("y[n, k] +=", "if 0 <= c < y.shape[1]:\n                y[n, k] +="),
    ("x[n, c]", "x[0, c]"),  # another image's
    ("y[n, k] +=", "for i in range(y.shape[1]):\n                y[n, k] +="),  # again and again
    ("w[k, c] * x[n, c]", "w[k, c] * x[n, k]"),
    ("y[n, k] += w", "y[n, k] -= w"),
]
DENSE_BACKWARD = [
    ("db[k] += dy[n, k]", "db[k] += dy[n, k] * dy[n, k]"),
    ("db[k] += dy[n, k]", "db[k] += dy[n, k] * x[n, k]"),
    ("dw[k, c] += dy[n, k] * x[n, c]", "dw[k, c] += dy[n, k] * x[n, c] * x[n, c]"),
    ("dw[k, c] += dy[n, k] * x[n, c]", "dw[k, c] += dy[n, k] * x[n, k]"),
    ("dx[n, c] += dy[n, k] * w[k, c]", "dx[n, c] += dy[n, c] * w[c, k] if c < dy.shape[1] else 0"),
    ("dx[n, c] += dy[n, k] * w[k, c]", "dx[n, c] += w[k, c]"),
    ("        for c in places(w[k])", "        for c in range(dy.shape[1])"),
    ("dw[k, c] +=", "db[k] += dy[n, k]\n            dw[k, c] +="),  # added to in two places
]
CONV_FORWARD = [
    ("w[k, c, u, v] * x[n, c, row, column]", "w[k, c, u, v] * x[n, c, i, j]"),
    ("w[k, c, u, v] *", "w[k, c, v, u] *"),
    ("x[n, c, row, column]", "x[n, c, row, column] * x[n, c, row, column]"),
    ("y[n, k, i, j] = b[k]", "y[n, k, i, j] = 0"),
    ("window(i, j)", "window(j, i)"),
    ("y[n, k, i, j] +=", "if 0 <= u < x.shape[1]:\n                    y[n, k, i, j] +="),
]
CONV_BACKWARD = [
    ("        db[k] += dy[n, k, i, j]\n", ""),
    ("dw[k, c, u, v] +=", "db[k] += dy[n, k, i, j]\n                dw[k, c, u, v] +="),
    ("dx[n, c, row, column] +=", "dx[n, c, i, j] +="),
    ("dy[n, k, i, j] * w[k, c, u, v]", "dy[n, k, i, j] * w[k, c, v, u]"),
    ("dw[k, c, u, v] += dy[n, k, i, j] *", "dw[k, c, u, v] += dy[n, k, i, j] * dy[n, k, i, j] *"),
]
MISSES = [
    *((Dense(3), (5,), "forward", *change) for change in DENSE_FORWARD),
    *((Dense(3), (5,), "backward", *change) for change in DENSE_BACKWARD),
    *((Conv(3, size=3, padding=1), (2, 4, 4), "forward", *change) for change in CONV_FORWARD),
    *((Conv(3, size=3, padding=1), (3, 4, 4), "backward", *change) for change in CONV_BACKWARD),
]


def changed(layer, way, old, new):
    """The layer with a piece of its text replaced, as a kind of its own."""
    text = getattr(layer, way)
    own = type("Own", (type(layer),), {"__module__": __name__, way: text.edited((old, new))})
    return own(**layer.settings())


@pytest.mark.parametrize(
    ("layer", "shape", "way", "old", "new"), MISSES, ids=[f"{each[0]} {each[2]}: {each[4]}" for each in MISSES]
)
def test_a_text_that_is_nearly_that_of_a_layer_does_what_it_says(layer, shape, way, old, new):
    """Beside itself as Python, on numbers whose sums are exact; and it differs from the layer's own."""
    own = changed(layer, way, old, new)
    runs = [
        (single_layer_run(each, shape, dtype)) for each, dtype in ((own, "float64"), (own, object), (layer, "float64"))
    ]
    rng = np.random.default_rng(0)
    given = {name: quarters(rng, runs[0][1][name].shape, "float64") for name in points(runs[0][0])}
    dy = quarters(rng, runs[0][1]["y"].shape, "float64")
    found, plain, usual = (run_through(run, record, given, dy) for run, record in runs)
    for name in found:
        np.testing.assert_array_equal(found[name], plain[name].astype("float64"), err_msg=name)
    assert any((found[name] != usual[name]).any() for name in found)


class Wide(Dense):
    """A dense layer that was given more weights than its input has features."""

    def weights(self, x):
        return super().weights((x[0] + 3,))


def test_arrays_that_disagree_are_refused_before_a_nest_reads_past_one():
    with pytest.raises(ShapeError, match=r"along c in dense_forward w has 8 places and x has 5; let weights\(\)"):
        single_layer_run(Wide(3), (5,), "float32")


def clipped_forward(x, y):
    for n, c, i, j in places(y):
        y[n, c, i, j] = x[n, c, i, j] if abs(x[n, c, i, j]) < 1 else (1 if x[n, c, i, j] >= 1 else -1)


def clipped_backward(dy, x, dx):
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = dy[n, c, i, j] if abs(x[n, c, i, j]) < 1 else 0


class Clipped(Layer):
    """Slope 1 between -1 and 1 and none elsewhere, said with every comparison there is."""

    forward = clipped_forward
    backward = clipped_backward


def test_a_text_may_compare_and_take_sizes_as_it_likes():
    """In fractions with slopes, compiled within the bound that decimals carry, and explained."""
    rng = np.random.default_rng(0)
    check_adjoint(Clipped(), (1, 2, 3), rng)
    check_compiled(Clipped(), (1, 2, 3), "float32", rng)
    net = pg.Network(Clipped(), pg.Flatten(), pg.Dense(2), input=(1, 2, 3), seed=1)
    run = net.run(np.float32([[[[0.5, -2, 3], [0.25, -0.75, -1]]]]), [1])
    told = [run.explain(f"clipped1.{name}[0,0,{place}]") for name in ("y", "dx") for place in range(3)]
    for each in told:
        assert each.value == each.run_value or abs(each.value - each.run_value) <= each.bound
    assert any("<" in str(each) or ">" in str(each) for each in told)


def asking_for_more(x, y, factor):
    for n, c, i, j in places(y):
        y[n, c, i, j] = factor * x[n, c, i, j]


def with_a_window(dy, dx, window):
    for n, c, i, j in places(dx):
        dx[n, c, i, j] = dy[n, c, i, j]


@pytest.mark.parametrize(
    ("forward", "backward", "told"),
    [
        (asking_for_more, clipped_backward, r"Own\(\): asking_for_more asks for 'factor', which nothing provides"),
        (clipped_forward, with_a_window, r"asks for 'window', .* State it: def constants\(self, x\): return"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", object])
def test_an_argument_that_nothing_provides_is_told(forward, backward, told, dtype):
    own = type("Own", (Layer,), {"__module__": __name__, "forward": forward, "backward": backward})
    net = pg.Network(own(), input=(1, 2, 3), dtype=dtype)
    with pytest.raises(TypeError, match=told):
        net.run(np.zeros((1, 1, 2, 3)))


def test_a_layer_without_a_way_back_or_places_is_refused():
    half = type("Half", (Layer,), {"__module__": __name__, "forward": clipped_forward})
    with pytest.raises(pg.SettingError, match=r"half1 = Half\(\) has no backward"):
        pg.Network(half(), input=(1, 2, 3))
    none = type("Nothing", (Clipped,), {"__module__": __name__, "output": lambda self, x: (x[0], 0, x[2])})
    with pytest.raises(ShapeError, match="every axis needs at least 1"):
        pg.Network(none(), input=(1, 2, 3))


TEXTS = {
    "set as a whole before": "y[:] = 0\nfor p in places(y):\n    y[p] += x[p]",
    "two loops": "for p in places(y):\n    y[p] = x[p] * x[p]\nfor p in places(y):\n    y[p] = y[p] + 1",
    "a name before the loop": "k = 3\nfor p in places(y):\n    y[p] = x[p] * k",
    "pairs exchanged": "for n, c, i, j in places(y):\n    p, q = x[n, c, i, j], 1\n    p, q = q, p\n"
    "    y[n, c, i, j] = p - 2 * q",
    "cells exchanged": "for p in places(y):\n    y[p] = x[p]\nfor n in range(y.shape[0]):\n"
    "    y[n, 0, 0, 0], y[n, 0, 0, 1] = y[n, 0, 0, 1], y[n, 0, 0, 0]",
    "names left out": "for n, _, i, _ in places(y):\n    y[n, 0, i, 0] = x[n, 0, i, 1]\n"
    "    y[n, 0, i, 1] = 2\n    y[n, 0, i, 2] = 3",
    "any sign before =": "for p in places(y):\n    y[p] = x[p]\nfor n, c, i, j in places(y):\n    y[n, c, i, j] **= 2",
    "a place taken apart": "for p in places(x):\n    n, c, i, j = p\n    y[n, c, i, j] = x[n, c, i, j]",
    "a sum that begins anew": "for n, c, i, j in places(y):\n    for s in range(x.shape[3]):\n"
    "        y[n, c, i, j] = 0\n"
    "        y[n, c, i, j] += x[n, c, i, s]",
}
REFUSED = {
    "a break": "for n, c, i, j in places(y):\n    y[n, c, i, j] = 1\n    if x[n, c, i, j] < 0:\n        break",
    "a sum with a condition": "for n, c, i, j in places(y):\n\n"
    "    s = sum(x[n, c, i, v] for v in places(x[n, c, i]) if v > 0)\n"
    "    y[n, c, i, j] = s",
    "an else": "for p in places(y):\n    y[p] = x[p]\nelse:\n    y[0, 0, 0, 0] = 7",
    "brackets behind brackets": "for n, c, i, j in places(y):\n    y[n][c][i][j] = x[n, c, i, j]",
}


def with_text(body):
    """A layer whose forward says this."""
    source = "def own_forward(x, y):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    forward = made(source, {**globals()}, "own_forward")
    return type("Own", (Layer,), {"__module__": __name__, "forward": forward, "backward": clipped_backward})()


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_text_says_is_what_is_compiled(name):
    rng = np.random.default_rng(0)
    images = quarters(rng, (2, 1, 2, 3), "float64")
    runs = [pg.Network(with_text(TEXTS[name]), input=(1, 2, 3), dtype=dtype) for dtype in ("float64", object)]
    found, plain = ((net.run(images), net.run(images))[1]["own1"].y for net in runs)  # twice: nothing may be left over
    np.testing.assert_array_equal(found, plain.astype("float64"))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_laid_open_is_refused_with_its_line(name):
    if not has_numba():
        pytest.skip("as Python it runs as it stands")
    net = pg.Network(with_text(REFUSED[name]), input=(1, 2, 3))
    with pytest.raises(pg.SettingError, match=r"line \d+ of own_forward says `"):
        net.run(np.zeros((1, 1, 2, 3)))


def test_what_cannot_be_compiled_is_one_line():
    if not has_numba():
        pytest.skip("as Python it runs as it stands")
    net = pg.Network(
        with_text("for n, c, i, j in places(y):\n    y[n, c, i, j] = sorted(x[n, c, i])[j]"), input=(1, 2, 3)
    )
    with pytest.raises(pg.SettingError, match=r"^own_forward cannot be compiled: [^\n]+$"):
        net.run(np.zeros((1, 1, 2, 3)))


BEGINNINGS = [
    (Dense(3), (5,), "forward", "        y[n, k] = b[k]\n        for c in places(w[k]):\n            y[n, k] +=",
     "        for c in places(w[k]):\n            y[n, k] = b[k]\n            y[n, k] +="),
    (Dense(3), (5,), "backward", "    for n, k in places(dy):\n", "    for n, k in places(dy):\n        dw[:] = 0\n"),
    (Dense(3), (5,), "backward", "        for c in places(w[k]):\n",
     "        for c in places(w[k]):\n            dx[n, k] = 0\n"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "way", "old", "new"), BEGINNINGS)
def test_a_sum_that_begins_elsewhere_does_what_it_says(layer, shape, way, old, new):
    test_a_text_that_is_nearly_that_of_a_layer_does_what_it_says(layer, shape, way, old, new)


def shuffled(x, y, groups):
    for n, c, i, j in places(y):
        y[n, c, i, j] = x[n, (c % groups) * (x.shape[1] // groups) + c // groups, i, j]


class Shuffled(Layer):
    """Its groups are a setting like any other."""

    groups: int = 2
    forward = shuffled
    backward = clipped_backward


def test_a_setting_may_have_any_name():
    net = pg.Network(Shuffled(), input=(6, 1, 1), dtype="float64")
    found = net.run(np.arange(6.0).reshape(1, 6, 1, 1))["shuffled1"].y
    assert found.reshape(-1).tolist() == [0, 3, 1, 4, 2, 5]


def test_a_constant_that_changed_is_seen():
    seen = []
    for factor in (2.0, 5.0):
        made_of = made(
            "def own_forward(x, y):\n    for p in places(y):\n        y[p] = x[p] * FACTOR\n", NAMES, "own_forward"
        )
        KEPT.setdefault("layer", type("Own", (Layer,), {"forward": made_of, "backward": clipped_backward}))
        NAMES["FACTOR"] = factor
        seen.append(pg.Network(KEPT["layer"](), input=(1, 1, 1)).run(np.ones((1, 1, 1, 1)))["own1"].y.item())
    assert seen == [2.0, 5.0]


NAMES, KEPT = {"places": places, "__name__": __name__, "FACTOR": 2.0}, {}


def smaller(x, y, m):
    for p in places(x):
        m[p] = x[p]
        y[p] = m[p]


class Smaller(Layer):
    """What it saves is too small for its text."""

    forward = smaller
    backward = clipped_backward

    def saved(self, x):
        return {"m": Saved((1,))}


def test_arrays_of_other_sizes_are_refused_before_memory_is_written():
    with pytest.raises(
        ShapeError, match=r"smaller takes one place of arrays that differ: m \(\d+, 1\), x \(\d+, 4, 8, 8\)"
    ):
        pg.Network(Smaller(), input=(4, 8, 8)).run(np.ones((1, 4, 8, 8)))


HALF = 0.5


def halved_forward(x, y):
    for p in places(y):
        y[p] = HALF * x[p] if x[p] <= 0 else x[p]


def halved_backward(dy, y, dx):
    for p in places(dx):
        dx[p] = HALF * dy[p] if y[p] <= 0 else dy[p]


class Halved(pg.ReLU):
    """A slope that is no setting, but a constant of its module."""

    forward = halved_forward
    backward = halved_backward


@pytest.mark.parametrize("layer", [Conv(2), Dense(2)], ids=str)
def test_an_activation_that_is_not_done_to_tiles_is_done_beside_them(layer):
    """To the bit what the leaky ReLU of the same slope makes, which is laid into the nest."""
    shape = (1, 4, 4) if isinstance(layer, Conv) else (5,)
    runs = []
    for activation in (Halved(), pg.LeakyReLU(slope=0.5)):
        own = layer.replace(activation=activation)
        net = pg.Network(own, *([pg.Flatten()] if len(shape) == 3 else []), pg.Dense(3), input=shape, seed=1)
        for name, other in net.arrays.items():
            other[...] = np.random.default_rng(len(name)).normal(size=other.shape)
        images = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
        run = net.run(images, [0, 1, 2, 0])
        (first, *_) = net.steps
        runs.append([run[f"{first}.{name}"] for name in ("y", "dz", "dw", "db", "dx")])
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)
