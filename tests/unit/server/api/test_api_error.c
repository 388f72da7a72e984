#include "tests/support/test_support.h"

#include <jansson.h>

#include "server/api/api_error.h"

/* Every kind has the one shape and a status of its hundred. */
static void test_every_kind(void **state) {
    (void)state;
    for (int kind = API_OK + 1; kind < API_ERROR_COUNT; kind++) {
        struct api_error e;
        struct bytes out = {0};
        api_error_set(&e, (enum api_error_kind)kind, kind % 2 ? "field" : NULL, "a \"text\" %d", 5);
        api_error_write(&out, &e);
        json_t *json = json_loadb(out.data, out.length, 0, NULL), *error = json_object_get(json, "error");
        assert_int_equal(json_object_size(json), 1);
        assert_int_equal(json_object_size(error), 4);
        assert_string_equal(json_string_value(json_object_get(error, "message")), "a \"text\" 5");
        assert_true(json_is_string(json_object_get(error, "type")));
        assert_int_equal(json_is_string(json_object_get(error, "param")), kind % 2);
        assert_true(api_error_status(e.kind) >= 400 && api_error_status(e.kind) < 600);
        assert_true(api_error_reason(e.kind)[0]);
        for (int other = API_OK; other < kind; other++)
            assert_string_not_equal(api_error_reason(e.kind), api_error_reason((enum api_error_kind)other));
        json_decref(json);
        bytes_deinit(&out);
    }
}

static void test_long_texts_are_cut(void **state) {
    (void)state;
    char text[5000];
    struct api_error e;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(api_error_set(&e, API_INVALID, text, "%s", text), API_INVALID);
    assert_int_equal(strlen(e.param), sizeof e.param - 1);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
}

/* Wherever a text is cut, by a precision in its midst or for want of room at its end: no half of a character
 * stays. */
static void test_characters_are_not_cut(void **state) {
    (void)state;
    struct api_error e;
    char text[600 * 4 + 1] = "";
    for (int i = 0; i < 600; i++) strcat(text, "\U0001F98A");
    for (int precision = 0; precision < 9; precision++) {
        api_error_set(&e, API_INVALID, NULL, "'%.*s' is not a field", precision, text);
        assert_memory_equal(e.message + 1, text, (size_t)precision / 4 * 4);
        assert_string_equal(e.message + 1 + precision / 4 * 4, "' is not a field");
    }
    for (size_t shift = 0; shift < 4; shift++) {
        char shifted[sizeof text + 4] = "";
        memset(shifted, 'x', shift);
        strcpy(shifted + shift, text);
        api_error_set(&e, API_INVALID, shifted, "%s", shifted);
        size_t kept = shift + (sizeof e.message - 1 - shift) / 4 * 4;
        assert_int_equal(strlen(e.message), kept);
        assert_int_equal(strlen(e.param), shift + (sizeof e.param - 1 - shift) / 4 * 4);
        assert_memory_equal(e.message, shifted, kept);
    }
}

static void test_every_kind_has_a_meaning(void **state) {
    (void)state;
    for (int kind = API_OK; kind < API_ERROR_COUNT; kind++) {
        const char *meaning = api_error_meaning((enum api_error_kind)kind);
        if (!meaning || strlen(meaning) < 10)
            fail_msg("%s has no meaning", api_error_reason((enum api_error_kind)kind));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind), cmocka_unit_test(test_every_kind_has_a_meaning),
        cmocka_unit_test(test_long_texts_are_cut), cmocka_unit_test(test_characters_are_not_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
