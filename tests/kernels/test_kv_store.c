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

static void check_row(struct random *r, const struct kernel_table *table, enum kv_type type) {
    static struct page expected, found;
    float key[HEAD_DIM_MAX], value[HEAD_DIM_MAX];
    size_t head_dim = random_between(r, 1, HEAD_DIM_MAX), slot = random_below(r, PAGE_TOKENS);
    struct kv_head head = head_of(type, head_dim);
    fill_row(r, key, head_dim);
    fill_row(r, value, head_dim);
    memset(&expected, 0x3c, sizeof expected);
    found = expected;
    define(&head, expected.bytes, slot, head_dim, key, value);
    table->store_kv(&head, found.bytes, slot, head_dim, key, value);
    settle_nans(&expected, type);
    settle_nans(&found, type);
    for (size_t i = 0; i < PAGE_BYTES; i++)
        if (expected.bytes[i] != found.bytes[i])
            fail_msg("%s, %s, head %zu, slot %zu: byte %zu is %02x, expected %02x", table->name,
                     kv_type_name(type), head_dim, slot, i, found.bytes[i], expected.bytes[i]);
}

static void every_table_stores_as_defined(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct random r = {31};
    for (size_t t = 0; t < count; t++)
        for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++)
            for (int i = 0; i < 400; i++) check_row(&r, tables[t], type);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_read_exactly_and_stays_itself),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(every_table_stores_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
