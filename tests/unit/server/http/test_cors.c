#include "tests/support/test_support.h"

#include "server/http/cors.h"

static const char own[] = "Authorization, Content-Type, X-Request-Id, X-Api-Key, api-key";

/* What is allowed beside our own names. */
static void check(const char *asked, const char *added) {
    struct bytes out = {0};
    cors_write_allowed(&out, asked);
    assert_false(out.failed);
    bytes_append(&out, "", 1);
    assert_int_equal(strncmp(out.data, own, strlen(own)), 0);
    assert_string_equal(out.data + strlen(own), added);
    bytes_deinit(&out);
}

static void test_names(void **state) {
    (void)state;
    check(NULL, "");
    check("", "");
    check(",, ,\t", "");
    check("x-stainless-os", ", x-stainless-os");
    check("x-stainless-os,x-stainless-lang , X-A", ", x-stainless-os, x-stainless-lang, X-A");
    check("authorization,content-type,API-KEY", "");
    check("x-a,X-A,x-b,x-a", ", x-a, X-A, x-b, x-a"); /* nobody looks for twins */
    check("a b,c:d,e\"f,(g),\xc3\xa4,*,h", ", *, h");
}

/* Past the limit names are left out whole. */
static void test_too_long(void **state) {
    (void)state;
    char asked[CORS_ASKED_BYTES_MAX + 100], added[CORS_ASKED_BYTES_MAX + 100];
    memset(asked, 'a', sizeof asked);
    asked[sizeof asked - 1] = '\0';
    check(asked, "");
    asked[1] = ',';
    check(asked, ", a");
    asked[CORS_ASKED_BYTES_MAX] = ',';
    snprintf(added, sizeof added, ", a, %.*s", CORS_ASKED_BYTES_MAX - 2, asked + 2);
    check(asked, added);
    asked[CORS_ASKED_BYTES_MAX] = 'a';
    asked[CORS_ASKED_BYTES_MAX - 1] = ',';
    snprintf(added, sizeof added, ", a, %.*s", CORS_ASKED_BYTES_MAX - 3, asked + 2);
    check(asked, added);
}

/* What a browser would never say lets nobody in; what ends a line would add headers of its own. */
static void test_origins(void **state) {
    static const char *const right[] = {"*",
                                        "null",
                                        "https://example.org",
                                        "http://localhost:3000",
                                        "http://localhost:443",
                                        "http://127.0.0.1",
                                        "http://[::1]:8080",
                                        "http://[::80]",
                                        "chrome-extension://abcdef",
                                        "app+x.y-z://host"};
    static const char *const wrong[] = {"example.org",
                                        "https://",
                                        "https://a.example/",
                                        "https://a.example/page",
                                        "https://A.example",
                                        "HTTPS://a.example",
                                        "https://a.example?x",
                                        "https://user@a.example",
                                        "https://a.example, https://b.example",
                                        "https://a.example https://b.example",
                                        "https://*.example",
                                        "https://a.example:443",
                                        "http://localhost:80",
                                        "https://\xc3\xa4.example",
                                        "https://a.example\r\nX-More: 1",
                                        "https:a.example",
                                        "://a.example",
                                        " *"};
    struct error e;
    (void)state;
    assert_int_equal(cors_check_origin(NULL, &e), STATUS_OK);
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        assert_int_equal(cors_check_origin(right[i], &e), STATUS_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (cors_check_origin(wrong[i], &e) != STATUS_OPTION) fail_msg("'%s' was taken", wrong[i]);
        assert_string_equal(e.where, "cors-origin");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_too_long),
                                       cmocka_unit_test(test_origins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
