"""From an ONNX file to a network: its operators in order, each of which has a layer here or is named as one that has
none. Constants are worked out first, by ONNX's own reference.
"""

import importlib
import json
import math
import os
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.data.pixels import Seen
from plaingrad.errors import CheckpointError, SettingError
from plaingrad.exchange.chain import Chain, Value
from plaingrad.exchange.onnx_graph import required
from plaingrad.exchange.onnx_operators import OPERATORS
from plaingrad.exchange.onnx_writing import PIXELS
from plaingrad.exchange.pointwise import Pointwise, activation_like
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Shape

WHO = "from_onnx"
SPREADING = ("Add", "Div", "Gather", "Mul", "Sub")  # of n and m numbers they may make n·m
FILLING = "ConstantOfShape"  # makes as many as it is told
MOST_NUMBERS = 1 << 28
FOLDED = (
    "Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Flatten", "Gather", "Identity", "Mul", "Neg",
    "Reshape", "Shape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators that are worked out where all they take is constant: none but the spreading makes much out of little."""


def read_onnx(path: str | os.PathLike[str], input: Sequence[int] | None) -> Network:
    """See `plaingrad.from_onnx`."""
    onnx = required(WHO)
    model, room = _loaded(onnx, pathlib.Path(path))
    try:  # a setting may be of any type and size
        return Reader(onnx, model, input).network(room, pathlib.Path(path).stem)
    except SettingError as error:
        raise type(error)(f"{path}: {error}") from None
    except MemoryError:
        raise CheckpointError(f"{path} needs more memory than there is") from None
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path} holds a network that cannot be read: {reason}") from None


def _loaded(onnx: Any, path: pathlib.Path) -> tuple[Any, int]:
    """The model in a file, checked, without functions of its own; and how many bytes the file has."""
    wrong = importlib.import_module("google.protobuf.message").DecodeError, onnx.checker.ValidationError
    try:
        room = path.stat().st_size
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
        if model.functions:
            model = importlib.import_module("onnx.inliner").inline_local_functions(model)
        return model, room
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except MemoryError:
        raise CheckpointError(f"{path} needs more memory than there is") from None
    except (*wrong, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path} is damaged or no ONNX file: {reason}") from None


class Node:
    """One operator of the graph: its kind, the names it takes and makes, and its settings."""

    def __init__(self, onnx: Any, proto: Any) -> None:
        self.proto, self.kind = proto, proto.op_type
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        self.name = proto.name
        self.settings: dict[str, Any] = {}
        for each in proto.attribute:
            value = onnx.helper.get_attribute_value(each)
            self.settings[each.name] = value.decode("utf-8") if isinstance(value, bytes) else value

    def __str__(self) -> str:
        return f"{self.kind} {self.name or self.outputs[0]}"


class Reader:
    """The graph's values by name, as they are found one operator after another."""

    def __init__(self, onnx: Any, model: Any, input: Sequence[int] | None) -> None:
        self.onnx, self.model, self.graph = onnx, model, model.graph
        self.version = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)
        self.values: dict[str, Any] = {each.name: onnx.numpy_helper.to_array(each) for each in self.graph.initializer}
        sources = [each for each in self.graph.input if each.name not in self.values]
        if len(sources) != 1 or len(self.graph.output) != 1:
            raise SettingError(
                f"{WHO}: the graph takes {len(sources)} inputs and gives {len(self.graph.output)} outputs; a network "
                "here has one of each"
            )
        self.kind = sources[0].type.tensor_type.elem_type
        self.dtype = self._dtype(sources[0])
        self.chain = Chain(WHO, self._shape(sources[0], input))
        self.batch = sources[0].type.tensor_type.shape.dim[0].dim_value or 0
        self.values[sources[0].name] = self.chain.last
        self.nodes = self._needed([Node(onnx, each) for each in self.graph.node])
        self.uses = Counter(name for node in self.nodes for name in node.inputs)
        self.uses[self.graph.output[0].name] += 1
        self.left = self.uses.copy()  # of each value: the uses that are still to come

    def _dtype(self, source: Any) -> Any:
        kind = self.kind
        known = {self.onnx.TensorProto.FLOAT: np.float32, self.onnx.TensorProto.DOUBLE: np.float64}
        if kind not in known:
            name = self.onnx.TensorProto.DataType.Name(kind) if source.type.HasField("tensor_type") else "no tensor"
            raise SettingError(f"{WHO}: the input {source.name} is {name}; a network here takes FLOAT or DOUBLE")
        return known[kind]

    def _shape(self, source: Any, told: Sequence[int] | None) -> Shape:
        dims = source.type.tensor_type.shape.dim
        found = [each.dim_value if each.HasField("dim_value") else None for each in dims][1:]
        if len(found) not in (1, 3):
            shape = ", ".join(each.dim_param or str(each.dim_value) for each in dims)
            raise SettingError(
                f"{WHO}: the input {source.name} is ({shape}); a network here takes images of three axes"
            )
        if told is not None:
            told = tuple(told) if isinstance(told, Sequence) else (told,)
            if len(told) != len(found) or any(a not in (None, 0, b) for a, b in zip(found, told, strict=True)):
                raise SettingError(f"{WHO} got input={told!r}; the file's input is (image, {_open(found)})")
            return Chain(WHO, told).input
        if not all(found):
            raise SettingError(
                f"{WHO}: the file leaves sizes of its input open, (image, {_open(found)}); give input=(…)"
            )
        return tuple(int(each or 0) for each in found)

    def _needed(self, nodes: list[Node]) -> list[Node]:
        """Those that the output follows from."""
        needed, kept = {self.graph.output[0].name}, []
        for node in reversed(nodes):
            if needed & {*node.outputs}:
                needed |= {*node.inputs}
                kept.append(node)
        return kept[::-1]

    def network(self, room: int, name: str) -> Network:
        """The whole network."""
        for node in self.nodes:
            self._take(node)
            self.left.subtract(node.inputs)
            self._settle(node.outputs[0])
        made = self.layered(self.graph.output[0].name)
        if made != self.chain.last:
            self.chain.refuse(f"the graph gives {self.chain.name(made.place)}, which is not what its last layer makes")
        net = self.chain.network(self.dtype, self.graph.name or name, room)
        told = {each.key: each.value for each in self.model.metadata_props}
        if PIXELS in told:
            try:
                net.seen = Seen.from_json(json.loads(told[PIXELS]))
            except (ValueError, KeyError, TypeError, RecursionError):
                self.chain.refuse(f"the metadata {PIXELS} is not what plaingrad writes; leave it out")
        return net

    def _take(self, node: Node) -> None:
        taken = [self.values.get(name) for name in node.inputs if name]
        if node.kind == "Shape" and isinstance(taken[0], Value):
            self.values[node.outputs[0]] = self._sizes(node, taken[0])
        elif node.kind in FOLDED and all(isinstance(each, np.ndarray) for each in taken):
            self.values[node.outputs[0]] = self._worked_out(node, taken)
        elif node.proto.domain not in ("", "ai.onnx") or node.kind not in OPERATORS:
            self.refuse(node)
        elif any(self.uses[name] for name in node.outputs[1:] if name) and node.kind != "BatchNormalization":
            self.refuse(node, "with a second output")
        else:
            self.values[node.outputs[0]] = OPERATORS[node.kind](self, node)

    def _settle(self, name: str) -> None:
        """What has become an activation is one at once where nothing else is made of the same value."""
        found = self.values[name]
        if not isinstance(found, Pointwise) or activation_like(found.samples) is None:
            return
        others = (value for each, value in self.values.items() if each != name and self.left[each] > 0)
        bases = (each.value if isinstance(each, Pointwise) else each for each in others)
        if not any(isinstance(each, Value) and each == found.value for each in bases):
            self.layered(name)

    def _sizes(self, node: Node, value: Value) -> Array:
        """A shape, with 0 for the number of images: a Reshape takes that as the size that is there."""
        sizes = np.array([self.batch, *self.chain.shape(value)], np.int64)
        return sizes[node.settings.get("start", 0) : node.settings.get("end", len(sizes))]

    def _worked_out(self, node: Node, taken: list[Any]) -> Array:
        many = math.prod(each.size for each in taken) if node.kind in SPREADING else 0
        many = math.prod(map(int, taken[0].reshape(-1))) if node.kind == FILLING else many
        if many > MOST_NUMBERS:
            self.refuse(node, "of constants that large")
        helper, names = self.onnx.helper, [name for name in node.inputs if name]
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(each.dtype), each.shape)
            for name, each in zip(names, taken, strict=True)
        ]
        made = helper.make_empty_tensor_value_info(node.outputs[0])
        graph = helper.make_graph([node.proto], "constant", inputs, [made])
        one = helper.make_model(graph, opset_imports=list(self.model.opset_import))
        reference = importlib.import_module("onnx.reference").ReferenceEvaluator(one)
        return np.asarray(reference.run(None, dict(zip(names, taken, strict=True)))[0])

    def refuse(self, node: Node, why: str = "") -> NoReturn:
        """SettingError for an operator that no layer stands for."""
        self.chain.refuse(f"the operator {node}{' ' + why if why else ''} has no layer in plaingrad")

    def layered(self, name: str) -> Value:
        """A value as a layer takes it; what operators made of each number becomes the activation that it is."""
        found = self.values.get(name)
        if isinstance(found, Pointwise):
            layer = activation_like(found.samples)
            if layer is None:
                self.chain.refuse(f"the operator {found.what} has no layer in plaingrad, nor what is made of it next")
            found = self.values[name] = self.chain.append(found.value, layer, found.what)
        if not isinstance(found, Value):
            kind = "constant" if isinstance(found, np.ndarray) else "regrouped"
            self.chain.refuse(f"the value {name!r} is {kind} where a network's own numbers are needed")
        return found

    def value(self, node: Node, place: int = 0) -> Value:
        """What the operator takes there, of the network."""
        if place < len(node.inputs) and isinstance(self.values.get(node.inputs[place]), np.ndarray):
            self.refuse(node, "of a constant")
        return self.layered(node.inputs[place])

    def constant(self, node: Node, place: int, setting: str = "", default: Any = None) -> Any:
        """A constant that the operator takes there, or by an older version of ONNX as a setting; else the default."""
        if place < len(node.inputs) and node.inputs[place]:
            found = self.values.get(node.inputs[place])
            if not isinstance(found, np.ndarray):
                self.refuse(node, f"whose input {node.inputs[place]} is not constant")
            return found
        return node.settings.get(setting, default) if setting else default

    def is_single(self, name: str) -> bool:
        """Whether nothing else takes a value."""
        return self.uses[name] == 1

    def takers(self, name: str) -> list[str]:
        """The kinds of the operators that take a value."""
        return [node.kind for node in self.nodes if name in node.inputs]


def _open(sizes: Sequence[int | None]) -> str:
    return ", ".join("?" if not each else str(each) for each in sizes)
