/* Widening of weights to double. The loops are written so that the compiler vectorises them: loads through memcpy (views into a mapped file may be unaligned), selects in place of
 * branches, and the stride of 1 as a case of its own. */
#include "engine/checkpoint/dtype.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/widest.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "checkpoints are read as little-endian memory");

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [DTYPE_F32] = {"F32", 4}, [DTYPE_F16] = {"F16", 2},     [DTYPE_BF16] = {"BF16", 2},
    [DTYPE_F64] = {"F64", 8}, [DTYPE_OTHER] = {"other", 0},
};

size_t dtype_size(enum dtype dtype) {
    return dtypes[dtype].size;
}

const char *dtype_name(enum dtype dtype) {
    return dtypes[dtype].name;
}

static inline float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double load_f64(const unsigned char *src) {
    double value;
    memcpy(&value, src, sizeof value);
    return value;
}

static inline double load_f32(const unsigned char *src) {
    float value;
    memcpy(&value, src, sizeof value);
    return value;
}

static inline double load_bf16(const unsigned char *src) {
    uint16_t half;
    memcpy(&half, src, sizeof half);
    return float_of_bits((uint32_t)half << 16);
}

/* Masks in place of branches. A subnormal half m * 2^-24 is made as (1 + m * 2^-10) * 2^-14 - 2^-14:
 * multiplying a subnormal float up would be exact as well, but processors take a slow path there, and small
 * weights of real models are full of them. For all other halves the same subtraction takes 0 off. */
static inline double load_f16(const unsigned char *src) {
    const uint32_t rebias = (127 - 15) << 23, one_binade = 1u << 23, smallest_normal = (127 - 14) << 23;
    uint16_t half;
    memcpy(&half, src, sizeof half);
    uint32_t wide = half, exponent = wide & 0x7c00u;
    uint32_t subnormal = exponent == 0 ? UINT32_MAX : 0;
    uint32_t not_finite = exponent == 0x7c00u ? UINT32_MAX : 0; /* exponents of all ones stay so */
    uint32_t bits = ((wide & 0x7fffu) << 13) + rebias + (not_finite & rebias) + (subnormal & one_binade);
    float magnitude = float_of_bits(bits) - float_of_bits(subnormal & smallest_normal);
    memcpy(&bits, &magnitude, sizeof bits);
    return float_of_bits(bits | (wide & 0x8000u) << 16);
}

#define DEFINE_READ(type, size)                                                                              \
    WIDEST static void read_##type(const unsigned char *restrict src, size_t stride, size_t count,           \
                                   double *restrict dst) {                                                   \
        if (stride == 1) {                                                                                   \
            for (size_t i = 0; i < count; i++) dst[i] = load_##type(src + i * (size));                       \
            return;                                                                                          \
        }                                                                                                    \
        for (size_t i = 0; i < count; i++) dst[i] = load_##type(src + i * stride * (size));                  \
    }

DEFINE_READ(f64, 8)
DEFINE_READ(f32, 4)
DEFINE_READ(f16, 2)
DEFINE_READ(bf16, 2)

void dtype_read(enum dtype dtype, const void *src, size_t stride, size_t count, double *dst) {
    assert(dtype != DTYPE_OTHER);
    switch (dtype) {
    case DTYPE_F32:
        read_f32(src, stride, count, dst);
        break;
    case DTYPE_F16:
        read_f16(src, stride, count, dst);
        break;
    case DTYPE_BF16:
        read_bf16(src, stride, count, dst);
        break;
    case DTYPE_F64:
        read_f64(src, stride, count, dst);
        break;
    case DTYPE_OTHER:
        break;
    }
}
