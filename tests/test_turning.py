"""Numbers that are turned are the same numbers, whatever the sides and the registers; what lies beyond them stays."""

import inspect

import numpy as np
import pytest

from plaingrad.compiler.loops import has_numba
from plaingrad.schedule import turning
from plaingrad.textbook.layer import bind
from plaingrad.textbook.text import made

SHAPES = [(1, 1), (1, 9), (9, 1), (2, 3), (3, 17), (8, 8), (16, 33), (32, 10), (10, 32), (31, 65), (100, 7)]


def is_turned(shape, dtype, more=0, plain=True):
    """Whether an array is turned, into one whose rows are so much longer, which it leaves as they are."""
    x = np.random.default_rng(0).integers(-999, 1000, shape).astype(dtype)
    turned = np.full((shape[1], shape[0] + more), 7, dtype)
    nest, known = turning.turning(x, turned)
    bind(nest, "a test", known, plain)()
    return np.array_equal(turned[:, : shape[0]], x.T) and bool((turned[:, shape[0] :] == 7).all())


@pytest.mark.parametrize("registers", [(32, 16), (16, 8), (32, 4)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "object"])
def test_any_shape_is_turned(dtype, registers, monkeypatch):
    monkeypatch.setattr("plaingrad.schedule.tiles.registers", lambda: registers)
    for shape in SHAPES:
        for more in (0, 3):
            assert is_turned(shape, dtype, more), (shape, more)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_so_it_is_by_machine_code(dtype):
    if not has_numba():
        pytest.skip("without Numba nothing is compiled")
    for shape in SHAPES:
        assert is_turned(shape, dtype, 3, plain=False), shape


BROKEN = [
    ("min(part, rows - size)", "part"),
    ("min(piece, columns - size)", "piece"),
    ("min(start + line, columns)", "start + size"),
    ("column * step + row, step", "column * step + row, rows"),
]


@pytest.mark.parametrize(("old", "new"), BROKEN)
def test_a_broken_nest_is_found(old, new, monkeypatch):
    source = inspect.getsource(turning.turn)
    assert old in source
    monkeypatch.setattr(turning, "turn", made(source.replace(old, new), vars(turning), "turn"))
    turning.nest.cache_clear()
    monkeypatch.setattr("plaingrad.schedule.tiles.registers", lambda: (16, 8))

    def fails(shape):
        try:
            return not is_turned(shape, "float32", 3)
        except (IndexError, ValueError):  # it leaves its arrays
            return True

    try:
        assert any(map(fails, SHAPES))
    finally:
        turning.nest.cache_clear()
