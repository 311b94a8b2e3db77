"""The layers by name."""

from plaingrad.textbook.layers.activation import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from plaingrad.textbook.layers.conv import Conv
from plaingrad.textbook.layers.dense import Dense, Flatten
from plaingrad.textbook.layers.pool import L2Pool, MaxPool, MeanPool

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
