#include "tests/support/test_support.h"

#include "server/json/bytes.h"

static void test_grows(void **state) {
    (void)state;
    struct bytes b = {0};
    for (int i = 0; i < 1000; i++) bytes_format(&b, "%04d", i);
    assert_int_equal(b.length, 4000);
    assert_memory_equal(b.data + 3996, "0999", 4);
    bytes_clear(&b);
    assert_int_equal(b.length, 0);
    bytes_text(&b, "x");
    assert_memory_equal(b.data, "x", 1);
    bytes_deinit(&b);
    assert_null(b.data);
}

/* Too much is remembered and stays remembered; nothing is lost of what was there. */
static void test_failure_is_remembered(void **state) {
    (void)state;
    struct bytes b = {0};
    bytes_text(&b, "kept");
    bytes_append(&b, "", SIZE_MAX - 2);
    assert_true(b.failed);
    bytes_text(&b, "more");
    assert_true(b.failed);
    assert_int_equal(b.length, 4);
    struct bytes other = {0};
    bytes_append_bytes(&other, &b);
    assert_true(other.failed);
    bytes_deinit(&b);
    bytes_deinit(&other);
}

static void test_nothing_is_nothing(void **state) {
    (void)state;
    struct bytes b = {0};
    bytes_append(&b, NULL, 0);
    bytes_format(&b, "%s", "");
    assert_int_equal(b.length, 0);
    assert_false(b.failed);
    bytes_deinit(&b);
}

static void test_integers(void **state) {
    (void)state;
    static const int64_t values[] = {0, 7, 10, -1, 99, -100, 50256, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct bytes b = {0}, expect = {0};
        bytes_integer(&b, values[i]);
        bytes_format(&expect, "%lld", (long long)values[i]);
        assert_int_equal(b.length, expect.length);
        assert_memory_equal(b.data, expect.data, b.length);
        bytes_deinit(&b);
        bytes_deinit(&expect);
    }
}

/* A large buffer has at most a quarter more than it needs, and what is done has nothing. */
static void test_storage_is_near_to_the_content(void **state) {
    (void)state;
    struct bytes b = {0};
    char piece[1000] = {7};
    for (int i = 0; i < 5000; i++) {
        bytes_append(&b, piece, sizeof piece);
        assert_true(b.capacity < 2 * b.length || b.capacity <= 1024);
        if (b.length > 2 << 20) assert_true(b.capacity <= b.length + b.length / 4 + sizeof piece);
    }
    bytes_fit(&b);
    assert_int_equal(b.capacity, b.length);
    assert_int_equal(b.data[4999000], 7);
    bytes_clear(&b);
    bytes_fit(&b); /* nothing to keep: the storage stays */
    bytes_text(&b, "x");
    assert_memory_equal(b.data, "x", 1);
    bytes_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_failure_is_remembered),
        cmocka_unit_test(test_nothing_is_nothing),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_storage_is_near_to_the_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
