/* The text of /metrics without a network: labels, histograms, and memory that ends anywhere on the way. */
#include "tests/support/failing_malloc.h"
#include "tests/support/fake_engine.h"
#include "tests/support/test_support.h"

#include "server/http/route.h"
#include "server/metrics/metrics.h"
#include "server/service/service.h"

static const struct route_table routes = {NULL, 0, NULL, 0};

static int set_up(void **state) {
    static struct config config;
    const struct engine_options options = fake_engine_options();
    struct error e;
    struct service *s = calloc(1, sizeof *s);
    assert_ok(config_init(&config, &e));
    assert_ok(engine_open(&options, &s->engine, &e));
    s->phase = SERVICE_SERVING;
    s->config = &config;
    s->routes = &routes;
    snprintf(s->model, sizeof s->model, "a \"quoted\" model");
    engine_info(s->engine, &s->info);
    s->info.verify.tokens = 96;
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    struct service *s = *state;
    engine_close(s->engine);
    free(s);
    return 0;
}

static void labels_are_escaped(void **state) {
    (void)state;
    struct bytes out = {0};
    metrics_label(&out, "a", "x\"y\\z\n\xff");
    metrics_label(&out, "b", "\u00e9");
    bytes_append(&out, "", 1);
    assert_string_equal(out.data, "a=\"x\\\"y\\\\z\\n\xef\xbf\xbd\",b=\"\u00e9\"");
    bytes_deinit(&out);
}

static void buckets_are_cumulative(void **state) {
    (void)state;
    static const double bounds[] = {0.5, 1};
    const struct engine_histogram h = {.bounds = bounds, .bound_count = 2, .counts = {3, 0, 4}, .sum = 9};
    struct bytes out = {0};
    metrics_histogram(&out, "h", "", &h);
    bytes_append(&out, "", 1);
    assert_string_equal(out.data, "h_bucket{le=\"0.5\"} 3\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 7\n"
                                  "h_sum 9\nh_count 7\n");
    bytes_deinit(&out);
}

/* Wherever memory ends, what is there is marked as no answer, and nothing is lost (the leak checker looks at
 * that). */
static void no_memory_is_said(void **state) {
    struct service *s = *state;
    bool failed = true;
    size_t refused = 0;
    for (size_t n = 1; failed; n++) {
        struct bytes out = {0};
        failing_malloc_arm(n);
        metrics_write(&out, s);
        failed = failing_malloc_disarm();
        if (failed) {
            assert_true(out.failed);
            refused++;
        } else {
            assert_false(out.failed);
            bytes_append(&out, "", 1);
            assert_non_null(strstr(out.data, "model_name=\"a \\\"quoted\\\" model\""));
            assert_non_null(strstr(out.data, "prenorm_verify_kl_divergence_nats"));
        }
        bytes_deinit(&out);
    }
    assert_true(refused > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(buckets_are_cumulative),
        cmocka_unit_test_setup_teardown(no_memory_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
