"""The machinery of the nests: compiled once for each constant, kept between processes, never stale, or run plain."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import plaingrad
from often import some
from plaingrad.compiler.code_cache import identity
from plaingrad.compiler.loops import CACHE_LINE, ELEMENTARY, ON_ARRAYS, exp, has_numba, loops, sqrt, tanh, zeros
from plaingrad.compiler.loops import log as logarithm
from plaingrad.compiler.machine_code import together
from plaingrad.network.network import LANES, Network
from plaingrad.textbook.layer import bind
from plaingrad.textbook.layers import Conv, Dense, Flatten, LeakyReLU, MaxPool, ReLU
from plaingrad.textbook.losses import HalfSquaredError

PACKAGE = pathlib.Path(plaingrad.__file__).parent


@loops
def scaled(x, y, *, factor):
    for n in range(x.size):
        y[n] = factor * x[n]


@loops
def of_each(x, y):
    for n in range(x.shape[1]):
        y[0, n], y[1, n] = exp(x[0, n]), logarithm(x[1, n])
        y[2, n], y[3, n] = sqrt(x[2, n]), tanh(x[3, n])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, for this process and those it starts."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PLAINGRAD_CACHE_DIR", str(folder))
    monkeypatch.delenv("PLAINGRAD_PLAIN", raising=False)
    return folder


def python(*arguments, path=PACKAGE.parent, **variables):
    """What a new process prints, word by word; it reads modules from `path` first, and leaves none compiled there."""
    environment = os.environ | {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"} | variables
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def contents(folder):
    """Every file of a folder with a digest of what is in it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def scaled_in_process(factor, number="float32"):
    x, y = np.arange(5, dtype=number), np.zeros(5, number)
    scaled.bound([x, y], factor=factor)(x, y)
    return y.tolist()


def test_each_constant_has_its_own_code(cache):
    """In turns, and of any type: a later value does not take the place of an earlier one."""
    for factor in (2, 3, 0.5, 2, 3, 0.5):
        assert scaled_in_process(factor) == [factor * n for n in range(5)]
    assert not has_numba() or any("scaled" in name for name in contents(cache))


def test_a_constant_is_known_by_its_type_too(cache):
    """3 and 3.0 are equal, and yet not the same to a nest: in whole numbers 2^53 + 1 times 3.0 is rounded."""
    x, y = np.array([2**53 + 1]), np.zeros(1, "int64")
    for factor, product in ((3, 3 * 2**53 + 3), (3.0, 3 * 2**53), (3, 3 * 2**53 + 3)):
        scaled.bound([x, y], factor=factor)(x, y)
        assert y.tolist() == [product]


OWN_STEP = """

def step(value, factor):
    return factor * value
"""
OWN_NEST = """
import sys
import numpy as np
from own_step import step
from plaingrad.compiler.loops import loops

TIMES = 1

@loops
def stepped(x, y, *, factor):
    for n in range(x.size):
        y[n] = TIMES * step(x[n], factor)

def run(factor):
    x, y = np.arange(4.0), np.zeros(4)
    stepped.bound([x, y], factor=factor)(x, y)
    print(*map(int, y), "compiled" if "numba" in sys.modules else "loaded" if "llvmlite" in sys.modules else "plain")

if __name__ == "__main__":
    for each in sys.argv[1:]:
        run(int(each))
"""


@pytest.fixture
def own(tmp_path):
    """A user's own nest and shared step, in two files, beside a copy of the package."""
    (tmp_path / "own_step.py").write_text(OWN_STEP)
    (tmp_path / "own_nest.py").write_text(OWN_NEST)
    shutil.copytree(PACKAGE, tmp_path / "plaingrad", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def multiples(factor, how="compiled"):
    """What a process prints, and where it had its machine code from."""
    return [*(str(factor * n) for n in range(4)), how]


@pytest.mark.often(1)
def test_processes_share_compiled_nests_and_tell_constants_apart(own, cache):
    """Every process has its own results, and one that asks for nothing new leaves the files as they are."""
    assert python(own / "own_nest.py", 2, path=own) == multiples(2)
    one = contents(cache)
    assert python(own / "own_nest.py", 3, path=own) == multiples(3)
    two = contents(cache)
    assert len(two) > len(one) > 0
    again = [word for factor in (2, 3, 2) for word in multiples(factor, "loaded")]
    assert python(own / "own_nest.py", 2, 3, 2, path=own) == again
    assert contents(cache) == two


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


OWN_MENDED = some([("TIMES = 1", "TIMES = 2"), ("= TIMES * step", "= 2 * step")], lambda place: place == 0)


@pytest.mark.parametrize(("old", "new"), OWN_MENDED)
@pytest.mark.often(1)
def test_an_own_nest_that_was_mended_is_compiled_anew(own, cache, old, new):
    """Itself, or a number beside it that was compiled into it."""
    assert python(own / "own_nest.py", 2, path=own) == multiples(2)
    edit(own / "own_nest.py", old, new)
    assert python(own / "own_nest.py", 2, path=own) == multiples(4)


@pytest.mark.long
def test_an_own_shared_step_that_was_mended_is_compiled_anew(own, cache):
    """Though the nest that calls it stands in another file, which did not change."""
    assert python(own / "own_nest.py", 2, path=own) == multiples(2)
    edit(own / "own_step.py", "return factor * value", "return factor * value + factor * value")
    assert python(own / "own_nest.py", 2, path=own) == multiples(4)


PACKAGE_NEST = """
import numpy as np
import plaingrad

net = plaingrad.Network(plaingrad.Dense(1, activation=plaingrad.ReLU()), input=(1,))
net["dense1"].w[:] = 1
print(plaingrad.__file__, int(net.run(np.ones((1, 1)))["dense1"].y[0, 0]))
"""


MENDED = {
    "a text": (
        "textbook/layers/activation.py",
        "y[place] = 0 if x[place] <= 0 else x[place]",
        "y[place] = x[place] if x[place] <= 0 else 0",
        "0",
    ),
    "a nest": ("schedule/nests.py", "            for c in range(inputs):\n", "            for c in range(0):\n", "0"),
}


@pytest.mark.parametrize("which", some(MENDED, lambda place: place == 0))
@pytest.mark.often(1)
def test_a_text_or_a_nest_of_the_package_that_was_mended_is_compiled_anew(own, cache, which):
    """ReLU's text stands in another file than the nest of a dense layer, into which it is compiled."""
    file, old, new, number = MENDED[which]
    where = str(own / "plaingrad" / "__init__.py")
    (own / "script.py").write_text(PACKAGE_NEST)
    assert python(own / "script.py", path=own) == [where, "1"]
    edit(own / "plaingrad" / file, old, new)
    assert python(own / "script.py", path=own) == [where, number]
    assert python(own / "script.py", path=own) == [where, number]


PLAIN = """
import json
import sys
import numpy as np
from plaingrad.compiler.loops import has_numba
from plaingrad.textbook.losses import HalfSquaredError
from plaingrad.network.network import Network

folder = sys.argv[1]
given = np.load(folder + "/given.npz")
net = Network.from_json(json.load(open(folder + "/net.json", encoding="utf-8")))
net.parameters[:] = given["parameters"]
run = net.run(given["images"], given["targets"], HalfSquaredError())
np.savez(folder + "/plain.npz", **{name: run[name] for name in run.names})
print(has_numba(), "compiled" if "numba" in sys.modules else "loaded" if "llvmlite" in sys.modules else "plain")
"""


def test_plain_runs_give_the_same_numbers(tmp_path):
    """A whole shard, forward and back, without Numba: on numbers from -1 to 1, so that all sums are exact in float32.

    Outputs: |conv| ≤ 4 + 1, |dense1| ≤ 16 · 5 + 1 = 81, |dense2| ≤ 2 · 81 + 1, so an error is at most 164. The largest
    sum is that of dense2.dw, 164 · 81 < 2^14, and all are multiples of 2^-9: a leak of 1/4 forward and one back, and a
    weight of 1/32 an image. That is 23 bits of 24.
    """
    rng = np.random.default_rng(0)
    layers = (
        *(Conv(4, size=2, padding=1, activation=ReLU()), MaxPool(2), Flatten()),
        *(Dense(2, activation=LeakyReLU(0.25)), Dense(3)),
    )
    net = Network(*layers, input=(1, 3, 4))
    net.parameters[:] = rng.integers(-1, 2, net.parameters.size)
    images = rng.integers(-1, 2, (LANES, *net.input)).astype("float32")
    targets = rng.integers(-1, 2, (LANES, 3)).astype("float32")
    run = net.run(images, targets, HalfSquaredError())
    np.savez(tmp_path / "given.npz", parameters=net.parameters, images=images, targets=targets)
    (tmp_path / "net.json").write_text(json.dumps(net.to_json()), encoding="utf-8")
    (tmp_path / "plain.py").write_text(PLAIN)
    assert python(tmp_path / "plain.py", tmp_path, PLAINGRAD_PLAIN="1") == ["False", "plain"]
    with np.load(tmp_path / "plain.npz") as plain:
        assert set(plain) == set(run.names)
        for name in run.names:
            assert plain[name].dtype == run[name].dtype, name
            np.testing.assert_array_equal(plain[name], run[name], err_msg=name)
            steps = run[name].astype("float64") * 2**9
            assert (steps == steps.round()).all(), name
            assert abs(steps).max() < 2**23, name
    assert all(run[name].any() for name in run.names if ".d" in name)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    """A folder below a file cannot be made, by anybody."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("PLAINGRAD_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert scaled_in_process(7, "float64") == [7.0 * n for n in range(5)]
    assert (tmp_path / "file").read_text() == "not a folder"


AT_A_PROMPT = """
import sys
import numpy as np
from plaingrad.compiler.loops import loops

@loops
def first(x, y):
    for n in range(x.size):
        y[n] = x[n] + x[n]

x, y = np.arange(4.0), np.zeros(4)
first.bound([x, y])(x, y)
print(*map(int, y), "compiled" if "numba" in sys.modules else "loaded" if "llvmlite" in sys.modules else "plain")

def tripled(value):
    return 3 * value

@loops
def second(x, y):
    for n in range(x.size):
        y[n] = tripled(x[n])

if {also}:
    second.bound([x, y])(x, y)
    print(*map(int, y), "compiled" if "numba" in sys.modules else "loaded" if "llvmlite" in sys.modules else "plain")
"""


def test_a_nest_typed_at_a_prompt_is_compiled(cache):
    """It is known by what it says, not by a file: kept, and found again by the next process."""
    assert python("-c", AT_A_PROMPT.format(also=False)) == multiples(2)
    kept = contents(cache)
    assert kept
    assert python("-c", AT_A_PROMPT.format(also=False)) == multiples(2, "loaded")
    assert contents(cache) == kept


def test_a_shared_step_may_come_after_the_first_nest_was_compiled(cache):
    """As in a notebook, where a first network runs before an own layer is written."""
    assert python("-c", AT_A_PROMPT.format(also=True)) == [*multiples(2), *multiples(3)]


def test_objects_run_plain():
    """Whatever adds and multiplies: here, strings and lists, which Numba could not take."""
    x, y = np.array(["ab", [1]], object), np.zeros(2, object)
    scaled.bound([x, y], factor=2)(x, y)
    assert y.tolist() == ["abab", [1, 1]]


def test_elementary_functions_are_the_same_plain_and_compiled_at_their_ends():
    """Where they leave the numbers or are exact: infinity, not an exception."""
    x = np.array([[1000, -1000, 0], [0, 1, np.inf], [4, 0, np.inf], [-np.inf, 0, 1000]])
    ends = [[np.inf, 0, 1], [-np.inf, 0, np.inf], [2, 0, np.inf], [-1, 0, 1]]
    compiled, plain = np.zeros((4, 3)), np.zeros((4, 3), object)
    of_each.bound([x, compiled])(x, compiled)
    of_each.bound([x, plain])(x, plain)
    assert compiled.tolist() == plain.tolist() == ends


@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions_of_numbers_never_raise(name):
    """As on whole arrays: beyond where they are defined is nan."""
    for value in (-np.inf, -1e300, -1.0, -0.0, 0.0, 5e-324, 1.0, 1e300, np.inf, np.nan):
        with np.errstate(all="ignore"):
            whole = float(ON_ARRAYS[name](np.array(value)))
        # NumPy's functions are within a few units of those of `math`.
        np.testing.assert_allclose(float(ELEMENTARY[name](value)), whole, rtol=1e-14)


def test_a_misspelt_argument_is_told_at_once():
    @loops
    def misspelt(x, yy, *, lanes):
        raise NotImplementedError

    known = {"x": np.zeros(1), "y": np.zeros(1), "lanes": 1}
    with pytest.raises(TypeError, match=r"ReLU\(\): misspelt asks for 'yy', .* Did you mean 'y'\?"):
        bind(misspelt, ReLU(), known)
    with pytest.raises(TypeError, match=r"asks for 'lanes', which nothing provides\. It can ask for x, yy\."):
        bind(misspelt, ReLU(), {"x": np.zeros(1), "yy": np.zeros(1)})


def test_a_misspelt_constant_is_told_at_once():
    with pytest.raises(TypeError, match=r"scaled asks for 'factor', .* Did you mean 'factors'"):
        bind(scaled, "owner", {"x": np.zeros(1), "y": np.zeros(1), "factors": 1})


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5, 11)])
def test_zeros_start_on_a_cache_line(shape, dtype):
    made = [zeros(shape, dtype) for _ in range(5)]
    for array in made:
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.ctypes.data % CACHE_LINE == 0
        assert array.flags["C_CONTIGUOUS"]
        assert not array.any()


OWN_WITH_SETTINGS = """
from settings import SCALE
import numpy as np
from plaingrad.compiler.loops import loops

@loops
def own(x, y):
    for n in range(x.size):
        y[n] = SCALE * x[n]

x, y = np.ones(1, np.float32), np.zeros(1, np.float32)
own.bound([x, y])(x, y)
print(y[0])
"""


@pytest.mark.long
def test_a_constant_of_another_module_is_part_of_what_a_nest_says(cache, tmp_path):
    (tmp_path / "own.py").write_text(OWN_WITH_SETTINGS, encoding="utf-8")
    for scale in (2, 3):
        (tmp_path / "settings.py").write_text(f"SCALE = {scale}\n", encoding="utf-8")
        assert python(tmp_path / "own.py") == [f"{scale}.0"]


def flipped(content):
    """One bit of the object code another."""
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize(
    "damage",
    some(
        [lambda content: b"", lambda content: content[:40], lambda content: content[:-1], flipped],
        lambda place: place == 3,
    ),
)
def test_a_damaged_file_is_compiled_anew(cache, tmp_path, damage):
    """As after a power cut, empty or cut short, or with one bit that fell over."""
    (tmp_path / "own.py").write_text(OWN_WITH_SETTINGS, encoding="utf-8")
    (tmp_path / "settings.py").write_text("SCALE = 5\n", encoding="utf-8")
    assert python(tmp_path / "own.py") == ["5.0"]
    kept = contents(cache)
    for path in cache.glob("*.code"):
        path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):
        assert python(tmp_path / "own.py") == ["5.0"]
    assert contents(cache).keys() == kept.keys()


SAID = """
import enum

class Kind(enum.IntEnum):
    FEW = {number}

K = {number}

def by_default(x, k={number}):
    return x * k

def by_keyword(x, *, k={number}):
    return x * k

def inside(x):
    return (lambda value: value * K)(x)

def of_a_class(x):
    return x * Kind.FEW

def of_a_tuple(x):
    return x * MANY[0]

MANY = ({number}, (1, 2))
"""


@pytest.mark.parametrize("name", ["by_default", "by_keyword", "inside", "of_a_class", "of_a_tuple"])
def test_what_a_function_says_changes_with_any_number_it_takes(name):
    """Else a nest would be loaded that was compiled with another."""

    def said(number):
        known = {"__name__": "own"}
        exec(SAID.format(number=number), known)
        return identity(known[name])

    assert said(2) == said(2) != said(3)


@pytest.mark.long
def test_a_file_that_holds_another_nest_s_code_is_compiled_anew(cache, tmp_path):
    (tmp_path / "own.py").write_text(OWN_WITH_SETTINGS, encoding="utf-8")
    (tmp_path / "settings.py").write_text("SCALE = 5\n", encoding="utf-8")
    assert python(tmp_path / "own.py") == ["5.0"]
    (file,) = cache.glob("*.code")
    (tmp_path / "settings.py").write_text("SCALE = 7\n", encoding="utf-8")
    assert python(tmp_path / "own.py") == ["7.0"]
    (other,) = set(cache.glob("*.code")) - {file}
    shutil.copy(file, other)
    assert python(tmp_path / "own.py") == ["7.0"]


@loops
def returning(x, y):
    y[0] = x[0]
    return 1, 2, 3


@pytest.mark.skipif(not has_numba(), reason="a plain nest may return what it likes")
def test_a_nest_that_returns_something_is_refused():
    """Its machine code would write it where there is room for one word."""
    with pytest.raises(TypeError, match="a nest returns nothing"):
        returning.bound([np.ones(1), np.ones(1)])


@pytest.mark.skipif(not has_numba() or sys.platform != "linux", reason="compiled by one process here")
@pytest.mark.parametrize("trouble", ["os.fork", "os.waitpid"])
@pytest.mark.often(1)
def test_code_is_compiled_where_no_process_can_help(cache, monkeypatch, trouble):
    def fails(*given):
        raise (OSError if trouble == "os.fork" else ChildProcessError)(10, "no")

    monkeypatch.setattr(trouble, fails)
    monkeypatch.setattr("plaingrad.compiler.machine_code.processors", lambda: 2)
    monkeypatch.setattr("plaingrad.compiler.machine_code.MADE", {})
    factors = range(50, 60) if trouble == "os.fork" else range(60, 70)  # what a process has bound is not made again
    made = together(lambda: [scaled.bound([np.zeros(5), np.zeros(5)], factor=factor) for factor in factors])
    x, y = np.ones(5), np.zeros(5)
    assert len(contents(cache)) == len(factors)
    for factor, nest in zip(factors, made, strict=True):
        nest(x, y)
        assert y.tolist() == [factor] * 5


WHOLE_TRAINING = """
import sys
from plaingrad.cli.main import main
from plaingrad.compiler import machine_code

machine_code.processors = lambda: 2
try:
    main([*sys.argv[1:], "--json"])
finally:
    print("\\n", "numba" in sys.modules)
"""


@pytest.mark.skipif(not has_numba() or sys.platform != "linux", reason="compiled by one process here")
def test_a_first_training_is_compiled_by_others_whole(cache, tmp_path):
    """What its evaluation and its report need is known before it begins: Numba is never loaded where it trains."""
    (tmp_path / "script.py").write_text(WHOLE_TRAINING)
    settings = ["train", "--data", "digits", "--epochs", "1", "--out", tmp_path / "run"]
    *_, is_loaded = python(tmp_path / "script.py", *settings)
    assert is_loaded == "False"
    assert contents(cache)
    assert (tmp_path / "run" / "report.html").exists()
