#include "engine/base/error.h"

#include "tests/support/test_support.h"

static void test_set(void **state) {
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, STATUS_MALFORMED, "model.json", "found %d, expected %d", 3, 4),
                     STATUS_MALFORMED);
    assert_int_equal(e.code, STATUS_MALFORMED);
    assert_string_equal(e.where, "model.json");
    assert_string_equal(e.text, "found 3, expected 4");
}

static void test_nobody_asks(void **state) {
    (void)state;
    assert_int_equal(error_set(NULL, STATUS_IO, "file", "text"), STATUS_IO);
}

static void test_no_place(void **state) {
    (void)state;
    struct error e;
    char line[64];
    error_set(&e, STATUS_IO, NULL, "lost");
    assert_string_equal(e.where, "");
    assert_int_equal(error_format(&e, line, sizeof line), 4);
    assert_string_equal(line, "lost");
}

static void test_format(void **state) {
    (void)state;
    struct error e;
    char line[64], cut[8];
    error_set(&e, STATUS_IO, "file", "lost");
    assert_int_equal(error_format(&e, line, sizeof line), 10);
    assert_string_equal(line, "file: lost");
    assert_int_equal(error_format(&e, cut, sizeof cut), 10);
    assert_string_equal(cut, "file: l");
}

static void test_hostile_bytes(void **state) {
    (void)state;
    struct error e;
    error_set(&e, STATUS_MALFORMED, "a\x1b[2J", "name \"%s\"", "x\n\xff\x7f");
    assert_string_equal(e.where, "a?[2J");
    assert_string_equal(e.text, "name \"x???\"");
}

static void test_names_in_other_scripts(void **state) {
    (void)state;
    struct error e;
    char line[128], name[2 * sizeof e.where];
    error_set(&e, STATUS_MALFORMED, "/modèles/模型", "found '%s'", "ключ\xe2\x80\xae");
    error_format(&e, line, sizeof line);
    assert_string_equal(line, "/modèles/模型: found 'ключ?\?\?'");
    /* A cut never leaves half a character. */
    for (size_t i = 0; i + 1 < sizeof name; i++) name[i] = "\xe6\xa8\xa1"[i % 3];
    name[sizeof name - 1] = '\0';
    error_set(&e, STATUS_LIMIT, name, "-%s", name);
    assert_int_equal(strlen(e.where), 510);
    assert_memory_equal(e.where, name, 510);
    assert_int_equal(strlen(e.text), 766);
    assert_memory_equal(e.text + 1, name, 765);
}

static void test_long_texts_are_cut(void **state) {
    (void)state;
    struct error e;
    char where[2000];
    memset(where, 'w', sizeof where - 1);
    where[sizeof where - 1] = '\0';
    error_set(&e, STATUS_LIMIT, where, "%3000d", 1);
    assert_int_equal(strlen(e.where), sizeof e.where - 1);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void test_names(void **state) {
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        assert_non_null(status_name((enum status)i));
        assert_true(strlen(status_name((enum status)i)) > 0);
    }
    assert_string_equal(status_name(STATUS_OK), "ok");
    assert_string_equal(status_name(STATUS_COUNT), "unknown status");
    assert_string_equal(status_name((enum status) - 1), "unknown status");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),           cmocka_unit_test(test_nobody_asks),
        cmocka_unit_test(test_no_place),      cmocka_unit_test(test_format),
        cmocka_unit_test(test_hostile_bytes), cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_names_in_other_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
