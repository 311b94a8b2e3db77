"""Convolutional networks whose gradients are in plain sight: every layer is one text of plain loops.

The public names. Nothing here loads Numba: that happens when the first nest is compiled.
"""

__version__ = "0.1.0"

import plaingrad.cli.beginning  # noqa: F401 (first: Ctrl-C may come while the rest is imported)

# isort: split
import typing

from plaingrad import testing
from plaingrad.data import Dataset, Split, digits, fashion_mnist, from_arrays, image_folder, load, mnist
from plaingrad.errors import (
    AnswerError,
    CheckpointError,
    DataError,
    DivergedError,
    LawError,
    MissingError,
    Notice,
    PlaingradError,
    RanksError,
    SettingError,
    ShapeError,
    StoppedError,
)
from plaingrad.exchange import from_keras, from_onnx, from_torch
from plaingrad.explaining import explain
from plaingrad.explaining.examples import example
from plaingrad.network.augment import Augment
from plaingrad.network.models import model
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.testing import check
from plaingrad.textbook.layer import Glorot, He, Layer, Ones, Uniform, Zeros
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    Add,
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
from plaingrad.textbook.optimisers import (
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    Hold,
    LinearDecay,
    OneCycle,
    StepDecay,
    Warmup,
)
from plaingrad.training import checkpoint
from plaingrad.training.evaluation import Evaluation, evaluate, score
from plaingrad.training.inference import Inference, predict
from plaingrad.training.progress import Event
from plaingrad.training.rates.finder import RateTest, find_rate
from plaingrad.training.trainer import Trainer, train

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Adam",
    "AdamW",
    "Add",
    "AnswerError",
    "Augment",
    "BatchNorm",
    "CheckpointError",
    "Constant",
    "Conv",
    "Cosine",
    "CrossEntropy",
    "DataError",
    "Dataset",
    "Dense",
    "DivergedError",
    "Dropout",
    "Evaluation",
    "Event",
    "Flatten",
    "GlobalMeanPool",
    "Glorot",
    "GroupNorm",
    "HalfSquaredError",
    "He",
    "Hold",
    "Inference",
    "L2Pool",
    "LawError",
    "Layer",
    "LeakyReLU",
    "LinearDecay",
    "MaxPool",
    "MeanPool",
    "MeanSquaredError",
    "MissingError",
    "Network",
    "Notice",
    "OneCycle",
    "Ones",
    "PlaingradError",
    "RanksError",
    "RateTest",
    "ReLU",
    "Run",
    "SettingError",
    "ShapeError",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Split",
    "StepDecay",
    "StoppedError",
    "Tanh",
    "TanhGELU",
    "Trainer",
    "Uniform",
    "Warmup",
    "WeightedCrossEntropy",
    "Zeros",
    "check",
    "checkpoint",
    "digits",
    "evaluate",
    "example",
    "explain",
    "fashion_mnist",
    "find_rate",
    "from_arrays",
    "from_keras",
    "from_onnx",
    "from_torch",
    "image_folder",
    "load",
    "mnist",
    "model",
    "predict",
    "score",
    "testing",
    "train",
]

if not typing.TYPE_CHECKING:

    def __getattr__(name):
        from plaingrad.textbook.habits import NAMES, missing

        missing("plaingrad", name, NAMES)
