"""The pictures of a report: curves as SVG, pixels as small PNGs that the page enlarges, all inside the page itself."""

import base64
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaingrad.network.network import LANES, Network, lanes_taken
from plaingrad.network.run import Run
from plaingrad.textbook.layers import Dense, Flatten
from plaingrad.textbook.losses import SoftmaxCrossEntropy
from plaingrad.textbook.phrases import counted, shape_text
from plaingrad.training.report.chart import Line, chart, linear

Array = NDArray[Any]

KERNEL_LAYERS, KERNELS, KERNEL_CHANNELS = 4, 32, 8
MAP_LAYERS, MAPS, STRIP, STRIP_WIDTH = 24, 16, 256, 32
SIGNED = ((11, 55, 109), (91, 155, 213), (255, 255, 255), (240, 138, 60), (143, 45, 4))  # look.css has the same
NOT_A_NUMBER = (150, 150, 150, 255)


@dataclass(frozen=True)
class Picture:
    """An image inside the page, and the size it is shown at."""

    source: str
    width: int
    height: int


# Pixels


def picture(pixels: Array, scale: int = 1) -> Picture:
    """uint8 pixels (row, column, RGB or RGBA), shown `scale` times as large; the browser keeps them crisp."""
    address = f"data:image/png;base64,{base64.b64encode(png(pixels)).decode('ascii')}"
    return Picture(address, pixels.shape[1] * scale, pixels.shape[0] * scale)


def png(pixels: Array) -> bytes:
    """uint8 pixels (row, column, RGB or RGBA) as a PNG file (W3C, Portable Network Graphics, third edition)."""
    rows, columns, parts = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", columns, rows, 8, {3: 2, 4: 6}[parts], 0, 0, 0)
    lines = np.pad(pixels.reshape(rows, -1), ((0, 0), (1, 0)))  # each line begins with how it is filtered: not
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes())) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def enlarged(array: Array, size: int, most: int = 18) -> int:
    """The whole number that brings the longer side of (…, row, column) near `size` screen pixels."""
    longer: int = max(array.shape[-2:])
    return min(max(round(size / longer), 1), most)


def thinned(array: Array, most: int) -> Array:
    """Every so many-th row and column of (…, row, column), so that no side exceeds `most`."""
    step = math.ceil(max(array.shape[-2:]) / most)
    return array[..., ::step, ::step]


def photograph(image: Array, low: float, high: float, size: int) -> Picture:
    """An image (channel, row, column) with `low` as black and `high` as white; the mean of any channels but 3."""
    shares = (thinned(image.astype(float), size) - low) / (high - low if high > low else 1)
    if len(shares) != 3:
        shares = np.repeat(shares.mean(axis=0, keepdims=True), 3, axis=0)
    pixels = (shares.clip(0, 1) * 255).round().astype(np.uint8)
    return picture(pixels.transpose(1, 2, 0), enlarged(shares, size))


def pixel_range(images: Array) -> tuple[float, float]:
    """What counts as black and white: 0 and 255, or 0 and 1, or the extremes where values lie outside these."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(images.min()), float(images.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def finite(values: Array) -> Array:
    """The values that are numbers, as one axis."""
    return values[np.isfinite(values)]


def largest(values: Array) -> float:
    """The largest finite size among the values, which the colour scale reaches to."""
    return float(np.abs(finite(values)).max(initial=0))


def signed_colours(values: Array, limit: float) -> Array:
    """RGBA for each value: blue below zero, white at zero, orange above, as on all pages; grey where there is none."""
    known = np.isfinite(values)
    shares = np.where(known, values, 0) / (2 * limit if limit else 1) + 0.5
    places = np.linspace(0, 1, len(SIGNED))
    parts = [np.interp(shares, places, [stop[part] for stop in SIGNED]) for part in range(3)]
    colours = np.stack([*parts, np.full(shares.shape, 255)], axis=-1).round()
    return np.where(known[..., None], colours, np.array(NOT_A_NUMBER)).astype(np.uint8)


def column(tiles: Array) -> Array:
    """Coloured tiles (tile, row, column, RGBA), one below the other with a clear row between them."""
    spaced = np.pad(tiles, ((0, 0), (0, 1), (0, 0), (0, 0)))
    return spaced.reshape(-1, *tiles.shape[2:])[:-1]


def legend(limit: float) -> dict[str, Any]:
    """What the page needs to draw a colour scale from -limit to limit."""
    stops = signed_colours(np.linspace(-1, 1, 11), 1)[:, :3]
    return {"limit": f"{limit:.3g}", "colours": ", ".join(f"rgb({r} {g} {b})" for r, g, b in stops)}


# What was learned


def seen_weights(net: Network) -> list[tuple[str, str, Array]]:
    """Layer, what its rows are called, and weights (filter, channel, row, column), where they look at an image."""
    weighed = [step for step in net.steps.values() if "w" in step.arrays]
    found = [(step.name, "filter", step.arrays["w"]) for step in weighed if step.arrays["w"].ndim == 4]
    if found:
        return found
    first = next((step for step in net.steps.values() if not isinstance(step.layer, Flatten)), None)
    if first is not None and isinstance(first.layer, Dense) and len(net.input) == 3:
        return [(first.name, "unit", first.arrays["w"].reshape(-1, *net.input))]
    return []


def kernels(net: Network) -> dict[str, Any]:
    """The weights of the first layers that look at an image, as coloured squares."""
    every = seen_weights(net)
    layers = []
    for name, kind, exact in every[:KERNEL_LAYERS]:
        weights = np.asarray(exact, float)
        few = weights.shape[1] <= 3
        most = KERNELS if few else KERNELS * 3 // 4
        shown, limit = thinned(weights[:most, :KERNEL_CHANNELS], 96), largest(weights)
        size = 96 if max(shown.shape[-2:]) > 12 else 56 if few else 28
        size_text = f"{counted(weights.shape[1], 'channel')}, {shape_text(weights.shape[2:])}"
        tiles = [picture(column(signed_colours(each, limit)), enlarged(shown, size)) for each in shown]
        notes = [first_of(len(shown), len(weights), f"{kind}s"), first_of(shown.shape[1], weights.shape[1], "channels")]
        layers.append(
            {
                "name": name,
                "kind": kind,
                "tiles": tiles,
                "legend": legend(limit),
                "shape": f"{counted(len(weights), kind)} of {size_text}",
                "note": " ".join(filter(None, notes)),
            }
        )
    return {"layers": layers, "note": first_of(len(layers), len(every), "convolutions"), "kind": every and every[0][1]}


def run_for_maps(net: Network) -> Run:
    """A run of one image: by the nests of the training, and those that send an error back to the pixels.

    Its errors may lie where outputs lay.
    """
    return Run(net, lanes_taken(LANES, 1), SoftmaxCrossEntropy(), input_gradient=True, by_patches=True)


def maps(net: Network, images: Array, labels: Array, low: float, high: float) -> dict[str, Any]:
    """The first of the images, what every layer makes of it, and what the loss says to its pixels."""
    run = run_for_maps(net)
    run.load(images[:1])
    run.forward()
    layers = []
    for step in list(net.steps.values())[:MAP_LAYERS]:
        values = np.asarray(run[step.name].y, float)[0]
        if values.ndim == 3:
            size = 72 if len(values) <= 12 else 56  # so that they fill one line of a wide page
            drawn, note = tiles(values, size), first_of(min(len(values), MAPS), len(values), "maps")
        else:
            flat, limit = values.ravel(), largest(values)
            drawn = {"tiles": [strip(flat[:STRIP], limit)], "legend": legend(limit)}
            note = first_of(min(flat.size, STRIP), flat.size, "numbers")
        layers.append(
            {"name": step.name, "is_strip": values.ndim != 3, "shape": shape_text(values.shape), "note": note} | drawn
        )
    note = first_of(len(layers), len(net.steps), "layers")
    run.aim(labels[:1])
    run.backward()
    gradient = np.asarray(run[next(iter(net.steps))].dx, float)[0]
    pixels = tiles(gradient, 144) if gradient.ndim == 3 else None
    return {"image": photograph(images[0], low, high, 144), "layers": layers, "note": note, "gradient": pixels}


def tiles(maps: Array, size: int) -> dict[str, Any]:
    """The first of some maps (map, row, column) as coloured squares of about this size, and their scale."""
    shown, limit = thinned(maps[:MAPS], 96), largest(maps)
    squares = [picture(signed_colours(each, limit), enlarged(shown, size)) for each in shown]
    return {"tiles": squares, "legend": legend(limit)}


def strip(values: Array, limit: float) -> Picture:
    """Numbers as squares side by side, a new line after every 32."""
    width = min(len(values), STRIP_WIDTH)
    cells = np.zeros((math.ceil(len(values) / width) * width, 4), np.uint8)
    cells[: len(values)] = signed_colours(values, limit)
    return picture(cells.reshape(-1, width, 4), 24 if len(values) <= STRIP_WIDTH // 2 else 14)


def first_of(shown: int, count: int, things: str) -> str:
    """The note on what was left out, empty where nothing was."""
    return f"The first {shown:,} of {count:,} {things} are shown." if shown < count else ""


# Curves


def series(history: list[dict[str, Any]], key: str) -> Array:
    """One quantity over the epochs; not a number where it was not recorded."""
    values = (each.get(key) for each in history)
    return np.array([math.nan if value is None else float(value) for value in values])


def curves(history: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Loss, accuracy and learning rate over the epochs."""
    epochs = series(history, "epoch")
    panels = []
    for title, keys in (
        ("Loss", {"training": "train_loss", "validation": "validation_loss"}),
        ("Accuracy", {"training": "train_accuracy", "validation": "validation_accuracy"}),
        ("Learning rate", {"learning rate": "rate"}),
    ):
        lines = {name: series(history, key) for name, key in keys.items() if any(key in each for each in history)}
        told = "; ".join(f"{name} from {values[0]:.4g} to {values[-1]:.4g}" for name, values in lines.items())
        alt = f"{title} over {counted(len(history), 'epoch')}: {told}"
        panels.append({"title": title, "alt": alt, "chart": curve(title, epochs, lines, alt)})
    return panels


def curve(title: str, epochs: Array, lines: dict[str, Array], told: str) -> str:
    """One panel."""
    reached = finite(epochs) if np.isfinite(epochs).any() else np.zeros(1)
    room = max(float(np.ptp(reached)) * 0.03, 0.5 if len(reached) == 1 else 0.0)
    across = linear(float(reached.min()) - room, float(reached.max()) + room, 5, least=1)
    reached, corner = finite(np.concatenate([*lines.values(), []])), "upper right"
    if title == "Accuracy":
        lowest, corner = float(reached.min(initial=0.99)), "lower right"
        up = linear(max(lowest - 0.1 * (1 - lowest), 0), 1, 5, unit="%")
    else:
        up = linear(0, float(reached.max(initial=0)) * 1.05 or 1, 5)
    kinds = zip(lines.items(), ("first", "second"), strict=False)
    drawn = [Line(name, epochs, values, kind) for (name, values), kind in kinds]
    return chart(drawn, across, up, (310, 230), "epoch", told, corner)
