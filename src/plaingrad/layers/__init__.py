"""The layers by name."""

from plaingrad.layers.activation import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from plaingrad.layers.conv import Conv
from plaingrad.layers.dense import Dense, Flatten
from plaingrad.layers.pool import L2Pool, MaxPool, MeanPool

__all__ = [
    "Conv",
    "Dense",
    "Flatten",
    "L2Pool",
    "LeakyReLU",
    "MaxPool",
    "MeanPool",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
