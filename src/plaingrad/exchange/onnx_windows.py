"""Operators of ONNX that move a window over the image: convolutions and pools."""

from typing import Any

from plaingrad.exchange.chain import Value
from plaingrad.exchange.margins import same_margins
from plaingrad.exchange.onnx_arithmetic import Node, Reader, WindowSums
from plaingrad.textbook.layers import L2Pool, MaxPool, MeanPool


def require(reader: Reader, node: Node, **usual: Any) -> None:
    """SettingError where a setting is not as all layers here have it."""
    for name, value in usual.items():
        if node.settings.get(name, value) != value:
            reader.refuse(node, f"with {name}={node.settings[name]!r}")


def window(reader: Reader, node: Node, value: Value, size: tuple[int, ...]) -> dict[str, Any]:
    """Stride, dilation and margins of a window of this size."""
    shape = reader.chain.shape(value)
    if len(size) != 2 or len(shape) != 3:
        reader.refuse(node, f"along {len(size)} axes")
    stride = tuple(node.settings.get("strides", (1, 1)))
    dilation = tuple(node.settings.get("dilations", (1, 1)))
    pads, auto = node.settings.get("pads", (0, 0, 0, 0)), node.settings.get("auto_pad", "NOTSET")
    margins = [(pads[0], pads[2]), (pads[1], pads[3])]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        margins = [
            same_margins(*each, lower=auto == "SAME_LOWER")
            for each in zip(shape[1:], size, stride, dilation, strict=True)
        ]
    elif auto not in ("NOTSET", "VALID"):
        reader.refuse(node, f"with auto_pad={auto!r}")
    if any(min(each) < 0 for each in margins):
        reader.refuse(node, "with a negative padding")
    return {"stride": stride, "dilation": dilation, "margins": (margins[0], margins[1])}


def conv(reader: Reader, node: Node) -> Any:
    value = reader.value(node)
    w, b = reader.constant(node, 1), reader.constant(node, 2)
    settings = window(reader, node, value, w.shape[2:])
    groups = node.settings.get("group", 1)
    adds_up = b is None and groups == len(w) == reader.chain.shape(value)[0] and (w == 1).all()
    if adds_up and reader.takers(node.outputs[0]) == ["Div"]:
        return WindowSums(value, w, settings)
    return reader.chain.conv(value, str(node), w, b, groups=groups, **settings)


def max_pool(reader: Reader, node: Node) -> Value:
    require(reader, node, storage_order=0)
    return _pool(reader, node, MaxPool)


def mean_pool(reader: Reader, node: Node) -> Value:
    return _pool(reader, node, MeanPool, count_padding=bool(node.settings.get("count_include_pad", 0)))


def l2_pool(reader: Reader, node: Node) -> Value:
    require(reader, node, p=2)
    return _pool(reader, node, L2Pool)


def _pool(reader: Reader, node: Node, kind: type[Any], **more: Any) -> Value:
    value, size = reader.value(node), tuple(node.settings["kernel_shape"])
    settings = window(reader, node, value, size) | more
    settings["ceil_mode"] = bool(node.settings.get("ceil_mode", 0))
    return reader.chain.pool(value, str(node), kind, size, **settings)
