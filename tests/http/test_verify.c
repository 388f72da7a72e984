/* serve --verify with the real engine: what it compares is logged and exported, and a model beyond the bound
 * is not served. */
#include <math.h>

#include "tests/http/support_http.h"

static void start(struct daemon *d, const char *const *more) {
    const char *flags[16] = {
        "serve", "--port", "0", "--model", test_source_path("tests/golden/families/gpt2"), "--verify"};
    size_t count = 6;
    while (*more) flags[count++] = *more++;
    daemon_start(d, PRENORMD, flags);
}

static void test_a_model_within_the_bound_is_served(void **state) {
    (void)state;
    static const char *const weights[] = {"f32", "int8"};
    for (size_t i = 0; i < 2; i++) {
        struct daemon d;
        start(&d, (const char *const[]){"--weights", weights[i], NULL});
        daemon_wait_ready(&d);
        json_decref(complete(&d, "{\"prompt\":\"Once\",\"max_tokens\":2}"));
        double largest = metric(&d, "prenorm_verify_largest_difference_ratio");
        assert_true(largest > 0);
        assert_true(metric(&d, "prenorm_verify_kl_divergence_nats") >= 0);
        assert_true(metric(&d, "prenorm_verify_greedy_agreement_ratio") > 0.5);
        if (i == 0) assert_true(largest <= 2e-4); /* verify-bound's default */
        daemon_stop(&d);
    }
}

static void test_a_model_beyond_the_bound_is_not_served(void **state) {
    (void)state;
    struct daemon d;
    char *log;
    start(&d, (const char *const[]){"--verify-bound", "1e-12", NULL});
    assert_int_equal(daemon_wait(&d, &log), 1);
    assert_non_null(strstr(log, "the bound is 1.0e-12: not served"));
    free(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_model_within_the_bound_is_served),
        cmocka_unit_test(test_a_model_beyond_the_bound_is_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
