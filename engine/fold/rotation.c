#include "engine/fold/rotation.h"

#include <assert.h>
#include <math.h>

/* Columns that go through all levels together: a block of them stays in the first-level cache. */
#define COLUMNS 16

size_t rotation_order(size_t count) {
    size_t order = count > 0;
    while (order && order * 2 <= count && order < ROTATION_ORDER_MAX) order *= 2;
    return order;
}

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t higher(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The first item of the axis that is transformed once more. */
static size_t tail_of(const struct rotation *r) {
    return r->count % r->order ? r->count - r->order : r->count;
}

void rotation_cover(const struct rotation *r, size_t *first, size_t *end) {
    if (!r->order || *end <= r->first || *first >= r->first + r->count) return;
    size_t from = *first > r->first ? *first - r->first : 0, to = lower(*end - r->first, r->count);
    const size_t tail = tail_of(r);
    from -= from % r->order;
    to = lower((to + r->order - 1) / r->order * r->order, r->count);
    if (to > tail) {
        from = lower(from, tail - tail % r->order);
        to = r->count;
    }
    *first = lower(*first, r->first + from);
    *end = higher(*end, r->first + to);
}

static double sign_of(size_t item) {
    return KERNEL_HADAMARD_SIGNS >> item & 1 ? -1 : 1;
}

/* Three levels at once: of eight items that are a step apart, of n entries each, multiplied by factor first. */
static inline void three_levels(const double *restrict from, size_t from_step, const double *factor, size_t n,
                                double *restrict to, size_t to_step) {
    for (size_t k = 0; k < n; k++) {
        double a[8], b[8];
        for (size_t i = 0; i < 8; i++) b[i] = from[i * from_step + k] * factor[i];
        for (size_t i = 0; i < 8; i += 2) a[i] = b[i] + b[i + 1], a[i + 1] = b[i] - b[i + 1];
        for (size_t i = 0; i < 8; i += 4)
            for (size_t m = i; m < i + 2; m++) b[m] = a[m] + a[m + 2], b[m + 2] = a[m] - a[m + 2];
        for (size_t m = 0; m < 4; m++) {
            to[m * to_step + k] = b[m] + b[m + 4];
            to[(m + 4) * to_step + k] = b[m] - b[m + 4];
        }
    }
}

/* Blocks of 64, which are nearly all: in two passes, through the first-level cache. */
static void transform_64(double *x, size_t stride, size_t columns, double scale) {
    static const double ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    double block[64 * COLUMNS];
    for (size_t i = 0; i < 64; i += 8) {
        double factor[8];
        for (size_t k = 0; k < 8; k++) factor[k] = sign_of(i + k) * scale;
        three_levels(x + i * stride, stride, factor, columns, block + i * columns, columns);
    }
    if (stride == columns) {
        three_levels(block, 8 * columns, ones, 8 * columns, x, 8 * stride);
        return;
    }
    for (size_t i = 0; i < 8; i++)
        three_levels(block + i * columns, 8 * columns, ones, columns, x + i * stride, 8 * stride);
}

static void transform_columns(double *x, size_t stride, size_t order, size_t columns, double scale) {
    double block[ROTATION_ORDER_MAX * COLUMNS];
    for (size_t i = 0; i < order; i++)
        for (size_t k = 0; k < columns; k++) block[i * columns + k] = x[i * stride + k] * sign_of(i) * scale;
    for (size_t h = columns; h < order * columns; h *= 2)
        for (size_t at = 0; at < order * columns; at += 2 * h)
            for (size_t i = at; i < at + h; i++) {
                double a = block[i], b = block[i + h];
                block[i] = a + b;
                block[i + h] = a - b;
            }
    for (size_t i = 0; i < order; i++)
        for (size_t k = 0; k < columns; k++) x[i * stride + k] = block[i * columns + k];
}

static void transform(const struct rotation *r, double *x, size_t stride) {
    const double scale = 1 / sqrt((double)r->order);
    for (size_t k = 0; k < r->lanes; k += COLUMNS) {
        const size_t columns = lower(COLUMNS, r->lanes - k);
        if (r->order == 64)
            transform_64(x + k, stride, columns, scale);
        else
            transform_columns(x + k, stride, r->order, columns, scale);
    }
}

void rotation_apply(const struct rotation *r, double *x, size_t stride, size_t first, size_t end) {
    if (!r->order) return;
    size_t from = first > r->first ? first - r->first : 0;
    size_t to = end > r->first ? lower(end - r->first, r->count) : 0;
    if (from >= to) return;
    double *start = x + (r->first + from - first) * stride;
    assert(from % r->order == 0 && r->order <= ROTATION_ORDER_MAX);
    for (size_t i = from; i + r->order <= to; i += r->order)
        transform(r, start + (i - from) * stride, stride);
    if (to == r->count && tail_of(r) < r->count) {
        assert(from <= tail_of(r));
        transform(r, start + (tail_of(r) - from) * stride, stride);
    }
}
