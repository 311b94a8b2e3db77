"""Nests written by hand for normalisation, skips and the mean of a whole channel: a law holds each to its text.

Sums over an image are kept for each lane, in a row of the array that is filled last, so that many are added at once.
"""

from plaingrad.compiler.loops import Loops, at, loops, sqrt
from plaingrad.textbook.layers import normalisation, pool, skip
from plaingrad.textbook.text import Text


def add_lanes(array, total, c, lanes):
    """The sum of a channel's pixels for each lane, into the first row of another array."""
    for n in range(lanes):
        total[c, 0, at(n)] = 0
    for i in range(array.shape[1]):
        for j in range(array.shape[2] // lanes):
            for n in range(lanes):
                total[c, 0, at(n)] += array[c, i, at(j * lanes + n)]


def add_products(one, two, total, c, lanes):
    """The sum of the products of two channels' pixels for each lane."""
    for n in range(lanes):
        total[c, 0, at(n)] = 0
    for i in range(one.shape[1]):
        for j in range(one.shape[2] // lanes):
            for n in range(lanes):
                total[c, 0, at(n)] += one[c, i, at(j * lanes + n)] * two[c, i, at(j * lanes + n)]


@loops
def fast_batchnorm_forward(x, w, b, share, y, mean, variance, normal, lanes, *, epsilon):
    pixels = x.shape[1] * (x.shape[2] // lanes)
    for c in range(x.shape[0]):
        add_lanes(x, y, c, lanes)
        mean[c] = 0
        for n in range(lanes):
            mean[c] += share[n] * y[c, 0, at(n)] / pixels
        for n in range(lanes):
            y[c, 0, at(n)] = 0
        middle = mean[c]
        for i in range(x.shape[1]):
            for j in range(x.shape[2] // lanes):
                for n in range(lanes):
                    away = x[c, i, at(j * lanes + n)] - middle
                    y[c, 0, at(n)] += away * away
        variance[c] = 0
        for n in range(lanes):
            variance[c] += share[n] * y[c, 0, at(n)] / pixels
        deviation, scale, shift = sqrt(variance[c] + epsilon), w[c], b[c]
        for i in range(x.shape[1]):
            for m in range(x.shape[2]):
                normal[c, i, m] = (x[c, i, m] - middle) / deviation
                y[c, i, m] = scale * normal[c, i, m] + shift


@loops
def fast_batchnorm_backward(dy, w, share, variance, normal, dx, dw, db, lanes, *, epsilon):
    pixels = dx.shape[1] * (dx.shape[2] // lanes)
    for c in range(dx.shape[0]):
        add_lanes(dy, dx, c, lanes)
        db[c] = 0
        for n in range(lanes):
            db[c] += dx[c, 0, at(n)]
        add_products(dy, normal, dx, c, lanes)
        dw[c] = 0
        for n in range(lanes):
            dw[c] += dx[c, 0, at(n)]
        factor, along_b, along_w = w[c] / sqrt(variance[c] + epsilon), db[c] / pixels, dw[c] / pixels
        for i in range(dx.shape[1]):
            for j in range(dx.shape[2] // lanes):
                for n in range(lanes):
                    through_all = share[n] * (along_b + along_w * normal[c, i, at(j * lanes + n)])
                    dx[c, i, at(j * lanes + n)] = factor * (dy[c, i, at(j * lanes + n)] - through_all)


@loops
def fast_batchnorm_infer(x, w, b, running_mean, running_variance, y, *, epsilon):
    for c in range(x.shape[0]):
        factor, middle, shift = w[c] / sqrt(running_variance[c] + epsilon), running_mean[c], b[c]
        for i in range(x.shape[1]):
            for m in range(x.shape[2]):
                y[c, i, m] = factor * (x[c, i, m] - middle) + shift


@loops
def fast_groupnorm_forward(x, w, b, y, mean, deviation, normal, lanes, *, group_size, epsilon):
    count = group_size * x.shape[1] * (x.shape[2] // lanes)
    for g in range(mean.shape[0]):
        for n in range(lanes):
            mean[g, n], deviation[g, n] = 0, 0
        for c in range(g * group_size, g * group_size + group_size):
            for i in range(x.shape[1]):
                for j in range(x.shape[2] // lanes):
                    for n in range(lanes):
                        mean[g, n] += x[c, i, at(j * lanes + n)]
        for n in range(lanes):
            mean[g, n] = mean[g, n] / count
        for c in range(g * group_size, g * group_size + group_size):
            for i in range(x.shape[1]):
                for j in range(x.shape[2] // lanes):
                    for n in range(lanes):
                        away = x[c, i, at(j * lanes + n)] - mean[g, n]
                        deviation[g, n] += away * away
        for n in range(lanes):
            deviation[g, n] = sqrt(deviation[g, n] / count + epsilon)
        for c in range(g * group_size, g * group_size + group_size):
            for i in range(x.shape[1]):
                for j in range(x.shape[2] // lanes):
                    for n in range(lanes):
                        place = at(j * lanes + n)
                        normal[c, i, place] = (x[c, i, place] - mean[g, n]) / deviation[g, n]
                        y[c, i, place] = w[c] * normal[c, i, place] + b[c]


@loops
def fast_groupnorm_backward(dy, w, deviation, normal, dx, dw, db, mean_error, mean_product, lanes, *, group_size):
    count = group_size * dx.shape[1] * (dx.shape[2] // lanes)
    for g in range(deviation.shape[0]):
        for n in range(lanes):
            mean_error[g, n], mean_product[g, n] = 0, 0
        for c in range(g * group_size, g * group_size + group_size):
            add_lanes(dy, dx, c, lanes)
            db[c] = 0
            for n in range(lanes):
                db[c] += dx[c, 0, at(n)]
                mean_error[g, n] += w[c] * dx[c, 0, at(n)] / count
            add_products(dy, normal, dx, c, lanes)
            dw[c] = 0
            for n in range(lanes):
                dw[c] += dx[c, 0, at(n)]
                mean_product[g, n] += w[c] * dx[c, 0, at(n)] / count
        for c in range(g * group_size, g * group_size + group_size):
            for i in range(dx.shape[1]):
                for j in range(dx.shape[2] // lanes):
                    for n in range(lanes):
                        place = at(j * lanes + n)
                        error = dy[c, i, place] * w[c] - mean_error[g, n] - mean_product[g, n] * normal[c, i, place]
                        dx[c, i, place] = error / deviation[g, n]


@loops
def fast_global_meanpool_forward(x, y, lanes):
    pixels = x.shape[1] * (x.shape[2] // lanes)
    for c in range(x.shape[0]):
        for n in range(lanes):
            y[c, n] = 0
        for i in range(x.shape[1]):
            for j in range(x.shape[2] // lanes):
                for n in range(lanes):
                    y[c, n] += x[c, i, at(j * lanes + n)]
        for n in range(lanes):
            y[c, n] = y[c, n] / pixels


@loops
def fast_global_meanpool_backward(dy, dx, lanes):
    pixels = dx.shape[1] * (dx.shape[2] // lanes)
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for j in range(dx.shape[2] // lanes):
                for n in range(lanes):
                    dx[c, i, at(j * lanes + n)] = dy[c, n] / pixels


@loops
def fast_add_forward(x, skip, y, lanes, *, stride_0, stride_1):
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2] // lanes):
                if c < skip.shape[0]:
                    for n in range(lanes):
                        there = skip[c, i * stride_0, at(j * stride_1 * lanes + n)]
                        y[c, i, at(j * lanes + n)] = x[c, i, at(j * lanes + n)] + there
                else:
                    for n in range(lanes):
                        y[c, i, at(j * lanes + n)] = x[c, i, at(j * lanes + n)]


@loops
def fast_add_backward(dy, dx, dskip, lanes, *, stride_0, stride_1):
    for c in range(dskip.shape[0]):
        for i in range(dskip.shape[1]):
            for m in range(dskip.shape[2]):
                dskip[c, i, m] = 0
    for c in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            for j in range(dx.shape[2] // lanes):
                for n in range(lanes):
                    dx[c, i, at(j * lanes + n)] = dy[c, i, at(j * lanes + n)]
                if c < dskip.shape[0]:
                    for n in range(lanes):
                        dskip[c, i * stride_0, at(j * stride_1 * lanes + n)] = dy[c, i, at(j * lanes + n)]


WRITTEN: dict[Text, Loops] = {
    Text(normalisation.batchnorm_forward): fast_batchnorm_forward,
    Text(normalisation.batchnorm_backward): fast_batchnorm_backward,
    Text(normalisation.batchnorm_infer): fast_batchnorm_infer,
    Text(normalisation.groupnorm_forward): fast_groupnorm_forward,
    Text(normalisation.groupnorm_backward): fast_groupnorm_backward,
    Text(pool.global_meanpool_forward): fast_global_meanpool_forward,
    Text(pool.global_meanpool_backward): fast_global_meanpool_backward,
    Text(skip.add_forward): fast_add_forward,
    Text(skip.add_backward): fast_add_backward,
}
