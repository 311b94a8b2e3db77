"""What a set of images is like, in words and as a picture."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.errors import DataError, MissingError, visible

MOST_CLASSES = 30  # that are listed one by one, and drawn
OF_EACH_CLASS = 10  # images in a picture
SIDE = 64  # pixels that an image has in a picture, at least about so many
AT_ONCE = 1 << 24  # bytes


@dataclass(frozen=True)
class Description:
    """`str(description)` is its text, `to_json()` the same as numbers, `picture(path)` a file with a few images.

    parts: by name datasets with `images` (image, channel, row, column), `labels` and `classes`.
    """

    name: str
    kind: str
    parts: Mapping[str, Any]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Kind, shape, classes, and of each part the images of each class and the values of pixels."""
        first = next(iter(self.parts.values()))
        parts = {}
        for name, data in self.parts.items():
            low, high, mean = _values(data.images)
            counts = data.counts.tolist()
            parts[name] = {
                "images": len(data),
                "classes": dict(zip(data.classes, counts, strict=True)),
                "least": low,
                "largest": high,
                "mean": mean,
            }
        return {
            "data": self.name,
            "kind": self.kind,
            "shape": list(first.shape),
            "dtype": first.images.dtype.name,
            "parts": parts,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        told = self.to_json()
        channels, rows, columns = told["shape"]
        shade = {1: "1 channel (grey)", 3: "3 channels (RGB)"}.get(channels, f"{channels} channels")
        unit = "; each counts in 255ths" if told["dtype"] == "uint8" else ""
        lines = [
            f"{self.name}: {self.kind}",
            f"images of {rows} rows x {columns} columns, {shade}, {told['dtype']}{unit}",
        ]
        for name, part in told["parts"].items():
            lines.append(
                f"{name}: {part['images']:,} images, pixels {part['least']:g} to {part['largest']:g}, "
                f"mean {part['mean']:.4g}"
            )
        names = next(iter(told["parts"].values()))["classes"]
        width = max(map(len, [*list(names)[:MOST_CLASSES], "class"]))
        lines.append(f"  {'class':>{width}} " + " ".join(f"{each:>10}" for each in told["parts"]))
        for name in list(names)[:MOST_CLASSES]:
            counts = " ".join(f"{part['classes'][name]:>10,}" for part in told["parts"].values())
            lines.append(f"  {name:>{width}} {counts}")
        if len(names) > MOST_CLASSES:
            lines.append(f"  and {len(names) - MOST_CLASSES} more classes")
        return "\n".join(visible(each) for each in [*lines, *self.notes])

    def picture(self, path: str | os.PathLike[str]) -> Path:
        """Write a PNG file: for each class a row of its first images, in the first part. The path is returned.

        Floats are stretched, image by image, where they do not lie in 0 to 1 or 0 to 255.
        """
        try:
            from PIL import Image
        except ImportError:
            raise MissingError("drawing images", "Pillow", "images") from None
        data, path = next(iter(self.parts.values())), Path(path)
        _, rows, columns = data.shape
        times = max(1, SIDE // max(rows, columns))
        step = max(1, max(rows, columns) // (4 * SIDE))  # large ones are thinned out
        small = -(-rows // step) * times, -(-columns // step) * times
        classes = [k for k in range(len(data.classes)) if (data.labels == k).any()][:MOST_CLASSES]
        sheet = np.full(((small[0] + 2) * len(classes), (small[1] + 2) * OF_EACH_CLASS, 3), 255, np.uint8)
        for row, k in enumerate(classes):
            for column, place in enumerate(np.flatnonzero(data.labels == k)[:OF_EACH_CLASS]):
                drawn = _drawn(data.images[place], step).repeat(times, 0).repeat(times, 1)
                top, left = row * (small[0] + 2), column * (small[1] + 2)
                sheet[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
        try:
            Image.fromarray(sheet).save(path, "PNG")
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None
        return path


def _drawn(image: Any, step: int) -> Any:
    """An image (channel, row, column) as (row, column, 3) bytes."""
    image = image[:, ::step, ::step]
    if image.dtype != np.uint8:
        low, high = min(float(image.min()), 0.0), float(image.max())
        high = next((each for each in (1.0, 255.0) if low == 0 and high <= each), high)
        image = np.rint((image - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    return np.moveaxis(image if len(image) == 3 else image[:1].repeat(3, 0), 0, 2)


def _values(images: Any) -> tuple[float, float, float]:
    """The least and the largest pixel, and the mean, a few images at a time: there may be more than memory holds."""
    few = max(1, AT_ONCE // images[:1].nbytes)
    blocks = [images[start : start + few] for start in range(0, len(images), few)]
    total = sum(float(each.sum(dtype=np.float64)) for each in blocks)
    return float(min(each.min() for each in blocks)), float(max(each.max() for each in blocks)), total / images.size
