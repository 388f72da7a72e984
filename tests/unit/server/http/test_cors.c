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
    check("x-a,X-A,x-b,x-a", ", x-a, x-b");
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
