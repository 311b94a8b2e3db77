"""Edits that are one factor: usual numbers that people multiply by, or divide by, in the wrong place."""

import ast
import math
from collections.abc import Callable, Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Kind
from plaingrad.checking.edits.edited_line import EditedLine, edited
from plaingrad.checking.edits.lines import Lines, line_of
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Estimate
from plaingrad.checking.search.precision import Precision
from plaingrad.checking.search.rounding import fits, is_made
from plaingrad.checking.search.weighed import is_weighed, weight_of
from plaingrad.compiler.loops import Array

Number = Callable[[Context], float]
MARGIN = 8.0  # bits by which a factor must be known beyond those that choose it among the usual ones


def sizes(context: Context) -> dict[str, float]:
    """The numbers of a pass that people divide by, by their names."""
    is_loss = context.name == "loss"
    y = (context.x.shape[1],) if is_loss else context.program.steps[context.name].y
    x = context.x.shape[1:]
    # Sizes of 1 change nothing, and are left out below.
    found = {"images": float(context.images), "outputs" if len(y) == 1 else "filters": float(y[0])}
    if is_weighed(context.program.case):
        found["weight of all targets"] = weight_of(context.program.case, min(context.step, context.program.last))
    if not is_loss:
        found["inputs" if len(x) == 1 else "channels"] = float(x[0])
        found["classes"] = float(context.program.case.net.output[0])
    if len(y) == 3:
        found |= {"output rows": float(y[1]), "output columns": float(y[2]), "output positions": float(y[1] * y[2])}
    if len(x) == 3:
        found |= {"rows": float(x[1]), "columns": float(x[2]), "pixels": float(x[1] * x[2])}
    if context.window is not None:
        height, width = context.window.size
        found |= {"window height": float(height), "window width": float(width), "window pixels": float(height * width)}
    return {name: size for name, size in found.items() if size != 1}


CONSTANTS = {
    "2": 2.0, "4": 4.0, "3": 3.0, "10": 10.0, "100": 100.0, "32": 32.0, "64": 64.0, "255": 255.0, "0.9": 0.9,
}  # fmt: skip


def numbers(context: Context) -> dict[str, float]:
    """Each usual factor by what one would write behind the line."""
    found: dict[str, float] = {
        "* -1": -1.0,
        "* rate": context.program.case.rate,
        "* -rate": -context.program.case.rate,
        "* 0.1": 0.1,
    }
    parts = sizes(context) | CONSTANTS
    for name, size in parts.items():
        found[f"* {name}"], found[f"/ {name}"] = size, 1 / size
        found[f"* -{name}"], found[f"/ -{name}"] = -size, -1 / size
    if context.window is not None:
        height, width = context.window.size
        found["* window pixels / (window height + window width)"] = height * width / (height + width)
        if context.kind == "Conv":
            products = context.x.shape[1] // context.owner.groups * height * width
            found |= {"* products": float(products), "/ products": 1 / products}
    for name, size in sizes(context).items():
        found[f"/ ({name} * images)"] = 1 / (size * context.images)
        found[f"* {name} / images"], found[f"/ {name} * images"] = size / context.images, context.images / size
        found[f"/ sqrt({name})"], found[f"/ {name}**2"] = 1 / math.sqrt(size), 1 / size**2
        if context.name == "loss":
            found |= _of_a_loss(name, size, context.images)
    return {name: value for name, value in found.items() if value != 1}


def _of_a_loss(name: str, size: float, images: int) -> dict[str, float]:
    """What losses are multiplied or divided by: several of a size, the images, and 2."""
    found = {f"* (2 * {name})": 2 * size, f"/ (2 * {name})": 1 / (2 * size)}
    found |= {f"* 2 / {name}": 2 / size, f"* {name} / 2": size / 2}
    if name != "images":
        both = size * images
        found |= {
            f"* ({name} * images)": both,
            f"* (2 * {name} * images)": 2 * both,
            f"* {name} * images / 2": both / 2,
        }
        found |= {f"/ (2 * {name} * images)": 1 / (2 * both), f"* 2 / ({name} * images)": 2 / both}
        for one, other, ratio in ((name, "images", size / images), ("images", name, images / size)):
            found |= {f"* 2 * {one} / {other}": 2 * ratio, f"* {one} / (2 * {other})": ratio / 2}
    return found


def found(
    context: Context, lines: Lines, expected: Estimate, given: Array, precision: Precision
) -> Iterator[tuple[EditedLine, Array]]:
    """The usual factors that make all of an array of the right one."""
    right = expected.value.reshape(-1)
    size = float((right * right).sum())
    if not size:
        return
    seen = float((given.reshape(-1) * right).sum()) / size
    if not seen or not fits(expected, seen * expected.value, given, precision):
        return
    every = numbers(context)
    doubt = float(np.median(expected.uncertainty)) / max(float(np.abs(right).max()), 1e-300)
    doubt += float(np.median(precision.grain(given))) / max(float(np.abs(given).max(initial=0)), 1e-300)
    if -math.log2(min(max(doubt, 2.0**-52), 1.0)) - math.log2(len(every)) < MARGIN:
        return
    fitting: dict[float, list[str]] = {}
    for words, factor in every.items():
        made = factor * expected.value
        if is_made(expected, made, given, precision):
            near = next((each for each in fitting if math.isclose(each, factor)), factor)
            fitting.setdefault(near, []).append(words)
    line, is_begun = last_line(lines), begins_with_a_number(lines)
    for factor, names in fitting.items():
        said = f"{line} {shown(names, context)}"
        if is_begun:  # what the sum begins with has the factor too
            cell = ast.unparse(_targets(stores(lines)[-1])[0])
            said = f"{cell} = {cell} {shown(names, context)}, once all is added"
        yield edited([line], [said], Kind.FACTOR, _times(names[0])), factor * expected.value


def shown(names: list[str], context: Context) -> str:
    """A factor as a number, and what that number is in this pass."""
    known = sizes(context) | {"rate": context.program.case.rate}
    known |= {name[2:]: size for name, size in numbers(context).items() if name == "* products"}
    shortest = min(names, key=len)
    meant = [each for each in names if any(name in each for name in known)]
    for name in sorted(known, key=len, reverse=True):
        shortest = shortest.replace(name, f"{known[name]:g}")
    return shortest if not meant else f"{shortest}  ({', or '.join(each.lstrip('*/ -') for each in meant[:3])})"


def _times(words: str) -> Callable[[Context], Iterator[Array]]:
    def wrong(context: Context) -> Iterator[Array]:
        factor = numbers(context).get(words)
        if factor is not None:
            yield factor * context.expected

    return wrong


def last_line(lines: Lines) -> str:
    """The last line that fills the array."""
    return line_of(stores(lines)[-1])


def begins_with_a_number(lines: Lines) -> bool:
    """Whether a sum begins with something else than 0."""
    begun = (each.value for each in stores(lines) if isinstance(each, ast.Assign))
    adds = any(isinstance(each, ast.AugAssign) for each in stores(lines))
    return adds and any(not (isinstance(each, ast.Constant) and not each.value) for each in begun)


def stores(lines: Lines) -> list[ast.Assign | ast.AugAssign]:
    """The lines that fill the array."""
    every = [each for each in ast.walk(lines.tree) if isinstance(each, ast.Assign | ast.AugAssign)]
    return [each for each in every if any(lines.wanted in _names(target) for target in _targets(each))]


def _targets(node: ast.Assign | ast.AugAssign) -> list[ast.expr]:
    return [node.target] if isinstance(node, ast.AugAssign) else node.targets


def _names(node: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
