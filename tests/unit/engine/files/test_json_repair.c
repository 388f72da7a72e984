#include "tests/support/test_support.h"

#include "engine/files/json_file.h"
#include "engine/files/json_repair.h"

/* ---- numbers: the text afterwards; NULL: as before ---- */

static const struct {
    const char *text, *repaired;
} numbers[] = {
    {"[1, -2, 9223372036854775807, -9223372036854775808]", NULL},
    {"9223372036854775808", "9223372036854775e03"},
    {"-9223372036854775809", "-9223372036854775e03"},
    {"{\"a\": 1000000000000000019884624838656}", "{\"a\": 1000000000000000019884624838e03}"},
    {"[18446744073709551616,7]", "[18446744073709551e03,7]"},
    {"[12345678901234567890.5, 12345678901234567890e1, 1E400]", NULL},
    {"\"12345678901234567890\"", NULL},
    {"\"\\\"12345678901234567890\"", NULL},
    {"{\"12345678901234567890\": 1}", NULL},
    {"-", NULL},
    {"\"", NULL},
    {"\"\\", NULL},
    {"", NULL},
};

static void test_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct error e = {0};
        size_t length = strlen(numbers[i].text);
        char *copy = malloc(length + !length); /* nothing may be touched beyond the length */
        memcpy(copy, numbers[i].text, length);
        assert_ok(json_repair(copy, length, true, "test", &e));
        assert_memory_equal(copy, numbers[i].repaired ? numbers[i].repaired : numbers[i].text, length);
        free(copy);
    }
}

/* ---- keys ---- */

static void test_nuls_in_keys(void **state) {
    (void)state;
    struct error e = {0};
    char text[] = "{\"a\\u0000b\": \"c\\u0000\", \"\\\\u0000\" \n: 1, \"\\u0000\\u0000\":2}";
    char untouched[sizeof text];
    memcpy(untouched, text, sizeof text);
    assert_ok(json_repair(text, sizeof text - 1, false, "test", &e));
    assert_string_equal(text, untouched);
    assert_ok(json_repair(text, sizeof text - 1, true, "test", &e));
    assert_string_equal(text, "{\"a\\uFDD0b\": \"c\\u0000\", \"\\\\u0000\" \n: 1, \"\\uFDD0\\uFDD0\":2}");
    char key[] = "a" JSON_REPAIR_NUL "b" JSON_REPAIR_NUL;
    assert_int_equal(json_repair_restore(key), 4);
    assert_memory_equal(key, "a\0b\0", 5);
    char plain[] = "plain";
    assert_int_equal(json_repair_restore(plain), 5);
    assert_string_equal(plain, "plain");
}

/* What stands for U+0000 can't stand for itself. */
static void test_keys_with_the_stand_in(void **state) {
    (void)state;
    static const char *const texts[] = {"{\"\xEF\xB7\x90\": 1}", "{\"a\\ufDd0\": 1}"};
    for (size_t i = 0; i < 2; i++) {
        struct error e = {0};
        char *copy = strdup(texts[i]);
        assert_int_equal(json_repair(copy, strlen(copy), true, "test", &e), STATUS_UNSUPPORTED);
        assert_non_null(strstr(e.text, "U+FDD0"));
        assert_ok(json_repair(copy, strlen(copy), false, "test", &e));
        free(copy);
    }
    char value[] = "{\"a\": \"\xEF\xB7\x90\", \"b\": [\"\\uFDD0\"]}";
    struct error e = {0};
    assert_ok(json_repair(value, sizeof value - 1, true, "test", &e));
}

/* ---- as files are read ---- */

static enum status parse_as(const char *text, enum json_file_rules rules, json_t **out) {
    struct error e = {0};
    *out = NULL;
    return json_file_parse_as(text, strlen(text), "test", JSON_FILE_VALUES_MAX, rules, out, &e);
}

static void test_big_numbers_are_reals(void **state) {
    (void)state;
    json_t *json;
    const char *text = "{\"a\": 1000000000000000019884624838656, \"b\": 7}";
    assert_int_equal(parse_as(text, JSON_FILE_STRICT, &json), STATUS_MALFORMED);
    assert_int_equal(parse_as(text, JSON_FILE_AS_PYTHON, &json), STATUS_OK);
    assert_true(json_is_real(json_object_get(json, "a")));
    assert_true(json_real_value(json_object_get(json, "a")) > 0.999999e30);
    assert_true(json_real_value(json_object_get(json, "a")) < 1.000001e30);
    assert_int_equal(json_integer_value(json_object_get(json, "b")), 7);
    json_decref(json);
}

static void test_the_last_of_equal_keys_counts(void **state) {
    (void)state;
    json_t *json;
    const char *text = "{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}, \"a\": 3}";
    assert_int_equal(parse_as(text, JSON_FILE_STRICT, &json), STATUS_MALFORMED);
    assert_int_equal(parse_as(text, JSON_FILE_AS_PYTHON, &json), STATUS_OK);
    assert_int_equal(json_integer_value(json_object_get(json, "a")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "b"), "c")), 2);
    json_decref(json);
}

static void test_nuls(void **state) {
    (void)state;
    json_t *json;
    const char *text = "{\"a\\u0000\": \"b\\u0000c\"}";
    assert_int_equal(parse_as(text, JSON_FILE_STRICT, &json), STATUS_MALFORMED);
    assert_int_equal(parse_as(text, JSON_FILE_AS_PYTHON, &json), STATUS_MALFORMED);
    assert_int_equal(parse_as(text, JSON_FILE_WITH_NULS, &json), STATUS_OK);
    const json_t *value = json_object_get(json, "a" JSON_REPAIR_NUL);
    assert_int_equal(json_string_length(value), 3);
    assert_memory_equal(json_string_value(value), "b\0c", 4);
    json_decref(json);
}

/* What was read is written as it was: keys get their U+0000 again, and a value keeps what only a key has it stand for. */
static void test_what_is_written_again(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\\u0000\\\"\":\"\\u0000" JSON_REPAIR_NUL "\",\"\\u0000\":[1,{\"b\":\"\"}]}";
    json_t *json;
    assert_int_equal(parse_as(text, JSON_FILE_WITH_NULS, &json), STATUS_OK);
    char *written = json_dumps(json, JSON_COMPACT);
    size_t length;
    char *undone = json_repair_undo(written, &length);
    assert_string_equal(undone, text);
    assert_int_equal(length, sizeof text - 1);
    free(undone);
    free(written);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_nuls_in_keys),
        cmocka_unit_test(test_keys_with_the_stand_in),
        cmocka_unit_test(test_big_numbers_are_reals),
        cmocka_unit_test(test_the_last_of_equal_keys_counts),
        cmocka_unit_test(test_nuls),
        cmocka_unit_test(test_what_is_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
