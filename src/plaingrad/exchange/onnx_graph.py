"""A graph of ONNX as it is written: nodes and arrays, put one after another."""

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from plaingrad.errors import MissingError

if TYPE_CHECKING:
    from plaingrad.network.network import Network

FUSED = ".activation"
"""How a node's name ends that is the activation within the layer of the node before it."""


def required(who: str) -> Any:
    """The onnx package; MissingError where it is not installed."""
    try:
        for part in ("checker", "numpy_helper", "helper"):
            importlib.import_module(f"onnx.{part}")
        return importlib.import_module("onnx")
    except ImportError:
        raise MissingError(who, "the onnx package", "onnx") from None


class Graph:
    """The nodes and arrays of a graph, as they are put one after another."""

    def __init__(self, onnx: Any, net: "Network", dtype: np.dtype[Any]) -> None:
        self.onnx, self.net, self.dtype = onnx, net, dtype
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self.made: dict[str, str] = {}  # what each layer gives

    def put(self, kind: str, *inputs: str, name: str, **settings: Any) -> str:
        """One node; its output has its name."""
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], name=name, **settings))
        return name

    def number(self, name: str, array: Any, dtype: Any = None) -> str:
        """An array of the graph's own."""
        kept = np.asarray(np.asarray(array), dtype or self.dtype)
        self.arrays.append(self.onnx.numpy_helper.from_array(kept, name))
        return name
