"""What is told beside the numbers: the unit of the input, and the names of the classes."""

from collections.abc import Sequence
from typing import Any

from plaingrad.data.pixels import BYTE
from plaingrad.errors import SettingError, shortly


def input_words(net: Any) -> str:
    """What the numbers of the input mean."""
    if len(net.input) == 1:
        return "features, as the network was trained on"
    byte = BYTE if net.seen is None else net.seen.byte
    unit = "0 to 255, each a whole-number pixel as it is" if byte == 1 else "0 to 1, a whole-number pixel over 255"
    done = " Offset and factor of the training images are part of the network." if _changes(net) else ""
    return f"images (image, channel, row, column) of pixels from {unit}.{done}"


def _changes(net: Any) -> bool:
    return bool((net.offset != 0).any() or (net.factor != 1).any())


def class_names(classes: Sequence[str], net: Any) -> list[str]:
    """The names of the outputs as texts; SettingError where there are more than outputs."""
    is_list = isinstance(classes, Sequence) and not isinstance(classes, str)
    if not is_list or not all(isinstance(each, str) for each in classes):
        raise SettingError(f"classes are a list of names, got {shortly(classes)}")
    if len(classes) > net.output[0]:
        raise SettingError(f"{net.name} has {net.output[0]} outputs, and got the names of {len(classes)} classes")
    return list(classes)
