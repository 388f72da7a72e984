/* What the kernel tests share: reproducible numbers, buffers that show writes beyond their end, comparison of
 * bits. */
#pragma once

#include <math.h>

#include "engine/kernel/kernel.h"
#include "tests/support/test_support.h"

#define GUARD_FLOATS 64
#define GUARD_BYTE   0xa5

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *r) {
    r->state += 0x9e3779b97f4a7c15u;
    uint64_t z = r->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline size_t random_below(struct random *r, size_t limit) {
    return (size_t)(random_next(r) % limit);
}

static inline size_t random_between(struct random *r, size_t low, size_t high) {
    return low + random_below(r, high - low + 1);
}

/* About -1 .. 1. */
static inline float random_float(struct random *r) {
    return (float)((double)(random_next(r) >> 11) * 0x1p-52 - 1.0);
}

static inline void random_fill(struct random *r, float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = random_float(r);
}

/* Numbers at the ends of the range among ordinary ones: huge, subnormal, zeros of both signs, infinities,
 * NaN. */
static inline void random_fill_extreme(struct random *r, float *x, size_t count) {
    static const float extremes[] = {3e38f,  -3e38f, 1e-40f,  -1e-45f, 0.0f,     -0.0f,     88.7f,
                                     -104.f, 1e20f,  -1e-20f, 1e5f,    INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < count; i++)
        x[i] = random_below(r, 4) ? random_float(r) * 20.0f
                                  : extremes[random_below(r, sizeof extremes / sizeof extremes[0])];
}

/* count floats, aligned to 64 bytes plus `offset` floats, between guards. */
struct buffer {
    char *block;
    float *data;
    size_t count;
};

static inline struct buffer buffer_create(size_t count, size_t offset) {
    struct buffer b = {.count = count};
    size_t bytes = (count + offset + 2 * GUARD_FLOATS) * sizeof(float);
    b.block = aligned_alloc(KERNEL_ALIGN, (bytes + KERNEL_ALIGN - 1) / KERNEL_ALIGN * KERNEL_ALIGN);
    assert_non_null(b.block);
    memset(b.block, GUARD_BYTE, bytes);
    b.data = (float *)(void *)b.block + GUARD_FLOATS + offset;
    return b;
}

static inline void buffer_check(const struct buffer *b) {
    const unsigned char *before = (const unsigned char *)(b->data - GUARD_FLOATS);
    const unsigned char *after = (const unsigned char *)(b->data + b->count);
    for (size_t i = 0; i < GUARD_FLOATS * sizeof(float); i++) {
        assert_int_equal(before[i], GUARD_BYTE);
        assert_int_equal(after[i], GUARD_BYTE);
    }
}

static inline void buffer_destroy(struct buffer *b) {
    free(b->block);
}

/* The same bits; any NaN equals any NaN. */
static inline bool same_bits(float a, float b) {
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

#define assert_same_bits(expected, found, count, ...)                                                        \
    do {                                                                                                     \
        for (size_t i_ = 0; i_ < (count); i_++)                                                              \
            if (!same_bits((expected)[i_], (found)[i_])) {                                                   \
                char what_[256];                                                                             \
                snprintf(what_, sizeof what_, __VA_ARGS__);                                                  \
                fail_msg("%s: at %zu expected %a, found %a", what_, i_, (double)(expected)[i_],              \
                         (double)(found)[i_]);                                                               \
            }                                                                                                \
    } while (0)

/* The activation in double precision. */
static inline double exact_activation(enum activation activation, double x) {
    const double c = 0.79788456080286535588;
    switch (activation) {
    case ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case ACTIVATION_RELU_SQUARED:
        return x < 0 ? 0 : x * x;
    case ACTIVATION_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case ACTIVATION_GELU_TANH:
        return 0.5 * x * (1 + tanh(c * (x + 0.044715 * x * x * x)));
    case ACTIVATION_GELU_QUICK:
        return x / (1 + exp(-1.702 * x));
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case ACTIVATION_NONE:
    case ACTIVATION_COUNT:
        break;
    }
    return x;
}
