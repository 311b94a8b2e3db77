"""The mistakes that people make, each as a small wrong variation of a pass, with its words. Adding one is one entry."""

from plaingrad.checking.catalogue import (
    activation,
    convolution,
    dense,
    factor,
    kernel,
    loss,
    maxpool,
    normalised,
    normalised_back,
    normalised_weights,
    pool,
    running,
    slopes,
    smooth,
    update,
    wiring,
)
from plaingrad.checking.catalogue.entry import CATALOGUE, Kind, Mistake, applicable

__all__ = [
    "CATALOGUE",
    "Kind",
    "Mistake",
    "activation",
    "applicable",
    "convolution",
    "dense",
    "factor",
    "kernel",
    "loss",
    "maxpool",
    "normalised",
    "normalised_back",
    "normalised_weights",
    "pool",
    "running",
    "slopes",
    "smooth",
    "update",
    "wiring",
]
