/* What engine/kernel/x86 takes of AVX-512, AVX-VNNI and AMX, in plain C and AVX2, as Intel's manual describes each
 * instruction. run.sh puts `emulated` before the names of these intrinsics, and makes calls of the kernels' assembly. */
#pragma once

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EMULATED static inline __attribute__((unused))

/* The same 64 bytes, by type of lane. */
union emulated {
    __m512 floats;
    __m512i ints;
    __m256 half[2];
    __m256i int_half[2];
    __m128 quarter[4];
    float f32[16];
    int32_t i32[16];
    uint32_t u32[16];
    int16_t i16[32];
    uint16_t u16[32];
    int8_t i8[64];
    uint8_t u8[64];
};

/* ---- halves by AVX2 ---- */

#define EMULATED_FLOATS(name)                                                                                \
    EMULATED __m512 emulated_mm512_##name##_ps(__m512 a, __m512 b) {                                         \
        const union emulated x = {.floats = a}, y = {.floats = b};                                           \
        return (union emulated){                                                                             \
            .half = {_mm256_##name##_ps(x.half[0], y.half[0]), _mm256_##name##_ps(x.half[1], y.half[1])}}    \
            .floats;                                                                                         \
    }
EMULATED_FLOATS(add)
EMULATED_FLOATS(sub)
EMULATED_FLOATS(mul)
EMULATED_FLOATS(div)
EMULATED_FLOATS(max)
EMULATED_FLOATS(min)

#define EMULATED_INTS(name)                                                                                  \
    EMULATED __m512i emulated_mm512_##name(__m512i a, __m512i b) {                                           \
        const union emulated x = {.ints = a}, y = {.ints = b};                                               \
        return (union emulated){.int_half = {_mm256_##name(x.int_half[0], y.int_half[0]),                    \
                                             _mm256_##name(x.int_half[1], y.int_half[1])}}                   \
            .ints;                                                                                           \
    }
EMULATED_INTS(add_epi16)
EMULATED_INTS(add_epi32)
EMULATED_INTS(sub_epi8)
EMULATED_INTS(sub_epi32)
EMULATED_INTS(max_epu32)
EMULATED_INTS(madd_epi16)
EMULATED_INTS(maddubs_epi16)
EMULATED_INTS(mullo_epi16)
EMULATED_INTS(shuffle_epi8)

#define EMULATED_SHIFT(name)                                                                                 \
    EMULATED __m512i emulated_mm512_##name(__m512i a, unsigned count) {                                      \
        const union emulated x = {.ints = a};                                                                \
        return (union emulated){.int_half = {_mm256_##name(x.int_half[0], (int)count),                       \
                                             _mm256_##name(x.int_half[1], (int)count)}}                      \
            .ints;                                                                                           \
    }
EMULATED_SHIFT(slli_epi16)
EMULATED_SHIFT(slli_epi32)
EMULATED_SHIFT(srli_epi16)
EMULATED_SHIFT(srli_epi32)

EMULATED __m512i emulated_mm512_and_si512(__m512i a, __m512i b) {
    return a & b;
}

EMULATED __m512i emulated_mm512_xor_si512(__m512i a, __m512i b) {
    return a ^ b;
}

EMULATED __m512i emulated_mm512_abs_epi8(__m512i a) {
    const union emulated x = {.ints = a};
    return (union emulated){.int_half = {_mm256_abs_epi8(x.int_half[0]), _mm256_abs_epi8(x.int_half[1])}}
        .ints;
}

EMULATED __m512 emulated_mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
    const union emulated x = {.floats = a}, y = {.floats = b}, z = {.floats = c};
    return (union emulated){.half = {_mm256_fmadd_ps(x.half[0], y.half[0], z.half[0]),
                                     _mm256_fmadd_ps(x.half[1], y.half[1], z.half[1])}}
        .floats;
}

/* ---- constants, memory ---- */

EMULATED __m512 emulated_mm512_set1_ps(float value) {
    return (union emulated){.half = {_mm256_set1_ps(value), _mm256_set1_ps(value)}}.floats;
}

EMULATED __m512i emulated_mm512_set1_epi32(int value) {
    return (union emulated){.int_half = {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}}.ints;
}

EMULATED __m512i emulated_mm512_set1_epi16(short value) {
    return (union emulated){.int_half = {_mm256_set1_epi16(value), _mm256_set1_epi16(value)}}.ints;
}

EMULATED __m512i emulated_mm512_set1_epi8(char value) {
    return (union emulated){.int_half = {_mm256_set1_epi8(value), _mm256_set1_epi8(value)}}.ints;
}

EMULATED __m512 emulated_mm512_setzero_ps(void) {
    return emulated_mm512_set1_ps(0);
}

EMULATED __m512i emulated_mm512_setzero_si512(void) {
    return emulated_mm512_set1_epi32(0);
}

#define emulated_mm512_setr_epi32(...) ((union emulated){.i32 = {__VA_ARGS__}}.ints)
#define emulated_mm512_set4_epi32(d, c, b, a)                                                                \
    emulated_mm512_setr_epi32(a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d)

EMULATED __m512i emulated_mm512_loadu_si512(const void *from) {
    __m512i v;
    memcpy(&v, from, sizeof v);
    return v;
}

EMULATED void emulated_mm512_storeu_si512(void *to, __m512i v) {
    memcpy(to, &v, sizeof v);
}

/* Those of aligned addresses trap elsewhere. */
EMULATED void emulated_aligned(const void *at) {
    if ((uintptr_t)at % sizeof(__m512i)) abort();
}

EMULATED __m512i emulated_mm512_load_si512(const void *from) {
    emulated_aligned(from);
    return emulated_mm512_loadu_si512(from);
}

EMULATED void emulated_mm512_store_si512(void *to, __m512i v) {
    emulated_aligned(to);
    emulated_mm512_storeu_si512(to, v);
}

EMULATED __m512 emulated_mm512_loadu_ps(const void *from) {
    __m512 v;
    memcpy(&v, from, sizeof v);
    return v;
}

EMULATED void emulated_mm512_storeu_ps(void *to, __m512 v) {
    memcpy(to, &v, sizeof v);
}

/* Lanes of which the mask is 0 are neither read nor written. */
EMULATED __m512 emulated_mm512_maskz_loadu_ps(__mmask16 mask, const void *from) {
    union emulated v = {.i32 = {0}};
    for (size_t i = 0; i < 16; i++)
        if (mask >> i & 1) memcpy(v.f32 + i, (const float *)from + i, sizeof(float));
    return v.floats;
}

EMULATED void emulated_mm512_mask_storeu_ps(void *to, __mmask16 mask, __m512 a) {
    const union emulated v = {.floats = a};
    for (size_t i = 0; i < 16; i++)
        if (mask >> i & 1) memcpy((float *)to + i, v.f32 + i, sizeof(float));
}

EMULATED __m512i emulated_mm512_maskz_loadu_epi32(__mmask16 mask, const void *from) {
    union emulated v = {.i32 = {0}};
    for (size_t i = 0; i < 16; i++)
        if (mask >> i & 1) memcpy(v.i32 + i, (const int32_t *)from + i, sizeof(int32_t));
    return v.ints;
}

EMULATED void emulated_mm512_mask_storeu_epi16(void *to, __mmask32 mask, __m512i a) {
    const union emulated x = {.ints = a};
    for (size_t i = 0; i < 32; i++)
        if (mask >> i & 1) memcpy((uint16_t *)to + i, &x.i16[i], sizeof x.i16[i]);
}

EMULATED __m512i emulated_mm512_maskz_loadu_epi16(__mmask32 mask, const void *from) {
    union emulated v = {.i32 = {0}};
    for (size_t i = 0; i < 32; i++)
        if (mask >> i & 1) memcpy(v.i16 + i, (const int16_t *)from + i, sizeof(int16_t));
    return v.ints;
}

EMULATED __m256i emulated_mm256_maskz_loadu_epi16(__mmask16 mask, const void *from) {
    uint16_t lanes[16] = {0};
    for (size_t i = 0; i < 16; i++)
        if (mask >> i & 1) memcpy(lanes + i, (const uint16_t *)from + i, sizeof *lanes);
    return _mm256_loadu_si256((const void *)lanes);
}

EMULATED __m128i emulated_mm_maskz_loadu_epi8(__mmask16 mask, const void *from) {
    uint8_t lanes[16] = {0};
    for (size_t i = 0; i < 16; i++)
        if (mask >> i & 1) lanes[i] = ((const uint8_t *)from)[i];
    return _mm_loadu_si128((const void *)lanes);
}

/* ---- masks ---- */

EMULATED __mmask16 emulated_mm512_cmp_ps_mask(__m512 a, __m512 b, int how) {
    const union emulated x = {.floats = a}, y = {.floats = b};
    if (how == _CMP_GT_OQ)
        return (__mmask16)(_mm256_movemask_ps(_mm256_cmp_ps(x.half[0], y.half[0], _CMP_GT_OQ)) |
                           _mm256_movemask_ps(_mm256_cmp_ps(x.half[1], y.half[1], _CMP_GT_OQ)) << 8);
    if (how != _CMP_UNORD_Q) abort();
    return (__mmask16)(_mm256_movemask_ps(_mm256_cmp_ps(x.half[0], y.half[0], _CMP_UNORD_Q)) |
                       _mm256_movemask_ps(_mm256_cmp_ps(x.half[1], y.half[1], _CMP_UNORD_Q)) << 8);
}

EMULATED __mmask32 emulated_mm512_cmpeq_epi16_mask(__m512i a, __m512i b) {
    const union emulated x = {.ints = a}, y = {.ints = b};
    uint32_t mask = 0;
    for (size_t i = 0; i < 32; i++) mask |= (uint32_t)(x.i16[i] == y.i16[i]) << i;
    return mask;
}

EMULATED __mmask64 emulated_mm512_movepi8_mask(__m512i a) {
    const union emulated x = {.ints = a};
    return (uint32_t)_mm256_movemask_epi8(x.int_half[0]) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(x.int_half[1]) << 32;
}

EMULATED __m512i emulated_mm512_mask_mov_epi32(__m512i other, __mmask16 mask, __m512i a) {
    union emulated to = {.ints = other};
    const union emulated x = {.ints = a};
    for (size_t i = 0; i < 16; i++)
        if (mask >> i & 1) to.i32[i] = x.i32[i];
    return to.ints;
}

EMULATED __m512i emulated_mm512_mask_mov_epi16(__m512i other, __mmask32 mask, __m512i a) {
    union emulated to = {.ints = other};
    const union emulated x = {.ints = a};
    for (size_t i = 0; i < 32; i++)
        if (mask >> i & 1) to.i16[i] = x.i16[i];
    return to.ints;
}

EMULATED __m512i emulated_mm512_mask_blend_epi16(__mmask32 mask, __m512i no, __m512i yes) {
    return emulated_mm512_mask_mov_epi16(no, mask, yes);
}

EMULATED __m512 emulated_mm512_mask_blend_ps(__mmask16 mask, __m512 no, __m512 yes) {
    return (__m512)emulated_mm512_mask_mov_epi32((__m512i)no, mask, (__m512i)yes);
}

EMULATED __m512i emulated_mm512_mask_sub_epi8(__m512i other, __mmask64 mask, __m512i a, __m512i b) {
    union emulated to = {.ints = other};
    const union emulated x = {.ints = a}, y = {.ints = b};
    for (size_t i = 0; i < 64; i++)
        if (mask >> i & 1) to.u8[i] = (uint8_t)(x.u8[i] - y.u8[i]);
    return to.ints;
}

/* ---- parts, permutations ---- */

#define emulated_mm512_castps_si512(a) ((__m512i)(a))
#define emulated_mm512_castsi512_ps(a) ((__m512)(a))

EMULATED __m256 emulated_mm512_extractf32x8_ps(__m512 a, int half) {
    return (union emulated){.floats = a}.half[half];
}

EMULATED __m256 emulated_mm512_castps512_ps256(__m512 a) {
    return (union emulated){.floats = a}.half[0];
}

EMULATED __m128 emulated_mm512_castps512_ps128(__m512 a) {
    return (union emulated){.floats = a}.quarter[0];
}

EMULATED __m512 emulated_mm512_shuffle_f32x4(__m512 a, __m512 b, unsigned which) {
    const union emulated x = {.floats = a}, y = {.floats = b};
    return (union emulated){.quarter = {x.quarter[which & 3], x.quarter[which >> 2 & 3],
                                        y.quarter[which >> 4 & 3], y.quarter[which >> 6 & 3]}}
        .floats;
}

EMULATED __m512 emulated_mm512_shuffle_ps(__m512 a, __m512 b, unsigned which) {
    const union emulated x[2] = {{.floats = a}, {.floats = b}};
    union emulated to;
    for (size_t i = 0; i < 16; i++) to.f32[i] = x[i / 2 % 2].f32[i / 4 * 4 + (which >> 2 * (i % 4) & 3)];
    return to.floats;
}

EMULATED __m512 emulated_mm512_permute_ps(__m512 a, unsigned which) {
    const union emulated x = {.floats = a};
    union emulated to;
    for (size_t i = 0; i < 16; i++) to.f32[i] = x.f32[i / 4 * 4 + (which >> 2 * (i % 4) & 3)];
    return to.floats;
}

EMULATED __m512 emulated_mm512_permutexvar_ps(__m512i which, __m512 a) {
    const union emulated x = {.floats = a}, w = {.ints = which};
    union emulated to;
    for (size_t i = 0; i < 16; i++) to.f32[i] = x.f32[w.u32[i] % 16];
    return to.floats;
}

EMULATED __m512i emulated_mm512_permutex2var_epi16(__m512i a, __m512i which, __m512i b) {
    const union emulated x[2] = {{.ints = a}, {.ints = b}}, w = {.ints = which};
    union emulated to;
    for (size_t i = 0; i < 32; i++) to.u16[i] = x[w.u16[i] / 32 % 2].u16[w.u16[i] % 32];
    return to.ints;
}

/* ---- conversions ---- */

EMULATED __m512 emulated_mm512_cvtepi32_ps(__m512i a) {
    const union emulated x = {.ints = a};
    return (union emulated){.half = {_mm256_cvtepi32_ps(x.int_half[0]), _mm256_cvtepi32_ps(x.int_half[1])}}
        .floats;
}

EMULATED __m512i emulated_mm512_cvtepi8_epi32(__m128i a) {
    return (union emulated){.int_half = {_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_srli_si128(a, 8))}}
        .ints;
}

EMULATED __m512i emulated_mm512_cvtepi8_epi16(__m256i a) {
    return (union emulated){.int_half = {_mm256_cvtepi8_epi16(_mm256_castsi256_si128(a)),
                                         _mm256_cvtepi8_epi16(_mm256_extracti128_si256(a, 1))}}
        .ints;
}

EMULATED __m512i emulated_mm512_cvtepu16_epi32(__m256i a) {
    return (union emulated){.int_half = {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)),
                                         _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1))}}
        .ints;
}

EMULATED __m128i emulated_mm512_cvtepi32_epi8(__m512i a) {
    const union emulated x = {.ints = a};
    uint8_t lanes[16];
    for (size_t i = 0; i < 16; i++) lanes[i] = (uint8_t)x.u32[i];
    return _mm_loadu_si128((const void *)lanes);
}

EMULATED __m512 emulated_mm512_cvtph_ps(__m256i a) {
    return (union emulated){
        .half = {_mm256_cvtph_ps(_mm256_castsi256_si128(a)), _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1))}}
        .floats;
}

#define emulated_mm512_cvtps_ph(a, how)                                                                      \
    _mm256_set_m128i(_mm256_cvtps_ph(emulated_mm512_extractf32x8_ps(a, 1), how),                             \
                     _mm256_cvtps_ph(emulated_mm512_castps512_ps256(a), how))

/* a * 2^floor(n): exact in double precision, then rounded once. */
EMULATED __m512 emulated_mm512_scalef_ps(__m512 a, __m512 n) {
    const union emulated x = {.floats = a}, power = {.floats = n};
    union emulated to;
    for (size_t i = 0; i < 16; i++)
        to.f32[i] = isnan(power.f32[i])
                        ? power.f32[i]
                        : (float)ldexp((double)x.f32[i], (int)fmaxf(-600, fminf(600, floorf(power.f32[i]))));
    return to.floats;
}

/* ---- bf16: subnormals are 0 on both ends ---- */

EMULATED float emulated_flush(float x) {
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

EMULATED __m256i emulated_mm512_cvtneps_pbh(__m512 a) {
    const union emulated x = {.floats = a};
    uint16_t lanes[16];
    for (size_t i = 0; i < 16; i++) {
        union emulated one = {.f32 = {emulated_flush(x.f32[i])}};
        lanes[i] = (uint16_t)(isnan(x.f32[i]) ? x.u32[i] >> 16 | 0x40
                                              : (one.u32[0] + 0x7fff + (one.u32[0] >> 16 & 1)) >> 16);
    }
    return _mm256_loadu_si256((const void *)lanes);
}

EMULATED __m256 emulated_flush_eight(__m256 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f), magnitude = _mm256_andnot_ps(sign, x);
    const __m256 small = _mm256_cmp_ps(magnitude, _mm256_set1_ps(0x1p-126f), _CMP_LT_OQ);
    return _mm256_blendv_ps(x, _mm256_and_ps(x, sign), small);
}

/* sum += a * b of the lower or the upper halves of lanes, rounded once. */
EMULATED __m256 emulated_add_products(__m256 sum, __m256i a, __m256i b, bool upper) {
    const __m256i mask = _mm256_set1_epi32((int)0xffff0000u);
    a = upper ? _mm256_and_si256(a, mask) : _mm256_slli_epi32(a, 16);
    b = upper ? _mm256_and_si256(b, mask) : _mm256_slli_epi32(b, 16);
    return emulated_flush_eight(_mm256_fmadd_ps(emulated_flush_eight(_mm256_castsi256_ps(a)),
                                                emulated_flush_eight(_mm256_castsi256_ps(b)),
                                                emulated_flush_eight(sum)));
}

EMULATED void emulated_vdpbf16ps(__m512 *sum, __m512i a, __m512i b) {
    union emulated to = {.floats = *sum};
    const union emulated x = {.ints = a}, y = {.ints = b};
    for (size_t half = 0; half < 2; half++) {
        to.half[half] = emulated_add_products(to.half[half], x.int_half[half], y.int_half[half], true);
        to.half[half] = emulated_add_products(to.half[half], x.int_half[half], y.int_half[half], false);
    }
    *sum = to.floats;
}

/* ---- VNNI: sums wrap around ---- */

/* Four products of bytes a lane, b being signed: neither they nor a sum of two exceed what is exact. */
EMULATED __m256i emulated_add_bytes(__m256i sum, __m256i a, __m256i b, bool a_is_signed) {
    const __m256i a_low = a_is_signed ? _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8)
                                      : _mm256_and_si256(a, _mm256_set1_epi16(255));
    const __m256i a_high = a_is_signed ? _mm256_srai_epi16(a, 8) : _mm256_srli_epi16(a, 8);
    const __m256i b_low = _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8), b_high = _mm256_srai_epi16(b, 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a_low, b_low));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a_high, b_high));
}

EMULATED void emulated_vpdpbusd_256(__m256i *sum, __m256i a, __m256i b) {
    *sum = emulated_add_bytes(*sum, a, b, false);
}

EMULATED void emulated_vpdpwssd_256(__m256i *sum, __m256i a, __m256i b) {
    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(a, b));
}

#define EMULATED_DOT(name)                                                                                   \
    EMULATED void name##_512(__m512i *sum, __m512i a, __m512i b) {                                           \
        union emulated s = {.ints = *sum};                                                                   \
        const union emulated x = {.ints = a}, y = {.ints = b};                                               \
        name##_256(&s.int_half[0], x.int_half[0], y.int_half[0]);                                            \
        name##_256(&s.int_half[1], x.int_half[1], y.int_half[1]);                                            \
        *sum = s.ints;                                                                                       \
    }
EMULATED_DOT(emulated_vpdpbusd)
EMULATED_DOT(emulated_vpdpwssd)
#define EMULATED_BY_SIZE(name, sum)  _Generic(*(sum), __m256i : name##_256, __m512i : name##_512)
#define emulated_vpdpbusd(sum, a, b) EMULATED_BY_SIZE(emulated_vpdpbusd, sum)(sum, a, b)
#define emulated_vpdpwssd(sum, a, b) EMULATED_BY_SIZE(emulated_vpdpwssd, sum)(sum, a, b)

#include "tests/emulated/amx.h"
