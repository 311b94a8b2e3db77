"""From a network to an ONNX file: one operator or a few for each layer, as any runtime has them."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plaingrad.errors import CheckpointError, SettingError, shortly
from plaingrad.exchange.facts import class_names, input_words
from plaingrad.exchange.onnx_graph import FUSED, Graph, required
from plaingrad.exchange.onnx_layers import OPERATIONS
from plaingrad.textbook.layers import Softmax
from plaingrad.training.checkpoint import write_safely

if TYPE_CHECKING:
    from plaingrad.network.network import Network

OPSET, IR = 18, 10
KINDS = np.dtype("float32"), np.dtype("float64")
PIXELS, INPUT, CLASSES = "plaingrad.pixels", "input", "classes"  # names of metadata


def write_onnx(
    net: "Network", path: str | os.PathLike[str], probabilities: bool, classes: Sequence[str], dtype: npt.DTypeLike
) -> None:
    """See `plaingrad.exchange.to_onnx`."""
    onnx = required("to_onnx")
    if isinstance(dtype, np.ndarray) or dtype not in (*KINDS, *(kind.name for kind in KINDS)):
        raise SettingError(f"to_onnx got dtype {shortly(dtype)}; it needs float32 or float64")
    writer = Writer(onnx, net, np.dtype(dtype))
    output = writer.layers()
    if probabilities and not isinstance(net.layers[-1], Softmax):
        Softmax().output(net.output)  # or it says what is needed
        output = writer.put("Softmax", output, name="probabilities", axis=1)
    model = writer.model(output, class_names(classes, net))
    try:
        onnx.checker.check_model(model, full_check=True)
        content = model.SerializeToString()
    except ValueError as error:  # more than a file of this kind may hold, 2 GiB
        raise CheckpointError(f"cannot write {path}: {str(error).splitlines()[0]}") from None
    write_safely(pathlib.Path(path), content)


class Writer(Graph):
    """The graph of a network, layer by layer."""

    def layers(self) -> str:
        """The nodes of all layers, from the input on; the name of the last output."""
        value, net = "images", self.net
        shape = (-1, *(1 for _ in net.input[1:]))
        if (net.offset != 0).any():
            value = self.put("Sub", value, self.number("offset", net.offset.reshape(shape)), name="input.centred")
        if (net.factor != 1).any():
            value = self.put("Mul", value, self.number("factor", net.factor.reshape(shape)), name="input.scaled")
        for step in net:
            if type(step.layer) not in OPERATIONS:
                raise SettingError(f"to_onnx has no operator for {step.name} = {step.layer}")
            value = OPERATIONS[type(step.layer)](self, step, value)
            if (activation := getattr(step.layer, "activation", None)) is not None:
                self.nodes[-1].name = self.nodes[-1].output[0] = f"{step.name}.sums"
                value = OPERATIONS[type(activation)](self, step, f"{step.name}.sums")
                self.nodes[-1].name = step.name + FUSED
            self.made[step.name] = value
        return value

    def model(self, output: str, classes: Sequence[str]) -> Any:
        helper, net = self.onnx.helper, self.net
        if output == "images":  # nothing but layers that fall away
            output = self.put("Identity", output, name="output")
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        source = helper.make_tensor_value_info("images", kind, ["N", *net.input], input_words(net))
        if output != "output":
            output = self.put("Identity", output, name="output")
        target = helper.make_tensor_value_info("output", kind, ["N", *net.output])
        graph = helper.make_graph(self.nodes, net.name, [source], [target], self.arrays)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="plaingrad", opset_imports=opsets, ir_version=IR)
        told = {INPUT: input_words(net)}
        if classes:
            told[CLASSES] = json.dumps(list(classes), ensure_ascii=False)
        if net.seen is not None:
            told[PIXELS] = json.dumps(net.seen.to_json())
        helper.set_model_props(model, told)
        return model
