#include "tests/support/test_support.h"

#include "server/http/route.h"
#include "server/metrics/metrics.h"
#include "server/service/service.h"

static const struct route three[] = {{"GET", "/a", 0, NULL, NULL, NULL},
                                     {"GET", "/b/", ROUTE_PREFIX, NULL, "/b/{id}", NULL},
                                     {"POST", "/c", 0, NULL, NULL, NULL}};
static const struct route_table routes = {three, 3, NULL, 0};

/* Any status of any route is counted under its own labels, and once. */
static void test_every_status_of_every_route(void **state) {
    (void)state;
    struct service *s = calloc(1, sizeof *s);
    struct bytes out = {0};
    char line[256];
    assert_non_null(s);
    s->phase = SERVICE_DRAINING;
    for (unsigned route = 0; route <= routes.count; route++)
        for (unsigned status = HTTP_STATS_STATUS_LEAST; status <= HTTP_STATS_STATUS_MOST; status++)
            for (unsigned i = 0; i <= route; i++) http_stats_count_answer(&s->stats, route, status);
    metrics_write_answers(&out, &s->stats, &routes);
    bytes_append(&out, "", 1);
    for (unsigned route = 0; route <= routes.count; route++)
        for (unsigned status = HTTP_STATS_STATUS_LEAST; status <= HTTP_STATS_STATUS_MOST; status++) {
            snprintf(line, sizeof line, "prenorm_http_answers_total{route=\"%s\",code=\"%u\"} %u\n",
                     route_label(&routes, route), status, route + 1);
            assert_non_null(strstr(out.data, line));
        }
    bytes_deinit(&out);
    free(s);
}

/* Every reason has its series from the start, each its own. */
static void test_every_reason(void **state) {
    (void)state;
    struct http_stats *stats = calloc(1, sizeof *stats);
    struct bytes out = {0};
    char line[256];
    assert_non_null(stats);
    for (int kind = API_OK + 1; kind < API_ERROR_COUNT; kind++) stats->rejected[kind] = (uint64_t)kind;
    metrics_write_answers(&out, stats, &routes);
    bytes_append(&out, "", 1);
    for (int kind = API_OK + 1; kind < API_ERROR_COUNT; kind++) {
        snprintf(line, sizeof line, "prenorm_http_rejected_total{reason=\"%s\"} %d\n",
                 api_error_reason((enum api_error_kind)kind), kind);
        assert_non_null(strstr(out.data, line));
    }
    bytes_deinit(&out);
    free(stats);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_status_of_every_route),
                                       cmocka_unit_test(test_every_reason)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
