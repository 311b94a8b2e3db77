"""Keras's files, `.keras` (a zip of JSON and HDF5) and `.h5`, read with h5py: nothing is run, no link followed."""

import importlib
import io
import json
import os
import pathlib
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import CheckpointError, MissingError
from plaingrad.network.outline import MOST_BYTES

MOST_TEXT = 1 << 26  # bytes of the JSON
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def read(path: str | os.PathLike[str]) -> tuple[Any, dict[str, list[Array]]]:
    """A model's JSON, and each layer's arrays by the layer's name."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise MissingError("from_keras", "h5py", "keras") from None
    place = pathlib.Path(path)
    try:
        if zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                config = json.loads(_part(archive, CONFIG, MOST_TEXT))
                content = io.BytesIO(_part(archive, WEIGHTS, MOST_BYTES))
            with h5py.File(content, "r") as file:
                return config, _of_keras_3(h5py, file, config)
        with place.open("rb") as opened, h5py.File(opened, "r") as file:
            if "model_config" not in file.attrs:
                raise CheckpointError(f"{path} holds weights without a model; save the whole of it: model.save(…)")
            return json.loads(_text(file.attrs["model_config"])), dict(_of_h5(h5py, file))
    except CheckpointError:
        raise
    except OSError as error:
        reason = error.strerror or "it is no .keras or .h5 file, or damaged"
        raise CheckpointError(f"cannot read {path}: {reason}") from None
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is damaged or no model that Keras wrote: {reason}") from None


def _part(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    if archive.getinfo(name).file_size > most:
        raise ValueError(f"its {name} is larger than {most >> 20} MiB")
    return archive.read(name)


def _text(told: Any) -> str:
    return told.decode("utf-8") if isinstance(told, bytes) else str(told)


def _array(h5py: Any, group: Any, name: str) -> Array:
    """An array that lies in the file itself."""
    place = group
    for part in name.split("/"):
        if not isinstance(place.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is missing or a link")
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.external or place.is_virtual or place.dtype.kind not in "fiu":
        raise ValueError(f"{name} is no array of numbers in the file itself")
    if place.size * place.dtype.itemsize > MOST_BYTES:
        raise ValueError(f"{name} is larger than {MOST_BYTES >> 30} GiB")
    return np.asarray(place[()])


def _of_keras_3(h5py: Any, file: Any, config: Any) -> dict[str, list[Array]]:
    """Groups are called by the class of their layer and a number; what the layer is called stands in an attribute."""
    names = dict(_by_class(config))
    layers = file.get("layers", {})
    found = {}
    for group in layers:
        own = layers[group].get("vars") if isinstance(layers.get(group, getlink=True), h5py.HardLink) else None
        if own is None:
            continue
        name = _text(own.attrs["name"]) if "name" in own.attrs else names.get(group, group)
        found[name] = [_array(h5py, own, each) for each in sorted(own, key=int)]
    return found


def _by_class(config: Any) -> Iterator[tuple[str, str]]:
    """The group of each layer, where no attribute says its name: its class in small letters, and a number."""
    seen = Counter[str]()
    for each in config["config"]["layers"]:
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", each["class_name"])).lower()
        yield f"{kind}_{seen[kind]}" if seen[kind] else kind, each["config"]["name"]
        seen[kind] += 1


def _of_h5(h5py: Any, file: Any) -> Iterator[tuple[str, list[Array]]]:
    """Groups are called by their layer, and list the names of its arrays in order."""
    weights = file["model_weights"]
    for name in weights:
        told = weights[name].attrs.get("weight_names", ())
        yield name, [_array(h5py, weights[name], _text(each)) for each in told]
