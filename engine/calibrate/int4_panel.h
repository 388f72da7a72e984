/* A panel of int4 as it lies in memory (engine/kernel/kernel.h), a weight at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/kernel.h"

static inline uint8_t *int4_byte_of(const void *panel, size_t k, size_t n) {
    const size_t group = k / KERNEL_INT4_GROUP, within = k % (KERNEL_INT4_GROUP / 2);
    return (uint8_t *)(uintptr_t)panel + ((group * 4 + within / 4) * KERNEL_PANEL + n) * 4 + k % 4;
}

/* Of the group of k: scale, then offset. */
static inline int8_t *int4_scale_offset_of(const void *panel, size_t in, size_t k, size_t n) {
    return (int8_t *)(uintptr_t)panel + kernel_padded_k(in) / 2 * KERNEL_PANEL +
           (k / KERNEL_INT4_GROUP * KERNEL_PANEL + n) * 2;
}

/* [KERNEL_PANEL] */
static inline const float *int4_scales_of(const void *panel, size_t in) {
    const char *end = (const char *)panel + kernel_panel_bytes(WEIGHT_TYPE_INT4, in);
    return (const float *)(const void *)end - KERNEL_PANEL;
}

static inline unsigned int4_shift_of(size_t k) {
    return k % KERNEL_INT4_GROUP < KERNEL_INT4_GROUP / 2 ? 0 : 4;
}

/* In units of the row's scale. */
static inline int int4_value_of(const void *panel, size_t in, size_t k, size_t n) {
    const int q = (*int4_byte_of(panel, k, n) >> int4_shift_of(k) & 15) - 8;
    const int8_t *group = int4_scale_offset_of(panel, in, k, n);
    return group[0] * q + group[1];
}

/* value: a level of the group's scale and offset. */
static inline void int4_store(void *panel, size_t in, size_t k, size_t n, int value) {
    uint8_t *byte = int4_byte_of(panel, k, n);
    const int8_t *group = int4_scale_offset_of(panel, in, k, n);
    const int q = (value - group[1]) / group[0] + 8;
    *byte = (uint8_t)((*byte & ~(15 << int4_shift_of(k))) | q << int4_shift_of(k));
}
