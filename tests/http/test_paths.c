/* Paths: other names of routes, and what is said of those that there are not. */
#include "tests/http/one_fake_daemon.h"

static long status_of(const char *method, const char *path) {
    bool is_post = strcmp(method, "POST") == 0;
    const char *body =
        strstr(path, "infill") ? "{\"input_prefix\":\"a\",\"input_suffix\":\"b\"}" : "{\"prompt\":\"ab\"}";
    struct answer a = http_request(&d, method, path, NULL, is_post ? body : NULL, is_post ? strlen(body) : 0);
    long status = a.status;
    answer_free(&a);
    return status;
}

/* They answer as the route does, and are counted as it. */
static void test_aliases(void **state) {
    (void)state;
    static const char *const of_health[] = {"/v1/health", "/ping"};
    double before = metric(&d, "prenorm_http_answers_total{route=\"/health\",code=\"200\"}");
    if (before < 0) before = 0;
    for (size_t i = 0; i < 2; i++) {
        struct answer a = http_get(&d, of_health[i]);
        assert_int_equal(a.status, 200);
        assert_non_null(strstr(a.body, "{\"status\":\"ok\""));
        answer_free(&a);
    }
    wait_metric(&d, "prenorm_http_answers_total{route=\"/health\",code=\"200\"}", before + 2);
    assert_true(metric(&d, "prenorm_http_answers_total{route=\"/ping\",code=\"200\"}") < 0);
    static const struct {
        const char *method, *path;
    } others[] = {{"POST", "/completions"}, {"GET", "/models"},       {"GET", "/models/tales"},
                  {"GET", "/v1/ready"},     {"HEAD", "/ping"},        {"POST", "/v1/infill"},
                  {"GET", "/v1/version"},   {"POST", "/v1/tokenize"}, {"GET", "/v1/metrics"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (status_of(others[i].method, others[i].path) != 200)
            fail_msg("%s %s", others[i].method, others[i].path);
    assert_int_equal(status_of("GET", "/completions"), 405);
    assert_int_equal(status_of("POST", "/ping"), 405);
    assert_int_equal(status_of("GET", "/models/other"), 404);
}

/* Metrics must not have two lines for one series. */
static void test_metrics_have_each_series_once(void **state) {
    (void)state;
    struct answer a = http_get(&d, "/metrics");
    const char *name = "prenorm_http_answers_total{route=\"/v1/completions\",code=\"200\"}";
    const char *first = strstr(a.body, name);
    assert_non_null(first);
    assert_null(strstr(first + 1, name));
    answer_free(&a);
}

static void test_other_servers_paths(void **state) {
    (void)state;
    static const struct {
        const char *method, *path, *part;
    } cases[] = {
        {"POST", "/api/generate", "POST /v1/completions"},
        {"POST", "/api/chat", "POST /v1/chat/completions"},
        {"GET", "/api/tags", "GET /v1/models"},
        {"POST", "/completion", "POST /v1/completions"},
        {"POST", "/generate", "POST /v1/completions"},
        {"POST", "/generate_stream", "POST /v1/completions"},
        {"POST", "/v1/responses", "POST /v1/chat/completions"},
        {"POST", "/v1/rerank", "POST /v1/embeddings"},
        {"POST", "/api/embed", "POST /v1/embeddings"},
        {"GET", "/props", "GET /version"},
        {"GET", "/slots", "GET /metrics"},
        {"GET", "/healthz", "GET /health"},
        {"POST", "/v1/v1/completions", "/v1 twice"},
        {"GET", "/v1/models/", "but /v1/models."},
        {"GET", "/health/", "but /health."},
        {"POST", "/v1/completions/", "POST /v1/completions"},
        {"GET", "/v1", "below"},
        {"POST", "//v1/completions", "There is no //v1/completions here. The path has a slash too many"},
        {"GET", "/docs", "There is no /docs here. GET /openapi.json describes the API"},
        {"GET", "/frobnicate", "There is no /frobnicate here."},
        {"GET", "//", "There is no // here."},
        {"GET", "///", "There is no /// here."}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool is_post = strcmp(cases[i].method, "POST") == 0;
        struct answer a =
            http_request(&d, cases[i].method, cases[i].path, NULL, is_post ? "{}" : NULL, is_post ? 2 : 0);
        if (a.status != 404 || !strstr(a.body, cases[i].part) || !strstr(a.body, "\"code\":\"not_found\""))
            fail_msg("%s: %ld, no '%s': %s", cases[i].path, a.status, cases[i].part, a.body);
        answer_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_metrics_have_each_series_once),
        cmocka_unit_test(test_other_servers_paths),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
