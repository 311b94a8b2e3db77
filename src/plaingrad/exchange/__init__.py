"""Networks of other programs, and for them: ONNX files, PyTorch modules, Keras models.

What does the work is imported when it is asked for: most who train never do.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from plaingrad.errors import require_path
from plaingrad.network.network import Network

__all__ = ["from_keras", "from_onnx", "from_torch", "to_onnx", "to_torch", "to_torch_state"]


def from_onnx(path: str | os.PathLike[str], input: Sequence[int] | None = None) -> Network:
    """The network that an ONNX file holds: a chain of operators with skips, with its weights and its input's offset.

    `input` is (channels, rows, columns) or (features,), where the file leaves a size open. Numbers stay as they are,
    float32 or float64; Dropout falls away. SettingError names the first operator that no layer here stands for, and a
    value that two operators take where it is no skip; MissingError without `pip install 'plaingrad[onnx]'`;
    CheckpointError for a file that cannot be read.
    """
    from plaingrad.exchange.onnx_reading import read_onnx

    with np.errstate(all="ignore"):  # what is not finite is refused where all arrays are there
        return read_onnx(require_path("from_onnx", path), input)


def to_onnx(
    net: Network,
    path: str | os.PathLike[str],
    *,
    probabilities: bool = False,
    classes: Sequence[str] = (),
    dtype: npt.DTypeLike = np.float32,
) -> None:
    """Write the trained network as an ONNX file (opset 18, IR 10), from images (N, channel, row, column) to outputs.

    The input is as `net` takes floats: its offset and factor are the first operators, and the metadata say what a
    pixel counts. With `probabilities` a softmax is put behind scores. `classes` are the outputs' names, kept as a JSON
    list in the metadata. Dropout falls away; BatchNorm takes its running values. Numbers are float32, or float64 by
    `dtype`. SettingError for a layer that has no operator; MissingError without `pip install 'plaingrad[onnx]'`.
    """
    from plaingrad.exchange.onnx_writing import write_onnx

    write_onnx(net, require_path("to_onnx", path), probabilities, classes, dtype)


def from_torch(module: Any, *, input: Sequence[int]) -> Network:
    """The network that a PyTorch module computes, with a copy of its weights.

    module is an nn.Sequential, or any module whose `forward` is a chain of known modules and functions with skips;
    `input` is (channels, rows, columns) or (features,). Running values of batch norms are taken along. SettingError
    names the first module without a layer and a value that goes two ways; MissingError without PyTorch.
    """
    from plaingrad.exchange.torch_reading import read_module

    with np.errstate(all="ignore"):  # what is not finite is refused where all arrays are there
        return read_module(module, input)


def to_torch(net: Network) -> Any:
    """The network as an `nn.Sequential`, with a copy of its weights: modules "0", "1" … in order, and in eval mode.

    Offset and factor of the input, where there are any, are a first module "input" without parameters. With skips it
    is a subclass of `nn.Sequential`; a pool that PyTorch does not have is a module of ours. SettingError for a layer
    that has no module; MissingError without PyTorch.
    """
    from plaingrad.exchange.torch_writing import made_module

    return made_module(net)


def to_torch_state(net: Network, path: str | os.PathLike[str]) -> None:
    """Write the arrays under the names they have in `net.to_torch()`, as safetensors: `0.weight`, `0.bias` …

    `module.load_state_dict(safetensors.torch.load_file(path))` lays them into an `nn.Sequential` of the same modules,
    in which an activation is a module of its own. PyTorch need not be installed. CheckpointError where the file cannot
    be written; SettingError for a layer that PyTorch has no module for.
    """
    from plaingrad.exchange.torch_writing import write_state

    write_state(net, require_path("to_torch_state", path))


def from_keras(model: Any, weights: Sequence[Any] | None = None) -> Network:
    """The network of a Keras model, with its weights: a chain of layers, with skips by Add.

    model is the path of a `.keras` or `.h5` file, which is read with h5py alone (`pip install 'plaingrad[keras]'`); a
    Keras model; or the JSON of one, as `model.to_json()` gives it, with `weights` as `model.get_weights()` gives them.
    The network takes images as (channel, row, column): `net(images.transpose(0, 3, 1, 2))`. SettingError names the
    first layer that has none here, and an output that goes to two layers where it is no skip; CheckpointError for a
    file that cannot be read.
    """
    from plaingrad.exchange.keras_model import read_keras

    with np.errstate(all="ignore"):  # what is not finite is refused where all arrays are there
        return read_keras(model, weights)


Network.to_onnx, Network.to_torch, Network.to_torch_state = to_onnx, to_torch, to_torch_state
