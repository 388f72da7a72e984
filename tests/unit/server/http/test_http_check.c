/* The parts that need no connection; tests/http/test_framing.c has the rest. */
#include "tests/support/test_support.h"

#include "server/http/http_check.h"

static void test_targets(void **state) {
    (void)state;
    static const struct {
        const char *method, *target, *path;
    } cases[] = {
        {"GET", "/", "/"},
        {"GET", "/health", "/health"},
        {"GET", "http://host/health", "/health"},
        {"GET", "HTTPS://host:1/v1/models/a", "/v1/models/a"},
        {"GET", "http://host", "/"},
        {"GET", "http://", NULL},
        {"GET", "http:///health", NULL},
        {"GET", "ftp://host/health", NULL},
        {"GET", "health", NULL},
        {"GET", "", NULL},
        {"GET", "*", NULL},
        {"OPTIONS", "*", "*"},
        {"OPTIONS", "**", NULL},
        {"CONNECT", "host:443", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = http_target_path(cases[i].method, cases[i].target);
        assert_int_equal(path != NULL, cases[i].path != NULL);
        if (path) assert_string_equal(path, cases[i].path);
    }
}

static void test_tokens(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[] = {'a', (char)c};
        bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        assert_int_equal(http_is_token(text, 2), is_word || (c && strchr("!#$%&'*+-.^_`|~", c)));
    }
    assert_false(http_is_token("", 0));
}

static void test_trim(void **state) {
    (void)state;
    struct http_text text = http_text_trim(" \t a b\t ", 8);
    assert_int_equal(text.length, 3);
    assert_memory_equal(text.data, "a b", 3);
    assert_true(http_text_is(text, "A B"));
    assert_false(http_text_is(text, "a"));
    assert_false(http_text_is((struct http_text){0}, ""));
    assert_int_equal(http_text_trim(" \t", 2).length, 0);
}

static void test_line(void **state) {
    (void)state;
    static const char *const bad[] = {"/a b", "/a\tb", "/a\rb", "/\x7f", "/\x01"};
    struct http_line line = {0};
    http_line_set_target(&line, "/a%20b?c=\xc3\xa4");
    assert_true(line.target_is_printed);
    assert_int_equal(line.target_bytes, 11);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        http_line_set_target(&line, bad[i]);
        assert_false(line.target_is_printed);
    }
    http_line_set_target(&line, NULL);
    assert_false(line.target_is_printed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets), cmocka_unit_test(test_tokens),
                                       cmocka_unit_test(test_trim), cmocka_unit_test(test_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
