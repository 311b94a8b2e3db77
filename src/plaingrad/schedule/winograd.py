"""Windows that move by one, patch by patch: the nests of Winograd's way, and when it is taken.

A patch is `out` by `out` outputs beside each other, and the pixels their windows meet. All are transformed, and for
each point of the transform there is a product of matrices: forward and back filters × channels times channels × lanes,
for the weights filters × lanes times lanes × channels. The order of every sum is the same in a tile of any shape.

A larger window is several small ones beside each other, each with a plane of pixels of its own: of a window of seven
four of four, of which the last row and column of some have weights of 0.

Over 300 lines, since what the nests need of their arrays is said beside them.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

from plaingrad.compiler.loops import Array, Loops
from plaingrad.compiler.loops import zeros as array_of_zeros
from plaingrad.schedule.patches import effort, sums_of, transform_of, transforms
from plaingrad.schedule.tiles import Tile, divisor, rows_tile, run_tile, vector_size
from plaingrad.schedule.turning import LINE, turning
from plaingrad.schedule.vectors import functions_of
from plaingrad.textbook.text import made

OUT = 2  # outputs beside each other; with more, numbers grow in the transforms, and rounding with them
LARGEST_WINDOW = 5  # for the same reason; larger ones are gone through in parts
FEWEST_LANES = 16  # with fewer the transforms, which have vectors of lanes, take longer than the products saved
VECTOR = 16  # channels, the most that one holds: what is left of the last one is done in vain
ENOUGH = 0.85  # of what the windows take: what is less is taken
SHARE = 16  # images, the most that are transformed at a time for the gradient of the weights

Bound = tuple[Loops, dict[str, Any]]

# What the nests say of the smallest tile and patch; a nest in use is given the instructions of its own.
SINGLE, SUMS = functions_of(Tile(1, 1, 1)), sums_of(Tile(1, 1, 1), transforms(1, 1)[0])
multiply, store, zeros, plus, resume = SINGLE.multiply, SINGLE.store, SINGLE.zeros, SINGLE.plus, SINGLE.resume
fold, store_inside = SUMS.fold, SUMS.store_inside
transform = transform_one = transform_weights = transform_of(transforms(1, 1)[0], 1)


def activated(sums, *others):
    """What an activation makes of a tile: nothing, where there is none."""
    return sums


def pack_weights(w, packed, products, channels, points, window, apart, block, is_back):
    """The weights of each block at the points, packed: block, point, plane, row. Turned round, where it `is_back`."""
    o, others, size = 0, w.shape[1] if is_back else w.shape[0], w.shape[2]
    for part in range(0, others, block):
        k = min(part, others - block)
        for plane in range(channels * apart * apart):
            c, top, left = plane // (apart * apart), plane // apart % apart * window, plane % apart * window
            place = 0
            for u in range(top, top + window):
                for v in range(left, left + window):
                    for q in range(block):
                        if max(u, v) >= size:  # beyond the window
                            products[place + q] = 0
                        elif is_back:
                            products[place + q] = w[c, k + q, size - 1 - u, size - 1 - v]
                        else:
                            products[place + q] = w[k + q, c, u, v]
                    place += block
            row, step = window * block, channels * apart * apart * block
            transform_weights(products, 0, row, block, 0, window, 0, window, packed, o + plane * block, step)
        o += points * channels * apart * apart * block


def winograd_made(
    x, w, b, y, packed, spread, products, padding_0, padding_1, step,
    *, lanes, block, piece, part, group, out, window, apart, is_back,
):  # fmt: skip
    """y[n, k, i, j] = b[k] + Σ(c, u, v) w[k, c, u, v] · x[n, c, i + u - padding, j + v - padding].

    Where it `is_back`, x are errors, y the pixels' errors and the windows are turned round. Of `apart` parts of a
    window along each axis each meets a plane of its own.
    """
    filters, channels, places = y.shape[0], x.shape[0], out + window - 1
    points, planes = places * places, channels * apart * apart
    row, channel, filter = x.shape[2], x.shape[1] * x.shape[2], y.shape[1] * y.shape[2]
    columns, across, length = y.shape[2] // lanes, x.shape[2] // lanes, group * lanes
    patches = -(-columns // out)
    pack_weights(w, packed, products, channels, points, window, apart, block, is_back)
    for i in range(0, y.shape[1], out):
        for start in range(0, patches, group):
            for plane in range(planes):
                c, top = plane // (apart * apart), padding_0 - i - plane // apart % apart * window
                bottom = x.shape[1] + top
                for member in range(group):
                    left = padding_1 - (start + member) * out - plane % apart * window
                    place, o = c * channel - top * row - left * lanes, plane * length + member * lanes
                    for n in range(0, lanes, part):
                        transform(
                            x, place + n, row, lanes, top, bottom, left, across + left, spread, o + n, step
                        )  # fmt: skip
            o = 0
            for unit in range(0, filters, block):
                k = min(unit, filters - block)
                for p in range(points):
                    for n in range(0, length, piece):
                        sums = zeros(y)
                        for c in range(planes):
                            sums = multiply(sums, packed, o + c * block, 1, spread, p * step + c * length + n)
                        store(sums, products, p * block * length + n, length)
                    o += planes * block
                for q in range(block):
                    for member in range(group):
                        j = (start + member) * out
                        place = (k + q) * filter + i * y.shape[2] + j * lanes
                        for n in range(0, lanes, part):
                            sums = fold(products, q * length + member * lanes + n, block * length, b[k + q])
                            store_inside(
                                activated(sums, y), y, place + n, y.shape[2], lanes, y.shape[1] - i, columns - j
                            )  # fmt: skip


def winograd_gathered(
    one, other, turned, dw, spread, panel, products, padding_0, padding_1, own_padding_0, own_padding_1, step,
    panel_step,
    *, lanes, share, block, length, part, size, out, window, is_turned,
):  # fmt: skip
    """dw[k, c, u, v] = Σ(n, i, j) dy[n, k, i, j] · x[n, c, i + u - padding, j + v - padding].

    `one` are errors and the other pixels, or, where it `is_turned`, the other way round. A vector runs along the
    channels or filters of the other, which was turned so that these lie side by side. The images are gone through in
    shares, of which all that is transformed stays in the nearest cache.
    """
    count, inside, places = one.shape[0], turned.shape[1], out + window - 1
    points, row, channel, other_row = places * places, one.shape[2], one.shape[1] * one.shape[2], other.shape[2]
    rows, columns = (other.shape[1], other_row // lanes) if is_turned else (one.shape[1], row // lanes)
    units = -(-count // block) * block
    for i in range(0, rows, out):
        for j in range(0, columns, out):
            top, left = padding_0 - i, padding_1 - j
            bottom, right = other.shape[1] + top, other_row // lanes + left
            own_top, own_left = own_padding_0 - i, own_padding_1 - j
            own_bottom, own_right = one.shape[1] + own_top, row // lanes + own_left
            for first in range(0, lanes, share):
                for n in range(share):
                    place = (first + n - top * other_row - left * lanes) * inside
                    for c in range(0, inside, size):
                        transform(
                            turned, place + c, other_row * inside, lanes * inside, top, bottom, left, right,
                            panel, n * inside + c, panel_step,
                        )  # fmt: skip
                for k in range(count):
                    place = k * channel - own_top * row - own_left * lanes + first
                    for n in range(0, share, part):
                        transform_one(
                            one, place + n, row, lanes, own_top, own_bottom, own_left, own_right,
                            spread, k * share + n, step,
                        )  # fmt: skip
                for p in range(points):
                    for k in range(0, units, block):
                        for c in range(0, inside, length):
                            sums, place = zeros(dw), (p * units + k) * inside + c
                            for n in range(share):
                                factor, number = p * step + k * share + n, p * panel_step + n * inside + c
                                sums = multiply(sums, spread, factor, share, panel, number)
                            if i + j + first > 0:
                                sums = plus(resume(products, place, inside), sums)
                            store(sums, products, place, inside)
    for k in range(count):
        for c in range(0, inside, size):
            row, step = places * units * inside, units * inside
            transform_weights(products, k * inside + c, row, step, 0, places, 0, places, panel, c, inside)
        for c in range(dw.shape[0] if is_turned else dw.shape[1]):
            for u in range(window):
                for v in range(window):
                    if is_turned:
                        dw[c, k, u, v] = panel[(u * window + v) * inside + c]
                    else:
                        dw[k, c, u, v] = panel[(u * window + v) * inside + c]


def takes_less(filters: int, channels: int, window: Any, outputs: tuple[int, int], kind: str) -> bool:
    """Whether patches take clearly less than windows: products, loads, stores and additions of vectors, counted.

    It rests on the layer alone: what is chosen changes bits.
    """
    size, sides = window.size[0], list(zip(window.image, outputs, window.padding, strict=True))
    if {*window.size} != {size} or size == 1 or {*window.stride, *window.dilation} != {1}:
        return False
    met, patches = 1, 1  # what windows meet of the image, one axis times the other
    for image, places, padding in sides:
        met *= sum(0 <= i + u - padding < image for i in range(places) for u in range(size))
        patches *= -(-(image if kind == "scattered" else places) // OUT)
    apart, part = parts_of(size)
    if kind == "gathered" and apart > 1:  # each part would be a sum of its own, with all transforms anew
        return False
    points = (OUT + part - 1) ** 2
    if kind == "gathered":
        _, g, t = transforms(part, OUT)
        turns = is_turned(filters, channels)
        errors, pixels = (vectors_of(filters), channels) if turns else (filters, vectors_of(channels))
        turning = VECTOR * OUT**2 * (filters if turns else channels)  # number by number
        each = points * errors * pixels + errors * effort(g) + pixels * effort(t) + turning
    else:
        a, _, t = transforms(OUT, part)
        rows, planes = (channels, filters) if kind == "scattered" else (filters, channels)
        each = apart**2 * (points * rows * planes + planes * effort(t)) + rows * effort(a)
    return bool(patches * each < ENOUGH * met * filters * channels)


def parts_of(size: int) -> tuple[int, int]:
    """Into how many parts a window is cut along each axis, and of how many weights each."""
    apart = -(-size // LARGEST_WINDOW)
    return apart, -(-size // apart)


def scheduled(
    arrays: dict[str, Any], window: Any, lanes: int, scratch: Callable[[int], Array], then: Any, kind: str
) -> list[Bound]:
    """The nests and what to bind them to; an activation is laid in `then`."""
    padding = dict(zip(("padding_0", "padding_1"), window.padding, strict=True))
    apart, part = parts_of(window.size[0])
    known = {**padding, "lanes": lanes, "out": OUT, "window": part}
    if kind == "gathered":
        return _gathered(arrays, known, scratch)
    known["apart"] = apart
    if kind == "made":
        return [_made({name: arrays[name] for name in "xwby"} | known, scratch, then, is_back=False)]
    known |= {name: window.size[0] - 1 - each for name, each in padding.items()}
    none = array_of_zeros((arrays["dx"].shape[0],), arrays["dx"].dtype)
    return [_made({"x": arrays["dy"], "w": arrays["w"], "b": none, "y": arrays["dx"]} | known, scratch, then, True)]


def _made(known: dict[str, Any], scratch: Callable[[int], Array], then: Any, is_back: bool) -> Bound:
    y, lanes, window = known["y"], known["lanes"], known["window"]
    rows, planes, width = y.shape[0], known["x"].shape[0] * known["apart"] ** 2, y.dtype.itemsize
    points, part = (OUT + window - 1) ** 2, divisor(lanes, vector_size(width))
    group = max(min(-(-2 * vector_size(width) // lanes), -(-(y.shape[2] // lanes) // OUT)), 1)
    length = group * lanes
    tile = rows_tile(rows, length, width)
    step = planes * length + LINE
    packed = points * planes * tile.block * -(-rows // tile.block)
    rooms = packed, points * step, max(points * length, window * window) * tile.block
    known |= dict(zip(("packed", "spread", "products"), parts(scratch, rooms), strict=True))
    known |= {"step": step, "block": tile.block, "piece": tile.length, "part": part, "group": group}
    a, g, t = transforms(OUT, window)
    own = {"transform": (t, part), "transform_weights": (g, tile.block)}
    name = "winograd_scattered" if is_back else "winograd_made"
    return nest(name, winograd_made, tile, tuple(own.items()), (part, a, *then)), known | {"is_back": is_back}


def _gathered(arrays: dict[str, Any], known: dict[str, Any], scratch: Callable[[int], Array]) -> list[Bound]:
    dw, lanes, window = arrays["dw"], known["lanes"], known["window"]
    width = dw.dtype.itemsize
    points, share, size = (OUT + window - 1) ** 2, divisor(lanes, SHARE), vector_size(width)
    part = divisor(share, size)
    turns = is_turned(*dw.shape[:2])
    one, other = (arrays["x"], arrays["dy"]) if turns else (arrays["dy"], arrays["x"])
    inside = -(-other.shape[0] // size) * size
    tile = run_tile(one.shape[0], inside, width)
    if inside % tile.length:
        tile = run_tile(one.shape[0], size, width)
    units = -(-one.shape[0] // tile.block) * tile.block
    step, panel_step = units * share + LINE, share * inside + LINE
    rooms = other[0].size * inside, points * step, points * panel_step, points * units * inside
    turned, *others = parts(scratch, rooms)
    turned = turned.reshape(-1, inside)
    paddings = [known.pop("padding_0"), known.pop("padding_1")], [0, 0]
    for name, padding in zip(("own_padding", "padding"), paddings if turns else paddings[::-1], strict=True):
        known |= {f"{name}_{axis}": each for axis, each in enumerate(padding)}
    known |= {"one": one, "other": other, "turned": turned, "dw": dw, "step": step, "panel_step": panel_step}
    known |= dict(zip(("spread", "panel", "products"), others, strict=True)) | {"is_turned": turns}
    known |= {"block": tile.block, "length": tile.length, "share": share, "part": part, "size": size}
    a, g, t = transforms(window, OUT)
    own = {"transform": (g if turns else t, size), "transform_one": (t if turns else g, part)}
    own["transform_weights"] = a, size
    gathering = (nest("winograd_gathered", winograd_gathered, tile, tuple(own.items())), known)
    return [turning(other.reshape(other.shape[0], -1), turned), gathering]


def is_turned(filters: int, channels: int) -> bool:
    """Whether vectors along the filters do less in vain than vectors along the channels."""
    return filters * vectors_of(channels) > channels * vectors_of(filters)


def vectors_of(channels: int) -> int:
    """So many channels and what their last vector does in vain."""
    return -(-channels // VECTOR) * VECTOR


def parts(scratch: Callable[[int], Array], sizes: tuple[int, ...]) -> list[Array]:
    """Parts of a room of so many numbers, one after the other, each from a cache line on."""
    starts = [sum(-(-size // LINE) * LINE for size in sizes[:place]) for place in range(len(sizes))]
    room = scratch(starts[-1] + sizes[-1])
    return [room[start : start + size] for start, size in zip(starts, sizes, strict=True)]


@cache
def nest(name: str, plain: Any, tile: Tile, own: tuple[Any, ...], last: tuple[Any, ...] = ()) -> Loops:
    """A nest for tiles of this shape: the same text, with their instructions and its own transforms.

    `last` is how sums are transformed back, in vectors of so many lanes, and the activation done to them.
    """
    names: dict[str, Any] = {**globals(), "HAS_VECTORS": True}
    instructions = ("zeros", "multiply", "store", "resume", "plus")
    names |= {each: getattr(functions_of(tile), each) for each in instructions}
    names |= {each: transform_of(*given) for each, given in own}
    if last:
        part, back, source, settings = last
        sums = Tile(OUT, OUT, part)
        names |= vars(sums_of(sums, back))
        of_sums = names | vars(functions_of(sums)) | {each: value for each, value, _ in settings}
        names["activated"] = made(source, of_sums, "activated")
    names["pack_weights"] = FunctionType(pack_weights.__code__, names, "pack_weights")
    return Loops(FunctionType(plain.__code__, names, name))
