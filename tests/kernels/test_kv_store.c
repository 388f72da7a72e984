/* What is stored in the cache, in every table: against the words of kernel.h, byte by byte, and nothing
 * beside it; the conversion of halves over all of them. */
#include "tests/kernels/kernel_test.h"

enum { PAGE_TOKENS = 32, HEAD_DIM_MAX = 100, PAGE_BYTES = 2 * PAGE_TOKENS * (HEAD_DIM_MAX + 2) * 4 };

/* ---- halves -------------------------------------------------------------------------------------------- */

/* By its meaning. */
static double exact_half(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 0x3ff;
    double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    if (exponent == 31) value = fraction ? NAN : INFINITY;
    return half & 0x8000 ? -value : value;
}

static void every_half_is_read_exactly_and_stays_itself(void **state) {
    (void)state;
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        uint16_t half = (uint16_t)i;
        float value = kernel_f16_to_float(half);
        assert_true(same_bits(value, (float)exact_half(half)));
        if (!isnan(value)) assert_int_equal(kernel_f16_of(value), half);
        if (isnan(value)) assert_true(isnan(kernel_f16_to_float(kernel_f16_of(value))));
    }
}

/* Between neighbours: the middle goes to the even one, what lies next to it to the nearer. */
static void halves_round_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 0x7c00; i++) {
        uint16_t below = (uint16_t)i, above = (uint16_t)(i + 1), even = i % 2 ? above : below;
        double high = i == 0x7bff ? 65536 : exact_half(above); /* infinity stands where 2^16 would */
        float middle = (float)((exact_half(below) + high) / 2);
        assert_int_equal(kernel_f16_of(middle), even);
        assert_int_equal(kernel_f16_of(-middle), even | 0x8000);
        assert_int_equal(kernel_f16_of(nextafterf(middle, 0)), below);
        assert_int_equal(kernel_f16_of(nextafterf(middle, INFINITY)), above);
    }
    assert_int_equal(kernel_f16_of(3e38f), 0x7c00);
    assert_int_equal(kernel_f16_of(-1e-45f), 0x8000);
}

/* ---- pages --------------------------------------------------------------------------------------------- */

struct page {
    _Alignas(KERNEL_ALIGN) unsigned char bytes[PAGE_BYTES];
};

static struct kv_head head_of(enum kv_type type, size_t head_dim) {
    size_t elements = (PAGE_TOKENS * kv_stored_dim(type, head_dim) + 3) * kv_type_bytes(type) / 4 * 4;
    return (struct kv_head){.type = type,
                            .keys = 4,
                            .values = 8 + elements,
                            .key_scales = 12 + 2 * elements,
                            .value_scales = 16 + 2 * elements + PAGE_TOKENS * sizeof(float)};
}

static void define_element(enum kv_type type, unsigned char *part, size_t index, float x, float inverse) {
    if (type == KV_TYPE_F32) {
        memcpy(part + index * sizeof x, &x, sizeof x);
    } else if (type == KV_TYPE_F16) {
        uint16_t half = kernel_f16_of(x);
        memcpy(part + index * sizeof half, &half, sizeof half);
    } else if (type == KV_TYPE_BF16) {
        uint16_t half = fabsf(x) < 0x1p-56f ? 0 : kernel_bf16_of(x);
        memcpy(part + index * sizeof half, &half, sizeof half);
    } else {
        part[index] = (unsigned char)(int)nearbyint((double)x * (double)inverse); /* the product is exact */
    }
}

/* 127 / largest |x|, 0 where there is no such scale. */
static float define_scale(const float *x, size_t count, float *scale) {
    float largest = 0;
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        largest = fmaxf(largest, fabsf(x[i]));
        finite &= isfinite(x[i]);
    }
    bool scalable = finite && isfinite(127.0f / largest);
    *scale = !finite ? NAN : scalable ? largest / 127.0f : 0.0f;
    return scalable ? 127.0f / largest : 0.0f;
}

/* Pairs of dimensions of a key, with a 0 behind an odd one; pairs of positions of values. */
static void define_pairs(const struct kv_head *head, unsigned char *page, size_t slot, size_t head_dim,
                         const float *key, const float *value) {
    const size_t pairs = (head_dim + 1) / 2;
    for (size_t d = 0; d < 2 * pairs; d++) {
        size_t at = ((slot / KERNEL_LANES * pairs + d / 2) * KERNEL_LANES + slot % KERNEL_LANES) * 2 + d % 2;
        define_element(KV_TYPE_BF16, page + head->keys, at, d < head_dim ? key[d] : 0.0f, 0);
    }
    for (size_t d = 0; d < head_dim; d++)
        define_element(KV_TYPE_BF16, page + head->values, (slot / 2 * 2 * pairs + d) * 2 + slot % 2, value[d],
                       0);
}

static void define(const struct kv_head *head, unsigned char *page, size_t slot, size_t head_dim,
                   const float *key, const float *value) {
    float key_scale, value_scale;
    if (head->type == KV_TYPE_BF16) {
        define_pairs(head, page, slot, head_dim, key, value);
        return;
    }
    float key_inverse = define_scale(key, head_dim, &key_scale),
          value_inverse = define_scale(value, head_dim, &value_scale);
    for (size_t d = 0; d < head_dim; d++) {
        size_t at = (slot / KERNEL_LANES * head_dim + d) * KERNEL_LANES + slot % KERNEL_LANES;
        bool none = head->type == KV_TYPE_INT8 && key_inverse == 0;
        define_element(head->type, page + head->keys, at, none ? 0.0f : key[d], key_inverse);
        none = head->type == KV_TYPE_INT8 && value_inverse == 0;
        define_element(head->type, page + head->values, slot * head_dim + d, none ? 0.0f : value[d],
                       value_inverse);
    }
    if (head->type != KV_TYPE_INT8) return;
    memcpy(page + head->key_scales + slot * sizeof(float), &key_scale, sizeof key_scale);
    memcpy(page + head->value_scales + slot * sizeof(float), &value_scale, sizeof value_scale);
}

/* Payload and sign of a NaN are left open: all become one. */
static void settle_nans(struct page *page, enum kv_type type) {
    for (size_t i = 0; i < PAGE_BYTES; i += 2) {
        uint16_t half;
        float value;
        memcpy(&half, page->bytes + i, sizeof half);
        if (type == KV_TYPE_F16 && (half & 0x7fff) > 0x7c00) half = 0x7e00;
        if (type == KV_TYPE_BF16 && (half & 0x7fff) > 0x7f80) half = 0x7fc0;
        memcpy(page->bytes + i, &half, sizeof half);
        if (type == KV_TYPE_F16 || type == KV_TYPE_BF16 || i % 4) continue;
        memcpy(&value, page->bytes + i, sizeof value);
        if (isnan(value)) memset(page->bytes + i, 0x7f, sizeof value);
    }
}

static void fill_row(struct random *r, float *x, size_t count) {
    static const float sizes[] = {1.0f, 0.0f, 1e-6f, 1e-40f, 3e-37f, 3e37f, 300.0f};
    float size = sizes[random_below(r, sizeof sizes / sizeof *sizes)];
    if (random_below(r, 5) == 0) {
        random_fill_extreme(r, x, count);
        return;
    }
    for (size_t i = 0; i < count; i++) x[i] = random_float(r) * size;
    if (random_below(r, 3) == 0) /* ties of int8: the scale is 1 */
        for (size_t i = 0; i < count; i++) x[i] = i ? (float)random_between(r, 0, 254) / 2 - 63.5f : 127.0f;
}

/* Rows of keys, and behind each that of its value, between others that are not read. */
enum { STRIDE = 2 * HEAD_DIM_MAX + 3 };

static void check_rows(struct random *r, const struct kernel_table *table, enum kv_type type, size_t slot,
                       size_t count) {
    static struct page expected, found;
    static float keys[PAGE_TOKENS * STRIDE];
    const float *values = keys + HEAD_DIM_MAX;
    size_t head_dim = random_below(r, 4) ? random_between(r, 1, HEAD_DIM_MAX) : 16 * random_between(r, 1, 6);
    struct kv_head head = head_of(type, head_dim);
    memset(&expected, 0x3c, sizeof expected);
    found = expected;
    for (size_t p = 0; p < PAGE_TOKENS * STRIDE; p++) keys[p] = NAN;
    for (size_t p = 0; p < count; p++) {
        fill_row(r, keys + p * STRIDE, head_dim);
        fill_row(r, keys + p * STRIDE + HEAD_DIM_MAX, head_dim);
        define(&head, expected.bytes, slot + p, head_dim, keys + p * STRIDE, values + p * STRIDE);
    }
    table->store_kv(&head, found.bytes, slot, count, head_dim, keys, values, STRIDE);
    settle_nans(&expected, type);
    settle_nans(&found, type);
    for (size_t i = 0; i < PAGE_BYTES; i++)
        if (expected.bytes[i] != found.bytes[i])
            fail_msg("%s, %s, head %zu, slots %zu to %zu: byte %zu is %02x, expected %02x", table->name,
                     kv_type_name(type), head_dim, slot, slot + count - 1, i, found.bytes[i],
                     expected.bytes[i]);
}

/* A position by itself, a block by itself, and any positions of a page. */
static void check_store(struct random *r, const struct kernel_table *table, enum kv_type type) {
    const size_t slot = random_below(r, PAGE_TOKENS);
    check_rows(r, table, type, slot, 1);
    check_rows(r, table, type, slot / KERNEL_LANES * KERNEL_LANES, KERNEL_LANES);
    check_rows(r, table, type, slot, random_between(r, 1, PAGE_TOKENS - slot));
}

/* Rows alone give, to the last bit, what they give beside others: also where they are NaN. */
static void check_together(struct random *r, const struct kernel_table *table, enum kv_type type) {
    static struct page alone, together;
    static float keys[PAGE_TOKENS * STRIDE];
    const float *values = keys + HEAD_DIM_MAX;
    size_t head_dim = random_between(r, 1, HEAD_DIM_MAX);
    struct kv_head head = head_of(type, head_dim);
    memset(&alone, 0x3c, sizeof alone);
    together = alone;
    for (size_t p = 0; p < 2 * (size_t)PAGE_TOKENS; p++)
        fill_row(r, keys + p / 2 * STRIDE + p % 2 * HEAD_DIM_MAX, head_dim);
    for (size_t p = 0; p < PAGE_TOKENS; p++)
        table->store_kv(&head, alone.bytes, p, 1, head_dim, keys + p * STRIDE, values + p * STRIDE, 0);
    table->store_kv(&head, together.bytes, 0, PAGE_TOKENS, head_dim, keys, values, STRIDE);
    assert_memory_equal(alone.bytes, together.bytes, PAGE_BYTES);
}

/* A block against the scalar table's single positions, in buffers with guards; values end where their memory does. */
static void check_size(struct random *r, const struct kernel_table *table, enum kv_type type,
                       size_t head_dim) {
    const size_t elements = (KERNEL_LANES * kv_stored_dim(type, head_dim) * kv_type_bytes(type) + 3) / 4;
    const struct kv_head head = {.type = type,
                                 .values = elements * sizeof(float),
                                 .key_scales = 2 * elements * sizeof(float),
                                 .value_scales = (2 * elements + KERNEL_LANES) * sizeof(float)};
    float *keys = malloc(2 * KERNEL_LANES * head_dim * sizeof *keys),
          *values = keys + KERNEL_LANES * head_dim;
    struct buffer expected = buffer_create(2 * (elements + KERNEL_LANES), 1),
                  found = buffer_create(2 * (elements + KERNEL_LANES), 1);
    assert_non_null(keys);
    random_fill(r, keys, 2 * KERNEL_LANES * head_dim);
    memset(expected.data, 0x3c, expected.count * sizeof(float));
    memset(found.data, 0x3c, found.count * sizeof(float));
    for (size_t p = 0; p < KERNEL_LANES; p++)
        kernel_scalar()->store_kv(&head, (void *)expected.data, p, 1, head_dim, keys + p * head_dim,
                                  values + p * head_dim, 0);
    table->store_kv(&head, (void *)found.data, 0, KERNEL_LANES, head_dim, keys, values, head_dim);
    assert_memory_equal(expected.data, found.data, expected.count * sizeof(float));
    buffer_check(&expected);
    buffer_check(&found);
    free(keys);
    buffer_destroy(&expected);
    buffer_destroy(&found);
}

static void every_table_stores_as_defined(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct random r = {31};
    for (size_t t = 0; t < count; t++)
        for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++)
            for (int i = 0; i < 200; i++) check_store(&r, tables[t], type);
}

static void blocks_are_stored_as_single_positions(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct random r = {37};
    for (size_t t = 0; t < count; t++)
        for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++)
            for (int i = 0; i < 50; i++) check_together(&r, tables[t], type);
}

/* Up to the largest. */
static void heads_of_every_size_are_stored(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct random r = {41};
    for (size_t t = 0; t < count; t++)
        for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++)
            for (size_t head_dim = 1; head_dim <= KERNEL_HEAD_DIM_MAX; head_dim += head_dim < 70 ? 1 : 159)
                check_size(&r, tables[t], type, head_dim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_read_exactly_and_stays_itself),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(every_table_stores_as_defined),
        cmocka_unit_test(blocks_are_stored_as_single_positions),
        cmocka_unit_test(heads_of_every_size_are_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
