#include "engine/fold/rotation.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/widest.h"

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

size_t rotation_block_end(const struct rotation *r, size_t at, size_t step) {
    if (!r->order || at >= r->first + r->count) return at + step;
    if (at < r->first) return lower(at + step, r->first);
    const size_t tail = tail_of(r), end = (at - r->first) / r->order * r->order + r->order;
    return r->first + (end > tail ? r->count : end);
}

static double sign_of(size_t item) {
    return KERNEL_HADAMARD_SIGNS >> item & 1 ? -1 : 1;
}

/* Eight numbers that are treated alike: in whatever registers there are. */
struct eight {
    double lanes __attribute__((vector_size(8 * sizeof(double))));
};

/* Three levels at once, of eight items. */
static inline void three_levels(struct eight *x) {
    struct eight a[8];
    for (size_t i = 0; i < 8; i += 2) {
        a[i].lanes = x[i].lanes + x[i + 1].lanes;
        a[i + 1].lanes = x[i].lanes - x[i + 1].lanes;
    }
    for (size_t i = 0; i < 8; i += 4)
        for (size_t m = i; m < i + 2; m++) {
            x[m].lanes = a[m].lanes + a[m + 2].lanes;
            x[m + 2].lanes = a[m].lanes - a[m + 2].lanes;
        }
    for (size_t m = 0; m < 4; m++) {
        a[m].lanes = x[m].lanes + x[m + 4].lanes;
        a[m + 4].lanes = x[m].lanes - x[m + 4].lanes;
    }
    memcpy(x, a, sizeof a);
}

/* Blocks of 64, which are nearly all, of eight columns: items i + 8 m of the first levels' i side by side. */
WIDEST static void transform_64_columns(double *x, size_t stride, double scale) {
    struct eight block[8][8];
    for (size_t m = 0; m < 8; m++) {
        for (size_t i = 0; i < 8; i++) {
            memcpy(&block[m][i], x + (8 * m + i) * stride, sizeof **block);
            block[m][i].lanes *= sign_of(8 * m + i) * scale;
        }
        three_levels(block[m]);
    }
    for (size_t i = 0; i < 8; i++) {
        struct eight items[8];
        for (size_t m = 0; m < 8; m++) items[m] = block[m][i];
        three_levels(items);
        for (size_t m = 0; m < 8; m++) memcpy(x + (8 * m + i) * stride, &items[m], sizeof *items);
    }
}

/* Four neighbours of a row, and the levels within them. */
struct four {
    double lanes __attribute__((vector_size(4 * sizeof(double))));
};

#if defined __clang__ || __GNUC__ >= 12
#define SHUFFLE_FOUR(x, a, b, c, d) __builtin_shufflevector(x, x, a, b, c, d)
#else
#define SHUFFLE_FOUR(x, a, b, c, d) __builtin_shuffle(x, (__typeof__((x) > (x))){a, b, c, d})
#endif

WIDEST_INLINE void two_levels(struct four *x) {
    static const struct four odd = {{1, -1, 1, -1}}, upper = {{1, 1, -1, -1}};
    x->lanes = x->lanes * odd.lanes + SHUFFLE_FOUR(x->lanes, 1, 0, 3, 2);
    x->lanes = x->lanes * upper.lanes + SHUFFLE_FOUR(x->lanes, 2, 3, 0, 1);
}

/* Of one column, whose items are neighbours. */
WIDEST static void transform_64_row(double *x, double scale) {
    struct four items[16];
    double factors[64];
    for (size_t i = 0; i < 64; i++) factors[i] = sign_of(i) * scale;
    for (size_t i = 0; i < 16; i++) {
        struct four factor;
        memcpy(&items[i], x + 4 * i, sizeof *items);
        memcpy(&factor, factors + 4 * i, sizeof factor);
        items[i].lanes *= factor.lanes;
        two_levels(&items[i]);
    }
    for (size_t h = 1; h < 16; h *= 2)
        for (size_t at = 0; at < 16; at += 2 * h)
            for (size_t i = at; i < at + h; i++) {
                const struct four a = items[i];
                items[i].lanes = a.lanes + items[i + h].lanes;
                items[i + h].lanes = a.lanes - items[i + h].lanes;
            }
    memcpy(x, items, sizeof items);
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
    size_t k = 0;
    if (r->order == 64 && r->lanes == 1 && stride == 1) {
        transform_64_row(x, scale);
        return;
    }
    for (; r->order == 64 && k + 8 <= r->lanes; k += 8) transform_64_columns(x + k, stride, scale);
    for (; k < r->lanes; k += COLUMNS)
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

static void flip_signs(double *x, size_t order) {
    for (size_t i = 0; i < order; i++) x[i] *= sign_of(i);
}

/* A block is H S, whose inverse S H is S (H S) S: both are symmetric, and their own inverses. */
static void undo_block(const struct rotation *r, double *x) {
    flip_signs(x, r->order);
    transform(r, x, 1);
    flip_signs(x, r->order);
}

void rotation_undo(const struct rotation *r, double *x) {
    if (!r->order) return;
    assert(r->first == 0 && r->lanes == 1);
    if (tail_of(r) < r->count) undo_block(r, x + tail_of(r));
    for (size_t i = 0; i + r->order <= r->count; i += r->order) undo_block(r, x + i);
}
