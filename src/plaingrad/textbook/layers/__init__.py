"""The layers by name."""

from plaingrad.textbook.layers.activation import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)
from plaingrad.textbook.layers.conv import Conv
from plaingrad.textbook.layers.dense import Dense, Flatten
from plaingrad.textbook.layers.dropout import Dropout
from plaingrad.textbook.layers.normalisation import BatchNorm, GroupNorm
from plaingrad.textbook.layers.pool import GlobalMeanPool, L2Pool, MaxPool, MeanPool
from plaingrad.textbook.layers.skip import Add

__all__ = [
    "ELU",
    "GELU",
    "Add",
    "BatchNorm",
    "Conv",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalMeanPool",
    "GroupNorm",
    "L2Pool",
    "LeakyReLU",
    "MaxPool",
    "MeanPool",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TanhGELU",
]
