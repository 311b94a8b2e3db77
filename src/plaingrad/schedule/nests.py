"""The fast nests of sums of products; `schedule/fast.py` says which one a text needs, and with which arrays and tiles.

Images lie (channel, row, column × lane). A tile is all lanes of one column, or, where the lanes are few and the window
moves by one column, a `wide` stretch of the row. The window's columns are bounded at the edge as its rows are, so
nothing is copied between zeros. A tile's sums stay in registers while all their products are added. The weights of a
block of filters or channels are packed, so that they are met in order. The last block overlaps the one before.

`begin`, `zeros`, `multiply`, `store` … are those of `schedule/vectors.py` for the tile in use, `activated` what an
activation makes of a tile, and `window_sums_wide` is `window_sums` for wide tiles.

Over 300 lines, since the nests of all sums stand side by side.
"""

from plaingrad.schedule.tiles import Tile
from plaingrad.schedule.vectors import functions_of

# What the nests say of the smallest tile, a single number; a nest in use is given the functions of its own tile.
SINGLE = functions_of(Tile(1, 1, 1))
begin, zeros, resume, multiply, store = SINGLE.begin, SINGLE.zeros, SINGLE.resume, SINGLE.multiply, SINGLE.store
correlate, store_totals = SINGLE.correlate, SINGLE.store_totals
correlate_part = correlate_rest = SINGLE.correlate_part
plus, store_total, load_line, store_line = SINGLE.plus, SINGLE.store_total, SINGLE.load, SINGLE.store
won_line = SINGLE.won
load = SINGLE.load


def activated(sums, *others):
    """What an activation makes of a tile: nothing, where there is none."""
    return sums


activated_line = activated


def within(start, stride, count, size):
    """From which to which of `count` strides a walk from `start` stands on one of `size` places."""
    return max(0, -(start // stride)), min(count, (size - 1 - start) // stride + 1)


def meeting(place, stride, count, other, size):
    """From which to which of `count` strides a walk back from `place` may meet `size` strides of the other kind."""
    first, last = max(0, -((place - (size - 1) * other) // -stride)), min(count, place // stride + 1)
    while first < last and (place - first * stride) % other:
        first += 1
    return first, last


def whole_windows(columns: int, across: int, padding: int, spread: int) -> tuple[int, int]:
    """From which to which output column a window that moves by one lies within the image."""
    first = min(padding, columns)
    return first, max(first, min(columns, across + padding - spread))


def whole_walks(columns: int, across: int, padding: int, spread: int) -> tuple[int, int]:
    """From which to which pixel's column every window that may lie on it is there, where windows move by one."""
    first = min(max(spread - padding, 0), columns)
    return first, max(first, min(columns, across - padding))


def window_sums(
    b, k, packed, o, x, p, y, place, step, start, stop, channels, channel, size_0, first, last, row, size_1, left,
    right, spacing, block,
):  # fmt: skip
    """A tile: the products of the channels from start to stop and of what of the window lies on the image."""
    sums = begin(b, k) if start == 0 else resume(y, place, step)
    for c in range(start, stop):
        for u in range(first, last):
            weight, pixel = o + ((c * size_0 + u) * size_1 + left) * block, p + c * channel + u * row + left * spacing
            for _ in range(left, right):
                sums = multiply(sums, packed, weight, 1, x, pixel)
                weight, pixel = weight + block, pixel + spacing
    store(activated(sums, y) if stop == channels else sums, y, place, step)


window_sums_wide = window_sums


def made(
    x, w, b, y, packed, groups, stride_0, stride_1, dilation_0, dilation_1, padding_0, padding_1, chunk,
    *, lanes, block, piece, reach,
):  # fmt: skip
    """y[n, k, i, j] = b[k] + Σ(c, u, v) w[k, c, u, v] · x[n, c, row, column], a chunk of channels at a time."""
    filters, channels, size_0, size_1 = w.shape[0] // groups, w.shape[1], w.shape[2], w.shape[3]
    row, channel, filter = x.shape[2], x.shape[1] * x.shape[2], y.shape[1] * y.shape[2]
    columns, across, kernel = y.shape[2] // lanes, x.shape[2] // lanes, channels * size_0 * size_1
    inner, outer = whole_windows(columns, across, padding_1, (size_1 - 1) * dilation_1)
    if reach == 0 or outer - inner < reach:
        outer = inner
    if chunk < channels:  # a last stretch that overlaps the one before would take up what it has just added
        outer -= (outer - inner) % max(reach, 1)
    for group in range(groups):
        o, own = 0, group * channels * channel
        for part in range(0, filters, block):
            k = group * filters + min(part, filters - block)
            for c in range(channels):
                for u in range(size_0):
                    for v in range(size_1):
                        for q in range(block):
                            packed[o + q] = w[k + q, c, u, v]
                        o += block
        for i in range(y.shape[1]):
            first, last = within(i * stride_0 - padding_0, dilation_0, size_0, x.shape[1])
            above = own + (i * stride_0 - padding_0) * row
            for part in range(0, filters, block):
                k = group * filters + min(part, filters - block)
                o, beside = part * kernel, k * filter + i * y.shape[2]
                for map in range(0, channels, chunk):
                    end = min(map + chunk, channels)
                    for start in range(inner, outer, max(reach, 1)):
                        j = min(start, outer - reach)
                        window_sums_wide(
                            b, k, packed, o, x, above + (j - padding_1) * lanes, y, beside + j * lanes, filter, map,
                            end, channels, channel, size_0, first, last, dilation_0 * row, size_1, 0, size_1,
                            dilation_1 * lanes, block,
                        )  # fmt: skip
                    for j in range(columns):
                        if inner <= j < outer:
                            continue
                        left, right = within(j * stride_1 - padding_1, dilation_1, size_1, across)
                        for n in range(0, lanes, piece):
                            window_sums(
                                b, k, packed, o, x, above + (j * stride_1 - padding_1) * lanes + n, y,
                                beside + j * lanes + n, filter, map, end, channels, channel, size_0, first, last,
                                dilation_0 * row, size_1, left, right, dilation_1 * lanes, block,
                            )  # fmt: skip


def walk_sums(
    packed, o, dy, p, dx, place, step, start, stop, filter, size_0, first, last, step_0, up, size_1, left, right,
    step_1, back, block,
):  # fmt: skip
    """A tile: the products of the filters from start to stop and of every step through the window, each so far back."""
    sums = zeros(dx) if start == 0 else resume(dx, place, step)
    for k in range(start, stop):
        above = p + k * filter
        for u in range(first, last, step_0):
            weight, error = o + ((k * size_0 + u) * size_1 + left) * block, above
            for _ in range(left, right, step_1):
                sums = multiply(sums, packed, weight, 1, dy, error)
                weight, error = weight + step_1 * block, error - back
            above -= up
    store(sums, dx, place, step)


walk_sums_wide = walk_sums


def scattered(
    dy, w, dx, packed, groups, stride_0, stride_1, dilation_0, dilation_1, padding_0, padding_1, step_0, step_1, chunk,
    *, lanes, block, piece, reach,
):  # fmt: skip
    """dx[n, c, row, column] = Σ(k, u, v) w[k, c, u, v] · dy[n, k, i, j], over the windows (i, j) that lie on the pixel.

    From one such window to the next u grows by step_0, and i falls by step_0 · dilation_0 / stride_0.
    """
    filters, channels, size_0, size_1 = w.shape[0] // groups, w.shape[1], w.shape[2], w.shape[3]
    row, filter, channel = dy.shape[2], dy.shape[1] * dy.shape[2], dx.shape[1] * dx.shape[2]
    columns, across, kernel = dx.shape[2] // lanes, dy.shape[2] // lanes, filters * size_0 * size_1
    inner, outer = whole_walks(columns, across, padding_1, (size_1 - 1) * dilation_1)
    if reach == 0 or outer - inner < reach:
        outer = inner
    if chunk < filters:  # a last stretch that overlaps the one before would take up what it has just added
        outer -= (outer - inner) % max(reach, 1)
    for group in range(groups):
        o, own = 0, group * filters
        for part in range(0, channels, block):
            c = min(part, channels - block)
            for k in range(own, own + filters):
                for u in range(size_0):
                    for v in range(size_1):
                        for q in range(block):
                            packed[o + q] = w[k, c + q, u, v]
                        o += block
        for r in range(dx.shape[1]):
            first, last = meeting(r + padding_0, dilation_0, size_0, stride_0, dy.shape[1])
            up = step_0 * dilation_0 // stride_0 * row  # for each step; the walk begins at row `first`
            above = own * filter + (r + padding_0 - first * dilation_0) // stride_0 * row
            for part in range(0, channels, block):
                c = group * channels + min(part, channels - block)
                o, beside = part * kernel, c * channel + r * dx.shape[2]
                for map in range(0, filters, chunk):
                    end = min(map + chunk, filters)
                    for start in range(inner, outer, max(reach, 1)):
                        s = min(start, outer - reach)
                        walk_sums_wide(
                            packed, o, dy, above + (s + padding_1) * lanes, dx, beside + s * lanes, channel, map, end,
                            filter, size_0, first, last, step_0, up, size_1, 0, size_1, 1, dilation_1 * lanes, block,
                        )  # fmt: skip
                    for s in range(columns):
                        if inner <= s < outer:
                            continue
                        left, right = meeting(s + padding_1, dilation_1, size_1, stride_1, across)
                        for n in range(0, lanes, piece):
                            walk_sums(
                                packed, o, dy, above + (s + padding_1 - left * dilation_1) // stride_1 * lanes + n, dx,
                                beside + s * lanes + n, channel, map, end, filter, size_0, first, last, step_0, up,
                                size_1, left, right, step_1, step_1 * dilation_1 // stride_1 * lanes, block,
                            )  # fmt: skip


def no_part(sums, errors, start, step, pixels, place, channel, spacing, first, last):
    """In place of `correlate_part` where nothing lies beyond the edge, or nothing is left of a run."""
    return sums


def gathered(
    dy, x, dw, groups, stride_0, stride_1, dilation_0, dilation_1, padding_0, padding_1,
    *, lanes, block, share, part, piece, grain,
):  # fmt: skip
    """dw[k, c, u, v] = Σ(n, i, j) dy[n, k, i, j] · x[n, c, row, column]: a vector of sums for each weight of a tile."""
    filters, channels, size_0, size_1 = dw.shape[0] // groups, dw.shape[1], dw.shape[2], dw.shape[3]
    for group in range(groups):
        for filter in range(0, filters, block):
            k = group * filters + min(filter, filters - block)
            for map in range(0, channels, share):
                c = min(map, channels - share)
                for u in range(size_0):
                    first, last = within(u * dilation_0 - padding_0, stride_0, dy.shape[1], x.shape[1])
                    for column in range(0, size_1, part):
                        v = min(column, size_1 - part)
                        gather(
                            dy, x, dw, k, group * channels + c, c, u, v, first, last, stride_0, stride_1, dilation_0,
                            dilation_1, padding_0, padding_1, lanes, part, piece, grain,
                        )  # fmt: skip


def gather(
    dy, x, dw, k, map, c, u, v, first, last, stride_0, stride_1, dilation_0, dilation_1, padding_0, padding_1, lanes,
    part, piece, grain,
):  # fmt: skip
    """A tile of weights: the products where all its columns lie on the image, then what is left of each run, then

    those at the edge, a grain at a time. They have loops of their own: within the others they would take their
    registers.
    """
    columns, across = dy.shape[2] // lanes, x.shape[2] // lanes
    row, channel, filter, spacing = x.shape[2], x.shape[1] * x.shape[2], dy.shape[1] * dy.shape[2], dilation_1 * lanes
    start, right = within(v * dilation_1 - padding_1, stride_1, columns, across)
    left, stop = within((v + part - 1) * dilation_1 - padding_1, stride_1, columns, across)
    start = min(start, columns)  # from start to stop all columns of the tile meet a pixel, from left to right some do
    stop, left = max(start, stop), min(left, start)
    right = max(right, stop)
    run = max(stop - start, 1) if stride_1 == 1 else 1  # columns whose pixels lie side by side
    above = map * channel + (u * dilation_0 - padding_0) * row + (v * dilation_1 - padding_1) * lanes
    whole = run * lanes // piece * piece
    sums = zeros(dw)
    for i in range(first, last):
        error, pixel = k * filter + i * dy.shape[2], above + i * stride_0 * row
        for j in range(start, stop, run):
            beside = pixel + j * (stride_1 - 1) * lanes
            for n in range(j * lanes, j * lanes + whole, piece):
                sums = correlate(sums, dy, error + n, filter, x, beside + n, channel, spacing)
    for i in range(first, last if whole < run * lanes else 0):
        error, pixel = k * filter + i * dy.shape[2], above + i * stride_0 * row
        for j in range(start, stop, run):
            beside = pixel + j * (stride_1 - 1) * lanes
            for n in range(j * lanes + whole, (j + run) * lanes, grain):
                sums = correlate_rest(sums, dy, error + n, filter, x, beside + n, channel, spacing, 0, part)
    for edge in range(start - left + right - stop):  # the columns at the edge
        j = left + edge if left + edge < start else left + edge + stop - start
        one, other = within(j * stride_1 + v * dilation_1 - padding_1, dilation_1, part, across)
        for i in range(first, last):
            error = k * filter + i * dy.shape[2] + j * lanes
            pixel = above + i * stride_0 * row + j * stride_1 * lanes
            for n in range(0, lanes, grain):
                sums = correlate_part(sums, dy, error + n, filter, x, pixel + n, channel, spacing, one, other)
    place, area = ((k * dw.shape[1] + c) * dw.shape[2] + u) * dw.shape[3] + v, dw.shape[2] * dw.shape[3]
    store_totals(sums, dw, place, dw.shape[1] * area, area)


def summed(dy, db, *, length):
    """db[k] = Σ(n, i, j) dy[n, k, i, j]: several vectors of sums, so that none waits for the one before."""
    size = dy.size // db.size
    for k in range(db.size):
        sums = zeros(db)
        for n in range(k * size, k * size + size, length):
            sums = plus(sums, load(dy, n))
        store_total(sums, db, k)


def rectified_and_summed(dy, y, dz, db, *, length):
    """The same of dz, which is first made of dy as the activation before it says."""
    size = dy.size // db.size
    for k in range(db.size):
        sums = zeros(db)
        for n in range(k * size, k * size + size, length):
            part = activated(load(y, n), load(dy, n), dz)
            store(part, dz, n, 0)
            sums = plus(sums, part)
        store_total(sums, db, k)


def unpooled_rectified_and_summed(dp, p, winner, dz, db, *, length, lanes, size_0, size_1):
    """The same of errors that come back through max pools, without dy and y.

    A pool's output p is its winner's y; a pixel that is no winner has no error, whatever its y.
    """
    size, row, columns = dz.size // db.size, dz.shape[2], dz.shape[2] // lanes
    for k in range(db.size):
        sums, start = zeros(db), k * size
        for i in range(dp.shape[1]):
            for j in range(dp.shape[2] // lanes):
                error = (k * dp.shape[1] + i) * dp.shape[2] + j * lanes
                errors = activated_line(load_line(p, error), load_line(dp, error), dp)
                for u in range(i * size_0, i * size_0 + size_0):
                    for v in range(j * size_1, j * size_1 + size_1):
                        part = won_line(errors, winner, error, u * columns + v)
                        store_line(part, dz, k * size + u * row + v * lanes, 0)
            end = k * size + (i + 1) * size_0 * row
            for n in range(start, end - length + 1, length):
                sums = plus(sums, load(dz, n))
            start += (end - start) // length * length
        store_total(sums, db, k)


def dense_made(x, w, b, y, *, lanes, block, piece):
    """y[n, k] = b[k] + Σ(c) w[k, c] · x[n, c]; the weights are read in place, a row for each unit of the block."""
    units, inputs = w.shape[0], w.shape[1]
    for part in range(0, units, block):
        k = min(part, units - block)
        for n in range(0, lanes, piece):
            sums = begin(b, k)
            for c in range(inputs):
                sums = multiply(sums, w, k * inputs + c, inputs, x, c * lanes + n)
            store(activated(sums, y), y, k * lanes + n, lanes)


def dense_gathered(dy, turned, dw, panel, *, lanes, block, length):
    """dw[k, c] = Σ(n) dy[n, k] · x[n, c]: a vector runs along the inputs, which were turned to lie side by side."""
    units, inputs = dw.shape[0], dw.shape[1]
    for part in range(0, inputs, length):
        c = min(part, inputs - length)
        for n in range(lanes):
            store_line(load_line(turned, n * inputs + c), panel, n * length, length)
        for unit in range(0, units, block):
            k = min(unit, units - block)
            sums = zeros(dw)
            for n in range(lanes):
                sums = multiply(sums, dy, k * lanes + n, lanes, panel, n * length)
            store(sums, dw, k * inputs + c, inputs)


def dense_scattered(dy, w, dx, *, lanes, block, piece):
    """dx[n, c] = Σ(k) w[k, c] · dy[n, k]; the weights are read in place, a column for each input of the block."""
    units, inputs = w.shape[0], w.shape[1]
    for part in range(0, inputs, block):
        c = min(part, inputs - block)
        for n in range(0, lanes, piece):
            sums = zeros(dx)
            for k in range(units):
                sums = multiply(sums, w, k * inputs + c, 1, dy, k * lanes + n)
            store(sums, dx, c * lanes + n, lanes)
