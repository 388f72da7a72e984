#include "engine/base/memory.h"

#include "tests/support/test_support.h"

static void check_block(size_t count, size_t size) {
    struct error e;
    unsigned char *block = memory_aligned(count, size, "block", &e);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 64, 0);
    for (size_t i = 0; i < count * size; i++) assert_int_equal(block[i], 0);
    memset(block, 0xff, count * size);
    free(block);
}

static void test_blocks_are_aligned_and_zero(void **state) {
    (void)state;
    for (size_t count = 0; count < 200; count++) check_block(count, 4);
    check_block(1, 1000003);
}

/* Large enough for huge pages, and again after it was dirtied and freed. */
static void test_large_blocks_are_zero(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) check_block(3, 3 << 20);
}

static void check_refused(size_t count, size_t size) {
    struct error e = {.code = STATUS_OK};
    assert_null(memory_aligned(count, size, "weights", &e));
    assert_int_equal(e.code, STATUS_NO_MEMORY);
    assert_string_equal(e.where, "weights");
}

static void test_overflow_is_refused(void **state) {
    (void)state;
    check_refused(SIZE_MAX, 2);
    check_refused(SIZE_MAX / 4 + 1, 4);
    check_refused(SIZE_MAX, 1);
    check_refused(PTRDIFF_MAX, 1);
}

static void test_multiply(void **state) {
    (void)state;
    size_t product;
    assert_true(memory_multiply(SIZE_MAX / 2, 2, &product));
    assert_int_equal(product, SIZE_MAX - 1);
    assert_false(memory_multiply(SIZE_MAX / 2 + 1, 2, &product));
    assert_true(memory_multiply(0, SIZE_MAX, &product));
    assert_int_equal(product, 0);
}

static void test_anonymous_bytes_grow_with_use(void **state) {
    (void)state;
    struct error e;
    size_t size = (size_t)32 << 20, before = memory_anonymous_bytes();
    if (before == 0) skip();
    char *block = memory_aligned(1, size, "block", &e);
    assert_non_null(block);
    memset(block, 1, size);
    assert_true(memory_anonymous_bytes() >= before + size / 2);
    free(block);
}

static void test_available_bytes(void **state) {
    (void)state;
    assert_true(memory_available_bytes() > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_zero),   cmocka_unit_test(test_large_blocks_are_zero),
        cmocka_unit_test(test_overflow_is_refused),           cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_anonymous_bytes_grow_with_use), cmocka_unit_test(test_available_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
