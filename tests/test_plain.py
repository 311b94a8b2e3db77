"""Where nests run as Python, no lane is worked at that holds no image, and no bit depends on it."""

import os
import subprocess
import sys

CODE = """
import numpy as np, plaingrad as pg
from plaingrad.network.network import LANES
from plaingrad.network.run import Run
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from plaingrad.network import network
from plaingrad.training import shards

def small():
    layers = pg.Conv(2, activation=pg.ReLU()), pg.MaxPool(2), pg.Flatten(), pg.Dense(3)
    return pg.Network(*layers, input=(1, 6, 6), seed=1)

rng = np.random.default_rng(0)
images, labels = rng.random((5, 1, 6, 6)).astype("f4"), rng.integers(0, 3, 5)
for count in (1, 2, 5):
    net = small()
    lean = net.run(images[:count], labels[:count])
    assert lean.lanes == count, lean.lanes
    wide = Run(net, LANES, SoftmaxCrossEntropy(), input_gradient=True)
    wide.load(images[:count]); wide.forward(); wide.aim(labels[:count]); wide.backward()
    for name in lean.names:
        assert np.asarray(lean[name]).tobytes() == np.asarray(wide[name]).tobytes(), name
data, ends = pg.from_arrays(images, labels, list("abc")), []
for taken in (network.lanes_taken, lambda lanes, images: lanes):
    shards.lanes_taken = taken
    net = small()
    history = pg.train(net, data, epochs=1, batch=64, threads=1)
    ends.append((net.parameters.tobytes(), history[0]["train_loss"], pg.score(net, data)))
assert ends[0] == ends[1]
"""


def test_without_numba_lanes_are_as_many_as_images_and_the_bits_the_same() -> None:
    plain = os.environ | {"PLAINGRAD_PLAIN": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
