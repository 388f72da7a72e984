#include "tests/support/test_support.h"

#include <stdbool.h>

#include "server/endpoints/endpoints.h"

static void check(const char *method, const char *path, bool found, const char *allow) {
    const char *allowed;
    const struct route *route = route_find(&endpoints, method, path, &allowed);
    assert_int_equal(route != NULL, found);
    if (found) return;
    if (allow)
        assert_string_equal(allowed, allow);
    else
        assert_null(allowed);
}

static void test_find(void **state) {
    (void)state;
    check("POST", "/v1/completions", true, NULL);
    check("GET", "/health", true, NULL);
    check("HEAD", "/health", true, NULL);
    check("GET", "/v1/models/a/b", true, NULL);
    check("HEAD", "/v1/completions", false, "POST");
    check("post", "/v1/completions", false, "POST");
    check("POST", "/health", false, "GET, HEAD");
    check("GET", "/v1/models/", false, NULL);
    check("GET", "/healt", false, NULL);
    check("GET", "/health/", false, NULL);
    check("GET", "", false, NULL);
    check("OPTIONS", "*", false, "GET, HEAD, POST");
}

static void test_labels(void **state) {
    (void)state;
    const char *allow;
    const struct route *route = route_find(&endpoints, "GET", "/v1/models/x", &allow);
    assert_string_equal(route_label(&endpoints, route_number(&endpoints, route)), "/v1/models/{id}");
    assert_string_equal(route_label(&endpoints, route_number(&endpoints, NULL)), "none");
    for (unsigned i = 0; i < endpoints.count; i++)
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(route_label(&endpoints, i), route_label(&endpoints, j));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
