#include "tests/support/test_support.h"

#include <jansson.h>

#include "server/api_error.h"
#include "server/stats.h"

/* Every kind has the one shape, a status of its hundred, and a status that is counted. */
static void test_every_kind(void **state) {
    (void)state;
    for (int kind = API_OK + 1; kind < API_ERROR_COUNT; kind++) {
        struct api_error e;
        struct bytes out = {0};
        struct stats stats = {0};
        api_error_set(&e, (enum api_error_kind)kind, kind % 2 ? "field" : NULL, "a \"text\" %d", 5);
        api_error_write(&out, &e);
        json_t *json = json_loadb(out.data, out.length, 0, NULL), *error = json_object_get(json, "error");
        assert_int_equal(json_object_size(json), 1);
        assert_int_equal(json_object_size(error), 4);
        assert_string_equal(json_string_value(json_object_get(error, "message")), "a \"text\" 5");
        assert_true(json_is_string(json_object_get(error, "type")));
        assert_int_equal(json_is_string(json_object_get(error, "param")), kind % 2);
        assert_true(api_error_status(e.kind) >= 400 && api_error_status(e.kind) < 600);
        stats_count_answer(&stats, 0, api_error_status(e.kind));
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_kind),
                                       cmocka_unit_test(test_long_texts_are_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
