"""From a Keras model to a network: its layers in order, and a table of what each is here.

Keras keeps images as (row, column, channel), and Flatten lays them out in that order; here it is (channel, row,
column). So kernels are turned, and the weights behind a Flatten are put into our order.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import CheckpointError, SettingError
from plaingrad.exchange.chain import Chain, Value
from plaingrad.exchange.keras_files import read
from plaingrad.exchange.keras_layers import ACTIVATIONS, KINDS, Made
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import Flatten

WHO = "from_keras"
Weights = Mapping[str, Sequence[Array]]


def read_keras(model: Any, weights: Sequence[Any] | None) -> Network:
    """See `plaingrad.from_keras`."""
    if isinstance(model, str | os.PathLike) and not str(model).lstrip().startswith("{"):
        config, own = read(model)
        try:
            return _built(config, own)
        except SettingError as error:
            raise type(error)(f"{model}: {error}") from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # settings of any type
            reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
            raise CheckpointError(f"{model} holds no model that Keras wrote: {reason}") from None
        except MemoryError:
            raise CheckpointError(f"{model} needs more memory than there is") from None
    if hasattr(model, "to_json") and hasattr(model, "get_weights"):
        arrays = {each.name: [np.asarray(array) for array in each.get_weights()] for each in model.layers}
        return _built(json.loads(model.to_json()), arrays)
    try:
        config = json.loads(model) if isinstance(model, str) else model
        layers = config["config"]["layers"]
        return _built(config, _dealt(layers, weights or ()))
    except SettingError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise SettingError(
            f"{WHO} got {str(model)[:60]!r}; it needs a path, a Keras model, or model.to_json() and model.get_weights()"
        ) from None


def _dealt(layers: Sequence[Any], weights: Sequence[Any]) -> dict[str, list[Array]]:
    """A flat list of arrays, dealt out to the layers in order."""
    left, dealt = [np.asarray(each) for each in weights], {}
    for layer in layers:
        count = len(KINDS[layer["class_name"]].arrays(layer["config"])) if layer["class_name"] in KINDS else 0
        dealt[layer["config"]["name"]], left = left[:count], left[count:]
    if left:
        raise SettingError(f"{WHO} got {len(left)} arrays more than the layers have")
    return dealt


def _built(config: Any, weights: Weights) -> Network:
    """The network of a model's JSON and each layer's arrays."""
    kind, model = config["class_name"], config["config"]
    if kind not in ("Sequential", "Functional", "Model"):
        raise SettingError(f"{WHO}: a {kind} is a class of one's own; it takes Sequential and Functional models")
    layers = model["layers"]
    first = next((each["config"].get("data_format") for each in layers if each["config"].get("data_format")), None)
    shape = next(_input_shapes(model), None)
    if shape is None or None in shape:
        raise SettingError(f"{WHO}: the model leaves sizes of its input open; give it keras.Input((rows, columns, …))")
    is_last = first != "channels_first"
    if len(shape) == 2:  # images of one channel, as they come
        input, is_last = (1, *shape), False
    else:
        input = (shape[-1], *shape[:-1]) if is_last else shape
    reader = Reader(Chain(WHO, Network(Flatten(), input=input).input), is_last)
    if kind == "Sequential":
        value = reader.chain.last
        for each in layers:
            value = reader.layer(each, [value], weights)
    else:
        value = _functional(reader, model, weights)
    if value != reader.chain.last:
        reader.chain.refuse("the model gives something other than the output of its last layer")
    if reader.order is not None:
        reader.chain.refuse("the model ends in flattened images, whose order is another here; leave out its Flatten")
    doubles = any(array.dtype == np.float64 for own in weights.values() for array in own)
    return reader.chain.network(np.float64 if doubles else np.float32, str(model.get("name", "")))


def _input_shapes(model: Any) -> Iterator[tuple[Any, ...]]:
    """The shape of one input, wherever this version of Keras says it."""
    for each in model["layers"]:
        own = each["config"]
        for told in (own.get("batch_shape"), own.get("batch_input_shape")):
            if told:
                yield tuple(told[1:])
    for told in (
        model.get("build_input_shape"),
        *(each.get("build_config", {}).get("input_shape") for each in model["layers"]),
    ):
        if told:
            yield tuple(told[1:])


def _functional(reader: "Reader", model: Any, weights: Weights) -> Value:
    """The layers of a graph, each once all it takes is there."""
    outputs = list(_tensors(model["output_layers"]))
    if len(outputs) != 1 or len(list(_tensors(model["input_layers"]))) != 1:
        reader.chain.refuse("the model has several inputs or outputs; a network here has one of each")
    waiting, found = list(model["layers"]), dict[str, Value]()
    while waiting:
        ready = [each for each in waiting if set(_tensors(each.get("inbound_nodes", ()))) <= found.keys()]
        if not ready:
            reader.chain.refuse("the layers of the model take each other's outputs in a circle")
        each = ready[0]
        waiting.remove(each)
        if len(each.get("inbound_nodes", ())) > 1:
            reader.chain.refuse(f"layer {each['config']['name']} is used several times; a layer here has one place")
        taken = [found[name] for name in _tensors(each.get("inbound_nodes", ()))]
        found[each["config"]["name"]] = reader.layer(each, taken or [reader.chain.last], weights)
    return found[outputs[0]]


def _tensors(told: Any) -> Iterator[str]:
    """The names of the layers whose outputs a part of the JSON speaks of, in Keras 2's form or in Keras 3's."""
    if isinstance(told, Mapping):
        if "keras_history" in told:
            yield told["keras_history"][0]
            return
        for each in told.values():
            yield from _tensors(each)
    elif isinstance(told, Sequence) and not isinstance(told, str):
        if len(told) >= 3 and isinstance(told[0], str) and all(isinstance(each, int) for each in told[1:3]):
            yield told[0]
            return
        for each in told:
            yield from _tensors(each)


class Reader:
    """The layers as they are taken over, and in which order the features now are."""

    def __init__(self, chain: Chain, is_last: bool) -> None:
        self.chain, self.is_last = chain, is_last
        self.order: Array | None = None  # for each feature here, its number in Keras

    def layer(self, told: Any, taken: list[Value], weights: Weights) -> Value:
        """One layer of the model."""
        kind, config = told["class_name"], told["config"]
        what = f"layer {config.get('name', kind)} ({kind})"
        if kind not in KINDS:
            self.chain.refuse(f"{what} has no layer in plaingrad")
        known: Made = KINDS[kind]
        names, arrays = known.arrays(config), list(weights.get(config.get("name"), ()))
        if len(arrays) != len(names):
            self.chain.refuse(f"{what} has {len(arrays)} arrays; it needs {', '.join(names) or 'none'}")
        value = known.put(self, what, config, taken, dict(zip(names, arrays, strict=True)))
        return self._activated(value, what, config.get("activation") if known.activated else None)

    def _activated(self, value: Value, what: str, told: Any) -> Value:
        layer = self.activation(what, told)
        if layer is None:
            return value
        before = self.chain.layers[-1]
        if getattr(before, "activation", layer) is None:
            try:
                self.chain.layers[-1] = before.replace(activation=layer)
                return value
            except SettingError:  # it is a layer of its own
                pass
        return self.chain.append(value, layer, what)

    def activation(self, what: str, told: Any) -> Layer | None:
        """The layer of an activation that is told by its name; None for `linear`."""
        name = told
        while isinstance(name, Mapping):
            name = name.get("class_name") if name.get("class_name") != "function" else name["config"]
        if name is None:
            return None
        make: Callable[[], Layer | None] | None = ACTIVATIONS.get(str(name).lower())
        if make is None:
            self.chain.refuse(f"{what} has the activation {str(name)[:40]!r}, which has no layer in plaingrad")
        return make()
