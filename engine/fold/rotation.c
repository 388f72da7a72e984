#include "engine/fold/rotation.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

/* Columns that go through all levels together: a block of them stays in the first-level cache. */
#define COLUMNS 8

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

/* One level: items h apart, of `columns` entries. */
static void level(double *x, size_t order, size_t h, size_t columns) {
    for (size_t block = 0; block < order; block += 2 * h)
        for (size_t i = block * columns; i < (block + h) * columns; i++) {
            double a = x[i], b = x[i + h * columns];
            x[i] = a + b;
            x[i + h * columns] = a - b;
        }
}

/* Levels 1, 2 and 4 of eight entries side by side. */
static void first_levels(double *x) {
    double a[8], b[8];
    for (size_t i = 0; i < 8; i += 2) a[i] = x[i] + x[i + 1], a[i + 1] = x[i] - x[i + 1];
    for (size_t i = 0; i < 8; i += 4)
        for (size_t k = i; k < i + 2; k++) b[k] = a[k] + a[k + 2], b[k + 2] = a[k] - a[k + 2];
    for (size_t k = 0; k < 4; k++) x[k] = b[k] + b[k + 4], x[k + 4] = b[k] - b[k + 4];
}

static double sign_of(size_t item) {
    return KERNEL_HADAMARD_SIGNS >> item & 1 ? -1 : 1;
}

/* Items of one entry, side by side. */
static void transform_entries(double *x, size_t order, double scale) {
    size_t h = 1;
    for (size_t i = 0; i < order; i++) x[i] *= sign_of(i);
    if (order >= 8) {
        for (size_t i = 0; i < order; i += 8) first_levels(x + i);
        h = 8;
    }
    for (; h < order; h *= 2) level(x, order, h, 1);
    for (size_t i = 0; i < order; i++) x[i] *= scale;
}

/* Items of `columns` entries, at most COLUMNS. */
static void transform_columns(double *x, size_t stride, size_t order, size_t columns, double scale) {
    double block[ROTATION_ORDER_MAX * COLUMNS];
    for (size_t i = 0; i < order; i++)
        for (size_t k = 0; k < columns; k++) block[i * columns + k] = x[i * stride + k] * sign_of(i);
    for (size_t h = 1; h < order; h *= 2) level(block, order, h, columns);
    for (size_t i = 0; i < order; i++)
        for (size_t k = 0; k < columns; k++) x[i * stride + k] = block[i * columns + k] * scale;
}

static void transform(const struct rotation *r, double *x, size_t stride) {
    const double scale = 1 / sqrt((double)r->order);
    if (stride == 1 && r->lanes == 1) {
        transform_entries(x, r->order, scale);
        return;
    }
    for (size_t k = 0; k < r->lanes; k += COLUMNS)
        transform_columns(x + k, stride, r->order, lower(COLUMNS, r->lanes - k), scale);
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
