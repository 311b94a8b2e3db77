"""On every kind of processor the sums of a tile stay in its registers, in whole vectors: read off the machine code."""

import pytest

from often import some
from plaingrad import Conv, Dense, ReLU
from plaingrad.schedule import tiles

pytest.importorskip("numba", reason="without Numba nothing is compiled")

from assembly import TARGETS, loops_of

LANES = 32
LAYERS = [
    (Conv(20, size=5), (1, 28, 28)),
    (Conv(50, size=5), (20, 12, 12)),
    (Conv(64), (32, 26, 26)),
    (Conv(32, padding=1, activation=ReLU()), (32, 32, 32)),
    (Conv(24, size=7, stride=2, padding=3), (3, 48, 48)),
    (Conv(64, size=1), (64, 16, 16)),
    (Conv(7, size=(2, 11), dilation=(2, 1)), (5, 9, 30)),
    (Dense(512, activation=ReLU()), (784,)),
    (Dense(10), (512,)),
]
WAYS = "made", "gathered", "scattered"


@pytest.mark.parametrize(
    ("layer", "shape", "kind"),
    some([(*each, kind) for each in LAYERS for kind in TARGETS], lambda place: place == 12, str),
)
def test_inner_loops_hold_their_sums_in_whole_vectors(layer, shape, kind):
    found = loops_of(layer, shape, LANES, TARGETS[kind])
    assert {name.removeprefix("winograd_").removeprefix("dense_") for name in found} == {*WAYS}
    for name, loops in found.items():
        if name.startswith("winograd"):  # transforms, which store what they make, are no tiles of sums
            loops = [loop for loop in loops if not loop.stores]
        assert loops, name
        for loop in loops:
            assert loop.whole == loop.multiply_adds, (name, loop)
            assert not loop.spills, (name, loop)


def test_a_tile_too_large_for_the_registers_is_seen(monkeypatch):
    monkeypatch.setattr(tiles, "best_block", lambda count, across, most: 8)
    found = loops_of(Conv(32, size=7, dilation=2), (3, 16, 16), LANES, TARGETS["AVX2"], "made")
    assert any(loop.spills for loop in found["made"])


def test_numbers_taken_one_by_one_are_seen():
    """Three images to a run: vectors of three numbers are no whole ones."""
    found = loops_of(Conv(4, size=3), (2, 6, 6), 3, TARGETS["AVX2"], "made")
    assert any(loop.whole < loop.multiply_adds for loop in found["made"])
