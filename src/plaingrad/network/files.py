"""Networks by name or from a JSON file: what a file asks for is known, and bounded, before it is built."""

import json
import pathlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from plaingrad.errors import SettingError, visible
from plaingrad.network.models import Model, Recipe, model
from plaingrad.network.network import Network
from plaingrad.network.outline import Outline
from plaingrad.textbook.layer import Shape
from plaingrad.textbook.record import bounded

MOST_TEXT = 1 << 26  # bytes of a network in JSON
Made = TypeVar("Made")


def build(
    name: str | None, shape: Shape, classes: int, seed: int, dtype: str, best: bool = False
) -> tuple[Network, Recipe]:
    """A network by name or from a JSON file, and its recipe, or its `best` one; without a name, one that fits the

    images' size. SettingError where there is no best recipe.
    """
    if name is not None and is_file(name):
        if best:
            raise SettingError(f"{visible(name)} is a network of a file, which has no best recipe; leave out --best")
        return network_from_file(name, seed, dtype), Recipe()
    chosen: Model = model(name or ("digits" if min(shape[1:]) < 16 else "lenet5"))
    return chosen.network(shape, classes, seed, dtype), chosen.recipe_for(shape, best)


def described(name: str) -> tuple[Outline, Recipe]:
    """A built-in network, or the outline of one in a JSON file, and its recipe."""
    if is_file(name):
        return outline_from_file(name), Recipe()
    return model(name).network(), model(name).recipe


def is_file(name: str) -> bool:
    """Whether a network is named by a path."""
    return name.endswith(".json") or pathlib.Path(name).is_file()


def outline_from_file(path: str) -> Outline:
    """The outline of the network a JSON file lists."""
    try:
        content = bounded(path, MOST_TEXT)
        if len(content) > MOST_TEXT:
            raise SettingError(f"the network {path} is larger than {MOST_TEXT >> 20} MiB; is it a network?")
        text = json.loads(content.decode("utf-8"))
    except OSError as error:
        raise SettingError(f"cannot read the network {path}: {error.strerror or error}") from None
    except SettingError:
        raise
    except (ValueError, RecursionError) as error:
        raise SettingError(f"the network {path} is not JSON: {error}") from None
    outline = _of_file(path, lambda: Outline.from_json(text))
    outline.name = outline.name if outline.name != "network" else pathlib.Path(path).stem
    return outline


def network_from_file(path: str, seed: int = 0, dtype: str = "float32") -> Network:
    """The network a JSON file lists."""
    outline = outline_from_file(path)
    _of_file(path, lambda: outline.require_room(np.dtype(dtype).itemsize))
    return Network(*outline.layers, input=outline.input, seed=seed, dtype=dtype, name=outline.name)


def _of_file(path: str, make: Callable[[], Made]) -> Made:
    """What is made of a file; what cannot be is told with its name."""
    try:
        return make()
    except SettingError as error:
        raise type(error)(f"the network {path}: {error}") from None
    except (TypeError, ValueError, MemoryError, RecursionError) as error:  # too large, too deep, or of a wrong type
        raise SettingError(f"the network {path} cannot be built: {error}") from None
