"""Which fast nest makes a sum of products, decided from what was read of its text.

The letters say what is beside what. Where the images' letter and the row's and column's stand in the target alone, each
number of it is *made* once (y). Where they do not, they are summed over, and the target is *gathered* (dw, db). Where
the target's place is a pixel under a window, what the text *scattered* is sought back from the pixel (dx).

Over 300 lines, since which nest, with which tile and arrays, is one decision for each kind of sum.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import gcd, prod
from types import FunctionType
from typing import Any

from plaingrad.compiler.loops import Array, Loops
from plaingrad.errors import ShapeError
from plaingrad.schedule import nests, winograd
from plaingrad.schedule.elementwise import arrays_of, is_elementwise
from plaingrad.schedule.reading import Cell, Extent, NotReadable, Sum, sums
from plaingrad.schedule.tiles import (
    Tile,
    chunk_of,
    divisor,
    rows_tile,
    run_size,
    run_tile,
    stretch_tile,
    vector_size,
    window_tile,
)
from plaingrad.schedule.tree import fills, function_of
from plaingrad.schedule.turning import turning
from plaingrad.schedule.vectors import functions_of
from plaingrad.textbook.text import Text, made

Bound = tuple[Loops, dict[str, Any]]
Activation = tuple[str, tuple[tuple[str, Any, type], ...]]
"""What is done to a tile, as a function `activated`, and the settings in it."""
NOTHING: Activation = ("def activated(sums, like):\n    return sums\n", ())


@dataclass(frozen=True)
class Task:
    """A text with all it takes, by its arguments' names: arrays as they lie in a run, and as the text sees them.

    `images` are those of the arrays that have a part for each image.
    """

    text: Text
    owner: Any
    laid: Mapping[str, Any]
    seen: Mapping[str, Any]
    images: frozenset[str]

    @property
    def wanted(self) -> frozenset[str]:
        """Of the arrays it fills those that there are."""
        return fills(self.text) & self.laid.keys()


def sum_nests(
    task: Task,
    lanes: int,
    groups: int,
    scratch: Callable[[int], Array],
    by_patches: bool,
    then: Task | None,
    before: Sequence[Task],
) -> list[Bound]:
    """Nests with what to bind them to, in order.

    `then` is an activation to lay into the store of the sum; `before` ends in one whose way back is done first, to the
    errors that all sums here read: the sum of these does it by the way. A max pool's may stand before it.
    """
    read = {name: each for name, each in kinds(task.text).items() if name in task.wanted}
    if before:  # the sum of the errors first
        read = dict(sorted(read.items(), key=lambda each: not each[1][1].endswith("summed")))
    scheduled = (Scheduled(*each, task, lanes, groups, scratch, by_patches, then, before) for each in read.values())
    return [bound for each in scheduled for bound in each.nests()]


def check(task: Task, groups: int) -> None:
    """ShapeError where the arrays of a text disagree: of a sum on how far a letter runs, else of one place at all."""
    shapes = {name: task.seen[name].shape for name in arrays_of(task.text) if name in task.seen}
    if is_elementwise(task.text) and len({*shapes.values()}) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(
            f"{task.owner}: {task.text.__name__} takes one place of arrays that differ: {told}; let saved() agree"
        )
    for each, _ in kinds(task.text).values() if has_nests(task) else ():
        sizes: dict[str, tuple[int, str]] = {}
        for cell in each.cells:
            if cell.array not in task.seen:  # a gradient that nobody wants
                continue
            shape = list(task.seen[cell.array].shape)
            shape[int(cell.array in task.images)] //= groups
            for letter, size in zip(cell.letters, shape, strict=True):
                known, array = sizes.setdefault(letter, (size, cell.array)) if letter else (size, "")
                if known != size:
                    raise ShapeError(
                        f"{task.owner}: along {letter} in {task.text.__name__} {array} has {known} places and "
                        f"{cell.array} has {size}; let weights() and output() agree"
                    )


def suits_patches(layer: Any, x: tuple[int, ...], weights: Mapping[str, Any]) -> bool:
    """Whether a layer's outputs are made patch by patch, given that patches are wanted and there are lanes enough."""
    window, is_made = layer.constants(x).get("window"), not_a_sum(layer.forward) is None
    if window is None or not is_made or layer.in_shares() > 1:
        return False
    filters, channels = weights["w"].shape[:2]
    made = any(kind == "made" for _, kind in kinds(layer.forward).values())
    return made and winograd.takes_less(filters, channels, window, layer.output(x)[1:], "made")


@cache
def kinds(text: Text) -> dict[str, tuple[Sum, str]]:
    """Each array a text fills, with its sum and that sum's kind; NotReadable where there is no nest for one."""
    return {name: (each, kind_of(each)) for name, each in sums(text).items()}


@cache
def not_a_sum(text: Text) -> str | None:
    """Why a text is no sum of products that there are nests for, in words; None where it is."""
    try:
        kinds(text)
    except NotReadable as error:
        return str(error)
    return None


def has_nests(task: Task) -> bool:
    """Whether there are nests for a text as it is used here: whatever has a part for each image is asked for that."""
    return not_a_sum(task.text) is None and all(
        (cell.array in task.images) == (next(iter(each.letters)) in cell.letters)
        and len(cell.index) == task.seen[cell.array].ndim
        for each, _ in kinds(task.text).values()
        for cell in each.cells
        if cell.array in task.seen
    )


@cache
def _forms() -> dict[str, tuple[Any, ...]]:
    """What each kind of sum looks like: its target's letters and those of its factors, None for a window's pixel."""
    place, pixel, weight = ("n", "k", "i", "j"), ("n", "c", None, None), ("k", "c", "u", "v")
    return {
        "made": (place, {weight, pixel}),
        "gathered": (weight, {place, pixel}),
        "scattered": (pixel, {place, weight}),
        "dense made": (("n", "k"), {("k", "c"), ("n", "c")}),
        "dense gathered": (("k", "c"), {("n", "k"), ("n", "c")}),
        "dense scattered": (("n", "c"), {("n", "k"), ("k", "c")}),
        "summed": (("k",), {place}),
        "dense summed": (("k",), {("n", "k")}),
    }


def kind_of(each: Sum) -> str:
    """Which kind of sum it is."""
    names = dict(zip(each.letters, "nkijcuv" if len(each.letters) > 3 else "nkc", strict=False))

    def lettered(cell: Cell) -> tuple[str | None, ...]:
        return tuple(None if letter is None else names[letter] for letter in cell.letters)

    factors = {lettered(cell) for cell in each.factors}
    found = (kind for kind, form in _forms().items() if form == (lettered(each.target), factors))
    kind = next(found, None)
    pixel = next((cell for cell in (each.target, *each.factors) if None in cell.letters), None)
    first = None if each.first is None else lettered(each.first)
    is_whole = all(_is_run_through(letter, extent, each) for letter, extent in each.letters.items())
    # A product of two cells of one form is another sum, and so is one that begins elsewhere or leaves places out.
    if (
        kind is None
        or len(each.factors) != len(factors)
        or first != (("k",) if kind.endswith("made") else None)
        or len(each.guards) != (0 if pixel is None else 2)
        or not is_whole
    ):
        raise NotReadable(f"{each.target.array} is a sum of products of a kind that no nest is written for")
    if pixel is not None:
        letters = {own: letter for letter, own in names.items()}
        for axis, (i, u) in enumerate((("i", "u"), ("j", "v"))):
            index, factors_of = pixel.index[2 + axis], {letters[i]: f"stride_{axis}", letters[u]: f"dilation_{axis}"}
            guard = (index, f"image_{axis}")
            if index.factors != factors_of or index.rest != (("-", f"padding_{axis}"),) or guard not in each.guards:
                raise NotReadable(f"{pixel.array} is read at places that are not those of a window")
    return kind


def _is_run_through(letter: str, extent: Extent, each: Sum) -> bool:
    """Whether a letter runs along a whole axis that it indexes, or through the window of a pixel."""
    if isinstance(extent, str):
        return any(letter in index.factors for cell in each.cells if None in cell.letters for index in cell.index)
    array, axis = extent[0].removeprefix("d"), extent[1]
    return any(
        cell.array.removeprefix("d") == array and (letter,) == cell.letters[axis : axis + 1] for cell in each.cells
    )


@dataclass(frozen=True)
class Scheduled:
    """One sum of a task, and its nests."""

    sum: Sum
    kind: str
    task: Task
    lanes: int
    groups: int
    scratch: Callable[[int], Array]
    by_patches: bool
    then: Task | None
    before: Sequence[Task]

    def nests(self) -> list[Bound]:
        """The nests that fill the target."""
        kind, target = self.kind, self.task.laid[self.sum.target.array]
        width, arrays = target.dtype.itemsize, self.roles()
        if kind.endswith("summed"):
            size = divisor(target_length := arrays["dy"].size // target.size, vector_size(width))
            tile = Tile(1, next(each for each in (8, 4, 2, 1) if target_length // size % each == 0), size)
            arrays["length"] = tile.length
            if not self.before:
                return [(nest(nests.summed, tile), arrays)]
            *pools, own = self.before
            arrays |= {"dy": own.laid["dy"], "y": own.laid["y"], "dz": arrays["dy"]}
            back = activation(own, back=True)
            if not pools:
                return [(nest(nests.rectified_and_summed, tile, then=back), arrays)]
            (pool,) = pools
            arrays |= {"dp": pool.laid["dy"], "p": pool.laid["y"], "winner": pool.laid["winner"], "lanes": self.lanes}
            arrays |= dict(zip(("size_0", "size_1"), pool.laid["window"].size, strict=True))
            part = divisor(self.lanes, vector_size(width))
            line = Tile(1, self.lanes // part, part)
            return [(nest(nests.unpooled_rectified_and_summed, tile, line=line, then=back), arrays)]
        if kind.startswith("dense"):
            return self._dense(kind, arrays, width)
        window, w = self.task.laid["window"], arrays["dw" if kind == "gathered" else "w"]
        settings = ((name, axis) for name in ("stride", "dilation", "padding") for axis in (0, 1))
        arrays |= {f"{name}_{axis}": getattr(window, name)[axis] for name, axis in settings}
        arrays |= {"groups": self.groups, "lanes": self.lanes}
        filters, channels = w.shape[0] // self.groups, w.shape[1]
        places = self.task.seen[self._places()].shape[3]
        stride, padding, spread = window.stride[1], window.padding[1], (window.size[1] - 1) * window.dilation[1]
        has_edge = padding > 0 or (places - 1) * stride + spread >= window.image[1]
        if kind == "scattered":
            first, last = nests.whole_walks(window.image[1], places, padding, spread)
        else:
            first, last = nests.whole_windows(places, window.image[1], padding, spread)
        inside = (last - first) * self.lanes
        outputs = self.task.seen[self._places()].shape[2:]
        is_wide = self.lanes >= winograd.FEWEST_LANES and self.groups == 1
        if self.by_patches and is_wide and winograd.takes_less(filters, channels, window, outputs, kind):
            then = self._then() if kind == "made" else NOTHING
            return winograd.scheduled(arrays, window, self.lanes, self.scratch, then, kind)
        if kind == "gathered":
            block, share, part = window_tile(filters, channels, w.shape[3])
            size, grain = run_size(self.lanes, inside if stride == 1 else self.lanes, width)
            tile = Tile(block, share * part, size)
            arrays |= {"block": block, "share": share, "part": part, "piece": size, "grain": grain}
            left_out = {"has_edge": has_edge, "has_rest": self.lanes % size > 0}
            return [(nest(nests.gathered, tile, channels=share, grain=grain, **left_out), arrays)]
        rows = filters if kind == "made" else channels
        wide = stretch_tile(rows, self.lanes, inside, width) if stride == 1 else None
        tile = rows_tile(rows, self.lanes, width)
        tile = Tile(tile.block if wide is None else wide.block, tile.across, tile.size)  # one packing serves both
        room = -(-rows // tile.block) * tile.block * prod(w.shape) // w.shape[int(kind != "made")]
        arrays |= {"packed": self.scratch(room), "block": tile.block, "piece": tile.length}
        arrays["reach"] = wide.length // self.lanes if wide else 0
        planes = channels if kind == "made" else filters
        arrays["chunk"] = chunk_of(planes, prod(window.size), (wide or tile).length * width)
        if kind == "made":
            has_rest = wide is None or (arrays["chunk"] < planes and (last - first) % arrays["reach"] > 0)
            return [(nest(nests.made, tile, wide, then=self._then(), has_edge=has_edge or has_rest), arrays)]
        steps = (
            stride // gcd(stride, dilation) for stride, dilation in zip(window.stride, window.dilation, strict=True)
        )
        return [(nest(nests.scattered, tile, wide), arrays | dict(zip(("step_0", "step_1"), steps, strict=True)))]

    def _places(self) -> str:
        """The array of output places, n k i j."""
        cells = (self.sum.target, *self.sum.factors)
        return next(cell.array for cell in cells if cell.array in self.task.images and None not in cell.letters)

    def _then(self) -> Activation:
        """The activation to lay in."""
        return NOTHING if self.then is None else activation(self.then)

    def _dense(self, kind: str, arrays: dict[str, Any], width: int) -> list[Bound]:
        units, inputs = arrays["dw" if kind == "dense gathered" else "w"].shape
        arrays["lanes"] = self.lanes
        if kind == "dense made":
            tile = rows_tile(units, self.lanes, width)
            return [
                (nest(nests.dense_made, tile, then=self._then()), arrays | {"block": tile.block, "piece": tile.length})
            ]
        if kind == "dense scattered":
            tile = rows_tile(inputs, self.lanes, width, most=12)
            return [(nest(nests.dense_scattered, tile), arrays | {"block": tile.block, "piece": tile.length})]
        tile = run_tile(units, inputs, width)
        room = self.scratch((inputs + tile.length) * self.lanes)
        turned = room[: inputs * self.lanes].reshape(self.lanes, inputs)
        panel = room[inputs * self.lanes : (inputs + tile.length) * self.lanes]
        known = {"dy": arrays["dy"], "turned": turned, "dw": arrays["dw"], "panel": panel, "lanes": self.lanes}
        known |= {"block": tile.block, "length": tile.length}
        return [
            turning(arrays["x"], turned),
            (nest(nests.dense_gathered, tile, line=Tile(1, tile.across, tile.size)), known),
        ]

    def roles(self) -> dict[str, Any]:
        """The arrays by what the nests call them: by whether they are met by the image, the filter, or both."""
        letters, target = [*self.sum.letters], self.sum.target
        is_backward = not self.kind.endswith("made")
        found = {} if self.sum.first is None else {"b": self.task.laid[self.sum.first.array]}
        for cell in (target, *self.sum.factors):
            has_images, has_filters = letters[0] in cell.letters, letters[1] in cell.letters
            name = ("y" if has_filters else "x") if has_images else "w" if len(cell.index) > 1 else "b"
            is_gradient = is_backward and (cell is target or name == "y")
            found["d" + name if is_gradient else name] = self.task.laid[cell.array]
        return found


def activation(task: Task, back: bool = False) -> Activation:
    """An activation, or its way back, as it is done to a tile, and its settings."""
    fixed = ((name, task.laid[name]) for name in task.text.arguments if name not in ("x", "y", "dx", "dy"))
    return laid_in(task.text, back), tuple((name, value, type(value)) for name, value in fixed)


def laid_in(text: Text, back: bool = False) -> str:
    """What an activation makes of a tile, or of a tile of errors; NotReadable where it cannot be done to a tile."""
    cells = {"y": "sums", "dy": "errors"} if back else {"x": "sums"}

    def done(node: ast.expr) -> str:
        match node:
            case ast.Subscript(ast.Name(name), ast.Name()) if name in cells:
                return cells[name]
            case ast.Constant(0):
                return "zeros(like)"
            case ast.BinOp(ast.Name(number), ast.Mult(), other) if number in text.arguments:
                return f"scaled({done(other)}, {number})"
            case ast.IfExp(ast.Compare(tested, [ast.LtE()], [ast.Constant(0)]), low, high):
                return f"choose({done(tested)}, {done(low)}, {done(high)})"
        raise NotReadable(f"{text.__name__} does {ast.unparse(node)}, which is not done to tiles")

    match function_of(text).body:
        case [
            ast.For(
                ast.Name(), ast.Call(ast.Name("places")), [ast.Assign([ast.Subscript(ast.Name("y" | "dx"))], value)]
            )
        ]:
            return f"def activated({', '.join(cells.values())}, like):\n    return {done(value)}\n"
    raise NotReadable(f"{text.__name__} does not make each number alone")


@cache
def is_laid_in(text: Text, back: bool = False) -> bool:
    """Whether an activation, or its way back, can be done to tiles."""
    try:
        laid_in(text, back)
    except NotReadable:
        return False
    return True


@cache
def asks_for_signs(text: Text) -> bool:
    """Whether an activation's way back only asks of y whether it is 0 or less: what has no error then sends none."""
    nodes = [*ast.walk(ast.parse(laid_in(text, back=True)))]
    tested = [each.args[0] for each in nodes if isinstance(each, ast.Call) and ast.unparse(each.func) == "choose"]
    known = {id(each) for test in tested for each in ast.walk(test)}
    return all(id(each) in known for each in nodes if isinstance(each, ast.Name) and each.id == "sums")


@cache
def nest(
    plain: Callable[..., None],
    tile: Tile,
    wide: Tile | None = None,
    line: Tile | None = None,
    channels: int = 1,
    then: Activation = NOTHING,
    has_edge: bool = True,
    has_rest: bool = True,
    grain: int = 0,
) -> Loops:
    """A nest for tiles of this shape: the same text, in which `multiply`, `store` … are those of the tile.

    Where no window reaches beyond the edge, or no run leaves a rest, what is done there is not compiled.
    """
    names = {**vars(nests), "HAS_VECTORS": True}
    names |= for_tile(tile, names, then, channels, grain, has_edge, has_rest)
    for_wide = for_tile(wide, names, then) if wide else names
    names |= {name + "_wide": for_wide[name] for name in ("window_sums", "walk_sums")}
    if not has_edge:
        names["window_sums"] = names["window_sums_wide"]
    if line is not None:
        of_line = for_tile(line, names, then)
        names |= {name + "_line": of_line[name] for name in ("load", "store", "won", "activated")}
    return Loops(FunctionType(plain.__code__, names, plain.__name__))


def for_tile(
    tile: Tile,
    names: dict[str, Any],
    then: Activation,
    channels: int = 1,
    grain: int = 0,
    has_edge: bool = True,
    has_rest: bool = True,
) -> dict[str, Any]:
    """The steps of the nests for tiles of one shape."""
    known = {**names, **vars(functions_of(tile, channels, grain))}
    known["correlate_rest"] = known["correlate_part"] if has_rest else nests.no_part
    if not has_edge:
        known["correlate_part"] = nests.no_part
    source, settings = then
    known["activated"] = made(source, known | {name: value for name, value, _ in settings}, "activated")
    for name in ("window_sums", "walk_sums", "gather"):
        step = getattr(nests, name)
        known[name] = FunctionType(step.__code__, known, name)
    return known
