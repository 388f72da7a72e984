#include "tests/support/test_support.h"

#include <math.h>

#include "server/json/write.h"

static void check_string(const char *text, size_t length, const char *expected) {
    struct bytes out = {0};
    json_write_string(&out, text, length);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    assert_int_equal(json_string_bytes(text, length), out.length);
    bytes_deinit(&out);
}

static void test_strings(void **state) {
    (void)state;
    check_string("", 0, "\"\"");
    check_string("plain /text", 11, "\"plain /text\"");
    check_string("\"\\\n\r\t\x01\x7f", 7, "\"\\\"\\\\\\n\\r\\t\\u0001\\u007f\"");
    check_string("a\0b", 3, "\"a\\u0000b\"");
    check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

#define BAD "\xef\xbf\xbd"

static void test_invalid_utf8(void **state) {
    (void)state;
    check_string("\x80", 1, "\"" BAD "\"");
    check_string("a\xc3", 2, "\"a" BAD "\"");
    check_string("\xe2\x82", 2, "\"" BAD BAD "\"");
    check_string("\xc0\xaf", 2, "\"" BAD BAD "\"");                 /* overlong */
    check_string("\xe0\x80\xaf", 3, "\"" BAD BAD BAD "\"");         /* overlong */
    check_string("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");         /* surrogate */
    check_string("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""); /* above U+10FFFF */
    check_string("\xf0\x8f\xbf\xbf", 4, "\"" BAD BAD BAD BAD "\""); /* overlong */
    check_string("\xc3(", 2, "\"" BAD "(\"");
}

/* Whatever the bytes, what is written is valid UTF-8 of as many characters as are counted. */
static void test_any_bytes(void **state) {
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 2000; round++) {
        char text[16];
        size_t length = (size_t)(rand_r(&seed) % 16), characters = 0;
        for (size_t i = 0; i < length; i++) text[i] = (char)(0x80 + rand_r(&seed) % 0x80);
        struct bytes out = {0};
        json_write_string(&out, text, length);
        for (size_t i = 1; i + 1 < out.length; characters++) {
            size_t step = utf8_sequence_length(out.data + i, out.length - i);
            assert_true(step > 1);
            i += step;
        }
        assert_int_equal(characters, json_text_characters(text, length));
        bytes_deinit(&out);
    }
}

static void check_logprob(float value, const char *expected) {
    struct bytes out = {0};
    json_write_logprob(&out, value);
    bytes_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    bytes_deinit(&out);
}

static void test_logprobs(void **state) {
    (void)state;
    check_logprob(0, "0.0");
    check_logprob(-1, "-1.0");
    check_logprob(-0.1f, "-0.1");
    check_logprob(-INFINITY, "-9999.0");
    check_logprob(NAN, "-9999.0");
    check_logprob(-1e30f, "-9999.0");
    check_logprob(INFINITY, "9999.0");
    unsigned seed = 2;
    for (int i = 0; i < 10000; i++) {
        float value = -(float)rand_r(&seed) / (float)RAND_MAX * 30;
        struct bytes out = {0};
        json_write_logprob(&out, value);
        bytes_append(&out, "", 1);
        assert_true(strtof(out.data, NULL) == value);
        assert_true((float)strtod(out.data, NULL) == value); /* as Python reads it */
        bytes_deinit(&out);
    }
}

/* As jansson writes it. */
static void check_value(const json_t *value) {
    char *expected = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    struct bytes out = {0};
    json_write_value(&out, value);
    bytes_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    bytes_deinit(&out);
    free(expected);
}

static void test_values(void **state) {
    (void)state;
    static const char *const texts[] = {"null",
                                        "true",
                                        "false",
                                        "-9223372036854775808",
                                        "0.1",
                                        "-1e300",
                                        "5e-324",
                                        "2.0",
                                        "\"a\\\"\\\\b\"",
                                        "{}",
                                        "[]",
                                        "{\"z\":[1,[],{}],\"a\":{\"\":null,\"b\":[true,false]},\"{\":\"[\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *value = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        check_value(value);
        json_decref(value);
    }
}

static void test_separators(void **state) {
    (void)state;
    struct bytes out = {0};
    json_write_separator(&out);
    bytes_text(&out, "[");
    json_write_separator(&out);
    bytes_text(&out, "1");
    json_write_separator(&out);
    bytes_text(&out, "{");
    json_write_separator(&out);
    json_write_text(&out, NULL);
    bytes_append(&out, "", 1);
    assert_string_equal(out.data, "[1,{null");
    bytes_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),   cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_separators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
