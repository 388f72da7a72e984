/* Base64, by the examples of RFC 4648 and all bytes. */
#include "tests/support/test_support.h"

#include "server/json/base64.h"

static void check(const char *data, size_t length, const char *expected) {
    struct bytes out = {0};
    base64_write(&out, data, length);
    assert_int_equal(out.length, strlen(expected));
    if (out.length) assert_memory_equal(out.data, expected, out.length);
    bytes_deinit(&out);
}

static void test_examples(void **state) {
    (void)state;
    check("", 0, "");
    check("f", 1, "Zg==");
    check("fo", 2, "Zm8=");
    check("foo", 3, "Zm9v");
    check("foob", 4, "Zm9vYg==");
    check("fooba", 5, "Zm9vYmE=");
    check("foobar", 6, "Zm9vYmFy");
    check("\0\xff\xfe", 3, "AP/+");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
