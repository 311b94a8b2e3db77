"""Convolutional networks whose gradients are in plain sight."""

__version__ = "0.1.0"
