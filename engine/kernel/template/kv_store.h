/* Storing keys and values in the cache, once for every instruction set (see vector_scalar.h). What is stored
 * is said in kernel.h. Elements of a key lie a line of its block apart: of single positions each is a store of its own, of
 * sixteen that are all of a block a transposition in registers makes whole lines. */
#pragma once

#include "engine/kernel/template/convert.h"

/* Positions that are stored at once: one, or a whole block. */
struct kv_store {
    const struct kv_head *head;
    unsigned char *page;
    size_t slot, count, head_dim;
    const float *keys, *values;
    size_t stride;
};

VECTOR_INLINE size_t kv_store_lanes(size_t count, size_t i) {
    return count - i < KERNEL_LANES ? count - i : KERNEL_LANES;
}

/* Of sixteen rows elements [0, lanes), and zeros behind them: one of all rows in each vector. */
VECTOR_INLINE void kv_store_load_block(const float *rows, size_t stride, size_t lanes, struct vector *v) {
    KERNEL_EACH (p, KERNEL_LANES) v[p] = vector_load_first(rows + p * stride, lanes);
    vector_transpose(v);
}

/* ---- f32, f16, int8 ---- */

/* Leaves the scale of a key or value, and returns what its numbers are multiplied by: 0 where they count as 0. */
static float kv_store_scale(const float *x, size_t count, float *scale) {
    const struct quantization q = quantization_of(convert_largest(x, NULL, count, 0, SIZE_MAX));
    *scale = q.scale;
    return q.scalable ? q.inverse : 0.0f;
}

/* inverse: for int8, by lanes. */
VECTOR_INLINE void kv_store_elements(enum kv_type type, struct vector v, struct vector inverse, void *to) {
    const struct vector zero = vector_splat(0.0f), shift = vector_splat(KERNEL_ROUNDING_SHIFT);
    if (type == KV_TYPE_F16)
        vector_store_half(to, v);
    else if (type == KV_TYPE_INT8)
        vector_store_int8(to,
                          vector_fma(vector_select(vector_greater(inverse, zero), v, zero), inverse, shift));
    else
        vector_store(to, v);
}

/* A key or value, its elements step bytes apart. */
VECTOR_INLINE void kv_store_row(enum kv_type type, const float *x, size_t count, float inverse,
                                unsigned char *to, size_t step) {
    const size_t bytes = kv_type_bytes(type);
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        const size_t lanes = kv_store_lanes(count, i);
        const struct vector v = vector_load_first(x + i, lanes), inverses = vector_splat(inverse);
        _Alignas(float) unsigned char elements[KERNEL_LANES * sizeof(float)];
        if (step == bytes && lanes == KERNEL_LANES) {
            kv_store_elements(type, v, inverses, to + i * step);
            continue;
        }
        kv_store_elements(type, v, inverses, elements);
        for (size_t k = 0; k < lanes; k++) memcpy(to + (i + k) * step, elements + k * bytes, bytes);
    }
}

/* The keys of a block. */
VECTOR_INLINE void kv_store_block(enum kv_type type, const struct kv_store *s, const float *inverse,
                                  unsigned char *to) {
    const struct vector inverses = vector_load(inverse);
    for (size_t i = 0; i < s->head_dim; i += KERNEL_LANES) {
        const size_t lanes = kv_store_lanes(s->head_dim, i);
        struct vector v[KERNEL_LANES];
        kv_store_load_block(s->keys + i, s->stride, lanes, v);
        for (size_t d = 0; d < lanes; d++, to += KERNEL_LANES * kv_type_bytes(type))
            kv_store_elements(type, v[d], inverses, to);
    }
}

VECTOR_INLINE void kv_store_typed(enum kv_type type, const struct kv_store *s) {
    const size_t bytes = kv_type_bytes(type), value_bytes = s->head_dim * bytes,
                 lane = s->slot % KERNEL_LANES;
    unsigned char *keys = s->page + s->head->keys + (s->slot - lane) * value_bytes + lane * bytes;
    unsigned char *values = s->page + s->head->values + s->slot * value_bytes;
    float key_inverse[KERNEL_LANES] = {0}, value_inverse[KERNEL_LANES] = {0};
    if (type == KV_TYPE_INT8) {
        float *key_scales = (void *)(s->page + s->head->key_scales);
        float *value_scales = (void *)(s->page + s->head->value_scales);
        for (size_t p = 0; p < s->count; p++) {
            key_inverse[p] = kv_store_scale(s->keys + p * s->stride, s->head_dim, key_scales + s->slot + p);
            value_inverse[p] =
                kv_store_scale(s->values + p * s->stride, s->head_dim, value_scales + s->slot + p);
        }
    }
    if (s->count == KERNEL_LANES)
        kv_store_block(type, s, key_inverse, keys);
    else
        kv_store_row(type, s->keys, s->head_dim, key_inverse[0], keys, KERNEL_LANES * bytes);
    for (size_t p = 0; p < s->count; p++)
        kv_store_row(type, s->values + p * s->stride, s->head_dim, value_inverse[p], values + p * value_bytes,
                     bytes);
}

/* ---- bf16: pairs ---- */

/* A key goes two by two, its pairs a line of a block apart. */
static void kv_store_bf16_key(const float *x, size_t count, uint16_t *to) {
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        const size_t lanes = kv_store_lanes(count, i);
        const struct vector v = convert_bf16(vector_load_first(x + i, lanes));
        uint16_t spread[2 * KERNEL_LANES]; /* each twice */
        vector_store_bf16_pairs(spread, v, v);
        for (size_t lane = 0; lane < lanes; lane += 2, to += 2 * (size_t)KERNEL_LANES) {
            const uint16_t pair[] = {spread[2 * lane], spread[2 * lane + 2]};
            memcpy(to, pair, sizeof pair);
        }
    }
}

static void kv_store_bf16_keys(const struct kv_store *s, uint16_t *to) {
    for (size_t i = 0; i < s->head_dim; i += KERNEL_LANES) {
        const size_t lanes = kv_store_lanes(s->head_dim, i);
        struct vector v[KERNEL_LANES];
        kv_store_load_block(s->keys + i, s->stride, lanes, v);
        for (size_t d = 0; d < lanes; d += 2, to += 2 * (size_t)KERNEL_LANES)
            vector_store_bf16_pairs(to, convert_bf16(v[d]), convert_bf16(v[d + 1]));
    }
}

/* Of a value the pairs are those of two positions: what stands beside its elements is left alone. */
VECTOR_INLINE void kv_store_bf16_value(const float *x, size_t count, uint16_t *to, enum parity parity) {
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        const size_t lanes = kv_store_lanes(count, i);
        vector_store_bf16_first(to + 2 * i, parity, convert_bf16(vector_load_first(x + i, lanes)), lanes);
    }
}

/* Two positions: whole vectors together. */
static void kv_store_bf16_values(const float *even, const float *odd, size_t count, uint16_t *to) {
    const size_t whole = count / KERNEL_LANES * KERNEL_LANES;
    for (size_t i = 0; i < whole; i += KERNEL_LANES)
        vector_store_bf16_pairs(to + 2 * i, convert_bf16(vector_load(even + i)),
                                convert_bf16(vector_load(odd + i)));
    kv_store_bf16_value(even + whole, count - whole, to + 2 * whole, EVEN);
    kv_store_bf16_value(odd + whole, count - whole, to + 2 * whole, ODD);
}

static void kv_store_pairs(const struct kv_store *s) {
    const size_t dim = kv_stored_dim(KV_TYPE_BF16, s->head_dim), lane = s->slot % KERNEL_LANES;
    uint16_t *keys = (void *)(s->page + s->head->keys), *values = (void *)(s->page + s->head->values);
    keys += (s->slot - lane) * dim + lane * 2;
    values += s->slot / 2 * dim * 2;
    if (s->count < KERNEL_LANES) {
        kv_store_bf16_key(s->keys, s->head_dim, keys);
        kv_store_bf16_value(s->values, s->head_dim, values, lane % 2 ? ODD : EVEN);
        return;
    }
    kv_store_bf16_keys(s, keys);
    for (size_t p = 0; p < KERNEL_LANES; p += 2)
        kv_store_bf16_values(s->values + p * s->stride, s->values + (p + 1) * s->stride, s->head_dim,
                             values + p * dim);
}

/* ---- all ---- */

/* What is written of one position. */
VECTOR_INLINE void kv_store_announce(const struct kv_head *head, unsigned char *page, size_t slot,
                                     size_t head_dim) {
    if (!ANNOUNCES) return;
    const size_t bytes = kv_type_bytes(head->type), dim = kv_stored_dim(head->type, head_dim),
                 lane = slot % KERNEL_LANES, pair = head->type == KV_TYPE_BF16 ? 2 : 1;
    unsigned char *keys = page + head->keys + ((slot - lane) * dim + lane * pair) * bytes,
                  *values = page + head->values + (slot / pair * pair * dim + slot % pair) * bytes;
    announce_write(keys, KERNEL_LANES * pair * bytes, dim / pair, pair * bytes);
    announce_write(values, pair * bytes, head_dim, bytes);
    if (head->type != KV_TYPE_INT8) return;
    announce_write(page + head->key_scales + slot * sizeof(float), 0, 1, sizeof(float));
    announce_write(page + head->value_scales + slot * sizeof(float), 0, 1, sizeof(float));
}

static void kv_store_at_once(const struct kv_store *s) {
    switch (s->head->type) {
    case KV_TYPE_F16:
        kv_store_typed(KV_TYPE_F16, s);
        break;
    case KV_TYPE_BF16:
        kv_store_pairs(s);
        break;
    case KV_TYPE_INT8:
        kv_store_typed(KV_TYPE_INT8, s);
        break;
    case KV_TYPE_F32:
    case KV_TYPE_COUNT:
        kv_store_typed(KV_TYPE_F32, s);
        break;
    }
}

void KERNEL_FUNCTION(store_kv)(const struct kv_head *head, unsigned char *page, size_t slot, size_t count,
                               size_t head_dim, const float *keys, const float *values, size_t stride) {
    announce_read_floats(keys, stride, count, head_dim);
    announce_read_floats(values, stride, count, head_dim);
    for (size_t p = 0; p < count; p++) kv_store_announce(head, page, slot + p, head_dim);
    for (size_t p = 0, at_once; p < count; p += at_once) {
        at_once = (slot + p) % KERNEL_LANES == 0 && count - p >= KERNEL_LANES ? KERNEL_LANES : 1;
        const struct kv_store s = {.head = head,
                                   .page = page,
                                   .slot = slot + p,
                                   .count = at_once,
                                   .head_dim = head_dim,
                                   .keys = keys + p * stride,
                                   .values = values + p * stride,
                                   .stride = stride};
        kv_store_at_once(&s);
    }
}
