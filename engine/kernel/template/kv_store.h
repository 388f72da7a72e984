/* Storing keys and values in the cache, once for every instruction set (see vector_scalar.h). What is stored
 * is said in kernel.h. */
#pragma once

#include "engine/kernel/template/convert.h"

static size_t kv_store_lanes(size_t count, size_t i) {
    return count - i < KERNEL_LANES ? count - i : KERNEL_LANES;
}

/* Elements of keys lie a block apart, those of values side by side. */
static void kv_store_f32(const float *x, size_t count, float *to, size_t stride) {
    for (size_t i = 0; i < count; i++) to[i * stride] = x[i];
}

static void kv_store_f16(const float *x, size_t count, uint16_t *to, size_t stride) {
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        uint16_t half[KERNEL_LANES];
        size_t lanes = kv_store_lanes(count, i);
        vector_store_half(half, vector_load_first(x + i, lanes));
        for (size_t k = 0; k < lanes; k++) to[(i + k) * stride] = half[k];
    }
}

/* A key goes two by two, its pairs a line of a block apart. */
static void kv_store_bf16_key(const float *x, size_t count, uint16_t *to) {
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        const size_t lanes = kv_store_lanes(count, i);
        uint16_t spread[2 * KERNEL_LANES];
        vector_store_bf16_first(spread, EVEN, convert_bf16(vector_load_first(x + i, lanes)), KERNEL_LANES);
        for (size_t lane = 0; lane < lanes; lane += 2, to += 2 * (size_t)KERNEL_LANES) {
            const uint16_t pair[] = {spread[2 * lane], spread[2 * lane + 2]};
            memcpy(to, pair, sizeof pair);
        }
    }
}

/* Of a value the pairs are those of two positions: what stands beside its elements is left alone. */
static void kv_store_bf16_value(const float *x, size_t count, uint16_t *to, enum parity parity) {
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        const size_t lanes = kv_store_lanes(count, i);
        vector_store_bf16_first(to + 2 * i, parity, convert_bf16(vector_load_first(x + i, lanes)), lanes);
    }
}

/* Returns the scale. */
static float kv_store_int8(const float *x, size_t count, int8_t *to, size_t stride) {
    const struct vector zero = vector_splat(0.0f), shift = vector_splat(KERNEL_ROUNDING_SHIFT);
    const float largest = convert_largest(x, NULL, count, 0, SIZE_MAX), inverse = 127.0f / largest;
    const bool scalable = inverse <= FLT_MAX;
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        int8_t q[KERNEL_LANES];
        size_t lanes = kv_store_lanes(count, i);
        struct vector v = scalable ? vector_load_first(x + i, lanes) : zero;
        vector_store_int8(q, vector_fma(v, vector_splat(scalable ? inverse : 0.0f), shift));
        for (size_t k = 0; k < lanes; k++) to[(i + k) * stride] = q[k];
    }
    if (scalable) return largest / 127.0f;
    return largest == largest ? 0.0f : largest;
}

static void kv_store_pairs(const struct kv_head *head, unsigned char *page, size_t slot, size_t head_dim,
                           const float *key, const float *value) {
    const size_t dim = kv_stored_dim(KV_TYPE_BF16, head_dim);
    uint16_t *keys = (void *)(page + head->keys), *values = (void *)(page + head->values);
    keys += (slot / KERNEL_LANES * (dim / 2) * KERNEL_LANES + slot % KERNEL_LANES) * 2;
    values += slot / 2 * dim * 2;
    announce_write(keys, KERNEL_LANES * 2 * sizeof *keys, dim / 2, 2 * sizeof *keys);
    announce_write(values + slot % 2, 2 * sizeof *values, head_dim, sizeof *values);
    kv_store_bf16_key(key, head_dim, keys);
    kv_store_bf16_value(value, head_dim, values, slot % 2 ? ODD : EVEN);
}

void KERNEL_FUNCTION(store_kv)(const struct kv_head *head, unsigned char *page, size_t slot, size_t head_dim,
                               const float *key, const float *value) {
    const size_t key_index = slot / KERNEL_LANES * head_dim * KERNEL_LANES + slot % KERNEL_LANES;
    const size_t value_index = slot * head_dim, bytes = kv_type_bytes(head->type);
    void *keys = page + head->keys + key_index * bytes, *values = page + head->values + value_index * bytes;
    announce_read_floats(key, 0, 1, head_dim);
    announce_read_floats(value, 0, 1, head_dim);
    if (head->type == KV_TYPE_BF16) {
        kv_store_pairs(head, page, slot, head_dim, key, value);
        return;
    }
    announce_write(keys, KERNEL_LANES * bytes, head_dim, bytes);
    announce_write(values, 0, 1, head_dim * bytes);
    switch (head->type) {
    case KV_TYPE_F16:
        kv_store_f16(key, head_dim, keys, KERNEL_LANES);
        kv_store_f16(value, head_dim, values, 1);
        break;
    case KV_TYPE_INT8: {
        float *key_scales = (void *)(page + head->key_scales);
        float *value_scales = (void *)(page + head->value_scales);
        announce_write_floats(key_scales + slot, 0, 1, 1);
        announce_write_floats(value_scales + slot, 0, 1, 1);
        key_scales[slot] = kv_store_int8(key, head_dim, keys, KERNEL_LANES);
        value_scales[slot] = kv_store_int8(value, head_dim, values, 1);
        break;
    }
    case KV_TYPE_F32:
    case KV_TYPE_BF16:
    case KV_TYPE_COUNT:
        kv_store_f32(key, head_dim, keys, KERNEL_LANES);
        kv_store_f32(value, head_dim, values, 1);
        break;
    }
}
