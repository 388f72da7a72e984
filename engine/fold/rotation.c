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

/* Four numbers in whatever registers there are, and where they lie in memory. */
typedef double four __attribute__((vector_size(4 * sizeof(double))));
typedef double four_in_memory
    __attribute__((vector_size(4 * sizeof(double)), aligned(sizeof(double)), may_alias));

#define SUM_AND_DIFFERENCE(a, b)                                                                             \
    do {                                                                                                     \
        const four first = (a), second = (b);                                                                \
        (a) = first + second;                                                                                \
        (b) = first - second;                                                                                \
    } while (0)

/* Three levels at once, of eight items. */
WIDEST_INLINE void three_levels(four x[8]) {
    SUM_AND_DIFFERENCE(x[0], x[1]);
    SUM_AND_DIFFERENCE(x[2], x[3]);
    SUM_AND_DIFFERENCE(x[4], x[5]);
    SUM_AND_DIFFERENCE(x[6], x[7]);
    SUM_AND_DIFFERENCE(x[0], x[2]);
    SUM_AND_DIFFERENCE(x[1], x[3]);
    SUM_AND_DIFFERENCE(x[4], x[6]);
    SUM_AND_DIFFERENCE(x[5], x[7]);
    SUM_AND_DIFFERENCE(x[0], x[4]);
    SUM_AND_DIFFERENCE(x[1], x[5]);
    SUM_AND_DIFFERENCE(x[2], x[6]);
    SUM_AND_DIFFERENCE(x[3], x[7]);
}

/* Blocks of 64, which are nearly all, of four columns: items i + 8 m of the first levels' i side by side. factors: of each
 * item. */
WIDEST static void transform_64_columns(double *x, size_t stride, const double factors[64]) {
    four block[8][8];
    for (size_t m = 0; m < 8; m++) {
        four items[8];
        for (size_t i = 0; i < 8; i++)
            items[i] = *(const four_in_memory *)(x + (8 * m + i) * stride) * factors[8 * m + i];
        three_levels(items);
        for (size_t i = 0; i < 8; i++) block[m][i] = items[i];
    }
    for (size_t i = 0; i < 8; i++) {
        four items[8];
        for (size_t m = 0; m < 8; m++) items[m] = block[m][i];
        three_levels(items);
        for (size_t m = 0; m < 8; m++) *(four_in_memory *)(x + (8 * m + i) * stride) = items[m];
    }
}

#if defined __clang__ || __GNUC__ >= 12
#define SHUFFLE_FOUR(x, a, b, c, d) __builtin_shufflevector(x, x, a, b, c, d)
#else
#define SHUFFLE_FOUR(x, a, b, c, d) __builtin_shuffle(x, (__typeof__((x) > (x))){a, b, c, d})
#endif

/* Levels within four neighbours. */
WIDEST_INLINE void two_levels(four *x) {
    const four odd = {1, -1, 1, -1}, upper = {1, 1, -1, -1};
    *x = *x * odd + SHUFFLE_FOUR(*x, 1, 0, 3, 2);
    *x = *x * upper + SHUFFLE_FOUR(*x, 2, 3, 0, 1);
}

/* Of one column, whose items are neighbours: rows of two times eight fours, so that all fit into registers. */
WIDEST static void transform_64_row(double *x, const double factors[64]) {
    four half[2][8];
    for (size_t h = 0; h < 2; h++) {
        four items[8];
        for (size_t i = 0; i < 8; i++) {
            const size_t at = 32 * h + 4 * i;
            items[i] = *(const four_in_memory *)(x + at) * *(const four_in_memory *)(factors + at);
            two_levels(&items[i]);
        }
        three_levels(items);
        for (size_t i = 0; i < 8; i++) half[h][i] = items[i];
    }
    for (size_t i = 0; i < 8; i++) {
        *(four_in_memory *)(x + 4 * i) = half[0][i] + half[1][i];
        *(four_in_memory *)(x + 32 + 4 * i) = half[0][i] - half[1][i];
    }
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

/* Of a block of 64: what each item is multiplied by. */
static void set_factors(double factors[64]) {
    const double scale = 1 / sqrt(64.0);
    for (size_t i = 0; i < 64; i++) factors[i] = sign_of(i) * scale;
}

/* factors: set_factors(). */
static void transform(const struct rotation *r, double *x, size_t stride, const double factors[64]) {
    size_t k = 0;
    if (r->order == 64 && r->lanes == 1 && stride == 1) {
        transform_64_row(x, factors);
        return;
    }
    for (; r->order == 64 && k + 4 <= r->lanes; k += 4) transform_64_columns(x + k, stride, factors);
    for (; k < r->lanes; k += COLUMNS)
        transform_columns(x + k, stride, r->order, lower(COLUMNS, r->lanes - k), 1 / sqrt((double)r->order));
}

void rotation_apply(const struct rotation *r, double *x, size_t stride, size_t first, size_t end) {
    if (!r->order) return;
    size_t from = first > r->first ? first - r->first : 0;
    size_t to = end > r->first ? lower(end - r->first, r->count) : 0;
    if (from >= to) return;
    double *start = x + (r->first + from - first) * stride;
    assert(from % r->order == 0 && r->order <= ROTATION_ORDER_MAX);
    double factors[64];
    set_factors(factors);
    for (size_t i = from; i + r->order <= to; i += r->order)
        transform(r, start + (i - from) * stride, stride, factors);
    if (to == r->count && tail_of(r) < r->count) {
        assert(from <= tail_of(r));
        transform(r, start + (tail_of(r) - from) * stride, stride, factors);
    }
}

static void flip_signs(double *x, size_t order) {
    for (size_t i = 0; i < order; i++) x[i] *= sign_of(i);
}

/* A block is H S, whose inverse S H is S (H S) S: both are symmetric, and their own inverses. */
static void undo_block(const struct rotation *r, double *x) {
    double factors[64];
    set_factors(factors);
    flip_signs(x, r->order);
    transform(r, x, 1, factors);
    flip_signs(x, r->order);
}

void rotation_undo(const struct rotation *r, double *x) {
    if (!r->order) return;
    assert(r->first == 0 && r->lanes == 1);
    if (tail_of(r) < r->count) undo_block(r, x + tail_of(r));
    for (size_t i = 0; i + r->order <= r->count; i += r->order) undo_block(r, x + i);
}
