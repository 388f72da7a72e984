#include "tests/support/failing_malloc.h"
#include "tests/support/test_support.h"

#include "engine/files/json_file.h"

static const struct {
    const char *text;
    enum status status;
    const char *fragment;
} cases[] = {
    {"{\"a\": 1}", STATUS_OK, ""},
    {"  [1, 2, {\"a\": \"]}\\\"[\"}] \n", STATUS_OK, ""},
    {"", STATUS_MALFORMED, "line 1, column 0"},
    {"{\"a\": 1} x", STATUS_MALFORMED, "line 1"},
    {"{\n  \"a\": tru\n}", STATUS_MALFORMED, "line 2, column"},
    {"{\"a\": 1, \"a\": 2}", STATUS_MALFORMED, "duplicate"},
    {"{\"a\": {\"b\": [], \"b\": []}}", STATUS_MALFORMED, "duplicate"},
    {"{\"a\": \"\xff\"}", STATUS_MALFORMED, "unable to decode byte"},
    {"{\"a\\u0000b\": 1}", STATUS_MALFORMED, "line 1"},
    {"{\"a\": 99999999999999999999999}", STATUS_MALFORMED, "big integer"},
    {"]]]]", STATUS_MALFORMED, "line 1"},
    {"{\"unterminated", STATUS_MALFORMED, "line 1"},
    {"{\"ends in a backslash\\", STATUS_MALFORMED, "line 1"},
    {"[0,1,2,3,4,5,6,7,8,9,10]", STATUS_LIMIT, "line 1, column 21: more than 10 values"},
};

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        json_t *json = NULL;
        enum status status = json_file_parse(cases[i].text, strlen(cases[i].text), "a file", 10, &json, &e);
        if (status != cases[i].status || (status && !strstr(e.text, cases[i].fragment)))
            fail_msg("%s: status %d, '%s'", cases[i].text, status, e.text);
        if (status == STATUS_OK)
            json_decref(json);
        else
            assert_string_equal(e.where, "a file");
    }
}

static enum status parse_nested(size_t depth, struct error *e) {
    char text[2 * 2000 + 4] = "\n";
    json_t *json = NULL;
    for (size_t i = 0; i < depth; i++) text[1 + i] = '[', text[1 + depth + i] = ']';
    enum status status = json_file_parse(text, 1 + 2 * depth, "nested", 1u << 20, &json, e);
    if (status == STATUS_OK) json_decref(json);
    return status;
}

static void test_depth(void **state) {
    (void)state;
    struct error e = {0};
    assert_ok(parse_nested(JSON_FILE_DEPTH_MAX, &e));
    assert_int_equal(parse_nested(JSON_FILE_DEPTH_MAX + 1, &e), STATUS_LIMIT);
    assert_non_null(strstr(e.text, "line 2, column 65: nested deeper than 64"));
    assert_int_equal(parse_nested(2000, &e), STATUS_LIMIT);
}

/* Text may lie in a mapped file: nothing may be read beyond its length. */
static void test_text_without_end(void **state) {
    (void)state;
    struct error e = {0};
    static const char text[] = "{\"a\": [1, 2, \"three\\n\"]}";
    for (size_t length = 0; length < sizeof text; length++) {
        char *copy = malloc(length + !length);
        json_t *json = NULL;
        memcpy(copy, text, length);
        enum status status = json_file_parse(copy, length, "cut", 100, &json, &e);
        assert_int_equal(status, length == sizeof text - 1 ? STATUS_OK : STATUS_MALFORMED);
        if (status == STATUS_OK) json_decref(json);
        free(copy);
        if (status == STATUS_OK) break;
    }
}

static void test_files(void **state) {
    (void)state;
    struct error e = {0};
    char path[1200], *folder = test_folder_create();
    json_t *json = NULL;
    test_file_write(folder, "good.json", "{\"a\": 5}", 8);
    snprintf(path, sizeof path, "%s/good.json", folder);
    assert_ok(json_file_load(folder, "good.json", 8, &json, &e));
    assert_int_equal(json_integer_value(json_object_get(json, "a")), 5);
    json_decref(json);
    assert_ok(json_file_load(NULL, path, 100, &json, &e));
    json_decref(json);
    assert_int_equal(json_file_load(folder, "good.json", 7, &json, &e), STATUS_LIMIT);
    assert_non_null(strstr(e.text, "8 bytes; the limit is 7"));
    assert_string_equal(e.where, path);
    assert_int_equal(json_file_load(folder, "none.json", 7, &json, &e), STATUS_NOT_FOUND);
    assert_int_equal(json_file_load(folder, ".", 7, &json, &e), STATUS_IO);
    test_file_write(folder, "bad.json", "{\n\n oops}", 9);
    assert_int_equal(json_file_load(folder, "bad.json", 100, &json, &e), STATUS_MALFORMED);
    assert_non_null(strstr(e.where, "bad.json"));
    assert_non_null(strstr(e.text, "line 3"));
    test_folder_remove(folder);
}

/* jansson's buffer for a string grows at powers of 2: also at its last byte, and at the quote behind it. */
static void test_memory_may_end_in_a_string(void **state) {
    (void)state;
    char text[300];
    for (int length = 1; length < 140; length++) {
        bool failed = true;
        size_t refused = 0;
        snprintf(text, sizeof text, "[\"%0*d\", \"next\"]", length, 7);
        for (size_t n = 1; failed; n++) {
            struct error e = {0};
            json_t *json = NULL;
            failing_malloc_arm(n);
            enum status status = json_file_parse(text, strlen(text), "a text", 10, &json, &e);
            failed = failing_malloc_disarm();
            assert_int_equal(status, failed ? STATUS_NO_MEMORY : STATUS_OK);
            assert_int_equal(json_string_length(json_array_get(json, 0)), failed ? 0 : length);
            json_decref(json);
            refused += failed;
        }
        assert_true(refused > 4);
    }
}

int main(void) {
    json_file_process_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_text_without_end),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_memory_may_end_in_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
