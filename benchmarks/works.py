"""What is measured: the networks, their batches and threads, and how many operations a work has."""

from collections.abc import Callable
from zlib import crc32

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.network.models import model
from plaingrad.network.network import Network
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, ReLU

SEED = 2026
BATCHES = 4  # different ones, taken in turn
CLASSES = 10
THREADS = (2, 1)


def two_convolutions() -> Network:
    """Two 5×5 convolutions, each with a pool, and one dense layer."""
    return Network(
        *(Conv(16, size=5, padding=2, activation=ReLU()), MaxPool(2)),
        *(Conv(32, size=5, padding=2, activation=ReLU()), MaxPool(2)),
        *(Flatten(), Dense(CLASSES)),
        input=(1, 28, 28),
        name="two-conv",
    )


def colour() -> Network:
    """Four 3×3 convolutions for colour images of 32×32."""
    return Network(
        *(Conv(filters, size=3, padding=1, activation=ReLU()) for filters in (32, 32)),
        MaxPool(2),
        *(Conv(filters, size=3, padding=1, activation=ReLU()) for filters in (64, 64)),
        *(MaxPool(2), Flatten(), Dense(128, activation=ReLU()), Dense(CLASSES)),
        input=(3, 32, 32),
        name="colour",
    )


def wide_dense() -> Network:
    """No convolution: 784, 512 and 10 units."""
    return Network(Flatten(), Dense(512, activation=ReLU()), Dense(CLASSES), input=(1, 28, 28), name="mlp-512")


def odd() -> Network:
    """Numbers of channels that no vector divides, and a large dense layer."""
    return Network(
        *(Conv(filters, size=3, activation=ReLU()) for filters in (20, 20)),
        MaxPool(2),
        *(Conv(filters, size=3, activation=ReLU()) for filters in (50, 50)),
        *(MaxPool(2), Flatten(), Dense(256, activation=ReLU()), Dense(CLASSES)),
        input=(1, 28, 28),
        name="odd",
    )


def striding() -> Network:
    """A wide window that moves by two, as networks for large images begin."""
    return Network(
        *(Conv(24, size=7, stride=2, padding=3, activation=ReLU()), MaxPool(2)),
        *(Conv(40, size=3, padding=1, activation=ReLU()), MaxPool(2), Flatten(), Dense(CLASSES)),
        input=(3, 48, 48),
        name="striding",
    )


def pointwise() -> Network:
    """Windows of a single pixel between wider ones."""
    return Network(
        *(Conv(32, size=3, padding=1, activation=ReLU()), MaxPool(2), Conv(64, size=1, activation=ReLU())),
        *(Conv(64, size=3, padding=1, activation=ReLU()), MaxPool(2), Conv(128, size=1, activation=ReLU())),
        *(MaxPool(2), Flatten(), Dense(CLASSES)),
        input=(3, 32, 32),
        name="pointwise",
    )


NETWORKS: dict[str, Callable[[], Network]] = {
    "lenet5": lambda: model("lenet5").network(),
    "mnist-cnn": lambda: model("mnist-cnn").network(),
    "two-conv": two_convolutions,
    "colour": colour,
    "mlp-512": wide_dense,
    "odd": odd,
    "striding": striding,
    "pointwise": pointwise,
}
STEPS = [
    *(("lenet5", batch, threads) for batch in (16, 32, 64, 128, 256, 1024) for threads in THREADS),
    *((name, 64, threads) for name in [*NETWORKS][1:] for threads in THREADS),
]
INFERENCES = [("lenet5", batch, threads) for batch in (1, 1000) for threads in THREADS]
FUSINGS = [(name, 64, threads) for name in ("lenet5", "mnist-cnn") for threads in THREADS]
NESTS = ("lenet5", "mnist-cnn")

# One convolution: what it is, and how each of its sizes varies while the others stay.
BASE = {"batch": 64, "side": 28, "channels": 16, "kernel": 3, "stride": 1}
VARIED: dict[str, tuple[int, ...]] = {
    "batch": (1, 4, 16, 64, 256, 1024),
    "side": (8, 16, 28, 56, 112, 224),
    "channels": (1, 3, 8, 16, 32, 64, 128, 256),
    "kernel": (1, 3, 5, 7, 11),
    "stride": (1, 2),
}
LARGEST = 128 * 2**20  # bytes of one array of activations; beyond it the batch is halved


def settings() -> list[dict[str, int]]:
    """The base, and all that differ from it in one size."""
    found: list[dict[str, int]] = []
    for name, values in VARIED.items():
        for value in values:
            setting = BASE | {name: value}
            while setting["batch"] * setting["channels"] * setting["side"] ** 2 * 4 > LARGEST:
                setting = setting | {"batch": setting["batch"] // 2}
            if setting not in found:
                found.append(setting)
    return found


def random_for(work: str) -> np.random.Generator:
    """A generator of the work's own."""
    return np.random.default_rng([SEED, crc32(work.encode())])


def random_batches(work: str, net: Network, batch: int) -> tuple[Array, Array]:
    """Images (which batch, image, channel, row, column) and their labels (which batch, image)."""
    rng = random_for(f"{work} {batch}")
    images = rng.standard_normal((BATCHES, batch, *net.input), np.float32)
    return images, rng.integers(0, CLASSES, (BATCHES, batch))


def forward_flops(net: Network, batch: int) -> int:
    """Operations of the forward pass: a multiplication and an addition for each product."""
    return 2 * batch * sum(_products(net))


def step_flops(net: Network, batch: int) -> int:
    """Operations of forward and backward: as many for each of y, dw and dx, but the images need no gradient."""
    products = _products(net)
    return 2 * batch * (3 * sum(products) - next(filter(None, products)))


def _products(net: Network) -> list[int]:
    return [step.layer.multiplications(step.x) for step in net.steps.values()]
