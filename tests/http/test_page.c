/* GET /: the page that lies in the program. What it does in a browser is for tests/page. */
#include "tests/http/support_http.h"

static void test_the_page(void **state) {
    (void)state;
    struct daemon d;
    size_t length;
    char *file = test_file_read(test_source_path("server/page"), "page.html", &length);
    daemon_start_fake(&d, "fake", NULL);
    struct answer a = http_get(&d, "/");
    assert_int_equal(a.status, 200);
    assert_int_equal(a.length, length);
    assert_memory_equal(a.body, file, length);
    assert_string_equal(answer_header(&a, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(answer_header(&a, "X-Content-Type-Options"), "nosniff");
    const char *policy = answer_header(&a, "Content-Security-Policy");
    assert_non_null(policy);
    assert_says(policy, "default-src 'none'; |style-src 'sha256-|script-src 'sha256-|connect-src 'self'; |"
                        "frame-ancestors 'none'");
    assert_null(strstr(policy, "unsafe"));
    answer_free(&a);
    a = http_request(&d, "HEAD", "/", NULL, NULL, 0);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.length, 0);
    answer_free(&a);
    a = http_post(&d, "/", "{}");
    assert_int_equal(a.status, 405);
    answer_free(&a);
    /* Other answers have no policy. */
    a = http_get(&d, "/health");
    assert_null(answer_header(&a, "Content-Security-Policy"));
    answer_free(&a);
    daemon_stop(&d);
    free(file);
}

/* Nothing of it comes from elsewhere, and nothing is kept. */
static void test_the_page_stands_alone(void **state) {
    (void)state;
    static const char *const forbidden[] = {"http://",        "https://",        "localStorage",
                                            "sessionStorage", "document.cookie", "innerHTML",
                                            "eval(",          "onclick=",        "style=\""};
    char *file = test_file_read(test_source_path("server/page"), "page.html", NULL);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (strstr(file, forbidden[i])) fail_msg("page.html has '%s'", forbidden[i]);
    free(file);
}

static void test_the_page_needs_no_key_but_can_be_switched_off(void **state) {
    (void)state;
    struct daemon d;
    char *folder = test_folder_create(), keys[1200];
    snprintf(keys, sizeof keys, "%s/keys", folder);
    test_file_write(folder, "keys", "secret\n", 7);
    daemon_start_fake(&d, "fake", "--api-key-file", keys, NULL);
    struct answer a = http_get(&d, "/");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    a = http_get(&d, "/version");
    assert_int_equal(a.status, 401);
    answer_free(&a);
    daemon_stop(&d);
    daemon_start_fake(&d, "fake", "--page", "off", NULL);
    a = http_get(&d, "/");
    assert_int_equal(a.status, 404);
    assert_says(a.body, "\"not_found\"|--page");
    answer_free(&a);
    daemon_stop(&d);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_page),
        cmocka_unit_test(test_the_page_stands_alone),
        cmocka_unit_test(test_the_page_needs_no_key_but_can_be_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
