/* Arrays of numbers: made, read from JSON, and printed as JSON. */
#ifndef TENSOR_H
#define TENSOR_H

#include "json.h"

/* Numbers along up to four axes, such as (image, channel, row, column). Axes beyond the rank have extent 1. */
typedef struct {
    int rank, shape[4];
    double *numbers; /* NULL: there is no such array */
} Tensor;

static Tensor tensor(int rank, int n, int c, int i, int j) {
    double size = (double)n * c * i * j;
    require(size >= 1 && size <= 1e8, "an array of %d x %d x %d x %d cannot be made", n, c, i, j);
    return (Tensor){rank, {n, c, i, j}, allocate((size_t)size * sizeof(double))};
}

static Tensor zeros_like(Tensor t) {
    return tensor(t.rank, t.shape[0], t.shape[1], t.shape[2], t.shape[3]);
}

static size_t size_of(Tensor t) {
    return (size_t)t.shape[0] * t.shape[1] * t.shape[2] * t.shape[3];
}

static double *at(Tensor t, int n, int c, int i, int j) {
    return &t.numbers[(((size_t)n * t.shape[1] + c) * t.shape[2] + i) * t.shape[3] + j];
}

/* Four loops in one line; the places of `t` in reading order. */
#define EACH(t, n, c, i, j) \
    for (int n = 0; n < (t).shape[0]; n++) for (int c = 0; c < (t).shape[1]; c++) \
        for (int i = 0; i < (t).shape[2]; i++) for (int j = 0; j < (t).shape[3]; j++)

static void clear(Tensor t) {
    if (t.numbers) memset(t.numbers, 0, size_of(t) * sizeof(double));
}

/* Lists in lists as an array; all lists along an axis must be of one length. */
static void fill(const Json *from, const Tensor *t, int axis, double **next) {
    if (axis == t->rank) {
        require(from->kind == '0', "the case has something else where there should be a number");
        *(*next)++ = from->number;
        return;
    }
    require(from->kind == '[' && from->count == t->shape[axis], "the case has lists that should be of one length");
    for (const Json *each = from->first; each; each = each->next) fill(each, t, axis + 1, next);
}

static Tensor tensor_of(const Json *from) {
    int rank = 0, shape[4] = {1, 1, 1, 1};
    for (const Json *each = from; each && each->kind == '[' && rank < 4; each = each->first)
        shape[rank++] = each->count;
    Tensor t = tensor(rank, shape[0], shape[1], shape[2], shape[3]);
    double *next = t.numbers;
    fill(from, &t, 0, &next);
    return t;
}

static void print(Tensor t, int axis, const double **next) {
    if (axis == t.rank) {
        printf("%.17g", *(*next)++);
        return;
    }
    for (int p = 0; p < t.shape[axis]; p++) {
        putchar(p ? ',' : '[');
        print(t, axis + 1, next);
    }
    putchar(']');
}

#endif
