"""Networks of other programs, and for them: ONNX files, PyTorch modules, Keras models."""

from plaingrad.exchange.keras_model import from_keras
from plaingrad.exchange.onnx_reading import from_onnx
from plaingrad.exchange.onnx_writing import to_onnx
from plaingrad.exchange.torch_reading import from_torch
from plaingrad.exchange.torch_writing import to_torch, to_torch_state
from plaingrad.network.network import Network

__all__ = ["from_keras", "from_onnx", "from_torch", "to_onnx", "to_torch", "to_torch_state"]

Network.to_onnx, Network.to_torch, Network.to_torch_state = to_onnx, to_torch, to_torch_state
